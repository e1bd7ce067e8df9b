//! Listening to a node's events.

use std::net::SocketAddr;

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::eventually::PATIENCE;

/// A stream of events, and all that it told so far.
#[derive(Debug)]
pub struct Listener {
    body: Incoming,
    heard: Vec<u8>,
    /// The connection lasts as long as this.
    _sender: http1::SendRequest<Full<Bytes>>,
    driver: JoinHandle<Result<(), hyper::Error>>,
}

impl Listener {
    /// Opens a stream, which must be granted.
    pub async fn open(address: SocketAddr, path: &str, token: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("the node answers");
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.expect("the node answers");
        let driver = tokio::spawn(connection);
        let request = Request::get(path)
            .header("host", "localhost")
            .header("authorization", format!("Bearer {token}"))
            .body(Full::new(Bytes::new()))
            .expect("tests write well-formed requests");
        let response = sender
            .send_request(request)
            .await
            .expect("the node answers");
        assert_eq!(response.status(), 200, "{path}");
        Self {
            body: response.into_body(),
            heard: Vec::new(),
            _sender: sender,
            driver,
        }
    }

    /// Returns when this text was heard, at whatever time since listening began.
    pub async fn until(&mut self, text: &str) {
        let hearing = async {
            while !String::from_utf8_lossy(&self.heard).contains(text) {
                match self.body.frame().await {
                    Some(Ok(frame)) => self
                        .heard
                        .extend_from_slice(&frame.into_data().unwrap_or_default()),
                    _ => break,
                }
            }
        };
        let ended = timeout(PATIENCE, hearing).await;
        let heard = String::from_utf8_lossy(&self.heard);
        assert!(
            ended.is_ok() && heard.contains(text),
            "nothing of {text:?} was told: {heard}"
        );
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

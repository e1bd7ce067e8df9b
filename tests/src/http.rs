//! A small HTTP client: one connection a request, over TCP with a token or over a node's socket.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::listener::Listener;

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_mins(2);

/// Where a node serves now; it may move when the node starts again.
#[derive(Debug, Clone, Default)]
pub struct Address(Arc<Mutex<Option<SocketAddr>>>);

impl Address {
    /// The address now, if the node has told one.
    pub fn current(&self) -> Option<SocketAddr> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes where the node serves from now on.
    pub fn move_to(&self, address: Option<SocketAddr>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }
}

/// A way to one node.
#[derive(Debug, Clone)]
pub struct Client {
    target: Target,
    token: Option<String>,
}

#[derive(Debug, Clone)]
enum Target {
    Network(Address),
    Folder(PathBuf),
}

/// No answer came, or not the whole of it: whether the request was carried out is not known.
#[derive(Debug, Clone)]
pub struct Unanswered(String);

impl fmt::Display for Unanswered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What a node answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header fields.
    pub headers: HeaderMap,
    /// Body as sent.
    pub body: Bytes,
}

impl Client {
    /// Over the network, as the holder of a token.
    pub fn network(address: Address, token: Option<&str>) -> Self {
        Self {
            target: Target::Network(address),
            token: token.map(str::to_owned),
        }
    }

    /// At a fixed address, as the holder of a token.
    pub fn at(address: SocketAddr, token: Option<&str>) -> Self {
        let fixed = Address::default();
        fixed.move_to(Some(address));
        Self::network(fixed, token)
    }

    /// Over the socket in the node's folder.
    pub fn folder(data: &Path) -> Self {
        Self {
            target: Target::Folder(data.to_owned()),
            token: None,
        }
    }

    /// The same way with another token.
    #[must_use]
    pub fn with_token(&self, token: Option<&str>) -> Self {
        Self {
            target: self.target.clone(),
            token: token.map(str::to_owned),
        }
    }

    /// Sends a request; an answer of any status is an answer.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, Unanswered> {
        let request = request(method, path, self.token.as_deref(), headers, body.into());
        let exchange = async {
            match &self.target {
                Target::Network(address) => {
                    let address = address
                        .current()
                        .ok_or_else(|| "the node has not told its address".to_owned())?;
                    let stream = TcpStream::connect(address)
                        .await
                        .map_err(|failed| failed.to_string())?;
                    over(stream, request).await
                }
                Target::Folder(data) => {
                    let stream = UnixStream::connect(socket_of(data)?)
                        .await
                        .map_err(|failed| failed.to_string())?;
                    over(stream, request).await
                }
            }
        };
        match timeout(ANSWER_MAX, exchange).await {
            Ok(answer) => answer.map_err(|detail| Unanswered(format!("{method} {path}: {detail}"))),
            Err(_) => Err(Unanswered(format!(
                "{method} {path}: no answer within {ANSWER_MAX:?}"
            ))),
        }
    }

    /// A connection that stands, for many requests one after the other.
    pub async fn connect(&self) -> Result<Connection, Unanswered> {
        let failed = |failed: std::io::Error| Unanswered(failed.to_string());
        let (sender, driver) = match &self.target {
            Target::Network(address) => {
                let address = address.current();
                let address =
                    address.ok_or_else(|| Unanswered("the node has told no address".to_owned()))?;
                standing(TcpStream::connect(address).await.map_err(failed)?).await?
            }
            Target::Folder(data) => {
                let socket = socket_of(data).map_err(Unanswered)?;
                standing(UnixStream::connect(socket).await.map_err(failed)?).await?
            }
        };
        Ok(Connection {
            sender,
            driver,
            token: self.token.clone(),
        })
    }

    /// Opens a stream of events, which must be granted.
    pub async fn listen(&self, path: &str) -> Listener {
        let Target::Network(address) = &self.target else {
            unreachable!("events are listened to over the network")
        };
        let address = address.current().expect("the node has told its address");
        Listener::open(address, path, self.token.as_deref().unwrap_or_default()).await
    }

    /// Reads; the answer must come.
    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "")
            .await
            .expect("the node answers")
    }

    /// Reads a document that must be there.
    pub async fn read(&self, path: &str) -> Value {
        self.get(path).await.expect(200).json()
    }

    /// Reads a document if the node answers with one.
    pub async fn look(&self, path: &str) -> Result<Value, String> {
        let answer = self
            .send("GET", path, &[], "")
            .await
            .map_err(|unanswered| unanswered.to_string())?;
        if answer.status == 200 {
            Ok(answer.json())
        } else {
            Err(format!("GET {path}: {answer}"))
        }
    }

    /// Posts a JSON document; the answer must come.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.try_post(path, body).await.expect("the node answers")
    }

    /// Posts a JSON document.
    pub async fn try_post(&self, path: &str, body: &Value) -> Result<Answer, Unanswered> {
        self.send(
            "POST",
            path,
            &[("content-type", "application/json")],
            body.to_string(),
        )
        .await
    }

    /// Patches a record, on the version given if there is one; the answer must come.
    pub async fn patch(&self, path: &str, version: Option<&str>, operations: &Value) -> Answer {
        self.try_patch(path, version, operations)
            .await
            .expect("the node answers")
    }

    /// Patches a record, on the version given if there is one.
    pub async fn try_patch(
        &self,
        path: &str,
        version: Option<&str>,
        operations: &Value,
    ) -> Result<Answer, Unanswered> {
        let mut headers = vec![("content-type", "application/json-patch+json")];
        headers.extend(version.map(|version| ("if-match", version)));
        self.send("PATCH", path, &headers, operations.to_string())
            .await
    }

    /// Imports lines through the API and returns the report of a whole import.
    pub async fn import(&self, lines: &str) -> Result<Value, String> {
        let answer = self.send(
            "POST",
            "/api/v1/import",
            &[("content-type", "application/x-ndjson")],
            lines.to_owned(),
        );
        let answer = answer.await.map_err(|unanswered| unanswered.to_string())?;
        if answer.status == 200 {
            Ok(answer.json())
        } else {
            Err(answer.to_string())
        }
    }
}

/// A connection that stands: what a request costs without the making of one.
#[derive(Debug)]
pub struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
    token: Option<String>,
}

impl Connection {
    /// Sends a request; an answer of any status is an answer.
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, Unanswered> {
        let request = request(method, path, self.token.as_deref(), headers, body.into());
        let exchange = async {
            self.sender.ready().await?;
            answer_of(self.sender.send_request(request).await?).await
        };
        let answer = timeout(ANSWER_MAX, exchange).await;
        match answer {
            Ok(answer) => answer.map_err(|failed| Unanswered(format!("{method} {path}: {failed}"))),
            Err(_) => Err(Unanswered(format!(
                "{method} {path}: no answer within {ANSWER_MAX:?}"
            ))),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Answer {
    /// The answer itself, if it has this status.
    #[expect(
        clippy::return_self_not_must_use,
        reason = "the check may be all that is wanted"
    )]
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|failed| no_json(&failed, &self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header field as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The version of the record in the answer.
    #[track_caller]
    pub fn etag(&self) -> String {
        self.header("etag")
            .expect("an answer with a record has an ETag")
            .to_owned()
    }

    /// Checks that this is a refusal of this status and stable code, as problem+json with one
    /// sentence; returns the document.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self}"
        );
        let document = self.json();
        assert_eq!(document["code"], code, "{self}");
        assert_eq!(document["status"], status, "{self}");
        assert!(
            document["detail"]
                .as_str()
                .is_some_and(|detail| detail.len() > 10),
            "{self}"
        );
        document
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text();
        let shown: String = text.chars().take(1500).collect();
        write!(formatter, "status {} with body {shown}", self.status)
    }
}

#[expect(clippy::panic, reason = "a test fails by panicking")]
#[track_caller]
fn no_json(failed: &serde_json::Error, text: &str) -> Value {
    panic!("not JSON ({failed}): {text}")
}

/// The node's socket: in its folder, or named by the file there.
fn socket_of(data: &Path) -> Result<PathBuf, String> {
    let named = data.join("socket");
    let facts = fs::metadata(&named).map_err(|failed| format!("{}: {failed}", named.display()))?;
    if facts.file_type().is_socket() {
        return Ok(named);
    }
    let text =
        fs::read_to_string(&named).map_err(|failed| format!("{}: {failed}", named.display()))?;
    Ok(PathBuf::from(text.trim()))
}

/// Sends one request over a connection that stands.
pub async fn send_over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Answer, String> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let request = request(method, path, None, headers, body);
    match timeout(ANSWER_MAX, over(stream, request)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {ANSWER_MAX:?}")),
    }
}

fn request(
    method: &str,
    path: &str,
    token: Option<&str>,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Request<Full<Bytes>> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
        .body(Full::new(body))
        .expect("tests write well-formed requests")
}

async fn standing(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<(http1::SendRequest<Full<Bytes>>, JoinHandle<()>), Unanswered> {
    let made = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = made.map_err(|failed| Unanswered(failed.to_string()))?;
    // Its end shows at the next request.
    let driver = tokio::spawn(async { drop(connection.await) });
    Ok((sender, driver))
}

async fn answer_of(response: Response<Incoming>) -> Result<Answer, hyper::Error> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body,
    })
}

async fn over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Answer, String> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|failed| failed.to_string())?;
    let driver = tokio::spawn(connection);
    let answer = async { answer_of(sender.send_request(request).await?).await };
    let answer = answer
        .await
        .map_err(|failed: hyper::Error| format!("{failed:?}"));
    driver.abort();
    answer
}

//! The way from a command to the node: its HTTP interface, wherever the node is.
//!
//! A running node answers on the Unix socket in its folder. A node at rest is opened in this
//! process, without network, and the same routes are called directly. A command never knows which.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tower::ServiceExt;

use super::{config, socket};
use crate::clock::{SystemClock, SystemEntropy};
use crate::engine::{Node, NodeOptions};
use crate::http::{Access, router};
use crate::telemetry;

/// What the log shows while a command opens the store itself: only what someone should look at.
const QUIET_LEVEL: &str = "warn";

/// A way to the node.
#[derive(Debug)]
pub(super) struct Api {
    route: Route,
}

#[derive(Debug)]
enum Route {
    /// A running node, by its folder.
    Socket(PathBuf),
    /// A running node, by its address and as the holder of a token.
    Token { address: SocketAddr, token: String },
    /// A node at rest, opened here.
    Inside { router: Router, node: Box<Node> },
}

impl Api {
    /// Opens the node of `data`, running or not.
    pub(super) async fn open(data: &Path) -> anyhow::Result<Self> {
        if socket::connect(data).await?.is_some() {
            return Ok(Self::socket(data));
        }
        let settings = config::of_node(data)?;
        // The log of a command is for surprises only; a running node has its own.
        telemetry::start(QUIET_LEVEL, false)?;
        let options = NodeOptions {
            data: data.to_owned(),
            config: settings,
            offline: true,
        };
        let node = Node::start(
            options,
            Arc::new(SystemClock::start()),
            Arc::new(SystemEntropy),
        )
        .await
        .map_err(|failed| anyhow!("{}", chain(&failed)))?;
        let router = router(node.engine(), local_user());
        Ok(Self {
            route: Route::Inside {
                router,
                node: Box::new(node),
            },
        })
    }

    /// A node known to run.
    pub(super) fn socket(data: &Path) -> Self {
        Self {
            route: Route::Socket(data.to_owned()),
        }
    }

    /// A node known to run, used as the holder of a token.
    pub(super) fn token(address: SocketAddr, token: &str) -> Self {
        Self {
            route: Route::Token {
                address,
                token: token.to_owned(),
            },
        }
    }

    /// Closes the node where it was opened here.
    pub(super) async fn close(self) {
        if let Route::Inside { node, .. } = self.route {
            node.stop().await;
        }
    }

    /// Sends a request and returns the response before its body is read, whatever its status.
    pub(super) async fn send(&self, request: Request<Body>) -> anyhow::Result<Response<Body>> {
        match &self.route {
            Route::Inside { router, .. } => match router.clone().oneshot(request).await {
                Ok(response) => Ok(response),
                Err(never) => match never {},
            },
            Route::Socket(data) => match socket::connect(data).await? {
                Some(stream) => over(stream, request).await,
                None => bail!(
                    "the node in {} has stopped: start it with `raccordo run`",
                    data.display()
                ),
            },
            Route::Token { address, token } => {
                let mut request = request;
                let bearer = header::HeaderValue::from_str(&format!("Bearer {token}"))
                    .context("the token holds letters that no token has")?;
                request.headers_mut().insert(header::AUTHORIZATION, bearer);
                let stream = TcpStream::connect(address)
                    .await
                    .with_context(|| format!("cannot reach {address}"))?;
                over(stream, request).await
            }
        }
    }

    /// Reads one JSON document.
    pub(super) async fn read(&self, path: &str) -> anyhow::Result<Value> {
        self.call(request(Method::GET, path, Body::empty())?).await
    }

    /// Sends one JSON document and reads the answer's; null where the answer has no body.
    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let mut request = request(Method::POST, path, Body::from(body.to_string()))?;
        let json = header::HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        self.call(request).await
    }

    /// Removes what stands at a path.
    pub(super) async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.call(request(Method::DELETE, path, Body::empty())?)
            .await
    }

    /// Sends a request and reads the JSON of a success; a refusal becomes its sentence.
    pub(super) async fn call(&self, request: Request<Body>) -> anyhow::Result<Value> {
        let bytes = success(self.send(request).await?).await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes)
            .context("the node's answer is not JSON: is it of another version?")
    }
}

/// A request to a path of the node.
pub(super) fn request(method: Method, path: &str, body: Body) -> anyhow::Result<Request<Body>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .body(body)
        .with_context(|| format!("{path} is not a path that a node serves"))
}

/// The body of a success; a refusal becomes its one sentence.
pub(super) async fn success(response: Response<Body>) -> anyhow::Result<Bytes> {
    let status = response.status();
    let bytes = response
        .into_body()
        .collect()
        .await
        .context("the node broke off its answer")?
        .to_bytes();
    if status.is_success() {
        Ok(bytes)
    } else {
        Err(anyhow!(refusal(status, &bytes)))
    }
}

/// The sentence of a problem document, with all its causes where it has several.
fn refusal(status: StatusCode, bytes: &[u8]) -> String {
    let document: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let Some(detail) = document["detail"].as_str() else {
        return format!("the node answered {status} without saying why");
    };
    let detail = detail.trim_end_matches('.');
    let errors = document["errors"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if errors.len() < 2 {
        return detail.to_owned();
    }
    let each: Vec<String> = errors
        .iter()
        .map(|error| {
            let text = |member: &str| error[member].as_str().unwrap_or_default().to_owned();
            format!("{}: {}", text("pointer"), text("detail"))
        })
        .collect();
    format!(
        "{} values are not allowed: {}",
        errors.len(),
        each.join("; ")
    )
}

/// Sends one request over a fresh connection.
async fn over<S>(stream: S, request: Request<Body>) -> anyhow::Result<Response<Body>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .context("the node does not answer on its connection")?;
    tokio::spawn(async move {
        // A broken connection shows up where the answer is read.
        connection.await.ok();
    });
    let response = sender
        .send_request(request)
        .await
        .context("the node broke off before it answered")?;
    Ok(response.map(Body::new))
}

/// Who stands behind the local socket: the user of this process.
pub(super) fn local_user() -> Access {
    let id = rustix::process::geteuid().as_raw();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = accounts
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
        })
        .unwrap_or_else(|| format!("user-{id}"));
    Access::LocalSocket { user }
}

/// An error and its causes as one sentence.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// A value as part of a path or a query.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("writing to a string never fails");
        }
    }
    out
}

/// A path with the parameters that have a value.
pub(super) fn with_query(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let pairs: Vec<String> = parameters
        .iter()
        .filter_map(|(name, value)| {
            value
                .as_ref()
                .map(|value| format!("{name}={}", escape(value)))
        })
        .collect();
    if pairs.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", pairs.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_in_paths_and_queries() {
        assert_eq!(escape("FR-A/2026 è"), "FR-A%2F2026%20%C3%A8");
        let path = with_query("/x", &[("q", Some("a&b".to_owned())), ("state", None)]);
        assert_eq!(path, "/x?q=a%26b");
    }

    #[test]
    fn a_refusal_becomes_one_sentence_with_all_its_causes() {
        let one = br#"{"detail":"no project with id ff on this node."}"#;
        assert_eq!(
            refusal(StatusCode::NOT_FOUND, one),
            "no project with id ff on this node"
        );
        let two = br#"{"detail":"2 values are not allowed; `errors` names each.","errors":[
            {"pointer":"/state","detail":"seen x"},{"pointer":"/ref","detail":"seen y"}]}"#;
        assert_eq!(
            refusal(StatusCode::UNPROCESSABLE_ENTITY, two),
            "2 values are not allowed: /state: seen x; /ref: seen y"
        );
        assert!(refusal(StatusCode::BAD_GATEWAY, b"<html>").contains("502"));
    }
}

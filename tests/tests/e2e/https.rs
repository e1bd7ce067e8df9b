//! Pages and API by HTTPS: the certificate, its renewal, and what is refused.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use raccordo_node::http::made_pair;
use raccordo_tests::eventually::{eventually, seen};
use raccordo_tests::http::{Answer, send_over};
use raccordo_tests::lab::Lab;
use raccordo_tests::process::Node;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::PROGRAM;

/// A certificate for `localhost`, and its key in the folder of the node.
fn install(node: &Node) -> CertificateDer<'static> {
    let made = made_pair();
    let key = node.data.join("tls.key");
    fs::write(node.data.join("tls.crt"), made.cert).expect("a file in the lab");
    fs::write(&key, made.key).expect("a file in the lab");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("a mode");
    CertificateDer::from(made.der)
}

/// Asks over TLS, trusting this certificate alone.
async fn ask(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Answer, String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(address)
        .await
        .map_err(|failed| failed.to_string())?;
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
        .map_err(|failed| failed.to_string())?;
    send_over(stream, method, path, headers, body).await
}

async fn address(node: &Node) -> SocketAddr {
    let status = node.status().await;
    let told = status["node"]["http"].as_str().expect("an address");
    told.parse().expect("an address")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_a_certificate_serves_by_https_alone_and_takes_a_renewed_one_live() {
    let lab = Lab::new(PROGRAM);
    let mut node = Node::found(&lab, "a", "frosinone/a", "district", &[]).await;
    let first = install(&node);
    node.set("http", "address", "\"0.0.0.0:0\"");
    node.set("http", "cert", "\"tls.crt\"");
    node.set("http", "key", "\"tls.key\"");
    node.cli(&["config", "check"]).await.expect(0);
    node.start().await;
    let made = node.cli(&["token", "create", "--name", "gestionale"]).await;
    let token = made.expect(0).line().to_owned();
    let at = SocketAddr::from(([127, 0, 0, 1], address(&node).await.port()));

    let page = ask(at, &first, ("GET", "/sign-in"), &[], "").await;
    let page = page.expect("the page loads over TLS").expect(200);
    assert!(page.text().contains("<form"), "{page}");
    assert!(page.header("strict-transport-security").is_some());
    let form = format!("token={token}");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let entered = ask(at, &first, ("POST", "/sign-in"), &headers, &form).await;
    let entered = entered.expect("answered").expect(303);
    let cookie = entered.header("set-cookie").expect("a cookie");
    assert!(
        cookie.starts_with("__Host-") && cookie.ends_with("; Secure"),
        "{cookie}"
    );
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let records = ask(at, &first, ("GET", "/api/v1/projects"), &headers, "").await;
    records.expect("answered").expect(200);

    let mut plain = TcpStream::connect(at).await.expect("the port is open");
    plain
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .expect("the request leaves");
    let mut answer = Vec::new();
    // A reset is an end like any other.
    let ended = plain.read_to_end(&mut answer).await;
    assert!(
        !answer.starts_with(b"HTTP") && answer.len() < 16,
        "{ended:?} {answer:?}"
    );

    let second = install(&node);
    node.reload();
    eventually("the renewed certificate is served", async || {
        let alive = ask(at, &second, ("GET", "/healthz"), &[], "").await?;
        seen(alive.status == 200, || alive.to_string())
    })
    .await;
    let old = ask(at, &first, ("GET", "/healthz"), &[], "").await;
    assert!(
        old.is_err(),
        "the certificate before is not served any more"
    );

    fs::write(node.data.join("tls.crt"), "spoilt").expect("a file in the lab");
    node.reload();
    eventually("the log says why nothing was taken", async || {
        let log = node.log_tail();
        seen(log.contains("no usable certificate"), || log.clone())
    })
    .await;
    let alive = ask(at, &second, ("GET", "/healthz"), &[], "").await;
    alive.expect("served as before").expect(200);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_cannot_serve_is_told_with_line_key_and_remedy_and_the_node_does_not_start() {
    let lab = Lab::new(PROGRAM);
    let node = Node::found(&lab, "a", "frosinone/a", "district", &[]).await;
    install(&node);
    let refused = async |key: &'static str, words: &'static str| {
        let checked = node.cli(&["config", "check", "--json"]).await;
        let told = checked.expect(1).json();
        let problems = told["problems"].as_array().expect("a list").clone();
        assert_eq!(problems.len(), 1, "{told}");
        assert_eq!(problems[0]["key"], key, "{told}");
        assert!(problems[0]["line"].as_u64() > Some(1), "{told}");
        let reason = problems[0]["reason"].as_str().unwrap_or_default();
        assert!(reason.contains(words), "{told}");
        node.cli(&["run"]).await.refused(&[key, words, "line "]);
    };
    node.set("http", "cert", "\"tls.crt\"");
    refused("http.cert", "needs `key` beside it").await;
    node.set("http", "key", "\"tls.pem\"");
    refused("http.key", "there is no file").await;
    node.set("http", "key", "\"tls.crt\"");
    fs::set_permissions(node.data.join("tls.crt"), fs::Permissions::from_mode(0o600))
        .expect("a mode");
    refused("http.key", "no usable private key").await;
    node.set("http", "key", "\"tls.key\"");
    let good = fs::read(node.data.join("tls.crt")).expect("a file");
    fs::write(node.data.join("tls.crt"), "no PEM").expect("a file");
    refused("http.cert", "no usable certificate").await;
    fs::write(node.data.join("tls.crt"), good).expect("a file");
    let key = node.data.join("tls.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("a mode");
    refused("http.key", "chmod go-rwx").await;
    let other = made_pair().key;
    fs::write(&key, other).expect("a file");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("a mode");
    refused("http.key", "not the key of the certificate").await;
}

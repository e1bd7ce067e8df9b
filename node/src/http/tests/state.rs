//! What the node says of itself: health, status, overview, events.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use expect_test::expect;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower::ServiceExt as _;

use super::{Bench, check, shape};
use crate::http::serve;
use crate::http::serve::{Bounds, serve_from};

#[tokio::test]
async fn health_and_metrics_are_open_and_carry_no_content() {
    let bench = Bench::district().await;
    bench.create("FR-A-1").await;
    assert_eq!(
        bench.ask("GET", "/healthz", &[], "").await.text(),
        "alive\n"
    );
    assert_eq!(bench.ask("GET", "/readyz", &[], "").await.text(), "ready\n");
    let metrics = bench.ask("GET", "/metrics", &[], "").await;
    assert!(
        metrics.text().contains("raccordo_documents 1\n"),
        "{}",
        metrics.text()
    );
    assert!(!metrics.text().contains("FR-A-1"));
}

#[tokio::test]
async fn the_status_has_the_promised_shape() {
    let bench = Bench::district().await;
    bench.create("FR-A-1").await;
    check(
        &shape(&bench.get("/api/v1/status").await.json()),
        &expect![[r#"
            {
              "node": {
                "held_back": null,
                "http": "text",
                "id": "text",
                "incarnation": "text",
                "lineage": "text",
                "listen": "text",
                "name": "text",
                "role": "text",
                "territory": "text",
                "version": "text",
                "writes_problem": null
              },
              "peers": [],
              "stopped": [],
              "store": {
                "disk_bytes": "number",
                "documents": "number",
                "engine": "text",
                "entries": "number",
                "problem": null,
                "scrub": {
                  "damaged": "number",
                  "found": "number",
                  "passed_at": null,
                  "read": "number"
                }
              }
            }"#]],
    );
}

#[tokio::test]
async fn the_overview_has_the_promised_shape() {
    let bench = Bench::district().await;
    bench.create("FR-A-1").await;
    let overview = bench.get("/api/v1/overview").await.json();
    check(
        &shape(&overview),
        &expect![[r#"
        {
          "as_of": "text",
          "digest": "text",
          "territories": [
            {
              "as_of": "text",
              "behind": "number",
              "conflicts": "number",
              "contacts": "number",
              "digest": "text",
              "households": "number",
              "member": "text",
              "name": "text",
              "persons": "number",
              "projects": {
                "by_need_area": {
                  "POV": "number"
                },
                "by_state": {
                  "active": "number"
                },
                "local": "number",
                "total": "number"
              },
              "publishes": {
                "level": "text"
              },
              "seq": "number",
              "state": "text",
              "territory": "text"
            }
          ],
          "totals": {
            "households": "number",
            "oldest_as_of": "text",
            "persons": "number",
            "projects": "number",
            "territories": "number",
            "territories_current": "number"
          }
        }"#]],
    );
    let mut part = bench
        .get("/api/v1/overview?territory=frosinone%2Fa")
        .await
        .json();
    part["as_of"] = overview["territories"][0]["as_of"].clone();
    assert_eq!(part, overview["territories"][0]);
}

#[tokio::test]
async fn watchers_hear_of_a_change_after_it_is_durable() {
    let bench = Bench::district().await;
    let bearer = format!("Bearer {}", bench.token);
    let request = Request::get("/api/v1/events")
        .header("authorization", bearer)
        .body(Body::empty())
        .unwrap();
    let response = bench.network.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut stream = response.into_body();
    bench.create("FR-A-1").await;
    let mut heard = String::new();
    while !heard.contains("event: record") {
        let frame = stream.frame().await.unwrap().unwrap();
        heard.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
    assert!(!heard.contains("FR-A-1"), "events carry ids, not content");
}

#[tokio::test]
async fn ending_does_not_wait_for_an_open_event_stream() {
    let bench = Bench::district().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let ending = async { stopped.await.unwrap() };
    let server = tokio::spawn(serve(listener, None, bench.network.clone(), ending));
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /api/v1/events HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\r\n",
        bench.token
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b": open\n\n\r\n") {
        assert_ne!(
            stream.read_buf(&mut heard).await.unwrap(),
            0,
            "{}",
            String::from_utf8_lossy(&heard)
        );
    }
    stop.send(()).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), server).await;
    ended.expect("the server ends").unwrap();
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_asked_ends_and_no_more_than_so_many_are_served() {
    let bench = Bench::district().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let bounds = Bounds {
        all: 2,
        of_one: 2,
        head: Duration::from_millis(300),
        pause: Duration::from_millis(300),
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let ending = async { stopped.await.unwrap() };
    let server = tokio::spawn(serve_from(listener, bench.network.clone(), ending, bounds));
    let connect = async || tokio::net::TcpStream::connect(address).await.unwrap();
    // One says nothing, one sends half a head: a third waits until they were sent away.
    let mut silent = connect().await;
    let mut slow = connect().await;
    slow.write_all(b"GET /healthz HTTP/1.1\r\nhost: ")
        .await
        .unwrap();
    let mut third = connect().await;
    let request = format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\n\r\n");
    third.write_all(request.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    let answered = third.read_buf(&mut heard);
    let answered = tokio::time::timeout(Duration::from_secs(20), answered).await;
    assert!(answered.unwrap().unwrap() > 0);
    assert!(heard.starts_with(b"HTTP/1.1 200"));
    for stream in [&mut silent, &mut slow, &mut third] {
        let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut heard));
        ended.await.expect("the connection ends").unwrap();
    }
    stop.send(()).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), server).await;
    ended.expect("the server ends").unwrap();
}

#[tokio::test]
async fn a_body_that_stands_still_is_refused_and_its_connection_ends() {
    let bench = Bench::district().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let bounds = Bounds {
        all: 2,
        of_one: 2,
        head: Duration::from_secs(20),
        pause: Duration::from_millis(300),
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let ending = async { stopped.await.unwrap() };
    let server = tokio::spawn(serve_from(listener, bench.network.clone(), ending, bounds));
    for (path, media_type, said) in [
        ("projects", "application/json", "{\"sharing\": "),
        ("import", "application/jsonl", "{\"kind\": "),
    ] {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!(
            "POST /api/v1/{path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\
             content-type: {media_type}\r\ncontent-length: 900\r\n\r\n{said}",
            bench.token
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut heard));
        ended.await.expect("the connection ends").unwrap();
        let heard = String::from_utf8(heard).unwrap();
        assert!(heard.starts_with("HTTP/1.1 400"), "{heard}");
        assert!(heard.contains("ended before it was complete"), "{heard}");
    }
    stop.send(()).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), server).await;
    ended.expect("the server ends").unwrap();
}

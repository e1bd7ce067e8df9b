//! Emergencies, and streams that end with the right to hear them.

use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{Answer, Bench};
use crate::access::Role;

impl Bench {
    async fn declare(&self, bearer: &str, body: &Value) -> Answer {
        self.as_bearer(bearer, "POST", "/api/v1/emergency", body)
            .await
    }

    /// The event stream of somebody.
    async fn listen(&self, bearer: &str) -> Body {
        let request = axum::http::Request::get("/api/v1/events").header("authorization", bearer);
        let request = request.body(Body::empty()).unwrap();
        self.network
            .clone()
            .oneshot(request)
            .await
            .unwrap()
            .into_body()
    }
}

/// What a stream says up to an event of a name.
async fn heard(stream: &mut Body, name: &str) -> String {
    let (mut heard, wanted) = (String::new(), format!("event: {name}"));
    while !heard.contains(&wanted) {
        let frame = tokio::time::timeout(Duration::from_secs(10), stream.frame());
        let frame = frame.await.expect("an event comes").unwrap().unwrap();
        heard.push_str(&String::from_utf8_lossy(frame.data_ref().unwrap()));
    }
    heard
}

#[tokio::test]
async fn an_emergency_needs_a_role_a_record_a_reason_and_an_end() {
    let bench = Bench::district().await;
    let place = bench.planned("FR-A-1").await;
    let id = place.rsplit('/').next().unwrap();
    let desk = bench
        .role_token("sportello", Role::AccessOperator, None, &[])
        .await;
    for (body, code) in [
        (json!({"record": id, "reason": "breve"}), 400),
        (
            json!({"record": id, "reason": "ricovero urgente", "minutes": 61}),
            400,
        ),
        (
            json!({"record": id, "reason": "ricovero urgente", "minutes": 0}),
            400,
        ),
        (
            json!({"record": "0".repeat(32), "reason": "ricovero urgente"}),
            404,
        ),
    ] {
        assert_eq!(
            bench.declare(&desk, &body).await.refusal().0,
            code,
            "{body}"
        );
    }
    let centre = bench
        .role_token("centro", Role::Referent, Some("CPI"), &[])
        .await;
    let wanted = json!({"record": id, "reason": "ricovero urgente"});
    assert_eq!(bench.declare(&centre, &wanted).await.refusal().0, 403);
    let listed = bench.get("/api/v1/emergency").await.json();
    assert_eq!(listed["items"], json!([]), "nothing was opened");
}

#[tokio::test]
async fn an_emergency_opens_one_record_for_a_while_and_the_privacy_referent_hears_of_it() {
    let bench = Bench::district().await;
    let place = bench.planned("FR-A-1").await;
    let other = bench.planned("FR-A-2").await;
    let id = place.rsplit('/').next().unwrap().to_owned();
    let desk = bench
        .role_token("sportello", Role::AccessOperator, None, &[])
        .await;
    let privacy = bench
        .role_token("privacy", Role::PrivacyReferent, None, &[])
        .await;
    let mut stream = bench.listen(&privacy).await;
    let wanted = json!({"record": "FR-A-1", "reason": "ricovero urgente", "minutes": 5});
    let opened = bench.declare(&desk, &wanted).await;
    assert_eq!(
        (opened.status, &opened.json()["record"]),
        (StatusCode::CREATED, &json!(id))
    );
    let seen = bench.as_bearer(&desk, "GET", &place, &Value::Null).await;
    assert!(seen.text().contains("terapia-riservata"));
    let unopened = bench.as_bearer(&desk, "GET", &other, &Value::Null).await;
    assert!(!unopened.text().contains("terapia-riservata"));
    let changed = json!([{"op": "replace", "path": "/plans/health/goals/g1/text", "value": "x"}]);
    let edit = bench.as_bearer(&desk, "PATCH", &place, &changed).await;
    assert_eq!(edit.refusal().0, 403, "an emergency opens for reading");

    let heard = heard(&mut stream, "emergency").await;
    assert!(
        heard.contains(&id) && !heard.contains("event: record"),
        "{heard}"
    );
    let listed = bench
        .as_bearer(&privacy, "GET", "/api/v1/emergency", &Value::Null)
        .await
        .json();
    assert_eq!(
        (&listed["items"][0]["by"], &listed["items"][0]["open"]),
        (&json!("sportello"), &json!(true))
    );
    let events = bench.audited("emergency").await;
    assert_eq!(
        (&events[0]["what"], &events[0]["detail"]),
        (&json!(id), &json!("5 minutes: ricovero urgente"))
    );
    assert_eq!(bench.audited("read").await[0]["detail"], "in an emergency");
}

#[tokio::test]
async fn a_stream_ends_when_its_token_does() {
    let bench = Bench::district().await;
    let worker = bench
        .role_token("sociale", Role::SocialWorker, None, &[])
        .await;
    let mut stream = bench.listen(&worker).await;
    bench.create("FR-A-1").await;
    heard(&mut stream, "record").await;
    bench
        .node
        .engine()
        .revoke_token("sociale", "administrator")
        .await
        .unwrap();
    bench.create("FR-A-2").await;
    let rest = tokio::time::timeout(Duration::from_secs(10), stream.collect());
    let rest = rest.await.expect("the stream ends").unwrap().to_bytes();
    assert_eq!(
        String::from_utf8_lossy(&rest)
            .matches("event: record")
            .count(),
        0
    );
}

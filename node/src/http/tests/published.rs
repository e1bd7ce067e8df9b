//! What everybody has: guidelines and organisations, over HTTP and as pages.

use raccordo_config::Role;
use serde_json::{Value, json};

use super::{Answer, Bench};

async fn posted(bench: &Bench, path: &str, body: &Value) -> Answer {
    let body = body.to_string();
    bench.call("POST", path, "application/json", &body).await
}

#[tokio::test]
async fn a_coordination_publishes_guidelines_and_a_district_keeps_organisations() {
    let guideline = json!({"title": "Presa in <carico>", "type": "procedure", "version": "2", "state": "published",
        "valid_from": "2026-01-01"});
    let organisation = json!({"name": "La Bottega", "type": "third_sector", "state": "identified"});
    for (bench, path, fields, refused, other) in [
        (
            Bench::of(Role::Coordination, "frosinone").await,
            "guidelines",
            &guideline,
            "organisations",
            &organisation,
        ),
        (
            Bench::district().await,
            "organisations",
            &organisation,
            "guidelines",
            &guideline,
        ),
    ] {
        let made = posted(&bench, &format!("/api/v1/{path}"), fields).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let answer = posted(&bench, &format!("/api/v1/{refused}"), other).await;
        assert_eq!(answer.refusal(), (403, "not_home".to_owned()));
        let list = bench.get(&format!("/api/v1/{path}")).await.json();
        assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list}");
        let cookie = bench.sign_in().await;
        let page = bench
            .ask("GET", &format!("/{path}"), &[("cookie", &cookie)], "")
            .await;
        assert_eq!(page.status, 200);
        let text = page.text();
        let shown = ["La Bottega", "Presa in &#60;carico&#62;"];
        assert!(shown.iter().any(|name| text.contains(name)), "{text}");
        assert!(!text.contains("<carico>"), "{text}");
    }
}

#[tokio::test]
async fn a_scope_of_no_peer_or_of_no_lane_is_refused_in_words() {
    let bench = Bench::of(Role::Coordination, "frosinone").await;
    let missing = bench.get("/api/v1/peers/00112233445566/scope").await;
    assert_eq!(missing.refusal().0, 404);
    let nothing = bench.get("/api/v1/peers/00112233445566/colour").await;
    assert_eq!(nothing.refusal(), (404, "no_such_address".to_owned()));
    let wrong = json!({"territories": ["Frosinone"]});
    let answer = posted(&bench, "/api/v1/peers/00112233445566/scope", &wrong).await;
    assert_eq!(answer.refusal().0, 400);
    let wrong = json!({"lanes": "shared"});
    let answer = posted(&bench, "/api/v1/peers/00112233445566/scope", &wrong).await;
    assert_eq!(answer.refusal().0, 400);
}

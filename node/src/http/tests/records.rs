//! Records over HTTP: created, changed, merged, refused, imported.

use axum::body::Body;
use axum::http::StatusCode;
use expect_test::expect;
use serde_json::{Value, json};

use super::{Bench, active, check, shape};

const JSON: &str = "application/json";

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_record_is_created_read_changed_and_listed() {
    let bench = Bench::district().await;
    let created = bench.create("FR-A-1").await;
    let record = created.json();
    let etag = created.header("etag").to_owned();
    assert_eq!(record["_meta"]["etag"], etag.as_str());
    let location = created.header("location").to_owned();
    assert_eq!(
        location,
        format!(
            "/api/v1/projects/{}",
            record["_meta"]["id"].as_str().unwrap()
        )
    );
    check(
        &shape(&record["_meta"]),
        &expect![[r#"
        {
          "conflicts": [],
          "created_at": "text",
          "delivery": {
            "delivered_at": null,
            "queued": "number",
            "seen_at": null,
            "seen_by": [],
            "state": "text"
          },
          "etag": "text",
          "flags": [],
          "id": "text",
          "kind": "text",
          "overwritten": [],
          "territory": "text",
          "updated_at": "text",
          "updated_by": "text"
        }"#]],
    );
    assert_eq!(record["_meta"]["updated_by"], "anna");
    assert_eq!(record["_meta"]["delivery"]["state"], "saved");

    let changed = bench
        .patch(
            &location,
            Some(&etag),
            &json!([{"op": "replace", "path": "/state", "value": "review"}]),
        )
        .await;
    assert_eq!(
        (changed.status, &changed.json()["state"]),
        (StatusCode::OK, &json!("review"))
    );
    assert_ne!(changed.header("etag"), etag);
    assert_eq!(bench.get(&location).await.json(), changed.json());
    assert_eq!(
        bench.get("/api/v1/projects/FR-A-1").await.json(),
        changed.json(),
        "by the office's number"
    );
}

#[tokio::test]
async fn a_changed_record_is_found_by_filters_and_tells_its_history() {
    let bench = Bench::district().await;
    let created = bench.create("FR-A-1").await;
    let location = created.header("location").to_owned();
    let change = json!([{"op": "replace", "path": "/state", "value": "review"}]);
    bench.patch(&location, None, &change).await;
    let list = bench
        .get("/api/v1/projects?state=review&q=ENTE-031&limit=1")
        .await
        .json();
    assert_eq!(
        (list["items"].as_array().unwrap().len(), &list["next"]),
        (1, &Value::Null)
    );
    assert_eq!(
        bench.get("/api/v1/projects?state=closed").await.json(),
        json!({"items": [], "next": null})
    );
    let history = bench.get(&format!("{location}/history")).await.json();
    assert_eq!(history["items"].as_array().unwrap().len(), 2);
    check(
        &shape(&history["items"][1]),
        &expect![[r#"
        {
          "at": "text",
          "by": "text",
          "changes": [
            {
              "op": "text",
              "path": "text",
              "value": "text"
            }
          ],
          "hash": "text",
          "node": "text",
          "recorded_at": "text"
        }"#]],
    );
}

#[tokio::test]
async fn two_edits_of_one_version_are_both_kept_and_shown_on_the_page() {
    let bench = Bench::district().await;
    let created = bench.create("FR-A-1").await;
    let (etag, location) = (
        created.header("etag").to_owned(),
        created.header("location").to_owned(),
    );
    for state in ["review", "suspended"] {
        let patch = json!([{"op": "replace", "path": "/state", "value": state}]);
        assert_eq!(
            bench.patch(&location, Some(&etag), &patch).await.status,
            StatusCode::OK
        );
    }
    let conflict = bench.get(&location).await.json()["_meta"]["conflicts"][0].clone();
    assert_eq!(
        (&conflict["path"], &conflict["shown"]),
        (&json!("/state"), &json!("suspended"))
    );
    assert_eq!(conflict["rivals"][0]["value"], "review");

    let cookie = bench.sign_in().await;
    let page = bench
        .ask("GET", "/records/FR-A-1", &[("cookie", &cookie)], "")
        .await;
    assert!(page.text().contains("Da scegliere"), "{}", page.text());
    assert!(page.text().contains("In verifica") && page.text().contains("Sospeso"));
    let list = bench.ask("GET", "/", &[("cookie", &cookie)], "").await;
    assert!(list.text().contains("un valore da scegliere"));
}

#[tokio::test]
async fn every_bad_record_is_refused_with_its_status_and_code() {
    let bench = Bench::district().await;
    bench.create("FR-A-1").await;
    let post = |media_type: &'static str, body: String| {
        let bench = &bench;
        async move {
            bench
                .call("POST", "/api/v1/projects", media_type, &body)
                .await
                .refusal()
        }
    };
    assert_eq!(
        post("text/plain", "{}".to_owned()).await,
        refused(400, "unsupported_content_type")
    );
    assert_eq!(
        post(JSON, "{\"ref\":".to_owned()).await,
        refused(400, "malformed")
    );
    assert_eq!(
        post(JSON, format!("\"{}\"", "x".repeat(1 << 20))).await,
        refused(413, "too_large")
    );
    let mut wrong = active("FR-A-2");
    wrong["state"] = json!("asleep");
    wrong["opened_on"] = json!("04/03/2026");
    let invalid = bench
        .call("POST", "/api/v1/projects", JSON, &wrong.to_string())
        .await;
    assert_eq!(invalid.refusal(), refused(422, "invalid"));
    let document = invalid.json();
    let pointers: Vec<_> = document["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| &error["pointer"])
        .collect();
    assert_eq!(pointers.len(), 2, "{document}");
    assert!(pointers.contains(&&json!("/state")) && pointers.contains(&&json!("/opened_on")));
    assert_eq!(
        post(JSON, active("FR-A-1").to_string()).await,
        refused(409, "ref_in_use")
    );
}

#[tokio::test]
async fn every_bad_patch_is_refused_with_its_status_and_code() {
    let bench = Bench::district().await;
    let created = bench.create("FR-A-1").await;
    let location = created.header("location").to_owned();
    let patched = |patch: Value, etag: Option<&'static str>| {
        let (bench, location) = (&bench, &location);
        async move { bench.patch(location, etag, &patch).await.refusal() }
    };
    let copy = json!([{"op": "copy", "from": "/ref", "path": "/x"}]);
    assert_eq!(patched(copy, None).await, refused(422, "invalid"));
    let test = json!([{"op": "test", "path": "/state", "value": "closed"}]);
    assert_eq!(patched(test, None).await, refused(409, "test_failed"));
    for absent in ["/case_manager", "/plans/social/goals/none", "/team/m9/role"] {
        let test = json!([{"op": "test", "path": absent, "value": "x"}]);
        let refusal = patched(test, None).await;
        assert_eq!(refusal, refused(409, "test_failed"), "{absent}");
    }
    let change = json!([{"op": "replace", "path": "/state", "value": "review"}]);
    assert_eq!(
        patched(change.clone(), Some("\"00\"")).await,
        refused(412, "unknown_version")
    );
    let unknown = "\"0000000000000000000000000000000000000000000000000000000000000000\"";
    assert_eq!(
        patched(change, Some(unknown)).await,
        refused(412, "unknown_version")
    );
}

#[tokio::test]
async fn every_bad_address_is_refused_with_its_status_and_code() {
    let bench = Bench::district().await;
    let created = bench.create("FR-A-1").await;
    let location = created.header("location").to_owned();
    for (path, wanted) in [
        ("/api/v1/widgets", refused(404, "unknown_kind")),
        (
            "/api/v1/projects/0123456789abcdef0123456789abcdef",
            refused(404, "not_found"),
        ),
        ("/api/v1/projects?limit=0", refused(400, "malformed")),
        (
            "/api/v1/projects?cursor=nonsense",
            refused(400, "malformed"),
        ),
        // A misspelt filter would list everything.
        ("/api/v1/projects?text=rossi", refused(400, "malformed")),
        ("/api/v1/export?kinds=project", refused(400, "malformed")),
        (
            "/api/v1/overview?territory=elsewhere",
            refused(404, "unknown_territory"),
        ),
        (
            "/api/v1/peers/00/what/else",
            refused(404, "no_such_address"),
        ),
    ] {
        assert_eq!(bench.get(path).await.refusal(), wanted, "{path}");
    }
    assert_eq!(
        bench.call("PUT", &location, JSON, "").await.refusal(),
        refused(405, "no_such_method")
    );
    assert_eq!(
        bench.call("DELETE", &location, JSON, "").await.refusal(),
        refused(400, "malformed")
    );
}

#[tokio::test]
async fn a_word_that_a_request_does_not_know_is_named_and_nothing_is_done() {
    let bench = Bench::district().await;
    let project = bench.create("FR-A-1").await.json()["_meta"]["id"].clone();
    for (path, body, unknown) in [
        (
            "/api/v1/erasures",
            json!({"subject": project, "reason": "prova", "kinds": "project"}),
            "kinds",
        ),
        ("/api/v1/publish", json!({"livel": "records"}), "livel"),
        (
            "/api/v1/transfers",
            json!({"project": project, "to": "frosinone/b", "reason": "residence", "nota": "n"}),
            "nota",
        ),
    ] {
        let answer = bench.call("POST", path, JSON, &body.to_string()).await;
        assert_eq!(answer.refusal(), refused(400, "malformed"), "{path}");
        assert!(answer.text().contains(unknown), "{}", answer.text());
    }
    let all = bench.get("/api/v1/projects").await.json();
    assert_eq!(all["items"].as_array().map(Vec::len), Some(1), "{all}");
}

#[tokio::test]
async fn an_erased_record_is_gone_for_good_and_says_since_when() {
    let bench = Bench::district().await;
    let location = bench.create("FR-A-1").await.header("location").to_owned();
    let reason = json!({"reason": "su richiesta"}).to_string();
    let erased = bench.call("DELETE", &location, JSON, &reason).await;
    assert_eq!(erased.status, StatusCode::OK, "{}", erased.text());
    let erased_at = erased.json()["erased_at"].clone();
    let gone = (410, "erased".to_owned());
    let read = bench.get(&location).await;
    assert_eq!(read.refusal(), gone);
    assert_eq!(read.json()["erased_at"], erased_at);
    let patch = json!([{"op": "replace", "path": "/state", "value": "review"}]);
    assert_eq!(bench.patch(&location, None, &patch).await.refusal(), gone);
    assert_eq!(
        bench
            .call("DELETE", &location, JSON, &reason)
            .await
            .refusal(),
        gone
    );
    assert_eq!(
        bench.get(&format!("{location}/history")).await.refusal(),
        gone
    );
    let listed = bench.get("/api/v1/projects").await.json();
    assert_eq!(listed["items"], json!([]));
    let overview = bench.get("/api/v1/overview").await.json();
    assert_eq!(overview["totals"]["projects"], 0);
    assert_eq!(overview["totals"]["persons"], 0);
    let erasures = bench.get("/api/v1/erasures").await.json();
    assert_eq!(erasures["items"][0]["kind"], "project");
    assert_eq!(erasures["items"][0]["receipts"], json!([]));
    // Its number is free again.
    bench.create("FR-A-1").await;
}

#[tokio::test]
async fn what_is_not_in_quarantine_cannot_be_decided_on() {
    let bench = Bench::district().await;
    let listed = bench.get("/api/v1/quarantine").await.json();
    assert_eq!(listed["items"], json!([]));
    let place = "/api/v1/quarantine/aabbccddeeff0011-0-17";
    assert_eq!(
        bench.get(place).await.refusal(),
        (404, "not_found".to_owned())
    );
    for (verb, body) in [("retry", "{}"), ("discard", r#"{"reason": "guasto"}"#)] {
        let answer = bench
            .call("POST", &format!("{place}/{verb}"), JSON, body)
            .await;
        assert_eq!(answer.refusal(), (404, "not_found".to_owned()), "{verb}");
    }
    let malformed = bench.get("/api/v1/quarantine/17").await;
    assert_eq!(malformed.refusal(), (400, "malformed".to_owned()));
}

#[tokio::test]
async fn an_import_takes_good_lines_and_reports_bad_ones_by_number() {
    let bench = Bench::district().await;
    let good = json!({"op": "create", "kind": "project", "ref": "FR-A-1", "at": "2026-03-04T09:00:00Z", "by": "op-1", "doc": active("FR-A-1")});
    let mut file = format!("{good}\n\nnonsense\n").into_bytes();
    file.extend_from_slice(b"\xff\xfe\n");
    file.extend_from_slice(
        json!({"op": "patch", "kind": "project", "ref": "FR-A-9", "patch": []})
            .to_string()
            .as_bytes(),
    );
    let bearer = format!("Bearer {}", bench.token);
    let send = |path: &'static str| bench.ask("POST", path, &[], Body::from(file.clone()));
    assert_eq!(
        send("/api/v1/import").await.status,
        StatusCode::UNAUTHORIZED
    );
    let more = [("authorization", bearer.as_str())];
    let tried = bench
        .ask("POST", "/api/v1/import?dry_run=true", &more, file.clone())
        .await
        .json();
    assert_eq!(
        (&tried["created"], &tried["rejected"]),
        (&json!(1), &json!(3)),
        "{tried}"
    );
    assert_eq!(
        bench.get("/api/v1/projects").await.json()["items"],
        json!([])
    );
    let done = bench
        .ask("POST", "/api/v1/import", &more, file.clone())
        .await
        .json();
    let counts = ["lines", "created", "changed", "already_present", "rejected"]
        .map(|name| done[name].clone());
    assert_eq!(json!(counts), json!([4, 1, 0, 0, 3]));
    let rejects: Vec<_> = done["rejects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["line"].clone())
        .collect();
    assert_eq!(rejects, [3, 4, 5]);
    let again = bench
        .ask("POST", "/api/v1/import", &more, file)
        .await
        .json();
    assert_eq!(
        (&again["created"], &again["already_present"]),
        (&json!(0), &json!(1))
    );
    let export = bench.get("/api/v1/export?kind=project").await;
    assert_eq!(export.text().lines().count(), 1);
    assert!(export.text().contains("FR-A-1"));
}

#[tokio::test]
async fn a_refusal_is_said_in_the_language_that_the_client_names() {
    let bench = Bench::district().await;
    let mut fields = active("FR-A-1");
    fields["opened_on"] = json!("domani");
    let bearer = format!("Bearer {}", bench.token);
    let refused = async |language: Option<&str>| {
        let mut headers = vec![
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        headers.extend(language.map(|language| ("accept-language", language)));
        let body = fields.to_string();
        bench.ask("POST", "/api/v1/projects", &headers, body).await
    };
    let plain = refused(None).await;
    assert_eq!(plain.json()["title"], "Unprocessable Entity");
    for (asked, tag, rule) in [
        ("it-IT,en;q=0.5", "it", "Scrivere una data come 2026-03-04"),
        ("en", "en", "Write a date as 2026-03-04"),
    ] {
        let answer = refused(Some(asked)).await;
        assert_eq!(answer.status, plain.status);
        assert_eq!(answer.header("content-language"), tag);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let document = answer.json();
        assert_eq!(document["errors"][0]["rule"], rule, "{document}");
        assert_eq!(document["code"], plain.json()["code"], "codes stay");
        assert_ne!(document["title"], plain.json()["title"], "{document}");
    }
    let unknown = refused(Some("de-DE")).await;
    assert_eq!(unknown.json(), plain.json(), "else English as ever");
}

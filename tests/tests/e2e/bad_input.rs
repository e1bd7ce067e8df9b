//! Requests that cannot be carried out: one clear sentence, the right status, nothing kept.

use raccordo_tests::chance::Chance;
use raccordo_tests::federation::Federation;
use raccordo_tests::http::Client;
use raccordo_tests::lab::Lab;
use raccordo_tests::process::Node;
use raccordo_tests::workload::{project, some_day};
use serde_json::{Value, json};

use crate::PROGRAM;

const PROJECTS: &str = "/api/v1/projects";

/// A running district that never joined, with one record.
async fn office() -> (Node, Client, String, String) {
    let mut federation = Federation::found(PROGRAM, 1, &[]).await;
    let mut node = federation.districts.remove(0).node;
    node.start().await;
    let http = node.http();
    let record = project(&mut Chance::new(1), Some("FR-A-1"), some_day());
    let created = http.post(PROJECTS, &record).await.expect(201);
    let path = created
        .header("location")
        .expect("a created record has a place")
        .to_owned();
    let version = created.etag();
    (node, http, path, version)
}

fn pointers(problem: &Value) -> Vec<String> {
    let errors = problem["errors"].as_array().into_iter().flatten();
    let mut pointers: Vec<String> = errors
        .filter_map(|error| error["pointer"].as_str().map(str::to_owned))
        .collect();
    pointers.sort();
    pointers
}

#[tokio::test(flavor = "multi_thread")]
async fn every_problem_of_a_patch_is_reported_at_once_and_nothing_is_changed() {
    let (_node, http, path, version) = office().await;
    let patch = json!([
        {"op": "replace", "path": "/plans/work/employability", "value": 50},
        {"op": "replace", "path": "/state", "value": "somewhere"},
        {"op": "add", "path": "/reviews/r1", "value": {"on": "yesterday", "decision": "continue"}},
        {"op": "replace", "path": "/subject/sex", "value": "Q"},
    ]);
    let problem = http
        .patch(&path, None, &patch)
        .await
        .refused(422, "invalid");
    let found = pointers(&problem);
    for wanted in ["/reviews/r1/on", "/state", "/subject/sex"] {
        assert!(
            found.iter().any(|pointer| pointer.ends_with(wanted)),
            "nothing on {wanted}: {problem}"
        );
    }
    assert_eq!(http.get(&path).await.etag(), version, "nothing was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_that_cannot_be_carried_out_is_refused_with_the_right_code() {
    let (_node, http, path, version) = office().await;
    let test = json!([{"op": "test", "path": "/state", "value": "closed"},
        {"op": "replace", "path": "/need_area", "value": "FAM"}]);
    let failed = http
        .patch(&path, None, &test)
        .await
        .refused(409, "test_failed");
    assert!(
        failed["detail"]
            .as_str()
            .unwrap_or_default()
            .contains("/state"),
        "{failed}"
    );
    for operation in ["copy", "move"] {
        let patch = json!([{"op": operation, "from": "/need_area", "path": "/state"}]);
        let problem = http
            .patch(&path, None, &patch)
            .await
            .refused(422, "invalid");
        assert_eq!(
            problem["errors"][0]["code"], "operation_not_supported",
            "{problem}"
        );
    }
    let rule = json!([{"op": "replace", "path": "/state", "value": "archived"}]);
    let broken = http.patch(&path, None, &rule).await.expect(409).json();
    let detail = broken["detail"].as_str().unwrap_or_default().to_owned();
    assert!(
        detail.contains("/state") && detail.contains("active"),
        "names the field and the rule: {broken}"
    );
    let unknown = format!("\"{}\"", "ab".repeat(32));
    let edit = json!([{"op": "replace", "path": "/need_area", "value": "FAM"}]);
    http.patch(&path, Some(&unknown), &edit)
        .await
        .refused(412, "unknown_version");
    http.patch(&path, Some("\"never\""), &edit)
        .await
        .refused(412, "unknown_version");
    let headers = [("content-type", "application/json-patch+json")];
    let malformed = http
        .send("PATCH", &path, &headers, "[{")
        .await
        .expect("the node answers");
    malformed.refused(400, "malformed");
    assert_eq!(http.get(&path).await.etag(), version, "nothing was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_with_mistakes_is_refused_with_all_of_them() {
    let (_node, http, ..) = office().await;
    let mut record = project(&mut Chance::new(2), Some("FR-A-2"), some_day());
    record["state"] = json!("unheard_of");
    record["instruments"] = json!({"k1": {"kind": "TIS", "amount_eur": 10.005, "state": "never"}});
    record["_secret"] = json!(1);
    let problem = http.post(PROJECTS, &record).await.refused(422, "invalid");
    let found = pointers(&problem);
    for wanted in [
        "/_secret",
        "/instruments/k1/amount_eur",
        "/instruments/k1/state",
        "/state",
    ] {
        assert!(
            found.contains(&wanted.to_owned()),
            "nothing on {wanted}: {problem}"
        );
    }
    let again = project(&mut Chance::new(3), Some("FR-A-1"), some_day());
    http.post(PROJECTS, &again).await.refused(409, "ref_in_use");
    assert_eq!(
        http.read(PROJECTS).await["items"].as_array().map(Vec::len),
        Some(1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_not_found() {
    let (node, http, ..) = office().await;
    http.get("/api/v1/wishes").await.expect(404).json();
    http.get(&format!("{PROJECTS}/{}", "0".repeat(32)))
        .await
        .refused(404, "not_found");
    http.get(&format!("{PROJECTS}/FR-Z-9"))
        .await
        .refused(404, "not_found");
    http.get("/api/v2/projects").await.expect(404).text();
    assert_eq!(
        http.send("DELETE", PROJECTS, &[], "")
            .await
            .expect("answered")
            .status,
        405
    );
    http.get(&format!("{PROJECTS}?limit=501"))
        .await
        .refused(400, "malformed");
    node.cli(&["record", "show", "project", "FR-Z-9"])
        .await
        .refused(&["FR-Z-9"]);
    assert_eq!(
        node.cli(&["record", "show", "wish", "FR-A-1"]).await.code,
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nothing_but_health_is_answered() {
    let (_node, http, path, _) = office().await;
    let nobody = http.with_token(None);
    let wrong = http.with_token(Some("not-a-token"));
    for client in [&nobody, &wrong] {
        for place in [
            PROJECTS,
            path.as_str(),
            "/api/v1/status",
            "/api/v1/overview",
            "/api/v1/peers",
            "/api/v1/export",
        ] {
            let refused = client.get(place).await;
            assert_eq!(refused.status, 401, "{place}: {refused}");
            assert!(!refused.text().contains("FR-A-1"), "{place}");
        }
        let record = project(&mut Chance::new(4), None, some_day());
        assert_eq!(client.post(PROJECTS, &record).await.status, 401);
    }
    for open in ["/healthz", "/readyz", "/metrics"] {
        nobody.get(open).await.expect(200).text();
    }
    assert_eq!(
        http.read(PROJECTS).await["items"].as_array().map(Vec::len),
        Some(1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_revoked_opens_nothing() {
    let (node, ..) = office().await;
    let printed = node
        .cli(&["token", "create", "--name", "reports"])
        .await
        .expect(0);
    let client = node.http().with_token(Some(printed.line()));
    client.get(PROJECTS).await.expect(200).text();
    let listed = node.cli(&["token", "list", "--json"]).await.expect(0);
    assert!(
        listed.stdout.contains("reports") && !listed.stdout.contains(printed.line()),
        "{listed}"
    );
    node.cli(&["token", "revoke", "reports"])
        .await
        .expect(0)
        .line();
    assert_eq!(client.get(PROJECTS).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_refused_unread() {
    let (_node, http, ..) = office().await;
    let mut record = project(&mut Chance::new(5), Some("FR-A-5"), some_day());
    record["note"] = json!("x".repeat(3 << 20));
    let refused = http.post(PROJECTS, &record).await.expect(413).json();
    assert_eq!(refused["status"], 413, "{refused}");
    http.get("/api/v1/status").await.expect(200).text();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_init_in_the_same_folder_changes_nothing() {
    let (node, ..) = office().await;
    let id = node.id().await;
    let again = [
        "init",
        "--territory",
        "frosinone/b",
        "--role",
        "district",
        "--name",
        "B",
    ];
    node.cli(&again).await.refused(&["in use"]);
    assert_eq!(node.id().await, id);
    assert_eq!(node.status().await["node"]["territory"], "frosinone/a");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_is_status_two_with_nothing_on_standard_output() {
    let lab = Lab::new(PROGRAM);
    for arguments in [
        vec![
            "init",
            "--territory",
            "Frosinone A",
            "--role",
            "district",
            "--name",
            "A",
        ],
        vec![
            "init",
            "--territory",
            "frosinone/a",
            "--role",
            "king",
            "--name",
            "A",
        ],
        vec!["nothing"],
        vec![],
        vec!["peer", "approve", "abc"],
    ] {
        let outcome = lab.run(&arguments).await;
        assert_eq!(outcome.code, 2, "{arguments:?}: {outcome}");
        assert_eq!(outcome.stdout, "", "{arguments:?}");
    }
    let missing = lab.run(&["status", "--json"]).await;
    missing.refused(&["init"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_with_the_setting_that_changes_it() {
    let (node, ..) = office().await;
    let status = node.status().await;
    let address = |key: &str| {
        status["node"][key]
            .as_str()
            .expect("a running node tells its addresses")
            .to_owned()
    };
    let lab = Lab::new(PROGRAM);
    let other = Node::found(&lab, "other", "frosinone/b", "district", &[]).await;
    other.set("http", "address", &format!("\"{}\"", address("http")));
    other
        .cli(&["run"])
        .await
        .refused(&[&address("http"), "[http] address"]);
    other.set("http", "address", "\"127.0.0.1:0\"");
    other.set("network", "listen", &format!("\"{}\"", address("listen")));
    other
        .cli(&["run"])
        .await
        .refused(&[&address("listen"), "[network] listen"]);
    assert_eq!(
        node.status().await["node"]["id"],
        status["node"]["id"],
        "the other one goes on"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_opened_by_one_process_only() {
    let (node, http, path, _) = office().await;
    let second = node.cli(&["run"]).await;
    assert_eq!(second.code, 1, "{second}");
    assert!(
        second.stderr.contains("use") || second.stderr.contains("running"),
        "{second}"
    );
    http.get(&path).await.expect(200).etag();
    let patch = json!([{"op": "replace", "path": "/need_area", "value": "FAM"}]);
    http.patch(&path, None, &patch).await.expect(200).etag();
}

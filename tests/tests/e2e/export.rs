//! What goes out comes in again, byte by byte; and what must stay in the territory does.

use raccordo_tests::chance::Chance;
use raccordo_tests::eventually::{eventually, seen};
use raccordo_tests::federation::Federation;
use raccordo_tests::invariants::districts_and_coordination_come_to_hold_the_same;
use raccordo_tests::lab::Lab;
use raccordo_tests::process::Node;
use raccordo_tests::workload::{Workload, project, some_day};
use serde_json::{Value, json};

use crate::PROGRAM;

#[tokio::test(flavor = "multi_thread")]
async fn an_export_imported_into_an_empty_node_is_exported_again_byte_for_byte() {
    let lab = Lab::new(PROGRAM);
    let mut first = Node::found(&lab, "first", "frosinone/a", "district", &[]).await;
    let second = Node::found(&lab, "second", "frosinone/a", "district", &[]).await;
    let file = lab.file(
        "in.jsonl",
        &Workload {
            district: 'A',
            seed: 2,
            records: 20,
            edits: 6,
        }
        .text(),
    );
    first
        .cli(&["import", file.to_str().expect("UTF-8")])
        .await
        .expect(0)
        .line();
    first.start().await;
    odd_things_are_done(&first).await;
    let out = lab.path("out.jsonl");
    let out = out.to_str().expect("UTF-8");
    assert_eq!(
        first.cli(&["export", "--out", out]).await.expect(0).stdout,
        ""
    );
    let exported = std::fs::read_to_string(out).expect("the export was written");
    let printed = first.cli(&["export"]).await.expect(0).stdout;
    assert_eq!(printed, exported);
    checked(&exported);
    let report = second
        .cli(&["import", out, "--json"])
        .await
        .expect(0)
        .json();
    assert_eq!(report["created"], 21, "{report}");
    assert_eq!(
        second
            .cli(&["export", "--kind", "project"])
            .await
            .expect(0)
            .stdout,
        exported
    );
    let again = second
        .cli(&["import", out, "--json"])
        .await
        .expect(0)
        .json();
    assert_eq!(again["already_present"], 21, "{again}");
}

/// A record with everything unusual in it, and a review that comes and goes.
async fn odd_things_are_done(node: &Node) {
    let http = node.http();
    let mut odd = project(&mut Chance::new(1), Some("FR-A-odd \"1\" è"), some_day());
    odd["sharing"] = json!("local");
    odd["ours"] =
        json!({"deep": [1, 2.5, {"è": null}], "empty": {}, "big": 9_007_199_254_740_993_i64});
    odd["need_area"] = json!("NEW");
    odd["instruments"] = json!({"k1": {"kind": "TIS", "amount_eur": 500.0, "state": "planned", "from": "2026-05-01"}});
    let odd = http.post("/api/v1/projects", &odd).await.expect(201).json();
    let flags = odd["_meta"]["flags"].to_string();
    assert!(
        flags.contains("need_area"),
        "an unknown code is flagged: {odd}"
    );
    let path = "/api/v1/projects/FR-A-2026-000000";
    let add = json!([{"op": "add", "path": "/reviews/gone", "value": {"on": "2026-06-01", "decision": "continue"}}]);
    let remove = json!([{"op": "remove", "path": "/reviews/gone"}]);
    for patch in [add, remove] {
        http.patch(path, None, &patch).await.expect(200);
    }
}

/// One `create` line a record, sorted by reference, nothing of `_meta`, unknown fields included.
fn checked(exported: &str) {
    let lines: Vec<Value> = exported
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 21);
    let references: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["ref"].as_str())
        .collect();
    assert!(
        references.is_sorted() && references.len() == 21,
        "{references:?}"
    );
    assert!(
        lines
            .iter()
            .all(|line| line["op"] == "create" && line["kind"] == "project")
    );
    assert!(!exported.contains("_meta") && !exported.contains("gone"));
    let odd = &lines
        .iter()
        .find(|line| line["doc"]["ours"].is_object())
        .expect("the odd one")["doc"];
    assert_eq!(
        odd["ours"],
        json!({"deep": [1, 2.5, {"è": null}], "empty": {}, "big": 9_007_199_254_740_993_i64})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn redb_and_sled_export_the_same() {
    let lab = Lab::new(PROGRAM);
    let file = lab.file(
        "in.jsonl",
        &Workload {
            district: 'A',
            seed: 3,
            records: 8,
            edits: 4,
        }
        .text(),
    );
    let file = file.to_str().expect("UTF-8");
    let mut exports = Vec::new();
    for engine in ["sled", "redb"] {
        let data = lab.path(engine);
        let data = data.to_str().expect("UTF-8");
        let who = [
            "init",
            "--territory",
            "frosinone/a",
            "--role",
            "district",
            "--name",
            "A",
        ];
        lab.run(&[who.as_slice(), &["--store", engine, "--data", data]].concat())
            .await
            .expect(0)
            .line();
        lab.run(&["import", file, "--data", data])
            .await
            .expect(0)
            .line();
        let status = lab
            .run(&["status", "--json", "--data", data])
            .await
            .expect(0)
            .json();
        assert_eq!(status["store"]["engine"], engine, "{status}");
        exports.push(lab.run(&["export", "--data", data]).await.expect(0).stdout);
    }
    assert_eq!(exports[0], exports[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_project_never_leaves_its_territory() {
    let federation = Federation::joined(PROGRAM, 1, &[]).await;
    let http = federation.districts[0].node.http();
    let mut shared = project(&mut Chance::new(1), Some("FR-A-1"), some_day());
    shared["sharing"] = json!("shared");
    http.post("/api/v1/projects", &shared)
        .await
        .expect(201)
        .etag();
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    let digest = federation.territory(0).await.expect("listed")["digest"].clone();
    let mut local = project(&mut Chance::new(2), Some("FR-A-secret"), some_day());
    local["sharing"] = json!("local");
    let created = http.post("/api/v1/projects", &local).await.expect(201);
    assert_eq!(
        created.json()["_meta"]["delivery"]["state"],
        "saved",
        "{created}"
    );
    let path = created
        .header("location")
        .expect("a created record has a place")
        .to_owned();
    let edit = json!([{"op": "replace", "path": "/need_area", "value": "FAM"}]);
    http.patch(&path, None, &edit).await.expect(200).etag();
    let publish = json!([{"op": "replace", "path": "/sharing", "value": "shared"}]);
    let refused = http.patch(&path, None, &publish).await;
    assert!(
        refused.status == 409 || refused.status == 422,
        "sharing is set at creation: {refused}"
    );
    // A shared record made later arrives, so whatever was to go before it has gone.
    let last = project(&mut Chance::new(3), Some("FR-A-2"), some_day());
    http.post("/api/v1/projects", &last)
        .await
        .expect(201)
        .etag();
    eventually("the later record arrives", async || {
        let part = federation.territory(0).await?;
        seen(part["projects"]["total"] == 2, || part.to_string())
    })
    .await;
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    assert_ne!(
        federation.territory(0).await.expect("listed")["digest"],
        digest
    );
    let coordination = federation.coordination.local();
    assert_eq!(coordination.get(&path).await.status, 404);
    assert_eq!(
        coordination
            .get("/api/v1/projects/FR-A-secret")
            .await
            .status,
        404
    );
    let all = coordination.read("/api/v1/projects").await.to_string();
    assert!(!all.contains("secret"), "{all}");
    assert_eq!(
        federation.coordination.status().await["store"]["documents"],
        2
    );
    assert_eq!(
        http.read("/api/v1/projects").await["items"]
            .as_array()
            .map(Vec::len),
        Some(3),
        "at home it is there"
    );
}

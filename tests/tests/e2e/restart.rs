//! A node that ends and starts again is the same node, and never writes as it did before.

use std::process::Stdio;
use std::time::Duration;

use raccordo_tests::chance::Chance;
use raccordo_tests::eventually::{eventually, moment, seen};
use raccordo_tests::federation::Federation;
use raccordo_tests::invariants::districts_and_coordination_come_to_hold_the_same;
use raccordo_tests::workload::{Workload, project, some_day};
use serde_json::{Value, json};

use crate::PROGRAM;

async fn delivery(federation: &Federation, path: &str) -> Result<Value, String> {
    Ok(federation.districts[0].node.http().look(path).await?["_meta"]["delivery"].clone())
}

/// The page without the exact moment of delivery, which is refined when it is written down.
fn timeless(mut page: Value) -> Value {
    for record in page["items"].as_array_mut().into_iter().flatten() {
        let delivered_at = record["_meta"]["delivery"]["delivered_at"].take();
        assert!(delivered_at.is_string(), "{record}");
    }
    page
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_after_a_restart_under_a_new_incarnation() {
    let mut federation = Federation::joined(PROGRAM, 1, &[]).await;
    let http = federation.districts[0].node.http();
    let work = Workload {
        district: 'A',
        seed: 21,
        records: 10,
        edits: 3,
    };
    federation.districts[0]
        .node
        .local()
        .import(&work.text())
        .await
        .expect("answered");
    let record = project(&mut Chance::new(1), Some("FR-A-1"), some_day());
    let created = http.post("/api/v1/projects", &record).await.expect(201);
    let path = created
        .header("location")
        .expect("a created record has a place")
        .to_owned();
    eventually("the record is delivered", async || {
        let delivery = delivery(&federation, &path).await?;
        seen(delivery["state"] == "delivered", || delivery.to_string())
    })
    .await;
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    let (status, overview) = (
        federation.districts[0].node.status().await,
        federation.districts[0].node.overview().await,
    );
    let page = http.read("/api/v1/projects?limit=500").await;

    federation.coordination.stop().await;
    federation.districts[0].node.stop().await;
    federation.districts[0].node.start().await;
    let after = federation.districts[0].node.status().await;
    assert_ne!(after["node"]["incarnation"], status["node"]["incarnation"]);
    for same in ["id", "lineage", "territory", "role", "name"] {
        assert_eq!(after["node"][same], status["node"][same], "{same}");
    }
    assert_eq!(after["store"]["documents"], status["store"]["documents"]);
    assert_eq!(after["store"]["entries"], status["store"]["entries"]);
    assert_eq!(
        federation.districts[0].node.overview().await["digest"],
        overview["digest"]
    );
    let again = http.read("/api/v1/projects?limit=500").await;
    assert_eq!(
        timeless(again),
        timeless(page),
        "the token, the records and their delivery"
    );
    let known = delivery(&federation, &path).await.expect("there");
    assert!(
        known["delivered_at"].is_string(),
        "known without asking the peer: {known}"
    );

    federation.start_coordination().await;
    federation.connected(0).await;
    let edit = json!([{"op": "replace", "path": "/plans/work/employability", "value": 42}]);
    http.patch(&path, None, &edit).await.expect(200).etag();
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    let there = federation.coordination.local().read(&path).await;
    assert_eq!(there["plans"]["work"]["employability"], 42);
}

#[tokio::test(flavor = "multi_thread")]
async fn reconnecting_with_nothing_changed_costs_a_few_hundred_bytes() {
    let mut federation = Federation::joined(PROGRAM, 1, &[]).await;
    let work = Workload {
        district: 'A',
        seed: 22,
        records: 30,
        edits: 6,
    };
    federation.districts[0]
        .node
        .local()
        .import(&work.text())
        .await
        .expect("answered");
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    federation.districts[0].node.stop().await;
    federation.districts[0].node.start().await;
    let link = eventually("both compare and are equal", async || {
        let link = federation.link(0).await;
        seen(
            link["equal"] == true && link["state"] == "connected",
            || link.to_string(),
        )?;
        Ok(link)
    })
    .await;
    let bytes = |key: &str| link[key].as_u64().expect("a count of bytes");
    let frames = bytes("stream_bytes_sent") + bytes("stream_bytes_received");
    assert!(
        frames > 0 && frames <= 500,
        "{frames} bytes of frames: {link}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_with_the_same_number_of_starts_never_share_an_incarnation() {
    let mut federation = Federation::found(PROGRAM, 2, &[]).await;
    let mut seen_before = std::collections::BTreeSet::new();
    for _ in 0..3 {
        for district in &mut federation.districts {
            district.node.start().await;
            let incarnation = district.node.status().await["node"]["incarnation"].to_string();
            assert!(
                seen_before.insert(incarnation.clone()),
                "{incarnation} again"
            );
            district.node.kill().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_commands_open_the_store_themselves() {
    let mut federation = Federation::found(PROGRAM, 1, &[]).await;
    let node = &mut federation.districts[0].node;
    node.start().await;
    let record = project(&mut Chance::new(1), Some("FR-A-1"), some_day());
    node.http()
        .post("/api/v1/projects", &record)
        .await
        .expect(201);
    let overview = node.overview().await;
    node.kill().await;
    let at_rest = node.cli(&["overview", "--json"]).await.expect(0).json();
    assert_eq!(at_rest["digest"], overview["digest"]);
    let shown = node
        .cli(&["record", "show", "project", "FR-A-1", "--json"])
        .await
        .expect(0)
        .json();
    assert_eq!(shown["ref"], "FR-A-1");
    node.start().await;
    assert_eq!(node.overview().await["digest"], overview["digest"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_at_rest_that_was_killed_is_finished_by_the_same_command() {
    let federation = Federation::found(PROGRAM, 1, &[]).await;
    let node = &federation.districts[0].node;
    let work = Workload {
        district: 'A',
        seed: 23,
        records: 150,
        edits: 4,
    };
    let file = federation.lab.file("A.jsonl", &work.text());
    let (file, data) = (
        file.to_str().expect("UTF-8"),
        node.data.to_str().expect("UTF-8"),
    );
    for delay_ms in [30, 80, 130, 180, 230] {
        let mut command = federation.lab.command(&["import", file, "--data", data]);
        let mut import = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        moment(Duration::from_millis(delay_ms)).await;
        import.kill().await.expect("a child can be killed");
    }
    let report = node.cli(&["import", file, "--json"]).await.expect(0).json();
    assert_eq!(report["lines"], 750, "{report}");
    assert_eq!(report["rejected"], 0, "{report}");
    let again = node.cli(&["import", file, "--json"]).await.expect(0).json();
    assert_eq!(again["already_present"], 750, "{again}");
    let overview = node.cli(&["overview", "--json"]).await.expect(0).json();
    assert_eq!(overview["totals"]["projects"], 150, "{overview}");
}

//! A record that is erased is gone everywhere, and everybody's word for it is on record.

use raccordo_tests::chance::Chance;
use raccordo_tests::eventually::{eventually, seen};
use raccordo_tests::federation::Federation;
use raccordo_tests::invariants::districts_and_coordination_come_to_hold_the_same;
use raccordo_tests::workload::{Workload, project, some_day};
use serde_json::{Value, json};

use crate::PROGRAM;

/// A federation in which one record of the first district was delivered; its address.
async fn delivered(districts: usize) -> (Federation, String) {
    let federation = Federation::joined(PROGRAM, districts, &[]).await;
    let work = Workload {
        district: 'A',
        seed: 31,
        records: 5,
        edits: 3,
    };
    let node = &federation.districts[0].node;
    node.local().import(&work.text()).await.expect("answered");
    let record = project(&mut Chance::new(1), Some("FR-A-900"), some_day());
    let created = node
        .http()
        .post("/api/v1/projects", &record)
        .await
        .expect(201);
    let path = created.header("location").expect("a place").to_owned();
    let edit = json!([{"op": "replace", "path": "/plans/work/employability", "value": 51}]);
    node.http()
        .patch(&path, None, &edit)
        .await
        .expect(200)
        .etag();
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    (federation, path)
}

async fn receipts(federation: &Federation) -> Value {
    let node = &federation.districts[0].node;
    let status = node
        .cli(&["erase", "status", "--json"])
        .await
        .expect(0)
        .json();
    status["items"][0]["receipts"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_record_is_gone_at_the_coordination_too_and_its_receipt_is_listed() {
    let (federation, path) = delivered(1).await;
    let node = &federation.districts[0].node;
    federation
        .coordination
        .local()
        .get(&path)
        .await
        .expect(200)
        .text();
    node.cli(&["erase", "FR-A-900", "--reason", "su richiesta"])
        .await
        .expect(0)
        .line();
    node.http().get(&path).await.refused(410, "erased");
    eventually("the coordination has erased it", async || {
        let answer = federation.coordination.local().get(&path).await;
        seen(answer.status == 410, || answer.to_string())
    })
    .await;
    eventually("the receipt is listed", async || {
        let receipts = receipts(&federation).await;
        seen(
            receipts[0]["state"] == "delivered" && receipts[0]["at"].is_string(),
            || receipts.to_string(),
        )
    })
    .await;
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    let overview = federation.coordination.overview().await;
    assert_eq!(overview["totals"]["projects"], 5, "{overview}");
    node.cli(&["record", "show", "project", "FR-A-900"])
        .await
        .refused(&["FR-A-900"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_without_a_link_is_queued_and_survives_restarts_on_both_sides() {
    let (mut federation, path) = delivered(1).await;
    federation.coordination.stop().await;
    let node = &federation.districts[0].node;
    node.cli(&["erase", "FR-A-900", "--reason", "su richiesta"])
        .await
        .expect(0)
        .line();
    assert_eq!(receipts(&federation).await[0]["state"], "queued");
    federation.districts[0].node.kill().await;
    federation.districts[0].node.start().await;
    let node = &federation.districts[0].node;
    node.http().get(&path).await.refused(410, "erased");
    federation.start_coordination().await;
    eventually("the coordination has erased it", async || {
        let answer = federation.coordination.local().get(&path).await;
        seen(answer.status == 410, || answer.to_string())
    })
    .await;
    districts_and_coordination_come_to_hold_the_same(&federation).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_erased_at_home_alone_and_for_a_reason() {
    let (federation, path) = delivered(1).await;
    let id = path.rsplit('/').next().expect("an id");
    federation
        .coordination
        .cli(&["erase", id, "--reason", "su richiesta"])
        .await
        .refused(&["frosinone/a"]);
    let node = &federation.districts[0].node;
    assert_eq!(node.cli(&["erase", id]).await.code, 2);
    node.cli(&["erase", id, "--reason", &"x".repeat(501)])
        .await
        .refused(&["500"]);
    node.http().get(&path).await.expect(200).etag();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_joins_later_takes_the_whole_log_in_without_what_was_erased() {
    let (mut federation, path) = delivered(1).await;
    let node = &federation.districts[0].node;
    node.cli(&["erase", "FR-A-900", "--reason", "su richiesta"])
        .await
        .expect(0)
        .line();
    eventually("the coordination has erased it", async || {
        let answer = federation.coordination.local().get(&path).await;
        seen(answer.status == 410, || answer.to_string())
    })
    .await;
    // A laptop of the same district gets the district's log from its office's coordination.
    federation.found_district("laptop", "frosinone/a").await;
    federation.districts[1].node.start().await;
    federation.lead_relays().await;
    federation.join(1).await;
    eventually(
        "the laptop holds what is left, and knows what is not",
        async || {
            let laptop = &federation.districts[1].node;
            let overview = laptop.overview().await;
            seen(overview["totals"]["projects"] == 5, || overview.to_string())?;
            let answer = laptop.local().get(&path).await;
            seen(answer.status == 410, || answer.to_string())
        },
    )
    .await;
}

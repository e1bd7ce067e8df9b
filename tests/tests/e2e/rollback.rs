//! A node put back on an older copy of its folder: it only reads until it has caught up with itself.

use raccordo_tests::chance::Chance;
use raccordo_tests::copies::{copy_folder, put_back};
use raccordo_tests::eventually::{eventually, seen};
use raccordo_tests::federation::Federation;
use raccordo_tests::http::Client;
use raccordo_tests::invariants::districts_and_coordination_come_to_hold_the_same;
use raccordo_tests::relay::Weather;
use raccordo_tests::workload::{Workload, project, some_day};
use serde_json::Value;

use crate::PROGRAM;

const PROJECTS: &str = "/api/v1/projects";

/// A federation whose first district went on after its folder was copied: the copy's name is `old`.
async fn went_on(records: u32) -> Federation {
    let mut federation = Federation::joined(PROGRAM, 1, &[]).await;
    let import = |seed, district| Workload {
        district,
        seed,
        records,
        edits: 4,
    };
    let local = federation.districts[0].node.local();
    local
        .import(&import(41, 'A').text())
        .await
        .expect("answered");
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    federation.districts[0].node.stop().await;
    copy_folder(
        &federation.districts[0].node.data,
        &federation.lab.path("old"),
    );
    federation.districts[0].node.start().await;
    let local = federation.districts[0].node.local();
    local
        .import(&import(42, 'B').text())
        .await
        .expect("answered");
    let http = federation.districts[0].node.http();
    let record = project(&mut Chance::new(1), Some("FR-A-900"), some_day());
    http.post(PROJECTS, &record).await.expect(201);
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    federation
}

async fn put_the_old_copy_back(federation: &mut Federation) {
    federation.districts[0].node.stop().await;
    put_back(
        &federation.lab.path("old"),
        &federation.districts[0].node.data,
    );
}

async fn try_to_write(http: &Client, reference: &str) -> (u16, Value) {
    let record = project(&mut Chance::new(2), Some(reference), some_day());
    let answer = http.post(PROJECTS, &record).await;
    (answer.status, answer.json())
}

fn is_open(status: &Value) -> Result<(), String> {
    seen(status["node"]["writes_problem"].is_null(), || {
        status["node"].to_string()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_on_an_older_copy_gets_back_all_that_it_lost_and_then_writes_again() {
    let mut federation = went_on(20).await;
    let before = federation.coordination.overview().await;
    put_the_old_copy_back(&mut federation).await;
    federation.districts[0].node.start().await;
    eventually("all is back", async || {
        let status = federation.districts[0]
            .node
            .local()
            .look("/api/v1/status")
            .await?;
        is_open(&status)?;
        let overview = federation.districts[0].node.overview().await;
        seen(
            overview["territories"][0]["digest"] == before["territories"][0]["digest"],
            || overview.to_string(),
        )
    })
    .await;
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    let after = federation.coordination.overview().await;
    assert_eq!(after["digest"], before["digest"], "nothing was lost");
    let (code, answer) = try_to_write(&federation.districts[0].node.http(), "FR-A-901").await;
    assert_eq!(code, 201, "{answer}");
    districts_and_coordination_come_to_hold_the_same(&federation).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_copy_is_older_than_its_first_record_gets_that_lane_back_too() {
    let mut federation = Federation::joined(PROGRAM, 1, &[]).await;
    federation.districts[0].node.stop().await;
    copy_folder(
        &federation.districts[0].node.data,
        &federation.lab.path("old"),
    );
    federation.districts[0].node.start().await;
    federation.connected(0).await;
    let http = federation.districts[0].node.http();
    let record = project(&mut Chance::new(1), Some("FR-A-1"), some_day());
    http.post(PROJECTS, &record).await.expect(201);
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    put_the_old_copy_back(&mut federation).await;
    federation.districts[0].node.start().await;
    eventually("the record is back", async || {
        let local = federation.districts[0].node.local();
        is_open(&local.look("/api/v1/status").await?)?;
        let records = local.look(PROJECTS).await?;
        seen(records["items"][0]["ref"] == "FR-A-1", || {
            records.to_string()
        })
    })
    .await;
    let http = federation.districts[0].node.http();
    let (code, answer) = try_to_write(&http, "FR-A-2").await;
    assert_eq!(code, 201, "{answer}");
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    let overview = federation.coordination.overview().await;
    assert_eq!(overview["totals"]["projects"], 2, "{overview}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_on_the_older_copy_before_anybody_knew_goes_behind_what_was_lost() {
    let mut federation = went_on(5).await;
    put_the_old_copy_back(&mut federation).await;
    federation.districts[0].relay.cut();
    federation.districts[0].node.start().await;
    let http = federation.districts[0].node.http();
    let (code, answer) = try_to_write(&http, "FR-A-902").await;
    assert_eq!(code, 201, "nobody can know yet: {answer}");
    federation.districts[0].relay.heal();
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    for reference in ["FR-A-900", "FR-A-902"] {
        let path = format!("{PROJECTS}/{reference}?territory=frosinone/a");
        for node in [&federation.districts[0].node, &federation.coordination] {
            node.local().get(&path).await.expect(200).text();
        }
    }
    eventually("writing is open", async || {
        is_open(
            &federation.districts[0]
                .node
                .local()
                .look("/api/v1/status")
                .await?,
        )
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn until_all_is_back_writes_are_refused_with_the_reason_also_over_kills() {
    let mut federation = went_on(30).await;
    put_the_old_copy_back(&mut federation).await;
    // So slow a network that what is asked for is long on its way.
    federation.districts[0].relay.weather(Some(Weather {
        seed: 1,
        lost: 0,
        repeated: 0,
        delayed: 100,
        delay_ms: 2_500,
        corrupted: 0,
        latency_ms: 0,
    }));
    federation.districts[0].node.start().await;
    let refused = eventually("a write is refused", async || {
        let node = &federation.districts[0].node;
        let status = node.local().look("/api/v1/status").await?;
        seen(is_open(&status).is_err(), || status["node"].to_string())?;
        let (code, answer) = try_to_write(&node.http(), "FR-A-903").await;
        seen(code == 503, || format!("{code}: {answer}"))?;
        Ok(answer)
    })
    .await;
    assert_eq!(refused["code"], "rolled_back", "{refused}");
    assert!(
        refused["detail"]
            .as_str()
            .unwrap_or_default()
            .contains("frosinone"),
        "{refused}"
    );
    federation.districts[0].node.kill().await;
    federation.districts[0].node.start().await;
    let (code, answer) = try_to_write(&federation.districts[0].node.http(), "FR-A-904").await;
    assert_eq!(code, 503, "a restart forgets nothing: {answer}");
    federation.districts[0].relay.weather(None);
    eventually("all is back", async || {
        is_open(
            &federation.districts[0]
                .node
                .local()
                .look("/api/v1/status")
                .await?,
        )
    })
    .await;
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    let overview = federation.coordination.overview().await;
    assert!(
        overview["totals"]["projects"].as_u64() == Some(61),
        "{overview}"
    );
}

//! Two nodes with one key: the second is kept out until an administrator chooses, the first works on.

use std::time::Duration;

use raccordo_tests::chance::Chance;
use raccordo_tests::eventually::{eventually, seen, within};
use raccordo_tests::federation::Federation;
use raccordo_tests::invariants::districts_and_coordination_come_to_hold_the_same;
use raccordo_tests::process::Node;
use raccordo_tests::workload::{project, some_day};
use serde_json::Value;

use crate::PROGRAM;

/// How soon a copy must be recognised.
const RECOGNISED: Duration = Duration::from_secs(10);

async fn status(node: &Node) -> Result<Value, String> {
    node.local().look("/api/v1/status").await
}

async fn write(node: &Node, seed: u64) -> (u16, Value) {
    let record = project(&mut Chance::new(seed), None, some_day());
    let answer = node.http().post("/api/v1/projects", &record).await;
    (answer.status, answer.json())
}

/// A district's node that runs beside a copy of itself, of which the copy is kept out.
async fn beside_its_copy() -> (Federation, Node) {
    let mut federation = Federation::joined(PROGRAM, 1, &[]).await;
    write(&federation.districts[0].node, 1).await;
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    federation.districts[0].node.stop().await;
    let mut copy = federation.districts[0].node.copied("copy");
    federation.districts[0].node.start().await;
    federation.connected(0).await;
    copy.start().await;
    within(
        RECOGNISED,
        "the copy knows that it is kept out",
        async || {
            let status = status(&copy).await?;
            let problem = status["node"]["writes_problem"]
                .as_str()
                .unwrap_or_default();
            seen(problem.contains("same key"), || status.to_string())
        },
    )
    .await;
    (federation, copy)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_started_beside_its_original_is_kept_out_and_the_original_works_on() {
    let (federation, copy) = beside_its_copy().await;
    let (code, answer) = write(&copy, 2).await;
    assert_eq!(
        (code, answer["code"].as_str()),
        (503, Some("cloned")),
        "{answer}"
    );
    let (code, answer) = write(&federation.districts[0].node, 3).await;
    assert_eq!(code, 201, "{answer}");
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    let peer = federation.peer(0).await;
    assert_eq!(peer["state"], "connected", "{peer}");
    let problem = peer["problem"].as_str().unwrap_or_default();
    for node in [&federation.districts[0].node, &copy] {
        let status = status(node).await.expect("it runs");
        let incarnation = status["node"]["incarnation"].as_str().expect("a start");
        assert!(problem.contains(incarnation), "{incarnation}: {peer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_one_that_an_administrator_chooses_is_let_in_and_the_other_kept_out() {
    let (federation, copy) = beside_its_copy().await;
    let id = federation.districts[0].node.id().await;
    let chosen = status(&copy).await.expect("it runs")["node"]["incarnation"].clone();
    let chosen = chosen.as_str().expect("a start");
    federation
        .coordination
        .cli(&["peer", "choose", &id, "--incarnation", "zz"])
        .await
        .refused(&[chosen]);
    federation
        .coordination
        .cli(&["peer", "choose", &id, "--incarnation", &chosen[..8]])
        .await
        .expect(0);
    eventually("the original is kept out", async || {
        let status = status(&federation.districts[0].node).await?;
        seen(status["node"]["writes_problem"].is_string(), || {
            status["node"].to_string()
        })
    })
    .await;
    eventually("the copy writes", async || {
        let (code, answer) = write(&copy, 4).await;
        seen(code == 201, || answer.to_string())
    })
    .await;
    eventually("what the copy writes arrives", async || {
        let part = federation.territory(0).await?;
        seen(part["projects"]["total"] == 2, || part.to_string())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_after_a_kill_is_no_copy() {
    let mut federation = Federation::joined(PROGRAM, 1, &[]).await;
    for seed in 5..8 {
        federation.districts[0].node.kill().await;
        federation.districts[0].node.start().await;
        federation.connected(0).await;
        let (code, answer) = write(&federation.districts[0].node, seed).await;
        assert_eq!(code, 201, "{answer}");
    }
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    assert!(federation.peer(0).await["problem"].is_null());
}

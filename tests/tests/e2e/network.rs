//! Bad networks between a district and the coordination: lossy, one-way, long gone, moving, narrow.
//!
//! Each limit below is one that the protocol states, with what a busy machine needs on top.

use std::time::Duration;

use raccordo_tests::chance::Chance;
use raccordo_tests::eventually::{eventually, never, seen, within};
use raccordo_tests::federation::{Federation, upstream};
use raccordo_tests::http::Client;
use raccordo_tests::invariants::{
    Acknowledged, districts_and_coordination_come_to_hold_the_same, every_record,
};
use raccordo_tests::relay::Weather;
use raccordo_tests::workload::{Workload, project, some_day};
use raccordo_transport::session::{PING_INTERVAL_MS, SILENCE_MAX_MS};
use serde_json::{Value, json};

use crate::PROGRAM;

/// What a busy machine may need beyond a limit of the protocol.
const MACHINE: Duration = Duration::from_secs(4);

/// From the return of a network to the first data, however long it was gone.
const RETURN_MAX: Duration = Duration::from_secs(10);

/// Bytes of UDP payload that a narrow network carries: more than QUIC's least of 1,200, less than
/// the 1,452 that it finds on other networks.
const NARROW_BYTES: usize = 1_250;

/// The two ends of the link.
const DISTRICT: usize = 0;
const COORDINATION: usize = 1;

fn silence_noticed() -> Duration {
    Duration::from_millis(SILENCE_MAX_MS) + MACHINE
}

fn spoken_again() -> Duration {
    Duration::from_millis(PING_INTERVAL_MS) + MACHINE
}

/// A record written at the district; where it is.
async fn written(office: &Client, acknowledged: &mut Acknowledged, seed: u64) -> String {
    let record = project(&mut Chance::new(seed), None, some_day());
    let created = office.post("/api/v1/projects", &record).await.expect(201);
    acknowledged.note(&created);
    created
        .header("location")
        .expect("a created record has a place")
        .to_owned()
}

async fn delivered(limit: Duration, office: &Client, path: &str) {
    within(limit, "the record is delivered", async || {
        let delivery = office.look(path).await?["_meta"]["delivery"].clone();
        seen(delivery["state"] == "delivered", || delivery.to_string())
    })
    .await;
}

/// Both ends' words on their link: the district's, the coordination's.
async fn both_ends(federation: &Federation) -> Result<[Value; 2], String> {
    let here = federation.districts[0].node.local();
    let here = upstream(&here.look("/api/v1/status").await?);
    Ok([here, federation.peer(0).await])
}

/// Returns when one end (0 the district, 1 the coordination) says that it does not reach the other.
async fn noticed(federation: &Federation, end: usize, limit: Duration) {
    let what = format!("end {end} of the link says that it does not reach the other");
    within(limit, &what, async || {
        let ends = both_ends(federation).await?;
        seen(ends[end]["state"] == "unreachable", || format!("{ends:?}"))
    })
    .await;
}

async fn imported(federation: &Federation, records: u32, seed: u64) {
    let work = Workload {
        district: 'A',
        seed,
        records,
        edits: 1,
    };
    // Each call its own references: the letter of the district counts on.
    let text = work.text().replace("FR-A-", &format!("FR-A{seed}-"));
    let district = federation.districts[0].node.local();
    let report = district
        .import(&text)
        .await
        .expect("the import is answered");
    assert_eq!(report["rejected"], 0, "{report}");
}

async fn records_at_the_coordination(federation: &Federation) -> usize {
    let there = federation.coordination.local();
    every_record(&there, "frosinone/a").await.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_loses_a_fifth_and_shuffles_the_rest_loses_no_acknowledged_write() {
    let federation = Federation::joined(PROGRAM, 1, &[]).await;
    let weather = Weather {
        seed: 31,
        lost: 20,
        delayed: 100,
        delay_ms: 300,
        repeated: 3,
        corrupted: 1,
        ..Weather::default()
    };
    federation.districts[0].relay.weather(Some(weather));
    imported(&federation, 300, 1).await;
    let office = federation.districts[0].node.http();
    let mut acknowledged = Acknowledged::default();
    for seed in 0..10 {
        let path = written(&office, &mut acknowledged, seed).await;
        let edit = json!([{"op": "replace", "path": "/plans/work/employability", "value": 1}]);
        acknowledged.note(&office.patch(&path, None, &edit).await.expect(200));
    }
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    assert_eq!(records_at_the_coordination(&federation).await, 310);
    let there = federation.coordination.local();
    acknowledged.survive_at(&there, "the coordination").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_of_the_way_up_is_noticed_by_both_ends_and_heals_by_itself() {
    let federation = Federation::joined(PROGRAM, 1, &[]).await;
    federation.districts[0].relay.cut_up();
    noticed_and_healed(&federation, COORDINATION).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_of_the_way_down_is_noticed_by_both_ends_and_heals_by_itself() {
    let federation = Federation::joined(PROGRAM, 1, &[]).await;
    federation.districts[0].relay.cut_down();
    noticed_and_healed(&federation, DISTRICT).await;
}

/// The deaf end hears nothing and gives up. It tells the other, once; should that one word be lost,
/// the other hears nothing from then on.
async fn noticed_and_healed(federation: &Federation, deaf: usize) {
    let office = federation.districts[0].node.http();
    let mut acknowledged = Acknowledged::default();
    let path = written(&office, &mut acknowledged, 1).await;
    noticed(federation, deaf, silence_noticed()).await;
    noticed(federation, 1 - deaf, silence_noticed()).await;
    for end in both_ends(federation).await.expect("both answer") {
        assert!(end["problem"].is_string(), "it says what is wrong: {end}");
    }
    let delivery = office.read(&path).await["_meta"]["delivery"].clone();
    assert_eq!(delivery["state"], "queued", "{delivery}");
    federation.districts[0].relay.heal();
    delivered(RETURN_MAX, &office, &path).await;
    districts_and_coordination_come_to_hold_the_same(federation).await;
    let there = federation.coordination.local();
    acknowledged.survive_at(&there, "the coordination").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_long_absence_data_flows_within_ten_seconds_of_the_return() {
    let mut federation = Federation::joined(PROGRAM, 1, &[]).await;
    let office = federation.districts[0].node.http();
    federation.districts[0].relay.cut();
    federation.coordination.stop().await;
    federation.start_coordination().await;
    let mut acknowledged = Acknowledged::default();
    let path = written(&office, &mut acknowledged, 1).await;
    // Delays double from half a second: after these failures they are as long as they ever get.
    for number in 1..=7 {
        an_attempt_fails(&federation, number).await;
    }
    // The worst moment to come back: the whole of the longest delay is still ahead.
    federation.districts[0].relay.heal();
    delivered(RETURN_MAX, &office, &path).await;
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    let there = federation.coordination.local();
    acknowledged.survive_at(&there, "the coordination").await;
}

/// Returns right after the next attempt of the district has failed.
async fn an_attempt_fails(federation: &Federation, number: usize) {
    let district = federation.districts[0].node.local();
    let next_try = async || {
        let status = district.look("/api/v1/status").await?;
        Ok::<_, String>(upstream(&status)["next_try_at"].clone())
    };
    eventually(&format!("attempt {number} is made"), async || {
        let due = next_try().await?;
        seen(due.is_null(), || format!("the next one is due at {due}"))
    })
    .await;
    eventually(&format!("attempt {number} fails"), async || {
        seen(next_try().await?.is_string(), || "still trying".to_owned())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_district_whose_address_changes_goes_on_without_a_new_connection() {
    let federation = Federation::joined(PROGRAM, 1, &[]).await;
    let district = &federation.districts[0];
    let office = district.node.http();
    let mut acknowledged = Acknowledged::default();
    let path = written(&office, &mut acknowledged, 1).await;
    delivered(spoken_again(), &office, &path).await;
    let before = both_ends(&federation).await.expect("both answer");
    for seed in 2..5 {
        district.relay.rebind().await;
        let path = written(&office, &mut acknowledged, seed).await;
        delivered(spoken_again(), &office, &path).await;
    }
    // In the middle of much to send, too.
    imported(&federation, 100, 1).await;
    district.relay.rebind().await;
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    let after = both_ends(&federation).await.expect("both answer");
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before["since"], after["since"], "the same connection");
    }
    let there = federation.coordination.local();
    acknowledged.survive_at(&there, "the coordination").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_for_small_datagrams_only_carries_everything() {
    let mut federation = Federation::found(PROGRAM, 1, &[]).await;
    federation.districts[0].relay.narrow(NARROW_BYTES);
    federation.start().await;
    federation.join(0).await;
    federation.connected(0).await;
    imported(&federation, 200, 1).await;
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    assert_eq!(records_at_the_coordination(&federation).await, 200);
    let relay = &federation.districts[0].relay;
    assert!(relay.too_large() > 0, "larger datagrams were tried");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_becomes_narrow_under_way_carries_on() {
    let federation = Federation::joined(PROGRAM, 1, &[]).await;
    let district = &federation.districts[0];
    imported(&federation, 200, 1).await;
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    district.relay.narrow(NARROW_BYTES);
    let before = both_ends(&federation).await.expect("both answer");
    imported(&federation, 200, 2).await;
    within(silence_noticed(), "everything is delivered", async || {
        let [here, _] = both_ends(&federation).await?;
        seen(here["to_send"] == 0, || here.to_string())
    })
    .await;
    assert!(
        district.relay.too_large() > 0,
        "the network had been wide before"
    );
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    let after = both_ends(&federation).await.expect("both answer");
    assert_eq!(before[0]["since"], after[0]["since"], "the same connection");
    never(
        Duration::from_secs(1),
        "nothing is lost of the link",
        async || {
            let ends = both_ends(&federation).await?;
            seen(ends.iter().all(|end| end["problem"].is_null()), || {
                format!("{ends:?}")
            })
        },
    )
    .await;
}

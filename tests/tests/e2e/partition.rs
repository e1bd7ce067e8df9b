//! A district cut off: it works on, says what waits, and comes back by itself.

use raccordo_tests::chance::Chance;
use raccordo_tests::eventually::{eventually, seen};
use raccordo_tests::federation::Federation;
use raccordo_tests::http::Client;
use raccordo_tests::invariants::districts_and_coordination_come_to_hold_the_same;
use raccordo_tests::relay::Weather;
use raccordo_tests::workload::{Workload, project, some_day};
use serde_json::{Value, json};

use crate::PROGRAM;

/// Longer than the pings are apart, so that only a cut makes a territory stale.
const STALE_AFTER: &[(&str, &str, &str)] = &[("overview", "stale_after_s", "15")];

async fn created(office: &Client, seed: u64) -> String {
    let record = project(&mut Chance::new(seed), None, some_day());
    let created = office.post("/api/v1/projects", &record).await.expect(201);
    created
        .header("location")
        .expect("a created record has a place")
        .to_owned()
}

fn employability(value: u64) -> Value {
    json!([{"op": "replace", "path": "/plans/work/employability", "value": value}])
}

async fn delivered(office: &Client, path: &str) -> Value {
    eventually("the record is delivered", async || {
        let delivery = office.look(path).await?["_meta"]["delivery"].clone();
        seen(delivery["state"] == "delivered", || delivery.to_string())?;
        Ok(delivery)
    })
    .await
}

async fn state_of(federation: &Federation, index: usize, state: &str) -> Value {
    eventually(&format!("the territory is shown as {state}"), async || {
        let part = federation.territory(index).await?;
        seen(part["state"] == state, || part.to_string())?;
        Ok(part)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_behind_a_cut_waits_as_queued_and_is_delivered_when_it_heals() {
    let federation = Federation::joined(PROGRAM, 2, STALE_AFTER).await;
    let office = federation.districts[0].node.http();
    let path = created(&office, 1).await;
    let before = delivered(&office, &path).await;
    assert_eq!(before["queued"], 0, "{before}");
    state_of(&federation, 0, "current").await;

    federation.districts[0].relay.cut();
    for value in [11, 12] {
        let record = office
            .patch(&path, None, &employability(value))
            .await
            .expect(200)
            .json();
        assert_eq!(record["_meta"]["delivery"]["state"], "queued", "{record}");
    }
    let delivery = office.read(&path).await["_meta"]["delivery"].clone();
    assert_eq!(delivery["queued"], 2, "{delivery}");
    let other = created(&office, 2).await;
    assert_eq!(federation.link(0).await["to_send"], 3);
    assert_eq!(office.read(&other).await["_meta"]["delivery"]["queued"], 1);

    let stale = state_of(&federation, 0, "stale").await;
    assert!(stale["as_of"].is_string(), "stale with its date: {stale}");
    assert_eq!(stale["projects"]["total"], 1, "as it was: {stale}");
    state_of(&federation, 1, "current").await;
    let totals = federation.coordination.overview().await["totals"].clone();
    assert_eq!(totals["territories_current"], 1, "{totals}");
    assert_eq!(totals["oldest_as_of"], stale["as_of"], "{totals}");
    let again = federation.territory(0).await.expect("listed");
    assert_eq!(
        again["as_of"], stale["as_of"],
        "the date of the last contact does not move"
    );

    federation.districts[0].relay.heal();
    let after = delivered(&office, &path).await;
    assert!(
        after["delivered_at"].is_string() && after["queued"] == 0,
        "{after}"
    );
    assert_ne!(after["delivered_at"], before["delivered_at"]);
    delivered(&office, &other).await;
    let current = state_of(&federation, 0, "current").await;
    assert_eq!(current["projects"]["total"], 2, "{current}");
    districts_and_coordination_come_to_hold_the_same(&federation).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_way_back_nothing_is_called_delivered() {
    let federation = Federation::joined(PROGRAM, 1, &[]).await;
    let office = federation.districts[0].node.http();
    let path = created(&office, 3).await;
    delivered(&office, &path).await;
    federation.districts[0].relay.cut_down();
    office
        .patch(&path, None, &employability(21))
        .await
        .expect(200);
    eventually("the edit arrives at the coordination", async || {
        let record = federation.coordination.local().look(&path).await?;
        seen(record["plans"]["work"]["employability"] == 21, || {
            record.to_string()
        })
    })
    .await;
    let delivery = office.read(&path).await["_meta"]["delivery"].clone();
    assert_eq!(delivery["state"], "queued", "{delivery}");
    federation.districts[0].relay.heal();
    delivered(&office, &path).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_district_finds_a_coordination_that_started_again_behind_a_cut() {
    let mut federation = Federation::joined(PROGRAM, 1, &[]).await;
    let office = federation.districts[0].node.http();
    let path = created(&office, 4).await;
    delivered(&office, &path).await;
    federation.districts[0].relay.cut();
    office
        .patch(&path, None, &employability(31))
        .await
        .expect(200);
    federation.coordination.kill().await;
    federation.start_coordination().await;
    let record = federation.coordination.local().read(&path).await;
    assert_ne!(record["plans"]["work"]["employability"], 31);
    federation.districts[0].relay.heal();
    delivered(&office, &path).await;
    districts_and_coordination_come_to_hold_the_same(&federation).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_weather_delays_and_loses_nothing() {
    let federation = Federation::joined(PROGRAM, 1, &[]).await;
    let weather = Weather {
        seed: 8,
        lost: 10,
        repeated: 5,
        delayed: 30,
        delay_ms: 40,
        ..Weather::default()
    };
    federation.districts[0].relay.weather(Some(weather));
    let district = &federation.districts[0].node;
    let text = Workload {
        district: 'A',
        seed: 9,
        records: 30,
        edits: 4,
    }
    .text();
    let report = district
        .local()
        .import(&text)
        .await
        .expect("the import is answered");
    assert_eq!(report["rejected"], 0, "{report}");
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    let part = federation.territory(0).await.expect("listed");
    assert_eq!(part["projects"]["total"], 30, "{part}");
}

//! An office and its devices: the same records, edited at once, with and without a link.

use std::time::Duration;

use raccordo_tests::below::{
    Below, created, guideline, organisation, peer, same_everywhere, shows,
};
use raccordo_tests::chance::Chance;
use raccordo_tests::eventually::{eventually, never, seen, within};
use raccordo_tests::federation::Federation;
use raccordo_tests::process::Node;
use raccordo_tests::workload::{project, some_day};
use serde_json::{Value, json};

use crate::PROGRAM;

/// A coordination, an office, and a laptop that joined at the office.
struct Territory {
    federation: Federation,
    laptop: Below,
}

impl Territory {
    async fn new() -> Self {
        let federation = Federation::joined(PROGRAM, 1, &[]).await;
        let laptop = device(&federation, "laptop").await;
        laptop.join(&federation.districts[0].node).await;
        Self { federation, laptop }
    }

    fn office(&self) -> &Node {
        &self.federation.districts[0].node
    }

    fn laptop(&self) -> &Node {
        &self.laptop.node
    }

    fn all(&self) -> [&Node; 3] {
        [self.office(), self.laptop(), &self.federation.coordination]
    }
}

async fn device(federation: &Federation, name: &str) -> Below {
    Below::started(&federation.lab, name, "frosinone/a", "district").await
}

fn a_project(seed: u64, reference: &str) -> Value {
    project(&mut Chance::new(seed), Some(reference), some_day())
}

fn set(path: &str, value: &str) -> Value {
    json!([{"op": "add", "path": path, "value": value}])
}

async fn edited(node: &Node, path: &str, pointer: &str, value: &str) {
    let done = node.http().patch(path, None, &set(pointer, value)).await;
    done.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_edit_one_record_at_once_and_all_hold_the_same() {
    let territory = Territory::new().await;
    let (office, laptop) = (territory.office(), territory.laptop());
    let path = created(&office.http(), "projects", &a_project(1, "FR-A-1")).await;
    same_everywhere(&territory.all(), &path).await;
    territory.laptop.relay.cut();
    for day in 1..=5 {
        edited(
            office,
            &path,
            "/next_review_on",
            &format!("2026-09-{day:02}"),
        )
        .await;
        edited(laptop, &path, "/need_area", ["POV", "DIS", "FAM"][day % 3]).await;
    }
    edited(office, &path, "/state", "review").await;
    edited(laptop, &path, "/state", "suspended").await;
    territory.laptop.relay.heal();
    let record = same_everywhere(&territory.all(), &path).await;
    assert_eq!(record["next_review_on"], "2026-09-05", "{record}");
    assert_eq!(record["need_area"], "FAM", "{record}");
    let conflicts = record["_meta"]["conflicts"].to_string();
    assert!(
        conflicts.contains("review") && conflicts.contains("suspended"),
        "both states stay until a person chooses: {record}"
    );
    // A choice on the laptop settles it everywhere.
    edited(laptop, &path, "/state", "review").await;
    let settled = same_everywhere(&territory.all(), &path).await;
    assert_eq!(settled["_meta"]["conflicts"], json!([]), "{settled}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_in_the_territory_is_on_its_devices_and_nowhere_else() {
    let territory = Territory::new().await;
    let (office, laptop) = (territory.office(), territory.laptop());
    let mut fields = a_project(1, "FR-A-1");
    fields["sharing"] = json!("local");
    let path = created(&office.http(), "projects", &fields).await;
    shows(laptop, &path, "/ref", &json!("FR-A-1")).await;
    edited(laptop, &path, "/state", "review").await;
    edited(office, &path, "/next_review_on", "2026-09-01").await;
    let record = same_everywhere(&[office, laptop], &path).await;
    assert_eq!(record["state"], "review", "{record}");
    let mut fields = a_project(2, "FR-A-2");
    fields["sharing"] = json!("local");
    let second = created(&laptop.http(), "projects", &fields).await;
    shows(office, &second, "/ref", &json!("FR-A-2")).await;
    let shared = created(&laptop.http(), "projects", &a_project(3, "FR-A-3")).await;
    same_everywhere(&territory.all(), &shared).await;
    for path in [path, second] {
        let above = territory.federation.coordination.local().get(&path).await;
        assert_eq!(above.status, 404, "{above}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_goes_on_through_restarts_and_a_long_absence() {
    let mut territory = Territory::new().await;
    let path = created(
        &territory.office().http(),
        "projects",
        &a_project(1, "FR-A-1"),
    )
    .await;
    same_everywhere(&territory.all(), &path).await;
    territory.federation.districts[0].node.stop().await;
    for round in 0..20 {
        let day = format!("2026-10-{:02}", round + 1);
        edited(territory.laptop(), &path, "/next_review_on", &day).await;
    }
    let made = created(
        &territory.laptop().http(),
        "projects",
        &a_project(2, "FR-A-2"),
    )
    .await;
    territory.laptop.node.kill().await;
    territory.federation.districts[0].node.start().await;
    edited(territory.office(), &path, "/need_area", "DIS").await;
    territory.laptop.node.start().await;
    territory
        .laptop
        .lead_to(&territory.federation.districts[0].node)
        .await;
    let record = same_everywhere(&territory.all(), &path).await;
    assert_eq!(record["next_review_on"], "2026-10-20", "{record}");
    assert_eq!(record["need_area"], "DIS", "{record}");
    same_everywhere(&territory.all(), &made).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_has_what_everybody_has_and_names_its_authors() {
    let territory = Territory::new().await;
    let coordination = &territory.federation.coordination;
    let rule = created(&coordination.http(), "guidelines", &guideline("Regola")).await;
    shows(territory.laptop(), &rule, "/title", &json!("Regola")).await;
    let found = organisation("La Bottega");
    let found = created(&territory.laptop().http(), "organisations", &found).await;
    same_everywhere(&territory.all(), &found).await;
    let history = coordination.local().read(&format!("{found}/history")).await;
    assert_eq!(
        history["items"][0]["node"],
        territory.laptop().id().await.as_str(),
        "the coordination knows the device that it never met: {history}"
    );
    let overview = coordination.overview().await;
    let parts = overview["territories"].as_array().map(Vec::len);
    assert_eq!(parts, Some(1), "a device is no territory: {overview}");
    assert_eq!(overview["territories"][0]["name"], "Node a", "{overview}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_device_is_cut_off_at_once_and_what_it_wrote_before_stays() {
    let territory = Territory::new().await;
    let (office, laptop) = (territory.office(), territory.laptop());
    let path = created(&laptop.http(), "projects", &a_project(1, "FR-A-1")).await;
    same_everywhere(&territory.all(), &path).await;
    let (id, above) = (laptop.id().await, office.id().await);
    let revoke = ["peer", "revoke", &id, "--reason", "stolen"];
    office.cli(&revoke).await.expect(0);
    within(Duration::from_secs(5), "the link is closed", async || {
        let link = peer(&laptop.local().look("/api/v1/status").await?, &above);
        seen(link["state"] == "revoked", || link.to_string())
    })
    .await;
    edited(laptop, &path, "/state", "suspended").await;
    let late = created(&laptop.http(), "projects", &a_project(2, "FR-A-2")).await;
    // The others go on with the record, and agree.
    edited(office, &path, "/next_review_on", "2026-09-01").await;
    let record = same_everywhere(&[office, &territory.federation.coordination], &path).await;
    assert_eq!(record["next_review_on"], "2026-09-01", "{record}");
    assert_ne!(record["state"], "suspended", "{record}");
    never(
        Duration::from_secs(3),
        "what a revoked device wrote came in",
        async || {
            let missing = office.local().get(&late).await;
            seen(missing.status == 404, || missing.to_string())
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_coordination_revokes_a_device_that_it_never_met() {
    let territory = Territory::new().await;
    let (office, laptop) = (territory.office(), territory.laptop());
    let path = created(&laptop.http(), "projects", &a_project(1, "FR-A-1")).await;
    same_everywhere(&territory.all(), &path).await;
    // The office takes more in than the coordination has when it decides.
    territory.federation.districts[0].relay.cut();
    edited(laptop, &path, "/need_area", "DIS").await;
    shows(office, &path, "/need_area", &json!("DIS")).await;
    edited(office, &path, "/next_review_on", "2026-09-01").await;
    let id = laptop.id().await;
    let revoke = ["peer", "revoke", &id, "--reason", "stolen"];
    territory
        .federation
        .coordination
        .cli(&revoke)
        .await
        .expect(0);
    territory.federation.districts[0].relay.heal();
    eventually("the office closes the link", async || {
        let status = office.local().look("/api/v1/status").await?;
        let link = peer(&status, &id);
        seen(link["state"] == "revoked", || link.to_string())
    })
    .await;
    // What the office had admitted and built on is admitted by all.
    let record = same_everywhere(&[office, &territory.federation.coordination], &path).await;
    assert_eq!(record["need_area"], "DIS", "{record}");
    assert_eq!(record["next_review_on"], "2026-09-01", "{record}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_erases_is_certified_there_by_nodes_that_it_never_met() {
    let mut territory = Territory::new().await;
    let second = device(&territory.federation, "second").await;
    second.join(territory.office()).await;
    let laptop = territory.laptop();
    let path = created(&laptop.http(), "projects", &a_project(1, "FR-A-1")).await;
    same_everywhere(&territory.all(), &path).await;
    shows(&second.node, &path, "/ref", &json!("FR-A-1")).await;
    second.relay.cut();
    let erase = ["erase", "FR-A-1", "--reason", "su richiesta", "--json"];
    let erased = laptop.cli(&erase).await.expect(0).json();
    let id = erased["id"].as_str().expect("an id").to_owned();
    let coordination = territory.federation.coordination.id().await;
    let away = second.node.id().await;
    let state = |told: &Value, peer: &str| {
        let receipts = told["records"][0]["receipts"].as_array();
        let mut receipts = receipts.into_iter().flatten();
        let of_it = receipts.find(|receipt| receipt["peer"] == peer);
        of_it.map_or(Value::Null, |receipt| receipt["state"].clone())
    };
    let place = format!("/api/v1/erasures/{id}/certificate");
    eventually("the coordination gave its receipt", async || {
        let told = territory.laptop().local().look(&place).await?;
        assert_eq!(told["complete"], false, "{told}");
        assert_eq!(state(&told, &away), "relayed", "{told}");
        seen(state(&told, &coordination) == "delivered", || {
            told.to_string()
        })
    })
    .await;
    // Neither a kill of who waits nor the long absence of who answers changes it.
    territory.laptop.node.kill().await;
    territory.laptop.node.start().await;
    second.relay.heal();
    eventually("the other device gave its own", async || {
        let told = territory.laptop().local().look(&place).await?;
        seen(told["complete"] == true, || told.to_string())
    })
    .await;
    let answer = second.node.local().get(&path).await;
    assert_eq!(answer.status, 410, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_coordination_lists_devices_and_revokes_them_with_their_office() {
    let territory = Territory::new().await;
    let (office, laptop) = (territory.office(), territory.laptop());
    let coordination = &territory.federation.coordination;
    let path = created(&laptop.http(), "projects", &a_project(1, "FR-A-1")).await;
    let before = same_everywhere(&territory.all(), &path).await;
    let (id, above) = (laptop.id().await, office.id().await);
    let listed = async || -> Result<Value, String> {
        let peers = coordination.local().look("/api/v1/peers").await?;
        Ok(peer(&json!({"peers": peers["items"]}), &id))
    };
    let device = listed().await.expect("the list can be read");
    assert_eq!(device["state"], "relayed", "{device}");
    assert_eq!(device["through"], above.as_str(), "{device}");
    let explain = ["peer", "explain", &id];
    let explained = coordination.cli(&explain).await.expect(0).to_string();
    assert!(explained.contains(&above[..12]), "{explained}");
    let status = coordination.status().await;
    assert_eq!(peer(&status, &id), Value::Null, "it is no link: {status}");

    let revoke = ["peer", "revoke", &above, "--reason", "stolen"];
    coordination.cli(&revoke).await.expect(0);
    let device = listed().await.expect("the list can be read");
    assert_eq!(device["state"], "revoked", "{device}");
    let why = device["problem"].as_str().unwrap_or_default();
    assert!(why.contains("the node through which it joined"), "{why}");
    // What was admitted stays, and what comes later does not enter, whoever brings it.
    edited(laptop, &path, "/state", "suspended").await;
    shows(office, &path, "/state", &json!("suspended")).await;
    let late = created(&laptop.http(), "projects", &a_project(2, "FR-A-2")).await;
    shows(office, &late, "/ref", &json!("FR-A-2")).await;
    never(
        Duration::from_secs(2),
        "what a device of a revoked office wrote came in",
        async || {
            let missing = coordination.local().get(&late).await;
            let record = coordination.local().look(&path).await?;
            let same = record["_meta"]["etag"] == before["_meta"]["etag"];
            seen(missing.status == 404 && same, || missing.to_string())
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_office_takes_in_its_own_devices_and_nobody_else() {
    let federation = Federation::joined(PROGRAM, 1, &[]).await;
    let office = &federation.districts[0].node;
    for wrong in [
        ["invite", "--territory", "frosinone/b", "--role", "district"],
        [
            "invite",
            "--territory",
            "frosinone/a",
            "--role",
            "coordination",
        ],
        [
            "invite",
            "--territory",
            "frosinone/a/x",
            "--role",
            "district",
        ],
    ] {
        office.cli(&wrong).await.refused(&["frosinone/a"]);
    }
    let laptop = device(&federation, "laptop").await;
    laptop.lead_to(office).await;
    let invite = ["invite", "--territory", "frosinone/a"];
    let invitation = office.cli(&invite).await.expect(0).line().to_owned();
    laptop.node.cli(&["join", &invitation]).await.expect(0);
    let id = laptop.node.id().await;
    let pending = ["peer", "pending", "--json"];
    let waiting = office.cli(&pending).await.expect(0).json();
    assert_eq!(waiting["items"][0]["id"], id.as_str(), "{waiting}");
    let at_coordination = federation.coordination.cli(&pending).await.expect(0).json();
    assert_eq!(at_coordination["items"], json!([]), "{at_coordination}");
    office.cli(&["peer", "approve", &id]).await.expect(0);
    laptop.connected(office).await;
}

//! Delivered is not seen: a person has to open the record, and the district hears of it.

use std::net::SocketAddr;
use std::time::Duration;

use raccordo_crdt_model::DocumentId;
use raccordo_tests::below::{created, guideline};
use raccordo_tests::chance::Chance;
use raccordo_tests::eventually::{eventually, never, seen};
use raccordo_tests::federation::Federation;
use raccordo_tests::http::Client;
use raccordo_tests::stranger::{Stranger, seed_of};
use raccordo_tests::workload::{project, some_day};
use raccordo_transport::{PeerId, Seen};
use serde_json::{Value, json};

use crate::PROGRAM;

/// More entries than a coordination with two districts and two guidelines has.
const ENTRIES_MAX: u64 = 12;

async fn made(office: &Client, seed: u64) -> String {
    let fields = project(&mut Chance::new(seed), None, some_day());
    created(office, "projects", &fields).await
}

async fn edited(office: &Client, path: &str, employability: u64) {
    let patch =
        json!([{"op": "replace", "path": "/plans/work/employability", "value": employability}]);
    office.patch(path, None, &patch).await.expect(200);
}

fn delivery(record: &Value) -> Value {
    record["_meta"]["delivery"].clone()
}

async fn comes_to(office: &Client, path: &str, state: &str) -> Value {
    eventually(&format!("{path} is {state}"), async || {
        let delivery = delivery(&office.look(path).await?);
        seen(delivery["state"] == state, || delivery.to_string())?;
        Ok(delivery)
    })
    .await
}

/// A person opens the record at this node, once it is there at this version.
async fn opened(at: &Client, path: &str, employability: u64) {
    // Lists are not opened records: they may be asked until it is there.
    let id = path.rsplit('/').next().expect("a path ends with an id");
    eventually("the record is there", async || {
        let list = at.look("/api/v1/projects?limit=500").await?;
        let mut items = list["items"].as_array().into_iter().flatten();
        let there = items.any(|item| {
            item["_meta"]["id"] == id && item["plans"]["work"]["employability"] == employability
        });
        seen(there, || list.to_string())
    })
    .await;
    at.get(path).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_a_person_opens_at_the_coordination_is_seen_until_it_is_edited_again() {
    let federation = Federation::joined(PROGRAM, 1, &[]).await;
    let node = &federation.districts[0].node;
    let (office, province) = (node.http(), federation.coordination.http());
    let path = made(&office, 1).await;
    edited(&office, &path, 11).await;
    let delivered = comes_to(&office, &path, "delivered").await;
    assert_eq!(delivered["seen_by"], json!([]), "{delivered}");
    assert_eq!(delivered["seen_at"], Value::Null, "{delivered}");

    // Neither a list, nor the machine's own commands, nor a page that refreshes itself is a person.
    let id = path.rsplit('/').next().expect("an id");
    let command = ["record", "show", "project", id];
    federation.coordination.cli(&command).await.expect(0);
    province.read("/api/v1/projects").await;
    let unseen = async || {
        let state = office.read(&path).await["_meta"]["delivery"]["state"].clone();
        seen(state == "delivered", || state.to_string())
    };
    never(Duration::from_secs(3), "it is seen", unseen).await;

    let mut events = office.listen("/api/v1/events").await;
    opened(&province, &path, 11).await;
    events.until(&format!(r#""seen":"{id}""#)).await;
    let read = comes_to(&office, &path, "seen").await;
    assert_eq!(read["seen_by"], json!(["Node coordination"]), "{read}");
    assert!(read["seen_at"].is_string(), "{read}");
    assert!(read["delivered_at"].is_string(), "{read}");

    let person = node.person("anna").await;
    for (language, words) in [
        ("it", "Visto da Node coordination il "),
        ("en", "Seen by Node coordination on "),
    ] {
        for page in [
            format!("/records/{id}?lang={language}"),
            format!("/?lang={language}"),
        ] {
            let text = person.get(&page).await.expect(200).text();
            assert!(text.contains(words), "{page}: {text}");
        }
    }

    edited(&office, &path, 12).await;
    let after = comes_to(&office, &path, "delivered").await;
    assert_eq!(after["seen_by"], json!([]), "{after}");
    opened(&province, &path, 12).await;
    comes_to(&office, &path, "seen").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_opened_behind_a_cut_is_told_after_both_sides_have_restarted() {
    let mut federation = Federation::joined(PROGRAM, 1, &[]).await;
    let path = made(&federation.districts[0].node.http(), 1).await;
    edited(&federation.districts[0].node.http(), &path, 11).await;
    comes_to(&federation.districts[0].node.http(), &path, "delivered").await;
    federation.districts[0].relay.cut();
    opened(&federation.coordination.http(), &path, 11).await;
    federation.coordination.stop().await;
    federation.districts[0].node.stop().await;
    federation.start().await;
    let office = federation.districts[0].node.http();
    let kept = delivery(&office.read(&path).await);
    assert_eq!(kept["state"], "delivered", "nothing came through: {kept}");
    federation.districts[0].relay.heal();
    let read = comes_to(&office, &path, "seen").await;

    // And what came is kept: nobody tells it twice.
    federation.districts[0].relay.cut();
    federation.districts[0].node.stop().await;
    federation.districts[0].node.start().await;
    let office = federation.districts[0].node.http();
    assert_eq!(delivery(&office.read(&path).await), read);
    edited(&office, &path, 12).await;
    let link = federation.link(0).await;
    assert_eq!(link["to_send"], 1, "{link}");
    assert!(link["queued_since"].is_string(), "{link}");
}

/// A document's id from its address.
fn document(path: &str) -> [u8; 16] {
    let id = path.rsplit('/').next().expect("a path ends with an id");
    *DocumentId::parse(id).expect("an id").as_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_claims_to_have_seen_what_it_does_not_hold_is_not_believed() {
    let mut federation = Federation::joined(PROGRAM, 2, &[]).await;
    let province = federation.coordination.http();
    let theirs = made(&federation.districts[1].node.http(), 1).await;
    comes_to(&federation.districts[1].node.http(), &theirs, "delivered").await;
    let held = created(&province, "guidelines", &guideline("Prima")).await;
    comes_to(&province, &held, "delivered").await;
    federation.districts[0].node.stop().await;
    let never_sent = created(&province, "guidelines", &guideline("Seconda")).await;
    let status = federation.coordination.status().await;
    let text = |name: &str| status["node"][name].as_str().expect("a text").to_owned();
    let listen: SocketAddr = text("listen").parse().expect("an address");
    let peer: PeerId = text("id").parse().expect("an id");
    let seed = seed_of(&federation.districts[0].node.data);
    // Every number there is: among them the true one of the guideline that it holds.
    for seq in 1..=ENTRIES_MAX {
        let claim = |path: &str| Seen {
            document: document(path),
            seq,
            at_ms: 1,
        };
        let mut claims = vec![claim(&theirs), claim(&held), claim(&never_sent)];
        claims.sort_by_key(|claim| claim.document);
        let ghost = Stranger::claiming(seed, claims);
        let confirmed = eventually("the claim is answered", async || {
            seen(ghost.was_confirmed(), || "not yet".to_owned())
        });
        tokio::select! { () = confirmed => {} reason = ghost.dial(listen, peer) => panic!("{reason}") }
    }
    let believed = delivery(&province.read(&held).await);
    assert_eq!(believed["state"], "seen", "{believed}");
    let ignored = delivery(&province.read(&never_sent).await);
    assert_eq!(ignored["seen_by"], json!([]), "{ignored}");
    let link = federation.peer(0).await;
    assert_eq!(link["seen_ignored"], 3 * ENTRIES_MAX - 1, "{link}");
}

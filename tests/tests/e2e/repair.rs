//! What a disk loses comes back from the other node, which proves that it is the same.

use std::path::Path;

use raccordo_node::store::{Batch, Options, Store, StoreEngine, Table};
use raccordo_tests::eventually::{eventually, seen};
use raccordo_tests::federation::Federation;
use raccordo_tests::invariants::{districts_and_coordination_come_to_hold_the_same, every_record};
use raccordo_tests::workload::Workload;
use serde_json::Value;

use crate::PROGRAM;

/// A coordination and a district with twenty records, both stopped; and what both hold.
async fn settled(proof_every_s: &str) -> (Federation, Vec<Value>) {
    let proof = [("replication", "proof_every_s", proof_every_s)];
    let mut federation = Federation::joined(PROGRAM, 1, &proof).await;
    federation.districts[0]
        .node
        .set("replication", "proof_every_s", proof_every_s);
    let work = Workload {
        district: 'A',
        seed: 5,
        records: 20,
        edits: 2,
    };
    let local = federation.districts[0].node.local();
    local.import(&work.text()).await.expect("answered");
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    let held = every_record(&federation.coordination.local(), "frosinone/a").await;
    assert_eq!(held.len(), 20);
    federation.districts[0].node.stop().await;
    federation.coordination.stop().await;
    (federation, held)
}

/// What stands under the first document, by its tables, is taken away or written over.
fn damage(data: &Path, tables: &[Table], garbage: Option<&[u8]>) -> usize {
    let engine = match std::env::var("RACCORDO_E2E_STORE").as_deref() {
        Ok("redb") => StoreEngine::Redb,
        _ => StoreEngine::Sled,
    };
    let options = Options {
        engine,
        ..Options::default()
    };
    let store =
        Store::open(&data.join("store"), &options).expect("a node that ended leaves its store");
    let (id, _) = store
        .scan(Table::Documents, &[], None, 1)
        .expect("a store that reads")
        .remove(0);
    let mut batch = Batch::new();
    for table in tables {
        for (key, _) in store
            .scan(*table, &id, None, 1_000)
            .expect("a store that reads")
        {
            match garbage {
                Some(garbage) => batch.put(*table, key, garbage),
                None => batch.delete(*table, key),
            }
        }
    }
    let rows = batch.len();
    store.commit(batch).expect("a store that takes commits");
    rows
}

/// Returns when a node holds these records, and the link says that both hold the same.
async fn comes_back(federation: &Federation, coordination: bool, held: &[Value]) {
    let node = if coordination {
        &federation.coordination
    } else {
        &federation.districts[0].node
    };
    eventually("the document comes back", async || {
        let list = node.local().look("/api/v1/projects?limit=500").await?;
        for record in list["items"].as_array().into_iter().flatten() {
            let id = record["_meta"]["id"].as_str().unwrap_or_default();
            node.local().look(&format!("/api/v1/projects/{id}")).await?;
        }
        seen(
            list["items"].as_array().map_or(0, Vec::len) == held.len(),
            || list.to_string(),
        )
    })
    .await;
    districts_and_coordination_come_to_hold_the_same(federation).await;
    let now = every_record(&federation.coordination.local(), "frosinone/a").await;
    assert_eq!(now, held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_damaged_at_the_coordination_is_never_served_and_comes_back_from_the_district() {
    let (mut federation, held) = settled("10").await;
    let rows = damage(
        &federation.coordination.data,
        &[Table::Changes],
        Some(b"rot"),
    );
    assert!(rows > 0);
    federation.start_coordination().await;
    let local = federation.coordination.local();
    let mut refused = 0;
    for record in &held {
        let id = record["_meta"]["id"].as_str().expect("an id");
        let answer = local.get(&format!("/api/v1/projects/{id}")).await;
        if answer.status == 503 {
            answer.refused(503, "damaged");
            refused += 1;
        }
    }
    assert_eq!(refused, 1);
    federation.districts[0].node.start().await;
    federation.connected(0).await;
    comes_back(&federation, true, &held).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_damaged_at_the_district_comes_back_from_the_coordination() {
    let (mut federation, held) = settled("10").await;
    let rows = damage(
        &federation.districts[0].node.data,
        &[Table::Changes],
        Some(b"rot"),
    );
    assert!(rows > 0);
    federation.start().await;
    federation.connected(0).await;
    comes_back(&federation, false, &held).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_lost_without_a_trace_is_found_by_the_next_proof() {
    let (mut federation, held) = settled("10").await;
    let tables = [Table::Documents, Table::Changes, Table::Keys];
    let rows = damage(&federation.coordination.data, &tables, None);
    assert!(rows >= 3, "{rows}");
    federation.start().await;
    federation.connected(0).await;
    comes_back(&federation, true, &held).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_can_ask_either_node_for_the_proof() {
    let (mut federation, held) = settled("86400").await;
    let tables = [Table::Documents, Table::Changes, Table::Keys];
    damage(&federation.coordination.data, &tables, None);
    federation.start().await;
    federation.connected(0).await;
    let district = federation.districts[0].node.id().await;
    let asked = federation
        .coordination
        .cli(&["peer", "verify", &district])
        .await;
    assert_eq!(asked.code, 0, "{asked}");
    comes_back(&federation, true, &held).await;
    damage_running(&mut federation).await;
    let coordination = federation.coordination.id().await;
    let asked = federation.districts[0]
        .node
        .cli(&["peer", "verify", &coordination])
        .await;
    assert_eq!(asked.code, 0, "{asked}");
    comes_back(&federation, true, &held).await;
}

/// The coordination loses a document between an end and a start.
async fn damage_running(federation: &mut Federation) {
    federation.coordination.stop().await;
    let tables = [Table::Documents, Table::Changes, Table::Keys];
    damage(&federation.coordination.data, &tables, None);
    federation.start_coordination().await;
    federation.connected(0).await;
}

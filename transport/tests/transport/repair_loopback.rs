//! Repair over real sockets: keyed by the connection, on a stream that entries overtake.

use raccordo_transport::LinkEvent;

use crate::nodes::{Node, friends, reason};
use crate::support::body;

fn document(number: u64) -> [u8; 16] {
    body(number, 16).try_into().unwrap()
}

fn fill(node: &Node, numbers: std::ops::Range<u64>, bytes: usize) {
    let mut memory = node.host.memory.lock().unwrap();
    for number in numbers {
        let save = body(number, bytes);
        memory.documents.insert(document(number), save);
    }
}

fn same_documents(one: &Node, other: &Node) -> bool {
    let one = one.host.memory.lock().unwrap();
    one.documents == other.host.memory.lock().unwrap().documents
}

async fn repaired(node: &Node) -> usize {
    node.until("a repair", |_, events| {
        events.iter().find_map(|(_, event)| match event {
            LinkEvent::Repaired { documents } => Some(*documents),
            _ => None,
        })
    })
    .await
}

async fn reconciled(node: &Node) -> (usize, usize, u32) {
    node.until("a reconciliation", |_, events| {
        events.iter().find_map(|(_, event)| match event {
            LinkEvent::Reconciled {
                items,
                differing,
                rounds,
                bytes,
            } => {
                assert!(*bytes > 0);
                Some((*items, *differing, *rounds))
            }
            _ => None,
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_that_differ_on_both_sides_are_found_and_exchanged() {
    let (district, coordination) = friends();
    fill(&district, 0..5_000, 40);
    fill(&coordination, 3..5_003, 40);
    let link = district.dial(&coordination);
    assert_eq!(repaired(&district).await, 3);
    assert_eq!(repaired(&coordination).await, 3);
    assert!(same_documents(&district, &coordination));
    let (items, differing, rounds) = reconciled(&district).await;
    assert_eq!((items, differing), (5_000, 6));
    assert!(rounds <= 3, "{rounds}");
    assert_eq!(reconciled(&coordination).await, (items, differing, rounds));
    district.endpoint.shutdown().await;
    reason(link).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_does_not_wait_behind_documents_that_are_not_taken() {
    let (district, coordination) = friends();
    fill(&coordination, 0..400, 60_000);
    let unbounded = &district.host.installations;
    unbounded.forget_permits(1_000);
    let link = district.dial(&coordination);
    reconciled(&coordination).await;
    unbounded.add_permits(1);
    district
        .until("the first documents", |memory, _| {
            (!memory.documents.is_empty()).then_some(())
        })
        .await;
    for number in 1..=50 {
        coordination.write(1);
        coordination.acked(number).await;
    }
    assert!(!same_documents(&district, &coordination));
    unbounded.add_permits(1_000);
    assert_eq!(repaired(&district).await, 400);
    assert!(same_documents(&district, &coordination));
    link.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_that_was_cut_goes_on_where_it_was() {
    let (district, coordination) = friends();
    fill(&coordination, 0..400, 60_000);
    district.host.installations.forget_permits(998);
    let link = district.dial(&coordination);
    let first = district
        .until("some documents", |memory, _| {
            (memory.documents.len() >= 30).then_some(memory.documents.len())
        })
        .await;
    assert!(first < 400);
    link.abort();
    coordination.closed().await;
    district.forget_events();
    coordination.forget_events();
    district.host.installations.add_permits(1_000);
    let here = district.host.memory.lock().unwrap().documents.len();
    let link = district.dial(&coordination);
    assert_eq!(repaired(&district).await, 400 - here);
    assert!(same_documents(&district, &coordination));
    link.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proof_can_be_asked_for_from_either_side() {
    let (district, coordination) = friends();
    fill(&district, 0..1_000, 40);
    fill(&coordination, 0..1_000, 40);
    assert!(!district.endpoint.verify(&coordination.id));
    let link = district.dial(&coordination);
    coordination.connected().await;
    for node in [&coordination, &district] {
        let peer = [&district, &coordination][usize::from(node.id == district.id)];
        district.forget_events();
        assert!(node.endpoint.verify(&peer.id));
        assert_eq!(reconciled(&district).await, (1_000, 0, 1));
    }
    link.abort();
}

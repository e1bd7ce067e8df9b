//! Repair inside a session, on virtual time: when it begins, what it costs, what it survives.

use raccordo_transport::session::{PING_INTERVAL_MS, Report};
use raccordo_transport::wire::kind;
use raccordo_transport::wire::repair::encode_want;
use raccordo_transport::{CloseReason, Standing};

use crate::pair::{LATENCY_MS, Pair};
use crate::support::{Memory, body};

/// Both approved, both with the same documents.
fn with_documents(count: u64, bytes: usize) -> Pair {
    let (mut district, mut coordination) = (Memory::new(1, 0), Memory::new(2, 1));
    district.know(&coordination.id(), Standing::Approved);
    coordination.know(&district.id(), Standing::Approved);
    for number in 0..count {
        let save = body(number, bytes);
        district.documents.insert(document(number), save.clone());
        coordination.documents.insert(document(number), save);
    }
    Pair::new(district, coordination)
}

fn document(number: u64) -> [u8; 16] {
    body(number, 16).try_into().unwrap()
}

fn same_documents(pair: &Pair) -> bool {
    pair.ends[0].node.documents == pair.ends[1].node.documents
}

fn reconciled(pair: &Pair, side: usize) -> Vec<(usize, usize)> {
    pair.ends[side]
        .reports
        .iter()
        .filter_map(|report| match report {
            Report::Reconciled {
                differing, bytes, ..
            } => Some((*differing, *bytes)),
            _ => None,
        })
        .collect()
}

fn repaired(pair: &Pair, side: usize) -> Vec<usize> {
    pair.ends[side]
        .reports
        .iter()
        .filter_map(|report| match report {
            Report::Repaired { documents } => Some(*documents),
            _ => None,
        })
        .collect()
}

#[test]
fn one_document_lost_silently_among_many_is_found_by_the_hellos_and_comes_back() {
    let mut pair = with_documents(20_000, 40);
    pair.ends[1].node.documents.remove(&document(77));
    pair.connect();
    pair.run(PING_INTERVAL_MS + 1_000);
    assert!(same_documents(&pair));
    assert_eq!(pair.ends[1].compared(), [false, true]);
    assert_eq!(pair.ends[0].compared(), [false, true]);
    assert_eq!(repaired(&pair, 1), [1]);
    assert_eq!(repaired(&pair, 0), [0_usize; 0]);
    let [(1, bytes)] = reconciled(&pair, 0)[..] else {
        panic!("one run was due: {:?}", reconciled(&pair, 0));
    };
    assert!(bytes <= 2_500, "{bytes}");
}

#[test]
fn a_run_waits_until_the_logs_are_level() {
    let mut pair = with_documents(100, 40);
    pair.ends[1].node.documents.remove(&document(77));
    pair.ends[0].node.author.write_many(5_000);
    pair.ends[1].reading_stopped = true;
    pair.connect();
    pair.run(2_000);
    assert_eq!(reconciled(&pair, 0), []);
    pair.ends[1].reading_stopped = false;
    pair.run(PING_INTERVAL_MS);
    assert_eq!(reconciled(&pair, 0).len(), 1);
    assert!(same_documents(&pair));
}

#[test]
fn an_edit_overtakes_documents_on_their_way() {
    let mut pair = with_documents(3_000, 2_000);
    pair.ends[1].node.documents.clear();
    pair.connect();
    pair.run(200);
    assert!(!same_documents(&pair));
    pair.ends[1].backfill_stopped = true;
    for number in 1..=20 {
        pair.ends[0].node.author.write_many(1);
        pair.tick(0);
        pair.run(2 * LATENCY_MS);
        assert_eq!(pair.ends[0].acked(), number);
    }
    assert!(!same_documents(&pair));
    pair.ends[1].backfill_stopped = false;
    pair.run(20_000);
    assert!(same_documents(&pair));
    assert_eq!(repaired(&pair, 1), [3_000]);
}

#[test]
fn a_cut_costs_only_what_was_under_way() {
    let mut pair = with_documents(3_000, 2_000);
    pair.ends[1].node.documents.clear();
    pair.connect();
    pair.run(250);
    let before = pair.ends[1].node.documents.len();
    assert!((1..3_000).contains(&before), "{before}");
    pair.connect();
    pair.run(20_000);
    assert!(same_documents(&pair));
    assert_eq!(repaired(&pair, 1), [3_000 - before]);
    assert_eq!(pair.ends[0].parcels_read, 3_000 - before);
}

#[test]
fn a_damaged_document_comes_from_the_peer_at_once() {
    let mut pair = with_documents(100, 40);
    pair.connect();
    pair.run(1_000);
    let lost = document(5);
    pair.ends[0].node.documents.remove(&lost);
    pair.ends[0].node.wanted = vec![lost];
    pair.tick(0);
    pair.run(4 * LATENCY_MS);
    assert!(same_documents(&pair));
    assert_eq!(pair.ends[0].node.wanted, [[0; 16]; 0]);
    assert_eq!(repaired(&pair, 0), [1]);
    pair.run(2_000);
    assert_eq!(reconciled(&pair, 0), [(0, 26)], "the proof that it was all");
}

#[test]
fn nothing_differing_costs_nothing_until_the_proof_is_due() {
    let mut pair = with_documents(1_000, 40);
    pair.connect();
    pair.run(299_000);
    assert_eq!(reconciled(&pair, 0), []);
    pair.run(11_000);
    assert_eq!(reconciled(&pair, 0), [(0, 26)]);
    assert_eq!(reconciled(&pair, 1), [(0, 26)]);
    assert_eq!(pair.ends[0].closed, None);
}

#[test]
fn a_want_before_approval_breaks_the_protocol() {
    let mut pair = with_documents(10, 40);
    let district = pair.ends[0].node.id();
    pair.ends[1].node.know(&district, Standing::Pending);
    pair.connect();
    pair.run(100);
    pair.forge_control(1, encode_want(&[document(1)]));
    pair.run(100);
    assert!(matches!(
        pair.ends[1].closed,
        Some(CloseReason::Protocol { .. })
    ));
    assert_eq!(pair.ends[1].parcels_read, 0);
}

#[test]
fn a_reconciliation_that_breaks_its_rules_ends_the_link_and_says_why() {
    for body in [&[1, 9][..], &[1, 1, 0, 1], &[0, 0], &[]] {
        let mut pair = with_documents(10, 40);
        pair.connect();
        pair.run(100);
        let bytes = raccordo_transport::wire::frame::encode(kind::RECON, body);
        pair.forge_control(0, bytes);
        pair.run(100);
        assert!(
            matches!(pair.ends[0].closed, Some(CloseReason::Protocol { .. })),
            "{body:?}: {:?}",
            pair.ends[0].closed
        );
        assert_eq!(pair.ends[1].closed, pair.ends[0].closed);
    }
}

//! The audit log: its chain holds, and says where it does not.

use super::*;
use crate::clock::draw;
use crate::engine::audit;
use crate::engine::observed::{Observations, Observed};
use crate::store::{Batch, Table};

fn reading(number: i64) -> Observed {
    Observed {
        who: "anna".to_owned(),
        action: "read",
        what: format!("{number:032x}"),
        detail: String::new(),
        at_ms: number,
    }
}

/// A node with so many readings in its log.
fn with(readings: i64) -> Bench {
    let bench = Bench::coordination(&[]);
    let mut observed = Observations::default();
    (0..readings).for_each(|number| observed.push(0, reading(number)));
    assert!(observed.is_due(0, true));
    observed.commit(&bench.core);
    assert!(
        !observed.is_due(u64::MAX, true),
        "what is written waits no more"
    );
    bench
}

fn put(bench: &Bench, seq: u64, row: Option<Vec<u8>>) {
    let mut batch = Batch::new();
    match row {
        Some(row) => batch.put(Table::Audit, seq.to_be_bytes(), row),
        None => batch.delete(Table::Audit, seq.to_be_bytes()),
    }
    bench.core.store.commit(batch).unwrap();
}

fn row(bench: &Bench, seq: u64) -> Vec<u8> {
    let row = bench.core.store.get(Table::Audit, &seq.to_be_bytes());
    row.unwrap().unwrap()
}

#[test]
fn a_whole_chain_is_found_whole_also_over_many_rows_and_after_a_start() {
    let bench = with(2_500);
    let verdict = audit::verify(&bench.core).unwrap();
    assert_eq!((verdict.events, verdict.broken), (2_500, None));
    let bench = Bench::open(bench.stop());
    assert_eq!(audit::verify(&bench.core).unwrap().broken, None);
}

#[test]
fn an_event_that_is_changed_removed_exchanged_or_cut_off_is_named() {
    let broken = |bench: &Bench| {
        audit::verify(&bench.core)
            .unwrap()
            .broken
            .map(|(seq, _)| seq)
    };
    for place in [0, 31, 32, 40, 60] {
        let bench = with(10);
        let mut changed = row(&bench, 5);
        changed[place] ^= 1;
        put(&bench, 5, Some(changed));
        assert_eq!(broken(&bench), Some(5), "byte {place}");
    }
    let bench = with(10);
    put(&bench, 3, None);
    assert_eq!(broken(&bench), Some(3), "removed");
    let bench = with(10);
    let (four, five) = (row(&bench, 4), row(&bench, 5));
    put(&bench, 4, Some(five));
    put(&bench, 5, Some(four));
    assert_eq!(broken(&bench), Some(4), "exchanged");
    let bench = with(10);
    put(&bench, 10, None);
    assert_eq!(broken(&bench), Some(10), "cut off");
}

#[test]
fn the_newest_events_come_first_page_by_page_and_those_of_a_record_alone() {
    let bench = with(2_100);
    let page = audit::newest(&bench.core, None, None, 3).unwrap();
    assert_eq!(
        page.iter().map(|one| one.seq).collect::<Vec<_>>(),
        [2_100, 2_099, 2_098]
    );
    let next = audit::newest(&bench.core, None, Some(2_098), 2).unwrap();
    assert_eq!(
        next.iter().map(|one| one.seq).collect::<Vec<_>>(),
        [2_097, 2_096]
    );
    let oldest = format!("{:032x}", 0);
    let found = audit::newest(&bench.core, Some(&oldest), None, 10).unwrap();
    assert_eq!((found.len(), found[0].seq), (1, 1));
    assert_eq!(found[0].event["who"], "anna");
    let drawn: [u8; 4] = draw(&*bench.core.entropy);
    let unknown = format!("{:032x}", u64::from(u32::from_be_bytes(drawn)) + 10_000);
    assert!(
        audit::newest(&bench.core, Some(&unknown), None, 10)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn the_events_of_a_record_are_found_by_the_index_and_before_it_without() {
    let bench = with(1_500);
    let mut observed = Observations::default();
    (0..3).for_each(|_| observed.push(0, reading(7)));
    observed.commit(&bench.core);
    let of = |bench: &Bench, below, limit| {
        let record = format!("{:032x}", 7);
        let found = audit::newest(&bench.core, Some(&record), below, limit).unwrap();
        found.iter().map(|one| one.seq).collect::<Vec<_>>()
    };
    assert_eq!(of(&bench, None, 10), [1_503, 1_502, 1_501, 8]);
    assert_eq!(of(&bench, None, 2), [1_503, 1_502]);
    assert_eq!(of(&bench, Some(1_502), 10), [1_501, 8]);
    // A log that is older than the index: what that knows is found there, the rest by reading.
    let mut batch = Batch::new();
    batch.put(Table::Meta, *b"audit-indexed-from", 1_502_u64.to_be_bytes());
    bench.core.store.commit(batch).unwrap();
    let bench = Bench::open(bench.stop());
    assert_eq!(of(&bench, None, 10), [1_503, 1_502, 1_501, 8]);
    assert_eq!(of(&bench, Some(1_502), 10), [1_501, 8]);
    assert_eq!(of(&bench, Some(9), 10), [8]);
}

#[test]
fn readings_wait_a_second_or_for_sixty_four_of_them() {
    let mut observed = Observations::default();
    assert_eq!(observed.patience_ms(), None);
    observed.push(1_000, reading(1));
    assert!(!observed.is_due(1_999, false) && observed.is_due(2_000, false));
    assert!(
        observed.is_due(1_001, true),
        "the end of the node waits for nothing"
    );
    assert!(observed.patience_ms().is_some());
    (2..=64).for_each(|number| observed.push(1_001, reading(number)));
    assert!(observed.is_due(1_001, false));
}

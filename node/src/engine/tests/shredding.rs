//! Keys wrapped anew while the node serves: when, and whatever it is killed at.

use std::sync::atomic::AtomicBool;

use super::super::shredding::Shredding;
use super::super::task::Done;
use super::super::{erasures, local, tombstone};
use super::recovery::Office;
use super::*;
use crate::clock::Clock;
use crate::store::{Batch, MemoryDisk, Moment, Store, Table, Unsynced};

/// More than one commit wraps.
const MANY: u128 = 1_500;

#[derive(Debug, Default)]
struct Hands(AtomicU64);

impl Clock for Hands {
    fn unix_millis(&self) -> i64 {
        1_780_000_000_000 + self.0.load(Ordering::Relaxed).cast_signed()
    }
    fn monotonic_millis(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Hands {
    fn pass(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

fn made(bench: &Bench, reference: &str) -> DocumentId {
    let fields = json!({"ref": reference, "state": "planning", "need_area": "POV",
        "opened_on": "2026-03-04", "subject": {"kind": "person"}});
    let mut draft = Draft::new(&bench.core);
    let done = local::create(&mut draft, Kind::Project, &fields, "op-1").unwrap();
    commit::commit(draft).unwrap();
    match done {
        Done::Record(id) => id,
        other => panic!("no record: {other:?}"),
    }
}

fn erase(bench: &Bench, id: DocumentId) {
    let mut draft = Draft::new(&bench.core);
    tombstone::erase(&mut draft, Kind::Project, id, "su richiesta", "op-1").unwrap();
    commit::commit(draft).unwrap();
}

fn wrapped(bench: &Bench, id: DocumentId) -> Vec<u8> {
    let row = bench.core.store.get(Table::Keys, id.as_bytes()).unwrap();
    row.unwrap()
}

/// Keys of so many documents more.
fn many_keys(bench: &Bench) {
    let mut batch = Batch::new();
    for number in 0..MANY {
        let id = number.to_be_bytes();
        let (_, wrapped) = bench.core.vault.new_document_key(id, &SystemEntropy);
        batch.put(Table::Keys, id, wrapped);
    }
    bench.core.store.commit(batch).unwrap();
}

/// Does all that is due now.
fn settle(shredding: &mut Shredding, bench: &Bench) {
    shredding.drive(&bench.core);
    while shredding.patience_ms(&bench.core) == Some(0) {
        shredding.drive(&bench.core);
    }
}

fn is_open(bench: &Bench, id: DocumentId, wrapped: &[u8]) -> bool {
    bench.core.vault.unwrap(*id.as_bytes(), wrapped).is_ok()
}

#[test]
fn keys_are_wrapped_anew_soon_after_the_last_erasure_and_the_certificate_waits_for_it() {
    let office = Office::new();
    let hands = Arc::new(Hands::default());
    let bench = office.start_by(&office.disk, Arc::clone(&hands) as Arc<dyn Clock>);
    let mut shredding = Shredding::default();
    let (kept, one, two) = (made(&bench, "1"), made(&bench, "2"), made(&bench, "3"));
    let (old_of_kept, old) = (wrapped(&bench, kept), wrapped(&bench, one));
    settle(&mut shredding, &bench);
    assert_eq!(shredding.patience_ms(&bench.core), None, "nothing is due");
    erase(&bench, one);
    settle(&mut shredding, &bench);
    let certificate = || erasures::certificate(&bench.core, &one.to_string()).unwrap();
    assert!(!certificate().complete && !certificate().keys_replaced);
    assert!(certificate().text.contains("NOT COMPLETE"));
    hands.pass(4_000);
    erase(&bench, two);
    settle(&mut shredding, &bench);
    hands.pass(4_000);
    settle(&mut shredding, &bench);
    assert!(is_open(&bench, one, &old), "more may be erased");
    hands.pass(1_000);
    settle(&mut shredding, &bench);
    assert!(!is_open(&bench, one, &old) && !is_open(&bench, kept, &old_of_kept));
    assert_eq!(office.key_files()[0], "epoch-0002.key");
    assert!(certificate().complete, "{}", certificate().text);
    bench.core.forget(kept);
    assert!(bench.core.look(kept).unwrap().is_some());
    assert!(bench.core.look(made(&bench, "4")).unwrap().is_some());
    assert_eq!(shredding.patience_ms(&bench.core), None);
}

#[test]
fn what_is_erased_again_and_again_waits_a_day_at_most() {
    let office = Office::new();
    let hands = Arc::new(Hands::default());
    let bench = office.start_by(&office.disk, Arc::clone(&hands) as Arc<dyn Clock>);
    let mut shredding = Shredding::default();
    let first = made(&bench, "1");
    let old = wrapped(&bench, first);
    erase(&bench, first);
    settle(&mut shredding, &bench);
    // Noted again every four seconds, as if something were erased each time.
    for _ in 0..24 * 900 {
        let ledger = bench.core.ledger();
        let mut again = super::super::ledger::Ledger::clone(&ledger);
        again.unshredded = Arc::new(again.unshredded.as_ref().clone());
        bench.core.publish(again);
        settle(&mut shredding, &bench);
        assert!(is_open(&bench, first, &old));
        hands.pass(4_000);
    }
    settle(&mut shredding, &bench);
    assert!(!is_open(&bench, first, &old));
}

#[test]
fn what_is_erased_while_keys_are_wrapped_waits_for_the_next_time() {
    let office = Office::new();
    let hands = Arc::new(Hands::default());
    let bench = office.start_by(&office.disk, Arc::clone(&hands) as Arc<dyn Clock>);
    many_keys(&bench);
    let mut shredding = Shredding::default();
    let (one, two) = (made(&bench, "1"), made(&bench, "2"));
    erase(&bench, one);
    shredding.drive(&bench.core);
    hands.pass(5_000);
    // The new epoch, and the first keys.
    shredding.drive(&bench.core);
    shredding.drive(&bench.core);
    let old = wrapped(&bench, two);
    erase(&bench, two);
    settle(&mut shredding, &bench);
    let due = Arc::clone(&bench.core.ledger().unshredded);
    assert_eq!(due.iter().collect::<Vec<_>>(), [&two]);
    hands.pass(5_000);
    settle(&mut shredding, &bench);
    assert!(bench.core.ledger().unshredded.is_empty());
    assert!(!is_open(&bench, two, &old));
}

#[test]
fn whatever_it_is_killed_at_no_key_is_lost_and_the_old_ones_are_gone_after_the_next_time() {
    for commits in 0..3 {
        for moment in Moment::ALL {
            for unsynced in [Unsynced::Lost, Unsynced::Kept, Unsynced::Torn] {
                killed(commits, moment, unsynced);
            }
        }
    }
}

/// Killed at a moment of the commit after so many.
fn killed(commits: usize, moment: Moment, unsynced: Unsynced) {
    let office = Office::new();
    let hands = Arc::new(Hands::default());
    let start = |disk: &MemoryDisk| office.start_by(disk, Arc::clone(&hands) as Arc<dyn Clock>);
    let bench = start(&office.disk);
    many_keys(&bench);
    let (kept, erased) = (made(&bench, "1"), made(&bench, "2"));
    let old = wrapped(&bench, erased);
    erase(&bench, erased);
    let mut shredding = Shredding::default();
    shredding.drive(&bench.core);
    hands.pass(5_000);
    // Beginning and destroying are no commits.
    let steps = [1, 2, 4][commits];
    for _ in 0..steps {
        shredding.drive(&bench.core);
    }
    office.disk.cut_power_at(moment);
    shredding.drive(&bench.core);
    drop(bench);

    let disk = office.disk.after_power_cut(unsynced);
    let bench = start(&disk);
    let case = format!("{commits} commits, {moment:?}, {unsynced:?}");
    assert!(bench.core.look(kept).unwrap().is_some(), "{case}");
    let mut shredding = Shredding::default();
    shredding.drive(&bench.core);
    hands.pass(5_000);
    settle(&mut shredding, &bench);
    assert!(bench.core.ledger().unshredded.is_empty(), "{case}");
    assert!(!is_open(&bench, erased, &old), "{case}");
    let keys = bench.core.store.scan(Table::Keys, &[], None, usize::MAX);
    for (id, wrapped) in keys.unwrap() {
        let id = DocumentId::from_bytes(id.try_into().unwrap());
        assert!(is_open(&bench, id, &wrapped), "{case}: {id}");
    }
    let epochs = office.key_files();
    let epochs = epochs.iter().filter(|name| name.starts_with("epoch-"));
    assert_eq!(epochs.count(), 1, "{case}");
    drop(bench);
    let store = Store::on_memory_disk(&disk, 0).unwrap();
    drop(store);
    let bench = start(&disk);
    assert!(bench.core.look(kept).unwrap().is_some(), "{case}");
}

#[test]
fn who_reads_while_keys_are_wrapped_anew_finds_every_key() {
    let office = Office::new();
    let hands = Arc::new(Hands::default());
    let bench = office.start_by(&office.disk, Arc::clone(&hands) as Arc<dyn Clock>);
    let kept = made(&bench, "0");
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0_u32;
            while !ended.load(Ordering::Acquire) || reads == 0 {
                bench.core.document_key(kept).unwrap();
                reads += 1;
            }
        });
        let mut shredding = Shredding::default();
        for number in 1..60 {
            let id = made(&bench, &number.to_string());
            erase(&bench, id);
            shredding.drive(&bench.core);
            hands.pass(3_600_000);
            settle(&mut shredding, &bench);
            assert!(bench.core.ledger().unshredded.is_empty());
        }
        ended.store(true, Ordering::Release);
        reader.join().unwrap();
    });
}

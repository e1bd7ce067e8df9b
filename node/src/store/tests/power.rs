//! Power cuts, failing flushes and full disks, on the disk in memory.

use super::model::{assert_equals_replay, batch_number};
use super::*;
use crate::store::{Batch, Condition, Moment, StoreFailed, Table, Unsynced};

const UNSYNCED: [Unsynced; 3] = [Unsynced::Lost, Unsynced::Kept, Unsynced::Torn];

#[test]
fn a_power_cut_at_any_moment_keeps_all_that_was_acknowledged_and_no_half() {
    for before in [0, 1, 2, 7] {
        for moment in Moment::ALL {
            for unsynced in UNSYNCED {
                let disk = MemoryDisk::new();
                let store = Store::on_memory_disk(&disk, 0).unwrap();
                for n in 1..=before {
                    store.commit(batch_number(n)).unwrap();
                }
                disk.cut_power_at(moment);
                let cut = store.commit(batch_number(before + 1));
                assert!(matches!(cut, Err(StoreFailed::Write { .. })));
                let found = disk.after_power_cut(unsynced);
                let store = Store::on_memory_disk(&found, 0).unwrap();
                let last = store.last_seq();
                let case = format!("{before} {moment:?} {unsynced:?}");
                assert!(last == before || last == before + 1, "{case}");
                assert_eq!(store.condition(), Condition::Healthy, "{case}");
                assert_equals_replay(&store, last);
                store.commit(batch_number(last + 1)).unwrap();
                assert_equals_replay(&store, last + 1);
            }
        }
    }
}

#[test]
fn power_cuts_one_after_the_other_never_degrade_a_store() {
    let mut chance = model::Chance(11);
    let mut disk = MemoryDisk::new();
    let mut acknowledged = 0;
    for _ in 0..200 {
        let store = Store::on_memory_disk(&disk, 0).unwrap();
        assert_eq!(store.condition(), Condition::Healthy);
        assert!(store.last_seq() >= acknowledged);
        let last = store.last_seq();
        for n in last + 1..=last + chance.below(3) {
            acknowledged = store.commit(batch_number(n)).unwrap();
        }
        disk.cut_power_at(Moment::ALL[usize::try_from(chance.below(4)).unwrap()]);
        let next = store.last_seq() + 1;
        assert!(store.commit(batch_number(next)).is_err());
        disk = disk.after_power_cut(UNSYNCED[usize::try_from(chance.below(3)).unwrap()]);
    }
    let store = Store::on_memory_disk(&disk, 0).unwrap();
    assert_equals_replay(&store, store.last_seq());
}

#[test]
fn after_a_failed_flush_nothing_is_written_until_the_store_is_reopened() {
    let disk = MemoryDisk::new();
    let store = Store::on_memory_disk(&disk, 0).unwrap();
    store.commit(batch_number(1)).unwrap();
    disk.fail_flush(2);
    store.commit(batch_number(2)).unwrap();
    let failed = store.commit(batch_number(3)).unwrap_err();
    assert!(matches!(failed, StoreFailed::Write { .. }));
    let refused = store.commit(batch_number(3)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the store stopped writing after a failed commit (injected fault: flush failed): restart the node"
    );
    assert!(matches!(store.condition(), Condition::Poisoned { .. }));
    assert!(store.accept_loss().is_err());
    // What readers see is what is durable.
    assert_equals_replay(&store, 2);
    drop(store);
    let store = Store::on_memory_disk(&disk.after_power_cut(Unsynced::Lost), 0).unwrap();
    assert_equals_replay(&store, 2);
    store.commit(batch_number(3)).unwrap();
}

#[test]
fn the_reserve_is_refused_before_anything_is_written_and_freeing_space_heals() {
    let disk = MemoryDisk::new();
    let store = Store::on_memory_disk(&disk, 1000).unwrap();
    disk.set_free(Some(1005));
    let mut batch = Batch::new();
    batch.put(Table::Rows, *b"k", *b"12345");
    let refused = store.commit(batch.clone()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "1005 bytes free on disk, 1000 are to stay free: free some space"
    );
    assert_eq!(store.condition(), Condition::Healthy);
    assert_eq!(store.get(Table::Rows, b"k").unwrap(), None);
    disk.set_free(Some(1006));
    assert_eq!(store.commit(batch).unwrap(), 1);
}

#[test]
fn a_disk_that_fills_in_spite_of_the_reserve_stops_the_store_and_loses_nothing() {
    let disk = MemoryDisk::new();
    let store = Store::on_memory_disk(&disk, 0).unwrap();
    store.commit(batch_number(1)).unwrap();
    // Room for what the caller gave, not for what the store adds to it.
    disk.set_free(Some(batch_number(2).bytes() as u64));
    assert!(matches!(
        store.commit(batch_number(2)),
        Err(StoreFailed::Write { .. })
    ));
    assert!(matches!(
        store.commit(batch_number(2)),
        Err(StoreFailed::Poisoned { .. })
    ));
    disk.set_free(None);
    let store = Store::on_memory_disk(&disk, 0).unwrap();
    assert_equals_replay(&store, 1);
    store.commit(batch_number(2)).unwrap();
}

//! Rolled-back stores, flipped bits, cut-off files: found out, never served.

use std::fs;
use std::path::Path;

use super::model::{assert_equals_replay, batch_number};
use super::*;
use crate::store::{Batch, Condition, StoreFailed, Table, row};

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

fn commit_through(site: &Site, last: u64) {
    let store = site.open();
    for n in store.last_seq() + 1..=last {
        store.commit(batch_number(n)).unwrap();
    }
}

#[test]
fn an_old_copy_put_back_opens_read_only_and_says_what_is_missing() {
    for engine in [StoreEngine::Sled, StoreEngine::Redb] {
        let site = Site::new(Some(engine));
        let copy = site.folder.path().join("copy");
        commit_through(&site, 10);
        copy_folder(&site.path(), &copy);
        commit_through(&site, 15);
        fs::remove_dir_all(site.path()).unwrap();
        fs::rename(&copy, site.path()).unwrap();
        let store = site.open();
        assert_degraded(
            &store,
            "the store ends at commit 10, but commit 15 was acknowledged: 5 are missing",
        );
        assert_equals_replay(&store, 10);
        drop(store);
        // Not healed by opening it again.
        let store = site.open();
        assert!(matches!(store.condition(), Condition::Degraded { .. }));
        store.accept_loss().unwrap();
        store.commit(batch_number(11)).unwrap();
        drop(store);
        let store = site.open();
        assert_eq!(store.condition(), Condition::Healthy);
        assert_equals_replay(&store, 11);
    }
}

#[test]
fn a_removed_store_a_removed_mark_and_another_stores_mark_are_noticed() {
    for engine in [StoreEngine::Sled, StoreEngine::Redb] {
        let site = Site::new(Some(engine));
        let other = Site::new(Some(engine));
        commit_through(&site, 3);
        commit_through(&other, 3);
        let mark = site.folder.path().join("store.hwm");
        let kept = fs::read(&mark).unwrap();
        fs::remove_file(&mark).unwrap();
        assert_degraded(
            &site.open(),
            "the high-water mark is missing while the store holds 3 commits",
        );
        fs::copy(other.folder.path().join("store.hwm"), &mark).unwrap();
        assert_degraded(
            &site.open(),
            "the store is another one than its high-water mark belongs to",
        );
        fs::write(&mark, &kept).unwrap();
        assert_eq!(site.open().condition(), Condition::Healthy);
        fs::remove_dir_all(site.path()).unwrap();
        assert_degraded(
            &site.open(),
            "the store is another one than its high-water mark belongs to",
        );
    }
}

fn assert_degraded(store: &Store, reason: &str) {
    let reason = reason.to_owned();
    assert_eq!(
        store.condition(),
        Condition::Degraded {
            reason: reason.clone()
        }
    );
    let refused = store.commit(batch_number(1)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!("the store is read-only because it is damaged: {reason}")
    );
}

#[test]
fn an_old_state_in_memory_degrades_too() {
    let disk = MemoryDisk::new();
    let store = Store::on_memory_disk(&disk, 0).unwrap();
    store.commit(batch_number(1)).unwrap();
    let older = disk.copy();
    store.commit(batch_number(2)).unwrap();
    drop(store);
    disk.put_rows_back(&older);
    let store = Store::on_memory_disk(&disk, 0).unwrap();
    assert_degraded(
        &store,
        "the store ends at commit 1, but commit 2 was acknowledged: 1 are missing",
    );
}

#[test]
fn a_flipped_bit_is_named_with_table_and_key_and_never_served() {
    let disk = MemoryDisk::new();
    let store = Store::on_memory_disk(&disk, 0).unwrap();
    let mut batch = Batch::new();
    batch.put(Table::Rows, [0xAB, 1], *b"value");
    batch.put(Table::Documents, *b"long", vec![3; 100_000]);
    store.commit(batch).unwrap();
    let key = row::table_key(Table::Rows, &[0xAB, 1]);
    assert!(disk.flip_bit(&key, 20));
    let refused = store.get(Table::Rows, &[0xAB, 1]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "row ab01 of table rows is damaged: checksum does not match"
    );
    assert!(store.scan(Table::Rows, b"", None, 9).is_err());
    let chunk = row::chunk_key(Table::Documents, b"long", 1, 2);
    assert!(disk.flip_bit(&chunk, 99));
    let refused = store.get(Table::Documents, b"long").unwrap_err();
    assert!(matches!(
        refused,
        StoreFailed::Damaged {
            table: "documents",
            ..
        }
    ));
    let report = store.verify().unwrap();
    assert!(!report.is_sound());
    assert_eq!(report.damaged, 2);
    assert_eq!(report.damaged_rows[1].key, "ab01");
}

#[test]
fn a_damaged_chain_row_is_refused_at_opening() {
    let disk = MemoryDisk::new();
    Store::on_memory_disk(&disk, 0)
        .unwrap()
        .commit(batch_number(1))
        .unwrap();
    assert!(disk.flip_bit(&row::chain_key(), 9));
    let refused = Store::on_memory_disk(&disk, 0).unwrap_err();
    assert!(matches!(refused, OpenFailed::NoChain { .. }));
}

#[test]
fn damaged_engine_files_end_in_an_error_or_read_only_never_in_a_silent_loss() {
    for engine in [StoreEngine::Sled, StoreEngine::Redb] {
        let site = Site::new(Some(engine));
        commit_through(&site, 60);
        let file = match engine {
            StoreEngine::Sled => "sled/db",
            StoreEngine::Redb => "redb",
        };
        let whole = fs::read(site.path().join(file)).unwrap();
        let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
        let mut chance = model::Chance(5);
        for round in 0..24 {
            let mut damaged = whole.clone();
            match round % 3 {
                0 => {
                    let place = usize::try_from(chance.below(used as u64)).unwrap();
                    damaged[place] ^= 1 << chance.below(8);
                }
                1 => {
                    let place = usize::try_from(chance.below(used as u64)).unwrap();
                    let end = (place + 4096).min(damaged.len());
                    damaged[place..end].fill(0);
                }
                _ => {
                    damaged
                        .truncate(used - usize::try_from(chance.below(used as u64 / 4)).unwrap());
                }
            }
            let trial = tempfile::tempdir().unwrap();
            copy_folder(site.folder.path(), trial.path());
            fs::write(trial.path().join("store").join(file), damaged).unwrap();
            assert_not_silent(&trial.path().join("store"), engine, round);
        }
    }
}

fn assert_not_silent(path: &Path, engine: StoreEngine, round: u32) {
    let Ok(store) = Store::open(path, &options(engine)) else {
        return;
    };
    let report = store.verify();
    if store.condition() == Condition::Healthy && report.is_ok_and(|report| report.is_sound()) {
        eprintln!("round {round}: {engine} sound");
        assert_equals_replay(&store, 60);
    }
}

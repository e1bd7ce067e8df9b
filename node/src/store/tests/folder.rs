//! What only engines on disk can show: locks, formats, leftovers of crashes.

use std::fs;

use super::model::{assert_equals_replay, batch_number};
use super::*;
use crate::store::Condition;

const ENGINES: [StoreEngine; 2] = [StoreEngine::Sled, StoreEngine::Redb];

#[test]
fn a_second_opening_is_refused_and_names_the_process() {
    for engine in ENGINES {
        let site = Site::new(Some(engine));
        let store = site.open();
        let clone = store.clone();
        drop(store);
        let refused = site.try_open().unwrap_err();
        let process = std::process::id();
        assert_eq!(
            refused.to_string(),
            format!(
                "the store {} is in use by process {process}: stop it, or use another data folder",
                site.path().display()
            )
        );
        drop(clone);
        site.open();
    }
}

#[test]
fn another_engine_than_the_founding_one_is_refused_with_the_remedy() {
    for (founded, asked) in
        [ENGINES, [StoreEngine::Redb, StoreEngine::Sled]].map(|[one, two]| (one, two))
    {
        let site = Site::new(Some(founded));
        drop(site.open());
        let refused = Store::open(&site.path(), &options(asked)).unwrap_err();
        let text = refused.to_string();
        assert!(
            text.contains(&format!(
                "was founded with {founded}, {asked} was asked for"
            )),
            "{text}"
        );
        assert!(
            text.contains(&format!("`store.engine = \"{founded}\"`")),
            "{text}"
        );
    }
}

#[test]
fn an_unknown_format_is_refused() {
    let site = Site::new(Some(StoreEngine::Sled));
    drop(site.open());
    fs::write(site.path().join("format"), "raccordo-store 2 sled\n").unwrap();
    let refused = site.try_open().unwrap_err();
    assert!(
        matches!(refused, OpenFailed::UnknownFormat { .. }),
        "{refused}"
    );
}

#[test]
fn a_founding_cut_short_is_begun_again() {
    for engine in ENGINES {
        let site = Site::new(Some(engine));
        let draft = site.folder.path().join("store.tmp");
        fs::create_dir_all(draft.join("sled")).unwrap();
        fs::write(draft.join("redb"), "half a header").unwrap();
        fs::write(draft.join("sled/conf"), "half a").unwrap();
        let store = site.open();
        assert_eq!(store.condition(), Condition::Healthy);
        assert!(!draft.exists());
    }
}

#[test]
fn a_store_of_which_only_the_founding_got_through_has_no_mark_and_is_healthy() {
    for engine in ENGINES {
        let site = Site::new(Some(engine));
        drop(site.open());
        fs::remove_file(site.folder.path().join("store.hwm")).unwrap();
        assert_eq!(site.open().condition(), Condition::Healthy);
    }
}

#[test]
fn torn_and_damaged_snapshots_of_sled_cost_nothing() {
    let site = Site::new(Some(StoreEngine::Sled));
    for last in [30, 60] {
        let store = site.open();
        for n in store.last_seq() + 1..=last {
            store.commit(batch_number(n)).unwrap();
        }
    }
    let folder = site.path().join("sled");
    let snapshots = || {
        let entries = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        entries
            .filter(|path| {
                path.file_name()
                    .unwrap()
                    .to_string_lossy()
                    .starts_with("snap.")
            })
            .collect::<Vec<_>>()
    };
    drop(site.open());
    assert!(!snapshots().is_empty(), "sled writes a snapshot at opening");
    for path in snapshots() {
        let whole = fs::read(&path).unwrap();
        fs::write(
            folder.join("snap.0000000000FFFFFF.generating"),
            &whole[..whole.len() / 2],
        )
        .unwrap();
        let mut damaged = whole;
        let middle = damaged.len() / 2;
        damaged[middle] ^= 4;
        fs::write(&path, damaged).unwrap();
    }
    let store = site.open();
    assert_eq!(store.condition(), Condition::Healthy);
    assert_equals_replay(&store, 60);
    drop(store);
    for path in snapshots() {
        fs::write(&path, "torn").unwrap();
    }
    assert_equals_replay(&site.open(), 60);
}

#[test]
fn the_reserve_is_that_of_the_disk() {
    let site = Site::new(Some(StoreEngine::Redb));
    let hungry = Options {
        reserve_bytes: Some(u64::MAX / 2),
        ..options(StoreEngine::Redb)
    };
    let store = Store::open(&site.path(), &hungry).unwrap();
    let refused = store.commit(batch_number(1)).unwrap_err();
    assert!(
        refused.to_string().contains("are to stay free"),
        "{refused}"
    );
    drop(store);
    let usual = Options {
        reserve_bytes: None,
        ..hungry
    };
    let stats = Store::open(&site.path(), &usual).unwrap().stats().unwrap();
    assert!(stats.reserve_bytes <= 512 << 20);
    assert!(stats.free_bytes > 0 && stats.disk_bytes > 0);
}

#[test]
fn large_values_never_leave_the_log_of_sled() {
    let site = Site::new(Some(StoreEngine::Sled));
    let store = site.open();
    for n in 0..40u8 {
        let mut batch = crate::store::Batch::new();
        for key in 0..20u8 {
            let length = 6_000 + usize::from(key) * 1_400 + usize::from(n);
            batch.put(
                crate::store::Table::Documents,
                [key, n % 7],
                vec![n; length],
            );
        }
        batch.put(crate::store::Table::Documents, *b"long", vec![n; 300_000]);
        store.commit(batch).unwrap();
    }
    assert_eq!(store.stats().unwrap().stray_files, 0);
    drop(store);
    let store = site.open();
    assert!(store.verify().unwrap().is_sound());
    assert_eq!(store.stats().unwrap().stray_files, 0);
}

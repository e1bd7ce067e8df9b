//! What every engine must do alike.

use super::model::batch_number;
use super::*;
use crate::store::{Batch, Condition, KEY_BYTES_MAX, StoreFailed, Table, VALUE_BYTES_MAX};

/// One test per law and engine.
macro_rules! laws {
    ($($law:ident)*) => {
        mod on_sled { $(#[test] fn $law() { super::$law(&super::Site::new(Some(super::StoreEngine::Sled))); })* }
        mod on_redb { $(#[test] fn $law() { super::$law(&super::Site::new(Some(super::StoreEngine::Redb))); })* }
        mod in_memory { $(#[test] fn $law() { super::$law(&super::Site::new(None)); })* }
    };
}

laws! {
    a_batch_is_there_as_a_whole_also_after_reopening
    numbers_go_on_after_reopening
    scans_go_in_order_and_stay_in_their_table
    pages_of_a_scan_join_without_gap_or_overlap
    long_values_come_back_whole_and_leave_nothing_behind
    long_values_are_replaced_under_readers
    readers_see_whole_batches_only
    refused_batches_keep_nothing
    an_export_imports_into_any_engine_byte_for_byte
    a_damaged_export_is_refused
    verify_counts_what_is_there
    a_hundred_batches_equal_the_model
}

fn put(store: &Store, table: Table, key: &[u8], value: &[u8]) -> u64 {
    let mut batch = Batch::new();
    batch.put(table, key, value);
    store.commit(batch).unwrap()
}

fn keys(rows: &[(Vec<u8>, Vec<u8>)]) -> Vec<&[u8]> {
    rows.iter().map(|(key, _)| key.as_slice()).collect()
}

fn a_batch_is_there_as_a_whole_also_after_reopening(site: &Site) {
    let store = site.open();
    put(&store, Table::Rows, b"old", b"1");
    let mut batch = Batch::new();
    batch.put(Table::Changes, *b"a", *b"change");
    batch.put(Table::Rows, *b"a", *b"");
    batch.delete(Table::Rows, *b"old");
    batch.delete(Table::Rows, *b"never there");
    assert_eq!(store.commit(batch).unwrap(), 2);
    let check = |store: &Store| {
        assert_eq!(
            store.get(Table::Changes, b"a").unwrap().as_deref(),
            Some(&b"change"[..])
        );
        assert_eq!(
            store.get(Table::Rows, b"a").unwrap().as_deref(),
            Some(&b""[..])
        );
        assert!(store.contains(Table::Rows, b"a").unwrap());
        assert_eq!(store.get(Table::Rows, b"old").unwrap(), None);
        assert_eq!(store.get(Table::Entries, b"a").unwrap(), None);
    };
    check(&store);
    drop(store);
    let store = site.open();
    assert_eq!(store.condition(), Condition::Healthy);
    check(&store);
}

fn numbers_go_on_after_reopening(site: &Site) {
    for opening in 0..4 {
        let store = site.open();
        assert_eq!(store.last_seq(), opening * 3);
        for n in 1..=3 {
            assert_eq!(put(&store, Table::Meta, b"n", &[1]), opening * 3 + n);
        }
        assert_eq!(store.commit(Batch::new()).unwrap(), opening * 3 + 3);
    }
}

fn scans_go_in_order_and_stay_in_their_table(site: &Site) {
    let store = site.open();
    let mut batch = Batch::new();
    for key in [
        &b"a"[..],
        b"a\x00",
        b"a\xFF",
        b"a\xFF\xFF",
        b"ab",
        b"b",
        b"\xFF\xFF",
        b"",
    ] {
        batch.put(Table::Rows, key, *b"v");
    }
    batch.put(Table::Overview, *b"a", *b"v");
    batch.put(Table::Lines, *b"a", *b"v");
    store.commit(batch).unwrap();
    let scan = |prefix: &[u8], after: Option<&[u8]>, limit| {
        store.scan(Table::Rows, prefix, after, limit).unwrap()
    };
    let back = |prefix: &[u8], before: Option<&[u8]>, limit| {
        store.scan_back(Table::Rows, prefix, before, limit).unwrap()
    };
    let all: [&[u8]; 8] = [
        b"",
        b"a",
        b"a\x00",
        b"ab",
        b"a\xFF",
        b"a\xFF\xFF",
        b"b",
        b"\xFF\xFF",
    ];
    assert_eq!(keys(&scan(b"", None, 99)), all);
    assert_eq!(keys(&scan(b"a", None, 99)), all[1..6]);
    assert_eq!(keys(&scan(b"a\xFF", None, 99)), all[4..6]);
    assert_eq!(keys(&scan(b"a", Some(b"a"), 2)), all[2..4]);
    assert_eq!(keys(&scan(b"a", Some(b""), 1)), all[1..2]);
    assert!(scan(b"a", Some(b"b"), 99).is_empty());
    assert!(scan(b"c", None, 99).is_empty());
    assert!(scan(b"", None, 0).is_empty());
    let reversed: Vec<&[u8]> = all.iter().rev().copied().collect();
    assert_eq!(keys(&back(b"", None, 99)), reversed);
    assert_eq!(keys(&back(b"a", None, 2)), reversed[2..4]);
    assert_eq!(keys(&back(b"a", Some(b"ab"), 99)), reversed[5..7]);
    assert_eq!(keys(&back(b"a", Some(b"b"), 1)), reversed[2..3]);
    assert!(back(b"a", Some(b"a"), 99).is_empty());
}

fn pages_of_a_scan_join_without_gap_or_overlap(site: &Site) {
    let store = site.open();
    let mut batch = Batch::new();
    for n in 0..500u32 {
        batch.put(Table::Entries, n.to_be_bytes(), n.to_le_bytes());
    }
    store.commit(batch).unwrap();
    let whole = store.scan(Table::Entries, b"", None, 1000).unwrap();
    assert_eq!(whole.len(), 500);
    for limit in [1, 7, 499] {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        loop {
            let after = up.last().map(|(key, _): &(Vec<u8>, Vec<u8>)| key.clone());
            let page = store
                .scan(Table::Entries, b"", after.as_deref(), limit)
                .unwrap();
            let before = down.last().map(|(key, _): &(Vec<u8>, Vec<u8>)| key.clone());
            down.extend(
                store
                    .scan_back(Table::Entries, b"", before.as_deref(), limit)
                    .unwrap(),
            );
            if page.is_empty() {
                break;
            }
            up.extend(page);
        }
        down.reverse();
        assert_eq!(up, whole);
        assert_eq!(down, whole);
    }
}

fn long_values_come_back_whole_and_leave_nothing_behind(site: &Site) {
    let mut store = site.open();
    let value = |length: usize, salt: usize| -> Vec<u8> {
        (0..length)
            .map(|n| u8::try_from((n * 31 + salt + n / 251) % 256).unwrap())
            .collect()
    };
    let lengths = [
        32_704, 32_705, 65_408, 65_409, 100_000, 1_000_000, 3, 200_000,
    ];
    for (salt, length) in lengths.into_iter().enumerate() {
        let mut batch = Batch::new();
        batch.put(Table::Documents, *b"one", value(length, salt));
        batch.put(Table::Documents, *b"two", value(length / 2, salt));
        store.commit(batch).unwrap();
        if salt % 2 == 0 {
            drop(store);
            store = site.open();
        }
        let one = store.get(Table::Documents, b"one").unwrap();
        assert_eq!(one, Some(value(length, salt)), "{length}");
        let rows = store.scan(Table::Documents, b"", None, 10).unwrap();
        assert_eq!(rows[1], (b"two".to_vec(), value(length / 2, salt)));
        assert_eq!(store.verify().unwrap().orphan_chunks, 0);
    }
    assert_eq!(store.stats().unwrap().chunked_values, 2);
    let mut batch = Batch::new();
    batch.delete(Table::Documents, *b"one");
    batch.put(Table::Documents, *b"two", *b"short");
    store.commit(batch).unwrap();
    let report = store.verify().unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.orphan_chunks, 0);
    let stats = store.stats().unwrap();
    assert_eq!((stats.chunked_values, stats.stray_files), (0, 0));
}

fn long_values_are_replaced_under_readers(site: &Site) {
    let store = site.open();
    put(&store, Table::Documents, b"long", &vec![0; 100_000]);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut last = 0;
            while last < 30 {
                let value = store.get(Table::Documents, b"long").unwrap().unwrap();
                let rows = store.scan(Table::Documents, b"", None, 9).unwrap();
                for value in [&value, &rows[0].1] {
                    assert!(value.iter().all(|byte| *byte == value[0]));
                    assert!(value[0] >= last, "a newer value was seen before");
                    last = value[0];
                }
            }
        });
        for n in 1..=30u8 {
            put(
                &store,
                Table::Documents,
                b"long",
                &vec![n; 100_000 + usize::from(n) * 1000],
            );
        }
        reader.join().unwrap();
    });
}

fn readers_see_whole_batches_only(site: &Site) {
    let store = site.open();
    let write = |n: u32| {
        let mut batch = Batch::new();
        for key in 0..60u8 {
            if (u32::from(key) + n).is_multiple_of(3) {
                batch.delete(Table::Rows, [key]);
            } else {
                batch.put(Table::Rows, [key], n.to_be_bytes());
            }
        }
        store.commit(batch).unwrap();
    };
    write(1);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut last = 0;
            while last < 60 {
                let up = store.scan(Table::Rows, b"", None, 99).unwrap();
                let down = store.scan_back(Table::Rows, b"", None, 99).unwrap();
                for rows in [up, down] {
                    let first = u32::from_be_bytes(rows[0].1.clone().try_into().unwrap());
                    let expected = (0..60u32)
                        .filter(|key| !(key + first).is_multiple_of(3))
                        .count();
                    assert_eq!(rows.len(), expected, "part of batch {first}");
                    assert!(rows.iter().all(|(_, value)| *value == first.to_be_bytes()));
                    assert!(first >= last, "batch {first} after batch {last}");
                    last = first;
                }
            }
        });
        for n in 2..=60 {
            write(n);
        }
        reader.join().unwrap();
    });
}

fn refused_batches_keep_nothing(site: &Site) {
    let store = site.open();
    let mut long_key = Batch::new();
    long_key.put(Table::Rows, *b"beside", *b"1");
    long_key.put(Table::Rows, vec![0; KEY_BYTES_MAX + 1], *b"1");
    let refused = store.commit(long_key).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "key of 1025 bytes in table rows, at most 1024 allowed"
    );
    let mut long_value = Batch::new();
    long_value.put(Table::Rows, *b"beside", vec![0; VALUE_BYTES_MAX + 1]);
    let refused = store.commit(long_value).unwrap_err();
    assert!(matches!(refused, StoreFailed::ValueTooLong { .. }));
    assert_eq!(store.last_seq(), 0);
    assert_eq!(store.get(Table::Rows, b"beside").unwrap(), None);
    put(
        &store,
        Table::Rows,
        &vec![0xFF; KEY_BYTES_MAX],
        &vec![7; 70_000],
    );
    assert_eq!(store.last_seq(), 1);
    assert!(store.verify().unwrap().is_sound());
}

fn an_export_imports_into_any_engine_byte_for_byte(site: &Site) {
    let store = site.open();
    for n in 1..=20 {
        store.commit(batch_number(n)).unwrap();
    }
    put(&store, Table::Documents, b"long", &vec![5; 150_000]);
    let mut exported = Vec::new();
    let rows = store.export(&mut exported).unwrap();
    for engine in [Some(StoreEngine::Sled), Some(StoreEngine::Redb), None] {
        let there = Site::new(engine);
        let copy = there.open();
        assert_eq!(copy.import(&mut exported.as_slice()).unwrap(), rows);
        let mut again = Vec::new();
        copy.export(&mut again).unwrap();
        assert!(exported == again, "differs");
        assert!(copy.verify().unwrap().is_sound());
        assert!(
            copy.import(&mut exported.as_slice()).is_err(),
            "into a store in use"
        );
    }
}

fn a_damaged_export_is_refused(site: &Site) {
    let store = site.open();
    put(&store, Table::Rows, b"key", b"value");
    let mut exported = Vec::new();
    store.export(&mut exported).unwrap();
    for position in 0..exported.len() {
        let mut damaged = exported.clone();
        damaged[position] ^= 1;
        assert!(
            Store::memory().import(&mut damaged.as_slice()).is_err(),
            "{position}"
        );
        let cut = &exported[..position];
        assert!(
            Store::memory().import(&mut &cut[..]).is_err(),
            "cut at {position}"
        );
    }
}

fn verify_counts_what_is_there(site: &Site) {
    let store = site.open();
    put(&store, Table::Rows, b"key", b"value");
    put(&store, Table::Rows, b"more", b"value");
    put(&store, Table::Tokens, b"k", &vec![1; 100_000]);
    let report = store.verify().unwrap();
    assert!(report.is_sound());
    assert_eq!(report.commits, 3);
    assert_eq!(
        report.rows.into_iter().collect::<Vec<_>>(),
        [(Table::Rows, 2), (Table::Tokens, 1)]
    );
    assert_eq!(report.logical_bytes, 8 + 9 + 100_001);
}

fn a_hundred_batches_equal_the_model(site: &Site) {
    let store = site.open();
    for n in 1..=100 {
        assert_eq!(store.commit(batch_number(n)).unwrap(), n);
    }
    model::assert_equals_replay(&store, 100);
    drop(store);
    model::assert_equals_replay(&site.open(), 100);
}

//! Numbered batches that are pure functions of their number, and the state they must lead to.

use std::collections::BTreeMap;

use crate::store::{Batch, Store, Table};

/// A small generator of numbers, the same everywhere.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    /// The next number below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length)
            .map(|_| self.below(256).to_le_bytes()[0])
            .collect()
    }
}

/// Batch number `n`: changes, an entry, heads, now and then a document, deletions.
pub(super) fn batch_number(n: u64) -> Batch {
    let mut chance = Chance(n);
    let mut batch = Batch::new();
    batch.put(Table::Entries, n.to_be_bytes(), chance.bytes(180));
    for _ in 0..=chance.below(4) {
        let document = chance.below(40).to_be_bytes();
        let key = [&document[..], &n.to_be_bytes()].concat();
        let length = 150 + chance.below(200);
        batch.put(Table::Changes, key, chance.bytes(length));
        batch.put(Table::Rows, document, chance.bytes(48));
    }
    if n.is_multiple_of(5) {
        let document = chance.below(40).to_be_bytes();
        let length = 2000 + chance.below(6000);
        batch.put(Table::Documents, document, chance.bytes(length));
    }
    if n.is_multiple_of(17) {
        let document = chance.below(6).to_be_bytes();
        let length = 30_000 + chance.below(70_000);
        batch.put(Table::Keys, document, chance.bytes(length));
    }
    if n.is_multiple_of(3) {
        batch.delete(Table::Rows, chance.below(40).to_be_bytes());
        batch.delete(Table::Keys, chance.below(6).to_be_bytes());
    }
    batch
}

/// Panics unless the store holds exactly what batches 1 to `last` leave.
pub(super) fn assert_equals_replay(store: &Store, last: u64) {
    let mut expected: BTreeMap<(Table, Vec<u8>), Vec<u8>> = BTreeMap::new();
    for n in 1..=last {
        for (table, key, value) in batch_number(n).iter() {
            let place = (table, key.to_vec());
            match value {
                Some(value) => drop(expected.insert(place, value.to_vec())),
                None => drop(expected.remove(&place)),
            }
        }
    }
    assert_eq!(store.last_seq(), last);
    let mut found = BTreeMap::new();
    for table in Table::ALL {
        let rows = store.scan(table, b"", None, usize::MAX).unwrap();
        found.extend(rows.into_iter().map(|(key, value)| ((table, key), value)));
    }
    assert_eq!(found.len(), expected.len(), "rows after batch {last}");
    assert!(found == expected, "content after batch {last}");
}

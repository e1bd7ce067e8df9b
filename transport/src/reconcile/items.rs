//! The items of one side, sorted, with sums over any range of them.
//!
//! Guarantees: a range's fingerprint costs two look-ups and one hash, whatever its size; fingerprints
//! mean something only to who holds the session's key. Sums are of keyed hashes, modulo 2^256: sums of
//! plain ones could be made to collide by whoever chooses many items beforehand.

use aws_lc_rs::digest::{Context, SHA256};

use super::Item;
use super::message::{Fingerprint, ItemTag};

const ITEM_LABEL: &[u8] = b"raccordo-item-1\0";
const RANGE_LABEL: &[u8] = b"raccordo-range-1\0";

/// A sum modulo 2^256, least significant limb first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sum([u64; 4]);

/// Sorted identifiers and the sums of all items before each of them.
#[derive(Debug)]
pub(super) struct Items {
    key: [u8; 32],
    ids: Vec<u128>,
    /// One more than there are items; the first is zero.
    sums: Vec<Sum>,
}

impl Items {
    /// Sorts `items` by identifier, unless they are; of two with one identifier the first counts.
    pub(super) fn new(mut items: Vec<Item>, key: [u8; 32]) -> Self {
        if !items.is_sorted_by(|one, other| one.0 < other.0) {
            items.sort_by_key(|item| item.0);
            items.dedup_by_key(|item| item.0);
        }
        let mut ids = Vec::with_capacity(items.len());
        let mut sums = Vec::with_capacity(items.len().saturating_add(1));
        let mut sum = Sum::ZERO;
        sums.push(sum);
        for (id, hash) in items {
            ids.push(u128::from_be_bytes(id));
            sum = sum.plus(Sum::of(sha256(&[ITEM_LABEL, &key, &id, &hash])));
            sums.push(sum);
        }
        Self { key, ids, sums }
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.ids.len()
    }

    /// The place of the first item at or above `bound`; the end for no bound.
    pub(super) fn place(&self, bound: Option<u128>) -> usize {
        bound.map_or(self.ids.len(), |bound| {
            self.ids.partition_point(|id| *id < bound)
        })
    }

    /// Whether there is an item with that identifier.
    pub(super) fn contains(&self, id: u128) -> bool {
        self.ids.binary_search(&id).is_ok()
    }

    /// The identifier at a place.
    pub(super) fn id(&self, place: usize) -> Option<u128> {
        self.ids.get(place).copied()
    }

    /// The identifiers from `start` to before `end`, each with its item's short keyed hash.
    pub(super) fn tagged(
        &self,
        start: usize,
        end: usize,
    ) -> impl Iterator<Item = (u128, ItemTag)> + '_ {
        let ids = self.ids.get(start..end).unwrap_or_default();
        let sums = self.sums.get(start..=end).unwrap_or_default();
        ids.iter().zip(sums.windows(2)).map(|(id, pair)| {
            let sum = match pair {
                [before, after] => after.minus(*before),
                _ => Sum::ZERO,
            };
            (*id, sum.0[3].to_be_bytes())
        })
    }

    /// The fingerprint of the items from `start` to before `end`.
    pub(super) fn fingerprint(&self, start: usize, end: usize) -> Fingerprint {
        let at = |place: usize| self.sums.get(place).copied().unwrap_or(Sum::ZERO);
        let sum = at(end).minus(at(start)).to_bytes();
        let count = u64::try_from(end.saturating_sub(start)).unwrap_or(u64::MAX);
        let hash = sha256(&[RANGE_LABEL, &self.key, &sum, &count.to_be_bytes()]);
        let mut fingerprint = [0; 16];
        fingerprint.copy_from_slice(&hash[..16]);
        fingerprint
    }
}

impl Sum {
    const ZERO: Self = Self([0; 4]);

    fn of(bytes: [u8; 32]) -> Self {
        let mut limbs = [0; 4];
        for (limb, chunk) in limbs.iter_mut().rev().zip(bytes.as_chunks::<8>().0) {
            *limb = u64::from_be_bytes(*chunk);
        }
        Self(limbs)
    }

    fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (limb, chunk) in self
            .0
            .iter()
            .rev()
            .zip(bytes.as_chunks_mut::<8>().0.iter_mut())
        {
            *chunk = limb.to_be_bytes();
        }
        bytes
    }

    fn plus(self, other: Self) -> Self {
        let mut limbs = self.0;
        let mut carry = false;
        for (limb, added) in limbs.iter_mut().zip(other.0) {
            let (sum, first) = limb.overflowing_add(added);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            *limb = sum;
            carry = first || second;
        }
        Self(limbs)
    }

    fn minus(self, other: Self) -> Self {
        let mut limbs = self.0;
        let mut borrow = false;
        for (limb, taken) in limbs.iter_mut().zip(other.0) {
            let (rest, first) = limb.overflowing_sub(taken);
            let (rest, second) = rest.overflowing_sub(u64::from(borrow));
            *limb = rest;
            borrow = first || second;
        }
        Self(limbs)
    }
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item(number: u8) -> ([u8; 16], [u8; 32]) {
        ([number; 16], [number ^ 0x55; 32])
    }

    fn hex(bytes: &[u8]) -> String {
        use std::fmt::Write as _;
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    }

    #[test]
    fn a_fingerprint_and_a_tag_have_the_bytes_that_were_promised() {
        let items = Items::new(vec![item(1), item(2), item(3)], [7; 32]);
        expect_test::expect!["731ee977e0124ac58d58f7090dd0cf3d"]
            .assert_eq(&hex(&items.fingerprint(0, 3)));
        expect_test::expect!["7846da9249dc4f7d289f81f0e4dc8d90"]
            .assert_eq(&hex(&items.fingerprint(1, 1)));
        let tags: Vec<String> = items.tagged(1, 3).map(|(_, tag)| hex(&tag)).collect();
        expect_test::expect!["2b847528ab211e21 8696c051eb775589"].assert_eq(&tags.join(" "));
    }

    #[test]
    fn the_same_items_have_another_fingerprint_under_another_key() {
        let one = Items::new(vec![item(1), item(2)], [7; 32]);
        let other = Items::new(vec![item(1), item(2)], [8; 32]);
        assert_ne!(one.fingerprint(0, 2), other.fingerprint(0, 2));
        assert_ne!(one.fingerprint(0, 0), other.fingerprint(0, 0));
    }

    #[test]
    fn items_in_any_order_count_once_each() {
        let sorted = Items::new(vec![item(1), item(2), item(3)], [7; 32]);
        let other = Items::new(vec![item(3), item(1), item(3), item(2)], [7; 32]);
        assert_eq!(other.len(), 3);
        assert_eq!(sorted.fingerprint(0, 3), other.fingerprint(0, 3));
    }

    proptest! {
        #[test]
        fn what_was_added_can_be_taken_away_again(one: [u8; 32], other: [u8; 32]) {
            let (one, other) = (Sum::of(one), Sum::of(other));
            prop_assert_eq!(one.plus(other).minus(other), one);
            prop_assert_eq!(one.plus(other), other.plus(one));
            prop_assert_eq!(Sum::of(one.to_bytes()), one);
        }
    }
}

//! The memory engine: a disk that tests can fill, break and cut the power of.
//!
//! A [`MemoryDisk`] outlives the stores opened on it, as a disk outlives processes. It knows
//! which writes were synced: after a power cut the others are there, gone or torn, as the
//! test says. Nothing here touches a file.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::Room;
use super::engine::{Engine, EngineFailed, RawRow, Stretch, Writes};
use super::highwater::{Mark, Slot, newest};

/// A disk in memory with faults on demand. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

/// A moment in a commit at which the power can be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The batch is written, not synced.
    BatchWritten,
    /// The batch is synced, the mark is still the old one.
    BatchSynced,
    /// The mark is written, not synced.
    MarkWritten,
    /// All is synced, nobody has been told.
    MarkSynced,
}

impl Moment {
    /// Every moment, in order.
    pub const ALL: [Self; 4] = [
        Self::BatchWritten,
        Self::BatchSynced,
        Self::MarkWritten,
        Self::MarkSynced,
    ];
}

/// What a power cut does to writes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// They never reached the disk.
    Lost,
    /// They had reached it by chance.
    Kept,
    /// A batch is lost; the first half of the mark's new slot reached the disk.
    Torn,
}

#[derive(Clone, Debug, Default)]
struct State {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    unsynced: Writes,
    slots: [Slot64; 2],
    unsynced_slot: Option<(usize, [u8; 64])>,
    flushes_until_failure: Option<u32>,
    free: Option<u64>,
    power_cut_at: Option<Moment>,
    off: bool,
    /// A disk that says that it has synced and has not: what it would lose.
    #[cfg(feature = "testing")]
    claimed: Option<Writes>,
}

#[derive(Clone, Copy, Debug)]
struct Slot64([u8; 64]);

impl Default for Slot64 {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl MemoryDisk {
    /// An empty disk without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the flush of a batch fail: the next one for 1, the one after it for 2.
    pub fn fail_flush(&self, nth: u32) {
        self.state().flushes_until_failure = Some(nth);
    }

    /// From now on flushes return at once and nothing reaches the disk but by chance.
    #[cfg(feature = "testing")]
    pub fn skip_flushes(&self) {
        self.state().claimed.get_or_insert_default();
    }

    /// Rows of a table as they would be found after a power cut, keys without the table's byte.
    /// Values that take several chunks are left out.
    #[cfg(feature = "testing")]
    pub fn durable(&self, table: super::Table, prefix: &[u8]) -> Vec<RawRow> {
        let first = super::row::table_key(table, prefix);
        let state = self.state();
        let rows = state.rows.range(first.clone()..);
        rows.take_while(|(key, _)| key.starts_with(&first))
            .filter_map(
                |(key, value)| match super::row::decode(key, value.clone()) {
                    Ok(super::row::Value::Whole(value)) => Some((key[1..].to_vec(), value)),
                    Ok(super::row::Value::Chunked(_)) | Err(_) => None,
                },
            )
            .collect()
    }

    /// Flips one bit of the first stored row of a table whose key begins so; false if there is none.
    #[cfg(feature = "testing")]
    pub fn damage(&self, table: super::Table, prefix: &[u8], bit: usize) -> bool {
        let first = super::row::table_key(table, prefix);
        let mut state = self.state();
        let row = state.rows.range_mut(first.clone()..).next();
        let Some((_, value)) =
            row.filter(|(key, value)| key.starts_with(&first) && !value.is_empty())
        else {
            return false;
        };
        let bit = bit % (value.len() * 8);
        value[bit / 8] ^= 1 << (bit % 8);
        true
    }

    /// Whether the power is off.
    #[cfg(feature = "testing")]
    pub fn is_off(&self) -> bool {
        self.state().off
    }

    /// Sets the free bytes that the store sees and that writes are refused beyond; `None` is plenty.
    pub fn set_free(&self, bytes: Option<u64>) {
        self.state().free = bytes;
    }

    /// Cuts the power at this moment of the next commit: nothing works from there on.
    pub fn cut_power_at(&self, moment: Moment) {
        self.state().power_cut_at = Some(moment);
    }

    /// The disk as found when the power is back; this one stays off.
    #[must_use]
    pub fn after_power_cut(&self, unsynced: Unsynced) -> Self {
        let mut state = self.state();
        state.off = true;
        let mut found = state.clone();
        if unsynced == Unsynced::Kept {
            found.settle_rows();
        }
        if let Some((index, bytes)) = found.unsynced_slot.take() {
            match unsynced {
                Unsynced::Lost => {}
                Unsynced::Kept => found.slots[index] = Slot64(bytes),
                Unsynced::Torn => found.slots[index].0[..32].copy_from_slice(&bytes[..32]),
            }
        }
        found.unsynced.clear();
        #[cfg(feature = "testing")]
        found.lose_claimed(unsynced);
        found.power_cut_at = None;
        found.flushes_until_failure = None;
        found.off = false;
        Self {
            state: Arc::new(Mutex::new(found)),
        }
    }

    /// A copy of the disk as it is now, for putting back later.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            state: Arc::new(Mutex::new(self.state().clone())),
        }
    }

    /// Puts the rows of an older copy back and leaves the high-water mark, as a restored file would.
    pub fn put_rows_back(&self, older: &Self) {
        let rows = older.state().rows.clone();
        self.state().rows = rows;
    }

    /// Flips one bit of the stored value of a raw key; false if there is none.
    pub fn flip_bit(&self, stored_key: &[u8], bit: usize) -> bool {
        let mut state = self.state();
        let Some(byte) = state
            .rows
            .get_mut(stored_key)
            .and_then(|value| value.get_mut(bit / 8))
        else {
            return false;
        };
        *byte ^= 1 << (bit % 8);
        true
    }

    pub(super) fn room(&self) -> Room {
        let free = self.state().free.unwrap_or(u64::MAX / 2);
        Room {
            free,
            total: u64::MAX / 2,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        let state = self.state();
        let bytes: usize = state
            .rows
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        bytes as u64
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn powered(&self) -> Result<(), EngineFailed> {
        if self.off {
            return Err(EngineFailed::injected("power is off"));
        }
        Ok(())
    }

    fn pass(&mut self, moment: Moment) -> Result<(), EngineFailed> {
        self.off |= self.power_cut_at == Some(moment);
        self.powered()
    }

    /// The value as the engine reads it.
    fn value(&self, key: &[u8]) -> Option<&Vec<u8>> {
        #[cfg(feature = "testing")]
        if let Some(claimed) = self.claimed.as_ref().and_then(|claimed| claimed.get(key)) {
            return claimed.as_ref();
        }
        self.rows.get(key)
    }

    /// The rows as the engine reads them.
    #[cfg(feature = "testing")]
    fn with_claimed(&self) -> Option<BTreeMap<Vec<u8>, Vec<u8>>> {
        let claimed = self.claimed.as_ref()?;
        let mut whole = Self {
            rows: self.rows.clone(),
            unsynced: claimed.clone(),
            ..Self::default()
        };
        whole.settle_rows();
        Some(whole.rows)
    }

    #[cfg(feature = "testing")]
    fn lose_claimed(&mut self, unsynced: Unsynced) {
        let Some(claimed) = &mut self.claimed else {
            return;
        };
        let claimed = std::mem::take(claimed);
        if unsynced == Unsynced::Kept {
            self.unsynced = claimed;
            self.settle_rows();
        }
    }

    fn settle_rows(&mut self) {
        for (key, value) in std::mem::take(&mut self.unsynced) {
            match value {
                Some(value) => drop(self.rows.insert(key, value)),
                None => drop(self.rows.remove(&key)),
            }
        }
    }
}

impl Engine for MemoryDisk {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn commit(&self, writes: &Writes) -> Result<(), EngineFailed> {
        let mut state = self.state();
        state.powered()?;
        let bytes: usize = writes.values().flatten().map(Vec::len).sum();
        if state.free.is_some_and(|free| free < bytes as u64) {
            return Err(EngineFailed::injected("no space left on device"));
        }
        state.unsynced = writes.clone();
        state.pass(Moment::BatchWritten)?;
        if let Some(left) = state.flushes_until_failure.as_mut() {
            *left = left.saturating_sub(1);
            if *left == 0 {
                return Err(EngineFailed::injected("flush failed"));
            }
        }
        #[cfg(feature = "testing")]
        if state.claimed.is_some() {
            let writes = std::mem::take(&mut state.unsynced);
            state.claimed.get_or_insert_default().extend(writes);
            return Ok(());
        }
        state.settle_rows();
        state.pass(Moment::BatchSynced)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineFailed> {
        let state = self.state();
        state.powered()?;
        Ok(state.value(key).cloned())
    }

    fn range(&self, stretch: Stretch<'_>, limit: usize) -> Result<Vec<RawRow>, EngineFailed> {
        let state = self.state();
        state.powered()?;
        #[cfg(feature = "testing")]
        let whole = state.with_claimed();
        #[cfg(feature = "testing")]
        let rows = whole.as_ref().unwrap_or(&state.rows);
        #[cfg(not(feature = "testing"))]
        let rows = &state.rows;
        let range = rows.range::<[u8], _>(stretch.bounds());
        let owned = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        Ok(if stretch.descending {
            range.rev().take(limit).map(owned).collect()
        } else {
            range.take(limit).map(owned).collect()
        })
    }
}

impl Mark for MemoryDisk {
    fn read(&self) -> Result<Option<Slot>, EngineFailed> {
        let state = self.state();
        state.powered()?;
        Ok(newest([&state.slots[0].0, &state.slots[1].0]))
    }

    fn advance(&self, slot: Slot) -> Result<(), EngineFailed> {
        let mut state = self.state();
        let index = usize::from(slot.seq % 2 == 1);
        state.unsynced_slot = Some((index, slot.to_bytes()));
        state.pass(Moment::MarkWritten)?;
        #[cfg(feature = "testing")]
        if state.claimed.is_some() {
            return Ok(());
        }
        state.unsynced_slot = None;
        state.slots[index] = Slot64(slot.to_bytes());
        state.pass(Moment::MarkSynced)
    }

    fn restart(&self, slot: Slot) -> Result<(), EngineFailed> {
        let mut state = self.state();
        state.powered()?;
        state.slots = [Slot64::default(); 2];
        state.slots[usize::from(slot.seq % 2 == 1)] = Slot64(slot.to_bytes());
        Ok(())
    }
}

//! The one way of writing: check, chain, engine, high-water mark, in that order.
//!
//! Invariant: `commit` returns a number only when batch and mark are on disk; after a
//! failed flush nothing more is written, since a second fsync may lie about the first.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::batch::Batch;
use super::chain::Chain;
use super::engine::{EngineFailed, Writes};
use super::highwater::Mark;
use super::row::{self, ChunkedHead, PAYLOAD_BYTES_MAX};
use super::table::Table;
use super::{Condition, Inner, KEY_BYTES_MAX, Store, StoreFailed, VALUE_BYTES_MAX};

/// What only the one who commits needs.
#[derive(Debug)]
pub(super) struct Committer {
    pub(super) chain: Chain,
    pub(super) mark: Box<dyn Mark>,
    /// The values stored in chunks, so that replacing one removes its chunks.
    pub(super) chunked: BTreeMap<(Table, Vec<u8>), ChunkedHead>,
}

impl Committer {
    /// The stored rows of a batch that becomes the commit `chain`.
    fn writes(&self, batch: &Batch, chain: Chain) -> Writes {
        let mut writes = Writes::new();
        for (table, key, value) in batch.iter() {
            let stored_key = row::table_key(table, key);
            if let Some(head) = self.chunked.get(&(table, key.to_vec())) {
                for index in 0..head.chunks() {
                    writes.insert(row::chunk_key(table, key, head.generation, index), None);
                }
                writes.insert(row::chunked_key(table, key), None);
            }
            let stored = match value {
                None => None,
                Some(value) if value.len() <= PAYLOAD_BYTES_MAX => {
                    Some(row::encode_whole(&stored_key, value))
                }
                Some(value) => {
                    let head = ChunkedHead::of(value, chain.seq);
                    insert_chunks(&mut writes, table, key, value, head);
                    Some(row::encode_head(&stored_key, head))
                }
            };
            writes.insert(stored_key, stored);
        }
        let chain_key = row::chain_key();
        let stored = row::encode_whole(&chain_key, &chain.to_bytes());
        writes.insert(chain_key, Some(stored));
        writes
    }

    fn remember_chunked(&mut self, batch: &Batch, generation: u64) {
        for (table, key, value) in batch.iter() {
            let place = (table, key.to_vec());
            match value {
                Some(value) if value.len() > PAYLOAD_BYTES_MAX => {
                    self.chunked
                        .insert(place, ChunkedHead::of(value, generation));
                }
                _ => drop(self.chunked.remove(&place)),
            }
        }
    }
}

impl Store {
    /// Writes a batch, all or nothing, and returns its number once it survives a power cut.
    ///
    /// Callers wait for one another. A batch that writes nothing returns the last number.
    /// `DiskReserve`, `KeyTooLong` and `ValueTooLong` keep nothing and leave the store as it
    /// was; after `Write` every later commit is refused. Blocks on disk.
    #[expect(clippy::needless_pass_by_value, reason = "a batch is committed once")]
    pub fn commit(&self, batch: Batch) -> Result<u64, StoreFailed> {
        let inner = &*self.inner;
        let mut committer = inner.committer();
        inner.admit(&batch)?;
        if batch.is_empty() {
            return Ok(committer.chain.seq);
        }
        let chain = committer.chain.next(&batch);
        let writes = committer.writes(&batch, chain);
        let written = inner
            .engine
            .commit(&writes)
            .and_then(|()| committer.mark.advance(chain.slot()));
        if let Err(source) = written {
            inner.poison(&source);
            return Err(StoreFailed::Write { source });
        }
        committer.remember_chunked(&batch, chain.seq);
        committer.chain = chain;
        let chunked_values = committer.chunked.len() as u64;
        inner
            .chunked_values
            .store(chunked_values, Ordering::Relaxed);
        inner.last_seq.store(chain.seq, Ordering::Release);
        Ok(chain.seq)
    }

    /// Takes the content of a degraded store as it is for the truth and lets it write again.
    ///
    /// Only for a restore, which gives the store a new lineage, and after refetching what
    /// was lost. Does nothing to a healthy store and cannot heal a poisoned one.
    pub fn accept_loss(&self) -> Result<(), StoreFailed> {
        let inner = &*self.inner;
        let committer = inner.committer();
        match self.condition() {
            Condition::Healthy => return Ok(()),
            Condition::Degraded { .. } => {}
            Condition::Poisoned { reason } => return Err(StoreFailed::Poisoned { reason }),
        }
        if let Err(source) = committer.mark.restart(committer.chain.slot()) {
            inner.poison(&source);
            return Err(StoreFailed::Write { source });
        }
        inner.set_condition(Condition::Healthy);
        Ok(())
    }
}

impl Inner {
    fn admit(&self, batch: &Batch) -> Result<(), StoreFailed> {
        let condition = self
            .condition
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        match &*condition {
            Condition::Healthy => {}
            Condition::Degraded { reason } => {
                let reason = reason.clone();
                return Err(StoreFailed::Degraded { reason });
            }
            Condition::Poisoned { reason } => {
                let reason = reason.clone();
                return Err(StoreFailed::Poisoned { reason });
            }
        }
        for (table, key, value) in batch.iter() {
            let table = table.name();
            let bytes = value.map_or(0, <[u8]>::len);
            if key.len() > KEY_BYTES_MAX {
                let (bytes, max) = (key.len(), KEY_BYTES_MAX);
                return Err(StoreFailed::KeyTooLong { table, bytes, max });
            }
            if bytes > VALUE_BYTES_MAX {
                let max = VALUE_BYTES_MAX;
                return Err(StoreFailed::ValueTooLong { table, bytes, max });
            }
        }
        let room = self.room().map_err(|source| StoreFailed::Read { source })?;
        if room.free < self.reserve.saturating_add(batch.bytes() as u64) {
            let (free, reserve) = (room.free, self.reserve);
            return Err(StoreFailed::DiskReserve { free, reserve });
        }
        Ok(())
    }

    fn poison(&self, failed: &EngineFailed) {
        let mut reason = failed.to_string();
        let mut cause = std::error::Error::source(failed);
        while let Some(next) = cause {
            reason = format!("{reason}: {next}");
            cause = next.source();
        }
        tracing::error!(reason, "store stopped writing");
        self.set_condition(Condition::Poisoned { reason });
    }

    fn set_condition(&self, condition: Condition) {
        *self
            .condition
            .write()
            .unwrap_or_else(PoisonError::into_inner) = condition;
    }
}

fn insert_chunks(writes: &mut Writes, table: Table, key: &[u8], value: &[u8], head: ChunkedHead) {
    for (index, chunk) in (0u16..).zip(value.chunks(PAYLOAD_BYTES_MAX)) {
        let chunk_key = row::chunk_key(table, key, head.generation, index);
        let stored = row::encode_whole(&chunk_key, chunk);
        writes.insert(chunk_key, Some(stored));
    }
    let note_key = row::chunked_key(table, key);
    let note = row::encode_head(&note_key, head);
    writes.insert(note_key, Some(note));
}

//! The whole store read once: every checksum, every chunk, the chain, the mark.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::engine::Stretch;
use super::row::{self, ChunkedHead, Value};
use super::table::Table;
use super::{Condition, Store, StoreFailed, read};

/// Rows read at a time.
const PAGE_ROWS: usize = 500;

/// Damaged rows named in a report; the others are only counted.
const DAMAGED_NAMED_MAX: usize = 100;

/// What reading the whole store found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// Whether commits are taken.
    pub condition: Condition,
    /// Number of the last commit.
    pub commits: u64,
    /// Rows by table, tables without rows left out.
    pub rows: BTreeMap<Table, u64>,
    /// Bytes of all keys and values as given, checksums and chunk heads not counted.
    pub logical_bytes: u64,
    /// Number of damaged rows.
    pub damaged: u64,
    /// The first of them.
    pub damaged_rows: Vec<DamagedRow>,
    /// Chunks that belong to no value: lost space, no lost data.
    pub orphan_chunks: u64,
    /// Files the engine should not have made.
    pub stray_files: u64,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.condition == Condition::Healthy && self.damaged == 0 && self.stray_files == 0
    }
}

/// A row that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRow {
    /// The table's name.
    pub table: &'static str,
    /// The key in hex.
    pub key: String,
    /// What is wrong with it.
    pub seen: &'static str,
}

impl Store {
    /// Reads everything. Commits wait until it is done.
    pub fn verify(&self) -> Result<VerifyReport, StoreFailed> {
        let committer = self.inner.committer();
        let mut report = VerifyReport {
            condition: self.condition(),
            commits: committer.chain.seq,
            rows: BTreeMap::new(),
            logical_bytes: 0,
            damaged: 0,
            damaged_rows: Vec::new(),
            orphan_chunks: 0,
            stray_files: self.stats_stray_files()?,
        };
        let mut chunks_owned = 0u64;
        for table in Table::ALL {
            self.verify_table(table, &mut report, &mut chunks_owned)?;
        }
        let chunks_stored = self.count_chunks()?;
        report.orphan_chunks = chunks_stored.saturating_sub(chunks_owned);
        drop(committer);
        Ok(report)
    }

    fn verify_table(
        &self,
        table: Table,
        report: &mut VerifyReport,
        chunks_owned: &mut u64,
    ) -> Result<(), StoreFailed> {
        let end = [table.code() + 1];
        let mut from = vec![table.code()];
        let mut inclusive = true;
        loop {
            let lower = if inclusive {
                Bound::Included(from.as_slice())
            } else {
                Bound::Excluded(from.as_slice())
            };
            let stretch = Stretch {
                lower,
                end: &end,
                descending: false,
            };
            let rows = self.inner.stored_rows(stretch, PAGE_ROWS)?;
            let Some((last, _)) = rows.last() else {
                return Ok(());
            };
            let last = last.clone();
            for (stored_key, stored) in rows {
                *chunks_owned += chunks_of(&stored_key, &stored);
                let key = stored_key[1..].to_vec();
                *report.rows.entry(table).or_default() += 1;
                match self.inner.resolve(table, &stored_key, stored) {
                    Ok(Some(value)) => report.logical_bytes += (key.len() + value.len()) as u64,
                    Ok(None) => report.add_damaged(table, &key, "chunks are missing"),
                    Err(StoreFailed::Damaged { seen, .. }) => report.add_damaged(table, &key, seen),
                    Err(failed) => return Err(failed),
                }
            }
            from = last;
            inclusive = false;
        }
    }

    fn count_chunks(&self) -> Result<u64, StoreFailed> {
        // Longer than any chunk key, all of whose first bytes are this one.
        let end = [0xFF; super::KEY_BYTES_MAX + 64];
        let (_, first) = row::chunked_stretch();
        let mut from = first.to_vec();
        let mut count = 0;
        loop {
            let stretch = Stretch {
                lower: Bound::Excluded(&from),
                end: &end,
                descending: false,
            };
            let rows = self.inner.stored_rows(stretch, PAGE_ROWS)?;
            let Some((last, _)) = rows.last() else {
                return Ok(count);
            };
            from.clone_from(last);
            count += rows.len() as u64;
        }
    }

    fn stats_stray_files(&self) -> Result<u64, StoreFailed> {
        let counted = self.inner.engine.stray_files();
        counted.map_err(|source| StoreFailed::Read { source })
    }
}

impl VerifyReport {
    fn add_damaged(&mut self, table: Table, key: &[u8], seen: &'static str) {
        self.damaged += 1;
        if self.damaged_rows.len() < DAMAGED_NAMED_MAX {
            self.damaged_rows.push(DamagedRow {
                table: table.name(),
                key: read::hex(key),
                seen,
            });
        }
    }
}

fn chunks_of(stored_key: &[u8], stored: &[u8]) -> u64 {
    match row::decode(stored_key, stored.to_vec()) {
        Ok(Value::Chunked(head)) => u64::from(ChunkedHead::chunks(&head)),
        Ok(Value::Whole(_)) | Err(_) => 0,
    }
}

//! Signed receipts of erasures, for authors that hear of a node through others alone.
//!
//! A node that carried out a tombstone of an author that is no peer of it says so, once, in the lane for
//! everyone. It says a mark: a hash of itself and the tombstone's entry. Whoever holds the entry knows
//! the mark, nobody else can make it or tell what it is of; so it names no log, no record and no
//! territory. What is due stands in the store until it is said, in the commit that says it.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use raccordo_transport::{EntryHeader, LogId, SignedHeader};

use crate::store::{Row, Table};

use super::commit;
use super::core::{Core, ReadFailed};
use super::draft::Draft;
use super::fields::{BadRow, FieldReader, FieldWriter};
use super::report;
use super::roster::Member;
use super::scope::LANE_EVERYONE;
use super::statements::Statement;
use super::stored::Reading;

/// By what a receipt says which tombstone it is of.
pub(crate) type Mark = [u8; 16];

/// Meta keys of receipts that are to be given begin so.
pub(crate) const DUE: &[u8] = b"receipt-due/";
/// Meta keys of receipts that others gave begin so.
const GIVEN: &[u8] = b"receipt/";
const CONTEXT: &[u8] = b"raccordo-receipt-1\0";
/// Most marks that one statement has.
pub(crate) const MARKS_MAX: usize = 255;

/// What the receipt of a node for a tombstone's entry says.
pub(crate) fn mark(node: [u8; 8], entry: &[u8; 32]) -> Mark {
    let hash = digest(&SHA256, &[CONTEXT, &node, entry].concat());
    let mark = hash.as_ref().first_chunk();
    *mark.expect("SHA-256 gives 32 bytes")
}

/// Writes marks as a statement has them.
pub(crate) fn write<'w>(out: &'w mut FieldWriter, marks: &[Mark]) -> &'w mut FieldWriter {
    let count = u8::try_from(marks.len()).expect("a statement has at most 255 marks");
    out.u8(count);
    for mark in marks {
        out.fixed(mark);
    }
    out
}

/// Reads the marks of a statement: at least one.
pub(crate) fn read(row: &mut FieldReader<'_>) -> Result<Vec<Mark>, BadRow> {
    let count = row.u8()?;
    if count == 0 {
        return Err(row.bad());
    }
    (0..count).map(|_| row.array()).collect()
}

/// What is to be given, from the rows of [`DUE`].
pub(crate) fn read_due(rows: &[Row]) -> BTreeSet<Mark> {
    let marks = rows.iter().filter_map(|(key, _)| key.get(DUE.len()..));
    marks.filter_map(|mark| mark.try_into().ok()).collect()
}

/// A tombstone of this author was carried out here: notes that it is to be told, unless the author
/// hears it from this node's acknowledgement.
pub(crate) fn owe(draft: &mut Draft<'_>, signed: &SignedHeader, author: &Member) {
    let own = draft.core.id;
    if author.key == own || draft.ledger.roster.is_peer(&author.key) {
        return;
    }
    let mark = mark(own.origin(), &signed.entry_hash());
    draft.batch.put(Table::Meta, due_row(&mark), Vec::new());
    Arc::make_mut(&mut draft.ledger.receipts_due).insert(mark);
}

/// Keeps what a node says is gone at itself.
pub(crate) fn hear(draft: &mut Draft<'_>, header: &EntryHeader, marks: &[Mark]) {
    if header.origin == draft.core.id.origin() {
        return;
    }
    let now_ms = draft.now_ms;
    for mark in marks {
        let value = [header.seq.to_be_bytes(), now_ms.to_be_bytes()].concat();
        draft
            .batch
            .put(Table::Meta, given_row(header.origin, mark), value);
    }
}

/// The receipts for one tombstone.
#[derive(Debug)]
pub(crate) struct Receipts<'a> {
    core: &'a Core,
    log: LogId,
    seq: u64,
    /// The hash of the tombstone's entry, once it was needed.
    entry: Option<[u8; 32]>,
}

impl<'a> Receipts<'a> {
    /// Of the tombstone with this number in this log.
    pub(crate) fn of(core: &'a Core, log: LogId, seq: u64) -> Self {
        Self {
            core,
            log,
            seq,
            entry: None,
        }
    }

    /// When a member's receipt was heard, in unix ms. What a revoked one said behind its end does not
    /// count.
    pub(crate) fn by(&mut self, member: &Member) -> Result<Option<i64>, ReadFailed> {
        let Some(entry) = self.entry()? else {
            return Ok(None);
        };
        let origin = member.key.origin();
        let row = given_row(origin, &mark(origin, &entry));
        let Some(row) = self.core.store.get(Table::Meta, &row)? else {
            return Ok(None);
        };
        let Some((said, heard)) = row.split_first_chunk().and_then(|(seq, at)| {
            let at: [u8; 8] = at.try_into().ok()?;
            Some((u64::from_be_bytes(*seq), i64::from_be_bytes(at)))
        }) else {
            return Ok(None);
        };
        let valid = member.end_of(LANE_EVERYONE).is_none_or(|end| said <= end);
        Ok(valid.then_some(heard))
    }

    fn entry(&mut self) -> Result<Option<[u8; 32]>, ReadFailed> {
        if self.entry.is_none() {
            let stored = Reading::new(self.core).entry(self.log, self.seq)?;
            self.entry = stored.map(|stored| stored.signed.entry_hash());
        }
        Ok(self.entry)
    }
}

/// Gives the receipts that are due; nothing is written where none is.
pub(crate) fn give(core: &Core) {
    loop {
        let ledger = core.ledger();
        if ledger.receipts_due.is_empty() || report::writes_problem(core, &ledger).is_some() {
            return;
        }
        let mut draft = Draft::new(core);
        let marks: Vec<Mark> = ledger
            .receipts_due
            .iter()
            .copied()
            .take(MARKS_MAX)
            .collect();
        for mark in &marks {
            draft.batch.delete(Table::Meta, due_row(mark));
            Arc::make_mut(&mut draft.ledger.receipts_due).remove(mark);
        }
        draft.append_statement(LANE_EVERYONE, Statement::Receipt(marks).encode());
        if let Err(failed) = commit::commit(draft) {
            tracing::error!(
                reason = failed.reason,
                "the receipt of an erasure was not given"
            );
            return;
        }
    }
}

fn due_row(mark: &Mark) -> Vec<u8> {
    [DUE, mark].concat()
}

fn given_row(origin: [u8; 8], mark: &Mark) -> Vec<u8> {
    [GIVEN, &origin, mark].concat()
}

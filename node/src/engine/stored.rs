//! Entries and changes read back out of their runs: the one way to them.
//!
//! A [`Reading`] keeps the run that it opened last, since neighbours in a log are often of one
//! document. Who wants the bodies of many entries goes through them in the order of their log.

use raccordo_crdt_model::DocumentId;
use raccordo_transport::{EntryKind, LogId, SignedEntry};

use super::change_run::{ChangeOrigin, ChangeRun, change_key};
use super::core::{Core, ReadFailed};
use super::entry_run::{self, BodyPlace, StoredEntry, entry_key, log_key};
use super::fields::BadRow;
use super::tombstone;
use crate::store::Table;
use crate::store::seal::SealKey;

/// Rows that one look into the store takes.
const ROWS_AT_ONCE: usize = 64;

impl Core {
    /// Every stored run of a document's changes, in order of number.
    pub(crate) fn change_runs(&self, id: DocumentId) -> Result<Vec<ChangeRun>, ReadFailed> {
        let mut runs = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.store.scan(
                Table::Changes,
                id.as_bytes(),
                after.as_deref(),
                ROWS_AT_ONCE,
            )?;
            for (key, value) in &page {
                runs.push(ChangeRun::decode(key, value)?);
            }
            match page.last() {
                Some((key, _)) if page.len() == ROWS_AT_ONCE => after = Some(key.clone()),
                _ => return Ok(runs),
            }
        }
    }

    /// Where every change of a document came from, in order of number.
    pub(crate) fn change_origins(&self, id: DocumentId) -> Result<Vec<ChangeOrigin>, ReadFailed> {
        let runs = self.change_runs(id)?;
        Ok(runs.into_iter().flat_map(|run| run.origins).collect())
    }

    /// Every change of a document, in order of number.
    pub(crate) fn change_bodies(
        &self,
        id: DocumentId,
        key: &SealKey,
    ) -> Result<Vec<Vec<u8>>, ReadFailed> {
        let mut bodies = Vec::new();
        for run in self.change_runs(id)? {
            bodies.extend(run.open(id, key)?);
        }
        Ok(bodies)
    }
}

/// One reader's way through entries and their bodies.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    core: &'a Core,
    /// The run that [`Reading::entry`] looked into last.
    entries: Vec<StoredEntry>,
    changes: Option<OpenedRun>,
}

#[derive(Debug)]
struct OpenedRun {
    document: DocumentId,
    first: u32,
    bodies: Vec<Vec<u8>>,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(core: &'a Core) -> Self {
        Self {
            core,
            entries: Vec::new(),
            changes: None,
        }
    }

    /// Entries of a log after a number, with their bodies, as they were signed: at most so many,
    /// and so many bytes of bodies unless the first alone has more.
    pub(crate) fn entries(
        &mut self,
        log: LogId,
        after: u64,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<Vec<SignedEntry>, ReadFailed> {
        let mut entries = Vec::new();
        let (mut seq, mut bytes) = (after, 0);
        while entries.len() < max_entries {
            let run = run_after(self.core, log, seq)?;
            let Some(last) = run.last() else { break };
            let end = last.signed.header.seq;
            let wanted = run
                .into_iter()
                .filter(|entry| entry.signed.header.seq > seq);
            for entry in wanted.take(max_entries - entries.len()) {
                let entry = self.with_body(entry)?;
                bytes += entry.bytes().len();
                if bytes > max_bytes && !entries.is_empty() {
                    return Ok(entries);
                }
                entries.push(entry);
            }
            seq = end;
        }
        Ok(entries)
    }

    /// One entry of a log without its body; none if there is none of that number.
    pub(crate) fn entry(
        &mut self,
        log: LogId,
        seq: u64,
    ) -> Result<Option<StoredEntry>, ReadFailed> {
        let in_hand = self.find(log, seq);
        if in_hand.is_none() {
            self.entries = run_after(self.core, log, seq.saturating_sub(1))?;
        }
        Ok(in_hand.or_else(|| self.find(log, seq)))
    }

    /// The body of a document's change with this number.
    pub(crate) fn body(&mut self, id: DocumentId, number: u32) -> Result<&[u8], ReadFailed> {
        let bad = BadRow {
            row: "change",
            at: 0,
        };
        let known = self.changes.as_ref();
        if !known.is_some_and(|run| run.document == id && run.place(number).is_some()) {
            let before = number.checked_add(1).map(|next| change_key(id, next));
            let prefix = id.as_bytes();
            let store = &self.core.store;
            let row = store.scan_back(Table::Changes, prefix, before.as_deref(), 1)?;
            let (key, value) = row.first().ok_or(bad.clone())?;
            let run = ChangeRun::decode(key, value)?;
            self.changes = Some(OpenedRun {
                document: id,
                first: run.first,
                bodies: run.open(id, &self.core.document_key(id)?)?,
            });
        }
        let run = self.changes.as_ref().expect("it has just been opened");
        let place = run.place(number).ok_or(bad)?;
        Ok(&run.bodies[place])
    }

    fn find(&self, log: LogId, seq: u64) -> Option<StoredEntry> {
        let first = &self.entries.first()?.signed.header;
        let place = usize::try_from(seq.checked_sub(first.seq)?).ok()?;
        let found = self.entries.get(place)?;
        (first.log() == log).then(|| found.clone())
    }

    fn with_body(&mut self, entry: StoredEntry) -> Result<SignedEntry, ReadFailed> {
        let header = &entry.signed.header;
        let body = match entry.body {
            BodyPlace::Here(body) if header.kind == EntryKind::Tombstone => {
                tombstone::body_of(self.core, header, &body)?
            }
            BodyPlace::Here(body) => body,
            BodyPlace::Change(number) => {
                let id = DocumentId::from_bytes(header.document);
                self.body(id, number)?.to_vec()
            }
            BodyPlace::Erased => {
                return Ok(entry.signed.without_body());
            }
        };
        Ok(entry.signed.with_body(body))
    }
}

impl OpenedRun {
    fn place(&self, number: u32) -> Option<usize> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        (place < self.bodies.len()).then_some(place)
    }
}

/// The stored run that holds the entry after this number; empty where the log ends before.
fn run_after(core: &Core, log: LogId, seq: u64) -> Result<Vec<StoredEntry>, ReadFailed> {
    let from = entry_key(log, seq);
    let rows = core
        .store
        .scan(Table::Entries, &log_key(log), Some(&from), 1)?;
    match rows.first() {
        Some((key, value)) => Ok(entry_run::decode(key, value)?),
        None => Ok(Vec::new()),
    }
}

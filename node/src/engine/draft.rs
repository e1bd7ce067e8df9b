//! What one commit will write: built in memory, published only when the store has it.
//!
//! Local commands and remote entries meet here: the same rows, indexes, counts and audit events
//! come from the same code. A draft that is dropped leaves no trace; documents that it touched
//! leave the cache first, so that nothing undone can be read.

use std::collections::BTreeMap;
use std::sync::Arc;

use raccordo_crdt_model::{ChangeHash, Document, DocumentId, Heads, Kind, Summary, UnixMillis};
use raccordo_transport::{EntryHeader, EntryKind, LogId, SignedHeader};

use crate::clock::draw;
use crate::store::seal::SealKey;
use crate::store::{Batch, Table};

use super::audit::{self, AuditEvent};
use super::change_run::{ChangeOrigin, OpenChangeRun};
use super::core::{Core, LANE_EVERYONE, LANE_SHARED, Loaded, ReadFailed};
use super::entry_run::{BodyPlace, OpenEntryRun};
use super::ledger::{Ledger, LogEnd};
use super::rows::{self, AdmittedRun, DocumentRow};
use super::statements;
use super::view::Event;

/// One commit in the making.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) core: &'a Core,
    pub(crate) batch: Batch,
    pub(crate) ledger: Ledger,
    pub(crate) now_ms: i64,
    /// Whether who asks for the command under way may know who is specially protected.
    pub(crate) knows_protected: bool,
    working: BTreeMap<DocumentId, Working>,
    /// Entries that wait for their neighbours, to share a row.
    entries: BTreeMap<LogId, OpenEntryRun>,
    pub(crate) events: Vec<Event>,
    admitted: Vec<AdmittedRun>,
    /// Documents that this commit erases.
    gone: Vec<DocumentId>,
    /// A document that was to be written though this node has no lane for it.
    without_lane: Option<DocumentId>,
}

/// A document that this commit touches.
#[derive(Debug)]
pub(super) struct Working {
    /// None where the commit touches more documents than memory should hold.
    pub(super) document: Option<Arc<Document>>,
    pub(super) kind: Kind,
    pub(super) heads: Heads,
    pub(super) row: DocumentRow,
    pub(super) key: SealKey,
    /// Of the newest state, if somebody has taken it already.
    pub(super) summary: Option<Summary>,
    /// Changes that wait for their neighbours, to share a row.
    changes: Option<OpenChangeRun>,
}

/// A change on its way into the log.
#[derive(Debug)]
pub(crate) struct NewChange<'a> {
    pub(crate) hash: ChangeHash,
    pub(crate) bytes: &'a [u8],
}

/// The group that an entry belongs to: its first number and how many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group {
    pub(crate) first: u64,
    pub(crate) count: u32,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(core: &'a Core) -> Self {
        let ledger = Ledger::clone(&core.ledger());
        let now_ms = core.clock.unix_millis();
        Self {
            core,
            batch: Batch::new(),
            ledger,
            now_ms,
            knows_protected: true,
            working: BTreeMap::new(),
            entries: BTreeMap::new(),
            events: Vec::new(),
            admitted: Vec::new(),
            gone: Vec::new(),
            without_lane: None,
        }
    }

    /// A value as this commit would leave it.
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, ReadFailed> {
        match self.batch.pending(table, key) {
            Some(pending) => Ok(pending.map(<[u8]>::to_vec)),
            None => Ok(self.core.store.get(table, key)?),
        }
    }

    /// Whether the document is here, or would be after this commit; taken under its hand if so.
    pub(crate) fn holds(&mut self, id: DocumentId) -> Result<bool, ReadFailed> {
        if self.ledger.erased.contains(&id) {
            return Ok(false);
        }
        if !self.working.contains_key(&id) {
            let Some(loaded) = self.core.load(id)? else {
                return Ok(false);
            };
            let Loaded { document, row, key } = loaded;
            self.adopt(id, document.kind(), row, key);
            self.advance(id, document);
        }
        Ok(true)
    }

    /// Takes a stored document under this commit's hand; its state comes with [`Draft::advance`].
    pub(crate) fn adopt(&mut self, id: DocumentId, kind: Kind, row: DocumentRow, key: SealKey) {
        let heads = row.version();
        self.working.entry(id).or_insert(Working {
            document: None,
            kind,
            heads,
            row,
            key,
            summary: None,
            changes: None,
        });
    }

    /// Takes a document that is not stored yet under this commit's hand, with a key of its own.
    pub(crate) fn adopt_new(&mut self, id: DocumentId, kind: Kind, territory: &str, home: LogId) {
        let core = self.core;
        let (key, wrapped) = core.vault.new_document_key(*id.as_bytes(), &*core.entropy);
        self.batch.put(Table::Keys, *id.as_bytes(), wrapped);
        let row = DocumentRow {
            kind: kind.code(),
            lane: home.lane,
            home_origin: home.origin,
            territory: territory.to_owned(),
            changes: 0,
            last_seq: 0,
            heads: Vec::new(),
            indexed: None,
        };
        self.ledger.totals.documents += 1;
        self.adopt(id, kind, row, key);
    }

    /// A document as this commit would leave it; taken under its hand.
    pub(crate) fn document_in_hand(
        &mut self,
        id: DocumentId,
    ) -> Result<Option<Arc<Document>>, ReadFailed> {
        if !self.holds(id)? {
            return Ok(None);
        }
        let working = self.working.get(&id);
        Ok(working.and_then(|working| working.document.clone()))
    }

    /// The row of a document under this commit's hand.
    pub(crate) fn row(&self, id: DocumentId) -> Option<&DocumentRow> {
        self.working.get(&id).map(|working| &working.row)
    }

    /// A document's state, as this commit would leave it; none if it is not here.
    pub(crate) fn document(&self, id: DocumentId) -> Result<Option<Arc<Document>>, ReadFailed> {
        if self.ledger.erased.contains(&id) {
            return Ok(None);
        }
        match self
            .working
            .get(&id)
            .and_then(|working| working.document.clone())
        {
            Some(document) => Ok(Some(document)),
            None => self.core.look(id),
        }
    }

    /// The state that a document shows, as this commit would leave it; none if it is not here.
    pub(crate) fn state_of(&self, id: DocumentId) -> Result<Option<String>, ReadFailed> {
        let document = self.document(id)?;
        Ok(document.map(|document| document.summary().state))
    }

    /// Replaces a document's state by a newer one.
    pub(crate) fn advance(&mut self, id: DocumentId, document: Arc<Document>) {
        if let Some(working) = self.working.get_mut(&id) {
            working.heads = document.heads();
            working.document = Some(document);
            working.summary = None;
        }
    }

    /// As [`Draft::advance`], for a state that nobody keeps in memory.
    pub(crate) fn advance_unseen(&mut self, id: DocumentId, heads: Heads, summary: Summary) {
        if let Some(working) = self.working.get_mut(&id) {
            working.heads = heads;
            working.document = None;
            working.summary = Some(summary);
        }
    }

    /// Takes a document's state out for a change in place; [`Draft::advance`] puts it back.
    pub(crate) fn take_document(&mut self, id: DocumentId) -> Result<Option<Document>, ReadFailed> {
        if !self.holds(id)? {
            return Ok(None);
        }
        self.core.forget(id);
        let working = self.working.get_mut(&id);
        Ok(working
            .and_then(|working| working.document.take())
            .map(Arc::unwrap_or_clone))
    }

    /// Signs and appends what this node states of itself, and keeps it.
    pub(crate) fn append_statement(&mut self, lane: u8, body: Vec<u8>) {
        let kind = EntryKind::Policy;
        let hash = raccordo_transport::body_hash(kind, &body)
            .expect("a fact's body of any length has a hash");
        let header = self.own_header(lane, kind, hash, None);
        let signed = raccordo_transport::sign(header, &self.core.node_key);
        statements::keep(self, &signed.header, &body);
        self.record_entry(&signed, &BodyPlace::Here(body));
    }

    /// Signs and appends an own change: entry, body, document row.
    pub(crate) fn append_own(
        &mut self,
        id: DocumentId,
        change: &NewChange<'_>,
        group: Option<Group>,
    ) {
        let lane = self.working.get(&id).map_or(Some(LANE_SHARED), |working| {
            let territory = self.core.territory();
            let own = self.core.id.origin();
            statements::lane_in(&self.ledger.pairs, &working.row, own, &territory)
        });
        // Any other lane could be for somebody who is not to have it.
        let Some(lane) = lane else {
            self.without_lane = Some(id);
            return;
        };
        let kind = self.working.get(&id).map_or(0, |working| working.row.kind);
        let header = self.own_header(lane, EntryKind::Change, *change.hash.as_bytes(), group);
        let header = EntryHeader {
            document: *id.as_bytes(),
            document_kind: kind,
            ..header
        };
        let signed = raccordo_transport::sign(header, &self.core.node_key);
        self.record_change(id, change, &signed);
    }

    /// Signs and appends an own fact whose body stays in plain.
    pub(crate) fn append_fact(&mut self, kind: EntryKind, body: Vec<u8>) {
        let hash = raccordo_transport::body_hash(kind, &body)
            .expect("a fact's body of any length has a hash");
        let header = self.own_header(LANE_EVERYONE, kind, hash, None);
        let signed = raccordo_transport::sign(header, &self.core.node_key);
        self.record_entry(&signed, &BodyPlace::Here(body));
    }

    /// Signs the end of a document in its own lane; recording it is the caller's.
    pub(crate) fn sign_tombstone(
        &mut self,
        id: DocumentId,
        kind: Kind,
        lane: u8,
        body: &[u8],
    ) -> SignedHeader {
        let hash = raccordo_transport::body_hash(EntryKind::Tombstone, body)
            .expect("a fact's body of any length has a hash");
        let header = EntryHeader {
            document: *id.as_bytes(),
            document_kind: kind.code(),
            ..self.own_header(lane, EntryKind::Tombstone, hash, None)
        };
        raccordo_transport::sign(header, &self.core.node_key)
    }

    /// Lets nobody keep the state of these documents in memory.
    pub(crate) fn forget_documents(&mut self, ids: impl Iterator<Item = DocumentId>) {
        self.gone.extend(ids);
    }

    /// Signs an own entry anew at the end of this lane: same body, under the incarnation that the
    /// body carries; recording it is the caller's.
    pub(crate) fn sign_again(
        &mut self,
        former: &EntryHeader,
        lane: u8,
        group: Group,
    ) -> SignedHeader {
        let own = self.own_header(lane, former.kind, former.body_hash, Some(group));
        let header = EntryHeader {
            incarnation: former.incarnation,
            document: former.document,
            document_kind: former.document_kind,
            ..own
        };
        raccordo_transport::sign(header, &self.core.node_key)
    }

    /// Takes a document out of this commit's hands for good: nobody keeps its state.
    pub(super) fn let_go(&mut self, id: DocumentId) -> Option<DocumentRow> {
        self.gone.push(id);
        self.working.remove(&id).map(|working| working.row)
    }

    /// Stores a change and its entry, own or foreign: numbered in its document, and sealed with
    /// its neighbours there.
    pub(crate) fn record_change(
        &mut self,
        id: DocumentId,
        change: &NewChange<'_>,
        signed: &SignedHeader,
    ) {
        let header = &signed.header;
        let origin = ChangeOrigin {
            log: header.log(),
            seq: header.seq,
            hash: *change.hash.as_bytes(),
            hlc: header.hlc,
        };
        let working = self
            .working
            .get_mut(&id)
            .expect("the caller has adopted the document");
        let number = working.row.changes;
        working.row.changes += 1;
        if header.origin == self.core.id.origin() {
            working.row.last_seq = header.seq;
        }
        let run = working
            .changes
            .get_or_insert_with(|| OpenChangeRun::begin(number));
        if !run.push(&origin, change.bytes) {
            let mut next = OpenChangeRun::begin(number);
            next.push(&origin, change.bytes);
            let full = std::mem::replace(run, next);
            let nonce = draw(&*self.core.entropy);
            let (key, value) = full.seal(id, &working.key, nonce);
            self.batch.put(Table::Changes, key, value);
        }
        self.record_entry(signed, &BodyPlace::Change(number));
    }

    /// Stores an entry with its neighbours and moves its log's end.
    pub(crate) fn record_entry(&mut self, signed: &SignedHeader, body: &BodyPlace) {
        let header = &signed.header;
        let log = header.log();
        let end = LogEnd {
            seq: header.seq,
            hash: signed.entry_hash(),
        };
        let run = self.entries.get_mut(&log);
        if !run.is_some_and(|run| run.push(signed, body)) {
            let next = OpenEntryRun::begin(signed, body);
            if let Some(full) = self.entries.insert(log, next) {
                let (key, value) = full.row();
                self.batch.put(Table::Entries, key, value);
            }
        }
        self.ledger.totals.entries += 1;
        self.admit(log, header.seq);
        self.ledger.logs.insert(log, end);
    }

    /// Puts the runs under way into the batch, as they are.
    pub(super) fn close_runs(&mut self) {
        for run in std::mem::take(&mut self.entries).into_values() {
            let (key, value) = run.row();
            self.batch.put(Table::Entries, key, value);
        }
        for (id, working) in &mut self.working {
            if let Some(run) = working.changes.take() {
                let nonce = draw(&*self.core.entropy);
                let (key, value) = run.seal(*id, &working.key, nonce);
                self.batch.put(Table::Changes, key, value);
            }
        }
    }

    /// Gives an entry the next admission number; neighbours of one log share a row.
    fn admit(&mut self, log: LogId, seq: u64) {
        self.ledger.totals.admitted += 1;
        match self.admitted.last_mut() {
            Some(run) if run.log == log && run.seq + u64::from(run.count) == seq => run.count += 1,
            _ => self.admitted.push(AdmittedRun {
                first: self.ledger.totals.admitted,
                log,
                seq,
                count: 1,
            }),
        }
    }

    /// The hybrid clock: never behind the wall, never twice the same.
    pub(crate) fn next_hlc(&mut self) -> u64 {
        let wall = u64::try_from(self.now_ms).unwrap_or_default() << 16;
        self.ledger.totals.hlc = wall.max(self.ledger.totals.hlc + 1);
        self.ledger.totals.hlc
    }

    /// Tells the audit log, in the same commit.
    pub(crate) fn audit(&mut self, who: &str, action: &'static str, what: &str, detail: &str) {
        self.audit_at(self.now_ms, who, action, what, detail);
    }

    /// One event of the audit log about many records.
    pub(crate) fn audit_all(
        &mut self,
        who: &str,
        action: &'static str,
        records: &[String],
        detail: &str,
    ) {
        self.audited(&AuditEvent {
            at: UnixMillis(self.now_ms),
            who,
            action,
            what: "",
            records,
            detail,
        });
    }

    /// An event of the audit log that happened before this commit.
    pub(crate) fn audit_at(
        &mut self,
        at_ms: i64,
        who: &str,
        action: &'static str,
        what: &str,
        detail: &str,
    ) {
        self.audited(&AuditEvent {
            at: UnixMillis(at_ms),
            who,
            action,
            what,
            records: &[],
            detail,
        });
    }

    fn audited(&mut self, event: &AuditEvent<'_>) {
        let nonce = draw(&*self.core.entropy);
        audit::append(
            &mut self.batch,
            &mut self.ledger.totals,
            &self.core.node_seal,
            nonce,
            event,
        );
        audit::index(self.core, &mut self.batch, &mut self.ledger, event);
    }

    /// Indexes and counts every touched document, and closes the batch.
    pub(crate) fn finish(mut self) -> Result<Finished, ReadFailed> {
        if let Some(document) = self.without_lane {
            return Err(ReadFailed::Document {
                document,
                reason: "this node has no lane to write it in".to_owned(),
            });
        }
        self.close_runs();
        let working = std::mem::take(&mut self.working);
        let mut documents = Vec::with_capacity(working.len());
        for (id, mut working) in working {
            if working.row.version() != working.heads {
                self.project(id, &mut working)?;
            }
            documents.push((id, working.document));
        }
        documents.extend(self.gone.drain(..).map(|id| (id, None)));
        if self.batch.is_empty() {
            let Self {
                batch,
                ledger,
                events,
                ..
            } = self;
            return Ok(Finished {
                batch,
                ledger,
                documents,
                events,
            });
        }
        for (log, end) in &self.ledger.logs {
            if self.core.ledger().end(*log) != *end {
                self.batch.put(Table::Meta, log_end_key(*log), end.encode());
            }
        }
        for run in &self.admitted {
            self.batch
                .put(Table::Admitted, run.first.to_be_bytes(), run.encode());
        }
        self.batch
            .put(Table::Meta, *b"totals", self.ledger.totals.encode());
        self.batch
            .put(Table::Meta, *b"incarnation", self.core.incarnation());
        Ok(Finished {
            batch: self.batch,
            ledger: self.ledger,
            documents,
            events: self.events,
        })
    }

    fn own_header(
        &mut self,
        lane: u8,
        kind: EntryKind,
        body_hash: [u8; 32],
        group: Option<Group>,
    ) -> EntryHeader {
        let end = self.ledger.end(self.core.own_log(lane));
        let seq = end.seq + 1;
        let group = group.unwrap_or(Group {
            first: seq,
            count: 1,
        });
        EntryHeader {
            lane,
            origin: self.core.id.origin(),
            incarnation: self.core.incarnation(),
            seq,
            prev: end.hash,
            group_first: group.first,
            group_count: group.count,
            kind,
            document: [0; 16],
            document_kind: 0,
            body_hash,
            policy_epoch: self.ledger.totals.policy_epoch,
            hlc: self.next_hlc(),
        }
    }
}

/// A closed draft, ready for the store.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) batch: Batch,
    pub(crate) ledger: Ledger,
    /// Newest states; none where it was not kept in memory.
    pub(crate) documents: Vec<(DocumentId, Option<Arc<Document>>)>,
    pub(crate) events: Vec<Event>,
}

/// Index key of an office's own number among the records of a kind in its territory.
pub(crate) fn reference_hash(
    core: &Core,
    kind: Kind,
    territory: &str,
    reference: &str,
) -> [u8; 16] {
    let kind = kind.singular();
    let named = [kind, "\0", territory, "\0", reference].concat();
    core.vault.keyed_hash("reference", named.as_bytes())
}

/// Meta key of a log's end.
pub(crate) fn log_end_key(log: LogId) -> Vec<u8> {
    [b"log/".as_slice(), &rows::log_key(log)].concat()
}

//! Documents as proofs: what is compared with a peer, handed to it whole, or taken from it again.
//!
//! A document from a peer replaces the one here only where every change in it belongs to an entry
//! whose signed header is stored here already: a peer can give back what was lost, and nothing else.
//! Counts and digests are not moved by it, since they never lost the document.

use std::collections::BTreeMap;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use raccordo_crdt_model::{ChangeHash, Document, DocumentId, Kind, SaveLimits, StoredChange, gate};
use raccordo_transport::reconcile::Item;
use raccordo_transport::wire::parcel::DocumentParcel;
use raccordo_transport::{EntryKind, LogId, PeerId, SignedHeader};
use thiserror::Error;

use super::between::Between;
use super::change_run::{ChangeOrigin, ChangeRun, OpenChangeRun, change_key};
use super::commit;
use super::core::{Core, ReadFailed};
use super::draft::Draft;
use super::entry_run::BodyPlace;
use super::ledger::Ledger;
use super::rows::DocumentRow;
use super::stored::Reading;
use super::task::Done;
use super::view::CommandFailed;
use crate::clock::draw;
use crate::store::seal::SealKey;
use crate::store::{Store, StoreFailed, Table};

/// Documents that one look into the store takes.
const ROWS_AT_ONCE: usize = 512;

/// Why a document from a peer was not taken.
#[derive(Debug, Error)]
pub(crate) enum NotRepaired {
    /// The store failed.
    #[error(transparent)]
    Read(#[from] ReadFailed),
    /// It is not what was signed.
    #[error("{reason}")]
    Unproven {
        /// What is wrong with it.
        reason: String,
    },
}

/// What the writer is asked for.
#[derive(Debug)]
pub(crate) enum RepairCommand {
    /// These documents cannot be read here, and why.
    Damaged(Vec<(DocumentId, String)>),
    /// A peer handed these over.
    Install(PeerId, Vec<DocumentParcel>),
}

/// Does it.
pub(crate) fn execute(draft: &mut Draft<'_>, command: RepairCommand) -> Done {
    match command {
        RepairCommand::Damaged(found) => mark_damaged(draft, &found),
        RepairCommand::Install(peer, parcels) => install(draft, &peer, parcels),
    }
    Done::Nothing
}

/// The refusal of whatever asks for a record that cannot be read here for now.
pub(crate) fn sound(core: &Core, kind: Kind, id: DocumentId) -> Result<(), CommandFailed> {
    if core.ledger().damaged.contains_key(&id) {
        return Err(CommandFailed::Damaged {
            kind: kind.singular(),
            id: id.to_string(),
        });
    }
    Ok(())
}

/// What a reader is told who finds a record that does not read.
pub(crate) fn unsound(kind: Kind, id: DocumentId, failed: ReadFailed) -> CommandFailed {
    if failed.is_damage() {
        tracing::error!(document = %id, error = %commit::chain(&failed), "a record does not read");
        return CommandFailed::Damaged {
            kind: kind.singular(),
            id: id.to_string(),
        };
    }
    failed.into()
}

/// A document that proved itself, ready to be written.
#[derive(Debug)]
struct Proven {
    document: Document,
    changes: BTreeMap<u32, (ChangeOrigin, StoredChange)>,
    /// The log of the entry that created it.
    home: LogId,
    /// Newest own entry that touches it.
    last_seq: u64,
}

/// Every sound document that this node and the peer share, with the hash of its version; by id.
pub(crate) fn items(core: &Core, peer: &PeerId) -> Result<Vec<Item>, ReadFailed> {
    let ledger = core.ledger();
    let Some(between) = Between::of(core, &ledger, peer) else {
        return Ok(Vec::new());
    };
    let mut shared: BTreeMap<LogId, bool> = BTreeMap::new();
    let mut items = Vec::new();
    for_each_document(&core.store, |id, row| {
        let Ok(row) = row.and_then(|row| DocumentRow::decode(&row).map_err(|_| ())) else {
            return;
        };
        let home = LogId::new(row.home_origin, row.lane);
        let is_shared = shared.entry(home).or_insert_with(|| between.shares(home));
        if let (true, Some(indexed), false) =
            (*is_shared, &row.indexed, ledger.damaged.contains_key(&id))
        {
            items.push((*id.as_bytes(), indexed.item));
        }
    })?;
    Ok(items)
}

/// These documents whole, as far as they are sound here and shared with the peer.
pub(crate) fn parcels(core: &Core, peer: &PeerId, ids: &[[u8; 16]]) -> Vec<DocumentParcel> {
    let ledger = core.ledger();
    let Some(between) = Between::of(core, &ledger, peer) else {
        return Vec::new();
    };
    let mut parcels = Vec::new();
    for id in ids.iter().map(|id| DocumentId::from_bytes(*id)) {
        if ledger.damaged.contains_key(&id) {
            continue;
        }
        match parcel(core, &between, id) {
            Ok(found) => parcels.extend(found),
            Err(failed) => {
                tracing::warn!(document = %id, error = %commit::chain(&failed), "a document cannot be handed on");
            }
        }
    }
    parcels
}

fn parcel(
    core: &Core,
    between: &Between<'_>,
    id: DocumentId,
) -> Result<Option<DocumentParcel>, ReadFailed> {
    let Some(row) = core.document_row(id)? else {
        return Ok(None);
    };
    let home = LogId::new(row.home_origin, row.lane);
    if !between.offers(home) && !between.takes(home) {
        return Ok(None);
    }
    let key = core.document_key(id)?;
    let document = core.open_document(id, &key)?;
    let mut reading = Reading::new(core);
    let mut headers = Vec::new();
    for origin in core.change_origins(id)? {
        let entry = reading.entry(origin.log, origin.seq)?;
        headers.extend(entry.map(|entry| entry.signed));
    }
    Ok(Some(DocumentParcel {
        document: *id.as_bytes(),
        headers,
        save: document.to_save(),
    }))
}

/// Judges what a peer handed over and installs what holds.
fn install(draft: &mut Draft<'_>, peer: &PeerId, parcels: Vec<DocumentParcel>) {
    for parcel in parcels {
        let id = DocumentId::from_bytes(parcel.document);
        match prove(draft.core, parcel) {
            Ok(proven) => {
                reinstate(draft, id, &proven);
                draft.audit("peer", "repair", &id.to_string(), &peer.short());
                tracing::info!(document = %id, peer = %peer.short(), "a document was given back by a peer");
            }
            Err(failed) => {
                tracing::warn!(document = %id, peer = %peer.short(), error = %commit::chain(&failed), "a document from a peer was not taken");
            }
        }
    }
}

/// Whether the document is exactly what the entries stored here signed.
fn prove(core: &Core, parcel: DocumentParcel) -> Result<Proven, NotRepaired> {
    let id = DocumentId::from_bytes(parcel.document);
    if core.ledger().erased.contains(&id) {
        return unproven("it was erased here");
    }
    let save = gate::check_save(parcel.save, &SaveLimits::default());
    let read = save.and_then(|save| Document::from_save(id, &save));
    let (document, changes) = read.or_else(|bad| unproven(&bad.reason()))?;
    let mut by_hash: BTreeMap<ChangeHash, StoredChange> = changes
        .into_iter()
        .map(|change| (change.hash, change))
        .collect();
    let mut reading = Reading::new(core);
    let mut proven = BTreeMap::new();
    let (mut home, mut last_seq) = (None, 0);
    let ledger = core.ledger();
    let is_here = |signed: &&SignedHeader| signed.header.seq <= ledger.end(signed.header.log()).seq;
    let (here, younger): (Vec<_>, Vec<_>) = parcel.headers.iter().partition(is_here);
    // The peer may hold more of it: those entries wait here for this document, and bring the rest.
    for signed in &younger {
        by_hash.remove(&ChangeHash::from_bytes(signed.header.body_hash));
    }
    for signed in here {
        let (number, hash) = place(&mut reading, id, signed)?;
        let change = by_hash.remove(&hash);
        let Some(change) = change.filter(|change| is_of(change, signed)) else {
            return unproven("a signed change is not in it");
        };
        let header = &signed.header;
        if header.origin == core.id.origin() {
            last_seq = last_seq.max(header.seq);
        }
        // What begins it says whose it is, whichever log was stored first.
        if change.dependencies.is_empty() {
            home = Some(header.log());
        }
        let origin = ChangeOrigin {
            log: header.log(),
            seq: header.seq,
            hash: *hash.as_bytes(),
            hlc: header.hlc,
        };
        proven.insert(number, (origin, change));
    }
    if !by_hash.is_empty() {
        return unproven("it holds changes that nobody signed");
    }
    let document = if younger.is_empty() {
        document
    } else {
        rebuilt(id, &proven)?
    };
    let count = u32::try_from(proven.len()).unwrap_or(u32::MAX);
    let whole = proven.keys().copied().eq(0..count);
    let stored = core.document_row(id).ok().flatten();
    let newest = stored.is_none_or(|row| row.changes == count);
    match home {
        Some(home) if whole && newest => Ok(Proven {
            document,
            changes: proven,
            home,
            last_seq,
        }),
        _ => unproven("it is another version than the entries here make"),
    }
}

/// The document of some of the changes of a save that was found sound, in the order in which they came.
fn rebuilt(
    id: DocumentId,
    proven: &BTreeMap<u32, (ChangeOrigin, StoredChange)>,
) -> Result<Document, NotRepaired> {
    let check = |change: &StoredChange| {
        let (origin, incarnation) = (change.actor.origin(), change.actor.incarnation());
        gate::check(change.bytes.clone(), &change.hash, origin, incarnation)
    };
    let changes = proven.values().map(|(_, change)| check(change));
    let changes: Result<Vec<_>, _> = changes.collect();
    let document = changes.and_then(|changes| Document::empty(id).absorb(&changes));
    document.or_else(|bad| unproven(&bad.reason()))
}

/// The number of the change that the entry brought here, and its hash; refused unless the very same
/// header is stored here.
fn place(
    reading: &mut Reading<'_>,
    id: DocumentId,
    signed: &SignedHeader,
) -> Result<(u32, ChangeHash), NotRepaired> {
    let header = &signed.header;
    let stored = reading.entry(header.log(), header.seq)?;
    let Some(stored) = stored.filter(|stored| stored.signed == *signed) else {
        return unproven("an entry that signs for it is not held here");
    };
    match stored.body {
        BodyPlace::Change(number)
            if header.kind == EntryKind::Change && header.document == *id.as_bytes() =>
        {
            Ok((number, ChangeHash::from_bytes(header.body_hash)))
        }
        _ => unproven("an entry that signs for it is of something else"),
    }
}

/// Whether the change was made by who signed it.
fn is_of(change: &StoredChange, signed: &SignedHeader) -> bool {
    change.actor.origin() == signed.header.origin
        && change.actor.incarnation() == signed.header.incarnation
}

fn unproven<T>(reason: &str) -> Result<T, NotRepaired> {
    Err(NotRepaired::Unproven {
        reason: reason.to_owned(),
    })
}

/// Writes all rows of a document anew, under the numbers that its entries know.
fn reinstate(draft: &mut Draft<'_>, id: DocumentId, proven: &Proven) {
    let core = draft.core;
    let changes = u32::try_from(proven.changes.len()).unwrap_or(u32::MAX);
    let key = key_of(draft, id);
    for number in 0..changes {
        draft.batch.delete(Table::Changes, change_key(id, number));
    }
    let mut run: Option<OpenChangeRun> = None;
    let close = |draft: &mut Draft<'_>, run: OpenChangeRun| {
        let (row_key, value) = run.seal(id, &key, draw(&*core.entropy));
        draft.batch.put(Table::Changes, row_key, value);
    };
    for (number, (origin, change)) in &proven.changes {
        let open = run.get_or_insert_with(|| OpenChangeRun::begin(*number));
        if !open.push(origin, &change.bytes) {
            let mut next = OpenChangeRun::begin(*number);
            next.push(origin, &change.bytes);
            close(draft, std::mem::replace(open, next));
        }
    }
    if let Some(run) = run {
        close(draft, run);
    }
    let row = DocumentRow {
        kind: proven.document.kind().code(),
        lane: proven.home.lane,
        home_origin: proven.home.origin,
        territory: proven.document.territory().to_owned(),
        changes,
        last_seq: proven.last_seq,
        heads: proven.document.heads().iter().copied().collect(),
        indexed: None,
    };
    draft.restore(id, &proven.document, row, &key);
    let damaged = Arc::make_mut(&mut draft.ledger.damaged);
    damaged.remove(&id);
    draft.batch.delete(Table::Meta, damaged_key(id));
}

/// The document's key, or a new one where it cannot be read any more.
fn key_of(draft: &mut Draft<'_>, id: DocumentId) -> SealKey {
    let core = draft.core;
    core.document_key(id).unwrap_or_else(|_| {
        let (key, wrapped) = core.vault.new_document_key(*id.as_bytes(), &*core.entropy);
        draft.batch.put(Table::Keys, *id.as_bytes(), wrapped);
        key
    })
}

/// Takes note that documents cannot be read: they are served to nobody until a peer gives them back.
fn mark_damaged(draft: &mut Draft<'_>, found: &[(DocumentId, String)]) {
    for (id, reason) in found {
        let home = home_of(&draft.core.store, *id);
        let damaged = Arc::make_mut(&mut draft.ledger.damaged);
        if damaged.insert(*id, home).is_none() {
            draft
                .batch
                .put(Table::Meta, damaged_key(*id), reason.as_bytes());
            draft.audit("node", "damaged", &id.to_string(), reason);
            tracing::error!(document = %id, reason, "a stored document is damaged; it is fetched from a peer");
        }
    }
    draft.forget_documents(found.iter().map(|(id, _)| *id));
}

/// The log that created a document, as far as what is stored of it still tells.
pub(crate) fn home_of(store: &Store, id: DocumentId) -> Option<LogId> {
    let row = store.get(Table::Documents, id.as_bytes()).ok().flatten();
    if let Some(row) = row.and_then(|row| DocumentRow::decode(&row).ok()) {
        return Some(LogId::new(row.home_origin, row.lane));
    }
    let runs = store.scan(Table::Changes, id.as_bytes(), None, 1).ok()?;
    let (key, value) = runs.first()?;
    let run = ChangeRun::decode(key, value).ok()?;
    Some(run.origins.first()?.log)
}

/// The damaged documents that a peer may give back: it is told of no other.
pub(crate) fn wanted(ledger: &Ledger, between: &Between<'_>) -> Vec<[u8; 16]> {
    if ledger.damaged.is_empty() {
        return Vec::new();
    }
    // Where the home cannot be told any more, only a peer hears of it that shares all there is.
    let all_shared = ledger.homes.keys().all(|home| between.shares(*home));
    let told = |home: &Option<LogId>| home.map_or(all_shared, |home| between.shares(home));
    let damaged = ledger.damaged.iter();
    damaged
        .filter(|(_, home)| told(home))
        .map(|(id, _)| *id.as_bytes())
        .collect()
}

/// Meta keys of damaged documents begin so.
pub(crate) const DAMAGED: &[u8] = b"damaged/";

fn damaged_key(id: DocumentId) -> Vec<u8> {
    [DAMAGED, id.as_bytes()].concat()
}

/// Visits every stored document's row in order of id; one that fails its checksum as an error.
pub(crate) fn for_each_document(
    store: &Store,
    mut visit: impl FnMut(DocumentId, Result<Vec<u8>, ()>),
) -> Result<(), ReadFailed> {
    let mut after: Option<Vec<u8>> = None;
    let mut limit = ROWS_AT_ONCE;
    loop {
        match store.scan(Table::Documents, b"", after.as_deref(), limit) {
            Ok(page) => {
                let full = page.len() == limit;
                for (key, value) in page {
                    if let Ok(id) = key.as_slice().try_into() {
                        visit(DocumentId::from_bytes(id), Ok(value));
                    }
                    after = Some(key);
                }
                if !full {
                    return Ok(());
                }
            }
            // One by one up to the damaged row, then past it.
            Err(StoreFailed::Damaged { key, .. }) => {
                let key = HEXLOWER.decode(key.as_bytes()).unwrap_or_default();
                if limit > 1 {
                    limit = 1;
                    continue;
                }
                if let Ok(id) = key.as_slice().try_into() {
                    visit(DocumentId::from_bytes(id), Err(()));
                }
                after = Some(key);
                limit = ROWS_AT_ONCE;
            }
            Err(failed) => return Err(failed.into()),
        }
    }
}

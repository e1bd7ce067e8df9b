//! What people do here, one record at a time: create and patch.
//!
//! Nothing is put into the draft before the model has accepted it, so that a refused command
//! leaves the others of the same commit alone.

use std::sync::Arc;

use raccordo_crdt_model::command::Operation;
use raccordo_crdt_model::{
    Change, Document, DocumentId, Heads, Kind, Patch, Stamp, UnixMillis, Writer,
};

use crate::clock::draw;
use crate::store::Table;

use super::admission;
use super::casefiles;
use super::core::ReadFailed;
use super::draft::{Draft, NewChange, reference_hash};
use super::publish;
use super::repair;
use super::scope;
use super::subject;
use super::task::Done;
use super::tombstone;
use super::transfer;
use super::view::CommandFailed;

impl Draft<'_> {
    /// A record of this kind as the draft would leave it, taken under its hand. An id alone names a
    /// record of any kind, and what is allowed differs from kind to kind.
    pub(crate) fn open(
        &mut self,
        kind: Kind,
        id: DocumentId,
    ) -> Result<Arc<Document>, CommandFailed> {
        tombstone::still_there(self, kind, id)?;
        repair::sound(self.core, kind, id)?;
        let document = self.document_in_hand(id)?;
        let document = document.filter(|document| document.kind() == kind);
        document.ok_or_else(|| missing(kind, id))
    }
}

/// Creates a record.
pub(crate) fn create(
    draft: &mut Draft<'_>,
    kind: Kind,
    fields: &serde_json::Value,
    by: &str,
) -> Result<Done, CommandFailed> {
    let territory = draft.core.territory();
    may_write(draft, kind)?;
    transfer::may_create(kind, fields)?;
    let id = DocumentId::from_bytes(draw(&*draft.core.entropy));
    let mut fields = fields.clone();
    publish::keep_home(draft.core, kind, &mut fields)?;
    let subject = subject::taken_out(draft, kind, &mut fields)?;
    let fields = &fields;
    let stamp = stamp(draft, by);
    let (document, change) =
        Document::create(id, kind, &territory, fields, &stamp).map_err(CommandFailed::Rejected)?;
    subject::may_be_shared(&document, fields).map_err(CommandFailed::Rejected)?;
    if kind == Kind::Person {
        subject::code_is_free(draft, id, fields.get("fiscal_code"))?;
    }
    casefiles::may_begin(draft, &document)?;
    if kind == Kind::Casefile {
        subject::links_stay_home(draft, &fields["subject"], &subject::links_in(fields))?;
    }
    let reference = fields.get("ref").and_then(serde_json::Value::as_str);
    if let Some(reference) =
        reference.filter(|r| !holders(draft, kind, &territory, r).is_ok_and(|h| h.is_empty()))
    {
        return Err(CommandFailed::ReferenceInUse {
            reference: reference.to_owned(),
        });
    }
    if let Some(subject) = &subject {
        subject::link(draft, subject, id, by)?;
    }
    let terms = document.summary().terms;
    enter(draft, document, &change);
    draft.index(id, &terms)?;
    refer(draft, kind, &territory, reference, id);
    draft.audit(by, "create", &id.to_string(), "");
    Ok(Done::Record(id))
}

/// Changes a record, at the version that the author saw.
pub(crate) fn patch(
    draft: &mut Draft<'_>,
    kind: Kind,
    id: DocumentId,
    patch: &Patch,
    base: Option<&Heads>,
    by: &str,
) -> Result<Done, CommandFailed> {
    let stamp = stamp(draft, by);
    let before = draft.open(kind, id)?;
    if kind == Kind::Person && (patch.touches("state") || patch.touches("merged_into")) {
        subject::merges_into_somebody(draft, &before, patch, base, &stamp)?;
    }
    drop(before);
    let home = draft
        .row(id)
        .map(|row| row.territory.clone())
        .unwrap_or_default();
    if home != draft.core.territory() {
        return Err(CommandFailed::NotHome { territory: home });
    }
    may_write(draft, kind)?;
    transfer::not_by_hand(kind)?;
    let mut document = draft.take_document(id)?.ok_or_else(|| missing(kind, id))?;
    let allowed = subject::patch_may_be_shared(&document, patch)
        .map_err(CommandFailed::Rejected)
        .and_then(|()| code_is_free(draft, &document, patch))
        .and_then(|()| casefiles::may_change(draft, &document, patch))
        .and_then(|()| reference_is_free(draft, &document, patch))
        .and_then(|()| links_stay_home(draft, &document, patch));
    if let Err(refused) = allowed {
        draft.advance(id, Arc::new(document));
        return Err(refused);
    }
    let base = match transfer::may_edit(draft.core, &document, patch, base) {
        Ok(base) => base,
        Err(refused) => {
            draft.advance(id, Arc::new(document));
            return Err(refused);
        }
    };
    let former = reference_of(&document, patch);
    let outcome = document.patch(patch, base, &stamp);
    let now = reference_of(&document, patch);
    draft.advance(id, Arc::new(document));
    if let Some(change) = outcome.map_err(CommandFailed::Rejected)? {
        draft.append_own(id, &new_change(&change), None);
        if former != now {
            // At once, for what follows in this commit.
            unrefer(draft, kind, &home, former.as_deref(), id);
            refer(draft, kind, &home, now.as_deref(), id);
        }
        draft.audit(by, "change", &id.to_string(), "");
    }
    Ok(Done::Record(id))
}

/// Whether no other person has the fiscal code that a patch gives to this one.
fn code_is_free(
    draft: &Draft<'_>,
    document: &Document,
    patch: &Patch,
) -> Result<(), CommandFailed> {
    if document.kind() != Kind::Person {
        return Ok(());
    }
    for (pointer, operation) in patch.steps() {
        let of_code = matches!(pointer.tokens(), [name] if name == "fiscal_code");
        if let (true, Operation::Add(code) | Operation::Replace(code)) = (of_code, operation) {
            subject::code_is_free(draft, document.id(), Some(code))?;
        }
    }
    Ok(())
}

/// Whether no other record of the territory has the number that a patch gives to this one.
fn reference_is_free(
    draft: &Draft<'_>,
    document: &Document,
    patch: &Patch,
) -> Result<(), CommandFailed> {
    let Some(reference) = patch.reference() else {
        return Ok(());
    };
    if document.summary().reference.as_ref() == Some(&reference) {
        return Ok(());
    }
    let held = holders(draft, document.kind(), document.territory(), &reference)?;
    if held.iter().any(|id| *id != document.id()) {
        return Err(CommandFailed::ReferenceInUse { reference });
    }
    Ok(())
}

/// The number of a record, where a patch is about it.
fn reference_of(document: &Document, patch: &Patch) -> Option<String> {
    let is_touched = patch.touches("ref");
    is_touched.then(|| document.summary().reference).flatten()
}

/// Whether none of the projects that a patch notes in a casefile takes somebody protected along.
fn links_stay_home(
    draft: &Draft<'_>,
    document: &Document,
    patch: &Patch,
) -> Result<(), CommandFailed> {
    if document.kind() != Kind::Casefile {
        return Ok(());
    }
    let links = subject::links_of(patch);
    if links.is_empty() {
        return Ok(());
    }
    subject::links_stay_home(draft, &document.record().fields["subject"], &links)
}

/// Whether nodes of this role write records of this kind.
pub(super) fn may_write(draft: &Draft<'_>, kind: Kind) -> Result<(), CommandFailed> {
    let refused = |_| CommandFailed::NotHome {
        territory: writer(kind).to_owned(),
    };
    admission::may_write(kind, draft.core.config().node.role).map_err(refused)
}

/// Who writes records of a kind.
pub(crate) fn writer(kind: Kind) -> &'static str {
    match kind.writer() {
        Writer::District => "a district",
        Writer::Coordination => "the coordination",
    }
}

/// Puts a new document and its first change into the draft.
pub(crate) fn enter(draft: &mut Draft<'_>, document: Document, change: &Change) {
    let lane = scope::lane_of(document.kind(), document.is_local());
    let lane = lane.expect("what goes to one other territory is entered in its lane");
    enter_in(draft, lane, document, change);
}

/// Puts a new document into the draft, in this lane.
pub(crate) fn enter_in(draft: &mut Draft<'_>, lane: u8, document: Document, change: &Change) {
    let id = document.id();
    let home = draft.core.own_log(lane);
    draft.adopt_new(id, document.kind(), document.territory(), home);
    draft.advance(id, Arc::new(document));
    draft.append_own(id, &new_change(change), None);
}

/// The documents of a territory that have this reference, as the draft would leave it.
pub(crate) fn holders(
    draft: &Draft<'_>,
    kind: Kind,
    territory: &str,
    reference: &str,
) -> Result<Vec<DocumentId>, ReadFailed> {
    let hash = reference_hash(draft.core, kind, territory, reference);
    let stored = draft.core.store.scan(Table::References, &hash, None, 16)?;
    let mut keys: Vec<Vec<u8>> = stored.into_iter().map(|(key, _)| key).collect();
    let pending = draft.batch.pending_from(Table::References, &hash);
    let pending = pending.take_while(|(key, _)| key.starts_with(&hash));
    let pending = pending.filter(|(_, value)| value.is_some());
    keys.extend(pending.map(|(key, _)| key.to_vec()));
    Ok(keys.iter().filter_map(|key| document_of(key)).collect())
}

/// Puts the reference of a record just created into the index at once, for what follows it.
pub(crate) fn refer(
    draft: &mut Draft<'_>,
    kind: Kind,
    territory: &str,
    reference: Option<&str>,
    id: DocumentId,
) {
    if let Some(reference) = reference {
        let key = reference_key(draft, kind, territory, reference, id);
        draft.batch.put(Table::References, key, Vec::new());
    }
}

/// Takes the reference that a record had out of the index.
fn unrefer(
    draft: &mut Draft<'_>,
    kind: Kind,
    territory: &str,
    reference: Option<&str>,
    id: DocumentId,
) {
    if let Some(reference) = reference {
        let key = reference_key(draft, kind, territory, reference, id);
        draft.batch.delete(Table::References, key);
    }
}

fn reference_key(
    draft: &Draft<'_>,
    kind: Kind,
    territory: &str,
    reference: &str,
    id: DocumentId,
) -> Vec<u8> {
    let hash = reference_hash(draft.core, kind, territory, reference);
    [hash.as_slice(), id.as_bytes()].concat()
}

pub(crate) fn new_change(change: &Change) -> NewChange<'_> {
    NewChange {
        hash: change.hash,
        bytes: &change.bytes,
    }
}

fn missing(kind: Kind, id: DocumentId) -> CommandFailed {
    CommandFailed::NotFound {
        kind: kind.singular(),
        id: id.to_string(),
    }
}

fn document_of(reference_key: &[u8]) -> Option<DocumentId> {
    reference_key
        .get(16..)?
        .try_into()
        .ok()
        .map(DocumentId::from_bytes)
}

fn stamp(draft: &Draft<'_>, by: &str) -> Stamp {
    Stamp {
        origin: draft.core.id.origin(),
        incarnation: draft.core.incarnation(),
        at: UnixMillis(draft.now_ms),
        by: Some(by.to_owned()),
        line: None,
        imported: false,
    }
}

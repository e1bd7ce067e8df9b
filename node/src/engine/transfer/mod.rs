//! Handing a project over to another district, so that there are never two editable copies.
//!
//! The sender's project is locked from the offer on. Each node that could accept gives its word
//! once: accepted or declined. The sender opens its project again only when all of them have
//! declined, and closes it for good when one has accepted; what follows by itself is driven from
//! what is stored (`step`), at the start and after every commit that moved something.

mod already_here;
mod commands;
mod driver;
mod forgotten;
mod gather;
mod later;
mod lock;
mod parcel;
mod receivers;
mod shown;
mod step;
mod terms;
#[cfg(test)]
mod tests;
mod unpack;

use std::collections::BTreeMap;

use raccordo_crdt_model::field_rules::transfer as rules;
use raccordo_crdt_model::{
    Document, DocumentId, Filled, Heads, ImportLine, ImportOp, Kind, Patch, Problem, Rejected,
};
use serde_json::Value;

use super::core::Core;
use super::days::date;
use super::draft::Draft;
use super::ledger::Ledger;
use super::overview;
use super::view::CommandFailed;
use crate::store::{Row, Table};

pub use self::already_here::Arrival;
pub use self::commands::Offer;
pub(crate) use self::commands::{TransferCommand, execute};
pub(crate) use self::driver::{Driver, acts};
pub(crate) use self::forgotten::{ask, brought, held};
#[cfg(feature = "testing")]
pub(crate) use self::gather::subject_of;
pub(crate) use self::shown::show;
use self::terms::Terms;

/// Meta keys of transfers that are not at their end begin so.
pub(crate) const OPEN: &[u8] = b"transfer/";

/// The state of a project that is offered, and of one that was handed over.
const TRANSFERRING: &str = "transferring";
const TRANSFERRED: &str = "transferred";
/// Why nobody writes the links of a transfer.
const LINKS_BY_NODE: &str = "from which project one goes on, in which it ends and by which transfer \
                             is written by the node when a transfer is accepted or completed";

/// A transfer as far as memory knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Handing {
    /// Hash of the version that is here; zeros before it was looked at.
    pub(crate) item: [u8; 32],
    /// Accepted and not at rest: the project as it was, and each that was made in its place.
    pub(crate) copies: Vec<DocumentId>,
}

/// The transfers that are not at their end.
pub(crate) fn read(rows: Vec<Row>) -> BTreeMap<DocumentId, Handing> {
    let open = rows.into_iter().filter_map(|(key, value)| {
        let id = DocumentId::from_bytes(key.get(OPEN.len()..)?.try_into().ok()?);
        let copies = value.chunks_exact(16);
        let copies = copies.map(|id| DocumentId::from_bytes(id.try_into().expect("16 bytes")));
        let copies = copies.collect();
        let item = [0; 32];
        Some((id, Handing { item, copies }))
    });
    open.collect()
}

/// Takes note of a transfer that a commit touches, so that its next step is looked for.
pub(crate) fn note(
    draft: &mut Draft<'_>,
    id: DocumentId,
    document: Option<&Document>,
    item: [u8; 32],
) {
    let terms = document.and_then(|document| Terms::read(&document.record().fields));
    let row = [OPEN, id.as_bytes()].concat();
    let mut copies = Vec::new();
    if terms.as_ref().is_some_and(Terms::is_at_rest) {
        draft.batch.delete(Table::Meta, row);
    } else {
        if let Some(terms) = terms.filter(|terms| terms.winner().is_some()) {
            copies.push(terms.project);
            copies.extend(terms.accepted().map(|(_, made)| made));
        }
        look_at_subjects(draft, &copies);
        let value: Vec<u8> = copies.iter().flat_map(|id| *id.as_bytes()).collect();
        draft.batch.put(Table::Meta, row, value);
    }
    let transfers = std::sync::Arc::make_mut(&mut draft.ledger.transfers);
    transfers.insert(id, Handing { item, copies });
}

/// Has it looked at anew in how many territories the subjects of these projects are.
fn look_at_subjects(draft: &mut Draft<'_>, projects: &[DocumentId]) {
    for id in projects {
        let row = draft.core.document_row(*id).ok().flatten();
        let indexed = row.and_then(|row| row.indexed);
        let Some((indexed, token)) = indexed.and_then(|row| row.token.map(|token| (row, token)))
        else {
            continue;
        };
        let household = u8::from(indexed.subject_kind == "household");
        draft.look_at_overlap(&[&[household], token.as_slice()].concat());
    }
}

/// Takes note that a transfer was erased: nothing follows from it any more.
pub(crate) fn erased(draft: &mut Draft<'_>, id: DocumentId) {
    draft
        .batch
        .delete(Table::Meta, [OPEN, id.as_bytes()].concat());
    later::forget(draft, id);
    std::sync::Arc::make_mut(&mut draft.ledger.transfers).remove(&id);
}

/// How many projects are here more than once: the sender has not heard yet that its project has
/// been taken over, or two nodes took it over at once and one has still to give way.
pub(crate) fn counted_twice(core: &Core, ledger: &Ledger) -> u64 {
    let counts = |id: &&DocumentId| {
        let row = core.document_row(**id).ok().flatten();
        let state = row.and_then(|row| row.indexed).map(|indexed| indexed.state);
        state.is_some_and(|state| !overview::is_given(&state))
    };
    let more = ledger.transfers.values().map(|handing| {
        let here = handing.copies.iter().filter(counts).count() as u64;
        here.saturating_sub(1)
    });
    more.sum()
}

/// Today, as the node's clock says.
pub(crate) fn today(core: &Core) -> String {
    date(core.clock.unix_millis())
}

/// Transfers are made and moved by their own commands.
pub(crate) fn not_by_hand(kind: Kind) -> Result<(), CommandFailed> {
    if kind != Kind::Transfer {
        return Ok(());
    }
    let detail = "a transfer is made by offering a project, and moved by accepting, refusing or \
                  withdrawing it";
    Err(refused("", rules::BY_COMMAND, detail))
}

/// Whether people may make this edit of a record; the version that it is made on: of a locked
/// project the newest, so that the lock is not passed by.
pub(crate) fn may_edit<'h>(
    core: &Core,
    document: &Document,
    patch: &Patch,
    base: Option<&'h Heads>,
) -> Result<Option<&'h Heads>, CommandFailed> {
    if document.kind() != Kind::Project {
        return Ok(base);
    }
    let state = document.summary().state;
    let to = patch.state();
    let passes = |state: &str| state == TRANSFERRING || state == TRANSFERRED;
    let by_hand = match to {
        Some(to) if state == TRANSFERRING => passes(&to) || !lock::is_left_over(core, document)?,
        Some(to) => passes(&to) && to != state,
        None => false,
    };
    if by_hand || (passes(&state) && patch.touches("links")) {
        let detail = "a project passes from one district to another by offering, accepting, \
                      refusing or withdrawing a transfer alone";
        return Err(refused("/state", rules::BY_COMMAND, detail));
    }
    if let Some(pointer) = lock::changed_by(document, patch) {
        return Err(links_by_node(pointer));
    }
    Ok(base.filter(|_| !passes(&state)))
}

/// Whether people may make a record with these fields.
pub(crate) fn may_create(kind: Kind, fields: &Value) -> Result<(), CommandFailed> {
    not_by_hand(kind)?;
    let pointer = lock::changed(&Value::Null, &fields["links"]);
    match pointer.filter(|_| kind == Kind::Project) {
        Some(pointer) => Err(links_by_node(pointer)),
        None => Ok(()),
    }
}

/// Whether a record may be erased: not a project while another district may be taking it over, and
/// not the transfer by which it may.
pub(crate) fn may_erase(
    draft: &mut Draft<'_>,
    kind: Kind,
    id: DocumentId,
) -> Result<(), CommandFailed> {
    if kind != Kind::Project && kind != Kind::Transfer {
        return Ok(());
    }
    let Some(document) = draft.document_in_hand(id)? else {
        return Ok(());
    };
    let terms = (kind == Kind::Transfer)
        .then(|| Terms::read(&document.record().fields))
        .flatten();
    if terms.is_some_and(|terms| !terms.is_settled()) {
        let detail = "the transfer is not at its end and its project is locked by it: \
                      withdraw it, then erase it";
        return Err(refused_as("/state", rules::LOCKED, "erase", &[], detail));
    }
    if kind == Kind::Project
        && document.summary().state == TRANSFERRING
        && !lock::is_left_over(draft.core, &document)?
    {
        let detail = "the project is being transferred: withdraw the transfer, then erase it";
        return Err(refused_as("/state", rules::LOCKED, "erase", &[], detail));
    }
    Ok(())
}

/// Whether a line may be imported into this record. A record whose line says that it is being
/// handed over is made as it was exported; its lock is left over, since transfers are not imported.
pub(crate) fn may_import(
    core: &Core,
    line: &ImportLine,
    document: Option<&Document>,
) -> Result<(), Problem> {
    let kind = line.kind;
    if kind == Kind::Transfer {
        let detail = "transfers are not imported: offer the project";
        return Err(Problem::new("/kind", rules::BY_COMMAND, detail));
    }
    let Some(document) = document.filter(|_| kind == Kind::Project) else {
        return Ok(());
    };
    let left_over = |document| lock::is_left_over(core, document).unwrap_or(false);
    let locked = match document.summary().state.as_str() {
        TRANSFERRING => !left_over(document),
        state => state == TRANSFERRED,
    };
    if locked {
        let detail = "the project is locked by a transfer: nothing is imported into it";
        return Err(Problem::new("/ref", rules::LOCKED, detail).said("import", &[]));
    }
    let ImportOp::Patch { patch } = &line.op else {
        return Ok(());
    };
    if patch.state().as_deref() == Some(TRANSFERRING) {
        let detail = "a project is locked by offering it alone";
        return Err(Problem::new("/patch/state", rules::BY_COMMAND, detail));
    }
    match lock::changed_by(document, patch) {
        Some(pointer) => Err(of_links(pointer)),
        None => Ok(()),
    }
}

fn of_links(pointer: String) -> Problem {
    Problem::new(pointer, rules::BY_COMMAND, LINKS_BY_NODE).said("links", &[])
}

fn links_by_node(pointer: String) -> CommandFailed {
    CommandFailed::Rejected(Rejected::Rule(of_links(pointer)))
}

fn refused(pointer: &str, code: &'static str, detail: impl Into<String>) -> CommandFailed {
    refused_as(pointer, code, "", &[], detail)
}

/// As [`refused`], where one code has several sentences.
fn refused_as(
    pointer: &str,
    code: &'static str,
    variant: &'static str,
    filled: &[(&'static str, Filled)],
    detail: impl Into<String>,
) -> CommandFailed {
    let problem = Problem::new(pointer, code, detail).said(variant, filled);
    CommandFailed::Rejected(Rejected::Rule(problem))
}

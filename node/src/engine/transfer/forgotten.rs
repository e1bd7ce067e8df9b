//! What stays sealed in a transfer after the receiver has forgotten whom it was about.
//!
//! Only the home of a record may erase it, so the receiver asks in the transfer itself; the sender's
//! node erases it as soon as it hears of that, the transfer is at its end and no hold forbids it. Does
//! not erase.

use std::collections::BTreeSet;

use raccordo_crdt_model::{Document, DocumentId, Kind};
use serde_json::json;

use super::super::core::{Core, ReadFailed};
use super::super::draft::Draft;
use super::super::forget;
use super::super::read;
use super::super::view::{CommandFailed, HeldErasure};
use super::commands::{add, advance, begin_lane, edit, stamp};
use super::terms::Terms;

/// The transfers that are here and by which one of these projects came; whom each is from.
pub(crate) fn brought(
    core: &Core,
    projects: &BTreeSet<DocumentId>,
) -> Result<Vec<(DocumentId, String)>, ReadFailed> {
    let mut found = Vec::new();
    for (id, _) in read::all_of(core, Kind::Transfer)? {
        let Some(transfer) = core.look(id)? else {
            continue;
        };
        let terms = Terms::read(&transfer.record().fields);
        let made = |terms: &Terms| terms.accepted().any(|(_, made)| projects.contains(&made));
        let terms = terms.filter(|terms| terms.to == core.territory() && made(terms));
        found.extend(terms.map(|terms| (id, terms.from)));
    }
    Ok(found)
}

/// What was asked for and is forbidden for now: this territory's transfers, with who asked, and the
/// code of what forbids it.
pub(crate) fn held(core: &Core) -> Result<Vec<HeldErasure>, CommandFailed> {
    let mut found = Vec::new();
    for id in core.ledger().transfers.keys() {
        let Some(transfer) = core.look(*id)? else {
            continue;
        };
        let terms = Terms::read(&transfer.record().fields);
        let Some(terms) = terms.filter(|terms| terms.from == core.territory()) else {
            continue;
        };
        if let Some(code) = held_by(core, *id, &terms)? {
            found.push(HeldErasure {
                transfer: *id,
                asked_by: terms.to,
                held_by: code,
            });
        }
    }
    Ok(found)
}

/// The code of what forbids for now to erase a transfer that the receiver has forgotten.
pub(super) fn held_by(
    core: &Core,
    id: DocumentId,
    terms: &Terms,
) -> Result<Option<&'static str>, CommandFailed> {
    let asked = terms.forgotten && terms.is_settled() && core.territory() == terms.from;
    if !asked {
        return Ok(None);
    }
    forget::forbidden(core, Kind::Transfer, id)
}

/// Asks the senders of these records to erase the transfers by which they came.
pub(crate) fn ask(
    draft: &mut Draft<'_>,
    records: &BTreeSet<(Kind, DocumentId)>,
    by: &str,
) -> Result<(), CommandFailed> {
    let projects = records.iter().filter(|(kind, _)| *kind == Kind::Project);
    let projects: BTreeSet<_> = projects.map(|(_, id)| *id).collect();
    if projects.is_empty() {
        return Ok(());
    }
    for (id, from) in brought(draft.core, &projects)? {
        let Some(transfer) = draft.document_in_hand(id)? else {
            continue;
        };
        let mut asked = Document::clone(&transfer);
        let today = super::date(draft.now_ms);
        let patch = json!([add("/forgotten_on", &json!(today))]);
        let change = edit(&mut asked, &patch, &stamp(draft, by, true))?;
        begin_lane(draft, &from)?;
        advance(draft, id, asked, change.as_slice());
        draft.audit(by, "transfer-forget", &id.to_string(), "");
    }
    Ok(())
}

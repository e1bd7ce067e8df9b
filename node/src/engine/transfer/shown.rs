//! A transfer as people see it: without the sealed text, with what may be seen before accepting.
//!
//! The preview comes from the project itself at the sender and from the opened parcel at the
//! receiver; a coordination has neither. While it is offered, the receiver also sees which of its own
//! people may arrive. Nothing here is stored.

use raccordo_crdt_model::DocumentId;
use serde_json::{Value, json};

use super::super::commit;
use super::super::confirming;
use super::super::core::Core;
use super::already_here;
use super::driver::is_out;
use super::forgotten;
use super::parcel::{Parcel, preview};
use super::terms::Terms;
use super::today;

/// Puts preview and who is waited for into a transfer's fields, and takes the sealed text out.
pub(crate) fn show(core: &Core, id: DocumentId, fields: &mut Value) {
    let terms = Terms::read(fields);
    let parcel = terms
        .as_ref()
        .and_then(|terms| arriving(core, id, terms, fields));
    let seen = terms
        .as_ref()
        .and_then(|terms| of(core, terms, parcel.as_ref()));
    let open = terms.as_ref().is_some_and(|terms| terms.state == "offered");
    let here = parcel.filter(|_| open).map(|parcel| here(core, &parcel));
    let waits = terms.as_ref().map(|terms| waits_for(core, terms));
    let held = terms.as_ref().and_then(|terms| held(core, id, terms));
    let unconfirmed = terms.as_ref().map(|terms| not_confirmed(core, terms));
    let Some(members) = fields.as_object_mut() else {
        return;
    };
    for sealed in ["sealed", "keys", "pieces", "later", "later_keys"] {
        members.remove(sealed);
    }
    members.insert("preview".to_owned(), seen.unwrap_or(Value::Null));
    if let Some(here) = here {
        members.insert("already_here".to_owned(), here);
    }
    if let Some(code) = held {
        members.insert("erasure_held_by".to_owned(), json!(code));
    }
    members.insert("waits_for".to_owned(), json!(waits.unwrap_or_default()));
    let unconfirmed = unconfirmed.filter(|unconfirmed| !unconfirmed.is_empty());
    if let Some(unconfirmed) = unconfirmed {
        members.insert("not_confirmed".to_owned(), json!(unconfirmed));
    }
}

/// The parcel, at the receiver.
fn arriving(core: &Core, id: DocumentId, terms: &Terms, fields: &Value) -> Option<Parcel> {
    let is_ours = core.territory() == terms.to;
    is_ours.then(|| Parcel::open(core, id, terms, fields))?
}

/// Those here who may be the people that arrive.
pub(super) fn here(core: &Core, parcel: &Parcel) -> Value {
    let found = already_here::found(core, parcel).unwrap_or_else(|failed| {
        tracing::error!(error = %commit::chain(&failed), "people here could not be looked through");
        Vec::new()
    });
    already_here::shown(&found)
}

fn of(core: &Core, terms: &Terms, parcel: Option<&Parcel>) -> Option<Value> {
    if core.territory() == terms.from {
        let project = core.look(terms.project).ok().flatten()?;
        return Some(preview(&project.record().fields, None, &today(core)));
    }
    let parcel = parcel?;
    let note = parcel.note.as_deref();
    Some(preview(&parcel.project, note, &today(core)))
}

/// What keeps the sender from erasing a transfer that the receiver has forgotten: a code, no content.
fn held(core: &Core, id: DocumentId, terms: &Terms) -> Option<&'static str> {
    forgotten::held_by(core, id, terms).unwrap_or_else(|failed| {
        tracing::error!(error = %commit::chain(&failed), "what holds an erasure could not be read");
        None
    })
}

/// While the receiver has not answered: its nodes, with their ids, that nothing is sealed to and
/// whose word is not heard before somebody confirms them.
fn not_confirmed(core: &Core, terms: &Terms) -> Vec<String> {
    if terms.state != "offered" && !terms.is_ending() {
        return Vec::new();
    }
    let ledger = core.ledger();
    let here = ledger.roster.iter().filter(|member| {
        let waits = confirming::is_confirmed(core, &ledger, member) == Some(false);
        waits && member.territory == terms.to
    });
    here.map(|member| format!("{} ({})", member.name, member.key.short()))
        .collect()
}

/// The nodes whose word is still awaited before a project that was not taken over is open again.
fn waits_for(core: &Core, terms: &Terms) -> Vec<String> {
    if !terms.is_ending() || terms.released {
        return Vec::new();
    }
    let ledger = core.ledger();
    let silent = terms
        .keys
        .iter()
        .filter(|node| !terms.words.contains_key(*node) && !is_out(core, &ledger, **node));
    let members = silent.filter_map(|node| ledger.roster.of_origin(*node));
    members.map(|member| member.name.clone()).collect()
}

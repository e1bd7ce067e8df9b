//! A transfer as people see it: without the sealed text, with what may be seen before accepting.
//!
//! The preview comes from the project itself at the sender and from the opened parcel at the
//! receiver; a coordination has neither. Nothing here is stored.

use raccordo_crdt_model::DocumentId;
use serde_json::{Value, json};

use super::super::core::Core;
use super::driver::is_out;
use super::parcel::{Parcel, preview};
use super::terms::Terms;
use super::today;

/// Puts preview and who is waited for into a transfer's fields, and takes the sealed text out.
pub(crate) fn show(core: &Core, id: DocumentId, fields: &mut Value) {
    let terms = Terms::read(fields);
    let seen = terms.as_ref().and_then(|terms| of(core, id, terms, fields));
    let waits = terms.as_ref().map(|terms| waits_for(core, terms));
    let Some(members) = fields.as_object_mut() else {
        return;
    };
    for sealed in ["sealed", "keys", "pieces"] {
        members.remove(sealed);
    }
    members.insert("preview".to_owned(), seen.unwrap_or(Value::Null));
    members.insert("waits_for".to_owned(), json!(waits.unwrap_or_default()));
}

fn of(core: &Core, id: DocumentId, terms: &Terms, fields: &Value) -> Option<Value> {
    let own = core.territory();
    if own == terms.from {
        let project = core.look(terms.project).ok().flatten()?;
        return Some(preview(&project.record().fields, None, &today(core)));
    }
    if own != terms.to {
        return None;
    }
    let parcel = Parcel::open(core, id, terms, fields)?;
    Some(preview(
        &parcel.project,
        parcel.note.as_deref(),
        &today(core),
    ))
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

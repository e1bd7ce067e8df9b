//! The records that an accepted transfer makes here, with ids and numbers of their own.
//!
//! The sender makes them too, to see that they can be made; there nothing is kept.

use raccordo_crdt_model::field_rules::transfer as rules;
use raccordo_crdt_model::{Change, Document, DocumentId, Kind, Stamp};
use serde_json::json;

use super::super::core::Core;
use super::super::draft::Draft;
use super::super::local;
use super::super::persons::MERGED;
use super::super::publish;
use super::super::view::CommandFailed;
use super::already_here::Ties;
use super::commands::stamp;
use super::parcel::{self, Names, Parcel};
use super::refused;
use super::terms::Terms;
use crate::clock::draw;

/// A record, the changes that make it, and its number.
pub(super) type Made = (Document, Vec<Change>, Option<String>);

/// Makes at the sender what the receiver will make, so that what cannot be made is not offered.
pub(super) fn rehearse(core: &Core, parcel: &Parcel, stamp: &Stamp) -> Result<(), CommandFailed> {
    let project = [(Kind::Project, &parcel.project)];
    let records = parcel
        .records
        .iter()
        .map(|(kind, _, fields)| (*kind, fields));
    for (kind, fields) in project.into_iter().chain(records) {
        let id = DocumentId::from_bytes(draw(&*core.entropy));
        let made = parcel::make(id, kind, "x", fields, stamp);
        made.map_err(|failed| parcel::too_large(&format!("{}: {failed}", kind.singular())))?;
    }
    Ok(())
}

/// The records that a parcel makes here, the project first; those of people who are here already
/// are merged into theirs.
pub(super) fn unpack(
    draft: &Draft<'_>,
    parcel: &Parcel,
    terms: &Terms,
    transfer: DocumentId,
    project: DocumentId,
    ties: &Ties,
    by: &str,
) -> Result<Vec<Made>, CommandFailed> {
    let (core, own) = (draft.core, draft.core.territory());
    let stamp = stamp(draft, by, true);
    let mut fields = parcel.project.clone();
    fields["state"] = json!(terms.former_state);
    fields["links"] =
        json!({"previous": terms.project.to_string(), "transfer": transfer.to_string()});
    // Where a territory publishes aggregates alone, what it takes over stays there too.
    if fields["sharing"] == json!("shared")
        && let Some(fields) = fields.as_object_mut()
    {
        fields.remove("sharing");
    }
    publish::keep_home(core, Kind::Project, &mut fields)?;
    let mut waiting = vec![(Kind::Project, project, terms.project, fields)];
    for (kind, former, fields) in &parcel.records {
        let id = DocumentId::from_bytes(draw(&*core.entropy));
        waiting.push((*kind, id, *former, fields.clone()));
    }
    let mut names = Names::new();
    for (kind, id, former, fields) in &mut waiting {
        names.insert((*kind, former.to_string()), *id);
        let Some(named) = fields["ref"].as_str().map(str::to_owned) else {
            continue;
        };
        fields["ref"] = json!(free_reference(draft, *kind, &own, &named, transfer)?);
        names.entry((*kind, named)).or_insert(*id);
    }
    let mut made = Vec::new();
    for (kind, id, former, mut fields) in waiting {
        if !parcel::rename(kind, &mut fields, &names) {
            let detail = "a casefile came without the record of whom it is about: ask the sender for a new offer";
            return Err(refused("/sealed", rules::NOT_READABLE, detail));
        }
        if let Some(here) = ties.get(&former) {
            fields["merged_into"] = json!(here.to_string());
            fields["state"] = json!(MERGED);
        }
        let reference = fields["ref"].as_str().map(str::to_owned);
        let record = parcel::make(id, kind, &own, &fields, &stamp);
        let (document, changes) = record.map_err(CommandFailed::Rejected)?;
        made.push((document, changes, reference));
    }
    Ok(made)
}

/// The sender's number if it is free here, else with the beginning of the transfer's id.
fn free_reference(
    draft: &Draft<'_>,
    kind: Kind,
    own: &str,
    named: &str,
    transfer: DocumentId,
) -> Result<String, CommandFailed> {
    if local::holders(draft, kind, own, named)?.is_empty() {
        return Ok(named.to_owned());
    }
    let tail: String = transfer.to_string().chars().take(8).collect();
    let head: String = named.chars().take(64 - 1 - tail.len()).collect();
    Ok(format!("{head}~{tail}"))
}

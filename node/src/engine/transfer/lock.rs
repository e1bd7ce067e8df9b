//! The marks that a transfer leaves on a project: its lock, and the links to what went before.
//!
//! They are the node's own, since who could write them could have two districts take over two copies.
//! A lock that came with an import has no transfer here, and nobody waits for it.

use raccordo_crdt_model::command::Operation;
use raccordo_crdt_model::{Document, Patch};
use serde_json::Value;

use super::super::core::{Core, ReadFailed};
use super::TRANSFERRING;
use super::terms::document;

/// Links that a transfer writes.
const LINKS: [&str; 4] = ["instead", "next", "previous", "transfer"];

/// Whether a project is locked by a transfer that never was at this node: it was imported so. What
/// another node locked may belong to a transfer that is still on its way.
pub(super) fn is_left_over(core: &Core, project: &Document) -> Result<bool, ReadFailed> {
    let fields = project.record().fields;
    let transfer = document(fields.pointer("/links/transfer"));
    if let Some(transfer) = transfer
        && (core.document_row(transfer)?.is_some() || core.ledger().erased.contains(&transfer))
    {
        return Ok(false);
    }
    let history = project.history();
    let lock = history.iter().rev().find(|item| {
        let mut steps = item.changes.iter();
        steps.any(|step| {
            let value = step.value.as_ref();
            let state = match step.path.as_str() {
                "" => value.and_then(|made| made.get("state")),
                "/state" => value,
                _ => None,
            };
            state.is_some_and(|state| state == TRANSFERRING)
        })
    });
    Ok(lock.is_some_and(|item| item.origin == core.id.origin()))
}

/// Where a patch changes one of these links.
pub(super) fn changed_by(project: &Document, patch: &Patch) -> Option<String> {
    if !patch.touches("links") {
        return None;
    }
    let now = project.record().fields["links"].clone();
    patch.steps().iter().find_map(|(pointer, operation)| {
        let tokens: Vec<_> = pointer.tokens().iter().map(String::as_str).collect();
        let value = match operation {
            Operation::Add(value) | Operation::Replace(value) => value,
            Operation::Test(_) => return None,
            Operation::Remove { .. } => &Value::Null,
        };
        match tokens.as_slice() {
            [] => changed(&now, &value["links"]),
            ["links"] => changed(&now, value),
            ["links", link, ..] => {
                let own = LINKS.contains(link) && now.get(*link).unwrap_or(&Value::Null) != value;
                own.then(|| format!("/links/{link}"))
            }
            _ => None,
        }
    })
}

/// The first of these links that differs.
pub(super) fn changed(now: &Value, then: &Value) -> Option<String> {
    let differs = |link: &&&str| now.get(**link) != then.get(**link);
    let link = LINKS.iter().find(differs)?;
    Some(format!("/links/{link}"))
}

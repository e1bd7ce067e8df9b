//! A change on its way in, as far as it gives or alters what is another's: a vote, a signature, an
//! answer, a note, a review.
//!
//! Does not know sections: those are asked before, in `changes`.

use raccordo_crdt_model::{DocumentId, Kind};
use serde_json::{Value, json};

use super::{What, refusal};
use crate::access::Reason;
use crate::access::entries::Step;
use crate::access::own_name;
use crate::access::sections::section_of;
use crate::engine::{Principal, RecordView};
use crate::http::Shared;
use crate::http::problem::ApiError;

/// Refuses a new record in which somebody votes, signs or answers in another's name.
pub(super) fn created(
    shared: &Shared,
    principal: &Principal,
    kind: Kind,
    fields: &Value,
) -> Result<(), ApiError> {
    if principal.is_office() {
        return Ok(());
    }
    match own_name::anothers(principal, kind, true, &json!({}), fields) {
        Some((at, why)) => Err(refused(shared, principal, kind, "", &at, why)),
        None => Ok(()),
    }
}

/// Refuses steps that give or alter what is another's.
pub(super) async fn patched(
    shared: &Shared,
    principal: &Principal,
    kind: Kind,
    id: DocumentId,
    view: &RecordView,
    steps: &[Step<'_>],
) -> Result<(), ApiError> {
    let own = view.territory == shared.engine.home();
    let after = own_name::after(&view.fields, steps);
    let record = id.to_string();
    let refuse = |at: &str, why| Err(refused(shared, principal, kind, &record, at, why));
    if let Some((at, why)) = own_name::anothers(principal, kind, own, &view.fields, &after) {
        return refuse(&at, why);
    }
    let rewritten = own_name::rewritten(kind, &view.fields, &after);
    if rewritten.is_empty() {
        return Ok(());
    }
    let history = shared.engine.history(kind, id).await?;
    for at in &rewritten {
        let items = history.iter();
        let told = items.map(|item| (item.by.as_deref(), item.changes.as_slice()));
        if own_name::author(told, at) != Some(&principal.name) {
            return refuse(at, Reason::Author);
        }
    }
    Ok(())
}

fn refused(
    shared: &Shared,
    principal: &Principal,
    kind: Kind,
    record: &str,
    at: &str,
    why: Reason,
) -> ApiError {
    let (section, _) = section_of(kind.singular(), at);
    let what = What::Section(kind, section, at);
    refusal(shared, principal, record, "edit", what, why).member("section", json!(section.word()))
}

//! Why something was erased: the words of whoever ordered it, at the node that carried the order out.
//!
//! They may tell of people, so they stay at that node, sealed under its own key: a tombstone goes to
//! everybody who held the record and is kept there for ever, and says none of them. The words outlive
//! the record, since whoever asks for the certificate is to read why.

use raccordo_crdt_model::{DocumentId, Problem, Rejected, fiscal_code};

use crate::clock::draw;
use crate::store::Table;

use super::core::{Core, ReadFailed};
use super::draft::Draft;
use super::view::CommandFailed;

/// Meta keys of reasons begin so.
pub(crate) const KEPT: &[u8] = b"erased-because/";
/// Longest reason of an erasure, in characters.
pub(crate) const CHARS_MAX: usize = 500;

/// A reason as it may be kept: not empty, not too long, without a fiscal code.
pub(crate) fn checked(reason: &str) -> Result<&str, CommandFailed> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > CHARS_MAX {
        let detail = format!("an erasure needs a reason of 1 to {CHARS_MAX} characters");
        return Err(CommandFailed::Malformed { detail });
    }
    if fiscal_code::found_in(reason).is_some() {
        let detail = "a fiscal code stands in the reason, which is kept when the record is gone: \
                      write it without";
        let problem = Problem::new("/reason", "identity_in_reason", detail);
        return Err(CommandFailed::Rejected(Rejected::Rule(problem)));
    }
    Ok(reason)
}

/// Keeps the reason for which a record is erased.
pub(crate) fn keep(draft: &mut Draft<'_>, id: DocumentId, reason: &str) {
    let nonce = draw(&*draft.core.entropy);
    let seal = &draft.core.node_seal;
    let sealed = seal.seal(
        Table::Meta,
        *id.as_bytes(),
        &[0; 32],
        reason.as_bytes(),
        nonce,
    );
    draft.batch.put(Table::Meta, row(id), sealed);
}

/// The reason for which this node erased a record; none where another node did.
pub(crate) fn of(core: &Core, id: DocumentId) -> Result<Option<String>, ReadFailed> {
    let Some(sealed) = core.store.get(Table::Meta, &row(id))? else {
        return Ok(None);
    };
    let seal = &core.node_seal;
    let reason = seal.open(Table::Meta, *id.as_bytes(), &[0; 32], &sealed)?;
    Ok(Some(String::from_utf8_lossy(&reason).into_owned()))
}

fn row(id: DocumentId) -> Vec<u8> {
    [KEPT, id.as_bytes()].concat()
}

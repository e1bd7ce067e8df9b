//! A whole document from a peer, taken apart into its changes.
//!
//! The gate has found that its operations stand where their changes put them, which Automerge does
//! not check: two saves of the same signed changes could otherwise show two records. Here Automerge
//! finds that the changes have the hashes that the save names, and each change is held to the same
//! rules as one that came alone. All inside a catch of panics.

use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::Automerge;

use super::absorb::found;
use super::fit::Fit;
use super::{Document, StoredChange};
use crate::gate::{self, CheckedSave, Refused};
use crate::value::{ChangeHash, DocumentId};

pub(super) fn read(
    id: DocumentId,
    save: &CheckedSave,
) -> Result<(Document, Vec<StoredChange>), Refused> {
    let read = catch_unwind(AssertUnwindSafe(|| {
        let mut document = Document::empty(id);
        document.automerge = Automerge::load(save.bytes()).map_err(|error| {
            Refused::unfit(0, format!("the document cannot be decoded: {error}"))
        })?;
        if document.automerge.save_nocompress() != save.bytes() {
            let reason = "the document is not encoded as it would be here";
            return Err(Refused::unfit(0, reason));
        }
        let changes = document.automerge.get_changes(&[]);
        let stored = take_apart(&changes, &document.automerge)?;
        let first = changes.first().map(automerge::Change::hash);
        match first {
            Some(first) if changes.len() as u64 == save.change_count() => {
                let unfit = |reason: String| Refused::unfit(0, reason);
                found(&mut document, first).map_err(unfit)?;
            }
            _ => {
                let reason = "the document does not hold the changes that it says";
                return Err(Refused::unfit(0, reason));
            }
        }
        document.changed(save.change_count());
        // Showing it once here means that no later showing of it can fail.
        document.summary();
        Ok((document, stored))
    }));
    read.unwrap_or_else(|_| Err(Refused::unfit(0, "the document makes the library fail")))
}

/// The changes of a document, each as it would have been let in alone.
fn take_apart(
    changes: &[automerge::Change],
    whole: &Automerge,
) -> Result<Vec<StoredChange>, Refused> {
    let nothing = Automerge::new();
    let mut fit = Fit::of(&nothing);
    let mut stored = Vec::with_capacity(changes.len());
    for (index, change) in changes.iter().enumerate() {
        let bytes = change.raw_bytes();
        let unfit = |reason: String| Refused::unfit(index, reason);
        let (named, actor) = gate::check_inside(bytes).map_err(unfit)?;
        let hash = |hash: &automerge::ChangeHash| ChangeHash::from_bytes(hash.0);
        if named != hash(&change.hash()) || !fit.admit(index, change)? {
            let reason = "the change is there twice or is another one than it says";
            return Err(unfit(reason.to_owned()));
        }
        stored.push(StoredChange {
            hash: named,
            actor,
            sequence: change.seq(),
            dependencies: change.deps().iter().map(hash).collect(),
            bytes: bytes.to_vec(),
        });
    }
    if fit.tips().eq(whole.get_heads().iter()) {
        Ok(stored)
    } else {
        let reason = "the document's version is not that of its changes";
        Err(Refused::unfit(0, reason))
    }
}

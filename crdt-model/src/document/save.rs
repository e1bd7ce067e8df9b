//! A whole document from a peer, taken apart into its changes and made anew from them.
//!
//! Automerge does not check that a save's operations stand where their changes put them: two saves
//! of the same signed changes could show two different records. So nothing of a foreign save is
//! used but the changes in it, each held to the same rules as one that came alone; the document is
//! made from them, and must hold the operations that came. All inside a catch of panics.

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
        let (changes, stored) = take_apart(save)?;
        let document = make_anew(id, changes, save)?;
        // Showing it once here means that no later showing of it can fail.
        document.summary();
        Ok((document, stored))
    }));
    read.unwrap_or_else(|_| Err(Refused::unfit(0, "the document makes the library fail")))
}

/// The changes of a save, each as it would have been let in alone.
fn take_apart(save: &CheckedSave) -> Result<(Vec<automerge::Change>, Vec<StoredChange>), Refused> {
    let loaded = Automerge::load(save.bytes())
        .map_err(|error| Refused::unfit(0, format!("the document cannot be decoded: {error}")))?;
    let changes = loaded.get_changes(&[]);
    drop(loaded);
    if changes.len() as u64 != save.change_count() {
        let reason = "the document does not hold the changes that it says";
        return Err(Refused::unfit(0, reason));
    }
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
    Ok((changes, stored))
}

fn make_anew(
    id: DocumentId,
    changes: Vec<automerge::Change>,
    save: &CheckedSave,
) -> Result<Document, Refused> {
    let unfit = |reason: String| Refused::unfit(0, reason);
    let mut document = Document::empty(id);
    let count = changes.len() as u64;
    let first = changes.first().map(automerge::Change::hash);
    let first = first.ok_or_else(|| unfit("the document holds no change".to_owned()))?;
    let applied = document.automerge.apply_changes(changes);
    applied.map_err(|error| unfit(format!("the changes do not apply: {error}")))?;
    found(&mut document, first).map_err(unfit)?;
    document.changed(count);
    // Read back from equal operations the changes are the same again, so this document, too, loads
    // once saved.
    if gate::same_operations(&document.automerge.save_nocompress(), save.bytes()) {
        Ok(document)
    } else {
        let reason = "the document is not the one that its changes make";
        Err(unfit(reason.to_owned()))
    }
}

//! The one door to the disk: what a draft holds is stored whole, then shown, or not at all.
//!
//! Published (resident state, document cache, ticks, events) only after the store has returned;
//! if it fails, memory stays where the disk is.

use std::sync::Arc;

use raccordo_transport::{Cursor, PeerId};

#[cfg(feature = "testing")]
use crate::planted::{Planted, planted};
use crate::store::Table;

use super::clones;
use super::core::ReadFailed;
use super::draft::{Draft, Finished};
use super::lists;
use super::peers;
use super::rows;
use super::seen;
use super::task::Note;
use super::view::{CommandFailed, Event};

/// Nothing was kept, and why.
#[derive(Debug)]
pub(crate) struct NotStored {
    pub(crate) reason: String,
}

/// Stores a draft durably, then publishes it.
pub(crate) fn commit(draft: Draft<'_>) -> Result<(), NotStored> {
    let core = draft.core;
    let finished = draft.finish().map_err(|failed| not_stored(&failed))?;
    let Finished {
        batch,
        mut ledger,
        documents,
        events,
    } = finished;
    if batch.is_empty() {
        core.remember(documents);
        return Ok(());
    }
    let moved = events
        .iter()
        .any(|event| !matches!(event, Event::Seen { .. }));
    #[cfg(feature = "testing")]
    if planted(Planted::PublishedBeforeFlush) {
        core.remember(documents.clone());
        core.publish(ledger.clone());
        core.ticks.send_modify(|tick| *tick += 1);
    }
    let moved_lines = lists::moved(&batch);
    if let Err(failed) = core.store.commit(batch) {
        tracing::error!(error = %chain(&failed), "a commit was not stored");
        return Err(NotStored {
            reason: chain(&failed),
        });
    }
    core.remember(documents);
    core.lists.follow(core, moved_lines);
    if !Arc::ptr_eq(&ledger.roster, &core.ledger().roster) {
        match peers::cut_ends(core, &ledger) {
            Ok(cut) => ledger.cut = cut,
            Err(failed) => {
                tracing::error!(error = %chain(&failed), "the end of a revoked log cannot be read");
            }
        }
    }
    core.publish(ledger);
    core.ticks.send_modify(|tick| *tick += 1);
    for event in events {
        announce(core, event);
    }
    if moved {
        announce(core, Event::Overview);
    }
    Ok(())
}

/// Adds acknowledgements and contacts to a draft.
pub(crate) fn notes<'a>(draft: &mut Draft<'_>, notes: impl Iterator<Item = &'a Note>) {
    for note in notes {
        match note {
            Note::Acknowledged {
                peer,
                cursor,
                at_ms,
            } => {
                draft.batch.put(
                    Table::Acknowledgements,
                    acknowledgement_key(peer, cursor),
                    at_ms.to_be_bytes(),
                );
            }
            Note::Starts { peer } => {
                let row = draft.core.clones.of(peer).encode();
                draft.batch.put(Table::Meta, clones::row_key(peer), row);
            }
            Note::Contact { peer, at_ms } => {
                draft
                    .batch
                    .put(Table::Meta, contact_key(peer), at_ms.to_be_bytes());
            }
            Note::Opened(opened) => unless_damaged(seen::keep_opened(draft, opened)),
            Note::SeenTold { peer, seen } => unless_damaged(seen::keep_told(draft, peer, seen)),
        }
    }
}

/// A note that cannot be compared with what is stored is not worth a commit.
fn unless_damaged(kept: Result<(), ReadFailed>) {
    if let Err(failed) = kept {
        tracing::error!(error = %chain(&failed), "what was opened cannot be noted");
    }
}

/// Key of one acknowledgement: peer, log, number.
pub(crate) fn acknowledgement_key(peer: &PeerId, cursor: &Cursor) -> Vec<u8> {
    [
        peer.as_bytes().as_slice(),
        &rows::log_key(cursor.log),
        &cursor.seq.to_be_bytes(),
    ]
    .concat()
}

/// Meta key of a peer's last contact.
pub(crate) fn contact_key(peer: &PeerId) -> Vec<u8> {
    [b"contact/".as_slice(), peer.as_bytes()].concat()
}

/// Tells whoever listens; nobody listening is no fault.
pub(crate) fn announce(core: &super::core::Core, event: Event) {
    drop(core.events.send(event));
}

/// An error and what lies under it, in one sentence.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

fn not_stored(failed: &ReadFailed) -> NotStored {
    tracing::error!(error = %chain(failed), "a commit could not be prepared");
    NotStored {
        reason: chain(failed),
    }
}

impl From<&NotStored> for CommandFailed {
    fn from(failed: &NotStored) -> Self {
        Self::StoreCannotWrite {
            reason: failed.reason.clone(),
        }
    }
}

impl From<ReadFailed> for CommandFailed {
    fn from(failed: ReadFailed) -> Self {
        Self::StoreCannotWrite {
            reason: chain(&failed),
        }
    }
}

//! Reads stored documents again and again, a few at a time, and reports those that do not hold.
//!
//! Past the cache and past the indexes: the changes must open, make a document, and that document
//! must be the version that its row, and so the digest, speaks of. Mends nothing itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use raccordo_crdt_model::{DocumentId, UnixMillis};

use super::Hand;
use super::commit;
use super::core::Core;
use super::repair::RepairCommand;
use super::rows::DocumentRow;
use super::task::Command;
use crate::store::{StoreFailed, Table};

/// How often a few documents are read.
const STEP: Duration = Duration::from_secs(1);
const STEPS_A_MINUTE: u32 = 60;

/// How far the reading has come.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ScrubReport {
    /// Documents read since the start.
    pub(crate) documents: u64,
    /// Documents found damaged since the start.
    pub(crate) damaged: u64,
    /// When all had been read once more.
    pub(crate) passed_at: Option<UnixMillis>,
}

/// Where the reading is, shared with whoever reports it.
#[derive(Debug, Default)]
pub(crate) struct Scrub(Mutex<ScrubReport>);

impl Scrub {
    pub(crate) fn report(&self) -> ScrubReport {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, change: impl FnOnce(&mut ScrubReport)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Reads for ever, as fast as the configuration says.
pub(crate) async fn keep(core: Arc<Core>, hand: Hand) {
    let mut after: Option<DocumentId> = None;
    let mut steps = tokio::time::interval(STEP);
    steps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut owed = 0;
    loop {
        steps.tick().await;
        owed += core.config().replication.scrub_per_minute;
        let count = owed / STEPS_A_MINUTE;
        owed %= STEPS_A_MINUTE;
        if count == 0 {
            continue;
        }
        let (reader, from) = (Arc::clone(&core), after);
        let read = tokio::task::spawn_blocking(move || step(&reader, from, count)).await;
        let Ok(read) = read else { return };
        core.scrub.note(|report| {
            report.documents += read.documents;
            report.damaged += read.damaged.len() as u64;
            if read.next.is_none() {
                report.passed_at = Some(UnixMillis(core.clock.unix_millis()));
            }
        });
        after = read.next;
        if !read.damaged.is_empty() {
            let command = Command::Repair(RepairCommand::Damaged(read.damaged));
            if let Err(failed) = hand.submit(command).await {
                tracing::warn!(error = %failed, "damaged documents were found and not marked");
            }
        }
    }
}

/// What one step read.
#[derive(Debug)]
pub(crate) struct Step {
    /// Where the next step begins; none after the last document.
    pub(crate) next: Option<DocumentId>,
    pub(crate) documents: u64,
    pub(crate) damaged: Vec<(DocumentId, String)>,
}

/// Reads the next documents after one.
pub(crate) fn step(core: &Core, after: Option<DocumentId>, count: u32) -> Step {
    let mut read = Step {
        next: after,
        documents: 0,
        damaged: Vec::new(),
    };
    for _ in 0..count {
        let from = read.next.map(|id| *id.as_bytes());
        let from = from.as_ref().map(<[u8; 16]>::as_slice);
        let found = core.store.scan(Table::Documents, b"", from, 1);
        let (id, reason) = match found {
            Ok(page) => match page.first().map(|(key, _)| key.as_slice().try_into()) {
                Some(Ok(id)) => {
                    let id = DocumentId::from_bytes(id);
                    (id, verify(core, id).err())
                }
                Some(Err(_)) | None => {
                    read.next = None;
                    return read;
                }
            },
            Err(StoreFailed::Damaged { key, seen, .. }) => match DocumentId::parse(&key) {
                Ok(id) => (id, Some(format!("its row is damaged: {seen}"))),
                Err(_) => return read,
            },
            Err(_) => return read,
        };
        read.next = Some(id);
        read.documents += 1;
        if let Some(reason) = reason.filter(|_| !core.ledger().damaged.contains_key(&id)) {
            read.damaged.push((id, reason));
        }
    }
    read
}

/// Whether a stored document is what its row says.
pub(crate) fn verify(core: &Core, id: DocumentId) -> Result<(), String> {
    for _ in 0..2 {
        let before = core.store.get(Table::Documents, id.as_bytes());
        let outcome = verify_once(core, id);
        let after = core.store.get(Table::Documents, id.as_bytes());
        // Somebody wrote to it meanwhile: look again.
        if matches!((&before, &after), (Ok(before), Ok(after)) if before != after) {
            continue;
        }
        return outcome;
    }
    Ok(())
}

fn verify_once(core: &Core, id: DocumentId) -> Result<(), String> {
    let failed = |failed: &dyn std::error::Error| commit::chain(failed);
    let row = core.store.get(Table::Documents, id.as_bytes());
    let Some(row) = row.map_err(|bad| failed(&bad))? else {
        return Ok(());
    };
    let row = DocumentRow::decode(&row).map_err(|bad| failed(&bad))?;
    let key = core.document_key(id).map_err(|bad| failed(&bad))?;
    let document = core.open_document(id, &key).map_err(|bad| failed(&bad))?;
    let heads = document.heads();
    if heads != row.version() {
        return Err("its changes make another version than its row says".to_owned());
    }
    let item = row.indexed.as_ref().map(|indexed| indexed.item);
    if item.is_some_and(|item| item != heads.item_hash(id)) {
        return Err("its row counts for another version in the digest".to_owned());
    }
    Ok(())
}

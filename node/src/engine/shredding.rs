//! After an erasure: document keys are wrapped anew, and the key that wrapped the erased one is destroyed.
//!
//! A log-structured store keeps old bytes, and so do copies of it; without the epoch's key they say
//! nothing. Done at the start, before anything is read, and while the node serves, a few keys a
//! commit, soon after the last of several erasures. A kill at any point leaves work for the next: the
//! old epochs end only when no key needs them, and what is due stands in the store until they have.

use std::collections::BTreeSet;
use std::sync::Arc;

use raccordo_crdt_model::DocumentId;
use thiserror::Error;

use crate::clock::Entropy;
use crate::store::seal::{SealFailed, Vault};
use crate::store::{Batch, Condition, Row, Store, Table};

use super::commit;
use super::core::{Core, ReadFailed};
use super::draft::Draft;

/// Meta keys of what was erased since keys were last wrapped anew begin so.
pub(crate) const DUE: &[u8] = b"shredding-due";
/// Keys that one commit wraps.
const KEYS_AT_ONCE: usize = 1_000;
/// How long nothing is to be erased before keys are wrapped anew, in milliseconds.
const QUIET_MS: u64 = 5_000;
/// The rest after it, as a multiple of the time that it took the writer.
const REST_OF_A_RUN: u64 = 100;
/// The longest rest, in milliseconds.
const REST_MS_MAX: u64 = 3_600_000;
/// However often something is erased, an old key does not outlive the first erasure by more, in milliseconds.
const LATEST_MS: u64 = 86_400_000;
/// How long it waits after something failed, in milliseconds.
const RETRY_MS: u64 = 30_000;

/// Why keys were not wrapped anew; what was done so far stands.
#[derive(Debug, Error)]
enum NotWrapped {
    #[error("the keys cannot be read, or those wrapped anew not be stored")]
    Read(#[from] ReadFailed),
    #[error("the key of an epoch cannot be written or destroyed")]
    Epoch(#[from] SealFailed),
    #[error("what was done cannot be noted: {reason}")]
    Note { reason: String },
}

/// Notes that a document's key was deleted and that keys are to be wrapped anew.
pub(crate) fn note(draft: &mut Draft<'_>, id: DocumentId) {
    draft.batch.put(Table::Meta, row(id), Vec::new());
    Arc::make_mut(&mut draft.ledger.unshredded).insert(id);
}

/// What was erased since keys were last wrapped anew, from the rows of [`DUE`].
pub(crate) fn read(rows: &[Row]) -> BTreeSet<DocumentId> {
    let ids = rows.iter().filter_map(|(key, _)| key.get(DUE.len() + 1..));
    let ids = ids.filter_map(|id| id.try_into().ok());
    ids.map(DocumentId::from_bytes).collect()
}

/// Wraps all keys anew and destroys the older epochs, if something was erased.
pub(crate) fn run(store: &Store, vault: &Vault, entropy: &dyn Entropy) -> Result<(), ReadFailed> {
    if store.condition() != Condition::Healthy {
        return Ok(());
    }
    let due = store.scan(Table::Meta, DUE, None, usize::MAX)?;
    if due.is_empty() {
        return Ok(());
    }
    vault.begin_epoch(entropy)?;
    let mut after = None;
    while let Some(next) = wrap_some(store, vault, entropy, after.as_deref())? {
        after = Some(next);
    }
    vault.destroy_older_epochs()?;
    let mut batch = Batch::new();
    for (key, _) in due {
        batch.delete(Table::Meta, key);
    }
    store.commit(batch)?;
    tracing::info!("document keys were wrapped anew after an erasure");
    Ok(())
}

/// Wraps the next keys anew; the last of them, if there may be more.
fn wrap_some(
    store: &Store,
    vault: &Vault,
    entropy: &dyn Entropy,
    after: Option<&[u8]>,
) -> Result<Option<Vec<u8>>, ReadFailed> {
    let mut page = store.scan(Table::Keys, &[], after, KEYS_AT_ONCE)?;
    let mut batch = Batch::new();
    for (key, wrapped) in &page {
        let again = match key.as_slice().try_into() {
            Ok(document) => vault.rewrap(document, wrapped, entropy),
            Err(_) => Err(SealFailed::DoesNotOpen),
        };
        match again {
            Ok(again) => batch.put(Table::Keys, key.clone(), again),
            // Its document cannot be read as it is, and is fetched from a peer under a new key.
            Err(failed) => {
                let error = commit::chain(&failed);
                tracing::error!(
                    error,
                    "a document's key does not open and is not wrapped anew"
                );
            }
        }
    }
    store.commit(batch)?;
    let full = page.len() == KEYS_AT_ONCE;
    Ok(page.pop().map(|(key, _)| key).filter(|_| full))
}

/// Wraps keys anew while the node serves. On the writer's thread alone: a draft that holds a key
/// wrapped before would lose it.
#[derive(Debug, Default)]
pub(crate) struct Shredding {
    /// What was due when it last looked, and since when, in monotonic milliseconds.
    known: Option<Arc<BTreeSet<DocumentId>>>,
    quiet_since_ms: u64,
    due_since_ms: u64,
    rest_until_ms: u64,
    run: Option<Run>,
}

/// What is being done.
#[derive(Debug)]
struct Run {
    /// What was erased before it began: what comes later waits for the next.
    covers: Arc<BTreeSet<DocumentId>>,
    step: Step,
    spent_ms: u64,
}

#[derive(Debug)]
enum Step {
    Begin,
    /// Behind this key, if one is done.
    Wrap(Option<Vec<u8>>),
    Destroy,
    Note,
}

impl Shredding {
    /// Does the next of what is due, if it is time.
    pub(crate) fn drive(&mut self, core: &Core) {
        let begun_ms = core.clock.monotonic_millis();
        self.look(core, begun_ms);
        if self.due_ms(core).is_none_or(|due_ms| due_ms > begun_ms) {
            return;
        }
        let due = core.ledger();
        let run = self.run.get_or_insert_with(|| Run {
            covers: Arc::clone(&due.unshredded),
            step: Step::Begin,
            spent_ms: 0,
        });
        let went = run.go_on(core);
        let now_ms = core.clock.monotonic_millis();
        run.spent_ms += now_ms.saturating_sub(begun_ms);
        match went {
            Ok(false) => {}
            Ok(true) => {
                let rest_ms = run.spent_ms.saturating_mul(REST_OF_A_RUN);
                self.rest_until_ms = now_ms + rest_ms.min(REST_MS_MAX);
                self.run = None;
                self.known = None;
                // What was erased meanwhile.
                self.look(core, now_ms);
                tracing::info!("document keys were wrapped anew after an erasure");
            }
            Err(failed) => {
                self.rest_until_ms = now_ms + RETRY_MS;
                let error = commit::chain(&failed);
                tracing::error!(error, "keys were not wrapped anew after an erasure");
            }
        }
    }

    /// How long until something is to be done; none if nothing is.
    pub(crate) fn patience_ms(&self, core: &Core) -> Option<u64> {
        let due_ms = self.due_ms(core)?;
        Some(due_ms.saturating_sub(core.clock.monotonic_millis()))
    }

    /// Takes note of what was erased since it last looked.
    fn look(&mut self, core: &Core, now_ms: u64) {
        let due = Arc::clone(&core.ledger().unshredded);
        if due.is_empty() {
            self.known = None;
            return;
        }
        match &self.known {
            Some(known) if Arc::ptr_eq(known, &due) => return,
            Some(_) => {}
            None => self.due_since_ms = now_ms,
        }
        self.quiet_since_ms = now_ms;
        self.known = Some(due);
    }

    fn due_ms(&self, core: &Core) -> Option<u64> {
        if core.store.condition() != Condition::Healthy {
            return None;
        }
        if self.run.is_some() {
            return Some(self.rest_until_ms);
        }
        self.known.as_ref()?;
        let quiet_ms = self.quiet_since_ms + QUIET_MS;
        let latest_ms = self.due_since_ms + LATEST_MS;
        Some(quiet_ms.min(latest_ms).max(self.rest_until_ms))
    }
}

impl Run {
    /// Takes one step; true after the last.
    fn go_on(&mut self, core: &Core) -> Result<bool, NotWrapped> {
        let (store, vault, entropy) = (&core.store, &core.vault, &*core.entropy);
        match &self.step {
            Step::Begin => {
                vault.begin_epoch(entropy)?;
                self.step = Step::Wrap(None);
            }
            Step::Wrap(after) => {
                let next = wrap_some(store, vault, entropy, after.as_deref())?;
                self.step = next.map_or(Step::Destroy, |next| Step::Wrap(Some(next)));
            }
            Step::Destroy => {
                vault.destroy_older_epochs()?;
                self.step = Step::Note;
            }
            Step::Note => {
                let mut draft = Draft::new(core);
                for id in self.covers.iter() {
                    draft.batch.delete(Table::Meta, row(*id));
                    Arc::make_mut(&mut draft.ledger.unshredded).remove(id);
                }
                draft.audit("node", "keys-replaced", "", "");
                commit::commit(draft).map_err(|failed| NotWrapped::Note {
                    reason: failed.reason,
                })?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn row(id: DocumentId) -> Vec<u8> {
    [DUE, b"/".as_slice(), id.as_bytes()].concat()
}

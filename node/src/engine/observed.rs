//! Reads and refusals on their way into the audit log: gathered, then written together.
//!
//! A read is not held up by a commit of its own. What is gathered is written with the next command,
//! within a second, with the next 64, and at the end of the node; a crash loses at most that second.

use super::commit;
use super::core::Core;
use super::draft::Draft;

/// How long an observation may wait, in milliseconds.
const WAIT_MS: u64 = 1_000;
/// As many are written without waiting any longer.
const TOGETHER: usize = 64;
/// Kept while the store takes no writes; later ones are counted in the log of the program alone.
const KEPT_MAX: usize = 100_000;

/// Something that somebody did without changing a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Observed {
    pub(crate) who: String,
    /// Verb: `read`, `denied`, `emergency`, `sign-in`, `export`.
    pub(crate) action: &'static str,
    /// Id of the record, hex; empty if none.
    pub(crate) what: String,
    /// What else is worth knowing; never content of a record.
    pub(crate) detail: String,
    /// When, in Unix milliseconds.
    pub(crate) at_ms: i64,
}

impl Observed {
    /// Puts it into a draft's audit log.
    pub(crate) fn note(&self, draft: &mut Draft<'_>) {
        draft.audit_at(self.at_ms, &self.who, self.action, &self.what, &self.detail);
    }
}

/// What waits to be written.
#[derive(Debug, Default)]
pub(crate) struct Observations {
    waiting: Vec<Observed>,
    since_ms: u64,
}

impl Observations {
    pub(crate) fn push(&mut self, now_ms: u64, observed: Observed) {
        if self.waiting.is_empty() {
            self.since_ms = now_ms;
        }
        if self.waiting.len() < KEPT_MAX {
            self.waiting.push(observed);
        } else {
            tracing::error!(
                who = observed.who,
                action = observed.action,
                what = observed.what,
                "an access was not written to the audit log: the store takes no writes"
            );
        }
    }

    /// Whether it is time to write.
    pub(crate) fn is_due(&self, now_ms: u64, last: bool) -> bool {
        let waited = now_ms.saturating_sub(self.since_ms) >= WAIT_MS;
        !self.waiting.is_empty() && (last || waited || self.waiting.len() >= TOGETHER)
    }

    /// How long the writer may sleep for their sake.
    pub(crate) fn patience_ms(&self) -> Option<u64> {
        (!self.waiting.is_empty()).then_some(WAIT_MS)
    }

    /// Puts all into a draft that is committed for another reason.
    pub(crate) fn note(&self, draft: &mut Draft<'_>) {
        self.waiting.iter().for_each(|one| one.note(draft));
    }

    /// Forgets what was committed.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// Writes all; keeps them where that fails.
    pub(crate) fn commit(&mut self, core: &Core) {
        let mut draft = Draft::new(core);
        self.note(&mut draft);
        match commit::commit(draft) {
            Ok(()) => self.clear(),
            Err(failed) => {
                self.since_ms = core.clock.monotonic_millis();
                tracing::error!(
                    reason = failed.reason,
                    waiting = self.waiting.len(),
                    "accesses wait to be written to the audit log"
                );
            }
        }
    }
}

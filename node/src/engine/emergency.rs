//! Emergency access: one record, one person, an hour at most; and what tells that rights moved.
//!
//! In memory: a restart ends every emergency. That each was opened is in the audit log before it
//! counts. Does not know who may open one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use raccordo_crdt_model::{DocumentId, UnixMillis};
use tokio::sync::Semaphore;

/// Passwords hashed at the same time: 19 MiB each.
const HASHING_MAX: usize = 2;
/// Longest emergency, in minutes.
pub(crate) const MINUTES_MAX: u64 = 60;
/// Shortest reason, in characters.
pub(crate) const REASON_CHARS_MIN: usize = 10;
/// Longest reason, in characters.
pub(crate) const REASON_CHARS_MAX: usize = 500;
/// Emergencies remembered since the start, ended ones included; the oldest gives way.
const KEPT_MAX: usize = 1_000;

/// One emergency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmergencyView {
    /// 16 hex digits.
    pub id: String,
    /// The record.
    pub record: DocumentId,
    /// Its kind, singular.
    pub kind: &'static str,
    /// Who.
    pub by: String,
    /// Why, as given.
    pub reason: String,
    /// Since when.
    pub at: UnixMillis,
    /// Until when.
    pub until: UnixMillis,
    /// Whether it lets somebody in now.
    pub open: bool,
}

/// What moves when rights do.
#[derive(Debug)]
pub(crate) struct AccessBoard {
    /// Bounds how many passwords are hashed at once.
    pub(crate) hashing: Semaphore,
    epoch: AtomicU64,
    emergencies: Mutex<Vec<Emergency>>,
}

#[derive(Debug, Clone)]
struct Emergency {
    view: EmergencyView,
    /// Monotonic milliseconds: a clock that is set does not prolong it.
    until_ms: u64,
}

impl Default for AccessBoard {
    fn default() -> Self {
        Self {
            hashing: Semaphore::new(HASHING_MAX),
            epoch: AtomicU64::new(0),
            emergencies: Mutex::default(),
        }
    }
}

impl AccessBoard {
    /// Moves at every change of an account or token.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Tells that an account or token changed.
    pub(crate) fn moved(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Opens an emergency that ends at `until_ms`, monotonic.
    pub(crate) fn open(&self, view: EmergencyView, until_ms: u64) {
        let mut all = self.locked();
        if all.len() >= KEPT_MAX {
            all.remove(0);
        }
        all.push(Emergency { view, until_ms });
    }

    /// Whether somebody may read a record now for an emergency's sake.
    pub(crate) fn lets_in(&self, by: &str, record: DocumentId, now_ms: u64) -> bool {
        self.locked()
            .iter()
            .any(|one| one.view.by == by && one.view.record == record && now_ms < one.until_ms)
    }

    /// All since the start, newest first.
    pub(crate) fn all(&self, now_ms: u64) -> Vec<EmergencyView> {
        let all = self.locked();
        let views = all.iter().rev().map(|one| EmergencyView {
            open: now_ms < one.until_ms,
            ..one.view.clone()
        });
        views.collect()
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Emergency>> {
        self.emergencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emergency_lets_one_person_into_one_record_until_its_time_is_over() {
        let board = AccessBoard::default();
        let record = DocumentId::from_bytes([1; 16]);
        let view = EmergencyView {
            id: "1".to_owned(),
            record,
            kind: "project",
            by: "anna".to_owned(),
            reason: "urgenza al pronto soccorso".to_owned(),
            at: UnixMillis(0),
            until: UnixMillis(60_000),
            open: true,
        };
        board.open(view, 60_000);
        assert!(board.lets_in("anna", record, 59_999));
        assert!(!board.lets_in("anna", record, 60_000), "its time is over");
        assert!(!board.lets_in("bruno", record, 0));
        assert!(!board.lets_in("anna", DocumentId::from_bytes([2; 16]), 0));
        assert!(
            board.all(0)[0].open && !board.all(60_000)[0].open,
            "it stays listed"
        );
    }
}

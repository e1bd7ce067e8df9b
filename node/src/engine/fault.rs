//! Faults and refusals on the writer's thread: what meets one is not done, and the rest goes on.
//!
//! Only for work whose traces a panic takes with it: drafts that were not stored, and memory that
//! is put right by the next attempt.

use std::panic::AssertUnwindSafe;

use super::task::Command;

/// Does what may meet a fault; none if it did.
pub(crate) fn contained<T>(what: &'static str, work: impl FnOnce() -> T) -> Option<T> {
    let done = std::panic::catch_unwind(AssertUnwindSafe(work));
    if done.is_err() {
        tracing::error!(what, "met a fault in the program and was not done");
    }
    done.ok()
}

impl Command {
    /// Whether it has a commit of its own: it takes several steps, or looks at what is stored. If it
    /// is refused at a later step, nothing of it is kept.
    pub(crate) fn is_alone(&self) -> bool {
        matches!(
            self,
            Self::Import(_) | Self::Erase { .. } | Self::Publish(_)
        )
    }
}

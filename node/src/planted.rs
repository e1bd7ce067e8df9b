//! Faults that a test plants in this program, to see that its checks find them.
//!
//! Exists only with the feature `testing`. A fault is planted for one thread at a time, so that
//! nodes simulated on other threads stay sound; each is asked for in one place, at the code that it breaks.

use std::cell::Cell;
use std::fmt;

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Planted {
    /// The store returns from a commit before its writes are synced.
    SkippedFlush,
    /// What a commit holds is shown to links and readers before it is stored.
    PublishedBeforeFlush,
    /// A command is answered as done although its commit failed.
    AnsweredBeforeFlush,
    /// A start goes on under the incarnation, and so the actors, of the one before.
    ReusedActor,
    /// A revocation is in force until the next start only.
    ForgottenRevocation,
    /// Entries of an author who is no longer approved are admitted.
    RevokedAuthorAdmitted,
    /// Entries are admitted in whatever order they come.
    UnorderedAdmission,
    /// Entries are admitted before their group is complete.
    HalfGroupVisible,
    /// The ends of others' logs are not read at the start.
    LostCursor,
    /// Entries that a failed commit took are not awaited again.
    ForgottenAfterFailedCommit,
    /// A merge leaves the former version in the digest.
    WrongDigestOnMerge,
    /// Entries are believed without their signature.
    UnverifiedSignature,
    /// Documents of another territory are admitted from anybody.
    ForeignHomeAdmitted,
    /// Counts of what peers sent are not stored.
    StaleOverview,
    /// A node that is told that it lost entries goes on writing.
    IgnoredRollback,
    /// A project that was offered and asked back is open again before the receiver has confirmed.
    ReleasedUnconfirmed,
    /// A receiver makes the project that it takes over before its word that it has accepted.
    OpenedBeforeWord,
}

impl Planted {
    /// Every fault.
    pub const ALL: [Self; 17] = [
        Self::SkippedFlush,
        Self::PublishedBeforeFlush,
        Self::AnsweredBeforeFlush,
        Self::ReusedActor,
        Self::ForgottenRevocation,
        Self::RevokedAuthorAdmitted,
        Self::UnorderedAdmission,
        Self::HalfGroupVisible,
        Self::LostCursor,
        Self::ForgottenAfterFailedCommit,
        Self::WrongDigestOnMerge,
        Self::UnverifiedSignature,
        Self::ForeignHomeAdmitted,
        Self::StaleOverview,
        Self::IgnoredRollback,
        Self::ReleasedUnconfirmed,
        Self::OpenedBeforeWord,
    ];

    /// The fault of that name, as printed.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|planted| planted.to_string() == name)
    }
}

impl fmt::Display for Planted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{self:?}");
        for (place, letter) in name.char_indices() {
            if place > 0 && letter.is_uppercase() {
                formatter.write_str("-")?;
            }
            write!(formatter, "{}", letter.to_ascii_lowercase())?;
        }
        Ok(())
    }
}

thread_local! {
    static HERE: Cell<Option<Planted>> = const { Cell::new(None) };
}

/// Plants a fault for what this thread does from now on; none makes it sound again.
pub fn plant(fault: Option<Planted>) {
    HERE.set(fault);
}

/// Whether this thread runs with that fault.
pub fn planted(fault: Planted) -> bool {
    HERE.get() == Some(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_found_by_its_name() {
        for fault in Planted::ALL {
            assert_eq!(Planted::parse(&fault.to_string()), Some(fault));
        }
        assert_eq!(Planted::SkippedFlush.to_string(), "skipped-flush");
    }

    #[test]
    fn a_fault_is_planted_on_one_thread_alone() {
        plant(Some(Planted::LostCursor));
        let elsewhere = std::thread::spawn(|| planted(Planted::LostCursor)).join();
        assert_eq!(elsewhere.ok(), Some(false));
        assert!(planted(Planted::LostCursor));
        plant(None);
        assert!(!planted(Planted::LostCursor));
    }
}

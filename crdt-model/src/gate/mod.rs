//! Foreign bytes become a change or a document here or nowhere.
//!
//! The bytes are measured by `chunk` under hard limits, without Automerge; their hash must be the
//! one that was signed and their actor one of the signer's. Only then Automerge decodes them,
//! inside a catch of panics. Guarantees: bounded time and memory, no panic leaves this module.
//! Does not know signatures or documents; whether a change fits one is checked on absorbing it.

mod chunk;
mod input;
mod order;
mod save;

use std::panic::catch_unwind;

use crate::value::{ActorId, ChangeHash};

pub use chunk::{
    ACTORS_MAX, CHANGE_BYTES_MAX, DEPENDENCIES_MAX, KEYS_BYTES_MAX, MESSAGE_BYTES_MAX,
    OPERATIONS_MAX, TIME_MS_MAX, put_preamble,
};
pub use save::SaveLimits;

/// Why foreign bytes were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A change comes after one that is not held: it may fit once that one is.
    #[error("change {index} of the batch refused: the change depends on {hash}, which is not held")]
    Absent {
        /// Place in the batch, from 0.
        index: usize,
        /// What it depends on.
        hash: ChangeHash,
    },
    /// It never fits, whatever else arrives.
    #[error("change {index} of the batch refused: {reason}")]
    Unfit {
        /// Place in the batch, from 0; 0 where a single change or a save was checked.
        index: usize,
        /// What was seen and what is allowed.
        reason: String,
    },
}

impl Refused {
    /// The place of the change in the batch, from 0.
    pub fn index(&self) -> usize {
        match self {
            Self::Absent { index, .. } | Self::Unfit { index, .. } => *index,
        }
    }

    /// What was seen and what is allowed, without the place.
    pub fn reason(&self) -> String {
        match self {
            Self::Absent { hash, .. } => {
                format!("the change depends on {hash}, which is not held")
            }
            Self::Unfit { reason, .. } => reason.clone(),
        }
    }

    pub(crate) fn unfit(index: usize, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::Unfit { index, reason }
    }
}

/// A change that passed the gate; only [`check`] makes one.
#[derive(Debug, Clone)]
pub struct CheckedChange {
    change: automerge::Change,
    actor: ActorId,
}

impl CheckedChange {
    /// The hash, equal to the signed one.
    pub fn hash(&self) -> ChangeHash {
        ChangeHash::from_bytes(self.change.hash().0)
    }

    /// The bytes as they arrived.
    pub fn bytes(&self) -> &[u8] {
        self.change.raw_bytes()
    }

    /// Who made it.
    pub fn actor(&self) -> ActorId {
        self.actor
    }

    /// The hashes of the changes that it comes after.
    pub fn dependencies(&self) -> impl ExactSizeIterator<Item = ChangeHash> {
        let deps = self.change.deps().iter();
        deps.map(|hash| ChangeHash::from_bytes(hash.0))
    }

    pub(crate) fn decoded(&self) -> &automerge::Change {
        &self.change
    }
}

/// Lets a change through if its bytes are harmless, its hash the signed one and its actor of
/// this origin and incarnation.
pub fn check(
    bytes: Vec<u8>,
    signed_hash: &ChangeHash,
    origin: [u8; 8],
    incarnation: [u8; 8],
) -> Result<CheckedChange, Refused> {
    let refused = |reason: String| Refused::unfit(0, reason);
    let measured = chunk::measure(&bytes).map_err(|bad| refused(bad.to_string()))?;
    if measured.hash != *signed_hash {
        let reason = format!(
            "the bytes hash to {}, signed was {signed_hash}",
            measured.hash
        );
        return Err(refused(reason));
    }
    let actor = measured.actor;
    if actor.origin() != origin || actor.incarnation() != incarnation {
        let reason = format!("the actor {actor} is none of the one who signed");
        return Err(refused(reason));
    }
    let decoded = catch_unwind(|| automerge::Change::from_bytes(bytes));
    let change = match decoded {
        Ok(Ok(change)) => change,
        Ok(Err(error)) => return Err(refused(format!("the change cannot be decoded: {error}"))),
        Err(_) => return Err(refused("the change makes the library fail".to_owned())),
    };
    if change.hash().0 != *signed_hash.as_bytes() {
        return Err(refused("the change decodes to another one".to_owned()));
    }
    Ok(CheckedChange { change, actor })
}

/// A whole document whose bytes are harmless; only [`check_save`] makes one.
#[derive(Debug, Clone)]
pub struct CheckedSave {
    bytes: Vec<u8>,
    changes: u64,
}

impl CheckedSave {
    /// The bytes as they arrived.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many changes it says that it holds.
    pub fn change_count(&self) -> u64 {
        self.changes
    }
}

/// Lets a whole document through if it is one uncompressed document chunk within the limits.
/// Whether its changes are what was signed, and whether it shows what they say, is found on
/// reading it: [`crate::Document::from_save`].
pub fn check_save(bytes: Vec<u8>, limits: &SaveLimits) -> Result<CheckedSave, Refused> {
    let changes = save::measure(&bytes, limits);
    let changes = changes.map_err(|bad| Refused::unfit(0, bad.to_string()))?;
    Ok(CheckedSave { bytes, changes })
}

/// Whether a change taken out of a save would pass [`check`] by itself; its hash and its actor.
pub(crate) fn check_inside(bytes: &[u8]) -> Result<(ChangeHash, ActorId), String> {
    let measured = chunk::measure(bytes).map_err(|bad| bad.to_string())?;
    Ok((measured.hash, measured.actor))
}

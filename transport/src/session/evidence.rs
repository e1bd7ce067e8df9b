//! Signed headers for places where the two sides contradict each other.
//!
//! Each place is read and told at most once a session; nothing here judges.

use std::collections::{BTreeMap, VecDeque};

use crate::log::LogId;

/// Most places that one session gives or takes evidence for.
pub(super) const PLACES_MAX: usize = 256;

/// A place whose header is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) log: LogId,
    pub(super) seq: u64,
    /// The peer's entry hash there: to be told only if ours differs.
    pub(super) theirs: Option<[u8; 32]>,
}

/// What is still to be told, and what was.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    waiting: VecDeque<Place>,
    /// Whether the header of a place was told, or only compared.
    places: BTreeMap<(LogId, u64), bool>,
}

impl Evidence {
    /// Wants our header at that place told, unless it was; `theirs` makes it a comparison.
    pub(super) fn want(&mut self, log: LogId, seq: u64, theirs: Option<[u8; 32]>) {
        if seq == 0 || self.places.len() >= PLACES_MAX {
            return;
        }
        let sure = theirs.is_none();
        let known = self.places.get(&(log, seq)).copied();
        if known.is_some_and(|told| told || !sure) {
            return;
        }
        self.places.insert((log, seq), sure);
        self.waiting.push_back(Place { log, seq, theirs });
    }

    /// The next place to read.
    pub(super) fn next(&mut self) -> Option<Place> {
        self.waiting.pop_front()
    }

    /// Notes that a comparison ended in telling; false if the place was told before.
    pub(super) fn tell(&mut self, place: Place) -> bool {
        if place.theirs.is_none() {
            return true;
        }
        self.places.insert((place.log, place.seq), true) != Some(true)
    }
}

//! The entries on trial for one commit, log by log, and what may end a trial.
//!
//! A part only ever shrinks, whole groups at a time. Does not judge entries.

use raccordo_crdt_model::{ChangeHash, DocumentId};
use raccordo_transport::{EntryKind, LogId, PeerId, SignedEntry};

use super::super::admission::NotAdmitted;
use super::super::core::ReadFailed;
use super::super::inbox::{Taken, Waits};

/// The entries of one log that are on trial.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) log: LogId,
    pub(super) peer: PeerId,
    pub(super) entries: Vec<SignedEntry>,
    /// How many of them are still on trial.
    pub(super) count: usize,
    /// Why the rest is not.
    pub(super) end: PartEnd,
    /// Whether it takes room in the inbox.
    pub(super) queued: bool,
}

/// Why a part ends before all that was taken.
#[derive(Debug)]
pub(super) enum PartEnd {
    /// Its rest, if any, comes next.
    Later,
    /// The next group was refused: entry and reason.
    Refused { seq: u64, reason: String },
    /// The next group waits.
    Waits(Waits),
}

/// What ends a trial.
#[derive(Debug)]
pub(super) enum Stop {
    Refused {
        part: usize,
        seq: u64,
        reason: NotAdmitted,
    },
    /// An entry needs something that may come.
    Waits {
        part: usize,
        waits: Waits,
    },
    /// A change needs another whose body is not kept here: it is not kept either.
    Depends {
        change: (DocumentId, ChangeHash),
    },
    Store(ReadFailed),
}

impl From<ReadFailed> for Stop {
    fn from(failed: ReadFailed) -> Self {
        Self::Store(failed)
    }
}

impl Part {
    /// What the inbox gave out: its room is given back, or it goes back there.
    pub(super) fn queued(taken: Taken) -> Self {
        Self {
            queued: true,
            ..Self::kept(taken.log, taken.peer, taken.entries)
        }
    }

    /// What comes from elsewhere.
    pub(super) fn kept(log: LogId, peer: PeerId, entries: Vec<SignedEntry>) -> Self {
        Self {
            log,
            peer,
            count: entries.len(),
            entries,
            end: PartEnd::Later,
            queued: false,
        }
    }

    pub(super) fn on_trial(&self) -> &[SignedEntry] {
        &self.entries[..self.count]
    }

    pub(super) fn refuse(&mut self, seq: u64, reason: String) {
        self.cut_before_group_of(seq);
        self.end = PartEnd::Refused { seq, reason };
    }

    pub(super) fn wait(&mut self, waits: Waits) {
        self.cut_before_group_of(waits.seq);
        self.end = PartEnd::Waits(waits);
    }

    fn cut_before_group_of(&mut self, seq: u64) {
        let entry = self.entries.iter().find(|entry| entry.header.seq == seq);
        let first = entry.map_or(seq, |entry| entry.header.group_first.min(seq));
        let before = |entry: &&SignedEntry| entry.header.seq < first;
        self.count = self.on_trial().iter().take_while(before).count();
    }

    /// The group after what is on trial.
    pub(super) fn next_group(&self) -> &[SignedEntry] {
        let rest = &self.entries[self.count..];
        let Some(first) = rest.first() else {
            return rest;
        };
        let same = |entry: &&SignedEntry| entry.header.group_first == first.header.group_first;
        &rest[..rest.iter().take_while(same).count().max(1)]
    }
}

/// A tombstone erases what other entries may touch, so its group is on trial alone.
pub(super) fn isolate_tombstone(parts: &mut [Part]) {
    let is_tombstone = |entry: &SignedEntry| entry.header.kind == EntryKind::Tombstone;
    let mut alone = None;
    for (index, part) in parts.iter_mut().enumerate() {
        let Some(found) = part.entries.iter().find(|entry| is_tombstone(entry)) else {
            continue;
        };
        part.cut_before_group_of(found.header.seq);
        if part.count == 0 {
            part.count = part.next_group().len();
            alone = Some(index);
            break;
        }
    }
    if let Some(alone) = alone {
        for (index, part) in parts.iter_mut().enumerate() {
            if index != alone {
                part.count = 0;
            }
        }
    }
}

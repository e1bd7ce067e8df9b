//! Whether both sides hold the same, once they stand at the same place.
//!
//! Digests are compared only at equal positions: ours of theirs is their end, theirs of ours is our end.
//! In the hellos that costs nothing; after a catch-up each side sends one proof, later at most one a
//! ping, so that live edits do not pay for it.

use super::{Output, Report};
use crate::host::Positions;
use crate::log::Cursor;
use crate::wire::{Message, Told};

/// What was said and what is still to be said about equality.
#[derive(Debug)]
pub(super) struct Comparison {
    /// The positions that the peer was told last, with their digest.
    told: Told,
    /// Whether the first catch-up is still to be proven.
    first: bool,
}

impl Comparison {
    /// Compares the hellos, if they are of equal positions.
    pub(super) fn begin(ours: &Positions, theirs: &Told, out: &mut Vec<Output>) -> Self {
        let settled = same_place(ours, theirs);
        if settled {
            report(ours, theirs, out);
        }
        Self {
            told: Told::from(ours),
            first: !settled,
        }
    }

    /// After a catch-up, tells the peer once.
    pub(super) fn settle(&mut self, in_sync: bool, ours: &Positions, out: &mut Vec<Output>) {
        if in_sync && self.first {
            self.tell(ours, out);
        }
    }

    /// At a ping, tells the peer if anything moved since.
    pub(super) fn settle_again(&mut self, in_sync: bool, ours: &Positions, out: &mut Vec<Output>) {
        if in_sync && self.told != Told::from(ours) {
            self.tell(ours, out);
        }
    }

    /// The peer told its positions: compares if they are ours too, and answers with ours if it lacks them.
    pub(super) fn told(&mut self, theirs: &Told, ours: &Positions, out: &mut Vec<Output>) {
        if !same_place(ours, theirs) {
            return;
        }
        report(ours, theirs, out);
        if self.first || self.told != Told::from(ours) {
            self.tell(ours, out);
        }
    }

    fn tell(&mut self, ours: &Positions, out: &mut Vec<Output>) {
        self.first = false;
        self.told = Told::from(ours);
        out.push(Output::SendControl(
            Message::Proof(self.told.clone()).encode().into(),
        ));
    }
}

fn report(ours: &Positions, theirs: &Told, out: &mut Vec<Output>) {
    out.push(Output::Report(Report::Compared {
        equal: ours.digest == theirs.digest,
    }));
}

fn same_place(ours: &Positions, theirs: &Told) -> bool {
    let heads: Vec<Cursor> = ours.heads().collect();
    sorted(&ours.held) == sorted(&theirs.heads) && sorted(&heads) == sorted(&theirs.held)
}

fn sorted(cursors: &[Cursor]) -> Vec<Cursor> {
    let mut cursors: Vec<Cursor> = cursors
        .iter()
        .copied()
        .filter(|cursor| cursor.seq > 0)
        .collect();
    cursors.sort_by_key(|cursor| cursor.log);
    cursors
}

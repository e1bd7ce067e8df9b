//! Whether both sides hold the same, once they stand at the same place.
//!
//! Digests are compared only at equal positions: ours of theirs is their end, theirs of ours is our end,
//! and the summaries of relayed logs agree both ways. In the hellos that costs nothing; after a catch-up
//! each side sends one proof, later at most one a ping, so that live edits do not pay for it.

use super::state::Ends;
use super::{Output, Report};
use crate::host::Positions;
use crate::wire::{LaneEnd, Message, Told};

/// What was said and what is still to be said about equality.
#[derive(Debug)]
pub(super) struct Comparison {
    /// The positions that the peer was told last, with their digest.
    said: Told,
    /// Whether the first catch-up is still to be proven.
    first: bool,
    /// Our positions and the peer's digest when they were compared last.
    compared: Option<(Told, [u8; 32])>,
}

impl Comparison {
    /// Compares the hellos, if they are of equal positions.
    pub(super) fn begin(
        ends: Ends,
        ours: &Positions,
        theirs: &Told,
        out: &mut Vec<Output>,
    ) -> Self {
        let said = Told::of(ours, ends.own, ends.peer);
        let mut comparison = Self {
            said: said.clone(),
            first: true,
            compared: None,
        };
        if same_place(&said, theirs) {
            comparison.first = false;
            comparison.compare(said, theirs, out);
        }
        comparison
    }

    /// After a catch-up, tells the peer once.
    pub(super) fn settle(&mut self, in_sync: bool, ours: Told, out: &mut Vec<Output>) {
        if in_sync && self.first {
            self.tell(ours, out);
        }
    }

    /// At a ping, tells the peer if anything moved since.
    pub(super) fn settle_again(&mut self, in_sync: bool, ours: Told, out: &mut Vec<Output>) {
        if in_sync && self.said != ours {
            self.tell(ours, out);
        }
    }

    /// The peer told its positions: compares if they are ours too, and answers with ours, because the
    /// peer may have been elsewhere when it heard them. What was compared already is not answered.
    pub(super) fn told(&mut self, theirs: &Told, ours: Told, out: &mut Vec<Output>) {
        let known = self
            .compared
            .as_ref()
            .is_some_and(|(at, digest)| *at == ours && *digest == theirs.digest);
        if same_place(&ours, theirs) && !known {
            self.compare(ours.clone(), theirs, out);
            self.tell(ours, out);
        }
    }

    fn compare(&mut self, ours: Told, theirs: &Told, out: &mut Vec<Output>) {
        out.push(Output::Report(Report::Compared {
            equal: ours.digest == theirs.digest,
        }));
        self.compared = Some((ours, theirs.digest));
    }

    fn tell(&mut self, ours: Told, out: &mut Vec<Output>) {
        self.first = false;
        out.push(Output::SendControl(
            Message::Proof(ours.clone()).encode().into(),
        ));
        self.said = ours;
    }
}

fn same_place(ours: &Told, theirs: &Told) -> bool {
    covers(&ours.held, &theirs.heads)
        && covers(&theirs.held, &ours.heads)
        && ours.relayed_held == theirs.relayed_heads
        && ours.relayed_heads == theirs.relayed_held
}

/// Whether exactly these ends are held; of a log that its owner does not offer, no matter.
fn covers(held: &[LaneEnd], heads: &[LaneEnd]) -> bool {
    heads.iter().all(|head| {
        let held = held.iter().find(|held| held.lane == head.lane);
        held.map_or(head.seq == 0, |held| held == head)
    })
}

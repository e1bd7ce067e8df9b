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
    same_ends(&ours.held, &theirs.heads)
        && same_ends(&theirs.held, &ours.heads)
        && ours.relayed_held == theirs.relayed_heads
        && ours.relayed_heads == theirs.relayed_held
}

/// Whether exactly these ends are held. What is held beyond them may be younger than what the peer
/// told; what it withdrew is left out before.
fn same_ends(held: &[LaneEnd], heads: &[LaneEnd]) -> bool {
    let begun = |ends: &[LaneEnd]| -> Vec<LaneEnd> {
        let mut begun: Vec<_> = ends.iter().copied().filter(|end| end.seq > 0).collect();
        begun.sort_by_key(|end| end.lane);
        begun
    };
    begun(held) == begun(heads)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(lane: u8, seq: u64) -> LaneEnd {
        let hash = [lane; 32];
        LaneEnd { lane, seq, hash }
    }

    #[test]
    fn a_proof_older_than_entries_that_overtook_it_is_not_compared() {
        let older = Told {
            heads: vec![end(0, 0), end(2, 3)],
            digest: [1; 32],
            ..Told::default()
        };
        let ours = |held: Vec<LaneEnd>| Told {
            held,
            digest: [2; 32],
            ..Told::default()
        };
        let here = ours(vec![end(2, 3)]);
        let beyond = ours(vec![end(2, 3), end(0, 1)]);
        assert!(same_place(&here, &older));
        assert!(!same_place(&beyond, &older));
        assert!(!same_place(&ours(Vec::new()), &older));
    }
}

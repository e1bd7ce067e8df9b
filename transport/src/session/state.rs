//! The states of a session, each with what exists only in it.

use super::comparison::Comparison;
use super::receiving::Receiving;
use super::repair::Repair;
use super::seen::SeenTalk;
use super::sending::Sending;
use super::{Output, Report};
use crate::entry::SignedHeader;
use crate::host::{Positions, Standing};
use crate::link::CloseReason;
use crate::log::{Cursor, LogId};
use crate::wire::{Summary, Told};

/// Where a conversation is.
#[derive(Debug)]
pub(super) enum State {
    /// The peer's hello is not here yet.
    Greeting(Greeting),
    /// Both hellos are here; at least one side has not approved the other.
    Waiting(Waiting),
    /// Entries flow.
    Tailing(Box<Tailing>),
    /// Closed.
    Over,
}

/// Waiting for the peer's hello.
#[derive(Debug, Default)]
pub(super) struct Greeting {}

/// Waiting for approval.
#[derive(Debug)]
pub(super) struct Waiting {
    /// How the peer regards us.
    pub(super) regarded: Standing,
    /// Its positions, empty until it approves us.
    pub(super) theirs: Told,
}

/// The origins of the two ends of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) own: [u8; 8],
    pub(super) peer: [u8; 8],
}

impl Ends {
    /// Whether the log is neither side's own.
    pub(super) fn relayed(self, log: LogId) -> bool {
        log.origin != self.own && log.origin != self.peer
    }

    /// The relayed ones among cursors.
    pub(super) fn relayed_of(
        self,
        cursors: impl Iterator<Item = Cursor>,
    ) -> impl Iterator<Item = Cursor> {
        cursors.filter(move |cursor| self.relayed(cursor.log))
    }
}

/// Both logs' tails, whether they led to the same, and the repair of what did not.
#[derive(Debug)]
pub(super) struct Tailing {
    pub(super) sending: Sending,
    pub(super) receiving: Receiving,
    pub(super) comparison: Comparison,
    pub(super) repair: Repair,
    pub(super) seen: SeenTalk,
}

impl Tailing {
    /// Starts both tails where the two told each other that they stand: `told` is our word.
    pub(super) fn begin(
        ends: Ends,
        told: &Positions,
        theirs: &Told,
        repair: Repair,
        out: &mut Vec<Output>,
    ) -> Self {
        out.push(Output::AllowData);
        let mut sending = Sending::begin(ends, told, theirs, out);
        let receiving = Receiving::begin(ends, told, theirs, &mut sending, out);
        let comparison = Comparison::begin(ends, told, theirs, out);
        Self {
            sending,
            receiving,
            comparison,
            repair,
            seen: SeenTalk::default(),
        }
    }

    /// The host's positions moved.
    pub(super) fn moved(&mut self, now_ms: u64, ours: &Positions, out: &mut Vec<Output>) {
        self.sending.offer(ours, out);
        self.receiving.held(now_ms, ours, &self.sending, out);
        if self.receiving.leave_out() {
            self.settle_again(ours, out);
        }
        self.settle(ours, out);
    }

    /// Tells the peer our positions for comparison, if it is time.
    pub(super) fn settle(&mut self, ours: &Positions, out: &mut Vec<Output>) {
        let in_sync = self.in_sync(ours);
        let told = self.receiving.told(ours);
        self.comparison.settle(in_sync, told, out);
    }

    /// The same at a ping: once more, if anything moved.
    pub(super) fn settle_again(&mut self, ours: &Positions, out: &mut Vec<Output>) {
        let in_sync = self.in_sync(ours);
        let told = self.receiving.told(ours);
        self.comparison.settle_again(in_sync, told, out);
    }

    /// The peer showed a header: it goes to the host, and ours goes to the peer, if it differs.
    pub(super) fn evidence(
        &mut self,
        signed: Box<SignedHeader>,
        ours: &Positions,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        self.receiving.evidence(&signed, ours, out)?;
        let (log, seq) = (signed.header.log(), signed.header.seq);
        let theirs = signed.entry_hash();
        out.push(Output::Report(Report::Evidence(signed)));
        self.sending.compare(log, seq, theirs, out);
        Ok(())
    }

    /// Lets the repair take note of what was found out since `said`, and do what is due. What a repair
    /// changed is proven at once.
    pub(super) fn mend(
        &mut self,
        now_ms: u64,
        said: usize,
        ours: &Positions,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        let compared = out.iter().skip(said).rev().find_map(|output| match output {
            Output::Report(Report::Compared { equal }) => Some(*equal),
            _ => None,
        });
        if let Some(equal) = compared {
            self.repair.compared(now_ms, equal);
        }
        if self.repair.has_changed(&ours.digest) {
            self.settle_again(ours, out);
        }
        // The peer believes only what it was acknowledged: acknowledgements held back go first.
        let may_tell = self.receiving.ack_at_ms().is_none();
        self.seen.advance(now_ms, &ours.seen, may_tell, out);
        self.repair.wanted(&ours.wanted);
        let in_sync = self.repair.is_due(now_ms) && self.in_sync(ours);
        self.repair.advance(now_ms, in_sync, out)
    }

    /// Whether each side durably holds all that the other is known to offer.
    fn in_sync(&self, ours: &Positions) -> bool {
        self.sending.all_acked() && self.receiving.all_held(ours)
    }
}

/// Whether the holder of relayed logs has to tell its cursors: nothing need be said where it holds none,
/// or just what is offered.
pub(super) fn cursors_are_due(held: Summary, offered: Summary) -> bool {
    held.count > 0 && held != offered
}

/// The cursor of `log` among `cursors`, or its start.
pub(super) fn cursor_of(cursors: &[Cursor], log: LogId) -> Cursor {
    cursors
        .iter()
        .find(|cursor| cursor.log == log)
        .copied()
        .unwrap_or_else(|| Cursor::start(log))
}

//! One log on its way in: what arrived, what the peer was told, what it has to begin with again.

use crate::host::Stopped;
use crate::log::{Cursor, LogId};

/// A log that does not move is asked for again at the second ping at the earliest.
const PINGS_MIN: u32 = 2;

/// And at this many pings at the latest.
const PINGS_MAX: u32 = 32;

/// One log on its way in.
#[derive(Debug)]
pub(super) struct Incoming {
    /// Its end as far as the peer said or showed.
    pub(super) announced: u64,
    /// The last entry that arrived on this link, or where the peer begins.
    pub(super) received: Cursor,
    /// The highest number that a frame of this link brought.
    pub(super) came: u64,
    /// The last durable end told to the peer.
    pub(super) told: u64,
    /// Frames are dropped until one says itself what it follows: the peer was asked to begin again.
    pub(super) awaited: bool,
    /// The stop that the peer was told.
    pub(super) stopped: Option<Stopped>,
    /// Nobody known signs it, or the peer left entries out: asked for again later.
    pub(super) strange: bool,
    /// The peer holds another entry than we do: nothing is taken before it begins anew.
    pub(super) contradicted: bool,
    /// The rollback reported last: number held, number of the head.
    pub(super) reported: Option<(u64, u64)>,
    stall: Stall,
}

/// Whether a log that lacks entries moves.
#[derive(Debug, Default)]
struct Stall {
    /// Where it stood at the last ping: durable, arrived.
    seen: (u64, u64),
    pings: u32,
    patience: u32,
}

impl Incoming {
    /// A log that the peer sends from behind this cursor.
    pub(super) fn after(held: Cursor) -> Self {
        Self {
            announced: held.seq,
            received: held,
            came: 0,
            told: held.seq,
            awaited: false,
            stopped: None,
            strange: false,
            contradicted: false,
            reported: None,
            stall: Stall::default(),
        }
    }

    /// A log of which nothing was said yet.
    pub(super) fn start(log: LogId) -> Self {
        Self::after(Cursor::start(log))
    }

    /// The peer is asked to begin again behind this cursor.
    pub(super) const fn ask(&mut self, from: Cursor) {
        self.received = from;
        self.told = from.seq;
        self.awaited = true;
        self.contradicted = false;
        self.strange = false;
    }

    /// At a ping: whether the log should be asked for again, because it lacks entries that arrived or
    /// were asked for and has not moved. The patience doubles each time.
    pub(super) fn has_stalled(&mut self, held: u64, lacks: bool) -> bool {
        let seen = (held, self.received.seq);
        if !lacks || seen != self.stall.seen {
            self.stall = Stall {
                seen,
                ..Stall::default()
            };
            return false;
        }
        self.stall.pings = self.stall.pings.saturating_add(1);
        let patience = self.stall.patience.max(PINGS_MIN);
        let due = self.stall.pings >= patience;
        if due {
            self.stall.pings = 0;
            self.stall.patience = patience.saturating_mul(2).min(PINGS_MAX);
            self.stall.seen = (held, held);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_does_not_move_is_asked_for_again_ever_more_patiently() {
        let log = LogId::new([1; 8], 0);
        let mut incoming = Incoming::start(log);
        incoming.received.seq = 9;
        let mut asked = Vec::new();
        for ping in 0..30 {
            if incoming.has_stalled(4, true) {
                asked.push(ping);
                incoming.received.seq = 4;
            }
        }
        assert_eq!(asked, [2, 6, 14]);
        assert!(!incoming.has_stalled(5, true), "it moved");
        assert!(!incoming.has_stalled(5, false));
    }
}

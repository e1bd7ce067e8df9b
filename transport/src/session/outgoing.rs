//! One log on its way to the peer: where the peer stands, what was sent, why it waits.

use crate::log::{Cursor, LogId};

/// One log on its way out.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Its durable end here; none if it is not offered.
    pub(super) head: Option<Cursor>,
    /// The entry that the peer must hold before this log starts.
    pub(super) after: Option<(LogId, u64)>,
    /// The peer's own log, given back because it asked.
    pub(super) served: bool,
    /// Where the peer expects the next frame to begin; none after it asked anew.
    pub(super) expected: Option<u64>,
    /// Up to where the peer was sent it, or is known to hold it.
    pub(super) sent: Cursor,
    /// Up to where the peer is known to hold it durably.
    pub(super) acked: Cursor,
    /// The highest number framed on this link.
    pub(super) framed: u64,
    /// The peer takes no more of it.
    pub(super) paused: bool,
    /// The end that we had when the peer was found to hold something else.
    pub(super) contradicted: Option<Cursor>,
    /// The rollback reported last: number held, number of the head.
    pub(super) reported: Option<(u64, u64)>,
}

impl Outgoing {
    /// A log that the peer holds up to `held`, as it said.
    pub(super) const fn at(held: Cursor) -> Self {
        Self {
            head: None,
            after: None,
            served: false,
            expected: Some(held.seq),
            sent: held,
            acked: held,
            framed: 0,
            paused: false,
            contradicted: None,
            reported: None,
        }
    }

    /// Whether there is something to send and nothing that this log itself says against it.
    pub(super) fn is_ready(&self) -> bool {
        self.is_ahead() && !self.paused && self.contradicted.is_none()
    }

    /// Whether its end is beyond what was sent.
    pub(super) fn is_ahead(&self) -> bool {
        self.head.is_some_and(|head| head.seq > self.sent.seq)
    }

    /// Whether the peer durably holds all that is offered of it; of our own log also nothing else.
    pub(super) fn is_settled(&self, own: bool) -> bool {
        self.contradicted.is_none()
            && (self.served
                || self.head.is_none_or(|head| {
                    self.acked.seq == head.seq || (!own && self.acked.seq > head.seq)
                }))
    }

    /// The peer is known to hold it up to there. Says whether that is news.
    pub(super) fn known(&mut self, cursor: Cursor) -> bool {
        let news = cursor.seq > self.acked.seq;
        if news {
            self.acked = cursor;
            if cursor.seq > self.sent.seq {
                self.sent = cursor;
            }
        }
        news
    }

    /// The peer wants it from there.
    pub(super) const fn rewind(&mut self, cursor: Cursor) {
        self.sent = cursor;
        self.acked = cursor;
        self.expected = None;
        self.contradicted = None;
        self.paused = false;
    }

    /// A frame that ends there was made.
    pub(super) fn framed_to(&mut self, end: Cursor) {
        self.expected = Some(end.seq);
        self.sent = end;
        self.framed = self.framed.max(end.seq);
    }
}

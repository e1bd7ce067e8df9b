//! The states of a session, each with what exists only in it.

use super::Output;
use super::comparison::Comparison;
use super::receiving::Receiving;
use super::sending::Sending;
use crate::host::{Positions, Standing};
use crate::link::CloseReason;
use crate::log::Cursor;
use crate::wire::Told;

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

/// Both logs' tails, and whether they led to the same.
#[derive(Debug)]
pub(super) struct Tailing {
    pub(super) sending: Sending,
    pub(super) receiving: Receiving,
    pub(super) comparison: Comparison,
}

impl Tailing {
    /// Starts both tails where the hellos say, unless one side lost entries.
    pub(super) fn begin(
        ours: &Positions,
        theirs: &Told,
        out: &mut Vec<Output>,
    ) -> Result<Self, CloseReason> {
        out.push(Output::AllowData);
        let receiving = Receiving::begin(ours, theirs, out)?;
        let sending = Sending::begin(ours, theirs, out)?;
        let comparison = Comparison::begin(ours, theirs, out);
        Ok(Self {
            sending,
            receiving,
            comparison,
        })
    }

    /// Whether each side durably holds all that the other is known to offer.
    pub(super) fn in_sync(&self, ours: &Positions) -> bool {
        self.sending.all_acked() && self.receiving.all_held(ours)
    }
}

/// The cursor of `log` among `cursors`, or its start.
pub(super) fn cursor_of(cursors: &[Cursor], log: crate::log::LogId) -> Cursor {
    cursors
        .iter()
        .find(|cursor| cursor.log == log)
        .copied()
        .unwrap_or_else(|| Cursor::start(log))
}

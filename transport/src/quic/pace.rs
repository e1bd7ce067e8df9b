//! One link's place in its peer's budget: what may be read now, what may be written, what is waited for.
//!
//! Waits can be dropped without losing a place in the queue.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use tokio::time::{Instant, sleep_until};

use super::budget::Budget;

/// What one link may do.
pub(super) struct Pace {
    budget: Budget,
    /// A turn that is waited for.
    turn: Option<Pin<Box<dyn Future<Output = usize> + Send>>>,
    /// What is left of the last turn, in bytes.
    left: usize,
}

impl Pace {
    pub(super) const fn new(budget: Budget) -> Self {
        Self {
            budget,
            turn: None,
            left: 0,
        }
    }

    /// A control frame came.
    pub(super) fn control(&self, bytes: usize) {
        self.budget.control(bytes);
    }

    /// A frame came on another stream.
    pub(super) fn brought(&self, bytes: usize) {
        self.budget.brought(bytes);
    }

    /// So many entries are being taken in.
    pub(super) fn entries(&self, count: usize) {
        self.budget.entries(count);
    }

    /// A control frame goes out: it does not wait, but it counts.
    pub(super) fn says(&self, bytes: usize) {
        self.budget.sent_at_once(bytes);
    }

    /// Until when the control stream, and until when the others, are not read.
    pub(super) fn pauses(&self) -> [Option<Instant>; 2] {
        [self.budget.control_waits(), self.budget.reading_waits()]
    }

    /// How many bytes may be written now; with 0 a turn is to be waited for.
    pub(super) fn may_write(&self) -> usize {
        if self.budget.limits_sending() {
            self.left
        } else {
            usize::MAX
        }
    }

    /// So many bytes were written.
    pub(super) const fn wrote(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
    }

    /// Waits for the next turn to write.
    pub(super) async fn turn(&mut self) {
        let budget = &self.budget;
        let turn = self
            .turn
            .get_or_insert_with(|| Box::pin(budget.clone().turn()));
        self.left = turn.as_mut().await;
        self.turn = None;
    }
}

/// Waits until the first of these moments; for ever, if there is none.
pub(super) async fn until_any(moments: [Option<Instant>; 2]) {
    match moments.into_iter().flatten().min() {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl fmt::Debug for Pace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Pace({} bytes left)", self.left)
    }
}

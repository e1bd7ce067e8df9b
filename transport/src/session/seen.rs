//! What people have opened, told to the node that wrote it: one frame on its way at a time, each way.
//!
//! Guarantees: nothing is sent while there is nothing to tell; what was not confirmed is told again on
//! the next connection; a peer that tells more before the last was confirmed breaks the protocol, and
//! confirmations are [`SEEN_PAUSE_MS`] apart, so that it makes the host write no more often than that.
//! Does not know whether anything of it is true.

use super::{Output, Report, SEEN_PAUSE_MS, rule};
use crate::host::{HostFailed, Seen};
use crate::link::CloseReason;
use crate::wire::{Message, SEEN_ITEMS_MAX};

/// Both directions of one link.
#[derive(Debug, Default)]
pub(super) struct SeenTalk {
    /// Told, and not confirmed yet; empty if nothing is on its way.
    telling: Vec<Seen>,
    /// Confirmed last: the host's word may still name it.
    told: Vec<Seen>,
    taking: Taking,
    /// When the last confirmation went out.
    confirmed_ms: Option<u64>,
}

/// What the peer told, on its way to the disk.
#[derive(Debug, Default)]
enum Taking {
    #[default]
    Nothing,
    /// The host has so many.
    Given(usize),
    /// The host kept them: that is said at this time.
    Kept { count: usize, due_ms: u64 },
}

impl SeenTalk {
    /// The peer tells what was opened there.
    pub(super) fn heard(
        &mut self,
        items: Vec<Seen>,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        if !matches!(self.taking, Taking::Nothing) {
            return Err(rule(
                "more was told as opened before the last was confirmed",
            ));
        }
        self.taking = Taking::Given(items.len());
        out.push(Output::TakeSeen(items));
        Ok(())
    }

    /// The host kept it. What it could not keep is never confirmed: another connection brings it again.
    pub(super) fn taken(&mut self, now_ms: u64, result: &Result<(), HostFailed>) {
        if let (Taking::Given(count), Ok(())) = (&self.taking, result) {
            let pause = |last: u64| last.saturating_add(SEEN_PAUSE_MS);
            self.taking = Taking::Kept {
                count: *count,
                due_ms: self.confirmed_ms.map_or(now_ms, pause).max(now_ms),
            };
        }
    }

    /// The peer keeps what it was told last.
    pub(super) fn kept(&mut self, count: usize, out: &mut Vec<Output>) -> Result<(), CloseReason> {
        if self.telling.is_empty() || count != self.telling.len() {
            return Err(rule("a confirmation of what was not told as opened"));
        }
        self.told = std::mem::take(&mut self.telling);
        out.push(Output::Report(Report::SeenTold(self.told.clone())));
        Ok(())
    }

    /// Confirms what is due, and tells what `ours` holds beyond what was told, if it may.
    pub(super) fn advance(
        &mut self,
        now_ms: u64,
        ours: &[Seen],
        may_tell: bool,
        out: &mut Vec<Output>,
    ) {
        if let Taking::Kept { count, due_ms } = self.taking
            && now_ms >= due_ms
        {
            self.taking = Taking::Nothing;
            self.confirmed_ms = Some(now_ms);
            out.push(Output::SendControl(
                Message::SeenKept(count).encode().into(),
            ));
        }
        if !may_tell || ours.is_empty() || !self.telling.is_empty() {
            return;
        }
        let news = ours.iter().filter(|item| !self.told.contains(item));
        self.telling = news.take(SEEN_ITEMS_MAX).copied().collect();
        if !self.telling.is_empty() {
            let message = Message::Seen(self.telling.clone());
            out.push(Output::SendControl(message.encode().into()));
        }
    }

    /// When a confirmation is due.
    pub(super) const fn wake_ms(&self) -> Option<u64> {
        match self.taking {
            Taking::Kept { due_ms, .. } => Some(due_ms),
            Taking::Nothing | Taking::Given(_) => None,
        }
    }
}

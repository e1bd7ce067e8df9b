//! What differs between the two sides: found by reconciliation, fetched as parcels.
//!
//! Guarantees: one run at a time, begun by the dialler; one WANT at a time a side; every step has a
//! deadline; a run that was cut off leaves nothing behind, the next one begins anew. Nothing here holds
//! up entries: parcels have a stream of their own.
//! Does not know what a document is; whether a parcel proves what it says is the host's to judge.

mod fetching;
mod reconciling;
mod serving;
#[cfg(test)]
mod tests;

use super::{Output, RepairInput};
use crate::link::CloseReason;
use crate::wire::frame::Frame;
use crate::wire::kind;
use crate::wire::repair::{parse_recon, parse_want};
use fetching::Fetching;
use reconciling::Reconciling;
use serving::Serving;

/// A run or an answer in which nothing happens for this long is given up, in milliseconds.
pub const REPAIR_STEP_MAX_MS: u64 = 30_000;

/// A whole run is given up after this long, in milliseconds.
pub const RECONCILIATION_MAX_MS: u64 = 600_000;

/// A side takes part in a run at most this often, in milliseconds.
pub const RECONCILIATION_PAUSE_MS: u64 = 1_000;

/// The periodic proof waits this long for logs that are not level, in milliseconds.
const PATIENCE_MS: u64 = 60_000;

/// Reconciliation and repair of one session.
#[derive(Debug)]
pub(super) struct Repair {
    reconciling: Reconciling,
    fetching: Fetching,
    serving: Serving,
    /// Documents were installed, and the digest before that.
    installed: bool,
    digest: [u8; 32],
}

impl Repair {
    /// Nothing under way; with the dialler, a run is due every `proof_interval_ms`.
    pub(super) fn new(now_ms: u64, dialled: bool, proof_interval_ms: u64) -> Self {
        Self {
            reconciling: Reconciling::new(now_ms, dialled, proof_interval_ms),
            fetching: Fetching::default(),
            serving: Serving::default(),
            installed: false,
            digest: [0; 32],
        }
    }

    /// Digests at equal positions were compared.
    pub(super) fn compared(&mut self, now_ms: u64, equal: bool) {
        self.reconciling.compared(now_ms, equal);
    }

    /// Documents that the host wants from this peer, all of them each time.
    pub(super) fn wanted(&mut self, ids: &[[u8; 16]]) {
        self.fetching.damaged(ids);
    }

    /// A RECON or WANT frame came.
    pub(super) fn control(
        &mut self,
        now_ms: u64,
        frame: &Frame,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        if frame.kind == kind::WANT {
            return self.serving.asked(parse_want(&frame.body)?, out);
        }
        let (run, word) = parse_recon(&frame.body)?;
        let differing = self.reconciling.heard(now_ms, run, word, out)?;
        self.fetching.want(differing);
        Ok(())
    }

    /// A frame came on the peer's backfill stream.
    pub(super) fn backfill(
        &mut self,
        now_ms: u64,
        frame: &Frame,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        self.fetching.frame(now_ms, frame, out)
    }

    /// Something that was waited for is done.
    pub(super) fn worked(
        &mut self,
        now_ms: u64,
        input: RepairInput,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        match input {
            RepairInput::Items(items) => {
                let differing = self.reconciling.items(now_ms, items, out)?;
                self.fetching.want(differing);
                Ok(())
            }
            RepairInput::Parcels(frames) => self.serving.read(frames, out),
            RepairInput::Written => {
                self.serving.written(out);
                Ok(())
            }
            RepairInput::Installed(result) => {
                self.installed = true;
                self.fetching.installed(now_ms, result, out)
            }
            RepairInput::Verify => {
                self.reconciling.verify(now_ms);
                Ok(())
            }
        }
    }

    /// Whether the digest moved for the first time after an installation.
    pub(super) fn has_changed(&mut self, digest: &[u8; 32]) -> bool {
        let moved = self.installed && self.digest != *digest && self.fetching.is_idle();
        if moved || !self.installed {
            self.digest = *digest;
            self.installed = false;
        }
        moved
    }

    /// The peer's data stream moved: what comes behind it is late for a reason.
    pub(super) const fn overtaken(&mut self, now_ms: u64) {
        self.fetching.overtaken(now_ms);
    }

    /// Whether the peer's backfill stream should be read now.
    pub(super) fn wants_backfill(&self) -> bool {
        self.fetching.has_room()
    }

    /// Whether a run would begin now, if both sides stand at the same place.
    pub(super) fn is_due(&self, now_ms: u64) -> bool {
        self.fetching.is_idle() && self.reconciling.is_due(now_ms)
    }

    /// Gives up what takes too long, asks for what is wanted; `in_sync` allows a run that is due; the
    /// periodic proof does without in the end, for a log that is stopped may never be level.
    pub(super) fn advance(
        &mut self,
        now_ms: u64,
        in_sync: bool,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        self.fetching.advance(now_ms, out)?;
        if self.fetching.take_mended() {
            // Whether that was all, the next run tells; digests may not show what a store lost.
            self.reconciling.compared(now_ms, false);
        }
        self.reconciling.give_up_if_late(now_ms);
        let may_begin = in_sync || self.reconciling.is_overdue(now_ms);
        if may_begin && self.is_due(now_ms) {
            self.reconciling.begin(now_ms, out);
        }
        Ok(())
    }

    /// When [`Repair::advance`] has something to do by time alone, after `now_ms`.
    pub(super) fn wake_ms(&self, now_ms: u64) -> Option<u64> {
        self.fetching
            .wake_ms()
            .into_iter()
            .chain(self.reconciling.wake_ms())
            .filter(|at_ms| *at_ms > now_ms)
            .min()
    }
}

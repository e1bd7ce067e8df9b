//! Documents asked for, and the parcels that come: one WANT at a time, its answer taken in before the next.
//!
//! Guarantees: only what was asked for is handed on; few installations are under way, then the stream is
//! not read. A document that the peer leaves out, or that does not hold, is asked for again only later.

use std::collections::BTreeSet;

use super::REPAIR_STEP_MAX_MS;
use crate::host::HostFailed;
use crate::link::CloseReason;
use crate::session::{Output, Report, rule};
use crate::wire::frame::Frame;
use crate::wire::kind;
use crate::wire::parcel::ParcelDecoder;
use crate::wire::repair::{WANT_IDS_MAX, encode_want};

/// Most frames' parcels between their arrival and the host's having installed them.
const INSTALLATIONS_MAX: usize = 2;

/// A damaged document that did not come is asked for again after this long, in milliseconds.
const ASK_AGAIN_MS: u64 = 60_000;

/// A WANT and what came for it.
#[derive(Debug)]
struct Asked {
    /// What has not come yet.
    missing: BTreeSet<[u8; 16]>,
    /// The last frame came.
    complete: bool,
    /// Given up then, unless the peer's streams move.
    due_ms: u64,
}

/// What this side fetches.
#[derive(Debug, Default)]
pub(super) struct Fetching {
    decoder: ParcelDecoder,
    queue: BTreeSet<[u8; 16]>,
    asked: Option<Asked>,
    installing: usize,
    /// Documents installed since nothing was wanted last.
    repaired: usize,
    /// What the host said last that it wants, and which of it was asked for already.
    damaged: BTreeSet<[u8; 16]>,
    damaged_asked: BTreeSet<[u8; 16]>,
    ask_again_ms: Option<u64>,
    /// A repair came to its end, with something that came.
    mended: bool,
}

impl Fetching {
    /// Documents that reconciliation found.
    pub(super) fn want(&mut self, ids: Vec<[u8; 16]>) {
        self.queue.extend(ids);
    }

    /// Documents that the host misses, all of them each time.
    pub(super) fn damaged(&mut self, ids: &[[u8; 16]]) {
        if self.damaged.len() == ids.len() && ids.iter().all(|id| self.damaged.contains(id)) {
            return;
        }
        self.damaged = ids.iter().copied().collect();
        let damaged = &self.damaged;
        self.damaged_asked.retain(|id| damaged.contains(id));
        self.queue
            .extend(damaged.difference(&self.damaged_asked).copied());
        self.damaged_asked.clone_from(&self.damaged);
    }

    /// A frame of the peer's backfill stream.
    pub(super) fn frame(
        &mut self,
        now_ms: u64,
        frame: &Frame,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        if frame.kind & kind::SKIPPABLE != 0 {
            return Ok(());
        }
        if frame.kind != kind::BACKFILL {
            return Err(rule(&format!(
                "a frame of type {:#04x} on a backfill stream",
                frame.kind
            )));
        }
        let Some(asked) = self.asked.as_mut().filter(|asked| !asked.complete) else {
            return Err(rule("parcels that were not asked for"));
        };
        let unpacked = self.decoder.decode(&frame.body)?;
        asked.due_ms = now_ms.saturating_add(REPAIR_STEP_MAX_MS);
        asked.complete = unpacked.last;
        for parcel in &unpacked.parcels {
            if !asked.missing.remove(&parcel.document) {
                return Err(rule("a document that was not asked for"));
            }
        }
        if !unpacked.parcels.is_empty() {
            self.installing = self.installing.saturating_add(1);
            self.repaired = self.repaired.saturating_add(unpacked.parcels.len());
            out.push(Output::Install(unpacked.parcels));
        }
        self.advance(now_ms, out)
    }

    pub(super) fn installed(
        &mut self,
        now_ms: u64,
        result: Result<(), HostFailed>,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        result.map_err(|failed| CloseReason::HostFailed {
            detail: failed.detail,
        })?;
        self.installing = self.installing.saturating_sub(1);
        if let Some(asked) = &mut self.asked {
            asked.due_ms = now_ms.saturating_add(REPAIR_STEP_MAX_MS);
        }
        self.advance(now_ms, out)
    }

    pub(super) const fn overtaken(&mut self, now_ms: u64) {
        if let Some(asked) = &mut self.asked {
            asked.due_ms = now_ms.saturating_add(REPAIR_STEP_MAX_MS);
        }
    }

    pub(super) const fn has_room(&self) -> bool {
        self.installing < INSTALLATIONS_MAX
    }

    /// Whether a repair came to its end since this was asked last.
    pub(super) const fn take_mended(&mut self) -> bool {
        std::mem::replace(&mut self.mended, false)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.asked.is_none() && self.queue.is_empty()
    }

    /// Closes an answer that is over, asks for what is wanted next, gives up what does not come.
    pub(super) fn advance(
        &mut self,
        now_ms: u64,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        if let Some(asked) = &self.asked {
            if !asked.complete && self.installing == 0 && now_ms >= asked.due_ms {
                return Err(rule("documents that were asked for do not come"));
            }
            if !asked.complete || self.installing > 0 {
                return Ok(());
            }
            self.asked = None;
            if self.queue.is_empty() {
                let documents = std::mem::take(&mut self.repaired);
                self.mended = documents > 0;
                out.push(Output::Report(Report::Repaired { documents }));
            }
        }
        if self.ask_again_ms.is_some_and(|at_ms| now_ms >= at_ms) {
            self.ask_again_ms = None;
            self.queue.extend(&self.damaged);
        }
        self.ask(now_ms, out);
        Ok(())
    }

    /// When something is due here by time alone.
    pub(super) fn wake_ms(&self) -> Option<u64> {
        match &self.asked {
            Some(asked) if !asked.complete && self.installing == 0 => Some(asked.due_ms),
            Some(_) => None,
            None => self.ask_again_ms,
        }
    }

    fn ask(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        let ids: Vec<[u8; 16]> = self.queue.iter().take(WANT_IDS_MAX).copied().collect();
        let Some(last) = ids.last() else {
            return;
        };
        self.queue = self.queue.split_off(last);
        self.queue.remove(last);
        if ids.iter().any(|id| self.damaged.contains(id)) {
            self.ask_again_ms = Some(now_ms.saturating_add(ASK_AGAIN_MS));
        }
        out.push(Output::SendControl(encode_want(&ids).into()));
        self.asked = Some(Asked {
            missing: ids.into_iter().collect(),
            complete: false,
            due_ms: now_ms.saturating_add(REPAIR_STEP_MAX_MS),
        });
    }
}

//! Documents that the peer asked for: read a few at a time, written one frame after the other.
//!
//! Guarantees: one WANT at a time; what waits in memory is what one read gave and the frame being
//! written; how many documents a read asks for follows from how large the last ones were.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::host::HostFailed;
use crate::link::CloseReason;
use crate::session::{Output, rule};
use crate::wire::repair::WANT_IDS_MAX;

/// Documents in the first read.
const FIRST_READ: usize = 16;

/// What a read should bring, in bytes of frames.
const READ_BYTES: usize = 1 << 20;

/// What this side serves.
#[derive(Debug)]
pub(super) struct Serving {
    wanted: VecDeque<[u8; 16]>,
    /// A WANT is not answered to its end yet.
    answering: bool,
    /// How many documents the next read asks for.
    share: usize,
    reading: Option<usize>,
    ready: VecDeque<Bytes>,
    writing: bool,
}

impl Default for Serving {
    fn default() -> Self {
        Self {
            wanted: VecDeque::new(),
            answering: false,
            share: FIRST_READ,
            reading: None,
            ready: VecDeque::new(),
            writing: false,
        }
    }
}

impl Serving {
    pub(super) fn asked(
        &mut self,
        ids: Vec<[u8; 16]>,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        if self.answering {
            return Err(rule("a second want before the first was answered"));
        }
        self.answering = true;
        self.wanted = ids.into();
        self.advance(out);
        Ok(())
    }

    pub(super) fn read(
        &mut self,
        frames: Result<Vec<Bytes>, HostFailed>,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        let frames = frames.map_err(|failed| CloseReason::HostFailed {
            detail: failed.detail,
        })?;
        let Some(documents) = self.reading.take() else {
            return Ok(());
        };
        let bytes = frames
            .iter()
            .fold(1_usize, |sum, frame| sum.saturating_add(frame.len()));
        let fitting = documents.saturating_mul(READ_BYTES).checked_div(bytes);
        let most = self.share.saturating_mul(4).min(WANT_IDS_MAX);
        self.share = fitting.unwrap_or(FIRST_READ).clamp(1, most);
        self.ready.extend(frames);
        self.advance(out);
        Ok(())
    }

    pub(super) fn written(&mut self, out: &mut Vec<Output>) {
        self.writing = false;
        self.advance(out);
    }

    fn advance(&mut self, out: &mut Vec<Output>) {
        if !self.writing
            && let Some(frame) = self.ready.pop_front()
        {
            self.writing = true;
            let over = self.ready.is_empty() && self.reading.is_none() && self.wanted.is_empty();
            self.answering = !over;
            out.push(Output::SendBackfill(frame));
        }
        if self.reading.is_none() && self.ready.is_empty() && !self.wanted.is_empty() {
            let share = self.share.min(self.wanted.len());
            let ids: Vec<[u8; 16]> = self.wanted.drain(..share).collect();
            self.reading = Some(ids.len());
            out.push(Output::ReadParcels {
                ids,
                last: self.wanted.is_empty(),
            });
        }
    }
}

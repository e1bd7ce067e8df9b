//! Our logs towards the peer: a cursor over the disk log for each, and nothing else in memory.
//!
//! Guarantees: at most one read is in flight and at most one batch read waits while a frame is being
//! written, whatever the peer's lag; logs take turns. A peer that holds more of a log than there is, or
//! something else, ends the session: this node was rolled back.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use super::state::cursor_of;
use super::{Output, Report};
use crate::entry::{ENTRY_BODY_BYTES_MAX, SignedEntry};
use crate::host::{HostFailed, Positions};
use crate::link::{CloseReason, Rollback, Side};
use crate::log::{Cursor, LogId};
use crate::wire::data::DataEncoder;
use crate::wire::{AckedLog, LogReference, Told};

/// One log on its way out.
#[derive(Debug)]
struct Outgoing {
    /// Its durable end here.
    head: Cursor,
    /// The last entry framed.
    sent: Cursor,
    /// The peer's durable end of it.
    acked: Cursor,
}

/// All logs on their way out.
#[derive(Debug)]
pub(super) struct Sending {
    encoder: DataEncoder,
    logs: BTreeMap<LogId, Outgoing>,
    /// What the peer's hello said, for logs that are offered only later.
    first_held: Vec<Cursor>,
    reading: Option<LogId>,
    ready: VecDeque<SignedEntry>,
    writing: bool,
    turn: Option<LogId>,
}

impl Sending {
    /// Starts every offered log after what the peer holds of it.
    pub(super) fn begin(
        ours: &Positions,
        theirs: &Told,
        out: &mut Vec<Output>,
    ) -> Result<Self, CloseReason> {
        let mut sending = Self {
            encoder: DataEncoder::default(),
            logs: BTreeMap::new(),
            first_held: theirs.held.clone(),
            reading: None,
            ready: VecDeque::new(),
            writing: false,
            turn: None,
        };
        for head in ours.heads() {
            let held = cursor_of(&theirs.held, head.log);
            refuse_rollback(held, head)?;
        }
        let held: Vec<Cursor> = theirs
            .held
            .iter()
            .copied()
            .filter(|held| held.seq > 0)
            .collect();
        if !held.is_empty() {
            out.push(Output::Report(Report::Acked(held)));
        }
        sending.offer(ours, out);
        Ok(sending)
    }

    /// Takes note of new ends and new logs; a log no longer offered stops where it is.
    pub(super) fn offer(&mut self, ours: &Positions, out: &mut Vec<Output>) {
        for (log, outgoing) in &mut self.logs {
            if !ours.heads().any(|head| head.log == *log) {
                outgoing.head = outgoing.sent;
            }
        }
        for head in ours.heads() {
            let held = cursor_of(&self.first_held, head.log);
            let outgoing = self.logs.entry(head.log).or_insert(Outgoing {
                head,
                sent: held,
                acked: held,
            });
            if head.seq >= outgoing.head.seq {
                outgoing.head = head;
            }
        }
        self.advance(out);
    }

    /// Takes what the disk gave.
    pub(super) fn read(
        &mut self,
        result: Result<Vec<SignedEntry>, HostFailed>,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        let Some(log) = self.reading.take() else {
            return Ok(());
        };
        let entries = result.map_err(|failed| store_failed(failed.detail))?;
        let Some(outgoing) = self.logs.get(&log) else {
            return Ok(());
        };
        let Some(first) = entries.first() else {
            return Err(store_failed(format!(
                "log {log} ends at {}, though its end was said to be {}",
                outgoing.sent.seq, outgoing.head.seq
            )));
        };
        // The entry after what the peer holds names its predecessor: if the peer holds another one,
        // this log is not the one it was fed from.
        if first.header.prev != outgoing.sent.hash {
            return Err(CloseReason::RolledBack(Rollback {
                log,
                held_seq: outgoing.sent.seq,
                head_seq: outgoing.head.seq,
                whose: Side::Ours,
            }));
        }
        let mut next = outgoing.sent.seq;
        for entry in &entries {
            next = next.saturating_add(1);
            if entry.header.log() != log
                || entry.header.seq != next
                || entry.body.len() > ENTRY_BODY_BYTES_MAX
            {
                return Err(store_failed(format!(
                    "the store gave entry {} of log {} where entry {next} of log {log} was due",
                    entry.header.seq,
                    entry.header.log()
                )));
            }
        }
        self.ready = entries.into();
        self.advance(out);
        Ok(())
    }

    /// The frame is on the stream: the next may follow.
    pub(super) fn written(&mut self, out: &mut Vec<Output>) {
        self.writing = false;
        self.advance(out);
    }

    /// Takes the peer's durable ends.
    pub(super) fn acked(
        &mut self,
        logs: &[AckedLog],
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        let mut advanced = Vec::new();
        for told in logs {
            let log = match told.log {
                LogReference::Named(log) => Some(log),
                LogReference::Index(index) => self.encoder.log(index),
            };
            let Some((log, outgoing)) =
                log.and_then(|log| self.logs.get_mut(&log).map(|outgoing| (log, outgoing)))
            else {
                return Err(super::rule(
                    "an acknowledgement of a log that was not offered",
                ));
            };
            let cursor = Cursor {
                log,
                seq: told.seq,
                hash: told.hash,
            };
            refuse_rollback(cursor, outgoing.head)?;
            refuse_rollback_at(cursor, outgoing.sent, outgoing.head)?;
            if cursor.seq > outgoing.acked.seq {
                outgoing.acked = cursor;
                advanced.push(cursor);
            }
        }
        if !advanced.is_empty() {
            out.push(Output::Report(Report::Acked(advanced)));
        }
        Ok(())
    }

    /// Ends that the data stream has not reached yet.
    pub(super) fn heads_ahead(&self) -> Vec<Cursor> {
        self.logs
            .values()
            .filter(|outgoing| outgoing.head.seq > outgoing.sent.seq)
            .map(|outgoing| outgoing.head)
            .collect()
    }

    /// Whether the peer durably holds all of every log.
    pub(super) fn all_acked(&self) -> bool {
        self.logs
            .values()
            .all(|outgoing| outgoing.acked.seq >= outgoing.head.seq)
    }

    fn advance(&mut self, out: &mut Vec<Output>) {
        if !self.writing && !self.ready.is_empty() {
            self.frame(out);
        }
        if self.reading.is_none()
            && self.ready.is_empty()
            && let Some((log, after)) = self.next_log()
        {
            self.reading = Some(log);
            self.turn = Some(log);
            out.push(Output::Read { log, after });
        }
    }

    fn frame(&mut self, out: &mut Vec<Output>) {
        let entries = self.ready.make_contiguous();
        let (bytes, count) = self.encoder.encode(entries);
        let Some(last) = entries.get(count.saturating_sub(1)) else {
            return;
        };
        let sent = Cursor {
            log: last.header.log(),
            seq: last.header.seq,
            hash: last.entry_hash(),
        };
        if let Some(outgoing) = self.logs.get_mut(&sent.log) {
            outgoing.sent = sent;
        }
        self.ready.drain(..count);
        self.writing = true;
        out.push(Output::SendData(bytes.into()));
    }

    /// The next log with something to send, after the one that had its turn.
    fn next_log(&self) -> Option<(LogId, u64)> {
        let after = self.turn.map_or(Bound::Unbounded, Bound::Excluded);
        self.logs
            .range((after, Bound::Unbounded))
            .chain(&self.logs)
            .find(|(_, outgoing)| outgoing.head.seq > outgoing.sent.seq)
            .map(|(log, outgoing)| (*log, outgoing.sent.seq))
    }
}

/// A peer cannot hold more of a log than there is, nor another entry at its end.
fn refuse_rollback(held: Cursor, head: Cursor) -> Result<(), CloseReason> {
    if held.seq > head.seq {
        return Err(rolled_back(held, head));
    }
    refuse_rollback_at(held, head, head)
}

/// A peer cannot hold another entry than the known one at the same place.
fn refuse_rollback_at(held: Cursor, known: Cursor, head: Cursor) -> Result<(), CloseReason> {
    if held.seq == known.seq && held.hash != known.hash {
        return Err(rolled_back(held, head));
    }
    Ok(())
}

const fn rolled_back(held: Cursor, head: Cursor) -> CloseReason {
    CloseReason::RolledBack(Rollback {
        log: held.log,
        held_seq: held.seq,
        head_seq: head.seq,
        whose: Side::Ours,
    })
}

const fn store_failed(detail: String) -> CloseReason {
    CloseReason::HostFailed { detail }
}

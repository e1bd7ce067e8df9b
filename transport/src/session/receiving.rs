//! The peer's logs towards us: contiguous, chained, handed on, acknowledged once durable.
//!
//! Guarantees: an entry is handed on only as the successor of the one before, its `prev` and body hash
//! computed here, so its signature proves its place; at most [`FRAMES_IN_WORK_MAX`] frames are in work.
//! Acknowledgements repeat the host's word: at once when nothing more is on its way, else coalesced.

use std::collections::BTreeMap;

use super::state::cursor_of;
use super::{ACK_DELAY_MAX_MS, DeliveryFault, Output, Report};
use crate::entry::{BadEntry, EntryFault, SignedEntry};
use crate::host::Positions;
use crate::link::{CloseReason, Rollback, Side};
use crate::log::{Cursor, LogId};
use crate::wire::data::{Batch, DataDecoder};
use crate::wire::frame::Frame;
use crate::wire::{AckedLog, LOGS_MAX, Message, Told, kind};

/// Most frames between their arrival and the host's having taken them.
pub(super) const FRAMES_IN_WORK_MAX: usize = 4;

/// One log on its way in.
#[derive(Debug)]
struct Incoming {
    /// Its end as far as the peer said or showed.
    announced: u64,
    /// The last entry that arrived.
    received: Cursor,
    /// The last durable end told to the peer.
    told: u64,
}

/// All logs on their way in.
#[derive(Debug)]
pub(super) struct Receiving {
    decoder: DataDecoder,
    logs: BTreeMap<LogId, Incoming>,
    in_work: usize,
    ack_at_ms: Option<u64>,
}

impl Receiving {
    /// Expects every log after what is held of it.
    pub(super) fn begin(
        ours: &Positions,
        theirs: &Told,
        out: &mut Vec<Output>,
    ) -> Result<Self, CloseReason> {
        let mut receiving = Self {
            decoder: DataDecoder::default(),
            logs: BTreeMap::new(),
            in_work: 0,
            ack_at_ms: None,
        };
        for held in &ours.held {
            receiving.logs.insert(held.log, Incoming::after(*held));
        }
        for head in &theirs.heads {
            let held = cursor_of(&ours.held, head.log);
            if held.seq > head.seq || (held.seq == head.seq && held.hash != head.hash) {
                return Err(CloseReason::RolledBack(Rollback {
                    log: head.log,
                    held_seq: held.seq,
                    head_seq: head.seq,
                    whose: Side::Theirs,
                }));
            }
        }
        receiving.announced(&theirs.heads)?;
        if !theirs.heads.is_empty() {
            out.push(Output::Report(Report::Announced(theirs.heads.clone())));
        }
        Ok(receiving)
    }

    /// Takes note of ends that the peer announces.
    pub(super) fn announced(&mut self, heads: &[Cursor]) -> Result<(), CloseReason> {
        for head in heads {
            self.room_for(head.log)?;
            let incoming = self
                .logs
                .entry(head.log)
                .or_insert_with(|| Incoming::after(Cursor::start(head.log)));
            incoming.announced = incoming.announced.max(head.seq);
        }
        Ok(())
    }

    /// Takes a data frame: the next entries of one log.
    pub(super) fn data(
        &mut self,
        frame: &Frame,
        ours: &Positions,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        if frame.kind & kind::SKIPPABLE != 0 {
            return Ok(());
        }
        if frame.kind != kind::DATA {
            return Err(super::rule(&format!(
                "a frame of type {:#04x} on a data stream",
                frame.kind
            )));
        }
        let batch = self.decoder.decode(&frame.body)?;
        let (log, entries) = self.accept(batch, ours)?;
        self.in_work = self.in_work.saturating_add(1);
        out.push(Output::Deliver { log, entries });
        Ok(())
    }

    /// The host took the oldest delivery, or not.
    pub(super) fn delivered(
        &mut self,
        result: Result<(), DeliveryFault>,
    ) -> Result<(), CloseReason> {
        self.in_work = self.in_work.saturating_sub(1);
        result.map_err(|fault| match fault {
            DeliveryFault::Entry(entry) => refused(entry),
            DeliveryFault::Host(failed) => CloseReason::HostFailed {
                detail: failed.detail,
            },
        })
    }

    /// Acknowledges what became durable: at once when nothing more is being taken in, else soon.
    pub(super) fn held(&mut self, now_ms: u64, ours: &Positions, out: &mut Vec<Output>) {
        if !self.has_news(ours) {
            return;
        }
        let all_durable = self
            .logs
            .iter()
            .all(|(log, incoming)| cursor_of(&ours.held, *log).seq >= incoming.received.seq);
        if all_durable {
            self.acknowledge(ours, out);
        } else {
            let due = now_ms.saturating_add(ACK_DELAY_MAX_MS);
            self.ack_at_ms.get_or_insert(due);
            self.acknowledge_if_due(now_ms, ours, out);
        }
    }

    /// Acknowledges what was held back, if its time has come.
    pub(super) fn acknowledge_if_due(
        &mut self,
        now_ms: u64,
        ours: &Positions,
        out: &mut Vec<Output>,
    ) {
        if self.ack_at_ms.is_some_and(|at_ms| now_ms >= at_ms) {
            self.acknowledge(ours, out);
        }
    }

    /// When acknowledgements held back are due.
    pub(super) const fn ack_at_ms(&self) -> Option<u64> {
        self.ack_at_ms
    }

    /// Whether another frame may come in.
    pub(super) const fn has_room(&self) -> bool {
        self.in_work < FRAMES_IN_WORK_MAX
    }

    /// Whether all that the peer is known to offer is durable here.
    pub(super) fn all_held(&self, ours: &Positions) -> bool {
        self.logs
            .iter()
            .all(|(log, incoming)| cursor_of(&ours.held, *log).seq >= incoming.announced)
    }

    fn has_news(&self, ours: &Positions) -> bool {
        ours.held.iter().any(|held| held.seq > self.told(held.log))
    }

    fn told(&self, log: LogId) -> u64 {
        self.logs.get(&log).map_or(0, |incoming| incoming.told)
    }

    fn acknowledge(&mut self, ours: &Positions, out: &mut Vec<Output>) {
        self.ack_at_ms = None;
        let mut acked = Vec::new();
        for held in &ours.held {
            if held.seq <= self.told(held.log) {
                continue;
            }
            self.logs
                .entry(held.log)
                .or_insert_with(|| Incoming::after(*held))
                .told = held.seq;
            acked.push(AckedLog {
                log: self.decoder.reference(held.log),
                seq: held.seq,
                hash: held.hash,
            });
        }
        if !acked.is_empty() {
            out.push(Output::SendControl(Message::Ack(acked).encode().into()));
        }
    }

    /// Puts a batch behind what was received, or says why it cannot stand there.
    fn accept(
        &mut self,
        batch: Batch,
        ours: &Positions,
    ) -> Result<(LogId, Vec<SignedEntry>), CloseReason> {
        let log = batch.log;
        self.room_for(log)?;
        let incoming = self
            .logs
            .entry(log)
            .or_insert_with(|| Incoming::after(cursor_of(&ours.held, log)));
        if Some(batch.first_seq) != incoming.received.seq.checked_add(1) {
            return Err(refused(BadEntry {
                log,
                seq: batch.first_seq,
                fault: EntryFault::Gap,
            }));
        }
        let (entries, hash) = batch.chain(incoming.received.hash).map_err(refused)?;
        if let Some(last) = entries.last() {
            let seq = last.header.seq;
            incoming.received = Cursor { log, seq, hash };
            incoming.announced = incoming.announced.max(seq);
        }
        Ok((log, entries))
    }

    fn room_for(&self, log: LogId) -> Result<(), CloseReason> {
        if self.logs.len() >= LOGS_MAX && !self.logs.contains_key(&log) {
            return Err(super::rule(&format!("more than {LOGS_MAX} logs")));
        }
        Ok(())
    }
}

impl Incoming {
    const fn after(held: Cursor) -> Self {
        Self {
            announced: held.seq,
            received: held,
            told: held.seq,
        }
    }
}

const fn refused(entry: BadEntry) -> CloseReason {
    CloseReason::BadEntry {
        entry,
        by: Side::Ours,
    }
}

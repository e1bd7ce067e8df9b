//! When the peer is told what is durable here: at once when nothing more is on its way, else coalesced.
//!
//! Acknowledgements repeat the host's word. What the peer learns from our data stream is not said twice.

use std::collections::BTreeMap;

use super::receiving::Receiving;
use super::sending::Sending;
use super::{ACK_DELAY_MAX_MS, Output};
use crate::host::Positions;
use crate::log::{Cursor, LogId};
use crate::wire::{AckedLog, LOGS_MAX, Message};

impl Receiving {
    /// Acknowledges what became durable: at once when nothing more is being taken in, else soon.
    pub(super) fn acknowledge_news(
        &mut self,
        now_ms: u64,
        ours: &Positions,
        sending: &Sending,
        out: &mut Vec<Output>,
    ) {
        if !ours.held.iter().any(|held| self.is_news(held, sending)) {
            return;
        }
        if self.all_durable(ours) {
            self.acknowledge(ours, sending, out);
        } else {
            let due = now_ms.saturating_add(ACK_DELAY_MAX_MS);
            self.ack_at_ms.get_or_insert(due);
            self.acknowledge_if_due(now_ms, ours, sending, out);
        }
    }

    /// Acknowledges what was held back, if its time has come.
    pub(super) fn acknowledge_if_due(
        &mut self,
        now_ms: u64,
        ours: &Positions,
        sending: &Sending,
        out: &mut Vec<Output>,
    ) {
        if self.ack_at_ms.is_some_and(|at_ms| now_ms >= at_ms) {
            self.acknowledge(ours, sending, out);
        }
    }

    /// When acknowledgements held back are due.
    pub(super) const fn ack_at_ms(&self) -> Option<u64> {
        self.ack_at_ms
    }

    fn acknowledge(&mut self, ours: &Positions, sending: &Sending, out: &mut Vec<Output>) {
        self.ack_at_ms = None;
        let mut acked = Vec::new();
        for held in &ours.held {
            if acked.len() == LOGS_MAX || !self.is_news(held, sending) {
                continue;
            }
            self.log(held.log).told = held.seq;
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

    /// Whether all that arrived is durable, but for logs that are stopped.
    fn all_durable(&self, ours: &Positions) -> bool {
        let held: BTreeMap<LogId, u64> = ours.held.iter().map(|c| (c.log, c.seq)).collect();
        self.logs.iter().all(|(log, incoming)| {
            log.origin == self.ends.own
                || incoming.stopped.is_some()
                || held.get(log).copied().unwrap_or(0) >= incoming.received.seq
        })
    }

    /// Whether the peer does not know yet, and will not hear from our data stream, that this is held.
    fn is_news(&self, held: &Cursor, sending: &Sending) -> bool {
        let told = self.logs.get(&held.log).map_or(0, |incoming| incoming.told);
        let relayed = self.ends.relayed(held.log);
        held.log.origin != self.ends.own
            && held.seq > told
            && !(relayed && held.seq <= sending.shown(held.log))
            && !(relayed && sending.will_show(held.log, held.seq))
    }
}

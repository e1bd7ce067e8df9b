//! Our logs and those that we relay, towards the peer: a cursor over the disk log for each.
//!
//! Guarantees: at most one read is in flight and at most one batch read waits while a frame is being
//! written, whatever the peer's lag; logs take turns, own ones and those that others wait for first. A
//! log does not start before the peer holds what introduces its author, and does not go back to whom it
//! came from. What the peer says of its place is in `place`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::evidence::{Evidence, Place};
use super::outgoing::Outgoing;
use super::state::{Ends, cursor_of, cursors_are_due};
use super::turns::Turns;
use super::{Output, Report};
use crate::entry::{ENTRY_BODY_BYTES_MAX, SignedEntry};
use crate::host::{HostFailed, Offer, Positions};
use crate::link::{CloseReason, Rollback, Side};
use crate::log::{Cursor, LogId};
use crate::wire::data::DataEncoder;
use crate::wire::{LOGS_MAX, Message, Summary, Told};

/// What the read in flight is for.
#[derive(Debug, Clone, Copy)]
enum Reading {
    Entries { log: LogId, after: u64 },
    Evidence(Place),
}

/// All logs on their way out.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) ends: Ends,
    pub(super) encoder: DataEncoder,
    pub(super) logs: BTreeMap<LogId, Outgoing>,
    /// Whether it is known what the peer holds of relayed logs.
    pub(super) relayed_known: bool,
    pub(super) evidence: Evidence,
    /// Own logs that are being fetched back.
    recovering: BTreeSet<LogId>,
    reading: Option<Reading>,
    ready: VecDeque<SignedEntry>,
    writing: bool,
    turns: Turns,
    /// What the peer was told to hold and not to be offered.
    withdrawn: BTreeSet<LogId>,
}

impl Sending {
    /// Starts every offered log after what the peer holds of it.
    pub(super) fn begin(
        ends: Ends,
        ours: &Positions,
        theirs: &Told,
        out: &mut Vec<Output>,
    ) -> Self {
        let mut logs = BTreeMap::new();
        for end in &theirs.held {
            let held = end.of_origin(ends.own);
            logs.insert(held.log, Outgoing::at(held));
        }
        let offered = Summary::of(ends.relayed_of(ours.heads()));
        if offered == theirs.relayed_held {
            for head in ends.relayed_of(ours.heads()) {
                logs.insert(head.log, Outgoing::at(head));
            }
        }
        let mut sending = Self {
            ends,
            encoder: DataEncoder::default(),
            logs,
            relayed_known: !cursors_are_due(theirs.relayed_held, offered),
            evidence: Evidence::default(),
            recovering: BTreeSet::new(),
            reading: None,
            ready: VecDeque::new(),
            writing: false,
            turns: Turns::default(),
            withdrawn: BTreeSet::new(),
        };
        let known = sending.logs.values().map(|outgoing| outgoing.acked);
        let known: Vec<Cursor> = known.filter(|cursor| cursor.seq > 0).collect();
        if !known.is_empty() {
            out.push(Output::Report(Report::Acked(known)));
        }
        sending.offer(ours, out);
        sending
    }

    /// Takes note of new ends and new logs; a log no longer offered stops where it is.
    pub(super) fn offer(&mut self, ours: &Positions, out: &mut Vec<Output>) {
        self.recovering = ours.recover.iter().map(|cursor| cursor.log).collect();
        let offers: BTreeMap<LogId, &Offer> = ours
            .offers
            .iter()
            .filter(|offer| offer.head.log.origin != self.ends.peer)
            .take(LOGS_MAX)
            .map(|offer| (offer.head.log, offer))
            .collect();
        for (log, outgoing) in &mut self.logs {
            if outgoing.served {
                outgoing.head = Some(cursor_of(&ours.held, *log));
            } else if !offers.contains_key(log) {
                outgoing.head = None;
            }
        }
        for (log, offer) in offers {
            let outgoing = self
                .logs
                .entry(log)
                .or_insert_with(|| Outgoing::at(Cursor::start(log)));
            if outgoing.head != Some(offer.head) && log.origin == self.ends.own {
                // What contradicted may have been set right: the place is looked at again.
                outgoing.contradicted = None;
            }
            outgoing.head = Some(offer.head);
            outgoing.after = offer.after;
        }
        let logs: Vec<LogId> = self.logs.keys().copied().collect();
        for log in logs {
            self.check(log, out);
        }
        self.withdraw(out);
        self.advance(out);
    }

    /// Takes what the disk gave.
    pub(super) fn read(
        &mut self,
        result: Result<Vec<SignedEntry>, HostFailed>,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        match self.reading.take() {
            None => return Ok(()),
            Some(Reading::Evidence(place)) => {
                // Evidence that cannot be read is none; the log is stopped all the same.
                let entry = result.ok().and_then(|entries| entries.into_iter().next());
                if let Some(entry) = entry {
                    self.show(place, &entry, out);
                }
            }
            Some(Reading::Entries { log, after }) => {
                let still =
                    self.may_flow(log) && self.logs.get(&log).is_some_and(|o| o.sent.seq == after);
                if still {
                    let entries = result.map_err(|failed| store_failed(failed.detail))?;
                    self.take(log, entries, out)?;
                }
            }
        }
        self.advance(out);
        Ok(())
    }

    /// The frame is on the stream: the next may follow.
    pub(super) fn written(&mut self, out: &mut Vec<Output>) {
        self.writing = false;
        self.advance(out);
    }

    /// Compares our header at that place with the peer's entry hash there.
    pub(super) fn compare(
        &mut self,
        log: LogId,
        seq: u64,
        theirs: [u8; 32],
        out: &mut Vec<Output>,
    ) {
        self.evidence.want(log, seq, Some(theirs));
        self.advance(out);
    }

    /// Tells our header at that place, which the peer contradicts.
    pub(super) fn prove(&mut self, held: Cursor, out: &mut Vec<Output>) {
        self.evidence.want(held.log, held.seq, None);
        self.advance(out);
    }

    /// Ends that the data stream has not reached yet.
    pub(super) fn heads_ahead(&self) -> Vec<Cursor> {
        self.logs
            .values()
            .filter(|outgoing| !outgoing.served && outgoing.is_ahead())
            .filter_map(|outgoing| outgoing.head)
            .filter(|head| self.relayed_known || !self.ends.relayed(head.log))
            .take(LOGS_MAX)
            .collect()
    }

    /// The relayed ones of those ends: no hello names them.
    pub(super) fn relayed_heads_ahead(&self) -> bool {
        let ahead = self.heads_ahead();
        ahead.iter().any(|head| self.ends.relayed(head.log))
    }

    /// Whether the peer durably holds all of every log.
    pub(super) fn all_acked(&self) -> bool {
        self.logs
            .iter()
            .all(|(log, outgoing)| outgoing.is_settled(log.origin == self.ends.own))
    }

    /// Whether entries up to there are on their way to the peer, who so learns that they are here.
    pub(super) fn will_show(&self, log: LogId, seq: u64) -> bool {
        self.may_flow(log)
            && self.logs.get(&log).is_some_and(|outgoing| {
                outgoing.acked.seq < seq && outgoing.head.is_some_and(|head| head.seq >= seq)
            })
    }

    /// The highest number of that log framed on this link.
    pub(super) fn shown(&self, log: LogId) -> u64 {
        self.logs.get(&log).map_or(0, |outgoing| outgoing.framed)
    }

    /// Looks whether the peer's place in a log contradicts ours.
    pub(super) fn check(&mut self, log: LogId, out: &mut Vec<Output>) {
        let own = log.origin == self.ends.own;
        let Some(outgoing) = self.logs.get_mut(&log) else {
            return;
        };
        let (Some(head), held) = (outgoing.head, outgoing.acked) else {
            return;
        };
        let differs = held.seq == head.seq && held.hash != head.hash && held.seq > 0;
        if differs && outgoing.contradicted.is_none() {
            self.contradict(log, held, out);
        } else if own && held.seq > head.seq {
            self.rolled_back(held, Some(held.hash), out);
        }
    }

    /// The peer holds another entry at that place: no more of the log goes out.
    pub(super) fn contradict(&mut self, log: LogId, held: Cursor, out: &mut Vec<Output>) {
        if let Some(outgoing) = self.logs.get_mut(&log) {
            outgoing.contradicted = outgoing.head;
        }
        self.drop_ready(log);
        self.evidence.want(log, held.seq, None);
        if log.origin == self.ends.own {
            self.rolled_back(held, Some(held.hash), out);
        }
    }

    /// Forgets what was read of a log and is not framed.
    pub(super) fn drop_ready(&mut self, log: LogId) {
        if self.ready.front().is_some_and(|e| e.header.log() == log) {
            self.ready.clear();
        }
    }

    /// Frames what is ready and reads what comes next.
    pub(super) fn advance(&mut self, out: &mut Vec<Output>) {
        if let Some(log) = self.ready.front().map(|entry| entry.header.log())
            && !self.may_flow(log)
        {
            self.ready.clear();
        }
        if !self.writing && !self.ready.is_empty() {
            self.frame(out);
        }
        if self.reading.is_some() {
            return;
        }
        if let Some(place) = self.evidence.next() {
            self.reading = Some(Reading::Evidence(place));
            out.push(Output::Read {
                log: place.log,
                after: place.seq.saturating_sub(1),
            });
        } else if self.ready.is_empty()
            && let Some(log) = self.next_log()
        {
            let after = self.logs.get(&log).map_or(0, |outgoing| outgoing.sent.seq);
            self.reading = Some(Reading::Entries { log, after });
            out.push(Output::Read { log, after });
        }
    }

    /// Tells what the peer holds and is not offered, if that changed.
    pub(super) fn withdraw(&mut self, out: &mut Vec<Output>) {
        let held = self.logs.iter().filter(|(log, outgoing)| {
            log.origin != self.ends.peer && outgoing.head.is_none() && outgoing.acked.seq > 0
        });
        let withdrawn: BTreeSet<LogId> = held.map(|(log, _)| *log).take(LOGS_MAX).collect();
        if withdrawn == self.withdrawn {
            return;
        }
        let logs: Vec<LogId> = withdrawn.iter().copied().collect();
        self.withdrawn = withdrawn;
        let message = Message::Withdrawn(logs.clone());
        out.push(Output::SendControl(message.encode().into()));
        out.push(Output::Report(Report::Scope {
            by: Side::Ours,
            withdrawn: logs,
        }));
    }

    fn rolled_back(&mut self, held: Cursor, hash: Option<[u8; 32]>, out: &mut Vec<Output>) {
        let Some(outgoing) = self.logs.get_mut(&held.log) else {
            return;
        };
        let head_seq = outgoing.head.map_or(0, |head| head.seq);
        if outgoing.reported != Some((held.seq, head_seq)) {
            outgoing.reported = Some((held.seq, head_seq));
            out.push(Output::Report(Report::RolledBack(Rollback {
                log: held.log,
                held_seq: held.seq,
                held_hash: hash,
                head_seq,
                whose: Side::Ours,
            })));
        }
    }

    /// Our entry at a place in doubt was read: the peer gets it, unless it has the same.
    fn show(&mut self, place: Place, entry: &SignedEntry, out: &mut Vec<Output>) {
        let is_it = entry.header.log() == place.log && entry.header.seq == place.seq;
        if !is_it || place.theirs == Some(entry.entry_hash()) || !self.evidence.tell(place) {
            return;
        }
        let message = Message::Evidence(Box::new(entry.signed_header()));
        out.push(Output::SendControl(message.encode().into()));
        if place.log.origin == self.ends.own {
            if let Some(outgoing) = self.logs.get_mut(&place.log) {
                outgoing.contradicted = outgoing.head;
            }
            let held = Cursor {
                log: place.log,
                seq: place.seq,
                hash: place.theirs.unwrap_or_default(),
            };
            self.rolled_back(held, place.theirs, out);
        }
    }

    /// Takes entries read after what the peer was sent.
    fn take(
        &mut self,
        log: LogId,
        entries: Vec<SignedEntry>,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        let Some(outgoing) = self.logs.get(&log) else {
            return Ok(());
        };
        let sent = outgoing.sent;
        let Some(first) = entries.first() else {
            let head_seq = outgoing.head.map_or(0, |head| head.seq);
            return Err(store_failed(format!(
                "log {log} ends at {}, though its end was said to be {head_seq}",
                sent.seq
            )));
        };
        let mut next = sent.seq;
        for entry in &entries {
            next = next.saturating_add(1);
            if entry.header.log() != log
                || entry.header.seq != next
                || entry.bytes().len() > ENTRY_BODY_BYTES_MAX
            {
                return Err(store_failed(format!(
                    "the store gave entry {} of log {} where entry {next} of log {log} was due",
                    entry.header.seq,
                    entry.header.log()
                )));
            }
        }
        // The entry after what the peer holds names its predecessor: if the peer holds another one,
        // this log is not the one it was fed from. What was only sent says nothing about the peer.
        if first.header.prev == sent.hash {
            self.ready = entries.into();
        } else if sent.seq <= outgoing.acked.seq {
            self.contradict(log, sent, out);
        } else {
            return Err(store_failed(format!(
                "entry {} of log {log} does not follow the one that was read and sent before it",
                first.header.seq
            )));
        }
        Ok(())
    }

    fn frame(&mut self, out: &mut Vec<Output>) {
        let entries = self.ready.make_contiguous();
        let Some(first) = entries.first() else {
            return;
        };
        let log = first.header.log();
        let Some(outgoing) = self.logs.get_mut(&log) else {
            return;
        };
        let jump = outgoing.expected != first.header.seq.checked_sub(1);
        let (bytes, count) = self.encoder.encode(entries, jump);
        let Some(last) = entries.get(count.saturating_sub(1)) else {
            return;
        };
        outgoing.framed_to(Cursor {
            log,
            seq: last.header.seq,
            hash: last.entry_hash(),
        });
        self.ready.drain(..count);
        self.writing = true;
        out.push(Output::SendData(bytes.into()));
    }

    /// Whether entries of this log may go out now.
    fn may_flow(&self, log: LogId) -> bool {
        let Some(outgoing) = self.logs.get(&log) else {
            return false;
        };
        outgoing.is_ready()
            && (self.relayed_known || !self.ends.relayed(log))
            && !self.recovering.contains(&log)
            && outgoing.after.is_none_or(|(log, seq)| {
                log.origin == self.ends.peer
                    || self.logs.get(&log).is_some_and(|o| o.acked.seq >= seq)
            })
    }

    fn next_log(&mut self) -> Option<LogId> {
        let introducing: BTreeSet<LogId> = self
            .logs
            .values()
            .filter_map(|outgoing| outgoing.after.map(|(log, _)| log))
            .collect();
        let (first, second): (Vec<LogId>, Vec<LogId>) = self
            .logs
            .keys()
            .copied()
            .filter(|log| self.may_flow(*log))
            .partition(|log| !self.ends.relayed(*log) || introducing.contains(log));
        self.turns.next(&first, &second)
    }
}

const fn store_failed(detail: String) -> CloseReason {
    CloseReason::HostFailed { detail }
}

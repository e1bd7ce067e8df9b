//! The peer's logs and those that it relays, towards us: contiguous, chained, handed on.
//!
//! Guarantees: an entry is handed on only as the successor of the one before, its `prev` and body hash
//! computed here, so its signature proves its place; at most [`FRAMES_IN_WORK_MAX`] frames are in work.
//! What is held already is not handed on again. Which logs are taken at all, and what the peer is told
//! of it, is in `asking`; when it is told what is durable, in `acknowledging`.

use std::collections::{BTreeMap, BTreeSet};

use super::incoming::Incoming;
use super::sending::Sending;
use super::state::{Ends, cursor_of, cursors_are_due};
use super::{DeliveryFault, Output, Report};
use crate::entry::{BadEntry, EntryFault, SignedEntry, SignedHeader};
use crate::host::Positions;
use crate::link::{CloseReason, Rollback, Side};
use crate::log::{Cursor, LogId};
use crate::wire::data::{Batch, DataDecoder};
use crate::wire::frame::Frame;
use crate::wire::{LOGS_MAX, Message, Summary, Told, kind};

/// Most frames between their arrival and the host's having taken them.
pub(super) const FRAMES_IN_WORK_MAX: usize = 4;

/// All logs on their way in.
#[derive(Debug)]
pub(super) struct Receiving {
    pub(super) ends: Ends,
    pub(super) decoder: DataDecoder,
    pub(super) logs: BTreeMap<LogId, Incoming>,
    /// Own logs that are being fetched back, each with the cursor asked for last.
    pub(super) recovering: BTreeMap<LogId, Cursor>,
    /// Own logs that were ever asked for on this link.
    pub(super) asked: BTreeSet<LogId>,
    pub(super) ack_at_ms: Option<u64>,
    in_work: usize,
    evidence: usize,
    /// What we hold and the peer does not offer, as it said last.
    withdrawn: BTreeSet<LogId>,
    /// The same as far as our host's positions know it.
    left_out: BTreeSet<LogId>,
}

impl Receiving {
    /// Expects every log after what is held of it.
    pub(super) fn begin(
        ends: Ends,
        ours: &Positions,
        theirs: &Told,
        sending: &mut Sending,
        out: &mut Vec<Output>,
    ) -> Self {
        let held = ours.held.iter().filter(|held| held.log.origin != ends.own);
        let mut receiving = Self {
            ends,
            decoder: DataDecoder::default(),
            logs: held
                .map(|held| (held.log, Incoming::after(*held)))
                .collect(),
            recovering: BTreeMap::new(),
            asked: BTreeSet::new(),
            ack_at_ms: None,
            in_work: 0,
            evidence: 0,
            withdrawn: BTreeSet::new(),
            left_out: BTreeSet::new(),
        };
        let relayed: Vec<Cursor> = ends
            .relayed_of(ours.held.iter().copied())
            .filter(|cursor| cursor.seq > 0)
            .take(LOGS_MAX)
            .collect();
        if cursors_are_due(Summary::of(relayed.iter().copied()), theirs.relayed_heads) {
            out.push(Output::SendControl(
                Message::Cursors(relayed).encode().into(),
            ));
        }
        let heads: Vec<Cursor> = theirs
            .heads
            .iter()
            .map(|end| end.of_origin(ends.peer))
            .collect();
        for head in &heads {
            let incoming = receiving.log(head.log);
            incoming.announced = incoming.announced.max(head.seq);
            receiving.compare_head(*head, ours, sending, out);
        }
        if !heads.is_empty() {
            out.push(Output::Report(Report::Announced(heads)));
        }
        receiving
    }

    /// Takes note of ends that the peer announces.
    pub(super) fn announced(
        &mut self,
        heads: Vec<Cursor>,
        ours: &Positions,
        sending: &mut Sending,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        for head in &heads {
            if head.log.origin == self.ends.own {
                return Err(super::rule("the end of a log of ours"));
            }
            self.room_for(head.log)?;
            let incoming = self.log(head.log);
            incoming.announced = incoming.announced.max(head.seq);
            if head.log.origin == self.ends.peer {
                self.compare_head(*head, ours, sending, out);
            }
        }
        out.push(Output::Report(Report::Announced(heads)));
        Ok(())
    }

    /// Takes a data frame: the next entries of one log.
    pub(super) fn data(
        &mut self,
        frame: &Frame,
        ours: &Positions,
        sending: &mut Sending,
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
        let log = batch.log;
        let entries = self.accept(batch, ours, sending, out)?;
        if !entries.is_empty() {
            self.in_work = self.in_work.saturating_add(1);
            out.push(Output::Deliver { log, entries });
        }
        Ok(())
    }

    /// The host took the oldest delivery, or not.
    pub(super) fn delivered(
        &mut self,
        result: Result<(), DeliveryFault>,
        ours: &Positions,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        self.in_work = self.in_work.saturating_sub(1);
        match result {
            Ok(()) => Ok(()),
            Err(DeliveryFault::Entry(entry))
                if entry.fault == EntryFault::UnknownOrigin && self.ends.relayed(entry.log) =>
            {
                let detail = "nobody known here signs that log".to_owned();
                self.stop_strange(entry.log, ours, detail, out);
                Ok(())
            }
            Err(DeliveryFault::Entry(entry)) => Err(refused(entry)),
            Err(DeliveryFault::Host(failed)) => Err(CloseReason::HostFailed {
                detail: failed.detail,
            }),
        }
    }

    /// The peer said which of the logs that we hold it does not offer.
    pub(super) fn withdrawn(&mut self, logs: Vec<LogId>, out: &mut Vec<Output>) {
        self.withdrawn = logs.iter().copied().collect();
        out.push(Output::Report(Report::Scope {
            by: Side::Theirs,
            withdrawn: logs,
        }));
    }

    /// The peer showed a header: where it is of its own log, at our end, it tells whether it lost something.
    pub(super) fn evidence(
        &mut self,
        signed: &SignedHeader,
        ours: &Positions,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        self.evidence = self.evidence.saturating_add(1);
        if self.evidence > super::evidence::PLACES_MAX {
            return Err(super::rule("more evidence than one session can have"));
        }
        let held = cursor_of(&ours.held, signed.header.log());
        if held.log.origin == self.ends.peer
            && held.seq == signed.header.seq
            && held.hash != signed.entry_hash()
        {
            self.rolled_back(held, out);
        }
        Ok(())
    }

    /// Whether another frame may come in.
    pub(super) const fn has_room(&self) -> bool {
        self.in_work < FRAMES_IN_WORK_MAX
    }

    /// Whether nothing is being taken in.
    pub(super) const fn is_idle(&self) -> bool {
        self.in_work == 0
    }

    /// The host's positions are of a moment at which it knew what the peer withdrew. Says whether that is
    /// news: a digest of before would be over more than what is left.
    pub(super) fn leave_out(&mut self) -> bool {
        let news = self.left_out != self.withdrawn;
        self.left_out.clone_from(&self.withdrawn);
        news
    }

    /// Whether the host's positions still hold what the peer withdrew.
    pub(super) fn lags(&self) -> bool {
        self.left_out != self.withdrawn
    }

    /// Whether all that the peer is known to offer is durable here.
    pub(super) fn all_held(&self, ours: &Positions) -> bool {
        let held: BTreeMap<LogId, u64> = ours.held.iter().map(|c| (c.log, c.seq)).collect();
        self.recovering.is_empty()
            && !self.lags()
            && self.logs.iter().all(|(log, incoming)| {
                let held = held.get(log).copied().unwrap_or(0);
                // A peer that offers less of its own log than is held has lost the rest.
                let rolled_back = log.origin == self.ends.peer && held > incoming.announced;
                log.origin == self.ends.own
                    || (held >= incoming.announced && !rolled_back && !incoming.contradicted)
            })
    }

    /// Our positions as the peer is told them: without what it does not offer.
    pub(super) fn told(&self, ours: &Positions) -> Told {
        let mut told = Told::of(ours, self.ends.own, self.ends.peer);
        if !self.left_out.is_empty() {
            let offered = ours.held.iter().copied();
            let offered = offered.filter(|held| !self.left_out.contains(&held.log));
            told.relayed_held = Summary::of(self.ends.relayed_of(offered));
        }
        told
    }

    /// The log's state, from nothing if it is new.
    pub(super) fn log(&mut self, log: LogId) -> &mut Incoming {
        self.logs.entry(log).or_insert_with(|| Incoming::start(log))
    }

    /// Puts a batch behind what was received, or says why it cannot stand there; gives what is new.
    fn accept(
        &mut self,
        batch: Batch,
        ours: &Positions,
        sending: &mut Sending,
        out: &mut Vec<Output>,
    ) -> Result<Vec<SignedEntry>, CloseReason> {
        let log = batch.log;
        self.room_for(log)?;
        let own = log.origin == self.ends.own;
        if own && !self.asked.contains(&log) {
            return Err(super::rule(
                "entries of a log of ours that was not asked for",
            ));
        }
        let wanted = if own {
            self.recovering.contains_key(&log)
        } else {
            ours.stopped.iter().all(|stopped| stopped.cursor.log != log)
        };
        let held = cursor_of(&ours.held, log);
        let incoming = self.log(log);
        let before = batch.first_seq.saturating_sub(1);
        incoming.came = incoming.came.max(before.saturating_add(batch.len_u64()));
        incoming.announced = incoming.announced.max(incoming.came);
        let follows = match batch.jump {
            None => !incoming.awaited && before == incoming.received.seq,
            Some(_) => before <= incoming.received.seq.max(held.seq),
        };
        // What was on its way before the peer heard where to begin.
        let stale = incoming.awaited && !follows;
        let prev = batch.jump.unwrap_or(incoming.received.hash);
        let contradicts =
            incoming.contradicted && (!follows || before != held.seq || prev != held.hash);
        if !wanted || incoming.strange || contradicts || stale {
            return Ok(Vec::new());
        }
        if !follows && own {
            return Err(refused(BadEntry {
                log,
                seq: batch.first_seq,
                fault: EntryFault::Gap,
            }));
        }
        if !follows {
            let due = incoming.received.seq.saturating_add(1);
            let detail = format!("entry {} came where {due} was due", batch.first_seq);
            self.stop_strange(log, ours, detail, out);
            return Ok(Vec::new());
        }
        incoming.awaited = false;
        incoming.contradicted = false;
        let (mut entries, hash) = batch.chain(prev).map_err(refused)?;
        let Some(last) = entries.last().map(|entry| entry.header.seq) else {
            return Ok(entries);
        };
        if !own && held.seq > 0 && hash_at(held.seq, &entries, hash).is_some_and(|h| h != held.hash)
        {
            self.contradict(held, sending, out);
            return Ok(Vec::new());
        }
        let end = Cursor {
            log,
            seq: last,
            hash,
        };
        incoming.received = end;
        if !own {
            sending.came(end, out)?;
            entries.retain(|entry| entry.header.seq > held.seq);
        }
        Ok(entries)
    }

    /// The end of a peer's own log, against what is held of it.
    fn compare_head(
        &mut self,
        head: Cursor,
        ours: &Positions,
        sending: &mut Sending,
        out: &mut Vec<Output>,
    ) {
        let held = cursor_of(&ours.held, head.log);
        if held.seq == head.seq && held.hash != head.hash {
            self.contradict(held, sending, out);
        } else if held.seq > head.seq {
            let reported = Some((held.seq, head.seq));
            let incoming = self.log(head.log);
            // A ping may be older than what came on the data stream since, and is durable by now.
            if incoming.received.seq <= held.seq
                && incoming.announced <= held.seq
                && incoming.came <= head.seq
            {
                incoming.announced = head.seq;
                if incoming.reported != reported {
                    self.rolled_back(held, out);
                }
            }
        }
    }

    fn contradict(&mut self, held: Cursor, sending: &mut Sending, out: &mut Vec<Output>) {
        self.log(held.log).contradicted = true;
        sending.prove(held, out);
        if held.log.origin == self.ends.peer {
            self.rolled_back(held, out);
        }
    }

    fn rolled_back(&mut self, held: Cursor, out: &mut Vec<Output>) {
        let incoming = self.log(held.log);
        let head_seq = incoming.announced;
        if incoming.reported != Some((held.seq, head_seq)) {
            incoming.reported = Some((held.seq, head_seq));
            out.push(Output::Report(Report::RolledBack(Rollback {
                log: held.log,
                held_seq: held.seq,
                held_hash: Some(held.hash),
                head_seq,
                whose: Side::Theirs,
            })));
        }
    }

    fn room_for(&self, log: LogId) -> Result<(), CloseReason> {
        if self.logs.len() >= 2 * LOGS_MAX && !self.logs.contains_key(&log) {
            return Err(super::rule(&format!("more than {LOGS_MAX} logs")));
        }
        Ok(())
    }
}

/// The hash at that number, if these chained entries or what is before them pass it; `last` is the last
/// one's.
fn hash_at(seq: u64, entries: &[SignedEntry], last: [u8; 32]) -> Option<[u8; 32]> {
    let first = entries.first()?.header.seq;
    let index = usize::try_from(seq.checked_add(1)?.checked_sub(first)?).ok()?;
    match entries.get(index) {
        Some(next) => Some(next.header.prev),
        None => (index == entries.len()).then_some(last),
    }
}

const fn refused(entry: BadEntry) -> CloseReason {
    CloseReason::BadEntry {
        entry,
        by: Side::Ours,
    }
}

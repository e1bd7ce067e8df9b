//! Which logs are taken: what the peer is told to stop, to begin again, to give back.
//!
//! Level-triggered: the host says what is so, and the peer hears of each change. A log that lost entries
//! between the peer and the host's disk is asked for again by itself.

use std::collections::BTreeMap;

use super::receiving::Receiving;
use super::sending::Sending;
use super::state::cursor_of;
use super::{Output, Report};
use crate::host::{Positions, StopCode, Stopped};
use crate::link::Side;
use crate::log::{Cursor, LogId};
use crate::wire::Message;

impl Receiving {
    /// What the host says it holds, stopped and wants back: the peer is told what changed.
    pub(super) fn held(
        &mut self,
        now_ms: u64,
        ours: &Positions,
        sending: &Sending,
        out: &mut Vec<Output>,
    ) {
        let mut from = self.stops(ours, out);
        from.extend(self.lost(ours));
        from.extend(self.recoveries(ours));
        self.ask(from, out);
        self.acknowledge_news(now_ms, ours, sending, out);
    }

    /// At a ping: logs that lack what arrived and do not move are asked for again.
    pub(super) fn check_stalls(&mut self, ours: &Positions, out: &mut Vec<Output>) {
        if !self.is_idle() {
            return;
        }
        let held: BTreeMap<LogId, Cursor> = ours.held.iter().map(|c| (c.log, *c)).collect();
        let mut from = Vec::new();
        for (log, incoming) in &mut self.logs {
            let recovered = ours.recover.iter().find(|cursor| cursor.log == *log);
            let stands = match recovered {
                Some(cursor) => *cursor,
                None => held
                    .get(log)
                    .copied()
                    .unwrap_or_else(|| Cursor::start(*log)),
            };
            let stopped = incoming.stopped.is_some() && !incoming.strange;
            let lacks = !stopped
                && !incoming.contradicted
                && (recovered.is_some()
                    || incoming.strange
                    || (log.origin != self.ends.own && incoming.received.seq > stands.seq)
                    || (incoming.awaited && incoming.announced > stands.seq));
            if incoming.has_stalled(stands.seq, lacks) {
                if incoming.stopped.take().is_some() {
                    out.push(resumed(*log));
                }
                from.push(stands);
            }
        }
        self.ask(from, out);
    }

    /// Nobody known signs a relayed log, or the peer left entries of a log out: it waits, is asked for
    /// again later, and the link goes on.
    pub(super) fn stop_strange(
        &mut self,
        log: LogId,
        ours: &Positions,
        detail: String,
        out: &mut Vec<Output>,
    ) {
        let stopped = Stopped {
            cursor: cursor_of(&ours.held, log),
            code: StopCode::Waiting,
            detail,
        };
        let incoming = self.log(log);
        if !incoming.strange && incoming.stopped.is_none() {
            incoming.strange = true;
            incoming.received = stopped.cursor;
            incoming.stopped = Some(stopped.clone());
            tell_stop(stopped, out);
        }
    }

    /// Tells stops that appeared or changed; gives the cursors of logs that go on.
    fn stops(&mut self, ours: &Positions, out: &mut Vec<Output>) -> Vec<Cursor> {
        for stopped in &ours.stopped {
            let incoming = self.log(stopped.cursor.log);
            let same = incoming.stopped.as_ref().is_some_and(|told| {
                told.code == stopped.code && told.detail == stopped.detail && !incoming.strange
            });
            if !same {
                incoming.strange = false;
                incoming.stopped = Some(stopped.clone());
                tell_stop(stopped.clone(), out);
            }
        }
        let mut from = Vec::new();
        for (log, incoming) in &mut self.logs {
            let goes_on = incoming.stopped.is_some()
                && !incoming.strange
                && ours
                    .stopped
                    .iter()
                    .all(|stopped| stopped.cursor.log != *log);
            if goes_on {
                incoming.stopped = None;
                out.push(resumed(*log));
                from.push(cursor_of(&ours.held, *log));
            }
        }
        from
    }

    /// The cursors of logs of which less is held than the peer was told.
    fn lost(&self, ours: &Positions) -> Vec<Cursor> {
        let lost = ours.held.iter().filter(|held| {
            self.logs
                .get(&held.log)
                .is_some_and(|incoming| incoming.told > held.seq && incoming.stopped.is_none())
        });
        lost.copied().collect()
    }

    /// The cursors from which own logs are newly wanted back.
    fn recoveries(&mut self, ours: &Positions) -> Vec<Cursor> {
        self.recovering
            .retain(|log, _| ours.recover.iter().any(|cursor| cursor.log == *log));
        let mut from = Vec::new();
        for cursor in &ours.recover {
            if cursor.log.origin != self.ends.own {
                continue;
            }
            // Further on is progress; further back, or elsewhere, is another question.
            let asked = self.recovering.get(&cursor.log);
            let known = asked.is_some_and(|asked| {
                cursor.seq > asked.seq || (cursor.seq == asked.seq && cursor.hash == asked.hash)
            });
            if !known {
                self.recovering.insert(cursor.log, *cursor);
                self.asked.insert(cursor.log);
                from.push(*cursor);
            }
        }
        from
    }

    /// Asks the peer to begin again behind these cursors.
    fn ask(&mut self, from: Vec<Cursor>, out: &mut Vec<Output>) {
        if from.is_empty() {
            return;
        }
        for cursor in &from {
            self.log(cursor.log).ask(*cursor);
        }
        out.push(Output::SendControl(Message::Resume(from).encode().into()));
    }
}

fn tell_stop(stopped: Stopped, out: &mut Vec<Output>) {
    let message = Message::Stopped(stopped.clone());
    out.push(Output::SendControl(message.encode().into()));
    out.push(Output::Report(Report::Stopped {
        by: Side::Ours,
        stopped,
    }));
}

const fn resumed(log: LogId) -> Output {
    Output::Report(Report::Resumed {
        by: Side::Ours,
        log,
    })
}

//! What the peer says of its place in the logs that we send: acknowledged, stopped, wanted from there.

use super::outgoing::Outgoing;
use super::sending::Sending;
use super::state::cursor_of;
use super::{Output, Report};
use crate::host::{Positions, Stopped};
use crate::link::{CloseReason, Side};
use crate::log::{Cursor, LogId};
use crate::wire::{AckedLog, LOGS_MAX, LogReference};

impl Sending {
    /// Takes the peer's durable ends.
    pub(super) fn acked(
        &mut self,
        acked: &[AckedLog],
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        let mut advanced = Vec::new();
        for told in acked {
            let log = match told.log {
                LogReference::Named(log) => log,
                LogReference::Index(index) => self
                    .encoder
                    .log(index)
                    .ok_or_else(|| super::rule("an acknowledgement of a log that was not named"))?,
            };
            let cursor = Cursor {
                log,
                seq: told.seq,
                hash: told.hash,
            };
            if self.stands(cursor, out)? {
                advanced.push(cursor);
            }
        }
        if !advanced.is_empty() {
            out.push(Output::Report(Report::Acked(advanced)));
        }
        self.withdraw(out);
        self.advance(out);
        Ok(())
    }

    /// What came from the peer is held by it; a peer that writes its own log needs no more of it.
    pub(super) fn came(
        &mut self,
        cursor: Cursor,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        if cursor.log.origin == self.ends.peer {
            if let Some(outgoing) = self.logs.get_mut(&cursor.log) {
                outgoing.served = false;
                outgoing.head = None;
            }
            return Ok(());
        }
        self.stands(cursor, out).map(drop)
    }

    /// Takes what the peer holds of relayed logs: they may start.
    pub(super) fn cursors(
        &mut self,
        cursors: &[Cursor],
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        if self.relayed_known {
            return Err(super::rule("cursors that were not due"));
        }
        self.relayed_known = true;
        for cursor in cursors {
            if !self.ends.relayed(cursor.log) {
                return Err(super::rule("a cursor of a log that is not relayed"));
            }
            self.room_for(cursor.log)?;
            let outgoing = self
                .logs
                .entry(cursor.log)
                .or_insert_with(|| Outgoing::at(*cursor));
            outgoing.known(*cursor);
            outgoing.expected = Some(cursor.seq);
            self.check(cursor.log, out);
        }
        if !cursors.is_empty() {
            out.push(Output::Report(Report::Acked(cursors.to_vec())));
        }
        self.withdraw(out);
        self.advance(out);
        Ok(())
    }

    /// The peer wants logs from there: stopped ones again, or its own, which it lost.
    pub(super) fn resume(
        &mut self,
        cursors: &[Cursor],
        ours: &Positions,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        for cursor in cursors {
            let log = cursor.log;
            self.room_for(log)?;
            let serves = log.origin == self.ends.peer;
            let outgoing = self
                .logs
                .entry(log)
                .or_insert_with(|| Outgoing::at(*cursor));
            if outgoing.paused {
                out.push(Output::Report(Report::Resumed {
                    by: Side::Theirs,
                    log,
                }));
            }
            outgoing.rewind(*cursor);
            if serves {
                outgoing.served = true;
                outgoing.head = Some(cursor_of(&ours.held, log));
            }
            self.drop_ready(log);
            self.check(log, out);
        }
        self.advance(out);
        Ok(())
    }

    /// The peer takes no more of a log: that one waits, the others go on.
    pub(super) fn stopped(
        &mut self,
        stopped: Stopped,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        let log = stopped.cursor.log;
        self.stands(stopped.cursor, out)?;
        if let Some(outgoing) = self.logs.get_mut(&log) {
            outgoing.paused = true;
        }
        self.drop_ready(log);
        out.push(Output::Report(Report::Stopped {
            by: Side::Theirs,
            stopped,
        }));
        self.advance(out);
        Ok(())
    }

    /// The peer stands there in a log. Says whether that is news.
    fn stands(&mut self, cursor: Cursor, out: &mut Vec<Output>) -> Result<bool, CloseReason> {
        let log = cursor.log;
        if log.origin == self.ends.peer {
            return Ok(false);
        }
        self.room_for(log)?;
        let outgoing = self
            .logs
            .entry(log)
            .or_insert_with(|| Outgoing::at(Cursor::start(log)));
        let sent = outgoing.sent;
        if cursor.seq == sent.seq && cursor.hash != sent.hash && cursor.seq > 0 {
            self.contradict(log, cursor, out);
            return Ok(false);
        }
        let news = outgoing.known(cursor);
        let jumped = outgoing.sent != sent;
        if news {
            outgoing.contradicted = None;
            self.check(log, out);
        }
        if jumped {
            self.drop_ready(log);
        }
        Ok(news)
    }

    fn room_for(&self, log: LogId) -> Result<(), CloseReason> {
        // Ours count too: twice the most that either side may name.
        if self.logs.len() >= 2 * LOGS_MAX && !self.logs.contains_key(&log) {
            return Err(super::rule(&format!("more than {LOGS_MAX} logs")));
        }
        Ok(())
    }
}

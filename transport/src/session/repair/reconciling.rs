//! Runs of reconciliation: who begins, when, and what becomes of them.
//!
//! Guarantees: the dialler begins, the acceptor asks it to; runs that find differences again and again
//! come further and further apart, up to the interval of the periodic proof. A word of a run that was
//! given up is ignored.

use super::{PATIENCE_MS, RECONCILIATION_MAX_MS, RECONCILIATION_PAUSE_MS, REPAIR_STEP_MAX_MS};
use crate::host::HostFailed;
use crate::link::CloseReason;
use crate::reconcile::{Differences, Message, Reconciler, Step};
use crate::session::{Output, Report, rule};
use crate::wire::repair::{Word, encode_recon};

/// The acceptor leaves the dialler this long to begin by itself, in milliseconds.
const ASK_DELAY_MS: u64 = 5_000;

/// A run under way.
#[derive(Debug)]
struct Run {
    side: Box<Reconciler>,
    bytes: usize,
    messages: u32,
    /// Given up then, unless the peer says something.
    due_ms: u64,
    /// Given up then in any case.
    end_ms: u64,
}

#[derive(Debug)]
enum State {
    Idle,
    /// The host reads its items; with the acceptor, the dialler's first word waits.
    Reading(Option<Message>),
    Running(Run),
}

/// This side's part in the runs of one session.
#[derive(Debug)]
pub(super) struct Reconciling {
    dialled: bool,
    interval_ms: u64,
    state: State,
    /// Number of the run under way, or of the last one; the dialler counts.
    run: u64,
    /// The acceptor is to ask for a run.
    ask: bool,
    /// Digests differ: a run is wanted after the pause.
    differs: bool,
    /// No run before, unless somebody wants one.
    not_before_ms: u64,
    pause_ms: u64,
    proof_at_ms: u64,
    /// When the host began to read its items last.
    read_at_ms: u64,
    /// No part in a run of the dialler before.
    rests_until_ms: u64,
}

impl Reconciling {
    pub(super) const fn new(now_ms: u64, dialled: bool, interval_ms: u64) -> Self {
        Self {
            dialled,
            interval_ms,
            state: State::Idle,
            run: 0,
            ask: false,
            differs: false,
            not_before_ms: now_ms,
            pause_ms: RECONCILIATION_PAUSE_MS,
            proof_at_ms: now_ms.saturating_add(interval_ms),
            read_at_ms: now_ms,
            rests_until_ms: now_ms,
        }
    }

    pub(super) fn compared(&mut self, now_ms: u64, equal: bool) {
        if !equal && !self.dialled && !self.differs {
            let patience = now_ms.saturating_add(ASK_DELAY_MS);
            self.not_before_ms = self.not_before_ms.max(patience);
        }
        self.differs = !equal;
    }

    /// Somebody wants the proof now.
    pub(super) const fn verify(&mut self, now_ms: u64) {
        if self.dialled {
            self.proof_at_ms = now_ms;
        } else {
            self.ask = true;
        }
    }

    /// Whether this side has reason to begin a run, or to ask for one.
    pub(super) fn is_due(&self, now_ms: u64) -> bool {
        matches!(self.state, State::Idle)
            && (self.ask
                || (self.differs && now_ms >= self.not_before_ms)
                || (self.dialled && now_ms >= self.proof_at_ms))
    }

    /// Whether a run is due so long that level logs are not waited for; asking costs nothing.
    pub(super) const fn is_overdue(&self, now_ms: u64) -> bool {
        self.ask || (self.dialled && now_ms >= self.proof_at_ms.saturating_add(PATIENCE_MS))
    }

    /// The dialler reads its items; the acceptor asks.
    pub(super) fn begin(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        self.ask = false;
        self.differs = false;
        if self.dialled {
            self.run = self.run.saturating_add(1);
            self.state = State::Reading(None);
            out.push(Output::ReadItems);
        } else {
            self.not_before_ms = now_ms.saturating_add(ASK_DELAY_MS);
            send(self.run, &Word::Asked, out);
        }
    }

    /// The host's items are here. Gives the documents to be fetched, if that ended the run.
    pub(super) fn items(
        &mut self,
        now_ms: u64,
        items: Result<Box<Reconciler>, HostFailed>,
        out: &mut Vec<Output>,
    ) -> Result<Vec<[u8; 16]>, CloseReason> {
        let State::Reading(first) = std::mem::replace(&mut self.state, State::Idle) else {
            return Ok(Vec::new());
        };
        // A run costs its side a look at everything: a peer gets a tenth of the time for that.
        let rest = now_ms.saturating_sub(self.read_at_ms).saturating_mul(10);
        self.rests_until_ms = now_ms.saturating_add(rest.max(RECONCILIATION_PAUSE_MS));
        let Ok(side) = items else {
            if !self.dialled {
                send(self.run, &Word::Declined, out);
            }
            self.pause(now_ms);
            return Ok(Vec::new());
        };
        let mut run = Run {
            side,
            bytes: 0,
            messages: 0,
            due_ms: now_ms.saturating_add(REPAIR_STEP_MAX_MS),
            end_ms: now_ms.saturating_add(RECONCILIATION_MAX_MS),
        };
        if let Some(message) = first {
            return self.hear(now_ms, run, &message, out);
        }
        let begin = Word::Say(run.side.start());
        run.say(self.run, &begin, out);
        self.state = State::Running(run);
        Ok(Vec::new())
    }

    /// A word of the peer. Gives the documents to be fetched, if that ended the run.
    pub(super) fn heard(
        &mut self,
        now_ms: u64,
        run: u64,
        word: Word,
        out: &mut Vec<Output>,
    ) -> Result<Vec<[u8; 16]>, CloseReason> {
        match word {
            Word::Asked if self.dialled => {
                if let State::Idle = self.state {
                    let at_ms = self.not_before_ms.max(now_ms);
                    self.proof_at_ms = self.proof_at_ms.min(at_ms);
                }
            }
            Word::Declined if self.dialled => {
                if run == self.run && matches!(self.state, State::Running(_)) {
                    self.give_up(now_ms);
                }
            }
            Word::Asked | Word::Declined => {
                return Err(rule("a word of the acceptor from the dialler"));
            }
            Word::Say(message @ Message::Begin(_)) => self.begun(now_ms, run, message, out)?,
            Word::Say(_) if run > self.run => {
                return Err(rule("an answer to a reconciliation that was not begun"));
            }
            Word::Say(message) => match std::mem::replace(&mut self.state, State::Idle) {
                State::Running(current) if run == self.run => {
                    return self.hear(now_ms, current, &message, out);
                }
                other => self.state = other,
            },
        }
        Ok(Vec::new())
    }

    /// Ends a run in which nothing happens any more.
    pub(super) fn give_up_if_late(&mut self, now_ms: u64) {
        if let State::Running(run) = &self.state
            && now_ms >= run.late_ms()
        {
            self.give_up(now_ms);
        }
    }

    /// When something is due here by time alone.
    pub(super) fn wake_ms(&self) -> Option<u64> {
        match &self.state {
            State::Running(run) => Some(run.late_ms()),
            State::Reading(_) => None,
            State::Idle => self
                .differs
                .then_some(self.not_before_ms)
                .into_iter()
                .chain(self.dialled.then_some(self.proof_at_ms))
                .min(),
        }
    }

    fn begun(
        &mut self,
        now_ms: u64,
        run: u64,
        message: Message,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        if self.dialled || run <= self.run {
            return Err(rule("a reconciliation begun by the acceptor, or twice"));
        }
        self.run = run;
        // Items that are being read for a run given up serve as well for this one.
        if let State::Reading(first) = &mut self.state {
            *first = Some(message);
            return Ok(());
        }
        self.state = State::Idle;
        if now_ms < self.rests_until_ms {
            send(run, &Word::Declined, out);
            return Ok(());
        }
        self.read_at_ms = now_ms;
        self.state = State::Reading(Some(message));
        out.push(Output::ReadItems);
        Ok(())
    }

    fn hear(
        &mut self,
        now_ms: u64,
        mut run: Run,
        message: &Message,
        out: &mut Vec<Output>,
    ) -> Result<Vec<[u8; 16]>, CloseReason> {
        run.due_ms = now_ms.saturating_add(REPAIR_STEP_MAX_MS);
        run.count(encode_recon(self.run, &Word::Say(message.clone())).len());
        let Step { reply, finished } = run
            .side
            .step(message)
            .map_err(|broken| rule(&broken.to_string()))?;
        if let Some(reply) = reply {
            run.say(self.run, &Word::Say(reply), out);
        }
        if finished {
            return Ok(self.finish(now_ms, run, out));
        }
        self.state = State::Running(run);
        Ok(Vec::new())
    }

    /// The run is over: reports it; gives what is to be fetched.
    fn finish(&mut self, now_ms: u64, run: Run, out: &mut Vec<Output>) -> Vec<[u8; 16]> {
        let items = run.side.len();
        let found = run.side.into_differences();
        let differing = found.len();
        out.push(Output::Report(Report::Reconciled {
            items,
            differing,
            messages: run.messages,
            bytes: run.bytes,
        }));
        self.differs = false;
        if differing == 0 {
            self.pause_ms = RECONCILIATION_PAUSE_MS;
        }
        self.pause(now_ms);
        let Differences {
            missing_here,
            different,
            missing_there: _,
        } = found;
        [missing_here, different].concat()
    }

    fn give_up(&mut self, now_ms: u64) {
        self.state = State::Idle;
        self.differs = self.dialled;
        self.pause(now_ms);
    }

    /// The next run comes later than the last one did.
    fn pause(&mut self, now_ms: u64) {
        self.not_before_ms = now_ms.saturating_add(self.pause_ms);
        self.proof_at_ms = now_ms.saturating_add(self.interval_ms);
        let longest = self.interval_ms.max(RECONCILIATION_PAUSE_MS);
        self.pause_ms = self.pause_ms.saturating_mul(2).min(longest);
    }
}

impl Run {
    fn late_ms(&self) -> u64 {
        self.due_ms.min(self.end_ms)
    }

    fn say(&mut self, run: u64, word: &Word, out: &mut Vec<Output>) {
        let bytes = send(run, word, out);
        self.count(bytes);
    }

    const fn count(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.messages = self.messages.saturating_add(1);
    }
}

/// Gives the length of the frame.
fn send(run: u64, word: &Word, out: &mut Vec<Output>) -> usize {
    let bytes = encode_recon(run, word);
    let length = bytes.len();
    out.push(Output::SendControl(bytes.into()));
    length
}

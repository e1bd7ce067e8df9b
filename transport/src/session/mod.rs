//! One conversation with one peer, from greeting to close.
//!
//! Invariant: no I/O and no clock; the same inputs give the same outputs, byte for byte. At most one
//! disk read is in flight, one frame waits to be written and a handful are being taken in: a slow peer
//! is a cursor that lags. An acknowledgement repeats what the host says it durably holds. What is wrong
//! with one log stops that log; the others go on.
//! Knows positions and opaque bodies. Does not know records, stores or sockets.
//! Source: docs/protocol.md, "Session".

mod acknowledging;
mod asking;
mod clock;
mod comparison;
mod evidence;
mod exchange;
mod incoming;
mod outgoing;
mod place;
mod receiving;
mod repair;
mod seen;
mod sending;
mod state;
mod turns;

pub use exchange::{DeliveryFault, Input, Opening, Output, RepairInput, Report, Wake};
pub use repair::{RECONCILIATION_MAX_MS, RECONCILIATION_PAUSE_MS, REPAIR_STEP_MAX_MS};

use crate::host::{LocalHello, Positions, Standing};
use crate::identity::PeerId;
use crate::link::{CloseReason, Versions};
use crate::wire::frame::Frame;
use crate::wire::{Hello, Message, Ping, SUPPORTED_FEATURES, Told, kind};
use clock::Clocks;
use repair::Repair;
use state::{Ends, Greeting, State, Tailing, Waiting};

/// Both hellos must be there this long after the connection, in milliseconds.
pub const HELLO_DEADLINE_MS: u64 = 5_000;

/// A ping goes out this often, in milliseconds.
pub const PING_INTERVAL_MS: u64 = 10_000;

/// A peer that said nothing for this long is given up, in milliseconds.
pub const SILENCE_MAX_MS: u64 = 30_000;

/// Acknowledgements are held back at most this long while more is on its way, in milliseconds.
pub const ACK_DELAY_MAX_MS: u64 = 50;

/// What a peer tells as opened is confirmed at most this often, in milliseconds.
pub const SEEN_PAUSE_MS: u64 = 1_000;

/// Contact is reported at most this often, in milliseconds.
const CONTACT_INTERVAL_MS: u64 = 1_000;

/// One conversation.
#[derive(Debug)]
pub struct Session {
    peer: PeerId,
    ends: Ends,
    dialled: bool,
    versions: Versions,
    local: LocalHello,
    clocks: Clocks,
    standing: Standing,
    positions: Positions,
    /// The positions that the peer was told with our approval: both sides begin from there.
    told: Positions,
    state: State,
    opened_ms: u64,
    heard_ms: u64,
    ping_at_ms: u64,
    contact_at_ms: u64,
    proof_interval_ms: u64,
    armed_ms: Option<u64>,
}

impl Session {
    /// Opens a conversation over a fresh connection; a dialler's hello is the first output.
    pub fn open(now_ms: u64, opening: Opening, out: &mut Vec<Output>) -> Self {
        let mut session = Self {
            peer: opening.peer.id(),
            ends: Ends {
                own: opening.own.origin(),
                peer: opening.peer.id().origin(),
            },
            dialled: opening.dialled,
            versions: opening.versions,
            clocks: Clocks::new(now_ms, opening.local.clock_ms),
            local: opening.local,
            standing: opening.standing,
            positions: opening.positions,
            told: Positions::default(),
            state: State::Greeting(Greeting::default()),
            opened_ms: now_ms,
            heard_ms: now_ms,
            ping_at_ms: now_ms.saturating_add(PING_INTERVAL_MS),
            contact_at_ms: now_ms,
            proof_interval_ms: opening.proof_interval_ms,
            armed_ms: None,
        };
        if let Some(reason) = unwelcome(session.standing) {
            session.close(reason, out);
        } else if session.dialled {
            session.greet(now_ms, out);
        }
        session.arm(now_ms, out);
        session
    }

    /// The peer.
    pub const fn peer(&self) -> PeerId {
        self.peer
    }

    /// Whether the peer's data stream should be read now; if not, QUIC holds the peer back.
    pub fn wants_data(&self) -> bool {
        match &self.state {
            State::Tailing(tailing) => tailing.receiving.has_room(),
            State::Greeting(_) | State::Waiting(_) | State::Over => false,
        }
    }

    /// Whether the peer's backfill stream should be read now.
    pub fn wants_backfill(&self) -> bool {
        match &self.state {
            State::Tailing(tailing) => tailing.repair.wants_backfill(),
            State::Greeting(_) | State::Waiting(_) | State::Over => false,
        }
    }

    /// Whether the conversation is over.
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Advances the conversation by one input at `now_ms` (monotonic milliseconds).
    pub fn step(&mut self, now_ms: u64, input: Input, out: &mut Vec<Output>) {
        if self.is_over() {
            return;
        }
        let said = out.len();
        let outcome = match input {
            Input::Control(frame) => self.control(now_ms, &frame, out),
            Input::Data(frame) => self.data(now_ms, &frame, out),
            Input::Local {
                standing,
                positions,
            } => self.local(now_ms, standing, positions, out),
            Input::Read(result) => self.tailing(|tailing, _| tailing.sending.read(result, out)),
            Input::DataWritten => self.tailing(|tailing, _| {
                tailing.sending.written(out);
                Ok(())
            }),
            Input::Delivered(result) => {
                self.tailing(|tailing, local| tailing.receiving.delivered(result, local, out))
            }
            Input::SeenTaken(result) => self.tailing(|tailing, _| {
                tailing.seen.taken(now_ms, &result);
                Ok(())
            }),
            Input::Probe(number) => {
                out.push(Output::SendControl(Message::Probe(number).encode().into()));
                Ok(())
            }
            Input::Deadline { clock_ms } => self.deadline(now_ms, clock_ms, out),
            Input::Backfill(frame) => self.backfill(now_ms, &frame, out),
            Input::Repair(input) => match &mut self.state {
                State::Tailing(tailing) => tailing.repair.worked(now_ms, input, out),
                State::Greeting(_) | State::Waiting(_) | State::Over => Ok(()),
            },
        };
        let outcome = outcome.and_then(|()| match &mut self.state {
            State::Tailing(tailing) => tailing.mend(now_ms, said, &self.positions, out),
            State::Greeting(_) | State::Waiting(_) | State::Over => Ok(()),
        });
        match outcome {
            Ok(()) => self.arm(now_ms, out),
            Err(reason) => self.close(reason, out),
        }
    }

    fn control(
        &mut self,
        now_ms: u64,
        frame: &Frame,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        self.heard_ms = now_ms;
        if frame.kind == kind::HELLO {
            self.check_versions(frame)?;
        }
        if matches!(frame.kind, kind::RECON | kind::WANT) {
            self.contact(now_ms, None, out);
            return self.tailing(|tailing, _| tailing.repair.control(now_ms, frame, out));
        }
        let Some(message) = Message::parse(frame.kind, &frame.body)? else {
            return Ok(());
        };
        let mut clock_ms = None;
        match message {
            Message::Hello(hello) => self.hello(now_ms, *hello, out)?,
            Message::Standing {
                standing,
                positions,
            } => self.regarded(now_ms, standing, positions, out)?,
            Message::Ping(ping) => {
                clock_ms = Some(ping.clock_ms);
                self.pinged(now_ms, ping, out)?;
            }
            Message::Cursors(cursors) => {
                self.tailing(|tailing, _| tailing.sending.cursors(&cursors, out))?;
                self.announce(now_ms, out);
            }
            Message::Probe(number) => {
                out.push(Output::SendControl(Message::Answer(number).encode().into()));
            }
            Message::Answer(number) => out.push(Output::Report(Report::Answered(number))),
            about => self.tailing(|tailing, local| about_logs(tailing, about, local, out))?,
        }
        self.contact(now_ms, clock_ms, out);
        Ok(())
    }

    fn check_versions(&self, frame: &Frame) -> Result<(), CloseReason> {
        let theirs = Hello::versions(&frame.body)?;
        match self.versions.common(&theirs) {
            Some(_) => Ok(()),
            None => Err(CloseReason::Version {
                ours: self.versions,
                theirs: Some(theirs),
            }),
        }
    }

    fn hello(
        &mut self,
        now_ms: u64,
        hello: Hello,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        if !matches!(self.state, State::Greeting(_)) {
            return Err(rule("a second hello"));
        }
        let missing = hello.required & !SUPPORTED_FEATURES;
        if missing != 0 {
            return Err(rule(&format!(
                "the peer requires features that this node lacks: {missing:#x}"
            )));
        }
        if let Some(reason) = unwelcome(hello.remote.standing) {
            return Err(reason);
        }
        if !self.dialled {
            self.greet(now_ms, out);
        }
        out.push(Output::Connected(Box::new(hello.remote)));
        self.clocks.heard(now_ms, hello.remote.clock_ms);
        if self.dialled {
            // The acceptor's hello answers ours at once.
            self.measure(
                now_ms,
                &Ping {
                    clock_ms: hello.remote.clock_ms,
                    echo_ms: self.local.clock_ms,
                    since_ms: 0,
                    heads: Vec::new(),
                },
                out,
            );
        }
        self.state = State::Waiting(Waiting {
            regarded: hello.remote.standing,
            theirs: hello.positions,
        });
        self.begin_if_both_approve(now_ms, out);
        Ok(())
    }

    fn regarded(
        &mut self,
        now_ms: u64,
        standing: Standing,
        theirs: Told,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        if let Some(reason) = unwelcome(standing) {
            return Err(reason);
        }
        let State::Waiting(waiting) = &mut self.state else {
            return Err(rule("a standing that changes nothing"));
        };
        waiting.regarded = standing;
        waiting.theirs = theirs;
        out.push(Output::Report(Report::Regarded(standing)));
        self.begin_if_both_approve(now_ms, out);
        Ok(())
    }

    /// Entries flow only while each side regards the other as approved.
    fn begin_if_both_approve(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        let State::Waiting(waiting) = &self.state else {
            return;
        };
        if self.standing != Standing::Approved || waiting.regarded != Standing::Approved {
            return;
        }
        let repair = Repair::new(now_ms, self.dialled, self.proof_interval_ms);
        let mut tailing = Tailing::begin(self.ends, &self.told, &waiting.theirs, repair, out);
        tailing.moved(now_ms, &self.positions, out);
        self.state = State::Tailing(Box::new(tailing));
        self.announce(now_ms, out);
    }

    fn pinged(
        &mut self,
        now_ms: u64,
        ping: Ping,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        if matches!(self.state, State::Greeting(_)) {
            return Err(rule("a ping before the hello"));
        }
        self.measure(now_ms, &ping, out);
        self.clocks.heard(now_ms, ping.clock_ms);
        if ping.heads.is_empty() {
            return Ok(());
        }
        self.tailing(|tailing, local| {
            let (receiving, sending) = (&mut tailing.receiving, &mut tailing.sending);
            receiving.announced(ping.heads, local, sending, out)
        })
    }

    fn measure(&self, now_ms: u64, ping: &Ping, out: &mut Vec<Output>) {
        if let Some(measured) = self.clocks.measure(now_ms, ping) {
            out.push(Output::Report(Report::Clock {
                offset_ms: measured.offset_ms,
                rtt_us: measured.rtt_us,
            }));
        }
    }

    fn data(
        &mut self,
        now_ms: u64,
        frame: &Frame,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        self.heard_ms = now_ms;
        self.tailing(|tailing, local| {
            let (receiving, sending) = (&mut tailing.receiving, &mut tailing.sending);
            tailing.repair.overtaken(now_ms);
            receiving.data(frame, local, sending, out)
        })?;
        self.contact(now_ms, None, out);
        Ok(())
    }

    fn backfill(
        &mut self,
        now_ms: u64,
        frame: &Frame,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        self.heard_ms = now_ms;
        self.contact(now_ms, None, out);
        self.tailing(|tailing, _| tailing.repair.backfill(now_ms, frame, out))
    }

    fn local(
        &mut self,
        now_ms: u64,
        standing: Standing,
        positions: Positions,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        if let Some(reason) = unwelcome(standing) {
            return Err(reason);
        }
        let before = std::mem::replace(&mut self.standing, standing);
        self.positions = positions;
        match &mut self.state {
            State::Waiting(_) if before != standing => {
                let told = Message::Standing {
                    standing,
                    positions: self.tell_positions(),
                };
                out.push(Output::SendControl(told.encode().into()));
                self.begin_if_both_approve(now_ms, out);
                Ok(())
            }
            State::Tailing(_) if standing != Standing::Approved => Err(CloseReason::Suspended),
            State::Tailing(tailing) => {
                tailing.moved(now_ms, &self.positions, out);
                Ok(())
            }
            State::Greeting(_) | State::Waiting(_) | State::Over => Ok(()),
        }
    }

    fn deadline(
        &mut self,
        now_ms: u64,
        clock_ms: u64,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        self.armed_ms = None;
        self.clocks.set(now_ms, clock_ms);
        if now_ms >= self.heard_ms.saturating_add(SILENCE_MAX_MS) {
            return Err(CloseReason::Silent);
        }
        if matches!(self.state, State::Greeting(_)) {
            return if now_ms >= self.opened_ms.saturating_add(HELLO_DEADLINE_MS) {
                Err(CloseReason::Unreachable {
                    detail: format!("no hello within {HELLO_DEADLINE_MS} ms"),
                })
            } else {
                Ok(())
            };
        }
        if let State::Tailing(tailing) = &mut self.state {
            let (receiving, sending) = (&mut tailing.receiving, &tailing.sending);
            receiving.acknowledge_if_due(now_ms, &self.positions, sending, out);
        }
        if now_ms >= self.ping_at_ms {
            self.ping_at_ms = now_ms.saturating_add(PING_INTERVAL_MS);
            self.ping(now_ms, out);
            if let State::Tailing(tailing) = &mut self.state {
                tailing.receiving.check_stalls(&self.positions, out);
                tailing.settle_again(&self.positions, out);
            }
            out.push(Output::Report(Report::Pinged));
        }
        Ok(())
    }

    fn ping(&self, now_ms: u64, out: &mut Vec<Output>) {
        let heads = match &self.state {
            State::Tailing(tailing) => tailing.sending.heads_ahead(),
            State::Greeting(_) | State::Waiting(_) | State::Over => Vec::new(),
        };
        let (echo_ms, since_ms) = self.clocks.echo(now_ms);
        let ping = Message::Ping(Ping {
            clock_ms: self.clocks.wall(now_ms),
            echo_ms,
            since_ms,
            heads,
        });
        out.push(Output::SendControl(ping.encode().into()));
    }

    /// The ends of relayed logs are in no hello: the peer hears of those that run ahead.
    fn announce(&self, now_ms: u64, out: &mut Vec<Output>) {
        if let State::Tailing(tailing) = &self.state
            && tailing.sending.relayed_heads_ahead()
        {
            self.ping(now_ms, out);
        }
    }

    fn greet(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        self.local.clock_ms = self.clocks.wall(now_ms);
        let positions = self.tell_positions();
        let hello = Hello::of(self.versions, &self.local, self.standing, positions);
        let message = Message::Hello(Box::new(hello));
        out.push(Output::SendControl(message.encode().into()));
    }

    /// What the peer is told of our positions, which are nobody's business before approval.
    fn tell_positions(&mut self) -> Told {
        if self.standing != Standing::Approved {
            return Told::default();
        }
        self.told = self.positions.clone();
        Told::of(&self.told, self.ends.own, self.ends.peer)
    }

    fn contact(&mut self, now_ms: u64, clock_ms: Option<u64>, out: &mut Vec<Output>) {
        if clock_ms.is_some() || now_ms >= self.contact_at_ms {
            self.contact_at_ms = now_ms.saturating_add(CONTACT_INTERVAL_MS);
            out.push(Output::Report(Report::Contact { clock_ms }));
        }
    }

    /// Runs `act` on the tails; an input that makes sense only there is a broken rule elsewhere.
    fn tailing(
        &mut self,
        act: impl FnOnce(&mut Tailing, &Positions) -> Result<(), CloseReason>,
    ) -> Result<(), CloseReason> {
        match &mut self.state {
            State::Tailing(tailing) => act(tailing, &self.positions),
            State::Greeting(_) | State::Waiting(_) | State::Over => {
                Err(rule("entries or positions before both sides approved"))
            }
        }
    }

    fn close(&mut self, reason: CloseReason, out: &mut Vec<Output>) {
        self.state = State::Over;
        out.push(Output::Close(reason));
    }

    /// Asks for the next deadline, if it is earlier than the one asked for before.
    fn arm(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        let silent = (
            self.heard_ms.saturating_add(SILENCE_MAX_MS),
            Wake::PeerSilent,
        );
        let next = match &self.state {
            State::Over => return,
            State::Greeting(_) => {
                let due = self.opened_ms.saturating_add(HELLO_DEADLINE_MS);
                [(due, Wake::HelloDue), silent]
                    .into_iter()
                    .min_by_key(|wake| wake.0)
            }
            State::Waiting(_) | State::Tailing(_) => {
                let (ack, repair, seen) = match &self.state {
                    State::Tailing(tailing) => {
                        let repair = tailing.repair.wake_ms(now_ms);
                        let seen = tailing.seen.wake_ms();
                        (tailing.receiving.ack_at_ms(), repair, seen)
                    }
                    _ => (None, None, None),
                };
                ack.map(|due| (due, Wake::AckDue))
                    .into_iter()
                    .chain(repair.map(|due| (due, Wake::RepairDue)))
                    .chain(seen.map(|due| (due, Wake::SeenDue)))
                    .chain([(self.ping_at_ms, Wake::PingDue), silent])
                    .min_by_key(|wake| wake.0)
            }
        };
        if let Some((deadline_ms, why)) = next
            && self.armed_ms.is_none_or(|armed| deadline_ms < armed)
        {
            self.armed_ms = Some(deadline_ms);
            out.push(Output::WakeAt { deadline_ms, why });
        }
    }
}

/// Messages about logs, which make sense only while entries flow.
fn about_logs(
    tailing: &mut Tailing,
    message: Message,
    ours: &Positions,
    out: &mut Vec<Output>,
) -> Result<(), CloseReason> {
    match message {
        Message::Ack(logs) => {
            tailing.sending.acked(&logs, out)?;
            tailing.settle(ours, out);
        }
        Message::Proof(theirs) => {
            if !tailing.receiving.lags() {
                let told = tailing.receiving.told(ours);
                tailing.comparison.told(&theirs, told, out);
            }
        }
        Message::Resume(cursors) => tailing.sending.resume(&cursors, ours, out)?,
        Message::Stopped(stopped) => tailing.sending.stopped(stopped, out)?,
        Message::Evidence(signed) => tailing.evidence(signed, ours, out)?,
        Message::Withdrawn(logs) => tailing.receiving.withdrawn(logs, out),
        Message::Seen(items) => tailing.seen.heard(items, out)?,
        Message::SeenKept(count) => tailing.seen.kept(count, out)?,
        // The session itself takes these.
        Message::Hello(_)
        | Message::Standing { .. }
        | Message::Ping(_)
        | Message::Cursors(_)
        | Message::Probe(_)
        | Message::Answer(_) => {}
    }
    Ok(())
}

/// With whom there is nothing to talk about, and why.
const fn unwelcome(standing: Standing) -> Option<CloseReason> {
    match standing {
        Standing::Unknown => Some(CloseReason::Unknown),
        Standing::Suspended => Some(CloseReason::Suspended),
        Standing::Revoked => Some(CloseReason::Revoked),
        Standing::Pending | Standing::Approved => None,
    }
}

fn rule(detail: &str) -> CloseReason {
    CloseReason::Protocol {
        detail: detail.to_owned(),
    }
}

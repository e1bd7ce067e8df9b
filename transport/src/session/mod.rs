//! One conversation with one peer, from greeting to close.
//!
//! Invariant: no I/O and no clock; the same inputs give the same outputs, byte for byte. At most one
//! disk read is in flight, one frame waits to be written and a handful are being taken in: a slow peer
//! is a cursor that lags. An acknowledgement repeats what the host says it durably holds.
//! Knows positions and opaque bodies. Does not know records, stores or sockets.
//! Source: docs/protocol.md, "Session".

mod comparison;
mod exchange;
mod receiving;
mod sending;
mod state;

pub use exchange::{DeliveryFault, Input, Opening, Output, Report, Wake};

use crate::host::{LocalHello, Positions, Standing};
use crate::identity::PeerId;
use crate::link::{CloseReason, Versions};
use crate::log::Cursor;
use crate::wire::frame::Frame;
use crate::wire::{Hello, Message, SUPPORTED_FEATURES, Told, kind};
use state::{Greeting, State, Tailing, Waiting};

/// Both hellos must be there this long after the connection, in milliseconds.
pub const HELLO_DEADLINE_MS: u64 = 5_000;

/// A ping goes out this often, in milliseconds.
pub const PING_INTERVAL_MS: u64 = 10_000;

/// A peer that said nothing for this long is given up, in milliseconds.
pub const SILENCE_MAX_MS: u64 = 30_000;

/// Acknowledgements are held back at most this long while more is on its way, in milliseconds.
pub const ACK_DELAY_MAX_MS: u64 = 50;

/// Contact is reported at most this often, in milliseconds.
const CONTACT_INTERVAL_MS: u64 = 1_000;

/// One conversation.
#[derive(Debug)]
pub struct Session {
    peer: PeerId,
    dialled: bool,
    versions: Versions,
    local: LocalHello,
    standing: Standing,
    positions: Positions,
    state: State,
    opened_ms: u64,
    heard_ms: u64,
    ping_at_ms: u64,
    contact_at_ms: u64,
    armed_ms: Option<u64>,
}

impl Session {
    /// Opens a conversation over a fresh connection; a dialler's hello is the first output.
    pub fn open(now_ms: u64, opening: Opening, out: &mut Vec<Output>) -> Self {
        let mut session = Self {
            peer: opening.peer.id(),
            dialled: opening.dialled,
            versions: opening.versions,
            local: opening.local,
            standing: opening.standing,
            positions: opening.positions,
            state: State::Greeting(Greeting::default()),
            opened_ms: now_ms,
            heard_ms: now_ms,
            ping_at_ms: now_ms.saturating_add(PING_INTERVAL_MS),
            contact_at_ms: now_ms,
            armed_ms: None,
        };
        if let Some(reason) = unwelcome(session.standing) {
            session.close(reason, out);
        } else if session.dialled {
            session.greet(out);
        }
        session.arm(out);
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

    /// Whether the conversation is over.
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Advances the conversation by one input at `now_ms` (monotonic milliseconds).
    pub fn step(&mut self, now_ms: u64, input: Input, out: &mut Vec<Output>) {
        if self.is_over() {
            return;
        }
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
                self.tailing(|tailing, _| tailing.receiving.delivered(result))
            }
            Input::Deadline { clock_ms } => self.deadline(now_ms, clock_ms, out),
        };
        match outcome {
            Ok(()) => self.arm(out),
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
        let Some(message) = Message::parse(frame.kind, &frame.body)? else {
            return Ok(());
        };
        let mut clock_ms = None;
        match message {
            Message::Hello(hello) => self.hello(*hello, out)?,
            Message::Standing {
                standing,
                positions,
            } => self.regarded(standing, positions, out)?,
            Message::Ack(logs) => self.tailing(|tailing, local| {
                tailing.sending.acked(&logs, out)?;
                tailing
                    .comparison
                    .settle(tailing.in_sync(local), local, out);
                Ok(())
            })?,
            Message::Ping {
                clock_ms: theirs,
                heads,
            } => {
                clock_ms = Some(theirs);
                self.pinged(heads, out)?;
            }
            Message::Proof(theirs) => self.tailing(|tailing, local| {
                tailing.comparison.told(&theirs, local, out);
                Ok(())
            })?,
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

    fn hello(&mut self, hello: Hello, out: &mut Vec<Output>) -> Result<(), CloseReason> {
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
            self.greet(out);
        }
        out.push(Output::Connected(Box::new(hello.remote)));
        self.state = State::Waiting(Waiting {
            regarded: hello.remote.standing,
            theirs: hello.positions,
        });
        self.begin_if_both_approve(out)
    }

    fn regarded(
        &mut self,
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
        self.begin_if_both_approve(out)
    }

    /// Entries flow only while each side regards the other as approved.
    fn begin_if_both_approve(&mut self, out: &mut Vec<Output>) -> Result<(), CloseReason> {
        let State::Waiting(waiting) = &self.state else {
            return Ok(());
        };
        if self.standing != Standing::Approved || waiting.regarded != Standing::Approved {
            return Ok(());
        }
        let theirs = waiting.theirs.clone();
        let tailing = Tailing::begin(&self.positions, &theirs, out)?;
        self.state = State::Tailing(Box::new(tailing));
        Ok(())
    }

    fn pinged(&mut self, heads: Vec<Cursor>, out: &mut Vec<Output>) -> Result<(), CloseReason> {
        if matches!(self.state, State::Greeting(_)) {
            return Err(rule("a ping before the hello"));
        }
        if heads.is_empty() {
            return Ok(());
        }
        self.tailing(|tailing, _| {
            tailing.receiving.announced(&heads)?;
            out.push(Output::Report(Report::Announced(heads)));
            Ok(())
        })
    }

    fn data(
        &mut self,
        now_ms: u64,
        frame: &Frame,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        self.heard_ms = now_ms;
        self.tailing(|tailing, local| tailing.receiving.data(frame, local, out))?;
        self.contact(now_ms, None, out);
        Ok(())
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
                    positions: self.told_positions(),
                };
                out.push(Output::SendControl(told.encode().into()));
                self.begin_if_both_approve(out)
            }
            State::Tailing(_) if standing != Standing::Approved => Err(CloseReason::Suspended),
            State::Tailing(tailing) => {
                tailing.sending.offer(&self.positions, out);
                tailing.receiving.held(now_ms, &self.positions, out);
                let in_sync = tailing.in_sync(&self.positions);
                tailing.comparison.settle(in_sync, &self.positions, out);
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
            tailing
                .receiving
                .acknowledge_if_due(now_ms, &self.positions, out);
        }
        if now_ms >= self.ping_at_ms {
            self.ping_at_ms = now_ms.saturating_add(PING_INTERVAL_MS);
            self.ping(clock_ms, out);
        }
        Ok(())
    }

    fn ping(&mut self, clock_ms: u64, out: &mut Vec<Output>) {
        let heads = match &self.state {
            State::Tailing(tailing) => tailing.sending.heads_ahead(),
            State::Greeting(_) | State::Waiting(_) | State::Over => Vec::new(),
        };
        let ping = Message::Ping { clock_ms, heads };
        out.push(Output::SendControl(ping.encode().into()));
        if let State::Tailing(tailing) = &mut self.state {
            let in_sync = tailing.in_sync(&self.positions);
            tailing
                .comparison
                .settle_again(in_sync, &self.positions, out);
        }
        out.push(Output::Report(Report::Pinged));
    }

    fn greet(&self, out: &mut Vec<Output>) {
        let positions = self.told_positions();
        let hello = Hello::of(self.versions, &self.local, self.standing, positions);
        let message = Message::Hello(Box::new(hello));
        out.push(Output::SendControl(message.encode().into()));
    }

    /// Positions are nobody's business before approval.
    fn told_positions(&self) -> Told {
        match self.standing {
            Standing::Approved => Told::from(&self.positions),
            _ => Told::default(),
        }
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
    fn arm(&mut self, out: &mut Vec<Output>) {
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
                let ack = match &self.state {
                    State::Tailing(tailing) => tailing.receiving.ack_at_ms(),
                    _ => None,
                };
                ack.map(|due| (due, Wake::AckDue))
                    .into_iter()
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

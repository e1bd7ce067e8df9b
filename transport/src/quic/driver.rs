//! Pumps one session over the streams of one connection.
//!
//! Guarantees: nothing waits on a timer but what the session asked a timer for; a stream that does not
//! move holds up only itself; when the session closes, the peer is told and the host hears it last.
//! Decides nothing: every choice is the session's.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, ConnectionError, SendStream, VarInt};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::budget::Budget;
use super::delivery::{self, Work};
use super::pace::{Pace, until_any};
use super::registry::Seat;
use super::repair::RepairWork;
use super::streams::{
    Counters, FrameReader, FrameWriter, Lane, LaneWriter, PeerStreams, STREAMS_MAX, StreamEnded,
};
use crate::entry::SignedEntry;
use crate::host::{Host, HostFailed};
use crate::identity::{AuthenticatedPeer, PeerId};
use crate::link::{CloseReason, LinkEvent, Versions};
use crate::log::LogId;
use crate::session::{HELLO_DEADLINE_MS, Input, Opening, Output, RepairInput, Report, Session};
use crate::wire::data::{DATA_BODIES_BYTES, DATA_ENTRIES_MAX};
use crate::wire::frame::{CONTROL_FRAME_BYTES_MAX, Frame};
use crate::wire::{Message, decode_refusal};

/// TLS alert `no_application_protocol`.
const ALERT_NO_PROTOCOL: u64 = 120;

/// QUIC's error codes for TLS alerts start here (RFC 9001, 4.8).
const CRYPTO_ERRORS: u64 = 0x100;

/// A connection on which a session is to run.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) seat: Seat,
    pub(super) own: PeerId,
    pub(super) peer: AuthenticatedPeer,
    /// What the peer opened the connection with; none if this side dialled.
    pub(super) greeting: Option<Greeting>,
    pub(super) versions: Versions,
    pub(super) budget: Budget,
}

/// The first frame of a peer that dialled, and the streams that it came on.
#[derive(Debug)]
pub(super) struct Greeting {
    send: SendStream,
    control: FrameReader,
    frame: Frame,
    counters: Counters,
}

/// How long a peer that dialled has to say its hello.
const GREETING_MAX: Duration = Duration::from_millis(HELLO_DEADLINE_MS);

impl Greeting {
    /// Waits for what a peer that dialled says first.
    pub(super) async fn of(
        connection: &Connection,
        versions: Versions,
    ) -> Result<Self, CloseReason> {
        let counters = Counters::default();
        let said = async {
            let (send, receive) = connection
                .accept_bi()
                .await
                .map_err(StreamEnded::Connection)?;
            let mut control = FrameReader::new(receive, "control", CONTROL_FRAME_BYTES_MAX);
            let frame = control.next(&counters).await?;
            Ok((send, control, frame))
        };
        match timeout(GREETING_MAX, said).await {
            Ok(Ok((send, control, frame))) => Ok(Self {
                send,
                control,
                frame,
                counters,
            }),
            Ok(Err(ended)) => Err(reason_of_end(connection, &ended, versions).await),
            Err(_) => Err(CloseReason::Unreachable {
                detail: format!("no hello within {HELLO_DEADLINE_MS} ms"),
            }),
        }
    }

    /// The bytes counted so far.
    pub(super) fn take_counters(&mut self) -> Counters {
        std::mem::take(&mut self.counters)
    }

    /// The start that the peer names; none if that cannot be read.
    pub(super) fn incarnation(&self) -> Option<[u8; 8]> {
        match Message::parse(self.frame.kind, &self.frame.body) {
            Ok(Some(Message::Hello(hello))) => Some(hello.remote.incarnation),
            _ => None,
        }
    }
}

/// Runs the session to its end, tells the host, and says why it ended.
pub(super) async fn run(mut link: Link, host: Arc<dyn Host>) -> CloseReason {
    let live = link.seat.live.clone();
    let peer = link.peer.id();
    let greeting = link.greeting.take();
    let reason = match talk(&link, greeting, &host).await {
        Ok(reason) => reason,
        Err(ended) => match live.closing() {
            Some(reason) => reason,
            None => reason_of_end(&live.connection, &ended, link.versions).await,
        },
    };
    live.close(reason.clone());
    host.event(&peer, LinkEvent::Stats(live.statistics()));
    host.event(
        &peer,
        LinkEvent::Closed {
            reason: reason.clone(),
        },
    );
    drop(link);
    reason
}

/// What a lost connection means.
pub(super) fn reason_of_loss(lost: &ConnectionError, ours: Versions) -> CloseReason {
    match lost {
        ConnectionError::ApplicationClosed(close) => {
            decode_refusal(close.error_code.into_inner(), &close.reason, ours)
        }
        ConnectionError::ConnectionClosed(close) => {
            reason_of_code(close.error_code.into(), &lost.to_string(), ours)
        }
        ConnectionError::TransportError(error) => {
            reason_of_code(error.code.into(), &lost.to_string(), ours)
        }
        other => CloseReason::Unreachable {
            detail: other.to_string(),
        },
    }
}

fn reason_of_code(code: u64, detail: &str, ours: Versions) -> CloseReason {
    let detail = detail.to_owned();
    match code.checked_sub(CRYPTO_ERRORS) {
        Some(ALERT_NO_PROTOCOL) => CloseReason::Version { ours, theirs: None },
        Some(0..=0xff) => CloseReason::Refused { detail },
        _ => CloseReason::Unreachable { detail },
    }
}

/// How long after a stream's end the connection's own end, which tells why, is awaited.
const EXPLANATION_MAX: Duration = Duration::from_secs(1);

async fn reason_of_end(
    connection: &Connection,
    ended: &StreamEnded,
    ours: Versions,
) -> CloseReason {
    let broken = || CloseReason::Protocol {
        detail: ended.to_string(),
    };
    match ended {
        StreamEnded::Connection(lost) => reason_of_loss(lost, ours),
        StreamEnded::Malformed(_) => broken(),
        // A peer that closes ends its streams first: its reason is on its way.
        StreamEnded::Ended(_) => match timeout(EXPLANATION_MAX, connection.closed()).await {
            Ok(lost) => reason_of_loss(&lost, ours),
            Err(_) => broken(),
        },
    }
}

async fn talk(
    link: &Link,
    greeting: Option<Greeting>,
    host: &Arc<dyn Host>,
) -> Result<CloseReason, StreamEnded> {
    let outgoing = greeting.is_none();
    let (send, control_in, first) = match greeting {
        Some(greeting) => (greeting.send, greeting.control, Some(greeting.frame)),
        None => {
            let streams = link.seat.live.connection.open_bi().await;
            let (send, receive) = streams.map_err(StreamEnded::Connection)?;
            let control = FrameReader::new(receive, "control", CONTROL_FRAME_BYTES_MAX);
            (send, control, None)
        }
    };
    // Acknowledgements go before entries; a stream just opened takes a priority.
    send.set_priority(1).unwrap_or_default();
    let (work, works) = mpsc::channel(WORKS_MAX);
    let (results, delivered) = mpsc::channel(WORKS_MAX);
    let worker = tokio::spawn(delivery::run(host.clone(), link.peer.id(), works, results));
    let mut pump = Pump {
        link,
        host,
        started: Instant::now(),
        ticks: host.ticks(),
        outgoing,
        control_in,
        control_out: FrameWriter::new(send, "control"),
        streams_in: PeerStreams::default(),
        data_out: LaneWriter::new(Lane::Data),
        backfill_out: LaneWriter::new(Lane::Backfill),
        reading: None,
        work,
        delivered,
        repair: RepairWork::start(host, link.peer.id()),
        seen: None,
        pace: Pace::new(link.budget.clone()),
        wake: None,
    };
    let result = pump.run(first).await;
    worker.abort();
    result
}

/// Frames between arrival and delivery; the session allows fewer.
const WORKS_MAX: usize = 16;

struct Pump<'a> {
    link: &'a Link,
    outgoing: bool,
    host: &'a Arc<dyn Host>,
    started: Instant,
    ticks: watch::Receiver<u64>,
    control_in: FrameReader,
    control_out: FrameWriter,
    streams_in: PeerStreams,
    data_out: LaneWriter,
    backfill_out: LaneWriter,
    reading: Option<JoinHandle<Result<Vec<SignedEntry>, HostFailed>>>,
    work: mpsc::Sender<Work>,
    delivered: mpsc::Receiver<Result<(), crate::session::DeliveryFault>>,
    repair: RepairWork,
    /// What the host keeps of what was opened at the peer.
    seen: Option<JoinHandle<Result<(), HostFailed>>>,
    pace: Pace,
    wake: Option<Pin<Box<Sleep>>>,
}

impl Pump<'_> {
    async fn run(&mut self, mut first: Option<Frame>) -> Result<CloseReason, StreamEnded> {
        let peer = self.link.peer.id();
        self.ticks.mark_unchanged();
        let opening = Opening {
            own: self.link.own,
            peer: self.link.peer,
            dialled: self.outgoing,
            versions: self.link.versions,
            local: self.host.local_hello(),
            standing: self.host.standing(&peer),
            positions: self.host.positions(&peer),
            proof_interval_ms: u64::try_from(self.host.proof_interval().as_millis())
                .unwrap_or(u64::MAX),
        };
        let mut outputs = Vec::new();
        let mut session = Session::open(self.now_ms(), opening, &mut outputs);
        loop {
            for output in outputs.drain(..) {
                if let Some(reason) = self.perform(output) {
                    return Ok(reason);
                }
            }
            let input = match first.take() {
                Some(frame) => Some(Input::Control(frame)),
                None => {
                    self.next_input(session.wants_data(), session.wants_backfill())
                        .await?
                }
            };
            if let Some(input) = input {
                session.step(self.now_ms(), input, &mut outputs);
            }
        }
    }

    /// Waits for whatever happens next; `None` when only bytes moved.
    async fn next_input(
        &mut self,
        wants_data: bool,
        wants_backfill: bool,
    ) -> Result<Option<Input>, StreamEnded> {
        let live = &self.link.seat.live;
        let (connection, counters) = (&live.connection, &live.counters);
        let pauses = self.pace.pauses();
        let [hears, reads] = pauses.map(|pause| pause.is_none());
        let may_write = self.pace.may_write();
        let has_unwritten = self.data_out.has_unwritten() || self.backfill_out.has_unwritten();
        tokio::select! {
            flushed = self.control_out.flush(counters, usize::MAX),
                if self.control_out.has_unwritten() =>
            {
                self.pace.says(flushed?);
                Ok(None)
            }
            flushed = self.data_out.flush(connection, counters, may_write),
                if self.data_out.has_unwritten() && may_write > 0 =>
            {
                self.pace.wrote(flushed?);
                Ok((!self.data_out.has_unwritten()).then_some(Input::DataWritten))
            }
            () = self.pace.turn(), if has_unwritten && may_write == 0 => Ok(None),
            () = until_any(pauses), if !hears || !reads => Ok(None),
            frame = self.control_in.next(counters), if hears => {
                let frame = frame?;
                self.pace.control(frame.body.len());
                Ok(Some(Input::Control(frame)))
            }
            // Entries go first.
            flushed = self.backfill_out.flush(connection, counters, may_write),
                if self.backfill_out.has_unwritten()
                    && may_write > 0
                    && (may_write == usize::MAX || !self.data_out.has_unwritten()) =>
            {
                self.pace.wrote(flushed?);
                let written = !self.backfill_out.has_unwritten();
                Ok(written.then_some(Input::Repair(RepairInput::Written)))
            }
            frame = self.streams_in.next(connection, counters, wants_data, wants_backfill),
                if (wants_data || wants_backfill) && reads =>
            {
                let (lane, frame) = frame?;
                self.pace.brought(frame.body.len());
                Ok(Some(match lane {
                    Lane::Data => Input::Data(frame),
                    Lane::Backfill => Input::Backfill(frame),
                }))
            }
            done = self.repair.next() => Ok(Some(Input::Repair(done))),
            () = live.verify.notified() => Ok(Some(Input::Repair(RepairInput::Verify))),
            Some(result) = self.delivered.recv() => Ok(Some(Input::Delivered(result))),
            entries = finished(&mut self.reading) => Ok(Some(Input::Read(entries))),
            kept = finished(&mut self.seen) => Ok(Some(Input::SeenTaken(kept))),
            Ok(()) = self.ticks.changed() => {
                let peer = self.link.peer.id();
                Ok(Some(Input::Local {
                    standing: self.host.standing(&peer),
                    positions: self.host.positions(&peer),
                }))
            }
            () = rung(&mut self.wake) => {
                self.wake = None;
                let clock_ms = self.host.local_hello().clock_ms;
                Ok(Some(Input::Deadline { clock_ms }))
            }
            number = live.probed() => Ok(Some(Input::Probe(number))),
            lost = connection.closed() => Err(StreamEnded::Connection(lost)),
        }
    }

    fn perform(&mut self, output: Output) -> Option<CloseReason> {
        match output {
            Output::SendControl(frame) => self.control_out.push(&frame),
            Output::SendData(frame) => self.data_out.push(frame),
            Output::AllowData => {
                let connection = &self.link.seat.live.connection;
                connection.set_max_concurrent_uni_streams(VarInt::from_u32(STREAMS_MAX));
            }
            Output::Read { log, after } => self.reading = Some(self.read(log, after)),
            Output::Deliver { log, entries } => {
                self.pace.entries(entries.len());
                let work = delivery::start(self.host, log, entries);
                if self.work.try_send(work).is_err() {
                    return Some(CloseReason::HostFailed {
                        detail: "the delivery of entries was interrupted".to_owned(),
                    });
                }
            }
            Output::ReadItems => {
                let connection = &self.link.seat.live.connection;
                self.repair.read_items(connection);
            }
            Output::ReadParcels { ids, last } => self.repair.read_parcels(ids, last),
            Output::SendBackfill(frame) => self.backfill_out.push(frame),
            Output::Install(parcels) => return self.repair.install(parcels),
            Output::TakeSeen(items) => {
                let (host, peer) = (self.host.clone(), self.link.peer.id());
                self.seen = Some(tokio::spawn(async move { host.seen(peer, items).await }));
            }
            Output::Connected(remote) => {
                let live = &self.link.seat.live;
                live.name(remote.incarnation);
                if let Some(reason) = self.host.turns_away(&self.link.peer.id(), &remote) {
                    return Some(reason);
                }
                self.tell(LinkEvent::Connected {
                    remote: *remote,
                    address: live.connection.remote_address(),
                    outgoing: self.outgoing,
                });
            }
            Output::Report(report) => self.report(report),
            Output::WakeAt { deadline_ms, why } => {
                tracing::trace!(deadline_ms, ?why, "deadline set");
                let at = self.started + Duration::from_millis(deadline_ms);
                self.wake = Some(Box::pin(sleep_until(at)));
            }
            Output::Close(reason) => return Some(reason),
        }
        None
    }

    fn report(&self, report: Report) {
        self.tell(match report {
            Report::Answered(number) => return self.link.seat.live.answered(number),
            Report::Contact { clock_ms } => LinkEvent::Contact { clock_ms },
            Report::Regarded(standing) => LinkEvent::Regarded { standing },
            Report::Announced(heads) => LinkEvent::Announced { heads },
            Report::Acked(cursors) => LinkEvent::Acked { cursors },
            Report::Stopped { by, stopped } => LinkEvent::Stopped { by, stopped },
            Report::Resumed { by, log } => LinkEvent::Resumed { by, log },
            Report::RolledBack(rollback) => LinkEvent::RolledBack(rollback),
            Report::Evidence(signed) => LinkEvent::Evidence { signed },
            Report::Scope { by, withdrawn } => LinkEvent::Scope { by, withdrawn },
            Report::Clock { offset_ms, rtt_us } => LinkEvent::Clock { offset_ms, rtt_us },
            Report::Compared { equal } => LinkEvent::Compared { equal },
            Report::Reconciled {
                items,
                differing,
                messages,
                bytes,
            } => LinkEvent::Reconciled {
                items,
                differing,
                rounds: messages.div_ceil(2),
                bytes,
            },
            Report::Repaired { documents } => LinkEvent::Repaired { documents },
            Report::SeenTold(seen) => LinkEvent::SeenTold { seen },
            Report::Pinged => LinkEvent::Stats(self.link.seat.live.statistics()),
        });
    }

    fn read(&self, log: LogId, after: u64) -> JoinHandle<Result<Vec<SignedEntry>, HostFailed>> {
        let host = self.host.clone();
        let peer = self.link.peer.id();
        spawn_blocking(move || host.read(&peer, log, after, DATA_ENTRIES_MAX, DATA_BODIES_BYTES))
    }

    fn tell(&self, event: LinkEvent) {
        self.host.event(&self.link.peer.id(), event);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The work under way, when it is done; never, if there is none.
async fn finished<T>(
    work: &mut Option<JoinHandle<Result<T, HostFailed>>>,
) -> Result<T, HostFailed> {
    let Some(task) = work else {
        return std::future::pending().await;
    };
    let result = task.await;
    *work = None;
    result.unwrap_or_else(|_| Err(HostFailed::new("the host's work was interrupted")))
}

async fn rung(wake: &mut Option<Pin<Box<Sleep>>>) {
    match wake {
        Some(sleep) => sleep.as_mut().await,
        None => std::future::pending().await,
    }
}

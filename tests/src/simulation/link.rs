//! One connection: two sessions, what travels between them, what each side still has to take.
//!
//! Streams keep their order, as QUIC's do; streams of one connection, and connections, do not wait
//! for one another. Decides nothing: the world says when something arrives.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use raccordo_node::planted::{Planted, planted};
use raccordo_transport::session::{DeliveryFault, Session};
use raccordo_transport::wire::frame::{DATA_FRAME_BYTES_MAX, Frame, FrameBuffer, Malformed};
use raccordo_transport::{
    BadEntry, DocumentParcel, EntryFault, Host, HostFailed, LogId, PeerId, SignedEntry,
    VerifiedEntry, verify,
};
use tokio::sync::watch;

/// A dial that finds nobody is given up after so long, in milliseconds.
pub(super) const HANDSHAKE_MAX_MS: u64 = 5_000;

/// Data frames that the wire holds for a receiver that does not read.
pub(super) const WIRE_FRAMES_MAX: usize = 2;

/// One connection; the dialler is side 0.
#[derive(Debug)]
pub(super) struct Link {
    /// The place that has sent what its program would not: then neither side knows where it stands.
    pub bent: Option<usize>,
    /// Both ends.
    pub ends: [End; 2],
}

/// One end of a connection.
pub(super) struct End {
    /// The place that it is at, and which start of it.
    pub place: usize,
    /// Who is at the other end.
    pub peer: PeerId,
    /// The node's view for its links.
    pub host: Arc<dyn Host>,
    /// The conversation, until it is over.
    pub session: Option<Session>,
    /// Whether the host may have something new to say.
    pub ticks: watch::Receiver<u64>,
    /// When the session wants to be woken.
    pub wake_ms: Option<u64>,
    /// Frames to be put on the wire.
    pub outgoing: VecDeque<Bytes>,
    /// Frames that came and were not read yet.
    pub arrived: VecDeque<Frame>,
    /// The same of the backfill stream.
    pub backfill: VecDeque<Bytes>,
    /// Backfill frames that came and were not read yet.
    pub backfill_arrived: VecDeque<Frame>,
    /// What this end sent and did not arrive yet: control, data and backfill stream.
    pub streams: [VecDeque<Bytes>; 3],
    /// What arrived of each and is no whole frame yet.
    pub assembling: [FrameBuffer; 3],
    /// When the newest frame of each arrives.
    pub clear_ms: [u64; 3],
    /// What would have arrived if the way were not cut.
    pub held: Vec<Travelling>,
    deliveries: VecDeque<Delivering>,
    /// Documents on their way into the node.
    pub installations: VecDeque<Work>,
}

/// A host's work under way.
pub(super) type Work = Pin<Box<dyn Future<Output = Result<(), HostFailed>>>>;

/// What travels.
#[derive(Debug, Clone)]
pub(super) enum Travelling {
    /// The oldest frame of a stream.
    Frame(usize),
    /// The end of the connection: code and reason.
    Close(u64, Vec<u8>),
}

/// Place of the control stream among an end's streams.
pub(super) const CONTROL: usize = 0;

/// Place of the data stream.
pub(super) const DATA: usize = 1;

/// Place of the backfill stream.
pub(super) const BACKFILL: usize = 2;

enum Delivering {
    Refused(DeliveryFault),
    UnderWay(Work),
}

impl End {
    /// An end without a conversation yet.
    pub(super) fn new(place: usize, peer: PeerId, host: Arc<dyn Host>) -> Self {
        let mut ticks = host.ticks();
        ticks.mark_unchanged();
        Self {
            place,
            peer,
            host,
            session: None,
            ticks,
            wake_ms: None,
            outgoing: VecDeque::new(),
            arrived: VecDeque::new(),
            backfill: VecDeque::new(),
            backfill_arrived: VecDeque::new(),
            streams: Default::default(),
            assembling: [(); 3].map(|()| FrameBuffer::new(DATA_FRAME_BYTES_MAX)),
            clear_ms: [0; 3],
            held: Vec::new(),
            deliveries: VecDeque::new(),
            installations: VecDeque::new(),
        }
    }

    /// Whether the conversation goes on.
    pub(super) fn is_live(&self) -> bool {
        self.session.is_some()
    }

    /// Ends the conversation and forgets what was under way.
    pub(super) fn end(&mut self) {
        self.session = None;
        self.wake_ms = None;
        self.outgoing.clear();
        self.arrived.clear();
        self.deliveries.clear();
        self.backfill.clear();
        self.backfill_arrived.clear();
        self.installations.clear();
    }

    /// Verifies entries as the program does and queues them for the host.
    pub(super) fn deliver(&mut self, log: LogId, entries: Vec<SignedEntry>) {
        let verified = match self.host.author_key(&log.origin) {
            Some(author) => entries
                .into_iter()
                .map(|entry| verified(entry, &author))
                .collect(),
            None => Err(BadEntry {
                log,
                seq: entries.first().map_or(0, |entry| entry.header.seq),
                fault: EntryFault::UnknownOrigin,
            }),
        };
        self.deliveries.push_back(match verified {
            Err(bad) => Delivering::Refused(DeliveryFault::Entry(bad)),
            Ok(entries) => {
                let (host, peer) = (Arc::clone(&self.host), self.peer);
                Delivering::UnderWay(Box::pin(async move { host.deliver(peer, entries).await }))
            }
        });
    }

    /// Queues documents for the host.
    pub(super) fn install(&mut self, parcels: Vec<DocumentParcel>) {
        let (host, peer) = (Arc::clone(&self.host), self.peer);
        self.installations
            .push_back(Box::pin(async move { host.install(peer, parcels).await }));
    }

    /// How the oldest delivery went, if that is known by now.
    pub(super) fn delivered(&mut self) -> Option<Result<(), DeliveryFault>> {
        let result = match self.deliveries.front_mut()? {
            Delivering::Refused(fault) => Err(fault.clone()),
            Delivering::UnderWay(work) => {
                match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Pending => return None,
                    Poll::Ready(result) => result.map_err(DeliveryFault::Host),
                }
            }
        };
        self.deliveries.pop_front();
        Some(result)
    }

    /// Deliveries that wait.
    pub(super) fn waiting(&self) -> usize {
        self.deliveries.len()
    }
}

/// The frames of some bytes of a stream.
pub(super) fn frames(bytes: &[u8]) -> Result<Vec<Frame>, Malformed> {
    let mut buffer = FrameBuffer::new(DATA_FRAME_BYTES_MAX);
    buffer.push(bytes);
    let mut frames = Vec::new();
    while let Some(frame) = buffer.next_frame()? {
        frames.push(frame);
    }
    Ok(frames)
}

fn verified(entry: SignedEntry, author: &PeerId) -> Result<VerifiedEntry, BadEntry> {
    if planted(Planted::UnverifiedSignature) {
        return Ok(VerifiedEntry::for_tests(entry));
    }
    verify(entry, author)
}

impl std::fmt::Debug for End {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("End")
            .field("place", &self.place)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

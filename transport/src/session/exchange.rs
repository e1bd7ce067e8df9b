//! What goes into a session and what comes out: plain data, closed lists.
//!
//! A list of inputs with their times is a whole conversation: a test's script, a fault's report.

use bytes::Bytes;

use crate::entry::{BadEntry, SignedEntry, SignedHeader};
use crate::host::{HostFailed, LocalHello, Positions, Seen, Standing, Stopped};
use crate::identity::{AuthenticatedPeer, PeerId};
use crate::link::{CloseReason, RemoteHello, Rollback, Side, Versions};
use crate::log::{Cursor, LogId};
use crate::reconcile::Reconciler;
use crate::wire::frame::Frame;
use crate::wire::parcel::DocumentParcel;

/// What a session is opened with.
#[derive(Debug, Clone)]
pub struct Opening {
    /// This side's own key.
    pub own: PeerId,
    /// Who is at the other end, proven.
    pub peer: AuthenticatedPeer,
    /// Whether this side dialled; the dialler greets first.
    pub dialled: bool,
    /// What this side speaks.
    pub versions: Versions,
    /// What this side says of itself.
    pub local: LocalHello,
    /// How this side regards the peer.
    pub standing: Standing,
    /// Where this side stands towards the peer.
    pub positions: Positions,
    /// How often the dialler proves that both sides hold the same, in milliseconds.
    pub proof_interval_ms: u64,
}

/// Everything that can happen to a session.
#[derive(Debug)]
pub enum Input {
    /// A frame came on the control stream.
    Control(Frame),
    /// A frame came on the peer's data stream.
    Data(Frame),
    /// What the host says now: after a tick.
    Local {
        /// How it regards the peer.
        standing: Standing,
        /// Where it stands.
        positions: Positions,
    },
    /// The read asked for last is done.
    Read(Result<Vec<SignedEntry>, HostFailed>),
    /// The data frame handed over last is on its stream.
    DataWritten,
    /// The oldest delivery not yet reported is done: the host took it, or somebody refused it.
    Delivered(Result<(), DeliveryFault>),
    /// A frame came on the peer's backfill stream.
    Backfill(Frame),
    /// Something that a repair waits for is done.
    Repair(RepairInput),
    /// The host kept what the peer said was opened there ([`Output::TakeSeen`]), or failed to.
    SeenTaken(Result<(), HostFailed>),
    /// This side wants to know whether the peer still answers: it is asked, with this number.
    Probe(u64),
    /// The deadline asked for has come.
    Deadline {
        /// Wall clock now, unix milliseconds.
        clock_ms: u64,
    },
}

/// What is done of what a repair asked for.
#[derive(Debug)]
pub enum RepairInput {
    /// The items asked for last ([`Output::ReadItems`]), as a side of a reconciliation.
    Items(Result<Box<Reconciler>, HostFailed>),
    /// The frames of the parcels asked for last ([`Output::ReadParcels`]).
    Parcels(Result<Vec<Bytes>, HostFailed>),
    /// The backfill frame handed over last is on its stream.
    Written,
    /// The oldest installation not yet reported ([`Output::Install`]) is done.
    Installed(Result<(), HostFailed>),
    /// Somebody wants the proof that both sides hold the same, now.
    Verify,
}

/// Why entries were not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryFault {
    /// One of them is bad.
    Entry(BadEntry),
    /// The host failed.
    Host(HostFailed),
}

/// Everything a session may want.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Write this frame to the control stream.
    SendControl(Bytes),
    /// Write this frame to our data stream, and say so ([`Input::DataWritten`]) when done.
    SendData(Bytes),
    /// From now on the peer may open its data stream.
    AllowData,
    /// Read entries from disk; one at a time.
    Read {
        /// The log.
        log: LogId,
        /// Entries above this number.
        after: u64,
    },
    /// Verify these consecutive entries of one log and deliver them to the host, in order.
    Deliver {
        /// The log.
        log: LogId,
        /// The entries, chained and unverified.
        entries: Vec<SignedEntry>,
    },
    /// Read the items shared with the peer; one read at a time.
    ReadItems,
    /// Read documents whole and make frames of them; one read at a time.
    ReadParcels {
        /// Which; those that the peer may not have, or that are not there, are left out.
        ids: Vec<[u8; 16]>,
        /// Whether they end an answer.
        last: bool,
    },
    /// Write this frame to our backfill stream, and say so ([`RepairInput::Written`]) when done.
    SendBackfill(Bytes),
    /// Let the host judge and install these documents.
    Install(Vec<DocumentParcel>),
    /// Let the host judge and keep what people at the peer have opened, and say so
    /// ([`Input::SeenTaken`]) when it is durable; one at a time.
    TakeSeen(Vec<Seen>),
    /// Tell the host that both hellos were accepted.
    Connected(Box<RemoteHello>),
    /// Tell the host.
    Report(Report),
    /// Give [`Input::Deadline`] at this time.
    WakeAt {
        /// On the scale of `now_ms`.
        deadline_ms: u64,
        /// What it is for.
        why: Wake,
    },
    /// Close the connection and tell the peer; nothing follows.
    Close(CloseReason),
}

/// What a session tells its host, besides that it is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The peer was heard.
    Contact {
        /// Its wall clock, where it said it.
        clock_ms: Option<u64>,
    },
    /// How the peer regards us changed.
    Regarded(Standing),
    /// Ends of logs that the peer offers.
    Announced(Vec<Cursor>),
    /// What the peer durably holds of logs that it is offered.
    Acked(Vec<Cursor>),
    /// One side takes no more of a log.
    Stopped {
        /// Who.
        by: Side,
        /// Where it stands there, and why.
        stopped: Stopped,
    },
    /// One side takes a log again.
    Resumed {
        /// Who.
        by: Side,
        /// Which log.
        log: LogId,
    },
    /// A peer lost entries of its own log that the other holds, or wrote others in their place.
    RolledBack(Rollback),
    /// The peer's header at a place where cursors contradict each other; not verified.
    Evidence(Box<SignedHeader>),
    /// Logs that one side holds and the other does not offer.
    Scope {
        /// Who does not offer them.
        by: Side,
        /// All of them.
        withdrawn: Vec<LogId>,
    },
    /// How far the peer's wall clock stands from ours.
    Clock {
        /// Theirs minus ours, milliseconds.
        offset_ms: i64,
        /// Round trip of the exchange, microseconds.
        rtt_us: u64,
    },
    /// Digests at equal positions were compared.
    Compared {
        /// Whether they were equal.
        equal: bool,
    },
    /// Both sides know what differs.
    Reconciled {
        /// Documents compared here.
        items: usize,
        /// How many of them, or of the peer's, differ.
        differing: usize,
        /// Messages exchanged.
        messages: u32,
        /// Bytes of their frames.
        bytes: usize,
    },
    /// What differed or was damaged came from the peer and was handed to the host.
    Repaired {
        /// How many documents.
        documents: usize,
    },
    /// The peer durably knows that people here have opened these.
    SeenTold(Vec<Seen>),
    /// The peer answered the probe of that number.
    Answered(u64),
    /// A ping went out: time to tell the counters.
    Pinged,
}

/// What a deadline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// The peer's hello is due.
    HelloDue,
    /// The peer would have been silent for too long.
    PeerSilent,
    /// Our ping is due.
    PingDue,
    /// Acknowledgements held back are due.
    AckDue,
    /// A step of a repair is due, or late.
    RepairDue,
    /// What the peer told as opened may be confirmed.
    SeenDue,
}

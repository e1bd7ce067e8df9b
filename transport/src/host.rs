//! The boundary: all that a link asks of the node it runs in.
//!
//! Methods that are not async answer from memory, except `read`, which the driver calls on the
//! blocking pool. The host decides who is who and what is durable; the link only carries.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::watch;

use crate::entry::{SignedEntry, VerifiedEntry};
use crate::identity::PeerId;
use crate::link::{CloseReason, LinkEvent, RemoteHello};
use crate::log::{Cursor, LogId};
use crate::reconcile::Item;
use crate::wire::parcel::DocumentParcel;

/// What a host's boxed future looks like.
pub type HostFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Which keys may complete a handshake; asked anew at each one.
pub trait Pins: Send + Sync + 'static {
    /// Whether `key` is pinned now: a member, a pending one, or an unused invitation's one-time key.
    fn admits(&self, key: &PeerId) -> bool;
}

/// How a node regards a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Standing {
    /// Nobody: the link is closed.
    Unknown = 0,
    /// Joined, waiting for approval: it may stay connected and learn just that.
    Pending = 1,
    /// A member: entries flow.
    Approved = 2,
    /// A member on hold: the link is closed.
    Suspended = 3,
    /// No longer a member: the link is closed.
    Revoked = 4,
}

impl Standing {
    /// The byte on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The standing of that byte, if it is one.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Unknown),
            1 => Some(Self::Pending),
            2 => Some(Self::Approved),
            3 => Some(Self::Suspended),
            4 => Some(Self::Revoked),
            _ => None,
        }
    }
}

/// What this node says of itself in a hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalHello {
    /// The store's lineage.
    pub lineage: [u8; 8],
    /// This process's start.
    pub incarnation: [u8; 8],
    /// 0 district, 1 coordination.
    pub role: u8,
    /// Wall clock now, unix milliseconds.
    pub clock_ms: u64,
    /// Number of the newest roster entry known.
    pub policy_epoch: u32,
}

/// A log offered to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Its durable end here.
    pub head: Cursor,
    /// The entry that introduces the log's author: the peer must hold it first.
    pub after: Option<(LogId, u64)>,
}

/// Why no more of a log is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum StopCode {
    /// An entry was refused and waits for an administrator.
    Refused = 1,
    /// The next entry depends on others that are not here yet.
    Waiting = 2,
    /// Its author signed two entries with the same number.
    Equivocation = 3,
    /// Two nodes use its author's key.
    Cloned = 4,
}

impl StopCode {
    /// The byte on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The reason of that byte, if it is one.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Refused),
            2 => Some(Self::Waiting),
            3 => Some(Self::Equivocation),
            4 => Some(Self::Cloned),
            _ => None,
        }
    }
}

/// A log of which no more is taken now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Where it stands here.
    pub cursor: Cursor,
    /// Why.
    pub code: StopCode,
    /// In words, at most 200 bytes.
    pub detail: String,
}

/// Where this node stands towards one peer; all parts belong to one instant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Positions {
    /// What is durably held of the logs that the peer may offer: its own and those that it relays.
    pub held: Vec<Cursor>,
    /// The logs offered to the peer: own, also those of which nothing is there, and relayed.
    pub offers: Vec<Offer>,
    /// Digest over the documents that the two share.
    pub digest: [u8; 32],
    /// Logs of the peer's offer of which no more is taken now.
    pub stopped: Vec<Stopped>,
    /// Own logs to be fetched back from the peer, from here, after this node was rolled back.
    pub recover: Vec<Cursor>,
    /// Documents damaged here, to be fetched from the peer.
    pub wanted: Vec<[u8; 16]>,
    /// What people here have opened of what the peer wrote, and it was not told yet; durable, ascending
    /// by document. No more than [`SEEN_ITEMS_MAX`](crate::SEEN_ITEMS_MAX) need be named at once.
    pub seen: Vec<Seen>,
}

/// A person has opened a document, up to an entry of one origin that touches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The document's id.
    pub document: [u8; 16],
    /// Number of the last entry shown that is the origin's, in its log of the document's lane.
    pub seq: u64,
    /// When, on the clock of where it was opened: unix milliseconds.
    pub at_ms: u64,
}

impl Positions {
    /// The ends of the logs offered.
    pub fn heads(&self) -> impl Iterator<Item = Cursor> + '_ {
        self.offers.iter().map(|offer| offer.head)
    }
}

/// The host could not read or take entries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct HostFailed {
    /// What the store said, in one sentence.
    pub detail: String,
}

impl HostFailed {
    /// A failure with that sentence.
    pub fn new(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
        }
    }
}

/// What a new node asks for with an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequest {
    /// The key it will use from now on; possession was proven.
    pub real: PeerId,
    /// What it calls itself.
    pub name: String,
    /// The territory it says it is of.
    pub territory: String,
    /// 0 district, 1 coordination.
    pub role: u8,
}

/// An invitation redeemed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinAccepted {
    /// What the coordination calls itself.
    pub name: String,
    /// The coordination's territory.
    pub territory: String,
    /// How the new node is regarded from now on.
    pub standing: Standing,
}

/// An invitation that cannot be redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub enum JoinRefused {
    /// Nobody issued it, or it was withdrawn.
    #[error("the invitation is not known")]
    Unknown = 1,
    /// Its time is over.
    #[error("the invitation has expired")]
    Expired = 2,
    /// Another key redeemed it.
    #[error("the invitation was already used by another node")]
    Used = 3,
    /// It is for another territory.
    #[error("the invitation is for another territory")]
    Territory = 4,
    /// It is for another role.
    #[error("the invitation is for another role")]
    Role = 5,
    /// The proof of the real key does not hold.
    #[error("the proof of the node's own key does not hold")]
    Proof = 6,
    /// The key, or its first 8 bytes, belongs to another member.
    #[error("the node's key collides with another member's")]
    KeyTaken = 7,
    /// The key was revoked before.
    #[error("the node's key was revoked")]
    Revoked = 8,
    /// The coordination could not store it.
    #[error("the coordination could not record the request")]
    Failed = 9,
    /// This node does not take members in.
    #[error("the node that was reached takes no members in")]
    NotCoordination = 10,
}

impl JoinRefused {
    /// The byte on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The refusal of that byte; an unknown one reads as [`JoinRefused::Failed`].
    pub const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Unknown,
            2 => Self::Expired,
            3 => Self::Used,
            4 => Self::Territory,
            5 => Self::Role,
            6 => Self::Proof,
            7 => Self::KeyTaken,
            8 => Self::Revoked,
            10 => Self::NotCoordination,
            _ => Self::Failed,
        }
    }
}

/// The node around the links.
pub trait Host: Send + Sync + 'static {
    /// How `peer` is regarded now.
    fn standing(&self, peer: &PeerId) -> Standing;

    /// What to say of this node in a hello or a ping.
    fn local_hello(&self) -> LocalHello;

    /// Why a peer that has just said hello is sent away all the same; none if it is not.
    fn turns_away(&self, _peer: &PeerId, _hello: &RemoteHello) -> Option<CloseReason> {
        None
    }

    /// Where this node stands towards `peer`; from memory.
    fn positions(&self, peer: &PeerId) -> Positions;

    /// Bumped whenever `standing` or `positions` of anyone may have changed.
    fn ticks(&self) -> watch::Receiver<u64>;

    /// Entries of `log` with numbers above `after`, in order and without gaps: at most `max_entries`, and
    /// no more than `max_bytes` of bodies unless the first alone is larger. Called on the blocking pool.
    fn read(
        &self,
        peer: &PeerId,
        log: LogId,
        after: u64,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<Vec<SignedEntry>, HostFailed>;

    /// Takes verified entries of one log, in order; resolves when there is room for more. May repeat
    /// entries already held after a reconnect. When durable, they show as a larger `held` after a tick.
    fn deliver(
        &self,
        peer: PeerId,
        entries: Vec<VerifiedEntry>,
    ) -> HostFuture<'_, Result<(), HostFailed>>;

    /// The key that signs `origin`'s logs.
    fn author_key(&self, origin: &[u8; 8]) -> Option<PeerId>;

    /// Every document shared with `peer`, ascending by id, each with a hash of what it holds; all of one
    /// instant. Called on the blocking pool. A host that cannot say takes no part in reconciliations.
    fn items(&self, _peer: &PeerId) -> Result<Vec<Item>, HostFailed> {
        Err(HostFailed::new("this host compares no documents"))
    }

    /// These documents whole, as far as they are here, sound, and shared with `peer`; the others are left
    /// out. Called on the blocking pool.
    fn parcels(
        &self,
        _peer: &PeerId,
        _ids: &[[u8; 16]],
    ) -> Result<Vec<DocumentParcel>, HostFailed> {
        Ok(Vec::new())
    }

    /// Judges documents that came whole and installs those that hold; durable when it resolves. One that
    /// does not hold is the host's to report: an error means that the store failed, and ends the link.
    fn install(
        &self,
        peer: PeerId,
        parcels: Vec<DocumentParcel>,
    ) -> HostFuture<'_, Result<(), HostFailed>> {
        Box::pin(async move {
            let detail = format!("{} documents of {} not taken", parcels.len(), peer.short());
            Err(HostFailed::new(detail))
        })
    }

    /// Takes what people at `peer` have opened of this node's own entries; resolves when what holds of it
    /// is durable. What does not hold is the host's to count: an error means that nothing was kept, and
    /// the peer will tell it again on another connection.
    fn seen(&self, _peer: PeerId, _seen: Vec<Seen>) -> HostFuture<'_, Result<(), HostFailed>> {
        Box::pin(async { Ok(()) })
    }

    /// How often a link that this node dialled proves that both sides hold the same.
    fn proof_interval(&self) -> Duration {
        Duration::from_mins(5)
    }

    /// Hears of the link with `peer`; must return at once.
    fn event(&self, peer: &PeerId, event: LinkEvent);

    /// Redeems the invitation of the one-time key; the same real key may ask again and gets the same answer.
    fn join(
        &self,
        one_time: PeerId,
        request: JoinRequest,
    ) -> HostFuture<'_, Result<JoinAccepted, JoinRefused>>;
}

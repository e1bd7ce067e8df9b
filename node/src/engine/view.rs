//! What the engine shows to the edges: plain values, no format.
//!
//! `http` and `cli` turn these into JSON and pages; nothing here derives `Serialize`.

mod events;
mod lists;
mod people;
mod subject;
mod trust;

use raccordo_config::{Role, Territory};
use raccordo_crdt_model::{Conflict, DocumentId, Flag, Heads, HistoryChange, Kind, UnixMillis};

pub use self::events::*;
pub use self::lists::*;
pub use self::people::*;
pub use self::subject::*;
pub use self::trust::*;
pub use crate::access::Principal;
use crate::access::{Grant, Scope};

/// One record as a person or a program may see it.
#[derive(Debug, Clone)]
pub struct RecordView {
    /// The document's id.
    pub id: DocumentId,
    /// What kind of record it is.
    pub kind: Kind,
    /// Home territory, as a path.
    pub territory: String,
    /// The version shown; its `etag()` is the HTTP entity tag.
    pub heads: Heads,
    /// The record's own fields, without `_meta`.
    pub fields: serde_json::Value,
    /// When it was created and last changed, and by whom.
    pub created_at: UnixMillis,
    /// Time of the last change.
    pub updated_at: UnixMillis,
    /// Operator of the last change.
    pub updated_by: Option<String>,
    /// How far it has travelled.
    pub delivery: Delivery,
    /// Deciding fields with competing values.
    pub conflicts: Vec<Conflict>,
    /// Other fields in which a concurrent value lost.
    pub overwritten: Vec<Conflict>,
    /// What a person should look at.
    pub flags: Vec<Flag>,
    /// Of a person: other records that may be of the same one.
    pub alike: Vec<Alike>,
    /// References to persons whose record was merged into another.
    pub resolved: Vec<Resolved>,
    /// Of a project of this territory: where else its subject is followed.
    pub elsewhere: Vec<Elsewhere>,
    /// Whether it tells of somebody specially protected: a person, or a household with such a member.
    pub protected: bool,
    /// Of a protected person: projects about them that go to others all the same.
    pub shared_projects: Vec<DocumentId>,
}

/// How far a record has travelled, from acknowledgements alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The word that people read.
    pub state: DeliveryState,
    /// Entries of this record that wait for an acknowledgement.
    pub queued: u64,
    /// When the newest of its entries was acknowledged.
    pub delivered_at: Option<UnixMillis>,
    /// Which peers' people have opened what is this node's newest part of it, the first first.
    pub seen_by: Vec<SeenBy>,
}

/// A peer where a person has opened a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenBy {
    /// What the peer calls itself.
    pub name: String,
    /// When it was opened, as the peer says.
    pub at: UnixMillis,
}

/// The word that people read on a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// On this node's disk; no peer is approved yet, or the record never leaves.
    Saved,
    /// On this node's disk, waiting for the peer's acknowledgement.
    Queued,
    /// On the peer's disk.
    Delivered,
    /// Opened by a person there.
    Seen,
}

impl DeliveryState {
    /// The word used in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Saved => "saved",
            Self::Queued => "queued",
            Self::Delivered => "delivered",
            Self::Seen => "seen",
        }
    }
}

/// One line of a list page: cheap to make, no document is opened for it.
#[derive(Debug, Clone)]
pub struct RecordCard {
    /// The document's id.
    pub id: DocumentId,
    /// The office's own number.
    pub reference: Option<String>,
    /// Home territory.
    pub territory: String,
    /// State code.
    pub state: String,
    /// Need area code.
    pub need_area: String,
    /// `person` or `household`.
    pub subject_kind: String,
    /// ISO date.
    pub next_review_on: Option<String>,
    /// Time of the last change.
    pub updated_at: UnixMillis,
    /// Open conflicts on deciding fields.
    pub conflicts: u32,
    /// How far it has travelled.
    pub delivery: Delivery,
}

/// Who changed what, when.
#[derive(Debug, Clone)]
pub struct HistoryView {
    /// Hash of the change, hex.
    pub hash: String,
    /// When it happened, as its author says.
    pub at: UnixMillis,
    /// When a node recorded it.
    pub recorded_at: Option<UnixMillis>,
    /// Operator.
    pub by: Option<String>,
    /// Id of the node that recorded it, 64 hex digits (16 when that node is not in the roster).
    pub node: String,
    /// What it changed.
    pub changes: Vec<HistoryChange>,
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Lines read, without empty ones.
    pub lines: u64,
    /// Records created.
    pub created: u64,
    /// Records changed.
    pub changed: u64,
    /// Lines known already.
    pub already_present: u64,
    /// Lines refused.
    pub rejected: u64,
    /// The refusals, all of them (an edge shows the first 100).
    pub rejects: Vec<Reject>,
}

/// One refused import line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Line number, from 1.
    pub line: u64,
    /// The record's number, where the line has one.
    pub reference: Option<String>,
    /// Stable code.
    pub code: String,
    /// JSON pointer into the line's `doc` or `patch`.
    pub pointer: String,
    /// One sentence: what is wrong and what would be right.
    pub message: String,
}

/// One raw line of an import file.
#[derive(Debug, Clone)]
pub struct ImportText {
    /// Line number, from 1.
    pub number: u64,
    /// How many equal lines (by canonical JSON) stood before it in the file.
    pub text: String,
}

/// The merged view.
#[derive(Debug, Clone)]
pub struct OverviewView {
    /// When it was taken.
    pub as_of: UnixMillis,
    /// Content digest over all listed territories.
    pub digest: [u8; 32],
    /// One element a territory, by path.
    pub territories: Vec<TerritoryView>,
    /// Sums that say what they cover.
    pub totals: TotalsView,
}

/// One territory's part of the overview.
#[derive(Debug, Clone)]
pub struct TerritoryView {
    /// Path.
    pub territory: String,
    /// Name of its node.
    pub name: String,
    /// Freshness.
    pub state: Freshness,
    /// Whether the territory is still a member.
    pub member: MemberState,
    /// Now if current, else the last contact; none if never seen.
    pub as_of: Option<UnixMillis>,
    /// Sum of the sequence numbers over its origins.
    pub seq: u64,
    /// Entries announced and not in yet.
    pub behind: u64,
    /// Content digest.
    pub digest: [u8; 32],
    /// Live shared projects.
    pub projects: u64,
    /// By the state shown; zeros left out.
    pub by_state: std::collections::BTreeMap<String, u64>,
    /// By need area; zeros left out.
    pub by_need_area: std::collections::BTreeMap<String, u64>,
    /// Distinct tokens of persons.
    pub persons: u64,
    /// Distinct tokens of households.
    pub households: u64,
    /// Contacts at access points: of the own territory those held, of another those that it publishes.
    pub contacts: u64,
    /// Records with an open conflict.
    pub conflicts: u64,
    /// Projects that never leave (a district's own view only).
    pub local_projects: Option<u64>,
    /// What the territory publishes; none where it never said.
    pub published: Option<Published>,
}

/// How fresh a territory's part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// In contact, and all that it announced is in.
    Current,
    /// In contact, behind.
    CatchingUp,
    /// No contact for longer than `stale_after_s`.
    Stale,
    /// Approved, never connected.
    NeverSeen,
}

impl Freshness {
    /// The word used in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::CatchingUp => "catching_up",
            Self::Stale => "stale",
            Self::NeverSeen => "never_seen",
        }
    }
}

/// A member's standing in the roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberState {
    /// Joined, waits for approval.
    Pending,
    /// Full member.
    Approved,
    /// Paused by an administrator.
    Suspended,
    /// Ended for good.
    Revoked,
}

impl MemberState {
    /// The word used in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
        }
    }
}

/// Sums over the territories listed.
#[derive(Debug, Clone)]
pub struct TotalsView {
    /// Live shared projects.
    pub projects: u64,
    /// Distinct persons over all territories.
    pub persons: u64,
    /// Distinct households over all territories.
    pub households: u64,
    /// How many territories are current.
    pub territories_current: u64,
    /// How many are listed.
    pub territories: u64,
    /// As-of of the oldest part; none if one was never seen.
    pub oldest_as_of: Option<UnixMillis>,
}

/// The node at a glance.
#[derive(Debug, Clone)]
pub struct StatusView {
    /// 64 hex digits.
    pub id: String,
    /// Own territory.
    pub territory: Territory,
    /// Own role.
    pub role: Role,
    /// Name given at `init`.
    pub name: String,
    /// Version of the program.
    pub version: &'static str,
    /// 16 hex digits, new at every start.
    pub incarnation: String,
    /// 16 hex digits, of the store.
    pub lineage: String,
    /// QUIC address really bound.
    pub listen: String,
    /// HTTP address really bound.
    pub http: String,
    /// `sled`, `redb` or `memory`.
    pub engine: String,
    /// Documents held.
    pub documents: u64,
    /// Entries held, of all origins.
    pub entries: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Why the store takes no writes, if so.
    pub store_problem: Option<String>,
    /// How stored documents fare.
    pub scrub: ScrubView,
    /// Why nothing is written for now although the store could.
    pub writes_problem: Option<String>,
    /// Why people's records are neither shown nor changed for now, and what ends it.
    pub held_back: Option<String>,
    /// Logs of which nothing more is taken here.
    pub stopped: Vec<StopView>,
    /// Peers, by territory.
    pub peers: Vec<PeerView>,
}

/// One peer.
#[derive(Debug, Clone)]
pub struct PeerView {
    /// 64 hex digits.
    pub id: String,
    /// Its territory.
    pub territory: String,
    /// `district` or `coordination`.
    pub role: String,
    /// Whether this node joined there; else it joined here.
    pub above: bool,
    /// The node that took it in, where that is another and there is no link with it.
    pub through: Option<String>,
    /// Its name.
    pub name: String,
    /// Of an approved node of a district: whether what is for its district is sealed to it.
    pub confirmed: Option<bool>,
    /// Why it is not, and whose move it is; its link is none the worse for it.
    pub not_confirmed: Option<String>,
    /// `connected, catching_up, unreachable, pending, suspended, revoked, refused, quarantined`; of
    /// a member without a link of its own, `relayed`.
    pub state: &'static str,
    /// Since when that state.
    pub since: Option<UnixMillis>,
    /// Last frame or ping.
    pub last_contact: Option<UnixMillis>,
    /// Entries not acknowledged by it.
    pub to_send: u64,
    /// When the oldest of them was recorded.
    pub queued_since: Option<UnixMillis>,
    /// Last sequence number that it acknowledged.
    pub acked_seq: u64,
    /// Entries it announced and that are not in.
    pub to_receive: u64,
    /// Of the present connection: frames sent, bytes.
    pub stream_bytes_sent: u64,
    /// Frames received, bytes.
    pub stream_bytes_received: u64,
    /// All UDP payloads sent, bytes.
    pub udp_bytes_sent: u64,
    /// All UDP payloads received, bytes.
    pub udp_bytes_received: u64,
    /// Round trip.
    pub rtt_ms: Option<f64>,
    /// Its clock minus ours, as last heard.
    pub clock_offset_ms: Option<i64>,
    /// Outcome of the last comparison of digests on this connection.
    pub equal: Option<bool>,
    /// The last comparison of all shared documents, one by one.
    pub proof: Option<ProofView>,
    /// Documents that came whole from it since this node started, to mend what was damaged here.
    pub repaired: u64,
    /// What it said was opened there and cannot have been, since the start.
    pub seen_ignored: u64,
    /// Its logs that stopped here, and ours that it stopped.
    pub stopped: Vec<StopView>,
    /// One sentence: what is wrong and whose move it is.
    pub problem: Option<String>,
    /// When the next dial is due.
    pub next_try_at: Option<UnixMillis>,
}

/// All documents shared with a peer, compared one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProofView {
    /// When.
    pub at: UnixMillis,
    /// Documents compared here.
    pub documents: u64,
    /// How many differed: missing on one side, or not the same on both.
    pub differing: u64,
    /// Round trips.
    pub rounds: u32,
    /// Bytes of its frames, both ways.
    pub bytes: u64,
}

/// How the store's documents are read again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScrubView {
    /// Documents that cannot be read here now.
    pub damaged: u64,
    /// Documents read since the start.
    pub read: u64,
    /// Documents found damaged since the start.
    pub found: u64,
    /// When all had been read once more.
    pub passed_at: Option<UnixMillis>,
}

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum CommandFailed {
    /// The input breaks a rule; see the variants of `Rejected`.
    #[error("the input was refused")]
    Rejected(raccordo_crdt_model::Rejected),
    /// No such record here.
    #[error("no {kind} with id {id} on this node")]
    NotFound {
        /// Kind asked for.
        kind: &'static str,
        /// Id or reference asked for.
        id: String,
    },
    /// Nothing is written for now.
    #[error("{detail}")]
    WritesClosed {
        /// Stable code: `rolled_back`, `cloned`.
        code: &'static str,
        /// Why, and what opens them.
        detail: String,
    },
    /// The record was erased.
    #[error("the {} {} was erased on {}", .0.kind, .0.id, .0.at)]
    Erased(Erased),
    /// The record cannot be read here for now.
    #[error(
        "the {kind} {id} is damaged on this node's disk: it is fetched from another node as soon as one is reached; `raccordo status` shows the links"
    )]
    Damaged {
        /// Its kind.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// What is there does not allow it.
    #[error("{detail}")]
    Conflict {
        /// Stable code.
        code: &'static str,
        /// What and what to do.
        detail: String,
    },
    /// Several records have the reference.
    #[error("{reference} is in use in {}: {remedy}", territories.join(", "))]
    Ambiguous {
        /// The reference.
        reference: String,
        /// Where it is in use.
        territories: Vec<String>,
        /// How to say which one is meant.
        remedy: &'static str,
    },
    /// The record's home is elsewhere.
    #[error("this record belongs to {territory}: only its own nodes may change it")]
    NotHome {
        /// Home of the record.
        territory: String,
    },
    /// The reference is taken by another record.
    #[error(
        "{reference} is already in use in this territory: choose another number or change that record"
    )]
    ReferenceInUse {
        /// The reference.
        reference: String,
    },
    /// The store takes no writes; nothing was kept.
    #[error("the store cannot write: {reason}; nothing was kept")]
    StoreCannotWrite {
        /// Why.
        reason: String,
    },
    /// A value of a query or an argument is malformed.
    #[error("{detail}")]
    Malformed {
        /// What and what is allowed.
        detail: String,
    },
    /// Peer administration refused; one sentence.
    #[error("{detail}")]
    Peer {
        /// Stable code.
        code: &'static str,
        /// What and what to do.
        detail: String,
    },
    /// The node is ending.
    #[error("the node is stopping; try again when it runs")]
    Stopping,
}

/// An invitation just made.
#[derive(Debug, Clone)]
pub struct InvitationView {
    /// The text to hand over.
    pub invitation: String,
    /// For which territory.
    pub territory: String,
    /// Until when.
    pub expires_at: UnixMillis,
}

/// A token without its secret.
#[derive(Debug, Clone)]
pub struct TokenView {
    /// Name given at creation.
    pub name: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// Its roles.
    pub grants: Vec<Grant>,
    /// What it is good for; empty for all that its roles may.
    pub scopes: Vec<Scope>,
}

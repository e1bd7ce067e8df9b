//! What the engine shows of what is not trusted: stopped logs, refused entries, proofs, erasures.

use raccordo_crdt_model::{DocumentId, Kind, UnixMillis};
use raccordo_transport::{SignedEntry, SignedHeader};

/// A log of which one side takes no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopView {
    /// Who stopped it: `here` or `peer`.
    pub by: &'static str,
    /// Origin and lane.
    pub log: String,
    /// Number of the entry at which it stopped.
    pub seq: u64,
    /// `refused, waiting, equivocation, cloned`.
    pub code: &'static str,
    /// One sentence without its period.
    pub detail: String,
}

/// A refused group that waits for an administrator.
#[derive(Debug, Clone)]
pub struct QuarantineView {
    /// Log and number.
    pub id: String,
    /// Origin and lane.
    pub log: String,
    /// Number of the entry that is to blame.
    pub seq: u64,
    /// Its author's id, where that is known.
    pub author: Option<String>,
    /// Its author's territory, where that is known.
    pub territory: Option<String>,
    /// From whom it came.
    pub peer: String,
    /// When it was refused.
    pub at: UnixMillis,
    /// Why.
    pub reason: String,
    /// Whether the whole command is here: only then can it be discarded.
    pub whole: bool,
    /// Its entries, with signatures and bodies.
    pub entries: Vec<SignedEntry>,
}

/// A proof that an author signed two entries with one number.
#[derive(Debug, Clone)]
pub struct EquivocationView {
    /// Origin and lane.
    pub log: String,
    /// The number.
    pub seq: u64,
    /// The author's id, where that is known.
    pub author: Option<String>,
    /// The author's territory, where that is known.
    pub territory: Option<String>,
    /// Who sent the second.
    pub peer: String,
    /// When it was found out.
    pub at: UnixMillis,
    /// The entry that was here first.
    pub held: SignedHeader,
    /// The one that contradicts it.
    pub other: SignedHeader,
}

/// A record that was erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// Its kind.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// When it was ordered.
    pub at: UnixMillis,
}

/// An erasure and who has carried it out.
#[derive(Debug, Clone)]
pub struct ErasureView {
    /// The document's id.
    pub id: DocumentId,
    /// Its kind.
    pub kind: &'static str,
    /// Its home.
    pub territory: String,
    /// When it was ordered.
    pub at: UnixMillis,
    /// The log that its tombstone stands in.
    pub log: String,
    /// Number of the tombstone there.
    pub seq: u64,
    /// Why, at the node that ordered it.
    pub reason: Option<String>,
    /// Whether the key that wrapped its key is destroyed at this node, so that no earlier copy of the
    /// store opens it.
    pub key_replaced: bool,
    /// One a peer.
    pub receipts: Vec<ErasureReceipt>,
}

/// Whether a peer has durably taken a tombstone in.
#[derive(Debug, Clone)]
pub struct ErasureReceipt {
    /// The peer's id.
    pub peer: String,
    /// Its territory.
    pub territory: String,
    /// Its name.
    pub name: String,
    /// Whether it has.
    pub state: ReceiptState,
    /// Since when.
    pub at: Option<UnixMillis>,
}

/// Whether a peer has durably taken a tombstone in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptState {
    /// Its acknowledgement is at or past the tombstone, or it gave its signed receipt.
    Delivered,
    /// It is on its way.
    Queued,
    /// It goes there through another node, and its signed receipt has not come yet.
    Relayed,
    /// That node is no member any more, and may keep what it held.
    Revoked,
}

impl ReceiptState {
    /// The word used in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Queued => "queued",
            Self::Relayed => "relayed",
            Self::Revoked => "revoked",
        }
    }
}

/// A transfer that its receiver asked to have erased, and that may not be erased yet.
#[derive(Debug, Clone)]
pub struct HeldErasure {
    /// The transfer.
    pub transfer: DocumentId,
    /// Territory of the receiver, which has forgotten whom it was about.
    pub asked_by: String,
    /// What forbids it for now: `legal_hold` or `retention`.
    pub held_by: &'static str,
}

/// A subject that was erased.
#[derive(Debug, Clone)]
pub struct SubjectErased {
    /// The record that was named.
    pub record: ErasureView,
    /// What else belonged to the subject.
    pub covered: Vec<ErasureView>,
    /// The order that names what ended in the territory alone.
    pub order: Option<DocumentId>,
}

/// What can be shown to whoever asked for an erasure.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The order, where there is one.
    pub order: Option<DocumentId>,
    /// What was erased, with receipts.
    pub records: Vec<ErasureView>,
    /// Whether every node that held something has answered, and this one has replaced the key that
    /// wrapped the keys.
    pub complete: bool,
    /// Whether this node has replaced that key.
    pub keys_replaced: bool,
    /// In Italian and English, plain text.
    pub text: String,
}

/// A record whose period of retention is over.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// Its id.
    pub id: DocumentId,
    /// Its kind.
    pub kind: Kind,
    /// The office's own number.
    pub reference: Option<String>,
    /// Whether all projects of the subject went on in another district.
    pub transferred: bool,
    /// When anything of the subject was last changed.
    pub last_change: UnixMillis,
    /// When the period ended.
    pub due_since: UnixMillis,
    /// Records that would be erased with it, itself included.
    pub records: usize,
}

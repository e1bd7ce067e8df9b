//! The signed, chained header over an opaque body: its bytes, its hash, its proof.
//!
//! Guarantees: the canonical bytes are fixed (golden below); a `VerifiedEntry` exists only after its
//! signature, its origin and its body were checked. Does not know what a body says; the chain from one
//! entry to the next is the session's and the store's to follow (`prev` against the entry before).

use std::ops::Deref;

use aws_lc_rs::digest::{Context, SHA256, digest};

use crate::identity::{NodeKey, PeerId, verify_signature};
use crate::log::LogId;

/// Version that every header's first byte carries.
pub const HEADER_VERSION: u8 = 1;

/// Length of a header's canonical bytes.
pub const HEADER_BYTES: usize = 132;

/// Largest body of one entry, in bytes.
pub const ENTRY_BODY_BYTES_MAX: usize = 256 << 10;

/// Bytes in front of a change that its hash does not cover (Automerge's magic and checksum).
const CHANGE_PREAMBLE_BYTES: usize = 8;

const HASH_LABEL: &[u8] = b"raccordo-entry-hash-1\0";
const SIGNATURE_LABEL: &[u8] = b"raccordo-entry-1\0";

/// What an entry's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum EntryKind {
    /// One change of one document.
    Change = 1,
    /// A document ends here.
    Tombstone = 2,
    /// A fact about the members.
    Roster = 3,
    /// A fact about rights.
    Policy = 4,
}

impl EntryKind {
    /// The byte on wire and disk.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The kind of that byte, if it is one.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Change),
            2 => Some(Self::Tombstone),
            3 => Some(Self::Roster),
            4 => Some(Self::Policy),
            _ => None,
        }
    }
}

/// All that an entry says about itself and that its signature covers. The version byte is implied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryHeader {
    /// 0 shared, 1 territory, 2 everyone.
    pub lane: u8,
    /// First 8 bytes of the signing node's public key.
    pub origin: [u8; 8],
    /// The signing process's start: 8 random bytes.
    pub incarnation: [u8; 8],
    /// Position in the log, from 1.
    pub seq: u64,
    /// Entry hash of the entry before; zeros for the first.
    pub prev: [u8; 32],
    /// Number of the first entry of the command this one belongs to.
    pub group_first: u64,
    /// How many entries that command made.
    pub group_count: u32,
    /// What the body is.
    pub kind: EntryKind,
    /// The document; zeros for roster and policy.
    pub document: [u8; 16],
    /// The document's kind: 1 project, 0 none.
    pub document_kind: u8,
    /// What [`body_hash`] gives for the body.
    pub body_hash: [u8; 32],
    /// Number of the roster entry that the author knew; 0 before joining.
    pub policy_epoch: u32,
    /// Hybrid clock at recording: unix milliseconds << 16 | counter.
    pub hlc: u64,
}

impl EntryHeader {
    /// The log this entry stands in.
    pub const fn log(&self) -> LogId {
        LogId::new(self.origin, self.lane)
    }

    /// The canonical bytes: big-endian, fixed width, in the order of docs/protocol.md.
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let fields: [&[u8]; 14] = [
            &[HEADER_VERSION],
            &[self.lane],
            &self.origin,
            &self.incarnation,
            &self.seq.to_be_bytes(),
            &self.prev,
            &self.group_first.to_be_bytes(),
            &self.group_count.to_be_bytes(),
            &[self.kind.code()],
            &self.document,
            &[self.document_kind],
            &self.body_hash,
            &self.policy_epoch.to_be_bytes(),
            &self.hlc.to_be_bytes(),
        ];
        joined(&fields)
    }

    /// Reads canonical bytes back; `None` for another version or an unknown entry kind.
    pub fn from_bytes(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let mut rest = bytes.as_slice();
        if take::<1>(&mut rest) != [HEADER_VERSION] {
            return None;
        }
        Some(Self {
            lane: u8::from_be_bytes(take(&mut rest)),
            origin: take(&mut rest),
            incarnation: take(&mut rest),
            seq: u64::from_be_bytes(take(&mut rest)),
            prev: take(&mut rest),
            group_first: u64::from_be_bytes(take(&mut rest)),
            group_count: u32::from_be_bytes(take(&mut rest)),
            kind: EntryKind::from_code(u8::from_be_bytes(take(&mut rest)))?,
            document: take(&mut rest),
            document_kind: u8::from_be_bytes(take(&mut rest)),
            body_hash: take(&mut rest),
            policy_epoch: u32::from_be_bytes(take(&mut rest)),
            hlc: u64::from_be_bytes(take(&mut rest)),
        })
    }
}

/// A header with its signature: what stays for ever, with or without the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHeader {
    /// What is signed.
    pub header: EntryHeader,
    /// Ed25519 by the origin's key.
    pub signature: [u8; 64],
}

impl SignedHeader {
    /// The hash that the next entry's `prev` must equal.
    pub fn entry_hash(&self) -> [u8; 32] {
        entry_hash(&self.header, &self.signature)
    }

    /// The entry that this header and its body make.
    pub fn with_body(self, body: Vec<u8>) -> SignedEntry {
        SignedEntry {
            header: self.header,
            signature: self.signature,
            body: Some(body),
        }
    }

    /// The entry of a change whose body was erased.
    pub fn without_body(self) -> SignedEntry {
        SignedEntry {
            header: self.header,
            signature: self.signature,
            body: None,
        }
    }
}

/// A whole entry, as stored and as sent; nothing about it is proven yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedEntry {
    /// What is signed.
    pub header: EntryHeader,
    /// Ed25519 by the origin's key.
    pub signature: [u8; 64],
    /// The opaque body; none for a change whose body was erased: its hash stays in the header.
    pub body: Option<Vec<u8>>,
}

impl SignedEntry {
    /// The body's bytes; none if it is withheld.
    pub fn bytes(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }

    /// The hash that the next entry's `prev` must equal.
    pub fn entry_hash(&self) -> [u8; 32] {
        entry_hash(&self.header, &self.signature)
    }

    /// The header and signature alone.
    pub fn signed_header(&self) -> SignedHeader {
        SignedHeader {
            header: self.header.clone(),
            signature: self.signature,
        }
    }
}

/// An entry whose signature, origin and body, if it has one, were checked. Only [`verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedEntry(SignedEntry);

impl VerifiedEntry {
    /// An entry that nobody verified, for tests that plant the missing check.
    #[cfg(any(test, feature = "testing"))]
    pub const fn for_tests(entry: SignedEntry) -> Self {
        Self(entry)
    }

    /// The entry itself.
    pub fn into_inner(self) -> SignedEntry {
        self.0
    }
}

impl Deref for VerifiedEntry {
    type Target = SignedEntry;

    fn deref(&self) -> &SignedEntry {
        &self.0
    }
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub enum EntryFault {
    /// The signature is not the origin's over this header (a false link to the entry before shows as this).
    #[error("its signature does not match")]
    Signature = 1,
    /// The header names another origin than the key's.
    #[error("its origin is not the signer's")]
    Origin = 2,
    /// The body is not the one that the header names.
    #[error("its body is not the signed one")]
    BodyHash = 3,
    /// The body is longer than allowed, or shorter than its kind needs.
    #[error("its body has a length that is not allowed")]
    BodyLength = 4,
    /// The entry is not the next one of its log.
    #[error("it is not the next of its log")]
    Gap = 5,
    /// Nobody known signs that log.
    #[error("nobody known signs that log")]
    UnknownOrigin = 6,
    /// The receiver's own rules refuse it.
    #[error("the receiver's rules refuse it")]
    Refused = 7,
}

impl EntryFault {
    /// The byte on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The fault of that byte; an unknown one reads as [`EntryFault::Refused`].
    pub const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Signature,
            2 => Self::Origin,
            3 => Self::BodyHash,
            4 => Self::BodyLength,
            5 => Self::Gap,
            6 => Self::UnknownOrigin,
            _ => Self::Refused,
        }
    }
}

/// One entry that cannot be accepted, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq} of log {log} cannot be accepted: {fault}")]
pub struct BadEntry {
    /// The log.
    pub log: LogId,
    /// The entry's number.
    pub seq: u64,
    /// What is wrong.
    pub fault: EntryFault,
}

/// The hash that a header carries of its body: for a change SHA-256 after its 8-byte preamble, which is
/// the change's own hash; else SHA-256 of the whole. `None` for a change shorter than its preamble.
pub fn body_hash(kind: EntryKind, body: &[u8]) -> Option<[u8; 32]> {
    let covered = match kind {
        EntryKind::Change => body.get(CHANGE_PREAMBLE_BYTES..)?,
        EntryKind::Tombstone | EntryKind::Roster | EntryKind::Policy => body,
    };
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, covered).as_ref());
    Some(hash)
}

/// Signs `header` with the node's key.
pub fn sign(header: EntryHeader, key: &NodeKey) -> SignedHeader {
    let signature = key.sign(&signed_bytes(&header));
    SignedHeader { header, signature }
}

/// Checks that `entry` was signed by `signer`, carries its origin and the body it names; only a change
/// may come without.
pub fn verify(entry: SignedEntry, signer: &PeerId) -> Result<VerifiedEntry, BadEntry> {
    let header = &entry.header;
    let bad = |fault| BadEntry {
        log: header.log(),
        seq: header.seq,
        fault,
    };
    if header.origin != signer.origin() {
        return Err(bad(EntryFault::Origin));
    }
    match &entry.body {
        None if header.kind == EntryKind::Change => {}
        None => return Err(bad(EntryFault::BodyLength)),
        Some(body) if body.len() > ENTRY_BODY_BYTES_MAX => return Err(bad(EntryFault::BodyLength)),
        Some(body) => {
            let hash = body_hash(header.kind, body).ok_or_else(|| bad(EntryFault::BodyLength))?;
            if hash != header.body_hash {
                return Err(bad(EntryFault::BodyHash));
            }
        }
    }
    if !verify_signature(signer, &signed_bytes(header), &entry.signature) {
        return Err(bad(EntryFault::Signature));
    }
    Ok(VerifiedEntry(entry))
}

/// Whether `signed` names `signer` as its origin and carries its signature; says nothing of the body.
pub fn verify_header(signed: &SignedHeader, signer: &PeerId) -> bool {
    signed.header.origin == signer.origin()
        && verify_signature(signer, &signed_bytes(&signed.header), &signed.signature)
}

fn signed_bytes(header: &EntryHeader) -> [u8; SIGNATURE_LABEL.len() + HEADER_BYTES] {
    joined(&[SIGNATURE_LABEL, &header.to_bytes()])
}

fn entry_hash(header: &EntryHeader, signature: &[u8; 64]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(HASH_LABEL);
    context.update(&header.to_bytes());
    context.update(signature);
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// The parts one after the other; they add up to `N` bytes.
fn joined<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut bytes = [0; N];
    let mut start = 0;
    for part in parts {
        let end = start + part.len();
        bytes[start..end].copy_from_slice(part);
        start = end;
    }
    bytes
}

fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (head, tail) = rest
        .split_first_chunk::<N>()
        .expect("the header's fields add up to its length");
    *rest = tail;
    *head
}

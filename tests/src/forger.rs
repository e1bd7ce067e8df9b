//! Entries that carry a true signature and whatever content a member with bad intentions likes.

use raccordo_crdt_model::{Document, DocumentId, Kind, Stamp, UnixMillis};
use raccordo_transport::{EntryHeader, EntryKind, NodeKey, SignedEntry, body_hash, sign};
use serde_json::Value;

/// A member's log in the making, from its first entry.
#[derive(Debug)]
pub struct Forger {
    key: NodeKey,
    incarnation: [u8; 8],
    entries: Vec<SignedEntry>,
}

impl Forger {
    /// The log of the member whose key has this seed.
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            key: NodeKey::from_seed(seed),
            incarnation: [42; 8],
            entries: Vec::new(),
        }
    }

    /// A well-made first change of a project, as the member itself would make it for that home.
    pub fn project(&self, id: [u8; 16], home: &str, fields: &Value) -> Vec<u8> {
        self.project_under(id, home, fields, self.key.public().origin())
    }

    /// The same, under the actor of another origin.
    pub fn project_under(
        &self,
        id: [u8; 16],
        home: &str,
        fields: &Value,
        origin: [u8; 8],
    ) -> Vec<u8> {
        let stamp = Stamp {
            origin,
            incarnation: self.incarnation,
            at: UnixMillis(1_780_000_000_000),
            by: None,
            line: None,
            imported: false,
        };
        let made = Document::create(
            DocumentId::from_bytes(id),
            Kind::Project,
            home,
            fields,
            &stamp,
        );
        made.expect("the fields are good").1.bytes
    }

    /// Adds an entry that is a command of its own.
    #[must_use]
    pub fn entry(self, kind: EntryKind, document: [u8; 16], body: Vec<u8>) -> Self {
        self.part(kind, document, body, 1)
    }

    /// Adds the first entry of a command that is said to have so many.
    #[must_use]
    pub fn part(
        mut self,
        kind: EntryKind,
        document: [u8; 16],
        body: Vec<u8>,
        group_count: u32,
    ) -> Self {
        let last = self.entries.last();
        let seq = last.map_or(1, |last| last.header.seq + 1);
        let header = EntryHeader {
            lane: 0,
            origin: self.key.public().origin(),
            incarnation: self.incarnation,
            seq,
            prev: last.map_or([0; 32], SignedEntry::entry_hash),
            group_first: seq,
            group_count,
            kind,
            document,
            document_kind: u8::from(kind == EntryKind::Change),
            body_hash: body_hash(kind, &body).expect("the body is no stub"),
            policy_epoch: 0,
            hlc: 1_780_000_000_000 << 16,
        };
        self.entries.push(sign(header, &self.key).with_body(body));
        self
    }

    /// The log.
    pub fn log(self) -> Vec<SignedEntry> {
        self.entries
    }
}

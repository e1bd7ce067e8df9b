//! The engine without its edges: a core on its own disk, fed with entries as peers send them.

mod audited;
mod between;
mod doors;
mod erasure;
mod forgetting;
mod joining;
mod listed;
mod notices;
mod privacy;
mod quarantine;
mod receipts;
mod recovery;
mod repair;
mod seen;
mod shredding;
mod waiting;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use raccordo_config::{InitialSettings, Role, StoreEngine, Territory};
use raccordo_crdt_model::{Document, DocumentId, Heads, Kind, Patch, Stamp, UnixMillis};
use raccordo_transport::{EntryHeader, EntryKind, LogId, NodeKey, SignedEntry, body_hash, sign};
use serde_json::{Value, json};

use super::core::Core;
use super::draft::Draft;
use super::inbox::{Delivery, Inbox, Put};
use super::roster::Member;
use super::tombstone::Order;
use super::view::MemberState;
use super::{commit, found, ingest, node, peers};
use crate::clock::{SystemClock, SystemEntropy};

/// A node's engine without links and edges.
struct Bench {
    core: Arc<Core>,
    inbox: Inbox,
    /// Number of the next fact about a member.
    facts: AtomicU64,
    folder: tempfile::TempDir,
}

impl Bench {
    /// A coordination of `frosinone` that knows these members.
    fn coordination(members: &[&Author]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("node");
        let settings = InitialSettings {
            territory: Territory::parse("frosinone").unwrap(),
            role: Role::Coordination,
            name: "Provincia".to_owned(),
            listen: "127.0.0.1:0".parse().unwrap(),
            http: "127.0.0.1:0".parse().unwrap(),
            advertise: None,
            engine: StoreEngine::Sled,
        };
        found::init(&data, &settings).unwrap();
        let bench = Self::open(folder);
        for author in members {
            bench.regard(author, MemberState::Approved);
        }
        bench
    }

    /// Ends the node and gives its folder back.
    fn stop(self) -> tempfile::TempDir {
        self.folder
    }

    /// Starts the node of a folder.
    fn open(folder: tempfile::TempDir) -> Self {
        let data = folder.path().join("node");
        let config = raccordo_config::load(&data.join("raccordo.toml")).unwrap();
        let clock = Arc::new(SystemClock::start());
        let core = node::open(data, config, clock, Arc::new(SystemEntropy)).unwrap();
        Self {
            core: Arc::new(core),
            inbox: Inbox::default(),
            facts: AtomicU64::new(1),
            folder,
        }
    }

    /// Puts a fact about a member in force.
    fn regard(&self, author: &Author, state: MemberState) {
        self.hear_of(author.member(state));
    }

    /// Takes in what its province says of a member.
    fn hear_of(&self, member: Member) {
        let mut draft = Draft::new(&self.core);
        let province = self.core.id.origin();
        let seq = self.facts.fetch_add(1, Ordering::Relaxed);
        peers::keep_fact(&mut draft, member, province, seq);
        peers::put_in_force(&mut draft);
        commit::commit(draft).unwrap();
    }

    /// Takes in what a log holds, as a peer would send it, and all that waits for it.
    async fn take(&self, author: &Author) {
        self.take_from(author, 0).await;
    }

    async fn take_from(&self, author: &Author, lane: u8) {
        let log = author.log(lane);
        let held = self.core.ledger().end(log).seq;
        let sent = author
            .entries
            .iter()
            .filter(|entry| entry.header.log() == log);
        let entries: Vec<_> = sent
            .filter(|entry| entry.header.seq > held)
            .cloned()
            .collect();
        let delivery = Delivery {
            log,
            peer: author.key.public(),
            entries,
        };
        if super::quarantine::stop_of(&self.core.ledger(), log).is_none() {
            assert_ne!(self.inbox.put(delivery, held, 0).await, Put::Gap);
        }
        self.settle();
    }

    /// Admits whatever can be admitted.
    fn settle(&self) {
        loop {
            let taken = self.inbox.take(u64::MAX, |_| 0);
            if taken.is_empty() {
                return;
            }
            ingest::absorb(&self.core, &self.inbox, taken);
        }
    }

    fn held(&self, author: &Author) -> u64 {
        self.core.ledger().end(author.log(0)).seq
    }

    fn projects(&self, territory: &str) -> u64 {
        let ledger = self.core.ledger();
        ledger
            .counts
            .get(territory)
            .map_or(0, |counts| counts.projects)
    }
}

/// A member and the log that it writes.
struct Author {
    key: NodeKey,
    territory: String,
    entries: Vec<SignedEntry>,
}

impl Author {
    fn new(seed: u8, territory: &str) -> Self {
        Self {
            key: NodeKey::from_seed([seed; 32]),
            territory: territory.to_owned(),
            entries: Vec::new(),
        }
    }

    fn member(&self, state: MemberState) -> Member {
        Member {
            key: self.key.public(),
            territory: self.territory.clone(),
            role: Role::District,
            name: "Ufficio".to_owned(),
            state,
            since_ms: 1,
            reason: None,
            address: None,
            ends: BTreeMap::new(),
        }
    }

    fn log(&self, lane: u8) -> LogId {
        LogId::new(self.key.public().origin(), lane)
    }

    fn stamp(&self) -> Stamp {
        Stamp {
            origin: self.key.public().origin(),
            incarnation: [42; 8],
            at: UnixMillis(1_780_000_000_000),
            by: Some("op-1".to_owned()),
            line: None,
            // What a peer holds may break the rules that bind people here.
            imported: true,
        }
    }

    /// Adds a project to the log, and gives it.
    fn create(&mut self, id: u8) -> Document {
        let fields = json!({
            "ref": format!("FR-{id}"), "state": "active", "need_area": "POV", "opened_on": "2026-03-04",
            "subject": {"kind": "person", "token": format!("t-{id}")},
        });
        let id = DocumentId::from_bytes([id; 16]);
        let made = Document::create(id, Kind::Project, &self.territory, &fields, &self.stamp());
        let (document, change) = made.unwrap();
        self.append(EntryKind::Change, *id.as_bytes(), change.bytes);
        document
    }

    /// Adds an edit of a document to the log.
    fn edit(&mut self, document: &mut Document, path: &str, value: &Value) {
        let patch = json!([{"op": "add", "path": path, "value": value}]);
        let patch = Patch::parse(&patch).unwrap();
        let base: Option<&Heads> = None;
        let change = document
            .patch(&patch, base, &self.stamp())
            .unwrap()
            .unwrap();
        self.append(EntryKind::Change, *document.id().as_bytes(), change.bytes);
    }

    /// Adds the end of a document to the log.
    fn erase(&mut self, id: u8) {
        let order = Order {
            reason: "su richiesta".to_owned(),
            at_ms: 1_780_000_000_000,
        };
        self.append(EntryKind::Tombstone, [id; 16], order.encode());
    }

    fn append(&mut self, kind: EntryKind, document: [u8; 16], body: Vec<u8>) {
        self.append_group(kind, document, body, 1);
    }

    fn append_group(&mut self, kind: EntryKind, document: [u8; 16], body: Vec<u8>, count: u32) {
        let last = self.entries.last();
        let seq = last.map_or(1, |last| last.header.seq + 1);
        let header = EntryHeader {
            lane: 0,
            origin: self.key.public().origin(),
            incarnation: [42; 8],
            seq,
            prev: last.map_or([0; 32], SignedEntry::entry_hash),
            group_first: seq,
            group_count: count,
            kind,
            document,
            document_kind: 1,
            body_hash: body_hash(kind, &body).unwrap(),
            policy_epoch: 0,
            hlc: 1_780_000_000_000 << 16,
        };
        self.entries.push(sign(header, &self.key).with_body(body));
    }
}

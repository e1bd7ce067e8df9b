//! A member with a program of its own: it writes commands of several entries, and what it may not.
//!
//! Its signatures are true, its log is a true chain; what it says in it is another matter. It keeps
//! no records, only how far it holds the logs of others; it compares nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError};

use raccordo_crdt_model::{Document, DocumentId, Kind, Stamp, UnixMillis};
use raccordo_transport::{
    Cursor, EntryHeader, EntryKind, Host, HostFailed, HostFuture, JoinAccepted, JoinRefused,
    JoinRequest, LinkEvent, LocalHello, LogId, NodeKey, Offer, PeerId, Positions, SignedEntry,
    Standing, VerifiedEntry, body_hash, sign,
};
use serde_json::json;
use tokio::sync::watch;

use super::clock::BEGINNING_MS;
use super::work;
use crate::chance::Chance;

/// Most entries of one of its commands.
const GROUP_MAX: u64 = 4;

/// The member.
pub(super) struct Scripted {
    key: NodeKey,
    incarnation: [u8; 8],
    territory: String,
    state: Mutex<State>,
    ticks: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    sponsor: Option<(PeerId, Standing)>,
    logs: BTreeMap<u8, Vec<SignedEntry>>,
    held: BTreeMap<LogId, Cursor>,
    records: Vec<Document>,
    /// Everybody's keys.
    keys: Vec<PeerId>,
    written: u64,
}

/// What such a member may try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offence {
    /// A record of another territory.
    ForeignHome,
    /// Bytes that are no change.
    Garbage,
    /// A change under another member's actor.
    ForeignActor,
    /// A record that stays at home, in the lane that does not.
    LocalInShared,
    /// A kind that its role does not write.
    ForeignKind,
    /// A command that does not fit the entries around it.
    BrokenGroup,
    /// A command of more entries than any may have.
    HugeGroup,
    /// A change that needs another which nobody has.
    MissingDependency,
    /// The erasure of a record of another territory.
    ForeignErasure,
    /// Another entry under a number that it used before.
    Equivocation,
}

impl Offence {
    /// Every offence.
    pub(super) const ALL: [Self; 10] = [
        Self::ForeignHome,
        Self::Garbage,
        Self::ForeignActor,
        Self::LocalInShared,
        Self::ForeignKind,
        Self::BrokenGroup,
        Self::HugeGroup,
        Self::MissingDependency,
        Self::ForeignErasure,
        Self::Equivocation,
    ];
}

impl Scripted {
    /// A member of this territory.
    pub(super) fn new(chance: &mut Chance, territory: &str) -> Self {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&chance.number().to_be_bytes());
        Self {
            key: NodeKey::from_seed(seed),
            incarnation: chance.number().to_be_bytes(),
            territory: territory.to_owned(),
            state: Mutex::default(),
            ticks: watch::Sender::new(0),
        }
    }

    /// Its id.
    pub(super) fn id(&self) -> PeerId {
        self.key.public()
    }

    /// Whom it dials.
    pub(super) fn sponsor(&self) -> Option<PeerId> {
        self.state().sponsor.map(|(sponsor, _)| sponsor)
    }

    /// Remembers who took it in.
    pub(super) fn adopt(&self, sponsor: PeerId, standing: Standing, keys: Vec<PeerId>) {
        let mut state = self.state();
        state.sponsor = Some((sponsor, standing));
        state.keys = keys;
        drop(state);
        self.tick();
    }

    /// Whether a handshake with this key would succeed now.
    pub(super) fn admits(&self, key: &PeerId) -> bool {
        self.sponsor() == Some(*key)
    }

    /// How far it holds a log.
    pub(super) fn held(&self, log: LogId) -> u64 {
        self.state().held.get(&log).map_or(0, |cursor| cursor.seq)
    }

    /// Does a command of one or several entries; returns them.
    pub(super) fn write(&self, chance: &mut Chance) -> Vec<SignedEntry> {
        let count = chance.between(1, GROUP_MAX);
        let changes: Vec<_> = (0..count).map(|_| self.change(chance)).collect();
        self.append(0, changes)
    }

    /// Does what it may not, from the next entry of the shared lane on; whether it could.
    /// `others` are a territory, an origin and a record that are not its own.
    pub(super) fn offend(
        &self,
        offence: Offence,
        chance: &mut Chance,
        others: (&str, [u8; 8], [u8; 16]),
    ) -> bool {
        let (territory, origin, record) = others;
        let fresh: [u8; 8] = chance.number().to_be_bytes();
        let id = DocumentId::from_bytes([fresh, fresh].concat().try_into().expect("16 bytes"));
        let one = |kind, document: [u8; 16], body| Part {
            kind,
            document,
            document_kind: Kind::Project.code(),
            body,
        };
        let made = |home: &str, origin, local: bool, kind: Kind| {
            let mut fields = work::project(&mut Chance::new(7));
            if local {
                fields["sharing"] = json!("local");
            }
            if kind == Kind::Guideline {
                fields = json!({"state": "draft", "title": "x", "type": "form", "version": "1"});
            }
            let stamp = self.stamp(origin, "intruder");
            let made = Document::create(id, kind, home, &fields, &stamp);
            made.expect("a record can be made").1.bytes
        };
        let (own, home) = (self.id().origin(), self.territory.as_str());
        let change = |body| one(EntryKind::Change, *id.as_bytes(), body);
        let part = match offence {
            Offence::ForeignHome => change(made(territory, own, false, Kind::Project)),
            Offence::Garbage => change(vec![fresh[0]; 300]),
            Offence::ForeignActor => change(made(home, origin, false, Kind::Project)),
            Offence::LocalInShared => change(made(home, own, true, Kind::Project)),
            Offence::ForeignKind => Part {
                document_kind: Kind::Guideline.code(),
                ..change(made(home, own, false, Kind::Guideline))
            },
            Offence::BrokenGroup | Offence::HugeGroup => {
                self.append_broken(
                    change(made(home, own, false, Kind::Project)),
                    offence == Offence::HugeGroup,
                );
                return true;
            }
            Offence::MissingDependency => {
                let Some((document, body)) = self.orphan(chance) else {
                    return false;
                };
                one(EntryKind::Change, document, body)
            }
            Offence::ForeignErasure => {
                let reason = b"\x01\x00\x00\x00\x01x\x00\x00\x00\x00\x00\x00\x00\x00".to_vec();
                one(EntryKind::Tombstone, record, reason)
            }
            Offence::Equivocation => return self.contradict(chance),
        };
        self.append(0, vec![part]);
        true
    }

    fn change(&self, chance: &mut Chance) -> Part {
        let mut state = self.state();
        state.written += 1;
        let operator = format!("sc-{}", state.written);
        let stamp = self.stamp(self.id().origin(), &operator);
        if state.records.is_empty() || chance.percent(40) {
            let fresh = [chance.number().to_be_bytes(), chance.number().to_be_bytes()].concat();
            let id = DocumentId::from_bytes(fresh.try_into().expect("16 bytes"));
            let fields = work::project(chance);
            let fields = match fields.get("sharing") {
                Some(_) => work::project(&mut Chance::new(3)),
                None => fields,
            };
            let made = Document::create(id, Kind::Project, &self.territory, &fields, &stamp);
            let (document, change) = made.expect("the fields are good");
            state.records.push(document);
            return Part::change(id, change.bytes);
        }
        let place = chance.index(state.records.len());
        let record = &mut state.records[place];
        let patch = work::patch(chance, Kind::Project, &operator);
        match record.patch(&patch, None, &stamp) {
            Ok(Some(change)) => Part::change(record.id(), change.bytes),
            // A passage of the state that is not allowed: just the review, then.
            _ => {
                let review = work::review(&operator);
                let change = record.patch(&review, None, &stamp);
                let change = change.ok().flatten().expect("a review can always be added");
                Part::change(record.id(), change.bytes)
            }
        }
    }

    /// The second of two changes, without the first.
    fn orphan(&self, chance: &mut Chance) -> Option<([u8; 16], Vec<u8>)> {
        let state = self.state();
        let mut record = state.records.last()?.clone();
        let mut last = Vec::new();
        for number in 0..2 {
            let operator = format!("or-{number}");
            let stamp = self.stamp(self.id().origin(), &operator);
            let patch = work::review(&operator);
            last = record.patch(&patch, None, &stamp).ok()??.bytes;
        }
        chance.number();
        Some((*record.id().as_bytes(), last))
    }

    /// Goes back to a number that was used and uses it again.
    fn contradict(&self, chance: &mut Chance) -> bool {
        {
            let mut state = self.state();
            let log = state.logs.entry(0).or_default();
            let at = log.len().saturating_sub(1 + chance.index(2));
            if log.is_empty() {
                return false;
            }
            // A command is taken back whole, so that the new entry begins one.
            let first = log[at.min(log.len() - 1)].header.group_first;
            log.truncate(usize::try_from(first - 1).unwrap_or(0));
        }
        let part = {
            let fresh = [chance.number().to_be_bytes(); 2].concat();
            let id = DocumentId::from_bytes(fresh.try_into().expect("16 bytes"));
            let stamp = self.stamp(self.id().origin(), "second");
            let fields = work::project(&mut Chance::new(9));
            let made = Document::create(id, Kind::Project, &self.territory, &fields, &stamp);
            Part::change(id, made.expect("the fields are good").1.bytes)
        };
        self.append(0, vec![part]);
        true
    }

    fn append_broken(&self, part: Part, huge: bool) {
        let (first_off, count) = if huge { (0, 2_000) } else { (1, 3) };
        let mut state = self.state();
        let log = state.logs.entry(0).or_default();
        let seq = u64::try_from(log.len()).unwrap_or(0) + 1;
        let header = self.header(0, log.last(), &part);
        let header = EntryHeader {
            group_first: seq + first_off,
            group_count: count,
            ..header
        };
        let entry = sign(header, &self.key).with_body(part.body);
        log.push(entry);
        drop(state);
        self.tick();
    }

    fn append(&self, lane: u8, parts: Vec<Part>) -> Vec<SignedEntry> {
        let mut state = self.state();
        let log = state.logs.entry(lane).or_default();
        let first = u64::try_from(log.len()).unwrap_or(0) + 1;
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let mut written = Vec::new();
        for part in parts {
            let header = EntryHeader {
                group_first: first,
                group_count: count,
                ..self.header(lane, log.last(), &part)
            };
            let entry = sign(header, &self.key).with_body(part.body);
            log.push(entry.clone());
            written.push(entry);
        }
        drop(state);
        self.tick();
        written
    }

    fn header(&self, lane: u8, last: Option<&SignedEntry>, part: &Part) -> EntryHeader {
        let seq = last.map_or(1, |last| last.header.seq + 1);
        EntryHeader {
            lane,
            origin: self.id().origin(),
            incarnation: self.incarnation,
            seq,
            prev: last.map_or([0; 32], SignedEntry::entry_hash),
            group_first: seq,
            group_count: 1,
            kind: part.kind,
            document: part.document,
            document_kind: part.document_kind,
            body_hash: body_hash(part.kind, &part.body).expect("a body that is long enough"),
            policy_epoch: 0,
            hlc: u64::try_from(BEGINNING_MS).unwrap_or_default() << 16,
        }
    }

    fn stamp(&self, origin: [u8; 8], operator: &str) -> Stamp {
        Stamp {
            origin,
            incarnation: self.incarnation,
            at: UnixMillis(BEGINNING_MS),
            by: Some(operator.to_owned()),
            line: None,
            imported: false,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self) {
        self.ticks.send_modify(|tick| *tick += 1);
    }
}

/// One entry in the making.
struct Part {
    kind: EntryKind,
    document: [u8; 16],
    document_kind: u8,
    body: Vec<u8>,
}

impl Part {
    fn change(id: DocumentId, body: Vec<u8>) -> Self {
        Self {
            kind: EntryKind::Change,
            document: *id.as_bytes(),
            document_kind: Kind::Project.code(),
            body,
        }
    }
}

impl Host for Scripted {
    fn standing(&self, peer: &PeerId) -> Standing {
        match self.sponsor() {
            Some(sponsor) if sponsor == *peer => Standing::Approved,
            _ => Standing::Unknown,
        }
    }

    fn local_hello(&self) -> LocalHello {
        LocalHello {
            lineage: self.incarnation,
            incarnation: self.incarnation,
            role: 0,
            clock_ms: u64::try_from(BEGINNING_MS).unwrap_or_default(),
            policy_epoch: 0,
        }
    }

    fn positions(&self, _peer: &PeerId) -> Positions {
        let state = self.state();
        let heads = state.logs.values().filter_map(|log| log.last());
        let offers = heads.map(|last| Offer {
            head: Cursor {
                log: last.header.log(),
                seq: last.header.seq,
                hash: last.entry_hash(),
            },
            after: None,
        });
        Positions {
            held: state.held.values().copied().collect(),
            offers: offers.collect(),
            ..Positions::default()
        }
    }

    fn ticks(&self) -> watch::Receiver<u64> {
        self.ticks.subscribe()
    }

    fn read(
        &self,
        _peer: &PeerId,
        log: LogId,
        after: u64,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<Vec<SignedEntry>, HostFailed> {
        let state = self.state();
        let entries = state.logs.get(&log.lane).map_or(&[][..], Vec::as_slice);
        let rest = entries.iter().filter(|entry| entry.header.seq > after);
        let mut bytes = 0;
        let fits = |entry: &&SignedEntry| {
            let is_first = bytes == 0;
            bytes += entry.bytes().len();
            is_first || bytes <= max_bytes
        };
        Ok(rest.take(max_entries).take_while(fits).cloned().collect())
    }

    fn deliver(
        &self,
        _peer: PeerId,
        entries: Vec<VerifiedEntry>,
    ) -> HostFuture<'_, Result<(), HostFailed>> {
        let mut state = self.state();
        for entry in entries {
            let log = entry.header.log();
            let held = state.held.entry(log).or_insert(Cursor::start(log));
            if entry.header.seq == held.seq + 1 {
                held.seq = entry.header.seq;
                held.hash = entry.entry_hash();
            }
        }
        drop(state);
        self.tick();
        Box::pin(ready(Ok(())))
    }

    fn author_key(&self, origin: &[u8; 8]) -> Option<PeerId> {
        let state = self.state();
        state
            .keys
            .iter()
            .find(|key| key.origin() == *origin)
            .copied()
    }

    fn event(&self, _peer: &PeerId, _event: LinkEvent) {}

    fn join(
        &self,
        _one_time: PeerId,
        _request: JoinRequest,
    ) -> HostFuture<'_, Result<JoinAccepted, JoinRefused>> {
        Box::pin(ready(Err(JoinRefused::NotCoordination)))
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Scripted")
            .field("territory", &self.territory)
            .finish_non_exhaustive()
    }
}

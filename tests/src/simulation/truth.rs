//! What is true of a world: every entry that its author durably published, and what records must
//! look like for whoever holds each log up to some entry.
//!
//! Fed by looking at authors' disks alone. Computes counts and digests from scratch, without the
//! engine's indexes, so that the two can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use raccordo_crdt_model::{
    ChangeHash, CheckedChange, Digest, Document, DocumentId, Kind, Summary, gate,
};
use raccordo_node::engine::simulated::TerritoryFacts;
use raccordo_transport::{EntryKind, LogId, SignedEntry};

/// Everything that was published.
#[derive(Debug, Default)]
pub(super) struct Truth {
    logs: BTreeMap<LogId, TrueLog>,
    documents: BTreeMap<DocumentId, TrueDocument>,
    /// Where it stands that a record was erased.
    tombstones: BTreeMap<DocumentId, Vec<(LogId, u64)>>,
    transfers: BTreeSet<DocumentId>,
    /// For whom logs are that are for one other territory.
    pub(super) pairs: BTreeMap<LogId, String>,
    moved: u64,
}

/// One log as its author published it.
#[derive(Debug, Default)]
pub(super) struct TrueLog {
    entries: Vec<TrueEntry>,
    /// The first entry that nobody may admit, if its author is hostile.
    refused_from: Option<u64>,
}

/// What is remembered of an entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct TrueEntry {
    /// Its hash.
    pub hash: [u8; 32],
    /// Whether its group is complete with it.
    pub ends_group: bool,
}

/// One record and all its changes, each after those it depends on.
#[derive(Debug, Default)]
struct TrueDocument {
    changes: Vec<(LogId, u64, CheckedChange)>,
    /// By which changes are in, as bits would say it.
    states: BTreeMap<Vec<usize>, Arc<State>>,
}

/// A record with some of its changes.
#[derive(Debug)]
pub(super) struct State {
    /// The record.
    pub document: Document,
    /// In short.
    pub summary: Summary,
    operators: OnceLock<BTreeSet<String>>,
}

impl State {
    /// Who, by the names under which changes were made, has changed it.
    fn operators(&self) -> &BTreeSet<String> {
        self.operators.get_or_init(|| {
            let history = self.document.history().into_iter();
            history.filter_map(|item| item.by).collect()
        })
    }
}

/// How far somebody holds each log.
#[derive(Debug, Clone, Default)]
pub(super) struct Ends {
    /// The last number held.
    pub logs: BTreeMap<LogId, u64>,
    /// Of records that others have erased: the changes whose bodies came before that.
    pub bodies: BTreeMap<DocumentId, BTreeSet<[u8; 32]>>,
}

impl Ends {
    fn covers(&self, log: LogId, seq: u64) -> bool {
        self.logs.get(&log).is_some_and(|end| seq <= *end)
    }
}

impl Truth {
    /// A log as published so far.
    pub(super) fn log(&self, log: LogId) -> Option<&TrueLog> {
        self.logs.get(&log)
    }

    /// Every log.
    pub(super) fn logs(&self) -> impl Iterator<Item = (LogId, &TrueLog)> {
        self.logs.iter().map(|(log, entries)| (*log, entries))
    }

    /// Takes in the next entry of a log, which its author has on disk.
    pub(super) fn publish(&mut self, entry: &SignedEntry) -> Result<(), String> {
        let header = &entry.header;
        let log = header.log();
        let known = self.logs.entry(log).or_default();
        let due = known.len() + 1;
        if header.seq != due || header.prev != known.hash_at(due - 1).unwrap_or_default() {
            return Err(format!(
                "entry {} of {log} does not follow entry {}",
                header.seq,
                due - 1
            ));
        }
        let document = DocumentId::from_bytes(header.document);
        self.moved += 1;
        known.entries.push(TrueEntry {
            hash: entry.entry_hash(),
            ends_group: header.seq + 1 >= header.group_first + u64::from(header.group_count),
        });
        let sound = known.refused_from.is_none();
        match (header.kind, &entry.body) {
            (EntryKind::Change, Some(body)) if sound => {
                let hash = ChangeHash::from_bytes(header.body_hash);
                let change = gate::check(body.clone(), &hash, header.origin, header.incarnation);
                let change = change.map_err(|refused| {
                    format!("entry {due} of {log} is bad: {}", refused.reason())
                })?;
                if header.document_kind == Kind::Transfer.code() {
                    self.transfers.insert(document);
                }
                let document = self.documents.entry(document).or_default();
                document.changes.push((log, header.seq, change));
            }
            (EntryKind::Tombstone, _) if sound => {
                let erased = self.tombstones.entry(document).or_default();
                erased.push((log, header.seq));
            }
            _ => {}
        }
        Ok(())
    }

    /// Records that entries of a log after a number are about.
    pub(super) fn named_after(&self, log: LogId, after: u64) -> BTreeSet<DocumentId> {
        let names = |document: &TrueDocument| {
            let mut changes = document.changes.iter();
            changes.any(|(of, seq, _)| *of == log && *seq > after)
        };
        let named = self.documents.iter();
        let named = named.filter(|(_, document)| names(document));
        named.map(|(id, _)| *id).collect()
    }

    /// The end of a log was lost with its author's disk, before anybody else had it.
    pub(super) fn lose_after(&mut self, log: LogId, after: u64) {
        let Some(known) = self.logs.get_mut(&log) else {
            return;
        };
        known
            .entries
            .truncate(usize::try_from(after).unwrap_or(usize::MAX));
        self.moved += 1;
        if after == 0 {
            self.pairs.remove(&log);
        }
        let stays = |of: &LogId, seq: &u64| *of != log || *seq <= after;
        self.documents.retain(|_, document| {
            document.changes.retain(|(of, seq, _)| stays(of, seq));
            document.states.clear();
            !document.changes.is_empty()
        });
        let documents = &self.documents;
        self.transfers.retain(|id| documents.contains_key(id));
        self.tombstones.retain(|_, places| {
            places.retain(|(of, seq)| stays(of, seq));
            !places.is_empty()
        });
    }

    /// Records, not erased, with a change that is there and none in a log that is not shared.
    pub(super) fn records_in(
        &self,
        is_there: impl Fn(LogId, u64) -> bool,
        shared: impl Fn(LogId) -> bool,
    ) -> Vec<DocumentId> {
        let records = self.documents.iter().filter(|(id, document)| {
            let mut there = document
                .changes
                .iter()
                .filter(|(log, seq, _)| is_there(*log, *seq));
            !self.is_erased(**id)
                && there.clone().next().is_some()
                && there.all(|(log, _, _)| shared(*log))
        });
        records.map(|(id, _)| *id).collect()
    }

    /// Whether the rest of a log is to be refused by everybody.
    pub(super) fn is_refused(&self, log: LogId) -> bool {
        let known = self.logs.get(&log);
        known.is_some_and(|known| known.refused_from.is_some())
    }

    /// From now on what this log says is to be refused by everybody.
    pub(super) fn refuse_from_now(&mut self, log: LogId) {
        let known = self.logs.entry(log).or_default();
        let next = known.len() + 1;
        known.refused_from.get_or_insert(next);
    }

    /// The records of which somebody at these ends holds anything, as they must be there.
    pub(super) fn states(
        &mut self,
        ends: &Ends,
    ) -> Result<BTreeMap<DocumentId, Arc<State>>, String> {
        let mut states = BTreeMap::new();
        for (id, document) in &mut self.documents {
            let erased = self.tombstones.get(id).into_iter().flatten();
            if erased.into_iter().any(|(log, seq)| ends.covers(*log, *seq)) {
                continue;
            }
            if let Some(state) = document.state(*id, ends)? {
                states.insert(*id, state);
            }
        }
        Ok(states)
    }

    /// Every territory's counts for somebody at these ends. Local projects are no part of a digest.
    pub(super) fn territories(
        &mut self,
        ends: &Ends,
    ) -> Result<BTreeMap<String, TerritoryFacts>, String> {
        let mut counted: BTreeMap<String, Counted> = BTreeMap::new();
        for (id, state) in self.states(ends)? {
            if state.summary.kind != Kind::Project {
                continue;
            }
            let part = counted.entry(state.summary.territory.clone()).or_default();
            part.count(id, &state);
        }
        Ok(counted
            .into_iter()
            .map(|(territory, part)| (territory, part.facts()))
            .collect())
    }

    /// Digests of the records by the log in which they began, for somebody at these ends.
    pub(super) fn homes(&mut self, ends: &Ends) -> Result<BTreeMap<LogId, [u8; 32]>, String> {
        let mut homes: BTreeMap<LogId, Digest> = BTreeMap::new();
        for (id, state) in self.states(ends)? {
            let began = self
                .documents
                .get(&id)
                .and_then(|document| document.changes.first());
            if let Some((log, _, _)) = began {
                let digest = homes.entry(*log).or_default();
                digest.add(&state.document.heads().item_hash(id));
            }
        }
        Ok(homes
            .into_iter()
            .map(|(log, digest)| (log, digest.finish()))
            .collect())
    }

    /// The records of a territory that were not erased, and their kinds.
    pub(super) fn records_of(&mut self, territory: &str) -> Vec<(DocumentId, Kind)> {
        let everything = self.everything();
        let states = self.states(&everything).unwrap_or_default();
        let own = states
            .into_iter()
            .filter(|(_, state)| state.summary.territory == territory);
        own.map(|(id, state)| (id, state.summary.kind)).collect()
    }

    /// The transfers, also those that were erased since.
    pub(super) const fn transfers(&self) -> &BTreeSet<DocumentId> {
        &self.transfers
    }

    /// The log in which a record began.
    pub(super) fn began_in(&self, id: DocumentId) -> Option<LogId> {
        let document = self.documents.get(&id)?;
        document.changes.first().map(|(log, _, _)| *log)
    }

    /// Whether a project may be offered to another district as it stands, for whoever holds all.
    pub(super) fn may_pass(&mut self, id: DocumentId) -> bool {
        let everything = self.everything();
        let state = self.state(id, &everything).ok().flatten();
        let open = |summary: &Summary| {
            let stays = ["closed", "archived", "transferring", "transferred"];
            !summary.local && !stays.contains(&summary.state.as_str())
        };
        state.is_some_and(|state| open(&state.summary))
    }

    /// Every record that was not lost.
    pub(super) fn ids(&self) -> BTreeSet<DocumentId> {
        self.documents.keys().copied().collect()
    }

    /// Grows with everything that is published or lost.
    pub(super) const fn moved(&self) -> u64 {
        self.moved
    }

    /// A record as it must be for somebody at these ends, whether it was erased or not.
    pub(super) fn state(
        &mut self,
        id: DocumentId,
        ends: &Ends,
    ) -> Result<Option<Arc<State>>, String> {
        let document = self.documents.get_mut(&id);
        document.map_or(Ok(None), |document| document.state(id, ends))
    }

    /// Where somebody stands who holds all.
    pub(super) fn everything(&self) -> Ends {
        let logs = self.logs.iter().map(|(log, known)| (*log, known.len()));
        Ends {
            logs: logs.collect(),
            bodies: BTreeMap::new(),
        }
    }

    /// Records that somebody has erased, and whoever stands at these ends does not know it.
    pub(super) fn erased_elsewhere(&self, ends: &Ends) -> Vec<DocumentId> {
        let erased = self.tombstones.iter();
        let elsewhere = erased
            .filter(|(_, tombstones)| !tombstones.iter().any(|(log, seq)| ends.covers(*log, *seq)));
        elsewhere.map(|(id, _)| *id).collect()
    }

    /// Records that somebody has erased.
    pub(super) fn erased(&self) -> BTreeSet<DocumentId> {
        self.tombstones.keys().copied().collect()
    }

    /// Whether somebody has erased a record.
    pub(super) fn is_erased(&self, id: DocumentId) -> bool {
        self.tombstones.contains_key(&id)
    }

    /// Hashes of the changes that somebody at these ends holds of a record.
    pub(super) fn changes(&self, id: DocumentId, ends: &Ends) -> BTreeSet<[u8; 32]> {
        let document = self.documents.get(&id);
        let held = document
            .map(|document| document.held(id, ends))
            .unwrap_or_default();
        held.into_iter()
            .filter_map(|place| document?.changes.get(place))
            .map(|(_, _, change)| *change.hash().as_bytes())
            .collect()
    }

    /// Who, by the names under which changes were made, has changed a record.
    pub(super) fn operators(&mut self, id: DocumentId) -> BTreeSet<String> {
        let everything = self.everything();
        let state = self
            .documents
            .get_mut(&id)
            .and_then(|document| document.state(id, &everything).ok().flatten());
        state.map_or_else(BTreeSet::new, |state| state.operators().clone())
    }
}

impl TrueLog {
    /// Entries published.
    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.entries.len()).unwrap_or(u64::MAX)
    }

    /// The entry of a number.
    pub(super) fn entry(&self, seq: u64) -> Option<&TrueEntry> {
        let place = usize::try_from(seq.checked_sub(1)?).ok()?;
        self.entries.get(place)
    }

    /// The hash of the entry of a number; zeros before the first.
    pub(super) fn hash_at(&self, seq: u64) -> Option<[u8; 32]> {
        match seq {
            0 => Some([0; 32]),
            seq => self.entry(seq).map(|entry| entry.hash),
        }
    }

    /// Groups of several entries that end after one number and not after another.
    pub(super) fn groups(&self, after: u64, until: u64) -> u64 {
        let mut groups = 0;
        for seq in after + 1..=until {
            let ends = |seq| self.entry(seq).is_some_and(|entry| entry.ends_group);
            groups += u64::from(ends(seq) && seq > 1 && !ends(seq - 1));
        }
        groups
    }

    /// The last entry that others may admit.
    pub(super) fn admissible(&self) -> u64 {
        let mut last = self.refused_from.map_or(self.len(), |refused| refused - 1);
        while last > 0 && !self.entry(last).is_some_and(|entry| entry.ends_group) {
            last -= 1;
        }
        last
    }
}

impl TrueDocument {
    /// Places of the changes that are in at these ends.
    fn held(&self, id: DocumentId, ends: &Ends) -> Vec<usize> {
        let bodies = ends.bodies.get(&id);
        let came = |change: &CheckedChange| {
            bodies.is_none_or(|bodies| bodies.contains(change.hash().as_bytes()))
        };
        let held = self.changes.iter().enumerate();
        held.filter(|(_, (log, seq, change))| ends.covers(*log, *seq) && came(change))
            .map(|(place, _)| place)
            .collect()
    }

    fn state(&mut self, id: DocumentId, ends: &Ends) -> Result<Option<Arc<State>>, String> {
        let held = self.held(id, ends);
        if held.is_empty() {
            return Ok(None);
        }
        if let Some(state) = self.states.get(&held) {
            return Ok(Some(Arc::clone(state)));
        }
        let before = self.states.get(&held[..held.len() - 1]);
        let (base, missing) = match before {
            Some(state) => (state.document.clone(), &held[held.len() - 1..]),
            None => (Document::empty(id), held.as_slice()),
        };
        let missing: Vec<CheckedChange> = missing
            .iter()
            .map(|place| self.changes[*place].2.clone())
            .collect();
        let document = base
            .absorb(&missing)
            .map_err(|refused| format!("record {id} cannot be rebuilt: {}", refused.reason()))?;
        let state = Arc::new(State {
            summary: document.summary(),
            document,
            operators: OnceLock::new(),
        });
        self.states.insert(held, Arc::clone(&state));
        Ok(Some(state))
    }
}

/// A territory being counted.
#[derive(Debug, Default)]
struct Counted {
    facts: TerritoryFacts,
    digest: Digest,
    persons: BTreeSet<String>,
    households: BTreeSet<String>,
}

impl Counted {
    fn count(&mut self, id: DocumentId, state: &State) {
        let summary = &state.summary;
        if summary.local {
            self.facts.local_projects += 1;
            return;
        }
        self.digest.add(&state.document.heads().item_hash(id));
        // It counts in the one that took its place.
        if summary.state == "transferred" {
            return;
        }
        self.facts.projects += 1;
        self.facts.conflicts += u64::from(summary.conflicts > 0);
        let by_state = self.facts.by_state.entry(summary.state.clone());
        *by_state.or_default() += 1;
        let by_area = self.facts.by_need_area.entry(summary.need_area.clone());
        *by_area.or_default() += 1;
        if let Some(token) = summary.token.clone() {
            let subjects = match summary.subject_kind.as_str() {
                "household" => &mut self.households,
                _ => &mut self.persons,
            };
            subjects.insert(token);
        }
    }

    fn facts(self) -> TerritoryFacts {
        let count = |set: &BTreeSet<String>| u64::try_from(set.len()).unwrap_or(u64::MAX);
        TerritoryFacts {
            persons: count(&self.persons),
            households: count(&self.households),
            digest: self.digest.finish(),
            ..self.facts
        }
    }
}

//! What a test may look at in a simulated node: memory and disk, each by itself.
//!
//! Values are plain and public; nothing here changes the node.

use std::collections::{BTreeMap, BTreeSet};

use raccordo_config::Role;
use raccordo_crdt_model::{DocumentId, Heads, Kind};
use raccordo_transport::{Cursor, LogId, PeerId, SignedEntry, StopCode};

use crate::store::{Condition, Table};

use super::super::core::ReadFailed;
use super::super::ledger::LogEnd;
use super::super::rows::{Counts, DocumentRow};
use super::super::stored::Reading;
use super::super::view::{CommandFailed, MemberState, RecordView};
use super::super::{overview, read};
use super::{SimulatedMachine, SimulatedNode};

/// One territory as a node counts it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TerritoryFacts {
    /// Live shared projects.
    pub projects: u64,
    /// Projects that stay in the territory.
    pub local_projects: u64,
    /// Records with an open conflict.
    pub conflicts: u64,
    /// Distinct persons.
    pub persons: u64,
    /// Distinct households.
    pub households: u64,
    /// Projects by state.
    pub by_state: BTreeMap<String, u64>,
    /// Projects by area of need.
    pub by_need_area: BTreeMap<String, u64>,
    /// Content digest.
    pub digest: [u8; 32],
}

/// One document as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentFacts {
    /// Its home.
    pub territory: String,
    /// The lane of its entries.
    pub lane: u8,
    /// Its version.
    pub heads: Heads,
    /// Hashes of its stored changes, in the order in which they came.
    pub changes: Vec<[u8; 32]>,
}

/// One member as a node knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberFacts {
    /// Its key.
    pub key: PeerId,
    /// Its territory.
    pub territory: String,
    /// What it may be.
    pub role: Role,
    /// Where it stands.
    pub state: MemberState,
    /// Of a revoked member: the last valid number of each of its lanes.
    pub ends: BTreeMap<u8, u64>,
}

/// What must stay bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// Bytes that wait in the inbox, of all logs.
    pub inbox_bytes: usize,
    /// Documents in the cache, and how many may be.
    pub cached: usize,
    /// Most documents that the cache may hold.
    pub cache_capacity: usize,
}

impl SimulatedMachine {
    /// Flips a bit of a stored change of a record; false if there is none.
    pub fn damage(&self, id: DocumentId, bit: usize) -> bool {
        self.disk.damage(Table::Changes, id.as_bytes(), bit)
    }

    /// The ends of all logs as they would be found after a power cut.
    pub fn durable_ends(&self) -> Result<Vec<Cursor>, ReadFailed> {
        let mut ends = Vec::new();
        for (key, value) in self.disk.durable(Table::Meta, b"log/") {
            let (Some(origin), Some(lane)) = (
                key.get(4..12).and_then(|bytes| bytes.try_into().ok()),
                key.get(12),
            ) else {
                continue;
            };
            let end = LogEnd::decode(&value)?;
            ends.push(Cursor {
                log: LogId::new(origin, *lane),
                seq: end.seq,
                hash: end.hash,
            });
        }
        Ok(ends)
    }
}

impl SimulatedNode {
    /// The ends of all logs as links hear of them.
    pub fn ends(&self) -> Vec<Cursor> {
        let ledger = self.engine.core.ledger();
        ledger.logs.keys().map(|log| ledger.cursor(*log)).collect()
    }

    /// The end of one log as links hear of it.
    pub fn end(&self, log: LogId) -> Cursor {
        self.engine.core.ledger().cursor(log)
    }

    /// Changes with every published commit.
    pub fn published(&self) -> u64 {
        *self.engine.core.ticks.borrow()
    }

    /// Stored entries of a log after a number.
    pub fn entries(
        &self,
        log: LogId,
        after: u64,
        most: usize,
    ) -> Result<Vec<SignedEntry>, ReadFailed> {
        Reading::new(&self.engine.core).entries(log, after, most, usize::MAX)
    }

    /// Every territory that is counted here, from memory.
    pub fn territories(&self) -> BTreeMap<String, TerritoryFacts> {
        let ledger = self.engine.core.ledger();
        let facts = ledger
            .counts
            .iter()
            .map(|(territory, counts)| (territory.clone(), TerritoryFacts::from(counts)));
        facts.collect()
    }

    /// Every territory that is counted here, from the disk.
    pub fn stored_territories(&self) -> Result<BTreeMap<String, TerritoryFacts>, ReadFailed> {
        let rows = self
            .engine
            .core
            .store
            .scan(Table::Overview, b"", None, usize::MAX)?;
        let mut territories = BTreeMap::new();
        for (key, value) in rows {
            let counts = Counts::decode(&value)?;
            territories.insert(
                String::from_utf8_lossy(&key).into_owned(),
                TerritoryFacts::from(&counts),
            );
        }
        Ok(territories)
    }

    /// Digests of the documents by the log in which they began, from memory.
    pub fn home_digests(&self) -> BTreeMap<LogId, [u8; 32]> {
        let ledger = self.engine.core.ledger();
        let digests = ledger.homes.iter();
        digests
            .map(|(log, digest)| (*log, digest.finish()))
            .collect()
    }

    /// Every document as it is stored.
    pub fn documents(&self) -> Result<BTreeMap<DocumentId, DocumentFacts>, ReadFailed> {
        let core = &self.engine.core;
        let rows = core.store.scan(Table::Documents, b"", None, usize::MAX)?;
        let mut documents = BTreeMap::new();
        for (key, value) in rows {
            let Ok(id) = key.try_into().map(DocumentId::from_bytes) else {
                continue;
            };
            let row = DocumentRow::decode(&value)?;
            let changes = core.change_origins(id)?;
            let facts = DocumentFacts {
                heads: row.version(),
                territory: row.territory,
                lane: row.lane,
                changes: changes.into_iter().map(|change| change.hash).collect(),
            };
            documents.insert(id, facts);
        }
        Ok(documents)
    }

    /// Hashes of the stored changes of a record.
    pub fn changes(&self, id: DocumentId) -> Result<Vec<[u8; 32]>, ReadFailed> {
        let changes = self.engine.core.change_origins(id)?;
        Ok(changes.into_iter().map(|change| change.hash).collect())
    }

    /// The version of a record; none if it is not here.
    pub fn version(&self, id: DocumentId) -> Result<Option<Heads>, ReadFailed> {
        let row = self.engine.core.document_row(id)?;
        Ok(row.map(|row| row.version()))
    }

    /// One record as people would see it.
    pub fn record(&self, kind: Kind, id: DocumentId) -> Result<RecordView, CommandFailed> {
        read::record(&self.engine.core, kind, id)
    }

    /// How many lines the list of records has.
    pub fn listed(&self) -> Result<usize, ReadFailed> {
        let rows = self
            .engine
            .core
            .store
            .scan(Table::Rows, b"", None, usize::MAX)?;
        Ok(rows.len())
    }

    /// All members known here.
    pub fn members(&self) -> Vec<MemberFacts> {
        let ledger = self.engine.core.ledger();
        let facts = ledger.roster.iter().map(|member| MemberFacts {
            key: member.key,
            territory: member.territory.clone(),
            role: member.role,
            state: member.state,
            ends: member.ends.clone(),
        });
        facts.collect()
    }

    /// How far the logs of a member may go by the word of others than this node.
    pub fn ends_by_others(&self, key: &PeerId) -> BTreeMap<u8, u64> {
        let ledger = self.engine.core.ledger();
        let own = self.engine.core.id.origin();
        let facts = ledger.roster.facts_on(key);
        let mut ends = BTreeMap::new();
        for fact in facts.filter(|fact| fact.author != own) {
            for (lane, seq) in &fact.member.ends {
                let end: &mut u64 = ends.entry(*lane).or_default();
                *end = (*end).max(*seq);
            }
        }
        ends
    }

    /// Logs that stopped here, and why.
    pub fn stopped(&self) -> BTreeMap<LogId, StopCode> {
        let ledger = self.engine.core.ledger();
        let stopped = ledger.stopped.iter();
        stopped.map(|(log, stop)| (*log, stop.code)).collect()
    }

    /// Logs of which the next entry waits for something.
    pub fn waiting(&self) -> Vec<LogId> {
        let waiting = self.host.inbox.waiting().into_iter();
        waiting.map(|(log, _)| log).collect()
    }

    /// Whether it takes no writes since it has lost some.
    pub fn is_recovering(&self) -> bool {
        !self.engine.core.ledger().recovery.is_empty()
    }

    /// Documents known to be damaged here.
    pub fn damaged(&self) -> BTreeSet<DocumentId> {
        self.engine.core.ledger().damaged.keys().copied().collect()
    }

    /// Starts of a member's node between which a person has to choose; none if nobody has to.
    pub fn rivals(&self, key: &PeerId) -> Vec<[u8; 8]> {
        let starts = self.engine.core.clones.of(key);
        starts.rivals().map(|start| start.incarnation).collect()
    }

    /// Records erased for good.
    pub fn erased(&self) -> BTreeSet<DocumentId> {
        self.engine.core.ledger().erased.as_ref().clone()
    }

    /// Why the store takes no writes, if so.
    pub fn store_problem(&self) -> Option<String> {
        match self.engine.core.store.condition() {
            Condition::Healthy => None,
            Condition::Degraded { reason } | Condition::Poisoned { reason } => Some(reason),
        }
    }

    /// Rows whose checksum does not hold.
    pub fn damaged_rows(&self) -> u64 {
        self.engine
            .core
            .store
            .verify()
            .map_or(u64::MAX, |report| report.damaged)
    }

    /// What must stay bounded.
    pub fn sizes(&self) -> Sizes {
        let core = &self.engine.core;
        Sizes {
            inbox_bytes: self.host.inbox.bytes(),
            cached: core.cached_documents(),
            cache_capacity: core.cache_capacity(),
        }
    }
}

impl From<&Counts> for TerritoryFacts {
    fn from(counts: &Counts) -> Self {
        Self {
            projects: counts.projects,
            local_projects: counts.local_projects,
            conflicts: counts.conflicts,
            persons: counts.persons,
            households: counts.households,
            by_state: counts.by_state.clone(),
            by_need_area: counts.by_need_area.clone(),
            digest: overview::digest_of(counts).finish(),
        }
    }
}

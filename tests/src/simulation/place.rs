//! One place of a world: a machine, the node that runs on it, and who waits for its answers there.
//!
//! Starting and crashing are here; when they happen is the world's business.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use raccordo_config::{Config, InitialSettings, Role, StoreEngine, Territory};
use raccordo_crdt_model::{DocumentId, Heads};
use raccordo_node::engine::StartFailed;
use raccordo_node::engine::simulated::{SimulatedMachine, SimulatedNode, Ticket};
use raccordo_node::store::Unsynced;
use raccordo_transport::{Host, PeerId};

use super::clock::{SeededEntropy, SimulatedClock, Time};
use super::passing::Passing;
use super::plan::{Plan, Seat};
use super::scripted::Scripted;
use crate::chance::Chance;

/// Versions of a record that people still look at.
const VERSIONS_KEPT: usize = 4;

/// One place.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "what befell a place, each by itself"
)]
pub(super) struct Place {
    /// Its territory.
    pub territory: Territory,
    /// Who it is.
    pub id: PeerId,
    /// What outlives its processes.
    pub machine: SimulatedMachine,
    /// The process, while it runs.
    pub node: Option<SimulatedNode>,
    /// What stands there instead, if it is a member with a program of its own.
    pub scripted: Option<Arc<Scripted>>,
    /// Starts so far.
    pub life: u64,
    /// Its clock.
    pub clock: Arc<SimulatedClock>,
    /// How slow it is, in milliseconds.
    pub slow_ms: u64,
    /// When its writer is looked at next.
    pub pump_at: Option<u64>,
    /// The commit that was last seen.
    pub seen: u64,
    /// What a power cut would do to what is not synced.
    pub unsynced: Unsynced,
    /// What its next data frame is to be bent by.
    pub bend: Option<u64>,
    /// Whether its program bends what it sends.
    pub hostile: bool,
    /// The place of which it is a copy.
    pub twin_of: Option<usize>,
    /// Whether its disk is the one that it always had.
    pub past: Past,
    /// A record that was damaged on its disk and is not known to be whole again.
    pub damaged: Option<DocumentId>,
    /// The last that ever was.
    pub rotten: Option<DocumentId>,
    /// It stays off until then.
    pub off_until_ms: u64,
    /// Commands that wait for their answer.
    pub waiting: Vec<Waiting>,
    /// Whether it has pinned the node above it.
    pub pinned: bool,
    /// The invitation that it was given.
    pub invitation: Option<String>,
    /// What it is.
    pub role: Role,
    /// The place at which it joins.
    pub above: Option<usize>,
    /// Failed dials in a row, by peer.
    pub failures: BTreeMap<PeerId, u32>,
    /// Peers whom it is about to dial.
    pub dialling: BTreeSet<PeerId>,
    /// Versions of records that people here have on their screens.
    pub screens: BTreeMap<DocumentId, VecDeque<Heads>>,
    /// Randomness of its next start.
    chance: Chance,
}

/// What became of a place's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Past {
    /// It is the one that the place always had.
    Own,
    /// An older one was put back.
    Older,
    /// The same, and what is on it of its own logs is not what was published: it has to fetch that back.
    Behind,
}

/// Somebody waits for an answer.
#[derive(Debug)]
pub(super) struct Waiting {
    /// The answer to come.
    pub ticket: Ticket,
    /// What it is about.
    pub what: Asked,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// A write by this operator.
    Write {
        /// Unique in the world.
        operator: String,
    },
    /// An import whose lines have these operators.
    Import {
        /// Unique in the world, one a line.
        operators: Vec<String>,
    },
    /// An invitation for this place.
    Invitation {
        /// The place.
        place: usize,
    },
    /// The erasure of a record.
    Erasure {
        /// The record.
        id: DocumentId,
    },
    /// Something about a transfer.
    Passing {
        /// What.
        way: Passing,
        /// Unique in the world.
        operator: String,
    },
    /// The node above to be pinned.
    Pin,
    /// A decision about a member.
    Decision,
    /// Damaged records to be noted.
    Scrub,
}

impl Place {
    /// Founds the machine of a place.
    pub(super) fn found(number: usize, plan: &Plan, time: &Time, chance: &mut Chance) -> Self {
        let Seat {
            territory,
            role,
            above,
            scripted: own_program,
        } = plan.seats[number].clone();
        let territory = Territory::parse(&territory).expect("a path of words");
        let entropy = SeededEntropy::new(chance.number());
        let config = configuration(&territory, role, plan.cache);
        let machine = SimulatedMachine::found(config, &entropy, plan.inbox_bytes)
            .expect("an empty disk without faults can be founded");
        let wrong_by_ms = i64::try_from(chance.between(0, 4_000)).unwrap_or_default() - 2_000;
        let scripted = own_program.then(|| Arc::new(Scripted::new(chance, territory.as_str())));
        Self {
            territory,
            id: scripted
                .as_ref()
                .map_or(machine.id(), |scripted| scripted.id()),
            scripted,
            machine,
            node: None,
            life: 0,
            clock: Arc::new(SimulatedClock::new(time.clone(), wrong_by_ms)),
            slow_ms: *chance.pick(&[0, 0, 1, 5, 40]),
            pump_at: None,
            seen: 0,
            unsynced: Unsynced::Lost,
            bend: None,
            hostile: false,
            twin_of: None,
            past: Past::Own,
            damaged: None,
            rotten: None,
            off_until_ms: 0,
            waiting: Vec::new(),
            pinned: false,
            invitation: None,
            role,
            above,
            failures: BTreeMap::new(),
            dialling: BTreeSet::new(),
            screens: BTreeMap::new(),
            chance: Chance::new(chance.number()),
        }
    }

    /// A copy of a place's machine, not started yet.
    pub(super) fn twin(&self, of: usize, chance: &mut Chance) -> Self {
        let mut machine = self.machine.copy();
        machine.disk = machine.disk.after_power_cut(Unsynced::Lost);
        Self {
            territory: self.territory.clone(),
            id: self.id,
            scripted: None,
            machine,
            node: None,
            life: 0,
            clock: Arc::clone(&self.clock),
            slow_ms: self.slow_ms,
            pump_at: None,
            seen: 0,
            unsynced: Unsynced::Lost,
            bend: None,
            hostile: false,
            twin_of: Some(of),
            past: Past::Own,
            damaged: None,
            rotten: None,
            off_until_ms: 0,
            waiting: Vec::new(),
            pinned: true,
            invitation: None,
            role: self.role,
            above: None,
            failures: BTreeMap::new(),
            dialling: BTreeSet::new(),
            screens: BTreeMap::new(),
            chance: Chance::new(chance.number()),
        }
    }

    /// Whether an older disk was put back here.
    pub(super) fn is_restored(&self) -> bool {
        self.past != Past::Own
    }

    /// Whether it still has to fetch back what it lost of its own.
    pub(super) fn is_behind(&self) -> bool {
        self.past == Past::Behind
    }

    /// Whether something runs here.
    pub(super) fn is_up(&self) -> bool {
        self.node.is_some() || self.scripted.is_some()
    }

    /// What sessions speak with, while something runs here.
    pub(super) fn host(&self) -> Option<Arc<dyn Host>> {
        match &self.scripted {
            Some(scripted) => Some(Arc::clone(scripted) as Arc<dyn Host>),
            None => self.node.as_ref().map(SimulatedNode::host),
        }
    }

    /// Whether a handshake with this key would succeed now.
    pub(super) fn admits(&self, key: &PeerId) -> bool {
        match &self.scripted {
            Some(scripted) => scripted.admits(key),
            None => self.node.as_ref().is_some_and(|node| node.admits(key)),
        }
    }

    /// Whom it dials.
    pub(super) fn upstream(&self) -> Vec<PeerId> {
        match &self.scripted {
            Some(scripted) => scripted.sponsor().into_iter().collect(),
            None => self
                .node
                .as_ref()
                .map(SimulatedNode::upstream)
                .unwrap_or_default(),
        }
    }

    /// Starts the node.
    pub(super) fn start(&mut self) -> Result<(), StartFailed> {
        let entropy = Arc::new(SeededEntropy::new(self.chance.number()));
        let node = self.machine.start(Arc::clone(&self.clock) as _, entropy)?;
        self.life += 1;
        self.seen = node.published();
        self.node = Some(node);
        Ok(())
    }

    /// Ends the process without a word; the disk is then as after a power cut.
    pub(super) fn crash(&mut self, unsynced: Unsynced) {
        self.node = None;
        self.waiting.clear();
        self.pump_at = None;
        self.failures.clear();
        self.dialling.clear();
        self.machine.disk = self.machine.disk.after_power_cut(unsynced);
    }

    /// Remembers a version that somebody looks at.
    pub(super) fn look_at(&mut self, id: DocumentId, version: Heads) {
        let versions = self.screens.entry(id).or_default();
        if versions.len() == VERSIONS_KEPT {
            versions.pop_front();
        }
        versions.push_back(version);
    }
}

fn configuration(territory: &Territory, role: Role, cache: u32) -> Config {
    let nowhere = "127.0.0.1:0".parse().expect("an address");
    let settings = InitialSettings {
        territory: territory.clone(),
        role,
        name: territory.to_string(),
        listen: nowhere,
        http: nowhere,
        advertise: Some("127.0.0.1:1".to_owned()),
        engine: StoreEngine::Sled,
    };
    let text = raccordo_config::template(&settings);
    let mut config = raccordo_config::check(&text).expect("a new node's configuration is good");
    config.limits.document_cache = cache;
    config
}

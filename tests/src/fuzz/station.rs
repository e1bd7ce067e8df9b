//! A coordination with a district below it, both real, and the district's log as it really is.
//!
//! The machine of the coordination is kept as it was before, within and after the district's entries,
//! so that every input begins from a disk of its own.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use raccordo_config::{Config, InitialSettings, Role, StoreEngine, Territory};
use raccordo_crdt_model::{DocumentId, Kind, Patch};
use raccordo_node::clock::{Clock, Entropy, draw};
use raccordo_node::engine::simulated::{Answered, SimulatedMachine, SimulatedNode, Ticket};
use raccordo_tests::chance::Chance;
use raccordo_transport::{Cursor, DocumentParcel, LogId, NodeKey, SignedEntry, verify};
use serde_json::json;

use crate::world::fields;

/// What the inputs begin from.
pub(crate) struct Station {
    /// The coordination before, within and after the district's entries.
    pub(crate) stages: Vec<Stage>,
    /// The district's key: who signs is as bad as can be.
    pub(crate) district: NodeKey,
    /// Entries of all logs of the district.
    pub(crate) entries: Vec<SignedEntry>,
    /// Entries that the coordination signed: facts, a guideline, an erasure.
    pub(crate) above: Vec<SignedEntry>,
    /// The district's documents, whole.
    pub(crate) parcels: Vec<DocumentParcel>,
}

/// The coordination at one time.
pub(crate) struct Stage {
    pub(crate) machine: SimulatedMachine,
    /// Where its logs end.
    pub(crate) ends: Vec<Cursor>,
}

impl Stage {
    fn of(machine: &SimulatedMachine, node: &SimulatedNode) -> Self {
        Self {
            machine: machine.copy(),
            ends: node.ends(),
        }
    }

    /// The end of a log.
    pub(crate) fn end(&self, log: LogId) -> Cursor {
        let end = self.ends.iter().find(|end| end.log == log);
        end.copied().unwrap_or(Cursor::start(log))
    }
}

impl Station {
    /// The same station every time.
    pub(crate) fn told() -> Self {
        let (above, _) = machine("frosinone", Role::Coordination, 1);
        let (below, district) = machine("frosinone/a", Role::District, 2);
        let mut coordination = start(&above);
        let mut office = start(&below);
        join(&mut coordination, &mut office);
        let guideline = made(&mut coordination, |node| {
            node.create(Kind::Guideline, fields(Kind::Guideline), "op-1")
        });
        carry(&coordination, &mut office);
        let mut stages = vec![Stage::of(&above, &coordination)];
        work(&mut office, 0);
        carry(&office, &mut coordination);
        stages.push(Stage::of(&above, &coordination));
        work(&mut office, 1);
        let entries = entries_of(&office, &office);
        let ids: Vec<[u8; 16]> = office
            .documents()
            .expect("a memory disk reads")
            .keys()
            .map(|id| *id.as_bytes())
            .collect();
        carry(&office, &mut coordination);
        let parcels = office.host().parcels(&coordination.id(), &ids);
        stages.push(Stage::of(&above, &coordination));
        made(&mut coordination, |node| {
            node.erase(Kind::Guideline, guideline.expect("a record"), "op-1")
        });
        Self {
            stages,
            district,
            entries,
            above: entries_of(&coordination, &coordination),
            parcels: parcels.expect("documents read"),
        }
    }
}

fn machine(territory: &str, role: Role, seed: u64) -> (SimulatedMachine, NodeKey) {
    let territory = Territory::parse(territory).expect("a path of words");
    let nowhere = "127.0.0.1:0".parse().expect("an address");
    let settings = InitialSettings {
        name: territory.to_string(),
        territory,
        role,
        listen: nowhere,
        http: nowhere,
        advertise: Some("127.0.0.1:1".to_owned()),
        engine: StoreEngine::Sled,
    };
    let config: Config = raccordo_config::check(&raccordo_config::template(&settings))
        .expect("a new node's configuration is good");
    let founded = SimulatedMachine::found(config, &Seeded::new(seed), 1 << 20);
    let machine = founded.expect("an empty disk can be founded");
    // A machine draws its key first.
    let key = NodeKey::from_seed(draw(&Seeded::new(seed)));
    assert_eq!(key.public(), machine.id(), "the key is the first draw");
    (machine, key)
}

/// Starts a machine.
pub(crate) fn start(machine: &SimulatedMachine) -> SimulatedNode {
    let started = machine.start(Arc::new(Still), Arc::new(Seeded::new(7)));
    started.expect("a sound disk starts")
}

/// Records, edits and an erasure; twice, so that some are known and some are news.
fn work(office: &mut SimulatedNode, round: u8) {
    let mut project = fields(Kind::Project);
    project["ref"] = json!(format!("FR-A-{round}"));
    let record = made(office, |node| node.create(Kind::Project, project, "op-2"));
    let mut id: Option<DocumentId> = record;
    for patch in [
        json!([{"op":"replace","path":"/state","value":"review"}]),
        json!([{"op":"add","path":"/weather","value":{"rain":[1,2,3]}}]),
    ] {
        let patch = Patch::parse(&patch).expect("a well-formed patch");
        let known = id.expect("a record");
        made(office, |node| {
            node.patch(Kind::Project, known, patch, None, "op-2")
        });
    }
    let mut local = fields(Kind::Project);
    local["ref"] = json!(format!("FR-B-{round}"));
    id = made(office, |node| node.create(Kind::Project, local, "op-2"));
    let mut organisation = fields(Kind::Organisation);
    organisation["ref"] = json!(format!("ente-{round}"));
    made(office, |node| {
        node.create(Kind::Organisation, organisation, "op-2")
    });
    if round == 1 {
        made(office, |node| {
            node.erase(Kind::Project, id.expect("a record"), "op-2")
        });
    }
}

/// Lets the writer do something; the record that it is about.
fn made(
    node: &mut SimulatedNode,
    ask: impl FnOnce(&SimulatedNode) -> Ticket,
) -> Option<DocumentId> {
    match answered(node, ask) {
        Answered::Record(id) => Some(id),
        _ => None,
    }
}

fn answered(node: &mut SimulatedNode, ask: impl FnOnce(&SimulatedNode) -> Ticket) -> Answered {
    let mut ticket = ask(node);
    for _ in 0..8 {
        if let Some(answer) = ticket.poll() {
            return answer.expect("what a station does is allowed");
        }
        node.pump();
    }
    unreachable!("a command is answered once the writer had its turn");
}

fn join(coordination: &mut SimulatedNode, office: &mut SimulatedNode) {
    let territory = Territory::parse("frosinone/a").expect("a path of words");
    let invited = answered(coordination, |node| {
        node.invite(territory, Role::District, true)
    });
    let Answered::Invited(invitation) = invited else {
        unreachable!("an invitation was asked for");
    };
    let asking = office.asking(&invitation).expect("it can be read");
    let host = coordination.host();
    let joining = host.join(asking.one_time, asking.request.clone());
    let accepted = drive(coordination, joining).expect("the invitation is new");
    answered(office, |node| node.adopt(&asking, accepted));
}

/// Waits for a host's work, with the writer having its turns.
pub(crate) fn drive<T>(node: &mut SimulatedNode, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    for _ in 0..8 {
        if let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
        node.pump();
    }
    unreachable!("a host answers once the writer had its turn");
}

/// All of a node's own logs that it offers to others.
fn entries_of(node: &SimulatedNode, author: &SimulatedNode) -> Vec<SignedEntry> {
    let origin = author.id().origin();
    let logs = (0..3).map(|lane| LogId::new(origin, lane));
    let read = logs.flat_map(|log| node.entries(log, 0, 1_000).expect("a memory disk reads"));
    read.collect()
}

/// Carries what one node offers to another, as a link would.
fn carry(from: &SimulatedNode, to: &mut SimulatedNode) {
    let (sender, host) = (from.host(), to.host());
    for offer in sender.positions(&to.id()).offers {
        let log = offer.head.log;
        let after = to.end(log).seq;
        let read = sender.read(&to.id(), log, after, 256, 1 << 20);
        let read = read.expect("what is offered can be read");
        let author = host.author_key(&log.origin).expect("a member's log");
        let verified = read
            .into_iter()
            .map(|entry| verify(entry, &author))
            .collect::<Result<Vec<_>, _>>();
        let delivery = host.deliver(from.id(), verified.expect("really signed"));
        drive(to, delivery).expect("there is room");
        to.pump();
        assert_eq!(to.end(log).seq, offer.head.seq, "a true log is admitted");
    }
}

/// A clock that stands still.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn unix_millis(&self) -> i64 {
        1_772_000_000_000
    }

    fn monotonic_millis(&self) -> u64 {
        1_000
    }
}

/// Bytes from a seed.
#[derive(Debug)]
struct Seeded(Mutex<Chance>);

impl Seeded {
    fn new(seed: u64) -> Self {
        Self(Mutex::new(Chance::new(seed)))
    }
}

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        let mut chance = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for byte in bytes {
            *byte = chance.number().to_le_bytes()[0];
        }
    }
}

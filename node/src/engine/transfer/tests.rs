//! Transfers between engines that hand each other exactly what their scopes leave, in any order,
//! with restarts anywhere: at every moment one project is live, and at most one can be edited.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use raccordo_config::{Config, InitialSettings, Role, StoreEngine, Territory};
use raccordo_crdt_model::{DocumentId, Kind};
use raccordo_transport::{JoinRequest, NodeKey, PeerId};
use serde_json::{Value, json};

use super::super::between::Between;
use super::super::core::Core;
use super::super::draft::Draft;
use super::super::inbox::{Delivery, Inbox};
use super::super::peers::{self, InvitationRow, PeerCommand};
use super::super::roster::{Member, role_code};
use super::super::stored::Reading;
use super::super::task::Done;
use super::super::view::{CommandFailed, MemberState};
use super::super::{commit, found, ingest, local, node, read, report};
use super::commands::{Offer, TransferCommand, execute};
use super::driver::Driver;
use crate::clock::{Clock, SystemEntropy};
use crate::store::seal::Vault;
use crate::store::{MemoryDisk, Store};

/// 2026-11-01T12:00:00Z
const START_MS: i64 = 1_793_534_400_000;
const DAY_MS: i64 = 86_400_000;

#[derive(Debug, Default)]
struct Hands(AtomicI64);

impl Clock for Hands {
    fn unix_millis(&self) -> i64 {
        START_MS + self.0.load(Ordering::Relaxed)
    }
    fn monotonic_millis(&self) -> u64 {
        0
    }
}

/// A machine with its engine.
struct Station {
    disk: MemoryDisk,
    config: Config,
    seed: [u8; 32],
    clock: Arc<Hands>,
    core: Arc<Core>,
    inbox: Inbox,
    driver: Driver,
}

impl Station {
    fn found(seed: u8, territory: &str, role: Role, clock: &Arc<Hands>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("node");
        let settings = InitialSettings {
            territory: Territory::parse(territory).unwrap(),
            role,
            name: format!("{territory} {seed}"),
            listen: "127.0.0.1:0".parse().unwrap(),
            http: "127.0.0.1:0".parse().unwrap(),
            advertise: None,
            engine: StoreEngine::Sled,
        };
        found::init(&data, &settings).unwrap();
        let config = raccordo_config::load(&data.join("raccordo.toml")).unwrap();
        let (disk, seed) = (MemoryDisk::new(), [seed; 32]);
        let store = Store::on_memory_disk(&disk, 0).unwrap();
        found::found_rows(&store, &SystemEntropy).unwrap();
        let core = assemble(store, &config, seed, clock);
        Self {
            disk,
            config,
            seed,
            clock: Arc::clone(clock),
            core,
            inbox: Inbox::default(),
            driver: Driver::default(),
        }
    }

    /// Kills the node and starts it again with what is on its disk.
    fn restart(&mut self) {
        let store = Store::on_memory_disk(&self.disk, 0).unwrap();
        self.core = assemble(store, &self.config, self.seed, &self.clock);
        self.inbox = Inbox::default();
        self.driver = Driver::default();
    }

    fn settle(&mut self) {
        loop {
            let taken = self.inbox.take(u64::MAX, |_| 0);
            if taken.is_empty() {
                break;
            }
            ingest::absorb(&self.core, &self.inbox, taken);
        }
        self.driver.drive(&self.core);
    }

    fn run(
        &self,
        work: impl FnOnce(&mut Draft<'_>) -> Result<Done, CommandFailed>,
    ) -> Result<DocumentId, CommandFailed> {
        let mut draft = Draft::new(&self.core);
        let done = work(&mut draft)?;
        commit::commit(draft).unwrap();
        match done {
            Done::Record(id) => Ok(id),
            _ => Ok(DocumentId::from_bytes([0; 16])),
        }
    }

    fn make(&self, kind: Kind, fields: &Value) -> DocumentId {
        self.run(|draft| local::create(draft, kind, fields, "op"))
            .unwrap()
    }

    fn transfer(&self, command: TransferCommand) -> Result<DocumentId, CommandFailed> {
        self.run(|draft| execute(draft, command))
    }

    fn offer(&self, project: DocumentId, to: &str) -> Result<DocumentId, CommandFailed> {
        let offer = Offer {
            project,
            to: Territory::parse(to).unwrap(),
            reason: "residence".to_owned(),
            note: Some("chiamare il mattino".to_owned()),
            expires_on: None,
        };
        let records = super::commands::subject_of(&self.core, project).unwrap();
        let by = "op".to_owned();
        self.transfer(TransferCommand::Offer { offer, records, by })
    }

    fn accept(&self, id: DocumentId) -> Result<DocumentId, CommandFailed> {
        let by = "op".to_owned();
        self.transfer(TransferCommand::Accept { id, by })
    }

    fn refuse(&self, id: DocumentId) -> Result<DocumentId, CommandFailed> {
        let (by, reason) = ("op".to_owned(), "altrove".to_owned());
        self.transfer(TransferCommand::Refuse { id, reason, by })
    }

    fn withdraw(&self, id: DocumentId) -> Result<DocumentId, CommandFailed> {
        let by = "op".to_owned();
        self.transfer(TransferCommand::Withdraw { id, by })
    }

    fn fields(&self, kind: Kind, id: DocumentId) -> Option<Value> {
        read::record(&self.core, kind, id)
            .ok()
            .map(|view| view.fields)
    }

    fn state(&self, kind: Kind, id: DocumentId) -> String {
        let fields = self.fields(kind, id).unwrap_or_default();
        fields["state"].as_str().unwrap_or("none").to_owned()
    }

    fn ids(&self, kind: Kind) -> BTreeSet<DocumentId> {
        let rows =
            self.core
                .store
                .scan(crate::store::Table::Rows, &[kind.code()], None, usize::MAX);
        let rows = rows.unwrap().into_iter();
        rows.map(|(key, _)| DocumentId::from_bytes(*key.last_chunk().unwrap()))
            .collect()
    }

    /// Everything on the disk, and every record that this node can open.
    fn holds(&self, word: &str) -> bool {
        let exported = Kind::all().into_iter().flat_map(|kind| {
            let ids = self.ids(kind).into_iter();
            ids.filter_map(move |id| self.core.look(id).unwrap())
                .map(|document| document.record().fields.to_string())
        });
        let mut exported = exported;
        exported.any(|text| text.contains(word))
    }
}

fn assemble(store: Store, config: &Config, seed: [u8; 32], clock: &Arc<Hands>) -> Arc<Core> {
    let vault = Vault::in_memory(node::lineage(&store).unwrap(), &seed, &seed);
    let key = NodeKey::from_seed(seed);
    let (clock, entropy) = (Arc::clone(clock) as Arc<dyn Clock>, Arc::new(SystemEntropy));
    Arc::new(node::assemble(config.clone(), key, store, vault, clock, entropy).unwrap())
}

/// Hands over what one node offers another, at most so many entries of each log.
fn ship(from: &Station, to: &mut Station, most: usize) {
    let ledger = from.core.ledger();
    let Some(between) = Between::of(&from.core, &ledger, &to.core.id) else {
        return;
    };
    for head in between.heads() {
        let held = to.core.ledger().end(head.log).seq;
        let read = Reading::new(&from.core).entries(head.log, held, most, usize::MAX);
        let entries = read.unwrap();
        if entries.is_empty() {
            continue;
        }
        let peer = from.core.id;
        let log = head.log;
        let delivery = Delivery { log, peer, entries };
        futures_now(to.inbox.put(delivery, held, 0));
    }
    drop(ledger);
    to.settle();
    let stopped = &to.core.ledger().stopped;
    assert!(stopped.is_empty(), "{stopped:?}");
}

fn futures_now<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(work)
}

/// A coordination, three districts, and a second node of the second.
struct World {
    clock: Arc<Hands>,
    stations: Vec<Station>,
}

const COORDINATION: usize = 0;
const A: usize = 1;
const B: usize = 2;
const C: usize = 3;
const LAPTOP: usize = 4;
const LINKS: [(usize, usize); 4] = [
    (COORDINATION, A),
    (COORDINATION, B),
    (COORDINATION, C),
    (B, LAPTOP),
];

impl World {
    fn new() -> Self {
        let clock = Arc::new(Hands::default());
        let station = |seed, territory, role| Station::found(seed, territory, role, &clock);
        let stations = vec![
            station(9, "f", Role::Coordination),
            station(1, "f/a", Role::District),
            station(3, "f/b", Role::District),
            station(4, "f/c", Role::District),
            station(2, "f/b", Role::District),
        ];
        let mut world = Self { clock, stations };
        for (above, below) in LINKS {
            world.join(above, below);
        }
        world.ship_all();
        world
    }

    fn join(&self, above: usize, below: usize) {
        let (above, below) = (&self.stations[above], &self.stations[below]);
        let (territory, key) = (below.core.territory(), below.core.id);
        let one_time = PeerId::from_bytes([key.as_bytes()[0]; 32]);
        let invitation = InvitationRow {
            territory: territory.clone(),
            role: Role::District,
            expires_ms: i64::MAX,
            approved: true,
            redeemed_by: None,
        };
        let request = JoinRequest {
            real: key,
            name: below.config.node.name.clone(),
            territory,
            role: role_code(Role::District),
        };
        let invite = PeerCommand::Invite {
            one_time,
            invitation,
        };
        above.run(|draft| peers::execute(draft, invite)).unwrap();
        let redeem = PeerCommand::Redeem { one_time, request };
        above.run(|draft| peers::execute(draft, redeem)).unwrap();
        let sponsor = Member {
            key: above.core.id,
            territory: above.core.territory(),
            role: above.config.node.role,
            name: above.config.node.name.clone(),
            state: MemberState::Approved,
            since_ms: 0,
            reason: None,
            address: Some("127.0.0.1:1".to_owned()),
            ends: std::collections::BTreeMap::new(),
        };
        below
            .run(|draft| peers::execute(draft, PeerCommand::Adopt { sponsor }))
            .unwrap();
    }

    fn ship(&mut self, from: usize, to: usize, most: usize) {
        let mut taken = std::mem::take(&mut self.stations);
        let (low, high) = (from.min(to), from.max(to));
        let (left, right) = taken.split_at_mut(high);
        let (one, other) = (&mut left[low], &mut right[0]);
        if from < to {
            ship(one, other, most);
        } else {
            ship(other, one, most);
        }
        self.stations = taken;
    }

    /// Until nobody has anything that another may have and has not.
    fn ship_all(&mut self) {
        for station in &mut self.stations {
            station.settle();
        }
        for _ in 0..8 {
            for (above, below) in LINKS {
                self.ship(above, below, usize::MAX);
                self.ship(below, above, usize::MAX);
            }
        }
    }

    fn project(&self) -> DocumentId {
        let person = self.stations[A].make(
            Kind::Person,
            &json!({"ref": "P-1", "given_name": "Canaria", "family_name": "Uccellini",
                    "fiscal_code": "RSSMRA85T10A562S", "household": "N-1"}),
        );
        self.stations[A].make(
            Kind::Household,
            &json!({"ref": "N-1", "members": {"m1": {"person": person.to_string()}}}),
        );
        let project = self.stations[A].make(
            Kind::Project,
            &json!({"ref": "FR-1", "subject": {"kind": "person", "birth_year": 1985, "sex": "F", "token": "t"},
                    "need_area": "POV", "opened_on": "2026-03-04", "state": "planning"}),
        );
        let diary = "Diario dell'Uccellini ".repeat(200);
        self.stations[A].make(
            Kind::Casefile,
            &json!({"ref": "C-1", "subject": "P-1", "diary": {"d1": {"text": diary}},
                    "projects": {"p1": {"project": project.to_string()}}}),
        );
        project
    }

    /// The states of the project at its home and of those made of it, as their own districts see them.
    fn states(&self, project: DocumentId) -> (String, Vec<String>) {
        let made = [B, LAPTOP, C].into_iter().flat_map(|at| {
            let station = &self.stations[at];
            let ids = station.ids(Kind::Project).into_iter();
            let own = station.core.territory();
            ids.filter(move |id| {
                let row = station.core.document_row(*id).unwrap().unwrap();
                row.territory == own
            })
            .map(move |id| station.state(Kind::Project, id))
        });
        (
            self.stations[A].state(Kind::Project, project),
            made.collect(),
        )
    }

    /// One live project, at most one that can be edited; two nodes of one district that accepted
    /// without knowing of each other are the one exception, and only among themselves.
    fn check(&self, project: DocumentId, what: &str) {
        let (old, made) = self.states(project);
        let editable = |state: &str| !state.starts_with("transfer");
        let new = made.iter().any(|state| editable(state));
        assert!(
            !(editable(&old) && new),
            "{what}: two can be edited, {old} and {made:?}"
        );
        assert!(
            old != "transferred" || !made.is_empty(),
            "{what}: none is left"
        );
        for outside in [COORDINATION, C] {
            for word in ["Uccellini", "RSSMRA85T10A562S", "chiamare il mattino"] {
                assert!(
                    !self.stations[outside].holds(word),
                    "{what}: {word} at {outside}"
                );
            }
        }
        assert!(self.stations[C].ids(Kind::Transfer).is_empty(), "{what}");
        let logs = &self.stations[C].core.ledger().logs;
        assert!(logs.keys().all(|log| log.lane < 16), "{what}: {logs:?}");
    }
}

#[test]
fn an_accepted_project_lives_on_with_its_person_in_the_other_district_and_counts_once() {
    let mut world = World::new();
    let project = world.project();
    world.ship_all();
    let id = world.stations[A].offer(project, "f/b").unwrap();
    assert_eq!(
        world.stations[A].state(Kind::Project, project),
        "transferring"
    );
    let edit = json!([{"op": "add", "path": "/need_area", "value": "DIS"}]);
    let edit = raccordo_crdt_model::Patch::parse(&edit).unwrap();
    let refused = world.stations[A]
        .run(|draft| local::patch(draft, Kind::Project, project, &edit, None, "op"));
    assert!(
        format!("{refused:?}").contains("locked_by_transfer"),
        "{refused:?}"
    );
    world.ship_all();
    let seen = world.stations[B].fields(Kind::Transfer, id).unwrap();
    assert_eq!(seen["preview"]["age_class"], "30-44", "{seen}");
    assert_eq!(seen["preview"]["note"], "chiamare il mattino", "{seen}");
    assert!(!seen.to_string().contains("Uccellini"));
    let above = world.stations[COORDINATION]
        .fields(Kind::Transfer, id)
        .unwrap();
    assert_eq!(
        (&above["state"], &above["preview"]),
        (&json!("offered"), &Value::Null)
    );
    world.stations[B].accept(id).unwrap();
    // The sender has not heard of it, the coordination has.
    world.ship(B, COORDINATION, usize::MAX);
    let totals = report::overview(&world.stations[COORDINATION].core).totals;
    assert_eq!((totals.projects, totals.persons), (1, 1));
    world.check(project, "accepted");
    world.ship_all();
    let totals = report::overview(&world.stations[COORDINATION].core).totals;
    assert_eq!((totals.projects, totals.persons), (1, 1));
    let old = world.stations[A].fields(Kind::Project, project).unwrap();
    assert_eq!(old["state"], "transferred");
    let new = super::terms::document(old.pointer("/links/next")).unwrap();
    let new = world.stations[LAPTOP].fields(Kind::Project, new).unwrap();
    assert_eq!(
        (&new["state"], &new["ref"]),
        (&json!("planning"), &json!("FR-1"))
    );
    assert_eq!(new["links"]["previous"], project.to_string());
    let person = world.stations[LAPTOP]
        .ids(Kind::Person)
        .into_iter()
        .next()
        .unwrap();
    let person = world.stations[LAPTOP].fields(Kind::Person, person).unwrap();
    assert_eq!(person["family_name"], "Uccellini");
    assert_eq!(world.stations[B].ids(Kind::Household).len(), 1);
    assert_eq!(world.stations[A].state(Kind::Transfer, id), "completed");
    world.check(project, "completed");
}

#[test]
fn a_refused_or_withdrawn_project_is_open_again_once_every_node_of_the_receiver_has_confirmed() {
    let mut world = World::new();
    let project = world.project();
    let id = world.stations[A].offer(project, "f/b").unwrap();
    world.ship_all();
    world.stations[B].refuse(id).unwrap();
    // The laptop could have accepted meanwhile: its word is awaited.
    world.ship(B, COORDINATION, usize::MAX);
    world.ship(COORDINATION, A, usize::MAX);
    assert_eq!(
        world.stations[A].state(Kind::Project, project),
        "transferring"
    );
    let shown = world.stations[A].fields(Kind::Transfer, id).unwrap();
    assert_eq!(shown["waits_for"], json!(["f/b 2"]), "{shown}");
    world.ship_all();
    assert_eq!(world.stations[A].state(Kind::Project, project), "planning");
    let id = world.stations[A].offer(project, "f/b").unwrap();
    world.stations[A].withdraw(id).unwrap();
    assert_eq!(
        world.stations[A].state(Kind::Project, project),
        "transferring"
    );
    world.ship_all();
    assert_eq!(world.stations[A].state(Kind::Project, project), "planning");
    assert_eq!(world.stations[A].state(Kind::Transfer, id), "withdrawn");
    let refused = world.stations[B].accept(id);
    assert!(
        format!("{refused:?}").contains("transfer_not_open"),
        "{refused:?}"
    );
}

#[test]
fn an_offer_expires_by_the_senders_clock_and_a_revoked_node_is_not_waited_for() {
    let mut world = World::new();
    let project = world.project();
    let id = world.stations[A].offer(project, "f/b").unwrap();
    world.ship_all();
    world.clock.0.store(31 * DAY_MS, Ordering::Relaxed);
    let refused = world.stations[B].accept(id);
    assert!(
        format!("{refused:?}").contains("transfer_not_open"),
        "{refused:?}"
    );
    let laptop = world.stations[LAPTOP].core.id;
    let revoke = PeerCommand::Move {
        key: laptop,
        to: MemberState::Revoked,
        reason: Some("lost".to_owned()),
    };
    world.stations[B]
        .run(|draft| peers::execute(draft, revoke))
        .unwrap();
    for (above, below) in [LINKS[0], LINKS[1]] {
        for _ in 0..4 {
            world.ship(below, above, usize::MAX);
            world.ship(above, below, usize::MAX);
            world.stations[A].settle();
        }
    }
    for _ in 0..3 {
        world.ship(A, COORDINATION, usize::MAX);
        world.ship(COORDINATION, B, usize::MAX);
        world.ship(B, COORDINATION, usize::MAX);
        world.ship(COORDINATION, A, usize::MAX);
    }
    assert_eq!(world.stations[A].state(Kind::Transfer, id), "expired");
    assert_eq!(world.stations[A].state(Kind::Project, project), "planning");
}

#[test]
fn of_two_nodes_that_accept_at_once_the_lower_one_wins_and_the_other_project_is_locked() {
    let mut world = World::new();
    let project = world.project();
    let id = world.stations[A].offer(project, "f/b").unwrap();
    world.ship_all();
    world.stations[B].accept(id).unwrap();
    world.stations[LAPTOP].accept(id).unwrap();
    world.ship_all();
    let (office, laptop) = (world.stations[B].core.id, world.stations[LAPTOP].core.id);
    let winner = if office.origin() < laptop.origin() {
        B
    } else {
        LAPTOP
    };
    let old = world.stations[A].fields(Kind::Project, project).unwrap();
    let next = super::terms::document(old.pointer("/links/next")).unwrap();
    let row = world.stations[B].core.document_row(next).unwrap().unwrap();
    assert_eq!(row.home_origin, world.stations[winner].core.id.origin());
    for at in [B, LAPTOP] {
        let mut states: Vec<_> = world.stations[at]
            .ids(Kind::Project)
            .into_iter()
            .map(|id| world.stations[at].state(Kind::Project, id))
            .collect();
        states.sort_unstable();
        assert_eq!(states, ["planning", "transferring"], "at {at}");
    }
}

/// A pseudo-random sequence that is the same on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        // splitmix64 (Steele, Lea, Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }
}

#[test]
fn whatever_is_cut_or_killed_between_any_two_steps_one_project_lives_and_one_is_edited() {
    let mut ends = std::collections::BTreeMap::<String, u32>::new();
    for seed in 0..12 {
        let mut numbers = Numbers(seed);
        let mut world = World::new();
        let project = world.project();
        if numbers.below(2) == 0 {
            world.ship_all();
        }
        for step in 0..60 {
            let what = format!("seed {seed}, step {step}");
            let offers = world.stations[A].ids(Kind::Transfer);
            let newest = offers
                .iter()
                .nth(numbers.below(offers.len().max(1)))
                .copied();
            match (numbers.below(12), newest) {
                (0, _) => drop(world.stations[A].offer(project, "f/b")),
                (1, Some(id)) => drop(world.stations[A].withdraw(id)),
                (2, Some(id)) => drop(world.stations[B].accept(id)),
                (3, Some(id)) => drop(world.stations[LAPTOP].accept(id)),
                (4, Some(id)) => drop(world.stations[[B, LAPTOP][numbers.below(2)]].refuse(id)),
                (5, _) => world.stations[numbers.below(5)].restart(),
                (6, _) => {
                    let at = numbers.below(5);
                    world.stations[at].settle();
                }
                _ => {
                    let (above, below) = LINKS[numbers.below(4)];
                    let most = [1, 2, usize::MAX][numbers.below(3)];
                    if numbers.below(2) == 0 {
                        world.ship(above, below, most);
                    } else {
                        world.ship(below, above, most);
                    }
                }
            }
            world.check(project, &what);
        }
        world.ship_all();
        world.check(project, &format!("seed {seed}, at the end"));
        let (old, _) = world.states(project);
        *ends.entry(old).or_default() += 1;
        let above = &world.stations[COORDINATION];
        assert_eq!(
            report::overview(&above.core).totals.projects,
            1 + extra(&world, project),
            "seed {seed}"
        );
    }
    // The schedule reaches each of the ways that it can end.
    assert!(
        ends.contains_key("planning") && ends.contains_key("transferred"),
        "{ends:?}"
    );
}

/// Second projects of two nodes that accepted at once: locked, and counted until a person decides.
fn extra(world: &World, project: DocumentId) -> u64 {
    let (_, made) = world.states(project);
    // Both nodes of the receiver show each.
    let locked = made.iter().filter(|state| *state == "transferring").count() as u64;
    locked / 2
}

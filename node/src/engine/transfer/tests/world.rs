//! Machines with engines, joined as a federation, that hand each other exactly what their scopes
//! leave, as much at a time as a test says; killed and started again at will.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use raccordo_config::{Config, InitialSettings, Role, StoreEngine, Territory};
use raccordo_crdt_model::{DocumentId, Kind, Patch};
use raccordo_transport::{JoinRequest, LogId, NodeKey, PeerId};
use serde_json::{Value, json};

use super::super::super::between::Between;
use super::super::super::core::Core;
use super::super::super::draft::Draft;
use super::super::super::inbox::{Delivery, Inbox};
use super::super::super::peers::{self, InvitationRow, PeerCommand};
use super::super::super::roster::{Member, role_code};
use super::super::super::stored::Reading;
use super::super::super::task::Done;
use super::super::super::token_handing::KeyHanding;
use super::super::super::token_renewal::Renewal;
use super::super::super::view::{CommandFailed, MemberState};
use super::super::super::{commit, found, ingest, local, node, notices, read};
use super::super::already_here::Arrival;
use super::super::commands::{Offer, TransferCommand, execute};
use super::super::driver::Driver;
use crate::clock::{Clock, SystemEntropy};
use crate::store::seal::{MemoryKeys, Vault};
use crate::store::{MemoryDisk, Moment, Store, Unsynced};

/// 2026-11-01T12:00:00Z
const START_MS: i64 = 1_793_534_400_000;
pub(super) const DAY_MS: i64 = 86_400_000;

#[derive(Debug, Default)]
pub(super) struct Hands(pub(super) AtomicI64);

impl Clock for Hands {
    fn unix_millis(&self) -> i64 {
        START_MS + self.0.load(Ordering::Relaxed)
    }
    fn monotonic_millis(&self) -> u64 {
        self.0.load(Ordering::Relaxed).unsigned_abs()
    }
}

/// A machine with its engine.
pub(super) struct Station {
    pub(super) disk: MemoryDisk,
    config: Config,
    seed: [u8; 32],
    clock: Arc<Hands>,
    pub(super) core: Arc<Core>,
    pub(super) inbox: Inbox,
    driver: Driver,
    handing: KeyHanding,
    pub(super) renewal: Renewal,
}

impl Station {
    pub(super) fn found(seed: u8, territory: &str, role: Role, clock: &Arc<Hands>) -> Self {
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
            handing: KeyHanding::default(),
            renewal: Renewal::default(),
        }
    }

    /// Kills the node and starts it again with what is on its disk.
    pub(super) fn restart(&mut self) {
        let store = Store::on_memory_disk(&self.disk, 0).unwrap();
        self.core = assemble(store, &self.config, self.seed, &self.clock);
        self.inbox = Inbox::default();
        self.driver = Driver::default();
        self.handing = KeyHanding::default();
        self.renewal = Renewal::default();
    }

    /// Lets the power go at this moment of the next commit of what it does, and starts it again
    /// with what had reached the disk.
    pub(super) fn lose_power(
        &mut self,
        moment: Moment,
        unsynced: Unsynced,
        work: impl FnOnce(&mut Self),
    ) {
        self.disk.cut_power_at(moment);
        work(self);
        self.disk = self.disk.after_power_cut(unsynced);
        self.restart();
    }

    pub(super) fn settle(&mut self) {
        self.absorb();
        self.drive();
    }

    /// Takes the steps that are due.
    pub(super) fn drive(&mut self) {
        notices::follow(&self.core);
        self.driver.drive(&self.core);
        self.handing.drive(&self.core);
        self.renewal.drive(&self.core);
        while self.renewal.has_more() {
            self.renewal.drive(&self.core);
        }
    }

    /// Takes in what was delivered, and does not yet draw a consequence.
    pub(super) fn absorb(&self) {
        loop {
            let taken = self.inbox.take(u64::MAX, |_| 0);
            if taken.is_empty() {
                break;
            }
            ingest::absorb(&self.core, &self.inbox, taken);
        }
    }

    pub(super) fn run(
        &self,
        work: impl FnOnce(&mut Draft<'_>) -> Result<Done, CommandFailed>,
    ) -> Result<DocumentId, CommandFailed> {
        let mut draft = Draft::new(&self.core);
        let done = work(&mut draft)?;
        commit::commit(draft).map_err(|failed| CommandFailed::from(&failed))?;
        match done {
            Done::Record(id) => Ok(id),
            _ => Ok(DocumentId::from_bytes([0; 16])),
        }
    }

    pub(super) fn make(&self, kind: Kind, fields: &Value) -> DocumentId {
        self.run(|draft| local::create(draft, kind, fields, "op"))
            .unwrap()
    }

    pub(super) fn transfer(&self, command: TransferCommand) -> Result<DocumentId, CommandFailed> {
        self.run(|draft| execute(draft, command))
    }

    pub(super) fn offer(&self, project: DocumentId, to: &str) -> Result<DocumentId, CommandFailed> {
        let offer = Offer {
            project,
            to: Territory::parse(to).unwrap(),
            reason: "residence".to_owned(),
            note: Some("chiamare il mattino".to_owned()),
            expires_on: None,
        };
        let records = super::super::gather::subject_of(&self.core, project)?;
        let by = "op".to_owned();
        self.transfer(TransferCommand::Offer { offer, records, by })
    }

    pub(super) fn accept(&self, id: DocumentId) -> Result<DocumentId, CommandFailed> {
        self.accept_as(id, Arrival::Unsaid)
    }

    pub(super) fn accept_as(
        &self,
        id: DocumentId,
        arrival: Arrival,
    ) -> Result<DocumentId, CommandFailed> {
        let by = "op".to_owned();
        self.transfer(TransferCommand::Accept { id, arrival, by })
    }

    pub(super) fn refuse(&self, id: DocumentId) -> Result<DocumentId, CommandFailed> {
        let (by, reason) = ("op".to_owned(), "altrove".to_owned());
        self.transfer(TransferCommand::Refuse { id, reason, by })
    }

    pub(super) fn withdraw(&self, id: DocumentId) -> Result<DocumentId, CommandFailed> {
        let by = "op".to_owned();
        self.transfer(TransferCommand::Withdraw { id, by })
    }

    pub(super) fn fields(&self, kind: Kind, id: DocumentId) -> Option<Value> {
        read::record(&self.core, kind, id)
            .ok()
            .map(|view| view.fields)
    }

    pub(super) fn state(&self, kind: Kind, id: DocumentId) -> String {
        let fields = self.fields(kind, id).unwrap_or_default();
        fields["state"].as_str().unwrap_or("none").to_owned()
    }

    pub(super) fn ids(&self, kind: Kind) -> BTreeSet<DocumentId> {
        let rows =
            self.core
                .store
                .scan(crate::store::Table::Rows, &[kind.code()], None, usize::MAX);
        let rows = rows.unwrap().into_iter();
        rows.map(|(key, _)| DocumentId::from_bytes(*key.last_chunk().unwrap()))
            .collect()
    }

    /// Everything on the disk, and every record that this node can open.
    pub(super) fn holds(&self, word: &str) -> bool {
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
    let vault = Vault::in_memory(
        node::lineage(&store).unwrap(),
        &MemoryKeys::new(seed),
        &seed,
    );
    let key = NodeKey::from_seed(seed);
    let (clock, entropy) = (Arc::clone(clock) as Arc<dyn Clock>, Arc::new(SystemEntropy));
    Arc::new(node::assemble(config.clone(), key, store, vault, clock, entropy).unwrap())
}

/// Hands over what one node offers another, at most so many entries of each log; it lies there
/// until the other takes it in.
fn deliver(from: &Station, to: &Station, most: usize, takes: impl Fn(LogId) -> bool) {
    let ledger = from.core.ledger();
    let Some(between) = Between::of(&from.core, &ledger, &to.core.id) else {
        return;
    };
    for head in between.heads() {
        if !takes(head.log) {
            continue;
        }
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
}

pub(super) fn futures_now<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(work)
}

/// A coordination, three districts, and a second node of the second.
pub(super) struct World {
    pub(super) clock: Arc<Hands>,
    pub(super) stations: Vec<Station>,
}

pub(super) const COORDINATION: usize = 0;
pub(super) const A: usize = 1;
pub(super) const B: usize = 2;
pub(super) const C: usize = 3;
pub(super) const LAPTOP: usize = 4;
pub(super) const LINKS: [(usize, usize); 4] = [
    (COORDINATION, A),
    (COORDINATION, B),
    (COORDINATION, C),
    (B, LAPTOP),
];

impl World {
    pub(super) fn new() -> Self {
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

    pub(super) fn join(&self, above: usize, below: usize) {
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
        above
            .run(|draft| peers::execute(draft, invite, "administrator"))
            .unwrap();
        let redeem = PeerCommand::Redeem { one_time, request };
        above
            .run(|draft| peers::execute(draft, redeem, "administrator"))
            .unwrap();
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
            .run(|draft| peers::execute(draft, PeerCommand::Adopt { sponsor }, "administrator"))
            .unwrap();
    }

    pub(super) fn deliver(&self, from: usize, to: usize, most: usize) {
        deliver(&self.stations[from], &self.stations[to], most, |_| true);
    }

    /// What one node said to other territories alone; the rest comes later.
    pub(super) fn ship_pairs(&mut self, from: usize, to: usize) {
        let takes = |log: LogId| log.lane >= 16;
        deliver(&self.stations[from], &self.stations[to], usize::MAX, takes);
        self.stations[to].settle();
    }

    /// All but what one node said to another territory, which comes later.
    pub(super) fn ship_but(&mut self, from: usize, to: usize, late: usize) {
        let late = self.stations[late].core.id.origin();
        let takes = |log: LogId| log.origin != late || log.lane < 16;
        deliver(&self.stations[from], &self.stations[to], usize::MAX, takes);
        self.stations[to].settle();
    }

    pub(super) fn revoke(&self, at: usize, whom: usize) {
        let revoke = PeerCommand::Move {
            key: self.stations[whom].core.id,
            to: MemberState::Revoked,
            reason: Some("lost".to_owned()),
        };
        let revoked = self.stations[at].run(|draft| peers::execute(draft, revoke, "administrator"));
        revoked.unwrap();
    }

    /// Everything between all but the second node of the receiver.
    pub(super) fn ship_without_laptop(&mut self) {
        for _ in 0..6 {
            for (above, below) in [LINKS[0], LINKS[1], LINKS[2]] {
                self.ship(below, above, usize::MAX);
                self.ship(above, below, usize::MAX);
            }
        }
    }

    pub(super) fn ship(&mut self, from: usize, to: usize, most: usize) {
        self.deliver(from, to, most);
        self.stations[to].settle();
        let stopped = &self.stations[to].core.ledger().stopped;
        assert!(stopped.is_empty(), "at {to}: {stopped:?}");
    }

    /// Until nobody has anything that another may have and has not.
    pub(super) fn ship_all(&mut self) {
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

    /// A world in which the first district has offered a project to the second: the project and its
    /// transfer, of which nobody else has heard yet.
    pub(super) fn offered() -> (Self, DocumentId, DocumentId) {
        let world = Self::new();
        let project = world.project();
        let id = world.stations[A].offer(project, "f/b").unwrap();
        (world, project, id)
    }

    pub(super) fn project(&self) -> DocumentId {
        let person = self.stations[A].make(
            Kind::Person,
            &json!({"ref": "P-1", "given_name": "Canaria", "family_name": "Uccellini",
                    "fiscal_code": "RSSMRA85T10A562S", "born_on": "1985-12-10", "household": "N-1"}),
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
    pub(super) fn states(&self, project: DocumentId) -> (String, Vec<String>) {
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

    /// Never editable copies in two districts, and never none that lives: either the sender's, open
    /// or locked, or an open one of the receiver. Two nodes of the receiver that accepted without
    /// knowing of each other may both have one, until they hear.
    pub(super) fn check(&self, project: DocumentId, what: &str) {
        let (old, made) = self.states(project);
        let editable = |state: &str| !state.starts_with("transfer");
        let new = made.iter().any(|state| editable(state));
        assert!(
            !(editable(&old) && new),
            "{what}: two can be edited, {old} and {made:?}"
        );
        assert!(
            new || (made.is_empty() && old != "transferred"),
            "{what}: none is left, {old} and {made:?}"
        );
    }

    /// The projects that take an edit somewhere, tried.
    pub(super) fn edited(&self) -> BTreeSet<DocumentId> {
        // A member that nobody has yet: saying again what stands is no edit.
        let member: [u8; 8] = crate::clock::draw(&SystemEntropy);
        let path = format!("/team/{}", data_encoding::HEXLOWER.encode(&member));
        let edit = json!([{"op": "add", "path": path, "value": {"body": "SSD"}}]);
        let patch = Patch::parse(&edit).unwrap();
        let mut edited = BTreeSet::new();
        for station in &self.stations {
            for id in station.ids(Kind::Project) {
                let patch = |draft: &mut Draft<'_>| {
                    local::patch(draft, Kind::Project, id, &patch, None, "op")
                };
                if station.run(patch).is_ok() {
                    edited.insert(id);
                }
            }
        }
        edited
    }

    /// Nobody but the two districts holds who it is, and the third knows of no transfer at all.
    pub(super) fn check_secrecy(&self, what: &str) {
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

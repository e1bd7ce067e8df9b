//! A node on an older copy of its disk: what was lost comes back, what was made since goes behind it.

use raccordo_transport::{PeerId, Rollback, Side};

use super::super::recovery;
use super::super::stored::Reading;
use super::super::task::Note;
use super::super::{local, report};
use super::*;
use crate::clock::{Clock, draw};
use crate::store::seal::Vault;
use crate::store::{Batch, MemoryDisk, Moment, Store, Table, Unsynced};

const PROVINCE: PeerId = PeerId::from_bytes([7; 32]);

/// A district's office whose disk can be copied and put back.
pub(super) struct Office {
    keys: tempfile::TempDir,
    pub(super) disk: MemoryDisk,
}

impl Office {
    pub(super) fn new() -> Self {
        let disk = MemoryDisk::new();
        let mut founding = Batch::new();
        founding.put(Table::Meta, *b"lineage", [3; 8]);
        Store::on_memory_disk(&disk, 0)
            .unwrap()
            .commit(founding)
            .unwrap();
        Self {
            keys: tempfile::tempdir().unwrap(),
            disk,
        }
    }

    /// Starts the node as it is on this disk.
    pub(super) fn start(&self, disk: &MemoryDisk) -> Bench {
        self.start_by(disk, Arc::new(SystemClock::start()))
    }

    /// The folder of its keys at rest.
    pub(super) fn key_files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.keys.path().join("keys")).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// As [`Office::start`], by this clock.
    pub(super) fn start_by(&self, disk: &MemoryDisk, clock: Arc<dyn Clock>) -> Bench {
        let settings = InitialSettings {
            territory: Territory::parse("frosinone/a").unwrap(),
            role: Role::District,
            name: "Ufficio".to_owned(),
            listen: "127.0.0.1:0".parse().unwrap(),
            http: "127.0.0.1:0".parse().unwrap(),
            advertise: None,
            engine: StoreEngine::Sled,
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("raccordo.toml");
        std::fs::write(&path, raccordo_config::template(&settings)).unwrap();
        let config = raccordo_config::load(&path).unwrap();
        let store = Store::on_memory_disk(disk, 0).unwrap();
        let vault = Vault::open(&self.keys.path().join("keys"), [3; 8], &SystemEntropy).unwrap();
        let core = node::assemble(
            config,
            NodeKey::from_seed([1; 32]),
            store,
            vault,
            clock,
            Arc::new(SystemEntropy),
        );
        Bench {
            core: Arc::new(core.unwrap()),
            inbox: Inbox::default(),
            facts: AtomicU64::new(1),
            folder,
        }
    }
}

impl Bench {
    fn own(&self) -> LogId {
        self.core.own_log(0)
    }

    /// Writes so many records, one command each.
    fn write(&self, count: u8) {
        for _ in 0..count {
            let reference: [u8; 4] = draw(&SystemEntropy);
            let fields = json!({
                "ref": format!("FR-{reference:02x?}"), "state": "planning", "need_area": "POV",
                "opened_on": "2026-03-04", "subject": {"kind": "person", "token": "t-1"},
            });
            let mut draft = Draft::new(&self.core);
            local::create(&mut draft, Kind::Project, &fields, "op-1").unwrap();
            commit::commit(draft).unwrap();
        }
    }

    /// The province acknowledges all that there is.
    fn acknowledge(&self) {
        let note = Note::Acknowledged {
            peer: PROVINCE,
            cursor: self.core.ledger().cursor(self.own()),
            at_ms: 1,
        };
        let mut draft = Draft::new(&self.core);
        commit::notes(&mut draft, [&note].into_iter());
        commit::commit(draft).unwrap();
    }

    fn log(&self) -> Vec<SignedEntry> {
        let mut reading = Reading::new(&self.core);
        reading.entries(self.own(), 0, 10_000, 1 << 30).unwrap()
    }

    fn begin(&self, held: u64) {
        self.begin_at(held, None);
    }

    fn begin_at(&self, held: u64, held_hash: Option<[u8; 32]>) {
        let rollback = Rollback {
            log: self.own(),
            held_seq: held,
            held_hash,
            head_seq: self.core.ledger().end(self.own()).seq,
            whose: Side::Ours,
        };
        recovery::begin(&self.core, PROVINCE, &rollback);
    }

    /// What the province gives back now: entries of the true log behind the cursor asked for.
    fn compare(&self, truth: &[SignedEntry]) -> Vec<SignedEntry> {
        let wanted = recovery::recover(&self.core.ledger(), &PROVINCE);
        let Some(from) = wanted.first() else {
            return Vec::new();
        };
        let behind = truth.iter().filter(|entry| entry.header.seq > from.seq);
        let before = truth.iter().find(|entry| entry.header.seq == from.seq);
        assert_eq!(before.map_or([0; 32], SignedEntry::entry_hash), from.hash);
        let end = self.core.ledger().end(self.own()).seq;
        let new = recovery::compare(&self.core, behind.cloned().collect()).unwrap();
        if self.core.ledger().end(self.own()).seq < end {
            self.inbox
                .drop_log(self.own(), self.core.ledger().end(self.own()).seq);
        }
        new
    }

    async fn take_back(&self, entries: Vec<SignedEntry>) {
        let delivery = Delivery {
            log: self.own(),
            peer: PROVINCE,
            entries,
        };
        let held = self.core.ledger().end(self.own()).seq;
        assert_eq!(self.inbox.put(delivery, held, 0).await, Put::Queued);
        self.settle();
    }

    /// All of it, as a link and the writer do it.
    async fn recover(&self, truth: &[SignedEntry]) {
        self.begin(truth.len() as u64);
        let new = self.compare(truth);
        self.take_back(new).await;
        recovery::finish_if_complete(&self.core);
    }

    fn is_closed(&self) -> bool {
        report::writes_problem(&self.core, &self.core.ledger()).is_some()
    }
}

#[tokio::test]
async fn what_was_lost_comes_back_and_nothing_is_written_meanwhile() {
    let office = Office::new();
    let node = office.start(&office.disk);
    node.write(3);
    node.acknowledge();
    let copy = office.disk.copy();
    node.write(3);
    let truth = node.log();
    let (homes, counts) = (
        node.core.ledger().homes.clone(),
        node.core.ledger().counts.clone(),
    );

    let node = office.start(&copy);
    let before = node.core.incarnation();
    assert!(!node.is_closed());
    node.begin(6);
    assert!(node.is_closed());
    let wanted = recovery::recover(&node.core.ledger(), &PROVINCE);
    assert_eq!((wanted[0].seq, wanted[0].hash), (3, truth[2].entry_hash()));
    // A restart forgets nothing of it.
    let node = office.start(&copy);
    assert!(node.is_closed());
    node.recover(&truth).await;
    assert!(!node.is_closed());
    assert_eq!(node.log(), truth);
    assert_eq!(node.core.ledger().homes, homes);
    assert_eq!(node.core.ledger().counts, counts);
    assert_ne!(node.core.incarnation(), before);
    node.write(1);
    assert_eq!(node.log()[..6], truth);
}

#[test]
fn a_report_that_comes_after_what_was_lost_is_back_changes_nothing() {
    let office = Office::new();
    let node = office.start(&office.disk);
    node.write(3);
    let held = node.log()[1].entry_hash();
    node.begin_at(2, Some(held));
    assert!(!node.is_closed());
    node.begin_at(2, Some([7; 32]));
    assert!(node.is_closed());
}

#[tokio::test]
async fn what_was_made_since_goes_behind_what_was_lost_with_the_same_content() {
    let office = Office::new();
    let node = office.start(&office.disk);
    node.write(3);
    node.acknowledge();
    node.write(1);
    let copy = office.disk.copy();
    node.write(2);
    let truth = node.log();

    let node = office.start(&copy);
    let since = node.core.incarnation();
    node.write(3);
    let made = node.log()[4..].to_vec();
    node.recover(&truth).await;
    assert!(!node.is_closed());
    let log = node.log();
    assert_eq!(log.len(), 9);
    assert_eq!(log[..6], truth);
    for (again, made) in log[6..].iter().zip(&made) {
        assert_eq!(again.body, made.body);
        assert_eq!(again.header.document, made.header.document);
        assert_eq!(again.header.incarnation, since);
    }
    assert_ne!(node.core.incarnation(), since);
    assert_eq!(node.core.ledger().totals.entries, 9);

    // Whoever takes the whole log in comes to the same.
    let author = Author {
        key: NodeKey::from_seed([1; 32]),
        territory: "frosinone/a".to_owned(),
        entries: log,
    };
    let province = Bench::coordination(&[&author]);
    province.take(&author).await;
    assert_eq!(province.held(&author), 9);
    assert_eq!(province.core.ledger().homes, node.core.ledger().homes);
}

#[tokio::test]
async fn a_record_made_since_the_copy_can_still_be_changed_and_erased() {
    let office = Office::new();
    let node = office.start(&office.disk);
    node.write(1);
    node.acknowledge();
    let copy = office.disk.copy();
    node.write(2);
    let truth = node.log();
    let node = office.start(&copy);
    node.write(1);
    let id = DocumentId::from_bytes(node.log()[1].header.document);
    node.recover(&truth).await;
    let origins = node.core.change_origins(id).unwrap();
    assert_eq!(origins[0].seq, 4);
    let mut draft = Draft::new(&node.core);
    super::super::tombstone::erase(&mut draft, Kind::Project, id, "su richiesta", "op-1").unwrap();
    commit::commit(draft).unwrap();
    let log = node.log();
    assert_eq!(log.len(), 5);
    assert_eq!(log[3].body, None);
    assert_eq!(node.projects("frosinone/a"), 3);
}

#[tokio::test]
async fn a_power_cut_at_any_step_of_a_recovery_loses_nothing() {
    let office = Office::new();
    let node = office.start(&office.disk);
    node.write(2);
    node.acknowledge();
    let copy = office.disk.copy();
    node.write(2);
    let truth = node.log();
    let since = office.start(&copy);
    since.write(2);
    let made: Vec<_> = since.log()[2..]
        .iter()
        .map(|entry| entry.body.clone())
        .collect();
    drop(since);

    for step in 0..4 {
        for moment in Moment::ALL {
            for unsynced in [Unsynced::Lost, Unsynced::Kept, Unsynced::Torn] {
                let disk = copy.copy();
                let node = office.start(&disk);
                let arm = |at: u32| {
                    if at == step {
                        disk.cut_power_at(moment);
                    }
                };
                arm(0);
                node.begin(4);
                arm(1);
                let new = node.compare(&truth);
                arm(2);
                if !new.is_empty() {
                    node.take_back(new).await;
                }
                arm(3);
                recovery::finish_if_complete(&node.core);

                let case = format!("step {step}, {moment:?}, {unsynced:?}");
                let node = office.start(&disk.after_power_cut(unsynced));
                let begun = node.is_closed();
                assert!(begun || step == 0 || step == 3, "{case}");
                // The link tells again, unless there is nothing left to tell.
                if begun || node.log().get(..4) != Some(&truth) {
                    node.recover(&truth).await;
                }
                assert!(!node.is_closed(), "{case}");
                let log = node.log();
                assert_eq!(log[..4], truth, "{case}");
                let again: Vec<_> = log[4..].iter().map(|entry| entry.body.clone()).collect();
                assert_eq!(again, made, "{case}");
                assert_eq!(node.projects("frosinone/a"), 6, "{case}");
            }
        }
    }
}

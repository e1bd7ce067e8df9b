//! Runs and their readers on a whole engine at rest: real store, real signatures.

use std::sync::Arc;

use raccordo_config::{InitialSettings, Role, StoreEngine, Territory};
use raccordo_crdt_model::{DocumentId, ImportLine, Kind, LineId, Patch};
use raccordo_transport::{SignedEntry, verify};
use serde_json::json;

use super::commit::commit;
use super::core::{Core, LANE_SHARED};
use super::draft::Draft;
use super::entry_run::BodyPlace;
use super::stored::Reading;
use super::{Engine, ImportSession, ImportText, Node, NodeOptions, Principal, StartFailed, found};
use crate::clock::{SystemClock, SystemEntropy};
use crate::store::seal::Vault;
use crate::store::{Batch, Options, Store, Table};

struct AtRest {
    folder: tempfile::TempDir,
    node: Node,
}

impl AtRest {
    async fn found() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free = "127.0.0.1:0".parse().unwrap();
        let settings = InitialSettings {
            territory: Territory::parse("frosinone/a").unwrap(),
            role: Role::District,
            name: "A".to_owned(),
            listen: free,
            http: free,
            advertise: None,
            engine: StoreEngine::Redb,
        };
        found::init(&folder.path().join("node"), &settings).unwrap();
        let node = start(&folder).await.unwrap();
        Self { folder, node }
    }

    fn engine(&self) -> Engine {
        self.node.engine()
    }
}

async fn start(folder: &tempfile::TempDir) -> Result<Node, StartFailed> {
    let data = folder.path().join("node");
    let config = raccordo_config::load(&data.join("raccordo.toml")).unwrap();
    let options = NodeOptions {
        data,
        config,
        offline: true,
    };
    Node::start(
        options,
        Arc::new(SystemClock::start()),
        Arc::new(SystemEntropy),
    )
    .await
}

/// Lines of so many records: a create and edits of each, record after record and round by round.
fn lines(records: u32, edits: u32) -> Vec<ImportText> {
    let create = |record: u32| {
        format!(
            r#"{{"op":"create","kind":"project","ref":"A-{record}","at":"2025-01-02T08:00:00Z","by":"op-1","doc":{{"need_area":"POV","opened_on":"2025-01-02","subject":{{"kind":"person","token":"T-{record}"}}}}}}"#
        )
    };
    let edit = |record: u32, round: u32| {
        format!(
            r#"{{"op":"patch","kind":"project","ref":"A-{record}","at":"2025-02-02T08:00:00Z","by":"op-1","patch":[{{"op":"add","path":"/next_review_on","value":"2025-03-{round:02}"}}]}}"#
        )
    };
    let creates = (1..=records).map(create);
    let edits = (1..=edits).flat_map(|round| (1..=records).map(move |record| edit(record, round)));
    (1..)
        .zip(creates.chain(edits))
        .map(|(number, text)| ImportText { number, text })
        .collect()
}

async fn imported(engine: &Engine, records: u32, edits: u32) {
    let mut session = ImportSession::default();
    let lines = lines(records, edits);
    let count = u64::try_from(lines.len()).unwrap();
    let report = engine
        .import(lines, &Principal::office("op"), false, &mut session)
        .await
        .unwrap();
    assert_eq!(
        (report.created + report.changed, report.rejects),
        (count, vec![])
    );
}

/// Sets the day of a record's next review.
async fn edit(engine: &Engine, id: DocumentId, day: &str) {
    let by = Principal::office("op");
    let steps = json!([{"op": "add", "path": "/next_review_on", "value": day}]);
    let patch = Patch::parse(&steps).unwrap();
    let edited = engine.patch(Kind::Project, id, patch, None, &by);
    edited.await.unwrap();
}

fn all_entries(core: &Core, portion: usize) -> Vec<SignedEntry> {
    let log = core.own_log(LANE_SHARED);
    let mut entries: Vec<SignedEntry> = Vec::new();
    loop {
        let after = entries.last().map_or(0, |entry| entry.header.seq);
        let mut reading = Reading::new(core);
        let next = reading.entries(log, after, portion, 1 << 20).unwrap();
        if next.is_empty() {
            return entries;
        }
        entries.extend(next);
    }
}

fn rows(core: &Core, table: Table) -> usize {
    core.store.scan(table, &[], None, usize::MAX).unwrap().len()
}

async fn resolved(engine: &Engine, reference: &str) -> DocumentId {
    engine
        .resolve(Kind::Project, reference, None)
        .await
        .unwrap()
}

#[tokio::test]
async fn an_import_takes_a_row_of_changes_a_record_and_few_rows_of_entries() {
    let at_rest = AtRest::found().await;
    imported(&at_rest.engine(), 100, 6).await;
    let core = Arc::clone(&at_rest.engine().core);
    assert_eq!(rows(&core, Table::Changes), 100);
    assert_eq!(rows(&core, Table::Lines), 100);
    assert!(
        rows(&core, Table::Entries) < 10,
        "{}",
        rows(&core, Table::Entries)
    );
    at_rest.node.stop().await;
}

#[tokio::test]
async fn every_entry_is_read_back_as_it_was_signed_in_portions_of_any_size() {
    let at_rest = AtRest::found().await;
    let engine = at_rest.engine();
    imported(&engine, 60, 4).await;
    let id = resolved(&engine, "A-7").await;
    for day in ["2025-05-01", "2025-05-02"] {
        edit(&engine, id, day).await;
    }
    let core = Arc::clone(&engine.core);
    let whole = all_entries(&core, usize::MAX);
    assert_eq!(whole.len(), 302);
    let mut prev = [0; 32];
    for (seq, entry) in (1..).zip(&whole) {
        assert_eq!((entry.header.seq, entry.header.prev), (seq, prev));
        prev = entry.entry_hash();
        verify(entry.clone(), &core.id).unwrap();
    }
    for portion in [1, 7, 200] {
        assert_eq!(all_entries(&core, portion), whole, "{portion}");
    }
    let mut reading = Reading::new(&core);
    for entry in [&whole[0], &whole[301], &whole[150], &whole[151]] {
        let found = reading.entry(entry.header.log(), entry.header.seq).unwrap();
        assert_eq!(found.unwrap().signed, entry.signed_header());
    }
    assert_eq!(reading.entry(whole[0].header.log(), 303).unwrap(), None);
    at_rest.node.stop().await;
}

#[tokio::test]
async fn what_was_imported_is_known_when_it_comes_again_in_other_portions() {
    let at_rest = AtRest::found().await;
    let engine = at_rest.engine();
    imported(&engine, 20, 3).await;
    let mut session = ImportSession::default();
    for portion in lines(20, 4).chunks(33) {
        let report = engine
            .import(
                portion.to_vec(),
                &Principal::office("op"),
                false,
                &mut session,
            )
            .await
            .unwrap();
        let fresh = portion.iter().filter(|line| line.number > 80).count();
        assert_eq!(report.changed, u64::try_from(fresh).unwrap());
        assert_eq!(report.already_present + report.changed, report.lines);
    }
    at_rest.node.stop().await;
}

#[tokio::test]
async fn no_row_tests_a_guess_at_an_imported_line_not_even_after_an_erasure() {
    let at_rest = AtRest::found().await;
    let engine = at_rest.engine();
    imported(&engine, 3, 2).await;
    let by = Principal::office("op");
    let id = resolved(&engine, "A-2").await;
    engine
        .erase(Kind::Project, id, "the period is over", &by)
        .await
        .unwrap();
    let guesses: Vec<LineId> = lines(3, 2)
        .iter()
        .map(|line| LineId::of(&ImportLine::parse(&line.text).unwrap().1, 0))
        .collect();
    assert_eq!(rows(&engine.core, Table::Lines), 3);
    for table in Table::ALL {
        let all = engine.core.store.scan(table, &[], None, usize::MAX);
        for (key, value) in all.unwrap() {
            for guess in &guesses {
                let short = &guess.as_bytes()[..16];
                let holds = |bytes: &[u8]| bytes.windows(16).any(|window| window == short);
                assert!(!holds(&key) && !holds(&value), "{table:?}");
            }
        }
    }
    at_rest.node.stop().await;
}

#[tokio::test]
async fn erased_bodies_are_gone_from_the_store_and_every_header_stays() {
    let at_rest = AtRest::found().await;
    let engine = at_rest.engine();
    imported(&engine, 40, 5).await;
    let id = resolved(&engine, "A-3").await;
    edit(&engine, id, "2026-01-01").await;
    let core = Arc::clone(&engine.core);
    let whole = all_entries(&core, 1_000);
    // In the draft that erases stand entries of its own: one more of the document, one of another.
    let other = whole
        .iter()
        .find(|entry| entry.header.document != *id.as_bytes());
    let other = DocumentId::from_bytes(other.unwrap().header.document);
    let mut draft = Draft::new(&core);
    for id in [id, other] {
        assert!(draft.holds(id).unwrap());
        let hash = raccordo_crdt_model::ChangeHash::from_bytes([9; 32]);
        let change = super::draft::NewChange {
            hash,
            bytes: b"of this draft",
        };
        draft.append_own(id, &change, None);
    }
    assert_eq!(draft.erase_bodies(id).unwrap(), 8);
    commit(draft).unwrap();
    assert_eq!(core.change_origins(id).unwrap(), []);
    let mut reading = Reading::new(&core);
    for entry in &whole {
        let stored = reading.entry(entry.header.log(), entry.header.seq);
        let stored = stored.unwrap().unwrap();
        assert_eq!(stored.signed, entry.signed_header());
        let erased = stored.body == BodyPlace::Erased;
        assert_eq!(erased, entry.header.document == *id.as_bytes());
    }
    let log = core.own_log(LANE_SHARED);
    let own = [1, 2].map(|n| reading.entry(log, 241 + n).unwrap());
    let own = own.map(|entry| entry.map(|entry| entry.body));
    assert_eq!(own, [Some(BodyPlace::Erased), Some(BodyPlace::Change(6))]);
    assert_eq!(reading.body(other, 6).unwrap(), b"of this draft");
    at_rest.node.stop().await;
}

#[tokio::test]
async fn a_store_with_rows_of_another_layout_is_refused_with_a_sentence() {
    let AtRest { folder, node } = AtRest::found().await;
    node.stop().await;
    let path = folder.path().join("node").join("store");
    let options = Options {
        engine: StoreEngine::Redb,
        ..Options::default()
    };
    let store = Store::open(&path, &options).unwrap();
    let mut batch = Batch::new();
    batch.delete(Table::Meta, *b"layout");
    store.commit(batch).unwrap();
    drop(store);
    let refused = start(&folder).await.unwrap_err();
    assert!(
        matches!(refused, StartFailed::Layout { seen: 1, known: 3 }),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_store_with_plain_lines_is_brought_up_to_this_layout_at_the_start() {
    let AtRest { folder, node } = AtRest::found().await;
    imported(&node.engine(), 2, 1).await;
    node.stop().await;
    let path = folder.path().join("node").join("store");
    let options = Options {
        engine: StoreEngine::Redb,
        ..Options::default()
    };
    let store = Store::open(&path, &options).unwrap();
    let mut batch = Batch::new();
    for (key, _) in store.scan(Table::Lines, &[], None, usize::MAX).unwrap() {
        batch.delete(Table::Lines, key);
    }
    let known = &lines(2, 1)[0];
    let (line, canonical) = ImportLine::parse(&known.text).unwrap();
    let plain = &LineId::of(&canonical, 0).as_bytes()[..16].to_vec();
    let vault = Vault::open(
        &folder.path().join("node").join("keys"),
        super::node::lineage(&store).unwrap(),
        &SystemEntropy,
    )
    .unwrap();
    let named = ["project", "\0", "frosinone/a", "\0", &line.reference].concat();
    let reference = vault.keyed_hash("reference", named.as_bytes());
    let row = [&[2], plain.as_slice()].concat();
    batch.put(Table::Lines, [&reference, plain.as_slice()].concat(), row);
    batch.put(Table::Meta, *b"layout", [2]);
    store.commit(batch).unwrap();
    drop((store, vault));
    let node = start(&folder).await.unwrap();
    let engine = node.engine();
    assert_eq!(found::layout(&engine.core.store).unwrap(), 3);
    let by = Principal::office("op");
    let mut session = ImportSession::default();
    let again = vec![known.clone()];
    let report = engine.import(again, &by, false, &mut session).await;
    assert_eq!(report.unwrap().already_present, 1);
    node.stop().await;
}

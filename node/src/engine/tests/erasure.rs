//! Tombstones: what they take away, what stays, and what comes too late.

use raccordo_transport::StopCode;

use super::super::stored::Reading;
use super::super::task::Done;
use super::super::view::CommandFailed;
use super::super::{erasures, local, quarantine, tombstone};
use super::*;
use crate::store::Table;

fn rows(bench: &Bench, table: Table) -> usize {
    bench
        .core
        .store
        .scan(table, &[], None, usize::MAX)
        .unwrap()
        .len()
}

#[tokio::test]
async fn an_erased_record_leaves_headers_and_its_tombstone_and_nothing_else() {
    let mut a = Author::new(1, "frosinone/a");
    a.create(1);
    let bench = Bench::coordination(&[&a]);
    bench.take(&a).await;
    let before = bench.core.ledger();
    let mut document = a.create(2);
    a.edit(&mut document, "/need_area", &json!("FAM"));
    bench.take(&a).await;
    assert_eq!(bench.projects("frosinone/a"), 2);
    a.erase(2);
    bench.take(&a).await;
    let after = bench.core.ledger();
    assert_eq!(after.counts, before.counts);
    assert_eq!(after.homes, before.homes);
    assert_eq!(after.totals.persons, before.totals.persons);
    assert_eq!(after.totals.documents, 1);
    assert!(bench.core.look(document.id()).unwrap().is_none());
    assert!(bench.core.document_key(document.id()).is_err());
    for table in [
        Table::Documents,
        Table::Rows,
        Table::References,
        Table::Changes,
    ] {
        assert_eq!(rows(&bench, table), 1, "{}", table.name());
    }
    assert_eq!(bench.held(&a), 4);
    assert_eq!(after.end(a.log(0)).hash, a.entries[3].entry_hash());
    let gone = tombstone::gone(&bench.core, Kind::Project, document.id());
    assert!(gone.unwrap_err().to_string().contains("2026-05-28"));
    let last = Reading::new(&bench.core)
        .entries(a.log(0), 3, 1, 1 << 20)
        .unwrap();
    assert_eq!(last, a.entries[3..]);
}

#[tokio::test]
async fn what_comes_too_late_for_an_erased_record_stands_in_the_chain_and_is_never_applied() {
    let (mut office, mut laptop) = (Author::new(1, "frosinone/a"), Author::new(2, "frosinone/a"));
    let mut document = office.create(1);
    laptop.edit(&mut document, "/need_area", &json!("FAM"));
    laptop.create(2);
    office.erase(1);
    let bench = Bench::coordination(&[&office, &laptop]);
    bench.take(&office).await;
    bench.take(&laptop).await;
    assert_eq!((bench.held(&office), bench.held(&laptop)), (2, 2));
    assert_eq!(bench.projects("frosinone/a"), 1);
    assert!(bench.core.look(document.id()).unwrap().is_none());
}

#[tokio::test]
async fn a_record_is_erased_by_its_own_territory_alone() {
    let (mut a, mut b) = (Author::new(1, "frosinone/a"), Author::new(2, "frosinone/b"));
    a.create(1);
    b.erase(1);
    let bench = Bench::coordination(&[&a, &b]);
    // Nothing is known of the record yet: the tombstone waits, and is judged when it is.
    bench.take(&b).await;
    assert_eq!(bench.inbox.waiting().len(), 1);
    bench.take(&a).await;
    assert_eq!(bench.projects("frosinone/a"), 1);
    let ledger = bench.core.ledger();
    let stop = quarantine::stop_of(&ledger, b.log(0)).unwrap();
    assert_eq!((stop.code, stop.seq), (StopCode::Refused, 1));
    assert!(ledger.erased.is_empty());
}

#[tokio::test]
async fn a_second_tombstone_changes_nothing() {
    let (mut office, mut laptop) = (Author::new(1, "frosinone/a"), Author::new(2, "frosinone/a"));
    office.create(1);
    office.erase(1);
    laptop.erase(1);
    let bench = Bench::coordination(&[&office, &laptop]);
    bench.take(&office).await;
    let before = bench.core.ledger().counts.clone();
    bench.take(&laptop).await;
    assert_eq!(bench.held(&laptop), 1);
    assert_eq!(bench.core.ledger().counts, before);
    assert_eq!(tombstone::receipts(&bench.core).unwrap().len(), 1);
}

#[tokio::test]
async fn after_the_next_start_an_old_copy_of_the_store_no_longer_opens_what_was_erased() {
    let mut a = Author::new(1, "frosinone/a");
    let kept = a.create(1).id();
    let erased = a.create(2).id();
    let bench = Bench::coordination(&[&a]);
    bench.take(&a).await;
    let old = bench
        .core
        .store
        .get(Table::Keys, erased.as_bytes())
        .unwrap()
        .unwrap();
    a.erase(2);
    bench.take(&a).await;
    assert!(
        bench.core.vault.unwrap(*erased.as_bytes(), &old).is_ok(),
        "the epoch's key is there"
    );
    let folder = bench.stop();
    let bench = Bench::open(folder);
    assert!(bench.core.vault.unwrap(*erased.as_bytes(), &old).is_err());
    assert!(bench.core.look(kept).unwrap().is_some());
    assert_eq!(bench.projects("frosinone/a"), 1);
    let folder = bench.stop();
    assert!(Bench::open(folder).core.look(kept).unwrap().is_some());
}

#[tokio::test]
async fn the_words_of_an_erasure_stay_at_the_node_that_ordered_it() {
    let bench = Bench::coordination(&[]);
    let mut draft = Draft::new(&bench.core);
    let fields = json!({"ref": "LG-1", "title": "Reti", "state": "draft", "type": "protocol", "version": "1"});
    let Done::Record(id) = local::create(&mut draft, Kind::Guideline, &fields, "op").unwrap()
    else {
        panic!("a record was made")
    };
    commit::commit(draft).unwrap();
    for (refused, why) in [
        ("  ", "1 to 500"),
        ("vale per RSSMRA85T10A562S", "fiscal code"),
    ] {
        let mut draft = Draft::new(&bench.core);
        let answer = tombstone::erase(&mut draft, Kind::Guideline, id, refused, "op");
        let answer = format!("{:?}", answer.unwrap_err());
        assert!(answer.contains(why), "{answer}");
    }
    let mut draft = Draft::new(&bench.core);
    tombstone::erase(&mut draft, Kind::Guideline, id, "chiesto da Ada", "op").unwrap();
    commit::commit(draft).unwrap();
    let [view] = tombstone::receipts(&bench.core)
        .unwrap()
        .try_into()
        .unwrap();
    assert_eq!(view.reason.as_deref(), Some("chiesto da Ada"));
    let certificate = erasures::certificate(&bench.core, &id.to_string()).unwrap();
    assert!(
        certificate.text.contains("chiesto da Ada"),
        "{}",
        certificate.text
    );
    let log = LogId::new(bench.core.id.origin(), 2);
    let sent = Reading::new(&bench.core).entries(log, view.seq - 1, 1, 1 << 20);
    let sent = sent.unwrap();
    let order = Order::decode(sent[0].bytes()).unwrap();
    assert_eq!(order.reason, "");
}

#[tokio::test]
async fn a_restart_still_knows_what_was_erased() {
    let mut a = Author::new(1, "frosinone/a");
    a.create(1);
    a.erase(1);
    let bench = Bench::coordination(&[&a]);
    bench.take(&a).await;
    let ledger = node::read_ledger(&bench.core.store, bench.core.party()).unwrap();
    assert!(ledger.erased.contains(&DocumentId::from_bytes([1; 16])));
    assert_eq!(ledger.counts, bench.core.ledger().counts);
}

#[tokio::test]
async fn a_record_is_neither_erased_nor_changed_as_one_of_another_kind() {
    let bench = Bench::coordination(&[]);
    let mut draft = Draft::new(&bench.core);
    let fields = json!({"ref": "LG-1", "title": "Reti", "state": "draft", "type": "protocol", "version": "1"});
    let made = local::create(&mut draft, Kind::Guideline, &fields, "op").unwrap();
    let Done::Record(id) = made else {
        panic!("a record was made")
    };
    commit::commit(draft).unwrap();
    let before = bench.core.look(id).unwrap().unwrap().heads();
    let patch = json!([{"op": "add", "path": "/title", "value": "Altro"}]);
    let patch = Patch::parse(&patch).unwrap();
    let mut draft = Draft::new(&bench.core);
    let changed = local::patch(&mut draft, Kind::Notice, id, &patch, None, "op");
    assert!(matches!(changed, Err(CommandFailed::NotFound { .. })));
    let erased = tombstone::erase(&mut draft, Kind::Notice, id, "prova", "op");
    assert!(matches!(erased, Err(CommandFailed::NotFound { .. })));
    commit::commit(draft).unwrap();
    assert_eq!(bench.core.look(id).unwrap().unwrap().heads(), before);
}

//! What was lost or damaged comes back from a peer, and nothing else comes with it.

use raccordo_crdt_model::{Document, DocumentId, Kind};
use raccordo_transport::reconcile::Item;
use raccordo_transport::wire::parcel::DocumentParcel;
use serde_json::json;

use super::super::between::Between;
use super::super::change_run::change_key;
use super::super::inbox::Delivery;
use super::super::repair::{self, RepairCommand};
use super::super::scrub;
use super::super::view::CommandFailed;
use super::super::{commit, read};
use super::{Author, Bench};
use crate::engine::draft::Draft;
use crate::store::{Batch, Table};

const ID: [u8; 16] = [1; 16];

/// An author with two records, the first edited twice, and two nodes that hold both.
async fn two_holders() -> (Author, Document, Bench, Bench) {
    let mut a = Author::new(1, "frosinone/a");
    let mut document = a.create(1);
    a.edit(&mut document, "/need_area", &json!("FAM"));
    a.create(2);
    a.edit(&mut document, "/state", &json!("review"));
    let one = Bench::coordination(&[&a]);
    let other = Bench::coordination(&[&a]);
    one.take(&a).await;
    other.take(&a).await;
    (a, document, one, other)
}

fn id() -> DocumentId {
    DocumentId::from_bytes(ID)
}

fn change_store(bench: &Bench, table: Table, key: Vec<u8>, value: Option<&[u8]>) {
    let mut batch = Batch::new();
    match value {
        Some(value) => batch.put(table, key, value),
        None => batch.delete(table, key),
    }
    bench.core.store.commit(batch).unwrap();
    bench.core.forget(id());
}

/// As a reader or the scrub reports it.
fn scrub_all(bench: &Bench) -> Vec<DocumentId> {
    let step = scrub::step(&bench.core, None, 100);
    assert_eq!(step.next, None);
    let found = step.damaged.iter().map(|(id, _)| *id).collect();
    run(bench, RepairCommand::Damaged(step.damaged));
    found
}

fn parcels(bench: &Bench, a: &Author) -> Vec<DocumentParcel> {
    repair::parcels(&bench.core, &a.key.public(), &[ID])
}

fn install(bench: &Bench, a: &Author, parcels: Vec<DocumentParcel>) {
    run(bench, RepairCommand::Install(a.key.public(), parcels));
}

fn run(bench: &Bench, command: RepairCommand) {
    let mut draft = Draft::new(&bench.core);
    repair::execute(&mut draft, command);
    commit::commit(draft).unwrap();
}

fn items(bench: &Bench, a: &Author) -> Vec<Item> {
    repair::items(&bench.core, &a.key.public()).unwrap()
}

fn is_damaged(bench: &Bench) -> bool {
    let read = read::record(&bench.core, Kind::Project, id());
    matches!(read, Err(CommandFailed::Damaged { .. }))
}

#[tokio::test]
async fn a_damaged_document_is_found_withheld_and_taken_from_a_peer_again() {
    let (mut a, mut document, one, other) = two_holders().await;
    let whole = items(&one, &a);
    assert_eq!(whole, items(&other, &a));
    assert!(scrub_all(&one).is_empty());
    let before = one.core.ledger();
    change_store(&one, Table::Changes, change_key(id(), 0), Some(b"rot"));
    assert_eq!(scrub_all(&one), [id()]);
    assert!(is_damaged(&one));
    assert!(parcels(&one, &a).is_empty());
    assert_eq!(items(&one, &a).len(), whole.len() - 1);
    install(&one, &a, parcels(&other, &a));
    assert!(!is_damaged(&one));
    assert!(scrub_all(&one).is_empty());
    assert_eq!(items(&one, &a), whole);
    let after = one.core.ledger();
    assert_eq!(after.counts, before.counts);
    assert_eq!(after.homes, before.homes);
    let held = one.core.look(id()).unwrap().unwrap();
    assert_eq!(held.heads(), document.heads());
    a.edit(&mut document, "/state", &json!("active"));
    one.take(&a).await;
    assert_eq!(one.held(&a), 5);
}

#[tokio::test]
async fn a_peer_hears_only_of_damaged_documents_that_it_may_have() {
    let (mut a, mut b) = (Author::new(1, "frosinone/a"), Author::new(2, "frosinone/b"));
    a.create(1);
    b.create(2);
    let bench = Bench::coordination(&[&a, &b]);
    bench.take(&a).await;
    bench.take(&b).await;
    for id in [1, 2] {
        let key = change_key(DocumentId::from_bytes([id; 16]), 0);
        change_store(&bench, Table::Changes, key, Some(b"rot"));
    }
    assert_eq!(scrub_all(&bench).len(), 2);
    let told = |bench: &Bench, author: &Author| {
        let ledger = bench.core.ledger();
        let between = Between::of(&bench.core, &ledger, &author.key.public()).unwrap();
        repair::wanted(&ledger, &between)
    };
    assert_eq!(
        (told(&bench, &a), told(&bench, &b)),
        (vec![ID], vec![[2; 16]])
    );
    let bench = Bench::open(bench.stop());
    assert_eq!(
        (told(&bench, &a), told(&bench, &b)),
        (vec![ID], vec![[2; 16]])
    );
    // Where not even the home can be told any more, nobody hears who might be of elsewhere.
    change_store(&bench, Table::Documents, ID.to_vec(), None);
    let bench = Bench::open(bench.stop());
    assert_eq!(
        (told(&bench, &a), told(&bench, &b)),
        (vec![], vec![[2; 16]])
    );
}

#[tokio::test]
async fn entries_of_a_damaged_document_wait_until_it_is_back() {
    let (mut a, mut document, one, other) = two_holders().await;
    change_store(&one, Table::Changes, change_key(id(), 0), Some(b"rot"));
    scrub_all(&one);
    a.edit(&mut document, "/state", &json!("active"));
    one.take(&a).await;
    assert_eq!(one.held(&a), 4);
    install(&one, &a, parcels(&other, &a));
    one.inbox.wake(|_| true);
    one.settle();
    assert_eq!(one.held(&a), 5);
    let held = one.core.look(id()).unwrap().unwrap();
    assert_eq!(held.heads(), document.heads());
}

#[tokio::test]
async fn a_damaged_document_is_given_back_by_who_already_holds_more_of_it() {
    let (mut a, mut document, one, other) = two_holders().await;
    let whole = items(&one, &a);
    change_store(&one, Table::Changes, change_key(id(), 0), Some(b"rot"));
    scrub_all(&one);
    a.edit(&mut document, "/state", &json!("active"));
    one.take(&a).await;
    other.take(&a).await;
    install(&one, &a, parcels(&other, &a));
    assert!(!is_damaged(&one));
    assert_eq!(items(&one, &a), whole, "only what its own entries signed");
    one.inbox.wake(|_| true);
    one.settle();
    assert_eq!(one.held(&a), 5);
    assert_eq!(items(&one, &a), items(&other, &a));
    assert!(scrub_all(&one).is_empty());
}

#[tokio::test]
async fn a_document_whose_rows_are_gone_without_a_word_comes_back_and_counts_once() {
    let (a, document, one, other) = two_holders().await;
    let before = one.core.ledger();
    change_store(&one, Table::Documents, ID.to_vec(), None);
    change_store(&one, Table::Keys, ID.to_vec(), None);
    change_store(&one, Table::Changes, change_key(id(), 0), None);
    assert_eq!(items(&one, &a).len(), 1);
    install(&one, &a, parcels(&other, &a));
    assert_eq!(items(&one, &a), items(&other, &a));
    assert!(scrub_all(&one).is_empty());
    let view = read::record(&one.core, Kind::Project, id()).unwrap();
    assert_eq!(view.heads, document.heads());
    assert_eq!(one.core.ledger().counts, before.counts);
    assert_eq!(one.core.ledger().totals.documents, before.totals.documents);
}

#[tokio::test]
async fn a_peer_gives_back_exactly_what_was_signed_and_nothing_else() {
    let (a, _, one, other) = two_holders().await;
    change_store(&one, Table::Changes, change_key(id(), 0), Some(b"rot"));
    scrub_all(&one);
    let good = parcels(&other, &a).remove(0);
    let with = |change: &dyn Fn(&mut DocumentParcel)| {
        let mut parcel = good.clone();
        change(&mut parcel);
        parcel
    };
    let forged = [
        with(&|parcel| parcel.headers[1].signature[0] ^= 1),
        with(&|parcel| parcel.headers[1].header.hlc += 1),
        with(&|parcel| parcel.headers.truncate(2)),
        with(&|parcel| parcel.save[40] ^= 1),
        with(&|parcel| parcel.document = [2; 16]),
        with(&|parcel| parcel.headers.clear()),
    ];
    for parcel in forged {
        install(&one, &a, vec![parcel]);
        assert!(is_damaged(&one));
    }
    install(&one, &a, vec![good]);
    assert!(!is_damaged(&one));
}

#[tokio::test]
async fn a_document_given_back_is_of_who_began_it_whichever_log_was_stored_first() {
    for seeds in [(1, 2), (2, 1)] {
        given_back_to_who_began_it(seeds).await;
    }
}

async fn given_back_to_who_began_it(seeds: (u8, u8)) {
    let [mut editor, mut maker] = [seeds.0, seeds.1].map(|seed| Author::new(seed, "frosinone/a"));
    let mut document = maker.create(1);
    editor.edit(&mut document, "/need_area", &json!("FAM"));
    let (one, other) = (
        Bench::coordination(&[&editor, &maker]),
        Bench::coordination(&[&editor, &maker]),
    );
    for bench in [&one, &other] {
        for author in [&editor, &maker] {
            let delivery = Delivery {
                log: author.log(0),
                peer: author.key.public(),
                entries: author.entries.clone(),
            };
            bench.inbox.put(delivery, 0, 0).await;
        }
        bench.settle();
        assert_eq!((bench.held(&editor), bench.held(&maker)), (1, 1));
    }
    let before = one.core.ledger();
    change_store(&one, Table::Changes, change_key(id(), 0), Some(b"rot"));
    assert_eq!(scrub_all(&one), [id()]);
    install(&one, &maker, parcels(&other, &maker));
    assert!(!is_damaged(&one));
    editor.edit(&mut document, "/state", &json!("review"));
    for bench in [&one, &other] {
        bench.take(&editor).await;
    }
    assert_ne!(one.core.ledger().homes, before.homes);
    assert_eq!(one.core.ledger().homes, other.core.ledger().homes);
}

//! Forgetting a subject with very many records, or with one that cannot be erased: all or nothing.

use raccordo_crdt_model::Term;
use tokio::sync::oneshot;

use super::super::task::{Command, Done, Job, Signal, Writer};
use super::super::view::CommandFailed;
use super::super::{forget, local, repair, terms, tombstone};
use super::recovery::Office;
use super::*;

fn made(draft: &mut Draft<'_>, kind: Kind, fields: &Value) -> DocumentId {
    match local::create(draft, kind, fields, "op-1").unwrap() {
        Done::Record(id) => id,
        other => panic!("no record: {other:?}"),
    }
}

#[test]
fn a_term_finds_every_record_however_many_there_are() {
    let office = Office::new();
    let bench = office.start(&office.disk);
    let term = Term::About("P-1".to_owned());
    let mut draft = Draft::new(&bench.core);
    for number in 0..5_100_u128 {
        let id = DocumentId::from_bytes(number.to_be_bytes());
        draft.index(id, std::slice::from_ref(&term)).unwrap();
    }
    commit::commit(draft).unwrap();
    let found = terms::found_by(&bench.core, &term).unwrap();
    assert_eq!(found.len(), 5_100);
}

#[test]
fn a_subject_with_more_records_than_one_order_can_name_is_named_by_several() {
    let office = Office::new();
    let bench = office.start(&office.disk);
    let all: Vec<DocumentId> = (0..4_000_u128)
        .map(|number| DocumentId::from_bytes(number.to_be_bytes()))
        .collect();
    let mut draft = Draft::new(&bench.core);
    forget::give_orders(&mut draft, &all, "op-1").unwrap();
    commit::commit(draft).unwrap();
    let orders = super::super::read::all_of(&bench.core, Kind::ErasureOrder).unwrap();
    let mut named = std::collections::BTreeSet::new();
    for (order, _) in &orders {
        let fields = bench.core.look(*order).unwrap().unwrap().record().fields;
        let documents = fields["documents"].as_object().unwrap().values();
        named.extend(documents.map(|one| one["document"].as_str().unwrap().to_owned()));
    }
    assert!(orders.len() > 1);
    assert_eq!(named.len(), all.len());
}

#[test]
fn an_erasure_that_is_refused_at_a_later_record_leaves_the_first_one_there() {
    let office = Office::new();
    let bench = office.start(&office.disk);
    let mut draft = Draft::new(&bench.core);
    let person = json!({"ref": "P-1", "family_name": "Uno", "given_name": "Ada"});
    let person = made(&mut draft, Kind::Person, &person);
    let contact = json!({"ref": "K-1", "on": "2026-02-03", "person": "P-1"});
    let contact = made(&mut draft, Kind::Contact, &contact);
    commit::commit(draft).unwrap();
    let mut draft = Draft::new(&bench.core);
    let found = vec![(contact, "prova".to_owned())];
    repair::execute(&mut draft, repair::RepairCommand::Damaged(found));
    commit::commit(draft).unwrap();
    let ends = bench.core.ledger().logs.clone();
    let mut writer = Writer::new(Arc::clone(&bench.core), Arc::new(Inbox::default()));
    let (reply, mut answer) = oneshot::channel();
    let command = Command::Erase {
        kind: Kind::Person,
        id: person,
        reason: "su richiesta".to_owned(),
        by: "op-1".to_owned(),
    };
    let (_sender, signals) = std::sync::mpsc::channel();
    writer.take(
        Some(Signal::Job(Box::new(Job { command, reply }))),
        &signals,
    );
    writer.commit_all(true);
    let refused = answer.try_recv().unwrap();
    assert!(
        matches!(refused, Err(CommandFailed::Damaged { .. })),
        "{refused:?}"
    );
    assert!(tombstone::gone(&bench.core, Kind::Person, person).is_ok());
    assert!(bench.core.look(person).unwrap().is_some());
    assert_eq!(bench.core.ledger().logs, ends);
}

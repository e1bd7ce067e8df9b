//! Overlaps at a coordination and the notices of them, however many projects say that they are of
//! one subject.

use super::super::view::OverlapView;
use super::super::{clones, notices, overlaps, repair};
use super::*;
use crate::store::{Batch, Table};

impl Author {
    /// Adds a project of the subject with this token.
    fn follow(&mut self, number: u16, token: &str) -> DocumentId {
        let mut id = [self.key.public().origin()[0]; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        let id = DocumentId::from_bytes(id);
        let fields = json!({"subject": {"kind": "person", "token": token}, "need_area": "POV",
            "opened_on": "2026-03-04", "state": "planning"});
        let made = Document::create(id, Kind::Project, &self.territory, &fields, &self.stamp());
        self.append(EntryKind::Change, *id.as_bytes(), made.unwrap().1.bytes);
        id
    }
}

impl Bench {
    fn overlaps(&self) -> Vec<OverlapView> {
        overlaps::all(&self.core).unwrap()
    }

    /// The notices that stand, and how many projects each tells of.
    fn notices(&self) -> Vec<(DocumentId, usize)> {
        let all = super::super::read::all_of(&self.core, Kind::Notice).unwrap();
        let sides = |id| {
            let document = self.core.look(id).unwrap().unwrap();
            let fields = document.record().fields;
            assert_eq!(fields["state"], "open");
            fields["sides"].as_object().unwrap().len()
        };
        all.into_iter().map(|(id, _)| (id, sides(id))).collect()
    }
}

#[tokio::test]
async fn a_subject_with_more_projects_than_a_notice_can_tell_of_ends_nothing() {
    let (mut a, mut b) = (Author::new(1, "frosinone/a"), Author::new(2, "frosinone/b"));
    let ours = a.follow(0, "t1:2026:33");
    b.follow(0, "t1:2026:33");
    let bench = Bench::coordination(&[&a, &b]);
    bench.take(&a).await;
    bench.take(&b).await;
    notices::follow(&bench.core);
    assert_eq!(bench.notices()[0].1, 2);
    for number in 1..600 {
        a.follow(number, "t1:2026:33");
        b.follow(number, "t1:2026:33");
    }
    let other = b.follow(700, "t1:2026:44");
    bench.take(&a).await;
    a.follow(700, "t1:2026:44");
    bench.take(&a).await;
    bench.take(&b).await;
    notices::follow(&bench.core);
    let told = bench.notices();
    assert_eq!(told.len(), 2);
    let most = told.iter().map(|(_, sides)| *sides).max().unwrap();
    assert!((100..=200).contains(&most), "{most} sides");
    assert!(told.iter().any(|(_, sides)| *sides == 2));
    for project in [ours, other] {
        let elsewhere = notices::elsewhere(&bench.core, project).unwrap();
        assert_eq!(elsewhere.len(), 1);
    }
    // A pass afterwards has nothing left to do.
    let version = bench.core.look(told[0].0).unwrap().unwrap().heads();
    notices::follow(&bench.core);
    let again = bench.core.look(told[0].0).unwrap().unwrap().heads();
    assert_eq!(again, version);
}

#[tokio::test]
async fn a_notice_that_cannot_be_written_holds_up_no_other() {
    let (mut a, mut b) = (Author::new(1, "frosinone/a"), Author::new(2, "frosinone/b"));
    a.follow(0, "t1:2026:33");
    b.follow(0, "t1:2026:33");
    let bench = Bench::coordination(&[&a, &b]);
    bench.take(&a).await;
    bench.take(&b).await;
    notices::follow(&bench.core);
    let (damaged, _) = bench.notices()[0];
    let mut draft = Draft::new(&bench.core);
    let found = vec![(damaged, "prova".to_owned())];
    repair::execute(&mut draft, repair::RepairCommand::Damaged(found));
    commit::commit(draft).unwrap();
    a.follow(1, "t1:2026:33");
    for number in 2..5 {
        a.follow(number, &format!("t1:2026:{number}"));
        b.follow(number, &format!("t1:2026:{number}"));
    }
    bench.take(&a).await;
    bench.take(&b).await;
    notices::follow(&bench.core);
    let told = super::super::read::all_of(&bench.core, Kind::Notice).unwrap();
    assert_eq!(told.len(), 4, "the damaged one and three more");
    let waiting = bench.core.store.scan(Table::Subjects, b"q", None, 10);
    assert!(waiting.unwrap().is_empty());
}

#[tokio::test]
async fn what_people_type_for_an_unknown_subject_is_no_subject_that_is_followed_elsewhere() {
    let (mut a, mut b) = (Author::new(1, "frosinone/a"), Author::new(2, "frosinone/b"));
    for (number, token) in [(1, "ignoto"), (2, "w1:2026:55")] {
        a.follow(number, token);
        b.follow(number, token);
    }
    let bench = Bench::coordination(&[&a, &b]);
    bench.take(&a).await;
    bench.take(&b).await;
    let seen = bench.overlaps();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].strength, "possible");
    notices::follow(&bench.core);
    assert_eq!(bench.notices().len(), 1);
}

#[tokio::test]
async fn an_overlap_ends_with_the_last_project_but_those_of_one_territory() {
    let (mut a, mut b) = (Author::new(1, "frosinone/a"), Author::new(2, "frosinone/b"));
    for number in 0..3 {
        a.follow(number, "t1:2026:33");
    }
    b.follow(0, "t1:2026:33");
    let last = b.follow(1, "t1:2026:33");
    let bench = Bench::coordination(&[&a, &b]);
    bench.take(&a).await;
    bench.take(&b).await;
    let seen = bench.overlaps();
    let projects = |seen: &[OverlapView]| -> Vec<usize> {
        let all = seen[0].projects.values();
        all.map(Vec::len).collect()
    };
    assert_eq!((seen.len(), projects(&seen)), (1, vec![3, 2]));
    let end = |b: &mut Author, id: DocumentId| {
        let order = Order {
            reason: "su richiesta".to_owned(),
            at_ms: 1_780_000_000_000,
        };
        b.append(EntryKind::Tombstone, *id.as_bytes(), order.encode());
    };
    end(&mut b, last);
    bench.take(&b).await;
    assert_eq!(projects(&bench.overlaps()), [3, 1]);
    let mut first = *last.as_bytes();
    first[..2].copy_from_slice(&[0, 0]);
    end(&mut b, DocumentId::from_bytes(first));
    bench.take(&b).await;
    assert!(bench.overlaps().is_empty());
}

#[tokio::test]
async fn while_writing_is_closed_no_notice_is_written_and_afterwards_it_is() {
    let (mut a, mut b) = (Author::new(1, "frosinone/a"), Author::new(2, "frosinone/b"));
    a.follow(0, "t1:2026:33");
    b.follow(0, "t1:2026:33");
    let bench = Bench::coordination(&[&a, &b]);
    bench.take(&a).await;
    bench.take(&b).await;
    clones::kept_out(&bench.core, a.key.public(), true);
    let ends = bench.core.ledger().logs.clone();
    notices::follow(&bench.core);
    assert!(bench.notices().is_empty());
    assert_eq!(bench.core.ledger().logs, ends);
    clones::kept_out(&bench.core, a.key.public(), false);
    notices::follow(&bench.core);
    assert_eq!(bench.notices().len(), 1);
}

#[tokio::test]
async fn a_notice_that_came_back_with_the_log_goes_on_and_no_second_one_is_made() {
    let (mut a, mut b) = (Author::new(1, "frosinone/a"), Author::new(2, "frosinone/b"));
    for token in ["t1:2026:33", "t1:2026:44"] {
        a.follow(u16::from(token.as_bytes()[8]), token);
        b.follow(u16::from(token.as_bytes()[8]), token);
    }
    let bench = Bench::coordination(&[&a, &b]);
    bench.take(&a).await;
    bench.take(&b).await;
    notices::follow(&bench.core);
    let before = bench.notices();
    assert_eq!(before.len(), 2);
    // As the store of another moment has it: without the row of one of the two.
    let store = &bench.core.store;
    let rows = store.scan(Table::Subjects, b"v", None, 10).unwrap();
    let mut lost = Batch::new();
    lost.delete(Table::Subjects, rows[0].0.clone());
    store.commit(lost).unwrap();
    a.follow(1, "t1:2026:33");
    a.follow(2, "t1:2026:44");
    bench.take(&a).await;
    notices::follow(&bench.core);
    let told = bench.notices();
    assert!(told.iter().all(|(_, sides)| *sides == 3), "{told:?}");
    let ids = |notices: Vec<(DocumentId, usize)>| -> std::collections::BTreeSet<DocumentId> {
        notices.into_iter().map(|(id, _)| id).collect()
    };
    assert_eq!(ids(told), ids(before));
}

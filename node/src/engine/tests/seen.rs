//! Who has opened what: what is noted and told here, and what is believed of a peer.

use raccordo_transport::{Cursor, LinkEvent, Seen};

use super::super::scope::LANE_EVERYONE;
use super::super::task::{Done, Note};
use super::super::view::{Delivery, DeliveryState};
use super::super::{local, read, seen};
use super::*;
use crate::store::Table;

impl Bench {
    /// What a person's look at a record leads to, committed.
    fn open_record(&self, id: DocumentId) -> usize {
        let view = read::record(&self.core, Kind::Project, id).unwrap();
        let notes = seen::opened(&self.core, id, &view.heads).unwrap();
        self.note(&notes);
        notes.len()
    }

    fn note(&self, notes: &[Note]) {
        let mut draft = Draft::new(&self.core);
        commit::notes(&mut draft, notes.iter());
        commit::commit(draft).unwrap();
        seen::publish(&self.core, notes.iter());
    }

    fn to_tell(&self, author: &Author) -> Vec<(u8, u64)> {
        let next = self.core.seen.to_tell(&author.key.public());
        next.iter().map(|s| (s.document[0], s.seq)).collect()
    }

    /// A guideline of this coordination, and the number of its entry.
    fn publish_guideline(&self, title: &str) -> (DocumentId, u64) {
        let fields =
            json!({"title": title, "type": "procedure", "version": "1", "state": "published"});
        let mut draft = Draft::new(&self.core);
        let done = local::create(&mut draft, Kind::Guideline, &fields, "op-1").unwrap();
        commit::commit(draft).unwrap();
        let Done::Record(id) = done else {
            panic!("a record was created")
        };
        (id, self.end())
    }

    fn retitle(&self, id: DocumentId) {
        let patch = json!([{"op": "replace", "path": "/title", "value": "Altro"}]);
        let patch = Patch::parse(&patch).unwrap();
        let mut draft = Draft::new(&self.core);
        local::patch(&mut draft, Kind::Guideline, id, &patch, None, "op-1").unwrap();
        commit::commit(draft).unwrap();
    }

    fn end(&self) -> u64 {
        let own = self.core.own_log(LANE_EVERYONE);
        self.core.ledger().end(own).seq
    }

    /// The peer durably holds all of our log up to there.
    fn hold(&self, author: &Author, seq: u64) {
        let cursor = Cursor {
            log: self.core.own_log(LANE_EVERYONE),
            seq,
            hash: [0; 32],
        };
        let cursors = vec![cursor];
        let event = LinkEvent::Acked { cursors };
        drop(self.core.links.hear(&author.key.public(), 1, event));
    }

    fn hear(&self, author: &Author, id: DocumentId, seq: u64) {
        let item = Seen {
            document: *id.as_bytes(),
            seq,
            at_ms: 1_780_000_000_000,
        };
        let mut draft = Draft::new(&self.core);
        seen::heard(&mut draft, &author.key.public(), &[item]).unwrap();
        commit::commit(draft).unwrap();
    }

    fn ignored(&self, author: &Author) -> u64 {
        self.core.links.link(&author.key.public()).seen_ignored
    }

    fn delivery(&self, id: DocumentId) -> Delivery {
        let view = read::record(&self.core, Kind::Guideline, id).unwrap();
        view.delivery
    }
}

fn rows(bench: &Bench) -> usize {
    let rows = bench.core.store.scan(Table::Seen, &[], None, usize::MAX);
    rows.unwrap().len()
}

fn told(author: &Author, document: u8, seq: u64) -> Note {
    Note::SeenTold {
        peer: author.key.public(),
        seen: Seen {
            document: [document; 16],
            seq,
            at_ms: 1,
        },
    }
}

#[tokio::test]
async fn a_record_that_is_opened_is_noted_once_for_each_state_and_survives_a_restart() {
    let mut a = Author::new(1, "frosinone/a");
    let mut document = a.create(1);
    a.create(2);
    let bench = Bench::coordination(&[&a]);
    bench.take(&a).await;
    assert_eq!(bench.to_tell(&a), [], "nothing was opened");
    assert_eq!(bench.open_record(document.id()), 1);
    assert_eq!(bench.open_record(document.id()), 0, "noted already");
    assert_eq!(bench.to_tell(&a), [(1, 1)]);
    a.edit(&mut document, "/need_area", &json!("FAM"));
    bench.take(&a).await;
    assert_eq!(bench.to_tell(&a), [(1, 1)], "the edit was not opened");
    bench.open_record(document.id());
    assert_eq!(bench.to_tell(&a), [(1, 3)]);
    let bench = Bench::open(bench.stop());
    assert_eq!(bench.to_tell(&a), [(1, 3)]);
    bench.note(&[told(&a, 1, 1)]);
    assert_eq!(
        bench.to_tell(&a),
        [(1, 3)],
        "the older state alone is known"
    );
    bench.note(&[told(&a, 1, 3)]);
    assert_eq!(bench.to_tell(&a), []);
    let bench = Bench::open(bench.stop());
    bench.open_record(document.id());
    assert_eq!(bench.to_tell(&a), [], "told once is told");
    assert_eq!(rows(&bench), 1);
}

#[tokio::test]
async fn what_was_shown_before_an_edit_came_says_nothing_of_the_edit() {
    let mut a = Author::new(1, "frosinone/a");
    let mut document = a.create(1);
    let bench = Bench::coordination(&[&a]);
    bench.take(&a).await;
    let shown = document.heads();
    a.edit(&mut document, "/need_area", &json!("FAM"));
    bench.take(&a).await;
    let notes = seen::opened(&bench.core, document.id(), &shown).unwrap();
    assert_eq!(notes.len(), 0);
}

#[tokio::test]
async fn only_the_peers_that_wrote_a_record_are_told_of_it() {
    let (mut a, b) = (Author::new(1, "frosinone/a"), Author::new(2, "frosinone/b"));
    let document = a.create(1);
    let bench = Bench::coordination(&[&a, &b]);
    bench.take(&a).await;
    bench.open_record(document.id());
    assert_eq!((bench.to_tell(&a).len(), bench.to_tell(&b).len()), (1, 0));
    bench.regard(&a, MemberState::Suspended);
    let bench = Bench::open(bench.stop());
    assert_eq!(bench.open_record(document.id()), 0, "no link, no note");
}

#[tokio::test]
async fn a_record_is_seen_once_a_peer_saw_its_newest_entry_and_no_longer_after_another_edit() {
    let (a, b) = (Author::new(1, "frosinone/a"), Author::new(2, "frosinone/b"));
    let bench = Bench::coordination(&[&a, &b]);
    let (id, seq) = bench.publish_guideline("Presa in carico");
    bench.hold(&a, seq);
    bench.hear(&a, id, seq);
    let partly = bench.delivery(id);
    assert_eq!(partly.state, DeliveryState::Queued, "not at everybody yet");
    assert_eq!(partly.seen_by.len(), 1);
    bench.hold(&b, seq);
    let seen = bench.delivery(id);
    assert_eq!(seen.state, DeliveryState::Seen);
    assert_eq!(seen.seen_by[0].name, "Ufficio");
    assert_eq!(seen.seen_by[0].at, UnixMillis(1_780_000_000_000));
    let bench = Bench::open(bench.stop());
    bench.hold(&a, seq);
    bench.hold(&b, seq);
    assert_eq!(bench.delivery(id), seen, "kept");
    bench.retitle(id);
    let edited = bench.delivery(id);
    assert_eq!(edited.state, DeliveryState::Queued);
    assert_eq!(edited.seen_by, []);
    bench.hold(&a, bench.end());
    bench.hold(&b, bench.end());
    assert_eq!(bench.delivery(id).state, DeliveryState::Delivered);
    bench.hear(&b, id, bench.end());
    assert_eq!(bench.delivery(id).state, DeliveryState::Seen);
    assert_eq!(bench.ignored(&a) + bench.ignored(&b), 0);
}

#[tokio::test]
async fn what_a_peer_cannot_have_seen_is_ignored_and_counted() {
    let (mut a, b) = (Author::new(1, "frosinone/a"), Author::new(2, "frosinone/b"));
    let project = a.create(1);
    let bench = Bench::coordination(&[&a, &b]);
    bench.take(&a).await;
    let (first, seq) = bench.publish_guideline("Prima");
    bench.hold(&b, seq);
    let (second, later) = bench.publish_guideline("Seconda");
    bench.hear(&b, project.id(), 1);
    assert_eq!(bench.ignored(&b), 1, "somebody else's record");
    bench.hear(&b, second, later);
    assert_eq!(bench.ignored(&b), 2, "not acknowledged");
    bench.hear(&b, second, seq);
    assert_eq!(bench.ignored(&b), 3, "an entry of another document");
    bench.hear(&b, DocumentId::from_bytes([9; 16]), 1);
    assert_eq!(bench.ignored(&b), 4, "no document");
    bench.hear(&Author::new(3, "frosinone/c"), first, seq);
    assert_eq!(rows(&bench), 0, "nobody's word");
    bench.hear(&b, first, seq);
    assert_eq!((bench.ignored(&b), rows(&bench)), (4, 1));
    bench.hold(&b, later);
    bench.hear(&b, second, later);
    assert_eq!((bench.ignored(&b), rows(&bench)), (4, 2));
}

#[tokio::test]
async fn an_erased_record_leaves_no_note_of_who_opened_it() {
    let mut a = Author::new(1, "frosinone/a");
    let document = a.create(1);
    let bench = Bench::coordination(&[&a]);
    bench.take(&a).await;
    bench.open_record(document.id());
    assert_eq!(rows(&bench), 1);
    a.erase(1);
    bench.take(&a).await;
    assert_eq!(rows(&bench), 0);
}

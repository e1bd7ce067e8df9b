//! Signed receipts: who owes one, that it is given once, and whose word counts for what.

use std::collections::BTreeSet;

use super::super::receipts::{Mark, Receipts, give, mark};
use super::super::scope::LANE_EVERYONE;
use super::super::statements::Statement;
use super::super::stored::Reading;
use super::super::tombstone;
use super::super::view::{ErasureReceipt, ReceiptState};
use super::recovery::Office;
use super::*;

impl Bench {
    /// Puts in force that a member took another one in.
    fn hear_through(&self, sponsor: &Author, author: &Author) {
        let mut draft = Draft::new(&self.core);
        let member = author.member(MemberState::Approved);
        let seq = self.facts.fetch_add(1, Ordering::Relaxed);
        peers::keep_fact(&mut draft, member, sponsor.log(0).origin, seq);
        peers::put_in_force(&mut draft);
        commit::commit(draft).unwrap();
    }

    /// What this node states in the lane for everyone.
    fn stated(&self) -> Vec<SignedEntry> {
        let log = self.core.own_log(LANE_EVERYONE);
        let mut reading = Reading::new(&self.core);
        reading.entries(log, 0, 10_000, 1 << 30).unwrap()
    }

    fn due(&self) -> usize {
        self.core.ledger().receipts_due.len()
    }

    /// What is known of a member's receipt for the one erasure that there is.
    fn receipt_of(&self, author: &Author) -> Option<ErasureReceipt> {
        let erasures = tombstone::receipts(&self.core).unwrap();
        assert_eq!(erasures.len(), 1);
        let peer = author.key.public().to_string();
        let mut receipts = erasures[0].receipts.iter();
        receipts.find(|receipt| receipt.peer == peer).cloned()
    }

    fn state_of(&self, author: &Author) -> Option<ReceiptState> {
        self.receipt_of(author).map(|receipt| receipt.state)
    }
}

impl Author {
    /// Adds a statement to its log for everyone, of which it writes no other.
    fn say(&mut self, body: Vec<u8>) {
        self.append(EntryKind::Policy, [0; 16], body.clone());
        let entry = self.entries.pop().unwrap();
        let header = EntryHeader {
            lane: LANE_EVERYONE,
            document_kind: 0,
            ..entry.header
        };
        self.entries.push(sign(header, &self.key).with_body(body));
    }

    /// What its receipt for another's entry says.
    fn mark_of(&self, entry: &SignedEntry) -> Mark {
        mark(self.log(0).origin, &entry.entry_hash())
    }
}

/// A coordination, an office that joined it, and two laptops that joined the office.
fn three() -> (Bench, Author, Author, Author) {
    let [office, laptop, second] = [1, 2, 3].map(|seed| Author::new(seed, "frosinone/a"));
    let bench = Bench::coordination(&[&office]);
    bench.hear_through(&office, &laptop);
    bench.hear_through(&office, &second);
    (bench, office, laptop, second)
}

#[tokio::test]
async fn a_tombstone_of_who_is_no_peer_is_answered_once_also_across_restarts() {
    let (bench, _, mut laptop, _) = three();
    laptop.create(1);
    laptop.create(2);
    laptop.erase(1);
    laptop.erase(2);
    bench.take(&laptop).await;
    assert_eq!(bench.due(), 2);
    // Killed before it could answer.
    let bench = Bench::open(bench.stop());
    assert_eq!(bench.due(), 2);
    let before = bench.stated();
    give(&bench.core);
    let stated = bench.stated();
    assert_eq!(stated.len(), before.len() + 1, "one statement for both");
    let own = bench.core.id.origin();
    let wanted = [2, 3].map(|at: usize| mark(own, &laptop.entries[at].entry_hash()));
    let told = Statement::decode(stated.last().unwrap().bytes());
    let Ok(Statement::Receipt(told)) = told else {
        panic!("{told:?}");
    };
    assert_eq!(BTreeSet::from_iter(told), BTreeSet::from(wanted));
    give(&bench.core);
    assert_eq!((bench.stated().len(), bench.due()), (stated.len(), 0));
    let bench = Bench::open(bench.stop());
    give(&bench.core);
    assert_eq!((bench.stated(), bench.due()), (stated, 0));
}

#[tokio::test]
async fn a_tombstone_of_a_peer_is_answered_by_the_acknowledgement_alone() {
    let (bench, mut office, ..) = three();
    office.create(1);
    office.erase(1);
    bench.take(&office).await;
    let before = bench.stated();
    give(&bench.core);
    assert_eq!((bench.stated(), bench.due()), (before, 0));
}

#[tokio::test]
async fn only_the_members_own_word_for_that_very_tombstone_makes_it_delivered() {
    let (bench, office, mut laptop, mut second) = three();
    laptop.create(1);
    laptop.erase(1);
    bench.take(&laptop).await;
    assert_eq!(bench.state_of(&second), Some(ReceiptState::Relayed));
    assert_eq!(bench.state_of(&office), Some(ReceiptState::Queued));
    let tombstone = laptop.entries[1].clone();
    laptop.erase(9);
    let others = [
        office.mark_of(&tombstone),
        second.mark_of(&laptop.entries[0]),
        second.mark_of(&laptop.entries[2]),
    ];
    second.say(Statement::Receipt(others.to_vec()).encode());
    bench.take_from(&second, LANE_EVERYONE).await;
    assert_eq!(bench.core.ledger().end(second.log(LANE_EVERYONE)).seq, 1);
    assert_eq!(bench.state_of(&second), Some(ReceiptState::Relayed));
    assert_eq!(bench.state_of(&office), Some(ReceiptState::Queued));
    let own = second.mark_of(&tombstone);
    second.say(Statement::Receipt(vec![own]).encode());
    bench.take_from(&second, LANE_EVERYONE).await;
    let receipt = bench.receipt_of(&second).unwrap();
    assert_eq!(receipt.state, ReceiptState::Delivered);
    assert!(receipt.at.is_some());
    assert_eq!(bench.state_of(&office), Some(ReceiptState::Queued));
    let bench = Bench::open(bench.stop());
    assert_eq!(bench.state_of(&second), Some(ReceiptState::Delivered));
}

#[tokio::test]
async fn what_a_revoked_member_said_behind_its_end_does_not_count() {
    let (bench, _, mut laptop, mut second) = three();
    laptop.create(1);
    laptop.erase(1);
    bench.take(&laptop).await;
    second.say(Statement::Unknown.encode());
    let own = second.mark_of(&laptop.entries[1]);
    second.say(Statement::Receipt(vec![own]).encode());
    bench.take_from(&second, LANE_EVERYONE).await;
    for (end, counts) in [(2, true), (1, false)] {
        let revoked = Member {
            ends: BTreeMap::from([(LANE_EVERYONE, end)]),
            ..second.member(MemberState::Revoked)
        };
        let mut receipts = Receipts::of(&bench.core, laptop.log(0), 2);
        let heard = receipts.by(&revoked).unwrap();
        assert_eq!(heard.is_some(), counts, "{end}");
    }
}

#[tokio::test]
async fn a_receipt_of_nothing_and_one_with_more_or_less_than_it_says_stop_their_log() {
    let malformed = [
        Statement::Receipt(Vec::new()).encode(),
        [Statement::Receipt(vec![[1; 16]]).encode(), vec![0]].concat(),
        Statement::Receipt(vec![[1; 16]; 2]).encode()[..20].to_vec(),
    ];
    for body in malformed {
        let (bench, _, _, mut second) = three();
        second.say(body);
        bench.take_from(&second, LANE_EVERYONE).await;
        let log = second.log(LANE_EVERYONE);
        assert_eq!(bench.core.ledger().end(log).seq, 0);
        assert!(bench.core.ledger().stopped.contains_key(&log));
    }
}

#[tokio::test]
async fn a_node_on_an_older_copy_answers_again_only_when_it_has_erased_again() {
    let office = Office::new();
    let node = office.start(&office.disk);
    let mut laptop = Author::new(3, "frosinone/a");
    let between = Author::new(2, "frosinone/a");
    node.regard(&between, MemberState::Approved);
    node.hear_through(&between, &laptop);
    let id = laptop.create(1).id();
    node.take(&laptop).await;
    let copy = office.disk.copy();
    laptop.erase(1);
    node.take(&laptop).await;
    give(&node.core);
    let truth = node.stated();
    assert_eq!(truth.len(), 1);

    let node = office.start(&copy);
    let log = node.core.own_log(LANE_EVERYONE);
    let delivery = Delivery {
        log,
        peer: between.key.public(),
        entries: truth.clone(),
    };
    assert_eq!(node.inbox.put(delivery, 0, 0).await, Put::Queued);
    node.settle();
    give(&node.core);
    assert_eq!(node.stated(), truth, "what it said is history");
    assert!(node.core.look(id).unwrap().is_some());
    node.take(&laptop).await;
    assert!(node.core.look(id).unwrap().is_none());
    give(&node.core);
    assert_eq!(node.stated().len(), 2);
    assert_eq!(node.stated()[1].body, truth[0].body);
}

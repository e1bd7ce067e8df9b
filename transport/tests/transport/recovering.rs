//! A node that lost the end of its own log, or wrote another one: it is told, and gets it back.

use raccordo_transport::wire::{Message, Ping};
use raccordo_transport::{Cursor, Rollback, Side};

use crate::pair::{Durability, Pair};
use crate::session_pair::approved;
use crate::support::{body, cursor_at};

/// A district whose ten entries the coordination holds.
fn replicated() -> Pair {
    let mut pair = approved();
    pair.ends[0].node.author.write_many(10);
    pair.ends[1].node.author.write_many(4);
    pair.connect();
    pair.run(1_000);
    pair
}

fn recover_from(pair: &mut Pair, seq: usize) {
    let author = &pair.ends[0].node.author;
    let cursor = cursor_at(author.log, &author.entries[..seq]);
    pair.ends[0].node.recover = vec![cursor];
    pair.tick(0);
}

fn rollback(pair: &Pair, head_seq: u64, whose: Side) -> Rollback {
    Rollback {
        log: pair.ends[0].node.author.log,
        held_seq: 10,
        held_hash: None,
        head_seq,
        whose,
    }
}

#[test]
fn a_node_that_lost_entries_is_told_so_on_both_sides_and_the_link_stays() {
    let mut pair = replicated();
    pair.ends[0].node.author.entries.truncate(7);
    pair.connect();
    pair.run(1_000);
    assert_eq!(pair.ends[0].rollbacks(), [rollback(&pair, 7, Side::Ours)]);
    assert_eq!(pair.ends[1].rollbacks(), [rollback(&pair, 7, Side::Theirs)]);
    pair.ends[1].node.author.write_many(2);
    pair.tick(1);
    pair.run(60_000);
    assert!(
        pair.ends[0].node.holds(&pair.ends[1].node.author),
        "the other direction goes on"
    );
    assert_eq!(pair.ends[0].closed, None);
    assert_eq!(pair.ends[1].closed, None);
    assert_eq!(pair.ends[0].rollbacks().len(), 1, "said once");
    assert_eq!(
        pair.ends[0].node.author.entries.len(),
        7,
        "nothing comes back unasked"
    );
}

#[test]
fn a_node_gets_its_own_entries_back_and_goes_on_behind_them() {
    for (kept, from) in [(7, 7), (7, 4), (0, 0)] {
        let mut pair = replicated();
        let whole = pair.ends[0].node.author.entries.clone();
        pair.ends[0].node.author.entries.truncate(kept);
        pair.connect();
        pair.run(1_000);
        recover_from(&mut pair, from);
        pair.run(1_000);
        assert_eq!(pair.ends[0].node.author.entries, whole);
        pair.ends[0].node.recover.clear();
        pair.ends[0].node.author.write_many(5);
        pair.tick(0);
        pair.run(1_000);
        assert!(pair.ends[1].node.holds(&pair.ends[0].node.author));
        assert_eq!(pair.ends[0].acked(), 15);
        assert_eq!(pair.ends[0].compared().last(), Some(&true));
        assert_eq!(pair.ends[0].closed, None);
    }
}

#[test]
fn a_node_that_went_on_differently_is_found_out_and_comes_back() {
    for more in [0, 5] {
        let mut pair = replicated();
        let whole = pair.ends[0].node.author.entries.clone();
        let author = &mut pair.ends[0].node.author;
        author.entries.truncate(7);
        for number in 0..3 + more {
            author.write(body(900 + number, 50));
        }
        let tail = author.entries[7..].to_vec();
        let held = pair.ends[1].node.held.clone();
        pair.connect();
        pair.run(1_000);
        assert_eq!(
            pair.ends[0].rollbacks(),
            [rollback(&pair, 10 + more, Side::Ours)]
        );
        assert_eq!(
            pair.ends[1].rollbacks(),
            [rollback(&pair, 10 + more, Side::Theirs)]
        );
        assert_eq!(
            pair.ends[1].node.held, held,
            "nothing of the other branch was taken"
        );
        assert_eq!(pair.ends[1].evidence(), [(10, tail[2].entry_hash())]);
        assert_eq!(pair.ends[0].evidence(), [(10, whole[9].entry_hash())]);
        // From within the other branch there is no way back: the holder shows where it differs.
        recover_from(&mut pair, 9);
        pair.run(1_000);
        assert_eq!(
            pair.ends[0].evidence().last(),
            Some(&(9, whole[8].entry_hash()))
        );
        assert_eq!(pair.ends[0].node.author.entries[7..], tail);
        recover_from(&mut pair, 7);
        pair.run(1_000);
        assert_eq!(pair.ends[0].node.author.entries, whole);
        assert_eq!(pair.ends[0].node.aside, tail);
        pair.ends[0].node.recover.clear();
        pair.ends[0].node.author.write_many(2);
        pair.tick(0);
        pair.run(1_000);
        assert!(pair.ends[1].node.holds(&pair.ends[0].node.author));
        assert_eq!(pair.ends[0].compared().last(), Some(&true));
        assert_eq!(pair.ends[0].closed, None);
        assert_eq!(pair.ends[1].closed, None);
    }
}

#[test]
fn entries_asked_back_and_lost_again_are_asked_for_again() {
    let mut pair = replicated();
    let whole = pair.ends[0].node.author.entries.clone();
    pair.ends[0].node.author.entries.truncate(3);
    pair.connect();
    pair.run(1_000);
    pair.ends[0].durability = Durability::ByHand;
    recover_from(&mut pair, 3);
    pair.run(1_000);
    assert_eq!(pair.ends[0].node.taken.len(), 7);
    pair.ends[0].node.taken.clear();
    pair.ends[0].durability = Durability::AtOnce;
    pair.run(60_000);
    assert_eq!(pair.ends[0].node.author.entries, whole);
}

#[test]
fn entries_of_our_own_log_that_we_did_not_ask_for_break_the_protocol() {
    use raccordo_transport::wire::data::DataEncoder;
    let mut pair = replicated();
    let (bytes, _) = DataEncoder::default().encode(&pair.ends[0].node.author.entries, true);
    pair.forge_data(0, bytes);
    pair.run(1_000);
    assert!(matches!(
        pair.ends[0].closed,
        Some(raccordo_transport::CloseReason::Protocol { .. })
    ));
}

#[test]
fn a_request_for_a_log_that_nobody_here_has_is_passed_over() {
    use raccordo_transport::wire::Message;
    let mut pair = replicated();
    let unknown = Cursor::start(raccordo_transport::LogId::new([0xee; 8], 7));
    pair.forge_control(1, Message::Resume(vec![unknown]).encode());
    pair.run(1_000);
    pair.ends[0].node.author.write_many(1);
    pair.tick(0);
    pair.run(1_000);
    assert!(pair.ends[1].node.holds(&pair.ends[0].node.author));
    assert_eq!(pair.ends[1].closed, None);
}

#[test]
fn a_ping_that_the_newest_entries_overtook_is_no_sign_of_loss() {
    let mut pair = replicated();
    let author = &pair.ends[0].node.author;
    let ping = Ping {
        clock_ms: 0,
        echo_ms: 0,
        since_ms: 0,
        heads: vec![cursor_at(author.log, &author.entries[..9])],
    };
    pair.forge_control(1, Message::Ping(ping).encode());
    pair.run(1_000);
    assert_eq!(pair.ends[1].rollbacks(), []);
    assert_eq!(pair.ends[1].closed, None);
}

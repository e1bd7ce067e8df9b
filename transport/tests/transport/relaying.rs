//! Logs of others: passed on, never back, in the order that their authors' introduction asks for.

use raccordo_transport::session::{PING_INTERVAL_MS, Report};
use raccordo_transport::{Cursor, LogId, Side};

use crate::pair::{LATENCY_MS, Pair};
use crate::session_pair::approved;
use crate::support::Author;

/// Both ends relay; authors of three logs of others are known to both.
fn relaying() -> (Pair, Vec<Author>) {
    let mut pair = approved();
    let mut authors: Vec<Author> = (40..43).map(|seed| Author::new(seed, 2)).collect();
    for author in &mut authors {
        author.write_many(20);
    }
    for end in &mut pair.ends {
        end.node.relays = true;
        for author in &authors {
            end.node.meet(&author.key.public());
        }
    }
    (pair, authors)
}

fn announced(reports: &[Report]) -> Vec<Cursor> {
    reports
        .iter()
        .filter_map(|report| match report {
            Report::Announced(heads) => Some(heads.clone()),
            _ => None,
        })
        .flatten()
        .collect()
}

#[test]
fn nothing_changed_costs_500_bytes_with_sixty_relayed_logs_and_two_lanes_a_side() {
    let mut pair = approved();
    for (index, end) in pair.ends.iter_mut().enumerate() {
        end.node.relays = true;
        let mut second = Author::new(u8::try_from(index).unwrap() + 1, 2);
        second.write_many(200 + index);
        end.node.second = Some(second);
        end.node.author.write_many(1_300);
    }
    for seed in 0..60 {
        let mut author = Author::new(100 + seed, seed % 3);
        author.write_many(usize::from(seed) + 1);
        for end in &mut pair.ends {
            end.node.hold(&author, usize::from(seed) + 1);
        }
    }
    pair.connect();
    pair.run(20_000);
    assert_eq!(pair.ends[0].compared(), [true]);
    let reads = pair.ends[0].reads + pair.ends[1].reads;
    pair.connect();
    pair.run(PING_INTERVAL_MS - 1);
    assert_eq!(pair.connected_after_ms, Some(2 * LATENCY_MS));
    let bytes = pair.sent_bytes();
    assert!(bytes <= 500, "{bytes} bytes");
    for end in &pair.ends {
        assert_eq!(end.compared(), [true]);
        assert_eq!(end.closed, None);
    }
    assert_eq!(pair.ends[0].reads + pair.ends[1].reads, reads);
}

#[test]
fn what_each_holds_of_others_reaches_the_other_and_never_goes_back() {
    let (mut pair, authors) = relaying();
    pair.ends[0].node.hold(&authors[0], 20);
    pair.ends[0].node.hold(&authors[1], 5);
    pair.ends[1].node.hold(&authors[1], 20);
    pair.ends[1].node.hold(&authors[2], 7);
    pair.ends[0].node.author.write_many(3);
    pair.connect();
    pair.run(3_000);
    for end in &pair.ends {
        assert_eq!(end.closed, None);
        assert_eq!(end.node.log(authors[0].log).len(), 20);
        assert_eq!(end.node.log(authors[1].log).len(), 20);
        assert_eq!(end.node.log(authors[2].log).len(), 7);
        assert_eq!(end.node.repeated, 0, "nothing came twice");
        assert_eq!(end.compared(), [true]);
    }
    assert_eq!(pair.ends[0].acked_of(authors[0].log), 20);
    assert_eq!(pair.ends[1].acked_of(authors[1].log), 20);
    let said = announced(&pair.ends[0].reports);
    assert!(said.contains(&authors[1].head()), "{said:?}");
    // 30 entries of 20 + 15 + 7 went over the wire once: nothing like twice that.
    let bytes = pair.sent_bytes();
    assert!(bytes < 45 * 250 + 3_000, "{bytes} bytes");
}

#[test]
fn a_live_entry_of_a_third_passes_once_and_is_acknowledged_once() {
    let (mut pair, authors) = relaying();
    pair.ends[0].node.hold(&authors[0], 5);
    pair.connect();
    pair.run(1_000);
    let before = pair.sent_bytes();
    pair.ends[0].node.hold(&authors[0], 6);
    pair.tick(0);
    pair.run(2 * LATENCY_MS);
    assert_eq!(pair.ends[1].node.log(authors[0].log).len(), 6);
    assert_eq!(pair.ends[0].acked_of(authors[0].log), 6);
    let cost = pair.sent_bytes() - before;
    assert!(cost <= 330, "{cost} bytes");
    pair.run(1_000);
    assert_eq!(pair.sent_bytes() - before, cost, "nothing echoes");
}

#[test]
fn what_came_to_both_from_a_third_is_not_sent_again() {
    let (mut pair, authors) = relaying();
    for end in &mut pair.ends {
        end.node.hold(&authors[0], 5);
    }
    pair.connect();
    pair.run(1_000);
    pair.ends[1].node.hold(&authors[0], 20);
    pair.ends[1].node.narrowed.insert(authors[0].log);
    pair.tick(1);
    pair.run(100);
    let before = pair.ends[0].sent_bytes;
    pair.ends[0].node.hold(&authors[0], 20);
    pair.tick(0);
    pair.run(1_000);
    assert_eq!(
        pair.ends[0].acked_of(authors[0].log),
        20,
        "it said so, though it does not offer the log"
    );
    assert!(pair.ends[0].sent_bytes - before < 100);
    assert_eq!(pair.ends[1].node.repeated, 0);
}

#[test]
fn a_log_starts_only_when_the_peer_holds_what_introduces_its_author() {
    let (mut pair, authors) = relaying();
    let roster = pair.ends[0].node.author.log;
    pair.ends[0].node.after.insert(authors[0].log, (roster, 4));
    pair.ends[0].node.hold(&authors[0], 20);
    pair.ends[0].node.author.write_many(3);
    pair.connect();
    pair.run(5_000);
    assert_eq!(pair.ends[0].acked_of(roster), 3);
    assert!(pair.ends[1].node.log(authors[0].log).is_empty());
    pair.ends[0].node.author.write_many(1);
    pair.tick(0);
    pair.run(2_000);
    assert_eq!(pair.ends[1].node.log(authors[0].log).len(), 20);
    assert_eq!(pair.ends[1].compared().last(), Some(&true));
}

#[test]
fn a_wider_scope_starts_a_log_and_a_narrower_one_stops_it_and_says_so() {
    let (mut pair, authors) = relaying();
    let log = authors[0].log;
    pair.ends[0].node.narrowed.insert(log);
    pair.ends[0].node.hold(&authors[0], 10);
    pair.connect();
    pair.run(1_000);
    assert!(pair.ends[1].node.log(log).is_empty());
    pair.ends[0].node.narrowed.clear();
    pair.tick(0);
    pair.run(1_000);
    assert_eq!(pair.ends[1].node.log(log).len(), 10);
    pair.ends[0].node.narrowed.insert(log);
    pair.ends[0].node.hold(&authors[0], 20);
    pair.tick(0);
    pair.run(1_000);
    assert_eq!(pair.ends[1].node.log(log).len(), 10, "no more of it");
    for (end, by) in pair.ends.iter().zip([Side::Ours, Side::Theirs]) {
        let withdrawn = vec![log];
        assert!(end.reports.contains(&Report::Scope { by, withdrawn }));
        assert_eq!(end.closed, None);
    }
    pair.ends[0].node.narrowed.clear();
    pair.tick(0);
    pair.run(1_000);
    assert_eq!(pair.ends[1].node.log(log).len(), 20);
}

#[test]
fn what_the_peer_does_not_offer_keeps_nobody_from_comparing_the_rest() {
    let (mut pair, authors) = relaying();
    pair.ends[0].node.hold(&authors[0], 10);
    pair.ends[0].node.hold(&authors[1], 10);
    pair.ends[1].node.hold(&authors[1], 20);
    // The second end offers nothing of the first log though it holds it, and takes none of it.
    pair.ends[1].node.hold(&authors[0], 10);
    pair.ends[1].node.narrowed.insert(authors[0].log);
    pair.connect();
    pair.run(2_000);
    let told = Report::Scope {
        by: Side::Theirs,
        withdrawn: vec![authors[0].log],
    };
    assert!(pair.ends[0].reports.contains(&told));
    assert_eq!(pair.ends[0].compared(), [true]);
    assert_eq!(pair.ends[1].compared(), [true]);
}

#[test]
fn what_is_being_withdrawn_is_compared_by_both_sides_or_by_none() {
    let (mut pair, authors) = relaying();
    let log = authors[0].log;
    pair.ends[0].node.hold(&authors[0], 10);
    pair.ends[0].node.hold(&authors[1], 10);
    pair.ends[1].node.narrowed.insert(log);
    pair.connect();
    pair.run(2_000);
    assert_eq!(pair.ends[1].node.log(log).len(), 10);
    pair.ends[0].node.narrowed.insert(log);
    pair.tick(0);
    pair.run(2_000);
    for end in &pair.ends {
        assert!(end.compared().len() > 1, "compared without it");
        assert!(end.compared().iter().all(|equal| *equal));
    }
}

#[test]
fn a_log_whose_author_the_peer_does_not_know_waits_and_the_others_go_on() {
    let (mut pair, authors) = relaying();
    pair.ends[1].node.keys.remove(&authors[0].log.origin);
    pair.ends[0].node.hold(&authors[0], 10);
    pair.ends[0].node.hold(&authors[1], 10);
    pair.connect();
    pair.run(1_000);
    pair.ends[0].node.author.write_many(2);
    pair.tick(0);
    pair.run(1_000);
    assert_eq!(pair.ends[0].closed, None);
    assert!(pair.ends[1].node.log(authors[0].log).is_empty());
    assert_eq!(pair.ends[1].node.log(authors[1].log).len(), 10);
    assert!(pair.ends[1].node.holds(&pair.ends[0].node.author));
    assert!(pair.ends[0].reports.iter().any(|report| matches!(
        report,
        Report::Stopped { by: Side::Theirs, stopped } if stopped.cursor.log == authors[0].log
    )));
    pair.ends[1].node.meet(&authors[0].key.public());
    pair.tick(1);
    pair.run(6 * PING_INTERVAL_MS);
    assert_eq!(pair.ends[1].node.log(authors[0].log).len(), 10);
}

#[test]
fn own_logs_go_before_those_of_others_and_nobody_is_starved() {
    let (mut pair, mut authors) = relaying();
    authors[0].write_many(1_000);
    pair.ends[0].node.hold(&authors[0], 1_020);
    pair.ends[0].node.author.write_many(1_000);
    pair.ends[0].node.read_entries_max = 20;
    pair.connect();
    let own = pair.ends[0].node.author.log;
    let mut seen = None;
    for _ in 0..2_000 {
        pair.run(5);
        if pair.ends[1].node.log(own).len() >= 500 {
            seen = Some(pair.ends[1].node.log(authors[0].log).len());
            break;
        }
    }
    let others = seen.unwrap();
    assert!((100..300).contains(&others), "{others} of the other log");
}

#[test]
fn contradicting_entries_of_a_third_are_shown_to_both_and_stop_only_that_log() {
    for (first, second) in [(10, 10), (20, 10), (10, 20)] {
        let (mut pair, authors) = relaying();
        let log = authors[0].log;
        let mut forked = Author::new(40, 2);
        forked.entries = authors[0].entries[..9].to_vec();
        for number in 0..11 {
            forked.write(crate::support::body(700 + number, 60));
        }
        pair.ends[0].node.hold(&authors[0], first);
        pair.ends[1].node.hold(&forked, second);
        pair.ends[0].node.hold(&authors[1], 20);
        pair.connect();
        pair.run(2_000);
        assert_eq!(pair.ends[0].closed, None);
        assert_eq!(pair.ends[1].node.log(authors[1].log).len(), 20);
        assert_eq!(pair.ends[0].node.log(log).len(), first, "untouched");
        assert_eq!(pair.ends[1].node.log(log).len(), second, "untouched");
        let [mine, theirs] = [&pair.ends[0], &pair.ends[1]].map(crate::pair::End::evidence);
        let seq = 10_usize;
        assert_eq!(mine, [(10, forked.entries[seq - 1].entry_hash())]);
        assert_eq!(theirs, [(10, authors[0].entries[seq - 1].entry_hash())]);
    }
}

#[test]
fn an_end_of_our_own_log_from_the_peer_breaks_the_protocol() {
    use raccordo_transport::wire::{Message, Ping};
    let mut pair = approved();
    pair.connect();
    pair.run(1_000);
    let ping = Message::Ping(Ping {
        clock_ms: 1,
        echo_ms: 0,
        since_ms: 0,
        heads: vec![Cursor {
            log: LogId::new(pair.ends[1].node.author.log.origin, 0),
            seq: 5,
            hash: [1; 32],
        }],
    });
    pair.forge_control(1, ping.encode());
    pair.run(1_000);
    assert!(matches!(
        pair.ends[1].closed,
        Some(raccordo_transport::CloseReason::Protocol { .. })
    ));
}

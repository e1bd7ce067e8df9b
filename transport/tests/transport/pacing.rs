//! What is limited, and two nodes that dial each other at once.

use std::time::Duration;

use raccordo_transport::{CloseReason, Limits, LinkEvent, PeerId, Standing};

use tokio::time::{Instant, timeout};

use crate::nodes::{DEADLINE, Node, friends, reason};
use crate::support::body;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_brings_more_than_it_may_is_held_back_and_loses_nothing() {
    let (district, coordination) = friends();
    coordination.endpoint.limit(Limits {
        receive_entries: 1_000,
        ..Limits::default()
    });
    district.write(2_500);
    let started = Instant::now();
    let link = district.dial(&coordination);
    district.acked(2_500).await;
    // A second's worth at once, and the last frame is taken before it is paid for.
    assert!(started.elapsed() >= Duration::from_millis(1_100));
    assert!(coordination.holds_all_of(&district));
    link.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_are_limited_on_either_side() {
    for receiving in [true, false] {
        let (district, coordination) = friends();
        let limits = Limits {
            receive_bytes: if receiving { 400_000 } else { 0 },
            send_bytes: if receiving { 0 } else { 400_000 },
            ..Limits::default()
        };
        let limited = if receiving { &coordination } else { &district };
        limited.endpoint.limit(limits);
        district.change(|memory| {
            for number in 0..20 {
                memory.author.write(body(number, 50_000));
            }
        });
        let started = Instant::now();
        let link = district.dial(&coordination);
        district.acked(20).await;
        let took = started.elapsed();
        assert!(took >= Duration::from_millis(900), "{took:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
        link.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_share_what_may_be_sent_in_all() {
    let sender = Node::new(1);
    let peers = [Node::new(2), Node::new(3)];
    for peer in &peers {
        sender.admit(peer, Standing::Approved);
        peer.admit(&sender, Standing::Approved);
    }
    sender.endpoint.limit(Limits {
        send_bytes_in_all: 400_000,
        ..Limits::default()
    });
    sender.change(|memory| {
        for number in 0..150 {
            memory.author.write(body(number, 4_000));
        }
    });
    let started = Instant::now();
    let links = [peers[0].dial(&sender), peers[1].dial(&sender)];
    let log = sender.host.memory.lock().unwrap().author.log;
    let sent = || {
        let [first, second] = [&peers[0], &peers[1]].map(|peer| {
            let statistics = sender.endpoint.statistics(&peer.id);
            statistics.map_or(0, |statistics| statistics.stream_sent)
        });
        (first.min(second), first.max(second))
    };
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    let halfway = async {
        while sent().1 < 500_000 {
            looks.tick().await;
        }
        sent()
    };
    let (less, more) = timeout(DEADLINE, halfway).await.unwrap();
    assert!(less * 10 >= more * 8, "{less} and {more}");
    for peer in &peers {
        peer.until("all entries", |memory, _| {
            (memory.log(log).len() == 150).then_some(())
        })
        .await;
    }
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(1_500), "{took:?}");
    links.iter().for_each(tokio::task::JoinHandle::abort);
}

/// How many links are open, whether the last was dialled here, and whether one was replaced.
fn open(events: &[(PeerId, LinkEvent)]) -> (usize, bool, bool) {
    let mut seen = (0, false, false);
    for (_, event) in events {
        match event {
            LinkEvent::Connected { outgoing, .. } => (seen.0, seen.1) = (seen.0 + 1, *outgoing),
            LinkEvent::Closed { reason } => {
                // One may end before it was connected.
                seen.0 = usize::saturating_sub(seen.0, 1);
                seen.2 |= *reason == CloseReason::Replaced;
            }
            _ => {}
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_dial_each_other_at_once_keep_one_connection_and_the_same_one() {
    for _ in 0..12 {
        let (left, right) = friends();
        let (small, large) = if left.id < right.id {
            (&left, &right)
        } else {
            (&right, &left)
        };
        let (by_small, by_large) = (small.dial(large), large.dial(small));
        for count in [1, 2] {
            for node in [small, large] {
                node.write(1);
                node.acked(count).await;
            }
        }
        // The larger key's stays only if the smaller one had not dialled when it came; the larger
        // one may still see the dial that was on its way, and its end.
        let (by_smaller, replaced) = small
            .until("one connection", |_, events| {
                let theirs = large.host.events.lock().unwrap();
                let (ours, theirs) = (open(events), open(&theirs));
                (ours.0 == 1 && theirs.0 == 1 && ours.1 != theirs.1).then_some((ours.1, ours.2))
            })
            .await;
        assert!(by_smaller || !replaced);
        assert!(!by_small.is_finished(), "it waits for the end");
        assert!(!by_large.is_finished(), "it waits for the end");
        small.endpoint.shutdown().await;
        reason(by_small).await;
        reason(by_large).await;
    }
}

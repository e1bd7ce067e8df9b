//! Real sockets on the loopback: who gets in, who is put out, what is said then.

use std::sync::Arc;

use raccordo_transport::session::HELLO_DEADLINE_MS;
use raccordo_transport::{
    CloseReason, Cursor, Endpoint, JoinAccepted, JoinFailed, JoinRefused, LinkEvent, NodeKey, Side,
    Standing, StopCode, Stopped, Versions,
};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::nodes::{ANYWHERE, DEADLINE, Node, PinSet, friends, reason};
use crate::support::{Author, body};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_pair_catches_up_goes_live_and_proves_it() {
    let (district, coordination) = friends();
    district.write(1_500);
    coordination.write(3);
    let link = district.dial(&coordination);
    district.acked(1_500).await;
    coordination.acked(3).await;
    district.write(1);
    district.acked(1_501).await;
    assert!(coordination.holds_all_of(&district));
    let compared = district
        .until("a comparison", |_, events| {
            events.iter().find_map(|(_, event)| match event {
                LinkEvent::Compared { equal } => Some(*equal),
                _ => None,
            })
        })
        .await;
    assert!(compared);
    let statistics = district.endpoint.statistics(&coordination.id).unwrap();
    assert!(statistics.stream_sent > 1_500 * 230, "{statistics:?}");
    assert!(
        statistics.udp_sent > statistics.stream_sent,
        "{statistics:?}"
    );
    assert!(statistics.rtt_us > 0);
    district.endpoint.shutdown().await;
    assert_eq!(reason(link).await, CloseReason::Shutdown);
    assert_eq!(coordination.closed().await, CloseReason::Shutdown);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_pass_in_both_directions_at_once() {
    let (district, coordination) = friends();
    for node in [&district, &coordination] {
        let mut memory = node.host.memory.lock().unwrap();
        for number in 0..40 {
            memory.author.write(body(number, 200 << 10));
        }
    }
    let link = district.dial(&coordination);
    district.acked(40).await;
    coordination.acked(40).await;
    link.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_log_waits_on_an_open_link_and_goes_on_when_it_is_taken_again() {
    let (district, coordination) = friends();
    let mut second = Author::new(1, 2);
    second.write_many(50);
    let lane = second.log;
    district.change(|memory| memory.second = Some(second));
    district.write(400);
    let own = district.host.memory.lock().unwrap().author.log;
    coordination.change(|memory| {
        memory.stopped = vec![Stopped {
            cursor: Cursor::start(own),
            code: StopCode::Refused,
            detail: "not this one".to_owned(),
        }];
    });
    let link = district.dial(&coordination);
    district
        .heard("the stop", |event| {
            matches!(event, LinkEvent::Stopped { by: Side::Theirs, stopped }
                if stopped.cursor.log == own && stopped.detail == "not this one")
        })
        .await;
    district
        .heard("the other lane's acknowledgement", |event| {
            matches!(event, LinkEvent::Acked { cursors }
                if cursors.iter().any(|cursor| cursor.log == lane && cursor.seq == 50))
        })
        .await;
    assert!(coordination.host.memory.lock().unwrap().log(own).is_empty());
    coordination.change(|memory| memory.stopped.clear());
    district.acked(400).await;
    district
        .heard("the resumption", |event| {
            *event
                == LinkEvent::Resumed {
                    by: Side::Theirs,
                    log: own,
                }
        })
        .await;
    assert!(coordination.holds_all_of(&district));
    link.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_rolled_back_gets_its_log_back_over_the_same_link() {
    let (district, coordination) = friends();
    district.write(600);
    let first = district.dial(&coordination);
    district.acked(600).await;
    first.abort();
    coordination.closed().await;
    let whole = district.host.memory.lock().unwrap().author.entries.clone();
    district.change(|memory| memory.author.entries.truncate(70));
    district.forget_events();
    coordination.forget_events();
    let link = district.dial(&coordination);
    for (node, whose) in [(&district, Side::Ours), (&coordination, Side::Theirs)] {
        node.heard("the rollback", |event| {
            matches!(event, LinkEvent::RolledBack(rollback)
                if rollback.whose == whose && rollback.held_seq == 600 && rollback.head_seq == 70)
        })
        .await;
    }
    district.change(|memory| memory.recover = vec![memory.author.head()]);
    district
        .until("the lost entries", |memory, _| {
            (memory.author.entries == whole).then_some(())
        })
        .await;
    district.change(|memory| memory.recover.clear());
    district.write(1);
    district.acked(601).await;
    assert!(coordination.holds_all_of(&district));
    assert!(!link.is_finished());
    link.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_client_does_not_get_past_the_handshake() {
    let (stranger, coordination) = (Node::new(1), Node::new(2));
    stranger.admit(&coordination, Standing::Approved);
    let refused = reason(stranger.dial(&coordination)).await;
    assert!(
        matches!(refused, CloseReason::Refused { .. }),
        "{refused:?}"
    );
    assert!(!stranger.was_connected());
    assert!(coordination.host.events.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_another_key_is_refused() {
    let (district, coordination) = friends();
    let impostor = Node::new(3);
    impostor.admit(&district, Standing::Approved);
    district.admit(&impostor, Standing::Approved);
    let (endpoint, host) = (district.endpoint.clone(), district.host.clone());
    let dialled = endpoint.dial(impostor.endpoint.local_addr(), coordination.id, host);
    let refused = timeout(DEADLINE, dialled).await.unwrap();
    assert!(
        matches!(refused, CloseReason::Refused { .. }),
        "{refused:?}"
    );
    assert!(!district.was_connected() && !impostor.was_connected());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_no_longer_pinned_is_not_spoken_to() {
    let (district, coordination) = friends();
    district.pins.0.lock().unwrap().clear();
    let refused = reason(district.dial(&coordination)).await;
    assert!(
        matches!(refused, CloseReason::Refused { .. }),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_peer_is_closed_at_once_and_its_key_never_comes_back() {
    let (district, coordination) = friends();
    let link = district.dial(&coordination);
    coordination.connected().await;
    district.connected().await;
    coordination.pins.0.lock().unwrap().remove(&district.id);
    coordination
        .endpoint
        .close(&district.id, CloseReason::Revoked);
    assert_eq!(reason(link).await, CloseReason::Revoked);
    assert_eq!(coordination.closed().await, CloseReason::Revoked);
    district.forget_events();
    for _ in 0..3 {
        let refused = reason(district.dial(&coordination)).await;
        assert!(
            matches!(refused, CloseReason::Refused { .. }),
            "{refused:?}"
        );
    }
    assert!(!district.was_connected());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_standing_closes_or_opens_a_live_link() {
    let (district, coordination) = friends();
    coordination.admit(&district, Standing::Pending);
    district.write(5);
    let link = district.dial(&coordination);
    district.connected().await;
    coordination.admit(&district, Standing::Approved);
    district.acked(5).await;
    coordination.admit(&district, Standing::Suspended);
    assert_eq!(reason(link).await, CloseReason::Suspended);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_connection_of_a_key_wins() {
    let (district, coordination) = friends();
    let first = district.dial(&coordination);
    coordination.connected().await;
    district.connected().await;
    district.forget_events();
    coordination.forget_events();
    let second = district.dial(&coordination);
    assert_eq!(reason(first).await, CloseReason::Replaced);
    coordination.connected().await;
    let order: Vec<bool> = coordination
        .host
        .events
        .lock()
        .unwrap()
        .iter()
        .filter_map(|(_, event)| match event {
            LinkEvent::Closed { .. } => Some(false),
            LinkEvent::Connected { .. } => Some(true),
            _ => None,
        })
        .collect();
    assert_eq!(order, [false, true], "the end of the older is told first");
    district.write(1);
    district.acked(1).await;
    second.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_node_with_the_same_key_is_sent_away_while_the_first_answers() {
    let (district, coordination) = friends();
    let link = district.dial(&coordination);
    coordination.connected().await;
    let copy = Node::new(1);
    copy.change(|memory| memory.incarnation = [99; 8]);
    copy.admit(&coordination, Standing::Approved);
    assert_eq!(reason(copy.dial(&coordination)).await, CloseReason::Cloned);
    let named = |event: &LinkEvent| {
        let incarnation = [99; 8];
        *event == LinkEvent::Cloned { incarnation }
    };
    coordination.heard("of the second node", named).await;
    district.write(1);
    district.acked(1).await;
    assert!(!link.is_finished(), "the first goes on");
    link.abort();
}

/// Dials from a thread of its own, which then stands still as a killed process does.
fn frozen(seed: u8, at: &Node, standing: Standing) -> std::sync::mpsc::Sender<()> {
    let (address, id) = (at.endpoint.local_addr(), at.id);
    let (is_frozen, freezing) = std::sync::mpsc::channel();
    let (let_go, held) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(async {
            let node = Node::new(seed);
            node.pins.0.lock().unwrap().insert(id);
            node.host.memory.lock().unwrap().know(&id, standing);
            let (endpoint, host) = (node.endpoint.clone(), Arc::clone(&node.host));
            tokio::spawn(async move { endpoint.dial(address, id, host).await });
            node.connected().await;
            is_frozen.send(()).unwrap();
            held.recv().unwrap_err();
        });
    });
    freezing.recv().unwrap();
    let_go
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_starts_that_wait_for_a_dead_one_only_the_later_is_heard() {
    let coordination = Node::new(2);
    let district = Node::new(1);
    coordination.admit(&district, Standing::Approved);
    let frozen = frozen(1, &coordination, Standing::Approved);
    coordination.connected().await;
    coordination.forget_events();
    let started = |incarnation: u8| {
        let node = Node::new(1);
        node.change(|memory| memory.incarnation = [incarnation; 8]);
        node.admit(&coordination, Standing::Approved);
        node
    };
    let (one, other) = (started(7), started(8));
    let mut links = [one.dial(&coordination), other.dial(&coordination)];
    coordination.connected().await;
    let [first, second] = &mut links;
    let replaced = tokio::select! {
        reason = first => reason.unwrap(),
        reason = second => reason.unwrap(),
    };
    assert_eq!(replaced, CloseReason::Replaced);
    let starts = coordination.host.starts.lock().unwrap().clone();
    assert_eq!(
        starts.len(),
        2,
        "the dead one and its successor: {starts:?}"
    );
    drop(frozen);
    links.iter().for_each(JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_major_or_minor_version_is_named_on_both_sides() {
    let minor = Versions {
        major: 1,
        minor_min: 1,
        minor_max: 2,
    };
    let major = Versions {
        major: 2,
        minor_min: 0,
        minor_max: 0,
    };
    for theirs in [minor, major] {
        let (old, new) = (Node::new(1), Node::speaking(2, theirs));
        old.admit(&new, Standing::Approved);
        new.admit(&old, Standing::Approved);
        let seen = reason(old.dial(&new)).await;
        assert_eq!(
            seen,
            CloseReason::Version {
                ours: Versions::CURRENT,
                theirs: Some(theirs)
            }
        );
        assert_eq!(
            new.closed().await,
            CloseReason::Version {
                ours: theirs,
                theirs: Some(Versions::CURRENT)
            }
        );
        assert!(!old.was_connected() && !new.was_connected());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_at_the_address_is_told_within_the_handshakes_deadline() {
    let (district, coordination) = friends();
    let silent = std::net::UdpSocket::bind(ANYWHERE).unwrap();
    let (endpoint, host) = (district.endpoint.clone(), district.host.clone());
    let dialled = endpoint.dial(silent.local_addr().unwrap(), coordination.id, host);
    let seen = timeout(DEADLINE, dialled).await.unwrap();
    assert!(matches!(seen, CloseReason::Unreachable { .. }), "{seen:?}");
}

/// How long a peer that is connected and says nothing is borne, and how much later is still in time.
const HELLO_BY: std::time::Duration = std::time::Duration::from_millis(HELLO_DEADLINE_MS);
const SOON_AFTER: std::time::Duration = std::time::Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn a_peer_that_connects_and_says_nothing_is_dropped_in_time_and_the_others_go_on() {
    let (district, coordination) = friends();
    let link = district.dial(&coordination);
    district.connected().await;
    for (seed, dials) in [(7, true), (8, false)] {
        let mute = Node::new(seed);
        mute.admit(&coordination, Standing::Approved);
        coordination.admit(&mute, Standing::Approved);
        // Its host answers nothing from here on, so it has nothing to say.
        let host = Arc::clone(&mute.host);
        let (let_go, held) = std::sync::mpsc::channel::<()>();
        let (is_mute, muted) = tokio::sync::oneshot::channel();
        let holding = std::thread::spawn(move || {
            let memory = host.memory.lock().unwrap();
            is_mute.send(()).unwrap();
            held.recv().unwrap();
            drop(memory);
        });
        muted.await.unwrap();
        let mut dialled = if dials {
            mute.dial(&coordination)
        } else {
            coordination.dial(&mute)
        };
        let district_writes = async {
            district.write(10);
            district.acked(if dials { 10 } else { 20 }).await;
        };
        let others = timeout(HELLO_BY / 2, district_writes).await;
        others.expect("the others do not wait");
        if dials {
            // Long enough for the other side to have lost its patience: what is said then is late.
            let early = timeout(HELLO_BY + SOON_AFTER, &mut dialled).await;
            assert!(early.is_err(), "it cannot even read why: {early:?}");
            let_go.send(()).unwrap();
            let ended = timeout(DEADLINE, dialled).await.unwrap().unwrap();
            assert!(!mute.was_connected(), "{ended:?}");
        } else {
            let early = timeout(HELLO_BY / 4, &mut dialled).await;
            assert!(early.is_err(), "it has its time: {early:?}");
            let ended = timeout(HELLO_BY + SOON_AFTER, dialled).await;
            let ended = ended.expect("dropped in time").unwrap();
            assert!(
                matches!(&ended, CloseReason::Unreachable { detail } if detail.contains("no hello")),
                "{ended:?}"
            );
            let_go.send(()).unwrap();
        }
        holding.join().unwrap();
    }
    assert!(!link.is_finished(), "the good link stayed");
    link.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_named() {
    let node = Node::new(1);
    let address = node.endpoint.local_addr();
    let key = NodeKey::from_seed([2; 32]);
    let failed = Endpoint::bind(address, &key, Arc::new(PinSet::default())).unwrap_err();
    assert_eq!(failed.to_string(), format!("cannot listen on {address}"));
}

/// A coordination with one invitation, and the invitation's key.
fn inviting() -> (Node, NodeKey) {
    let coordination = Node::new(2);
    coordination.host.invitation.lock().unwrap().territory = "frosinone/a".to_owned();
    let one_time = NodeKey::one_time(&[9; 16], &coordination.id);
    let mut pins = coordination.pins.0.lock().unwrap();
    pins.insert(one_time.public());
    drop(pins);
    (coordination, one_time)
}

async fn redeem(
    coordination: &Node,
    one_time: &NodeKey,
    seed: u8,
    territory: &str,
) -> Result<JoinAccepted, JoinFailed> {
    let real = NodeKey::from_seed([seed; 32]);
    let address = coordination.endpoint.local_addr();
    let redeemed = Endpoint::redeem(
        address,
        coordination.id,
        one_time,
        &real,
        "Alatri",
        territory,
        0,
    );
    timeout(DEADLINE, redeemed).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_is_redeemed_once_and_again_by_the_same_key_only() {
    let (coordination, one_time) = inviting();
    let accepted = redeem(&coordination, &one_time, 5, "frosinone/a")
        .await
        .unwrap();
    assert_eq!(accepted.territory, "frosinone");
    assert_eq!(accepted.standing, Standing::Pending);
    assert_eq!(
        redeem(&coordination, &one_time, 5, "frosinone/a")
            .await
            .unwrap(),
        accepted
    );
    let used = redeem(&coordination, &one_time, 6, "frosinone/a").await;
    assert!(
        matches!(used, Err(JoinFailed::Refused(JoinRefused::Used))),
        "{used:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_expired_or_for_another_territory_is_refused_with_its_reason() {
    let (coordination, one_time) = inviting();
    let other = redeem(&coordination, &one_time, 5, "frosinone/b").await;
    assert!(
        matches!(other, Err(JoinFailed::Refused(JoinRefused::Territory))),
        "{other:?}"
    );
    coordination.host.invitation.lock().unwrap().expired = true;
    let late = redeem(&coordination, &one_time, 5, "frosinone/a").await;
    assert!(
        matches!(late, Err(JoinFailed::Refused(JoinRefused::Expired))),
        "{late:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_whose_key_is_unpinned_or_for_another_node_is_not_admitted() {
    let (coordination, one_time) = inviting();
    coordination.pins.0.lock().unwrap().clear();
    let gone = redeem(&coordination, &one_time, 5, "frosinone/a").await;
    assert!(
        matches!(gone, Err(JoinFailed::NotAdmitted { .. })),
        "{gone:?}"
    );
    let elsewhere = Node::new(3);
    elsewhere.pins.0.lock().unwrap().insert(one_time.public());
    let real = NodeKey::from_seed([5; 32]);
    let address = elsewhere.endpoint.local_addr();
    let wrong = Endpoint::redeem(address, coordination.id, &one_time, &real, "a", "b", 0).await;
    assert!(
        matches!(wrong, Err(JoinFailed::NotAdmitted { .. })),
        "{wrong:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_knocks_often_gets_in_once_it_proves_its_address() {
    let (coordination, one_time) = inviting();
    for _ in 0..12 {
        let joined = redeem(&coordination, &one_time, 5, "frosinone/a").await;
        assert!(joined.is_ok(), "{joined:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_one_time_key_opens_no_session() {
    let (coordination, one_time) = inviting();
    let pins = Arc::new(PinSet::default());
    pins.0.lock().unwrap().insert(coordination.id);
    let endpoint = Endpoint::bind(ANYWHERE, &one_time, pins).unwrap();
    let guest = Node::new(7);
    guest.admit(&coordination, Standing::Approved);
    let dialled = endpoint.dial(
        coordination.endpoint.local_addr(),
        coordination.id,
        guest.host.clone(),
    );
    let seen = timeout(DEADLINE, dialled).await.unwrap();
    assert_eq!(seen, CloseReason::Unknown);
    assert!(!guest.was_connected());
}

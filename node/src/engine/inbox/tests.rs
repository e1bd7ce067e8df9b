//! Order, groups, room and waiting of the queues.

use super::*;
use raccordo_transport::{EntryHeader, EntryKind};

fn entry(seq: u64, first: u64, count: u32) -> SignedEntry {
    let header = EntryHeader {
        lane: 0,
        origin: [1; 8],
        incarnation: [2; 8],
        seq,
        prev: [0; 32],
        group_first: first,
        group_count: count,
        kind: EntryKind::Change,
        document: [0; 16],
        document_kind: 1,
        body_hash: [0; 32],
        policy_epoch: 0,
        hlc: 0,
    };
    SignedEntry {
        header,
        signature: [0; 64],
        body: Some(vec![0; 100]),
    }
}

fn log() -> LogId {
    LogId {
        origin: [1; 8],
        lane: 0,
    }
}

fn delivery(log: LogId, entries: Vec<SignedEntry>) -> Delivery {
    Delivery {
        log,
        peer: PeerId::from_bytes([1; 32]),
        entries,
    }
}

fn waits(byte: u8) -> Waits {
    Waits {
        document: Some(DocumentId::from_bytes([byte; 16])),
        seq: 1,
        detail: "it needs another change".to_owned(),
    }
}

fn numbers(taken: &[Taken]) -> Vec<u64> {
    taken
        .iter()
        .flat_map(|t| &t.entries)
        .map(|e| e.header.seq)
        .collect()
}

#[tokio::test]
async fn a_group_leaves_whole_and_what_a_reconnect_repeats_is_left_out() {
    let inbox = Inbox::default();
    inbox
        .put(delivery(log(), vec![entry(1, 1, 1), entry(2, 2, 2)]), 0, 0)
        .await;
    assert_eq!(numbers(&inbox.take(u64::MAX, |_| 0)), [1]);
    inbox
        .put(delivery(log(), vec![entry(2, 2, 2), entry(3, 2, 2)]), 1, 0)
        .await;
    assert_eq!(numbers(&inbox.take(u64::MAX, |_| 0)), [2, 3]);
}

#[tokio::test]
async fn a_busy_log_does_not_keep_the_others_waiting() {
    let inbox = Inbox::default();
    let other = LogId {
        origin: [9; 8],
        lane: 0,
    };
    let big = |seq| SignedEntry {
        body: Some(vec![0; COMMIT_BYTES]),
        ..entry(seq, seq, 1)
    };
    for log in [log(), other] {
        inbox.put(delivery(log, vec![big(1)]), 0, 0).await;
    }
    let first = inbox.take(u64::MAX, |_| 0);
    inbox.done(first[0].log, &first[0].entries);
    inbox.put(delivery(log(), vec![big(2)]), 0, 0).await;
    let second = inbox.take(u64::MAX, |_| 0);
    assert_eq!([first[0].log, second[0].log], [log(), other]);
    assert_eq!([first.len(), second.len()], [1, 1]);
}

#[tokio::test]
async fn a_gap_stops_its_log_until_it_is_mended_and_then_the_entries_come_again() {
    let inbox = Inbox::default();
    let put = async |seq| {
        inbox
            .put(delivery(log(), vec![entry(seq, seq, 1)]), 0, 5)
            .await
    };
    assert_eq!(put(1).await, Put::Queued);
    assert_eq!(inbox.torn(), 0);
    assert_eq!(put(3).await, Put::Gap);
    assert_eq!(inbox.full()[0].0, log());
    assert_eq!(numbers(&inbox.take(u64::MAX, |_| 0)), [1]);
    assert!(!inbox.mend(TORN_MS), "not yet");
    assert!(inbox.mend(TORN_MS + 5) && inbox.torn() == 0);
    assert!(inbox.full().is_empty());
    assert_eq!(put(2).await, Put::Queued);
    assert_eq!(put(3).await, Put::Queued);
    assert_eq!(numbers(&inbox.take(u64::MAX, |_| 0)), [2, 3]);
}

#[tokio::test]
async fn what_could_not_be_stored_is_asked_for_again_ever_more_patiently() {
    let inbox = Inbox::default();
    let put = async || inbox.put(delivery(log(), vec![entry(1, 1, 1)]), 0, 0).await;
    for wait in [TORN_MS, 2 * TORN_MS, 4 * TORN_MS] {
        assert_eq!(put().await, Put::Queued);
        for taken in inbox.take(u64::MAX, |_| 0) {
            inbox.done(taken.log, &taken.entries);
            inbox.tear(taken.log, 0, 0);
        }
        assert_eq!(inbox.full()[0].0, log());
        assert!(!inbox.mend(wait - 1) && inbox.mend(wait), "{wait}");
        assert!(inbox.full().is_empty());
    }
    inbox.stored([log()].into_iter());
    inbox.tear(log(), 0, 0);
    assert!(inbox.mend(TORN_MS), "patient only while nothing is stored");
    let own = inbox.room(log()).available_permits();
    assert_eq!(own, QUEUE_BYTES_MAX / PERMIT_BYTES);
}

#[tokio::test]
async fn a_peer_far_behind_is_awaited_until_it_pauses() {
    let inbox = Inbox::default();
    inbox
        .put(delivery(log(), vec![entry(1, 1, 1)]), 0, 1_000)
        .await;
    assert_eq!(inbox.ready(1_001, |_| 10_000), Ready::Soon);
    assert_eq!(inbox.ready(1_200, |_| 10_000), Ready::Yes);
    assert_eq!(inbox.ready(1_001, |_| 1), Ready::Yes);
}

#[tokio::test]
async fn room_is_given_back_in_full_however_the_entries_are_taken() {
    let inbox = Inbox::default();
    for round in 0..10_000 {
        let seq = round * 2 + 1;
        inbox
            .put(delivery(log(), vec![entry(seq, seq, 1)]), 0, 0)
            .await;
        inbox
            .put(delivery(log(), vec![entry(seq + 1, seq + 1, 1)]), 0, 0)
            .await;
        for taken in inbox.take(u64::MAX, |_| 0) {
            inbox.done(taken.log, &taken.entries);
        }
    }
    let own = inbox.room(log()).available_permits();
    assert_eq!(own, QUEUE_BYTES_MAX / PERMIT_BYTES);
    assert_eq!(
        inbox.room.available_permits(),
        inbox.limits.all / PERMIT_BYTES
    );
}

#[tokio::test]
async fn a_log_that_waits_is_taken_again_when_what_it_waits_for_changed() {
    let inbox = Inbox::default();
    let put = async |seq| {
        inbox
            .put(delivery(log(), vec![entry(seq, seq, 1)]), 0, 0)
            .await
    };
    put(1).await;
    let taken = inbox.take(u64::MAX, |_| 0).remove(0);
    inbox.put_back(taken.log, taken.entries, Some(waits(7)));
    assert_eq!(put(2).await, Put::Queued);
    assert_eq!(inbox.ready(u64::MAX, |_| 0), Ready::No);
    inbox.wake(|waits| waits.document == Some(DocumentId::from_bytes([8; 16])));
    assert!(inbox.take(u64::MAX, |_| 0).is_empty());
    inbox.wake(|waits| waits.document == Some(DocumentId::from_bytes([7; 16])));
    assert_eq!(numbers(&inbox.take(u64::MAX, |_| 0)), [1, 2]);
}

#[tokio::test]
async fn a_log_that_waits_holds_little_and_is_stopped_beyond_that() {
    let inbox = Inbox::default();
    let big = |seq| SignedEntry {
        body: Some(vec![0; inbox.limits.waiting / 2]),
        ..entry(seq, seq, 1)
    };
    let all = vec![big(1), big(2), big(3)];
    inbox.put(delivery(log(), all), 0, 0).await;
    let taken = inbox.take(u64::MAX, |_| 0).remove(0);
    inbox.put_back(taken.log, taken.entries, Some(waits(7)));
    let more = inbox.put(delivery(log(), vec![entry(4, 4, 1)]), 0, 0).await;
    assert_eq!(more, Put::Full);
    assert_eq!(inbox.full()[0].0, log());
    inbox.wake(|_| true);
    assert!(inbox.full().is_empty());
    let again = inbox.put(delivery(log(), vec![big(1), big(2)]), 0, 0).await;
    assert_eq!(again, Put::Queued);
    let taken = inbox.take(u64::MAX, |_| 0).remove(0);
    assert_eq!(taken.entries.len(), 2);
    inbox.done(taken.log, &taken.entries);
    let own = inbox.room(log()).available_permits();
    assert_eq!(own, QUEUE_BYTES_MAX / PERMIT_BYTES);
}

#[tokio::test]
async fn a_delivery_that_waits_for_room_is_let_go_when_its_log_comes_to_wait() {
    let inbox = Inbox::default();
    let big = |seq| SignedEntry {
        body: Some(vec![0; 8 << 20]),
        ..entry(seq, seq, 1)
    };
    for seq in 1..=2 {
        inbox.put(delivery(log(), vec![big(seq)]), 0, 0).await;
    }
    let taken = inbox.take(u64::MAX, |_| 0).remove(0);
    let waiting = inbox.put(delivery(log(), vec![big(3)]), 0, 0);
    let stopping = async { inbox.put_back(taken.log, taken.entries, Some(waits(7))) };
    assert_eq!(tokio::join!(waiting, stopping).0, Put::Full);
}

#[tokio::test]
async fn a_group_larger_than_allowed_is_not_awaited() {
    let inbox = Inbox::default();
    let put = inbox.put(
        delivery(log(), vec![entry(1, 1, GROUP_ENTRIES_MAX + 1)]),
        0,
        0,
    );
    put.await;
    assert_eq!(numbers(&inbox.take(u64::MAX, |_| 0)), [1]);
    let big = |seq| SignedEntry {
        body: Some(vec![0; GROUP_BYTES_MAX / 2 + 1]),
        ..entry(seq, 2, 9)
    };
    inbox.put(delivery(log(), vec![big(2)]), 1, 0).await;
    assert!(inbox.take(u64::MAX, |_| 0).is_empty());
    inbox.put(delivery(log(), vec![big(3)]), 1, 0).await;
    assert_eq!(numbers(&inbox.take(u64::MAX, |_| 0)), [2, 3]);
}

//! What people have opened, between two sessions: told once, confirmed, and nothing else sent.

use raccordo_transport::session::{PING_INTERVAL_MS, Report, SEEN_PAUSE_MS};
use raccordo_transport::wire::frame::FrameBuffer;
use raccordo_transport::wire::{Message, SEEN_ITEMS_MAX};
use raccordo_transport::{CloseReason, Seen};

use crate::pair::{Durability, LATENCY_MS, Pair};
use crate::session_pair::approved;

const OPENED_MS: u64 = 0x0000_0199_c9b6_5400;

fn seen(document: u8, seq: u64) -> Seen {
    Seen {
        document: [document; 16],
        seq,
        at_ms: OPENED_MS,
    }
}

/// Both know each other, and hold the same.
fn at_rest() -> Pair {
    let mut pair = approved();
    pair.ends[0].node.author.write_many(5);
    pair.connect();
    pair.run(1_000);
    pair
}

fn told(pair: &Pair, side: usize) -> Vec<Seen> {
    let reports = pair.ends[side].reports.iter();
    let told = reports.filter_map(|report| match report {
        Report::SeenTold(items) => Some(items.clone()),
        _ => None,
    });
    told.flatten().collect()
}

fn parse(bytes: &[u8]) -> Result<Option<Message>, String> {
    let mut buffer = FrameBuffer::new(1 << 17);
    buffer.push(bytes);
    let frame = buffer.next_frame().unwrap().unwrap();
    Message::parse(frame.kind, &frame.body).map_err(|bad| bad.to_string())
}

#[test]
fn what_was_opened_and_its_confirmation_have_these_bytes() {
    let message = Message::Seen(vec![seen(0xa1, 300), seen(0xa2, 7)]);
    let mut expected = vec![0x34, 0x81, 0x02];
    expected.extend_from_slice(&[0xa1; 16]);
    expected.extend_from_slice(&[0xac, 0x02]);
    expected.extend_from_slice(&[0x00, 0x00, 0x01, 0x99, 0xc9, 0xb6, 0x54, 0x00]);
    expected.extend_from_slice(&[0xa2; 16]);
    expected.extend_from_slice(&[0x07]);
    expected.extend_from_slice(&[0x00, 0x00, 0x01, 0x99, 0xc9, 0xb6, 0x54, 0x00]);
    assert_eq!(message.encode(), expected);
    assert_eq!(parse(&expected), Ok(Some(message)));
    let kept = Message::SeenKept(2);
    assert_eq!(kept.encode(), [0x01, 0x82, 0x02]);
    assert_eq!(parse(&kept.encode()), Ok(Some(kept)));
}

#[test]
fn a_list_that_is_empty_too_long_or_out_of_order_is_refused() {
    let max = u8::try_from(SEEN_ITEMS_MAX).unwrap();
    let list = |count: u8| Message::Seen((0..count).map(|number| seen(number, 1)).collect());
    assert!(parse(&list(max).encode()).is_ok());
    assert!(parse(&list(max + 1).encode()).is_err());
    assert!(parse(&list(0).encode()).is_err());
    for wrong in [vec![seen(2, 1), seen(1, 1)], vec![seen(1, 1), seen(1, 2)]] {
        assert!(parse(&Message::Seen(wrong).encode()).is_err());
    }
    assert!(parse(&Message::SeenKept(SEEN_ITEMS_MAX + 1).encode()).is_err());
}

#[test]
fn what_was_opened_is_told_once_for_31_bytes_and_costs_nothing_after() {
    let mut pair = at_rest();
    let before = pair.sent_bytes();
    pair.ends[1].node.seen = vec![seen(1, 5)];
    pair.tick(1);
    pair.run(2 * LATENCY_MS);
    assert_eq!(pair.ends[0].node.heard, [[seen(1, 5)]]);
    assert_eq!(told(&pair, 1), [seen(1, 5)]);
    assert_eq!(pair.sent_bytes() - before, 28 + 3);
    // The host's word still names it until it has noted the confirmation.
    pair.tick(1);
    pair.ends[1].node.seen.clear();
    pair.tick(1);
    pair.run(LATENCY_MS);
    assert_eq!(pair.sent_bytes() - before, 28 + 3);
    pair.connect();
    pair.run(PING_INTERVAL_MS - 1);
    assert!(pair.sent_bytes() <= 500, "{} bytes", pair.sent_bytes());
    assert_eq!(pair.ends[0].node.heard.len(), 1);
}

#[test]
fn what_was_not_confirmed_is_told_again_on_the_next_connection() {
    let mut pair = at_rest();
    pair.ends[0].durability = Durability::ByHand;
    pair.ends[1].node.seen = vec![seen(1, 5)];
    pair.tick(1);
    pair.run(5_000);
    assert_eq!(told(&pair, 1), [], "not durable there: not confirmed");
    pair.ends[0].durability = Durability::AtOnce;
    pair.connect();
    pair.run(1_000);
    assert_eq!(pair.ends[0].node.heard, [[seen(1, 5)], [seen(1, 5)]]);
    assert_eq!(told(&pair, 1), [seen(1, 5)]);
}

#[test]
fn many_are_told_frame_by_frame_and_no_faster_than_they_are_confirmed() {
    let mut pair = at_rest();
    let all: Vec<Seen> = (0..150).map(|number| seen(number, 5)).collect();
    pair.ends[1].node.seen.clone_from(&all);
    pair.tick(1);
    for expected in [64, 128, 150] {
        pair.run(2 * LATENCY_MS);
        let known = told(&pair, 1);
        assert_eq!(known.len(), expected);
        pair.ends[1].node.seen.retain(|item| !known.contains(item));
        pair.tick(1);
        pair.run(SEEN_PAUSE_MS - 2 * LATENCY_MS);
    }
    assert_eq!(pair.ends[0].node.heard.concat(), all);
}

#[test]
fn who_tells_more_before_the_last_was_confirmed_breaks_the_protocol() {
    let mut pair = at_rest();
    pair.forge_control(0, Message::Seen(vec![seen(1, 1)]).encode());
    pair.run(LATENCY_MS);
    assert_eq!(pair.ends[0].closed, None);
    pair.forge_control(0, Message::Seen(vec![seen(2, 1)]).encode());
    pair.run(LATENCY_MS);
    // The first confirmation went out at once; the second waits, and a third is too many.
    assert_eq!(pair.ends[0].node.heard.len(), 2);
    pair.forge_control(0, Message::Seen(vec![seen(3, 1)]).encode());
    pair.run(LATENCY_MS);
    assert_eq!(pair.ends[0].node.heard.len(), 2);
    assert!(matches!(
        pair.ends[0].closed,
        Some(CloseReason::Protocol { .. })
    ));
}

#[test]
fn a_confirmation_of_nothing_breaks_the_protocol() {
    let mut pair = at_rest();
    pair.forge_control(0, Message::SeenKept(0).encode());
    pair.run(LATENCY_MS);
    assert!(matches!(
        pair.ends[0].closed,
        Some(CloseReason::Protocol { .. })
    ));
}

#[test]
fn what_was_opened_is_told_after_the_acknowledgement_of_what_it_names() {
    let mut pair = at_rest();
    pair.ends[1].durability = Durability::ByHand;
    pair.ends[0].node.author.write_many(1);
    pair.tick(0);
    pair.run(LATENCY_MS);
    pair.ends[0].node.author.write_many(1);
    pair.tick(0);
    pair.run(LATENCY_MS);
    let later = pair.ends[1].node.taken.split_off(1);
    // The acknowledgement of the first is held back, since another is on its way to the disk.
    pair.ends[1].node.seen = vec![seen(1, 6)];
    pair.store(1);
    pair.ends[1].node.taken = later;
    for _ in 0..200 {
        pair.run(1);
        let acked = pair.ends[0].acked();
        assert!(pair.ends[0].node.heard.is_empty() || acked >= 6, "{acked}");
    }
    assert_eq!(pair.ends[0].node.heard, [[seen(1, 6)]]);
}

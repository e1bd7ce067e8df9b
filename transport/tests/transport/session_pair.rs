//! What two sessions do to each other, on virtual time.

use raccordo_transport::session::{
    ACK_DELAY_MAX_MS, HELLO_DEADLINE_MS, PING_INTERVAL_MS, Report, SILENCE_MAX_MS,
};
use raccordo_transport::wire::data::DataEncoder;
use raccordo_transport::{BadEntry, CloseReason, EntryFault, Side, Standing, Versions};

use crate::pair::{Durability, LATENCY_MS, Pair};
use crate::support::{Memory, body};

const ROUND_TRIP_MS: u64 = 2 * LATENCY_MS;

/// A district that dials and the coordination that accepts; both approved.
pub(crate) fn approved() -> Pair {
    let (mut district, mut coordination) = (Memory::new(1, 0), Memory::new(2, 1));
    district.know(&coordination.id(), Standing::Approved);
    coordination.know(&district.id(), Standing::Approved);
    Pair::new(district, coordination)
}

fn pending() -> Pair {
    let mut pair = approved();
    let district = pair.ends[0].node.id();
    pair.ends[1].node.know(&district, Standing::Pending);
    pair
}

#[test]
fn a_backlog_is_caught_up_and_proven_equal() {
    let mut pair = approved();
    pair.ends[0].node.author.write_many(1_000);
    pair.ends[1].node.author.write_many(3);
    pair.connect();
    pair.run(2_000);
    assert!(pair.ends[1].node.holds(&pair.ends[0].node.author));
    assert!(pair.ends[0].node.holds(&pair.ends[1].node.author));
    assert_eq!(pair.ends[0].acked(), 1_000);
    assert_eq!(pair.ends[0].compared(), [true]);
    assert_eq!(pair.ends[1].compared(), [true]);
    assert_eq!(pair.ends[0].closed, None);
}

#[test]
fn reconnecting_with_nothing_changed_costs_one_round_trip_and_at_most_500_bytes() {
    let mut pair = approved();
    pair.ends[0].node.author.write_many(700);
    pair.ends[1].node.author.write_many(2);
    pair.connect();
    pair.run(2_000);
    let reads = pair.ends[0].reads + pair.ends[1].reads;
    pair.connect();
    pair.run(PING_INTERVAL_MS - 1);
    assert_eq!(pair.connected_after_ms, Some(ROUND_TRIP_MS));
    assert!(pair.sent_bytes() <= 500, "{} bytes", pair.sent_bytes());
    assert_eq!(pair.ends[0].compared(), [true]);
    assert_eq!(pair.ends[1].compared(), [true]);
    assert_eq!(
        pair.ends[0].reads + pair.ends[1].reads,
        reads,
        "no disk was read"
    );
}

#[test]
fn a_live_edit_arrives_in_half_a_round_trip_and_costs_at_most_330_bytes() {
    let mut pair = approved();
    pair.ends[0].node.author.write_many(5);
    pair.connect();
    pair.run(1_000);
    for number in 0..3 {
        let before = pair.sent_bytes();
        pair.ends[0].node.author.write(body(number, 164));
        pair.tick(0);
        pair.run(LATENCY_MS);
        assert!(pair.ends[1].node.holds(&pair.ends[0].node.author));
        pair.run(LATENCY_MS);
        assert_eq!(
            pair.ends[0].acked(),
            6 + number,
            "acknowledged after a round trip"
        );
        let cost = pair.sent_bytes() - before;
        assert!(cost <= 330, "{cost} bytes");
    }
}

#[test]
fn an_acknowledgement_is_sent_only_after_the_flush() {
    let mut pair = approved();
    pair.ends[1].durability = Durability::ByHand;
    pair.connect();
    pair.run(100);
    pair.ends[0].node.author.write_many(1);
    pair.tick(0);
    pair.run(5_000);
    assert_eq!(pair.ends[1].node.taken.len(), 1, "delivered");
    assert_eq!(pair.ends[0].acked(), 0, "and not acknowledged");
    pair.store(1);
    pair.run(LATENCY_MS);
    assert_eq!(pair.ends[0].acked(), 1);
}

#[test]
fn acknowledgements_are_coalesced_while_more_is_on_its_way() {
    let mut pair = approved();
    pair.ends[1].durability = Durability::ByHand;
    pair.connect();
    pair.run(100);
    pair.ends[0].node.author.write_many(1);
    pair.tick(0);
    pair.run(LATENCY_MS);
    // Two more are taken before the first is durable.
    pair.ends[0].node.author.write_many(2);
    pair.tick(0);
    pair.run(LATENCY_MS);
    assert_eq!(pair.ends[1].node.taken.len(), 3);
    let later = pair.ends[1].node.taken.split_off(1);
    pair.store(1);
    pair.ends[1].node.taken = later;
    pair.run(ACK_DELAY_MAX_MS - 1);
    assert_eq!(pair.ends[0].acked(), 0);
    pair.run(LATENCY_MS + 1);
    assert_eq!(pair.ends[0].acked(), 1);
    pair.store(1);
    pair.run(LATENCY_MS);
    assert_eq!(pair.ends[0].acked(), 3, "nothing more on its way: at once");
}

#[test]
fn a_link_cut_in_the_middle_goes_on_where_the_peer_held() {
    let mut pair = approved();
    pair.ends[0].node.read_entries_max = 10;
    pair.ends[0].node.author.write_many(200);
    pair.connect();
    pair.run(3 * LATENCY_MS);
    let log = pair.ends[0].node.author.log;
    let held = pair.ends[1].node.held[&log].len();
    assert!(0 < held && held < 200, "{held}");
    pair.connect();
    pair.run(5_000);
    assert!(pair.ends[1].node.holds(&pair.ends[0].node.author));
    assert_eq!(pair.ends[0].compared(), [true]);
}

#[test]
fn different_digests_at_equal_positions_are_told() {
    let mut pair = approved();
    pair.ends[0].node.author.write_many(4);
    pair.connect();
    pair.run(1_000);
    let log = pair.ends[0].node.author.log;
    // A document is damaged in the middle; the positions stay.
    pair.ends[1].node.held.get_mut(&log).unwrap()[1].signature[0] ^= 1;
    pair.connect();
    pair.run(1_000);
    assert_eq!(pair.ends[0].compared(), [false]);
    assert_eq!(pair.ends[1].compared(), [false]);
    assert_eq!(pair.ends[0].closed, None, "the link stays: repair needs it");
}

#[test]
fn after_live_edits_equality_is_proven_again_with_the_next_ping() {
    let mut pair = approved();
    pair.connect();
    pair.run(1_000);
    pair.ends[0].node.author.write_many(1);
    pair.tick(0);
    pair.run(PING_INTERVAL_MS + 1_000);
    assert_eq!(pair.ends[0].compared().last(), Some(&true));
    assert_eq!(pair.ends[1].compared().len(), 2);
    let settled = pair.ends[1].compared().len();
    pair.run(5 * PING_INTERVAL_MS);
    assert_eq!(
        pair.ends[1].compared().len(),
        settled,
        "nothing moved, nothing is said"
    );
}

#[test]
fn an_entry_with_a_bad_signature_is_refused_by_name_and_nothing_after_it_is_taken() {
    let mut pair = approved();
    pair.ends[0].node.author.write_many(5);
    pair.ends[0].node.author.entries[2].signature[5] ^= 1;
    pair.connect();
    pair.run(1_000);
    let entry = BadEntry {
        log: pair.ends[0].node.author.log,
        seq: 3,
        fault: EntryFault::Signature,
    };
    let by = |by| Some(CloseReason::BadEntry { entry, by });
    assert_eq!(pair.ends[1].closed, by(Side::Ours));
    assert_eq!(pair.ends[0].closed, by(Side::Theirs));
    assert!(pair.ends[1].node.held.is_empty());
}

#[test]
fn an_entry_with_another_predecessor_does_not_verify() {
    let mut pair = approved();
    let author = &mut pair.ends[0].node.author;
    author.write_many(1);
    let first = author.entries.clone();
    author.entries.clear();
    author.write(body(77, 164));
    author.write_many(1);
    let second = author.entries[1].clone();
    author.entries = first;
    author.entries.push(second);
    pair.connect();
    pair.run(1_000);
    assert!(matches!(
        pair.ends[1].closed,
        Some(CloseReason::BadEntry {
            entry: BadEntry {
                seq: 2,
                fault: EntryFault::Signature,
                ..
            },
            by: Side::Ours
        })
    ));
}

#[test]
fn a_gap_stops_its_log_alone_until_the_peer_leaves_nothing_out() {
    let mut pair = approved();
    pair.connect();
    pair.run(1_000);
    pair.ends[0].node.author.write_many(3);
    let log = pair.ends[0].node.author.log;
    let (bytes, _) = DataEncoder::default().encode(&pair.ends[0].node.author.entries[1..], false);
    pair.forge_data(1, bytes);
    pair.run(1_000);
    assert_eq!(pair.ends[1].closed, None);
    assert_eq!(
        pair.ends[1].node.end(log).seq,
        0,
        "nothing is taken out of order"
    );
    let told = pair.ends[0].reports.iter().any(|report| {
        matches!(report, Report::Stopped { by: Side::Theirs, stopped }
            if stopped.cursor.log == log && stopped.detail == "entry 2 came where 1 was due")
    });
    assert!(told, "{:?}", pair.ends[0].reports);
    // The other direction goes on.
    pair.ends[1].node.author.write_many(2);
    pair.tick(1);
    pair.run(1_000);
    let other = pair.ends[1].node.author.log;
    assert_eq!(pair.ends[0].node.end(other).seq, 2);
    assert_eq!(pair.ends[1].closed, None);
    pair.connect();
    pair.run(1_000);
    assert!(pair.ends[1].node.holds(&pair.ends[0].node.author));
    assert_eq!(pair.ends[1].closed, None);
}

#[test]
fn a_repeated_frame_is_refused() {
    let mut pair = approved();
    pair.ends[0].node.author.write_many(3);
    pair.connect();
    pair.run(1_000);
    let (bytes, _) = DataEncoder::default().encode(&pair.ends[0].node.author.entries, false);
    pair.forge_data(1, bytes);
    pair.run(1_000);
    assert!(matches!(
        pair.ends[1].closed,
        Some(CloseReason::Protocol { .. } | CloseReason::BadEntry { .. })
    ));
}

#[test]
fn a_log_that_nobody_known_signs_is_refused() {
    let mut pair = approved();
    let origin = pair.ends[0].node.author.log.origin;
    pair.ends[1].node.keys.remove(&origin);
    pair.ends[0].node.author.write_many(1);
    pair.connect();
    pair.run(1_000);
    assert!(matches!(
        pair.ends[1].closed,
        Some(CloseReason::BadEntry {
            entry: BadEntry {
                fault: EntryFault::UnknownOrigin,
                ..
            },
            ..
        })
    ));
}

#[test]
fn a_pending_peer_learns_its_state_and_after_approval_entries_flow_without_reconnect() {
    let mut pair = pending();
    pair.ends[0].node.author.write_many(20);
    pair.ends[1].node.author.write_many(20);
    pair.connect();
    pair.run(3 * PING_INTERVAL_MS);
    assert!(pair.ends[0].connected && pair.ends[1].connected);
    assert_eq!(pair.ends[0].closed, None);
    assert!(pair.ends[0].node.held.is_empty() && pair.ends[1].node.held.is_empty());
    let district = pair.ends[0].node.id();
    pair.ends[0].node.author.write_many(5);
    pair.ends[1].node.know(&district, Standing::Approved);
    pair.tick(0);
    pair.tick(1);
    pair.run(1_000);
    assert!(
        pair.ends[0]
            .reports
            .contains(&Report::Regarded(Standing::Approved))
    );
    assert!(pair.ends[1].node.holds(&pair.ends[0].node.author));
    assert!(pair.ends[0].node.holds(&pair.ends[1].node.author));
    assert_eq!(pair.ends[0].compared(), [true]);
}

#[test]
fn a_pending_peer_is_told_no_positions() {
    let mut pair = pending();
    pair.ends[1].node.author.write_many(20);
    pair.connect();
    pair.run(1_000);
    assert!(
        !pair.ends[0]
            .reports
            .iter()
            .any(|report| matches!(report, Report::Announced(_)))
    );
    assert!(pair.ends[1].sent_bytes < 100, "{}", pair.ends[1].sent_bytes);
}

#[test]
fn a_pending_peer_that_sends_entries_is_not_read() {
    let mut pair = pending();
    pair.ends[0].node.author.write_many(1);
    pair.connect();
    pair.run(100);
    let (bytes, _) = DataEncoder::default().encode(&pair.ends[0].node.author.entries, false);
    pair.forge_data(1, bytes);
    pair.run(1_000);
    assert!(pair.ends[1].node.taken.is_empty() && pair.ends[1].node.held.is_empty());
}

#[test]
fn whoever_is_no_member_any_more_is_told_why_it_is_closed() {
    for (standing, reason) in [
        (Standing::Revoked, CloseReason::Revoked),
        (Standing::Suspended, CloseReason::Suspended),
        (Standing::Unknown, CloseReason::Unknown),
    ] {
        let mut pair = approved();
        pair.connect();
        pair.run(1_000);
        let district = pair.ends[0].node.id();
        pair.ends[1].node.know(&district, standing);
        pair.tick(1);
        pair.run(LATENCY_MS);
        assert_eq!(pair.ends[0].closed, Some(reason.clone()));
        pair.connect();
        pair.run(1_000);
        assert_eq!(pair.ends[0].closed, Some(reason));
        assert!(!pair.ends[0].connected);
    }
}

#[test]
fn another_range_of_versions_is_named_on_both_sides() {
    let mut pair = approved();
    let newer = Versions {
        major: 1,
        minor_min: 2,
        minor_max: 4,
    };
    pair.ends[1].versions = newer;
    pair.connect();
    pair.run(1_000);
    assert_eq!(
        pair.ends[0].closed,
        Some(CloseReason::Version {
            ours: Versions::CURRENT,
            theirs: Some(newer)
        })
    );
    assert_eq!(
        pair.ends[1].closed,
        Some(CloseReason::Version {
            ours: newer,
            theirs: Some(Versions::CURRENT)
        })
    );
}

#[test]
fn a_peer_that_lags_costs_no_memory() {
    let mut pair = approved();
    pair.ends[0].node.author.write_many(5_000);
    pair.ends[1].durability = Durability::ByHand;
    pair.connect();
    pair.run(5 * LATENCY_MS);
    pair.ends[1].reading_stopped = true;
    pair.run(1_000);
    for _ in 0..50 {
        pair.ends[0].node.author.write_many(20);
        pair.tick(0);
        pair.run(100);
    }
    assert!(
        pair.ends[0].in_memory_max <= 3,
        "{} batches",
        pair.ends[0].in_memory_max
    );
    assert_eq!(pair.ends[0].closed, None);
    pair.ends[1].reading_stopped = false;
    pair.ends[1].durability = Durability::AtOnce;
    pair.tick(1);
    pair.run(20_000);
    pair.store(1);
    pair.run(1_000);
    assert!(pair.ends[1].node.holds(&pair.ends[0].node.author));
}

#[test]
fn a_peer_without_hello_or_without_a_word_is_given_up() {
    let mut pair = approved();
    pair.connect();
    pair.ends[1].session = None;
    pair.run(HELLO_DEADLINE_MS + 1);
    assert!(matches!(
        pair.ends[0].closed,
        Some(CloseReason::Unreachable { .. })
    ));
    let mut pair = approved();
    pair.connect();
    pair.run(1_000);
    pair.ends[1].session = None;
    pair.ends[1].closed = None;
    pair.run(SILENCE_MAX_MS + 1);
    assert_eq!(pair.ends[0].closed, Some(CloseReason::Silent));
}

#[test]
fn a_quiet_link_stays_up_on_pings() {
    let mut pair = approved();
    pair.connect();
    pair.run(10 * SILENCE_MAX_MS);
    assert_eq!(pair.ends[0].closed, None);
    assert_eq!(pair.ends[1].closed, None);
}

#[test]
fn unknown_frames_are_skipped_with_the_high_bit_and_refused_without() {
    let mut pair = approved();
    pair.connect();
    pair.run(1_000);
    pair.forge_control(1, vec![2, 0xf0, 1, 2]);
    pair.forge_data(1, vec![2, 0xf1, 1, 2]);
    pair.run(1_000);
    assert_eq!(pair.ends[1].closed, None);
    pair.forge_control(1, vec![2, 0x70, 1, 2]);
    pair.run(1_000);
    assert!(matches!(
        pair.ends[1].closed,
        Some(CloseReason::Protocol { .. })
    ));
}

#[test]
fn a_second_hello_and_an_acknowledgement_of_nothing_break_the_protocol() {
    for forged in [vec![0, 0x03], vec![3, 0x01, 1, 0, 0]] {
        let mut pair = approved();
        pair.connect();
        pair.run(1_000);
        pair.forge_control(1, forged.clone());
        pair.run(1_000);
        assert!(
            matches!(pair.ends[1].closed, Some(CloseReason::Protocol { .. })),
            "{forged:?}"
        );
    }
}

#[test]
fn a_store_that_gives_less_than_it_promised_ends_the_session() {
    let mut pair = approved();
    pair.ends[0].node.author.write_many(3);
    pair.ends[0].node.read_entries_max = 0;
    pair.connect();
    pair.run(1_000);
    assert!(matches!(
        pair.ends[0].closed,
        Some(CloseReason::HostFailed { .. })
    ));
}

//! One log stops, the others go on; what was dropped comes again.

use raccordo_transport::session::{PING_INTERVAL_MS, Report};
use raccordo_transport::{LogId, Side, StopCode, Stopped};

use crate::pair::{Durability, LATENCY_MS, Pair};
use crate::session_pair::approved;
use crate::support::Author;

fn with_second_lane() -> Pair {
    let mut pair = approved();
    let mut second = Author::new(1, 2);
    second.write_many(30);
    pair.ends[0].node.second = Some(second);
    pair.ends[0].node.author.write_many(30);
    pair
}

fn stop(pair: &mut Pair, log: LogId, code: StopCode) {
    let cursor = pair.ends[1].node.end(log);
    pair.ends[1].node.stopped = vec![Stopped {
        cursor,
        code,
        detail: "it says too much".to_owned(),
    }];
}

#[test]
fn a_stopped_log_pauses_on_both_sides_and_resumes_where_it_stood() {
    let mut pair = with_second_lane();
    let log = pair.ends[0].node.author.log;
    pair.connect();
    pair.run(1_000);
    stop(&mut pair, log, StopCode::Refused);
    pair.tick(1);
    pair.run(1_000);
    pair.ends[0].node.author.write_many(10);
    pair.ends[0].node.second.as_mut().unwrap().write_many(5);
    let reads = pair.ends[0].reads;
    pair.tick(0);
    pair.run(1_000);
    assert_eq!(
        pair.ends[0].reads,
        reads + 1,
        "only the other lane was read"
    );
    assert_eq!(pair.ends[1].node.log(log).len(), 30);
    assert!(
        pair.ends[1]
            .node
            .holds(pair.ends[0].node.second.as_ref().unwrap())
    );
    for (end, by) in pair.ends.iter().zip([Side::Theirs, Side::Ours]) {
        assert!(end.reports.iter().any(|report| matches!(
            report,
            Report::Stopped { by: whose, stopped }
                if *whose == by && stopped.cursor.seq == 30 && stopped.code == StopCode::Refused
                    && stopped.detail == "it says too much"
        )));
        assert_eq!(end.closed, None);
    }
    pair.ends[1].node.stopped.clear();
    pair.tick(1);
    pair.run(1_000);
    assert!(pair.ends[1].node.holds(&pair.ends[0].node.author));
    for (end, by) in pair.ends.iter().zip([Side::Theirs, Side::Ours]) {
        assert!(end.reports.contains(&Report::Resumed { by, log }));
    }
    assert_eq!(pair.ends[0].compared().last(), Some(&true));
}

#[test]
fn frames_in_flight_of_a_stopped_log_are_dropped_and_come_again() {
    let mut pair = with_second_lane();
    let log = pair.ends[0].node.author.log;
    pair.ends[0].node.read_entries_max = 3;
    pair.ends[0].node.author.write_many(300);
    pair.connect();
    pair.run(4 * LATENCY_MS);
    let stood = pair.ends[1].node.log(log).len();
    assert!((1..200).contains(&stood), "{stood}");
    stop(&mut pair, log, StopCode::Waiting);
    pair.tick(1);
    pair.run(LATENCY_MS / 2);
    // It goes on while frames from before the stop are still on their way.
    pair.ends[1].node.stopped.clear();
    pair.tick(1);
    pair.run(30_000);
    assert!(pair.ends[1].node.holds(&pair.ends[0].node.author));
    assert_eq!(pair.ends[1].closed, None);
    assert_eq!(pair.ends[0].compared().last(), Some(&true));
}

#[test]
fn a_log_stopped_before_the_connection_is_not_started() {
    let mut pair = with_second_lane();
    let log = pair.ends[0].node.author.log;
    stop(&mut pair, log, StopCode::Equivocation);
    pair.connect();
    pair.run(3 * PING_INTERVAL_MS);
    assert!(pair.ends[1].node.log(log).is_empty());
    assert!(
        pair.ends[1]
            .node
            .holds(pair.ends[0].node.second.as_ref().unwrap())
    );
    assert!(
        pair.ends[0].compared().is_empty(),
        "not all that is offered is held"
    );
    pair.ends[1].node.stopped.clear();
    pair.tick(1);
    pair.run(1_000);
    assert!(pair.ends[1].node.holds(&pair.ends[0].node.author));
}

#[test]
fn entries_that_the_host_lost_without_a_word_are_asked_for_again() {
    let mut pair = with_second_lane();
    pair.ends[1].durability = Durability::ByHand;
    pair.connect();
    pair.run(1_000);
    pair.ends[1].node.taken.clear();
    pair.ends[1].durability = Durability::AtOnce;
    pair.run(5 * PING_INTERVAL_MS);
    assert!(pair.ends[1].node.holds(&pair.ends[0].node.author));
    assert!(
        pair.ends[1]
            .node
            .holds(pair.ends[0].node.second.as_ref().unwrap())
    );
    assert_eq!(pair.ends[0].compared().last(), Some(&true));
}

#[test]
fn a_host_that_holds_less_than_it_said_gets_the_rest_again() {
    let mut pair = with_second_lane();
    let log = pair.ends[0].node.author.log;
    pair.connect();
    pair.run(1_000);
    pair.ends[1].node.held.get_mut(&log).unwrap().truncate(12);
    pair.tick(1);
    pair.run(1_000);
    assert!(pair.ends[1].node.holds(&pair.ends[0].node.author));
    assert_eq!(pair.ends[1].closed, None);
}

#[test]
fn clocks_are_compared_with_the_hello_and_at_every_ping() {
    let mut pair = approved();
    pair.ends[1].node.clock_ms += 90_000;
    pair.connect();
    pair.run(2 * PING_INTERVAL_MS + 1_000);
    for (end, sign) in pair.ends.iter().zip([1, -1]) {
        let clocks: Vec<(i64, u64)> = end
            .reports
            .iter()
            .filter_map(|report| match report {
                Report::Clock { offset_ms, rtt_us } => Some((*offset_ms, *rtt_us)),
                _ => None,
            })
            .collect();
        assert!(clocks.len() >= 2, "{clocks:?}");
        for (offset_ms, rtt_us) in clocks {
            assert!((offset_ms - sign * 90_000).abs() <= 1, "{offset_ms}");
            assert_eq!(rtt_us, 2 * LATENCY_MS * 1_000);
        }
    }
}

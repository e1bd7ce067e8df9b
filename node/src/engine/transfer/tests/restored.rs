//! An office put back on an older copy of its disk, that offered a project before it heard of its loss.

use raccordo_crdt_model::Kind;
use raccordo_transport::{Rollback, Side};
use serde_json::json;

use super::super::super::inbox::Delivery;
use super::super::super::stored::Reading;
use super::super::super::{recovery, report};
use super::world::{A, B, C, COORDINATION, World, futures_now};

/// The coordination tells the office what it holds of its logs, and gives it back.
fn give_back(world: &World) {
    let (above, office) = (&world.stations[COORDINATION], &world.stations[A]);
    let (peer, own) = (above.core.id, office.core.id.origin());
    let held = above.core.ledger().logs.clone();
    for (log, end) in held.iter().filter(|(log, _)| log.origin == own) {
        let rollback = Rollback {
            log: *log,
            held_seq: end.seq,
            held_hash: Some(end.hash),
            head_seq: office.core.ledger().end(*log).seq,
            whose: Side::Ours,
        };
        recovery::begin(&office.core, peer, &rollback);
    }
    assert!(report::writes_problem(&office.core, &office.core.ledger()).is_some());
    for _ in 0..3 {
        for cursor in recovery::recover(&office.core.ledger(), &peer) {
            let mut reading = Reading::new(&above.core);
            let read = reading.entries(cursor.log, cursor.seq, usize::MAX, usize::MAX);
            let new = recovery::compare(&office.core, read.unwrap()).unwrap();
            if new.is_empty() {
                continue;
            }
            let end = office.core.ledger().end(cursor.log).seq;
            office.inbox.drop_log(cursor.log, end);
            let delivery = Delivery {
                log: cursor.log,
                peer,
                entries: new,
            };
            futures_now(office.inbox.put(delivery, end, 0));
            office.absorb();
        }
        recovery::finish_if_complete(&office.core);
    }
    assert_eq!(
        report::writes_problem(&office.core, &office.core.ledger()),
        None
    );
}

#[test]
fn an_offer_made_on_an_older_copy_of_the_disk_still_goes_to_whom_it_was_made() {
    let mut world = World::new();
    let first = world.project();
    let fields = json!({"ref": "FR-2", "need_area": "POV", "opened_on": "2026-03-04",
        "state": "planning", "subject": {"kind": "household"}});
    let second = world.stations[A].make(Kind::Project, &fields);
    world.ship_all();
    let copy = world.stations[A].disk.copy();
    let to_b = world.stations[A].offer(first, "f/b").unwrap();
    world.ship(A, COORDINATION, usize::MAX);
    world.stations[A].disk = copy;
    world.stations[A].restart();
    // The same lane, for another district than what the coordination holds of it.
    let to_c = world.stations[A].offer(second, "f/c").unwrap();
    let lanes = |world: &World| {
        let ledger = world.stations[A].core.ledger();
        let own = ledger.pairs.iter();
        let own = own.filter(|(log, _)| log.origin == world.stations[A].core.id.origin());
        own.map(|(log, with)| (log.lane, with.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(lanes(&world), [(16, "f/c".to_owned())]);
    give_back(&world);
    assert_eq!(
        lanes(&world),
        [(16, "f/b".to_owned()), (17, "f/c".to_owned())]
    );
    world.stations[A].restart();
    world.ship_all();
    assert!(world.stations[B].core.look(to_c).unwrap().is_none());
    assert!(world.stations[C].core.look(to_b).unwrap().is_none());
    world.stations[B].accept(to_b).unwrap();
    world.stations[C].accept(to_c).unwrap();
    world.ship_all();
    for (project, transfer) in [(first, to_b), (second, to_c)] {
        let office = &world.stations[A];
        assert_eq!(office.state(Kind::Project, project), "transferred");
        assert_eq!(office.state(Kind::Transfer, transfer), "completed");
    }
    // What each says to hold of the others' logs agrees.
    for at in [B, C] {
        let (office, other) = (
            world.stations[A].core.ledger(),
            world.stations[at].core.ledger(),
        );
        for (home, digest) in &other.homes {
            assert!(
                office.homes.get(home).is_none_or(|own| own == digest),
                "{home:?}"
            );
        }
    }
}

#[test]
fn an_offer_that_was_heard_of_locks_its_project_again_when_the_lock_was_lost_with_the_disk() {
    let mut world = World::new();
    let project = world.project();
    world.ship_all();
    let copy = world.stations[A].disk.copy();
    let id = world.stations[A].offer(project, "f/b").unwrap();
    world.ship_pairs(A, COORDINATION);
    world.stations[A].disk = copy;
    world.stations[A].restart();
    give_back(&world);
    let state = |world: &World| world.stations[A].state(Kind::Project, project);
    world.stations[A].settle();
    assert_eq!(state(&world), "transferring");
    world.ship_all();
    world.stations[B].accept(id).unwrap();
    world.check(project, "it is accepted");
    world.ship_all();
    assert_eq!(state(&world), "transferred");
    assert_eq!(world.edited().len(), 1);
}

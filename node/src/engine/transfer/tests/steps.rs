//! Steps that could not be taken, and those that are taken for who is revoked.

use std::sync::atomic::Ordering;

use raccordo_crdt_model::Kind;

use super::super::driver::RETRY_MS;
use super::world::{A, B, C, COORDINATION, LAPTOP, World};

#[test]
fn a_step_that_a_full_disk_forbade_is_taken_after_a_pause() {
    let (mut world, project, id) = World::offered();
    world.ship_all();
    world.stations[B].accept(id).unwrap();
    world.ship(B, COORDINATION, usize::MAX);
    world.deliver(COORDINATION, A, usize::MAX);
    let sender = &mut world.stations[A];
    sender.absorb();
    sender.disk.set_free(Some(0));
    sender.drive();
    assert_eq!(sender.state(Kind::Project, project), "transferring");
    sender.disk.set_free(None);
    sender.drive();
    assert_eq!(
        sender.state(Kind::Project, project),
        "transferring",
        "not before the pause is over"
    );
    let pause = i64::try_from(RETRY_MS).unwrap();
    world.clock.0.fetch_add(pause, Ordering::Relaxed);
    sender.drive();
    assert_eq!(sender.state(Kind::Project, project), "transferred");
}

#[test]
fn what_a_device_had_told_its_office_counts_though_it_was_revoked_from_above_before_that_was_heard()
{
    let (mut world, project, id) = World::offered();
    world.ship_all();
    world.stations[A].withdraw(id).unwrap();
    for (from, to) in [(A, COORDINATION), (COORDINATION, B), (B, COORDINATION)] {
        world.ship(from, to, usize::MAX);
    }
    world.stations[LAPTOP].accept(id).unwrap();
    world.ship(LAPTOP, B, usize::MAX);
    // As far as the coordination knows, all that the laptop has said is at the sender.
    world.revoke(COORDINATION, LAPTOP);
    world.ship(COORDINATION, A, usize::MAX);
    world.check(project, "the revocation is heard");
    let state = world.stations[A].state(Kind::Project, project);
    assert_eq!(state, "transferring");
    world.ship_without_laptop();
    world.check(project, "the office has said what it had heard");
    let state = world.stations[A].state(Kind::Project, project);
    assert_eq!(state, "transferred");
}

#[test]
fn a_district_that_has_no_node_left_is_not_waited_for() {
    let mut world = World::new();
    let project = world.project();
    let id = world.stations[A].offer(project, "f/c").unwrap();
    world.ship_all();
    world.revoke(COORDINATION, C);
    world.stations[A].withdraw(id).unwrap();
    world.ship(COORDINATION, A, usize::MAX);
    assert_eq!(world.stations[A].state(Kind::Transfer, id), "withdrawn");
    assert_eq!(world.stations[A].state(Kind::Project, project), "planning");
}

//! Steps that could not be taken.

use std::sync::atomic::Ordering;

use raccordo_crdt_model::Kind;

use super::super::driver::RETRY_MS;
use super::world::{A, B, COORDINATION, World};

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

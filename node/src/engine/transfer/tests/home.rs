//! What a receiver's own word about its projects does to one that it takes over.

use raccordo_crdt_model::Kind;

use super::super::super::publish::{self, PublishCommand};
use super::world::{A, B, COORDINATION, LAPTOP, World};

#[test]
fn what_a_district_takes_over_that_publishes_aggregates_alone_stays_in_it() {
    let (mut world, project, id) = World::offered();
    let publish = PublishCommand {
        level: Some("aggregates".to_owned()),
        counts: publish::Counts::default(),
        by: "op".to_owned(),
    };
    let published = world.stations[B].run(|draft| publish::execute(draft, publish));
    published.unwrap();
    world.ship_all();
    world.stations[B].accept(id).unwrap();
    world.ship_all();
    let made = *world.stations[LAPTOP]
        .ids(Kind::Project)
        .first()
        .expect("the office's other node has it");
    assert_eq!(world.stations[COORDINATION].ids(Kind::Project).len(), 1);
    assert!(
        world.stations[COORDINATION]
            .core
            .look(made)
            .unwrap()
            .is_none()
    );
    assert_eq!(
        world.stations[A].state(Kind::Project, project),
        "transferred"
    );
    world.check(project, "it stays");
}

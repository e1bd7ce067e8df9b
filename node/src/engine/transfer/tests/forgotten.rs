//! What stays of a transfer after one side has forgotten whom it was about.

use std::collections::BTreeSet;

use raccordo_crdt_model::Kind;

use super::super::super::{erasures, forget};
use super::super::{OPEN, terms};
use super::world::{A, B, COORDINATION, LAPTOP, World};

#[test]
fn what_the_receiver_forgets_is_not_left_sealed_in_the_transfer_that_brought_it() {
    let (mut world, project, id) = World::offered();
    world.ship_all();
    world.stations[B].accept(id).unwrap();
    world.ship_all();
    let receiver = &world.stations[B];
    let person = *receiver.ids(Kind::Person).first().unwrap();
    let order = |draft: &mut super::super::super::draft::Draft<'_>| {
        forget::order(draft, Kind::Person, person, "su richiesta", "op")
    };
    receiver.run(order).unwrap();
    let name = person.to_string();
    let certificate = erasures::certificate(&receiver.core, &name).unwrap();
    assert!(!certificate.complete);
    let transfer = id.to_string();
    assert!(certificate.text.contains(&transfer), "{}", certificate.text);
    world.ship_all();
    for at in [A, B, LAPTOP, COORDINATION] {
        let station = &world.stations[at];
        assert!(station.core.look(id).unwrap().is_none(), "at {at}");
        let open = station
            .core
            .store
            .scan(crate::store::Table::Meta, OPEN, None, 9);
        assert_eq!(open.unwrap(), [], "at {at}");
    }
    let certificate = erasures::certificate(&world.stations[B].core, &name).unwrap();
    assert!(
        !certificate.text.contains(&transfer),
        "{}",
        certificate.text
    );
    assert_eq!(
        world.stations[A].state(Kind::Project, project),
        "transferred"
    );
    let left: BTreeSet<_> = world.stations[B].ids(Kind::Project);
    assert_eq!(left, BTreeSet::new());
}

#[test]
fn a_transfer_that_was_forgotten_before_its_sender_confirmed_ends_the_senders_project_first() {
    let (mut world, project, id) = World::offered();
    world.ship_all();
    world.stations[B].accept(id).unwrap();
    let made = world.stations[B].fields(Kind::Transfer, id).unwrap();
    let made = terms::document(made.get("new_project")).unwrap();
    let order = |draft: &mut super::super::super::draft::Draft<'_>| {
        forget::order(draft, Kind::Project, made, "su richiesta", "op")
    };
    world.stations[B].run(order).unwrap();
    world.ship_all();
    assert_eq!(
        world.stations[A].state(Kind::Project, project),
        "transferred"
    );
    assert!(world.stations[A].core.look(id).unwrap().is_none());
    assert_eq!(world.edited(), BTreeSet::new());
}

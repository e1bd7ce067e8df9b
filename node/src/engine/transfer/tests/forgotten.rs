//! What stays of a transfer after one side has forgotten whom it was about.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use raccordo_crdt_model::Kind;
use serde_json::json;

use super::super::super::{erasures, forget};
use super::super::{OPEN, terms};
use super::world::{A, B, COORDINATION, LAPTOP, World};

/// So long a step waits that could not be taken.
const RETRY: i64 = 30_001;

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
fn what_the_receiver_forgets_stays_at_a_sender_under_a_legal_hold_until_it_ends() {
    let (mut world, project, id) = World::offered();
    world.ship_all();
    world.stations[B].accept(id).unwrap();
    world.ship_all();
    let casefile = |world: &World| *world.stations[A].ids(Kind::Casefile).first().unwrap();
    let edit = |world: &World, patch: serde_json::Value| {
        let patch = raccordo_crdt_model::Patch::parse(&patch).unwrap();
        let held = casefile(world);
        let station = &world.stations[A];
        let patched = station.run(|draft| {
            super::super::super::local::patch(draft, Kind::Casefile, held, &patch, None, "op")
        });
        patched.unwrap();
    };
    let hold = json!({"reason": "procedimento in corso"});
    edit(
        &world,
        json!([{"op": "add", "path": "/legal_hold/h1", "value": hold}]),
    );
    let by_hand = world.stations[A]
        .run(|draft| forget::order(draft, Kind::Transfer, id, "a mano", "op"))
        .unwrap_err();
    assert!(by_hand.to_string().contains("legal hold"), "{by_hand}");
    let receiver = &world.stations[B];
    let person = *receiver.ids(Kind::Person).first().unwrap();
    receiver
        .run(|draft| forget::order(draft, Kind::Person, person, "su richiesta", "op"))
        .unwrap();
    world.ship_all();
    world.stations[A].restart();
    world.ship_all();
    let sender = &world.stations[A];
    assert!(sender.core.look(id).unwrap().is_some());
    let shown = sender.fields(Kind::Transfer, id).unwrap();
    assert_eq!(shown["erasure_held_by"], "legal_hold");
    let held = super::super::held(&sender.core).unwrap();
    assert_eq!((held[0].transfer, held[0].held_by), (id, "legal_hold"));
    let asking = erasures::certificate(&world.stations[B].core, &person.to_string()).unwrap();
    assert!(!asking.complete);

    edit(&world, json!([{"op": "remove", "path": "/legal_hold/h1"}]));
    world.clock.0.fetch_add(RETRY, Ordering::Relaxed);
    world.ship_all();
    for at in [A, B, LAPTOP, COORDINATION] {
        let station = &world.stations[at];
        assert!(station.core.look(id).unwrap().is_none(), "at {at}");
    }
    assert_eq!(
        super::super::held(&world.stations[A].core).unwrap().len(),
        0
    );
    assert_eq!(
        world.stations[A].state(Kind::Project, project),
        "transferred"
    );
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

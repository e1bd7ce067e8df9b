//! What is appended while a project is offered: it is in the receiver's records, once, whatever is
//! killed on the way.

use raccordo_crdt_model::{DocumentId, Kind, Patch};
use serde_json::{Value, json};

use super::super::super::local;
use super::UNSYNCED;
use super::world::{A, B, C, COORDINATION, LAPTOP, Station, World};
use crate::store::Moment;

const SAID: &str = "Nota segreta dopo l'offerta";

fn append(at: &Station, kind: Kind, id: DocumentId, path: &str, value: &Value) {
    let patch = json!([{"op": "add", "path": path, "value": value}]);
    let patch = Patch::parse(&patch).unwrap();
    let patched = at.run(|draft| local::patch(draft, kind, id, &patch, None, "op"));
    patched.unwrap();
}

fn review(at: &Station, project: DocumentId, key: &str) {
    let review = json!({"on": "2026-11-02", "findings": "procede"});
    append(
        at,
        Kind::Project,
        project,
        &format!("/reviews/{key}"),
        &review,
    );
}

fn note(at: &Station, key: &str) {
    let casefile = only(at, Kind::Casefile);
    let note = json!({"text": SAID});
    append(
        at,
        Kind::Casefile,
        casefile,
        &format!("/diary/{key}"),
        &note,
    );
}

fn only(at: &Station, kind: Kind) -> DocumentId {
    let own = at.core.territory();
    let mine = |id: &DocumentId| at.core.document_row(*id).unwrap().unwrap().territory == own;
    let mut ids = at.ids(kind).into_iter().filter(mine);
    let id = ids.next().unwrap();
    assert_eq!(ids.next(), None, "{kind:?}");
    id
}

/// The keys of a container of the only record of a kind.
fn keys(at: &Station, kind: Kind, container: &str) -> Vec<String> {
    let fields = at.fields(kind, only(at, kind)).unwrap();
    let entries = fields[container].as_object();
    entries
        .into_iter()
        .flatten()
        .map(|(key, _)| key.clone())
        .collect()
}

fn writes(at: &Station, id: DocumentId) -> u64 {
    at.core.look(id).unwrap().unwrap().change_count()
}

#[test]
fn a_review_and_a_note_that_were_appended_after_the_offer_are_in_the_receivers_records_once() {
    let mut world = World::new();
    let project = world.project();
    review(&world.stations[A], project, "r0");
    let id = world.stations[A].offer(project, "f/b").unwrap();
    review(&world.stations[A], project, "rl");
    note(&world.stations[A], "dl");
    world.ship_all();
    world.stations[B].accept(id).unwrap();
    let early = keys(&world.stations[B], Kind::Project, "reviews");
    assert_eq!(early, ["r0"], "what went with the offer");
    review(&world.stations[A], project, "rm");
    world.ship_all();
    for at in [B, LAPTOP] {
        let station = &world.stations[at];
        assert_eq!(keys(station, Kind::Project, "reviews"), ["r0", "rl", "rm"]);
        assert_eq!(keys(station, Kind::Casefile, "diary"), ["d1", "dl"]);
        assert!(station.holds(SAID));
    }
    assert_eq!(world.stations[A].state(Kind::Transfer, id), "completed");
    for outside in [COORDINATION, C] {
        assert!(!world.stations[outside].holds(SAID), "{outside}");
    }
    world.check_secrecy("appended");
    let shown = world.stations[B].fields(Kind::Transfer, id).unwrap();
    assert!(
        shown.get("later").is_none() && shown.get("later_keys").is_none(),
        "{shown}"
    );
    // What was taken away there since does not come back.
    let made = only(&world.stations[B], Kind::Project);
    let away = json!([{"op": "remove", "path": "/reviews/rl"}]);
    let away = Patch::parse(&away).unwrap();
    let removed = |draft: &mut super::super::super::draft::Draft<'_>| {
        local::patch(draft, Kind::Project, made, &away, None, "op")
    };
    world.stations[B].run(removed).unwrap();
    let before = writes(&world.stations[B], id);
    world.stations[B].restart();
    world.ship_all();
    assert_eq!(
        keys(&world.stations[B], Kind::Project, "reviews"),
        ["r0", "rm"]
    );
    assert_eq!(writes(&world.stations[B], id), before);
}

#[test]
fn where_nothing_was_appended_nothing_more_is_sealed() {
    let mut world = World::new();
    let project = world.project();
    review(&world.stations[A], project, "r0");
    let id = world.stations[A].offer(project, "f/b").unwrap();
    world.ship_all();
    world.stations[B].accept(id).unwrap();
    world.ship_all();
    let fields = world.stations[A]
        .core
        .look(id)
        .unwrap()
        .unwrap()
        .record()
        .fields;
    assert_eq!(fields["state"], "completed");
    for absent in ["later", "later_keys"] {
        let entries = fields[absent].as_object();
        assert!(entries.is_none_or(serde_json::Map::is_empty), "{fields}");
    }
    assert_eq!(keys(&world.stations[B], Kind::Project, "reviews"), ["r0"]);
    assert_eq!(keys(&world.stations[B], Kind::Casefile, "diary"), ["d1"]);
}

#[test]
fn a_withdrawn_project_keeps_what_was_appended_and_a_second_offer_takes_it_along() {
    let mut world = World::new();
    let project = world.project();
    let first = world.stations[A].offer(project, "f/b").unwrap();
    review(&world.stations[A], project, "rl");
    world.stations[A].withdraw(first).unwrap();
    world.ship_all();
    assert_eq!(world.stations[A].state(Kind::Project, project), "planning");
    let second = world.stations[A].offer(project, "f/b").unwrap();
    world.ship_all();
    world.stations[B].accept(second).unwrap();
    assert_eq!(keys(&world.stations[B], Kind::Project, "reviews"), ["rl"]);
    world.ship_all();
    assert_eq!(keys(&world.stations[B], Kind::Project, "reviews"), ["rl"]);
}

#[test]
fn whoever_loses_power_while_what_was_appended_goes_over_loses_none_of_it_and_adds_none_twice() {
    for moment in Moment::ALL {
        for unsynced in UNSYNCED {
            for at in [A, B] {
                let mut world = World::new();
                let project = world.project();
                let id = world.stations[A].offer(project, "f/b").unwrap();
                review(&world.stations[A], project, "rl");
                note(&world.stations[A], "dl");
                world.ship_all();
                world.stations[B].accept(id).unwrap();
                world.ship(B, COORDINATION, usize::MAX);
                world.deliver(COORDINATION, A, usize::MAX);
                world.stations[A].absorb();
                if at == B {
                    world.stations[A].drive();
                    world.ship(A, COORDINATION, usize::MAX);
                    world.deliver(COORDINATION, B, usize::MAX);
                    world.stations[B].absorb();
                }
                world.stations[at].lose_power(moment, unsynced, Station::drive);
                world.check(project, "after the cut");
                world.ship_all();
                let receiver = &world.stations[B];
                let what = format!("{moment:?} {unsynced:?} at {at}");
                assert_eq!(keys(receiver, Kind::Project, "reviews"), ["rl"], "{what}");
                assert_eq!(
                    keys(receiver, Kind::Casefile, "diary"),
                    ["d1", "dl"],
                    "{what}"
                );
                let made = only(receiver, Kind::Project);
                let history = receiver.core.look(made).unwrap().unwrap().history();
                let steps = history.iter().flat_map(|item| &item.changes);
                let added = steps.filter(|step| step.path.starts_with("/reviews/rl"));
                assert!(added.count() <= 1, "{what}");
                assert_eq!(world.stations[A].state(Kind::Transfer, id), "completed");
            }
        }
    }
}

//! Who arrives is looked for before a project is taken over: known by code, only like somebody, or
//! new.

use raccordo_crdt_model::{DocumentId, Kind};
use serde_json::{Value, json};

use super::super::already_here::Arrival;
use super::world::{A, B, Station, World};
use crate::engine::persons;

const PERSON: &str = "P-77";

/// A project of Canaria Uccellini, offered to a district where somebody is registered already.
fn offered(here: &Value) -> (World, DocumentId) {
    let mut world = World::new();
    let project = world.project();
    let mut person = json!({"ref": PERSON, "given_name": "Canaria", "family_name": "Uccellini"});
    for (name, value) in here.as_object().unwrap() {
        person[name] = value.clone();
    }
    world.stations[B].make(Kind::Person, &person);
    world.ship_all();
    let id = world.stations[A].offer(project, "f/b").unwrap();
    world.ship_all();
    (world, id)
}

fn living(at: &Station) -> Vec<Value> {
    let people = at.ids(Kind::Person).into_iter();
    let people = people.map(|id| at.fields(Kind::Person, id).unwrap());
    people
        .filter(|fields| fields["state"] != "merged")
        .collect()
}

fn seen(at: &Station, id: DocumentId) -> Value {
    at.fields(Kind::Transfer, id).unwrap()["already_here"].clone()
}

fn known(name: &str) -> Arrival {
    Arrival::Known(name.to_owned())
}

#[test]
fn who_is_protected_here_is_marked_among_those_who_may_arrive() {
    for protected in [true, false] {
        let here = json!({"fiscal_code": "RSSMRA85T10A562S", "protected": protected});
        let (world, id) = offered(&here);
        let shown = seen(&world.stations[B], id);
        assert_eq!(shown[0]["protected"], json!(protected), "{shown}");
    }
}

#[test]
fn whoever_has_the_fiscal_code_of_an_arriving_person_is_named_and_a_choice_is_asked() {
    let (mut world, id) = offered(&json!({"fiscal_code": "RSSMRA85T10A562S"}));
    let shown = seen(&world.stations[B], id);
    assert_eq!(
        (&shown[0]["ref"], &shown[0]["why"][0]),
        (&json!(PERSON), &json!("fiscal_code"))
    );
    assert!(!shown.to_string().contains("Uccellini"));
    assert_eq!(
        seen(&world.stations[A], id),
        Value::Null,
        "of the sender's business it is none"
    );
    let refused = format!("{:?}", world.stations[B].accept(id));
    assert!(
        refused.contains("transfer_person_here") && refused.contains(PERSON),
        "{refused}"
    );
    assert_eq!(living(&world.stations[B]).len(), 1, "nothing was made");

    world.stations[B].accept_as(id, known(PERSON)).unwrap();
    world.ship_all();
    let people = living(&world.stations[B]);
    assert_eq!((people.len(), &people[0]["ref"]), (1, &json!(PERSON)));
    let person = world.stations[B].ids(Kind::Person).into_iter();
    let mut people = person.filter(|id| world.stations[B].state(Kind::Person, *id) != "merged");
    let offered = persons::offered(&world.stations[B].core, people.next().unwrap()).unwrap();
    assert_eq!(
        offered["projects"].as_array().map(Vec::len),
        Some(1),
        "{offered}"
    );
    assert_eq!(
        offered["records"].as_array().map(Vec::len),
        Some(2),
        "what the sender knew is kept"
    );
    assert_eq!(
        seen(&world.stations[B], id),
        Value::Null,
        "it is not offered any more"
    );
    world.check_secrecy("accepted");
}

#[test]
fn somebody_with_an_equal_code_may_be_taken_for_another_on_a_persons_word() {
    let (world, id) = offered(&json!({"fiscal_code": "RSSMRA85T10A562S"}));
    world.stations[B].accept_as(id, Arrival::New).unwrap();
    assert_eq!(living(&world.stations[B]).len(), 2);
}

#[test]
fn a_likeness_is_shown_and_does_not_stop_anybody_and_can_be_chosen() {
    let like = json!({"born_on": "1985-12-10"});
    for arrival in [Arrival::Unsaid, known(PERSON)] {
        let (world, id) = offered(&like);
        let shown = seen(&world.stations[B], id);
        assert_eq!(shown[0]["why"], json!(["name_and_year"]), "{shown}");
        let tied = arrival != Arrival::Unsaid;
        world.stations[B].accept_as(id, arrival).unwrap();
        assert_eq!(living(&world.stations[B]).len(), if tied { 1 } else { 2 });
    }
}

#[test]
fn nobody_with_another_fiscal_code_and_nobody_unknown_is_who_arrives() {
    let (world, id) = offered(&json!({"family_name": "Altra", "fiscal_code": "MRTMTT91D08F205J"}));
    assert_eq!(seen(&world.stations[B], id), json!([]));
    let refused = format!("{:?}", world.stations[B].accept_as(id, known(PERSON)));
    assert!(refused.contains("transfer_other_person"), "{refused}");
    let missing = format!("{:?}", world.stations[B].accept_as(id, known("P-0")));
    assert!(missing.contains("NotFound"), "{missing}");
    world.stations[B].accept(id).unwrap();
    assert_eq!(living(&world.stations[B]).len(), 2);
}

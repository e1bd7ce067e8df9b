//! Who goes along with a project, and as whom they arrive.

use raccordo_crdt_model::{DocumentId, Kind};
use serde_json::{Value, json};

use super::super::super::local;
use super::marks::import;
use super::world::{A, B, Station, World};

fn project(station: &Station, reference: &str) -> DocumentId {
    let fields = json!({"ref": reference, "need_area": "POV", "opened_on": "2026-03-04",
        "state": "planning", "subject": {"kind": "person"}});
    station.make(Kind::Project, &fields)
}

fn person(station: &Station, reference: &str, name: &str) -> DocumentId {
    let fields = json!({"ref": reference, "given_name": "Canaria", "family_name": name});
    station.make(Kind::Person, &fields)
}

fn casefile(station: &Station, reference: &str, subject: &str, projects: &[&str]) -> DocumentId {
    let links = projects.iter().enumerate();
    let links: serde_json::Map<String, Value> = links
        .map(|(at, project)| (format!("p{at}"), json!({"project": project})))
        .collect();
    let fields = json!({"ref": reference, "subject": subject, "projects": links});
    station.make(Kind::Casefile, &fields)
}

fn set(station: &Station, kind: Kind, id: DocumentId, edits: &Value) {
    let patch = raccordo_crdt_model::Patch::parse(edits).unwrap();
    let patched = station.run(|draft| local::patch(draft, kind, id, &patch, None, "op"));
    patched.unwrap();
}

fn only(station: &Station, kind: Kind) -> Value {
    let ids = station.ids(kind);
    assert_eq!(ids.len(), 1, "{kind:?}");
    station.fields(kind, *ids.first().unwrap()).unwrap()
}

fn names(station: &Station) -> Vec<String> {
    let ids = station.ids(Kind::Person).into_iter();
    let persons = ids.map(|id| station.fields(Kind::Person, id).unwrap());
    let mut names: Vec<_> = persons
        .map(|person| person["family_name"].as_str().unwrap().to_owned())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn records_with_equal_numbers_stay_whose_they_are_and_never_name_a_stranger_of_the_receiver() {
    let mut world = World::new();
    let strangers = [
        person(&world.stations[B], "12", "Estranei"),
        person(&world.stations[B], "13", "Estranei"),
    ];
    let other = project(&world.stations[B], "FR-2");
    let sender = &world.stations[A];
    let mine = person(sender, "12", "Uccellini");
    sender.make(
        Kind::Household,
        &json!({"ref": "12", "members": {"m1": {"person": "12"}, "m2": {"person": "13"}}}),
    );
    set(
        sender,
        Kind::Person,
        mine,
        &json!([{"op": "add", "path": "/household", "value": "12"}]),
    );
    let given = project(sender, "12");
    project(sender, "FR-2");
    casefile(sender, "12", "12", &["12", "FR-2"]);
    let id = sender.offer(given, "f/b").unwrap();
    world.ship_all();
    world.stations[B].accept(id).unwrap();
    let receiver = &world.stations[B];
    let casefile = only(receiver, Kind::Casefile);
    let subject = DocumentId::parse(casefile["subject"].as_str().unwrap()).unwrap();
    assert!(!strangers.contains(&subject));
    let subject = receiver.fields(Kind::Person, subject).unwrap();
    assert_eq!(subject["family_name"], "Uccellini", "{casefile}");
    let links = casefile["projects"].as_object().unwrap();
    assert_eq!(links.len(), 1, "{casefile}");
    let named = links["p0"]["project"].as_str().unwrap();
    assert_ne!(named, other.to_string());
    assert_eq!(named, {
        let transfer = receiver.fields(Kind::Transfer, id).unwrap();
        transfer["new_project"].as_str().unwrap().to_owned()
    });
    let household = only(receiver, Kind::Household);
    let members = household["members"].as_object().unwrap();
    assert_eq!(members.len(), 1, "13 is nobody who came: {household}");
}

#[test]
fn what_was_merged_goes_along_and_the_one_record_that_stands_for_it() {
    let mut world = World::new();
    let sender = &world.stations[A];
    let first = person(sender, "P-1", "Uccellini");
    person(sender, "P-2", "Uccellino");
    let merge = json!([{"op": "add", "path": "/state", "value": "merged"},
        {"op": "add", "path": "/merged_into", "value": "P-2"}]);
    set(sender, Kind::Person, first, &merge);
    let given = project(sender, "FR-1");
    casefile(sender, "C-1", "P-1", &["FR-1"]);
    let id = sender.offer(given, "f/b").unwrap();
    world.ship_all();
    world.stations[B].accept(id).unwrap();
    let receiver = &world.stations[B];
    assert_eq!(names(receiver), ["Uccellini", "Uccellino"]);
    let subject = only(receiver, Kind::Casefile)["subject"].clone();
    let subject = DocumentId::parse(subject.as_str().unwrap()).unwrap();
    let stands = super::super::super::persons::standing_for(&receiver.core, subject).unwrap();
    let stands = receiver.fields(Kind::Person, stands.unwrap()).unwrap();
    assert_eq!(stands["family_name"], "Uccellino");
}

#[test]
fn a_number_that_two_persons_have_is_no_subject_to_hand_over() {
    let world = World::new();
    let sender = &world.stations[A];
    // An old archive gave the same number twice.
    for name in ["Uccellini", "Estranei"] {
        let reference = format!("P-{name}");
        person(sender, &reference, name);
        let renumber = json!({"op": "patch", "kind": "person", "ref": reference, "at": "2026-03-04T10:00:00Z",
            "patch": [{"op": "add", "path": "/ref", "value": "P-1"}]});
        let report = import(sender, &renumber.to_string());
        assert_eq!(report.changed, 1, "{:?}", report.rejects);
    }
    let given = project(sender, "FR-1");
    casefile(sender, "C-1", "P-1", &["FR-1"]);
    let refused = format!("{:?}", sender.offer(given, "f/b"));
    assert!(refused.contains("transfer_subject_unclear"), "{refused}");
    let given = project(sender, "FR-2");
    casefile(sender, "C-2", "P-nobody", &["FR-2"]);
    let refused = format!("{:?}", sender.offer(given, "f/b"));
    assert!(refused.contains("transfer_subject_unclear"), "{refused}");
    assert_eq!(sender.state(Kind::Project, given), "planning");
}

#[test]
fn who_left_a_household_stays_behind_and_no_protected_person_leaves_the_territory() {
    let mut world = World::new();
    let sender = &world.stations[A];
    let stays = person(sender, "P-1", "Uccellini");
    let left = person(sender, "P-2", "Partiti");
    let members = json!({"m1": {"person": "P-1"}, "m2": {"person": "P-2", "until": "2026-10-31"}});
    let fields = json!({"ref": "N-1", "members": members});
    sender.make(Kind::Household, &fields);
    let given = project(sender, "FR-1");
    casefile(sender, "C-1", "N-1", &["FR-1"]);
    let protect = |id, on: bool| {
        let patch = json!([{"op": "add", "path": "/protected", "value": on}]);
        set(sender, Kind::Person, id, &patch);
    };
    protect(left, true);
    protect(stays, true);
    let refused = format!("{:?}", sender.offer(given, "f/b"));
    assert!(refused.contains("transfer_of_protected"), "{refused}");
    assert_eq!(sender.state(Kind::Project, given), "planning");
    protect(stays, false);
    let id = sender.offer(given, "f/b").unwrap();
    world.ship_all();
    world.stations[B].accept(id).unwrap();
    let receiver = &world.stations[B];
    assert_eq!(names(receiver), ["Uccellini"]);
    let household = only(receiver, Kind::Household);
    let members = household["members"].as_object().unwrap();
    assert!(!members.contains_key("m2"), "{household}");
}

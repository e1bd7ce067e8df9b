//! Who goes along with a project, and as whom they arrive.

use raccordo_crdt_model::{DocumentId, Kind};
use serde_json::{Value, json};

use super::super::super::local;
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

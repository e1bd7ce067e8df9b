//! The marks of a transfer on a project, whoever tries to write them.

use raccordo_crdt_model::{DocumentId, ImportLine, Kind, Patch};
use serde_json::{Value, json};

use super::super::super::draft::Draft;
use super::super::super::import::{self, ImportPortion};
use super::super::super::import_file::{RecordLine, RecordLines};
use super::super::super::task::Done;
use super::super::super::{local, read, tombstone};
use super::world::{A, B, LAPTOP, Station, World};

fn patch(station: &Station, id: DocumentId, edit: &Value) -> String {
    let edit = Patch::parse(edit).unwrap();
    let done = station.run(|draft| local::patch(draft, Kind::Project, id, &edit, None, "op"));
    format!("{done:?}")
}

pub(super) fn import(station: &Station, line: &str) -> super::super::super::view::ImportReport {
    let (parsed, canonical) = ImportLine::parse(line).unwrap();
    let record = RecordLines {
        kind: parsed.kind,
        reference: parsed.reference,
        alone: false,
        lines: vec![RecordLine {
            number: 1,
            id: raccordo_crdt_model::LineId::of(&canonical, 1),
            text: line.to_owned(),
        }],
    };
    let portion = ImportPortion {
        records: vec![record],
        by: std::sync::Arc::new(super::super::super::view::Principal::office("op")),
        dry_run: false,
        carried: import::Carried::default(),
        keep: true,
    };
    let mut draft = Draft::new(&station.core);
    let Done::Imported(report, _) = import::run(&mut draft, portion).unwrap() else {
        panic!("an import reports");
    };
    super::super::super::commit::commit(draft).unwrap();
    report
}

#[test]
fn nobody_writes_by_hand_or_import_from_which_transfer_a_project_came() {
    let (mut world, _, id) = World::offered();
    world.ship_all();
    world.stations[B].accept(id).unwrap();
    let receiver = &world.stations[B];
    let made = *receiver.ids(Kind::Project).first().unwrap();
    for link in ["transfer", "previous", "next", "instead"] {
        let path = format!("/links/{link}");
        let edits = [
            json!([{"op": "add", "path": path, "value": "00"}]),
            json!([{"op": "add", "path": "/links", "value": {link: "00"}}]),
            json!([{"op": "remove", "path": "/links"}]),
        ];
        for edit in edits {
            let refused = patch(receiver, made, &edit);
            assert!(refused.contains("transfer_by_command"), "{edit}: {refused}");
            let line = json!({"op": "patch", "kind": "project", "ref": "FR-1",
                "at": "2026-11-02T08:00:00Z", "patch": edit});
            let report = import(receiver, &line.to_string());
            assert_eq!(report.rejects[0].code, "transfer_by_command", "{line}");
        }
        let fields = json!({"ref": "FR-9", "need_area": "POV", "opened_on": "2026-03-04",
            "subject": {"kind": "person"}, "links": {link: "00"}});
        let refused = receiver.run(|draft| local::create(draft, Kind::Project, &fields, "op"));
        let refused = format!("{refused:?}");
        assert!(refused.contains("transfer_by_command"), "{refused}");
    }
    let contact = json!([{"op": "add", "path": "/links/contact", "value": "K-1"}]);
    assert!(patch(receiver, made, &contact).contains("Ok"));
    let early = format!("{:?}", receiver.offer(made, "f/c"));
    assert!(early.contains("transfer_not_open"), "{early}");
    // Nor is a project locked by an import.
    let lock = json!({"op": "patch", "kind": "project", "ref": "FR-1", "at": "2026-11-02T08:00:00Z",
        "patch": [{"op": "add", "path": "/state", "value": "transferring"}]});
    let report = import(receiver, &lock.to_string());
    assert_eq!(report.rejects[0].code, "transfer_by_command");
}

#[test]
fn a_project_that_was_exported_in_transfer_is_opened_by_hand_where_it_is_imported() {
    let (mut world, project, _) = World::offered();
    let lines = read::export(&world.stations[A].core, Kind::Project).unwrap();
    let report = import(&world.stations[B], &lines[0]);
    assert_eq!((report.created, report.rejected), (1, 0), "{report:?}");
    let made = *world.stations[B].ids(Kind::Project).first().unwrap();
    assert_eq!(world.stations[B].state(Kind::Project, made), "transferring");
    world.ship(B, LAPTOP, usize::MAX);
    let open = json!([{"op": "replace", "path": "/state", "value": "planning"}]);
    let given = json!([{"op": "replace", "path": "/state", "value": "transferred"}]);
    for (at, edit) in [(LAPTOP, &open), (B, &given)] {
        // Another node cannot tell that no transfer is on its way.
        let refused = patch(&world.stations[at], made, edit);
        assert!(refused.contains("transfer_by_command"), "{refused}");
    }
    // A second one is erased as it is.
    let second = lines[0].replace("FR-1", "FR-2");
    import(&world.stations[B], &second);
    let ids = world.stations[B].ids(Kind::Project);
    let second = *ids.iter().find(|id| **id != made).unwrap();
    let erase =
        |draft: &mut Draft<'_>| tombstone::erase(draft, Kind::Project, second, "prova", "op");
    world.stations[B].run(erase).unwrap();
    let opened = patch(&world.stations[B], made, &open);
    assert!(opened.contains("Ok"), "{opened}");
    world.stations[B].offer(made, "f/c").unwrap();
    world.ship_all();
    // The one that another district really may take over stays locked.
    for edit in [&open, &given] {
        let refused = patch(&world.stations[A], project, edit);
        assert!(refused.contains("transfer_by_command"), "{refused}");
    }
}

//! What people write in a simulated office: small records, changes, files to import.
//!
//! Every write has an operator of its own, so that it can be found again in a record's history.

use raccordo_config::Role;
use raccordo_crdt_model::{Kind, Patch};
use raccordo_node::engine::ImportText;
use serde_json::{Value, json};

use crate::chance::Chance;

/// Persons of whom several records may tell.
const TOKENS: u64 = 6;

/// A new record that a node of this role may create.
pub(super) fn record(chance: &mut Chance, role: Role) -> (Kind, Value) {
    match role {
        Role::Coordination => {
            let state = chance.pick(&["draft", "published"]);
            let fields =
                json!({"state": state, "title": "Accesso", "type": "form", "version": "1"});
            (Kind::Guideline, fields)
        }
        Role::District if chance.percent(15) => {
            let state = chance.pick(&["identified", "member"]);
            let fields = json!({"name": "Cooperativa", "state": state, "type": "ETS"});
            (Kind::Organisation, fields)
        }
        Role::District => (Kind::Project, project(chance)),
    }
}

/// A change of a record by this operator; it always alters something.
pub(super) fn patch(chance: &mut Chance, kind: Kind, operator: &str) -> Patch {
    let patch = match kind {
        Kind::Project => steps(chance, operator),
        Kind::Guideline => json!([
            {"op": "add", "path": format!("/sections/{operator}"), "value": {"title": operator}},
        ]),
        Kind::Organisation => json!([
            {"op": "add", "path": format!("/offers/{operator}"), "value": {"title": operator}},
        ]),
        other => json!([
            {"op": "add", "path": format!("/{}", other.singular()), "value": {"by": operator}},
        ]),
    };
    Patch::parse(&patch).expect("a well-formed patch")
}

/// The lines of a file: records of this office by number, created or changed.
pub(super) fn lines(chance: &mut Chance, place: usize, operators: &[String]) -> Vec<ImportText> {
    let line = |(number, operator): (u64, &String)| {
        let reference = format!("FR-{place}-{}", chance.between(1, 3));
        let line = if chance.percent(50) {
            json!({"op": "create", "kind": "project", "ref": reference, "by": operator, "doc": project(chance)})
        } else {
            json!({"op": "patch", "kind": "project", "ref": reference, "by": operator, "patch": steps(chance, operator)})
        };
        ImportText {
            number,
            text: line.to_string(),
        }
    };
    (1..).zip(operators).map(line).collect()
}

/// The fields of a new project.
pub(super) fn project(chance: &mut Chance) -> Value {
    let mut fields = json!({
        "subject": {
            "kind": chance.pick(&["person", "household"]),
            "token": format!("{:032x}", chance.between(1, TOKENS)),
        },
        "need_area": chance.pick(&["FAM", "DIS", "POV"]),
        "opened_on": "2026-03-04",
        "state": chance.pick(&["reported", "planning", "approval"]),
    });
    if chance.percent(12) {
        fields["sharing"] = json!("local");
    }
    fields
}

/// A change that every project takes.
pub(super) fn review(operator: &str) -> Patch {
    let review = json!({"on": "2026-06-01", "summary": operator});
    let steps = json!([{"op": "add", "path": format!("/reviews/{operator}"), "value": review}]);
    Patch::parse(&steps).expect("a well-formed patch")
}

fn steps(chance: &mut Chance, operator: &str) -> Value {
    let review = json!({"on": "2026-06-01", "summary": operator});
    let key = format!("/reviews/{operator}");
    let mut steps = vec![json!({"op": "add", "path": key, "value": review})];
    let other = match chance.number() % 6 {
        0 | 1 => {
            let state = chance.pick(&["taken_in_charge", "assessment", "planning", "approval"]);
            Some(json!({"op": "add", "path": "/state", "value": state}))
        }
        2 => {
            let area = chance.pick(&["FAM", "DIS", "POV"]);
            Some(json!({"op": "add", "path": "/need_area", "value": area}))
        }
        3 => {
            let token = format!("{:032x}", chance.between(1, TOKENS));
            Some(json!({"op": "add", "path": "/subject/token", "value": token}))
        }
        _ => None,
    };
    steps.extend(other);
    Value::Array(steps)
}

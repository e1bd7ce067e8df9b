//! The first change: all containers and values of a record, by one actor, in one change.
//!
//! Guarantees: the same fields, stamp and territory give the same bytes. Containers that are not
//! lazy are made here, empty or not; a lazy one where something stands in it (`united`).

use automerge::transaction::{CommitOptions, Transactable as _};
use automerge::{Automerge, hydrate};
use serde_json::{Map, Value};

use super::codec::{put, stored_group};
use super::united::prune;
use super::{Change, Document, message};
use crate::command::{Stamp, escape};
use crate::field_rules;
use crate::gate::CHANGE_BYTES_MAX;
use crate::passage;
use crate::problem::{Filled, Problem, Rejected};
use crate::rules::{Findings, weigh};
use crate::schema::{Field, Kind, Node, Rule, SCHEMA_VERSION};
use crate::value::{ActorId, DocumentId};

/// Root key of the home territory's path.
pub(crate) const HOME: &str = "_home";
/// Root key of the kind.
pub(crate) const KIND: &str = "_kind";
/// Root key of the table's version.
pub(crate) const SCHEMA: &str = "_schema";

pub(super) fn create(
    id: DocumentId,
    kind: Kind,
    territory: &str,
    fields: &Value,
    stamp: &Stamp,
) -> Result<(Document, Change), Rejected> {
    let mut record = whole(kind, fields, stamp.imported)?;
    if !stamp.imported {
        for (plan, id, hash) in field_rules::fill(kind, &record) {
            if let Some(signature) = record.pointer_mut(&signature_path(&plan, &id)) {
                signature["section"] = Value::from(hash);
            }
        }
        rules(kind, &record).map_err(Rejected::Rule)?;
    }
    let mut root = match stored_group(kind.fields(), &record) {
        hydrate::Value::Map(map) => map,
        _ => hydrate::Map::default(),
    };
    put(&mut root, HOME, hydrate::Value::scalar(territory));
    put(&mut root, KIND, hydrate::Value::scalar(kind.singular()));
    put(&mut root, SCHEMA, hydrate::Value::scalar(SCHEMA_VERSION));

    let actor = ActorId::new(stamp.origin, stamp.incarnation, 0);
    let mut automerge = Automerge::new().with_actor(automerge::ActorId::from(actor.as_bytes()));
    let mut transaction = automerge.transaction();
    transaction
        .init_root_from_hydrate(&root)
        .expect("an empty root takes any map");
    transaction.commit_with(options(stamp));
    let change = automerge
        .get_last_local_change()
        .expect("a change was committed");
    if change.raw_bytes().len() > CHANGE_BYTES_MAX {
        return Err(too_large(change.raw_bytes().len()));
    }
    let change = Change::new(&change, stamp);
    let local = kind.stays_home(record.get("sharing").and_then(Value::as_str));
    let document = Document::from_parts(id, kind, territory.to_owned(), local, automerge);
    Ok((document, change))
}

/// Time and message of a change.
pub(super) fn options(stamp: &Stamp) -> CommitOptions {
    let options = CommitOptions::default().with_time(stamp.at.0);
    match message::write(stamp) {
        Some(message) => options.with_message(message),
        None => options,
    }
}

/// The refusal of a command that would not fit a change.
pub(super) fn too_large(bytes: usize) -> Rejected {
    let detail = format!("a change of {bytes} bytes, at most {CHANGE_BYTES_MAX} allowed");
    Rejected::Invalid(vec![Problem::new("", "too_large", detail)])
}

/// The record that the fields make: checked, with its containers and its first state.
fn whole(kind: Kind, fields: &Value, imported: bool) -> Result<Value, Rejected> {
    weigh(fields).map_err(|problem| Rejected::Invalid(vec![problem]))?;
    let mut record = fields.clone();
    if let Value::Object(members) = &mut record {
        add_containers(kind.fields(), members);
        prune(kind.fields(), members);
        if members.get("state").is_none_or(Value::is_null) {
            members.insert("state".to_owned(), Value::from(kind.lifecycle().first[0]));
        }
    }
    let mut findings = Findings::default();
    findings.record(kind.fields(), &record);
    if imported {
        findings.as_history(|pointer| record.pointer(pointer).cloned());
    }
    if findings.problems.is_empty() {
        Ok(record)
    } else {
        Err(Rejected::Invalid(findings.problems))
    }
}

/// Adds the containers of the table that are missing, empty; none that is lazy.
pub(super) fn add_containers(fields: &'static [Field], members: &mut Map<String, Value>) {
    for field in fields.iter().filter(|field| !field.lazy) {
        match field.node {
            Node::Group(inner) => {
                let value = members
                    .entry(field.name)
                    .or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(members) = value {
                    add_containers(inner, members);
                }
            }
            Node::Keyed(_) => {
                members
                    .entry(field.name)
                    .or_insert_with(|| Value::Object(Map::new()));
            }
            // A list at the root is a container of the record like any other.
            Node::Leaf(Rule::Codes(_)) => {
                let value = members.entry(field.name).or_insert(Value::Null);
                if value.is_null() {
                    *value = Value::Array(Vec::new());
                }
            }
            Node::Leaf(_) => {}
        }
    }
}

fn rules(kind: Kind, record: &Value) -> Result<(), Problem> {
    let first = kind.lifecycle().first;
    let state = record
        .get("state")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !first.contains(&state) {
        let detail = format!(
            "a record cannot begin as {state}, only as {}",
            first.join(", ")
        );
        let filled = [
            ("state", Filled::codes("state", &[state])),
            ("allowed", Filled::codes("state", first)),
        ];
        let problem = Problem::new("/state", passage::STATE_CANNOT_FOLLOW, detail);
        return Err(problem.said("first", &filled));
    }
    let member = |name: &str| record.get(name).unwrap_or(&Value::Null);
    passage::closing(kind, member("state"), member("outcome"))?;
    if let Some(problem) = passage::dates(kind, record).into_iter().next() {
        return Err(problem);
    }
    field_rules::broken_by(kind, &[], &Value::Null, record)
}

/// Where a signature stands in a record.
pub(super) fn signature_path(plan: &str, id: &str) -> String {
    format!("/plans/{}/signatures/{}", escape(plan), escape(id))
}

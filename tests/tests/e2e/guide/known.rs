//! Whether what is asked is only what somebody knows: a node keeps fields and codes that it does not
//! know for those who may, and a guide must name none.

use std::collections::BTreeSet;

use raccordo_crdt_model::Kind;
use raccordo_crdt_model::schema::{Field, Node, find};
use serde_json::Value;

/// The fields and codes of a record that the table does not know.
pub(super) fn unknown(record: &Value) -> Vec<String> {
    let kind = record["_meta"]["kind"].as_str();
    let kind = kind.and_then(Kind::from_singular).expect("a kind");
    let mut all = Vec::new();
    fields(kind.fields(), record, "", &mut all);
    let flags = record["_meta"]["flags"].as_array().into_iter().flatten();
    let codes = flags.filter(|flag| flag["code"] == "unknown_code");
    all.extend(codes.map(|flag| format!("the code at {}", flag["path"])));
    all
}

/// Whether who posts there sends the fields of a new record; a transfer is asked for in words of its
/// own.
pub(super) fn makes_a_record(path: &str) -> bool {
    let kind = path.strip_prefix("/api/v1/").and_then(Kind::from_plural);
    kind.is_some_and(|kind| kind != Kind::Transfer)
}

/// The words of a request, of its query and of a body that is no record, that the node's own
/// description of its interface does not say.
pub(super) fn unsaid(description: &Value, path: &str, body: &Value) -> Vec<String> {
    let operations = description["paths"].as_object().into_iter().flatten();
    let operations = operations.flat_map(|(_, methods)| methods.as_object().into_iter().flatten());
    let (mut said, mut parameters) = (String::new(), BTreeSet::new());
    for (_, operation) in operations {
        said.push_str(operation["summary"].as_str().unwrap_or_default());
        let all = operation["parameters"].as_array().into_iter().flatten();
        parameters.extend(all.filter_map(|one| one["name"].as_str()));
    }
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let asked = query.split('&').filter_map(|one| one.split_once('='));
    let asked = asked.map(|(name, _)| name.to_owned());
    let of_query = asked.filter(|name| !parameters.contains(name.as_str()));
    let words = body.as_object().filter(|_| !makes_a_record(path));
    let of_body = words.into_iter().flat_map(|words| words.keys());
    let of_body = of_body.filter(|word| !said.contains(&format!("\"{word}\"")));
    of_query.chain(of_body.cloned()).collect()
}

fn fields(known: &'static [Field], there: &Value, at: &str, all: &mut Vec<String>) {
    for (name, value) in there.as_object().into_iter().flatten() {
        let path = format!("{at}/{name}");
        match find(known, name).map(|field| field.node) {
            Some(Node::Leaf(_)) => {}
            Some(Node::Group(inner)) => fields(inner, value, &path, all),
            Some(Node::Keyed(entity)) => {
                for (id, one) in value.as_object().into_iter().flatten() {
                    fields(entity.fields, one, &format!("{path}/{id}"), all);
                }
            }
            None if path == "/_meta" => {}
            None => all.push(path),
        }
    }
}

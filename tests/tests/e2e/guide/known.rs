//! Whether a record holds only what the table of kinds knows: a node keeps fields and codes that it
//! does not know for those who may, and a guide must name none.

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

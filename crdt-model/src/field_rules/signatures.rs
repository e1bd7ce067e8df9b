//! Signatures of a project's plans: each binds to what the plan said when it was given.
//!
//! A plan is named by the SHA-256 of its canonical JSON without what the table marks as progress:
//! checks, goals reached, commitments kept, its state and signatures. A later edit of anything else
//! makes another hash, and the signature is to be renewed.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::entries;
use crate::import::canonical;
use crate::problem::{Filled, Problem};
use crate::rules::{cents, euro_of};
use crate::schema::{Field, Kind, Node, Rule, find};

/// A project activated without the signatures of the bodies that its plans need.
pub(super) const ACTIVATED_WITHOUT: &str = "activated_without_signatures";
/// A signature of a plan that was edited since.
pub(super) const TO_RENEW: &str = "signature_to_renew";

/// Names what was agreed on in the plan of this name: 64 hexadecimal digits. Signing and judging
/// both ask here.
pub(crate) fn section_hash(name: &str, plan: &Value) -> String {
    let plan = agreed(name, plan);
    let digest = Sha256::digest(canonical(&plan));
    let mut out = String::with_capacity(64);
    for byte in digest {
        out.push(char::from_digit(u32::from(byte >> 4), 16).expect("below 16"));
        out.push(char::from_digit(u32::from(byte & 15), 16).expect("below 16"));
    }
    out
}

/// The signatures of a record that do not say what they signed, by the plan's name and their id,
/// with the hash to be filled in.
pub(crate) fn fill(kind: Kind, record: &Value) -> Vec<(String, String, String)> {
    let mut out = Vec::new();
    if kind != Kind::Project {
        return out;
    }
    for (name, plan) in entries(record, "plans") {
        let mut hash = None;
        for (id, signature) in entries(plan, "signatures") {
            if signature.is_object() && signature.get("section").is_none_or(Value::is_null) {
                let hash = hash.get_or_insert_with(|| section_hash(name, plan));
                out.push((name.to_owned(), id.to_owned(), hash.clone()));
            }
        }
    }
    out
}

/// Whether this passage makes a project active that was to be signed first.
pub(super) fn activates(from: &[&str], before: Option<&str>, after: Option<&str>) -> bool {
    after == Some("active")
        && before != after
        && from
            .iter()
            .any(|state| matches!(*state, "approval" | "reopened"))
}

/// Every plan in use is signed by its body as it is now.
pub(super) fn all_signed(record: &Value) -> Result<(), Problem> {
    for (name, plan, body) in in_use(record) {
        let hash = section_hash(name, plan);
        let signed = entries(plan, "signatures").any(|(_, signature)| {
            text(signature, "body") == Some(body) && text(signature, "section") == Some(&hash)
        });
        if !signed {
            return Err(without(name, body));
        }
    }
    Ok(())
}

/// Plans in use that their body never signed.
pub(super) fn unsigned(record: &Value) -> Vec<Problem> {
    let never = |plan: &Value, body: &str| {
        !entries(plan, "signatures").any(|(_, signature)| text(signature, "body") == Some(body))
    };
    in_use(record)
        .filter(|(_, plan, body)| never(plan, body))
        .map(|(name, _, body)| without(name, body))
        .collect()
}

/// Signatures of what has changed since, unless the same body or person signed anew.
pub(super) fn to_renew(record: &Value, out: &mut Vec<Problem>) {
    for (name, plan) in entries(record, "plans") {
        if entries(plan, "signatures").next().is_none() {
            continue;
        }
        let hash = section_hash(name, plan);
        let good = |signature: &Value| text(signature, "section") == Some(&hash);
        let signer = |signature: &Value| {
            let person = signature.get("person") == Some(&Value::Bool(true));
            (person, text(signature, "body").map(str::to_owned))
        };
        for (id, signature) in entries(plan, "signatures") {
            let renewed = entries(plan, "signatures")
                .any(|(_, other)| good(other) && signer(other) == signer(signature));
            if !good(signature) && !renewed {
                let path = format!("/plans/{name}/signatures/{}", crate::command::escape(id));
                let detail = "the plan was edited after it was signed: have it signed again";
                out.push(Problem::new(path, TO_RENEW, detail));
            }
        }
    }
}

/// Plans that have a body and say something, with their names and bodies.
fn in_use(record: &Value) -> impl Iterator<Item = (&str, &Value, &str)> {
    entries(record, "plans").filter_map(|(name, plan)| {
        let body = text(plan, "body")?;
        let says = ["goals", "interventions"]
            .iter()
            .any(|part| entries(plan, part).next().is_some());
        says.then_some((name, plan, body))
    })
}

fn without(name: &str, body: &str) -> Problem {
    let path = format!("/plans/{name}/signatures");
    let detail = format!(
        "the {name} plan is not signed by {body} as it is now: have it signed, then activate"
    );
    let filled = [
        ("plan", Filled::codes("plan", &[name])),
        ("body", Filled::text(body)),
    ];
    Problem::new(path, ACTIVATED_WITHOUT, detail).said("", &filled)
}

/// What a plan says without its progress, with its amounts as the record shows them, however they
/// were typed.
fn agreed(name: &str, plan: &Value) -> Value {
    let mut plan = plan.clone();
    let plans = find(Kind::Project.fields(), "plans").map(|field| &field.node);
    let Some(Node::Group(all)) = plans else {
        return plan;
    };
    // A plan that this version does not know has at least what the first one has.
    if let Some(field) = find(all, name).or(all.first()) {
        settle(&field.node, &mut plan);
    }
    plan
}

fn settle(node: &Node, value: &mut Value) {
    let members = |fields: &'static [Field], members: &mut Map<String, Value>| {
        members.retain(|name, value| {
            let field = find(fields, name);
            if let Some(field) = field {
                settle(&field.node, value);
            }
            field.is_none_or(|field| !field.progress)
        });
    };
    match (node, value) {
        (Node::Leaf(Rule::Money), value @ Value::Number(_)) => {
            if let Some(cents) = cents(value) {
                *value = Value::from(euro_of(cents));
            }
        }
        (Node::Group(fields), Value::Object(inner)) => members(fields, inner),
        (Node::Keyed(entity), Value::Object(entries)) => {
            for entry in entries.values_mut().filter_map(Value::as_object_mut) {
                members(entity.fields, entry);
            }
        }
        _ => {}
    }
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

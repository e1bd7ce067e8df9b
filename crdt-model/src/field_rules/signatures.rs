//! Signatures of a project's plans: each binds to what the plan said when it was given.
//!
//! A plan is named by the SHA-256 of its canonical JSON without what the table marks as progress:
//! checks, goals reached, commitments kept, its state and signatures. A later edit of anything else
//! makes another hash, and the signature is to be renewed.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{entries, state, text};
use crate::import::canonical;
use crate::problem::{Filled, Problem};
use crate::rules::{cents, euro_of};
use crate::schema::{BODIES, BODIES_OF_PLANS, Field, Kind, Node, Rule, find};

/// A project activated without the signatures of the bodies that its plans need.
pub(super) const ACTIVATED_WITHOUT: &str = "activated_without_signatures";
/// A signature of a body that does not answer for the plan.
pub(super) const OF_ANOTHER: &str = "signature_of_another_body";
/// A plan for which a body answers that cannot.
pub(super) const PLAN_OF_ANOTHER: &str = "plan_of_another_body";
/// A plan that is said to be signed, and is not.
pub(super) const PLAN_UNSIGNED: &str = "plan_not_signed";
/// A signature of a plan that was edited since.
pub(super) const TO_RENEW: &str = "signature_to_renew";

/// Where the plans stand.
const PLANS: &str = "/plans";
/// The state in which a project is worked on, and a plan.
const ACTIVE: &str = "active";

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

/// A project becomes active by approval, or when it is opened again, once each plan in use is signed
/// by its body as it is now, and one plan at least is in use. One that was active before, or that is
/// written down as active, is not made so here: it is flagged where signatures are missing.
pub(super) fn activation(from: &[&str], before: &Value, after: &Value) -> Result<(), Problem> {
    let becomes = state(after) == Some(ACTIVE) && state(before) != Some(ACTIVE);
    let mut from = from.iter();
    if !becomes || !from.any(|state| matches!(*state, "approval" | "reopened")) {
        return Ok(());
    }
    let missing = not_signed(after, is_current);
    missing.into_iter().next().map_or(Ok(()), Err)
}

/// Plans in use that their body never signed, and a record in which none is in use.
pub(super) fn unsigned(record: &Value) -> Vec<Problem> {
    not_signed(record, |_, _, _| true)
}

/// Plans in use without a signature of their body that counts.
fn not_signed(record: &Value, counts: fn(&str, &Value, &Value) -> bool) -> Vec<Problem> {
    let mut out = Vec::new();
    let mut used = false;
    for (name, plan) in entries(record, "plans").filter(|(name, plan)| is_in_use(name, plan)) {
        used = true;
        let Some(body) = text(plan, "body") else {
            let path = format!("{PLANS}/{}/body", crate::command::escape(name));
            let detail = format!(
                "nobody answers for the {name} plan: write its body and have it signed, then activate"
            );
            let filled = [("plan", Filled::codes("plan", &[name]))];
            out.push(Problem::new(path, ACTIVATED_WITHOUT, detail).said("body", &filled));
            continue;
        };
        if !of_the_body(plan).any(|signature| counts(name, plan, signature)) {
            out.push(without(name, body));
        }
    }
    if !used {
        let detail = "no plan says anything: write at least one and have it signed, then activate";
        out.push(Problem::new(PLANS, ACTIVATED_WITHOUT, detail).said("empty", &[]));
    }
    out
}

/// Whether a signature is of the plan as it is now.
fn is_current(name: &str, plan: &Value, signature: &Value) -> bool {
    text(signature, "section") == Some(&section_hash(name, plan))
}

/// Signatures that the body which answers for a plan gave.
fn of_the_body(plan: &Value) -> impl Iterator<Item = &Value> {
    let body = text(plan, "body");
    let signatures = entries(plan, "signatures").map(|(_, signature)| signature);
    signatures.filter(move |signature| {
        body.is_some() && !is_persons(signature) && text(signature, "body") == body
    })
}

fn is_persons(signature: &Value) -> bool {
    signature.get("person") == Some(&Value::Bool(true))
}

/// A signature that is given here is of the body that answers for the plan, or of the person.
pub(super) fn given(before: &Value, after: &Value) -> Result<(), Problem> {
    for (name, plan) in entries(after, "plans") {
        let was = before.get("plans").and_then(|plans| plans.get(name));
        let old = was.and_then(|plan| plan.get("signatures"));
        for (id, signature) in entries(plan, "signatures") {
            if old.and_then(|old| old.get(id)) != Some(signature) {
                by_its_body(name, plan, id, signature)?;
            }
        }
    }
    Ok(())
}

fn by_its_body(name: &str, plan: &Value, id: &str, signature: &Value) -> Result<(), Problem> {
    let (signer, body) = (text(signature, "body"), text(plan, "body"));
    let right = if is_persons(signature) {
        signer.is_none() || signer == body
    } else {
        signer.is_some() && signer == body
    };
    if right {
        return Ok(());
    }
    let escape = crate::command::escape;
    let path = format!("{PLANS}/{}/signatures/{}/body", escape(name), escape(id));
    let (signer, body) = (signer.unwrap_or("…"), body.unwrap_or("…"));
    let detail = format!(
        "{signer} cannot sign the {name} plan, for which {body} answers: the body that answers signs"
    );
    let filled = [
        ("plan", Filled::codes("plan", &[name])),
        ("signer", Filled::text(signer)),
        ("body", Filled::text(body)),
    ];
    Err(Problem::new(path, OF_ANOTHER, detail).said("", &filled))
}

/// Signatures of plans as they are now that another body gave. Of older ones the plan may have had
/// another body then.
pub(super) fn of_another(record: &Value, out: &mut Vec<Problem>) {
    for (name, plan) in entries(record, "plans") {
        let foreign = entries(plan, "signatures")
            .filter_map(|(id, one)| Some((one, by_its_body(name, plan, id, one).err()?)));
        let current = foreign.filter(|(one, _)| is_current(name, plan, one));
        out.extend(current.map(|(_, problem)| problem));
    }
}

/// Plans that are said to be signed, and nobody did.
pub(super) fn signed_plans(record: &Value, out: &mut Vec<Problem>) {
    for (name, plan) in entries(record, "plans") {
        if matches!(state(plan), Some("signed" | ACTIVE)) && of_the_body(plan).next().is_none() {
            let path = format!("{PLANS}/{}/state", crate::command::escape(name));
            let detail = "its body has not signed the plan: have it signed first";
            let filled = [("plan", Filled::codes("plan", &[name]))];
            out.push(Problem::new(path, PLAN_UNSIGNED, detail).said("", &filled));
        }
    }
}

/// Plans for which a body answers that cannot: of the health plan one that is no health service, of
/// the others one that answers for another plan. Codes that nobody knows are left alone.
pub(super) fn bodies_of_plans(record: &Value, out: &mut Vec<Problem>) {
    for (name, plan) in entries(record, "plans") {
        let own = BODIES_OF_PLANS.iter().find(|(plan, _)| *plan == name);
        let (Some((_, own)), Some(body)) = (own, text(plan, "body")) else {
            continue;
        };
        let of_others = BODIES_OF_PLANS
            .iter()
            .any(|(_, bodies)| bodies.contains(&body));
        let barred = of_others || (name == "health" && BODIES.contains(&body));
        if barred && !own.contains(&body) {
            let allowed = own.join(", ");
            let detail =
                format!("{body} does not answer for the {name} plan: write one of {allowed}");
            let filled = [
                ("body", Filled::text(body)),
                ("plan", Filled::codes("plan", &[name])),
                ("allowed", Filled::Text(allowed)),
            ];
            let path = format!("{PLANS}/{}/body", crate::command::escape(name));
            out.push(Problem::new(path, PLAN_OF_ANOTHER, detail).said("", &filled));
        }
    }
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

/// Whether a plan says anything that a signature would be given for, beside who answers for it.
fn is_in_use(name: &str, plan: &Value) -> bool {
    let fields = fields_of(name);
    let members = plan.as_object().into_iter().flatten();
    members
        .filter(|(field, _)| *field != "body")
        .filter(|(field, _)| find(fields, field).is_none_or(|field| !field.progress))
        .any(|(_, value)| !is_empty(value))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
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
    settle(&Node::Group(fields_of(name)), &mut plan);
    plan
}

/// The fields of a plan; one that this version does not know has at least what the first one has.
fn fields_of(name: &str) -> &'static [Field] {
    let plans = find(Kind::Project.fields(), "plans").map(|field| field.node);
    let Some(Node::Group(all)) = plans else {
        return &[];
    };
    match find(all, name).or(all.first()).map(|field| field.node) {
        Some(Node::Group(fields)) => fields,
        _ => &[],
    }
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

//! Rules over several fields: dates in their order, an outcome before closing, states that follow.
//!
//! What people do here must keep them; imported history and peers' changes are flagged instead.
//! Knows JSON and the table. Does not know documents.

use serde_json::Value;

use crate::lifecycle;
use crate::problem::Problem;
use crate::rules::{is_date, within};
use crate::schema::{Entity, Field, Kind, Node};

/// A state that does not follow the one before.
pub(crate) const STATE_CANNOT_FOLLOW: &str = "state_cannot_follow";
/// Closed, and nobody said how it ended.
pub(crate) const CLOSING_WITHOUT_OUTCOME: &str = "closing_without_outcome";
/// A date before one that it must not precede.
pub(crate) const DATES_OUT_OF_ORDER: &str = "dates_out_of_order";

/// Dates of the record that come before one they must follow.
pub(crate) fn dates(record: &Value) -> Vec<Problem> {
    let mut out = Vec::new();
    let fields = Kind::Project.fields();
    dates_in_group(fields, record, &mut String::new(), &mut out);
    if let Some(opened_on) = record.get("opened_on").and_then(Value::as_str) {
        if let Some(Value::Object(reviews)) = record.get("reviews") {
            for (id, review) in reviews {
                let path = &mut "/reviews".to_owned();
                within(path, id, |path| {
                    since_opening(opened_on, review, path, &mut out);
                });
            }
        }
        if let Some(outcome) = record.get("outcome") {
            since_opening(opened_on, outcome, "/outcome", &mut out);
        }
    }
    out
}

/// Dates within what stands at `path` that come before one they must follow.
pub(crate) fn dates_in(node: &Node, value: &Value, path: &mut String, out: &mut Vec<Problem>) {
    match node {
        Node::Group(fields) => dates_in_group(fields, value, path, out),
        Node::Keyed(entity) => {
            if let Value::Object(entries) = value {
                for (id, entry) in entries {
                    within(path, id, |path| dates_in_entity(entity, entry, path, out));
                }
            }
        }
        Node::Leaf(_) => {}
    }
}

fn dates_in_group(
    fields: &'static [Field],
    value: &Value,
    path: &mut String,
    out: &mut Vec<Problem>,
) {
    for field in fields {
        if let (Node::Group(_) | Node::Keyed(_), Some(value)) = (&field.node, value.get(field.name))
        {
            within(path, field.name, |path| {
                dates_in(&field.node, value, path, out);
            });
        }
    }
}

/// Dates of one sub-entity that come before one they must follow.
pub(crate) fn dates_in_entity(
    entity: &Entity,
    value: &Value,
    path: &mut String,
    out: &mut Vec<Problem>,
) {
    for (first, second) in entity.order {
        let (Some(earlier), Some(later)) = (date(value, first), date(value, second)) else {
            continue;
        };
        if later < earlier {
            let detail = format!("{second} {later} comes before {first} {earlier}");
            within(path, second, |path| {
                out.push(Problem::new(path.as_str(), DATES_OUT_OF_ORDER, detail));
            });
        }
    }
}

/// The date `on` of a review or an outcome must not come before the opening.
pub(crate) fn since_opening(opened_on: &str, value: &Value, path: &str, out: &mut Vec<Problem>) {
    if let Some(on) = date(value, "on")
        && is_date(opened_on)
        && on < opened_on
    {
        let detail = format!("on {on} comes before the project was opened on {opened_on}");
        out.push(Problem::new(
            format!("{path}/on"),
            DATES_OUT_OF_ORDER,
            detail,
        ));
    }
}

fn date<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    let text = value.get(name)?.as_str()?;
    is_date(text).then_some(text)
}

/// Whether `to` may follow one of the states `from`, which are several after simultaneous edits.
pub(crate) fn state(from: &[&str], to: &str) -> Result<(), Problem> {
    if from.is_empty() || from.iter().any(|from| lifecycle::may_follow(from, to)) {
        return Ok(());
    }
    let followers = lifecycle::followers(from[0]).unwrap_or_default();
    let allowed = if followers.is_empty() {
        "nothing may follow it".to_owned()
    } else {
        format!("what may follow is {}", followers.join(", "))
    };
    let detail = format!("{to} cannot follow {}, {allowed}", from[0]);
    Err(Problem::new("/state", STATE_CANNOT_FOLLOW, detail))
}

/// A closed project has an outcome.
pub(crate) fn closing(state: &Value, outcome: &Value) -> Result<(), Problem> {
    if state.as_str() == Some("closed") && outcome.is_null() {
        let detail = "a project is closed with an outcome, a code and a date, and there is none";
        return Err(Problem::new("/outcome", CLOSING_WITHOUT_OUTCOME, detail));
    }
    Ok(())
}

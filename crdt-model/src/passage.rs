//! Rules over several fields: dates in their order, an outcome before closing, states that follow.
//!
//! What people do here must keep them; imported history and peers' changes are flagged instead.
//! Knows JSON and the table. Does not know documents.

use serde_json::Value;

use crate::problem::{Filled, Problem};
use crate::rules::{is_date, within};
use crate::schema::{Entity, Field, Kind, Node, find};

/// A state that does not follow the one before.
pub(crate) const STATE_CANNOT_FOLLOW: &str = "state_cannot_follow";
/// Closed, and nobody said how it ended.
pub(crate) const CLOSING_WITHOUT_OUTCOME: &str = "closing_without_outcome";
/// A date before one that it must not precede.
pub(crate) const DATES_OUT_OF_ORDER: &str = "dates_out_of_order";

/// Dates of the record that come before one they must follow.
pub(crate) fn dates(kind: Kind, record: &Value) -> Vec<Problem> {
    let mut out = Vec::new();
    let path = &mut String::new();
    in_order(kind.order(), record, path, &mut out);
    dates_in_group(kind.fields(), record, path, &mut out);
    if let Some(opening) = kind.opening()
        && let Some(opened) = record.get(opening.field).and_then(Value::as_str)
    {
        for name in opening.after {
            if let Some(value) = record.get(name) {
                within(path, name, |path| {
                    since_opening(kind, opened, name, value, path, &mut out);
                });
            }
        }
    }
    out
}

/// Dates within what stands at `path` that come before one they must follow.
pub(crate) fn dates_in(
    node: &'static Node,
    value: &Value,
    path: &mut String,
    out: &mut Vec<Problem>,
) {
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
    entity: &'static Entity,
    value: &Value,
    path: &mut String,
    out: &mut Vec<Problem>,
) {
    in_order(entity.order, value, path, out);
    dates_in_group(entity.fields, value, path, out);
}

fn in_order(order: &[(&str, &str)], value: &Value, path: &mut String, out: &mut Vec<Problem>) {
    for (first, second) in order {
        let (Some(earlier), Some(later)) = (date(value, first), date(value, second)) else {
            continue;
        };
        if later < earlier {
            let detail = format!("{second} {later} comes before {first} {earlier}");
            let filled = [
                ("second", Filled::codes("field", &[second])),
                ("later", Filled::text(later)),
                ("first", Filled::codes("field", &[first])),
                ("earlier", Filled::text(earlier)),
            ];
            within(path, second, |path| {
                let problem = Problem::new(path.as_str(), DATES_OUT_OF_ORDER, detail);
                out.push(problem.said("", &filled));
            });
        }
    }
}

/// The dates `on` in the root field `name`, or in one of its entries, must not come before the
/// opening.
pub(crate) fn since_opening(
    kind: Kind,
    opened: &str,
    name: &str,
    value: &Value,
    path: &mut String,
    out: &mut Vec<Problem>,
) {
    let keyed = matches!(
        find(kind.fields(), name).map(|field| field.node),
        Some(Node::Keyed(_))
    );
    match value {
        Value::Object(entries) if keyed => {
            for (id, entry) in entries {
                within(path, id, |path| on_since(kind, opened, entry, path, out));
            }
        }
        value => on_since(kind, opened, value, path, out),
    }
}

/// The date `on` of one value must not come before the opening.
pub(crate) fn on_since(
    kind: Kind,
    opened: &str,
    value: &Value,
    path: &str,
    out: &mut Vec<Problem>,
) {
    if let Some(on) = date(value, "on")
        && is_date(opened)
        && on < opened
    {
        let detail = format!(
            "on {on} comes before the {} was opened on {opened}",
            kind.singular()
        );
        let path = format!("{path}/on");
        let problem = Problem::new(path, DATES_OUT_OF_ORDER, detail);
        let filled = [("on", Filled::text(on)), ("opened", Filled::text(opened))];
        out.push(problem.said("before_opening", &filled));
    }
}

fn date<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    let text = value.get(name)?.as_str()?;
    is_date(text).then_some(text)
}

/// Whether `to` may follow one of the states `from`, which are several after simultaneous edits.
pub(crate) fn state(kind: Kind, from: &[&str], to: &str) -> Result<(), Problem> {
    let life = kind.lifecycle();
    if from.is_empty() || from.iter().any(|from| life.may_follow(from, to)) {
        return Ok(());
    }
    let followers = life.followers(from[0]).unwrap_or_default();
    let allowed = if followers.is_empty() {
        "nothing may follow it".to_owned()
    } else {
        format!("what may follow is {}", followers.join(", "))
    };
    let detail = format!("{to} cannot follow {}, {allowed}", from[0]);
    let problem = Problem::new("/state", STATE_CANNOT_FOLLOW, detail);
    Err(follows(problem, from[0], to, followers))
}

/// Says of a passage which states, and what may follow.
pub(crate) fn follows(problem: Problem, from: &str, to: &str, followers: &[&str]) -> Problem {
    let variant = if followers.is_empty() { "nothing" } else { "" };
    let filled = [
        ("to", Filled::codes("state", &[to])),
        ("from", Filled::codes("state", &[from])),
        ("allowed", Filled::codes("state", followers)),
    ];
    problem.said(variant, &filled)
}

/// A closed record has an outcome, where its kind has one.
pub(crate) fn closing(kind: Kind, state: &Value, outcome: &Value) -> Result<(), Problem> {
    if kind.closed().is_some() && state.as_str() == kind.closed() && outcome.is_null() {
        let detail = format!(
            "a {} is closed with an outcome, and there is none: say how it ended",
            kind.singular()
        );
        return Err(Problem::new("/outcome", CLOSING_WITHOUT_OUTCOME, detail));
    }
    Ok(())
}

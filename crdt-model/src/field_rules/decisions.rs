//! Votes of the bodies of a team, and what they decide.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{entries, text};
use crate::problem::{Filled, Problem};
use crate::rules::within;

/// A vote that no body gave.
pub(super) const WITHOUT_BODY: &str = "vote_without_body";
/// A result before the bodies of the quorum voted.
pub(super) const WITHOUT_QUORUM: &str = "decision_without_quorum";
/// A vote for, or a result of, what is no option of the decision.
pub(super) const UNKNOWN_OPTION: &str = "decision_unknown_option";
/// A second vote of one body.
pub(super) const TWO_VOTES: &str = "body_voted_twice";

/// Votes and results that are out of order.
pub(super) fn votes(record: &Value, out: &mut Vec<Problem>) {
    let path = &mut String::from("/decisions");
    for (id, decision) in entries(record, "decisions") {
        within(path, id, |path| {
            cast(decision, path, out);
            result(decision, path, out);
        });
    }
}

fn cast(decision: &Value, path: &str, out: &mut Vec<Problem>) {
    let mut voted = BTreeSet::new();
    for (id, vote) in entries(decision, "votes") {
        let path = format!("{path}/votes/{}", crate::command::escape(id));
        match text(vote, "body") {
            None => {
                let detail = "a vote is given by a body: say which";
                out.push(Problem::new(format!("{path}/body"), WITHOUT_BODY, detail));
            }
            Some(body) if !voted.insert(body) => {
                let detail = format!("{body} has voted already: a body has one vote");
                let problem = Problem::new(format!("{path}/body"), TWO_VOTES, detail);
                out.push(problem.said("", &[("body", Filled::text(body))]));
            }
            Some(_) => {}
        }
        if let Some(option) = text(vote, "option") {
            one_of(decision, option, format!("{path}/option"), out);
        }
    }
}

fn result(decision: &Value, path: &str, out: &mut Vec<Problem>) {
    let Some(result) = decision.get("result").filter(|result| !result.is_null()) else {
        return;
    };
    if let Some(option) = result.as_str() {
        one_of(decision, option, format!("{path}/result"), out);
    }
    let voted: BTreeSet<_> = entries(decision, "votes")
        .filter_map(|(_, vote)| text(vote, "body"))
        .collect();
    let quorum = decision.get("quorum").and_then(Value::as_array);
    let missing: Vec<_> = quorum
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter(|body| !voted.contains(*body))
        .collect();
    if !missing.is_empty() {
        let detail = format!(
            "a result without the votes of {}: add them, or leave the result open",
            missing.join(", ")
        );
        let problem = Problem::new(format!("{path}/result"), WITHOUT_QUORUM, detail);
        out.push(problem.said("", &[("missing", Filled::Text(missing.join(", ")))]));
    }
}

/// An option is one of the decision's own.
fn one_of(decision: &Value, option: &str, path: String, out: &mut Vec<Problem>) {
    let known: Vec<_> = entries(decision, "options").map(|(id, _)| id).collect();
    if known.contains(&option) {
        return;
    }
    let known = known.join(", ");
    let detail = if known.is_empty() {
        format!("{option} is no option, the decision has none yet: write its options first")
    } else {
        format!("{option} is no option of the decision: choose one of {known}")
    };
    let variant = if known.is_empty() { "none" } else { "" };
    let filled = [
        ("option", Filled::text(option)),
        ("allowed", Filled::Text(known)),
    ];
    out.push(Problem::new(path, UNKNOWN_OPTION, detail).said(variant, &filled));
}

//! Rules of the field over the parts of a project: signatures, votes, vouchers, referrals,
//! instruments, and the lock of a transfer.
//!
//! What people do here must keep them; imported history and peers' changes are flagged with the
//! same codes. Knows JSON and codes. Does not know documents.

mod instruments;
mod signatures;
pub mod transfer;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::problem::{Filled, Problem};
use crate::rules::within;
use crate::schema::{Kind, REFERRAL_PASSAGES};

pub(crate) use signatures::fill;
pub(crate) use transfer::locked;

/// More was spent than the voucher is worth.
const VOUCHER_OVERSPENT: &str = "voucher_overspent";
/// Spent before the voucher was valid, or after.
const VOUCHER_OUTSIDE: &str = "voucher_spent_outside_validity";
/// A vote that no body gave.
const VOTE_WITHOUT_BODY: &str = "vote_without_body";
/// A result before the bodies of the quorum voted.
const WITHOUT_QUORUM: &str = "decision_without_quorum";
/// A state of a referral that does not follow the one before.
pub(crate) const REFERRAL_STATE: &str = "referral_state";

/// The codes of all rules that bind people here, so that words for them are complete.
pub const CODES: &[&str] = &[
    crate::passage::CLOSING_WITHOUT_OUTCOME,
    crate::passage::DATES_OUT_OF_ORDER,
    crate::passage::STATE_CANNOT_FOLLOW,
    WITHOUT_QUORUM,
    FIELD_IS_FIXED,
    instruments::TOO_LONG,
    transfer::ACCEPTED_TWICE,
    transfer::BY_COMMAND,
    transfer::LOCKED,
    transfer::NOT_OPEN,
    transfer::NOT_READABLE,
    transfer::NO_RECEIVER,
    transfer::NOT_CONFIRMED,
    transfer::OF_LOCAL,
    transfer::OF_PROTECTED,
    transfer::SUBJECT_UNCLEAR,
    transfer::TOO_LARGE,
    transfer::PERSON_HERE,
    transfer::OTHER_PERSON,
    transfer::UNDECIDED,
    REFERRAL_STATE,
    "sharing_is_fixed",
    signatures::ACTIVATED_WITHOUT,
    signatures::TO_RENEW,
    VOTE_WITHOUT_BODY,
    VOUCHER_OVERSPENT,
    VOUCHER_OUTSIDE,
];

/// A field that is set when the record is made and for ever.
pub(crate) const FIELD_IS_FIXED: &str = "field_is_fixed";

/// Whether an edit below these keys may break a rule over several parts.
pub(crate) fn concerns(kind: Kind, way: &[String]) -> bool {
    let bound = |root: &String| {
        matches!(
            root.as_str(),
            "state" | "decisions" | "vouchers" | "referrals" | "instruments"
        )
    };
    kind == Kind::Project && way.first().is_none_or(bound)
}

/// Whether an edit that leaves this below these keys may hold a signature.
pub(crate) fn may_sign(kind: Kind, way: &[String], after: Option<&Value>) -> bool {
    let names: Vec<_> = way.iter().map(String::as_str).collect();
    let holds = |pointer: &str| after.is_some_and(|value| value.pointer(pointer).is_some());
    kind == Kind::Project
        && match names.as_slice() {
            [] | ["plans"] => true,
            ["plans", _] => holds("/signatures"),
            ["plans", _, "signatures", ..] => after.is_some(),
            _ => false,
        }
}

/// What an edit breaks that was in order before it.
pub(crate) fn broken_by(
    kind: Kind,
    from: &[&str],
    before: &Value,
    after: &Value,
) -> Result<(), Problem> {
    if kind != Kind::Project {
        return Ok(());
    }
    if signatures::activates(from, state(before), state(after)) {
        signatures::all_signed(after)?;
    }
    for (id, referral) in entries(after, "referrals") {
        let was = before.pointer("/referrals").and_then(|all| all.get(id));
        referral_follows(id, was.unwrap_or(&Value::Null), referral)?;
    }
    let known = binding(before);
    let new = binding(after)
        .into_iter()
        .find(|problem| !known.contains(problem));
    new.map_or(Ok(()), Err)
}

/// What is out of order in a record as it is shown, whoever made it so.
pub(crate) fn flags(kind: Kind, record: &Value, from: &[&str]) -> Vec<Problem> {
    if kind != Kind::Project {
        return Vec::new();
    }
    let mut out = binding(record);
    instruments::short_or_long_labs(record, &mut out);
    signatures::to_renew(record, &mut out);
    transfer::accepted_twice(record, &mut out);
    if signatures::activates(from, None, state(record)) {
        out.extend(signatures::unsigned(record));
    }
    out
}

/// Whether one state of a referral may follow another.
pub(crate) fn referral_may_follow(from: &str, to: &str) -> bool {
    let line = REFERRAL_PASSAGES.iter().find(|(state, _)| *state == from);
    from == to || line.is_none_or(|(_, states)| states.contains(&to))
}

fn referral_follows(id: &str, before: &Value, after: &Value) -> Result<(), Problem> {
    let (Some(from), Some(to)) = (state(before), state(after)) else {
        return Ok(());
    };
    if referral_may_follow(from, to) {
        return Ok(());
    }
    let line = REFERRAL_PASSAGES.iter().find(|(state, _)| *state == from);
    let states = line.map_or(&[][..], |(_, states)| states);
    let allowed = if states.is_empty() {
        "nothing may: send another referral".to_owned()
    } else {
        format!("only {} may", states.join(", "))
    };
    let detail = format!("{to} cannot follow {from}, {allowed}");
    let path = format!("/referrals/{}/state", crate::command::escape(id));
    let problem = Problem::new(path, REFERRAL_STATE, detail);
    Err(crate::passage::follows(problem, from, to, states))
}

/// Rules of the record as it is that bind people.
fn binding(record: &Value) -> Vec<Problem> {
    let mut out = Vec::new();
    let path = &mut String::from("/vouchers");
    for (id, voucher) in entries(record, "vouchers") {
        within(path, id, |path| spending(voucher, path, &mut out));
    }
    let path = &mut String::from("/decisions");
    for (id, decision) in entries(record, "decisions") {
        within(path, id, |path| votes(decision, path, &mut out));
    }
    instruments::too_long(record, &mut out);
    out
}

fn spending(voucher: &Value, path: &mut String, out: &mut Vec<Problem>) {
    let spent: Vec<_> = entries(voucher, "spent").collect();
    for (of, name) in [("value_eur", "amount_eur"), ("hours", "hours")] {
        let Some(worth) = voucher.get(of).and_then(Value::as_f64) else {
            continue;
        };
        let sum: f64 = spent
            .iter()
            .filter_map(|(_, part)| part.get(name).and_then(Value::as_f64))
            .sum();
        // Amounts have two decimals; a sum of floats may be off by far less.
        if sum > worth + 0.001 {
            let detail = format!(
                "{sum:.2} spent of {worth:.2} ({of}): correct what was spent or issue another voucher"
            );
            let filled = [
                ("sum", Filled::Text(format!("{sum:.2}"))),
                ("worth", Filled::Text(format!("{worth:.2}"))),
                ("of", Filled::codes("field", &[of])),
            ];
            within(path, "spent", |path| {
                let problem = Problem::new(path.as_str(), VOUCHER_OVERSPENT, detail);
                out.push(problem.said("", &filled));
            });
        }
    }
    let limit = |name: &str| voucher.get(name).and_then(Value::as_str);
    let (from, until) = (limit("valid_from"), limit("valid_until"));
    for (id, part) in spent {
        let Some(on) = part.get("on").and_then(Value::as_str) else {
            continue;
        };
        if from.is_some_and(|from| on < from) || until.is_some_and(|until| on > until) {
            let window = format!("{} to {}", from.unwrap_or("…"), until.unwrap_or("…"));
            let detail = format!(
                "spent on {on}, and the voucher is valid from {window}: correct the date or the validity"
            );
            let path = format!("{path}/spent/{}/on", crate::command::escape(id));
            let filled = [
                ("on", Filled::text(on)),
                ("from", Filled::text(from.unwrap_or("…"))),
                ("until", Filled::text(until.unwrap_or("…"))),
            ];
            out.push(Problem::new(path, VOUCHER_OUTSIDE, detail).said("", &filled));
        }
    }
}

fn votes(decision: &Value, path: &mut String, out: &mut Vec<Problem>) {
    let body = |vote: &Value| vote.get("body").and_then(Value::as_str).map(str::to_owned);
    for (id, vote) in entries(decision, "votes") {
        if body(vote).is_none() {
            let detail = "a vote is given by a body: say which";
            let path = format!("{path}/votes/{}/body", crate::command::escape(id));
            out.push(Problem::new(path, VOTE_WITHOUT_BODY, detail));
        }
    }
    if decision.get("result").is_none_or(Value::is_null) {
        return;
    }
    let voted: BTreeSet<_> = entries(decision, "votes")
        .filter_map(|(_, vote)| body(vote))
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

fn state(value: &Value) -> Option<&str> {
    value.get("state").and_then(Value::as_str)
}

/// The sub-entities of a container.
fn entries<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let members: Option<&Map<String, Value>> = value.get(name).and_then(Value::as_object);
    members
        .into_iter()
        .flat_map(|members| members.iter().map(|(id, entry)| (id.as_str(), entry)))
}

#[cfg(test)]
mod tests;

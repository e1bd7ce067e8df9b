//! Rules of the field over the parts of a project: signatures, votes, vouchers, referrals,
//! instruments, the states of each, and the lock of a transfer.
//!
//! What people do here must keep them; imported history and peers' changes are flagged with the
//! same codes. Knows JSON and codes. Does not know documents.

mod decisions;
mod instruments;
mod lives;
mod signatures;
pub mod transfer;
mod vouchers;

use serde_json::{Map, Value};

use crate::problem::Problem;
use crate::schema::Kind;

pub(crate) use lives::{may_begin, may_follow};
pub(crate) use signatures::fill;
pub(crate) use transfer::locked;
pub(crate) use vouchers::{ENDED as VOUCHER_ENDED, ENDS as VOUCHER_ENDS};

/// A project about violence that goes to others.
const VIOLENCE_SHARED: &str = "violence_shared";
/// The part of an area of need that is about violence.
const VIOLENCE: &str = "violenza";

/// The codes of all rules that bind people here, so that words for them are complete.
pub const CODES: &[&str] = &[
    crate::passage::CLOSING_WITHOUT_OUTCOME,
    crate::passage::DATES_OUT_OF_ORDER,
    crate::passage::STATE_CANNOT_FOLLOW,
    FIELD_IS_FIXED,
    MERGED_INTO_NOBODY,
    decisions::TWO_VOTES,
    decisions::UNKNOWN_OPTION,
    decisions::WITHOUT_BODY,
    decisions::WITHOUT_QUORUM,
    instruments::TOO_LONG,
    lives::INSTRUMENT_STATE,
    lives::PLAN_STATE,
    lives::REFERRAL_STATE,
    lives::VOUCHER_STATE,
    lives::WITHOUT_OUTCOME,
    lives::WITHOUT_REASON,
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
    "sharing_is_fixed",
    signatures::ACTIVATED_WITHOUT,
    signatures::OF_ANOTHER,
    signatures::PLAN_OF_ANOTHER,
    signatures::PLAN_UNSIGNED,
    signatures::TO_RENEW,
    VIOLENCE_SHARED,
    vouchers::ENDED,
    vouchers::OTHER_MEASURE,
    vouchers::OUTSIDE,
    vouchers::OVERSPENT,
    vouchers::UNSPENT,
];

/// A field that is set when the record is made and for ever.
pub(crate) const FIELD_IS_FIXED: &str = "field_is_fixed";

/// A person's record that is merged into none, or into one that is not there: only who holds both
/// records can see to it.
pub const MERGED_INTO_NOBODY: &str = "merged_into_nobody";

/// Whether an edit below these keys may break a rule over several parts.
pub(crate) fn concerns(kind: Kind, way: &[String]) -> bool {
    let names: Vec<_> = way.iter().map(String::as_str).collect();
    kind == Kind::Project
        && matches!(
            names.as_slice(),
            [] | [
                "state" | "decisions" | "vouchers" | "referrals" | "instruments" | "sub_areas",
                ..
            ] | ["plans"]
                | ["plans", _]
                | ["plans", _, "body" | "state" | "signatures", ..]
        )
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
    signatures::activation(from, before, after)?;
    signatures::given(before, after)?;
    lives::passages(before, after)?;
    vouchers::spent_of_ended(before, after)?;
    let known = binding(before);
    let new = binding(after)
        .into_iter()
        .find(|problem| !known.contains(problem));
    new.map_or(Ok(()), Err)
}

/// What is out of order in a record as it is shown, whoever made it so.
pub(crate) fn flags(kind: Kind, record: &Value) -> Vec<Problem> {
    if kind != Kind::Project {
        return Vec::new();
    }
    let mut out = binding(record);
    instruments::short_or_long_labs(record, &mut out);
    signatures::to_renew(record, &mut out);
    transfer::accepted_twice(record, &mut out);
    signatures::of_another(record, &mut out);
    if state(record) == Some("active") {
        out.extend(signatures::unsigned(record));
    }
    out
}

/// Rules of the record as it is that bind people.
fn binding(record: &Value) -> Vec<Problem> {
    let mut out = Vec::new();
    vouchers::spending(record, &mut out);
    decisions::votes(record, &mut out);
    instruments::too_long(record, &mut out);
    violence(record, &mut out);
    lives::ends(record, &mut out);
    signatures::bodies_of_plans(record, &mut out);
    signatures::signed_plans(record, &mut out);
    out
}

/// Who is followed for violence is not to be found by anybody: not even a pseudonym leaves.
fn violence(record: &Value, out: &mut Vec<Problem>) {
    let areas = record.get("sub_areas").and_then(Value::as_array);
    let named = areas.is_some_and(|areas| areas.iter().any(|area| area == VIOLENCE));
    if named && record.get("sharing").and_then(Value::as_str) != Some("local") {
        let detail = "a project about violence is specially protected, and a shared one goes to the \
                      coordination: create it with sharing local";
        out.push(Problem::new("/sub_areas", VIOLENCE_SHARED, detail));
    }
}

fn state(value: &Value) -> Option<&str> {
    text(value, "state")
}

/// Whether a field is there and says something.
fn says(value: &Value, name: &str) -> bool {
    match value.get(name) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.trim().is_empty(),
        Some(_) => true,
    }
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
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

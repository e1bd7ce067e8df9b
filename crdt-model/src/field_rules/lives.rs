//! The states of a project's parts: plans, referrals, vouchers, instruments.
//!
//! What follows what stands in the table; here is asked whether an edit keeps to it, and whether an
//! end says how it came. A part that has ended stays as it is, so that none begins anew under its
//! key.

use serde_json::Value;

use super::{entries, says, state};
use crate::passage::follows;
use crate::problem::{Filled, Problem};
use crate::rules::within;
use crate::schema::{PART_LIVES, PartLife};

/// A state of a plan that does not follow the one before.
pub(super) const PLAN_STATE: &str = "plan_state";
/// A state of a referral that does not follow the one before.
pub(super) const REFERRAL_STATE: &str = "referral_state";
/// A state of a voucher that does not follow the one before.
pub(super) const VOUCHER_STATE: &str = "voucher_state";
/// A state of an instrument that does not follow the one before.
pub(super) const INSTRUMENT_STATE: &str = "instrument_state";
/// Ended, and nobody said how: a referral that was done, an instrument concluded.
pub(super) const WITHOUT_OUTCOME: &str = "ended_without_outcome";
/// A referral that was rejected, and nobody said why.
pub(super) const WITHOUT_REASON: &str = "rejected_without_reason";

/// Whether one state of such a part may follow another.
pub(crate) fn may_follow(life: &PartLife, from: &str, to: &str) -> bool {
    let line = life.passages.iter().find(|(state, _)| *state == from);
    from == to || line.is_none_or(|(_, states)| states.contains(&to))
}

/// Whether such a part may begin in a state.
pub(crate) fn may_begin(life: &PartLife, state: &str) -> bool {
    let known = life.passages.iter().any(|(known, _)| *known == state);
    life.first.is_empty() || life.first.contains(&state) || !known
}

/// Every part's state follows the one that it had.
pub(super) fn passages(before: &Value, after: &Value) -> Result<(), Problem> {
    for life in PART_LIVES {
        let at = |record: &Value, id: &str| {
            let all = record.get(life.container);
            all.and_then(|all| all.get(id)).cloned().unwrap_or_default()
        };
        for (id, part) in entries(after, life.container) {
            passage(life, id, &at(before, id), part)?;
        }
        for (id, part) in entries(before, life.container) {
            if at(after, id).is_null() {
                stays(life, id, part)?;
            }
        }
    }
    Ok(())
}

fn passage(life: &PartLife, id: &str, before: &Value, after: &Value) -> Result<(), Problem> {
    match (state(before), state(after)) {
        (Some(from), Some(to)) if !may_follow(life, from, to) => {
            let states = followers(life, from);
            let allowed = if states.is_empty() {
                "nothing may: begin another one".to_owned()
            } else {
                format!("only {} may", states.join(", "))
            };
            let detail = format!("{to} cannot follow {from}, {allowed}");
            Err(follows(problem(life, id, detail), from, to, states))
        }
        (None, Some(to)) if !may_begin(life, to) => {
            let allowed = life.first.join(", ");
            let detail = format!("it cannot begin as {to}, only as {allowed}");
            let filled = [
                ("state", Filled::codes("state", &[to])),
                ("allowed", Filled::codes("state", life.first)),
            ];
            Err(problem(life, id, detail).said("first", &filled))
        }
        // Taken away it could be given anew, whatever it was.
        (Some(from), None) if is_end(life, from) || !may_begin(life, from) => {
            let detail = format!("it is {from}: its state may be changed, not taken away");
            let filled = [("state", Filled::codes("state", &[from]))];
            Err(problem(life, id, detail).said("taken", &filled))
        }
        _ => Ok(()),
    }
}

/// A part that has ended is not removed.
fn stays(life: &PartLife, id: &str, part: &Value) -> Result<(), Problem> {
    let Some(state) = state(part).filter(|state| is_end(life, state)) else {
        return Ok(());
    };
    let detail = format!("it has ended as {state} and stays: begin another one under another key");
    let filled = [("state", Filled::codes("state", &[state]))];
    Err(problem(life, id, detail).said("ended", &filled))
}

fn is_end(life: &PartLife, state: &str) -> bool {
    let line = life.passages.iter().find(|(known, _)| *known == state);
    line.is_some_and(|(_, states)| states.is_empty())
}

fn followers(life: &PartLife, from: &str) -> &'static [&'static str] {
    let line = life.passages.iter().find(|(state, _)| *state == from);
    line.map_or(&[], |(_, states)| states)
}

fn problem(life: &PartLife, id: &str, detail: String) -> Problem {
    let path = format!("/{}/{}/state", life.container, crate::command::escape(id));
    Problem::new(path, life.code, detail)
}

/// Ends of which nobody said how they came.
pub(super) fn ends(record: &Value, out: &mut Vec<Problem>) {
    for (container, end, field) in [
        ("referrals", "rejected", "reason_of_refusal"),
        ("referrals", "done", "outcome"),
        ("instruments", "concluded", "outcome"),
    ] {
        let path = &mut format!("/{container}");
        for (id, part) in entries(record, container) {
            if state(part) != Some(end) || says(part, field) {
                continue;
            }
            let path = within(path, id, |path| format!("{path}/{field}"));
            let (code, detail) = if field == "outcome" {
                let detail =
                    format!("it is {end}, and nobody said how it ended: write the outcome");
                (WITHOUT_OUTCOME, detail)
            } else {
                let detail = "it was rejected, and nobody said why: write the reason".to_owned();
                (WITHOUT_REASON, detail)
            };
            let filled = [("state", Filled::codes("state", &[end]))];
            out.push(Problem::new(path, code, detail).said("", &filled));
        }
    }
}

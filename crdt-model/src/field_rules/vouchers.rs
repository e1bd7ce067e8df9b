//! Vouchers: what was spent of them, when, in which measure, and what their state says of it.

use serde_json::Value;

use super::{entries, state, text};
use crate::problem::{Filled, Problem};
use crate::rules::within;

/// More was spent than the voucher is worth.
pub(super) const OVERSPENT: &str = "voucher_overspent";
/// Spent before the voucher was valid, or after.
pub(super) const OUTSIDE: &str = "voucher_spent_outside_validity";
/// Spent in a measure in which the voucher is worth nothing.
pub(super) const OTHER_MEASURE: &str = "voucher_spent_in_other_measure";
/// Said to be spent, and it is not.
pub(super) const UNSPENT: &str = "voucher_not_spent";
/// Spent of a voucher that has ended.
pub(crate) const ENDED: &str = "voucher_ended";

/// What a voucher is worth in, and what is spent of it in that measure.
const MEASURES: [(&str, &str); 2] = [("value_eur", "amount_eur"), ("hours", "hours")];
/// States of a voucher of which nothing more is spent.
pub(crate) const ENDS: [&str; 3] = ["exhausted", "expired", "revoked"];
/// Amounts have two decimals; a sum of floats may be off by far less.
const OFF_BY: f64 = 0.001;

/// What was spent and what may be spent do not agree.
pub(super) fn spending(record: &Value, out: &mut Vec<Problem>) {
    let path = &mut String::from("/vouchers");
    for (id, voucher) in entries(record, "vouchers") {
        within(path, id, |path| {
            overspent(voucher, path, out);
            other_measure(voucher, path, out);
            outside(voucher, path, out);
            unspent(voucher, path, out);
        });
    }
}

/// Nothing is spent of a voucher that has ended, nor is what was spent of it changed.
pub(super) fn spent_of_ended(before: &Value, after: &Value) -> Result<(), Problem> {
    for (id, voucher) in entries(after, "vouchers") {
        let was = before.get("vouchers").and_then(|all| all.get(id));
        let then = was.and_then(state);
        // The last spending may exhaust it, and a voucher may be written down whole; what is revoked or
        // expires is spent no more.
        let now = state(voucher).filter(|state| was.is_some() && *state != "exhausted");
        let Some(end) = [then, now]
            .into_iter()
            .flatten()
            .find(|state| ENDS.contains(state))
        else {
            continue;
        };
        for (part, spent) in entries(voucher, "spent") {
            let was = was.and_then(|was| was.get("spent")?.get(part));
            if was != Some(spent) {
                let escape = crate::command::escape;
                let path = format!("/vouchers/{}/spent/{}", escape(id), escape(part));
                let detail = format!("the voucher is {end}: issue another one");
                let filled = [("state", Filled::codes("state", &[end]))];
                return Err(Problem::new(path, ENDED, detail).said("", &filled));
            }
        }
    }
    Ok(())
}

fn worth(voucher: &Value, of: &str) -> Option<f64> {
    voucher.get(of).and_then(Value::as_f64)
}

fn sum(voucher: &Value, name: &str) -> f64 {
    let parts = entries(voucher, "spent").filter_map(|(_, part)| part.get(name)?.as_f64());
    parts.sum()
}

fn overspent(voucher: &Value, path: &mut String, out: &mut Vec<Problem>) {
    for (of, name) in MEASURES {
        let Some(worth) = worth(voucher, of) else {
            continue;
        };
        let sum = sum(voucher, name);
        if sum > worth + OFF_BY {
            let detail = format!(
                "{sum:.2} spent of {worth:.2} ({of}): correct what was spent or issue another voucher"
            );
            let filled = [
                ("sum", Filled::Text(format!("{sum:.2}"))),
                ("worth", Filled::Text(format!("{worth:.2}"))),
                ("of", Filled::codes("field", &[of])),
            ];
            within(path, "spent", |path| {
                let problem = Problem::new(path.as_str(), OVERSPENT, detail);
                out.push(problem.said("", &filled));
            });
        }
    }
}

fn other_measure(voucher: &Value, path: &str, out: &mut Vec<Problem>) {
    for (id, part) in entries(voucher, "spent") {
        for (of, name) in MEASURES {
            let spent = part.get(name).and_then(Value::as_f64);
            if spent.is_some_and(|spent| spent > 0.0) && worth(voucher, of).is_none() {
                let detail = format!(
                    "the voucher is not worth anything in {of}: write what it is worth, or spend it \
                     in its own measure"
                );
                let path = format!("{path}/spent/{}/{name}", crate::command::escape(id));
                let filled = [("of", Filled::codes("field", &[of]))];
                out.push(Problem::new(path, OTHER_MEASURE, detail).said("", &filled));
            }
        }
    }
}

fn outside(voucher: &Value, path: &str, out: &mut Vec<Problem>) {
    let (from, until) = (text(voucher, "valid_from"), text(voucher, "valid_until"));
    for (id, part) in entries(voucher, "spent") {
        let Some(on) = text(part, "on") else {
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
            out.push(Problem::new(path, OUTSIDE, detail).said("", &filled));
        }
    }
}

/// Exhausted with something left, or spent in part and nothing was.
fn unspent(voucher: &Value, path: &str, out: &mut Vec<Problem>) {
    let any = entries(voucher, "spent").next().is_some();
    let mut known = MEASURES
        .iter()
        .filter_map(|(of, name)| Some((worth(voucher, of)?, *name)))
        .peekable();
    let (variant, detail) = match state(voucher) {
        Some("partly_spent") if !any => (
            "partly",
            "nothing was spent of it: write what was, or leave it active",
        ),
        Some("exhausted")
            if !any
                || (known.peek().is_some()
                    && known.all(|(worth, name)| sum(voucher, name) + OFF_BY < worth)) =>
        {
            (
                "",
                "something is left of it: write what was spent, or leave it spent in part",
            )
        }
        _ => return,
    };
    let problem = Problem::new(format!("{path}/state"), UNSPENT, detail);
    out.push(problem.said(variant, &[]));
}

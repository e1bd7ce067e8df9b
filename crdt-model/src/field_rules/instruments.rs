//! How long an instrument may last.

use serde_json::Value;

use super::entries;
use crate::problem::Problem;
use crate::rules::is_date;

/// An instrument that lasts longer than its kind may, or not as long as it must.
pub(super) const TOO_LONG: &str = "instrument_too_long";

/// Inclusion traineeships: 24 months, 48 with extensions (agreement of 22 January 2015).
const TRAINEESHIP: (u32, u32) = (24, 48);
/// Observation laboratories last 3 to 6 months.
const LABORATORY: (u32, u32) = (3, 6);

/// Traineeships that last too long.
pub(super) fn too_long(record: &Value, out: &mut Vec<Problem>) {
    for (id, instrument) in entries(record, "instruments") {
        if text(instrument, "kind") != Some("TIS") {
            continue;
        }
        let Some(from) = date(instrument, "from") else {
            continue;
        };
        let (plain, extended) = TRAINEESHIP;
        for (name, months) in [("until", plain), ("extended_until", extended)] {
            if date(instrument, name).is_some_and(|until| longer(from, until, months)) {
                let detail = format!(
                    "a traineeship of inclusion lasts at most {months} months ({name}): shorten it, or \
                     give the extension in extended_until"
                );
                out.push(problem(id, name, detail));
            }
        }
    }
}

/// Laboratories that are shorter or longer than they are meant to be; nobody is held to it.
pub(super) fn short_or_long_labs(record: &Value, out: &mut Vec<Problem>) {
    for (id, instrument) in entries(record, "instruments") {
        let (from, until) = (date(instrument, "from"), date(instrument, "until"));
        let (Some("LAB_OV"), Some(from), Some(until)) = (text(instrument, "kind"), from, until)
        else {
            continue;
        };
        let (least, most) = LABORATORY;
        if longer(from, until, most) || !longer(from, until, least.saturating_sub(1)) {
            let detail = format!("an observation laboratory lasts {least} to {most} months");
            out.push(problem(id, "until", detail));
        }
    }
}

fn problem(id: &str, name: &str, detail: String) -> Problem {
    let path = format!("/instruments/{}/{name}", crate::command::escape(id));
    Problem::new(path, TOO_LONG, detail)
}

/// Whether more than so many months lie between; both days count.
fn longer(from: &str, until: &str, months: u32) -> bool {
    let part = |text: &str, range: std::ops::Range<usize>| -> u32 {
        text.get(range)
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(0)
    };
    let months_of = |text: &str| part(text, 0..4) * 12 + part(text, 5..7);
    let (last, limit) = (months_of(until), months_of(from) + months);
    last > limit || (last == limit && part(until, 8..10) >= part(from, 8..10))
}

fn date<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    text(value, name).filter(|text| is_date(text))
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

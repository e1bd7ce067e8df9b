//! How long an instrument may last.

use jiff::Span;
use jiff::civil::Date;
use serde_json::Value;

use super::{entries, text};
use crate::problem::{Filled, Problem};
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
                let filled = [
                    ("months", Filled::text(months)),
                    ("field", Filled::codes("field", &[name])),
                ];
                out.push(problem(id, name, detail).said("", &filled));
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
        let short = last_day(from, least).is_some_and(|last| until < last);
        if longer(from, until, most) || short {
            let detail = format!("an observation laboratory lasts {least} to {most} months");
            let filled = [("least", Filled::text(least)), ("most", Filled::text(most))];
            out.push(problem(id, "until", detail).said("laboratory", &filled));
        }
    }
}

fn problem(id: &str, name: &str, detail: String) -> Problem {
    let path = format!("/instruments/{}/{name}", crate::command::escape(id));
    Problem::new(path, TOO_LONG, detail)
}

/// Whether it ends after the last of so many months.
fn longer(from: Date, until: Date, months: u32) -> bool {
    last_day(from, months).is_some_and(|last| until > last)
}

/// The last day of so many months that begin on this one.
fn last_day(from: Date, months: u32) -> Option<Date> {
    let after = from
        .checked_add(Span::new().months(i64::from(months)))
        .ok()?;
    after.yesterday().ok()
}

fn date(value: &Value, name: &str) -> Option<Date> {
    let text = text(value, name).filter(|text| is_date(text))?;
    text.parse().ok()
}

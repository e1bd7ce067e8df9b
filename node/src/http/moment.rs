//! Moments as people in Italy read them: Central European time, by the rule of directive 2000/84/EC.
//!
//! The rule is computed, not looked up, so that a node without a time zone database shows the
//! same hour as any other. It holds for 1996 onward.

use jiff::civil;
use jiff::tz::Offset;
use raccordo_crdt_model::UnixMillis;

const HOUR_MS: i64 = 3_600_000;

/// Date and hour, `22/11/2026 18:49`.
pub(crate) fn date_and_hour(at: UnixMillis) -> String {
    local(at).map_or_else(
        || at.to_string(),
        |at| {
            format!(
                "{:02}/{:02}/{:04} {:02}:{:02}",
                at.day(),
                at.month(),
                at.year(),
                at.hour(),
                at.minute()
            )
        },
    )
}

/// Hour and minute, `18:49`.
pub(crate) fn hour(at: UnixMillis) -> String {
    local(at).map_or_else(
        || at.to_string(),
        |at| format!("{:02}:{:02}", at.hour(), at.minute()),
    )
}

/// `2026-12-31` as `31/12/2026`; anything else as it stands.
pub(crate) fn date(iso: &str) -> String {
    let parts: Vec<&str> = iso.split('-').collect();
    match parts.as_slice() {
        [year, month, day]
            if year.len() == 4
                && month.len() == 2
                && day.len() == 2
                && iso
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b'-') =>
        {
            format!("{day}/{month}/{year}")
        }
        _ => iso.to_owned(),
    }
}

/// How long something has lasted: a count and the unit it is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    /// Less than a minute.
    Moments,
    /// 1 to 59.
    Minutes(i64),
    /// 1 to 47.
    Hours(i64),
    /// 2 and more.
    Days(i64),
}

/// The span from one moment to a later one; a clock that went back counts as no time.
pub(crate) fn span(from: UnixMillis, to: UnixMillis) -> Span {
    let elapsed = to.0.saturating_sub(from.0).max(0);
    match elapsed {
        ms if ms < 60_000 => Span::Moments,
        ms if ms < HOUR_MS => Span::Minutes(ms / 60_000),
        ms if ms < 48 * HOUR_MS => Span::Hours(ms / HOUR_MS),
        ms => Span::Days(ms / (24 * HOUR_MS)),
    }
}

fn local(at: UnixMillis) -> Option<civil::DateTime> {
    let utc = jiff::Timestamp::from_millisecond(at.0).ok()?;
    let universal = Offset::UTC.to_datetime(utc);
    let hours = if is_summer(universal) { 2 } else { 1 };
    Some(Offset::constant(hours).to_datetime(utc))
}

/// From 01:00 UTC on the last Sunday of March to 01:00 UTC on the last Sunday of October.
fn is_summer(utc: civil::DateTime) -> bool {
    match utc.month() {
        4..=9 => true,
        3 => since_switch(utc),
        10 => !since_switch(utc),
        _ => false,
    }
}

fn since_switch(utc: civil::DateTime) -> bool {
    let last = utc.date().last_of_month();
    let back = last.weekday().to_sunday_zero_offset();
    (utc.day(), utc.hour()) >= (last.day() - back, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let at: jiff::Timestamp = text.parse().unwrap();
        date_and_hour(UnixMillis(at.as_millisecond()))
    }

    #[test]
    fn summer_time_starts_and_ends_at_one_utc_on_the_last_sunday() {
        assert_eq!(shown("2026-03-29T00:59:59Z"), "29/03/2026 01:59");
        assert_eq!(shown("2026-03-29T01:00:00Z"), "29/03/2026 03:00");
        assert_eq!(shown("2026-10-25T00:59:59Z"), "25/10/2026 02:59");
        assert_eq!(shown("2026-10-25T01:00:00Z"), "25/10/2026 02:00");
        assert_eq!(shown("2027-03-28T01:00:00Z"), "28/03/2027 03:00");
        assert_eq!(shown("2026-12-31T23:30:00Z"), "01/01/2027 00:30");
        assert_eq!(shown("2026-07-01T22:30:00Z"), "02/07/2026 00:30");
        assert_eq!(shown("2024-03-31T00:30:00Z"), "31/03/2024 01:30");
        assert_eq!(shown("2024-03-31T12:00:00Z"), "31/03/2024 14:00");
    }

    #[test]
    fn only_real_iso_dates_are_turned_round() {
        assert_eq!(date("2026-12-31"), "31/12/2026");
        assert_eq!(date("domani"), "domani");
        assert_eq!(date("20-1-1"), "20-1-1");
    }

    #[test]
    fn spans_are_told_in_the_unit_that_people_use() {
        let at = UnixMillis;
        assert_eq!(span(at(0), at(59_000)), Span::Moments);
        assert_eq!(span(at(0), at(61_000)), Span::Minutes(1));
        assert_eq!(span(at(0), at(3 * HOUR_MS)), Span::Hours(3));
        assert_eq!(span(at(0), at(72 * HOUR_MS)), Span::Days(3));
        assert_eq!(span(at(5), at(0)), Span::Moments);
    }
}

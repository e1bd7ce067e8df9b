//! What a district's unit did: a meeting, a visit, a training; codes and counts, nobody's data.

use super::codes::BODIES;
use super::{Audience, Field, Lifecycle, Rule, Section, Table, Writer, leaf};

/// What the table says of activities.
pub(super) const TABLE: Table = Table {
    code: 9,
    singular: "activity",
    plural: "activities",
    audience: Audience::Home,
    writer: Writer::District,
    fields: FIELDS,
    unknown: Section::Frame,
    order: &[],
    opening: None,
    closed: None,
    lifecycle: &LIFECYCLE,
    title: None,
    search: &["ref", "unit"],
};

const STATES: &[&str] = &["recorded", "corrected"];

const LIFECYCLE: Lifecycle = Lifecycle {
    passages: &[("recorded", &["corrected"]), ("corrected", &[])],
    first: &["recorded"],
    shown_first: &["corrected", "recorded"],
};

/// What was done.
const ACTIVITIES: &[&str] = &["meeting", "visit", "training", "agreement", "other"];

const FIELDS: &[Field] = &[
    leaf("bodies", Rule::Codes(BODIES)),
    leaf("cases_discussed", Rule::Whole(0, 10_000)),
    leaf("decisions", Rule::Whole(0, 10_000)),
    leaf("hours", Rule::Number(1_000.0)),
    leaf("kind", Rule::Open(ACTIVITIES)),
    leaf("on", Rule::Date).required(),
    leaf("ref", Rule::Text(64)),
    leaf("sharing", Rule::Closed(&["shared", "local"])).fixed(),
    leaf("state", Rule::Closed(STATES)).required().deciding(),
    leaf("topics", Rule::Codes(&[])),
    leaf("unit", Rule::Text(64)),
];

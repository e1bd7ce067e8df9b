//! A service of the directory: what it is, where, for whom, how to ask for it; known to everybody.

use super::codes::NEED_AREAS;
use super::{Audience, Field, Lifecycle, Rule, Section, Table, Writer, leaf};

/// What the table says of resources.
pub(super) const TABLE: Table = Table {
    code: 8,
    singular: "resource",
    plural: "resources",
    audience: Audience::Everyone,
    writer: Writer::District,
    fields: FIELDS,
    unknown: Section::Frame,
    order: &[("valid_from", "valid_until")],
    opening: None,
    closed: None,
    lifecycle: &LIFECYCLE,
    title: Some("title"),
    search: &["ref", "title", "organisation"],
};

const STATES: &[&str] = &["offered", "paused", "withdrawn"];

const LIFECYCLE: Lifecycle = Lifecycle {
    passages: &[
        ("offered", &["paused", "withdrawn"]),
        ("paused", &["offered", "withdrawn"]),
        ("withdrawn", &["offered"]),
    ],
    first: &["offered", "paused"],
    // Nobody is to be sent where the door is closed.
    shown_first: &["withdrawn", "paused", "offered"],
};

const FIELDS: &[Field] = &[
    leaf("hours", Rule::Text(200)).wording(),
    leaf("how_to_ask", Rule::Text(1_000)).wording(),
    leaf("municipality", Rule::Municipality),
    leaf("need_areas", Rule::Codes(NEED_AREAS)),
    leaf("organisation", Rule::Text(64)),
    leaf("public", Rule::Flag),
    leaf("ref", Rule::Text(64)),
    leaf("state", Rule::Closed(STATES)).required().deciding(),
    leaf("title", Rule::Text(200)).required().wording(),
    leaf("valid_from", Rule::Date),
    leaf("valid_until", Rule::Date),
    leaf("what", Rule::Text(4_000)).wording(),
    leaf("where", Rule::Text(200)).wording(),
    leaf("who_for", Rule::Codes(&[])),
];

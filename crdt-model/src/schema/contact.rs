//! One contact at an access point: who asked for what, what was answered, how it ended.
//!
//! Never leaves the territory; it may be anonymous, and may end without a project.

use super::codes::NEED_AREAS;
use super::{Audience, Entity, Field, Lifecycle, Rule, Section, Table, Writer, keyed, leaf};

/// What the table says of contacts.
pub(super) const TABLE: Table = Table {
    code: 7,
    singular: "contact",
    plural: "contacts",
    audience: Audience::Territory,
    writer: Writer::District,
    fields: FIELDS,
    unknown: Section::Frame,
    order: &[],
    opening: None,
    closed: Some("closed"),
    lifecycle: &LIFECYCLE,
    title: None,
    search: &["ref"],
};

const STATES: &[&str] = &["open", "closed"];

const LIFECYCLE: Lifecycle = Lifecycle {
    passages: &[("open", &["closed"]), ("closed", &["open"])],
    first: STATES,
    shown_first: STATES,
};

/// How somebody came.
const MODES: &[&str] = &["desk", "phone", "email", "home", "outreach"];

/// Who asked.
const ASKED_BY: &[&str] = &["self", "family", "service", "other"];

/// How a contact ended.
const OUTCOMES: &[&str] = &[
    "information",
    "orientation",
    "referral",
    "taking_in_charge",
    "none",
];

const SERVICE: Entity = Entity {
    fields: &[
        leaf("offered_on", Rule::Date),
        leaf("outcome", Rule::Open(&[])),
        leaf("resource", Rule::Text(64)),
        leaf("title", Rule::Text(200)),
    ],
    order: &[],
};

const FIELDS: &[Field] = &[
    leaf("anonymous", Rule::Flag),
    leaf("answer", Rule::Text(4_000)).health(),
    leaf("asked", Rule::Text(4_000)).health(),
    leaf("asked_by", Rule::Open(ASKED_BY)),
    leaf("minutes", Rule::Whole(0, 1_440)),
    leaf("mode", Rule::Open(MODES)),
    leaf("need_area", Rule::Open(NEED_AREAS)),
    leaf("on", Rule::Date).required(),
    leaf("orientation", Rule::Codes(&[])),
    leaf("outcome", Rule::Closed(OUTCOMES)).deciding(),
    leaf("person", Rule::Text(64)).identity(),
    leaf("point", Rule::Open(&[])),
    leaf("project", Rule::Text(64)).identity(),
    leaf("ref", Rule::Text(64)),
    keyed("services", &SERVICE).identity(),
    leaf("state", Rule::Closed(STATES)).required().deciding(),
];

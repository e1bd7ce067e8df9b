//! What the coordination defines for all territories: a procedure, form, list or text, in versions.
//!
//! Consulted on, published, superseded by its next version. That a territory adopts one is a
//! record of that territory's own.

use super::codes::BODIES;
use super::{Audience, Entity, Field, Lifecycle, Rule, Section, Table, Writer, keyed, leaf};

/// What the table says of guidelines.
pub(super) const TABLE: Table = Table {
    code: 2,
    singular: "guideline",
    plural: "guidelines",
    audience: Audience::Everyone,
    writer: Writer::Coordination,
    fields: FIELDS,
    unknown: Section::Frame,
    order: &[("valid_from", "valid_until")],
    opening: None,
    closed: None,
    lifecycle: &LIFECYCLE,
    title: Some("title"),
    search: &["ref", "title"],
};

const STATES: &[&str] = &["draft", "consultation", "published", "superseded"];

const LIFECYCLE: Lifecycle = Lifecycle {
    passages: &[
        ("draft", &["consultation", "published"]),
        ("consultation", &["draft", "published"]),
        ("published", &["superseded"]),
        ("superseded", &[]),
    ],
    first: &["draft", "consultation", "published"],
    // Nobody is to follow what was withdrawn, nor to miss what was published.
    shown_first: &["superseded", "published", "consultation", "draft"],
};

/// What a guideline may be.
const TYPES: &[&str] = &["procedure", "form", "list", "text"];

/// Parts of the work that it may be about.
const PROCESSES: &[&str] = &["access", "assessment", "planning", "delivery", "evaluation"];

const SECTION: Entity = Entity {
    fields: &[
        leaf("position", Rule::Whole(1, 1_000)),
        leaf("text", Rule::Text(8_000)).wording(),
        leaf("title", Rule::Text(200)).wording(),
    ],
    order: &[],
};

const STEP: Entity = Entity {
    fields: &[
        leaf("body", Rule::Open(BODIES)),
        leaf("position", Rule::Whole(1, 1_000)),
        leaf("text", Rule::Text(4_000)).wording(),
        leaf("within_days", Rule::Whole(0, 3_650)),
    ],
    order: &[],
};

const FIELDS: &[Field] = &[
    leaf("bodies", Rule::Codes(BODIES)),
    leaf("processes", Rule::Codes(PROCESSES)),
    leaf("ref", Rule::Text(64)),
    leaf("replaces", Rule::Text(64)),
    keyed("sections", &SECTION),
    leaf("state", Rule::Closed(STATES)).required().deciding(),
    keyed("steps", &STEP),
    leaf("summary", Rule::Text(4_000)).wording(),
    leaf("title", Rule::Text(200)).required().wording(),
    leaf("type", Rule::Open(TYPES)).required(),
    leaf("valid_from", Rule::Date),
    leaf("valid_until", Rule::Date),
    leaf("version", Rule::Text(32)).required(),
];

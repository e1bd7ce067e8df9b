//! A household: who belongs to it, as what, from when; never leaves the territory.

use super::{Audience, Entity, Field, Lifecycle, Rule, Section, Table, Writer, keyed, leaf};

/// What the table says of households.
pub(super) const TABLE: Table = Table {
    code: 5,
    singular: "household",
    plural: "households",
    audience: Audience::Territory,
    writer: Writer::District,
    fields: FIELDS,
    unknown: Section::Identity,
    order: &[],
    opening: None,
    closed: None,
    lifecycle: &LIFECYCLE,
    title: None,
    search: &["ref"],
};

const STATES: &[&str] = &["active", "dissolved"];

const LIFECYCLE: Lifecycle = Lifecycle {
    passages: &[("active", &["dissolved"]), ("dissolved", &["active"])],
    first: &["active"],
    shown_first: STATES,
};

/// What somebody is in a household.
const RELATIONS: &[&str] = &[
    "holder", "spouse", "partner", "child", "parent", "sibling", "relative", "other",
];

const MEMBER: Entity = Entity {
    fields: &[
        leaf("from", Rule::Date),
        leaf("person", Rule::Text(64)),
        leaf("relation", Rule::Open(RELATIONS)),
        leaf("until", Rule::Date),
    ],
    order: &[("from", "until")],
};

const FIELDS: &[Field] = &[
    leaf("isee_class", Rule::Open(&[]))
        .identity()
        .section(Section::Identity),
    keyed("members", &MEMBER)
        .identity()
        .section(Section::Identity),
    leaf("minors", Rule::Whole(0, 50)).identity(),
    // Of a family with a protected member it tells where to look for them.
    leaf("municipality", Rule::Municipality)
        .identity()
        .section(Section::Identity),
    leaf("name", Rule::Text(128))
        .identity()
        .section(Section::Identity),
    leaf("ref", Rule::Text(64)),
    leaf("state", Rule::Closed(STATES)).required().deciding(),
];

//! That a subject is followed in several territories, told to the offices concerned and to no other.
//!
//! Each side has a mark that only who holds its project can recognise, and the names of the other
//! territories, sealed with what only they know. Nobody's name, no token, no id.

use super::{Audience, Entity, Field, Lifecycle, Rule, Section, Table, Writer, keyed, leaf};

/// What the table says of notices.
pub(super) const TABLE: Table = Table {
    code: 13,
    singular: "notice",
    plural: "notices",
    audience: Audience::Home,
    writer: Writer::Coordination,
    fields: FIELDS,
    order: &[],
    opening: None,
    closed: None,
    lifecycle: &LIFECYCLE,
    title: None,
    search: &["ref"],
    unknown: Section::Frame,
};

const STATES: &[&str] = &["open", "ended"];

const LIFECYCLE: Lifecycle = Lifecycle {
    passages: &[("open", &["ended"]), ("ended", &["open"])],
    first: &["open"],
    shown_first: STATES,
};

const SIDE: Entity = Entity {
    fields: &[
        leaf("mark", Rule::Text(64)),
        leaf("sealed", Rule::Text(4_000)),
    ],
    order: &[],
};

const FIELDS: &[Field] = &[
    leaf("household", Rule::Flag),
    leaf("on", Rule::Date).required(),
    leaf("ref", Rule::Text(64)),
    leaf("sharing", Rule::Closed(&["shared", "local"])).fixed(),
    keyed("sides", &SIDE),
    leaf("state", Rule::Closed(STATES)).required().deciding(),
    leaf("strength", Rule::Open(&["certain", "possible", "typed"])),
];

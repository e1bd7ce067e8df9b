//! That a subject is to be forgotten: which documents, by their random ids, and when; nobody's name.
//!
//! It goes to the coordination, which holds none of a subject's private records: so that a store put
//! back on an older copy hears of it again.

use super::{Audience, Entity, Field, Lifecycle, Rule, Section, Table, Writer, keyed, leaf};

/// What the table says of orders of erasure.
pub(super) const TABLE: Table = Table {
    code: 11,
    singular: "erasure_order",
    plural: "erasure_orders",
    audience: Audience::Home,
    writer: Writer::District,
    fields: FIELDS,
    order: &[("ordered_on", "completed_on")],
    opening: None,
    closed: None,
    lifecycle: &LIFECYCLE,
    title: None,
    search: &["ref"],
    unknown: Section::Frame,
};

const STATES: &[&str] = &["ordered", "completed"];

const LIFECYCLE: Lifecycle = Lifecycle {
    passages: &[("ordered", &["completed"]), ("completed", &[])],
    first: &["ordered"],
    shown_first: STATES,
};

const DOCUMENT: Entity = Entity {
    // Not even their kinds: how many contacts somebody had is nobody's business elsewhere.
    fields: &[leaf("document", Rule::Text(64))],
    order: &[],
};

const FIELDS: &[Field] = &[
    leaf("completed_on", Rule::Date),
    keyed("documents", &DOCUMENT),
    leaf("ordered_on", Rule::Date).required(),
    leaf("ref", Rule::Text(64)),
    leaf("sharing", Rule::Closed(&["shared", "local"])).fixed(),
    leaf("state", Rule::Closed(STATES)).required().deciding(),
];

//! What a district publishes: records or aggregates alone, and counts of what does not leave it.
//!
//! The district's node makes the counts and withholds small ones; a count that is not listed is zero.

use super::{Audience, Entity, Field, Lifecycle, Rule, Section, Table, Writer, keyed, leaf};

/// What the table says of publications.
pub(super) const TABLE: Table = Table {
    code: 12,
    singular: "publication",
    plural: "publications",
    audience: Audience::Home,
    writer: Writer::District,
    fields: FIELDS,
    order: &[],
    opening: None,
    closed: None,
    lifecycle: &LIFECYCLE,
    title: None,
    search: &["ref"],
    unknown: Section::Frame,
};

/// `records`: projects are shared unless they are made local. `aggregates`: every new one stays.
const STATES: &[&str] = &["records", "aggregates"];

const LIFECYCLE: Lifecycle = Lifecycle {
    passages: &[("records", &["aggregates"]), ("aggregates", &["records"])],
    first: STATES,
    // Of two answers given at once the one that tells less.
    shown_first: &["aggregates", "records"],
};

const COUNT: Entity = Entity {
    fields: &[
        // `*` is the sum.
        leaf("column", Rule::Text(64)),
        leaf("count", Rule::Whole(0, 10_000_000)),
        leaf("row", Rule::Text(64)),
        leaf("table", Rule::Open(&["local_projects", "contacts"])),
        leaf("withheld", Rule::Flag),
    ],
    order: &[],
};

const FIELDS: &[Field] = &[
    leaf("counted_on", Rule::Date),
    keyed("counts", &COUNT),
    leaf("ref", Rule::Text(64)),
    leaf("sharing", Rule::Closed(&["shared", "local"])).fixed(),
    leaf("since", Rule::Date),
    leaf("smallest", Rule::Whole(2, 1_000)),
    leaf("state", Rule::Closed(STATES)).required().deciding(),
];

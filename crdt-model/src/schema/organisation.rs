//! A body of the network of services: what it is, where, what it offers, what it agreed to.
//!
//! Office contacts only, never a person's. It is found first, then spoken to, shown the
//! network, then joins.

use super::codes::{BODIES, INSTRUMENTS, NEED_AREAS};
use super::{Audience, Entity, Field, Lifecycle, Rule, Section, Table, Writer, group, keyed, leaf};

/// What the table says of organisations.
pub(super) const TABLE: Table = Table {
    code: 3,
    singular: "organisation",
    plural: "organisations",
    audience: Audience::Everyone,
    writer: Writer::District,
    fields: FIELDS,
    unknown: Section::Frame,
    order: &[("valid_from", "valid_until")],
    opening: None,
    closed: None,
    lifecycle: &LIFECYCLE,
    title: Some("name"),
    search: &["ref", "name", "offers/*/title"],
};

const STATES: &[&str] = &[
    "identified",
    "contacted",
    "presented",
    "member",
    "withdrawn",
];

const LIFECYCLE: Lifecycle = Lifecycle {
    passages: &[
        (
            "identified",
            &["contacted", "presented", "member", "withdrawn"],
        ),
        ("contacted", &["presented", "member", "withdrawn"]),
        ("presented", &["member", "withdrawn"]),
        ("member", &["withdrawn"]),
        ("withdrawn", &["contacted", "presented", "member"]),
    ],
    first: &["identified", "contacted", "presented", "member"],
    // Nobody is to be sent where the door is closed.
    shown_first: &[
        "withdrawn",
        "member",
        "presented",
        "contacted",
        "identified",
    ],
};

const CONTACTS: &[Field] = &[
    leaf("address", Rule::Text(200)).wording(),
    leaf("email", Rule::Text(128)).wording(),
    leaf("hours", Rule::Text(200)).wording(),
    leaf("phone", Rule::Text(64)).wording(),
    leaf("website", Rule::Text(200)).wording(),
];

const OFFER: Entity = Entity {
    fields: &[
        leaf("from", Rule::Date),
        leaf("how", Rule::Text(1_000)).wording(),
        leaf("instrument", Rule::Open(INSTRUMENTS)),
        leaf("need_areas", Rule::Codes(NEED_AREAS)),
        leaf("places", Rule::Whole(0, 100_000)),
        leaf("title", Rule::Text(200)).wording(),
        leaf("type", Rule::Open(&[])),
        leaf("until", Rule::Date),
    ],
    order: &[("from", "until")],
};

const AGREEMENT: Entity = Entity {
    fields: &[
        leaf("from", Rule::Date),
        leaf("kind", Rule::Open(&[])),
        leaf("number", Rule::Text(64)),
        leaf("text", Rule::Text(4_000)).wording(),
        leaf("until", Rule::Date),
    ],
    order: &[("from", "until")],
};

/// With whom of the network it works, and how.
const RELATION: Entity = Entity {
    fields: &[
        leaf("from", Rule::Date),
        leaf(
            "kind",
            Rule::Open(&["hosts", "member_of", "partner", "refers_to"]),
        ),
        leaf("note", Rule::Text(1_000)).wording(),
        leaf("organisation", Rule::Text(64)),
        leaf("until", Rule::Date),
    ],
    order: &[("from", "until")],
};

const FIELDS: &[Field] = &[
    leaf("about", Rule::Text(4_000)).wording(),
    keyed("agreements", &AGREEMENT),
    group("contacts", CONTACTS),
    leaf("municipality", Rule::Municipality),
    leaf("name", Rule::Text(200)).required().wording(),
    leaf("need_areas", Rule::Codes(NEED_AREAS)),
    keyed("offers", &OFFER),
    leaf("ref", Rule::Text(64)),
    keyed("relations", &RELATION).lazy(),
    leaf("state", Rule::Closed(STATES)).required().deciding(),
    leaf("type", Rule::Open(BODIES)).required(),
    leaf("valid_from", Rule::Date),
    leaf("valid_until", Rule::Date),
];

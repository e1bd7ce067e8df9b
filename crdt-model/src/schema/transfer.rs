//! Handing a project over from one district to another: who offers what to whom, and the answers.
//!
//! What only the receiver may read stands in `sealed`, as text that its nodes alone can open; the
//! coordination sees the rest. Each node of the receiver gives its word once, under its own id.

use super::{Audience, Entity, Field, Lifecycle, Rule, Section, Table, Writer, keyed, leaf};

/// What the table says of transfers.
pub(super) const TABLE: Table = Table {
    code: 10,
    singular: "transfer",
    plural: "transfers",
    audience: Audience::Parties,
    writer: Writer::District,
    fields: FIELDS,
    unknown: Section::Frame,
    order: &[("offered_on", "answered_on")],
    opening: None,
    closed: None,
    lifecycle: &LIFECYCLE,
    title: None,
    search: &["ref", "project"],
};

const STATES: &[&str] = &[
    "offered",
    "accepted",
    "refused",
    "withdrawing",
    "expired",
    "withdrawn",
    "completed",
];

/// The sender decides nothing alone once it has offered: a withdrawal waits for the receiver.
const LIFECYCLE: Lifecycle = Lifecycle {
    passages: &[
        (
            "offered",
            &["accepted", "refused", "withdrawing", "expired"],
        ),
        ("accepted", &["completed"]),
        ("refused", &["completed"]),
        ("withdrawing", &["withdrawn", "completed"]),
        ("expired", &["withdrawn", "completed"]),
        ("withdrawn", &["completed"]),
        ("completed", &[]),
    ],
    first: &["offered"],
    shown_first: &[
        "completed",
        "accepted",
        "withdrawn",
        "refused",
        "expired",
        "withdrawing",
        "offered",
    ],
};

/// Why a project is handed over.
const REASONS: &[&str] = &[
    "residence",
    "competence",
    "service_nearer",
    "request_of_person",
    "protection",
    "other",
];

/// Longest piece of sealed text, in characters.
pub(super) const SEALED_CHARS_MAX: usize = 65_536;

/// What one node of the receiver said, once and for all.
const WORD: Entity = Entity {
    fields: &[
        // What came later is in the records that it made.
        leaf("added_on", Rule::Date),
        leaf("on", Rule::Date),
        leaf("project", Rule::Text(64)),
        leaf("word", Rule::Closed(&["accepted", "declined"])),
    ],
    order: &[],
};

/// A content key, wrapped for one node of the receiver.
const WRAPPED: Entity = Entity {
    fields: &[leaf("key", Rule::Text(256))],
    order: &[],
};

/// One piece of the sealed content.
const PIECE: Entity = Entity {
    fields: &[leaf("text", Rule::Text(SEALED_CHARS_MAX))],
    order: &[],
};

const FIELDS: &[Field] = &[
    leaf("answered_on", Rule::Date),
    leaf("expires_on", Rule::Date).required().fixed(),
    // The receiver has forgotten whom it was about, and asks the sender to erase the transfer.
    leaf("forgotten_on", Rule::Date),
    leaf("former_state", Rule::Text(64)).required().fixed(),
    leaf("from", Rule::Text(256)).required().fixed(),
    keyed("keys", &WRAPPED).lazy(),
    // What was appended while it was offered, sealed by the sender when it heard of the acceptance.
    keyed("later", &PIECE).lazy(),
    keyed("later_keys", &WRAPPED).lazy(),
    leaf("new_project", Rule::Text(64)),
    leaf("offered_on", Rule::Date).required().fixed(),
    leaf("pieces", Rule::Whole(0, 1_000)).required().fixed(),
    leaf("project", Rule::Text(64)).required().fixed(),
    leaf("reason", Rule::Open(REASONS)).required().fixed(),
    leaf("ref", Rule::Text(64)),
    leaf("refusal", Rule::Text(500)).wording(),
    leaf("released_on", Rule::Date),
    keyed("sealed", &PIECE).lazy(),
    leaf("state", Rule::Closed(STATES)).required().deciding(),
    leaf("to", Rule::Text(256)).required().fixed(),
    keyed("words", &WORD).lazy(),
];

//! What a project holds beside its first plans: signatures, decisions, referrals, vouchers, links.
//!
//! All of it is optional, and its containers are there only once they hold something.

use super::codes::BODIES;
use super::{Entity, Field, Rule, keyed, leaf};

/// States of one plan of the three.
pub(super) const PLAN_STATES: &[&str] =
    &["draft", "proposed", "signed", "active", "revised", "closed"];

/// A body, or the person, agreed to a plan as it was.
pub(super) const SIGNATURE: Entity = Entity {
    fields: &[
        leaf("body", Rule::Open(BODIES)),
        leaf("by", Rule::Text(128)),
        leaf("on", Rule::Date),
        leaf("person", Rule::Flag),
        leaf("section", Rule::Text(64)),
    ],
    order: &[],
};

/// What somebody promised.
pub(super) const COMMITMENT: Entity = Entity {
    fields: &[
        leaf("by", Rule::Open(&["person", "service", "network"])),
        leaf("due", Rule::Date),
        leaf("kept", Rule::Flag).progress(),
        leaf("text", Rule::Text(4_000)).wording(),
    ],
    order: &[],
};

/// What helps beside the interventions.
pub(super) const SUPPORT: Entity = Entity {
    fields: &[
        leaf("amount_eur", Rule::Money),
        leaf("from", Rule::Date),
        leaf("note", Rule::Text(4_000)).wording(),
        leaf("provider", Rule::Text(128)),
        leaf("type", Rule::Open(&[])),
        leaf("until", Rule::Date),
    ],
    order: &[("from", "until")],
};

/// How far a goal was found to be.
pub(super) const CHECK: Entity = Entity {
    fields: &[
        leaf("by", Rule::Text(128)),
        leaf("goal", Rule::Text(64)),
        leaf("next_on", Rule::Date),
        leaf("on", Rule::Date),
        leaf("result", Rule::Text(4_000)).wording(),
    ],
    order: &[("on", "next_on")],
};

const OPTION: Entity = Entity {
    fields: &[leaf("text", Rule::Text(4_000)).wording()],
    order: &[],
};

const VOTE: Entity = Entity {
    fields: &[
        leaf("body", Rule::Open(BODIES)),
        leaf("by", Rule::Text(128)),
        leaf("note", Rule::Text(4_000)).wording(),
        leaf("on", Rule::Date),
        leaf("option", Rule::Text(64)),
    ],
    order: &[],
};

/// A question that the bodies of the team decide together.
pub(super) const DECISION: Entity = Entity {
    fields: &[
        leaf("criteria", Rule::Text(4_000)).wording(),
        leaf("on", Rule::Date),
        keyed("options", &OPTION).lazy(),
        leaf("question", Rule::Text(4_000)).wording(),
        leaf("quorum", Rule::Codes(BODIES)),
        leaf("result", Rule::Text(64)).deciding(),
        keyed("votes", &VOTE).lazy(),
    ],
    order: &[],
};

/// States of a referral, in their order.
pub(super) const REFERRAL_STATES: &[&str] = &[
    "sent",
    "delivered",
    "accepted",
    "rejected",
    "withdrawn",
    "done",
];

/// The life of a part of a project that has a state of its own.
pub(crate) struct PartLife {
    /// Where such parts stand.
    pub(crate) container: &'static str,
    /// The rule that a passage breaks which is not here.
    pub(crate) code: &'static str,
    /// In which states one may begin; empty for any.
    pub(crate) first: &'static [&'static str],
    /// Which states may follow a state.
    pub(crate) passages: &'static [(&'static str, &'static [&'static str])],
}

/// Parts of a project that have a state, and what may follow what.
pub(crate) const PART_LIVES: &[PartLife] = &[
    PartLife {
        container: "plans",
        code: "plan_state",
        first: &[],
        passages: &[
            ("draft", &["proposed", "signed"]),
            ("proposed", &["draft", "signed"]),
            ("signed", &["active", "revised", "closed"]),
            ("active", &["revised", "closed"]),
            ("revised", &["proposed", "signed", "active", "closed"]),
            ("closed", &[]),
        ],
    },
    PartLife {
        container: "referrals",
        code: "referral_state",
        first: &["sent", "delivered"],
        passages: &[
            ("sent", &["delivered", "accepted", "rejected", "withdrawn"]),
            ("delivered", &["accepted", "rejected", "withdrawn"]),
            ("accepted", &["done", "withdrawn"]),
            ("rejected", &[]),
            ("withdrawn", &[]),
            ("done", &[]),
        ],
    },
    PartLife {
        container: "vouchers",
        code: "voucher_state",
        first: &[],
        passages: &[
            (
                "assigned",
                &["active", "partly_spent", "exhausted", "expired", "revoked"],
            ),
            (
                "active",
                &["partly_spent", "exhausted", "expired", "revoked"],
            ),
            ("partly_spent", &["exhausted", "expired", "revoked"]),
            ("exhausted", &[]),
            ("expired", &[]),
            ("revoked", &[]),
        ],
    },
    PartLife {
        container: "instruments",
        code: "instrument_state",
        first: &[],
        passages: &[
            ("planned", &["active", "concluded"]),
            ("active", &["extended", "concluded"]),
            ("extended", &["concluded"]),
            ("concluded", &[]),
        ],
    },
];

/// A question sent to another service.
pub(super) const REFERRAL: Entity = Entity {
    fields: &[
        leaf("answered_on", Rule::Date),
        leaf("due", Rule::Date),
        leaf("outcome", Rule::Open(&[])),
        leaf("reason", Rule::Text(4_000)).wording(),
        leaf("reason_of_refusal", Rule::Text(4_000)).wording(),
        leaf("sent_on", Rule::Date),
        leaf("state", Rule::Closed(REFERRAL_STATES)),
        leaf("to", Rule::Open(BODIES)),
        leaf("to_name", Rule::Text(200)).wording(),
    ],
    order: &[("sent_on", "answered_on"), ("sent_on", "due")],
};

const SPENDING: Entity = Entity {
    fields: &[
        leaf("amount_eur", Rule::Money),
        leaf("by", Rule::Text(128)),
        leaf("hours", Rule::Number(100_000.0)),
        leaf("on", Rule::Date),
    ],
    order: &[],
};

/// States of a voucher, in their order.
const VOUCHER_STATES: &[&str] = &[
    "assigned",
    "active",
    "partly_spent",
    "exhausted",
    "expired",
    "revoked",
];

/// A voucher and what was spent of it.
pub(super) const VOUCHER: Entity = Entity {
    fields: &[
        leaf("hours", Rule::Number(100_000.0)),
        leaf("issued_on", Rule::Date),
        leaf("kind", Rule::Open(&[])),
        leaf("provider", Rule::Text(128)),
        keyed("spent", &SPENDING).lazy(),
        leaf("state", Rule::Closed(VOUCHER_STATES)),
        leaf("valid_from", Rule::Date),
        leaf("valid_until", Rule::Date),
        leaf("value_eur", Rule::Money),
    ],
    order: &[("valid_from", "valid_until")],
};

/// Records that this one goes on from or is continued by.
pub(super) const LINKS: &[Field] = &[
    leaf("contact", Rule::Text(64)),
    // Of two projects made of one transfer, in the one that does not count: the other.
    leaf("instead", Rule::Text(64)),
    leaf("next", Rule::Text(64)),
    leaf("previous", Rule::Text(64)),
    leaf("transfer", Rule::Text(64)),
];

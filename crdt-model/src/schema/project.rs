//! The shared record of one project: whom it is for, who follows it, what is planned and reached.
//!
//! Its states are those of the project's life; of competing ones the safer is shown.

use super::codes::{BODIES, INSTRUMENTS, NEED_AREAS, SEXES};
use super::project_parts::{
    CHECK, COMMITMENT, DECISION, LINKS, PLAN_STATES, REFERRAL, SIGNATURE, SUPPORT, VOUCHER,
};
use super::{
    Audience, Entity, Field, Lifecycle, Opening, Rule, Section, Table, Writer, group, keyed, leaf,
};

/// What the table says of projects.
pub(super) const TABLE: Table = Table {
    code: 1,
    singular: "project",
    plural: "projects",
    audience: Audience::Home,
    writer: Writer::District,
    fields: FIELDS,
    unknown: Section::Social,
    order: &[],
    opening: Some(Opening {
        field: "opened_on",
        after: &["reviews", "outcome"],
    }),
    closed: Some("closed"),
    lifecycle: &LIFECYCLE,
    title: None,
    search: &[
        "ref",
        "plans/*/interventions/*/provider",
        "instruments/*/host",
    ],
};

/// States of a project.
const STATES: &[&str] = &[
    "reported",
    "taken_in_charge",
    "assessment",
    "planning",
    "approval",
    "active",
    "review",
    "suspended",
    "closed",
    "reopened",
    "transferring",
    "transferred",
    "archived",
];

/// The life of a project.
const LIFECYCLE: Lifecycle = Lifecycle {
    passages: &[
        ("reported", &["taken_in_charge", "closed", "transferring"]),
        ("taken_in_charge", &["assessment", "closed", "transferring"]),
        ("assessment", &["planning", "closed", "transferring"]),
        ("planning", &["approval", "closed", "transferring"]),
        (
            "approval",
            &["active", "planning", "closed", "transferring"],
        ),
        ("active", &["review", "suspended", "closed", "transferring"]),
        ("review", &["active", "suspended", "closed", "transferring"]),
        ("suspended", &["active", "closed", "transferring"]),
        ("closed", &["reopened", "archived"]),
        (
            "reopened",
            &["assessment", "planning", "active", "closed", "transferring"],
        ),
        // A transfer that is not accepted gives the record back as it was.
        (
            "transferring",
            &[
                "transferred",
                "reported",
                "taken_in_charge",
                "assessment",
                "planning",
                "approval",
                "active",
                "review",
                "suspended",
                "reopened",
            ],
        ),
        // It counts in the one that took its place: archived, it would count twice.
        ("transferred", &[]),
        ("archived", &[]),
    ],
    first: &[
        "reported",
        "taken_in_charge",
        "assessment",
        "planning",
        "approval",
        "active",
    ],
    shown_first: &[
        "transferred",
        "transferring",
        "suspended",
        "reopened",
        "review",
        "active",
        "approval",
        "planning",
        "assessment",
        "taken_in_charge",
        "reported",
        "closed",
        "archived",
    ],
};

/// Local parts of the areas of need.
const SUB_AREAS: &[&str] = &[
    "salute_mentale",
    "dipendenze",
    "giustizia",
    "migrazione",
    "senza_dimora",
    "violenza",
];

/// What a placement is for.
const PURPOSES: &[&str] = &["PRO", "OSS", "SOC", "LAV"];

/// How a placement ended (`PlacementOutcome`).
const PLACEMENT_OUTCOMES: &[&str] = &[
    "ASSUNTO",
    "PROROGA",
    "PASSAGGIO",
    "CONCLUSO",
    "RINUNCIA",
    "SALUTE",
    "OSPITANTE",
    "TRASF",
    "ALTRO",
];

/// Why a project was closed (`ClosureReason`).
const CLOSURE_REASONS: &[&str] = &[
    "1",
    "2",
    "4",
    "5",
    "6",
    "7",
    "8",
    "9",
    "TRASF_LAVORO",
    "OBIETTIVI",
];

const SUBJECT: &[Field] = &[
    leaf("birth_year", Rule::Whole(1880, 2200)),
    leaf("kind", Rule::Closed(&["person", "household"])).required(),
    leaf("minors", Rule::Whole(0, 50)),
    leaf("municipality", Rule::Municipality),
    leaf("sex", Rule::Closed(SEXES)),
    leaf("token", Rule::Text(128)).section(Section::Circumstances),
];

const MEMBER: Entity = Entity {
    fields: &[
        leaf("body", Rule::Open(BODIES)),
        leaf("from", Rule::Date),
        leaf("operator", Rule::Text(128)),
        leaf("role", Rule::Open(&[])),
        leaf("until", Rule::Date),
    ],
    order: &[("from", "until")],
};

const GOAL: Entity = Entity {
    fields: &[
        leaf("due", Rule::Date),
        leaf("expected", Rule::Text(4_000)).wording(),
        leaf("horizon", Rule::Closed(&["short", "medium", "long"])),
        leaf("indicator", Rule::Text(200)).wording(),
        leaf("reached", Rule::Whole(1, 3)).deciding().progress(),
        leaf("text", Rule::Text(4_000)).wording(),
    ],
    order: &[],
};

const INTERVENTION: Entity = Entity {
    fields: &[
        leaf("end", Rule::Date),
        leaf("hours", Rule::Number(100_000.0)),
        leaf("provider", Rule::Text(128)),
        leaf("start", Rule::Date),
        leaf(
            "state",
            Rule::Closed(&["planned", "active", "suspended", "done", "cancelled"]),
        )
        .progress(),
        leaf("type", Rule::Open(&[])),
    ],
    order: &[("start", "end")],
};

const PLAN: &[Field] = &[
    leaf("body", Rule::Open(BODIES)),
    keyed("checks", &CHECK).lazy().progress(),
    keyed("commitments", &COMMITMENT).lazy(),
    keyed("goals", &GOAL),
    keyed("interventions", &INTERVENTION),
    keyed("signatures", &SIGNATURE).lazy().progress(),
    leaf("state", Rule::Closed(PLAN_STATES)).progress(),
    keyed("supports", &SUPPORT).lazy(),
];

const WORK_PLAN: &[Field] = &[
    leaf("body", Rule::Open(BODIES)),
    keyed("checks", &CHECK).lazy().progress(),
    keyed("commitments", &COMMITMENT).lazy(),
    leaf("employability", Rule::Whole(0, 100)),
    keyed("goals", &GOAL),
    keyed("interventions", &INTERVENTION),
    keyed("signatures", &SIGNATURE).lazy().progress(),
    leaf("state", Rule::Closed(PLAN_STATES)).progress(),
    keyed("supports", &SUPPORT).lazy(),
];

const INSTRUMENT: Entity = Entity {
    fields: &[
        leaf("agreement", Rule::Text(128)),
        leaf("amount_eur", Rule::Money),
        leaf("extended_until", Rule::Date),
        leaf("from", Rule::Date),
        leaf("host", Rule::Text(128)),
        leaf("hours", Rule::Number(100_000.0)),
        leaf("insurance", Rule::Text(128)),
        leaf("kind", Rule::Open(INSTRUMENTS)),
        leaf("outcome", Rule::Open(PLACEMENT_OUTCOMES)).deciding(),
        leaf("purpose", Rule::Open(PURPOSES)),
        leaf(
            "state",
            Rule::Closed(&["planned", "active", "extended", "concluded"]),
        ),
        leaf("tutor", Rule::Text(128)),
        leaf("until", Rule::Date),
    ],
    order: &[("from", "until"), ("until", "extended_until")],
};

const REVIEW: Entity = Entity {
    fields: &[
        leaf("bodies", Rule::Codes(BODIES)),
        leaf(
            "decision",
            Rule::Closed(&["continue", "revise", "suspend", "close"]),
        ),
        leaf("findings", Rule::Text(4_000)).wording(),
        leaf("next_on", Rule::Date),
        leaf("on", Rule::Date),
        leaf("summary", Rule::Text(4_000)).wording(),
    ],
    order: &[("on", "next_on")],
};

const FIELDS: &[Field] = &[
    leaf("case_manager", Rule::Text(64)),
    keyed("decisions", &DECISION).lazy().section(Section::Team),
    keyed("instruments", &INSTRUMENT).section(Section::Instruments),
    group("links", LINKS).lazy(),
    leaf("need_area", Rule::Open(NEED_AREAS)).required(),
    leaf("next_review_on", Rule::Date).deciding(),
    leaf("opened_on", Rule::Date).required(),
    leaf("outcome", Rule::Outcome(CLOSURE_REASONS)).deciding(),
    group(
        "plans",
        &[
            group("health", PLAN).section(Section::Health),
            group("social", PLAN).section(Section::Social),
            group("work", WORK_PLAN).section(Section::Work),
        ],
    )
    // A plan that this version does not know is guarded most.
    .section(Section::Health),
    leaf("ref", Rule::Text(64)),
    keyed("referrals", &REFERRAL).lazy().section(Section::Team),
    keyed("reviews", &REVIEW).section(Section::Team),
    leaf("sharing", Rule::Closed(&["shared", "local"])).fixed(),
    leaf("state", Rule::Closed(STATES)).required().deciding(),
    // Of health, addiction and justice: not for those who bring into work.
    leaf("sub_areas", Rule::Codes(SUB_AREAS)).section(Section::Circumstances),
    group("subject", SUBJECT),
    keyed("team", &MEMBER),
    keyed("vouchers", &VOUCHER).lazy().section(Section::Social),
];

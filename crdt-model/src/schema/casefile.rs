//! What a district knows of one person or household: diary, consents, assessments, attachments.
//!
//! Never leaves the territory. The way from a person to a shared project stands here, and not in
//! the project.

use super::codes::BODIES;
use super::{Audience, Entity, Field, Lifecycle, Rule, Section, Table, Writer, group, keyed, leaf};

/// What the table says of casefiles.
pub(super) const TABLE: Table = Table {
    code: 6,
    singular: "casefile",
    plural: "casefiles",
    audience: Audience::Territory,
    writer: Writer::District,
    fields: FIELDS,
    unknown: Section::Diary,
    order: &[],
    opening: None,
    closed: None,
    lifecycle: &LIFECYCLE,
    title: None,
    search: &["ref"],
};

const STATES: &[&str] = &["open", "closed"];

const LIFECYCLE: Lifecycle = Lifecycle {
    passages: &[("open", &["closed"]), ("closed", &["open"])],
    first: &["open"],
    shown_first: STATES,
};

/// Forms of assessment (`AssessmentKind`).
const ASSESSMENTS: &[&str] = &["PRELIM", "QUADRO", "UVM", "UVD_EMDH", "PROFILO_OCC"];

/// Who reported the situation (SINBA, `FonteSegnalazione`).
const SOURCES: &[&str] = &[
    "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14",
];

/// What data are used for.
const PURPOSES: &[&str] = &[
    "taking_in_charge",
    "sharing",
    "work_placement",
    "transfer",
    "statistics",
];

/// Why they may be.
const BASES: &[&str] = &[
    "consent",
    "public_task",
    "vital_interest",
    "legal_obligation",
    "court_order",
];

const NOTE: Entity = Entity {
    fields: &[
        leaf("author", Rule::Text(128)),
        leaf("on", Rule::Date),
        leaf("restricted", Rule::Flag),
        leaf("text", Rule::Text(8_000)),
    ],
    order: &[],
};

const CONSENT: Entity = Entity {
    fields: &[
        leaf("basis", Rule::Closed(BASES)),
        leaf("document_hash", Rule::Text(64)),
        leaf("given_on", Rule::Date),
        leaf("purpose", Rule::Open(PURPOSES)),
        leaf("recipient", Rule::Open(BODIES)),
        leaf("revoked_on", Rule::Date),
        leaf("text", Rule::Text(4_000)),
    ],
    order: &[("given_on", "revoked_on")],
};

const DIMENSION: Entity = Entity {
    fields: &[
        leaf("dimension", Rule::Open(&[])),
        leaf("note", Rule::Text(4_000)),
        leaf("score", Rule::Number(1_000.0)),
    ],
    order: &[],
};

const ASSESSMENT: Entity = Entity {
    fields: &[
        leaf("authors", Rule::Codes(&[])),
        keyed("dimensions", &DIMENSION).lazy(),
        leaf("form", Rule::Text(64)),
        leaf("form_version", Rule::Text(32)),
        leaf("kind", Rule::Open(ASSESSMENTS)),
        leaf("on", Rule::Date),
        leaf("summary", Rule::Text(8_000)),
    ],
    order: &[],
};

const ATTACHMENT: Entity = Entity {
    fields: &[
        leaf("bytes", Rule::Whole(0, 1 << 40)),
        leaf("name", Rule::Text(200)),
        leaf("on", Rule::Date),
        leaf("sha256", Rule::Text(64)),
        leaf("type", Rule::Text(128)),
    ],
    order: &[],
};

const HOLD: Entity = Entity {
    fields: &[leaf("reason", Rule::Text(1_000)), leaf("until", Rule::Date)],
    order: &[],
};

const PROJECT: Entity = Entity {
    fields: &[
        leaf("from", Rule::Date),
        leaf("project", Rule::Text(64)),
        leaf("until", Rule::Date),
    ],
    order: &[("from", "until")],
};

const REPORT: Entity = Entity {
    fields: &[
        leaf("on", Rule::Date),
        leaf("source", Rule::Open(SOURCES)),
        leaf("urgency", Rule::Open(&["low", "medium", "high"])),
    ],
    order: &[],
};

const EXTRACT: &[Field] = &[
    leaf("abilities", Rule::Text(4_000)),
    leaf("aids", Rule::Text(4_000)),
    leaf("hours", Rule::Text(200)),
    leaf("limits", Rule::Text(4_000)),
];

const FIELDS: &[Field] = &[
    keyed("assessments", &ASSESSMENT)
        .health()
        .section(Section::Health),
    keyed("attachments", &ATTACHMENT)
        .health()
        .section(Section::Diary),
    keyed("consents", &CONSENT)
        .identity()
        .section(Section::Social),
    keyed("diary", &NOTE).health().section(Section::Diary),
    keyed("legal_hold", &HOLD).identity(),
    keyed("projects", &PROJECT).identity(),
    leaf("ref", Rule::Text(64)),
    keyed("reports", &REPORT)
        .identity()
        .section(Section::Social),
    leaf("state", Rule::Closed(STATES)).required().deciding(),
    leaf("subject", Rule::Text(64))
        .required()
        .fixed()
        .identity(),
    group("work_extract", EXTRACT)
        .health()
        .section(Section::Work),
];

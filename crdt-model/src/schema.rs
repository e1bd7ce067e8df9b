//! The one table of the fields of a record: what each may hold and how edits of it merge.
//!
//! Parsing, storing, flags and conflicts all read this table; none repeats it.
//! Source: `docs/architecture.md`, "The record". Does not know JSON or Automerge.

/// A kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The shared record of one project.
    Project,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 1] = [Self::Project];

    /// The number in the signed entry.
    pub const fn code(self) -> u8 {
        match self {
            Self::Project => 1,
        }
    }

    /// The kind with this number.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Project),
            _ => None,
        }
    }

    /// The word in documents and on the command line.
    pub const fn singular(self) -> &'static str {
        match self {
            Self::Project => "project",
        }
    }

    /// The word in paths.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Project => "projects",
        }
    }

    /// The kind with this singular.
    pub fn from_singular(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.singular() == word)
    }

    /// The kind with this plural.
    pub fn from_plural(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.plural() == word)
    }

    /// The table of this kind's fields.
    pub const fn fields(self) -> &'static [Field] {
        match self {
            Self::Project => PROJECT,
        }
    }
}

/// The version of the table that this code writes into new documents.
pub const SCHEMA_VERSION: i64 = 1;

/// Deepest nesting of containers in a record.
pub const DEPTH_MAX: usize = 64;
/// Longest text of a field that the table does not know, in characters.
pub const TEXT_MAX: usize = 8_000;
/// Longest code, in characters.
pub const CODE_MAX: usize = 64;
/// Longest key: a field's name or a sub-entity's id, in characters.
pub const KEY_MAX: usize = 64;
/// Most items in a list of codes.
pub const CODES_MAX: usize = 64;
/// Most values in one command, containers included.
pub const VALUES_MAX: usize = 8_000;
/// Most bytes of text and keys in one command.
pub const WEIGHT_MAX: usize = 128 * 1024;
/// Largest amount, in euro.
pub const EURO_MAX: i64 = 1_000_000_000;

/// What a single value may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// Text of at most so many characters.
    Text(usize),
    /// One of these codes; another is refused.
    Closed(&'static [&'static str]),
    /// A code; one outside the list is kept and flagged. An empty list knows none and flags none.
    Open(&'static [&'static str]),
    /// A list of codes, each as in [`Rule::Open`].
    Codes(&'static [&'static str]),
    /// An ISTAT code of a municipality, six digits; another code is kept and flagged.
    Municipality,
    /// An ISO 8601 calendar date.
    Date,
    /// Euro with at most two decimals; stored as integer cents.
    Money,
    /// A whole number between the two, included.
    Whole(i64, i64),
    /// A number between 0 and this, included.
    Number(f64),
    /// `{"code","on"}`, set and replaced as one value; the code as in [`Rule::Open`].
    Outcome(&'static [&'static str]),
}

/// What stands under a field's name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Node {
    /// A single value.
    Leaf(Rule),
    /// An object with these fields, always there.
    Group(&'static [Field]),
    /// Sub-entities by id, always there; each with these fields.
    Keyed(&'static Entity),
}

/// What a sub-entity holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entity {
    /// Its fields.
    pub fields: &'static [Field],
    /// Pairs of dates of which the second never comes before the first.
    pub order: &'static [(&'static str, &'static str)],
}

/// One field of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field {
    /// Name in the record's JSON.
    pub name: &'static str,
    /// What stands there.
    pub node: Node,
    /// Concurrent values all stay until a person chooses.
    pub deciding: bool,
    /// A record without it is refused.
    pub required: bool,
    /// Set at creation, never changed.
    pub fixed: bool,
}

impl Field {
    const fn new(name: &'static str, node: Node) -> Self {
        Self {
            name,
            node,
            deciding: false,
            required: false,
            fixed: false,
        }
    }

    const fn deciding(mut self) -> Self {
        self.deciding = true;
        self
    }

    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn fixed(mut self) -> Self {
        self.fixed = true;
        self
    }
}

const fn leaf(name: &'static str, rule: Rule) -> Field {
    Field::new(name, Node::Leaf(rule))
}

const fn group(name: &'static str, fields: &'static [Field]) -> Field {
    Field::new(name, Node::Group(fields))
}

const fn keyed(name: &'static str, entity: &'static Entity) -> Field {
    Field::new(name, Node::Keyed(entity))
}

/// The field of this name, if the table has it.
pub fn find(fields: &'static [Field], name: &str) -> Option<&'static Field> {
    fields.iter().find(|field| field.name == name)
}

/// States of a record.
pub const STATES: &[&str] = &[
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

/// Bodies that take part (`ServiceBody`).
pub const BODIES: &[&str] = &[
    "SSD", "DSM", "D3D", "DISS", "CPI", "SIL", "CSS", "COR", "DPREV", "FP", "SCU", "ETS", "IMP",
    "PROV", "COM",
];

/// Areas of need.
pub const NEED_AREAS: &[&str] = &["FAM", "DIS", "POV"];

/// Local parts of the areas of need.
pub const SUB_AREAS: &[&str] = &[
    "salute_mentale",
    "dipendenze",
    "giustizia",
    "migrazione",
    "senza_dimora",
    "violenza",
];

/// Instruments (`InstrumentKind`).
pub const INSTRUMENTS: &[&str] = &[
    "BL_SSC", "BL_SIL", "BL_DSM", "BL_DIP", "TIR", "TIS", "LAB_OV", "LAB_PR", "CM68", "COOP_B",
    "LSU", "LPU", "VOU", "AGR", "SCOM", "MICRO", "ASS",
];

/// What a placement is for.
pub const PURPOSES: &[&str] = &["PRO", "OSS", "SOC", "LAV"];

/// How a placement ended (`PlacementOutcome`).
pub const PLACEMENT_OUTCOMES: &[&str] = &[
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
pub const CLOSURE_REASONS: &[&str] = &[
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
    leaf("sex", Rule::Closed(&["F", "M", "X"])),
    leaf("token", Rule::Text(128)),
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
        leaf("horizon", Rule::Closed(&["short", "medium", "long"])),
        leaf("reached", Rule::Whole(1, 3)).deciding(),
        leaf("text", Rule::Text(4_000)),
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
        ),
        leaf("type", Rule::Open(&[])),
    ],
    order: &[("start", "end")],
};

const PLAN: &[Field] = &[
    leaf("body", Rule::Open(BODIES)),
    keyed("goals", &GOAL),
    keyed("interventions", &INTERVENTION),
];

const WORK_PLAN: &[Field] = &[
    leaf("body", Rule::Open(BODIES)),
    leaf("employability", Rule::Whole(0, 100)),
    keyed("goals", &GOAL),
    keyed("interventions", &INTERVENTION),
];

const INSTRUMENT: Entity = Entity {
    fields: &[
        leaf("amount_eur", Rule::Money),
        leaf("from", Rule::Date),
        leaf("host", Rule::Text(128)),
        leaf("hours", Rule::Number(100_000.0)),
        leaf("kind", Rule::Open(INSTRUMENTS)),
        leaf("outcome", Rule::Open(PLACEMENT_OUTCOMES)).deciding(),
        leaf("purpose", Rule::Open(PURPOSES)),
        leaf(
            "state",
            Rule::Closed(&["planned", "active", "extended", "concluded"]),
        ),
        leaf("until", Rule::Date),
    ],
    order: &[("from", "until")],
};

const REVIEW: Entity = Entity {
    fields: &[
        leaf("bodies", Rule::Codes(BODIES)),
        leaf(
            "decision",
            Rule::Closed(&["continue", "revise", "suspend", "close"]),
        ),
        leaf("next_on", Rule::Date),
        leaf("on", Rule::Date),
        leaf("summary", Rule::Text(4_000)),
    ],
    order: &[("on", "next_on")],
};

const PROJECT: &[Field] = &[
    keyed("instruments", &INSTRUMENT),
    leaf("need_area", Rule::Open(NEED_AREAS)).required(),
    leaf("next_review_on", Rule::Date).deciding(),
    leaf("opened_on", Rule::Date).required(),
    leaf("outcome", Rule::Outcome(CLOSURE_REASONS)).deciding(),
    group(
        "plans",
        &[
            group("health", PLAN),
            group("social", PLAN),
            group("work", WORK_PLAN),
        ],
    ),
    leaf("ref", Rule::Text(64)),
    keyed("reviews", &REVIEW),
    leaf("sharing", Rule::Closed(&["shared", "local"])).fixed(),
    leaf("state", Rule::Closed(STATES)).required().deciding(),
    leaf("sub_areas", Rule::Codes(SUB_AREAS)),
    group("subject", SUBJECT),
    keyed("team", &MEMBER),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_its_number_and_its_words() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_code(kind.code()), Some(kind));
            assert_eq!(Kind::from_singular(kind.singular()), Some(kind));
            assert_eq!(Kind::from_plural(kind.plural()), Some(kind));
        }
        assert_eq!(Kind::from_code(0), None);
        assert_eq!(Kind::from_plural("project"), None);
    }

    fn assert_sorted(fields: &[Field]) {
        assert!(fields.is_sorted_by_key(|field| field.name));
        for field in fields {
            match field.node {
                Node::Group(inner) => assert_sorted(inner),
                Node::Keyed(entity) => {
                    assert_sorted(entity.fields);
                    for (first, second) in entity.order {
                        for name in [first, second] {
                            let field =
                                find(entity.fields, name).expect("an ordered date is a field");
                            assert_eq!(field.node, Node::Leaf(Rule::Date));
                        }
                    }
                }
                Node::Leaf(_) => {}
            }
        }
    }

    #[test]
    fn the_table_lists_the_fields_by_name_and_orders_dates_only() {
        assert_sorted(Kind::Project.fields());
    }
}

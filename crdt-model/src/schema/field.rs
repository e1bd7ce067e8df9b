//! What a field of a record may be: rules of values, containers, and what each tells of a person.
//!
//! Does not know the kinds.

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
    /// Yes or no.
    Flag,
    /// An Italian fiscal code of 16 upper-case characters, its last one right.
    FiscalCode,
    /// `{"code","on"}`, set and replaced as one value; the code as in [`Rule::Open`].
    Outcome(&'static [&'static str]),
}

/// How much a value tells of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Privacy {
    /// Codes, dates, numbers and references that name nobody.
    Coded,
    /// Professional wording without identifiers.
    Wording,
    /// Says who or where somebody is.
    Identity,
    /// Tells of somebody's health, or is free text about somebody.
    Health,
}

impl Privacy {
    /// The word in the data dictionary.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Coded => "coded",
            Self::Wording => "wording",
            Self::Identity => "identity",
            Self::Health => "health",
        }
    }
}

/// The part of a record that access rules speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Codes, states, dates, team: what everybody sees who sees the record.
    Frame,
    /// Who and where a person is.
    Identity,
    /// What the social service plans, spends and writes.
    Social,
    /// Health plans and assessments.
    Health,
    /// Work, training, and the extract for the employment centre.
    Work,
    /// Placements and other instruments.
    Instruments,
    /// Diary and attachments.
    Diary,
    /// What the team does together: reviews, decisions, referrals.
    Team,
    /// What somebody is in need for, and the token that tells the same subject elsewhere.
    Circumstances,
}

impl Section {
    /// Every section; their places are kept on disk, so a new one comes last.
    pub const ALL: [Self; 9] = [
        Self::Frame,
        Self::Identity,
        Self::Social,
        Self::Health,
        Self::Work,
        Self::Instruments,
        Self::Diary,
        Self::Team,
        Self::Circumstances,
    ];

    /// The word in the data dictionary and in access rules.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Frame => "frame",
            Self::Identity => "identity",
            Self::Social => "social",
            Self::Health => "health",
            Self::Work => "work",
            Self::Instruments => "instruments",
            Self::Diary => "diary",
            Self::Team => "team",
            Self::Circumstances => "circumstances",
        }
    }
}

/// What stands under a field's name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Node {
    /// A single value.
    Leaf(Rule),
    /// An object with these fields, always there unless the field is lazy.
    Group(&'static [Field]),
    /// Sub-entities by id, always there unless the field is lazy; each with these fields.
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
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says one thing of the field, and the table sets each by its own word"
)]
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
    /// A container that is there only once it holds something.
    pub lazy: bool,
    /// Says how it goes with what was agreed on, not what was: a signature does not cover it.
    pub progress: bool,
    /// How much it tells of a person; `None`: as much as what it stands in, else
    /// [`Privacy::Coded`].
    pub privacy: Option<Privacy>,
    /// The part of the record that it belongs to; `None`: that of what it stands in, else
    /// [`Section::Frame`]. What stands in sub-entities sets none of its own.
    pub section: Option<Section>,
}

impl Field {
    const fn new(name: &'static str, node: Node) -> Self {
        Self {
            name,
            node,
            deciding: false,
            required: false,
            fixed: false,
            lazy: false,
            progress: false,
            privacy: None,
            section: None,
        }
    }

    /// Whether other fields or sub-entities stand in it.
    pub const fn is_container(&self) -> bool {
        matches!(self.node, Node::Group(_) | Node::Keyed(_))
    }

    pub(super) const fn deciding(mut self) -> Self {
        self.deciding = true;
        self
    }

    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub(super) const fn fixed(mut self) -> Self {
        self.fixed = true;
        self
    }

    pub(super) const fn lazy(mut self) -> Self {
        self.lazy = true;
        self
    }

    pub(super) const fn progress(mut self) -> Self {
        self.progress = true;
        self
    }

    pub(super) const fn wording(mut self) -> Self {
        self.privacy = Some(Privacy::Wording);
        self
    }

    pub(super) const fn identity(mut self) -> Self {
        self.privacy = Some(Privacy::Identity);
        self
    }

    pub(super) const fn health(mut self) -> Self {
        self.privacy = Some(Privacy::Health);
        self
    }

    pub(super) const fn section(mut self, section: Section) -> Self {
        self.section = Some(section);
        self
    }
}

pub(super) const fn leaf(name: &'static str, rule: Rule) -> Field {
    Field::new(name, Node::Leaf(rule))
}

pub(super) const fn group(name: &'static str, fields: &'static [Field]) -> Field {
    Field::new(name, Node::Group(fields))
}

pub(super) const fn keyed(name: &'static str, entity: &'static Entity) -> Field {
    Field::new(name, Node::Keyed(entity))
}

/// The field of this name, if the table has it.
pub fn find(fields: &'static [Field], name: &str) -> Option<&'static Field> {
    fields.iter().find(|field| field.name == name)
}

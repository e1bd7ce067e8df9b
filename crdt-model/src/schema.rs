//! The one table of the fields of a record: what each may hold and how edits of it merge.
//!
//! Parsing, storing, flags and conflicts all read this table; none repeats it.
//! One file for each kind under `schema/`. Source: `docs/architecture.md`, "The record".
//! Does not know JSON or Automerge.

mod activity;
mod casefile;
mod codes;
mod contact;
mod erasure_order;
mod field;
mod guideline;
mod household;
mod notice;
mod organisation;
mod person;
mod project;
mod project_parts;
mod publication;
mod resource;
mod told;
mod transfer;

pub use crate::lifecycle::Lifecycle;
pub(crate) use codes::{BODIES, BODIES_OF_PLANS};
pub use field::{Entity, Field, Node, Privacy, Rule, Section, find};
pub(crate) use project_parts::{PART_LIVES, PartLife};
pub use told::Told;

use field::{group, keyed, leaf};

/// A kind of record; the discriminant is its number in the signed entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The shared record of one project.
    Project = 1,
    /// A procedure, form or list that the coordination publishes for all territories.
    Guideline = 2,
    /// A body of the network of services: what it is, offers and agreed to.
    Organisation = 3,
    /// A person as the district's office knows them.
    Person = 4,
    /// A household.
    Household = 5,
    /// What a district knows of one person or household.
    Casefile = 6,
    /// One contact at an access point.
    Contact = 7,
    /// A service of the directory.
    Resource = 8,
    /// What a district's unit did.
    Activity = 9,
    /// Handing a project over to another district.
    Transfer = 10,
    /// That a subject is to be forgotten.
    ErasureOrder = 11,
    /// What a district publishes, and its counts.
    Publication = 12,
    /// That a subject is followed in several territories.
    Notice = 13,
}

/// For whom the records of a kind are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The home territory and its coordination; one made with sharing `local` only the former.
    Home,
    /// The nodes of the home territory alone.
    Territory,
    /// All members of the federation.
    Everyone,
    /// The home territory, the one that the record is for, and the coordinations above either;
    /// both territories write it.
    Parties,
}

/// Whose nodes make and edit the records of a kind, each in its own territory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// The nodes of a district.
    District,
    /// The node of a coordination.
    Coordination,
}

/// All that the program knows of one kind.
#[derive(Debug)]
struct Table {
    code: u8,
    singular: &'static str,
    plural: &'static str,
    audience: Audience,
    writer: Writer,
    fields: &'static [Field],
    /// The section of a field of the root that the table does not know: a guarded one where the
    /// kind has any.
    unknown: Section,
    /// Pairs of dates of the root of which the second never comes before the first.
    order: &'static [(&'static str, &'static str)],
    opening: Option<Opening>,
    /// The state that demands an `outcome`.
    closed: Option<&'static str>,
    lifecycle: &'static Lifecycle,
    /// The field that names the record to people.
    title: Option<&'static str>,
    /// Fields that a search matches; `*` stands for every key.
    search: &'static [&'static str],
}

/// The date before which nothing dated in the record may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// The field that holds it.
    pub field: &'static str,
    /// Fields of the root whose `on`, or that of each of their entries, comes after it.
    pub after: &'static [&'static str],
}

impl Kind {
    /// Every kind.
    pub const fn all() -> [Self; 13] {
        [
            Self::Project,
            Self::Guideline,
            Self::Organisation,
            Self::Person,
            Self::Household,
            Self::Casefile,
            Self::Contact,
            Self::Resource,
            Self::Activity,
            Self::Transfer,
            Self::ErasureOrder,
            Self::Publication,
            Self::Notice,
        ]
    }

    const fn table(self) -> &'static Table {
        match self {
            Self::Project => &project::TABLE,
            Self::Guideline => &guideline::TABLE,
            Self::Organisation => &organisation::TABLE,
            Self::Person => &person::TABLE,
            Self::Household => &household::TABLE,
            Self::Casefile => &casefile::TABLE,
            Self::Contact => &contact::TABLE,
            Self::Resource => &resource::TABLE,
            Self::Activity => &activity::TABLE,
            Self::Transfer => &transfer::TABLE,
            Self::ErasureOrder => &erasure_order::TABLE,
            Self::Publication => &publication::TABLE,
            Self::Notice => &notice::TABLE,
        }
    }

    /// The number in the signed entry.
    pub const fn code(self) -> u8 {
        self.table().code
    }

    /// The kind with this number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::all().into_iter().find(|kind| kind.code() == code)
    }

    /// The word in documents and on the command line.
    pub const fn singular(self) -> &'static str {
        self.table().singular
    }

    /// The word in paths.
    pub const fn plural(self) -> &'static str {
        self.table().plural
    }

    /// The kind with this singular.
    pub fn from_singular(word: &str) -> Option<Self> {
        Self::all().into_iter().find(|kind| kind.singular() == word)
    }

    /// The kind with this plural.
    pub fn from_plural(word: &str) -> Option<Self> {
        Self::all().into_iter().find(|kind| kind.plural() == word)
    }

    /// For whom its records are.
    pub const fn audience(self) -> Audience {
        self.table().audience
    }

    /// Whose nodes write its records.
    pub const fn writer(self) -> Writer {
        self.table().writer
    }

    /// The table of this kind's fields.
    pub const fn fields(self) -> &'static [Field] {
        self.table().fields
    }

    /// The passages of its state.
    pub const fn lifecycle(self) -> &'static Lifecycle {
        self.table().lifecycle
    }

    /// Pairs of dates of the root of which the second never comes before the first.
    pub const fn order(self) -> &'static [(&'static str, &'static str)] {
        self.table().order
    }

    /// The date before which nothing dated in the record may be.
    pub const fn opening(self) -> Option<Opening> {
        self.table().opening
    }

    /// The state that demands an `outcome`.
    pub const fn closed(self) -> Option<&'static str> {
        self.table().closed
    }

    /// The field that names the record to people.
    pub const fn title(self) -> Option<&'static str> {
        self.table().title
    }

    /// Fields that a search matches: keys from the root joined by `/`, `*` for every key.
    pub const fn search(self) -> &'static [&'static str] {
        self.table().search
    }

    /// Whether an edit of this root field is checked against the dates of the whole record.
    pub(crate) fn dates_the_whole(self, name: &str) -> bool {
        self.opening().is_some_and(|opening| opening.field == name)
            || self
                .order()
                .iter()
                .any(|pair| pair.0 == name || pair.1 == name)
    }

    /// Whether a record of this kind with these fields stays in its territory.
    pub(crate) fn stays_home(self, sharing: Option<&str>) -> bool {
        match self.audience() {
            Audience::Home => sharing == Some("local"),
            Audience::Territory => true,
            Audience::Everyone | Audience::Parties => false,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_its_number_and_its_words() {
        for kind in Kind::all() {
            assert_eq!(Kind::from_code(kind.code()), Some(kind));
            assert_eq!(Kind::from_singular(kind.singular()), Some(kind));
            assert_eq!(Kind::from_plural(kind.plural()), Some(kind));
        }
        assert_eq!(Kind::from_code(0), None);
        assert_eq!(Kind::from_plural("project"), None);
    }

    #[test]
    fn every_kind_has_what_imports_lists_and_passages_need() {
        for kind in Kind::all() {
            assert_eq!(kind.code(), kind as u8);
            let fields = kind.fields();
            assert!(matches!(
                find(fields, "ref").map(|f| f.node),
                Some(Node::Leaf(Rule::Text(64)))
            ));
            let state = find(fields, "state").expect("every kind has a state");
            assert!(state.required && state.deciding);
            assert_eq!(find(fields, "outcome").is_some(), kind.closed().is_some());
            assert_eq!(
                find(fields, "sharing").is_some(),
                kind.audience() == Audience::Home
            );
            assert!(
                kind.title()
                    .is_none_or(|name| find(fields, name).is_some_and(|f| f.required))
            );
            let known = |path: &&str| find(fields, path.split('/').next().unwrap_or("")).is_some();
            assert!(kind.search().iter().all(known));
        }
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
        for kind in Kind::all() {
            assert_sorted(kind.fields());
            let opening = kind.opening().map(|opening| opening.field);
            let pairs = kind
                .order()
                .iter()
                .flat_map(|(first, second)| [*first, *second]);
            for name in opening.into_iter().chain(pairs) {
                let field = find(kind.fields(), name).expect("an ordered date is a field");
                assert_eq!(field.node, Node::Leaf(Rule::Date));
            }
        }
    }
}

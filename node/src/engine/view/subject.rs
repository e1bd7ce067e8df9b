//! What the engine shows of people: records of one person, and references to merged ones.

use std::collections::BTreeMap;

use raccordo_crdt_model::{DocumentId, UnixMillis};

/// Another record that may be of the same person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alike {
    /// Its id.
    pub id: DocumentId,
    /// The office's own number.
    pub reference: Option<String>,
    /// Its state.
    pub state: String,
    /// What the two have in common: `fiscal_code`, `name_and_year`.
    pub why: Vec<&'static str>,
    /// Whether only few may know who they are.
    pub protected: bool,
}

/// A reference to a person whose record was merged into another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// JSON pointer to the reference.
    pub path: String,
    /// The record that stands for it.
    pub id: DocumentId,
}

/// Where else a project's subject is followed, as the coordination tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// The notice that tells.
    pub notice: DocumentId,
    /// Its day.
    pub on: String,
    /// Whether the subject is a household.
    pub household: bool,
    /// As of an overlap.
    pub strength: &'static str,
    /// The other territories.
    pub territories: Vec<String>,
}

/// What a territory publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The record that says it.
    pub id: DocumentId,
    /// Whether its new projects stay with it.
    pub aggregates_only: bool,
    /// When the counts were made.
    pub counted_on: Option<String>,
    /// Projects that stay in the territory; none where the number is withheld or was not given.
    pub local_projects: Option<u64>,
    /// Contacts at its access points, likewise.
    pub contacts: Option<u64>,
}

/// Live projects of several territories whose subjects have one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverlapView {
    /// Since when it is known here.
    pub since: UnixMillis,
    /// Whether the subject is a household.
    pub household: bool,
    /// `certain`: by fiscal code; `possible`: by name, year and sex; `typed`: by a token of another origin.
    pub strength: &'static str,
    /// The projects of each territory.
    pub projects: BTreeMap<String, Vec<DocumentId>>,
}

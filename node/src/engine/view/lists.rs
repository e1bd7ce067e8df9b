//! Pages of records: what is asked for, and for whose eyes.

use std::collections::BTreeSet;

use raccordo_crdt_model::{Section, UnixMillis};

/// A page of anything.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Where the next page starts; none at the end.
    pub next: Option<String>,
}

/// What to list: newest change first.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Only this territory.
    pub territory: Option<String>,
    /// Only this state.
    pub state: Option<String>,
    /// Matches reference, provider and host, ignoring case.
    pub q: Option<String>,
    /// Only records changed at or after this time.
    pub updated_since: Option<UnixMillis>,
    /// Items a page: 50 by default, at most 500.
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// For whose eyes; none for who sees all.
    pub sight: Option<Sight>,
}

/// What somebody sees of the records of a kind: others are passed over while a page is made, so that
/// neither it nor where the next one starts tells of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// Where a search looks in records of the own territory; none where these are not seen.
    pub own: Option<Sections>,
    /// As `own`, in records of other territories.
    pub others: Option<Sections>,
    /// Whether a search finds who is specially protected by more than their number.
    pub protected: bool,
}

/// The sections of a record in which a search looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sections {
    /// In each.
    All,
    /// In these.
    Only(BTreeSet<Section>),
}

impl ListQuery {
    /// Whether records of the own territory or of others are not seen at all.
    pub(crate) fn passes_over(&self) -> bool {
        self.looks_in(true).is_none() || self.looks_in(false).is_none()
    }

    /// Where a search looks in a record of the own territory or another; none where it is not seen.
    pub(crate) fn looks_in(&self, own: bool) -> Option<&Sections> {
        match &self.sight {
            None => Some(&Sections::All),
            Some(sight) if own => sight.own.as_ref(),
            Some(sight) => sight.others.as_ref(),
        }
    }
}

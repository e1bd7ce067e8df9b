//! What of a record somebody may read, and a record without the rest.
//!
//! What may not be read is left out; of a plan seen in outline stay body, state and dates. The
//! pointers of sections that are not whole are told, so that nobody takes a gap for emptiness.

use std::collections::{BTreeMap, BTreeSet};

use raccordo_crdt_model::{Conflict, HistoryChange, Kind};
use serde_json::Value;

use super::entries::{is_at_or_below, reaches};
use super::sections::{self, Section, section_of};
use super::{Action, Decision, Part, Principal, Reason, Subject, decide};

/// Names that an outline keeps, beside every name that ends in `_on`.
const OUTLINE: [&str; 12] = [
    "ref", "title", "body", "state", "horizon", "on", "from", "until", "start", "end", "due",
    "kind",
];

/// What somebody may read of the records of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    kind: &'static str,
    levels: BTreeMap<Section, Decision>,
    /// Entries that are read whole, whatever their section says.
    opened: BTreeSet<String>,
    /// Entries that are not read, whatever their section says.
    closed: BTreeSet<String>,
    /// As `closed`, where already their number would tell too much.
    hushed: BTreeSet<String>,
}

impl Reading {
    /// Of records of a kind in the own territory or another; refused where not even the frame
    /// may be read.
    pub(crate) fn of(
        principal: &Principal,
        kind: &'static str,
        own: bool,
        protected: bool,
    ) -> Result<Self, Reason> {
        let level = |section| {
            let part = Part {
                kind,
                section,
                body: None,
                own,
                protected,
            };
            (
                section,
                decide(principal, Action::Read, Subject::Part(part)),
            )
        };
        let levels: BTreeMap<_, _> = Section::ALL.into_iter().map(level).collect();
        match levels[&Section::Frame] {
            Decision::Deny(reason) => Err(reason),
            Decision::Allow | Decision::Outline => Ok(Self {
                kind,
                levels,
                opened: BTreeSet::new(),
                closed: BTreeSet::new(),
                hushed: BTreeSet::new(),
            }),
        }
    }

    /// All of it: in an emergency.
    pub(crate) fn whole(kind: &'static str) -> Self {
        let levels = Section::ALL.into_iter().map(|one| (one, Decision::Allow));
        Self {
            kind,
            levels: levels.collect(),
            opened: BTreeSet::new(),
            closed: BTreeSet::new(),
            hushed: BTreeSet::new(),
        }
    }

    /// As it is of one record: with what is asked of the reader's own body, without notes that are
    /// kept to others.
    pub(crate) fn with_entries(
        mut self,
        opened: BTreeSet<String>,
        closed: BTreeSet<String>,
    ) -> Self {
        self.opened.extend(opened);
        // Whom the whole section is kept from need not be told of its notes.
        let reads = |at: &String| self.levels[&section_of(self.kind, at).0] == Decision::Allow;
        self.closed.extend(closed.into_iter().filter(reads));
        self
    }

    /// Without these members of the team, for whom a subject's circumstances are kept from: that a
    /// health service follows somebody is one.
    pub(crate) fn hush(mut self, team: BTreeSet<String>) -> Self {
        if self.knows_no_circumstances() {
            self.hushed.extend(team);
        }
        self
    }

    /// Entries that are left out of sections that are read, by the pointer of the section.
    pub(crate) fn left_out(&self) -> BTreeMap<String, u64> {
        let mut out = BTreeMap::new();
        for at in &self.closed {
            *out.entry(section_of(self.kind, at).1.to_owned())
                .or_default() += 1;
        }
        out
    }

    /// Whether nothing is left out.
    pub(crate) fn is_whole(&self) -> bool {
        self.closed.is_empty()
            && sections::of_kind(self.kind)
                .iter()
                .all(|section| self.levels[section] == Decision::Allow)
    }

    /// The sections of which every text that a search matches is shown; none if that is all of them.
    pub(crate) fn searched(&self) -> Option<BTreeSet<Section>> {
        let kind = Kind::from_singular(self.kind);
        // An outline has the number, and where nothing else is searched that will do.
        let outlined = kind.is_some_and(|kind| kind.search().iter().all(|name| is_outline(name)));
        let read = |section: &&Section| match self.levels[section] {
            Decision::Allow => true,
            Decision::Outline => outlined,
            Decision::Deny(_) => false,
        };
        let all = sections::of_kind(self.kind);
        let found: BTreeSet<Section> = all.iter().filter(read).copied().collect();
        (found.len() < all.len()).then_some(found)
    }

    /// Takes out of a record's fields what may not be read, and says which sections are not whole.
    pub(crate) fn fields(&self, fields: &mut Value) -> Vec<String> {
        let mut withheld = BTreeSet::new();
        if !self.is_whole() {
            self.prune("", fields, &mut withheld);
        }
        // The same for every project, so that what is said to be missing tells nothing either.
        if self.knows_no_circumstances() {
            withheld.extend(["/sub_areas", "/subject/token", "/team"].map(str::to_owned));
        }
        withheld.into_iter().collect()
    }

    /// The conflicts that may be seen.
    pub(crate) fn conflicts(&self, conflicts: &mut Vec<Conflict>) {
        conflicts.retain_mut(|conflict| {
            let mut ignored = BTreeSet::new();
            let mut keeps = self.keeps(&conflict.path, &mut conflict.shown, &mut ignored);
            for rival in &mut conflict.rivals {
                keeps &= self.keeps(&conflict.path, &mut rival.value, &mut ignored);
            }
            keeps
        });
    }

    /// The changes that may be seen.
    pub(crate) fn changes(&self, changes: &mut Vec<HistoryChange>) {
        changes.retain_mut(|change| {
            let mut ignored = BTreeSet::new();
            match &mut change.value {
                Some(value) => self.keeps(&change.path, value, &mut ignored),
                None => self.shows(&change.path),
            }
        });
    }

    /// Whether what stands at a pointer may be seen at all.
    pub(crate) fn shows(&self, pointer: &str) -> bool {
        match self.level(pointer) {
            Decision::Allow => true,
            Decision::Outline => is_outline(pointer),
            Decision::Deny(_) => false,
        }
    }

    /// Whether all that stands at a pointer and below it is read.
    pub(crate) fn reads_all(&self, pointer: &str) -> bool {
        let is_closed = self.closed.iter().any(|at| reaches(pointer, at));
        let is_opened = self.opened.iter().any(|at| is_at_or_below(pointer, at));
        let is_read = |section| self.levels[&section] == Decision::Allow;
        let mut touched = sections::touched(self.kind, pointer).into_iter();
        !is_closed && (is_opened || touched.all(|(section, _)| is_read(section)))
    }

    /// Whether it is a project of which a subject's circumstances are kept from the reader.
    pub(crate) fn knows_no_circumstances(&self) -> bool {
        let level = self.levels[&Section::Circumstances];
        self.kind == Kind::Project.singular() && level != Decision::Allow
    }

    fn level(&self, pointer: &str) -> Decision {
        let among =
            |entries: &BTreeSet<String>| entries.iter().any(|root| is_at_or_below(pointer, root));
        if among(&self.hushed) {
            Decision::Deny(Reason::Role)
        } else if among(&self.closed) {
            Decision::Deny(Reason::Restricted)
        } else if among(&self.opened) {
            Decision::Allow
        } else {
            self.levels[&section_of(self.kind, pointer).0]
        }
    }

    /// Whether anything of a value may be seen; takes out of it what may not.
    fn keeps(&self, pointer: &str, value: &mut Value, withheld: &mut BTreeSet<String>) -> bool {
        if value.is_object() {
            let was_empty = value.as_object().is_some_and(serde_json::Map::is_empty);
            self.prune(pointer, value, withheld);
            let is_empty = value.as_object().is_some_and(serde_json::Map::is_empty);
            return if was_empty {
                self.shows(pointer)
            } else {
                !is_empty
            };
        }
        let shows = self.shows(pointer);
        if !shows {
            withheld.insert(section_of(self.kind, pointer).1.to_owned());
        }
        shows
    }

    fn prune(&self, pointer: &str, value: &mut Value, withheld: &mut BTreeSet<String>) {
        let Value::Object(members) = value else {
            return;
        };
        members.retain(|name, value| {
            let below = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            // An empty group tells nothing, and looks the same in every record.
            if value.as_object().is_some_and(serde_json::Map::is_empty) {
                return self.level(&below) == Decision::Allow;
            }
            self.keeps(&below, value, withheld)
        });
    }
}

fn is_outline(pointer: &str) -> bool {
    let name = pointer.rsplit('/').next().unwrap_or_default();
    OUTLINE.contains(&name) || name.ends_with("_on")
}

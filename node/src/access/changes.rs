//! Whether a patch may be made of a record that is there: section by section, and entry by entry
//! where an entry has a rule of its own.
//!
//! One answer for a change over HTTP and for a line of an import. Pure: takes the record as it is shown.

use std::collections::BTreeSet;

use raccordo_crdt_model::command::Operation;
use raccordo_crdt_model::{Conflict, Kind, Patch};
use serde_json::Value;

use super::entries::{self, Step};
use super::own_name;
use super::sections::{section_of, touched};
use super::{
    Action, Decision, Part, Principal, Reading, Reason, Section, Subject, decide, knows_protected,
};

/// What keeps an erasure away: below the office no import changes it.
const HOLDS: &str = "/legal_hold";

/// A record of this node's store, as it is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct There<'a> {
    pub(crate) kind: Kind,
    /// Whether it belongs to this node's territory.
    pub(crate) own: bool,
    /// Whether it tells of a specially protected person.
    pub(crate) protected: bool,
    pub(crate) fields: &'a Value,
    pub(crate) conflicts: &'a [Conflict],
    pub(crate) overwritten: &'a [Conflict],
}

/// What of a record may not be changed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) why: Reason,
    pub(crate) section: Section,
    /// Where the section or the entry starts.
    pub(crate) root: String,
}

impl<'a> There<'a> {
    /// Notes of it that are kept to others.
    pub(crate) fn kept_from(&self, principal: &Principal) -> BTreeSet<String> {
        let rivals = self.conflicts.iter().chain(self.overwritten);
        let rivals = rivals.filter(|one| one.rivals.iter().any(|rival| rival.value == true));
        let notes = rivals.filter_map(|one| one.path.strip_suffix("/restricted"));
        let notes = notes.map(str::to_owned).collect();
        entries::restricted(principal, self.kind.singular(), self.fields, &notes)
    }

    /// The part of it that starts at a pointer.
    fn part(&self, section: Section, root: &str) -> Part<'a> {
        Part {
            kind: self.kind.singular(),
            section,
            body: self
                .fields
                .pointer(&format!("{root}/body"))
                .and_then(Value::as_str),
            own: self.own,
            protected: self.protected,
        }
    }

    pub(crate) fn reading(&self, principal: &Principal) -> Result<Reading, Reason> {
        let kind = self.kind.singular();
        let reading = Reading::of(principal, kind, self.own, self.protected)?;
        let opened = entries::asked_of(principal, kind, self.own, self.fields);
        let reading = reading.with_entries(opened, self.kept_from(principal));
        let competing = self.conflicts.iter().chain(self.overwritten);
        let competing = competing.flat_map(|one| {
            let rivals = one.rivals.iter().map(|rival| &rival.value);
            rivals.map(|value| (one.path.as_str(), value))
        });
        let said = competing.chain(std::iter::once(("", self.fields)));
        Ok(reading.hush(entries::health_team(said)))
    }
}

impl Kept {
    /// Merged into a protected person's record, or taken out of it, a record would tell of them.
    pub(crate) fn merge() -> Self {
        Self {
            why: Reason::Protected,
            section: Section::Frame,
            root: "/merged_into".to_owned(),
        }
    }
}

/// The records, by id or reference, that a patch merges a person's record into or takes it out of.
pub(crate) fn merges<'a>(fields: &'a Value, steps: &'a [Step<'_>]) -> Vec<&'a str> {
    let moves = steps.iter().any(|step| matches!(step.path, "/state" | ""));
    let former = fields["merged_into"].as_str().filter(|_| moves);
    let into = steps
        .iter()
        .filter_map(|step| match (step.path, step.value) {
            ("/merged_into", Some(value)) => value.as_str(),
            ("", Some(value)) => value["merged_into"].as_str(),
            _ => None,
        });
    into.chain(former).collect()
}

/// What keeps a patch from being made; none if it may be.
pub(crate) fn kept(principal: &Principal, there: There<'_>, steps: &[Step<'_>]) -> Option<Kept> {
    let kind = there.kind.singular();
    let kept_from = there.kept_from(principal);
    for (at, step) in steps.iter().enumerate() {
        if let Some(note) = kept_from
            .iter()
            .find(|note| entries::reaches(step.path, note))
        {
            return Some(Kept {
                why: Reason::Restricted,
                section: section_of(kind, note).0,
                root: note.clone(),
            });
        }
        for (section, root) in touched(kind, step.path) {
            let part = there.part(section, &root);
            if let Decision::Deny(why) = decide(principal, Action::Edit, Subject::Part(part))
                && !entries::allow(principal, part, there.fields, steps, at)
            {
                return Some(Kept { why, section, root });
            }
        }
    }
    None
}

/// What keeps a line of an import from changing a record that others may have written: as [`kept`], by
/// the roles alone, since the scope was asked for at the door; and no value that is not read is tested.
/// `names_protected`: whether a record, by id or reference, is of a specially protected person.
pub(crate) fn line_kept(
    principal: &Principal,
    there: There<'_>,
    patch: &Patch,
    names_protected: impl Fn(&str) -> bool,
) -> Option<Kept> {
    let paths: Vec<String> = patch.steps().iter().map(|(at, _)| at.to_string()).collect();
    let steps = patch.steps().iter().zip(&paths);
    let steps: Vec<Step<'_>> = steps.map(|((_, does), path)| step(does, path)).collect();
    let by_roles = Principal {
        scopes: Vec::new(),
        ..principal.clone()
    };
    if there.kind == Kind::Person
        && !knows_protected(principal)
        && merges(there.fields, &steps)
            .into_iter()
            .any(names_protected)
    {
        return Some(Kept::merge());
    }
    let anothers = || {
        let after = own_name::after(there.fields, &steps);
        let (root, why) =
            own_name::anothers(principal, there.kind, there.own, there.fields, &after)?;
        let section = section_of(there.kind.singular(), &root).0;
        Some(Kept { why, section, root })
    };
    let kept = kept(&by_roles, there, &steps).or_else(anothers);
    kept.or_else(|| {
        let reading = there.reading(principal);
        let mut tests = steps.iter().filter(|step| step.op == "test");
        tests.find_map(|step| {
            let (section, root) = section_of(there.kind.singular(), step.path);
            let why = match &reading {
                Ok(reading) if reading.reads_all(step.path) => return None,
                Ok(_) => Reason::Role,
                Err(why) => *why,
            };
            let root = root.to_owned();
            Some(Kept { why, section, root })
        })
    })
}

/// Whether somebody reads a record whole.
pub(crate) fn reads_all(principal: &Principal, there: There<'_>) -> bool {
    there
        .reading(principal)
        .is_ok_and(|reading| reading.is_whole())
}

/// Whether a patch reaches what keeps an erasure away.
pub(crate) fn reaches_hold(kind: Kind, patch: &Patch) -> Option<Kept> {
    let mut paths = patch.steps().iter().map(|(at, _)| at.to_string());
    let reaches = kind == Kind::Casefile && paths.any(|path| entries::reaches(&path, HOLDS));
    reaches.then(|| Kept {
        why: Reason::Role,
        section: section_of(kind.singular(), HOLDS).0,
        root: HOLDS.to_owned(),
    })
}

fn step<'a>(operation: &'a Operation, path: &'a str) -> Step<'a> {
    let (op, value) = match operation {
        Operation::Add(value) => ("add", Some(value)),
        Operation::Replace(value) => ("replace", Some(value)),
        Operation::Remove { .. } => ("remove", None),
        Operation::Test(value) => ("test", Some(value)),
    };
    Step { op, path, value }
}

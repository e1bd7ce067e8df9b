//! Who is specially protected, and which records tell of them.
//!
//! A person is protected with every record that was merged with theirs, and where one of several
//! simultaneous edits says so; a household with each member. Asked of what is committed and of what
//! a commit would leave. Knows no reader.

use std::collections::BTreeSet;
use std::sync::Arc;

use raccordo_crdt_model::{Document, DocumentId, Flag, Kind, Record, Term};
use serde_json::{Value, json};

use super::core::{Core, ReadFailed};
use super::days;
use super::draft::Draft;
use super::local;
use super::persons::{self, MERGED};
use super::put_back;
use super::read;
use super::terms;
use super::view::CommandFailed;

/// The code of the flag on whatever is about somebody protected and goes to others.
const SUBJECT_PROTECTED: &str = "subject_protected";

/// Records as they are looked up.
pub(crate) trait Records {
    /// What is committed.
    fn core(&self) -> &Core;
    /// Now, unix ms.
    fn now_ms(&self) -> i64;
    /// A record; none if it is not here.
    fn document(&self, id: DocumentId) -> Result<Option<Arc<Document>>, ReadFailed>;
    /// The records that a term finds.
    fn found_by(&self, term: &Term) -> Result<Vec<DocumentId>, ReadFailed>;
    /// The records of this territory that have a reference.
    fn holders(&self, kind: Kind, reference: &str) -> Result<Vec<DocumentId>, ReadFailed>;
}

impl Records for Core {
    fn core(&self) -> &Core {
        self
    }

    fn now_ms(&self) -> i64 {
        self.clock.unix_millis()
    }

    fn document(&self, id: DocumentId) -> Result<Option<Arc<Document>>, ReadFailed> {
        self.look(id)
    }

    fn found_by(&self, term: &Term) -> Result<Vec<DocumentId>, ReadFailed> {
        terms::found_by(self, term)
    }

    fn holders(&self, kind: Kind, reference: &str) -> Result<Vec<DocumentId>, ReadFailed> {
        let found = read::by_reference(self, kind, reference, Some(&self.territory()))?;
        Ok(found.into_iter().map(|(id, _)| id).collect())
    }
}

impl Records for Draft<'_> {
    fn core(&self) -> &Core {
        self.core
    }

    fn now_ms(&self) -> i64 {
        self.now_ms
    }

    fn document(&self, id: DocumentId) -> Result<Option<Arc<Document>>, ReadFailed> {
        Draft::document(self, id)
    }

    fn found_by(&self, term: &Term) -> Result<Vec<DocumentId>, ReadFailed> {
        Draft::found_by(self, term)
    }

    fn holders(&self, kind: Kind, reference: &str) -> Result<Vec<DocumentId>, ReadFailed> {
        local::holders(self, kind, &self.core.territory(), reference)
    }
}

/// Whether a record tells of somebody protected: a person's own, or a household with such a member,
/// one who left included.
pub(crate) fn tells(records: &impl Records, document: &Document) -> Result<bool, CommandFailed> {
    match document.kind() {
        Kind::Person => Ok(person(records, document.id())?),
        Kind::Household => household(records, document, Members::Ever),
        _ => Ok(false),
    }
}

/// Whether a person is protected, by any record that is merged with theirs.
pub(crate) fn person(records: &impl Records, id: DocumentId) -> Result<bool, CommandFailed> {
    let mut looked_at = BTreeSet::new();
    let mut next = vec![id];
    while let Some(id) = next.pop() {
        if !looked_at.insert(id) {
            continue;
        }
        let Some(document) = of_kind(records, Kind::Person, id)? else {
            continue;
        };
        let record = document.record();
        if says_so(&record) {
            return Ok(true);
        }
        next.extend(merged_with(records, id, &record.fields)?);
    }
    Ok(false)
}

/// Whether the person or household that is named so is protected.
pub(crate) fn named(records: &impl Records, name: &str) -> Result<bool, CommandFailed> {
    for id in all_named(records, Kind::Person, name)? {
        if person(records, id)? {
            return Ok(true);
        }
    }
    for id in all_named(records, Kind::Household, name)? {
        let found = of_kind(records, Kind::Household, id)?;
        if let Some(found) = found
            && household(records, &found, Members::Now)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether nothing about a person may go to others: they are protected, or another record with
/// their fiscal code is; of a project about their `household` also where somebody there is.
pub(crate) fn stays_home(
    records: &impl Records,
    id: DocumentId,
    of_household: bool,
) -> Result<bool, CommandFailed> {
    if person(records, id)? {
        return Ok(true);
    }
    let Some(document) = of_kind(records, Kind::Person, id)? else {
        return Ok(false);
    };
    let fields = document.record().fields;
    for term in raccordo_crdt_model::terms::telling(&fields) {
        if matches!(term, Term::Code(_)) {
            for twin in records.found_by(&term)? {
                if person(records, twin)? {
                    return Ok(true);
                }
            }
        }
    }
    if !of_household {
        return Ok(false);
    }
    let mut households = BTreeSet::new();
    if let Some(name) = fields["household"].as_str() {
        households.extend(all_named(records, Kind::Household, name)?);
    }
    for name in names(id, &fields) {
        households.extend(records.found_by(&Term::About(name))?);
    }
    for id in households {
        if let Some(found) = of_kind(records, Kind::Household, id)?
            && household(records, &found, Members::Now)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Which of these projects go to others.
pub(crate) fn shared(
    records: &impl Records,
    project: &str,
) -> Result<Option<DocumentId>, CommandFailed> {
    for id in all_named(records, Kind::Project, project)? {
        if of_kind(records, Kind::Project, id)?.is_some_and(|project| !project.is_local()) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// What a person should look at in a record that is about somebody protected and goes to others, or
/// leads to what does; of a person also which projects do. `tells`: as of [`tells`].
pub(crate) fn flags(
    core: &Core,
    document: &Document,
    fields: &Value,
    tells: bool,
) -> Result<(Vec<Flag>, Vec<DocumentId>), CommandFailed> {
    let (mut flags, mut projects) = (Vec::new(), BTreeSet::new());
    if put_back::people_may_be_told(&core.ledger()).is_err() {
        return Ok((flags, Vec::new()));
    }
    match document.kind() {
        Kind::Project if !document.is_local() && document.territory() == core.territory() => {
            for subject in subjects(core, document.id(), fields)? {
                if named(core, &subject)? {
                    flags.push(flag("/subject"));
                    break;
                }
            }
        }
        Kind::Casefile if named(core, fields["subject"].as_str().unwrap_or_default())? => {
            for (key, link) in fields["projects"].as_object().into_iter().flatten() {
                if shared(core, link["project"].as_str().unwrap_or_default())?.is_some() {
                    let key = key.replace('~', "~0").replace('/', "~1");
                    flags.push(flag(&format!("/projects/{key}/project")));
                }
            }
        }
        Kind::Person if tells => projects = shared_of(core, document.id())?,
        _ => {}
    }
    Ok((flags, projects.into_iter().collect()))
}

/// Which members of a household are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Members {
    /// Who belongs to it today.
    Now,
    /// Whoever it names.
    Ever,
}

fn household(
    records: &impl Records,
    document: &Document,
    which: Members,
) -> Result<bool, CommandFailed> {
    let today = days::date(records.now_ms());
    let fields = document.record().fields;
    for (_, member) in fields["members"].as_object().into_iter().flatten() {
        let left = member["until"]
            .as_str()
            .is_some_and(|until| until < today.as_str());
        let Some(name) = member["person"].as_str() else {
            continue;
        };
        if which == Members::Now && left {
            continue;
        }
        for id in all_named(records, Kind::Person, name)? {
            if person(records, id)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether a person's own record says that they are protected, or one of several simultaneous
/// edits of it does.
fn says_so(record: &Record) -> bool {
    let mut rivals = record.conflicts.iter().chain(&record.overwritten);
    record.fields["protected"] == json!(true)
        || rivals.any(|one| {
            one.path == "/protected" && one.rivals.iter().any(|rival| rival.value == json!(true))
        })
}

/// The records that a person's was merged into or that were merged into it.
fn merged_with(
    records: &impl Records,
    id: DocumentId,
    fields: &Value,
) -> Result<Vec<DocumentId>, CommandFailed> {
    let mut found = Vec::new();
    if let (true, Some(into)) = (fields["state"] == MERGED, fields["merged_into"].as_str()) {
        found.extend(all_named(records, Kind::Person, into)?);
    }
    for name in names(id, fields) {
        for id in records.found_by(&Term::Into(name))? {
            let merged = of_kind(records, Kind::Person, id)?;
            if merged.is_some_and(|merged| merged.summary().state == MERGED) {
                found.push(id);
            }
        }
    }
    Ok(found)
}

/// Whom the casefiles that name a project are about.
fn subjects(
    core: &Core,
    project: DocumentId,
    fields: &Value,
) -> Result<BTreeSet<String>, CommandFailed> {
    let mut found = BTreeSet::new();
    for name in names(project, fields) {
        for id in terms::found_by(core, &Term::Project(name))? {
            if let Some(casefile) = of_kind(core, Kind::Casefile, id)? {
                let subject = casefile.record().fields["subject"].take();
                found.extend(subject.as_str().map(str::to_owned));
            }
        }
    }
    Ok(found)
}

/// The projects that go to others and are about a person, or about a household of theirs.
fn shared_of(core: &Core, person: DocumentId) -> Result<BTreeSet<DocumentId>, CommandFailed> {
    let mut found = BTreeSet::new();
    let own = persons::names(core, &persons::group(core, person)?)?;
    let mut about = own.clone();
    for name in &own {
        for id in terms::found_by(core, &Term::About(name.clone()))? {
            if let Some(household) = of_kind(core, Kind::Household, id)? {
                about.extend(names(id, &household.record().fields));
            }
        }
    }
    for name in about {
        for id in terms::found_by(core, &Term::About(name))? {
            let Some(casefile) = of_kind(core, Kind::Casefile, id)? else {
                continue;
            };
            let fields = casefile.record().fields;
            for (_, link) in fields["projects"].as_object().into_iter().flatten() {
                found.extend(shared(core, link["project"].as_str().unwrap_or_default())?);
            }
        }
    }
    Ok(found)
}

/// The records of a kind that a name may mean: all of them, since any may be protected.
fn all_named(
    records: &impl Records,
    kind: Kind,
    name: &str,
) -> Result<BTreeSet<DocumentId>, CommandFailed> {
    let mut found: BTreeSet<DocumentId> = BTreeSet::new();
    if name.is_empty() {
        return Ok(found);
    }
    if let Ok(id) = DocumentId::parse(name) {
        found.extend(of_kind(records, kind, id)?.map(|_| id));
    }
    found.extend(records.holders(kind, name)?);
    if found.is_empty() {
        found.extend(read::named(records.core(), kind, name)?);
    }
    Ok(found)
}

fn of_kind(
    records: &impl Records,
    kind: Kind,
    id: DocumentId,
) -> Result<Option<Arc<Document>>, ReadFailed> {
    let found = records.document(id)?;
    Ok(found.filter(|document| document.kind() == kind))
}

/// The names by which others name a record.
fn names(id: DocumentId, fields: &Value) -> Vec<String> {
    let reference = fields["ref"].as_str().map(str::to_owned);
    std::iter::once(id.to_string()).chain(reference).collect()
}

fn flag(path: &str) -> Flag {
    Flag {
        code: SUBJECT_PROTECTED.to_owned(),
        path: path.to_owned(),
    }
}

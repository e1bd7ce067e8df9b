//! Whom a project is about: the records of this territory that go along when it is handed over.
//!
//! Found from the casefiles that name the project, past merges. What it cannot tell for certain it
//! refuses; a member who left a household stays. Reads what is committed; writes nothing.

use std::collections::{BTreeMap, BTreeSet};

use raccordo_crdt_model::field_rules::transfer as rules;
use raccordo_crdt_model::{Document, DocumentId, Kind, Term};
use serde_json::{Value, json};

use super::super::core::{Core, ReadFailed};
use super::super::persons;
use super::super::read;
use super::super::terms::found_by;
use super::super::view::CommandFailed;
use super::parcel::{self, Names, Parcel};
use super::{refused, today};

/// A record that goes along.
#[derive(Debug, Clone)]
pub(crate) struct Gathered {
    pub(super) kind: Kind,
    pub(super) id: DocumentId,
    /// Where it names records that go along with it, and which.
    names: BTreeMap<String, DocumentId>,
}

impl Gathered {
    /// Its fields, with the ids of what it names: numbers mean something at the sender alone.
    pub(super) fn fields_of(&self, document: &Document) -> Value {
        let mut fields = document.record().fields;
        for (pointer, id) in &self.names {
            if let Some(name) = fields.pointer_mut(pointer) {
                *name = json!(id.to_string());
            }
        }
        fields
    }
}

/// The records of this territory about whom a project is: casefiles that name it, their subject
/// with what was merged into it, and of a household its members, of a person its household.
pub(crate) fn subject_of(core: &Core, project: DocumentId) -> Result<Vec<Gathered>, CommandFailed> {
    let mut gathering = Gathering {
        core,
        own: core.territory(),
        today: today(core),
        found: BTreeMap::new(),
    };
    gathering.all(project)?;
    let found = gathering.found.into_iter();
    let found = found.map(|((kind, id), names)| Gathered { kind, id, names });
    Ok(found.collect())
}

/// Whether what was gathered may leave the territory; names in it what stays here no more.
pub(super) fn prepare(project: DocumentId, parcel: &mut Parcel) -> Result<(), CommandFailed> {
    let protected = |(kind, _, fields): &(Kind, DocumentId, Value)| {
        *kind == Kind::Person && fields["protected"] == json!(true)
    };
    if parcel.records.iter().any(protected) {
        let detail = "a person who would go along is protected, and what is about them stays in this \
                      territory: hand the case over by another way";
        return Err(refused("/project", rules::OF_PROTECTED, detail));
    }
    let carried = parcel.records.iter().map(|(kind, id, _)| (*kind, *id));
    let carried = carried.chain([(Kind::Project, project)]);
    let names: Names = carried
        .map(|(kind, id)| ((kind, id.to_string()), id))
        .collect();
    for (kind, id, fields) in &mut parcel.records {
        if !parcel::rename(*kind, fields, &names) {
            return Err(unclear(&format!("casefile {id} names nobody who is here")));
        }
    }
    Ok(())
}

struct Gathering<'a> {
    core: &'a Core,
    own: String,
    today: String,
    found: BTreeMap<(Kind, DocumentId), BTreeMap<String, DocumentId>>,
}

impl Gathering<'_> {
    fn all(&mut self, project: DocumentId) -> Result<(), CommandFailed> {
        let Some(document) = self.of(Kind::Project, project)? else {
            return Ok(());
        };
        let fields = document.record().fields;
        let mut subjects = [Kind::Person, Kind::Household];
        if fields["subject"]["kind"] == json!("household") {
            subjects.reverse();
        }
        let reference = fields["ref"].as_str().map(str::to_owned);
        let names: Vec<String> = [project.to_string()].into_iter().chain(reference).collect();
        for name in &names {
            for id in found_by(self.core, &Term::Project(name.clone()))? {
                if let Some(casefile) = self.of(Kind::Casefile, id)? {
                    self.casefile(&casefile, project, &names, &subjects)?;
                }
            }
        }
        Ok(())
    }

    fn casefile(
        &mut self,
        casefile: &Document,
        project: DocumentId,
        names: &[String],
        subjects: &[Kind],
    ) -> Result<(), CommandFailed> {
        let (id, fields) = (casefile.id(), casefile.record().fields);
        let mut named = BTreeMap::new();
        for (key, link) in fields["projects"].as_object().into_iter().flatten() {
            let name = link["project"].as_str();
            if name.is_some_and(|name| names.iter().any(|own| own == name)) {
                named.insert(pointer("projects", key, "project"), project);
            }
        }
        let subject = fields["subject"].as_str().unwrap_or_default();
        let mut found = None;
        for kind in subjects {
            found = self.named(*kind, subject)?.map(|subject| (*kind, subject));
            if found.is_some() {
                break;
            }
        }
        let Some((kind, subject)) = found else {
            return Err(unclear(&format!("casefile {id} names nobody who is here")));
        };
        named.insert("/subject".to_owned(), subject);
        self.add(Kind::Casefile, id, named);
        if kind == Kind::Household {
            return self.household(subject, None);
        }
        let group = self.person(subject)?;
        for person in &group {
            let fields = self.fields(Kind::Person, *person)?;
            let name = fields["household"].as_str();
            let household = name.map(|name| self.named(Kind::Household, name));
            if let Some(household) = household.transpose()?.flatten() {
                self.household(household, Some(&group))?;
            }
        }
        Ok(())
    }

    /// A household: with all who belong to it, or of those only the ones who go along anyway.
    fn household(
        &mut self,
        id: DocumentId,
        only: Option<&BTreeSet<DocumentId>>,
    ) -> Result<(), CommandFailed> {
        let fields = self.fields(Kind::Household, id)?;
        let mut named = BTreeMap::new();
        for (key, member) in fields["members"].as_object().into_iter().flatten() {
            let until = member["until"].as_str();
            let Some(name) = member["person"].as_str() else {
                continue;
            };
            if until.is_some_and(|until| until < self.today.as_str()) {
                continue;
            }
            let Some(person) = self.named(Kind::Person, name)? else {
                continue;
            };
            if only.is_none() {
                self.person(person)?;
            }
            if only.is_none_or(|only| only.contains(&person)) {
                named.insert(pointer("members", key, "person"), person);
            }
        }
        self.add(Kind::Household, id, named);
        Ok(())
    }

    /// A person: the record that stands for them, and all that were merged into it.
    fn person(&mut self, id: DocumentId) -> Result<BTreeSet<DocumentId>, CommandFailed> {
        let Some(stands) = persons::standing_for(self.core, id)? else {
            let detail = format!("the record of the person {id} was merged into none that is here");
            return Err(unclear(&detail));
        };
        let mut group = persons::group(self.core, stands)?;
        group.insert(id);
        for person in &group {
            let fields = self.fields(Kind::Person, *person)?;
            let mut named = BTreeMap::new();
            for (field, kind) in [
                ("household", Kind::Household),
                ("merged_into", Kind::Person),
            ] {
                let name = fields[field].as_str();
                let to = name.map(|name| self.named(kind, name)).transpose()?;
                named.extend(to.flatten().map(|id| (format!("/{field}"), id)));
            }
            self.add(Kind::Person, *person, named);
        }
        Ok(group)
    }

    fn add(&mut self, kind: Kind, id: DocumentId, names: BTreeMap<String, DocumentId>) {
        self.found.entry((kind, id)).or_default().extend(names);
    }

    /// The record of this territory that a name means: none if it leads nowhere, refused if to several.
    fn named(&self, kind: Kind, name: &str) -> Result<Option<DocumentId>, CommandFailed> {
        match read::resolve(self.core, kind, name, Some(&self.own)) {
            Ok(id) => Ok(self.of(kind, id)?.map(|_| id)),
            Err(CommandFailed::NotFound { .. } | CommandFailed::Erased(_)) => Ok(None),
            Err(CommandFailed::Ambiguous { .. }) => {
                let kind = kind.singular();
                Err(unclear(&format!("several records are the {kind} {name}")))
            }
            Err(failed) => Err(failed),
        }
    }

    fn fields(&self, kind: Kind, id: DocumentId) -> Result<Value, ReadFailed> {
        let document = self.of(kind, id)?;
        Ok(document.map_or(Value::Null, |document| document.record().fields))
    }

    /// A record of this kind and territory, if it is one.
    fn of(
        &self,
        kind: Kind,
        id: DocumentId,
    ) -> Result<Option<std::sync::Arc<Document>>, ReadFailed> {
        let document = self.core.look(id)?;
        Ok(document.filter(|found| found.kind() == kind && found.territory() == self.own))
    }
}

fn pointer(container: &str, key: &str, name: &str) -> String {
    let key = key.replace('~', "~0").replace('/', "~1");
    format!("/{container}/{key}/{name}")
}

fn unclear(what: &str) -> CommandFailed {
    let detail = format!("who goes along is not certain: {what}; set that right, then offer again");
    refused("/project", rules::SUBJECT_UNCLEAR, detail)
}

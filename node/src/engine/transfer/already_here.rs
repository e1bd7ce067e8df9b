//! Whether who arrives with a transfer is known here already: by fiscal code, or by how the name
//! sounds and the year of birth.
//!
//! Asked before anything is made. An equal code needs a word of whoever accepts: the record that
//! arrives is merged into the one that is here, which can be undone, or stands beside it. A likeness
//! is shown and does not stop anybody.

use std::collections::BTreeMap;

use raccordo_crdt_model::field_rules::transfer as rules;
use raccordo_crdt_model::terms::telling;
use raccordo_crdt_model::{DocumentId, Filled, Kind, Term};
use serde_json::{Value, json};

use super::super::core::{Core, ReadFailed};
use super::super::draft::Draft;
use super::super::persons;
use super::super::put_back;
use super::super::subject;
use super::super::view::{Alike, CommandFailed};
use super::parcel::Parcel;
use super::refused_as;
use super::terms::Terms;

const BY_CODE: &str = "fiscal_code";

/// Who the person is that arrives, as whoever accepts says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Arrival {
    /// Nothing is said: enough where nobody here has the fiscal code.
    #[default]
    Unsaid,
    /// The person of this record, by id or reference.
    Known(String),
    /// Somebody who has no record here yet.
    New,
}

/// Which arriving records, by their ids at the sender, are of whom here.
pub(super) type Ties = BTreeMap<DocumentId, DocumentId>;

/// The people that arrive, each with those here who may be the same, the surest first.
pub(super) fn found(
    core: &Core,
    parcel: &Parcel,
) -> Result<Vec<(DocumentId, Vec<Alike>)>, CommandFailed> {
    let mut all = Vec::new();
    if put_back::people_may_be_told(&core.ledger()).is_err() {
        return Ok(all);
    }
    for (former, fields) in people(parcel) {
        all.push((former, persons::alike(core, former, fields)?));
    }
    Ok(all)
}

/// The same as people see it: ids and references of records that are here, and nothing of who arrives.
/// Who is `protected` is said to the edge, which shows them to few.
pub(super) fn shown(found: &[(DocumentId, Vec<Alike>)]) -> Value {
    let alike = found.iter().flat_map(|(_, alike)| alike);
    let one = |alike: &Alike| {
        json!({"person": alike.id.to_string(), "ref": alike.reference, "why": alike.why,
            "protected": alike.protected})
    };
    let mut shown: Vec<Value> = Vec::new();
    for one in alike.map(one) {
        if !shown.contains(&one) {
            shown.push(one);
        }
    }
    Value::Array(shown)
}

/// Which arriving records are of somebody here, or why that has to be said first.
pub(super) fn ties(
    draft: &mut Draft<'_>,
    parcel: &Parcel,
    terms: &Terms,
    arrival: &Arrival,
) -> Result<Ties, CommandFailed> {
    let sure: Ties = found(draft.core, parcel)?
        .into_iter()
        .filter_map(|(former, alike)| {
            let mut alike = alike.into_iter();
            let sure = alike.find(|alike| alike.why.contains(&BY_CODE))?;
            Some((former, sure.id))
        })
        .collect();
    match arrival {
        Arrival::New => Ok(Ties::new()),
        Arrival::Unsaid if sure.is_empty() => Ok(sure),
        Arrival::Unsaid => Err(unsaid(draft, &sure)?),
        Arrival::Known(name) => {
            let Some((former, fields)) = subject_of(parcel, terms.project) else {
                let detail = "no person arrives with this transfer: accept it without naming one";
                return Err(refused_as(
                    "/person",
                    rules::OTHER_PERSON,
                    "nobody",
                    &[],
                    detail,
                ));
            };
            let person = subject::person(draft, name)?;
            let document = draft.document(person)?;
            let here = document.map_or(Value::Null, |document| document.record().fields);
            if let (Some(code), Some(arriving)) = (code_of(&here), code_of(fields))
                && code != arriving
            {
                let detail = format!(
                    "{name} has another fiscal code than who arrives: correct the record here, or accept as a new person"
                );
                let filled = [("person", Filled::text(name))];
                return Err(refused_as(
                    "/person",
                    rules::OTHER_PERSON,
                    "",
                    &filled,
                    detail,
                ));
            }
            let mut ties = sure;
            ties.insert(former, person);
            Ok(ties)
        }
    }
}

fn unsaid(draft: &Draft<'_>, sure: &Ties) -> Result<CommandFailed, ReadFailed> {
    let mut names = Vec::new();
    for id in sure.values() {
        let document = draft.document(*id)?;
        let reference = document.and_then(|document| document.summary().reference);
        names.push(reference.map_or_else(|| id.to_string(), |known| format!("{known} ({id})")));
    }
    let names = names.join(", ");
    let detail = format!(
        "who arrives has the fiscal code of {names}: accept with that `person`, or with `new_person` for a record beside it"
    );
    let filled = [("person", Filled::Text(names))];
    Ok(refused_as(
        "/person",
        rules::PERSON_HERE,
        "",
        &filled,
        detail,
    ))
}

fn people(parcel: &Parcel) -> impl Iterator<Item = (DocumentId, &Value)> {
    let records = parcel.records.iter();
    let people = records.filter(|(kind, _, _)| *kind == Kind::Person);
    people.map(|(_, former, fields)| (*former, fields))
}

/// Of several people that arrive the one whose casefile names the project.
fn subject_of(parcel: &Parcel, project: DocumentId) -> Option<(DocumentId, &Value)> {
    let mut casefiles = parcel
        .records
        .iter()
        .filter(|(kind, _, _)| *kind == Kind::Casefile);
    let of_project = |fields: &Value| {
        let mut links = fields["projects"].as_object().into_iter().flatten();
        let name = &parcel.project["ref"];
        links.any(|(_, link)| {
            link["project"] == json!(project.to_string())
                || (name.is_string() && link["project"] == *name)
        })
    };
    let named = casefiles.find(|(_, _, fields)| of_project(fields));
    let named = named.and_then(|(_, _, fields)| fields["subject"].as_str());
    let is_named = |(former, fields): &(DocumentId, &Value)| {
        named.is_some_and(|name| name == former.to_string() || fields["ref"] == name)
    };
    let mut alone = people(parcel);
    let alone = alone.next().filter(|_| alone.next().is_none());
    people(parcel).find(is_named).or(alone)
}

fn code_of(fields: &Value) -> Option<String> {
    telling(fields).into_iter().find_map(|term| match term {
        Term::Code(code) => Some(code),
        _ => None,
    })
}

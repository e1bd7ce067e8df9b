//! People as a district's office looks for them: by code, name or sound; records of one person; all
//! that one person was offered. Reads only.

use std::collections::{BTreeMap, BTreeSet};

use raccordo_crdt_model::likeness::{sound, words};
use raccordo_crdt_model::terms::telling;
use raccordo_crdt_model::{DocumentId, Kind, Term, fiscal_code};
use serde_json::{Value, json};

use crate::store::Table;

use super::core::{Core, ReadFailed};
use super::protection;
use super::read;
use super::rows;
use super::terms::{finds, found_by, found_by_most};
use super::view::{Alike, CommandFailed, ListQuery, Page, RecordCard, Resolved};

/// The state of a record that another one stands for.
pub(crate) const MERGED: &str = "merged";
/// Longest chain of merges that is followed.
pub(crate) const MERGES_MAX: usize = 16;

/// A page of persons whom these words find, newest change first.
pub(super) fn cards(
    core: &Core,
    query: &ListQuery,
    wanted: &str,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Page<RecordCard>, CommandFailed> {
    let mut keys = Vec::new();
    let knows_protected = query.sight.as_ref().is_none_or(|sight| sight.protected);
    let q = query.q.as_deref().unwrap_or(wanted);
    let referred = referred(core, q)?;
    for id in matching(core, q)?
        .into_iter()
        .chain(referred.iter().copied())
    {
        let row = core.document_row(id)?;
        let indexed = row.and_then(|row| row.indexed);
        keys.extend(indexed.map(|now| rows::list_key(Kind::Person.code(), now.updated_ms, id)));
    }
    keys.sort_unstable();
    keys.dedup();
    let mut items = Vec::new();
    let mut last: Option<Vec<u8>> = None;
    for key in keys
        .into_iter()
        .filter(|key| after.is_none_or(|after| key.as_slice() > after))
    {
        // Whoever may not know who it is finds nobody by name or code; the number is nobody's name.
        let id = id_of(&key).filter(|id| !knows_protected && !referred.contains(id));
        if id.map(|id| protection::person(core, id)).transpose()? == Some(true) {
            continue;
        }
        let late = |since: i64| rows::list_key_time(&key).is_none_or(|at| at < since);
        if query.updated_since.is_some_and(|since| late(since.0)) {
            break;
        }
        let Some(value) = core
            .store
            .get(Table::Rows, &key)
            .map_err(ReadFailed::from)?
        else {
            continue;
        };
        if let Some(card) = read::card(core, query, None, &key, &value)? {
            if items.len() == limit {
                let next = last.as_deref().map(read::encode_cursor);
                return Ok(Page { items, next });
            }
            items.push(card);
            last = Some(key);
        }
    }
    Ok(Page { items, next: None })
}

/// The persons with this reference.
fn referred(core: &Core, q: &str) -> Result<BTreeSet<DocumentId>, ReadFailed> {
    let referred = read::by_reference(core, Kind::Person, q.trim(), None)?;
    Ok(referred.into_iter().map(|(id, _)| id).collect())
}

/// The persons with this fiscal code, or with all these words in their names, spelt so or sounding so.
fn matching(core: &Core, q: &str) -> Result<BTreeSet<DocumentId>, ReadFailed> {
    if let Ok(code) = fiscal_code::normal(&q.trim().to_uppercase()) {
        return Ok(found_by(core, &Term::Code(code))?.into_iter().collect());
    }
    let mut found: BTreeSet<_> = found_by(core, &Term::BadCode(q.trim().to_uppercase()))?
        .into_iter()
        .collect();
    found.extend(with_all(core, &words(q))?);
    Ok(found)
}

fn id_of(key: &[u8]) -> Option<DocumentId> {
    let id = key.get(9..)?.try_into().ok()?;
    Some(DocumentId::from_bytes(id))
}

/// The persons who have all these words in their names, spelt so or sounding so.
fn with_all(core: &Core, words: &[String]) -> Result<BTreeSet<DocumentId>, ReadFailed> {
    let terms = |word: &String| {
        let heard = Term::Sound(sound(word));
        let heard = Some(heard).filter(|heard| !heard.text().is_empty());
        std::iter::once(Term::Word(word.clone()))
            .chain(heard)
            .collect::<Vec<_>>()
    };
    let asked: Vec<Vec<Term>> = words.iter().map(terms).collect();
    // The rarest word first: of those whom it finds it is asked whether they have the others.
    let mut rarest: Option<(usize, BTreeSet<DocumentId>)> = None;
    for (place, terms) in asked.iter().enumerate() {
        let mut one = BTreeSet::new();
        let most = rarest.as_ref().map_or(usize::MAX, |(_, few)| few.len());
        for term in terms {
            one.extend(found_by_most(core, term, most)?);
        }
        if one.len() < most {
            rarest = Some((place, one));
        }
    }
    let Some((first, mut found)) = rarest else {
        return Ok(BTreeSet::new());
    };
    for (place, terms) in asked.iter().enumerate() {
        if place == first {
            continue;
        }
        let mut both = BTreeSet::new();
        for id in found {
            for term in terms {
                if finds(core, term, id)? {
                    both.insert(id);
                }
            }
        }
        found = both;
    }
    Ok(found)
}

/// Other living records that may be of the same person.
pub(super) fn alike(
    core: &Core,
    id: DocumentId,
    fields: &Value,
) -> Result<Vec<Alike>, CommandFailed> {
    if fields["state"] == MERGED {
        return Ok(Vec::new());
    }
    let mut found: BTreeMap<DocumentId, Vec<&'static str>> = BTreeMap::new();
    for term in telling(fields) {
        let why = match term {
            Term::Code(_) | Term::BadCode(_) => "fiscal_code",
            _ => "name_and_year",
        };
        for other in found_by(core, &term)? {
            if other != id {
                found.entry(other).or_default().push(why);
            }
        }
    }
    let mut out = Vec::new();
    for (id, why) in found {
        let (Some(state), Some(document)) = (state_of(core, id)?, core.look(id)?) else {
            continue;
        };
        let reference = document.summary().reference;
        let protected = protection::person(core, id)?;
        if state != MERGED {
            out.push(Alike {
                id,
                reference,
                state,
                why,
                protected,
            });
        }
    }
    // The surest first.
    out.sort_by_key(|alike| (!alike.why.contains(&"fiscal_code"), alike.id));
    Ok(out)
}

/// Which persons a record names that were merged into another, and the one that stands for each.
pub(super) fn resolved(core: &Core, fields: &Value) -> Result<Vec<Resolved>, CommandFailed> {
    let mut out = Vec::new();
    let direct = ["subject", "person"].map(|name| (format!("/{name}"), fields[name].as_str()));
    let members = fields["members"].as_object();
    let members = members
        .into_iter()
        .flatten()
        .map(|(key, member)| (format!("/members/{key}/person"), member["person"].as_str()));
    for (path, name) in direct.into_iter().chain(members) {
        let Some(name) = name else { continue };
        if let Some(id) = named(core, name)?
            && let Some(stands) = standing_for(core, id)?.filter(|stands| *stands != id)
        {
            out.push(Resolved { path, id: stands });
        }
    }
    Ok(out)
}

/// The record that stands for a person: itself, or at the end of its merges; none if they lead
/// nowhere or round in a circle.
pub(crate) fn standing_for(
    core: &Core,
    id: DocumentId,
) -> Result<Option<DocumentId>, CommandFailed> {
    let mut id = id;
    for _ in 0..MERGES_MAX {
        if state_of(core, id)?.is_none_or(|state| state != MERGED) {
            return Ok(Some(id));
        }
        let document = core.look(id)?;
        let fields = document.map(|document| document.record().fields);
        let into = fields.and_then(|fields| fields["merged_into"].as_str().map(str::to_owned));
        let Some(next) = into.map(|into| named(core, &into)).transpose()?.flatten() else {
            return Ok(None);
        };
        id = next;
    }
    Ok(None)
}

/// Whether a person's record with these fields, if it is merged, is merged into that of another
/// person who is there.
pub(super) fn leads_somewhere(
    core: &Core,
    id: DocumentId,
    fields: &Value,
) -> Result<bool, CommandFailed> {
    if fields["state"] != MERGED {
        return Ok(true);
    }
    let into = fields["merged_into"].as_str();
    let into = into.map(|into| named(core, into)).transpose()?.flatten();
    let stands = into.map(|into| standing_for(core, into)).transpose()?;
    Ok(stands.flatten().is_some_and(|stands| stands != id))
}

/// All that one person was offered: contacts, services, projects, referrals; of every record that
/// was merged into theirs, too. Newest first.
pub(super) fn offered(core: &Core, id: DocumentId) -> Result<Value, CommandFailed> {
    let whole = standing_for(core, id)?.unwrap_or(id);
    let group = group(core, whole)?;
    let mut records = BTreeSet::new();
    for name in names(core, &group)? {
        records.extend(found_by(core, &Term::About(name))?);
    }
    let mut offered = Offered::default();
    for id in records {
        let Some(document) = core.look(id)? else {
            continue;
        };
        let fields = document.record().fields;
        match document.kind() {
            Kind::Contact => offered.contact(id, &fields),
            Kind::Casefile => {
                let entries = fields["projects"].as_object().into_iter().flatten();
                for (_, entry) in entries {
                    let name = entry["project"].as_str().unwrap_or_default();
                    if let Some(project) = read::named(core, Kind::Project, name)? {
                        offered.linked.insert(project);
                    }
                }
            }
            _ => {}
        }
    }
    for id in std::mem::take(&mut offered.linked) {
        if let Some(document) = core.look(id)? {
            offered.project(id, &document.record().fields);
        }
    }
    let ids = |all: &BTreeSet<DocumentId>| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    Ok(json!({
        "person": whole.to_string(),
        "records": ids(&group),
        "contacts": newest_first(offered.contacts),
        "services": newest_first(offered.services),
        "projects": newest_first(offered.projects),
        "referrals": newest_first(offered.referrals),
    }))
}

/// A person's record and all that were merged into it.
pub(super) fn group(core: &Core, id: DocumentId) -> Result<BTreeSet<DocumentId>, CommandFailed> {
    let mut group = BTreeSet::from([id]);
    let mut look_at = vec![id];
    while let Some(next) = look_at.pop() {
        for name in names(core, &BTreeSet::from([next]))? {
            for merged in found_by(core, &Term::Into(name))? {
                let is = state_of(core, merged)?.is_some_and(|state| state == MERGED);
                if is && group.insert(merged) {
                    look_at.push(merged);
                }
            }
        }
    }
    Ok(group)
}

/// The ids and references by which others name these records.
pub(super) fn names(
    core: &Core,
    records: &BTreeSet<DocumentId>,
) -> Result<Vec<String>, ReadFailed> {
    let mut names = Vec::new();
    for id in records {
        names.push(id.to_string());
        names.extend(reference_of(core, *id)?);
    }
    Ok(names)
}

#[derive(Default)]
struct Offered {
    contacts: Vec<Value>,
    services: Vec<Value>,
    projects: Vec<Value>,
    referrals: Vec<Value>,
    linked: BTreeSet<DocumentId>,
}

impl Offered {
    fn contact(&mut self, id: DocumentId, fields: &Value) {
        let part = |names: &[&str]| picked(fields, names);
        let mut contact = part(&[
            "ref",
            "on",
            "point",
            "mode",
            "need_area",
            "outcome",
            "state",
        ]);
        contact["id"] = json!(id.to_string());
        self.contacts.push(contact);
        for (_, service) in fields["services"].as_object().into_iter().flatten() {
            let mut service = picked(service, &["resource", "title", "offered_on", "outcome"]);
            service["on"] = service["offered_on"].take();
            service["contact"] = json!(id.to_string());
            service["from"] = json!("contact");
            self.services.push(service);
        }
    }

    fn project(&mut self, id: DocumentId, fields: &Value) {
        let mut project = picked(fields, &["ref", "need_area", "state", "outcome"]);
        project["id"] = json!(id.to_string());
        project["on"] = fields["opened_on"].clone();
        self.projects.push(project);
        for (_, referral) in fields["referrals"].as_object().into_iter().flatten() {
            let mut referral = picked(referral, &["to", "to_name", "sent_on", "state", "outcome"]);
            referral["on"] = referral["sent_on"].take();
            referral["project"] = json!(id.to_string());
            self.referrals.push(referral);
        }
        for (kind, on, from) in [
            ("instruments", "from", "instrument"),
            ("vouchers", "issued_on", "voucher"),
        ] {
            for (_, service) in fields[kind].as_object().into_iter().flatten() {
                self.services
                    .push(json!({"on": service[on], "title": service["kind"],
                    "outcome": service["outcome"], "project": id.to_string(), "from": from}));
            }
        }
    }
}

fn picked(fields: &Value, names: &[&str]) -> Value {
    let one = |name: &&str| {
        (
            (*name).to_owned(),
            fields.get(*name).cloned().unwrap_or(Value::Null),
        )
    };
    Value::Object(names.iter().map(one).collect())
}

fn newest_first(mut items: Vec<Value>) -> Vec<Value> {
    let on = |item: &Value| item["on"].as_str().unwrap_or_default().to_owned();
    items.sort_by_key(|item| std::cmp::Reverse(on(item)));
    items
}

fn named(core: &Core, name: &str) -> Result<Option<DocumentId>, CommandFailed> {
    read::named(core, Kind::Person, name)
}

fn state_of(core: &Core, id: DocumentId) -> Result<Option<String>, ReadFailed> {
    let row = core.document_row(id)?;
    Ok(row.and_then(|row| row.indexed).map(|indexed| indexed.state))
}

/// The reference of a record that is here and has one.
fn reference_of(core: &Core, id: DocumentId) -> Result<Option<String>, ReadFailed> {
    let document = core.look(id)?;
    Ok(document.and_then(|document| document.summary().reference))
}

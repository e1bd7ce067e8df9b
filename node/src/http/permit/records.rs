//! Records on their way out, as far as the one who asks may see them.
//!
//! Reads go through here: what may not be seen is left out, each reading of a personal record and
//! each for an emergency's sake is noted for the audit log.

use std::collections::{BTreeMap, BTreeSet};

use raccordo_crdt_model::{DocumentId, Kind, import};
use serde_json::{Value, json};

use super::{What, refusal, somewhere};
use crate::access::changes::There;
use crate::access::entries;
use crate::access::sections::is_personal;
use crate::access::{
    Action, Decision, Part, Reading, Reason, Section, Subject, decide, knows_protected,
};
use crate::engine::{
    HistoryView, ListQuery, Page, Principal, RecordCard, RecordView, Sections, Sight,
};
use crate::http::problem::ApiError;
use crate::http::{Shared, json as shapes};

/// A record as far as somebody may see it.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) view: RecordView,
    /// Pointers of the sections that are not whole.
    pub(crate) withheld: Vec<String>,
    reading: Reading,
    /// Whether an emergency opened it.
    urgent: bool,
}

impl Shown {
    /// As the API gives it.
    pub(crate) fn json(&self) -> Value {
        let mut out = shapes::record(&self.view);
        if !self.withheld.is_empty() {
            out["_meta"]["withheld"] = json!(self.withheld);
        }
        let left_out = self.left_out();
        if !left_out.is_empty() {
            out["_meta"]["left_out"] = json!(left_out);
        }
        out
    }

    /// Entries of the record that are kept to others, by the pointer of the section.
    pub(crate) fn left_out(&self) -> BTreeMap<String, u64> {
        self.reading.left_out()
    }

    /// What of the record's history `principal` may see with it.
    pub(crate) fn history(
        &self,
        principal: &Principal,
        mut items: Vec<HistoryView>,
    ) -> Vec<HistoryView> {
        let (kind, fields) = (self.view.kind.singular(), &self.view.fields);
        let reading = if self.urgent {
            self.reading.clone()
        } else {
            let changes = items.iter().flat_map(|item| &item.changes);
            let gone = entries::restricted_once(principal, kind, fields, changes);
            let changes = items.iter().flat_map(|item| &item.changes);
            let said = changes.filter_map(|one| Some((one.path.as_str(), one.value.as_ref()?)));
            let team = entries::health_team(said);
            let reading = self.reading.clone().with_entries(BTreeSet::new(), gone);
            reading.hush(team)
        };
        if !reading.is_whole() {
            // Who changed what is not shown may tell what it was: a health service's name does.
            items.retain_mut(|item| {
                let was_empty = item.changes.is_empty();
                reading.changes(&mut item.changes);
                was_empty || !item.changes.is_empty()
            });
        }
        items
    }
}

/// One record whose history is asked for.
pub(crate) async fn with_history(
    shared: &Shared,
    principal: &Principal,
    kind: Kind,
    id: DocumentId,
) -> Result<Shown, ApiError> {
    read(shared, principal, kind, id, "with its history").await
}

/// One record that is read for something else than itself; `how` is for the audit log.
pub(crate) async fn read(
    shared: &Shared,
    principal: &Principal,
    kind: Kind,
    id: DocumentId,
    how: &str,
) -> Result<Shown, ApiError> {
    let view = shared.engine.record(kind, id).await?;
    shown(shared, principal, view, how)
}

/// A person about whom something is asked that tells of them: refused to who may not know who it is.
pub(crate) async fn known(
    shared: &Shared,
    principal: &Principal,
    id: DocumentId,
    how: &str,
) -> Result<Shown, ApiError> {
    let shown = read(shared, principal, Kind::Person, id, how).await?;
    if shown.view.protected && !shown.reading.shows("/family_name") {
        let (record, what) = (id.to_string(), What::This(Kind::Person));
        let why = Reason::Protected;
        return Err(refusal(shared, principal, &record, "read", what, why));
    }
    Ok(shown)
}

/// One record; where a `person` reads it, the peers that wrote parts of it will be told.
pub(crate) async fn open(
    shared: &Shared,
    principal: &Principal,
    kind: Kind,
    id: DocumentId,
    person: bool,
) -> Result<Shown, ApiError> {
    let view = shared.engine.record(kind, id).await?;
    let shown = shown(shared, principal, view, "")?;
    if person {
        shared.engine.open(kind, id).await?;
    }
    Ok(shown)
}

/// A record that was read or written, as far as somebody may see it; `how` it was read is for the
/// audit log.
fn shown(
    shared: &Shared,
    principal: &Principal,
    mut view: RecordView,
    how: &str,
) -> Result<Shown, ApiError> {
    let kind = view.kind.singular();
    let id = view.id.to_string();
    let permitted = reading(shared, principal, &view);
    let by_right = permitted.as_ref().is_ok_and(Reading::is_whole);
    let reads = decide(
        principal,
        Action::Read,
        Subject::Place(super::Place::Status),
    );
    let urgent = !by_right
        && reads == Decision::Allow
        && shared.engine.emergency_lets_in(principal, view.id);
    let reading = if urgent {
        Reading::whole(kind)
    } else {
        permitted
            .map_err(|why| refusal(shared, principal, &id, "read", What::This(view.kind), why))?
    };
    if urgent || is_personal(kind) {
        let detail = match (urgent, how) {
            (false, how) => how.to_owned(),
            (true, "") => "in an emergency".to_owned(),
            (true, how) => format!("in an emergency, {how}"),
        };
        shared.engine.observe(&principal.name, "read", &id, &detail);
    }
    let withheld = cut(principal, &reading, &mut view);
    Ok(Shown {
        view,
        withheld,
        reading,
        urgent,
    })
}

/// A record just written, as far as somebody may see it: its id and version at least.
pub(crate) fn written(shared: &Shared, principal: &Principal, view: RecordView) -> Value {
    if reading(shared, principal, &view).is_err() {
        return json!({"_meta": {
            "id": view.id.to_string(),
            "kind": view.kind.singular(),
            "territory": view.territory,
            "etag": view.heads.etag(),
        }});
    }
    shown(shared, principal, view, "as written").map_or(Value::Null, |shown| shown.json())
}

/// A page of records; those that may not be read are passed over while it is made.
pub(crate) async fn list(
    shared: &Shared,
    principal: &Principal,
    kind: Kind,
    mut query: ListQuery,
) -> Result<Page<Shown>, ApiError> {
    query.sight = sight(principal, kind);
    let page = shared.engine.list(kind, query).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for mut view in page.items {
        let Ok(reading) = reading(shared, principal, &view) else {
            continue;
        };
        let withheld = cut(principal, &reading, &mut view);
        listed(shared, principal, kind, view.id);
        items.push(Shown {
            view,
            withheld,
            reading,
            urgent: false,
        });
    }
    Ok(Page {
        items,
        next: page.next,
    })
}

/// A page of list lines; those of records that may not be read are passed over while it is made.
pub(crate) async fn cards(
    shared: &Shared,
    principal: &Principal,
    kind: Kind,
    mut query: ListQuery,
) -> Result<Page<RecordCard>, ApiError> {
    query.sight = sight(principal, kind);
    let page = shared.engine.cards(kind, query).await?;
    for card in &page.items {
        listed(shared, principal, kind, card.id);
    }
    Ok(page)
}

/// What somebody sees of the records of a kind; none for who sees all. What is read of single
/// entries alone is not searched.
fn sight(principal: &Principal, kind: Kind) -> Option<Sight> {
    if principal.is_office() {
        return None;
    }
    let sections = |own| {
        let reading = Reading::of(principal, kind.singular(), own, false).ok()?;
        Some(match reading.searched() {
            None => Sections::All,
            Some(sections) => Sections::Only(sections),
        })
    };
    Some(Sight {
        own: sections(true),
        others: sections(false),
        protected: knows_protected(principal),
    })
}

/// Notes that a record was shown in a list, where that tells who somebody is.
fn listed(shared: &Shared, principal: &Principal, kind: Kind, id: DocumentId) {
    if is_personal(kind.singular()) {
        let id = id.to_string();
        shared
            .engine
            .observe(&principal.name, "read", &id, "in a list");
    }
}

/// What an export gives.
#[derive(Debug, Default)]
pub(crate) struct Exported {
    /// An import line each, sorted by reference.
    pub(crate) lines: Vec<String>,
    /// Entries that are kept to others and were left out.
    pub(crate) left_out: u64,
}

/// Every record of a kind, as far as somebody may.
pub(crate) async fn export(
    shared: &Shared,
    principal: &Principal,
    kind: Kind,
) -> Result<Exported, ApiError> {
    somewhere(shared, principal, kind, Action::Export)?;
    let exported = if principal.is_office() {
        Exported {
            lines: shared.engine.export(kind).await?,
            left_out: 0,
        }
    } else {
        readable(shared, principal, kind).await?
    };
    if is_personal(kind.singular()) {
        let detail = format!("{} {}", exported.lines.len(), kind.plural());
        shared
            .engine
            .observe(&principal.name, "export", "", &detail);
    }
    Ok(exported)
}

async fn readable(
    shared: &Shared,
    principal: &Principal,
    kind: Kind,
) -> Result<Exported, ApiError> {
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut left_out = 0;
    let mut cursor = None;
    loop {
        let query = ListQuery {
            limit: Some(500),
            cursor,
            ..ListQuery::default()
        };
        let page = shared.engine.list(kind, query).await?;
        for mut view in page.items {
            let own = view.territory == shared.engine.home();
            let part = frame(kind, own, view.protected);
            if decide(principal, Action::Export, Subject::Part(part)) != Decision::Allow {
                continue;
            }
            if let Ok(reading) = reading(shared, principal, &view) {
                left_out += reading.left_out().values().sum::<u64>();
                cut(principal, &reading, &mut view);
                let reference = import::exported_reference(view.id, &view.fields);
                let line = import::export_line(kind, view.id, view.created_at, &view.fields);
                lines.push((reference, line));
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            lines.sort();
            let lines = lines.into_iter().map(|(_, line)| line).collect();
            return Ok(Exported { lines, left_out });
        }
    }
}

/// Takes out of all that one person was offered what stands in sections that may not be read, and
/// says which lists are not whole.
pub(crate) fn offered(principal: &Principal, all: &mut Value) {
    let reads = |kind: Kind, section| {
        let part = Part {
            section,
            ..frame(kind, true, false)
        };
        decide(principal, Action::Read, Subject::Part(part)) == Decision::Allow
    };
    let mut withheld = Vec::new();
    for name in ["contacts", "services", "projects", "referrals"] {
        let items = all[name].as_array_mut();
        let before = items.as_ref().map_or(0, |items| items.len());
        let kept = items.map_or(0, |items| {
            items.retain(|item| match (name, item["from"].as_str()) {
                ("contacts", _) | (_, Some("contact")) => reads(Kind::Contact, Section::Frame),
                ("projects", _) => reads(Kind::Project, Section::Frame),
                ("referrals", _) => reads(Kind::Project, Section::Team),
                (_, Some("instrument")) => reads(Kind::Project, Section::Instruments),
                _ => reads(Kind::Project, Section::Social),
            });
            items.len()
        });
        if kept < before {
            withheld.push(name);
        }
    }
    if !withheld.is_empty() {
        all["withheld"] = json!(withheld);
    }
}

/// Whether somebody may read records of a kind in the own territory.
pub(crate) fn may_read(principal: &Principal, kind: Kind) -> bool {
    let part = frame(kind, true, false);
    decide(principal, Action::Read, Subject::Part(part)) == Decision::Allow
}

/// Whether somebody may know that a record of a kind changed.
pub(crate) fn may_hear(principal: &Principal, kind: Kind, own: bool) -> bool {
    Reading::of(principal, kind.singular(), own, true).is_ok()
}

fn reading(shared: &Shared, principal: &Principal, view: &RecordView) -> Result<Reading, Reason> {
    let there = There {
        kind: view.kind,
        own: view.territory == shared.engine.home(),
        protected: view.protected,
        fields: &view.fields,
        conflicts: &view.conflicts,
        overwritten: &view.overwritten,
    };
    there.reading(principal)
}

/// Takes out of a view what may not be read, and says which sections are not whole.
fn cut(principal: &Principal, reading: &Reading, view: &mut RecordView) -> Vec<String> {
    // Who else may be the same person tells who that one is.
    let knows_protected = knows_protected(principal);
    view.alike
        .retain(|alike| !alike.protected || knows_protected);
    if !knows_protected {
        view.flags.retain(|flag| flag.code != "subject_protected");
        view.shared_projects.clear();
    }
    if view.kind == Kind::Transfer {
        already_here(&mut view.fields, knows_protected);
    }
    // As the notice that says so.
    if !view.elsewhere.is_empty() && !may_read(principal, Kind::Notice) {
        view.elsewhere.clear();
        view.flags.retain(|flag| flag.code != "subject_elsewhere");
    }
    if reading.is_whole() {
        return Vec::new();
    }
    // Of a health service it may be.
    if reading.knows_no_circumstances() {
        view.updated_by = None;
    }
    reading.conflicts(&mut view.conflicts);
    reading.conflicts(&mut view.overwritten);
    view.flags.retain(|flag| reading.shows(&flag.path));
    view.resolved.retain(|one| reading.shows(&one.path));
    if !reading.shows("/subject") {
        view.elsewhere.clear();
    }
    if !reading.shows("/family_name") {
        // Who else has a like name tells of the name.
        view.alike.clear();
    }
    reading.fields(&mut view.fields)
}

/// Of who may arrive with a transfer: those here who are protected are left out for who may not know
/// them, and for nobody it is told which are.
fn already_here(fields: &mut Value, knows_protected: bool) {
    let Some(Value::Array(here)) = fields.get_mut("already_here") else {
        return;
    };
    here.retain(|one| knows_protected || one["protected"] != true);
    for one in here.iter_mut().filter_map(Value::as_object_mut) {
        one.remove("protected");
    }
}

pub(super) fn frame(kind: Kind, own: bool, protected: bool) -> Part<'static> {
    Part {
        kind: kind.singular(),
        section: Section::Frame,
        body: None,
        own,
        protected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Grant, Role};

    #[test]
    fn whoever_may_not_know_a_protected_person_is_not_told_that_they_may_arrive() {
        let here = json!({"state": "offered", "already_here": [
            {"person": "p", "why": ["fiscal_code"], "protected": true},
            {"person": "q", "why": ["name_and_year"], "protected": false}]});
        let people = |knows_protected| {
            let mut shown = here.clone();
            already_here(&mut shown, knows_protected);
            assert!(!shown.to_string().contains("protected"), "{shown}");
            let people = shown["already_here"].as_array().unwrap().iter();
            people
                .map(|one| one["person"].clone())
                .collect::<Vec<Value>>()
        };
        assert_eq!(people(false), ["q"]);
        assert_eq!(people(true), ["p", "q"]);
    }

    #[test]
    fn of_what_one_person_was_offered_each_role_sees_its_own_sections() {
        let all = json!({
            "contacts": [{"id": "c"}], "referrals": [{"id": "r"}], "projects": [{"id": "p"}],
            "services": [{"from": "contact"}, {"from": "instrument"}, {"from": "voucher"}],
        });
        let seen = |role, body: Option<&str>| {
            let body = body.map(str::to_owned);
            let principal = Principal {
                grants: vec![Grant { role, body }],
                ..Principal::office("prova")
            };
            let mut all = all.clone();
            offered(&principal, &mut all);
            all
        };
        assert_eq!(seen(Role::SocialWorker, None), all);
        let desk = seen(Role::AccessOperator, None);
        assert_eq!(desk["services"], json!([{"from": "contact"}]));
        assert_eq!(desk["projects"], all["projects"]);
        assert_eq!(desk["withheld"], json!(["services", "referrals"]));
        let health = seen(Role::Referent, Some("DSM"));
        assert_eq!(health["contacts"], json!([]));
        assert_eq!(health["referrals"], all["referrals"]);
    }
}

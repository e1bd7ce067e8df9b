//! Records on their way out and changes on their way in, as far as the one who asks may.
//!
//! Reads go through here: what may not be seen is left out, each reading of a personal record and
//! each for an emergency's sake is noted for the audit log. Changes are refused by section.

use raccordo_crdt_model::{DocumentId, Kind, import};
use serde_json::{Value, json};

use super::{refusal, somewhere};
use crate::access::sections::{is_personal, section_of, touched};
use crate::access::{Action, Decision, Part, Reading, Reason, Section, Subject, decide};
use crate::engine::{HistoryView, ListQuery, Page, Principal, RecordCard, RecordView};
use crate::http::problem::ApiError;
use crate::http::{Shared, json as shapes};

/// A record as far as somebody may see it.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) view: RecordView,
    /// Pointers of the sections that are not whole.
    pub(crate) withheld: Vec<String>,
    reading: Reading,
}

impl Shown {
    /// As the API gives it.
    pub(crate) fn json(&self) -> Value {
        let mut out = shapes::record(&self.view);
        if !self.withheld.is_empty() {
            out["_meta"]["withheld"] = json!(self.withheld);
        }
        out
    }

    /// What of the record's history may be seen with it.
    pub(crate) fn history(&self, mut items: Vec<HistoryView>) -> Vec<HistoryView> {
        if !self.reading.is_whole() {
            for item in &mut items {
                self.reading.changes(&mut item.changes);
            }
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
            .map_err(|why| refusal(shared, principal, &id, "read", &format!("this {kind}"), why))?
    };
    if urgent || is_personal(kind) {
        let detail = match (urgent, how) {
            (false, how) => how.to_owned(),
            (true, "") => "in an emergency".to_owned(),
            (true, how) => format!("in an emergency, {how}"),
        };
        shared.engine.observe(&principal.name, "read", &id, &detail);
    }
    let withheld = cut(&reading, &mut view);
    Ok(Shown {
        view,
        withheld,
        reading,
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

/// A page of records; those that may not be read are left out.
pub(crate) async fn list(
    shared: &Shared,
    principal: &Principal,
    kind: Kind,
    query: ListQuery,
) -> Result<Page<Shown>, ApiError> {
    let wanted = query.q.as_deref().map(str::trim).map(str::to_lowercase);
    let page = shared.engine.list(kind, query).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for mut view in page.items {
        let Ok(reading) = reading(shared, principal, &view) else {
            continue;
        };
        let withheld = cut(&reading, &mut view);
        // A search must not tell what stands in a section that is not shown.
        if !withheld.is_empty() && wanted.as_deref().is_some_and(|q| !says(&view.fields, q)) {
            continue;
        }
        listed(shared, principal, kind, view.id);
        items.push(Shown {
            view,
            withheld,
            reading,
        });
    }
    Ok(Page {
        items,
        next: page.next,
    })
}

/// A page of list lines; those of records that may not be read are left out.
pub(crate) async fn cards(
    shared: &Shared,
    principal: &Principal,
    kind: Kind,
    query: ListQuery,
) -> Result<Page<RecordCard>, ApiError> {
    let wanted = query.q.as_deref().map(str::trim).map(str::to_lowercase);
    let searches = wanted.as_deref().is_some_and(|q| !q.is_empty());
    let mut page = shared.engine.cards(kind, query).await?;
    if principal.is_office() {
        for card in &page.items {
            listed(shared, principal, kind, card.id);
        }
        return Ok(page);
    }
    let mut items = Vec::with_capacity(page.items.len());
    for card in page.items {
        let own = card.territory == shared.engine.home();
        let Ok(reading) = Reading::of(principal, kind.singular(), own, true) else {
            continue;
        };
        if searches && !reading.is_whole() {
            let mut view = shared.engine.record(kind, card.id).await?;
            cut(&reading, &mut view);
            if wanted.as_deref().is_some_and(|q| !says(&view.fields, q)) {
                continue;
            }
        }
        listed(shared, principal, kind, card.id);
        items.push(card);
    }
    page.items = items;
    Ok(page)
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

/// Every record of a kind as an import line, sorted by reference, as far as somebody may.
pub(crate) async fn export(
    shared: &Shared,
    principal: &Principal,
    kind: Kind,
) -> Result<Vec<String>, ApiError> {
    somewhere(shared, principal, kind, Action::Export)?;
    let lines = if principal.is_office() {
        shared.engine.export(kind).await?
    } else {
        exported(shared, principal, kind).await?
    };
    if is_personal(kind.singular()) {
        let detail = format!("{} {}", lines.len(), kind.plural());
        shared
            .engine
            .observe(&principal.name, "export", "", &detail);
    }
    Ok(lines)
}

async fn exported(
    shared: &Shared,
    principal: &Principal,
    kind: Kind,
) -> Result<Vec<String>, ApiError> {
    let mut lines: Vec<(String, String)> = Vec::new();
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
            let part = frame(kind, own, is_protected(&view));
            if decide(principal, Action::Export, Subject::Part(part)) != Decision::Allow {
                continue;
            }
            if let Ok(reading) = reading(shared, principal, &view) {
                cut(&reading, &mut view);
                let reference = view.fields["ref"].as_str().unwrap_or_default().to_owned();
                let line = import::export_line(kind, view.id, view.created_at, &view.fields);
                lines.push((reference, line));
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            lines.sort();
            return Ok(lines.into_iter().map(|(_, line)| line).collect());
        }
    }
}

/// Refuses to create a record with a section that may not be written.
pub(crate) fn create(
    shared: &Shared,
    principal: &Principal,
    kind: Kind,
    fields: &Value,
) -> Result<(), ApiError> {
    let frame = frame(kind, true, false);
    if let Decision::Deny(why) = decide(principal, Action::Create, Subject::Part(frame)) {
        return Err(refusal(shared, principal, "", "create", kind.plural(), why));
    }
    let mut reached = Vec::new();
    filled(kind.singular(), "", fields, &mut reached);
    for (section, root) in reached
        .iter()
        .filter(|(section, _)| *section != Section::Frame)
    {
        let body = body_at(fields, root);
        write(
            shared,
            principal,
            "",
            kind,
            (*section, root),
            body,
            Action::Edit,
        )?;
    }
    Ok(())
}

/// Refuses a patch that reaches a section that may not be edited; `operations` as they came.
pub(crate) async fn patch(
    shared: &Shared,
    principal: &Principal,
    kind: Kind,
    id: DocumentId,
    operations: &Value,
) -> Result<(), ApiError> {
    if principal.is_office() {
        // The scope was looked at when the request came in.
        return Ok(());
    }
    let view = shared.engine.record(kind, id).await?;
    let own = view.territory == shared.engine.home();
    let paths = operations.as_array().into_iter().flatten();
    for path in paths.filter_map(|one| one["path"].as_str()) {
        for (section, root) in touched(kind.singular(), path) {
            let part = Part {
                section,
                body: body_at(&view.fields, &root),
                ..frame(kind, own, is_protected(&view))
            };
            if let Decision::Deny(why) = decide(principal, Action::Edit, Subject::Part(part)) {
                let what = section_of_kind(kind, section, &root);
                return Err(
                    refusal(shared, principal, &id.to_string(), "edit", &what, why)
                        .member("section", json!(section.word())),
                );
            }
        }
    }
    Ok(())
}

/// Refuses to erase a record where the right ends at another territory's.
pub(crate) async fn erase(
    shared: &Shared,
    principal: &Principal,
    kind: Kind,
    id: DocumentId,
) -> Result<(), ApiError> {
    if principal.is_office() {
        return Ok(());
    }
    let view = shared.engine.record(kind, id).await?;
    let own = view.territory == shared.engine.home();
    match decide(
        principal,
        Action::Erase,
        Subject::Part(frame(kind, own, false)),
    ) {
        Decision::Deny(why) => {
            let what = format!("this {}", kind.singular());
            Err(refusal(
                shared,
                principal,
                &id.to_string(),
                "erase",
                &what,
                why,
            ))
        }
        Decision::Allow | Decision::Outline => Ok(()),
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

/// Why a line of an import may not be brought in by somebody; none if it may, or if the engine has
/// to say what is wrong with it.
pub(crate) fn line_refused(principal: &Principal, line: &str) -> Option<String> {
    if principal.is_office() {
        return None;
    }
    let line: Value = serde_json::from_str(line).ok()?;
    let kind = Kind::from_singular(line["kind"].as_str()?)?;
    let mut reached = vec![];
    if line["op"] == "create" {
        reached.push((Section::Frame, String::new()));
        filled(kind.singular(), "", &line["doc"], &mut reached);
    }
    let operations = line["patch"].as_array().into_iter().flatten();
    for path in operations.filter_map(|one| one["path"].as_str()) {
        reached.extend(touched(kind.singular(), path));
    }
    reached.into_iter().find_map(|(section, root)| {
        let part = Part {
            section,
            ..frame(kind, true, false)
        };
        match decide(principal, Action::Import, Subject::Part(part)) {
            Decision::Deny(why) => Some(format!(
                "{} may not import {}: {}",
                principal.roles(),
                section_of_kind(kind, section, &root),
                why.words()
            )),
            Decision::Allow | Decision::Outline => None,
        }
    })
}

/// Whether somebody may know that a record of a kind changed.
pub(crate) fn may_hear(principal: &Principal, kind: Kind, own: bool) -> bool {
    Reading::of(principal, kind.singular(), own, true).is_ok()
}

fn reading(shared: &Shared, principal: &Principal, view: &RecordView) -> Result<Reading, Reason> {
    let own = view.territory == shared.engine.home();
    Reading::of(principal, view.kind.singular(), own, is_protected(view))
}

/// Takes out of a view what may not be read, and says which sections are not whole.
fn cut(reading: &Reading, view: &mut RecordView) -> Vec<String> {
    if reading.is_whole() {
        return Vec::new();
    }
    reading.conflicts(&mut view.conflicts);
    reading.conflicts(&mut view.overwritten);
    view.flags.retain(|flag| reading.shows(&flag.path));
    if !reading.shows("/subject") {
        view.elsewhere.clear();
    }
    if !reading.shows("/family_name") {
        // Who else has a like name tells of the name.
        view.alike.clear();
    }
    reading.fields(&mut view.fields)
}

fn write(
    shared: &Shared,
    principal: &Principal,
    record: &str,
    kind: Kind,
    (section, root): (Section, &str),
    body: Option<&str>,
    action: Action,
) -> Result<(), ApiError> {
    let part = Part {
        section,
        body,
        ..frame(kind, true, false)
    };
    match decide(principal, action, Subject::Part(part)) {
        Decision::Deny(why) => {
            let what = section_of_kind(kind, section, root);
            Err(
                refusal(shared, principal, record, action.word(), &what, why)
                    .member("section", json!(section.word())),
            )
        }
        Decision::Allow | Decision::Outline => Ok(()),
    }
}

/// The sections in which a value holds something.
fn filled(kind: &str, pointer: &str, value: &Value, reached: &mut Vec<(Section, String)>) {
    let below = touched(kind, pointer);
    match value {
        Value::Null => {}
        Value::Object(members) if members.is_empty() => {}
        Value::Object(members) if below.len() > 1 || pointer.is_empty() => {
            for (name, value) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                filled(kind, &format!("{pointer}/{name}"), value, reached);
            }
        }
        _ => {
            let (section, root) = section_of(kind, pointer);
            reached.push((section, root.to_owned()));
        }
    }
}

fn frame(kind: Kind, own: bool, protected: bool) -> Part<'static> {
    Part {
        kind: kind.singular(),
        section: Section::Frame,
        body: None,
        own,
        protected,
    }
}

fn body_at<'a>(fields: &'a Value, root: &str) -> Option<&'a str> {
    fields.pointer(&format!("{root}/body"))?.as_str()
}

fn is_protected(view: &RecordView) -> bool {
    view.fields["protected"] == true
}

fn section_of_kind(kind: Kind, section: Section, root: &str) -> String {
    match section {
        Section::Frame => format!("the frame of a {}", kind.singular()),
        _ => format!(
            "the {} section of a {} ({root})",
            section.word(),
            kind.singular()
        ),
    }
}

/// Whether any text in a value contains what is looked for, in lower case.
fn says(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text.to_lowercase().contains(wanted),
        Value::Array(items) => items.iter().any(|item| says(item, wanted)),
        Value::Object(members) => members.values().any(|value| says(value, wanted)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Grant, Role};

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

//! Changes on their way in, as far as the one who asks may: refused by section, unless an entry's own
//! rule allows them.
//!
//! Does not know what is in a record beyond that; the engine checks it after.

use raccordo_crdt_model::{DocumentId, Kind};
use serde_json::{Value, json};

use super::records::frame;
use super::{What, own_name, refusal};
use crate::access::changes::{self, Kept, There};
use crate::access::entries::{self, Step};
use crate::access::sections::{section_of, touched};
use crate::access::{Action, Decision, Part, Section, Subject, decide, knows_protected};
use crate::engine::Principal;
use crate::http::Shared;
use crate::http::problem::ApiError;

/// Refuses to create a record with a section that may not be written.
pub(crate) fn create(
    shared: &Shared,
    principal: &Principal,
    kind: Kind,
    fields: &Value,
) -> Result<(), ApiError> {
    let frame = frame(kind, true, false);
    if let Decision::Deny(why) = decide(principal, Action::Create, Subject::Part(frame)) {
        return Err(refusal(
            shared,
            principal,
            "",
            "create",
            What::Kind(kind),
            why,
        ));
    }
    let mut reached = Vec::new();
    filled(kind.singular(), "", fields, &mut reached);
    for (section, root) in reached
        .iter()
        .filter(|(section, _)| *section != Section::Frame)
    {
        let part = Part {
            section: *section,
            body: body_at(fields, root),
            ..frame
        };
        if let Decision::Deny(why) = decide(principal, Action::Edit, Subject::Part(part))
            && !made_of_entries(principal, part, root, fields)
        {
            let what = What::Section(kind, *section, root);
            return Err(refusal(shared, principal, "", "edit", what, why)
                .member("section", json!(section.word())));
        }
    }
    own_name::created(shared, principal, kind, fields)
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
    let there = There {
        kind,
        own: view.territory == shared.engine.home(),
        protected: view.protected,
        fields: &view.fields,
        conflicts: &view.conflicts,
        overwritten: &view.overwritten,
    };
    let steps = operations.as_array().into_iter().flatten();
    let steps: Vec<Step<'_>> = steps.filter_map(Step::of).collect();
    let mut kept = changes::kept(principal, there, &steps);
    // Merged into a protected person's record, or taken out of it, a record would tell of them.
    if kept.is_none() && kind == Kind::Person && !knows_protected(principal) {
        for name in changes::merges(&view.fields, &steps) {
            if shared.engine.is_protected(name).await? {
                kept = Some(Kept::merge());
            }
        }
    }
    let Some(kept) = kept else {
        return own_name::patched(shared, principal, kind, id, &view, &steps).await;
    };
    let what = What::Section(kind, kept.section, &kept.root);
    let refused = refusal(shared, principal, &id.to_string(), "edit", what, kept.why);
    Err(refused.member("section", json!(kept.section.word())))
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
        Subject::Part(frame(kind, own, view.protected)),
    ) {
        Decision::Deny(why) => {
            let (id, what) = (id.to_string(), What::This(kind));
            Err(refusal(shared, principal, &id, "erase", what, why))
        }
        Decision::Allow | Decision::Outline => Ok(()),
    }
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
                What::Section(kind, section, &root).words(),
                why.words()
            )),
            Decision::Allow | Decision::Outline => None,
        }
    })
}

/// Writes into the notes of a new record who adds them.
pub(crate) fn name_author(principal: &Principal, kind: Kind, fields: &mut Value) {
    let diary = fields.get_mut("diary").and_then(Value::as_object_mut);
    for (id, note) in diary.into_iter().flatten() {
        let id = id.replace('~', "~0").replace('/', "~1");
        entries::name_author(principal, kind, &format!("/diary/{id}"), note);
    }
}

/// As [`name_author`], of a patch.
pub(crate) fn name_authors(principal: &Principal, kind: Kind, operations: &mut Value) {
    for operation in operations.as_array_mut().into_iter().flatten() {
        let path = operation["path"].as_str().unwrap_or_default().to_owned();
        if (operation["op"] == "add" || operation["op"] == "replace")
            && let Some(value) = operation.get_mut("value")
        {
            entries::name_author(principal, kind, &path, value);
        }
    }
}

/// Whether all that a new record holds at `root` are entries that may be written one by one.
fn made_of_entries(principal: &Principal, part: Part<'_>, root: &str, fields: &Value) -> bool {
    let entries = fields.pointer(root).and_then(Value::as_object);
    let paths = entries.into_iter().flatten().map(|(id, entry)| {
        let id = id.replace('~', "~0").replace('/', "~1");
        (format!("{root}/{id}"), entry)
    });
    let paths: Vec<(String, &Value)> = paths.collect();
    let steps = paths.iter().map(|(path, entry)| Step {
        op: "add",
        path,
        value: Some(entry),
    });
    let steps: Vec<Step<'_>> = steps.collect();
    let nothing = json!({});
    let may = |at| entries::allow(principal, part, &nothing, &steps, at);
    !steps.is_empty() && (0..steps.len()).all(may)
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

fn body_at<'a>(fields: &'a Value, root: &str) -> Option<&'a str> {
    fields.pointer(&format!("{root}/body"))?.as_str()
}

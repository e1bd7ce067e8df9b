//! Whose project it is: the pseudonym that a shared project carries, and the way back to the person,
//! which stands in the casefile alone.
//!
//! Also what keeps identities out of what is shared. All of it happens in the commit of the command
//! that asks for it, or nothing does.

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use raccordo_crdt_model::command::Operation;
use raccordo_crdt_model::field_rules::MERGED_INTO_NOBODY;
use raccordo_crdt_model::terms::telling;
use raccordo_crdt_model::{
    Audience, Document, DocumentId, Heads, Kind, Patch, Problem, Rejected, Stamp, Term, fiscal_code,
};
use serde_json::{Value, json};

use super::core::ReadFailed;
use super::draft::Draft;
use super::local;
use super::persons::{MERGED, MERGES_MAX};
use super::protection;
use super::token_key;
use super::view::CommandFailed;

/// The person whom a new project is for.
#[derive(Debug)]
pub(crate) struct Subject {
    /// Their record.
    pub(crate) person: DocumentId,
    reference: Option<String>,
    from: Value,
}

/// Takes the person out of the fields of a new project and puts their pseudonym in.
pub(crate) fn taken_out(
    draft: &mut Draft<'_>,
    kind: Kind,
    fields: &mut Value,
) -> Result<Option<Subject>, CommandFailed> {
    let subject = fields.get_mut("subject").and_then(Value::as_object_mut);
    let named = subject.and_then(|subject| subject.remove("person"));
    let Some(named) = named.filter(|_| kind == Kind::Project) else {
        return Ok(None);
    };
    let name = named.as_str().ok_or_else(|| {
        let detail = "the person is named by a text: the id or reference of their record";
        invalid("/subject/person", "wrong_type", detail)
    })?;
    let person = person(draft, name)?;
    let document = draft.document(person)?.ok_or_else(|| missing(name))?;
    let record = document.record().fields;
    let local = fields.get("sharing").and_then(Value::as_str) == Some("local");
    let household = fields["subject"]["kind"] == json!("household");
    if !local && protection::stays_home(draft, person, household)? {
        return Err(protected("/sharing"));
    }
    if let Some(token) = token(draft, &record, household)? {
        fields["subject"]["token"] = json!(token);
    }
    Ok(Some(Subject {
        person,
        reference: record["ref"].as_str().map(str::to_owned),
        from: fields.get("opened_on").cloned().unwrap_or(Value::Null),
    }))
}

/// Notes a project in the casefile of its subject, which is opened if there is none.
pub(crate) fn link(
    draft: &mut Draft<'_>,
    subject: &Subject,
    project: DocumentId,
    by: &str,
) -> Result<(), CommandFailed> {
    let entry = json!({"project": project.to_string(), "from": subject.from});
    let key = project.to_string()[..8].to_owned();
    if let Some(casefile) = casefile(draft, subject)? {
        let patch = json!([{"op": "add", "path": format!("/projects/{key}"), "value": entry}]);
        let patch = Patch::parse(&patch).expect("an entry by a key of hexadecimal digits");
        local::patch(draft, Kind::Casefile, casefile, &patch, None, by)?;
        return Ok(());
    }
    let fields = json!({"subject": subject.person.to_string(), "projects": {key: entry}});
    local::create(draft, Kind::Casefile, &fields, by)?;
    Ok(())
}

/// Refuses to note in the casefile of somebody protected a project that goes to others.
pub(crate) fn links_stay_home(
    draft: &Draft<'_>,
    subject: &Value,
    links: &[(String, &str)],
) -> Result<(), CommandFailed> {
    let subject = subject.as_str().unwrap_or_default();
    if links.is_empty() || !protection::named(draft, subject)? {
        return Ok(());
    }
    for (pointer, project) in links {
        if protection::shared(draft, project)?.is_some() {
            return Err(protected(pointer));
        }
    }
    Ok(())
}

/// The projects that the fields of a casefile name, and where.
pub(crate) fn links_in(fields: &Value) -> Vec<(String, &str)> {
    links_at("/projects", &fields["projects"])
}

/// The projects that a patch of a casefile names, and where.
pub(crate) fn links_of(patch: &Patch) -> Vec<(String, &str)> {
    let mut links = Vec::new();
    for (pointer, operation) in patch.steps() {
        let (Operation::Add(value) | Operation::Replace(value)) = operation else {
            continue;
        };
        let tokens: Vec<&str> = pointer.tokens().iter().map(String::as_str).collect();
        let name = match tokens.as_slice() {
            [] => {
                links.extend(links_in(value));
                continue;
            }
            ["projects"] => {
                links.extend(links_at("/projects", value));
                continue;
            }
            ["projects", _] => &value["project"],
            ["projects", _, "project"] => value,
            _ => continue,
        };
        links.extend(name.as_str().map(|name| (pointer.to_string(), name)));
    }
    links
}

fn links_at<'a>(root: &str, links: &'a Value) -> Vec<(String, &'a str)> {
    let links = links.as_object().into_iter().flatten();
    let named = links.filter_map(|(key, link)| {
        let key = key.replace('~', "~0").replace('/', "~1");
        Some((format!("{root}/{key}/project"), link["project"].as_str()?))
    });
    named.collect()
}

/// Refuses what would tell who somebody is in a record that goes to others.
pub(crate) fn may_be_shared(document: &Document, value: &Value) -> Result<(), Rejected> {
    let names_person = value.pointer("/subject/person").is_some();
    if names_person && document.kind() == Kind::Project {
        return Err(person_in_project());
    }
    no_code_in(document, value, "")
}

/// Refuses a fiscal code as the author of a change of a record that goes to others.
pub(crate) fn author_may_be_shared(document: &Document, by: Option<&str>) -> Result<(), Rejected> {
    let named = by.is_some_and(|by| fiscal_code::found_in(by).is_some());
    if named && leaves(document) {
        return Err(identity("/by"));
    }
    Ok(())
}

/// Whether a record goes to nodes of other territories in the plain.
fn leaves(document: &Document) -> bool {
    match document.kind().audience() {
        Audience::Territory => false,
        Audience::Home => !document.is_local(),
        Audience::Everyone | Audience::Parties => true,
    }
}

/// Refuses a fiscal code in what stands at a pointer of a record that goes to others.
fn no_code_in(document: &Document, value: &Value, at: &str) -> Result<(), Rejected> {
    let found = code_within(value, &mut Vec::new()).filter(|_| leaves(document));
    let Some(below) = found else {
        return Ok(());
    };
    Err(identity(&format!("{at}{below}")))
}

fn identity(pointer: &str) -> Rejected {
    let detail = "a fiscal code stands here, and the record goes out of the territory: write it \
                  without, identities belong to the casefile";
    broken(pointer, "identity_in_shared_record", detail)
}

/// As [`may_be_shared`], of a patch.
pub(crate) fn patch_may_be_shared(document: &Document, patch: &Patch) -> Result<(), Rejected> {
    for (pointer, operation) in patch.steps() {
        let (Operation::Add(value) | Operation::Replace(value)) = operation else {
            continue;
        };
        let tokens: Vec<&str> = pointer.tokens().iter().map(String::as_str).collect();
        let names_person = match tokens.as_slice() {
            ["subject", "person", ..] => true,
            ["subject"] => value.get("person").is_some(),
            [] => value.pointer("/subject/person").is_some(),
            _ => false,
        };
        if names_person && document.kind() == Kind::Project {
            return Err(person_in_project());
        }
        let names_one = |name: &&str| fiscal_code::found_in(name).is_some();
        if tokens.iter().any(names_one) && leaves(document) {
            return Err(identity(&pointer.to_string()));
        }
        no_code_in(document, value, &pointer.to_string())?;
    }
    Ok(())
}

/// Refuses to merge a person's record into none, or into one that is not there.
pub(crate) fn merges_into_somebody(
    draft: &mut Draft<'_>,
    before: &Document,
    patch: &Patch,
    base: Option<&Heads>,
    stamp: &Stamp,
) -> Result<(), CommandFailed> {
    let mut after = before.clone();
    // What the patch itself breaks is said where it is made.
    if after.patch(patch, base, stamp).is_err() {
        return Ok(());
    }
    let (was, now) = (before.record().fields, after.record().fields);
    let same = |name: &str| was[name] == now[name];
    if now["state"] != MERGED || (same("state") && same("merged_into")) {
        return Ok(());
    }
    let stands = match now["merged_into"].as_str() {
        Some(into) => match person(draft, into) {
            Ok(stands) => Some(stands).filter(|stands| *stands != before.id()),
            Err(CommandFailed::NotFound { .. }) => None,
            Err(failed) => return Err(failed),
        },
        None => None,
    };
    match stands {
        Some(_) => Ok(()),
        None => Err(CommandFailed::Rejected(merged_into_nobody())),
    }
}

/// The refusal of [`merges_into_somebody`].
pub(crate) fn merged_into_nobody() -> Rejected {
    let detail = "a record is merged into that of another person of this territory, and merged_into names \
                  none that is here";
    broken("/merged_into", MERGED_INTO_NOBODY, detail)
}

/// Refuses a second living record with one fiscal code.
pub(crate) fn code_is_free(
    draft: &Draft<'_>,
    own: DocumentId,
    code: Option<&Value>,
) -> Result<(), CommandFailed> {
    let code = code.and_then(Value::as_str);
    let Some(code) = code.and_then(|code| fiscal_code::normal(&code.to_uppercase()).ok()) else {
        return Ok(());
    };
    for id in draft.found_by(&Term::Code(code))? {
        let state = draft.state_of(id)?;
        if id != own && state.is_some_and(|state| state != MERGED) {
            // A refusal would tell that somebody protected is here, to who may not know it.
            if !draft.knows_protected && protection::person(draft, id)? {
                continue;
            }
            // Not whose: who may know finds the record by its code.
            let detail = "another person has this fiscal code: use that record, which a search for \
                          the code finds, or merge the two if both are there";
            let refused = broken("/fiscal_code", "fiscal_code_in_use", detail);
            return Err(CommandFailed::Rejected(refused));
        }
    }
    Ok(())
}

/// The pseudonym of a person: from the fiscal code, else from sound of the name, year and sex.
pub(crate) fn token(
    draft: &mut Draft<'_>,
    person: &Value,
    household: bool,
) -> Result<Option<String>, ReadFailed> {
    let terms = telling(person);
    let of = terms.iter().find_map(|term| match term {
        Term::Code(code) => Some(("t1", code.clone())),
        _ => None,
    });
    let weak = || {
        let sound = terms.iter().find_map(|term| match term {
            Term::Alike(_) => Some(term.text().rsplit_once(' ')?.0),
            _ => None,
        })?;
        // Of a weak token the whole year counts.
        let year = person["born_on"].as_str()?.get(..4)?;
        let sex = person["sex"].as_str().unwrap_or("-");
        Some(("w1", format!("{sound} {year} {sex}")))
    };
    let Some((form, text)) = of.or_else(weak) else {
        return Ok(None);
    };
    let year = token_key::year_of(draft.now_ms);
    let key = token_key::of_year(draft, year)?;
    let kind = if household { "household" } else { "person" };
    let told = ["raccordo-token-1", form, kind, &text].join("\0");
    let tag = hmac::sign(&key, told.as_bytes());
    Ok(Some(format!(
        "{form}:{year}:{}",
        HEXLOWER.encode(tag.as_ref())
    )))
}

/// The person that an id or reference names, past merges.
pub(crate) fn person(draft: &mut Draft<'_>, name: &str) -> Result<DocumentId, CommandFailed> {
    let mut name = name.to_owned();
    for _ in 0..MERGES_MAX {
        let by_id = DocumentId::parse(&name).ok();
        let id = match by_id.filter(|id| draft.holds(*id).unwrap_or(false)) {
            Some(id) => id,
            None => {
                let territory = draft.core.territory();
                let held = local::holders(draft, Kind::Person, &territory, &name)?;
                *held.first().ok_or_else(|| missing(&name))?
            }
        };
        let document = draft.document(id)?.ok_or_else(|| missing(&name))?;
        if document.kind() != Kind::Person {
            return Err(missing(&name));
        }
        let fields = document.record().fields;
        match fields["merged_into"].as_str() {
            Some(into) if fields["state"] == MERGED => into.clone_into(&mut name),
            _ => return Ok(id),
        }
    }
    Err(missing(&name))
}

/// The open casefile of a person, or any; of several the one that was there first.
fn casefile(draft: &mut Draft<'_>, subject: &Subject) -> Result<Option<DocumentId>, ReadFailed> {
    let names = [Some(subject.person.to_string()), subject.reference.clone()];
    let mut found = Vec::new();
    for name in names.into_iter().flatten() {
        for id in draft.found_by(&Term::About(name))? {
            let document = draft.document(id)?;
            if let Some(document) = document.filter(|found| found.kind() == Kind::Casefile) {
                let record = document.record();
                let open = record.fields["state"] == json!("open");
                found.push((!open, record.created_at, id));
            }
        }
    }
    Ok(found.into_iter().min().map(|(_, _, id)| id))
}

/// Where in a value a fiscal code stands, as a text or as a name.
fn code_within(value: &Value, way: &mut Vec<String>) -> Option<String> {
    let place = |way: &[String]| {
        let keys = way
            .iter()
            .map(|key| key.replace('~', "~0").replace('/', "~1"));
        keys.fold(String::new(), |out, key| out + "/" + &key)
    };
    let inner: Vec<(String, &Value)> = match value {
        Value::String(text) => return fiscal_code::found_in(text).map(|_| place(way)),
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.map(|(at, item)| (at.to_string(), item)).collect()
        }
        Value::Object(members) => members
            .iter()
            .map(|(name, item)| (name.clone(), item))
            .collect(),
        _ => return None,
    };
    for (name, item) in inner {
        let is_one = value.is_object() && fiscal_code::found_in(&name).is_some();
        way.push(name);
        let found = if is_one {
            Some(place(way))
        } else {
            code_within(item, way)
        };
        way.pop();
        if found.is_some() {
            return found;
        }
    }
    None
}

fn missing(name: &str) -> CommandFailed {
    CommandFailed::NotFound {
        kind: Kind::Person.singular(),
        id: name.to_owned(),
    }
}

fn invalid(pointer: &str, code: &'static str, detail: &str) -> CommandFailed {
    CommandFailed::Rejected(Rejected::Invalid(vec![Problem::new(pointer, code, detail)]))
}

fn broken(pointer: &str, code: &'static str, detail: &str) -> Rejected {
    Rejected::Rule(Problem::new(pointer, code, detail))
}

fn protected(pointer: &str) -> CommandFailed {
    let detail = "somebody whom this project is about is protected, and a shared project goes to the \
                  coordination: create it with sharing local";
    CommandFailed::Rejected(broken(pointer, "protected_subject", detail))
}

fn person_in_project() -> Rejected {
    let detail = "a project does not store whose it is: name the person when it is created here, or \
                  add the project to their casefile";
    broken("/subject/person", "person_in_project", detail)
}

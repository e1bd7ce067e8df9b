//! What is decided entry by entry within a section: notes kept to few, what is asked of one body, and
//! assessments by their kind.
//!
//! Pure, as the decision itself: takes a record's fields and a patch's operations as JSON. A patch that
//! this module does not allow may still be allowed by its section.

use std::collections::BTreeSet;

use raccordo_crdt_model::{HistoryChange, Kind};
use serde_json::Value;

use super::sections::{Section, section_of};
use super::table::tells_no_health;
use super::{Action, Decision, Part, Principal, Role, Subject, bodies, decide};

/// Assessments that the social service writes too, beside the bodies of the health section.
const SOCIAL_ASSESSMENTS: [&str; 4] = ["PRELIM", "QUADRO", "UVM", "PROFILO_OCC"];
/// Assessments that the bodies that bring into work write too.
const WORK_ASSESSMENTS: [&str; 1] = ["PROFILO_OCC"];
/// What the body that a referral goes to writes of it.
const ANSWER: [&str; 4] = ["state", "answered_on", "outcome", "reason_of_refusal"];
/// States that only the sender of a referral gives it.
const SENDERS_STATES: [&str; 2] = ["sent", "withdrawn"];

/// One operation on a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'a> {
    pub(crate) op: &'a str,
    pub(crate) path: &'a str,
    pub(crate) value: Option<&'a Value>,
}

impl<'a> Step<'a> {
    /// The operation of a patch by RFC 6902; none where it has no path.
    pub(crate) fn of(operation: &'a Value) -> Option<Self> {
        Some(Self {
            op: operation["op"].as_str().unwrap_or_default(),
            path: operation["path"].as_str()?,
            value: operation.get("value"),
        })
    }

    pub(super) fn keys(&self) -> Vec<String> {
        keys(self.path)
    }

    /// What it sets.
    fn sets(&self) -> Option<&'a Value> {
        self.value.filter(|_| matches!(self.op, "add" | "replace"))
    }
}

/// Notes of a diary that somebody may not read though they read the diary: their pointers. Only their
/// author, case managers and the office read a restricted note. `rivals`: notes that one of several
/// simultaneous edits restricts.
pub(crate) fn restricted(
    principal: &Principal,
    kind: &str,
    fields: &Value,
    rivals: &BTreeSet<String>,
) -> BTreeSet<String> {
    if kind != Kind::Casefile.singular() || reads_restricted(principal) {
        return BTreeSet::new();
    }
    let notes = fields["diary"].as_object().into_iter().flatten();
    notes
        .map(|(id, note)| (pointer(&["diary", id]), note))
        .filter(|(at, note)| note["restricted"] == true || rivals.contains(at))
        .filter(|(_, note)| !is_author(principal, &note["author"]))
        .map(|(at, _)| at)
        .collect()
}

/// As [`restricted`], of notes that a history tells of and that are not there any more.
pub(crate) fn restricted_once<'a>(
    principal: &Principal,
    kind: &str,
    shown: &Value,
    changes: impl Iterator<Item = &'a HistoryChange>,
) -> BTreeSet<String> {
    let mut hidden = BTreeSet::new();
    let mut own = BTreeSet::new();
    if kind != Kind::Casefile.singular() || reads_restricted(principal) {
        return hidden;
    }
    let mut says = |id: &str, name: &str, value: &Value| match name {
        "restricted" if *value == true => drop(hidden.insert(id.to_owned())),
        "author" if is_author(principal, value) => drop(own.insert(id.to_owned())),
        _ => {}
    };
    for change in changes {
        let Some(value) = &change.value else {
            continue;
        };
        let keys = keys(&change.path);
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut note = |id: &str, note: &Value| {
            for (name, value) in note.as_object().into_iter().flatten() {
                says(id, name, value);
            }
        };
        match keys.as_slice() {
            ["diary", id, name] => says(id, name, value),
            ["diary", id] => note(id, value),
            [] | ["diary"] => {
                let diary = if keys.is_empty() {
                    &value["diary"]
                } else {
                    value
                };
                for (id, entry) in diary.as_object().into_iter().flatten() {
                    note(id, entry);
                }
            }
            _ => {}
        }
    }
    hidden
        .into_iter()
        .filter(|id| !own.contains(id) && shown["diary"].get(id).is_none())
        .map(|id| pointer(&["diary", &id]))
        .collect()
}

/// Members of a project's team who tell of somebody's health: those of a health service, and those of
/// whom it is not said or not known what they are of. `said`: values with their pointers.
pub(crate) fn health_team<'a>(
    said: impl Iterator<Item = (&'a str, &'a Value)>,
) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut look = |id: &str, body: &Value| {
        if !body.as_str().is_some_and(tells_no_health) {
            found.insert(pointer(&["team", id]));
        }
    };
    for (at, value) in said {
        let keys = keys(at);
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let team = match keys.as_slice() {
            [] => &value["team"],
            ["team"] => value,
            ["team", id] => {
                look(id, &value["body"]);
                continue;
            }
            ["team", id, "body"] => {
                look(id, value);
                continue;
            }
            _ => continue,
        };
        for (id, member) in team.as_object().into_iter().flatten() {
            look(id, &member["body"]);
        }
    }
    found
}

/// What somebody reads whole though its section is not shown: of a project what is asked of the body
/// that they stand for, the plan that it answers for, the referrals sent to it, the decisions that
/// await its vote, never a health plan; of a casefile the assessments that are their profession's own.
pub(crate) fn asked_of(
    principal: &Principal,
    kind: &str,
    own: bool,
    fields: &Value,
) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for body in answering(principal, kind, own) {
        let mut find = |container: &str, is_asked: &dyn Fn(&Value) -> bool| {
            for (id, entry) in fields[container].as_object().into_iter().flatten() {
                let at = pointer(&[container, id]);
                if is_asked(entry) && section_of(kind, &at).0 != Section::Health {
                    found.insert(at);
                }
            }
        };
        find("plans", &|plan| plan["body"] == body);
        find("referrals", &|referral| referral["to"] == body);
        find("decisions", &|decision| awaits(decision, body));
    }
    if kind == Kind::Casefile.singular() {
        let part = Part {
            kind,
            section: Section::Diary,
            body: None,
            own,
            protected: false,
        };
        let assessments = fields["assessments"].as_object().into_iter().flatten();
        let own_work = assessments.filter(|(_, one)| reads_back(principal, part, &one["kind"]));
        found.extend(own_work.map(|(id, _)| pointer(&["assessments", id])));
    }
    found
}

/// Whether an assessment of this kind is read by who may write it: the social service's preliminary
/// one and the occupational profile. Those of the whole team hold what health services found.
fn reads_back(principal: &Principal, part: Part<'_>, assessed: &Value) -> bool {
    let shared = assessed == "PRELIM" || WORK_ASSESSMENTS.iter().any(|one| assessed == one);
    shared && writes_assessment(principal, part, assessed)
}

/// Whether a step on a record with these fields is allowed by the entry that it is about, where its
/// section is not; `steps`: all of them, since earlier ones may have made the entry.
pub(crate) fn allow(
    principal: &Principal,
    part: Part<'_>,
    fields: &Value,
    steps: &[Step<'_>],
    at: usize,
) -> bool {
    if part.kind == Kind::Project.singular() {
        answers(principal, part, fields, &steps[at])
    } else if part.kind == Kind::Casefile.singular() {
        assesses(principal, part, fields, steps, &steps[at])
    } else {
        false
    }
}

/// Whether a step reaches one of these entries.
pub(crate) fn reaches(step: &str, entry: &str) -> bool {
    is_at_or_below(step, entry) || is_at_or_below(entry, step)
}

/// Writes the author into notes that somebody adds: the one who adds them. Of a diary that is given
/// whole into those alone that do not say, since some may have been there before.
pub(crate) fn name_author(principal: &Principal, kind: Kind, pointer: &str, value: &mut Value) {
    if kind != Kind::Casefile || principal.is_office() {
        return;
    }
    let name = || Value::from(principal.name.clone());
    let keys = keys(pointer);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let diary = match keys.as_slice() {
        ["diary", _] => {
            if let Value::Object(note) = value {
                note.insert("author".to_owned(), name());
            }
            return;
        }
        ["diary"] => Some(value),
        [] => value.get_mut("diary"),
        _ => None,
    };
    let notes = diary.and_then(Value::as_object_mut);
    for note in notes.into_iter().flatten().map(|(_, note)| note) {
        if let Value::Object(note) = note {
            note.entry("author").or_insert_with(name);
        }
    }
}

/// Whether a pointer is `root` or stands below it.
pub(crate) fn is_at_or_below(pointer: &str, root: &str) -> bool {
    pointer
        .strip_prefix(root)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A vote or signature in the own body's name, or the answer to a referral sent to it.
fn answers(principal: &Principal, part: Part<'_>, fields: &Value, step: &Step<'_>) -> bool {
    let keys = step.keys();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let Some(value) = step.sets() else {
        return false;
    };
    let bodies = answering(principal, part.kind, part.own);
    bodies.into_iter().any(|body| match keys.as_slice() {
        ["decisions", decision, "votes", vote, rest @ ..] => {
            let decision = &fields["decisions"][*decision];
            let cast = decision["votes"].get(vote);
            let own = cast.is_some_and(|cast| cast["body"] == body);
            let says = match rest {
                [] => value["body"] == body && (cast.is_none() || own),
                ["body"] => false,
                _ => own,
            };
            awaits(decision, body) && says
        }
        ["referrals", referral, name] => {
            let to = &fields["referrals"][*referral]["to"];
            let given = *name == "state" && SENDERS_STATES.iter().any(|state| value == state);
            *to == body && ANSWER.contains(name) && !given
        }
        ["plans", plan, "signatures", signature] => {
            let plan = &fields["plans"][*plan];
            part.section != Section::Health
                && plan["body"] == body
                && plan["signatures"].get(signature).is_none()
                && value["body"] == body
                && value["person"] != true
        }
        _ => false,
    })
}

/// Whether a decision awaits a body's vote: its quorum names it, or nobody.
pub(super) fn awaits(decision: &Value, body: &str) -> bool {
    let quorum = decision["quorum"].as_array();
    decision.is_object()
        && quorum.is_none_or(|quorum| quorum.is_empty() || quorum.iter().any(|one| one == body))
}

/// An assessment of a kind that is not the health section's alone, before the patch and after it.
fn assesses(
    principal: &Principal,
    part: Part<'_>,
    fields: &Value,
    steps: &[Step<'_>],
    step: &Step<'_>,
) -> bool {
    let about = step.keys();
    let [container, id, ..] = about.as_slice() else {
        return false;
    };
    // What is not read must not be guessed by tests.
    if container != "assessments" || !matches!(step.op, "add" | "replace" | "remove") {
        return false;
    }
    let before = fields["assessments"].get(id);
    let mut kinds: Vec<&Value> = before.map(|entry| &entry["kind"]).into_iter().collect();
    for step in steps {
        let keys = step.keys();
        match keys
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .as_slice()
        {
            ["assessments", of] if of == id => {
                kinds.extend(step.sets().map(|entry| &entry["kind"]));
            }
            ["assessments", of, "kind"] if of == id => {
                kinds.push(step.sets().unwrap_or(&Value::Null));
            }
            _ => {}
        }
    }
    !kinds.is_empty()
        && kinds
            .into_iter()
            .all(|kind| writes_assessment(principal, part, kind))
}

/// Whether somebody writes assessments of this kind beside the bodies of the health section.
fn writes_assessment(principal: &Principal, part: Part<'_>, assessed: &Value) -> bool {
    let may = |action, section| {
        let asked = Part { section, ..part };
        decide(principal, action, Subject::Part(asked)) == Decision::Allow
    };
    let is_of = |list: &[&str]| list.iter().any(|one| assessed == one);
    (is_of(&SOCIAL_ASSESSMENTS) && may(Action::Edit, Section::Social))
        || (is_of(&WORK_ASSESSMENTS) && may(Action::Assess, Section::Work))
}

/// The bodies in whose name somebody answers.
pub(super) fn answering<'a>(principal: &'a Principal, kind: &str, own: bool) -> Vec<&'a str> {
    if kind != Kind::Project.singular() {
        return Vec::new();
    }
    let part = Part {
        kind,
        section: Section::Team,
        body: None,
        own,
        protected: false,
    };
    bodies(principal, Action::Answer, part)
}

fn reads_restricted(principal: &Principal) -> bool {
    let roles = principal.grants.iter().map(|grant| grant.role);
    roles
        .into_iter()
        .any(|role| matches!(role, Role::Office | Role::CaseManager))
}

fn is_author(principal: &Principal, author: &Value) -> bool {
    author
        .as_str()
        .is_some_and(|author| author == principal.name)
}

pub(super) fn pointer(keys: &[&str]) -> String {
    let escaped = keys
        .iter()
        .map(|key| key.replace('~', "~0").replace('/', "~1"));
    escaped.fold(String::new(), |out, key| out + "/" + &key)
}

fn keys(pointer: &str) -> Vec<String> {
    let keys = pointer.split('/').skip(1);
    keys.map(|key| key.replace("~1", "/").replace("~0", "~"))
        .collect()
}

//! What a patch means for a record: which parts it touches, what they hold before and after.
//!
//! A part is the smallest thing that is checked whole: a field, a sub-entity, or a container if
//! the patch names it. Only the touched parts are read. Guarantees: the document is not changed,
//! and what is wrong is reported all at once. Does not know how the parts are written.

use std::collections::{BTreeMap, BTreeSet};

use automerge::{Automerge, ObjId, ObjType, ROOT, ReadDoc as _};
use serde_json::Value;

use super::codec::same;
use super::create::add_containers;
use super::held::read_key;
use super::merge::View;
use super::united::{self, Walk, prune, prune_inside};
use super::write::place;
use crate::command::{Operation, Patch, Pointer, escape};
use crate::problem::{Problem, Rejected};
use crate::rules::{Findings, within};
use crate::schema::{Entity, Field, Kind, Node, Rule, find};

/// What the table says of the place of a part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Place {
    /// The whole record.
    Whole,
    /// A field of the table.
    Field(&'static Field),
    /// A field that the table does not know.
    Unknown,
    /// A sub-entity.
    Entry(&'static Entity),
}

impl Place {
    /// Whether this value is a lazy container that holds nothing.
    fn is_hidden(self, value: &Value) -> bool {
        matches!(self, Self::Field(field) if field.lazy && field.is_container())
            && value.as_object().is_some_and(serde_json::Map::is_empty)
    }
}

/// One touched part of the record.
#[derive(Debug)]
pub(super) struct Part {
    /// Keys from the root.
    pub(super) way: Vec<String>,
    pub(super) place: Place,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
    /// Pointers of the registers in it that hold several values.
    pub(super) open: Vec<String>,
    /// Pointers of the sub-entities in it that came back after a removal.
    pub(super) returned: Vec<String>,
}

/// A patch, read against one version of a record.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) kind: Kind,
    pub(super) parts: Vec<Part>,
    /// Pointers that the patch sets, whatever value was there.
    pub(super) set: Vec<Pointer>,
    /// Reasons of removals by pointer.
    pub(super) reasons: BTreeMap<String, String>,
}

impl Part {
    /// Pointer of the part.
    pub(super) fn path(&self) -> String {
        path_of(&self.way)
    }

    /// Whether the patch leaves another value.
    pub(super) fn differs(&self) -> bool {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => !same(before, after),
            (before, after) => before.is_some() != after.is_some(),
        }
    }

    /// Leaves only what stands at `way`, one key further down.
    fn narrow(&mut self, way: &[String], place: Place) {
        let key = way.last().map_or("", String::as_str);
        self.before = match self.before.take() {
            Some(Value::Object(mut members)) => members.remove(key),
            _ => None,
        };
        self.after = self.before.clone();
        self.way = way.to_vec();
        self.place = place;
        let path = self.path();
        let within = |found: &String| {
            let rest = found.strip_prefix(&path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.open.retain(within);
        self.returned.retain(within);
    }

    /// Makes the lazy containers on the way to what an operation adds.
    fn make_way(&mut self, kind: Kind, inner: &[String]) {
        let Some((_, parents)) = inner.split_last() else {
            return;
        };
        let empty = || Value::Object(serde_json::Map::new());
        if matches!(self.place, Place::Field(field) if field.lazy && field.is_container()) {
            self.after.get_or_insert_with(empty);
        }
        let mut walk = Walk::new(kind);
        for key in &self.way {
            walk.step(key);
        }
        let mut value = self.after.as_mut();
        for key in parents {
            let Some(Value::Object(members)) = value else {
                return;
            };
            let lazy = walk.step(key).is_some_and(|f| f.lazy && f.is_container());
            if lazy && !members.contains_key(key) {
                members.insert(key.clone(), empty());
            }
            value = members.get_mut(key);
        }
    }

    /// The values before and after at an absolute pointer inside the part.
    pub(super) fn at<'a>(&'a self, pointer: &str) -> (Option<&'a Value>, Option<&'a Value>) {
        let inner = pointer.strip_prefix(&self.path()).unwrap_or_default();
        let look = |value: &'a Option<Value>| value.as_ref().and_then(|value| value.pointer(inner));
        (look(&self.before), look(&self.after))
    }
}

/// The JSON pointer of these keys.
pub(super) fn path_of(way: &[String]) -> String {
    let mut path = String::new();
    for key in way {
        path.push('/');
        path.push_str(&escape(key));
    }
    path
}

impl Plan {
    /// Reads the touched parts, carries the patch out on their JSON and checks the result.
    pub(super) fn read(
        document: &Automerge,
        kind: Kind,
        patch: &Patch,
        imported: bool,
    ) -> Result<Self, Rejected> {
        let mut problems = Vec::new();
        let mut parts = Vec::new();
        for way in ways(kind, patch) {
            if way.first().is_some_and(|name| name.starts_with('_')) {
                let detail = "names that begin with _ are kept for the program";
                problems.push(Problem::new(path_of(&way), "reserved_field", detail));
                continue;
            }
            match read_part(document, kind, way) {
                Ok(part) => parts.push(part),
                Err(problem) => problems.push(problem),
            }
        }
        let mut plan = Self {
            kind,
            parts,
            set: Vec::new(),
            reasons: BTreeMap::new(),
        };
        plan.carry_out(patch, &mut problems)?;
        for part in &mut plan.parts {
            keep_containers(kind, part);
            if part.differs() {
                check(kind, part, imported, &mut problems);
            }
        }
        if problems.is_empty() {
            Ok(plan)
        } else {
            Err(Rejected::Invalid(problems))
        }
    }

    fn carry_out(&mut self, patch: &Patch, problems: &mut Vec<Problem>) -> Result<(), Rejected> {
        for (pointer, operation) in patch.steps() {
            // A value that is not there is not the one that the patch tests for.
            let is_test = matches!(operation, Operation::Test(_));
            let differs = || Rejected::TestFailed {
                pointer: pointer.to_string(),
            };
            let Some(part) = self
                .parts
                .iter_mut()
                .find(|part| pointer.tokens().starts_with(&part.way))
            else {
                let reserved = pointer.tokens().first();
                let reserved = reserved.is_some_and(|name| name.starts_with('_'));
                if is_test && !reserved {
                    return Err(differs());
                }
                continue; // Its part could not be read, which is reported already.
            };
            let inner = &pointer.tokens()[part.way.len()..];
            if matches!(operation, Operation::Add(_)) {
                part.make_way(self.kind, inner);
            }
            match step(&mut part.after, inner, operation) {
                Ok(()) => {}
                Err(_) if is_test => return Err(differs()),
                Err(_) => {
                    let detail = "there is nothing at this path in the record";
                    problems.push(Problem::new(pointer.to_string(), "path_not_found", detail));
                }
            }
            match operation {
                Operation::Add(_) | Operation::Replace(_) => self.set.push(pointer.clone()),
                Operation::Remove {
                    reason: Some(reason),
                } => {
                    self.reasons.insert(pointer.to_string(), reason.clone());
                }
                Operation::Remove { reason: None } | Operation::Test(_) => {}
            }
        }
        Ok(())
    }
}

/// The smallest set of parts that holds every path of the patch.
fn ways(kind: Kind, patch: &Patch) -> Vec<Vec<String>> {
    let mut ways = BTreeSet::new();
    for (pointer, operation) in patch.steps() {
        let tokens = pointer.tokens();
        let edits = !matches!(operation, Operation::Test(_));
        if edits
            && tokens
                .first()
                .is_some_and(|name| kind.dates_the_whole(name))
        {
            // Other dates of the record are measured against this one.
            return vec![Vec::new()];
        }
        let length = part_length(kind.fields(), tokens);
        ways.insert(tokens[..length].to_vec());
    }
    let mut smallest: Vec<Vec<String>> = Vec::new();
    for way in ways {
        if !smallest.last().is_some_and(|last| way.starts_with(last)) {
            smallest.push(way);
        }
    }
    smallest
}

fn part_length(mut fields: &'static [Field], tokens: &[String]) -> usize {
    for (index, token) in tokens.iter().enumerate() {
        match find(fields, token).map(|field| field.node) {
            Some(Node::Group(inner)) => fields = inner,
            Some(Node::Keyed(_)) => return (index + 2).min(tokens.len()),
            _ => return index + 1,
        }
    }
    tokens.len()
}

fn read_part(document: &Automerge, kind: Kind, way: Vec<String>) -> Result<Part, Problem> {
    let Some((key, parents)) = way.split_last() else {
        return Ok(read_whole(document, kind));
    };
    let mut object = Some(ROOT);
    let mut walk = Walk::new(kind);
    let mut united = false;
    for (index, parent) in parents.iter().enumerate() {
        let Some(here) = object else {
            walk.step(parent);
            continue;
        };
        let next = way.get(index + 1).map(String::as_str);
        let several = united::maps(document, &here, parent, None).len() > 1;
        let is_map = |id: &ObjId| document.object_type(id) == Ok(ObjType::Map);
        let lazy = find(walk.fields(), parent).is_some_and(|field| field.lazy);
        let absent = matches!(document.get(&here, parent.as_str()), Ok(None));
        object = walk
            .enter(document, &here, parent, next, None)
            .filter(is_map);
        united = several && object.is_some();
        if object.is_none() && !(lazy && absent) {
            let detail = "there is nothing at this path in the record";
            let path = path_of(&way[..=index]);
            return Err(Problem::new(path, "path_not_found", detail));
        }
    }
    let place = place(kind, &way);
    let mut view = View::new(document, kind, parents);
    let before = match object {
        None => None,
        Some(_) if united => {
            let mut found = read_part(document, kind, parents.to_vec())?;
            found.narrow(&way, place);
            return Ok(found);
        }
        Some(object) => read_key(document, &object, key).and_then(|value| {
            let mut path = path_of(&way);
            match place {
                Place::Entry(entity) => view.entry_at(entity, key, &value, &mut path),
                _ => Some(view.member(walk.fields(), key, &value, &mut path)),
            }
        }),
    };
    let before = before.filter(|value| !place.is_hidden(value));
    Ok(Part {
        place,
        after: before.clone(),
        before,
        open: open(&view),
        returned: view.flags.into_iter().map(|flag| flag.path).collect(),
        way,
    })
}

fn read_whole(document: &Automerge, kind: Kind) -> Part {
    let mut view = View::new(document, kind, &[]);
    let record = view.record();
    Part {
        way: Vec::new(),
        place: Place::Whole,
        after: Some(record.clone()),
        before: Some(record),
        open: open(&view),
        returned: view.flags.into_iter().map(|flag| flag.path).collect(),
    }
}

fn open(view: &View<'_>) -> Vec<String> {
    view.conflicts
        .iter()
        .chain(&view.overwritten)
        .map(|conflict| conflict.path.clone())
        .collect()
}

enum Failed {
    NotFound,
    Test,
}

/// Carries one operation out at `tokens` inside `target`.
fn step(
    target: &mut Option<Value>,
    tokens: &[String],
    operation: &Operation,
) -> Result<(), Failed> {
    let Some((last, parents)) = tokens.split_last() else {
        return step_whole(target, operation);
    };
    let mut parent = target.as_mut().ok_or(Failed::NotFound)?;
    for token in parents {
        parent = match parent {
            Value::Object(members) => members.get_mut(token),
            Value::Array(items) => index(token).and_then(|index| items.get_mut(index)),
            _ => None,
        }
        .ok_or(Failed::NotFound)?;
    }
    match parent {
        Value::Object(members) => match operation {
            Operation::Add(value) => {
                members.insert(last.clone(), value.clone());
                Ok(())
            }
            Operation::Remove { .. } => members.remove(last).map(drop).ok_or(Failed::NotFound),
            _ => step_there(members.get_mut(last).ok_or(Failed::NotFound)?, operation),
        },
        Value::Array(items) => match operation {
            Operation::Add(value) => {
                let end = items.len();
                let at = if last == "-" { Some(end) } else { index(last) };
                let at = at.filter(|at| *at <= end).ok_or(Failed::NotFound)?;
                items.insert(at, value.clone());
                Ok(())
            }
            Operation::Remove { .. } => {
                let at = index(last).filter(|at| *at < items.len());
                items.remove(at.ok_or(Failed::NotFound)?);
                Ok(())
            }
            _ => {
                let item = index(last).and_then(|index| items.get_mut(index));
                step_there(item.ok_or(Failed::NotFound)?, operation)
            }
        },
        _ => Err(Failed::NotFound),
    }
}

fn step_whole(target: &mut Option<Value>, operation: &Operation) -> Result<(), Failed> {
    match operation {
        Operation::Add(value) => {
            *target = Some(value.clone());
            Ok(())
        }
        Operation::Remove { .. } => target.take().map(drop).ok_or(Failed::NotFound),
        _ => step_there(target.as_mut().ok_or(Failed::NotFound)?, operation),
    }
}

/// `replace` and `test`, of a value that is there.
fn step_there(target: &mut Value, operation: &Operation) -> Result<(), Failed> {
    match operation {
        Operation::Test(value) if same(target, value) => Ok(()),
        Operation::Test(_) => Err(Failed::Test),
        Operation::Replace(value) | Operation::Add(value) => {
            *target = value.clone();
            Ok(())
        }
        Operation::Remove { .. } => Err(Failed::NotFound),
    }
}

/// An array index by RFC 6901: no sign, no leading zero.
fn index(token: &str) -> Option<usize> {
    let canonical = token == "0" || !token.starts_with('0');
    let digits = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit());
    (canonical && digits).then(|| token.parse().ok())?
}

/// Containers of the table stay when a patch takes them away: they become empty.
fn keep_containers(kind: Kind, part: &mut Part) {
    let empty = || Value::Object(serde_json::Map::new());
    match part.place {
        Place::Whole => {
            if let Some(Value::Object(members)) = &mut part.after {
                add_containers(kind.fields(), members);
                prune(kind.fields(), members);
            }
        }
        Place::Field(field) if field.lazy && field.is_container() => {
            if let Some(Value::Object(members)) = &mut part.after {
                prune_inside(&field.node, members);
            }
            part.after = part
                .after
                .take()
                .filter(|value| !part.place.is_hidden(value));
        }
        Place::Field(field) => match field.node {
            Node::Group(inner) => {
                if let Value::Object(members) = part.after.get_or_insert_with(empty) {
                    add_containers(inner, members);
                    prune(inner, members);
                }
            }
            Node::Keyed(_) => {
                if let Value::Object(members) = part.after.get_or_insert_with(empty) {
                    prune_inside(&field.node, members);
                }
            }
            Node::Leaf(Rule::Codes(_)) if part.way.len() == 1 => {
                if part.after.as_ref().is_none_or(Value::is_null) {
                    part.after = Some(Value::Array(Vec::new()));
                }
            }
            Node::Leaf(_) => {}
        },
        Place::Entry(entity) => {
            if let Some(Value::Object(members)) = &mut part.after {
                prune(entity.fields, members);
            }
        }
        Place::Unknown => {}
    }
}

/// Checks what the patch leaves in a part; what was wrong before and is untouched does not count.
fn check(kind: Kind, part: &Part, imported: bool, problems: &mut Vec<Problem>) {
    let mut findings = Findings::default();
    let mut path = part.path();
    let depth = part.way.len().saturating_sub(1);
    match (part.place, &part.after) {
        (Place::Whole, Some(record)) => findings.record(kind.fields(), record),
        (Place::Field(field), after) if field.required => match after {
            None | Some(Value::Null) => {
                let detail = format!("{} is missing, a record cannot be without it", field.name);
                problems.push(Problem::new(path, "required", detail));
                return;
            }
            Some(after) => findings.node(Some(&field.node), after, &mut path, depth),
        },
        (_, None) => {}
        (Place::Field(field), Some(after)) => {
            findings.node(Some(&field.node), after, &mut path, depth);
        }
        (Place::Unknown, Some(after)) => {
            findings.key_at(part.way.last().map_or("", String::as_str), &path);
            findings.node(None, after, &mut path, depth);
        }
        (Place::Entry(entity), Some(after)) => {
            findings.key_at(part.way.last().map_or("", String::as_str), &path);
            findings.entity(entity, after, &mut path, part.way.len());
        }
    }
    if imported {
        findings.as_history(|pointer| part.at(pointer).1.cloned());
    }
    problems.extend(findings.problems.into_iter().filter(|problem| {
        let (before, after) = part.at(&problem.pointer);
        before != after || before.is_none()
    }));
}

/// The pointer of a member below a part.
pub(super) fn below(path: &str, key: &str) -> String {
    let mut path = path.to_owned();
    within(&mut path, key, |path| path.clone())
}

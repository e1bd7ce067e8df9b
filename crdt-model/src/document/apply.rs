//! An edit: a patch, made on the newest or on an older version, becomes one change.
//!
//! Guarantees: a rejected patch leaves the document as it was; equal values make no operation,
//! except where they settle a conflict. An edit on an older version is checked and made at that
//! version, by the lowest branch of the actor whose last change it covers, and then merged.

use automerge::transaction::Transactable as _;
use automerge::{Automerge, ROOT, ReadDoc as _, ScalarValueRef};
use serde_json::Value;

use super::codec::shown;
use super::create::{options, signature_path, too_large};
use super::merge::View;
use super::plan::{Part, Place, Plan};
use super::write::Writer;
use super::{Change, Document};
use crate::command::{Operation, Patch, Stamp};
use crate::field_rules;
use crate::gate::CHANGE_BYTES_MAX;
use crate::passage;
use crate::problem::{Filled, Problem, Rejected};
use crate::rules::weigh;
use crate::schema::Kind;
use crate::value::{ActorId, ChangeHash, Heads};

/// From this weight on an edit might not fit a change, so the document is kept aside.
const WEIGHT_SAFE: usize = 32 * 1024;

pub(super) fn patch(
    document: &mut Document,
    patch: &Patch,
    base: Option<&Heads>,
    stamp: &Stamp,
) -> Result<Option<Change>, Rejected> {
    if document.changes == 0 {
        return Err(Rejected::UnknownVersion);
    }
    let weight = weight(patch)?;
    let made = match base.filter(|base| **base != document.heads()) {
        None => {
            let actor = ActorId::new(stamp.origin, stamp.incarnation, 0);
            let backup = (weight > WEIGHT_SAFE).then(|| document.automerge.clone());
            let made = edit(document, None, actor, patch, stamp);
            if let (Err(_), Some(backup)) = (&made, backup) {
                document.automerge = backup;
            }
            made?
        }
        Some(base) => {
            let hashes: Vec<_> = base
                .iter()
                .map(|hash| automerge::ChangeHash(*hash.as_bytes()))
                .collect();
            if hashes.is_empty() {
                return Err(Rejected::UnknownVersion);
            }
            let fork = document.automerge.fork_at(&hashes);
            let mut fork = fork.map_err(|_| Rejected::UnknownVersion)?;
            let actor = branch(&document.automerge, &fork, stamp)?;
            let made = edit(document, Some(&mut fork), actor, patch, stamp)?;
            if let Some(change) = &made {
                let applied = document.automerge.apply_changes([change.clone()]);
                applied.expect("a change made on a known version applies");
            }
            made
        }
    };
    Ok(made.map(|change| {
        document.changed(1);
        Change::new(&change, stamp)
    }))
}

/// Carries the patch out on the fork, or on the document itself.
fn edit(
    document: &mut Document,
    fork: Option<&mut Automerge>,
    actor: ActorId,
    patch: &Patch,
    stamp: &Stamp,
) -> Result<Option<automerge::Change>, Rejected> {
    let kind = document.kind;
    let local = document.local;
    let target = fork.unwrap_or(&mut document.automerge);
    let mut plan = Plan::read(target, kind, patch, stamp.imported)?;
    fixed(&plan, local)?;
    let whole = Whole::of(target, &plan, stamp.imported);
    if let Some(whole) = &whole {
        sign(&mut plan, &whole.after);
    }
    if !stamp.imported {
        rules(target, &plan, whole.as_ref())?;
    }
    target.set_actor(automerge::ActorId::from(actor.as_bytes()));
    let mut transaction = target.transaction();
    Writer::new(&mut transaction, &plan, stamp)
        .write()
        .map_err(|error| {
            let detail = format!("the record's form does not allow this edit: {error}");
            Rejected::Invalid(vec![Problem::new("", "path_not_found", detail)])
        })?;
    if transaction.pending_ops() > 0 {
        transaction.commit_with(options(stamp));
    } else {
        transaction.rollback();
        if stamp.line.is_none() {
            return Ok(None);
        }
        target.empty_commit(options(stamp));
    }
    let change = target
        .get_last_local_change()
        .expect("a change was committed");
    if change.raw_bytes().len() > CHANGE_BYTES_MAX {
        return Err(too_large(change.raw_bytes().len()));
    }
    Ok(Some(change))
}

/// The actor for an edit at an older version.
fn branch(document: &Automerge, fork: &Automerge, stamp: &Stamp) -> Result<ActorId, Rejected> {
    let mut last = std::collections::BTreeMap::new();
    for change in document.get_changes_meta(&[]) {
        if let Some(actor) = ActorId::from_slice(change.actor.to_bytes())
            && actor.origin() == stamp.origin
            && actor.incarnation() == stamp.incarnation
        {
            let newest = last
                .entry(actor.branch())
                .or_insert((change.seq, change.hash));
            *newest = (*newest).max((change.seq, change.hash));
        }
    }
    (0..=u16::MAX)
        .find(|branch| {
            last.get(branch)
                .is_none_or(|(_, hash)| fork.get_change_meta_by_hash(hash).is_some())
        })
        .map(|branch| ActorId::new(stamp.origin, stamp.incarnation, branch))
        .ok_or(Rejected::UnknownVersion)
}

fn weight(patch: &Patch) -> Result<usize, Rejected> {
    let mut weight = 0;
    for (pointer, operation) in patch.steps() {
        weight += pointer.tokens().iter().map(String::len).sum::<usize>();
        if let Operation::Add(value) | Operation::Replace(value) | Operation::Test(value) =
            operation
        {
            weight += weigh(value).map_err(|problem| {
                let pointer = pointer.to_string();
                Rejected::Invalid(vec![Problem { pointer, ..problem }])
            })?;
        }
    }
    Ok(weight)
}

/// What is decided when a record is made: where it goes, and of whom it tells.
fn fixed(plan: &Plan, local: bool) -> Result<(), Rejected> {
    let now = if local { "local" } else { "shared" };
    for part in plan.parts.iter().filter(|part| part.differs()) {
        let whole = part.way.is_empty();
        for field in plan.kind.fields().iter().filter(|field| field.fixed) {
            let path = format!("/{}", field.name);
            if !whole && part.path() != path {
                continue;
            }
            let (before, after) = part.at(&path);
            let (kept, code, detail) = if field.name == "sharing" {
                let wanted = after.and_then(Value::as_str).unwrap_or("shared");
                let detail =
                    format!("sharing is {now} since the record was made and cannot be changed");
                (wanted == now, "sharing_is_fixed", detail)
            } else {
                let detail = format!(
                    "{} was set when the record was made and cannot be changed: make another record",
                    field.name
                );
                (before == after, field_rules::FIELD_IS_FIXED, detail)
            };
            if !kept {
                let filled = [
                    ("field", Filled::codes("field", &[field.name])),
                    ("now", Filled::codes("sharing", &[now])),
                ];
                let problem = Problem::new(path, code, detail).said("", &filled);
                return Err(Rejected::Rule(problem));
            }
        }
    }
    Ok(())
}

/// The whole record before and after a patch, read where a rule over several parts asks for it.
struct Whole {
    before: Value,
    after: Value,
}

impl Whole {
    /// Nothing if no rule asks; in imported history only signatures ask.
    fn of(document: &Automerge, plan: &Plan, imported: bool) -> Option<Self> {
        let concerned = plan.parts.iter().any(|part| {
            let bound = !imported && field_rules::concerns(plan.kind, &part.way);
            let signs = || field_rules::may_sign(plan.kind, &part.way, part.after.as_ref());
            part.differs() && (bound || signs())
        });
        if !concerned {
            return None;
        }
        let before = View::new(document, plan.kind, &[]).record();
        let mut after = before.clone();
        for part in &plan.parts {
            put(&mut after, &part.way, part.after.clone());
        }
        Some(Self { before, after })
    }
}

/// Sets or takes away what stands at these keys; maps on the way are made.
fn put(target: &mut Value, way: &[String], value: Option<Value>) {
    let Some((last, parents)) = way.split_last() else {
        *target = value.unwrap_or_default();
        return;
    };
    let mut inner = target;
    for key in parents {
        let Value::Object(members) = inner else {
            return;
        };
        inner = members
            .entry(key.as_str())
            .or_insert_with(|| Value::Object(serde_json::Map::new()));
    }
    if let Value::Object(members) = inner {
        match value {
            Some(value) => members.insert(last.clone(), value),
            None => members.remove(last),
        };
    }
}

/// Fills in what new signatures of this patch sign: the plan as the signer saw and left it.
fn sign(plan: &mut Plan, after: &Value) {
    for (name, id, hash) in field_rules::fill(plan.kind, after) {
        let path = signature_path(&name, &id);
        for part in plan.parts.iter_mut().filter(|part| part.differs()) {
            let inner = path.strip_prefix(&part.path()).map(str::to_owned);
            if let (Some(inner), Some(after)) = (inner, &mut part.after)
                && let Some(signature) = after.pointer_mut(&inner)
            {
                signature["section"] = Value::from(hash.as_str());
            }
        }
    }
}

/// The rules that bind what people do here.
fn rules(document: &Automerge, plan: &Plan, whole: Option<&Whole>) -> Result<(), Rejected> {
    let was = register(document, "state");
    for part in plan.parts.iter().filter(|part| part.differs()) {
        field_rules::locked(plan.kind, was.as_str(), &part.way, part.before.is_none())
            .map_err(Rejected::Rule)?;
    }
    if let Some(whole) = whole {
        let from = states(document);
        let from: Vec<_> = from.iter().map(String::as_str).collect();
        let mut after = whole.after.clone();
        // Signatures of this patch were filled in since.
        for part in &plan.parts {
            put(&mut after, &part.way, part.after.clone());
        }
        field_rules::broken_by(plan.kind, &from, &whole.before, &after).map_err(Rejected::Rule)?;
    }
    let state = touched(plan, "state");
    let outcome = touched(plan, "outcome");
    if let Some((before, Some(Value::String(to)))) = state {
        let all = document.get_all(ROOT, "state").unwrap_or_default();
        let shown = before.and_then(Value::as_str);
        let rivals = all.iter().filter_map(|(value, _)| value.as_str());
        let from: Vec<_> = shown.into_iter().chain(rivals).collect();
        passage::state(plan.kind, &from, to).map_err(Rejected::Rule)?;
    }
    if state.is_some() || outcome.is_some() {
        let now = |touched: Option<(Option<&Value>, Option<&Value>)>, name: &str| match touched {
            Some((_, after)) => after.cloned().unwrap_or_default(),
            None => register(document, name),
        };
        let (state, outcome) = (now(state, "state"), now(outcome, "outcome"));
        passage::closing(plan.kind, &state, &outcome).map_err(Rejected::Rule)?;
    }
    for part in plan.parts.iter().filter(|part| part.differs()) {
        let before = dates(document, plan.kind, part, part.before.as_ref());
        let after = dates(document, plan.kind, part, part.after.as_ref());
        if let Some(problem) = after.into_iter().find(|problem| !before.contains(problem)) {
            return Err(Rejected::Rule(problem));
        }
    }
    Ok(())
}

/// All states that compete.
fn states(document: &Automerge) -> Vec<String> {
    let all = document.get_all(ROOT, "state").unwrap_or_default();
    let texts = all.iter().filter_map(|(value, _)| value.as_str());
    texts.map(str::to_owned).collect()
}

/// The values before and after of a root field that the patch changes.
fn touched<'a>(plan: &'a Plan, name: &str) -> Option<(Option<&'a Value>, Option<&'a Value>)> {
    let pointer = format!("/{name}");
    let part = plan
        .parts
        .iter()
        .find(|part| part.way.is_empty() || (part.way.len() == 1 && part.way[0] == name))?;
    let (before, after) = part.at(&pointer);
    (before != after).then_some((before, after))
}

/// The value of a root register that the patch leaves alone; objects as an object.
fn register(document: &Automerge, name: &str) -> Value {
    match document.get(ROOT, name) {
        Ok(Some((automerge::Value::Scalar(scalar), _))) => {
            shown(None, &ScalarValueRef::from(scalar.into_owned()))
        }
        Ok(Some((automerge::Value::Object(_), _))) => Value::Object(serde_json::Map::new()),
        _ => Value::Null,
    }
}

/// Dates out of order in a part that holds this value.
fn dates(document: &Automerge, kind: Kind, part: &Part, value: Option<&Value>) -> Vec<Problem> {
    let Some(value) = value else {
        return Vec::new();
    };
    let mut out = Vec::new();
    let mut path = part.path();
    match part.place {
        Place::Whole => return passage::dates(kind, value),
        Place::Field(field) => passage::dates_in(&field.node, value, &mut path, &mut out),
        Place::Entry(entity) => passage::dates_in_entity(entity, value, &mut path, &mut out),
        Place::Unknown => {}
    }
    if let Some(opening) = kind.opening()
        && let Some((name, deeper)) = part.way.split_first()
        && opening.after.contains(&name.as_str())
        && let Some(opened) = register(document, opening.field).as_str()
    {
        if deeper.is_empty() {
            passage::since_opening(kind, opened, name, value, &mut path, &mut out);
        } else {
            passage::on_since(kind, opened, value, &path, &mut out);
        }
    }
    out
}

/// The heads of an Automerge document as a version.
pub(super) fn heads(document: &Automerge) -> Heads {
    Heads::from_hashes(
        document
            .get_heads()
            .into_iter()
            .map(|hash| ChangeHash::from_bytes(hash.0)),
    )
}

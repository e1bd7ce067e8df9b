//! The record as people see it: fields, what waits for a choice, what to look at, when and who.

use automerge::{Automerge, ChangeHash, ObjId, ROOT, ReadDoc as _};
use serde_json::Value;

use super::merge::View;
use super::plan::path_of;
use super::{Conflict, Document, Flag, Record, message};
use crate::field_rules;
use crate::passage;
use crate::rules::{BAD_FISCAL_CODE, Findings};
use crate::schema::{Kind, PART_LIVES, PartLife};
use crate::value::UnixMillis;

/// A code outside its open list.
const UNKNOWN_CODE: &str = "unknown_code";
/// A value that this node would not have accepted from a person.
const INVALID_VALUE: &str = "invalid_value";
/// A state that cannot follow the one before, in imported or foreign history or after a merge.
const STATE_OUT_OF_ORDER: &str = "state_out_of_order";

pub(super) fn record(document: &Document) -> Record {
    let automerge = &document.automerge;
    let mut view = View::new(automerge, document.kind, &[]);
    let fields = view.record();
    let (mut conflicts, mut overwritten) = (view.conflicts, view.overwritten);
    let by_path = |left: &Conflict, right: &Conflict| left.path.cmp(&right.path);
    conflicts.sort_by(by_path);
    overwritten.sort_by(by_path);
    let mut flags = view.flags;
    let times = Times::of(automerge);
    if document.changes > 0 {
        flags.extend(findings(document, &fields));
        if let Some(first) = times.first
            && state_out_of_order(document, first, &fields)
        {
            flags.push(flag(STATE_OUT_OF_ORDER, "/state"));
        }
        if let Some(first) = times.first {
            flags.extend(of_the_field(document, first, &fields));
        }
    }
    flags.sort();
    flags.dedup();
    Record {
        fields,
        conflicts,
        overwritten,
        flags,
        created_at: times.created_at,
        updated_at: times.updated_at,
        updated_by: times.updated_by,
    }
}

fn flag(code: &str, path: &str) -> Flag {
    Flag {
        code: code.to_owned(),
        path: path.to_owned(),
    }
}

/// What the rules say of the fields as they are shown.
fn findings(document: &Document, fields: &Value) -> Vec<Flag> {
    let mut findings = Findings::default();
    findings.record(document.kind.fields(), fields);
    let invalid = findings.problems.iter().map(|problem| {
        let code = match problem.code {
            BAD_FISCAL_CODE => BAD_FISCAL_CODE,
            _ => INVALID_VALUE,
        };
        flag(code, &problem.pointer)
    });
    let unknown = findings.unknown.iter().map(|path| flag(UNKNOWN_CODE, path));
    let (state, outcome) = (fields.get("state"), fields.get("outcome"));
    let closing = passage::closing(
        document.kind,
        state.unwrap_or(&Value::Null),
        outcome.unwrap_or(&Value::Null),
    );
    let dates = passage::dates(document.kind, fields);
    let broken = closing.err().into_iter().chain(dates);
    invalid
        .chain(unknown)
        .chain(broken.map(|problem| flag(problem.code, &problem.pointer)))
        .collect()
}

/// Whether the state shown was set where it could not follow.
fn state_out_of_order(document: &Document, first: ChangeHash, fields: &Value) -> bool {
    let passage = passage_to(document, &ROOT, fields.get("state"), Some(first));
    let Some((from, shown)) = passage else {
        return false;
    };
    let from: Vec<_> = from.iter().map(String::as_str).collect();
    passage::state(document.kind, &from, &shown).is_err()
}

/// The states before the change that set the one shown in this object, and that one; nothing for
/// what the change `first` set.
fn passage_to(
    document: &Document,
    object: &ObjId,
    shown: Option<&Value>,
    first: Option<ChangeHash>,
) -> Option<(Vec<String>, String)> {
    let automerge = &document.automerge;
    let shown = shown.and_then(Value::as_str)?;
    let values = automerge.get_all(object, "state").unwrap_or_default();
    let mut values = values.iter().rev();
    let (_, op) = values.find(|(value, _)| value.as_str() == Some(shown))?;
    let change = automerge
        .hash_for_opid(op)
        .filter(|hash| Some(*hash) != first)?;
    let change = automerge.get_change_meta_by_hash(&change)?;
    let before = automerge
        .get_all_at(object, "state", &change.deps)
        .unwrap_or_default();
    let texts = before.iter().rev().filter_map(|(value, _)| value.as_str());
    Some((texts.map(str::to_owned).collect(), shown.to_owned()))
}

/// What the rules of the field say, also of how the record came to be as it is.
fn of_the_field(document: &Document, first: ChangeHash, fields: &Value) -> Vec<Flag> {
    let mut flags = Vec::new();
    let broken = field_rules::flags(document.kind, fields);
    flags.extend(
        broken
            .iter()
            .map(|problem| flag(problem.code, &problem.pointer)),
    );
    for field in document.kind.fields().iter().filter(|field| field.fixed) {
        if field.name != "sharing" && !is_as_made(document, first, field.name) {
            let path = format!("/{}", field.name);
            flags.push(flag(field_rules::FIELD_IS_FIXED, &path));
        }
    }
    if document.kind == Kind::Project {
        for life in PART_LIVES {
            lives(document, life, fields, &mut flags);
        }
    }
    flags
}

/// Parts of a project whose state was set where it could not follow.
fn lives(document: &Document, life: &PartLife, fields: &Value, flags: &mut Vec<Flag>) {
    let parts = fields.get(life.container).and_then(Value::as_object);
    for (id, part) in parts.into_iter().flatten() {
        let Some(shown) = part.get("state").filter(|state| state.is_string()) else {
            continue;
        };
        let way = [life.container.to_owned(), id.clone()];
        let Some(object) = View::new(&document.automerge, document.kind, &way).here() else {
            continue;
        };
        if life.container == "vouchers" {
            spent_of_ended(document, &object, &way, part, flags);
        }
        let made = document.automerge.hash_for_opid(&object);
        // What began in its state has come by no passage.
        let Some((from, to)) = passage_to(document, &object, Some(shown), made) else {
            continue;
        };
        let follows = if from.is_empty() {
            field_rules::may_begin(life, &to)
        } else {
            let mut from = from.iter();
            from.any(|from| field_rules::may_follow(life, from, &to))
        };
        if !follows {
            let path = path_of(&[way[0].clone(), way[1].clone(), "state".to_owned()]);
            flags.push(flag(life.code, &path));
        }
    }
}

/// What was spent of a voucher when it had ended already.
fn spent_of_ended(
    document: &Document,
    voucher: &ObjId,
    way: &[String; 2],
    shown: &Value,
    flags: &mut Vec<Flag>,
) {
    let automerge = &document.automerge;
    let ended = |state: &str| field_rules::VOUCHER_ENDS.contains(&state);
    let spent = shown.get("spent").and_then(Value::as_object);
    let spent = spent.filter(|_| shown["state"].as_str().is_some_and(ended));
    for id in spent.into_iter().flatten().map(|(id, _)| id) {
        let way = [&way[0], &way[1], "spent", id].map(str::to_owned);
        let made = View::new(automerge, document.kind, &way).here();
        let made = made.and_then(|object| automerge.hash_for_opid(&object));
        let made = made.and_then(|hash| automerge.get_change_meta_by_hash(&hash));
        let Some(made) = made else {
            continue;
        };
        let then = automerge
            .get_all_at(voucher, "state", &made.deps)
            .unwrap_or_default();
        if !then.is_empty()
            && then
                .iter()
                .all(|(state, _)| state.as_str().is_some_and(ended))
        {
            flags.push(flag(field_rules::VOUCHER_ENDED, &path_of(&way)));
        }
    }
}

/// Whether a root field holds what the first change gave it.
fn is_as_made(document: &Document, first: ChangeHash, name: &str) -> bool {
    let text = |value: Option<(automerge::Value<'_>, ObjId)>| {
        value.and_then(|(value, _)| value.as_str().map(str::to_owned))
    };
    let automerge = &document.automerge;
    let then = automerge.get_at(ROOT, name, &[first]).ok().flatten();
    let now = automerge.get(ROOT, name).ok().flatten();
    text(then) == text(now)
}

/// When the record was made and last changed, and by whom.
#[derive(Default)]
struct Times {
    first: Option<ChangeHash>,
    created_at: UnixMillis,
    updated_at: UnixMillis,
    updated_by: Option<String>,
}

impl Times {
    fn of(automerge: &Automerge) -> Self {
        let changes = automerge.get_changes_meta(&[]);
        let first = changes.iter().find(|change| change.deps.is_empty());
        let created_at = UnixMillis(first.map_or(0, |change| change.timestamp));
        // A change without operations only remembers an import line.
        let last = changes
            .iter()
            .filter(|change| change.max_op >= change.start_op)
            .max_by_key(|change| (change.timestamp, change.hash));
        Self {
            first: first.map(|change| change.hash),
            created_at,
            updated_at: UnixMillis(last.map_or(0, |change| change.timestamp)),
            updated_by: last.and_then(|change| message::read(change.message.as_deref()).by),
        }
    }
}

//! The record as people see it: fields, what waits for a choice, what to look at, when and who.

use automerge::{Automerge, ROOT, ReadDoc as _};
use serde_json::Value;

use super::merge::View;
use super::{Conflict, Document, Flag, Record, message};
use crate::passage;
use crate::rules::Findings;
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
    let invalid = findings
        .problems
        .iter()
        .map(|problem| flag(INVALID_VALUE, &problem.pointer));
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
fn state_out_of_order(document: &Document, first: automerge::ChangeHash, fields: &Value) -> bool {
    let automerge = &document.automerge;
    let Some(shown) = fields.get("state").and_then(Value::as_str) else {
        return false;
    };
    let values = automerge.get_all(ROOT, "state").unwrap_or_default();
    let Some((_, op)) = values
        .iter()
        .rev()
        .find(|(value, _)| value.as_str() == Some(shown))
    else {
        return false;
    };
    let change = automerge.hash_for_opid(op).filter(|hash| *hash != first);
    let Some(change) = change.and_then(|hash| automerge.get_change_meta_by_hash(&hash)) else {
        return false;
    };
    let before = automerge
        .get_all_at(ROOT, "state", &change.deps)
        .unwrap_or_default();
    let from: Vec<_> = before
        .iter()
        .rev()
        .filter_map(|(value, _)| value.as_str())
        .collect();
    passage::state(document.kind, &from, shown).is_err()
}

/// When the record was made and last changed, and by whom.
#[derive(Default)]
struct Times {
    first: Option<automerge::ChangeHash>,
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

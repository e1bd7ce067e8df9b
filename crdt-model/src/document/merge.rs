//! What simultaneous edits become: one value shown for every field, the others kept beside it.
//!
//! Deciding fields keep all concurrent values as conflicts until a person chooses; other fields
//! report a lost value as overwritten. A sub-entity removed here and edited there comes back,
//! flagged. Of competing states the one shown is the first in the order of its kind; of other
//! values Automerge's. The same changes give the same view on every node, in whatever order
//! they arrived.

use std::borrow::Cow;
use std::collections::BTreeMap;

use automerge::{Automerge, ObjId, ROOT, ReadDoc as _};
use serde_json::{Map, Value};

use super::codec::{self, plain, plain_entity, shown};
use super::held::{self, Held, Slot};
use super::message;
use super::united::{self, Walk};
use super::{Conflict, Flag, Rival};
use crate::rules::{REMOVED, within};
use crate::schema::{Entity, Field, Kind, Node, find};
use crate::value::UnixMillis;

/// A removed sub-entity that a concurrent edit brought back.
pub(crate) const REMOVAL_UNDONE: &str = "removal_undone";

/// Most registers with several values that are told of one record.
const CONFLICTS_MAX: usize = 1_000;

/// The way from the root to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// Turns what the document holds into the record's JSON and notes what merging left open.
pub(crate) struct View<'a> {
    document: &'a Automerge,
    kind: Kind,
    /// Deciding fields with several values.
    pub(crate) conflicts: Vec<Conflict>,
    /// Other fields with several values.
    pub(crate) overwritten: Vec<Conflict>,
    /// Sub-entities that came back.
    pub(crate) flags: Vec<Flag>,
    way: Vec<Step>,
}

impl<'a> View<'a> {
    /// A view of what stands at the keys `way` below the root.
    pub(crate) fn new(document: &'a Automerge, kind: Kind, way: &[String]) -> Self {
        Self {
            document,
            kind,
            conflicts: Vec::new(),
            overwritten: Vec::new(),
            flags: Vec::new(),
            way: way.iter().cloned().map(Step::Key).collect(),
        }
    }

    /// The object at the keys that the view began at.
    pub(super) fn here(&self) -> Option<ObjId> {
        self.object(self.way.len())
    }

    /// The JSON of a container or value; `None` as node for what the table does not know.
    pub(crate) fn value(
        &mut self,
        node: Option<&'static Node>,
        value: &Held<'_>,
        path: &mut String,
    ) -> Value {
        match (node, value) {
            (_, Held::Scalar(value)) => shown(node, value),
            (_, Held::Text(text)) => Value::String(text.clone()),
            (_, Held::Later(_)) => Value::Null,
            (Some(Node::Keyed(entity)), Held::Map(map)) => self.entries(entity, map, path),
            (Some(Node::Group(fields)), Held::Map(map)) => self.members(fields, map, path),
            (_, Held::Map(map)) => self.members(&[], map, path),
            (_, Held::List(list)) => self.items(list, path),
        }
    }

    fn items(&mut self, list: &[Slot<'_>], path: &mut String) -> Value {
        let mut items = Vec::with_capacity(list.len());
        for (index, item) in list.iter().enumerate() {
            self.way.push(Step::Index(index));
            let shown = within(path, &index.to_string(), |path| {
                let shown = self.value(None, &item.value, path);
                if item.conflict {
                    self.rivals(None, false, &shown, path);
                }
                shown
            });
            self.way.pop();
            items.push(shown);
        }
        Value::Array(items)
    }

    fn members(
        &mut self,
        fields: &'static [Field],
        map: &[(Cow<'_, str>, Slot<'_>)],
        path: &mut String,
    ) -> Value {
        let mut members = Map::new();
        for (name, value) in map {
            if path.is_empty() && name.starts_with('_') {
                continue;
            }
            let shown = within(path, name, |path| self.member(fields, name, value, path));
            if is_hidden(fields, name, &shown) {
                continue;
            }
            members.insert(name.to_string(), shown);
        }
        Value::Object(members)
    }

    /// The container at hand, if several maps stand there: all that they hold.
    fn united(&mut self, node: Option<&'static Node>, path: &mut String) -> Option<Value> {
        let (object, step) = self.register()?;
        let Step::Key(key) = step else { return None };
        let maps = united::maps(self.document, &object, key, None);
        if maps.len() < 2 {
            return None;
        }
        let mut keys: BTreeMap<String, Vec<ObjId>> = BTreeMap::new();
        for map in &maps {
            for key in self.document.keys(map) {
                keys.entry(key).or_default().push(map.clone());
            }
        }
        let mut members = Map::new();
        for (key, holders) in keys {
            let holder = united::holder(self.document, &holders, Some(&key), None)?.clone();
            let slot = held::read_key(self.document, &holder, &key)?;
            let shown = within(path, &key, |path| {
                let shown = match node {
                    Some(Node::Keyed(entity)) => self.entry_at(entity, &key, &slot, path)?,
                    Some(Node::Group(fields)) => self.member(fields, &key, &slot, path),
                    Some(Node::Leaf(_)) | None => return None,
                };
                let others = holders.iter().filter(|map| **map != holder);
                let rivals = self.rivals_in(node, others, &key, &shown);
                let deciding = match node {
                    Some(Node::Group(fields)) => find(fields, &key).is_some_and(|f| f.deciding),
                    _ => false,
                };
                self.note(deciding, &shown, rivals, path);
                Some(shown)
            });
            let hidden = |shown: &Value| match node {
                Some(Node::Group(fields)) => is_hidden(fields, &key, shown),
                _ => false,
            };
            if let Some(shown) = shown.filter(|shown| !hidden(shown)) {
                members.insert(key, shown);
            }
        }
        Some(Value::Object(members))
    }

    /// What other maps of a united container hold at the same key.
    fn rivals_in<'m>(
        &self,
        node: Option<&'static Node>,
        others: impl Iterator<Item = &'m ObjId>,
        key: &str,
        shown: &Value,
    ) -> Vec<Rival> {
        let mut rivals = Vec::new();
        for map in others {
            for (value, op) in self.document.get_all(map, key).unwrap_or_default() {
                let Some(held) = held::of(self.document, value, &op, None) else {
                    continue;
                };
                let value = match node {
                    Some(Node::Keyed(_)) if held.has(REMOVED) => continue,
                    Some(Node::Keyed(entity)) => plain_entity(entity.fields, &held),
                    node => plain(codec::member(node, key).map(|field| &field.node), &held),
                };
                if value != *shown {
                    rivals.push(self.rival(value, &op));
                }
            }
        }
        sort_rivals(&mut rivals);
        rivals
    }

    /// The whole record.
    pub(super) fn record(&mut self) -> Value {
        match held::read(self.document, &ROOT, None) {
            Some(Held::Map(map)) => self.members(self.kind.fields(), &map, &mut String::new()),
            _ => Value::Object(Map::new()),
        }
    }

    /// One member of the container that the way leads to, with these fields.
    pub(super) fn member(
        &mut self,
        fields: &'static [Field],
        name: &str,
        value: &Slot<'_>,
        path: &mut String,
    ) -> Value {
        let field = find(fields, name);
        let node = field.map(|field| &field.node);
        self.way.push(Step::Key(name.to_owned()));
        if value.conflict
            && field.is_some_and(Field::is_container)
            && let Some(shown) = self.united(node, path)
        {
            self.way.pop();
            return shown;
        }
        let mut shown = self.value(node, &value.value, path);
        if value.conflict {
            if path == "/state" {
                shown = self.first_state(shown);
            }
            self.rivals(
                node,
                field.is_some_and(|field| field.deciding),
                &shown,
                path,
            );
        }
        self.way.pop();
        shown
    }

    fn entries(
        &mut self,
        entity: &'static Entity,
        map: &[(Cow<'_, str>, Slot<'_>)],
        path: &mut String,
    ) -> Value {
        let mut entries = Map::new();
        for (id, value) in map {
            let shown = within(path, id, |path| self.entry_at(entity, id, value, path));
            if let Some(shown) = shown {
                entries.insert(id.to_string(), shown);
            }
        }
        Value::Object(entries)
    }

    /// A sub-entity of the container that the way leads to, or `None` if it is removed.
    pub(super) fn entry_at(
        &mut self,
        entity: &'static Entity,
        id: &str,
        value: &Slot<'_>,
        path: &mut String,
    ) -> Option<Value> {
        self.way.push(Step::Key(id.to_owned()));
        let shown = self.entry(entity, value, path);
        self.way.pop();
        shown
    }

    /// A sub-entity, or `None` if it is removed.
    fn entry(
        &mut self,
        entity: &'static Entity,
        value: &Slot<'_>,
        path: &mut String,
    ) -> Option<Value> {
        let shown = match &value.value {
            Held::Map(map) if value.value.has(REMOVED) => {
                if !self.came_back() {
                    return None;
                }
                self.flags.push(Flag {
                    code: REMOVAL_UNDONE.to_owned(),
                    path: path.clone(),
                });
                let mut shown = self.members(entity.fields, map, path);
                if let Value::Object(members) = &mut shown {
                    members.remove(REMOVED);
                }
                self.forget_mark(path);
                shown
            }
            Held::Map(map) => self.members(entity.fields, map, path),
            other => self.value(None, other, path),
        };
        if value.conflict {
            self.lost_entries(entity, &shown, path);
        }
        Some(shown)
    }

    /// Two removals at once are no field that lost a value.
    fn forget_mark(&mut self, path: &str) {
        let mark = format!("{path}/{REMOVED}");
        self.overwritten.retain(|conflict| {
            conflict.path != mark && !conflict.path.starts_with(&format!("{mark}/"))
        });
    }

    /// Whether the sub-entity at hand is not as those who removed it saw it.
    fn came_back(&self) -> bool {
        let Some(object) = self.object(self.way.len()) else {
            return false;
        };
        let marks = self.document.get_all(&object, REMOVED).unwrap_or_default();
        let removals: Vec<_> = marks
            .iter()
            .filter_map(|(_, mark)| self.document.hash_for_opid(mark))
            .collect();
        let then = held::read(self.document, &object, Some(&removals));
        let now = held::read(self.document, &object, None);
        match (then, now) {
            (Some(Held::Map(mut then)), Some(Held::Map(mut now))) => {
                then.retain(|(name, _)| name != REMOVED);
                now.retain(|(name, _)| name != REMOVED);
                then != now
            }
            _ => false,
        }
    }

    /// The state shown of several that compete.
    fn first_state(&self, winner: Value) -> Value {
        let Some((object, Step::Key(key))) = self.register() else {
            return winner;
        };
        let values = self
            .document
            .get_all(&object, key.as_str())
            .unwrap_or_default();
        let precedence = |state: &str| self.kind.lifecycle().precedence(state);
        let mut best = winner;
        // Automerge's own value is the last; an equal place leaves it shown.
        for (value, _) in values.iter().rev() {
            if let Some(text) = value.as_str()
                && precedence(text) < best.as_str().map_or(usize::MAX, precedence)
            {
                best = Value::from(text);
            }
        }
        best
    }

    /// Notes the values of the register at hand that are not shown.
    fn rivals(&mut self, node: Option<&'static Node>, deciding: bool, shown: &Value, path: &str) {
        if self.conflicts.len() + self.overwritten.len() >= CONFLICTS_MAX {
            return;
        }
        let render = |value: &Held<'_>| plain(node, value);
        let rivals = self.values(&render, shown);
        self.note(deciding, shown, rivals, path);
    }

    fn lost_entries(&mut self, entity: &'static Entity, shown: &Value, path: &str) {
        let render = |value: &Held<'_>| plain_entity(entity.fields, value);
        let rivals = self.values(&render, shown);
        self.note(false, shown, rivals, path);
    }

    fn note(&mut self, deciding: bool, shown: &Value, rivals: Vec<Rival>, path: &str) {
        if rivals.is_empty() {
            return;
        }
        let conflict = Conflict {
            path: path.to_owned(),
            shown: shown.clone(),
            rivals,
        };
        if deciding {
            self.conflicts.push(conflict);
        } else {
            self.overwritten.push(conflict);
        }
    }

    fn values(&self, render: &dyn Fn(&Held<'_>) -> Value, shown: &Value) -> Vec<Rival> {
        let Some((object, step)) = self.register() else {
            return Vec::new();
        };
        let all = match step {
            Step::Key(key) => self.document.get_all(&object, key.as_str()),
            Step::Index(index) => self.document.get_all(&object, *index),
        };
        let mut rivals = Vec::new();
        for (value, op) in all.unwrap_or_default() {
            let Some(held) = held::of(self.document, value, &op, None) else {
                continue;
            };
            let value = render(&held);
            if value == *shown {
                continue;
            }
            rivals.push(self.rival(value, &op));
        }
        sort_rivals(&mut rivals);
        rivals
    }

    fn rival(&self, value: Value, op: &ObjId) -> Rival {
        let change = self
            .document
            .hash_for_opid(op)
            .and_then(|hash| self.document.get_change_meta_by_hash(&hash));
        Rival {
            value,
            by: change
                .as_ref()
                .and_then(|change| message::read(change.message.as_deref()).by),
            at: UnixMillis(change.map_or(0, |change| change.timestamp)),
        }
    }

    /// The container and key at hand.
    fn register(&self) -> Option<(ObjId, &Step)> {
        let last = self.way.last()?;
        self.object(self.way.len() - 1).map(|object| (object, last))
    }

    /// The container that the first `depth` steps of the way lead to.
    fn object(&self, depth: usize) -> Option<ObjId> {
        let mut object = ROOT;
        let mut walk = Walk::new(self.kind);
        for (at, step) in self.way[..depth].iter().enumerate() {
            object = match step {
                Step::Key(key) => {
                    let next = match self.way.get(at + 1) {
                        Some(Step::Key(next)) => Some(next.as_str()),
                        Some(Step::Index(_)) | None => None,
                    };
                    walk.enter(self.document, &object, key, next, None)?
                }
                Step::Index(index) => self.document.get(&object, *index).ok()??.1,
            };
        }
        Some(object)
    }
}

/// Whether a member is a lazy container that holds nothing.
fn is_hidden(fields: &'static [Field], name: &str, shown: &Value) -> bool {
    find(fields, name).is_some_and(|field| field.lazy && field.is_container())
        && shown.as_object().is_some_and(Map::is_empty)
}

fn sort_rivals(rivals: &mut [Rival]) {
    rivals.sort_by(|left, right| {
        (left.at, &left.by, left.value.to_string()).cmp(&(
            right.at,
            &right.by,
            right.value.to_string(),
        ))
    });
}

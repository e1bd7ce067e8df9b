//! Who changed what, and when, told from the changes themselves.
//!
//! The first change is the record as it was made; each later one is told by its operations, a
//! list as its new whole. Guarantees: oldest first, every change after those it builds on; a
//! change without effect tells nothing. The same on every node.

use std::collections::{BTreeMap, BTreeSet};

use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{Automerge, ChangeHash, ObjType, ReadDoc as _, ScalarValueRef};
use serde_json::Value;

use super::codec::{plain, plain_entity, plain_group, shown};
use super::held::{self, DEPTH_HELD, Held};
use super::plan::{Place, path_of};
use super::united::Walk;
use super::write::place;
use super::{Document, message};
use crate::history::{HistoryChange, HistoryItem};
use crate::rules::REMOVED;
use crate::schema::{Kind, Node};
use crate::value::{ActorId, UnixMillis};

/// Most steps told of one change; an office's edit has a few.
const STEPS_MAX: usize = 2_000;

pub(super) fn history(document: &Document) -> Vec<HistoryItem> {
    let mut teller = Teller {
        document: &document.automerge,
        objects: BTreeMap::new(),
        kind: document.kind,
    };
    let changes = ordered(document.automerge.get_changes(&[]));
    changes.iter().map(|change| teller.item(change)).collect()
}

/// Oldest first: of the changes that nothing missing holds back always the earliest.
fn ordered(changes: Vec<automerge::Change>) -> Vec<automerge::Change> {
    let mut waiting: BTreeMap<(i64, ChangeHash), automerge::Change> = BTreeMap::new();
    let mut missing: BTreeMap<ChangeHash, usize> = BTreeMap::new();
    let mut later: BTreeMap<ChangeHash, Vec<automerge::Change>> = BTreeMap::new();
    for change in changes {
        missing.insert(change.hash(), change.deps().len());
        if change.deps().is_empty() {
            waiting.insert((change.timestamp(), change.hash()), change);
        } else {
            for dep in change.deps() {
                later.entry(*dep).or_default().push(change.clone());
            }
        }
    }
    let mut out = Vec::with_capacity(missing.len());
    while let Some((_, change)) = waiting.pop_first() {
        for next in later.remove(&change.hash()).unwrap_or_default() {
            if let Some(count) = missing.get_mut(&next.hash()) {
                *count -= 1;
                if *count == 0 {
                    waiting.insert((next.timestamp(), next.hash()), next);
                }
            }
        }
        out.push(change);
    }
    out
}

/// What an object of the document is, for those who tell.
#[derive(Debug, Clone)]
struct Object {
    way: Vec<String>,
    /// The list that it is or stands in, for which the whole list is told.
    list: Option<Vec<String>>,
}

struct Teller<'a> {
    document: &'a Automerge,
    objects: BTreeMap<OpId, Object>,
    kind: Kind,
}

impl Teller<'_> {
    fn item(&mut self, change: &automerge::Change) -> HistoryItem {
        let actor = ActorId::from_slice(change.actor_id().to_bytes());
        HistoryItem {
            hash: crate::value::ChangeHash::from_bytes(change.hash().0),
            at: UnixMillis(change.timestamp()),
            by: message::read(change.message()).by,
            origin: actor.map_or([0; 8], |actor| actor.origin()),
            changes: self.changes(change),
        }
    }

    fn changes(&mut self, change: &automerge::Change) -> Vec<HistoryChange> {
        let decoded = change.decode();
        let start = decoded.start_op.get();
        let mut told = Told::default();
        for (number, op) in (start..).zip(&decoded.operations) {
            let id = OpId::new(number, &decoded.actor_id);
            self.operation(op, id, start, &decoded.actor_id, change, &mut told);
        }
        if change.deps().is_empty() {
            return vec![self.creation(change.hash())];
        }
        told.changes
    }

    /// The record as its first change made it.
    fn creation(&self, hash: ChangeHash) -> HistoryChange {
        let fields = match held::read(self.document, &automerge::ROOT, Some(&[hash])) {
            Some(Held::Map(mut members)) => {
                members.retain(|(name, _)| !name.starts_with('_'));
                plain_group(self.kind.fields(), &Held::Map(members))
            }
            _ => Value::Null,
        };
        HistoryChange {
            op: "add",
            path: String::new(),
            value: Some(fields),
        }
    }

    fn operation(
        &mut self,
        op: &Op,
        id: OpId,
        start: u64,
        actor: &automerge::ActorId,
        change: &automerge::Change,
        told: &mut Told,
    ) {
        let (parent, inside) = match &op.obj {
            ObjectId::Root => (
                Object {
                    way: Vec::new(),
                    list: None,
                },
                false,
            ),
            ObjectId::Id(object) => {
                let Some(parent) = self.objects.get(object).cloned() else {
                    return;
                };
                // What stands in an object made by this change is told with that object.
                let inside = object.counter() >= start && object.actor() == actor;
                (parent, inside)
            }
        };
        let mut way = parent.way;
        match &op.key {
            Key::Map(name) => way.push(name.to_string()),
            Key::Seq(ElementId::Head | ElementId::Id(_)) => way.push("-".to_owned()),
        }
        let in_list = parent.list;
        if let OpType::Make(made) = &op.action
            && way.len() <= DEPTH_HELD
        {
            let list = in_list
                .clone()
                .or_else(|| (*made == ObjType::List).then(|| way.clone()));
            let object = Object {
                way: way.clone(),
                list,
            };
            self.objects.insert(id, object);
        }
        if inside || change.deps().is_empty() || told.changes.len() >= STEPS_MAX {
            return;
        }
        let at = [change.hash()];
        if let Some(list) = in_list {
            if told.lists.insert(list.clone()) {
                let value = self.read(&list, &at);
                told.push("replace", &list, value);
            }
            return;
        }
        self.tell(op, &way, &at, told);
    }

    /// Tells an operation on a map's key.
    fn tell(&self, op: &Op, way: &[String], at: &[ChangeHash], told: &mut Told) {
        if way.len() == 1 && way[0].starts_with('_') {
            return;
        }
        if let Some((last, entry)) = way.split_last()
            && last == REMOVED
            && matches!(place(self.kind, entry), Place::Entry(_))
        {
            match op.action {
                OpType::Delete => told.push("add", entry, self.read(entry, at)),
                _ => told.push("remove", entry, None),
            }
            return;
        }
        let verb = if op.pred.is_empty() { "add" } else { "replace" };
        match &op.action {
            OpType::Put(value) => told.push(
                verb,
                way,
                Some(shown(self.node(way), &ScalarValueRef::from(value.clone()))),
            ),
            OpType::Delete => match self.read(way, at) {
                // Deleting what was not shown settles on what was.
                Some(value) => told.push("replace", way, Some(value)),
                None => told.push("remove", way, None),
            },
            _ => match (self.node(way), self.read(way, at)) {
                // A container made when it was first needed is told by what stands in it.
                (Some(Node::Keyed(_)), Some(Value::Object(entries))) => {
                    for (id, entry) in entries {
                        let way: Vec<_> = way.iter().cloned().chain([id]).collect();
                        told.push("add", &way, Some(entry));
                    }
                }
                (_, value) => told.push(verb, way, value),
            },
        }
    }

    fn node(&self, way: &[String]) -> Option<&'static Node> {
        match place(self.kind, way) {
            Place::Field(field) => Some(&field.node),
            _ => None,
        }
    }

    /// The JSON at these keys in the version `at`.
    fn read(&self, way: &[String], at: &[ChangeHash]) -> Option<Value> {
        let mut object = automerge::ROOT;
        let mut walk = Walk::new(self.kind);
        let (last, parents) = way.split_last()?;
        for (index, key) in parents.iter().enumerate() {
            let next = way.get(index + 1).map(String::as_str);
            object = walk.enter(self.document, &object, key, next, Some(at))?;
        }
        let (value, id) = self.document.get_at(&object, last.as_str(), at).ok()??;
        let held = held::of(self.document, value, &id, Some(at))?;
        Some(match place(self.kind, way) {
            Place::Entry(entity) => plain_entity(entity.fields, &held),
            Place::Field(field) => plain(Some(&field.node), &held),
            Place::Unknown | Place::Whole => plain(None, &held),
        })
    }
}

/// What is told of one change so far.
#[derive(Default)]
struct Told {
    changes: Vec<HistoryChange>,
    lists: BTreeSet<Vec<String>>,
}

impl Told {
    fn push(&mut self, op: &'static str, way: &[String], value: Option<Value>) {
        self.changes.push(HistoryChange {
            op,
            path: path_of(way),
            value,
        });
    }
}

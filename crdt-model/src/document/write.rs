//! The difference between a part's two values, written as operations on its leaves.
//!
//! Guarantees: equal values make no operation; a register is set whole; a removed sub-entity is
//! marked, never deleted; a list changes between its common beginning and end only.

use automerge::transaction::{Transactable as _, Transaction};
use automerge::{AutomergeError, ObjId, ObjType, Prop, ROOT, ReadDoc as _, Value as Held, hydrate};
use serde_json::{Map, Value};

use super::codec::{plain_entity, put, same, scalar, stored, stored_group};
use super::held;
use super::plan::{Part, Place, Plan, below};
use super::united::{self, Walk};
use crate::command::{Pointer, Stamp};
use crate::rules::REMOVED;
use crate::schema::{Entity, Field, Kind, Node, find};

type Written = Result<(), AutomergeError>;

/// Writes a plan into a transaction.
pub(super) struct Writer<'t, 'd, 'p> {
    transaction: &'t mut Transaction<'d>,
    plan: &'p Plan,
    stamp: &'p Stamp,
}

impl<'t, 'd, 'p> Writer<'t, 'd, 'p> {
    pub(super) fn new(
        transaction: &'t mut Transaction<'d>,
        plan: &'p Plan,
        stamp: &'p Stamp,
    ) -> Self {
        Self {
            transaction,
            plan,
            stamp,
        }
    }

    /// Writes every part, then settles what the patch chose.
    pub(super) fn write(mut self) -> Written {
        let plan = self.plan;
        for part in &plan.parts {
            if part.differs() {
                self.part(part)?;
            }
            self.settle(part)?;
        }
        Ok(())
    }

    fn part(&mut self, part: &Part) -> Written {
        let (before, after) = (part.before.as_ref(), part.after.as_ref());
        let path = part.path();
        let Some((key, parents)) = part.way.split_last() else {
            let fields = self.plan.kind.fields();
            return self.group(&[ROOT], fields, before, after, &path);
        };
        let parents = self.containers(parents)?;
        match part.place {
            Place::Entry(entity) => self.entry(&parents, key, entity, before, after, &path),
            Place::Field(field) => {
                self.member(&parents, key, Some(&field.node), before, after, &path)
            }
            Place::Unknown | Place::Whole => self.member(&parents, key, None, before, after, &path),
        }
    }

    /// The maps that are the container at these keys below the root; a container of the table that
    /// is not there is made.
    fn containers(&mut self, way: &[String]) -> Result<Vec<ObjId>, AutomergeError> {
        let Some((last, parents)) = way.split_last() else {
            return Ok(vec![ROOT]);
        };
        let mut walk = Walk::new(self.plan.kind);
        let mut object = ROOT;
        for (index, key) in parents.iter().enumerate() {
            let next = way.get(index + 1).map(String::as_str);
            let container = find(walk.fields(), key).is_some_and(Field::is_container);
            let found = if self.transaction.object_type(&object)? == ObjType::List {
                walk.step(key);
                let prop = self.prop(&object, key)?;
                self.transaction.get(&object, prop)?.map(|(_, id)| id)
            } else {
                walk.enter(&*self.transaction, &object, key, next, None)
            };
            object = match found {
                Some(found) => found,
                None if container => self.transaction.put_object(&object, key, ObjType::Map)?,
                None => return Err(AutomergeError::NotAnObject),
            };
        }
        let field = walk.step(last);
        let prop = self.prop(&object, last)?;
        match self.transaction.get(&object, prop)? {
            Some((Held::Object(ObjType::Map), _)) if field.is_some_and(Field::is_container) => {
                Ok(united::maps(&*self.transaction, &object, last, None))
            }
            Some((Held::Object(_), id)) => Ok(vec![id]),
            None if field.is_some_and(Field::is_container) => {
                let made = self.transaction.put_object(&object, last, ObjType::Map)?;
                Ok(vec![made])
            }
            _ => Err(AutomergeError::NotAnObject),
        }
    }

    /// The container at these keys below the root that holds `key`.
    fn object(&mut self, way: &[String], key: &str) -> Result<ObjId, AutomergeError> {
        let containers = self.containers(way)?;
        self.holder(&containers, key)
    }

    fn holder(&self, containers: &[ObjId], key: &str) -> Result<ObjId, AutomergeError> {
        let found = united::holder(&*self.transaction, containers, Some(key), None);
        found.cloned().ok_or(AutomergeError::NotAnObject)
    }

    /// Takes a key out of the other maps of a container.
    fn clear_others(&mut self, containers: &[ObjId], holder: &ObjId, key: &str) -> Written {
        for other in containers.iter().filter(|other| *other != holder) {
            if self.transaction.get(other, key)?.is_some() {
                self.transaction.delete(other, key)?;
            }
        }
        Ok(())
    }

    /// Marks a sub-entity as removed in the other maps of a container.
    fn remove_others(
        &mut self,
        containers: &[ObjId],
        holder: &ObjId,
        id: &str,
        path: &str,
    ) -> Written {
        for other in containers.iter().filter(|other| *other != holder) {
            if let Some((Held::Object(ObjType::Map), object)) = self.transaction.get(other, id)?
                && self.transaction.get(&object, REMOVED)?.is_none()
            {
                self.remove(&object, path)?;
            }
        }
        Ok(())
    }

    fn prop(&self, object: &ObjId, key: &str) -> Result<Prop, AutomergeError> {
        if self.transaction.object_type(object)? == ObjType::List {
            return key
                .parse()
                .map(Prop::Seq)
                .map_err(|_| AutomergeError::InvalidIndex(0));
        }
        Ok(Prop::Map(key.to_owned()))
    }

    /// Two values of one key.
    fn member(
        &mut self,
        parents: &[ObjId],
        key: &str,
        node: Option<&'static Node>,
        before: Option<&Value>,
        after: Option<&Value>,
        path: &str,
    ) -> Written {
        let parent = &self.holder(parents, key)?;
        match (before, after) {
            (None, None) => Ok(()),
            (Some(before), Some(after)) if same(before, after) => Ok(()),
            (_, None) if !matches!(node, Some(Node::Group(_) | Node::Keyed(_))) => {
                self.clear_others(parents, parent, key)?;
                self.transaction.delete(parent, key)
            }
            _ => match (node, self.transaction.get(parent, key)?) {
                (Some(Node::Group(fields)), Some((Held::Object(ObjType::Map), _))) => {
                    let maps = united::maps(&*self.transaction, parent, key, None);
                    self.group(&maps, fields, before, after, path)
                }
                (Some(Node::Keyed(entity)), Some((Held::Object(ObjType::Map), _))) => {
                    let maps = united::maps(&*self.transaction, parent, key, None);
                    self.keyed(&maps, entity, before, after, path)
                }
                (None, Some((Held::Object(ObjType::Map), id)))
                    if both(before, after, Value::is_object) =>
                {
                    self.group(&[id], &[], before, after, path)
                }
                (_, Some((Held::Object(ObjType::List), id)))
                    if both(before, after, Value::is_array) =>
                {
                    self.list(&id, before, after)
                }
                // A lazy container that was not there is not made to hold nothing.
                (Some(Node::Group(_) | Node::Keyed(_)), None) if after.is_none() => Ok(()),
                _ => {
                    self.clear_others(parents, parent, key)?;
                    self.set(parent, key.into(), node, after.unwrap_or(&Value::Null))
                }
            },
        }
    }

    fn group(
        &mut self,
        objects: &[ObjId],
        fields: &'static [Field],
        before: Option<&Value>,
        after: Option<&Value>,
        path: &str,
    ) -> Written {
        for key in keys(before, after) {
            let node = find(fields, key).map(|field| &field.node);
            let (before, after) = (look(before, key), look(after, key));
            self.member(objects, key, node, before, after, &below(path, key))?;
        }
        Ok(())
    }

    fn keyed(
        &mut self,
        objects: &[ObjId],
        entity: &'static Entity,
        before: Option<&Value>,
        after: Option<&Value>,
        path: &str,
    ) -> Written {
        for id in keys(before, after) {
            let (before, after) = (look(before, id), look(after, id));
            self.entry(objects, id, entity, before, after, &below(path, id))?;
        }
        Ok(())
    }

    /// Two values of a sub-entity.
    fn entry(
        &mut self,
        containers: &[ObjId],
        id: &str,
        entity: &'static Entity,
        before: Option<&Value>,
        after: Option<&Value>,
        path: &str,
    ) -> Written {
        if let (Some(before), Some(after)) = (before, after)
            && same(before, after)
        {
            return Ok(());
        }
        let container = &self.holder(containers, id)?;
        let held = self.transaction.get(container, id)?;
        match (held, after) {
            (Some((Held::Object(ObjType::Map), object)), Some(after)) => {
                let hidden = before
                    .is_none()
                    .then(|| self.hidden(&object, entity))
                    .transpose()?;
                let before = hidden.as_ref().or(before);
                if self.transaction.get(&object, REMOVED)?.is_some() {
                    self.transaction.delete(&object, REMOVED)?;
                }
                self.group(&[object], entity.fields, before, Some(after), path)
            }
            (Some((Held::Object(ObjType::Map), object)), None) => {
                if before.is_some() {
                    self.remove(&object, path)?;
                    self.remove_others(containers, container, id, path)?;
                }
                Ok(())
            }
            (_, Some(after)) => {
                let value = stored_group(entity.fields, after);
                self.transaction
                    .batch_create_object(container, id, &value, false)?;
                Ok(())
            }
            (Some(_), None) => self.transaction.delete(container, id),
            (None, None) => Ok(()),
        }
    }

    /// What a removed sub-entity still holds.
    fn hidden(&self, object: &ObjId, entity: &'static Entity) -> Result<Value, AutomergeError> {
        let held = held::read(&*self.transaction, object, None);
        let held = held.ok_or(AutomergeError::NotAnObject)?;
        Ok(plain_entity(entity.fields, &held))
    }

    /// Marks a sub-entity as removed.
    fn remove(&mut self, object: &ObjId, path: &str) -> Written {
        let mut mark = hydrate::Map::default();
        put(
            &mut mark,
            "at",
            hydrate::Value::scalar(self.stamp.at.to_string()),
        );
        if let Some(by) = &self.stamp.by {
            put(&mut mark, "by", hydrate::Value::scalar(by.as_str()));
        }
        if let Some(reason) = self.plan.reasons.get(path) {
            put(&mut mark, "reason", hydrate::Value::scalar(reason.as_str()));
        }
        let mark = hydrate::Value::Map(mark);
        self.transaction
            .batch_create_object(object, REMOVED, &mark, false)?;
        Ok(())
    }

    /// Replaces what differs between the common beginning and the common end.
    fn list(&mut self, object: &ObjId, before: Option<&Value>, after: Option<&Value>) -> Written {
        let (before, after) = (items(before), items(after));
        let equal = |(left, right): &(&Value, &Value)| same(left, right);
        let begin = before.iter().zip(after).take_while(equal).count();
        let (before, after) = (&before[begin..], &after[begin..]);
        let end = before
            .iter()
            .rev()
            .zip(after.iter().rev())
            .take_while(equal)
            .count();
        let deleted = before.len() - end;
        let inserted = after[..after.len() - end]
            .iter()
            .map(|item| stored(None, item));
        let deleted = isize::try_from(deleted).expect("a list is shorter than memory");
        self.transaction.splice(object, begin, deleted, inserted)
    }

    /// Sets a register whole; this also settles a conflict that it is in.
    fn set(
        &mut self,
        parent: &ObjId,
        prop: Prop,
        node: Option<&'static Node>,
        value: &Value,
    ) -> Written {
        if value.is_object() || value.is_array() {
            let value = stored(node, value);
            self.transaction
                .batch_create_object(parent, prop, &value, false)?;
            return Ok(());
        }
        self.transaction.put(parent, prop, scalar(node, value))
    }

    /// A value that the patch sets settles its register also where it is the one shown already.
    fn settle(&mut self, part: &Part) -> Written {
        let plan = self.plan;
        let chosen = |pointer: &Pointer| {
            plan.set
                .iter()
                .any(|set| pointer.tokens().starts_with(set.tokens()))
        };
        for open in &part.open {
            let (before, after) = part.at(open);
            let Some(pointer) = Pointer::parse(open).filter(chosen) else {
                continue;
            };
            if let (Some(before), Some(after)) = (before, after)
                && same(before, after)
                && let Some((key, parents)) = pointer.tokens().split_last()
            {
                let containers = self.containers(parents)?;
                let parent = self.holder(&containers, key)?;
                self.clear_others(&containers, &parent, key)?;
                let prop = self.prop(&parent, key)?;
                let place = place(plan.kind, pointer.tokens());
                match place {
                    Place::Entry(entity) => {
                        let value = stored_group(entity.fields, after);
                        self.transaction
                            .batch_create_object(&parent, prop, &value, false)?;
                    }
                    Place::Field(field) => self.set(&parent, prop, Some(&field.node), after)?,
                    Place::Unknown | Place::Whole => self.set(&parent, prop, None, after)?,
                }
            }
        }
        for returned in &part.returned {
            let (_, after) = part.at(returned);
            if let Some(pointer) = Pointer::parse(returned).filter(chosen)
                && after.is_some()
            {
                let Some((id, parents)) = pointer.tokens().split_last() else {
                    continue;
                };
                let parent = self.object(parents, id)?;
                let Some((Held::Object(_), object)) = self.transaction.get(&parent, id.as_str())?
                else {
                    continue;
                };
                if self.transaction.get(&object, REMOVED)?.is_some() {
                    self.transaction.delete(&object, REMOVED)?;
                }
            }
        }
        Ok(())
    }
}

/// What the table says of these keys below the root.
pub(super) fn place(kind: Kind, tokens: &[String]) -> Place {
    let mut fields = kind.fields();
    let mut entity: Option<&'static Entity> = None;
    let mut place = Place::Whole;
    for token in tokens {
        if let Some(inner) = entity.take() {
            fields = inner.fields;
            place = Place::Entry(inner);
            continue;
        }
        match find(fields, token) {
            Some(field) => {
                place = Place::Field(field);
                match field.node {
                    Node::Group(inner) => fields = inner,
                    Node::Keyed(inner) => entity = Some(inner),
                    Node::Leaf(_) => fields = &[],
                }
            }
            None => {
                place = Place::Unknown;
                fields = &[];
            }
        }
    }
    place
}

fn both(before: Option<&Value>, after: Option<&Value>, is: fn(&Value) -> bool) -> bool {
    before.is_some_and(is) && after.is_some_and(is)
}

fn members(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object)
}

fn look<'a>(value: Option<&'a Value>, key: &str) -> Option<&'a Value> {
    members(value).and_then(|members| members.get(key))
}

fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The keys of either, each once, in order.
fn keys<'a>(before: Option<&'a Value>, after: Option<&'a Value>) -> Vec<&'a str> {
    let mut keys: Vec<_> = [before, after]
        .into_iter()
        .filter_map(members)
        .flat_map(|members| members.keys().map(String::as_str))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

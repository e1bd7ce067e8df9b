//! Containers of the table that several nodes made at the same time, read and written as one.
//!
//! Automerge keeps both and shows one; what stands in the other would be hidden. Here every map
//! that stands at the key of a container counts, so a container may be made when it is first
//! needed. Of a key that several hold the last counts, in Automerge's order, and of sub-entities
//! one that is not removed. The same changes give the same choice on every node.

use automerge::{AutomergeError, ChangeHash, ObjId, ObjType, ReadDoc, Value as Held};
use serde_json::{Map, Value};

use crate::rules::REMOVED;
use crate::schema::{Entity, Field, Kind, Node, find};

/// A way down the table, from the root.
pub(super) struct Walk {
    fields: &'static [Field],
    entity: Option<&'static Entity>,
}

impl Walk {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            fields: kind.fields(),
            entity: None,
        }
    }

    /// The fields of where the way stands.
    pub(super) fn fields(&self) -> &'static [Field] {
        self.fields
    }

    /// Goes on to this key; what the table says of it, nothing for a sub-entity's id.
    pub(super) fn step(&mut self, key: &str) -> Option<&'static Field> {
        if let Some(entity) = self.entity.take() {
            self.fields = entity.fields;
            return None;
        }
        let field = find(self.fields, key);
        self.fields = &[];
        match field.map(|field| &field.node) {
            Some(Node::Group(inner)) => self.fields = inner,
            Some(Node::Keyed(entity)) => self.entity = Some(entity),
            Some(Node::Leaf(_)) | None => {}
        }
        field
    }

    /// Goes on to this key and into what stands there, on the way to `next`.
    pub(super) fn enter<D: ReadDoc>(
        &mut self,
        document: &D,
        object: &ObjId,
        key: &str,
        next: Option<&str>,
        heads: Option<&[ChangeHash]>,
    ) -> Option<ObjId> {
        let field = self.step(key);
        if field.is_some_and(Field::is_container) {
            let maps = maps(document, object, key, heads);
            if !maps.is_empty() {
                return holder(document, &maps, next, heads).cloned();
            }
        }
        let found = match heads {
            Some(heads) => document.get_at(object, key, heads),
            None => document.get(object, key),
        };
        found.ok()?.map(|(_, id)| id)
    }
}

/// The maps that stand at this key, the one that Automerge shows last; none if it shows another
/// kind of value.
pub(super) fn maps<D: ReadDoc>(
    document: &D,
    object: &ObjId,
    key: &str,
    heads: Option<&[ChangeHash]>,
) -> Vec<ObjId> {
    let all = all(document, object, key, heads).unwrap_or_default();
    let is_map = |value: &Held<'_>| matches!(value, Held::Object(ObjType::Map));
    if !all.last().is_some_and(|(value, _)| is_map(value)) {
        return Vec::new();
    }
    let maps = all.into_iter().filter(|(value, _)| is_map(value));
    maps.map(|(_, id)| id).collect()
}

/// Of several maps that are one container, the one that holds the key, or would.
pub(super) fn holder<'a, D: ReadDoc>(
    document: &D,
    maps: &'a [ObjId],
    key: Option<&str>,
    heads: Option<&[ChangeHash]>,
) -> Option<&'a ObjId> {
    let last = maps.last();
    let (Some(key), true) = (key, maps.len() > 1) else {
        return last;
    };
    let values = |map: &ObjId| all(document, map, key, heads).unwrap_or_default();
    let live = |map: &&ObjId| {
        let shown = values(map).pop();
        shown.is_some_and(|(_, id)| {
            let mark = all(document, &id, REMOVED, heads);
            mark.map_or(true, |marks| marks.is_empty())
        })
    };
    let holds = |map: &&ObjId| !values(map).is_empty();
    let found = maps.iter().rev().find(live);
    found.or_else(|| maps.iter().rev().find(holds)).or(last)
}

fn all<'a, D: ReadDoc>(
    document: &'a D,
    object: &ObjId,
    key: &str,
    heads: Option<&[ChangeHash]>,
) -> Result<Vec<(Held<'a>, ObjId)>, AutomergeError> {
    match heads {
        Some(heads) => document.get_all_at(object, key, heads),
        None => document.get_all(object, key),
    }
}

/// Takes lazy containers away that hold nothing.
pub(super) fn prune(fields: &'static [Field], members: &mut Map<String, Value>) {
    for field in fields.iter().filter(|field| field.is_container()) {
        let Some(Value::Object(inner)) = members.get_mut(field.name) else {
            continue;
        };
        prune_inside(&field.node, inner);
        if field.lazy && inner.is_empty() {
            members.remove(field.name);
        }
    }
}

/// As [`prune`], in what stands in a container.
pub(super) fn prune_inside(node: &Node, members: &mut Map<String, Value>) {
    match node {
        Node::Group(fields) => prune(fields, members),
        Node::Keyed(entity) => {
            for entry in members.values_mut().filter_map(Value::as_object_mut) {
                prune(entity.fields, entry);
            }
        }
        Node::Leaf(_) => {}
    }
}

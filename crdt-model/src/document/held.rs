//! What a container of the document holds, read in one pass over its operations.
//!
//! Guarantees: linear in the operations, bounded depth: what a foreign change nests deeper than
//! [`DEPTH_HELD`] is not followed. Does not know the table of fields.

use std::borrow::Cow;
use std::collections::BTreeMap;

use automerge::iter::DocItem;
use automerge::{ChangeHash, ObjId, ObjType, ReadDoc, ScalarValueRef, ValueRef};

use crate::schema::DEPTH_MAX;

/// Deepest container that is read; a little more than a record may have.
pub(super) const DEPTH_HELD: usize = DEPTH_MAX + 16;

/// A value of the document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Held<'a> {
    Scalar(ScalarValueRef<'a>),
    Text(String),
    /// In the order of the keys.
    Map(Vec<(Cow<'a, str>, Slot<'a>)>),
    List(Vec<Slot<'a>>),
    /// A container whose content is read later in the pass.
    Later(usize),
}

/// A key's or an index's value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slot<'a> {
    /// The value that Automerge shows.
    pub(crate) value: Held<'a>,
    /// Whether there are others.
    pub(crate) conflict: bool,
}

impl Held<'_> {
    /// Whether a map has this key.
    pub(crate) fn has(&self, key: &str) -> bool {
        matches!(self, Held::Map(members) if members.iter().any(|(name, _)| name == key))
    }
}

/// A container found on the way and not yet put into its parent.
struct Found<'a> {
    held: Held<'a>,
    depth: usize,
}

/// Reads a container, now or in the version `heads`.
pub(crate) fn read<'a, D: ReadDoc>(
    document: &'a D,
    object: &ObjId,
    heads: Option<&[ChangeHash]>,
) -> Option<Held<'a>> {
    let kind = document.object_type(object).ok()?;
    let mut found = vec![Found {
        held: empty(kind),
        depth: 0,
    }];
    let mut places = BTreeMap::from([(object.clone(), 0)]);
    let mut last: Option<(std::sync::Arc<ObjId>, usize)> = None;
    for item in document.iter_at(object, heads) {
        let place = match &last {
            Some((object, place)) if std::sync::Arc::ptr_eq(object, &item.obj) => *place,
            _ => {
                let Some(place) = places.get(&*item.obj) else {
                    continue;
                };
                last = Some((item.obj.clone(), *place));
                *place
            }
        };
        let depth = found[place].depth + 1;
        let mut hold = |value: ValueRef<'a>, id: &dyn Fn() -> ObjId| match value {
            ValueRef::Scalar(scalar) => Held::Scalar(scalar),
            ValueRef::Object(_) if depth > DEPTH_HELD => Held::Scalar(ScalarValueRef::Null),
            ValueRef::Object(kind) => {
                let place = found.len();
                found.push(Found {
                    held: empty(kind),
                    depth,
                });
                places.insert(id(), place);
                Held::Later(place)
            }
        };
        match item.item {
            DocItem::Map(item) => {
                let id = || item.id();
                let value = hold(item.value.clone(), &id);
                let conflict = item.conflict;
                if let Held::Map(members) = &mut found[place].held {
                    members.push((item.key, Slot { value, conflict }));
                }
            }
            DocItem::List(item) => {
                let id = || item.id();
                let value = hold(item.value.clone(), &id);
                let conflict = item.conflict;
                if let Held::List(items) = &mut found[place].held {
                    items.push(Slot { value, conflict });
                }
            }
            DocItem::Text(span) => {
                if let Held::Text(text) = &mut found[place].held {
                    text.push_str(span.as_str());
                }
            }
        }
    }
    assemble(found)
}

fn empty<'a>(kind: ObjType) -> Held<'a> {
    match kind {
        ObjType::Map | ObjType::Table => Held::Map(Vec::new()),
        ObjType::List => Held::List(Vec::new()),
        ObjType::Text => Held::Text(String::new()),
    }
}

/// Puts every container into its parent, which was found before it.
fn assemble(found: Vec<Found<'_>>) -> Option<Held<'_>> {
    let mut whole: Vec<_> = found.into_iter().map(|found| Some(found.held)).collect();
    for place in (0..whole.len()).rev() {
        let Some(mut held) = whole[place].take() else {
            continue;
        };
        let slots: &mut dyn Iterator<Item = &mut Slot<'_>> = match &mut held {
            Held::Map(members) => &mut members.iter_mut().map(|(_, slot)| slot),
            Held::List(items) => &mut items.iter_mut(),
            _ => &mut std::iter::empty(),
        };
        for slot in slots {
            if let Held::Later(child) = slot.value {
                let child = whole.get_mut(child).and_then(Option::take);
                slot.value = child.unwrap_or(Held::Scalar(ScalarValueRef::Null));
            }
        }
        whole[place] = Some(held);
    }
    whole.into_iter().next().flatten()
}

/// What a map's key holds.
pub(crate) fn read_key<'a, D: ReadDoc>(
    document: &'a D,
    object: &ObjId,
    key: &str,
) -> Option<Slot<'a>> {
    let mut values = document.get_all(object, key).ok()?;
    let conflict = values.len() > 1;
    let (value, id) = values.pop()?;
    let value = of(document, value, &id, None)?;
    Some(Slot { value, conflict })
}

/// A value as Automerge gives it, containers read through.
pub(crate) fn of<'a, D: ReadDoc>(
    document: &'a D,
    value: automerge::Value<'_>,
    id: &ObjId,
    heads: Option<&[ChangeHash]>,
) -> Option<Held<'a>> {
    match value {
        automerge::Value::Scalar(scalar) => {
            Some(Held::Scalar(ScalarValueRef::from(scalar.into_owned())))
        }
        automerge::Value::Object(_) => read(document, id, heads),
    }
}

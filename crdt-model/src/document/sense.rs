//! Whether what the operations of a change name is there: objects, places in lists, values replaced.
//!
//! Automerge believes a change. One that names an object within itself, a place in another list or
//! a value of another key is taken in, and breaks the document at some later edit or on loading.
//! Guarantees: an operation that passes names only what stands in its own change before it, or in
//! what its change comes after. Linear in the operations of the change; those of the document are
//! read only if the change names what a lookup does not find.

use std::collections::BTreeMap;

use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, Automerge, ObjId, ObjType, ReadDoc as _};

use super::fit::Past;

/// An operation: its number and its actor's place.
type Id = (u64, usize);

/// Where an operation stands in its object.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Spot {
    Key(Box<str>),
    Head,
    /// The element that this operation inserted.
    Element(Id),
}

/// An operation that others may name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Placed {
    /// `None` for the root.
    object: Option<Id>,
    /// For an insertion the element that it makes.
    spot: Spot,
    makes: Option<ObjType>,
    inserts: bool,
}

/// Who made a change, and what it comes after.
#[derive(Debug, Clone, Copy)]
pub(super) struct Author<'a> {
    pub(super) own: usize,
    pub(super) past: &'a Past,
}

/// The places of actors by their bytes.
type Actors = BTreeMap<Vec<u8>, usize>;

/// Knows the operations that a change may name.
pub(super) struct Sense<'a> {
    document: &'a Automerge,
    /// Those of the changes checked, and the document's once they were needed.
    placed: BTreeMap<Id, Placed>,
    /// Whether all operations of the document are among them.
    whole: bool,
}

impl<'a> Sense<'a> {
    pub(super) fn of(document: &'a Automerge) -> Self {
        Self {
            document,
            placed: BTreeMap::new(),
            whole: document.get_heads().is_empty(),
        }
    }

    /// Checks the operations of a change, and remembers them.
    pub(super) fn check(
        &mut self,
        change: &automerge::Change,
        author: Author<'_>,
        actors: &Actors,
    ) -> Result<(), String> {
        let decoded = change.decode();
        for (number, op) in (change.start_op().get()..).zip(&decoded.operations) {
            let asked = Asked {
                author,
                actors,
                number,
            };
            let placed = self
                .operation(op, asked)
                .map_err(|what| format!("operation {number} of the change {what}"))?;
            if !matches!(op.action, OpType::Delete) {
                self.placed.insert((number, author.own), placed);
            }
        }
        Ok(())
    }

    fn operation(&mut self, op: &Op, asked: Asked<'_>) -> Result<Placed, &'static str> {
        let (object, kind) = match &op.obj {
            ObjectId::Root => (None, ObjType::Map),
            ObjectId::Id(id) => {
                let place = asked.place(id).ok_or("names an object that is not there")?;
                let kind = self.kind(place, id, asked.actors);
                (Some(place), kind.ok_or("names an object that is none")?)
            }
        };
        let own = (asked.number, asked.author.own);
        let spot = match (&op.key, kind) {
            (Key::Map(key), ObjType::Map) if !op.insert => Spot::Key(key.as_str().into()),
            (Key::Seq(element), ObjType::List) => match element {
                ElementId::Head if op.insert => Spot::Head,
                ElementId::Head => return Err("sets the head of a list"),
                ElementId::Id(id) => {
                    let place = asked
                        .place(id)
                        .ok_or("names an element that is not there")?;
                    let there = self.placed(place, asked.actors);
                    let there = there.filter(|there| there.inserts && there.object == object);
                    there.ok_or("names an element that is none of the list's")?;
                    Spot::Element(place)
                }
            },
            _ => return Err("does not fit the object that it names"),
        };
        let spot = if op.insert { Spot::Element(own) } else { spot };
        if op.insert && !op.pred.is_empty() {
            return Err("inserts what replaces another");
        }
        if matches!(op.action, OpType::Delete) && op.pred.is_empty() {
            return Err("deletes nothing");
        }
        let mut before: Option<&OpId> = None;
        for id in op.pred.iter() {
            if before == Some(id) {
                return Err("replaces a value twice");
            }
            before = Some(id);
            let place = asked
                .place(id)
                .ok_or("replaces a value that is not there")?;
            if !self.is_shown(place, id, op, &spot) {
                let there = self.placed(place, asked.actors);
                let there = there.filter(|there| there.object == object && there.spot == spot);
                there.ok_or("replaces a value that stands elsewhere")?;
            }
        }
        Ok(Placed {
            object,
            spot,
            makes: match op.action {
                OpType::Make(kind) => Some(kind),
                _ => None,
            },
            inserts: op.insert,
        })
    }

    /// What kind of object an operation made.
    fn kind(&mut self, place: Id, id: &OpId, actors: &Actors) -> Option<ObjType> {
        if !self.whole && !self.placed.contains_key(&place) {
            let kind = self.document.object_type(outside(id));
            if let Ok(kind) = kind {
                return Some(kind);
            }
        }
        self.placed(place, actors)?.makes
    }

    /// Whether the document shows, among the values of the key, the one that this operation set.
    /// Quick, for a change made on what the document holds; `false` does not mean that it is not
    /// there.
    fn is_shown(&self, place: Id, id: &OpId, op: &Op, spot: &Spot) -> bool {
        let Spot::Key(key) = spot else {
            return false;
        };
        if self.whole || self.placed.contains_key(&place) {
            return false;
        }
        let object = match &op.obj {
            ObjectId::Root => ObjId::Root,
            ObjectId::Id(object) => outside(object),
        };
        let shown = self.document.get_all(&object, &**key).unwrap_or_default();
        let named = |shown: &ObjId| match shown {
            ObjId::Id(number, actor, _) => *number == id.counter() && actor == id.actor(),
            ObjId::Root => false,
        };
        shown.iter().any(|(_, shown)| named(shown))
    }

    /// An operation of the changes checked or of the document.
    fn placed(&mut self, place: Id, actors: &Actors) -> Option<&Placed> {
        if !self.whole && !self.placed.contains_key(&place) {
            self.whole = true;
            for change in self.document.get_changes(&[]) {
                self.remember(&change, actors);
            }
        }
        self.placed.get(&place)
    }

    /// Notes the operations of a change that is held, which were checked when it came.
    fn remember(&mut self, change: &automerge::Change, actors: &Actors) {
        let decoded = change.decode();
        let place = |id: &OpId| {
            actors
                .get(id.actor().to_bytes())
                .map(|at| (id.counter(), *at))
        };
        let Some(own) = actors.get(change.actor_id().to_bytes()) else {
            return;
        };
        for (number, op) in (change.start_op().get()..).zip(&decoded.operations) {
            let object = match &op.obj {
                ObjectId::Root => None,
                ObjectId::Id(id) => place(id),
            };
            let spot = match &op.key {
                _ if op.insert => Spot::Element((number, *own)),
                Key::Map(key) => Spot::Key(key.as_str().into()),
                Key::Seq(ElementId::Head) => Spot::Head,
                Key::Seq(ElementId::Id(id)) => match place(id) {
                    Some(place) => Spot::Element(place),
                    None => continue,
                },
            };
            let makes = match op.action {
                OpType::Delete => continue,
                OpType::Make(kind) => Some(kind),
                _ => None,
            };
            let placed = Placed {
                object,
                spot,
                makes,
                inserts: op.insert,
            };
            self.placed.insert((number, *own), placed);
        }
    }
}

/// Who names an operation, and in which of his own.
#[derive(Clone, Copy)]
struct Asked<'a> {
    author: Author<'a>,
    actors: &'a Actors,
    number: u64,
}

impl Asked<'_> {
    /// The operation named, if it can be there: before this one in the same change, or in what the
    /// change comes after.
    fn place(&self, id: &OpId) -> Option<Id> {
        let actor = *self.actors.get(id.actor().to_bytes())?;
        let own = actor == self.author.own && id.counter() < self.number;
        let covered = id.counter() <= self.author.past.of(actor).operation;
        (own || covered).then_some((id.counter(), actor))
    }
}

/// The operation as the library names objects.
fn outside(id: &OpId) -> ObjId {
    let actor: &ActorId = id.actor();
    ObjId::Id(id.counter(), actor.clone(), 0)
}

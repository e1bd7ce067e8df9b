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

use super::past::Past;

/// An operation: its actor's place and its number.
type Id = (usize, u64);

/// The places of actors by their bytes.
type Actors = BTreeMap<Vec<u8>, usize>;

/// Who made a change, and what it comes after.
#[derive(Debug, Clone, Copy)]
pub(super) struct Author<'a> {
    pub(super) own: usize,
    pub(super) past: &'a Past,
}

/// Knows the operations that a change may name.
pub(super) struct Sense<'a> {
    document: &'a Automerge,
    /// Operations of changes, by the first: those of the changes checked, and the document's once
    /// they were needed.
    made: BTreeMap<Id, Vec<Op>>,
    /// Whether all operations of the document are among them.
    whole: bool,
}

impl<'a> Sense<'a> {
    pub(super) fn of(document: &'a Automerge) -> Self {
        Self {
            document,
            made: BTreeMap::new(),
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
        let start = change.start_op().get();
        let operations = change.decode().operations;
        for (number, op) in (start..).zip(&operations) {
            let asked = Asked {
                author,
                actors,
                start,
                number,
                change: &operations,
            };
            self.operation(op, &asked)
                .map_err(|what| format!("operation {number} of the change {what}"))?;
        }
        self.hold((author.own, start), operations);
        Ok(())
    }

    /// Keeps the operations of a change. One without any leaves its number to the next.
    fn hold(&mut self, first: Id, operations: Vec<Op>) {
        if !operations.is_empty() {
            self.made.insert(first, operations);
        }
    }

    fn operation(&mut self, op: &Op, asked: &Asked<'_>) -> Result<(), &'static str> {
        let kind = match &op.obj {
            ObjectId::Root => ObjType::Map,
            ObjectId::Id(id) => {
                let place = asked.place(id).ok_or("names an object that is not there")?;
                let kind = self.kind(place, id, asked);
                kind.ok_or("names an object that is none")?
            }
        };
        match (&op.key, kind) {
            (Key::Map(_), ObjType::Map) if !op.insert => {}
            (Key::Seq(ElementId::Head), ObjType::List) if op.insert => {}
            (Key::Seq(ElementId::Head), ObjType::List) => return Err("sets the head of a list"),
            (Key::Seq(ElementId::Id(id)), ObjType::List) => {
                let place = asked
                    .place(id)
                    .ok_or("names an element that is not there")?;
                let there = self.named(place, asked);
                let there = there.filter(|there| there.insert && there.obj == op.obj);
                there.ok_or("names an element that is none of the list's")?;
            }
            _ => return Err("does not fit the object that it names"),
        }
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
            if !self.is_shown(place, id, op, asked) {
                let there = self.named(place, asked);
                let there = there.filter(|there| stands_at(there, id, op));
                there.ok_or("replaces a value that stands elsewhere")?;
            }
        }
        Ok(())
    }

    /// What kind of object an operation made.
    fn kind(&mut self, place: Id, id: &OpId, asked: &Asked<'_>) -> Option<ObjType> {
        if !self.whole && self.at_hand(place, asked).is_none() {
            let kind = self.document.object_type(outside(id));
            if let Ok(kind) = kind {
                return Some(kind);
            }
        }
        match self.named(place, asked)?.action {
            OpType::Make(kind) => Some(kind),
            _ => None,
        }
    }

    /// Whether the document shows, among the values of the key, the one that this operation set.
    /// Quick, for a change made on what the document holds; `false` does not mean that it is not
    /// there.
    fn is_shown(&self, place: Id, id: &OpId, op: &Op, asked: &Asked<'_>) -> bool {
        let Key::Map(key) = &op.key else {
            return false;
        };
        if self.whole || self.at_hand(place, asked).is_some() {
            return false;
        }
        let object = match &op.obj {
            ObjectId::Root => ObjId::Root,
            ObjectId::Id(object) => outside(object),
        };
        let shown = self.document.get_all(&object, key.as_str());
        let named = |shown: &ObjId| match shown {
            ObjId::Id(number, actor, _) => *number == id.counter() && actor == id.actor(),
            ObjId::Root => false,
        };
        let shown = shown.unwrap_or_default();
        shown.iter().any(|(_, shown)| named(shown))
    }

    /// An operation that is no deletion, of the change asked about, those checked before it, or the
    /// document.
    fn named<'s>(&'s mut self, place: Id, asked: &'s Asked<'_>) -> Option<&'s Op> {
        if !self.whole && self.at_hand(place, asked).is_none() {
            self.whole = true;
            for change in self.document.get_changes(&[]) {
                if let Some(own) = asked.actors.get(change.actor_id().to_bytes()) {
                    let start = change.start_op().get();
                    self.hold((*own, start), change.decode().operations);
                }
            }
        }
        let op = self.at_hand(place, asked)?;
        (!matches!(op.action, OpType::Delete)).then_some(op)
    }

    fn at_hand<'s>(&'s self, place: Id, asked: &'s Asked<'_>) -> Option<&'s Op> {
        let (actor, number) = place;
        let (start, operations) = if actor == asked.author.own && number >= asked.start {
            (asked.start, asked.change)
        } else {
            let (first, operations) = self.made.range(..=place).next_back()?;
            if first.0 != actor {
                return None;
            }
            (first.1, operations.as_slice())
        };
        operations.get(usize::try_from(number - start).ok()?)
    }
}

/// Whether the operation `id`, which is `there`, set the value that `op` replaces: in the same
/// object, of the same key or element.
fn stands_at(there: &Op, id: &OpId, op: &Op) -> bool {
    let same_spot = match (&op.key, there.insert) {
        (Key::Seq(ElementId::Id(element)), true) => element == id,
        (key, false) => *key == there.key,
        _ => false,
    };
    there.obj == op.obj && same_spot
}

/// Who names an operation, and in which of his own.
struct Asked<'a> {
    author: Author<'a>,
    actors: &'a Actors,
    /// The first operation of the change.
    start: u64,
    /// The one that names another.
    number: u64,
    change: &'a [Op],
}

impl Asked<'_> {
    /// The operation named, if it can be there: before this one in the same change, or in what the
    /// change comes after.
    fn place(&self, id: &OpId) -> Option<Id> {
        let actor = *self.actors.get(id.actor().to_bytes())?;
        let own = actor == self.author.own && (self.start..self.number).contains(&id.counter());
        let covered = id.counter() <= self.author.past.of(actor).operation;
        (own || covered).then_some((actor, id.counter()))
    }
}

/// The operation as the library names objects.
fn outside(id: &OpId) -> ObjId {
    let actor: &ActorId = id.actor();
    ObjId::Id(id.counter(), actor.clone(), 0)
}

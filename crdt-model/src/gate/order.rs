//! Whether the operations of a document stand where their changes put them.
//!
//! Automerge does not check it: two documents of the same signed changes could show two records.
//! Objects by their number, the root first; in a map the keys by their bytes; in a list each
//! element behind the one that it was inserted after, the newest first; values of a place and
//! what replaced them by their number. Numbers compare with their actors, which are in order.
//! And every operation must be one of a change's, in one place: Automerge shows others, too, and
//! forgets them.
//! Guarantees: the time of a sort; a few bytes of memory for each operation.

use super::chunk::{
    BadChunk, INSERT, KEY_ACTOR, KEY_COUNTER, KEY_TEXT, OBJECT_ACTOR, OBJECT_COUNTER,
};
use super::input::{Input, Truths, Values, Written};
use super::save::{AFTER_ACTOR, AFTER_COUNT, AFTER_COUNTER, ID_ACTOR, ID_COUNTER, Made};

/// The number of an operation and the place of its actor.
type Id = (u64, u64);

/// Where an operation stands in its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spot<'a> {
    Key(&'a [u8]),
    /// Behind this element, or at the head.
    Behind(Option<Id>),
    /// In place of this element.
    Element(Id),
}

/// Checks the order of `rows` operations, whose columns were measured.
pub(super) fn check(columns: &[(u64, Input<'_>)], made: &Made, rows: u64) -> Result<(), BadChunk> {
    let mut reader = Reader::of(columns, made.actors());
    let mut place = Place::default();
    let mut roll = Roll::default();
    for _ in 0..rows {
        let row = reader.row()?;
        if !place.goes_on(&row) {
            return Err(BadChunk::Order {
                what: "the operations",
            });
        }
        roll.rows.push(named(row.id, place.group, made)?);
        let mut last = None;
        for _ in 0..row.after {
            let after = reader.after()?;
            if last.is_some_and(|last| last >= after) {
                return Err(BadChunk::Order {
                    what: "what replaced an operation",
                });
            }
            last = Some(after);
            roll.after.push(named(after, place.group, made)?);
        }
    }
    roll.check(made)
}

/// An operation and the number of the place where it was met.
type Named = (u32, u32, u32);

fn named(id: Id, group: u32, made: &Made) -> Result<Named, BadChunk> {
    let what = "an operation is none of a change's";
    let named = made.has(id.0, id.1).then(|| {
        let number = u32::try_from(id.0).ok()?;
        Some((number, u32::try_from(id.1).ok()?, group))
    });
    named.flatten().ok_or(BadChunk::Graph { what })
}

/// All operations met: those that stand in the document, and those that replaced or deleted them.
#[derive(Default)]
struct Roll {
    rows: Vec<Named>,
    after: Vec<Named>,
}

impl Roll {
    /// Every operation of the changes is met in one place: it stands there, or it deleted what
    /// does.
    fn check(mut self, made: &Made) -> Result<(), BadChunk> {
        let broken = |what: &'static str| Err(BadChunk::Graph { what });
        self.rows.sort_unstable();
        self.after.sort_unstable();
        self.after.dedup();
        let id = |named: &Named| (named.0, named.1);
        let twice = |named: &[Named]| named.windows(2).any(|pair| id(&pair[0]) == id(&pair[1]));
        if twice(&self.rows) || twice(&self.after) {
            return broken("an operation stands in two places");
        }
        let mut rows = self.rows.iter().peekable();
        let mut deletions = 0;
        for after in &self.after {
            while rows.next_if(|row| id(row) < id(after)).is_some() {}
            match rows.peek() {
                Some(row) if id(row) == id(after) => {
                    if *row != after {
                        return broken("an operation replaces what stands elsewhere");
                    }
                }
                _ => deletions += 1,
            }
        }
        if self.rows.len() as u64 + deletions == made.total() {
            Ok(())
        } else {
            broken("an operation of a change is missing")
        }
    }
}

/// One operation.
struct Row<'a> {
    object: Option<Id>,
    spot: Spot<'a>,
    id: Id,
    /// How many operations replaced or deleted it.
    after: u64,
}

/// The columns, read side by side.
struct Reader<'a> {
    object_actor: Values<'a>,
    object_counter: Values<'a>,
    key_actor: Values<'a>,
    key_counter: Values<'a>,
    key_text: Values<'a>,
    id_actor: Values<'a>,
    id_counter: Values<'a>,
    insert: Truths<'a>,
    after_count: Values<'a>,
    after_actor: Values<'a>,
    after_counter: Values<'a>,
}

impl<'a> Reader<'a> {
    fn of(columns: &[(u64, Input<'a>)], actors: u64) -> Self {
        let column = |wanted: u64| {
            let found = columns.iter().find(|(column, _)| *column == wanted);
            found.map_or(Input(&[]), |(_, data)| *data)
        };
        let actor = |wanted| Values::of(column(wanted), Written::Numbers { below: actors });
        let number = |wanted| Values::of(column(wanted), Written::Numbers { below: u64::MAX });
        let difference = |wanted| Values::of(column(wanted), Written::Differences);
        Self {
            object_actor: actor(OBJECT_ACTOR),
            object_counter: number(OBJECT_COUNTER),
            key_actor: actor(KEY_ACTOR),
            key_counter: difference(KEY_COUNTER),
            key_text: Values::of(column(KEY_TEXT), Written::Texts),
            id_actor: actor(ID_ACTOR),
            id_counter: difference(ID_COUNTER),
            insert: Truths::of(column(INSERT)),
            after_count: number(AFTER_COUNT),
            after_actor: actor(AFTER_ACTOR),
            after_counter: difference(AFTER_COUNTER),
        }
    }

    fn row(&mut self) -> Result<Row<'a>, BadChunk> {
        let object = match (self.object_counter.number()?, self.object_actor.number()?) {
            (None, None) => None,
            (Some(counter), Some(actor)) => Some((counter, actor)),
            _ => return Err(BadChunk::Uneven),
        };
        let id = match (self.id_counter.summed()?, self.id_actor.number()?) {
            (Some(counter), Some(actor)) => (counter, actor),
            _ => return Err(BadChunk::Uneven),
        };
        let key = (
            self.key_text.text()?,
            self.key_counter.summed()?,
            self.key_actor.number()?,
        );
        let spot = match (key, self.insert.next()?) {
            ((Some(text), None, None), false) => Spot::Key(text),
            ((None, Some(0), None), true) => Spot::Behind(None),
            ((None, Some(counter), Some(actor)), true) => Spot::Behind(Some((counter, actor))),
            ((None, Some(counter), Some(actor)), false) => Spot::Element((counter, actor)),
            _ => return Err(BadChunk::Uneven),
        };
        Ok(Row {
            object,
            spot,
            id,
            after: self.after_count.number()?.unwrap_or(0),
        })
    }

    /// The next of the operations that replaced or deleted others.
    fn after(&mut self) -> Result<Id, BadChunk> {
        match (self.after_counter.summed()?, self.after_actor.number()?) {
            (Some(counter), Some(actor)) => Ok((counter, actor)),
            _ => Err(BadChunk::Uneven),
        }
    }
}

/// How far the operations have been read.
#[derive(Default)]
struct Place<'a> {
    started: bool,
    object: Option<Id>,
    key: Option<&'a [u8]>,
    /// Of a list: the element at hand, before it the one that it was inserted after, and so on.
    way: Vec<Id>,
    last: Id,
    /// Number of the key or element at hand, in the whole document.
    group: u32,
}

impl<'a> Place<'a> {
    /// Takes the next operation in, if it belongs here.
    fn goes_on(&mut self, row: &Row<'a>) -> bool {
        let element = matches!(row.spot, Spot::Element(_));
        let same_key = matches!(row.spot, Spot::Key(key) if self.key == Some(key));
        if self.object != row.object || !(element || same_key) {
            self.group += 1;
        }
        if !self.started || self.object != row.object {
            if self.started && row.object <= self.object {
                return false;
            }
            self.started = true;
            self.object = row.object;
            self.key = None;
            self.way.clear();
        }
        let fits = match row.spot {
            Spot::Key(key) => self.key_fits(key, row.id),
            Spot::Behind(parent) => self.element_fits(parent, row.id),
            Spot::Element(element) => self.way.last() == Some(&element) && self.last < row.id,
        };
        self.last = row.id;
        fits
    }

    fn key_fits(&mut self, key: &'a [u8], id: Id) -> bool {
        let before = self.key.replace(key);
        let same_key = before == Some(key);
        self.way.is_empty() && (before < Some(key) || (same_key && self.last < id))
    }

    fn element_fits(&mut self, parent: Option<Id>, id: Id) -> bool {
        // The brother before it is the newer one.
        let mut brother = None;
        while self.way.last().copied() != parent {
            match self.way.pop() {
                Some(element) => brother = Some(element),
                None => return false,
            }
        }
        self.way.push(id);
        self.key.is_none() && brother.is_none_or(|brother| brother > id)
    }
}

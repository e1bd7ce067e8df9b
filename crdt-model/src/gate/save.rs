//! Measures a whole document, as it comes from a peer, before Automerge sees it.
//!
//! One uncompressed document chunk. Beside its columns, the graph of its changes is read: what
//! each depends on, its number and its operations, since Automerge makes room by them, and the
//! operations must stand where they belong (`order`). Guarantees: time and memory linear in the
//! bytes and the limits, arithmetic that cannot wrap, no panic.
//! Source: <https://automerge.org/automerge-binary-format-spec>.

use super::chunk::{
    ACTION, BadChunk, DEPENDENCIES_MAX, DOCUMENT_CHUNK, INSERT, KEY_ACTOR, KEY_COUNTER, KEY_TEXT,
    Measures, OBJECT_ACTOR, OBJECT_COUNTER, OPERATIONS_MAX, VALUE, VALUE_TYPE, ascending, chunk,
    layout, raw, split,
};
use super::input::{Allowed, Input, Item, Written};
use super::order;

/// How large a document may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaveLimits {
    /// Most bytes.
    pub bytes: usize,
    /// Most changes.
    pub changes: u64,
    /// Most operations, and most predecessors of them together.
    pub operations: u64,
    /// Most actors.
    pub actors: u64,
}

impl Default for SaveLimits {
    fn default() -> Self {
        Self {
            bytes: 16 << 20,
            changes: 100_000,
            operations: 1_000_000,
            actors: 8_192,
        }
    }
}

/// Most operations that a byte may stand for, beyond those of one change: what is more is no
/// record's history but a trap.
const OPERATIONS_PER_BYTE: u64 = 16;
/// Most changes that a byte may stand for, beyond [`CHANGES_FREE`].
const CHANGES_PER_BYTE: u64 = 4;
const CHANGES_FREE: u64 = 4_096;
/// Most bytes of texts that a byte may stand for, beyond [`TEXTS_FREE`].
const TEXTS_PER_BYTE: u64 = 64;
const TEXTS_FREE: u64 = 8 << 20;

const ACTOR: u64 = 0x01;
const SEQUENCE: u64 = 0x03;
const LAST_OPERATION: u64 = 0x13;
const TIME: u64 = 0x23;
const MESSAGE: u64 = 0x35;
const DEPENDENCY_COUNT: u64 = 0x40;
const DEPENDENCY: u64 = 0x43;
const EXTRA_TYPE: u64 = 0x56;
const EXTRA: u64 = 0x57;

pub(super) const ID_ACTOR: u64 = 0x21;
pub(super) const ID_COUNTER: u64 = 0x23;
pub(super) const AFTER_COUNT: u64 = 0x80;
pub(super) const AFTER_ACTOR: u64 = 0x81;
pub(super) const AFTER_COUNTER: u64 = 0x83;

/// Measures a document and counts its changes.
pub(super) fn measure(bytes: &[u8], limits: &SaveLimits) -> Result<u64, BadChunk> {
    let (_, mut input) = chunk(bytes, DOCUMENT_CHUNK, limits.bytes)?;
    let size = bytes.len() as u64;
    let count = input.count("actors", limits.actors)?;
    let actors: Vec<_> = (0..count)
        .map(|_| input.actor())
        .collect::<Result<_, _>>()?;
    ascending(&actors, "the actors")?;
    let count = input.count("heads", DEPENDENCIES_MAX)?;
    let heads: Vec<_> = (0..count)
        .map(|_| input.take(32, "the heads"))
        .collect::<Result<_, _>>()?;
    ascending(&heads, "the heads")?;
    let change_layout = layout(&mut input)?;
    let operation_layout = layout(&mut input)?;
    let room = Room {
        actors: actors.len() as u64,
        changes: limits
            .changes
            .min(CHANGES_FREE.saturating_add(size.saturating_mul(CHANGES_PER_BYTE))),
        operations: limits
            .operations
            .min(OPERATIONS_MAX.saturating_add(size.saturating_mul(OPERATIONS_PER_BYTE))),
        texts: TEXTS_FREE.saturating_add(size.saturating_mul(TEXTS_PER_BYTE)),
    };
    let changes = Changes::read(split(&mut input, &change_layout)?, room)?;
    let columns = split(&mut input, &operation_layout)?;
    let (rows, after) = operations(&columns, room)?;
    let made = changes.graph(room, rows.saturating_add(after))?;
    order::check(&columns, &made, rows)?;
    let count = changes.actors.len() as u64;
    for _ in &heads {
        if input.number("the place of a head")? >= count {
            return Err(BadChunk::Number {
                what: "the place of a head",
            });
        }
    }
    if input.0.is_empty() {
        Ok(count)
    } else {
        let seen = input.0.len();
        Err(BadChunk::Trailing { seen })
    }
}

/// The operations that the changes made, by their actors: the first and the last of each change,
/// in ascending order.
#[derive(Debug, Default)]
pub(super) struct Made {
    by_actor: Vec<Vec<(u64, u64)>>,
    total: u64,
}

impl Made {
    /// How many actors there are.
    pub(super) fn actors(&self) -> u64 {
        self.by_actor.len() as u64
    }

    /// How many operations there are.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Whether a change made this operation.
    pub(super) fn has(&self, number: u64, actor: u64) -> bool {
        let place = usize::try_from(actor).unwrap_or(usize::MAX);
        self.by_actor.get(place).is_some_and(|changes| {
            let after = changes.partition_point(|(first, _)| *first <= number);
            after > 0 && number <= changes[after - 1].1
        })
    }
}

/// How much this document may hold.
#[derive(Debug, Clone, Copy)]
struct Room {
    actors: u64,
    changes: u64,
    operations: u64,
    texts: u64,
}

impl Room {
    fn changes(self) -> Allowed {
        Allowed {
            what: "changes",
            most: self.changes,
        }
    }

    fn operations(self) -> Allowed {
        Allowed {
            what: "operations",
            most: self.operations,
        }
    }

    fn texts(self, seen: u64) -> Result<(), BadChunk> {
        if seen > self.texts {
            return Err(BadChunk::TooMany {
                what: "bytes of texts",
                seen,
                allowed: self.texts,
            });
        }
        Ok(())
    }
}

/// What decides how much room each change takes.
#[derive(Default)]
struct Changes {
    actors: Vec<u64>,
    sequences: Vec<u64>,
    last_operations: Vec<u64>,
    dependency_counts: Vec<u64>,
    dependencies: Vec<u64>,
}

impl Changes {
    fn read(columns: Vec<(u64, Input<'_>)>, room: Room) -> Result<Self, BadChunk> {
        let mut changes = Self::default();
        let allowed = room.changes();
        let numbers = |below| Written::Numbers { below };
        let mut even = Vec::new();
        for (column, data) in columns {
            match column {
                ACTOR => changes.actors = plain(data.items(numbers(room.actors), allowed)?)?,
                SEQUENCE => {
                    changes.sequences = summed(data.items(Written::Differences, allowed)?)?;
                }
                LAST_OPERATION => {
                    changes.last_operations = summed(data.items(Written::Differences, allowed)?)?;
                }
                DEPENDENCY_COUNT => {
                    changes.dependency_counts = plain(data.items(numbers(u64::MAX), allowed)?)?;
                }
                DEPENDENCY => {
                    let items = data.items(Written::Differences, room.operations())?;
                    changes.dependencies = summed(items)?;
                }
                TIME => even.push(data.runs(Written::Differences, allowed)?.values),
                MESSAGE => {
                    let measure = data.runs(Written::Texts, allowed)?;
                    room.texts(measure.texts)?;
                    even.push(measure.values);
                }
                EXTRA_TYPE => {
                    let measure = data.runs(numbers(u64::MAX), allowed)?;
                    if measure.lengths != 0 {
                        return Err(BadChunk::Uneven);
                    }
                    even.push(measure.values);
                }
                EXTRA if data.0.is_empty() => {}
                EXTRA => return Err(BadChunk::Uneven),
                seen => return Err(BadChunk::Column { seen }),
            }
        }
        let count = changes.actors.len();
        let columns = [
            changes.sequences.len(),
            changes.last_operations.len(),
            changes.dependency_counts.len(),
        ];
        let uneven = columns.iter().any(|length| *length != count)
            || even.iter().any(|length| *length != count as u64);
        if uneven || count == 0 {
            return Err(BadChunk::Uneven);
        }
        Ok(changes)
    }

    /// Every change comes after those it depends on, next in its actor's order, and numbers its
    /// operations from the first free one; all of them together are at most `most`. Gives the
    /// operations that each actor made.
    fn graph(&self, room: Room, most: u64) -> Result<Made, BadChunk> {
        let broken = |what: &'static str| Err(BadChunk::Graph { what });
        let mut made = Made::default();
        made.by_actor
            .resize(usize::try_from(room.actors).unwrap_or(0), Vec::new());
        let mut sequences = vec![0; usize::try_from(room.actors).unwrap_or(0)];
        let mut dependencies = self.dependencies.iter();
        let mut total = 0_u64;
        for (index, actor) in self.actors.iter().enumerate() {
            let place = usize::try_from(*actor).unwrap_or(usize::MAX);
            match sequences.get_mut(place) {
                Some(last) if *last + 1 == self.sequences[index] => *last += 1,
                _ => return broken("a change is not the next of its actor"),
            }
            let count = self.dependency_counts[index];
            if count > DEPENDENCIES_MAX {
                return broken("a change depends on too many");
            }
            if (count == 0) != (index == 0) {
                return broken("only the first change depends on nothing");
            }
            let mut before = 0;
            for _ in 0..count {
                let earlier = dependencies.next().and_then(|place| {
                    let place = usize::try_from(*place).ok()?;
                    self.last_operations[..index].get(place)
                });
                match earlier {
                    Some(last) => before = before.max(*last),
                    None => return broken("a change depends on one that does not come before it"),
                }
            }
            let last = self.last_operations[index];
            match last.checked_sub(before) {
                Some(own) if own <= OPERATIONS_MAX => {
                    total += own;
                    made.by_actor[place].push((before + 1, last));
                }
                _ => return broken("a change has too many or too few operations"),
            }
        }
        if dependencies.next().is_some() {
            return Err(BadChunk::Uneven);
        }
        if total > most {
            return broken("the changes have more operations than there are");
        }
        made.total = total;
        Ok(made)
    }
}

/// Measures the operations: how many there are, and how often one replaced or deleted another. All
/// changes together can have made no more than the two.
fn operations(columns: &[(u64, Input<'_>)], room: Room) -> Result<(u64, u64), BadChunk> {
    let mut measures = Measures::new();
    let allowed = room.operations();
    let numbers = |below| Written::Numbers { below };
    for (column, data) in columns {
        let measure = match *column {
            OBJECT_ACTOR | KEY_ACTOR | ID_ACTOR | AFTER_ACTOR => {
                data.runs(numbers(room.actors), allowed)
            }
            OBJECT_COUNTER | VALUE_TYPE | AFTER_COUNT => data.runs(numbers(u64::MAX), allowed),
            ACTION => data.runs(Written::Actions { saved: true }, allowed),
            KEY_COUNTER | ID_COUNTER | AFTER_COUNTER => data.runs(Written::Differences, allowed),
            KEY_TEXT => data.runs(Written::Texts, allowed),
            INSERT => data.truths(allowed),
            VALUE => Ok(raw(data)),
            seen => return Err(BadChunk::Column { seen }),
        }?;
        measures.insert(*column, measure);
    }
    let measure = |column| measures.get(&column).copied().unwrap_or_default();
    let count = measure(ACTION).values;
    let after = measure(AFTER_COUNT).sum;
    for (column, measure) in &measures {
        let expected = match *column {
            VALUE => continue,
            AFTER_ACTOR | AFTER_COUNTER => after,
            _ => count,
        };
        if measure.values != expected {
            return Err(BadChunk::Uneven);
        }
    }
    if after > room.operations {
        return Err(BadChunk::TooMany {
            what: "predecessors",
            seen: after,
            allowed: room.operations,
        });
    }
    if measure(VALUE).lengths != measure(VALUE_TYPE).lengths {
        return Err(BadChunk::Uneven);
    }
    room.texts(measure(KEY_TEXT).texts)?;
    Ok((count, after))
}

/// The numbers of a column without absent ones.
fn plain(items: Vec<Option<Item<'_>>>) -> Result<Vec<u64>, BadChunk> {
    let number = |item| match item {
        Some(Item::Number(number)) => Ok(number),
        _ => Err(BadChunk::Uneven),
    };
    items.into_iter().map(number).collect()
}

/// The numbers of a column of differences, none absent, none negative.
fn summed(items: Vec<Option<Item<'_>>>) -> Result<Vec<u64>, BadChunk> {
    const WIDEST: i64 = u32::MAX as i64;
    let mut last = 0_i64;
    let mut number = |item| match item {
        Some(Item::Difference(difference)) => {
            let next = last.checked_add(difference);
            let next = next.filter(|next| (0..=WIDEST).contains(next));
            let next = next.ok_or(BadChunk::Number { what: "a sum" })?;
            last = next;
            u64::try_from(next).map_err(|_| BadChunk::Number { what: "a sum" })
        }
        _ => Err(BadChunk::Uneven),
    };
    items.into_iter().map(&mut number).collect()
}

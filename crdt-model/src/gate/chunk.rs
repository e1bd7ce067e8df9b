//! Measures the bytes of a change before Automerge sees them.
//!
//! Reads the chunk of Automerge's storage format, change chunks only, and counts what decoding it
//! would make: every run length of every column, with checked arithmetic. Guarantees: time linear
//! in the bytes, no allocation that the bytes ask for, no panic.
//! Source: <https://automerge.org/automerge-binary-format-spec>.

use sha2::{Digest as _, Sha256};

use super::input::{Allowed, Input, Measure, Written};
use crate::value::{ActorId, ChangeHash};

/// Largest change accepted, in bytes.
pub const CHANGE_BYTES_MAX: usize = 256 * 1024;
/// Most changes that one may depend on.
pub const DEPENDENCIES_MAX: u64 = 1024;
/// Most actors that one may name beside its own.
pub const ACTORS_MAX: u64 = 1024;
/// Longest message accepted, in bytes.
pub const MESSAGE_BYTES_MAX: u64 = 4 * 1024;
/// Most operations, and most predecessors of them together.
pub const OPERATIONS_MAX: u64 = 50_000;

/// Most bytes of keys in one change, each as often as it is repeated.
pub const KEYS_BYTES_MAX: u64 = 8 << 20;

/// Furthest that a change's time may lie from 1970, in milliseconds. Saves write times as differences,
/// and the library fails on one that no signed number holds.
pub const TIME_MS_MAX: u64 = 1 << 53;

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
pub(super) const DOCUMENT_CHUNK: u8 = 0;
pub(super) const CHANGE_CHUNK: u8 = 1;
pub(super) const COLUMNS_MAX: u64 = 16;

/// Writes the first eight bytes of a chunk as its hash wants them. They are a constant and a checksum,
/// no part of what is hashed and signed: whoever passes a chunk on could alter them unseen.
pub fn put_preamble(chunk: &mut [u8], hash: &ChangeHash) {
    if let Some(preamble) = chunk.first_chunk_mut::<8>() {
        preamble[..4].copy_from_slice(&MAGIC);
        preamble[4..].copy_from_slice(&hash.as_bytes()[..4]);
    }
}

/// What a chunk says of itself, within the limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Measured {
    pub(super) hash: ChangeHash,
    pub(super) actor: ActorId,
}

/// What is wrong with a chunk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadChunk {
    #[error("{seen} bytes, at most {allowed} allowed")]
    TooLarge { seen: usize, allowed: usize },
    #[error("the bytes end inside {what}")]
    Truncated { what: &'static str },
    #[error("{seen} bytes after the end of the chunk")]
    Trailing { seen: usize },
    #[error("the bytes do not begin as a chunk does")]
    Magic,
    #[error("a chunk of type {seen}, only {allowed} is allowed")]
    Type { seen: u8, allowed: u8 },
    #[error("the checksum is not that of the bytes")]
    Checksum,
    #[error("{what} is a number out of range or not in its shortest form")]
    Number { what: &'static str },
    #[error("{seen} {what}, at most {allowed} allowed")]
    TooMany {
        what: &'static str,
        seen: u64,
        allowed: u64,
    },
    #[error("an actor of {seen} bytes, only 18 are allowed")]
    Actor { seen: u64 },
    #[error("{what} are not in ascending order")]
    Order { what: &'static str },
    #[error("the message is not text")]
    Message,
    #[error("a compressed column {seen:#x}, none is allowed")]
    Compressed { seen: u64 },
    #[error("the graph of changes is broken: {what}")]
    Graph { what: &'static str },
    #[error("a column {seen:#x}, which no change of a record has")]
    Column { seen: u64 },
    #[error("an operation of kind {seen}, which no record has")]
    Action { seen: u64 },
    #[error("a deletion among the operations, where a save has none")]
    Deletion,
    #[error("the columns do not describe the same number of operations")]
    Uneven,
}

/// Measures a change.
pub(super) fn measure(bytes: &[u8]) -> Result<Measured, BadChunk> {
    let (hash, mut input) = chunk(bytes, CHANGE_CHUNK, CHANGE_BYTES_MAX)?;
    let actor = body(&mut input)?;
    Ok(Measured { hash, actor })
}

/// The hash and the inside of the one chunk of this type that the bytes are.
pub(super) fn chunk(
    bytes: &[u8],
    allowed: u8,
    most: usize,
) -> Result<(ChangeHash, Input<'_>), BadChunk> {
    if bytes.len() > most {
        let seen = bytes.len();
        return Err(BadChunk::TooLarge {
            seen,
            allowed: most,
        });
    }
    let mut input = Input(bytes);
    if input.take(4, "the header")? != MAGIC {
        return Err(BadChunk::Magic);
    }
    let checksum = input.take(4, "the header")?;
    let hashed = input.0;
    match input.take(1, "the header")? {
        [seen] if *seen == allowed => {}
        [seen, ..] => {
            let seen = *seen;
            return Err(BadChunk::Type { seen, allowed });
        }
        [] => return Err(BadChunk::Magic),
    }
    let length = input.number("the length")?;
    let seen = input.0.len() as u64;
    if seen < length {
        return Err(BadChunk::Truncated { what: "the change" });
    }
    if seen > length {
        let seen = input.0.len() - usize::try_from(length).unwrap_or(0);
        return Err(BadChunk::Trailing { seen });
    }
    let hash: [u8; 32] = Sha256::digest(hashed).into();
    if checksum != &hash[..4] {
        return Err(BadChunk::Checksum);
    }
    Ok((ChangeHash::from_bytes(hash), input))
}

fn body(input: &mut Input<'_>) -> Result<ActorId, BadChunk> {
    let dependencies = input.count("dependencies", DEPENDENCIES_MAX)?;
    let hashes: Vec<_> = (0..dependencies)
        .map(|_| input.take(32, "the dependencies"))
        .collect::<Result<_, _>>()?;
    ascending(&hashes, "the dependencies")?;
    let actor = input.actor()?;
    if input.number("the sequence number")? == 0 {
        return Err(BadChunk::Number {
            what: "the sequence number",
        });
    }
    let start = input.number("the first operation")?;
    if start == 0 || start > u64::from(u32::MAX) - OPERATIONS_MAX {
        return Err(BadChunk::Number {
            what: "the first operation",
        });
    }
    if input.signed("the time")?.unsigned_abs() > TIME_MS_MAX {
        return Err(BadChunk::Number { what: "the time" });
    }
    let message = input.count("bytes of message", MESSAGE_BYTES_MAX)?;
    std::str::from_utf8(input.take(message, "the message")?).map_err(|_| BadChunk::Message)?;
    let others = input.count("actors", ACTORS_MAX)?;
    let others: Vec<_> = (0..others)
        .map(|_| input.actor())
        .collect::<Result<_, _>>()?;
    ascending(&others, "the actors")?;
    if others.contains(&actor) {
        return Err(BadChunk::Order { what: "the actors" });
    }
    columns(input, 1 + others.len() as u64)?;
    if !input.0.is_empty() {
        let seen = input.0.len();
        return Err(BadChunk::Trailing { seen });
    }
    Ok(actor)
}

pub(super) fn ascending<T: PartialOrd>(items: &[T], what: &'static str) -> Result<(), BadChunk> {
    if items.is_sorted_by(|left, right| left < right) {
        Ok(())
    } else {
        Err(BadChunk::Order { what })
    }
}

pub(super) const OBJECT_ACTOR: u64 = 0x01;
pub(super) const OBJECT_COUNTER: u64 = 0x02;
pub(super) const KEY_ACTOR: u64 = 0x11;
pub(super) const KEY_COUNTER: u64 = 0x13;
pub(super) const KEY_TEXT: u64 = 0x15;
pub(super) const INSERT: u64 = 0x34;
pub(super) const ACTION: u64 = 0x42;
pub(super) const VALUE_TYPE: u64 = 0x56;
pub(super) const VALUE: u64 = 0x57;
const BEFORE_COUNT: u64 = 0x70;
const BEFORE_ACTOR: u64 = 0x71;
const BEFORE_COUNTER: u64 = 0x73;

/// Highest action of a record's change: make a map, put, make a list, delete.
pub(super) const DELETE: u64 = 3;

fn columns(input: &mut Input<'_>, actors: u64) -> Result<(), BadChunk> {
    let mut operations = 0;
    let mut measures = Measures::new();
    let allowed = Allowed {
        what: "operations",
        most: OPERATIONS_MAX,
    };
    let layout = layout(input)?;
    for (column, data) in split(input, &layout)? {
        let measure = match column {
            OBJECT_ACTOR | KEY_ACTOR | BEFORE_ACTOR => {
                data.runs(Written::Numbers { below: actors }, allowed)
            }
            OBJECT_COUNTER | VALUE_TYPE | BEFORE_COUNT => {
                data.runs(Written::Numbers { below: u64::MAX }, allowed)
            }
            ACTION => data.runs(Written::Actions { saved: false }, allowed),
            KEY_COUNTER | BEFORE_COUNTER => data.runs(Written::Differences, allowed),
            KEY_TEXT => data.runs(Written::Texts, allowed),
            INSERT => data.truths(allowed),
            VALUE => Ok(raw(&data)),
            seen => return Err(BadChunk::Column { seen }),
        }?;
        if column == ACTION {
            operations = measure.values;
        }
        measures.insert(column, measure);
    }
    even(&measures, operations)
}

/// What each column counts.
pub(super) type Measures = std::collections::BTreeMap<u64, Measure>;

/// The columns that follow and how long they are.
pub(super) fn layout(input: &mut Input<'_>) -> Result<Vec<(u64, usize)>, BadChunk> {
    /// The bit of a column that says that it is compressed.
    const DEFLATED: u64 = 8;
    let count = input.count("columns", COLUMNS_MAX)?;
    let mut layout = Vec::with_capacity(count);
    for _ in 0..count {
        let column = input.number("a column")?;
        if column & DEFLATED != 0 {
            return Err(BadChunk::Compressed { seen: column });
        }
        let length = input.number("the length of a column")?;
        layout.push((column, usize::try_from(length).unwrap_or(usize::MAX)));
    }
    if layout.is_sorted_by(|left, right| left.0 < right.0) {
        Ok(layout)
    } else {
        Err(BadChunk::Order {
            what: "the columns",
        })
    }
}

/// The bytes of each column.
pub(super) fn split<'a>(
    input: &mut Input<'a>,
    layout: &[(u64, usize)],
) -> Result<Vec<(u64, Input<'a>)>, BadChunk> {
    let mut columns = Vec::with_capacity(layout.len());
    for (column, length) in layout {
        columns.push((*column, Input(input.take(*length, "a column")?)));
    }
    Ok(columns)
}

/// A column of bytes, whose lengths another column holds.
pub(super) fn raw(data: &Input<'_>) -> Measure {
    Measure {
        lengths: data.0.len() as u64,
        ..Measure::default()
    }
}

/// All columns must describe the same operations.
fn even(measures: &Measures, operations: u64) -> Result<(), BadChunk> {
    for (column, measure) in measures {
        let expected = match *column {
            VALUE => continue,
            BEFORE_ACTOR | BEFORE_COUNTER => {
                measures.get(&BEFORE_COUNT).map_or(0, |count| count.sum)
            }
            _ => operations,
        };
        if measure.values != expected {
            return Err(BadChunk::Uneven);
        }
    }
    let keys = measures.get(&KEY_TEXT).map_or(0, |keys| keys.texts);
    if keys > KEYS_BYTES_MAX {
        return Err(BadChunk::TooMany {
            what: "bytes of keys",
            seen: keys,
            allowed: KEYS_BYTES_MAX,
        });
    }
    let lengths = |column| measures.get(&column).map_or(0, |measure| measure.lengths);
    let before = measures.get(&BEFORE_COUNT).map_or(0, |count| count.sum);
    if before > OPERATIONS_MAX {
        return Err(BadChunk::TooMany {
            what: "predecessors",
            seen: before,
            allowed: OPERATIONS_MAX,
        });
    }
    if lengths(VALUE) != lengths(VALUE_TYPE) {
        return Err(BadChunk::Uneven);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::input::tests::leb;

    /// A chunk of one actor with these columns, its length and checksum right.
    fn chunk(columns: &[(u64, &[u8])]) -> Vec<u8> {
        let mut body = vec![0, 18];
        body.extend([9; 18]);
        body.extend([1, 1, 0, 0, 0]);
        body.extend(leb(columns.len() as u64));
        for (column, data) in columns {
            body.extend(leb(*column));
            body.extend(leb(data.len() as u64));
        }
        for (_, data) in columns {
            body.extend(*data);
        }
        let mut hashed = vec![CHANGE_CHUNK];
        hashed.extend(leb(body.len() as u64));
        hashed.extend(body);
        let hash = Sha256::digest(&hashed);
        [&MAGIC[..], &hash[..4], &hashed].concat()
    }

    fn check(columns: &[(u64, &[u8])], expected: &str) {
        let seen = match measure(&chunk(columns)) {
            Ok(_) => "fine".to_owned(),
            Err(bad) => bad.to_string(),
        };
        assert_eq!(seen, expected, "{columns:x?}");
    }

    #[test]
    fn runs_are_counted_before_anything_is_made_of_them() {
        let long = [&[0xff; 4][..], &[0x07, 1]].concat();
        check(&[], "fine");
        check(&[(ACTION, &[2, 1])], "fine");
        check(
            &[(ACTION, &long)],
            "2147483647 operations, at most 50000 allowed",
        );
        check(
            &[(ACTION, &[0, 0xd1, 0x86, 3])],
            "50001 operations, at most 50000 allowed",
        );
        let widest = [&[0][..], &[0xff; 9], &[1]].concat();
        check(
            &[(ACTION, &widest)],
            "18446744073709551615 operations, at most 50000 allowed",
        );
        let twice = [&[0, 1][..], &widest].concat();
        check(
            &[(INSERT, &twice)],
            "18446744073709551615 operations, at most 50000 allowed",
        );
        let before = [2, 0xff, 0xff, 0xff, 0xff, 0x0f];
        check(
            &[(ACTION, &[2, 1]), (BEFORE_COUNT, &before)],
            "8589934590 predecessors, at most 50000 allowed",
        );
    }

    #[test]
    fn columns_must_be_known_ordered_and_even() {
        check(
            &[(ACTION, &[2, 1]), (INSERT, &[2])],
            "the columns are not in ascending order",
        );
        check(
            &[(ACTION, &[2, 1]), (ACTION, &[2, 1])],
            "the columns are not in ascending order",
        );
        check(
            &[(0x4a, &[2, 1])],
            "a compressed column 0x4a, none is allowed",
        );
        check(
            &[(0x94, &[1])],
            "a column 0x94, which no change of a record has",
        );
        check(
            &[(ACTION, &[2, 5])],
            "an operation of kind 5, which no record has",
        );
        let uneven = "the columns do not describe the same number of operations";
        check(&[(INSERT, &[3]), (ACTION, &[2, 1])], uneven);
        check(&[(ACTION, &[2, 1]), (VALUE, &[0])], uneven);
        check(
            &[(ACTION, &[2, 1]), (VALUE_TYPE, &[2, 0x16]), (VALUE, b"x")],
            uneven,
        );
        check(
            &[(ACTION, &[2, 1]), (VALUE_TYPE, &[2, 0x16]), (VALUE, b"xy")],
            "fine",
        );
        check(
            &[(OBJECT_ACTOR, &[2, 1]), (ACTION, &[2, 1])],
            "an actor's place is a number out of range or not in its shortest form",
        );
        check(&[(ACTION, &[0x7e, 1])], "the bytes end inside a value");
    }
}

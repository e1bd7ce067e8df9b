//! Measures the bytes of a change before Automerge sees them.
//!
//! Reads the chunk of Automerge's storage format, change chunks only, and counts what decoding it
//! would make: every run length of every column, with checked arithmetic. Guarantees: time linear
//! in the bytes, no allocation that the bytes ask for, no panic.
//! Source: <https://automerge.org/automerge-binary-format-spec>.

use sha2::{Digest as _, Sha256};

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

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const CHANGE_CHUNK: u8 = 1;
const COLUMNS_MAX: u64 = 16;

/// What a chunk says of itself, within the limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Measured {
    pub(super) hash: ChangeHash,
    pub(super) actor: ActorId,
}

/// What is wrong with a chunk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadChunk {
    #[error("{seen} bytes, at most {CHANGE_BYTES_MAX} allowed")]
    TooLarge { seen: usize },
    #[error("the bytes end inside {what}")]
    Truncated { what: &'static str },
    #[error("{seen} bytes after the end of the change")]
    Trailing { seen: usize },
    #[error("the bytes do not begin as a change does")]
    Magic,
    #[error("a chunk of type {seen}, only {CHANGE_CHUNK} is allowed")]
    Type { seen: u8 },
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
    #[error("a column {seen:#x}, which no change of a record has")]
    Column { seen: u64 },
    #[error("an operation of kind {seen}, which no record has")]
    Action { seen: u64 },
    #[error("the columns do not describe the same number of operations")]
    Uneven,
}

/// Measures a chunk.
pub(super) fn measure(bytes: &[u8]) -> Result<Measured, BadChunk> {
    if bytes.len() > CHANGE_BYTES_MAX {
        return Err(BadChunk::TooLarge { seen: bytes.len() });
    }
    let mut input = Input(bytes);
    if input.take(4, "the header")? != MAGIC {
        return Err(BadChunk::Magic);
    }
    let checksum = input.take(4, "the header")?;
    let hashed = input.0;
    match input.take(1, "the header")? {
        [CHANGE_CHUNK] => {}
        [seen, ..] => return Err(BadChunk::Type { seen: *seen }),
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
    let actor = body(&mut input)?;
    Ok(Measured {
        hash: ChangeHash::from_bytes(hash),
        actor,
    })
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
    input.signed("the time")?;
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

fn ascending<T: PartialOrd>(items: &[T], what: &'static str) -> Result<(), BadChunk> {
    if items.is_sorted_by(|left, right| left < right) {
        Ok(())
    } else {
        Err(BadChunk::Order { what })
    }
}

/// How the values of a column are written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Written {
    /// Runs of numbers, each below this bound.
    Numbers { below: u64 },
    /// Runs of differences.
    Differences,
    /// Runs of texts.
    Texts,
}

/// What a column counts.
#[derive(Debug, Default, Clone, Copy)]
struct Measure {
    /// Values, absent ones included.
    values: u64,
    /// Sum of the numbers.
    sum: u64,
    /// Sum of the numbers without their lowest four bits: lengths, in a column of types.
    lengths: u64,
}

const OBJECT_ACTOR: u64 = 0x01;
const OBJECT_COUNTER: u64 = 0x02;
const KEY_ACTOR: u64 = 0x11;
const KEY_COUNTER: u64 = 0x13;
const KEY_TEXT: u64 = 0x15;
const INSERT: u64 = 0x34;
const ACTION: u64 = 0x42;
const VALUE_TYPE: u64 = 0x56;
const VALUE: u64 = 0x57;
const BEFORE_COUNT: u64 = 0x70;
const BEFORE_ACTOR: u64 = 0x71;
const BEFORE_COUNTER: u64 = 0x73;

/// Highest action of a record's change: make a map, put, make a list, delete.
const ACTION_MAX: u64 = 3;

fn columns(input: &mut Input<'_>, actors: u64) -> Result<(), BadChunk> {
    let count = input.count("columns", COLUMNS_MAX)?;
    let mut layout = Vec::with_capacity(count);
    for _ in 0..count {
        let column = input.number("a column")?;
        let length = input.number("the length of a column")?;
        layout.push((column, length));
    }
    if !layout.is_sorted_by(|left, right| left.0 < right.0) {
        return Err(BadChunk::Order {
            what: "the columns",
        });
    }
    let mut operations = 0;
    let mut measures = std::collections::BTreeMap::new();
    for (column, length) in layout {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let data = Input(input.take(length, "a column")?);
        let measure = match column {
            OBJECT_ACTOR | KEY_ACTOR | BEFORE_ACTOR => {
                data.runs(Written::Numbers { below: actors })
            }
            OBJECT_COUNTER | VALUE_TYPE | BEFORE_COUNT => {
                data.runs(Written::Numbers { below: u64::MAX })
            }
            ACTION => data.runs(Written::Numbers {
                below: ACTION_MAX + 1,
            }),
            KEY_COUNTER | BEFORE_COUNTER => data.runs(Written::Differences),
            KEY_TEXT => data.runs(Written::Texts),
            INSERT => data.truths(),
            VALUE => Ok(Measure {
                lengths: data.0.len() as u64,
                ..Measure::default()
            }),
            seen => return Err(BadChunk::Column { seen }),
        }?;
        if column == ACTION {
            operations = measure.values;
        }
        measures.insert(column, measure);
    }
    even(&measures, operations)
}

/// All columns must describe the same operations.
fn even(
    measures: &std::collections::BTreeMap<u64, Measure>,
    operations: u64,
) -> Result<(), BadChunk> {
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

/// Bytes not yet read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], BadChunk> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(BadChunk::Truncated { what })?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self, what: &'static str) -> Result<u8, BadChunk> {
        self.take(1, what).map(|byte| byte[0])
    }

    /// An unsigned LEB128 number of 64 bits in its shortest form.
    fn number(&mut self, what: &'static str) -> Result<u64, BadChunk> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(what)?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits || (byte == 0 && shift > 0) {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(BadChunk::Number { what })
    }

    /// A signed LEB128 number of 64 bits in its shortest form.
    fn signed(&mut self, what: &'static str) -> Result<i64, BadChunk> {
        let mut number = 0_i64;
        let mut previous = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(what)?;
            number |= i64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let extends =
                    (byte == 0 && previous & 0x40 == 0) || (byte == 0x7f && previous & 0x40 != 0);
                let too_wide = shift == 63 && byte != 0 && byte != 0x7f;
                if too_wide || (shift > 0 && extends) {
                    break;
                }
                if byte & 0x40 != 0 && shift < 57 {
                    number |= -1 << (shift + 7);
                }
                return Ok(number);
            }
            previous = byte;
        }
        Err(BadChunk::Number { what })
    }

    /// A number of things that fits the limit and memory.
    fn count(&mut self, what: &'static str, allowed: u64) -> Result<usize, BadChunk> {
        let seen = self.number(what)?;
        let too_many = BadChunk::TooMany {
            what,
            seen,
            allowed,
        };
        usize::try_from(seen)
            .ok()
            .filter(|_| seen <= allowed)
            .ok_or(too_many)
    }

    fn actor(&mut self) -> Result<ActorId, BadChunk> {
        let seen = self.number("the length of an actor")?;
        if seen != 18 {
            return Err(BadChunk::Actor { seen });
        }
        let bytes = self.take(18, "an actor")?;
        Ok(ActorId::from_slice(bytes).expect("18 bytes were taken"))
    }

    /// Measures a column of runs: a positive length and a value, a negative one and as many
    /// values, or zero and the length of a run of absent ones.
    fn runs(mut self, written: Written) -> Result<Measure, BadChunk> {
        let mut measure = Measure::default();
        while !self.0.is_empty() {
            let length = self.signed("the length of a run")?;
            if length == 0 {
                let absent = self.number("the length of a run")?;
                measure.add(absent, None)?;
            } else if length > 0 {
                let value = self.value(written)?;
                measure.add(length.unsigned_abs(), value)?;
            } else {
                for _ in 0..length.unsigned_abs() {
                    let value = self.value(written)?;
                    measure.add(1, value)?;
                }
            }
        }
        Ok(measure)
    }

    fn value(&mut self, written: Written) -> Result<Option<u64>, BadChunk> {
        match written {
            Written::Numbers { below } => {
                let value = self.number("a value")?;
                if value >= below {
                    return Err(if below == ACTION_MAX + 1 {
                        BadChunk::Action { seen: value }
                    } else {
                        BadChunk::Number {
                            what: "an actor's place",
                        }
                    });
                }
                Ok(Some(value))
            }
            Written::Differences => self.signed("a difference").map(|_| None),
            Written::Texts => {
                let length = self.number("the length of a text")?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                self.take(length, "a text").map(|_| None)
            }
        }
    }

    /// Measures a column of alternating runs of false and true.
    fn truths(mut self) -> Result<Measure, BadChunk> {
        let mut measure = Measure::default();
        while !self.0.is_empty() {
            let length = self.number("the length of a run")?;
            measure.add(length, None)?;
        }
        Ok(measure)
    }
}

impl Measure {
    /// Counts a run, in arithmetic that no length can wrap.
    fn add(&mut self, length: u64, value: Option<u64>) -> Result<(), BadChunk> {
        let too_many = |seen: u64| BadChunk::TooMany {
            what: "operations",
            seen,
            allowed: OPERATIONS_MAX,
        };
        self.values = self.values.saturating_add(length);
        if self.values > OPERATIONS_MAX {
            return Err(too_many(self.values));
        }
        if let Some(value) = value {
            self.sum = self.sum.saturating_add(value.saturating_mul(length));
            self.lengths = self
                .lengths
                .saturating_add((value >> 4).saturating_mul(length));
        }
        Ok(())
    }
}

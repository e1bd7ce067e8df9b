//! A chunk of Automerge's storage format taken apart, and put together with length and checksum
//! right: as an attacker would, who knows the format and signs what he sends.

use sha2::{Digest as _, Sha256};

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
/// The type of a document chunk.
pub(crate) const DOCUMENT: u8 = 0;
/// The type of a change chunk.
pub(crate) const CHANGE: u8 = 1;

/// A column: its number and its bytes.
pub(crate) type Column = (u64, Vec<u8>);

/// The parts of a change or of a document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Chunk {
    pub(crate) kind: u8,
    /// Dependencies of a change, heads of a document.
    pub(crate) hashes: Vec<Vec<u8>>,
    /// Of a change: its actor.
    pub(crate) actor: Vec<u8>,
    pub(crate) sequence: u64,
    pub(crate) start: u64,
    pub(crate) time: i64,
    pub(crate) message: Vec<u8>,
    /// Other actors of a change, all of a document.
    pub(crate) actors: Vec<Vec<u8>>,
    /// Columns of a change's operations; of a document's changes and operations.
    pub(crate) groups: Vec<Vec<Column>>,
    /// What follows the columns: a document's places of heads.
    pub(crate) rest: Vec<u8>,
}

impl Chunk {
    /// Takes a well-formed chunk apart.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut input = bytes.get(8..)?;
        let kind = *take(&mut input, 1)?.first()?;
        let length = number(&mut input)?;
        if u64::try_from(input.len()).ok()? != length {
            return None;
        }
        let mut chunk = Self {
            kind,
            ..Self::default()
        };
        let groups = match kind {
            CHANGE => {
                chunk.hashes = many(&mut input, |input| take(input, 32))?;
                chunk.actor = prefixed(&mut input)?;
                chunk.sequence = number(&mut input)?;
                chunk.start = number(&mut input)?;
                chunk.time = signed(&mut input)?;
                chunk.message = prefixed(&mut input)?;
                chunk.actors = many(&mut input, prefixed)?;
                1
            }
            DOCUMENT => {
                chunk.actors = many(&mut input, prefixed)?;
                chunk.hashes = many(&mut input, |input| take(input, 32))?;
                2
            }
            _ => return None,
        };
        let column = |input: &mut &[u8]| Some((number(input)?, number(input)?));
        let layouts: Vec<_> = (0..groups)
            .map(|_| many(&mut input, column))
            .collect::<Option<_>>()?;
        for layout in layouts {
            let columns = layout.into_iter().map(|(spec, length)| {
                let data = take(&mut input, usize::try_from(length).ok()?)?;
                Some((spec, data))
            });
            chunk.groups.push(columns.collect::<Option<_>>()?);
        }
        chunk.rest = input.to_vec();
        Some(chunk)
    }

    /// The bytes, with their length and checksum.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let hashes = |body: &mut Vec<u8>| {
            put(body, self.hashes.len() as u64);
            for hash in &self.hashes {
                body.extend(hash);
            }
        };
        if self.kind == DOCUMENT {
            put_many(&mut body, &self.actors);
            hashes(&mut body);
        } else {
            hashes(&mut body);
            put_prefixed(&mut body, &self.actor);
            put(&mut body, self.sequence);
            put(&mut body, self.start);
            put_signed(&mut body, self.time);
            put_prefixed(&mut body, &self.message);
            put_many(&mut body, &self.actors);
        }
        for columns in &self.groups {
            put(&mut body, columns.len() as u64);
            for (spec, data) in columns {
                put(&mut body, *spec);
                put(&mut body, data.len() as u64);
            }
        }
        for (_, data) in self.groups.iter().flatten() {
            body.extend(data);
        }
        body.extend(&self.rest);
        framed(self.kind, &body)
    }
}

/// A chunk of this type around a body.
pub(crate) fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut hashed = vec![kind];
    put(&mut hashed, body.len() as u64);
    hashed.extend(body);
    let hash = Sha256::digest(&hashed);
    [&MAGIC[..], &hash[..4], &hashed].concat()
}

/// What a signed header would say of the bytes.
pub(crate) fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes.get(8..).unwrap_or_default()).into()
}

/// Takes bytes off the front.
pub(crate) fn take(input: &mut &[u8], count: usize) -> Option<Vec<u8>> {
    let (taken, rest) = input.split_at_checked(count)?;
    *input = rest;
    Some(taken.to_vec())
}

/// Takes an unsigned LEB128 number off the front.
pub(crate) fn number(input: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *take(input, 1)?.first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Takes a signed LEB128 number off the front.
pub(crate) fn signed(input: &mut &[u8]) -> Option<i64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *take(input, 1)?.first()?;
        number |= i64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            if byte & 0x40 != 0 && shift < 57 {
                number |= -1 << (shift + 7);
            }
            return Some(number);
        }
    }
    None
}

fn prefixed(input: &mut &[u8]) -> Option<Vec<u8>> {
    let length = number(input)?;
    take(input, usize::try_from(length).ok()?)
}

fn many<T>(input: &mut &[u8], one: impl Fn(&mut &[u8]) -> Option<T>) -> Option<Vec<T>> {
    let count = number(input)?;
    (0..count).map(|_| one(input)).collect()
}

/// Appends an unsigned LEB128 number.
pub(crate) fn put(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = number.to_le_bytes()[0] & 0x7f;
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Appends a signed LEB128 number.
pub(crate) fn put_signed(out: &mut Vec<u8>, mut number: i64) {
    loop {
        let low = number.to_le_bytes()[0] & 0x7f;
        number >>= 7;
        if (number == 0 && low & 0x40 == 0) || (number == -1 && low & 0x40 != 0) {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

fn put_prefixed(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend(bytes);
}

fn put_many(out: &mut Vec<u8>, items: &[Vec<u8>]) {
    put(out, items.len() as u64);
    for item in items {
        put_prefixed(out, item);
    }
}

//! How rows look on disk: keys with their table's byte, values with version and checksum.
//!
//! A value is `version u8 | payload | xxh3 u64`, big-endian, the checksum seeded with the
//! key's, so that a row served under another key is found out too. A payload over
//! [`PAYLOAD_BYTES_MAX`] is cut into chunks under keys that carry the number of the commit
//! that wrote them; the row itself then holds a [`ChunkedHead`].

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::table::Table;

/// Longest payload of one stored row, in bytes: 17 rows, the most that share a page of
/// sled, stay far below the 1 MiB at which it would put them into an unsynced file.
pub(super) const PAYLOAD_BYTES_MAX: usize = 32 * 1024 - 64;

/// First byte of the store's own rows.
const OWN: u8 = 0;
/// First byte of the rows that say which values are chunked.
const CHUNKED: u8 = 0xFE;
/// First byte of the chunks.
const CHUNK: u8 = 0xFF;

const VERSION_WHOLE: u8 = 1;
const VERSION_CHUNKED: u8 = 2;
const CHECKSUM_BYTES: usize = 8;

/// A decoded value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    Whole(Vec<u8>),
    Chunked(ChunkedHead),
}

/// What stands in the place of a value that is stored in chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkedHead {
    /// Number of the commit that wrote the chunks.
    pub(super) generation: u64,
    /// Length of the whole value in bytes.
    pub(super) length: u32,
    /// Checksum of the whole value.
    pub(super) checksum: u64,
}

impl ChunkedHead {
    /// The head for a value written by a commit.
    pub(super) fn of(value: &[u8], generation: u64) -> Self {
        Self {
            generation,
            length: u32::try_from(value.len()).expect("values are limited to far less than 4 GiB"),
            checksum: xxh3_64(value),
        }
    }

    /// Number of chunks.
    pub(super) fn chunks(&self) -> u16 {
        let count = (self.length as usize).div_ceil(PAYLOAD_BYTES_MAX);
        u16::try_from(count).expect("values are limited to far fewer than 65536 chunks")
    }

    pub(super) fn to_bytes(self) -> [u8; 20] {
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&self.generation.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.length.to_be_bytes());
        bytes[12..].copy_from_slice(&self.checksum.to_be_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 20] = bytes.try_into().ok()?;
        let (generation, rest) = bytes.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (checksum, _) = rest.split_first_chunk()?;
        Some(Self {
            generation: u64::from_be_bytes(*generation),
            length: u32::from_be_bytes(*length),
            checksum: u64::from_be_bytes(*checksum),
        })
    }
}

/// The stored key of a table's row.
pub(super) fn table_key(table: Table, key: &[u8]) -> Vec<u8> {
    prefixed(&[table.code()], key)
}

/// The stored key of the row that holds the commit chain.
pub(super) fn chain_key() -> Vec<u8> {
    prefixed(&[OWN], b"chain")
}

/// The stored key of the note that a value is chunked.
pub(super) fn chunked_key(table: Table, key: &[u8]) -> Vec<u8> {
    prefixed(&[CHUNKED, table.code()], key)
}

/// The stored key of one chunk.
pub(super) fn chunk_key(table: Table, key: &[u8], generation: u64, index: u16) -> Vec<u8> {
    let length = u16::try_from(key.len()).expect("keys are limited to far less than 64 KiB");
    let mut stored = Vec::with_capacity(key.len() + 14);
    stored.extend_from_slice(&[CHUNK, table.code()]);
    stored.extend_from_slice(&length.to_be_bytes());
    stored.extend_from_slice(key);
    stored.extend_from_slice(&generation.to_be_bytes());
    stored.extend_from_slice(&index.to_be_bytes());
    stored
}

/// The stretch of all notes that a value is chunked: first key, and first key after.
pub(super) fn chunked_stretch() -> ([u8; 1], [u8; 1]) {
    ([CHUNKED], [CHUNK])
}

/// Table and key of a note that a value is chunked.
pub(super) fn split_chunked_key(stored: &[u8]) -> Option<(Table, &[u8])> {
    let (first, rest) = stored.split_first()?;
    let (table, key) = rest.split_first()?;
    (*first == CHUNKED).then_some((Table::from_code(*table)?, key))
}

/// The stored form of a whole value or chunk.
pub(super) fn encode_whole(stored_key: &[u8], payload: &[u8]) -> Vec<u8> {
    encode(stored_key, VERSION_WHOLE, payload)
}

/// The stored form of the head of a chunked value.
pub(super) fn encode_head(stored_key: &[u8], head: ChunkedHead) -> Vec<u8> {
    encode(stored_key, VERSION_CHUNKED, &head.to_bytes())
}

/// A stored value, its checksum verified; otherwise what is wrong with it.
pub(super) fn decode(stored_key: &[u8], mut stored: Vec<u8>) -> Result<Value, &'static str> {
    let Some(body_length) = stored.len().checked_sub(CHECKSUM_BYTES) else {
        return Err("shorter than its checksum");
    };
    let (body, checksum) = stored.split_at(body_length);
    if checksum != self::checksum(stored_key, body).to_be_bytes() {
        return Err("checksum does not match");
    }
    match body.first() {
        Some(&VERSION_WHOLE) => {
            stored.truncate(body_length);
            stored.remove(0);
            Ok(Value::Whole(stored))
        }
        Some(&VERSION_CHUNKED) => ChunkedHead::from_bytes(&body[1..])
            .map(Value::Chunked)
            .ok_or("head of a chunked value has the wrong length"),
        Some(_) => Err("written by a newer version"),
        None => Err("no version byte"),
    }
}

fn encode(stored_key: &[u8], version: u8, payload: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(payload.len() + 1 + CHECKSUM_BYTES);
    stored.push(version);
    stored.extend_from_slice(payload);
    let checksum = checksum(stored_key, &stored);
    stored.extend_from_slice(&checksum.to_be_bytes());
    stored
}

fn checksum(stored_key: &[u8], body: &[u8]) -> u64 {
    xxh3_64_with_seed(body, xxh3_64(stored_key))
}

fn prefixed(prefix: &[u8], key: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(prefix.len() + key.len());
    stored.extend_from_slice(prefix);
    stored.extend_from_slice(key);
    stored
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_bytes_are_as_promised() {
        let key = table_key(Table::Rows, b"k");
        let stored = encode_whole(&key, b"abc");
        assert_eq!(key, [6, b'k']);
        assert_eq!(
            stored,
            [1, b'a', b'b', b'c', 126, 49, 154, 212, 105, 215, 244, 21]
        );
        assert_eq!(decode(&key, stored), Ok(Value::Whole(b"abc".to_vec())));
    }

    #[test]
    fn a_flipped_bit_anywhere_or_another_key_is_found_out() {
        let key = table_key(Table::Rows, b"k");
        let stored = encode_whole(&key, b"abc");
        for bit in 0..stored.len() * 8 {
            let mut damaged = stored.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&key, damaged), Err("checksum does not match"));
        }
        let moved = decode(&table_key(Table::Rows, b"j"), stored.clone());
        assert_eq!(moved, Err("checksum does not match"));
        for length in 0..stored.len() {
            assert!(decode(&key, stored[..length].to_vec()).is_err());
        }
    }

    #[test]
    fn a_value_of_a_newer_version_is_named_as_such() {
        let key = table_key(Table::Rows, b"k");
        let stored = encode(&key, 9, b"abc");
        assert_eq!(decode(&key, stored), Err("written by a newer version"));
    }

    #[test]
    fn chunk_keys_of_different_values_never_meet() {
        let one = chunk_key(Table::Rows, b"a", 7, 0);
        let other = chunk_key(Table::Rows, &[b"a", &7u64.to_be_bytes()[..]].concat(), 7, 0);
        assert_ne!(one, other);
        assert!(!other.starts_with(&one));
    }

    #[test]
    fn the_head_of_a_chunked_value_counts_its_chunks() {
        for (length, chunks) in [
            (1, 1),
            (PAYLOAD_BYTES_MAX, 1),
            (PAYLOAD_BYTES_MAX + 1, 2),
            (PAYLOAD_BYTES_MAX * 3, 3),
        ] {
            let head = ChunkedHead::of(&vec![7; length], 5);
            assert_eq!(head.chunks(), chunks);
            assert_eq!(ChunkedHead::from_bytes(&head.to_bytes()), Some(head));
        }
    }
}

//! Reading: by key and by stretch of keys, every value verified.

use std::ops::Bound;

use super::engine::{RawRow, Stretch};
use super::row::{self, ChunkedHead, Value};
use super::table::Table;
use super::{Inner, Store, StoreFailed};

/// Key and value of a row.
pub type Row = (Vec<u8>, Vec<u8>);

/// How often a value is looked up anew when a commit replaces it while its chunks are read.
const LOOKUPS_MAX: u32 = 8;

impl Store {
    /// The value of a key, if there is one.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFailed> {
        self.inner.value(table, key)
    }

    /// Whether a key has a value; the value itself is not read in whole.
    pub fn contains(&self, table: Table, key: &[u8]) -> Result<bool, StoreFailed> {
        Ok(self.inner.stored(&row::table_key(table, key))?.is_some())
    }

    /// At most `limit` rows whose keys begin with `prefix` and come after `after`, ascending.
    pub fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreFailed> {
        let first = row::table_key(table, prefix);
        let end = successor(&first);
        let after = after.map(|key| row::table_key(table, key));
        let lower = match &after {
            Some(after) if *after >= first => Bound::Excluded(after.as_slice()),
            _ => Bound::Included(first.as_slice()),
        };
        let stretch = Stretch {
            lower,
            end: &end,
            descending: false,
        };
        self.inner.rows(table, stretch, limit)
    }

    /// At most `limit` rows whose keys begin with `prefix` and come before `before`, descending.
    pub fn scan_back(
        &self,
        table: Table,
        prefix: &[u8],
        before: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreFailed> {
        let first = row::table_key(table, prefix);
        let past = successor(&first);
        let end = match before.map(|key| row::table_key(table, key)) {
            Some(before) if before < past => before,
            _ => past,
        };
        let stretch = Stretch {
            lower: Bound::Included(&first),
            end: &end,
            descending: true,
        };
        self.inner.rows(table, stretch, limit)
    }
}

impl Inner {
    fn value(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFailed> {
        let stored_key = row::table_key(table, key);
        for _ in 0..LOOKUPS_MAX {
            let Some(stored) = self.stored(&stored_key)? else {
                return Ok(None);
            };
            if let Some(value) = self.resolve(table, &stored_key, stored)? {
                return Ok(Some(value));
            }
        }
        Err(damaged(table, key, "chunks are missing"))
    }

    /// The value as the engine has it.
    pub(super) fn stored(&self, stored_key: &[u8]) -> Result<Option<Vec<u8>>, StoreFailed> {
        let read = self.engine.get(stored_key);
        read.map_err(|source| StoreFailed::Read { source })
    }

    /// Raw rows of a stretch, which may be void.
    pub(super) fn stored_rows(
        &self,
        stretch: Stretch<'_>,
        limit: usize,
    ) -> Result<Vec<RawRow>, StoreFailed> {
        if limit == 0 || stretch.is_void() {
            return Ok(Vec::new());
        }
        let read = self.engine.range(stretch, limit);
        read.map_err(|source| StoreFailed::Read { source })
    }

    fn rows(
        &self,
        table: Table,
        stretch: Stretch<'_>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreFailed> {
        let stored_rows = self.stored_rows(stretch, limit)?;
        let mut rows = Vec::with_capacity(stored_rows.len());
        for (mut stored_key, stored) in stored_rows {
            let mut value = self.resolve(table, &stored_key, stored)?;
            stored_key.remove(0);
            if value.is_none() {
                value = self.value(table, &stored_key)?;
            }
            if let Some(value) = value {
                rows.push((stored_key, value));
            }
        }
        Ok(rows)
    }

    /// The whole value of a stored one; `None` if its chunks were replaced meanwhile.
    pub(super) fn resolve(
        &self,
        table: Table,
        stored_key: &[u8],
        stored: Vec<u8>,
    ) -> Result<Option<Vec<u8>>, StoreFailed> {
        let key = stored_key.get(1..).unwrap_or_default();
        match row::decode(stored_key, stored).map_err(|seen| damaged(table, key, seen))? {
            Value::Whole(value) => Ok(Some(value)),
            Value::Chunked(head) => self.join(table, key, head),
        }
    }

    fn join(
        &self,
        table: Table,
        key: &[u8],
        head: ChunkedHead,
    ) -> Result<Option<Vec<u8>>, StoreFailed> {
        let mut value = Vec::with_capacity(head.length as usize);
        for index in 0..head.chunks() {
            let chunk_key = row::chunk_key(table, key, head.generation, index);
            let Some(stored) = self.stored(&chunk_key)? else {
                return Ok(None);
            };
            match row::decode(&chunk_key, stored).map_err(|seen| damaged(table, key, seen))? {
                Value::Whole(chunk) => value.extend_from_slice(&chunk),
                Value::Chunked(_) => return Err(damaged(table, key, "chunk within a chunk")),
            }
        }
        if ChunkedHead::of(&value, head.generation) != head {
            return Err(damaged(
                table,
                key,
                "checksum of the joined chunks does not match",
            ));
        }
        Ok(Some(value))
    }
}

/// The error for a damaged row.
pub(super) fn damaged(table: Table, key: &[u8], seen: &'static str) -> StoreFailed {
    StoreFailed::Damaged {
        table: table.name(),
        key: hex(key),
        seen,
    }
}

/// Lower-case hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a string never fails");
    }
    text
}

/// The first key after all that begin with a stored prefix, whose first byte is a table's.
fn successor(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while end.last() == Some(&0xFF) {
        end.pop();
    }
    let last = end.last_mut().expect("a table's number is never 0xFF");
    *last += 1;
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_successor_of_a_prefix_is_past_every_key_with_it() {
        assert_eq!(successor(&[6]), [7]);
        assert_eq!(successor(&[6, 0xFF, 0xFF]), [7]);
        assert_eq!(successor(&[6, 3, 0xFF]), [6, 4]);
    }
}

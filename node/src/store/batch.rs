//! What one commit writes: puts and deletes over any tables, all or nothing.

use std::collections::BTreeMap;

use super::table::Table;

/// Writes to commit together. Of several writes to one key the last one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    writes: BTreeMap<(Table, Vec<u8>), Option<Vec<u8>>>,
    bytes: usize,
}

impl Batch {
    /// A batch that writes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores a value under a key, in place of what was there.
    pub fn put(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.write(table, key.into(), Some(value.into()));
    }

    /// Removes a key; one that is not there is no error.
    pub fn delete(&mut self, table: Table, key: impl Into<Vec<u8>>) {
        self.write(table, key.into(), None);
    }

    /// What this batch does to a key: nothing (`None`), deletes it (`Some(None)`) or its new value.
    pub fn pending(&self, table: Table, key: &[u8]) -> Option<Option<&[u8]>> {
        self.writes
            .get(&(table, key.to_vec()))
            .map(Option::as_deref)
    }

    /// What this batch does to a table's keys from one on, ascending; `None` deletes.
    pub fn pending_from(
        &self,
        table: Table,
        first: &[u8],
    ) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.writes
            .range((table, first.to_vec())..)
            .take_while(move |((of, _), _)| *of == table)
            .map(|((_, key), value)| (key.as_slice(), value.as_deref()))
    }

    /// Takes over the writes of another batch, as if made after its own.
    pub fn append(&mut self, other: Self) {
        for ((table, key), value) in other.writes {
            self.write(table, key, value);
        }
    }

    /// Number of keys written or deleted.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Whether the batch writes nothing.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The writes by table and key; `None` deletes.
    pub fn iter(&self) -> impl Iterator<Item = (Table, &[u8], Option<&[u8]>)> {
        self.writes
            .iter()
            .map(|((table, key), value)| (*table, key.as_slice(), value.as_deref()))
    }

    fn write(&mut self, table: Table, key: Vec<u8>, value: Option<Vec<u8>>) {
        let key_bytes = key.len();
        let added = key_bytes + value.as_ref().map_or(0, Vec::len);
        if let Some(replaced) = self.writes.insert((table, key), value) {
            self.bytes -= key_bytes + replaced.map_or(0, |value| value.len());
        }
        self.bytes += added;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_writes_to_one_key_the_last_one_counts() {
        let mut batch = Batch::new();
        batch.put(Table::Meta, *b"a", *b"first");
        batch.put(Table::Meta, *b"a", *b"2");
        batch.put(Table::Rows, *b"a", *b"other table");
        batch.delete(Table::Rows, *b"a");
        assert_eq!(batch.len(), 2);
        assert_eq!(batch.bytes(), 3);
        assert_eq!(batch.pending(Table::Meta, b"a"), Some(Some(&b"2"[..])));
        assert_eq!(batch.pending(Table::Rows, b"a"), Some(None));
        assert_eq!(batch.pending(Table::Rows, b"b"), None);
    }

    #[test]
    fn the_writes_of_one_table_from_a_key_on_are_told_in_order() {
        let mut batch = Batch::new();
        for key in [*b"c", *b"a", *b"b"] {
            batch.put(Table::Rows, key, *b"1");
        }
        batch.delete(Table::Rows, *b"d");
        batch.put(Table::References, *b"z", *b"other table");
        let from_b: Vec<_> = batch.pending_from(Table::Rows, b"b").collect();
        let one = Some(&b"1"[..]);
        assert_eq!(
            from_b,
            [(&b"b"[..], one), (&b"c"[..], one), (&b"d"[..], None)]
        );
    }

    #[test]
    fn an_appended_batch_wins_over_what_was_there() {
        let mut batch = Batch::new();
        batch.put(Table::Meta, *b"a", *b"1");
        let mut later = Batch::new();
        later.delete(Table::Meta, *b"a");
        later.put(Table::Meta, *b"b", *b"22");
        batch.append(later);
        assert_eq!(batch.pending(Table::Meta, b"a"), Some(None));
        assert_eq!(batch.bytes(), 4);
    }
}

//! Removing the bodies of a document: its changes go, the entries that brought them stay.
//!
//! A log stays contiguous and provable: each entry's signed header is kept, its body is not. In
//! the same commit as whatever asks for it. Does not decide who may remove what.

use std::collections::BTreeMap;

use raccordo_crdt_model::DocumentId;

use super::change_run::ChangeRun;
use super::core::ReadFailed;
use super::draft::Draft;
use super::entry_run::{self, BodyPlace, entry_key, log_key};
use crate::store::{Row, Table};

impl Draft<'_> {
    /// Drops every body of a document, stored or about to be, and says how many there were.
    ///
    /// The document's own row and key are the caller's to replace. What this draft records
    /// of the document afterwards is kept again.
    pub(crate) fn erase_bodies(&mut self, id: DocumentId) -> Result<usize, ReadFailed> {
        self.close_runs();
        let mut places = Vec::new();
        for (key, value) in self.rows_of(Table::Changes, id.as_bytes())? {
            places.extend(ChangeRun::decode(&key, &value)?.origins);
            self.batch.delete(Table::Changes, key);
        }
        let mut rewritten: BTreeMap<Vec<u8>, Vec<entry_run::StoredEntry>> = BTreeMap::new();
        for place in &places {
            let from = entry_key(place.log, place.seq.saturating_sub(1));
            let found = self.row_after(Table::Entries, &log_key(place.log), &from)?;
            // The entry of a change may have been set aside: it is not in its log for now.
            let Some((key, value)) = found else {
                continue;
            };
            let run = match rewritten.remove(&key) {
                Some(run) => run,
                None => entry_run::decode(&key, &value)?,
            };
            let run = rewritten.entry(key).or_insert(run);
            let entry = run.iter_mut().find(|entry| {
                let header = &entry.signed.header;
                header.seq == place.seq && header.document == *id.as_bytes()
            });
            if let Some(entry) = entry {
                entry.body = BodyPlace::Erased;
            }
        }
        for (_, run) in rewritten {
            let row = entry_run::encode(&run);
            let (key, value) =
                row.expect("entries that had a row fit into it without their places");
            self.batch.put(Table::Entries, key, value);
        }
        Ok(places.len())
    }

    /// All rows with a prefix, as this commit would leave them.
    pub(super) fn rows_of(&self, table: Table, prefix: &[u8]) -> Result<Vec<Row>, ReadFailed> {
        let stored = self.core.store.scan(table, prefix, None, usize::MAX)?;
        let mut rows: BTreeMap<Vec<u8>, Vec<u8>> = stored.into_iter().collect();
        for (key, pending) in self.batch.pending_from(table, prefix) {
            if !key.starts_with(prefix) {
                break;
            }
            match pending {
                Some(value) => rows.insert(key.to_vec(), value.to_vec()),
                None => rows.remove(key),
            };
        }
        Ok(rows.into_iter().collect())
    }

    /// The first row with a prefix after a key; of a table of which nothing is ever deleted.
    fn row_after(
        &self,
        table: Table,
        prefix: &[u8],
        after: &[u8],
    ) -> Result<Option<Row>, ReadFailed> {
        let stored = self.core.store.scan(table, prefix, Some(after), 1)?.pop();
        let pending = self
            .batch
            .pending_from(table, after)
            .find(|(key, value)| *key != after && value.is_some())
            .filter(|(key, _)| key.starts_with(prefix))
            .and_then(|(key, value)| Some((key.to_vec(), value?.to_vec())));
        Ok(match (stored, pending) {
            (Some(stored), Some(pending)) if stored.0 < pending.0 => Some(stored),
            (stored, pending) => pending.or(stored),
        })
    }
}

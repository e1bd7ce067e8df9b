//! The redb engine: one file, one table, its own fdatasync, readers on snapshots.

use std::path::Path;

use redb::{Database, ReadableDatabase, TableDefinition};

use super::engine::{Engine, EngineFailed, RawRow, Stretch, Writes, guarded};

const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");

/// An open redb database.
pub(super) struct Redb {
    database: Database,
}

impl std::fmt::Debug for Redb {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Redb")
    }
}

impl Redb {
    /// Opens or makes the database file.
    pub(super) fn open(file: &Path, cache_bytes: u64) -> Result<Self, EngineFailed> {
        let database = guarded(|| {
            let cache = usize::try_from(cache_bytes).unwrap_or(usize::MAX);
            let mut builder = Database::builder();
            let opened = builder.set_cache_size(cache).create(file);
            Ok(opened.map_err(redb::Error::from)?)
        })?;
        let opened = Self { database };
        // Readers fail on a table that was never written to.
        opened.commit(&Writes::new())?;
        Ok(opened)
    }

    fn write(&self, writes: &Writes) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut rows = transaction.open_table(ROWS)?;
            for (key, value) in writes {
                match value {
                    Some(value) => drop(rows.insert(key.as_slice(), value.as_slice())?),
                    None => drop(rows.remove(key.as_slice())?),
                }
            }
        }
        // Durability::Immediate is the default: this returns after fdatasync.
        transaction.commit()?;
        Ok(())
    }

    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
        let rows = self.database.begin_read()?.open_table(ROWS)?;
        Ok(rows.get(key)?.map(|value| value.value().to_vec()))
    }

    fn rows(&self, stretch: Stretch<'_>, limit: usize) -> Result<Vec<RawRow>, redb::Error> {
        let rows = self.database.begin_read()?.open_table(ROWS)?;
        let range = rows.range::<&[u8]>(stretch.bounds())?;
        let read: Result<Vec<RawRow>, redb::StorageError> = if stretch.descending {
            range.rev().take(limit).map(owned).collect()
        } else {
            range.take(limit).map(owned).collect()
        };
        Ok(read?)
    }
}

type Guard<'t> = redb::AccessGuard<'t, &'static [u8]>;

fn owned(
    row: Result<(Guard<'_>, Guard<'_>), redb::StorageError>,
) -> Result<RawRow, redb::StorageError> {
    row.map(|(key, value)| (key.value().to_vec(), value.value().to_vec()))
}

impl Engine for Redb {
    fn name(&self) -> &'static str {
        "redb"
    }

    fn commit(&self, writes: &Writes) -> Result<(), EngineFailed> {
        guarded(|| Ok(self.write(writes)?))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineFailed> {
        guarded(|| Ok(self.read(key)?))
    }

    fn range(&self, stretch: Stretch<'_>, limit: usize) -> Result<Vec<RawRow>, EngineFailed> {
        guarded(|| Ok(self.rows(stretch, limit)?))
    }
}

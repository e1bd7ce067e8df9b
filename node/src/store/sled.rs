//! The sled engine, exactly 0.34.7, with the recipe that makes it durable.
//!
//! Its own flush is no fsync: after each one the files are synced through our descriptors.
//! Segments of 4 MiB keep every page in the log, never in unsynced side files. A torn
//! snapshot would make the open fail: it is deleted before, and on any other trouble all
//! snapshots are put aside and the log is replayed. sled shows writes before they are
//! durable, so the values they replace stand in for them until then.
//! Evidence: docs/decisions/0001-sled-behind-a-narrow-trait.md.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use super::disk;
use super::engine::{Engine, EngineFailed, RawRow, Stretch, Writes, guarded};
use super::table::Table;

/// Size of a log segment in bytes; fixed for the life of a database.
const SEGMENT_BYTES: usize = 4 << 20;

/// How often, and how long apart, sled's own lock is tried again.
const LOCK_TRIES_MAX: u32 = 100;
const LOCK_TRY_INTERVAL: Duration = Duration::from_millis(10);

/// An open sled database.
#[derive(Debug)]
pub(super) struct Sled {
    database: sled::Db,
    /// Our own descriptor of sled's log.
    log: File,
    folder: PathBuf,
    /// What stood under the keys of the batch that is not durable yet.
    replaced: RwLock<Writes>,
}

impl Sled {
    /// Opens or makes the database in a folder.
    pub(super) fn open(folder: &Path, cache_bytes: u64) -> Result<Self, EngineFailed> {
        remove_torn_snapshots(folder)?;
        let database = match open_patiently(folder, cache_bytes) {
            Ok(database) => database,
            Err(failed) if is_held(&failed) => return Err(failed),
            Err(failed) => {
                if !put_snapshots_aside(folder)? {
                    return Err(failed);
                }
                open_patiently(folder, cache_bytes)?
            }
        };
        let path = folder.join("db");
        let log = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|source| EngineFailed::file(&path, source))?;
        // sled never syncs `conf` nor the entries of its folders.
        disk::sync_tree(folder)?;
        Ok(Self {
            database,
            log,
            folder: folder.to_path_buf(),
            replaced: RwLock::default(),
        })
    }

    fn side_files(&self) -> PathBuf {
        self.folder.join("blobs")
    }

    fn sync(&self) -> Result<(), EngineFailed> {
        self.database.flush()?;
        let side_files = self.side_files();
        if disk::count_files(&side_files)? > 0 {
            disk::sync_tree(&side_files)?;
        }
        self.log
            .sync_data()
            .map_err(|source| EngineFailed::file(&self.folder.join("db"), source))
    }

    fn apply(&self, writes: &Writes) -> Result<(), EngineFailed> {
        let mut before = Writes::new();
        let mut batch = sled::Batch::default();
        for (key, value) in writes {
            before.insert(key.clone(), self.standing(key)?);
            match value {
                Some(value) => batch.insert(key.as_slice(), value.as_slice()),
                None => batch.remove(key.as_slice()),
            }
        }
        // Readers wait here, so that they see all of the batch replaced or none of it.
        let mut replaced = self
            .replaced
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *replaced = before;
        Ok(self.database.apply_batch(batch)?)
    }

    /// What readers see under a key while its replacement is not durable.
    fn standing(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineFailed> {
        let table = key.first().and_then(|code| Table::from_code(*code));
        if table.is_some_and(Table::is_append_only) {
            return Ok(None);
        }
        Ok(self.database.get(key)?.map(|old| old.to_vec()))
    }

    fn rows(&self, stretch: Stretch<'_>, limit: usize) -> Result<Vec<RawRow>, EngineFailed> {
        let replaced = self.replaced.read().unwrap_or_else(PoisonError::into_inner);
        let range = self.database.range::<&[u8], _>(stretch.bounds());
        let durable = |row: &sled::Result<(sled::IVec, sled::IVec)>| {
            row.as_ref()
                .map_or(true, |(key, _)| !replaced.contains_key(key.as_ref()))
        };
        let owned = |row: sled::Result<(sled::IVec, sled::IVec)>| {
            row.map(|(key, value)| (key.to_vec(), value.to_vec()))
        };
        let read: sled::Result<Vec<RawRow>> = if stretch.descending {
            range.rev().filter(durable).take(limit).map(owned).collect()
        } else {
            range.filter(durable).take(limit).map(owned).collect()
        };
        let mut rows = read?;
        add_replaced(&mut rows, &replaced, stretch, limit);
        Ok(rows)
    }
}

impl Engine for Sled {
    fn name(&self) -> &'static str {
        "sled"
    }

    fn commit(&self, writes: &Writes) -> Result<(), EngineFailed> {
        guarded(|| {
            self.apply(writes)?;
            self.sync()
        })?;
        // Only now may readers see the batch; after an error they go on seeing what was.
        self.replaced
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineFailed> {
        guarded(|| {
            let replaced = self.replaced.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(before) = replaced.get(key) {
                return Ok(before.clone());
            }
            Ok(self.database.get(key)?.map(|value| value.to_vec()))
        })
    }

    fn range(&self, stretch: Stretch<'_>, limit: usize) -> Result<Vec<RawRow>, EngineFailed> {
        guarded(|| self.rows(stretch, limit))
    }

    fn stray_files(&self) -> Result<u64, EngineFailed> {
        disk::count_files(&self.side_files())
    }
}

/// Puts the rows as they were before the batch under way into what was read.
fn add_replaced(rows: &mut Vec<RawRow>, replaced: &Writes, stretch: Stretch<'_>, limit: usize) {
    if replaced.is_empty() {
        return;
    }
    let (lower, end): (Bound<&[u8]>, _) = stretch.bounds();
    let before: BTreeMap<&Vec<u8>, &Vec<u8>> = replaced
        .range::<[u8], _>((lower, end))
        .filter_map(|(key, value)| value.as_ref().map(|value| (key, value)))
        .collect();
    rows.extend(
        before
            .into_iter()
            .map(|(key, value)| (key.clone(), value.clone())),
    );
    rows.sort_unstable();
    if stretch.descending {
        rows.reverse();
    }
    rows.truncate(limit);
}

/// Waits for a lock of sled's own that outlived its holder; ours is held already, so nobody
/// uses the database. A child being started holds a copy of the descriptor for an instant.
fn open_patiently(folder: &Path, cache_bytes: u64) -> Result<sled::Db, EngineFailed> {
    for _ in 0..LOCK_TRIES_MAX {
        match open_guarded(folder, cache_bytes) {
            Err(failed) if is_held(&failed) => std::thread::park_timeout(LOCK_TRY_INTERVAL),
            opened => return opened,
        }
    }
    open_guarded(folder, cache_bytes)
}

fn is_held(failed: &EngineFailed) -> bool {
    let cause = std::error::Error::source(failed);
    cause.is_some_and(|cause| cause.to_string().contains("could not acquire lock"))
}

fn open_guarded(folder: &Path, cache_bytes: u64) -> Result<sled::Db, EngineFailed> {
    guarded(|| {
        let database = sled::Config::new()
            .path(folder)
            .segment_size(SEGMENT_BYTES)
            .cache_capacity(cache_bytes)
            .flush_every_ms(None)
            .open()?;
        Ok(database)
    })
}

fn remove_torn_snapshots(folder: &Path) -> Result<(), EngineFailed> {
    for path in snapshots(folder)? {
        if path
            .extension()
            .is_some_and(|extension| extension == "generating")
        {
            fs::remove_file(&path).map_err(|source| EngineFailed::file(&path, source))?;
        }
    }
    Ok(())
}

/// Moves the snapshots away, the log alone has everything; false if there were none.
fn put_snapshots_aside(folder: &Path) -> Result<bool, EngineFailed> {
    let aside = disk::sibling(folder, ".aside");
    let mut moved = false;
    for path in snapshots(folder)? {
        fs::create_dir_all(&aside).map_err(|source| EngineFailed::file(&aside, source))?;
        let Some(name) = path.file_name() else {
            continue;
        };
        fs::rename(&path, aside.join(name)).map_err(|source| EngineFailed::file(&path, source))?;
        moved = true;
    }
    Ok(moved)
}

fn snapshots(folder: &Path) -> Result<Vec<PathBuf>, EngineFailed> {
    let failed = |source| EngineFailed::file(folder, source);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(source)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default();
        if name.to_string_lossy().starts_with("snap.") {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_sled_still_holds_is_told_apart_from_damage() {
        let folder = tempfile::tempdir().unwrap();
        let held = open_guarded(folder.path(), 1 << 20).unwrap();
        let refused = open_guarded(folder.path(), 1 << 20).unwrap_err();
        assert!(is_held(&refused), "{refused:?}");
        drop(held);
        open_guarded(folder.path(), 1 << 20).unwrap();
        fs::write(folder.path().join("conf"), "damaged beyond reading").unwrap();
        let refused = open_guarded(folder.path(), 1 << 20).unwrap_err();
        assert!(!is_held(&refused), "{refused:?}");
    }
}

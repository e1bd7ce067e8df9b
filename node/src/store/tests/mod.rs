//! One suite for all engines, and what only some of them can show.

mod damage;
mod folder;
mod kill;
mod laws;
mod model;
mod power;

use std::path::PathBuf;

use super::{MemoryDisk, OpenFailed, Options, Store, StoreEngine};

/// Somewhere a store can be opened, closed and opened again.
pub(super) struct Site {
    engine: Option<StoreEngine>,
    folder: tempfile::TempDir,
    disk: MemoryDisk,
}

impl Site {
    /// A new site; no engine means memory.
    fn new(engine: Option<StoreEngine>) -> Self {
        Self {
            engine,
            folder: tempfile::tempdir().unwrap(),
            disk: MemoryDisk::new(),
        }
    }

    fn open(&self) -> Store {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<Store, OpenFailed> {
        match self.engine {
            Some(engine) => Store::open(&self.path(), &options(engine)),
            None => Store::on_memory_disk(&self.disk, 0),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("store")
    }
}

fn options(engine: StoreEngine) -> Options {
    Options {
        engine,
        cache_mib: 16,
        reserve_bytes: Some(0),
    }
}

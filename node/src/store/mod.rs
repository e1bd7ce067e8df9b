//! The node's store: tables of bytes, committed in batches that are atomic and durable.
//!
//! Guarantees: a commit that returned survives a power cut; nothing is readable before it
//! is durable; every read verifies a checksum; a store that lost acknowledged commits opens
//! read-only and says so. Knows bytes only. This folder alone names a storage engine.

mod batch;
mod chain;
mod commit;
mod disk;
mod engine;
mod error;
mod highwater;
mod lock;
mod memory;
mod open;
mod read;
mod redb;
mod row;
pub mod seal;
mod sled;
mod table;
mod transfer;
mod verify;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

pub use batch::Batch;
pub use engine::EngineFailed;
pub use error::{OpenFailed, StoreFailed, TransferFailed};
pub use memory::{MemoryDisk, Moment, Unsynced};
pub use raccordo_config::StoreEngine;
pub use read::Row;
pub use table::Table;
pub use verify::{DamagedRow, VerifyReport};

use commit::Committer;
use disk::Room;
use engine::Engine;

/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;

/// Longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 64 << 20;

/// How to open a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Engine of a new store; an existing one must have been founded with it.
    pub engine: StoreEngine,
    /// Memory for the engine's cache, in MiB.
    pub cache_mib: u32,
    /// Bytes that stay free on the disk; `None` is the smaller of 512 MiB and 5 %.
    pub reserve_bytes: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            engine: StoreEngine::Sled,
            cache_mib: 64,
            reserve_bytes: None,
        }
    }
}

/// Whether the store takes commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It does.
    Healthy,
    /// It lost acknowledged commits: read-only.
    Degraded {
        /// What the opening found, as a sentence without its period.
        reason: String,
    },
    /// A flush failed: read-only until the store is opened again.
    Poisoned {
        /// The first failure.
        reason: String,
    },
}

/// Figures of an open store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// `sled`, `redb` or `memory`.
    pub engine: &'static str,
    /// Number of the last commit.
    pub commits: u64,
    /// Bytes that the store takes on disk.
    pub disk_bytes: u64,
    /// Bytes free on its disk.
    pub free_bytes: u64,
    /// Bytes that commits leave free.
    pub reserve_bytes: u64,
    /// Values stored in several chunks.
    pub chunked_values: u64,
    /// Files the engine should not have made; anything but 0 is an alarm.
    pub stray_files: u64,
}

/// An open store. Clones share it; the last one dropped closes it.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    engine: Box<dyn Engine>,
    committer: Mutex<Committer>,
    condition: RwLock<Condition>,
    last_seq: AtomicU64,
    chunked_values: AtomicU64,
    place: Place,
    reserve: u64,
    /// Held for as long as the engine; fields are dropped in this order.
    _lock: Option<lock::Lock>,
}

/// Where the bytes are.
#[derive(Debug)]
enum Place {
    Folder(PathBuf),
    Memory(MemoryDisk),
}

impl Store {
    /// Opens the store in a folder, or founds it there.
    ///
    /// Beside `dir`, which is the store's alone, stand `DIR.hwm` (the high-water mark) and
    /// `DIR.lock`; the folder that holds them must exist. Blocks on disk.
    pub fn open(dir: &Path, options: &Options) -> Result<Self, OpenFailed> {
        open::open(dir, options)
    }

    /// A store in memory, for tests and simulations.
    pub fn memory() -> Self {
        Self::on_memory_disk(&MemoryDisk::new(), 0).expect("an empty disk without faults opens")
    }

    /// Opens the store on a disk in memory, or founds it there.
    pub fn on_memory_disk(disk: &MemoryDisk, reserve_bytes: u64) -> Result<Self, OpenFailed> {
        open::on_memory_disk(disk, reserve_bytes)
    }

    /// Number of the last commit; 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.inner.last_seq.load(Ordering::Acquire)
    }

    /// Whether commits are taken, and if not, why.
    pub fn condition(&self) -> Condition {
        let condition = self.inner.condition.read();
        condition.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Figures for status and metrics. Walks the store's folder.
    pub fn stats(&self) -> Result<Stats, StoreFailed> {
        let inner = &self.inner;
        let failed = |source| StoreFailed::Read { source };
        let disk_bytes = match &inner.place {
            Place::Folder(folder) => disk::allocated_bytes(folder)
                .map_err(|source| failed(EngineFailed::file(folder, source)))?,
            Place::Memory(disk) => disk.bytes(),
        };
        Ok(Stats {
            engine: inner.engine.name(),
            commits: self.last_seq(),
            disk_bytes,
            free_bytes: inner.room().map_err(failed)?.free,
            reserve_bytes: inner.reserve,
            chunked_values: inner.chunked_values.load(Ordering::Relaxed),
            stray_files: inner.engine.stray_files().map_err(failed)?,
        })
    }
}

impl Inner {
    fn room(&self) -> Result<Room, EngineFailed> {
        match &self.place {
            Place::Folder(folder) => Room::of(folder),
            Place::Memory(disk) => Ok(disk.room()),
        }
    }

    fn committer(&self) -> std::sync::MutexGuard<'_, Committer> {
        self.committer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

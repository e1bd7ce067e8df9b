//! What can go wrong with the store, in the words that people read.

use std::path::PathBuf;

use super::engine::EngineFailed;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenFailed {
    /// Another process (or another handle of this one) has it open.
    #[error(
        "the store {} is in use by {}: stop it, or use another data folder",
        path.display(), pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    InUse {
        /// The store.
        path: PathBuf,
        /// The process that holds it, where it can be read.
        pid: Option<u32>,
    },
    /// It was founded with another engine than the one asked for.
    #[error(
        "the store {} was founded with {found}, {asked} was asked for: set `store.engine = \"{found}\"`, or export it and import it into a new one",
        path.display()
    )]
    OtherEngine {
        /// The store.
        path: PathBuf,
        /// Engine on disk.
        found: String,
        /// Engine asked for.
        asked: &'static str,
    },
    /// Its format file is unreadable or from a newer version.
    #[error("the store {} has format {found:?}, this version reads {known:?}", path.display())]
    UnknownFormat {
        /// The store.
        path: PathBuf,
        /// What the format file says.
        found: String,
        /// What this version writes.
        known: &'static str,
    },
    /// The row that holds the commit chain is missing or damaged.
    #[error("the commit chain of the store {} is unreadable: restore a backup", path.display())]
    NoChain {
        /// The store.
        path: PathBuf,
    },
    /// The engine cannot open its files, on a disk that is full.
    #[error(
        "the store {} cannot be opened with {free} bytes free on its disk: free some space, nothing is lost",
        path.display()
    )]
    NoRoom {
        /// The store.
        path: PathBuf,
        /// Bytes free on its disk.
        free: u64,
        /// What the engine said.
        source: EngineFailed,
    },
    /// The engine cannot open its files.
    #[error("the store {} cannot be opened: check the disk, then restore a backup", path.display())]
    Engine {
        /// The store.
        path: PathBuf,
        /// What the engine said.
        source: EngineFailed,
    },
}

/// Why a read or a commit failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreFailed {
    /// A stored row is not what was written. Nothing of it was returned.
    #[error("row {key} of table {table} is damaged: {seen}")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The key in hex.
        key: String,
        /// What is wrong with it.
        seen: &'static str,
    },
    /// Too little disk is free. Nothing was kept; later commits may succeed.
    #[error("{free} bytes free on disk, {reserve} are to stay free: free some space")]
    DiskReserve {
        /// Free bytes.
        free: u64,
        /// Bytes that must stay free after the commit.
        reserve: u64,
    },
    /// The store is older than what was acknowledged: read-only. Nothing was kept.
    #[error("the store is read-only because it is damaged: {reason}")]
    Degraded {
        /// What the opening found.
        reason: String,
    },
    /// An earlier flush failed: nothing is written until the store is reopened.
    #[error("the store stopped writing after a failed commit ({reason}): restart the node")]
    Poisoned {
        /// The first failure.
        reason: String,
    },
    /// This commit could not be made durable. Whether it is there shows at the next opening.
    #[error("the commit could not be written")]
    Write {
        /// What the engine said.
        #[source]
        source: EngineFailed,
    },
    /// The engine could not read.
    #[error("the store could not be read")]
    Read {
        /// What the engine said.
        #[source]
        source: EngineFailed,
    },
    /// A key is too long. Nothing was kept.
    #[error("key of {bytes} bytes in table {table}, at most {max} allowed")]
    KeyTooLong {
        /// The table.
        table: &'static str,
        /// Length of the key.
        bytes: usize,
        /// Longest allowed.
        max: usize,
    },
    /// A value is too long. Nothing was kept.
    #[error("value of {bytes} bytes in table {table}, at most {max} allowed")]
    ValueTooLong {
        /// The table.
        table: &'static str,
        /// Length of the value.
        bytes: usize,
        /// Longest allowed.
        max: usize,
    },
}

/// Why an export or an import failed.
#[derive(Debug, thiserror::Error)]
pub enum TransferFailed {
    /// The store could not be read or written.
    #[error("the store failed")]
    Store(#[from] StoreFailed),
    /// The stream could not be read or written.
    #[error("the stream failed")]
    Stream(#[from] std::io::Error),
    /// Imports go into a store that has committed nothing.
    #[error("the store already holds {commits} commits: import into a new one")]
    NotEmpty {
        /// Commits found.
        commits: u64,
    },
    /// The stream is no export, or is damaged. The store it went into must not be used.
    #[error("the export is damaged: {seen}")]
    Damaged {
        /// What is wrong with it.
        seen: &'static str,
    },
}

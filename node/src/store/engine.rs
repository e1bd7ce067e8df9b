//! What the store asks of an engine: one ordered map of bytes, written in batches.
//!
//! An engine promises that a batch that returned is whole and survives a power cut, that
//! nothing of a batch is readable before that, and that a failed batch is never half there.
//! It knows no tables, no checksums and no sequence numbers.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Key and value as stored.
pub(super) type RawRow = (Vec<u8>, Vec<u8>);

/// New value by key; `None` deletes.
pub(super) type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A stretch of keys and the direction in which to read it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch<'a> {
    /// Where the keys begin.
    pub(super) lower: Bound<&'a [u8]>,
    /// First key no longer meant.
    pub(super) end: &'a [u8],
    /// From the last key to the first.
    pub(super) descending: bool,
}

impl Stretch<'_> {
    /// Whether no key can lie inside; engines must not be asked for such a stretch.
    pub(super) fn is_void(&self) -> bool {
        match self.lower {
            Bound::Included(key) | Bound::Excluded(key) => key >= self.end,
            Bound::Unbounded => false,
        }
    }

    /// The same stretch as a range of the standard library.
    pub(super) fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (self.lower, Bound::Excluded(self.end))
    }
}

/// One storage engine. Commits come one at a time; reads from any thread at any time.
pub(super) trait Engine: Send + Sync + Debug {
    /// The engine's name in `raccordo.toml` and reports.
    fn name(&self) -> &'static str;

    /// Applies all writes; on return they survive a power cut. After an error the engine
    /// must not be written to again.
    fn commit(&self, writes: &Writes) -> Result<(), EngineFailed>;

    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineFailed>;

    /// At most `limit` rows of a stretch that is not void, in its direction.
    fn range(&self, stretch: Stretch<'_>, limit: usize) -> Result<Vec<RawRow>, EngineFailed>;

    /// Files that the engine should not have made; 0 unless something is wrong.
    fn stray_files(&self) -> Result<u64, EngineFailed> {
        Ok(0)
    }
}

/// Engines panic on damage they did not foresee: here that becomes an error.
pub(super) fn guarded<T>(
    work: impl FnOnce() -> Result<T, EngineFailed>,
) -> Result<T, EngineFailed> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|payload| Err(EngineFailed::panicked(payload.as_ref())))
}

/// Why an engine could not do its work.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct EngineFailed(#[from] Cause);

impl EngineFailed {
    /// A file that could not be read, written or synced.
    pub(super) fn file(path: &Path, source: std::io::Error) -> Self {
        Self(Cause::File {
            path: path.to_path_buf(),
            source,
        })
    }

    /// A panic inside the engine, caught.
    pub(super) fn panicked(payload: &(dyn std::any::Any + Send)) -> Self {
        let said = payload
            .downcast_ref::<&'static str>()
            .map(ToString::to_string)
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        Self(Cause::Panicked { said })
    }

    /// A fault that a test asked for.
    pub(super) fn injected(fault: &'static str) -> Self {
        Self(Cause::Injected { fault })
    }
}

impl From<sled::Error> for EngineFailed {
    fn from(source: sled::Error) -> Self {
        Self(Cause::Sled { source })
    }
}

impl From<redb::Error> for EngineFailed {
    fn from(source: redb::Error) -> Self {
        Self(Cause::Redb {
            source: Box::new(source),
        })
    }
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("sled failed")]
    Sled { source: sled::Error },
    #[error("redb failed")]
    Redb { source: Box<redb::Error> },
    #[error("file {}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the engine panicked: {said}")]
    Panicked { said: String },
    #[error("injected fault: {fault}")]
    Injected { fault: &'static str },
}

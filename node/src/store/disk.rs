//! Small facts and deeds of the file system: sync a folder, count its bytes, ask for free space.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::engine::EngineFailed;

/// Largest default reserve, in bytes; on small file systems it is a twentieth of them.
const RESERVE_BYTES_MAX: u64 = 512 << 20;

/// Free and total bytes of the file system that holds `path`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) free: u64,
    pub(super) total: u64,
}

impl Room {
    /// Reads the room that an unprivileged writer has.
    pub(super) fn of(path: &Path) -> Result<Self, EngineFailed> {
        let read = rustix::fs::statvfs(path)
            .map_err(|error| EngineFailed::file(path, io::Error::from(error)))?;
        Ok(Self {
            free: read.f_bavail.saturating_mul(read.f_frsize),
            total: read.f_blocks.saturating_mul(read.f_frsize),
        })
    }

    /// The reserve where none is configured: the smaller of 512 MiB and 5 %.
    pub(super) fn default_reserve(&self) -> u64 {
        RESERVE_BYTES_MAX.min(self.total / 20)
    }
}

/// Makes a folder's entries survive a power cut.
pub(super) fn sync_folder(folder: &Path) -> Result<(), EngineFailed> {
    File::open(folder)
        .and_then(|handle| handle.sync_all())
        .map_err(|source| EngineFailed::file(folder, source))
}

/// Makes a folder, all files and all folders in it survive a power cut.
pub(super) fn sync_tree(folder: &Path) -> Result<(), EngineFailed> {
    let failed = |source| EngineFailed::file(folder, source);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            sync_tree(&path)?;
        } else {
            File::open(&path)
                .and_then(|handle| handle.sync_all())
                .map_err(|source| EngineFailed::file(&path, source))?;
        }
    }
    sync_folder(folder)
}

/// Bytes that a folder takes on disk, holes not counted.
pub(super) fn allocated_bytes(folder: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            // The engine may remove a file while we look.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        bytes += if metadata.is_dir() {
            allocated_bytes(&entry.path())?
        } else {
            metadata.blocks() * 512
        };
    }
    Ok(bytes)
}

/// Number of files directly in a folder; 0 if there is no such folder.
pub(super) fn count_files(folder: &Path) -> Result<u64, EngineFailed> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.count() as u64),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(source) => Err(EngineFailed::file(folder, source)),
    }
}

/// The folder that holds a path.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A folder's or file's path with something appended to its last name.
pub(super) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_reserve_is_a_twentieth_and_at_most_512_mib() {
        let room = |total| Room { free: 0, total };
        assert_eq!(room(100 << 20).default_reserve(), 5 << 20);
        assert_eq!(room(1 << 40).default_reserve(), 512 << 20);
    }
}

//! One process per store: a lock file beside it, held while the store is open.
//!
//! The kernel releases the lock when the process ends in any way. The file holds the
//! process number for the message that a second process prints; it is never removed,
//! since removing it would let two processes lock two files of the same name.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// The held lock; dropping it releases it.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone is not enough: a child being started holds a copy of the descriptor
        // for an instant, and with it the lock. Where this fails, the closing has to do.
        rustix::fs::flock(&self.file, FlockOperation::Unlock).ok();
    }
}

/// Why the lock could not be had.
#[derive(Debug)]
pub(super) enum LockFailed {
    /// Another open store holds it; the number of its process if it is known.
    Held { pid: Option<u32> },
    /// The lock file cannot be used.
    File(std::io::Error),
}

impl Lock {
    /// Takes the lock without waiting.
    pub(super) fn take(path: &Path) -> Result<Self, LockFailed> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(LockFailed::File)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let read = file.read_to_string(&mut text);
                let pid = read.ok().and_then(|_| text.trim().parse().ok());
                return Err(LockFailed::Held { pid });
            }
            Err(errno) => return Err(LockFailed::File(errno.into())),
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(LockFailed::File)?;
        Ok(Self { file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_names_its_process_and_a_dropped_one_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.lock");
        let held = Lock::take(&path).unwrap();
        let refused = Lock::take(&path).unwrap_err();
        assert!(
            matches!(refused, LockFailed::Held { pid: Some(pid) } if pid == std::process::id())
        );
        drop(held);
        Lock::take(&path).unwrap();
    }
}

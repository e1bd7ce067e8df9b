//! The high-water mark: the last commit that was ever acknowledged, kept beside the store.
//!
//! An engine may forget the end of its log without a word (a damaged byte, an old copy put
//! back). The mark finds that out: an opened store must be at the mark, or one commit past
//! it. Two slots of 64 bytes are written in turn, in different disk blocks, so that a torn
//! write spoils at most the newer one.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::disk;
use super::engine::EngineFailed;

/// Where each slot starts in the file, in bytes.
const SLOT_OFFSETS: [u64; 2] = [0, 4096];
const SLOT_BYTES: usize = 64;

/// A commit: its number, the hash of the chain up to it, and whose chain it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// Number of the commit; 0 is the founding.
    pub(super) seq: u64,
    /// Hash of the chain up to this commit.
    pub(super) hash: [u8; 32],
    /// Identity of the store, drawn when it was founded.
    pub(super) store: [u8; 16],
}

impl Slot {
    /// seq u64 ‖ hash 32 ‖ store 16 ‖ xxh3 u64, big-endian.
    pub(super) fn to_bytes(self) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        bytes[..8].copy_from_slice(&self.seq.to_be_bytes());
        bytes[8..40].copy_from_slice(&self.hash);
        bytes[40..56].copy_from_slice(&self.store);
        let checksum = xxh3_64(&bytes[..56]);
        bytes[56..].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; SLOT_BYTES]) -> Option<Self> {
        let (seq, rest) = bytes.split_first_chunk()?;
        let (hash, rest) = rest.split_first_chunk()?;
        let (store, checksum) = rest.split_first_chunk()?;
        let checksum: &[u8; 8] = checksum.try_into().ok()?;
        (u64::from_be_bytes(*checksum) == xxh3_64(&bytes[..56])).then_some(Self {
            seq: u64::from_be_bytes(*seq),
            hash: *hash,
            store: *store,
        })
    }
}

/// Where the mark is kept.
pub(super) trait Mark: Send + std::fmt::Debug {
    /// The newest readable slot.
    fn read(&self) -> Result<Option<Slot>, EngineFailed>;
    /// Writes the next slot; on return it survives a power cut.
    fn advance(&self, slot: Slot) -> Result<(), EngineFailed>;
    /// Forgets all older slots and starts again from this one.
    fn restart(&self, slot: Slot) -> Result<(), EngineFailed>;
}

/// The newer of two slots as they stand on disk.
pub(super) fn newest(slots: [&[u8; SLOT_BYTES]; 2]) -> Option<Slot> {
    slots
        .into_iter()
        .filter_map(Slot::from_bytes)
        .max_by_key(|slot| slot.seq)
}

/// The mark in a file.
#[derive(Debug)]
pub(super) struct FileMark {
    file: File,
    path: PathBuf,
}

impl FileMark {
    /// Opens the file, or makes an empty one.
    pub(super) fn open(path: &Path) -> Result<Self, EngineFailed> {
        let failed = |source| EngineFailed::file(path, source);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        Ok(Self {
            file,
            path: path.to_path_buf(),
        })
    }

    fn failed(&self, source: io::Error) -> EngineFailed {
        EngineFailed::file(&self.path, source)
    }

    fn slot_at(&self, offset: u64) -> Result<[u8; SLOT_BYTES], EngineFailed> {
        let mut bytes = [0; SLOT_BYTES];
        match self.file.read_exact_at(&mut bytes, offset) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok([0; SLOT_BYTES]),
            Err(source) => Err(self.failed(source)),
        }
    }
}

impl Mark for FileMark {
    fn read(&self) -> Result<Option<Slot>, EngineFailed> {
        let first = self.slot_at(SLOT_OFFSETS[0])?;
        let second = self.slot_at(SLOT_OFFSETS[1])?;
        Ok(newest([&first, &second]))
    }

    fn advance(&self, slot: Slot) -> Result<(), EngineFailed> {
        let offset = SLOT_OFFSETS[usize::from(!slot.seq.is_multiple_of(2))];
        self.file
            .write_all_at(&slot.to_bytes(), offset)
            .and_then(|()| self.file.sync_data())
            .map_err(|source| self.failed(source))
    }

    fn restart(&self, slot: Slot) -> Result<(), EngineFailed> {
        let offset = SLOT_OFFSETS[usize::from(!slot.seq.is_multiple_of(2))];
        let other = SLOT_OFFSETS[usize::from(slot.seq.is_multiple_of(2))];
        self.file
            .write_all_at(&slot.to_bytes(), offset)
            .and_then(|()| self.file.write_all_at(&[0; SLOT_BYTES], other))
            .and_then(|()| self.file.sync_all())
            .map_err(|source| self.failed(source))?;
        disk::sync_folder(disk::parent(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(seq: u64) -> Slot {
        Slot {
            seq,
            hash: [7; 32],
            store: [9; 16],
        }
    }

    #[test]
    fn the_newest_slot_is_read_back_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hwm");
        let mark = FileMark::open(&path).unwrap();
        assert_eq!(mark.read().unwrap(), None);
        mark.restart(slot(0)).unwrap();
        for seq in 1..=5 {
            mark.advance(slot(seq)).unwrap();
        }
        let again = FileMark::open(&path).unwrap();
        assert_eq!(again.read().unwrap(), Some(slot(5)));
        again.restart(slot(2)).unwrap();
        assert_eq!(again.read().unwrap(), Some(slot(2)));
    }

    #[test]
    fn a_torn_write_leaves_the_slot_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hwm");
        let mark = FileMark::open(&path).unwrap();
        mark.restart(slot(0)).unwrap();
        mark.advance(slot(1)).unwrap();
        for torn in 0..SLOT_BYTES {
            mark.advance(slot(2)).unwrap();
            mark.file
                .write_all_at(&slot(4).to_bytes()[..torn], SLOT_OFFSETS[0])
                .unwrap();
            let read = mark.read().unwrap();
            assert!([Some(slot(1)), Some(slot(2))].contains(&read), "{read:?}");
        }
    }

    #[test]
    fn any_flipped_bit_of_a_slot_is_found_out() {
        let bytes = slot(77).to_bytes();
        assert_eq!(Slot::from_bytes(&bytes), Some(slot(77)));
        for bit in 0..SLOT_BYTES * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Slot::from_bytes(&damaged), None);
        }
    }
}

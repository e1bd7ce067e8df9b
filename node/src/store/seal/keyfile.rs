//! Key files: `RACCKEY1` ‖ key 32 ‖ xxh3 u64 big-endian, readable by their owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;
use zeroize::Zeroizing;

use super::{KEY_BYTES, SealFailed};
use crate::store::disk;

const HEADING: [u8; 8] = *b"RACCKEY1";
/// Permission bits of everybody but the owner.
const OTHERS: u32 = 0o077;

/// What the name of a key that is being destroyed ends with.
const GONE: &str = ".gone";

const FILE_BYTES: usize = 8 + KEY_BYTES + 8;

/// Whether the folder is missing or has no key in it.
pub(super) fn is_empty(dir: &Path) -> Result<bool, SealFailed> {
    match fs::read_dir(dir) {
        Ok(entries) => {
            for entry in entries {
                let entry = entry.map_err(|source| failed(dir, source))?;
                if entry
                    .path()
                    .extension()
                    .is_some_and(|extension| extension == "key")
                {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(source) => Err(failed(dir, source)),
    }
}

/// Makes the folder for its owner alone.
pub(super) fn make_folder(dir: &Path) -> Result<(), SealFailed> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir);
    made.map_err(|source| failed(dir, source))?;
    sync_folder(disk::parent(dir))
}

/// Gives a complete draft of a key folder its name.
pub(super) fn put_in_place(draft: &Path, dir: &Path) -> Result<(), SealFailed> {
    fs::rename(draft, dir).map_err(|source| failed(dir, source))?;
    sync_folder(disk::parent(dir))
}

/// The epochs that have a key file, in order.
pub(super) fn epochs(dir: &Path) -> Result<Vec<u32>, SealFailed> {
    let mut epochs = Vec::new();
    for entry in fs::read_dir(dir).map_err(|source| failed(dir, source))? {
        let name = entry.map_err(|source| failed(dir, source))?.file_name();
        let name = name.to_string_lossy();
        let digits = name
            .strip_prefix("epoch-")
            .and_then(|rest| rest.strip_suffix(".key"));
        epochs.extend(digits.and_then(|digits| digits.parse::<u32>().ok()));
    }
    epochs.sort_unstable();
    Ok(epochs)
}

/// Refuses a file or folder that others than its owner may use.
pub(super) fn check_private(path: &Path) -> Result<(), SealFailed> {
    let metadata = fs::metadata(path).map_err(|source| failed(path, source))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    Err(SealFailed::Exposed {
        path: path.to_path_buf(),
        mode,
    })
}

/// Reads a key.
pub(super) fn read(path: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>, SealFailed> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(SealFailed::MissingKeyFile {
                path: path.to_path_buf(),
            });
        }
        Err(source) => return Err(failed(path, source)),
    };
    check_private(path)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES + 1));
    let mut limited = (&mut file).take(FILE_BYTES as u64 + 1);
    limited
        .read_to_end(&mut bytes)
        .map_err(|source| failed(path, source))?;
    let damaged = || SealFailed::DamagedKeyFile {
        path: path.to_path_buf(),
    };
    if bytes.len() != FILE_BYTES || bytes[..8] != HEADING {
        return Err(damaged());
    }
    let (body, checksum) = bytes.split_at(8 + KEY_BYTES);
    if checksum != xxh3_64(body).to_be_bytes() {
        return Err(damaged());
    }
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    key.copy_from_slice(&body[8..]);
    Ok(key)
}

/// Writes a key that is not there yet; on return it survives a power cut.
pub(super) fn write(path: &Path, key: &Zeroizing<[u8; KEY_BYTES]>) -> Result<(), SealFailed> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES));
    bytes.extend_from_slice(&HEADING);
    bytes.extend_from_slice(key.as_slice());
    let checksum = xxh3_64(&bytes);
    bytes.extend_from_slice(&checksum.to_be_bytes());
    let draft = disk::sibling(path, ".tmp");
    let write = || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&draft)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    write().map_err(|source| failed(path, source))?;
    sync_folder(disk::parent(path))
}

/// Takes a key file's name away, overwrites and removes it: a kill between two of these leaves a whole
/// key or none, and what is left of one is removed at the next opening. Flash may keep old blocks: the
/// medium's own matter.
pub(super) fn destroy(path: &Path) -> Result<(), SealFailed> {
    let gone = disk::sibling(path, GONE);
    fs::rename(path, &gone).map_err(|source| failed(path, source))?;
    sync_folder(disk::parent(path))?;
    wipe(&gone)
}

/// Removes what a kill left of keys that were being destroyed.
pub(super) fn finish_destroying(dir: &Path) -> Result<(), SealFailed> {
    for entry in fs::read_dir(dir).map_err(|source| failed(dir, source))? {
        let path = entry.map_err(|source| failed(dir, source))?.path();
        if path.to_string_lossy().ends_with(GONE) {
            wipe(&path)?;
        }
    }
    Ok(())
}

fn wipe(gone: &Path) -> Result<(), SealFailed> {
    let overwrite = || {
        let mut file = OpenOptions::new().write(true).open(gone)?;
        file.write_all(&[0; FILE_BYTES])?;
        file.sync_all()?;
        fs::remove_file(gone)
    };
    overwrite().map_err(|source| failed(gone, source))?;
    sync_folder(disk::parent(gone))
}

fn sync_folder(folder: &Path) -> Result<(), SealFailed> {
    File::open(folder)
        .and_then(|handle| handle.sync_all())
        .map_err(|source| failed(folder, source))
}

fn failed(path: &Path, source: std::io::Error) -> SealFailed {
    SealFailed::File {
        path: path.to_path_buf(),
        source,
    }
}

//! Sealing at rest: what the store keeps of documents and changes is unreadable without keys.
//!
//! Every document has its own key. It is stored wrapped by an epoch key, and epoch keys are
//! files outside the store: destroying one makes old copies of the store unreadable too.
//! A new epoch may begin, and the older ones end, while others seal and open.
//! A sealed value is bound to lineage, table, document and hash, so it opens nowhere else.
//! AES-256-GCM-SIV, because a restored machine may draw the same nonce twice.

mod keyfile;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
#[cfg(any(test, feature = "testing"))]
use std::sync::{Arc, Mutex};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use raccordo_transport::sealing::SealingKey;
use zeroize::{Zeroize, Zeroizing};

use super::disk;
use super::table::Table;
use crate::clock::{Entropy, draw};

/// Bytes that sealing adds to a value: version, nonce, tag.
pub const SEAL_BYTES: usize = 1 + NONCE_LEN + 16;

/// Bytes of a wrapped document key: epoch, then the sealed key.
pub const WRAPPED_BYTES: usize = 4 + SEAL_BYTES + KEY_BYTES;

const KEY_BYTES: usize = 32;
const SEAL_VERSION: u8 = 1;

/// Why something could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealFailed {
    /// A key file or its folder could not be read or written.
    #[error("key file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others than its owner may use a key file or its folder.
    #[error(
        "{} has mode {mode:04o}, others could read the keys: chmod go-rwx {}",
        path.display(), path.display()
    )]
    Exposed {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key file is not as it was written.
    #[error("key file {} is damaged: restore it from the backup of the keys", path.display())]
    DamagedKeyFile {
        /// The file.
        path: PathBuf,
    },
    /// Some key files are there and others are not.
    #[error("key file {} is missing beside others: restore it from the backup of the keys", path.display())]
    MissingKeyFile {
        /// The file.
        path: PathBuf,
    },
    /// A document key was wrapped in an epoch whose key is not here.
    #[error("the key of epoch {epoch} is not here, at most {newest} is known")]
    UnknownEpoch {
        /// The epoch that wrapped it.
        epoch: u32,
        /// The newest known.
        newest: u32,
    },
    /// The bytes were sealed otherwise, elsewhere or with another key, or are damaged.
    #[error("sealed bytes do not open here")]
    DoesNotOpen,
}

/// The node's keys for data at rest.
pub struct Vault {
    files: Files,
    lineage: [u8; 8],
    epochs: RwLock<Epochs>,
    index: hmac::Key,
    sealing: SealingKey,
}

/// The epochs whose keys are here.
struct Epochs {
    keys: BTreeMap<u32, LessSafeKey>,
    newest: u32,
}

/// Where the keys of epochs are kept.
enum Files {
    Folder(PathBuf),
    #[cfg(any(test, feature = "testing"))]
    Memory(MemoryKeys),
}

/// Keys of epochs that are in no file: what a machine of a simulator or test has instead. Clones
/// share them.
#[cfg(any(test, feature = "testing"))]
#[derive(Clone)]
pub struct MemoryKeys(Arc<Mutex<BTreeMap<u32, [u8; KEY_BYTES]>>>);

#[cfg(any(test, feature = "testing"))]
impl MemoryKeys {
    /// The first epoch's key alone.
    pub fn new(first: [u8; KEY_BYTES]) -> Self {
        Self(Arc::new(Mutex::new(BTreeMap::from([(1, first)]))))
    }

    /// The same keys of their own: a backup.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.keys().clone())))
    }

    fn keys(&self) -> std::sync::MutexGuard<'_, BTreeMap<u32, [u8; KEY_BYTES]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(any(test, feature = "testing"))]
impl std::fmt::Debug for MemoryKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("MemoryKeys")
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Vault")
            .field("epoch", &self.epochs().newest)
            .finish_non_exhaustive()
    }
}

impl Vault {
    /// Opens the key folder, or makes it with fresh keys where it is missing or empty.
    ///
    /// Key files are `epoch-NNNN.key`, `index.key` and `sealing.key`, mode 0600, in a folder of mode
    /// 0700. A sealing key that is not there is made anew: others learn of it.
    pub fn open(dir: &Path, lineage: [u8; 8], entropy: &dyn Entropy) -> Result<Self, SealFailed> {
        if keyfile::is_empty(dir)? {
            // Complete or not at all: a key must never be made anew beside sealed values.
            let draft = disk::sibling(dir, ".tmp");
            keyfile::make_folder(&draft)?;
            keyfile::write(&epoch_path(&draft, 1), &Zeroizing::new(draw(entropy)))?;
            keyfile::write(&index_path(&draft), &Zeroizing::new(draw(entropy)))?;
            keyfile::put_in_place(&draft, dir)?;
        }
        keyfile::check_private(dir)?;
        keyfile::finish_destroying(dir)?;
        let mut epochs = BTreeMap::new();
        for epoch in keyfile::epochs(dir)? {
            let key = keyfile::read(&epoch_path(dir, epoch))?;
            epochs.insert(epoch, aead_key(&key));
        }
        let Some(&newest) = epochs.keys().next_back() else {
            return Err(SealFailed::MissingKeyFile {
                path: epoch_path(dir, 1),
            });
        };
        let index = keyfile::read(&index_path(dir))?;
        let sealing = match keyfile::read(&sealing_path(dir)) {
            Err(SealFailed::MissingKeyFile { .. }) => {
                let fresh = Zeroizing::new(draw(entropy));
                keyfile::write(&sealing_path(dir), &fresh)?;
                fresh
            }
            read => read?,
        };
        Ok(Self {
            sealing: SealingKey::from_secret(*sealing),
            files: Files::Folder(dir.to_path_buf()),
            lineage,
            epochs: RwLock::new(Epochs {
                keys: epochs,
                newest,
            }),
            index: hmac::Key::new(hmac::HMAC_SHA256, index.as_slice()),
        })
    }

    /// A vault whose keys are in no file, for simulators and tests.
    #[cfg(any(test, feature = "testing"))]
    pub fn in_memory(lineage: [u8; 8], files: &MemoryKeys, index: &[u8; 32]) -> Self {
        let keys: BTreeMap<u32, LessSafeKey> = files
            .keys()
            .iter()
            .map(|(epoch, key)| (*epoch, aead_key(key)))
            .collect();
        let newest = keys.keys().next_back().copied().unwrap_or_default();
        Self {
            files: Files::Memory(files.clone()),
            lineage,
            epochs: RwLock::new(Epochs { keys, newest }),
            index: hmac::Key::new(hmac::HMAC_SHA256, index),
            sealing: SealingKey::from_secret(*index),
        }
    }

    /// What opens what other nodes sealed to this one.
    pub fn sealing_key(&self) -> SealingKey {
        self.sealing.clone()
    }

    /// A fresh key for a document, and its wrapped form for the store.
    pub fn new_document_key(
        &self,
        document: [u8; 16],
        entropy: &dyn Entropy,
    ) -> (SealKey, Vec<u8>) {
        let key: Zeroizing<[u8; KEY_BYTES]> = Zeroizing::new(draw(entropy));
        let wrapped = self.wrap(document, &key, entropy);
        (self.seal_key(&key), wrapped)
    }

    /// The key of a document from its wrapped form.
    pub fn unwrap(&self, document: [u8; 16], wrapped: &[u8]) -> Result<SealKey, SealFailed> {
        Ok(self.seal_key(&*self.unwrap_bytes(document, wrapped)?))
    }

    /// Wraps a document's key anew in the newest epoch; needed before an older epoch's key goes.
    pub fn rewrap(
        &self,
        document: [u8; 16],
        wrapped: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, SealFailed> {
        let key = self.unwrap_bytes(document, wrapped)?;
        Ok(self.wrap(document, &key, entropy))
    }

    /// Begins a new epoch, in which document keys are wrapped from now on; returns its number. Its key
    /// is in its file before anything is wrapped with it.
    pub fn begin_epoch(&self, entropy: &dyn Entropy) -> Result<u32, SealFailed> {
        let epoch = self.epochs().newest + 1;
        let key = Zeroizing::new(draw(entropy));
        match &self.files {
            Files::Folder(folder) => keyfile::write(&epoch_path(folder, epoch), &key)?,
            #[cfg(any(test, feature = "testing"))]
            Files::Memory(files) => {
                files.keys().insert(epoch, *key);
            }
        }
        let mut epochs = self.epochs_mut();
        epochs.keys.insert(epoch, aead_key(&key));
        epochs.newest = epoch;
        Ok(epoch)
    }

    /// Destroys the keys of all epochs but the newest: what only they wrapped is gone.
    pub fn destroy_older_epochs(&self) -> Result<(), SealFailed> {
        let epochs = self.epochs();
        let older: Vec<u32> = epochs
            .keys
            .range(..epochs.newest)
            .map(|(e, _)| *e)
            .collect();
        drop(epochs);
        for epoch in older {
            match &self.files {
                Files::Folder(folder) => keyfile::destroy(&epoch_path(folder, epoch))?,
                #[cfg(any(test, feature = "testing"))]
                Files::Memory(files) => {
                    files.keys().remove(&epoch);
                }
            }
            self.epochs_mut().keys.remove(&epoch);
        }
        Ok(())
    }

    /// A hash that nobody can compute or test guesses against without the index key.
    pub fn keyed_hash(&self, label: &str, data: &[u8]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.index);
        context.update(&(label.len() as u64).to_be_bytes());
        context.update(label.as_bytes());
        context.update(data);
        let tag = context.sign();
        let mut hash = [0; 16];
        hash.copy_from_slice(&tag.as_ref()[..16]);
        hash
    }

    fn epochs(&self) -> RwLockReadGuard<'_, Epochs> {
        self.epochs.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn epochs_mut(&self) -> RwLockWriteGuard<'_, Epochs> {
        self.epochs.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn wrap(&self, document: [u8; 16], key: &[u8; KEY_BYTES], entropy: &dyn Entropy) -> Vec<u8> {
        let epochs = self.epochs();
        let newest = epochs.newest;
        let epoch_key = epochs.keys.get(&newest);
        let epoch_key = epoch_key.expect("the newest epoch is one of the epochs");
        let mut wrapped = newest.to_be_bytes().to_vec();
        let bound = self.wrap_bound(newest, document);
        wrapped.extend(seal(epoch_key, &bound, key, draw(entropy)));
        wrapped
    }

    fn unwrap_bytes(
        &self,
        document: [u8; 16],
        wrapped: &[u8],
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, SealFailed> {
        let (epoch, sealed) = wrapped.split_first_chunk().ok_or(SealFailed::DoesNotOpen)?;
        let epoch = u32::from_be_bytes(*epoch);
        let epochs = self.epochs();
        let newest = epochs.newest;
        let epoch_key = epochs.keys.get(&epoch);
        let epoch_key = epoch_key.ok_or(SealFailed::UnknownEpoch { epoch, newest })?;
        let opened = Zeroizing::new(open(epoch_key, &self.wrap_bound(epoch, document), sealed)?);
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        if opened.len() != KEY_BYTES {
            return Err(SealFailed::DoesNotOpen);
        }
        key.copy_from_slice(&opened);
        Ok(key)
    }

    fn wrap_bound(&self, epoch: u32, document: [u8; 16]) -> Vec<u8> {
        [
            &b"raccordo-wrap-1\0"[..],
            &self.lineage,
            &epoch.to_be_bytes(),
            &document,
        ]
        .concat()
    }

    fn seal_key(&self, key: &[u8; KEY_BYTES]) -> SealKey {
        SealKey {
            key: aead_key(key),
            lineage: self.lineage,
        }
    }
}

/// The key of one document.
pub struct SealKey {
    key: LessSafeKey,
    lineage: [u8; 8],
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SealKey")
    }
}

impl SealKey {
    /// Seals a value for one place: version u8 ‖ nonce 12 ‖ ciphertext ‖ tag 16.
    pub fn seal(
        &self,
        table: Table,
        document: [u8; 16],
        hash: &[u8; 32],
        plain: &[u8],
        nonce: [u8; 12],
    ) -> Vec<u8> {
        seal(&self.key, &self.bound(table, document, hash), plain, nonce)
    }

    /// Opens a value sealed for exactly this place.
    pub fn open(
        &self,
        table: Table,
        document: [u8; 16],
        hash: &[u8; 32],
        sealed: &[u8],
    ) -> Result<Vec<u8>, SealFailed> {
        open(&self.key, &self.bound(table, document, hash), sealed)
    }

    fn bound(&self, table: Table, document: [u8; 16], hash: &[u8; 32]) -> Vec<u8> {
        [
            &b"raccordo-seal-1\0"[..],
            &self.lineage,
            &[table.code()],
            &document,
            hash,
        ]
        .concat()
    }
}

fn aead_key(key: &[u8; KEY_BYTES]) -> LessSafeKey {
    let unbound = UnboundKey::new(&AES_256_GCM_SIV, key).expect("the key has the cipher's length");
    LessSafeKey::new(unbound)
}

fn seal(key: &LessSafeKey, bound: &[u8], plain: &[u8], nonce: [u8; NONCE_LEN]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(plain.len() + SEAL_BYTES);
    sealed.push(SEAL_VERSION);
    sealed.extend_from_slice(&nonce);
    let mut text = plain.to_vec();
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = key
        .seal_in_place_separate_tag(nonce, Aad::from(bound), &mut text)
        .expect("values are far shorter than the cipher's limit of 64 GiB");
    sealed.extend_from_slice(&text);
    sealed.extend_from_slice(tag.as_ref());
    sealed
}

fn open(key: &LessSafeKey, bound: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealFailed> {
    let (version, rest) = sealed.split_first().ok_or(SealFailed::DoesNotOpen)?;
    let (nonce, text) = rest
        .split_first_chunk::<NONCE_LEN>()
        .ok_or(SealFailed::DoesNotOpen)?;
    if *version != SEAL_VERSION {
        return Err(SealFailed::DoesNotOpen);
    }
    let mut text = text.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let opened = key.open_in_place(nonce, Aad::from(bound), &mut text);
    let Ok(length) = opened.map(|plain| plain.len()) else {
        text.zeroize();
        return Err(SealFailed::DoesNotOpen);
    };
    text.truncate(length);
    Ok(text)
}

fn epoch_path(dir: &Path, epoch: u32) -> PathBuf {
    dir.join(format!("epoch-{epoch:04}.key"))
}

fn sealing_path(dir: &Path) -> PathBuf {
    dir.join("sealing.key")
}

fn index_path(dir: &Path) -> PathBuf {
    dir.join("index.key")
}

#[cfg(test)]
mod tests;

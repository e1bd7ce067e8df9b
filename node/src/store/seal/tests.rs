//! What sealing promises: place-bound, key-bound, nothing of the plain text on disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::clock::SystemEntropy;
use crate::store::{Batch, Options, Store, StoreEngine};

const LINEAGE: [u8; 8] = [1; 8];
const DOCUMENT: [u8; 16] = [2; 16];
const HASH: [u8; 32] = [3; 32];

fn vault(folder: &Path) -> Vault {
    Vault::open(&folder.join("keys"), LINEAGE, &SystemEntropy).unwrap()
}

#[test]
fn what_is_sealed_opens_after_the_keys_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let (key, wrapped) = vault(folder.path()).new_document_key(DOCUMENT, &SystemEntropy);
    let sealed = key.seal(Table::Changes, DOCUMENT, &HASH, b"words", [4; 12]);
    assert_eq!(wrapped.len(), WRAPPED_BYTES);
    assert_eq!(sealed.len(), 5 + SEAL_BYTES);
    let again = vault(folder.path()).unwrap(DOCUMENT, &wrapped).unwrap();
    let opened = again.open(Table::Changes, DOCUMENT, &HASH, &sealed);
    assert_eq!(opened.unwrap(), b"words");
}

#[test]
fn a_value_opens_at_its_own_place_only() {
    let folder = tempfile::tempdir().unwrap();
    let here = vault(folder.path());
    let (key, wrapped) = here.new_document_key(DOCUMENT, &SystemEntropy);
    let (other_key, other_wrapped) = here.new_document_key([9; 16], &SystemEntropy);
    let sealed = key.seal(Table::Changes, DOCUMENT, &HASH, b"words", [4; 12]);
    let refused = [
        key.open(Table::Documents, DOCUMENT, &HASH, &sealed),
        key.open(Table::Changes, [9; 16], &HASH, &sealed),
        key.open(Table::Changes, DOCUMENT, &[9; 32], &sealed),
        key.open(Table::Changes, DOCUMENT, &HASH, &sealed[..sealed.len() - 1]),
        key.open(Table::Changes, DOCUMENT, &HASH, b""),
        other_key.open(Table::Changes, [9; 16], &HASH, &sealed),
    ];
    for opened in refused {
        assert!(matches!(opened, Err(SealFailed::DoesNotOpen)));
    }
    let swapped = here.unwrap(DOCUMENT, &other_wrapped);
    assert!(matches!(swapped, Err(SealFailed::DoesNotOpen)));
    let elsewhere = Vault::open(&folder.path().join("keys"), [8; 8], &SystemEntropy).unwrap();
    let other_lineage = elsewhere.unwrap(DOCUMENT, &wrapped);
    assert!(matches!(other_lineage, Err(SealFailed::DoesNotOpen)));
}

#[test]
fn every_flipped_bit_of_a_sealed_value_or_wrapped_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = vault(folder.path());
    let (key, wrapped) = here.new_document_key(DOCUMENT, &SystemEntropy);
    let sealed = key.seal(Table::Changes, DOCUMENT, &HASH, b"words", [4; 12]);
    for bit in 0..sealed.len() * 8 {
        let mut damaged = sealed.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(key.open(Table::Changes, DOCUMENT, &HASH, &damaged).is_err());
    }
    for bit in 0..wrapped.len() * 8 {
        let mut damaged = wrapped.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(here.unwrap(DOCUMENT, &damaged).is_err());
    }
}

#[test]
fn a_destroyed_epoch_takes_what_it_alone_wrapped_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let here = vault(folder.path());
    let (key, kept) = here.new_document_key(DOCUMENT, &SystemEntropy);
    let (_, erased) = here.new_document_key([9; 16], &SystemEntropy);
    let sealed = key.seal(Table::Documents, DOCUMENT, &HASH, b"words", [4; 12]);
    assert_eq!(here.begin_epoch(&SystemEntropy).unwrap(), 2);
    let rewrapped = here.rewrap(DOCUMENT, &kept, &SystemEntropy).unwrap();
    here.destroy_older_epochs().unwrap();
    let again = vault(folder.path());
    let opened = again.unwrap(DOCUMENT, &rewrapped).unwrap();
    let opened = opened.open(Table::Documents, DOCUMENT, &HASH, &sealed);
    assert_eq!(opened.unwrap(), b"words");
    for gone in [
        again.unwrap([9; 16], &erased),
        again.unwrap(DOCUMENT, &kept),
    ] {
        let unknown = gone.unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "the key of epoch 1 is not here, at most 2 is known"
        );
    }
}

#[test]
fn a_kill_while_a_key_is_destroyed_leaves_keys_that_open_and_nothing_of_it_after_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let here = vault(folder.path());
    let (_, kept) = here.new_document_key(DOCUMENT, &SystemEntropy);
    here.begin_epoch(&SystemEntropy).unwrap();
    let rewrapped = here.rewrap(DOCUMENT, &kept, &SystemEntropy).unwrap();
    let keys = folder.path().join("keys");
    let (old, gone) = (
        keys.join("epoch-0001.key"),
        keys.join("epoch-0001.key.gone"),
    );
    // Killed before anything was overwritten, and after.
    for overwritten in [false, true] {
        fs::rename(&old, &gone).unwrap();
        let whole = fs::read(&gone).unwrap();
        if overwritten {
            fs::write(&gone, vec![0; whole.len()]).unwrap();
        }
        assert!(vault(folder.path()).unwrap(DOCUMENT, &rewrapped).is_ok());
        assert!(!gone.exists() && !old.exists());
        fs::write(&old, whole).unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o600)).unwrap();
    }
    vault(folder.path()).destroy_older_epochs().unwrap();
    assert!(!gone.exists() && !old.exists());
    assert!(vault(folder.path()).unwrap(DOCUMENT, &rewrapped).is_ok());
}

#[test]
fn keys_that_others_may_read_are_refused_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    drop(vault(folder.path()));
    let keys = folder.path().join("keys");
    let file = keys.join("index.key");
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    for (path, open, closed) in [(&file, 0o640, 0o600), (&keys, 0o711, 0o700)] {
        fs::set_permissions(path, fs::Permissions::from_mode(open)).unwrap();
        let refused = Vault::open(&keys, LINEAGE, &SystemEntropy).unwrap_err();
        assert!(refused.to_string().contains("chmod go-rwx"), "{refused}");
        fs::set_permissions(path, fs::Permissions::from_mode(closed)).unwrap();
    }
    drop(vault(folder.path()));
}

#[test]
fn a_damaged_or_missing_key_file_is_named_and_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    drop(vault(folder.path()));
    let keys = folder.path().join("keys");
    let file = keys.join("epoch-0001.key");
    let whole = fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    damaged[20] ^= 1;
    for bytes in [&damaged[..], &whole[..30], &[&whole[..], b"x"].concat()] {
        fs::write(&file, bytes).unwrap();
        let refused = Vault::open(&keys, LINEAGE, &SystemEntropy).unwrap_err();
        assert!(
            matches!(refused, SealFailed::DamagedKeyFile { .. }),
            "{refused}"
        );
    }
    fs::write(&file, &whole).unwrap();
    for name in ["epoch-0001.key", "index.key"] {
        let aside = folder.path().join("aside");
        fs::rename(keys.join(name), &aside).unwrap();
        let refused = Vault::open(&keys, LINEAGE, &SystemEntropy).unwrap_err();
        assert!(
            matches!(refused, SealFailed::MissingKeyFile { .. }),
            "{refused}"
        );
        fs::rename(&aside, keys.join(name)).unwrap();
    }
    drop(vault(folder.path()));
}

#[test]
fn keyed_hashes_differ_by_label_data_and_key() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (here, there) = (vault(one.path()), vault(other.path()));
    let hash = here.keyed_hash("subject", b"token");
    assert_eq!(hash, vault(one.path()).keyed_hash("subject", b"token"));
    assert_ne!(hash, here.keyed_hash("subjec", b"ttoken"));
    assert_ne!(hash, here.keyed_hash("subject", b"tokem"));
    assert_ne!(hash, there.keyed_hash("subject", b"token"));
}

#[test]
fn no_plaintext_reaches_the_files_of_any_engine() {
    const CANARY: &[u8] = b"a diary entry that must not be on disk";
    for engine in [StoreEngine::Sled, StoreEngine::Redb] {
        let folder = tempfile::tempdir().unwrap();
        let here = vault(folder.path());
        let options = Options {
            engine,
            ..Options::default()
        };
        let store = Store::open(&folder.path().join("store"), &options).unwrap();
        for n in 0..50u8 {
            let document = [n; 16];
            let (key, wrapped) = here.new_document_key(document, &SystemEntropy);
            let mut batch = Batch::new();
            let sealed = key.seal(Table::Changes, document, &HASH, CANARY, [n; 12]);
            batch.put(Table::Changes, document, sealed);
            batch.put(Table::Keys, document, wrapped);
            // The test of the test: this one is to be found.
            batch.put(Table::Rows, document, *b"an index row in the clear");
            store.commit(batch).unwrap();
        }
        drop(store);
        let bytes = all_bytes(folder.path());
        assert!(contains(&bytes, b"an index row in the clear"));
        assert!(!contains(&bytes, CANARY));
        assert!(!contains(&bytes, &CANARY[..12]));
    }
}

fn all_bytes(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        bytes.extend(if path.is_dir() {
            all_bytes(&path)
        } else {
            fs::read(&path).unwrap()
        });
    }
    bytes
}

fn contains(bytes: &[u8], searched: &[u8]) -> bool {
    bytes
        .windows(searched.len())
        .any(|window| window == searched)
}

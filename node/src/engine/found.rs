//! Founding a node: folder, key, configuration, store, bound to its territory; all or nothing.
//!
//! Everything is made beside the folder and moved into place at the end, so that a founding that
//! is cut off leaves nothing that could be taken for a node.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use raccordo_config::{InitialSettings, StoreEngine};
use raccordo_transport::{NodeKey, PeerId};
use thiserror::Error;

use super::core::ReadFailed;
use super::lines;
use super::node::StartFailed;
use crate::clock::{Entropy, SystemEntropy, draw};
use crate::store::seal::Vault;
use crate::store::{Batch, OpenFailed, Options, Store, StoreFailed, Table};

/// File of the node's key: the Ed25519 seed in hex, mode 0600.
pub(crate) const KEY_FILE: &str = "node.key";
/// Folder of the store in the data folder.
pub(crate) const STORE_FOLDER: &str = "store";
/// The layout of the rows that this version writes: entries and changes in runs, imported lines under
/// keyed hashes.
pub(crate) const LAYOUT: u8 = 3;
/// The layout that differs in the lines alone, and is brought up to this one at the start.
const PLAIN_LINES: u8 = 2;
/// File of the node's configuration.
pub(crate) const CONFIG_FILE: &str = "raccordo.toml";

/// Why a node could not be founded.
#[derive(Debug, Error)]
pub enum InitFailed {
    /// There is something already.
    #[error("{} is in use already: choose an empty folder with --data", folder.display())]
    FolderInUse {
        /// The folder.
        folder: PathBuf,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The store could not be made.
    #[error("cannot create the store")]
    Open(#[from] OpenFailed),
    /// The store could not be written.
    #[error("cannot write the store")]
    Store(#[from] StoreFailed),
}

/// Founds a node in a folder that holds none, and returns its id.
pub fn init(data: &Path, settings: &InitialSettings) -> Result<PeerId, InitFailed> {
    if occupied(data) {
        return Err(InitFailed::FolderInUse {
            folder: data.to_owned(),
        });
    }
    let making = beside(data);
    let written = |path: &Path| {
        let path = path.to_owned();
        move |source| InitFailed::File { path, source }
    };
    if making.exists() {
        fs::remove_dir_all(&making).map_err(written(&making))?;
    }
    fs::create_dir_all(&making).map_err(written(&making))?;
    let seed: [u8; 32] = draw(&SystemEntropy);
    let key_path = making.join(KEY_FILE);
    write_private(&key_path, &HEXLOWER.encode(&seed)).map_err(written(&key_path))?;
    let config_path = making.join(CONFIG_FILE);
    fs::write(&config_path, raccordo_config::template(settings)).map_err(written(&config_path))?;
    found_store(&making, settings.engine)?;
    if data.exists() {
        fs::remove_dir(data).map_err(written(data))?;
    }
    fs::rename(&making, data).map_err(written(data))?;
    sync_parent(data).map_err(written(data))?;
    Ok(NodeKey::from_seed(seed).public())
}

/// The layout of a store's rows, as its founder noted it; 1 if it noted none.
pub(crate) fn layout(store: &Store) -> Result<u8, StoreFailed> {
    let noted = store.get(Table::Meta, b"layout")?;
    Ok(noted.and_then(|row| row.first().copied()).unwrap_or(1))
}

/// Refuses a store whose rows this version does not read.
pub(crate) fn readable(store: &Store) -> Result<(), StartFailed> {
    match layout(store)? {
        PLAIN_LINES | LAYOUT => Ok(()),
        seen => Err(StartFailed::Layout {
            seen,
            known: LAYOUT,
        }),
    }
}

/// Brings a store's rows up to the layout of this version; done at once where they have it.
pub(crate) fn upgrade(store: &Store, vault: &Vault) -> Result<(), ReadFailed> {
    if layout(store)? == LAYOUT {
        return Ok(());
    }
    let rows = lines::close(store, vault)?;
    let mut batch = Batch::new();
    batch.put(Table::Meta, *b"layout", [LAYOUT]);
    store.commit(batch)?;
    tracing::info!(rows, "imported lines are kept under keyed hashes now");
    Ok(())
}

/// Reads a node's key.
pub(crate) fn read_key(data: &Path) -> io::Result<NodeKey> {
    let text = fs::read_to_string(data.join(KEY_FILE))?;
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "it is not 64 hex digits");
    let decoded = HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes());
    let seed = decoded
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(bad)?;
    Ok(NodeKey::from_seed(seed))
}

fn occupied(data: &Path) -> bool {
    match fs::read_dir(data) {
        Ok(mut entries) => entries.next().is_some(),
        Err(failed) => failed.kind() != io::ErrorKind::NotFound,
    }
}

fn beside(data: &Path) -> PathBuf {
    let mut name = data
        .file_name()
        .map_or_else(|| "node".into(), std::ffi::OsStr::to_os_string);
    name.push(".being-founded");
    data.with_file_name(name)
}

fn found_store(folder: &Path, engine: StoreEngine) -> Result<(), InitFailed> {
    let options = Options {
        engine,
        cache_mib: 8,
        reserve_bytes: Some(0),
    };
    let store = Store::open(&folder.join(STORE_FOLDER), &options)?;
    found_rows(&store, &SystemEntropy)?;
    Ok(())
}

/// Gives a new store the identity that its sealed values are bound to, and the layout of its rows.
pub(super) fn found_rows(store: &Store, entropy: &dyn Entropy) -> Result<(), StoreFailed> {
    let lineage: [u8; 8] = draw(entropy);
    let mut batch = Batch::new();
    batch.put(Table::Meta, *b"lineage", lineage);
    batch.put(Table::Meta, *b"layout", [LAYOUT]);
    store.commit(batch).map(drop)
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::File::open(parent)?.sync_all()
}

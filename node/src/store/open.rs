//! Opening and founding: lock, engine, commit chain, high-water mark.
//!
//! A store is founded in `DIR.tmp` and renamed when complete, since a kill inside an
//! engine's first creation would leave files that it cannot open again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};

use raccordo_config::StoreEngine;

use super::chain::Chain;
use super::commit::Committer;
use super::disk::{self, Room};
use super::engine::{Engine, EngineFailed, Stretch, Writes};
use super::highwater::{FileMark, Mark};
use super::lock::{Lock, LockFailed};
use super::memory::MemoryDisk;
use super::redb::Redb;
use super::row::{self, ChunkedHead, Value};
use super::sled::Sled;
use super::{Condition, Inner, OpenFailed, Options, Place, Store};

/// First words of the format file; the engine's name follows.
const FORMAT: &str = "raccordo-store 1 ";

/// Room below which a failed opening is put down to the full disk: sled needs a segment to open.
const ROOM_TO_OPEN_BYTES: u64 = 16 << 20;

/// Rows read at a time while opening.
const PAGE_ROWS: usize = 1000;

/// Opens or founds the store in a folder.
pub(super) fn open(dir: &Path, options: &Options) -> Result<Store, OpenFailed> {
    let failed = |source| OpenFailed::Engine {
        path: dir.to_path_buf(),
        source,
    };
    let lock = take_lock(dir)?;
    if !dir.exists() {
        found(dir, options).map_err(failed)?;
    }
    check_format(dir, options)?;
    let room = Room::of(dir).map_err(failed)?;
    let reserve = options
        .reserve_bytes
        .unwrap_or_else(|| room.default_reserve());
    let engine = open_engine(dir, options).map_err(|source| match room.free {
        free if free < ROOM_TO_OPEN_BYTES => OpenFailed::NoRoom {
            path: dir.to_path_buf(),
            free,
            source,
        },
        _ => failed(source),
    })?;
    let mark = FileMark::open(&disk::sibling(dir, ".hwm")).map_err(failed)?;
    let place = Place::Folder(dir.to_path_buf());
    assemble(engine, Box::new(mark), place, reserve, Some(lock), dir)
}

/// Opens or founds the store on a disk in memory.
pub(super) fn on_memory_disk(disk: &MemoryDisk, reserve: u64) -> Result<Store, OpenFailed> {
    let name = Path::new("in memory");
    let failed = |source| OpenFailed::Engine {
        path: name.to_path_buf(),
        source,
    };
    let chain_key = row::chain_key();
    if disk.get(&chain_key).map_err(failed)?.is_none() {
        let founding = founding_writes(Chain::founding([0; 16]));
        disk.commit(&founding).map_err(failed)?;
    }
    let place = Place::Memory(disk.clone());
    let (engine, mark) = (Box::new(disk.clone()), Box::new(disk.clone()));
    assemble(engine, mark, place, reserve, None, name)
}

fn assemble(
    engine: Box<dyn Engine>,
    mark: Box<dyn Mark>,
    place: Place,
    reserve: u64,
    lock: Option<Lock>,
    path: &Path,
) -> Result<Store, OpenFailed> {
    let failed = |source| OpenFailed::Engine {
        path: path.to_path_buf(),
        source,
    };
    let chain = read_chain(engine.as_ref())
        .map_err(failed)?
        .ok_or_else(|| OpenFailed::NoChain {
            path: path.to_path_buf(),
        })?;
    let slot = mark.read().map_err(failed)?;
    let condition = match chain.contradiction(slot) {
        None => Condition::Healthy,
        Some(reason) => {
            tracing::error!(reason, "store opened read-only");
            Condition::Degraded { reason }
        }
    };
    // A mark that is not there yet, of another founding, or one behind after a crash.
    if condition == Condition::Healthy && slot != Some(chain.slot()) {
        mark.restart(chain.slot()).map_err(failed)?;
    }
    let stray_files = engine.stray_files().map_err(failed)?;
    if stray_files > 0 {
        tracing::warn!(stray_files, "engine keeps pages in side files");
    }
    let chunked = read_chunked(engine.as_ref()).map_err(failed)?;
    Ok(Store {
        inner: Arc::new(Inner {
            engine,
            last_seq: AtomicU64::new(chain.seq),
            chunked_values: AtomicU64::new(chunked.len() as u64),
            committer: Mutex::new(Committer {
                chain,
                mark,
                chunked,
            }),
            condition: RwLock::new(condition),
            place,
            reserve,
            _lock: lock,
        }),
    })
}

fn take_lock(dir: &Path) -> Result<Lock, OpenFailed> {
    let path = disk::sibling(dir, ".lock");
    Lock::take(&path).map_err(|failed| match failed {
        LockFailed::Held { pid } => OpenFailed::InUse {
            path: dir.to_path_buf(),
            pid,
        },
        LockFailed::File(source) => OpenFailed::Engine {
            path: dir.to_path_buf(),
            source: EngineFailed::file(&path, source),
        },
    })
}

fn found(dir: &Path, options: &Options) -> Result<(), EngineFailed> {
    let draft = disk::sibling(dir, ".tmp");
    let failed = |source| EngineFailed::file(&draft, source);
    if draft.exists() {
        fs::remove_dir_all(&draft).map_err(failed)?;
    }
    fs::create_dir(&draft).map_err(failed)?;
    let format = format!("{FORMAT}{}\n", options.engine.name());
    fs::write(draft.join("format"), format).map_err(failed)?;
    let mut store = [0; 16];
    getrandom::fill(&mut store).expect("the operating system always has randomness after boot");
    let engine = open_engine(&draft, options)?;
    engine.commit(&founding_writes(Chain::founding(store)))?;
    drop(engine);
    disk::sync_tree(&draft)?;
    fs::rename(&draft, dir).map_err(failed)?;
    disk::sync_folder(disk::parent(dir))
}

fn founding_writes(chain: Chain) -> Writes {
    let key = row::chain_key();
    let stored = row::encode_whole(&key, &chain.to_bytes());
    Writes::from([(key, Some(stored))])
}

fn open_engine(dir: &Path, options: &Options) -> Result<Box<dyn Engine>, EngineFailed> {
    let cache_bytes = u64::from(options.cache_mib) << 20;
    Ok(match options.engine {
        StoreEngine::Sled => Box::new(Sled::open(&dir.join("sled"), cache_bytes)?),
        StoreEngine::Redb => Box::new(Redb::open(&dir.join("redb"), cache_bytes)?),
    })
}

fn check_format(dir: &Path, options: &Options) -> Result<(), OpenFailed> {
    let path = dir.join("format");
    let text = fs::read_to_string(&path).map_err(|source| OpenFailed::Engine {
        path: dir.to_path_buf(),
        source: EngineFailed::file(&path, source),
    })?;
    let Some(found) = text.strip_prefix(FORMAT).map(str::trim_end) else {
        return Err(OpenFailed::UnknownFormat {
            path: dir.to_path_buf(),
            found: text.trim_end().to_owned(),
            known: FORMAT,
        });
    };
    let asked = options.engine.name();
    if found == asked {
        return Ok(());
    }
    Err(OpenFailed::OtherEngine {
        path: dir.to_path_buf(),
        found: found.to_owned(),
        asked,
    })
}

/// The chain row, or `None` if it is missing or damaged.
fn read_chain(engine: &dyn Engine) -> Result<Option<Chain>, EngineFailed> {
    let key = row::chain_key();
    let Some(stored) = engine.get(&key)? else {
        return Ok(None);
    };
    Ok(match row::decode(&key, stored) {
        Ok(Value::Whole(bytes)) => Chain::from_bytes(&bytes),
        Ok(Value::Chunked(_)) | Err(_) => None,
    })
}

/// Which values are chunked. A damaged note is left for `verify` to report: its value
/// still reads, only its chunks stay behind when it is replaced.
fn read_chunked(
    engine: &dyn Engine,
) -> Result<BTreeMap<(super::Table, Vec<u8>), ChunkedHead>, EngineFailed> {
    let (mut from, end) = {
        let (first, end) = row::chunked_stretch();
        (first.to_vec(), end)
    };
    let mut chunked = BTreeMap::new();
    loop {
        let stretch = Stretch {
            lower: std::ops::Bound::Excluded(&from),
            end: &end,
            descending: false,
        };
        let rows = engine.range(stretch, PAGE_ROWS)?;
        let Some((last, _)) = rows.last() else {
            return Ok(chunked);
        };
        from.clone_from(last);
        for (note_key, stored) in rows {
            let head = row::decode(&note_key, stored);
            if let (Some((table, key)), Ok(Value::Chunked(head))) =
                (row::split_chunked_key(&note_key), head)
            {
                chunked.insert((table, key.to_vec()), head);
            }
        }
    }
}

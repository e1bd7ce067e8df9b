//! From received entries to the host: signatures on the blocking pool, several at once, order kept.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::entry::{BadEntry, EntryFault, SignedEntry, VerifiedEntry, verify};
use crate::host::{Host, HostFailed};
use crate::identity::PeerId;
use crate::log::LogId;
use crate::session::DeliveryFault;

/// Up to this many entries are verified where they are: cheaper than going elsewhere (50 µs each).
const INLINE_ENTRIES_MAX: usize = 4;

/// Entries verified by one task of the blocking pool.
const CHUNK_ENTRIES: usize = 64;

type Verified = Result<Vec<VerifiedEntry>, BadEntry>;

/// One frame's entries on their way through verification.
#[derive(Debug)]
pub(super) enum Work {
    Done(Verified),
    UnderWay(Vec<JoinHandle<Verified>>),
}

/// Starts to verify a frame's entries.
pub(super) fn start(host: &Arc<dyn Host>, log: LogId, entries: Vec<SignedEntry>) -> Work {
    let Some(author) = host.author_key(&log.origin) else {
        return Work::Done(Err(BadEntry {
            log,
            seq: entries.first().map_or(0, |entry| entry.header.seq),
            fault: EntryFault::UnknownOrigin,
        }));
    };
    if entries.len() <= INLINE_ENTRIES_MAX {
        return Work::Done(verify_all(entries, &author));
    }
    let mut rest = entries;
    let mut tasks = Vec::new();
    while !rest.is_empty() {
        let tail = rest.split_off(rest.len().min(CHUNK_ENTRIES));
        let chunk = std::mem::replace(&mut rest, tail);
        tasks.push(spawn_blocking(move || verify_all(chunk, &author)));
    }
    Work::UnderWay(tasks)
}

/// Hands verified entries to the host in the order of `work`, and says how each frame went.
pub(super) async fn run(
    host: Arc<dyn Host>,
    peer: PeerId,
    mut work: mpsc::Receiver<Work>,
    results: mpsc::Sender<Result<(), DeliveryFault>>,
) {
    while let Some(work) = work.recv().await {
        let result = match verified(work).await {
            Ok(entries) => host
                .deliver(peer, entries)
                .await
                .map_err(DeliveryFault::Host),
            Err(fault) => Err(fault),
        };
        // Entries of a log that nobody known signs are left out; the session decides what that means.
        let over = match &result {
            Ok(()) => false,
            Err(DeliveryFault::Entry(bad)) => bad.fault != EntryFault::UnknownOrigin,
            Err(DeliveryFault::Host(_)) => true,
        };
        if results.send(result).await.is_err() || over {
            return;
        }
    }
}

async fn verified(work: Work) -> Result<Vec<VerifiedEntry>, DeliveryFault> {
    let tasks = match work {
        Work::Done(result) => return result.map_err(DeliveryFault::Entry),
        Work::UnderWay(tasks) => tasks,
    };
    let mut entries = Vec::new();
    for task in tasks {
        let chunk = task.await.map_err(|_| {
            DeliveryFault::Host(HostFailed::new(
                "the verification of entries was interrupted",
            ))
        })?;
        entries.extend(chunk.map_err(DeliveryFault::Entry)?);
    }
    Ok(entries)
}

fn verify_all(entries: Vec<SignedEntry>, author: &PeerId) -> Verified {
    entries
        .into_iter()
        .map(|entry| verify(entry, author))
        .collect()
}

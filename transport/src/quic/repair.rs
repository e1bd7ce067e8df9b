//! A repair's work outside the event loop: items and parcels read on the blocking pool, installations.
//!
//! Guarantees: one read of each kind at a time; installations in the order in which parcels came. Items
//! are hashed and parcels compressed where they are read, so that live entries do not wait for it.

use std::sync::Arc;

use bytes::Bytes;
use quinn::Connection;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::host::{Host, HostFailed};
use crate::identity::PeerId;
use crate::link::CloseReason;
use crate::reconcile::Reconciler;
use crate::session::RepairInput;
use crate::wire::parcel::{DocumentParcel, Packed, pack};

/// Label of the TLS exporter that gives both sides the key of their fingerprints.
const EXPORTER_LABEL: &[u8] = b"raccordo-reconcile-1";

/// Frames' parcels between arrival and installation; the session allows fewer.
const INSTALLATIONS_MAX: usize = 8;

type Items = Result<Box<Reconciler>, HostFailed>;
type Frames = Result<Vec<Bytes>, HostFailed>;

/// Reads and installations under way.
pub(super) struct RepairWork {
    host: Arc<dyn Host>,
    peer: PeerId,
    items: Option<JoinHandle<Items>>,
    frames: Option<JoinHandle<Frames>>,
    parcels: mpsc::Sender<Vec<DocumentParcel>>,
    installed: mpsc::Receiver<Result<(), HostFailed>>,
    installer: JoinHandle<()>,
}

impl RepairWork {
    pub(super) fn start(host: &Arc<dyn Host>, peer: PeerId) -> Self {
        let (parcels, waiting) = mpsc::channel(INSTALLATIONS_MAX);
        let (results, installed) = mpsc::channel(INSTALLATIONS_MAX);
        Self {
            host: host.clone(),
            peer,
            items: None,
            frames: None,
            parcels,
            installed,
            installer: tokio::spawn(install(host.clone(), peer, waiting, results)),
        }
    }

    /// Reads the items shared with the peer, keyed by this connection.
    pub(super) fn read_items(&mut self, connection: &Connection) {
        let mut key = [0; 32];
        let exported = connection.export_keying_material(&mut key, EXPORTER_LABEL, b"");
        let (host, peer) = (self.host.clone(), self.peer);
        self.items = Some(spawn_blocking(move || {
            exported.map_err(|_| HostFailed::new("the session gives no key"))?;
            Ok(Box::new(Reconciler::new(host.items(&peer)?, key)))
        }));
    }

    /// Reads documents whole and makes frames of them.
    pub(super) fn read_parcels(&mut self, ids: Vec<[u8; 16]>, last: bool) {
        let (host, peer) = (self.host.clone(), self.peer);
        self.frames = Some(spawn_blocking(move || {
            let parcels = host.parcels(&peer, &ids)?;
            let Packed { frames, unsendable } = pack(&parcels, last);
            for (document, why) in unsendable {
                tracing::warn!(?document, %why, "a document cannot be sent whole");
            }
            Ok(frames.into_iter().map(Bytes::from).collect())
        }));
    }

    /// Hands parcels to the host after those before them.
    pub(super) fn install(&self, parcels: Vec<DocumentParcel>) -> Option<CloseReason> {
        let failed = || CloseReason::HostFailed {
            detail: "the installation of documents was interrupted".to_owned(),
        };
        self.parcels.try_send(parcels).err().map(|_| failed())
    }

    /// What is done next. Dropping the wait loses nothing.
    pub(super) async fn next(&mut self) -> RepairInput {
        tokio::select! {
            items = finished(&mut self.items) => RepairInput::Items(items),
            frames = finished(&mut self.frames) => RepairInput::Parcels(frames),
            Some(result) = self.installed.recv() => RepairInput::Installed(result),
        }
    }
}

impl Drop for RepairWork {
    fn drop(&mut self) {
        self.installer.abort();
    }
}

async fn finished<T>(
    task: &mut Option<JoinHandle<Result<T, HostFailed>>>,
) -> Result<T, HostFailed> {
    let Some(running) = task else {
        return std::future::pending().await;
    };
    let result = running.await;
    *task = None;
    result.unwrap_or_else(|_| Err(HostFailed::new("the reading of documents was interrupted")))
}

/// Hands documents to the host in the order of `parcels`, and says how each frame's went.
async fn install(
    host: Arc<dyn Host>,
    peer: PeerId,
    mut parcels: mpsc::Receiver<Vec<DocumentParcel>>,
    results: mpsc::Sender<Result<(), HostFailed>>,
) {
    while let Some(parcels) = parcels.recv().await {
        if results
            .send(host.install(peer, parcels).await)
            .await
            .is_err()
        {
            return;
        }
    }
}

//! What the writer, the readers and the links share: store, keys, identity, resident state.
//!
//! Only the writer commits (`commit.rs`); everybody may read. The document cache holds what is
//! on disk, never what is about to be.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use lru::LruCache;
use raccordo_config::Config;
use raccordo_crdt_model::{Document, DocumentId};
use raccordo_transport::sealing::SealingKey;
use raccordo_transport::{Endpoint, LogId, NodeKey, PeerId};
use thiserror::Error;
use tokio::sync::{broadcast, watch};

use crate::clock::{Clock, Entropy};
use crate::store::seal::{SealFailed, SealKey, Vault};
use crate::store::{Store, StoreFailed, Table};

use super::clones::CloneBoard;
use super::emergency::AccessBoard;
use super::fields::BadRow;
use super::inbox::Waits;
use super::ledger::Ledger;
use super::links::LinkBoard;
use super::lists::ListBoard;
use super::rows::DocumentRow;
use super::scope::Party;
pub(crate) use super::scope::{LANE_EVERYONE, LANE_SHARED};
use super::scrub::Scrub;
use super::seen::SeenBoard;
use super::view::Event;

/// Document id of the key that seals what belongs to no document: audit log, token names.
pub(crate) const NODE_DOCUMENT: [u8; 16] = [0; 16];

/// What all parts of a running engine share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: RwLock<Arc<Config>>,
    pub(crate) store: Store,
    pub(crate) vault: Vault,
    pub(crate) node_key: NodeKey,
    /// Opens what other nodes sealed to this one.
    pub(crate) sealing_key: SealingKey,
    /// Seals what belongs to no document.
    pub(crate) node_seal: SealKey,
    pub(crate) id: PeerId,
    pub(crate) lineage: [u8; 8],
    /// Of this start, or of the moment when what was lost came back.
    pub(crate) incarnation: RwLock<[u8; 8]>,
    /// Starts of the members' nodes.
    pub(crate) clones: CloneBoard,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) documents: Mutex<LruCache<DocumentId, Arc<Document>>>,
    pub(crate) ledger: RwLock<Arc<Ledger>>,
    pub(crate) links: LinkBoard,
    /// Lines of lists, for searches.
    pub(crate) lists: ListBoard,
    /// What people have opened of peers' entries.
    pub(crate) seen: SeenBoard,
    pub(crate) scrub: Scrub,
    /// Logs that wait for something that may come, and what for.
    pub(crate) waits: Mutex<Vec<(LogId, Waits)>>,
    pub(crate) ticks: watch::Sender<u64>,
    pub(crate) events: broadcast::Sender<Event>,
    /// False when the writer has ended: nothing can be written any more.
    pub(crate) writing: AtomicBool,
    /// What decides about access changes, and emergencies.
    pub(crate) access: AccessBoard,
    /// While the node is online; taken out at its end, since it holds this in turn.
    pub(crate) endpoint: RwLock<Option<Endpoint>>,
    /// Addresses really bound: QUIC, HTTP.
    pub(crate) bound: RwLock<(String, String)>,
}

/// Stored bytes could not be turned back into what they were.
#[derive(Debug, Error)]
pub enum ReadFailed {
    /// The store answered with an error.
    #[error("the store cannot be read")]
    Store(#[from] StoreFailed),
    /// A row has another layout.
    #[error("a stored row is damaged")]
    Row(#[from] BadRow),
    /// A body does not open under its key.
    #[error("a stored body does not open under its key")]
    Seal(#[from] SealFailed),
    /// A document's changes do not make a document.
    #[error("document {document} cannot be opened: {reason}")]
    Document {
        /// Which one.
        document: DocumentId,
        /// What the model says.
        reason: String,
    },
}

impl ReadFailed {
    /// Whether what is stored is not what was written; else the store itself failed.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Store(failed) => matches!(failed, StoreFailed::Damaged { .. }),
            Self::Row(_) | Self::Seal(_) | Self::Document { .. } => true,
        }
    }
}

/// A document with all that a commit needs about it.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) document: Arc<Document>,
    pub(crate) row: DocumentRow,
    pub(crate) key: SealKey,
}

impl Core {
    pub(crate) fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.ledger.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows this resident state from now on.
    pub(crate) fn publish(&self, ledger: Ledger) {
        *self.ledger.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ledger);
    }

    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn territory(&self) -> String {
        self.config().node.territory.to_string()
    }

    /// This node as far as its rights go.
    pub(crate) fn party(&self) -> Party {
        let config = self.config();
        Party {
            key: self.id,
            territory: config.node.territory.to_string(),
            role: config.node.role,
        }
    }

    /// Shows which logs wait.
    pub(crate) fn tell_waits(&self, waits: Vec<(LogId, Waits)>) {
        *self.waits.lock().unwrap_or_else(PoisonError::into_inner) = waits;
    }

    /// The QUIC endpoint, while the node is online.
    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        self.endpoint
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What the actors of this node's changes carry now.
    pub(crate) fn incarnation(&self) -> [u8; 8] {
        *self
            .incarnation
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on changes have other actors.
    pub(crate) fn begin_incarnation(&self, incarnation: [u8; 8]) {
        *self
            .incarnation
            .write()
            .unwrap_or_else(PoisonError::into_inner) = incarnation;
    }

    /// This node's log of a lane.
    pub(crate) fn own_log(&self, lane: u8) -> LogId {
        LogId {
            origin: self.id.origin(),
            lane,
        }
    }

    pub(crate) fn document_row(&self, id: DocumentId) -> Result<Option<DocumentRow>, ReadFailed> {
        let bytes = self.store.get(Table::Documents, id.as_bytes())?;
        Ok(bytes.as_deref().map(DocumentRow::decode).transpose()?)
    }

    /// The document as it is on disk, with its row and key; none if it is not here.
    pub(crate) fn load(&self, id: DocumentId) -> Result<Option<Loaded>, ReadFailed> {
        let Some(row) = self.document_row(id)? else {
            return Ok(None);
        };
        let key = self.document_key(id)?;
        if let Some(document) = self
            .cached(id)
            .filter(|cached| cached.heads() == row.version())
        {
            return Ok(Some(Loaded { document, row, key }));
        }
        let document = Arc::new(self.open_document(id, &key)?);
        Ok(Some(Loaded { document, row, key }))
    }

    /// As [`Core::load`], for a reader who only looks: a row is not read if the cache has it.
    pub(crate) fn look(&self, id: DocumentId) -> Result<Option<Arc<Document>>, ReadFailed> {
        if let Some(document) = self.cached(id) {
            return Ok(Some(document));
        }
        if self.document_row(id)?.is_none() {
            return Ok(None);
        }
        let key = self.document_key(id)?;
        self.open_document(id, &key)
            .map(|document| Some(Arc::new(document)))
    }

    /// As [`Core::look`], and keeps it in the cache: who looks at a record often edits it next.
    pub(crate) fn look_and_keep(
        &self,
        id: DocumentId,
    ) -> Result<Option<Arc<Document>>, ReadFailed> {
        let looked = self.look(id)?;
        if let Some(document) = &looked {
            let mut cache = self
                .documents
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            // Under the lock: the writer puts a newer one in after its row is there.
            let newest = self.document_row(id)?.map(|row| row.version());
            if !cache.contains(&id) && newest == Some(document.heads()) {
                cache.put(id, Arc::clone(document));
            }
        }
        Ok(looked)
    }

    pub(crate) fn document_key(&self, id: DocumentId) -> Result<SealKey, ReadFailed> {
        let key = self.document_key_if_there(id)?;
        Ok(key.ok_or(BadRow { row: "key", at: 0 })?)
    }

    /// The key of a document; none of one that is not here.
    pub(crate) fn document_key_if_there(
        &self,
        id: DocumentId,
    ) -> Result<Option<SealKey>, ReadFailed> {
        let mut read = None;
        loop {
            let Some(wrapped) = self.store.get(Table::Keys, id.as_bytes())? else {
                return Ok(None);
            };
            match self.vault.unwrap(*id.as_bytes(), &wrapped) {
                // Since it was read it may have been wrapped anew, and the older epoch be gone.
                Err(SealFailed::UnknownEpoch { .. }) if read.as_ref() != Some(&wrapped) => {
                    read = Some(wrapped);
                }
                opened => return Ok(Some(opened?)),
            }
        }
    }

    /// Puts documents whose newest state is now on disk into the cache, and drops those whose
    /// newest state was not kept.
    pub(crate) fn remember(&self, documents: Vec<(DocumentId, Option<Arc<Document>>)>) {
        let mut cache = self
            .documents
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (id, document) in documents {
            match document {
                Some(document) => cache.put(id, document),
                None => cache.pop(&id),
            };
        }
    }

    /// How many documents the cache holds.
    pub(crate) fn cache_capacity(&self) -> usize {
        let cache = self
            .documents
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        cache.cap().get()
    }

    /// How many documents the cache holds now.
    #[cfg(feature = "testing")]
    pub(crate) fn cached_documents(&self) -> usize {
        let cache = self
            .documents
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        cache.len()
    }

    /// Forgets a document, so that its single holder may change it in place.
    pub(crate) fn forget(&self, id: DocumentId) {
        self.documents
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop(&id);
    }

    fn cached(&self, id: DocumentId) -> Option<Arc<Document>> {
        self.documents
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
    }

    /// The document as its stored changes make it, past the cache.
    pub(crate) fn open_document(
        &self,
        id: DocumentId,
        key: &SealKey,
    ) -> Result<Document, ReadFailed> {
        let bodies = self.change_bodies(id, key)?;
        Document::open(id, &bodies).map_err(|reason| ReadFailed::Document {
            document: id,
            reason: reason.to_string(),
        })
    }
}

/// A cache for so many documents (at least one).
pub(crate) fn document_cache(documents: u32) -> Mutex<LruCache<DocumentId, Arc<Document>>> {
    let size = usize::try_from(documents.max(1)).expect("u32 fits usize here");
    Mutex::new(LruCache::new(
        NonZeroUsize::new(size).expect("at least one"),
    ))
}

//! A running node: store, writer, links and HTTP, started in order and ended in reverse.
//!
//! A node at rest (`offline`) has store and writer alone: what commands need.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use raccordo_config::Config;
use raccordo_crdt_model::DocumentId;
use raccordo_transport::{BindFailed, Endpoint, Host, Limits, LogId, NodeKey, PeerId, Pins};
use thiserror::Error;
use tokio::sync::{broadcast, oneshot, watch};

use crate::clock::{Clock, Entropy, draw};
use crate::http;
#[cfg(feature = "testing")]
use crate::planted::{Planted, planted};
use crate::store::seal::{SealFailed, SealKey, Vault};
use crate::store::{Batch, Condition, OpenFailed, Options, Store, StoreFailed, Table};

use super::clones::CloneBoard;
use super::core::{Core, NODE_DOCUMENT, ReadFailed, document_cache};
use super::emergency::AccessBoard;
use super::fields::BadRow;
use super::host::NodeHost;
use super::inbox::Inbox;
use super::ledger::{Ledger, LogEnd, Totals, decode_digest};
use super::links::LinkBoard;
use super::lists::ListBoard;
use super::peers::{self, InvitationRow};
use super::quarantine::LogStop;
use super::rows::Counts;
use super::scope::{Narrowed, Party};
use super::scrub::Scrub;
use super::seen::SeenBoard;
use super::task::{self, Signal, Writer};
use super::view::Event;
use super::{
    Engine, Hand, audit, clones, commit, confirming, dial, found, orders, put_back, receipts,
    recovery, repair, report, scrub, shredding, statements, token_renewal, transfer,
};

/// Events that a slow listener may be behind before it misses some.
const EVENTS_KEPT: usize = 1_024;
/// How often freshness and peers are looked at for changes that nothing announces.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a node is started with.
#[derive(Debug)]
pub struct NodeOptions {
    /// Its data folder.
    pub data: PathBuf,
    /// Its configuration.
    pub config: Config,
    /// Store and writer alone: no QUIC, no HTTP.
    pub offline: bool,
}

/// A node, until [`Node::stop`].
#[derive(Debug)]
pub struct Node {
    engine: Engine,
    writer: Option<JoinHandle<()>>,
    online: Option<Online>,
}

/// What only a running node has.
#[derive(Debug)]
struct Online {
    tasks: Vec<tokio::task::JoinHandle<()>>,
    endpoint: Endpoint,
    stop_http: oneshot::Sender<()>,
    http: tokio::task::JoinHandle<()>,
    /// What HTTPS is served with; none over plain HTTP.
    certificate: Option<http::Certificate>,
}

/// Why a node could not start.
#[derive(Debug, Error)]
pub enum StartFailed {
    /// There is no node in the folder.
    #[error("{} holds no node: found one with `raccordo init`", folder.display())]
    NoNode {
        /// The folder.
        folder: PathBuf,
    },
    /// The key cannot be read.
    #[error("cannot read the node's key")]
    Key(#[source] io::Error),
    /// The store cannot be opened.
    #[error("cannot open the store")]
    Open(#[from] OpenFailed),
    /// The keys at rest cannot be opened.
    #[error("cannot open the keys at rest")]
    Seal(#[from] SealFailed),
    /// What is stored cannot be read.
    #[error("cannot read the store")]
    Read(#[from] ReadFailed),
    /// Another version of the program laid the rows out.
    #[error(
        "the store's rows have layout {seen} and this version reads layout {known} alone: export the records with the version that wrote them, and import them into a new node"
    )]
    Layout {
        /// The store's.
        seen: u8,
        /// This version's.
        known: u8,
    },
    /// The QUIC port cannot be bound.
    #[error("cannot listen for peers on {address}: choose another address with [network] listen")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: BindFailed,
    },
    /// The HTTP port cannot be bound.
    #[error("cannot serve HTTP on {address}: choose another address with [http] address")]
    Http {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The HTTP address is not one that may be served.
    #[error("the HTTP address cannot be served")]
    Address(#[from] http::AddressRefused),
    /// HTTPS cannot be served with the certificate and key configured.
    #[error("[http] {}", .0.concerns())]
    Certificate(#[from] http::CertificateRefused),
    /// The system gives no thread.
    #[error("cannot start the writer")]
    Thread(#[source] io::Error),
}

impl From<StoreFailed> for StartFailed {
    fn from(failed: StoreFailed) -> Self {
        Self::Read(ReadFailed::Store(failed))
    }
}

impl Node {
    /// Starts the node of a folder; serving when it returns.
    pub async fn start(
        options: NodeOptions,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, StartFailed> {
        let NodeOptions {
            data,
            config,
            offline,
        } = options;
        let opening = tokio::task::spawn_blocking(move || open(data, config, clock, entropy));
        let core = Arc::new(opening.await.expect("opening does not panic")?);
        let inbox = Arc::new(Inbox::default());
        let (signals, received) = mpsc::channel();
        let hand = Hand::new(signals);
        let writer = {
            let writer = Writer::new(Arc::clone(&core), Arc::clone(&inbox));
            let builder = std::thread::Builder::new().name("writer".to_owned());
            builder
                .spawn(move || task::run(writer, &received))
                .map_err(StartFailed::Thread)?
        };
        let engine = Engine {
            core: Arc::clone(&core),
            hand: hand.clone(),
        };
        let mut node = Self {
            engine,
            writer: Some(writer),
            online: None,
        };
        if !offline {
            let host = Arc::new(NodeHost { core, inbox, hand });
            match node.go_online(host).await {
                Ok(online) => node.online = Some(online),
                Err(failed) => {
                    node.stop().await;
                    return Err(failed);
                }
            }
        }
        Ok(node)
    }

    /// The node's records and peers.
    pub fn engine(&self) -> Engine {
        self.engine.clone()
    }

    /// Takes a renewed certificate and key for those who come from now on. Whether HTTPS is served
    /// at all is decided at the start.
    pub fn renew_certificate(
        &self,
        http: &raccordo_config::Http,
    ) -> Result<(), http::CertificateRefused> {
        let served = self
            .online
            .as_ref()
            .and_then(|online| online.certificate.as_ref());
        if let (Some(served), Some(renewed)) = (served, http::Certificate::load(http)?) {
            served.replace(&renewed);
        }
        Ok(())
    }

    /// Ends the node; what was acknowledged is on disk anyhow.
    pub async fn stop(mut self) {
        if let Some(Online {
            tasks,
            endpoint,
            stop_http,
            http,
            certificate: _,
        }) = self.online.take()
        {
            drop(stop_http);
            for task in &tasks {
                task.abort();
            }
            endpoint.shutdown().await;
            *self
                .engine
                .core
                .endpoint
                .write()
                .unwrap_or_else(PoisonError::into_inner) = None;
            if http.await.is_err() {
                tracing::warn!("the HTTP server did not end cleanly");
            }
        }
        self.engine.hand.signal(Signal::Stop);
        if let Some(writer) = self.writer.take() {
            let ended = tokio::task::spawn_blocking(move || writer.join()).await;
            if !matches!(ended, Ok(Ok(()))) {
                tracing::error!("the writer did not end cleanly");
            }
        }
    }

    async fn go_online(&self, host: Arc<NodeHost>) -> Result<Online, StartFailed> {
        let core = Arc::clone(&host.core);
        let config = core.config();
        let access = http::access_for(
            config.http.address,
            config.http.cert.is_some(),
            config.http.behind_proxy,
        )?;
        let certificate = http::Certificate::load(&config.http)?;
        let address = config.http.address;
        let failed = |source| StartFailed::Http { address, source };
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .map_err(failed)?;
        let listen = config.network.listen;
        let pins: Arc<dyn Pins> = Arc::clone(&host) as Arc<dyn Pins>;
        let endpoint =
            Endpoint::bind(listen, &core.node_key, pins).map_err(|source| StartFailed::Bind {
                address: listen,
                source,
            })?;
        endpoint.limit(link_limits(&config));
        let bound = (
            endpoint.local_addr().to_string(),
            listener.local_addr().map_err(failed)?.to_string(),
        );
        *core.bound.write().unwrap_or_else(PoisonError::into_inner) = bound;
        *core
            .endpoint
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(endpoint.clone());
        let (stop_http, stopped) = oneshot::channel::<()>();
        let router = http::router(self.engine(), access);
        let served_with = certificate.clone();
        let http = tokio::spawn(async move {
            let ending = async { drop(stopped.await) };
            http::serve(listener, served_with, router, ending).await;
        });
        let mut tasks = Vec::new();
        let serving = (endpoint.clone(), Arc::clone(&host) as Arc<dyn Host>);
        tasks.push(tokio::spawn(
            async move { serving.0.serve(serving.1).await },
        ));
        tasks.push(tokio::spawn(dial::keep(endpoint.clone(), host)));
        tasks.push(tokio::spawn(scrub::keep(
            Arc::clone(&core),
            self.engine.hand.clone(),
        )));
        tasks.push(tokio::spawn(look_around(core, self.engine.hand.clone())));
        Ok(Online {
            tasks,
            endpoint,
            stop_http,
            http,
            certificate,
        })
    }
}

/// What may cross the links, as configured.
pub(super) fn link_limits(config: &Config) -> Limits {
    let bytes = |kib: u32| u64::from(kib) << 10;
    Limits {
        receive_bytes: bytes(config.limits.receive_kib_s),
        receive_entries: 0,
        send_bytes: bytes(config.limits.send_kib_s),
        send_bytes_in_all: bytes(config.limits.send_all_kib_s),
    }
}

/// Announces what changes by the mere passing of time: a territory that became stale.
async fn look_around(core: Arc<Core>, hand: Hand) {
    let (mut words, mut day) = (Vec::new(), String::new());
    let mut every = tokio::time::interval(LOOK_EVERY);
    loop {
        every.tick().await;
        let overview = report::overview(&core);
        let now: Vec<_> = overview
            .territories
            .iter()
            .map(|part| (part.territory.clone(), part.state))
            .collect();
        if now != words {
            words = now;
            commit::announce(&core, Event::Overview);
        }
        let today = transfer::today(&core);
        if today != day && !core.ledger().transfers.is_empty() {
            hand.signal(Signal::Look);
        }
        day = today;
    }
}

pub(super) fn open(
    data: PathBuf,
    config: Config,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Core, StartFailed> {
    let node_key = match found::read_key(&data) {
        Ok(key) => key,
        Err(failed) if failed.kind() == io::ErrorKind::NotFound => {
            return Err(StartFailed::NoNode { folder: data });
        }
        Err(failed) => return Err(StartFailed::Key(failed)),
    };
    let reserve_bytes = config.store.reserve_mib.map(|mib| u64::from(mib) << 20);
    let options = Options {
        engine: config.store.engine,
        cache_mib: config.store.cache_mib,
        reserve_bytes,
    };
    let folder = data.join(found::STORE_FOLDER);
    let store = Store::open(&folder, &options)?;
    found::readable(&store)?;
    let vault = Vault::open(&data.join("keys"), lineage(&store)?, &*entropy)?;
    found::upgrade(&store, &vault)?;
    shredding::run(&store, &vault, &*entropy)?;
    let core = assemble(config, node_key, store, vault, clock, entropy)?;
    Ok(put_back::looked_at(core, &folder)?)
}

/// What the store's founding drew.
pub(super) fn lineage(store: &Store) -> Result<[u8; 8], ReadFailed> {
    let missing = || BadRow {
        row: "lineage",
        at: 0,
    };
    let lineage = store.get(Table::Meta, b"lineage")?.ok_or_else(missing)?;
    Ok(lineage.try_into().map_err(|_| missing())?)
}

/// Puts a node together: what is on its disk, and who it is from now on.
pub(super) fn assemble(
    config: Config,
    node_key: NodeKey,
    store: Store,
    vault: Vault,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Core, StartFailed> {
    let lineage = lineage(&store)?;
    let id = node_key.public();
    let incarnation = draw(&*entropy);
    #[cfg(feature = "testing")]
    let incarnation = match store
        .get(Table::Meta, b"incarnation")?
        .map(<[u8; 8]>::try_from)
    {
        Some(Ok(former)) if planted(Planted::ReusedActor) => former,
        _ => incarnation,
    };
    let node_seal = node_seal(&store, &vault, &*entropy)?;
    if let Condition::Degraded { reason } = store.condition() {
        tracing::error!(reason, "the store takes no writes");
    }
    let own = Party {
        key: id,
        territory: config.node.territory.to_string(),
        role: config.node.role,
    };
    let ledger = read_ledger(&store, own)?;
    let links = read_links(&store, &ledger)?;
    let seen = SeenBoard::read(&store, &ledger)?;
    let documents = document_cache(config.limits.document_cache);
    // As configured, until something is really bound.
    let bound = (
        config.network.listen.to_string(),
        config.http.address.to_string(),
    );
    let starts = all(&store, Table::Meta, clones::prefix())?;
    let sealing_key = vault.sealing_key();
    let core = Core {
        config: RwLock::new(Arc::new(config)),
        store,
        sealing_key,
        vault,
        node_key,
        node_seal,
        id,
        lineage,
        incarnation: RwLock::new(incarnation),
        clones: CloneBoard::read(starts).map_err(ReadFailed::from)?,
        clock,
        entropy,
        documents,
        ledger: RwLock::new(Arc::new(ledger)),
        links,
        lists: ListBoard::default(),
        seen,
        scrub: Scrub::default(),
        waits: std::sync::Mutex::default(),
        ticks: watch::Sender::new(0),
        events: broadcast::Sender::new(EVENTS_KEPT),
        writing: AtomicBool::new(true),
        access: AccessBoard::default(),
        endpoint: RwLock::new(None),
        bound: RwLock::new(bound),
    };
    let mut ledger = Ledger::clone(&core.ledger());
    ledger.cut = peers::cut_ends(&core, &ledger)?;
    core.publish(ledger);
    Ok(core)
}

/// The key for what belongs to no document, made at the first start.
fn node_seal(store: &Store, vault: &Vault, entropy: &dyn Entropy) -> Result<SealKey, StartFailed> {
    if let Some(wrapped) = store.get(Table::Keys, &NODE_DOCUMENT)? {
        return Ok(vault.unwrap(NODE_DOCUMENT, &wrapped)?);
    }
    let (key, wrapped) = vault.new_document_key(NODE_DOCUMENT, entropy);
    let mut batch = Batch::new();
    batch.put(Table::Keys, NODE_DOCUMENT, wrapped);
    store.commit(batch)?;
    Ok(key)
}

pub(super) fn read_ledger(store: &Store, own: Party) -> Result<Ledger, ReadFailed> {
    let mut ledger = Ledger::default();
    if let Some(totals) = store.get(Table::Meta, b"totals")? {
        ledger.totals = Totals::decode(&totals)?;
    }
    ledger.audit_indexed_from = audit::indexed_from(store)?;
    for (key, value) in all(store, Table::Meta, b"log/")? {
        #[cfg(feature = "testing")]
        if planted(Planted::LostCursor) {
            continue;
        }
        if let Some(log) = log_of(&key[4..]) {
            ledger.logs.insert(log, LogEnd::decode(&value)?);
        }
    }
    for (key, value) in all(store, Table::Meta, b"home/")? {
        if let Some(log) = log_of(&key[5..]) {
            ledger.homes.insert(log, decode_digest(&value)?);
        }
    }
    for (key, value) in all(store, Table::Meta, b"stopped/")? {
        if let Some(log) = log_of(&key[8..]) {
            ledger.stopped.insert(log, LogStop::decode(&value)?);
        }
    }
    ledger.held_back = put_back::read(store.get(Table::Meta, put_back::SINCE)?);
    ledger.recovery = recovery::read(all(store, Table::Meta, recovery::prefix())?)?;
    for (key, _) in all(store, Table::Meta, clones::KEPT_OUT)? {
        let key = key_of(&key[clones::KEPT_OUT.len()..], "cloned")?;
        ledger.kept_out.insert(key);
    }
    let tombstones = all(store, Table::Tombstones, b"")?;
    let erased = tombstones
        .iter()
        .filter_map(|(key, _)| key.as_slice().try_into().ok());
    ledger.erased = Arc::new(erased.map(DocumentId::from_bytes).collect());
    let damaged = all(store, Table::Meta, repair::DAMAGED)?;
    let named = damaged.iter().map(|(key, _)| &key[repair::DAMAGED.len()..]);
    let damaged = named.filter_map(|id| id.try_into().ok().map(DocumentId::from_bytes));
    ledger.damaged = Arc::new(damaged.map(|id| (id, repair::home_of(store, id))).collect());
    for (key, value) in all(store, Table::Overview, b"")? {
        ledger.counts.insert(
            String::from_utf8_lossy(&key).into_owned(),
            Counts::decode(&value)?,
        );
    }
    let facts = all(store, Table::Roster, b"")?;
    let confirmed = all(store, Table::Meta, confirming::CONFIRMED)?;
    ledger.roster = Arc::new(confirming::roster(own, &facts, &confirmed)?);
    let mut narrowed = std::collections::BTreeMap::new();
    for (key, value) in all(store, Table::Meta, peers::NARROWED)? {
        let key = key_of(&key[peers::NARROWED.len()..], "scope")?;
        narrowed.insert(key, Narrowed::decode(&value)?);
    }
    ledger.narrowed = Arc::new(narrowed);
    let pairs = all(store, Table::Meta, statements::PAIRS)?;
    ledger.pairs = Arc::new(statements::read_pairs(pairs));
    let sealing = all(store, Table::Meta, statements::SEALING)?;
    ledger.sealing = Arc::new(statements::read_sealing(sealing));
    token_renewal::read_keys(store, &mut ledger)?;
    ledger.receipts_due = Arc::new(receipts::read_due(&all(store, Table::Meta, receipts::DUE)?));
    ledger.orders_open = Arc::new(orders::read(&all(store, Table::Meta, orders::OPEN)?));
    ledger.unshredded = Arc::new(shredding::read(&all(store, Table::Meta, shredding::DUE)?));
    ledger.transfers = Arc::new(transfer::read(all(store, Table::Meta, transfer::OPEN)?));
    let mut invitations = std::collections::BTreeMap::new();
    for (key, value) in all(store, Table::Invitations, b"")? {
        let key = key_of(&key, "invitation")?;
        invitations.insert(key, InvitationRow::decode(&value)?);
    }
    ledger.invitations = Arc::new(invitations);
    Ok(ledger)
}

/// What the links knew when the node last ran: contacts and acknowledgements.
fn read_links(store: &Store, ledger: &Ledger) -> Result<LinkBoard, ReadFailed> {
    let board = LinkBoard::default();
    for member in ledger.roster.iter() {
        let mut links = board.lock();
        let link = links.entry(member.key).or_default();
        let contact = store.get(Table::Meta, &commit::contact_key(&member.key))?;
        link.last_contact_ms = contact
            .and_then(|value| value.try_into().ok())
            .map(i64::from_be_bytes);
        if !ledger.roster.is_peer(&member.key) {
            continue;
        }
        for log in ledger
            .logs
            .keys()
            .filter(|log| log.origin != member.key.origin())
        {
            let prefix = [
                member.key.as_bytes().as_slice(),
                &super::rows::log_key(*log),
            ]
            .concat();
            let mut newest = store.scan_back(Table::Acknowledgements, &prefix, None, 1)?;
            if let Some((key, value)) = newest.pop() {
                let seq = key.last_chunk().map_or(0, |seq| u64::from_be_bytes(*seq));
                link.acked.insert(*log, seq);
                let at_ms = value.try_into().ok().map(i64::from_be_bytes);
                link.acked_at_ms = link.acked_at_ms.max(at_ms);
            }
        }
    }
    Ok(board)
}

/// A stored key and its value.
type Stored = (Vec<u8>, Vec<u8>);

fn all(store: &Store, table: Table, prefix: &[u8]) -> Result<Vec<Stored>, StoreFailed> {
    store.scan(table, prefix, None, usize::MAX)
}

fn key_of(bytes: &[u8], row: &'static str) -> Result<PeerId, BadRow> {
    let key = bytes.try_into().map_err(|_| BadRow { row, at: 0 })?;
    Ok(PeerId::from_bytes(key))
}

pub(super) fn log_of(bytes: &[u8]) -> Option<LogId> {
    let (origin, rest) = bytes.split_first_chunk()?;
    Some(LogId {
        origin: *origin,
        lane: *rest.first()?,
    })
}

//! A peer that is no node of ours: the bare transport with a key, for what must not get in.
//!
//! It regards everyone as approved, offers only what it was given and keeps nothing but what it
//! heard.

use std::future::ready;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use raccordo_transport::{
    CloseReason, Cursor, Endpoint, Host, HostFailed, HostFuture, JoinAccepted, JoinRefused,
    JoinRequest, LinkEvent, LocalHello, LogId, NodeKey, Offer, PeerId, Pins, Positions, Seen,
    SignedEntry, Standing, VerifiedEntry, Versions,
};
use tokio::sync::watch;

/// A bare endpoint and what it heard.
#[derive(Debug)]
pub struct Stranger {
    endpoint: Endpoint,
    host: Arc<Heard>,
}

#[derive(Debug)]
struct Heard {
    offered: Vec<SignedEntry>,
    seen: Vec<Seen>,
    dialled: Mutex<Option<PeerId>>,
    events: Mutex<Vec<LinkEvent>>,
    ticks: watch::Sender<u64>,
}

/// Admits whoever comes.
#[derive(Debug)]
struct Everyone;

impl Pins for Everyone {
    fn admits(&self, _key: &PeerId) -> bool {
        true
    }
}

impl Stranger {
    /// A stranger on a free port, with the key of this seed.
    pub fn new(seed: [u8; 32]) -> Self {
        Self::speaking(seed, Versions::CURRENT)
    }

    /// A stranger that offers this log.
    pub fn offering(seed: [u8; 32], log: Vec<SignedEntry>) -> Self {
        Self::with(seed, Versions::CURRENT, log, Vec::new())
    }

    /// A stranger that says that its people have opened these.
    pub fn claiming(seed: [u8; 32], seen: Vec<Seen>) -> Self {
        Self::with(seed, Versions::CURRENT, Vec::new(), seen)
    }

    /// A stranger that claims to speak these versions.
    pub fn speaking(seed: [u8; 32], versions: Versions) -> Self {
        Self::with(seed, versions, Vec::new(), Vec::new())
    }

    fn with(
        seed: [u8; 32],
        versions: Versions,
        offered: Vec<SignedEntry>,
        seen: Vec<Seen>,
    ) -> Self {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let endpoint = Endpoint::bind_speaking(
            free,
            &NodeKey::from_seed(seed),
            Arc::new(Everyone),
            versions,
        );
        let endpoint = endpoint.expect("a free port can be bound");
        let host = Arc::new(Heard {
            offered,
            seen,
            dialled: Mutex::default(),
            events: Mutex::default(),
            ticks: watch::Sender::new(0),
        });
        Self { endpoint, host }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.endpoint.local_addr()
    }

    /// Dials a node and returns why the link ended.
    pub async fn dial(&self, address: SocketAddr, peer: PeerId) -> CloseReason {
        *self
            .host
            .dialled
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(peer);
        self.endpoint
            .dial(address, peer, Arc::clone(&self.host) as Arc<dyn Host>)
            .await
    }

    /// Accepts whoever dials, until dropped.
    pub async fn serve(&self) {
        self.endpoint
            .serve(Arc::clone(&self.host) as Arc<dyn Host>)
            .await;
    }

    /// Whether it ever got as far as both hellos.
    pub fn was_connected(&self) -> bool {
        self.heard(|event| matches!(event, LinkEvent::Connected { .. }))
    }

    /// Whether what it claimed to be opened was confirmed.
    pub fn was_confirmed(&self) -> bool {
        self.heard(|event| matches!(event, LinkEvent::SeenTold { .. }))
    }

    fn heard(&self, what: impl FnMut(&LinkEvent) -> bool) -> bool {
        let events = self
            .host
            .events
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        events.iter().any(what)
    }
}

/// The seed in a node's key file: whoever has it is that node.
pub fn seed_of(data: &Path) -> [u8; 32] {
    let text = std::fs::read_to_string(data.join("node.key")).expect("a founded node has a key");
    // A seed is written like an id: 64 hex digits.
    let digits: PeerId = text.trim().parse().expect("64 hex digits");
    *digits.as_bytes()
}

impl Host for Heard {
    fn standing(&self, _peer: &PeerId) -> Standing {
        Standing::Approved
    }

    fn local_hello(&self) -> LocalHello {
        LocalHello {
            lineage: [1; 8],
            incarnation: [2; 8],
            role: 0,
            clock_ms: 0,
            policy_epoch: 0,
        }
    }

    fn positions(&self, _peer: &PeerId) -> Positions {
        let end = |last: &SignedEntry| Offer {
            head: Cursor {
                log: last.header.log(),
                seq: last.header.seq,
                hash: last.entry_hash(),
            },
            after: None,
        };
        Positions {
            offers: self.offered.last().map(end).into_iter().collect(),
            seen: self.seen.clone(),
            ..Positions::default()
        }
    }

    fn ticks(&self) -> watch::Receiver<u64> {
        self.ticks.subscribe()
    }

    fn read(
        &self,
        _: &PeerId,
        _: LogId,
        after: u64,
        max: usize,
        _: usize,
    ) -> Result<Vec<SignedEntry>, HostFailed> {
        Ok(self
            .offered
            .iter()
            .filter(|entry| entry.header.seq > after)
            .take(max)
            .cloned()
            .collect())
    }

    fn deliver(
        &self,
        _peer: PeerId,
        _entries: Vec<VerifiedEntry>,
    ) -> HostFuture<'_, Result<(), HostFailed>> {
        Box::pin(ready(Ok(())))
    }

    fn author_key(&self, origin: &[u8; 8]) -> Option<PeerId> {
        self.dialled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .filter(|peer| peer.origin() == *origin)
    }

    fn event(&self, _peer: &PeerId, event: LinkEvent) {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event);
    }

    fn join(&self, _: PeerId, _: JoinRequest) -> HostFuture<'_, Result<JoinAccepted, JoinRefused>> {
        Box::pin(ready(Err(JoinRefused::NotCoordination)))
    }
}

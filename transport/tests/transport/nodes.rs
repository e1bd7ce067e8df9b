//! Real nodes on the loopback: sockets, pins, a host in memory, and what it heard.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use raccordo_transport::reconcile::Item;
use raccordo_transport::{
    CloseReason, DocumentParcel, Endpoint, Host, HostFailed, HostFuture, JoinAccepted, JoinRefused,
    JoinRequest, LinkEvent, LocalHello, LogId, NodeKey, PeerId, Pins, Positions, RemoteHello,
    SignedEntry, Standing, VerifiedEntry, Versions,
};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::Memory;

/// Nothing here should take a fraction of this.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) const ANYWHERE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

#[derive(Default)]
pub(crate) struct PinSet(pub(crate) Mutex<BTreeSet<PeerId>>);

impl Pins for PinSet {
    fn admits(&self, key: &PeerId) -> bool {
        self.0.lock().unwrap().contains(key)
    }
}

/// What the coordination's invitations know.
#[derive(Default)]
pub(crate) struct Invitations {
    pub(crate) territory: String,
    pub(crate) expired: bool,
    pub(crate) used_by: Option<PeerId>,
}

pub(crate) struct Live {
    pub(crate) memory: Mutex<Memory>,
    pub(crate) events: Mutex<Vec<(PeerId, LinkEvent)>>,
    /// The starts whose hellos were judged, in their order.
    pub(crate) starts: Mutex<Vec<[u8; 8]>>,
    pub(crate) invitation: Mutex<Invitations>,
    /// How many frames' documents may still be installed.
    pub(crate) installations: Semaphore,
    pub(crate) ticks: watch::Sender<u64>,
    pub(crate) heard: watch::Sender<u64>,
}

impl Host for Live {
    fn standing(&self, peer: &PeerId) -> Standing {
        self.memory.lock().unwrap().standing(peer)
    }

    fn local_hello(&self) -> LocalHello {
        self.memory.lock().unwrap().local_hello()
    }

    fn turns_away(&self, _peer: &PeerId, hello: &RemoteHello) -> Option<CloseReason> {
        self.starts.lock().unwrap().push(hello.incarnation);
        None
    }

    fn positions(&self, peer: &PeerId) -> Positions {
        self.memory.lock().unwrap().positions(peer)
    }

    fn ticks(&self) -> watch::Receiver<u64> {
        self.ticks.subscribe()
    }

    fn read(
        &self,
        _peer: &PeerId,
        log: LogId,
        after: u64,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<Vec<SignedEntry>, HostFailed> {
        let memory = self.memory.lock().unwrap();
        memory.read(log, after, max_entries, max_bytes)
    }

    fn deliver(
        &self,
        _peer: PeerId,
        entries: Vec<VerifiedEntry>,
    ) -> HostFuture<'_, Result<(), HostFailed>> {
        Box::pin(async move {
            {
                let mut memory = self.memory.lock().unwrap();
                memory.take(entries);
                memory.store();
            }
            self.changed();
            Ok(())
        })
    }

    fn items(&self, _peer: &PeerId) -> Result<Vec<Item>, HostFailed> {
        Ok(self.memory.lock().unwrap().items())
    }

    fn parcels(&self, _peer: &PeerId, ids: &[[u8; 16]]) -> Result<Vec<DocumentParcel>, HostFailed> {
        Ok(self.memory.lock().unwrap().parcels(ids))
    }

    fn install(
        &self,
        _peer: PeerId,
        parcels: Vec<DocumentParcel>,
    ) -> HostFuture<'_, Result<(), HostFailed>> {
        Box::pin(async move {
            self.installations.acquire().await.unwrap().forget();
            self.memory.lock().unwrap().install(parcels);
            self.changed();
            Ok(())
        })
    }

    fn author_key(&self, origin: &[u8; 8]) -> Option<PeerId> {
        self.memory.lock().unwrap().keys.get(origin).copied()
    }

    fn event(&self, peer: &PeerId, event: LinkEvent) {
        self.events.lock().unwrap().push((*peer, event));
        self.heard.send_modify(|count| *count += 1);
    }

    fn join(
        &self,
        _one_time: PeerId,
        request: JoinRequest,
    ) -> HostFuture<'_, Result<JoinAccepted, JoinRefused>> {
        Box::pin(async move {
            let mut invitation = self.invitation.lock().unwrap();
            if invitation.expired {
                return Err(JoinRefused::Expired);
            }
            if request.territory != invitation.territory {
                return Err(JoinRefused::Territory);
            }
            if *invitation.used_by.get_or_insert(request.real) != request.real {
                return Err(JoinRefused::Used);
            }
            Ok(JoinAccepted {
                name: "Provincia".to_owned(),
                territory: "frosinone".to_owned(),
                standing: Standing::Pending,
            })
        })
    }
}

impl Live {
    pub(crate) fn changed(&self) {
        self.ticks.send_modify(|count| *count += 1);
        self.heard.send_modify(|count| *count += 1);
    }
}

pub(crate) struct Node {
    pub(crate) endpoint: Endpoint,
    pub(crate) host: Arc<Live>,
    pub(crate) pins: Arc<PinSet>,
    pub(crate) id: PeerId,
}

impl Node {
    pub(crate) fn new(seed: u8) -> Self {
        Self::speaking(seed, Versions::CURRENT)
    }

    pub(crate) fn speaking(seed: u8, versions: Versions) -> Self {
        let memory = Memory::new(seed, 0);
        let pins = Arc::new(PinSet::default());
        let key = NodeKey::from_seed([seed; 32]);
        let endpoint = Endpoint::bind_speaking(ANYWHERE, &key, pins.clone(), versions).unwrap();
        let host = Arc::new(Live {
            memory: Mutex::new(memory),
            events: Mutex::default(),
            starts: Mutex::default(),
            invitation: Mutex::default(),
            installations: Semaphore::new(1_000),
            ticks: watch::Sender::new(0),
            heard: watch::Sender::new(0),
        });
        let (serving, served) = (endpoint.clone(), host.clone());
        tokio::spawn(async move { serving.serve(served).await });
        Self {
            endpoint,
            host,
            pins,
            id: key.public(),
        }
    }

    pub(crate) fn admit(&self, peer: &Self, standing: Standing) {
        self.pins.0.lock().unwrap().insert(peer.id);
        self.host.memory.lock().unwrap().know(&peer.id, standing);
        self.host.changed();
    }

    /// Changes what this node holds or says, and lets its links know.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Memory)) {
        change(&mut self.host.memory.lock().unwrap());
        self.host.changed();
    }

    /// Waits until a link told this node something of the kind.
    pub(crate) async fn heard(&self, what: &str, is_it: impl Fn(&LinkEvent) -> bool) {
        self.until(what, |_, events| {
            events.iter().any(|(_, event)| is_it(event)).then_some(())
        })
        .await;
    }

    pub(crate) fn write(&self, count: usize) {
        self.host.memory.lock().unwrap().author.write_many(count);
        self.host.changed();
    }

    pub(crate) fn dial(&self, peer: &Self) -> JoinHandle<CloseReason> {
        let (endpoint, host) = (self.endpoint.clone(), self.host.clone());
        let (address, id) = (peer.endpoint.local_addr(), peer.id);
        tokio::spawn(async move { endpoint.dial(address, id, host).await })
    }

    /// Waits until `found` finds something in what this node knows and heard.
    pub(crate) async fn until<T>(
        &self,
        what: &str,
        found: impl Fn(&Memory, &[(PeerId, LinkEvent)]) -> Option<T>,
    ) -> T {
        let mut heard = self.host.heard.subscribe();
        let waiting = async {
            loop {
                heard.mark_unchanged();
                if let Some(value) = found(
                    &self.host.memory.lock().unwrap(),
                    &self.host.events.lock().unwrap(),
                ) {
                    return value;
                }
                heard.changed().await.unwrap();
            }
        };
        let Ok(value) = timeout(DEADLINE, waiting).await else {
            panic!(
                "{what} did not come; heard {:?}",
                self.host.events.lock().unwrap()
            );
        };
        value
    }

    pub(crate) async fn connected(&self) {
        self.until("a connection", |_, events| {
            events
                .iter()
                .any(|(_, event)| matches!(event, LinkEvent::Connected { .. }))
                .then_some(())
        })
        .await;
    }

    pub(crate) async fn closed(&self) -> CloseReason {
        self.until("an end", |_, events| {
            events.iter().find_map(|(_, event)| match event {
                LinkEvent::Closed { reason } => Some(reason.clone()),
                _ => None,
            })
        })
        .await
    }

    pub(crate) async fn acked(&self, seq: u64) {
        self.until("an acknowledgement", |_, events| {
            events
                .iter()
                .any(|(_, event)| match event {
                    LinkEvent::Acked { cursors } => cursors.iter().any(|cursor| cursor.seq >= seq),
                    _ => false,
                })
                .then_some(())
        })
        .await;
    }

    pub(crate) fn holds_all_of(&self, peer: &Self) -> bool {
        let held = self.host.memory.lock().unwrap();
        held.holds(&peer.host.memory.lock().unwrap().author)
    }

    pub(crate) fn was_connected(&self) -> bool {
        let events = self.host.events.lock().unwrap();
        events
            .iter()
            .any(|(_, event)| matches!(event, LinkEvent::Connected { .. }))
    }

    pub(crate) fn forget_events(&self) {
        self.host.events.lock().unwrap().clear();
    }
}

pub(crate) fn friends() -> (Node, Node) {
    let (district, coordination) = (Node::new(1), Node::new(2));
    district.admit(&coordination, Standing::Approved);
    coordination.admit(&district, Standing::Approved);
    (district, coordination)
}

pub(crate) async fn reason(link: JoinHandle<CloseReason>) -> CloseReason {
    timeout(DEADLINE, link).await.unwrap().unwrap()
}

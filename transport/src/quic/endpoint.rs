//! Bind, dial, accept: one UDP socket, one connection per peer.
//!
//! Guarantees: who is not pinned does not get past the handshake; who is too slow in it is dropped; a
//! link of a key can be closed at any time by that key. When to dial whom is the node's to decide.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quinn::{EndpointConfig, IdleTimeout, Incoming, TokioRuntime, TransportConfig, VarInt};
use tokio::time::{Instant, timeout};

use super::budget::{Budgets, Limits};
use super::contest::Newcomer;
use super::driver::{self, Greeting, Link, reason_of_loss};
use super::join::{self, Introduction, JoinFailed};
use super::pressure::{Decision, HANDSHAKES_MAX, Pressure};
use super::registry::Registry;
use super::streams::STREAMS_MAX;
use super::tls::{ALPN_JOIN, ALPN_VERSIONS, Admit, Identity, SERVER_NAME, authenticated};
use crate::host::{Host, JoinAccepted, Pins};
use crate::identity::{AuthenticatedPeer, NodeKey, PeerId};
use crate::link::{CloseReason, LinkEvent, LinkStatistics, Versions};
use crate::wire::{encode_refusal, refusal_code};

/// A handshake that takes longer is dropped.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);

/// How long a new link waits for the older one of the same key to have told its end.
const REPLACED_DEADLINE: Duration = Duration::from_secs(1);

/// How long a shutdown waits for peers to be told.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(3);

/// QUIC gives a silent connection up after this.
const IDLE_MAX_MS: u32 = 30_000;

/// The dialling side keeps an address translation alive at this interval.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
const INCOMING_BUFFER_BYTES: u64 = 64 << 10;
const INCOMING_BUFFERS_BYTES: u64 = 4 << 20;

/// The endpoint could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum BindFailed {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}")]
    Address {
        /// As asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The TLS configuration was refused.
    #[error("cannot set up tls: {detail}")]
    Tls {
        /// What rustls said.
        detail: String,
    },
}

/// One UDP socket that dials and accepts peers. Clones are the same endpoint.
#[derive(Clone)]
pub struct Endpoint {
    quinn: quinn::Endpoint,
    address: SocketAddr,
    own: PeerId,
    identity: Identity,
    pins: Arc<dyn Pins>,
    versions: Versions,
    registry: Arc<Registry>,
    handshakes: Arc<AtomicUsize>,
    budgets: Budgets,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Endpoint({})", self.address)
    }
}

impl Endpoint {
    /// Binds `address` (port 0 takes a free one). Needs a tokio runtime around it.
    pub fn bind(
        address: SocketAddr,
        key: &NodeKey,
        pins: Arc<dyn Pins>,
    ) -> Result<Self, BindFailed> {
        Self::bind_speaking(address, key, pins, Versions::CURRENT)
    }

    /// As [`Endpoint::bind`], claiming to speak other versions: for tests of what happens then.
    pub fn bind_speaking(
        address: SocketAddr,
        key: &NodeKey,
        pins: Arc<dyn Pins>,
        versions: Versions,
    ) -> Result<Self, BindFailed> {
        let tls = |error: rustls::Error| BindFailed::Tls {
            detail: error.to_string(),
        };
        let identity = Identity::new(key).map_err(tls)?;
        let alpn = vec![alpn(versions), ALPN_JOIN.to_vec(), ALPN_VERSIONS.to_vec()];
        let crypto = identity
            .server(Admit::Pinned(pins.clone()), alpn)
            .map_err(tls)?;
        let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        config
            .transport_config(Arc::new(transport_config(false)))
            .max_incoming(HANDSHAKES_MAX)
            .incoming_buffer_size(INCOMING_BUFFER_BYTES)
            .incoming_buffer_size_total(INCOMING_BUFFERS_BYTES);
        let failed = |source| BindFailed::Address { address, source };
        let socket = std::net::UdpSocket::bind(address).map_err(failed)?;
        let quinn = quinn::Endpoint::new(
            EndpointConfig::default(),
            Some(config),
            socket,
            Arc::new(TokioRuntime),
        )
        .map_err(failed)?;
        let address = quinn.local_addr().map_err(failed)?;
        Ok(Self {
            quinn,
            address,
            own: key.public(),
            identity,
            pins,
            versions,
            registry: Arc::default(),
            handshakes: Arc::default(),
            budgets: Budgets::default(),
        })
    }

    /// The address really bound.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Limits what crosses the links, live ones too, from now on; without this nothing is limited.
    pub fn limit(&self, limits: Limits) {
        self.budgets.limit(limits);
    }

    /// Accepts peers and joiners until [`Endpoint::shutdown`].
    pub async fn serve(&self, host: Arc<dyn Host>) {
        let started = Instant::now();
        let mut pressure = Pressure::default();
        while let Some(incoming) = self.quinn.accept().await {
            let under_way = self.handshakes.load(Ordering::Relaxed);
            let decision = pressure.decide(
                started.elapsed().as_secs(),
                incoming.remote_address().ip(),
                incoming.remote_address_validated(),
                under_way,
            );
            match decision {
                Decision::Accept => {
                    let handshake = UnderWay::new(&self.handshakes);
                    tokio::spawn(self.clone().accept(incoming, handshake, host.clone()));
                }
                // A retry that cannot be sent is as good as none.
                Decision::Retry => incoming.retry().unwrap_or_default(),
                Decision::Ignore => incoming.ignore(),
            }
        }
    }

    /// Connects to `peer` at `address` and runs the link until it ends; says why it did. Where the peer
    /// has dialled itself, that link is the one whose end is awaited.
    pub async fn dial(
        &self,
        address: SocketAddr,
        peer: PeerId,
        host: Arc<dyn Host>,
    ) -> CloseReason {
        if let Some(reason) = self.end_of_link_by(&peer, Duration::ZERO).await {
            return reason;
        }
        let reason = match self.connect(address, peer).await {
            Ok((connection, peer)) => self.run(connection, peer, true, host).await,
            Err(reason) => reason,
        };
        match reason {
            // What took over may have been dialled here or by the peer.
            CloseReason::Replaced => {
                let there = self.end_of_link_by(&peer, REPLACED_DEADLINE).await;
                there.unwrap_or(reason)
            }
            reason => reason,
        }
    }

    /// Closes the live link of `peer`, if there is one, at once and with that reason.
    pub fn close(&self, peer: &PeerId, reason: CloseReason) {
        if let Some(live) = self.registry.find(peer) {
            live.close(reason);
        }
    }

    /// Counters of the live link of `peer`, now.
    pub fn statistics(&self, peer: &PeerId) -> Option<LinkStatistics> {
        self.registry.find(peer).map(|live| live.statistics())
    }

    /// Lets the live link of `peer` prove now that both sides hold the same; whether there is one.
    pub fn verify(&self, peer: &PeerId) -> bool {
        let live = self.registry.find(peer);
        if let Some(live) = &live {
            live.verify.notify_one();
        }
        live.is_some()
    }

    /// Closes every link with `Shutdown`, stops accepting, and waits until the peers were told.
    pub async fn shutdown(&self) {
        let reason = CloseReason::Shutdown;
        self.registry.close_all(&reason);
        let code = VarInt::from_u32(u32::from(refusal_code(&reason)));
        self.quinn.close(code, &encode_refusal(&reason));
        // Peers that do not answer are not waited for.
        timeout(SHUTDOWN_DEADLINE, self.quinn.wait_idle())
            .await
            .unwrap_or_default();
    }

    /// Redeems an invitation at the coordination from a socket of its own; at most 10 seconds.
    pub async fn redeem(
        address: SocketAddr,
        coordination: PeerId,
        one_time: &NodeKey,
        real: &NodeKey,
        name: &str,
        territory: &str,
        role: u8,
    ) -> Result<JoinAccepted, JoinFailed> {
        let introduction = Introduction {
            real,
            name,
            territory,
            role,
        };
        join::redeem(address, coordination, one_time, introduction).await
    }

    async fn connect(
        &self,
        address: SocketAddr,
        peer: PeerId,
    ) -> Result<(quinn::Connection, AuthenticatedPeer), CloseReason> {
        let unreachable = |detail: String| CloseReason::Unreachable { detail };
        let admit = Admit::PinnedOne(self.pins.clone(), peer);
        let alpn = vec![alpn(self.versions), ALPN_VERSIONS.to_vec()];
        let crypto = self
            .identity
            .client(admit, alpn)
            .map_err(|error| unreachable(error.to_string()))?;
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(transport_config(true)));
        let connecting = self
            .quinn
            .connect_with(config, address, SERVER_NAME)
            .map_err(|error| unreachable(error.to_string()))?;
        let connection = timeout(HANDSHAKE_DEADLINE, connecting)
            .await
            .map_err(|_| {
                unreachable(format!(
                    "no handshake within {} s",
                    HANDSHAKE_DEADLINE.as_secs()
                ))
            })?
            .map_err(|lost| reason_of_loss(&lost, self.versions))?;
        let (peer, _) = authenticated(&connection)
            .ok_or_else(|| unreachable("the peer showed no key".to_owned()))?;
        Ok((connection, peer))
    }

    /// Waits for the end of the link that the peer dialled, if there is one within that time, and says
    /// why it ended.
    async fn end_of_link_by(&self, peer: &PeerId, within: Duration) -> Option<CloseReason> {
        let live = timeout(within, self.registry.dialled_by(peer)).await.ok()?;
        live.ended().await;
        live.closing()
    }

    async fn accept(self, incoming: Incoming, handshake: UnderWay, host: Arc<dyn Host>) {
        let address = incoming.remote_address();
        let Ok(connecting) = incoming.accept() else {
            return;
        };
        let connection = match timeout(HANDSHAKE_DEADLINE, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(lost)) => {
                tracing::debug!(%address, error = %lost, "a handshake failed");
                return;
            }
            Err(_) => {
                tracing::debug!(%address, "a handshake took too long");
                return;
            }
        };
        drop(handshake);
        match authenticated(&connection) {
            Some((one_time, protocol)) if protocol == ALPN_JOIN => {
                join::answer(connection, one_time.id(), host).await;
            }
            Some((peer, _)) => {
                let reason = self.run(connection, peer, false, host).await;
                tracing::debug!(peer = %peer.id().short(), %reason, "a link ended");
            }
            None => connection.close(VarInt::from_u32(0), b""),
        }
    }

    async fn run(
        &self,
        connection: quinn::Connection,
        peer: AuthenticatedPeer,
        outgoing: bool,
        host: Arc<dyn Host>,
    ) -> CloseReason {
        let newcomer = Newcomer {
            own: &self.own,
            peer: &peer.id(),
            connection: &connection,
            outgoing,
        };
        let mut greeting = match self.admitted(&newcomer, &peer, &host).await {
            Ok(greeting) => greeting,
            Err(reason) => {
                let code = VarInt::from_u32(u32::from(refusal_code(&reason)));
                connection.close(code, &encode_refusal(&reason));
                return reason;
            }
        };
        // What came so far counts as the link's.
        let counters = greeting.as_mut().map(Greeting::take_counters);
        let counters = counters.unwrap_or_default();
        let (seat, older) = self
            .registry
            .enter(peer.id(), connection, outgoing, counters);
        if let Some(older) = older {
            // The host is to hear the end of the older link before the newer one begins.
            timeout(REPLACED_DEADLINE, older.ended())
                .await
                .unwrap_or_default();
        }
        if let Some(reason) = seat.live.closing() {
            return reason;
        }
        let link = Link {
            seat,
            own: self.own,
            peer,
            greeting,
            versions: self.versions,
            budget: self.budgets.of(&peer.id()),
        };
        driver::run(link, host).await
    }

    /// What the peer said first, if it dialled, when the connection may take its place.
    async fn admitted(
        &self,
        newcomer: &Newcomer<'_>,
        peer: &AuthenticatedPeer,
        host: &Arc<dyn Host>,
    ) -> Result<Option<Greeting>, CloseReason> {
        newcomer.prevail(&self.registry, self.versions).await?;
        if newcomer.outgoing {
            return Ok(None);
        }
        let greeting = self.greeted(newcomer.connection, peer, host).await?;
        // While its hello was awaited an own dial may have come through.
        newcomer.prevail(&self.registry, self.versions).await?;
        Ok(Some(greeting))
    }

    /// What a peer that dialled says first; the link that it has already goes on meanwhile. Where that
    /// one still answers and is of another start, two nodes use one key, and the later one is sent away.
    async fn greeted(
        &self,
        connection: &quinn::Connection,
        peer: &AuthenticatedPeer,
        host: &Arc<dyn Host>,
    ) -> Result<Greeting, CloseReason> {
        let waiting = self.registry.await_greeting(peer.id());
        let waiting = waiting.ok_or(CloseReason::Replaced)?;
        let greeting = Greeting::of(connection, self.versions).await?;
        let place = waiting.greeted();
        let (Some(incarnation), Some(older)) =
            (greeting.incarnation(), self.registry.find(&peer.id()))
        else {
            return Ok(greeting);
        };
        let other = older
            .incarnation()
            .is_some_and(|known| known != incarnation);
        if other && older.answers().await {
            host.event(&peer.id(), LinkEvent::Cloned { incarnation });
            return Err(CloseReason::Cloned);
        }
        // Killed and started again while an older link was probed: heard in another order, a start
        // that is dead would come last and be taken for a copy.
        if waiting.is_overtaken(place) {
            return Err(CloseReason::Replaced);
        }
        Ok(greeting)
    }
}

/// QUIC's own limits; on the dialling side the peer may open its streams from the start.
pub(super) fn transport_config(dialling: bool) -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(u32::from(!dialling)))
        .max_concurrent_uni_streams(VarInt::from_u32(if dialling { STREAMS_MAX } else { 0 }))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_MAX_MS))))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .send_window(u64::from(CONNECTION_WINDOW_BYTES))
        .datagram_receive_buffer_size(None)
        .keep_alive_interval(dialling.then_some(KEEP_ALIVE))
        .allow_spin(false);
    config
}

fn alpn(versions: Versions) -> Vec<u8> {
    format!("raccordo/{}", versions.major).into_bytes()
}

/// Counts a handshake while it lasts.
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn new(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

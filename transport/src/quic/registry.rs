//! The live links, one per key: the newest wins, any can be closed by key.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quinn::{Connection, VarInt};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use super::streams::Counters;
use crate::identity::PeerId;
use crate::link::{CloseReason, LinkStatistics};
use crate::wire::{encode_refusal, refusal_code};

/// One live link.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) connection: Connection,
    pub(super) counters: Counters,
    /// Somebody wants the proof that both sides hold the same.
    pub(super) verify: Notify,
    /// Whether we dialled.
    pub(super) outgoing: bool,
    pub(super) since: Instant,
    closing: Mutex<Option<CloseReason>>,
    ended: watch::Sender<bool>,
    /// The start that the peer named in its hello.
    incarnation: Mutex<Option<[u8; 8]>>,
    /// The probes asked for and those answered, by number.
    probes: watch::Sender<Probes>,
}

/// Whether a peer still answers: numbers of probes, from 1.
#[derive(Debug, Default, Clone, Copy)]
struct Probes {
    asked: u64,
    sent: u64,
    answered: u64,
}

/// How long a peer has to answer a probe.
const PROBE_MAX: Duration = Duration::from_secs(3);

impl Live {
    /// Closes the link and tells the peer; the first reason stays.
    pub(super) fn close(&self, reason: CloseReason) {
        let mut closing = locked(&self.closing);
        if closing.is_none() {
            let code = VarInt::from_u32(u32::from(refusal_code(&reason)));
            self.connection.close(code, &encode_refusal(&reason));
            *closing = Some(reason);
        }
    }

    /// The reason given to [`Live::close`], if it was called.
    pub(super) fn closing(&self) -> Option<CloseReason> {
        locked(&self.closing).clone()
    }

    /// Notes the start that the peer named.
    pub(super) fn name(&self, incarnation: [u8; 8]) {
        *locked(&self.incarnation) = Some(incarnation);
    }

    /// The start that the peer named, once it did.
    pub(super) fn incarnation(&self) -> Option<[u8; 8]> {
        *locked(&self.incarnation)
    }

    /// Resolves when somebody wants to know whether the peer answers, with the probe's number.
    pub(super) async fn probed(&self) -> u64 {
        let mut probes = self.probes.subscribe();
        let due = probes.wait_for(|probes| probes.asked > probes.sent).await;
        // The sender lives in `self`: the wait cannot fail.
        let number = due.map_or(0, |probes| probes.asked);
        self.probes.send_modify(|probes| probes.sent = number);
        number
    }

    /// The peer answered the probe of that number.
    pub(super) fn answered(&self, number: u64) {
        self.probes
            .send_modify(|probes| probes.answered = probes.answered.max(number.min(probes.sent)));
    }

    /// Whether the peer answers what it is asked now. What it sent before and is still on its way
    /// is no answer.
    pub(super) async fn answers(&self) -> bool {
        let mut number = 0;
        self.probes.send_modify(|probes| {
            probes.asked = probes.asked.saturating_add(1);
            number = probes.asked;
        });
        let mut probes = self.probes.subscribe();
        let answered = probes.wait_for(|probes| probes.answered >= number);
        tokio::select! {
            in_time = timeout(PROBE_MAX, answered) => in_time.is_ok(),
            () = self.ended() => false,
        }
    }

    /// Resolves when the link's last event was told.
    pub(super) async fn ended(&self) {
        let mut ended = self.ended.subscribe();
        // The sender lives in `self`: the wait cannot fail.
        ended
            .wait_for(|ended| *ended)
            .await
            .map(drop)
            .unwrap_or_default();
    }

    pub(super) fn statistics(&self) -> LinkStatistics {
        let stats = self.connection.stats();
        LinkStatistics {
            stream_sent: self.counters.sent.load(Ordering::Relaxed),
            stream_received: self.counters.received.load(Ordering::Relaxed),
            udp_sent: stats.udp_tx.bytes,
            udp_received: stats.udp_rx.bytes,
            rtt_us: u64::try_from(stats.path.rtt.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

/// All live links.
#[derive(Debug, Default)]
pub(super) struct Registry {
    live: Mutex<BTreeMap<PeerId, Arc<Live>>>,
    /// Connections whose hello is awaited.
    waiting: Mutex<BTreeMap<PeerId, Awaited>>,
    entered: Notify,
}

/// Most connections of one key whose hello may be awaited at a time.
const WAITING_MAX: usize = 4;

/// Connections of one key that are not seated yet: how many, and how many have said hello.
#[derive(Debug, Default)]
struct Awaited {
    count: usize,
    greeted: u64,
}

/// A connection whose hello is awaited.
#[derive(Debug)]
pub(super) struct Waiting {
    registry: Arc<Registry>,
    peer: PeerId,
}

impl Waiting {
    /// Its hello came: its place among those of this key that wait.
    pub(super) fn greeted(&self) -> u64 {
        let mut waiting = locked(&self.registry.waiting);
        let awaited = waiting.entry(self.peer).or_default();
        awaited.greeted += 1;
        awaited.greeted
    }

    /// Whether another of the same key said hello since. Of one node's starts that is the later one.
    pub(super) fn is_overtaken(&self, place: u64) -> bool {
        let waiting = locked(&self.registry.waiting);
        let awaited = waiting.get(&self.peer);
        awaited.is_some_and(|awaited| awaited.greeted > place)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiting = locked(&self.registry.waiting);
        if let Some(awaited) = waiting.get_mut(&self.peer) {
            awaited.count = awaited.count.saturating_sub(1);
            if awaited.count == 0 {
                waiting.remove(&self.peer);
            }
        }
    }
}

impl Registry {
    /// Seats a new link; the older one of the same key, if any, is closed and handed back.
    pub(super) fn enter(
        self: &Arc<Self>,
        peer: PeerId,
        connection: Connection,
        outgoing: bool,
        counters: Counters,
    ) -> (Seat, Option<Arc<Live>>) {
        let live = Arc::new(Live {
            connection,
            counters,
            verify: Notify::new(),
            outgoing,
            since: Instant::now(),
            closing: Mutex::new(None),
            ended: watch::Sender::new(false),
            incarnation: Mutex::new(None),
            probes: watch::Sender::default(),
        });
        let older = locked(&self.live).insert(peer, live.clone());
        if let Some(older) = &older {
            older.close(CloseReason::Replaced);
        }
        self.entered.notify_waiters();
        let seat = Seat {
            registry: self.clone(),
            peer,
            live,
        };
        (seat, older)
    }

    /// Notes a connection whose hello is awaited; none if there are too many of that key.
    pub(super) fn await_greeting(self: &Arc<Self>, peer: PeerId) -> Option<Waiting> {
        let mut waiting = locked(&self.waiting);
        let awaited = waiting.entry(peer).or_default();
        if awaited.count >= WAITING_MAX {
            return None;
        }
        awaited.count += 1;
        Some(Waiting {
            registry: self.clone(),
            peer,
        })
    }

    pub(super) fn find(&self, peer: &PeerId) -> Option<Arc<Live>> {
        locked(&self.live).get(peer).cloned()
    }

    /// The link that `peer` dialled, when there is one.
    pub(super) async fn dialled_by(&self, peer: &PeerId) -> Arc<Live> {
        loop {
            let mut entered = pin!(self.entered.notified());
            // Whoever enters from here on is heard of.
            entered.as_mut().enable();
            if let Some(live) = self.find(peer).filter(|live| !live.outgoing) {
                return live;
            }
            entered.await;
        }
    }

    pub(super) fn close_all(&self, reason: &CloseReason) {
        let live: Vec<_> = locked(&self.live).values().cloned().collect();
        for link in live {
            link.close(reason.clone());
        }
    }
}

/// A link's place in the registry; leaving it, also by being dropped, closes the connection.
#[derive(Debug)]
pub(super) struct Seat {
    registry: Arc<Registry>,
    peer: PeerId,
    pub(super) live: Arc<Live>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.live.close(CloseReason::Shutdown);
        let mut links = locked(&self.registry.live);
        if links
            .get(&self.peer)
            .is_some_and(|live| Arc::ptr_eq(live, &self.live))
        {
            links.remove(&self.peer);
        }
        drop(links);
        self.live.ended.send_replace(true);
    }
}

/// Nothing that could panic runs under these locks.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

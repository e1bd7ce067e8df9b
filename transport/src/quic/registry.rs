//! The live links, one per key: the newest wins, any can be closed by key.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quinn::{Connection, VarInt};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

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
}

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
    entered: Notify,
}

impl Registry {
    /// Seats a new link; the older one of the same key, if any, is closed and handed back.
    pub(super) fn enter(
        self: &Arc<Self>,
        peer: PeerId,
        connection: Connection,
        outgoing: bool,
    ) -> (Seat, Option<Arc<Live>>) {
        let live = Arc::new(Live {
            connection,
            counters: Counters::default(),
            verify: Notify::new(),
            outgoing,
            since: Instant::now(),
            closing: Mutex::new(None),
            ended: watch::Sender::new(false),
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

//! Entries that peers sent and the writer has not taken yet, bounded a log.
//!
//! Order and contiguity within a log are kept; what a reconnect repeats is left out. Room is given
//! back only when the writer is done with the bytes, so a fast peer waits and costs no memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use raccordo_crdt_model::DocumentId;
use raccordo_transport::wire::frame::DATA_FRAME_BYTES_MAX;
use raccordo_transport::{LogId, PeerId, SignedEntry};
use tokio::sync::{Notify, Semaphore};

use super::quarantine::{GROUP_BYTES_MAX, GROUP_ENTRIES_MAX};
#[cfg(feature = "testing")]
use crate::planted::{Planted, planted};

/// Most bytes of bodies and headers that wait in one log's queue.
pub(crate) const QUEUE_BYTES_MAX: usize = 24 << 20;
/// A peer this many entries behind is catching up.
const CATCH_UP_ENTRIES: u64 = 2_048;
/// With so many bytes waiting, a peer that is still behind is catching up and not live.
const LIVE_BYTES: usize = 256 << 10;
/// A catching-up peer that pauses this long is served with what is there.
const PAUSE_MS: u64 = 200;
/// Most bytes that one commit takes, but for the last log's share: what memory a commit may cost.
const COMMIT_BYTES: usize = 8 << 20;
/// How soon to look again at a log that is awaited.
pub(crate) const LOOK_AGAIN_MS: u64 = PAUSE_MS / 4;
/// How long a log stays stopped whose entries could not be stored, before they are asked for again.
pub(crate) const TORN_MS: u64 = 1_000;
/// How often that time doubles while nothing can be stored.
const TEARS_MAX: u32 = 5;
/// What the peer is told meanwhile.
const TORN: &str = "entries could not be stored and are asked for again";
/// Bytes that one permit stands for.
const PERMIT_BYTES: usize = 64;
/// What an entry costs beside its body.
const HEADER_BYTES: usize = 256;
/// No entry takes less of a frame: its signature alone.
const ENTRY_BYTES_MIN: usize = 64;
/// What comes in one frame has to fit, or it would wait for room for ever.
const _: () = assert!(
    QUEUE_BYTES_MAX / (ENTRY_BYTES_MIN + HEADER_BYTES + PERMIT_BYTES)
        > DATA_FRAME_BYTES_MAX / ENTRY_BYTES_MIN
);

/// How much may wait, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// In one log's queue: bodies and headers.
    queue: usize,
    /// In all queues together: what many peers at once may cost.
    all: usize,
    /// While a peer catches up, the writer waits for so much, so that a document is opened once.
    catch_up: usize,
    /// Of a log that waits for something; it is stopped beyond that.
    waiting: usize,
}

/// The queues of all logs.
#[derive(Debug)]
pub(crate) struct Inbox {
    limits: Limits,
    queues: Mutex<BTreeMap<LogId, Queue>>,
    room: Arc<Semaphore>,
    /// The log that was taken last.
    turn: Mutex<Option<LogId>>,
    /// Tells deliveries that wait for room of a log that does not move.
    waits_changed: Notify,
}

#[derive(Debug)]
struct Queue {
    entries: VecDeque<SignedEntry>,
    bytes: usize,
    /// Highest number ever queued or taken.
    tail: u64,
    arrived_ms: u64,
    room: Arc<Semaphore>,
    /// Who sent the newest.
    peer: PeerId,
    /// What its first group waits for.
    waits: Option<Waits>,
    /// More came than there is room for while it waited, and was dropped.
    full: bool,
    /// Since when entries are missing that were dropped here and not stored.
    torn_ms: Option<u64>,
    /// How often in a row its entries could not be stored.
    tears: u32,
}

/// Entries of one log, as a peer sent them.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) log: LogId,
    pub(crate) peer: PeerId,
    pub(crate) entries: Vec<SignedEntry>,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is queued, or was a repetition.
    Queued,
    /// Its log waits for another and there is no room: it was dropped and the log is stopped.
    Full,
    /// Its first entry does not follow what is here, because the writer has dropped some: it was
    /// dropped, and its log is stopped until [`Inbox::mend`] lets the peer begin again.
    Gap,
}

/// What the first group of a queue needs and is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waits {
    /// A document that lacks something; none where it is a fact about members.
    pub(crate) document: Option<DocumentId>,
    /// Number of the entry that needs it.
    pub(crate) seq: u64,
    /// One sentence without its period.
    pub(crate) detail: String,
}

/// What the writer took of one log.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) log: LogId,
    pub(crate) peer: PeerId,
    pub(crate) entries: Vec<SignedEntry>,
}

/// Whether the writer should take entries now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ready {
    /// There is nothing.
    No,
    /// More is on its way: look again after [`LOOK_AGAIN_MS`].
    Soon,
    /// Take it.
    Yes,
}

impl Limits {
    /// Limits for queues of so many bytes.
    pub(crate) const fn scaled_to(queue: usize) -> Self {
        Self {
            queue,
            all: queue * 4,
            catch_up: queue / 6 * 5,
            waiting: queue / 24,
        }
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self::new(Limits::scaled_to(QUEUE_BYTES_MAX))
    }
}

impl Inbox {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            queues: Mutex::default(),
            room: Arc::new(Semaphore::new(limits.all / PERMIT_BYTES)),
            turn: Mutex::default(),
            waits_changed: Notify::new(),
        }
    }

    /// Bytes that wait, of all logs.
    #[cfg(feature = "testing")]
    pub(crate) fn bytes(&self) -> usize {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.values().map(|queue| queue.bytes).sum()
    }

    /// Waits for room and queues entries of one log, in order; repeats are left out.
    pub(crate) async fn put(&self, delivery: Delivery, held: u64, now_ms: u64) -> Put {
        let Delivery { log, peer, entries } = delivery;
        let room = self.room(log);
        let asked = permits(&entries);
        let many = u32::try_from(asked).unwrap_or(u32::MAX);
        loop {
            let changed = self.waits_changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.is_full(log, &entries) {
                return Put::Full;
            }
            let acquired = async {
                let own = room.acquire_many(many).await;
                let all = self.room.acquire_many(many).await;
                own.ok().zip(all.ok())
            };
            tokio::select! {
                // A log that came to wait goes before room that it gave back.
                biased;
                () = &mut changed => {}
                acquired = acquired => {
                    let Some((own, all)) = acquired else {
                        return Put::Gap;
                    };
                    own.forget();
                    all.forget();
                    break;
                }
            }
        }
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queues
            .entry(log)
            .or_insert_with(|| Queue::new(self.limits.queue));
        if queue.has_no_room_for(&entries, self.limits.waiting) {
            room.add_permits(asked);
            self.room.add_permits(asked);
            return Put::Full;
        }
        queue.tail = queue.tail.max(held);
        queue.arrived_ms = now_ms;
        queue.peer = peer;
        let follows = entries
            .first()
            .is_none_or(|first| first.header.seq <= queue.tail + 1);
        let kept = queue.following(entries);
        let unused = asked - permits(&kept);
        room.add_permits(unused);
        self.room.add_permits(unused);
        queue.bytes += kept.iter().map(cost).sum::<usize>();
        queue.entries.extend(kept);
        if follows {
            return Put::Queued;
        }
        queue.torn_ms.get_or_insert(now_ms);
        Put::Gap
    }

    /// Whether a log waits and has no room for so much more; then it is stopped until it goes on.
    fn is_full(&self, log: LogId, entries: &[SignedEntry]) -> bool {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues
            .get_mut(&log)
            .is_some_and(|queue| queue.has_no_room_for(entries, self.limits.waiting))
    }

    /// Logs of which no more can be queued now, with why: they wait and have no more room, or
    /// lack what was dropped here.
    pub(crate) fn full(&self) -> Vec<(LogId, String)> {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let why = |queue: &Queue| match &queue.waits {
            Some(waits) if queue.full => Some(waits.detail.clone()),
            _ => queue.torn_ms.map(|_| TORN.to_owned()),
        };
        let full = queues.iter();
        full.filter_map(|(log, queue)| Some((*log, why(queue)?)))
            .collect()
    }

    /// Drops what waits of a log whose entries could not be stored; it is stopped until mended.
    pub(crate) fn tear(&self, log: LogId, held: u64, now_ms: u64) {
        self.drop_log(log, held);
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get_mut(&log) {
            queue.torn_ms = Some(now_ms);
            queue.tears = queue.tears.saturating_add(1);
        }
    }

    /// Notes that entries of these logs were stored.
    pub(crate) fn stored(&self, logs: impl Iterator<Item = LogId>) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        for log in logs {
            if let Some(queue) = queues.get_mut(&log) {
                queue.tears = 0;
            }
        }
    }

    /// How many logs lack what was dropped here.
    pub(crate) fn torn(&self) -> usize {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let torn = queues.values().filter(|queue| queue.torn_ms.is_some());
        torn.count()
    }

    /// Lets the logs go on that lacked something for long enough, twice as long each time in a row;
    /// whether there was one.
    pub(crate) fn mend(&self, now_ms: u64) -> bool {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let mut mended = false;
        for queue in queues.values_mut() {
            let patience = TORN_MS << queue.tears.saturating_sub(1).min(TEARS_MAX);
            let is_due = |since: &mut u64| now_ms.saturating_sub(*since) >= patience;
            mended |= queue.torn_ms.take_if(is_due).is_some();
        }
        mended
    }

    /// All logs that wait, with what for.
    pub(crate) fn waiting(&self) -> Vec<(LogId, Waits)> {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = queues.iter();
        waiting
            .filter_map(|(log, queue)| Some((*log, queue.waits.clone()?)))
            .collect()
    }

    /// Lets the logs try again for which something changed; whether one of them was stopped.
    pub(crate) fn wake(&self, changed: impl Fn(&Waits) -> bool) -> bool {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ended = false;
        for queue in queues.values_mut() {
            if queue.waits.as_ref().is_some_and(&changed) {
                queue.waits = None;
                ended |= std::mem::take(&mut queue.full);
            }
        }
        ended
    }

    /// Whether something is worth taking, given where each log is said to end.
    pub(crate) fn ready(&self, now_ms: u64, announced: impl Fn(LogId) -> u64) -> Ready {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let all = queues
            .iter()
            .map(|(log, queue)| queue.ready(now_ms, announced(*log), self.limits));
        all.max().unwrap_or(Ready::No)
    }

    /// Takes what is worth taking, whole groups only, log by log, going on where it last stopped.
    pub(crate) fn take(&self, now_ms: u64, announced: impl Fn(LogId) -> u64) -> Vec<Taken> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = |(log, queue): (&LogId, &Queue)| {
            (queue.ready(now_ms, announced(*log), self.limits) == Ready::Yes).then_some(*log)
        };
        let mut logs: Vec<LogId> = queues.iter().filter_map(ready).collect();
        let first = logs.partition_point(|log| turn.is_some_and(|last| *log <= last));
        logs.rotate_left(first);
        let (mut all, mut bytes) = (Vec::new(), 0);
        for log in logs {
            let entries = queues.get_mut(&log).map(Queue::drain).unwrap_or_default();
            if entries.is_empty() {
                continue;
            }
            bytes += entries.iter().map(cost).sum::<usize>();
            let peer = queues[&log].peer;
            all.push(Taken { log, peer, entries });
            *turn = Some(log);
            if bytes >= COMMIT_BYTES {
                break;
            }
        }
        all
    }

    /// Gives the room back that entries held which were taken.
    pub(crate) fn done(&self, log: LogId, entries: &[SignedEntry]) {
        let permits = permits(entries);
        self.room(log).add_permits(permits);
        self.room.add_permits(permits);
    }

    /// Puts entries that were taken back to the front, where they may wait for something.
    pub(crate) fn put_back(&self, log: LogId, entries: Vec<SignedEntry>, waits: Option<Waits>) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = queues.get_mut(&log) else {
            return;
        };
        queue.bytes += entries.iter().map(cost).sum::<usize>();
        for entry in entries.into_iter().rev() {
            queue.entries.push_front(entry);
        }
        if waits.is_some() {
            queue.shorten_to(self.limits.waiting, &self.room);
            self.waits_changed.notify_waiters();
        }
        queue.waits = waits;
    }

    /// Drops what waits of a log that stopped.
    pub(crate) fn drop_log(&self, log: LogId, held: u64) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get_mut(&log) {
            let entries: Vec<_> = queue.entries.drain(..).collect();
            let permits = permits(&entries);
            queue.room.add_permits(permits);
            self.room.add_permits(permits);
            queue.bytes = 0;
            queue.tail = held;
            queue.waits = None;
            queue.full = false;
        }
    }

    fn room(&self, log: LogId) -> Arc<Semaphore> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queues
            .entry(log)
            .or_insert_with(|| Queue::new(self.limits.queue));
        Arc::clone(&queue.room)
    }
}

impl Queue {
    fn new(bytes_max: usize) -> Self {
        let room = Arc::new(Semaphore::new(bytes_max / PERMIT_BYTES));
        Self {
            entries: VecDeque::new(),
            bytes: 0,
            tail: 0,
            arrived_ms: 0,
            room,
            peer: PeerId::from_bytes([0; 32]),
            waits: None,
            full: false,
            torn_ms: None,
            tears: 0,
        }
    }

    /// Those of the entries that follow its end, one behind the other; it ends behind them then.
    fn following(&mut self, entries: Vec<SignedEntry>) -> Vec<SignedEntry> {
        let mut kept = Vec::with_capacity(entries.len());
        for entry in entries {
            let follows = entry.header.seq == self.tail + 1;
            #[cfg(feature = "testing")]
            let follows =
                follows || (planted(Planted::UnorderedAdmission) && entry.header.seq > self.tail);
            if follows {
                self.tail = entry.header.seq;
                kept.push(entry);
            }
        }
        kept
    }

    /// Whether it waits and can hold no more meanwhile.
    fn has_no_room_for(&mut self, entries: &[SignedEntry], bytes_max: usize) -> bool {
        let asked: usize = entries.iter().map(cost).sum();
        let waits = self.waits.is_some();
        self.full |= waits && self.bytes + asked > bytes_max;
        self.full
    }

    /// Drops the newest entries until the rest fits; the peer is asked for them again.
    fn shorten_to(&mut self, bytes: usize, all: &Semaphore) {
        while self.bytes > bytes {
            let Some(last) = self.entries.pop_back() else {
                return;
            };
            self.bytes -= cost(&last);
            self.tail = last.header.seq.saturating_sub(1);
            self.full = true;
            let permits = permits(std::slice::from_ref(&last));
            self.room.add_permits(permits);
            all.add_permits(permits);
        }
    }

    /// The groups that are all here.
    fn drain(&mut self) -> Vec<SignedEntry> {
        let whole = whole_groups(&self.entries);
        #[cfg(feature = "testing")]
        let whole = if planted(Planted::HalfGroupVisible) {
            self.entries.len()
        } else {
            whole
        };
        let entries: Vec<_> = self.entries.drain(..whole).collect();
        self.bytes -= entries.iter().map(cost).sum::<usize>();
        entries
    }

    fn ready(&self, now_ms: u64, announced: u64, limits: Limits) -> Ready {
        if self.entries.is_empty() || self.waits.is_some() {
            return Ready::No;
        }
        let behind = announced.saturating_sub(self.tail);
        let paused = now_ms.saturating_sub(self.arrived_ms) >= PAUSE_MS;
        let live = behind < CATCH_UP_ENTRIES && self.bytes < LIVE_BYTES;
        if behind == 0 || live || self.bytes >= limits.catch_up || paused {
            Ready::Yes
        } else {
            Ready::Soon
        }
    }
}

fn cost(entry: &SignedEntry) -> usize {
    entry.bytes().len() + HEADER_BYTES
}

/// Entry by entry, so that what is taken in other portions gives back as much as it took.
fn permits(entries: &[SignedEntry]) -> usize {
    entries
        .iter()
        .map(|entry| cost(entry).div_ceil(PERMIT_BYTES))
        .sum()
}

/// How many entries from the front belong to groups that are all there. What has begun and is
/// larger than a group may be counts as all there: it is refused at once.
fn whole_groups(entries: &VecDeque<SignedEntry>) -> usize {
    let ends_group = |entry: &SignedEntry| {
        let header = &entry.header;
        let count = u64::from(header.group_count);
        count > u64::from(GROUP_ENTRIES_MAX)
            || header.seq.saturating_add(1) >= header.group_first.saturating_add(count)
    };
    let whole = entries
        .iter()
        .rposition(ends_group)
        .map_or(0, |last| last + 1);
    let begun: usize = entries
        .range(whole..)
        .map(|entry| entry.bytes().len())
        .sum();
    if begun > GROUP_BYTES_MAX {
        entries.len()
    } else {
        whole
    }
}

#[cfg(test)]
mod tests;

//! Entries that peers sent and the writer has not taken yet, bounded a log.
//!
//! Order and contiguity within a log are kept; what a reconnect repeats is left out. Room is given
//! back only when the writer is done with the bytes, so a fast peer waits and costs no memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use raccordo_transport::{LogId, SignedEntry};
use tokio::sync::Semaphore;

/// Most bytes of bodies and headers that wait in one log's queue.
pub(crate) const QUEUE_BYTES_MAX: usize = 16 << 20;
/// While a peer catches up, the writer waits for so many bytes, so that a document is opened once.
const CATCH_UP_BYTES: usize = 12 << 20;
/// A peer this many entries behind is catching up.
const CATCH_UP_ENTRIES: u64 = 2_048;
/// A catching-up peer that pauses this long is served with what is there.
const PAUSE_MS: u64 = 200;
/// Bytes that one permit stands for.
const PERMIT_BYTES: usize = 1 << 10;
/// What an entry costs beside its body.
const HEADER_BYTES: usize = 256;

/// The queues of all logs.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    queues: Mutex<BTreeMap<LogId, Queue>>,
}

#[derive(Debug)]
struct Queue {
    entries: VecDeque<SignedEntry>,
    bytes: usize,
    /// Highest number ever queued or taken.
    tail: u64,
    arrived_ms: u64,
    room: Arc<Semaphore>,
}

/// What the writer took of one log.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) log: LogId,
    pub(crate) entries: Vec<SignedEntry>,
    permits: usize,
}

/// Whether the writer should take entries now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ready {
    /// There is nothing.
    No,
    /// More is on its way: look again after so many milliseconds.
    Soon(u64),
    /// Take it.
    Yes,
}

impl Inbox {
    /// Waits for room and queues entries of one log, in order; repeats are left out. False if the
    /// first does not follow what is here: the writer has dropped some, and the peer must repeat.
    pub(crate) async fn put(
        &self,
        log: LogId,
        held: u64,
        entries: Vec<SignedEntry>,
        now_ms: u64,
    ) -> bool {
        let room = self.room(log);
        let permits = u32::try_from(permits(&entries)).unwrap_or(u32::MAX);
        let Ok(granted) = room.acquire_many(permits).await else {
            return false;
        };
        granted.forget();
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queues.entry(log).or_insert_with(Queue::new);
        queue.tail = queue.tail.max(held);
        queue.arrived_ms = now_ms;
        let follows = entries
            .first()
            .is_none_or(|first| first.header.seq <= queue.tail + 1);
        let mut kept = Vec::with_capacity(entries.len());
        for entry in entries {
            if entry.header.seq == queue.tail + 1 {
                queue.tail += 1;
                kept.push(entry);
            }
        }
        let used = usize::try_from(permits).expect("u32 fits usize here");
        room.add_permits(used - self::permits(&kept).min(used));
        queue.bytes += kept.iter().map(cost).sum::<usize>();
        queue.entries.extend(kept);
        follows
    }

    /// Whether something is worth taking, given where each log is said to end.
    pub(crate) fn ready(&self, now_ms: u64, announced: impl Fn(LogId) -> u64) -> Ready {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ready = Ready::No;
        for (log, queue) in queues.iter().filter(|(_, queue)| !queue.entries.is_empty()) {
            let behind = announced(*log).saturating_sub(queue.tail);
            let paused = now_ms.saturating_sub(queue.arrived_ms) >= PAUSE_MS;
            if behind < CATCH_UP_ENTRIES || queue.bytes >= CATCH_UP_BYTES || paused {
                return Ready::Yes;
            }
            ready = Ready::Soon(PAUSE_MS / 4);
        }
        ready
    }

    /// Takes what is queued, whole groups only.
    pub(crate) fn take(&self) -> Vec<Taken> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::new();
        for (log, queue) in queues.iter_mut() {
            let whole = whole_groups(&queue.entries);
            let entries: Vec<_> = queue.entries.drain(..whole).collect();
            if !entries.is_empty() {
                queue.bytes -= entries.iter().map(cost).sum::<usize>();
                all.push(Taken {
                    log: *log,
                    permits: permits(&entries),
                    entries,
                });
            }
        }
        all
    }

    /// Gives the room back that what was taken held.
    pub(crate) fn done(&self, taken: &Taken) {
        self.room(taken.log).add_permits(taken.permits);
    }

    /// Drops what waits of a log that stopped.
    pub(crate) fn drop_log(&self, log: LogId, held: u64) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get_mut(&log) {
            let entries: Vec<_> = queue.entries.drain(..).collect();
            queue.room.add_permits(permits(&entries));
            queue.bytes = 0;
            queue.tail = held;
        }
    }

    fn room(&self, log: LogId) -> Arc<Semaphore> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&queues.entry(log).or_insert_with(Queue::new).room)
    }
}

impl Queue {
    fn new() -> Self {
        let room = Arc::new(Semaphore::new(QUEUE_BYTES_MAX / PERMIT_BYTES));
        Self {
            entries: VecDeque::new(),
            bytes: 0,
            tail: 0,
            arrived_ms: 0,
            room,
        }
    }
}

fn cost(entry: &SignedEntry) -> usize {
    entry.body.len() + HEADER_BYTES
}

fn permits(entries: &[SignedEntry]) -> usize {
    let bytes: usize = entries.iter().map(cost).sum();
    bytes
        .div_ceil(PERMIT_BYTES)
        .min(QUEUE_BYTES_MAX / PERMIT_BYTES)
}

/// How many entries from the front belong to groups that are all there.
fn whole_groups(entries: &VecDeque<SignedEntry>) -> usize {
    let ends_group = |entry: &SignedEntry| {
        let header = &entry.header;
        header.seq + 1 >= header.group_first + u64::from(header.group_count)
    };
    entries
        .iter()
        .rposition(ends_group)
        .map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use raccordo_transport::{EntryHeader, EntryKind};

    fn entry(seq: u64, first: u64, count: u32) -> SignedEntry {
        let header = EntryHeader {
            lane: 0,
            origin: [1; 8],
            incarnation: [2; 8],
            seq,
            prev: [0; 32],
            group_first: first,
            group_count: count,
            kind: EntryKind::Change,
            document: [0; 16],
            document_kind: 1,
            body_hash: [0; 32],
            policy_epoch: 0,
            hlc: 0,
        };
        SignedEntry {
            header,
            signature: [0; 64],
            body: vec![0; 100],
        }
    }

    fn log() -> LogId {
        LogId {
            origin: [1; 8],
            lane: 0,
        }
    }

    fn numbers(taken: &[Taken]) -> Vec<u64> {
        taken
            .iter()
            .flat_map(|t| &t.entries)
            .map(|e| e.header.seq)
            .collect()
    }

    #[tokio::test]
    async fn a_group_leaves_whole_and_what_a_reconnect_repeats_is_left_out() {
        let inbox = Inbox::default();
        inbox
            .put(log(), 0, vec![entry(1, 1, 1), entry(2, 2, 2)], 0)
            .await;
        assert_eq!(numbers(&inbox.take()), [1]);
        inbox
            .put(log(), 1, vec![entry(2, 2, 2), entry(3, 2, 2)], 0)
            .await;
        assert_eq!(numbers(&inbox.take()), [2, 3]);
    }

    #[tokio::test]
    async fn a_gap_is_told_and_nothing_after_it_is_queued() {
        let inbox = Inbox::default();
        assert!(inbox.put(log(), 0, vec![entry(1, 1, 1)], 0).await);
        assert!(!inbox.put(log(), 0, vec![entry(3, 3, 1)], 0).await);
        assert_eq!(numbers(&inbox.take()), [1]);
    }

    #[tokio::test]
    async fn a_peer_far_behind_is_awaited_until_it_pauses() {
        let inbox = Inbox::default();
        inbox.put(log(), 0, vec![entry(1, 1, 1)], 1_000).await;
        assert_eq!(inbox.ready(1_001, |_| 10_000), Ready::Soon(50));
        assert_eq!(inbox.ready(1_200, |_| 10_000), Ready::Yes);
        assert_eq!(inbox.ready(1_001, |_| 1), Ready::Yes);
    }

    #[tokio::test]
    async fn room_is_given_back_in_full() {
        let inbox = Inbox::default();
        for round in 0..10_000 {
            let seq = round * 2 + 1;
            inbox
                .put(
                    log(),
                    0,
                    vec![entry(seq, seq, 1), entry(seq + 1, seq + 1, 1)],
                    0,
                )
                .await;
            for taken in inbox.take() {
                inbox.done(&taken);
            }
        }
        assert_eq!(
            inbox.room(log()).available_permits(),
            QUEUE_BYTES_MAX / PERMIT_BYTES
        );
    }
}

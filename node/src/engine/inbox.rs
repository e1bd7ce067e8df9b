//! Entries that peers sent and the writer has not taken yet, bounded a log.
//!
//! Order and contiguity within a log are kept; what a reconnect repeats is left out. Room is given
//! back only when the writer is done with the bytes, so a fast peer waits and costs no memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use raccordo_transport::{LogId, SignedEntry};
use tokio::sync::Semaphore;

/// Most bytes of bodies and headers that wait in one log's queue.
pub(crate) const QUEUE_BYTES_MAX: usize = 24 << 20;
/// Most bytes that wait in all queues together: what many peers at once may cost.
const ALL_BYTES_MAX: usize = 96 << 20;
/// While a peer catches up, the writer waits for so many bytes, so that a document is opened once.
const CATCH_UP_BYTES: usize = 20 << 20;
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
/// Bytes that one permit stands for.
const PERMIT_BYTES: usize = 64;
/// What an entry costs beside its body.
const HEADER_BYTES: usize = 256;

/// The queues of all logs.
#[derive(Debug)]
pub(crate) struct Inbox {
    queues: Mutex<BTreeMap<LogId, Queue>>,
    room: Arc<Semaphore>,
    /// The log that was taken last.
    turn: Mutex<Option<LogId>>,
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

impl Default for Inbox {
    fn default() -> Self {
        Self {
            queues: Mutex::default(),
            room: Arc::new(Semaphore::new(ALL_BYTES_MAX / PERMIT_BYTES)),
            turn: Mutex::default(),
        }
    }
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
        let asked = permits(&entries);
        let many = u32::try_from(asked).unwrap_or(u32::MAX);
        let (Ok(own), Ok(all)) = (
            room.acquire_many(many).await,
            self.room.acquire_many(many).await,
        ) else {
            return false;
        };
        own.forget();
        all.forget();
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
        let unused = asked - permits(&kept);
        room.add_permits(unused);
        self.room.add_permits(unused);
        queue.bytes += kept.iter().map(cost).sum::<usize>();
        queue.entries.extend(kept);
        follows
    }

    /// Whether something is worth taking, given where each log is said to end.
    pub(crate) fn ready(&self, now_ms: u64, announced: impl Fn(LogId) -> u64) -> Ready {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let all = queues
            .iter()
            .map(|(log, queue)| queue.ready(now_ms, announced(*log)));
        all.max().unwrap_or(Ready::No)
    }

    /// Takes what is worth taking, whole groups only, log by log, going on where it last stopped.
    pub(crate) fn take(&self, now_ms: u64, announced: impl Fn(LogId) -> u64) -> Vec<Taken> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = |(log, queue): (&LogId, &Queue)| {
            (queue.ready(now_ms, announced(*log)) == Ready::Yes).then_some(*log)
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
            all.push(Taken { log, entries });
            *turn = Some(log);
            if bytes >= COMMIT_BYTES {
                break;
            }
        }
        all
    }

    /// Gives the room back that what was taken held.
    pub(crate) fn done(&self, taken: &Taken) {
        let permits = permits(&taken.entries);
        self.room(taken.log).add_permits(permits);
        self.room.add_permits(permits);
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

    /// The groups that are all here.
    fn drain(&mut self) -> Vec<SignedEntry> {
        let whole = whole_groups(&self.entries);
        let entries: Vec<_> = self.entries.drain(..whole).collect();
        self.bytes -= entries.iter().map(cost).sum::<usize>();
        entries
    }

    fn ready(&self, now_ms: u64, announced: u64) -> Ready {
        if self.entries.is_empty() {
            return Ready::No;
        }
        let behind = announced.saturating_sub(self.tail);
        let paused = now_ms.saturating_sub(self.arrived_ms) >= PAUSE_MS;
        let live = behind < CATCH_UP_ENTRIES && self.bytes < LIVE_BYTES;
        if behind == 0 || live || self.bytes >= CATCH_UP_BYTES || paused {
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
            body: Some(vec![0; 100]),
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
        assert_eq!(numbers(&inbox.take(u64::MAX, |_| 0)), [1]);
        inbox
            .put(log(), 1, vec![entry(2, 2, 2), entry(3, 2, 2)], 0)
            .await;
        assert_eq!(numbers(&inbox.take(u64::MAX, |_| 0)), [2, 3]);
    }

    #[tokio::test]
    async fn a_busy_log_does_not_keep_the_others_waiting() {
        let inbox = Inbox::default();
        let other = LogId {
            origin: [9; 8],
            lane: 0,
        };
        let big = |seq| SignedEntry {
            body: Some(vec![0; COMMIT_BYTES]),
            ..entry(seq, seq, 1)
        };
        for log in [log(), other] {
            inbox.put(log, 0, vec![big(1)], 0).await;
        }
        let first = inbox.take(u64::MAX, |_| 0);
        inbox.done(&first[0]);
        inbox.put(log(), 0, vec![big(2)], 0).await;
        let second = inbox.take(u64::MAX, |_| 0);
        assert_eq!([first[0].log, second[0].log], [log(), other]);
        assert_eq!([first.len(), second.len()], [1, 1]);
    }

    #[tokio::test]
    async fn a_gap_is_told_and_nothing_after_it_is_queued() {
        let inbox = Inbox::default();
        assert!(inbox.put(log(), 0, vec![entry(1, 1, 1)], 0).await);
        assert!(!inbox.put(log(), 0, vec![entry(3, 3, 1)], 0).await);
        assert_eq!(numbers(&inbox.take(u64::MAX, |_| 0)), [1]);
    }

    #[tokio::test]
    async fn a_peer_far_behind_is_awaited_until_it_pauses() {
        let inbox = Inbox::default();
        inbox.put(log(), 0, vec![entry(1, 1, 1)], 1_000).await;
        assert_eq!(inbox.ready(1_001, |_| 10_000), Ready::Soon);
        assert_eq!(inbox.ready(1_200, |_| 10_000), Ready::Yes);
        assert_eq!(inbox.ready(1_001, |_| 1), Ready::Yes);
    }

    #[tokio::test]
    async fn room_is_given_back_in_full_however_the_entries_are_taken() {
        let inbox = Inbox::default();
        for round in 0..10_000 {
            let seq = round * 2 + 1;
            inbox.put(log(), 0, vec![entry(seq, seq, 1)], 0).await;
            inbox
                .put(log(), 0, vec![entry(seq + 1, seq + 1, 1)], 0)
                .await;
            for taken in inbox.take(u64::MAX, |_| 0) {
                inbox.done(&taken);
            }
        }
        let own = inbox.room(log()).available_permits();
        assert_eq!(own, QUEUE_BYTES_MAX / PERMIT_BYTES);
        assert_eq!(inbox.room.available_permits(), ALL_BYTES_MAX / PERMIT_BYTES);
    }
}

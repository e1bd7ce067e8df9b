//! How much a peer may bring and be sent in a second, and whose turn it is at what all links share.
//!
//! Guarantees: who brought too much is not read, and who would be sent too much is not written to, until
//! the second is paid off; a peer's budget outlives its connections; links that share a limit take turns.
//! Does not know frames. A limit of 0 is none.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::identity::PeerId;

/// What may cross the links in a second; 0 means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Bytes of entries and documents that one peer may bring.
    pub receive_bytes: u64,
    /// Entries that one peer may bring.
    pub receive_entries: u64,
    /// Bytes that one peer is sent.
    pub send_bytes: u64,
    /// Bytes that all peers together are sent.
    pub send_bytes_in_all: u64,
}

/// Bytes of control frames that one peer may bring in a second.
const CONTROL_BYTES: u64 = 1 << 20;

/// What may come at once, in seconds of the limit; of control frames more.
const BURST: Duration = Duration::from_secs(1);
const CONTROL_BURST: Duration = Duration::from_secs(4);

/// A link that waits for its turn gets so many bytes at most, and no less than a packet's worth.
const TURN_BYTES_MAX: u64 = 16 << 10;
const TURN_BYTES_MIN: u64 = 1_200;

/// Turns that a limit is cut into, a second.
const TURNS_A_SECOND: u64 = 20;

/// Until when a limit is used up, on the scale of its book's time.
#[derive(Debug, Default)]
struct Bucket {
    paid_until: Duration,
}

impl Bucket {
    /// Uses up so much of a limit of `rate` a second: what was not used before counts up to a burst.
    fn spend(&mut self, now: Duration, amount: u64, rate: u64, burst: Duration) {
        if rate == 0 {
            self.paid_until = Duration::ZERO;
            return;
        }
        let nanos = u128::from(amount) * 1_000_000_000 / u128::from(rate);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let from = self.paid_until.max(now.saturating_sub(burst));
        self.paid_until = from.saturating_add(cost);
    }

    /// When something may be used again; none for now.
    fn wait(&self, now: Duration) -> Option<Duration> {
        (self.paid_until > now).then_some(self.paid_until)
    }
}

/// The buckets of one peer.
#[derive(Debug, Default)]
struct Buckets {
    bytes: Bucket,
    entries: Bucket,
    control: Bucket,
    sent: Bucket,
}

/// The budgets of all peers. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Budgets(Arc<Book>);

#[derive(Debug)]
struct Book {
    started: Instant,
    limits: Mutex<Limits>,
    peers: Mutex<BTreeMap<PeerId, Arc<Mutex<Buckets>>>>,
    /// What all links share.
    all: Mutex<Bucket>,
    /// Whoever waits for its turn at that; given in the order in which it was asked for.
    queue: tokio::sync::Mutex<()>,
}

/// One peer's budget.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    book: Arc<Book>,
    buckets: Arc<Mutex<Buckets>>,
}

impl Default for Budgets {
    fn default() -> Self {
        Self(Arc::new(Book {
            started: Instant::now(),
            limits: Mutex::default(),
            peers: Mutex::default(),
            all: Mutex::default(),
            queue: tokio::sync::Mutex::default(),
        }))
    }
}

impl Budgets {
    /// Other limits from now on.
    pub(super) fn limit(&self, limits: Limits) {
        *locked(&self.0.limits) = limits;
    }

    /// The budget of that peer, as former links left it.
    pub(super) fn of(&self, peer: &PeerId) -> Budget {
        Budget {
            book: self.0.clone(),
            buckets: locked(&self.0.peers).entry(*peer).or_default().clone(),
        }
    }
}

impl Budget {
    /// A control frame of so many bytes came.
    pub(super) fn control(&self, bytes: usize) {
        let (now, mut buckets) = (self.book.now(), locked(&self.buckets));
        let control = &mut buckets.control;
        control.spend(now, as_u64(bytes), CONTROL_BYTES, CONTROL_BURST);
    }

    /// A frame of so many bytes came on another stream.
    pub(super) fn brought(&self, bytes: usize) {
        let (now, limits) = (self.book.now(), self.book.limits());
        let bucket = &mut locked(&self.buckets).bytes;
        bucket.spend(now, as_u64(bytes), limits.receive_bytes, BURST);
    }

    /// So many entries are being taken in.
    pub(super) fn entries(&self, count: usize) {
        let (now, limits) = (self.book.now(), self.book.limits());
        let bucket = &mut locked(&self.buckets).entries;
        bucket.spend(now, as_u64(count), limits.receive_entries, BURST);
    }

    /// Until when nothing more is read on the control stream; none if it is.
    pub(super) fn control_waits(&self) -> Option<Instant> {
        self.at(locked(&self.buckets).control.wait(self.book.now()))
    }

    /// Until when nothing more is read on other streams; none if it is.
    pub(super) fn reading_waits(&self) -> Option<Instant> {
        let (now, buckets) = (self.book.now(), locked(&self.buckets));
        self.at(buckets.bytes.wait(now).max(buckets.entries.wait(now)))
    }

    /// Whether what is sent is limited now.
    pub(super) fn limits_sending(&self) -> bool {
        self.book.limits().turn().is_some()
    }

    /// Bytes went out without waiting for their turn.
    pub(super) fn sent_at_once(&self, bytes: usize) {
        self.spend_sent(as_u64(bytes));
    }

    /// Waits for a turn to write; gives how many bytes it is for.
    pub(super) async fn turn(self) -> usize {
        let own = || locked(&self.buckets).sent.wait(self.book.now());
        while let Some(at) = self.at(own()) {
            sleep_until(at).await;
        }
        let _first = self.book.queue.lock().await;
        let all = || locked(&self.book.all).wait(self.book.now());
        while let Some(at) = self.at(all()) {
            sleep_until(at).await;
        }
        let bytes = self.book.limits().turn().unwrap_or(TURN_BYTES_MAX);
        self.spend_sent(bytes);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    fn spend_sent(&self, bytes: u64) {
        let (now, limits) = (self.book.now(), self.book.limits());
        let sent = &mut locked(&self.buckets).sent;
        sent.spend(now, bytes, limits.send_bytes, BURST);
        let all = &mut locked(&self.book.all);
        all.spend(now, bytes, limits.send_bytes_in_all, BURST);
    }

    fn at(&self, wait: Option<Duration>) -> Option<Instant> {
        wait.map(|at| self.book.started + at)
    }
}

impl Book {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn limits(&self) -> Limits {
        *locked(&self.limits)
    }
}

impl Limits {
    /// How many bytes a turn is for; none without a limit on sending.
    fn turn(self) -> Option<u64> {
        let limits = [self.send_bytes, self.send_bytes_in_all];
        let least = limits.into_iter().filter(|limit| *limit > 0).min()?;
        Some((least / TURNS_A_SECOND).clamp(TURN_BYTES_MIN, TURN_BYTES_MAX))
    }
}

/// Nothing that could panic runs under these locks.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn as_u64(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_burst_is_free_and_what_goes_beyond_it_is_waited_for() {
        let mut bucket = Bucket::default();
        let now = ms(60_000);
        for _ in 0..10 {
            assert_eq!(bucket.wait(now), None);
            bucket.spend(now, 100, 1_000, BURST);
        }
        assert_eq!(bucket.wait(now), None, "just a second's worth");
        bucket.spend(now, 500, 1_000, BURST);
        assert_eq!(bucket.wait(now), Some(ms(60_500)));
        assert_eq!(bucket.wait(ms(60_500)), None);
    }

    #[test]
    fn idle_time_saves_up_no_more_than_a_burst() {
        let mut bucket = Bucket::default();
        bucket.spend(ms(1_000_000), 3_000, 1_000, BURST);
        assert_eq!(bucket.wait(ms(1_000_000)), Some(ms(1_002_000)));
    }

    #[test]
    fn no_limit_never_waits() {
        let mut bucket = Bucket::default();
        bucket.spend(ms(5), u64::MAX, 0, BURST);
        assert_eq!(bucket.wait(ms(5)), None);
    }

    #[test]
    fn a_turn_is_a_part_of_the_smaller_limit() {
        let limits = |send_bytes, send_bytes_in_all| Limits {
            send_bytes,
            send_bytes_in_all,
            ..Limits::default()
        };
        assert_eq!(limits(0, 0).turn(), None);
        assert_eq!(limits(100_000, 0).turn(), Some(5_000));
        assert_eq!(limits(100_000, 1_000).turn(), Some(TURN_BYTES_MIN));
        assert_eq!(limits(0, 1 << 30).turn(), Some(TURN_BYTES_MAX));
    }

    #[tokio::test]
    async fn a_peers_budget_outlives_its_link() {
        let budgets = Budgets::default();
        budgets.limit(Limits {
            receive_bytes: 1_000,
            ..Limits::default()
        });
        let peer = PeerId::from_bytes([1; 32]);
        budgets.of(&peer).brought(5_000);
        assert!(budgets.of(&peer).reading_waits().is_some());
        let other = PeerId::from_bytes([2; 32]);
        assert!(budgets.of(&other).reading_waits().is_none());
        budgets.limit(Limits::default());
        budgets.of(&peer).brought(1);
        assert!(budgets.of(&peer).reading_waits().is_none());
    }
}

//! Time that stands still until the world moves it, and randomness from a seed.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use raccordo_node::clock::{Clock, Entropy};

use crate::chance::Chance;

/// The unix time at which every world begins, in milliseconds.
pub(super) const BEGINNING_MS: i64 = 1_780_000_000_000;

/// The one time of a world, in milliseconds since its beginning.
#[derive(Debug, Clone, Default)]
pub(super) struct Time(Arc<AtomicU64>);

impl Time {
    /// Milliseconds since the beginning.
    pub(super) fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Moves on to a moment; never back.
    pub(super) fn advance_to(&self, now_ms: u64) {
        self.0.fetch_max(now_ms, Ordering::Relaxed);
    }
}

/// What one machine believes about the time.
#[derive(Debug)]
pub(super) struct SimulatedClock {
    time: Time,
    wrong_by_ms: AtomicI64,
}

impl SimulatedClock {
    /// A clock that is wrong by so much.
    pub(super) fn new(time: Time, wrong_by_ms: i64) -> Self {
        Self {
            time,
            wrong_by_ms: AtomicI64::new(wrong_by_ms),
        }
    }

    /// Sets the machine's wall clock by so much, either way.
    pub(super) fn jump(&self, by_ms: i64) {
        self.wrong_by_ms.fetch_add(by_ms, Ordering::Relaxed);
    }
}

impl Clock for SimulatedClock {
    fn unix_millis(&self) -> i64 {
        let since = i64::try_from(self.time.now_ms()).unwrap_or(i64::MAX);
        BEGINNING_MS + since + self.wrong_by_ms.load(Ordering::Relaxed)
    }

    fn monotonic_millis(&self) -> u64 {
        self.time.now_ms()
    }
}

/// Bytes from a seed.
#[derive(Debug)]
pub(super) struct SeededEntropy(Mutex<Chance>);

impl SeededEntropy {
    /// The bytes of this seed.
    pub(super) const fn new(seed: u64) -> Self {
        Self(Mutex::new(Chance::new(seed)))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let mut chance = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in bytes.chunks_mut(8) {
            let number = chance.number().to_be_bytes();
            chunk.copy_from_slice(&number[..chunk.len()]);
        }
    }
}

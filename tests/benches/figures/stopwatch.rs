//! Time taken, and the spread of many of them. The one place of the figures that reads the clock.

use std::time::{Duration, Instant};

/// Runs from its start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch {
    started: Instant,
}

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "a measurement reads the clock, here alone"
    )]
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Seconds since the start.
    pub(crate) fn seconds(&self) -> f64 {
        self.elapsed().as_secs_f64()
    }

    /// Milliseconds since the start.
    pub(crate) fn millis(&self) -> f64 {
        self.seconds() * 1e3
    }
}

/// Many measurements of one thing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spread {
    sorted: Vec<f64>,
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self { sorted: values }
    }

    pub(crate) fn median(&self) -> f64 {
        self.percentile(50)
    }

    /// The value that so many in a hundred do not exceed; 0 where there is none.
    pub(crate) fn percentile(&self, share: usize) -> f64 {
        let last = self.sorted.len().saturating_sub(1);
        self.sorted
            .get((self.sorted.len() * share / 100).min(last))
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn least(&self) -> f64 {
        self.percentile(0)
    }

    pub(crate) fn most(&self) -> f64 {
        self.percentile(100)
    }

    pub(crate) fn count(&self) -> usize {
        self.sorted.len()
    }
}

/// A count as a number to calculate with; exact below 2^53.
#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^53")]
pub(crate) const fn real(count: usize) -> f64 {
    count as f64
}

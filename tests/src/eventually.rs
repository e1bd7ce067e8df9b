//! The one place that waits.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// How long something that happens by itself may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(40);

/// Looks until `look` sees what it wants, and returns that; after [`PATIENCE`] panics with what
/// was seen instead.
pub async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Result<T, String>) -> T {
    within(PATIENCE, what, look).await
}

/// As [`eventually`], with another limit.
#[expect(clippy::panic, reason = "a test fails by panicking")]
pub async fn within<T>(
    limit: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let mut seen = "nothing yet".to_owned();
    let looking = async {
        loop {
            match look().await {
                Ok(found) => return found,
                Err(instead) => seen = instead,
            }
            sleep(PAUSE).await;
        }
    };
    match timeout(limit, looking).await {
        Ok(found) => found,
        Err(late) => panic!("{what}: {late}, not within {limit:?}; last seen: {seen}"),
    }
}

/// Looks again and again for a while; panics as soon as `look` sees what must not be.
pub async fn never(
    during: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<(), String>,
) {
    let looking = async {
        loop {
            if let Err(seen) = look().await {
                return seen;
            }
            sleep(PAUSE).await;
        }
    };
    let seen = timeout(during, looking).await.ok();
    assert_eq!(seen, None, "{what}");
}

/// Lets time pass, for faults that strike at a moment of their own.
pub async fn moment(long: Duration) {
    sleep(long).await;
}

/// `Ok` where the condition holds, else what was seen.
pub fn seen(holds: bool, instead: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(instead()) }
}

/// Runs from its start: how long something took, for what a story tells.
#[derive(Debug, Clone, Copy)]
pub struct Elapsed {
    started: Instant,
}

impl Elapsed {
    /// Starts now.
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// Seconds since the start.
    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

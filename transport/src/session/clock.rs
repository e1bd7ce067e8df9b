//! The wall clock between the host's words, and how far the peer's stands from it.
//!
//! Offset and round trip as NTP computes them, from two pings (or the acceptor's hello, which answers at
//! once). They are shown to people and decide nothing.

use crate::wire::Ping;

/// Both wall clocks, as far as known.
#[derive(Debug)]
pub(super) struct Clocks {
    /// The host's wall clock, and when it was said (monotonic).
    said_ms: u64,
    said_at_ms: u64,
    /// The peer's clock as last heard, and when that was (monotonic).
    heard: Option<(u64, u64)>,
}

/// How far the peer's clock stands from ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measured {
    pub(super) offset_ms: i64,
    pub(super) rtt_us: u64,
}

impl Clocks {
    pub(super) const fn new(now_ms: u64, wall_ms: u64) -> Self {
        Self {
            said_ms: wall_ms,
            said_at_ms: now_ms,
            heard: None,
        }
    }

    /// The host said the wall clock.
    pub(super) const fn set(&mut self, now_ms: u64, wall_ms: u64) {
        self.said_ms = wall_ms;
        self.said_at_ms = now_ms;
    }

    /// Our wall clock now.
    pub(super) const fn wall(&self, now_ms: u64) -> u64 {
        self.said_ms
            .saturating_add(now_ms.saturating_sub(self.said_at_ms))
    }

    /// The peer said its clock.
    pub(super) const fn heard(&mut self, now_ms: u64, clock_ms: u64) {
        self.heard = Some((clock_ms, now_ms));
    }

    /// What a ping repeats: the peer's last word and how long ago it came.
    pub(super) fn echo(&self, now_ms: u64) -> (u64, u64) {
        self.heard.map_or((0, 0), |(clock_ms, at_ms)| {
            (clock_ms, now_ms.saturating_sub(at_ms))
        })
    }

    /// What a ping that came now says about the clocks; nothing, if it contradicts itself.
    pub(super) fn measure(&self, now_ms: u64, ping: &Ping) -> Option<Measured> {
        if ping.echo_ms == 0 {
            return None;
        }
        let round_ms = self.wall(now_ms).checked_sub(ping.echo_ms)?;
        let rtt_ms = round_ms.checked_sub(ping.since_ms)?;
        let [sent, heard, answered, came] = [
            i128::from(ping.echo_ms),
            i128::from(ping.clock_ms) - i128::from(ping.since_ms),
            i128::from(ping.clock_ms),
            i128::from(self.wall(now_ms)),
        ];
        let offset_ms = i64::try_from(i128::midpoint(heard - sent, answered - came)).ok()?;
        Some(Measured {
            offset_ms,
            rtt_us: rtt_ms.saturating_mul(1_000),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ping(clock_ms: u64, echo_ms: u64, since_ms: u64) -> Ping {
        Ping {
            clock_ms,
            echo_ms,
            since_ms,
            heads: Vec::new(),
        }
    }

    #[test]
    fn offset_and_round_trip_come_out_of_one_exchange() {
        // We said 1,000; it took 20 ms each way; the peer is 500 ahead and waited 300 ms.
        let clocks = Clocks::new(0, 1_000);
        let measured = clocks.measure(340, &ping(1_820, 1_000, 300)).unwrap();
        assert_eq!(measured.offset_ms, 500);
        assert_eq!(measured.rtt_us, 40_000);
    }

    #[test]
    fn an_echo_that_cannot_be_is_no_measure() {
        let clocks = Clocks::new(0, 1_000);
        assert_eq!(clocks.measure(10, &ping(5, 0, 0)), None);
        assert_eq!(clocks.measure(10, &ping(5, 2_000, 0)), None);
        assert_eq!(clocks.measure(10, &ping(5, 1_000, 500)), None);
        assert_eq!(
            clocks
                .measure(10, &ping(u64::MAX, 1_000, 0))
                .map(|m| m.rtt_us),
            None
        );
    }
}

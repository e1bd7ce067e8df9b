//! When to dial again: failures so far → delay, with the jitter handed in.
//!
//! Guarantees: the first retry comes within a second, no delay exceeds [`DELAY_MAX_MS`], and half of
//! each delay is jitter, so that many nodes that lost one peer together do not come back together.

/// Longest delay between two dials, in milliseconds. Data is to flow within 10 s of a network's
/// return, however long it was gone: this delay, and the rest of an attempt that was under way.
pub const DELAY_MAX_MS: u64 = 5_000;

/// Longest delay before the first retry, in milliseconds.
pub const DELAY_FIRST_MS: u64 = 1_000;

/// Milliseconds to wait before the next dial after `failures` failed ones in a row.
/// `jitter` is any random number; equal inputs give equal delays.
pub fn next_delay_ms(failures: u32, jitter: u64) -> u64 {
    let doublings = failures.saturating_sub(1).min(16);
    let ceiling = (DELAY_FIRST_MS << doublings).min(DELAY_MAX_MS);
    let floor = ceiling / 2;
    floor + jitter % (ceiling - floor + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_retry_comes_within_a_second_and_no_delay_exceeds_the_cap() {
        for jitter in [0, 1, 499, 500, 501, 77_777, u64::MAX] {
            assert!(next_delay_ms(0, jitter) <= DELAY_FIRST_MS);
            assert!(next_delay_ms(1, jitter) <= DELAY_FIRST_MS);
            for failures in 0..200 {
                assert!(next_delay_ms(failures, jitter) <= DELAY_MAX_MS);
            }
        }
        assert_eq!(next_delay_ms(u32::MAX, 0), DELAY_MAX_MS / 2);
    }

    #[test]
    fn delays_grow_with_the_failures() {
        let delays: Vec<u64> = (1..=8).map(|failures| next_delay_ms(failures, 0)).collect();
        assert_eq!(delays, [500, 1000, 2000, 2500, 2500, 2500, 2500, 2500]);
    }
}

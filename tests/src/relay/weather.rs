//! What a network does to datagrams, drawn from a seed.
//!
//! The fate of a datagram depends on the seed, its way and its number on that way alone, so neither
//! what goes the other way nor the machine's pace changes it.

use std::time::Duration;

use crate::chance::Chance;

/// What the network does to each datagram; shares in percent. The default is good weather.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// Chance is made from it.
    pub seed: u64,
    /// Lost.
    pub lost: u64,
    /// Arriving twice.
    pub repeated: u64,
    /// Arriving with one bit turned over.
    pub corrupted: u64,
    /// How long every datagram is under way, in milliseconds.
    pub latency_ms: u64,
    /// Arriving later than that, and so out of order.
    pub delayed: u64,
    /// How much later at most, in milliseconds.
    pub delay_ms: u64,
}

/// Which way a datagram goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From who dialled to the target.
    Up,
    /// Back.
    Down,
}

/// One copy of a datagram that arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// After so long.
    pub after: Duration,
    /// With this bit turned over, counted from a byte that the datagram's length decides.
    pub flipped: Option<u64>,
}

impl Arrival {
    /// At once and whole.
    pub const PROMPT: Self = Self {
        after: Duration::ZERO,
        flipped: None,
    };

    /// The datagram as it arrives.
    pub fn of(&self, datagram: &[u8]) -> Vec<u8> {
        let mut copy = datagram.to_vec();
        let bits = u64::try_from(copy.len() * 8).expect("a length fits 64 bits");
        if let Some(bit) = self.flipped.and_then(|drawn| drawn.checked_rem(bits)) {
            let byte = usize::try_from(bit / 8).expect("smaller than a length");
            copy[byte] ^= 1 << (bit % 8);
        }
        copy
    }
}

impl Weather {
    /// What becomes of the datagram of this number: the copies that arrive, none if it is lost.
    pub fn fate(&self, way: Way, number: u64) -> Vec<Arrival> {
        let mut chance = self.chance(way, number);
        if chance.percent(self.lost) {
            return Vec::new();
        }
        let copies = 1 + u64::from(chance.percent(self.repeated));
        (0..copies).map(|_| self.arrival(&mut chance)).collect()
    }

    fn arrival(&self, chance: &mut Chance) -> Arrival {
        let late = chance.percent(self.delayed);
        let delay_ms = if late {
            chance.between(0, self.delay_ms)
        } else {
            0
        };
        let flipped = chance.percent(self.corrupted);
        let bit = chance.number();
        Arrival {
            after: Duration::from_millis(self.latency_ms + delay_ms),
            flipped: flipped.then_some(bit),
        }
    }

    fn chance(&self, way: Way, number: u64) -> Chance {
        let side = match way {
            Way::Up => 1,
            Way::Down => 2,
        };
        let start = Chance::new(self.seed ^ (side << 62)).number();
        Chance::new(start.wrapping_add(number.wrapping_mul(0xA076_1D64_78BD_642F)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORM: Weather = Weather {
        seed: 5,
        lost: 20,
        repeated: 10,
        corrupted: 5,
        latency_ms: 10,
        delayed: 50,
        delay_ms: 300,
    };

    #[test]
    fn the_same_seed_gives_each_datagram_the_same_fate_in_any_order() {
        let forwards: Vec<_> = (0..500).map(|number| STORM.fate(Way::Up, number)).collect();
        let mut backwards: Vec<_> = (0..500)
            .rev()
            .map(|number| {
                STORM.fate(Way::Down, number);
                STORM.fate(Way::Up, number)
            })
            .collect();
        backwards.reverse();
        assert_eq!(forwards, backwards);
        let other: Vec<_> = (0..500)
            .map(|number| STORM.fate(Way::Down, number))
            .collect();
        assert_ne!(forwards, other, "each way has its own chance");
    }

    #[test]
    fn shares_come_out_as_asked() {
        let fates: Vec<_> = (0..10_000)
            .map(|number| STORM.fate(Way::Down, number))
            .collect();
        let count = |holds: fn(&[Arrival]) -> bool| fates.iter().filter(|fate| holds(fate)).count();
        let lost = count(<[Arrival]>::is_empty);
        assert!((1_800..2_200).contains(&lost), "{lost} lost");
        let repeated = count(|fate| fate.len() == 2);
        assert!((650..950).contains(&repeated), "{repeated} repeated");
        let corrupted = count(|fate| fate.iter().any(|copy| copy.flipped.is_some()));
        assert!((330..560).contains(&corrupted), "{corrupted} corrupted");
        let bounds = Duration::from_millis(10)..=Duration::from_millis(310);
        assert!(
            fates
                .iter()
                .flatten()
                .all(|copy| bounds.contains(&copy.after))
        );
    }

    #[test]
    fn corruption_turns_exactly_one_bit_over() {
        for drawn in [0, 7, 8, 799, u64::MAX] {
            let arrival = Arrival {
                after: Duration::ZERO,
                flipped: Some(drawn),
            };
            let turned: u32 = arrival
                .of(&[0; 100])
                .iter()
                .map(|byte| byte.count_ones())
                .sum();
            assert_eq!(turned, 1);
        }
        assert_eq!(Arrival::PROMPT.of(b"whole"), b"whole");
    }
}

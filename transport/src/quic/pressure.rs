//! Whom to let into a handshake when many knock: accept, ask for proof of address, or ignore.
//!
//! Pure: time is handed in. An address that answered a retry is not asked again.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// Most handshakes under way at once.
pub(super) const HANDSHAKES_MAX: usize = 64;

/// Above this many handshakes under way an address must prove itself first.
const HANDSHAKES_EASY: usize = 16;

/// Above this many attempts a second a network must prove its addresses first.
const ATTEMPTS_PER_SECOND: u32 = 5;

/// Most networks remembered within a second.
const NETWORKS_MAX: usize = 1024;

/// What to do with an incoming connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Accept,
    Retry,
    Ignore,
}

/// Attempts of the current second, by network (/24 or /56).
#[derive(Debug, Default)]
pub(super) struct Pressure {
    second: u64,
    attempts: BTreeMap<[u8; 7], u32>,
}

impl Pressure {
    pub(super) fn decide(
        &mut self,
        now_s: u64,
        address: IpAddr,
        validated: bool,
        under_way: usize,
    ) -> Decision {
        if under_way >= HANDSHAKES_MAX {
            return Decision::Ignore;
        }
        if now_s != self.second {
            self.second = now_s;
            self.attempts.clear();
        }
        let crowded = self.attempts.len() >= NETWORKS_MAX;
        let attempts = if crowded {
            self.attempts
                .get(&network(address))
                .copied()
                .unwrap_or(u32::MAX)
        } else {
            let attempts = self.attempts.entry(network(address)).or_insert(0);
            *attempts = attempts.saturating_add(1);
            *attempts
        };
        if !validated && (under_way > HANDSHAKES_EASY || attempts > ATTEMPTS_PER_SECOND) {
            Decision::Retry
        } else {
            Decision::Accept
        }
    }
}

fn network(address: IpAddr) -> [u8; 7] {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            [4, a, b, c, 0, 0, 0]
        }
        IpAddr::V6(v6) => {
            let mut network = [0; 7];
            network.copy_from_slice(&v6.octets()[..7]);
            network
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn a_network_that_knocks_too_often_must_prove_its_address() {
        let mut pressure = Pressure::default();
        for _ in 0..ATTEMPTS_PER_SECOND {
            assert_eq!(pressure.decide(7, HERE, false, 0), Decision::Accept);
        }
        assert_eq!(pressure.decide(7, HERE, false, 0), Decision::Retry);
        assert_eq!(pressure.decide(7, HERE, true, 0), Decision::Accept);
        let elsewhere = IpAddr::V4([192, 0, 2, 1].into());
        assert_eq!(pressure.decide(7, elsewhere, false, 0), Decision::Accept);
        assert_eq!(pressure.decide(8, HERE, false, 0), Decision::Accept);
    }

    #[test]
    fn many_handshakes_under_way_ask_for_proof_and_too_many_are_ignored() {
        let mut pressure = Pressure::default();
        assert_eq!(
            pressure.decide(0, HERE, false, HANDSHAKES_EASY),
            Decision::Accept
        );
        assert_eq!(
            pressure.decide(1, HERE, false, HANDSHAKES_EASY + 1),
            Decision::Retry
        );
        assert_eq!(
            pressure.decide(2, HERE, true, HANDSHAKES_MAX),
            Decision::Ignore
        );
    }

    #[test]
    fn the_memory_of_networks_is_bounded() {
        let mut pressure = Pressure::default();
        for number in 0..5_000_u32 {
            let address = IpAddr::V4((number << 8).into());
            pressure.decide(0, address, false, 0);
        }
        assert_eq!(pressure.attempts.len(), NETWORKS_MAX);
        let unseen = IpAddr::V4([250, 0, 0, 1].into());
        assert_eq!(pressure.decide(0, unseen, false, 0), Decision::Retry);
    }
}

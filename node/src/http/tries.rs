//! How many passwords are tried on one account, from wherever they come.
//!
//! Slows down who guesses from many addresses and locks nobody out: whoever entered with the account
//! from an address before goes on from there, and an address that has not tried yet has one try, up to
//! a number. In memory, by hashed names; time is monotonic milliseconds, handed in.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::session::{SessionKey, WINDOW_MS};

/// Passwords evaluated for one account within [`WINDOW_MS`], however many addresses they come from.
const TRIES_MAX: u32 = 20;
/// After that, addresses that have not tried yet and may once.
const NEWCOMERS_MAX: u32 = 20;
/// Accounts remembered; the oldest gives way.
const ACCOUNTS_MAX: usize = 1024;
/// Addresses remembered from which somebody entered with an account; the oldest gives way.
const HOMES_MAX: usize = 8;

type Address = Option<IpAddr>;

/// Tries lately, and from where each account was entered.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    windows: BTreeMap<SessionKey, Tries>,
    homes: BTreeMap<SessionKey, Homes>,
}

#[derive(Debug)]
struct Tries {
    started_ms: u64,
    count: u32,
    newcomers: u32,
    addresses: BTreeSet<Address>,
}

#[derive(Debug, Default)]
struct Homes {
    seen_ms: u64,
    /// The newest last.
    addresses: Vec<Address>,
}

impl Accounts {
    /// Takes one try of an account from an address, or says how many seconds to wait.
    pub(crate) fn attempt(
        &mut self,
        account: SessionKey,
        address: Address,
        now_ms: u64,
    ) -> Result<(), u64> {
        self.windows
            .retain(|_, tries| now_ms.saturating_sub(tries.started_ms) < WINDOW_MS);
        let homes = self.homes.get(&account);
        if homes.is_some_and(|homes| homes.addresses.contains(&address)) {
            return Ok(());
        }
        if !self.windows.contains_key(&account) {
            make_room(&mut self.windows, |tries| tries.started_ms);
        }
        let tries = self.windows.entry(account).or_insert_with(|| Tries {
            started_ms: now_ms,
            count: 0,
            newcomers: 0,
            addresses: BTreeSet::new(),
        });
        if tries.count < TRIES_MAX {
            tries.count += 1;
        } else if tries.newcomers < NEWCOMERS_MAX && !tries.addresses.contains(&address) {
            tries.newcomers += 1;
        } else {
            let elapsed = now_ms.saturating_sub(tries.started_ms);
            return Err((WINDOW_MS - elapsed).div_ceil(1000));
        }
        tries.addresses.insert(address);
        Ok(())
    }

    /// Somebody entered with the account: a right try takes nothing, and the address is known.
    pub(crate) fn forgive(&mut self, account: SessionKey, address: Address, now_ms: u64) {
        let known = self.homes.get(&account);
        let known = known.is_some_and(|homes| homes.addresses.contains(&address));
        // From a known address no try was taken.
        if let Some(tries) = self.windows.get_mut(&account).filter(|_| !known) {
            tries.count = tries.count.saturating_sub(1);
        }
        if !self.homes.contains_key(&account) {
            make_room(&mut self.homes, |homes| homes.seen_ms);
        }
        let homes = self.homes.entry(account).or_default();
        homes.seen_ms = now_ms;
        homes.addresses.retain(|one| *one != address);
        homes.addresses.push(address);
        if homes.addresses.len() > HOMES_MAX {
            homes.addresses.remove(0);
        }
    }
}

/// Lets the oldest go where there are too many.
fn make_room<T>(all: &mut BTreeMap<SessionKey, T>, since: impl Fn(&T) -> u64) {
    if all.len() < ACCOUNTS_MAX {
        return;
    }
    let oldest = all.iter().min_by_key(|(_, one)| since(one));
    if let Some(oldest) = oldest.map(|(key, _)| *key) {
        all.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: SessionKey = [1; 32];
    const BRUNO: SessionKey = [2; 32];

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn tries_on_an_account_are_counted_over_all_addresses_and_others_go_on() {
        let mut accounts = Accounts::default();
        let mut evaluated = 0;
        for round in 0..20 {
            for from in 1..=3 {
                let taken = accounts.attempt(ANNA, Some(address(from)), 1_000 + round);
                evaluated += u32::from(taken.is_ok());
            }
        }
        assert_eq!(evaluated, TRIES_MAX);
        assert_eq!(accounts.attempt(ANNA, Some(address(1)), 31_000), Err(30));
        assert_eq!(accounts.attempt(BRUNO, Some(address(1)), 31_000), Ok(()));
        assert_eq!(accounts.attempt(ANNA, Some(address(1)), 61_000), Ok(()));
    }

    #[test]
    fn who_comes_from_elsewhere_or_entered_before_is_not_kept_out_by_others_tries() {
        let mut accounts = Accounts::default();
        accounts.attempt(ANNA, Some(address(9)), 0).unwrap();
        accounts.forgive(ANNA, Some(address(9)), 0);
        for _ in 0..TRIES_MAX {
            accounts.attempt(ANNA, Some(address(1)), 1_000).unwrap();
        }
        assert_eq!(
            accounts.attempt(ANNA, Some(address(2)), 1_000),
            Ok(()),
            "one try"
        );
        assert!(
            accounts.attempt(ANNA, Some(address(2)), 1_000).is_err(),
            "and no second"
        );
        for _ in 0..100 {
            assert_eq!(accounts.attempt(ANNA, Some(address(9)), 1_000), Ok(()));
        }
    }

    #[test]
    fn a_guesser_with_any_number_of_addresses_has_a_bounded_number_of_tries() {
        let mut accounts = Accounts::default();
        let mut evaluated = 0;
        for number in 0..2_000_u32 {
            let from = Some(IpAddr::from(number.to_be_bytes()));
            evaluated += u32::from(accounts.attempt(ANNA, from, 1_000).is_ok());
        }
        assert_eq!(evaluated, TRIES_MAX + NEWCOMERS_MAX);
    }

    #[test]
    fn names_without_end_take_bounded_memory() {
        let mut accounts = Accounts::default();
        for number in 0..3_000_u64 {
            let mut name = [0; 32];
            name[..8].copy_from_slice(&number.to_be_bytes());
            accounts.attempt(name, Some(address(1)), number).unwrap();
            accounts.forgive(name, Some(address(1)), number);
        }
        assert!(accounts.windows.len() <= ACCOUNTS_MAX && accounts.homes.len() <= ACCOUNTS_MAX);
    }
}

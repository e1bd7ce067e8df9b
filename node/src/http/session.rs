//! Who is signed in on the pages, and how many wrong tokens came lately.
//!
//! A session is 256 random bits in a cookie; this node keeps only their hash, in memory, so a
//! restart ends all sessions and nothing on disk lets anyone in. Time is monotonic milliseconds,
//! handed in.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::{Entropy, draw};
use crate::engine::Credential;
use crate::http::json::hex;
use crate::http::tries::Accounts;

/// A session ends after this long without a person's request.
pub(crate) const IDLE_MS_MAX: u64 = 15 * 60_000;
/// A session ends after this long in any case.
pub(crate) const AGE_MS_MAX: u64 = 10 * 3_600_000;
/// Sessions kept; the longest idle one gives way.
const SESSIONS_MAX: usize = 4096;
/// Wrong tokens evaluated for one address within [`WINDOW_MS`].
pub(crate) const FAILURES_MAX: u32 = 20;
pub(crate) const WINDOW_MS: u64 = 60_000;
/// Addresses remembered; the oldest window gives way.
const ADDRESSES_MAX: usize = 1024;

/// Names a session inside this process: the hash of what the cookie carries.
pub(crate) type SessionKey = [u8; 32];

/// All open sessions.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: Mutex<BTreeMap<SessionKey, Session>>,
}

struct Session {
    /// Asked again at each request, so that a withdrawn token or a disabled account ends its sessions.
    credential: Credential,
    opened_ms: u64,
    seen_ms: u64,
}

/// Whether a request shows that a person is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// A person opened a page or sent a form.
    Person,
    /// The page refreshed itself: must not keep an abandoned screen signed in.
    Refresh,
}

impl Sessions {
    /// Opens a session and gives the secret for the cookie, 64 hex digits.
    pub(crate) fn open(
        &self,
        credential: Credential,
        now_ms: u64,
        entropy: &dyn Entropy,
    ) -> String {
        let secret = hex(&draw::<32>(entropy));
        let mut open = self.locked();
        open.retain(|_, session| session.is_alive(now_ms));
        if open.len() >= SESSIONS_MAX {
            let idlest = open
                .iter()
                .min_by_key(|(_, session)| session.seen_ms)
                .map(|(key, _)| *key);
            if let Some(key) = idlest {
                open.remove(&key);
            }
        }
        open.insert(
            key_of(&secret),
            Session {
                credential,
                opened_ms: now_ms,
                seen_ms: now_ms,
            },
        );
        secret
    }

    /// What this session was opened with, if it is alive.
    pub(crate) fn find(
        &self,
        secret: &str,
        presence: Presence,
        now_ms: u64,
    ) -> Option<(SessionKey, Credential)> {
        let key = key_of(secret);
        let mut open = self.locked();
        let session = open.get_mut(&key)?;
        if !session.is_alive(now_ms) {
            open.remove(&key);
            return None;
        }
        if presence == Presence::Person {
            session.seen_ms = now_ms;
        }
        Some((key, session.credential.clone()))
    }

    /// Whether the session still lasts.
    pub(crate) fn is_alive(&self, key: &SessionKey, now_ms: u64) -> bool {
        self.locked()
            .get(key)
            .is_some_and(|session| session.is_alive(now_ms))
    }

    /// Ends the session with this secret.
    pub(crate) fn close(&self, secret: &str) {
        self.locked().remove(&key_of(secret));
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<SessionKey, Session>> {
        // Each change of the map is a single call, so a panic elsewhere cannot leave it half done.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Session")
            .field("seen_ms", &self.seen_ms)
            .finish_non_exhaustive()
    }
}

impl Session {
    fn is_alive(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.seen_ms) <= IDLE_MS_MAX
            && now_ms.saturating_sub(self.opened_ms) <= AGE_MS_MAX
    }
}

/// Wrong tokens and passwords lately, by address; wrong passwords also by account.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    windows: Mutex<BTreeMap<Option<IpAddr>, Window>>,
    accounts: Mutex<Accounts>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    started_ms: u64,
    count: u32,
}

impl Failures {
    /// Seconds to wait before another token from this address is evaluated; none if now.
    pub(crate) fn wait_s(&self, address: Option<IpAddr>, now_ms: u64) -> Option<u64> {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.get(&address)?;
        let elapsed = now_ms.saturating_sub(window.started_ms);
        (elapsed < WINDOW_MS && window.count >= FAILURES_MAX)
            .then(|| (WINDOW_MS - elapsed).div_ceil(1000))
    }

    /// Takes one of the attempts that this address has, and that an account has where one is named,
    /// before it is evaluated: those that come at the same time count too. The seconds to wait where
    /// none is left. A name that nobody has counts like any.
    pub(crate) fn attempt(
        &self,
        address: Option<IpAddr>,
        account: Option<&str>,
        now_ms: u64,
    ) -> Result<(), u64> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = windows.get(&address) {
            let elapsed = now_ms.saturating_sub(window.started_ms);
            if elapsed < WINDOW_MS && window.count >= FAILURES_MAX {
                return Err((WINDOW_MS - elapsed).div_ceil(1000));
            }
        }
        if let Some(name) = account {
            self.accounts()
                .attempt(account_key(name), address, now_ms)?;
        }
        counted(&mut windows, address, now_ms);
        Ok(())
    }

    /// Gives an attempt back that turned out right.
    pub(crate) fn forgive(&self, address: Option<IpAddr>, account: Option<&str>, now_ms: u64) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = windows.get_mut(&address) {
            window.count = window.count.saturating_sub(1);
        }
        if let Some(name) = account {
            self.accounts().forgive(account_key(name), address, now_ms);
        }
    }

    /// Counts one wrong token.
    pub(crate) fn count(&self, address: Option<IpAddr>, now_ms: u64) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        counted(&mut windows, address, now_ms);
    }

    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn counted(windows: &mut BTreeMap<Option<IpAddr>, Window>, address: Option<IpAddr>, now_ms: u64) {
    windows.retain(|_, window| now_ms.saturating_sub(window.started_ms) < WINDOW_MS);
    if windows.len() >= ADDRESSES_MAX && !windows.contains_key(&address) {
        let oldest = windows
            .iter()
            .min_by_key(|(_, window)| window.started_ms)
            .map(|(key, _)| *key);
        if let Some(key) = oldest {
            windows.remove(&key);
        }
    }
    windows
        .entry(address)
        .or_insert(Window {
            started_ms: now_ms,
            count: 0,
        })
        .count += 1;
}

/// What an account is remembered by: people type passwords where names belong.
fn account_key(name: &str) -> SessionKey {
    key_of(&name.trim().to_lowercase())
}

fn key_of(secret: &str) -> SessionKey {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, secret.as_bytes());
    let mut key = [0; 32];
    key.copy_from_slice(digest.as_ref());
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemEntropy;

    fn token() -> Credential {
        Credential::Token([7; 32])
    }

    #[test]
    fn a_session_ends_after_fifteen_idle_minutes_and_after_ten_hours() {
        let sessions = Sessions::default();
        let secret = sessions.open(token(), 0, &SystemEntropy);
        assert_eq!(secret.len(), 64);
        let mut now = 0;
        while now + IDLE_MS_MAX <= AGE_MS_MAX {
            now += IDLE_MS_MAX;
            assert!(
                sessions.find(&secret, Presence::Person, now).is_some(),
                "at {now}"
            );
        }
        assert!(
            sessions
                .find(&secret, Presence::Person, AGE_MS_MAX + 1)
                .is_none()
        );

        let idle = sessions.open(token(), 0, &SystemEntropy);
        assert!(
            sessions
                .find(&idle, Presence::Person, IDLE_MS_MAX + 1)
                .is_none()
        );
    }

    #[test]
    fn a_page_that_refreshes_itself_does_not_keep_the_session_alive() {
        let sessions = Sessions::default();
        let secret = sessions.open(token(), 0, &SystemEntropy);
        let (key, _) = sessions
            .find(&secret, Presence::Refresh, IDLE_MS_MAX)
            .unwrap();
        assert!(sessions.is_alive(&key, IDLE_MS_MAX));
        assert!(
            sessions
                .find(&secret, Presence::Refresh, IDLE_MS_MAX + 1)
                .is_none()
        );
    }

    #[test]
    fn a_closed_or_invented_session_opens_nothing() {
        let sessions = Sessions::default();
        let secret = sessions.open(token(), 0, &SystemEntropy);
        sessions.close(&secret);
        assert!(sessions.find(&secret, Presence::Person, 1).is_none());
        assert!(
            sessions
                .find("chosen-by-the-attacker", Presence::Person, 1)
                .is_none()
        );
    }

    #[test]
    fn attempts_that_come_together_are_counted_before_they_are_evaluated() {
        let failures = Failures::default();
        let address = Some(IpAddr::from([10, 0, 0, 1]));
        for _ in 0..FAILURES_MAX {
            assert_eq!(failures.attempt(address, None, 1_000), Ok(()));
        }
        assert_eq!(failures.attempt(address, None, 1_500), Err(60));
        failures.forgive(address, None, 1_500);
        assert_eq!(
            failures.attempt(address, None, 1_500),
            Ok(()),
            "a right one takes nothing"
        );
    }

    #[test]
    fn twenty_wrong_tokens_a_minute_are_evaluated_for_an_address_and_others_go_on() {
        let failures = Failures::default();
        let hostile = Some(IpAddr::from([10, 0, 0, 1]));
        for _ in 0..FAILURES_MAX {
            assert_eq!(failures.wait_s(hostile, 1_000), None);
            failures.count(hostile, 1_000);
        }
        assert_eq!(failures.wait_s(hostile, 1_500), Some(60));
        assert_eq!(
            failures.wait_s(Some(IpAddr::from([10, 0, 0, 2])), 1_500),
            None
        );
        assert_eq!(failures.wait_s(hostile, 61_001), None);
    }
}

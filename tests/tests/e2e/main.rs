//! Stories about whole nodes: real processes, real stores, real sockets.
//!
//! One module a story; each test is named as what it proves. No test waits except through
//! `raccordo_tests::eventually`, and each has its own folder and ports.

mod accounts;
mod bad_input;
mod canaries;
mod clone;
mod configuration;
mod conflict;
mod crash;
mod crowd;
mod demo;
mod devices;
mod disk;
mod erasure;
mod events;
mod export;
mod guide;
mod hostile;
mod https;
mod import;
mod invitation;
mod kinds;
mod levels;
mod network;
mod partition;
mod published;
mod quarantine;
mod reading;
mod relay;
mod repair;
mod restart;
mod revocation;
mod rollback;
mod seen;
mod subject;
mod token_key;
mod transfer;
mod transfer_killed;
mod two_nodes;
mod whole_way;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_raccordo-under-test");

/// A number from the environment, or the default.
fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(default, |text| text.parse().expect("a number"))
}

//! The Raccordo node: one district's (or the coordination's) records, on its own disk,
//! replicated to its peers.
//!
//! Data goes one way: request → command → change → store → replication → peer → store →
//! overview. `engine` is the one door through which changes enter, local and remote alike;
//! `store` alone names a storage engine; `http` and `cli` are edges that own their formats.

pub mod access;
pub mod cli;
pub mod clock;
pub mod engine;
pub mod http;
#[cfg(feature = "testing")]
pub mod planted;
pub mod store;
pub mod telemetry;

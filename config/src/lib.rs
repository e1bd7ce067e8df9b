//! `raccordo.toml` and invitations: text from people, parsed once into what is meant.
//!
//! Guarantees: a configuration is whole or refused, and a refusal names every problem at
//! once with line, key, reason and remedy, before anything is started. An invitation's text
//! proves by a check sum that it was copied whole. Does not know nodes, stores or sockets.

#![warn(missing_docs)]

mod change;
mod check;
mod file;
mod invitation;
mod keys;
mod peer;
mod raw;
mod settings;
mod template;
mod territory;

pub use change::{Changed, When, changes};
pub use check::check;
pub use file::{LoadFailed, load, load_examined};
pub use invitation::{BadInvitation, BadLifetime, Invitation, LIFETIME_S_MAX, parse_lifetime};
pub use peer::{BadPeerKey, PeerKey};
pub use raw::Problem;
pub use settings::{
    Config, Http, Limits, LogFormat, Logs, Network, Node, Overview, Peers, Replication, Retention,
    Role, Store, StoreEngine,
};
pub use template::{InitialSettings, template};
pub use territory::{BadTerritory, Territory};

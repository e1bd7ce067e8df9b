//! The configuration as meant: no text that is really a number, an address or a key.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::{PeerKey, Territory};

/// What a node is, as its file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `[node]`
    pub node: Node,
    /// `[network]`
    pub network: Network,
    /// `[http]`
    pub http: Http,
    /// `[store]`
    pub store: Store,
    /// `[limits]`
    pub limits: Limits,
    /// `[replication]`
    pub replication: Replication,
    /// `[overview]`
    pub overview: Overview,
    /// `[retention]`
    pub retention: Retention,
    /// `[logs]`
    pub logs: Logs,
    /// `[peers]`
    pub peers: Peers,
}

/// Who the node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The territory it is bound to for life.
    pub territory: Territory,
    /// What it does in the federation.
    pub role: Role,
    /// What people call it; 1 to 80 characters.
    pub name: String,
}

/// How peers reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// UDP address it listens on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// `host:port` that invitations carry; `None` is the listen address.
    pub advertise: Option<String>,
}

/// How people and programs reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// TCP address it serves pages and the API on; port 0 takes a free one.
    pub address: SocketAddr,
    /// Certificate chain, PEM; only together with `key`.
    pub cert: Option<PathBuf>,
    /// Private key, PEM.
    pub key: Option<PathBuf>,
    /// Whether a proxy before it speaks HTTPS.
    pub behind_proxy: bool,
}

/// How what is held is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replication {
    /// Seconds between two comparisons of all documents shared with a peer.
    pub proof_every_s: u32,
    /// Stored documents read again each minute; 0 is none.
    pub scrub_per_minute: u32,
}

/// Where records are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The storage engine it was founded with.
    pub engine: StoreEngine,
    /// Memory for the engine's cache, in MiB.
    pub cache_mib: u32,
    /// Disk space that stays free, in MiB; `None` is the smaller of 512 and 5 %.
    pub reserve_mib: Option<u32>,
}

/// Bounds on memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Documents kept in memory.
    pub document_cache: u32,
    /// KiB a second that one peer is sent; 0 is no limit.
    pub send_kib_s: u32,
    /// KiB a second that all peers together are sent; 0 is no limit.
    pub send_all_kib_s: u32,
    /// KiB a second that one peer may bring; 0 is no limit.
    pub receive_kib_s: u32,
}

/// How the overview judges age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// Seconds without contact after which a territory is shown as stale.
    pub stale_after_s: u32,
}

/// How long records are kept after their last change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Days for a person with their casefile; 0 is no period.
    pub person_days: u32,
    /// Days for a household; 0 is no period.
    pub household_days: u32,
    /// Days for a contact; 0 is no period.
    pub contact_days: u32,
    /// Days for a project that ended; 0 is no period.
    pub project_days: u32,
    /// Whether nothing is erased before its period is over.
    pub binding: bool,
}

/// What is logged and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logs {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// One line of text or one JSON object an event.
    pub format: LogFormat,
}

/// Exceptions to the signed roster on this node alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// Keys that may connect although no roster names them.
    pub pin: Vec<PeerKey>,
    /// Keys that may not connect whatever the roster says.
    pub refuse: Vec<PeerKey>,
}

/// What a node does in the federation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Keeps a territory's own records.
    District,
    /// Watches over districts.
    Coordination,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 2] = [Self::District, Self::Coordination];

    /// The word in files, commands and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::District => "district",
            Self::Coordination => "coordination",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// The number in invitations and on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::District => 0,
            Self::Coordination => 1,
        }
    }

    /// The role of that number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.code() == code)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A storage engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreEngine {
    /// sled 0.34.7
    Sled,
    /// redb 4
    Redb,
}

impl StoreEngine {
    /// Every engine.
    pub const ALL: [Self; 2] = [Self::Sled, Self::Redb];

    /// The word in files, commands and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sled => "sled",
            Self::Redb => "redb",
        }
    }

    /// The engine of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|engine| engine.name() == name)
    }
}

impl fmt::Display for StoreEngine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl LogFormat {
    /// Every format.
    pub const ALL: [Self; 2] = [Self::Text, Self::Json];

    /// The word in files and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

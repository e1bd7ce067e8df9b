//! Where in which log: the names and positions that two peers exchange.
//!
//! A log is one origin's append-only chain in one lane; its entries are numbered from 1.
//! Does not know what a lane means, nor how a log is stored.

use std::fmt;

/// One append-only log: the origin that writes it and its lane.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// First 8 bytes of the writing node's public key.
    pub origin: [u8; 8],
    /// 0 shared, 1 territory, 2 everyone; each lane is a chain of its own.
    pub lane: u8,
}

impl LogId {
    /// The log of `origin` in `lane`.
    pub const fn new(origin: [u8; 8], lane: u8) -> Self {
        Self { origin, lane }
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.origin {
            write!(formatter, "{byte:02x}")?;
        }
        write!(formatter, "/{}", self.lane)
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "LogId({self})")
    }
}

/// A position in a log: everything up to and including `seq`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The log.
    pub log: LogId,
    /// Number of the last entry covered; 0 covers nothing.
    pub seq: u64,
    /// Entry hash of that entry; zeros at 0.
    pub hash: [u8; 32],
}

impl Cursor {
    /// The position before a log's first entry.
    pub const fn start(log: LogId) -> Self {
        Self {
            log,
            seq: 0,
            hash: [0; 32],
        }
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "Cursor({}@{} {:02x}{:02x})",
            self.log, self.seq, self.hash[0], self.hash[1]
        )
    }
}

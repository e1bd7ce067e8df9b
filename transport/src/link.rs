//! What a link tells its host: who is there, what it said, how it went, why it ended.
//!
//! Plain data; nothing here decides. The same reasons travel to the peer as a refusal (`wire::message`).

use std::fmt;
use std::net::SocketAddr;

use crate::entry::BadEntry;
use crate::log::{Cursor, LogId};

/// A major protocol version and the range of minor ones spoken within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// Also the ALPN: `raccordo/<major>`.
    pub major: u8,
    /// Oldest minor version spoken.
    pub minor_min: u8,
    /// Newest minor version spoken.
    pub minor_max: u8,
}

impl Versions {
    /// What this build speaks.
    pub const CURRENT: Self = Self {
        major: 1,
        minor_min: 0,
        minor_max: 0,
    };

    /// The newest minor version that both speak, if there is one.
    pub fn common(&self, other: &Self) -> Option<u8> {
        let newest = self.minor_max.min(other.minor_max);
        let oldest = self.minor_min.max(other.minor_min);
        (self.major == other.major && oldest <= newest).then_some(newest)
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor_min)?;
        if self.minor_max != self.minor_min {
            write!(formatter, "–{}.{}", self.major, self.minor_max)?;
        }
        Ok(())
    }
}

/// Which of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// This node.
    Ours,
    /// The peer.
    Theirs,
}

/// What the peer said of itself in its hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteHello {
    /// What it speaks.
    pub versions: Versions,
    /// Optional features it understands; unknown bits mean nothing here.
    pub features: u64,
    /// Its store's lineage.
    pub lineage: [u8; 8],
    /// Its process's start.
    pub incarnation: [u8; 8],
    /// 0 district, 1 coordination.
    pub role: u8,
    /// Its wall clock when it wrote the hello, unix milliseconds.
    pub clock_ms: u64,
    /// Number of the newest roster entry it knows.
    pub policy_epoch: u32,
    /// How it regards us: only with `Approved` on both sides do entries flow.
    pub standing: crate::host::Standing,
}

/// A log that one side lost the end of: somebody holds more of it, or something else, than its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rollback {
    /// The log.
    pub log: LogId,
    /// Up to where the other side durably holds it.
    pub held_seq: u64,
    /// Hash of the entry that it holds there, where this side knows it; does not travel.
    pub held_hash: Option<[u8; 32]>,
    /// Where it ends now at its owner.
    pub head_seq: u64,
    /// Who lost it.
    pub whose: Side,
}

/// Bytes and time of one link since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkStatistics {
    /// Bytes of our frames written to streams.
    pub stream_sent: u64,
    /// Bytes of frames read from streams.
    pub stream_received: u64,
    /// UDP payload sent, handshake and retransmissions included.
    pub udp_sent: u64,
    /// UDP payload received.
    pub udp_received: u64,
    /// Smoothed round trip, microseconds.
    pub rtt_us: u64,
}

/// What happened on a link. Events of one link arrive in order; `Closed` is the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// Both hellos were exchanged and accepted. The peer may still be pending (`remote.standing`).
    Connected {
        /// What it said of itself.
        remote: RemoteHello,
        /// Where it speaks from.
        address: SocketAddr,
        /// Whether we dialled.
        outgoing: bool,
    },
    /// The peer was heard; at most one of these a second.
    Contact {
        /// Its wall clock, where it said it (unix milliseconds).
        clock_ms: Option<u64>,
    },
    /// How the peer regards us, when that changes after the hello.
    Regarded {
        /// Its word.
        standing: crate::host::Standing,
    },
    /// Ends of logs that the peer offers, as far as they are news.
    Announced {
        /// One cursor a log.
        heads: Vec<Cursor>,
    },
    /// The peer holds our logs durably up to here.
    Acked {
        /// One cursor a log; only what advanced.
        cursors: Vec<Cursor>,
    },
    /// One side takes no more of a log, for now.
    Stopped {
        /// Who does not take it.
        by: Side,
        /// Where it stands there, and why.
        stopped: crate::host::Stopped,
    },
    /// A log that one side had stopped goes on.
    Resumed {
        /// Who takes it again.
        by: Side,
        /// Which log.
        log: LogId,
    },
    /// One side lost entries of its own log that the other durably holds; the link goes on.
    RolledBack(Rollback),
    /// The peer's signed word about one entry, where cursors contradict each other.
    Evidence {
        /// The entry's header, its signature not yet verified.
        signed: Box<crate::entry::SignedHeader>,
    },
    /// Logs that one side holds and the other does not offer (any more).
    Scope {
        /// Who does not offer them.
        by: Side,
        /// All of them.
        withdrawn: Vec<LogId>,
    },
    /// A second node with the peer's key said hello while the first still answered; it was sent away.
    Cloned {
        /// The start that the second one named.
        incarnation: [u8; 8],
    },
    /// How far the peer's wall clock stands from ours, by the last exchange.
    Clock {
        /// Theirs minus ours, milliseconds.
        offset_ms: i64,
        /// Round trip of the exchange, microseconds: the offset is known to half of it.
        rtt_us: u64,
    },
    /// Both sides held the same entries and compared digests.
    Compared {
        /// Whether the digests were equal.
        equal: bool,
    },
    /// Both sides compared every document that they share, and know which differ.
    Reconciled {
        /// Documents compared here.
        items: usize,
        /// How many differ: missing on one side, or not the same on both.
        differing: usize,
        /// Round trips.
        rounds: u32,
        /// Bytes of all its frames, both ways.
        bytes: usize,
    },
    /// Documents that differed or were damaged came from the peer; the host judged and installed them.
    Repaired {
        /// How many came.
        documents: usize,
    },
    /// The peer durably knows that people here have opened these.
    SeenTold {
        /// As they were told.
        seen: Vec<crate::host::Seen>,
    },
    /// Counters, at every ping and at the end.
    Stats(LinkStatistics),
    /// The link is over.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// Why a link ended, or never began.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// The peer's membership, or ours at the peer, was revoked.
    #[error("the membership was revoked")]
    Revoked,
    /// The peer's membership, or ours at the peer, is suspended.
    #[error("the membership is suspended")]
    Suspended,
    /// The key is admitted to the handshake and yet no member.
    #[error("the key is not a member's")]
    Unknown,
    /// The handshake failed: the peer does not admit our key, or has another key than expected.
    #[error("the handshake was refused: {detail}")]
    Refused {
        /// What TLS said.
        detail: String,
    },
    /// No protocol version in common.
    #[error("no protocol version in common: we speak {ours}, they speak {}", spoken(.theirs.as_ref()))]
    Version {
        /// What we speak.
        ours: Versions,
        /// What they speak, if they could say it.
        theirs: Option<Versions>,
    },
    /// One side lost entries that the other durably holds.
    #[error("log {} was rolled back on {} side: it ends at {}, the other side holds {}", .0.log, side(.0.whose), .0.head_seq, .0.held_seq)]
    RolledBack(Rollback),
    /// An entry was refused.
    #[error("{} side refused: {}", side(*.by), .entry)]
    BadEntry {
        /// Which, and what is wrong with it.
        entry: BadEntry,
        /// Who refused it.
        by: Side,
    },
    /// A rule of the protocol was broken.
    #[error("the protocol was broken: {detail}")]
    Protocol {
        /// Which rule.
        detail: String,
    },
    /// A host (ours or the peer's) could not read or take entries.
    #[error("a store failed: {detail}")]
    HostFailed {
        /// What it said.
        detail: String,
    },
    /// The peer cannot be reached, or went away.
    #[error("the peer is unreachable: {detail}")]
    Unreachable {
        /// What the network said.
        detail: String,
    },
    /// Nothing was heard for too long.
    #[error("the peer was silent for too long")]
    Silent,
    /// Another node uses the same key: one of the two is a copy.
    #[error("another node uses the same key: an administrator has to choose between the two")]
    Cloned,
    /// A newer connection of the same key took over.
    #[error("a newer connection of the same peer took over")]
    Replaced,
    /// One side is going down.
    #[error("one side is shutting down")]
    Shutdown,
}

fn side(whose: Side) -> &'static str {
    match whose {
        Side::Ours => "our",
        Side::Theirs => "their",
    }
}

fn spoken(versions: Option<&Versions>) -> String {
    versions.map_or_else(|| "another one".to_owned(), Versions::to_string)
}

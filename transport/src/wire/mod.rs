//! The bytes of the protocol; docs/protocol.md says the same in prose.
//!
//! Two peers, one QUIC connection. The dialler opens the control stream (bidirectional) and greets;
//! the acceptor answers with its hello. Each side that has entries opens one data stream
//! (unidirectional) and sends its logs on it, in order. Refusals travel in QUIC's close frame.
//! Limits are checked before anything is allocated; every number here is named.
//! Non-goals: retransmission, encryption, authentication (QUIC's), and asking for what was not offered.
#![warn(clippy::arithmetic_side_effects)]

pub mod data;
pub mod frame;
mod join;
mod message;
pub mod parcel;
mod positions;
mod refusal;
pub mod repair;
mod seen;

#[cfg(any(test, feature = "testing"))]
pub use join::redemption;
pub(crate) use join::{JOIN_FRAME_BYTES_MAX, JoinAnswer, JoinProof};
pub use message::{AckedLog, Hello, LogReference, Message, Ping, SUPPORTED_FEATURES};
pub use positions::{LANES_MAX, LaneEnd, Summary, Told};
pub use refusal::{REFUSAL_BYTES_MAX, decode_refusal, encode_refusal, refusal_code};
pub use seen::SEEN_ITEMS_MAX;

/// Most logs that one hello, one ping or one data stream may name.
pub const LOGS_MAX: usize = 1024;

/// Longest name or territory in a join, longest detail in a refusal, in bytes.
pub const TEXT_BYTES_MAX: usize = 200;

/// Frame types. With the high bit set a frame may be skipped by those who do not know it.
pub mod kind {
    /// Greeting, first on the control stream from both sides.
    pub const HELLO: u8 = 0x01;
    /// How the sender regards the receiver now, with its positions.
    pub const STANDING: u8 = 0x02;
    /// Durable ends of the receiver's logs at the sender.
    pub const ACK: u8 = 0x03;
    /// Alive; clocks; ends of logs that run ahead of what was sent.
    pub const PING: u8 = 0x04;
    /// Positions and digest, to be compared.
    pub const PROOF: u8 = 0x05;
    /// Why the connection is closed; only inside QUIC's close frame.
    pub const REFUSE: u8 = 0x06;
    /// All that is held of relayed logs.
    pub const CURSORS: u8 = 0x07;
    /// Logs wanted from there on.
    pub const RESUME: u8 = 0x08;
    /// A log of which no more is taken.
    pub const STOPPED: u8 = 0x09;
    /// One signed header, where cursors contradict each other.
    pub const EVIDENCE: u8 = 0x0a;
    /// Logs held by the receiver that are not offered.
    pub const WITHDRAWN: u8 = 0x0b;
    /// One message of a reconciliation.
    pub const RECON: u8 = 0x0c;
    /// Documents wanted whole.
    pub const WANT: u8 = 0x0d;
    /// To be answered at once.
    pub const PROBE: u8 = 0x0e;
    /// The answer to a probe.
    pub const ANSWER: u8 = 0x0f;
    /// Entries of one log.
    pub const DATA: u8 = 0x10;
    /// Documents whole, with the signed headers that prove them.
    pub const BACKFILL: u8 = 0x11;
    /// An invitation's redemption.
    pub const JOIN: u8 = 0x20;
    /// The invitation is accepted.
    pub const JOINED: u8 = 0x21;
    /// The invitation is refused.
    pub const JOIN_REFUSED: u8 = 0x22;
    /// Documents that people at the sender have opened.
    pub const SEEN: u8 = 0x81;
    /// What was told as opened is kept.
    pub const SEEN_KEPT: u8 = 0x82;
    /// Set in types that may be skipped.
    pub const SKIPPABLE: u8 = 0x80;
}

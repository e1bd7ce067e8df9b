//! Signed logs, sessions and QUIC: how two nodes come to hold the same entries.
//!
//! Promises: a peer is a pinned Ed25519 key or it is nothing; an entry reaches the host only with its
//! signature, its place in the chain and its body proven; an acknowledgement says "durable"; a peer that
//! lags costs a cursor and never a queue; a session is a state machine without clock, disk or socket.
//!
//! Does not know: records, documents' contents, stores, who may write what, where addresses come from.
//! The way through: `identity` → `quic` (handshake) → `session` (conversation) → `wire` (bytes) → `host`.
//! Source: docs/protocol.md.
#![warn(missing_docs)]

pub mod backoff;
mod entry;
mod host;
mod identity;
mod link;
mod log;
mod quic;
pub mod reconcile;
pub mod sealing;
pub mod session;
pub mod wire;

pub use entry::{
    BadEntry, ENTRY_BODY_BYTES_MAX, EntryFault, EntryHeader, EntryKind, HEADER_BYTES,
    HEADER_VERSION, SignedEntry, SignedHeader, VerifiedEntry, body_hash, sign, verify,
    verify_header,
};
pub use host::{
    Host, HostFailed, HostFuture, JoinAccepted, JoinRefused, JoinRequest, LocalHello, Offer, Pins,
    Positions, Seen, Standing, StopCode, Stopped,
};
pub use identity::{AuthenticatedPeer, BadPeerId, NodeKey, PeerId, verify_signature};
pub use link::{CloseReason, LinkEvent, LinkStatistics, RemoteHello, Rollback, Side, Versions};
pub use log::{Cursor, LogId};
pub use quic::{BindFailed, Endpoint, JoinFailed, Limits};
pub use wire::SEEN_ITEMS_MAX;
pub use wire::parcel::DocumentParcel;

//! What the engine tells watchers: what moved, never what it contains.

use raccordo_crdt_model::{DocumentId, Kind, UnixMillis};

/// What watchers hear, after it is durable.
#[derive(Debug, Clone)]
pub enum Event {
    /// A record changed here.
    Record {
        id: DocumentId,
        kind: Kind,
        territory: String,
    },
    /// Acknowledgements moved: entries up to this number are on the peer's disk.
    Delivery {
        peer: String,
        acked_seq: u64,
        to_send: u64,
    },
    /// A person at a peer has opened a record that this node wrote.
    Seen {
        id: DocumentId,
        kind: Kind,
        territory: String,
        peer: String,
    },
    /// A peer's state changed.
    Peer {
        id: String,
        territory: String,
        state: &'static str,
    },
    /// Live projects of several territories turned out to have one subject.
    Overlap { territories: Vec<String> },
    /// The overview moved.
    Overview,
    /// Somebody opened a record in an emergency.
    Emergency {
        /// Of the emergency.
        id: String,
        record: DocumentId,
        by: String,
        until: UnixMillis,
    },
}

//! Who changed what, and when, from the document itself.

use serde_json::Value;

use crate::value::{ChangeHash, UnixMillis};

/// One change of the history.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryItem {
    /// The change.
    pub hash: ChangeHash,
    /// When it happened.
    pub at: UnixMillis,
    /// Who made it.
    pub by: Option<String>,
    /// First 8 bytes of the key of the node where it was made.
    pub origin: [u8; 8],
    /// What it did; empty if it had no effect.
    pub changes: Vec<HistoryChange>,
}

/// One readable step of a change.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryChange {
    /// `add`, `replace` or `remove`.
    pub op: &'static str,
    /// JSON pointer.
    pub path: String,
    /// The value set; `None` for `remove`.
    pub value: Option<Value>,
}

//! Days as records name them: in universal time, the same at every node.

use raccordo_crdt_model::UnixMillis;

/// A day, in ms.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// The day of a time in unix ms, such as 2026-11-22.
pub(crate) fn date(at_ms: i64) -> String {
    let mut text = UnixMillis(at_ms).to_string();
    text.truncate(10);
    text
}

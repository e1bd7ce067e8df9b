//! Accounts and the audit log, as shown.

use raccordo_crdt_model::UnixMillis;

use crate::access::Grant;

/// An account without its password.
#[derive(Debug, Clone)]
pub struct AccountView {
    /// Name, shown as the author of changes.
    pub name: String,
    /// Its roles.
    pub grants: Vec<Grant>,
    /// When it was made.
    pub created_at: UnixMillis,
    /// Since when it lets nobody in.
    pub disabled_at: Option<UnixMillis>,
}

/// One event of the audit log.
#[derive(Debug, Clone)]
pub struct AuditView {
    /// Its number, from 1.
    pub seq: u64,
    /// Its link of the chain, 64 hex digits.
    pub hash: String,
    /// The event: `at`, `who`, `action`, `what`, `detail`.
    pub event: serde_json::Value,
}

/// What a look at the whole audit log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditVerdict {
    /// Events that there should be.
    pub events: u64,
    /// The first that is missing, changed or does not read, and why; none if the chain is whole.
    pub broken: Option<(u64, &'static str)>,
}

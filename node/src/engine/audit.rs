//! The hash-chained audit log: every write, in order, since the first one.
//!
//! A row is its chain hash and the sealed event. Cutting the end off, changing or removing a row
//! breaks the chain against the totals row. Does not know who may read it.

use aws_lc_rs::digest::{Context, SHA256};
use raccordo_crdt_model::UnixMillis;

use crate::store::seal::SealKey;
use crate::store::{Batch, Table};

use super::core::NODE_DOCUMENT;
use super::ledger::Totals;

/// One thing that happened.
#[derive(Debug, Clone)]
pub(crate) struct AuditEvent<'a> {
    pub(crate) at: UnixMillis,
    pub(crate) who: &'a str,
    /// Verb: `create`, `change`, `import`, `admit`, `invite`, `approve`, …
    pub(crate) action: &'static str,
    /// Id of what it concerns, hex; empty if the node itself.
    pub(crate) what: &'a str,
    /// What else is worth knowing; never content of a record.
    pub(crate) detail: &'a str,
}

/// Appends an event to the chain, in the batch of the write that it tells of.
pub(crate) fn append(
    batch: &mut Batch,
    totals: &mut Totals,
    seal: &SealKey,
    nonce: [u8; 12],
    event: &AuditEvent<'_>,
) {
    let payload = canonical(event);
    let hash = chain(&totals.audit_hash, &payload);
    totals.audit_seq += 1;
    totals.audit_hash = hash;
    let sealed = seal.seal(Table::Audit, NODE_DOCUMENT, &hash, &payload, nonce);
    batch.put(
        Table::Audit,
        totals.audit_seq.to_be_bytes(),
        [hash.as_slice(), &sealed].concat(),
    );
}

/// Hash of one link: SHA-256(domain ‖ previous hash ‖ payload).
pub(crate) fn chain(previous: &[u8; 32], payload: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(b"raccordo-audit-1\0");
    context.update(previous);
    context.update(payload);
    context
        .finish()
        .as_ref()
        .try_into()
        .expect("SHA-256 gives 32 bytes")
}

fn canonical(event: &AuditEvent<'_>) -> Vec<u8> {
    let value = serde_json::json!({
        "action": event.action,
        "at": event.at.to_string(),
        "detail": event.detail,
        "what": event.what,
        "who": event.who,
    });
    value.to_string().into_bytes()
}

//! The hash-chained audit log: every write, in order, since the first one.
//!
//! A row is its chain hash and the sealed event. Cutting the end off, changing or removing a row
//! breaks the chain against the totals row. Does not know who may read it.

use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::HEXLOWER;
use raccordo_crdt_model::UnixMillis;

use crate::store::seal::SealKey;
use crate::store::{Batch, Store, Table};

use super::core::{Core, NODE_DOCUMENT, ReadFailed};
use super::ledger::{Ledger, Totals};
use super::view::{AuditVerdict, AuditView};

/// Meta key of the number from which events are indexed by their record.
const INDEXED_FROM: &[u8] = b"audit-indexed-from";
/// First byte of the index, in the table of subjects.
const ABOUT: u8 = b'u';
/// Rows read at a time.
const ROWS_AT_ONCE: usize = 1_024;

/// One thing that happened.
#[derive(Debug, Clone)]
pub(crate) struct AuditEvent<'a> {
    pub(crate) at: UnixMillis,
    pub(crate) who: &'a str,
    /// Verb: `create`, `change`, `import`, `admit`, `invite`, `approve`, …
    pub(crate) action: &'static str,
    /// Id of what it concerns, hex; empty if the node itself.
    pub(crate) what: &'a str,
    /// Ids of the records that it concerns, where they are many.
    pub(crate) records: &'a [String],
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

/// From which event on the log is indexed by record, as stored.
pub(crate) fn indexed_from(store: &Store) -> Result<Option<u64>, ReadFailed> {
    let from = store.get(Table::Meta, INDEXED_FROM)?;
    Ok(from
        .and_then(|seq| seq.try_into().ok())
        .map(u64::from_be_bytes))
}

/// Notes which records an event is about, so that it is found again without reading all of them.
pub(crate) fn index(core: &Core, batch: &mut Batch, ledger: &mut Ledger, event: &AuditEvent<'_>) {
    let seq = ledger.totals.audit_seq;
    if ledger.audit_indexed_from.is_none() {
        ledger.audit_indexed_from = Some(seq);
        batch.put(Table::Meta, INDEXED_FROM, seq.to_be_bytes());
    }
    let records = event.records.iter().map(String::as_str);
    for what in [event.what].into_iter().chain(records) {
        if !what.is_empty() {
            let row = [about(core, what).as_slice(), &seq.to_be_bytes()].concat();
            batch.put(Table::Subjects, row, Vec::new());
        }
    }
}

/// Events newest first, below a number if one is given; of one record, if its id is named.
pub(crate) fn newest(
    core: &Core,
    record: Option<&str>,
    below: Option<u64>,
    limit: usize,
) -> Result<Vec<AuditView>, ReadFailed> {
    let mut found = Vec::new();
    let mut below = below;
    if let Some(record) = record {
        // Older ones were written before there was an index.
        let from = core.ledger().audit_indexed_from.unwrap_or(u64::MAX);
        found = indexed(core, record, (from, below), limit)?;
        below = Some(below.map_or(from, |below| below.min(from)));
    }
    let mut below = below.map(u64::to_be_bytes);
    while found.len() < limit {
        let before = below.as_ref().map(<[u8; 8]>::as_slice);
        let rows = core
            .store
            .scan_back(Table::Audit, &[], before, ROWS_AT_ONCE)?;
        let complete = rows.len() < ROWS_AT_ONCE;
        for (key, row) in rows {
            below = key.as_slice().try_into().ok();
            let view = opened(core, &key, &row);
            let of_record = |view: &AuditView| record.is_none_or(|id| is_about(view, id));
            found.extend(view.filter(of_record));
            if found.len() >= limit {
                break;
            }
        }
        if complete {
            break;
        }
    }
    Ok(found)
}

/// The newest events of one record that the index knows, from a number on and below another.
fn indexed(
    core: &Core,
    record: &str,
    (from, below): (u64, Option<u64>),
    limit: usize,
) -> Result<Vec<AuditView>, ReadFailed> {
    let about = about(core, record);
    let mut before = below.map(|below| [about.as_slice(), &below.to_be_bytes()].concat());
    let mut found = Vec::new();
    while found.len() < limit {
        let most = limit - found.len();
        let rows = core
            .store
            .scan_back(Table::Subjects, &about, before.as_deref(), most)?;
        for (key, _) in &rows {
            let seq = key.get(about.len()..).unwrap_or_default();
            let row = core.store.get(Table::Audit, seq)?;
            let view = row.and_then(|row| opened(core, seq, &row));
            let is_it = |view: &AuditView| view.seq >= from && is_about(view, record);
            found.extend(view.filter(is_it));
        }
        if rows.len() < most {
            break;
        }
        before = rows.into_iter().last().map(|(key, _)| key);
    }
    Ok(found)
}

fn is_about(view: &AuditView, record: &str) -> bool {
    let among = view.event["records"].as_array();
    view.event["what"] == record || among.is_some_and(|ids| ids.iter().any(|id| id == record))
}

/// What the index keys of the events about a record begin with.
fn about(core: &Core, what: &str) -> Vec<u8> {
    let hash = core.vault.keyed_hash("audit-about", what.as_bytes());
    [&[ABOUT], hash.as_slice()].concat()
}

/// Follows the chain from the first event to where the totals say that it ends.
pub(crate) fn verify(core: &Core) -> Result<AuditVerdict, ReadFailed> {
    let totals = core.ledger().totals.clone();
    let mut hash = [0; 32];
    let mut seq = 0;
    let broken = |seq: u64, why: &'static str| AuditVerdict {
        events: totals.audit_seq,
        broken: Some((seq, why)),
    };
    while seq < totals.audit_seq {
        let after: [u8; 8] = seq.to_be_bytes();
        let rows = core
            .store
            .scan(Table::Audit, &[], Some(&after), ROWS_AT_ONCE)?;
        if rows.is_empty() {
            return Ok(broken(seq + 1, "it is missing, with all after it"));
        }
        for (key, row) in rows {
            if seq == totals.audit_seq {
                break;
            }
            seq += 1;
            if key != seq.to_be_bytes() {
                return Ok(broken(seq, "it is missing"));
            }
            let Some((stored, payload)) = payload(core, &row) else {
                return Ok(broken(seq, "it does not open under the node's key"));
            };
            hash = chain(&hash, &payload);
            if stored != hash {
                return Ok(broken(seq, "its hash does not follow from the one before"));
            }
        }
    }
    if hash == totals.audit_hash {
        return Ok(AuditVerdict {
            events: totals.audit_seq,
            broken: None,
        });
    }
    Ok(broken(seq, "the chain does not end where the node says"))
}

fn opened(core: &Core, key: &[u8], row: &[u8]) -> Option<AuditView> {
    let (hash, payload) = payload(core, row)?;
    Some(AuditView {
        seq: u64::from_be_bytes(key.try_into().ok()?),
        hash: HEXLOWER.encode(&hash),
        event: serde_json::from_slice(&payload).ok()?,
    })
}

/// The link's hash and the event's bytes; none if the row is not what was written.
fn payload(core: &Core, row: &[u8]) -> Option<([u8; 32], Vec<u8>)> {
    let (hash, sealed) = row.split_first_chunk::<32>()?;
    let payload = core
        .node_seal
        .open(Table::Audit, NODE_DOCUMENT, hash, sealed)
        .ok()?;
    Some((*hash, payload))
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
    let mut value = serde_json::json!({
        "action": event.action,
        "at": event.at.to_string(),
        "detail": event.detail,
        "what": event.what,
        "who": event.who,
    });
    if !event.records.is_empty() {
        value["records"] = event.records.into();
    }
    value.to_string().into_bytes()
}

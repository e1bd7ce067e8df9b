//! The engine's views as the JSON of the API.
//!
//! The one place that decides names and shapes of what programs read; golden tests below.
//! Knows nothing of HTTP.

use raccordo_config::Role;
use raccordo_crdt_model::{Conflict, DocumentId, UnixMillis};
use raccordo_transport::{EntryKind, SignedEntry, SignedHeader};
use serde_json::{Map, Value, json};

use crate::engine::{
    Alike, Certificate, Delivery, Elsewhere, EquivocationView, ErasureView, HeldErasure,
    HistoryView, ImportReport, InvitationView, OverlapView, OverviewView, PeerView, Proposal,
    Published, QuarantineView, RecordView, ScopeView, SharedLogView, StatusView, StopView,
    SubjectErased, TerritoryView, TokenView, TotalsView,
};

/// Refused lines that an import report shows unless all are asked for.
pub(crate) const REJECTS_SHOWN_MAX: usize = 100;

/// A record: its fields and `_meta`.
pub(crate) fn record(view: &RecordView) -> Value {
    let mut out = match &view.fields {
        Value::Object(fields) => fields.clone(),
        _ => Map::new(),
    };
    out.insert(
        "_meta".to_owned(),
        json!({
            "id": view.id.to_string(),
            "kind": view.kind.singular(),
            "territory": view.territory,
            "etag": view.heads.etag(),
            "created_at": view.created_at.to_string(),
            "updated_at": view.updated_at.to_string(),
            "updated_by": view.updated_by,
            "delivery": delivery(&view.delivery),
            "conflicts": view.conflicts.iter().map(conflict).collect::<Vec<_>>(),
            "overwritten": view.overwritten.iter().map(conflict).collect::<Vec<_>>(),
            "flags": flags(view),
        }),
    );
    if !view.elsewhere.is_empty() {
        out["_meta"]["elsewhere"] = view.elsewhere.iter().map(elsewhere).collect();
    }
    if !view.resolved.is_empty() {
        let resolved = view.resolved.iter();
        out["_meta"]["resolved"] = resolved
            .map(|one| json!({"path": one.path, "id": one.id.to_string()}))
            .collect();
    }
    Value::Object(out)
}

/// What to look at; of persons also who else may be the same one.
fn flags(view: &RecordView) -> Vec<Value> {
    let own = view
        .flags
        .iter()
        .map(|flag| json!({"code": flag.code, "path": flag.path}));
    let mut flags: Vec<Value> = own.collect();
    for (code, path, why) in [
        ("fiscal_code_in_use_twice", "/fiscal_code", "fiscal_code"),
        ("possible_duplicate", "/family_name", "name_and_year"),
    ] {
        let same = view.alike.iter().filter(|alike| alike.why.contains(&why));
        let records: Vec<String> = same.map(|alike| alike.id.to_string()).collect();
        if !records.is_empty() {
            flags.push(json!({"code": code, "path": path, "records": records}));
        }
    }
    if !view.shared_projects.is_empty() {
        let projects = view.shared_projects.iter();
        let records: Vec<String> = projects.map(ToString::to_string).collect();
        flags.push(
            json!({"code": "protected_and_shared", "path": "/protected", "records": records}),
        );
    }
    flags
}

/// Where else a subject is followed.
fn elsewhere(told: &Elsewhere) -> Value {
    json!({"on": told.on, "strength": told.strength, "territories": told.territories})
}

/// Another record that may be of the same person.
pub(crate) fn alike(view: &Alike) -> Value {
    json!({"id": view.id.to_string(), "ref": view.reference, "state": view.state, "why": view.why})
}

/// A subject that projects of several territories have in common.
pub(crate) fn overlap(view: &OverlapView) -> Value {
    let of = |(territory, ids): (&String, &Vec<DocumentId>)| {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        json!({"territory": territory, "projects": ids})
    };
    json!({
        "since": view.since.to_string(),
        "subject": if view.household { "household" } else { "person" },
        "strength": view.strength,
        "territories": view.projects.iter().map(of).collect::<Vec<_>>(),
    })
}

/// A list page.
pub(crate) fn page(items: &[Value], next: Option<&str>) -> Value {
    json!({"items": items, "next": next})
}

/// A record's history, oldest first.
pub(crate) fn history(items: &[HistoryView]) -> Value {
    let items: Vec<Value> = items.iter().map(history_item).collect();
    json!({"items": items})
}

/// The merged view.
pub(crate) fn overview(view: &OverviewView) -> Value {
    json!({
        "as_of": view.as_of.to_string(),
        "digest": hex(&view.digest),
        "territories": view.territories.iter().map(territory).collect::<Vec<_>>(),
        "totals": totals(&view.totals),
    })
}

/// One element of the overview's `territories`.
pub(crate) fn territory(view: &TerritoryView) -> Value {
    let mut projects = Map::new();
    projects.insert("total".to_owned(), json!(view.projects));
    projects.insert("by_state".to_owned(), json!(view.by_state));
    projects.insert("by_need_area".to_owned(), json!(view.by_need_area));
    if let Some(local) = view.local_projects {
        projects.insert("local".to_owned(), json!(local));
    }
    json!({
        "territory": view.territory,
        "name": view.name,
        "state": view.state.word(),
        "member": view.member.word(),
        "as_of": moment(view.as_of),
        "seq": view.seq,
        "behind": view.behind,
        "digest": hex(&view.digest),
        "projects": projects,
        "persons": view.persons,
        "households": view.households,
        "contacts": view.contacts,
        "publishes": publishes(view.published.as_ref()),
        "conflicts": view.conflicts,
    })
}

/// What a territory publishes; the counts in full are in the record.
fn publishes(published: Option<&Published>) -> Value {
    let Some(published) = published else {
        return json!({"level": "records"});
    };
    json!({
        "level": if published.aggregates_only { "aggregates" } else { "records" },
        "publication": published.id.to_string(),
        "counted_on": published.counted_on,
        "local_projects": published.local_projects,
        "contacts": published.contacts,
    })
}

/// The node at a glance.
pub(crate) fn status(view: &StatusView) -> Value {
    json!({
        "node": {
            "id": view.id,
            "territory": view.territory.to_string(),
            "role": role(view.role),
            "name": view.name,
            "version": view.version,
            "incarnation": view.incarnation,
            "lineage": view.lineage,
            "listen": view.listen,
            "http": view.http,
            "writes_problem": view.writes_problem,
            "held_back": view.held_back,
        },
        "store": {
            "engine": view.engine,
            "documents": view.documents,
            "entries": view.entries,
            "disk_bytes": view.disk_bytes,
            "problem": view.store_problem,
            "scrub": {
                "damaged": view.scrub.damaged,
                "read": view.scrub.read,
                "found": view.scrub.found,
                "passed_at": moment(view.scrub.passed_at),
            },
        },
        "stopped": view.stopped.iter().map(stop).collect::<Vec<_>>(),
        "peers": view.peers.iter().map(peer).collect::<Vec<_>>(),
    })
}

/// One peer.
pub(crate) fn peer(view: &PeerView) -> Value {
    json!({
        "id": view.id,
        "territory": view.territory,
        "role": view.role,
        "above": view.above,
        "through": view.through,
        "name": view.name,
        "confirmed": view.confirmed,
        "not_confirmed": view.not_confirmed,
        "state": view.state,
        "since": moment(view.since),
        "last_contact": moment(view.last_contact),
        "to_send": view.to_send,
        "queued_since": moment(view.queued_since),
        "acked_seq": view.acked_seq,
        "to_receive": view.to_receive,
        "stream_bytes_sent": view.stream_bytes_sent,
        "stream_bytes_received": view.stream_bytes_received,
        "udp_bytes_sent": view.udp_bytes_sent,
        "udp_bytes_received": view.udp_bytes_received,
        "rtt_ms": view.rtt_ms,
        "clock_offset_ms": view.clock_offset_ms,
        "equal": view.equal,
        "proof": view.proof.map(|proof| json!({
            "at": proof.at.to_string(),
            "documents": proof.documents,
            "differing": proof.differing,
            "rounds": proof.rounds,
            "bytes": proof.bytes,
        })),
        "repaired": view.repaired,
        "seen_ignored": view.seen_ignored,
        "stopped": view.stopped.iter().map(stop).collect::<Vec<_>>(),
        "problem": view.problem,
        "next_try_at": moment(view.next_try_at),
    })
}

/// What a peer is sent.
pub(crate) fn scope(view: &ScopeView) -> Value {
    json!({
        "peer": peer(&view.peer),
        "territories": view.territories,
        "lanes": view.lanes,
        "sent": view.sent.iter().map(shared_log).collect::<Vec<_>>(),
        "withdrawn": view.withdrawn.iter().map(shared_log).collect::<Vec<_>>(),
        "ended": view.ended.iter().map(shared_log).collect::<Vec<_>>(),
    })
}

fn shared_log(view: &SharedLogView) -> Value {
    json!({
        "log": view.log,
        "lane": view.lane,
        "territory": view.territory,
        "name": view.name,
        "end": view.end,
        "held": view.held,
    })
}

/// A log of which one side takes no more.
fn stop(view: &StopView) -> Value {
    json!({
        "by": view.by,
        "log": view.log,
        "seq": view.seq,
        "code": view.code,
        "detail": view.detail,
    })
}

/// A refused group; its entries in full only where they are asked for.
pub(crate) fn quarantined(view: &QuarantineView, in_full: bool) -> Value {
    let blamed = view
        .entries
        .iter()
        .find(|entry| entry.header.seq == view.seq);
    let first = blamed.map(|entry| &entry.header);
    let mut out = json!({
        "id": view.id,
        "log": view.log,
        "seq": view.seq,
        "author": view.author,
        "territory": view.territory,
        "peer": view.peer,
        "at": view.at.to_string(),
        "reason": view.reason,
        "kind": first.map(|header| entry_kind(header.kind)),
        "document": first.map(|header| hex(&header.document)),
        "group": first.map(|header| json!({"first": header.group_first, "count": header.group_count})),
        "discardable": view.whole,
    });
    if in_full {
        out["entries"] = view.entries.iter().map(entry).collect();
    }
    out
}

/// A signed entry as evidence: all that its author signed, the signature, the content.
fn entry(entry: &SignedEntry) -> Value {
    let mut out = signed(&entry.signed_header());
    out["body"] = json!(entry.body.as_deref().map(hex));
    out
}

/// A signed header as evidence.
fn signed(signed: &SignedHeader) -> Value {
    let header = &signed.header;
    json!({
        "log": header.log().to_string(),
        "seq": header.seq,
        "kind": entry_kind(header.kind),
        "document": hex(&header.document),
        "incarnation": hex(&header.incarnation),
        "body_hash": hex(&header.body_hash),
        "header": hex(&header.to_bytes()),
        "signature": hex(&signed.signature),
    })
}

fn entry_kind(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Change => "change",
        EntryKind::Tombstone => "tombstone",
        EntryKind::Roster => "roster",
        EntryKind::Policy => "policy",
    }
}

/// A proof that an author signed two entries with one number.
pub(crate) fn equivocation(view: &EquivocationView) -> Value {
    json!({
        "log": view.log,
        "seq": view.seq,
        "author": view.author,
        "territory": view.territory,
        "peer": view.peer,
        "at": view.at.to_string(),
        "held": signed(&view.held),
        "other": signed(&view.other),
    })
}

/// An erasure and its receipts.
pub(crate) fn erasure(view: &ErasureView) -> Value {
    let receipts: Vec<Value> = view
        .receipts
        .iter()
        .map(|receipt| {
            json!({
                "peer": receipt.peer,
                "territory": receipt.territory,
                "name": receipt.name,
                "state": receipt.state.word(),
                "at": moment(receipt.at),
            })
        })
        .collect();
    json!({
        "id": view.id.to_string(),
        "kind": view.kind,
        "territory": view.territory,
        "erased_at": view.at.to_string(),
        "log": view.log,
        "seq": view.seq,
        "reason": view.reason,
        "key_replaced": view.key_replaced,
        "receipts": receipts,
    })
}

/// A transfer that is to be erased and may not be yet.
pub(crate) fn held_erasure(view: &HeldErasure) -> Value {
    json!({
        "transfer": view.transfer.to_string(),
        "asked_by": view.asked_by,
        "held_by": view.held_by,
    })
}

/// A subject that was erased: the record named, and what belonged to it.
pub(crate) fn subject_erased(view: &SubjectErased) -> Value {
    let mut out = erasure(&view.record);
    out["covered"] = view.covered.iter().map(erasure).collect();
    out["order"] = json!(view.order.map(|order| order.to_string()));
    out
}

/// What can be shown to whoever asked for an erasure.
pub(crate) fn certificate(view: &Certificate) -> Value {
    json!({
        "order": view.order.map(|order| order.to_string()),
        "complete": view.complete,
        "keys_replaced": view.keys_replaced,
        "records": view.records.iter().map(erasure).collect::<Vec<_>>(),
        "text": view.text,
    })
}

/// A record whose period of retention is over.
pub(crate) fn proposal(view: &Proposal) -> Value {
    json!({
        "id": view.id.to_string(),
        "kind": view.kind.singular(),
        "ref": view.reference,
        "why": if view.transferred { "transferred" } else { "period" },
        "last_change": view.last_change.to_string(),
        "due_since": view.due_since.to_string(),
        "records": view.records,
    })
}

/// What an import did; all refusals or the first [`REJECTS_SHOWN_MAX`].
pub(crate) fn import_report(report: &ImportReport, shown_max: usize) -> Value {
    let rejects: Vec<Value> = report
        .rejects
        .iter()
        .take(shown_max)
        .map(|reject| {
            json!({
                "line": reject.line,
                "ref": reject.reference,
                "code": reject.code,
                "pointer": reject.pointer,
                "message": reject.message,
            })
        })
        .collect();
    json!({
        "lines": report.lines,
        "created": report.created,
        "changed": report.changed,
        "already_present": report.already_present,
        "rejected": report.rejected,
        "rejects": rejects,
    })
}

/// An invitation just made.
pub(crate) fn invitation(view: &InvitationView) -> Value {
    json!({
        "invitation": view.invitation,
        "territory": view.territory,
        "expires_at": view.expires_at.to_string(),
    })
}

/// A token without its secret.
pub(crate) fn token(view: &TokenView) -> Value {
    json!({
        "name": view.name,
        "created_at": view.created_at.to_string(),
        "roles": view.grants.iter()
            .map(|grant| json!({"role": grant.role.word(), "body": grant.body}))
            .collect::<Vec<_>>(),
        "scopes": view.scopes.iter().map(|scope| scope.word()).collect::<Vec<_>>(),
    })
}

/// The word for a role.
pub(crate) fn role(role: Role) -> &'static str {
    match role {
        Role::District => "district",
        Role::Coordination => "coordination",
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            write!(out, "{byte:02x}").expect("a String takes any text");
            out
        })
}

fn history_item(item: &HistoryView) -> Value {
    let changes: Vec<Value> = item
        .changes
        .iter()
        .map(|change| json!({"op": change.op, "path": change.path, "value": change.value}))
        .collect();
    json!({
        "hash": item.hash,
        "at": item.at.to_string(),
        "recorded_at": moment(item.recorded_at),
        "by": item.by,
        "node": item.node,
        "changes": changes,
    })
}

fn delivery(view: &Delivery) -> Value {
    json!({
        "state": view.state.word(),
        "queued": view.queued,
        "delivered_at": moment(view.delivered_at),
        "seen_by": view.seen_by.iter().map(|by| &by.name).collect::<Vec<_>>(),
        "seen_at": moment(view.seen_by.first().map(|by| by.at)),
    })
}

fn conflict(conflict: &Conflict) -> Value {
    let rivals: Vec<Value> = conflict
        .rivals
        .iter()
        .map(|rival| json!({"value": rival.value, "by": rival.by, "at": rival.at.to_string()}))
        .collect();
    json!({"path": conflict.path, "shown": conflict.shown, "rivals": rivals})
}

fn totals(view: &TotalsView) -> Value {
    json!({
        "projects": view.projects,
        "persons": view.persons,
        "households": view.households,
        "territories_current": view.territories_current,
        "territories": view.territories,
        "oldest_as_of": moment(view.oldest_as_of),
    })
}

fn moment(at: Option<UnixMillis>) -> Value {
    at.map_or(Value::Null, |at| json!(at.to_string()))
}

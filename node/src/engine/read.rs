//! Reading: one record, lists, history, export; from the disk, beside the writer.
//!
//! What is read is always some committed state. Nothing here writes.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use raccordo_crdt_model::field_rules::MERGED_INTO_NOBODY;
use raccordo_crdt_model::{Document, DocumentId, Flag, Kind, UnixMillis, import};
use raccordo_transport::{LogId, PeerId};

use crate::store::Table;

use super::between::Between;
use super::casefiles;
use super::core::{Core, ReadFailed};
use super::draft::reference_hash;
use super::ledger::Ledger;
use super::lists::Wanted;
use super::notices;
use super::persons;
use super::protection;
use super::repair;
use super::rows::{self, Card, DocumentRow, ListRow};
use super::scope;
use super::seen;
use super::statements;
use super::tombstone;
use super::transfer;
use super::view::{
    CommandFailed, Delivery, DeliveryState, HistoryView, ListQuery, MemberState, Page, RecordCard,
    RecordView,
};

/// Items a page, if not asked otherwise; and the most that may be asked.
const LIMIT: usize = 50;
const LIMIT_MAX: usize = 500;
/// Rows that one look into the list takes at a time.
const ROWS_AT_ONCE: usize = 512;
/// Rows that are looked at before a search goes on in memory.
const ROWS_BEFORE_SEARCH: usize = 2_048;

/// One record as people may see it.
pub(crate) fn record(core: &Core, kind: Kind, id: DocumentId) -> Result<RecordView, CommandFailed> {
    let missing = || CommandFailed::NotFound {
        kind: kind.singular(),
        id: id.to_string(),
    };
    tombstone::gone(core, kind, id)?;
    repair::sound(core, kind, id)?;
    let damaged = |failed| repair::unsound(kind, id, failed);
    let row = core.document_row(id).map_err(damaged)?;
    let row = row
        .filter(|row| row.kind == kind.code())
        .ok_or_else(missing)?;
    let document = core
        .look_and_keep(id)
        .map_err(damaged)?
        .ok_or_else(missing)?;
    view(core, &row, &document)
}

/// The document that a prefix of its id, or the office's own number, names.
pub(crate) fn resolve(
    core: &Core,
    kind: Kind,
    name: &str,
    territory: Option<&str>,
) -> Result<DocumentId, CommandFailed> {
    if let Ok(id) = DocumentId::parse(name) {
        tombstone::gone(core, kind, id)?;
        // The id says nothing of the kind, and what may be done differs from kind to kind.
        let row = core.document_row(id)?;
        if row.is_some_and(|row| row.kind == kind.code()) {
            return Ok(id);
        }
    }
    let missing = || CommandFailed::NotFound {
        kind: kind.singular(),
        id: name.to_owned(),
    };
    let mut found = by_reference(core, kind, name, territory)?;
    if found.is_empty() && name.len() >= 8 {
        found = by_prefix(core, kind, name)?;
    }
    match found.as_slice() {
        [] => Err(missing()),
        [(id, _)] => Ok(*id),
        several => {
            let territories: BTreeSet<&str> = several
                .iter()
                .map(|(_, territory)| territory.as_str())
                .collect();
            // A territory decides only where each has one.
            let remedy = if territories.len() == several.len() {
                "name one with --territory"
            } else {
                "name it by its id"
            };
            Err(CommandFailed::Ambiguous {
                reference: name.to_owned(),
                territories: several
                    .iter()
                    .map(|(id, territory)| format!("{territory} ({id})"))
                    .collect(),
                remedy,
            })
        }
    }
}

/// As [`resolve`], of a name that stands in another record: none if it leads nowhere, or to several.
pub(crate) fn named(
    core: &Core,
    kind: Kind,
    name: &str,
) -> Result<Option<DocumentId>, CommandFailed> {
    match resolve(core, kind, name, None) {
        Ok(id) => Ok(Some(id)),
        Err(
            CommandFailed::NotFound { .. }
            | CommandFailed::Ambiguous { .. }
            | CommandFailed::Erased(_),
        ) => Ok(None),
        Err(failed) => Err(failed),
    }
}

/// A page of records, newest change first.
pub(crate) fn list(
    core: &Core,
    kind: Kind,
    query: &ListQuery,
) -> Result<Page<RecordView>, CommandFailed> {
    let Page { items, next } = cards(core, kind, query)?;
    let open = |card: RecordCard| record(core, kind, card.id);
    Ok(Page {
        items: items.into_iter().map(open).collect::<Result<_, _>>()?,
        next,
    })
}

/// A page of list lines, newest change first: no document is opened.
pub(crate) fn cards(
    core: &Core,
    kind: Kind,
    query: &ListQuery,
) -> Result<Page<RecordCard>, CommandFailed> {
    let limit = match query.limit.unwrap_or(LIMIT) {
        limit @ 1..=LIMIT_MAX => limit,
        other => {
            let detail = format!("limit is {other}: 1 to {LIMIT_MAX} are allowed");
            return Err(CommandFailed::Malformed { detail });
        }
    };
    let wanted = query
        .q
        .as_deref()
        .map(|q| q.trim().to_lowercase())
        .filter(|q| !q.is_empty());
    let mut position = query
        .cursor
        .as_deref()
        .map(|cursor| parse_cursor(kind, cursor))
        .transpose()?;
    if let (Kind::Person, Some(wanted)) = (kind, wanted.as_deref()) {
        return persons::cards(core, query, wanted, position.as_deref(), limit);
    }
    let own = core.territory();
    let filters = wanted.is_some()
        || query.passes_over()
        || query.state.is_some()
        || query.territory.as_deref().is_some_and(|of| of != own);
    let mut looked = 0;
    let mut last = position.clone();
    let mut items = Vec::with_capacity(limit);
    loop {
        // What is not found soon is looked for in memory.
        if filters && (looked >= ROWS_BEFORE_SEARCH || core.lists.holds(kind.code())) {
            let wanted = Wanted {
                kind: kind.code(),
                query,
                words: wanted.as_deref(),
                home: &own,
            };
            return search(core, wanted, items, (position, last), limit);
        }
        let page = core.store.scan(
            Table::Rows,
            &[kind.code()],
            position.as_deref(),
            ROWS_AT_ONCE,
        );
        let page = page.map_err(ReadFailed::from)?;
        let complete = page.len() < ROWS_AT_ONCE;
        looked += page.len();
        position = page.last().map(|(key, _)| key.clone());
        for (key, value) in page {
            if query
                .updated_since
                .is_some_and(|since| rows::list_key_time(&key).is_none_or(|at| at < since.0))
            {
                return Ok(Page { items, next: None });
            }
            if let Some(card) = card(core, query, wanted.as_deref(), &key, &value)? {
                if items.len() == limit {
                    return Ok(Page {
                        items,
                        next: last.as_deref().map(encode_cursor),
                    });
                }
                items.push(card);
                last = Some(key);
            }
        }
        if complete {
            return Ok(Page { items, next: None });
        }
    }
}

/// The rest of a page, from the lines in memory: after the last row looked at, below the last shown.
fn search(
    core: &Core,
    wanted: Wanted<'_>,
    mut items: Vec<RecordCard>,
    (mut position, mut last): (Option<Vec<u8>>, Option<Vec<u8>>),
    limit: usize,
) -> Result<Page<RecordCard>, CommandFailed> {
    loop {
        let most = limit + 1 - items.len();
        let keys = core.lists.next(core, wanted, position.as_deref(), most)?;
        let complete = keys.len() < most;
        for key in keys {
            position = Some(key.clone());
            let line = core.store.get(Table::Rows, &key);
            // It may have moved meanwhile.
            let Some(line) = line.map_err(ReadFailed::from)? else {
                continue;
            };
            let Some(card) = card(core, wanted.query, wanted.words, &key, &line)? else {
                continue;
            };
            if items.len() == limit {
                let next = last.as_deref().map(encode_cursor);
                return Ok(Page { items, next });
            }
            items.push(card);
            last = Some(key);
        }
        if complete {
            return Ok(Page { items, next: None });
        }
    }
}

/// Who changed what, when; oldest first.
pub(crate) fn history(
    core: &Core,
    kind: Kind,
    id: DocumentId,
) -> Result<Vec<HistoryView>, CommandFailed> {
    let missing = || CommandFailed::NotFound {
        kind: kind.singular(),
        id: id.to_string(),
    };
    tombstone::gone(core, kind, id)?;
    repair::sound(core, kind, id)?;
    let document = core.look(id)?.ok_or_else(missing)?;
    let stored = core.change_origins(id)?;
    let recorded: BTreeMap<[u8; 32], u64> = stored
        .iter()
        .map(|origin| (origin.hash, origin.hlc))
        .collect();
    let ledger = core.ledger();
    let node = |origin: [u8; 8]| {
        let own = (origin == core.id.origin()).then_some(core.id);
        own.or_else(|| ledger.roster.of_origin(origin).map(|m| m.key))
            .map_or_else(|| HEXLOWER.encode(&origin), |key| key.to_string())
    };
    let items = document.history().into_iter().map(|item| HistoryView {
        hash: item.hash.to_string(),
        at: item.at,
        recorded_at: recorded
            .get(item.hash.as_bytes())
            .map(|hlc| UnixMillis((hlc >> 16).cast_signed())),
        by: item.by,
        node: node(item.origin),
        changes: item.changes,
    });
    Ok(items.collect())
}

/// Every document of a kind with the time of its last change, unix ms; the newest change first.
pub(crate) fn all_of(core: &Core, kind: Kind) -> Result<Vec<(DocumentId, i64)>, ReadFailed> {
    let rows = core
        .store
        .scan(Table::Rows, &[kind.code()], None, usize::MAX)?;
    let of = |key: &[u8]| Some((key.get(9..).and_then(id_of)?, rows::list_key_time(key)?));
    Ok(rows.iter().filter_map(|(key, _)| of(key)).collect())
}

/// Every record of a kind as an import line, sorted by reference.
pub(crate) fn export(core: &Core, kind: Kind) -> Result<Vec<String>, CommandFailed> {
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = core
            .store
            .scan(Table::Documents, &[], after.as_deref(), ROWS_AT_ONCE)
            .map_err(ReadFailed::from)?;
        for (key, value) in &page {
            let row = DocumentRow::decode(value).map_err(ReadFailed::from)?;
            if let (true, Some(id)) = (row.kind == kind.code(), id_of(key)) {
                let document = core.look(id)?.ok_or(super::fields::BadRow {
                    row: "document",
                    at: 0,
                });
                let record = document.map_err(ReadFailed::from)?.record();
                lines.push((
                    import::exported_reference(id, &record.fields),
                    import::export_line(kind, id, record.created_at, &record.fields),
                ));
            }
        }
        match page.last() {
            Some((key, _)) if page.len() == ROWS_AT_ONCE => after = Some(key.clone()),
            _ => break,
        }
    }
    lines.sort();
    Ok(lines.into_iter().map(|(_, line)| line).collect())
}

fn view(core: &Core, row: &DocumentRow, document: &Document) -> Result<RecordView, CommandFailed> {
    let id = document.id();
    let record = document.record();
    let mut fields = record.fields;
    if document.kind() == Kind::Transfer {
        transfer::show(core, id, &mut fields);
    }
    let mut flags = record.flags;
    if let Some(hash) = row.indexed.as_ref().and_then(|indexed| indexed.reference)
        && core
            .store
            .scan(Table::References, &hash, None, 2)
            .map_err(ReadFailed::from)?
            .len()
            > 1
    {
        flags.push(flag("ref_in_use_twice", "/ref"));
    }
    let (mut alike, mut resolved, mut elsewhere) = (Vec::new(), Vec::new(), Vec::new());
    match document.kind() {
        Kind::Person => {
            alike = persons::alike(core, id, &fields)?;
            if !persons::leads_somewhere(core, id, &fields)? {
                flags.push(flag(MERGED_INTO_NOBODY, "/merged_into"));
            }
        }
        Kind::Project if row.territory == core.territory() => {
            elsewhere = notices::elsewhere(core, id)?;
            if !elsewhere.is_empty() {
                flags.push(flag("subject_elsewhere", "/subject"));
            }
        }
        Kind::Household | Kind::Casefile | Kind::Contact => {
            resolved = persons::resolved(core, &fields)?;
            if document.kind() == Kind::Casefile && casefiles::has_second(core, id, &fields)? {
                flags.push(flag(casefiles::SECOND, "/subject"));
            }
        }
        _ => {}
    }
    let protected = protection::tells(core, document)?;
    let (of_protected, shared_projects) = protection::flags(core, document, &fields, protected)?;
    flags.extend(of_protected);
    Ok(RecordView {
        id,
        protected,
        shared_projects,
        alike,
        resolved,
        elsewhere,
        kind: document.kind(),
        territory: row.territory.clone(),
        heads: document.heads(),
        fields,
        created_at: record.created_at,
        updated_at: record.updated_at,
        updated_by: record.updated_by,
        delivery: delivery(core, id, row)?,
        conflicts: record.conflicts,
        overwritten: record.overwritten,
        flags,
    })
}

fn flag(code: &str, path: &str) -> Flag {
    Flag {
        code: code.to_owned(),
        path: path.to_owned(),
    }
}

/// How far a record has travelled, from acknowledgements alone: delivered when every peer has it
/// that this node's own part of it is for, and seen when a person at one of them has opened it.
fn delivery(core: &Core, id: DocumentId, row: &DocumentRow) -> Result<Delivery, ReadFailed> {
    let saved = Delivery {
        state: DeliveryState::Saved,
        queued: 0,
        delivered_at: None,
        seen_by: Vec::new(),
    };
    let ledger = core.ledger();
    let (pairs, own) = (&ledger.pairs, core.id.origin());
    let Some(lane) = statements::lane_in(pairs, row, own, &core.territory()) else {
        return Ok(saved);
    };
    let own = core.own_log(lane);
    let peers = recipients(core, &ledger, own);
    if peers.is_empty() || row.last_seq == 0 {
        return Ok(saved);
    }
    let acked = |peer: &PeerId| {
        let link = core.links.link(peer);
        link.acked.get(&own).copied().unwrap_or(0)
    };
    let seen = seen::seen_by(core, &ledger, id, row.last_seq)?;
    let seen_there = seen.iter().any(|(peer, _)| peers.contains(peer));
    let seen_by = seen.into_iter().map(|(_, by)| by).collect();
    let least = peers.iter().map(acked).min().unwrap_or(0);
    if row.last_seq > least {
        return Ok(Delivery {
            state: DeliveryState::Queued,
            queued: queued(core, id, own, least)?,
            seen_by,
            ..saved
        });
    }
    let mut delivered_ms = None;
    for peer in &peers {
        delivered_ms = delivered_ms.max(tombstone::acknowledged(core, peer, own, row.last_seq)?);
    }
    Ok(Delivery {
        state: if seen_there {
            DeliveryState::Seen
        } else {
            DeliveryState::Delivered
        },
        delivered_at: delivered_ms.map(UnixMillis),
        seen_by,
        ..saved
    })
}

/// Who has to have an own log before it counts as delivered: the highest of where this node
/// joined; where it joined nowhere, all that joined here.
fn recipients(core: &Core, ledger: &Ledger, own: LogId) -> Vec<PeerId> {
    let may_have =
        |peer: &PeerId| Between::of(core, ledger, peer).is_some_and(|between| between.offers(own));
    let sponsors = || ledger.roster.sponsors().map(|(member, _)| member);
    if sponsors().next().is_some() {
        let own = ledger.roster.member(&core.id);
        if own.is_none_or(|member| member.state != MemberState::Approved) {
            return Vec::new();
        }
        let highest = sponsors().filter(|member| may_have(&member.key));
        let highest = highest.min_by_key(|member| scope::depth(&member.territory));
        return highest.map(|member| member.key).into_iter().collect();
    }
    let members = ledger.roster.iter();
    let approved = members.filter(|member| {
        member.state == MemberState::Approved && ledger.roster.is_peer(&member.key)
    });
    let keys = approved.map(|member| member.key);
    keys.filter(|key| may_have(key)).collect()
}

/// Entries of this record above the acknowledged number.
fn queued(core: &Core, id: DocumentId, own: LogId, acked: u64) -> Result<u64, ReadFailed> {
    let waiting = core
        .change_origins(id)?
        .into_iter()
        .filter(|origin| origin.log == own && origin.seq > acked);
    Ok(u64::try_from(waiting.count()).unwrap_or(u64::MAX))
}

pub(super) fn card(
    core: &Core,
    query: &ListQuery,
    wanted: Option<&str>,
    key: &[u8],
    value: &[u8],
) -> Result<Option<RecordCard>, ReadFailed> {
    let row = ListRow::decode(value)?;
    let other = |filter: &Option<String>, value: &str| {
        filter.as_deref().is_some_and(|wanted| wanted != value)
    };
    let Some(id) = key.get(9..).and_then(id_of) else {
        return Ok(None);
    };
    let Some(sections) = query.looks_in(row.territory == core.territory()) else {
        return Ok(None);
    };
    if other(&query.territory, &row.territory) || other(&query.state, &row.state) {
        return Ok(None);
    }
    let seal = core.document_key(id)?;
    let card = Card::decode(&seal.open(Table::Rows, *id.as_bytes(), &[0; 32], &row.sealed)?)?;
    if wanted.is_some_and(|wanted| !rows::says(&card.search, wanted, sections)) {
        return Ok(None);
    }
    let Some(document) = core.document_row(id)? else {
        return Ok(None);
    };
    Ok(Some(RecordCard {
        id,
        reference: card.reference,
        territory: row.territory,
        state: row.state,
        need_area: row.need_area,
        subject_kind: row.subject_kind,
        next_review_on: row.next_review_on,
        updated_at: UnixMillis(rows::list_key_time(key).unwrap_or_default()),
        conflicts: row.conflicts,
        delivery: delivery(core, id, &document)?,
    }))
}

pub(super) fn by_reference(
    core: &Core,
    kind: Kind,
    name: &str,
    territory: Option<&str>,
) -> Result<Vec<(DocumentId, String)>, ReadFailed> {
    let ledger = core.ledger();
    let territories: BTreeSet<String> = match territory {
        Some(one) => BTreeSet::from([one.to_owned()]),
        None => {
            let members = ledger.roster.iter().map(|m| m.territory.clone());
            let counted = ledger.counts.keys().cloned();
            members.chain(counted).chain([core.territory()]).collect()
        }
    };
    let mut found = Vec::new();
    for territory in territories {
        let hash = reference_hash(core, kind, &territory, name);
        let holders = core.store.scan(Table::References, &hash, None, 16)?;
        found.extend(
            holders
                .iter()
                .filter_map(|(key, _)| id_of(key.get(16..)?))
                .map(|id| (id, territory.clone())),
        );
    }
    Ok(found)
}

/// Documents whose id starts with these hex digits (two are enough to know that it is not unique).
fn by_prefix(core: &Core, kind: Kind, name: &str) -> Result<Vec<(DocumentId, String)>, ReadFailed> {
    let even = &name.as_bytes()[..name.len() & !1];
    let bytes = HEXLOWER_PERMISSIVE.decode(even).ok();
    let Some(prefix) = bytes else {
        return Ok(Vec::new());
    };
    let lower = name.to_lowercase();
    let mut found = Vec::new();
    for (key, value) in core.store.scan(Table::Documents, &prefix, None, 64)? {
        if let Some(id) = id_of(&key).filter(|id| id.to_string().starts_with(&lower)) {
            let row = DocumentRow::decode(&value)?;
            if row.kind == kind.code() {
                found.push((id, row.territory));
            }
        }
    }
    Ok(found)
}

fn id_of(key: &[u8]) -> Option<DocumentId> {
    key.try_into().ok().map(DocumentId::from_bytes)
}

pub(super) fn encode_cursor(key: &[u8]) -> String {
    HEXLOWER.encode(key)
}

fn parse_cursor(kind: Kind, cursor: &str) -> Result<Vec<u8>, CommandFailed> {
    let decoded = HEXLOWER.decode(cursor.as_bytes()).ok();
    let known = decoded.filter(|key| key.len() == 25 && key.first() == Some(&kind.code()));
    known.ok_or_else(|| CommandFailed::Malformed {
        detail: "cursor is not one that a list page gave".to_owned(),
    })
}

//! Entries of others: admitted in each log's order, group by group, in one commit.
//!
//! Documents are checked and absorbed on both cores; what is written is decided serially. An entry
//! that may not enter stops its log there, with the reason; other logs go on.

mod documents;
mod headers;
mod trial;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use raccordo_crdt_model::{ChangeHash, DocumentId};
use raccordo_transport::{EntryKind, SignedEntry};

use self::documents::{Absorbed, Share, Without, absorb_all};
use self::headers::{author_of, check_headers};
use self::trial::{Part, PartEnd, Stop, isolate_tombstone};
use super::commit;
use super::core::{Core, ReadFailed};
use super::draft::{Draft, NewChange};
use super::entry_run::BodyPlace;
use super::inbox::{Inbox, Taken};
use super::quarantine::{self, GROUP_BYTES_MAX, GROUP_ENTRIES_MAX, Place, Refusal};
use super::receipts;
use super::roster::Member;
use super::statements;
use super::task::Done;
use super::tombstone::{self, Missing, Order};
use super::view::CommandFailed;
#[cfg(feature = "testing")]
use crate::planted::{Planted, planted};

/// Admits what can be admitted of what was taken. What is refused goes to quarantine and stops its
/// log; what depends on something that is not here waits.
pub(crate) fn absorb(core: &Core, inbox: &Inbox, taken: Vec<Taken>) {
    let parts = taken.into_iter().map(Part::queued).collect();
    absorb_after(core, inbox, parts, &|_| {});
}

/// Admits a refused group once more, and what else was taken; its log goes on if it enters.
pub(crate) fn retry(
    core: &Core,
    inbox: &Inbox,
    place: Place,
    by: &str,
) -> Result<Done, CommandFailed> {
    let refusal = quarantine::find(core, place)?.ok_or_else(|| quarantine::unknown(place))?;
    let part = Part::kept(place.log, refusal.peer, refusal.entries);
    absorb_after(core, inbox, vec![part], &|draft| {
        quarantine::release(draft, place);
        draft.audit(by, "retry", &place.id(), "");
    });
    match core.ledger().stopped.get(&place.log) {
        None => Ok(Done::Nothing),
        Some(stop) => Err(CommandFailed::Conflict {
            code: "refused_again",
            detail: stop.detail.clone(),
        }),
    }
}

fn absorb_after(
    core: &Core,
    inbox: &Inbox,
    mut parts: Vec<Part>,
    prepare: &dyn Fn(&mut Draft<'_>),
) {
    isolate_tombstone(&mut parts);
    let mut without = Without::new();
    loop {
        let mut draft = Draft::new(core);
        prepare(&mut draft);
        match admit(draft, &parts, &without) {
            Ok((draft, touched)) => {
                finish(core, inbox, draft, parts, &touched);
                return;
            }
            Err(Stop::Refused { part, seq, reason }) => {
                let log = parts[part].log;
                tracing::warn!(%log, seq, %reason, "an entry was refused; its log stops there");
                parts[part].refuse(seq, reason.to_string());
            }
            Err(Stop::Waits { part, waits }) => parts[part].wait(waits),
            Err(Stop::Depends { change }) => {
                without.insert(change);
            }
            Err(Stop::Store(failed)) => {
                tracing::error!(error = %commit::chain(&failed), "entries could not be taken in");
                reset(core, inbox, &parts);
                return;
            }
        }
    }
}

/// The draft with all that is on trial in it, and the documents that it touches.
fn admit<'a>(
    mut draft: Draft<'a>,
    parts: &[Part],
    without: &Without,
) -> Result<(Draft<'a>, BTreeSet<DocumentId>), Stop> {
    let mut shares: BTreeMap<DocumentId, Share<'_>> = BTreeMap::new();
    for (index, part) in parts.iter().enumerate() {
        let with = statements::counterpart(&draft.ledger, part.log, part.on_trial());
        check_headers(&draft, index, part, with.as_deref())?;
        if let Some(with) = with {
            Arc::make_mut(&mut draft.ledger.pairs).insert(part.log, with);
        }
        for entry in part.on_trial() {
            if is_kept(&draft, entry, without) {
                let id = DocumentId::from_bytes(entry.header.document);
                shares.entry(id).or_default().entries.push((index, entry));
            }
        }
    }
    let mut touched: BTreeSet<DocumentId> = shares.keys().copied().collect();
    let absorbed = absorb_all(draft.core, &draft.ledger.pairs, shares, without)?;
    for (id, done) in absorbed {
        adopt(&mut draft, id, done);
    }
    for part in parts {
        for entry in part.on_trial() {
            if entry.header.kind == EntryKind::Change && !is_kept(&draft, entry, without) {
                let id = DocumentId::from_bytes(entry.header.document);
                touched.insert(id);
                let why = match body_of(entry) {
                    None => Missing::Absent,
                    Some(_) => Missing::Dependent,
                };
                tombstone::record_without_body(&mut draft, entry, why);
            } else {
                record(&mut draft, entry)?;
            }
        }
        audit(&mut draft, part);
    }
    super::peers::put_in_force(&mut draft);
    Ok((draft, touched))
}

/// Whether an entry is a change that is applied: with a body, of a document that is not erased.
fn is_kept(draft: &Draft<'_>, entry: &SignedEntry, without: &Without) -> bool {
    let header = &entry.header;
    let id = DocumentId::from_bytes(header.document);
    let erased = draft.ledger.erased.contains(&id);
    header.kind == EntryKind::Change
        && body_of(entry).is_some()
        && !erased
        && !without.contains(&(id, ChangeHash::from_bytes(header.body_hash)))
}

/// The body that an entry came with.
fn body_of(entry: &SignedEntry) -> Option<&[u8]> {
    entry.body.as_deref()
}

fn adopt(draft: &mut Draft<'_>, id: DocumentId, done: Absorbed) {
    match done.former {
        Some((row, key)) => draft.adopt(id, done.kind, row, key),
        None => draft.adopt_new(id, done.kind, &done.territory, done.home),
    }
    match done.document {
        Some(document) => draft.advance(id, Arc::new(document)),
        None => draft.advance_unseen(id, done.heads, done.summary),
    }
}

fn record(draft: &mut Draft<'_>, entry: &SignedEntry) -> Result<(), ReadFailed> {
    let signed = entry.signed_header();
    draft.ledger.totals.hlc = draft
        .ledger
        .totals
        .hlc
        .max(entry.header.hlc.min(near_future(draft.now_ms)));
    match entry.header.kind {
        EntryKind::Change => {
            let id = DocumentId::from_bytes(entry.header.document);
            let hash = ChangeHash::from_bytes(entry.header.body_hash);
            draft.record_change(
                id,
                &NewChange {
                    hash,
                    bytes: body_of(entry).unwrap_or_default(),
                },
                &signed,
            );
        }
        EntryKind::Roster => {
            draft.record_entry(&signed, &BodyPlace::Here(entry.bytes().to_vec()));
            let member = Member::decode(entry.bytes()).expect("check_headers has decoded it");
            super::peers::keep_fact(draft, member, entry.header.origin, entry.header.seq);
        }
        EntryKind::Tombstone => {
            let order = Order::decode(entry.bytes()).expect("check_headers has decoded it");
            let author = author_of(draft.core, &draft.ledger, entry.header.origin);
            if let Some(author) = &author {
                receipts::owe(draft, &signed, author);
            }
            let territory = author.map_or(String::new(), |author| author.territory);
            tombstone::put(draft, &signed, &order, entry.bytes(), &territory)?;
        }
        EntryKind::Policy => {
            statements::keep(draft, &entry.header, entry.bytes());
            draft.record_entry(&signed, &BodyPlace::Here(entry.bytes().to_vec()));
        }
    }
    Ok(())
}

/// A peer's clock may pull ours forward by five minutes at most.
fn near_future(now_ms: i64) -> u64 {
    u64::try_from(now_ms + 300_000).unwrap_or_default() << 16
}

fn audit(draft: &mut Draft<'_>, part: &Part) {
    let entries = part.on_trial();
    if let (Some(first), Some(last)) = (entries.first(), entries.last()) {
        let detail = format!("entries {} to {}", first.header.seq, last.header.seq);
        draft.audit("peer", "admit", &part.log.to_string(), &detail);
    }
}

/// Commits what was admitted, then tells the queues what became of the rest.
fn finish(
    core: &Core,
    inbox: &Inbox,
    mut draft: Draft<'_>,
    parts: Vec<Part>,
    touched: &BTreeSet<DocumentId>,
) {
    for part in &parts {
        if let PartEnd::Refused { seq, reason } = &part.end {
            let refusal = refusal(part, draft.now_ms, *seq, reason);
            quarantine::keep(&mut draft, part.log, &refusal);
        }
    }
    if commit::commit(draft).is_err() {
        reset(core, inbox, &parts);
        return;
    }
    inbox.stored(parts.iter().map(|part| part.log));
    let facts = parts.iter().flat_map(Part::on_trial);
    let roster_moved = facts
        .map(|entry| entry.header.kind)
        .any(|kind| kind == EntryKind::Roster);
    for part in parts {
        settle(core, inbox, part);
    }
    let ended = inbox.wake(|waits| match waits.document {
        Some(id) => touched.contains(&id),
        None => roster_moved,
    });
    if ended {
        core.ticks.send_modify(|tick| *tick += 1);
    }
    core.tell_waits(inbox.waiting());
}

/// Gives room back for what was admitted, and drops or puts back the rest.
fn settle(core: &Core, inbox: &Inbox, mut part: Part) {
    if !part.queued {
        return;
    }
    let rest = part.entries.split_off(part.count);
    inbox.done(part.log, &part.entries);
    match part.end {
        PartEnd::Later if rest.is_empty() => {}
        PartEnd::Later => inbox.put_back(part.log, rest, None),
        PartEnd::Waits(waits) => {
            tracing::info!(log = %part.log, seq = waits.seq, why = waits.detail, "a log waits");
            inbox.put_back(part.log, rest, Some(waits));
        }
        PartEnd::Refused { .. } => {
            inbox.done(part.log, &rest);
            inbox.drop_log(part.log, core.ledger().end(part.log).seq);
        }
    }
}

/// What is kept of a refused group: all of it, or its worst entry alone where it is too large.
fn refusal(part: &Part, at_ms: i64, seq: u64, reason: &str) -> Refusal {
    let group = part.next_group();
    let count = group.first().map_or(0, |first| first.header.group_count);
    let bytes: usize = group.iter().map(|entry| entry.bytes().len()).sum();
    let whole = usize::try_from(count).is_ok_and(|count| count == group.len())
        && count <= GROUP_ENTRIES_MAX
        && bytes <= GROUP_BYTES_MAX;
    let to_blame = |entry: &&SignedEntry| whole || entry.header.seq == seq;
    Refusal {
        peer: part.peer,
        at_ms,
        seq,
        reason: reason.to_owned(),
        whole,
        entries: group.iter().filter(to_blame).cloned().collect(),
    }
}

/// Forgets what was taken and not stored; the peer is asked for it again.
fn reset(core: &Core, inbox: &Inbox, parts: &[Part]) {
    #[cfg(feature = "testing")]
    if planted(Planted::ForgottenAfterFailedCommit) {
        return;
    }
    let now_ms = core.clock.monotonic_millis();
    for part in parts.iter().filter(|part| part.queued) {
        inbox.done(part.log, &part.entries);
        inbox.tear(part.log, core.ledger().end(part.log).seq, now_ms);
    }
}

//! Entries of others: admitted in each log's order, group by group, in one commit.
//!
//! Documents are checked and absorbed on both cores; what is written is decided serially. An entry
//! that may not enter stops its log there, with the reason; other logs go on.

use std::collections::BTreeMap;
use std::sync::Arc;

use raccordo_crdt_model::{
    ChangeHash, CheckedChange, Document, DocumentId, Heads, Kind, Summary, gate,
};
use raccordo_transport::{EntryKind, LogId, SignedEntry};

use super::admission::{self, NotAdmitted};
use super::commit;
use super::core::{Core, ReadFailed};
use super::draft::{Draft, NewChange};
use super::inbox::{Inbox, Taken};
use super::roster::Member;
use super::rows::{BodyPlace, DocumentRow};
use crate::store::seal::SealKey;

/// Documents below this number are not worth a second thread.
const PARALLEL_MIN: usize = 8;

/// Admits what can be admitted of what was taken; the rest stops its log.
pub(crate) fn absorb(core: &Arc<Core>, inbox: &Inbox, taken: &[Taken]) {
    let mut parts: Vec<Part<'_>> = taken.iter().map(Part::new).collect();
    let mut stopped = Vec::new();
    loop {
        let draft = Draft::new(core);
        match admit(draft, &parts) {
            Ok(draft) => {
                finish(core, inbox, draft, &parts, stopped);
                return;
            }
            Err(Stop::Entry { part, seq, reason }) => {
                tracing::warn!(log = %parts[part].log, seq, %reason, "an entry was refused; its log stops there");
                stopped.push((
                    parts[part].log,
                    format!("entry {seq} was refused: {reason}"),
                ));
                parts[part].cut_before_group_of(seq);
            }
            Err(Stop::Store(failed)) => {
                tracing::error!(error = %commit::chain(&failed), "entries could not be taken in");
                reset(core, inbox, &parts);
                return;
            }
        }
    }
}

/// The entries of one log that are on trial.
#[derive(Debug)]
struct Part<'a> {
    log: LogId,
    entries: &'a [SignedEntry],
}

/// What ends a trial.
#[derive(Debug)]
enum Stop {
    Entry {
        part: usize,
        seq: u64,
        reason: NotAdmitted,
    },
    Store(ReadFailed),
}

impl<'a> Part<'a> {
    fn new(taken: &'a Taken) -> Self {
        Self {
            log: taken.log,
            entries: &taken.entries,
        }
    }

    fn cut_before_group_of(&mut self, seq: u64) {
        let entries = self.entries;
        let first = entries
            .iter()
            .find(|e| e.header.seq == seq)
            .map_or(0, |e| e.header.group_first);
        let kept = entries
            .iter()
            .take_while(|e| e.header.seq < first.min(seq))
            .count();
        self.entries = &entries[..kept];
    }
}

/// One document's share of the entries, across logs.
#[derive(Debug, Default)]
struct Share<'a> {
    entries: Vec<(usize, &'a SignedEntry)>,
}

/// A document after it took its share in.
#[derive(Debug)]
struct Absorbed {
    /// What was stored of it before: nothing of a new one.
    former: Option<(DocumentRow, SealKey)>,
    home: LogId,
    kind: Kind,
    territory: String,
    heads: Heads,
    summary: Summary,
    /// None where the batch touches more documents than the cache holds.
    document: Option<Document>,
}

fn admit<'a>(mut draft: Draft<'a>, parts: &[Part<'_>]) -> Result<Draft<'a>, Stop> {
    let mut shares: BTreeMap<DocumentId, Share<'_>> = BTreeMap::new();
    for (part, log) in parts.iter().enumerate() {
        check_headers(&draft, part, log)?;
        for entry in log
            .entries
            .iter()
            .filter(|e| e.header.kind == EntryKind::Change)
        {
            let id = DocumentId::from_bytes(entry.header.document);
            shares.entry(id).or_default().entries.push((part, entry));
        }
    }
    let absorbed = absorb_all(draft.core, shares)?;
    for (id, done) in absorbed {
        adopt(&mut draft, id, done);
    }
    for part in parts {
        for entry in part.entries {
            record(&mut draft, entry);
        }
        audit(&mut draft, part);
    }
    Ok(draft)
}

/// Chain, membership and kind of every entry, before any body is looked at.
fn check_headers(draft: &Draft<'_>, part: usize, log: &Part<'_>) -> Result<(), Stop> {
    let mut end = draft.ledger.end(log.log);
    let author = author(draft, log.log);
    for entry in log.entries {
        let header = &entry.header;
        let stop = |reason| Stop::Entry {
            part,
            seq: header.seq,
            reason,
        };
        if header.seq != end.seq + 1 || header.prev != end.hash {
            let reason = format!("it does not follow entry {} of its log", end.seq);
            return Err(stop(NotAdmitted::Content { reason }));
        }
        admission::admit(header, author.as_ref()).map_err(stop)?;
        if header.kind == EntryKind::Roster && Member::decode(entry.bytes()).is_err() {
            let reason = "it is not a fact about a member as this version knows them".to_owned();
            return Err(stop(NotAdmitted::Content { reason }));
        }
        end.seq = header.seq;
        end.hash = entry.entry_hash();
    }
    Ok(())
}

fn author(draft: &Draft<'_>, log: LogId) -> Option<Member> {
    draft.ledger.roster.of_origin(log.origin).cloned()
}

/// Takes every share in, on as many cores as there are.
fn absorb_all(
    core: &Core,
    shares: BTreeMap<DocumentId, Share<'_>>,
) -> Result<Vec<(DocumentId, Absorbed)>, Stop> {
    let shares: Vec<_> = shares.into_iter().collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let keep = shares.len() <= core.cache_capacity();
    let workers = if shares.len() < PARALLEL_MIN {
        1
    } else {
        cores
    };
    let absorb = |(id, share): &(DocumentId, Share<'_>)| {
        absorb_one(core, *id, share, keep).map(|done| (*id, done))
    };
    if workers == 1 {
        return earliest(shares.iter().map(absorb).collect());
    }
    let results = std::thread::scope(|scope| {
        let chunks = shares.chunks(shares.len().div_ceil(workers));
        let threads: Vec<_> = chunks
            .map(|chunk| scope.spawn(move || chunk.iter().map(absorb).collect::<Vec<_>>()))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("absorbing catches its panics"))
            .collect()
    });
    earliest(results)
}

/// All results, or the stop that comes first in its log.
fn earliest<T>(results: Vec<Result<T, Stop>>) -> Result<Vec<T>, Stop> {
    let mut good = Vec::with_capacity(results.len());
    let mut first: Option<Stop> = None;
    for result in results {
        match result {
            Ok(done) => good.push(done),
            Err(stop) => {
                let seq = |stop: &Stop| {
                    if let Stop::Entry { part, seq, .. } = stop {
                        (*part, *seq)
                    } else {
                        (0, 0)
                    }
                };
                if first.as_ref().is_none_or(|known| seq(&stop) < seq(known)) {
                    first = Some(stop);
                }
            }
        }
    }
    first.map_or(Ok(good), Err)
}

fn absorb_one(
    core: &Core,
    id: DocumentId,
    share: &Share<'_>,
    keep: bool,
) -> Result<Absorbed, Stop> {
    let loaded = core.load(id).map_err(Stop::Store)?;
    let stop = |index: usize, reason: NotAdmitted| {
        let (part, entry) = share.entries[index.min(share.entries.len() - 1)];
        Stop::Entry {
            part,
            seq: entry.header.seq,
            reason,
        }
    };
    let content = |reason: String| NotAdmitted::Content { reason };
    let mut checked: Vec<CheckedChange> = Vec::with_capacity(share.entries.len());
    for (index, (_, entry)) in share.entries.iter().enumerate() {
        let header = &entry.header;
        let hash = ChangeHash::from_bytes(header.body_hash);
        let change = gate::check(
            entry.bytes().to_vec(),
            &hash,
            header.origin,
            header.incarnation,
        );
        checked.push(change.map_err(|refused| stop(index, content(refused.reason)))?);
    }
    let empty = Document::empty(id);
    let former = loaded.as_ref().map_or(&empty, |loaded| &*loaded.document);
    let absorbed = former.absorb(&checked);
    let document = absorbed.map_err(|refused| stop(refused.index, content(refused.reason)))?;
    let ledger = core.ledger();
    for (index, (_, entry)) in share.entries.iter().enumerate() {
        let member = ledger.roster.of_origin(entry.header.origin);
        let member = member.ok_or_else(|| stop(index, NotAdmitted::NoMember))?;
        admission::home_fits(document.territory(), member).map_err(|reason| stop(index, reason))?;
        if document.kind().code() != entry.header.document_kind || document.is_local() {
            return Err(stop(
                index,
                content("its document is of another kind than its header says".to_owned()),
            ));
        }
    }
    let former = loaded.map(|loaded| (loaded.row, loaded.key));
    Ok(Absorbed {
        former,
        home: share.entries[0].1.header.log(),
        kind: document.kind(),
        territory: document.territory().to_owned(),
        heads: document.heads(),
        summary: document.summary(),
        document: keep.then_some(document),
    })
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

fn record(draft: &mut Draft<'_>, entry: &SignedEntry) {
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
                    bytes: entry.bytes(),
                    line: None,
                },
                &signed,
            );
        }
        EntryKind::Roster => {
            draft.record_entry(&signed, BodyPlace::Here(entry.bytes().to_vec()));
            let member = Member::decode(entry.bytes()).expect("check_headers has decoded it");
            super::peers::put_in_force(draft, &member, entry.header.seq);
        }
        EntryKind::Tombstone | EntryKind::Policy => {
            draft.record_entry(&signed, BodyPlace::Here(entry.bytes().to_vec()));
        }
    }
}

/// A peer's clock may pull ours forward by five minutes at most.
fn near_future(now_ms: i64) -> u64 {
    u64::try_from(now_ms + 300_000).unwrap_or_default() << 16
}

fn audit(draft: &mut Draft<'_>, part: &Part<'_>) {
    if let (Some(first), Some(last)) = (part.entries.first(), part.entries.last()) {
        let detail = format!("entries {} to {}", first.header.seq, last.header.seq);
        draft.audit("peer", "admit", &part.log.to_string(), &detail);
    }
}

fn finish(
    core: &Arc<Core>,
    inbox: &Inbox,
    mut draft: Draft<'_>,
    parts: &[Part<'_>],
    stopped: Vec<(LogId, String)>,
) {
    for (log, reason) in &stopped {
        draft.ledger.quarantined.insert(*log, reason.clone());
        let key = [b"stopped/".as_slice(), &super::rows::log_key(*log)].concat();
        draft
            .batch
            .put(crate::store::Table::Meta, key, reason.as_bytes());
    }
    if commit::commit(draft).is_err() {
        reset(core, inbox, parts);
    }
    for (log, _) in stopped {
        inbox.drop_log(log, core.ledger().end(log).seq);
    }
}

/// Forgets what was taken and not stored, so that the peer's repetition is accepted.
fn reset(core: &Core, inbox: &Inbox, parts: &[Part<'_>]) {
    for part in parts {
        inbox.drop_log(part.log, core.ledger().end(part.log).seq);
    }
}

//! Documents that take their share of the entries in, on all cores; nothing is written here.
//!
//! Each is checked by the gate and joined on a copy. A change that needs another which is not
//! here waits, or goes the way of the one it needs.

use std::collections::{BTreeMap, BTreeSet};

use raccordo_crdt_model::{
    ChangeHash, CheckedChange, Document, DocumentId, Heads, Kind, Refused, Summary, gate,
};
use raccordo_transport::{LogId, SignedEntry};

use super::super::admission::{self, NotAdmitted};
use super::super::core::{Core, ReadFailed};
use super::super::cores::on_all_cores;
use super::super::inbox::Waits;
use super::super::rows::DocumentRow;
use super::super::scope;
use super::super::statements;
use super::super::tombstone;
use super::body_of;
use super::headers::author_of;
use super::trial::Stop;
use crate::store::seal::SealKey;

/// For which other territory each lane for one is.
type Pairs = BTreeMap<LogId, String>;

/// Changes that are recorded without their bodies.
pub(super) type Without = BTreeSet<(DocumentId, ChangeHash)>;

/// One document's share of the entries, across logs.
#[derive(Debug, Default)]
pub(super) struct Share<'a> {
    pub(super) entries: Vec<(usize, &'a SignedEntry)>,
}

/// A document after it took its share in.
#[derive(Debug)]
pub(super) struct Absorbed {
    /// What was stored of it before: nothing of a new one.
    pub(super) former: Option<(DocumentRow, SealKey)>,
    pub(super) home: LogId,
    pub(super) kind: Kind,
    pub(super) territory: String,
    pub(super) heads: Heads,
    pub(super) summary: Summary,
    /// None where the batch touches more documents than the cache holds.
    pub(super) document: Option<Document>,
}

/// Takes every share in, on as many cores as there are.
pub(super) fn absorb_all(
    core: &Core,
    pairs: &Pairs,
    shares: BTreeMap<DocumentId, Share<'_>>,
    without: &Without,
) -> Result<Vec<(DocumentId, Absorbed)>, Stop> {
    let shares: Vec<_> = shares.into_iter().collect();
    let keep = shares.len() <= core.cache_capacity();
    let absorbed = on_all_cores(&shares, |(id, share)| {
        absorb_one(core, pairs, *id, share, keep, without).map(|done| (*id, done))
    });
    earliest(absorbed)
}

/// All results, or the stop that comes first in its log.
fn earliest<T>(results: Vec<Result<T, Stop>>) -> Result<Vec<T>, Stop> {
    let mut good = Vec::with_capacity(results.len());
    let mut first: Option<Stop> = None;
    for result in results {
        match result {
            Ok(done) => good.push(done),
            Err(stop) => {
                let place = |stop: &Stop| match stop {
                    Stop::Refused { part, seq, .. } => (*part, *seq),
                    Stop::Waits { part, waits } => (*part, waits.seq),
                    Stop::Depends { .. } | Stop::Store(_) => (0, 0),
                };
                if first
                    .as_ref()
                    .is_none_or(|known| place(&stop) < place(known))
                {
                    first = Some(stop);
                }
            }
        }
    }
    first.map_or(Ok(good), Err)
}

fn absorb_one(
    core: &Core,
    pairs: &Pairs,
    id: DocumentId,
    share: &Share<'_>,
    keep: bool,
    without: &Without,
) -> Result<Absorbed, Stop> {
    if core.ledger().damaged.contains_key(&id) {
        let (part, entry) = share.entries[0];
        return Err(Stop::Waits {
            part,
            waits: Waits {
                document: Some(id),
                seq: entry.header.seq,
                detail: "its document is damaged here and is fetched from a peer".to_owned(),
            },
        });
    }
    let loaded = core.load(id)?;
    let refused = |index: usize, reason: NotAdmitted| {
        let (part, entry) = share.entries[index.min(share.entries.len() - 1)];
        Stop::Refused {
            part,
            seq: entry.header.seq,
            reason,
        }
    };
    let content = |reason: String| NotAdmitted::Content { reason };
    let mut checked: Vec<(usize, CheckedChange)> = Vec::with_capacity(share.entries.len());
    for (index, (_, entry)) in share.entries.iter().enumerate() {
        let header = &entry.header;
        let hash = ChangeHash::from_bytes(header.body_hash);
        let body = body_of(entry).unwrap_or_default().to_vec();
        let change = gate::check(body, &hash, header.origin, header.incarnation);
        let change = change.map_err(|bad| refused(index, content(bad.reason())))?;
        checked.push((index, change));
    }
    // What begins it says whose it is, whichever log came first.
    let begins = checked
        .iter()
        .find(|(_, change)| change.dependencies().len() == 0);
    let home = begins.map_or(0, |(place, _)| *place);
    let empty = Document::empty(id);
    let former = loaded.as_ref().map_or(&empty, |loaded| &*loaded.document);
    let document = match join(former, checked, share) {
        Ok(document) => document,
        Err((index, Refused::Absent { hash, .. })) => {
            return Err(absent(core, id, share.entries[index], hash, without)?);
        }
        Err((index, bad)) => return Err(refused(index, content(bad.reason()))),
    };
    let begun_in = loaded.as_ref().map_or_else(
        || share.entries[home].1.header.log(),
        |loaded| LogId::new(loaded.row.home_origin, loaded.row.lane),
    );
    for (index, (_, entry)) in share.entries.iter().enumerate() {
        belongs(core, pairs, &document, begun_in, entry)
            .map_err(|reason| refused(index, reason))?;
    }
    let former = loaded.map(|loaded| (loaded.row, loaded.key));
    Ok(Absorbed {
        former,
        home: begun_in,
        kind: document.kind(),
        territory: document.territory().to_owned(),
        heads: document.heads(),
        summary: document.summary(),
        document: keep.then_some(document),
    })
}

/// Whether an entry is of who may write the document, where it may stand.
fn belongs(
    core: &Core,
    pairs: &Pairs,
    document: &Document,
    begun_in: LogId,
    entry: &SignedEntry,
) -> Result<(), NotAdmitted> {
    let header = &entry.header;
    let member = author_of(core, &core.ledger(), header.origin).ok_or(NotAdmitted::NoMember)?;
    let lane = header.lane;
    match scope::lane_of(document.kind(), document.is_local()) {
        Some(wanted) => {
            admission::home_fits(document.territory(), &member)?;
            if wanted != lane {
                return Err(NotAdmitted::Lane { lane });
            }
        }
        None => statements::fits(pairs, begun_in, document.territory(), &member, lane)?,
    }
    if document.kind().code() != header.document_kind {
        return Err(NotAdmitted::Content {
            reason: "its document is of another kind than its header says".to_owned(),
        });
    }
    Ok(())
}

/// Joins the changes with the document. Those of several logs may need each other in any order:
/// one that comes too early is put behind the others, with what follows it in its log.
fn join(
    former: &Document,
    mut checked: Vec<(usize, CheckedChange)>,
    share: &Share<'_>,
) -> Result<Document, (usize, Refused)> {
    let mut moved = 0;
    loop {
        let (places, changes): (Vec<usize>, Vec<CheckedChange>) = checked.into_iter().unzip();
        let bad = match former.absorb(&changes) {
            Ok(document) => return Ok(document),
            Err(bad) => bad,
        };
        let at = bad.index();
        let log = share.entries[places[at]].0;
        let mut rest: Vec<_> = places.into_iter().zip(changes).collect();
        let behind = rest.split_off(at);
        let (late, others): (Vec<_>, Vec<_>) = behind
            .into_iter()
            .partition(|(place, _)| share.entries[*place].0 == log);
        let place = late[0].0;
        moved = if others.is_empty() {
            usize::MAX
        } else {
            moved + 1
        };
        if !matches!(bad, Refused::Absent { .. }) || moved > share.entries.len() {
            return Err((place, bad));
        }
        rest.extend(others);
        rest.extend(late);
        checked = rest;
    }
}

/// What a change comes to that needs another which is not here.
fn absent(
    core: &Core,
    id: DocumentId,
    (part, entry): (usize, &SignedEntry),
    needed: ChangeHash,
    without: &Without,
) -> Result<Stop, ReadFailed> {
    let header = &entry.header;
    if without.contains(&(id, needed)) || tombstone::is_missing(core, id, &needed)? {
        let change = (id, ChangeHash::from_bytes(header.body_hash));
        return Ok(Stop::Depends { change });
    }
    Ok(Stop::Waits {
        part,
        waits: Waits {
            document: Some(id),
            seq: header.seq,
            detail: format!("it depends on change {needed}, which is not here yet"),
        },
    })
}

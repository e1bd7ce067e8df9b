//! Who has opened what: noted here about peers' entries, and heard from peers about own ones.
//!
//! Guarantees: a note of opening costs no commit of its own, and a document has at most one a peer; what
//! a peer says counts only of entries of a document that it was sent and has acknowledged. A node tells
//! the peers that it speaks with themselves, of their own entries: nobody passes on what others saw.
//! Rows of table `Seen`: 1, peer, document: to be told · 2, peer, document: told · 3, document, peer: heard.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use raccordo_crdt_model::{DocumentId, Heads, Kind, UnixMillis};
use raccordo_transport::{LogId, PeerId, SEEN_ITEMS_MAX, Seen};

use super::between::Between;
use super::commit;
use super::core::{Core, ReadFailed};
use super::draft::Draft;
use super::fields::{BadRow, FieldReader, FieldWriter};
use super::ledger::Ledger;
use super::links::Link;
use super::statements;
use super::task::Note;
use super::view::{Event, MemberState, SeenBy};
use crate::store::{Store, Table};

const VERSION: u8 = 1;
const TO_TELL: u8 = 1;
const TOLD: u8 = 2;
const HEARD: u8 = 3;

/// Documents of which it is remembered that their newest state was opened and noted.
const NOTED_MAX: usize = 4_096;

/// What is resident of all this: the next that each peer is to be told.
#[derive(Debug)]
pub(crate) struct SeenBoard {
    to_tell: Mutex<BTreeMap<PeerId, Vec<Seen>>>,
    /// How many changes a document had when it was noted last.
    noted: Mutex<LruCache<DocumentId, u32>>,
}

/// Up to where a document was seen, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SeenRow {
    seq: u64,
    at_ms: i64,
}

/// A person here has opened a document, as far as a peer wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) peer: PeerId,
    pub(crate) document: DocumentId,
    /// The last entry shown that is the peer's own.
    pub(crate) seq: u64,
    pub(crate) at_ms: i64,
    /// Changes that the document had.
    pub(crate) changes: u32,
}

impl SeenBoard {
    /// What is still to be told, from the disk.
    pub(crate) fn read(store: &Store, ledger: &Ledger) -> Result<Self, ReadFailed> {
        let mut to_tell = BTreeMap::new();
        for member in ledger.roster.iter() {
            let next = next_to_tell(store, &member.key)?;
            if !next.is_empty() {
                to_tell.insert(member.key, next);
            }
        }
        let size = NonZeroUsize::new(NOTED_MAX).expect("more than none");
        Ok(Self {
            to_tell: Mutex::new(to_tell),
            noted: Mutex::new(LruCache::new(size)),
        })
    }

    /// What a peer is to be told next.
    pub(crate) fn to_tell(&self, peer: &PeerId) -> Vec<Seen> {
        self.lock().get(peer).cloned().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PeerId, Vec<Seen>>> {
        self.to_tell.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn noted(&self) -> MutexGuard<'_, LruCache<DocumentId, u32>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to be noted after a person was shown a document at this version.
pub(crate) fn opened(core: &Core, id: DocumentId, shown: &Heads) -> Result<Vec<Note>, ReadFailed> {
    // What is not the newest any more was shown too early to tell which entries it held.
    let row = core.document_row(id)?;
    let Some(row) = row.filter(|row| row.version() == *shown) else {
        return Ok(Vec::new());
    };
    if core.seen.noted().get(&id) == Some(&row.changes) {
        return Ok(Vec::new());
    }
    let ledger = core.ledger();
    let mut last: BTreeMap<LogId, u64> = BTreeMap::new();
    let count = usize::try_from(row.changes).unwrap_or(usize::MAX);
    for origin in core.change_origins(id)?.into_iter().take(count) {
        let seq = last.entry(origin.log).or_default();
        *seq = origin.seq.max(*seq);
    }
    // A document that came whole may hold entries whose log has not come so far.
    if last.iter().any(|(log, seq)| ledger.end(*log).seq < *seq) {
        return Ok(Vec::new());
    }
    let at_ms = core.clock.unix_millis();
    let roster = &ledger.roster;
    let peers = roster
        .iter()
        .filter(|member| member.state == MemberState::Approved && roster.is_peer(&member.key));
    let notes: Vec<Note> = peers
        .filter_map(|member| {
            let origin = member.key.origin();
            let lane = statements::lane_in(&ledger.pairs, &row, origin, &member.territory)?;
            let log = LogId::new(origin, lane);
            Some(Note::Opened(Opened {
                peer: member.key,
                document: id,
                seq: *last.get(&log)?,
                at_ms,
                changes: row.changes,
            }))
        })
        .collect();
    if notes.is_empty() {
        core.seen.noted().put(id, row.changes);
    }
    Ok(notes)
}

/// Adds a note of opening to a draft, unless it says nothing new.
pub(crate) fn keep_opened(draft: &mut Draft<'_>, opened: &Opened) -> Result<(), ReadFailed> {
    if draft.ledger.erased.contains(&opened.document) {
        return Ok(());
    }
    let (peer, id) = (&opened.peer, opened.document);
    for tag in [TO_TELL, TOLD] {
        let known = row(draft, &key_for_peer(tag, peer, id))?;
        if known.is_some_and(|known| known.seq >= opened.seq) {
            return Ok(());
        }
    }
    let row = SeenRow {
        seq: opened.seq,
        at_ms: opened.at_ms,
    };
    let key = key_for_peer(TO_TELL, peer, id);
    draft.batch.put(Table::Seen, key, row.encode());
    Ok(())
}

/// Adds to a draft that a peer knows what it was told.
pub(crate) fn keep_told(
    draft: &mut Draft<'_>,
    peer: &PeerId,
    told: &Seen,
) -> Result<(), ReadFailed> {
    let id = DocumentId::from_bytes(told.document);
    let key = key_for_peer(TO_TELL, peer, id);
    let Some(waiting) = row(draft, &key)? else {
        return Ok(());
    };
    if waiting.seq <= told.seq {
        draft.batch.delete(Table::Seen, key);
    }
    let row = SeenRow {
        seq: told.seq,
        at_ms: waiting.at_ms,
    };
    let key = key_for_peer(TOLD, peer, id);
    draft.batch.put(Table::Seen, key, row.encode());
    Ok(())
}

/// After a commit: shows the links what is to be told next.
pub(crate) fn publish<'a>(core: &Core, notes: impl Iterator<Item = &'a Note>) {
    let mut peers = BTreeSet::new();
    for note in notes {
        match note {
            Note::Opened(opened) => {
                core.seen.noted().put(opened.document, opened.changes);
                peers.insert(opened.peer);
            }
            Note::SeenTold { peer, .. } => {
                peers.insert(*peer);
            }
            Note::Acknowledged { .. } | Note::Contact { .. } | Note::Starts { .. } => {}
        }
    }
    for peer in &peers {
        match next_to_tell(&core.store, peer) {
            Ok(next) => drop(core.seen.lock().insert(*peer, next)),
            Err(failed) => {
                tracing::error!(error = %commit::chain(&failed), "what was opened cannot be read");
            }
        }
    }
    if !peers.is_empty() {
        core.ticks.send_modify(|tick| *tick += 1);
    }
}

/// Keeps what a peer says was opened there, as far as it can be true; counts the rest.
pub(crate) fn heard(
    draft: &mut Draft<'_>,
    peer: &PeerId,
    items: &[Seen],
) -> Result<(), ReadFailed> {
    let link = draft.core.links.link(peer);
    let mut ignored = 0;
    for item in items {
        let id = DocumentId::from_bytes(item.document);
        let Some((kind, territory)) = judge(draft, peer, &link, id, item.seq)? else {
            ignored += 1;
            continue;
        };
        let key = heard_key(id, peer);
        if row(draft, &key)?.is_some_and(|known| known.seq >= item.seq) {
            continue;
        }
        let told_ms = i64::try_from(item.at_ms).unwrap_or(i64::MAX);
        let row = SeenRow {
            seq: item.seq,
            // Nothing was seen later than it is now, whatever a clock elsewhere says.
            at_ms: told_ms.min(draft.now_ms),
        };
        draft.batch.put(Table::Seen, key, row.encode());
        draft.events.push(Event::Seen {
            id,
            kind,
            territory,
            peer: peer.to_string(),
        });
    }
    if ignored > 0 {
        draft.core.links.ignored_seen(peer, ignored);
        let peer = peer.short();
        tracing::warn!(%peer, ignored, "the peer says that it saw what it does not have");
    }
    Ok(())
}

/// Which peers saw a document at least up to this own entry, by name.
pub(crate) fn seen_by(
    core: &Core,
    ledger: &Ledger,
    id: DocumentId,
    seq: u64,
) -> Result<Vec<(PeerId, SeenBy)>, ReadFailed> {
    let prefix = heard_prefix(id);
    let mut seen = Vec::new();
    for (key, value) in core.store.scan(Table::Seen, &prefix, None, usize::MAX)? {
        let row = SeenRow::decode(&value)?;
        let peer: Option<[u8; 32]> = key.get(prefix.len()..).and_then(|key| key.try_into().ok());
        let Some(peer) = peer.map(PeerId::from_bytes).filter(|_| row.seq >= seq) else {
            continue;
        };
        let member = ledger.roster.member(&peer);
        let name = member.map(|member| match member.name.as_str() {
            "" => member.territory.clone(),
            name => name.to_owned(),
        });
        seen.push((
            peer,
            SeenBy {
                name: name.unwrap_or_else(|| peer.short()),
                at: UnixMillis(row.at_ms),
            },
        ));
    }
    seen.sort_by(|(_, a), (_, b)| (a.at, &a.name).cmp(&(b.at, &b.name)));
    Ok(seen)
}

/// Nothing of an erased document is kept here.
pub(crate) fn forget(draft: &mut Draft<'_>, id: DocumentId) -> Result<(), ReadFailed> {
    let store = &draft.core.store;
    let heard = store.scan(Table::Seen, &heard_prefix(id), None, usize::MAX)?;
    let members: Vec<PeerId> = draft.ledger.roster.iter().map(|m| m.key).collect();
    let own = members.iter().flat_map(|peer| {
        let key = |tag| key_for_peer(tag, peer, id);
        [key(TO_TELL), key(TOLD)]
    });
    let keys: Vec<Vec<u8>> = heard.into_iter().map(|(key, _)| key).chain(own).collect();
    for key in keys {
        if draft.get(Table::Seen, &key)?.is_some() {
            draft.batch.delete(Table::Seen, key);
        }
    }
    Ok(())
}

/// Kind and territory of a document that the peer can have seen up to there: the entry is its own log's
/// here, of that document, offered to the peer and acknowledged by it.
fn judge(
    draft: &Draft<'_>,
    peer: &PeerId,
    link: &Link,
    id: DocumentId,
    seq: u64,
) -> Result<Option<(Kind, String)>, ReadFailed> {
    let core = draft.core;
    if draft.ledger.erased.contains(&id) {
        return Ok(None);
    }
    let Some(row) = core.document_row(id)? else {
        return Ok(None);
    };
    let (pairs, origin) = (&draft.ledger.pairs, core.id.origin());
    let Some(lane) = statements::lane_in(pairs, &row, origin, &core.territory()) else {
        return Ok(None);
    };
    let own = core.own_log(lane);
    let offers = Between::of(core, &draft.ledger, peer).is_some_and(|b| b.offers(own));
    let acked = link.acked.get(&own).copied().unwrap_or(0);
    if !offers || seq > acked {
        return Ok(None);
    }
    let is_it = core
        .change_origins(id)?
        .iter()
        .any(|origin| origin.log == own && origin.seq == seq);
    let kind = Kind::from_code(row.kind).filter(|_| is_it);
    Ok(kind.map(|kind| (kind, row.territory)))
}

fn next_to_tell(store: &Store, peer: &PeerId) -> Result<Vec<Seen>, ReadFailed> {
    let prefix = peer_prefix(TO_TELL, peer);
    let rows = store.scan(Table::Seen, &prefix, None, SEEN_ITEMS_MAX)?;
    let mut next = Vec::with_capacity(rows.len());
    for (key, value) in rows {
        let row = SeenRow::decode(&value)?;
        let document = key.get(prefix.len()..).and_then(|key| key.try_into().ok());
        next.push(Seen {
            document: document.ok_or(BadRow { row: "seen", at: 0 })?,
            seq: row.seq,
            at_ms: u64::try_from(row.at_ms).unwrap_or(0),
        });
    }
    Ok(next)
}

fn row(draft: &Draft<'_>, key: &[u8]) -> Result<Option<SeenRow>, ReadFailed> {
    let bytes = draft.get(Table::Seen, key)?;
    Ok(bytes.as_deref().map(SeenRow::decode).transpose()?)
}

fn peer_prefix(tag: u8, peer: &PeerId) -> Vec<u8> {
    [&[tag], peer.as_bytes().as_slice()].concat()
}

fn key_for_peer(tag: u8, peer: &PeerId, id: DocumentId) -> Vec<u8> {
    [peer_prefix(tag, peer).as_slice(), id.as_bytes()].concat()
}

fn heard_prefix(id: DocumentId) -> Vec<u8> {
    [&[HEARD], id.as_bytes().as_slice()].concat()
}

fn heard_key(id: DocumentId, peer: &PeerId) -> Vec<u8> {
    [heard_prefix(id).as_slice(), peer.as_bytes()].concat()
}

impl SeenRow {
    fn encode(self) -> Vec<u8> {
        let mut out = FieldWriter::new(VERSION);
        out.u64(self.seq).i64(self.at_ms).finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, BadRow> {
        let mut row = FieldReader::open("seen", VERSION, bytes)?;
        Ok(Self {
            seq: row.u64()?,
            at_ms: row.i64()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_these_bytes_and_comes_back() {
        let row = SeenRow { seq: 300, at_ms: 7 };
        let bytes = [1, 0, 0, 0, 0, 0, 0, 1, 44, 0, 0, 0, 0, 0, 0, 0, 7];
        assert_eq!(row.encode(), bytes);
        assert_eq!(SeenRow::decode(&bytes), Ok(row));
        for length in 0..bytes.len() {
            assert!(SeenRow::decode(&bytes[..length]).is_err(), "{length}");
        }
    }
}

//! Refused entries, kept with signature, body and reason until an administrator decides.
//!
//! A refused entry stops its log there; what follows is not taken. At most one group a log is
//! kept, sealed under a key of its own: what an erasure takes out of it is gone with that key, and of
//! a document that is erased no body is kept. Retry admits it again, as after an upgrade; discard records its headers without
//! bodies, so that the log goes on. Does not decide what is refused (`admission`, the gate).

use std::sync::Arc;

use raccordo_crdt_model::{DocumentId, UnixMillis};
use raccordo_transport::{
    Cursor, EntryHeader, EntryKind, HEADER_BYTES, LogId, PeerId, SignedEntry, SignedHeader,
    StopCode, Stopped,
};

use crate::clock::draw;
use crate::store::Table;

use super::core::{Core, NODE_DOCUMENT, ReadFailed};
use super::draft::Draft;
use super::entry_run::{entry_key, log_key};
use super::fields::{BadRow, FieldReader, FieldWriter};
use super::ledger::Ledger;
use super::task::Done;
use super::tombstone;
use super::view::{CommandFailed, QuarantineView};

const VERSION: u8 = 1;
/// Most entries that one command may make.
pub(crate) const GROUP_ENTRIES_MAX: u32 = 1_024;
/// Most bytes of bodies that one command may make.
pub(crate) const GROUP_BYTES_MAX: usize = 4 << 20;
/// Longest reason on the wire, in bytes.
const DETAIL_BYTES_MAX: usize = 200;
/// Bytes of a header with its signature.
pub(crate) const SIGNED_BYTES: usize = HEADER_BYTES + 64;

/// Why a log stopped here, durably.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogStop {
    /// Number of the entry that was refused or contradicts.
    pub(crate) seq: u64,
    pub(crate) code: StopCode,
    /// One sentence without its period.
    pub(crate) detail: String,
}

/// A group that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// From whom it came.
    pub(crate) peer: PeerId,
    pub(crate) at_ms: i64,
    /// Number of the entry that is to blame.
    pub(crate) seq: u64,
    pub(crate) reason: String,
    /// Whether `entries` is the whole group.
    pub(crate) whole: bool,
    pub(crate) entries: Vec<SignedEntry>,
}

/// What an administrator can do about a refused group.
#[derive(Debug)]
pub(crate) enum QuarantineCommand {
    Retry {
        place: Place,
        by: String,
    },
    Discard {
        place: Place,
        reason: String,
        by: String,
    },
}

/// Which refused entry: its log and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) log: LogId,
    pub(crate) seq: u64,
}

impl LogStop {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = FieldWriter::new(VERSION);
        out.u8(self.code.code()).u64(self.seq).text(&self.detail);
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadRow> {
        let mut row = FieldReader::open("stopped log", VERSION, bytes)?;
        let code = row.u8()?;
        Ok(Self {
            code: StopCode::from_code(code).ok_or(BadRow {
                row: "stopped log",
                at: 1,
            })?,
            seq: row.u64()?,
            detail: row.text()?,
        })
    }
}

impl Place {
    /// As shown to people: origin, lane, number.
    pub(crate) fn id(self) -> String {
        format!("{}/{}", self.log, self.seq)
    }

    /// Reads `ORIGIN/LANE/NUMBER`, also with `-` between, as addresses carry it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(['/', '-']);
        let (origin, lane, seq) = (parts.next()?, parts.next()?, parts.next()?);
        let origin = data_encoding::HEXLOWER_PERMISSIVE
            .decode(origin.as_bytes())
            .ok()?;
        let log = LogId {
            origin: origin.try_into().ok()?,
            lane: lane.parse().ok()?,
        };
        let seq = seq.parse().ok()?;
        parts.next().is_none().then_some(Self { log, seq })
    }

    fn key(self) -> Vec<u8> {
        entry_key(self.log, self.seq)
    }
}

/// Why nothing more of a log is taken: its own stop, or its origin's equivocation in any lane.
pub(crate) fn stop_of(ledger: &Ledger, log: LogId) -> Option<&LogStop> {
    ledger.stopped.get(&log).or_else(|| {
        let lanes = LogId::new(log.origin, 0)..=LogId::new(log.origin, u8::MAX);
        let mut stops = ledger.stopped.range(lanes).map(|(_, stop)| stop);
        stops.find(|stop| stop.code == StopCode::Equivocation)
    })
}

/// The logs among those that a peer offers of which no more is taken.
pub(crate) fn stopped(ledger: &Ledger, held: &[Cursor]) -> Vec<Stopped> {
    let stopped = |cursor: &Cursor| {
        let stop = stop_of(ledger, cursor.log)?;
        Some(Stopped {
            cursor: *cursor,
            code: stop.code,
            detail: within(&stop.detail, DETAIL_BYTES_MAX).to_owned(),
        })
    };
    held.iter().filter_map(stopped).collect()
}

/// The beginning of a text that fits into so many bytes.
pub(crate) fn within(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Stops a log, in the draft.
pub(crate) fn stop(draft: &mut Draft<'_>, log: LogId, stop: LogStop) {
    draft.batch.put(Table::Meta, stop_key(log), stop.encode());
    draft.ledger.stopped.insert(log, stop);
}

/// Lets a log go on, in the draft.
pub(crate) fn resume(draft: &mut Draft<'_>, log: LogId) {
    draft.batch.delete(Table::Meta, stop_key(log));
    draft.ledger.stopped.remove(&log);
}

/// Keeps a refused group and stops its log.
pub(crate) fn keep(draft: &mut Draft<'_>, log: LogId, refusal: &Refusal) {
    let place = Place {
        log,
        seq: refusal.seq,
    };
    let detail = format!("entry {} was refused: {}", refusal.seq, refusal.reason);
    let erased = Arc::clone(&draft.ledger.erased);
    let kept = refusal.without_bodies(&|id| erased.contains(&id));
    put(draft, &place.key(), kept.as_ref().unwrap_or(refusal));
    draft.audit("peer", "quarantine", &place.id(), &refusal.reason);
    stop(
        draft,
        log,
        LogStop {
            seq: refusal.seq,
            code: StopCode::Refused,
            detail,
        },
    );
}

/// Takes a refused group out of quarantine: its log goes on, with or without it.
pub(crate) fn release(draft: &mut Draft<'_>, place: Place) {
    let row = draft.get(Table::Quarantine, &place.key()).ok().flatten();
    if let Some((key, _)) = row.as_deref().and_then(<[u8]>::split_first_chunk::<16>) {
        draft.batch.delete(Table::Keys, *key);
    }
    draft.batch.delete(Table::Quarantine, place.key());
    resume(draft, place.log);
}

/// Drops what refused changes say of a document that is being erased. Headers, hashes, signatures and
/// reasons stay, as evidence.
pub(crate) fn forget(draft: &mut Draft<'_>, id: DocumentId) -> Result<(), ReadFailed> {
    for (place, row) in draft.rows_of(Table::Quarantine, &[])? {
        let refusal = open(draft.core, &row, |key| draft.get(Table::Keys, key))?;
        if let Some(left) = refusal.without_bodies(&|document| document == id) {
            if let Some((key, _)) = row.split_first_chunk::<16>() {
                draft.batch.delete(Table::Keys, *key);
            }
            put(draft, &place, &left);
        }
    }
    Ok(())
}

/// Writes a refused group, under a new key.
fn put(draft: &mut Draft<'_>, place: &[u8], refusal: &Refusal) {
    let core = draft.core;
    let bound: [u8; 32] = draw(&*core.entropy);
    let id = *bound.first_chunk().expect("16 of 32 bytes");
    let (key, wrapped) = core.vault.new_document_key(id, &*core.entropy);
    let nonce = draw(&*core.entropy);
    let sealed = key.seal(Table::Quarantine, id, &bound, &refusal.encode(), nonce);
    let row = [bound.as_slice(), &sealed].concat();
    draft.batch.put(Table::Keys, id, wrapped);
    draft.batch.put(Table::Quarantine, place, row);
}

/// Records the headers of a refused group without their bodies.
pub(crate) fn discard(
    draft: &mut Draft<'_>,
    place: Place,
    reason: &str,
    by: &str,
) -> Result<Done, CommandFailed> {
    let refusal = find(draft.core, place)?.ok_or_else(|| unknown(place))?;
    let end = draft.ledger.end(place.log);
    let follows = refusal
        .entries
        .first()
        .is_some_and(|first| first.header.seq == end.seq + 1 && first.header.prev == end.hash);
    if !refusal.whole || !follows {
        let detail = format!(
            "{} cannot be discarded: its command is larger than allowed and only its first part is here; revoke its author instead",
            place.id()
        );
        return Err(CommandFailed::Conflict {
            code: "not_whole",
            detail,
        });
    }
    release(draft, place);
    for entry in &refusal.entries {
        tombstone::record_without_body(draft, entry, tombstone::Missing::Discarded);
    }
    draft.audit(by, "discard", &place.id(), reason);
    Ok(Done::Nothing)
}

/// The refused group at a place, if there is one.
pub(crate) fn find(core: &Core, place: Place) -> Result<Option<Refusal>, ReadFailed> {
    let row = core.store.get(Table::Quarantine, &place.key())?;
    row.map(|row| open_stored(core, &row)).transpose()
}

/// All refused groups, by log.
pub(crate) fn all(core: &Core) -> Result<Vec<QuarantineView>, ReadFailed> {
    let stored = core.store.scan(Table::Quarantine, &[], None, usize::MAX)?;
    let mut views = Vec::with_capacity(stored.len());
    for (key, row) in stored {
        if let Some(place) = place_of(&key) {
            views.push(view(core, place, &open_stored(core, &row)?));
        }
    }
    Ok(views)
}

/// One refused group.
pub(crate) fn one(core: &Core, place: Place) -> Result<QuarantineView, CommandFailed> {
    let refusal = find(core, place)?.ok_or_else(|| unknown(place))?;
    Ok(view(core, place, &refusal))
}

/// That there is nothing to decide at a place.
pub(crate) fn unknown(place: Place) -> CommandFailed {
    CommandFailed::NotFound {
        kind: "refused entry",
        id: place.id(),
    }
}

fn view(core: &Core, place: Place, refusal: &Refusal) -> QuarantineView {
    let ledger = core.ledger();
    let author = ledger.roster.of_origin(place.log.origin);
    QuarantineView {
        id: place.id(),
        log: place.log.to_string(),
        seq: place.seq,
        author: author.map(|member| member.key.to_string()),
        territory: author.map(|member| member.territory.clone()),
        peer: refusal.peer.to_string(),
        at: UnixMillis(refusal.at_ms),
        reason: refusal.reason.clone(),
        whole: refusal.whole,
        entries: refusal.entries.clone(),
    }
}

impl Refusal {
    /// The same without what its changes say of some documents; none if it says nothing of them.
    fn without_bodies(&self, of: &dyn Fn(DocumentId) -> bool) -> Option<Self> {
        let tells = |entry: &SignedEntry| {
            let header = &entry.header;
            let is_change = header.kind == EntryKind::Change && entry.body.is_some();
            is_change && of(DocumentId::from_bytes(header.document))
        };
        if !self.entries.iter().any(tells) {
            return None;
        }
        let mut left = self.clone();
        for entry in left.entries.iter_mut().filter(|entry| tells(entry)) {
            entry.body = None;
        }
        Some(left)
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = FieldWriter::new(VERSION);
        out.fixed(self.peer.as_bytes())
            .i64(self.at_ms)
            .u64(self.seq);
        out.text(&self.reason).u8(u8::from(self.whole));
        out.u32(u32::try_from(self.entries.len()).expect("a group has at most 1,024 entries"));
        for entry in &self.entries {
            out.fixed(&signed_bytes(&entry.signed_header()));
            out.u8(u8::from(entry.body.is_some()));
            out.bytes(entry.bytes());
        }
        out.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, BadRow> {
        let mut row = FieldReader::open("quarantine", VERSION, bytes)?;
        let peer = PeerId::from_bytes(row.array()?);
        let (at_ms, seq, reason) = (row.i64()?, row.u64()?, row.text()?);
        let whole = row.u8()? == 1;
        let count = row.u32()?;
        let mut entries = Vec::new();
        for _ in 0..count {
            let signed: [u8; SIGNED_BYTES] = row.array()?;
            let signed = signed_of(&signed).ok_or(BadRow {
                row: "quarantine",
                at: 0,
            })?;
            let with_body = row.u8()? == 1;
            let body = row.bytes()?.to_vec();
            entries.push(if with_body {
                signed.with_body(body)
            } else {
                signed.without_body()
            });
        }
        Ok(Self {
            peer,
            at_ms,
            seq,
            reason,
            whole,
            entries,
        })
    }
}

/// Canonical header, then signature.
pub(crate) fn signed_bytes(signed: &SignedHeader) -> [u8; SIGNED_BYTES] {
    let mut bytes = [0; SIGNED_BYTES];
    bytes[..HEADER_BYTES].copy_from_slice(&signed.header.to_bytes());
    bytes[HEADER_BYTES..].copy_from_slice(&signed.signature);
    bytes
}

/// Reads what [`signed_bytes`] wrote.
pub(crate) fn signed_of(bytes: &[u8; SIGNED_BYTES]) -> Option<SignedHeader> {
    let (header, signature) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    Some(SignedHeader {
        header: EntryHeader::from_bytes(header)?,
        signature: signature.try_into().ok()?,
    })
}

fn open_stored(core: &Core, row: &[u8]) -> Result<Refusal, ReadFailed> {
    open(core, row, |key| Ok(core.store.get(Table::Keys, key)?))
}

/// Reads a row; of one that an earlier build wrote the key is the node's own.
fn open(
    core: &Core,
    row: &[u8],
    key_of: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, ReadFailed>,
) -> Result<Refusal, ReadFailed> {
    let bad = || BadRow {
        row: "quarantine",
        at: 0,
    };
    let (bound, sealed) = row.split_first_chunk::<32>().ok_or_else(bad)?;
    let id = *bound.first_chunk().expect("16 of 32 bytes");
    let plain = match key_of(&id)? {
        Some(wrapped) => {
            let key = core.vault.unwrap(id, &wrapped)?;
            key.open(Table::Quarantine, id, bound, sealed)?
        }
        None => core
            .node_seal
            .open(Table::Quarantine, NODE_DOCUMENT, bound, sealed)?,
    };
    Ok(Refusal::decode(&plain)?)
}

fn place_of(key: &[u8]) -> Option<Place> {
    let (origin, rest) = key.split_first_chunk()?;
    let (lane, seq) = rest.split_first()?;
    Some(Place {
        log: LogId::new(*origin, *lane),
        seq: u64::from_be_bytes(seq.try_into().ok()?),
    })
}

fn stop_key(log: LogId) -> Vec<u8> {
    [b"stopped/".as_slice(), &log_key(log)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: u64) -> SignedEntry {
        let header = EntryHeader {
            lane: 0,
            origin: [1; 8],
            incarnation: [2; 8],
            seq,
            prev: [3; 32],
            group_first: seq,
            group_count: 1,
            kind: EntryKind::Change,
            document: [4; 16],
            document_kind: 1,
            body_hash: [5; 32],
            policy_epoch: 6,
            hlc: 7,
        };
        SignedEntry {
            header,
            signature: [8; 64],
            body: Some(vec![9; 10]),
        }
    }

    #[test]
    fn a_refused_group_comes_back_as_it_was_kept() {
        let refusal = Refusal {
            peer: PeerId::from_bytes([7; 32]),
            at_ms: 12,
            seq: 4,
            reason: "its content is of no kind".to_owned(),
            whole: true,
            entries: vec![entry(4), entry(5)],
        };
        assert_eq!(Refusal::decode(&refusal.encode()), Ok(refusal));
    }

    #[test]
    fn a_stop_comes_back_as_it_was_kept() {
        let stop = LogStop {
            seq: 4,
            code: StopCode::Equivocation,
            detail: "two entries are number 4".to_owned(),
        };
        assert_eq!(LogStop::decode(&stop.encode()), Ok(stop));
    }

    #[test]
    fn a_place_is_read_as_it_is_shown_and_as_addresses_carry_it() {
        let place = Place {
            log: LogId::new([0xab; 8], 2),
            seq: 17,
        };
        assert_eq!(place.id(), "abababababababab/2/17");
        assert_eq!(Place::parse(&place.id()), Some(place));
        assert_eq!(Place::parse("abababababababab-2-17"), Some(place));
        for wrong in [
            "",
            "abab/2/17",
            "abababababababab/2",
            "abababababababab/2/17/1",
        ] {
            assert_eq!(Place::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_letters() {
        assert_eq!(within("città", 5), "citt");
        assert_eq!(within("ok", 5), "ok");
    }

    #[test]
    fn one_equivocation_stops_every_lane_of_its_origin_and_no_other() {
        let mut ledger = Ledger::default();
        let stop = |code| LogStop {
            seq: 1,
            code,
            detail: String::new(),
        };
        ledger
            .stopped
            .insert(LogId::new([1; 8], 1), stop(StopCode::Equivocation));
        ledger
            .stopped
            .insert(LogId::new([2; 8], 1), stop(StopCode::Refused));
        assert!(stop_of(&ledger, LogId::new([1; 8], 0)).is_some());
        assert!(stop_of(&ledger, LogId::new([2; 8], 1)).is_some());
        assert!(stop_of(&ledger, LogId::new([2; 8], 0)).is_none());
        assert!(stop_of(&ledger, LogId::new([3; 8], 0)).is_none());
    }
}

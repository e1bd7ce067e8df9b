//! Erasure: a signed tombstone in the document's lane, permanent, outranking whatever comes later.
//!
//! A tombstone deletes the bodies of its document, its key, its rows in every index and its part
//! of counts and digests; headers and hashes stay, so chains still verify. Late entries of the
//! document are recorded without bodies and never applied. Receipts are acknowledgements past it, or signed (`receipts`).

use std::sync::Arc;

use raccordo_crdt_model::{Audience, ChangeHash, DocumentId, Kind, UnixMillis};
use raccordo_transport::{EntryHeader, EntryKind, LogId, PeerId, SignedEntry, SignedHeader};

use crate::store::Table;

use super::admission::NotAdmitted;
use super::commit;
use super::core::{Core, NODE_DOCUMENT, ReadFailed};
use super::draft::Draft;
use super::entry_run::BodyPlace;
use super::fields::{BadRow, FieldReader, FieldWriter};
use super::ledger::Ledger;
use super::quarantine;
use super::reasons;
use super::receipts::Receipts;
use super::roster::Member;
use super::rows;
use super::scope::{self, Party};
use super::seen;
use super::shredding;
use super::statements;
use super::task::Done;
use super::transfer;
use super::view::{CommandFailed, Erased, ErasureReceipt, ErasureView, MemberState, ReceiptState};
use crate::clock::draw;

const VERSION: u8 = 1;

/// What stays of an erased document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TombstoneRow {
    pub(crate) kind: u8,
    pub(crate) lane: u8,
    pub(crate) territory: String,
    /// The log that its tombstone stands in, and its number there.
    pub(crate) log: LogId,
    pub(crate) seq: u64,
    /// When it was ordered, unix ms.
    pub(crate) at_ms: i64,
}

/// What is known of a change whose body is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MissingRow {
    pub(crate) kind: u8,
    pub(crate) lane: u8,
    /// Territory of its author, which is the document's home.
    pub(crate) territory: String,
    pub(crate) why: Missing,
}

/// Why a change's body is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It came without one.
    Absent,
    /// An administrator discarded it.
    Discarded,
    /// It depends on a change whose body is not here.
    Dependent,
}

/// The body of a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    /// Empty in what this version writes: the words stay with who ordered it (`reasons`).
    pub(crate) reason: String,
    pub(crate) at_ms: i64,
}

/// What a tombstone's header and body come to here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It holds.
    Holds,
    /// Nothing is known of its document yet.
    UnknownDocument,
    /// It never holds.
    Refused(NotAdmitted),
}

/// Erases a record of this node's territory, on command.
pub(crate) fn erase(
    draft: &mut Draft<'_>,
    kind: Kind,
    id: DocumentId,
    reason: &str,
    by: &str,
) -> Result<Done, CommandFailed> {
    let reason = reasons::checked(reason)?;
    draft.open(kind, id)?;
    let row = draft.row(id).cloned().expect("it is held");
    if row.territory != draft.core.territory() {
        return Err(CommandFailed::NotHome {
            territory: row.territory,
        });
    }
    let order = Order {
        reason: String::new(),
        at_ms: draft.now_ms,
    };
    transfer::may_erase(draft, kind, id)?;
    let lane = statements::begun_lane(draft, &row).ok_or_else(no_lane)?;
    let signed = draft.sign_tombstone(id, kind, lane, &order.encode());
    put(draft, &signed, &order, &order.encode(), &row.territory)?;
    reasons::keep(draft, id, reason);
    draft.audit(by, "erase", &id.to_string(), "");
    Ok(Done::Record(id))
}

fn no_lane() -> CommandFailed {
    CommandFailed::Conflict {
        code: "no_lane",
        detail: "this node has lanes for as many districts as it can, and none for the one that has \
                 this record: erase it at a node of this territory that wrote to that district before"
            .to_owned(),
    }
}

/// Whether a tombstone of this author holds: it stands in its document's lane, and the document
/// belongs to the author's territory.
pub(crate) fn judge(
    draft: &Draft<'_>,
    header: &EntryHeader,
    author: &Member,
) -> Result<Verdict, ReadFailed> {
    let id = DocumentId::from_bytes(header.document);
    let Some((kind, lane, home)) = known(draft, id)? else {
        return Ok(Verdict::UnknownDocument);
    };
    let refused = |reason: &str| {
        Ok(Verdict::Refused(NotAdmitted::Content {
            reason: reason.to_owned(),
        }))
    };
    if home != author.territory {
        return Ok(Verdict::Refused(NotAdmitted::NotHome));
    }
    let same = match Kind::from_code(kind).map(Kind::audience) {
        Some(Audience::Parties) => scope::is_pair(header.lane),
        _ => lane == header.lane,
    };
    if !same {
        return refused("it erases a document of another lane than its own");
    }
    if kind != header.document_kind {
        return refused("its document is of another kind than its header says");
    }
    Ok(Verdict::Holds)
}

/// Records a tombstone and erases its document here.
pub(crate) fn put(
    draft: &mut Draft<'_>,
    signed: &SignedHeader,
    order: &Order,
    body: &[u8],
    territory: &str,
) -> Result<(), ReadFailed> {
    let header = &signed.header;
    let id = DocumentId::from_bytes(header.document);
    let place = sealed(draft.core, header, body);
    draft.record_entry(signed, &BodyPlace::Here(place));
    if draft.ledger.erased.contains(&id) {
        return Ok(());
    }
    draft.withdraw(id)?;
    quarantine::forget(draft, id)?;
    seen::forget(draft, id)?;
    for key in missing_keys(draft.core, id)? {
        draft.batch.delete(Table::Tombstones, key);
    }
    let row = TombstoneRow {
        kind: header.document_kind,
        lane: header.lane,
        territory: territory.to_owned(),
        log: header.log(),
        seq: header.seq,
        at_ms: order.at_ms,
    };
    draft
        .batch
        .put(Table::Tombstones, *id.as_bytes(), row.encode());
    Arc::make_mut(&mut draft.ledger.erased).insert(id);
    if header.document_kind == Kind::Transfer.code() {
        transfer::erased(draft, id);
    }
    shredding::note(draft, id);
    Ok(())
}

/// The tombstone of a document stands elsewhere in its log now.
pub(crate) fn renumber(
    draft: &mut Draft<'_>,
    id: DocumentId,
    (log, former): (LogId, u64),
    (to, seq): (LogId, u64),
) -> Result<(), ReadFailed> {
    let Some(row) = draft.get(Table::Tombstones, id.as_bytes())? else {
        return Ok(());
    };
    let row = TombstoneRow::decode(&row)?;
    if (row.log, row.seq) == (log, former) {
        let row = TombstoneRow {
            log: to,
            lane: to.lane,
            seq,
            ..row
        };
        draft
            .batch
            .put(Table::Tombstones, *id.as_bytes(), row.encode());
    }
    Ok(())
}

/// Records an entry whose body is not kept: its header stands, it is never applied.
pub(crate) fn record_without_body(draft: &mut Draft<'_>, entry: &SignedEntry, why: Missing) {
    let header = &entry.header;
    // Only a change may travel without its body; a fact that is not put in force says nothing.
    let place = match (header.kind, &entry.body) {
        (EntryKind::Tombstone, Some(body)) => BodyPlace::Here(sealed(draft.core, header, body)),
        (EntryKind::Roster | EntryKind::Policy, Some(body)) => BodyPlace::Here(body.clone()),
        _ => BodyPlace::Erased,
    };
    draft.record_entry(&entry.signed_header(), &place);
    let id = DocumentId::from_bytes(header.document);
    if header.kind != EntryKind::Change || draft.ledger.erased.contains(&id) {
        return;
    }
    let author = draft.ledger.roster.of_origin(header.origin);
    let row = MissingRow {
        kind: header.document_kind,
        lane: header.lane,
        territory: author.map_or(String::new(), |author| author.territory.clone()),
        why,
    };
    draft.batch.put(
        Table::Tombstones,
        missing_key(id, &ChangeHash::from_bytes(header.body_hash)),
        row.encode(),
    );
}

/// Whether a change is recorded here without its body.
pub(crate) fn is_missing(
    core: &Core,
    id: DocumentId,
    change: &ChangeHash,
) -> Result<bool, ReadFailed> {
    let row = core
        .store
        .get(Table::Tombstones, &missing_key(id, change))?;
    Ok(row.is_some())
}

/// The refusal of whatever asks for a record that was erased.
pub(crate) fn gone(core: &Core, kind: Kind, id: DocumentId) -> Result<(), CommandFailed> {
    if !core.ledger().erased.contains(&id) {
        return Ok(());
    }
    let row = core.store.get(Table::Tombstones, id.as_bytes());
    let row = row.map_err(ReadFailed::from)?;
    Err(refusal(kind, id, row.as_deref())?)
}

/// As [`gone`], as the draft would leave it.
pub(crate) fn still_there(
    draft: &Draft<'_>,
    kind: Kind,
    id: DocumentId,
) -> Result<(), CommandFailed> {
    if !draft.ledger.erased.contains(&id) {
        return Ok(());
    }
    let row = draft.get(Table::Tombstones, id.as_bytes())?;
    Err(refusal(kind, id, row.as_deref())?)
}

fn refusal(kind: Kind, id: DocumentId, row: Option<&[u8]>) -> Result<CommandFailed, ReadFailed> {
    let row = row.map(TombstoneRow::decode).transpose()?;
    Ok(CommandFailed::Erased(Erased {
        kind: kind.singular(),
        id: id.to_string(),
        at: UnixMillis(row.map_or(0, |row| row.at_ms)),
    }))
}

/// The plain body of a stored tombstone entry.
pub(crate) fn body_of(
    core: &Core,
    header: &EntryHeader,
    sealed: &[u8],
) -> Result<Vec<u8>, ReadFailed> {
    Ok(core
        .node_seal
        .open(Table::Entries, NODE_DOCUMENT, &header.body_hash, sealed)?)
}

/// A reason that an older version wrote may name people, so the body is sealed like any other.
fn sealed(core: &Core, header: &EntryHeader, body: &[u8]) -> Vec<u8> {
    let nonce = draw(&*core.entropy);
    core.node_seal.seal(
        Table::Entries,
        NODE_DOCUMENT,
        &header.body_hash,
        body,
        nonce,
    )
}

/// Every erasure known here, with its receipts; newest first.
pub(crate) fn receipts(core: &Core) -> Result<Vec<ErasureView>, ReadFailed> {
    let ledger = core.ledger();
    receipts_of(core, &ledger, ledger.erased.iter())
}

/// As [`receipts`], of these records.
pub(crate) fn receipts_of<'a>(
    core: &Core,
    ledger: &Ledger,
    records: impl Iterator<Item = &'a DocumentId>,
) -> Result<Vec<ErasureView>, ReadFailed> {
    let mut views = Vec::new();
    for id in records {
        let Some(row) = core.store.get(Table::Tombstones, id.as_bytes())? else {
            continue;
        };
        let row = TombstoneRow::decode(&row)?;
        let author = ledger.roster.of_origin(row.log.origin).map(Party::from);
        let author = author.unwrap_or_else(|| core.party());
        let mut receipts = Vec::new();
        let mut given = Receipts::of(core, row.log, row.seq);
        for member in ledger.roster.iter() {
            let with = ledger.pairs.get(&row.log).map(String::as_str);
            let holds =
                member.key != core.id && scope::offered(member, &author, row.log.lane, with);
            if holds && member.state != MemberState::Pending {
                let linked = ledger.roster.is_peer(&member.key);
                receipts.extend(receipt(core, &row, member, linked, &mut given)?);
            }
        }
        views.push(ErasureView {
            id: *id,
            kind: Kind::from_code(row.kind).map_or("unknown", Kind::singular),
            territory: row.territory.clone(),
            at: UnixMillis(row.at_ms),
            log: row.log.to_string(),
            seq: row.seq,
            reason: reasons::of(core, *id)?,
            key_replaced: !ledger.unshredded.contains(id),
            receipts,
        });
    }
    views.sort_by_key(|view| (std::cmp::Reverse(view.at), view.id));
    Ok(views)
}

/// What is known of a member that may hold the document; none of one that left before.
fn receipt(
    core: &Core,
    row: &TombstoneRow,
    member: &Member,
    linked: bool,
    given: &mut Receipts<'_>,
) -> Result<Option<ErasureReceipt>, ReadFailed> {
    let mut at = acknowledged(core, &member.key, row.log, row.seq)?;
    if at.is_none() {
        at = given.by(member)?;
    }
    let state = match (at, member.state) {
        (Some(_), _) => ReceiptState::Delivered,
        (None, MemberState::Revoked) => {
            let ever = acknowledged(core, &member.key, row.log, 0)?;
            if ever.is_none() {
                return Ok(None);
            }
            ReceiptState::Revoked
        }
        (None, _) if linked => ReceiptState::Queued,
        (None, _) => ReceiptState::Relayed,
    };
    Ok(Some(ErasureReceipt {
        peer: member.key.to_string(),
        territory: member.territory.clone(),
        name: member.name.clone(),
        state,
        at: at.map(UnixMillis),
    }))
}

/// When a peer acknowledged an entry of a log or a later one, if it did.
pub(crate) fn acknowledged(
    core: &Core,
    peer: &PeerId,
    log: LogId,
    seq: u64,
) -> Result<Option<i64>, ReadFailed> {
    let prefix = [peer.as_bytes().as_slice(), &rows::log_key(log)].concat();
    let before = raccordo_transport::Cursor {
        log,
        seq: seq.saturating_sub(1),
        hash: [0; 32],
    };
    let from = commit::acknowledgement_key(peer, &before);
    let kept = core
        .store
        .scan(Table::Acknowledgements, &prefix, Some(&from), 1)?;
    let at_ms = kept
        .into_iter()
        .next()
        .and_then(|(_, at)| at.try_into().ok());
    let link = core.links.link(peer);
    let now = link.acked.get(&log).is_some_and(|acked| *acked >= seq);
    Ok(at_ms
        .map(i64::from_be_bytes)
        .or(link.acked_at_ms.filter(|_| now)))
}

/// Kind, lane and home of a document, from what is held of it.
fn known(draft: &Draft<'_>, id: DocumentId) -> Result<Option<(u8, u8, String)>, ReadFailed> {
    if let Some(row) = draft.core.document_row(id)? {
        return Ok(Some((row.kind, row.lane, row.territory)));
    }
    let stored = draft
        .core
        .store
        .scan(Table::Tombstones, id.as_bytes(), None, 1)?;
    let Some((key, row)) = stored.into_iter().next() else {
        return Ok(None);
    };
    Ok(Some(if key.len() == id.as_bytes().len() {
        let row = TombstoneRow::decode(&row)?;
        (row.kind, row.lane, row.territory)
    } else {
        let row = MissingRow::decode(&row)?;
        (row.kind, row.lane, row.territory)
    }))
}

fn missing_keys(core: &Core, id: DocumentId) -> Result<Vec<Vec<u8>>, ReadFailed> {
    let stored = core
        .store
        .scan(Table::Tombstones, id.as_bytes(), None, usize::MAX)?;
    Ok(stored.into_iter().map(|(key, _)| key).collect())
}

fn missing_key(id: DocumentId, change: &ChangeHash) -> Vec<u8> {
    [id.as_bytes().as_slice(), change.as_bytes()].concat()
}

impl TombstoneRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = FieldWriter::new(VERSION);
        out.u8(self.kind).u8(self.lane).text(&self.territory);
        out.fixed(&rows::log_key(self.log)).u64(self.seq);
        out.i64(self.at_ms).finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadRow> {
        let mut row = FieldReader::open("tombstone", VERSION, bytes)?;
        Ok(Self {
            kind: row.u8()?,
            lane: row.u8()?,
            territory: row.text()?,
            log: LogId {
                origin: row.array()?,
                lane: row.u8()?,
            },
            seq: row.u64()?,
            at_ms: row.i64()?,
        })
    }
}

impl MissingRow {
    fn encode(&self) -> Vec<u8> {
        let why = match self.why {
            Missing::Absent => 0,
            Missing::Discarded => 1,
            Missing::Dependent => 2,
        };
        let mut out = FieldWriter::new(VERSION);
        out.u8(self.kind).u8(self.lane).text(&self.territory);
        out.u8(why).finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, BadRow> {
        let mut row = FieldReader::open("missing change", VERSION, bytes)?;
        Ok(Self {
            kind: row.u8()?,
            lane: row.u8()?,
            territory: row.text()?,
            why: match row.u8()? {
                0 => Missing::Absent,
                1 => Missing::Discarded,
                _ => Missing::Dependent,
            },
        })
    }
}

impl Order {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = FieldWriter::new(VERSION);
        out.text(&self.reason).i64(self.at_ms).finish()
    }

    /// Reads the body of a tombstone; longer reasons than allowed are no tombstone.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadRow> {
        let mut row = FieldReader::open("tombstone entry", VERSION, bytes)?;
        let order = Self {
            reason: row.text()?,
            at_ms: row.i64()?,
        };
        if order.reason.chars().count() > reasons::CHARS_MAX || !row.rest().is_empty() {
            return Err(BadRow {
                row: "tombstone entry",
                at: 1,
            });
        }
        Ok(order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_comes_back_as_it_was_signed_and_its_bytes_are_a_promise() {
        let order = Order {
            reason: "su richiesta".to_owned(),
            at_ms: 258,
        };
        let bytes = order.encode();
        let wanted = [
            [1, 0, 0, 0, 12].as_slice(),
            b"su richiesta",
            &[0, 0, 0, 0, 0, 0, 1, 2],
        ]
        .concat();
        assert_eq!(bytes, wanted);
        assert_eq!(Order::decode(&bytes), Ok(order));
        assert!(Order::decode(&[bytes, vec![0]].concat()).is_err());
    }

    #[test]
    fn a_reason_longer_than_allowed_is_no_tombstone() {
        let order = |chars| Order {
            reason: "è".repeat(chars),
            at_ms: 1,
        };
        assert!(Order::decode(&order(reasons::CHARS_MAX).encode()).is_ok());
        assert!(Order::decode(&order(reasons::CHARS_MAX + 1).encode()).is_err());
    }

    #[test]
    fn what_stays_of_a_document_comes_back_as_it_was_stored() {
        let row = TombstoneRow {
            kind: 1,
            lane: 0,
            territory: "frosinone/a".to_owned(),
            log: LogId::new([3; 8], 0),
            seq: 9,
            at_ms: -4,
        };
        assert_eq!(TombstoneRow::decode(&row.encode()), Ok(row));
        for why in [Missing::Absent, Missing::Discarded, Missing::Dependent] {
            let row = MissingRow {
                kind: 1,
                lane: 2,
                territory: "frosinone".to_owned(),
                why,
            };
            assert_eq!(MissingRow::decode(&row.encode()), Ok(row));
        }
    }
}

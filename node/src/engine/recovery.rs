//! A node that lost the newest entries of its own logs: it takes no writes until it has them back.
//!
//! A peer that durably holds more of an own log than there is tells so. The entries come back from
//! it, signed by this node's own key. Where entries made since then contradict them, those are set
//! aside and appended again behind the true ones, under the incarnation that their changes carry.
//! Every step is one commit, so a kill at any point leaves a state from which it goes on.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use raccordo_crdt_model::DocumentId;
use raccordo_transport::{Cursor, EntryKind, LogId, PeerId, Rollback, Side, SignedEntry, Standing};

use crate::clock::draw;
use crate::store::{Condition, Table};

use super::change_run::{ChangeRun, OpenChangeRun};
use super::commit::{self, NotStored};
use super::core::{Core, ReadFailed};
use super::draft::{Draft, Group};
use super::entry_run::{self, BodyPlace, StoredEntry, entry_key, log_key};
use super::fields::{BadRow, FieldReader, FieldWriter};
use super::forget;
use super::ledger::{Ledger, LogEnd};
use super::peers;
use super::put_back;
use super::quarantine::{signed_bytes, signed_of};
use super::roster::Member;
use super::scope;
use super::statements;
use super::stored::Reading;
use super::tombstone;

const VERSION: u8 = 1;
const RECOVERY: &[u8] = b"recovery/";
const ASIDE: &[u8] = b"aside/";

/// An own log whose end a peer holds and this node has lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recovery {
    /// Who holds it.
    pub(crate) peer: PeerId,
    /// Up to where.
    pub(crate) until: u64,
    /// Up to where what is here is known to be what the peer holds; none once that is all of it.
    pub(crate) known: Option<LogEnd>,
}

impl Recovery {
    fn encode(&self) -> Vec<u8> {
        let mut out = FieldWriter::new(VERSION);
        out.fixed(self.peer.as_bytes()).u64(self.until);
        match &self.known {
            None => out.u8(0),
            Some(end) => out.u8(1).u64(end.seq).fixed(&end.hash),
        };
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadRow> {
        let mut row = FieldReader::open("recovery", VERSION, bytes)?;
        Ok(Self {
            peer: PeerId::from_bytes(row.array()?),
            until: row.u64()?,
            known: match row.u8()? {
                0 => None,
                _ => Some(LogEnd {
                    seq: row.u64()?,
                    hash: row.array()?,
                }),
            },
        })
    }
}

/// The own logs that are fetched back from a peer, from where.
pub(crate) fn recover(ledger: &Ledger, peer: &PeerId) -> Vec<Cursor> {
    let wanted = ledger.recovery.iter().filter(|(_, is)| is.peer == *peer);
    let from = |(log, is): (&LogId, &Recovery)| {
        let LogEnd { seq, hash } = is.known.unwrap_or_else(|| ledger.end(*log));
        Cursor {
            log: *log,
            seq,
            hash,
        }
    };
    wanted.map(from).collect()
}

/// Why nothing is written for now, if so.
pub(crate) fn problem(core: &Core, ledger: &Ledger) -> Option<String> {
    let (log, is) = ledger.recovery.iter().next()?;
    let holder = ledger.roster.member(&is.peer);
    let holder = holder.map_or_else(|| is.peer.short(), |member| member.territory.clone());
    let held = ledger.end(*log).seq;
    let connected = core.links.link(&is.peer).connected;
    let next = if connected {
        "they are being fetched back; writing opens by itself when they are here"
    } else {
        "they are fetched back as soon as it is reached; until then this node only reads"
    };
    Some(format!(
        "this store is older than what {holder} holds of it ({held} of {} entries of log {log}): {next}",
        is.until
    ))
}

/// Meta rows of recoveries, as they were left.
pub(crate) fn read(rows: Vec<(Vec<u8>, Vec<u8>)>) -> Result<BTreeMap<LogId, Recovery>, BadRow> {
    let mut all = BTreeMap::new();
    for (key, value) in rows {
        if let Some(log) = key.get(RECOVERY.len()..).and_then(log_of) {
            all.insert(log, Recovery::decode(&value)?);
        }
    }
    Ok(all)
}

/// The prefix of those rows.
pub(crate) const fn prefix() -> &'static [u8] {
    RECOVERY
}

/// A peer holds more of an own log than there is, or something else: stops writing, durably.
pub(crate) fn begin(core: &Core, peer: PeerId, rollback: &Rollback) {
    let ledger = core.ledger();
    let log = rollback.log;
    let known = ledger.recovery.get(&log);
    let is_news = known.is_none_or(|is| is.until < rollback.held_seq);
    #[cfg(feature = "testing")]
    if crate::planted::planted(crate::planted::Planted::IgnoredRollback) {
        return;
    }
    if rollback.whose != Side::Ours
        || log.origin != core.id.origin()
        || !is_news
        || is_back(core, rollback)
    {
        return;
    }
    // What a store that knows of its loss refuses to write by itself is written again from here on:
    // a peer has what was lost, and nobody else writes meanwhile.
    if matches!(core.store.condition(), Condition::Degraded { .. })
        && let Err(failed) = core.store.accept_loss()
    {
        tracing::error!(error = %commit::chain(&failed), "the store takes no writes");
        return;
    }
    let until = rollback.held_seq;
    let begun = common(core, &ledger, peer, rollback).map(|common| {
        let mut draft = Draft::new(core);
        let recovery = Recovery {
            peer,
            until,
            known: (common != ledger.end(log)).then_some(common),
        };
        let head = rollback.head_seq;
        let detail = format!("log {log} ends at {head}, {} holds {until}", peer.short());
        draft.audit("peer", "rolled-back", &log.to_string(), &detail);
        keep(&mut draft, log, recovery);
        put_back::begin(&mut draft, "a peer holds more of an own log than there is");
        commit::commit(draft)
    });
    match begun {
        Ok(Ok(())) => {
            tracing::error!(%log, until, "this store is older than what a peer holds of it: nothing is written until that is fetched back");
        }
        Ok(Err(NotStored { reason })) => tracing::error!(reason, "a rollback was not recorded"),
        Err(failed) => {
            tracing::error!(error = %commit::chain(&failed), "a rollback was not recorded");
        }
    }
}

/// Whether what the peer holds is here by now: the report was on its way while it came back.
fn is_back(core: &Core, rollback: &Rollback) -> bool {
    let Some(hash) = rollback.held_hash else {
        return false;
    };
    let stored = Reading::new(core).entry(rollback.log, rollback.held_seq);
    matches!(stored, Ok(Some(entry)) if entry.signed.entry_hash() == hash)
}

/// The last entry that the peer is known to have acknowledged before it held what is lost.
fn common(
    core: &Core,
    ledger: &Ledger,
    peer: PeerId,
    rollback: &Rollback,
) -> Result<LogEnd, ReadFailed> {
    let log = rollback.log;
    let prefix = [peer.as_bytes().as_slice(), &log_key(log)].concat();
    let before = rollback.held_seq.min(ledger.end(log).seq.saturating_add(1));
    let before = commit::acknowledgement_key(
        &peer,
        &Cursor {
            log,
            seq: before,
            hash: [0; 32],
        },
    );
    let store = &core.store;
    let acked = store.scan_back(Table::Acknowledgements, &prefix, Some(&before), 1)?;
    let seq = acked
        .first()
        .and_then(|(key, _)| key.last_chunk())
        .map_or(0, |seq| u64::from_be_bytes(*seq));
    let stored = Reading::new(core).entry(log, seq)?;
    Ok(stored.map_or_else(LogEnd::default, |entry| LogEnd {
        seq,
        hash: entry.signed.entry_hash(),
    }))
}

/// Compares entries of an own log that came back with what is here. What is the same is left out;
/// from the first that differs, what is here is set aside. Gives what is new.
pub(crate) fn compare(
    core: &Core,
    entries: Vec<SignedEntry>,
) -> Result<Vec<SignedEntry>, ReadFailed> {
    let ledger = core.ledger();
    let Some(log) = entries.first().map(|entry| entry.header.log()) else {
        return Ok(entries);
    };
    let Some(recovery) = ledger.recovery.get(&log) else {
        return Ok(Vec::new());
    };
    let end = ledger.end(log);
    let mut reading = Reading::new(core);
    let mut known = None;
    for entry in entries.iter().take_while(|e| e.header.seq <= end.seq) {
        let seq = entry.header.seq;
        let hash = entry.entry_hash();
        let stored = reading.entry(log, seq)?;
        if stored.is_some_and(|stored| stored.signed.entry_hash() == hash) {
            known = Some(LogEnd { seq, hash });
        } else {
            set_aside(core, log, seq)?;
            return Ok(entries
                .into_iter()
                .filter(|entry| entry.header.seq >= seq)
                .collect());
        }
    }
    if recovery.known.is_some()
        && let Some(known) = known
    {
        let mut draft = Draft::new(core);
        let recovery = Recovery {
            known: (known != end).then_some(known),
            ..recovery.clone()
        };
        keep(&mut draft, log, recovery);
        stored(commit::commit(draft));
    }
    Ok(entries
        .into_iter()
        .filter(|entry| entry.header.seq > end.seq)
        .collect())
}

/// Takes the end of an own log, from this number, out of it; what its entries did stays.
fn set_aside(core: &Core, log: LogId, from: u64) -> Result<(), ReadFailed> {
    let mut draft = Draft::new(core);
    let after = entry_key(log, from.saturating_sub(1));
    let rows = core
        .store
        .scan(Table::Entries, &log_key(log), Some(&after), usize::MAX)?;
    let mut last = LogEnd::default();
    let mut count = 0;
    for (key, value) in rows {
        let (stay, aside): (Vec<_>, Vec<_>) = entry_run::decode(&key, &value)?
            .into_iter()
            .partition(|entry| entry.signed.header.seq < from);
        draft.batch.delete(Table::Entries, key);
        if let Some((key, value)) = entry_run::encode(&stay) {
            draft.batch.put(Table::Entries, key, value);
        }
        for entry in aside {
            let header = &entry.signed.header;
            if header.seq == from {
                last = LogEnd {
                    seq: from - 1,
                    hash: header.prev,
                };
            }
            let key = aside_key(log, header.seq);
            draft.batch.put(Table::Meta, key, encode_aside(&entry));
            count += 1;
        }
    }
    draft.ledger.totals.entries -= count;
    if from == 1 && scope::is_pair(log.lane) {
        statements::unbind(&mut draft, log);
    }
    draft.ledger.logs.insert(log, last);
    if let Some(recovery) = draft.ledger.recovery.get(&log).cloned() {
        keep(
            &mut draft,
            log,
            Recovery {
                known: None,
                ..recovery
            },
        );
    }
    let detail = format!("{count} entries from {from}");
    draft.audit("peer", "set-aside", &log.to_string(), &detail);
    tracing::warn!(%log, from, count, "own entries contradict those that a peer holds: they are appended again behind them");
    stored(commit::commit(draft));
    Ok(())
}

/// Opens writing again where all that was lost is back.
pub(crate) fn finish_if_complete(core: &Core) {
    let ledger = core.ledger();
    // A peer that was revoked gives nothing back any more, whatever it says to hold.
    let missing = |(log, is): (&LogId, &Recovery)| {
        ledger.roster.standing(&is.peer) != Standing::Revoked
            && (is.known.is_some() || ledger.end(*log).seq < is.until)
    };
    if ledger.recovery.is_empty() || ledger.recovery.iter().any(missing) {
        return;
    }
    match finish(core) {
        Ok(Ok(())) => tracing::info!("what was lost is back: writing is open again"),
        Ok(Err(NotStored { reason })) => {
            tracing::error!(reason, "writing could not be opened again");
        }
        Err(failed) => {
            tracing::error!(error = %commit::chain(&failed), "writing could not be opened again");
        }
    }
}

fn finish(core: &Core) -> Result<Result<(), NotStored>, ReadFailed> {
    let incarnation: [u8; 8] = draw(&*core.entropy);
    core.begin_incarnation(incarnation);
    let mut draft = Draft::new(core);
    let logs: Vec<LogId> = draft.ledger.recovery.keys().copied().collect();
    for log in logs {
        append_again(&mut draft, log)?;
        draft.batch.delete(Table::Meta, recovery_key(log));
        draft.ledger.recovery.remove(&log);
        let end = draft.ledger.end(log).seq;
        let detail = format!(
            "{end} entries, incarnation {}",
            HEXLOWER.encode(&incarnation)
        );
        draft.audit("peer", "recovered", &log.to_string(), &detail);
    }
    forget::replay(&mut draft)?;
    Ok(commit::commit(draft))
}

/// Appends what was set aside behind what came back: same bodies, new headers. What was written in a
/// lane for one other territory goes where that territory gets it: the lane may be another's now.
fn append_again(draft: &mut Draft<'_>, log: LogId) -> Result<(), ReadFailed> {
    let prefix = [ASIDE, &log_key(log)].concat();
    let rows = draft
        .core
        .store
        .scan(Table::Meta, &prefix, None, usize::MAX)?;
    // What each change was numbered, and is numbered now, by document.
    let mut moved: BTreeMap<DocumentId, BTreeMap<[u8; 32], u64>> = BTreeMap::new();
    let mut to = log;
    for (key, value) in rows {
        let entry = decode_aside(&value)?;
        draft.batch.delete(Table::Meta, key);
        let former = &entry.signed.header;
        // A lane says once for whom it is, and what came back has said it.
        if let (BodyPlace::Here(body), EntryKind::Policy, 1) =
            (&entry.body, former.kind, former.seq)
            && scope::is_pair(log.lane)
        {
            to = statements::log_for(draft, log, body);
            continue;
        }
        let id = DocumentId::from_bytes(former.document);
        let seq = draft.ledger.end(to).seq + 1;
        let group = Group {
            first: seq - (former.seq - former.group_first),
            count: former.group_count,
        };
        let signed = draft.sign_again(former, to.lane, group);
        let body = match entry.body {
            BodyPlace::Change(_) if draft.ledger.erased.contains(&id) => BodyPlace::Erased,
            body => body,
        };
        draft.record_entry(&signed, &body);
        match (&body, former.kind) {
            (BodyPlace::Change(_), _) => {
                moved.entry(id).or_default().insert(former.body_hash, seq);
            }
            (BodyPlace::Here(body), EntryKind::Roster) => {
                let member = Member::decode(body)?;
                peers::keep_fact(draft, member, to.origin, seq);
                peers::put_in_force(draft);
            }
            (BodyPlace::Here(_), EntryKind::Tombstone) => {
                tombstone::renumber(draft, id, (log, former.seq), (to, seq))?;
            }
            _ => {}
        }
    }
    for (id, moved) in moved {
        relabel(draft, id, log, to, &moved)?;
    }
    Ok(())
}

/// Corrects where a document's changes say that they came from.
fn relabel(
    draft: &mut Draft<'_>,
    id: DocumentId,
    log: LogId,
    to: LogId,
    moved: &BTreeMap<[u8; 32], u64>,
) -> Result<(), ReadFailed> {
    let core = draft.core;
    let Some(mut row) = core.document_row(id)? else {
        return Ok(());
    };
    let key = core.document_key(id)?;
    for run in core.change_runs(id)? {
        let touches = |run: &ChangeRun| {
            let mut origins = run.origins.iter();
            origins.any(|origin| origin.log == log && moved.contains_key(&origin.hash))
        };
        if !touches(&run) {
            continue;
        }
        let bodies = run.open(id, &key)?;
        let mut again = OpenChangeRun::begin(run.first);
        for (origin, body) in run.origins.iter().zip(&bodies) {
            let seq = moved.get(&origin.hash).filter(|_| origin.log == log);
            let origin = super::change_run::ChangeOrigin {
                log: seq.map_or(origin.log, |_| to),
                seq: seq.copied().unwrap_or(origin.seq),
                ..*origin
            };
            let fits = again.push(&origin, body);
            debug_assert!(fits, "the same changes take the same room");
        }
        let (row_key, value) = again.seal(id, &key, draw(&*core.entropy));
        draft.batch.put(Table::Changes, row_key, value);
    }
    row.last_seq = moved.values().copied().max().unwrap_or(row.last_seq);
    if to != log && (row.home_origin, row.lane) == (log.origin, log.lane) {
        // What was begun in a lane that is for another territory now was begun in the other lane.
        draft.digest_home(log, row.indexed.as_ref(), None);
        draft.digest_home(to, None, row.indexed.as_ref());
        row.lane = to.lane;
    }
    draft
        .batch
        .put(Table::Documents, *id.as_bytes(), row.encode());
    Ok(())
}

fn keep(draft: &mut Draft<'_>, log: LogId, recovery: Recovery) {
    draft
        .batch
        .put(Table::Meta, recovery_key(log), recovery.encode());
    draft.ledger.recovery.insert(log, recovery);
}

/// What was not stored is asked for again by the peer's repetition.
fn stored(outcome: Result<(), NotStored>) {
    if let Err(NotStored { reason }) = outcome {
        tracing::warn!(
            reason,
            "a step of the recovery was not stored; it is taken again"
        );
    }
}

fn encode_aside(entry: &StoredEntry) -> Vec<u8> {
    let mut out = FieldWriter::new(VERSION);
    out.fixed(&signed_bytes(&entry.signed));
    match &entry.body {
        BodyPlace::Change(number) => out.u8(0).u32(*number),
        BodyPlace::Here(body) => out.u8(1).bytes(body),
        BodyPlace::Erased => out.u8(2),
    };
    out.finish()
}

fn decode_aside(bytes: &[u8]) -> Result<StoredEntry, BadRow> {
    let mut row = FieldReader::open("entry set aside", VERSION, bytes)?;
    let signed = signed_of(&row.array()?).ok_or(BadRow {
        row: "entry set aside",
        at: 1,
    })?;
    let body = match row.u8()? {
        0 => BodyPlace::Change(row.u32()?),
        1 => BodyPlace::Here(row.bytes()?.to_vec()),
        _ => BodyPlace::Erased,
    };
    Ok(StoredEntry { signed, body })
}

fn recovery_key(log: LogId) -> Vec<u8> {
    [RECOVERY, &log_key(log)].concat()
}

fn aside_key(log: LogId, seq: u64) -> Vec<u8> {
    [ASIDE, &log_key(log), &seq.to_be_bytes()].concat()
}

fn log_of(bytes: &[u8]) -> Option<LogId> {
    let (origin, rest) = bytes.split_first_chunk()?;
    let [lane] = rest else { return None };
    Some(LogId::new(*origin, *lane))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_comes_back_as_it_was_stored() {
        for known in [
            None,
            Some(LogEnd {
                seq: 3,
                hash: [4; 32],
            }),
        ] {
            let recovery = Recovery {
                peer: PeerId::from_bytes([1; 32]),
                until: 9,
                known,
            };
            assert_eq!(Recovery::decode(&recovery.encode()), Ok(recovery));
        }
    }
}

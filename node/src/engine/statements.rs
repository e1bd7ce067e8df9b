//! What a node states in policy entries: its sealing key, whom a lane is for, a key of tokens, what it
//! erased, whom it confirmed.
//!
//! A district's node publishes its sealing key to everyone, and hands the key of the year's tokens to
//! others' sealing keys. A lane for one counterpart begins with the statement whom it is for, so that
//! nobody else hears of it and it can never be for another.
//! A statement that this version does not know is kept and means nothing.

use std::collections::BTreeMap;

use raccordo_config::{Role, Territory};
use raccordo_transport::{EntryHeader, EntryKind, LogId, PeerId, SignedEntry};

use super::admission::NotAdmitted;
use super::confirming;
use super::draft::Draft;
use super::entry_run::log_key;
use super::fields::{BadRow, FieldReader, FieldWriter};
use super::ledger::Ledger;
use super::node::log_of;
use super::receipts::{self, Mark};
use super::roster::Member;
use super::rows::DocumentRow;
use super::scope::{self, LANE_EVERYONE, PAIR_LANES, Placed};
use super::token_handing::{self, HandedKey};
use crate::store::{Row, Table};

const VERSION: u8 = 1;
const SEALING_KEY: u8 = 1;
const PAIR_LANE: u8 = 2;
const TOKEN_KEY: u8 = 3;
const RECEIPT: u8 = 4;
const CONFIRMED: u8 = 5;

/// Meta keys of the counterparts of lanes begin so.
pub(crate) const PAIRS: &[u8] = b"pair/";
/// Meta keys of sealing keys begin so.
pub(crate) const SEALING: &[u8] = b"sealing/";

/// The body of a policy entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Statement {
    /// What others seal to its author.
    SealingKey([u8; 32]),
    /// The lane that it begins is for its author's territory and this one.
    PairLane(String),
    /// The key of a year's tokens, sealed to one node.
    TokenKey(HandedKey),
    /// What these tombstones erase is gone at its author.
    Receipt(Vec<Mark>),
    /// Its administrator vouches for the node with this key.
    Confirmed(PeerId),
    /// Something that this version does not know.
    Unknown,
}

impl Statement {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = FieldWriter::new(VERSION);
        match self {
            Self::SealingKey(key) => out.u8(SEALING_KEY).fixed(key),
            Self::PairLane(territory) => out.u8(PAIR_LANE).text(territory),
            Self::TokenKey(handed) => handed.write(out.u8(TOKEN_KEY)),
            Self::Receipt(marks) => receipts::write(out.u8(RECEIPT), marks),
            Self::Confirmed(key) => out.u8(CONFIRMED).fixed(key.as_bytes()),
            Self::Unknown => &mut out,
        };
        out.finish()
    }

    /// Reads the body; what is not known is no error, what is known and malformed is.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadRow> {
        let Ok(mut row) = FieldReader::open("statement", VERSION, bytes) else {
            return Ok(Self::Unknown);
        };
        let told = match row.u8() {
            Ok(SEALING_KEY) => Self::SealingKey(row.array()?),
            Ok(PAIR_LANE) => Self::PairLane(row.text()?),
            Ok(TOKEN_KEY) => Self::TokenKey(HandedKey::read(&mut row)?),
            Ok(RECEIPT) => Self::Receipt(receipts::read(&mut row)?),
            Ok(CONFIRMED) => Self::Confirmed(PeerId::from_bytes(row.array()?)),
            _ => return Ok(Self::Unknown),
        };
        let whole = row.rest().is_empty();
        let sound = match &told {
            Self::PairLane(territory) => Territory::parse(territory).is_ok(),
            _ => true,
        };
        if whole && sound {
            Ok(told)
        } else {
            Err(row.bad())
        }
    }
}

/// Whether a statement of this author may stand where it does.
pub(crate) fn check(entry: &SignedEntry, author: &dyn Placed) -> Result<(), NotAdmitted> {
    let header = &entry.header;
    let malformed = |reason: &str| NotAdmitted::Content {
        reason: reason.to_owned(),
    };
    let told = Statement::decode(entry.bytes());
    let told = told.map_err(|_| malformed("it is not a statement as this version knows them"))?;
    let begins = scope::is_pair(header.lane) && header.seq == 1;
    match told {
        Statement::PairLane(with) if begins && with != author.territory() => Ok(()),
        Statement::PairLane(_) => Err(malformed(
            "only the first entry of a lane says for whom it is, and it is for another territory",
        )),
        _ if begins => Err(malformed(
            "the lane does not begin by saying for whom it is",
        )),
        Statement::SealingKey(_) if author.role() == Role::Coordination => {
            Err(malformed("nothing is sealed to a coordination"))
        }
        Statement::TokenKey(_) if author.role() == Role::Coordination => {
            Err(malformed("a coordination has no key of tokens to hand on"))
        }
        Statement::Confirmed(_) if author.role() == Role::Coordination => {
            Err(malformed("a coordination vouches for no district's node"))
        }
        _ => Ok(()),
    }
}

/// For whom a lane is, from what is known and from the entries that are about to be.
pub(crate) fn counterpart(ledger: &Ledger, log: LogId, entries: &[SignedEntry]) -> Option<String> {
    if !scope::is_pair(log.lane) {
        return None;
    }
    if let Some(known) = ledger.pairs.get(&log) {
        return Some(known.clone());
    }
    let first = entries.first().filter(|entry| {
        let EntryHeader { kind, seq, .. } = entry.header;
        kind == EntryKind::Policy && seq == 1 && entry.header.log() == log
    })?;
    match Statement::decode(first.bytes()) {
        Ok(Statement::PairLane(with)) => Some(with),
        _ => None,
    }
}

/// Keeps what a statement says; its entry is the caller's.
pub(crate) fn keep(draft: &mut Draft<'_>, header: &EntryHeader, body: &[u8]) {
    match Statement::decode(body) {
        Ok(Statement::PairLane(with)) if header.seq == 1 && scope::is_pair(header.lane) => {
            bind(draft, header.log(), with);
        }
        Ok(Statement::SealingKey(key)) if header.lane == LANE_EVERYONE => {
            let row = [SEALING, &header.origin].concat();
            draft.batch.put(Table::Meta, row, key);
            let keys = std::sync::Arc::make_mut(&mut draft.ledger.sealing);
            if keys
                .insert(header.origin, key)
                .is_some_and(|former| former != key)
            {
                token_handing::forget(draft, header.origin);
            }
        }
        Ok(Statement::TokenKey(handed)) if header.lane == LANE_EVERYONE => {
            token_handing::hear(draft, header.origin, &handed);
        }
        Ok(Statement::Receipt(marks)) if header.lane == LANE_EVERYONE => {
            receipts::hear(draft, header, &marks);
        }
        Ok(Statement::Confirmed(key)) if header.lane == LANE_EVERYONE => {
            confirming::keep(draft, header.origin, key);
        }
        _ => {}
    }
}

/// For whom lanes are, from the rows of [`PAIRS`].
pub(crate) fn read_pairs(rows: Vec<Row>) -> BTreeMap<LogId, String> {
    let pairs = rows.into_iter().filter_map(|(key, value)| {
        let log = log_of(key.get(PAIRS.len()..)?)?;
        Some((log, String::from_utf8_lossy(&value).into_owned()))
    });
    pairs.collect()
}

/// What is sealed to whom, from the rows of [`SEALING`].
pub(crate) fn read_sealing(rows: Vec<Row>) -> BTreeMap<[u8; 8], [u8; 32]> {
    let keys = rows.into_iter().filter_map(|(key, value)| {
        let origin = key.get(SEALING.len()..)?.try_into().ok()?;
        Some((origin, value.try_into().ok()?))
    });
    keys.collect()
}

/// Forgets for whom an own lane is: its first entry is no longer in it.
pub(crate) fn unbind(draft: &mut Draft<'_>, log: LogId) {
    draft
        .batch
        .delete(Table::Meta, [PAIRS, &log_key(log)].concat());
    std::sync::Arc::make_mut(&mut draft.ledger.pairs).remove(&log);
}

/// Where own entries go that were set aside behind a statement for whom their lane is: on in their
/// lane if that is still for the same territory, else in this node's lane for it.
pub(crate) fn log_for(draft: &mut Draft<'_>, log: LogId, body: &[u8]) -> LogId {
    let Ok(Statement::PairLane(with)) = Statement::decode(body) else {
        return log;
    };
    if draft.ledger.pairs.get(&log) == Some(&with) {
        return log;
    }
    own_lane(draft, &with).map_or(log, |lane| LogId { lane, ..log })
}

fn bind(draft: &mut Draft<'_>, log: LogId, with: String) {
    let row = [PAIRS, &log_key(log)].concat();
    draft.batch.put(Table::Meta, row, with.as_bytes());
    std::sync::Arc::make_mut(&mut draft.ledger.pairs).insert(log, with);
}

/// This node's lane for a counterpart; begun if there is none yet. None if there is none left.
pub(crate) fn own_lane(draft: &mut Draft<'_>, with: &str) -> Option<u8> {
    let origin = draft.core.id.origin();
    if let Some(lane) = lane_of(&draft.ledger.pairs, origin, with) {
        return Some(lane);
    }
    let unused = |lane: &u8| draft.ledger.end(LogId::new(origin, *lane)).seq == 0;
    let lane = PAIR_LANES.clone().find(unused)?;
    let body = Statement::PairLane(with.to_owned()).encode();
    draft.append_statement(lane, body);
    Some(lane)
}

/// Publishes this node's sealing key where it is not known yet; whether it had to.
pub(crate) fn publish(draft: &mut Draft<'_>) -> bool {
    let core = draft.core;
    let joined = draft.ledger.roster.iter().next().is_some();
    let key = core.sealing_key.public();
    let known = draft.ledger.sealing.get(&core.id.origin()) == Some(&key);
    if known || !joined || core.config().node.role != Role::District {
        return false;
    }
    draft.append_statement(LANE_EVERYONE, Statement::SealingKey(key).encode());
    true
}

/// The lane that an author keeps for a counterpart.
pub(crate) fn lane_of(pairs: &BTreeMap<LogId, String>, origin: [u8; 8], with: &str) -> Option<u8> {
    let logs = LogId::new(origin, *PAIR_LANES.start())..=LogId::new(origin, *PAIR_LANES.end());
    let mut own = pairs.range(logs);
    own.find(|(_, known)| *known == with)
        .map(|(log, _)| log.lane)
}

/// The territory with which this one shares the records that were begun in a lane: of the home's
/// nodes the lane's counterpart, of the counterpart's nodes the home.
pub(crate) fn other_party<'a>(
    pairs: &'a BTreeMap<LogId, String>,
    begun_in: LogId,
    home: &'a str,
    territory: &str,
) -> Option<&'a str> {
    let with = pairs.get(&begun_in).map(String::as_str)?;
    if territory == home {
        Some(with)
    } else if territory == with {
        Some(home)
    } else {
        None
    }
}

/// The lane in which an author of this territory writes a record.
pub(crate) fn lane_in(
    pairs: &BTreeMap<LogId, String>,
    row: &DocumentRow,
    author: [u8; 8],
    territory: &str,
) -> Option<u8> {
    if !scope::is_pair(row.lane) {
        return Some(row.lane);
    }
    let begun_in = LogId::new(row.home_origin, row.lane);
    let with = other_party(pairs, begun_in, &row.territory, territory)?;
    lane_of(pairs, author, with)
}

/// This node's lane for a record, begun if it is for one other territory and there is none yet.
pub(crate) fn begun_lane(draft: &mut Draft<'_>, row: &DocumentRow) -> Option<u8> {
    if !scope::is_pair(row.lane) {
        return Some(row.lane);
    }
    let begun_in = LogId::new(row.home_origin, row.lane);
    let own = draft.core.territory();
    let with = other_party(&draft.ledger.pairs, begun_in, &row.territory, &own)?.to_owned();
    own_lane(draft, &with)
}

/// Whether an author may write a record that was begun in `begun_in` by a node of `home`, in this
/// lane of its own: it is of one of the two territories, and the lane is for the other.
pub(crate) fn fits(
    pairs: &BTreeMap<LogId, String>,
    begun_in: LogId,
    home: &str,
    author: &Member,
    lane: u8,
) -> Result<(), NotAdmitted> {
    let other = other_party(pairs, begun_in, home, &author.territory);
    let other = other.ok_or(NotAdmitted::NotHome)?;
    let own = LogId::new(author.key.origin(), lane);
    if pairs.get(&own).map(String::as_str) == Some(other) {
        Ok(())
    } else {
        Err(NotAdmitted::Lane { lane })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_read_as_it_was_written_and_a_later_kind_of_it_means_nothing() {
        let lane = Statement::PairLane("frosinone/b".to_owned());
        assert_eq!(Statement::decode(&lane.encode()), Ok(lane));
        let key = Statement::SealingKey([7; 32]);
        assert_eq!(Statement::decode(&key.encode()), Ok(key));
        let handed = Statement::TokenKey(HandedKey {
            year: 2026,
            id: [1; 16],
            node: [2; 8],
            wrapped: [3; 80],
        });
        let told = handed.encode();
        assert_eq!(Statement::decode(&told), Ok(handed));
        for length in [told.len() - 1, 40, 2] {
            assert!(Statement::decode(&told[..length]).is_err(), "{length}");
        }
        assert!(Statement::decode(&[told, vec![0]].concat()).is_err());
        let given = Statement::Receipt(vec![[4; 16], [5; 16]]);
        let told = given.encode();
        assert_eq!(told, [&[VERSION, 4, 2][..], &[4; 16], &[5; 16]].concat());
        assert_eq!(Statement::decode(&told), Ok(given));
        for length in [told.len() - 1, 3, 2] {
            assert!(Statement::decode(&told[..length]).is_err(), "{length}");
        }
        let confirmed = Statement::Confirmed(PeerId::from_bytes([6; 32]));
        let told = confirmed.encode();
        assert_eq!(told, [&[VERSION, 5][..], &[6; 32]].concat());
        assert_eq!(Statement::decode(&told), Ok(confirmed));
        assert!(Statement::decode(&told[..33]).is_err());
        for later in [vec![], vec![2, 1], vec![VERSION, 9, 1]] {
            assert_eq!(Statement::decode(&later), Ok(Statement::Unknown));
        }
        let nowhere = Statement::PairLane("//".to_owned()).encode();
        for malformed in [vec![VERSION, SEALING_KEY, 1], nowhere] {
            assert!(Statement::decode(&malformed).is_err());
        }
    }

    #[test]
    fn both_parties_write_in_lanes_for_each_other_and_nobody_else_does() {
        use crate::engine::view::MemberState;
        let member = |key: u8, territory: &str| Member {
            key: PeerId::from_bytes([key; 32]),
            territory: territory.to_owned(),
            role: Role::District,
            name: String::new(),
            state: MemberState::Approved,
            since_ms: 0,
            reason: None,
            address: None,
            ends: BTreeMap::new(),
        };
        let (a, b, c) = (member(1, "f/a"), member(2, "f/b"), member(3, "f/c"));
        let begun = LogId::new([1; 8], 16);
        let pairs = BTreeMap::from([
            (begun, "f/b".to_owned()),
            (LogId::new([1; 8], 17), "f/c".to_owned()),
            (LogId::new([2; 8], 20), "f/a".to_owned()),
            (LogId::new([3; 8], 16), "f/a".to_owned()),
        ]);
        assert_eq!(lane_of(&pairs, [2; 8], "f/a"), Some(20));
        assert_eq!(lane_of(&pairs, [2; 8], "f/c"), None);
        let fits = |author: &Member, lane| fits(&pairs, begun, "f/a", author, lane);
        assert_eq!(fits(&a, 16), Ok(()));
        assert_eq!(fits(&b, 20), Ok(()));
        assert_eq!(fits(&a, 17), Err(NotAdmitted::Lane { lane: 17 }));
        assert_eq!(fits(&a, 0), Err(NotAdmitted::Lane { lane: 0 }));
        assert_eq!(fits(&b, 16), Err(NotAdmitted::Lane { lane: 16 }));
        assert_eq!(fits(&c, 16), Err(NotAdmitted::NotHome));
    }
}

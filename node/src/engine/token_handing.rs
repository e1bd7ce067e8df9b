//! Handing the key of the year's tokens to the other districts' nodes, and taking it from them.
//!
//! Sealed to each node's sealing key in an entry for everyone, so coordinations carry it and cannot
//! open it. Who uses a key says so by sealing it to itself. Where two were made apart, the key with
//! the lowest id is handed on and the other is dropped: all come to hold the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use raccordo_config::Role;
use raccordo_transport::sealing::{self, WRAPPED_KEY_BYTES};

use crate::store::{Row, Table};

use super::commit;
use super::core::{Core, ReadFailed};
use super::draft::Draft;
use super::fields::{BadRow, FieldReader, FieldWriter};
use super::ledger::Ledger;
use super::report;
use super::roster::Roster;
use super::scope::LANE_EVERYONE;
use super::statements::Statement;
use super::token_key::{self, KeyId};
use super::view::MemberState;

/// Meta keys of who handed what to whom begin so.
pub(crate) const HANDED: &[u8] = b"handed-key/";
const CONTEXT: &[u8] = b"raccordo-token-key-1\0";
/// Of how many handings by one author this node takes note.
const NOTED_MAX: usize = 4_096;
/// How many others must have handed a key to a node before this one leaves it to them.
const ENOUGH: usize = 2;

type Origin = [u8; 8];

/// A key of tokens sealed to one node, as its author states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HandedKey {
    pub(crate) year: u32,
    pub(crate) id: KeyId,
    /// Whom it is for.
    pub(crate) node: Origin,
    pub(crate) wrapped: [u8; WRAPPED_KEY_BYTES],
}

/// That somebody handed a key to a node; that somebody uses it, where both are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Handed {
    author: Origin,
    year: u32,
    id: KeyId,
    node: Origin,
}

impl HandedKey {
    pub(crate) fn write<'w>(&self, out: &'w mut FieldWriter) -> &'w mut FieldWriter {
        out.u32(self.year).fixed(&self.id);
        out.fixed(&self.node).fixed(&self.wrapped)
    }

    pub(crate) fn read(row: &mut FieldReader<'_>) -> Result<Self, BadRow> {
        Ok(Self {
            year: row.u32()?,
            id: row.array()?,
            node: row.array()?,
            wrapped: row.array()?,
        })
    }
}

impl Handed {
    fn row(&self) -> Vec<u8> {
        let year = self.year.to_be_bytes();
        [HANDED, &self.author, &year, &self.id, &self.node].concat()
    }

    fn of_row(key: &[u8]) -> Option<Self> {
        let (author, rest) = key.get(HANDED.len()..)?.split_first_chunk()?;
        let (year, rest) = rest.split_first_chunk()?;
        let (id, rest) = rest.split_first_chunk()?;
        Some(Self {
            author: *author,
            year: u32::from_be_bytes(*year),
            id: *id,
            node: rest.try_into().ok()?,
        })
    }
}

/// Who handed what to whom, from the rows of [`HANDED`].
pub(crate) fn read(rows: &[Row]) -> BTreeSet<Handed> {
    let all = rows.iter().filter_map(|(key, _)| Handed::of_row(key));
    all.collect()
}

/// Takes note of what a node stated, and the key if it is for this node and to be used.
pub(crate) fn hear(draft: &mut Draft<'_>, author: Origin, told: &HandedKey) {
    let handed = Handed {
        author,
        year: told.year,
        id: told.id,
        node: told.node,
    };
    let known = &draft.ledger.handed;
    let from = Handed {
        year: 0,
        id: [0; 16],
        node: [0; 8],
        ..handed
    };
    let noted = known.range(from..).take_while(|one| one.author == author);
    if !known.contains(&handed) && noted.take(NOTED_MAX).count() < NOTED_MAX {
        draft.batch.put(Table::Meta, handed.row(), Vec::new());
        Arc::make_mut(&mut draft.ledger.handed).insert(handed);
    }
    let now = token_key::year_of(draft.now_ms);
    if told.node == draft.core.id.origin() && told.year.abs_diff(now) <= 1 {
        take(draft, author, told);
    }
}

/// What was sealed to a node before it had another sealing key may never have been opened.
pub(crate) fn forget(draft: &mut Draft<'_>, node: Origin) {
    let handed = draft.ledger.handed.iter();
    let to = |handed: &&Handed| handed.node == node && handed.author != node;
    let gone: Vec<Handed> = handed.filter(to).copied().collect();
    for handed in gone {
        draft.batch.delete(Table::Meta, handed.row());
        Arc::make_mut(&mut draft.ledger.handed).remove(&handed);
    }
}

fn take(draft: &mut Draft<'_>, author: Origin, told: &HandedKey) {
    let own = draft.core.id.origin();
    let roster = &draft.ledger.roster;
    let by = roster.of_origin(author);
    if author != own && !by.is_some_and(|by| roster.counts_here(&by.key)) {
        let detail = format!(
            "{}: whoever hands it is not confirmed here, and could know the key",
            told.year
        );
        draft.audit(
            "peer",
            "token-key-refused",
            &HEXLOWER.encode(&author),
            &detail,
        );
        return;
    }
    let context = context(told.year, &told.id, own);
    let opened = draft.core.sealing_key.unwrap(&told.wrapped, &context).ok();
    let Some(key) = opened.filter(|key| token_key::id_of(told.year, key) == told.id) else {
        let author = HEXLOWER.encode(&author);
        tracing::warn!(%author, year = told.year, "a key of tokens does not open, or is another than it says");
        let detail = format!(
            "{}: it does not open, or is another than it says",
            told.year
        );
        draft.audit("peer", "token-key-refused", &author, &detail);
        return;
    };
    let ledger = &draft.ledger;
    let instead = match ledger.held_keys.get(&told.year) {
        None => true,
        // What nobody else was given gives way to what others use.
        Some(held) => told.id < *held || (told.id != *held && !uses(ledger, own, told.year, held)),
    };
    if instead {
        token_key::put(draft, told.year, &key);
        let detail = format!("{} {}", told.year, HEXLOWER.encode(&told.id));
        draft.audit("peer", "token-key", &HEXLOWER.encode(&author), &detail);
    }
}

/// Whether a node has said that it uses this key.
fn uses(ledger: &Ledger, node: Origin, year: u32, id: &KeyId) -> bool {
    let (author, id) = (node, *id);
    ledger.handed.contains(&Handed {
        author,
        year,
        id,
        node,
    })
}

/// Whether the key of a year that this node made is for itself alone, because others use one that it
/// has not got yet, or would not take one from it.
pub(crate) fn is_provisional(ledger: &Ledger, own: Origin, year: u32, id: &KeyId) -> bool {
    if uses(ledger, own, year, id) {
        return false;
    }
    let others = districts(&ledger.roster, own);
    let mut used = ledger.handed.iter().filter(|handed| {
        handed.year == year && handed.author == handed.node && others.contains(&handed.author)
    });
    match used.next() {
        Some(first) => first.id != *id && used.all(|handed| handed.id != *id),
        None => !ledger.roster.own_counts(),
    }
}

/// The districts' nodes that are approved and may be sealed to, without this one.
fn districts(roster: &Roster, own: Origin) -> BTreeSet<Origin> {
    let members = roster
        .iter()
        .filter(|member| member.role == Role::District && member.state == MemberState::Approved);
    members
        .filter(|member| roster.counts_here(&member.key))
        .map(|member| member.key.origin())
        .filter(|origin| *origin != own)
        .collect()
}

/// Whom this node has to hand a key, each with what is sealed to it: who has not said that it uses
/// it or one that goes before, and to whom neither this node nor enough others handed it.
fn due(ledger: &Ledger, own: Origin, year: u32, id: &KeyId) -> Vec<(Origin, [u8; 32])> {
    let others = districts(&ledger.roster, own);
    let mut given: BTreeMap<Origin, usize> = BTreeMap::new();
    for handed in ledger.handed.iter().filter(|handed| handed.year == year) {
        let is_served = if handed.author == handed.node {
            handed.id <= *id
        } else {
            handed.author == own && handed.id == *id
        };
        let by_user = handed.id == *id
            && others.contains(&handed.author)
            && uses(ledger, handed.author, year, id);
        let count = given.entry(handed.node).or_default();
        *count += if is_served {
            ENOUGH
        } else {
            usize::from(by_user)
        };
    }
    let waits = |node: &Origin| given.get(node).is_none_or(|count| *count < ENOUGH);
    let due = others.into_iter().filter(waits);
    due.filter_map(|node| Some((node, *ledger.sealing.get(&node)?)))
        .collect()
}

/// What was looked at already.
#[derive(Debug, Default)]
pub(crate) struct KeyHanding {
    seen: Option<Seen>,
}

#[derive(Debug)]
struct Seen {
    roster: Arc<Roster>,
    sealing: Arc<BTreeMap<Origin, [u8; 32]>>,
    handed: Arc<BTreeSet<Handed>>,
    held: Arc<BTreeMap<u32, KeyId>>,
    year: u32,
}

impl KeyHanding {
    /// Hands the key of this year to whoever has not got it.
    pub(crate) fn drive(&mut self, core: &Core) {
        let ledger = core.ledger();
        let year = token_key::year_of(core.clock.unix_millis());
        let same = self.seen.as_ref().is_some_and(|seen| {
            Arc::ptr_eq(&seen.roster, &ledger.roster)
                && Arc::ptr_eq(&seen.sealing, &ledger.sealing)
                && Arc::ptr_eq(&seen.handed, &ledger.handed)
                && Arc::ptr_eq(&seen.held, &ledger.held_keys)
                && seen.year == year
        });
        if same
            || core.config().node.role != Role::District
            || report::writes_problem(core, &ledger).is_some()
        {
            return;
        }
        let mut draft = Draft::new(core);
        if let Err(failed) = hand_on(&mut draft, year) {
            tracing::error!(error = %commit::chain(&failed), "the key of tokens was not handed on");
            return;
        }
        if let Err(failed) = commit::commit(draft) {
            tracing::error!(
                reason = failed.reason,
                "the key of tokens was not handed on"
            );
            return;
        }
        let ledger = core.ledger();
        self.seen = Some(Seen {
            roster: Arc::clone(&ledger.roster),
            sealing: Arc::clone(&ledger.sealing),
            handed: Arc::clone(&ledger.handed),
            held: Arc::clone(&ledger.held_keys),
            year,
        });
    }
}

fn hand_on(draft: &mut Draft<'_>, year: u32) -> Result<(), ReadFailed> {
    let own = draft.core.id.origin();
    let Some(id) = draft.ledger.held_keys.get(&year).copied() else {
        return Ok(());
    };
    if is_provisional(&draft.ledger, own, year, &id) {
        return Ok(());
    }
    let due = due(&draft.ledger, own, year, &id);
    let others = draft.ledger.handed.iter();
    let mut others = others.filter(|handed| handed.year == year && handed.id == id);
    let in_use = others.next().is_some();
    if (due.is_empty() && !in_use) || (due.is_empty() && uses(&draft.ledger, own, year, &id)) {
        return Ok(());
    }
    let Some(key) = token_key::held(draft, year)? else {
        return Ok(());
    };
    let mut to = Vec::new();
    if !uses(&draft.ledger, own, year, &id) {
        to.push((own, draft.core.sealing_key.public()));
    }
    to.extend(due);
    for (node, public) in to {
        let wrapped = sealing::wrap(&key, &public, &context(year, &id, node));
        let Some(wrapped) = wrapped.ok().and_then(|wrapped| wrapped.try_into().ok()) else {
            let node = HEXLOWER.encode(&node);
            tracing::warn!(node, "nothing can be sealed to this node's key");
            continue;
        };
        let handed = HandedKey {
            year,
            id,
            node,
            wrapped,
        };
        if let Some(member) = draft.ledger.roster.of_origin(node).cloned() {
            let (key, detail) = (
                member.key.to_string(),
                format!("{year} {}", member.territory),
            );
            draft.audit("node", "token-key-handed", &key, &detail);
        }
        draft.append_statement(LANE_EVERYONE, Statement::TokenKey(handed).encode());
    }
    Ok(())
}

/// What a sealed key is bound to.
fn context(year: u32, id: &KeyId, node: Origin) -> Vec<u8> {
    [CONTEXT, &year.to_be_bytes(), id, &node].concat()
}

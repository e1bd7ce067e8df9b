//! Vouching for a node that a coordination alone let into a district: by its own administrator's word,
//! stated in the lane for everyone.
//!
//! Until a node counts (`roster/counting.rs`) nothing is sealed to it and nothing that it says to
//! another district is heard. Knows members; does not know what is sealed.

use raccordo_config::Role;
use raccordo_transport::{EntryHeader, EntryKind, PeerId};

use crate::store::{Row, Table};

use super::admission::NotAdmitted;
use super::core::Core;
use super::draft::Draft;
use super::fields::BadRow;
use super::ledger::Ledger;
use super::roster::{Fact, Member, Roster};
use super::scope::{self, LANE_EVERYONE, Party};
use super::statements::Statement;
use super::task::Done;
use super::view::{CommandFailed, Event, MemberState};

/// Meta keys of who confirmed whom begin so.
pub(crate) const CONFIRMED: &[u8] = b"confirmed/";
/// What makes such a node count.
pub(crate) const WHOSE_MOVE: &str = "the administrator of another node of its district, or of the district that deals \
     with it, compares its id by telephone and runs `raccordo peer confirm`";

/// Vouches for a member; without effect where it counts already.
pub(crate) fn confirm(draft: &mut Draft<'_>, key: PeerId, by: &str) -> Result<Done, CommandFailed> {
    let refused = |code, detail: String| Err(CommandFailed::Peer { code, detail });
    let roster = &draft.ledger.roster;
    let member = roster.member(&key).cloned();
    let member = member.ok_or_else(|| CommandFailed::NotFound {
        kind: "peer",
        id: key.to_string(),
    })?;
    if draft.core.config().node.role != Role::District || member.role != Role::District {
        let detail = "districts' nodes confirm each other: what a coordination carries must not be sealed to whom it \
                      names";
        return refused("not_district", detail.to_owned());
    }
    if member.state != MemberState::Approved {
        let detail = format!(
            "{} is {}: only an approved node is confirmed",
            key.short(),
            member.state.word()
        );
        return refused("state_cannot_follow", detail);
    }
    if roster.counts_here(&key) {
        return Ok(Done::Member(member));
    }
    draft.append_statement(LANE_EVERYONE, Statement::Confirmed(key).encode());
    draft.audit(by, "confirm", &key.to_string(), &member.territory);
    Ok(Done::Member(member))
}

/// Keeps what a node stated; its entry is the caller's.
pub(crate) fn keep(draft: &mut Draft<'_>, author: [u8; 8], key: PeerId) {
    let roster = std::sync::Arc::make_mut(&mut draft.ledger.roster);
    if !roster.confirm(author, key) {
        return;
    }
    roster.settle();
    let told = roster.member(&key).map(|member| Event::Peer {
        id: key.to_string(),
        territory: member.territory.clone(),
        state: member.state.word(),
    });
    draft.events.extend(told);
    let row = [CONFIRMED, &author, key.as_bytes()].concat();
    draft.batch.put(Table::Meta, row, Vec::new());
}

/// The roster of the facts and confirmations that are stored.
pub(crate) fn roster(own: Party, facts: &[Row], confirmed: &[Row]) -> Result<Roster, BadRow> {
    let facts: Result<Vec<_>, _> = facts.iter().map(|(_, row)| Fact::decode(row)).collect();
    let mut roster = Roster::new(own, facts?);
    for (row, _) in confirmed {
        let told = row
            .get(CONFIRMED.len()..)
            .and_then(<[u8]>::split_first_chunk);
        if let Some((author, key)) = told
            && let Ok(key) = key.try_into()
        {
            roster.confirm(*author, PeerId::from_bytes(key));
        }
    }
    roster.settle();
    Ok(roster)
}

/// Whether what an author says to another district is heard.
pub(crate) fn is_heard(
    roster: &Roster,
    header: &EntryHeader,
    with: Option<&str>,
) -> Result<(), NotAdmitted> {
    let says = matches!(header.kind, EntryKind::Change | EntryKind::Tombstone);
    let Some(with) = with.filter(|_| says && scope::is_pair(header.lane)) else {
        return Ok(());
    };
    let author = roster.of_origin(header.origin);
    if author.is_some_and(|author| roster.counts_for(&author.key, with)) {
        return Ok(());
    }
    let with = with.to_owned();
    Err(NotAdmitted::NotConfirmed { with })
}

/// Whether a member waits to be confirmed: none where that is not asked, of coordinations and of
/// nodes that are not approved.
pub(crate) fn is_confirmed(core: &Core, ledger: &Ledger, member: &Member) -> Option<bool> {
    let asked = member.role == Role::District && member.state == MemberState::Approved;
    let roster = &ledger.roster;
    asked.then(|| match core.config().node.role {
        Role::District => roster.counts_here(&member.key),
        Role::Coordination => roster.counts(&member.key),
    })
}

/// Why a member does not count, and whose move it is.
pub(crate) fn why_not(ledger: &Ledger, member: &Member) -> String {
    let territory = &member.territory;
    let why = match ledger.roster.first_of(territory) {
        Some(first) => format!(
            "a coordination alone let it in, and {territory} had the node {} already",
            first.short()
        ),
        None => format!(
            "coordinations let several nodes into {territory}, and nothing tells which was first"
        ),
    };
    format!("not confirmed: {why}; nothing is sealed to it: {WHOSE_MOVE}")
}

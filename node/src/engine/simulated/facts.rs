//! What members' facts add up to at a node, without the node: the bytes of facts in, standings out.
//!
//! Keeps facts as the engine does: decoded from what was signed, one row for each author and key.

use std::collections::BTreeMap;

use raccordo_config::Role;
use raccordo_transport::{LogId, PeerId, Standing};

use super::super::fields::BadRow;
use super::super::roster::{Fact, Member, PINNED, Roster};
use super::super::scope::Party;
use super::look::MemberFacts;

/// A fact as it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedFact {
    /// Origin of its author.
    pub author: [u8; 8],
    /// Number of its entry.
    pub seq: u64,
    /// The entry's body.
    pub body: Vec<u8>,
}

/// How a member stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stands {
    /// Who it is.
    pub member: MemberFacts,
    /// How links regard it.
    pub standing: Standing,
    /// The entry that introduces it to others.
    pub introduced: Option<(LogId, u64)>,
}

/// The body of a fact about a member.
pub fn fact_body(member: &MemberFacts, name: &str, since_ms: i64, reason: Option<&str>) -> Vec<u8> {
    Member {
        key: member.key,
        territory: member.territory.clone(),
        role: member.role,
        name: name.to_owned(),
        state: member.state,
        since_ms,
        reason: reason.map(str::to_owned),
        address: None,
        ends: member.ends.clone(),
    }
    .encode()
}

/// The bytes of a fact's body once it was read and written again.
pub fn rewritten(body: &[u8]) -> Result<Vec<u8>, BadRow> {
    Member::decode(body).map(|member| member.encode())
}

/// How everybody stands at a node that heard these facts in this order, settling after each, and
/// how they stand once that node has started again from its rows.
pub fn standings(
    own: (PeerId, &str, Role),
    joined_at: &[MemberFacts],
    facts: &[SignedFact],
) -> Result<[Vec<Stands>; 2], BadRow> {
    let (key, territory, role) = own;
    let own = Party {
        key,
        territory: territory.to_owned(),
        role,
    };
    let mut rows = BTreeMap::new();
    let mut roster = Roster::new(own.clone(), []);
    let pinned = joined_at.iter().map(|member| {
        let body = fact_body(member, "", 0, None);
        (PINNED, 0, true, body)
    });
    let signed = facts
        .iter()
        .map(|fact| (fact.author, fact.seq, false, fact.body.clone()));
    for (author, seq, here, body) in pinned.chain(signed) {
        let member = Member::decode(&body)?;
        if let Some(kept) = roster.keep(Fact::new(author, seq, here, member)) {
            rows.insert(kept.row_key(), kept.encode());
        }
        roster.settle();
    }
    let rows = rows.values().map(|row| Fact::decode(row));
    let again = Roster::new(own, rows.collect::<Result<Vec<_>, _>>()?);
    Ok([stands(&roster), stands(&again)])
}

fn stands(roster: &Roster) -> Vec<Stands> {
    let one = |member: &Member| Stands {
        member: MemberFacts {
            key: member.key,
            territory: member.territory.clone(),
            role: member.role,
            state: member.state,
            ends: member.ends.clone(),
        },
        standing: roster.standing(&member.key),
        introduced: roster.introduced(&member.key),
    };
    roster.iter().map(one).collect()
}

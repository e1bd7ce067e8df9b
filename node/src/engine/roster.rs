//! Members of the federation: signed facts of the coordination, one entry each.
//!
//! The newest fact about a key stands. Revoked is for good: no later fact brings a key back.
//! Does not know links: whether a member is reachable is not a fact.

use std::collections::BTreeMap;

use raccordo_config::Role;
use raccordo_transport::{PeerId, Standing};

use super::fields::{BadRow, FieldReader, FieldWriter};
use super::view::MemberState;

const VERSION: u8 = 1;

/// The reason of a member that was turned away while pending.
pub(crate) const REJECTED: &str = "rejected";

/// One member as the coordination last signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its public key.
    pub(crate) key: PeerId,
    /// Its territory's path.
    pub(crate) territory: String,
    /// What it may be.
    pub(crate) role: Role,
    /// Its name.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) state: MemberState,
    /// Since when, unix ms.
    pub(crate) since_ms: i64,
    /// Reason given by the administrator, if any.
    pub(crate) reason: Option<String>,
    /// Address to dial, if it listens for us.
    pub(crate) address: Option<String>,
}

impl Member {
    /// The body of a roster entry.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = FieldWriter::new(VERSION);
        out.fixed(self.key.as_bytes())
            .text(&self.territory)
            .u8(role_code(self.role));
        out.text(&self.name)
            .u8(state_code(self.state))
            .i64(self.since_ms);
        out.maybe_text(self.reason.as_deref())
            .maybe_text(self.address.as_deref())
            .finish()
    }

    /// Reads the body of a roster entry.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadRow> {
        let mut row = FieldReader::open("roster", VERSION, bytes)?;
        let key = PeerId::from_bytes(row.array()?);
        let territory = row.text()?;
        let role = if row.u8()? == 1 {
            Role::Coordination
        } else {
            Role::District
        };
        let name = row.text()?;
        let state = match row.u8()? {
            0 => MemberState::Pending,
            1 => MemberState::Approved,
            2 => MemberState::Suspended,
            _ => MemberState::Revoked,
        };
        let since_ms = row.i64()?;
        let reason = row.maybe_text()?;
        let address = row.maybe_text()?;
        Ok(Self {
            key,
            territory,
            role,
            name,
            state,
            since_ms,
            reason,
            address,
        })
    }
}

/// 0 district, 1 coordination: as in hello and roster.
pub(crate) fn role_code(role: Role) -> u8 {
    match role {
        Role::District => 0,
        Role::Coordination => 1,
    }
}

fn state_code(state: MemberState) -> u8 {
    match state {
        MemberState::Pending => 0,
        MemberState::Approved => 1,
        MemberState::Suspended => 2,
        MemberState::Revoked => 3,
    }
}

/// All members by key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Roster {
    members: BTreeMap<PeerId, Member>,
}

impl Roster {
    /// Puts a fact in force. A revoked key stays revoked.
    pub(crate) fn apply(&mut self, member: Member) {
        let revoked = |known: &Member| known.state == MemberState::Revoked;
        if self.members.get(&member.key).is_some_and(revoked) {
            return;
        }
        self.members.insert(member.key, member);
    }

    /// The member with this key.
    pub(crate) fn member(&self, key: &PeerId) -> Option<&Member> {
        self.members.get(key)
    }

    /// The member whose entries carry this origin.
    pub(crate) fn of_origin(&self, origin: [u8; 8]) -> Option<&Member> {
        self.members
            .values()
            .find(|member| member.key.origin() == origin)
    }

    /// Members in order of key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// Standing for the transport.
    pub(crate) fn standing(&self, key: &PeerId) -> Standing {
        match self.members.get(key).map(|member| member.state) {
            None => Standing::Unknown,
            Some(MemberState::Pending) => Standing::Pending,
            Some(MemberState::Approved) => Standing::Approved,
            Some(MemberState::Suspended) => Standing::Suspended,
            Some(MemberState::Revoked) => Standing::Revoked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(state: MemberState) -> Member {
        Member {
            key: PeerId::from_bytes([5; 32]),
            territory: "frosinone/a".to_owned(),
            role: Role::District,
            name: "Alatri".to_owned(),
            state,
            since_ms: 12,
            reason: Some("perso".to_owned()),
            address: None,
        }
    }

    #[test]
    fn a_fact_comes_back_as_it_was_signed() {
        for state in [
            MemberState::Pending,
            MemberState::Approved,
            MemberState::Suspended,
            MemberState::Revoked,
        ] {
            let fact = member(state);
            assert_eq!(Member::decode(&fact.encode()), Ok(fact));
        }
    }

    #[test]
    fn no_later_fact_brings_a_revoked_key_back() {
        let mut roster = Roster::default();
        roster.apply(member(MemberState::Revoked));
        roster.apply(member(MemberState::Approved));
        assert_eq!(
            roster.standing(&PeerId::from_bytes([5; 32])),
            Standing::Revoked
        );
    }
}

//! Who may write what: decided from signed facts, the same on every node.
//!
//! Pure: header, author's membership and the deciding node's role in, verdict out.
//! Does not know stores; whether a document's home fits is asked with [`home_fits`].

use raccordo_config::Role;
use raccordo_crdt_model::{Kind, Writer};
use raccordo_transport::{EntryHeader, EntryKind};
use thiserror::Error;

use super::core::LANE_SHARED;
use super::roster::Member;
use super::view::MemberState;

/// Why an entry may not enter.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum NotAdmitted {
    /// Its author is not in the roster.
    #[error("its author is not a member")]
    NoMember,
    /// Its author is not approved.
    #[error("its author is {}", .state.word())]
    NotApproved {
        /// Where the author stands.
        state: MemberState,
    },
    /// It belongs to the lane that stays in a territory.
    #[error("it is of the lane that stays in its territory")]
    Lane,
    /// Only the coordination signs facts about the federation.
    #[error("only the coordination signs facts about members")]
    NotCoordination,
    /// This version does not know the kind of entry or document.
    #[error("its kind is not known to this version: upgrade this node")]
    UnknownKind,
    /// The coordination does not own projects.
    #[error("projects are written by their home territory alone")]
    NotHome,
    /// Its content does not fit what its header says.
    #[error("{reason}")]
    Content {
        /// What is wrong with it.
        reason: String,
    },
}

/// Whether an entry by this author may enter, as far as its header tells.
pub(crate) fn admit(header: &EntryHeader, author: Option<&Member>) -> Result<(), NotAdmitted> {
    let author = author.ok_or(NotAdmitted::NoMember)?;
    if author.state != MemberState::Approved {
        return Err(NotAdmitted::NotApproved {
            state: author.state,
        });
    }
    if header.lane != LANE_SHARED {
        return Err(NotAdmitted::Lane);
    }
    match (header.kind, author.role) {
        (EntryKind::Roster, Role::Coordination) => Ok(()),
        (EntryKind::Roster | EntryKind::Policy, _) => Err(NotAdmitted::NotCoordination),
        (EntryKind::Change | EntryKind::Tombstone, role) => {
            let writer = Kind::from_code(header.document_kind).map(Kind::writer);
            match (writer, role) {
                (None, _) => Err(NotAdmitted::UnknownKind),
                (Some(Writer::District), Role::District)
                | (Some(Writer::Coordination), Role::Coordination) => Ok(()),
                (Some(_), _) => Err(NotAdmitted::NotHome),
            }
        }
    }
}

/// Whether a document of this home may be written by a member of this territory.
pub(crate) fn home_fits(home: &str, author: &Member) -> Result<(), NotAdmitted> {
    if home == author.territory {
        Ok(())
    } else {
        Err(NotAdmitted::NotHome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raccordo_transport::PeerId;

    fn header(kind: EntryKind, lane: u8) -> EntryHeader {
        EntryHeader {
            lane,
            origin: [1; 8],
            incarnation: [2; 8],
            seq: 1,
            prev: [0; 32],
            group_first: 1,
            group_count: 1,
            kind,
            document: [0; 16],
            document_kind: 1,
            body_hash: [0; 32],
            policy_epoch: 0,
            hlc: 0,
        }
    }

    fn member(role: Role, state: MemberState) -> Member {
        Member {
            key: PeerId::from_bytes([1; 32]),
            territory: "frosinone/a".to_owned(),
            role,
            name: String::new(),
            state,
            since_ms: 0,
            reason: None,
            address: None,
        }
    }

    #[test]
    fn only_an_approved_district_writes_projects_and_only_the_coordination_signs_members() {
        use EntryKind::{Change, Policy, Roster, Tombstone};
        use MemberState::{Approved, Pending, Revoked, Suspended};
        let district = |kind| admit(&header(kind, 0), Some(&member(Role::District, Approved)));
        let coordination = |kind| {
            admit(
                &header(kind, 0),
                Some(&member(Role::Coordination, Approved)),
            )
        };
        assert_eq!(district(Change), Ok(()));
        assert_eq!(coordination(Change), Err(NotAdmitted::NotHome));
        assert_eq!(coordination(Roster), Ok(()));
        assert_eq!(district(Roster), Err(NotAdmitted::NotCoordination));
        assert_eq!(district(Policy), Err(NotAdmitted::NotCoordination));
        assert_eq!(district(Tombstone), Ok(()));
        assert_eq!(coordination(Tombstone), Err(NotAdmitted::NotHome));
        for state in [Pending, Suspended, Revoked] {
            let verdict = admit(&header(Change, 0), Some(&member(Role::District, state)));
            assert_eq!(verdict, Err(NotAdmitted::NotApproved { state }));
        }
        assert_eq!(admit(&header(Change, 0), None), Err(NotAdmitted::NoMember));
        assert_eq!(
            admit(&header(Change, 1), Some(&member(Role::District, Approved))),
            Err(NotAdmitted::Lane)
        );
    }

    #[test]
    fn a_member_writes_only_documents_of_its_own_territory() {
        let author = member(Role::District, MemberState::Approved);
        assert_eq!(home_fits("frosinone/a", &author), Ok(()));
        assert_eq!(home_fits("frosinone/b", &author), Err(NotAdmitted::NotHome));
    }
}

//! Who may write what: decided from signed facts, the same on every node.
//!
//! Pure: header, author's membership and the deciding node's role in, verdict out.
//! Does not know stores; whether a document's home fits is asked with [`home_fits`].

use raccordo_config::Role;
use raccordo_crdt_model::{Kind, Writer};
use raccordo_transport::{EntryHeader, EntryKind};
use thiserror::Error;

#[cfg(feature = "testing")]
use crate::planted::{Planted, planted};

use super::confirming;
use super::roster::Member;
use super::scope::{self, LANE_EVERYONE, Placed};
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
    /// Its author was revoked before it was admitted anywhere that counts.
    #[error("its author was revoked at entry {end} of that lane")]
    AfterTheEnd {
        /// Last number that is valid.
        end: u64,
    },
    /// Its lane is not for this node.
    #[error("the lane {} of its author is not for this node", scope::lane_word(*.lane))]
    NotForUs {
        /// The lane.
        lane: u8,
    },
    /// Its author may be anybody whom a coordination let in.
    #[error(
        "its author is not confirmed, so what it says to {with} is not heard: {}",
        confirming::WHOSE_MOVE
    )]
    NotConfirmed {
        /// The territory that its lane is for.
        with: String,
    },
    /// What it says belongs into another lane.
    #[error("it is in the lane {}, where such entries do not belong", scope::lane_word(*.lane))]
    Lane {
        /// The lane.
        lane: u8,
    },
    /// This version does not know the kind of entry or document.
    #[error("its kind is not known to this version: upgrade this node")]
    UnknownKind,
    /// A document is written by its home's nodes alone.
    #[error("documents are written by their home territory's nodes alone")]
    NotHome,
    /// Its content does not fit what its header says.
    #[error("{reason}")]
    Content {
        /// What is wrong with it.
        reason: String,
    },
}

impl NotAdmitted {
    /// Whether a fact that is not here yet may change the verdict: then its log waits.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::NoMember
                | Self::NotApproved { .. }
                | Self::AfterTheEnd { .. }
                | Self::NotConfirmed { .. }
        )
    }
}

/// Whether an entry by this author may enter at `to`, as far as its header tells; `with` is the
/// territory that its lane is for, if it is for one.
pub(crate) fn admit(
    header: &EntryHeader,
    author: Option<&Member>,
    to: &dyn Placed,
    with: Option<&str>,
) -> Result<(), NotAdmitted> {
    let author = author.ok_or(NotAdmitted::NoMember)?;
    let lane = header.lane;
    match (author.state, author.end_of(lane)) {
        (_, Some(end)) if header.seq <= end => {}
        #[cfg(feature = "testing")]
        (_, Some(_)) if planted(Planted::RevokedAuthorAdmitted) => {}
        (_, Some(end)) => return Err(NotAdmitted::AfterTheEnd { end }),
        (MemberState::Approved, None) => {}
        // Whoever put it on hold may have built on these: waiting for them could be for ever.
        (MemberState::Suspended, None) if header.seq <= author.known_to(lane) => {}
        #[cfg(feature = "testing")]
        (_, None) if planted(Planted::RevokedAuthorAdmitted) => {}
        (state, None) => return Err(NotAdmitted::NotApproved { state }),
    }
    if !scope::offered(to, author, lane, with) {
        return Err(NotAdmitted::NotForUs { lane });
    }
    match header.kind {
        EntryKind::Roster | EntryKind::Policy if lane == LANE_EVERYONE => Ok(()),
        // Of itself every node may say what there is to say; where it stands is its content's matter.
        EntryKind::Policy if author.role == Role::Coordination => Ok(()),
        EntryKind::Policy if scope::is_pair(lane) && header.seq == 1 => Ok(()),
        EntryKind::Roster | EntryKind::Policy => Err(NotAdmitted::Lane { lane }),
        EntryKind::Change | EntryKind::Tombstone if scope::is_pair(lane) && header.seq == 1 => {
            Err(NotAdmitted::Lane { lane })
        }
        EntryKind::Change | EntryKind::Tombstone => {
            let kind = Kind::from_code(header.document_kind).ok_or(NotAdmitted::UnknownKind)?;
            if !scope::may_hold(lane, kind) {
                return Err(NotAdmitted::Lane { lane });
            }
            may_write(kind, author.role)
        }
    }
}

/// Whether a node of this role writes documents of this kind.
pub(crate) fn may_write(kind: Kind, role: Role) -> Result<(), NotAdmitted> {
    match (kind.writer(), role) {
        (Writer::District, Role::District) | (Writer::Coordination, Role::Coordination) => Ok(()),
        (Writer::District | Writer::Coordination, _) => Err(NotAdmitted::NotHome),
    }
}

/// Whether a document of this home may be written by a member of this territory.
pub(crate) fn home_fits(home: &str, author: &Member) -> Result<(), NotAdmitted> {
    #[cfg(feature = "testing")]
    if planted(Planted::ForeignHomeAdmitted) {
        return Ok(());
    }
    if home == author.territory {
        Ok(())
    } else {
        Err(NotAdmitted::NotHome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use raccordo_transport::PeerId;

    use crate::engine::scope::Party;

    fn header(kind: EntryKind, lane: u8) -> EntryHeader {
        EntryHeader {
            lane,
            origin: [1; 8],
            incarnation: [2; 8],
            seq: 5,
            prev: [0; 32],
            group_first: 5,
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
            ends: BTreeMap::new(),
        }
    }

    fn at(territory: &str, role: Role) -> Party {
        Party {
            key: PeerId::from_bytes([9; 32]),
            territory: territory.to_owned(),
            role,
        }
    }

    fn province() -> Party {
        at("frosinone", Role::Coordination)
    }

    #[test]
    fn only_an_approved_district_writes_projects_and_facts_have_their_lane() {
        use EntryKind::{Change, Policy, Roster, Tombstone};
        use MemberState::{Approved, Pending, Suspended};
        let of = |role, kind, lane| {
            let author = member(role, Approved);
            admit(
                &header(kind, lane),
                Some(&author),
                &at("frosinone/a", Role::District),
                None,
            )
        };
        let district = |kind, lane| of(Role::District, kind, lane);
        let coordination = |kind, lane| of(Role::Coordination, kind, lane);
        assert_eq!(district(Change, 0), Ok(()));
        assert_eq!(district(Change, 1), Ok(()));
        assert_eq!(district(Change, 2), Err(NotAdmitted::Lane { lane: 2 }));
        assert_eq!(coordination(Change, 0), Err(NotAdmitted::NotHome));
        assert_eq!(district(Roster, 2), Ok(()));
        assert_eq!(coordination(Roster, 2), Ok(()));
        assert_eq!(coordination(Roster, 0), Err(NotAdmitted::Lane { lane: 0 }));
        assert_eq!(coordination(Policy, 2), Ok(()));
        assert_eq!(district(Policy, 2), Ok(()));
        assert_eq!(district(Policy, 0), Err(NotAdmitted::Lane { lane: 0 }));
        assert_eq!(district(Tombstone, 0), Ok(()));
        assert_eq!(coordination(Tombstone, 0), Err(NotAdmitted::NotHome));
        for state in [Pending, Suspended] {
            let author = member(Role::District, state);
            let verdict = admit(&header(Change, 0), Some(&author), &province(), None);
            assert_eq!(verdict, Err(NotAdmitted::NotApproved { state }));
            assert!(verdict.is_err_and(|reason| reason.may_pass()));
        }
        let verdict = admit(&header(Change, 0), None, &province(), None);
        assert_eq!(verdict, Err(NotAdmitted::NoMember));
    }

    #[test]
    fn what_is_not_for_this_node_is_not_taken_from_whoever_sends_it() {
        let author = member(Role::District, MemberState::Approved);
        let verdict =
            |lane, to: &Party| admit(&header(EntryKind::Change, lane), Some(&author), to, None);
        assert_eq!(verdict(0, &province()), Ok(()));
        assert_eq!(
            verdict(1, &province()),
            Err(NotAdmitted::NotForUs { lane: 1 })
        );
        let neighbour = at("frosinone/b", Role::District);
        assert_eq!(
            verdict(0, &neighbour),
            Err(NotAdmitted::NotForUs { lane: 0 })
        );
    }

    #[test]
    fn a_lane_for_one_territory_begins_by_saying_so_and_is_taken_by_the_two_alone() {
        let author = member(Role::District, MemberState::Approved);
        let verdict = |kind, seq, to: &str, with| {
            let header = EntryHeader {
                seq,
                document_kind: Kind::Transfer.code(),
                ..header(kind, 16)
            };
            admit(&header, Some(&author), &at(to, Role::District), with)
        };
        let (to, with) = ("frosinone/b", Some("frosinone/b"));
        assert_eq!(verdict(EntryKind::Policy, 1, to, with), Ok(()));
        assert_eq!(verdict(EntryKind::Change, 2, to, with), Ok(()));
        let lane = Err(NotAdmitted::Lane { lane: 16 });
        assert_eq!(verdict(EntryKind::Change, 1, to, with), lane);
        assert_eq!(verdict(EntryKind::Policy, 2, to, with), lane);
        assert_eq!(verdict(EntryKind::Roster, 2, to, with), lane);
        let not_for_us = Err(NotAdmitted::NotForUs { lane: 16 });
        assert_eq!(
            verdict(EntryKind::Change, 2, "frosinone/c", with),
            not_for_us
        );
        assert_eq!(verdict(EntryKind::Change, 2, to, None), not_for_us);
    }

    #[test]
    fn of_a_revoked_author_all_up_to_the_end_is_taken_and_nothing_after_it() {
        let revoked = |end| Member {
            ends: BTreeMap::from([(0, end)]),
            ..member(Role::District, MemberState::Revoked)
        };
        let verdict = |end| {
            let author = revoked(end);
            admit(
                &header(EntryKind::Change, 0),
                Some(&author),
                &province(),
                None,
            )
        };
        assert_eq!(verdict(5), Ok(()));
        assert_eq!(verdict(4), Err(NotAdmitted::AfterTheEnd { end: 4 }));
        assert!(!NotAdmitted::UnknownKind.may_pass());
    }

    #[test]
    fn a_member_writes_only_documents_of_its_own_territory() {
        let author = member(Role::District, MemberState::Approved);
        assert_eq!(home_fits("frosinone/a", &author), Ok(()));
        assert_eq!(home_fits("frosinone/b", &author), Err(NotAdmitted::NotHome));
    }
}

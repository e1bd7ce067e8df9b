//! Who may be a peer: invitations, approval, revocation, as commands of the single writer.
//!
//! Every decision is a roster fact in the coordination's own log, signed and replicated. The
//! invitation's secret is never stored: only the public half of the one-time key made from it.

use std::sync::Arc;

use raccordo_config::Role;
use raccordo_transport::{EntryKind, JoinRefused, JoinRequest, PeerId};

use crate::store::Table;

use super::draft::Draft;
use super::fields::{BadRow, FieldReader, FieldWriter};
use super::roster::{Member, role_code};
use super::task::Done;
use super::view::{CommandFailed, Event, MemberState};

const VERSION: u8 = 1;

/// What can be done about peers.
#[derive(Debug)]
pub(crate) enum PeerCommand {
    /// Keeps an invitation that was just made.
    Invite {
        one_time: PeerId,
        invitation: InvitationRow,
    },
    /// Redeems one.
    Redeem {
        one_time: PeerId,
        request: JoinRequest,
    },
    /// Moves a member.
    Move {
        key: PeerId,
        to: MemberState,
        reason: Option<String>,
    },
    /// Pins the coordination that this node has joined.
    Adopt { coordination: Member },
}

/// An invitation, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InvitationRow {
    pub(crate) territory: String,
    pub(crate) role: Role,
    pub(crate) expires_ms: i64,
    pub(crate) approved: bool,
    pub(crate) redeemed_by: Option<PeerId>,
}

impl InvitationRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = FieldWriter::new(VERSION);
        out.text(&self.territory)
            .u8(role_code(self.role))
            .i64(self.expires_ms)
            .u8(u8::from(self.approved));
        match &self.redeemed_by {
            None => out.u8(0),
            Some(key) => out.u8(1).fixed(key.as_bytes()),
        };
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadRow> {
        let mut row = FieldReader::open("invitation", VERSION, bytes)?;
        Ok(Self {
            territory: row.text()?,
            role: if row.u8()? == 1 {
                Role::Coordination
            } else {
                Role::District
            },
            expires_ms: row.i64()?,
            approved: row.u8()? == 1,
            redeemed_by: if row.u8()? == 0 {
                None
            } else {
                Some(PeerId::from_bytes(row.array()?))
            },
        })
    }
}

/// Does it, in the draft.
pub(crate) fn execute(draft: &mut Draft<'_>, command: PeerCommand) -> Result<Done, CommandFailed> {
    match command {
        PeerCommand::Invite {
            one_time,
            invitation,
        } => {
            must_coordinate(draft)?;
            draft.audit("administrator", "invite", &invitation.territory, "");
            keep_invitation(draft, one_time, invitation);
            Ok(Done::Nothing)
        }
        PeerCommand::Redeem { one_time, request } => redeem(draft, one_time, &request)
            .map(Done::Member)
            .map_err(|refused| CommandFailed::Peer {
                code: refusal_code(refused),
                detail: refused.to_string(),
            }),
        PeerCommand::Move { key, to, reason } => {
            move_member(draft, key, to, reason.as_deref()).map(Done::Member)
        }
        PeerCommand::Adopt { coordination } => {
            let known = draft
                .ledger
                .roster
                .iter()
                .find(|m| m.role == Role::Coordination && m.key != coordination.key);
            if let Some(other) = known {
                let detail = format!(
                    "this node belongs to the coordination {} already: a node has one coordination",
                    other.key.short()
                );
                return Err(CommandFailed::Peer {
                    code: "joined_already",
                    detail,
                });
            }
            draft.audit(
                "administrator",
                "join",
                &coordination.key.to_string(),
                &coordination.territory.clone(),
            );
            put(draft, &coordination);
            Ok(Done::Member(coordination))
        }
    }
}

/// Puts a replicated fact in force.
pub(crate) fn put_in_force(draft: &mut Draft<'_>, member: &Member, number: u64) {
    draft.ledger.totals.policy_epoch = u32::try_from(number).unwrap_or(u32::MAX);
    let pinned = draft
        .ledger
        .roster
        .member(&member.key)
        .is_some_and(|m| m.role == Role::Coordination);
    if !pinned {
        put(draft, member);
    }
}

/// The refusal that a stable code stands for.
pub(crate) fn refusal_of(code: &str) -> JoinRefused {
    REFUSALS
        .iter()
        .find(|(_, known)| *known == code)
        .map_or(JoinRefused::Failed, |(refused, _)| *refused)
}

const REFUSALS: [(JoinRefused, &str); 7] = [
    (JoinRefused::Unknown, "invitation_unknown"),
    (JoinRefused::Expired, "invitation_expired"),
    (JoinRefused::Used, "invitation_used"),
    (JoinRefused::Territory, "other_territory"),
    (JoinRefused::Role, "other_role"),
    (JoinRefused::KeyTaken, "key_taken"),
    (JoinRefused::Revoked, "revoked"),
];

pub(crate) fn refusal_code(refused: JoinRefused) -> &'static str {
    REFUSALS
        .iter()
        .find(|(known, _)| *known == refused)
        .map_or("join_failed", |(_, code)| code)
}

fn redeem(
    draft: &mut Draft<'_>,
    one_time: PeerId,
    request: &JoinRequest,
) -> Result<Member, JoinRefused> {
    let invitation = draft
        .ledger
        .invitations
        .get(&one_time)
        .cloned()
        .ok_or(JoinRefused::Unknown)?;
    let roster = &draft.ledger.roster;
    if let Some(bound) = invitation.redeemed_by {
        let member = roster
            .member(&request.real)
            .filter(|_| bound == request.real);
        return member.cloned().ok_or(JoinRefused::Used);
    }
    if invitation.expires_ms <= draft.now_ms {
        return Err(JoinRefused::Expired);
    }
    if invitation.territory != request.territory {
        return Err(JoinRefused::Territory);
    }
    if role_code(invitation.role) != request.role {
        return Err(JoinRefused::Role);
    }
    match roster.of_origin(request.real.origin()) {
        Some(member) if member.state == MemberState::Revoked => return Err(JoinRefused::Revoked),
        Some(_) => return Err(JoinRefused::KeyTaken),
        None if request.real.origin() == draft.core.id.origin() => {
            return Err(JoinRefused::KeyTaken);
        }
        None => {}
    }
    let member = Member {
        key: request.real,
        territory: request.territory.clone(),
        role: invitation.role,
        name: request.name.clone(),
        state: if invitation.approved {
            MemberState::Approved
        } else {
            MemberState::Pending
        },
        since_ms: draft.now_ms,
        reason: None,
        address: None,
    };
    keep_invitation(
        draft,
        one_time,
        InvitationRow {
            redeemed_by: Some(request.real),
            ..invitation
        },
    );
    draft.audit(
        "peer",
        "redeem",
        &request.real.to_string(),
        &request.territory,
    );
    sign(draft, &member);
    Ok(member)
}

fn move_member(
    draft: &mut Draft<'_>,
    key: PeerId,
    to: MemberState,
    reason: Option<&str>,
) -> Result<Member, CommandFailed> {
    must_coordinate(draft)?;
    let unknown = || CommandFailed::NotFound {
        kind: "peer",
        id: key.to_string(),
    };
    let member = draft
        .ledger
        .roster
        .member(&key)
        .cloned()
        .ok_or_else(unknown)?;
    if member.state == to {
        return Ok(member);
    }
    if !may_move(member.state, to) {
        let detail = format!(
            "{} is {}: it cannot become {}; {}",
            key.short(),
            member.state.word(),
            to.word(),
            if member.state == MemberState::Revoked {
                "invite a new node instead"
            } else {
                "approve it first"
            }
        );
        return Err(CommandFailed::Peer {
            code: "state_cannot_follow",
            detail,
        });
    }
    let moved = Member {
        state: to,
        since_ms: draft.now_ms,
        reason: reason.map(str::to_owned),
        ..member
    };
    draft.audit(
        "administrator",
        verb(to),
        &key.to_string(),
        reason.unwrap_or(""),
    );
    sign(draft, &moved);
    Ok(moved)
}

fn may_move(from: MemberState, to: MemberState) -> bool {
    use MemberState::{Approved, Pending, Revoked, Suspended};
    matches!(
        (from, to),
        (Pending | Suspended, Approved)
            | (Approved, Suspended)
            | (Pending | Approved | Suspended, Revoked)
    )
}

fn verb(to: MemberState) -> &'static str {
    match to {
        MemberState::Pending => "redeem",
        MemberState::Approved => "approve",
        MemberState::Suspended => "suspend",
        MemberState::Revoked => "revoke",
    }
}

fn must_coordinate(draft: &Draft<'_>) -> Result<(), CommandFailed> {
    if draft.core.config().node.role == Role::Coordination {
        return Ok(());
    }
    let detail = "only a coordination node decides about peers: run this there".to_owned();
    Err(CommandFailed::Peer {
        code: "not_coordination",
        detail,
    })
}

/// Signs a fact into the own log and puts it in force.
fn sign(draft: &mut Draft<'_>, member: &Member) {
    draft.append_fact(EntryKind::Roster, member.encode());
    let number = draft.ledger.end(draft.core.own_log(0)).seq;
    draft.ledger.totals.policy_epoch = u32::try_from(number).unwrap_or(u32::MAX);
    put(draft, member);
}

fn put(draft: &mut Draft<'_>, member: &Member) {
    let event = Event::Peer {
        id: member.key.to_string(),
        territory: member.territory.clone(),
        state: member.state.word(),
    };
    draft.events.push(event);
    Arc::make_mut(&mut draft.ledger.roster).apply(member.clone());
    draft
        .batch
        .put(Table::Roster, *member.key.as_bytes(), member.encode());
}

fn keep_invitation(draft: &mut Draft<'_>, one_time: PeerId, invitation: InvitationRow) {
    draft.batch.put(
        Table::Invitations,
        *one_time.as_bytes(),
        invitation.encode(),
    );
    Arc::make_mut(&mut draft.ledger.invitations).insert(one_time, invitation);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_row_comes_back_as_it_was_stored() {
        for redeemed_by in [None, Some(PeerId::from_bytes([4; 32]))] {
            let row = InvitationRow {
                territory: "frosinone/a".to_owned(),
                role: Role::District,
                expires_ms: 77,
                approved: true,
                redeemed_by,
            };
            assert_eq!(InvitationRow::decode(&row.encode()), Ok(row));
        }
    }

    #[test]
    fn nothing_leads_out_of_revoked() {
        use MemberState::{Approved, Pending, Revoked, Suspended};
        for to in [Pending, Approved, Suspended] {
            assert!(!may_move(Revoked, to));
            assert!(!may_move(to, Pending));
        }
        assert!(
            may_move(Pending, Approved)
                && may_move(Approved, Revoked)
                && may_move(Suspended, Approved)
        );
    }

    #[test]
    fn every_refusal_has_a_code_of_its_own() {
        for (refused, code) in REFUSALS {
            assert_eq!(refusal_of(code), refused);
        }
    }
}

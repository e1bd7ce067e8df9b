//! Who may be a peer: invitations, approval, revocation, as commands of the single writer.
//!
//! Every decision is a signed fact in the lane of everyone, replicated to all; a coordination
//! decides about what lies within its territory, a district's node about its own devices. The
//! invitation's secret is never stored: only the public half of the one-time key made from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use raccordo_config::Role;
use raccordo_transport::{EntryKind, JoinRefused, JoinRequest, LogId, PeerId};

#[cfg(feature = "testing")]
use crate::planted::{Planted, planted};
use crate::store::Table;

use super::clones;
use super::confirming;
use super::core::{Core, ReadFailed};
use super::draft::Draft;
use super::fields::{BadRow, FieldReader, FieldWriter};
use super::ledger::{Ledger, LogEnd};
use super::roster::{Fact, Member, PINNED, SPONSOR_REVOKED, role_code};
use super::scope::{self, LANE_EVERYONE, Narrowed};
use super::stored::Reading;
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
    /// Pins the node at which this one has joined.
    Adopt { sponsor: Member },
    /// Narrows what a peer is sent, or widens it again.
    Narrow { key: PeerId, to: Narrowed },
    /// Lets one of several nodes with a member's key in, by the first digits of its start.
    Choose { key: PeerId, incarnation: String },
    /// Vouches for a node of a district.
    Confirm { key: PeerId },
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

/// Does it, in the draft; `by` is who asked, for the audit log.
pub(crate) fn execute(
    draft: &mut Draft<'_>,
    command: PeerCommand,
    by: &str,
) -> Result<Done, CommandFailed> {
    match command {
        PeerCommand::Invite {
            one_time,
            invitation,
        } => {
            must_decide(draft, &invitation.territory, invitation.role)?;
            draft.audit(by, "invite", &invitation.territory, "");
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
            move_member(draft, key, to, reason.as_deref(), by).map(Done::Member)
        }
        PeerCommand::Adopt { sponsor } => adopt(draft, sponsor, by).map(Done::Member),
        PeerCommand::Narrow { key, to } => narrow(draft, key, to, by).map(Done::Member),
        PeerCommand::Choose { key, incarnation } => clones::choose(draft, key, &incarnation, by),
        PeerCommand::Confirm { key } => confirming::confirm(draft, key, by),
    }
}

/// Keeps a replicated fact; in force with the next [`put_in_force`].
pub(crate) fn keep_fact(draft: &mut Draft<'_>, member: Member, author: [u8; 8], seq: u64) {
    // An own fact that comes back after it was lost: the key joined here, if nobody else took it in.
    let returned = author == draft.core.id.origin();
    let here = returned && !draft.ledger.roster.is_known(&member.key);
    keep(draft, Fact::new(author, seq, here, member));
}

/// Puts the facts that were kept in force. Where one cuts short what this node has admitted already
/// and may decide about, the node signs how far it had come, so that nothing built on it is lost.
pub(crate) fn put_in_force(draft: &mut Draft<'_>) {
    let whole = draft.ledger.recovery.is_empty();
    for member in settle(draft) {
        let roster = &draft.ledger.roster;
        let decides = roster.decides_about(&member.key) && !is_revoked(draft, &draft.core.id);
        if whole && decides && cut_short(draft, &member) {
            let ends = ends_here(draft, &member.key);
            sign(draft, Member { ends, ..member }, false);
        }
    }
}

fn is_revoked(draft: &Draft<'_>, key: &PeerId) -> bool {
    let member = draft.ledger.roster.member(key);
    member.is_some_and(|member| member.state == MemberState::Revoked)
}

/// Where the logs of revoked members end for everybody, as far as more of them is stored here.
pub(crate) fn cut_ends(
    core: &Core,
    ledger: &Ledger,
) -> Result<BTreeMap<LogId, LogEnd>, ReadFailed> {
    let mut cut = BTreeMap::new();
    for (log, held) in &ledger.logs {
        let member = ledger.roster.of_origin(log.origin);
        let Some(seq) = member
            .and_then(|m| m.end_of(log.lane))
            .filter(|end| *end < held.seq)
        else {
            continue;
        };
        let stored = Reading::new(core).entry(*log, seq)?;
        let end = stored.map_or_else(LogEnd::default, |entry| LogEnd {
            seq,
            hash: entry.signed.entry_hash(),
        });
        cut.insert(*log, end);
    }
    Ok(cut)
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
    if let Some(member) = known_already(draft, request)? {
        return Ok(member);
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
        ends: BTreeMap::new(),
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
    sign(draft, member.clone(), true);
    Ok(member)
}

/// The member that asks, if it joined here and lost the answer with its power: it hears the same
/// again, and the invitation stays unused. None if nobody has such a key.
fn known_already(draft: &Draft<'_>, request: &JoinRequest) -> Result<Option<Member>, JoinRefused> {
    let (roster, origin) = (&draft.ledger.roster, request.real.origin());
    match roster.of_origin(origin) {
        Some(member) if member.state == MemberState::Revoked => Err(JoinRefused::Revoked),
        Some(member)
            if member.key == request.real
                && roster.is_peer(&member.key)
                && member.territory == request.territory
                && role_code(member.role) == request.role =>
        {
            Ok(Some(member.clone()))
        }
        Some(_) => Err(JoinRefused::KeyTaken),
        None if origin == draft.core.id.origin() => Err(JoinRefused::KeyTaken),
        None => Ok(None),
    }
}

/// Pins the node where this one joined, and tells those below which node that is.
fn adopt(draft: &mut Draft<'_>, sponsor: Member, by: &str) -> Result<Member, CommandFailed> {
    let roster = &draft.ledger.roster;
    let other = roster
        .sponsors()
        .map(|(member, _)| member)
        .find(|known| known.key != sponsor.key && known.role == sponsor.role)
        .filter(|_| sponsor.role == Role::Coordination);
    if let Some(other) = other {
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
        by,
        "join",
        &sponsor.key.to_string(),
        &sponsor.territory.clone(),
    );
    let pinned = Fact {
        author: PINNED,
        // A new address of the same sponsor takes the place of the old one.
        seq: u64::try_from(draft.now_ms).unwrap_or_default(),
        first: 0,
        approved: None,
        here: true,
        member: sponsor.clone(),
    };
    hear(draft, pinned);
    let told = Member {
        address: None,
        ..sponsor.clone()
    };
    sign(draft, told, false);
    Ok(sponsor)
}

fn narrow(
    draft: &mut Draft<'_>,
    key: PeerId,
    to: Narrowed,
    by: &str,
) -> Result<Member, CommandFailed> {
    let roster = &draft.ledger.roster;
    let peer = roster.member(&key).filter(|_| roster.is_peer(&key));
    let peer = peer.cloned().ok_or_else(|| CommandFailed::NotFound {
        kind: "peer",
        id: key.to_string(),
    })?;
    let words: Vec<&str> = to
        .lanes
        .iter()
        .map(|lane| scope::lane_word(*lane))
        .collect();
    let territories: Vec<&str> = to.territories.iter().map(String::as_str).collect();
    let detail = format!(
        "territories {}; lanes {}",
        or_all(&territories),
        or_all(&words)
    );
    draft.audit(by, "scope", &key.to_string(), &detail);
    let row = narrowed_key(&key);
    let narrowed = Arc::make_mut(&mut draft.ledger.narrowed);
    if to.is_all() {
        narrowed.remove(&key);
        draft.batch.delete(Table::Meta, row);
    } else {
        draft.batch.put(Table::Meta, row, to.encode());
        narrowed.insert(key, to);
    }
    Ok(peer)
}

fn or_all(words: &[&str]) -> String {
    if words.is_empty() {
        "all".to_owned()
    } else {
        words.join(", ")
    }
}

/// Prefix of the rows that keep narrowed scopes.
pub(crate) const NARROWED: &[u8] = b"scope/";

fn narrowed_key(key: &PeerId) -> Vec<u8> {
    [NARROWED, key.as_bytes()].concat()
}

fn move_member(
    draft: &mut Draft<'_>,
    key: PeerId,
    to: MemberState,
    reason: Option<&str>,
    by: &str,
) -> Result<Member, CommandFailed> {
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
    if !draft.ledger.roster.decides_about(&key) {
        return Err(elsewhere(draft, &member.territory));
    }
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
    let ends = match to {
        MemberState::Suspended | MemberState::Revoked => ends_here(draft, &key),
        MemberState::Pending | MemberState::Approved => BTreeMap::new(),
    };
    // Later than what it goes before, whatever the clock of who said that.
    let since_ms = draft.now_ms.max(member.since_ms.saturating_add(1));
    let moved = Member {
        state: to,
        since_ms,
        reason: reason.map(str::to_owned),
        address: None,
        ends,
        ..member
    };
    draft.audit(by, verb(to), &key.to_string(), reason.unwrap_or(""));
    let members = draft.ledger.roster.iter();
    let former: Vec<Member> = members
        .filter(|member| member.state != MemberState::Revoked && member.key != key)
        .cloned()
        .collect();
    sign(draft, moved.clone(), false);
    for member in former {
        revoke_with_sponsor(draft, &member, by);
    }
    Ok(moved)
}

/// Signs the revocation of a member that has just lost the last one who took it in: it says where
/// its logs end, and makes it one for good.
fn revoke_with_sponsor(draft: &mut Draft<'_>, former: &Member, by: &str) {
    let key = former.key;
    if !is_revoked(draft, &key) || !draft.ledger.roster.decides_about(&key) {
        return;
    }
    draft.audit(by, "revoke", &key.to_string(), SPONSOR_REVOKED);
    let revoked = Member {
        state: MemberState::Revoked,
        since_ms: draft.now_ms,
        reason: Some(SPONSOR_REVOKED.to_owned()),
        address: None,
        ends: ends_here(draft, &key),
        ..former.clone()
    };
    sign(draft, revoked, false);
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

fn must_decide(draft: &Draft<'_>, territory: &str, role: Role) -> Result<(), CommandFailed> {
    if draft.ledger.roster.may_take_in(territory, role) {
        return Ok(());
    }
    Err(elsewhere(draft, territory))
}

fn elsewhere(draft: &Draft<'_>, territory: &str) -> CommandFailed {
    let own = draft.core.territory();
    let detail = match draft.core.config().node.role {
        Role::Coordination => {
            format!(
                "{territory} is not within {own}: this coordination decides about {own}/… alone"
            )
        }
        Role::District => format!(
            "only a coordination node decides about this peer: run this there; a district's node \
             decides about the other nodes of {own} alone"
        ),
    };
    CommandFailed::Peer {
        code: "not_coordination",
        detail,
    }
}

/// How far this node has admitted each log of a key.
fn ends_here(draft: &Draft<'_>, key: &PeerId) -> BTreeMap<u8, u64> {
    let origin = key.origin();
    let all = LogId::new(origin, 0)..=LogId::new(origin, u8::MAX);
    let held = draft.ledger.logs.range(all);
    let ends = held.map(|(log, end)| (log.lane, end.seq));
    ends.filter(|(_, seq)| *seq > 0).collect()
}

/// Whether a revoked member's logs reach further here than they may.
fn cut_short(draft: &Draft<'_>, member: &Member) -> bool {
    let here = ends_here(draft, &member.key);
    let beyond = |(lane, seq): (&u8, &u64)| member.end_of(*lane).is_some_and(|end| *seq > end);
    here.iter().any(beyond)
}

/// Signs a fact into the own log and puts it in force.
fn sign(draft: &mut Draft<'_>, member: Member, here: bool) {
    draft.append_fact(EntryKind::Roster, member.encode());
    let log = draft.core.own_log(LANE_EVERYONE);
    let seq = draft.ledger.end(log).seq;
    hear(draft, Fact::new(log.origin, seq, here, member));
}

/// Keeps a fact and puts it in force.
fn hear(draft: &mut Draft<'_>, fact: Fact) {
    keep(draft, fact);
    settle(draft);
}

fn keep(draft: &mut Draft<'_>, fact: Fact) {
    draft.ledger.totals.policy_epoch = draft.ledger.totals.policy_epoch.saturating_add(1);
    let Some(kept) = Arc::make_mut(&mut draft.ledger.roster).keep(fact) else {
        return;
    };
    #[cfg(feature = "testing")]
    let forgotten =
        kept.member.state == MemberState::Revoked && planted(Planted::ForgottenRevocation);
    #[cfg(not(feature = "testing"))]
    let forgotten = false;
    if !forgotten {
        let (key, row) = (kept.row_key(), kept.encode());
        draft.batch.put(Table::Roster, key, row);
    }
}

/// Works out what is in force, and tells of every member that moved.
fn settle(draft: &mut Draft<'_>) -> Vec<Member> {
    let changed = Arc::make_mut(&mut draft.ledger.roster).settle();
    let events = changed.iter().map(|member| Event::Peer {
        id: member.key.to_string(),
        territory: member.territory.clone(),
        state: member.state.word(),
    });
    draft.events.extend(events);
    changed
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
mod tests;

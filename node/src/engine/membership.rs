//! Peers as people handle them: invitations, joining, approval, revocation.
//!
//! Decisions go through the writer like every other write; connections follow them at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::PoisonError;
use std::time::Duration;

use raccordo_config::{Invitation, Role, Territory};
use raccordo_crdt_model::UnixMillis;
use raccordo_transport::{CloseReason, Endpoint, JoinAccepted, NodeKey, PeerId};

use crate::clock::draw;

use super::peers::{InvitationRow, PeerCommand};
use super::roster::{self, Member};
use super::task::{Command, Done};
use super::view::{CommandFailed, InvitationView, MemberState, PeerView};
use super::{Engine, commit, dial, report};

/// How long an invitation may take to be redeemed.
const JOIN_MAX: Duration = Duration::from_secs(10);

impl Engine {
    /// Members with links to this node, and those about which it decides.
    pub fn peers(&self) -> Vec<PeerView> {
        report::members(&self.core)
    }

    /// Members that wait for approval.
    pub fn pending(&self) -> Vec<PeerView> {
        let waiting = |peer: &PeerView| peer.state == MemberState::Pending.word();
        let peers = report::peers(&self.core).into_iter();
        peers.filter(waiting).collect()
    }

    /// Makes an invitation, single use; only its public half is kept. `by` is who asks, as of all
    /// verbs here.
    pub async fn invite(
        &self,
        territory: Territory,
        role: Role,
        expires_in_s: u64,
        approved: bool,
        by: &str,
    ) -> Result<InvitationView, CommandFailed> {
        self.may_invite(&territory, role)?;
        if !(1..=7 * 86_400).contains(&expires_in_s) {
            let detail = format!("an invitation of {expires_in_s} s: 1 s to 7 days are allowed");
            return Err(CommandFailed::Malformed { detail });
        }
        let secret = draw(&*self.core.entropy);
        let expires_s =
            u64::try_from(self.core.clock.unix_millis()).unwrap_or_default() / 1_000 + expires_in_s;
        let expires_at = UnixMillis(i64::try_from(expires_s * 1_000).unwrap_or(i64::MAX));
        let one_time = NodeKey::one_time(&secret, &self.core.id).public();
        let text = territory.to_string();
        let invitation = InvitationRow {
            territory: text.clone(),
            role,
            expires_ms: expires_at.0,
            approved,
            redeemed_by: None,
        };
        self.hand
            .submit(Command::Peer(
                PeerCommand::Invite {
                    one_time,
                    invitation,
                },
                by.to_owned(),
            ))
            .await?;
        let invitation = Invitation {
            coordination: *self.core.id.as_bytes(),
            address: self.advertised(),
            secret,
            expires_at_s: expires_s,
            territory,
            role,
        };
        Ok(InvitationView {
            invitation: invitation.encode(),
            territory: text,
            expires_at,
        })
    }

    /// Redeems an invitation within ten seconds, or keeps nothing.
    pub async fn join(&self, invitation: &str, by: &str) -> Result<PeerView, CommandFailed> {
        let refuse = |code, detail: String| Err(CommandFailed::Peer { code, detail });
        let invitation = match Invitation::parse(invitation.trim()) {
            Ok(invitation) => invitation,
            Err(bad) => return refuse("invitation_malformed", bad.to_string()),
        };
        let config = self.core.config();
        if invitation.territory != config.node.territory {
            let (theirs, ours) = (&invitation.territory, &config.node.territory);
            return refuse(
                "other_territory",
                format!("the invitation is for {theirs}, and this node is of {ours}"),
            );
        }
        let now_s = u64::try_from(self.core.clock.unix_millis()).unwrap_or_default() / 1_000;
        if invitation.expires_at_s <= now_s {
            return refuse(
                "invitation_expired",
                "the invitation has expired: ask whoever made it for a new one".to_owned(),
            );
        }
        let accepted = match tokio::time::timeout(JOIN_MAX, self.redeem(&invitation)).await {
            Ok(redeemed) => redeemed?,
            Err(_) => {
                let address = &invitation.address;
                return refuse(
                    "unreachable",
                    format!(
                        "{address} did not answer within 10 s: is the node there running and reachable?"
                    ),
                );
            }
        };
        let regarded = accepted.standing;
        let sponsor = self.sponsor(&invitation, accepted);
        self.core.links.regarded(&sponsor.key, regarded);
        match self
            .hand
            .submit(Command::Peer(PeerCommand::Adopt { sponsor }, by.to_owned()))
            .await?
        {
            Done::Member(member) => Ok(report::peer(&self.core, &self.core.ledger(), &member)),
            _ => Err(CommandFailed::Stopping),
        }
    }

    /// The node that accepted this one, as it is pinned.
    pub(crate) fn sponsor(&self, invitation: &Invitation, accepted: JoinAccepted) -> Member {
        // A district's node takes in nodes of its own territory alone, a coordination those below.
        let role = if accepted.territory == self.core.territory() {
            Role::District
        } else {
            Role::Coordination
        };
        Member {
            key: PeerId::from_bytes(invitation.coordination),
            territory: accepted.territory,
            role,
            name: accepted.name,
            state: MemberState::Approved,
            since_ms: self.core.clock.unix_millis(),
            reason: None,
            address: Some(invitation.address.clone()),
            ends: BTreeMap::new(),
        }
    }

    /// Approves a pending member.
    pub async fn peer_approve(&self, id_prefix: &str, by: &str) -> Result<PeerView, CommandFailed> {
        self.move_peer(id_prefix, MemberState::Approved, None, by)
            .await
    }

    /// Turns a pending member away, for good.
    pub async fn peer_reject(&self, id_prefix: &str, by: &str) -> Result<PeerView, CommandFailed> {
        let key = self.peer_key(id_prefix)?;
        let pending = self
            .core
            .ledger()
            .roster
            .member(&key)
            .is_some_and(|m| m.state == MemberState::Pending);
        if !pending {
            let detail = format!("{} is not pending: revoke it instead", key.short());
            return Err(CommandFailed::Peer {
                code: "state_cannot_follow",
                detail,
            });
        }
        self.move_peer(id_prefix, MemberState::Revoked, Some(roster::REJECTED), by)
            .await
    }

    /// Pauses a member.
    pub async fn peer_suspend(&self, id_prefix: &str, by: &str) -> Result<PeerView, CommandFailed> {
        self.move_peer(id_prefix, MemberState::Suspended, None, by)
            .await
    }

    /// Lets a paused member back.
    pub async fn peer_resume(&self, id_prefix: &str, by: &str) -> Result<PeerView, CommandFailed> {
        self.move_peer(id_prefix, MemberState::Approved, None, by)
            .await
    }

    /// Ends a membership for good; its connections close at once.
    pub async fn peer_revoke(
        &self,
        id_prefix: &str,
        reason: &str,
        by: &str,
    ) -> Result<PeerView, CommandFailed> {
        self.move_peer(id_prefix, MemberState::Revoked, Some(reason), by)
            .await
    }

    /// Vouches for a node of a district that a coordination alone let in: from then on what is for that
    /// district is sealed to it too, here and at the other nodes of this territory.
    pub async fn peer_confirm(&self, id_prefix: &str, by: &str) -> Result<PeerView, CommandFailed> {
        let key = self.peer_key(id_prefix)?;
        let command = Command::Peer(PeerCommand::Confirm { key }, by.to_owned());
        let Done::Member(member) = self.hand.submit(command).await? else {
            return Err(CommandFailed::Stopping);
        };
        Ok(report::peer(&self.core, &self.core.ledger(), &member))
    }

    /// Of several nodes with a member's key, lets the one in whose start begins with these digits.
    pub async fn peer_choose(
        &self,
        id_prefix: &str,
        incarnation: &str,
        by: &str,
    ) -> Result<PeerView, CommandFailed> {
        let key = self.peer_key(id_prefix)?;
        let command = PeerCommand::Choose {
            key,
            incarnation: incarnation.to_owned(),
        };
        let Done::Member(member) = self
            .hand
            .submit(Command::Peer(command, by.to_owned()))
            .await?
        else {
            return Err(CommandFailed::Stopping);
        };
        let connected = self.core.links.link(&key).incarnation;
        let chosen = self.core.clones.is_let_in(&key, connected);
        if let Some(endpoint) = self.core.endpoint().filter(|_| !chosen) {
            endpoint.close(&key, CloseReason::Cloned);
        }
        Ok(report::peer(&self.core, &self.core.ledger(), &member))
    }

    /// Lets the link with a peer prove now that both hold the same; the outcome is the peer's `equal`.
    pub fn peer_verify(&self, id_prefix: &str) -> Result<PeerView, CommandFailed> {
        let key = self.peer_key(id_prefix)?;
        let endpoint = self.core.endpoint();
        if !endpoint.is_some_and(|endpoint| endpoint.verify(&key)) {
            return Err(CommandFailed::Peer {
                code: "unreachable",
                detail: format!(
                    "there is no link with {} now, so nothing can be compared; `raccordo peer explain` says why",
                    key.short()
                ),
            });
        }
        let ledger = self.core.ledger();
        let member = ledger.roster.member(&key).ok_or(CommandFailed::NotFound {
            kind: "peer",
            id: id_prefix.to_owned(),
        })?;
        Ok(report::peer(&self.core, &ledger, member))
    }

    async fn move_peer(
        &self,
        id_prefix: &str,
        to: MemberState,
        reason: Option<&str>,
        by: &str,
    ) -> Result<PeerView, CommandFailed> {
        let key = self.peer_key(id_prefix)?;
        let command = PeerCommand::Move {
            key,
            to,
            reason: reason.map(str::to_owned),
        };
        let Done::Member(member) = self
            .hand
            .submit(Command::Peer(command, by.to_owned()))
            .await?
        else {
            return Err(CommandFailed::Stopping);
        };
        if to == MemberState::Approved {
            self.core.links.resumed(&key);
        }
        if let Some(endpoint) = self.core.endpoint() {
            match to {
                MemberState::Revoked => endpoint.close(&key, CloseReason::Revoked),
                MemberState::Suspended => endpoint.close(&key, CloseReason::Suspended),
                MemberState::Approved | MemberState::Pending => {}
            }
        }
        Ok(report::peer(&self.core, &self.core.ledger(), &member))
    }

    /// A coordination invites what lies below it, a district's node its own territory's nodes.
    fn may_invite(&self, territory: &Territory, role: Role) -> Result<(), CommandFailed> {
        let config = self.core.config();
        let own = &config.node.territory;
        let (may, detail) = match config.node.role {
            Role::Coordination => (
                territory != own && territory.is_within(own),
                format!("{territory} is not below {own}: this coordination invites {own}/… alone"),
            ),
            Role::District => (
                territory == own && role == Role::District,
                format!(
                    "a district's node invites further district nodes of its own territory {own} alone: \
                     {territory} is invited by its coordination"
                ),
            ),
        };
        if may {
            return Ok(());
        }
        Err(CommandFailed::Peer {
            code: "other_territory",
            detail,
        })
    }

    pub(super) fn peer_key(&self, id_prefix: &str) -> Result<PeerId, CommandFailed> {
        let prefix = id_prefix.to_lowercase();
        if prefix.len() < 8 {
            let detail = format!("{id_prefix} is too short: at least 8 digits of the node's id");
            return Err(CommandFailed::Malformed { detail });
        }
        let ledger = self.core.ledger();
        let mut found = ledger
            .roster
            .iter()
            .filter(|m| m.key.to_string().starts_with(&prefix));
        match (found.next(), found.next()) {
            (Some(member), None) => Ok(member.key),
            (Some(_), Some(_)) => Err(CommandFailed::Malformed {
                detail: format!("{id_prefix} names several peers: give more digits"),
            }),
            (None, _) => Err(CommandFailed::NotFound {
                kind: "peer",
                id: id_prefix.to_owned(),
            }),
        }
    }

    async fn redeem(&self, invitation: &Invitation) -> Result<JoinAccepted, CommandFailed> {
        let failed = |code, detail: String| CommandFailed::Peer { code, detail };
        let address = dial::resolve(&invitation.address).await.ok_or_else(|| {
            failed(
                "unreachable",
                format!(
                    "{} is no address that this machine can find",
                    invitation.address
                ),
            )
        })?;
        let coordination = PeerId::from_bytes(invitation.coordination);
        let one_time = NodeKey::one_time(&invitation.secret, &coordination);
        let config = self.core.config();
        let territory = config.node.territory.to_string();
        let role = roster::role_code(config.node.role);
        let key = &self.core.node_key;
        let redeemed = Endpoint::redeem(
            address,
            coordination,
            &one_time,
            key,
            &config.node.name,
            &territory,
            role,
        );
        redeemed
            .await
            .map_err(|reason| failed(dial::join_code(&reason), commit::chain(&reason)))
    }

    /// What invitations carry: the configured address, or the one bound.
    fn advertised(&self) -> String {
        let configured = self.core.config().network.advertise.clone();
        configured.unwrap_or_else(|| {
            let bound = self
                .core
                .bound
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .0
                .clone();
            match bound.parse::<SocketAddr>() {
                Ok(address) if address.ip().is_unspecified() => {
                    format!("127.0.0.1:{}", address.port())
                }
                _ => bound,
            }
        })
    }
}

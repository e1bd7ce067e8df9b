//! What a peer is sent, as an administrator sees and narrows it.
//!
//! Narrowing stops what would still be sent; what the peer holds by then it keeps, and that is shown.

use raccordo_config::Territory;
use raccordo_transport::{LogId, PeerId};

use super::between::Between;
use super::core::Core;
use super::ledger::Ledger;
use super::links::Link;
use super::peers::PeerCommand;
use super::scope::{self, Narrowed};
use super::task::Command;
use super::view::{CommandFailed, ScopeView, SharedLogView};
use super::{Engine, report};

impl Engine {
    /// What a peer is sent and what was withdrawn from it.
    pub fn peer_scope(&self, id_prefix: &str) -> Result<ScopeView, CommandFailed> {
        let key = self.peer_key(id_prefix)?;
        view(&self.core, &key)
    }

    /// Narrows what a peer is sent to authors of these territories and to these lanes (none: all).
    /// Facts about members always go.
    pub async fn narrow_peer(
        &self,
        id_prefix: &str,
        territories: Vec<Territory>,
        lanes: &[String],
    ) -> Result<ScopeView, CommandFailed> {
        let key = self.peer_key(id_prefix)?;
        let lane = |word: &String| {
            scope::lane_from_word(word).ok_or_else(|| CommandFailed::Malformed {
                detail: format!(
                    "there is no lane {word:?}: {} are known",
                    scope::LANES.map(scope::lane_word).join(", ")
                ),
            })
        };
        let to = Narrowed {
            territories: territories.iter().map(ToString::to_string).collect(),
            lanes: lanes.iter().map(lane).collect::<Result<_, _>>()?,
        };
        let command = Command::Peer(PeerCommand::Narrow { key, to });
        self.hand.submit(command).await?;
        view(&self.core, &key)
    }
}

fn view(core: &Core, key: &PeerId) -> Result<ScopeView, CommandFailed> {
    let ledger = core.ledger();
    let missing = || CommandFailed::NotFound {
        kind: "peer",
        id: key.to_string(),
    };
    let member = ledger.roster.member(key).ok_or_else(missing)?;
    let between = Between::of(core, &ledger, key).ok_or_else(missing)?;
    let link = core.links.link(key);
    let narrowed = ledger.narrowed.get(key).cloned().unwrap_or_default();
    let shown = |log, head| shared_log(core, &ledger, &link, log, head);
    let sent = between.heads().map(|head| shown(head.log, head.seq));
    let withdrawn = between.withdrawn();
    let withdrawn = withdrawn.map(|log| shown(log, ledger.end(log).seq));
    Ok(ScopeView {
        peer: report::peer(core, &ledger, member),
        territories: narrowed.territories.into_iter().collect(),
        lanes: narrowed.lanes.into_iter().map(scope::lane_word).collect(),
        sent: sent.collect(),
        withdrawn: withdrawn.collect(),
    })
}

fn shared_log(core: &Core, ledger: &Ledger, link: &Link, log: LogId, end: u64) -> SharedLogView {
    let author = ledger.roster.of_origin(log.origin);
    let (territory, name) = match author {
        Some(member) => (member.territory.clone(), member.name.clone()),
        None => (core.territory(), core.config().node.name.clone()),
    };
    SharedLogView {
        log: log.to_string(),
        lane: scope::lane_word(log.lane),
        territory,
        name,
        end,
        held: link.acked.get(&log).copied().unwrap_or(0),
    }
}

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
use super::view::{CommandFailed, PeerView};
use super::{Engine, report};

/// What a peer is sent.
#[derive(Debug, Clone)]
pub struct ScopeView {
    /// The peer.
    pub peer: PeerView,
    /// Narrowed to authors of these territories and those within them; empty: all that it may have.
    pub territories: Vec<String>,
    /// Narrowed to these lanes; empty: all that it may have.
    pub lanes: Vec<&'static str>,
    /// Logs that go to it.
    pub sent: Vec<SharedLogView>,
    /// Logs that it may have and an administrator withdrew.
    pub withdrawn: Vec<SharedLogView>,
    /// Logs held here that the peer's administrator withdrew from this node.
    pub ended: Vec<SharedLogView>,
}

/// One log towards a peer.
#[derive(Debug, Clone)]
pub struct SharedLogView {
    /// Origin and lane.
    pub log: String,
    /// `shared`, `territory`, `everyone`, or `pair` for one other territory.
    pub lane: &'static str,
    /// Its author's territory.
    pub territory: String,
    /// Its author's name.
    pub name: String,
    /// Number of the last entry that may go.
    pub end: u64,
    /// Number of the last entry that the peer is known to hold.
    pub held: u64,
}

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
        by: &str,
    ) -> Result<ScopeView, CommandFailed> {
        let key = self.peer_key(id_prefix)?;
        let lane = |word: &String| {
            scope::lane_from_word(word).ok_or_else(|| CommandFailed::Malformed {
                detail: format!(
                    "there is no lane {word:?}: {} are known",
                    scope::lane_words().join(", ")
                ),
            })
        };
        let to = Narrowed {
            territories: territories.iter().map(ToString::to_string).collect(),
            lanes: lanes.iter().map(lane).collect::<Result<_, _>>()?,
        };
        let command = Command::Peer(PeerCommand::Narrow { key, to }, by.to_owned());
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
        ended: between
            .ended()
            .map(|log| shown(log, ledger.end(log).seq))
            .collect(),
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

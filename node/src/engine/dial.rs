//! Keeps the links with where this node joined: dials, waits, dials again, until the node ends.
//!
//! The first try comes within a second, later ones back off with jitter; a link that held for a
//! while starts over. What happened is on the link board; nothing is decided here.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use raccordo_transport::{CloseReason, Endpoint, Host, JoinFailed, JoinRefused, PeerId, backoff};

use tokio::task::JoinSet;

use crate::clock::draw;

use super::core::Core;
use super::host::NodeHost;
use super::peers::refusal_code;
use super::view::MemberState;

/// A link that held this long was a good one: the next failure is the first again.
const HELD_MS: u64 = 5_000;

/// Keeps the links with all nodes where this one joined; ends with the task.
pub(crate) async fn keep(endpoint: Endpoint, host: Arc<NodeHost>) {
    let core = Arc::clone(&host.core);
    let mut ticks = core.ticks.subscribe();
    let mut dialled = BTreeSet::new();
    let mut links = JoinSet::new();
    loop {
        for (peer, _) in upstream(&core) {
            if dialled.insert(peer) {
                links.spawn(keep_one(endpoint.clone(), Arc::clone(&host), peer));
            }
        }
        if ticks.changed().await.is_err() {
            return;
        }
    }
}

/// Dials one node for ever, while it is approved.
async fn keep_one(endpoint: Endpoint, host: Arc<NodeHost>, peer: PeerId) {
    let core = Arc::clone(&host.core);
    let mut ticks = core.ticks.subscribe();
    let mut failures = 0;
    loop {
        let address = upstream(&core).find_map(|(key, address)| (key == peer).then_some(address));
        let Some(address) = address else {
            if ticks.changed().await.is_err() {
                return;
            }
            continue;
        };
        let started_ms = core.clock.monotonic_millis();
        core.links.next_try(&peer, None);
        let reason = attempt(&endpoint, &host, peer, &address).await;
        let held = core.clock.monotonic_millis().saturating_sub(started_ms) >= HELD_MS
            && was_connected(&reason);
        failures = if held { 0 } else { failures + 1 };
        tracing::info!(peer = %peer.short(), failures, %reason, "no link with the node above");
        core.links.failed(&peer, core.clock.unix_millis(), reason);
        let jitter = u64::from_be_bytes(draw(&*core.entropy));
        let wait_ms = backoff::next_delay_ms(failures, jitter);
        core.links.next_try(
            &peer,
            Some(core.clock.unix_millis() + i64::try_from(wait_ms).unwrap_or(i64::MAX)),
        );
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
    }
}

/// The first address that a `host:port` stands for.
pub(crate) async fn resolve(address: &str) -> Option<SocketAddr> {
    tokio::net::lookup_host(address).await.ok()?.next()
}

/// The stable code of a failed join.
pub(crate) fn join_code(failed: &JoinFailed) -> &'static str {
    match failed {
        JoinFailed::Refused(JoinRefused::Failed) => "join_failed",
        JoinFailed::Refused(refused) => refusal_code(*refused),
        JoinFailed::NotAdmitted { .. } => "invitation_refused",
        JoinFailed::Version => "other_version",
        JoinFailed::Protocol { .. } => "protocol_broken",
        JoinFailed::Unreachable { .. } | JoinFailed::Bind(_) => "unreachable",
    }
}

async fn attempt(
    endpoint: &Endpoint,
    host: &Arc<NodeHost>,
    peer: PeerId,
    address: &str,
) -> CloseReason {
    match resolve(address).await {
        Some(resolved) => {
            endpoint
                .dial(resolved, peer, Arc::clone(host) as Arc<dyn Host>)
                .await
        }
        None => CloseReason::Unreachable {
            detail: format!("{address} is no address that this machine can find"),
        },
    }
}

fn was_connected(reason: &CloseReason) -> bool {
    !matches!(
        reason,
        CloseReason::Refused { .. } | CloseReason::Version { .. }
    )
}

/// Whom to dial, and where.
pub(crate) fn upstream(core: &Core) -> impl Iterator<Item = (PeerId, String)> {
    let ledger = core.ledger();
    let sponsors = ledger.roster.sponsors().filter_map(|(member, address)| {
        let address = address.filter(|_| member.state != MemberState::Revoked)?;
        Some((member.key, address.to_owned()))
    });
    sponsors.collect::<Vec<_>>().into_iter()
}

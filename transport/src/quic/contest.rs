//! Two nodes that dial each other at the same time keep one connection, and the same one.
//!
//! Guarantees: the connection that the smaller key dialled stays; only the node with that key closes one,
//! so never both go. Rules only over connections of different directions and nearly the same age; of
//! others the newest wins.

use std::sync::Arc;
use std::time::Duration;

use quinn::Connection;
use tokio::time::sleep;

use super::driver::reason_of_loss;
use super::registry::{Live, Registry};
use crate::identity::PeerId;
use crate::link::{CloseReason, Versions};

/// Connections that are no further apart were dialled without knowing of each other.
const SIMULTANEOUS: Duration = Duration::from_secs(10);

/// How long the node that does not decide waits for the other to do so.
const DECISION_MAX: Duration = Duration::from_secs(5);

/// A connection that has just been made.
#[derive(Debug)]
pub(super) struct Newcomer<'a> {
    pub(super) own: &'a PeerId,
    pub(super) peer: &'a PeerId,
    pub(super) connection: &'a Connection,
    pub(super) outgoing: bool,
}

impl Newcomer<'_> {
    /// Whether it may take its place now, after waiting if it is for the peer to say; why not, if not.
    pub(super) async fn prevail(
        &self,
        registry: &Registry,
        versions: Versions,
    ) -> Result<(), CloseReason> {
        let Some(rival) = self.rival(registry) else {
            return Ok(());
        };
        if self.own.as_bytes() < self.peer.as_bytes() {
            return if self.outgoing {
                Ok(())
            } else {
                Err(CloseReason::Replaced)
            };
        }
        tokio::select! {
            () = rival.ended() => Ok(()),
            lost = self.connection.closed() => Err(reason_of_loss(&lost, versions)),
            () = sleep(DECISION_MAX) => Ok(()),
        }
    }

    fn rival(&self, registry: &Registry) -> Option<Arc<Live>> {
        registry.find(self.peer).filter(|live| {
            live.outgoing != self.outgoing
                && live.since.elapsed() < SIMULTANEOUS
                && live.closing().is_none()
        })
    }
}

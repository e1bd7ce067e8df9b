//! Where this node stands towards one peer: what it offers, what it holds of what the peer may offer.
//!
//! Both sides ask the same question (`scope::offered`) of the same facts, so both sum their
//! digests over the same documents. From memory, of one instant. Does not know links.

use std::collections::BTreeSet;
use std::sync::Arc;

use raccordo_config::Role;
use raccordo_transport::{Cursor, LogId, Offer, PeerId, Positions};

use super::core::Core;
use super::ledger::Ledger;
use super::overview;
use super::roster::PINNED;
use super::scope::{self, Party, Placed};

/// How many unbegun lanes for one territory each are compared with what a peer holds.
const PAIRS_COMPARED: usize = 16;

/// This node and one peer, at one instant.
#[derive(Debug)]
pub(crate) struct Between<'a> {
    ledger: &'a Ledger,
    own: Party,
    peer: Party,
    /// What the peer does not offer any more.
    ended: Arc<BTreeSet<LogId>>,
}

impl<'a> Between<'a> {
    /// This node and a member; none if the key is no member's.
    pub(crate) fn of(core: &Core, ledger: &'a Ledger, peer_key: &PeerId) -> Option<Self> {
        let peer = Party::from(ledger.roster.member(peer_key)?);
        Some(Self {
            ledger,
            own: core.party(),
            peer,
            ended: core.links.withdrawn(peer_key),
        })
    }

    /// Whether a log goes to the peer.
    pub(crate) fn offers(&self, log: LogId) -> bool {
        self.author(log).is_some_and(|author| {
            scope::offered(&self.peer, author, log.lane, self.with(log))
                && self.leaves(author, log)
                && self.flows(author.key(), true)
        })
    }

    /// Whether the peer may offer a log to this node.
    pub(crate) fn takes(&self, log: LogId) -> bool {
        self.author(log).is_some_and(|author| {
            scope::offered(&self.own, author, log.lane, self.with(log))
                && self.leaves(author, log)
                && self.flows(author.key(), false)
        })
    }

    /// The ends of the logs that go to the peer.
    pub(crate) fn heads(&self) -> impl Iterator<Item = Cursor> + '_ {
        let offered = self.logs().filter(|log| self.offers(*log));
        offered
            .map(|log| self.head(log))
            .filter(|head| head.seq > 0)
    }

    /// All of it, as links are told.
    pub(crate) fn positions(&self) -> Positions {
        let held = self.logs().filter(|log| self.takes(*log));
        let offer = |head: Cursor| Offer {
            head,
            after: self.after(head.log),
        };
        Positions {
            held: held.map(|log| self.ledger.cursor(log)).collect(),
            offers: self.heads().chain(self.unwritten()).map(offer).collect(),
            digest: self.digest(),
            ..Positions::default()
        }
    }

    /// The own logs that would go to the peer and in which nothing stands: a peer that holds some
    /// of one shows by that that it was lost here.
    fn unwritten(&self) -> impl Iterator<Item = Cursor> + '_ {
        let origin = self.own.key.origin();
        let unbegun = move |lane: &u8| self.ledger.end(LogId::new(origin, *lane)).seq == 0;
        // Lanes for one territory are begun in their order, so the first few tell.
        let pairs = scope::PAIR_LANES
            .filter(unbegun)
            .take(PAIRS_COMPARED)
            .filter(|_| self.own.role == Role::District);
        let own = scope::LANES.into_iter().filter(unbegun).chain(pairs);
        own.map(move |lane| LogId::new(origin, lane))
            .filter(|log| self.offers(*log))
            .map(Cursor::start)
    }

    /// The territory that a log is for, where it is for one.
    fn with(&self, log: LogId) -> Option<&str> {
        self.ledger.pairs.get(&log).map(String::as_str)
    }

    /// Logs that the scope would leave to the peer and an administrator withdrew.
    pub(crate) fn withdrawn(&self) -> impl Iterator<Item = LogId> + '_ {
        self.logs().filter(|log| {
            self.author(*log).is_some_and(|author| {
                scope::offered(&self.peer, author, log.lane, self.with(*log))
                    && !self.leaves(author, *log)
                    && self.flows(author.key(), true)
            })
        })
    }

    /// Logs of others flow along the links by which their authors became members: a log comes from
    /// its author's side and goes to the other side. Both ways go only those of authors that were
    /// taken in on both sides.
    fn flows(&self, author: PeerId, sending: bool) -> bool {
        if author == self.own.key || author == self.peer.key {
            return true;
        }
        let roster = &self.ledger.roster;
        let peer_is_above = roster.fact(&self.peer.key, PINNED).is_some();
        let lower = if peer_is_above {
            &self.own.key
        } else {
            &self.peer.key
        };
        if peer_is_above == sending {
            roster.came_through(&author, lower)
        } else {
            roster.comes_without(&author, lower)
        }
    }

    fn logs(&self) -> impl Iterator<Item = LogId> + '_ {
        let held = self.ledger.logs.iter().filter(|(_, end)| end.seq > 0);
        held.map(|(log, _)| *log)
    }

    fn author(&self, log: LogId) -> Option<&dyn Placed> {
        if log.origin == self.own.key.origin() {
            return Some(&self.own);
        }
        let member = self.ledger.roster.of_origin(log.origin)?;
        Some(member)
    }

    /// A log withdrawn from a peer is not compared with it either: it may hold any part of it.
    fn leaves(&self, author: &dyn Placed, log: LogId) -> bool {
        author.key() == self.peer.key
            || self
                .ledger
                .narrowed
                .get(&self.peer.key)
                .is_none_or(|narrowed| narrowed.leaves(&self.own, author, log.lane))
    }

    /// The end of a log here; of a revoked author's not beyond where it ends for everybody.
    fn head(&self, log: LogId) -> Cursor {
        let cut = self.ledger.cut.get(&log);
        cut.map_or_else(
            || self.ledger.cursor(log),
            |end| Cursor {
                log,
                seq: end.seq,
                hash: end.hash,
            },
        )
    }

    /// The entry that the peer must hold before it can know the log's author.
    fn after(&self, log: LogId) -> Option<(LogId, u64)> {
        if log.origin == self.own.key.origin() {
            return None;
        }
        let author = self.ledger.roster.of_origin(log.origin)?;
        let introduced = self.ledger.roster.introduced(&author.key);
        introduced.filter(|(facts, _)| facts.origin != self.peer.key.origin())
    }

    /// Whether the documents created in a log are shared: one of the two may offer it to the other,
    /// neither withdrew it, and some of it is left to offer where its author was revoked.
    pub(crate) fn shares(&self, home: LogId) -> bool {
        let cut = self.ledger.cut.get(&home);
        cut.is_none_or(|end| end.seq > 0)
            && (self.offers(home) || (self.takes(home) && !self.ended.contains(&home)))
    }

    /// Logs held here that the peer does not offer any more.
    pub(crate) fn ended(&self) -> impl Iterator<Item = LogId> + '_ {
        self.ended.iter().copied()
    }

    /// Digest over the documents that the two share.
    fn digest(&self) -> [u8; 32] {
        let shared = self.ledger.homes.iter();
        let shared = shared.filter(|(home, _)| self.shares(**home));
        overview::sum_of(shared.map(|(_, digest)| digest)).finish()
    }
}

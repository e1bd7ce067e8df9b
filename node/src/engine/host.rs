//! The node as its links see it: who is who, what is held, where entries go.
//!
//! Answers from the published state, so a link never hears of what is not on disk.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use raccordo_crdt_model::{ChangeHash, gate};
use raccordo_transport::reconcile::Item;
use raccordo_transport::wire::parcel::DocumentParcel;
use raccordo_transport::{
    CloseReason, Cursor, EntryKind, Host, HostFailed, JoinAccepted, JoinRefused, JoinRequest,
    LinkEvent, LocalHello, LogId, PeerId, Pins, Positions, RemoteHello, Seen, SignedEntry,
    Standing, StopCode, Stopped, VerifiedEntry,
};

use tokio::sync::oneshot;

use super::Hand;
use super::between::Between;
use super::clones::Verdict;
use super::commit;
use super::core::Core;
use super::equivocation::Evidence;
use super::inbox::{Delivery, Inbox, Put};
use super::ledger::Ledger;
use super::links::Kept;
use super::peers::{self, PeerCommand};
use super::quarantine;
use super::recovery;
use super::repair::{self, RepairCommand};
use super::report;
use super::roster::role_code;
use super::scope;
use super::stored::Reading;
use super::task::{Command, Done, Note, Returned, Signal};
use super::view::{CommandFailed, Event};

/// The links' view of the node.
#[derive(Debug, Clone)]
pub(crate) struct NodeHost {
    pub(crate) core: Arc<Core>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) hand: Hand,
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Pins for NodeHost {
    fn admits(&self, key: &PeerId) -> bool {
        let ledger = self.core.ledger();
        let member = matches!(
            self.core_standing(&ledger, key),
            Standing::Pending | Standing::Approved | Standing::Suspended
        );
        let now_ms = self.core.clock.unix_millis();
        member
            || ledger
                .invitations
                .get(key)
                .is_some_and(|invitation| invitation.expires_ms > now_ms)
    }
}

impl Host for NodeHost {
    fn standing(&self, peer: &PeerId) -> Standing {
        self.core_standing(&self.core.ledger(), peer)
    }

    fn local_hello(&self) -> LocalHello {
        LocalHello {
            lineage: self.core.lineage,
            incarnation: self.core.incarnation(),
            role: role_code(self.core.config().node.role),
            clock_ms: u64::try_from(self.core.clock.unix_millis()).unwrap_or_default(),
            policy_epoch: self.core.ledger().totals.policy_epoch,
        }
    }

    fn turns_away(&self, peer: &PeerId, hello: &RemoteHello) -> Option<CloseReason> {
        let now_ms = self.core.clock.unix_millis();
        let verdict = self.core.clones.judge(peer, hello.incarnation, now_ms);
        if verdict != Verdict::Welcome {
            self.hand.signal(Signal::Note(Note::Starts { peer: *peer }));
        }
        (verdict == Verdict::KeptOut).then_some(CloseReason::Cloned)
    }

    fn positions(&self, peer: &PeerId) -> Positions {
        let ledger = self.core.ledger();
        match Between::of(&self.core, &ledger, peer) {
            Some(between) => {
                let mut positions = between.positions();
                positions.stopped = self.stopped(&ledger, &between, &positions.held);
                positions.recover = recovery::recover(&ledger, peer);
                positions.seen = self.core.seen.to_tell(peer);
                positions.wanted = repair::wanted(&ledger, &between);
                positions
            }
            None => Positions::default(),
        }
    }

    fn ticks(&self) -> tokio::sync::watch::Receiver<u64> {
        self.core.ticks.subscribe()
    }

    fn read(
        &self,
        peer: &PeerId,
        log: LogId,
        after: u64,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<Vec<SignedEntry>, HostFailed> {
        let ledger = self.core.ledger();
        let between = Between::of(&self.core, &ledger, peer);
        // A peer that lost the end of its own log asks for it back.
        let returned = log.origin == peer.origin();
        if !between.is_some_and(|between| returned || between.offers(log)) {
            let peer = peer.short();
            return Err(HostFailed::new(format!(
                "log {log} is not offered to {peer}"
            )));
        }
        let mut reading = Reading::new(&self.core);
        let read = reading.entries(log, after, max_entries, max_bytes);
        read.map_err(|failed| {
            tracing::error!(error = %commit::chain(&failed), "entries could not be read");
            HostFailed::new(commit::chain(&failed))
        })
    }

    fn deliver(
        &self,
        peer: PeerId,
        entries: Vec<VerifiedEntry>,
    ) -> Boxed<'_, Result<(), HostFailed>> {
        Box::pin(async move {
            let Some(first) = entries.first() else {
                return Ok(());
            };
            let log = first.header.log();
            let ledger = self.core.ledger();
            if log.origin == self.core.id.origin() {
                return self.take_back(peer, entries).await;
            }
            // What was on its way when the log stopped is asked for again once it goes on.
            if quarantine::stop_of(&ledger, log).is_some() {
                return Ok(());
            }
            let entries: Vec<_> = entries.into_iter().map(as_signed).collect();
            self.compare_repeats(peer, ledger.end(log).seq, &entries);
            let now_ms = self.core.clock.monotonic_millis();
            let delivery = Delivery { log, peer, entries };
            let put = self.inbox.put(delivery, ledger.end(log).seq, now_ms).await;
            self.hand.signal(Signal::Entries);
            self.told(log, put);
            Ok(())
        })
    }

    fn author_key(&self, origin: &[u8; 8]) -> Option<PeerId> {
        if *origin == self.core.id.origin() {
            return Some(self.core.id);
        }
        self.core
            .ledger()
            .roster
            .of_origin(*origin)
            .map(|member| member.key)
    }

    fn items(&self, peer: &PeerId) -> Result<Vec<Item>, HostFailed> {
        repair::items(&self.core, peer).map_err(|failed| HostFailed::new(commit::chain(&failed)))
    }

    fn parcels(&self, peer: &PeerId, ids: &[[u8; 16]]) -> Result<Vec<DocumentParcel>, HostFailed> {
        Ok(repair::parcels(&self.core, peer, ids))
    }

    fn install(
        &self,
        peer: PeerId,
        parcels: Vec<DocumentParcel>,
    ) -> Boxed<'_, Result<(), HostFailed>> {
        Box::pin(async move {
            let command = Command::Repair(RepairCommand::Install(peer, parcels));
            let done = self.hand.submit(command).await;
            done.map(|_| ())
                .map_err(|failed| HostFailed::new(failed.to_string()))
        })
    }

    fn seen(&self, peer: PeerId, seen: Vec<Seen>) -> Boxed<'_, Result<(), HostFailed>> {
        Box::pin(async move {
            let done = self.hand.submit(Command::Seen { peer, seen }).await;
            done.map(|_| ())
                .map_err(|failed| HostFailed::new(failed.to_string()))
        })
    }

    fn proof_interval(&self) -> Duration {
        Duration::from_secs(self.core.config().replication.proof_every_s.into())
    }

    fn event(&self, peer: &PeerId, event: LinkEvent) {
        let now_ms = self.core.clock.unix_millis();
        if let LinkEvent::Evidence { signed } = &event {
            let signed = signed.clone();
            let peer = *peer;
            self.hand
                .signal(Signal::Evidence(Evidence { peer, signed }));
        }
        if let LinkEvent::RolledBack(rollback) = &event {
            let (peer, rollback) = (*peer, *rollback);
            self.hand.signal(Signal::RolledBack { peer, rollback });
        }
        let compared = matches!(event, LinkEvent::Compared { .. });
        if let LinkEvent::SeenTold { seen } = &event {
            for seen in seen {
                let (peer, seen) = (*peer, *seen);
                self.hand
                    .signal(Signal::Note(Note::SeenTold { peer, seen }));
            }
        }
        self.hear_of_clones(peer, now_ms, &event);
        let visible = !matches!(
            event,
            LinkEvent::Contact { .. } | LinkEvent::Stats(_) | LinkEvent::SeenTold { .. }
        );
        match self.core.links.hear(peer, now_ms, event) {
            Kept::Nothing => {}
            Kept::Contact => self.hand.signal(Signal::Note(Note::Contact {
                peer: *peer,
                at_ms: now_ms,
            })),
            Kept::Acknowledged(cursors) => {
                for cursor in cursors {
                    self.acknowledged(peer, cursor, now_ms);
                }
            }
            Kept::Withdrawn => self.core.ticks.send_modify(|tick| *tick += 1),
        }
        if compared {
            self.hand.signal(Signal::Look);
        }
        if visible {
            let state = report::peer_state(&self.core, peer);
            let territory = self
                .core
                .ledger()
                .roster
                .member(peer)
                .map_or(String::new(), |m| m.territory.clone());
            commit::announce(
                &self.core,
                Event::Peer {
                    id: peer.to_string(),
                    territory,
                    state,
                },
            );
        }
    }

    fn join(
        &self,
        one_time: PeerId,
        request: JoinRequest,
    ) -> Boxed<'_, Result<JoinAccepted, JoinRefused>> {
        Box::pin(async move {
            let config = self.core.config();
            let real = request.real;
            let command =
                Command::Peer(PeerCommand::Redeem { one_time, request }, "peer".to_owned());
            match self.hand.submit(command).await {
                Ok(Done::Member(_)) => Ok(JoinAccepted {
                    name: config.node.name.clone(),
                    territory: config.node.territory.to_string(),
                    standing: self.standing(&real),
                }),
                Err(CommandFailed::Peer { code, .. }) => Err(peers::refusal_of(code)),
                Ok(_) | Err(_) => Err(JoinRefused::Failed),
            }
        })
    }
}

impl NodeHost {
    fn core_standing(&self, ledger: &Ledger, peer: &PeerId) -> Standing {
        let refused = &self.core.config().peers.refuse;
        if refused.iter().any(|key| key.as_bytes() == peer.as_bytes()) {
            return Standing::Revoked;
        }
        // The roster names every member to every node; that makes nobody a peer but those who
        // joined here, and where this node joined.
        if !ledger.roster.is_peer(peer) {
            return Standing::Unknown;
        }
        ledger.roster.standing(peer)
    }

    /// Two nodes with one key: the peer's, or this one's.
    fn hear_of_clones(&self, peer: &PeerId, now_ms: i64, event: &LinkEvent) {
        match event {
            LinkEvent::Cloned { incarnation } => {
                self.core.clones.contend(peer, *incarnation, now_ms);
                self.hand.signal(Signal::Note(Note::Starts { peer: *peer }));
            }
            LinkEvent::Closed {
                reason: CloseReason::Cloned,
            } if !self.core.clones.was_sent_away(peer) => {
                let (peer, is) = (*peer, true);
                self.hand.signal(Signal::KeptOut { peer, is });
            }
            // A link that has held until its first ping is no mistake.
            LinkEvent::Stats(_) if self.core.links.link(peer).connected => {
                let (peer, is) = (*peer, false);
                if self.core.ledger().kept_out.contains(&peer) {
                    self.hand.signal(Signal::KeptOut { peer, is });
                }
            }
            _ => {}
        }
    }

    /// Takes back entries of an own log that were lost here.
    async fn take_back(&self, peer: PeerId, entries: Vec<VerifiedEntry>) -> Result<(), HostFailed> {
        let entries: Vec<_> = entries.into_iter().map(as_signed).collect();
        let (reply, answer) = oneshot::channel();
        self.hand
            .signal(Signal::Returned(Returned { entries, reply }));
        let ending = |_| HostFailed::new("the node is stopping");
        let entries = answer.await.map_err(ending)?;
        let Some(log) = entries.first().map(|entry| entry.header.log()) else {
            return Ok(());
        };
        let now_ms = self.core.clock.monotonic_millis();
        let held = self.core.ledger().end(log).seq;
        let delivery = Delivery { log, peer, entries };
        let put = self.inbox.put(delivery, held, now_ms).await;
        self.hand.signal(Signal::Entries);
        self.told(log, put);
        Ok(())
    }

    /// Lets the links tell that a log stopped, if the delivery came to that.
    fn told(&self, log: LogId, put: Put) {
        if put == Put::Gap {
            tracing::info!(%log, "entries were dropped here and are asked for again");
        }
        if put != Put::Queued {
            self.core.ticks.send_modify(|tick| *tick += 1);
        }
    }

    /// Logs of the peer's offer of which no more is taken now, also those of which nothing is held.
    fn stopped(&self, ledger: &Ledger, between: &Between<'_>, held: &[Cursor]) -> Vec<Stopped> {
        let full = self.inbox.full();
        let known: BTreeSet<LogId> = held.iter().map(|cursor| cursor.log).collect();
        let named = ledger.stopped.keys().chain(full.iter().map(|(log, _)| log));
        let unbegun: BTreeSet<LogId> = named
            .flat_map(|log| scope::LANES.map(|lane| LogId::new(log.origin, lane)))
            .filter(|log| !known.contains(log) && between.takes(*log))
            .collect();
        let held: Vec<Cursor> = held
            .iter()
            .copied()
            .chain(unbegun.into_iter().map(Cursor::start))
            .collect();
        let mut stopped = quarantine::stopped(ledger, &held);
        for (log, detail) in full {
            let cursor = held.iter().find(|cursor| cursor.log == log);
            if let Some(cursor) = cursor.filter(|_| !stopped.iter().any(|s| s.cursor.log == log)) {
                stopped.push(Stopped {
                    cursor: *cursor,
                    code: StopCode::Waiting,
                    detail: quarantine::within(&detail, 200).to_owned(),
                });
            }
        }
        stopped
    }

    /// Entries that are held already are no news, unless they differ from what is held.
    fn compare_repeats(&self, peer: PeerId, held: u64, entries: &[SignedEntry]) {
        let repeats = entries.iter().take_while(|entry| entry.header.seq <= held);
        for entry in repeats {
            let signed = Box::new(entry.signed_header());
            self.hand
                .signal(Signal::Evidence(Evidence { peer, signed }));
        }
    }

    fn acknowledged(&self, peer: &PeerId, cursor: Cursor, at_ms: i64) {
        if cursor.log.origin == self.core.id.origin() {
            let end = self.core.ledger().end(cursor.log);
            let to_send = end.seq.saturating_sub(cursor.seq);
            let event = Event::Delivery {
                peer: peer.to_string(),
                acked_seq: cursor.seq,
                to_send,
            };
            commit::announce(&self.core, event);
        }
        self.hand.signal(Signal::Note(Note::Acknowledged {
            peer: *peer,
            cursor,
            at_ms,
        }));
    }
}

/// An entry as its author had it: what no signature covers, a relay may have altered.
fn as_signed(entry: VerifiedEntry) -> SignedEntry {
    let mut entry = entry.into_inner();
    if let (EntryKind::Change, Some(body)) = (entry.header.kind, &mut entry.body) {
        gate::put_preamble(body, &ChangeHash::from_bytes(entry.header.body_hash));
    }
    entry
}

//! The node as its links see it: who is who, what is held, where entries go.
//!
//! Answers from the published state, so a link never hears of what is not on disk.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use raccordo_config::Role;
use raccordo_transport::{
    Cursor, EntryHeader, Host, HostFailed, JoinAccepted, JoinRefused, JoinRequest, LinkEvent,
    LocalHello, LogId, Offer, PeerId, Pins, Positions, SignedEntry, SignedHeader, Standing,
    VerifiedEntry,
};

use crate::store::Table;

use super::Hand;
use super::commit;
use super::core::{Core, LANE_SHARED, ReadFailed};
use super::inbox::Inbox;
use super::ledger::Ledger;
use super::links::Kept;
use super::peers::{self, PeerCommand};
use super::report;
use super::roster::role_code;
use super::rows::{self, BodyPlace, ChangeRow, EntryRow};
use super::task::{Command, Done, Note, Signal};
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
            incarnation: self.core.incarnation,
            role: role_code(self.core.config().node.role),
            clock_ms: u64::try_from(self.core.clock.unix_millis()).unwrap_or_default(),
            policy_epoch: self.core.ledger().totals.policy_epoch,
        }
    }

    fn positions(&self, peer: &PeerId) -> Positions {
        let ledger = self.core.ledger();
        let own = self.core.own_log(LANE_SHARED);
        let theirs = LogId {
            origin: peer.origin(),
            lane: LANE_SHARED,
        };
        Positions {
            held: vec![ledger.cursor(theirs)],
            offers: vec![Offer {
                head: ledger.cursor(own),
                after: None,
            }],
            digest: self.shared_digest(&ledger, peer),
            ..Positions::default()
        }
    }

    fn ticks(&self) -> tokio::sync::watch::Receiver<u64> {
        self.core.ticks.subscribe()
    }

    fn read(
        &self,
        _peer: &PeerId,
        log: LogId,
        after: u64,
        max_entries: usize,
        max_bytes: usize,
    ) -> Result<Vec<SignedEntry>, HostFailed> {
        if log != self.core.own_log(LANE_SHARED) {
            return Err(HostFailed::new(format!("log {log} is not offered")));
        }
        read_entries(&self.core, log, after, max_entries, max_bytes).map_err(|failed| {
            tracing::error!(error = %commit::chain(&failed), "entries could not be read");
            HostFailed::new(commit::chain(&failed))
        })
    }

    fn deliver(
        &self,
        _peer: PeerId,
        entries: Vec<VerifiedEntry>,
    ) -> Boxed<'_, Result<(), HostFailed>> {
        Box::pin(async move {
            let Some(first) = entries.first() else {
                return Ok(());
            };
            let log = first.header.log();
            let ledger = self.core.ledger();
            if let Some(reason) = ledger.quarantined.get(&log) {
                return Err(HostFailed::new(format!(
                    "the log is stopped here: {reason}"
                )));
            }
            let entries = entries.into_iter().map(VerifiedEntry::into_inner).collect();
            let now_ms = self.core.clock.monotonic_millis();
            let follows = self
                .inbox
                .put(log, ledger.end(log).seq, entries, now_ms)
                .await;
            self.hand.signal(Signal::Entries);
            if follows {
                Ok(())
            } else {
                Err(HostFailed::new(
                    "entries were dropped here: send them again",
                ))
            }
        })
    }

    fn author_key(&self, origin: &[u8; 8]) -> Option<PeerId> {
        self.core
            .ledger()
            .roster
            .of_origin(*origin)
            .map(|member| member.key)
    }

    fn event(&self, peer: &PeerId, event: LinkEvent) {
        let now_ms = self.core.clock.unix_millis();
        let visible = !matches!(event, LinkEvent::Contact { .. } | LinkEvent::Stats(_));
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
            if config.node.role != Role::Coordination {
                return Err(JoinRefused::NotCoordination);
            }
            let real = request.real;
            let command = Command::Peer(PeerCommand::Redeem { one_time, request });
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
        // The roster names every member to every node; that makes nobody a peer of a district
        // but its coordination.
        let member = ledger.roster.member(peer);
        if member.is_some_and(|member| !report::concerns(&self.core, member)) {
            return Standing::Unknown;
        }
        ledger.roster.standing(peer)
    }

    /// Digest of what the two share: the documents that the district's node of the two created.
    fn shared_digest(&self, ledger: &Ledger, peer: &PeerId) -> [u8; 32] {
        let member = ledger.roster.member(peer);
        let district = member
            .filter(|m| m.role == Role::District)
            .map_or(self.core.id, |m| m.key);
        ledger
            .origins
            .get(&district.origin())
            .copied()
            .unwrap_or_default()
            .finish()
    }

    fn acknowledged(&self, peer: &PeerId, cursor: Cursor, at_ms: i64) {
        let own = self.core.own_log(LANE_SHARED);
        if cursor.log == own {
            let to_send = self.core.ledger().end(own).seq.saturating_sub(cursor.seq);
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

/// Entries of a log after a number, with their bodies, as they were signed.
pub(crate) fn read_entries(
    core: &Core,
    log: LogId,
    after: u64,
    max_entries: usize,
    max_bytes: usize,
) -> Result<Vec<SignedEntry>, ReadFailed> {
    let from = rows::entry_key(log, after);
    let page = core.store.scan(
        Table::Entries,
        &rows::log_key(log),
        Some(&from),
        max_entries,
    )?;
    let mut entries = Vec::with_capacity(page.len());
    let mut bytes = 0;
    for (_, value) in page {
        let entry = open_entry(core, &EntryRow::decode(&value)?)?;
        bytes += entry.bytes().len();
        if bytes > max_bytes && !entries.is_empty() {
            break;
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// The signed header of a stored entry.
pub(crate) fn signed_header(row: &EntryRow) -> Result<SignedHeader, ReadFailed> {
    let bad = super::fields::BadRow {
        row: "entry",
        at: 0,
    };
    let (header, signature) = row.signed_header.split_first_chunk().ok_or(bad.clone())?;
    let header = EntryHeader::from_bytes(header).ok_or(bad.clone())?;
    let signature = signature.try_into().map_err(|_| bad)?;
    Ok(SignedHeader { header, signature })
}

fn open_entry(core: &Core, row: &EntryRow) -> Result<SignedEntry, ReadFailed> {
    let signed = signed_header(row)?;
    let body = match &row.body {
        BodyPlace::Here(body) => body.clone(),
        BodyPlace::Change(number) => {
            let id = raccordo_crdt_model::DocumentId::from_bytes(signed.header.document);
            let stored = core
                .store
                .get(Table::Changes, &rows::change_key(id, *number))?;
            let stored = stored.ok_or(super::fields::BadRow {
                row: "change",
                at: 0,
            })?;
            Core::unseal(id, &core.document_key(id)?, &ChangeRow::decode(&stored)?)?
        }
    };
    Ok(signed.with_body(body))
}

//! What is known of the link with each peer, and the words for it.
//!
//! From the transport's events alone; in memory, except the last contact, which the writer keeps.
//! Does not dial (`dial.rs`) and does not know records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raccordo_crdt_model::UnixMillis;
use raccordo_transport::{
    CloseReason, Cursor, LinkEvent, LinkStatistics, LogId, PeerId, RemoteHello, Rollback, Side,
    Standing, Stopped,
};

/// All links, by peer.
#[derive(Debug, Default)]
pub(crate) struct LinkBoard {
    links: Mutex<BTreeMap<PeerId, Link>>,
}

/// What is known of one link.
#[derive(Debug, Clone, Default)]
pub(crate) struct Link {
    pub(crate) connected: bool,
    /// How the peer regards us.
    pub(crate) regarded: Option<Standing>,
    /// The start that the peer named.
    pub(crate) incarnation: Option<[u8; 8]>,
    pub(crate) since_ms: Option<i64>,
    pub(crate) last_contact_ms: Option<i64>,
    /// Ends of the logs that the peer offers.
    pub(crate) announced: BTreeMap<LogId, u64>,
    /// Up to where the peer holds our logs durably.
    pub(crate) acked: BTreeMap<LogId, u64>,
    pub(crate) acked_at_ms: Option<i64>,
    /// Logs held here that the peer does not offer any more.
    pub(crate) withdrawn: Arc<BTreeSet<LogId>>,
    pub(crate) statistics: LinkStatistics,
    /// Our logs of which the peer takes no more now, as it told.
    pub(crate) refused: BTreeMap<LogId, Stopped>,
    /// What the peer lost of its own log and this node holds.
    pub(crate) lost: Option<Rollback>,
    pub(crate) equal: Option<bool>,
    /// The last comparison of all shared documents, whenever it was.
    pub(crate) proof: Option<Proof>,
    /// Documents that came whole from the peer since the start.
    pub(crate) repaired: usize,
    /// What the peer said was opened there and cannot have been, since the start.
    pub(crate) seen_ignored: u64,
    pub(crate) clock_offset_ms: Option<i64>,
    /// Why the last connection ended or was not made.
    pub(crate) ended: Option<CloseReason>,
    /// The peer ended our membership, and nothing since said otherwise.
    pub(crate) revoked: bool,
    pub(crate) next_try_ms: Option<i64>,
    /// Last contact that was worth keeping on disk.
    kept_ms: Option<i64>,
}

/// All documents shared with a peer, compared one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) at_ms: i64,
    pub(crate) documents: usize,
    pub(crate) differing: usize,
    pub(crate) rounds: u32,
    pub(crate) bytes: usize,
}

/// A contact is worth keeping when the last kept one is older than this.
const CONTACT_KEPT_EVERY_MS: i64 = 10_000;

/// What the writer should keep of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kept {
    Nothing,
    Contact,
    Acknowledged(Vec<Cursor>),
    /// Nothing, but what is compared with the peer changed.
    Withdrawn,
}

/// What a node that waits for approval is told.
const WAITS: &str = "the node where this one joined has not approved it yet: its administrator approves it with `raccordo peer approve`";

impl LinkBoard {
    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<PeerId, Link>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link with a peer, as it is now.
    pub(crate) fn link(&self, peer: &PeerId) -> Link {
        self.lock().get(peer).cloned().unwrap_or_default()
    }

    /// What a peer does not offer any more, of what is held here.
    pub(crate) fn withdrawn(&self, peer: &PeerId) -> Arc<BTreeSet<LogId>> {
        let links = self.lock();
        let known = links.get(peer).map(|link| Arc::clone(&link.withdrawn));
        known.unwrap_or_default()
    }

    /// Takes an event in; says what is worth keeping on disk.
    pub(crate) fn hear(&self, peer: &PeerId, now_ms: i64, event: LinkEvent) -> Kept {
        let mut links = self.lock();
        let link = links.entry(*peer).or_default();
        let kept = link.hear(now_ms, event);
        let due = link
            .kept_ms
            .is_none_or(|kept| now_ms - kept >= CONTACT_KEPT_EVERY_MS);
        match kept {
            Kept::Contact if !due => Kept::Nothing,
            Kept::Contact => {
                link.kept_ms = Some(now_ms);
                Kept::Contact
            }
            other => other,
        }
    }

    /// Notes how a peer regards us, as it said when we joined.
    pub(crate) fn regarded(&self, peer: &PeerId, standing: Standing) {
        self.lock().entry(*peer).or_default().regarded = Some(standing);
    }

    /// A member is on hold no more: that its link ended for that says nothing any longer.
    pub(crate) fn resumed(&self, peer: &PeerId) {
        let mut links = self.lock();
        let ended = links.get_mut(peer).map(|link| &mut link.ended);
        if let Some(ended) = ended.filter(|ended| matches!(ended, Some(CloseReason::Suspended))) {
            *ended = None;
        }
    }

    /// Counts what a peer said was opened there and cannot have been.
    pub(crate) fn ignored_seen(&self, peer: &PeerId, count: u64) {
        self.lock().entry(*peer).or_default().seen_ignored += count;
    }

    /// Notes when the next dial is due.
    pub(crate) fn next_try(&self, peer: &PeerId, at_ms: Option<i64>) {
        self.lock().entry(*peer).or_default().next_try_ms = at_ms;
    }

    /// Notes why a dial came to nothing.
    pub(crate) fn failed(&self, peer: &PeerId, now_ms: i64, reason: CloseReason) {
        self.lock().entry(*peer).or_default().end(now_ms, reason);
    }
}

impl Link {
    fn hear(&mut self, now_ms: i64, event: LinkEvent) -> Kept {
        match event {
            LinkEvent::Connected { remote, .. } => {
                self.connect(now_ms, &remote);
                Kept::Contact
            }
            LinkEvent::Contact { clock_ms } => {
                self.last_contact_ms = Some(now_ms);
                self.clock_offset_ms =
                    clock_ms.map_or(self.clock_offset_ms, |clock| offset(clock, now_ms));
                Kept::Contact
            }
            LinkEvent::Regarded { standing } => {
                self.regarded = Some(standing);
                Kept::Nothing
            }
            LinkEvent::Announced { heads } => self.announce(now_ms, &heads),
            LinkEvent::Acked { cursors } => self.acknowledge(now_ms, cursors),
            LinkEvent::Clock { offset_ms, .. } => {
                self.clock_offset_ms = Some(offset_ms);
                Kept::Nothing
            }
            LinkEvent::Scope {
                by: Side::Theirs,
                withdrawn,
            } => {
                self.withdrawn = Arc::new(withdrawn.into_iter().collect());
                Kept::Withdrawn
            }
            LinkEvent::Stats(statistics) => {
                self.statistics = statistics;
                Kept::Nothing
            }
            LinkEvent::Closed { reason } => {
                self.end(now_ms, reason);
                Kept::Nothing
            }
            other => self.hear_of_trust(now_ms, other),
        }
    }

    /// What logs and documents turned out to be.
    fn hear_of_trust(&mut self, now_ms: i64, event: LinkEvent) -> Kept {
        match event {
            LinkEvent::Stopped {
                by: Side::Theirs,
                stopped,
            } => {
                self.refused.insert(stopped.cursor.log, stopped);
            }
            LinkEvent::Resumed {
                by: Side::Theirs,
                log,
            } => {
                self.refused.remove(&log);
            }
            LinkEvent::RolledBack(rollback) if rollback.whose == Side::Theirs => {
                self.lost = Some(rollback);
            }
            LinkEvent::Reconciled {
                items,
                differing,
                rounds,
                bytes,
            } => {
                self.proof = Some(Proof {
                    at_ms: now_ms,
                    documents: items,
                    differing,
                    rounds,
                    bytes,
                });
                self.equal = Some(differing == 0);
            }
            LinkEvent::Repaired { documents } => self.repaired += documents,
            LinkEvent::Compared { equal } => self.equal = Some(equal),
            _ => {}
        }
        Kept::Nothing
    }

    fn announce(&mut self, now_ms: i64, heads: &[Cursor]) -> Kept {
        self.last_contact_ms = Some(now_ms);
        let is_back = |lost: &Rollback| {
            let mut heads = heads.iter();
            heads.any(|head| head.log == lost.log && head.seq >= lost.held_seq)
        };
        self.lost = self.lost.filter(|lost| !is_back(lost));
        self.announced
            .extend(heads.iter().map(|head| (head.log, head.seq)));
        Kept::Contact
    }

    /// Begins anew; what the peer holds stays known. What it does not offer it says again, if it is so still.
    fn connect(&mut self, now_ms: i64, remote: &RemoteHello) {
        *self = Self {
            connected: true,
            regarded: Some(remote.standing),
            incarnation: Some(remote.incarnation),
            since_ms: Some(now_ms),
            last_contact_ms: Some(now_ms),
            clock_offset_ms: offset(remote.clock_ms, now_ms),
            acked: std::mem::take(&mut self.acked),
            acked_at_ms: self.acked_at_ms,
            proof: self.proof,
            repaired: self.repaired,
            seen_ignored: self.seen_ignored,
            kept_ms: self.kept_ms,
            ..Self::default()
        };
    }

    fn acknowledge(&mut self, now_ms: i64, cursors: Vec<Cursor>) -> Kept {
        self.last_contact_ms = Some(now_ms);
        let news: Vec<Cursor> = cursors
            .into_iter()
            .filter(|c| c.seq > self.acked.get(&c.log).copied().unwrap_or(0))
            .collect();
        if news.is_empty() {
            return Kept::Contact;
        }
        self.acked_at_ms = Some(now_ms);
        self.acked
            .extend(news.iter().map(|cursor| (cursor.log, cursor.seq)));
        Kept::Acknowledged(news)
    }

    fn end(&mut self, now_ms: i64, reason: CloseReason) {
        if matches!(reason, CloseReason::Replaced) {
            return;
        }
        if self.connected || self.ended.is_none() {
            self.since_ms = Some(now_ms);
        }
        self.revoked |= matches!(reason, CloseReason::Revoked);
        self.connected = false;
        self.withdrawn = Arc::default();
        self.equal = None;
        self.ended = Some(reason);
    }

    /// The word for the state of the link with an approved member, seen from here.
    pub(crate) fn state(&self, behind: u64, to_send: u64) -> &'static str {
        if self.connected {
            return match self.regarded {
                Some(Standing::Pending) => "pending",
                Some(Standing::Suspended) => "suspended",
                Some(Standing::Revoked) => "revoked",
                _ if behind > 0 || to_send > 0 => "catching_up",
                _ => "connected",
            };
        }
        match &self.ended {
            _ if self.revoked => "revoked",
            None if self.regarded == Some(Standing::Pending) => "pending",
            Some(CloseReason::Suspended) => "suspended",
            Some(
                CloseReason::BadEntry { .. } | CloseReason::RolledBack(_) | CloseReason::Cloned,
            ) => "quarantined",
            Some(
                CloseReason::Refused { .. } | CloseReason::Version { .. } | CloseReason::Unknown,
            ) => "refused",
            _ => "unreachable",
        }
    }

    /// One sentence: what is wrong and whose move it is; none if nothing is.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.connected {
            return match self.regarded {
                Some(Standing::Pending) => Some(WAITS.to_owned()),
                _ if self.lost.is_some() => Some(
                    "its store is older than what this node holds of it: it takes no writes until it has fetched that back, by itself"
                        .to_owned(),
                ),
                _ if self.equal == Some(false) => Some(
                    "both sides hold the same entries and yet different contents: report it"
                        .to_owned(),
                ),
                _ => None,
            };
        }
        if self.ended.is_none() && self.regarded == Some(Standing::Pending) {
            return Some(WAITS.to_owned());
        }
        if self.revoked {
            return Some(
                "the membership was revoked: only a new invitation to a new node leads back"
                    .to_owned(),
            );
        }
        let reason = self.ended.as_ref()?;
        Some(format!("{reason}; {}", remedy(reason)))
    }
}

fn remedy(reason: &CloseReason) -> &'static str {
    match reason {
        CloseReason::Refused { .. } | CloseReason::Unknown => {
            "the coordination's administrator decides: ask whether this node was revoked"
        }
        CloseReason::Version { .. } => "upgrade the older of the two nodes",
        CloseReason::RolledBack(rollback) if rollback.whose == Side::Ours => {
            "this store is older than what the peer holds: restore the newest copy"
        }
        CloseReason::RolledBack(_) => {
            "the peer's store is older than what this node holds: its administrator restores it"
        }
        CloseReason::BadEntry { .. } => "that log stops there until an administrator looks at it",
        CloseReason::Cloned => {
            "its administrator chooses between the two with `raccordo peer choose`"
        }
        CloseReason::Suspended => "the coordination's administrator resumes it",
        CloseReason::HostFailed { .. } => "see the log of the node whose store failed",
        _ => "nothing to do: it is tried again by itself",
    }
}

fn offset(clock_ms: u64, now_ms: i64) -> Option<i64> {
    i64::try_from(clock_ms).ok().map(|clock| clock - now_ms)
}

/// Milliseconds as the views show them.
pub(crate) fn shown(ms: Option<i64>) -> Option<UnixMillis> {
    ms.map(UnixMillis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> LogId {
        LogId {
            origin: [1; 8],
            lane: 0,
        }
    }

    fn cursor(seq: u64) -> Cursor {
        Cursor {
            log: log(),
            seq,
            hash: [0; 32],
        }
    }

    #[test]
    fn only_an_advance_is_kept_as_an_acknowledgement() {
        let mut link = Link::default();
        assert_eq!(
            link.hear(
                1,
                LinkEvent::Acked {
                    cursors: vec![cursor(5)]
                }
            ),
            Kept::Acknowledged(vec![cursor(5)])
        );
        assert_eq!(
            link.hear(
                2,
                LinkEvent::Acked {
                    cursors: vec![cursor(5)]
                }
            ),
            Kept::Contact
        );
        assert_eq!(link.acked_at_ms, Some(1));
    }

    #[test]
    fn a_refused_handshake_after_a_revocation_is_still_called_revoked() {
        let mut link = Link::default();
        link.hear(
            1,
            LinkEvent::Closed {
                reason: CloseReason::Revoked,
            },
        );
        link.hear(
            2,
            LinkEvent::Closed {
                reason: CloseReason::Refused {
                    detail: String::new(),
                },
            },
        );
        assert_eq!(link.state(0, 0), "revoked");
        assert_eq!(link.since_ms, Some(1));
    }

    #[test]
    fn a_connection_taken_over_by_a_newer_one_is_no_end() {
        let mut link = Link {
            connected: true,
            ..Link::default()
        };
        link.hear(
            1,
            LinkEvent::Closed {
                reason: CloseReason::Replaced,
            },
        );
        assert!(link.connected);
    }
}

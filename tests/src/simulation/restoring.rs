//! Disks that are older, doubled or damaged: put back, copied and started twice, with a bit flipped.
//!
//! Only places at the edge are put back or copied, so that whom they join holds all that left them.

use raccordo_crdt_model::DocumentId;
use raccordo_node::engine::MemberState;
use raccordo_node::engine::simulated::{SimulatedMachine, SimulatedNode};
use raccordo_node::store::Unsynced;
use raccordo_transport::{CloseReason, Cursor, LinkEvent, LogId};

use super::place::{Asked, Past, Place};
use super::world::{Event, World};
use crate::chance::Chance;

/// A restore takes longer than what is on its way anywhere, in milliseconds.
const RESTORE_MS: u64 = 25_000;

/// How often a damaged place reads what it has stored, in milliseconds.
const SCRUB_EVERY_MS: u64 = 2_000;

impl World {
    /// A copy of a place's folder is taken, to be put back later.
    pub(super) fn restore_later(&mut self, place: usize, after_ms: u64) {
        if !self.is_edge(place) {
            return;
        }
        let mut older = self.places[place].machine.copy();
        older.disk = older.disk.after_power_cut(Unsynced::Lost);
        self.after(after_ms, Event::Restore(place, Box::new(older)));
    }

    /// It is put back: what the place did since is known to others or to nobody.
    pub(super) fn restore(&mut self, place: usize, older: &SimulatedMachine) {
        let above = self.places[place].above;
        let needed = above.is_some_and(|above| self.places[above].damaged.is_some());
        if self.calm || needed || self.places[place].node.is_none() {
            return;
        }
        self.note(&[30], || format!("{place} gets an older disk back"));
        self.tally.count("stores put back to an older state");
        self.crash(place, None);
        let links = self
            .links
            .iter()
            .filter(|(_, link)| link.ends.iter().any(|end| end.place == place));
        let links: Vec<u64> = links.map(|(id, _)| *id).collect();
        for link in links {
            for side in 0..2 {
                self.lost(link, side);
            }
        }
        let now_ms = self.now_ms();
        let one = &mut self.places[place];
        one.machine.put_back(older);
        one.off_until_ms = now_ms + RESTORE_MS;
        one.past = Past::Older;
        one.screens.clear();
        // The older disk may have the damage that was mended since.
        one.damaged = one.damaged.or(one.rotten);
        let damaged = one.damaged.is_some();
        self.after(RESTORE_MS, Event::Start(place));
        if damaged {
            self.after(RESTORE_MS, Event::Scrub(place));
        }
        self.promises.held.retain(|(at, _), _| *at != place);
        self.promises.silent.retain(|(at, _), _| *at != place);
        self.promises.stopped.retain(|(at, _)| *at != place);
        self.promises.erased.retain(|(at, _)| *at != place);
    }

    /// A place's machine is copied, and the copy started beside it.
    pub(super) fn copy_machine(&mut self, place: usize, for_ms: u64) {
        if !self.is_edge(place) || self.places[place].node.is_none() {
            return;
        }
        let mut chance = Chance::new(self.chance.number());
        let twin = self.places[place].twin(place, &mut chance);
        self.places.push(twin);
        let number = self.places.len() - 1;
        self.note(&[31], || format!("{place} is copied: the copy is {number}"));
        self.after(1, Event::Start(number));
        self.after(for_ms, Event::SwitchOff(number));
    }

    /// A copy that wrote something of itself, such as a receipt, goes before it can tell: two nodes
    /// that both wrote with one key are for a person to settle, which is told elsewhere.
    pub(super) fn stop_writing_copy(&mut self, place: usize) {
        let Some(node) = &self.places[place].node else {
            return;
        };
        let own = self.places[place].id.origin();
        let wrote = |end: &Cursor| {
            let published = self.truth.log(end.log);
            let known = published.and_then(|log| log.hash_at(end.seq));
            end.log.origin == own && end.seq > 0 && known != Some(end.hash)
        };
        if node.ends().iter().any(wrote) {
            self.note(&[34], || {
                format!("{place} wrote of itself and is switched off")
            });
            self.tally.count("copies that wrote of themselves");
            self.switch_off(place);
        }
    }

    /// A copy goes for good.
    pub(super) fn switch_off(&mut self, place: usize) {
        self.places[place].off_until_ms = u64::MAX;
        self.crash(place, None);
    }

    /// Whether a place is not to be started now.
    pub(super) fn stays_off(&self, place: usize) -> bool {
        self.now_ms() < self.places[place].off_until_ms
    }

    /// Whether a dialler is a second node with the key of one that still answers: it is sent away.
    pub(super) fn contested(&mut self, dialler: usize, acceptor: usize) -> bool {
        let key = self.places[dialler].id;
        let older = self.links.iter().find_map(|(id, link)| {
            let [near, far] = &link.ends;
            let rival = far.place == acceptor && near.place != dialler && far.is_live();
            (rival && self.places[near.place].id == key).then(|| (*id, near.place, near.is_live()))
        });
        let Some((older, rival, answers)) = older else {
            return false;
        };
        if !answers || self.is_cut(rival, acceptor) || self.is_cut(acceptor, rival) {
            self.close(older, 1, CloseReason::Replaced);
            return false;
        }
        let (one, other) = (&self.places[dialler], &self.places[acceptor]);
        let (Some(node), Some(host), peer) = (&one.node, other.host(), other.id) else {
            return false;
        };
        let incarnation = node.incarnation();
        let reason = CloseReason::Cloned;
        node.host().event(&peer, LinkEvent::Closed { reason });
        host.event(&key, LinkEvent::Cloned { incarnation });
        self.tally.count("copies refused");
        self.note(&[33], || {
            format!("{acceptor} sends {dialler} away: another has its key")
        });
        self.touch(acceptor);
        self.touch(dialler);
        self.dial_failed(dialler, peer);
        true
    }

    /// Where a person has to choose between a node and its copy, the node is chosen.
    pub(super) fn settle_copies(&mut self) {
        for place in 0..self.plan.seats.len() {
            let one = &self.places[place];
            let (key, own) = (one.id, one.node.as_ref().map(SimulatedNode::incarnation));
            let (Some(above), Some(own)) = (one.above, own) else {
                continue;
            };
            let node = self.places[above].node.as_ref();
            let rivals = node.map(|node| node.rivals(&key)).unwrap_or_default();
            let busy = self.places[above].waiting.iter();
            let busy = busy
                .map(|one| &one.what)
                .any(|what| *what == Asked::Decision);
            if rivals.contains(&own) && !busy {
                self.tally.count("copies settled by choice");
                self.ask(above, Asked::Decision, |node| node.choose(key, own));
            }
        }
    }

    /// A bit flips in a record that a neighbour holds too.
    pub(super) fn damage(&mut self, place: usize, seed: u64) {
        let mut chance = Chance::new(seed);
        if self.places[place].node.is_none() || self.places[place].damaged.is_some() {
            return;
        }
        let shared = self.shared_records(place);
        if shared.is_empty() {
            return;
        }
        let id = *chance.pick(&shared);
        let bit = chance.index(1 << 16);
        if self.places[place].machine.damage(id, bit) {
            self.note(&[32], || format!("{id} is damaged on the disk of {place}"));
            self.places[place].damaged = Some(id);
            self.places[place].rotten = Some(id);
            self.after(SCRUB_EVERY_MS, Event::Scrub(place));
        }
    }

    /// Records of which the place at which it joined, or one that joined here, holds all that is here.
    fn shared_records(&self, place: usize) -> Vec<DocumentId> {
        let neighbours = self.places.iter().enumerate().filter(|(number, other)| {
            other.above == Some(place) || self.places[place].above == Some(*number)
        });
        let nodes: Vec<&SimulatedNode> = neighbours
            .filter_map(|(_, neighbour)| neighbour.node.as_ref())
            .collect();
        let here = self.node(place);
        let held = |log: LogId| {
            nodes
                .iter()
                .any(|node| node.end(log).seq >= here.end(log).seq)
        };
        self.truth
            .records_in(|log, seq| seq <= here.end(log).seq, held)
    }

    /// Whether a damaged record cannot come back: nobody is left who has it and is let in here.
    pub(super) fn is_lost_for_good(&self) -> bool {
        let damaged = self.places.iter().enumerate();
        let mut records = damaged.filter_map(|(at, place)| Some((at, place, place.damaged?)));
        records.any(|(at, place, id)| {
            let gives = |number: usize, other: &Place| {
                let joined = other.above == Some(at) || place.above == Some(number);
                let host = other.node.as_ref().map(SimulatedNode::host);
                let parcels = host.map(|host| host.parcels(&place.id, &[*id.as_bytes()]));
                joined
                    && other.admits(&place.id)
                    && place.admits(&other.id)
                    && parcels.is_some_and(|given| given.is_ok_and(|given| !given.is_empty()))
            };
            let mut others = self.places.iter().enumerate();
            !others.any(|(number, other)| gives(number, other))
        })
    }

    /// Whether somebody wrote on what an author wrote after the end that its revocation set: that is held
    /// where it was taken in before, and waited for elsewhere.
    pub(super) fn is_cut_off(&self) -> bool {
        let nodes = || self.places.iter().filter_map(|place| place.node.as_ref());
        let beyond = nodes().flat_map(SimulatedNode::members).any(|member| {
            let ends = member.ends.clone();
            let valid = |lane: u8| ends.get(&lane).copied().unwrap_or(0);
            member.state == MemberState::Revoked
                && nodes().flat_map(SimulatedNode::ends).any(|end| {
                    let log = end.log;
                    log.origin == member.key.origin() && end.seq > valid(log.lane)
                })
        });
        beyond && nodes().any(|node| !node.waiting().is_empty())
    }

    /// A place with damage reads what it has stored; what does not hold is fetched from a peer.
    pub(super) fn scrub(&mut self, place: usize) {
        let node = self.places[place].node.as_ref();
        let found = node.map(|node| (node.scrub(), node.damaged().is_empty()));
        match found {
            Some((Some(ticket), _)) => {
                self.tally.count("documents damaged and found");
                self.ask(place, Asked::Scrub, |_| ticket);
            }
            Some((None, true)) => {
                self.places[place].damaged = None;
                return;
            }
            Some((None, false)) | None => {}
        }
        self.after(SCRUB_EVERY_MS, Event::Scrub(place));
    }

    fn is_edge(&self, place: usize) -> bool {
        let one = &self.places[place];
        let leads = self.places.iter().any(|other| other.above == Some(place));
        let copied = self.places.iter().any(|other| other.twin_of == Some(place));
        one.above.is_some()
            && one.pinned
            && one.scripted.is_none()
            && !leads
            && !copied
            && !one.is_restored()
    }
}

//! How places become members: invitations, requests, decisions, and what becomes of who waits.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use raccordo_node::engine::MemberState;
use raccordo_node::engine::simulated::{Asking, MemberFacts, SimulatedNode};
use raccordo_transport::{JoinAccepted, JoinRefused};

use super::place::Asked;
use super::plan::Act;
use super::world::{Event, World};

/// A node on its way to membership.
pub(super) struct Joining {
    /// Where.
    pub(super) place: usize,
    life: u64,
    asking: Asking,
    answer: Pin<Box<dyn Future<Output = Result<JoinAccepted, JoinRefused>>>>,
}

impl World {
    pub(super) fn approve_all(&mut self, at: usize) {
        let pending: Vec<_> = self.places[at]
            .node
            .iter()
            .flat_map(SimulatedNode::members)
            .filter(|member| member.state == MemberState::Pending)
            .collect();
        let joined_here = |member: &MemberFacts| {
            let place = self.place_of(&member.key);
            place.is_some_and(|place| self.places[place].above == Some(at))
        };
        let pending: Vec<_> = pending.into_iter().filter(joined_here).collect();
        for member in pending {
            self.ask(at, Asked::Decision, |node| {
                node.move_member(member.key, MemberState::Approved)
            });
        }
    }

    pub(super) fn decide(&mut self, at: usize, place: usize, to: MemberState) {
        if to == MemberState::Suspended {
            self.on_hold.insert((at, place));
        }
        let key = self.places[place].id;
        if self.places[at].node.is_some() {
            self.tally.count(match to {
                MemberState::Suspended => "members put on hold",
                MemberState::Revoked => "members revoked",
                _ => "members let in again",
            });
        }
        self.ask(at, Asked::Decision, |node| node.move_member(key, to));
    }

    /// A node asks for membership with its invitation, or somebody is asked for one.
    pub(super) fn join(&mut self, place: usize, approved: bool) {
        let one = &self.places[place];
        let Some(above) = one.above else { return };
        if one.pinned {
            return;
        }
        let (territory, role) = (one.territory.clone(), one.role);
        let (invitation, life) = (one.invitation.clone(), one.life);
        let reachable =
            !self.cut.contains_key(&(place, above)) && !self.cut.contains_key(&(above, place));
        let (true, Some(inviting), true) = (one.is_up(), &self.places[above].node, reachable)
        else {
            self.join_later(place, approved);
            return;
        };
        let Some(invitation) = invitation else {
            let what = Asked::Invitation { place };
            self.ask(above, what, |node| node.invite(territory, role, approved));
            return;
        };
        let asking = match (&one.scripted, &one.node) {
            (None, Some(guest)) => guest.asking(&invitation),
            _ => inviting.asking_for(&invitation, one.id, territory.as_str(), role),
        };
        let asking = asking.expect("an invitation can be read");
        let host = inviting.host();
        let (one_time, request) = (asking.one_time, asking.request.clone());
        let answer = Box::pin(async move { host.join(one_time, request).await });
        self.joining.push(Joining {
            place,
            life,
            asking,
            answer,
        });
        self.join_on();
        self.touch(above);
    }

    fn join_later(&mut self, place: usize, approved: bool) {
        let seed = self.chance.number();
        let wait_ms = 500 + seed % 2_500;
        self.after(wait_ms, Event::Act(Act::Join { place, approved }, seed));
    }

    /// Those who asked for membership hear what became of it.
    pub(super) fn join_on(&mut self) {
        let mut joining = std::mem::take(&mut self.joining);
        let mut heard = Vec::new();
        let mut context = Context::from_waker(Waker::noop());
        joining.retain_mut(|one| match one.answer.as_mut().poll(&mut context) {
            Poll::Pending => true,
            Poll::Ready(answer) => {
                heard.push((one.place, one.life, one.asking.clone(), answer));
                false
            }
        });
        self.joining = joining;
        for (place, life, asking, answer) in heard {
            self.note(&[26], || {
                format!("{place} hears about its joining: {answer:?}")
            });
            match answer {
                Ok(accepted) if self.places[place].scripted.is_some() => {
                    let scripted = self.places[place].scripted.as_ref();
                    let keys = self.places.iter().map(|place| place.id).collect();
                    scripted
                        .expect("it was there")
                        .adopt(asking.sponsor, accepted.standing, keys);
                    self.places[place].pinned = true;
                    self.dial_soon(place, 5);
                }
                Ok(accepted) if self.places[place].life == life => {
                    self.ask(place, Asked::Pin, |node| node.adopt(&asking, accepted));
                }
                Err(JoinRefused::Unknown | JoinRefused::Expired) => {
                    self.places[place].invitation = None;
                    self.join_later(place, true);
                }
                Ok(_) | Err(JoinRefused::Failed) => self.join_later(place, true),
                Err(_) => {}
            }
        }
    }

    /// When nothing goes wrong any more, everybody who may is brought in.
    pub(super) fn finish_membership(&mut self) {
        for (at, place) in self.on_hold.clone() {
            let key = self.places[place].id;
            let busy = self.places[at]
                .waiting
                .iter()
                .any(|one| one.what == Asked::Decision);
            let known = self.places[at].node.as_ref().map(SimulatedNode::members);
            let on_hold =
                |member: &MemberFacts| member.key == key && member.state == MemberState::Suspended;
            if !busy && known.unwrap_or_default().iter().any(on_hold) {
                self.decide(at, place, MemberState::Approved);
            }
        }
        self.settle_copies();
        for place in 0..self.places.len() {
            self.approve_all(place);
            let Some(above) = self.places[place].above else {
                continue;
            };
            let waits = |asked: &Asked| match asked {
                Asked::Pin => true,
                Asked::Invitation { place: guest } => *guest == place,
                _ => false,
            };
            let under_way = self.joining.iter().any(|joining| joining.place == place)
                || [above, place].iter().any(|at| {
                    let waiting = &self.places[*at].waiting;
                    waiting.iter().any(|one| waits(&one.what))
                });
            if !under_way {
                self.join(place, true);
            }
        }
    }
}

impl fmt::Debug for Joining {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Joining")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

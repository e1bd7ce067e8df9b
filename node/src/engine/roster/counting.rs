//! Which districts' nodes may be sealed to: what was let into a territory by a coordination alone, where
//! that had a node already, may be anybody.
//!
//! A node counts when it is the first of its territory that a coordination let in, or when a node of
//! its territory that counts took it in or confirmed it; told from signed facts, so the same at every
//! node, and for good. For one other territory it counts too when that one's nodes confirmed it.

use std::collections::{BTreeMap, BTreeSet};

use raccordo_config::Role;
use raccordo_transport::PeerId;

use super::{CONFIRMED_MAX, Member, PINNED, Roster};
use crate::engine::scope::Party;
use crate::engine::view::MemberState;

use super::force::decides;

impl Roster {
    /// Keeps that a node confirmed a member, which [`Roster::settle`] puts in force; false if that was
    /// known, or the node has confirmed very many.
    pub(crate) fn confirm(&mut self, author: [u8; 8], key: PeerId) -> bool {
        let others = self.confirmed.values();
        let many = others.filter(|by| by.contains(&author)).count() >= CONFIRMED_MAX;
        !many && self.confirmed.entry(key).or_default().insert(author)
    }

    /// Whether the signed facts alone vouch for a node of a district.
    pub(crate) fn counts(&self, key: &PeerId) -> bool {
        self.counting.contains(key)
    }

    /// The same, of this node.
    pub(crate) fn own_counts(&self) -> bool {
        self.own.as_ref().is_some_and(|own| self.counts(&own.key))
    }

    /// Whether what is for a node's territory may be sealed to it by nodes of this one, and what it
    /// says to them is heard.
    pub(crate) fn counts_for(&self, key: &PeerId, territory: &str) -> bool {
        let by = self.confirmed.get(key);
        self.counts(key)
            || by.is_some_and(|by| {
                let mut speakers = self.speakers(territory).into_iter();
                speakers.any(|speaker| by.contains(&speaker.origin()))
            })
    }

    /// The same, for this node's own territory.
    pub(crate) fn counts_here(&self, key: &PeerId) -> bool {
        let own = self.own.as_ref();
        own.is_some_and(|own| self.counts_for(key, &own.territory))
    }

    /// The nodes that decide for a territory: those that count, or all that are approved where those
    /// that counted were revoked.
    pub(crate) fn speakers(&self, territory: &str) -> BTreeSet<PeerId> {
        let of_territory = |place: &&Place| place.is_district && place.territory == territory;
        let places = self.places();
        let here = || places.values().filter(of_territory);
        let counting = here().filter(|place| {
            self.counting.contains(&place.key) && place.state != MemberState::Revoked
        });
        let mut speakers: BTreeSet<PeerId> = counting.map(|place| place.key).collect();
        if speakers.is_empty() {
            let approved = here().filter(|place| place.state == MemberState::Approved);
            speakers.extend(approved.map(|place| place.key));
        }
        speakers
    }

    /// The node whom coordinations let into a territory first: none if several did and named others,
    /// since nothing tells which was earlier.
    pub(crate) fn first_of(&self, territory: &str) -> Option<PeerId> {
        one(self.firsts(&self.places()).get(territory)?)
    }

    /// All nodes for which the facts vouch.
    pub(super) fn vouched_for(&self) -> BTreeSet<PeerId> {
        let places = self.places();
        let firsts = self.firsts(&places);
        let mut counting: BTreeSet<PeerId> = BTreeSet::new();
        for (territory, candidates) in &firsts {
            let first = one(candidates).filter(|first| {
                let place = places.get(&first.origin());
                place.is_some_and(|place| place.is(first, territory))
            });
            counting.extend(first);
        }
        // Before any coordination knows the territory, its nodes are those that joined each other.
        if let Some(own) = self.own.as_ref().filter(|own| own.role == Role::District)
            && !firsts.contains_key(&own.territory)
        {
            let sponsors = self.sponsors().map(|(member, _)| Party::from(member));
            let same = sponsors.filter(|sponsor| {
                sponsor.role == Role::District && sponsor.territory == own.territory
            });
            counting.extend(same.map(|sponsor| sponsor.key).chain([own.key]));
        }
        loop {
            let taken = places.values().filter(|place| {
                place.is_district
                    && !counting.contains(&place.key)
                    && self.is_taken_in(place, &places, &counting)
            });
            let taken: Vec<PeerId> = taken.map(|place| place.key).collect();
            if taken.is_empty() {
                return counting;
            }
            counting.extend(taken);
        }
    }

    /// Whether one of those that count took a node of its territory in, or confirmed it.
    fn is_taken_in(&self, place: &Place, places: &Places, counting: &BTreeSet<PeerId>) -> bool {
        let counts = |author: &[u8; 8]| {
            let author = places.get(author);
            author.is_some_and(|author| {
                counting.contains(&author.key) && author.is(&author.key, &place.territory)
            })
        };
        let facts = self.facts.get(&place.key).into_iter().flatten();
        let mut took = facts.filter(|(_, fact)| fact.approved.is_some());
        let mut confirmed = self.confirmed.get(&place.key).into_iter().flatten();
        took.any(|(author, _)| *author != PINNED && counts(author)) || confirmed.any(counts)
    }

    /// By territory, the node that each coordination let in first.
    fn firsts(&self, places: &Places) -> BTreeMap<String, BTreeMap<[u8; 8], (u64, PeerId)>> {
        let mut firsts: BTreeMap<String, BTreeMap<[u8; 8], (u64, PeerId)>> = BTreeMap::new();
        for (author, fact) in self.facts.values().flatten() {
            let (Some(seq), Some(place)) = (fact.approved, places.get(author)) else {
                continue;
            };
            let member = &fact.member;
            let entitled = decides(&place.party(), &member.territory, member.role);
            if place.is_district || member.role != Role::District || !entitled {
                continue;
            }
            let of_territory = firsts.entry(member.territory.clone()).or_default();
            let first = of_territory.entry(*author).or_insert((seq, member.key));
            *first = (*first).min((seq, member.key));
        }
        firsts
    }

    /// Every member, and this node, by origin.
    fn places(&self) -> Places {
        let members = self.iter().map(Place::from);
        let own = self.own.as_ref().map(|own| Place {
            key: own.key,
            territory: own.territory.clone(),
            is_district: own.role == Role::District,
            state: MemberState::Approved,
        });
        let all = own.into_iter().chain(members);
        all.map(|place| (place.key.origin(), place)).collect()
    }
}

type Places = BTreeMap<[u8; 8], Place>;

/// A member as far as it matters here.
struct Place {
    key: PeerId,
    territory: String,
    is_district: bool,
    state: MemberState,
}

impl Place {
    fn is(&self, key: &PeerId, territory: &str) -> bool {
        self.is_district && self.key == *key && self.territory == territory
    }

    fn party(&self) -> Party {
        Party {
            key: self.key,
            territory: self.territory.clone(),
            role: if self.is_district {
                Role::District
            } else {
                Role::Coordination
            },
        }
    }
}

impl From<&Member> for Place {
    fn from(member: &Member) -> Self {
        Self {
            key: member.key,
            territory: member.territory.clone(),
            is_district: member.role == Role::District,
            state: member.state,
        }
    }
}

/// The one key that all name.
fn one(candidates: &BTreeMap<[u8; 8], (u64, PeerId)>) -> Option<PeerId> {
    let mut keys = candidates.values().map(|(_, key)| *key);
    let first = keys.next()?;
    keys.all(|key| key == first).then_some(first)
}

//! From the set of facts to what is in force: a pure function, so that order does not matter.
//!
//! Who may say something of whom follows territories: a coordination of what lies within its own,
//! a district's node of its own territory's district nodes, and, upwards, a node of its own
//! coordination as far as this node joined there. Among those entitled, revoked is for good, then
//! suspended, then the author highest up decides; a hold whose author was revoked is lifted from
//! above. Who was taken in by revoked members alone is revoked with them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use raccordo_config::Role;
use raccordo_transport::{LogId, PeerId};

use super::{Fact, InForce, Member, PINNED, SPONSOR_REVOKED, facts_log};
use crate::engine::scope::{Party, depth, is_below};
use crate::engine::view::MemberState;

type Facts = BTreeMap<PeerId, BTreeMap<[u8; 8], Fact>>;

/// Whether `author` decides about members of this territory and role.
pub(super) fn decides(author: &Party, territory: &str, role: Role) -> bool {
    let same = author.territory == territory;
    match author.role {
        Role::Coordination => same || is_below(territory, &author.territory),
        Role::District => same && role == Role::District,
    }
}

/// What is in force, by key.
pub(super) fn in_force(own: Option<&Party>, facts: &Facts) -> BTreeMap<PeerId, InForce> {
    let Some(own) = own else {
        return BTreeMap::new();
    };
    let known = Known::of(own, facts);
    let judged = facts
        .keys()
        .filter_map(|key| Some((*key, known.judge(own, facts, key)?)));
    let mut judged = judged.collect();
    known.cut_loose(&mut judged);
    judged
}

/// Who is who: territory and role of each key, as the highest author says.
struct Known {
    own: PeerId,
    parties: BTreeMap<PeerId, Party>,
    /// This node, where it joined, and their coordinations, upwards.
    upward: BTreeSet<PeerId>,
    origins: BTreeMap<[u8; 8], PeerId>,
    /// Through whom those below were found.
    introducers: BTreeMap<PeerId, PeerId>,
}

impl Known {
    fn of(own: &Party, facts: &Facts) -> Self {
        let mut known = Self {
            own: own.key,
            parties: BTreeMap::from([(own.key, own.clone())]),
            upward: BTreeSet::from([own.key]),
            origins: BTreeMap::from([(own.key.origin(), own.key)]),
            introducers: BTreeMap::new(),
        };
        for of_key in facts.values() {
            if let Some(pinned) = of_key.get(&PINNED) {
                known.add(&pinned.member, true);
            }
        }
        let by_author = by_author(facts);
        while known.climb(&by_author) {}
        known.descend(&by_author);
        known
    }

    fn add(&mut self, member: &Member, upward: bool) -> bool {
        let origin = member.key.origin();
        if self.parties.contains_key(&member.key) || self.origins.contains_key(&origin) {
            return false;
        }
        self.origins.insert(origin, member.key);
        self.parties.insert(member.key, Party::from(member));
        if upward {
            self.upward.insert(member.key);
        }
        true
    }

    /// Finds the coordinations above those known upwards; true if there was a new one.
    fn climb(&mut self, by_author: &ByAuthor<'_>) -> bool {
        let stated: Vec<&Member> = self
            .upward
            .iter()
            .filter_map(|key| Some((self.parties.get(key)?, by_author.get(&key.origin())?)))
            .flat_map(|(author, members)| {
                members
                    .iter()
                    .filter(|member| is_above(member, author))
                    .copied()
            })
            .collect();
        let mut grown = false;
        for member in stated {
            grown |= self.add(member, true);
        }
        grown
    }

    /// Finds everyone below, authors highest up first: who is found once stays as found.
    fn descend(&mut self, by_author: &ByAuthor<'_>) {
        let mut waiting: BTreeSet<(Rank, PeerId)> = self
            .parties
            .values()
            .map(|party| (rank(party), party.key))
            .collect();
        while let Some((_, key)) = waiting.pop_first() {
            let Some(author) = self.parties.get(&key).cloned() else {
                continue;
            };
            for member in by_author.get(&key.origin()).into_iter().flatten() {
                if decides(&author, &member.territory, member.role) && self.add(member, false) {
                    let party = Party::from(*member);
                    self.introducers.insert(party.key, key);
                    waiting.insert((rank(&party), party.key));
                }
            }
        }
    }

    /// What the facts on one key add up to; none if nobody entitled speaks of it.
    fn judge(&self, own: &Party, facts: &Facts, key: &PeerId) -> Option<InForce> {
        let of_key = facts.get(key)?;
        let subject = self.parties.get(key)?;
        let pinned = of_key.get(&PINNED);
        let mut counting: Vec<(&Party, &Fact)> = of_key
            .values()
            .filter_map(|fact| Some((self.entitled(fact, subject)?, fact)))
            .collect();
        counting.sort_by_key(|(author, fact)| {
            let newest_first = Reverse(fact.member.since_ms);
            (rank(author), newest_first, author.key)
        });
        let highest = counting.first().map(|(_, fact)| *fact);
        let first_with = |state| {
            let mut facts = counting.iter().map(|(_, fact)| *fact);
            facts.find(|fact| fact.member.state == state)
        };
        let mut holds = counting
            .iter()
            .filter(|(_, fact)| fact.member.state == MemberState::Suspended);
        let hold = holds.find(|hold| !self.is_lifted(facts, hold, &counting));
        let deciding = first_with(MemberState::Revoked)
            .or(hold.map(|(_, fact)| *fact))
            .or(pinned)
            .or(highest)?;
        let member = Member {
            territory: subject.territory.clone(),
            role: subject.role,
            ends: ends(&counting),
            ..deciding.member.clone()
        };
        let introduced = introduced(own, &counting);
        let authors = counting.iter().map(|(author, _)| *author);
        let from_above = counting
            .iter()
            .filter(|(author, _)| self.takes_in(author, subject));
        let takers = from_above.clone().map(|(author, _)| author.key).collect();
        let gone = from_above
            .clone()
            .any(|(_, fact)| fact.member.state == MemberState::Revoked);
        let through = if self.upward.contains(key) {
            Vec::new()
        } else {
            authors.map(|author| author.key).collect()
        };
        Some(InForce {
            member,
            introduced,
            through,
            takers,
            gone,
        })
    }

    /// Whether somebody above has let a member in since it was put on hold by an author that was
    /// revoked, and so cannot do it any more.
    fn is_lifted(
        &self,
        facts: &Facts,
        (author, hold): &(&Party, &Fact),
        counting: &[(&Party, &Fact)],
    ) -> bool {
        let of_author = facts.get(&author.key).into_iter().flatten();
        let mut of_author = of_author.map(|(_, fact)| fact);
        let is_revoked = of_author.any(|fact| {
            fact.member.state == MemberState::Revoked && self.entitled(fact, author).is_some()
        });
        let since_ms = hold.member.since_ms;
        is_revoked
            && counting.iter().any(|(above, fact)| {
                rank(above) < rank(author)
                    && fact.member.state == MemberState::Approved
                    && fact.member.since_ms > since_ms
            })
    }

    /// Whether this author's word is what makes the subject a member: not where the author itself
    /// is one through the subject, as this node is through those above it.
    fn takes_in(&self, author: &Party, subject: &Party) -> bool {
        let upward = self.upward.contains(&subject.key) && subject.key != self.own;
        decides(author, &subject.territory, subject.role)
            && !(upward && self.came_through(author.key, self.own))
    }

    /// Revokes whom nobody took in that is still a member: a device whose office was revoked. Those
    /// whom nobody took in at all stand by themselves, the topmost coordination above all.
    fn cut_loose(&self, judged: &mut BTreeMap<PeerId, InForce>) {
        let tops = self.upward.iter().filter(|key| {
            let is = judged.get(key);
            is.is_none_or(|is| is.takers.is_empty())
        });
        let mut waiting: Vec<PeerId> = tops.copied().collect();
        let mut taken_by: BTreeMap<PeerId, Vec<PeerId>> = BTreeMap::new();
        for (key, is) in judged.iter() {
            for taker in &is.takers {
                taken_by.entry(*taker).or_default().push(*key);
            }
        }
        let mut standing: BTreeSet<PeerId> = BTreeSet::new();
        while let Some(key) = waiting.pop() {
            if standing.insert(key) {
                let below = taken_by.get(&key).into_iter().flatten();
                waiting.extend(below.filter(|key| judged.get(key).is_some_and(|is| !is.gone)));
            }
        }
        for (key, is) in judged.iter_mut() {
            if !standing.contains(key) && is.member.state != MemberState::Revoked {
                is.member.state = MemberState::Revoked;
                is.member.reason = Some(SPONSOR_REVOKED.to_owned());
            }
        }
    }

    /// The author of a fact, if it may say this of the subject: nobody speaks of itself, nor of
    /// those through whom it became a member.
    fn entitled(&self, fact: &Fact, subject: &Party) -> Option<&Party> {
        let author = self.parties.get(self.origins.get(&fact.author)?)?;
        let above = self.upward.contains(&author.key) && is_above(&fact.member, author);
        let fits = fact.member.territory == subject.territory && fact.member.role == subject.role;
        let below = decides(author, &subject.territory, subject.role);
        let may = (below && !self.came_through(author.key, subject.key)) || (above && fits);
        may.then_some(author)
    }

    /// Whether `other` is `key` itself or somebody through whom it was found.
    fn came_through(&self, key: PeerId, other: PeerId) -> bool {
        let mut at = Some(&key);
        while let Some(key) = at {
            if *key == other {
                return true;
            }
            at = self.introducers.get(key);
        }
        false
    }
}

type ByAuthor<'a> = BTreeMap<[u8; 8], Vec<&'a Member>>;

fn by_author(facts: &Facts) -> ByAuthor<'_> {
    let mut by_author: ByAuthor<'_> = BTreeMap::new();
    for fact in facts.values().flat_map(BTreeMap::values) {
        by_author.entry(fact.author).or_default().push(&fact.member);
    }
    by_author
}

/// Smaller is higher: the shorter path, then the coordination of a territory before its districts.
type Rank = (usize, u8);

fn rank(party: &Party) -> Rank {
    (
        depth(&party.territory),
        u8::from(party.role == Role::District),
    )
}

fn is_above(member: &Member, author: &Party) -> bool {
    member.role == Role::Coordination && is_below(&author.territory, &member.territory)
}

/// Where the logs of a revoked member end: as far as anybody entitled had admitted them.
fn ends(counting: &[(&Party, &Fact)]) -> BTreeMap<u8, u64> {
    let mut ends: BTreeMap<u8, u64> = BTreeMap::new();
    for (_, fact) in counting {
        for (lane, seq) in &fact.member.ends {
            let end = ends.entry(*lane).or_default();
            *end = (*end).max(*seq);
        }
    }
    ends
}

fn introduced(own: &Party, counting: &[(&Party, &Fact)]) -> Option<(LogId, u64)> {
    let by_own = counting.iter().find(|(author, _)| author.key == own.key);
    let (author, fact) = by_own.or_else(|| counting.first())?;
    Some((facts_log(author.key.origin()), fact.first))
}

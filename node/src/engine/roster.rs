//! Members of the federation: what the signed facts that are known here add up to.
//!
//! Facts come from many authors and in any order; what is in force is computed from the set of
//! them (`standing`), never from the order in which they were heard. Revoked is for good.
//! Does not know links: whether a member is reachable is not a fact.

use std::collections::{BTreeMap, BTreeSet};

use raccordo_config::{Role, Territory};
use raccordo_transport::{LogId, PeerId, Standing};

use super::fields::{BadRow, FieldReader, FieldWriter};
use super::scope::{LANE_EVERYONE, Party};
use super::view::MemberState;

mod counting;
mod force;
#[cfg(test)]
mod tests;

/// Version 2 names where the member's logs end; version 1 was signed before that.
const VERSION: u8 = 2;
/// Version 2 says when its author first approved the key; of version 1 that is told as far as it can be.
const ROW_VERSION: u8 = 2;

/// The author of what this node pinned itself when it joined.
pub(crate) const PINNED: [u8; 8] = [0; 8];

/// Most keys that one author is heard about.
const SPOKEN_OF_MAX: usize = 4_096;
/// Most members that one author is heard to confirm.
const CONFIRMED_MAX: usize = 4_096;
/// Longest texts of a fact, in bytes.
const NAME_BYTES_MAX: usize = 256;
const REASON_BYTES_MAX: usize = 2_048;

/// The reason of a member that was turned away while pending.
pub(crate) const REJECTED: &str = "rejected";

/// The reason of a member that was one only through members that were revoked.
pub(crate) const SPONSOR_REVOKED: &str = "the node through which it joined was revoked";

/// One member, as one author signed it or as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its public key.
    pub(crate) key: PeerId,
    /// Its territory's path.
    pub(crate) territory: String,
    /// What it may be.
    pub(crate) role: Role,
    /// Its name.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) state: MemberState,
    /// Since when, unix ms.
    pub(crate) since_ms: i64,
    /// Reason given by the administrator, if any.
    pub(crate) reason: Option<String>,
    /// Address to dial, if it listens for us.
    pub(crate) address: Option<String>,
    /// The last number of each of its lanes that the author of the fact had admitted, by lane: of a
    /// revoked member what is valid, of one on hold what needs no waiting.
    pub(crate) ends: BTreeMap<u8, u64>,
}

/// What one author last said of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fact {
    /// Origin of its author; [`PINNED`] if this node pinned the key itself.
    pub(crate) author: [u8; 8],
    /// Number of the entry that says it.
    pub(crate) seq: u64,
    /// Number of the author's first entry about this key: what introduced it.
    pub(crate) first: u64,
    /// Number of the author's first entry that approved it; none if none did.
    pub(crate) approved: Option<u64>,
    /// Whether the key joined here, or this node joined there: the two are peers.
    pub(crate) here: bool,
    /// What it says.
    pub(crate) member: Member,
}

/// All that is known about members, and what it adds up to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Roster {
    own: Option<Party>,
    facts: BTreeMap<PeerId, BTreeMap<[u8; 8], Fact>>,
    in_force: BTreeMap<PeerId, InForce>,
    /// Of how many keys each author spoke.
    spoken_of: BTreeMap<[u8; 8], usize>,
    /// Who confirmed which members.
    confirmed: BTreeMap<PeerId, BTreeSet<[u8; 8]>>,
    /// The districts' nodes for which the signed facts vouch at every node alike.
    counting: BTreeSet<PeerId>,
}

/// A key as the facts together say it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct InForce {
    member: Member,
    /// The fact that introduces the key to others: its author and number.
    introduced: Option<(LogId, u64)>,
    /// The members that took it in; none for those where this node joined, and above.
    through: Vec<PeerId>,
    /// The members by whose word it is one.
    takers: Vec<PeerId>,
    /// Whether one of those revoked it.
    gone: bool,
}

impl Member {
    /// The body of a roster entry.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = FieldWriter::new(VERSION);
        out.fixed(self.key.as_bytes())
            .text(&self.territory)
            .u8(role_code(self.role));
        out.text(&self.name)
            .u8(state_code(self.state))
            .i64(self.since_ms);
        out.maybe_text(self.reason.as_deref())
            .maybe_text(self.address.as_deref());
        out.u8(u8::try_from(self.ends.len()).expect("one end a lane, and lanes are bytes"));
        for (lane, seq) in &self.ends {
            out.u8(*lane).u64(*seq);
        }
        out.finish()
    }

    /// Reads the body of a roster entry.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadRow> {
        let mut row = FieldReader::open("roster", VERSION, bytes)?;
        let key = PeerId::from_bytes(row.array()?);
        let territory = row.text()?;
        let role = if row.u8()? == 1 {
            Role::Coordination
        } else {
            Role::District
        };
        let name = row.text()?;
        let state = match row.u8()? {
            0 => MemberState::Pending,
            1 => MemberState::Approved,
            2 => MemberState::Suspended,
            _ => MemberState::Revoked,
        };
        let since_ms = row.i64()?;
        let reason = row.maybe_text()?;
        let address = row.maybe_text()?;
        let mut ends = BTreeMap::new();
        for _ in 0..row.u8()? {
            ends.insert(row.u8()?, row.u64()?);
        }
        let long =
            |text: &Option<String>, most: usize| text.as_ref().is_some_and(|t| t.len() > most);
        let fits = Territory::parse(&territory).is_ok()
            && name.len() <= NAME_BYTES_MAX
            && !long(&reason, REASON_BYTES_MAX)
            && !long(&address, NAME_BYTES_MAX);
        if !fits {
            return Err(BadRow {
                row: "roster",
                at: 0,
            });
        }
        Ok(Self {
            key,
            territory,
            role,
            name,
            state,
            since_ms,
            reason,
            address,
            ends,
        })
    }

    /// The last number of a lane that is valid; none while there is no limit.
    pub(crate) fn end_of(&self, lane: u8) -> Option<u64> {
        (self.state == MemberState::Revoked).then(|| self.known_to(lane))
    }

    /// The number of a lane up to which whoever put the member on hold or revoked it had admitted
    /// it; others have built on that.
    pub(crate) fn known_to(&self, lane: u8) -> u64 {
        self.ends.get(&lane).copied().unwrap_or(0)
    }
}

impl Fact {
    /// What an author says of a key in one entry.
    pub(crate) fn new(author: [u8; 8], seq: u64, here: bool, member: Member) -> Self {
        let approved = (member.state == MemberState::Approved).then_some(seq);
        Self {
            author,
            seq,
            first: seq,
            approved,
            here,
            member,
        }
    }

    /// Key of its row: whom it is about, who says it.
    pub(crate) fn row_key(&self) -> Vec<u8> {
        [self.member.key.as_bytes().as_slice(), &self.author].concat()
    }

    /// Its row.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = FieldWriter::new(ROW_VERSION);
        out.fixed(&self.author).u64(self.seq).u64(self.first);
        out.u8(u8::from(self.approved.is_some()))
            .u64(self.approved.unwrap_or_default());
        out.u8(u8::from(self.here))
            .fixed(&self.member.encode())
            .finish()
    }

    /// Reads its row.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadRow> {
        let earlier = bytes.first() == Some(&1);
        let version = if earlier { 1 } else { ROW_VERSION };
        let mut row = FieldReader::open("fact", version, bytes)?;
        let (author, seq, first) = (row.array()?, row.u64()?, row.u64()?);
        let told = if earlier {
            None
        } else {
            Some((row.u8()? == 1, row.u64()?))
        };
        let here = row.u8()? == 1;
        let member = Member::decode(row.rest())?;
        let rejected = member.reason.as_deref() == Some(REJECTED);
        let was_let_in = member.state != MemberState::Pending && !rejected;
        let (is, approved) = told.unwrap_or((was_let_in, first));
        Ok(Self {
            author,
            seq,
            first,
            approved: is.then_some(approved),
            here,
            member,
        })
    }

    /// Both facts of one author on one key, as one: the newest, but a revocation stays, and so do the
    /// territory and role that came first: a key is never moved to where others trust another.
    fn joined_with(self, other: Self) -> Self {
        let first = self.first.min(other.first);
        let here = self.here || other.here;
        let begun = if self.first <= other.first {
            &self.member
        } else {
            &other.member
        };
        let (territory, role) = (begun.territory.clone(), begun.role);
        let approvals = self.approved.into_iter().chain(other.approved);
        let approved = approvals.min();
        let revoked = |fact: &Self| fact.member.state == MemberState::Revoked;
        let keeps = match (revoked(&self), revoked(&other)) {
            (true, true) => self.seq <= other.seq,
            (false, false) => self.seq >= other.seq,
            (revoked, _) => revoked,
        };
        let kept = if keeps { self } else { other };
        let member = Member {
            territory,
            role,
            ..kept.member
        };
        Self {
            first,
            approved,
            here,
            member,
            ..kept
        }
    }
}

/// 0 district, 1 coordination: as in hello and roster.
pub(crate) fn role_code(role: Role) -> u8 {
    match role {
        Role::District => 0,
        Role::Coordination => 1,
    }
}

fn state_code(state: MemberState) -> u8 {
    match state {
        MemberState::Pending => 0,
        MemberState::Approved => 1,
        MemberState::Suspended => 2,
        MemberState::Revoked => 3,
    }
}

impl Roster {
    /// The roster of a node that knows only itself and these facts.
    pub(crate) fn new(own: Party, facts: impl IntoIterator<Item = Fact>) -> Self {
        let mut roster = Self {
            own: Some(own),
            ..Self::default()
        };
        for fact in facts {
            roster.keep(fact);
        }
        roster.settle();
        roster
    }

    /// Works out what is in force; returns the members that moved.
    pub(crate) fn settle(&mut self) -> Vec<Member> {
        let now = force::in_force(self.own.as_ref(), &self.facts);
        let changed = now
            .iter()
            .filter(|(key, is)| self.in_force.get(key) != Some(is))
            .map(|(_, is)| is.member.clone())
            .collect();
        self.in_force = now;
        self.counting = self.vouched_for();
        changed
    }

    /// Keeps a fact, which [`Roster::settle`] puts in force; gives it as kept. An author that has
    /// spoken of very many keys is not heard about further ones: its log has one order, so every
    /// node hears it about the same.
    pub(crate) fn keep(&mut self, fact: Fact) -> Option<&Fact> {
        let author = fact.author;
        let of_key = self.facts.entry(fact.member.key).or_default();
        let joined = match of_key.remove(&author) {
            Some(known) => known.joined_with(fact),
            None => {
                let spoken_of = self.spoken_of.entry(author).or_default();
                if *spoken_of >= SPOKEN_OF_MAX {
                    return None;
                }
                *spoken_of += 1;
                fact
            }
        };
        Some(of_key.entry(author).or_insert(joined))
    }

    /// The member with this key.
    pub(crate) fn member(&self, key: &PeerId) -> Option<&Member> {
        self.in_force.get(key).map(|is| &is.member)
    }

    /// The member whose entries carry this origin.
    pub(crate) fn of_origin(&self, origin: [u8; 8]) -> Option<&Member> {
        let mut from = [0; 32];
        from[..8].copy_from_slice(&origin);
        let (key, is) = self.in_force.range(PeerId::from_bytes(from)..).next()?;
        (key.origin() == origin).then_some(&is.member)
    }

    /// Members in order of key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.in_force.values().map(|is| &is.member)
    }

    /// What one author said of a key.
    pub(crate) fn fact(&self, key: &PeerId, author: [u8; 8]) -> Option<&Fact> {
        self.facts.get(key)?.get(&author)
    }

    /// What everybody said of a key.
    #[cfg(feature = "testing")]
    pub(crate) fn facts_on(&self, key: &PeerId) -> impl Iterator<Item = &Fact> {
        self.facts.get(key).into_iter().flat_map(BTreeMap::values)
    }

    /// Whether anybody said anything of a key.
    pub(crate) fn is_known(&self, key: &PeerId) -> bool {
        self.facts.contains_key(key)
    }

    /// Whether a member and this node are peers: one joined at the other.
    pub(crate) fn is_peer(&self, key: &PeerId) -> bool {
        let facts = self.facts.get(key).into_iter().flatten();
        let mut facts = facts.map(|(_, fact)| fact);
        facts.any(|fact| fact.here)
    }

    /// The member that took another in which is no peer of this node.
    pub(crate) fn sponsor_of(&self, key: &PeerId) -> Option<PeerId> {
        let takers = &self
            .in_force
            .get(key)
            .filter(|_| !self.is_peer(key))?
            .takers;
        let own = self.own.as_ref().map(|own| own.key);
        takers.iter().copied().find(|taker| Some(*taker) != own)
    }

    /// Where this node joined, with the address that it dials.
    pub(crate) fn sponsors(&self) -> impl Iterator<Item = (&Member, Option<&str>)> {
        self.facts.iter().filter_map(|(key, of_key)| {
            let pinned = of_key.get(&PINNED)?;
            Some((self.member(key)?, pinned.member.address.as_deref()))
        })
    }

    /// The entry that introduces a member to others.
    pub(crate) fn introduced(&self, key: &PeerId) -> Option<(LogId, u64)> {
        self.in_force.get(key)?.introduced
    }

    /// Whether a member became one through another, directly or further down.
    pub(crate) fn came_through(&self, key: &PeerId, other: &PeerId) -> bool {
        let mut waiting = self.through(key).to_vec();
        let mut seen = BTreeSet::new();
        while let Some(next) = waiting.pop() {
            if next == *other {
                return true;
            }
            if seen.insert(next) {
                waiting.extend(self.through(&next));
            }
        }
        false
    }

    /// Whether a member is one also without another.
    pub(crate) fn comes_without(&self, key: &PeerId, other: &PeerId) -> bool {
        let mut waiting = vec![*key];
        let mut seen = BTreeSet::from([*other]);
        while let Some(next) = waiting.pop() {
            if seen.insert(next) {
                let through = self.through(&next);
                if through.is_empty() {
                    return true;
                }
                waiting.extend(through);
            }
        }
        false
    }

    fn through(&self, key: &PeerId) -> &[PeerId] {
        let own = self.own.as_ref().is_some_and(|own| own.key == *key);
        match self.in_force.get(key) {
            Some(is) if !own => &is.through,
            _ => &[],
        }
    }

    /// Whether this node may take members of this territory and role in.
    pub(crate) fn may_take_in(&self, territory: &str, role: Role) -> bool {
        self.own
            .as_ref()
            .is_some_and(|own| force::decides(own, territory, role))
    }

    /// Whether this node may decide about a member: not about itself nor where it joined.
    pub(crate) fn decides_about(&self, key: &PeerId) -> bool {
        let own = |key: &PeerId| self.own.as_ref().is_some_and(|own| own.key == *key);
        self.member(key).is_some_and(|member| {
            self.may_take_in(&member.territory, member.role)
                && !own(key)
                && self.fact(key, PINNED).is_none()
        })
    }

    /// Standing for the transport. Where this node joined is a peer for as long as it is not
    /// revoked: that it is on hold, and no more, only it can tell.
    pub(crate) fn standing(&self, key: &PeerId) -> Standing {
        let joined_there = self.fact(key, PINNED).is_some();
        match self.member(key).map(|member| member.state) {
            None => Standing::Unknown,
            Some(MemberState::Pending | MemberState::Suspended) if joined_there => {
                Standing::Approved
            }
            Some(MemberState::Pending) => Standing::Pending,
            Some(MemberState::Approved) => Standing::Approved,
            Some(MemberState::Suspended) => Standing::Suspended,
            Some(MemberState::Revoked) => Standing::Revoked,
        }
    }
}

/// The log in which an origin states facts.
pub(crate) fn facts_log(origin: [u8; 8]) -> LogId {
    LogId {
        origin,
        lane: LANE_EVERYONE,
    }
}

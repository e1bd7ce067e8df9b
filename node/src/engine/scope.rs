//! Which log may go to whom: one pure function, asked before sending and before taking.
//!
//! A log is one author's chain in one lane, and a lane is an audience; so a log is offered whole
//! or not at all, and filtering never leaves a gap. Nothing here knows links, stores or documents.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use raccordo_config::Role;
use raccordo_crdt_model::{Audience, Kind};
use raccordo_transport::PeerId;

use super::fields::{BadRow, FieldReader, FieldWriter};
use super::roster::Member;

/// The lane for a territory's nodes and its coordinations: projects.
pub(crate) const LANE_SHARED: u8 = 0;
/// The lane that stays among the territory's nodes.
pub(crate) const LANE_TERRITORY: u8 = 1;
/// The lane for every member: facts about members, and what is published to all.
pub(crate) const LANE_EVERYONE: u8 = 2;
/// The lanes whose audience is always the same.
pub(crate) const LANES: [u8; 3] = [LANE_SHARED, LANE_TERRITORY, LANE_EVERYONE];
/// The lanes for one other territory each, which its first entry names.
pub(crate) const PAIR_LANES: RangeInclusive<u8> = 16..=u8::MAX;
/// The word for all of them.
const PAIR_WORD: &str = "pair";

const VERSION: u8 = 1;

/// A node as far as its rights go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Party {
    pub(crate) key: PeerId,
    pub(crate) territory: String,
    pub(crate) role: Role,
}

/// Whoever has a key, a territory and a role.
pub(crate) trait Placed {
    fn key(&self) -> PeerId;
    fn territory(&self) -> &str;
    fn role(&self) -> Role;
}

impl Placed for Party {
    fn key(&self) -> PeerId {
        self.key
    }
    fn territory(&self) -> &str {
        &self.territory
    }
    fn role(&self) -> Role {
        self.role
    }
}

impl Placed for Member {
    fn key(&self) -> PeerId {
        self.key
    }
    fn territory(&self) -> &str {
        &self.territory
    }
    fn role(&self) -> Role {
        self.role
    }
}

impl From<&Member> for Party {
    fn from(member: &Member) -> Self {
        Self {
            key: member.key,
            territory: member.territory.clone(),
            role: member.role,
        }
    }
}

/// Whether this lane is for one other territory.
pub(crate) fn is_pair(lane: u8) -> bool {
    PAIR_LANES.contains(&lane)
}

/// Whether the log of `author` in this lane may be offered to `to`; never a node's own. A lane for
/// one other territory has a `with`, unless nothing is known of it yet.
pub(crate) fn offered(to: &dyn Placed, author: &dyn Placed, lane: u8, with: Option<&str>) -> bool {
    if to.key() == author.key() {
        return false;
    }
    let same = to.territory() == author.territory();
    match lane {
        LANE_EVERYONE => true,
        LANE_TERRITORY => same,
        LANE_SHARED => same || coordinates(to, author) || coordinates(author, to),
        lane if is_pair(lane) => {
            let above = |territory: &str| {
                to.role() == Role::Coordination && is_below(territory, to.territory())
            };
            same || coordinates(to, author)
                || with.is_some_and(|with| to.territory() == with || above(with))
        }
        _ => false,
    }
}

/// The lane of a new document of this kind; none where it is a lane for one other territory.
pub(crate) fn lane_of(kind: Kind, local: bool) -> Option<u8> {
    match (kind.audience(), local) {
        (Audience::Everyone, _) => Some(LANE_EVERYONE),
        (Audience::Home, false) => Some(LANE_SHARED),
        (Audience::Home, true) | (Audience::Territory, _) => Some(LANE_TERRITORY),
        (Audience::Parties, _) => None,
    }
}

/// Whether documents of this kind may stand in a lane.
pub(crate) fn may_hold(lane: u8, kind: Kind) -> bool {
    let lanes = [false, true].map(|local| lane_of(kind, local));
    lanes.contains(&Some(lane)) || (lanes.contains(&None) && is_pair(lane))
}

/// Whether `inner` lies within `outer`, itself excluded.
pub(crate) fn is_below(inner: &str, outer: &str) -> bool {
    inner
        .strip_prefix(outer)
        .is_some_and(|rest| rest.starts_with('/'))
}

/// How deep a territory lies: 1 is the top.
pub(crate) fn depth(territory: &str) -> usize {
    territory.split('/').count()
}

/// The word for a lane.
pub(crate) fn lane_word(lane: u8) -> &'static str {
    match lane {
        LANE_SHARED => "shared",
        LANE_TERRITORY => "territory",
        LANE_EVERYONE => "everyone",
        lane if is_pair(lane) => PAIR_WORD,
        _ => "unknown",
    }
}

/// The words for all lanes.
pub(crate) fn lane_words() -> Vec<&'static str> {
    let mut words: Vec<_> = LANES.into_iter().map(lane_word).collect();
    words.push(PAIR_WORD);
    words
}

/// The lane of a word.
pub(crate) fn lane_from_word(word: &str) -> Option<u8> {
    let mut lanes = LANES.into_iter().chain([*PAIR_LANES.start()]);
    lanes.find(|lane| lane_word(*lane) == word)
}

fn coordinates(above: &dyn Placed, below: &dyn Placed) -> bool {
    above.role() == Role::Coordination && is_below(below.territory(), above.territory())
}

/// What an administrator left of a peer's scope; an empty list leaves all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Narrowed {
    /// Only authors of these territories, or of territories within them.
    pub(crate) territories: BTreeSet<String>,
    /// Only these lanes; the first of the lanes for one other territory stands for all of them.
    pub(crate) lanes: BTreeSet<u8>,
}

impl Narrowed {
    /// Whether it leaves this log. Facts about members are never withheld: what a coordination
    /// and the sender itself tell everyone.
    pub(crate) fn leaves(&self, sender: &dyn Placed, author: &dyn Placed, lane: u8) -> bool {
        let facts = author.key() == sender.key() || author.role() == Role::Coordination;
        if lane == LANE_EVERYONE && facts {
            return true;
        }
        let territory = author.territory();
        let within = |outer: &String| territory == outer || is_below(territory, outer);
        let lane = if is_pair(lane) {
            *PAIR_LANES.start()
        } else {
            lane
        };
        (self.lanes.is_empty() || self.lanes.contains(&lane))
            && (self.territories.is_empty() || self.territories.iter().any(within))
    }

    pub(crate) fn is_all(&self) -> bool {
        self.territories.is_empty() && self.lanes.is_empty()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = FieldWriter::new(VERSION);
        let count = |length: usize| u32::try_from(length).expect("few names");
        out.u32(count(self.lanes.len()));
        for lane in &self.lanes {
            out.u8(*lane);
        }
        out.u32(count(self.territories.len()));
        for territory in &self.territories {
            out.text(territory);
        }
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadRow> {
        let mut row = FieldReader::open("scope", VERSION, bytes)?;
        let mut narrowed = Self::default();
        for _ in 0..row.u32()? {
            narrowed.lanes.insert(row.u8()?);
        }
        for _ in 0..row.u32()? {
            narrowed.territories.insert(row.text()?);
        }
        Ok(narrowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(key: u8, territory: &str, role: Role) -> Party {
        Party {
            key: PeerId::from_bytes([key; 32]),
            territory: territory.to_owned(),
            role,
        }
    }

    fn region() -> Party {
        party(1, "lazio", Role::Coordination)
    }
    fn province() -> Party {
        party(2, "lazio/frosinone", Role::Coordination)
    }
    fn other_province() -> Party {
        party(3, "lazio/latina", Role::Coordination)
    }
    fn office() -> Party {
        party(4, "lazio/frosinone/a", Role::District)
    }
    fn laptop() -> Party {
        party(5, "lazio/frosinone/a", Role::District)
    }
    fn neighbour() -> Party {
        party(6, "lazio/frosinone/b", Role::District)
    }
    fn namesake() -> Party {
        party(7, "lazio/frosinone/aa", Role::District)
    }

    /// To whom, of whom, and which of the lanes shared, territory, everyone.
    fn table() -> Vec<(Party, Party, [bool; 3])> {
        let (none, all) = ([false; 3], [true; 3]);
        let published = [false, false, true];
        let shared = [true, false, true];
        vec![
            (office(), office(), none),
            (province(), province(), none),
            (laptop(), office(), all),
            (office(), laptop(), all),
            (province(), office(), shared),
            (region(), office(), shared),
            (other_province(), office(), published),
            (neighbour(), office(), published),
            (namesake(), office(), published),
            (office(), province(), shared),
            (office(), region(), shared),
            (office(), other_province(), published),
            (province(), region(), shared),
            (region(), province(), shared),
            (other_province(), province(), published),
            (region(), neighbour(), shared),
            (neighbour(), laptop(), published),
            (province(), laptop(), shared),
        ]
    }

    #[test]
    fn a_log_goes_to_its_lanes_audience_and_to_nobody_else() {
        for (to, author, wanted) in table() {
            let seen = LANES.map(|lane| offered(&to, &author, lane, None));
            assert_eq!(seen, wanted, "to {to:?} of {author:?}");
            assert!(!offered(&to, &author, 3, None), "no such lane yet");
        }
    }

    #[test]
    fn what_two_nodes_of_different_territories_may_have_of_each_other_is_the_same_both_ways() {
        for (to, author, _) in table() {
            for lane in LANES {
                assert_eq!(
                    offered(&to, &author, lane, None),
                    offered(&author, &to, lane, None),
                    "{to:?} {author:?} {lane}"
                );
            }
        }
    }

    #[test]
    fn a_lane_for_one_territory_goes_there_and_to_the_coordinations_above_either() {
        let other = party(8, "lazio/latina/z", Role::District);
        let with = Some("lazio/latina/z");
        let gets = |to: &Party, with| offered(to, &office(), 16, with);
        for to in [laptop(), province(), region()] {
            assert!(gets(&to, with) && gets(&to, None), "{to:?}");
        }
        for to in [other, other_province()] {
            assert!(gets(&to, with) && !gets(&to, None), "{to:?}");
        }
        for to in [neighbour(), namesake(), office()] {
            assert!(!gets(&to, with) && !gets(&to, None), "{to:?}");
        }
    }

    #[test]
    fn a_narrowed_scope_withholds_all_but_facts_about_members() {
        let narrowed = Narrowed {
            territories: BTreeSet::from(["lazio/frosinone/a".to_owned()]),
            lanes: BTreeSet::from([LANE_SHARED]),
        };
        let sender = province();
        assert!(narrowed.leaves(&sender, &office(), LANE_SHARED));
        assert!(!narrowed.leaves(&sender, &office(), LANE_EVERYONE));
        assert!(!narrowed.leaves(&sender, &neighbour(), LANE_SHARED));
        assert!(!narrowed.leaves(&sender, &namesake(), LANE_SHARED));
        assert!(narrowed.leaves(&sender, &sender, LANE_EVERYONE));
        assert!(narrowed.leaves(&sender, &region(), LANE_EVERYONE));
        assert!(Narrowed::default().leaves(&sender, &neighbour(), LANE_EVERYONE));
        assert_eq!(Narrowed::decode(&narrowed.encode()), Ok(narrowed));
    }

    #[test]
    fn every_lane_has_a_word_of_its_own() {
        for lane in LANES.into_iter().chain([16]) {
            assert_eq!(lane_from_word(lane_word(lane)), Some(lane));
        }
        assert_eq!(lane_words(), ["shared", "territory", "everyone", "pair"]);
        assert_eq!(lane_word(255), "pair");
        assert_eq!(lane_from_word("unknown"), None);
    }
}

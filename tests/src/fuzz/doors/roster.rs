//! Facts about members, from many authors, in any order, as three nodes of one federation hear them.
//!
//! An input is facts: a byte that chooses the author, the number of the entry, the length of the
//! body, the body. One log says one thing at one place, so only the first of two counts.

use std::collections::{BTreeMap, BTreeSet};

use raccordo_config::Role;
use raccordo_node::engine::MemberState;
use raccordo_node::engine::simulated::{
    MemberFacts, SignedFact, Stands, fact_body, rewritten, standings,
};
use raccordo_tests::chance::Chance;
use raccordo_transport::{PeerId, Standing};

use crate::mutate::{number, scramble};
use crate::target::{Answer, Target};

/// Territory and role of each member, by the byte that its key consists of, less one.
const MEMBERS: [(&str, Role); 6] = [
    ("lazio", Role::Coordination),
    ("lazio/fr", Role::Coordination),
    ("lazio/fr/a", Role::District),
    ("lazio/fr/a", Role::District),
    ("lazio/fr/b", Role::District),
    ("lazio/fr", Role::District),
];

/// The nodes that hear the facts, each with the one where it joined.
const HEARERS: [(u8, Option<u8>); 4] = [(1, None), (2, Some(1)), (3, Some(2)), (4, Some(3))];

/// Most facts of one input.
const FACTS_MAX: usize = 24;

/// The door of facts about members.
pub(crate) struct Facts;

impl Target for Facts {
    fn name(&self) -> &'static str {
        "roster"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        use MemberState::{Approved, Pending, Revoked, Suspended};
        let ends = [Approved, Pending, Suspended, Revoked].map(|state| {
            let mut facts = chain();
            facts.push((3, 3, fact(4, state)));
            facts.push((2, 4, fact(3, state)));
            written(&facts)
        });
        ends.into_iter().chain([written(&chain())]).collect()
    }

    fn input(&self, chance: &mut Chance) -> Vec<u8> {
        let mut facts = if chance.percent(85) {
            chain()
        } else {
            Vec::new()
        };
        for _ in 0..chance.index(8) {
            facts.push(said(chance));
        }
        for _ in 0..chance.index(3) {
            let at = chance.index(facts.len() + 1);
            match chance.index(4) {
                0 if at < facts.len() => drop(facts.remove(at)),
                1 if at < facts.len() => facts[at].1 = number(chance, facts[at].1),
                2 if at < facts.len() => scramble(chance, &mut facts[at].2),
                _ => facts.insert(at, said(chance)),
            }
        }
        chance.shuffle(&mut facts);
        let mut input = written(&facts);
        if chance.percent(10) {
            scramble(chance, &mut input);
        }
        input
    }

    fn feed(&self, input: &[u8]) -> Answer<'_> {
        let Some(facts) = read(input) else {
            return Answer::Refused("no whole facts, or too many".to_owned());
        };
        for fact in &facts {
            match rewritten(&fact.body) {
                Err(bad) => return Answer::Refused(bad.to_string()),
                // An older version names no ends.
                Ok(again) if again != fact.body && fact.body.first() == again.first() => {
                    let what = format!("a fact reads as another: {:?}", fact.body);
                    let meant = rewritten(&again);
                    if meant.as_ref() != Ok(&again) {
                        return Answer::is_in(move || Err(what));
                    }
                }
                Ok(_) => {}
            }
        }
        let heard = HEARERS.map(|hearer| hear(hearer, &facts));
        Answer::is_in(move || {
            let mut other = facts.clone();
            other.reverse();
            let mut third = facts;
            let mut chance = Chance::new(third.iter().map(|fact| fact.seq).sum());
            chance.shuffle(&mut third);
            for (hearer, heard) in HEARERS.into_iter().zip(heard) {
                let [now, restarted] = heard?;
                if now != restarted {
                    return Err(format!("{} decides otherwise after a restart", hearer.0));
                }
                for order in [&other, &third] {
                    let [again, _] = hear(hearer, order)?;
                    if again != now {
                        return Err(format!("{} decides otherwise in another order", hearer.0));
                    }
                }
                fits(hearer, &now, &third)?;
            }
            Ok(())
        })
    }
}

type Said = (u8, u64, Vec<u8>);

fn key(member: u8) -> PeerId {
    PeerId::from_bytes([member; 32])
}

fn member(member: u8, state: MemberState) -> MemberFacts {
    let (territory, role) = MEMBERS[usize::from(member.clamp(1, 6)) - 1];
    MemberFacts {
        key: key(member),
        territory: territory.to_owned(),
        role,
        state,
        ends: BTreeMap::new(),
    }
}

fn fact(subject: u8, state: MemberState) -> Vec<u8> {
    fact_body(&member(subject, state), "Alatri", 12, Some("perso"))
}

/// The region took the province in, the province two offices, one of them a laptop.
fn chain() -> Vec<Said> {
    [
        (1, 1, 2),
        (2, 1, 1),
        (2, 2, 3),
        (2, 3, 5),
        (3, 1, 2),
        (3, 2, 4),
        (4, 1, 3),
    ]
    .map(|(author, seq, subject)| (author, seq, fact(subject, MemberState::Approved)))
    .to_vec()
}

fn said(chance: &mut Chance) -> Said {
    use MemberState::{Approved, Pending, Revoked, Suspended};
    let author = chance.between(1, 6).to_le_bytes()[0];
    let subject = chance.between(1, 6).to_le_bytes()[0];
    let state = *chance.pick(&[Approved, Pending, Suspended, Revoked, Revoked]);
    let mut about = member(subject, state);
    if chance.percent(25) {
        let (territory, role) = *chance.pick(&MEMBERS);
        (about.territory, about.role) = (territory.to_owned(), role);
    }
    if state == Revoked || chance.percent(5) {
        for _ in 0..chance.index(3) {
            let lane = chance.between(0, 3).to_le_bytes()[0];
            about.ends.insert(lane, number(chance, 4));
        }
    }
    let since_ms = number(chance, 12).cast_signed();
    let long = if chance.percent(3) { 300 } else { 6 };
    let reason = chance.percent(50).then_some("perso");
    let body = fact_body(&about, &"a".repeat(long), since_ms, reason);
    (author, chance.between(1, 12), body)
}

fn written(facts: &[Said]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (author, seq, body) in facts {
        bytes.push(*author);
        bytes.extend(seq.to_be_bytes());
        let length = u16::try_from(body.len()).expect("a short body");
        bytes.extend(length.to_be_bytes());
        bytes.extend(body);
    }
    bytes
}

fn read(mut rest: &[u8]) -> Option<Vec<SignedFact>> {
    let mut places = BTreeSet::new();
    let mut facts = Vec::new();
    while let Some((author, after)) = rest.split_first() {
        let (seq, after) = after.split_first_chunk::<8>()?;
        let (length, after) = after.split_first_chunk::<2>()?;
        let (body, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
        let fact = SignedFact {
            author: [*author; 8],
            seq: u64::from_be_bytes(*seq),
            body: body.to_vec(),
        };
        // The author of what a node pinned itself is nobody's origin.
        if *author != 0 && fact.seq > 0 && places.insert((fact.author, fact.seq)) {
            facts.push(fact);
        }
        rest = after;
    }
    (facts.len() <= FACTS_MAX).then_some(facts)
}

fn hear((own, above): (u8, Option<u8>), facts: &[SignedFact]) -> Result<[Vec<Stands>; 2], String> {
    let (territory, role) = MEMBERS[usize::from(own) - 1];
    let joined_at: Vec<_> = above
        .map(|above| member(above, MemberState::Approved))
        .into_iter()
        .collect();
    let heard = standings((key(own), territory, role), &joined_at, facts);
    heard.map_err(|bad| bad.to_string())
}

/// What a coordination revoked below itself stays revoked there, and where a node joined is a peer
/// unless it was revoked.
fn fits(hearer: (u8, Option<u8>), now: &[Stands], facts: &[SignedFact]) -> Result<(), String> {
    let of = |member: u8| now.iter().find(|stands| stands.member.key == key(member));
    if let Some(above) = hearer.1.and_then(of)
        && !matches!(above.standing, Standing::Approved | Standing::Revoked)
    {
        return Err(format!("{} has left where it joined", hearer.0));
    }
    if hearer.0 == 2 {
        for subject in [3, 4, 5, 6] {
            let (territory, role) = MEMBERS[usize::from(subject) - 1];
            let revoked = facts.iter().any(|fact| {
                let gone = MemberState::Revoked;
                let body = fact_body(&member(subject, gone), "Alatri", 12, Some("perso"));
                fact.author == [2; 8] && fact.body == body
            });
            let is = of(subject).map(|stands| stands.member.state);
            if revoked && is != Some(MemberState::Revoked) {
                return Err(format!(
                    "{subject} of {territory} ({role:?}) is {is:?} all the same"
                ));
            }
        }
    }
    Ok(())
}

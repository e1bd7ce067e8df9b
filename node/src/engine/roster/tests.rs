//! What the facts add up to, at every node of a federation of three levels.

use super::*;
use proptest::prelude::*;

fn key(byte: u8) -> PeerId {
    PeerId::from_bytes([byte; 32])
}

const REGION: u8 = 1;
const PROVINCE: u8 = 2;
const OFFICE: u8 = 3;
const LAPTOP: u8 = 4;
const NEIGHBOUR: u8 = 5;
/// Let into the office's territory by somebody else.
const STRANGER: u8 = 6;

fn party(byte: u8) -> Party {
    let (territory, role) = match byte {
        REGION => ("lazio", Role::Coordination),
        PROVINCE => ("lazio/fr", Role::Coordination),
        NEIGHBOUR => ("lazio/fr/b", Role::District),
        _ => ("lazio/fr/a", Role::District),
    };
    Party {
        key: key(byte),
        territory: territory.to_owned(),
        role,
    }
}

fn member(byte: u8, state: MemberState) -> Member {
    let party = party(byte);
    Member {
        key: party.key,
        territory: party.territory,
        role: party.role,
        name: "Alatri".to_owned(),
        state,
        since_ms: 12,
        reason: Some("perso".to_owned()),
        address: None,
        ends: BTreeMap::new(),
    }
}

/// What `author` says of `subject` in its entry `seq`.
fn fact(author: u8, seq: u64, subject: u8, state: MemberState) -> Fact {
    Fact::new(key(author).origin(), seq, false, member(subject, state))
}

fn pin(subject: u8) -> Fact {
    Fact {
        author: PINNED,
        seq: 0,
        first: 0,
        approved: None,
        here: true,
        member: member(subject, MemberState::Approved),
    }
}

fn revoked(author: u8, seq: u64, subject: u8, ends: &[(u8, u64)]) -> Fact {
    let mut fact = fact(author, seq, subject, MemberState::Revoked);
    fact.member.ends = ends.iter().copied().collect();
    fact
}

/// The whole chain: the region took the province in, the province the offices, the office a laptop.
fn chain() -> Vec<Fact> {
    use MemberState::Approved;
    vec![
        fact(REGION, 1, PROVINCE, Approved),
        fact(PROVINCE, 1, REGION, Approved),
        fact(PROVINCE, 2, OFFICE, Approved),
        fact(PROVINCE, 3, NEIGHBOUR, Approved),
        fact(OFFICE, 1, PROVINCE, Approved),
        fact(OFFICE, 2, LAPTOP, Approved),
        fact(LAPTOP, 1, OFFICE, Approved),
    ]
}

fn at(own: u8, pinned: &[u8], facts: Vec<Fact>) -> Roster {
    let pins = pinned.iter().map(|byte| pin(*byte));
    Roster::new(party(own), pins.chain(facts))
}

fn everywhere(facts: &[Fact]) -> Vec<(u8, Roster)> {
    let pins: [(u8, &[u8]); 5] = [
        (REGION, &[]),
        (PROVINCE, &[REGION]),
        (OFFICE, &[PROVINCE]),
        (LAPTOP, &[OFFICE]),
        (NEIGHBOUR, &[PROVINCE]),
    ];
    pins.into_iter()
        .map(|(own, pins)| (own, at(own, pins, facts.to_vec())))
        .collect()
}

#[test]
fn a_fact_and_its_row_come_back_as_they_were_written() {
    for state in [
        MemberState::Pending,
        MemberState::Approved,
        MemberState::Suspended,
        MemberState::Revoked,
    ] {
        let fact = Fact {
            member: Member {
                ends: BTreeMap::from([(0, 7), (2, 9)]),
                ..member(OFFICE, state)
            },
            ..fact(PROVINCE, 4, OFFICE, state)
        };
        assert_eq!(
            Member::decode(&fact.member.encode()),
            Ok(fact.member.clone())
        );
        assert_eq!(Fact::decode(&fact.encode()), Ok(fact));
    }
}

#[test]
fn a_fact_of_no_territory_or_with_endless_texts_is_no_fact() {
    let bad = [
        Member {
            territory: "Frosinone/A".to_owned(),
            ..member(OFFICE, MemberState::Approved)
        },
        Member {
            name: "x".repeat(NAME_BYTES_MAX + 1),
            ..member(OFFICE, MemberState::Approved)
        },
        Member {
            reason: Some("x".repeat(REASON_BYTES_MAX + 1)),
            ..member(OFFICE, MemberState::Approved)
        },
    ];
    for member in bad {
        assert!(Member::decode(&member.encode()).is_err(), "{member:?}");
    }
}

#[test]
fn an_author_that_speaks_of_endless_keys_costs_no_endless_memory() {
    let mut roster = at(PROVINCE, &[REGION], chain());
    for number in 0..2 * u32::try_from(SPOKEN_OF_MAX).unwrap() {
        let mut fact = fact(
            NEIGHBOUR,
            u64::from(number) + 1,
            NEIGHBOUR,
            MemberState::Approved,
        );
        let mut bytes = [9; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        fact.member.key = PeerId::from_bytes(bytes);
        roster.keep(fact);
    }
    assert!(roster.facts.values().map(BTreeMap::len).sum::<usize>() <= SPOKEN_OF_MAX + 10);
    roster.keep(revoked(PROVINCE, 50, NEIGHBOUR, &[]));
    roster.settle();
    assert_eq!(roster.standing(&key(NEIGHBOUR)), Standing::Revoked);
}

#[test]
fn everybody_learns_everybody_through_those_where_they_joined() {
    for (own, roster) in everywhere(&chain()) {
        for other in [REGION, PROVINCE, OFFICE, LAPTOP, NEIGHBOUR] {
            let wanted = if own == other && own == REGION {
                Standing::Unknown
            } else {
                Standing::Approved
            };
            assert_eq!(roster.standing(&key(other)), wanted, "{own} of {other}");
        }
    }
}

#[test]
fn a_coordination_that_nobody_above_vouches_for_is_nobody() {
    let stray = vec![fact(NEIGHBOUR, 1, REGION, MemberState::Approved)];
    assert_eq!(
        at(OFFICE, &[PROVINCE], stray).standing(&key(REGION)),
        Standing::Unknown,
        "a neighbour names no coordination"
    );
}

#[test]
fn a_district_decides_about_its_own_territorys_devices_alone() {
    let mut facts = chain();
    facts.push(revoked(OFFICE, 3, NEIGHBOUR, &[]));
    facts.push(revoked(NEIGHBOUR, 1, LAPTOP, &[]));
    facts.push(revoked(OFFICE, 4, PROVINCE, &[]));
    for (own, roster) in everywhere(&facts) {
        for other in [NEIGHBOUR, LAPTOP] {
            let standing = roster.standing(&key(other));
            assert_eq!(standing, Standing::Approved, "{own} of {other}");
        }
    }
    let province = at(PROVINCE, &[], facts);
    assert_eq!(province.standing(&key(OFFICE)), Standing::Approved);
}

#[test]
fn nobody_decides_about_those_through_whom_it_came() {
    let mut facts = chain();
    facts.push(revoked(LAPTOP, 2, OFFICE, &[]));
    for own in [REGION, PROVINCE, NEIGHBOUR] {
        let (_, roster) = everywhere(&facts).remove(usize::from(own) - 1);
        assert_eq!(roster.standing(&key(OFFICE)), Standing::Approved, "{own}");
    }
}

#[test]
fn a_fact_about_another_territory_than_the_members_counts_for_nothing() {
    let mut facts = chain();
    let mut claim = revoked(NEIGHBOUR, 1, OFFICE, &[]);
    claim.member.territory = "lazio/fr/b".to_owned();
    facts.push(claim);
    for (own, roster) in everywhere(&facts) {
        let standing = roster.standing(&key(OFFICE));
        assert_eq!(standing, Standing::Approved, "{own}");
    }
}

#[test]
fn revoked_stays_suspended_goes_before_approved_and_else_the_highest_decides() {
    use MemberState::{Approved, Pending, Suspended};
    let of_laptop = |facts: &[Fact]| {
        let all = chain().into_iter().chain(facts.to_vec()).collect();
        at(PROVINCE, &[], all).standing(&key(LAPTOP))
    };
    let suspended = fact(OFFICE, 3, LAPTOP, Suspended);
    let confirmed = fact(PROVINCE, 9, LAPTOP, Approved);
    let gone = revoked(OFFICE, 4, LAPTOP, &[]);
    // A hold whose author was revoked since is lifted from above, by a later word alone.
    let of_revoked = |later_ms| {
        let mut lifted = fact(PROVINCE, 9, LAPTOP, Approved);
        lifted.member.since_ms = suspended.member.since_ms + later_ms;
        let office_gone = revoked(PROVINCE, 4, OFFICE, &[]);
        of_laptop(&[suspended.clone(), lifted, office_gone])
    };
    assert_eq!(of_revoked(0), Standing::Suspended);
    assert_eq!(of_revoked(1), Standing::Approved);
    assert_eq!(
        of_laptop(std::slice::from_ref(&suspended)),
        Standing::Suspended
    );
    assert_eq!(
        of_laptop(&[suspended.clone(), confirmed.clone()]),
        Standing::Suspended
    );
    assert_eq!(
        of_laptop(&[suspended, fact(OFFICE, 5, LAPTOP, Approved)]),
        Standing::Approved
    );
    assert_eq!(
        of_laptop(&[fact(PROVINCE, 9, LAPTOP, Pending)]),
        Standing::Pending
    );
    assert_eq!(
        of_laptop(&[gone, fact(OFFICE, 6, LAPTOP, Approved), confirmed]),
        Standing::Revoked
    );
}

#[test]
fn where_this_node_joined_stays_a_peer_while_others_have_not_approved_it_yet() {
    let mut facts = chain();
    facts[0] = fact(REGION, 1, PROVINCE, MemberState::Pending);
    let office = at(OFFICE, &[PROVINCE], facts);
    assert_eq!(office.standing(&key(PROVINCE)), Standing::Approved);
    assert!(office.is_peer(&key(PROVINCE)) && !office.is_peer(&key(NEIGHBOUR)));
}

#[test]
fn a_revoked_members_logs_end_where_anybody_entitled_had_admitted_them_to() {
    let mut facts = chain();
    facts.push(revoked(PROVINCE, 9, LAPTOP, &[(0, 4)]));
    facts.push(revoked(OFFICE, 9, LAPTOP, &[(0, 6), (1, 2)]));
    for (own, roster) in everywhere(&facts) {
        let laptop = roster.member(&key(LAPTOP)).expect("known");
        let ends = [0, 1, 2].map(|lane| laptop.end_of(lane));
        assert_eq!(ends, [Some(6), Some(2), Some(0)], "{own}");
    }
}

#[test]
fn a_member_is_on_the_side_of_those_who_took_it_in() {
    let office = at(OFFICE, &[PROVINCE], chain());
    assert!(office.came_through(&key(LAPTOP), &key(OFFICE)));
    assert!(!office.comes_without(&key(LAPTOP), &key(OFFICE)));
    for above in [PROVINCE, REGION, NEIGHBOUR] {
        assert!(!office.came_through(&key(above), &key(OFFICE)), "{above}");
        assert!(office.comes_without(&key(above), &key(OFFICE)), "{above}");
    }
    let region = at(REGION, &[], chain());
    for below in [OFFICE, LAPTOP, NEIGHBOUR] {
        assert!(region.came_through(&key(below), &key(PROVINCE)), "{below}");
        assert!(
            !region.comes_without(&key(below), &key(PROVINCE)),
            "{below}"
        );
    }
    // Taken in by the province as well, the laptop is on both sides.
    let mut facts = chain();
    facts.push(fact(PROVINCE, 9, LAPTOP, MemberState::Approved));
    let province = at(PROVINCE, &[REGION], facts);
    assert!(province.came_through(&key(LAPTOP), &key(OFFICE)));
    assert!(province.comes_without(&key(LAPTOP), &key(OFFICE)));
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let state = prop_oneof![
        Just(MemberState::Pending),
        Just(MemberState::Approved),
        Just(MemberState::Suspended),
        Just(MemberState::Revoked),
    ];
    let territory = prop_oneof![
        4 => Just(None),
        1 => Just(Some("lazio/fr/a")),
        1 => Just(Some("lazio/fr")),
        1 => Just(Some("lazio/fr/b")),
    ];
    (
        1..=6_u8,
        1..40_u64,
        1..=6_u8,
        state,
        territory,
        0..3_i64,
        0..9_u64,
    )
        .prop_map(|(author, seq, subject, state, territory, since_ms, end)| {
            let mut fact = fact(author, seq, subject, state);
            fact.member.since_ms = since_ms;
            if let Some(territory) = territory {
                fact.member.territory = territory.to_owned();
            }
            if state == MemberState::Revoked {
                fact.member.ends = BTreeMap::from([(0, end)]);
            }
            fact
        })
}

/// One log says one thing at one place.
fn of_real_logs(facts: Vec<Fact>) -> Vec<Fact> {
    let mut by_place = BTreeMap::new();
    for fact in facts {
        by_place.entry((fact.author, fact.seq)).or_insert(fact);
    }
    by_place.into_values().collect()
}

#[test]
fn a_node_stays_with_where_it_joined_until_that_is_revoked() {
    for state in [MemberState::Pending, MemberState::Suspended] {
        let facts = [chain(), vec![fact(PROVINCE, 9, OFFICE, state)]].concat();
        let laptop = at(LAPTOP, &[OFFICE], facts.clone());
        assert_eq!(laptop.standing(&key(OFFICE)), Standing::Approved);
        assert_ne!(
            at(PROVINCE, &[], facts).standing(&key(OFFICE)),
            Standing::Approved
        );
    }
    let facts = [chain(), vec![revoked(PROVINCE, 9, OFFICE, &[])]].concat();
    let laptop = at(LAPTOP, &[OFFICE], facts);
    assert_eq!(laptop.standing(&key(OFFICE)), Standing::Revoked);
}

#[test]
fn a_device_goes_with_the_office_that_took_it_in_at_every_node() {
    let mut facts = chain();
    facts.push(revoked(PROVINCE, 9, OFFICE, &[(2, 2)]));
    for (own, roster) in everywhere(&facts) {
        let laptop = roster.member(&key(LAPTOP)).expect("known");
        assert_eq!(laptop.state, MemberState::Revoked, "{own}");
        assert_eq!(laptop.reason.as_deref(), Some(SPONSOR_REVOKED), "{own}");
        assert_eq!(
            roster.standing(&key(NEIGHBOUR)),
            Standing::Approved,
            "{own}"
        );
    }
    // Where its logs end is said by whoever may.
    facts.push(revoked(PROVINCE, 10, LAPTOP, &[(0, 7)]));
    for (own, roster) in everywhere(&facts) {
        let laptop = roster.member(&key(LAPTOP)).expect("known");
        assert_eq!(laptop.end_of(0), Some(7), "{own}");
    }
}

#[test]
fn a_device_that_another_took_in_as_well_stays_when_its_office_goes() {
    let mut facts = chain();
    facts.push(revoked(PROVINCE, 9, OFFICE, &[]));
    facts.push(fact(PROVINCE, 8, LAPTOP, MemberState::Approved));
    for (own, roster) in everywhere(&facts) {
        assert_eq!(roster.standing(&key(LAPTOP)), Standing::Approved, "{own}");
    }
}

#[test]
fn devices_that_vouch_for_each_other_go_with_their_office_all_the_same() {
    const OTHER: u8 = 6;
    let mut facts = chain();
    facts.push(fact(OFFICE, 3, OTHER, MemberState::Approved));
    facts.push(fact(LAPTOP, 2, OTHER, MemberState::Approved));
    facts.push(fact(OTHER, 1, LAPTOP, MemberState::Approved));
    facts.push(revoked(PROVINCE, 9, OFFICE, &[]));
    for (own, roster) in everywhere(&facts) {
        for device in [LAPTOP, OTHER] {
            let standing = roster.standing(&key(device));
            assert_eq!(standing, Standing::Revoked, "{own} of {device}");
        }
    }
}

#[test]
fn an_office_that_belongs_to_no_coordination_stands_by_itself_with_its_devices() {
    let facts = vec![
        fact(OFFICE, 2, LAPTOP, MemberState::Approved),
        fact(LAPTOP, 1, OFFICE, MemberState::Approved),
    ];
    let laptop = at(LAPTOP, &[OFFICE], facts.clone());
    assert_eq!(laptop.standing(&key(OFFICE)), Standing::Approved);
    assert_eq!(laptop.standing(&key(LAPTOP)), Standing::Approved);
    let office = at(OFFICE, &[], facts);
    assert_eq!(office.standing(&key(LAPTOP)), Standing::Approved);
}

proptest! {
    #[test]
    fn nobody_stands_below_the_office_when_it_is_revoked_whatever_else_is_said_below(
        facts in prop::collection::vec(any_fact(), 1..40),
    ) {
        let below = |author: &[u8; 8]| [LAPTOP, NEIGHBOUR, 6].iter().any(|b| key(*b).origin() == *author);
        let said = of_real_logs(facts).into_iter().filter(|fact| below(&fact.author));
        let facts: Vec<Fact> = chain()
            .into_iter()
            .chain([revoked(PROVINCE, 50, OFFICE, &[])])
            .chain(said)
            .collect();
        for (own, pins) in [(REGION, vec![]), (PROVINCE, vec![REGION]), (LAPTOP, vec![OFFICE])] {
            let roster = at(own, &pins, facts.clone());
            prop_assert_eq!(roster.standing(&key(LAPTOP)), Standing::Revoked, "{}", own);
        }
    }

    #[test]
    fn nodes_that_hear_the_same_facts_in_any_order_decide_the_same(
        facts in prop::collection::vec(any_fact(), 1..40),
        shuffle in any::<prop::sample::Index>(),
        seed in any::<u64>(),
    ) {
        let facts = of_real_logs(facts);
        let mut other = facts.clone();
        other.rotate_left(shuffle.index(facts.len()));
        other.sort_by_key(|fact| {
            (fact.seq ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(fact.author[0])
        });
        for (own, pins) in [(PROVINCE, vec![REGION]), (LAPTOP, vec![OFFICE]), (OFFICE, vec![PROVINCE])] {
            let whole = at(own, &pins, facts.clone());
            let mut heard = at(own, &pins, Vec::new());
            for fact in &other {
                heard.keep(fact.clone());
                heard.settle();
            }
            prop_assert_eq!(&whole.in_force, &heard.in_force);
            let again = Roster::new(party(own), heard.facts.values().flat_map(BTreeMap::values).cloned());
            prop_assert_eq!(&again.in_force, &heard.in_force, "also after a restart");
        }
    }

    #[test]
    fn nothing_brings_a_revoked_key_back(
        facts in prop::collection::vec(any_fact(), 1..40),
        more in prop::collection::vec(any_fact(), 1..10),
    ) {
        let mut roster = at(PROVINCE, &[REGION], chain());
        roster.keep(revoked(PROVINCE, 50, LAPTOP, &[]));
        for fact in of_real_logs(facts.into_iter().chain(more).collect()) {
            roster.keep(fact);
            roster.settle();
            prop_assert_eq!(roster.standing(&key(LAPTOP)), Standing::Revoked);
        }
    }
}

/// Who counts at each node, by whom the facts are in the order given.
fn counting(facts: &[Fact]) -> Vec<Vec<u8>> {
    let at = everywhere(facts).into_iter();
    let counts = |roster: &Roster| {
        let all = [OFFICE, LAPTOP, NEIGHBOUR, STRANGER].into_iter();
        all.filter(|byte| roster.counts(&key(*byte))).collect()
    };
    at.map(|(_, roster)| counts(&roster)).collect()
}

#[test]
fn of_a_territorys_nodes_the_first_that_was_let_in_counts_and_whom_those_that_count_took_in() {
    use MemberState::{Approved, Pending};
    let facts = |more: &[Fact]| [&chain()[..], more].concat();
    let all = vec![OFFICE, LAPTOP, NEIGHBOUR];
    assert!(counting(&facts(&[])).iter().all(|counts| *counts == all));
    let stranger = fact(PROVINCE, 9, STRANGER, Approved);
    let mut late = facts(std::slice::from_ref(&stranger));
    assert!(counting(&late).iter().all(|counts| *counts == all));
    late.reverse();
    assert!(counting(&late).iter().all(|counts| *counts == all));
    // Whoever was named before the office and let in after it is not the first.
    let early = fact(PROVINCE, 0, STRANGER, Pending);
    let named = facts(&[early, stranger.clone()]);
    assert!(counting(&named).iter().all(|counts| *counts == all));
    let gone = facts(&[stranger.clone(), revoked(PROVINCE, 8, OFFICE, &[])]);
    let mut vouched = counting(&gone).into_iter();
    assert!(vouched.all(|counts| !counts.contains(&STRANGER)));
    let taken_in = facts(&[stranger, fact(OFFICE, 5, STRANGER, Approved)]);
    let with = vec![OFFICE, LAPTOP, NEIGHBOUR, STRANGER];
    assert!(counting(&taken_in).iter().all(|counts| *counts == with));
}

#[test]
fn a_key_that_is_moved_to_another_territory_takes_nobodys_place_there() {
    use MemberState::Approved;
    let elsewhere = |seq, subject, territory: &str| {
        let mut fact = fact(PROVINCE, seq, subject, Approved);
        fact.member.territory = territory.to_owned();
        fact
    };
    let comes = [
        elsewhere(1, STRANGER, "lazio/fr/c"),
        elsewhere(9, STRANGER, "lazio/fr/a"),
    ];
    let leaves = [
        elsewhere(8, OFFICE, "lazio/fr/c"),
        elsewhere(9, STRANGER, "lazio/fr/a"),
    ];
    for moved in [comes, leaves] {
        let mut facts = [chain(), moved.to_vec()].concat();
        for _ in 0..2 {
            for (own, roster) in everywhere(&facts) {
                let first = roster.first_of("lazio/fr/a");
                assert_eq!(first, Some(key(OFFICE)), "{own}");
                let in_its_place = roster.member(&key(STRANGER)).is_some_and(|member| {
                    member.territory == "lazio/fr/a" && roster.counts(&member.key)
                });
                assert!(!in_its_place, "{own}");
            }
            facts.reverse();
        }
    }
}

#[test]
fn where_two_coordinations_let_different_nodes_in_first_none_counts_before_it_is_confirmed() {
    use MemberState::Approved;
    let facts = [chain(), vec![fact(REGION, 2, STRANGER, Approved)]].concat();
    for (own, mut roster) in everywhere(&facts) {
        assert_eq!(roster.first_of("lazio/fr/a"), None, "{own}");
        assert!(!roster.counts(&key(OFFICE)) && roster.counts(&key(NEIGHBOUR)));
        assert!(roster.confirm(key(NEIGHBOUR).origin(), key(OFFICE)));
        roster.settle();
        assert!(roster.counts_for(&key(OFFICE), "lazio/fr/b"), "{own}");
        assert!(!roster.counts_for(&key(STRANGER), "lazio/fr/b"), "{own}");
        assert!(!roster.counts_for(&key(OFFICE), "lazio/fr/c"), "{own}");
    }
}

#[test]
fn a_row_that_was_written_before_approvals_were_noted_says_what_it_can() {
    let now = fact(PROVINCE, 4, OFFICE, MemberState::Approved).encode();
    let head = [&[1], &now[1..25]].concat();
    let earlier = [&head[..], &now[34..]].concat();
    let read = Fact::decode(&earlier).unwrap();
    assert_eq!(read.approved, Some(4));
    assert_eq!(read.encode(), now);
}

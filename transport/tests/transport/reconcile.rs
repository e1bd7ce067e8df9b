//! Reconciliation from outside: against brute force, against a hostile peer, and what it costs.

use std::collections::BTreeMap;

use proptest::prelude::*;
use raccordo_transport::reconcile::{
    Broken, Differences, MESSAGE_BYTES_MAX, Message, Reconciler, Step,
};

type Items = BTreeMap<[u8; 16], [u8; 32]>;

const KEY: [u8; 32] = [0x5a; 32];

#[derive(Debug, Default)]
struct Run {
    messages: usize,
    bytes: usize,
    longest: usize,
}

/// A mixing function with a period far above what a test needs.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn id(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.next().to_be_bytes());
        id[8..].copy_from_slice(&self.next().to_be_bytes());
        id
    }

    fn hash(&mut self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash[..16].copy_from_slice(&self.id());
        hash[16..].copy_from_slice(&self.id());
        hash
    }
}

fn random_items(count: usize, dice: &mut Dice) -> Items {
    (0..count).map(|_| (dice.id(), dice.hash())).collect()
}

fn reconciler(items: &Items) -> Reconciler {
    Reconciler::new(items.iter().map(|(id, hash)| (*id, *hash)).collect(), KEY)
}

/// A whole run; every message goes through its bytes.
fn run(initiator: &Items, responder: &Items) -> (Differences, Differences, Run) {
    run_of([reconciler(initiator), reconciler(responder)])
}

fn run_of(mut sides: [Reconciler; 2]) -> (Differences, Differences, Run) {
    let mut finished = [false, false];
    let mut seen = Run::default();
    let mut message = Some(sides[0].start());
    let mut to = 1;
    while let Some(said) = message.take() {
        let bytes = said.encode();
        seen.messages += 1;
        seen.bytes += bytes.len();
        seen.longest = seen.longest.max(bytes.len());
        let step = sides[to].step(&Message::parse(&bytes).unwrap()).unwrap();
        finished[to] |= step.finished;
        message = step.reply;
        to = 1 - to;
    }
    assert_eq!(finished, [true, true]);
    let [one, other] = sides;
    (one.into_differences(), other.into_differences(), seen)
}

fn by_force(ours: &Items, theirs: &Items) -> Differences {
    let only = |some: &Items, others: &Items| {
        some.keys()
            .filter(|id| !others.contains_key(*id))
            .copied()
            .collect()
    };
    Differences {
        missing_here: only(theirs, ours),
        missing_there: only(ours, theirs),
        different: ours
            .iter()
            .filter(|(id, hash)| theirs.get(*id).is_some_and(|other| other != *hash))
            .map(|(id, _)| *id)
            .collect(),
    }
}

fn agree(one: &Items, other: &Items) -> Run {
    let (first, second, seen) = run(one, other);
    assert_eq!(first, by_force(one, other));
    assert_eq!(second, by_force(other, one));
    assert!(seen.longest <= MESSAGE_BYTES_MAX);
    seen
}

/// Alters, takes away and adds, each for one in `share` of the items.
fn altered(items: &Items, share: u64, dice: &mut Dice) -> Items {
    let mut other = items.clone();
    for id in items.keys() {
        match dice.next() % share.saturating_mul(3).max(1) {
            0 => {
                other.remove(id);
            }
            1 => {
                other.insert(*id, dice.hash());
            }
            2 => {
                other.insert(dice.id(), dice.hash());
            }
            _ => {}
        }
    }
    other
}

#[test]
fn equal_sets_cost_two_short_messages_whatever_their_size() {
    let mut dice = Dice(1);
    for count in [0, 1, 5_000] {
        let items = random_items(count, &mut dice);
        let seen = agree(&items, &items);
        assert_eq!((seen.messages, seen.bytes), (2, 20), "{count}");
    }
}

#[test]
fn one_difference_of_a_hundred_thousand_costs_at_most_2500_bytes_and_8_messages() {
    let mut dice = Dice(2);
    let items = random_items(100_000, &mut dice);
    let ids: Vec<[u8; 16]> = items.keys().copied().collect();
    for (differing, bytes_max, messages_max) in [(1, 2_500, 8), (10, 18_000, 8), (100, 140_000, 12)]
    {
        let mut other = items.clone();
        for _ in 0..differing {
            let place = usize::try_from(dice.next()).unwrap_or(0) % ids.len();
            other.insert(ids[place], dice.hash());
        }
        let seen = agree(&items, &other);
        println!(
            "{differing} of 100,000 differ: {} bytes, {} messages",
            seen.bytes, seen.messages
        );
        assert!(seen.bytes <= bytes_max, "{differing}: {seen:?}");
        assert!(seen.messages <= messages_max, "{differing}: {seen:?}");
    }
}

#[test]
fn sets_without_anything_in_common_are_told_apart_in_messages_of_bounded_size() {
    let mut dice = Dice(3);
    let one = random_items(20_000, &mut dice);
    let other = random_items(15_000, &mut dice);
    let seen = agree(&one, &other);
    assert!(seen.bytes < 35_000 * 64, "{seen:?}");
    let nothing = Items::new();
    for seen in [agree(&one, &nothing), agree(&nothing, &one)] {
        assert!(seen.bytes < 20_000 * 18, "{seen:?}");
        assert!(seen.messages < 20, "{seen:?}");
    }
}

#[test]
fn identifiers_that_differ_only_at_their_ends_are_told_apart() {
    let mut dice = Dice(4);
    let items: Items = (0..3_000_u16)
        .map(|number| {
            let mut id = [0; 16];
            id[14..].copy_from_slice(&number.to_be_bytes());
            (id, dice.hash())
        })
        .collect();
    let other = altered(&items, 50, &mut dice);
    agree(&items, &other);
    agree(&other, &items);
}

#[test]
fn sides_with_different_keys_find_everything_different_and_come_to_an_end() {
    let mut dice = Dice(5);
    let items = random_items(500, &mut dice);
    let list: Vec<_> = items.iter().map(|(id, hash)| (*id, *hash)).collect();
    let one = Reconciler::new(list.clone(), [1; 32]);
    let other = Reconciler::new(list, [2; 32]);
    let (one, other, _) = run_of([one, other]);
    assert_eq!((one.len(), one.different.len()), (500, 500));
    assert_eq!(one, other);
}

/// A hostile peer: takes what an honest one would say and alters its bytes. Gives how often the honest
/// side was stepped before the run broke or ended.
fn besieged(ours: &Items, theirs: &Items, seed: u64) -> (usize, Result<(), Broken>) {
    let mut dice = Dice(seed);
    let mut honest = reconciler(ours);
    let mut peer = reconciler(theirs);
    let mut message = honest.start();
    let mut steps = 0;
    loop {
        let Ok(Step {
            reply: Some(reply), ..
        }) = peer.step(&message)
        else {
            return (steps, Ok(()));
        };
        let mut bytes = reply.encode();
        if dice.next().is_multiple_of(2) {
            for _ in 0..=dice.next() % 3 {
                let place = usize::try_from(dice.next()).unwrap_or(0) % bytes.len();
                match dice.next() % 4 {
                    0 => bytes[place] = dice.next().to_be_bytes()[0],
                    1 => bytes[place] ^= 1,
                    2 => bytes.truncate(place.max(1)),
                    _ => bytes.insert(place, dice.next().to_be_bytes()[0]),
                }
            }
        }
        steps += 1;
        assert!(steps < 1_000, "a run without end");
        let step = match Message::parse(&bytes) {
            Ok(reply) => honest.step(&reply),
            Err(malformed) => Err(malformed.into()),
        };
        match step {
            Ok(Step {
                reply: Some(reply), ..
            }) => message = reply,
            Ok(_) => return (steps, Ok(())),
            Err(broken) => return (steps, Err(broken)),
        }
    }
}

#[test]
fn altered_messages_end_a_run_and_never_panic_or_go_round_in_circles() {
    let mut dice = Dice(6);
    let ours = random_items(2_000, &mut dice);
    let theirs = altered(&ours, 20, &mut dice);
    let mut broken = 0;
    for seed in 0..500 {
        let (_, outcome) = besieged(&ours, &theirs, seed);
        broken += usize::from(outcome.is_err());
    }
    assert!(broken > 200, "alterations were hardly noticed: {broken}");
}

/// Says back the worst that is allowed: everything differs, and each of its own items is another.
#[test]
fn a_peer_to_which_everything_differs_costs_no_more_than_its_items() {
    let mut dice = Dice(7);
    let ours = random_items(5_000, &mut dice);
    let theirs: Items = ours.keys().map(|id| (*id, dice.hash())).collect();
    let seen = agree(&ours, &theirs);
    assert!(seen.bytes < 5_000 * 48, "{seen:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn both_sides_find_what_brute_force_finds(
        count in prop_oneof![0_usize..70, 0_usize..1_000, 0_usize..5_000],
        share in prop_oneof![1_u64..4, 1_u64..2_000],
        seed: u64,
    ) {
        let mut dice = Dice(seed);
        let one = random_items(count, &mut dice);
        let other = altered(&one, share, &mut dice);
        agree(&one, &other);
        agree(&other, &one);
    }

    #[test]
    fn unrelated_sets_of_any_sizes_are_told_apart(
        one in 0_usize..600,
        other in 0_usize..600,
        seed: u64,
    ) {
        let mut dice = Dice(seed);
        let (one, other) = (random_items(one, &mut dice), random_items(other, &mut dice));
        agree(&one, &other);
    }
}

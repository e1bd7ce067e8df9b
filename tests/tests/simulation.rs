//! The simulator itself: worlds hold, everything is exercised, planted faults are found.
//!
//! A few hundred worlds of fixed seeds; `simulate` runs many more.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use raccordo_config::{InitialSettings, Role, StoreEngine, Territory};
use raccordo_crdt_model::Kind;
use raccordo_node::clock::{SystemClock, SystemEntropy};
use raccordo_node::engine::CommandFailed;
use raccordo_node::engine::simulated::{Answered, SimulatedMachine, SimulatedNode, Ticket};
use raccordo_node::planted::Planted;
use raccordo_tests::simulation::plan::Act;
use raccordo_tests::simulation::report::Outcome;
use raccordo_tests::simulation::tally::{EFFECTS, Tally};
use raccordo_tests::simulation::{self, Options};
use serde_json::json;

/// Worlds that hold, and in which everything happens.
const WORLDS: u64 = 300;

/// Worlds in which each planted fault has to be found.
const WORLDS_WITH_A_FAULT: u64 = 200;

/// Runs every job on all cores and gives what they gave, in order of the jobs.
fn on_all_cores<T: Send>(jobs: u64, job: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(0);
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut done: Vec<(u64, T)> = thread::scope(|scope| {
        let work = || {
            let mut done = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= jobs {
                    return done;
                }
                done.push((number, job(number)));
            }
        };
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let joined = workers
            .into_iter()
            .map(|worker| worker.join().expect("no world panics unseen"));
        joined.flatten().collect()
    });
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

fn run(seed: u64, planted: Option<Planted>) -> Outcome {
    let options = Options {
        planted,
        ..Options::default()
    };
    simulation::run(seed, &options)
}

#[test]
fn some_hundred_worlds_hold_and_exercise_every_act_with_every_effect() {
    let outcomes = on_all_cores(WORLDS, |number| run(number + 1, None));
    let broken: Vec<String> = outcomes
        .iter()
        .filter(|outcome| outcome.violation.is_some())
        .map(ToString::to_string)
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
    let mut tally = Tally::default();
    for outcome in &outcomes {
        tally.add(&outcome.tally);
    }
    let undone = Act::NAMES.iter().filter(|name| tally.acts(name) == 0);
    let unseen = EFFECTS.iter().filter(|name| tally.effects(name) == 0);
    let missing: Vec<_> = undone.chain(unseen).collect();
    assert!(missing.is_empty(), "never: {missing:?}\n{tally}");
}

#[test]
fn every_planted_fault_is_found() {
    let each = Planted::ALL.len() as u64;
    let found = on_all_cores(each, |number| {
        let fault = Planted::ALL[usize::try_from(number).unwrap()];
        let first = (1..=WORLDS_WITH_A_FAULT).find_map(|seed| {
            let violation = run(seed, Some(fault)).violation;
            violation.map(|violation| (seed, violation.invariant))
        });
        (fault, first)
    });
    for (fault, first) in &found {
        match first {
            Some((seed, promise)) => println!("{fault}: found by seed {seed}: {promise}"),
            None => println!("{fault}: not found in {WORLDS_WITH_A_FAULT} worlds"),
        }
    }
    let missed: Vec<_> = found.iter().filter(|(_, first)| first.is_none()).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn the_same_seed_gives_the_same_world() {
    for seed in [7, 31, 92] {
        let (one, other) = (run(seed, None), run(seed, None));
        assert_eq!((one.hash, one.steps), (other.hash, other.steps));
        assert_eq!(one.tally, other.tally);
    }
}

#[test]
fn a_command_that_meets_a_damaged_row_leaves_nothing_of_itself_behind() {
    let nowhere = "127.0.0.1:0".parse().expect("an address");
    let settings = InitialSettings {
        territory: Territory::parse("frosinone/anagni").expect("a path"),
        role: Role::District,
        name: "Anagni".to_owned(),
        listen: nowhere,
        http: nowhere,
        advertise: None,
        engine: StoreEngine::Sled,
    };
    let config = raccordo_config::check(&raccordo_config::template(&settings));
    let machine = SimulatedMachine::found(config.expect("a new node's"), &SystemEntropy, 1 << 20);
    let machine = machine.expect("an empty disk");
    let clock = Arc::new(SystemClock::start());
    let node = machine.start(clock, Arc::new(SystemEntropy));
    let mut node = node.expect("a sound disk");
    let fields = json!({
        "subject": {"kind": "person", "token": "t-1"},
        "need_area": "FAM", "opened_on": "2026-03-04", "state": "reported",
    });
    let create = node.create(Kind::Project, fields, "anna");
    let Ok(Answered::Record(id)) = answer(&mut node, create) else {
        panic!("the record is created");
    };
    let (ends, digests) = (node.ends(), node.home_digests());
    assert!(machine.damage(id, 777));
    let erase = node.erase(Kind::Project, id, "anna");
    assert!(answer(&mut node, erase).is_err());
    assert_eq!((node.ends(), node.home_digests()), (ends, digests));
    assert!(node.erased().is_empty());
}

fn answer(node: &mut SimulatedNode, mut ticket: Ticket) -> Result<Answered, CommandFailed> {
    loop {
        if let Some(answer) = ticket.poll() {
            return answer;
        }
        node.pump();
    }
}

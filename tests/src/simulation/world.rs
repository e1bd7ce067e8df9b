//! A world: places, connections, one time, one list of what is to happen.
//!
//! One event after the other; between two of them every promise is looked at. The same seed and
//! the same program give the same events, byte for byte.

use std::collections::{BTreeMap, BTreeSet};

use raccordo_node::engine::simulated::SimulatedMachine;
use raccordo_transport::{LogId, PeerId};

use super::clock::Time;
use super::joining::Joining;
use super::link::{Link, Travelling};
use super::mending::Mend;
use super::passages::Passages;
use super::place::Place;
use super::plan::{Act, Plan};
use super::promises::Promises;
use super::report::{Detail, Outcome, Trace, Violation};
use super::tally::Tally;
use super::truth::Truth;
use crate::chance::Chance;

/// Events that a world may take before it is said to be stuck.
const STEPS_MAX: u64 = 400_000;

/// How long a healed world may take until all hold the same, in milliseconds.
pub(super) const SETTLING_MAX_MS: u64 = 400_000;

/// How often a healed world is asked whether it has settled, in milliseconds.
const LOOK_EVERY_MS: u64 = 500;

/// A world under way.
#[derive(Debug)]
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) time: Time,
    pub(super) chance: Chance,
    pub(super) places: Vec<Place>,
    pub(super) links: BTreeMap<u64, Link>,
    pub(super) joining: Vec<Joining>,
    /// Ways on which nothing passes, and how many acts cut each.
    pub(super) cut: BTreeMap<(usize, usize), u32>,
    /// Decisions to put a member on hold: where, and whom.
    pub(super) on_hold: BTreeSet<(usize, usize)>,
    pub(super) truth: Truth,
    pub(super) promises: Promises,
    pub(super) passages: Passages,
    pub(super) tally: Tally,
    pub(super) trace: Trace,
    pub(super) calm: bool,
    pub(super) operators: u64,
    pub(super) broken: Option<Violation>,
    events: BTreeMap<(u64, u64), Event>,
    number: u64,
}

/// What is to happen.
#[derive(Debug)]
pub(super) enum Event {
    /// An act of the plan.
    Act(Act, u64),
    /// A place starts again.
    Start(usize),
    /// Disk space is there again.
    DiskFree(usize),
    /// A place's writer has time.
    Pump(usize, u64),
    /// A place dials a peer.
    Dial(usize, u64, PeerId),
    /// A handshake is over.
    Connected {
        dialler: (usize, u64),
        acceptor: (usize, u64),
    },
    /// Something arrives at the other side of a connection.
    Arrival {
        link: u64,
        from: usize,
        what: Travelling,
    },
    /// The host of one side may have news.
    Local { link: u64, side: usize },
    /// A disk read is done.
    Read {
        link: u64,
        side: usize,
        log: LogId,
        after: u64,
    },
    /// A read for a repair is done.
    Mend { link: u64, side: usize, mend: Mend },
    /// A session's deadline.
    Wake { link: u64, side: usize },
    /// One side notices that the other is gone.
    Lost { link: u64, side: usize },
    /// An older folder is put back.
    Restore(usize, Box<SimulatedMachine>),
    /// A copy of a machine is switched off.
    SwitchOff(usize),
    /// A place with damage reads what it has stored.
    Scrub(usize),
    /// A way is open again.
    WayOpen { from: usize, to: usize },
    /// Nothing goes wrong any more.
    Calm,
    /// Have all settled?
    Look,
}

impl World {
    /// The world of a plan, before anything has happened.
    pub(super) fn new(seed: u64, plan: Plan, detail: Detail) -> Self {
        let mut chance = Chance::new(seed);
        let time = Time::default();
        let places: Vec<Place> = (0..plan.seats.len())
            .map(|number| Place::found(number, &plan, &time, &mut chance))
            .collect();
        let mut world = Self {
            promises: Promises::default(),
            passages: Passages::default(),
            time,
            chance,
            places,
            links: BTreeMap::new(),
            joining: Vec::new(),
            cut: BTreeMap::new(),
            on_hold: BTreeSet::new(),
            truth: Truth::default(),
            tally: Tally::default(),
            trace: Trace::new(detail),
            calm: false,
            operators: 0,
            broken: None,
            events: BTreeMap::new(),
            number: 0,
            plan,
        };
        for place in 0..world.places.len() {
            world.start(place);
        }
        for planned in world.plan.acts.clone() {
            world.at(planned.at_ms, Event::Act(planned.act, planned.seed));
        }
        world.at(world.plan.calm_ms, Event::Calm);
        world
    }

    /// Lets everything happen.
    pub(super) fn run(mut self, seed: u64) -> Outcome {
        while self.broken.is_none()
            && let Some(((at_ms, _), event)) = self.events.pop_first()
        {
            self.time.advance_to(at_ms);
            self.trace.step();
            if self.trace.steps() > STEPS_MAX {
                self.fail(
                    "the world comes to rest",
                    format!("{STEPS_MAX} events were not enough"),
                );
            }
            self.happen(event);
        }
        self.trace.outcome(seed, self.tally, self.broken)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Act(act, seed) => self.act(act, seed),
            Event::Start(place) => self.start(place),
            Event::DiskFree(place) => self.places[place].machine.disk.set_free(None),
            Event::Pump(place, life) => self.pump(place, life),
            Event::Dial(place, life, peer) => self.dial(place, life, peer),
            Event::Connected { dialler, acceptor } => self.connected(dialler, acceptor),
            Event::Arrival { link, from, what } => self.arrival(link, from, what),
            Event::Local { link, side } => self.local(link, side),
            Event::Read {
                link,
                side,
                log,
                after,
            } => self.read(link, side, log, after),
            Event::Mend { link, side, mend } => self.mend(link, side, mend),
            Event::Wake { link, side } => self.wake(link, side),
            Event::Lost { link, side } => self.lost(link, side),
            Event::Restore(place, older) => self.restore(place, &older),
            Event::SwitchOff(place) => self.switch_off(place),
            Event::Scrub(place) => self.scrub(place),
            Event::WayOpen { from, to } => self.open_way(from, to),
            Event::Calm => self.calm_down(),
            Event::Look => self.look(),
        }
    }

    /// Puts an event on the list, in some milliseconds.
    pub(super) fn after(&mut self, wait_ms: u64, event: Event) {
        self.at(self.now_ms() + wait_ms, event);
    }

    /// Puts an event on the list, at a moment.
    pub(super) fn at(&mut self, at_ms: u64, event: Event) {
        self.number += 1;
        self.events.insert((at_ms, self.number), event);
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.time.now_ms()
    }

    /// The number of the next connection.
    pub(super) fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// Notes the first promise that broke; the run ends with it.
    pub(super) fn fail(&mut self, invariant: &'static str, seen: String) {
        self.broken.get_or_insert(Violation { invariant, seen });
    }

    pub(super) fn note(&mut self, numbers: &[u64], words: impl FnOnce() -> String) {
        let now_ms = self.now_ms();
        self.trace.note(now_ms, numbers, words);
    }

    pub(super) fn place_of(&self, id: &PeerId) -> Option<usize> {
        self.places.iter().position(|place| place.id == *id)
    }

    /// From now on nothing goes wrong; what is down comes up, what is cut is joined.
    fn calm_down(&mut self) {
        self.calm = true;
        self.note(&[1], || "calm: nothing goes wrong any more".to_owned());
        self.open_all_ways();
        self.lose_bent_links();
        for place in 0..self.places.len() {
            if self.places[place].twin_of.is_some() {
                self.switch_off(place);
                continue;
            }
            let one = &mut self.places[place];
            one.machine.disk.set_free(None);
            one.bend = None;
            one.off_until_ms = 0;
            one.slow_ms = one.slow_ms.min(40);
            let ill = one
                .node
                .as_ref()
                .is_some_and(|node| node.store_problem().is_some());
            if ill {
                self.crash(place, None);
            }
            if !self.places[place].is_up() {
                self.after(10, Event::Start(place));
            }
        }
        self.after(LOOK_EVERY_MS, Event::Look);
    }

    /// Ends the world when all hold the same, or says that they do not come to.
    fn look(&mut self) {
        self.finish_membership();
        self.settle_passages();
        let differing = self.differing();
        let rested_ms = self.now_ms() - self.plan.calm_ms.min(self.now_ms());
        match differing {
            None => {
                self.note(&[2], || "settled".to_owned());
                self.check_whole();
                self.events.clear();
            }
            Some(_) if rested_ms > SETTLING_MAX_MS / 2 && self.is_lost_for_good() => {
                self.tally
                    .count("records lost for good: no peer holds them any more");
                self.events.clear();
            }
            Some(_) if rested_ms > SETTLING_MAX_MS / 2 && self.is_cut_off() => {
                self.tally
                    .count("logs that wait for what a revocation cut off");
                self.events.clear();
            }
            Some(seen) if rested_ms > SETTLING_MAX_MS => {
                self.fail("healed nodes come to hold the same", seen);
            }
            Some(_) => self.after(LOOK_EVERY_MS, Event::Look),
        }
    }
}

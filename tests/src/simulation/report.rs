//! What a run leaves behind: a hash of all that happened, the last events, the promise that broke.

use std::collections::VecDeque;
use std::fmt;

use super::tally::Tally;

/// Events kept for the report of a failure.
const EVENTS_KEPT: usize = 60;

/// A promise that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The promise's name.
    pub invariant: &'static str,
    /// What was seen.
    pub seen: String,
}

/// How a run went.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Events that happened.
    pub steps: u64,
    /// Hash of all events in order: equal for equal runs.
    pub hash: u64,
    /// What was done, to know what runs are worth.
    pub tally: Tally,
    /// The promise that broke, if one did.
    pub violation: Option<Violation>,
    /// The last events before it, or all of them if they were asked for.
    pub events: Vec<String>,
}

/// The record of a run under way.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    steps: u64,
    whole: bool,
    words: bool,
    events: VecDeque<String>,
}

/// How much of a run is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Its hash alone.
    Hash,
    /// The last events.
    Last,
    /// Every event.
    All,
}

impl Trace {
    /// An empty record.
    pub fn new(detail: Detail) -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            steps: 0,
            whole: detail == Detail::All,
            words: detail != Detail::Hash,
            events: VecDeque::new(),
        }
    }

    /// Notes an event: numbers for the hash, words only if they are kept.
    pub fn note(&mut self, now_ms: u64, numbers: &[u64], words: impl FnOnce() -> String) {
        self.mix(now_ms);
        for number in numbers {
            self.mix(*number);
        }
        if self.words {
            if !self.whole && self.events.len() == EVENTS_KEPT {
                self.events.pop_front();
            }
            let step = self.steps;
            self.events
                .push_back(format!("{step:>6} {now_ms:>8} ms  {}", words()));
        }
    }

    /// Notes bytes in the hash.
    pub fn bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_be_bytes(word));
        }
    }

    /// Counts one step.
    pub fn step(&mut self) {
        self.steps += 1;
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Closes the record.
    pub fn outcome(self, seed: u64, tally: Tally, violation: Option<Violation>) -> Outcome {
        Outcome {
            seed,
            steps: self.steps,
            hash: self.hash,
            tally,
            violation,
            events: self.events.into(),
        }
    }

    fn mix(&mut self, number: u64) {
        self.hash = (self.hash ^ number).wrapping_mul(0x0000_0100_0000_01b3);
        self.hash ^= self.hash >> 29;
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for event in &self.events {
            writeln!(formatter, "{event}")?;
        }
        let (seed, steps, hash) = (self.seed, self.steps, self.hash);
        match &self.violation {
            None => write!(formatter, "seed {seed}: {steps} steps, trace {hash:016x}"),
            Some(violation) => write!(
                formatter,
                "seed {seed}, step {steps}: {} does not hold: {}",
                violation.invariant, violation.seen
            ),
        }
    }
}

//! One input under watch: how long it takes, how much memory, what panics on the way.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::ALLOCATOR;
use crate::target::{Answer, Target};

/// Longest that the processor may work on one input; how long it is kept from it by others does
/// not count.
pub(crate) const TIME_MAX: Duration = Duration::from_secs(1);
/// Most memory that one input may take, beyond its own size.
pub(crate) const MEMORY_MAX: usize = 64 << 20;

/// What became of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not let in, and why.
    Refused(String),
    /// Let in, and found sound.
    Accepted,
    /// Something is wrong.
    Broken(String),
}

/// What one input did.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) verdict: Verdict,
    pub(crate) time: Duration,
    pub(crate) memory: usize,
    /// Where the library panicked and was caught.
    pub(crate) caught: Vec<String>,
}

static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// From now on panics are counted and not printed.
pub(crate) fn watch_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, |location| {
            let file = location.file();
            let file = file.rsplit_once("/src/").map_or(file, |(_, file)| file);
            format!("{file}:{}", location.line())
        });
        let mut panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
        panics.push(place);
    }));
}

fn panics() -> Vec<String> {
    std::mem::take(&mut *PANICS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Tries an input, one at a time; one that took too long is tried again, since others share the
/// processor's caches.
pub(crate) fn run(target: &dyn Target, input: &[u8]) -> Trial {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut trial = once(target, input);
    for _ in 0..2 {
        if trial.time > TIME_MAX {
            let again = once(target, input);
            trial.time = trial.time.min(again.time);
        }
    }
    if !matches!(trial.verdict, Verdict::Broken(_)) {
        if trial.time > TIME_MAX {
            let millis = trial.time.as_millis();
            trial.verdict = Verdict::Broken(format!("took {millis} ms"));
        } else if trial.memory > MEMORY_MAX + input.len() {
            let memory = trial.memory >> 20;
            trial.verdict = Verdict::Broken(format!("took {memory} MiB"));
        }
    }
    trial
}

/// How long the processor has worked for this thread.
fn worked() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn once(target: &dyn Target, input: &[u8]) -> Trial {
    drop(panics());
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let start = worked();
    let answer = catch_unwind(AssertUnwindSafe(|| target.feed(input)));
    let time = worked().saturating_sub(start);
    let memory = ALLOCATOR.peak_usage().saturating_sub(before);
    let caught = panics();
    let verdict = match answer {
        Ok(Answer::Refused(reason)) => Verdict::Refused(reason),
        Ok(Answer::In(sound)) => match catch_unwind(AssertUnwindSafe(sound)) {
            Ok(Ok(())) => Verdict::Accepted,
            Ok(Err(what)) => {
                let places = panics().join(" ");
                Verdict::Broken(format!("{what} {places}").trim_end().to_owned())
            }
            Err(_) => Verdict::Broken(format!("let in, then panicked at {}", panics().join(" "))),
        },
        Err(_) => Verdict::Broken(format!("panicked at {}", caught.join(" "))),
    };
    Trial {
        verdict,
        time,
        memory,
        caught,
    }
}

/// What many inputs did.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) inputs: u64,
    pub(crate) accepted: u64,
    pub(crate) slowest: Duration,
    pub(crate) largest: usize,
    /// How often each reason was given.
    pub(crate) refused: BTreeMap<String, u64>,
    /// How often the library panicked and was caught, by place.
    pub(crate) caught: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts a trial.
    pub(crate) fn add(&mut self, trial: &Trial) {
        self.inputs += 1;
        self.slowest = self.slowest.max(trial.time);
        self.largest = self.largest.max(trial.memory);
        match &trial.verdict {
            Verdict::Accepted => self.accepted += 1,
            Verdict::Refused(reason) => *self.refused.entry(general(reason)).or_default() += 1,
            Verdict::Broken(_) => {}
        }
        for place in &trial.caught {
            *self.caught.entry(place.clone()).or_default() += 1;
        }
    }

    /// Adds what another counted.
    pub(crate) fn merge(&mut self, other: Self) {
        self.inputs += other.inputs;
        self.accepted += other.accepted;
        self.slowest = self.slowest.max(other.slowest);
        self.largest = self.largest.max(other.largest);
        for (reason, count) in other.refused {
            *self.refused.entry(reason).or_default() += count;
        }
        for (place, count) in other.caught {
            *self.caught.entry(place).or_default() += count;
        }
    }
}

/// A reason without what differs from one input to the next: numbers, hashes, quoted text.
fn general(reason: &str) -> String {
    let mut out = String::new();
    let mut quoted = false;
    for word in reason.split(' ').take(16) {
        let odd = word.chars().any(|c| c.is_ascii_digit() || c == '/') || !word.is_ascii();
        let quotes = word.matches('"').count();
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(if odd || quoted || quotes > 0 {
            "…"
        } else {
            word
        });
        quoted ^= quotes % 2 == 1;
    }
    out.chars().take(100).collect()
}

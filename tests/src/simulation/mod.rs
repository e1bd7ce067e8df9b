//! Many nodes in one thread, from one seed: the real engine on disks in memory, the real session on
//! a simulated network, everything that goes wrong drawn beforehand.
//!
//! [`run`] is one seed; the same seed gives the same events, byte for byte. `simulate` runs many
//! and replays one. A world: `plan` says what happens, `world` lets it happen, `network` and `people`
//! do it, `truth` knows what was published, `promises` says what must hold.

mod audience;
mod bend;
mod clock;
mod joining;
mod link;
mod mending;
mod naming;
mod network;
mod own;
mod passages;
mod passing;
mod people;
mod place;
pub mod plan;
mod promises;
pub mod report;
mod restoring;
mod scripted;
mod settled;
pub mod tally;
mod telling;
mod truth;
mod ways;
mod work;
mod world;

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use raccordo_node::planted::{self, Planted};

use plan::Plan;
use report::{Detail, Outcome, Violation};
use tally::Tally;
use world::World;

/// How a seed is run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// At most so many acts.
    pub acts_max: usize,
    /// A fault that the program is to have.
    pub planted: Option<Planted>,
    /// How much is written down.
    pub detail: Detail,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            acts_max: plan::ACTS_MAX,
            planted: None,
            detail: Detail::Hash,
        }
    }
}

thread_local! {
    /// What a panic on this thread said, while a world runs here.
    static PANICKED: RefCell<Option<String>> = const { RefCell::new(None) };
    static RUNS: RefCell<bool> = const { RefCell::new(false) };
}

/// Runs one seed to its end, or to the first promise that does not hold.
pub fn run(seed: u64, options: &Options) -> Outcome {
    watch_panics();
    planted::plant(options.planted);
    RUNS.set(true);
    let plan = Plan::of(seed, options.acts_max);
    let detail = options.detail;
    let ended = panic::catch_unwind(AssertUnwindSafe(|| {
        World::new(seed, plan, detail).run(seed)
    }));
    RUNS.set(false);
    planted::plant(None);
    let said = PANICKED.take();
    let broken = said.map(|seen| Violation {
        invariant: promises::SOUND,
        seen,
    });
    match ended {
        Ok(outcome) => Outcome {
            violation: outcome.violation.or(broken),
            ..outcome
        },
        Err(_) => Outcome {
            seed,
            steps: 0,
            hash: 0,
            tally: Tally::default(),
            violation: broken,
            events: Vec::new(),
        },
    }
}

/// Keeps what panics say while worlds run; elsewhere panics are told as ever.
fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if RUNS.with_borrow(|runs| *runs) {
                PANICKED.with_borrow_mut(|said| {
                    said.get_or_insert(panic.to_string());
                });
            } else {
                usual(panic);
            }
        }));
    });
}

//! Runs the simulator over many seeds, or replays one: see docs/architecture.md.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;

use clap::Parser;
use raccordo_node::clock::{Clock, SystemClock};
use raccordo_node::planted::Planted;
use raccordo_tests::simulation::report::{Detail, Outcome};
use raccordo_tests::simulation::tally::Tally;
use raccordo_tests::simulation::{self, Options, plan};

/// Runs worlds of many nodes, each from a seed, and checks every promise at every step.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Only this one.
    #[arg(long)]
    seed: Option<u64>,
    /// Print every event of the one seed.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Most acts of a world: fewer make a failure shorter.
    #[arg(long, default_value_t = plan::ACTS_MAX)]
    steps: usize,
    /// Run the program with this fault in it.
    #[arg(long, value_parser = fault)]
    plant: Option<Planted>,
    /// Worlds at the same time; one a core if not given.
    #[arg(long)]
    jobs: Option<usize>,
    /// Go on after a seed that fails, and list them all.
    #[arg(long)]
    keep_going: bool,
}

fn main() -> io::Result<ExitCode> {
    let arguments = Arguments::parse();
    let options = Options {
        acts_max: arguments.steps,
        planted: arguments.plant,
        detail: Detail::Hash,
    };
    let mut out = io::stdout().lock();
    if let Some(seed) = arguments.seed {
        let detail = if arguments.trace {
            Detail::All
        } else {
            Detail::Last
        };
        let outcome = simulation::run(seed, &Options { detail, ..options });
        let failed = outcome.violation.is_some();
        let shown = if failed || arguments.trace {
            outcome
        } else {
            Outcome {
                events: Vec::new(),
                ..outcome
            }
        };
        writeln!(out, "{shown}")?;
        return Ok(ExitCode::from(u8::from(failed)));
    }
    many(&arguments, &options, &mut out)
}

fn many(arguments: &Arguments, options: &Options, out: &mut impl Write) -> io::Result<ExitCode> {
    let clock = SystemClock::start();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(arguments.from);
    let end = arguments.from + arguments.seeds;
    let enough = AtomicBool::new(false);
    let (sender, outcomes) = mpsc::channel::<Outcome>();
    let (mut tally, mut worlds, mut steps, mut failures) = (Tally::default(), 0_u64, 0_u64, 0_u64);
    std::thread::scope(|scope| -> io::Result<()> {
        for _ in 0..arguments.jobs.unwrap_or(cores) {
            let sender = sender.clone();
            let (next, enough) = (&next, &enough);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || enough.load(Ordering::Relaxed) {
                        return;
                    }
                    let outcome = simulation::run(seed, options);
                    if sender.send(outcome).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for outcome in outcomes {
            worlds += 1;
            steps += outcome.steps;
            tally.add(&outcome.tally);
            if outcome.violation.is_some() {
                failures += 1;
                enough.store(!arguments.keep_going, Ordering::Relaxed);
                if arguments.keep_going {
                    writeln!(out, "{outcome}")?;
                } else {
                    let detail = Detail::Last;
                    let again = simulation::run(outcome.seed, &Options { detail, ..*options });
                    writeln!(out, "{again}")?;
                }
            }
        }
        Ok(())
    })?;
    let took_ms = clock.monotonic_millis().max(1);
    writeln!(
        out,
        "{worlds} seeds in {took_ms} ms ({} a second), {steps} steps, {failures} failed\n{tally}",
        worlds * 1_000 / took_ms
    )?;
    Ok(ExitCode::from(u8::from(failures > 0)))
}

fn fault(name: &str) -> Result<Planted, String> {
    Planted::parse(name).ok_or_else(|| {
        let known: Vec<String> = Planted::ALL.iter().map(ToString::to_string).collect();
        format!("known are {}", known.join(", "))
    })
}

//! Mutated inputs at the doors through which foreign bytes come, on the stable toolchain.
//!
//! `cargo run --release -p raccordo-tests --bin fuzz -- change --inputs 1000000 --seed 1`
//! where the door is one or more of those that `--list` names; all of them without one. An input
//! is made of the seed and its number alone, so a failure replays from the two, or from its bytes:
//! `… -- change --replay HEX`. No input may panic, take over a second, take over 64 MiB beyond its
//! own size, or leave a document that does not save, load and replicate. Exit code 1 on a failure.

mod chunk;
mod doors;
mod heavy;
mod json;
mod mutate;
mod station;
mod supervise;
mod table;
mod target;
mod trial;
mod wire;
mod world;

use std::process::ExitCode;

use clap::Parser;
use peak_alloc::PeakAlloc;

/// Counts what every input takes.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What is tried.
#[derive(Debug, Parser)]
#[command(name = "fuzz", about = "Tries mutated inputs at the doors of a node")]
pub(crate) struct Arguments {
    /// Doors; all without one.
    doors: Vec<String>,
    /// Inputs at each door.
    #[arg(long, default_value_t = 20_000)]
    inputs: u64,
    /// Decides every input.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of the first input.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Tries one input, in hexadecimal or as `@FILE`, and tells what became of it.
    #[arg(long)]
    replay: Option<String>,
    /// Prints the first input that is refused with this in its reason, to be kept.
    #[arg(long)]
    find: Option<String>,
    /// Names the doors.
    #[arg(long)]
    list: bool,
    /// Set by the program itself: where it notes the input at hand.
    #[arg(long, hide = true)]
    worker: Option<std::path::PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let good = supervise::run(&arguments)?;
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

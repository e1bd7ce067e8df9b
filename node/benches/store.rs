//! Durable commits of the store, one at a time and sixteen grouped into one, on each engine,
//! beside the floor: the same bytes appended to a file with one `fdatasync` a commit.
//!
//! Engines take turns in short rounds, so that a noisy disk hits all alike. Usage:
//! `cargo bench -p raccordo-node --bench store [-- COMMITS_PER_ROUND]`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads time")]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use raccordo_node::store::{Batch, Options, Store, StoreEngine, Table};

/// Edits whose rows one commit carries, in the two set-ups.
const GROUPS: [u64; 2] = [1, 16];
const ROUNDS: u64 = 6;
const COMMITS_PER_ROUND: u64 = 200;
const DOCUMENTS: u64 = 20_000;

/// Somewhere a batch becomes durable.
enum Target {
    Raw(File),
    Engine(Store),
}

impl Target {
    fn commit(&mut self, batch: Batch) {
        match self {
            Self::Raw(file) => {
                let mut bytes = Vec::with_capacity(batch.bytes());
                for (_, key, value) in batch.iter() {
                    bytes.extend_from_slice(key);
                    bytes.extend_from_slice(value.unwrap_or_default());
                }
                file.write_all(&bytes)
                    .expect("the benchmark's disk has room");
                file.sync_data().expect("the benchmark's disk works");
            }
            Self::Engine(store) => {
                store.commit(batch).expect("the benchmark's disk has room");
            }
        }
    }
}

fn main() {
    let asked = std::env::args().skip(1).find_map(|word| word.parse().ok());
    let commits = asked.unwrap_or(COMMITS_PER_ROUND);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for the run");
    println!(
        "durable commits: 1 change (300 B), 1 entry (220 B), 1 row (64 B) an edit; {DOCUMENTS} documents"
    );
    println!("{ROUNDS} rounds of {commits} commits each, engines in turn");
    println!(
        "{:<18}{:>12}{:>12}{:>12}{:>14}",
        "", "edits/s", "p50 ms", "p99 ms", "x raw p50"
    );
    for group in GROUPS {
        let mut targets = targets(folder.path(), group);
        let mut times: Vec<Vec<Duration>> = vec![Vec::new(); targets.len()];
        let mut edit = 0;
        for _ in 0..ROUNDS {
            for (index, (_, target)) in targets.iter_mut().enumerate() {
                for _ in 0..commits {
                    let batch = edits(&mut edit, group);
                    let begun = Instant::now();
                    target.commit(batch);
                    times[index].push(begun.elapsed());
                }
            }
        }
        let floor = median(&mut times[0]);
        for ((name, _), times) in targets.iter().zip(&mut times) {
            report(&format!("{name}, by {group}"), group, times, floor);
        }
    }
}

fn targets(folder: &Path, group: u64) -> Vec<(&'static str, Target)> {
    let raw = File::create(folder.join(format!("raw-{group}"))).expect("a file for the run");
    let mut targets = vec![("raw", Target::Raw(raw))];
    for engine in StoreEngine::ALL {
        let path = folder.join(format!("{engine}-{group}"));
        let options = Options {
            engine,
            reserve_bytes: Some(0),
            ..Options::default()
        };
        let store = Store::open(&path, &options).expect("a new store opens");
        targets.push((engine.name(), Target::Engine(store)));
    }
    targets
}

fn edits(edit: &mut u64, group: u64) -> Batch {
    let mut batch = Batch::new();
    for _ in 0..group {
        *edit += 1;
        // Spread like ids, the same in every run.
        let document = (*edit % DOCUMENTS).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let key = [document.to_be_bytes(), edit.to_be_bytes()].concat();
        batch.put(Table::Changes, key, filler(*edit, 284));
        batch.put(Table::Entries, edit.to_be_bytes(), filler(*edit, 212));
        batch.put(Table::Rows, document.to_be_bytes(), filler(*edit, 56));
    }
    batch
}

fn filler(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures for people, of far fewer than 2^52 edits"
)]
fn report(name: &str, group: u64, times: &mut [Duration], floor: Duration) {
    let p50 = median(times);
    let p99 = times[times.len() * 99 / 100];
    let total: Duration = times.iter().sum();
    let rate = (times.len() as u64 * group) as f64 / total.as_secs_f64();
    let (p50_ms, p99_ms) = (p50.as_secs_f64() * 1e3, p99.as_secs_f64() * 1e3);
    let ratio = p50.as_secs_f64() / floor.as_secs_f64();
    println!("{name:<18}{rate:>12.0}{p50_ms:>12.2}{p99_ms:>12.2}{ratio:>14.1}");
}

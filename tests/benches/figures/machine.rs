//! What the machine itself gives: its noise, its processor's time, its memory.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use super::sheet;
use super::stopwatch::{Spread, Stopwatch};

/// Runs of the fixed loop, and writes, of one sample.
const LOOPS: usize = 12;
const WRITES: usize = 150;
/// Bytes of one write.
const WRITE_BYTES: usize = 4_096;

/// How equal equal work is on this machine, over the whole run.
#[derive(Debug, Default)]
pub(crate) struct Noise {
    loops_ms: Vec<f64>,
    syncs_ms: Vec<f64>,
}

impl Noise {
    /// Measures the processor and the disk now.
    pub(crate) fn sample(&mut self, folder: &Path) -> anyhow::Result<()> {
        for _ in 0..LOOPS {
            let watch = Stopwatch::start();
            std::hint::black_box(fixed_work());
            self.loops_ms.push(watch.millis());
        }
        self.syncs_ms.extend(syncs(folder)?);
        Ok(())
    }

    /// Prints what was measured.
    pub(crate) fn print(self) {
        let loops = Spread::of(self.loops_ms);
        sheet::remark(&format!(
            "noise of the processor: a fixed loop took {:.1} ms (median; least {:.1}, p99 {:.1}, most {:.1}; {} runs); {} cores",
            loops.median(),
            loops.least(),
            loops.percentile(99),
            loops.most(),
            loops.count(),
            std::thread::available_parallelism().map_or(1, usize::from),
        ));
        let syncs = Spread::of(self.syncs_ms);
        sheet::remark(&format!(
            "noise of the disk: append {WRITE_BYTES} bytes + fdatasync took {:.2} ms (p50), {:.2} (p99), {:.2} (most); {} writes",
            syncs.median(),
            syncs.percentile(99),
            syncs.most(),
            syncs.count(),
        ));
    }
}

/// Milliseconds of appending and syncing, one by one.
pub(crate) fn syncs(folder: &Path) -> anyhow::Result<Vec<f64>> {
    let path = folder.join("noise");
    let mut file = fs::File::create(&path)?;
    let block = [7; WRITE_BYTES];
    let mut taken = Vec::with_capacity(WRITES);
    for _ in 0..WRITES {
        let watch = Stopwatch::start();
        file.write_all(&block)?;
        file.sync_data()?;
        taken.push(watch.millis());
    }
    fs::remove_file(path)?;
    Ok(taken)
}

/// About ten milliseconds of arithmetic.
fn fixed_work() -> u64 {
    let mut state = 1_u64;
    for round in 0..10_000_000_u64 {
        state = (state ^ round)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(31);
    }
    state
}

/// Forgets the most memory that a process (`self` or its number) ever had.
pub(crate) fn reset_peak(process: &str) {
    if fs::write(format!("/proc/{process}/clear_refs"), "5").is_err() {
        sheet::remark(
            "the peak of memory counts from the start of the process: it could not be reset",
        );
    }
}

/// Processor seconds of this process, threads that ended included.
pub(crate) fn process_seconds() -> f64 {
    raccordo_tests::usage::processor_seconds("self")
}

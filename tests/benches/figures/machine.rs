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
/// Ticks of `/proc/*/stat` in a second, on every Linux of today.
const TICKS: f64 = 100.0;

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

/// Resident memory of a process (`self` or its number), in MB: now, and the most since it was reset.
pub(crate) fn memory_mb(process: &str) -> (f64, f64) {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let kib = line
            .and_then(|line| line.split_whitespace().nth(1))
            .and_then(|kib| kib.parse::<f64>().ok());
        kib.unwrap_or_default() * 1_024.0 / 1e6
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// Forgets the most memory that this process ever had.
pub(crate) fn reset_peak() {
    if fs::write("/proc/self/clear_refs", "5").is_err() {
        sheet::remark(
            "the peak of memory counts from the start of the process: it could not be reset",
        );
    }
}

/// Processor seconds of this process's threads, by the thread's name.
pub(crate) fn processor_seconds() -> std::collections::BTreeMap<String, f64> {
    let mut seconds = std::collections::BTreeMap::new();
    let Ok(threads) = fs::read_dir("/proc/self/task") else {
        return seconds;
    };
    for thread in threads.flatten() {
        let Ok(stat) = fs::read_to_string(thread.path().join("stat")) else {
            continue;
        };
        let Some((head, tail)) = stat.rsplit_once(')') else {
            continue;
        };
        let name = head.split_once('(').map_or("", |(_, name)| name);
        let fields: Vec<&str> = tail.split_whitespace().collect();
        let ticks = |at: usize| {
            fields
                .get(at)
                .and_then(|text| text.parse::<f64>().ok())
                .unwrap_or_default()
        };
        *seconds.entry(name.to_owned()).or_default() += (ticks(11) + ticks(12)) / TICKS;
    }
    seconds
}

/// Processor seconds of this process, threads that ended included.
pub(crate) fn process_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let tail = stat.rsplit_once(')').map_or("", |(_, tail)| tail);
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let ticks = |at: usize| {
        fields
            .get(at)
            .and_then(|text| text.parse::<f64>().ok())
            .unwrap_or_default()
    };
    (ticks(11) + ticks(12)) / TICKS
}

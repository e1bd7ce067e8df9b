//! First sync: four districts, filled while cut off, join; until the coordination holds it all.
//!
//! Every node is a process of its own, so that memory and processor time are each side's alone.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::bare::{Saves, commit_alone, verify_and_apply};
use super::entries::{Log, log_of};
use super::machine;
use super::nodes::{self, DISTRICTS, EDITS, Place};
use super::processes::Process;
use super::rows;
use super::sheet::{self, Better, Floor};
use super::stopwatch::{Stopwatch, real};

/// How often the end is looked for.
const LOOK: Duration = Duration::from_millis(20);

pub(crate) async fn measure(place: &Place, records: u32) -> anyhow::Result<()> {
    let each = records / u32::try_from(DISTRICTS.len())?;
    let mut folders = Vec::new();
    for letter in DISTRICTS {
        folders.push(nodes::filled(place, letter, each).await?);
    }
    let above = place.free("sync-coordination")?;
    nodes::found(&above, None)?;
    let taken = sync(&above, &folders).await?;
    let rows = rows::of_node(&above).await?;
    let commit = commit_alone(
        &place.free("sync-bare")?,
        rows::in_windows(&rows, DISTRICTS.len()),
    )?;
    let stored = rows::bytes(&rows);
    drop(rows);
    let logs_made = logs(each)?;
    let processor = machine::process_seconds();
    let (verify, apply) = verify_and_apply(logs_made)?;
    let replay_processor = machine::process_seconds() - processor;
    let saves = Saves::of(logs(each)?)?;
    let processor = machine::process_seconds();
    let (proofs, load) = saves.verify_and_load()?;
    let floors = Floors {
        replay: verify + apply,
        replay_processor,
        commit,
        saves: proofs + load,
        saves_processor: machine::process_seconds() - processor,
        bytes: saves.bytes()?,
    };
    taken.print(records, &floors);
    sheet::remark(&format!(
        "floors: verify {verify:.2} s + parse and apply {apply:.2} s; verify headers {proofs:.2} s + load {load:.2} s; bare store commit of the same {:.0} MB of rows, 4 batches: {commit:.2} s",
        real(stored) / 1e6
    ));
    Ok(())
}

/// What a sync took.
struct Taken {
    seconds: f64,
    joined: f64,
    frames: f64,
    payload: f64,
    entries: u64,
    receiver: Side,
    /// The largest of the senders; processor time of all of them.
    sender: Side,
}

/// One side: memory in MB, processor seconds.
#[derive(Clone, Copy, Default)]
struct Side {
    before: f64,
    peak: f64,
    after: f64,
    processor: f64,
}

async fn sync(above: &Path, folders: &[PathBuf]) -> anyhow::Result<Taken> {
    let coordination = Process::start(above).await?;
    let mut districts = Vec::new();
    for (letter, folder) in DISTRICTS.into_iter().zip(folders) {
        let territory = format!("frosinone/{}", letter.to_ascii_lowercase());
        let invitation = coordination.invitation(&territory).await?;
        districts.push((Process::start(folder).await?, invitation));
    }
    let before = side(&coordination);
    let befores: Vec<Side> = districts.iter().map(|(process, _)| side(process)).collect();
    coordination.reset_peak();
    for (district, _) in &districts {
        district.reset_peak();
    }
    let watch = Stopwatch::start();
    for (district, invitation) in &districts {
        district.join(invitation).await?;
    }
    let joined = watch.seconds();
    for (district, _) in &districts {
        while !delivered(&district.look("/api/v1/status").await?) {
            tokio::time::sleep(LOOK).await;
        }
    }
    let seconds = watch.seconds();
    let receiver = since(before, &coordination);
    let mut sender = Side::default();
    for ((district, _), before) in districts.iter().zip(befores) {
        let own = since(before, district);
        sender = Side {
            before: sender.before.max(own.before),
            peak: sender.peak.max(own.peak),
            after: sender.after.max(own.after),
            processor: sender.processor + own.processor,
        };
        ensure_equal(&coordination, district).await?;
    }
    let status = coordination.look("/api/v1/status").await?;
    let taken = Taken {
        seconds,
        joined,
        frames: of_peers(&status, ["stream_bytes_sent", "stream_bytes_received"]),
        payload: of_peers(&status, ["udp_bytes_sent", "udp_bytes_received"]),
        entries: status["store"]["entries"].as_u64().unwrap_or_default(),
        receiver,
        sender,
    };
    for (district, _) in districts {
        district.stop()?;
    }
    coordination.stop()?;
    Ok(taken)
}

fn side(process: &Process) -> Side {
    Side {
        before: process.memory_mb().0,
        processor: process.processor_seconds(),
        ..Side::default()
    }
}

fn since(before: Side, process: &Process) -> Side {
    let (after, peak) = process.memory_mb();
    Side {
        peak,
        after,
        processor: process.processor_seconds() - before.processor,
        ..before
    }
}

/// Whether the coordination has acknowledged all that the district has.
fn delivered(status: &Value) -> bool {
    let mut peers = status["peers"].as_array().into_iter().flatten();
    peers.any(|peer| {
        peer["role"] == "coordination" && peer["state"] == "connected" && peer["to_send"] == 0
    })
}

async fn ensure_equal(coordination: &Process, district: &Process) -> anyhow::Result<()> {
    let own = district.look("/api/v1/overview").await?;
    let own = &own["territories"][0];
    let there = coordination.look("/api/v1/overview").await?;
    let mut parts = there["territories"].as_array().into_iter().flatten();
    let there = parts.find(|part| part["territory"] == own["territory"]);
    let there = there.context("the coordination lists the territory")?;
    ensure!(
        own["digest"] == there["digest"],
        "{}: the digests differ",
        own["territory"]
    );
    Ok(())
}

fn of_peers(status: &Value, fields: [&str; 2]) -> f64 {
    let peers = status["peers"].as_array().into_iter().flatten();
    let values = peers.flat_map(|peer| fields.map(|field| peer[field].as_f64()));
    values.flatten().sum()
}

/// What the same work takes without nodes.
struct Floors {
    /// Seconds of verify + batch apply.
    replay: f64,
    replay_processor: f64,
    /// Seconds of the store's commit.
    commit: f64,
    /// Seconds of verify + load of saves.
    saves: f64,
    saves_processor: f64,
    /// Bytes of the saves, raw and in zstd, and of the signatures.
    bytes: (usize, usize, usize),
}

impl Taken {
    fn print(&self, records: u32, floors: &Floors) {
        let size = format!(
            "{records} records x {EDITS} edits, 4 districts, {} entries",
            self.entries
        );
        let less = |name, value| Floor {
            name,
            value,
            better: Better::Less,
        };
        let seconds = [
            less(
                "bare verify + load of saves, one thread, no disk",
                floors.saves,
            ),
            less(
                "bare verify + batch apply, one thread, no disk",
                floors.replay,
            ),
            less(
                "verify + batch apply + the bare store commit",
                floors.replay + floors.commit,
            ),
        ];
        sheet::single("first sync, durable", &size, "s", self.seconds, &seconds);
        sheet::remark(&format!("of it joining {:.2} s", self.joined));
        let processor = [
            less("bare verify + load of saves", floors.saves_processor),
            less("bare verify + batch apply", floors.replay_processor),
        ];
        sheet::single(
            "first sync, processor time of the receiver",
            &size,
            "s",
            self.receiver.processor,
            &processor,
        );
        sheet::remark(&format!(
            "processor time of the four senders {:.2} s",
            self.sender.processor
        ));
        let (raw, packed, signatures) = floors.bytes;
        let wire = [
            less("zstd -3 of the documents' saves", real(packed) / 1e6),
            less(
                "the same and the authors' signatures",
                real(packed + signatures) / 1e6,
            ),
        ];
        sheet::single(
            "first sync, bytes of our frames",
            &size,
            "MB",
            self.frames / 1e6,
            &wire,
        );
        sheet::remark(&format!(
            "UDP payload {:.2} MB; the saves uncompressed {:.2} MB",
            self.payload / 1e6,
            real(raw) / 1e6
        ));
        self.print_memory(&size);
    }

    fn print_memory(&self, size: &str) {
        for (figure, side) in [
            ("first sync, peak memory of the receiver", self.receiver),
            ("first sync, peak memory of the largest sender", self.sender),
        ] {
            let before = Floor {
                name: "before the sync",
                value: side.before,
                better: Better::Less,
            };
            sheet::single(figure, size, "MB", side.peak, &[before]);
            sheet::remark(&format!("resident right after: {:.0} MB", side.after));
        }
    }
}

/// What four districts of this size would send.
fn logs(each: u32) -> anyhow::Result<Vec<Log>> {
    DISTRICTS
        .into_iter()
        .map(|letter| log_of(letter, &nodes::workload(letter, each, EDITS).lines()))
        .collect()
}

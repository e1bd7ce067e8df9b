//! First sync: four districts, filled while cut off, join; until the coordination holds it all.

use std::time::Duration;

use super::bare::{commit_alone, verify_and_apply};
use super::entries::{Log, log_of};
use super::machine;
use super::nodes::{self, DISTRICTS, EDITS, Place, delivered};
use super::rows;
use super::sheet::{self, Better, Floor};
use super::stopwatch::{Stopwatch, real};

/// How often the end is looked for.
const LOOK: Duration = Duration::from_millis(5);

#[expect(
    clippy::too_many_lines,
    reason = "one measurement, told from top to bottom"
)]
pub(crate) async fn measure(place: &Place, records: u32) -> anyhow::Result<()> {
    let each = records / u32::try_from(DISTRICTS.len())?;
    let (data, coordination) = nodes::fresh(place, "sync-coordination", None, false).await?;
    let mut districts = Vec::new();
    for letter in DISTRICTS {
        let (_, node) = nodes::fresh(place, &format!("sync-{letter}"), Some(letter), false).await?;
        nodes::import(&node.engine(), nodes::workload(letter, each, EDITS).lines()).await?;
        districts.push(node);
    }
    let engines: Vec<_> = districts
        .iter()
        .map(raccordo_node::engine::Node::engine)
        .collect();
    machine::reset_peak();
    let resident_before = machine::memory_mb("self").0;
    let threads_before = machine::processor_seconds();
    let processor_before = machine::process_seconds();
    let watch = Stopwatch::start();
    for engine in &engines {
        nodes::join(&coordination.engine(), engine).await?;
    }
    let joined = watch.seconds();
    nodes::until("everything is delivered", LOOK, || {
        engines.iter().all(delivered)
    })
    .await?;
    let seconds = watch.seconds();
    let processor = machine::process_seconds() - processor_before;
    let threads = machine::processor_seconds();
    let (resident, peak) = machine::memory_mb("self");
    nodes::ensure_equal(&coordination.engine(), &engines)?;
    let peers = coordination.engine().peers();
    let frames: u64 = peers
        .iter()
        .map(|peer| peer.stream_bytes_received + peer.stream_bytes_sent)
        .sum();
    let payload: u64 = peers
        .iter()
        .map(|peer| peer.udp_bytes_received + peer.udp_bytes_sent)
        .sum();
    let entries = coordination.engine().status().entries;
    for node in districts {
        node.stop().await;
    }
    coordination.stop().await;
    let ours = Taken {
        seconds,
        joined,
        processor,
        frames,
        payload,
        entries,
    };
    let rows = rows::of_node(&data).await?;
    let logs = logs(each)?;
    let before = machine::process_seconds();
    let (verify, apply) = verify_and_apply(logs)?;
    let bare = machine::process_seconds() - before;
    let commit = commit_alone(&place.free("sync-bare")?, rows::in_windows(&rows, 4))?;
    ours.print(records, verify + apply, commit);
    sheet::remark(&format!(
        "floor: verify {verify:.2} s + parse and apply {apply:.2} s (processor {bare:.2} s); bare store commit of the same {:.0} MB of rows, 4 batches: {commit:.2} s",
        real(rows::bytes(&rows)) / 1e6
    ));
    let moved = threads
        .iter()
        .map(|(name, seconds)| (name, seconds - threads_before.get(name).unwrap_or(&0.0)));
    let moved: Vec<String> = moved
        .filter(|(_, seconds)| *seconds > 0.05)
        .map(|(name, seconds)| format!("{name} {seconds:.2}"))
        .collect();
    sheet::remark(&format!(
        "processor seconds of the threads alive at the end: {}",
        moved.join(", ")
    ));
    sheet::single(
        "first sync, peak memory of all five nodes in one process",
        &format!("{records} records"),
        "MB",
        peak,
        &[Floor {
            name: "before the sync",
            value: resident_before,
            better: Better::Less,
        }],
    );
    sheet::remark(&format!("resident right after: {resident:.0} MB"));
    Ok(())
}

struct Taken {
    seconds: f64,
    joined: f64,
    processor: f64,
    frames: u64,
    payload: u64,
    entries: u64,
}

impl Taken {
    fn print(&self, records: u32, floor: f64, commit: f64) {
        let size = format!(
            "{records} records x {EDITS} edits, 4 districts, {} entries",
            self.entries
        );
        let floors = [
            Floor {
                name: "bare verify + batch apply, one thread, no disk",
                value: floor,
                better: Better::Less,
            },
            Floor {
                name: "the same and the bare store commit",
                value: floor + commit,
                better: Better::Less,
            },
        ];
        sheet::single(
            "first sync by log replay, durable",
            &size,
            "s",
            self.seconds,
            &floors,
        );
        sheet::remark(&format!(
            "of it joining {:.2} s; processor of all five nodes {:.2} s on 2 cores",
            self.joined, self.processor
        ));
        let megabytes = |bytes: u64| real(usize::try_from(bytes).unwrap_or(usize::MAX)) / 1e6;
        sheet::single(
            "first sync, bytes of our frames",
            &size,
            "MB",
            megabytes(self.frames),
            &[],
        );
        sheet::remark(&format!("UDP payload {:.2} MB", megabytes(self.payload)));
    }
}

/// What four districts of this size would send.
fn logs(each: u32) -> anyhow::Result<Vec<Log>> {
    DISTRICTS
        .into_iter()
        .map(|letter| log_of(letter, &nodes::workload(letter, each, EDITS).lines()))
        .collect()
}

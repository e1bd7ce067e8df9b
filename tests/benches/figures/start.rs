//! Start time and resident memory of a district's program, after a clean stop and after a kill.

use std::time::Duration;

use anyhow::ensure;

use super::nodes::{self, EDITS, Place};
use super::processes::Process;
use super::sheet;
use super::stopwatch::{Stopwatch, real};

/// How long it rests before its memory is read again.
const REST: Duration = Duration::from_secs(3);

pub(crate) async fn measure(place: &Place, records: u32) -> anyhow::Result<()> {
    let (data, node) = nodes::fresh(place, "start", Some('A'), true).await?;
    let watch = Stopwatch::start();
    let lines = nodes::workload('A', records, EDITS).lines();
    let count = real(lines.len());
    let made = watch.seconds();
    nodes::import(&node.engine(), lines).await?;
    let seconds = watch.seconds() - made;
    let disk = node.engine().status().disk_bytes;
    node.stop().await;
    let size = format!("{records} records x {EDITS} edits");
    sheet::remark(&format!(
        "{size}: filled in {seconds:.1} s, {:.0} lines/s; {:.0} MB on disk",
        count / seconds,
        real(usize::try_from(disk)?) / 1e6
    ));
    let clean = Process::start(&data).await?;
    report(&size, "after a clean stop", &clean).await?;
    clean.stop()?;
    let again = Process::start(&data).await?;
    report(&size, "after a second clean stop", &again).await?;
    again.kill()?;
    let killed = Process::start(&data).await?;
    report(&size, "after kill -9", &killed).await?;
    killed.kill()
}

async fn report(size: &str, when: &str, process: &Process) -> anyhow::Result<()> {
    let (_, starting) = process.memory_mb();
    tokio::time::sleep(REST).await;
    let (resting, _) = process.memory_mb();
    ensure!(resting > 0.0, "the program still runs");
    sheet::single(
        &format!("start {when}, until it serves"),
        size,
        "s",
        process.seconds,
        &[],
    );
    sheet::single(
        &format!("resident memory {when}, at rest"),
        size,
        "MB",
        resting,
        &[],
    );
    sheet::remark(&format!("most while starting: {starting:.0} MB"));
    Ok(())
}

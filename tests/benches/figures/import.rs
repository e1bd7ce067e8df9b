//! Lines a second of an import: a year of a district, into a node on disk.

use super::bare::{automerge_alone, commit_alone};
use super::machine;
use super::nodes::{self, EDITS, Place};
use super::rows;
use super::sheet::{self, Better, Floor};
use super::stopwatch::{Spread, Stopwatch, real};

pub(crate) async fn measure(place: &Place, records: u32, rounds: usize) -> anyhow::Result<()> {
    let lines = nodes::workload('A', records, EDITS).lines();
    let count = real(lines.len());
    let (mut rates, mut floors, mut commits) = (vec![], vec![], vec![]);
    let mut processor = [vec![], vec![], vec![]];
    let mut stored = (0, 0);
    for _ in 0..rounds {
        let (data, node) = nodes::fresh(place, "import", Some('A'), true).await?;
        let own = lines.clone();
        let (watch, before) = (Stopwatch::start(), machine::process_seconds());
        nodes::import(&node.engine(), own).await?;
        rates.push(count / watch.seconds());
        let after = machine::process_seconds();
        processor[0].push(after - before);
        node.stop().await;
        let before = machine::process_seconds();
        floors.push(count / automerge_alone(&lines)?);
        processor[1].push(machine::process_seconds() - before);
        let rows = rows::of_node(&data).await?;
        stored = (rows.len(), rows::bytes(&rows));
        let windows = lines
            .len()
            .div_ceil(raccordo_node::engine::WINDOW_LINES_MAX);
        let batches = rows::in_windows(&rows, windows);
        let before = machine::process_seconds();
        commits.push(count / commit_alone(&place.free("import-bare")?, batches)?);
        processor[2].push(machine::process_seconds() - before);
    }
    let floors = [
        floor("bare Automerge create+edit, no disk, one thread", floors),
        floor("bare store commit of the same rows", commits),
    ];
    let size = format!("{records} records x {EDITS} edits = {} lines", lines.len());
    sheet::spread("import", &size, "lines/s", &Spread::of(rates), &floors);
    let [ours, automerge, commit] = processor.map(Spread::of);
    sheet::remark(&format!(
        "processor seconds: ours {:.2}, bare Automerge {:.2}, bare commit {:.2}; {} rows of {:.1} MB stored",
        ours.median(),
        automerge.median(),
        commit.median(),
        stored.0,
        real(stored.1) / 1e6
    ));
    Ok(())
}

fn floor(name: &'static str, rates: Vec<f64>) -> Floor {
    Floor {
        name,
        value: Spread::of(rates).median(),
        better: Better::More,
    }
}

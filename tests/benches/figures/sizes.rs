//! What a record of each kind takes: on disk, in memory while it rests, in memory once it is open.
//!
//! Each kind has a node of its own with records of that kind alone; what an empty node takes is
//! taken off. Beside the bytes stand the record's JSON and that in zstd. Kinds of which a node has
//! few, since a command of an office makes each (transfers, orders, publications, notices), are not here.

use std::path::Path;

use anyhow::{Context as _, ensure};
use raccordo_crdt_model::Kind;
use raccordo_node::store::{Options, Store};

use super::bare::{commit_alone, packed};
use super::mix::{Mix, SHARES, reference};
use super::nodes::{self, Place};
use super::processes::Process;
use super::rows;
use super::sheet::{self, Better, Floor};
use super::stopwatch::real;

/// Of so many records half are opened and kept; the other half has filled the caches before.
const CACHE: &str = "document_cache = 100000";
/// Rows of a commit in the store that is measured, as little as a store ever holds twice.
const WINDOWS: usize = 16;
/// The kind that only a coordination writes.
const COORDINATIONS: &str = "guideline";

pub(crate) async fn measure(place: &Place, records: u32) -> anyhow::Result<()> {
    let empty = taken(place, "person", 0).await?;
    let shares = SHARES.map(|(kind, _)| kind);
    for kind in shares.into_iter().chain([COORDINATIONS]) {
        let all = taken(place, kind, records).await?;
        let each = |with: f64, without: f64| (with - without) / f64::from(records);
        let size = format!("{records} of them alone");
        let floors = [
            floor("its JSON", all.json),
            floor("its JSON in zstd, a mebibyte at a time", all.packed),
        ];
        let line = |figure: &str, value: f64, floors: &[Floor]| {
            sheet::single(
                &format!("size of a {kind}: {figure}"),
                &size,
                "bytes",
                value,
                floors,
            );
        };
        line("on disk", each(all.disk, empty.disk), &floors);
        line("rows stored", each(all.rows, empty.rows), &floors);
        line(
            "resident at rest, not opened",
            each(all.resident, empty.resident),
            &[],
        );
        line("resident once opened", all.opened, &floors[..1]);
    }
    Ok(())
}

#[derive(Default)]
struct Taken {
    disk: f64,
    rows: f64,
    resident: f64,
    /// Of one record.
    opened: f64,
    json: f64,
    packed: f64,
}

async fn taken(place: &Place, kind: &str, records: u32) -> anyhow::Result<Taken> {
    let data = place.free("sizes")?;
    nodes::found(&data, (kind != COORDINATIONS).then_some('A'))?;
    let node = nodes::start(&data, true).await?;
    let lines = Mix { records, seed: 3 }.lines_of(kind);
    nodes::import(&node.engine(), lines).await?;
    let kinds = Kind::from_singular(kind).context("it is a kind")?;
    let texts = node.engine().export(kinds).await?;
    node.stop().await;
    let mut all = Taken::default();
    if records > 0 {
        let bytes: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        let count = f64::from(records);
        all.json = real(bytes.iter().map(|text| text.len()).sum()) / count;
        all.packed = real(packed(&bytes)?) / count;
    }
    let stored = rows::of_node(&data).await?;
    all.rows = real(rows::bytes(&stored));
    all.disk = compacted(place, stored)?;
    let settings = data.join("raccordo.toml");
    let text = std::fs::read_to_string(&settings)?;
    let larger = text.replace("# document_cache = 1024", CACHE);
    ensure!(larger != text, "the cache can be made larger");
    std::fs::write(&settings, larger)?;
    // The first start after much writing leaves a snapshot behind.
    Process::start(&data).await?.stop()?;
    let process = Process::start(&data).await?;
    all.resident = process.memory_mb().0 * 1e6;
    if records > 0 {
        all.opened = opened(&process, kind, records).await?;
    }
    process.stop()?;
    Ok(all)
}

/// Bytes of resident memory for each record that is opened and kept.
async fn opened(process: &Process, kind: &str, records: u32) -> anyhow::Result<f64> {
    let mut line = process.connect().await?;
    let plural = Kind::from_singular(kind).map_or("", Kind::plural);
    let half = records / 2;
    let mut resident = [0.0; 2];
    for (resident, numbers) in resident.iter_mut().zip([0..half, half..records]) {
        for number in numbers {
            let path = format!("/api/v1/{plural}/{}", reference(kind, number));
            let answer = line.send("GET", &path, &[], "").await;
            let answer = answer.map_err(|unanswered| anyhow::anyhow!("{unanswered}"))?;
            ensure!(answer.status == 200, "{path}: {answer}");
        }
        *resident = process.memory_mb().0 * 1e6;
    }
    let [before, after] = resident;
    Ok((after - before) / f64::from(records - half))
}

/// Bytes on disk of these rows in a store that was made for them.
fn compacted(place: &Place, stored: Vec<rows::Row>) -> anyhow::Result<f64> {
    let folder = place.free("sizes-compacted")?;
    let each = stored.len().div_ceil(WINDOWS).max(1);
    let mut batches = Vec::new();
    let mut left = stored.into_iter().peekable();
    while left.peek().is_some() {
        batches.push(left.by_ref().take(each).collect());
    }
    commit_alone(&folder, batches)?;
    disk_bytes(&folder)
}

fn disk_bytes(folder: &Path) -> anyhow::Result<f64> {
    let store = Store::open(folder, &Options::default())?;
    Ok(real(usize::try_from(store.stats()?.disk_bytes)?))
}

fn floor(name: &'static str, value: f64) -> Floor {
    Floor {
        name,
        value,
        better: Better::Less,
    }
}

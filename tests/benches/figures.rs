//! The figures of the design, measured on real nodes: real stores on disk, real QUIC on loopback.
//!
//! `cargo bench -p raccordo-tests --bench figures -- [NAME…] [--records N] [--rounds N] [--folder DIR]`
//! where NAME is one of `import edits live first-sync reconnect changed silent fan-out start transfer
//! desk sizes cost erasure`; all of them without one. `--records N` takes N records (per node for `import`, `edits`, `live` and `start`,
//! in all for the others; districts for `fan-out`, transfers for `transfer`) in place of each figure's own sizes; `--folder`
//! also keeps what is costly to fill for the next run. Every figure is printed with its size, its
//! unit and its floor or twin from the same run; the machine's noise comes last.

mod figures {
    pub(crate) mod bare;
    pub(crate) mod changed;
    pub(crate) mod cost;
    pub(crate) mod desk;
    pub(crate) mod edits;
    pub(crate) mod entries;
    pub(crate) mod erasure;
    pub(crate) mod fan_out;
    pub(crate) mod first_sync;
    pub(crate) mod import;
    pub(crate) mod live;
    pub(crate) mod machine;
    pub(crate) mod mix;
    pub(crate) mod nodes;
    pub(crate) mod pair;
    pub(crate) mod processes;
    pub(crate) mod quic;
    pub(crate) mod reconnect;
    pub(crate) mod rows;
    pub(crate) mod sheet;
    pub(crate) mod silent;
    pub(crate) mod sizes;
    pub(crate) mod start;
    pub(crate) mod stopwatch;
    pub(crate) mod transfer;
}

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Parser;
use mimalloc::MiMalloc;

use figures::machine::Noise;
use figures::nodes::Place;
use figures::{
    changed, cost, desk, edits, erasure, fan_out, first_sync, import, live, reconnect, silent,
    sizes, start, transfer,
};

/// As the program has it; the floors have it too.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// What is measured and how large.
#[derive(Debug, Parser)]
#[command(
    name = "figures",
    about = "Measures the figures of the design on this machine"
)]
pub(crate) struct Arguments {
    /// Figures to measure; all without one.
    names: Vec<String>,
    /// Records, in place of each figure's own size.
    #[arg(long)]
    records: Option<u32>,
    /// Rounds, where a figure is a median over rounds.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Folder on the disk to measure on; the target folder's without it.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// File to append the figures to as lines of JSON; one in the target folder without it.
    #[arg(long)]
    lines: Option<PathBuf>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|given| given == name)
    }

    fn sizes(&self, own: &[u32]) -> Vec<u32> {
        self.records.map_or(own.to_vec(), |records| vec![records])
    }
}

const NAMES: [&str; 14] = [
    "import",
    "edits",
    "live",
    "first-sync",
    "reconnect",
    "changed",
    "silent",
    "fan-out",
    "start",
    "transfer",
    "desk",
    "sizes",
    "cost",
    "erasure",
];

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(unknown) = arguments
        .names
        .iter()
        .find(|name| !NAMES.contains(&name.as_str()))
    {
        bail!("{unknown} is no figure: {} are", NAMES.join(", "));
    }
    if std::env::var_os("RACCORDO_LOG").is_some() {
        raccordo_node::telemetry::start("info", false)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure(&arguments))
}

async fn measure(arguments: &Arguments) -> anyhow::Result<()> {
    let wanted = |name: &str| arguments.wants(name);
    let place = Place::new(arguments.folder.as_deref())?;
    let size = |own: u32| arguments.records.unwrap_or(own);
    let sizes = |own: &[u32]| arguments.sizes(own);
    let own_lines = Path::new(env!("CARGO_TARGET_TMPDIR")).join("figures.jsonl");
    figures::sheet::head(arguments.lines.as_deref().unwrap_or(&own_lines))?;
    let mut noise = Noise::default();
    noise.sample(place.path())?;
    if wanted("import") {
        import::measure(&place, size(2_500), arguments.rounds).await?;
        noise.sample(place.path())?;
    }
    if wanted("edits") {
        edits::measure(&place, size(2_500), arguments.rounds).await?;
        noise.sample(place.path())?;
    }
    if wanted("live") {
        live::measure(&place, size(2_500)).await?;
        noise.sample(place.path())?;
    }
    if wanted("first-sync") {
        first_sync::measure(&place, size(10_000)).await?;
        noise.sample(place.path())?;
    }
    if wanted("reconnect") {
        for records in sizes(&[1_000, 10_000, 100_000]) {
            reconnect::measure(&place, records, arguments.rounds).await?;
        }
        noise.sample(place.path())?;
    }
    if wanted("changed") {
        for records in sizes(&[1_000, 10_000]) {
            changed::measure(&place, records, arguments.rounds).await?;
        }
        noise.sample(place.path())?;
    }
    if wanted("silent") {
        for records in sizes(&[1_000, 10_000, 100_000]) {
            silent::measure(&place, records, arguments.rounds).await?;
        }
        noise.sample(place.path())?;
    }
    if wanted("fan-out") {
        for districts in sizes(&[10, 60]) {
            fan_out::measure(&place, usize::try_from(districts)?).await?;
        }
        noise.sample(place.path())?;
    }
    if wanted("start") {
        for records in sizes(&[10_000, 100_000]) {
            start::measure(&place, records).await?;
        }
        noise.sample(place.path())?;
    }
    if wanted("transfer") {
        for others in [0, 20_000] {
            transfer::measure(&place, size(40), others).await?;
        }
        noise.sample(place.path())?;
    }
    measure_records(arguments, &place, &mut noise).await?;
    noise.print();
    Ok(())
}

/// The figures about a district's records of every kind.
async fn measure_records(
    arguments: &Arguments,
    place: &Place,
    noise: &mut Noise,
) -> anyhow::Result<()> {
    let wanted = |name: &str| arguments.wants(name);
    let size = |own: u32| arguments.records.unwrap_or(own);
    let sizes = |own: &[u32]| arguments.sizes(own);
    if wanted("desk") {
        for records in sizes(&[10_000, 100_000]) {
            desk::measure(place, records).await?;
        }
        noise.sample(place.path())?;
    }
    if wanted("sizes") {
        sizes::measure(place, size(8_000)).await?;
        noise.sample(place.path())?;
    }
    if wanted("cost") {
        cost::measure(place, size(10_000)).await?;
        noise.sample(place.path())?;
    }
    if wanted("erasure") {
        for records in sizes(&[1_000, 10_000]) {
            erasure::measure(place, 40, records).await?;
        }
        noise.sample(place.path())?;
    }
    Ok(())
}

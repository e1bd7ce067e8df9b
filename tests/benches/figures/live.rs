//! One live edit, from the person at the district to the overview of the coordination: while all is
//! idle, while other districts write too, and beside the first sync of another district.
//!
//! The floor is measured in slices between the idle edits, so that both meet the same machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use raccordo_crdt_model::Kind;
use raccordo_node::engine::{Engine, Event, Node};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;

use super::edits::{self, BareStore, Edits};
use super::nodes::{self, Place, delivered, upstream};
use super::quic::Line;
use super::rows;
use super::sheet::{self, Better, Floor};
use super::stopwatch::{Spread, Stopwatch, real};

/// Edits measured while all is idle and while others write.
const EDITS: usize = 500;
/// Edits made before, so that everything is warm.
const WARM: usize = 30;
/// Slices of the idle edits, each followed by one of the floor.
const SLICES: usize = 10;
/// Rest between two edits: the nodes are idle when the next one comes.
const REST: Duration = Duration::from_millis(15);
/// How often an end is looked for.
const LOOK: Duration = Duration::from_micros(200);
/// The others: so many districts, that many edits a second from each.
const OTHERS: [char; 2] = ['B', 'C'];
const OTHERS_EACH: u32 = 50;
/// Who syncs for the first time, with so many records.
const NEWCOMER: char = 'D';
const NEWCOMER_RECORDS: u32 = 10_000;

pub(crate) async fn measure(place: &Place, records: u32) -> anyhow::Result<()> {
    let (_, coordination) = nodes::fresh(place, "live-coordination", None, false).await?;
    let (data, district) = nodes::fresh(place, "live", Some('A'), false).await?;
    let mut edits = Edits::after_import(&district.engine(), 'A', records, 4).await?;
    district.stop().await;
    let mut floors = Floors::prepare(place, &data).await?;
    let district = nodes::start(&data, false).await?;
    let (above, engine) = (coordination.engine(), district.engine());
    nodes::join(&above, &engine).await?;
    nodes::until("everything is delivered", REST, || delivered(&engine)).await?;
    for _ in 0..WARM {
        one(&above, &engine, &mut edits).await?;
    }
    let mut idle = Taken::default();
    for _ in 0..SLICES {
        many(&above, &engine, &mut edits, EDITS / SLICES, &mut idle).await?;
        floors.slice(EDITS / SLICES).await?;
    }
    let (busy, rate) = beside_others(place, &above, &engine, &mut edits, records).await?;
    let (beside, synced) = beside_newcomer(place, &above, &engine, &mut edits).await?;
    nodes::ensure_equal(&above, std::slice::from_ref(&engine))?;
    drop((above, engine));
    district.stop().await;
    coordination.stop().await;
    let floors = floors.taken();
    let size = format!("{records} records");
    floors.print(idle, &format!("{size}, idle"));
    floors.print(
        busy,
        &format!("{size}, {rate:.0} edits/s from other districts"),
    );
    floors.print(
        beside,
        &format!(
            "{size}, beside a first sync of {NEWCOMER_RECORDS} records that took {synced:.1} s"
        ),
    );
    floors.remark();
    Ok(())
}

/// What edits took, in milliseconds, and their bytes.
#[derive(Debug, Default)]
struct Taken {
    there: Vec<f64>,
    here: Vec<f64>,
    back: Vec<f64>,
    bytes: Vec<f64>,
}

async fn many(
    above: &Engine,
    engine: &Engine,
    edits: &mut Edits,
    count: usize,
    taken: &mut Taken,
) -> anyhow::Result<()> {
    for _ in 0..count {
        taken.add(one(above, engine, edits).await?);
    }
    Ok(())
}

/// While other districts write; how many edits a second those made.
async fn beside_others(
    place: &Place,
    above: &Engine,
    engine: &Engine,
    edits: &mut Edits,
    records: u32,
) -> anyhow::Result<(Taken, f64)> {
    let (mut nodes, mut writers) = (Vec::new(), JoinSet::new());
    let (over, made) = (Arc::new(AtomicBool::new(false)), Arc::default());
    for letter in OTHERS {
        nodes.push(other(place, above, letter, records).await?);
    }
    let watch = Stopwatch::start();
    let mut others = Vec::new();
    for (node, edits) in nodes {
        let (over, made) = (Arc::clone(&over), Arc::clone(&made));
        writers.spawn(write(node.engine(), edits, over, made));
        others.push(node);
    }
    let mut taken = Taken::default();
    many(above, engine, edits, EDITS, &mut taken).await?;
    let rate = real(made.load(Ordering::Relaxed)) / watch.seconds();
    over.store(true, Ordering::Relaxed);
    while let Some(ended) = writers.join_next().await {
        ended??;
    }
    for node in others {
        node.stop().await;
    }
    Ok((taken, rate))
}

async fn other(
    place: &Place,
    above: &Engine,
    letter: char,
    records: u32,
) -> anyhow::Result<(Node, Edits)> {
    let name = format!("live-{letter}");
    let (_, node) = nodes::fresh(place, &name, Some(letter), false).await?;
    let engine = node.engine();
    let edits = Edits::after_import(&engine, letter, records, 4).await?;
    nodes::join(above, &engine).await?;
    nodes::until("everything is delivered", REST, || delivered(&engine)).await?;
    Ok((node, edits))
}

/// Writes at a steady pace until it is over.
async fn write(
    engine: Engine,
    mut edits: Edits,
    over: Arc<AtomicBool>,
    made: Arc<AtomicUsize>,
) -> anyhow::Result<()> {
    let mut pace = tokio::time::interval(Duration::from_secs(1) / OTHERS_EACH);
    while !over.load(Ordering::Relaxed) {
        pace.tick().await;
        edits::make(&engine, edits.next()?).await?;
        made.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// While another district, filled before, syncs for the first time; how many seconds that took.
async fn beside_newcomer(
    place: &Place,
    above: &Engine,
    engine: &Engine,
    edits: &mut Edits,
) -> anyhow::Result<(Taken, f64)> {
    let filled = nodes::filled(place, NEWCOMER, NEWCOMER_RECORDS).await?;
    let newcomer = nodes::start(&filled, false).await?;
    let new = newcomer.engine();
    let watch = Stopwatch::start();
    nodes::join(above, &new).await?;
    let mut taken = Taken::default();
    while !delivered(&new) {
        taken.add(one(above, engine, edits).await?);
    }
    let seconds = watch.seconds();
    drop(new);
    newcomer.stop().await;
    Ok((taken, seconds))
}

/// What one edit took, in milliseconds, and its bytes.
struct One {
    there: f64,
    here: f64,
    back: f64,
    bytes: f64,
}

impl Taken {
    fn add(&mut self, one: Option<One>) {
        let Some(one) = one else { return };
        self.there.push(one.there);
        self.here.push(one.here);
        self.back.push(one.back);
        self.bytes.push(one.bytes);
    }
}

/// Makes an edit after a rest; none if it altered nothing.
async fn one(above: &Engine, engine: &Engine, edits: &mut Edits) -> anyhow::Result<Option<One>> {
    let edit = edits.next()?;
    let version = edits::version(engine, &edit).await?;
    tokio::time::sleep(REST).await;
    let (id, before) = (edit.id, frames(engine)?);
    let mut events = above.events();
    let watch = Stopwatch::start();
    let seen = tokio::spawn(async move {
        loop {
            match events.recv().await {
                Ok(Event::Record { id: changed, .. }) if changed == id => {
                    return Some(watch.millis());
                }
                Ok(_) => {}
                // With more events than are kept, ours may be among the lost: then it is looked for.
                Err(RecvError::Lagged(_) | RecvError::Closed) => return None,
            }
        }
    });
    let after = edits::make(engine, edit).await?;
    let here = watch.millis();
    if after == version {
        seen.abort();
        return Ok(None);
    }
    let there = match seen.await? {
        Some(millis) => millis,
        None => {
            while above.record(Kind::Project, id).await?.heads != after {
                tokio::time::sleep(LOOK).await;
            }
            watch.millis()
        }
    };
    nodes::until("it is acknowledged", LOOK, || delivered(engine)).await?;
    Ok(Some(One {
        there,
        here,
        back: watch.millis(),
        bytes: frames(engine)? - before,
    }))
}

/// The bare commit and the bare round trip: at once after one another, and with the edits' rests.
struct Floors {
    store: BareStore,
    line: Line,
    commits: [Vec<f64>; 2],
    round_trips: [Vec<f64>; 2],
}

impl Floors {
    async fn prepare(place: &Place, data: &std::path::Path) -> anyhow::Result<Self> {
        let rows = rows::of_node(data).await?;
        Ok(Self {
            store: BareStore::fill(place, &rows, 2 * EDITS)?,
            line: Line::open().await?,
            commits: Default::default(),
            round_trips: Default::default(),
        })
    }

    async fn slice(&mut self, count: usize) -> anyhow::Result<()> {
        for (index, rest) in [Duration::ZERO, REST].into_iter().enumerate() {
            let commits = self.store.commits_ms(count, rest).await?;
            self.commits[index].extend(commits);
            let round_trips = self.line.round_trips_ms(count, rest).await?;
            self.round_trips[index].extend(round_trips);
        }
        Ok(())
    }

    fn taken(self) -> Bare {
        let [commit, rested_commit] = self.commits.map(Spread::of);
        let [round_trip, rested_round_trip] = self.round_trips.map(Spread::of);
        Bare {
            commit,
            round_trip,
            rested_commit,
            rested_round_trip,
        }
    }
}

/// What the floors took, in milliseconds.
struct Bare {
    commit: Spread,
    round_trip: Spread,
    rested_commit: Spread,
    rested_round_trip: Spread,
}

impl Bare {
    fn print(&self, taken: Taken, size: &str) {
        let there = Spread::of(taken.there);
        let size = format!("{size}, {} edits", there.count());
        for share in [50, 99] {
            let floor = |name, commit: &Spread, round_trip: &Spread| Floor {
                name,
                value: 2.0 * commit.percentile(share) + round_trip.percentile(share),
                better: Better::Less,
            };
            let floors = [
                floor(
                    "two bare durable commits + one bare QUIC round trip",
                    &self.commit,
                    &self.round_trip,
                ),
                floor(
                    "the same with the edits' rests between them",
                    &self.rested_commit,
                    &self.rested_round_trip,
                ),
            ];
            let figure = format!("live edit to the overview, p{share}");
            sheet::single(&figure, &size, "ms", there.percentile(share), &floors);
        }
        let (here, back) = (Spread::of(taken.here), Spread::of(taken.back));
        sheet::remark(&format!(
            "durable at the district {:.2} ms, acknowledged there {:.2} ms (p50)",
            here.median(),
            back.median(),
        ));
        let bytes = Spread::of(taken.bytes);
        sheet::spread(
            "live edit, bytes of our frames with the acknowledgement",
            &size,
            "bytes",
            &bytes,
            &[],
        );
        sheet::remark(&format!("p90 {:.0} bytes", bytes.percentile(90)));
    }

    fn remark(&self) {
        let words = |spread: &Spread| {
            format!(
                "{:.3} ms (p50) {:.3} (p99)",
                spread.median(),
                spread.percentile(99)
            )
        };
        sheet::remark(&format!(
            "bare commit {}, with rests {}; bare QUIC round trip {}, with rests {}",
            words(&self.commit),
            words(&self.rested_commit),
            words(&self.round_trip),
            words(&self.rested_round_trip),
        ));
    }
}

/// Bytes of frames both ways on the district's link.
fn frames(engine: &Engine) -> anyhow::Result<f64> {
    let peer = upstream(engine).context("a joined district has a peer")?;
    Ok(real(usize::try_from(
        peer.stream_bytes_sent + peer.stream_bytes_received,
    )?))
}

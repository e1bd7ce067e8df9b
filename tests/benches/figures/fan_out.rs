//! A guideline of the coordination to many districts: time to the last acknowledgement, bytes of
//! each; a new one, and a change of one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use raccordo_crdt_model::{DocumentId, Kind, Patch};
use raccordo_node::engine::{Engine, Event, Node, Principal};
use raccordo_node::store::{Options, Store};
use raccordo_tests::chance::Chance;
use raccordo_tests::workload::words;
use serde_json::{Map, Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::edits::BareStore;
use super::nodes::{self, Place, sentence};
use super::quic::{self, Work};
use super::rows::{self, Row};
use super::sheet::{self, Better, Floor};
use super::stopwatch::{Spread, Stopwatch, real};

/// How many of each are measured.
const TIMES: usize = 20;
/// Rest before each: all is idle when it comes.
const REST: Duration = Duration::from_millis(200);

pub(crate) async fn measure(place: &Place, districts: usize) -> anyhow::Result<()> {
    let (data, coordination) = nodes::fresh(place, "fan-coordination", None, false).await?;
    let above = coordination.engine();
    let mut members = Vec::with_capacity(districts);
    for number in 0..districts {
        members.push(member(place, &above, number).await?);
    }
    let by = Principal::office("op-001");
    let mut published = Vec::new();
    let whole = many(&above, districts, async |number| {
        let made = above.create(Kind::Guideline, guideline(number), &by);
        published.push(made.await.map_err(|failed| anyhow!(sentence(&failed)))?.id);
        Ok(())
    })
    .await?;
    let change = many(&above, districts, async |number| {
        let id = published[number];
        let made = above.patch(Kind::Guideline, id, new_text(number)?, None, &by);
        made.await.map_err(|failed| anyhow!(sentence(&failed)))?;
        Ok(())
    })
    .await?;
    for member in &members {
        everything_is_there(&above, &member.engine(), &published).await?;
    }
    drop(above);
    for member in members {
        member.stop().await;
    }
    coordination.stop().await;
    let rows = rows::of_node(&data).await?;
    let floor = floor(place, &rows, districts).await?;
    for (what, taken) in [
        ("a new guideline", whole),
        ("a change of a guideline", change),
    ] {
        taken.print(&format!("{what}, {districts} districts"), floor);
    }
    Ok(())
}

/// What fan-outs took, in milliseconds, and their bytes a district.
#[derive(Debug, Default)]
struct Taken {
    millis: Vec<f64>,
    bytes: Vec<f64>,
}

impl Taken {
    fn print(self, size: &str, floor: f64) {
        sheet::spread(
            "fan-out, to the last acknowledgement",
            size,
            "ms",
            &Spread::of(self.millis),
            &[Floor {
                name: "one bare commit + bare QUIC to as many, each with a bare commit before its answer",
                value: floor,
                better: Better::Less,
            }],
        );
        sheet::spread(
            "fan-out, bytes of our frames a district, acknowledgement included",
            size,
            "bytes",
            &Spread::of(self.bytes),
            &[],
        );
    }
}

/// Does it so many times, each when all is idle.
async fn many(
    above: &Engine,
    districts: usize,
    mut act: impl AsyncFnMut(usize) -> anyhow::Result<()>,
) -> anyhow::Result<Taken> {
    let mut taken = Taken::default();
    for number in 0..TIMES {
        all_acknowledged(above, districts).await?;
        tokio::time::sleep(REST).await;
        let before = frames(above);
        let mut events = above.events();
        let watch = Stopwatch::start();
        act(number).await?;
        last_acknowledgement(above, &mut events).await?;
        taken.millis.push(watch.millis());
        all_acknowledged(above, districts).await?;
        taken.bytes.push((frames(above) - before) / real(districts));
    }
    Ok(taken)
}

/// A guideline of about two pages.
fn guideline(number: usize) -> Value {
    let mut chance = Chance::new(u64::try_from(number).unwrap_or_default());
    let mut sections = Map::new();
    for position in 1..=4 {
        let text = words(&mut chance, 100);
        let section = json!({"position": position, "title": words(&mut chance, 5), "text": text});
        sections.insert(format!("s{position}"), section);
    }
    json!({
        "title": format!("Linea guida {number}"),
        "type": "procedure",
        "version": "1",
        "state": "published",
        "summary": words(&mut chance, 40),
        "sections": sections,
    })
}

fn new_text(number: usize) -> anyhow::Result<Patch> {
    let mut chance = Chance::new(u64::try_from(number)? + 1_000);
    let value = words(&mut chance, 60);
    let patch = json!([{"op": "replace", "path": "/sections/s2/text", "value": value}]);
    Patch::parse(&patch).map_err(|problems| anyhow!("{problems:?}"))
}

/// A district that has joined.
async fn member(place: &Place, above: &Engine, number: usize) -> anyhow::Result<Node> {
    let territory = format!("d{number:02}");
    let data = place.free(&format!("fan-{number}"))?;
    nodes::found_at(&data, &territory)?;
    let node = nodes::start(&data, false).await?;
    nodes::join(above, &node.engine()).await?;
    Ok(node)
}

/// Returns when every district has acknowledged everything.
async fn last_acknowledgement(above: &Engine, events: &mut Receiver<Event>) -> anyhow::Result<()> {
    let waiting = || {
        let peers = above.peers().into_iter();
        peers.filter(|peer| peer.to_send > 0).map(|peer| peer.id)
    };
    let mut missing: BTreeSet<String> = waiting().collect();
    while !missing.is_empty() {
        match events.recv().await {
            Ok(Event::Delivery {
                peer, to_send: 0, ..
            }) => {
                missing.remove(&peer);
            }
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => missing = waiting().collect(),
            Err(RecvError::Closed) => return Err(anyhow!("the coordination ended")),
        }
    }
    Ok(())
}

/// Whether a district shows what the coordination shows.
async fn everything_is_there(
    above: &Engine,
    district: &Engine,
    published: &[DocumentId],
) -> anyhow::Result<()> {
    for id in published {
        let here = district.record(Kind::Guideline, *id).await?;
        let there = above.record(Kind::Guideline, *id).await?;
        ensure!(here.heads == there.heads, "a district has another version");
    }
    Ok(())
}

async fn all_acknowledged(above: &Engine, districts: usize) -> anyhow::Result<()> {
    nodes::until("every district has everything", REST / 10, || {
        let peers = above.peers();
        let done = |peer: &&raccordo_node::engine::PeerView| {
            peer.state == "connected" && peer.to_send == 0 && peer.to_receive == 0
        };
        peers.iter().filter(done).count() >= districts
    })
    .await
}

/// Bytes of frames both ways on the links with all districts.
fn frames(above: &Engine) -> f64 {
    let peers = above.peers().into_iter();
    let bytes: u64 = peers
        .map(|peer| peer.stream_bytes_sent + peer.stream_bytes_received)
        .sum();
    real(usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// Milliseconds of the same without nodes: a commit, then everybody asked, each commits and answers.
async fn floor(place: &Place, rows: &[Row], districts: usize) -> anyhow::Result<f64> {
    let mut bare = BareStore::fill(place, rows, TIMES)?;
    let first = Spread::of(bare.commits_ms(TIMES, REST).await?);
    let mut stores = Vec::with_capacity(districts);
    for number in 0..districts {
        let folder = place.free(&format!("fan-bare-{number}"))?;
        stores.push(Store::open(&folder, &Options::default())?);
    }
    let written = rows::of_edits(rows, 1, 1)
        .pop()
        .context("one edit's rows")?;
    let work: Work = Arc::new(move |peer| {
        stores[peer].commit(rows::batch(written.clone()))?;
        Ok(())
    });
    let everybody = quic::fan_out_ms(districts, TIMES, REST, work).await?;
    Ok(first.median() + everybody.median())
}

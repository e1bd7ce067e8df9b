//! One fact of the coordination to many districts: time to the last acknowledgement, bytes of each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use raccordo_node::engine::{Engine, Event, Node};
use raccordo_node::store::{Options, Store};
use tokio::sync::broadcast::error::RecvError;

use super::edits;
use super::nodes::{self, Place};
use super::quic::{self, Work};
use super::rows::{self, Row};
use super::sheet::{self, Better, Floor};
use super::stopwatch::{Spread, Stopwatch, real};

/// Facts measured.
const FACTS: usize = 20;
/// Rest before each: all is idle when it comes.
const REST: Duration = Duration::from_millis(200);

pub(crate) async fn measure(place: &Place, districts: usize) -> anyhow::Result<()> {
    let (data, coordination) = nodes::fresh(place, "fan-coordination", None, false).await?;
    let above = coordination.engine();
    let mut members = Vec::with_capacity(districts);
    for number in 0..districts {
        members.push(member(place, &above, number).await?);
    }
    // The facts are about somebody else, who is never there.
    let absent = member(place, &above, districts).await?;
    let id = absent.engine().status().id;
    absent.stop().await;
    let (mut times, mut bytes) = (vec![], vec![]);
    for number in 0..FACTS {
        all_acknowledged(&above, districts).await?;
        tokio::time::sleep(REST).await;
        let before = frames(&above, &id);
        times.push(one(&above, &id, number % 2 == 0, districts).await?);
        all_acknowledged(&above, districts).await?;
        bytes.push((frames(&above, &id) - before) / real(districts));
    }
    drop(above);
    for member in members {
        member.stop().await;
    }
    coordination.stop().await;
    let rows = rows::of_node(&data).await?;
    let floor = floor(place, &rows, districts).await?;
    let size = format!("{districts} districts, a fact of the roster");
    sheet::spread(
        "fan-out, to the last acknowledgement",
        &size,
        "ms",
        &Spread::of(times),
        &[Floor {
            name: "one bare commit + bare QUIC to as many, each with a bare commit before its answer",
            value: floor,
            better: Better::Less,
        }],
    );
    sheet::spread(
        "fan-out, bytes of our frames a district, acknowledgement included",
        &size,
        "bytes",
        &Spread::of(bytes),
        &[],
    );
    Ok(())
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

/// Milliseconds from the command to the last acknowledgement of the fact that it made.
async fn one(above: &Engine, id: &str, suspend: bool, districts: usize) -> anyhow::Result<f64> {
    let mut events = above.events();
    let watch = Stopwatch::start();
    let made = if suspend {
        above.peer_suspend(id).await
    } else {
        above.peer_resume(id).await
    };
    made.map_err(|failed| anyhow!(nodes::sentence(&failed)))?;
    let mut missing: BTreeSet<String> = connected(above, id)
        .into_iter()
        .filter(|(_, to_send)| *to_send > 0)
        .map(|(peer, _)| peer)
        .collect();
    ensure!(missing.len() <= districts, "only the districts are there");
    while !missing.is_empty() {
        match events.recv().await {
            Ok(Event::Delivery {
                peer, to_send: 0, ..
            }) => {
                missing.remove(&peer);
            }
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => missing.retain(|peer| {
                let now = connected(above, id);
                now.iter()
                    .any(|(other, to_send)| other == peer && *to_send > 0)
            }),
            Err(RecvError::Closed) => return Err(anyhow!("the coordination ended")),
        }
    }
    Ok(watch.millis())
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

/// The peers that are there, each with what it has not acknowledged.
fn connected(above: &Engine, absent: &str) -> Vec<(String, u64)> {
    let peers = above.peers().into_iter().filter(|peer| peer.id != absent);
    peers.map(|peer| (peer.id, peer.to_send)).collect()
}

/// Bytes of frames both ways on the links with all districts.
fn frames(above: &Engine, absent: &str) -> f64 {
    let peers = above.peers().into_iter().filter(|peer| peer.id != absent);
    let bytes: u64 = peers
        .map(|peer| peer.stream_bytes_sent + peer.stream_bytes_received)
        .sum();
    real(usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// Milliseconds of the same without nodes: a commit, then everybody asked, each commits and answers.
async fn floor(place: &Place, rows: &[Row], districts: usize) -> anyhow::Result<f64> {
    let first = edits::bare_commits_ms(place, rows, FACTS, REST).await?;
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
    let everybody = quic::fan_out_ms(districts, FACTS, REST, work).await?;
    Ok(first.median() + everybody.median())
}

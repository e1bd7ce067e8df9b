//! Reconnecting when nothing has changed: bytes, round trips, time.
//!
//! Round trips are read off the clock: behind a relay that delays every datagram by half a round
//! trip, the time to the comparison, less the same with half the delay, counts them.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use raccordo_node::engine::{Node, PeerView};

use super::nodes::{self, EDITS, Place, delivered, upstream};
use super::quic::Delay;
use super::sheet;
use super::stopwatch::{Spread, Stopwatch, real};

/// How often the comparison is looked for.
const LOOK: Duration = Duration::from_micros(200);
/// Round trips of the relay, in milliseconds.
const NEAR_MS: u32 = 40;
const FAR_MS: u32 = 120;

pub(crate) async fn measure(place: &Place, records: u32, rounds: usize) -> anyhow::Result<()> {
    let (_coordination_data, coordination) =
        nodes::fresh(place, "reconnect-coordination", None, false).await?;
    let (data, mut node) = nodes::fresh(place, "reconnect", Some('A'), false).await?;
    let relay = Delay::open(coordination.engine().status().listen.parse()?).await?;
    nodes::import(&node.engine(), nodes::workload('A', records, EDITS).lines()).await?;
    join_through(&coordination, &node, &relay).await?;
    nodes::until("everything is delivered", LOOK, || {
        delivered(&node.engine())
    })
    .await?;
    let (mut bytes, mut times, mut payload) = (vec![], vec![], vec![]);
    for _ in 0..rounds {
        let (ended, millis, peer) = again(node, &data).await?;
        node = ended;
        times.push(millis);
        bytes.push(total(peer.stream_bytes_sent, peer.stream_bytes_received));
        payload.push(total(peer.udp_bytes_sent, peer.udp_bytes_received));
    }
    let mut delayed = Vec::new();
    for round_trip in [NEAR_MS, FAR_MS] {
        relay.set(round_trip / 2);
        let mut taken = Vec::new();
        for _ in 0..rounds {
            let (ended, millis, _) = again(node, &data).await?;
            node = ended;
            taken.push(millis);
        }
        delayed.push(Spread::of(taken).least());
    }
    node.stop().await;
    coordination.stop().await;
    let size = format!("{records} records x {EDITS} edits");
    sheet::spread(
        "reconnect, nothing changed, bytes of our frames both ways",
        &size,
        "bytes",
        &Spread::of(bytes),
        &[],
    );
    sheet::remark(&format!(
        "UDP payload with the handshake: {:.0} bytes",
        Spread::of(payload).median()
    ));
    let trips = (delayed[1] - delayed[0]) / f64::from(FAR_MS - NEAR_MS);
    sheet::single(
        "reconnect, round trips from dialling to equal",
        &size,
        "round trips",
        trips,
        &[],
    );
    sheet::remark("one of them is the handshake's");
    sheet::spread(
        "reconnect, time from dialling to equal",
        &size,
        "ms",
        &Spread::of(times),
        &[],
    );
    Ok(())
}

/// Stops the district and starts it again; until both sides know that they hold the same.
async fn again(node: Node, data: &std::path::Path) -> anyhow::Result<(Node, f64, PeerView)> {
    node.stop().await;
    let node = nodes::start(data, false).await?;
    let watch = Stopwatch::start();
    let engine = node.engine();
    nodes::until("the digests are compared", LOOK, || {
        upstream(&engine).is_some_and(|peer| peer.equal.is_some())
    })
    .await?;
    let millis = watch.millis();
    let peer = upstream(&engine).context("a joined district has a peer")?;
    ensure!(peer.equal == Some(true), "the digests differ");
    Ok((node, millis, peer))
}

async fn join_through(coordination: &Node, district: &Node, relay: &Delay) -> anyhow::Result<()> {
    let territory = district.engine().config().node.territory.clone();
    let made = coordination
        .engine()
        .invite(territory, raccordo_config::Role::District, 3_600, true)
        .await?;
    let mut invitation = raccordo_config::Invitation::parse(&made.invitation)?;
    invitation.address = relay.address().to_string();
    district.engine().join(&invitation.encode()).await?;
    Ok(())
}

fn total(sent: u64, received: u64) -> f64 {
    real(usize::try_from(sent + received).unwrap_or(usize::MAX))
}

//! One live edit, from the person at the district to the overview of the coordination.

use std::time::Duration;

use anyhow::Context as _;
use raccordo_node::engine::{Engine, Event};
use tokio::sync::broadcast::error::RecvError;

use super::edits::{self, Edits};
use super::nodes::{self, Place, delivered, upstream};
use super::quic;
use super::rows;
use super::sheet::{self, Better, Floor};
use super::stopwatch::{Spread, Stopwatch, real};

/// Edits measured.
const EDITS: usize = 500;
/// Edits made before, so that everything is warm.
const WARM: usize = 30;
/// Rest between two edits: the nodes are idle when the next one comes.
const REST: Duration = Duration::from_millis(15);

pub(crate) async fn measure(place: &Place, records: u32) -> anyhow::Result<()> {
    let (coordination_data, coordination) =
        nodes::fresh(place, "live-coordination", None, false).await?;
    let (_, district) = nodes::fresh(place, "live", Some('A'), false).await?;
    let (above, engine) = (coordination.engine(), district.engine());
    let mut edits = Edits::after_import(&engine, 'A', records, 2).await?;
    nodes::join(&above, &engine).await?;
    nodes::until("everything is delivered", REST, || delivered(&engine)).await?;
    let (mut there, mut here, mut back, mut bytes) = (vec![], vec![], vec![], vec![]);
    for number in 0..WARM + EDITS {
        let Some(one) = one(&above, &engine, &mut edits).await? else {
            continue;
        };
        if number >= WARM {
            there.push(one.there);
            here.push(one.here);
            back.push(one.back);
            bytes.push(one.bytes);
        }
    }
    nodes::ensure_equal(&above, std::slice::from_ref(&engine))?;
    drop((above, engine));
    district.stop().await;
    coordination.stop().await;
    print(
        place,
        &coordination_data,
        records,
        [there, here, back, bytes],
    )
    .await
}

/// What one edit took, in milliseconds, and its bytes.
struct Taken {
    there: f64,
    here: f64,
    back: f64,
    bytes: f64,
}

/// Makes an edit when all is idle; none if it altered nothing.
async fn one(above: &Engine, engine: &Engine, edits: &mut Edits) -> anyhow::Result<Option<Taken>> {
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
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    let after = edits::make(engine, edit).await?;
    let here = watch.millis();
    if after == version {
        seen.abort();
        return Ok(None);
    }
    let there = seen.await?.context("the coordination ended")?;
    let look = Duration::from_micros(200);
    nodes::until("it is acknowledged", look, || delivered(engine)).await?;
    Ok(Some(Taken {
        there,
        here,
        back: watch.millis(),
        bytes: frames(engine)? - before,
    }))
}

async fn print(
    place: &Place,
    data: &std::path::Path,
    records: u32,
    taken: [Vec<f64>; 4],
) -> anyhow::Result<()> {
    let [there, here, back, bytes] = taken.map(Spread::of);
    let rows = rows::of_node(data).await?;
    let commit = edits::bare_commits_ms(place, &rows, EDITS)?;
    let round_trip = quic::round_trips_ms(EDITS).await?;
    let floor = |share| Floor {
        name: "two bare durable commits + one bare QUIC round trip",
        value: 2.0 * commit.percentile(share) + round_trip.percentile(share),
        better: Better::Less,
    };
    let size = format!("{records} records, {} edits, idle", bytes.count());
    sheet::single(
        "live edit to the overview, p50",
        &size,
        "ms",
        there.median(),
        &[floor(50)],
    );
    sheet::single(
        "live edit to the overview, p99",
        &size,
        "ms",
        there.percentile(99),
        &[floor(99)],
    );
    sheet::remark(&format!(
        "durable at the district {:.2} ms, acknowledged there {:.2} ms (p50); bare commit {:.2} ms (p50) {:.2} (p99); bare QUIC round trip {:.3} ms (p50) {:.3} (p99)",
        here.median(),
        back.median(),
        commit.median(),
        commit.percentile(99),
        round_trip.median(),
        round_trip.percentile(99),
    ));
    sheet::spread(
        "live edit, bytes of our frames with the acknowledgement",
        &size,
        "bytes",
        &bytes,
        &[],
    );
    sheet::remark(&format!("p90 {:.0} bytes", bytes.percentile(90)));
    Ok(())
}

/// Bytes of frames both ways on the district's link.
fn frames(engine: &Engine) -> anyhow::Result<f64> {
    let peer = upstream(engine).context("a joined district has a peer")?;
    Ok(real(usize::try_from(
        peer.stream_bytes_sent + peer.stream_bytes_received,
    )?))
}

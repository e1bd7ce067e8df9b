//! Reconnecting when nothing has changed: bytes, round trips, time.
//!
//! Round trips are read off the clock: behind a relay that delays every datagram by half a round
//! trip, the time to the comparison, less the same with a shorter delay, counts them.

use super::nodes::Place;
use super::pair::Pair;
use super::quic;
use super::sheet::{self, Better, Floor};
use super::stopwatch::Spread;

/// Round trips of the relay, in milliseconds.
const NEAR_MS: u32 = 40;
const FAR_MS: u32 = 120;
/// Connections of the bare floor.
const CONNECTIONS: usize = 40;
/// What the design allows, in bytes.
const BYTES_MAX: f64 = 500.0;

pub(crate) async fn measure(place: &Place, records: u32, rounds: usize) -> anyhow::Result<()> {
    let mut pair = Pair::of(place, records).await?;
    let (mut bytes, mut times, mut payload) = (vec![], vec![], vec![]);
    // The first time the stores' caches are cold.
    pair.again().await?;
    for _ in 0..rounds {
        let back = pair.again().await?;
        times.push(back.equal);
        bytes.push(back.frames());
        payload.push(back.payload());
    }
    let mut delayed = Vec::new();
    for round_trip in [NEAR_MS, FAR_MS] {
        pair.one_way(u64::from(round_trip / 2));
        let mut taken = Vec::new();
        // The least of many: whatever disturbs, disturbs upwards.
        for _ in 0..=2 * rounds {
            taken.push(pair.again().await?.equal);
        }
        delayed.push(Spread::of(taken).least());
    }
    let size = pair.size();
    pair.stop().await;
    let bare = quic::connections_ms(CONNECTIONS).await?;
    let less = |name, value| {
        [Floor {
            name,
            value,
            better: Better::Less,
        }]
    };
    sheet::spread(
        "reconnect, nothing changed, bytes of our frames both ways",
        &size,
        "bytes",
        &Spread::of(bytes),
        &less("allowed", BYTES_MAX),
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
        &less("the handshake and one more", 2.0),
    );
    sheet::spread(
        "reconnect, time from dialling to equal",
        &size,
        "ms",
        &Spread::of(times),
        &less(
            "bare QUIC: handshake, one question, one answer",
            bare.median(),
        ),
    );
    Ok(())
}

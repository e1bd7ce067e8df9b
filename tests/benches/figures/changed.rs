//! A share of the records changed while a district was cut off: bytes and time of catching up.

use anyhow::{Context as _, anyhow, ensure};
use raccordo_crdt_model::{Kind, Patch};
use raccordo_node::clock::{Clock as _, SystemClock};
use raccordo_node::engine::{Engine, Principal};
use raccordo_tests::chance::Chance;
use raccordo_tests::workload::addition;
use serde_json::Value;

use super::bare;
use super::entries::log_and_edits;
use super::nodes::{self, Place, sentence};
use super::pair::{Pair, edits_of};
use super::quic;
use super::sheet::{self, Better, Floor};
use super::stopwatch::{Spread, real};

/// One in so many records changes, once.
const ONE_IN: u32 = 100;
/// Connections of the bare floor.
const CONNECTIONS: usize = 40;

pub(crate) async fn measure(place: &Place, records: u32, rounds: usize) -> anyhow::Result<()> {
    let mut pair = Pair::of(place, records).await?;
    let (mut bytes, mut times, mut proofs) = (vec![], vec![], vec![]);
    let mut edits = Vec::new();
    for _ in 0..rounds {
        edits = some_edits(records)?;
        let engine = pair.cut_off().await?;
        make(&engine, &edits).await?;
        drop(engine);
        let back = pair.again().await?;
        bytes.push(back.frames());
        times.push(back.delivered);
        proofs.push(back.equal);
    }
    let size = format!("{}, {} changed", pair.size(), edits.len());
    pair.stop().await;
    let floor = floor(place, records, &edits).await?;
    let less = |name, value| Floor {
        name,
        value,
        better: Better::Less,
    };
    sheet::spread(
        "1 % changed while cut off, bytes of our frames both ways",
        &size,
        "bytes",
        &Spread::of(bytes),
        &[
            less("the bare changes", floor.bodies),
            less("the same in zstd -3 and their signatures", floor.packed),
        ],
    );
    sheet::spread(
        "1 % changed while cut off, from dialling to the last acknowledgement",
        &size,
        "ms",
        &Spread::of(times),
        &[less(
            "bare handshake and round trip + verify + apply + one durable commit",
            floor.millis,
        )],
    );
    sheet::remark(&format!(
        "both sides know that they are equal after {:.1} ms",
        Spread::of(proofs).median()
    ));
    Ok(())
}

/// A new edit for each of one in a hundred records, spread over all of them.
fn some_edits(records: u32) -> anyhow::Result<Vec<(String, Patch)>> {
    let mark = u64::try_from(SystemClock::start().unix_millis())?;
    let mut chance = Chance::new(mark);
    let workload = nodes::workload('A', records, 0);
    let start = u32::try_from(chance.between(0, u64::from(ONE_IN) - 1))?;
    let numbers = (0..records / ONE_IN).map(|number| number * ONE_IN + start);
    numbers
        .map(|number| {
            let patch = Patch::parse(&addition(&mut chance, mark));
            let patch = patch.map_err(|problems| anyhow!("{problems:?}"))?;
            Ok((workload.reference(number), patch))
        })
        .collect()
}

async fn make(engine: &Engine, edits: &[(String, Patch)]) -> anyhow::Result<()> {
    let by = Principal::office("op-001");
    let before = engine.status().entries;
    for (reference, patch) in edits {
        let id = engine.resolve(Kind::Project, reference, None).await?;
        let made = engine
            .patch(Kind::Project, id, patch.clone(), None, &by)
            .await;
        made.map_err(|failed| anyhow!(sentence(&failed)))?;
    }
    let made = engine.status().entries - before;
    ensure!(
        made == u64::try_from(edits.len())?,
        "{made} entries of {} edits",
        edits.len()
    );
    Ok(())
}

/// What the changes cost without a node.
struct Bare {
    bodies: f64,
    packed: f64,
    millis: f64,
}

async fn floor(place: &Place, records: u32, edits: &[(String, Patch)]) -> anyhow::Result<Bare> {
    let lines = nodes::workload('A', records, edits_of(records)).lines();
    let mut touched = Vec::new();
    for line in lines {
        let parsed: Value = serde_json::from_str(&line)?;
        let reference = parsed["ref"].as_str().context("a line has a ref")?;
        if edits
            .binary_search_by(|(edited, _)| edited.as_str().cmp(reference))
            .is_ok()
        {
            touched.push(line);
        }
    }
    let (log, entries) = log_and_edits('A', &touched, edits)?;
    let bodies: Vec<&[u8]> = entries
        .iter()
        .filter_map(|entry| entry.body.as_deref())
        .collect();
    let bytes = real(bodies.iter().map(|body| body.len()).sum());
    let packed = real(bare::packed(&bodies)? + 64 * entries.len());
    let commit = bare::commit_entries(&place.free("changed-bare")?, &entries)?;
    let applied = bare::verify_and_add(log, entries)?;
    let connection = quic::connections_ms(CONNECTIONS).await?.median();
    Ok(Bare {
        bodies: bytes,
        packed,
        millis: connection + (commit + applied) * 1e3,
    })
}

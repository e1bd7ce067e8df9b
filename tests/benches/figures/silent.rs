//! One document lost without a trace among many: bytes, round trips and time until it is found and
//! back; beside it the same proof when nothing differs.

use std::path::Path;

use anyhow::{Context as _, ensure};
use raccordo_node::clock::{Clock as _, SystemClock};
use raccordo_node::engine::{Engine, PeerView, ProofView};
use raccordo_node::store::{Batch, Options, Store, Table};

use super::nodes::{self, Place, upstream};
use super::pair::{LOOK, PROOF_EVERY_S, Pair};
use super::sheet::{self, Better, Floor};
use super::stopwatch::{Spread, real};

/// Bytes of a document's id and its fingerprint, which a naive comparison would send of each.
const ITEM_BYTES: usize = 16 + 32;
/// What is taken away of a document.
const TABLES: [Table; 3] = [Table::Documents, Table::Changes, Table::Keys];

pub(crate) async fn measure(place: &Place, records: u32, rounds: usize) -> anyhow::Result<()> {
    let mut pair = Pair::of(place, records).await?;
    let (mut lost, mut equal) = (Taken::default(), Taken::default());
    for round in 0..rounds {
        pair.beneath(|data| lose_one(data, round)).await?;
        let engine = pair.proving().await?;
        let found = proof(&engine, None).await?;
        nodes::until("the document is back", LOOK, || {
            upstream(&engine).is_some_and(|peer| peer.repaired > 0)
        })
        .await?;
        let done = SystemClock::start().unix_millis();
        ensure!(
            found.differing == 1,
            "{} differ, one was lost",
            found.differing
        );
        let peer = upstream(&engine).context("a joined district has a peer")?;
        lost.add(&found, since_due(&peer, done)?);
        let again = proof(&engine, Some(&found)).await?;
        ensure!(again.differing == 0, "{} still differ", again.differing);
        equal.add(&again, 0.0);
    }
    let size = pair.size();
    pair.stop().await;
    lost.print("one document lost", &size, records);
    equal.print("nothing differs", &size, records);
    sheet::spread(
        "proof with one document lost, from its beginning until the document is back",
        &size,
        "ms",
        &Spread::of(lost.millis),
        &[],
    );
    Ok(())
}

#[derive(Default)]
struct Taken {
    bytes: Vec<f64>,
    rounds: Vec<f64>,
    millis: Vec<f64>,
}

impl Taken {
    fn add(&mut self, proof: &ProofView, millis: f64) {
        self.bytes
            .push(real(usize::try_from(proof.bytes).unwrap_or(usize::MAX)));
        self.rounds.push(f64::from(proof.rounds));
        self.millis.push(millis);
    }

    fn print(&self, what: &str, size: &str, records: u32) {
        let naive = real(usize::try_from(records).unwrap_or(usize::MAX) * ITEM_BYTES);
        sheet::spread(
            &format!("proof, {what}, bytes of its frames both ways"),
            size,
            "bytes",
            &Spread::of(self.bytes.clone()),
            &[Floor {
                name: "every id and fingerprint (a twin, not a floor)",
                value: naive,
                better: Better::Less,
            }],
        );
        sheet::spread(
            &format!("proof, {what}, round trips"),
            size,
            "round trips",
            &Spread::of(self.rounds.clone()),
            &[],
        );
    }
}

/// Takes one document away under a stopped node; another one each round.
fn lose_one(data: &Path, round: usize) -> anyhow::Result<()> {
    let store = Store::open(&data.join("store"), &Options::default())?;
    let start = [u8::try_from(round * 37 % 200)?; 16];
    let first = store.scan(Table::Documents, &[], Some(&start), 1)?;
    let (id, _) = first.into_iter().next().context("there are documents")?;
    let mut batch = Batch::new();
    for table in TABLES {
        for (key, _) in store.scan(table, &id, None, 10_000)? {
            batch.delete(table, key);
        }
    }
    ensure!(batch.len() >= TABLES.len(), "a document has these rows");
    store.commit(batch)?;
    Ok(())
}

/// The next proof that ends, after this one.
async fn proof(engine: &Engine, after: Option<&ProofView>) -> anyhow::Result<ProofView> {
    let next = || {
        let proof = upstream(engine).and_then(|peer| peer.proof);
        proof.filter(|proof| after.is_none_or(|after| proof.at > after.at))
    };
    nodes::until("a proof ends", LOOK, || next().is_some()).await?;
    next().context("it has just ended")
}

/// Milliseconds from when the first proof of a connection was due.
fn since_due(peer: &PeerView, now_ms: i64) -> anyhow::Result<f64> {
    let since = peer.since.context("it is connected")?.0;
    let taken = now_ms - since - 1_000 * i64::from(PROOF_EVERY_S);
    Ok(real(usize::try_from(taken.max(0))?))
}

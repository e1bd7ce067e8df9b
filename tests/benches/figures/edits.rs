//! Durable edits a second: one at a time, and sixteen at once.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use raccordo_crdt_model::{DocumentId, Heads, ImportLine, ImportOp, Kind, Patch};
use raccordo_node::engine::{Engine, Principal};
use raccordo_node::store::{Options, Store};

use super::bare::commit_alone;
use super::nodes::{self, Place, sentence};
use super::rows;
use super::sheet::{self, Better, Floor};
use super::stopwatch::{Spread, Stopwatch, real};

/// Edits of one round, one at a time.
const ALONE: usize = 300;
/// Edits of one round at once, and how many at once.
const TOGETHER: usize = 1_600;
const AT_ONCE: usize = 16;

/// Edits to make, as the workload's last rounds have them.
#[derive(Debug)]
pub(crate) struct Edits {
    waiting: std::vec::IntoIter<Edit>,
}

/// One edit of a record.
#[derive(Debug, Clone)]
pub(crate) struct Edit {
    pub(crate) id: DocumentId,
    patch: Patch,
}

impl Edits {
    /// Fills a node with all but the last rounds of the workload, which are kept to be made.
    pub(crate) async fn after_import(
        engine: &Engine,
        district: char,
        records: u32,
        rounds: u32,
    ) -> anyhow::Result<Self> {
        let mut lines = nodes::workload(district, records, nodes::EDITS).lines();
        let kept = usize::try_from(records * rounds)?;
        let later = lines.split_off(lines.len() - kept);
        nodes::import(engine, lines).await?;
        let mut ids: BTreeMap<String, DocumentId> = BTreeMap::new();
        let mut waiting = Vec::with_capacity(kept);
        for line in later {
            let (line, _) = ImportLine::parse(&line).map_err(|problems| anyhow!("{problems:?}"))?;
            let ImportOp::Patch { patch } = line.op else {
                continue;
            };
            let id = match ids.get(&line.reference) {
                Some(id) => *id,
                None => engine.resolve(Kind::Project, &line.reference, None).await?,
            };
            ids.insert(line.reference, id);
            waiting.push(Edit { id, patch });
        }
        Ok(Self {
            waiting: waiting.into_iter(),
        })
    }

    pub(crate) fn next(&mut self) -> anyhow::Result<Edit> {
        self.waiting
            .next()
            .context("the workload has no more edits: take more records")
    }
}

/// The version of the record before an edit, to tell later whether the edit altered anything.
pub(crate) async fn version(engine: &Engine, edit: &Edit) -> anyhow::Result<Heads> {
    Ok(engine.record(Kind::Project, edit.id).await?.heads)
}

/// Makes one edit and returns the version after it; durable when it returns.
pub(crate) async fn make(engine: &Engine, edit: Edit) -> anyhow::Result<Heads> {
    let by = Principal::office("op-001");
    let made = engine
        .patch(Kind::Project, edit.id, edit.patch, None, &by)
        .await;
    made.map(|record| record.heads)
        .map_err(|failed| anyhow!(sentence(&failed)))
}

pub(crate) async fn measure(place: &Place, records: u32, rounds: usize) -> anyhow::Result<()> {
    let (data, node) = nodes::fresh(place, "edits", Some('A'), true).await?;
    let engine = node.engine();
    let mut edits = Edits::after_import(&engine, 'A', records, 4).await?;
    let (mut alone, mut together, mut took) = (vec![], vec![], vec![]);
    for _ in 0..rounds {
        let round = one_at_a_time(&engine, &mut edits).await?;
        alone.push(real(round.len()) * 1e3 / round.iter().sum::<f64>());
        took.extend(round);
        together.push(at_once(&engine, &mut edits).await?);
    }
    drop(engine);
    node.stop().await;
    let rows = rows::of_node(&data).await?;
    let (mut bare_alone, mut bare_together) = (vec![], vec![]);
    for _ in 0..rounds {
        bare_alone.push(bare(place, &rows, ALONE, 1)?);
        bare_together.push(bare(place, &rows, TOGETHER, AT_ONCE)?);
    }
    let floor = |name, rates| {
        [Floor {
            name,
            value: Spread::of(rates).median(),
            better: Better::More,
        }]
    };
    sheet::spread(
        "durable edits, one at a time",
        &format!("{records} records, {ALONE} edits a round"),
        "edits/s",
        &Spread::of(alone),
        &floor("bare store commits of the same sizes", bare_alone),
    );
    let took = Spread::of(took);
    sheet::remark(&format!(
        "one edit: {:.2} ms (p50), {:.2} (p99)",
        took.median(),
        took.percentile(99)
    ));
    sheet::spread(
        "durable edits, 16 at once",
        &format!("{records} records, {TOGETHER} edits a round"),
        "edits/s",
        &Spread::of(together),
        &floor("bare store commits of 16 edits each", bare_together),
    );
    Ok(())
}

/// Milliseconds of each edit that altered something.
async fn one_at_a_time(engine: &Engine, edits: &mut Edits) -> anyhow::Result<Vec<f64>> {
    let mut took = Vec::with_capacity(ALONE);
    while took.len() < ALONE {
        let edit = edits.next()?;
        let before = version(engine, &edit).await?;
        let watch = Stopwatch::start();
        let after = make(engine, edit).await?;
        if after != before {
            took.push(watch.millis());
        }
    }
    Ok(took)
}

/// Edits a second, of those that altered something.
async fn at_once(engine: &Engine, edits: &mut Edits) -> anyhow::Result<f64> {
    // Each record's edits stay in one hand, so that they keep their order.
    let mut hands = vec![Vec::new(); AT_ONCE];
    let mut versions = BTreeMap::new();
    for _ in 0..TOGETHER {
        let edit = edits.next()?;
        versions.insert(edit.id, version(engine, &edit).await?);
        hands[usize::from(edit.id.as_bytes()[0]) % AT_ONCE].push(edit);
    }
    let watch = Stopwatch::start();
    let mut tasks = tokio::task::JoinSet::new();
    for hand in hands {
        let (engine, mut versions) = (engine.clone(), versions.clone());
        tasks.spawn(async move {
            let mut altered = 0;
            for edit in hand {
                let id = edit.id;
                let after = make(&engine, edit).await?;
                let before = versions.insert(id, after.clone());
                altered += usize::from(before != Some(after));
            }
            anyhow::Ok(altered)
        });
    }
    let mut altered = 0;
    while let Some(ended) = tasks.join_next().await {
        altered += ended??;
    }
    Ok(real(altered) / watch.seconds())
}

/// Edits a second of the store alone, in a store that already holds the rows.
fn bare(place: &Place, rows: &[rows::Row], edits: usize, each: usize) -> anyhow::Result<f64> {
    let folder = place.free("edits-bare")?;
    commit_alone(&folder, rows::in_windows(rows, 1))?;
    let seconds = commit_alone(&folder, rows::of_edits(rows, edits, each))?;
    Ok(real(edits) / seconds)
}

/// A store without a node, filled with a node's rows, and edits' rows to commit to it.
#[derive(Debug)]
pub(crate) struct BareStore {
    store: Store,
    edits: std::vec::IntoIter<Vec<rows::Row>>,
}

impl BareStore {
    /// A store of these rows, for so many edits.
    pub(crate) fn fill(place: &Place, rows: &[rows::Row], edits: usize) -> anyhow::Result<Self> {
        let folder = place.free("edits-bare-store")?;
        commit_alone(&folder, rows::in_windows(rows, 1))?;
        Ok(Self {
            store: Store::open(&folder, &Options::default())?,
            edits: rows::of_edits(rows, edits, 1).into_iter(),
        })
    }

    /// Milliseconds of durable commits of one edit each, one after the other, so long apart.
    pub(crate) async fn commits_ms(
        &mut self,
        count: usize,
        rest: Duration,
    ) -> anyhow::Result<Vec<f64>> {
        let mut taken = Vec::with_capacity(count);
        for edit in self.edits.by_ref().take(count) {
            let batch = rows::batch(edit);
            if !rest.is_zero() {
                tokio::time::sleep(rest).await;
            }
            let watch = Stopwatch::start();
            self.store.commit(batch)?;
            taken.push(watch.millis());
        }
        Ok(taken)
    }
}

//! A district and its coordination that hold the same, with a relay between them.
//!
//! Where a folder was named they are kept in it, so that a large pair is filled once only.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use raccordo_config::{Invitation, Role};
use raccordo_node::engine::{Engine, Node, PeerView};
use raccordo_tests::relay::{Relay, Weather};

use super::nodes::{self, EDITS, Place, delivered, upstream};
use super::sheet;
use super::stopwatch::{Stopwatch, real};

/// How often an end is looked for.
pub(crate) const LOOK: Duration = Duration::from_micros(200);
/// How often a district proves that it holds the same, where it is asked to; the least allowed.
pub(crate) const PROOF_EVERY_S: u32 = 10;
/// From here on records have no edits: their number matters, not their history.
const MANY: u32 = 50_000;

#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) coordination: Node,
    /// None only while it is moved.
    district: Option<Node>,
    data: PathBuf,
    relay: Relay,
    pub(crate) records: u32,
}

/// How a district came back.
#[derive(Debug)]
pub(crate) struct Back {
    /// Milliseconds from dialling until everything is acknowledged.
    pub(crate) delivered: f64,
    /// Milliseconds from dialling until both sides know that they hold the same.
    pub(crate) equal: f64,
    pub(crate) peer: PeerView,
}

impl Back {
    /// Bytes of our frames, both ways.
    pub(crate) fn frames(&self) -> f64 {
        sum(self.peer.stream_bytes_sent, self.peer.stream_bytes_received)
    }

    /// Bytes of UDP payload, both ways.
    pub(crate) fn payload(&self) -> f64 {
        sum(self.peer.udp_bytes_sent, self.peer.udp_bytes_received)
    }
}

/// Edits that each record of a pair of this size has seen.
pub(crate) const fn edits_of(records: u32) -> u32 {
    if records < MANY { EDITS } else { 0 }
}

impl Pair {
    /// Fills a pair, or takes up the one that was kept.
    pub(crate) async fn of(place: &Place, records: u32) -> anyhow::Result<Self> {
        let folder = place.kept(&format!("pair-{records}"))?;
        // The relay's port, written when all is whole: the district dials it for ever.
        let whole = folder.join("relay");
        let (above, data) = (folder.join("coordination"), folder.join("district"));
        if whole.exists() {
            let port = std::fs::read_to_string(&whole)?.trim().parse()?;
            let coordination = nodes::start(&above, false).await?;
            let relay = Relay::open_at(port).await?;
            relay.lead_to(coordination.engine().status().listen.parse()?);
            let mut pair = Self {
                coordination,
                district: Some(nodes::start(&data, false).await?),
                data,
                relay,
                records,
            };
            pair.again().await?;
            return Ok(pair);
        }
        for left in [&above, &data] {
            if left.exists() {
                std::fs::remove_dir_all(left)?;
            }
        }
        let pair = Self::fill(&above, data, records).await?;
        std::fs::write(&whole, pair.relay.address().port().to_string())?;
        Ok(pair)
    }

    async fn fill(above: &Path, data: PathBuf, records: u32) -> anyhow::Result<Self> {
        let watch = Stopwatch::start();
        nodes::found(above, None)?;
        nodes::found(&data, Some('A'))?;
        let coordination = nodes::start(above, false).await?;
        let district = nodes::start(&data, false).await?;
        let relay = Relay::open().await;
        relay.lead_to(coordination.engine().status().listen.parse()?);
        let lines = nodes::workload('A', records, edits_of(records)).lines();
        nodes::import(&district.engine(), lines).await?;
        let imported = watch.seconds();
        join_through(&coordination, &district, &relay).await?;
        nodes::until("everything is delivered", LOOK, || {
            delivered(&district.engine())
        })
        .await?;
        sheet::remark(&format!(
            "{records} records x {} edits: imported in {imported:.1} s, synced in {:.1} s",
            edits_of(records),
            watch.seconds() - imported
        ));
        Ok(Self {
            coordination,
            district: Some(district),
            data,
            relay,
            records,
        })
    }

    /// The pair's size in words.
    pub(crate) fn size(&self) -> String {
        format!(
            "{} records x {} edits",
            self.records,
            edits_of(self.records)
        )
    }

    /// Holds every datagram back for so long each way, from now on.
    pub(crate) fn one_way(&self, latency_ms: u64) {
        self.relay.weather(Some(Weather {
            latency_ms,
            ..Weather::default()
        }));
    }

    /// Starts the district again without its network.
    pub(crate) async fn cut_off(&mut self) -> anyhow::Result<Engine> {
        self.start(true).await?;
        Ok(self.district()?.engine())
    }

    /// Starts the district again; returns when both sides know that they hold the same.
    pub(crate) async fn again(&mut self) -> anyhow::Result<Back> {
        self.start(false).await?;
        let watch = Stopwatch::start();
        let engine = self.district()?.engine();
        nodes::until("everything is delivered", LOOK, || delivered(&engine)).await?;
        let delivered = watch.millis();
        nodes::until("the digests are compared", LOOK, || {
            upstream(&engine).is_some_and(|peer| peer.equal.is_some())
        })
        .await?;
        let equal = watch.millis();
        let peer = upstream(&engine).context("a joined district has a peer")?;
        ensure!(peer.equal == Some(true), "the digests differ");
        Ok(Back {
            delivered,
            equal,
            peer,
        })
    }

    /// Stops the district and does something to its folder.
    pub(crate) async fn beneath(
        &mut self,
        act: impl FnOnce(&Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if let Some(district) = self.district.take() {
            district.stop().await;
        }
        nodes::at_rest(&self.data).await?;
        act(&self.data)
    }

    /// Starts the district so that it proves often.
    pub(crate) async fn proving(&mut self) -> anyhow::Result<Engine> {
        let mut config = nodes::config(&self.data)?;
        config.replication.proof_every_s = PROOF_EVERY_S;
        self.district = Some(nodes::start_as(&self.data, config, false).await?);
        Ok(self.district()?.engine())
    }

    pub(crate) async fn stop(mut self) {
        if let Some(district) = self.district.take() {
            district.stop().await;
        }
        self.coordination.stop().await;
    }

    async fn start(&mut self, offline: bool) -> anyhow::Result<()> {
        if let Some(district) = self.district.take() {
            district.stop().await;
        }
        self.district = Some(nodes::start(&self.data, offline).await?);
        Ok(())
    }

    fn district(&self) -> anyhow::Result<&Node> {
        self.district.as_ref().context("the district runs")
    }
}

async fn join_through(coordination: &Node, district: &Node, relay: &Relay) -> anyhow::Result<()> {
    let territory = district.engine().config().node.territory.clone();
    let above = coordination.engine();
    let made = above
        .invite(territory, Role::District, 3_600, true, "administrator")
        .await?;
    let mut invitation = Invitation::parse(&made.invitation)?;
    invitation.address = relay.address().to_string();
    district
        .engine()
        .join(&invitation.encode(), "administrator")
        .await?;
    Ok(())
}

fn sum(sent: u64, received: u64) -> f64 {
    real(usize::try_from(sent + received).unwrap_or(usize::MAX))
}

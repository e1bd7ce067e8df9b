//! Nodes in this process: founded, started, filled, joined; each on a folder of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use raccordo_config::{Config, InitialSettings, Role, StoreEngine, Territory};
use raccordo_node::clock::{SystemClock, SystemEntropy};
use raccordo_node::engine::{
    CommandFailed, Engine, ImportReport, ImportSession, ImportText, Node, NodeOptions, PeerView,
    Principal, WINDOW_LINES_MAX, init,
};
use raccordo_node::store::{OpenFailed, Options, Store};
use raccordo_tests::workload::Workload;

use super::stopwatch::Stopwatch;

/// Edits a record, as everywhere in the design.
pub(crate) const EDITS: u32 = 12;
/// Letters of the districts.
pub(crate) const DISTRICTS: [char; 4] = ['A', 'B', 'C', 'D'];
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_mins(20);

/// A folder on the disk that is measured on, removed at the end; and where one is named, a folder
/// beside it that is kept for the next run.
#[derive(Debug)]
pub(crate) struct Place {
    folder: tempfile::TempDir,
    kept: Option<PathBuf>,
}

impl Place {
    pub(crate) fn new(named: Option<&Path>) -> anyhow::Result<Self> {
        let parent = named.unwrap_or(Path::new(env!("CARGO_TARGET_TMPDIR")));
        let folder = tempfile::Builder::new()
            .prefix("figures-")
            .tempdir_in(parent)?;
        let kept = named.map(|folder| folder.join("figures-kept"));
        Ok(Self { folder, kept })
    }

    /// A folder for what is costly to make: it stays for the next run if a folder was named.
    pub(crate) fn kept(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = match &self.kept {
            Some(kept) => kept.join(name),
            None => self.free(name)?,
        };
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path that is free, after whatever stood there; a store has files of its own beside it.
    pub(crate) fn free(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path().join(name);
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        for beside in ["hwm", "lock"] {
            let file = path.with_extension(beside);
            if file.exists() {
                std::fs::remove_file(file)?;
            }
        }
        Ok(path)
    }
}

/// The records of one district, as the workload makes them.
pub(crate) const fn workload(district: char, records: u32, edits: u32) -> Workload {
    Workload {
        district,
        seed: 1,
        records,
        edits,
    }
}

/// Founds the node of a district, or of the coordination where there is none.
pub(crate) fn found(data: &Path, district: Option<char>) -> anyhow::Result<()> {
    match district {
        Some(letter) => found_at(data, letter.to_ascii_lowercase().encode_utf8(&mut [0; 4])),
        None => found_as(data, "frosinone", Role::Coordination),
    }
}

/// Founds the node of a district of this name.
pub(crate) fn found_at(data: &Path, district: &str) -> anyhow::Result<()> {
    found_as(data, &format!("frosinone/{district}"), Role::District)
}

fn found_as(data: &Path, territory: &str, role: Role) -> anyhow::Result<()> {
    let free: SocketAddr = "127.0.0.1:0".parse()?;
    let settings = InitialSettings {
        territory: Territory::parse(territory)?,
        role,
        name: territory.to_owned(),
        listen: free,
        http: free,
        advertise: None,
        engine: StoreEngine::Sled,
    };
    init(data, &settings)?;
    Ok(())
}

/// Starts the node of a folder, on free ports or without any.
pub(crate) async fn start(data: &Path, offline: bool) -> anyhow::Result<Node> {
    start_as(data, config(data)?, offline).await
}

/// What a node's folder says of it.
pub(crate) fn config(data: &Path) -> anyhow::Result<Config> {
    Ok(raccordo_config::load(&data.join("raccordo.toml"))?)
}

/// Starts the node of a folder with this configuration.
pub(crate) async fn start_as(data: &Path, config: Config, offline: bool) -> anyhow::Result<Node> {
    at_rest(data).await?;
    let options = NodeOptions {
        data: data.to_owned(),
        config,
        offline,
    };
    Ok(Node::start(
        options,
        Arc::new(SystemClock::start()),
        Arc::new(SystemEntropy),
    )
    .await?)
}

/// Returns when nobody holds the store of a stopped node: its last tasks end a moment after it.
pub(crate) async fn at_rest(data: &Path) -> anyhow::Result<()> {
    let store = data.join("store");
    let free = || match Store::open(&store, &Options::default()) {
        Err(OpenFailed::InUse { .. }) => false,
        Ok(_) | Err(_) => true,
    };
    until("the store is given back", Duration::from_millis(2), free).await
}

/// Founds and starts a node.
pub(crate) async fn fresh(
    place: &Place,
    name: &str,
    district: Option<char>,
    offline: bool,
) -> anyhow::Result<(PathBuf, Node)> {
    let data = place.free(name)?;
    found(&data, district)?;
    let node = start(&data, offline).await?;
    Ok((data, node))
}

/// The folder of a stopped district that has never joined, with so many records.
pub(crate) async fn filled(place: &Place, letter: char, records: u32) -> anyhow::Result<PathBuf> {
    let kept = place.kept(&format!("filled-{letter}-{records}x{EDITS}"))?;
    let (data, whole) = (kept.join("data"), kept.join("whole"));
    if !whole.exists() {
        if data.exists() {
            std::fs::remove_dir_all(&data)?;
        }
        found(&data, Some(letter))?;
        let node = start(&data, true).await?;
        import(&node.engine(), workload(letter, records, EDITS).lines()).await?;
        node.stop().await;
        at_rest(&data).await?;
        std::fs::write(whole, "")?;
    }
    let copy = place.free(&format!("joining-{letter}"))?;
    copy_folder(&data, &copy)?;
    Ok(copy)
}

pub(crate) fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    // A node opens its keys only where nobody else can read them.
    std::fs::set_permissions(to, std::fs::metadata(from)?.permissions())?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Imports lines as the command does, window by window; every line must go in.
pub(crate) async fn import(engine: &Engine, lines: Vec<String>) -> anyhow::Result<ImportReport> {
    let mut session = ImportSession::default();
    let mut report = ImportReport::default();
    let mut texts = (1..)
        .zip(lines)
        .map(|(number, text)| ImportText { number, text });
    loop {
        let window: Vec<ImportText> = texts.by_ref().take(WINDOW_LINES_MAX).collect();
        if window.is_empty() {
            break;
        }
        let by = Principal::office("bench");
        report.add(engine.import(window, &by, false, &mut session).await?);
    }
    ensure!(
        report.rejected == 0,
        "{} lines were refused: {:?}",
        report.rejected,
        report.rejects.first()
    );
    Ok(report)
}

/// Makes a node a member of the coordination's federation, approved.
pub(crate) async fn join(coordination: &Engine, district: &Engine) -> anyhow::Result<()> {
    let territory = district.config().node.territory.clone();
    let invitation = coordination
        .invite(territory, Role::District, 3_600, true, "administrator")
        .await?;
    district
        .join(&invitation.invitation, "administrator")
        .await?;
    Ok(())
}

/// The only peer of a district: its coordination.
pub(crate) fn upstream(district: &Engine) -> Option<PeerView> {
    district.peers().into_iter().next()
}

/// Whether the coordination has acknowledged all that the district has.
pub(crate) fn delivered(district: &Engine) -> bool {
    upstream(district).is_some_and(|peer| peer.state == "connected" && peer.to_send == 0)
}

/// Looks every so often until it holds.
pub(crate) async fn until(
    what: &str,
    every: Duration,
    mut holds: impl FnMut() -> bool,
) -> anyhow::Result<()> {
    let watch = Stopwatch::start();
    while !holds() {
        if watch.elapsed() > PATIENCE {
            bail!("not within {PATIENCE:?}: {what}");
        }
        tokio::time::sleep(every).await;
    }
    Ok(())
}

/// Whether the coordination shows each district what it shows itself.
pub(crate) fn ensure_equal(coordination: &Engine, districts: &[Engine]) -> anyhow::Result<()> {
    for district in districts {
        let own = district
            .overview()
            .territories
            .into_iter()
            .next()
            .context("a district has its own part")?;
        let there = coordination
            .territory(&own.territory)
            .context("the coordination lists the territory")?;
        ensure!(
            own.digest == there.digest,
            "{}: the digests differ",
            own.territory
        );
    }
    Ok(())
}

/// A failed command in a sentence, with what was refused.
pub(crate) fn sentence(failed: &CommandFailed) -> String {
    match failed {
        CommandFailed::Rejected(rejected) => format!("{rejected:?}"),
        other => other.to_string(),
    }
}

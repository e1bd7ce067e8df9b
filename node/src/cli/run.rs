//! `run`: the node in the foreground, until it is told to stop.
//!
//! Readiness is said when everything serves. SIGTERM and SIGINT end it cleanly, SIGHUP reads the
//! configuration again: what can change live does, the rest is named in the log.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use raccordo_config::{Config, LogFormat, When, changes};
use sd_notify::NotifyState;
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::api::{chain, local_user};
use super::{RunArguments, config, import, socket};
use crate::clock::{SystemClock, SystemEntropy};
use crate::engine::{Node, NodeOptions};
use crate::http::{router, serve_unix};
use crate::telemetry::{self, LevelSwitch};

/// How long open conversations may last after the node was told to stop.
const FAREWELL_MAX: Duration = Duration::from_secs(10);

/// What woke the node's foreground.
enum Wake {
    Stop,
    Reload,
    Watchdog,
}

/// Runs the node of `data` until a signal ends it.
pub(super) async fn run(data: &Path, arguments: RunArguments) -> anyhow::Result<()> {
    let settings = config::of_node(data)?;
    let switch = telemetry::start(
        &settings.logs.level,
        settings.logs.format == LogFormat::Json,
    )?;
    let mut wakes = Wakes::new(arguments.stop_with_stdin)?;
    let options = NodeOptions {
        data: data.to_owned(),
        config: settings.clone(),
        offline: false,
    };
    let node = Node::start(
        options,
        Arc::new(SystemClock::start()),
        Arc::new(SystemEntropy),
    )
    .await
    .map_err(|failed| anyhow!("{}", chain(&failed)))?;
    let (bound, listener) = match socket::bind(data) {
        Ok(bound) => bound,
        Err(failed) => {
            node.stop().await;
            return Err(failed);
        }
    };
    let routes = router(node.engine(), local_user());
    let (stop_commands, stopped) = oneshot::channel::<()>();
    let commands = tokio::spawn(serve_unix(listener, routes, async { drop(stopped.await) }));

    let status = node.engine().status();
    info!(node = %status.id, territory = %status.territory, listen = %status.listen, http = %status.http, "serving");
    notify(&[NotifyState::Ready]);
    let mut settings = settings;
    loop {
        match wakes.next().await {
            Wake::Stop => break,
            Wake::Watchdog => notify(&[NotifyState::Watchdog]),
            Wake::Reload => settings = reload(data, settings, &switch, &node),
        }
    }
    info!("stopping");
    notify(&[NotifyState::Stopping]);
    drop(stop_commands);
    drop(bound);
    let ended = async {
        if let Ok(Err(failed)) = commands.await {
            warn!(error = %failed, "the socket for commands had ended");
        }
        node.stop().await;
    };
    if tokio::time::timeout(FAREWELL_MAX, ended).await.is_err() {
        warn!("some conversations did not end in time; nothing acknowledged is lost");
    }
    Ok(())
}

/// Everything that may wake the foreground.
struct Wakes {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    watchdog: Option<tokio::time::Interval>,
    input: JoinHandle<()>,
}

impl Wakes {
    fn new(stop_with_stdin: bool) -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        // Half the period that the service manager allows, as its manual advises.
        let watchdog =
            sd_notify::watchdog_enabled().map(|period| tokio::time::interval(period / 2));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
            watchdog,
            input: tokio::spawn(input_ended(stop_with_stdin)),
        })
    }

    async fn next(&mut self) -> Wake {
        tokio::select! {
            _ = self.terminate.recv() => Wake::Stop,
            _ = self.interrupt.recv() => Wake::Stop,
            _ = self.hangup.recv() => Wake::Reload,
            _ = &mut self.input => Wake::Stop,
            () = tick(self.watchdog.as_mut()) => Wake::Watchdog,
        }
    }
}

async fn tick(interval: Option<&mut tokio::time::Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// Returns when standard input ends, and never if it does not count.
async fn input_ended(counts: bool) {
    if !counts {
        return std::future::pending().await;
    }
    let Ok(mut input) = import::standard_input() else {
        return std::future::pending().await;
    };
    let mut ignored = [0; 64];
    while !matches!(input.read(&mut ignored).await, Ok(0) | Err(_)) {}
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(failed) = sd_notify::notify(states) {
        warn!(error = %failed, "the service manager cannot be told");
    }
}

/// Reads the configuration again. A mistake in it changes nothing; what needs a restart is named.
fn reload(data: &Path, old_settings: Config, switch: &LevelSwitch, node: &Node) -> Config {
    let new = match config::of_node(data) {
        Ok(new) => new,
        Err(failed) => {
            warn!(problem = %format!("{failed:#}"), "the configuration was not taken: nothing changed");
            return old_settings;
        }
    };
    let changed = changes(&old_settings, &new);
    for change in &changed {
        let (key, old, new) = (&change.key, &change.old, &change.new);
        match change.when {
            When::Live => info!(key, old, new, "a setting changed"),
            When::Restart => warn!(key, old, new, "this setting waits for the next start"),
            When::Never => {
                warn!(
                    key,
                    old,
                    new,
                    "this setting cannot change: nothing was taken from the configuration"
                );
                return old_settings;
            }
        }
    }
    if let Err(failed) = switch.set(&new.logs.level) {
        warn!(problem = %failed, "the log level stays");
    }
    if let Err(failed) = node.renew_certificate(&new.http) {
        warn!(problem = %failed, "the certificate was not taken: the one before stays");
    }
    node.engine().reconfigure(new.clone());
    info!(changes = changed.len(), "the configuration was read again");
    new
}

//! The nodes as child processes: started, waited for, ended.
//!
//! A child also ends when the demo dies, because its standard input closes. Its log is
//! `DIR/<node>.log`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::body::Body;
use axum::http::Method;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use super::folder::Member;
use crate::cli::api::{Api, request};
use crate::cli::print;

/// How long a node may take until it serves.
const READY_MAX: Duration = Duration::from_mins(1);

/// How often a starting node is asked.
const READY_EVERY: Duration = Duration::from_millis(20);

/// How long a node may take to end.
const END_MAX: Duration = Duration::from_secs(15);

/// One running node.
#[derive(Debug)]
pub(super) struct Node {
    /// Which one.
    pub(super) member: Member,
    child: Child,
    /// Closing it ends the node.
    input: Option<ChildStdin>,
    log: PathBuf,
    is_gone: bool,
}

impl Node {
    /// Starts the node of `member` with its log beside its folder.
    pub(super) fn start(program: &Path, member: &Member) -> anyhow::Result<Self> {
        let log = member.data.with_extension("log");
        let file = File::options().create(true).append(true).open(&log);
        let file = file.with_context(|| format!("cannot write {}", log.display()))?;
        let mut child = Command::new(program)
            .arg("run")
            .arg("--stop-with-stdin")
            .arg("--data")
            .arg(&member.data)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(file)
            // Ctrl-C reaches the demo alone, which ends the nodes in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        // Waiting for a child closes its input, so the input is kept apart.
        let input = child.stdin.take();
        Ok(Self {
            member: member.clone(),
            child,
            input,
            log,
            is_gone: false,
        })
    }

    /// Its process, while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// A way to it as this machine's user.
    pub(super) fn api(&self) -> Api {
        Api::socket(&self.member.data)
    }

    /// Returns when it serves; fails with the last line of its log when it ends instead.
    pub(super) async fn ready(&mut self) -> anyhow::Result<()> {
        let api = self.api();
        let serving = async {
            let mut every = tokio::time::interval(READY_EVERY);
            loop {
                every.tick().await;
                let asked = api
                    .send(request(Method::GET, "/readyz", Body::empty())?)
                    .await;
                if asked.is_ok_and(|answer| answer.status().is_success()) {
                    return anyhow::Ok(());
                }
            }
        };
        let outcome = tokio::select! {
            outcome = timeout(READY_MAX, serving) => Some(outcome),
            _ = self.child.wait() => None,
        };
        match outcome {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => {
                bail!(
                    "{} does not serve after {READY_MAX:?}: see {}",
                    self.member.territory,
                    self.log.display()
                )
            }
            None => bail!(
                "{} did not start: {}",
                self.member.territory,
                last_line(&self.log)
            ),
        }
    }

    /// Tells people, once, when the node ended without being told to.
    pub(super) fn look(&mut self) {
        if self.is_gone {
            return;
        }
        if let Ok(Some(status)) = self.child.try_wait() {
            self.is_gone = true;
            print::remark(&format!(
                "{} has ended ({status}); bring it back with: raccordo run --data {}",
                self.member.territory,
                self.member.data.display()
            ));
        }
    }

    /// Ends the node cleanly, by force if it does not answer.
    pub(super) async fn end(mut self) {
        drop(self.input.take());
        if let Some(pid) = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
        {
            // A node that was paused must wake to hear that it ends; one that has gone needs nothing.
            kill_process(pid, Signal::TERM).ok();
            kill_process(pid, Signal::CONT).ok();
        }
        if timeout(END_MAX, self.child.wait()).await.is_err() {
            print::remark(&format!(
                "{} does not end by itself and is stopped by force",
                self.member.territory
            ));
            self.child.kill().await.ok();
        }
    }
}

fn last_line(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let line = text.lines().next_back().unwrap_or("its log is empty");
    line.strip_prefix("raccordo: ").unwrap_or(line).to_owned()
}

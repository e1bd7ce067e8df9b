//! Nodes as processes of their own, so that time and memory are each side's alone.

use std::fs::File;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use raccordo_tests::http::{Client, Connection};
use raccordo_tests::usage::{memory_mb, processor_seconds};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::machine;
use super::stopwatch::Stopwatch;

/// The program, built beside the figures.
const PROGRAM: &str = env!("CARGO_BIN_EXE_raccordo-under-test");
/// How often the program is asked whether it serves.
const LOOK: Duration = Duration::from_millis(2);
/// Longest wait until it does.
const SERVING_MAX_S: f64 = 600.0;

/// A node that runs as a process; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    data: PathBuf,
    /// Seconds from its start until it served.
    pub(crate) seconds: f64,
}

impl Process {
    /// Starts the program on a folder and waits until it says that it is ready.
    pub(crate) async fn start(data: &Path) -> anyhow::Result<Self> {
        let socket = data.join("socket");
        if socket.exists() {
            std::fs::remove_file(&socket)?;
        }
        let log = data.with_extension("log");
        let errors = File::create(&log)?;
        let watch = Stopwatch::start();
        let child = Command::new(PROGRAM)
            .args(["run", "--data"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .context("the program starts")?;
        let mut process = Self {
            child,
            data: data.to_owned(),
            seconds: 0.0,
        };
        while !ready(&socket) {
            ensure!(
                process.child.try_wait()?.is_none(),
                "the program ended by itself: {}",
                std::fs::read_to_string(&log).unwrap_or_default()
            );
            ensure!(
                watch.seconds() < SERVING_MAX_S,
                "the program serves within ten minutes"
            );
            tokio::time::sleep(LOOK).await;
        }
        process.seconds = watch.seconds();
        Ok(process)
    }

    /// Its number.
    pub(crate) fn number(&self) -> String {
        self.child.id().to_string()
    }

    /// Resident memory now and at most, in MB.
    pub(crate) fn memory_mb(&self) -> (f64, f64) {
        memory_mb(&self.number())
    }

    /// Forgets the most memory that it ever had.
    pub(crate) fn reset_peak(&self) {
        machine::reset_peak(&self.number());
    }

    /// Processor seconds so far.
    pub(crate) fn processor_seconds(&self) -> f64 {
        processor_seconds(&self.number())
    }

    /// A connection to its own socket that stands.
    pub(crate) async fn connect(&self) -> anyhow::Result<Connection> {
        let made = Client::folder(&self.data).connect().await;
        made.map_err(|unanswered| anyhow!("{unanswered}"))
    }

    /// What it answers on its own socket.
    pub(crate) async fn look(&self, path: &str) -> anyhow::Result<Value> {
        let answer = Client::folder(&self.data).look(path).await;
        answer.map_err(|failed| anyhow!(failed))
    }

    /// Asks it on its own socket to do something.
    pub(crate) async fn ask(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let answer = Client::folder(&self.data).try_post(path, body).await;
        let answer = answer.map_err(|unanswered| anyhow!("{unanswered}"))?;
        ensure!(answer.status < 300, "{path}: {answer}");
        Ok(answer.json())
    }

    /// An invitation, approved in advance.
    pub(crate) async fn invitation(&self, territory: &str) -> anyhow::Result<String> {
        let wanted = json!({"territory": territory, "approved": true});
        let made = self.ask("/api/v1/local/invite", &wanted).await?;
        let text = made["invitation"].as_str();
        Ok(text.context("an invitation is a text")?.to_owned())
    }

    /// Joins with an invitation.
    pub(crate) async fn join(&self, invitation: &str) -> anyhow::Result<()> {
        let wanted = json!({"invitation": invitation});
        self.ask("/api/v1/local/join", &wanted).await?;
        Ok(())
    }

    /// Tells it to end, and returns when it has, cleanly.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let number = i32::try_from(self.child.id())?;
        let process = Pid::from_raw(number).context("a child has a number")?;
        kill_process(process, Signal::TERM)?;
        ensure!(
            self.child.wait()?.success(),
            "the program ends cleanly when told to"
        );
        Ok(())
    }

    /// Ends it at once.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Whether the node answers that it is ready, on the socket for commands.
fn ready(socket: &Path) -> bool {
    let Ok(facts) = std::fs::metadata(socket) else {
        return false;
    };
    let path = if facts.file_type().is_socket() {
        socket.to_owned()
    } else {
        // Where the folder's path is too long for a socket, a file names another.
        std::fs::read_to_string(socket).unwrap_or_default().into()
    };
    UnixStream::connect(path).is_ok_and(answers)
}

fn answers(mut stream: impl std::io::Read + std::io::Write) -> bool {
    let asked =
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let mut answer = String::new();
    asked.is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

//! Nodes as processes: founded, started, killed, asked.
//!
//! A node takes free ports, so any number of tests run side by side. It ends when its test does,
//! also when the test is killed, because its standard input closes.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::process::Child;
use tokio::time::timeout;

use crate::copies::copy_folder;
use crate::eventually::eventually;
use crate::http::{Address, Client};
use crate::lab::{Lab, Outcome};

/// How long a node may take to end when it is told to.
const END_MAX: Duration = Duration::from_secs(30);

/// Lines of a node's log that a failing test shows.
const LOG_LINES_SHOWN: usize = 40;

/// One node: a folder, and a process while it runs.
#[derive(Debug)]
pub struct Node {
    lab: Arc<Lab>,
    /// Name of its folder.
    pub name: String,
    /// Where it belongs.
    pub territory: String,
    /// Its data folder.
    pub data: PathBuf,
    log: PathBuf,
    child: Option<Child>,
    address: Address,
    token: Option<String>,
}

impl Node {
    /// Founds a node on free ports, with `(section, key, value)` settings beyond what `init` asks;
    /// the environment's `RACCORDO_E2E_STORE` names its storage engine.
    pub async fn found(
        lab: &Arc<Lab>,
        name: &str,
        territory: &str,
        role: &str,
        settings: &[(&str, &str, &str)],
    ) -> Self {
        let data = lab.path(name);
        let node = Self {
            lab: Arc::clone(lab),
            name: name.to_owned(),
            territory: territory.to_owned(),
            log: lab.path(&format!("{name}.log")),
            data,
            child: None,
            address: Address::default(),
            token: None,
        };
        let named = format!("Node {name}");
        let free = "127.0.0.1:0";
        let engine = std::env::var("RACCORDO_E2E_STORE").unwrap_or_else(|_| "sled".to_owned());
        let who = [
            "init",
            "--territory",
            territory,
            "--role",
            role,
            "--name",
            &named,
        ];
        let arguments = [
            who.as_slice(),
            &["--listen", free, "--http", free, "--store", &engine],
        ]
        .concat();
        let founded = node.cli(&arguments).await.expect(0);
        assert_eq!(founded.line().len(), 64, "{founded}");
        for (section, key, value) in settings {
            node.set(section, key, value);
        }
        node
    }

    /// A second node on a copy of this one's folder: the same key, another process. This one must
    /// not be running.
    #[must_use]
    pub fn copied(&self, name: &str) -> Self {
        let data = self.lab.path(name);
        copy_folder(&self.data, &data);
        Self {
            lab: Arc::clone(&self.lab),
            name: name.to_owned(),
            territory: self.territory.clone(),
            log: self.lab.path(&format!("{name}.log")),
            data,
            child: None,
            address: Address::default(),
            token: self.token.clone(),
        }
    }

    /// Writes a setting into the node's configuration; a running node reads it on [`Node::reload`].
    pub fn set(&self, section: &str, key: &str, value: &str) {
        let path = self.data.join("raccordo.toml");
        let text = fs::read_to_string(&path).expect("a founded node has a configuration");
        fs::write(&path, with_setting(&text, section, key, Some(value)))
            .expect("the configuration can be written");
    }

    /// Takes a setting back to its default.
    pub fn unset(&self, section: &str, key: &str) {
        let path = self.data.join("raccordo.toml");
        let text = fs::read_to_string(&path).expect("a founded node has a configuration");
        fs::write(&path, with_setting(&text, section, key, None))
            .expect("the configuration can be written");
    }

    /// Runs a command on this node to its end.
    pub async fn cli(&self, arguments: &[&str]) -> Outcome {
        let mut all = arguments.to_vec();
        all.extend([
            "--data",
            self.data.to_str().expect("the lab's paths are UTF-8"),
        ]);
        self.lab.run(&all).await
    }

    /// Starts the node and returns when it serves.
    pub async fn start(&mut self) {
        self.spawn();
        self.ready().await;
    }

    /// Starts the node's process and returns at once.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .expect("the lab's folder can be written");
        let data = self.data.to_str().expect("the lab's paths are UTF-8");
        let mut command = self
            .lab
            .command(&["run", "--stop-with-stdin", "--data", data]);
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("the program can be started"));
    }

    /// Returns when the node serves.
    pub async fn ready(&mut self) {
        let local = self.local();
        let what = format!("{} serves", self.name);
        let child = self.child.as_mut().expect("the node was started");
        let status = eventually(&what, async || {
            let ended = child.try_wait().map_err(|failed| failed.to_string())?;
            assert!(ended.is_none(), "{} ended by itself: {ended:?}", self.name);
            let ready = local
                .send("GET", "/readyz", &[], "")
                .await
                .map_err(|unanswered| unanswered.to_string())?;
            if ready.status != 200 {
                return Err(ready.to_string());
            }
            local.look("/api/v1/status").await
        });
        let status = status.await;
        let address = status["node"]["http"]
            .as_str()
            .and_then(|address| address.parse().ok());
        assert!(
            address.is_some(),
            "a running node tells its address: {status}"
        );
        self.address.move_to(address);
        if self.token.is_none() {
            self.token = Some(self.new_token("e2e").await);
        }
    }

    /// Tells the node to end, and returns when it has.
    pub async fn stop(&mut self) {
        self.signal(Signal::TERM);
        let mut child = self.child.take().expect("the node runs");
        self.address.move_to(None);
        let ended = timeout(END_MAX, child.wait())
            .await
            .expect("the node ends when told to");
        let ended = ended.expect("a child can be waited for");
        assert!(ended.success(), "{} ended with {ended}", self.name);
    }

    /// Ends the node's process at once, as a power cut would (but for the disk's cache).
    pub async fn kill(&mut self) {
        let mut child = self.child.take().expect("the node runs");
        self.address.move_to(None);
        child.kill().await.expect("a child can be killed");
    }

    /// Makes the running node read its configuration again.
    pub fn reload(&self) {
        self.signal(Signal::HUP);
    }

    /// Sends a signal to the running node.
    pub fn signal(&self, signal: Signal) {
        let pid = self.pid().expect("the node runs");
        send_signal(pid, signal);
    }

    /// Its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// A way to the node as its own machine's user.
    pub fn local(&self) -> Client {
        Client::folder(&self.data)
    }

    /// A way to the node over the network, with a token; it follows the node to other ports.
    pub fn http(&self) -> Client {
        Client::network(self.address.clone(), self.token.as_deref())
    }

    /// A way to the node as a person of that name.
    pub async fn person(&self, name: &str) -> Client {
        Client::network(self.address.clone(), Some(&self.new_token(name).await))
    }

    /// The node's own words on itself.
    pub async fn status(&self) -> Value {
        self.local().read("/api/v1/status").await
    }

    /// The merged view as this node has it.
    pub async fn overview(&self) -> Value {
        self.local().read("/api/v1/overview").await
    }

    /// The node's id.
    pub async fn id(&self) -> String {
        self.cli(&["id"]).await.expect(0).line().to_owned()
    }

    /// All that the node wrote to its log.
    pub fn log_text(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last lines of the node's log.
    pub fn log_tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }

    async fn new_token(&self, name: &str) -> String {
        let made = self
            .local()
            .post("/api/v1/local/tokens", &json!({"name": name}))
            .await
            .expect(201)
            .json();
        made["token"]
            .as_str()
            .expect("a new token has a text")
            .to_owned()
    }
}

impl Drop for Node {
    #[expect(
        clippy::print_stderr,
        reason = "a failing test shows what the node had to say"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "--- end of the log of {}:\n{}\n---",
                self.name,
                self.log_tail()
            );
        }
    }
}

/// Sends a signal to a process that this test started.
pub fn send_signal(pid: u32, signal: Signal) {
    kill_process(pid_of(pid), signal).expect("a child can be signalled");
}

/// Whether a process of that number is there.
pub fn is_alive(pid: u32) -> bool {
    let state = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    // A zombie has ended: only its parent has not looked yet.
    state.is_ok_and(|state| {
        state
            .rsplit(')')
            .next()
            .is_some_and(|rest| !rest.trim_start().starts_with('Z'))
    })
}

fn pid_of(pid: u32) -> Pid {
    i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .expect("the number of a child")
}

/// The configuration with one key set, or back to its default.
fn with_setting(text: &str, section: &str, key: &str, value: Option<&str>) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        // The template names every key; ours stands right below its section.
        if bare.split(" =").next() == Some(key) && !line.starts_with('#') {
            continue;
        }
        out.push_str(line);
        out.push('\n');
        if line == format!("[{section}]")
            && let Some(value) = value
        {
            writeln!(out, "{key} = {value}").expect("a string takes any text");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_written_once_and_taken_back() {
        let text = "[store]\n# Effect.\n# reserve_mib =\nengine = \"sled\"\n";
        let set = with_setting(text, "store", "reserve_mib", Some("5"));
        assert_eq!(
            set,
            "[store]\nreserve_mib = 5\n# Effect.\n# reserve_mib =\nengine = \"sled\"\n"
        );
        assert_eq!(with_setting(&set, "store", "reserve_mib", Some("5")), set);
        assert_eq!(with_setting(&set, "store", "reserve_mib", None), text);
    }
}

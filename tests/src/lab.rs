//! A folder of its own for each test, and the program under test run as a command in it.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

/// How long a command may take.
const COMMAND_MAX: Duration = Duration::from_mins(20);

/// A folder that is removed at the end, and the program under test.
#[derive(Debug)]
pub struct Lab {
    program: PathBuf,
    folder: TempDir,
}

/// What a command did.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Exit status; -1 if a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Lab {
    /// A lab for the program at this path.
    pub fn new(program: &str) -> Arc<Self> {
        let folder = tempfile::Builder::new()
            .prefix("raccordo-e2e-")
            .tempdir()
            .expect("a temporary folder can be made");
        Arc::new(Self {
            program: PathBuf::from(program),
            folder,
        })
    }

    /// A path in the lab's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the lab's folder.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("the lab's folder can be written");
        path
    }

    /// The program with these arguments, not yet started, apart from this process's environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("RACCORDO_DATA")
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Outcome {
        let mut command = self.command(arguments);
        let output = timeout(COMMAND_MAX, command.stdin(Stdio::null()).output());
        let output = output
            .await
            .expect("the command ends")
            .expect("the program can be started");
        Outcome {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("output is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("output is UTF-8"),
        }
    }
}

impl Outcome {
    /// The outcome itself, if the exit status is this.
    #[expect(
        clippy::return_self_not_must_use,
        reason = "the check may be all that is wanted"
    )]
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// Checks that the command failed as it should: status 1, nothing on standard output, one
    /// sentence on standard error that contains all the words.
    #[track_caller]
    pub fn refused(&self, words: &[&str]) {
        assert_eq!(self.code, 1, "{self}");
        assert_eq!(self.stdout, "", "{self}");
        assert_eq!(
            self.stderr.trim_end().lines().count(),
            1,
            "one sentence: {self}"
        );
        for word in words {
            assert!(self.stderr.contains(word), "nothing of {word:?}: {self}");
        }
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| no_json(self))
    }

    /// The only line of standard output.
    #[track_caller]
    pub fn line(&self) -> &str {
        let line = self.stdout.strip_suffix('\n').unwrap_or(&self.stdout);
        assert!(!line.is_empty() && !line.contains('\n'), "one line: {self}");
        line
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "exit status {}, stdout {:?}, stderr {:?}",
            self.code, self.stdout, self.stderr
        )
    }
}

#[expect(clippy::panic, reason = "a test fails by panicking")]
#[track_caller]
fn no_json(outcome: &Outcome) -> Value {
    panic!("no JSON document on standard output: {outcome}")
}

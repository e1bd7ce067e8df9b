//! The one place that writes to standard output and standard error.
//!
//! A reader that went away (`raccordo … | head`) is no failure.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

/// Writes text and a line end to standard output.
pub(super) fn line(text: &str) -> anyhow::Result<()> {
    raw(format!("{text}\n").as_bytes())
}

/// Writes one JSON document and a line end to standard output.
pub(super) fn json(value: &Value) -> anyhow::Result<()> {
    line(&format!("{value:#}"))
}

/// Writes bytes to standard output as they are.
pub(super) fn raw(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(failed) if failed.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => {
            other.map_err(|failed| anyhow::anyhow!("cannot write to standard output: {failed}"))
        }
    }
}

/// Writes a remark or an error, and a line end, to standard error.
pub(super) fn remark(text: &str) {
    // Nobody is left to tell when standard error is gone.
    writeln!(io::stderr(), "{text}").ok();
}

/// Overwrites the progress line; nothing unless a person is watching.
pub(super) fn progress(text: &str) {
    if io::stderr().is_terminal() {
        write!(io::stderr(), "\r\u{1b}[K{text}").ok();
    }
}

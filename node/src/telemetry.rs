//! Subscriber and field names.
//!
//! Messages are constant and values are fields: `peer`, `record`, `origin`, `duration_ms`,
//! `size_bytes`. Ids sit in spans: `request{id}`, `session{peer}`, `commit{origin}`.
//! Content and addresses never stand above DEBUG, secrets nowhere.

use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

/// Changes the level of a subscriber in force.
#[derive(Debug, Clone)]
pub struct LevelSwitch(reload::Handle<EnvFilter, Registry>);

/// Why a level was not taken.
#[derive(Debug, thiserror::Error)]
#[error("log level {level:?} is not one of error, warn, info, debug, trace, or a filter of them")]
pub struct BadLevel {
    /// As written.
    pub level: String,
}

/// Sends events to standard error, as text or as JSON lines; `RACCORDO_LOG` goes before `level`.
///
/// A second call in one process keeps the first subscriber.
pub fn start(level: &str, json: bool) -> Result<LevelSwitch, BadLevel> {
    let asked = std::env::var("RACCORDO_LOG").unwrap_or_else(|_| level.to_owned());
    let (filter, handle) = reload::Layer::new(parse(&asked)?);
    let lines = if json {
        fmt::layer().json().with_writer(std::io::stderr).boxed()
    } else {
        fmt::layer()
            .with_target(false)
            .with_ansi(false)
            .with_writer(std::io::stderr)
            .boxed()
    };
    // Under a test harness another subscriber may stand already: that one stays.
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .ok();
    Ok(LevelSwitch(handle))
}

impl LevelSwitch {
    /// Takes another level from now on.
    pub fn set(&self, level: &str) -> Result<(), BadLevel> {
        let filter = parse(level)?;
        self.0.reload(filter).map_err(|_| BadLevel {
            level: level.to_owned(),
        })
    }
}

fn parse(level: &str) -> Result<EnvFilter, BadLevel> {
    EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(level)
        .map_err(|_| BadLevel {
            level: level.to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_a_word_or_a_filter() {
        assert!(parse("info").is_ok());
        assert!(parse("warn,raccordo_node=debug").is_ok());
        assert!(parse("a=b=c").is_err());
    }
}

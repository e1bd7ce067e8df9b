//! `config check` and `config show`, and the configuration for every command that opens a node.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use raccordo_config::{Config, LoadFailed, PeerKey, Problem};
use serde_json::json;

use super::api::chain;
use super::table::plain;
use super::{Format, print};
use crate::http::Certificate;

/// Name of the configuration in the data folder.
const FILE_NAME: &str = "raccordo.toml";

/// The configuration's path in a data folder.
pub(super) fn path(data: &Path) -> PathBuf {
    data.join(FILE_NAME)
}

/// The configuration of the node in `data`; every problem at once otherwise.
pub(super) fn of_node(data: &Path) -> anyhow::Result<Config> {
    if !path(data).exists() {
        bail!(
            "there is no node in {}: found one with `raccordo init`, or name its folder with --data",
            data.display()
        );
    }
    load(&path(data))
}

fn load(file: &Path) -> anyhow::Result<Config> {
    examined(file).map_err(|failed| match failed {
        LoadFailed::Problems(problems) => anyhow!("{}", all(file, &problems)),
        other => anyhow!("{}", chain(&other)),
    })
}

/// The configuration in a file, its certificate and key looked into.
fn examined(file: &Path) -> Result<Config, LoadFailed> {
    raccordo_config::load_examined(file, |settings| {
        let refused = Certificate::load(&settings.http).err();
        let told = refused.map(|refused| ("http", refused.concerns(), refused.to_string()));
        told.into_iter().collect()
    })
}

/// Every problem as one sentence.
fn all(file: &Path, problems: &[Problem]) -> String {
    let each: Vec<String> = problems.iter().map(one).collect();
    let count = if problems.len() == 1 {
        "a mistake".to_owned()
    } else {
        format!("{} mistakes", problems.len())
    };
    format!("{} has {count}: {}", file.display(), each.join("; "))
}

fn one(problem: &Problem) -> String {
    format!(
        "line {}, {}: {}",
        problem.line,
        plain(&problem.key),
        plain(&problem.reason)
    )
}

/// `config check`
pub(super) fn check(data: &Path, file: Option<&Path>, format: Format) -> anyhow::Result<ExitCode> {
    let file = file.map_or_else(|| path(data), Path::to_owned);
    let problems = match examined(&file) {
        Ok(_) => Vec::new(),
        Err(LoadFailed::Problems(problems)) => problems,
        Err(other) => bail!("{}", chain(&other)),
    };
    if format.json {
        let problems: Vec<_> = problems
            .iter()
            .map(|problem| json!({"line": problem.line, "key": problem.key, "reason": problem.reason}))
            .collect();
        print::json(&json!({"problems": problems}))?;
    } else if problems.is_empty() {
        print::line(&format!("{}: no problems", file.display()))?;
    } else {
        for problem in &problems {
            print::remark(&format!("{}: {}", file.display(), one(problem)));
        }
    }
    Ok(if problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// `config show`
pub(super) fn show(data: &Path, format: Format) -> anyhow::Result<()> {
    let settings = of_node(data)?;
    let values = values(&settings);
    if format.json {
        return print::json(&values);
    }
    let mut lines = Vec::new();
    for (section, keys) in values.as_object().into_iter().flatten() {
        lines.push(format!("[{section}]"));
        for (key, value) in keys
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, value)| !value.is_null())
        {
            lines.push(format!("{key} = {value}"));
        }
        lines.push(String::new());
    }
    print::line(lines.join("\n").trim_end())
}

/// The settings in force as JSON, by section, with the words of the file.
fn values(settings: &Config) -> serde_json::Value {
    let keys = |keys: &[PeerKey]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({
        "node": {
            "territory": settings.node.territory.to_string(),
            "role": settings.node.role.name(),
            "name": settings.node.name,
        },
        "network": {"listen": settings.network.listen.to_string(), "advertise": settings.network.advertise},
        "http": {
            "address": settings.http.address.to_string(),
            "cert": settings.http.cert,
            "key": settings.http.key,
            "behind_proxy": settings.http.behind_proxy,
        },
        "store": {
            "engine": settings.store.engine.name(),
            "cache_mib": settings.store.cache_mib,
            "reserve_mib": settings.store.reserve_mib,
        },
        "limits": {
            "document_cache": settings.limits.document_cache,
            "send_kib_s": settings.limits.send_kib_s,
            "send_all_kib_s": settings.limits.send_all_kib_s,
            "receive_kib_s": settings.limits.receive_kib_s,
        },
        "replication": {"proof_every_s": settings.replication.proof_every_s, "scrub_per_minute": settings.replication.scrub_per_minute},
        "overview": {"stale_after_s": settings.overview.stale_after_s},
        "retention": {
            "person_days": settings.retention.person_days,
            "household_days": settings.retention.household_days,
            "contact_days": settings.retention.contact_days,
            "project_days": settings.retention.project_days,
            "binding": settings.retention.binding,
        },
        "logs": {"level": settings.logs.level, "format": settings.logs.format.name()},
        "peers": {"pin": keys(&settings.peers.pin), "refuse": keys(&settings.peers.refuse)},
    })
}

//! From the file as written to the configuration as meant, or every problem at once.

use std::net::SocketAddr;
use std::path::PathBuf;

use toml::de::DeValue;

use crate::raw::{Problem, Raw};
use crate::settings::{
    Config, Http, Limits, LogFormat, Logs, Network, Node, Overview, Peers, Replication, Retention,
    Role, Store, StoreEngine,
};
use crate::{PeerKey, Territory};

/// Most characters of a node's name.
const NAME_CHARS_MAX: usize = 80;

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Reads a configuration; the problems come by line.
pub fn check(text: &str) -> Result<Config, Vec<Problem>> {
    let mut raw = Raw::parse(text);
    let node = node(&mut raw);
    let config = Config {
        network: network(&mut raw),
        http: http(&mut raw),
        store: store(&mut raw),
        limits: Limits {
            document_cache: number(&mut raw, "limits", "document_cache", 16, 1_000_000)
                .unwrap_or(1024),
            send_kib_s: number(&mut raw, "limits", "send_kib_s", 0, 1_048_576).unwrap_or(0),
            send_all_kib_s: number(&mut raw, "limits", "send_all_kib_s", 0, 1_048_576).unwrap_or(0),
            receive_kib_s: number(&mut raw, "limits", "receive_kib_s", 0, 1_048_576).unwrap_or(0),
        },
        replication: Replication {
            proof_every_s: number(&mut raw, "replication", "proof_every_s", 10, 86_400)
                .unwrap_or(300),
            scrub_per_minute: number(&mut raw, "replication", "scrub_per_minute", 0, 60_000)
                .unwrap_or(600),
        },
        overview: Overview {
            stale_after_s: number(&mut raw, "overview", "stale_after_s", 1, 86_400).unwrap_or(30),
        },
        retention: retention(&mut raw),
        logs: logs(&mut raw),
        peers: peers(&mut raw),
        node: node.clone().unwrap_or_else(placeholder),
    };
    let mut problems = raw.into_problems();
    problems.sort_by(|one, other| (one.line, &one.key).cmp(&(other.line, &other.key)));
    if problems.is_empty() && node.is_some() {
        Ok(config)
    } else {
        Err(problems)
    }
}

fn retention(raw: &mut Raw<'_>) -> Retention {
    let mut days = |name, default| number(raw, "retention", name, 0, 36_500).unwrap_or(default);
    Retention {
        person_days: days("person_days", 3_650),
        household_days: days("household_days", 3_650),
        contact_days: days("contact_days", 1_825),
        project_days: days("project_days", 3_650),
        binding: raw.read("retention", "binding", switch).unwrap_or(false),
    }
}

fn node(raw: &mut Raw<'_>) -> Option<Node> {
    let territory = raw.require(
        "node",
        "territory",
        "territory = \"frosinone/a\"",
        |value| Territory::parse(text(value)?).map_err(|bad| bad.to_string()),
    );
    let role = raw.require(
        "node",
        "role",
        "role = \"district\" or \"coordination\"",
        |value| one_of(value, &Role::ALL, Role::name),
    );
    let name = raw.require("node", "name", "name = \"Distretto A\"", |value| {
        let name = text(value)?.trim();
        let count = name.chars().count();
        if name.chars().any(char::is_control) {
            Err("a name is one line without control characters".to_owned())
        } else if !(1..=NAME_CHARS_MAX).contains(&count) {
            Err(format!(
                "name of {count} characters, 1 to {NAME_CHARS_MAX} are allowed"
            ))
        } else {
            Ok(name.to_owned())
        }
    });
    Some(Node {
        territory: territory?,
        role: role?,
        name: name?,
    })
}

/// Stands in while problems are collected; never returned.
fn placeholder() -> Node {
    Node {
        territory: Territory::parse("none").expect("a constant that parses"),
        role: Role::District,
        name: String::new(),
    }
}

fn network(raw: &mut Raw<'_>) -> Network {
    let listen = raw.read("network", "listen", |value| address(value, "0.0.0.0:7440"));
    let advertise = raw.read("network", "advertise", |value| {
        let text = text(value)?;
        advertised(text).map(|()| text.to_owned())
    });
    Network {
        listen: listen.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 7440))),
        advertise,
    }
}

fn http(raw: &mut Raw<'_>) -> Http {
    let address = raw
        .read("http", "address", |value| address(value, "127.0.0.1:8080"))
        .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080)));
    let http = Http {
        address,
        cert: raw.read("http", "cert", path),
        key: raw.read("http", "key", path),
        behind_proxy: raw.read("http", "behind_proxy", switch).unwrap_or(false),
    };
    let (has_cert, has_key) = (raw.has("http", "cert"), raw.has("http", "key"));
    if has_cert && !has_key {
        raw.add(
            "http",
            "cert",
            "needs `key` beside it: write the private key's path".to_owned(),
        );
    }
    if has_key && !has_cert {
        raw.add(
            "http",
            "key",
            "needs `cert` beside it: write the certificate's path".to_owned(),
        );
    }
    // Half a pair is reported above; what it is for is clear.
    let encrypted = has_cert || has_key || http.behind_proxy;
    if !address.ip().is_loopback() && !encrypted {
        let reason = format!(
            "plain HTTP on {address} would send tokens and records in the clear: set `cert` and `key`, or `behind_proxy = true`, or listen on 127.0.0.1"
        );
        raw.add("http", "address", reason);
    }
    http
}

fn store(raw: &mut Raw<'_>) -> Store {
    Store {
        engine: raw
            .read("store", "engine", |value| {
                one_of(value, &StoreEngine::ALL, StoreEngine::name)
            })
            .unwrap_or(StoreEngine::Sled),
        cache_mib: number(raw, "store", "cache_mib", 8, 65_536).unwrap_or(64),
        reserve_mib: number(raw, "store", "reserve_mib", 0, 1 << 20),
    }
}

fn logs(raw: &mut Raw<'_>) -> Logs {
    let level = raw.read("logs", "level", |value| {
        one_of(value, &LEVELS, |level| level)
    });
    let format = raw.read("logs", "format", |value| {
        one_of(value, &LogFormat::ALL, LogFormat::name)
    });
    Logs {
        level: level.unwrap_or("info").to_owned(),
        format: format.unwrap_or(LogFormat::Text),
    }
}

fn peers(raw: &mut Raw<'_>) -> Peers {
    let peers = Peers {
        pin: raw.read("peers", "pin", keys).unwrap_or_default(),
        refuse: raw.read("peers", "refuse", keys).unwrap_or_default(),
    };
    for key in &peers.refuse {
        if peers.pin.contains(key) {
            raw.add(
                "peers",
                "refuse",
                format!("{key} is pinned too: take it out of one of the two"),
            );
        }
    }
    peers
}

fn text<'v>(value: &'v DeValue<'_>) -> Result<&'v str, String> {
    value
        .as_str()
        .ok_or_else(|| format!("a text in quotes is needed, this is {}", kind(value)))
}

fn switch(value: &DeValue<'_>) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| {
        format!(
            "true or false is needed, without quotes, this is {}",
            kind(value)
        )
    })
}

fn number(
    raw: &mut Raw<'_>,
    section: &'static str,
    name: &'static str,
    min: u32,
    max: u32,
) -> Option<u32> {
    raw.read(section, name, |value| {
        let Some(integer) = value.as_integer() else {
            return Err(format!(
                "a whole number from {min} to {max} is needed, this is {}",
                kind(value)
            ));
        };
        let read = i128::from_str_radix(integer.as_str(), integer.radix());
        read.ok()
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| (min..=max).contains(number))
            .ok_or_else(|| format!("{integer} is out of bounds, {min} to {max} are allowed"))
    })
}

fn address(value: &DeValue<'_>, example: &str) -> Result<SocketAddr, String> {
    let text = text(value)?;
    text.parse()
        .map_err(|_| format!("{text:?} is no address and port, write for example \"{example}\""))
}

fn advertised(text: &str) -> Result<(), String> {
    let example = "write for example \"coordination.example.org:7440\"";
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(format!("{text:?} has no port, {example}"));
    };
    if !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return Err(format!("{port:?} is no port from 1 to 65535, {example}"));
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return if address.ip().is_unspecified() {
            Err(format!("nobody can connect to {}, {example}", address.ip()))
        } else {
            Ok(())
        };
    }
    let is_name = (1..=253).contains(&host.len())
        && host.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        });
    if is_name {
        Ok(())
    } else {
        Err(format!("{host:?} is no host name, {example}"))
    }
}

fn path(value: &DeValue<'_>) -> Result<PathBuf, String> {
    match text(value)? {
        "" => Err("an empty path: write the file's path or take the line out".to_owned()),
        path => Ok(PathBuf::from(path)),
    }
}

fn one_of<T: Copy>(
    value: &DeValue<'_>,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<T, String> {
    let text = text(value)?;
    if let Some(found) = all.iter().copied().find(|one| name(*one) == text) {
        return Ok(found);
    }
    let known: Vec<String> = all
        .iter()
        .map(|one| format!("\"{}\"", name(*one)))
        .collect();
    Err(format!("{text:?} is unknown, write {}", known.join(" or ")))
}

fn keys(value: &DeValue<'_>) -> Result<Vec<PeerKey>, String> {
    let Some(array) = value.as_array() else {
        return Err(format!(
            "a list in brackets is needed, this is {}",
            kind(value)
        ));
    };
    let (mut keys, mut reasons) = (Vec::new(), Vec::new());
    for (number, item) in (1..).zip(array.iter()) {
        let parse = |text: &str| PeerKey::parse(text).map_err(|bad| bad.to_string());
        match text(item.get_ref()).and_then(parse) {
            Ok(key) if keys.contains(&key) => {
                reasons.push(format!("item {number}: {key} is there twice"));
            }
            Ok(key) => keys.push(key),
            Err(reason) => reasons.push(format!("item {number}: {reason}")),
        }
    }
    if reasons.is_empty() {
        Ok(keys)
    } else {
        Err(reasons.join("; "))
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

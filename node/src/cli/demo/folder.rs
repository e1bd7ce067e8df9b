//! The demo's folder: which nodes there are, on which ports, and `demo.json` that tells programs.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use raccordo_config::{InitialSettings, Role, StoreEngine, Territory};
use serde_json::{Value, json};

use crate::cli::{DemoArguments, config, init};

/// First HTTP port unless told otherwise.
const HTTP_BASE: u16 = 8080;

/// First QUIC port unless told otherwise.
const LISTEN_BASE: u16 = 7440;

/// What tells programs where everything is.
const FACTS_NAME: &str = "demo.json";

/// The five nodes: folder, territory, name, district letter (none for the coordination).
const MEMBERS: [(&str, &str, &str, Option<&str>); 5] = [
    (
        "coordination",
        "frosinone",
        "Coordinamento provinciale di Frosinone",
        None,
    ),
    ("a", "frosinone/a", "Distretto A Alatri", Some("A")),
    ("b", "frosinone/b", "Distretto B Frosinone", Some("B")),
    ("c", "frosinone/c", "Distretto C Sora (AIPES)", Some("C")),
    ("d", "frosinone/d", "Distretto D Cassino", Some("D")),
];

/// One node of the demo.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// Its data folder, absolute.
    pub(super) data: PathBuf,
    /// Its territory.
    pub(super) territory: &'static str,
    /// What people read.
    pub(super) name: &'static str,
    /// `A` to `D`; none for the coordination.
    pub(super) district: Option<&'static str>,
    /// Where people and programs reach it.
    pub(super) http: SocketAddr,
    /// Where peers reach it.
    pub(super) listen: SocketAddr,
}

/// The federation's folder.
#[derive(Debug)]
pub(super) struct Folder {
    /// Absolute.
    pub(super) path: PathBuf,
    /// The coordination first, then the districts.
    pub(super) members: Vec<Member>,
    /// What `demo.json` said at the start; null in a new folder.
    pub(super) before: Value,
}

impl Folder {
    /// Opens the folder, or plans a new one; founds nothing yet.
    pub(super) fn open(path: &Path, arguments: &DemoArguments) -> anyhow::Result<Self> {
        fs::create_dir_all(path)
            .with_context(|| format!("cannot make the folder {}", path.display()))?;
        let path =
            fs::canonicalize(path).with_context(|| format!("cannot open {}", path.display()))?;
        let before = facts(&path)?;
        if let Some(stranger) = stranger(&path)? {
            bail!(
                "{} is no demo's: name a folder of its own with --data",
                stranger.display()
            );
        }
        let bases = (arguments.http_base, arguments.listen_base);
        let mut held = HeldPorts::default();
        let members = MEMBERS
            .iter()
            .zip(0..)
            .map(|(member, index)| planned(&path, member, index, bases, &mut held))
            .collect::<anyhow::Result<Vec<Member>>>()?;
        Ok(Self {
            path,
            members,
            before,
        })
    }

    /// Whether nothing else uses the members' ports.
    pub(super) fn ports_are_free(&self) -> anyhow::Result<()> {
        for member in &self.members {
            if TcpListener::bind(member.http).is_err() {
                bail!(
                    "HTTP port {} of {} is in use by another program: choose five free ports in a row with --http-base",
                    member.http.port(),
                    member.territory
                );
            }
            if UdpSocket::bind(member.listen).is_err() {
                bail!(
                    "QUIC port {} of {} is in use by another program: choose five free ports in a row with \
                     --listen-base, in a new folder (--data)",
                    member.listen.port(),
                    member.territory
                );
            }
        }
        Ok(())
    }

    /// Founds the nodes that do not exist yet.
    pub(super) fn found(&self) -> anyhow::Result<()> {
        for member in self
            .members
            .iter()
            .filter(|member| !config::path(&member.data).exists())
        {
            let settings = InitialSettings {
                territory: Territory::parse(member.territory)
                    .context("the demo's territories are well formed")?,
                role: if member.district.is_some() {
                    Role::District
                } else {
                    Role::Coordination
                },
                name: member.name.to_owned(),
                listen: member.listen,
                http: member.http,
                advertise: None,
                engine: StoreEngine::Sled,
            };
            init::found(&member.data, &settings)
                .with_context(|| format!("cannot found {}", member.territory))?;
        }
        Ok(())
    }

    /// Writes `demo.json`, readable by this user only: it holds tokens.
    pub(super) fn write(&self, facts: &Value) -> anyhow::Result<()> {
        let path = self.path.join(FACTS_NAME);
        let partial = self.path.join(format!("{FACTS_NAME}.partial"));
        let cannot = || format!("cannot write {}", path.display());
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial)
            .with_context(cannot)?;
        file.write_all(format!("{facts:#}\n").as_bytes())
            .and_then(|()| file.sync_all())
            .with_context(cannot)?;
        fs::rename(&partial, &path).with_context(cannot)
    }
}

fn facts(folder: &Path) -> anyhow::Result<Value> {
    let path = folder.join(FACTS_NAME);
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
            format!(
                "{} is damaged: remove it and start the demo again",
                path.display()
            )
        }),
        Err(_) => Ok(Value::Null),
    }
}

/// Something in the folder that no demo put there.
fn stranger(folder: &Path) -> anyhow::Result<Option<PathBuf>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let is_ours = |name: &str| {
        let stem = name.split('.').next().unwrap_or(name);
        name.starts_with(FACTS_NAME) || MEMBERS.iter().any(|(member, ..)| *member == stem)
    };
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        if !entry.file_name().to_str().is_some_and(is_ours) {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

/// Free ports, held until every member has one: the system gives a port that was let go again.
#[derive(Debug, Default)]
struct HeldPorts {
    tcp: Vec<TcpListener>,
    udp: Vec<UdpSocket>,
}

impl HeldPorts {
    fn tcp(&mut self) -> std::io::Result<u16> {
        let socket = TcpListener::bind(local(0))?;
        let port = socket.local_addr()?.port();
        self.tcp.push(socket);
        Ok(port)
    }

    fn udp(&mut self) -> std::io::Result<u16> {
        let socket = UdpSocket::bind(local(0))?;
        let port = socket.local_addr()?.port();
        self.udp.push(socket);
        Ok(port)
    }
}

/// A member as its configuration says, or as it is to be founded.
fn planned(
    folder: &Path,
    &(name, territory, title, district): &(&str, &'static str, &'static str, Option<&'static str>),
    index: u16,
    (http_base, listen_base): (Option<u16>, Option<u16>),
    held: &mut HeldPorts,
) -> anyhow::Result<Member> {
    let data = folder.join(name);
    let (http, listen) = if config::path(&data).exists() {
        let settings = config::of_node(&data)?;
        if settings.http.cert.is_some() {
            bail!(
                "the demo talks plain HTTP to its nodes: take cert and key out of {}",
                config::path(&data).display()
            );
        }
        let listen = settings.network.listen;
        let wanted = listen_base
            .filter(|&base| base != 0)
            .map(|base| base.saturating_add(index));
        if wanted.is_some_and(|wanted| wanted != listen.port()) {
            bail!(
                "the nodes in {} know one another by their QUIC ports, {territory} by {}: leave --listen-base out, \
                 or name a new folder with --data",
                folder.display(),
                listen.port()
            );
        }
        let http = match http_base {
            Some(base) if base != 0 => {
                readdressed(&data, settings.http.address, port(base, index)?)?
            }
            _ => settings.http.address,
        };
        (http, listen)
    } else {
        (
            local(match http_base.unwrap_or(HTTP_BASE) {
                0 => held.tcp()?,
                base => port(base, index)?,
            }),
            local(match listen_base.unwrap_or(LISTEN_BASE) {
                0 => held.udp()?,
                base => port(base, index)?,
            }),
        )
    };
    Ok(Member {
        data,
        territory,
        name: title,
        district,
        http,
        listen,
    })
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn port(base: u16, index: u16) -> anyhow::Result<u16> {
    base.checked_add(index)
        .with_context(|| format!("five ports from {base} on do not exist: the highest is 65535"))
}

/// Moves a founded node's pages to another port: one value of its configuration.
fn readdressed(data: &Path, old: SocketAddr, port: u16) -> anyhow::Result<SocketAddr> {
    let new = SocketAddr::new(old.ip(), port);
    if new != old {
        let path = config::path(data);
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let changed = text.replace(&format!("\"{old}\""), &format!("\"{new}\""));
        fs::write(&path, changed).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(new)
}

/// What `demo.json` says of one running node.
pub(super) fn fact(
    member: &Member,
    pid: Option<u32>,
    token: &str,
    operators: &[(String, String)],
) -> Value {
    let operators: Vec<Value> = operators
        .iter()
        .map(|(name, token)| json!({"name": name, "token": token}))
        .collect();
    json!({
        "territory": member.territory,
        "name": member.name,
        "data": member.data,
        "http": member.http.to_string(),
        "listen": member.listen.to_string(),
        "pid": pid,
        "token": token,
        "operators": operators,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(http_base: u16, listen_base: u16) -> DemoArguments {
        DemoArguments {
            records: 1,
            http_base: Some(http_base),
            listen_base: Some(listen_base),
        }
    }

    #[test]
    fn five_nodes_stand_on_ports_in_a_row() {
        let folder = tempfile::tempdir().unwrap();
        let plan = Folder::open(&folder.path().join("demo"), &arguments(18_080, 17_440)).unwrap();
        let ports: Vec<(u16, u16)> = plan
            .members
            .iter()
            .map(|member| (member.http.port(), member.listen.port()))
            .collect();
        assert_eq!(
            ports,
            [
                (18_080, 17_440),
                (18_081, 17_441),
                (18_082, 17_442),
                (18_083, 17_443),
                (18_084, 17_444)
            ]
        );
        assert!(Folder::open(folder.path(), &arguments(65_534, 1)).is_err());
    }

    #[test]
    fn a_folder_with_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("letter.txt"), "x").unwrap();
        let refused = Folder::open(folder.path(), &arguments(0, 0))
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("letter.txt") && refused.contains("--data"),
            "{refused}"
        );
    }

    #[test]
    fn a_port_in_use_is_named_with_its_option() {
        let folder = tempfile::tempdir().unwrap();
        let plan = Folder::open(folder.path(), &arguments(0, 0)).unwrap();
        let taken = TcpListener::bind(plan.members[2].http).unwrap();
        let refused = plan.ports_are_free().unwrap_err().to_string();
        assert!(
            refused.contains("frosinone/b") && refused.contains("--http-base"),
            "{refused}"
        );
        drop(taken);
        let taken = UdpSocket::bind(plan.members[4].listen).unwrap();
        let refused = plan.ports_are_free().unwrap_err().to_string();
        assert!(
            refused.contains("frosinone/d") && refused.contains("--listen-base"),
            "{refused}"
        );
        drop(taken);
    }
}

//! The file that a new node gets: every key with its default, unit and effect.

use std::fmt::Write;
use std::net::SocketAddr;

use crate::keys::{Key, SECTIONS, When, of_section};
use crate::settings::{Role, StoreEngine};
use crate::territory::Territory;

/// What is known of a node when it is founded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialSettings {
    /// `node.territory`
    pub territory: Territory,
    /// `node.role`
    pub role: Role,
    /// `node.name`
    pub name: String,
    /// `network.listen`
    pub listen: SocketAddr,
    /// `http.address`
    pub http: SocketAddr,
    /// `network.advertise`
    pub advertise: Option<String>,
    /// `store.engine`
    pub engine: StoreEngine,
}

/// The text of `raccordo.toml`; keys that keep their default are commented out.
pub fn template(initial: &InitialSettings) -> String {
    let mut text = String::from(
        "# Raccordo. Check with `raccordo config check`; peers are managed with `raccordo peer`.\n\
         # A line that begins with `# key =` shows the default; take the `# ` away to change it.\n",
    );
    for (section, heading) in SECTIONS {
        write!(text, "\n# {heading}\n[{section}]\n").expect("writing to a string never fails");
        for key in of_section(section) {
            write_key(&mut text, key, initial).expect("writing to a string never fails");
        }
    }
    text
}

fn write_key(text: &mut String, key: &Key, initial: &InitialSettings) -> std::fmt::Result {
    writeln!(text, "# {}", key.effect)?;
    let when = match key.when {
        When::Live => "on reload",
        When::Restart => "at the next start",
        When::Never => "fixed when the node was founded",
    };
    let default = match key.default {
        None => "none, it must be given",
        Some("") => "not set",
        Some(default) => default,
    };
    writeln!(
        text,
        "# Unit: {}. Default: {default}. Takes effect: {when}.",
        key.unit
    )?;
    let name = key.name;
    match initial_value(key, initial) {
        Some(value) => writeln!(text, "{name} = {value}"),
        None => match key.default {
            None | Some("") => writeln!(text, "# {name} ="),
            Some(default) => writeln!(text, "# {name} = {default}"),
        },
    }
}

fn initial_value(key: &Key, initial: &InitialSettings) -> Option<String> {
    let value = match (key.section, key.name) {
        ("node", "territory") => initial.territory.to_string(),
        ("node", "role") => initial.role.to_string(),
        ("node", "name") => initial.name.clone(),
        ("network", "listen") => initial.listen.to_string(),
        ("network", "advertise") => initial.advertise.clone()?,
        ("http", "address") => initial.http.to_string(),
        ("store", "engine") => initial.engine.to_string(),
        _ => return None,
    };
    Some(toml::Value::String(value).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;

    fn initial() -> InitialSettings {
        InitialSettings {
            territory: Territory::parse("frosinone/a").unwrap(),
            role: Role::District,
            name: "Distretto \"A\" \\ Alàtri".to_owned(),
            listen: "127.0.0.1:7441".parse().unwrap(),
            http: "127.0.0.1:8081".parse().unwrap(),
            advertise: None,
            engine: StoreEngine::Redb,
        }
    }

    #[test]
    fn a_fresh_template_says_what_it_was_given_and_defaults_otherwise() {
        let initial = initial();
        let config = check(&template(&initial)).unwrap();
        assert_eq!(config.node.name, initial.name);
        assert_eq!(config.network.listen, initial.listen);
        assert_eq!(config.network.advertise, None);
        assert_eq!(config.http.address, initial.http);
        assert_eq!(config.store.engine, StoreEngine::Redb);
        assert_eq!(config.store.cache_mib, 64);
        assert_eq!(config.limits.document_cache, 1024);
    }

    #[test]
    fn every_default_in_the_template_is_the_one_in_force() {
        let text = template(&initial());
        let opened: String = text
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if is_default(rest) => format!("{rest}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        assert_ne!(opened, text);
        assert_eq!(check(&opened).unwrap(), check(&text).unwrap());
    }

    fn is_default(line: &str) -> bool {
        let key = line.split_once(" = ").map(|(key, _)| key);
        key.is_some_and(|key| crate::keys::KEYS.iter().any(|known| known.name == key))
    }
}

//! What a changed configuration changes: at once, at the next start, or never.

pub use crate::keys::When;

use crate::Config;
use crate::keys::KEYS;

/// A key whose value differs between two configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// `section.key`
    pub key: String,
    /// The value before, for people.
    pub old: String,
    /// The value after.
    pub new: String,
    /// When it takes effect; [`When::Never`] is to be refused.
    pub when: When,
}

/// Every key that differs, in the order of the file.
pub fn changes(old: &Config, new: &Config) -> Vec<Changed> {
    let mut changed = Vec::new();
    for key in &KEYS {
        let (before, after) = (
            value(old, key.section, key.name),
            value(new, key.section, key.name),
        );
        if before != after {
            // A certificate is renewed live; whether there is one decides how the port is opened.
            let turns_https = matches!((key.section, key.name), ("http", "cert" | "key"))
                && [&before, &after].contains(&&not_set());
            changed.push(Changed {
                key: format!("{}.{}", key.section, key.name),
                old: before,
                new: after,
                when: if turns_https { When::Restart } else { key.when },
            });
        }
    }
    changed
}

fn value(config: &Config, section: &str, name: &str) -> String {
    let path = |path: &Option<std::path::PathBuf>| {
        path.as_ref()
            .map_or_else(not_set, |path| path.display().to_string())
    };
    let keys = |keys: &[crate::PeerKey]| {
        let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        format!("[{}]", keys.join(", "))
    };
    match (section, name) {
        ("node", "territory") => config.node.territory.to_string(),
        ("node", "role") => config.node.role.to_string(),
        ("node", "name") => config.node.name.clone(),
        ("network", "listen") => config.network.listen.to_string(),
        ("network", "advertise") => config.network.advertise.clone().unwrap_or_else(not_set),
        ("http", "address") => config.http.address.to_string(),
        ("http", "cert") => path(&config.http.cert),
        ("http", "key") => path(&config.http.key),
        ("http", "behind_proxy") => config.http.behind_proxy.to_string(),
        ("store", "engine") => config.store.engine.to_string(),
        ("store", "cache_mib") => config.store.cache_mib.to_string(),
        ("store", "reserve_mib") => config
            .store
            .reserve_mib
            .map_or_else(not_set, |mib| mib.to_string()),
        ("limits", "document_cache") => config.limits.document_cache.to_string(),
        ("limits", "send_kib_s") => config.limits.send_kib_s.to_string(),
        ("limits", "send_all_kib_s") => config.limits.send_all_kib_s.to_string(),
        ("limits", "receive_kib_s") => config.limits.receive_kib_s.to_string(),
        ("replication", "proof_every_s") => config.replication.proof_every_s.to_string(),
        ("replication", "scrub_per_minute") => config.replication.scrub_per_minute.to_string(),
        ("overview", "stale_after_s") => config.overview.stale_after_s.to_string(),
        ("retention", "person_days") => config.retention.person_days.to_string(),
        ("retention", "household_days") => config.retention.household_days.to_string(),
        ("retention", "contact_days") => config.retention.contact_days.to_string(),
        ("retention", "project_days") => config.retention.project_days.to_string(),
        ("retention", "binding") => config.retention.binding.to_string(),
        ("logs", "level") => config.logs.level.clone(),
        ("logs", "format") => config.logs.format.name().to_owned(),
        ("peers", "pin") => keys(&config.peers.pin),
        ("peers", "refuse") => keys(&config.peers.refuse),
        _ => String::new(),
    }
}

fn not_set() -> String {
    "not set".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;

    const BASE: &str = "[node]\nterritory = \"a\"\nrole = \"district\"\nname = \"A\"\n";

    fn between(new: &str) -> Vec<(String, When)> {
        let (old, new) = (check(BASE).unwrap(), check(new).unwrap());
        changes(&old, &new)
            .into_iter()
            .map(|changed| (changed.key, changed.when))
            .collect()
    }

    #[test]
    fn equal_configurations_change_nothing() {
        assert_eq!(
            between(&format!("# a comment\n{BASE}[store]\ncache_mib = 64\n")),
            []
        );
    }

    #[test]
    fn each_change_says_when_it_takes_effect() {
        let new = format!(
            "{BASE}[logs]\nlevel = \"debug\"\n[http]\naddress = \"127.0.0.1:1\"\n[store]\nengine = \"redb\"\n"
        );
        assert_eq!(
            between(&new),
            [
                ("http.address".to_owned(), When::Restart),
                ("store.engine".to_owned(), When::Never),
                ("logs.level".to_owned(), When::Live),
            ]
        );
    }

    #[test]
    fn a_certificate_is_renewed_live_and_https_begins_at_the_next_start() {
        let with = |name: &str| {
            check(&format!(
                "{BASE}[http]\ncert = \"{name}.crt\"\nkey = \"{name}.key\"\n"
            ))
            .unwrap()
        };
        let when = |old: &Config, new: &Config| -> Vec<When> {
            changes(old, new).iter().map(|one| one.when).collect()
        };
        let plain = check(BASE).unwrap();
        assert_eq!(when(&with("a"), &with("b")), [When::Live; 2]);
        assert_eq!(when(&plain, &with("a")), [When::Restart; 2]);
        assert_eq!(when(&with("a"), &plain), [When::Restart; 2]);
    }

    #[test]
    fn every_key_is_compared() {
        let config = check(BASE).unwrap();
        for key in &KEYS {
            assert_ne!(value(&config, key.section, key.name), "", "{}", key.name);
        }
    }
}

//! Every key of `raccordo.toml`, in the order of the template.

/// When a changed value takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At once, when the file is reloaded.
    Live,
    /// At the next start.
    Restart,
    /// Never: it was fixed when the node was founded.
    Never,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) section: &'static str,
    pub(crate) name: &'static str,
    /// As written in TOML; `None` must be given, `Some("")` is not set.
    pub(crate) default: Option<&'static str>,
    /// Unit or form, in words.
    pub(crate) unit: &'static str,
    /// What it does, one sentence.
    pub(crate) effect: &'static str,
    pub(crate) when: When,
}

/// Every section with its heading in the template.
pub(crate) const SECTIONS: [(&str, &str); 10] = [
    (
        "node",
        "Who this node is. Fixed when it was founded, but for the name.",
    ),
    ("network", "How peers reach this node (QUIC over UDP)."),
    ("http", "How people and programs reach this node."),
    ("store", "Where records are kept."),
    ("limits", "Bounds on memory and on what crosses the links."),
    (
        "replication",
        "How nodes prove to each other, and each to itself, that what they hold is whole.",
    ),
    ("overview", "How the overview judges the age of figures."),
    (
        "retention",
        "How long records of people are kept. The periods are proposals: set those that your rules name.",
    ),
    ("logs", "What is written to standard error."),
    (
        "peers",
        "Exceptions to the signed roster, on this node alone. Members are managed with `raccordo peer`.",
    ),
];

/// Every key.
pub(crate) const KEYS: [Key; 28] = [
    Key {
        section: "node",
        name: "territory",
        default: None,
        unit: "path of 1 to 6 parts, a-z 0-9 -",
        effect: "The territory this node belongs to.",
        when: When::Never,
    },
    Key {
        section: "node",
        name: "role",
        default: None,
        unit: "\"district\" or \"coordination\"",
        effect: "What this node does in the federation.",
        when: When::Never,
    },
    Key {
        section: "node",
        name: "name",
        default: None,
        unit: "1 to 80 characters",
        effect: "What people call this node.",
        when: When::Restart,
    },
    Key {
        section: "network",
        name: "listen",
        default: Some("\"0.0.0.0:7440\""),
        unit: "address:port, UDP; port 0 takes a free one",
        effect: "The address on which peers are awaited.",
        when: When::Restart,
    },
    Key {
        section: "network",
        name: "advertise",
        default: Some(""),
        unit: "host:port; not set: the listen address",
        effect: "The address that invitations carry, where the node is reached by another one than it listens on.",
        when: When::Restart,
    },
    Key {
        section: "http",
        name: "address",
        default: Some("\"127.0.0.1:8080\""),
        unit: "address:port, TCP; port 0 takes a free one",
        effect: "The address of pages and API. Other than loopback needs cert and key, or behind_proxy.",
        when: When::Restart,
    },
    Key {
        section: "http",
        name: "cert",
        default: Some(""),
        unit: "path, PEM, from this file's folder; with key",
        effect: "The certificate for HTTPS, those that signed it after it. A renewed file is taken on reload; from not set or to not set at the next start.",
        when: When::Live,
    },
    Key {
        section: "http",
        name: "key",
        default: Some(""),
        unit: "path, PEM, from this file's folder; with cert",
        effect: "The private key for HTTPS, without a password, readable by its owner alone.",
        when: When::Live,
    },
    Key {
        section: "http",
        name: "behind_proxy",
        default: Some("false"),
        unit: "true or false",
        effect: "Says that a proxy before this node speaks HTTPS, so plain HTTP is served on any address.",
        when: When::Restart,
    },
    Key {
        section: "store",
        name: "engine",
        default: Some("\"sled\""),
        unit: "\"sled\" or \"redb\"",
        effect: "The storage engine; to change it, export and import into a new node.",
        when: When::Never,
    },
    Key {
        section: "store",
        name: "cache_mib",
        default: Some("64"),
        unit: "MiB, 8 to 65536",
        effect: "Memory for the engine's cache.",
        when: When::Restart,
    },
    Key {
        section: "store",
        name: "reserve_mib",
        default: Some(""),
        unit: "MiB, 0 to 1048576; not set: the smaller of 512 and 5 % of the file system",
        effect: "Disk space that stays free: writes are refused before it is touched.",
        when: When::Restart,
    },
    Key {
        section: "limits",
        name: "document_cache",
        default: Some("1024"),
        unit: "documents, 16 to 1000000",
        effect: "Documents kept in memory; about 100 KiB each.",
        when: When::Restart,
    },
    Key {
        section: "limits",
        name: "send_kib_s",
        default: Some("0"),
        unit: "KiB a second, 0 to 1048576; 0: no limit",
        effect: "Most that one peer is sent.",
        when: When::Live,
    },
    Key {
        section: "limits",
        name: "send_all_kib_s",
        default: Some("0"),
        unit: "KiB a second, 0 to 1048576; 0: no limit",
        effect: "Most that all peers together are sent, shared fairly.",
        when: When::Live,
    },
    Key {
        section: "limits",
        name: "receive_kib_s",
        default: Some("0"),
        unit: "KiB a second, 0 to 1048576; 0: no limit",
        effect: "Most that one peer may bring; it is held back, nothing is dropped.",
        when: When::Live,
    },
    Key {
        section: "replication",
        name: "proof_every_s",
        default: Some("300"),
        unit: "seconds, 10 to 86400",
        effect: "How often every document that is shared with a peer is compared with what the peer holds.",
        when: When::Live,
    },
    Key {
        section: "replication",
        name: "scrub_per_minute",
        default: Some("600"),
        unit: "documents, 0 to 60000; 0: none",
        effect: "How many stored documents are read again each minute; a damaged one is fetched from a peer.",
        when: When::Live,
    },
    Key {
        section: "overview",
        name: "stale_after_s",
        default: Some("30"),
        unit: "seconds, 1 to 86400",
        effect: "Silence after which a territory's figures are shown as stale; peers are heard every 10 s.",
        when: When::Live,
    },
    Key {
        section: "retention",
        name: "person_days",
        default: Some("3650"),
        unit: "days, 0 to 36500; 0: no period",
        effect: "Days after the last change at which erasing a person, with casefile is proposed; a person decides.",
        when: When::Live,
    },
    Key {
        section: "retention",
        name: "household_days",
        default: Some("3650"),
        unit: "days, 0 to 36500; 0: no period",
        effect: "Days after the last change at which erasing a household is proposed; a person decides.",
        when: When::Live,
    },
    Key {
        section: "retention",
        name: "contact_days",
        default: Some("1825"),
        unit: "days, 0 to 36500; 0: no period",
        effect: "Days after the last change at which erasing a contact is proposed; a person decides.",
        when: When::Live,
    },
    Key {
        section: "retention",
        name: "project_days",
        default: Some("3650"),
        unit: "days, 0 to 36500; 0: no period",
        effect: "Days after the last change at which erasing a project that ended is proposed; a person decides.",
        when: When::Live,
    },
    Key {
        section: "retention",
        name: "binding",
        default: Some("false"),
        unit: "true or false",
        effect: "Whether an erasure before the end of these periods is refused.",
        when: When::Live,
    },
    Key {
        section: "logs",
        name: "level",
        default: Some("\"info\""),
        unit: "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
        effect: "The least important events that are logged.",
        when: When::Live,
    },
    Key {
        section: "logs",
        name: "format",
        default: Some("\"text\""),
        unit: "\"text\" or \"json\"",
        effect: "The form of a log line.",
        when: When::Restart,
    },
    Key {
        section: "peers",
        name: "pin",
        default: Some("[]"),
        unit: "list of node ids, 64 hexadecimal digits each",
        effect: "Nodes that may connect although no roster names them.",
        when: When::Live,
    },
    Key {
        section: "peers",
        name: "refuse",
        default: Some("[]"),
        unit: "list of node ids, 64 hexadecimal digits each",
        effect: "Nodes that may not connect whatever the roster says.",
        when: When::Live,
    },
];

/// The keys of a section.
pub(crate) fn of_section(section: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.section == section)
}

/// The known word nearest to an unknown one, if any is near enough to be meant.
pub(crate) fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|word| (strsim::damerau_levenshtein(unknown, word), word))
        .min()
        .filter(|(distance, word)| *distance * 2 <= word.len().max(3))
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_in_a_known_section_and_there_once() {
        for (index, key) in KEYS.iter().enumerate() {
            assert!(SECTIONS.iter().any(|(section, _)| *section == key.section));
            let name = (key.section, key.name);
            let twin = KEYS[..index]
                .iter()
                .find(|other| (other.section, other.name) == name);
            assert!(twin.is_none(), "{name:?} twice");
        }
    }

    #[test]
    fn the_nearest_word_is_found_and_a_far_one_is_not() {
        let known = || ["cache_mib", "engine", "reserve_mib"].into_iter();
        assert_eq!(nearest("cache_mb", known()), Some("cache_mib"));
        assert_eq!(nearest("engien", known()), Some("engine"));
        assert_eq!(nearest("colour", known()), None);
    }
}

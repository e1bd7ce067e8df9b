//! The banner about the link to the coordination, in words.
//!
//! A district works alone as well as linked; the banner says which, since when, and what will go
//! by itself. Only what needs a person is loud.

use raccordo_crdt_model::UnixMillis;

use crate::engine::{PeerView, StatusView};
use crate::http::words::Words;

/// What the banner shows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// `calm`, `busy`, `alone` or `trouble`: the banner's colour and mark.
    pub(crate) tone: &'static str,
    /// The sentence.
    pub(crate) says: String,
    /// What the engine adds: what is wrong and whose move it is.
    pub(crate) detail: Option<String>,
}

/// The banner for a district; the peer of interest is where it joined: a device's office, an
/// office's coordination.
pub(crate) fn of(status: &StatusView, now: UnixMillis, words: Words) -> Link {
    let above = || status.peers.iter().filter(|peer| peer.above);
    let coordination = above().find(|peer| peer.role == "coordination");
    let Some(peer) = coordination.or_else(|| above().next()) else {
        return Link {
            tone: "alone",
            says: words.say("link-none"),
            detail: None,
        };
    };
    let who = if peer.name.is_empty() {
        peer.territory.as_str()
    } else {
        peer.name.as_str()
    };
    let (tone, says) = match peer.state {
        "connected" if peer.to_send == 0 => ("calm", words.with("link-connected", &[("who", who)])),
        "connected" | "catching_up" => (
            "busy",
            format!(
                "{} {}",
                words.with("link-connected", &[("who", who)]),
                moving(peer, words)
            ),
        ),
        "pending" => ("busy", words.with("link-pending", &[("who", who)])),
        "unreachable" => ("alone", alone(peer, now, words)),
        "suspended" => ("trouble", words.with("link-suspended", &[("who", who)])),
        "revoked" => ("trouble", words.with("link-revoked", &[("who", who)])),
        _ => ("trouble", words.with("link-refused", &[("who", who)])),
    };
    Link {
        tone,
        says,
        detail: peer.problem.clone().filter(|_| tone == "trouble"),
    }
}

fn alone(peer: &PeerView, now: UnixMillis, words: Words) -> String {
    let since = match peer.last_contact.or(peer.since) {
        Some(since) => words.with("link-alone", &[("span", &words.span(since, now))]),
        None => words.say("link-never"),
    };
    let waiting = match peer.to_send {
        0 => words.say("link-nothing-waits"),
        n => words.count("link-waits", n),
    };
    let oldest = peer.queued_since.map(|oldest| {
        let span = words.span(oldest, now);
        words.with("link-oldest", &[("span", &span)])
    });
    [since, waiting]
        .into_iter()
        .chain(oldest)
        .collect::<Vec<_>>()
        .join(" ")
}

fn moving(peer: &PeerView, words: Words) -> String {
    let mut parts = Vec::new();
    if peer.to_send > 0 {
        parts.push(words.count("link-sending", peer.to_send));
    }
    if peer.to_receive > 0 {
        parts.push(words.count("link-receiving", peer.to_receive));
    }
    parts.join(" ")
}

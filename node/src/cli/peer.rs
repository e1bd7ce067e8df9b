//! `invite`, `join` and `peer …`: who belongs to the federation, live.

use std::path::Path;

use anyhow::bail;
use serde_json::{Value, json};

use super::api::{Api, escape};
use super::status::peer_table;
use super::table::{cell, short};
use super::{
    Format, InviteArguments, JoinArguments, PeerArguments, PeerCommand, ScopeArguments, print,
};

/// `invite`
pub(super) async fn invite(data: &Path, arguments: InviteArguments) -> anyhow::Result<()> {
    let api = Api::open(data).await?;
    let asked = json!({
        "territory": arguments.territory.to_string(),
        "role": arguments.role.name(),
        "expires_in_s": arguments.expires,
        "approved": arguments.approved,
    });
    let answer = api.post("/api/v1/local/invite", &asked).await;
    api.close().await;
    let invitation = answer?;
    if arguments.format.json {
        print::json(&invitation)
    } else {
        print::line(&cell(&invitation["invitation"]))
    }
}

/// `join`
pub(super) async fn join(data: &Path, arguments: JoinArguments) -> anyhow::Result<()> {
    let api = Api::open(data).await?;
    let answer = api
        .post(
            "/api/v1/local/join",
            &json!({"invitation": arguments.invitation}),
        )
        .await;
    api.close().await;
    let peer = answer?;
    if arguments.format.json {
        return print::json(&peer);
    }
    print::line(&format!(
        "joined {} ({}); records go there once its administrator has approved this node (`raccordo status` shows it)",
        cell(&peer["territory"]),
        cell(&peer["name"])
    ))
}

/// `peer …`
pub(super) async fn peer(data: &Path, command: PeerCommand) -> anyhow::Result<()> {
    match command {
        PeerCommand::List(format) => list(data, "/api/v1/peers", format).await,
        PeerCommand::Pending(format) => list(data, "/api/v1/peers/pending", format).await,
        PeerCommand::Approve(peer) => decide(data, &peer, "approve", json!({})).await,
        PeerCommand::Reject(peer) => decide(data, &peer, "reject", json!({})).await,
        PeerCommand::Confirm(peer) => decide(data, &peer, "confirm", json!({})).await,
        PeerCommand::Suspend(peer) => decide(data, &peer, "suspend", json!({})).await,
        PeerCommand::Resume(peer) => decide(data, &peer, "resume", json!({})).await,
        PeerCommand::Verify(peer) => decide(data, &peer, "verify", json!({})).await,
        PeerCommand::Revoke { peer, reason } => {
            decide(data, &peer, "revoke", json!({"reason": reason})).await
        }
        PeerCommand::Choose { peer, incarnation } => {
            decide(data, &peer, "choose", json!({"incarnation": incarnation})).await
        }
        PeerCommand::Explain(peer) => explain(data, &peer).await,
        PeerCommand::Scope(arguments) => scope(data, &arguments).await,
    }
}

async fn list(data: &Path, path: &str, format: Format) -> anyhow::Result<()> {
    let api = Api::open(data).await?;
    let answer = api.read(path).await;
    api.close().await;
    let peers = answer?;
    if format.json {
        return print::json(&peers);
    }
    print::line(&peer_table(&peers["items"]))
}

async fn decide(data: &Path, peer: &PeerArguments, verb: &str, body: Value) -> anyhow::Result<()> {
    let api = Api::open(data).await?;
    let answer = api
        .post(&format!("/api/v1/peers/{}/{verb}", escape(&peer.id)), &body)
        .await;
    api.close().await;
    let changed = answer?;
    if peer.format.json {
        return print::json(&changed);
    }
    let state = match (verb, changed["state"].as_str()) {
        ("approve" | "resume", Some("unreachable")) => {
            "let in; it connects by itself within half a minute".to_owned()
        }
        ("resume", Some("suspended")) => {
            "still on hold: another node put it on hold too and has to resume it".to_owned()
        }
        ("confirm", _) => format!("confirmed, with the id {}", cell(&changed["id"])),
        _ => cell(&changed["state"]),
    };
    print::line(&format!(
        "{} ({}): {state}",
        cell(&changed["territory"]),
        cell(&changed["name"])
    ))
}

async fn explain(data: &Path, wanted: &PeerArguments) -> anyhow::Result<()> {
    let api = Api::open(data).await?;
    let answer = explained(&api, &wanted.id).await;
    api.close().await;
    let (peer, scope) = answer?;
    let text = words(&peer);
    if wanted.format.json {
        return print::json(&json!({"peer": peer, "explanation": text, "scope": scope}));
    }
    let all = [&scope["territories"], &scope["lanes"], &scope["ended"]];
    if all
        .iter()
        .all(|list| list.as_array().is_none_or(Vec::is_empty))
    {
        return print::line(&text);
    }
    print::line(&format!("{text}\n{}", sent(&scope)))
}

async fn explained(api: &Api, id: &str) -> anyhow::Result<(Value, Value)> {
    let peers = api.read("/api/v1/peers").await?;
    let peer = find(&peers["items"], id)?.clone();
    let id = cell(&peer["id"]);
    let scope = api.read(&format!("/api/v1/peers/{id}/scope")).await?;
    Ok((peer, scope))
}

async fn scope(data: &Path, arguments: &ScopeArguments) -> anyhow::Result<()> {
    let api = Api::open(data).await?;
    let path = format!("/api/v1/peers/{}/scope", escape(&arguments.peer.id));
    let asked = !arguments.territory.is_empty() || !arguments.lane.is_empty() || arguments.all;
    let answer = if asked {
        let territories = arguments.territory.iter().map(ToString::to_string);
        let body = json!({"territories": territories.collect::<Vec<_>>(), "lanes": arguments.lane});
        api.post(&path, &body).await
    } else {
        api.read(&path).await
    };
    api.close().await;
    let scope = answer?;
    if arguments.peer.format.json {
        return print::json(&scope);
    }
    print::line(&sent(&scope))
}

/// What a peer is sent, and what it still holds of what was withdrawn.
fn sent(scope: &Value) -> String {
    let listed = |name: &str| {
        let words: Vec<String> = scope[name]
            .as_array()
            .into_iter()
            .flatten()
            .map(cell)
            .collect();
        words.join(", ")
    };
    let (territories, lanes) = (listed("territories"), listed("lanes"));
    let narrowed = match (territories.is_empty(), lanes.is_empty()) {
        (true, true) => "all that it may have".to_owned(),
        (false, true) => format!("only what {territories} wrote"),
        (true, false) => format!("only the lanes {lanes}"),
        (false, false) => format!("only the lanes {lanes} of {territories}"),
    };
    let mut lines = vec![format!("It is sent {narrowed}:")];
    for log in scope["sent"].as_array().into_iter().flatten() {
        lines.push(format!(
            "  {} ({}), {}: it holds {} of {}",
            cell(&log["territory"]),
            cell(&log["name"]),
            cell(&log["lane"]),
            cell(&log["held"]),
            cell(&log["end"])
        ));
    }
    for log in scope["withdrawn"].as_array().into_iter().flatten() {
        let (territory, name) = (cell(&log["territory"]), cell(&log["name"]));
        let held = log["held"].as_u64().unwrap_or_default();
        let still = if held == 0 {
            "it holds nothing of it".to_owned()
        } else {
            format!("it keeps what it has, up to entry {held}")
        };
        lines.push(format!(
            "  withdrawn: {territory} ({name}), {}: {still}",
            cell(&log["lane"])
        ));
    }
    for log in scope["ended"].as_array().into_iter().flatten() {
        lines.push(format!(
            "  it sends no more of {} ({}), {}: here up to entry {}",
            cell(&log["territory"]),
            cell(&log["name"]),
            cell(&log["lane"]),
            cell(&log["end"])
        ));
    }
    lines.join("\n")
}

fn find<'a>(peers: &'a Value, prefix: &str) -> anyhow::Result<&'a Value> {
    let fits = |peer: &&Value| peer["id"].as_str().is_some_and(|id| id.starts_with(prefix));
    let found: Vec<&Value> = peers
        .as_array()
        .into_iter()
        .flatten()
        .filter(fits)
        .collect();
    match found.as_slice() {
        [only] => Ok(only),
        [] => bail!("no peer has an id that begins with {prefix}: `raccordo peer list` shows all"),
        _ => bail!(
            "{} peers have an id that begins with {prefix}: give more digits",
            found.len()
        ),
    }
}

/// The state, its cause and whose move it is.
fn words(peer: &Value) -> String {
    let name = format!("{} ({})", cell(&peer["territory"]), cell(&peer["name"]));
    let contact = match peer["last_contact"].as_str() {
        Some(at) => format!("last heard of at {at}"),
        None => "never heard of".to_owned(),
    };
    let oldest = match peer["queued_since"].as_str() {
        Some(at) => format!(", the oldest of {at},"),
        None => String::new(),
    };
    let (send, receive) = (cell(&peer["to_send"]), cell(&peer["to_receive"]));
    let state = peer["state"].as_str().unwrap_or_default();
    let meaning = match state {
        "connected" => "is connected and nothing is missing on either side; nobody needs to do anything".to_owned(),
        "catching_up" => {
            format!("is connected and catching up ({send} entries to send, {receive} to receive); just wait")
        }
        "unreachable" => format!(
            "does not answer, {contact}; {send} entries{oldest} wait and leave by themselves when it is back: its \
             administrator should see whether it runs and the network lets UDP through"
        ),
        "pending" => "waits for approval: the administrator of the node where it joined compares the id by telephone and runs \
                      `raccordo peer approve` or `peer reject`"
            .to_owned(),
        "suspended" => "is paused by an administrator; `raccordo peer resume` on the coordination ends it".to_owned(),
        "revoked" => "was revoked for good; it comes back only as a new member, with a new key and an invitation"
            .to_owned(),
        "refused" => "was refused at the handshake: the keys do not match what the roster says; the coordination's \
                      administrator compares the ids"
            .to_owned(),
        "quarantined" => "has a log that stopped at an entry; the rest goes on, and the sentence below says whose \
                          move it is"
            .to_owned(),
        "relayed" if peer["confirmed"] == false => format!(
            "joined at another node ({}) and is heard through it, its id is {}",
            short(&peer["through"]),
            cell(&peer["id"])
        ),
        "relayed" => format!(
            "joined at another node ({}) and is heard through it; nobody needs to do anything",
            short(&peer["through"])
        ),
        other => format!("is {other}"),
    };
    let problem = peer["problem"]
        .as_str()
        .map(|problem| format!(" Last problem: {problem}"))
        .unwrap_or_default();
    let not_confirmed = peer["not_confirmed"]
        .as_str()
        .map(|why| format!(" It is {why}."))
        .unwrap_or_default();
    format!("{name} {meaning}.{problem}{not_confirmed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_explained_in_words() {
        let states = [
            "connected",
            "catching_up",
            "unreachable",
            "pending",
            "suspended",
            "revoked",
            "refused",
            "quarantined",
            "relayed",
        ];
        for state in states {
            let text = words(&json!({"territory": "frosinone/a", "name": "A", "state": state}));
            assert!(
                !text.contains(&format!("is {state}.")),
                "{state} has no words: {text}"
            );
        }
    }

    #[test]
    fn a_scope_says_what_goes_and_what_the_peer_still_holds() {
        let log = |held: u64| json!({"territory": "frosinone/a", "name": "A", "lane": "shared", "end": 9, "held": held});
        let scope = json!({"territories": [], "lanes": ["everyone"], "sent": [log(3)],
            "withdrawn": [log(7), log(0)]});
        let text = sent(&scope);
        for words in [
            "only the lanes everyone",
            "it holds 3 of 9",
            "up to entry 7",
            "holds nothing of it",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }

    #[test]
    fn a_prefix_names_exactly_one_peer() {
        let peers = json!([{"id": "aabbccdd11"}, {"id": "aabbccdd22"}]);
        assert_eq!(find(&peers, "aabbccdd1").unwrap()["id"], "aabbccdd11");
        assert!(
            find(&peers, "aabbccdd")
                .unwrap_err()
                .to_string()
                .contains("2 peers")
        );
        assert!(find(&peers, "ffffffff").is_err());
    }
}

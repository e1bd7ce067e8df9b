//! A node that joined another one, and the network between the two.
//!
//! A device of an office, a province below a region: whoever took it in is reached through a relay
//! of its own, so the link can be cut.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::eventually::{eventually, seen};
use crate::federation::readdressed;
use crate::http::Client;
use crate::lab::Lab;
use crate::process::Node;
use crate::relay::Relay;

/// A node and its way to the node above it.
#[derive(Debug)]
pub struct Below {
    /// The node.
    pub node: Node,
    /// Its way upwards.
    pub relay: Relay,
}

impl Below {
    /// Founds and starts a node that has joined nowhere.
    pub async fn started(lab: &Arc<Lab>, name: &str, territory: &str, role: &str) -> Self {
        let mut node = Node::found(lab, name, territory, role, &[]).await;
        node.start().await;
        let relay = Relay::open().await;
        Self { node, relay }
    }

    /// Leads the way to where that node listens now.
    pub async fn lead_to(&self, above: &Node) {
        let status = above.status().await;
        let listen = status["node"]["listen"].as_str();
        let listen = listen.and_then(|listen| listen.parse().ok());
        self.relay
            .lead_to(listen.expect("a running node says where it listens"));
    }

    /// Joins that node, approved at once, and returns when both say that they are connected.
    pub async fn join(&self, above: &Node) {
        self.lead_to(above).await;
        let role = self.node.status().await["node"]["role"].clone();
        let role = role.as_str().expect("a node has a role").to_owned();
        let territory = self.node.territory.clone();
        let arguments = [
            "invite",
            "--territory",
            &territory,
            "--role",
            &role,
            "--approved",
        ];
        let invitation = above.cli(&arguments).await.expect(0).line().to_owned();
        let invitation = readdressed(&invitation, &self.relay.address().to_string());
        let joined = self.node.cli(&["join", &invitation]).await;
        assert_eq!(joined.code, 0, "{joined}");
        self.connected(above).await;
    }

    /// Returns when both ends of the link say that they are connected.
    pub async fn connected(&self, above: &Node) {
        let (own, other) = (self.node.id().await, above.id().await);
        let what = format!("{} and {} are connected", self.node.name, above.name);
        eventually(&what, async || {
            let here = peer(&self.node.local().look("/api/v1/status").await?, &other);
            let there = peer(&above.local().look("/api/v1/status").await?, &own);
            let both = here["state"] == "connected" && there["state"] == "connected";
            seen(both, || format!("here {here}, there {there}"))
        })
        .await;
    }
}

/// What a status says of the peer with that id.
pub fn peer(status: &Value, id: &str) -> Value {
    let mut peers = status["peers"].as_array().into_iter().flatten();
    let found = peers.find(|peer| peer["id"] == id).cloned();
    found.unwrap_or_default()
}

/// A guideline with nothing but what it needs.
pub fn guideline(title: &str) -> Value {
    json!({"title": title, "type": "procedure", "version": "1", "state": "published"})
}

/// An organisation with nothing but what it needs.
pub fn organisation(name: &str) -> Value {
    json!({"name": name, "type": "third_sector", "state": "identified"})
}

/// Creates a record and returns its address below the API's root.
pub async fn created(at: &Client, kind: &str, fields: &Value) -> String {
    let made = at.post(&format!("/api/v1/{kind}"), fields).await;
    let made = made.expect(201);
    let place = made.header("location");
    place.expect("a created record has a place").to_owned()
}

/// Returns when these nodes hold the record in the same version, and what it says there.
pub async fn same_everywhere(nodes: &[&Node], path: &str) -> Value {
    eventually(
        &format!("all hold the same version of {path}"),
        async || {
            let mut records = Vec::new();
            for node in nodes {
                records.push(node.local().look(path).await?);
            }
            let first = records.first().cloned().unwrap_or_default();
            let version = |record: &Value| record["_meta"]["etag"].clone();
            let same = records
                .iter()
                .all(|record| version(record) == version(&first));
            if same {
                Ok(first)
            } else {
                Err(format!("{records:?}"))
            }
        },
    )
    .await
}

/// Returns when a node's record has this value at that pointer.
pub async fn shows(node: &Node, path: &str, pointer: &str, value: &Value) {
    let what = format!("{} shows {value} at {pointer} of {path}", node.name);
    eventually(&what, async || {
        let record = node.local().look(path).await?;
        seen(record.pointer(pointer) == Some(value), || {
            record.to_string()
        })
    })
    .await;
}

/// The id of the node that wrote a record's first change, as that node's history tells.
pub async fn author(node: &Node, path: &str) -> String {
    let history = node.local().read(&format!("{path}/history")).await;
    let first = history["items"][0]["node"].as_str();
    first.expect("a change has an author").to_owned()
}

//! A coordination and its districts, each behind a relay of its own.
//!
//! Invitations are re-addressed to the district's relay, so every link can be cut, and the
//! coordination may come back on another port.

use std::net::SocketAddr;
use std::sync::Arc;

use raccordo_config::Invitation;
use serde_json::Value;

use crate::eventually::eventually;
use crate::lab::Lab;
use crate::process::Node;
use crate::relay::Relay;

/// A coordination and its districts.
#[derive(Debug)]
pub struct Federation {
    /// Where everything stands.
    pub lab: Arc<Lab>,
    /// The coordination of `frosinone`.
    pub coordination: Node,
    /// The districts `frosinone/a` and so on.
    pub districts: Vec<District>,
}

/// One district and the network between it and the coordination.
#[derive(Debug)]
pub struct District {
    /// The node.
    pub node: Node,
    /// Its way to the coordination.
    pub relay: Relay,
}

impl Federation {
    /// Founds a coordination, with these settings, and so many districts; nothing runs yet.
    pub async fn found(program: &str, districts: usize, settings: &[(&str, &str, &str)]) -> Self {
        let lab = Lab::new(program);
        let coordination =
            Node::found(&lab, "coordination", "frosinone", "coordination", settings).await;
        let mut federation = Self {
            lab,
            coordination,
            districts: Vec::new(),
        };
        for letter in ('a'..='z').take(districts) {
            federation
                .found_district(&letter.to_string(), &format!("frosinone/{letter}"))
                .await;
        }
        federation
    }

    /// Founds, starts and joins all.
    pub async fn joined(program: &str, districts: usize, settings: &[(&str, &str, &str)]) -> Self {
        let mut federation = Self::found(program, districts, settings).await;
        federation.start().await;
        for index in 0..districts {
            federation.join(index).await;
        }
        for index in 0..districts {
            federation.connected(index).await;
        }
        federation
    }

    /// Founds one more node, of this territory.
    pub async fn found_district(&mut self, name: &str, territory: &str) {
        let node = Node::found(&self.lab, name, territory, "district", &[]).await;
        let relay = Relay::open().await;
        if let Some(listen) = self.listen().await {
            relay.lead_to(listen);
        }
        self.districts.push(District { node, relay });
    }

    /// Starts every node.
    pub async fn start(&mut self) {
        self.start_coordination().await;
        for district in &mut self.districts {
            district.node.start().await;
        }
    }

    /// Starts the coordination and leads the relays to it.
    pub async fn start_coordination(&mut self) {
        self.coordination.start().await;
        self.lead_relays().await;
    }

    /// Leads the relays to where the coordination listens now.
    pub async fn lead_relays(&self) {
        let listen = self.listen().await.expect("a running coordination listens");
        for district in &self.districts {
            district.relay.lead_to(listen);
        }
    }

    /// An invitation for a district, addressed to its relay.
    pub async fn invitation(&self, index: usize, more: &[&str]) -> String {
        let district = &self.districts[index];
        let mut arguments = vec!["invite", "--territory", &district.node.territory];
        arguments.extend(more);
        let printed = self.coordination.cli(&arguments).await.expect(0);
        readdressed(printed.line(), &district.relay.address().to_string())
    }

    /// Lets a district join, approved at once.
    pub async fn join(&self, index: usize) {
        let invitation = self.invitation(index, &["--approved"]).await;
        let joined = self.districts[index].node.cli(&["join", &invitation]).await;
        assert_eq!(joined.code, 0, "{joined}");
    }

    /// Returns when a district and the coordination say that they are connected.
    pub async fn connected(&self, index: usize) {
        let node = &self.districts[index].node;
        eventually(&format!("{} is connected", node.name), async || {
            let peer = upstream(&node.local().look("/api/v1/status").await?);
            if peer["state"] == "connected" {
                Ok(())
            } else {
                Err(peer.to_string())
            }
        })
        .await;
    }

    /// What a district says of its link with the coordination.
    pub async fn link(&self, index: usize) -> Value {
        upstream(&self.districts[index].node.status().await)
    }

    /// What the coordination says of its link with a district.
    pub async fn peer(&self, index: usize) -> Value {
        let status = self.coordination.status().await;
        let territory = &self.districts[index].node.territory;
        let mut peers = status["peers"].as_array().into_iter().flatten();
        peers
            .find(|peer| peer["territory"] == territory.as_str())
            .cloned()
            .unwrap_or_default()
    }

    /// What the coordination's overview says of a territory.
    pub async fn territory(&self, index: usize) -> Result<Value, String> {
        let overview = self.coordination.local().look("/api/v1/overview").await?;
        let territory = &self.districts[index].node.territory;
        let mut parts = overview["territories"].as_array().into_iter().flatten();
        let part = parts
            .find(|part| part["territory"] == territory.as_str())
            .cloned();
        part.ok_or_else(|| format!("{territory} is not listed: {overview}"))
    }

    /// Where the coordination listens, while it runs.
    async fn listen(&self) -> Option<SocketAddr> {
        self.coordination.pid()?;
        let status = self.coordination.status().await;
        status["node"]["listen"]
            .as_str()
            .and_then(|listen| listen.parse().ok())
    }
}

/// The same invitation with another address in it.
pub fn readdressed(invitation: &str, address: &str) -> String {
    let invitation = Invitation::parse(invitation).expect("the program prints an invitation");
    Invitation {
        address: address.to_owned(),
        ..invitation
    }
    .encode()
}

/// The coordination among a district's peers.
pub fn upstream(status: &Value) -> Value {
    let mut peers = status["peers"].as_array().into_iter().flatten();
    peers
        .find(|peer| peer["role"] == "coordination")
        .cloned()
        .unwrap_or_default()
}

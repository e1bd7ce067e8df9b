//! Accounts of the invented offices, one for each part that people play, all with one password.
//!
//! The password is drawn when the federation is founded and stands in `demo.json`.

use anyhow::Context;
use serde_json::{Value, json};

use super::children::Node;
use crate::cli::api::escape;
use crate::clock::{Entropy, SystemEntropy, draw};

const USERS: &str = "/api/v1/local/users";

/// Name, role and body in every district.
pub(super) const DISTRICT: [(&str, &str, Option<&str>); 9] = [
    ("sportello", "access_operator", None),
    ("assistente", "social_worker", None),
    ("responsabile", "case_manager", None),
    ("ssd", "referent", Some("SSD")),
    ("dsm", "referent", Some("DSM")),
    ("cpi", "referent", Some("CPI")),
    ("uti", "unit_coordinator", None),
    ("ambito", "district_manager", None),
    ("privacy", "privacy_referent", None),
];

/// Name, role and body at the coordination.
pub(super) const COORDINATION: [(&str, &str, Option<&str>); 3] = [
    ("gruppo", "gcp_member", None),
    ("linee", "pack_curator", None),
    ("valutatore", "evaluator", None),
];

/// Those of one node.
pub(super) fn of(node: &Node) -> &'static [(&'static str, &'static str, Option<&'static str>)] {
    if node.member.district.is_some() {
        &DISTRICT
    } else {
        &COORDINATION
    }
}

/// A password that nobody else has.
pub(super) fn password() -> String {
    let drawn: [u8; 6] = draw(&SystemEntropy as &dyn Entropy);
    let parts = drawn.chunks(2).map(|pair| {
        let digits = pair.iter().map(|byte| format!("{byte:02x}"));
        digits.collect::<String>()
    });
    format!("demo-{}", parts.collect::<Vec<_>>().join("-"))
}

/// Makes the accounts that are not there, and gives all of them this password.
pub(super) async fn made(nodes: &[Node], password: &str) -> anyhow::Result<()> {
    let mut all = tokio::task::JoinSet::new();
    for node in nodes {
        let (api, accounts, password) = (node.api(), of(node), password.to_owned());
        all.spawn(async move {
            let listed = api.read(USERS).await?;
            let known = |name: &str| {
                let mut all = listed["items"].as_array().into_iter().flatten();
                all.any(|account| account["name"] == name)
            };
            for (name, role, body) in accounts {
                if known(name) {
                    let path = format!("{USERS}/{}/passwd", escape(name));
                    api.post(&path, &json!({"password": password})).await?;
                } else {
                    let account = json!({"name": name, "password": password,
                        "roles": [{"role": role, "body": body}]});
                    api.post(USERS, &account).await?;
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(outcome) = all.join_next().await {
        outcome
            .context("making accounts broke off")?
            .context("an account cannot be made")?;
    }
    Ok(())
}

/// What `demo.json` says of a node's accounts.
pub(super) fn facts(node: &Node) -> Value {
    of(node)
        .iter()
        .map(|(name, role, body)| json!({"name": name, "role": role, "body": body}))
        .collect()
}

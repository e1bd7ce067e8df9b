//! What must hold whatever happened, each promise by its name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::eventually::eventually;
use crate::federation::Federation;
use crate::http::{Answer, Client};

/// Every district's own digest equals the one that the coordination shows for it, the territory is
/// current, and both ends say that they compared and are equal. Returns when that is so.
pub async fn districts_and_coordination_come_to_hold_the_same(federation: &Federation) {
    for index in 0..federation.districts.len() {
        let node = &federation.districts[index].node;
        eventually(
            &format!("{} and the coordination hold the same", node.name),
            async || {
                let own = node.local().look("/api/v1/overview").await?["territories"][0].clone();
                let there = federation.territory(index).await?;
                let link = crate::federation::upstream(&node.local().look("/api/v1/status").await?);
                let same = own["digest"] == there["digest"]
                    && own["projects"]["total"] == there["projects"]["total"]
                    && there["state"] == "current"
                    && there["behind"] == 0
                    && link["to_send"] == 0
                    && link["equal"] == true;
                let same = same && federation.peer(index).await["equal"] == true;
                if same {
                    Ok(())
                } else {
                    Err(format!("here {own}, there {there}, link {link}"))
                }
            },
        )
        .await;
    }
}

/// The overview covers these territories, all current, and so many projects.
pub fn the_overview_is_whole(overview: &Value, territories: u64, projects: u64) {
    let totals = &overview["totals"];
    assert_eq!(totals["territories"], territories, "{overview}");
    assert_eq!(totals["territories_current"], territories, "{overview}");
    assert_eq!(totals["projects"], projects, "{overview}");
    let parts = overview["territories"]
        .as_array()
        .expect("a list of territories");
    let sum: u64 = parts
        .iter()
        .map(|part| part["projects"]["total"].as_u64().expect("a number"))
        .sum();
    assert_eq!(sum, projects, "{overview}");
    for part in parts {
        let by_state = part["projects"]["by_state"]
            .as_object()
            .expect("counts by state");
        let states: u64 = by_state
            .values()
            .map(|count| count.as_u64().expect("a number"))
            .sum();
        assert_eq!(part["projects"]["total"], states, "{part}");
        assert!(
            by_state.values().all(|count| count != 0),
            "zeros are left out: {part}"
        );
    }
}

/// Changes that a node acknowledged, by record.
#[derive(Debug, Default)]
pub struct Acknowledged {
    changes: BTreeMap<String, BTreeSet<String>>,
}

impl Acknowledged {
    /// Notes the write that this answer of success acknowledges; returns the record's id.
    pub fn note(&mut self, answer: &Answer) -> String {
        let id = answer.json()["_meta"]["id"]
            .as_str()
            .expect("a record has an id")
            .to_owned();
        let heads = answer.etag();
        let heads = heads.trim_matches('"').split(',').map(str::to_owned);
        self.changes.entry(id.clone()).or_default().extend(heads);
        id
    }

    /// How many writes were acknowledged.
    pub fn len(&self) -> usize {
        self.changes.values().map(BTreeSet::len).sum()
    }

    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Every acknowledged change is in the history that the node shows.
    pub async fn survive_at(&self, node: &Client, name: &str) {
        for (id, changes) in &self.changes {
            let history = node.read(&format!("/api/v1/projects/{id}/history")).await;
            let items = history["items"].as_array().expect("a list of changes");
            let present: BTreeSet<&str> = items
                .iter()
                .filter_map(|item| item["hash"].as_str())
                .collect();
            let lost: Vec<&String> = changes
                .iter()
                .filter(|change| !present.contains(change.as_str()))
                .collect();
            assert!(
                lost.is_empty(),
                "{name} lost acknowledged changes of {id}: {lost:?}; it has {history}"
            );
        }
    }
}

/// Every record at a node, page by page.
pub async fn every_record(node: &Client, territory: &str) -> Vec<Value> {
    let mut records = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = node
            .read(&format!(
                "/api/v1/projects?limit=200&territory={territory}{cursor}"
            ))
            .await;
        records.extend(
            page["items"]
                .as_array()
                .expect("a list of records")
                .iter()
                .cloned(),
        );
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return records,
        }
    }
}

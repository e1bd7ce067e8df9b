//! `status`, `id` and `metrics`.

use std::path::Path;

use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};

use super::api::{Api, request, success};
use super::table::{Table, cell, short};
use super::{Format, print};

/// `status`
pub(super) async fn status(data: &Path, format: Format) -> anyhow::Result<()> {
    let api = Api::open(data).await?;
    let answer = api.read("/api/v1/status").await;
    api.close().await;
    let status = answer?;
    if format.json {
        return print::json(&status);
    }
    let (node, store) = (&status["node"], &status["store"]);
    let mut text = format!(
        "{} ({}, {})\nid        {}\nversion   {}\nlisten    {}\nhttp      {}\nstore     {}, {} records, {} entries, {}",
        cell(&node["name"]),
        cell(&node["territory"]),
        cell(&node["role"]),
        cell(&node["id"]),
        cell(&node["version"]),
        cell(&node["listen"]),
        cell(&node["http"]),
        cell(&store["engine"]),
        cell(&store["documents"]),
        cell(&store["entries"]),
        size(store["disk_bytes"].as_u64().unwrap_or(0)),
    );
    for problem in [&store["problem"], &node["held_back"]] {
        if let Some(problem) = problem.as_str() {
            text += "\nproblem   ";
            text += problem;
        }
    }
    text += "\n\n";
    text += &peer_table(&status["peers"]);
    print::line(&text)
}

/// `id`
pub(super) async fn id(data: &Path, format: Format) -> anyhow::Result<()> {
    let api = Api::open(data).await?;
    let answer = api.read("/api/v1/status").await;
    api.close().await;
    let id = answer?["node"]["id"].clone();
    if format.json {
        print::json(&json!({"id": id}))
    } else {
        print::line(&cell(&id))
    }
}

/// `metrics`
pub(super) async fn metrics(data: &Path, format: Format) -> anyhow::Result<()> {
    let api = Api::open(data).await?;
    let answer = match api
        .send(request(Method::GET, "/metrics", Body::empty())?)
        .await
    {
        Ok(response) => success(response).await,
        Err(failed) => Err(failed),
    };
    api.close().await;
    let text = String::from_utf8_lossy(&answer?).into_owned();
    if format.json {
        let samples: Vec<Value> = text.lines().filter_map(sample).collect();
        return print::json(&json!({"metrics": samples}));
    }
    print::line(text.trim_end())
}

/// One line of the Prometheus text: `name{labels} value`.
fn sample(line: &str) -> Option<Value> {
    let (name, value) = line.rsplit_once(' ')?;
    if name.starts_with('#') {
        return None;
    }
    Some(json!({"name": name, "value": value.parse::<f64>().ok()?}))
}

/// Peers for people.
pub(super) fn peer_table(peers: &Value) -> String {
    let mut table = Table::new([
        "peer",
        "territory",
        "name",
        "state",
        "last contact",
        "to send",
        "to receive",
        "equal",
    ]);
    let mut problems = Vec::new();
    for peer in peers.as_array().into_iter().flatten() {
        table.row([
            short(&peer["id"]),
            cell(&peer["territory"]),
            cell(&peer["name"]),
            cell(&peer["state"]),
            cell(&peer["last_contact"]),
            cell(&peer["to_send"]),
            cell(&peer["to_receive"]),
            match peer["equal"].as_bool() {
                Some(true) => "yes",
                Some(false) => "no",
                None => "-",
            }
            .to_owned(),
        ]);
        let told = [&peer["problem"], &peer["not_confirmed"]];
        for told in told.into_iter().filter(|told| told.is_string()) {
            let territory = cell(&peer["territory"]);
            problems.push(format!("\n{territory}: {}", cell(told)));
        }
    }
    format!("{}{}", table.show("no peers yet"), problems.concat())
}

/// A number of bytes for people.
fn size(bytes: u64) -> String {
    const STEP: u64 = 1024;
    match bytes {
        0..STEP => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes / STEP),
        _ => format!("{} MiB", bytes / (STEP * STEP)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_a_name_and_a_number() {
        let line = r#"raccordo_peer_to_send{territory="frosinone"} 3"#;
        assert_eq!(
            sample(line).unwrap(),
            json!({"name": "raccordo_peer_to_send{territory=\"frosinone\"}", "value": 3.0})
        );
        assert!(sample("# HELP x y").is_none());
    }

    #[test]
    fn peers_are_shown_with_what_is_wrong() {
        let peers = json!([{"id": "aabbccddeeff00112233", "territory": "frosinone", "name": "Provincia",
            "state": "unreachable", "last_contact": null, "to_send": 4, "to_receive": 0, "equal": null,
            "problem": "no answer; nothing to do"}]);
        let text = peer_table(&peers);
        assert!(text.contains("aabbccddeeff  frosinone"), "{text}");
        assert!(
            text.ends_with("frosinone: no answer; nothing to do"),
            "{text}"
        );
        assert_eq!(peer_table(&json!([])), "no peers yet");
    }
}

//! `publish`: what of the territory the coordination gets.

use std::path::Path;

use serde_json::{Value, json};

use super::api::Api;
use super::table::{Table, cell};
use super::{PublishArguments, print};

/// `publish`
pub(super) async fn publish(data: &Path, arguments: PublishArguments) -> anyhow::Result<()> {
    let order = match &arguments.level {
        Some(level) => json!({"level": level}),
        None => json!({}),
    };
    let api = Api::open(data).await?;
    let answer = api.post("/api/v1/publish", &order).await;
    let shared = api.read("/api/v1/overview").await;
    api.close().await;
    let published = answer?;
    if arguments.format.json {
        return print::json(&published);
    }
    print::line(&text(&published, &shared?))
}

fn text(published: &Value, overview: &Value) -> String {
    let mut table = Table::new(["what", "area", "state", "count"]);
    for (_, one) in published["counts"].as_object().into_iter().flatten() {
        let count = if one["withheld"] == true {
            "withheld".to_owned()
        } else {
            cell(&one["count"])
        };
        let named = [&one["table"], &one["row"], &one["column"]].map(cell);
        let [what, area, state] = named;
        table.row([what, area, state, count]);
    }
    let level = if published["state"] == "aggregates" {
        let before = overview["territories"][0]["projects"]["total"].as_u64();
        format!(
            "aggregates only, since {}: new projects and activities stay here; {} projects were shared before and stay shared",
            cell(&published["since"]),
            before.unwrap_or(0)
        )
    } else {
        "records: projects and activities are shared unless they are made local".to_owned()
    };
    format!(
        "{level}\ncounts of {}\n{}",
        cell(&published["counted_on"]),
        table.show("nothing stays here")
    )
}

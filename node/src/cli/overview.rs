//! `overview`: the merged view, with the age of every part.

use std::path::Path;

use anyhow::anyhow;
use serde_json::Value;

use super::api::Api;
use super::table::{Table, cell, short};
use super::{OverviewArguments, print};

/// `overview`
pub(super) async fn overview(data: &Path, arguments: OverviewArguments) -> anyhow::Result<()> {
    let api = Api::open(data).await?;
    let answer = api.read("/api/v1/overview").await;
    api.close().await;
    let overview = answer?;
    let shown = match &arguments.territory {
        None => overview,
        Some(territory) => one(&overview, &territory.to_string())?,
    };
    if arguments.format.json {
        return print::json(&shown);
    }
    print::line(&text(&shown))
}

fn one(overview: &Value, territory: &str) -> anyhow::Result<Value> {
    let territories = overview["territories"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    territories
        .iter()
        .find(|part| part["territory"] == territory)
        .cloned()
        .ok_or_else(|| {
            let known: Vec<String> = territories
                .iter()
                .map(|part| cell(&part["territory"]))
                .collect();
            let known = if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            };
            anyhow!("this node's overview has no territory {territory}; it has {known}")
        })
}

/// The whole overview, or one territory, for people.
fn text(shown: &Value) -> String {
    let single = [shown.clone()];
    let territories = shown["territories"]
        .as_array()
        .map_or(single.as_slice(), Vec::as_slice);
    let mut table = Table::new([
        "territory",
        "name",
        "state",
        "as of",
        "projects",
        "persons",
        "households",
        "behind",
        "digest",
    ]);
    for part in territories {
        let state = match part["member"].as_str() {
            Some(member) if member != "approved" => format!("{}, {member}", cell(&part["state"])),
            _ => cell(&part["state"]),
        };
        table.row([
            cell(&part["territory"]),
            cell(&part["name"]),
            state,
            cell(&part["as_of"]),
            cell(&part["projects"]["total"]),
            cell(&part["persons"]),
            cell(&part["households"]),
            cell(&part["behind"]),
            short(&part["digest"]),
        ]);
    }
    let mut text = table.show("no territories yet: make an invitation with `raccordo invite`");
    let totals = &shown["totals"];
    if totals.is_object() {
        text += &totals_line(totals);
    }
    text
}

fn totals_line(totals: &Value) -> String {
    format!(
        "\n\n{} projects, {} persons, {} households; {} of {} territories current, oldest part as of {}",
        cell(&totals["projects"]),
        cell(&totals["persons"]),
        cell(&totals["households"]),
        cell(&totals["territories_current"]),
        cell(&totals["territories"]),
        cell(&totals["oldest_as_of"]),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unknown_territory_is_refused_with_the_known_ones() {
        let overview =
            json!({"territories": [{"territory": "frosinone/a"}, {"territory": "frosinone/b"}]});
        assert_eq!(
            one(&overview, "frosinone/b").unwrap()["territory"],
            "frosinone/b"
        );
        let refused = one(&overview, "frosinone/z").unwrap_err().to_string();
        assert!(
            refused.ends_with("it has frosinone/a, frosinone/b"),
            "{refused}"
        );
    }

    #[test]
    fn totals_say_what_they_cover() {
        let overview = json!({"territories": [], "totals": {"projects": 3, "persons": 2, "households": 1,
            "territories_current": 1, "territories": 2, "oldest_as_of": null}});
        assert!(text(&overview).contains("1 of 2 territories current, oldest part as of -"));
    }
}

//! `record show|list|history`: single records, read.

use std::path::Path;

use raccordo_crdt_model::Kind;
use serde_json::Value;

use super::api::{Api, escape, with_query};
use super::table::{Table, cell, plain, short};
use super::{RecordArguments, RecordCommand, RecordListArguments, print};

/// `record …`
pub(super) async fn record(data: &Path, command: RecordCommand) -> anyhow::Result<()> {
    let api = Api::open(data).await?;
    let answer = api.read(&path(&command)).await;
    api.close().await;
    let answer = answer?;
    match command {
        RecordCommand::Show(arguments) if !arguments.format.json => print::line(&shown(&answer)),
        RecordCommand::List(arguments) if !arguments.format.json => {
            let text = match (arguments.kind, arguments.kind.title()) {
                (Kind::Project, _) => listed(&answer),
                (_, Some(_)) => titled(&answer),
                (_, None) => numbered(&answer),
            };
            print::line(&text)
        }
        RecordCommand::History(arguments) if !arguments.format.json => print::line(&told(&answer)),
        _ => print::json(&answer),
    }
}

fn path(command: &RecordCommand) -> String {
    match command {
        RecordCommand::Show(one) => with_query(&place(one), &[territory(one)]),
        RecordCommand::History(one) => {
            with_query(&format!("{}/history", place(one)), &[territory(one)])
        }
        RecordCommand::List(many) => list_path(many),
    }
}

fn place(one: &RecordArguments) -> String {
    format!("/api/v1/{}/{}", one.kind.plural(), escape(&one.id))
}

fn territory(one: &RecordArguments) -> (&'static str, Option<String>) {
    ("territory", one.territory.as_ref().map(ToString::to_string))
}

fn list_path(many: &RecordListArguments) -> String {
    with_query(
        &format!("/api/v1/{}", many.kind.plural()),
        &[
            (
                "territory",
                many.territory.as_ref().map(ToString::to_string),
            ),
            ("state", many.state.clone()),
            ("q", many.q.clone()),
            ("updated_since", many.updated_since.clone()),
            ("limit", Some(many.limit.to_string())),
            ("cursor", many.cursor.clone()),
        ],
    )
}

/// One record: what it is and how far it has travelled, then its fields.
fn shown(record: &Value) -> String {
    let meta = &record["_meta"];
    let mut lines = vec![format!(
        "{}  {}  {}\nid        {}\nchanged   {} by {}\ndelivery  {}",
        cell(&record["ref"]),
        cell(&meta["territory"]),
        cell(&record["state"]),
        cell(&meta["id"]),
        cell(&meta["updated_at"]),
        cell(&meta["updated_by"]),
        cell(&meta["delivery"]["state"]),
    )];
    for conflict in meta["conflicts"].as_array().into_iter().flatten() {
        let rivals = conflict["rivals"].as_array().into_iter().flatten();
        let rivals: Vec<String> = rivals
            .map(|rival| {
                format!(
                    "{} ({}, {})",
                    rival["value"],
                    cell(&rival["by"]),
                    cell(&rival["at"])
                )
            })
            .collect();
        let (path, shown) = (cell(&conflict["path"]), &conflict["shown"]);
        lines.push(format!(
            "conflict  {path}: shown {shown}, also {}",
            rivals.join(", ")
        ));
    }
    for flag in meta["flags"].as_array().into_iter().flatten() {
        lines.push(format!(
            "flag      {} at {}",
            cell(&flag["code"]),
            cell(&flag["path"])
        ));
    }
    let mut fields = record.clone();
    if let Some(members) = fields.as_object_mut() {
        members.remove("_meta");
    }
    format!("{}\n\n{fields:#}", lines.join("\n"))
}

/// Records of a kind that is named by a title.
fn titled(page: &Value) -> String {
    let mut table = Table::new([
        "title",
        "ref",
        "territory",
        "state",
        "type",
        "delivery",
        "changed",
        "id",
    ]);
    for record in page["items"].as_array().into_iter().flatten() {
        let meta = &record["_meta"];
        let title = if record["title"].is_null() {
            &record["name"]
        } else {
            &record["title"]
        };
        table.row([
            cell(title),
            cell(&record["ref"]),
            cell(&meta["territory"]),
            cell(&record["state"]),
            cell(&record["type"]),
            cell(&meta["delivery"]["state"]),
            cell(&meta["updated_at"]),
            short(&meta["id"]),
        ]);
    }
    format!("{}{}", table.show("no records"), more(page))
}

/// Records of a kind that is known by its number alone.
fn numbered(page: &Value) -> String {
    let mut table = Table::new(["ref", "territory", "state", "delivery", "changed", "id"]);
    for record in page["items"].as_array().into_iter().flatten() {
        let meta = &record["_meta"];
        table.row([
            cell(&record["ref"]),
            cell(&meta["territory"]),
            cell(&record["state"]),
            cell(&meta["delivery"]["state"]),
            cell(&meta["updated_at"]),
            short(&meta["id"]),
        ]);
    }
    format!("{}{}", table.show("no records"), more(page))
}

fn listed(page: &Value) -> String {
    let mut table = Table::new([
        "ref",
        "territory",
        "state",
        "need",
        "next review",
        "delivery",
        "conflicts",
        "changed",
        "id",
    ]);
    for record in page["items"].as_array().into_iter().flatten() {
        let meta = &record["_meta"];
        table.row([
            cell(&record["ref"]),
            cell(&meta["territory"]),
            cell(&record["state"]),
            cell(&record["need_area"]),
            cell(&record["next_review_on"]),
            cell(&meta["delivery"]["state"]),
            meta["conflicts"].as_array().map_or(0, Vec::len).to_string(),
            cell(&meta["updated_at"]),
            short(&meta["id"]),
        ]);
    }
    format!("{}{}", table.show("no records"), more(page))
}

fn more(page: &Value) -> String {
    let next = page["next"].as_str();
    next.map(|next| format!("\n\nmore: --cursor {}", plain(next)))
        .unwrap_or_default()
}

fn told(history: &Value) -> String {
    let mut lines = Vec::new();
    for item in history["items"].as_array().into_iter().flatten() {
        let recorded = match item["recorded_at"].as_str() {
            Some(at) if item["at"] != at => format!(" (recorded {})", plain(at)),
            _ => String::new(),
        };
        lines.push(format!(
            "{}  {}{recorded}",
            cell(&item["at"]),
            cell(&item["by"])
        ));
        for change in item["changes"].as_array().into_iter().flatten() {
            let value = if change["value"].is_null() {
                String::new()
            } else {
                format!(" {}", change["value"])
            };
            lines.push(plain(&format!(
                "  {} {}{value}",
                cell(&change["op"]),
                cell(&change["path"])
            )));
        }
    }
    if lines.is_empty() {
        "no changes".to_owned()
    } else {
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_shows_its_conflicts_before_its_fields() {
        let record = json!({"ref": "FR-A-1", "state": "active", "_meta": {"id": "ab", "territory": "frosinone/a",
            "updated_at": "2026-01-01T00:00:00Z", "updated_by": "op-1", "delivery": {"state": "queued"},
            "conflicts": [{"path": "/state", "shown": "active",
                "rivals": [{"value": "closed", "by": "op-2", "at": "2026-01-02T00:00:00Z"}]}], "flags": []}});
        let text = shown(&record);
        let wanted =
            "conflict  /state: shown \"active\", also \"closed\" (op-2, 2026-01-02T00:00:00Z)";
        assert!(text.contains(wanted), "{text}");
        assert!(!text.contains("_meta"), "{text}");
    }

    #[test]
    fn a_list_says_how_to_go_on() {
        let page = json!({"items": [{"ref": "FR-A-1", "_meta": {"id": "0011223344556677"}}], "next": "abc"});
        assert!(listed(&page).ends_with("more: --cursor abc"));
        assert_eq!(listed(&json!({"items": [], "next": null})), "no records");
    }
}

//! One record to read: its fields, how far it has travelled, competing values, history.
//!
//! Fields this program does not know are shown like the others, under their own name.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use raccordo_crdt_model::{Conflict, Kind};
use serde_json::{Map, Value};

use super::projects::{Travelled, tone, travelled};
use super::{Shell, refused, rendered};
use crate::engine::{CommandFailed, HistoryView, RecordView};
use crate::http::words::Words;
use crate::http::{Shared, moment};

/// History items shown, the newest first; the API has them all.
const HISTORY_MAX: usize = 100;

#[derive(Template)]
#[template(path = "record.html")]
struct RecordPage<'a> {
    shell: &'a Shell,
    title: String,
    territory: &'a str,
    state: String,
    tone: &'static str,
    delivery: Travelled,
    updated: String,
    updated_by: String,
    conflicts: Vec<Rivalry>,
    overwritten: Vec<Rivalry>,
    flags: Vec<Line>,
    sections: Vec<Section>,
    history: Vec<Past>,
    history_left: u64,
    api: String,
}

/// A field with all the values that were given at the same time.
struct Rivalry {
    label: String,
    shown: String,
    rivals: Vec<RivalValue>,
}

struct RivalValue {
    value: String,
    by: String,
    at: String,
}

struct Section {
    heading: String,
    lines: Vec<Line>,
    tables: Vec<Table>,
}

struct Line {
    label: String,
    value: String,
}

struct Table {
    caption: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

struct Past {
    at: String,
    by: String,
    node: String,
    changes: Vec<Step>,
}

struct Step {
    what: String,
    path: String,
    value: String,
}

pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    shell: Shell,
    Path(id): Path<String>,
) -> Response {
    let (record, history) = match read(&shared, &id).await {
        Ok(found) => found,
        Err(failed) => return refused(&shell, &failed.into()),
    };
    let words = shell.words;
    let state = record
        .fields
        .get("state")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let page = RecordPage {
        title: title(&record, words),
        territory: &record.territory,
        state: words.code("state", state),
        tone: tone(state),
        delivery: travelled(&record.delivery, words),
        updated: words.moment(record.updated_at),
        updated_by: record
            .updated_by
            .clone()
            .unwrap_or_else(|| words.say("somebody")),
        conflicts: record
            .conflicts
            .iter()
            .map(|one| rivalry(one, words))
            .collect(),
        overwritten: record
            .overwritten
            .iter()
            .map(|one| rivalry(one, words))
            .collect(),
        flags: record
            .flags
            .iter()
            .map(|flag| Line {
                label: place(&flag.path, words),
                value: words.code("flag", &flag.code),
            })
            .collect(),
        sections: sections(&record.fields, words),
        history: history
            .iter()
            .rev()
            .take(HISTORY_MAX)
            .map(|item| past(item, words))
            .collect(),
        history_left: history.len().saturating_sub(HISTORY_MAX) as u64,
        api: format!("/api/v1/{}/{}", record.kind.plural(), record.id),
        shell: &shell,
    };
    rendered(&shell, &page)
}

async fn read(shared: &Shared, id: &str) -> Result<(RecordView, Vec<HistoryView>), CommandFailed> {
    let id = shared.engine.resolve(Kind::Project, id, None).await?;
    let record = shared.engine.record(Kind::Project, id).await?;
    let history = shared.engine.history(Kind::Project, id).await?;
    Ok((record, history))
}

fn title(record: &RecordView, words: Words) -> String {
    record
        .fields
        .get("ref")
        .and_then(Value::as_str)
        .map_or_else(|| words.say("no-reference"), str::to_owned)
}

/// The record as sections: its plain fields first, then one for each part.
fn sections(fields: &Value, words: Words) -> Vec<Section> {
    let Value::Object(fields) = fields else {
        return Vec::new();
    };
    let mut out = vec![section(words.say("section-project"), "", fields, words)];
    for (name, value) in fields {
        let Value::Object(inner) = value else {
            continue;
        };
        if inner.is_empty() || is_collection(inner) {
            continue;
        }
        if inner
            .values()
            .all(|part| part.as_object().is_some_and(|part| !part.is_empty()))
        {
            for (part_name, part) in inner {
                if let Value::Object(part) = part {
                    let heading = words.code(&format!("field-{name}"), part_name);
                    out.push(section(heading, part_name, part, words));
                }
            }
        } else {
            out.push(section(words.code("field", name), name, inner, words));
        }
    }
    out.retain(|section| !section.lines.is_empty() || !section.tables.is_empty());
    out
}

fn section(heading: String, within: &str, fields: &Map<String, Value>, words: Words) -> Section {
    let mut lines = Vec::new();
    let mut tables = Vec::new();
    for (name, value) in fields {
        match value {
            Value::Object(inner) if inner.is_empty() => {}
            Value::Object(inner) if is_collection(inner) => tables.push(table(name, inner, words)),
            // Parts of the root have sections of their own.
            Value::Object(_) if within.is_empty() && name != "outcome" => {}
            other => lines.push(Line {
                label: words.code("field", name),
                value: plain(name, other, words),
            }),
        }
    }
    Section {
        heading,
        lines,
        tables,
    }
}

/// Things keyed by an id: each has fields of its own, and the keys say nothing to a person.
fn is_collection(fields: &Map<String, Value>) -> bool {
    let mut parts = fields.iter();
    parts.len() > 0
        && parts.all(|(name, part)| {
            let named = matches!(name.as_str(), "social" | "health" | "work" | "subject");
            !named
                && part
                    .as_object()
                    .is_some_and(|part| !part.values().any(Value::is_object))
        })
}

fn table(name: &str, items: &Map<String, Value>, words: Words) -> Table {
    let mut names: Vec<&str> = Vec::new();
    for item in items.values().filter_map(Value::as_object) {
        for (field, _) in item {
            if !names.contains(&field.as_str()) {
                names.push(field);
            }
        }
    }
    let rows = items
        .values()
        .map(|item| {
            names
                .iter()
                .map(|field| plain(field, &item[*field], words))
                .collect()
        })
        .collect();
    Table {
        caption: words.code("field", name),
        columns: names
            .iter()
            .map(|field| words.code("field", field))
            .collect(),
        rows,
    }
}

/// A value as people read it; `field` decides how codes are spoken.
fn plain(field: &str, value: &Value, words: Words) -> String {
    match value {
        Value::Null => "—".to_owned(),
        Value::Bool(true) => words.say("yes"),
        Value::Bool(false) => words.say("no"),
        Value::String(text) => spoken(field, text, words),
        Value::Number(number) if field == "reached" => words.code("reached", &number.to_string()),
        Value::Number(number) if field.ends_with("_eur") => {
            let amount = format!("{:.2}", number.as_f64().unwrap_or_default());
            format!(
                "{} €",
                if words.language.tag() == "it" {
                    amount.replace('.', ",")
                } else {
                    amount
                }
            )
        }
        Value::Number(number) => number.to_string(),
        Value::Array(items) => items
            .iter()
            .map(|item| plain(field, item, words))
            .collect::<Vec<_>>()
            .join(", "),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                format!(
                    "{}: {}",
                    words.code("field", name),
                    plain(name, value, words)
                )
            })
            .collect::<Vec<_>>()
            .join("; "),
    }
}

fn spoken(field: &str, text: &str, words: Words) -> String {
    let family = match field {
        "need_area" => "area",
        "body" | "bodies" => "body",
        "provider" | "host" | "operator" | "token" | "ref" | "text" | "summary" => {
            return text.to_owned();
        }
        other => other,
    };
    let label = words.code(family, text);
    if label == text {
        moment::date(text)
    } else {
        label
    }
}

fn rivalry(conflict: &Conflict, words: Words) -> Rivalry {
    let field = conflict.path.rsplit('/').next().unwrap_or_default();
    Rivalry {
        label: place(&conflict.path, words),
        shown: plain(field, &conflict.shown, words),
        rivals: conflict
            .rivals
            .iter()
            .map(|rival| RivalValue {
                value: plain(field, &rival.value, words),
                by: rival.by.clone().unwrap_or_else(|| words.say("somebody")),
                at: words.moment(rival.at),
            })
            .collect(),
    }
}

fn past(item: &HistoryView, words: Words) -> Past {
    let changes = item.changes.iter().map(|change| {
        let field = change.path.rsplit('/').next().unwrap_or_default();
        Step {
            what: words.code("operation", change.op),
            path: place(&change.path, words),
            value: change
                .value
                .as_ref()
                .map(|value| plain(field, value, words))
                .unwrap_or_default(),
        }
    });
    Past {
        at: words.moment(item.at),
        by: item.by.clone().unwrap_or_else(|| words.say("somebody")),
        node: item.node.chars().take(8).collect(),
        changes: changes.collect(),
    }
}

/// A JSON pointer in words: `/plans/social/goals/g1/reached` → `Piani › Piano sociale › …`.
fn place(pointer: &str, words: Words) -> String {
    let mut before = "";
    let mut out: Vec<String> = Vec::new();
    for segment in pointer.split('/').filter(|segment| !segment.is_empty()) {
        let inner = words.known(&format!("field-{before}-{segment}"));
        out.push(inner.unwrap_or_else(|| words.code("field", segment)));
        before = segment;
    }
    out.join(" › ")
}

//! A list of the records that everybody has: guidelines, organisations.
//!
//! One page for every such kind; what is shown is what names a record, its state and its validity.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use raccordo_crdt_model::Kind;
use serde::Deserialize;
use serde_json::Value;

use super::projects::{Travelled, travelled};
use super::{Shell, address, refused, rendered};
use crate::engine::{ListQuery, Page, RecordView};
use crate::http::Shared;
use crate::http::moment;
use crate::http::words::Words;

/// Records on one page.
const ROWS_MAX: usize = 25;

/// The query of the page, as typed.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Search {
    q: Option<String>,
    cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "published.html")]
struct PublishedPage<'a> {
    shell: &'a Shell,
    heading: String,
    caption: String,
    path: &'a str,
    q: &'a str,
    rows: Vec<Row>,
    first: Option<String>,
    next: Option<String>,
}

struct Row {
    key: String,
    title: String,
    reference: String,
    state: String,
    version: String,
    territory: String,
    valid: String,
    updated: String,
    conflicts: u64,
    delivery: Travelled,
}

pub(crate) async fn guidelines(
    state: State<Arc<Shared>>,
    shell: Shell,
    search: Query<Search>,
) -> Response {
    show(Kind::Guideline, &state, &shell, &search).await
}

pub(crate) async fn organisations(
    state: State<Arc<Shared>>,
    shell: Shell,
    search: Query<Search>,
) -> Response {
    show(Kind::Organisation, &state, &shell, &search).await
}

async fn show(kind: Kind, shared: &Shared, shell: &Shell, search: &Search) -> Response {
    let filled = |typed: &Option<String>| typed.clone().filter(|text| !text.trim().is_empty());
    let query = ListQuery {
        q: filled(&search.q),
        cursor: filled(&search.cursor),
        limit: Some(ROWS_MAX),
        ..ListQuery::default()
    };
    match shared.engine.list(kind, query).await {
        Ok(records) => page(kind, shell, search, &records),
        Err(failed) => refused(shell, &failed.into()),
    }
}

fn page(kind: Kind, shell: &Shell, search: &Search, records: &Page<RecordView>) -> Response {
    let path = format!("/{}", kind.plural());
    let q = search.q.as_deref().unwrap_or_default().trim();
    let at = |cursor: &str| address(&path, &[("q", q), ("cursor", cursor)]);
    let page = PublishedPage {
        shell,
        heading: shell.say(kind.plural()),
        caption: shell.say(&format!("{}-caption", kind.plural())),
        path: &path,
        q,
        rows: records
            .items
            .iter()
            .map(|record| row(record, shell.words))
            .collect(),
        first: search.cursor.as_ref().map(|_| at("")),
        next: records.next.as_deref().map(at),
    };
    rendered(shell, &page)
}

fn row(record: &RecordView, words: Words) -> Row {
    let field = |name: &str| {
        let value = record.fields.get(name).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let title = record.kind.title().map(field).unwrap_or_default();
    let dates = ["valid_from", "valid_until"].map(|name| {
        let date = field(name);
        if date.is_empty() {
            "…".to_owned()
        } else {
            moment::date(&date)
        }
    });
    let valid = if dates.iter().all(|date| date == "…") {
        words.say("none-set")
    } else {
        dates.join(" – ")
    };
    let version = field("version");
    let kind_of = words.code("type", &field("type"));
    Row {
        key: record.id.to_string(),
        title,
        reference: field("ref"),
        state: words.code("state", &field("state")),
        version: if version.is_empty() {
            kind_of
        } else {
            format!("{kind_of}, {version}")
        },
        territory: record.territory.clone(),
        valid,
        updated: moment::date_and_hour(record.updated_at),
        conflicts: u64::try_from(record.conflicts.len()).unwrap_or(u64::MAX),
        delivery: travelled(&record.delivery, words),
    }
}

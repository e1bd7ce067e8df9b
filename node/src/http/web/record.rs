//! One record to read: its fields, how far it has travelled, competing values, history.
//!
//! Fields this program does not know are shown like the others, under their own name.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use raccordo_crdt_model::{Conflict, Heads, Kind, Patch, Rejected};
use serde::Deserialize;
use serde_json::{Value, json};

use super::projects::{Travelled, tone, travelled};
use super::reading::{Line, Section, place, plain, sections};
use super::{Shell, refused, rendered};
use crate::engine::{HistoryView, Principal, RecordView};
use crate::http::guard::ByPerson;
use crate::http::permit::Shown;
use crate::http::problem::ApiError;
use crate::http::words::Words;
use crate::http::{Shared, moment, permit};

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
    id: String,
    /// The version shown, which a choice is made on.
    etag: String,
    /// Whether this node may write the record.
    is_home: bool,
    conflicts: Vec<Rivalry>,
    overwritten: Vec<Rivalry>,
    flags: Vec<Line>,
    /// Sections of which not all is shown.
    withheld: Vec<String>,
    sections: Vec<Section>,
    history: Vec<Past>,
    history_left: u64,
    api: String,
}

/// A field with all the values that were given at the same time.
struct Rivalry {
    label: String,
    path: String,
    shown: String,
    /// The value shown, as JSON.
    shown_json: String,
    rivals: Vec<RivalValue>,
}

struct RivalValue {
    value: String,
    json: String,
    by: String,
    at: String,
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
    Extension(principal): Extension<Principal>,
    Extension(ByPerson(person)): Extension<ByPerson>,
    shell: Shell,
    Path(id): Path<String>,
) -> Response {
    let (shown, history) = match read(&shared, &principal, &id, person).await {
        Ok(found) => found,
        Err(error) => return refused(&shell, &error),
    };
    let record = &shown.view;
    let words = shell.words;
    let state = record
        .fields
        .get("state")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let page = RecordPage {
        title: title(record, words),
        territory: &record.territory,
        state: words.code("state", state),
        tone: tone(state),
        delivery: travelled(&record.delivery, words),
        updated: moment::date_and_hour(record.updated_at),
        updated_by: record
            .updated_by
            .clone()
            .unwrap_or_else(|| words.say("somebody")),
        id: record.id.to_string(),
        etag: record.heads.etag(),
        is_home: record.territory == shell.territory && !shell.is_coordination(),
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
        withheld: shown
            .withheld
            .iter()
            .map(|pointer| place(pointer, words))
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

/// What the buttons beside competing values send.
#[derive(Debug, Deserialize)]
pub(crate) struct Choice {
    path: String,
    value: String,
    etag: String,
}

/// Settles a field in which several values compete, on the version that the person saw.
pub(crate) async fn choose(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    shell: Shell,
    Path(id): Path<String>,
    choice: Result<Form<Choice>, FormRejection>,
) -> Response {
    let made = async {
        let Form(choice) = choice.map_err(|_| ApiError::malformed("the form is not complete"))?;
        let value: Value = serde_json::from_str(&choice.value)
            .map_err(|_| ApiError::malformed("the value chosen is not JSON"))?;
        let operations = json!([{"op": "replace", "path": choice.path, "value": value}]);
        let patch = Patch::parse(&operations).map_err(|problems| ApiError::invalid(&problems))?;
        let base = Heads::parse_etag(&choice.etag).ok_or(Rejected::UnknownVersion)?;
        let id = shared.engine.resolve(Kind::Project, &id, None).await?;
        permit::patch(&shared, &principal, Kind::Project, id, &operations).await?;
        shared
            .engine
            .patch(Kind::Project, id, patch, Some(base), &principal)
            .await?;
        Ok(id)
    };
    match made.await {
        Ok(id) => Redirect::to(&format!("/records/{id}")).into_response(),
        Err(error) => refused(&shell, &error),
    }
}

async fn read(
    shared: &Shared,
    principal: &Principal,
    id: &str,
    person: bool,
) -> Result<(Shown, Vec<HistoryView>), ApiError> {
    let id = permit::named(shared, principal, Kind::Project, id, None).await?;
    let record = permit::open(shared, principal, Kind::Project, id, person).await?;
    let history = shared.engine.history(Kind::Project, id).await?;
    let history = record.history(principal, history);
    Ok((record, history))
}

fn title(record: &RecordView, words: Words) -> String {
    record
        .fields
        .get("ref")
        .and_then(Value::as_str)
        .map_or_else(|| words.say("no-reference"), str::to_owned)
}

fn rivalry(conflict: &Conflict, words: Words) -> Rivalry {
    let field = conflict.path.rsplit('/').next().unwrap_or_default();
    Rivalry {
        label: place(&conflict.path, words),
        path: conflict.path.clone(),
        shown: plain(field, &conflict.shown, words),
        shown_json: conflict.shown.to_string(),
        rivals: conflict
            .rivals
            .iter()
            .map(|rival| RivalValue {
                value: plain(field, &rival.value, words),
                json: rival.value.to_string(),
                by: rival.by.clone().unwrap_or_else(|| words.say("somebody")),
                at: moment::date_and_hour(rival.at),
            })
            .collect(),
    }
}

fn past(item: &HistoryView, words: Words) -> Past {
    let changes = item.changes.iter().map(|change| {
        if change.path.is_empty() {
            // The first change holds the whole record, which stands above already.
            return Step {
                what: words.say("creates-project"),
                path: String::new(),
                value: String::new(),
            };
        }
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
        at: moment::date_and_hour(item.at),
        by: item.by.clone().unwrap_or_else(|| words.say("somebody")),
        node: item.node.chars().take(8).collect(),
        changes: changes.collect(),
    }
}

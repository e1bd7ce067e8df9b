//! What the invented offices do while the demo runs: an edit now and then, and some at once.
//!
//! All of it through the HTTP interface and with tokens, as offices' own programs would. A node
//! that does not answer is left alone and tried again later.

use std::time::Duration;

use anyhow::Context;
use axum::body::Body;
use axum::http::{Method, header};
use jiff::civil::Date;
use serde_json::{Value, json};

use super::chance::Chance;
use super::folder::Member;
use super::{guided, invent};
use crate::cli::api::{Api, request};

/// How long a node may take to answer before the office tries another time.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Records of one list page to choose from.
const CHOICE: u32 = 100;

/// One district's office: two operators with a token each.
#[derive(Debug)]
pub(super) struct Office {
    territory: &'static str,
    operators: Vec<(String, Api)>,
}

impl Office {
    /// The office of a running node; `operators` are names and tokens, at least two.
    pub(super) fn new(member: &Member, operators: &[(String, String)]) -> Self {
        let operators = operators
            .iter()
            .map(|(name, token)| (name.clone(), Api::token(member.http, token)))
            .collect();
        Self {
            territory: member.territory,
            operators,
        }
    }

    /// Does one thing, and says what in a line.
    pub(super) async fn act(&self, chance: &mut Chance, today: Date) -> anyhow::Result<String> {
        tokio::time::timeout(ANSWER_MAX, self.acted(chance, today))
            .await
            .with_context(|| format!("{} does not answer", self.territory))?
    }

    async fn acted(&self, chance: &mut Chance, today: Date) -> anyhow::Result<String> {
        let (operator, api) = chance.pick(&self.operators);
        let record = self.record(chance, "active").await?;
        let (what, patch) = edit(chance, &record, today);
        patched(api, &record, &patch).await?;
        Ok(format!(
            "{}  {}  {what} ({operator})",
            self.territory,
            name(&record)
        ))
    }

    /// Two people edit the same version of some records: both values stay until one is chosen.
    pub(super) async fn collide(
        &self,
        chance: &mut Chance,
        today: Date,
        records: usize,
    ) -> anyhow::Result<()> {
        let [(_, first), (_, second), ..] = self.operators.as_slice() else {
            return Ok(());
        };
        let page = first
            .read(&format!("/api/v1/projects?state=active&limit={CHOICE}"))
            .await?;
        let mut candidates = of_no_guide(&page);
        for number in 0..records.min(candidates.len()) {
            let index = usize::try_from(chance.draw() % candidates.len() as u64).unwrap_or(0);
            let record = candidates.swap_remove(index);
            let (one, other) = if number % 2 == 0 {
                (state("review"), state("suspended"))
            } else {
                let day = |days| invent::shifted(today, days).to_string();
                (
                    next_review(&day(chance.between(10, 40))),
                    next_review(&day(chance.between(60, 120))),
                )
            };
            patched(first, &record, &one).await?;
            patched(second, &record, &other).await?;
        }
        Ok(())
    }

    /// Some record in a state.
    async fn record(&self, chance: &mut Chance, state: &str) -> anyhow::Result<Value> {
        let (_, api) = self.operators.first().context("an office has operators")?;
        let page = api
            .read(&format!("/api/v1/projects?state={state}&limit={CHOICE}"))
            .await?;
        let records = of_no_guide(&page);
        anyhow::ensure!(
            !records.is_empty(),
            "{} has no project in this state",
            self.territory
        );
        Ok(chance.pick(&records).clone())
    }
}

/// The projects of a page that nobody is led to.
fn of_no_guide(page: &Value) -> Vec<Value> {
    let items = page["items"].as_array().into_iter().flatten();
    items
        .filter(|project| !guided::is_guided(project))
        .cloned()
        .collect()
}

/// An everyday edit: what it is in Italian, and the patch.
fn edit(chance: &mut Chance, record: &Value, today: Date) -> (&'static str, Value) {
    let next = invent::shifted(today, chance.between(30, 120)).to_string();
    match chance.between(0, 9) {
        0..=3 => {
            let key = format!("r{:06x}", chance.draw() & 0xff_ffff);
            let review = invent::review(chance, today, "continue", &next);
            let patch = json!([
                {"op": "add", "path": format!("/reviews/{key}"), "value": review},
                {"op": "add", "path": "/next_review_on", "value": next},
            ]);
            ("nuova verifica", patch)
        }
        4..=5 => ("prossima verifica spostata", next_review(&next)),
        6..=7 if record["plans"]["work"]["interventions"]["i1"].is_object() => {
            let state = *chance.pick(&["active", "suspended", "done"]);
            let path = "/plans/work/interventions/i1/state";
            (
                "intervento aggiornato",
                json!([{"op": "replace", "path": path, "value": state}]),
            )
        }
        _ => {
            let value = chance.between(15, 95);
            let path = "/plans/work/employability";
            (
                "occupabilità rivalutata",
                json!([{"op": "add", "path": path, "value": value}]),
            )
        }
    }
}

fn state(value: &str) -> Value {
    json!([{"op": "replace", "path": "/state", "value": value}])
}

fn next_review(day: &str) -> Value {
    json!([{"op": "add", "path": "/next_review_on", "value": day}])
}

fn name(record: &Value) -> &str {
    record["ref"].as_str().unwrap_or("progetto senza numero")
}

/// Changes the version of the record that was read, merged with whatever came since.
async fn patched(api: &Api, record: &Value, patch: &Value) -> anyhow::Result<Value> {
    let id = record["_meta"]["id"]
        .as_str()
        .context("a record has an id")?;
    let etag = record["_meta"]["etag"]
        .as_str()
        .context("a record has an entity tag")?;
    let mut request = request(
        Method::PATCH,
        &format!("/api/v1/projects/{id}"),
        Body::from(patch.to_string()),
    )?;
    let headers = request.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json-patch+json"),
    );
    headers.insert(
        header::IF_MATCH,
        header::HeaderValue::from_str(etag).context("an entity tag is plain text")?,
    );
    api.call(request).await
}

//! What indexes, list rows and the overview need of a record: codes, dates and counts.
//!
//! Knows a record's JSON. Does not know how it is stored, nor Automerge.

use serde_json::Value;

use crate::document::Record;
use crate::schema::{Kind, Section, find};
use crate::terms::{self, Term};
use crate::value::UnixMillis;

/// A record in short. What its kind does not have is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Kind of record.
    pub kind: Kind,
    /// Home territory's path.
    pub territory: String,
    /// Whether it stays in its territory.
    pub local: bool,
    /// The office's own number (`ref`).
    pub reference: Option<String>,
    /// What names the record to people: a guideline's title, an organisation's name.
    pub title: Option<String>,
    /// What it is among those of its kind.
    pub type_code: Option<String>,
    /// Which of its versions it is, as its author counts them.
    pub version: Option<String>,
    /// ISO date.
    pub valid_from: Option<String>,
    /// ISO date.
    pub valid_until: Option<String>,
    /// State shown; empty if a foreign record has none.
    pub state: String,
    /// Area of need.
    pub need_area: String,
    /// `person` or `household`.
    pub subject_kind: String,
    /// Pseudonym of the subject.
    pub token: Option<String>,
    /// ISO date.
    pub opened_on: Option<String>,
    /// ISO date.
    pub next_review_on: Option<String>,
    /// Time of the first change.
    pub created_at: UnixMillis,
    /// Time of the latest change.
    pub updated_at: UnixMillis,
    /// Who made the latest change.
    pub updated_by: Option<String>,
    /// Deciding fields that wait for a choice.
    pub conflicts: u32,
    /// Flags raised.
    pub flags: u32,
    /// Texts that a search matches, sorted, each once with the section that it stands in: `ref`,
    /// titles, providers, hosts.
    pub search: Vec<(Section, String)>,
    /// By what else it is found, for keyed hashes alone.
    pub terms: Vec<Term>,
}

impl Summary {
    /// Shortens a record.
    pub(crate) fn of(kind: Kind, territory: &str, local: bool, record: &Record) -> Self {
        // A field that the table does not know stays out of rows and indexes.
        let text = |pointer: &str| {
            let name = pointer[1..].split('/').next().unwrap_or_default();
            find(kind.fields(), name)?;
            let value = record.fields.pointer(pointer).and_then(Value::as_str);
            value.map(str::to_owned)
        };
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        Self {
            kind,
            territory: territory.to_owned(),
            local,
            reference: text("/ref"),
            title: kind.title().and_then(|name| text(&format!("/{name}"))),
            type_code: text("/type"),
            version: text("/version"),
            valid_from: text("/valid_from"),
            valid_until: text("/valid_until"),
            state: text("/state").unwrap_or_default(),
            need_area: text("/need_area").unwrap_or_default(),
            subject_kind: text("/subject/kind").unwrap_or_default(),
            token: text("/subject/token"),
            opened_on: text("/opened_on"),
            next_review_on: text("/next_review_on"),
            created_at: record.created_at,
            updated_at: record.updated_at,
            updated_by: record.updated_by.clone(),
            conflicts: count(record.conflicts.len()),
            flags: count(record.flags.len()),
            search: search(kind, &record.fields),
            terms: terms::terms(kind, &record.fields),
        }
    }
}

/// Most texts and longest text that a search row keeps.
const SEARCH_MAX: usize = 64;
const SEARCH_TEXT_MAX: usize = 128;

fn search(kind: Kind, fields: &Value) -> Vec<(Section, String)> {
    let mut texts: Vec<(Section, &str)> = Vec::new();
    for path in kind.search() {
        let mut found = vec![(Vec::new(), fields)];
        for key in path.split('/') {
            let below = found.into_iter().flat_map(|(way, value)| {
                each(value, key).into_iter().map(move |(key, value)| {
                    let mut way: Vec<&str> = way.clone();
                    way.push(key);
                    (way, value)
                })
            });
            found = below.collect();
        }
        for (way, value) in found {
            if let Some(text) = value.as_str().filter(|text| !text.is_empty()) {
                texts.push((kind.section_at(way), text));
            }
        }
    }
    texts.sort_unstable_by_key(|(section, text)| (*text, *section));
    texts.dedup();
    let short = |text: &str| text.chars().take(SEARCH_TEXT_MAX).collect();
    let texts = texts.into_iter().take(SEARCH_MAX);
    texts
        .map(|(section, text)| (section, short(text)))
        .collect()
}

/// The member `key` of a value; all members for `*`.
fn each<'a>(value: &'a Value, key: &'a str) -> Vec<(&'a str, &'a Value)> {
    match value {
        Value::Object(members) if key == "*" => {
            let members = members.iter();
            members.map(|(key, value)| (key.as_str(), value)).collect()
        }
        value => value
            .get(key)
            .map(|value| (key, value))
            .into_iter()
            .collect(),
    }
}

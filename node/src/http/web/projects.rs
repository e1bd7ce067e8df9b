//! A list of projects: search, filter, pages, and how far each has travelled.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Extension, Query, State};
use axum::response::Response;
use raccordo_crdt_model::{Kind, UnixMillis};
use serde::Deserialize;

use super::link::{self, Link};
use super::{Shell, address, refused, rendered};
use crate::engine::{
    Delivery, DeliveryState, ListQuery, Page, Principal, RecordCard, TerritoryView,
};
use crate::http::words::Words;
use crate::http::{Shared, moment, permit};

/// Projects on one page.
const ROWS_MAX: usize = 25;

/// The states that a record may have, in the order of a project's life.
pub(crate) const STATES: [&str; 13] = [
    "reported",
    "taken_in_charge",
    "assessment",
    "planning",
    "approval",
    "active",
    "review",
    "suspended",
    "reopened",
    "transferring",
    "transferred",
    "closed",
    "archived",
];

/// The query of the page, as typed.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Search {
    q: Option<String>,
    state: Option<String>,
    territory: Option<String>,
    cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "projects.html")]
struct ProjectsPage<'a> {
    shell: &'a Shell,
    link: Option<Link>,
    updated: String,
    path: &'a str,
    /// This list without search and filter.
    clear: String,
    q: &'a str,
    territory: &'a str,
    state: &'a str,
    states: Vec<Choice>,
    figures: Option<Figures>,
    rows: Vec<Row>,
    first: Option<String>,
    next: Option<String>,
}

struct Choice {
    code: &'static str,
    label: String,
    chosen: bool,
}

struct Figures {
    projects: u64,
    persons: u64,
    households: u64,
    conflicts: u64,
    local: u64,
    waiting: u64,
}

struct Row {
    href: String,
    key: String,
    reference: String,
    state: String,
    tone: &'static str,
    need_area: String,
    subject: String,
    next_review: Option<String>,
    updated: String,
    conflicts: u64,
    territory: String,
    delivery: Travelled,
}

/// How far a record has travelled, in words and as a class.
pub(crate) struct Travelled {
    /// `saved`, `queued`, `delivered` or `seen`.
    pub(crate) class: &'static str,
    /// What people read.
    pub(crate) says: String,
}

pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    Extension(principal): Extension<Principal>,
    shell: Shell,
    Query(search): Query<Search>,
) -> Response {
    match permit::cards(&shared, &principal, Kind::Project, search.query()).await {
        Ok(cards) => page(&shared, &shell, &search, &cards),
        Err(error) => refused(&shell, &error),
    }
}

fn page(shared: &Shared, shell: &Shell, search: &Search, cards: &Page<RecordCard>) -> Response {
    let words = shell.words;
    let status = shared.engine.status();
    let now = UnixMillis(shared.clock.unix_millis());
    let path = if shell.is_coordination() {
        "/records"
    } else {
        "/"
    };
    let [q, state, territory] =
        [&search.q, &search.state, &search.territory].map(|typed| text(typed.as_deref()));
    let own = if territory.is_empty() {
        &shell.territory
    } else {
        territory
    };
    let waiting = status
        .peers
        .iter()
        .map(|peer| peer.to_send)
        .max()
        .unwrap_or_default();
    let page = ProjectsPage {
        link: (!shell.is_coordination()).then(|| link::of(&status, now, words)),
        updated: moment::hour(now),
        path,
        clear: address(path, &[("territory", territory)]),
        q,
        territory,
        state,
        states: STATES
            .iter()
            .map(|code| choice(code, state, words))
            .collect(),
        figures: shared
            .engine
            .territory(own)
            .map(|part| figures(&part, waiting)),
        rows: cards.items.iter().map(|card| row(card, words)).collect(),
        first: search.cursor.as_ref().map(|_| search.address(path, "")),
        next: cards
            .next
            .as_deref()
            .map(|cursor| search.address(path, cursor)),
        shell,
    };
    rendered(shell, &page)
}

impl Search {
    fn query(&self) -> ListQuery {
        let filled = |typed: &Option<String>| {
            Some(text(typed.as_deref()))
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        ListQuery {
            territory: filled(&self.territory),
            state: filled(&self.state),
            q: filled(&self.q),
            updated_since: None,
            limit: Some(ROWS_MAX),
            cursor: filled(&self.cursor),
            sight: None,
        }
    }

    /// The same search from another place on.
    fn address(&self, path: &str, cursor: &str) -> String {
        let [q, state, territory] =
            [&self.q, &self.state, &self.territory].map(|typed| text(typed.as_deref()));
        address(
            path,
            &[
                ("q", q),
                ("state", state),
                ("territory", territory),
                ("cursor", cursor),
            ],
        )
    }
}

/// The four words on each record.
pub(crate) fn travelled(delivery: &Delivery, words: Words) -> Travelled {
    let says = match delivery.state {
        DeliveryState::Saved => words.say("delivery-saved"),
        DeliveryState::Queued => words.count("delivery-queued", delivery.queued),
        DeliveryState::Delivered => match delivery.delivered_at {
            Some(at) => words.with(
                "delivery-delivered",
                &[("when", &moment::date_and_hour(at))],
            ),
            None => words.say("delivery-delivered-undated"),
        },
        DeliveryState::Seen => {
            let seen = delivery.seen_by.iter().map(|by| {
                let when = moment::date_and_hour(by.at);
                words.with("delivery-seen-when", &[("who", &by.name), ("when", &when)])
            });
            let seen: Vec<String> = seen.collect();
            words.with("delivery-seen", &[("who", &seen.join(", "))])
        }
    };
    Travelled {
        class: delivery.state.word(),
        says,
    }
}

/// The colour family of a state: how far along a project is.
pub(crate) fn tone(state: &str) -> &'static str {
    match state {
        "reported" | "taken_in_charge" | "assessment" => "early",
        "planning" | "approval" => "planned",
        "active" | "reopened" => "running",
        "review" | "suspended" | "transferring" => "attention",
        "closed" | "transferred" | "archived" => "ended",
        _ => "other",
    }
}

fn row(card: &RecordCard, words: Words) -> Row {
    Row {
        href: format!("/records/{}", card.id),
        key: card.id.to_string(),
        reference: card
            .reference
            .clone()
            .unwrap_or_else(|| words.say("no-reference")),
        state: words.code("state", &card.state),
        tone: tone(&card.state),
        need_area: words.code("area", &card.need_area),
        subject: words.code("subject", &card.subject_kind),
        next_review: card.next_review_on.as_deref().map(moment::date),
        updated: moment::date_and_hour(card.updated_at),
        conflicts: u64::from(card.conflicts),
        territory: card.territory.clone(),
        delivery: travelled(&card.delivery, words),
    }
}

fn choice(code: &'static str, chosen: &str, words: Words) -> Choice {
    Choice {
        code,
        label: words.code("state", code),
        chosen: code == chosen,
    }
}

fn figures(part: &TerritoryView, waiting: u64) -> Figures {
    Figures {
        projects: part.projects,
        persons: part.persons,
        households: part.households,
        conflicts: part.conflicts,
        local: part.local_projects.unwrap_or_default(),
        waiting,
    }
}

fn text(typed: Option<&str>) -> &str {
    typed.unwrap_or_default().trim()
}

//! The state of the territories: the coordination's opening page.
//!
//! Every figure says how recent it is; totals say what they cover. Numbers stand in tables, the
//! bars beside them repeat them for the eye.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use raccordo_crdt_model::UnixMillis;

use super::projects::{STATES, tone};
use super::{Shell, address, rendered};
use crate::engine::{Freshness, MemberState, OverviewView, TerritoryView};
use crate::http::json::hex;
use crate::http::words::Words;
use crate::http::{Shared, moment};

#[derive(Template)]
#[template(path = "territories.html")]
struct TerritoriesPage<'a> {
    shell: &'a Shell,
    updated: String,
    covers: String,
    covers_short: String,
    is_whole: bool,
    pending: u64,
    projects: u64,
    persons: u64,
    households: u64,
    conflicts: u64,
    digest: Digest,
    parts: Vec<Part>,
    by_state: Matrix,
    by_need_area: Matrix,
}

struct Part {
    name: String,
    path: String,
    href: String,
    freshness: &'static str,
    state: String,
    as_of: String,
    behind: u64,
    member: Option<String>,
    /// Where the territory tells counts alone.
    publishes: Option<String>,
    projects: u64,
    persons: u64,
    households: u64,
    conflicts: u64,
    bar: Vec<Piece>,
    bar_says: String,
    digest: Digest,
}

/// A stretch of a bar, in percent of its width.
struct Piece {
    tone: &'static str,
    from: String,
    width: String,
}

struct Digest {
    short: String,
    full: String,
}

struct Matrix {
    columns: Vec<String>,
    rows: Vec<MatrixRow>,
    total: Vec<u64>,
    sum: u64,
}

struct MatrixRow {
    name: String,
    numbers: Vec<u64>,
    sum: u64,
}

pub(super) fn show(State(shared): &State<Arc<Shared>>, shell: &Shell) -> Response {
    let view = shared.engine.overview();
    let words = shell.words;
    let states = |part: &TerritoryView| part.by_state.clone();
    let areas = |part: &TerritoryView| part.by_need_area.clone();
    let now = UnixMillis(shared.clock.unix_millis());
    let page = TerritoriesPage {
        updated: moment::hour(now),
        covers: covers(&view, words),
        covers_short: counted("totals-short", &view, words),
        is_whole: view.totals.territories_current == view.totals.territories,
        pending: shared.engine.pending().len() as u64,
        projects: view.totals.projects,
        persons: view.totals.persons,
        households: view.totals.households,
        conflicts: view.territories.iter().map(|part| part.conflicts).sum(),
        digest: digest(&view.digest),
        parts: view
            .territories
            .iter()
            .map(|one| part(one, words))
            .collect(),
        by_state: matrix(&view, "state", &STATES, states, words),
        by_need_area: matrix(&view, "area", &[], areas, words),
        shell,
    };
    rendered(shell, &page)
}

fn covers(view: &OverviewView, words: Words) -> String {
    let totals = &view.totals;
    let what = counted("totals-cover", view, words);
    let how_old = match totals.oldest_as_of {
        Some(at) => words.with("totals-oldest", &[("when", &moment::date_and_hour(at))]),
        None if totals.territories == 0 => return words.say("totals-none"),
        None => words.say("totals-never"),
    };
    format!("{what} {how_old}")
}

fn counted(key: &str, view: &OverviewView, words: Words) -> String {
    let current = words.number(view.totals.territories_current);
    let all = words.number(view.totals.territories);
    words.with(key, &[("current", &current), ("all", &all)])
}

fn part(view: &TerritoryView, words: Words) -> Part {
    let as_of = match (view.state, view.as_of) {
        (Freshness::NeverSeen, _) | (_, None) => words.say("as-of-never"),
        (_, Some(at)) => words.with("as-of", &[("when", &moment::date_and_hour(at))]),
    };
    let told: Vec<String> = ordered(&view.by_state, &STATES)
        .iter()
        .map(|(code, number)| format!("{} {}", words.code("state", code), words.number(*number)))
        .collect();
    Part {
        name: if view.name.is_empty() {
            view.territory.clone()
        } else {
            view.name.clone()
        },
        path: view.territory.clone(),
        href: address("/records", &[("territory", &view.territory)]),
        freshness: view.state.word(),
        state: words.code("freshness", view.state.word()),
        as_of,
        behind: view.behind,
        member: (view.member != MemberState::Approved)
            .then(|| words.code("member", view.member.word())),
        publishes: view
            .published
            .as_ref()
            .filter(|published| published.aggregates_only)
            .map(|_| words.code("state", "aggregates")),
        projects: view.projects,
        persons: view.persons,
        households: view.households,
        conflicts: view.conflicts,
        bar: bar(&view.by_state),
        bar_says: told.join(", "),
        digest: digest(&view.digest),
    }
}

/// The bar of states; neighbours of one tone become one piece.
fn bar(by_state: &BTreeMap<String, u64>) -> Vec<Piece> {
    let total: u64 = by_state.values().sum();
    let mut lengths: Vec<(&'static str, u64)> = Vec::new();
    for (code, number) in ordered(by_state, &STATES) {
        match lengths.iter_mut().find(|(known, _)| *known == tone(code)) {
            Some((_, sum)) => *sum += number,
            None => lengths.push((tone(code), number)),
        }
    }
    let mut before = 0;
    let mut pieces = Vec::new();
    for (tone, number) in lengths {
        pieces.push(Piece {
            tone,
            from: percent(before, total),
            width: percent(number, total),
        });
        before += number;
    }
    pieces
}

/// Two decimals without floating point: enough for a bar, and the same everywhere.
fn percent(part: u64, total: u64) -> String {
    let hundredths = part.saturating_mul(10_000) / total.max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn matrix(
    view: &OverviewView,
    family: &str,
    order: &[&str],
    of: impl Fn(&TerritoryView) -> BTreeMap<String, u64>,
    words: Words,
) -> Matrix {
    let counts: Vec<BTreeMap<String, u64>> = view.territories.iter().map(of).collect();
    let mut all: BTreeMap<String, u64> = BTreeMap::new();
    for (code, number) in counts.iter().flatten() {
        *all.entry(code.clone()).or_default() += number;
    }
    let columns: Vec<(&str, u64)> = ordered(&all, order);
    let rows = view
        .territories
        .iter()
        .zip(&counts)
        .map(|(part, counts)| MatrixRow {
            name: if part.name.is_empty() {
                part.territory.clone()
            } else {
                part.name.clone()
            },
            numbers: columns
                .iter()
                .map(|(code, _)| counts.get(*code).copied().unwrap_or_default())
                .collect(),
            sum: counts.values().sum(),
        });
    Matrix {
        rows: rows.collect(),
        total: columns.iter().map(|(_, number)| *number).collect(),
        sum: all.values().sum(),
        columns: columns
            .iter()
            .map(|(code, _)| words.code(family, code))
            .collect(),
    }
}

/// Known codes in their order, then the others by name.
fn ordered<'a>(counts: &'a BTreeMap<String, u64>, order: &[&str]) -> Vec<(&'a str, u64)> {
    let mut all: Vec<(&str, u64)> = counts
        .iter()
        .map(|(code, number)| (code.as_str(), *number))
        .collect();
    all.sort_by_key(|(code, _)| {
        order
            .iter()
            .position(|known| known == code)
            .unwrap_or(order.len())
    });
    all
}

fn digest(bytes: &[u8; 32]) -> Digest {
    let full = hex(bytes);
    Digest {
        short: full.chars().take(8).collect(),
        full,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_parts_and_unknown_states_have_one() {
        let counts: BTreeMap<String, u64> =
            [("active", 5), ("reopened", 1), ("closed", 2), ("zz_new", 2)]
                .map(|(code, n)| (code.to_owned(), n))
                .into();
        let pieces = bar(&counts);
        let shown: Vec<_> = pieces
            .iter()
            .map(|piece| (piece.tone, piece.from.as_str(), piece.width.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                ("running", "0.00", "60.00"),
                ("ended", "60.00", "20.00"),
                ("other", "80.00", "20.00")
            ]
        );
        assert!(bar(&BTreeMap::new()).is_empty());
    }
}

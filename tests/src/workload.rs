//! A year of work of a district, from a seed: projects in the format of the import, and edits on
//! them in the order in which they happened.
//!
//! Some edits set the value that is there already, as offices do. No real person, no real case.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, date};
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Map, Value, json};

use crate::chance::Chance;

const AREAS: [&str; 3] = ["FAM", "DIS", "POV"];
const SUB_AREAS: [&str; 5] = [
    "salute_mentale",
    "dipendenze",
    "giustizia",
    "migrazione",
    "senza_dimora",
];
const HEALTH_BODIES: [&str; 3] = ["DSM", "D3D", "DISS"];
const OTHER_BODIES: [&str; 4] = ["SIL", "FP", "ETS", "SCU"];
const PLANS: [&str; 3] = ["social", "health", "work"];
const INTERVENTIONS: [&str; 5] = [
    "colloquio",
    "assistenza_domiciliare",
    "gruppo_ama",
    "corso_formazione",
    "fattoria_sociale",
];
const INSTRUMENTS: [&str; 6] = ["BL_SSC", "TIR", "TIS", "LAB_OV", "CM68", "VOU"];
const PURPOSES: [&str; 4] = ["PRO", "OSS", "SOC", "LAV"];
const WORDS: [&str; 16] = [
    "il",
    "servizio",
    "concorda",
    "un",
    "percorso",
    "di",
    "inserimento",
    "presso",
    "la",
    "cooperativa",
    "con",
    "verifica",
    "mensile",
    "degli",
    "obiettivi",
    "è",
];

/// How much work, of which district.
#[derive(Debug, Clone, Copy)]
pub struct Workload {
    /// Letter of the district, as in its references.
    pub district: char,
    /// Chance is made from it and the district.
    pub seed: u64,
    /// Projects.
    pub records: u32,
    /// Edits a project.
    pub edits: u32,
}

impl Workload {
    /// The lines: all creations, then round after round of edits.
    pub fn lines(&self) -> Vec<String> {
        let mut chance = self.chance();
        let count = i64::from(self.records) * i64::from(self.edits + 1);
        let step = (300 * 86_400 / count.max(1)).max(1).seconds();
        let mut clock: Timestamp = "2026-01-07T08:00:00Z".parse().expect("a time");
        let mut lines = Vec::new();
        let mut references: Vec<String> = (0..self.records)
            .map(|number| self.reference(number))
            .collect();
        for reference in &references {
            clock += step;
            let doc = recorded(&mut chance, Some(reference), day(clock));
            let by = &doc["team"]["m0"]["operator"];
            let line = json!({"op": "create", "kind": "project", "ref": reference, "at": clock.to_string(), "by": by, "doc": doc});
            lines.push(line.to_string());
        }
        let mut states: BTreeMap<String, &str> = BTreeMap::new();
        for round in 0..self.edits {
            chance.shuffle(&mut references);
            for reference in &references {
                clock += step;
                let state = states.entry(reference.clone()).or_insert("active");
                let (path, value) = edit(&mut chance, round, state, day(clock));
                let by = operator(&mut chance);
                let patch = json!([{"op": "add", "path": path, "value": value}]);
                let line = json!({"op": "patch", "kind": "project", "ref": reference, "at": clock.to_string(), "by": by, "patch": patch});
                lines.push(line.to_string());
            }
        }
        lines
    }

    /// The lines as one file.
    pub fn text(&self) -> String {
        self.lines().into_iter().map(|line| line + "\n").collect()
    }

    /// Distinct persons of all the projects.
    pub fn persons(&self) -> usize {
        let lines = self.lines();
        let docs = lines
            .iter()
            .map(|line| serde_json::from_str::<Value>(line).expect("written just now"));
        let subjects = docs.filter(|line| line["doc"]["subject"]["kind"] == "person");
        subjects
            .map(|line| line["doc"]["subject"]["token"].to_string())
            .collect::<BTreeSet<_>>()
            .len()
    }

    /// The reference of a project.
    pub fn reference(&self, number: u32) -> String {
        format!("FR-{}-2026-{number:06}", self.district)
    }

    fn chance(&self) -> Chance {
        Chance::new(
            self.seed
                .wrapping_mul(100_003)
                .wrapping_add(u64::from(u32::from(self.district))),
        )
    }
}

/// An invented project as an office makes it, opened on that day: its plans are signed.
pub fn project(chance: &mut Chance, reference: Option<&str>, opened: Date) -> Value {
    let mut project = recorded(chance, reference, opened);
    let plans = project["plans"].as_object_mut().into_iter().flatten();
    for (_, plan) in plans {
        plan["signatures"] = json!({"f1": {"body": plan["body"], "on": opened.to_string()}});
    }
    project
}

/// An invented project as files of former years tell of it, without signatures.
fn recorded(chance: &mut Chance, reference: Option<&str>, opened: Date) -> Value {
    let household = chance.percent(25);
    let plans: Map<String, Value> = PLANS
        .iter()
        .map(|name| ((*name).to_owned(), plan(chance, name, opened)))
        .collect();
    let mut bodies: Vec<Value> = PLANS
        .iter()
        .map(|name| plans[*name]["body"].clone())
        .collect();
    bodies.push(json!(chance.pick(&OTHER_BODIES)));
    let mut team = Map::new();
    for (index, body) in bodies.iter().enumerate() {
        let role = if index == 0 { "case_manager" } else { "member" };
        team.insert(format!("m{index}"), json!({"body": body, "operator": operator(chance), "role": role, "from": opened.to_string()}));
    }
    let sub_areas: Vec<&str> = (0..chance.index(3))
        .map(|index| SUB_AREAS[index * 2])
        .collect();
    let token = format!("{:016x}{:016x}", chance.number(), chance.number());
    let mut project = json!({
        "subject": {
            "kind": if household { "household" } else { "person" },
            "token": token,
            "birth_year": chance.between(1945, 2006),
            "sex": chance.pick(&["F", "M"]),
            "municipality": format!("{:06}", chance.between(60_001, 60_091)),
            "minors": if household { chance.between(1, 4) } else { 0 },
        },
        "need_area": chance.pick(&AREAS),
        "sub_areas": sub_areas,
        "opened_on": opened.to_string(),
        "state": "active",
        "team": team,
        "plans": plans,
        "instruments": {},
        "reviews": {},
        "next_review_on": later(chance, opened, 60, 120).to_string(),
        "outcome": null,
    });
    if let Some(reference) = reference {
        project["ref"] = json!(reference);
    }
    project
}

/// A day of which nothing is special.
pub fn some_day() -> Date {
    date(2026, 3, 4)
}

/// An invented review.
pub fn review(chance: &mut Chance, day: Date) -> Value {
    json!({
        "on": day.to_string(),
        "bodies": ["SSD", chance.pick(&HEALTH_BODIES), "CPI"],
        "decision": chance.pick(&["continue", "revise", "suspend"]),
        "summary": words(chance, 40),
        "next_on": later(chance, day, 30, 120).to_string(),
    })
}

/// An invented instrument.
pub fn instrument(chance: &mut Chance, day: Date) -> Value {
    let from = later(chance, day, 0, 30);
    json!({
        "kind": chance.pick(&INSTRUMENTS),
        "purpose": chance.pick(&PURPOSES),
        "host": format!("ente-{:03}", chance.between(1, 80)),
        "amount_eur": chance.between(50, 900),
        "hours": chance.between(20, 400),
        "from": from.to_string(),
        "until": later(chance, from, 92, 180).to_string(),
        "state": "planned",
        "outcome": null,
    })
}

/// An invented edit that alters a record whatever its state, as a JSON patch; `mark` must be new to
/// the record.
pub fn addition(chance: &mut Chance, mark: u64) -> Value {
    let day = some_day();
    let (path, value) = match chance.between(0, 99) {
        0..40 => (format!("/reviews/n{mark:x}"), review(chance, day)),
        40..75 => {
            let name = *chance.pick(&PLANS);
            let path = format!("/plans/{name}/interventions/n{mark:x}");
            (path, intervention(chance, day))
        }
        _ => (format!("/instruments/n{mark:x}"), instrument(chance, day)),
    };
    json!([{"op": "add", "path": path, "value": value}])
}

/// One edit, in a round of edits, of a project now in `state`: where, and what is set there.
fn edit(chance: &mut Chance, round: u32, state: &mut &'static str, day: Date) -> (String, Value) {
    let name = *chance.pick(&PLANS);
    match chance.between(0, 99) {
        0..30 => (format!("/reviews/r{round}"), review(chance, day)),
        30..55 => {
            let path = format!("/plans/{name}/interventions/i{}/state", chance.index(2));
            (path, json!(chance.pick(&["active", "suspended", "done"])))
        }
        55..70 => (
            format!("/plans/{name}/interventions/i{}", round + 2),
            intervention(chance, day),
        ),
        70..80 => (
            "/plans/work/employability".to_owned(),
            json!(chance.between(0, 100)),
        ),
        80..90 => (format!("/instruments/k{round}"), instrument(chance, day)),
        _ => {
            *state = match *state {
                "active" => *chance.pick(&["review", "suspended"]),
                _ => "active",
            };
            ("/state".to_owned(), json!(state))
        }
    }
}

fn plan(chance: &mut Chance, name: &str, opened: Date) -> Value {
    let body = match name {
        "social" => "SSD",
        "health" => chance.pick(&HEALTH_BODIES),
        _ => "CPI",
    };
    let mut goals = Map::new();
    let mut interventions = Map::new();
    for index in 0..2 {
        let goal = json!({
            "text": words(chance, 12),
            "horizon": chance.pick(&["short", "medium", "long"]),
            "due": later(chance, opened, 90, 330).to_string(),
            "reached": null,
        });
        goals.insert(format!("g{index}"), goal);
        interventions.insert(format!("i{index}"), intervention(chance, opened));
    }
    let mut plan = json!({"body": body, "goals": goals, "interventions": interventions});
    if name == "work" {
        plan["employability"] = json!(chance.between(0, 100));
    }
    plan
}

fn intervention(chance: &mut Chance, day: Date) -> Value {
    let start = later(chance, day, 0, 60);
    json!({
        "type": chance.pick(&INTERVENTIONS),
        "provider": format!("ente-{:03}", chance.between(1, 80)),
        "start": start.to_string(),
        "end": later(chance, start, 30, 300).to_string(),
        "state": "planned",
        "hours": chance.between(4, 240),
    })
}

fn operator(chance: &mut Chance) -> String {
    format!("op-{:03}", chance.between(1, 40))
}

/// So many invented words.
pub fn words(chance: &mut Chance, count: usize) -> String {
    (0..count)
        .map(|_| *chance.pick(&WORDS))
        .collect::<Vec<_>>()
        .join(" ")
}

fn later(chance: &mut Chance, day: Date, low: u64, high: u64) -> Date {
    day + i64::try_from(chance.between(low, high))
        .expect("a few hundred days")
        .days()
}

fn day(clock: Timestamp) -> Date {
    clock.to_zoned(jiff::tz::TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use super::*;
    use raccordo_crdt_model::ImportLine;

    const SMALL: Workload = Workload {
        district: 'A',
        seed: 1,
        records: 5,
        edits: 6,
    };

    #[test]
    fn every_line_is_one_that_the_import_reads() {
        let lines = SMALL.lines();
        assert_eq!(lines.len(), 5 * 7);
        for line in &lines {
            assert!(ImportLine::parse(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_work_and_another_district_other_work() {
        assert_eq!(SMALL.text(), SMALL.text());
        assert_ne!(
            SMALL.text(),
            Workload {
                district: 'B',
                ..SMALL
            }
            .text()
            .replace("FR-B", "FR-A")
        );
    }
}

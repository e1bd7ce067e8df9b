//! The records of a district's desk, of every kind it works with, from a seed: lines of an import.
//!
//! Of a hundred: 30 persons, 24 projects of three plans, 20 casefiles, 16 contacts, 6 households,
//! 2 activities, 1 organisation, 1 resource. Names are as unequal as names are. Nobody is real.

use raccordo_crdt_model::fiscal_code::{BadFiscalCode, check};
use raccordo_tests::chance::Chance;
use raccordo_tests::workload::{addition, project, some_day, words};
use serde_json::{Value, json};

use super::stopwatch::real;

/// Edits that each project has after it was made.
const PROJECT_EDITS: u64 = 3;
/// Shares of a hundred records, in the order in which they are made.
pub(crate) const SHARES: [(&str, u32); 8] = [
    ("person", 30),
    ("household", 6),
    ("casefile", 20),
    ("contact", 16),
    ("project", 24),
    ("activity", 2),
    ("organisation", 1),
    ("resource", 1),
];
const STEMS: [&str; 40] = [
    "Ross",
    "Bianch",
    "Ferr",
    "Capogross",
    "Mastran",
    "Colomb",
    "Ricc",
    "Marin",
    "Grec",
    "Brun",
    "Gall",
    "Cont",
    "Mancin",
    "Cost",
    "Giordan",
    "Rizz",
    "Lombard",
    "Morett",
    "Barbier",
    "Fontan",
    "Santor",
    "Marian",
    "Rinald",
    "Carus",
    "Ferrar",
    "Gatt",
    "Pellegrin",
    "Palumb",
    "Sann",
    "Farin",
    "Rizzol",
    "Montan",
    "Testan",
    "Grass",
    "Valent",
    "Martin",
    "Messin",
    "Sal",
    "Paris",
    "Cecc",
];
const ENDINGS: [&str; 12] = [
    "i", "o", "a", "ini", "etti", "one", "elli", "ari", "acci", "ucci", "esi", "otto",
];
const GIVEN: [&str; 48] = [
    "Maria",
    "Anna",
    "Giuseppe",
    "Antonio",
    "Giovanni",
    "Mario",
    "Luigi",
    "Rosa",
    "Angela",
    "Francesco",
    "Roberto",
    "Giovanna",
    "Teresa",
    "Lucia",
    "Carmela",
    "Stefano",
    "Marco",
    "Paolo",
    "Sergio",
    "Luciano",
    "Giulia",
    "Sara",
    "Chiara",
    "Laura",
    "Elena",
    "Paola",
    "Vincenzo",
    "Pietro",
    "Domenico",
    "Salvatore",
    "Bruno",
    "Rita",
    "Carla",
    "Franca",
    "Silvia",
    "Claudio",
    "Fabio",
    "Massimo",
    "Andrea",
    "Luca",
    "Matteo",
    "Davide",
    "Simone",
    "Daniela",
    "Patrizia",
    "Barbara",
    "Ilaria",
    "Niccolò",
];
const MONTHS: &[u8; 12] = b"ABCDEHLMPRST";
/// States of projects, and how many of a hundred are in each: one is rare.
const STATES: [(&str, u64); 6] = [
    ("active", 60),
    ("assessment", 14),
    ("planning", 12),
    ("reported", 10),
    ("taken_in_charge", 3),
    ("approval", 1),
];

/// The records of one desk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mix {
    pub(crate) records: u32,
    pub(crate) seed: u64,
}

impl Mix {
    /// How many records of a kind there are.
    pub(crate) fn count(&self, kind: &str) -> u32 {
        let share = SHARES.iter().find(|(name, _)| *name == kind);
        share.map_or(0, |(_, share)| self.records / 100 * share)
    }

    /// The lines: all creations, kind by kind, then the projects' edits.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut chance = Chance::new(self.seed);
        let mut lines = Vec::new();
        for (kind, _) in SHARES {
            for number in 0..self.count(kind) {
                lines.push(created(kind, &self.record(kind, number, &mut chance)));
            }
        }
        lines.extend(Self::edits(self.count("project"), &mut chance));
        lines
    }

    /// Lines that make as many records of one kind as there are records, with their edits.
    pub(crate) fn lines_of(&self, kind: &str) -> Vec<String> {
        let mut chance = Chance::new(self.seed);
        let numbers = 0..self.records;
        let mut lines: Vec<String> = numbers
            .map(|number| created(kind, &self.record(kind, number, &mut chance)))
            .collect();
        if kind == "project" {
            lines.extend(Self::edits(self.records, &mut chance));
        }
        lines
    }

    /// Each project's edits, round after round.
    fn edits(projects: u32, chance: &mut Chance) -> Vec<String> {
        let mut lines = Vec::new();
        for round in 0..PROJECT_EDITS {
            for number in 0..projects {
                let patch = addition(chance, round);
                let reference = reference("project", number);
                let line = json!({"op": "patch", "kind": "project", "ref": reference, "at": "2026-05-06T09:00:00Z", "patch": patch});
                lines.push(line.to_string());
            }
        }
        lines
    }

    /// One record of a kind; persons, casefiles and contacts belong together by number.
    pub(crate) fn record(&self, kind: &str, number: u32, chance: &mut Chance) -> Value {
        let person = format!("P-{:06}", number % self.count("person").max(1));
        let mut record = match kind {
            "person" => self::person(number, chance),
            "household" => household(&person, chance),
            "casefile" => casefile(&person, chance),
            "contact" => contact(&person, chance),
            "project" => {
                let mut project = project(chance, None, some_day());
                project["state"] = json!(state(chance));
                project
            }
            "activity" => activity(chance),
            "organisation" => organisation(number, chance),
            "guideline" => guideline(number, chance),
            _ => resource(number, chance),
        };
        record["ref"] = json!(reference(kind, number));
        record
    }
}

/// Lines that make so many casefiles of persons who have no record here.
pub(crate) fn casefiles(count: u32) -> Vec<String> {
    let mix = Mix {
        records: 0,
        seed: 2,
    };
    let mut chance = Chance::new(mix.seed);
    let numbers = 0..count;
    numbers
        .map(|number| created("casefile", &mix.record("casefile", number, &mut chance)))
        .collect()
}

/// The reference of a record.
pub(crate) fn reference(kind: &str, number: u32) -> String {
    let letter = match kind {
        "person" => "P",
        "household" => "H",
        "casefile" => "C",
        "contact" => "K",
        "project" => "FR-A-2026",
        "activity" => "T",
        "organisation" => "E",
        "guideline" => "G",
        _ => "R",
    };
    format!("{letter}-{number:06}")
}

/// A line that makes this record.
pub(crate) fn created(kind: &str, record: &Value) -> String {
    let line = json!({"op": "create", "kind": kind, "ref": record["ref"], "at": "2026-03-04T09:00:00Z", "doc": record});
    line.to_string()
}

/// An invented person; the number makes the fiscal code its own.
pub(crate) fn person(number: u32, chance: &mut Chance) -> Value {
    let family = family_name(chance);
    let given = GIVEN[unequal(chance, GIVEN.len())];
    let (year, month, day) = (
        chance.between(1930, 2009),
        chance.index(12),
        chance.between(1, 28),
    );
    let woman = given.ends_with('a');
    json!({
        "family_name": family,
        "given_name": given,
        "born_on": format!("{year}-{:02}-{day:02}", month + 1),
        "birth_place": "Frosinone",
        "sex": if woman { "F" } else { "M" },
        "fiscal_code": code(number, year, month, if woman { day + 40 } else { day }),
        "citizenship": "IT",
        "residence": {"address": format!("via {} {}", words(chance, 2), chance.between(1, 200)), "municipality": format!("{:06}", chance.between(60_001, 60_091))},
        "contacts": {"phone": format!("0775 {}", chance.between(100_000, 999_999))},
    })
}

/// A surname: a few are frequent, most are not.
pub(crate) fn family_name(chance: &mut Chance) -> String {
    let stem = STEMS[unequal(chance, STEMS.len())];
    format!("{stem}{}", ENDINGS[unequal(chance, ENDINGS.len())])
}

/// A small number is likelier than a large one.
fn unequal(chance: &mut Chance, count: usize) -> usize {
    let [one, other] = [chance.index(count), chance.index(count)];
    one.min(other)
}

/// A well-formed fiscal code that no other number has.
fn code(number: u32, year: u64, month: usize, day: u64) -> String {
    let letter =
        |place: u32| char::from(b'A' + u8::try_from(number / 26_u32.pow(place) % 26).unwrap_or(0));
    let letters: String = (0..6).map(letter).collect();
    let fifteen = format!(
        "{letters}{:02}{}{day:02}D810",
        year % 100,
        char::from(MONTHS[month])
    );
    let guess = format!("{fifteen}A");
    match check(&guess) {
        Err(BadFiscalCode::Check { expected, .. }) => format!("{fifteen}{expected}"),
        _ => guess,
    }
}

fn state(chance: &mut Chance) -> &'static str {
    let mut left = chance.index(100) as u64;
    for (state, share) in STATES {
        if left < share {
            return state;
        }
        left -= share;
    }
    "active"
}

fn household(person: &str, chance: &mut Chance) -> Value {
    json!({
        "name": family_name(chance),
        "municipality": format!("{:06}", chance.between(60_001, 60_091)),
        "isee_class": "1",
        "minors": chance.between(0, 4),
        "members": {"m1": {"person": person, "relation": "holder", "from": "2020-01-01"},
            "m2": {"relation": "child", "from": "2021-01-01"}},
    })
}

fn casefile(person: &str, chance: &mut Chance) -> Value {
    let note = |chance: &mut Chance, on: &str| json!({"on": on, "author": "op-007", "text": words(chance, 60)});
    json!({
        "subject": person,
        "diary": {"d1": note(chance, "2026-01-12"), "d2": note(chance, "2026-02-03"), "d3": note(chance, "2026-03-01")},
        "consents": {"c1": {"basis": "public_task", "purpose": "taking_in_charge", "recipient": "SSD", "given_on": "2026-01-12"}},
        "assessments": {"a1": {"kind": "PRELIM", "on": "2026-01-20", "authors": ["op-007"], "summary": words(chance, 40)}},
        "reports": {"r1": {"source": "3", "on": "2026-01-10", "urgency": "medium"}},
    })
}

fn contact(person: &str, chance: &mut Chance) -> Value {
    json!({
        "on": "2026-02-11",
        "point": "PUA",
        "mode": chance.pick(&["desk", "phone", "email"]),
        "asked_by": "self",
        "person": person,
        "need_area": chance.pick(&["FAM", "DIS", "POV"]),
        "asked": words(chance, 20),
        "answer": words(chance, 20),
        "outcome": "orientation",
        "minutes": chance.between(5, 60),
        "services": {"s1": {"title": words(chance, 4), "offered_on": "2026-02-11"}},
        "state": "closed",
    })
}

fn activity(chance: &mut Chance) -> Value {
    json!({"on": "2026-02-20", "kind": "meeting", "bodies": ["SSD", "CPI"], "cases_discussed": chance.between(1, 12),
        "decisions": chance.between(0, 9), "hours": chance.between(1, 4), "unit": "UVM"})
}

fn organisation(number: u32, chance: &mut Chance) -> Value {
    json!({"name": format!("Cooperativa {} {number}", family_name(chance)), "type": "ETS", "about": words(chance, 30),
        "municipality": format!("{:06}", chance.between(60_001, 60_091)), "state": "member",
        "offers": {"o1": {"title": words(chance, 5), "places": chance.between(1, 30), "need_areas": ["POV"]}}})
}

fn resource(number: u32, chance: &mut Chance) -> Value {
    json!({"title": format!("{} {number}", words(chance, 4)), "what": words(chance, 30), "where": words(chance, 4),
        "organisation": reference("organisation", number), "need_areas": ["FAM"], "public": true, "state": "offered"})
}

/// What a coordination publishes; no district has any of its own.
fn guideline(number: u32, chance: &mut Chance) -> Value {
    json!({"title": format!("{} {number}", words(chance, 4)), "type": "procedure", "version": "1", "state": "published",
        "processes": ["access", "evaluation"],
        "steps": {"p1": {"position": 1, "text": words(chance, 12), "within_days": 30}}})
}

/// Records of the mix in words.
pub(crate) fn size(records: u32) -> String {
    let edits = real(usize::try_from(PROJECT_EDITS).unwrap_or(0));
    format!("{records} records of eight kinds, the projects with {edits} edits each")
}

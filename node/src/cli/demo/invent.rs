//! Invents a district's projects and their history, as lines of the import format.
//!
//! Guarantees: the same district, seed and day give the same lines; no two records have the same
//! subject; states and dates follow one another as the rules of the field want it; people are
//! tokens only.

use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::chance::Chance;
use super::{places, words, work};

/// Operators of an invented office.
const OPERATORS: i64 = 18;

/// Bodies and enterprises of an invented network.
const PROVIDERS: i64 = 60;

/// Share of projects that follow a household, in percent.
const HOUSEHOLD_PERCENT: u64 = 22;

/// Where a project's story has come to, with its weight.
const CHAPTERS: &[(Chapter, u64)] = &[
    (Chapter::Reported, 4),
    (Chapter::TakenInCharge, 5),
    (Chapter::Assessment, 7),
    (Chapter::Planning, 7),
    (Chapter::Approval, 4),
    (Chapter::Active, 44),
    (Chapter::Review, 7),
    (Chapter::Suspended, 6),
    (Chapter::Closed, 13),
    (Chapter::Reopened, 3),
];

/// How far a project's story is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Chapter {
    Reported,
    TakenInCharge,
    Assessment,
    Planning,
    Approval,
    Active,
    Review,
    Suspended,
    Closed,
    Reopened,
}

/// All lines of a district (`A` to `D`), told until `today`.
pub(super) fn lines(district: &str, records: u32, seed: u64, today: Date) -> Vec<String> {
    let municipalities = places::municipalities(district);
    let part = district
        .bytes()
        .fold(0, |sum, byte| sum * 256 + u64::from(byte));
    (1..=records)
        .flat_map(|number| {
            let chance = Chance::part(seed, part << 32 | u64::from(number));
            Story::new(chance, district, number, today, &municipalities).told()
        })
        .collect()
}

/// One project being told, line by line.
struct Story<'a> {
    chance: Chance,
    reference: String,
    today: Date,
    day: Date,
    municipalities: &'a [(&'static str, u64)],
    case_manager: String,
    /// The body that answers for the health plan.
    health: &'static str,
    lines: Vec<String>,
}

impl<'a> Story<'a> {
    fn new(
        mut chance: Chance,
        district: &str,
        number: u32,
        today: Date,
        municipalities: &'a [(&'static str, u64)],
    ) -> Self {
        let day = shifted(today, -chance.between(70, 420));
        let case_manager = operator(&mut chance);
        Self {
            reference: format!("FR-{district}-{}-{number:06}", day.year()),
            today,
            day,
            municipalities,
            case_manager,
            health: *chance.pick(words::HEALTH_BODIES),
            chance,
            lines: Vec::new(),
        }
    }

    fn told(mut self) -> Vec<String> {
        let chapter = *self.chance.weigh(CHAPTERS);
        self.create();
        if chapter >= Chapter::TakenInCharge {
            self.pass("taken_in_charge", &[]);
        }
        if chapter >= Chapter::Assessment {
            self.pass("assessment", &[]);
        }
        if chapter >= Chapter::Planning {
            self.plan();
        }
        if chapter >= Chapter::Approval {
            self.pass("approval", &[]);
        }
        if chapter >= Chapter::Active {
            self.live(chapter);
        }
        self.lines
    }

    /// From the approval on: interventions, instruments, reviews and how it goes on.
    fn live(&mut self, chapter: Chapter) {
        let mut changes = vec![("/plans/social/interventions/i1/state", json!("active"))];
        for (place, body) in [
            ("/plans/social/signatures/s0", "SSD"),
            ("/plans/health/signatures/s0", self.health),
            ("/plans/work/signatures/s0", "CPI"),
        ] {
            changes.push((place, self.signature(body)));
        }
        self.pass("active", &changes);
        if self.chance.percent(70) {
            self.instrument();
        }
        self.given();
        for number in 1..=self.chance.between(0, 2) {
            self.review(number, "continue");
        }
        match chapter {
            Chapter::Review => self.pass("review", &[]),
            Chapter::Suspended => {
                self.review(3, "suspend");
                self.pass("suspended", &[]);
            }
            Chapter::Closed | Chapter::Reopened => self.close(),
            _ => {}
        }
        if chapter == Chapter::Reopened {
            self.pass("reopened", &[("/outcome", Value::Null)]);
        }
    }

    fn create(&mut self) {
        let mut doc = Map::new();
        doc.insert("ref".to_owned(), json!(self.reference));
        doc.insert("subject".to_owned(), self.subject());
        doc.insert(
            "need_area".to_owned(),
            json!(self.chance.weigh(words::NEED_AREAS)),
        );
        doc.insert("sub_areas".to_owned(), self.sub_areas());
        doc.insert("opened_on".to_owned(), json!(self.day.to_string()));
        doc.insert("state".to_owned(), json!("reported"));
        doc.insert("team".to_owned(), self.team());
        let health = self.health;
        let plans = json!({
            "social": {"body": "SSD", "goals": {}, "interventions": {}},
            "health": {"body": health, "goals": {}, "interventions": {}},
            "work": {"body": "CPI", "goals": {}, "interventions": {}},
        });
        doc.insert("plans".to_owned(), plans);
        doc.insert("instruments".to_owned(), json!({}));
        doc.insert("reviews".to_owned(), json!({}));
        doc.insert("outcome".to_owned(), Value::Null);
        let by = self.case_manager.clone();
        self.line("create", "doc", &Value::Object(doc), &by);
    }

    /// A body agrees to its plan as this very edit leaves it.
    fn signature(&self, body: &str) -> Value {
        json!({"body": body, "by": self.case_manager, "on": self.day.to_string()})
    }

    fn subject(&mut self) -> Value {
        let household = self.chance.percent(HOUSEHOLD_PERCENT);
        let token = format!("{:016x}{:016x}", self.chance.draw(), self.chance.draw());
        let (first, last) = (
            i64::from(self.today.year()) - 78,
            i64::from(self.today.year()) - 18,
        );
        json!({
            "kind": if household { "household" } else { "person" },
            "token": token,
            "birth_year": self.chance.between(first, last),
            "sex": self.chance.weigh(&[("F", 50), ("M", 49), ("X", 1)]),
            "municipality": self.chance.weigh(self.municipalities),
            "minors": if household { self.chance.between(1, 4) } else { 0 },
        })
    }

    fn sub_areas(&mut self) -> Value {
        let mut chosen: Vec<&str> = Vec::new();
        for _ in 0..self.chance.between(0, 2) {
            let area = *self.chance.pick(words::SUB_AREAS);
            if !chosen.contains(&area) {
                chosen.push(area);
            }
        }
        json!(chosen)
    }

    fn team(&mut self) -> Value {
        let mut team = Map::new();
        let from = self.day.to_string();
        let leader = json!({"body": "SSD", "operator": self.case_manager, "role": "case_manager", "from": from});
        team.insert("m1".to_owned(), leader);
        let mut bodies = vec![*self.chance.pick(words::HEALTH_BODIES), "CPI"];
        if self.chance.percent(40) {
            bodies.push(*self.chance.pick(words::OTHER_BODIES));
        }
        for (index, body) in bodies.into_iter().enumerate() {
            let member = json!({"body": body, "operator": operator(&mut self.chance), "role": "member", "from": from});
            team.insert(format!("m{}", index + 2), member);
        }
        Value::Object(team)
    }

    /// The passage to planning, with the three plans written.
    fn plan(&mut self) {
        let social = self.goals(words::SOCIAL_GOALS);
        let health = self.goals(words::HEALTH_GOALS);
        let work = self.goals(words::WORK_GOALS);
        let changes = [
            ("/plans/social/goals", social),
            (
                "/plans/social/interventions",
                self.interventions(words::SOCIAL_INTERVENTIONS),
            ),
            ("/plans/health/goals", health),
            (
                "/plans/health/interventions",
                self.interventions(words::HEALTH_INTERVENTIONS),
            ),
            ("/plans/work/goals", work),
            (
                "/plans/work/interventions",
                self.interventions(words::WORK_INTERVENTIONS),
            ),
            (
                "/plans/work/employability",
                json!(self.chance.between(15, 90)),
            ),
        ];
        // Each entry is added under its own key, so that nothing already there is replaced.
        let mut each: Vec<(String, Value)> = Vec::new();
        for (place, value) in changes {
            match value {
                Value::Object(entries) => {
                    each.extend(
                        entries
                            .into_iter()
                            .map(|(key, entry)| (format!("{place}/{key}"), entry)),
                    );
                }
                leaf => each.push((place.to_owned(), leaf)),
            }
        }
        let each: Vec<(&str, Value)> = each
            .iter()
            .map(|(place, value)| (place.as_str(), value.clone()))
            .collect();
        self.pass("planning", &each);
    }

    fn goals(&mut self, texts: &[&str]) -> Value {
        let mut goals = Map::new();
        for number in 1..=self.chance.between(1, 2) {
            let (horizon, days) =
                *self
                    .chance
                    .pick(&[("short", 90), ("medium", 180), ("long", 365)]);
            let due = shifted(self.day, days).to_string();
            let goal = json!({"text": self.chance.pick(texts), "horizon": horizon, "due": due, "reached": null});
            goals.insert(format!("g{number}"), goal);
        }
        Value::Object(goals)
    }

    fn interventions(&mut self, kinds: &[&str]) -> Value {
        let start = shifted(self.day, self.chance.between(5, 40));
        let end = shifted(start, self.chance.between(60, 270));
        json!({"i1": {
            "type": self.chance.pick(kinds),
            "provider": provider(&mut self.chance),
            "start": start.to_string(),
            "end": end.to_string(),
            "state": "planned",
            "hours": self.chance.between(8, 200),
        }})
    }

    fn instrument(&mut self) {
        let from = shifted(self.day, self.chance.between(3, 25));
        let until = shifted(from, self.chance.between(92, 178));
        let ended = until < self.today;
        let outcome = if ended {
            json!(self.chance.weigh(words::PLACEMENT_OUTCOMES))
        } else {
            Value::Null
        };
        let value = json!({
            "kind": self.chance.weigh(words::INSTRUMENTS),
            "purpose": self.chance.pick(words::PURPOSES),
            "host": provider(&mut self.chance),
            "amount_eur": self.chance.between(6, 16) * 50,
            "hours": self.chance.between(60, 400),
            "from": from.to_string(),
            "until": until.to_string(),
            "state": if ended { "concluded" } else { "active" },
            "outcome": outcome,
        });
        self.patch(&[("/instruments/k1", value)]);
    }

    /// A voucher, a referral, a decision, where the plan has one.
    fn given(&mut self) {
        let (day, today) = (self.day, self.today);
        if self.chance.percent(40) {
            let voucher = work::voucher(&mut self.chance, day, today);
            self.patch(&[("/vouchers/b1", voucher)]);
        }
        if self.chance.percent(40) {
            let (referral, steps) = work::referral(&mut self.chance, day, today);
            self.patch(&[("/referrals/i1", referral)]);
            for step in steps {
                let places = step
                    .iter()
                    .map(|(name, _)| format!("/referrals/i1/{name}"))
                    .collect::<Vec<_>>();
                let values = step.into_iter().map(|(_, value)| value);
                let changes = places.iter().map(String::as_str).zip(values);
                self.patch(&changes.collect::<Vec<_>>());
            }
        }
        if self.chance.percent(30) {
            let decision =
                work::decision(&mut self.chance, self.day, self.health, &self.case_manager);
            self.patch(&[("/decisions/d1", decision)]);
        }
    }

    fn review(&mut self, number: i64, decision: &str) {
        let next = shifted(self.day, self.chance.between(75, 130)).to_string();
        let value = review(&mut self.chance, self.day, decision, &next);
        let mut changes = vec![
            (format!("/reviews/r{number}"), value),
            ("/next_review_on".to_owned(), json!(next)),
        ];
        if self.chance.percent(45) {
            changes.push((
                "/plans/social/goals/g1/reached".to_owned(),
                json!(self.chance.between(1, 3)),
            ));
            // What was signed has changed, so it is signed anew.
            let signature = self.signature("SSD");
            changes.push((format!("/plans/social/signatures/s{number}"), signature));
        }
        let changes: Vec<(&str, Value)> = changes
            .iter()
            .map(|(place, value)| (place.as_str(), value.clone()))
            .collect();
        self.patch(&changes);
    }

    fn close(&mut self) {
        let reason = *self.chance.weigh(words::CLOSURE_REASONS);
        let outcome = json!({"code": reason, "on": self.next_day().to_string()});
        self.pass(
            "closed",
            &[("/outcome", outcome), ("/next_review_on", Value::Null)],
        );
    }

    /// A passage of the state, with what changes along with it.
    fn pass(&mut self, state: &str, more: &[(&str, Value)]) {
        let mut changes = vec![("/state", json!(state))];
        changes.extend(more.iter().cloned());
        self.patch(&changes);
    }

    /// One edit, some days after the one before.
    fn patch(&mut self, changes: &[(&str, Value)]) {
        let operations: Vec<Value> = changes
            .iter()
            .map(|(place, value)| json!({"op": "add", "path": place, "value": value}))
            .collect();
        let by = if self.chance.percent(60) {
            self.case_manager.clone()
        } else {
            operator(&mut self.chance)
        };
        self.line("patch", "patch", &Value::Array(operations), &by);
    }

    fn line(&mut self, operation: &str, member: &str, content: &Value, by: &str) {
        let at = format!(
            "{}T{:02}:{:02}:00Z",
            self.day,
            self.chance.between(7, 16),
            self.chance.between(0, 59)
        );
        let line = json!({
            "op": operation, "kind": "project", "ref": self.reference, "at": at, "by": by, member: content,
        });
        self.lines.push(line.to_string());
        self.day = self.next_day();
    }

    /// The story goes on in days, and never beyond yesterday.
    fn next_day(&mut self) -> Date {
        let yesterday = shifted(self.today, -1);
        let next = shifted(self.day, 6);
        if next < yesterday { next } else { yesterday }
    }
}

/// A review as its office writes it.
pub(super) fn review(chance: &mut Chance, on: Date, decision: &str, next_on: &str) -> Value {
    let summary = format!(
        "{} {}",
        chance.pick(words::REVIEW_FINDINGS),
        chance.pick(words::REVIEW_AGREEMENTS)
    );
    let bodies = ["SSD", *chance.pick(words::HEALTH_BODIES), "CPI"];
    json!({"on": on.to_string(), "bodies": bodies, "decision": decision, "summary": summary, "next_on": next_on})
}

/// A pseudonym of an operator.
fn operator(chance: &mut Chance) -> String {
    format!("op-{:03}", chance.between(1, OPERATORS))
}

/// A code of a body or an enterprise.
pub(super) fn provider(chance: &mut Chance) -> String {
    format!("ente-{:03}", chance.between(1, PROVIDERS))
}

/// A day so many days later, or earlier if negative.
pub(super) fn shifted(day: Date, days: i64) -> Date {
    day.saturating_add(days.days())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use raccordo_crdt_model::{Document, DocumentId, ImportLine, ImportOp, Stamp};

    use super::*;

    fn some() -> Vec<Value> {
        let lines = lines("C", 200, 1, jiff::civil::date(2026, 9, 1));
        lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn the_same_seed_invents_the_same_lines() {
        let today = jiff::civil::date(2026, 9, 1);
        assert_eq!(lines("A", 5, 1, today), lines("A", 5, 1, today));
        assert_ne!(lines("A", 5, 1, today), lines("A", 5, 2, today));
        let fewer = lines("A", 3, 1, today);
        assert_eq!(lines("A", 5, 1, today)[..fewer.len()], fewer[..]);
    }

    #[test]
    fn invented_subjects_are_distinct_and_live_in_the_district() {
        let known: BTreeSet<&str> = places::municipalities("C")
            .into_iter()
            .map(|(code, _)| code)
            .collect();
        let mut tokens = BTreeSet::new();
        for line in some().iter().filter(|line| line["op"] == "create") {
            let subject = &line["doc"]["subject"];
            assert!(known.contains(subject["municipality"].as_str().unwrap()));
            assert!(tokens.insert(subject["token"].as_str().unwrap().to_owned()));
        }
        assert_eq!(tokens.len(), 200);
    }

    #[test]
    fn histories_go_forward_and_end_before_today() {
        let mut last: BTreeMap<String, String> = BTreeMap::new();
        for line in some() {
            let at = line["at"].as_str().unwrap().to_owned();
            assert!(at.as_str() < "2026-09-01", "{at}");
            let before = last.insert(line["ref"].as_str().unwrap().to_owned(), at.clone());
            assert!(
                before.is_none_or(|before| before[..10] <= at[..10]),
                "{line}"
            );
        }
    }

    #[test]
    fn what_is_invented_keeps_every_rule_of_the_field() {
        let mut records: BTreeMap<String, Document> = BTreeMap::new();
        for text in lines("C", 40, 1, jiff::civil::date(2026, 9, 1)) {
            let (line, _) = ImportLine::parse(&text).unwrap();
            // As if people did it here: then rules of passage and dates refuse instead of flagging.
            let stamp = Stamp {
                origin: [1; 8],
                incarnation: [2; 8],
                at: line.at.unwrap(),
                by: line.by,
                line: None,
                imported: false,
            };
            match line.op {
                ImportOp::Create { doc } => {
                    let id = DocumentId::from_bytes([3; 16]);
                    let made = Document::create(id, line.kind, "frosinone/c", &doc, &stamp);
                    records.insert(line.reference, made.unwrap().0);
                }
                ImportOp::Patch { patch } => {
                    let record = records.get_mut(&line.reference).unwrap();
                    record.patch(&patch, None, &stamp).unwrap();
                }
            }
        }
        assert_eq!(records.len(), 40);
        assert!(
            records
                .values()
                .all(|record| record.record().flags.is_empty())
        );
    }

    #[test]
    fn every_state_of_the_field_occurs() {
        let states: BTreeSet<String> = some()
            .iter()
            .flat_map(|line| line["patch"].as_array().cloned().unwrap_or_default())
            .filter(|operation| operation["path"] == "/state")
            .map(|operation| operation["value"].as_str().unwrap().to_owned())
            .collect();
        for state in [
            "taken_in_charge",
            "planning",
            "active",
            "review",
            "suspended",
            "closed",
            "reopened",
        ] {
            assert!(states.contains(state), "{state} never occurs");
        }
    }
}

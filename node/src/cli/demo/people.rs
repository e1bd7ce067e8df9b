//! Invents the people of a district and all that an office keeps of them, as lines of the import
//! format: persons, households, casefiles, contacts; and what the unit and its network do.
//!
//! Guarantees: the same district, projects, seed and day give the same lines; each person is the
//! subject of a project that was invented before; names and codes are nobody's.

use jiff::civil::Date;
use raccordo_crdt_model::fiscal_code::{self, BadFiscalCode};
use serde_json::{Value, json};

use super::chance::Chance;
use super::{invent, words};

/// At least so many projects have their people in the office's files, and at most.
const PEOPLE: (usize, usize) = (3, 40);

/// Contacts that end with an information.
const PASSING_CONTACTS: i64 = 18;

/// Letters of the months in a fiscal code.
const MONTHS: [char; 12] = ['A', 'B', 'C', 'D', 'E', 'H', 'L', 'M', 'P', 'R', 'S', 'T'];

/// The lines of a district (`A` to `D`) whose projects were told in these lines.
pub(super) fn lines(district: &str, projects: &[String], seed: u64, today: Date) -> Vec<String> {
    let part = district
        .bytes()
        .fold(1, |sum, byte| sum * 256 + u64::from(byte));
    let mut office = Office {
        chance: Chance::part(seed, part << 40),
        district,
        today,
        lines: Vec::new(),
    };
    office.network();
    let created: Vec<Value> = projects
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line["op"] == "create")
        .collect();
    let known = (created.len() / 5).clamp(PEOPLE.0, PEOPLE.1);
    for (number, line) in (1..).zip(created.iter().take(known)) {
        office.subject(number, &line["doc"]);
    }
    office.passers_by();
    office.lines
}

/// A code that fits somebody's birth and sex and was given to nobody: place `Z999` does not exist.
pub(super) fn code(family: &str, given: &str, born: Date, sex: &str) -> String {
    let letters = |name: &str| -> String {
        let letters = name.chars().filter(char::is_ascii_alphabetic);
        let upper = letters.map(|letter| letter.to_ascii_uppercase());
        let consonants = upper.filter(|letter| !"AEIOU".contains(*letter));
        consonants.chain("XXX".chars()).take(3).collect()
    };
    let month = MONTHS
        .get(usize::from(born.month().unsigned_abs()).saturating_sub(1))
        .unwrap_or(&'A');
    let day = i16::from(born.day()) + if sex == "F" { 40 } else { 0 };
    let stem = format!(
        "{}{}{:02}{month}{day:02}Z999",
        letters(family),
        letters(given),
        born.year().rem_euclid(100)
    );
    let guess = format!("{stem}A");
    match fiscal_code::check(&guess) {
        Err(BadFiscalCode::Check { expected, .. }) => format!("{stem}{expected}"),
        _ => guess,
    }
}

struct Office<'a> {
    chance: Chance,
    district: &'a str,
    today: Date,
    lines: Vec<String>,
}

impl Office<'_> {
    fn line(&mut self, kind: &str, reference: &str, on: &str, mut doc: Value) {
        doc["ref"] = json!(reference);
        let line = json!({"op": "create", "kind": kind, "ref": reference, "at": format!("{on}T09:00:00Z"),
            "by": "op-003", "doc": doc});
        self.lines.push(line.to_string());
    }

    fn reference(&self, letter: &str, number: i64) -> String {
        format!("{letter}-{}-{number:04}", self.district)
    }

    /// A day of the last months.
    fn lately(&mut self) -> String {
        let days = self.chance.between(2, 150);
        invent::shifted(self.today, -days).to_string()
    }

    /// The person that a project is about, the household if it is one, and their files.
    fn subject(&mut self, number: i64, project: &Value) {
        let subject = &project["subject"];
        let on = project["opened_on"].as_str().unwrap_or_default().to_owned();
        let municipality = subject["municipality"].clone();
        let born = self.person(number, subject, &on);
        let person = self.reference("P", number);
        if lives_in_household(number, subject) {
            let members = json!({"m1": {"person": person, "relation": "holder", "from": on}});
            let doc = json!({"name": format!("Nucleo {}", born.family), "municipality": municipality,
                "minors": subject["minors"], "members": members});
            let reference = self.reference("N", number);
            self.line("household", &reference, &on, doc);
        }
        let whose = if subject["kind"] == "household" {
            self.reference("N", number)
        } else {
            person
        };
        let contact = json!({"on": on, "point": "pua", "mode": "desk", "asked_by": "self", "minutes": 20,
            "need_area": project["need_area"], "person": self.reference("P", number), "project": project["ref"],
            "asked": self.chance.pick(words::QUESTIONS_AT_THE_DESK).0, "outcome": "taking_in_charge", "state": "closed"});
        let reference = self.reference("K", number);
        self.line("contact", &reference, &on, contact);
        self.casefile(number, &whose, &on, &project["ref"]);
    }

    fn person(&mut self, number: i64, subject: &Value, on: &str) -> Born {
        let year = i16::try_from(subject["birth_year"].as_i64().unwrap_or(1980)).unwrap_or(1980);
        let month = i8::try_from(self.chance.between(1, 12)).unwrap_or(1);
        let day = i8::try_from(self.chance.between(1, 28)).unwrap_or(1);
        let born = jiff::civil::date(year, month, day);
        let sex = if subject["sex"] == "M" { "M" } else { "F" };
        let family = *self.chance.pick(words::FAMILY_NAMES);
        let of_sex: Vec<&str> = words::GIVEN_NAMES
            .iter()
            .filter(|(_, of)| *of == sex)
            .map(|(name, _)| *name)
            .collect();
        let given = *self.chance.pick(&of_sex);
        let mut doc = json!({"family_name": family, "given_name": given, "born_on": born.to_string(), "sex": subject["sex"],
            "residence": {"municipality": subject["municipality"], "address": format!("via Inventata {number}")},
            "contacts": {"phone": format!("000 {:06}", self.chance.between(0, 999_999))}});
        if lives_in_household(number, subject) {
            doc["household"] = json!(self.reference("N", number));
        }
        if self.chance.percent(85) {
            doc["fiscal_code"] = json!(code(family, given, born, sex));
        }
        let reference = self.reference("P", number);
        self.line("person", &reference, on, doc);
        if number == 1 {
            // Somebody typed her in a second time, without the code.
            let again =
                json!({"family_name": family, "given_name": given, "born_on": born.to_string()});
            let reference = self.reference("P", 800);
            self.line("person", &reference, on, again);
        }
        Born { family }
    }

    fn casefile(&mut self, number: i64, whose: &str, on: &str, project: &Value) {
        let mut diary = serde_json::Map::new();
        for entry in 1..=self.chance.between(1, 3) {
            let text = self.chance.pick(words::DIARY);
            let said = json!({"on": on, "author": "op-003", "text": text});
            diary.insert(format!("d{entry}"), said);
        }
        let mut doc = json!({"subject": whose, "diary": diary,
            "consents": {"c1": {"purpose": "taking_in_charge", "recipient": "SSD", "basis": "public_task", "given_on": on},
                "c2": {"purpose": "work_placement", "recipient": "CPI", "basis": "consent", "given_on": on}},
            "assessments": {"v1": {"kind": "QUADRO", "on": on, "authors": ["DSM", "SSD"], "form": "quadro", "form_version": "1"}},
            "reports": {"s1": {"on": on, "source": "1", "urgency": "medium"}},
            "work_extract": {"hours": "mattina", "abilities": "Lavoro in squadra"},
            "projects": {"p1": {"project": project, "from": on}}});
        if self.chance.percent(20) {
            doc["consents"]["c2"]["revoked_on"] = json!(self.today.to_string());
        }
        if number == 2 {
            let until = invent::shifted(self.today, 200).to_string();
            doc["legal_hold"] = json!({"h1": {"reason": "procedimento in corso", "until": until}});
        }
        let reference = self.reference("C", number);
        self.line("casefile", &reference, on, doc);
    }

    /// Resources, organisations, and what the unit met for.
    fn network(&mut self) {
        for (number, (title, what)) in (1..).zip(words::RESOURCES) {
            let (reference, on) = (self.reference("R", number), self.lately());
            let doc = json!({"title": title, "what": what, "where": "sede del comune", "public": true,
                "how_to_ask": "Scheda del servizio sociale"});
            self.line("resource", &reference, &on, doc);
        }
        for (number, (name, body, phase, instrument)) in (1..).zip(words::ORGANISATIONS) {
            let (reference, on) = (self.reference("ORG", number), self.lately());
            let mut doc = json!({"name": format!("{name} ({})", self.district), "type": body, "state": phase,
                "offers": {"o1": {"title": "Posti in affiancamento", "instrument": instrument, "places": self.chance.between(1, 5)}}});
            if *phase == "member" {
                doc["agreements"] = json!({"a1": {"kind": "convenzione", "number": format!("{number}/{}", self.today.year()), "from": on}});
            }
            self.line("organisation", &reference, &on, doc);
        }
        for number in 1..=4 {
            let (reference, on) = (self.reference("UTI", number), self.lately());
            let kind = *self
                .chance
                .pick(&["meeting", "meeting", "visit", "training"]);
            let doc = json!({"kind": kind, "on": on, "unit": "uti", "bodies": ["SSD", "DSM", "CPI"], "hours": 2,
                "cases_discussed": self.chance.between(2, 9), "decisions": self.chance.between(0, 4)});
            self.line("activity", &reference, &on, doc);
        }
    }

    /// Contacts of people who were told something and went.
    fn passers_by(&mut self) {
        for number in 1..=PASSING_CONTACTS {
            let (reference, on) = (self.reference("K", 500 + number), self.lately());
            let (asked, answer) = *self.chance.pick(words::QUESTIONS_AT_THE_DESK);
            let resource = self.chance.between(1, 4);
            let offered =
                json!({"s1": {"resource": self.reference("R", resource), "offered_on": on}});
            let outcome = *self.chance.pick(&["information", "orientation"]);
            let doc = json!({"on": on, "anonymous": true, "point": self.chance.pick(&["pua", "segretariato", "sportello"]),
                "mode": self.chance.pick(&["desk", "phone", "email"]), "asked_by": self.chance.pick(&["self", "family"]),
                "need_area": self.chance.weigh(words::NEED_AREAS), "asked": asked, "answer": answer, "outcome": outcome,
                "minutes": self.chance.between(3, 25), "services": offered, "state": "closed"});
            self.line("contact", &reference, &on, doc);
        }
    }
}

/// Who is followed with a household, and one of three others.
fn lives_in_household(number: i64, subject: &Value) -> bool {
    subject["kind"] == "household" || number % 3 == 1
}

struct Born {
    family: &'static str,
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use raccordo_crdt_model::{Document, DocumentId, ImportLine, ImportOp, Kind, Stamp};

    use super::*;

    fn told() -> Vec<String> {
        let today = jiff::civil::date(2026, 9, 1);
        let projects = invent::lines("C", 60, 1, today);
        lines("C", &projects, 1, today)
    }

    #[test]
    fn the_same_projects_have_the_same_people() {
        assert_eq!(told(), told());
    }

    #[test]
    fn what_is_invented_of_people_keeps_every_rule_and_every_kind_occurs() {
        let mut kinds = BTreeMap::new();
        let mut references = BTreeSet::new();
        for text in told() {
            let (line, _) = ImportLine::parse(&text).unwrap();
            let ImportOp::Create { doc } = line.op else {
                panic!("{text}")
            };
            let stamp = Stamp {
                origin: [1; 8],
                incarnation: [2; 8],
                at: line.at.unwrap(),
                by: line.by,
                line: None,
                imported: false,
            };
            let id = DocumentId::from_bytes([3; 16]);
            let made = Document::create(id, line.kind, "frosinone/c", &doc, &stamp);
            let (document, _) = made.unwrap_or_else(|problem| panic!("{text}: {problem:?}"));
            assert_eq!(document.record().flags, [], "{text}");
            assert!(references.insert(line.reference), "{text}");
            *kinds.entry(line.kind.singular()).or_insert(0) += 1;
        }
        for kind in [
            Kind::Person,
            Kind::Household,
            Kind::Casefile,
            Kind::Contact,
            Kind::Resource,
            Kind::Organisation,
            Kind::Activity,
        ] {
            assert!(kinds.contains_key(kind.singular()), "{kinds:?}");
        }
    }

    #[test]
    fn an_invented_code_is_well_formed_and_of_no_place() {
        let born = jiff::civil::date(1985, 12, 10);
        for (family, given, sex) in [("Ranuncoli", "Ada", "F"), ("Io", "Aia", "M")] {
            let code = code(family, given, born, sex);
            assert_eq!(fiscal_code::check(&code), Ok(()), "{code}");
            assert_eq!(&code[11..15], "Z999");
        }
    }
}

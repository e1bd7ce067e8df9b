//! By what a record of the territory is found: a person's code and name, and whom others are about.
//!
//! Terms are for keyed hashes and never stored as they are. Knows a record's JSON.

use serde_json::Value;

use crate::fiscal_code;
use crate::likeness::{found_by, name_sound, sound};
use crate::schema::Kind;

/// Most terms of one record.
const TERMS_MAX: usize = 512;

/// One thing that finds a record.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Term {
    /// A person's fiscal code, without variants.
    Code(String),
    /// What stands in the place of a fiscal code and is none, as it was written.
    BadCode(String),
    /// A word of a name.
    Word(String),
    /// How a word of a name sounds.
    Sound(String),
    /// How a whole name sounds, and the last two digits of the year of birth.
    Alike(String),
    /// A person or household that the record is about, by id or reference.
    About(String),
    /// A project that the record leads to, by id or reference.
    Project(String),
    /// The record that this one was merged into, by id or reference.
    Into(String),
    /// The mark by which a notice is recognised.
    Mark(String),
}

impl Term {
    /// What keeps terms of different meaning apart.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Code(_) => "term-code",
            Self::BadCode(_) => "term-bad-code",
            Self::Word(_) => "term-word",
            Self::Sound(_) => "term-sound",
            Self::Alike(_) => "term-alike",
            Self::About(_) => "term-about",
            Self::Project(_) => "term-project",
            Self::Into(_) => "term-into",
            Self::Mark(_) => "term-mark",
        }
    }

    /// The term itself.
    pub fn text(&self) -> &str {
        match self {
            Self::Code(text)
            | Self::BadCode(text)
            | Self::Word(text)
            | Self::Sound(text)
            | Self::Alike(text)
            | Self::About(text)
            | Self::Project(text)
            | Self::Into(text)
            | Self::Mark(text) => text,
        }
    }
}

/// Says what kind of term it is, and not whose.
impl std::fmt::Debug for Term {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.label())
    }
}

/// The terms of a record, sorted, each once.
pub fn terms(kind: Kind, fields: &Value) -> Vec<Term> {
    let mut terms = Vec::new();
    match kind {
        Kind::Person => of_person(fields, &mut terms),
        Kind::Notice => terms.extend(entries(fields, "sides", "mark").map(Term::Mark)),
        Kind::Household => terms.extend(entries(fields, "members", "person").map(Term::About)),
        Kind::Casefile => {
            terms.extend(text(fields, "subject").map(Term::About));
            terms.extend(entries(fields, "projects", "project").map(Term::Project));
        }
        Kind::Contact => {
            terms.extend(text(fields, "person").map(Term::About));
            terms.extend(text(fields, "project").map(Term::Project));
        }
        _ => {}
    }
    terms.sort();
    terms.dedup();
    terms.truncate(TERMS_MAX);
    terms
}

/// What another record of the same person would have: the code, as it was written where it is none, or the sound of the name with the
/// year of birth.
pub fn telling(fields: &Value) -> Vec<Term> {
    let written = text(fields, "fiscal_code").map(|code| code.to_uppercase());
    let code = written
        .as_deref()
        .and_then(|code| fiscal_code::normal(code).ok());
    let bad = written.filter(|_| code.is_none()).map(Term::BadCode);
    let year = text(fields, "born_on").and_then(|date| date.get(2..4).map(str::to_owned));
    // Of a person whose birthday is not known, the code says it.
    let year = year.or_else(|| {
        code.as_ref()
            .and_then(|code| code.get(6..8).map(str::to_owned))
    });
    let name = |field: &str| text(fields, field).unwrap_or_default();
    let sound = name_sound(&name("family_name"), &name("given_name"));
    let alike = sound
        .zip(year)
        .map(|(sound, year)| format!("{sound} {year}"));
    let code = code.map(Term::Code).into_iter();
    code.chain(bad).chain(alike.map(Term::Alike)).collect()
}

fn of_person(fields: &Value, terms: &mut Vec<Term>) {
    terms.extend(telling(fields));
    let former = fields.get("former_names").and_then(Value::as_array);
    let former = former.into_iter().flatten().filter_map(Value::as_str);
    let names = ["family_name", "given_name"].map(|name| text(fields, name).unwrap_or_default());
    for name in names.iter().map(String::as_str).chain(former) {
        for word in found_by(name) {
            terms.push(Term::Sound(sound(&word)));
            terms.push(Term::Word(word));
        }
    }
    terms.retain(|term| !term.text().is_empty());
    terms.extend(text(fields, "merged_into").map(Term::Into));
}

fn text(fields: &Value, name: &str) -> Option<String> {
    let text = fields.get(name)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A text of every sub-entity.
fn entries<'a>(fields: &'a Value, name: &str, field: &'a str) -> impl Iterator<Item = String> + 'a {
    let entries = fields.get(name).and_then(Value::as_object);
    let entries = entries.into_iter().flat_map(|all| all.values());
    entries.filter_map(move |entry| text(entry, field))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(terms: &[Term]) -> Vec<String> {
        let show = |term: &Term| format!("{} {}", term.label(), term.text());
        terms.iter().map(show).collect()
    }

    #[test]
    fn a_person_is_found_by_code_names_and_sounds() {
        let fields = json!({"family_name": "De Luca", "given_name": "Chiara", "former_names": ["Conti"],
            "born_on": "1985-12-10", "fiscal_code": "RSSMRA85T10A56NH", "merged_into": "P-2"});
        assert_eq!(
            shown(&terms(Kind::Person, &fields)),
            [
                "term-code RSSMRA85T10A562S",
                "term-word chiara",
                "term-word conti",
                "term-word de",
                "term-word deluca",
                "term-word luca",
                "term-sound de",
                "term-sound dlka",
                "term-sound knti",
                "term-sound kra",
                "term-sound lka",
                "term-alike dlka kra 85",
                "term-into P-2",
            ]
        );
        assert_eq!(format!("{:?}", Term::Word("luca".to_owned())), "term-word");
    }

    #[test]
    fn two_spellings_of_one_person_tell_the_same_with_or_without_the_birthday() {
        let one = json!({"family_name": "Rossi", "given_name": "Niccolò", "born_on": "1985-01-02"});
        let other = json!({"family_name": "Nicolo", "given_name": "Rosi", "fiscal_code": "RSSMRA85T10A562S"});
        let alike = |fields: &Value| telling(fields).pop();
        assert!(alike(&one).is_some());
        assert_eq!(alike(&one), alike(&other));
        assert!(telling(&json!({"family_name": "Rossi", "given_name": "Anna"})).is_empty());
    }

    #[test]
    fn other_records_are_found_by_whom_they_are_about() {
        let household = json!({"members": {"m1": {"person": "P-1"}, "m2": {"relation": "child"}}});
        assert_eq!(
            shown(&terms(Kind::Household, &household)),
            ["term-about P-1"]
        );
        let casefile = json!({"subject": "P-1", "projects": {"p1": {"project": "FR-1"}}});
        assert_eq!(
            shown(&terms(Kind::Casefile, &casefile)),
            ["term-about P-1", "term-project FR-1"]
        );
        assert!(terms(Kind::Project, &json!({"ref": "x"})).is_empty());
    }
}

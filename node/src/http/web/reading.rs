//! A record's fields in words: sections, lines and tables from JSON.
//!
//! Knows the order and the labels that people expect; what it does not know it shows under its
//! own name, after the rest. Builds no HTML.

use serde_json::{Map, Value};

use crate::http::moment;
use crate::http::words::Words;

/// One part of a record.
pub(super) struct Section {
    pub(super) heading: String,
    pub(super) lines: Vec<Line>,
    pub(super) tables: Vec<Table>,
}

/// A field and its value.
pub(super) struct Line {
    pub(super) label: String,
    pub(super) value: String,
}

/// Things of one sort, a row each.
pub(super) struct Table {
    pub(super) caption: String,
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

/// The record as sections: its plain fields first, then one for each part.
pub(super) fn sections(fields: &Value, words: Words) -> Vec<Section> {
    let Value::Object(fields) = fields else {
        return Vec::new();
    };
    let mut out = vec![section(words.say("section-project"), "", fields, words)];
    for (name, value) in ranked(fields) {
        let Value::Object(inner) = value else {
            continue;
        };
        if inner.is_empty() || is_collection(inner) {
            continue;
        }
        if inner
            .values()
            .all(|part| part.as_object().is_some_and(|part| !part.is_empty()))
        {
            for (part_name, part) in ranked(inner) {
                if let Value::Object(part) = part {
                    let named = words.code(&format!("field-{name}"), part_name);
                    // Things that somebody added have a key for a name, which says nothing alone.
                    let heading = if named == *part_name {
                        format!("{} · {part_name}", words.code("field", name))
                    } else {
                        named
                    };
                    out.push(section(heading, part_name, part, words));
                }
            }
        } else {
            out.push(section(words.code("field", name), name, inner, words));
        }
    }
    out.retain(|section| !section.lines.is_empty() || !section.tables.is_empty());
    out
}

fn section(heading: String, within: &str, fields: &Map<String, Value>, words: Words) -> Section {
    let mut lines = Vec::new();
    let mut tables = Vec::new();
    for (name, value) in ranked(fields) {
        match value {
            Value::Object(inner) if inner.is_empty() => {}
            Value::Object(inner) if is_collection(inner) => tables.push(table(name, inner, words)),
            // Parts of the root have sections of their own.
            Value::Object(_) if within.is_empty() && name != "outcome" => {}
            other => lines.push(Line {
                label: words.code("field", name),
                value: plain(name, other, words),
            }),
        }
    }
    Section {
        heading,
        lines,
        tables,
    }
}

/// Things keyed by an id: each has fields of its own, and the keys say nothing to a person.
fn is_collection(fields: &Map<String, Value>) -> bool {
    let mut parts = fields.iter();
    parts.len() > 0
        && parts.all(|(name, part)| {
            let named = matches!(name.as_str(), "social" | "health" | "work" | "subject");
            !named
                && part
                    .as_object()
                    .is_some_and(|part| !part.values().any(Value::is_object))
        })
}

fn table(name: &str, items: &Map<String, Value>, words: Words) -> Table {
    let mut names: Vec<&str> = Vec::new();
    for item in items.values().filter_map(Value::as_object) {
        for (field, _) in item {
            if !names.contains(&field.as_str()) {
                names.push(field);
            }
        }
    }
    names.sort_by_key(|name| rank(name));
    let rows = items
        .values()
        .map(|item| {
            names
                .iter()
                .map(|field| plain(field, &item[*field], words))
                .collect()
        })
        .collect();
    Table {
        caption: words.code("field", name),
        columns: names
            .iter()
            .map(|field| words.code("field", field))
            .collect(),
        rows,
    }
}

/// A value as people read it; `field` decides how codes are spoken.
pub(super) fn plain(field: &str, value: &Value, words: Words) -> String {
    match value {
        Value::Null => "—".to_owned(),
        Value::Bool(true) => words.say("yes"),
        Value::Bool(false) => words.say("no"),
        Value::String(text) => spoken(field, text, words),
        Value::Number(number) if field == "reached" => words.code("reached", &number.to_string()),
        Value::Number(number) if field.ends_with("_eur") => {
            let amount = format!("{:.2}", number.as_f64().unwrap_or_default());
            format!(
                "{} €",
                if words.language.tag() == "it" {
                    amount.replace('.', ",")
                } else {
                    amount
                }
            )
        }
        Value::Number(number) => number.to_string(),
        Value::Array(items) if items.is_empty() => "—".to_owned(),
        Value::Array(items) => items
            .iter()
            .map(|item| plain(field, item, words))
            .collect::<Vec<_>>()
            .join(", "),
        Value::Object(fields) => ranked(fields)
            .into_iter()
            .map(|(name, value)| {
                format!(
                    "{}: {}",
                    words.code("field", name),
                    plain(name, value, words)
                )
            })
            .collect::<Vec<_>>()
            .join("; "),
    }
}

fn spoken(field: &str, text: &str, words: Words) -> String {
    let family = match field {
        "need_area" => "area",
        "body" | "bodies" => "body",
        "provider" | "host" | "operator" | "token" | "ref" | "text" | "summary" => {
            return text.to_owned();
        }
        other => other,
    };
    let label = words.code(family, text);
    if label == text && matches!(field, "type" | "sub_areas") {
        text.replace('_', " ")
    } else if label == text {
        moment::date(text)
    } else {
        label
    }
}

/// A JSON pointer in words: `/plans/social/goals/g1/reached` → `Piani › Piano sociale › …`.
pub(super) fn place(pointer: &str, words: Words) -> String {
    let mut before = "";
    let mut out: Vec<String> = Vec::new();
    for segment in pointer.split('/').filter(|segment| !segment.is_empty()) {
        let inner = words.known(&format!("field-{before}-{segment}"));
        out.push(inner.unwrap_or_else(|| words.code("field", segment)));
        before = segment;
    }
    out.join(" › ")
}

/// Fields in the order in which people expect them; others follow by name.
const ORDER: [&str; 40] = [
    "ref",
    "state",
    "need_area",
    "sub_areas",
    "opened_on",
    "next_review_on",
    "outcome",
    "sharing",
    "subject",
    "team",
    "reviews",
    "instruments",
    "plans",
    "social",
    "health",
    "work",
    "on",
    "kind",
    "type",
    "purpose",
    "text",
    "body",
    "bodies",
    "operator",
    "role",
    "horizon",
    "due",
    "reached",
    "provider",
    "host",
    "from",
    "start",
    "until",
    "end",
    "hours",
    "amount_eur",
    "decision",
    "summary",
    "next_on",
    "employability",
];

fn ranked(fields: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut all: Vec<_> = fields.iter().collect();
    all.sort_by_key(|(name, _)| rank(name));
    all
}

fn rank(name: &str) -> usize {
    ORDER
        .iter()
        .position(|known| *known == name)
        .unwrap_or(ORDER.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::words::Language;

    fn italian() -> Words {
        Words::new(Language::Italian)
    }

    #[test]
    fn values_read_as_people_say_them_and_unknown_codes_as_they_are() {
        let said = |field: &str, value: Value| plain(field, &value, italian());
        assert_eq!(said("state", json!("taken_in_charge")), "Preso in carico");
        assert_eq!(said("state", json!("unheard_of")), "unheard_of");
        assert_eq!(said("amount_eur", json!(650.5)), "650,50 €");
        assert_eq!(said("due", json!("2026-12-31")), "31/12/2026");
        assert_eq!(
            said("bodies", json!(["SSD", "ZZ"])),
            "Servizio sociale distrettuale, ZZ"
        );
        assert_eq!(
            said("text", json!("active")),
            "active",
            "wording is never taken for a code"
        );
        assert_eq!(said("reached", json!(2)), "In parte");
    }

    #[test]
    fn a_pointer_reads_as_a_way_through_the_record() {
        let way = place("/plans/social/goals/g1/reached", italian());
        assert_eq!(way, "Piani › Piano sociale › Obiettivi › g1 › Raggiunto");
    }

    #[test]
    fn every_field_is_shown_also_one_that_nobody_knows() {
        let fields = json!({"zz": 1, "state": "active", "ref": "R", "plans": {"social": {"body": "SSD", "goals": {"g1": {"text": "t"}}}},
            "new_things": {"a": {"x": 1}}, "subject": {"kind": "person"},
            "decisions": {"d1": {"question": "q", "options": {"o1": {"text": "sì"}}}}});
        let sections = sections(&fields, italian());
        let headings: Vec<_> = sections
            .iter()
            .map(|section| section.heading.as_str())
            .collect();
        assert_eq!(
            headings,
            ["Progetto", "Soggetto", "Piano sociale", "Decisioni · d1"]
        );
        let labels: Vec<_> = sections[0]
            .lines
            .iter()
            .map(|line| line.label.as_str())
            .collect();
        assert_eq!(labels, ["Numero", "Stato", "zz"]);
        assert_eq!(sections[0].tables[0].caption, "new_things");
        assert_eq!(sections[2].tables[0].rows, [["t"]]);
    }
}

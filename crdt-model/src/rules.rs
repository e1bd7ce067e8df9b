//! Checks values against the table: everything wrong at once, unknown codes apart.
//!
//! Guarantees: bounded depth, texts and counts; never stops at the first problem.
//! Knows JSON and the table. Does not know documents.

use serde_json::{Map, Value};

use crate::command::{escape, quote};
use crate::fiscal_code;
use crate::problem::{Filled, Problem};
use crate::schema::{
    CODE_MAX, CODES_MAX, DEPTH_MAX, EURO_MAX, Entity, Field, KEY_MAX, Node, Rule, TEXT_MAX,
    VALUES_MAX, WEIGHT_MAX, find,
};

/// A text that is no fiscal code: refused where it is typed, kept and flagged where it was history.
pub(crate) const BAD_FISCAL_CODE: &str = "bad_fiscal_code";
/// The office's own number.
const REFERENCE: &str = "/ref";
/// Longest text that history may have in the place of a fiscal code, in characters.
const FISCAL_CODE_MAX: usize = 64;

/// What a check found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Values that may not be.
    pub(crate) problems: Vec<Problem>,
    /// Pointers of codes outside their open list.
    pub(crate) unknown: Vec<String>,
}

/// Adds a key to a JSON pointer for the time of `then`.
pub(crate) fn within<T>(path: &mut String, key: &str, then: impl FnOnce(&mut String) -> T) -> T {
    let length = path.len();
    path.push('/');
    path.push_str(&escape(key));
    let result = then(path);
    path.truncate(length);
    result
}

impl Findings {
    fn problem(&mut self, path: &str, code: &'static str, detail: impl Into<String>) {
        self.problems.push(Problem::new(path, code, detail));
    }

    /// Passes over what history may have: a text of bounded length that is no fiscal code.
    pub(crate) fn as_history(&mut self, mut at: impl FnMut(&str) -> Option<Value>) {
        self.problems.retain(|problem| {
            let text = |value: Value| value.as_str().map(|text| text.chars().count());
            let is_kept = problem.code == BAD_FISCAL_CODE
                && at(&problem.pointer)
                    .and_then(text)
                    .is_some_and(|length| length <= FISCAL_CODE_MAX);
            !is_kept
        });
    }

    /// Checks a whole record.
    pub(crate) fn record(&mut self, fields: &'static [Field], record: &Value) {
        if let Value::Object(members) = record {
            self.group(fields, members, &mut String::new(), 0);
        } else {
            self.problem("", "wrong_type", expected(record, "an object of fields"));
        }
    }

    /// Checks what stands at `path`, `depth` containers below the root; `None` for a field
    /// that the table does not know.
    pub(crate) fn node(
        &mut self,
        node: Option<&Node>,
        value: &Value,
        path: &mut String,
        depth: usize,
    ) {
        match (node, value) {
            (Some(Node::Group(fields)), Value::Object(members)) => {
                self.group(fields, members, path, depth + 1);
            }
            (Some(Node::Keyed(entity)), Value::Object(members)) => {
                for (id, value) in members {
                    self.key(id, path);
                    within(path, id, |path| self.entity(entity, value, path, depth + 2));
                }
            }
            (Some(Node::Group(_)), other) => {
                self.problem(path, "wrong_type", expected(other, "an object of fields"));
            }
            (Some(Node::Keyed(_)), other) => {
                let detail = expected(other, "an object of entries, each by its id");
                self.problem(path, "wrong_type", detail);
            }
            (Some(Node::Leaf(rule)), value) => self.leaf(rule, value, path),
            (None, value) => self.free(value, path, depth),
        }
    }

    /// Checks one sub-entity.
    pub(crate) fn entity(
        &mut self,
        entity: &'static Entity,
        value: &Value,
        path: &mut String,
        depth: usize,
    ) {
        if let Value::Object(members) = value {
            if members.contains_key(REMOVED) {
                within(path, REMOVED, |path| {
                    self.problem(path, "reserved_field", RESERVED_ENTRY);
                });
            }
            self.group(entity.fields, members, path, depth);
        } else {
            self.problem(path, "wrong_type", expected(value, "an object of fields"));
        }
    }

    fn group(
        &mut self,
        fields: &'static [Field],
        members: &Map<String, Value>,
        path: &mut String,
        depth: usize,
    ) {
        for field in fields {
            self.presence(field, members, path);
        }
        for (name, value) in members {
            if path.is_empty() && name.starts_with('_') {
                within(path, name, |path| {
                    self.problem(path, "reserved_field", RESERVED_ROOT);
                });
                continue;
            }
            match find(fields, name) {
                // Its absence is already reported, or it may be empty.
                Some(field) if value.is_null() && (field.required || is_leaf(&field.node)) => {}
                Some(field) => {
                    within(path, name, |path| {
                        self.node(Some(&field.node), value, path, depth);
                    });
                }
                None => {
                    self.key(name, path);
                    within(path, name, |path| self.node(None, value, path, depth));
                }
            }
        }
    }

    /// A required field must be there, also inside a group that is not there at all.
    fn presence(&mut self, field: &'static Field, members: &Map<String, Value>, path: &mut String) {
        match (members.get(field.name), &field.node) {
            (None | Some(Value::Null), _) if field.required => {
                let detail = format!("{} is missing, a record cannot be without it", field.name);
                within(path, field.name, |path| {
                    self.problem(path, "required", detail);
                });
            }
            (None, Node::Group(inner)) => within(path, field.name, |path| {
                for field in *inner {
                    self.presence(field, &Map::new(), path);
                }
            }),
            _ => {}
        }
    }

    fn key(&mut self, key: &str, path: &mut String) {
        within(path, key, |path| self.key_at(key, path));
    }

    /// Checks the last key of a pointer.
    pub(crate) fn key_at(&mut self, key: &str, path: &str) {
        let length = key.chars().count();
        if length == 0 || length > KEY_MAX || key.chars().any(char::is_control) {
            let detail =
                format!("a name of {length} characters, 1 to {KEY_MAX} printable ones are allowed");
            self.problem(path, "bad_name", detail);
        }
    }

    fn leaf(&mut self, rule: &Rule, value: &Value, path: &mut String) {
        if value.is_null() {
            return;
        }
        match rule {
            Rule::Text(max) => self.text(value, *max, path),
            Rule::Closed(codes) => self.closed(value, codes, path),
            Rule::Open(known) => self.open(
                value,
                |code| known.is_empty() || known.contains(&code),
                path,
            ),
            Rule::Municipality => self.open(value, is_municipality, path),
            Rule::Codes(known) => self.codes(value, known, path),
            Rule::Date => self.date(value, path),
            Rule::Money => self.money(value, path),
            Rule::Whole(min, max) => self.whole(value, *min, *max, path),
            Rule::Number(max) => self.number(value, *max, path),
            Rule::Flag if value.is_boolean() => {}
            Rule::Flag => self.problem(path, "wrong_type", expected(value, "true or false")),
            Rule::FiscalCode => self.fiscal_code(value, path),
            Rule::Outcome(known) => self.outcome(value, known, path),
        }
    }

    fn text(&mut self, value: &Value, max: usize, path: &str) {
        match value {
            Value::String(text) if text.is_empty() && path == REFERENCE => {
                let detail = "ref is empty: give the office's number, or leave it out";
                self.problem(path, "required", detail);
            }
            Value::String(text) if text.chars().count() > max => {
                let detail = format!("{} characters, at most {max} allowed", text.chars().count());
                self.problem(path, "too_long", detail);
            }
            Value::String(_) => {}
            other => self.problem(path, "wrong_type", expected(other, "text")),
        }
    }

    fn fiscal_code(&mut self, value: &Value, path: &str) {
        match value {
            Value::String(code) => {
                if let Err(bad) = fiscal_code::check(code) {
                    let (variant, filled) = bad.said();
                    let problem = Problem::new(path, BAD_FISCAL_CODE, bad.to_string());
                    self.problems.push(problem.said(variant, &filled));
                }
            }
            other => self.problem(
                path,
                "wrong_type",
                expected(other, "a fiscal code, as text"),
            ),
        }
    }

    fn closed(&mut self, value: &Value, codes: &[&str], path: &str) {
        match value {
            Value::String(code) if codes.contains(&code.as_str()) => {}
            Value::String(code) => {
                let detail = format!("{} is none of {}", quote(code), codes.join(", "));
                let filled = [
                    ("seen", Filled::text(quote(code))),
                    ("allowed", Filled::text(codes.join(", "))),
                ];
                let problem = Problem::new(path, "not_allowed", detail);
                self.problems.push(problem.said("value", &filled));
            }
            other => {
                let allowed = format!("one of {}", codes.join(", "));
                self.problem(path, "wrong_type", expected(other, &allowed));
            }
        }
    }

    fn open(&mut self, value: &Value, known: impl FnOnce(&str) -> bool, path: &str) {
        match value {
            Value::String(code) => {
                let length = code.chars().count();
                if length == 0 || length > CODE_MAX {
                    let detail = format!("a code of {length} characters, 1 to {CODE_MAX} allowed");
                    self.problem(path, "bad_code", detail);
                } else if !known(code) {
                    self.unknown.push(path.to_owned());
                }
            }
            other => self.problem(path, "wrong_type", expected(other, "a code, as text")),
        }
    }

    fn codes(&mut self, value: &Value, known: &[&str], path: &mut String) {
        let Value::Array(items) = value else {
            return self.problem(path, "wrong_type", expected(value, "a list of codes"));
        };
        if items.len() > CODES_MAX {
            let detail = format!("{} codes, at most {CODES_MAX} allowed", items.len());
            self.problem(path, "too_large", detail);
        }
        for (index, item) in items.iter().enumerate() {
            within(path, &index.to_string(), |path| {
                self.open(item, |code| known.is_empty() || known.contains(&code), path);
            });
        }
    }

    fn date(&mut self, value: &Value, path: &str) {
        match value {
            Value::String(text) if is_date(text) => {}
            Value::String(text) => {
                let detail = format!("{} is not a date such as 2026-03-04", quote(text));
                self.problem(path, "not_a_date", detail);
            }
            other => self.problem(
                path,
                "wrong_type",
                expected(other, "a date such as 2026-03-04"),
            ),
        }
    }

    fn money(&mut self, value: &Value, path: &str) {
        if !value.is_number() {
            self.problem(path, "wrong_type", expected(value, "an amount in euro"));
        } else if cents(value).is_none() {
            let detail = format!(
                "{value} is not an amount from 0 to {EURO_MAX} euro with at most two decimals"
            );
            self.problem(path, "not_money", detail);
        }
    }

    fn whole(&mut self, value: &Value, min: i64, max: i64, path: &str) {
        match value.as_i64() {
            Some(number) if (min..=max).contains(&number) => {}
            _ if value.is_number() => {
                let detail = format!("{value} is not a whole number from {min} to {max}");
                let said = [value.to_string(), min.to_string(), max.to_string()];
                self.out_of_range(path, "whole", detail, said);
            }
            _ => {
                let allowed = format!("a whole number from {min} to {max}");
                self.problem(path, "wrong_type", expected(value, &allowed));
            }
        }
    }

    fn out_of_range(
        &mut self,
        path: &str,
        variant: &'static str,
        detail: String,
        [seen, least, most]: [String; 3],
    ) {
        let filled = [
            ("seen", Filled::Text(seen)),
            ("least", Filled::Text(least)),
            ("most", Filled::Text(most)),
        ];
        let problem = Problem::new(path, "out_of_range", detail);
        self.problems.push(problem.said(variant, &filled));
    }

    fn number(&mut self, value: &Value, max: f64, path: &str) {
        match value.as_f64() {
            Some(number) if (0.0..=max).contains(&number) => {}
            Some(_) => {
                let detail = format!("{value} is not a number from 0 to {max}");
                let said = [value.to_string(), "0".to_owned(), max.to_string()];
                self.out_of_range(path, "", detail, said);
            }
            None => self.problem(path, "wrong_type", expected(value, "a number")),
        }
    }

    fn outcome(&mut self, value: &Value, known: &[&str], path: &mut String) {
        let Value::Object(members) = value else {
            let allowed = "null or an object with code and on";
            return self.problem(path, "wrong_type", expected(value, allowed));
        };
        for name in ["code", "on"] {
            if members.get(name).is_none_or(Value::is_null) {
                let detail = format!("{name} is missing, an outcome has a code and a date");
                within(path, name, |path| self.problem(path, "required", detail));
            }
        }
        for (name, value) in members {
            within(path, name, |path| match name.as_str() {
                _ if value.is_null() => {}
                "code" => self.open(value, |code| known.contains(&code), path),
                "on" => self.date(value, path),
                _ => self.free(value, path, 1),
            });
        }
    }

    /// A value that the table does not know is kept, within bounds.
    fn free(&mut self, value: &Value, path: &mut String, depth: usize) {
        match value {
            Value::Object(_) | Value::Array(_) if depth >= DEPTH_MAX => {
                let detail = format!("nested deeper than the {DEPTH_MAX} levels allowed");
                self.problem(path, "too_deep", detail);
            }
            Value::Object(members) => {
                for (name, value) in members {
                    self.key(name, path);
                    within(path, name, |path| self.free(value, path, depth + 1));
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    within(path, &index.to_string(), |path| {
                        self.free(item, path, depth + 1);
                    });
                }
            }
            Value::String(_) => self.text(value, TEXT_MAX, path),
            _ => {}
        }
    }
}

/// Key of the mark that takes a sub-entity out of the record.
pub(crate) const REMOVED: &str = "removed";
const RESERVED_ROOT: &str = "names that begin with _ are kept for the program";
const RESERVED_ENTRY: &str = "an entry is removed by the operation remove, not by this field";

fn is_leaf(node: &Node) -> bool {
    matches!(node, Node::Leaf(_))
}

fn expected(seen: &Value, allowed: &str) -> String {
    let seen = match seen {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text {}", quote(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    format!("{seen} where {allowed} is expected")
}

/// Bounds the whole of an input before anything else looks at it.
pub(crate) fn weigh(value: &Value) -> Result<usize, Problem> {
    let mut values = 0;
    let mut weight = 0;
    add_weight(value, 0, &mut values, &mut weight);
    if values > VALUES_MAX {
        let detail = format!("{values} values, at most {VALUES_MAX} allowed");
        return Err(Problem::new("", "too_large", detail));
    }
    if weight > WEIGHT_MAX {
        let detail = format!("{weight} bytes of text, at most {WEIGHT_MAX} allowed");
        return Err(Problem::new("", "too_large", detail));
    }
    Ok(weight)
}

fn add_weight(value: &Value, depth: usize, values: &mut usize, weight: &mut usize) {
    *values += 1;
    match value {
        Value::String(text) => *weight += text.len(),
        // What is nested deeper is refused by the check, whatever it weighs.
        _ if depth > DEPTH_MAX + 2 => {}
        Value::Array(items) => {
            for item in items {
                add_weight(item, depth + 1, values, weight);
            }
        }
        Value::Object(members) => {
            for (name, item) in members {
                *weight += name.len();
                add_weight(item, depth + 1, values, weight);
            }
        }
        _ => {}
    }
}

fn is_municipality(code: &str) -> bool {
    code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the text is a day of the calendar, written 2026-03-04.
pub(crate) fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return false;
    }
    let part = |range: std::ops::Range<usize>| -> Option<u32> {
        bytes[range].iter().try_fold(0, |number, byte| {
            byte.is_ascii_digit()
                .then(|| number * 10 + u32::from(byte - b'0'))
        })
    };
    let (Some(year), Some(month), Some(day)) = (part(0..4), part(5..7), part(8..10)) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    year >= 1 && (1..=days).contains(&day)
}

/// An amount in euro as whole cents; `None` if it is out of range or finer than a cent.
pub(crate) fn cents(value: &Value) -> Option<i64> {
    if let Some(euro) = value.as_i64() {
        return (0..=EURO_MAX).contains(&euro).then(|| euro * 100);
    }
    let euro = value.as_f64()?;
    #[expect(clippy::cast_precision_loss, reason = "the limit is far below 2^53")]
    let max = EURO_MAX as f64;
    if !(0.0..=max).contains(&euro) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most 100 times the limit"
    )]
    let cents = (euro * 100.0).round() as i64;
    // A decimal with two digits is the float nearest to cents / 100, which division gives.
    (euro_of(cents).to_bits() == euro.to_bits() || euro == 0.0).then_some(cents)
}

/// Cents as the number of euro that JSON shows.
pub(crate) fn euro_of(cents: i64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "amounts are bounded far below 2^53"
    )]
    let cents = cents as f64;
    cents / 100.0
}

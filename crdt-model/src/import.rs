//! Lines of import and export files: one operation each, named by their canonical JSON.
//!
//! Guarantees: what is exported, imported and exported again is the same, byte for byte. A
//! record always shows the containers of its kind (a project's `team`, `plans`, `reviews`…),
//! empty or not; any other field that is absent stays absent.

use serde_json::{Map, Value};

use crate::command::{Patch, quote};
use crate::once::{self, Twice};
use crate::problem::Problem;
use crate::schema::Kind;
use crate::value::{DocumentId, UnixMillis};

/// Longest line accepted, in bytes.
pub const LINE_BYTES_MAX: usize = 1 << 20;
/// Longest `ref` and `by` accepted, in characters.
const REFERENCE_MAX: usize = 64;
const BY_MAX: usize = 128;

/// What a line does.
#[derive(Debug, Clone, PartialEq)]
pub enum ImportOp {
    /// Makes a record; `ref` is in the fields, from the line if they lacked it.
    Create {
        /// The fields, not yet checked.
        doc: Value,
    },
    /// Edits a record.
    Patch {
        /// The edit.
        patch: Patch,
    },
}

/// One line of an import file.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportLine {
    /// What it does.
    pub op: ImportOp,
    /// Kind of record.
    pub kind: Kind,
    /// The office's own number of the record.
    pub reference: String,
    /// When it happened; without it the line is not history, and rules bind it.
    pub at: Option<UnixMillis>,
    /// Who did it.
    pub by: Option<String>,
}

impl ImportLine {
    /// Reads a line; beside it, its canonical JSON, which names it. On failure all problems of
    /// the line's own members; those of the record are found when the line is carried out.
    pub fn parse(line: &str) -> Result<(Self, String), Vec<Problem>> {
        let whole = |code, detail: String| vec![Problem::new("", code, detail)];
        if line.len() > LINE_BYTES_MAX {
            let detail = format!("{} bytes, at most {LINE_BYTES_MAX} allowed", line.len());
            return Err(whole("too_large", detail));
        }
        let (value, twice) = once::parse(line)
            .map_err(|error| whole("not_json", format!("the line is not JSON: {error}")))?;
        if let Some(Twice(name)) = twice {
            let detail = format!(
                "an object of the line says {} twice, and only one of the two would count",
                quote(&name)
            );
            return Err(whole("name_twice", detail));
        }
        let Value::Object(members) = &value else {
            return Err(whole(
                "wrong_type",
                "the line is not a JSON object".to_owned(),
            ));
        };
        let mut problems = Vec::new();
        let parsed = read(members, &mut problems);
        match parsed {
            Some(line) if problems.is_empty() => Ok((line, canonical(&value))),
            _ => Err(problems),
        }
    }
}

fn read(members: &Map<String, Value>, problems: &mut Vec<Problem>) -> Option<ImportLine> {
    const KNOWN: [&str; 7] = ["op", "kind", "ref", "at", "by", "doc", "patch"];
    for name in members
        .keys()
        .filter(|name| !KNOWN.contains(&name.as_str()))
    {
        let detail = format!(
            "a line has no member {}, only {}",
            quote(name),
            KNOWN.join(", ")
        );
        let pointer = format!("/{}", crate::command::escape(name));
        problems.push(Problem::new(pointer, "unknown_member", detail));
    }
    let kind = text(members, "kind", true, 64, problems).and_then(|word| {
        let kind = Kind::from_singular(&word);
        if kind.is_none() {
            let words = Kind::all().map(Kind::singular).join(", ");
            let detail = format!("{} is no kind of record, only {words} are", quote(&word));
            problems.push(Problem::new("/kind", "unknown_kind", detail));
        }
        kind
    });
    let reference = text(members, "ref", true, REFERENCE_MAX, problems);
    let by = text(members, "by", false, BY_MAX, problems);
    let at = text(members, "at", false, 64, problems).and_then(|text| {
        let at = UnixMillis::parse(&text);
        at.map_err(|bad| problems.push(Problem::new("/at", "not_an_instant", bad.to_string())))
            .ok()
    });
    let op = match text(members, "op", true, 64, problems).as_deref() {
        Some("create") => {
            stray(members, "create", "patch", problems);
            create(members, reference.as_deref(), problems)
        }
        Some("patch") => {
            stray(members, "patch", "doc", problems);
            patch(members, problems)
        }
        Some(other) => {
            let detail = format!(
                "{} is no operation, only create and patch are",
                quote(other)
            );
            problems.push(Problem::new("/op", "operation_not_supported", detail));
            None
        }
        None => None,
    };
    Some(ImportLine {
        op: op?,
        kind: kind?,
        reference: reference?,
        at,
        by,
    })
}

/// What a line of the other operation has would be passed over without a word.
fn stray(members: &Map<String, Value>, op: &str, name: &str, problems: &mut Vec<Problem>) {
    if members.contains_key(name) {
        let detail = format!("a {op} line has no {name}: give it in a line of its own");
        problems.push(Problem::new(format!("/{name}"), "unknown_member", detail));
    }
}

fn text(
    members: &Map<String, Value>,
    name: &str,
    required: bool,
    max: usize,
    problems: &mut Vec<Problem>,
) -> Option<String> {
    let mut problem = |code, detail| {
        problems.push(Problem::new(format!("/{name}"), code, detail));
        None
    };
    match members.get(name) {
        Some(Value::String(text)) if text.is_empty() && required => {
            problem("required", format!("{name} is empty"))
        }
        Some(Value::String(text)) if text.chars().count() > max => {
            let length = text.chars().count();
            problem(
                "too_long",
                format!("{length} characters, at most {max} allowed"),
            )
        }
        Some(Value::String(text)) => Some(text.clone()),
        None | Some(Value::Null) if required => problem("required", format!("{name} is missing")),
        None | Some(Value::Null) => None,
        Some(_) => problem("wrong_type", format!("{name} is not text")),
    }
}

fn create(
    members: &Map<String, Value>,
    reference: Option<&str>,
    problems: &mut Vec<Problem>,
) -> Option<ImportOp> {
    let Some(Value::Object(doc)) = members.get("doc") else {
        let detail = "doc is missing or not an object with the record's fields";
        problems.push(Problem::new("/doc", "required", detail));
        return None;
    };
    let mut doc = doc.clone();
    match (doc.get("ref"), reference) {
        (None | Some(Value::Null), Some(reference)) => {
            doc.insert("ref".to_owned(), reference.into());
        }
        (Some(inner), Some(reference)) if inner.as_str() != Some(reference) => {
            let detail = format!(
                "the record's ref is {inner}, the line's is {}",
                quote(reference)
            );
            problems.push(Problem::new("/doc/ref", "ref_differs", detail));
        }
        _ => {}
    }
    Some(ImportOp::Create {
        doc: Value::Object(doc),
    })
}

fn patch(members: &Map<String, Value>, problems: &mut Vec<Problem>) -> Option<ImportOp> {
    let Some(patch) = members.get("patch") else {
        let detail = "patch is missing";
        problems.push(Problem::new("/patch", "required", detail));
        return None;
    };
    match Patch::parse(patch) {
        Ok(patch) => Some(ImportOp::Patch { patch }),
        Err(found) => {
            problems.extend(found.into_iter().map(|problem| Problem {
                pointer: format!("/patch{}", problem.pointer),
                ..problem
            }));
            None
        }
    }
}

/// The line that makes this record elsewhere, canonical, without a line end. A record without
/// `ref` goes under its id. `at` makes it history: no rule refuses what was in order here.
pub fn export_line(kind: Kind, id: DocumentId, created_at: UnixMillis, fields: &Value) -> String {
    let mut doc = fields.clone();
    let reference = exported_reference(id, fields);
    if let Value::Object(members) = &mut doc {
        members.insert("ref".to_owned(), reference.as_str().into());
    }
    let line: Map<String, Value> = [
        ("op", Value::from("create")),
        ("kind", kind.singular().into()),
        ("ref", reference.into()),
        ("at", created_at.to_string().into()),
        ("doc", doc),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    canonical(&Value::Object(line))
}

/// The `ref` under which [`export_line`] writes a record, and by which an export is sorted.
pub fn exported_reference(id: DocumentId, fields: &Value) -> String {
    match fields.get("ref").and_then(Value::as_str) {
        Some(reference) if !reference.is_empty() => reference.to_owned(),
        _ => id.to_string(),
    }
}

/// JSON without spaces, keys in the order of their bytes.
pub fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write_canonical(value, &mut out);
    out
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut names: Vec<_> = members.keys().collect();
            names.sort_unstable();
            out.push('{');
            for (index, name) in names.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write_canonical(&members[name], out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        leaf => out.push_str(&leaf.to_string()),
    }
}

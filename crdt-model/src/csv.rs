//! Records as rows of a table for spreadsheets: flat fields, and counts of what stands below them.
//!
//! UTF-8, cells parted by `;`, rows ended by CR LF (RFC 4180). A cell that a spreadsheet would
//! take for a formula begins with an apostrophe. Knows the table. Does not know documents.

use serde_json::Value;

use crate::schema::{Field, Kind, Node, Rule};

/// The names of the columns: a field's path with `.`, `code` and `on` of an outcome, a list of
/// sub-entities as its count. Fields that the table does not know have no column.
pub fn header(kind: Kind) -> String {
    line(columns(kind).iter().map(|column| column.name.clone()))
}

/// One record's row, in the order of [`header`].
pub fn row(kind: Kind, fields: &Value) -> String {
    line(columns(kind).iter().map(|column| column.cell(fields)))
}

struct Column {
    name: String,
    pointer: String,
    counted: bool,
}

impl Column {
    fn cell(&self, fields: &Value) -> String {
        let value = fields.pointer(&self.pointer);
        if self.counted {
            let count = value
                .and_then(Value::as_object)
                .map_or(0, serde_json::Map::len);
            return count.to_string();
        }
        match value {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(items)) => {
                let items: Vec<_> = items.iter().map(plain).collect();
                items.join(" | ")
            }
            Some(other) => plain(other),
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn columns(kind: Kind) -> Vec<Column> {
    let mut out = Vec::new();
    below(kind.fields(), "", "", &mut out);
    // What people look for first stands first.
    out.sort_by_key(|column| match column.name.as_str() {
        "ref" => 0,
        "state" => 1,
        _ => 2,
    });
    out
}

fn below(fields: &'static [Field], name: &str, pointer: &str, out: &mut Vec<Column>) {
    for field in fields {
        let dot = if name.is_empty() { "" } else { "." };
        let name = format!("{name}{dot}{}", field.name);
        let pointer = format!("{pointer}/{}", field.name);
        let mut push = |name, pointer, counted| {
            out.push(Column {
                name,
                pointer,
                counted,
            });
        };
        match field.node {
            Node::Group(inner) => below(inner, &name, &pointer, out),
            Node::Keyed(_) => push(name, pointer, true),
            Node::Leaf(Rule::Outcome(_)) => {
                for part in ["code", "on"] {
                    push(format!("{name}.{part}"), format!("{pointer}/{part}"), false);
                }
            }
            Node::Leaf(_) => push(name, pointer, false),
        }
    }
}

fn line(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<_> = cells.map(|cell| quoted(&safe(cell))).collect();
    cells.join(";") + "\r\n"
}

/// A cell that no spreadsheet carries out as a formula.
fn safe(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{cell}")
    } else {
        cell
    }
}

fn quoted(cell: &str) -> String {
    if cell.contains([';', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_has_a_cell_for_every_column_of_its_kind() {
        for kind in Kind::all() {
            let count = |line: String| line.trim_end().split(';').count();
            assert_eq!(
                count(header(kind)),
                count(row(kind, &json!({}))),
                "{kind:?}"
            );
            assert!(header(kind).starts_with("ref;state;"), "{kind:?}");
        }
    }

    #[test]
    fn a_cell_is_quoted_and_never_a_formula() {
        for (text, cell) in [
            ("plain", "plain"),
            ("a;b", "\"a;b\""),
            ("say \"x\"\n", "\"say \"\"x\"\"\n\""),
            ("=1+1", "'=1+1"),
            ("+39 0775", "'+39 0775"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "\"'\r=1\""),
            (
                "=HYPERLINK(\"x\";\"y\")",
                "\"'=HYPERLINK(\"\"x\"\";\"\"y\"\")\"",
            ),
        ] {
            let fields = json!({"ref":text,"state":"offered"});
            let row = row(Kind::Resource, &fields);
            assert!(row.starts_with(&format!("{cell};offered;")), "{row}");
        }
    }

    #[test]
    fn lists_are_joined_entries_counted_and_outcomes_told_in_two_cells() {
        let fields = json!({"ref":"x","state":"closed","sub_areas":["casa","=x"],
            "team":{"m1":{},"m2":{}},"outcome":{"code":"4","on":"2026-12-01"},"weather":"rain"});
        let (names, cells) = (header(Kind::Project), row(Kind::Project, &fields));
        let cell = |name: &str| {
            let at = names
                .trim_end()
                .split(';')
                .position(|column| column == name);
            cells
                .trim_end()
                .split(';')
                .nth(at.expect("a column"))
                .expect("a cell")
                .to_owned()
        };
        assert_eq!(cell("sub_areas"), "casa | =x");
        assert_eq!(cell("team"), "2");
        assert_eq!(cell("decisions"), "0");
        assert_eq!(
            (cell("outcome.code"), cell("outcome.on")),
            ("4".to_owned(), "2026-12-01".to_owned())
        );
        assert!(!cells.contains("rain"));
    }
}

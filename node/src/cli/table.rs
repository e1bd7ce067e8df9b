//! Aligned columns for people; values for programs come as JSON instead.

use serde_json::Value;

/// Rows of cells under a header, aligned when shown.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Starts with the header.
    pub(super) fn new<const N: usize>(header: [&str; N]) -> Self {
        Self {
            rows: vec![header.iter().map(|&cell| cell.to_owned()).collect()],
        }
    }

    /// Adds one row.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// The table as text, without the last line end; `empty` if there is no row.
    pub(super) fn show(&self, empty: &str) -> String {
        if self.rows.len() < 2 {
            return empty.to_owned();
        }
        let widths = self.widths();
        let lines: Vec<String> = self
            .rows
            .iter()
            .map(|row| {
                let cells = row
                    .iter()
                    .zip(&widths)
                    .map(|(cell, &width)| format!("{cell:<width$}"));
                cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
            })
            .collect();
        lines.join("\n")
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect()
    }
}

/// A JSON value as a table cell; nothing there is a dash.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => plain(text),
        other => other.to_string(),
    }
}

/// Text of a peer or an import without control characters, which could steer a terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

/// The first twelve digits of an id: enough to tell peers apart and to type.
pub(super) fn short(id: &Value) -> String {
    id.as_str()
        .map_or_else(|| "-".to_owned(), |id| plain(id.get(..12).unwrap_or(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_letters_and_not_by_bytes() {
        let mut table = Table::new(["name", "n"]);
        table.row(["Città".to_owned(), "1".to_owned()]);
        table.row(["Sora".to_owned(), "22".to_owned()]);
        assert_eq!(table.show("none"), "name   n\nCittà  1\nSora   22");
        assert_eq!(Table::new(["name"]).show("none"), "none");
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        assert_eq!(cell(&Value::String("a\u{1b}[2Jb\n".to_owned())), "a [2Jb ");
    }
}

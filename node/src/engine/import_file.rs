//! A window of an import file: its lines read, named and gathered by record.
//!
//! Only the text of a line is kept until its record is prepared: read, a line takes ten times
//! its length. Does not look into the store.

use std::collections::BTreeMap;

use raccordo_crdt_model::{ImportLine, Kind, LineId, Problem};
use serde_json::Value;

use super::cores::on_all_cores;
use super::import::{Outcome, Rehearsed, reject};
use super::view::{ImportReport, ImportText};

/// Lines that one window may have.
pub const WINDOW_LINES_MAX: usize = 32_768;
/// Records that one commit takes: what an import may cost in memory, and how long it keeps others
/// waiting.
pub(crate) const PORTION_RECORDS: usize = 1_024;

/// What has to be remembered from window to window of one file.
#[derive(Debug, Default)]
pub struct ImportSession {
    /// How often each line was seen, by the first half of its id.
    occurrences: BTreeMap<[u8; 16], u32>,
    /// Of a dry run: the records as earlier windows would have left them.
    pub(crate) rehearsed: Rehearsed,
}

/// One record's lines of a window, in their order.
#[derive(Debug)]
pub(crate) struct RecordLines {
    pub(crate) kind: Kind,
    pub(crate) reference: String,
    pub(crate) lines: Vec<RecordLine>,
}

/// A line that can be read.
#[derive(Debug)]
pub(crate) struct RecordLine {
    pub(crate) number: u64,
    pub(crate) text: String,
    pub(crate) id: LineId,
}

impl ImportSession {
    /// Reads the lines of a window, numbers their occurrences over the whole file and gathers them
    /// by record, in the order in which records first appear; what cannot be read is reported.
    pub(crate) fn read(&mut self, lines: Vec<ImportText>) -> (Vec<RecordLines>, ImportReport) {
        let lines: Vec<ImportText> = lines
            .into_iter()
            .filter(|line| !line.text.trim().is_empty())
            .map(without_mark)
            .collect();
        let read = on_all_cores(&lines, |line| {
            let parsed = ImportLine::parse(&line.text);
            parsed.map(|(line, canonical)| {
                let named = (line.kind, line.reference);
                (named, LineId::of(&canonical, 0))
            })
        });
        let mut report = ImportReport::default();
        let mut places: BTreeMap<(Kind, String), usize> = BTreeMap::new();
        let mut records: Vec<RecordLines> = Vec::new();
        for (ImportText { number, text }, read) in lines.into_iter().zip(read) {
            let (named, plain) = match read {
                Ok(read) => read,
                Err(problems) => {
                    report.count(&unreadable(number, &text, &problems));
                    continue;
                }
            };
            let id = self.numbered(&text, plain);
            let next = records.len();
            let place = *places.entry(named.clone()).or_insert(next);
            if place == next {
                records.push(RecordLines {
                    kind: named.0,
                    reference: named.1,
                    lines: Vec::new(),
                });
            }
            let line = RecordLine { number, text, id };
            records[place].lines.push(line);
        }
        (records, report)
    }

    /// The id of a line that may have been seen before.
    fn numbered(&mut self, text: &str, plain: LineId) -> LineId {
        let short = *plain.as_bytes().first_chunk().expect("an id has 32 bytes");
        let seen = self.occurrences.entry(short).or_default();
        *seen += 1;
        match *seen - 1 {
            0 => plain,
            before => ImportLine::parse(text).map_or(plain, |(_, canonical)| {
                LineId::of(&canonical, u64::from(before))
            }),
        }
    }
}

/// Some programs begin a file with a byte order mark.
fn without_mark(mut line: ImportText) -> ImportText {
    if line.number == 1 && line.text.starts_with('\u{feff}') {
        line.text.remove(0);
    }
    line
}

fn unreadable(number: u64, text: &str, problems: &[Problem]) -> Outcome {
    let value: Option<Value> = serde_json::from_str(text).ok();
    let reference = value.as_ref().and_then(|value| value.get("ref")?.as_str());
    Outcome::Rejected(reject(number, reference, problems))
}

//! A window of an import file: its lines read, named and gathered by record.
//!
//! Only the text of a line is kept until its record is prepared: read, a line takes ten times
//! its length. Does not look into the store.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::vec::IntoIter;

use raccordo_crdt_model::{ImportLine, ImportOp, Kind, LineId, Problem};
use serde_json::Value;

use super::cores::on_all_cores;
use super::import::{Carried, Outcome, reject};
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
    pub(crate) carried: Carried,
}

/// One record's lines of a window, in their order.
#[derive(Debug)]
pub(crate) struct RecordLines {
    pub(crate) kind: Kind,
    pub(crate) reference: String,
    /// Whether it must be prepared when those before it are in: a line is about the record's own number,
    /// or merges it into another.
    pub(crate) alone: bool,
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
                let alone = match &line.op {
                    ImportOp::Create { .. } => false,
                    ImportOp::Patch { patch } => {
                        let merges = line.kind == Kind::Person && patch.touches("merged_into");
                        patch.touches("ref") || merges
                    }
                };
                let named = (line.kind, line.reference);
                (named, alone, LineId::of(&canonical, 0))
            })
        });
        let mut report = ImportReport::default();
        let mut places: BTreeMap<(Kind, String), usize> = BTreeMap::new();
        let mut records: Vec<RecordLines> = Vec::new();
        for (ImportText { number, text }, read) in lines.into_iter().zip(read) {
            let (named, alone, plain) = match read {
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
                    alone: false,
                    lines: Vec::new(),
                });
            }
            records[place].alone |= alone;
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

/// What one commit takes of the records that are left. What is prepared together does not hear of each
/// other.
pub(crate) fn portion(records: &mut Peekable<IntoIter<RecordLines>>) -> Vec<RecordLines> {
    let mut portion = Vec::new();
    while portion.len() < PORTION_RECORDS {
        let first = portion.is_empty();
        let Some(record) = records.next_if(|record| first || !record.alone) else {
            break;
        };
        let alone = record.alone;
        portion.push(record);
        if alone {
            break;
        }
    }
    portion
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

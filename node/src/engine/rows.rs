//! The rows that the engine stores: layouts and keys; runs of entries and changes have files of
//! their own (`entry_run`, `change_run`).
//!
//! Which table holds which row: docs/architecture.md, "What is on disk".
//! Does not know the documents: what is plain here is codes, dates, counts and keyed hashes.

use std::collections::BTreeMap;

use raccordo_crdt_model::{ChangeHash, DocumentId, Heads, Section, Summary};
use raccordo_transport::LogId;

pub(crate) use super::entry_run::log_key;
use super::fields::{BadRow, FieldReader, FieldWriter};
use super::view::Sections;

const VERSION: u8 = 1;

/// What is kept about a document beside its changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DocumentRow {
    pub(crate) kind: u8,
    pub(crate) lane: u8,
    pub(crate) home_origin: [u8; 8],
    pub(crate) territory: String,
    /// Changes stored; the number of the next one.
    pub(crate) changes: u32,
    /// Newest entry of this node's own log of that lane that touches it; 0 if none does.
    pub(crate) last_seq: u64,
    pub(crate) heads: Vec<ChangeHash>,
    /// As indexed and counted now; none before the first projection.
    pub(crate) indexed: Option<Indexed>,
}

/// What the indexes and the overview hold of a document: enough to take it out again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Indexed {
    pub(crate) state: String,
    pub(crate) need_area: String,
    pub(crate) subject_kind: String,
    pub(crate) token: Option<[u8; 16]>,
    pub(crate) reference: Option<[u8; 16]>,
    pub(crate) updated_ms: i64,
    pub(crate) conflicts: u32,
    pub(crate) item: [u8; 32],
}

impl DocumentRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = FieldWriter::new(VERSION);
        out.u8(self.kind)
            .u8(self.lane)
            .fixed(&self.home_origin)
            .text(&self.territory);
        out.u32(self.changes).u64(self.last_seq);
        let heads: Vec<u8> = self.heads.iter().flat_map(|h| *h.as_bytes()).collect();
        out.bytes(&heads);
        match &self.indexed {
            None => {
                out.u8(0);
            }
            Some(indexed) => indexed.encode(out.u8(1)),
        }
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadRow> {
        let mut row = FieldReader::open("document", VERSION, bytes)?;
        Ok(Self {
            kind: row.u8()?,
            lane: row.u8()?,
            home_origin: row.array()?,
            territory: row.text()?,
            changes: row.u32()?,
            last_seq: row.u64()?,
            heads: hashes(row.bytes()?),
            indexed: if row.u8()? == 0 {
                None
            } else {
                Some(Indexed::decode(&mut row)?)
            },
        })
    }

    pub(crate) fn version(&self) -> Heads {
        Heads::from_hashes(self.heads.iter().copied())
    }
}

fn hashes(bytes: &[u8]) -> Vec<ChangeHash> {
    let chunks = bytes.chunks_exact(32);
    chunks
        .map(|c| ChangeHash::from_bytes(c.try_into().expect("a chunk of 32 bytes")))
        .collect()
}

impl Indexed {
    fn encode(&self, out: &mut FieldWriter) {
        out.text(&self.state)
            .text(&self.need_area)
            .text(&self.subject_kind);
        for hash in [&self.token, &self.reference] {
            match hash {
                None => out.u8(0),
                Some(hash) => out.u8(1).fixed(hash),
            };
        }
        out.i64(self.updated_ms)
            .u32(self.conflicts)
            .fixed(&self.item);
    }

    fn decode(row: &mut FieldReader<'_>) -> Result<Self, BadRow> {
        let maybe = |row: &mut FieldReader<'_>| -> Result<Option<[u8; 16]>, BadRow> {
            if row.u8()? == 0 {
                Ok(None)
            } else {
                row.array().map(Some)
            }
        };
        Ok(Self {
            state: row.text()?,
            need_area: row.text()?,
            subject_kind: row.text()?,
            token: maybe(row)?,
            reference: maybe(row)?,
            updated_ms: row.i64()?,
            conflicts: row.u32()?,
            item: row.array()?,
        })
    }
}

/// Neighbouring entries of one log that were admitted one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AdmittedRun {
    /// Admission number of the first.
    pub(crate) first: u64,
    pub(crate) log: LogId,
    /// Number of the first in its log.
    pub(crate) seq: u64,
    pub(crate) count: u32,
}

impl AdmittedRun {
    /// The value under the first admission number.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = FieldWriter::new(VERSION);
        out.fixed(&log_key(self.log))
            .u64(self.seq)
            .u32(self.count)
            .finish()
    }
}

/// One line of the list: codes and dates in plain, names of things sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListRow {
    pub(crate) lane: u8,
    pub(crate) territory: String,
    pub(crate) state: String,
    pub(crate) need_area: String,
    pub(crate) subject_kind: String,
    pub(crate) next_review_on: Option<String>,
    pub(crate) conflicts: u32,
    /// Sealed [`Card`].
    pub(crate) sealed: Vec<u8>,
}

impl ListRow {
    pub(crate) fn new(summary: &Summary, lane: u8, sealed: Vec<u8>) -> Self {
        Self {
            lane,
            territory: summary.territory.clone(),
            state: summary.state.clone(),
            need_area: summary.need_area.clone(),
            subject_kind: summary.subject_kind.clone(),
            next_review_on: summary.next_review_on.clone(),
            conflicts: summary.conflicts,
            sealed,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = FieldWriter::new(VERSION);
        out.u8(self.lane)
            .text(&self.territory)
            .text(&self.state)
            .text(&self.need_area);
        out.text(&self.subject_kind)
            .maybe_text(self.next_review_on.as_deref());
        out.u32(self.conflicts).fixed(&self.sealed).finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadRow> {
        let mut row = FieldReader::open("list", VERSION, bytes)?;
        Ok(Self {
            lane: row.u8()?,
            territory: row.text()?,
            state: row.text()?,
            need_area: row.text()?,
            subject_kind: row.text()?,
            next_review_on: row.maybe_text()?,
            conflicts: row.u32()?,
            sealed: row.rest().to_vec(),
        })
    }
}

/// The sealed part of a list line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) reference: Option<String>,
    /// Lower-case texts that `q` matches, one below the other, each behind the mark of its section;
    /// those that an earlier version wrote have none.
    pub(crate) search: String,
}

/// The mark of the first section of all; no text has such a character.
const FIRST_MARK: u8 = 0x0e;

impl Card {
    pub(crate) fn new(summary: &Summary) -> Self {
        let lines = summary.search.iter().map(|(section, text)| {
            let place = Section::ALL.iter().position(|one| one == section);
            let place = place.and_then(|place| u8::try_from(place).ok());
            let mark = place.map_or(' ', |place| char::from(FIRST_MARK + place));
            let text = text.to_lowercase().replace(char::is_control, " ");
            format!("{mark}{text}")
        });
        Self {
            reference: summary.reference.clone(),
            search: lines.collect::<Vec<_>>().join("\n"),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = FieldWriter::new(VERSION);
        out.maybe_text(self.reference.as_deref())
            .text(&self.search)
            .finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadRow> {
        let mut row = FieldReader::open("card", VERSION, bytes)?;
        Ok(Self {
            reference: row.maybe_text()?,
            search: row.text()?,
        })
    }
}

/// Whether one of a card's texts contains these lower-case words, in a section that is searched.
pub(crate) fn says(search: &str, words: &str, sections: &Sections) -> bool {
    let searched = match sections {
        Sections::All => return search.contains(words),
        Sections::Only(searched) => searched,
    };
    search.lines().any(|line| {
        let mut text = line.chars();
        let place = text.next().and_then(|mark| {
            let mark = u8::try_from(u32::from(mark)).ok()?;
            Section::ALL.get(usize::from(mark.checked_sub(FIRST_MARK)?))
        });
        place.is_some_and(|section| searched.contains(section)) && text.as_str().contains(words)
    })
}

/// Counts of one territory, as the overview shows them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) projects: u64,
    pub(crate) local_projects: u64,
    pub(crate) conflicts: u64,
    pub(crate) persons: u64,
    pub(crate) households: u64,
    pub(crate) by_state: BTreeMap<String, u64>,
    pub(crate) by_need_area: BTreeMap<String, u64>,
    pub(crate) digest_count: u64,
    pub(crate) digest_sum: [u8; 32],
}

impl Counts {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = FieldWriter::new(VERSION);
        out.u64(self.projects)
            .u64(self.local_projects)
            .u64(self.conflicts);
        out.u64(self.persons).u64(self.households);
        out.u64(self.digest_count).fixed(&self.digest_sum);
        for map in [&self.by_state, &self.by_need_area] {
            out.u32(u32::try_from(map.len()).expect("few codes"));
            for (code, count) in map {
                out.text(code).u64(*count);
            }
        }
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadRow> {
        let mut row = FieldReader::open("counts", VERSION, bytes)?;
        let mut counts = Self {
            projects: row.u64()?,
            local_projects: row.u64()?,
            conflicts: row.u64()?,
            persons: row.u64()?,
            households: row.u64()?,
            digest_count: row.u64()?,
            digest_sum: row.array()?,
            ..Self::default()
        };
        for map in [&mut counts.by_state, &mut counts.by_need_area] {
            for _ in 0..row.u32()? {
                let code = row.text()?;
                map.insert(code, row.u64()?);
            }
        }
        Ok(counts)
    }
}

/// Newest first: the time counts down.
pub(crate) fn list_key(kind: u8, updated_ms: i64, document: DocumentId) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend_from_slice(&newest_first(updated_ms).to_be_bytes());
    key.extend_from_slice(document.as_bytes());
    key
}

/// A number that is smaller the later the time.
pub(crate) fn newest_first(updated_ms: i64) -> u64 {
    u64::MAX - (updated_ms.cast_unsigned() ^ (1 << 63))
}

/// The time of a list key.
pub(crate) fn list_key_time(key: &[u8]) -> Option<i64> {
    let raw: [u8; 8] = key.get(1..9)?.try_into().ok()?;
    Some(((u64::MAX - u64::from_be_bytes(raw)) ^ (1 << 63)).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document_row() -> DocumentRow {
        DocumentRow {
            kind: 1,
            lane: 0,
            home_origin: [7; 8],
            territory: "frosinone/a".to_owned(),
            changes: 3,
            last_seq: 9,
            heads: vec![
                ChangeHash::from_bytes([1; 32]),
                ChangeHash::from_bytes([2; 32]),
            ],
            indexed: Some(Indexed {
                state: "active".to_owned(),
                need_area: "POV".to_owned(),
                subject_kind: "person".to_owned(),
                token: Some([3; 16]),
                reference: None,
                updated_ms: -5,
                conflicts: 1,
                item: [4; 32],
            }),
        }
    }

    #[test]
    fn a_document_row_comes_back_as_it_was_stored() {
        let row = document_row();
        assert_eq!(DocumentRow::decode(&row.encode()), Ok(row));
    }

    #[test]
    fn a_short_row_of_any_length_is_an_error_and_no_panic() {
        let row = document_row().encode();
        for length in 0..row.len() {
            assert!(DocumentRow::decode(&row[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_text_is_found_in_the_sections_that_are_searched_and_nowhere_else() {
        let marked = |section: Section, text: &str| {
            let place = Section::ALL.iter().position(|one| *one == section);
            let mark = FIRST_MARK + u8::try_from(place.unwrap()).unwrap();
            format!("{}{text}", char::from(mark))
        };
        let search = [
            marked(Section::Frame, "fr-a-1"),
            marked(Section::Health, "clinica verde"),
            "di prima".to_owned(),
        ];
        let search = search.join("\n");
        let only = |sections: &[Section]| Sections::Only(sections.iter().copied().collect());
        let frame = only(&[Section::Frame]);
        assert!(says(&search, "a-1", &frame));
        for hidden in ["clinica", "prima", "fr-a-1\n"] {
            assert!(!says(&search, hidden, &frame), "{hidden}");
        }
        assert!(says(&search, "verde", &only(&[Section::Health])));
        assert!(says(&search, "prima", &Sections::All));
    }

    #[test]
    fn later_records_come_first_in_the_list_also_before_1970() {
        let document = DocumentId::from_bytes([0; 16]);
        let mut keys: Vec<_> = [5, -5, 0, 9].map(|ms| list_key(1, ms, document)).to_vec();
        keys.sort();
        let times: Vec<_> = keys.iter().filter_map(|key| list_key_time(key)).collect();
        assert_eq!(times, [9, 5, 0, -5]);
    }
}

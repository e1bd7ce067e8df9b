//! The index by which people and what is about them are found, without names in it.
//!
//! A row is a keyed hash of a term and a document; what a document is indexed by stands in a row of
//! its own, so that it can be taken out again. Both move with the document's other rows.

use raccordo_crdt_model::{DocumentId, Term};

use crate::store::Table;

use super::core::{Core, ReadFailed};
use super::draft::Draft;

/// First byte of the keys of terms, and of the rows that list a document's terms.
const TERM: u8 = b'p';
const DOCUMENT: u8 = b'd';
/// Bytes of a keyed hash.
const HASH: usize = 16;

impl Draft<'_> {
    /// Indexes a document by these terms and by no others.
    pub(crate) fn index(&mut self, id: DocumentId, terms: &[Term]) -> Result<(), ReadFailed> {
        let list = [&[DOCUMENT], id.as_bytes().as_slice()].concat();
        let former = self.get(Table::Subjects, &list)?.unwrap_or_default();
        let mut now: Vec<[u8; HASH]> = terms.iter().map(|term| hash(self.core, term)).collect();
        now.sort_unstable();
        let now = now.concat();
        if former == now {
            return Ok(());
        }
        for hash in former.chunks_exact(HASH) {
            self.batch.delete(Table::Subjects, row(hash, id));
        }
        for hash in now.chunks_exact(HASH) {
            self.batch.put(Table::Subjects, row(hash, id), Vec::new());
        }
        if now.is_empty() {
            self.batch.delete(Table::Subjects, list);
        } else {
            self.batch.put(Table::Subjects, list, now);
        }
        Ok(())
    }

    /// The records that a term finds, as this commit would leave them.
    pub(crate) fn found_by(&self, term: &Term) -> Result<Vec<DocumentId>, ReadFailed> {
        let prefix = prefix(self.core, term);
        let rows = self.rows_of(Table::Subjects, &prefix)?;
        Ok(rows.iter().filter_map(|(key, _)| document(key)).collect())
    }
}

/// The records that a term finds, all of them: what is erased with a subject, or forbids it, goes by
/// this.
pub(crate) fn found_by(core: &Core, term: &Term) -> Result<Vec<DocumentId>, ReadFailed> {
    found_by_most(core, term, usize::MAX)
}

/// As [`found_by`], so many at most.
pub(crate) fn found_by_most(
    core: &Core,
    term: &Term,
    most: usize,
) -> Result<Vec<DocumentId>, ReadFailed> {
    let prefix = prefix(core, term);
    let rows = core.store.scan(Table::Subjects, &prefix, None, most)?;
    Ok(rows.iter().filter_map(|(key, _)| document(key)).collect())
}

/// Whether a term finds a record.
pub(crate) fn finds(core: &Core, term: &Term, id: DocumentId) -> Result<bool, ReadFailed> {
    let row = row(&hash(core, term), id);
    Ok(core.store.contains(Table::Subjects, &row)?)
}

fn hash(core: &Core, term: &Term) -> [u8; HASH] {
    core.vault.keyed_hash(term.label(), term.text().as_bytes())
}

fn prefix(core: &Core, term: &Term) -> Vec<u8> {
    [&[TERM], hash(core, term).as_slice()].concat()
}

fn row(hash: &[u8], id: DocumentId) -> Vec<u8> {
    [&[TERM], hash, id.as_bytes().as_slice()].concat()
}

fn document(key: &[u8]) -> Option<DocumentId> {
    let id = key.get(1 + HASH..)?.try_into().ok()?;
    Some(DocumentId::from_bytes(id))
}

//! Which lines were imported already: told apart by their hash, under their record's reference.
//!
//! Key: keyed hash of the reference 16, first 16 bytes of the first line's id. Value: version,
//! first 16 bytes of every line's id. One row for the lines of one record in one window.

use std::collections::BTreeSet;

use raccordo_crdt_model::LineId;

use super::core::ReadFailed;
use super::fields::{FieldReader, FieldWriter};
use crate::store::{Batch, Store, Table};

const VERSION: u8 = 2;

/// Enough of a line's id to tell lines of one reference apart.
pub(crate) type ShortId = [u8; 16];

pub(crate) fn short(id: &LineId) -> ShortId {
    *id.as_bytes().first_chunk().expect("32 bytes begin with 16")
}

/// The lines of a reference that were imported before.
pub(crate) fn known(store: &Store, reference: &[u8; 16]) -> Result<BTreeSet<ShortId>, ReadFailed> {
    let mut known = BTreeSet::new();
    for (_, value) in store.scan(Table::Lines, reference, None, usize::MAX)? {
        let mut row = FieldReader::open("line", VERSION, &value)?;
        let (ids, rest) = row.rest().as_chunks();
        if !rest.is_empty() {
            return Err(row.bad().into());
        }
        known.extend(ids);
    }
    Ok(known)
}

/// Remembers lines of a reference, which are not known yet.
pub(crate) fn remember(batch: &mut Batch, reference: &[u8; 16], lines: &[ShortId]) {
    if let Some(first) = lines.first() {
        let key = [reference.as_slice(), first].concat();
        let row = FieldWriter::new(VERSION)
            .fixed(lines.as_flattened())
            .finish();
        batch.put(Table::Lines, key, row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_known_under_their_reference_alone_and_from_every_commit() {
        let store = Store::memory();
        for lines in [[[1; 16], [2; 16]], [[3; 16], [4; 16]]] {
            let mut batch = Batch::new();
            remember(&mut batch, &[7; 16], &lines);
            remember(&mut batch, &[8; 16], &[]);
            store.commit(batch).unwrap();
        }
        let expected: BTreeSet<_> = (1..=4).map(|byte| [byte; 16]).collect();
        assert_eq!(known(&store, &[7; 16]).unwrap(), expected);
        assert_eq!(known(&store, &[8; 16]).unwrap(), BTreeSet::new());
    }
}

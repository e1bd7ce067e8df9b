//! Which lines were imported already: told apart by a keyed hash, under their record's reference.
//!
//! Key: keyed hash of the reference 16, first line 16. Value: version, every line 16; each of a line a
//! keyed hash of the reference's and the first 16 bytes of its id, so that without the key no guess at a
//! line can be tested. One row for the lines of one record in one window.

use std::collections::BTreeSet;

use raccordo_crdt_model::LineId;

use super::core::ReadFailed;
use super::fields::{FieldReader, FieldWriter};
use crate::store::seal::Vault;
use crate::store::{Batch, Store, Table};

const VERSION: u8 = 3;
/// Rows that hold the lines' ids as they are.
const PLAIN_VERSION: u8 = 2;
/// Rows that are written anew in one commit.
const ROWS_AT_ONCE: usize = 1_024;

/// Enough to tell lines of one reference apart.
pub(crate) type ShortId = [u8; 16];

/// What stands for a line in the rows of its reference.
pub(crate) fn short(vault: &Vault, reference: &[u8; 16], id: &LineId) -> ShortId {
    let plain = id.as_bytes().first_chunk().expect("32 bytes begin with 16");
    keyed(vault, reference, plain)
}

/// The lines of a reference that were imported before.
pub(crate) fn known(store: &Store, reference: &[u8; 16]) -> Result<BTreeSet<ShortId>, ReadFailed> {
    let mut known = BTreeSet::new();
    for (_, value) in store.scan(Table::Lines, reference, None, usize::MAX)? {
        known.extend(ids(VERSION, &value)?);
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

/// Writes the rows anew that hold lines' ids as they are; says how many there were.
pub(crate) fn close(store: &Store, vault: &Vault) -> Result<usize, ReadFailed> {
    let mut closed = 0;
    let mut after: Option<Vec<u8>> = None;
    loop {
        let rows = store.scan(Table::Lines, &[], after.as_deref(), ROWS_AT_ONCE)?;
        let mut batch = Batch::new();
        for (key, value) in &rows {
            let Some(reference) = key.first_chunk().filter(|_| is_plain(value)) else {
                continue;
            };
            let lines: Vec<ShortId> = ids(PLAIN_VERSION, value)?
                .iter()
                .map(|plain| keyed(vault, reference, plain))
                .collect();
            batch.delete(Table::Lines, key.clone());
            remember(&mut batch, reference, &lines);
            closed += 1;
        }
        if !batch.is_empty() {
            store.commit(batch)?;
        }
        match rows.into_iter().last() {
            Some((key, _)) => after = Some(key),
            None => return Ok(closed),
        }
    }
}

fn is_plain(row: &[u8]) -> bool {
    row.first() == Some(&PLAIN_VERSION)
}

fn ids(version: u8, row: &[u8]) -> Result<Vec<ShortId>, ReadFailed> {
    let mut row = FieldReader::open("line", version, row)?;
    let (ids, rest) = row.rest().as_chunks();
    if !rest.is_empty() {
        return Err(row.bad().into());
    }
    Ok(ids.to_vec())
}

fn keyed(vault: &Vault, reference: &[u8; 16], plain: &ShortId) -> ShortId {
    vault.keyed_hash("line", &[*reference, *plain].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemEntropy;

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

    #[test]
    fn rows_with_plain_ids_are_written_anew_and_their_lines_stay_known() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(folder.path(), [1; 8], &SystemEntropy).unwrap();
        let store = Store::memory();
        let lines = [LineId::from_bytes([5; 32]), LineId::from_bytes([6; 32])];
        let plain: Vec<ShortId> = lines
            .iter()
            .map(|line| *line.as_bytes().first_chunk().unwrap())
            .collect();
        let mut batch = Batch::new();
        let row = FieldWriter::new(PLAIN_VERSION)
            .fixed(plain.as_flattened())
            .finish();
        batch.put(Table::Lines, [[7; 16], plain[0]].concat(), row);
        store.commit(batch).unwrap();
        assert_eq!(close(&store, &vault).unwrap(), 1);
        assert_eq!(close(&store, &vault).unwrap(), 0);
        let known = known(&store, &[7; 16]).unwrap();
        let expected = lines.iter().map(|line| short(&vault, &[7; 16], line));
        assert_eq!(known, expected.collect());
        assert!(plain.iter().all(|plain| !known.contains(plain)));
        let rows = store.scan(Table::Lines, &[], None, usize::MAX).unwrap();
        assert!(rows.iter().all(|(key, _)| key[16..] != plain[0]));
    }
}

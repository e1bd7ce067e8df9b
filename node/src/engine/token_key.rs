//! The key of blind tokens, one a year: made by a district's node when it first needs one, or handed
//! to it by another (`token_handing`); a coordination never has one.
//!
//! Of several keys of one year the one with the lowest id is used, wherever it was made and whenever
//! it is heard of. Kept sealed, one a year; the id stands beside it in plain and tells nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use raccordo_crdt_model::UnixMillis;

use crate::clock::draw;
use crate::store::{Row, Table};

use super::core::{Core, NODE_DOCUMENT, ReadFailed};
use super::draft::Draft;

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 32;
/// By what a key is known: a hash of it.
pub(crate) type KeyId = [u8; 16];
/// Meta keys of keys begin so; the year follows.
pub(crate) const HELD: &[u8] = b"year-key/";

/// The key of a year, made if there is none.
pub(crate) fn of_year(draft: &mut Draft<'_>, year: u32) -> Result<hmac::Key, ReadFailed> {
    let key = match held(draft, year)? {
        Some(key) => key,
        None => {
            let key: [u8; KEY_BYTES] = draw(&*draft.core.entropy);
            put(draft, year, &key);
            key
        }
    };
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &key))
}

/// The key of a year, if this node holds one.
pub(crate) fn held(draft: &Draft<'_>, year: u32) -> Result<Option<[u8; KEY_BYTES]>, ReadFailed> {
    let Some(row) = draft.get(Table::Meta, &row(year))? else {
        return Ok(None);
    };
    let sealed = row.get(size_of::<KeyId>()..).unwrap_or_default();
    let seal = &draft.core.node_seal;
    let key = seal.open(Table::Meta, NODE_DOCUMENT, &place(year), sealed)?;
    Ok(key.as_slice().try_into().ok())
}

/// Uses this key for a year from now on.
pub(crate) fn put(draft: &mut Draft<'_>, year: u32, key: &[u8; KEY_BYTES]) {
    let core: &Core = draft.core;
    let id = id_of(year, key);
    let nonce = draw(&*core.entropy);
    let seal = &core.node_seal;
    let sealed = seal.seal(Table::Meta, NODE_DOCUMENT, &place(year), key, nonce);
    let value = [id.as_slice(), &sealed].concat();
    draft.batch.put(Table::Meta, row(year), value);
    Arc::make_mut(&mut draft.ledger.held_keys).insert(year, id);
}

/// By what a key is known to all, also to those who do not hold it: 256 drawn bits cannot be found
/// from it.
pub(crate) fn id_of(year: u32, key: &[u8; KEY_BYTES]) -> KeyId {
    let told = [b"raccordo-token-key-id-1\0", &year.to_be_bytes()[..], key].concat();
    let hash = digest(&SHA256, &told);
    let id = hash.as_ref().first_chunk();
    *id.expect("SHA-256 gives 32 bytes")
}

/// Which keys are held, from the rows of [`HELD`].
pub(crate) fn read(rows: Vec<Row>) -> BTreeMap<u32, KeyId> {
    let ids = rows.into_iter().filter_map(|(key, value)| {
        let year = u32::from_be_bytes(key.get(HELD.len()..)?.try_into().ok()?);
        Some((year, *value.first_chunk()?))
    });
    ids.collect()
}

/// The year of a moment in unix ms, UTC.
pub(crate) fn year_of(at_ms: i64) -> u32 {
    let date = UnixMillis(at_ms).to_string();
    let year = date.split('-').next().and_then(|year| year.parse().ok());
    year.unwrap_or(0)
}

fn row(year: u32) -> Vec<u8> {
    [HELD, &year.to_be_bytes()].concat()
}

/// What the sealed key is bound to.
fn place(year: u32) -> [u8; 32] {
    let mut place = [0; 32];
    let label = row(year);
    place[..label.len()].copy_from_slice(&label);
    place
}

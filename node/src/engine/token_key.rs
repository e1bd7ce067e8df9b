//! The key of blind tokens, one a year: here is where it comes from, and nowhere else.
//!
//! A district's node makes it, sealed at rest; a coordination never has one. It has to be the same at
//! all districts for their tokens to be comparable: handing it from node to node, sealed to the
//! receiving node's key, goes in by [`put`]. A key that came from elsewhere replaces one that was made
//! here only while no token was made with it.

use aws_lc_rs::hmac;

use crate::clock::draw;
use crate::store::Table;

use super::core::{Core, NODE_DOCUMENT, ReadFailed};
use super::draft::Draft;

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 32;

/// The key of a year, made if there is none.
pub(crate) fn of_year(draft: &mut Draft<'_>, year: i32) -> Result<hmac::Key, ReadFailed> {
    if let Some(sealed) = draft.get(Table::Meta, &row(year))? {
        let key = draft
            .core
            .node_seal
            .open(Table::Meta, NODE_DOCUMENT, &place(year), &sealed)?;
        return Ok(hmac::Key::new(hmac::HMAC_SHA256, &key));
    }
    let key: [u8; KEY_BYTES] = draw(&*draft.core.entropy);
    put(draft, year, &key);
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &key))
}

/// Keeps the key of a year.
pub(crate) fn put(draft: &mut Draft<'_>, year: i32, key: &[u8; KEY_BYTES]) {
    let core: &Core = draft.core;
    let nonce = draw(&*core.entropy);
    let sealed = core
        .node_seal
        .seal(Table::Meta, NODE_DOCUMENT, &place(year), key, nonce);
    draft.batch.put(Table::Meta, row(year), sealed);
}

fn row(year: i32) -> Vec<u8> {
    format!("token-key/{year}").into_bytes()
}

/// What the sealed key is bound to.
fn place(year: i32) -> [u8; 32] {
    let mut place = [0; 32];
    let label = row(year);
    place[..label.len()].copy_from_slice(&label);
    place
}

//! After an erasure: document keys are wrapped anew, and the key that wrapped the erased one is destroyed.
//!
//! A log-structured store keeps old bytes, and so do copies of it; without the epoch's key they say
//! nothing. Done at the start, before anything is read; a kill at any point leaves work for the next.

use crate::clock::Entropy;
use crate::store::seal::Vault;
use crate::store::{Batch, Condition, Store, Table};

use super::core::ReadFailed;
use super::fields::BadRow;

/// Meta key: something was erased since keys were last wrapped anew.
pub(crate) const DUE: &[u8] = b"shredding-due";
/// Keys that one commit wraps.
const KEYS_AT_ONCE: usize = 1_000;

/// Notes that keys are to be wrapped anew.
pub(crate) fn note(batch: &mut Batch) {
    batch.put(Table::Meta, DUE, Vec::new());
}

/// Wraps all keys anew and destroys the older epochs, if something was erased; says whether.
pub(crate) fn run(
    store: &Store,
    vault: &mut Vault,
    entropy: &dyn Entropy,
) -> Result<bool, ReadFailed> {
    if store.condition() != Condition::Healthy || store.get(Table::Meta, DUE)?.is_none() {
        return Ok(false);
    }
    vault.begin_epoch(entropy)?;
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = store.scan(Table::Keys, &[], after.as_deref(), KEYS_AT_ONCE)?;
        let mut batch = Batch::new();
        for (key, wrapped) in &page {
            let document = key
                .as_slice()
                .try_into()
                .map_err(|_| BadRow { row: "key", at: 0 })?;
            let again = vault.rewrap(document, wrapped, entropy)?;
            batch.put(Table::Keys, key.clone(), again);
        }
        store.commit(batch)?;
        match page.last() {
            Some((key, _)) if page.len() == KEYS_AT_ONCE => after = Some(key.clone()),
            _ => break,
        }
    }
    vault.destroy_older_epochs()?;
    let mut batch = Batch::new();
    batch.delete(Table::Meta, DUE);
    store.commit(batch)?;
    Ok(true)
}

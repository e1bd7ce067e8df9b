//! All that a node's folder holds, opened with the keys at hand, for tests that search it for what
//! must not be there.

use std::path::Path;
use std::sync::Arc;

use raccordo_crdt_model::DocumentId;

use super::super::core::{Core, NODE_DOCUMENT};
use super::super::draft::Draft;
use super::super::entry_run::{self, BodyPlace};
use super::super::rows::ListRow;
use super::super::{node, reasons, token_key, tombstone};
use crate::clock::{SystemClock, SystemEntropy};
use crate::store::Table;

/// Every row of every table of the node in this folder, as stored and as far as its keys open it:
/// bodies, records, histories, search words, audit events, reasons. The node must not run.
pub fn opened(data: &Path) -> Result<Vec<Vec<u8>>, Box<dyn std::error::Error + Send + Sync>> {
    let config = raccordo_config::load(&data.join("raccordo.toml"))?;
    let clock = Arc::new(SystemClock::start());
    let core = node::open(data.to_owned(), config, clock, Arc::new(SystemEntropy))?;
    let mut all = Vec::new();
    for table in Table::ALL {
        for (key, value) in core.store.scan(table, &[], None, usize::MAX)? {
            let inner = open_row(&core, table, &key, &value)?;
            all.extend([key, value].into_iter().chain(inner));
        }
    }
    Ok(all)
}

/// The keys of tokens that the node in this folder holds. The node must not run.
pub fn token_keys(data: &Path) -> Result<Vec<[u8; 32]>, Box<dyn std::error::Error + Send + Sync>> {
    let config = raccordo_config::load(&data.join("raccordo.toml"))?;
    let clock = Arc::new(SystemClock::start());
    let core = node::open(data.to_owned(), config, clock, Arc::new(SystemEntropy))?;
    let draft = Draft::new(&core);
    let years = core.ledger().held_keys.keys().copied().collect::<Vec<_>>();
    let mut keys = Vec::new();
    for year in years {
        keys.extend(token_key::held(&draft, year)?);
    }
    Ok(keys)
}

fn open_row(
    core: &Core,
    table: Table,
    key: &[u8],
    value: &[u8],
) -> Result<Vec<Vec<u8>>, Box<dyn std::error::Error + Send + Sync>> {
    let id = |bytes: &[u8]| bytes.try_into().ok().map(DocumentId::from_bytes);
    let mut all = Vec::new();
    match table {
        Table::Documents => {
            let id = id(key).ok_or("a document's key is its id")?;
            all.extend(core.change_bodies(id, &core.document_key(id)?)?);
            let document = core.look(id)?.ok_or("a row has a document")?;
            all.push(document.record().fields.to_string().into_bytes());
            all.push(format!("{:?}", document.history()).into_bytes());
            all.push(format!("{:?}", document.summary()).into_bytes());
        }
        Table::Rows => {
            let id = key.get(9..).and_then(id).ok_or("a row ends with its id")?;
            let sealed = ListRow::decode(value)?.sealed;
            let seal = core.document_key(id)?;
            all.push(seal.open(Table::Rows, *id.as_bytes(), &[0; 32], &sealed)?);
        }
        Table::Audit => {
            let (hash, sealed) = value.split_first_chunk().ok_or("an event has a hash")?;
            all.push(core.node_seal.open(table, NODE_DOCUMENT, hash, sealed)?);
        }
        Table::Entries => {
            for entry in entry_run::decode(key, value)? {
                if let BodyPlace::Here(body) = &entry.body {
                    let header = &entry.signed.header;
                    all.push(
                        tombstone::body_of(core, header, body).unwrap_or_else(|_| body.clone()),
                    );
                }
            }
        }
        Table::Meta => {
            let id = key.strip_prefix(reasons::KEPT).and_then(id);
            let reason = id.map(|id| reasons::of(core, id)).transpose()?.flatten();
            all.extend(reason.map(String::into_bytes));
        }
        _ => {}
    }
    Ok(all)
}

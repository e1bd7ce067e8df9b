//! The floors under the figures: Automerge alone and the store alone, on the same work.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, anyhow, ensure};
use automerge::transaction::{Transactable as _, Transaction};
use automerge::{
    Automerge, Change, ObjId, ObjType, Prop, ROOT, ReadDoc as _, ScalarValue, hydrate,
};
use raccordo_node::store::{Batch, Options, Store, Table};
use raccordo_transport::{PeerId, SignedEntry, SignedHeader, verify, verify_signature};
use serde_json::Value;

use super::entries::Log;
use super::rows::{Row, batch};
use super::stopwatch::Stopwatch;

/// What stands before the header that an author signs.
const ENTRY_LABEL: &[u8] = b"raccordo-entry-1\0";
/// Bytes that are compressed together, and how hard.
const FRAME_BYTES: usize = 1 << 20;
const ZSTD_LEVEL: i32 = 3;

/// Seconds that Automerge alone takes for the lines: parse, create or edit, commit, take the
/// change; one thread, no rules, no disk.
pub(crate) fn automerge_alone(lines: &[String]) -> anyhow::Result<f64> {
    let mut documents: BTreeMap<String, Automerge> = BTreeMap::new();
    let mut bytes = 0;
    let watch = Stopwatch::start();
    for line in lines {
        let line: Value = serde_json::from_str(line)?;
        let reference = line["ref"].as_str().context("a line has a ref")?;
        let document = documents.entry(reference.to_owned()).or_default();
        let mut transaction = document.transaction();
        if line["op"] == "create" {
            let hydrate::Value::Map(root) = hydrated(&line["doc"]) else {
                return Err(anyhow!("a record is an object"));
            };
            transaction.init_root_from_hydrate(&root)?;
        } else {
            for step in line["patch"].as_array().context("a patch has steps")? {
                edit(
                    &mut transaction,
                    step["path"].as_str().unwrap_or_default(),
                    &step["value"],
                )?;
            }
        }
        transaction.commit();
        // An edit that sets what is there makes no change.
        bytes += document
            .get_last_local_change()
            .map_or(0, |change| change.raw_bytes().len());
    }
    let seconds = watch.seconds();
    std::hint::black_box((documents, bytes));
    Ok(seconds)
}

/// Seconds of verifying every entry and of applying them, all of a document at once; one thread.
pub(crate) fn verify_and_apply(logs: Vec<Log>) -> anyhow::Result<(f64, f64)> {
    let watch = Stopwatch::start();
    let mut verified = Vec::new();
    for log in logs {
        for entry in log.entries {
            verified.push(verified_body(entry, &log.signer)?);
        }
    }
    let verify_seconds = watch.seconds();
    let watch = Stopwatch::start();
    let mut documents: BTreeMap<[u8; 16], Vec<Change>> = BTreeMap::new();
    for (document, body) in verified {
        documents
            .entry(document)
            .or_default()
            .push(Change::from_bytes(body)?);
    }
    for changes in documents.into_values() {
        let mut document = Automerge::new();
        document.apply_changes(changes)?;
        std::hint::black_box(&document);
    }
    Ok((verify_seconds, watch.seconds()))
}

/// Seconds of verifying the later entries and applying them to documents that hold the log.
pub(crate) fn verify_and_add(log: Log, later: Vec<SignedEntry>) -> anyhow::Result<f64> {
    let mut documents = documents_of(vec![log.entries])?;
    let watch = Stopwatch::start();
    for entry in later {
        let (document, body) = verified_body(entry, &log.signer)?;
        let document = documents.get_mut(&document).context("it is in the log")?;
        document.apply_changes([Change::from_bytes(body)?])?;
    }
    let seconds = watch.seconds();
    std::hint::black_box(documents);
    Ok(seconds)
}

/// The documents' saves and headers: what a new peer needs to hold and to prove them.
#[derive(Debug)]
pub(crate) struct Saves {
    signers: Vec<PeerId>,
    headers: Vec<Vec<SignedHeader>>,
    documents: Vec<Vec<u8>>,
}

impl Saves {
    /// Of every document of the logs.
    pub(crate) fn of(logs: Vec<Log>) -> anyhow::Result<Self> {
        let signers = logs.iter().map(|log| log.signer).collect();
        let headers = logs.iter().map(|log| {
            let entries = log.entries.iter();
            entries.map(SignedEntry::signed_header).collect()
        });
        let headers = headers.collect();
        let documents = documents_of(logs.into_iter().map(|log| log.entries).collect())?;
        let documents = documents.into_values();
        let documents = documents
            .map(|document| document.save_nocompress())
            .collect();
        Ok(Self {
            signers,
            headers,
            documents,
        })
    }

    /// Seconds of verifying every header and of loading every save, one thread.
    pub(crate) fn verify_and_load(&self) -> anyhow::Result<(f64, f64)> {
        let watch = Stopwatch::start();
        for (signer, headers) in self.signers.iter().zip(&self.headers) {
            for signed in headers {
                let message = [ENTRY_LABEL, &signed.header.to_bytes()].concat();
                ensure!(
                    verify_signature(signer, &message, &signed.signature),
                    "the signature holds"
                );
            }
        }
        let verified = watch.seconds();
        let watch = Stopwatch::start();
        for save in &self.documents {
            std::hint::black_box(Automerge::load(save)?);
        }
        Ok((verified, watch.seconds()))
    }

    /// Bytes of the saves, as they are and in zstd -3, and of the signatures.
    pub(crate) fn bytes(&self) -> anyhow::Result<(usize, usize, usize)> {
        let raw = self.documents.iter().map(Vec::len).sum();
        let saves: Vec<&[u8]> = self.documents.iter().map(Vec::as_slice).collect();
        let signatures = self.headers.iter().map(|headers| 64 * headers.len()).sum();
        Ok((raw, packed(&saves)?, signatures))
    }
}

/// Bytes of these in zstd -3, a mebibyte at a time, as they would cross a wire.
pub(crate) fn packed(parts: &[&[u8]]) -> anyhow::Result<usize> {
    let mut bytes = 0;
    let mut frame = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        frame.extend_from_slice(part);
        if frame.len() >= FRAME_BYTES || index + 1 == parts.len() {
            bytes += zstd::bulk::compress(&frame, ZSTD_LEVEL)?.len();
            frame.clear();
        }
    }
    Ok(bytes)
}

/// Seconds of committing these entries at once, header and body, in a store of its own.
pub(crate) fn commit_entries(folder: &Path, entries: &[SignedEntry]) -> anyhow::Result<f64> {
    let rows = entries.iter().flat_map(|entry| {
        let header = entry.header.to_bytes().to_vec();
        let key = [&entry.header.document[..], &entry.header.seq.to_be_bytes()].concat();
        let number = entry.header.seq.to_be_bytes().to_vec();
        [
            (Table::Entries, number, header),
            (Table::Changes, key, entry.body.clone().unwrap_or_default()),
        ]
    });
    commit_alone(folder, vec![rows.collect()])
}

fn documents_of(logs: Vec<Vec<SignedEntry>>) -> anyhow::Result<BTreeMap<[u8; 16], Automerge>> {
    let mut changes: BTreeMap<[u8; 16], Vec<Change>> = BTreeMap::new();
    for entry in logs.into_iter().flatten() {
        let body = entry.body.context("a change has a body")?;
        let change = Change::from_bytes(body)?;
        changes
            .entry(entry.header.document)
            .or_default()
            .push(change);
    }
    let mut documents = BTreeMap::new();
    for (id, changes) in changes {
        let mut document = Automerge::new();
        document.apply_changes(changes)?;
        documents.insert(id, document);
    }
    Ok(documents)
}

/// Seconds of committing these rows, so many batches as given, in a store of its own.
pub(crate) fn commit_alone(folder: &Path, batches: Vec<Vec<Row>>) -> anyhow::Result<f64> {
    let store = Store::open(folder, &Options::default())?;
    let batches: Vec<Batch> = batches.into_iter().map(batch).collect();
    let watch = Stopwatch::start();
    for batch in batches {
        store.commit(batch)?;
    }
    Ok(watch.seconds())
}

fn verified_body(entry: SignedEntry, signer: &PeerId) -> anyhow::Result<([u8; 16], Vec<u8>)> {
    let entry = verify(entry, signer)
        .map_err(|bad| anyhow!("{bad:?}"))?
        .into_inner();
    Ok((entry.header.document, entry.body.unwrap_or_default()))
}

fn edit(transaction: &mut Transaction<'_>, path: &str, value: &Value) -> anyhow::Result<()> {
    let (parents, key) = path.rsplit_once('/').context("a path has a key")?;
    let mut object = ROOT;
    for name in parents.split('/').skip(1) {
        let (_, child) = transaction
            .get(&object, name)?
            .with_context(|| format!("{path} leads nowhere"))?;
        object = child;
    }
    put(transaction, &object, key.into(), value)
}

fn put(
    transaction: &mut Transaction<'_>,
    object: &ObjId,
    key: Prop,
    value: &Value,
) -> anyhow::Result<()> {
    match value {
        Value::Object(members) => {
            let inner = transaction.put_object(object, key, ObjType::Map)?;
            for (name, value) in members {
                put(transaction, &inner, name.as_str().into(), value)?;
            }
        }
        Value::Array(items) => {
            let inner = transaction.put_object(object, key, ObjType::List)?;
            for (index, item) in items.iter().enumerate() {
                transaction.insert(&inner, index, scalar(item))?;
            }
        }
        leaf => transaction.put(object, key, scalar(leaf))?,
    }
    Ok(())
}

fn hydrated(value: &Value) -> hydrate::Value {
    match value {
        Value::Object(members) => {
            let mut map = hydrate::Map::default();
            for (name, member) in members {
                map.insert(
                    name.clone(),
                    hydrate::MapValue {
                        value: hydrated(member),
                        conflict: false,
                    },
                );
            }
            hydrate::Value::Map(map)
        }
        Value::Array(items) => {
            hydrate::Value::List(items.iter().map(hydrated).collect::<Vec<_>>().into())
        }
        leaf => hydrate::Value::Scalar(scalar(leaf)),
    }
}

fn scalar(value: &Value) -> ScalarValue {
    match value {
        Value::Bool(truth) => ScalarValue::Boolean(*truth),
        Value::String(text) => ScalarValue::Str(text.as_str().into()),
        Value::Number(number) => number.as_i64().map_or(ScalarValue::Null, ScalarValue::Int),
        Value::Null | Value::Array(_) | Value::Object(_) => ScalarValue::Null,
    }
}

//! The floors under the figures: Automerge alone and the store alone, on the same work.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use automerge::transaction::{Transactable as _, Transaction};
use automerge::{
    Automerge, Change, ObjId, ObjType, Prop, ROOT, ReadDoc as _, ScalarValue, hydrate,
};
use raccordo_node::store::{Batch, Options, Store};
use raccordo_transport::{PeerId, SignedEntry, verify};
use serde_json::Value;

use super::entries::Log;
use super::rows::{Row, batch};
use super::stopwatch::Stopwatch;

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

//! Changes from a store or from others, joined with those held.
//!
//! Foreign changes passed the gate one by one; here they must fit the document (`fit`). They are
//! applied to a copy, inside a catch of panics, and refused unless Automerge would encode them as
//! they came: a change that it encodes otherwise would make the document unreadable once saved.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::{Automerge, ChangeHash, ROOT, ReadDoc as _};

use super::create::{HOME, KIND, SCHEMA};
use super::fit::Fit;
use super::{Document, Unreadable};
use crate::gate::{CheckedChange, Refused};
use crate::schema::Kind;
use crate::value::DocumentId;

/// Longest path of a territory accepted, in bytes.
const TERRITORY_MAX: usize = 256;

pub(super) fn open(id: DocumentId, changes: &[Vec<u8>]) -> Result<Document, Unreadable> {
    let mut decoded = Vec::with_capacity(changes.len());
    for (index, bytes) in changes.iter().enumerate() {
        let change = automerge::Change::try_from(bytes.as_slice());
        decoded.push(change.map_err(|error| Unreadable::Change {
            index,
            reason: error.to_string(),
        })?);
    }
    let unreadable = |reason: String| Unreadable::Document { reason };
    let mut document = Document::empty(id);
    let Some(first) = decoded.first().map(automerge::Change::hash) else {
        return Ok(document);
    };
    let applied = catch_unwind(AssertUnwindSafe(|| {
        document.automerge.apply_changes(decoded)
    }));
    match applied {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(unreadable(error.to_string())),
        Err(_) => return Err(unreadable("the library failed on them".to_owned())),
    }
    let held = document.automerge.stats().num_changes;
    if held != changes.len() as u64 {
        let reason = format!(
            "{} changes, of which only {held} fit together",
            changes.len()
        );
        return Err(unreadable(reason));
    }
    found(&mut document, first).map_err(unreadable)?;
    document.changed(held);
    Ok(document)
}

pub(super) fn absorb(document: &Document, changes: &[CheckedChange]) -> Result<Document, Refused> {
    let mut fit = Fit::of(&document.automerge);
    let mut new = Vec::new();
    for (index, change) in changes.iter().enumerate() {
        if fit.admit(index, change.decoded())? {
            new.push((index, change));
        }
    }
    match joined(document, &new) {
        // Which of them it is that fails is found by taking them one by one.
        Err(_) if new.len() > 1 => {
            let mut copy = document.clone();
            for change in new {
                copy = joined(&copy, &[change])?;
            }
            Ok(copy)
        }
        result => result,
    }
}

/// A copy of the document that holds these changes, too; each fits.
fn joined(document: &Document, new: &[(usize, &CheckedChange)]) -> Result<Document, Refused> {
    let mut copy = document.clone();
    let Some((index, first)) = new.first() else {
        return Ok(copy);
    };
    let first = first.decoded().hash();
    let joined = catch_unwind(AssertUnwindSafe(|| {
        join(&mut copy, new)?;
        if document.changes == 0 {
            found(&mut copy, first).map_err(|reason| Refused::unfit(*index, reason))?;
        }
        copy.changed(new.len() as u64);
        // Showing it once here means that no later showing of it can fail.
        copy.summary();
        Ok(())
    }));
    match joined {
        Ok(Ok(())) => Ok(copy),
        Ok(Err(refused)) => Err(refused),
        Err(_) => Err(Refused::unfit(*index, "the change makes the library fail")),
    }
}

/// Applies the changes and compares what Automerge makes of them with what arrived.
fn join(copy: &mut Document, new: &[(usize, &CheckedChange)]) -> Result<(), Refused> {
    let before = copy.automerge.get_heads();
    let decoded = new.iter().map(|(_, change)| change.decoded().clone());
    let applied = copy.automerge.apply_changes(decoded.collect::<Vec<_>>());
    applied
        .map_err(|error| Refused::unfit(new[0].0, format!("the changes do not apply: {error}")))?;
    let encoded: BTreeMap<ChangeHash, automerge::Change> = copy
        .automerge
        .get_changes(&before)
        .into_iter()
        .map(|change| (change.hash(), change))
        .collect();
    for (index, change) in new {
        let arrived = change.decoded();
        let same = encoded
            .get(&arrived.hash())
            .is_some_and(|encoded| encoded.raw_bytes() == arrived.raw_bytes());
        if !same {
            let reason = "the change is not encoded as it would be here";
            return Err(Refused::unfit(*index, reason));
        }
    }
    Ok(())
}

pub(super) fn survives_saving(automerge: &Automerge) -> bool {
    let again = catch_unwind(AssertUnwindSafe(|| {
        let loaded = Automerge::load(&automerge.save_nocompress()).ok()?;
        let mut made = Automerge::new();
        made.apply_changes(loaded.get_changes(&[])).ok()?;
        Some((loaded, made))
    }));
    let Ok(Some((loaded, made))) = again else {
        return false;
    };
    let (heads, shown) = (automerge.get_heads(), automerge.hydrate(None));
    [loaded, made]
        .iter()
        .all(|other| other.get_heads() == heads && other.hydrate(None) == shown)
}

/// Reads what the first change founds: kind, home and whether the record stays there.
pub(super) fn found(document: &mut Document, first: ChangeHash) -> Result<(), String> {
    let at = [first];
    let text = |name: &str| {
        let value = document.automerge.get_at(ROOT, name, &at).ok().flatten();
        value.and_then(|(value, _)| value.as_str().map(str::to_owned))
    };
    let kind = text(KIND).as_deref().and_then(Kind::from_singular);
    let kind = kind.ok_or("the first change names no kind of record known here")?;
    let territory = text(HOME)
        .filter(|home| !home.is_empty() && home.len() <= TERRITORY_MAX)
        .ok_or("the first change names no home territory")?;
    let local = kind.stays_home(text("sharing").as_deref());
    let schema = document.automerge.get_at(ROOT, SCHEMA, &at).ok().flatten();
    let version = schema.and_then(|(value, _)| value.as_i64());
    if version.is_none_or(|version| version < 1) {
        return Err("the first change names no version of the table of fields".to_owned());
    }
    document.kind = kind;
    document.territory = territory;
    document.local = local;
    Ok(())
}

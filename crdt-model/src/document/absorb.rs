//! Changes from a store or from others, joined with those held.
//!
//! Foreign changes passed the gate one by one; here they must fit the document: contiguous for
//! their actor, after all they depend on, numbered right. They are applied to a copy, inside a
//! catch of panics, and refused unless Automerge would encode them as they came: a change that it
//! encodes otherwise would make the document unreadable once saved.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::{Automerge, ChangeHash, ROOT, ReadDoc as _};

use super::create::{HOME, KIND, SCHEMA};
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
        let is_new = fit.admit(index, change.decoded())?;
        if is_new {
            new.push((index, change));
        }
    }
    let mut copy = document.clone();
    let Some((_, first)) = new.first() else {
        return Ok(copy);
    };
    let first = first.decoded().hash();
    let joined = catch_unwind(AssertUnwindSafe(|| {
        join(&mut copy, &new)?;
        if document.changes == 0 {
            found(&mut copy, first).map_err(|reason| Refused::unfit(0, reason))?;
        }
        copy.changed(new.len() as u64);
        // Showing it once here means that no later showing of it can fail.
        copy.summary();
        Ok(())
    }));
    match joined {
        Ok(Ok(())) => Ok(copy),
        Ok(Err(refused)) => Err(refused),
        Err(_) => Err(Refused::unfit(
            new[0].0,
            "the change makes the library fail",
        )),
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
        Automerge::load(&automerge.save_nocompress()).map(|loaded| loaded.get_heads())
    }));
    matches!(again, Ok(Ok(heads)) if heads == automerge.get_heads())
}

/// Reads what the first change founds: kind, home and whether the record stays there.
fn found(document: &mut Document, first: ChangeHash) -> Result<(), String> {
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

/// What a next change must fit.
struct Fit {
    /// Highest operation number of each change held.
    held: BTreeMap<ChangeHash, u64>,
    /// Last sequence number of each actor.
    sequences: BTreeMap<Vec<u8>, u64>,
}

impl Fit {
    fn of(automerge: &Automerge) -> Self {
        let mut fit = Self {
            held: BTreeMap::new(),
            sequences: BTreeMap::new(),
        };
        for change in automerge.get_changes_meta(&[]) {
            fit.held.insert(change.hash, change.max_op);
            let last = fit
                .sequences
                .entry(change.actor.to_bytes().to_vec())
                .or_default();
            *last = (*last).max(change.seq);
        }
        fit
    }

    /// Takes the change at `index` of a batch in, if it fits; `false` if it is held already.
    fn admit(&mut self, index: usize, change: &automerge::Change) -> Result<bool, Refused> {
        if self.held.contains_key(&change.hash()) {
            return Ok(false);
        }
        let unfit = |reason: String| Refused::unfit(index, reason);
        let mut start = 1;
        for dep in change.deps() {
            let hash = crate::value::ChangeHash::from_bytes(dep.0);
            let max_op = self.held.get(dep).ok_or(Refused::Absent { index, hash })?;
            start = start.max(max_op + 1);
        }
        if change.deps().is_empty() != self.held.is_empty() {
            let reason = "only the first change of a document depends on nothing";
            return Err(Refused::unfit(index, reason));
        }
        if change.start_op().get() != start {
            return Err(unfit(format!(
                "the change numbers its operations from {}, only {start} is allowed",
                change.start_op()
            )));
        }
        let actor = change.actor_id().to_bytes();
        let allowed = self.sequences.get(actor).copied().unwrap_or(0) + 1;
        if change.seq() != allowed {
            return Err(unfit(format!(
                "the change is number {} of its actor, only {allowed} is allowed",
                change.seq()
            )));
        }
        for other in change.other_actor_ids() {
            if !self.sequences.contains_key(other.to_bytes()) {
                let reason = format!("the change names the actor {other}, which is not held");
                return Err(unfit(reason));
            }
        }
        self.sequences.insert(actor.to_vec(), change.seq());
        self.held.insert(change.hash(), change.max_op());
        Ok(true)
    }
}

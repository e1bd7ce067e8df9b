//! Whether a change fits a document: a question of the change and of what it depends on, so that
//! every node answers it alike, whatever else it holds.
//!
//! It comes after the changes that it names, and after its actor's own last one; numbers itself
//! and its operations next; and all that its operations name is there (`sense`).

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::{Automerge, ChangeHash};

use super::sense::{Author, Sense};
use crate::gate::Refused;

/// What a next change must fit.
pub(super) struct Fit<'a> {
    known: BTreeMap<ChangeHash, Known>,
    /// The changes that no other comes after.
    tips: BTreeSet<ChangeHash>,
    actors: BTreeMap<Vec<u8>, usize>,
    /// The last change of each actor.
    last: Past,
    sense: Sense<'a>,
}

/// A change that is held.
struct Known {
    actor: usize,
    reach: Reach,
    dependencies: Vec<ChangeHash>,
}

/// How far an actor's changes go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reach {
    pub(super) sequence: u64,
    /// The last operation.
    pub(super) operation: u64,
}

/// How far each actor's changes go in what comes before a change.
#[derive(Debug, Clone, Default)]
pub(super) struct Past(Vec<Reach>);

impl Past {
    /// How far this actor's changes go.
    pub(super) fn of(&self, actor: usize) -> Reach {
        self.0.get(actor).copied().unwrap_or_default()
    }

    fn extend(&mut self, actor: usize, reach: Reach) {
        if self.0.len() <= actor {
            self.0.resize(actor + 1, Reach::default());
        }
        self.0[actor] = self.0[actor].max(reach);
    }
}

impl<'a> Fit<'a> {
    pub(super) fn of(document: &'a Automerge) -> Self {
        let mut fit = Self {
            known: BTreeMap::new(),
            tips: BTreeSet::new(),
            actors: BTreeMap::new(),
            last: Past::default(),
            sense: Sense::of(document),
        };
        for change in document.get_changes_meta(&[]) {
            let actor = fit.actor(change.actor.to_bytes());
            let reach = Reach {
                sequence: change.seq,
                operation: change.max_op,
            };
            fit.hold(change.hash, actor, reach, change.deps);
        }
        fit
    }

    /// The changes that no other comes after, in the order of their hashes.
    pub(super) fn tips(&self) -> impl Iterator<Item = &ChangeHash> {
        self.tips.iter()
    }

    fn actor(&mut self, bytes: &[u8]) -> usize {
        if let Some(place) = self.actors.get(bytes) {
            return *place;
        }
        let next = self.actors.len();
        self.actors.insert(bytes.to_vec(), next);
        next
    }

    fn hold(&mut self, hash: ChangeHash, actor: usize, reach: Reach, deps: Vec<ChangeHash>) {
        for dep in &deps {
            self.tips.remove(dep);
        }
        self.tips.insert(hash);
        self.last.extend(actor, reach);
        let known = Known {
            actor,
            reach,
            dependencies: deps,
        };
        self.known.insert(hash, known);
    }

    /// What these changes and all before them hold.
    fn past(&self, of: &[ChangeHash]) -> Past {
        if of.len() == self.tips.len() && of.iter().all(|hash| self.tips.contains(hash)) {
            return self.last.clone();
        }
        let mut past = Past::default();
        let mut seen: BTreeSet<ChangeHash> = of.iter().copied().collect();
        let mut waiting = of.to_vec();
        while let Some(known) = waiting.pop().and_then(|hash| self.known.get(&hash)) {
            past.extend(known.actor, known.reach);
            waiting.extend(known.dependencies.iter().filter(|dep| seen.insert(**dep)));
        }
        past
    }

    /// Takes the change at `index` of a batch in, if it fits; `false` if it is held already.
    pub(super) fn admit(
        &mut self,
        index: usize,
        change: &automerge::Change,
    ) -> Result<bool, Refused> {
        if self.known.contains_key(&change.hash()) {
            return Ok(false);
        }
        let unfit = |reason: String| Refused::unfit(index, reason);
        let mut start = 1;
        for dep in change.deps() {
            let hash = crate::value::ChangeHash::from_bytes(dep.0);
            let known = self.known.get(dep);
            let known = known.ok_or(Refused::Absent { index, hash })?;
            start = start.max(known.reach.operation + 1);
        }
        if change.deps().is_empty() != self.known.is_empty() {
            let reason = "only the first change of a document depends on nothing";
            return Err(Refused::unfit(index, reason));
        }
        if change.start_op().get() != start {
            return Err(unfit(format!(
                "the change numbers its operations from {}, only {start} is allowed",
                change.start_op()
            )));
        }
        let past = self.past(change.deps());
        let own = self.actor(change.actor_id().to_bytes());
        self.is_next(change.seq(), own, &past).map_err(unfit)?;
        for other in change.other_actor_ids() {
            let place = self.actors.get(other.to_bytes());
            if place.is_none_or(|place| past.of(*place).sequence == 0) {
                let reason = format!("the change names the actor {other}, which is not held");
                return Err(unfit(reason));
            }
        }
        let author = Author { own, past: &past };
        let sense = &mut self.sense;
        let actors = &self.actors;
        let checked = catch_unwind(AssertUnwindSafe(|| sense.check(change, author, actors)));
        checked
            .unwrap_or_else(|_| Err("the change makes the library fail".to_owned()))
            .map_err(unfit)?;
        let reach = Reach {
            sequence: change.seq(),
            operation: change.max_op(),
        };
        self.hold(change.hash(), own, reach, change.deps().to_vec());
        Ok(true)
    }

    /// An actor's changes form one line: each comes after the one before, and none beside it.
    fn is_next(&self, sequence: u64, own: usize, past: &Past) -> Result<(), String> {
        let allowed = self.last.of(own).sequence + 1;
        if sequence != allowed {
            return Err(format!(
                "the change is number {sequence} of its actor, only {allowed} is allowed"
            ));
        }
        if past.of(own).sequence + 1 != sequence {
            return Err("the change does not come after the one before of its actor".to_owned());
        }
        Ok(())
    }
}

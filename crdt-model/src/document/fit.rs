//! Whether a change fits a document: a question of the change and of what it depends on, so that
//! every node answers it alike, whatever else it holds.
//!
//! It comes after the changes that it names, and after its actor's own last one; numbers itself
//! and its operations next; and all that its operations name is there (`sense`).

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::{Automerge, ChangeHash};

use super::past::{Past, Reach};
use super::sense::{Author, Sense};
use crate::gate::Refused;

/// Most actors told of in all pasts that are kept; beyond it a past is found by walking.
const PASTS_MAX: usize = 1_000_000;

/// What a next change must fit.
pub(super) struct Fit<'a> {
    known: BTreeMap<ChangeHash, Known>,
    /// The changes that no other comes after.
    tips: BTreeSet<ChangeHash>,
    actors: BTreeMap<Vec<u8>, usize>,
    /// The last change of each actor, by its place.
    last: Vec<Reach>,
    /// Actors told of in the pasts that are kept.
    kept: usize,
    sense: Sense<'a>,
}

/// A change that is held.
struct Known {
    actor: usize,
    reach: Reach,
    dependencies: Vec<ChangeHash>,
    /// What a change comes after that depends on this one alone; `None` if it is not kept.
    past: Option<Past>,
}

impl<'a> Fit<'a> {
    pub(super) fn of(document: &'a Automerge) -> Self {
        let mut fit = Self {
            known: BTreeMap::new(),
            tips: BTreeSet::new(),
            actors: BTreeMap::new(),
            last: Vec::new(),
            kept: 0,
            sense: Sense::of(document),
        };
        for change in document.get_changes_meta(&[]) {
            let actor = fit.actor(change.actor.to_bytes());
            let reach = Reach {
                sequence: change.seq,
                operation: change.max_op,
            };
            let past = fit.past(&change.deps);
            fit.hold(change.hash, actor, reach, change.deps, &past);
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

    fn hold(
        &mut self,
        hash: ChangeHash,
        actor: usize,
        reach: Reach,
        deps: Vec<ChangeHash>,
        past: &Past,
    ) {
        for dep in &deps {
            self.tips.remove(dep);
        }
        self.tips.insert(hash);
        if self.last.len() <= actor {
            self.last.resize(actor + 1, Reach::default());
        }
        self.last[actor] = self.last[actor].max(reach);
        self.kept += past.width();
        let known = Known {
            actor,
            reach,
            dependencies: deps,
            past: (self.kept <= PASTS_MAX).then(|| past.with(actor, reach)),
        };
        self.known.insert(hash, known);
    }

    /// What a change comes after that depends on these.
    fn past(&self, of: &[ChangeHash]) -> Past {
        let mut past: Option<Past> = None;
        let mut walked = BTreeMap::<usize, Reach>::new();
        let mut seen: BTreeSet<ChangeHash> = of.iter().copied().collect();
        let mut waiting = of.to_vec();
        while let Some(known) = waiting.pop().and_then(|hash| self.known.get(&hash)) {
            match (&known.past, &past) {
                (Some(kept), Some(joined)) => past = Some(joined.and(kept)),
                (Some(kept), None) => past = Some(kept.clone()),
                (None, _) => {
                    let reach = walked.entry(known.actor).or_default();
                    *reach = (*reach).max(known.reach);
                    waiting.extend(known.dependencies.iter().filter(|dep| seen.insert(**dep)));
                }
            }
        }
        let mut past = past.unwrap_or_default();
        for (actor, reach) in walked {
            past = past.with(actor, past.of(actor).max(reach));
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
        self.hold(change.hash(), own, reach, change.deps().to_vec(), &past);
        Ok(true)
    }

    /// An actor's changes form one line: each comes after the one before, and none beside it.
    fn is_next(&self, sequence: u64, own: usize, past: &Past) -> Result<(), String> {
        let last = self.last.get(own).copied().unwrap_or_default();
        let allowed = last.sequence + 1;
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

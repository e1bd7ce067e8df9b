//! A whole document, as it comes in a parcel.
//!
//! Half of the mutated saves get the heads that their changes have, so that they get past the
//! comparison at which Automerge turns most of them away.

use std::panic::catch_unwind;

use automerge::{Automerge, ChangeHash};
use raccordo_crdt_model::{Document, SaveLimits, gate};
use raccordo_tests::chance::Chance;

use crate::chunk::{Chunk, put};
use crate::mutate::mutated;
use crate::target::{Answer, Target};
use crate::world::{World, id, sound};

/// The door of whole documents.
pub(crate) struct Snapshots {
    seeds: Vec<Vec<u8>>,
}

impl Snapshots {
    pub(crate) fn new() -> Self {
        let states = World::told()
            .stories
            .into_iter()
            .flat_map(|story| story.states);
        let saves = states.filter(|state| state.change_count() > 0);
        Self {
            seeds: saves.map(|state| state.to_save()).collect(),
        }
    }
}

impl Target for Snapshots {
    fn name(&self) -> &'static str {
        "save"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        self.seeds.clone()
    }

    fn heavy(&self) -> Vec<Vec<u8>> {
        let heavy = crate::heavy::changes().into_iter();
        heavy.map(|(_, save)| save).collect()
    }

    fn input(&self, chance: &mut Chance) -> Vec<u8> {
        let seed = chance.pick(&self.seeds);
        let bytes = mutated(chance, seed, &self.seeds);
        if chance.percent(50) {
            with_true_heads(&bytes).unwrap_or(bytes)
        } else {
            bytes
        }
    }

    fn feed(&self, input: &[u8]) -> Answer<'_> {
        let checked = gate::check_save(input.to_vec(), &SaveLimits::default());
        let read = checked.and_then(|save| Document::from_save(id(), &save));
        match read {
            Err(refused) => Answer::Refused(refused.reason()),
            Ok((document, _)) => {
                drop((document.record(), document.history()));
                Answer::is_in(move || sound(&document))
            }
        }
    }
}

/// The save with the heads of the changes that it holds, if the library can read them.
fn with_true_heads(bytes: &[u8]) -> Option<Vec<u8>> {
    // What the gate turns away could hang the library.
    gate::check_save(bytes.to_vec(), &SaveLimits::default()).ok()?;
    let mut chunk = Chunk::parse(bytes)?;
    let loaded = catch_unwind(|| {
        let document = Automerge::load_unverified_heads(bytes).ok()?;
        Some(document.get_changes(&[]))
    });
    let changes = loaded.ok()??;
    let used: Vec<ChangeHash> = changes
        .iter()
        .flat_map(|change| change.deps().to_vec())
        .collect();
    let heads = changes
        .iter()
        .enumerate()
        .map(|(place, change)| (change.hash(), place))
        .filter(|(hash, _)| !used.contains(hash));
    let mut heads: Vec<_> = heads.collect();
    heads.sort();
    chunk.hashes = heads.iter().map(|(hash, _)| hash.0.to_vec()).collect();
    chunk.rest.clear();
    for (_, place) in heads {
        put(&mut chunk.rest, place as u64);
    }
    Some(chunk.write())
}

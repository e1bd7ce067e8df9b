//! A change, as it comes in a signed entry: through the gate, then into a document.
//!
//! The first two bytes of an input choose the document that it is for.

use raccordo_crdt_model::{Document, gate};
use raccordo_tests::chance::Chance;

use crate::mutate::mutated;
use crate::target::{Answer, Target};
use crate::world::{World, signed, sound};

/// The door of changes.
pub(crate) struct Changes {
    /// Documents that a change may be for.
    states: Vec<Document>,
    /// The place of a state, the node that signs, and a change that fits.
    seeds: Vec<(u8, u8, Vec<u8>)>,
    donors: Vec<Vec<u8>>,
}

impl Changes {
    pub(crate) fn new() -> Self {
        let mut door = Self {
            states: Vec::new(),
            seeds: Vec::new(),
            donors: Vec::new(),
        };
        for story in World::told().stories {
            for (state, (node, change)) in story.states.into_iter().zip(story.changes) {
                let place = u8::try_from(door.states.len()).expect("few states");
                door.seeds.push((place, node, change.bytes.clone()));
                door.donors.push(change.bytes);
                door.states.push(state);
            }
        }
        door
    }
}

impl Target for Changes {
    fn name(&self) -> &'static str {
        "change"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let input = |(state, node, bytes): &(u8, u8, Vec<u8>)| framed(*state, *node, bytes);
        self.seeds.iter().map(input).collect()
    }

    fn heavy(&self) -> Vec<Vec<u8>> {
        let heavy = crate::heavy::changes().into_iter();
        heavy.map(|(change, _)| framed(0, 3, &change)).collect()
    }

    fn input(&self, chance: &mut Chance) -> Vec<u8> {
        let (state, node, bytes) = chance.pick(&self.seeds);
        framed(*state, *node, &mutated(chance, bytes, &self.donors))
    }

    fn feed(&self, input: &[u8]) -> Answer<'_> {
        let [state, node, bytes @ ..] = input else {
            return Answer::Refused("too short to choose a document".to_owned());
        };
        let Some(document) = self.states.get(usize::from(*state)) else {
            return Answer::Refused("for no document".to_owned());
        };
        let checked = gate::check(bytes.to_vec(), &signed(bytes), [*node; 8], [0xee; 8]);
        let absorbed = checked.and_then(|change| document.absorb(&[change]));
        match absorbed {
            Err(refused) => Answer::Refused(refused.reason()),
            Ok(document) => {
                drop((document.record(), document.history()));
                Answer::is_in(move || sound(&document))
            }
        }
    }
}

fn framed(state: u8, node: u8, bytes: &[u8]) -> Vec<u8> {
    [&[state, node], bytes].concat()
}

//! A patch, as a page or a program sends it, on the newest version or on an older one.
//!
//! The first byte of an input chooses the document and the version.

use raccordo_crdt_model::{Document, Heads, Patch};
use raccordo_tests::chance::Chance;
use serde_json::{Value, json};

use crate::json::mutated;
use crate::target::{Answer, Target};
use crate::world::{World, sound, stamp};

/// The door of patches.
pub(crate) struct Patches {
    /// A document, and a version of it unless it is edited as it is.
    states: Vec<(Document, Option<Heads>)>,
    seeds: Vec<Value>,
}

impl Patches {
    pub(crate) fn new() -> Self {
        let mut states = Vec::new();
        for story in World::told().stories {
            let newest = story.states[story.states.len() - 1].clone();
            states.push((newest.clone(), None));
            for older in &story.states {
                states.push((newest.clone(), Some(older.heads())));
            }
        }
        let seeds = vec![
            json!([{"op":"replace","path":"/state","value":"closed"},
                {"op":"add","path":"/outcome","value":{"code":"4","on":"2026-12-01"}}]),
            json!([{"op":"add","path":"/team/m2","value":{"body":"CPI","from":"2026-01-01"}},
                {"op":"remove","path":"/reviews/r1","reason":"due volte"}]),
            json!([{"op":"add","path":"/sub_areas/-","value":"giustizia"},
                {"op":"remove","path":"/sub_areas/0"},{"op":"test","path":"/need_area","value":"POV"}]),
            json!([{"op":"add","path":"/plans/social/goals/g1/reached","value":3}]),
            json!([{"op":"add","path":"/sections/s2","value":{"title":"Nuova"}},
                {"op":"add","path":"/bodies","value":["SSD"]},{"op":"replace","path":"/valid_from","value":"2026-02-01"}]),
            json!([{"op":"add","path":"/offers/o1/need_areas","value":["FAM"]},
                {"op":"remove","path":"/offers/o1"},{"op":"add","path":"/contacts","value":{}}]),
            json!([{"op":"add","path":"/free/a/1/0","value":{"x":[]}},{"op":"remove","path":"/free"}]),
        ];
        Self { states, seeds }
    }
}

impl Target for Patches {
    fn name(&self) -> &'static str {
        "patch"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let input = |seed: &Value| [&[0], seed.to_string().as_bytes()].concat();
        self.seeds.iter().map(input).collect()
    }

    fn input(&self, chance: &mut Chance) -> Vec<u8> {
        let state = chance.number().to_le_bytes()[0];
        let seed = chance.pick(&self.seeds);
        [&[state], mutated(chance, seed).as_slice()].concat()
    }

    fn feed(&self, input: &[u8]) -> Answer<'_> {
        let Some((state, text)) = input.split_first() else {
            return Answer::Refused("too short to choose a document".to_owned());
        };
        let (document, base) = &self.states[usize::from(*state >> 1) % self.states.len()];
        let Ok(patch) = serde_json::from_slice::<Value>(text) else {
            return Answer::Refused("not JSON".to_owned());
        };
        let patch = match Patch::parse(&patch) {
            Ok(patch) => patch,
            Err(problems) => return Answer::Refused(problems[0].code.to_owned()),
        };
        let mut edited = document.clone();
        let mut at = stamp(1, 100);
        at.imported = *state & 1 == 1;
        match edited.patch(&patch, base.as_ref(), &at) {
            Err(rejected) => {
                if edited.heads() == document.heads() && edited.record() == document.record() {
                    Answer::Refused(rejected.to_string())
                } else {
                    Answer::is_in(|| Err("a rejected patch altered the record".to_owned()))
                }
            }
            Ok(_) => Answer::is_in(move || sound(&edited)),
        }
    }
}

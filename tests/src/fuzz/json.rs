//! Mutations of JSON: of its tree, then now and then of its text.

use raccordo_tests::chance::Chance;
use serde_json::{Map, Value, json};

use crate::mutate::scramble;

/// Mutates a tree one to four times.
pub(crate) fn mutated(chance: &mut Chance, seed: &Value) -> Vec<u8> {
    let mut value = seed.clone();
    for _ in 0..=chance.index(4) {
        alter(chance, &mut value, 0);
    }
    let mut bytes = value.to_string().into_bytes();
    if chance.percent(15) {
        scramble(chance, &mut bytes);
    }
    bytes
}

fn alter(chance: &mut Chance, value: &mut Value, depth: usize) {
    let deeper = depth < 12 && chance.percent(if depth < 2 { 97 } else { 80 });
    match value {
        Value::Object(members) if deeper && !members.is_empty() => {
            let names: Vec<_> = members.keys().cloned().collect();
            let name = chance.pick(&names).clone();
            match chance.index(if depth == 0 { 60 } else { 12 }) {
                0 => drop(members.remove(&name)),
                1 => drop(members.insert(word(chance), odd(chance))),
                2 => {
                    let moved = members.remove(&name).unwrap_or_default();
                    members.insert(word(chance), moved);
                }
                _ => {
                    if let Some(member) = members.get_mut(&name) {
                        alter(chance, member, depth + 1);
                    }
                }
            }
        }
        Value::Array(items) if deeper && !items.is_empty() => {
            let at = chance.index(items.len());
            match chance.index(if depth == 0 { 12 } else { 6 }) {
                0 => drop(items.remove(at)),
                1 => items.insert(at, odd(chance)),
                2 => items.insert(at, items[at].clone()),
                _ => alter(chance, &mut items[at], depth + 1),
            }
        }
        Value::String(text) if chance.percent(50) => {
            let mut bytes = std::mem::take(text).into_bytes();
            scramble(chance, &mut bytes);
            *text = String::from_utf8_lossy(&bytes).into_owned();
        }
        value => *value = odd(chance),
    }
}

/// Names of members, pointers and codes, ours and others.
fn word(chance: &mut Chance) -> String {
    const WORDS: [&str; 27] = [
        "",
        "_home",
        "_meta",
        "removed",
        "state",
        "closed",
        "sharing",
        "local",
        "opened_on",
        "valid_from",
        "outcome",
        "team",
        "reviews",
        "/",
        "~",
        "/team/m1",
        "/sub_areas/-",
        "/sub_areas/0",
        "/state",
        "/outcome",
        "/free/a/1/0",
        "/plans/social/goals/g1/reached",
        "/sharing",
        "/_home",
        "/reviews/r1",
        "/bodies/0",
        "\u{0}\u{202e}\u{1f600}",
    ];
    match chance.index(8) {
        0 => "k".repeat(chance.index(5_000)),
        _ => (*chance.pick(&WORDS)).to_owned(),
    }
}

fn odd(chance: &mut Chance) -> Value {
    match chance.index(14) {
        0 => Value::Null,
        1 => json!(chance.number()),
        2 => json!(chance.number().cast_signed()),
        3 => json!(f64::from_bits(chance.number())),
        4 => json!([0.1, -0.0, 1e308, 5e-324][chance.index(4)]),
        5 => json!(chance.percent(50)),
        6 => Value::Array(vec![Value::Null; chance.index(9_000)]),
        7 => nested(chance.index(120), chance.percent(50)),
        8 => json!({"code": word(chance), "on": "2026-02-30"}),
        9 => json!(["2026-12-31", "0000-01-01", "9999-12-31", "2026-1-1"][chance.index(4)]),
        10 => {
            let member = |number| (format!("k{number}"), Value::from(number));
            Value::Object((0..chance.index(3_000)).map(member).collect::<Map<_, _>>())
        }
        11 => json!({"op": "remove", "path": word(chance), "reason": word(chance)}),
        _ => Value::String(word(chance)),
    }
}

fn nested(depth: usize, list: bool) -> Value {
    (0..depth).fold(Value::Null, |inner, _| {
        if list {
            json!([inner])
        } else {
            json!({"in": inner})
        }
    })
}

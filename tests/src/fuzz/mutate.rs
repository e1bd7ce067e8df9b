//! Mutations of a chunk: of its bytes, its runs, its rows and its head, one to four at a time.

use raccordo_tests::chance::Chance;

use crate::chunk::{Chunk, DOCUMENT, framed, put, put_signed};
use crate::table::{Field, Table};

/// Numbers at which things break.
const EDGES: [u64; 14] = [
    0,
    1,
    2,
    3,
    15,
    127,
    128,
    1_025,
    50_000,
    50_001,
    1 << 31,
    (1 << 32) - 1,
    1 << 36,
    u64::MAX,
];

/// Mutates one of the chunks; `donors` lend their columns and hashes.
pub(crate) fn mutated(chance: &mut Chance, seed: &[u8], donors: &[Vec<u8>]) -> Vec<u8> {
    let Some(mut chunk) = Chunk::parse(seed) else {
        let mut bytes = seed.to_vec();
        scramble(chance, &mut bytes);
        return bytes;
    };
    let donor = chance.pick(donors);
    for _ in 0..=chance.index(4).min(chance.index(4)) {
        match chance.index(10) {
            0..=4 => rows(chance, &mut chunk),
            5 | 6 => head(chance, &mut chunk, donor),
            7 => runs(chance, &mut chunk),
            8 => layout(chance, &mut chunk, donor),
            _ => {
                if let Some((_, data)) = column(chance, &mut chunk) {
                    scramble(chance, data);
                }
            }
        }
    }
    let mut bytes = chunk.write();
    match chance.index(40) {
        // Not repaired: what a broken disk or a careless attacker sends.
        0 => scramble(chance, &mut bytes),
        1 => {
            let kind = *chance.pick(&[0, 1, 2, 3, 9]);
            bytes = framed(kind, bytes.get(11..).unwrap_or_default());
        }
        2 => bytes.extend(seed),
        _ => {}
    }
    bytes
}

fn column<'a>(chance: &mut Chance, chunk: &'a mut Chunk) -> Option<&'a mut (u64, Vec<u8>)> {
    let group = chance.index(chunk.groups.len().max(1));
    let columns = chunk.groups.get_mut(group)?;
    let place = chance.index(columns.len().max(1));
    columns.get_mut(place)
}

/// Alters some bytes.
pub(crate) fn scramble(chance: &mut Chance, bytes: &mut Vec<u8>) {
    for _ in 0..=chance.index(3) {
        if bytes.is_empty() {
            bytes.push(byte(chance));
            continue;
        }
        let at = chance.index(bytes.len());
        match chance.index(8) {
            0 => bytes[at] = byte(chance),
            1 => bytes[at] ^= 1 << chance.index(8),
            2 => bytes[at] = bytes[at].wrapping_add(1),
            3 => bytes[at] = bytes[at].wrapping_sub(1),
            4 => bytes.insert(at, byte(chance)),
            5 => drop(bytes.remove(at)),
            6 => {
                let end = (at + 1 + chance.index(16)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = chance.index(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            _ => bytes.truncate(at),
        }
    }
}

fn byte(chance: &mut Chance) -> u8 {
    chance.number().to_le_bytes()[0]
}

/// A number near another, or one at which things break.
pub(crate) fn number(chance: &mut Chance, near: u64) -> u64 {
    match chance.index(6) {
        0 => near.wrapping_add(1),
        1 => near.wrapping_sub(1),
        2 => chance.between(0, 8),
        3 => near.wrapping_mul(2),
        4 => near ^ (1 << chance.index(64)),
        _ => *chance.pick(&EDGES),
    }
}

/// Alters whole rows, so that the columns stay even.
fn rows(chance: &mut Chance, chunk: &mut Chunk) {
    let group = chance.index(chunk.groups.len().max(1));
    let Some(mut table) = chunk.groups.get(group).and_then(|group| Table::read(group)) else {
        return;
    };
    if table.rows.is_empty() {
        return;
    }
    let count = table.rows.len();
    let (row, other) = (chance.index(count), chance.index(count));
    match chance.index(8) {
        0 => table.rows.swap(row, other),
        1 => drop(table.rows.remove(row)),
        2 => {
            let copy = table.rows[other].clone();
            table.rows.insert(row, copy);
        }
        3 => {
            let next = (row + 1).min(count - 1);
            table.rows.swap(row, next);
        }
        4 => {
            let place = chance.index(table.specs.len());
            let field = table.rows[other][place].clone();
            table.rows[row][place] = field;
        }
        _ => {
            let place = chance.index(table.specs.len());
            field(chance, &mut table.rows[row][place]);
        }
    }
    chunk.groups[group] = table.write();
}

fn field(chance: &mut Chance, field: &mut Field) {
    match field {
        Field::Number(value) => {
            *value = match *value {
                Some(_) if chance.percent(15) => None,
                value => Some(number(chance, value.unwrap_or(0))),
            };
        }
        Field::Sum(value) => {
            *value = match *value {
                Some(_) if chance.percent(15) => None,
                value => {
                    let near = value.unwrap_or(0);
                    let near = number(chance, near.cast_unsigned());
                    Some(near.cast_signed())
                }
            };
        }
        Field::Truth(truth) => *truth = !*truth,
        Field::Text(text) => match text {
            Some(_) if chance.percent(15) => *text = None,
            Some(text) => scramble(chance, text),
            None => {
                let key = *chance.pick(&["", "state", "_kind", "team"]);
                *text = Some(key.as_bytes().to_vec());
            }
        },
        Field::Bytes(bytes) => scramble(chance, bytes),
        Field::List(items) => list(chance, items),
    }
}

fn list(chance: &mut Chance, items: &mut Vec<Field>) {
    if items.is_empty() {
        items.push(if chance.percent(50) {
            Field::Number(Some(chance.between(0, 3)))
        } else {
            let near = i64::try_from(chance.between(1, 60)).unwrap_or(1);
            Field::Sum(Some(near))
        });
        return;
    }
    let (at, other) = (chance.index(items.len()), chance.index(items.len()));
    match chance.index(4) {
        0 => drop(items.remove(at)),
        1 => items.insert(at, items[other].clone()),
        2 => items.swap(at, other),
        _ => field(chance, &mut items[at]),
    }
}

/// Alters what stands before the columns, and behind them.
fn head(chance: &mut Chance, chunk: &mut Chunk, donor: &[u8]) {
    match chance.index(10) {
        0 => chunk.sequence = number(chance, chunk.sequence),
        1 => chunk.start = number(chance, chunk.start),
        2 => chunk.time = number(chance, chunk.time.cast_unsigned()).cast_signed(),
        3 => scramble(chance, &mut chunk.message),
        4 => scramble(chance, &mut chunk.actor),
        5 | 6 => {
            if let Some(from) = Chunk::parse(donor) {
                if chance.percent(50) {
                    chunk.hashes.extend(from.hashes);
                } else {
                    chunk.actors.extend(from.actors);
                }
            }
        }
        7 => items(chance, &mut chunk.hashes),
        8 => items(chance, &mut chunk.actors),
        _ => scramble(chance, &mut chunk.rest),
    }
    if chance.percent(50) {
        chunk.hashes.sort();
        chunk.hashes.dedup();
        chunk.actors.sort();
        chunk.actors.dedup();
    }
}

fn items(chance: &mut Chance, items: &mut Vec<Vec<u8>>) {
    if items.is_empty() {
        items.push(vec![byte(chance); *chance.pick(&[18, 32])]);
        return;
    }
    let (at, other) = (chance.index(items.len()), chance.index(items.len()));
    match chance.index(5) {
        0 => drop(items.remove(at)),
        1 => items.insert(at, items[other].clone()),
        2 => items.swap(at, other),
        3 => {
            let place = chance.index(items[at].len().max(1));
            if let Some(byte) = items[at].get_mut(place) {
                *byte = byte.wrapping_add(1);
            }
        }
        _ => scramble(chance, &mut items[at]),
    }
}

/// Puts a run of any length before, behind or in place of what a column holds.
fn runs(chance: &mut Chance, chunk: &mut Chunk) {
    let Some((spec, data)) = column(chance, chunk) else {
        return;
    };
    let length = *chance.pick(&EDGES);
    let mut run = Vec::new();
    if *spec & 7 == 4 {
        put(&mut run, length);
    } else if chance.percent(50) {
        put(&mut run, 0);
        put(&mut run, length);
    } else {
        put_signed(&mut run, length.cast_signed());
        match *spec & 7 {
            5 => {
                let text = vec![b'k'; chance.index(300)];
                put(&mut run, text.len() as u64);
                run.extend(text);
            }
            _ => put(&mut run, chance.between(0, 3)),
        }
    }
    match chance.index(3) {
        0 => *data = run,
        1 => data.extend(run),
        _ => data.splice(0..0, run).for_each(drop),
    }
}

/// Adds, removes, moves and renames columns.
fn layout(chance: &mut Chance, chunk: &mut Chunk, donor: &[u8]) {
    let group = chance.index(chunk.groups.len().max(1));
    let lent = Chunk::parse(donor).and_then(|mut from| {
        let group = chance.index(from.groups.len().max(1));
        let columns = from.groups.get_mut(group)?;
        let place = chance.index(columns.len().max(1));
        (place < columns.len()).then(|| columns.swap_remove(place))
    });
    let document = chunk.kind == DOCUMENT;
    let Some(columns) = chunk.groups.get_mut(group) else {
        return;
    };
    let at = chance.index(columns.len().max(1));
    match (chance.index(5), lent) {
        (0, _) if at < columns.len() => drop(columns.remove(at)),
        (1, Some(column)) => columns.push(column),
        (2, Some((spec, data))) => {
            if let Some(column) = columns.iter_mut().find(|(other, _)| *other == spec) {
                column.1 = data;
            }
        }
        (3, _) if at < columns.len() => {
            // The bit that says that a column is compressed.
            columns[at].0 ^= 8;
        }
        (_, _) if at < columns.len() => {
            let spec = chance.between(0, if document { 0xb0 } else { 0x90 });
            columns[at].0 = spec;
        }
        _ => {}
    }
    if chance.percent(80) {
        columns.sort();
        columns.dedup_by_key(|(spec, _)| *spec);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;
    use raccordo_crdt_model::Document;

    #[test]
    fn a_chunk_taken_apart_and_put_together_is_the_same() {
        for story in &World::told().stories {
            let changes = story.changes.iter().map(|(_, change)| change.bytes.clone());
            let saves = story.states.iter().skip(1).map(Document::to_save);
            for bytes in changes.chain(saves) {
                let mut chunk = Chunk::parse(&bytes).expect("well formed");
                assert_eq!(chunk.write(), bytes);
                for group in &mut chunk.groups {
                    if !group.is_empty() {
                        *group = Table::read(group).expect("even columns").write();
                    }
                }
                assert_eq!(chunk.write(), bytes);
            }
        }
    }
}

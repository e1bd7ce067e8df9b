//! Changes whose operations name what is not there: taken in by the library, refused here.
//!
//! The first of them was found by the fuzzer: a list within itself, which broke the record at its
//! next edit. Its siblings follow.

#![allow(
    clippy::needless_raw_string_hashes,
    reason = "the form in which snapshots are updated"
)]
#![allow(
    clippy::format_collect,
    clippy::format_push_string,
    clippy::needless_pass_by_value,
    reason = "short tests are read more often than run"
)]

mod common;

use common::id;
use expect_test::expect;
use raccordo_crdt_model::{ChangeHash, Document, Refused, gate};
use sha2::{Digest as _, Sha256};

/// What an operation is about: a key, the head of a list, or an element by its operation.
#[derive(Clone, Copy)]
enum At {
    Key(&'static str),
    Head,
    Element(u64),
}

const MAP: u64 = 0;
const PUT: u64 = 1;
const LIST: u64 = 2;
const DELETE: u64 = 3;

/// An operation of the one actor: in which object (0 is the root), where, whether it inserts, what
/// it does and which operations it replaces.
struct Op(u64, At, bool, u64, &'static [u64]);

fn signed_number(number: i64) -> Vec<u8> {
    assert!((-64..64).contains(&number), "one byte is enough here");
    vec![number.to_be_bytes()[7] & 0x7f]
}

fn byte(number: usize) -> u8 {
    u8::try_from(number).expect("few")
}

/// A column of values as runs: absent ones together, equal neighbours once, others one by one.
fn column(values: &[Option<Vec<u8>>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = values;
    while let Some(first) = rest.first() {
        let same = rest.iter().take_while(|value| *value == first).count();
        let taken = match first {
            None => {
                out.extend([0, byte(same)]);
                same
            }
            Some(value) if same > 1 => {
                out.push(byte(same));
                out.extend(value);
                same
            }
            Some(_) => {
                let ends = |pair: &[Option<Vec<u8>>]| pair[0] == pair[1];
                let alone = rest.windows(2).position(ends).unwrap_or(rest.len());
                let alone = rest[..alone]
                    .iter()
                    .take_while(|value| value.is_some())
                    .count();
                out.extend(signed_number(-i64::try_from(alone).expect("few")));
                out.extend(rest[..alone].iter().flatten().flatten());
                alone
            }
        };
        rest = &rest[taken..];
    }
    out
}

/// Numbers as a column of differences.
fn differences(numbers: impl Iterator<Item = Option<u64>>) -> Vec<u8> {
    let mut last = 0;
    let difference = |number: Option<u64>| {
        let number = i64::try_from(number?).expect("small");
        let difference = number - last;
        last = number;
        Some(signed_number(difference))
    };
    column(&numbers.map(difference).collect::<Vec<_>>())
}

/// A column of false and true in turns.
fn truths(values: impl Iterator<Item = bool>) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut truth, mut run) = (false, 0);
    for value in values {
        if value != truth {
            out.push(byte(run));
            (truth, run) = (value, 0);
        }
        run += 1;
    }
    out.push(byte(run));
    out
}

fn columns(ops: &[Op]) -> Vec<(u8, Vec<u8>)> {
    let number = |number: u64| Some(vec![byte(usize::try_from(number).expect("small"))]);
    let each =
        |value: &dyn Fn(&Op) -> Option<Vec<u8>>| column(&ops.iter().map(value).collect::<Vec<_>>());
    let text = |key: &str| Some([&[byte(key.len())], key.as_bytes()].concat());
    let elements = ops.iter().map(|op| match op.1 {
        At::Key(_) => None,
        At::Head => Some(0),
        At::Element(element) => Some(element),
    });
    let before: Vec<_> = ops.iter().flat_map(|op| op.4).copied().collect();
    let keys = |op: &Op| match op.1 {
        At::Key(key) => text(key),
        _ => None,
    };
    let all = vec![
        (0x01, each(&|op| (op.0 > 0).then(|| vec![0]))),
        (0x02, each(&|op| (op.0 > 0).then(|| number(op.0)).flatten())),
        (
            0x11,
            each(&|op| matches!(op.1, At::Element(_)).then(|| vec![0])),
        ),
        (0x13, differences(elements)),
        (0x15, each(&keys)),
        (0x34, truths(ops.iter().map(|op| op.2))),
        (0x42, each(&|op| number(op.3))),
        (0x56, each(&|_| Some(vec![0]))),
        (0x70, each(&|op| number(op.4.len() as u64))),
        (0x71, column(&vec![Some(vec![0]); before.len()])),
        (0x73, differences(before.into_iter().map(Some))),
    ];
    let absent = |data: &Vec<u8>| data.is_empty() || (data.len() == 2 && data[0] == 0);
    all.into_iter().filter(|(_, data)| !absent(data)).collect()
}

/// The first change of a document by one actor.
fn change(ops: &[Op]) -> Vec<u8> {
    let columns = columns(ops);
    let mut body = vec![0, 18];
    body.extend([1; 8]);
    body.extend([0xee; 8]);
    body.extend([0, 0, 1, 1, 0, 0, 0, byte(columns.len())]);
    for (column, data) in &columns {
        body.extend([*column, byte(data.len())]);
    }
    for (_, data) in &columns {
        body.extend(data);
    }
    let mut hashed = vec![1];
    if body.len() >= 0x80 {
        hashed.push(byte(body.len() & 0x7f) | 0x80);
        hashed.push(byte(body.len() >> 7));
    } else {
        hashed.push(byte(body.len()));
    }
    hashed.extend(body);
    let hash = Sha256::digest(&hashed);
    [&[0x85, 0x6f, 0x4a, 0x83], &hash[..4], &hashed].concat()
}

fn absorbed(ops: &[Op]) -> Result<Document, Refused> {
    let bytes = change(ops);
    let hash: [u8; 32] = Sha256::digest(&bytes[8..]).into();
    let checked = gate::check(bytes, &ChangeHash::from_bytes(hash), [1; 8], [0xee; 8])?;
    Document::empty(id()).absorb(&[checked])
}

#[test]
fn a_change_names_only_what_is_there() {
    use At::{Element, Head, Key};
    let mut out = String::new();
    let list = || Op(0, Key("l"), false, LIST, &[]);
    let map = || Op(0, Key("m"), false, MAP, &[]);
    for ops in [
        vec![Op(1, Key("in"), false, LIST, &[])],
        vec![Op(2, Key("in"), false, PUT, &[]), map()],
        vec![
            Op(0, Key("a"), false, PUT, &[]),
            Op(1, Key("in"), false, PUT, &[]),
        ],
        vec![map(), Op(1, Head, true, PUT, &[])],
        vec![list(), Op(1, Key("a"), false, PUT, &[])],
        vec![list(), Op(1, Head, false, PUT, &[])],
        vec![list(), Op(1, Element(9), true, PUT, &[])],
        vec![list(), Op(1, Element(1), true, PUT, &[])],
        vec![
            list(),
            list(),
            Op(1, Head, true, PUT, &[]),
            Op(2, Element(3), true, PUT, &[]),
        ],
        vec![Op(0, Key("a"), false, PUT, &[7])],
        vec![
            Op(0, Key("a"), false, PUT, &[]),
            Op(0, Key("b"), false, PUT, &[1]),
        ],
        vec![
            Op(0, Key("a"), false, PUT, &[]),
            Op(0, Key("a"), false, PUT, &[1, 1]),
        ],
        vec![Op(0, Key("a"), false, DELETE, &[])],
        vec![list(), Op(1, Head, true, PUT, &[1])],
        // What names only what is there gets further: to the lack of a kind of record.
        vec![
            list(),
            Op(1, Head, true, PUT, &[]),
            Op(1, Element(2), true, PUT, &[]),
            Op(1, Element(2), false, DELETE, &[2]),
            Op(0, Key("a"), false, PUT, &[]),
            Op(0, Key("a"), false, PUT, &[5]),
        ],
    ] {
        out += &format!("{}\n", absorbed(&ops).expect_err("refused").reason());
    }
    expect![[r#"
        operation 1 of the change names an object that is not there
        operation 1 of the change names an object that is not there
        operation 2 of the change names an object that is none
        operation 2 of the change does not fit the object that it names
        operation 2 of the change does not fit the object that it names
        operation 2 of the change sets the head of a list
        operation 2 of the change names an element that is not there
        operation 2 of the change names an element that is none of the list's
        operation 4 of the change names an element that is none of the list's
        operation 1 of the change replaces a value that is not there
        operation 2 of the change replaces a value that stands elsewhere
        operation 2 of the change replaces a value twice
        operation 1 of the change deletes nothing
        operation 2 of the change inserts what replaces another
        the first change names no kind of record known here
    "#]]
    .assert_eq(&out);
}

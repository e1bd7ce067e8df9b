//! Whole documents from peers: taken apart into their changes, made anew, or refused.

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

use automerge::transaction::Transactable as _;
use automerge::{Automerge, ObjType, ROOT, ReadDoc as _};
use common::{Numbers, create_of, full_of, id, imported, set, set_at, stamp};
use expect_test::expect;
use proptest::prelude::*;
use raccordo_crdt_model::{Document, Kind, Refused, SaveLimits, StoredChange, gate};
use serde_json::json;
use sha2::{Digest as _, Sha256};

fn read(save: Vec<u8>) -> Result<(Document, Vec<StoredChange>), Refused> {
    let checked = gate::check_save(save, &SaveLimits::default())?;
    Document::from_save(id(), &checked)
}

/// A record of a kind with branches, rivals and removals, and its changes in the order made.
fn lived_in(kind: Kind, seed: u64) -> (Document, Vec<Vec<u8>>) {
    let (mut document, first) = create_of(kind, &full_of(kind)).expect("valid");
    let (mut changes, mut bases) = (vec![first.bytes], vec![document.heads()]);
    let mut numbers = Numbers(seed);
    let states = kind.lifecycle().shown_first;
    for second in 0..10 {
        let node = u8::try_from(1 + numbers.below(3)).expect("few nodes");
        let base = bases[numbers.below(bases.len())].clone();
        let (path, value) = match numbers.below(3) {
            0 => ("/state", json!(states[numbers.below(states.len())])),
            1 => ("/weather", json!({"rain":[numbers.below(9)]})),
            _ => ("/bodies_seen", json!(["SSD", numbers.below(9)])),
        };
        let patch = common::patch_of(json!([{"op":"add","path":path,"value":value}]));
        let made = document.patch(&patch, Some(&base), &imported(node, second));
        if let Some(change) = made.expect("an imported edit") {
            changes.push(change.bytes);
            bases.push(document.heads());
        }
    }
    (document, changes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_whole_document_is_read_back_change_by_change(seed in any::<u64>()) {
        for kind in Kind::all() {
            let (document, changes) = lived_in(kind, seed);
            let (again, stored) = read(document.to_save()).expect("an honest save");
            prop_assert_eq!(again.heads(), document.heads());
            prop_assert_eq!(again.record(), document.record());
            prop_assert_eq!(again.history(), document.history());
            prop_assert_eq!(again.change_count(), document.change_count());
            let once_more = read(again.to_save()).expect("an honest save").0;
            prop_assert_eq!(once_more.record(), document.record());
            let mut bytes: Vec<_> = stored.iter().map(|change| change.bytes.clone()).collect();
            let mut made = changes;
            bytes.sort();
            made.sort();
            prop_assert_eq!(bytes, made);
            for (place, change) in stored.iter().enumerate() {
                let hash: [u8; 32] = Sha256::digest(&change.bytes[8..]).into();
                prop_assert_eq!(&hash, change.hash.as_bytes());
                let earlier = &stored[..place];
                let hashes: Vec<_> = earlier.iter().map(|other| other.hash).collect();
                prop_assert!(change.dependencies.iter().all(|hash| hashes.contains(hash)));
                let own = earlier.iter().filter(|other| other.actor == change.actor).count();
                prop_assert_eq!(change.sequence, own as u64 + 1);
            }
        }
    }
}

#[test]
fn a_document_read_from_a_save_goes_on_like_any_other() {
    let (mut document, _) = create_of(Kind::Project, &full_of(Kind::Project)).expect("valid");
    let page = document.heads();
    set(&mut document, "/state", json!("review"), &stamp(1, 1));
    let (mut again, _) = read(document.to_save()).expect("an honest save");
    let change = set_at(
        &mut again,
        &page,
        "/state",
        json!("suspended"),
        &stamp(1, 2),
    );
    let (joined, stored) = read(again.to_save()).expect("an honest save");
    assert_eq!(stored.len(), 3);
    assert_eq!(joined.record().conflicts.len(), 1);
    common::absorb(&mut document, &change, 1);
    assert_eq!(joined.record(), document.record());
}

/// A chunk of a type around a body, with its length and checksum.
fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut hashed = vec![kind];
    put(&mut hashed, body.len());
    hashed.extend(body);
    let hash = Sha256::digest(&hashed);
    [&[0x85, 0x6f, 0x4a, 0x83], &hash[..4], &hashed].concat()
}

fn put(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push(u8::try_from(number & 0x7f).expect("masked") | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).expect("below 0x80"));
}

/// Columns by their numbers.
type Columns = Vec<(usize, Vec<u8>)>;

/// A save of one actor and one head with these columns of changes and of operations.
fn made_of(changes: &Columns, operations: &Columns) -> Vec<u8> {
    let mut body = vec![1, 18];
    body.extend([9; 18]);
    body.push(1);
    body.extend([7; 32]);
    for columns in [changes, operations] {
        put(&mut body, columns.len());
        for (column, data) in columns {
            put(&mut body, *column);
            put(&mut body, data.len());
        }
    }
    for (_, data) in changes.iter().chain(operations) {
        body.extend(data);
    }
    body.push(0);
    framed(0, &body)
}

#[test]
fn a_save_that_would_hang_or_fill_the_library_is_refused_by_its_numbers() {
    // Seven bits a byte: 2^36 as the length of a run, of values and of absent ones.
    let long = [&[0x80; 5][..], &[0x02, 0]].concat();
    let absent = [&[0][..], &[0x80; 5], &[0x02]].concat();
    let one = |last: &[u8]| -> Columns {
        vec![
            (0x01, vec![0x7f, 0]),
            (0x03, vec![0x7f, 1]),
            (0x13, [&[0x7f], last].concat()),
            (0x40, vec![0x7f, 0]),
        ]
    };
    let first = || one(&[1]);
    let mut out = String::new();
    for (changes, operations) in [
        (vec![(0x01, long.clone())], vec![]),
        (vec![(0x01, absent.clone())], vec![]),
        (vec![(0x35, absent)], vec![]),
        (vec![(0x43, long.clone())], vec![]),
        (vec![(0x09, vec![0x7f, 0])], vec![]),
        (vec![(0x0b, vec![0x7f, 0])], vec![]),
        (vec![(0x61, vec![0x7f, 0])], vec![]),
        (first(), vec![(0x42, long.clone())]),
        (first(), vec![(0x34, long[..6].to_vec())]),
        (first(), vec![(0x80, vec![0x7f, 0xff, 0xff, 0xff, 0x0f])]),
        (first(), vec![(0x4a, vec![1])]),
        (first(), vec![(0x94, vec![1])]),
        (
            first(),
            vec![(0x42, vec![0x7f, 1]), (0x56, vec![0x7f, 0x16])],
        ),
        (one(&[0xff, 0xff, 0x3f]), vec![(0x42, vec![0x7f, 1])]),
        (first()[..3].to_vec(), vec![]),
        (vec![], vec![]),
    ] {
        let save = made_of(&changes, &operations);
        let refused = gate::check_save(save, &SaveLimits::default());
        out += &format!("{}\n", refused.expect_err("refused").reason());
    }
    expect![[r#"
        68719476736 changes, at most 4396 allowed
        68719476736 changes, at most 4396 allowed
        68719476736 changes, at most 4396 allowed
        68719476736 operations, at most 51200 allowed
        a compressed column 0x9, none is allowed
        a compressed column 0xb, none is allowed
        a column 0x61, which no change of a record has
        68719476736 operations, at most 51456 allowed
        68719476736 operations, at most 51440 allowed
        the columns do not describe the same number of operations
        a compressed column 0x4a, none is allowed
        a column 0x94, which no change of a record has
        the columns do not describe the same number of operations
        the graph of changes is broken: a change has too many or too few operations
        the columns do not describe the same number of operations
        the columns do not describe the same number of operations
    "#]]
    .assert_eq(&out);
}

#[test]
fn only_one_uncompressed_document_chunk_is_a_save() {
    let (document, changes) = lived_in(Kind::Project, 1);
    let save = document.to_save();
    let mut out = String::new();
    let mut tell = |save: Vec<u8>| {
        out += &format!("{}\n", read(save).expect_err("refused").reason());
    };
    tell(Vec::new());
    tell(changes[0].clone());
    tell([save.clone(), changes[1].clone()].concat());
    tell([save.clone(), save.clone()].concat());
    tell(save[..save.len() - 1].to_vec());
    let mut flipped = save.clone();
    *flipped.last_mut().expect("not empty") ^= 1;
    tell(flipped);
    let limits = SaveLimits {
        bytes: 100,
        ..SaveLimits::default()
    };
    let large = gate::check_save(save.clone(), &limits).expect_err("too large");
    out += &format!("{}\n", large.reason());
    let limits = SaveLimits {
        changes: 3,
        ..SaveLimits::default()
    };
    let many = gate::check_save(save.clone(), &limits).expect_err("too many");
    out += &format!("{}\n", many.reason());
    let limits = SaveLimits {
        operations: 30,
        ..SaveLimits::default()
    };
    let many = gate::check_save(save, &limits).expect_err("too many");
    out += &format!("{}\n", many.reason());
    // The library compresses columns of more than 256 bytes, and could be made to inflate any.
    let mut automerge = Automerge::new();
    let mut transaction = automerge.transaction();
    let text = "x".repeat(5_000);
    transaction.put(ROOT, "k", text).expect("a root key");
    transaction.commit();
    let refused = read(automerge.save()).expect_err("refused");
    out += &format!("{}\n", refused.reason().replace(char::is_numeric, "#"));
    expect![[r#"
        the bytes end inside the header
        a chunk of type 1, only 0 is allowed
        167 bytes after the end of the chunk
        2252 bytes after the end of the chunk
        the bytes end inside the change
        the checksum is not that of the bytes
        2252 bytes, at most 100 allowed
        4 changes, at most 3 allowed
        91 operations, at most 30 allowed
        an actor of ## bytes, only ## are allowed
    "#]]
    .assert_eq(&out);
}

/// A first change by other code.
fn founded(fill: impl FnOnce(&mut automerge::transaction::Transaction<'_>)) -> Automerge {
    let actor = raccordo_crdt_model::ActorId::new([3; 8], [0xee; 8], 0);
    let actor = automerge::ActorId::from(actor.as_bytes());
    let mut automerge = Automerge::new().with_actor(actor);
    let mut transaction = automerge.transaction();
    for (key, value) in [("_home", "frosinone/c"), ("_kind", "project")] {
        transaction.put(ROOT, key, value).expect("a root key");
    }
    transaction.put(ROOT, "_schema", 1).expect("a root key");
    fill(&mut transaction);
    transaction.commit();
    automerge
}

#[test]
fn what_a_single_change_may_not_do_a_save_may_not_either() {
    let fine = founded(|transaction| {
        transaction.put(ROOT, "ref", "x").expect("a root key");
    });
    assert_eq!(read(fine.save_nocompress()).expect("harmless").1.len(), 1);
    let text = founded(|transaction| {
        transaction
            .put_object(ROOT, "t", ObjType::Text)
            .expect("a text");
    });
    let counter = founded(|transaction| {
        let counter = automerge::ScalarValue::counter(1);
        transaction.put(ROOT, "n", counter).expect("a counter");
        transaction.increment(ROOT, "n", 1).expect("a counter");
    });
    let mut actor = fine.with_actor(automerge::ActorId::from(&[1_u8, 2][..]));
    let mut transaction = actor.transaction();
    transaction.put(ROOT, "a", 1).expect("a root key");
    transaction.commit();
    let mut out = String::new();
    for save in [text, counter, actor, Automerge::new()] {
        let refused = read(save.save_nocompress()).expect_err("refused");
        out += &format!("{}\n", refused.reason());
    }
    expect![[r#"
        an operation of kind 4, which no record has
        an operation of kind 5, which no record has
        an actor of 2 bytes, only 18 are allowed
        the columns do not describe the same number of operations
    "#]]
    .assert_eq(&out);
}

/// Takes a number off the front.
fn number(input: &mut &[u8]) -> usize {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = input[0];
        *input = &input[1..];
        number |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return number;
        }
    }
}

/// A save with one of its columns of operations replaced.
fn with_column(save: &[u8], column: usize, replace: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut input = &save[9..];
    number(&mut input);
    let body = input;
    for _ in 0..number(&mut input) {
        let length = number(&mut input);
        input = &input[length..];
    }
    let heads = number(&mut input);
    input = &input[heads * 32..];
    let layout = |input: &mut &[u8]| -> Vec<(usize, usize)> {
        let count = number(input);
        (0..count).map(|_| (number(input), number(input))).collect()
    };
    let changes: usize = layout(&mut input).iter().map(|(_, length)| length).sum();
    let mut out = body[..body.len() - input.len()].to_vec();
    let layout = layout(&mut input);
    let (before, mut data) = input.split_at(changes);
    let mut columns = Vec::new();
    for (found, length) in layout {
        let (column_data, rest) = data.split_at(length);
        data = rest;
        let replaced = if found == column {
            replace(column_data)
        } else {
            column_data.to_vec()
        };
        columns.push((found, replaced));
    }
    put(&mut out, columns.len());
    for (column, data) in &columns {
        put(&mut out, *column);
        put(&mut out, data.len());
    }
    out.extend(before);
    for (_, data) in &columns {
        out.extend(data);
    }
    out.extend(data);
    framed(0, &out)
}

/// Two saves of the same changes that show two records: the library loads both.
#[test]
fn a_save_whose_operations_stand_elsewhere_than_their_changes_put_them_is_refused() {
    let honest = founded(|transaction| {
        transaction.put(ROOT, "ka", 1).expect("a root key");
        transaction.put(ROOT, "kb", 2).expect("a root key");
    });
    let save = honest.save_nocompress();
    read(save.clone()).expect("an honest save");
    assert_eq!(with_column(&save, 0x23, <[u8]>::to_vec), save);
    // The last two rows, operations 4 and 5, change places: number, key and value.
    let forged = with_column(&save, 0x23, |numbers| {
        assert_eq!(numbers, [5, 1]);
        vec![3, 1, 0x7e, 2, 0x7f]
    });
    let forged = with_column(&forged, 0x15, |keys| {
        let mut keys = keys.to_vec();
        let length = keys.len();
        keys.swap(length - 1, length - 4);
        keys
    });
    let forged = with_column(&forged, 0x57, |values| {
        let mut values = values.to_vec();
        let length = values.len();
        values.swap(length - 1, length - 2);
        values
    });
    // Where the library's debug assertions are compiled in, one of them fails on loading.
    let loaded = std::panic::catch_unwind(|| Automerge::load(&forged));
    if let Ok(loaded) = loaded {
        let loaded = loaded.expect("the library takes it");
        assert_eq!(loaded.get_heads(), honest.get_heads());
        let keys = |automerge: &Automerge| automerge.keys(ROOT).collect::<Vec<_>>();
        assert_ne!(keys(&loaded), keys(&honest));
    }
    assert!(read(forged).is_err());
}

#[test]
fn a_save_with_a_deletion_among_its_operations_is_refused() {
    const ACTION: usize = 0x42;
    let (document, _) = create_of(Kind::Project, &full_of(Kind::Project)).expect("valid");
    let deleting = with_column(&document.to_save(), ACTION, |actions| {
        let mut actions = actions.to_vec();
        let last = actions.last_mut().expect("a record has operations");
        *last = 3;
        actions
    });
    let refused = gate::check_save(deleting, &SaveLimits::default()).unwrap_err();
    expect!["a deletion among the operations, where a save has none"].assert_eq(&refused.reason());
}

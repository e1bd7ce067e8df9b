//! Mutated changes: no panic gets out, and nothing is let in that would spoil a document.

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

use automerge::transaction::{CommitOptions, Transactable as _};
use common::{Numbers, checked, create, full, id, set, set_at, stamp};
use expect_test::expect;
use raccordo_crdt_model::{ActorId, Change, ChangeHash, Document, gate};
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// A document by two nodes with branches, lists, removals and conflicts.
fn lived_in() -> (Document, Vec<(u8, Change)>) {
    let (mut document, first) = create(&full()).expect("valid");
    let mut changes = vec![(1, first)];
    let page = document.heads();
    changes.push((
        1,
        set(&mut document, "/state", json!("review"), &stamp(1, 1)),
    ));
    changes.push((
        2,
        set_at(
            &mut document,
            &page,
            "/state",
            json!("suspended"),
            &stamp(2, 2),
        ),
    ));
    changes.push((
        1,
        set_at(
            &mut document,
            &page,
            "/sub_areas",
            json!(["senza_dimora", "giustizia"]),
            &stamp(1, 3),
        ),
    ));
    let review =
        json!({"on":"2026-07-01","bodies":["SSD"],"decision":"continue","summary":"Prosegue"});
    changes.push((2, set(&mut document, "/reviews/r2", review, &stamp(2, 4))));
    let removal = common::patch_of(json!([{"op":"remove","path":"/team/m1"},
        {"op":"replace","path":"/instruments/k1/amount_eur","value":99.5},
        {"op":"replace","path":"/sub_areas/0","value":"migrazione"}]));
    let change = document
        .patch(&removal, None, &stamp(1, 5))
        .expect("valid")
        .expect("an effect");
    changes.push((1, change));
    (document, changes)
}

/// Makes length, checksum and hash right again, as an attacker would.
fn repaired(mut bytes: Vec<u8>) -> (Vec<u8>, ChangeHash) {
    let hash: [u8; 32] = Sha256::digest(&bytes[8..]).into();
    bytes[4..8].copy_from_slice(&hash[..4]);
    (bytes, ChangeHash::from_bytes(hash))
}

fn mutated(bytes: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let header = 8 + 1 + if bytes.len() < 11 + 128 { 1 } else { 2 };
    let mut body = bytes[header..].to_vec();
    for _ in 0..=numbers.below(3) {
        let at = numbers.below(body.len());
        let byte = u8::try_from(numbers.next() & 0xff).expect("masked");
        match numbers.below(6) {
            0 => body[at] = byte,
            1 => body[at] ^= 1 << numbers.below(8),
            2 => body[at] = body[at].wrapping_add(1),
            3 => body[at] = body[at].wrapping_sub(1),
            4 => body.insert(at, byte),
            _ => drop(body.remove(at)),
        }
    }
    let mut out = bytes[..9].to_vec();
    let mut length = body.len();
    while length >= 0x80 {
        out.push(u8::try_from(length & 0x7f).expect("masked") | 0x80);
        length >>= 7;
    }
    out.push(u8::try_from(length).expect("below 0x80"));
    out.extend(body);
    out
}

/// How many mutations are tried; a night's run asks for more.
fn rounds() -> usize {
    let asked = std::env::var("RACCORDO_MUTATIONS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(6_000)
}

#[test]
fn no_mutated_change_panics_or_spoils_a_document() {
    std::panic::set_hook(Box::new(|_| {}));
    let (_, changes) = lived_in();
    let mut numbers = Numbers(20_260_304);
    let mut before = vec![Document::empty(id())];
    for (author, change) in &changes {
        let last = before.last().expect("at least the empty one");
        before.push(
            last.absorb(&[checked(change, *author)])
                .expect("a fitting change"),
        );
    }
    let (mut passed, mut absorbed, mut refused) = (0, 0, 0);
    for _ in 0..rounds() {
        let victim = numbers.below(changes.len());
        let (author, change) = &changes[victim];
        let (bytes, hash) = repaired(mutated(&change.bytes, &mut numbers));
        let Ok(good) = gate::check(bytes.clone(), &hash, [*author; 8], [0xee; 8]) else {
            refused += 1;
            continue;
        };
        passed += 1;
        let Ok(document) = before[victim].absorb(&[good]) else {
            continue;
        };
        absorbed += 1;
        drop((document.record(), document.history(), document.summary()));
        let stored: Vec<_> = changes[..victim]
            .iter()
            .map(|(_, change)| change.bytes.clone())
            .chain([bytes])
            .collect();
        let opened = Document::open(id(), &stored).expect("what was let in opens again");
        assert_eq!(opened.heads(), document.heads());
        assert_eq!(opened.record(), document.record());
        assert!(document.survives_saving(), "what was let in loads again");
    }
    assert_eq!(passed + refused, rounds());
    assert!(
        absorbed > 50,
        "only {absorbed} of {passed} were absorbed: the mutations are too coarse"
    );
}

#[test]
fn a_change_must_be_the_one_that_was_signed() {
    let (_, change) = create(&full()).expect("valid");
    let mut out = String::new();
    let mut tell = |bytes: Vec<u8>, hash: &ChangeHash, node: u8| {
        let refused = gate::check(bytes, hash, [node; 8], [0xee; 8]).expect_err("refused");
        out += &format!("{}\n", refused.reason());
    };
    tell(change.bytes.clone(), &ChangeHash::from_bytes([0; 32]), 1);
    tell(change.bytes.clone(), &change.hash, 2);
    tell(change.bytes[..100].to_vec(), &change.hash, 1);
    tell([change.bytes.clone(), vec![0]].concat(), &change.hash, 1);
    tell(Vec::new(), &change.hash, 1);
    tell(vec![0; 300_000], &change.hash, 1);
    for chunk in [0, 2, 3, 9] {
        let mut bytes = change.bytes.clone();
        bytes[8] = chunk;
        let (bytes, hash) = repaired(bytes);
        tell(bytes, &hash, 1);
    }
    let mut bytes = change.bytes.clone();
    *bytes.last_mut().expect("not empty") ^= 1;
    tell(bytes, &change.hash, 1);
    expect![[r#"
        the bytes hash to f76e6830543e5419abd351dfa60e84544826f766f6f04e4dc38be0783d2b4e08, signed was 0000000000000000000000000000000000000000000000000000000000000000
        the actor 0101010101010101eeeeeeeeeeeeeeee0000 is none of the one who signed
        the bytes end inside the change
        1 bytes after the end of the chunk
        the bytes end inside the header
        300000 bytes, at most 262144 allowed
        a chunk of type 0, only 1 is allowed
        a chunk of type 2, only 1 is allowed
        a chunk of type 3, only 1 is allowed
        a chunk of type 9, only 1 is allowed
        the checksum is not that of the bytes
    "#]].assert_eq(&out);
}

#[test]
fn a_change_must_fit_the_document() {
    let (document, changes) = lived_in();
    let all: Vec<_> = changes
        .iter()
        .map(|(author, change)| checked(change, *author))
        .collect();
    let whole = Document::empty(id()).absorb(&all).expect("in order");
    assert_eq!(whole.record(), document.record());
    assert_eq!(whole.change_count(), 6);
    assert_eq!(
        whole.absorb(&all).expect("known already").heads(),
        document.heads()
    );
    let mut out = String::new();
    let mut tell = |document: &Document, changes: &[raccordo_crdt_model::CheckedChange]| {
        out += &format!("{}\n", document.absorb(changes).expect_err("refused"));
    };
    tell(&Document::empty(id()), &all[1..]);
    let first = &all[..1];
    let small = create(&common::least()).expect("valid");
    tell(
        &Document::empty(id()).absorb(first).expect("first"),
        &[checked(&small.1, 1)],
    );
    let (mut other, _) = create(&full()).expect("valid");
    let rival = set(
        &mut other,
        "/state",
        json!("closed"),
        &common::imported(1, 9),
    );
    tell(&document, &[checked(&rival, 1)]);
    expect![[r#"
        change # of the batch refused: the change depends on f##e#######e####abd###dfa##e########f###f#f##e#dc##be####d#b#e##, which is not held
        change # of the batch refused: only the first change of a document depends on nothing
        change # of the batch refused: the change is number # of its actor, only # is allowed
    "#]].assert_eq(&out.replace(|character: char| character.is_ascii_digit(), "#"));
}

/// A first change as a node with other code might make it.
fn foreign(fill: impl FnOnce(&mut automerge::transaction::Transaction<'_>)) -> Document {
    let actor = ActorId::new([3; 8], [0xee; 8], 0);
    let mut automerge =
        automerge::Automerge::new().with_actor(automerge::ActorId::from(actor.as_bytes()));
    let mut transaction = automerge.transaction();
    for (key, value) in [("_home", "frosinone/c"), ("_kind", "project")] {
        transaction
            .put(automerge::ROOT, key, value)
            .expect("a root key");
    }
    transaction
        .put(automerge::ROOT, "_schema", 7)
        .expect("a root key");
    fill(&mut transaction);
    transaction.commit();
    let change = automerge.get_last_local_change().expect("committed");
    let (bytes, hash) = repaired(change.raw_bytes().to_vec());
    let checked = gate::check(bytes, &hash, [3; 8], [0xee; 8]).expect("harmless");
    Document::empty(id())
        .absorb(&[checked])
        .expect("a first change")
}

#[test]
fn a_record_nested_without_end_is_shown_without_its_depths() {
    let document = foreign(|transaction| {
        let mut object = automerge::ROOT;
        for _ in 0..5_000 {
            object = transaction
                .put_object(&object, "in", automerge::ObjType::Map)
                .expect("a map");
        }
    });
    assert_eq!(document.territory(), "frosinone/c");
    drop((document.record(), document.history(), document.summary()));
}

/// A record in which nothing stands where the table wants it.
fn odd() -> Document {
    foreign(|transaction| {
        let root = automerge::ROOT;
        for key in ["team", "reviews", "sub_areas", "outcome"] {
            transaction.put(&root, key, 7).expect("a root key");
        }
        let list = automerge::ObjType::List;
        let plans = transaction
            .put_object(&root, "plans", list)
            .expect("a list");
        transaction.insert(&plans, 0, "x").expect("an item");
        let state = transaction
            .put_object(&root, "state", list)
            .expect("a list");
        transaction.insert(&state, 0, f64::NAN).expect("an item");
        let kept = transaction
            .put_object(&root, "instruments", automerge::ObjType::Map)
            .expect("a map");
        transaction
            .put(&kept, "k1", vec![1_u8, 255])
            .expect("bytes");
    })
}

#[test]
fn a_foreign_record_of_any_shape_is_shown_flagged_and_edited() {
    let mut document = odd();
    expect![[r#"
        flag invalid_value /instruments/k1
        flag invalid_value /need_area
        flag invalid_value /opened_on
        flag invalid_value /outcome
        flag invalid_value /plans
        flag invalid_value /reviews
        flag invalid_value /state
        flag invalid_value /sub_areas
        flag invalid_value /subject/kind
        flag invalid_value /team
    "#]]
    .assert_eq(&common::open(&document.record()));
    let mut out = String::new();
    for (number, (path, value)) in [
        ("/team/m1", json!({"body":"SSD"})),
        ("/team/m1/body", json!("SSD")),
        ("/team", json!({})),
        ("/plans/social/body", json!("SSD")),
        ("/sub_areas", json!(["x"])),
        ("/sub_areas/0", json!("y")),
        ("/state", json!("approval")),
        ("/instruments/k1/state", json!("active")),
        ("/instruments/k1", json!({"state":"active"})),
        ("/outcome", json!(null)),
        ("/reviews", json!([])),
        ("/opened_on", json!("2026-01-01")),
        ("/subject", json!({"kind":"person"})),
    ]
    .into_iter()
    .enumerate()
    {
        let patch = json!([{"op":"add","path":path,"value":value}]);
        let second = i64::try_from(number).expect("few");
        let result = common::edit(&mut document, patch, &stamp(1, second));
        out += &format!("{path}: {}", common::shown(result));
    }
    expect![[r#"
        /team/m1: /team: there is nothing at this path in the record (path_not_found)
        /team/m1/body: /team: there is nothing at this path in the record (path_not_found)
        /team: accepted
        /plans/social/body: /plans: there is nothing at this path in the record (path_not_found)
        /sub_areas: accepted
        /sub_areas/0: accepted
        /state: accepted
        /instruments/k1/state: /instruments/k1/state: there is nothing at this path in the record (path_not_found)
        /instruments/k1: accepted
        /outcome: accepted
        /reviews: /reviews: a list where an object of entries, each by its id is expected (wrong_type)
        /opened_on: /need_area: need_area is missing, a record cannot be without it (required)
        /subject/kind: kind is missing, a record cannot be without it (required)
        /subject: accepted
    "#]].assert_eq(&out);
    drop((document.record(), document.history(), document.summary()));
    assert!(document.survives_saving());
}

#[test]
fn a_first_change_without_home_kind_or_version_founds_nothing() {
    let actor = ActorId::new([3; 8], [0xee; 8], 0);
    let mut automerge =
        automerge::Automerge::new().with_actor(automerge::ActorId::from(actor.as_bytes()));
    let mut transaction = automerge.transaction();
    transaction
        .put(automerge::ROOT, "_kind", "village")
        .expect("a root key");
    transaction.commit();
    let change = automerge.get_last_local_change().expect("committed");
    let (bytes, hash) = repaired(change.raw_bytes().to_vec());
    let checked = gate::check(bytes, &hash, [3; 8], [0xee; 8]).expect("harmless");
    let refused = Document::empty(id())
        .absorb(&[checked])
        .expect_err("refused");
    expect!["change 0 of the batch refused: the first change names no kind of record known here"]
        .assert_eq(&refused.to_string());
    let mut empty = Document::empty(id());
    let result = common::edit(
        &mut empty,
        json!([{"op":"add","path":"/x","value":1}]),
        &stamp(1, 1),
    );
    assert_eq!(result, Err(raccordo_crdt_model::Rejected::UnknownVersion));
    assert_eq!(empty.record().fields, json!({}));
}

#[test]
fn a_change_made_at_a_time_without_end_is_refused() {
    for (at, is_let_in) in [
        (i64::MIN, false),
        (i64::MAX, false),
        (-(1 << 53) - 1, false),
        (1 << 53, true),
        (-(1 << 53), true),
    ] {
        let actor = ActorId::new([3; 8], [0xee; 8], 0);
        let mut automerge =
            automerge::Automerge::new().with_actor(automerge::ActorId::from(actor.as_bytes()));
        let mut transaction = automerge.transaction();
        transaction
            .put(automerge::ROOT, "_kind", "project")
            .expect("a root key");
        transaction.commit_with(CommitOptions::default().with_time(at));
        let change = automerge.get_last_local_change().expect("committed");
        let hash = ChangeHash::from_bytes(change.hash().0);
        let checked = gate::check(change.raw_bytes().to_vec(), &hash, [3; 8], [0xee; 8]);
        assert_eq!(checked.is_ok(), is_let_in, "{at}: {checked:?}");
    }
}

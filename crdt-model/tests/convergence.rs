//! What edits made apart become: the same record everywhere, nothing lost, choices that settle.

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
#[path = "common/edited.rs"]
mod edited;

use common::{
    Numbers, absorb, checked, create, create_of, edit, full, full_of, made, open, patch_of, set,
    set_at, shown, stamp,
};
use expect_test::expect;
use proptest::prelude::*;
use raccordo_crdt_model::{
    Change, Document, Heads, HistoryItem, Kind, Record, Refused, Rejected, Summary,
};
use serde_json::{Value, json};

fn two(document: &Document) -> (Document, Document) {
    (document.clone(), document.clone())
}

/// Two nodes that edit the same version of a record, and then hold both edits.
fn apart(path: &str, first: Value, second: Value) -> (Document, Document) {
    let document = made(&full());
    apart_from(&document, path, first, second)
}

fn apart_from(
    document: &Document,
    path: &str,
    first: Value,
    second: Value,
) -> (Document, Document) {
    let (mut left, mut right) = two(document);
    let from_left = set(&mut left, path, first, &stamp(1, 10));
    let from_right = set(&mut right, path, second, &stamp(2, 20));
    absorb(&mut left, &from_right, 2);
    absorb(&mut right, &from_left, 1);
    assert_eq!(left.heads(), right.heads());
    assert_eq!(left.record(), right.record());
    assert_eq!(left.summary(), right.summary());
    (left, right)
}

#[test]
fn of_competing_states_the_safer_is_shown_and_both_are_kept() {
    let (left, _) = apart("/state", json!("suspended"), json!("review"));
    expect![[r#"
        conflict /state: "suspended" | "review" by op-002
    "#]]
    .assert_eq(&open(&left.record()));
    let (left, _) = apart("/state", json!("review"), json!("suspended"));
    expect![[r#"
        conflict /state: "suspended" | "review" by op-001
    "#]]
    .assert_eq(&open(&left.record()));
    assert_eq!(left.summary().conflicts, 1);
    assert_eq!(left.summary().state, "suspended");
}

#[test]
fn a_choice_settles_a_conflict_whichever_value_it_takes() {
    for choice in ["suspended", "review", "active"] {
        for (first, second) in [("suspended", "review"), ("review", "suspended")] {
            let (mut left, mut right) = apart("/state", json!(first), json!(second));
            let settled = set(&mut left, "/state", json!(choice), &stamp(1, 30));
            absorb(&mut right, &settled, 1);
            assert_eq!(right.record(), left.record());
            assert_eq!(open(&right.record()), "", "{first} {second} {choice}");
            assert_eq!(right.summary().state, choice);
            let told = right.history().pop().expect("a history");
            let told: Vec<_> = told
                .changes
                .iter()
                .map(|step| (step.op, step.path.as_str(), step.value.clone()))
                .collect();
            assert_eq!(told, [("replace", "/state", Some(json!(choice)))]);
        }
    }
}

#[test]
fn a_choice_among_outcomes_settles_whichever_it_takes() {
    let first = json!({"code":"OBIETTIVI","on":"2026-12-01"});
    let second = json!({"code":"4","on":"2026-12-02"});
    let (left, _) = apart("/outcome", first.clone(), second.clone());
    expect![[r#"
        conflict /outcome: {"code":"4","on":"2026-12-02"} | {"code":"OBIETTIVI","on":"2026-12-01"} by op-001
    "#]].assert_eq(&open(&left.record()));
    for choice in [first, second, json!(null)] {
        let mut settled = left.clone();
        set(&mut settled, "/outcome", choice.clone(), &stamp(1, 30));
        assert_eq!(open(&settled.record()), "");
        assert_eq!(settled.record().fields["outcome"], choice);
    }
}

#[test]
fn every_deciding_field_keeps_its_rivals_and_other_fields_report_what_they_lost() {
    let mut out = String::new();
    for (path, first, second) in [
        ("/next_review_on", json!("2026-10-01"), json!("2026-11-01")),
        ("/plans/social/goals/g1/reached", json!(1), json!(3)),
        (
            "/instruments/k1/outcome",
            json!("ASSUNTO"),
            json!("RINUNCIA"),
        ),
        ("/instruments/k1/amount_eur", json!(100.5), json!(200)),
        ("/need_area", json!("DIS"), json!("FAM")),
        ("/team/m1/role", json!("Uno"), json!("Due")),
        (
            "/reviews/r2",
            json!({"on":"2026-07-01","summary":"Uno"}),
            json!({"on":"2026-07-02"}),
        ),
    ] {
        let (left, _) = apart(path, first.clone(), second);
        out += &open(&left.record());
        let mut settled = left.clone();
        set(&mut settled, path, first.clone(), &stamp(1, 30));
        assert_eq!(open(&settled.record()), "", "{path}");
        assert_eq!(
            settled
                .record()
                .fields
                .pointer(path)
                .map(ToString::to_string)
                .map(|text| text.replace("100.50", "100.5")),
            Some(first.to_string()),
            "{path}"
        );
    }
    expect![[r#"
        conflict /next_review_on: "2026-11-01" | "2026-10-01" by op-001
        conflict /plans/social/goals/g1/reached: 3 | 1 by op-001
        conflict /instruments/k1/outcome: "RINUNCIA" | "ASSUNTO" by op-001
        overwritten /instruments/k1/amount_eur: 200.0 | 100.5 by op-001
        overwritten /need_area: "FAM" | "DIS" by op-001
        overwritten /team/m1/role: "Due" | "Uno" by op-001
        overwritten /reviews/r2: {"on":"2026-07-02"} | {"on":"2026-07-01","summary":"Uno"} by op-001
    "#]]
    .assert_eq(&out);
}

#[test]
fn the_same_value_twice_is_no_conflict() {
    let (left, _) = apart("/state", json!("suspended"), json!("suspended"));
    assert_eq!(open(&left.record()), "");
    let (left, _) = apart("/need_area", json!("DIS"), json!("DIS"));
    assert_eq!(open(&left.record()), "");
}

#[test]
fn three_values_are_kept_until_one_choice() {
    let document = made(&full());
    let mut all = document.clone();
    for (node, state) in [(1, "review"), (2, "suspended"), (3, "transferring")] {
        let mut copy = document.clone();
        let change = set(
            &mut copy,
            "/state",
            json!(state),
            &stamp(node, i64::from(node)),
        );
        absorb(&mut all, &change, node);
    }
    expect![[r#"
        conflict /state: "transferring" | "review" by op-001 | "suspended" by op-002
    "#]]
    .assert_eq(&open(&all.record()));
    set(&mut all, "/state", json!("suspended"), &stamp(1, 9));
    assert_eq!(open(&all.record()), "");
}

#[test]
fn a_removed_entry_leaves_the_record_and_stays_in_its_history() {
    let mut document = made(&full());
    let removal = json!([{"op":"remove","path":"/reviews/r1","reason":"twice"}]);
    edit(&mut document, removal, &stamp(1, 10)).expect("valid");
    assert_eq!(document.record().fields["reviews"], json!({}));
    assert_eq!(open(&document.record()), "");
    let history = document.history();
    let told: Vec<_> = history[1]
        .changes
        .iter()
        .map(|step| (step.op, step.path.as_str(), &step.value))
        .collect();
    assert_eq!(told, [("remove", "/reviews/r1", &None)]);
    let again = edit(
        &mut document,
        json!([{"op":"remove","path":"/reviews/r1"}]),
        &stamp(1, 11),
    );
    expect![[r#"
        /reviews/r1: there is nothing at this path in the record (path_not_found)
    "#]]
    .assert_eq(&shown(again));
    let deeper = edit(
        &mut document,
        json!([{"op":"add","path":"/reviews/r1/summary","value":"x"}]),
        &stamp(1, 11),
    );
    expect![[r#"
        /reviews/r1/summary: there is nothing at this path in the record (path_not_found)
    "#]]
    .assert_eq(&shown(deeper));
    let other = json!({"on":"2026-06-02","decision":"revise"});
    set(&mut document, "/reviews/r1", other.clone(), &stamp(1, 12));
    assert_eq!(document.record().fields["reviews"], json!({"r1":other}));
    assert_eq!(open(&document.record()), "");
}

#[test]
fn an_entry_removed_here_and_edited_there_comes_back_flagged() {
    let document = made(&full());
    let (mut left, mut right) = two(&document);
    let removal = patch_of(json!([{"op":"remove","path":"/reviews/r1"}]));
    let removed = left
        .patch(&removal, None, &stamp(1, 10))
        .expect("valid")
        .expect("an effect");
    let edited = set(
        &mut right,
        "/reviews/r1/summary",
        json!("Nuovo"),
        &stamp(2, 20),
    );
    absorb(&mut left, &edited, 2);
    absorb(&mut right, &removed, 1);
    assert_eq!(left.record(), right.record());
    expect![[r#"
        flag removal_undone /reviews/r1
    "#]]
    .assert_eq(&open(&left.record()));
    assert_eq!(
        left.record().fields["reviews"]["r1"]["summary"],
        json!("Nuovo")
    );

    let mut kept = left.clone();
    set(
        &mut kept,
        "/reviews/r1/decision",
        json!("revise"),
        &stamp(1, 30),
    );
    assert_eq!(open(&kept.record()), "");
    let mut kept = left.clone();
    let same = left.record().fields["reviews"]["r1"].clone();
    set(&mut kept, "/reviews/r1", same, &stamp(1, 30));
    assert_eq!(open(&kept.record()), "");
    left.patch(&removal, None, &stamp(1, 30))
        .expect("valid")
        .expect("an effect");
    assert_eq!(open(&left.record()), "");
    assert_eq!(left.record().fields["reviews"], json!({}));
}

#[test]
fn two_removals_at_once_are_one() {
    let document = made(&full());
    let (mut left, mut right) = two(&document);
    let removal = patch_of(json!([{"op":"remove","path":"/team/m1"}]));
    let first = left
        .patch(&removal, None, &stamp(1, 10))
        .expect("valid")
        .expect("an effect");
    right
        .patch(&removal, None, &stamp(2, 20))
        .expect("valid")
        .expect("an effect");
    absorb(&mut right, &first, 1);
    assert_eq!(open(&right.record()), "");
    assert_eq!(right.record().fields["team"], json!({}));
}

#[test]
fn entries_added_apart_are_all_there() {
    let document = made(&full());
    let (mut left, mut right) = two(&document);
    let first = set(
        &mut left,
        "/reviews/a",
        json!({"on":"2026-07-01"}),
        &stamp(1, 10),
    );
    let second = set(
        &mut right,
        "/reviews/b",
        json!({"on":"2026-07-02"}),
        &stamp(2, 20),
    );
    absorb(&mut left, &second, 2);
    absorb(&mut right, &first, 1);
    assert_eq!(left.record(), right.record());
    assert_eq!(
        left.record().fields["reviews"]
            .as_object()
            .map(serde_json::Map::len),
        Some(3)
    );
    assert_eq!(open(&left.record()), "");
}

#[test]
fn two_pages_of_the_same_version_conflict_at_the_same_node() {
    let mut document = made(&full());
    let page = document.heads();
    let first = set_at(
        &mut document,
        &page,
        "/state",
        json!("suspended"),
        &stamp(1, 10),
    );
    let second = set_at(
        &mut document,
        &page,
        "/state",
        json!("review"),
        &stamp(1, 11),
    );
    expect![[r#"
        conflict /state: "suspended" | "review" by op-001
    "#]]
    .assert_eq(&open(&document.record()));
    let changes = [create(&full()).expect("valid").1, first, second];
    let actors: Vec<_> = changes
        .iter()
        .map(|change| checked(change, 1).actor().branch())
        .collect();
    assert_eq!(actors, [0, 0, 1]);
    let mut elsewhere = Document::empty(common::id());
    for change in &changes {
        absorb(&mut elsewhere, change, 1);
    }
    assert_eq!(elsewhere.record(), document.record());
    set(&mut document, "/state", json!("review"), &stamp(1, 12));
    assert_eq!(open(&document.record()), "");
}

#[test]
fn an_edit_on_an_older_version_is_checked_there_and_flagged_where_the_merge_breaks_a_rule() {
    let mut document = made(&full());
    let page = document.heads();
    set(&mut document, "/state", json!("suspended"), &stamp(1, 10));
    // On the page the state was active, from which review follows; of suspended it does not.
    set_at(
        &mut document,
        &page,
        "/state",
        json!("review"),
        &stamp(1, 11),
    );
    expect![[r#"
        conflict /state: "suspended" | "review" by op-001
    "#]]
    .assert_eq(&open(&document.record()));
    let refused = document.patch(
        &patch_of(json!([{"op":"replace","path":"/state","value":"archived"}])),
        Some(&page),
        &stamp(1, 12),
    );
    expect![[r#"
        a rule of the field is broken at /state: archived cannot follow active, what may follow is review, suspended, closed, transferring (state_cannot_follow)
    "#]].assert_eq(&shown(refused));
    let mut other = made(&full());
    let page = other.heads();
    set(
        &mut other,
        "/instruments/k1/from",
        json!("2026-09-30"),
        &stamp(1, 10),
    );
    set_at(
        &mut other,
        &page,
        "/instruments/k1/until",
        json!("2026-06-30"),
        &stamp(1, 11),
    );
    expect![[r#"
        flag dates_out_of_order /instruments/k1/until
    "#]]
    .assert_eq(&open(&other.record()));
}

#[test]
fn a_version_unknown_here_is_refused() {
    let mut document = made(&full());
    let patch = patch_of(json!([{"op":"replace","path":"/state","value":"review"}]));
    let elsewhere = made(&common::least()).heads();
    for base in [elsewhere, Heads::default()] {
        let result = document.patch(&patch, Some(&base), &stamp(1, 10));
        assert_eq!(result, Err(Rejected::UnknownVersion));
    }
}

#[test]
fn branches_are_taken_up_again_once_their_last_change_is_covered() {
    let mut document = made(&full());
    let page = document.heads();
    let mut branches = Vec::new();
    for second in 10..14 {
        let change = set_at(
            &mut document,
            &page,
            "/need_area",
            json!(format!("X{second}")),
            &stamp(1, second),
        );
        branches.push(checked(&change, 1).actor().branch());
    }
    let newest = document.heads();
    let change = set_at(
        &mut document,
        &newest,
        "/need_area",
        json!("FAM"),
        &stamp(1, 20),
    );
    branches.push(checked(&change, 1).actor().branch());
    let change = set(&mut document, "/need_area", json!("DIS"), &stamp(1, 21));
    branches.push(checked(&change, 1).actor().branch());
    assert_eq!(branches, [0, 1, 2, 3, 0, 0]);
    assert_eq!(open(&document.record()), "");
}

/// One random edit of a random field, on a random one of the versions known.
fn random_edit(
    document: &mut Document,
    bases: &[Heads],
    numbers: &mut Numbers,
    stamp: &raccordo_crdt_model::Stamp,
) -> Option<Change> {
    let mut patches = edited::edits(document.kind(), numbers);
    patches.push(json!([{"op":"add","path":"/weather","value":{"rain":numbers.below(2)}}]));
    patches.push(json!([{"op":"remove","path":"/weather"}]));
    let patch = patch_of(patches.swap_remove(numbers.below(patches.len())));
    let base = numbers.below(bases.len() + 1);
    // What does not apply to that version is refused, which is an outcome like any other.
    document
        .patch(&patch, bases.get(base), stamp)
        .unwrap_or(None)
}

/// All that nodes show of the record after some of them edited it, exchanged some of it and
/// edited on: each in another order of delivery that keeps causes before effects.
fn shown_after(kind: Kind, seed: u64) -> Vec<(Heads, Record, Summary, Vec<HistoryItem>)> {
    let mut numbers = Numbers(seed);
    let (founder, creation) = create_of(kind, &full_of(kind)).expect("valid");
    let mut nodes: Vec<Document> = vec![founder; 3];
    let mut changes = vec![(1_u8, creation)];
    let mut bases = vec![nodes[0].heads()];
    for second in 0..14 {
        let node = numbers.below(nodes.len());
        let name = u8::try_from(node + 1).expect("few nodes");
        if numbers.below(3) == 0 {
            let other = nodes[numbers.below(3)].clone();
            for (author, change) in &changes {
                let known = other.history().iter().any(|item| item.hash == change.hash);
                if known {
                    absorb(&mut nodes[node], change, *author);
                }
            }
        }
        let stamp = stamp(name, second);
        if let Some(change) = random_edit(&mut nodes[node], &bases, &mut numbers, &stamp) {
            changes.push((name, change));
            bases.push(nodes[node].heads());
        }
    }
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(delivered(&changes, &mut numbers));
    }
    let stored: Vec<_> = changes
        .iter()
        .map(|(_, change)| change.bytes.clone())
        .collect();
    all.push(Document::open(common::id(), &stored).expect("readable"));
    for node in &mut nodes {
        for (author, change) in &changes {
            absorb(node, change, *author);
        }
    }
    all.extend(nodes);
    let show = |document: &Document| {
        let (record, history) = (document.record(), document.history());
        (document.heads(), record, document.summary(), history)
    };
    all.iter().map(show).collect()
}

/// A document that takes the changes in a random order, each as soon as what it needs is there.
fn delivered(changes: &[(u8, Change)], numbers: &mut Numbers) -> Document {
    let mut waiting = changes.to_vec();
    let mut document = Document::empty(common::id());
    while !waiting.is_empty() {
        let next = numbers.below(waiting.len());
        let (author, change) = &waiting[next];
        match document.absorb(&[checked(change, *author)]) {
            Ok(joined) => {
                document = joined;
                waiting.remove(next);
            }
            Err(refused) => {
                let absent = matches!(refused, Refused::Absent { index: 0, .. });
                assert!(absent, "only what is missing holds a change up: {refused}");
            }
        }
    }
    document
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_order_of_delivery_shows_the_same_record_of_every_kind(seed in any::<u64>()) {
        for kind in Kind::all() {
            let shown = shown_after(kind, seed);
            for other in &shown[1..] {
                prop_assert_eq!(&shown[0], other);
            }
        }
    }
}

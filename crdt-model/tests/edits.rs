//! What an edit of a record does, and what is refused, in words.

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

use common::{create, edit, full, imported, made, open, patch_of, set, shown, stamp};
use expect_test::{Expect, expect};
use raccordo_crdt_model::Document;
use serde_json::{Value, json};

fn with(pointer: &str, value: Value) -> Value {
    let mut record = full();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let parent = record.pointer_mut(parent).expect("a parent in the record");
    parent[name] = value;
    record
}

fn check_patch(patch: Value, expected: &Expect) {
    let mut document = made(&full());
    let before = (document.heads(), document.record());
    let result = edit(&mut document, patch, &stamp(1, 10));
    if result.is_err() {
        assert_eq!(
            (document.heads(), document.record()),
            before,
            "a rejected patch changed something"
        );
    }
    expected.assert_eq(&shown(result));
}

#[test]
fn a_patch_is_refused_whole_with_all_its_problems() {
    check_patch(
        json!([{"op":"replace","path":"/need_area","value":7},
               {"op":"add","path":"/reviews/r2","value":{"decision":"stop","on":"x"}},
               {"op":"replace","path":"/nothing","value":1},
               {"op":"remove","path":"/team/m9"},
               {"op":"add","path":"/team/m9/role","value":"member"},
               {"op":"add","path":"/_kind","value":"casefile"},
               {"op":"remove","path":"/opened_on"},
               {"op":"add","path":"/team/m1/removed","value":true}]),
        &expect![[r#"
            /nothing: there is nothing at this path in the record (path_not_found)
            /team/m9: there is nothing at this path in the record (path_not_found)
            /team/m9/role: there is nothing at this path in the record (path_not_found)
            /opened_on: opened_on is missing, a record cannot be without it (required)
            /_kind: names that begin with _ are kept for the program (reserved_field)
            /need_area: the number 7 where a code, as text is expected (wrong_type)
            /reviews/r2/decision: "stop" is none of continue, revise, suspend, close (not_allowed)
            /reviews/r2/on: "x" is not a date such as 2026-03-04 (not_a_date)
            /team/m1/removed: an entry is removed by the operation remove, not by this field (reserved_field)
        "#]],
    );
    check_patch(
        json!([{"op":"remove","path":"/subject/kind"}]),
        &expect![[r#"
            /subject/kind: kind is missing, a record cannot be without it (required)
        "#]],
    );
    check_patch(
        json!([{"op":"replace","path":"/subject","value":{"sex":"F"}}]),
        &expect![[r#"
            /subject/kind: kind is missing, a record cannot be without it (required)
        "#]],
    );
    check_patch(
        json!([{"op":"add","path":"/sub_areas/7","value":"x"}]),
        &expect![[r#"
            /sub_areas/7: there is nothing at this path in the record (path_not_found)
        "#]],
    );
    check_patch(
        json!([{"op":"add","path":"/sub_areas/01","value":"x"}]),
        &expect![[r#"
            /sub_areas/01: there is nothing at this path in the record (path_not_found)
        "#]],
    );
    check_patch(
        json!([{"op":"replace","path":"/sharing","value":"local"}]),
        &expect![[r#"
            a rule of the field is broken at /sharing: sharing is shared since the record was made and cannot be changed (sharing_is_fixed)
        "#]],
    );
    check_patch(
        json!([{"op":"add","path":"/_meta/x","value":1}]),
        &expect![[r#"
            /_meta: names that begin with _ are kept for the program (reserved_field)
        "#]],
    );
    check_patch(
        json!([{"op":"add","path":"/weather/today/rain","value":1}]),
        &expect![[r#"
            /weather/today/rain: there is nothing at this path in the record (path_not_found)
        "#]],
    );
}

#[test]
fn a_test_holds_or_the_patch_is_refused() {
    check_patch(
        json!([{"op":"test","path":"/instruments/k1/amount_eur","value":500},
               {"op":"test","path":"/sub_areas","value":["dipendenze"]},
               {"op":"replace","path":"/need_area","value":"DIS"},
               {"op":"test","path":"/need_area","value":"DIS"}]),
        &expect![[r#"
            accepted
        "#]],
    );
    check_patch(
        json!([{"op":"replace","path":"/need_area","value":"DIS"},
               {"op":"test","path":"/state","value":"closed"}]),
        &expect![[r#"
            the value tested at /state is another one
        "#]],
    );
    let mut document = made(&full());
    let all = patch_of(json!([{"op":"test","path":"","value":full()}]));
    assert_eq!(document.patch(&all, None, &stamp(1, 1)), Ok(None));
}

#[test]
fn states_follow_and_closing_needs_an_outcome() {
    check_patch(
        json!([{"op":"replace","path":"/state","value":"reported"}]),
        &expect![[r#"
            a rule of the field is broken at /state: reported cannot follow active, what may follow is review, suspended, closed, transferring (state_cannot_follow)
        "#]],
    );
    check_patch(
        json!([{"op":"replace","path":"/state","value":"closed"}]),
        &expect![[r#"
            a rule of the field is broken at /outcome: a project is closed with an outcome, and there is none: say how it ended (closing_without_outcome)
        "#]],
    );
    check_patch(
        json!([{"op":"replace","path":"/state","value":"closed"},
               {"op":"add","path":"/outcome","value":{"code":"OBIETTIVI","on":"2026-12-01"}}]),
        &expect![[r#"
            accepted
        "#]],
    );
    let mut document = made(&full());
    let change = edit(
        &mut document,
        json!([{"op":"replace","path":"/state","value":"reported"}]),
        &imported(1, 5),
    );
    assert!(change.expect("history").is_some());
    expect![[r#"
        flag state_out_of_order /state
    "#]]
    .assert_eq(&open(&document.record()));
    set(
        &mut document,
        "/state",
        json!("taken_in_charge"),
        &stamp(1, 6),
    );
    assert_eq!(open(&document.record()), "");
}

#[test]
fn an_edit_may_not_bring_dates_out_of_order() {
    for (path, value, expected) in [
        (
            "/plans/social/interventions/i1/end",
            json!("2026-01-01"),
            expect![[r#"
                a rule of the field is broken at /plans/social/interventions/i1/end: end 2026-01-01 comes before start 2026-04-01 (dates_out_of_order)
            "#]],
        ),
        (
            "/reviews/r2",
            json!({"on":"2026-03-01"}),
            expect![[r#"
            a rule of the field is broken at /reviews/r2/on: on 2026-03-01 comes before the project was opened on 2026-03-04 (dates_out_of_order)
        "#]],
        ),
        (
            "/opened_on",
            json!("2026-07-01"),
            expect![[r#"
            a rule of the field is broken at /reviews/r1/on: on 2026-06-01 comes before the project was opened on 2026-07-01 (dates_out_of_order)
        "#]],
        ),
        (
            "/outcome",
            json!({"code":"8","on":"2020-01-01"}),
            expect![[r#"
                a rule of the field is broken at /outcome/on: on 2020-01-01 comes before the project was opened on 2026-03-04 (dates_out_of_order)
            "#]],
        ),
        (
            "/reviews",
            json!({"r1":{"on":"2026-03-01"}}),
            expect![[r#"
                a rule of the field is broken at /reviews/r1/on: on 2026-03-01 comes before the project was opened on 2026-03-04 (dates_out_of_order)
            "#]],
        ),
        (
            "/opened_on",
            json!("2026-01-01"),
            expect![[r#"
            accepted
        "#]],
        ),
    ] {
        check_patch(json!([{"op":"add","path":path,"value":value}]), &expected);
    }
}

#[test]
fn a_value_that_is_there_already_makes_no_change() {
    let mut document = made(&full());
    for path in [
        "/state",
        "/instruments/k1",
        "/plans",
        "/team",
        "/sub_areas",
        "/outcome",
    ] {
        let value = full().pointer(path).cloned().expect("in the record");
        let patch = json!([{"op":"replace","path":path,"value":value}]);
        assert_eq!(edit(&mut document, patch, &stamp(1, 9)), Ok(None), "{path}");
    }
    let there_and_back = json!([{"op":"replace","path":"/state","value":"review"},
                                {"op":"replace","path":"/state","value":"active"}]);
    assert_eq!(edit(&mut document, there_and_back, &stamp(1, 9)), Ok(None));
    assert_eq!(document.change_count(), 1);
}

#[test]
fn a_line_without_effect_is_remembered_by_a_change_without_effect() {
    let mut document = made(&full());
    let line = raccordo_crdt_model::LineId::of("{}", 0);
    let mut stamped = imported(1, 9);
    stamped.line = Some(line);
    let same = json!([{"op":"replace","path":"/state","value":"active"}]);
    let change = edit(&mut document, same, &stamped)
        .expect("valid")
        .expect("a change that remembers");
    assert_eq!(change.line, Some(line));
    let reopened = Document::open(
        common::id(),
        &[create(&full()).expect("valid").1.bytes, change.bytes],
    );
    let reopened = reopened.expect("readable");
    assert_eq!(reopened.heads(), document.heads());
    assert_eq!(reopened.record(), document.record());
    assert_eq!(document.record().updated_at, stamp(1, 0).at);
    assert!(document.history()[1].changes.is_empty());
}

#[test]
fn lists_and_containers_change_only_where_they_differ() {
    let mut document = made(&full());
    let before = document.clone();
    let change = set(
        &mut document,
        "/sub_areas",
        json!(["giustizia", "dipendenze"]),
        &stamp(1, 1),
    );
    assert!(change.bytes.len() < 200, "{} bytes", change.bytes.len());
    set(
        &mut document,
        "/sub_areas/-",
        json!("senza_dimora"),
        &stamp(1, 2),
    );
    edit(
        &mut document,
        json!([{"op":"remove","path":"/sub_areas/1"}]),
        &stamp(1, 3),
    )
    .expect("valid");
    assert_eq!(
        document.record().fields["sub_areas"],
        json!(["giustizia", "senza_dimora"])
    );
    edit(
        &mut document,
        json!([{"op":"remove","path":"/sub_areas"}]),
        &stamp(1, 4),
    )
    .expect("valid");
    assert_eq!(document.record().fields["sub_areas"], json!([]));

    let mut document = before;
    let mut plans = full()["plans"].clone();
    plans["work"]["employability"] = json!(60);
    let change = set(&mut document, "/plans", plans.clone(), &stamp(1, 1));
    assert!(change.bytes.len() < 200, "{} bytes", change.bytes.len());
    edit(
        &mut document,
        json!([{"op":"remove","path":"/plans/social"}]),
        &stamp(1, 2),
    )
    .expect("valid");
    plans["social"] = json!({"goals":{},"interventions":{}});
    assert_eq!(document.record().fields["plans"], plans);
}

#[test]
fn unknown_fields_are_edited_at_their_leaves() {
    let mut document = made(&with(
        "/weather",
        json!({"today":{"rain":1,"wind":[1,2,3]},"unit":"mm"}),
    ));
    set(&mut document, "/weather/today/rain", json!(2), &stamp(1, 1));
    set(
        &mut document,
        "/weather/today/wind/1",
        json!(9),
        &stamp(1, 2),
    );
    edit(
        &mut document,
        json!([{"op":"remove","path":"/weather/unit"}]),
        &stamp(1, 3),
    )
    .expect("valid");
    assert_eq!(
        document.record().fields["weather"],
        json!({"today":{"rain":2,"wind":[1,9,2,3]}})
    );
    set(&mut document, "/weather", json!("fine"), &stamp(1, 4));
    assert_eq!(document.record().fields["weather"], json!("fine"));
    edit(
        &mut document,
        json!([{"op":"remove","path":"/weather"}]),
        &stamp(1, 5),
    )
    .expect("valid");
    assert_eq!(document.record().fields, full());
}

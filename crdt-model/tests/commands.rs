//! What may be put into a record and what is refused, in words.

mod common;

use common::{create, edit, full, imported, least, made, open, patch_of, set, shown, stamp};
use expect_test::{Expect, expect};
use raccordo_crdt_model::{Document, Kind, Rejected};
use serde_json::{Value, json};

fn with(pointer: &str, value: Value) -> Value {
    let mut record = full();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let parent = record.pointer_mut(parent).expect("a parent in the record");
    parent[name] = value;
    record
}

fn check_create(fields: &Value, expected: &Expect) {
    expected.assert_eq(&shown(create(fields)));
}

fn check_flags(fields: &Value, expected: &Expect) {
    expected.assert_eq(&open(&made(fields).record()));
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
fn a_whole_record_is_shown_as_it_was_given() {
    let document = made(&full());
    let record = document.record();
    assert_eq!(record.fields, full());
    assert_eq!(open(&record), "");
    assert_eq!(record.updated_by.as_deref(), Some("op-001"));
    assert_eq!(document.territory(), "frosinone/a");
    assert!(!document.is_local());
}

#[test]
fn the_least_record_shows_its_containers_and_its_first_state() {
    let fields = made(&least()).record().fields;
    expect![[r#"{"instruments":{},"need_area":"FAM","opened_on":"2026-01-07","plans":{"health":{"goals":{},"interventions":{}},"social":{"goals":{},"interventions":{}},"work":{"goals":{},"interventions":{}}},"reviews":{},"state":"reported","sub_areas":[],"subject":{"kind":"person"},"team":{}}"#]]
        .assert_eq(&fields.to_string());
    assert_eq!(made(&fields).record().fields, fields);
}

#[test]
fn every_problem_of_an_input_is_reported_at_once() {
    check_create(&json!({}), &expect![[r#""#]]);
    check_create(&json!([]), &expect![[r#""#]]);
    let mut wrong = full();
    wrong["state"] = json!("asleep");
    wrong["opened_on"] = json!("2026-02-30");
    wrong["subject"] = json!({"kind":"horse","birth_year":88,"sex":1,"minors":-1});
    wrong["sub_areas"] = json!("dipendenze");
    wrong["team"]["m1"] = json!([]);
    wrong["plans"]["social"]["goals"]["g1"]["reached"] = json!(4);
    wrong["plans"]["work"]["employability"] = json!(55.5);
    wrong["instruments"]["k1"]["amount_eur"] = json!(12.345);
    wrong["reviews"]["r1"]["bodies"] = json!(["SSD", 7]);
    wrong["outcome"] = json!({"code":"OBIETTIVI"});
    wrong["_home"] = json!("frosinone/b");
    wrong["reviews"]["r1"]["removed"] = json!({});
    check_create(&wrong, &expect![[r#""#]]);
}

#[test]
fn every_rule_of_the_table_says_what_it_saw_and_what_it_allows() {
    for (pointer, value, expected) in [
        ("/ref", json!("x".repeat(65)), expect![[r#""#]]),
        ("/sharing", json!("public"), expect![[r#""#]]),
        ("/subject", json!(null), expect![[r#""#]]),
        ("/subject/token", json!(7), expect![[r#""#]]),
        ("/need_area", json!(null), expect![[r#""#]]),
        ("/need_area", json!(""), expect![[r#""#]]),
        ("/next_review_on", json!("soon"), expect![[r#""#]]),
        ("/next_review_on", json!("2026-9-1"), expect![[r#""#]]),
        ("/team", json!([]), expect![[r#""#]]),
        ("/team/", json!({}), expect![[r#""#]]),
        ("/plans/work", json!("none"), expect![[r#""#]]),
        (
            "/plans/social/goals/g1/horizon",
            json!("soon"),
            expect![[r#""#]],
        ),
        (
            "/plans/social/goals/g1/text",
            json!("x".repeat(4001)),
            expect![[r#""#]],
        ),
        (
            "/plans/social/interventions/i1/state",
            json!("extended"),
            expect![[r#""#]],
        ),
        (
            "/plans/social/interventions/i1/hours",
            json!(-1),
            expect![[r#""#]],
        ),
        (
            "/plans/social/interventions/i1/hours",
            json!("many"),
            expect![[r#""#]],
        ),
        ("/instruments/k1/amount_eur", json!(-0.01), expect![[r#""#]]),
        ("/instruments/k1/amount_eur", json!("500"), expect![[r#""#]]),
        ("/instruments/k1/amount_eur", json!(1e300), expect![[r#""#]]),
        ("/instruments/k1/state", json!("done"), expect![[r#""#]]),
        ("/reviews/r1/decision", json!("stop"), expect![[r#""#]]),
        ("/outcome", json!("OBIETTIVI"), expect![[r#""#]]),
        (
            "/outcome",
            json!({"code":"OBIETTIVI","on":"today"}),
            expect![[r#""#]],
        ),
        ("/subject/minors", json!(51), expect![[r#""#]]),
    ] {
        check_create(&with(pointer, value), &expected);
    }
}

#[test]
fn amounts_keep_their_cents() {
    for amount in [
        json!(0),
        json!(0.1),
        json!(19.99),
        json!(1_000_000_000),
        json!(123_456.78),
    ] {
        let document = made(&with("/instruments/k1/amount_eur", amount.clone()));
        let shown = document.record().fields["instruments"]["k1"]["amount_eur"].as_f64();
        assert_eq!(shown, amount.as_f64());
    }
}

#[test]
fn unknown_codes_and_fields_are_kept_and_only_codes_are_flagged() {
    let mut fields = full();
    fields["need_area"] = json!("XYZ");
    fields["sub_areas"] = json!(["giustizia", "marte"]);
    fields["subject"]["municipality"] = json!("Z100");
    fields["team"]["m1"]["body"] = json!("NASA");
    fields["instruments"]["k1"]["outcome"] = json!("PRESTO");
    fields["weather"] =
        json!({"deep":[1, 2.5, {"x":null,"removed":true}],"big":18_446_744_073_709_551_615_u64});
    fields["subject"]["removed"] = json!("kept");
    assert_eq!(made(&fields).record().fields, fields);
    check_flags(&fields, &expect![[r#""#]]);
}

#[test]
fn nesting_size_and_names_are_bounded() {
    let mut deep = json!(1);
    for _ in 0..70 {
        deep = json!([deep]);
    }
    let result = create(&with("/deep", deep));
    let Err(Rejected::Invalid(problems)) = result else {
        panic!("too deep was accepted")
    };
    assert_eq!(problems[0].code, "too_deep");
    check_create(&with("/many", json!(vec![0; 9000])), &expect![[r#""#]]);
    check_create(
        &with("/long", json!("x".repeat(140_000))),
        &expect![[r#""#]],
    );
    check_create(&with("/text", json!("x".repeat(9_000))), &expect![[r#""#]]);
    check_create(&with("/a\u{7}b", json!(1)), &expect![[r#""#]]);
}

#[test]
fn a_record_begins_in_a_first_state_unless_it_is_history() {
    check_create(&with("/state", json!("closed")), &expect![[r#""#]]);
    for state in [
        "reported",
        "taken_in_charge",
        "assessment",
        "planning",
        "approval",
    ] {
        made(&with("/state", json!(state)));
    }
    let mut closed = with("/state", json!("closed"));
    let (document, _) =
        Document::create(common::id(), Kind::Project, "t", &closed, &imported(1, 0))
            .expect("history");
    expect![[r#""#]].assert_eq(&open(&document.record()));
    closed["outcome"] = json!({"code":"OBIETTIVI","on":"2026-12-01"});
    let (document, _) =
        Document::create(common::id(), Kind::Project, "t", &closed, &imported(1, 0))
            .expect("history");
    assert_eq!(open(&document.record()), "");
}

#[test]
fn dates_out_of_order_are_refused_unless_they_are_history() {
    let mut fields = full();
    fields["plans"]["social"]["interventions"]["i1"]["end"] = json!("2026-03-31");
    check_create(&fields, &expect![[r#""#]]);
    fields["team"]["m1"]["until"] = json!("2026-01-01");
    fields["instruments"]["k1"]["until"] = json!("2025-10-31");
    fields["reviews"]["r1"]["next_on"] = json!("2026-05-31");
    fields["opened_on"] = json!("2026-07-01");
    fields["outcome"] = json!({"code":"4","on":"2026-06-30"});
    let (document, _) =
        Document::create(common::id(), Kind::Project, "t", &fields, &imported(1, 0))
            .expect("history");
    expect![[r#""#]].assert_eq(&open(&document.record()));
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
        &expect![[r#""#]],
    );
    check_patch(
        json!([{"op":"remove","path":"/subject/kind"}]),
        &expect![[r#""#]],
    );
    check_patch(
        json!([{"op":"replace","path":"/subject","value":{"sex":"F"}}]),
        &expect![[r#""#]],
    );
    check_patch(
        json!([{"op":"add","path":"/sub_areas/7","value":"x"}]),
        &expect![[r#""#]],
    );
    check_patch(
        json!([{"op":"add","path":"/sub_areas/01","value":"x"}]),
        &expect![[r#""#]],
    );
    check_patch(
        json!([{"op":"replace","path":"/sharing","value":"local"}]),
        &expect![[r#""#]],
    );
    check_patch(
        json!([{"op":"add","path":"/_meta/x","value":1}]),
        &expect![[r#""#]],
    );
    check_patch(
        json!([{"op":"add","path":"/weather/today/rain","value":1}]),
        &expect![[r#""#]],
    );
}

#[test]
fn a_test_holds_or_the_patch_is_refused() {
    check_patch(
        json!([{"op":"test","path":"/instruments/k1/amount_eur","value":500},
               {"op":"test","path":"/sub_areas","value":["dipendenze"]},
               {"op":"replace","path":"/need_area","value":"DIS"},
               {"op":"test","path":"/need_area","value":"DIS"}]),
        &expect![[r#""#]],
    );
    check_patch(
        json!([{"op":"replace","path":"/need_area","value":"DIS"},
               {"op":"test","path":"/state","value":"closed"}]),
        &expect![[r#""#]],
    );
    let mut document = made(&full());
    let all = patch_of(json!([{"op":"test","path":"","value":full()}]));
    assert_eq!(document.patch(&all, None, &stamp(1, 1)), Ok(None));
}

#[test]
fn states_follow_and_closing_needs_an_outcome() {
    check_patch(
        json!([{"op":"replace","path":"/state","value":"reported"}]),
        &expect![[r#""#]],
    );
    check_patch(
        json!([{"op":"replace","path":"/state","value":"closed"}]),
        &expect![[r#""#]],
    );
    check_patch(
        json!([{"op":"replace","path":"/state","value":"closed"},
               {"op":"add","path":"/outcome","value":{"code":"OBIETTIVI","on":"2026-12-01"}}]),
        &expect![[r#""#]],
    );
    let mut document = made(&full());
    let change = edit(
        &mut document,
        json!([{"op":"replace","path":"/state","value":"reported"}]),
        &imported(1, 5),
    );
    assert!(change.expect("history").is_some());
    expect![[r#""#]].assert_eq(&open(&document.record()));
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
            expect![[r#""#]],
        ),
        ("/reviews/r2", json!({"on":"2026-03-01"}), expect![[r#""#]]),
        ("/opened_on", json!("2026-07-01"), expect![[r#""#]]),
        (
            "/outcome",
            json!({"code":"8","on":"2020-01-01"}),
            expect![[r#""#]],
        ),
        (
            "/reviews",
            json!({"r1":{"on":"2026-03-01"}}),
            expect![[r#""#]],
        ),
        ("/opened_on", json!("2026-01-01"), expect![[r#""#]]),
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
        json!("violenza"),
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
        json!(["giustizia", "violenza"])
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

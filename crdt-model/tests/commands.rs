//! What may be put into a record and what is refused, in words.

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

use common::{create, full, imported, least, made, open, shown};
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
    check_create(
        &json!({}),
        &expect![[r#"
        /need_area: need_area is missing, a record cannot be without it (required)
        /opened_on: opened_on is missing, a record cannot be without it (required)
        /subject/kind: kind is missing, a record cannot be without it (required)
    "#]],
    );
    check_create(
        &json!([]),
        &expect![[r#"
        the whole: a list where an object of fields is expected (wrong_type)
    "#]],
    );
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
    check_create(
        &wrong,
        &expect![[r#"
        /_home: names that begin with _ are kept for the program (reserved_field)
        /instruments/k1/amount_eur: 12.345 is not an amount from 0 to 1000000000 euro with at most two decimals (not_money)
        /opened_on: "2026-02-30" is not a date such as 2026-03-04 (not_a_date)
        /outcome/on: on is missing, an outcome has a code and a date (required)
        /plans/social/goals/g1/reached: 4 is not a whole number from 1 to 3 (out_of_range)
        /plans/work/employability: 55.5 is not a whole number from 0 to 100 (out_of_range)
        /reviews/r1/removed: an entry is removed by the operation remove, not by this field (reserved_field)
        /reviews/r1/bodies/1: the number 7 where a code, as text is expected (wrong_type)
        /state: "asleep" is none of reported, taken_in_charge, assessment, planning, approval, active, review, suspended, closed, reopened, transferring, transferred, archived (not_allowed)
        /sub_areas: the text "dipendenze" where a list of codes is expected (wrong_type)
        /subject/birth_year: 88 is not a whole number from 1880 to 2200 (out_of_range)
        /subject/kind: "horse" is none of person, household (not_allowed)
        /subject/minors: -1 is not a whole number from 0 to 50 (out_of_range)
        /subject/sex: the number 1 where one of F, M, X is expected (wrong_type)
        /team/m1: a list where an object of fields is expected (wrong_type)
    "#]],
    );
}

#[test]
fn every_rule_of_the_table_says_what_it_saw_and_what_it_allows() {
    let mut out = String::new();
    for (pointer, value) in [
        ("/ref", json!("x".repeat(65))),
        ("/sharing", json!("public")),
        ("/subject", json!(null)),
        ("/subject/token", json!(7)),
        ("/subject/minors", json!(51)),
        ("/need_area", json!(null)),
        ("/need_area", json!("")),
        ("/next_review_on", json!("soon")),
        ("/next_review_on", json!("2026-9-1")),
        ("/team", json!([])),
        ("/team/", json!({})),
        ("/plans/work", json!("none")),
        ("/plans/social/goals/g1/horizon", json!("soon")),
        ("/plans/social/goals/g1/text", json!("x".repeat(4001))),
        ("/plans/social/interventions/i1/state", json!("extended")),
        ("/plans/social/interventions/i1/hours", json!(-1)),
        ("/plans/social/interventions/i1/hours", json!("many")),
        ("/instruments/k1/amount_eur", json!(-0.01)),
        ("/instruments/k1/amount_eur", json!("500")),
        ("/instruments/k1/amount_eur", json!(1e300)),
        ("/instruments/k1/state", json!("done")),
        ("/reviews/r1/decision", json!("stop")),
        ("/outcome", json!("OBIETTIVI")),
        ("/outcome", json!({"code":"OBIETTIVI","on":"today"})),
    ] {
        out += &shown(create(&with(pointer, value)));
    }
    expect![[r#"
        /ref: 65 characters, at most 64 allowed (too_long)
        /sharing: "public" is none of shared, local (not_allowed)
        /subject: null where an object of fields is expected (wrong_type)
        /subject/token: the number 7 where text is expected (wrong_type)
        /subject/minors: 51 is not a whole number from 0 to 50 (out_of_range)
        /need_area: need_area is missing, a record cannot be without it (required)
        /need_area: a code of 0 characters, 1 to 64 allowed (bad_code)
        /next_review_on: "soon" is not a date such as 2026-03-04 (not_a_date)
        /next_review_on: "2026-9-1" is not a date such as 2026-03-04 (not_a_date)
        /team: a list where an object of entries, each by its id is expected (wrong_type)
        /team/: a name of 0 characters, 1 to 64 printable ones are allowed (bad_name)
        /plans/work: the text "none" where an object of fields is expected (wrong_type)
        /plans/social/goals/g1/horizon: "soon" is none of short, medium, long (not_allowed)
        /plans/social/goals/g1/text: 4001 characters, at most 4000 allowed (too_long)
        /plans/social/interventions/i1/state: "extended" is none of planned, active, suspended, done, cancelled (not_allowed)
        /plans/social/interventions/i1/hours: -1 is not a number from 0 to 100000 (out_of_range)
        /plans/social/interventions/i1/hours: the text "many" where a number is expected (wrong_type)
        /instruments/k1/amount_eur: -0.01 is not an amount from 0 to 1000000000 euro with at most two decimals (not_money)
        /instruments/k1/amount_eur: the text "500" where an amount in euro is expected (wrong_type)
        /instruments/k1/amount_eur: 1e+300 is not an amount from 0 to 1000000000 euro with at most two decimals (not_money)
        /instruments/k1/state: "done" is none of planned, active, extended, concluded (not_allowed)
        /reviews/r1/decision: "stop" is none of continue, revise, suspend, close (not_allowed)
        /outcome: the text "OBIETTIVI" where null or an object with code and on is expected (wrong_type)
        /outcome/on: "today" is not a date such as 2026-03-04 (not_a_date)
    "#]].assert_eq(&out);
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
    check_flags(
        &fields,
        &expect![[r#"
        flag unknown_code /instruments/k1/outcome
        flag unknown_code /need_area
        flag unknown_code /sub_areas/1
        flag unknown_code /subject/municipality
        flag unknown_code /team/m1/body
    "#]],
    );
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
    check_create(
        &with("/many", json!(vec![0; 9000])),
        &expect![[r#"
            the whole: 9080 values, at most 8000 allowed (too_large)
        "#]],
    );
    check_create(
        &with("/long", json!("x".repeat(140_000))),
        &expect![[r#"
            the whole: 140891 bytes of text, at most 131072 allowed (too_large)
        "#]],
    );
    check_create(
        &with("/text", json!("x".repeat(9_000))),
        &expect![[r#"
        /text: 9000 characters, at most 8000 allowed (too_long)
    "#]],
    );
    check_create(
        &with("/a\u{7}b", json!(1)),
        &expect![[r#"
        /ab: a name of 3 characters, 1 to 64 printable ones are allowed (bad_name)
    "#]],
    );
}

#[test]
fn a_record_begins_in_a_first_state_unless_it_is_history() {
    check_create(
        &with("/state", json!("closed")),
        &expect![[r#"
        a rule of the field is broken at /state: a record cannot begin as closed, only as reported, taken_in_charge, assessment, planning, approval, active (state_cannot_follow)
    "#]],
    );
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
    expect![[r#"
        flag closing_without_outcome /outcome
    "#]]
    .assert_eq(&open(&document.record()));
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
    check_create(
        &fields,
        &expect![[r#"
        a rule of the field is broken at /plans/social/interventions/i1/end: end 2026-03-31 comes before start 2026-04-01 (dates_out_of_order)
    "#]],
    );
    fields["team"]["m1"]["until"] = json!("2026-01-01");
    fields["instruments"]["k1"]["until"] = json!("2025-10-31");
    fields["reviews"]["r1"]["next_on"] = json!("2026-05-31");
    fields["opened_on"] = json!("2026-07-01");
    fields["outcome"] = json!({"code":"4","on":"2026-06-30"});
    let (document, _) =
        Document::create(common::id(), Kind::Project, "t", &fields, &imported(1, 0))
            .expect("history");
    expect![[r#"
        flag dates_out_of_order /instruments/k1/until
        flag dates_out_of_order /outcome/on
        flag dates_out_of_order /plans/social/interventions/i1/end
        flag dates_out_of_order /reviews/r1/next_on
        flag dates_out_of_order /reviews/r1/on
        flag dates_out_of_order /team/m1/until
        flag signature_to_renew /plans/social/signatures/s1
    "#]]
    .assert_eq(&open(&document.record()));
}

//! What a record's history tells.

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

use common::{full, made, set, set_at, stamp};
use expect_test::expect;
use raccordo_crdt_model::Document;
use serde_json::json;

/// A history as text, long values shortened.
fn told(document: &Document) -> String {
    let mut out = String::new();
    for item in document.history() {
        out += &format!(
            "{} {} {}\n",
            item.at,
            item.by.as_deref().unwrap_or("-"),
            item.origin[0]
        );
        for step in item.changes {
            let value = step
                .value
                .map_or_else(String::new, |value| value.to_string());
            let short: String = value.chars().take(70).collect();
            out += &format!("  {} {:?} {short}\n", step.op, step.path);
        }
    }
    out
}

#[test]
fn the_history_tells_who_did_what_in_the_order_of_causes() {
    let mut document = made(&full());
    let page = document.heads();
    set(
        &mut document,
        "/plans/work/employability",
        json!(60),
        &stamp(1, 30),
    );
    set_at(
        &mut document,
        &page,
        "/team/m2",
        json!({"body":"CPI","role":"member"}),
        &stamp(2, 10),
    );
    set(
        &mut document,
        "/sub_areas",
        json!(["giustizia"]),
        &stamp(1, 40),
    );
    set(
        &mut document,
        "/instruments/k1",
        json!({"kind":"VOU","amount_eur":12.5}),
        &stamp(1, 50),
    );
    set(
        &mut document,
        "/outcome",
        json!({"code":"4","on":"2026-12-01"}),
        &stamp(1, 60),
    );
    set(
        &mut document,
        "/weather",
        json!({"rain":[1,2]}),
        &stamp(1, 70),
    );
    set(&mut document, "/weather/rain/0", json!(9), &stamp(1, 80));
    let out = told(&document);
    expect![[r#"
        2026-02-25T06:13:20Z op-001 1
          add "" {"instruments":{"k1":{"amount_eur":500.0,"from":"2026-05-01","host":"e
        2026-02-25T06:13:30Z op-002 2
          add "/team/m2" {"body":"CPI","role":"member"}
        2026-02-25T06:13:50Z op-001 1
          replace "/plans/work/employability" 60
        2026-02-25T06:14:00Z op-001 1
          replace "/sub_areas" ["giustizia"]
        2026-02-25T06:14:10Z op-001 1
          replace "/instruments/k1/amount_eur" 12.5
          remove "/instruments/k1/from" 
          remove "/instruments/k1/host" 
          remove "/instruments/k1/hours" 
          replace "/instruments/k1/kind" "VOU"
          remove "/instruments/k1/outcome" 
          remove "/instruments/k1/purpose" 
          remove "/instruments/k1/state" 
          remove "/instruments/k1/until" 
        2026-02-25T06:14:20Z op-001 1
          replace "/outcome" {"code":"4","on":"2026-12-01"}
        2026-02-25T06:14:30Z op-001 1
          add "/weather" {"rain":[1,2]}
        2026-02-25T06:14:40Z op-001 1
          replace "/weather/rain" [9,1,2]
    "#]]
    .assert_eq(&out);
}

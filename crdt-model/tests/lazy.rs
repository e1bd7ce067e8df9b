//! Containers that are made when they are first needed: nothing that stands in them is ever lost.

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

use common::{absorb, edit, full, id, imported, made, open, set, set_at, stamp, whole};
use expect_test::expect;
use raccordo_crdt_model::import::export_line;
use raccordo_crdt_model::{Document, ImportLine, ImportOp, Kind, SaveLimits, gate};
use serde_json::{Value, json};

fn line(document: &Document) -> String {
    let record = document.record();
    export_line(Kind::Project, id(), record.created_at, &record.fields)
}

#[test]
fn what_holds_nothing_is_absent_and_adds_no_byte() {
    let document = made(&full());
    let mut empty = full();
    for name in ["decisions", "vouchers", "referrals", "links"] {
        empty[name] = json!({});
        assert!(document.record().fields.get(name).is_none(), "{name}");
    }
    empty["plans"]["health"]["signatures"] = json!({});
    assert_eq!(made(&empty).to_save(), document.to_save());
}

#[test]
fn a_whole_project_comes_through_export_and_import_byte_for_byte() {
    // As a file of former years tells it, whole from the first: what a person makes only begins.
    let made = Document::create(
        id(),
        Kind::Project,
        "frosinone/a",
        &whole(),
        &imported(1, 0),
    );
    let (document, _) = made.expect("valid");
    let first = line(&document);
    let (read, _) = ImportLine::parse(&first).expect("well formed");
    let ImportOp::Create { doc } = read.op else {
        panic!("an exported line makes a record");
    };
    let again = Document::create(id(), Kind::Project, "frosinone/a", &doc, &imported(1, 0));
    assert_eq!(line(&again.expect("valid").0), first);
    let shown = document.record().fields;
    assert_eq!(shown["vouchers"]["b1"]["spent"]["e1"]["amount_eur"], 40.5);
}

/// Two nodes that each first use a container on the same old record.
fn both(one: (&str, Value), other: (&str, Value)) -> [Document; 2] {
    let base = made(&full());
    let (mut here, mut there) = (base.clone(), base);
    let left = set(&mut here, one.0, one.1, &stamp(1, 10));
    let right = set(&mut there, other.0, other.1, &stamp(2, 11));
    absorb(&mut here, &right, 2);
    absorb(&mut there, &left, 1);
    assert_eq!(here.record(), there.record());
    [here, there]
}

#[test]
fn two_that_first_use_a_container_at_once_keep_what_both_wrote() {
    for (one, other, value) in [
        ("/decisions/d1", "/decisions/d2", json!({})),
        ("/vouchers/b1", "/vouchers/b2", json!({})),
        (
            "/plans/health/signatures/s1",
            "/plans/health/signatures/s2",
            json!({"body":"DSM"}),
        ),
    ] {
        let [mut here, there] = both((one, value.clone()), (other, value));
        let fields = here.record().fields;
        assert!(fields.pointer(one).is_some(), "{one}");
        assert!(fields.pointer(other).is_some(), "{other}");
        assert_eq!(open(&here.record()), "");
        // Either may be edited and removed afterwards, and a third added.
        for path in [one, other] {
            let inner = format!("{path}/provider");
            set(&mut here, &inner, json!("x"), &stamp(1, 20));
            assert_eq!(here.record().fields.pointer(&inner), Some(&json!("x")));
            let removal = json!([{"op":"remove","path":path}]);
            edit(&mut here, removal, &stamp(1, 21)).expect("valid");
            assert_eq!(here.record().fields.pointer(path), None);
        }
        let save = gate::check_save(there.to_save(), &SaveLimits::default()).expect("good");
        let (again, _) = Document::from_save(id(), &save).expect("good");
        assert_eq!(again.record(), there.record());
        assert!(there.survives_saving());
    }
    let [links, _] = both(
        ("/links/next", json!("00")),
        ("/links/previous", json!("11")),
    );
    assert_eq!(
        links.record().fields["links"],
        json!({"next":"00","previous":"11"})
    );
}

#[test]
fn two_that_write_the_same_entry_or_field_at_once_leave_both_to_be_chosen() {
    let one = json!({"question":"Uno?"});
    let other = json!({"question":"Due?"});
    let [mut here, _] = both(("/decisions/d1", one.clone()), ("/decisions/d1", other));
    expect![[r#"
        overwritten /decisions/d1: {"question":"Due?"} | {"question":"Uno?"} by op-001
    "#]]
    .assert_eq(&open(&here.record()));
    let shown = here.record().fields["decisions"]["d1"].clone();
    set(&mut here, "/decisions/d1", shown, &stamp(1, 20));
    assert_eq!(open(&here.record()), "");
    let [mut links, _] = both(("/links/next", json!("00")), ("/links/next", json!("11")));
    expect![[r#"
        overwritten /links/next: "11" | "00" by op-001
    "#]]
    .assert_eq(&open(&links.record()));
    set(&mut links, "/links/next", json!("00"), &stamp(1, 20));
    assert_eq!(open(&links.record()), "");
    assert_eq!(links.record().fields["links"], json!({"next":"00"}));
    let [mut gone, _] = both(("/decisions/d1", one.clone()), ("/decisions/d1", one));
    edit(
        &mut gone,
        json!([{"op":"remove","path":"/decisions/d1"}]),
        &stamp(1, 20),
    )
    .expect("valid");
    assert!(gone.record().fields.get("decisions").is_none());
}

#[test]
fn what_stands_in_a_sub_entity_is_made_merged_removed_and_comes_back() {
    let mut fields = full();
    fields["decisions"] = json!({"d1":{"question":"Quale?"}});
    let base = made(&fields);
    let version = base.heads();
    let (mut here, mut there) = (base.clone(), base);
    let left = set(
        &mut here,
        "/decisions/d1/votes/w1",
        json!({"body":"SSD"}),
        &stamp(1, 10),
    );
    let right = set(
        &mut there,
        "/decisions/d1/votes/w2",
        json!({"body":"CPI"}),
        &stamp(2, 11),
    );
    absorb(&mut here, &right, 2);
    absorb(&mut there, &left, 1);
    assert_eq!(here.record(), there.record());
    assert_eq!(
        here.record().fields["decisions"]["d1"]["votes"],
        json!({"w1":{"body":"SSD"},"w2":{"body":"CPI"}})
    );
    // A vote is taken away; a decision that is voted on meanwhile comes back.
    edit(
        &mut here,
        json!([{"op":"remove","path":"/decisions/d1/votes/w1"}]),
        &stamp(1, 20),
    )
    .expect("valid");
    assert_eq!(
        here.record().fields["decisions"]["d1"]["votes"],
        json!({"w2":{"body":"CPI"}})
    );
    let removal = common::patch_of(json!([{"op":"remove","path":"/decisions/d1"}]));
    there
        .patch(&removal, Some(&version), &stamp(2, 21))
        .expect("valid");
    let record = there.record();
    expect![[r#"
        flag removal_undone /decisions/d1
    "#]]
    .assert_eq(&open(&record));
    assert_eq!(
        record.fields["decisions"]["d1"]["votes"]["w2"],
        json!({"body":"CPI"})
    );
}

#[test]
fn history_tells_an_entry_and_not_the_container_that_was_made_for_it() {
    let mut document = made(&full());
    set(
        &mut document,
        "/vouchers/b1",
        json!({"kind":"trasporto","value_eur":10}),
        &stamp(1, 1),
    );
    set(
        &mut document,
        "/vouchers/b1/spent/e1",
        json!({"amount_eur":4}),
        &stamp(1, 2),
    );
    set(&mut document, "/links/next", json!("00"), &stamp(1, 3));
    let mut out = String::new();
    for step in document
        .history()
        .iter()
        .skip(1)
        .flat_map(|item| &item.changes)
    {
        out += &format!(
            "{} {} {}\n",
            step.op,
            step.path,
            step.value.clone().unwrap_or_default()
        );
    }
    expect![[r#"
        add /vouchers/b1 {"kind":"trasporto","value_eur":10.0}
        add /vouchers/b1/spent/e1 {"amount_eur":4.0}
        add /links {"next":"00"}
    "#]]
    .assert_eq(&out);
}

#[test]
fn a_field_that_was_unknown_once_goes_on_where_it_stands() {
    // As an older version of the table stored it: a map below a name that meant nothing to it.
    let mut document = made(&full());
    let base = document.heads();
    set(
        &mut document,
        "/decisions",
        json!({"d1":{"question":"Uno?"}}),
        &stamp(1, 1),
    );
    set_at(
        &mut document,
        &base,
        "/decisions/d2",
        json!({"question":"Due?"}),
        &stamp(2, 2),
    );
    let shown = document.record().fields["decisions"].clone();
    assert_eq!(
        shown,
        json!({"d1":{"question":"Uno?"},"d2":{"question":"Due?"}})
    );
    let tested = json!([{"op":"test","path":"/decisions","value":shown},
        {"op":"replace","path":"/decisions/d1/question","value":"Tre?"}]);
    edit(&mut document, tested, &stamp(1, 3)).expect("valid");
    assert_eq!(
        document.record().fields["decisions"]["d1"]["question"],
        "Tre?"
    );
}

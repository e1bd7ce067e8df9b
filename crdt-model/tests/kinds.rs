//! Every kind of record is made, edited, shown, shortened, told and exported by the same rules.

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

use common::{create_of, full_of, id, imported, open, set, shown, stamp};
use expect_test::expect;
use raccordo_crdt_model::import::export_line;
use raccordo_crdt_model::{Audience, Document, ImportLine, ImportOp, Kind, Writer};
use serde_json::{Value, json};

#[test]
fn every_kind_says_for_whom_it_is_and_who_writes_it() {
    let mut out = String::new();
    for kind in Kind::all() {
        let (audience, writer) = (kind.audience(), kind.writer());
        out += &format!(
            "{} {} {audience:?} {writer:?}\n",
            kind.code(),
            kind.plural()
        );
    }
    expect![[r#"
        1 projects Home District
        2 guidelines Everyone Coordination
        3 organisations Everyone District
        4 persons Territory District
        5 households Territory District
        6 casefiles Territory District
        7 contacts Territory District
        8 resources Everyone District
        9 activities Home District
        10 transfers Parties District
        11 erasure_orders Home District
        12 publications Home District
        13 notices Home Coordination
    "#]]
    .assert_eq(&out);
    assert_eq!(Kind::Guideline.audience(), Audience::Everyone);
    assert_eq!(Kind::Organisation.writer(), Writer::District);
}

#[test]
fn a_whole_record_of_every_kind_is_made_and_shown_without_a_flag() {
    for kind in Kind::all() {
        let fields = full_of(kind);
        let (document, _) = create_of(kind, &fields).expect("valid");
        assert_eq!(document.kind(), kind);
        assert_eq!(
            document.record().fields.to_string(),
            normal(&fields).to_string()
        );
        assert_eq!(open(&document.record()), "");
    }
}

/// The same JSON with its members in the order of their names.
fn normal(value: &Value) -> Value {
    serde_json::from_str(&raccordo_crdt_model::import::canonical(value)).expect("JSON")
}

#[test]
fn a_record_of_every_kind_comes_through_export_and_import_byte_for_byte() {
    for kind in Kind::all() {
        let (document, _) = create_of(kind, &full_of(kind)).expect("valid");
        let record = document.record();
        let line = export_line(kind, id(), record.created_at, &record.fields);
        let (read, canonical) = ImportLine::parse(&line).expect("well formed");
        assert_eq!((read.kind, &canonical), (kind, &line));
        let ImportOp::Create { doc } = read.op else {
            panic!("an exported line makes a record");
        };
        let again = Document::create(id(), kind, "frosinone/a", &doc, &imported(1, 0));
        let again = again.expect("what was exported is valid").0.record();
        assert_eq!(
            export_line(kind, id(), again.created_at, &again.fields),
            line
        );
    }
    let unknown = ImportLine::parse(r#"{"op":"create","kind":"village","ref":"x","doc":{}}"#);
    expect![[r#"/kind: "village" is no kind of record, only project, guideline, organisation, person, household, casefile, contact, resource, activity, transfer, erasure_order, publication, notice are (unknown_kind)"#]].assert_eq(&unknown.expect_err("no such kind")[0].to_string());
}

/// A full record of a kind in short, in four lines.
fn in_short(kind: Kind) -> String {
    let mut fields = full_of(kind);
    for (name, value) in [("title", "?"), ("need_area", "POV"), ("version", "2")] {
        if fields.get(name).is_none() {
            fields[name] = json!(value);
        }
    }
    let summary = create_of(kind, &fields).expect("valid").0.summary();
    let head = (
        summary.kind,
        summary.title,
        summary.type_code,
        summary.version,
    );
    let state = (summary.valid_from, summary.valid_until, summary.state);
    let subject = (summary.need_area, summary.subject_kind, summary.opened_on);
    let search = summary.search;
    format!("{head:?}\n  {state:?}\n  {subject:?}\n  {search:?}\n")
}

#[test]
fn a_record_in_short_holds_what_its_kind_has() {
    let out: String = Kind::all().map(in_short).concat();
    expect![[r#"
        (Project, None, None, None)
          (None, None, "active")
          ("POV", "person", Some("2026-03-04"))
          [(Frame, "FR-A-2026-000123"), (Social, "ente-012"), (Instruments, "ente-031")]
        (Guideline, Some("Presa in carico integrata"), Some("procedure"), Some("2"))
          (Some("2026-01-01"), Some("2027-12-31"), "published")
          ("", "", None)
          [(Frame, "FR-LG-7"), (Frame, "Presa in carico integrata")]
        (Organisation, Some("Cooperativa Il Melograno"), Some("ETS"), None)
          (Some("2026-01-01"), Some("2026-12-31"), "member")
          ("", "", None)
          [(Frame, "Cooperativa Il Melograno"), (Frame, "Laboratorio"), (Frame, "ente-012")]
        (Person, None, None, None)
          (None, None, "registered")
          ("", "", None)
          [(Frame, "P-0001")]
        (Household, None, None, None)
          (None, None, "active")
          ("", "", None)
          [(Frame, "N-0001")]
        (Casefile, None, None, None)
          (None, None, "open")
          ("", "", None)
          [(Frame, "C-0001")]
        (Contact, None, None, None)
          (None, None, "closed")
          ("POV", "", None)
          [(Frame, "K-0001")]
        (Resource, Some("Sportello casa"), None, None)
          (Some("2026-01-01"), Some("2026-12-31"), "offered")
          ("", "", None)
          [(Frame, "R-1"), (Frame, "Sportello casa"), (Frame, "ente-012")]
        (Activity, None, None, None)
          (None, None, "recorded")
          ("", "", None)
          [(Frame, "A-1"), (Frame, "UTI-A")]
        (Transfer, None, None, None)
          (None, None, "offered")
          ("", "", None)
          [(Frame, "00"), (Frame, "T-1")]
        (ErasureOrder, None, None, None)
          (None, None, "ordered")
          ("", "", None)
          [(Frame, "E-1")]
        (Publication, None, None, None)
          (None, None, "aggregates")
          ("", "", None)
          [(Frame, "Q-1")]
        (Notice, None, None, None)
          (None, None, "open")
          ("", "", None)
          [(Frame, "V-1")]
    "#]]
    .assert_eq(&out);
}

#[test]
fn only_a_record_of_one_territory_can_be_kept_there() {
    for kind in Kind::all() {
        let mut fields = full_of(kind);
        fields["sharing"] = json!("local");
        let (document, change) = create_of(kind, &fields).expect("valid");
        let leaves = [Audience::Everyone, Audience::Parties].contains(&kind.audience());
        assert_eq!(document.is_local(), !leaves);
        let absorbed = Document::empty(id()).absorb(&[common::checked(&change, 1)]);
        assert_eq!(absorbed.expect("fits").is_local(), document.is_local());
        let stored = Document::open(id(), &[change.bytes]).expect("readable");
        assert_eq!(stored.is_local(), document.is_local());
        assert_eq!(stored.kind(), kind);
    }
}

#[test]
fn states_and_dates_of_every_kind_follow_its_own_table() {
    let mut out = String::new();
    for (kind, path, value) in [
        (Kind::Guideline, "/state", json!("draft")),
        (Kind::Guideline, "/state", json!("suspended")),
        (Kind::Guideline, "/valid_until", json!("2025-12-31")),
        (Kind::Guideline, "/valid_from", json!("2028-01-01")),
        (Kind::Guideline, "/title", json!(null)),
        (Kind::Guideline, "/steps/p1/within_days", json!(-1)),
        (Kind::Organisation, "/state", json!("identified")),
        (Kind::Organisation, "/valid_from", json!("2027-01-01")),
        (Kind::Organisation, "/offers/o1/until", json!("2026-01-01")),
        (Kind::Organisation, "/contacts/phone", json!(7)),
        (Kind::Organisation, "/contacts", json!({})),
    ] {
        let (mut document, _) = create_of(kind, &full_of(kind)).expect("valid");
        let patch = json!([{"op":"add","path":path,"value":value}]);
        let result = common::edit(&mut document, patch, &stamp(1, 1));
        out += &format!("{} {path}: {}", kind.singular(), shown(result));
    }
    for (kind, fields) in [
        (
            Kind::Guideline,
            json!({"state":"superseded","title":"x","type":"form","version":"1"}),
        ),
        (
            Kind::Organisation,
            json!({"name":"x","state":"withdrawn","type":"ETS"}),
        ),
        (Kind::Guideline, json!({})),
        (Kind::Organisation, json!({})),
    ] {
        out += &format!("{}: {}", kind.singular(), shown(create_of(kind, &fields)));
    }
    expect![[r#"
        guideline /state: a rule of the field is broken at /state: draft cannot follow published, what may follow is superseded (state_cannot_follow)
        guideline /state: /state: "suspended" is none of draft, consultation, published, superseded (not_allowed)
        guideline /valid_until: a rule of the field is broken at /valid_until: valid_until 2025-12-31 comes before valid_from 2026-01-01 (dates_out_of_order)
        guideline /valid_from: a rule of the field is broken at /valid_until: valid_until 2027-12-31 comes before valid_from 2028-01-01 (dates_out_of_order)
        guideline /title: /title: title is missing, a record cannot be without it (required)
        guideline /steps/p1/within_days: /steps/p1/within_days: -1 is not a whole number from 0 to 3650 (out_of_range)
        organisation /state: a rule of the field is broken at /state: identified cannot follow member, what may follow is withdrawn (state_cannot_follow)
        organisation /valid_from: a rule of the field is broken at /valid_until: valid_until 2026-12-31 comes before valid_from 2027-01-01 (dates_out_of_order)
        organisation /offers/o1/until: a rule of the field is broken at /offers/o1/until: until 2026-01-01 comes before from 2026-02-01 (dates_out_of_order)
        organisation /contacts/phone: /contacts/phone: the number 7 where text is expected (wrong_type)
        organisation /contacts: accepted
        guideline: a rule of the field is broken at /state: a record cannot begin as superseded, only as draft, consultation, published (state_cannot_follow)
        organisation: a rule of the field is broken at /state: a record cannot begin as withdrawn, only as identified, contacted, presented, member (state_cannot_follow)
        guideline: /title: title is missing, a record cannot be without it (required)
        /type: type is missing, a record cannot be without it (required)
        /version: version is missing, a record cannot be without it (required)
        organisation: /name: name is missing, a record cannot be without it (required)
        /type: type is missing, a record cannot be without it (required)
    "#]].assert_eq(&out);
}

#[test]
fn of_competing_states_each_kind_shows_its_own_first() {
    for (kind, one, other, first) in [
        (Kind::Guideline, "superseded", "published", "superseded"),
        (Kind::Guideline, "published", "consultation", "published"),
        (Kind::Organisation, "withdrawn", "member", "withdrawn"),
    ] {
        let mut fields = full_of(kind);
        fields["state"] = kind.lifecycle().first[0].into();
        if first == "superseded" {
            fields["state"] = "published".into();
        }
        let (document, _) = create_of(kind, &fields).expect("valid");
        for (left, right) in [(one, other), (other, one)] {
            let (mut here, mut there) = (document.clone(), document.clone());
            // The file of another node may say anything; only people are held to the passages.
            set_either(&mut here, left, 1);
            let change = set_either(&mut there, right, 2);
            if let Some(change) = change {
                common::absorb(&mut here, &change, 2);
            }
            assert_eq!(here.summary().state, first, "{left} {right}");
        }
    }
}

fn set_either(
    document: &mut Document,
    state: &str,
    node: u8,
) -> Option<raccordo_crdt_model::Change> {
    let now = document.summary().state;
    (now != state).then(|| {
        set(
            document,
            "/state",
            json!(state),
            &imported(node, i64::from(node)),
        )
    })
}

#[test]
fn the_history_of_every_kind_names_entries_and_fields() {
    let mut out = String::new();
    for (kind, path, value) in [
        (Kind::Guideline, "/sections/s1/text", json!("Nuovo")),
        (Kind::Guideline, "/bodies/0", json!("DSM")),
        (Kind::Organisation, "/offers/o1/need_areas/0", json!("FAM")),
        (Kind::Organisation, "/contacts/phone", json!("1")),
    ] {
        let (mut document, _) = create_of(kind, &full_of(kind)).expect("valid");
        set(&mut document, path, value, &stamp(1, 1));
        let history = document.history();
        assert_eq!(history[0].changes[0].value, Some(document_at_first(kind)));
        for step in &history[1].changes {
            out += &format!("{} {} {:?}\n", step.op, step.path, step.value);
        }
    }
    expect![[r#"
        replace /sections/s1/text Some(String("Nuovo"))
        replace /bodies Some(Array [String("DSM"), String("SSD"), String("CPI")])
        replace /offers/o1/need_areas Some(Array [String("FAM"), String("DIS")])
        replace /contacts/phone Some(String("1"))
    "#]]
    .assert_eq(&out);
}

fn document_at_first(kind: Kind) -> Value {
    create_of(kind, &full_of(kind))
        .expect("valid")
        .0
        .record()
        .fields
}

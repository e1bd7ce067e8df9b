//! Bytes and lines that others rely on: changes, import and export files.

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

use std::collections::BTreeMap;

use common::{create, full, id, imported, least, made, set, stamp};
use expect_test::{Expect, expect};
use raccordo_crdt_model::import::export_line;
use raccordo_crdt_model::{
    Document, DocumentId, ImportLine, ImportOp, Kind, LineId, Stamp, UnixMillis,
};
use serde_json::{Value, json};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_first_change_is_the_same_bytes_every_time() {
    let (document, change) = create(&full()).expect("valid");
    for _ in 0..20 {
        let (again, same) = create(&full()).expect("valid");
        assert_eq!(same, change);
        assert_eq!(again.heads(), document.heads());
    }
    let shuffled: Value = serde_json::from_str(&full().to_string()).expect("JSON");
    assert_eq!(create(&shuffled).expect("valid").1, change);
    let other = Document::create(id(), Kind::Project, "frosinone/b", &full(), &stamp(1, 0));
    assert_ne!(other.expect("valid").1.hash, change.hash);
}

#[test]
fn the_bytes_of_changes_are_the_ones_agreed_on() {
    let (mut document, change) = create(&least()).expect("valid");
    expect!["856f4a83a082c91d01d90200120101010101010101eeeeeeeeeeeeeeee0000010180f0b89bc9330f7b226279223a226f702d303031227d00080104020c15b401340142115614572e7002000c0a00000c03077f0b020d020e020f6a055f686f6d65055f6b696e64075f736368656d610b696e737472756d656e7473096e6565645f61726561096f70656e65645f6f6e05706c616e730772657669657773057374617465097375625f6172656173077375626a656374047465616d066865616c746806736f6369616c04776f726b046b696e6405676f616c730d696e74657276656e74696f6e7305676f616c730d696e74657276656e74696f6e7305676f616c730d696e74657276656e74696f6e731603017f00020102007e010205007f0106007ab60176140036a60102007f860106007f66060066726f73696e6f6e652f6170726f6a6563740146414d323032362d30312d30377265706f72746564706572736f6e1600"].assert_eq(&hex(&change.bytes));
    let mut stamp = imported(1, 10);
    stamp.line = Some(LineId::of("{}", 0));
    let change = set(&mut document, "/state", json!("taken_in_charge"), &stamp);
    expect!["856f4a83454ef2b101c50101a082c91d74f7beefcc50ea42d819a9d68dffb36ddf84a0d9d2842246d50b7ba3120101010101010101eeeeeeeeeeeeeeee0000021790beb99bc933547b226279223a226f702d303031222c22696d706f72746564223a747275652c226c696e65223a2276333533444859594b3048627477505964696e725a51744f306f514c537a544a775a50612d456847554551227d00081507340142025603570f7002710273027f057374617465017f017ff60174616b656e5f696e5f6368617267657f017f007f09"].assert_eq(&hex(&change.bytes));
    expect!["f76e6830543e5419abd351dfa60e84544826f766f6f04e4dc38be0783d2b4e08"]
        .assert_eq(&create(&full()).expect("valid").1.hash.to_string());
}

#[test]
fn a_document_opens_from_its_changes_as_it_was() {
    let (mut document, first) = create(&full()).expect("valid");
    let mut changes = vec![first.bytes];
    for (second, state) in ["review", "active", "suspended"].into_iter().enumerate() {
        let second = i64::try_from(second).expect("few");
        let change = set(&mut document, "/state", json!(state), &stamp(2, second));
        changes.push(change.bytes);
    }
    let opened = Document::open(id(), &changes).expect("readable");
    assert_eq!(opened.record(), document.record());
    assert_eq!(opened.heads(), document.heads());
    assert_eq!(opened.change_count(), 4);
    assert_eq!(opened.territory(), "frosinone/a");
    assert!(Document::open(id(), &changes[1..]).is_err());
    assert!(Document::open(id(), &[b"nonsense".to_vec()]).is_err());
}

#[test]
fn a_local_record_stays_local() {
    let mut fields = full();
    fields["sharing"] = json!("local");
    let (document, change) = create(&fields).expect("valid");
    assert!(document.is_local() && document.summary().local);
    assert!(
        Document::open(id(), &[change.bytes])
            .expect("readable")
            .is_local()
    );
}

fn check_line(line: &str, expected: &Expect) {
    let shown = match ImportLine::parse(line) {
        Ok((line, canonical)) => format!(
            "{} {:?} {:?}\n{canonical}\n",
            line.reference, line.at, line.by
        ),
        Err(problems) => problems
            .iter()
            .map(|problem| format!("{problem}\n"))
            .collect(),
    };
    expected.assert_eq(&shown);
}

#[test]
fn a_line_is_read_or_refused_with_all_its_problems() {
    check_line(
        r#" {"ref":"A-1","op":"create","kind":"project","doc":{"b":1.50,"a":"è"}, "at":"2026-03-04T10:00:00+01:00"} "#,
        &expect![[r#"
            A-1 Some(UnixMillis(1772614800000)) None
            {"at":"2026-03-04T10:00:00+01:00","doc":{"a":"è","b":1.5},"kind":"project","op":"create","ref":"A-1"}
        "#]],
    );
    check_line(
        r#"{"op":"patch","kind":"project","ref":"A-1","by":"op","patch":[{"op":"remove","path":"/team/m1"}]}"#,
        &expect![[r#"
            A-1 None Some("op")
            {"by":"op","kind":"project","op":"patch","patch":[{"op":"remove","path":"/team/m1"}],"ref":"A-1"}
        "#]],
    );
    check_line(
        "",
        &expect![[r#"
        the whole: the line is not JSON: EOF while parsing a value at line 1 column 0 (not_json)
    "#]],
    );
    check_line(
        "[1]",
        &expect![[r#"
        the whole: the line is not a JSON object (wrong_type)
    "#]],
    );
    check_line(
        r#"{"op":"drop","kind":"village","ref":7,"at":"noon","by":[],"when":1}"#,
        &expect![[r#"
            /when: a line has no member "when", only op, kind, ref, at, by, doc, patch (unknown_member)
            /kind: "village" is no kind of record, only project, guideline, organisation, person, household, casefile, contact, resource, activity, transfer, erasure_order, publication, notice are (unknown_kind)
            /ref: ref is not text (wrong_type)
            /by: by is not text (wrong_type)
            /at: "noon" is not an RFC 3339 instant such as 2026-03-04T09:00:00Z (not_an_instant)
            /op: "drop" is no operation, only create and patch are (operation_not_supported)
        "#]],
    );
    check_line(
        r#"{"op":"create","kind":"project","ref":"A-1","doc":{"ref":"A-2"}}"#,
        &expect![[r#"
            /doc/ref: the record's ref is "A-2", the line's is "A-1" (ref_differs)
        "#]],
    );
    check_line(
        r#"{"op":"create","kind":"project","ref":"","doc":[]}"#,
        &expect![[r#"
            /ref: ref is empty (required)
            /doc: doc is missing or not an object with the record's fields (required)
        "#]],
    );
    check_line(
        r#"{"op":"patch","kind":"project","ref":"A-1","patch":[{"op":"move","path":"/a","from":"/b"}]}"#,
        &expect![[r#"
            /patch/0/op: the operation "move" is not supported, only add, replace, remove and test are (operation_not_supported)
        "#]],
    );
}

#[test]
fn a_line_is_named_by_its_canonical_json_and_its_occurrence() {
    let canonical = |line: &str| ImportLine::parse(line).expect("valid").1;
    let one = canonical(r#"{"op":"create","kind":"project","ref":"A","doc":{"x":1}}"#);
    let same = canonical(r#"{ "doc": {"x":1}, "ref":"A", "kind":"project", "op":"create" }"#);
    assert_eq!(one, same);
    assert_ne!(LineId::of(&one, 0), LineId::of(&one, 1));
    expect!["c0497a3e8b37de4dde1163d56cfa430f4423027f962647b083f80e3d37c50e94"]
        .assert_eq(&LineId::of(&one, 0).to_string());
}

/// Carries the lines of a file out; the documents by reference.
fn import(lines: &str) -> BTreeMap<String, Document> {
    let mut documents = BTreeMap::new();
    for (number, text) in lines.lines().enumerate() {
        let (line, canonical) = ImportLine::parse(text).expect("a good line");
        let stamp = Stamp {
            at: line.at.unwrap_or(UnixMillis(1_777_000_000_000)),
            by: line.by,
            line: Some(LineId::of(&canonical, 0)),
            imported: line.at.is_some(),
            ..stamp(1, 0)
        };
        match line.op {
            ImportOp::Create { doc } => {
                let number = u8::try_from(number).expect("few records");
                let id = DocumentId::from_bytes([number; 16]);
                let (document, _) = Document::create(id, line.kind, "frosinone/a", &doc, &stamp)
                    .expect("a valid line");
                documents.insert(line.reference, document);
            }
            ImportOp::Patch { patch } => {
                let document = documents
                    .get_mut(&line.reference)
                    .expect("a record before its edits");
                let change = document.patch(&patch, None, &stamp).expect("a valid line");
                assert!(change.is_some(), "every line is remembered");
            }
        }
    }
    documents
}

fn export(documents: &BTreeMap<String, Document>) -> String {
    documents
        .values()
        .map(|document| {
            let record = document.record();
            let at = record.created_at;
            export_line(Kind::Project, document.id(), at, &record.fields) + "\n"
        })
        .collect()
}

fn check_round_trip(lines: &str) {
    let documents = import(lines);
    for document in documents.values() {
        assert!(document.record().conflicts.is_empty());
    }
    let exported = export(&documents);
    assert_eq!(export(&import(&exported)), exported);
}

#[test]
fn what_is_exported_imported_and_exported_again_is_the_same() {
    let lines = include_str!("fixture.jsonl");
    let documents = import(lines);
    assert_eq!(documents.len(), 3);
    let changes: u64 = documents.values().map(Document::change_count).sum();
    assert_eq!(changes, lines.lines().count() as u64);
    check_round_trip(lines);
    let exported = export(&documents);
    expect![[r#"{"at":"2026-02-02T09:00:00Z","doc":{"instruments":{},"need_area":"DIS","next_review_on":"2026-05-01","opened_on":"2026-02-02","outcome":null,"plans":{"health":{"body":"D3D","goals":{},"interventions":{"i0":{"end":"2026-11-15","hours":30,"provider":"ente-009","start":"2026-02-02","state":"planned","type":"gruppo_ama"},"i4":{"end":"2026-06-20","hours":4,"provider":"ente-055","start":"2026-03-20","state":"planned","type":"visita_specialistica"}}},"social":{"body":"SSD","goals":{"g0":{"due":"2026-09-01","horizon":"short","reached":null,"text":"Trovare un alloggio stabile."}},"interventions":{"i0":{"end":"2026-12-01","hours":12,"provider":"ente-003","start":"2026-02-02","state":"planned","type":"sostegno_economico"}}},"work":{"body":"CPI","employability":72,"goals":{},"interventions":{}}},"ref":"FR-A-2026-000003","reviews":{},"state":"active","sub_areas":["giustizia","dipendenze"],"subject":{"birth_year":1970,"kind":"person","minors":0,"municipality":"060003","sex":"M","token":"942b8b704021eef366e152cd72eaf52f"},"team":{"m0":{"body":"SSD","from":"2026-02-02","operator":"op-001","role":"case_manager"}},"weather":{"unknown":[1,0.1,{"x":null}]}},"kind":"project","op":"create","ref":"FR-A-2026-000003"}"#]].assert_eq(exported.lines().last().expect("three lines"));
}

#[test]
fn a_closed_record_without_a_reference_survives_the_round_trip() {
    let mut fields = full();
    fields.as_object_mut().expect("an object").remove("ref");
    fields["state"] = json!("closed");
    fields["odd"] = json!([0.1, 1e-7, 123_456_789.123_456_78, -0.0, 1.0, 5e300]);
    let (document, _) =
        Document::create(id(), Kind::Project, "t", &fields, &imported(1, 7)).expect("history");
    let at = document.record().created_at;
    let line = export_line(Kind::Project, document.id(), at, &document.record().fields);
    check_round_trip(&(line + "\n"));
}

#[test]
fn a_summary_says_what_rows_and_searches_need() {
    expect![[r#"
        Summary {
            kind: Project,
            territory: "frosinone/a",
            local: false,
            reference: Some(
                "FR-A-2026-000123",
            ),
            title: None,
            type_code: None,
            version: None,
            valid_from: None,
            valid_until: None,
            state: "active",
            need_area: "POV",
            subject_kind: "person",
            token: Some(
                "d2f1",
            ),
            opened_on: Some(
                "2026-03-04",
            ),
            next_review_on: Some(
                "2026-09-01",
            ),
            created_at: UnixMillis(
                1772000000000,
            ),
            updated_at: UnixMillis(
                1772000000000,
            ),
            updated_by: Some(
                "op-001",
            ),
            conflicts: 0,
            flags: 0,
            search: [
                (
                    Frame,
                    "FR-A-2026-000123",
                ),
                (
                    Social,
                    "ente-012",
                ),
                (
                    Instruments,
                    "ente-031",
                ),
            ],
            terms: [],
        }
    "#]]
    .assert_eq(&format!("{:#?}\n", made(&full()).summary()));
}

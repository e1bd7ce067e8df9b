//! Rules of the field: refused from people here, flagged with the same code in history and from
//! others, never lost.

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

use common::{absorb, create_of, edit, full, full_of, imported, made, open, set, shown, stamp};
use expect_test::expect;
use raccordo_crdt_model::{Document, Kind, Record};
use serde_json::{Value, json};

fn flags(record: &Record) -> String {
    let flags = record.flags.iter();
    flags
        .map(|flag| format!("{} {}\n", flag.code, flag.path))
        .collect()
}

/// A project before its plans are signed.
fn in_approval() -> Document {
    let mut fields = full();
    fields["state"] = json!("approval");
    for plan in ["social", "work"] {
        fields["plans"][plan]["signatures"] = json!({});
    }
    fields["plans"]["work"]["employability"] = json!(null);
    made(&fields)
}

fn state(to: &str) -> Value {
    json!([{"op":"replace","path":"/state","value":to}])
}

#[test]
fn a_project_is_active_once_every_plan_in_use_is_signed_as_it_is() {
    let mut document = in_approval();
    let mut out = shown(edit(&mut document, state("active"), &stamp(1, 1)));
    set(
        &mut document,
        "/plans/social/signatures/s1",
        json!({"body":"SSD","by":"op-014","on":"2026-03-20"}),
        &stamp(1, 2),
    );
    let fields = document.record().fields;
    let section = fields["plans"]["social"]["signatures"]["s1"]["section"].as_str();
    assert_eq!(section.map(str::len), Some(64));
    // Edited since: the old signature counts no more.
    set(
        &mut document,
        "/plans/social/goals/g1/due",
        json!("2027-01-31"),
        &stamp(1, 3),
    );
    out += &flags(&document.record());
    out += &shown(edit(&mut document, state("active"), &stamp(1, 4)));
    let both = json!([
        {"op":"add","path":"/plans/social/signatures/s2","value":{"body":"SSD"}},
        {"op":"replace","path":"/state","value":"active"}]);
    out += &shown(edit(&mut document, both, &stamp(1, 5)));
    assert_eq!(flags(&document.record()), "");
    expect![[r#"
        a rule of the field is broken at /plans/social/signatures: the social plan is not signed by SSD as it is now: have it signed, then activate (activated_without_signatures)
        signature_to_renew /plans/social/signatures/s1
        a rule of the field is broken at /plans/social/signatures: the social plan is not signed by SSD as it is now: have it signed, then activate (activated_without_signatures)
        accepted
    "#]]
    .assert_eq(&out);
}

#[test]
fn a_signature_signs_what_the_signer_saw_and_not_what_came_meanwhile() {
    let mut document = in_approval();
    let seen = document.heads();
    set(
        &mut document,
        "/plans/social/goals/g1/text",
        json!("Altro"),
        &stamp(2, 1),
    );
    let signature = json!({"body":"SSD"});
    common::set_at(
        &mut document,
        &seen,
        "/plans/social/signatures/s1",
        signature,
        &stamp(1, 2),
    );
    assert_eq!(
        flags(&document.record()),
        "signature_to_renew /plans/social/signatures/s1\n"
    );
}

#[test]
fn history_and_others_may_break_the_rules_and_are_flagged() {
    let mut document = in_approval();
    edit(&mut document, state("active"), &imported(1, 1)).expect("history is kept");
    for (path, value) in [
        (
            "/vouchers/b1",
            json!({"value_eur":10,"valid_until":"2026-06-30","spent":{"e1":{"amount_eur":11,"on":"2026-07-01"}}}),
        ),
        (
            "/decisions/d1",
            json!({"quorum":["SSD"],"result":"o1","votes":{"w1":{"option":"o1"}}}),
        ),
        (
            "/instruments/k9",
            json!({"kind":"TIS","from":"2026-01-01","until":"2029-01-01"}),
        ),
        ("/referrals/f1", json!({"state":"rejected"})),
        ("/referrals/f1/state", json!("done")),
    ] {
        set(&mut document, path, value, &imported(1, 2));
    }
    let mut elsewhere = in_approval();
    let mut peer = elsewhere.clone();
    let change = set(&mut peer, "/state", json!("active"), &imported(2, 3));
    absorb(&mut elsewhere, &change, 2);
    let mut out = flags(&document.record());
    out += "from a peer\n";
    out += &flags(&elsewhere.record());
    expect![[r#"
        activated_without_signatures /plans/social/signatures
        decision_unknown_option /decisions/d1/result
        decision_unknown_option /decisions/d1/votes/w1/option
        decision_without_quorum /decisions/d1/result
        ended_without_outcome /referrals/f1/outcome
        instrument_too_long /instruments/k9/until
        referral_state /referrals/f1/state
        vote_without_body /decisions/d1/votes/w1/body
        voucher_overspent /vouchers/b1/spent
        voucher_spent_outside_validity /vouchers/b1/spent/e1/on
        from a peer
        activated_without_signatures /plans/social/signatures
    "#]]
    .assert_eq(&out);
    // What was wrong already does not keep people from other work.
    set(
        &mut document,
        "/team/m1/role",
        json!("member"),
        &stamp(1, 9),
    );
    set(
        &mut document,
        "/vouchers/b1/kind",
        json!("trasporto"),
        &stamp(1, 9),
    );
}

#[test]
fn parts_of_former_years_that_went_astray_are_flagged() {
    let mut document = made(&full());
    for (path, value) in [
        ("/instruments/k1/state", json!("planned")),
        ("/vouchers/b1", json!({"value_eur":10,"state":"active"})),
        ("/vouchers/b1/state", json!("revoked")),
        ("/vouchers/b1/spent/e1", json!({"amount_eur":1})),
        ("/vouchers/b2", json!({"value_eur":10,"state":"revoked"})),
        ("/vouchers/b2/state", json!("active")),
        ("/plans/work/state", json!("closed")),
        ("/plans/work/state", json!("draft")),
        // Whole from the first: how it came to its end was not told.
        (
            "/referrals/f1",
            json!({"state":"done","outcome":"iscritto"}),
        ),
        ("/referrals/f2", json!({"to":"CPI"})),
        (
            "/referrals/f2",
            json!({"to":"CPI","state":"done","outcome":"iscritto"}),
        ),
        ("/plans/health/body", json!("SSD")),
    ] {
        set(&mut document, path, value, &imported(1, 2));
    }
    expect![[r#"
        instrument_state /instruments/k1/state
        plan_of_another_body /plans/health/body
        plan_state /plans/work/state
        referral_state /referrals/f2/state
        voucher_ended /vouchers/b1/spent/e1
        voucher_state /vouchers/b2/state
    "#]]
    .assert_eq(&flags(&document.record()));
}

#[test]
fn a_project_written_down_as_active_without_signatures_is_kept_and_flagged() {
    let mut fields = full();
    fields["plans"]["social"]["signatures"] = json!({});
    let typed = common::create(&fields).expect("it is no passage").0;
    let stamp = imported(1, 0);
    let told = Document::create(common::id(), Kind::Project, "frosinone/a", &fields, &stamp);
    let told = told.expect("history is kept").0;
    let expected = expect![[r#"
        activated_without_signatures /plans/social/signatures
    "#]];
    expected.assert_eq(&flags(&typed.record()));
    expected.assert_eq(&flags(&told.record()));
}

#[test]
fn people_are_told_the_rule_and_the_remedy() {
    let mut fields = full();
    fields["vouchers"] =
        json!({"b1":{"value_eur":10,"valid_from":"2026-05-01","valid_until":"2026-06-30"}});
    fields["decisions"] = json!({"d1":{"quorum":["SSD","CPI"],"votes":{"w1":{"body":"SSD"}}}});
    fields["referrals"] = json!({"f1":{"state":"sent"}});
    fields["decisions"]["d1"]["options"] = json!({"o1":{}});
    let mut document = made(&fields);
    let rejected = json!([
        {"op":"add","path":"/referrals/f1/state","value":"rejected"},
        {"op":"add","path":"/referrals/f1/reason_of_refusal","value":"Lista d'attesa"}]);
    edit(&mut document, rejected, &stamp(1, 0)).expect("follows");
    let mut out = String::new();
    for (path, value) in [
        (
            "/vouchers/b1/spent/e1",
            json!({"amount_eur":10.01,"on":"2026-05-02"}),
        ),
        (
            "/vouchers/b1/spent/e1",
            json!({"amount_eur":10,"on":"2026-07-01"}),
        ),
        (
            "/vouchers/b1/spent/e1",
            json!({"amount_eur":10,"on":"2026-05-02"}),
        ),
        ("/decisions/d1/result", json!("o1")),
        ("/decisions/d1/votes/w2", json!({"option":"o1"})),
        ("/decisions/d1/votes/w2", json!({"body":"CPI"})),
        ("/referrals/f1/state", json!("accepted")),
        ("/instruments/k1/until", json!("2028-05-01")),
        ("/instruments/k1/until", json!("2028-04-30")),
        ("/reviews/r2", json!({"on":"2026-01-01"})),
    ] {
        let mut document = document.clone();
        let patch = json!([{"op":"add","path":path,"value":value}]);
        out += &format!(
            "{path}: {}",
            shown(edit(&mut document, patch, &stamp(1, 1)))
        );
    }
    expect![[r#"
        /vouchers/b1/spent/e1: a rule of the field is broken at /vouchers/b1/spent: 10.01 spent of 10.00 (value_eur): correct what was spent or issue another voucher (voucher_overspent)
        /vouchers/b1/spent/e1: a rule of the field is broken at /vouchers/b1/spent/e1/on: spent on 2026-07-01, and the voucher is valid from 2026-05-01 to 2026-06-30: correct the date or the validity (voucher_spent_outside_validity)
        /vouchers/b1/spent/e1: accepted
        /decisions/d1/result: a rule of the field is broken at /decisions/d1/result: a result without the votes of CPI: add them, or leave the result open (decision_without_quorum)
        /decisions/d1/votes/w2: a rule of the field is broken at /decisions/d1/votes/w2/body: a vote is given by a body: say which (vote_without_body)
        /decisions/d1/votes/w2: accepted
        /referrals/f1/state: a rule of the field is broken at /referrals/f1/state: accepted cannot follow rejected, nothing may: begin another one (referral_state)
        /instruments/k1/until: a rule of the field is broken at /instruments/k1/until: a traineeship of inclusion lasts at most 24 months (until): shorten it, or give the extension in extended_until (instrument_too_long)
        /instruments/k1/until: accepted
        /reviews/r2: a rule of the field is broken at /reviews/r2/on: on 2026-01-01 comes before the project was opened on 2026-03-04 (dates_out_of_order)
    "#]].assert_eq(&out);
}

#[test]
fn a_project_that_is_handed_over_is_locked_but_for_reviews() {
    let mut document = made(&full());
    edit(&mut document, state("transferring"), &stamp(1, 1)).expect("follows");
    let mut out = String::new();
    for (path, value) in [
        ("/team/m2", json!({"body":"DSM"})),
        ("/need_area", json!("FAM")),
        ("/reviews/r1/summary", json!("Altro")),
        ("/reviews/r2", json!({"on":"2026-07-01"})),
        ("/links/transfer", json!("00")),
        ("/state", json!("active")),
    ] {
        let patch = json!([{"op":"add","path":path,"value":value}]);
        out += &format!(
            "{path}: {}",
            shown(edit(&mut document, patch, &stamp(1, 2)))
        );
    }
    expect![[r#"
        /team/m2: a rule of the field is broken at /team/m2: the project is being transferred and locked: only reviews may be added, until the transfer is accepted, refused or withdrawn (locked_by_transfer)
        /need_area: a rule of the field is broken at /need_area: the project is being transferred and locked: only reviews may be added, until the transfer is accepted, refused or withdrawn (locked_by_transfer)
        /reviews/r1/summary: a rule of the field is broken at /reviews/r1: the project is being transferred and locked: only reviews may be added, until the transfer is accepted, refused or withdrawn (locked_by_transfer)
        /reviews/r2: accepted
        /links/transfer: accepted
        /state: accepted
    "#]].assert_eq(&out);
}

#[test]
fn codes_of_persons_and_fixed_fields_are_checked() {
    let mut out = String::new();
    let mut person = full_of(Kind::Person);
    person["fiscal_code"] = json!("RSSMRA85T10A562T");
    out += &shown(create_of(Kind::Person, &person));
    person["protected"] = json!("yes");
    person["fiscal_code"] = json!("rssmra85t10a562s");
    out += &shown(create_of(Kind::Person, &person));
    let (mut casefile, _) = create_of(Kind::Casefile, &full_of(Kind::Casefile)).expect("valid");
    let other = json!([{"op":"replace","path":"/subject","value":"P-0002"}]);
    out += &shown(edit(&mut casefile, other, &stamp(1, 1)));
    let mut contact = full_of(Kind::Contact);
    contact["outcome"] = json!(null);
    out += &shown(create_of(Kind::Contact, &contact));
    let odd = Document::create(
        common::id(),
        Kind::Contact,
        "frosinone/a",
        &contact,
        &imported(1, 0),
    );
    out += &open(&odd.expect("history is kept").0.record());
    expect![[r#"
        /fiscal_code: the check character is T, of the other fifteen it would be S (bad_fiscal_code)
        /fiscal_code: the character 'r' at place 1, where an upper-case letter is allowed (bad_fiscal_code)
        /protected: the text "yes" where true or false is expected (wrong_type)
        a rule of the field is broken at /subject: subject was set when the record was made and cannot be changed: make another record (field_is_fixed)
        a rule of the field is broken at /outcome: a contact is closed with an outcome, and there is none: say how it ended (closing_without_outcome)
        flag closing_without_outcome /outcome
    "#]].assert_eq(&out);
}

//! Rules of the field on records as JSON; those on documents are in `tests/field.rs`.

use serde_json::json;

use super::signatures::section_hash;
use super::*;

fn codes(record: &Value) -> Vec<String> {
    let problems = flags(Kind::Project, record, &["approval"]);
    let one = |problem: &Problem| format!("{} {}", problem.code, problem.pointer);
    problems.iter().map(one).collect()
}

#[test]
fn a_plan_keeps_its_name_until_what_it_says_changes() {
    let plan = json!({"body":"SSD","goals":{"g1":{"text":"x"}}});
    let mut signed = plan.clone();
    signed["signatures"] = json!({"s1":{"body":"SSD"}});
    signed["state"] = json!("signed");
    let hash = section_hash("social", &plan);
    assert_eq!(hash.len(), 64);
    assert_eq!(section_hash("social", &signed), hash);
    signed["goals"]["g1"]["text"] = json!("y");
    assert_ne!(section_hash("social", &signed), hash);
}

#[test]
fn progress_leaves_a_signature_and_what_was_agreed_on_does_not() {
    let plan = json!({"body":"SSD",
        "goals":{"g1":{"text":"x","expected":"y","due":"2026-09-01"}},
        "commitments":{"c1":{"text":"z","by":"person"}},
        "interventions":{"i1":{"type":"SAD","state":"planned"}},
        "supports":{"u1":{"type":"t"}}});
    let hash = section_hash("social", &plan);
    let edited = |pointer: &str, name: &str, value: Value| {
        let mut plan = plan.clone();
        plan.pointer_mut(pointer).expect("it is there")[name] = value;
        section_hash("social", &plan)
    };
    for (pointer, name, value) in [
        (
            "",
            "checks",
            json!({"v1":{"goal":"g1","on":"2026-06-01","result":"a metà"}}),
        ),
        ("/goals/g1", "reached", json!(2)),
        ("/commitments/c1", "kept", json!(true)),
        ("/interventions/i1", "state", json!("active")),
        ("", "state", json!("active")),
    ] {
        assert_eq!(edited(pointer, name, value), hash, "{pointer}/{name}");
    }
    for (pointer, name, value) in [
        ("/goals/g1", "text", json!("other")),
        ("/goals/g1", "expected", json!("other")),
        ("/goals/g1", "due", json!("2026-10-01")),
        ("/commitments/c1", "text", json!("other")),
        ("/interventions/i1", "type", json!("other")),
        ("/interventions/i1", "hours", json!(3)),
        ("/supports/u1", "amount_eur", json!(10)),
        ("", "unheard_of", json!(1)),
    ] {
        assert_ne!(edited(pointer, name, value), hash, "{pointer}/{name}");
    }
}

#[test]
fn what_is_checked_and_reached_after_a_signature_leaves_nothing_to_renew() {
    let mut record = json!({"state":"active","plans":{"work":{"body":"CPI",
        "goals":{"g1":{"text":"x"}},"signatures":{"s1":{"body":"CPI"}}}}});
    let (_, _, hash) = fill(Kind::Project, &record).remove(0);
    record["plans"]["work"]["signatures"]["s1"]["section"] = json!(hash);
    record["plans"]["work"]["checks"] = json!({"v1":{"goal":"g1","result":"x"}});
    record["plans"]["work"]["goals"]["g1"]["reached"] = json!(3);
    assert_eq!(codes(&record), [""; 0]);
    record["plans"]["work"]["goals"]["g1"]["text"] = json!("y");
    assert_eq!(
        codes(&record),
        [
            "signature_to_renew /plans/work/signatures/s1",
            "activated_without_signatures /plans/work/signatures"
        ][..1]
    );
}

#[test]
fn an_amount_signs_the_same_however_it_was_typed() {
    let typed = |amount: Value| {
        let supports = json!({"u1":{"amount_eur":amount}});
        let record = json!({"plans":{"social":{"supports":supports,"signatures":{"s1":{}}}}});
        fill(Kind::Project, &record).remove(0)
    };
    assert_eq!(typed(json!(500)), typed(json!(500.0)));
    assert_ne!(typed(json!(500)), typed(json!(501)));
}

#[test]
fn what_is_out_of_order_is_flagged_where_it_stands() {
    let record = json!({"state":"active",
        "plans":{"social":{"body":"SSD","goals":{"g1":{"text":"x"}}},
                 "work":{"body":"CPI","goals":{"g1":{}},"signatures":{"s1":{"body":"CPI","section":"00"}}},
                 "health":{"body":"DSM","goals":{},"interventions":{}}},
        "vouchers":{"v1":{"value_eur":100.0,"hours":10,"valid_from":"2026-01-01","valid_until":"2026-06-30",
            "spent":{"p1":{"amount_eur":60.1,"hours":4,"on":"2026-02-01"},"p2":{"amount_eur":40.0,"on":"2026-07-01"}}}},
        "decisions":{"d1":{"quorum":["SSD","CPI"],"result":"o1","votes":{"w1":{"body":"SSD"},"w2":{"option":"o1"}}}},
        "instruments":{"k1":{"kind":"TIS","from":"2026-01-01","until":"2027-12-31"},
                       "k2":{"kind":"TIS","from":"2026-01-01","until":"2028-01-01"},
                       "k3":{"kind":"LAB_OV","from":"2026-01-01","until":"2026-02-15"},
                       "k4":{"kind":"LAB_OV","from":"2026-01-01","until":"2026-06-30"}}});
    assert_eq!(
        codes(&record),
        [
            "voucher_overspent /vouchers/v1/spent",
            "voucher_spent_outside_validity /vouchers/v1/spent/p2/on",
            "vote_without_body /decisions/d1/votes/w2/body",
            "decision_without_quorum /decisions/d1/result",
            "instrument_too_long /instruments/k2/until",
            "instrument_too_long /instruments/k3/until",
            "signature_to_renew /plans/work/signatures/s1",
            "activated_without_signatures /plans/social/signatures",
        ]
    );
}

#[test]
fn a_new_signature_of_the_same_body_renews_the_old_one() {
    let mut plan =
        json!({"body":"SSD","goals":{"g1":{}},"signatures":{"s1":{"body":"SSD","section":"00"}}});
    let hash = section_hash("social", &plan);
    plan["signatures"]["s2"] = json!({"body":"SSD","section":hash});
    let record = json!({"state":"active","plans":{"social":plan}});
    assert_eq!(codes(&record), [""; 0]);
    let passage = broken_by(
        Kind::Project,
        &["approval"],
        &json!({"state":"approval"}),
        &record,
    );
    assert_eq!(passage, Ok(()));
}

#[test]
fn a_project_about_violence_is_shared_by_nobody_and_one_that_is_may_still_be_edited() {
    let with = |areas: Value, sharing: Value| json!({"sub_areas": areas, "sharing": sharing});
    let violent = || with(json!(["giustizia", "violenza"]), Value::Null);
    let made = |record: &Value| broken_by(Kind::Project, &[], &Value::Null, record);
    let refused = made(&violent()).expect_err("it would go to the coordination");
    assert_eq!(
        (refused.code, refused.pointer.as_str()),
        (VIOLENCE_SHARED, "/sub_areas")
    );
    assert!(made(&with(json!(["violenza"]), json!("shared"))).is_err());
    assert_eq!(made(&with(json!(["violenza"]), json!("local"))), Ok(()));
    assert_eq!(made(&with(json!(["giustizia"]), Value::Null)), Ok(()));
    let edit = broken_by(
        Kind::Project,
        &[],
        &violent(),
        &with(json!(["violenza"]), Value::Null),
    );
    assert_eq!(edit, Ok(()));
    assert_eq!(codes(&violent()), ["violence_shared /sub_areas"]);
}

#[test]
fn a_referral_goes_its_way_and_not_back() {
    let with = |state: &str| json!({"referrals":{"f1":{"state":state}}});
    let passage = |from, to| broken_by(Kind::Project, &[], &with(from), &with(to));
    assert_eq!(passage("sent", "accepted"), Ok(()));
    assert_eq!(passage("accepted", "done"), Ok(()));
    let refused = passage("rejected", "accepted").expect_err("nothing follows");
    assert_eq!(
        (refused.code, refused.pointer.as_str()),
        (REFERRAL_STATE, "/referrals/f1/state")
    );
    assert!(passage("accepted", "sent").is_err());
}

#[test]
fn a_record_that_is_handed_over_takes_reviews_only() {
    let locked = |way: &[&str], makes| {
        let way: Vec<_> = way.iter().map(|key| (*key).to_owned()).collect();
        locked(Kind::Project, Some("transferring"), &way, makes).is_err()
    };
    assert!(!locked(&["reviews", "r2"], true));
    assert!(!locked(&["state"], false));
    assert!(locked(&["reviews", "r1"], false));
    assert!(locked(&["team", "m1"], true));
    assert!(locked(&[], false));
}

#[test]
fn a_record_that_was_handed_over_takes_nothing_any_more() {
    let locked = |way: &[&str], makes| {
        let way: Vec<_> = way.iter().map(|key| (*key).to_owned()).collect();
        locked(Kind::Project, Some("transferred"), &way, makes).is_err()
    };
    assert!(!locked(&["state"], false));
    assert!(locked(&["reviews", "r2"], true));
    assert!(locked(&["need_area"], false));
}

#[test]
fn of_two_projects_made_of_one_transfer_the_one_that_does_not_count_says_so() {
    let codes = |links: &Value| {
        let record = json!({"state": "transferred", "links": links});
        let flags = flags(Kind::Project, &record, &[]);
        flags.iter().map(|flag| flag.code).collect::<Vec<_>>()
    };
    let links = json!({"previous": "00", "transfer": "22", "instead": "11"});
    assert_eq!(codes(&links), ["accepted_twice"]);
    let onward = json!({"previous": "00", "transfer": "33", "next": "11"});
    assert_eq!(codes(&onward), [""; 0]);
}

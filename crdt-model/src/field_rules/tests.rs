//! Rules of the field on records as JSON; those on documents are in `tests/field.rs`.

use serde_json::json;

use super::signatures::section_hash;
use super::*;
use crate::schema::PART_LIVES;

fn codes(record: &Value) -> Vec<String> {
    let problems = flags(Kind::Project, record);
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
        "decisions":{"d1":{"options":{"o1":{}},"quorum":["SSD","CPI"],"result":"o1","votes":{"w1":{"body":"SSD"},"w2":{"option":"o1"}}}},
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
    assert_eq!(passage("accepted", "withdrawn"), Ok(()));
    let refused = passage("rejected", "accepted").expect_err("nothing follows");
    assert_eq!(
        (refused.code, refused.pointer.as_str()),
        (lives::REFERRAL_STATE, "/referrals/f1/state")
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
        let flags = flags(Kind::Project, &record);
        flags.iter().map(|flag| flag.code).collect::<Vec<_>>()
    };
    let links = json!({"previous": "00", "transfer": "22", "instead": "11"});
    assert_eq!(codes(&links), ["accepted_twice"]);
    let onward = json!({"previous": "00", "transfer": "33", "next": "11"});
    assert_eq!(codes(&onward), [""; 0]);
}

/// What an edit of one part is refused for, or nothing.
fn edited(container: &str, before: Value, after: Value) -> String {
    let with = |part: Value| {
        let mut record = json!({});
        record[container] = if part.is_null() {
            json!({})
        } else {
            json!({ "x": part })
        };
        record
    };
    match broken_by(Kind::Project, &[], &with(before), &with(after)) {
        Ok(()) => String::new(),
        Err(problem) => format!("{} {}", problem.code, problem.pointer),
    }
}

#[test]
fn what_has_ended_stays_so_however_it_is_written() {
    let state = |state: &str| json!({ "state": state });
    for (container, end, first) in [
        ("vouchers", "revoked", "assigned"),
        ("vouchers", "expired", "assigned"),
        ("referrals", "withdrawn", "sent"),
        ("plans", "closed", "revised"),
    ] {
        let code = PART_LIVES
            .iter()
            .find(|life| life.container == container)
            .map(|life| format!("{} /{container}/x/state", life.code))
            .expect("it has a life");
        assert_eq!(edited(container, state(end), state(first)), code, "{end}");
        assert_eq!(edited(container, state(end), json!({})), code, "{end}");
        assert_eq!(edited(container, state(end), Value::Null), code, "{end}");
        assert_eq!(edited(container, state(first), state(end)), "", "{end}");
        assert_eq!(edited(container, state(first), json!({})), "", "{end}");
    }
    let active = json!({"state": "active"});
    assert_eq!(
        edited("instruments", active, state("planned")),
        "instrument_state /instruments/x/state"
    );
    let accepted = json!({"state": "accepted"});
    assert_eq!(
        edited("referrals", accepted, json!({})),
        "referral_state /referrals/x/state",
        "taken away it could be given anew"
    );
}

#[test]
fn a_referral_begins_as_it_is_sent_and_its_end_is_told() {
    let new = |referral: Value| edited("referrals", Value::Null, referral);
    assert_eq!(new(json!({"state": "sent"})), "");
    assert_eq!(new(json!({"state": "delivered"})), "");
    assert_eq!(new(json!({"to": "CPI"})), "");
    assert_eq!(
        new(json!({"state": "accepted"})),
        "referral_state /referrals/x/state"
    );
    let stateless = json!({"to": "CPI"});
    assert_eq!(
        edited(
            "referrals",
            stateless,
            json!({"state": "done", "outcome": "x"})
        ),
        "referral_state /referrals/x/state"
    );
    let from = |state: &str, to: Value| edited("referrals", json!({ "state": state }), to);
    assert_eq!(
        from(
            "sent",
            json!({"state": "rejected", "reason_of_refusal": " "})
        ),
        "rejected_without_reason /referrals/x/reason_of_refusal"
    );
    let told = json!({"state": "rejected", "reason_of_refusal": "lista d'attesa"});
    assert_eq!(from("sent", told), "");
    assert_eq!(
        from("accepted", json!({"state": "done"})),
        "ended_without_outcome /referrals/x/outcome"
    );
    assert_eq!(
        from("accepted", json!({"state": "done", "outcome": "iscritto"})),
        ""
    );
}

#[test]
fn a_voucher_is_spent_in_its_measure_until_it_ends() {
    let voucher =
        |state: &str, spent: Value| json!({"value_eur": 100, "state": state, "spent": spent});
    let part = |amount: u32| json!({"p1": {"amount_eur": amount}});
    let from = |before: &str, after: Value| edited("vouchers", voucher(before, json!({})), after);
    assert_eq!(from("active", voucher("exhausted", part(100))), "");
    assert_eq!(from("active", voucher("partly_spent", part(1))), "");
    for (before, after, code) in [
        (
            "revoked",
            voucher("revoked", part(1)),
            "voucher_ended /vouchers/x/spent/p1",
        ),
        (
            "expired",
            voucher("expired", part(1)),
            "voucher_ended /vouchers/x/spent/p1",
        ),
        (
            "active",
            voucher("revoked", part(1)),
            "voucher_ended /vouchers/x/spent/p1",
        ),
        (
            "active",
            voucher("exhausted", part(99)),
            "voucher_not_spent /vouchers/x/state",
        ),
        (
            "active",
            voucher("partly_spent", json!({})),
            "voucher_not_spent /vouchers/x/state",
        ),
        (
            "active",
            voucher("active", json!({"p1": {"hours": 1}})),
            "voucher_spent_in_other_measure /vouchers/x/spent/p1/hours",
        ),
    ] {
        assert_eq!(from(before, after), code, "{before}");
    }
    let hours = |spent: Value| json!({"hours": 10, "state": "active", "spent": spent});
    let spent_hours = json!({"p1": {"hours": 4}});
    assert_eq!(edited("vouchers", hours(json!({})), hours(spent_hours)), "");
    let euro = "voucher_spent_in_other_measure /vouchers/x/spent/p1/amount_eur";
    assert_eq!(edited("vouchers", hours(json!({})), hours(part(1))), euro);
    let worthless = json!({"spent": part(1)});
    assert_eq!(edited("vouchers", Value::Null, worthless), euro);
    let spent = voucher("partly_spent", part(40));
    let mut revoked = spent.clone();
    revoked["state"] = json!("revoked");
    assert_eq!(
        edited("vouchers", spent, revoked),
        "",
        "what was spent stays"
    );
}

#[test]
fn an_instrument_ends_with_an_outcome() {
    let concluded = |outcome: Value| json!({"state": "concluded", "outcome": outcome});
    let active = json!({"state": "active"});
    assert_eq!(
        edited("instruments", active.clone(), concluded(Value::Null)),
        "ended_without_outcome /instruments/x/outcome"
    );
    assert_eq!(
        edited("instruments", active, concluded(json!("ASSUNTO"))),
        ""
    );
    assert_eq!(
        edited(
            "instruments",
            concluded(json!("ASSUNTO")),
            concluded(Value::Null)
        ),
        "ended_without_outcome /instruments/x/outcome"
    );
}

#[test]
fn a_decision_has_one_vote_a_body_for_options_of_its_own() {
    let decision = |votes: Value, result: Value| json!({"options": {"o1": {}, "o2": {}}, "votes": votes, "result": result});
    let vote = |option: &str| json!({"v1": {"body": "SSD", "option": option}});
    let new = |one: Value| edited("decisions", Value::Null, one);
    assert_eq!(new(decision(vote("o2"), json!("o2"))), "");
    assert_eq!(
        new(decision(vote("o3"), Value::Null)),
        "decision_unknown_option /decisions/x/votes/v1/option"
    );
    assert_eq!(
        new(decision(vote("o1"), json!("o3"))),
        "decision_unknown_option /decisions/x/result"
    );
    assert_eq!(
        new(json!({"votes": vote("o1")})),
        "decision_unknown_option /decisions/x/votes/v1/option"
    );
    let twice = json!({"v1": {"body": "SSD"}, "v2": {"body": "SSD"}});
    assert_eq!(
        new(decision(twice, Value::Null)),
        "body_voted_twice /decisions/x/votes/v2/body"
    );
}

/// What making this record active is refused for, from a state.
fn activated(from: &str, plans: &Value) -> String {
    let with = |state: &str| json!({"state": state, "plans": plans});
    match broken_by(Kind::Project, &[from], &with(from), &with("active")) {
        Ok(()) => String::new(),
        Err(problem) => format!("{} {}", problem.code, problem.pointer),
    }
}

/// A plan with a signature of this body as it is.
fn signed(name: &str, mut plan: Value, body: &str) -> Value {
    let section = section_hash(name, &plan);
    plan["signatures"] = json!({"s1": {"body": body, "section": section}});
    plan
}

#[test]
fn whatever_a_plan_says_is_to_be_signed_by_a_body() {
    let unsigned = "activated_without_signatures /plans/social/signatures";
    for (part, value) in [
        ("goals", json!({"g1": {"text": "x"}})),
        ("supports", json!({"s1": {"type": "x"}})),
        ("commitments", json!({"c1": {"text": "x"}})),
        ("unheard_of", json!("x")),
    ] {
        let mut plan = json!({"body": "SSD"});
        plan[part] = value;
        let plans = json!({ "social": plan });
        assert_eq!(activated("approval", &plans), unsigned, "{part}");
        let plans = json!({"social": signed("social", plan.clone(), "SSD")});
        assert_eq!(activated("approval", &plans), "", "{part}");
        plan.as_object_mut().expect("a plan").remove("body");
        assert_eq!(
            activated(
                "approval",
                &json!({"social": signed("social", plan, "SSD")})
            ),
            "activated_without_signatures /plans/social/body",
            "{part}"
        );
    }
    let score = json!({"work": {"body": "CPI", "employability": 55}});
    assert_eq!(
        activated("approval", &score),
        "activated_without_signatures /plans/work/signatures"
    );
    let empty = json!({"social": {"body": "SSD", "goals": {}, "checks": {"v1": {"result": "x"}}}});
    assert_eq!(
        activated("approval", &empty),
        "activated_without_signatures /plans"
    );
    let mut beside = empty;
    beside["work"] = signed("work", json!({"body": "CPI", "goals": {"g1": {}}}), "CPI");
    assert_eq!(
        activated("approval", &beside),
        "",
        "an empty plan needs none"
    );
}

#[test]
fn the_persons_signature_is_not_the_bodys() {
    let mut plan = signed("social", json!({"body": "SSD", "goals": {"g1": {}}}), "SSD");
    plan["signatures"]["s1"]["person"] = json!(true);
    assert_eq!(
        activated("approval", &json!({ "social": plan })),
        "activated_without_signatures /plans/social/signatures"
    );
}

#[test]
fn an_interrupted_project_goes_on_and_one_that_is_opened_again_is_signed_anew() {
    let plan = json!({"body": "SSD", "goals": {"g1": {}}});
    let unsigned = json!({ "social": plan });
    let mut edited = signed("social", plan, "SSD");
    edited["goals"]["g1"]["text"] = json!("altro");
    let edited = json!({ "social": edited });
    for from in ["review", "suspended", "transferring", "active"] {
        assert_eq!(activated(from, &unsigned), "", "{from}");
        assert_eq!(activated(from, &edited), "", "{from}");
    }
    for from in ["reopened", "approval"] {
        assert_ne!(activated(from, &unsigned), "", "{from}");
        assert_ne!(activated(from, &edited), "", "{from}");
    }
    let skips = activated("assessment", &unsigned);
    assert_eq!(skips, "", "the passage is refused, not the signature");
}

#[test]
fn a_project_written_down_as_active_is_taken_and_flagged_where_signatures_are_missing() {
    let made = |record: &Value| broken_by(Kind::Project, &[], &Value::Null, record);
    let plan = json!({"body": "SSD", "goals": {"g1": {}}});
    let mut record = json!({"state": "active", "plans": {"social": plan}});
    assert_eq!(made(&record), Ok(()));
    assert_eq!(
        codes(&record),
        ["activated_without_signatures /plans/social/signatures"]
    );
    record["plans"]["social"] = signed("social", plan, "SSD");
    assert_eq!(codes(&record), [""; 0]);
    let bare = json!({"state": "active"});
    assert_eq!(made(&bare), Ok(()));
    assert_eq!(codes(&bare), ["activated_without_signatures /plans"]);
}

#[test]
fn a_plan_is_of_a_body_that_can_answer_for_it_and_signed_by_that() {
    let plan = |name: &str, plan: Value| {
        let record = json!({"plans": {name: plan}});
        broken_by(Kind::Project, &[], &json!({}), &record).map_err(|one| one.code)
    };
    for (name, body, good) in [
        ("health", "DISS", true),
        ("health", "SSD", false),
        ("health", "COM", false),
        ("health", "INVENTED", true),
        ("social", "SSD", true),
        ("social", "ETS", true),
        ("social", "DSM", false),
        ("social", "CPI", false),
        ("work", "SIL", true),
        ("work", "FP", true),
        ("work", "SSD", false),
        ("other", "SSD", true),
    ] {
        let expected = if good {
            Ok(())
        } else {
            Err("plan_of_another_body")
        };
        assert_eq!(
            plan(name, json!({ "body": body })),
            expected,
            "{name} {body}"
        );
    }
    let signed = |signature: Value| {
        plan(
            "social",
            json!({"body": "SSD", "signatures": {"s1": signature}}),
        )
    };
    assert_eq!(signed(json!({"body": "SSD"})), Ok(()));
    assert_eq!(signed(json!({"person": true})), Ok(()));
    for foreign in [
        json!({"body": "CPI"}),
        json!({}),
        json!({"body": "CPI", "person": true}),
    ] {
        assert_eq!(signed(foreign), Err("signature_of_another_body"));
    }
    for state in ["signed", "active"] {
        assert_eq!(
            plan("social", json!({"body": "SSD", "state": state})),
            Err("plan_not_signed")
        );
        let told = json!({"body": "SSD", "state": state, "signatures": {"s1": {"body": "SSD"}}});
        assert_eq!(plan("social", told), Ok(()));
    }
}

#[test]
fn an_old_signature_of_the_plans_former_body_is_no_foreign_one() {
    let mut plan = signed("work", json!({"body": "CPI", "goals": {"g1": {}}}), "CPI");
    plan["body"] = json!("SIL");
    let before = json!({"plans": {"work": plan}});
    let mut after = before.clone();
    after["plans"]["work"]["signatures"]["s2"] = json!({"body": "SIL"});
    assert_eq!(broken_by(Kind::Project, &[], &before, &after), Ok(()));
    assert_eq!(
        codes(&before),
        ["signature_to_renew /plans/work/signatures/s1"]
    );
    let forged = signed("work", json!({"body": "CPI", "goals": {"g1": {}}}), "SSD");
    let forged = json!({"plans": {"work": forged}});
    assert_eq!(
        codes(&forged),
        ["signature_of_another_body /plans/work/signatures/s1/body"]
    );
}

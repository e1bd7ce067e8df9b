//! The daily work on an active project: instruments, vouchers, referrals, a decision, reviews.

use serde_json::{Value, json};

use super::Office;
use raccordo_tests::person::refused;

/// What an active project goes through until it is handed on.
pub(super) async fn goes_on(office: &Office, project: &str) {
    an_instrument_begins_and_ends(office, project).await;
    a_voucher_is_spent_in_parts(office, project).await;
    a_referral_is_answered(office, project).await;
    a_decision_is_voted(office, project).await;
    reviews_are_written(office, project).await;
    the_unit_and_its_network(office).await;
}

async fn an_instrument_begins_and_ends(office: &Office, project: &str) {
    let begun = json!([{"op": "add", "path": "/instruments/t1", "value": {"kind": "TIS", "purpose": "LAV",
        "host": "ORG-5", "from": "2026-04-01", "until": "2026-09-30", "hours": 20, "amount_eur": 500.00, "state": "active"}}]);
    office.work.writes(project, &begun).await;
    let too_long =
        json!([{"op": "replace", "path": "/instruments/t1/until", "value": "2029-09-30"}]);
    let long = office.work.patches(project, &too_long).await;
    refused(&long, 409, "instrument_too_long", "/instruments/t1/until");
    let ended = json!([{"op": "replace", "path": "/instruments/t1/state", "value": "concluded"},
        {"op": "add", "path": "/instruments/t1/outcome", "value": "ASSUNTO"}]);
    let record = office.work.writes(project, &ended).await;
    assert_eq!(record["instruments"]["t1"]["amount_eur"], 500.0, "{record}");
}

fn spent(key: &str, on: &str, amount: f64, state: &str) -> Value {
    json!([{"op": "add", "path": format!("/vouchers/b1/spent/{key}"), "value": {"on": on, "amount_eur": amount}},
        {"op": "replace", "path": "/vouchers/b1/state", "value": state}])
}

async fn a_voucher_is_spent_in_parts(office: &Office, project: &str) {
    let issued = json!([{"op": "add", "path": "/vouchers/b1", "value": {"kind": "alimenti", "provider": "Emporio solidale",
        "value_eur": 120.00, "issued_on": "2026-04-01", "valid_from": "2026-04-01", "valid_until": "2026-06-30",
        "state": "assigned"}}]);
    office.social.writes(project, &issued).await;
    let first = spent("p1", "2026-04-10", 40.0, "partly_spent");
    office.social.writes(project, &first).await;
    let over = spent("p2", "2026-05-10", 80.01, "exhausted");
    let over = office.social.patches(project, &over).await;
    refused(&over, 409, "voucher_overspent", "/vouchers/b1/spent");
    let late = spent("p2", "2026-07-01", 80.0, "exhausted");
    let late = office.social.patches(project, &late).await;
    refused(
        &late,
        409,
        "voucher_spent_outside_validity",
        "/vouchers/b1/spent/p2/on",
    );
    let last = spent("p2", "2026-05-10", 80.0, "exhausted");
    let record = office.social.writes(project, &last).await;
    assert_eq!(record["vouchers"]["b1"]["state"], "exhausted", "{record}");
}

async fn a_referral_is_answered(office: &Office, project: &str) {
    let sent = json!([{"op": "add", "path": "/referrals/i1", "value": {"to": "CPI",
        "reason": "Profilo e orientamento al lavoro.", "sent_on": "2026-03-20", "due": "2026-04-20", "state": "sent"}}]);
    office.manager.writes(project, &sent).await;
    let to =
        |state: &str| json!([{"op": "replace", "path": "/referrals/i1/state", "value": state}]);
    let skipped = office.work.patches(project, &to("done")).await;
    refused(&skipped, 409, "referral_state", "/referrals/i1/state");
    office.manager.writes(project, &to("delivered")).await;
    let mut answered = to("accepted");
    answered
        .as_array_mut()
        .expect("a patch")
        .push(json!({"op": "add", "path": "/referrals/i1/answered_on", "value": "2026-03-27"}));
    // The service that it was sent to answers, and does not take it back.
    office.work.writes(project, &answered).await;
    let back = office.work.patches(project, &to("withdrawn")).await;
    back.refused(403, "not_allowed");
    let silent = office.work.patches(project, &to("done")).await;
    refused(
        &silent,
        409,
        "ended_without_outcome",
        "/referrals/i1/outcome",
    );
    let mut done = to("done");
    done.as_array_mut()
        .expect("a patch")
        .push(json!({"op": "add", "path": "/referrals/i1/outcome", "value": "profilo_svolto"}));
    // Nor does who sent it answer in its place.
    let foreign = office.manager.patches(project, &done).await;
    foreign.refused(403, "not_allowed");
    office.work.writes(project, &done).await;
}

fn vote(key: &str, body: &str, by: &str) -> Value {
    json!([{"op": "add", "path": format!("/decisions/d1/votes/{key}"),
        "value": {"body": body, "by": by, "option": "o1", "on": "2026-06-10"}}])
}

async fn a_decision_is_voted(office: &Office, project: &str) {
    let asked = json!([{"op": "add", "path": "/decisions/d1", "value": {"question": "Prorogare il sostegno economico?",
        "criteria": "Esito della verifica.", "on": "2026-06-10", "quorum": ["SSD", "DSM", "CPI"],
        "options": {"o1": {"text": "Sì, tre mesi"}, "o2": {"text": "No"}}}}]);
    office.unit.writes(project, &asked).await;
    // The right to write in the section is not the right to vote.
    for other in [&office.manager, &office.unit, &office.health] {
        let foreign = other.patches(project, &vote("v1", "SSD", "op-003")).await;
        foreign.refused(403, "not_allowed");
    }
    office
        .social
        .writes(project, &vote("v1", "SSD", "op-003"))
        .await;
    let result = json!([{"op": "add", "path": "/decisions/d1/result", "value": "o1"}]);
    let early = office.unit.patches(project, &result).await;
    refused(
        &early,
        409,
        "decision_without_quorum",
        "/decisions/d1/result",
    );
    office
        .health
        .writes(project, &vote("v2", "DSM", "op-021"))
        .await;
    let forged = office
        .work
        .patches(project, &vote("v3", "SSD", "op-034"))
        .await;
    forged.refused(403, "not_allowed");
    office
        .work
        .writes(project, &vote("v3", "CPI", "op-034"))
        .await;
    let record = office.unit.writes(project, &result).await;
    assert_eq!(record["decisions"]["d1"]["result"], "o1", "{record}");
}

async fn reviews_are_written(office: &Office, project: &str) {
    let review = |key: &str, on: &str| {
        json!([{"op": "add", "path": format!("/reviews/{key}"), "value": {"on": on, "bodies": ["SSD", "DSM", "CPI"],
            "findings": "Obiettivo a breve raggiunto.", "decision": "continue"}}])
    };
    let early = office
        .manager
        .patches(project, &review("r1", "2026-03-03"))
        .await;
    refused(&early, 409, "dates_out_of_order", "/reviews/r1/on");
    for (key, on) in [("r1", "2026-06-10"), ("r2", "2026-09-10")] {
        office.manager.writes(project, &review(key, on)).await;
    }
}

async fn the_unit_and_its_network(office: &Office) {
    let meeting = json!({"ref": "UTI-2026-09", "kind": "meeting", "on": "2026-06-10", "unit": "uti_alatri",
        "bodies": ["SSD", "DSM", "CPI"], "hours": 2, "cases_discussed": 7, "decisions": 3});
    office.unit.makes("activities", &meeting).await;
    let host = json!({"ref": "ORG-5", "name": "Cooperativa Ranuncolina", "type": "ETS", "municipality": "060003",
        "state": "contacted", "offers": {"o1": {"title": "Tirocini in cucina", "instrument": "TIS", "places": 2}}});
    office.manager.makes("organisations", &host).await;
}

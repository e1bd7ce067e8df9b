//! Three plans, each written and signed by the body that answers for it, and the activation.

use raccordo_tests::http::Answer;
use serde_json::{Value, json};

use super::Office;
use raccordo_tests::person::{Person, refused};

/// Words of the health plan that the employment centre must never see.
const HEALTH_WORDS: &str = "controlli programmati con il servizio";

fn state(value: &str) -> Value {
    json!([{"op": "replace", "path": "/state", "value": value}])
}

fn signature(plan: &str, key: &str, body: &str, by: &str) -> Value {
    json!([{"op": "add", "path": format!("/plans/{plan}/signatures/{key}"),
        "value": {"body": body, "by": by, "on": "2026-03-18"}}])
}

/// From a taking in charge to an active project with three signed plans.
pub(super) async fn activated(office: &Office, project: &str) {
    the_team_is_named(office, project).await;
    each_body_writes_its_plan(office, project).await;
    the_employment_centre_sees_the_work_plan_alone(office, project).await;
    it_is_activated_when_all_have_signed(office, project).await;
    a_later_edit_asks_for_a_new_signature(office, project).await;
}

async fn the_team_is_named(office: &Office, project: &str) {
    let skipped = office.manager.patches(project, &state("active")).await;
    refused(&skipped, 409, "state_cannot_follow", "/state");
    let team = json!([
        {"op": "add", "path": "/team/m1", "value": {"body": "SSD", "operator": "op-003", "role": "case_manager", "from": "2026-03-04"}},
        {"op": "add", "path": "/team/m2", "value": {"body": "DSM", "operator": "op-021", "role": "member", "from": "2026-03-04"}},
        {"op": "add", "path": "/team/m3", "value": {"body": "CPI", "operator": "op-034", "role": "member", "from": "2026-03-04"}},
        {"op": "add", "path": "/case_manager", "value": "op-003"}]);
    office.manager.writes(project, &team).await;
    for step in ["assessment", "planning"] {
        office.manager.writes(project, &state(step)).await;
    }
}

fn plan(name: &str, body: &str, goal: &str) -> Value {
    json!([{"op": "add", "path": format!("/plans/{name}/body"), "value": body},
        {"op": "add", "path": format!("/plans/{name}/goals/g1"), "value": {"text": goal, "horizon": "medium"}}])
}

async fn each_body_writes_its_plan(office: &Office, project: &str) {
    let health = plan("health", "DSM", HEALTH_WORDS);
    // Who answers for another plan does not write this one.
    for other in [&office.social, &office.work, &office.manager, &office.unit] {
        other
            .patches(project, &health)
            .await
            .refused(403, "not_allowed");
    }
    office.health.writes(project, &health).await;
    let social = plan("social", "SSD", "Stabilizzare la situazione abitativa.");
    office.social.writes(project, &social).await;
    let work = plan("work", "CPI", "Concludere un tirocinio di inclusione.");
    office.work.writes(project, &work).await;
    let mut named = plan("social", "SSD", "Sentire RSSMRA85T10A562S al mattino.");
    named[1]["path"] = json!("/plans/social/goals/g9");
    let told = office.social.patches(project, &named).await;
    refused(
        &told,
        409,
        "identity_in_shared_record",
        "/plans/social/goals/g9/text",
    );
}

/// In the record, the list, the history, the export; and never who it is.
async fn the_employment_centre_sees_the_work_plan_alone(office: &Office, project: &str) {
    let record = office.work.reads(project).await;
    assert_eq!(record["plans"]["work"]["body"], "CPI", "{record}");
    assert_eq!(record["plans"].get("health"), None, "{record}");
    let withheld = record["_meta"]["withheld"].as_array().cloned();
    assert!(
        withheld.is_some_and(|all| all.contains(&json!("/plans/health"))),
        "{record}"
    );
    let history = format!("{project}/history");
    let page = project.replace("/api/v1/projects", "/records");
    for place in [
        project,
        "/api/v1/projects",
        &history,
        "/api/v1/export?kind=project",
        &page,
        "/records",
    ] {
        let seen = office.work.gets(place).await;
        assert!(!seen.text().contains(HEALTH_WORDS), "{place}: {seen}");
        let export = place.contains("export");
        assert_eq!(
            seen.status,
            if export { 403 } else { 200 },
            "{place}: {seen}"
        );
    }
    for place in [
        "persons",
        "persons/P-1",
        "contacts",
        "households/N-1",
        "persons/P-1/offered",
    ] {
        let place = format!("/api/v1/{place}");
        office.work.gets(&place).await.refused(403, "not_allowed");
    }
    let file = office.work.reads("/api/v1/casefiles/C-1").await;
    assert_eq!(file["work_extract"]["hours"], "mattina", "{file}");
    for part in ["assessments", "diary", "consents"] {
        assert_eq!(file.get(part), None, "{file}");
    }
    // The health service reads what it wrote.
    let own = office.health.reads(project).await;
    assert_eq!(own["plans"]["health"]["goals"]["g1"]["text"], HEALTH_WORDS);
}

async fn signs(person: &Person, project: &str, plan: &str, key: &str, body: &str) -> Answer {
    person
        .patches(project, &signature(plan, key, body, "op-003"))
        .await
}

async fn it_is_activated_when_all_have_signed(office: &Office, project: &str) {
    signs(&office.social, project, "social", "f1", "SSD")
        .await
        .expect(200);
    // Who may write the plan does not sign it in the name of the body that answers.
    let early = signs(&office.manager, project, "work", "f1", "CPI").await;
    early.refused(403, "not_allowed");
    signs(&office.work, project, "work", "f1", "CPI")
        .await
        .expect(200);
    // Nobody signs in the health service's place.
    let forged = signs(&office.work, project, "health", "f1", "DSM").await;
    forged.refused(403, "not_allowed");
    office.manager.writes(project, &state("approval")).await;
    let early = office.manager.patches(project, &state("active")).await;
    refused(
        &early,
        409,
        "activated_without_signatures",
        "/plans/health/signatures",
    );
    signs(&office.health, project, "health", "f1", "DSM")
        .await
        .expect(200);
    let active = office.manager.writes(project, &state("active")).await;
    assert_eq!(active["state"], "active", "{active}");
    assert_eq!(active["_meta"]["flags"], json!([]), "{active}");
    for (plan, body) in [("social", "SSD"), ("work", "CPI")] {
        let signed = &active["plans"][plan]["signatures"]["f1"];
        assert_eq!(signed["body"], body, "{active}");
        assert_eq!(
            signed["section"].as_str().map(str::len),
            Some(64),
            "{active}"
        );
    }
}

async fn a_later_edit_asks_for_a_new_signature(office: &Office, project: &str) {
    let more = json!([{"op": "add", "path": "/plans/social/supports/s1", "value": {"type": "sostegno_economico",
        "amount_eur": 300.00, "from": "2026-04-01", "until": "2026-06-30"}}]);
    let edited = office.social.writes(project, &more).await;
    let flags = edited["_meta"]["flags"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    assert_eq!(flags.len(), 1, "{edited}");
    assert_eq!(flags[0]["code"], "signature_to_renew", "{edited}");
    assert_eq!(flags[0]["path"], "/plans/social/signatures/f1", "{edited}");
    let anew = signs(&office.social, project, "social", "f2", "SSD").await;
    assert_eq!(anew.expect(200).json()["_meta"]["flags"], json!([]));
}

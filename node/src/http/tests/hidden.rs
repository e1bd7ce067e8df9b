//! What of protected persons, and of what is kept from the employment centre, answers tell.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::access::Role;

const CODE: &str = "RSSMRA85T10A562S";

fn hidden() -> Value {
    json!({"ref": "P-1", "family_name": "Segreta", "given_name": "Chiara", "born_on": "1985-12-10",
        "sex": "F", "fiscal_code": CODE, "protected": true})
}

fn open(reference: &str) -> Value {
    json!({"ref": reference, "family_name": "Segreta", "given_name": "Bruno", "born_on": "1970-01-02"})
}

impl Bench {
    async fn has(&self, plural: &str, fields: &Value) -> String {
        let (path, body) = (format!("/api/v1/{plural}"), fields.to_string());
        let answer = self.call("POST", &path, "application/json", &body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        let id = answer.json()["_meta"]["id"].clone();
        id.as_str().unwrap().to_owned()
    }

    /// As somebody of a role.
    async fn being(&self, role: Role, body: Option<&str>) -> As<'_> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{role:?} {number}");
        let bearer = self.role_token(&name, role, body, &[]).await;
        As {
            bench: self,
            bearer,
        }
    }
}

struct As<'a> {
    bench: &'a Bench,
    bearer: String,
}

impl As<'_> {
    async fn asks(&self, method: &str, path: &str, body: &Value) -> Answer {
        let path = format!("/api/v1/{path}");
        let bench = self.bench;
        bench.as_bearer(&self.bearer, method, &path, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.asks("GET", path, &Value::Null).await
    }

    async fn patch(&self, path: &str, at: &str, value: Value) -> Answer {
        let patch = json!([{"op": "add", "path": at, "value": value}]);
        self.asks("PATCH", path, &patch).await
    }
}

fn flags(record: &Value) -> Vec<&str> {
    let flags = record["_meta"]["flags"].as_array().unwrap().iter();
    flags.map(|flag| flag["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn nobody_who_may_not_know_a_protected_person_ends_the_protection_or_merges_them() {
    let bench = Bench::district().await;
    let id = bench.has("persons", &hidden()).await;
    bench.has("persons", &open("P-2")).await;
    for role in [Role::AccessOperator, Role::UnitCoordinator] {
        let one = bench.being(role, None).await;
        for (at, value) in [
            ("/protected", json!(false)),
            ("/state", json!("archived")),
            ("/ref", json!("P-9")),
        ] {
            let refused = one.patch("persons/P-1", at, value).await;
            assert_eq!(refused.refusal(), (403, "not_allowed".to_owned()), "{at}");
        }
        for (from, into) in [("P-1", "P-2"), ("P-2", "P-1")] {
            let body = json!({"into": into});
            let path = format!("persons/{from}/merge");
            let refused = one.asks("POST", &path, &body).await;
            assert_eq!(refused.refusal().0, 403, "{from} into {into}");
        }
        let seen = one.get("persons/P-1").await;
        assert_eq!(seen.status, StatusCode::OK);
        for told in ["Segreta", "1985", CODE, "\"protected\":"] {
            assert!(!seen.text().contains(told), "{told}: {}", seen.text());
        }
        assert_eq!(one.get("persons/P-1/offered").await.refusal().0, 403);
    }
    let desk = bench.being(Role::AccessOperator, None).await;
    let patch = json!([{"op": "add", "path": "/merged_into", "value": id},
        {"op": "add", "path": "/state", "value": "merged"}]);
    let refused = desk.asks("PATCH", "persons/P-2", &patch).await;
    assert_eq!(refused.refusal().0, 403, "by hand");
    let mut prepared = open("P-4");
    prepared["merged_into"] = json!(id);
    bench.has("persons", &prepared).await;
    let refused = desk.patch("persons/P-4", "/state", json!("merged")).await;
    assert_eq!(refused.refusal().0, 403, "in two steps");
    let seen = desk.patch("persons/P-2", "/protected", json!(true)).await;
    assert_eq!(seen.status, StatusCode::OK, "to protect is open to all");
    assert!(!seen.text().contains("Bruno"));

    let worker = bench.being(Role::SocialWorker, None).await;
    let done = worker
        .patch("persons/P-2", "/protected", json!(false))
        .await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    let body = json!({"into": "P-1"});
    let merged = worker.asks("POST", "persons/P-2/merge", &body).await;
    assert_eq!(merged.status, StatusCode::OK, "{}", merged.text());
    let seen = desk.get("persons/P-2").await;
    assert!(
        !seen.text().contains("Bruno"),
        "one person: {}",
        seen.text()
    );
    let undone = desk
        .patch("persons/P-2", "/state", json!("registered"))
        .await;
    assert_eq!(undone.refusal().0, 403, "taken apart it would be readable");
}

#[tokio::test]
async fn a_page_holds_as_many_as_it_may_and_ends_with_one_that_is_shown() {
    let bench = Bench::district().await;
    let shown = bench.has("persons", &open("P-2")).await;
    let id = bench.has("persons", &hidden()).await;
    let last = bench.has("persons", &open("P-3")).await;
    let desk = bench.being(Role::AccessOperator, None).await;
    for q in ["segreta", "chiara", CODE] {
        let page = desk.get(&format!("persons?q={q}&limit=1")).await.json();
        assert!(!page.to_string().contains(&id), "{q}: {page}");
    }
    let page = desk.get("persons?q=segreta&limit=1").await.json();
    assert_eq!(page["items"][0]["_meta"]["id"], json!(last));
    let next = page["next"].as_str().unwrap();
    assert!(
        next.ends_with(&last),
        "where it starts tells of what was shown"
    );
    let page = desk
        .get(&format!("persons?q=segreta&limit=1&cursor={next}"))
        .await;
    let page = page.json();
    assert_eq!(page["items"][0]["_meta"]["id"], json!(shown));
    assert_eq!(page["next"], Value::Null);
    let by_number = desk.get("persons?q=P-1").await.json();
    assert_eq!(
        by_number["items"][0]["_meta"]["id"],
        json!(id),
        "{by_number}"
    );
    let worker = bench.being(Role::SocialWorker, None).await;
    let page = worker.get("persons?q=segreta").await.json();
    assert_eq!(page["items"].as_array().unwrap().len(), 3, "{page}");
}

#[tokio::test]
async fn a_search_finds_no_project_by_what_is_not_shown_and_its_end_tells_nothing() {
    let bench = Bench::district().await;
    let mut known = Vec::new();
    for number in 0..4 {
        let mut fields = project(&format!("FR-{number}"));
        fields["plans"] = json!({
            "health": {"body": "DSM", "interventions": {"i1": {"provider": "clinica-nascosta"}}},
            "work": {"body": "CPI", "interventions": {"i1": {"provider": "bottega"}}}});
        known.push(bench.has("projects", &fields).await);
    }
    let edit = json!([{"op": "add", "path": "/plans/health/state", "value": "proposed"}]);
    let health = bench.role_token("medico-dsm", Role::Referent, Some("DSM"), &[]);
    let place = "/api/v1/projects/FR-0";
    let edited = bench.as_bearer(&health.await, "PATCH", place, &edit).await;
    assert_eq!(edited.status, StatusCode::OK, "{}", edited.text());
    let centre = bench.being(Role::Referent, Some("CPI")).await;
    for path in ["projects/FR-0", "projects/FR-0/history", "projects"] {
        let seen = centre.get(path).await;
        assert!(!seen.text().contains("medico-dsm"), "{}", seen.text());
    }
    for q in ["clinica-nascosta", "clinica", "%11clinica"] {
        let page = centre.get(&format!("projects?q={q}&limit=1")).await.json();
        assert_eq!((&page["items"], &page["next"]), (&json!([]), &Value::Null));
    }
    let page = centre.get("projects?q=bottega&limit=3").await.json();
    assert_eq!(page["items"].as_array().unwrap().len(), 3, "{page}");
    assert!(page["next"].is_string());
    bench
        .has("casefiles", &json!({"ref": "C-12", "subject": "P-1"}))
        .await;
    let page = centre.get("casefiles?q=c-12").await.json();
    assert_eq!(page["items"][0]["ref"], "C-12", "an outline has the number");
    let office = bench.get("/api/v1/projects?q=clinica&limit=3").await.json();
    assert_eq!(office["items"].as_array().unwrap().len(), 3, "{office}");
}

#[tokio::test]
async fn a_protected_persons_fiscal_code_is_taken_like_any_from_who_may_not_know_them() {
    let bench = Bench::district().await;
    let id = bench.has("persons", &hidden()).await;
    let desk = bench.being(Role::AccessOperator, None).await;
    let mut same = open("P-2");
    same["fiscal_code"] = json!(CODE);
    let made = desk.asks("POST", "persons", &same).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    assert!(!made.text().contains(&id) && flags(&made.json()).is_empty());
    let again = desk.asks("POST", "persons", &open("P-3")).await;
    assert_eq!(again.status, StatusCode::CREATED);
    let patched = desk.patch("persons/P-3", "/fiscal_code", json!(CODE)).await;
    let refused = patched.refusal();
    assert_eq!(
        refused,
        (409, "fiscal_code_in_use".to_owned()),
        "its own one"
    );
    let worker = bench.being(Role::SocialWorker, None).await;
    let seen = worker.get("persons/P-2").await.json();
    assert!(flags(&seen).contains(&"fiscal_code_in_use_twice"), "{seen}");
    let mut third = open("P-4");
    third["fiscal_code"] = json!(CODE);
    let refused = worker.asks("POST", "persons", &third).await;
    assert_eq!(refused.refusal().1, "fiscal_code_in_use");
    // Whoever it is, nothing of the one with that code goes up.
    let mut fields = project("FR-1");
    fields["subject"] = json!({"kind": "person", "person": "P-2"});
    let refused = worker.asks("POST", "projects", &fields).await;
    assert_eq!(refused.refusal(), (409, "protected_subject".to_owned()));
}

#[tokio::test]
async fn a_household_with_a_protected_member_is_told_of_like_them() {
    let bench = Bench::district().await;
    let mut person = hidden();
    person["household"] = json!("N-1");
    let id = bench.has("persons", &person).await;
    let home = json!({"ref": "N-1", "name": "Famiglia Segreta", "members": {
        "m1": {"person": "P-1", "until": "2020-01-01"}, "m2": {"person": "P-7"}}});
    bench.has("households", &home).await;
    let other =
        json!({"ref": "N-2", "name": "Famiglia Altra", "members": {"m1": {"person": "P-8"}}});
    bench.has("households", &other).await;
    let outsiders = [
        (Role::AccessOperator, None),
        (Role::UnitCoordinator, None),
        (Role::Referent, Some("DSM")),
    ];
    for (role, body) in outsiders {
        let one = bench.being(role, body).await;
        for path in [
            "households/N-1",
            "households",
            "households/N-1/history",
            "persons/P-1",
        ] {
            let seen = one.get(path).await;
            assert_eq!(seen.status, StatusCode::OK, "{path}");
            for told in ["Famiglia Segreta", "2020-01-01"] {
                assert!(!seen.text().contains(told), "{path}: {}", seen.text());
            }
        }
        let alone = one.get("households/N-1").await.json();
        assert_eq!((alone.get("name"), alone.get("members")), (None, None));
        let person = one.get("persons/P-1").await.json();
        assert_eq!(person.get("household"), None, "{person}");
        let whole = one.get("households/N-2").await.json();
        assert_eq!(whole["name"], "Famiglia Altra");
        assert!(!alone.to_string().contains(&id));
    }
    let desk = bench.being(Role::AccessOperator, None).await;
    let refused = desk.patch("households/N-1", "/name", json!("x")).await;
    assert_eq!(refused.refusal().0, 403);
    let worker = bench.being(Role::SocialWorker, None).await;
    let seen = worker.get("households/N-1").await.json();
    assert_eq!(seen["name"], "Famiglia Segreta");
}

#[tokio::test]
async fn nothing_about_a_protected_person_is_shared_by_their_household_area_or_casefile() {
    let bench = Bench::district().await;
    bench.has("persons", &hidden()).await;
    bench.has("persons", &open("P-2")).await;
    let home = json!({"ref": "N-1", "name": "Casa", "members": {"m1": {"person": "P-2"}, "m2": {"person": "P-1"}}});
    bench.has("households", &home).await;
    let office = async |fields: &Value| {
        let body = fields.to_string();
        bench
            .call("POST", "/api/v1/projects", "application/json", &body)
            .await
    };
    let mut fields = project("FR-1");
    fields["subject"] = json!({"kind": "household", "person": "P-2"});
    let refused = office(&fields).await;
    assert_eq!(refused.refusal(), (409, "protected_subject".to_owned()));
    assert_eq!(refused.json()["errors"][0]["pointer"], "/sharing");
    fields["sharing"] = json!("local");
    assert_eq!(office(&fields).await.status, StatusCode::CREATED);
    fields["subject"]["kind"] = json!("person");
    fields["ref"] = json!("FR-2");
    fields["sharing"] = json!("shared");
    assert_eq!(
        office(&fields).await.status,
        StatusCode::CREATED,
        "he himself is not"
    );

    let mut fields = project("FR-3");
    fields["sub_areas"] = json!(["giustizia", "violenza"]);
    assert_eq!(
        office(&fields).await.refusal(),
        (409, "violence_shared".to_owned())
    );
    fields["sharing"] = json!("local");
    assert_eq!(office(&fields).await.status, StatusCode::CREATED);
    let violence = json!([{"op": "add", "path": "/sub_areas/-", "value": "violenza"}]);
    let refused = bench.patch("/api/v1/projects/FR-2", None, &violence).await;
    assert_eq!(refused.refusal(), (409, "violence_shared".to_owned()));

    let file = json!({"ref": "C-1", "subject": "P-1", "projects": {"a": {"project": "FR-2"}}});
    let body = file.to_string();
    let refused = bench
        .call("POST", "/api/v1/casefiles", "application/json", &body)
        .await;
    assert_eq!(refused.refusal(), (409, "protected_subject".to_owned()));
    bench
        .has(
            "casefiles",
            &json!({"ref": "C-1", "subject": "P-1", "projects": {"b": {"project": "FR-3"}}}),
        )
        .await;
    for (at, value) in [
        ("/projects/a", json!({"project": "FR-2"})),
        ("/projects", json!({"a": {"project": "FR-2"}})),
        ("/projects/b/project", json!("FR-2")),
    ] {
        let patch = json!([{"op": "add", "path": at, "value": value}]);
        let refused = bench.patch("/api/v1/casefiles/C-1", None, &patch).await;
        assert_eq!(
            refused.refusal(),
            (409, "protected_subject".to_owned()),
            "{at}"
        );
    }
    let household = json!({"ref": "C-2", "subject": "N-1", "projects": {"a": {"project": "FR-2"}}});
    let body = household.to_string();
    let refused = bench
        .call("POST", "/api/v1/casefiles", "application/json", &body)
        .await;
    assert_eq!(refused.refusal(), (409, "protected_subject".to_owned()));
}

#[tokio::test]
async fn who_becomes_protected_is_flagged_with_every_project_that_is_shared_already() {
    let bench = Bench::district().await;
    bench.has("persons", &open("P-1")).await;
    let mut fields = project("FR-1");
    fields["subject"] = json!({"kind": "person", "person": "P-1"});
    let id = bench.has("projects", &fields).await;
    let read = async |path: &str| bench.get(&format!("/api/v1/{path}")).await.json();
    assert!(flags(&read("projects/FR-1").await).is_empty());
    let patch = json!([{"op": "add", "path": "/protected", "value": true}]);
    let person = bench
        .patch("/api/v1/persons/P-1", None, &patch)
        .await
        .json();
    let flag = json!({"code": "protected_and_shared", "path": "/protected", "records": [id]});
    assert_eq!(person["_meta"]["flags"], json!([flag]));
    assert_eq!(flags(&read("projects/FR-1").await), ["subject_protected"]);
    let file = read("casefiles").await["items"][0].clone();
    assert_eq!(flags(&file), ["subject_protected"]);
    let unit = bench.being(Role::UnitCoordinator, None).await;
    for path in ["projects/FR-1", "casefiles", "persons/P-1"] {
        let seen = unit.get(path).await;
        for told in ["subject_protected", "protected_and_shared"] {
            assert!(!seen.text().contains(told), "{path}: {}", seen.text());
        }
    }
    // What was before and comes by a file is kept and flagged.
    let line = json!({"op": "create", "kind": "project", "ref": "FR-2", "at": "2026-03-04T09:00:00Z", "doc": {
        "subject": {"kind": "person"}, "need_area": "FAM", "opened_on": "2026-03-04", "sub_areas": ["violenza"]}});
    let line = line.to_string();
    let report = bench
        .call("POST", "/api/v1/import", "application/jsonl", &line)
        .await;
    assert_eq!(report.json()["created"], 1, "{}", report.text());
    assert_eq!(flags(&read("projects/FR-2").await), ["violence_shared"]);
}

#[tokio::test]
async fn the_employment_centre_sees_no_area_no_token_and_no_health_service_of_a_project() {
    let bench = Bench::district().await;
    let mut fields = project("FR-1");
    fields["sub_areas"] = json!(["salute_mentale", "dipendenze", "giustizia"]);
    fields["team"] = json!({"m1": {"body": "SSD", "operator": "op-1"}, "m2": {"body": "DSM", "operator": "op-medico"},
        "m3": {"body": "D3D"}, "m4": {"operator": "op-ignoto"}, "m5": {"body": "CPI", "operator": "op-5"},
        "m6": {"body": "ASL-77", "operator": "op-6"}});
    bench.has("projects", &fields).await;
    let late = json!([{"op": "add", "path": "/team/m7", "value": {"body": "DPREV", "operator": "op-tardi"}},
        {"op": "add", "path": "/sub_areas/-", "value": "migrazione"}]);
    let place = "/api/v1/projects/FR-1";
    assert_eq!(bench.patch(place, None, &late).await.status, StatusCode::OK);
    let gone = json!([{"op": "remove", "path": "/team/m3"}, {"op": "replace", "path": "/team/m7/body", "value": "SSD"}]);
    assert_eq!(bench.patch(place, None, &gone).await.status, StatusCode::OK);
    bench.has("projects", &project("FR-2")).await;
    let hidden = [
        "salute",
        "dipendenze",
        "giustizia",
        "migrazione",
        "DSM",
        "D3D",
        "DPREV",
        "t-1",
        "op-medico",
        "op-ignoto",
        "ASL-77",
    ];
    for body in ["CPI", "SIL"] {
        let centre = bench.being(Role::Referent, Some(body)).await;
        for path in [
            "projects/FR-1",
            "projects",
            "projects/FR-1/history",
            "projects?q=FR-1",
        ] {
            let seen = centre.get(path).await;
            assert_eq!(seen.status, StatusCode::OK);
            for told in hidden {
                assert!(
                    !seen.text().contains(told),
                    "{path} {told}: {}",
                    seen.text()
                );
            }
        }
        let seen = centre.get("projects/FR-1").await.json();
        let team: Vec<&String> = seen["team"].as_object().unwrap().keys().collect();
        assert_eq!(team, ["m1", "m5", "m7"]);
        assert_eq!(seen["subject"]["birth_year"], 1988);
        let bare = centre.get("projects/FR-2").await.json();
        assert_eq!(
            seen["_meta"]["withheld"], bare["_meta"]["withheld"],
            "the same whatever there is"
        );
        assert_eq!(
            seen["_meta"]["withheld"],
            json!(["/sub_areas", "/subject/token", "/team"])
        );
        assert_eq!(seen["_meta"].get("left_out"), None, "not even how many");
        assert_eq!(
            centre
                .asks("GET", "export?kind=project&format=csv", &Value::Null)
                .await
                .status,
            403
        );
    }
}

#[tokio::test]
async fn who_follows_a_project_sees_and_writes_what_its_subject_needs() {
    let bench = Bench::district().await;
    let mut fields = project("FR-1");
    fields["sub_areas"] = json!(["salute_mentale"]);
    fields["team"] = json!({"m2": {"body": "DSM", "operator": "op-medico"}});
    bench.has("projects", &fields).await;
    let unit = bench.being(Role::UnitCoordinator, None).await;
    let seen = unit.get("projects/FR-1").await;
    assert!(seen.text().contains("salute_mentale") && seen.text().contains("op-medico"));
    let fields = json!({"ref": "FR-3", "subject": {"kind": "person", "token": "t-9"}, "need_area": "POV",
        "sub_areas": ["giustizia"], "opened_on": "2026-03-04"});
    let made = unit.asks("POST", "projects", &fields).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
}

#[tokio::test]
async fn an_emergency_opens_one_record_and_tells_of_no_other() {
    let bench = Bench::district().await;
    let opened = bench
        .has("casefiles", &json!({"ref": "C-1", "subject": "P-1"}))
        .await;
    let other = bench
        .has("casefiles", &json!({"ref": "C-2", "subject": "P-2"}))
        .await;
    let desk = bench.being(Role::AccessOperator, None).await;
    let nowhere = "0".repeat(32);
    let names = [other.as_str(), "C-2", nowhere.as_str(), "C-77", &other[..8]];
    let mut answers = std::collections::BTreeSet::new();
    let body = json!({"record": opened, "reason": "ricovero urgente"});
    for round in 0..2 {
        for name in names {
            for more in ["", "/history"] {
                let answer = desk.get(&format!("casefiles/{name}{more}")).await;
                let mut refusal = answer.json();
                refusal.as_object_mut().unwrap().remove("instance");
                answers.insert((answer.status.as_u16(), refusal.to_string()));
            }
        }
        if round == 0 {
            let declared = desk.asks("POST", "emergency", &body).await;
            assert_eq!(declared.status, StatusCode::CREATED);
        }
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers.first().unwrap().0, 403);
    for name in [opened.as_str(), "C-1"] {
        assert_eq!(
            desk.get(&format!("casefiles/{name}")).await.status,
            StatusCode::OK
        );
    }
}

#[tokio::test]
async fn a_token_that_only_reads_opens_no_emergency() {
    use crate::access::Scope;
    let bench = Bench::district().await;
    let id = bench
        .has("casefiles", &json!({"ref": "C-1", "subject": "P-1"}))
        .await;
    let body = json!({"record": id, "reason": "ricovero urgente"});
    for (scopes, status) in [
        (&[Scope::Read][..], StatusCode::FORBIDDEN),
        (&[Scope::Read, Scope::Write], StatusCode::CREATED),
    ] {
        let name = format!("{scopes:?}");
        let bearer = bench
            .role_token(&name, Role::AccessOperator, None, scopes)
            .await;
        let answer = bench
            .as_bearer(&bearer, "POST", "/api/v1/emergency", &body)
            .await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
}

#[tokio::test]
async fn wrong_passwords_for_one_account_are_counted_wherever_they_come_from() {
    use crate::http::serve::Caller;
    use axum::extract::ConnectInfo;
    use zeroize::Zeroizing;
    let bench = Bench::district().await;
    let grants = crate::access::Grant {
        role: Role::SocialWorker,
        body: None,
    };
    let password = Zeroizing::new("quattro parole del tutto mie".to_owned());
    let by = crate::engine::Principal::office("root");
    let engine = bench.node.engine();
    engine
        .add_account("Anna Verdi", vec![grants], password, &by)
        .await
        .unwrap();
    let enter = async |from: u8, name: &str, password: &str| {
        let request = Request::builder()
            .method("POST")
            .uri("/sign-in")
            .header("content-type", "application/x-www-form-urlencoded")
            .extension(ConnectInfo(Caller(([10, 0, 0, from], 4000).into())))
            .body(Body::from(format!("name={name}&password={password}")));
        let answer = bench
            .network
            .clone()
            .oneshot(request.unwrap())
            .await
            .unwrap();
        Answer::of(answer).await
    };
    let mut refusals = Vec::new();
    for name in ["anna+verdi", "nessuno"] {
        let (first, mut evaluated) = (if name == "nessuno" { 4 } else { 1 }, 0);
        let mut waits = None;
        for round in 0..60 {
            let answer = enter(first + round % 3, name, "sbagliata+ogni+volta").await;
            match answer.status {
                StatusCode::UNAUTHORIZED => evaluated += 1,
                _ => waits = Some((answer.status, answer.text().len())),
            }
        }
        refusals.push((evaluated, waits.unwrap()));
    }
    assert_eq!(refusals[0], refusals[1], "as for a name that nobody has");
    assert_eq!(refusals[0].0, 20);
    let right = enter(9, "anna+verdi", "quattro+parole+del+tutto+mie").await;
    assert_eq!(right.status, StatusCode::SEE_OTHER, "who is right gets in");
}

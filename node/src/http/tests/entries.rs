//! What is decided entry by entry: in the name of the own body, by the kind of an assessment, and for
//! notes that are kept to few.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Answer, Bench};
use crate::access::Role;

impl Bench {
    async fn referent(&self, body: &str) -> String {
        self.role_token(body, Role::Referent, Some(body), &[]).await
    }

    /// One operation `add`.
    async fn adds(&self, bearer: &str, place: &str, path: &str, value: Value) -> Answer {
        let patch = json!([{"op": "add", "path": path, "value": value}]);
        self.as_bearer(bearer, "PATCH", place, &patch).await
    }

    async fn seen(&self, bearer: &str, path: &str) -> Value {
        let answer = self.as_bearer(bearer, "GET", path, &Value::Null).await;
        assert_eq!(answer.status, StatusCode::OK, "{path} {}", answer.text());
        answer.json()
    }

    /// A project that asks two bodies, and a third one nothing.
    async fn asking(&self) -> String {
        let place = self.planned("FR-A-1").await;
        let patch = json!([
            {"op": "add", "path": "/decisions/d1", "value": {"question": "prorogare-il-tirocinio", "quorum": ["SSD", "CPI"],
                "options": {"o1": {"text": "sì"}}}},
            {"op": "add", "path": "/decisions/d2", "value": {"question": "solo-salute", "quorum": ["DSM"], "options": {"o1": {}}}},
            {"op": "add", "path": "/decisions/d3", "value": {"question": "a-tutti", "options": {"o1": {}}}},
            {"op": "add", "path": "/referrals/i1", "value": {"to": "CPI", "reason": "orientamento", "state": "sent"}},
            {"op": "add", "path": "/referrals/i2", "value": {"to": "SIL", "reason": "un-altro-ente", "state": "sent"}},
            {"op": "add", "path": "/plans/social/body", "value": "ETS"},
        ]);
        let done = self.patch(&place, None, &patch).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.text());
        place
    }
}

#[tokio::test]
async fn a_body_votes_and_answers_in_its_own_name_and_in_no_other() {
    let bench = Bench::district().await;
    let place = bench.asking().await;
    let centre = bench.referent("CPI").await;
    let vote = |body: &str| json!({"body": body, "option": "o1", "on": "2026-06-10"});
    let answer = json!([
        {"op": "replace", "path": "/referrals/i1/state", "value": "accepted"},
        {"op": "add", "path": "/referrals/i1/answered_on", "value": "2026-03-27"},
    ]);
    let answered = bench.as_bearer(&centre, "PATCH", &place, &answer).await;
    assert_eq!(answered.status, StatusCode::OK, "{}", answered.text());
    for decision in ["d1", "d3"] {
        let path = format!("/decisions/{decision}/votes/v1");
        let voted = bench.adds(&centre, &place, &path, vote("CPI")).await;
        assert_eq!(voted.status, StatusCode::OK, "{decision} {}", voted.text());
    }
    let office = bench
        .patch(
            &place,
            None,
            &json!([{"op": "add", "path": "/decisions/d1/votes/v2", "value": vote("SSD")}]),
        )
        .await;
    assert_eq!(office.status, StatusCode::OK, "{}", office.text());
    for (path, value) in [
        ("/decisions/d1/votes/v3", vote("SSD")),
        ("/decisions/d1/votes/v3", json!({"option": "o1"})),
        ("/decisions/d1/votes/v2", vote("CPI")),
        ("/decisions/d1/votes/v2/option", json!("o2")),
        ("/decisions/d1/votes/v1/body", json!("SSD")),
        ("/decisions/d1/votes", json!({"v1": vote("CPI")})),
        ("/decisions/d2/votes/v1", vote("CPI")),
        ("/decisions/d1/result", json!("o1")),
        ("/decisions/d9", json!({"votes": {"v1": vote("CPI")}})),
        ("/referrals/i1/state", json!("withdrawn")),
        ("/referrals/i1/reason", json!("altro")),
        ("/referrals/i1/to", json!("SIL")),
        ("/referrals/i2/state", json!("accepted")),
        ("/referrals/i3", json!({"to": "CPI", "state": "sent"})),
        ("/reviews/r9", json!({"on": "2026-06-10"})),
    ] {
        let refused = bench.adds(&centre, &place, path, value.clone()).await;
        assert_eq!(
            refused.refusal(),
            (403, "not_allowed".to_owned()),
            "{path} {value}"
        );
    }
    let remove = json!([{"op": "remove", "path": "/decisions/d1/votes/v2"}]);
    let refused = bench.as_bearer(&centre, "PATCH", &place, &remove).await;
    assert_eq!(refused.refusal(), (403, "not_allowed".to_owned()));
    let record = bench.get(&place).await.json();
    assert_eq!(record["decisions"]["d1"]["votes"]["v1"]["body"], "CPI");
    assert_eq!(record["referrals"]["i1"]["state"], "accepted");
}

#[tokio::test]
async fn a_body_reads_what_is_asked_of_it_and_nothing_beside() {
    let bench = Bench::district().await;
    let place = bench.asking().await;
    let centre = bench.referent("CPI").await;
    for path in [
        place.clone(),
        "/api/v1/projects".to_owned(),
        format!("{place}/history"),
    ] {
        let told = bench.seen(&centre, &path).await.to_string();
        for shown in ["prorogare-il-tirocinio", "a-tutti", "orientamento"] {
            assert!(told.contains(shown), "{path} {shown}");
        }
        for hidden in [
            "solo-salute",
            "un-altro-ente",
            "terapia-riservata",
            "sostegno-riservato",
        ] {
            assert!(!told.contains(hidden), "{path} {hidden}");
        }
    }
}

#[tokio::test]
async fn a_body_signs_the_plan_that_it_answers_for_and_never_sees_the_health_plan() {
    let bench = Bench::district().await;
    let place = bench.asking().await;
    let third = bench.referent("ETS").await;
    let told = bench.seen(&third, &place).await.to_string();
    assert!(
        told.contains("sostegno-riservato") && !told.contains("terapia-riservata"),
        "{told}"
    );
    let sign = |body: &str| json!({"body": body, "by": "op-1", "on": "2026-03-18"});
    for (path, value) in [
        ("/plans/social/signatures/f1", sign("SSD")),
        (
            "/plans/social/signatures/f1",
            json!({"body": "ETS", "person": true}),
        ),
        ("/plans/social/goals/g1/text", json!("altro")),
        ("/plans/work/signatures/f1", sign("ETS")),
        ("/plans/health/signatures/f1", sign("ETS")),
    ] {
        let refused = bench.adds(&third, &place, path, value.clone()).await;
        assert_eq!(
            refused.refusal(),
            (403, "not_allowed".to_owned()),
            "{path} {value}"
        );
    }
    let signed = bench
        .adds(&third, &place, "/plans/social/signatures/f1", sign("ETS"))
        .await;
    assert_eq!(signed.status, StatusCode::OK, "{}", signed.text());
    let again = bench
        .adds(&third, &place, "/plans/social/signatures/f1", sign("ETS"))
        .await;
    assert_eq!(
        again.refusal(),
        (403, "not_allowed".to_owned()),
        "one signature is no other's"
    );
    let record = bench.get(&place).await.json();
    let section = record["plans"]["social"]["signatures"]["f1"]["section"].as_str();
    assert_eq!(section.map(str::len), Some(64));
    // Of a health plan that a body without the right answers for, nothing.
    let patch = json!([{"op": "add", "path": "/plans/health/body", "value": "INVENTED"}]);
    assert_eq!(
        bench.patch(&place, None, &patch).await.status,
        StatusCode::OK
    );
    let other = bench.referent("INVENTED").await;
    let told = bench.seen(&other, &place).await;
    assert_eq!(told["plans"].get("health"), None);
    let signature = sign("INVENTED");
    let refused = bench
        .adds(&other, &place, "/plans/health/signatures/f1", signature)
        .await;
    assert_eq!(refused.refusal(), (403, "not_allowed".to_owned()));
    let narrow = bench
        .role_token(
            "lettura",
            Role::Referent,
            Some("ETS"),
            &[crate::access::Scope::Read],
        )
        .await;
    let refused = bench
        .adds(&narrow, &place, "/plans/social/signatures/f2", sign("ETS"))
        .await;
    assert_eq!(refused.refusal(), (403, "not_allowed".to_owned()));
}

#[tokio::test]
async fn who_writes_an_assessment_follows_from_its_kind() {
    let bench = Bench::district().await;
    bench
        .put(
            "casefiles",
            &json!({"ref": "C-1", "subject": "P-1",
            "assessments": {"a0": {"kind": "UVD_EMDH", "summary": "diagnosi-riservata"}}}),
        )
        .await;
    let place = "/api/v1/casefiles/C-1";
    let worker = bench
        .role_token("sociale", Role::SocialWorker, None, &[])
        .await;
    let centre = bench.referent("CPI").await;
    let health = bench.referent("DSM").await;
    let (ok, denied) = (StatusCode::OK, StatusCode::FORBIDDEN);
    for (kind, expected) in [
        ("PRELIM", [ok, denied, ok]),
        ("QUADRO", [ok, denied, ok]),
        ("UVM", [ok, denied, ok]),
        ("PROFILO_OCC", [ok, ok, ok]),
        ("UVD_EMDH", [denied, denied, ok]),
        ("INVENTED", [denied, denied, ok]),
    ] {
        for (at, (bearer, expected)) in [&worker, &centre, &health]
            .into_iter()
            .zip(expected)
            .enumerate()
        {
            let value = json!({"kind": kind, "on": "2026-03-10", "summary": "x"});
            let path = format!("/assessments/{}{at}", kind.to_lowercase());
            let done = bench.adds(bearer, place, &path, value).await;
            assert_eq!(done.status, expected, "{kind} {at} {}", done.text());
        }
    }
    let steps = json!([{"op": "add", "path": "/assessments/n2", "value": {"kind": "PRELIM"}},
        {"op": "add", "path": "/assessments/n2/form", "value": "prelim"}]);
    assert_eq!(
        bench
            .as_bearer(&worker, "PATCH", place, &steps)
            .await
            .status,
        ok
    );
    let new = |kind: &str| json!({"subject": "P-2", "assessments": {"a1": {"kind": kind, "on": "2026-03-10"}}});
    let made = bench
        .as_bearer(&worker, "POST", "/api/v1/casefiles", &new("PRELIM"))
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let refused = bench
        .as_bearer(&worker, "POST", "/api/v1/casefiles", &new("UVD_EMDH"))
        .await;
    assert_eq!(refused.refusal(), (403, "not_allowed".to_owned()));
}

#[tokio::test]
async fn an_assessment_of_a_profession_is_read_back_by_who_may_write_it() {
    let bench = Bench::district().await;
    let kinds = ["PRELIM", "PROFILO_OCC", "QUADRO", "UVM", "UVD_EMDH"];
    let assessed = |kind: &str| json!({"kind": kind, "summary": format!("testo-{kind}")});
    let all: serde_json::Map<String, Value> = kinds
        .map(|kind| (kind.to_lowercase(), assessed(kind)))
        .into_iter()
        .collect();
    let fields = json!({"ref": "C-1", "subject": "P-1", "assessments": all});
    bench.put("casefiles", &fields).await;
    let worker = bench
        .role_token("sociale", Role::SocialWorker, None, &[])
        .await;
    let centre = bench.referent("CPI").await;
    let health = bench.referent("DSM").await;
    for (bearer, read_back) in [
        (&worker, &["PRELIM", "PROFILO_OCC"][..]),
        (&centre, &["PROFILO_OCC"]),
        (&health, &kinds),
    ] {
        for path in ["/api/v1/casefiles/C-1", "/api/v1/casefiles/C-1/history"] {
            let told = bench.seen(bearer, path).await.to_string();
            let read = kinds.map(|kind| told.contains(&format!("testo-{kind}\"")));
            let due = kinds.map(|kind| read_back.contains(&kind));
            assert_eq!(read, due, "{path} {read_back:?}");
        }
    }
}

#[tokio::test]
async fn an_assessment_of_another_kind_is_neither_taken_over_nor_guessed() {
    let bench = Bench::district().await;
    let fields = json!({"ref": "C-1", "subject": "P-1", "assessments": {
        "a0": {"kind": "UVD_EMDH", "summary": "diagnosi-riservata"},
        "prelim2": {"kind": "PRELIM", "summary": "testo-della-valutazione"}}});
    bench.put("casefiles", &fields).await;
    let place = "/api/v1/casefiles/C-1";
    let worker = bench
        .role_token("sociale", Role::SocialWorker, None, &[])
        .await;
    for patch in [
        json!([{"op": "replace", "path": "/assessments/a0/kind", "value": "PRELIM"}]),
        json!([{"op": "replace", "path": "/assessments/a0/kind", "value": "PRELIM"},
               {"op": "replace", "path": "/assessments/a0/summary", "value": "x"}]),
        json!([{"op": "replace", "path": "/assessments/a0", "value": {"kind": "PRELIM"}}]),
        json!([{"op": "remove", "path": "/assessments/a0"}]),
        json!([{"op": "replace", "path": "/assessments/prelim2/kind", "value": "UVD_EMDH"}]),
        json!([{"op": "remove", "path": "/assessments/prelim2/kind"}]),
        json!([{"op": "test", "path": "/assessments/prelim2/summary", "value": "testo-della-valutazione"}]),
        json!([{"op": "add", "path": "/assessments/n1", "value": {"summary": "x"}}]),
        json!([{"op": "add", "path": "/assessments", "value": {"n1": {"kind": "PRELIM"}}}]),
    ] {
        let refused = bench.as_bearer(&worker, "PATCH", place, &patch).await;
        assert_eq!(
            refused.refusal(),
            (403, "not_allowed".to_owned()),
            "{patch}"
        );
        assert_eq!(refused.json()["section"], "health", "{patch}");
    }
}

#[tokio::test]
async fn a_restricted_note_is_its_authors_and_the_case_managers() {
    let bench = Bench::district().await;
    bench
        .put("casefiles", &json!({"ref": "C-1", "subject": "P-1"}))
        .await;
    let place = "/api/v1/casefiles/C-1";
    let anna = bench
        .role_token("Anna Rossi", Role::SocialWorker, None, &[])
        .await;
    let bruno = bench
        .role_token("Bruno Neri", Role::SocialWorker, None, &[])
        .await;
    let manager = bench
        .role_token("Carla Bo", Role::CaseManager, None, &[])
        .await;
    let note = |text: &str, restricted: bool| json!({"text": text, "on": "2026-03-04", "restricted": restricted});
    for (id, text, restricted) in [
        ("d1", "nota-aperta", false),
        ("d2", "nota-riservata", true),
        ("d3", "tolta-riservata", true),
    ] {
        let done = bench
            .adds(
                &anna,
                place,
                &format!("/diary/{id}"),
                note(text, restricted),
            )
            .await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    }
    let removed = json!([{"op": "remove", "path": "/diary/d3"}]);
    assert_eq!(
        bench
            .as_bearer(&anna, "PATCH", place, &removed)
            .await
            .status,
        StatusCode::OK
    );
    for path in [
        place,
        "/api/v1/casefiles",
        "/api/v1/casefiles?q=C-1",
        "/api/v1/casefiles/C-1/history",
    ] {
        for (bearer, sees) in [(&anna, true), (&bruno, false), (&manager, true)] {
            let told = bench.seen(bearer, path).await.to_string();
            assert!(told.contains("nota-aperta"), "{path} {told}");
            assert_eq!(told.contains("nota-riservata"), sees, "{path} {told}");
            let history = path.ends_with("history");
            assert_eq!(
                told.contains("tolta-riservata"),
                sees && history,
                "{path} {told}"
            );
        }
    }
    let record = bench.seen(&bruno, place).await;
    assert_eq!(record["_meta"]["left_out"], json!({"/diary": 1}));
    assert!(record["_meta"]["withheld"].to_string().contains("/diary"));
    assert_eq!(record["diary"]["d1"]["author"], "Anna Rossi");
    assert_eq!(
        bench.seen(&anna, place).await["_meta"].get("left_out"),
        None
    );
}

#[tokio::test]
async fn a_restricted_note_is_neither_taken_over_nor_guessed_and_an_emergency_opens_it() {
    let bench = Bench::district().await;
    let fields = json!({"ref": "C-1", "subject": "P-1", "diary": {
        "d2": {"text": "nota-riservata", "restricted": true, "author": "Anna Rossi"}}});
    bench.put("casefiles", &fields).await;
    let place = "/api/v1/casefiles/C-1";
    let bruno = bench
        .role_token("Bruno Neri", Role::SocialWorker, None, &[])
        .await;
    let record = bench.seen(&bruno, place).await;
    // What is not read is neither opened, taken over nor guessed.
    for patch in [
        json!([{"op": "replace", "path": "/diary/d2/restricted", "value": false}]),
        json!([{"op": "replace", "path": "/diary/d2/author", "value": "Bruno Neri"}]),
        json!([{"op": "test", "path": "/diary/d2/text", "value": "nota-riservata"}]),
        json!([{"op": "remove", "path": "/diary/d2"}]),
        json!([{"op": "remove", "path": "/diary"}]),
    ] {
        let refused = bench.as_bearer(&bruno, "PATCH", place, &patch).await;
        assert_eq!(
            refused.refusal(),
            (403, "not_allowed".to_owned()),
            "{patch}"
        );
    }
    let id = record["_meta"]["id"].as_str().unwrap();
    let urgent = json!({"record": id, "reason": "ricovero urgente stanotte"});
    let opened = bench
        .as_bearer(&bruno, "POST", "/api/v1/emergency", &urgent)
        .await;
    assert!(opened.status.is_success(), "{}", opened.text());
    let told = bench.seen(&bruno, place).await;
    assert!(told.to_string().contains("nota-riservata") && told["_meta"].get("left_out").is_none());
    let read = bench.audited("read").await;
    assert!(
        read.iter().any(|one| one["who"] == "Bruno Neri"
            && one["detail"]
                .as_str()
                .unwrap_or_default()
                .contains("emergency")),
        "{read:?}"
    );
}

#[tokio::test]
async fn an_export_by_a_person_leaves_restricted_notes_out() {
    let bench = Bench::district().await;
    bench
        .put("casefiles", &json!({"ref": "C-1", "subject": "P-1",
            "diary": {"d1": {"text": "nota-aperta"}, "d2": {"text": "nota-riservata", "restricted": true, "author": "altri"}}}))
        .await;
    let both = vec![
        crate::access::Grant {
            role: Role::DistrictManager,
            body: None,
        },
        crate::access::Grant {
            role: Role::SocialWorker,
            body: None,
        },
    ];
    let token = bench
        .node
        .engine()
        .create_token_for("tutto", both, Vec::new(), "administrator")
        .await
        .unwrap();
    for format in ["jsonl", "csv"] {
        let path = format!("/api/v1/export?kind=casefile&format={format}");
        let told = bench
            .as_bearer(&format!("Bearer {token}"), "GET", &path, &Value::Null)
            .await;
        assert_eq!(told.status, StatusCode::OK, "{}", told.text());
        assert!(!told.text().contains("nota-riservata"), "{}", told.text());
        assert_eq!(told.header("raccordo-left-out"), "1");
    }
    let office = bench.get("/api/v1/export?kind=casefile").await;
    assert!(
        office.text().contains("nota-riservata") && office.header("raccordo-left-out").is_empty()
    );
}

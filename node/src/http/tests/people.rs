//! Accounts, sections, emergencies and the audit log, through the edge.

use axum::http::StatusCode;
use raccordo_crdt_model::Kind;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Answer, Bench, project};
use crate::access::{Grant, Role, Scope};
use crate::engine::Principal;

const ANNA: &str = "anna rossi";
const PASSWORD: &str = "quattro parole del tutto mie";

fn grant(role: Role, body: Option<&str>) -> Vec<Grant> {
    vec![Grant {
        role,
        body: body.map(str::to_owned),
    }]
}

impl Bench {
    async fn account(&self, name: &str, role: Role, body: Option<&str>) {
        let password = Zeroizing::new(PASSWORD.to_owned());
        let by = Principal::office("root");
        let engine = self.node.engine();
        engine
            .add_account(name, grant(role, body), password, &by)
            .await
            .unwrap();
    }

    pub(super) async fn role_token(
        &self,
        name: &str,
        role: Role,
        body: Option<&str>,
        scopes: &[Scope],
    ) -> String {
        let engine = self.node.engine();
        let made =
            engine.create_token_for(name, grant(role, body), scopes.to_vec(), "administrator");
        format!("Bearer {}", made.await.unwrap())
    }

    /// A cookie, if name and password let in.
    async fn enter(&self, name: &str, password: &str) -> Answer {
        let body = format!("name={name}&password={}", password.replace(' ', "+"));
        self.form("/sign-in", &[], &body).await
    }

    pub(super) async fn as_bearer(
        &self,
        bearer: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Answer {
        let media_type = if method == "PATCH" {
            "application/json-patch+json"
        } else {
            "application/json"
        };
        let headers = [("authorization", bearer), ("content-type", media_type)];
        self.ask(method, path, &headers, body.to_string()).await
    }

    /// A project with three plans; its address.
    pub(super) async fn planned(&self, reference: &str) -> String {
        let mut fields = project(reference);
        fields["plans"] = json!({
            "health": {"body": "DSM", "goals": {"g1": {"text": "terapia-riservata", "due": "2026-12-01"}},
                "interventions": {"i1": {"provider": "clinica-nascosta"}}},
            "social": {"body": "SSD", "goals": {"g1": {"text": "sostegno-riservato", "due": "2026-12-02"}}},
            "work": {"body": "CPI", "goals": {"g1": {"text": "tirocinio-visibile"}}},
        });
        let made = self
            .call(
                "POST",
                "/api/v1/projects",
                "application/json",
                &fields.to_string(),
            )
            .await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
        made.header("location").to_owned()
    }

    pub(super) async fn audited(&self, action: &str) -> Vec<Value> {
        // What was observed before a command is in the log when the command is done.
        let engine = self.node.engine();
        engine.create_token("poi", "administrator").await.unwrap();
        engine.revoke_token("poi", "administrator").await.unwrap();
        let log = self.get("/api/v1/audit?limit=500").await.json();
        let events = log["items"].as_array().unwrap().iter();
        events
            .filter(|one| one["action"] == action)
            .cloned()
            .collect()
    }
}

fn cookie(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    answer
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn an_account_signs_in_sees_what_it_may_and_is_out_when_it_is_disabled() {
    let bench = Bench::district().await;
    let place = bench.planned("FR-A-1").await;
    bench
        .account("Carla Bianchi", Role::Referent, Some("CPI"))
        .await;
    for (name, password) in [
        ("Carla Bianchi", "un'altra password lunga"),
        ("nessuno", PASSWORD),
        ("", ""),
    ] {
        assert_eq!(
            bench.enter(name, password).await.status,
            StatusCode::UNAUTHORIZED
        );
    }
    let cookie = cookie(&bench.enter("carla+bianchi", PASSWORD).await);
    let page = |path: String| {
        let (bench, cookie) = (&bench, cookie.clone());
        async move { bench.ask("GET", &path, &[("cookie", &cookie)], "").await }
    };
    assert!(page("/".to_owned()).await.text().contains("FR-A-1"));
    let record = page(place.replace("/api/v1/projects", "/records")).await;
    assert_eq!(record.status, StatusCode::OK);
    assert!(record.text().contains("tirocinio-visibile"));
    for hidden in ["riservat", "clinica"] {
        assert!(!record.text().contains(hidden), "{hidden}");
    }
    let found = page("/?q=clinica".to_owned()).await;
    assert!(
        !found.text().contains("FR-A-1"),
        "a search tells nothing of what is hidden"
    );
    assert_eq!(
        page("/api/v1/audit".to_owned()).await.refusal(),
        (403, "not_allowed".to_owned())
    );

    let by = Principal::office("root");
    bench
        .node
        .engine()
        .disable_account("Carla Bianchi", &by)
        .await
        .unwrap();
    assert_eq!(page("/".to_owned()).await.status, StatusCode::SEE_OTHER);
    assert_eq!(
        page("/api/v1/status".to_owned()).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        bench.enter("Carla Bianchi", PASSWORD).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        bench.audited("sign-in-refused").await.len(),
        1,
        "a wrong password of somebody known"
    );
}

#[tokio::test]
async fn another_password_ends_the_sessions_of_the_first() {
    let bench = Bench::district().await;
    bench.account(ANNA, Role::SocialWorker, None).await;
    let cookie = cookie(&bench.enter(ANNA, PASSWORD).await);
    let by = Principal::office("root");
    let engine = bench.node.engine();
    let short = engine
        .set_password(ANNA, Zeroizing::new("breve".to_owned()), &by)
        .await;
    assert!(short.unwrap_err().to_string().contains("5 characters"));
    let other = Zeroizing::new("tutta un'altra cosa".to_owned());
    engine.set_password(ANNA, other, &by).await.unwrap();
    assert_eq!(
        bench
            .ask("GET", "/", &[("cookie", &cookie)], "")
            .await
            .status,
        StatusCode::SEE_OTHER
    );
    assert_eq!(
        bench.enter(ANNA, PASSWORD).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        bench.enter(ANNA, "tutta un'altra cosa").await.status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn wrong_passwords_are_evaluated_twenty_times_a_minute_also_when_they_come_together() {
    let bench = Bench::district().await;
    bench.account(ANNA, Role::SocialWorker, None).await;
    let body = "name=anna+rossi&password=sbagliata+ogni+volta";
    let together = (0..30).map(|_| bench.form("/sign-in", &[], body));
    let mut statuses = std::collections::BTreeMap::new();
    let mut running: Vec<_> = together.map(Box::pin).collect();
    let all = std::future::poll_fn(|context| {
        running.retain_mut(|one| match one.as_mut().poll(context) {
            std::task::Poll::Ready(answer) => {
                *statuses.entry(answer.status.as_u16()).or_insert(0) += 1;
                false
            }
            std::task::Poll::Pending => true,
        });
        if running.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    });
    all.await;
    assert_eq!(statuses, [(401, 20), (429, 10)].into());
    assert_eq!(
        bench.enter(ANNA, PASSWORD).await.status,
        StatusCode::TOO_MANY_REQUESTS
    );
}

#[tokio::test]
async fn what_is_hidden_is_in_no_answer_of_the_api() {
    let bench = Bench::district().await;
    let place = bench.planned("FR-A-1").await;
    let edit = json!([{"op": "replace", "path": "/plans/health/goals/g1/text", "value": "altra-riservata"}]);
    assert_eq!(
        bench.patch(&place, None, &edit).await.status,
        StatusCode::OK
    );
    let centre = bench
        .role_token("centro", Role::Referent, Some("CPI"), &[])
        .await;
    for path in [
        place.clone(),
        format!("{place}/history"),
        "/api/v1/projects".to_owned(),
        "/api/v1/projects?q=FR-A".to_owned(),
    ] {
        let answer = bench.as_bearer(&centre, "GET", &path, &Value::Null).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        for hidden in ["riservat", "clinica"] {
            assert!(!answer.text().contains(hidden), "{path}: {}", answer.text());
        }
        assert!(answer.text().contains("tirocinio-visibile"), "{path}");
    }
    let record = bench
        .as_bearer(&centre, "GET", &place, &Value::Null)
        .await
        .json();
    assert_eq!(
        record["_meta"]["withheld"],
        json!([
            "/plans/health",
            "/plans/social",
            "/sub_areas",
            "/subject/token",
            "/team"
        ])
    );
    assert_eq!(
        record["plans"]["social"],
        json!({"body": "SSD", "goals": {"g1": {"due": "2026-12-02"}}})
    );
    let searched = bench
        .as_bearer(&centre, "GET", "/api/v1/projects?q=clinica", &Value::Null)
        .await;
    assert_eq!(searched.json()["items"], json!([]));
    let exported = bench
        .as_bearer(&centre, "GET", "/api/v1/export", &Value::Null)
        .await;
    assert_eq!(exported.refusal(), (403, "not_allowed".to_owned()));
    let worker = bench
        .role_token("sociale", Role::SocialWorker, None, &[])
        .await;
    let exported = bench
        .as_bearer(&worker, "GET", "/api/v1/export", &Value::Null)
        .await;
    assert!(
        exported.text().contains("sostegno-riservato")
            && !exported.text().contains("altra-riservata")
    );
    let whole = bench.get(&place).await.json();
    assert_eq!(
        whole["_meta"].get("withheld"),
        None,
        "who sees all sees the record as ever"
    );
}

#[tokio::test]
async fn a_change_that_reaches_a_guarded_section_is_refused_whole_with_section_and_role() {
    let bench = Bench::district().await;
    let place = bench.planned("FR-A-1").await;
    let worker = bench
        .role_token("sociale", Role::SocialWorker, None, &[])
        .await;
    let both = json!([
        {"op": "add", "path": "/next_review_on", "value": "2026-11-11"},
        {"op": "replace", "path": "/plans/health/goals/g1/text", "value": "x"},
    ]);
    let refused = bench.as_bearer(&worker, "PATCH", &place, &both).await;
    assert_eq!(refused.refusal(), (403, "not_allowed".to_owned()));
    assert_eq!(refused.json()["section"], "health");
    assert!(
        refused.text().contains("social_worker"),
        "{}",
        refused.text()
    );
    for around in [
        json!([{"op": "test", "path": "/plans/health/goals/g1/text", "value": "terapia-riservata"}]),
        json!([{"op": "remove", "path": "/plans"}]),
        json!([{"op": "replace", "path": "/plans/health", "value": {}}]),
    ] {
        let answer = bench.as_bearer(&worker, "PATCH", &place, &around).await;
        assert_eq!(answer.refusal().0, 403, "{around}");
    }
    let own = json!([{"op": "add", "path": "/plans/social/goals/g2", "value": {"text": "nuovo"}}]);
    assert_eq!(
        bench.as_bearer(&worker, "PATCH", &place, &own).await.status,
        StatusCode::OK
    );
    let d3d = bench
        .role_token("d3d", Role::Referent, Some("D3D"), &[])
        .await;
    let theirs = json!([{"op": "replace", "path": "/plans/health/goals/g1/text", "value": "x"}]);
    let refused = bench.as_bearer(&d3d, "PATCH", &place, &theirs).await;
    assert!(
        refused.text().contains("another body"),
        "{}",
        refused.text()
    );
    let mut with_health = project("FR-A-2");
    with_health["plans"] = json!({"health": {"goals": {"g1": {"text": "x"}}}});
    let created = bench
        .as_bearer(&worker, "POST", "/api/v1/projects", &with_health)
        .await;
    assert_eq!(created.json()["section"], "health");
    let created = bench
        .as_bearer(&worker, "POST", "/api/v1/projects", &project("FR-A-2"))
        .await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text());
    assert!(bench.audited("denied").await.len() >= 5);
}

#[tokio::test]
async fn an_import_takes_the_lines_that_the_role_may_bring_in() {
    let bench = Bench::district().await;
    let manager = bench
        .role_token("ambito", Role::DistrictManager, None, &[])
        .await;
    let line = |kind: &str, doc: Value| {
        json!({"op": "create", "kind": kind, "ref": doc["ref"], "at": "2026-03-04T10:00:00Z", "doc": doc}).to_string()
    };
    let file = [
        line("project", project("FR-A-1")),
        line("guideline", json!({"ref": "G-1", "title": "x"})),
    ];
    let headers = [("authorization", manager.as_str())];
    let report = bench
        .ask("POST", "/api/v1/import", &headers, file.join("\n"))
        .await
        .json();
    assert_eq!(
        (&report["created"], &report["rejected"]),
        (&json!(1), &json!(1)),
        "{report}"
    );
    assert_eq!(
        (&report["rejects"][0]["line"], &report["rejects"][0]["code"]),
        (&json!(2), &json!("not_allowed"))
    );
}

#[tokio::test]
async fn a_token_is_good_for_its_scopes_alone_and_one_without_a_role_for_all() {
    let bench = Bench::district().await;
    let place = bench.planned("FR-A-1").await;
    let reader = bench
        .role_token("legge", Role::Office, None, &[Scope::Read])
        .await;
    assert_eq!(
        bench
            .as_bearer(&reader, "GET", &place, &Value::Null)
            .await
            .status,
        StatusCode::OK
    );
    for (method, path) in [
        ("POST", "/api/v1/projects"),
        ("DELETE", place.as_str()),
        ("POST", "/api/v1/import"),
        ("GET", "/api/v1/export"),
    ] {
        let answer = bench.as_bearer(&reader, method, path, &json!({})).await;
        assert_eq!(
            answer.refusal(),
            (403, "not_allowed".to_owned()),
            "{method} {path}"
        );
        assert!(answer.text().contains("scopes"), "{}", answer.text());
    }
    let writer = bench
        .role_token("scrive", Role::Office, None, &[Scope::Write])
        .await;
    let made = bench
        .as_bearer(&writer, "POST", "/api/v1/projects", &project("FR-A-9"))
        .await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(
        made.json().get("ref"),
        None,
        "who may only write reads nothing back"
    );
    assert!(made.json()["_meta"]["etag"].is_string());
    let headers = [("authorization", reader.as_str())];
    assert_eq!(
        bench
            .ask("HEAD", "/api/v1/export", &headers, "")
            .await
            .status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn names_are_one_persons_and_roles_that_must_be_apart_are() {
    let bench = Bench::district().await;
    let by = Principal::office("root");
    let engine = bench.node.engine();
    let add = |name: &'static str, grants: Vec<Grant>| {
        let (engine, by) = (engine.clone(), by.clone());
        async move {
            let password = Zeroizing::new(PASSWORD.to_owned());
            engine.add_account(name, grants, password, &by).await
        }
    };
    add("Carla", grant(Role::SocialWorker, None)).await.unwrap();
    for (name, grants, says) in [
        ("carla", grant(Role::Auditor, None), "already"),
        ("anna", grant(Role::Auditor, None), "already"),
        ("", grant(Role::Auditor, None), "1 to 64"),
        ("Dino", Vec::new(), "1 to 8 roles"),
        ("Dino", grant(Role::Referent, None), "stands for a body"),
        (
            "Dino",
            grant(Role::Referent, Some("dsm")),
            "capital letters",
        ),
        (
            "Dino",
            [
                grant(Role::DistrictManager, None),
                grant(Role::NodeAdmin, None),
            ]
            .concat(),
            "nobody both",
        ),
    ] {
        let refused = add(name, grants).await.unwrap_err().to_string();
        assert!(refused.contains(says), "{name}: {refused}");
    }
    assert!(
        engine
            .create_token("Carla", "administrator")
            .await
            .unwrap_err()
            .to_string()
            .contains("already")
    );
    let listed = engine.accounts().await.unwrap();
    assert_eq!(listed.len(), 1);
}

#[tokio::test]
async fn each_way_to_read_who_somebody_is_leaves_who_what_and_when_in_the_audit_log() {
    let bench = Bench::district().await;
    let personal = [
        (
            "persons",
            json!({"ref": "R-1", "state": "registered", "given_name": "Anna", "family_name": "Verdi"}),
        ),
        ("households", json!({"ref": "R-1", "state": "active"})),
        (
            "casefiles",
            json!({"ref": "R-1", "state": "open", "subject": "R-1"}),
        ),
        (
            "contacts",
            json!({"ref": "R-1", "state": "open", "on": "2026-03-04"}),
        ),
    ];
    let mut places = Vec::new();
    for (plural, fields) in &personal {
        let path = format!("/api/v1/{plural}");
        let text = fields.to_string();
        let made = bench.call("POST", &path, "application/json", &text).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
        places.push(made.header("location").to_owned());
    }
    let manager = bench
        .role_token("direttrice", Role::DistrictManager, None, &[])
        .await;
    let before = bench.audited("read").await.len();
    for ((plural, _), place) in personal.iter().zip(&places) {
        let kind = Kind::from_plural(plural).unwrap().singular();
        for path in [
            place.clone(),
            format!("/api/v1/{plural}"),
            format!("{place}/history"),
            format!("/api/v1/export?kind={kind}"),
        ] {
            let answer = bench.as_bearer(&manager, "GET", &path, &json!({})).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        }
    }
    let mut reads = bench.audited("read").await;
    reads.truncate(reads.len() - before);
    let exports = bench.audited("export").await;
    let of = |events: &[Value]| -> Vec<(String, String)> {
        events
            .iter()
            .rev()
            .map(|event| {
                assert_eq!(event["who"], "direttrice", "{event}");
                assert!(
                    event["at"].as_str().is_some_and(|at| at.ends_with('Z')),
                    "{event}"
                );
                let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
                (text("what"), text("detail"))
            })
            .collect()
    };
    let mut wanted = Vec::new();
    for place in &places {
        let id = place.rsplit('/').next().unwrap().to_owned();
        for how in ["", "in a list", "with its history"] {
            wanted.push((id.clone(), how.to_owned()));
        }
    }
    assert_eq!(of(&reads), wanted);
    let exported = personal.map(|(plural, _)| (String::new(), format!("1 {plural}")));
    assert_eq!(of(&exports), exported);
}

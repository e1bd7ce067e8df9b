//! People: found, doubled, merged and taken apart; whose project it is, and who else has them.

use super::*;
use crate::access::Role;

const PERSONS: &str = "/api/v1/persons";

fn anna() -> Value {
    json!({"ref": "P-1", "family_name": "De Luca", "given_name": "Chiara", "born_on": "1985-12-10",
        "sex": "F", "fiscal_code": "RSSMRA85T10A562S"})
}

impl Bench {
    async fn made(&self, kind: &str, fields: &Value) -> Value {
        let path = format!("/api/v1/{kind}");
        let answer = self
            .call("POST", &path, "application/json", &fields.to_string())
            .await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        answer.json()
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, "application/json", &body.to_string())
            .await
    }

    async fn read(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        answer.json()
    }

    /// The references of the persons that a query finds.
    async fn found(&self, q: &str) -> Vec<String> {
        let page = self.read(&format!("{PERSONS}?q={q}")).await;
        let items = page["items"].as_array().unwrap().iter();
        let mut found: Vec<_> = items
            .map(|item| item["ref"].as_str().unwrap().to_owned())
            .collect();
        found.sort();
        found
    }
}

fn id_of(record: &Value) -> String {
    record["_meta"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_person_is_found_by_code_reference_and_names_spelt_so_or_sounding_so() {
    let bench = Bench::district().await;
    bench.made("persons", &anna()).await;
    let other = json!({"ref": "P-2", "family_name": "Conti", "given_name": "Clara", "former_names": ["De Luca"]});
    bench.made("persons", &other).await;
    for (q, wanted) in [
        ("RSSMRA85T10A562S", &["P-1"][..]),
        ("rssmra85t10a56nh", &["P-1"]),
        ("P-2", &["P-2"]),
        ("chiara", &["P-1"]),
        ("kiara%20deluca", &["P-1"]),
        ("de%20luca", &["P-1", "P-2"]),
        ("Klara", &["P-2"]),
        ("luca%20conti", &["P-2"]),
        ("Rossi", &[]),
        ("RSSMRA85T10A562T", &[]),
    ] {
        assert_eq!(bench.found(q).await, wanted, "{q}");
    }
    let patch = json!([{"op": "replace", "path": "/family_name", "value": "Bruni"}]);
    bench.patch(&format!("{PERSONS}/P-1"), None, &patch).await;
    assert_eq!(bench.found("de%20luca").await, ["P-2"]);
    assert_eq!(bench.found("bruni").await, ["P-1"]);
    let page = bench
        .read(&format!("{PERSONS}?q=de%20luca&state=merged"))
        .await;
    assert_eq!(page["items"], json!([]));
}

#[tokio::test]
async fn pages_of_persons_found_follow_each_other_without_gap_or_double() {
    let bench = Bench::district().await;
    for at in 0..5 {
        let fields =
            json!({"ref": format!("P-{at}"), "family_name": "Rossi", "given_name": "Anna"});
        bench.made("persons", &fields).await;
    }
    let mut path = format!("{PERSONS}?q=rossi&limit=2");
    let mut seen = Vec::new();
    loop {
        let page = bench.read(&path).await;
        let items = page["items"].as_array().unwrap();
        seen.extend(
            items
                .iter()
                .map(|item| item["ref"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("{PERSONS}?q=rossi&limit=2&cursor={next}");
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5, "{seen:?}");
}

#[tokio::test]
async fn a_second_record_of_one_person_is_flagged_by_sound_and_refused_by_code() {
    let bench = Bench::district().await;
    let first = bench.made("persons", &anna()).await;
    assert_eq!(first["_meta"]["flags"], json!([]));
    let swapped = json!({"ref": "P-2", "family_name": "Kiara", "given_name": "Deluca", "born_on": "1985-01-31"});
    let second = bench.made("persons", &swapped).await;
    let flags =
        json!([{"code": "possible_duplicate", "path": "/family_name", "records": [id_of(&first)]}]);
    assert_eq!(second["_meta"]["flags"], flags);
    let mut third = anna();
    third["ref"] = json!("P-3");
    // A variant of the same code is the same code.
    third["fiscal_code"] = json!("RSSMRA85T10A56NH");
    let refused = bench.post(PERSONS, &third).await;
    assert_eq!(refused.refusal(), (409, "fiscal_code_in_use".to_owned()));
    assert!(
        !refused.text().contains(&id_of(&first)),
        "{}",
        refused.text()
    );
    assert_eq!(
        refused.json()["errors"][0]["pointer"],
        "/fiscal_code",
        "the field"
    );
    let patch = json!([{"op": "add", "path": "/fiscal_code", "value": "RSSMRA85T10A562S"}]);
    let refused = bench.patch(&format!("{PERSONS}/P-2"), None, &patch).await;
    assert_eq!(refused.refusal(), (409, "fiscal_code_in_use".to_owned()));
    let alike = bench.read(&format!("{PERSONS}/P-1/duplicates")).await;
    let wanted = json!([{"id": id_of(&second), "ref": "P-2", "state": "registered", "why": ["name_and_year"]}]);
    assert_eq!(alike["items"], wanted);
}

#[tokio::test]
async fn a_merge_leads_references_to_the_record_that_stands_and_is_taken_back() {
    let bench = Bench::district().await;
    let first = bench.made("persons", &anna()).await;
    let fields = json!({"ref": "P-2", "family_name": "De Luca", "given_name": "Chiara", "born_on": "1985-12-10"});
    bench.made("persons", &fields).await;
    let contact = json!({"ref": "K-1", "on": "2026-03-04", "person": "P-2"});
    bench.made("contacts", &contact).await;
    let merged = bench
        .post(&format!("{PERSONS}/P-2/merge"), &json!({"into": "P-1"}))
        .await;
    assert_eq!(merged.status, StatusCode::OK, "{}", merged.text());
    assert_eq!(merged.json()["state"], "merged");
    let shown = bench.read("/api/v1/contacts/K-1").await;
    assert_eq!(shown["person"], "P-2");
    assert_eq!(
        shown["_meta"]["resolved"],
        json!([{"path": "/person", "id": id_of(&first)}])
    );
    assert_eq!(
        bench.read(&format!("{PERSONS}/P-1/duplicates")).await["items"],
        json!([])
    );
    let circle = bench
        .post(&format!("{PERSONS}/P-1/merge"), &json!({"into": "P-2"}))
        .await;
    assert_eq!(circle.refusal(), (409, "merge_in_a_circle".to_owned()));
    let back = json!([{"op": "replace", "path": "/state", "value": "registered"}, {"op": "remove", "path": "/merged_into"}]);
    let undone = bench.patch(&format!("{PERSONS}/P-2"), None, &back).await;
    assert_eq!(undone.status, StatusCode::OK, "{}", undone.text());
    assert_eq!(
        bench.read("/api/v1/contacts/K-1").await["_meta"].get("resolved"),
        None
    );
    assert_eq!(
        undone.json()["_meta"]["flags"][0]["code"],
        "possible_duplicate"
    );
}

#[tokio::test]
async fn all_that_one_person_was_offered_comes_together_over_merged_records() {
    let bench = Bench::district().await;
    bench.made("persons", &anna()).await;
    let double = json!({"ref": "P-2", "family_name": "Deluca", "given_name": "Chiara"});
    bench.made("persons", &double).await;
    let contact = |reference: &str, person: &str, on: &str| {
        json!({"ref": reference, "person": person, "on": on, "need_area": "POV",
            "services": {"s1": {"title": format!("Sportello {reference}"), "offered_on": on}}})
    };
    bench
        .made("contacts", &contact("K-1", "P-1", "2026-03-04"))
        .await;
    bench
        .made("contacts", &contact("K-2", "P-2", "2026-04-04"))
        .await;
    bench
        .made("contacts", &contact("K-3", "P-9", "2026-05-04"))
        .await;
    let mut fields = project("FR-1");
    fields["subject"] = json!({"kind": "person", "person": "P-1"});
    fields["referrals"] = json!({"f1": {"to": "CPI", "sent_on": "2026-03-10", "state": "sent"}});
    bench.made("projects", &fields).await;
    bench
        .post(&format!("{PERSONS}/P-2/merge"), &json!({"into": "P-1"}))
        .await;
    for name in ["P-1", "P-2"] {
        let offered = bench.read(&format!("{PERSONS}/{name}/offered")).await;
        let refs = |list: &str| {
            let items = offered[list].as_array().unwrap().iter();
            items
                .map(|item| item["ref"].as_str().unwrap_or_default().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(refs("contacts"), ["K-2", "K-1"], "{offered}");
        assert_eq!(refs("projects"), ["FR-1"]);
        assert_eq!(
            offered["services"].as_array().unwrap().len(),
            3,
            "{offered}"
        );
        assert_eq!(offered["referrals"][0]["to"], "CPI");
        assert_eq!(offered["records"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_subject_has_one_open_casefile_and_one_that_came_otherwise_is_kept_and_flagged() {
    let bench = Bench::district().await;
    for (number, name) in [("P-1", "Uno"), ("P-2", "Due")] {
        let person = json!({"ref": number, "family_name": name, "given_name": "Ada"});
        bench.made("persons", &person).await;
    }
    let casefile = |reference: &str, subject: &str| json!({"ref": reference, "subject": subject});
    bench.made("casefiles", &casefile("C-1", "P-1")).await;
    let id = id_of(&bench.read("/api/v1/persons/P-1").await);
    let refused = |answer: Answer| {
        assert_eq!(answer.refusal(), (409, "second_open_casefile".to_owned()));
        assert!(answer.text().contains("/subject"), "{}", answer.text());
    };
    for subject in ["P-1", id.as_str()] {
        let second = casefile("C-2", subject);
        refused(bench.post("/api/v1/casefiles", &second).await);
    }
    // What is closed is none, and opening it again would make a second one.
    let state = |to: &str| json!([{"op": "add", "path": "/state", "value": to}]);
    let first = "/api/v1/casefiles/C-1";
    let closed = bench.patch(first, None, &state("closed")).await;
    assert_eq!(closed.status, StatusCode::OK, "{}", closed.text());
    bench.made("casefiles", &casefile("C-2", "P-1")).await;
    refused(bench.patch(first, None, &state("open")).await);
    // Of a record that is merged into the first one there may be two, and both say so.
    bench.made("casefiles", &casefile("C-3", "P-2")).await;
    let flags = async |reference: &str| {
        let read = bench.read(&format!("/api/v1/casefiles/{reference}")).await;
        read["_meta"]["flags"].to_string()
    };
    assert_eq!(flags("C-2").await, "[]");
    bench
        .post("/api/v1/persons/P-2/merge", &json!({"into": id}))
        .await;
    for reference in ["C-2", "C-3"] {
        assert!(flags(reference).await.contains("second_open_casefile"));
    }
    assert_eq!(flags("C-1").await, "[]");
    // History is kept as it was, and a project is noted in the casefile that was there first.
    let line = json!({"op": "create", "kind": "casefile", "ref": "C-0", "at": "2001-03-04T09:00:00Z",
        "doc": casefile("C-0", "P-1")});
    let report = bench
        .call(
            "POST",
            "/api/v1/import",
            "application/jsonl",
            &line.to_string(),
        )
        .await;
    assert_eq!(report.json()["created"], 1, "{}", report.text());
    assert!(flags("C-0").await.contains("second_open_casefile"));
    let mut fields = project("FR-A-1");
    fields["subject"] = json!({"kind": "person", "person": "P-1"});
    bench.made("projects", &fields).await;
    let noted = async |reference: &str| {
        let read = bench.read(&format!("/api/v1/casefiles/{reference}")).await;
        read["projects"].as_object().map_or(0, serde_json::Map::len)
    };
    assert_eq!((noted("C-0").await, noted("C-2").await), (1, 0));
}

#[tokio::test]
async fn a_project_of_a_person_carries_their_pseudonym_and_the_casefile_leads_to_it() {
    let bench = Bench::district().await;
    let person = bench.made("persons", &anna()).await;
    let mut fields = project("FR-1");
    fields["subject"] = json!({"kind": "person", "person": "P-1"});
    let first = bench.made("projects", &fields).await;
    let token = first["subject"]["token"].as_str().unwrap().to_owned();
    let parts: Vec<_> = token.split(':').collect();
    assert_eq!(
        (parts[0], parts[1].len(), parts[2].len()),
        ("t1", 4, 64),
        "{token}"
    );
    assert!(!first.to_string().contains("P-1"), "{first}");
    fields["ref"] = json!("FR-2");
    fields["subject"]["person"] = json!(id_of(&person));
    let second = bench.made("projects", &fields).await;
    assert_eq!(second["subject"]["token"], json!(token));
    let files = bench.read("/api/v1/casefiles").await;
    assert_eq!(files["items"].as_array().unwrap().len(), 1, "{files}");
    let file = &files["items"][0];
    assert_eq!(file["subject"], json!(id_of(&person)));
    let linked: Vec<_> = file["projects"].as_object().unwrap().values().collect();
    assert_eq!(linked.len(), 2, "{file}");
    assert!(
        linked
            .iter()
            .any(|entry| entry["project"] == json!(id_of(&first)))
    );
    // Without a code the token is a weak one, the same however the name is spelt.
    let mut tokens = Vec::new();
    for (reference, family) in [("P-8", "Bianchi"), ("P-9", "Bianki")] {
        let person = json!({"ref": reference, "family_name": family, "given_name": "Ada", "born_on": "1990-05-06", "sex": "F"});
        bench.made("persons", &person).await;
        fields["ref"] = json!(format!("FR-{reference}"));
        fields["subject"]["person"] = json!(reference);
        tokens.push(bench.made("projects", &fields).await["subject"]["token"].clone());
    }
    assert!(tokens[0].as_str().unwrap().starts_with("w1:"), "{tokens:?}");
    assert_eq!(tokens[0], tokens[1]);
}

#[tokio::test]
async fn what_names_a_person_is_refused_in_a_project_that_is_shared() {
    let bench = Bench::district().await;
    let mut protected = anna();
    protected["protected"] = json!(true);
    bench.made("persons", &protected).await;
    let mut fields = project("FR-1");
    fields["subject"] = json!({"kind": "person", "person": "P-1"});
    let refused = bench.post("/api/v1/projects", &fields).await;
    assert_eq!(refused.refusal(), (409, "protected_subject".to_owned()));
    assert_eq!(bench.read("/api/v1/casefiles").await["items"], json!([]));
    fields["sharing"] = json!("local");
    bench.made("projects", &fields).await;
    fields["subject"]["person"] = json!("P-77");
    assert_eq!(
        bench.post("/api/v1/projects", &fields).await.refusal().0,
        404
    );

    let mut shared = project("FR-2");
    shared["plans"] = json!({"social": {"goals": {"g1": {"text": "casa per rssmra85t10a562s"}}}});
    let refused = bench.post("/api/v1/projects", &shared).await;
    assert_eq!(
        refused.refusal(),
        (409, "identity_in_shared_record".to_owned())
    );
    assert!(
        refused.text().contains("/plans/social/goals/g1/text"),
        "{}",
        refused.text()
    );
    let activity = json!({"on": "2026-03-04", "state": "recorded", "unit": "per RSSMRA85T10A562S"});
    let refused = bench.post("/api/v1/activities", &activity).await;
    assert_eq!(
        refused.refusal(),
        (409, "identity_in_shared_record".to_owned())
    );
    bench.made("projects", &project("FR-2")).await;
    for (path, value, code) in [
        ("/subject/person", json!("P-1"), "person_in_project"),
        (
            "/reviews/r1",
            json!({"summary": "CF RSSMRA85T10A562S"}),
            "identity_in_shared_record",
        ),
        (
            "/ours",
            json!(["RSSMRA85T10A562S"]),
            "identity_in_shared_record",
        ),
    ] {
        let patch = json!([{"op": "add", "path": path, "value": value}]);
        let refused = bench.patch("/api/v1/projects/FR-2", None, &patch).await;
        assert_eq!(refused.refusal(), (409, code.to_owned()), "{path}");
        let pointer = refused.json()["errors"][0]["pointer"].clone();
        let field = pointer.as_str().unwrap_or_default();
        assert!(field.starts_with(path), "the field: {}", refused.text());
    }
    let line = json!({"op": "create", "kind": "project", "ref": "FR-3", "doc": {
        "subject": {"kind": "person", "person": "P-1"}, "need_area": "POV", "opened_on": "2026-03-04"}});
    let report = bench
        .call(
            "POST",
            "/api/v1/import",
            "application/jsonl",
            &line.to_string(),
        )
        .await
        .json();
    assert_eq!(
        report["rejects"][0]["code"], "person_in_project",
        "{report}"
    );
}

#[tokio::test]
async fn the_pointer_of_a_refused_identity_leads_from_the_root_to_the_field() {
    let bench = Bench::district().await;
    bench.made("projects", &project("FR-2")).await;
    for (path, value, pointer) in [
        (
            "/reviews",
            json!({"a/b": {"findings": "RSSMRA85T10A562S"}}),
            "/reviews/a~1b/findings",
        ),
        (
            "/plans/social/goals/g1/text",
            json!("CF RSSMRA85T10A562S"),
            "/plans/social/goals/g1/text",
        ),
        ("/ours", json!(["x", "RSSMRA85T10A562S"]), "/ours/1"),
    ] {
        let patch = json!([{"op": "add", "path": path, "value": value}]);
        let refused = bench.patch("/api/v1/projects/FR-2", None, &patch).await;
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{path}");
    }
}

#[tokio::test]
async fn who_may_not_know_a_protected_person_does_not_find_them_as_a_double() {
    let bench = Bench::district().await;
    let mut hidden = anna();
    hidden["protected"] = json!(true);
    let hidden = bench.made("persons", &hidden).await;
    let like = json!({"ref": "P-2", "family_name": "De Luca", "given_name": "Chiara", "born_on": "1985-12-10"});
    bench.made("persons", &like).await;
    let desk = bench.role_token("sportello", Role::AccessOperator, None, &[]);
    let worker = bench.role_token("assistente", Role::SocialWorker, None, &[]);
    for (bearer, knows) in [(desk.await, false), (worker.await, true)] {
        for path in ["persons/P-2", "persons/P-2/duplicates", "persons"] {
            let path = format!("/api/v1/{path}");
            let seen = bench.as_bearer(&bearer, "GET", &path, &Value::Null).await;
            assert_eq!(seen.status, StatusCode::OK, "{path}: {}", seen.text());
            let flagged = match path.as_str() {
                "/api/v1/persons" => seen.json()["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|item| item["_meta"]["flags"].to_string().contains(&id_of(&hidden))),
                _ => seen.text().contains(&id_of(&hidden)),
            };
            assert_eq!(flagged, knows, "{path}: {}", seen.text());
        }
    }
}

#[tokio::test]
async fn no_fiscal_code_leaves_as_a_name_or_in_what_everyone_reads() {
    let bench = Bench::district().await;
    let refused = (409, "identity_in_shared_record".to_owned());
    for (kind, fields, pointer) in [
        (
            "organisations",
            json!({"name": "di RSSMRA85T10A562S", "type": "third_sector"}),
            "/name",
        ),
        (
            "resources",
            json!({"title": "Sportello", "what": "chiedere di RSSMRA85T10A562S"}),
            "/what",
        ),
        (
            "projects",
            {
                let mut fields = project("FR-1");
                fields["plans"] = json!({"work": {"goals": {"RSSMRA85T10A562S": {"text": "x"}}}});
                fields
            },
            "/plans/work/goals/RSSMRA85T10A562S",
        ),
    ] {
        let answer = bench.post(&format!("/api/v1/{kind}"), &fields).await;
        assert_eq!(answer.refusal(), refused, "{kind}");
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer);
    }
}

#[tokio::test]
async fn no_fiscal_code_leaves_by_a_change_or_as_the_author_of_a_line() {
    let bench = Bench::district().await;
    let refused = (409, "identity_in_shared_record".to_owned());
    bench.made("projects", &project("FR-2")).await;
    bench
        .made("casefiles", &json!({"ref": "C-1", "subject": "P-1"}))
        .await;
    for (path, value) in [
        (
            "/plans/social/goals/RSSMRA85T10A562S",
            json!({"text": "casa"}),
        ),
        ("/x_RSSMRA85T10A562S", json!(1)),
        (
            "/plans/social/goals/g2",
            json!({"text": "casa", "rssmra85t10a562s": null}),
        ),
    ] {
        let patch = json!([{"op": "add", "path": path, "value": value}]);
        let answer = bench.patch("/api/v1/projects/FR-2", None, &patch).await;
        assert_eq!(answer.refusal(), refused, "{path}");
    }
    let by = |kind: &str, op: &str, reference: &str, what: Value| {
        let mut line = json!({"op": op, "kind": kind, "ref": reference, "at": "2026-03-04T10:00:00Z",
            "by": "rssmra85t10a562s"});
        line[if op == "patch" { "patch" } else { "doc" }] = what;
        line.to_string()
    };
    let edit = json!([{"op": "add", "path": "/ours", "value": 1}]);
    let file = [
        by("project", "create", "FR-3", project("FR-3")),
        by("project", "patch", "FR-2", edit.clone()),
        by("casefile", "patch", "C-1", edit),
    ];
    let report = bench
        .call(
            "POST",
            "/api/v1/import",
            "application/jsonl",
            &file.join("\n"),
        )
        .await
        .json();
    assert_eq!(
        (&report["changed"], &report["rejected"]),
        (&json!(1), &json!(2)),
        "{report}"
    );
    for reject in report["rejects"].as_array().unwrap() {
        assert_eq!(
            (&reject["code"], &reject["pointer"]),
            (&json!("identity_in_shared_record"), &json!("/by"))
        );
    }
    let engine = bench.node.engine();
    let named = engine.create_token("RSSMRA85T10A562S", "root").await;
    assert!(named.is_err());
}

//! Files in and out: who may bring in what, and what comes of a line.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Bench, project};
use crate::access::{Grant, Role, Scope};

const AT: &str = "2026-03-04T10:00:00Z";

pub(super) fn create(kind: &str, reference: &str, doc: &Value) -> String {
    json!({"op": "create", "kind": kind, "ref": reference, "at": AT, "doc": doc}).to_string()
}

pub(super) fn change(kind: &str, reference: &str, patch: &Value) -> String {
    json!({"op": "patch", "kind": kind, "ref": reference, "at": AT, "patch": patch}).to_string()
}

impl Bench {
    /// The report of an import.
    pub(super) async fn brings(&self, bearer: &str, query: &str, lines: &[String]) -> Value {
        let path = format!("/api/v1/import{query}");
        let headers = [("authorization", bearer)];
        let answer = self.ask("POST", &path, &headers, lines.join("\n")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()
    }

    /// As the office.
    async fn imports(&self, lines: &[String]) -> Value {
        let office = format!("Bearer {}", self.token);
        self.brings(&office, "", lines).await
    }

    async fn manager(&self) -> String {
        self.role_token("ambito", Role::DistrictManager, None, &[])
            .await
    }

    async fn posted(&self, kind: &str, fields: &Value) -> Value {
        let path = format!("/api/v1/{kind}");
        let text = fields.to_string();
        let made = self.call("POST", &path, "application/json", &text).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
        made.json()
    }

    /// A casefile with a hold, a note that is kept to few and one that is not; its address and id.
    async fn held(&self) -> (String, String) {
        let made = self
            .posted(
                "casefiles",
                &json!({"ref": "C-1", "subject": "P-1",
                    "legal_hold": {"h1": {"reason": "causa pendente", "until": "2030-01-01"}},
                    "diary": {"n1": {"on": "2026-03-04", "author": "bruno", "text": "riservata", "restricted": true},
                        "n2": {"on": "2026-03-04", "author": "bruno", "text": "aperta"}}}),
            )
            .await;
        let id = made["_meta"]["id"].as_str().unwrap().to_owned();
        (format!("/api/v1/casefiles/{id}"), id)
    }
}

fn codes(report: &Value) -> Vec<&str> {
    let rejects = report["rejects"].as_array().unwrap().iter();
    rejects.map(|one| one["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn who_may_edit_a_section_brings_in_no_word_of_anothers() {
    let bench = Bench::district().await;
    let (place, _) = bench.held().await;
    let grants = [Role::DistrictManager, Role::SocialWorker].map(|role| Grant { role, body: None });
    let engine = bench.node.engine();
    let token = engine.create_token_for("carla", grants.to_vec(), Vec::new(), "administrator");
    let bearer = format!("Bearer {}", token.await.unwrap());
    let before = bench.get(&place).await.json();
    let rewritten = json!([{"op": "replace", "path": "/diary/n2/text", "value": "x"}]);
    let lines = [change("casefile", "C-1", &rewritten)];
    let report = bench.brings(&bearer, "", &lines).await;
    assert_eq!(codes(&report), ["not_allowed"], "{report}");
    assert_eq!(bench.get(&place).await.json(), before);
    let own = json!([{"op": "add", "path": "/diary/n3",
        "value": {"on": "2026-03-05", "author": "carla", "text": "mia"}}]);
    let lines = [change("casefile", "C-1", &own)];
    let report = bench.brings(&bearer, "", &lines).await;
    assert_eq!((&report["changed"], codes(&report)), (&json!(1), vec![]));
}

#[tokio::test]
async fn a_line_changes_of_a_record_that_is_there_what_a_change_by_hand_may() {
    let bench = Bench::district().await;
    let (place, _) = bench.held().await;
    let before = bench.get(&place).await.json();
    let manager = bench.manager().await;
    for patch in [
        json!([{"op": "remove", "path": "/legal_hold/h1"}]),
        json!([{"op": "add", "path": "/legal_hold/h2", "value": {"reason": "x"}}]),
        json!([{"op": "test", "path": "/diary/n1/text", "value": "riservata"}]),
        json!([{"op": "test", "path": "/diary/n1/text", "value": "altro"}]),
        json!([{"op": "test", "path": "/diary/n2/text", "value": "aperta"}]),
        json!([{"op": "replace", "path": "/diary/n1/restricted", "value": false}]),
        json!([{"op": "replace", "path": "/diary/n1/text", "value": "x"}]),
        json!([{"op": "replace", "path": "/diary", "value": {}}]),
        json!([{"op": "replace", "path": "/state", "value": "closed"}]),
    ] {
        let by_hand = bench.as_bearer(&manager, "PATCH", &place, &patch).await;
        assert_eq!(
            by_hand.refusal(),
            (403, "not_allowed".to_owned()),
            "{patch}"
        );
        for query in ["?dry_run=true", ""] {
            let line = change("casefile", "C-1", &patch);
            let report = bench.brings(&manager, query, &[line]).await;
            assert_eq!(codes(&report), ["not_allowed"], "{patch} {report}");
        }
    }
    assert_eq!(bench.get(&place).await.json(), before);
    let person = bench
        .posted(
            "persons",
            &json!({"ref": "P-1", "family_name": "Rossi", "given_name": "Anna"}),
        )
        .await;
    let right = json!([{"op": "test", "path": "/family_name", "value": "Rossi"},
        {"op": "replace", "path": "/family_name", "value": "Bianchi"}]);
    let importer = bench
        .role_token("solo file", Role::DistrictManager, None, &[Scope::Import])
        .await;
    let line = change("person", "P-1", &right);
    let report = bench
        .brings(&importer, "", std::slice::from_ref(&line))
        .await;
    assert_eq!(
        codes(&report),
        ["not_allowed"],
        "tests what it may not read"
    );
    let report = bench.brings(&manager, "", &[line]).await;
    assert_eq!((&report["changed"], codes(&report)), (&json!(1), vec![]));
    let blind = json!([{"op": "replace", "path": "/family_name", "value": "Verdi"}]);
    let report = bench
        .brings(&importer, "", &[change("person", "P-1", &blind)])
        .await;
    assert_eq!((&report["changed"], codes(&report)), (&json!(1), vec![]));
    let id = person["_meta"]["id"].as_str().unwrap();
    assert_eq!(
        bench.get(&format!("/api/v1/persons/{id}")).await.json()["family_name"],
        "Verdi"
    );
}

#[tokio::test]
async fn a_file_changes_what_it_brought_itself_until_somebody_else_wrote_there() {
    let bench = Bench::district().await;
    let manager = bench.manager().await;
    let note = |key: &str| {
        let value = json!({"on": "2026-03-05", "author": "bruno", "text": "t", "restricted": true});
        change(
            "casefile",
            "C-9",
            &json!([{"op": "add", "path": format!("/diary/{key}"), "value": value}]),
        )
    };
    let mut file = vec![
        create("casefile", "C-9", &json!({"subject": "P-9"})),
        note("n1"),
    ];
    let rehearsed = bench.brings(&manager, "?dry_run=true", &file).await;
    assert_eq!(
        (&rehearsed["changed"], codes(&rehearsed)),
        (&json!(1), vec![])
    );
    let report = bench.brings(&manager, "", &file).await;
    assert_eq!(
        (&report["created"], &report["changed"]),
        (&json!(1), &json!(1)),
        "{report}"
    );
    let alone = bench.brings(&manager, "", &[note("n2")]).await;
    assert_eq!(codes(&alone), ["not_allowed"], "another file");
    file.push(note("n3"));
    let again = bench.brings(&manager, "", &file).await;
    assert_eq!(
        (&again["already_present"], &again["changed"]),
        (&json!(2), &json!(1)),
        "{again}"
    );
    let list = bench.get("/api/v1/casefiles").await.json();
    let id = list["items"][0]["_meta"]["id"].as_str().unwrap();
    let theirs =
        json!([{"op": "add", "path": "/diary/altrui", "value": {"text": "x", "author": "bruno"}}]);
    let wrote = bench
        .patch(&format!("/api/v1/casefiles/{id}"), None, &theirs)
        .await;
    assert_eq!(wrote.status, StatusCode::OK, "{}", wrote.text());
    file.push(note("n4"));
    let after = bench.brings(&manager, "", &file).await;
    assert_eq!(
        (&after["already_present"], codes(&after)),
        (&json!(3), vec!["not_allowed"])
    );
}

#[tokio::test]
async fn the_audit_log_says_who_imported_and_which_records_and_that_somebody_tried() {
    let bench = Bench::district().await;
    let manager = bench.manager().await;
    let file = [
        create("project", "FR-A-1", &project("FR-A-1")),
        create("guideline", "G-1", &json!({"title": "x"})),
    ];
    bench.brings(&manager, "?dry_run=true", &file).await;
    bench.brings(&manager, "", &file).await;
    bench.brings(&manager, "", &file).await;
    let told = bench.audited("import").await;
    let list = bench.get("/api/v1/projects").await.json();
    let id = &list["items"][0]["_meta"]["id"];
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().all(|one| one["who"] == "ambito"), "{told:?}");
    let said = |words: &str| {
        let says = |one: &&Value| one["detail"].as_str().unwrap().contains(words);
        told.iter().find(says).unwrap()
    };
    assert_eq!(said("entries ")["records"], json!([id]));
    said("dry run: 2 lines: 1 created");
    said("1 already present, 1 rejected");
    let path = format!("/api/v1/audit?record={}", id.as_str().unwrap());
    let of_record = bench.get(&path).await.json();
    let actions: Vec<&Value> = of_record["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["action"])
        .collect();
    assert_eq!(actions, ["import"]);
}

impl Bench {
    /// As the export writes a kind, line by line.
    async fn exported(&self, kind: &str) -> Vec<String> {
        let answer = self.get(&format!("/api/v1/export?kind={kind}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.text().lines().map(str::to_owned).collect()
    }

    async fn ids(&self, kind: &str) -> Vec<String> {
        let list = self.get(&format!("/api/v1/{kind}?limit=500")).await.json();
        let items = list["items"].as_array().unwrap().iter();
        items
            .map(|one| one["_meta"]["id"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[tokio::test]
async fn what_a_node_exports_is_there_when_it_comes_back_and_stands_in_the_order_of_its_numbers() {
    let bench = Bench::district().await;
    for number in 0..4 {
        let mut fields = project(&format!("FR-{number}"));
        if number % 2 == 0 {
            fields.as_object_mut().unwrap().remove("ref");
        }
        fields["instruments"] =
            json!({"k1": {"kind": "TIS", "amount_eur": 500, "state": "planned"}});
        bench.posted("projects", &fields).await;
    }
    bench.held().await;
    bench
        .posted(
            "organisations",
            &json!({"name": "Cooperativa", "type": "third_sector"}),
        )
        .await;
    for (kind, records) in [("project", 4), ("casefile", 1), ("organisation", 1)] {
        let lines = bench.exported(kind).await;
        let numbers: Vec<Value> = lines
            .iter()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["ref"].clone())
            .collect();
        assert!(
            numbers.is_sorted_by_key(|one| one.as_str().unwrap().to_owned()),
            "{numbers:?}"
        );
        let report = bench.imports(&lines).await;
        assert_eq!(
            (&report["already_present"], codes(&report)),
            (&json!(records), vec![]),
            "{kind} {report}"
        );
        assert_eq!(bench.exported(kind).await, lines);
    }
    let mut other = project("FR-1");
    other["need_area"] = json!("FAM");
    let id = bench.ids("projects").await.pop().unwrap();
    let mut under_id = project(&id);
    under_id["need_area"] = json!("FAM");
    let report = bench
        .imports(&[
            create("project", "FR-1", &other),
            create("project", &id, &under_id),
        ])
        .await;
    assert_eq!(codes(&report), ["ref_in_use", "ref_in_use"], "{report}");
    let manager = bench.manager().await;
    let report = bench
        .brings(&manager, "", &bench.exported("casefile").await)
        .await;
    assert_eq!(
        codes(&report),
        ["ref_in_use"],
        "a guess at what it does not read is not answered"
    );
}

#[tokio::test]
async fn one_rule_for_an_empty_number_and_lines_that_say_a_thing_twice_or_too_much_are_refused() {
    let bench = Bench::district().await;
    for path in ["/api/v1/projects", "/api/v1/organisations"] {
        let fields = json!({"ref": "", "name": "x", "type": "third_sector"});
        let answer = bench
            .call("POST", path, "application/json", &fields.to_string())
            .await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        let errors = answer.json()["errors"].clone();
        let of_ref = errors
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["pointer"] == "/ref");
        assert_eq!(of_ref.unwrap()["code"], "required", "{errors}");
    }
    let doc = json!({"name": "x", "type": "third_sector"});
    let stray =
        json!({"op": "patch", "kind": "organisation", "ref": "E-1", "doc": doc, "patch": []});
    let report = bench
        .imports(&[
            create("organisation", "", &doc),
            r#"{"op":"create","kind":"organisation","ref":"E-1","doc":{"name":"x","type":"third_sector","name":"y"}}"#.to_owned(),
            stray.to_string(),
        ])
        .await;
    assert_eq!(
        codes(&report),
        ["required", "name_twice", "unknown_member"],
        "{report}"
    );
    assert_eq!(bench.ids("organisations").await.len(), 0);
}

#[tokio::test]
async fn a_number_in_use_is_given_to_no_second_record_except_by_history_which_is_flagged() {
    let bench = Bench::district().await;
    let one = bench.create("FR-1").await.json();
    let two = bench.create("FR-2").await.json();
    let place = format!("/api/v1/projects/{}", two["_meta"]["id"].as_str().unwrap());
    let renumber = |to: &str| json!([{"op": "replace", "path": "/ref", "value": to}]);
    let refused = bench.patch(&place, None, &renumber("FR-1")).await;
    assert_eq!(refused.refusal(), (409, "ref_in_use".to_owned()));
    for to in ["FR-2", "FR-3", "FR-2"] {
        let done = bench.patch(&place, None, &renumber(to)).await;
        assert_eq!(done.status, StatusCode::OK, "{to} {}", done.text());
    }
    let freed = bench.create("FR-3").await;
    assert_eq!(freed.status, StatusCode::CREATED);
    let typed = json!({"op": "patch", "kind": "project", "ref": "FR-2", "patch": renumber("FR-1")});
    let report = bench.imports(&[typed.to_string()]).await;
    assert_eq!(codes(&report), ["ref_in_use"]);
    let report = bench
        .imports(&[
            change("project", "FR-2", &renumber("FR-1")),
            create("project", "FR-9", &project("FR-9")),
        ])
        .await;
    assert_eq!(codes(&report), Vec::<&str>::new());
    let flags = bench.get(&place).await.json()["_meta"]["flags"].to_string();
    assert!(flags.contains("ref_in_use_twice"), "{flags}");
    let edit = change(
        "project",
        "FR-1",
        &json!([{"op": "replace", "path": "/need_area", "value": "FAM"}]),
    );
    let report = bench.imports(&[edit]).await;
    assert_eq!(codes(&report), ["ambiguous"]);
    let message = report["rejects"][0]["message"].as_str().unwrap();
    for id in [&one["_meta"]["id"], &two["_meta"]["id"]] {
        assert!(message.contains(id.as_str().unwrap()), "{message}");
    }
    for path in [
        "/api/v1/projects/FR-1",
        "/api/v1/projects/FR-1?territory=frosinone/a",
    ] {
        let named = bench.get(path).await;
        assert_eq!(named.refusal(), (409, "ambiguous".to_owned()));
        assert!(
            named.text().contains("name it by its id"),
            "{}",
            named.text()
        );
    }
    let again = bench.imports(&bench.exported("project").await).await;
    assert_eq!(again["already_present"], again["lines"], "{again}");
}

#[tokio::test]
async fn a_wrong_fiscal_code_of_history_is_kept_flagged_found_and_makes_no_certain_token() {
    let bench = Bench::district().await;
    let doc = |given: &str| {
        json!({"family_name": "Rossi", "given_name": given, "born_on": "1985-12-10", "sex": "F",
            "fiscal_code": "RSSMRA85T10A562T"})
    };
    let typed =
        json!({"op": "create", "kind": "person", "ref": "P-0", "doc": doc("Ada")}).to_string();
    let mut long = doc("Eva");
    long["fiscal_code"] = json!("X".repeat(65));
    let report = bench
        .imports(&[typed, create("person", "P-9", &long)])
        .await;
    assert_eq!(
        codes(&report),
        ["bad_fiscal_code", "bad_fiscal_code"],
        "{report}"
    );
    let mut lower = doc("Teresa");
    lower["fiscal_code"] = json!("rssmra85t10a562t");
    let right = json!([{"op": "replace", "path": "/fiscal_code", "value": "RSSMRA85T10A562S"}]);
    let wrong = json!([{"op": "replace", "path": "/fiscal_code", "value": "rssmra85t10a562t"}]);
    let mut file = vec![
        create("person", "P-1", &doc("Maria")),
        create("person", "P-2", &lower),
    ];
    file.push(change("person", "P-2", &right));
    file.push(change("person", "P-2", &wrong));
    let report = bench.imports(&file).await;
    assert_eq!(
        (&report["created"], codes(&report)),
        (&json!(2), vec![]),
        "{report}"
    );
    let first = bench.get("/api/v1/persons/P-1").await.json();
    assert_eq!(first["fiscal_code"], "RSSMRA85T10A562T");
    let flags = first["_meta"]["flags"].as_array().unwrap();
    assert!(
        flags.contains(&json!({"code": "bad_fiscal_code", "path": "/fiscal_code"})),
        "{flags:?}"
    );
    assert!(
        flags
            .iter()
            .any(|flag| flag["code"] == "fiscal_code_in_use_twice"),
        "{flags:?}"
    );
    let found = bench.get("/api/v1/persons?q=RSSMRA85T10A562T").await.json();
    assert_eq!(found["items"].as_array().unwrap().len(), 2, "{found}");
    let mut fields = project("FR-1");
    fields["subject"] = json!({"kind": "person", "person": "P-1"});
    let made = bench.posted("projects", &fields).await;
    assert!(
        made["subject"]["token"]
            .as_str()
            .unwrap()
            .starts_with("w1:"),
        "{made}"
    );
    let by_hand = bench.patch("/api/v1/persons/P-1", None, &wrong).await;
    assert_eq!(by_hand.refusal().0, 422);
    let lines = bench.exported("person").await;
    let report = Bench::district().await.imports(&lines).await;
    assert_eq!(
        (&report["created"], codes(&report)),
        (&json!(2), vec![]),
        "{report}"
    );
}

#[tokio::test]
async fn a_person_is_merged_into_another_who_is_there_and_history_that_is_not_is_flagged() {
    let bench = Bench::district().await;
    for (reference, family) in [("P-1", "Rossi"), ("P-2", "Bianchi"), ("P-3", "Verdi")] {
        let fields = json!({"ref": reference, "family_name": family, "given_name": "Ada"});
        bench.posted("persons", &fields).await;
    }
    let merge = |into: Value| {
        json!([{"op": "add", "path": "/merged_into", "value": into},
            {"op": "replace", "path": "/state", "value": "merged"}])
    };
    let typed = |reference: &str, patch: &Value| {
        json!({"op": "patch", "kind": "person", "ref": reference, "patch": patch}).to_string()
    };
    let alone = json!([{"op": "replace", "path": "/state", "value": "merged"}]);
    for patch in [
        alone.clone(),
        merge(json!("P-77")),
        merge(json!("P-1")),
        merge(Value::Null),
    ] {
        let refused = bench.patch("/api/v1/persons/P-1", None, &patch).await;
        assert_eq!(
            refused.refusal(),
            (409, "merged_into_nobody".to_owned()),
            "{patch}"
        );
        let report = bench.imports(&[typed("P-1", &patch)]).await;
        assert_eq!(codes(&report), ["merged_into_nobody"], "{patch}");
    }
    let done = bench
        .patch("/api/v1/persons/P-1", None, &merge(json!("P-2")))
        .await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    let circle = bench
        .patch("/api/v1/persons/P-2", None, &merge(json!("P-1")))
        .await;
    assert_eq!(circle.refusal(), (409, "merged_into_nobody".to_owned()));
    let file = [
        create(
            "person",
            "P-4",
            &json!({"family_name": "Neri", "given_name": "Eva"}),
        ),
        typed("P-3", &merge(json!("P-4"))),
    ];
    let office = format!("Bearer {}", bench.token);
    for query in ["?dry_run=true", ""] {
        let report = bench.brings(&office, query, &file).await;
        assert_eq!(codes(&report), Vec::<&str>::new(), "{report}");
    }
    let history = change("person", "P-4", &alone);
    let report = bench.imports(&[history]).await;
    assert_eq!((&report["changed"], codes(&report)), (&json!(1), vec![]));
    for (reference, flagged) in [("P-1", false), ("P-3", true), ("P-4", true)] {
        let record = bench
            .get(&format!("/api/v1/persons/{reference}"))
            .await
            .json();
        let flags = record["_meta"]["flags"].to_string();
        assert_eq!(
            flags.contains("merged_into_nobody"),
            flagged,
            "{reference} {flags}"
        );
    }
}

#[tokio::test]
async fn a_publication_with_a_small_count_is_not_imported() {
    let bench = Bench::district().await;
    let doc = |count: u64| json!({"state": "records", "counts": {"contacts-all-all": {"table": "contacts", "row": "*", "column": "*", "count": count}}});
    let patch = json!([{"op": "replace", "path": "/counts/contacts-all-all/count", "value": 4}]);
    let report = bench
        .imports(&[
            create("publication", "A-1", &doc(4)),
            create("publication", "A-2", &doc(5)),
            create("publication", "A-3", &doc(0)),
            change("publication", "A-2", &patch),
        ])
        .await;
    assert_eq!(
        codes(&report),
        ["counts_by_hand", "counts_by_hand"],
        "{report}"
    );
    assert_eq!(report["created"], 2);
}

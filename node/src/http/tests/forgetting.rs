//! What is erased with a subject, what forbids it, what is due.

use super::*;

impl Bench {
    async fn order(&self, body: &Value) -> Answer {
        self.call(
            "POST",
            "/api/v1/erasures",
            "application/json",
            &body.to_string(),
        )
        .await
    }

    pub(super) async fn put(&self, kind: &str, fields: &Value) -> String {
        let path = format!("/api/v1/{kind}");
        let answer = self
            .call("POST", &path, "application/json", &fields.to_string())
            .await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        answer.json()["_meta"]["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_household_ends_with_its_casefile_and_its_members_stay() {
    let bench = Bench::district().await;
    bench
        .put(
            "persons",
            &json!({"ref": "P-1", "family_name": "Uno", "given_name": "Ada"}),
        )
        .await;
    let members = json!({"m1": {"person": "P-1", "relation": "holder"}});
    let household = bench
        .put("households", &json!({"ref": "N-1", "members": members}))
        .await;
    bench
        .put("casefiles", &json!({"ref": "C-1", "subject": "N-1"}))
        .await;
    bench
        .put("casefiles", &json!({"ref": "C-2", "subject": "P-1"}))
        .await;
    let erased = bench
        .order(&json!({"subject": "N-1", "reason": "scioglimento"}))
        .await;
    assert_eq!(erased.status, StatusCode::OK, "{}", erased.text());
    assert_eq!(erased.json()["id"], json!(household));
    assert_eq!(erased.json()["covered"].as_array().unwrap().len(), 1);
    assert_eq!(
        bench.get("/api/v1/persons/P-1").await.status,
        StatusCode::OK
    );
    assert_eq!(
        bench.get("/api/v1/casefiles/C-1").await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        bench.get("/api/v1/casefiles/C-2").await.status,
        StatusCode::OK
    );
    let gone = bench.get(&format!("/api/v1/households/{household}")).await;
    assert_eq!(gone.refusal(), (410, "erased".to_owned()));
    let prefix = &household[..12];
    let certificate = bench
        .get(&format!("/api/v1/erasures/{prefix}/certificate"))
        .await
        .json();
    assert_eq!(
        certificate["records"].as_array().unwrap().len(),
        2,
        "{certificate}"
    );
    assert!(
        certificate["text"]
            .as_str()
            .unwrap()
            .contains("no other node held them")
    );
    let unknown = bench.get("/api/v1/erasures/0123456789/certificate").await;
    assert_eq!(unknown.refusal().0, 404);
}

#[tokio::test]
async fn an_address_of_another_kind_leads_nowhere_and_past_no_rule() {
    let bench = Bench::district().await;
    let person = json!({"ref": "P-1", "family_name": "Uno", "given_name": "Ada"});
    bench.put("persons", &person).await;
    let hold = json!({"h1": {"reason": "causa in corso", "from": "2026-01-01"}});
    let held = json!({"ref": "C-1", "subject": "P-1", "legal_hold": hold});
    let casefile = bench.put("casefiles", &held).await;
    let reason = json!({"reason": "prova"}).to_string();
    for kind in ["activities", "contacts"] {
        let path = format!("/api/v1/{kind}/{casefile}");
        let erased = bench
            .call("DELETE", &path, "application/json", &reason)
            .await;
        assert_eq!(erased.refusal(), (404, "not_found".to_owned()), "{kind}");
    }
    let order = json!({"subject": casefile, "kind": "contact", "reason": "prova"});
    assert_eq!(bench.order(&order).await.refusal().0, 404);
    let path = format!("/api/v1/casefiles/{casefile}");
    let before = bench.get(&path).await;
    assert_eq!(before.status, StatusCode::OK);
    let patch = json!([{"op": "add", "path": "/ref", "value": "C-2"}]);
    let wrong = format!("/api/v1/persons/{casefile}");
    let changed = bench.patch(&wrong, None, &patch).await;
    assert_eq!(changed.refusal().0, 404);
    assert_eq!(bench.get(&path).await.json(), before.json());
}

#[tokio::test]
async fn a_hold_is_of_the_subject_whichever_of_their_records_is_to_go() {
    let bench = Bench::district().await;
    let person =
        |reference: &str| json!({"ref": reference, "family_name": "Uno", "given_name": "Ada"});
    bench.put("persons", &person("P-1")).await;
    bench.put("persons", &person("P-2")).await;
    let members = json!({"m1": {"person": "P-2", "relation": "holder"}});
    let household = json!({"ref": "N-1", "members": members});
    let contact = |reference: &str, person: &str| json!({"ref": reference, "on": "2026-02-03", "person": person});
    let of = [
        ("households", bench.put("households", &household).await),
        (
            "contacts",
            bench.put("contacts", &contact("K-1", "P-1")).await,
        ),
        (
            "contacts",
            bench.put("contacts", &contact("K-2", "P-2")).await,
        ),
    ];
    let hold = json!({"h1": {"reason": "causa in corso", "from": "2026-01-01"}});
    let held = json!({"ref": "C-1", "subject": "P-1", "legal_hold": hold});
    bench.put("casefiles", &held).await;
    // What is about the record that was merged is about the same person.
    let merge = json!({"into": "P-1"}).to_string();
    let merged = bench
        .call(
            "POST",
            "/api/v1/persons/P-2/merge",
            "application/json",
            &merge,
        )
        .await;
    assert_eq!(merged.status, StatusCode::OK, "{}", merged.text());
    let reason = json!({"reason": "prova"}).to_string();
    for (kind, id) in of {
        let path = format!("/api/v1/{kind}/{id}");
        let refused = bench
            .call("DELETE", &path, "application/json", &reason)
            .await;
        assert_eq!(refused.refusal(), (409, "legal_hold".to_owned()), "{kind}");
        assert_eq!(bench.get(&path).await.status, StatusCode::OK);
    }
    let other = bench.put("contacts", &json!({"on": "2026-02-03"})).await;
    let path = format!("/api/v1/contacts/{other}");
    let erased = bench
        .call("DELETE", &path, "application/json", &reason)
        .await;
    assert_eq!(erased.status, StatusCode::OK, "{}", erased.text());
}

#[tokio::test]
async fn a_name_of_several_kinds_and_of_none_is_refused_in_words() {
    let bench = Bench::district().await;
    bench
        .put(
            "persons",
            &json!({"ref": "X-1", "family_name": "Uno", "given_name": "Ada"}),
        )
        .await;
    bench.create("X-1").await;
    let several = bench
        .order(&json!({"subject": "X-1", "reason": "prova"}))
        .await;
    assert_eq!(several.refusal(), (400, "malformed".to_owned()));
    assert!(
        several.text().contains("a project and a person"),
        "{}",
        several.text()
    );
    let none = bench
        .order(&json!({"subject": "X-9", "reason": "prova"}))
        .await;
    assert_eq!(none.refusal().0, 404);
    assert_eq!(
        bench.order(&json!({"subject": "X-1"})).await.refusal().0,
        400
    );
    let one = bench
        .order(&json!({"subject": "X-1", "kind": "project", "reason": "prova"}))
        .await;
    assert_eq!(one.status, StatusCode::OK, "{}", one.text());
    assert_eq!(
        bench.get("/api/v1/persons/X-1").await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_period_that_is_over_is_proposed_and_one_that_is_not_forbids_where_it_binds() {
    let bench = Bench::district().await;
    let old = |kind: &str, reference: &str, doc: &Value| {
        json!({"op": "create", "kind": kind, "ref": reference, "at": "2001-02-03T04:05:06Z", "doc": doc}).to_string()
    };
    let anna = json!({"family_name": "Uno", "given_name": "Ada"});
    let lines = [
        old("person", "P-1", &anna),
        old("person", "P-2", &anna),
        old(
            "contact",
            "K-1",
            &json!({"on": "2001-02-03", "person": "P-1"}),
        ),
        old(
            "project",
            "FR-1",
            &json!({"subject": {"kind": "person"}, "need_area": "POV", "opened_on": "2001-02-03", "state": "active"}),
        ),
    ];
    let report = bench
        .call(
            "POST",
            "/api/v1/import",
            "application/jsonl",
            &lines.join("\n"),
        )
        .await;
    assert_eq!(report.json()["created"], 4, "{}", report.text());
    // Something of the second person is still going on.
    bench
        .put(
            "contacts",
            &json!({"ref": "K-2", "on": "2026-02-03", "person": "P-2"}),
        )
        .await;
    let due = bench.get("/api/v1/erasures/proposals").await.json();
    let due: Vec<_> = due["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            (
                item["ref"].as_str().unwrap().to_owned(),
                item["records"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(due, [("K-1".to_owned(), 1), ("P-1".to_owned(), 2)]);

    let mut config = (*bench.node.engine().config()).clone();
    config.retention.binding = true;
    bench.node.engine().reconfigure(config);
    let refused = bench
        .order(&json!({"subject": "P-2", "reason": "prova"}))
        .await;
    assert_eq!(refused.refusal(), (409, "retention".to_owned()));
    assert!(
        refused.text().contains("contact_days"),
        "{}",
        refused.text()
    );
    let done = bench
        .order(&json!({"subject": "P-1", "reason": "prova"}))
        .await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    assert_eq!(
        bench.get("/api/v1/contacts/K-1").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn the_oldest_record_is_proposed_however_many_newer_ones_are_due_or_wait_for_their_subject() {
    let bench = Bench::district().await;
    let line = |kind: &str, reference: &str, at: &str, doc: &Value| {
        json!({"op": "create", "kind": kind, "ref": reference, "at": format!("{at}T04:05:06Z"), "doc": doc})
            .to_string()
    };
    let person = json!({"family_name": "Uno", "given_name": "Ada"});
    let contact = |person: &str, on: &str| json!({"on": on, "person": person});
    let mut lines: Vec<String> = ["P-1", "P-2"]
        .into_iter()
        .map(|reference| line("person", reference, "2001-02-03", &person))
        .collect();
    let old = contact("P-1", "2001-02-03");
    lines.push(line("contact", "K-old", "2001-02-03", &old));
    for number in 0..520 {
        let of_other = contact("P-2", "2010-02-03");
        let reference = format!("K-{number}");
        lines.push(line("contact", &reference, "2010-02-03", &of_other));
    }
    let report = bench
        .call(
            "POST",
            "/api/v1/import",
            "application/jsonl",
            &lines.join("\n"),
        )
        .await;
    assert_eq!(report.json()["created"], 523, "{}", report.text());
    let due = async || {
        let page = bench.get("/api/v1/erasures/proposals").await.json();
        let items = page["items"].as_array().unwrap().iter();
        items
            .map(|item| item["ref"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let all = due().await;
    assert_eq!(all.len(), 500);
    assert!(all.contains(&"K-old".to_owned()));
    // Once something of the second person goes on, none of their contacts is due.
    bench.put("contacts", &contact("P-2", "2026-02-03")).await;
    let mut rest = due().await;
    rest.sort();
    assert_eq!(rest, ["K-old", "P-1"]);
}

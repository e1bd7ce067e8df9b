//! A project handed from one district to another: accepted, refused, withdrawn, cut off.

use raccordo_node::engine::simulated::opened;
use raccordo_tests::below::created;
use raccordo_tests::canaries::Planted;
use raccordo_tests::eventually::{eventually, seen};
use raccordo_tests::federation::Federation;
use raccordo_tests::process::Node;
use serde_json::{Value, json};

use crate::PROGRAM;

/// What nobody but the two districts may ever hold.
fn planted() -> Planted {
    let mut planted = Planted::default();
    planted.plant("family name", "Uccellini");
    planted.plant("fiscal code", "RSSMRA85T10A562S");
    planted.plant("note", "chiamare il mattino");
    planted
}

pub(crate) async fn a_project(node: &Node, reference: &str) -> String {
    let http = node.http();
    let mut person = json!({"ref": format!("P-{reference}"), "given_name": "Canaria",
        "family_name": "Uccellini"});
    // One person has it; who else comes is known by name alone.
    if reference == "FR-A-1" {
        person["fiscal_code"] = json!("RSSMRA85T10A562S");
    }
    created(&http, "persons", &person).await;
    let project = json!({"ref": reference, "need_area": "POV", "opened_on": "2026-03-04",
        "subject": {"kind": "person", "birth_year": 1985, "sex": "F"}});
    let path = created(&http, "projects", &project).await;
    let casefile = json!({"ref": format!("C-{reference}"), "subject": format!("P-{reference}"),
        "diary": {"d1": {"text": "Uccellini racconta"}}, "projects": {"p1": {"project": reference}}});
    created(&http, "casefiles", &casefile).await;
    path
}

async fn offered(from: &Node, reference: &str, to: &str) -> String {
    let offer = [
        "transfer",
        "offer",
        reference,
        "--to",
        to,
        "--reason",
        "residence",
        "--note",
        "chiamare il mattino",
        "--json",
    ];
    let made = from.cli(&offer).await.expect(0).json();
    assert_eq!(made["state"], "offered", "{made}");
    made["_meta"]["id"]
        .as_str()
        .expect("a record has an id")
        .to_owned()
}

pub(crate) async fn comes_to(node: &Node, path: &str, state: &str) -> Value {
    eventually(&format!("{path} at {} is {state}", node.name), async || {
        let record = node.local().look(path).await?;
        seen(record["state"] == state, || record.to_string()).map(|()| record)
    })
    .await
}

fn at(id: &str) -> String {
    format!("/api/v1/transfers/{id}")
}

/// What of it stands in what a node exports, in its memory, on its disk and in what its keys open
/// there; it runs no more afterwards.
async fn held_by(node: &mut Node, planted: &Planted) -> Vec<String> {
    let mut found = Vec::new();
    for kind in raccordo_crdt_model::Kind::all() {
        let export = node.cli(&["export", "--kind", kind.singular()]).await;
        found.extend(planted.found_in(export.expect(0).stdout.as_bytes()));
    }
    found.extend(planted.found_in_memory(node.pid().expect("it runs")));
    node.stop().await;
    found.extend(planted.found_below(&node.data));
    found.extend(planted.found_in(&opened(&node.data).expect("it opens").concat()));
    found
}

async fn only_the_two_districts_know_who_it_is(federation: &mut Federation) {
    let planted = planted();
    assert_eq!(
        held_by(&mut federation.coordination, &planted).await,
        [""; 0]
    );
    let third = &mut federation.districts[2].node;
    assert_eq!(held_by(third, &planted).await, [""; 0]);
    // The receiver finds its own words, so the search would.
    let second = &mut federation.districts[1].node;
    let found = held_by(second, &planted).await;
    for what in ["family name", "fiscal code", "note"] {
        assert!(found.iter().any(|found| found.starts_with(what)), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn a_project_and_its_person_pass_to_another_district_and_nobody_else_learns_who_it_is()
 {
    let mut federation = Federation::joined(PROGRAM, 3, &[]).await;
    let [a, b, c] = [0, 1, 2].map(|index| &federation.districts[index].node);
    let above = &federation.coordination;
    let path = a_project(a, "FR-A-1").await;
    let nobody = a
        .cli(&[
            "transfer",
            "offer",
            "FR-A-1",
            "--to",
            "frosinone/z",
            "--reason",
            "other",
        ])
        .await;
    nobody.refused(&["frosinone/z"]);
    let id = offered(a, "FR-A-1", "frosinone/b").await;
    let edit = json!([{"op": "add", "path": "/need_area", "value": "DIS"}]);
    a.http()
        .patch(&path, None, &edit)
        .await
        .refused(409, "locked_by_transfer");
    let open = json!([{"op": "add", "path": "/state", "value": "reported"}]);
    a.http()
        .patch(&path, None, &open)
        .await
        .refused(409, "transfer_by_command");
    let shown = comes_to(b, &at(&id), "offered").await;
    assert_eq!(shown["preview"]["need_area"], "POV", "{shown}");
    assert!(!shown.to_string().contains("Uccellini"), "{shown}");
    let shell = comes_to(above, &at(&id), "offered").await;
    assert_eq!(
        (&shell["preview"], &shell["to"]),
        (&Value::Null, &json!("frosinone/b"))
    );
    let foreign = a
        .http()
        .post(&format!("{}/accept", at(&id)), &json!({}))
        .await;
    foreign.refused(403, "not_home");
    let accepted = b
        .cli(&["transfer", "accept", &id, "--json"])
        .await
        .expect(0)
        .json();
    let new = accepted["new_project"]
        .as_str()
        .expect("a project was made")
        .to_owned();
    comes_to(a, &path, "transferred").await;
    comes_to(a, &at(&id), "completed").await;
    let project = b.http().read(&format!("/api/v1/projects/{new}")).await;
    assert_eq!(
        (&project["ref"], &project["state"]),
        (&json!("FR-A-1"), &json!("reported"))
    );
    let person = b.http().read("/api/v1/persons/P-FR-A-1").await;
    assert_eq!(person["family_name"], "Uccellini", "{person}");
    eventually("the coordination counts the project once", async || {
        let overview = above.local().look("/api/v1/overview").await?;
        seen(overview["totals"]["projects"] == 1, || overview.to_string())
    })
    .await;
    comes_to(above, &at(&id), "completed").await;
    let listed = c.http().read("/api/v1/transfers").await;
    assert_eq!(listed["items"], json!([]), "{listed}");
    only_the_two_districts_know_who_it_is(&mut federation).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_project_is_open_again_and_a_withdrawal_waits_for_a_receiver_that_is_cut_off() {
    let federation = Federation::joined(PROGRAM, 2, &[]).await;
    let [a, b] = [0, 1].map(|index| &federation.districts[index].node);
    let path = a_project(a, "FR-A-1").await;
    let id = offered(a, "FR-A-1", "frosinone/b").await;
    comes_to(b, &at(&id), "offered").await;
    let refusal = ["transfer", "refuse", &id, "--reason", "risiede altrove"];
    b.cli(&refusal).await.expect(0);
    comes_to(a, &path, "reported").await;
    let id = offered(a, "FR-A-1", "frosinone/b").await;
    comes_to(b, &at(&id), "offered").await;
    federation.districts[1].relay.cut();
    // It accepts while the sender asks the project back: neither knows of the other.
    a.cli(&["transfer", "withdraw", &id]).await.expect(0);
    b.cli(&["transfer", "accept", &id]).await.expect(0);
    comes_to(&federation.coordination, &at(&id), "withdrawing").await;
    assert_eq!(a.http().read(&path).await["state"], "transferring");
    federation.districts[1].relay.heal();
    comes_to(a, &path, "transferred").await;
    comes_to(b, &at(&id), "completed").await;
    let path = a_project(a, "FR-A-2").await;
    let id = offered(a, "FR-A-2", "frosinone/b").await;
    a.cli(&["transfer", "withdraw", &id]).await.expect(0);
    comes_to(a, &at(&id), "withdrawn").await;
    comes_to(a, &path, "reported").await;
    b.cli(&["transfer", "accept", &id])
        .await
        .refused(&["withdrawn"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_accepts_says_whether_the_person_with_that_fiscal_code_is_the_same() {
    let federation = Federation::joined(PROGRAM, 2, &[]).await;
    let [a, b] = [0, 1].map(|index| &federation.districts[index].node);
    let path = a_project(a, "FR-A-1").await;
    let known = json!({"ref": "P-77", "given_name": "Canaria", "family_name": "Uccellini",
        "fiscal_code": "RSSMRA85T10A562S"});
    let known = created(&b.http(), "persons", &known).await;
    let id = offered(a, "FR-A-1", "frosinone/b").await;
    let shown = comes_to(b, &at(&id), "offered").await;
    assert_eq!(shown["already_here"][0]["ref"], "P-77", "{shown}");
    assert!(!shown.to_string().contains("Uccellini"), "{shown}");
    let http = b.http();
    let accept = format!("{}/accept", at(&id));
    let both = json!({"person": "P-77", "new_person": true});
    http.post(&accept, &both).await.refused(400, "malformed");
    let unsaid = http.post(&accept, &json!({})).await;
    let unsaid = unsaid.refused(409, "transfer_person_here");
    assert!(
        unsaid["detail"]
            .as_str()
            .is_some_and(|says| says.contains("P-77")),
        "{unsaid}"
    );
    let accepted = ["transfer", "accept", &id, "--person", "P-77", "--json"];
    let accepted = b.cli(&accepted).await.expect(0).json();
    assert_eq!(accepted["already_here"][0]["ref"], "P-77", "{accepted}");
    comes_to(a, &path, "transferred").await;
    let offered = http.read(&format!("{known}/offered")).await;
    assert_eq!(
        offered["projects"][0]["id"], accepted["new_project"],
        "{offered}"
    );
    let found = http
        .read("/api/v1/persons?q=RSSMRA85T10A562S&state=registered")
        .await;
    assert_eq!(found["items"].as_array().map(Vec::len), Some(1), "{found}");
}

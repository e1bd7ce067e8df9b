//! A project handed from one district to another: accepted, refused, withdrawn, cut off, killed.

use std::path::Path;

use raccordo_tests::below::created;
use raccordo_tests::eventually::{eventually, seen};
use raccordo_tests::federation::Federation;
use raccordo_tests::process::Node;
use serde_json::{Value, json};

use crate::PROGRAM;

/// Words that nobody but the two districts may ever hold.
const CANARIES: [&str; 3] = ["Uccellini", "RSSMRA85T10A562S", "chiamare il mattino"];

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

/// Whether any file below a folder holds a word.
fn on_disk(folder: &Path, word: &str) -> bool {
    let entries = std::fs::read_dir(folder).expect("a folder of the lab");
    entries.flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return on_disk(&path, word);
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes
            .windows(word.len())
            .any(|part| part == word.as_bytes())
    })
}

async fn holds_no_canary(node: &Node) {
    for kind in raccordo_crdt_model::Kind::all() {
        let lines = node
            .cli(&["export", "--kind", kind.singular()])
            .await
            .expect(0)
            .stdout;
        for word in CANARIES {
            assert!(
                !lines.contains(word),
                "{word} in the {kind:?} of {}",
                node.name
            );
        }
    }
    for word in CANARIES {
        assert!(
            !on_disk(&node.data, word),
            "{word} on the disk of {}",
            node.name
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
pub(crate) async fn a_project_and_its_person_pass_to_another_district_and_nobody_else_learns_who_it_is()
 {
    let federation = Federation::joined(PROGRAM, 3, &[]).await;
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
    holds_no_canary(c).await;
    holds_no_canary(above).await;
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
async fn either_side_killed_after_each_step_goes_on_where_it_was() {
    let mut federation = Federation::joined(PROGRAM, 2, &[]).await;
    let path = a_project(&federation.districts[0].node, "FR-A-1").await;
    let id = offered(&federation.districts[0].node, "FR-A-1", "frosinone/b").await;
    federation.districts[0].node.kill().await;
    federation.districts[0].node.start().await;
    let state = federation.districts[0].node.http().read(&path).await;
    assert_eq!(state["state"], "transferring", "{state}");
    comes_to(&federation.districts[1].node, &at(&id), "offered").await;
    federation.districts[1].node.kill().await;
    federation.districts[1].node.start().await;
    federation.districts[0].relay.cut();
    federation.districts[1]
        .node
        .cli(&["transfer", "accept", &id])
        .await
        .expect(0);
    federation.districts[1].node.kill().await;
    federation.districts[0].node.kill().await;
    federation.districts[1].node.start().await;
    federation.districts[0].node.start().await;
    let state = federation.districts[0].node.http().read(&path).await;
    assert_eq!(state["state"], "transferring", "{state}");
    federation.districts[0].relay.heal();
    comes_to(&federation.districts[0].node, &path, "transferred").await;
    federation.districts[0].node.kill().await;
    federation.districts[0].node.start().await;
    comes_to(&federation.districts[1].node, &at(&id), "completed").await;
    let projects = federation.districts[1]
        .node
        .http()
        .read("/api/v1/projects")
        .await;
    assert_eq!(
        projects["items"].as_array().map(Vec::len),
        Some(1),
        "{projects}"
    );
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

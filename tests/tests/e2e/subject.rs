//! A subject with all that is theirs: forgotten everywhere, with receipts, and not remembered again by
//! a copy from before; the same subject in two territories.

use raccordo_tests::below::{Below, created};
use raccordo_tests::copies::{copy_folder, put_back};
use raccordo_tests::eventually::{eventually, seen};
use raccordo_tests::federation::Federation;
use raccordo_tests::http::Client;
use raccordo_tests::invariants::districts_and_coordination_come_to_hold_the_same;
use raccordo_tests::process::Node;
use serde_json::json;

use crate::PROGRAM;

/// Addresses of all that a district holds of one person: person, contact, casefile, projects shared
/// and local.
async fn lives(http: &Client) -> Vec<String> {
    let person = json!({"ref": "P-1", "family_name": "Invenzione", "given_name": "Anna",
        "fiscal_code": "RSSMRA85T10A562S", "born_on": "1985-12-10"});
    let mut paths = vec![created(http, "persons", &person).await];
    let contact = json!({"ref": "K-1", "on": "2026-03-04", "person": "P-1", "asked": "casa"});
    paths.push(created(http, "contacts", &contact).await);
    for (reference, sharing) in [("FR-1", "shared"), ("FR-2", "local")] {
        let project = json!({"ref": reference, "sharing": sharing, "need_area": "POV", "opened_on": "2026-03-04",
            "subject": {"kind": "person", "person": "P-1"}});
        paths.push(created(http, "projects", &project).await);
    }
    let files = http.read("/api/v1/casefiles").await;
    let file = files["items"][0]["_meta"]["id"]
        .as_str()
        .expect("a casefile")
        .to_owned();
    paths.push(format!("/api/v1/casefiles/{file}"));
    paths
}

async fn all_gone(at: &Client, paths: &[String]) {
    for path in paths {
        at.get(path).await.refused(410, "erased");
    }
}

/// The shared project ends there too, and the order names what ended in the district alone.
async fn the_coordination_follows(above: &Client, project: &str, order: &str) {
    eventually("the coordination has erased the project", async || {
        let answer = above.get(project).await;
        seen(answer.status == 410, || answer.to_string())
    })
    .await;
    // The order stands behind the ends that it names.
    eventually("the coordination has the order", async || {
        let told = above
            .look(&format!("/api/v1/erasure_orders/{order}"))
            .await?;
        let named = told["documents"].as_object().map(serde_json::Map::len);
        seen(named == Some(4), || told.to_string())
    })
    .await;
}

/// Nothing of a subject is erased while a casefile of theirs is under a hold.
async fn a_hold_forbids_it(office: &Node, http: &Client, paths: &[String]) {
    let hold = json!([{"op": "add", "path": "/legal_hold/h1", "value": {"reason": "contenzioso", "until": "2099-01-01"}}]);
    http.patch(&paths[4], None, &hold).await.expect(200);
    let refused = office
        .cli(&["erase", "P-1", "--reason", "su richiesta"])
        .await;
    refused.refused(&["legal hold", "2099-01-01", "contenzioso"]);
    office
        .cli(&["erase", "FR-1", "--reason", "su richiesta"])
        .await
        .refused(&["legal hold"]);
    http.get(&paths[0]).await.expect(200);
    let lifted = json!([{"op": "remove", "path": "/legal_hold/h1"}]);
    http.patch(&paths[4], None, &lifted).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_person_is_gone_with_all_that_is_theirs_and_an_offline_node_is_listed_until_it_answers()
 {
    let federation = Federation::joined(PROGRAM, 1, &[]).await;
    let office = &federation.districts[0].node;
    let mut laptop = Below::started(&federation.lab, "laptop", "frosinone/a", "district").await;
    laptop.join(office).await;
    let http = office.http();
    let paths = lives(&http).await;
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    eventually("the laptop has all of it", async || {
        let answer = laptop.node.local().get(&paths[4]).await;
        seen(answer.status == 200, || answer.to_string())
    })
    .await;
    laptop.node.stop().await;

    a_hold_forbids_it(office, &http, &paths).await;

    let erased = office
        .cli(&["erase", "P-1", "--reason", "su richiesta", "--json"])
        .await;
    let erased = erased.expect(0).json();
    assert_eq!(
        erased["covered"].as_array().map(Vec::len),
        Some(4),
        "{erased}"
    );
    all_gone(&http, &paths).await;
    assert_eq!(
        http.read("/api/v1/persons?q=invenzione").await["items"],
        json!([])
    );
    let order = erased["order"].as_str().expect("an order").to_owned();
    the_coordination_follows(&federation.coordination.local(), &paths[2], &order).await;

    let file = office.data.join("certificate.txt");
    let status = [
        "erase",
        "status",
        &order,
        "--json",
        "--certificate",
        file.to_str().expect("UTF-8"),
    ];
    let before = office.cli(&status).await.expect(0).json();
    assert_eq!(before["complete"], false, "{before}");
    let text = std::fs::read_to_string(&file).expect("the certificate was written");
    assert!(
        text.contains("NON COMPLETO") && text.contains("queued"),
        "{text}"
    );

    laptop.node.start().await;
    laptop.lead_to(office).await;
    eventually("the laptop has answered", async || {
        let now = office.cli(&status).await.expect(0).json();
        seen(now["complete"] == true, || now.to_string())
    })
    .await;
    let old_key = office.data.join("keys/epoch-0001.key");
    assert!(!old_key.exists(), "it was replaced while the node served");
    all_gone(&laptop.node.local(), &paths).await;
    let text = std::fs::read_to_string(&file).expect("the certificate was written");
    for word in [
        "COMPLETE",
        "frosinone/a",
        &order,
        "Node laptop",
        "delivered",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(!text.contains("Invenzione"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_put_back_on_a_copy_from_before_forgets_again_before_it_writes() {
    let mut federation = Federation::joined(PROGRAM, 1, &[]).await;
    let http = federation.districts[0].node.http();
    let paths = lives(&http).await;
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    federation.districts[0].node.stop().await;
    let old = federation.lab.path("old");
    copy_folder(&federation.districts[0].node.data, &old);
    federation.districts[0].node.start().await;
    let node = &federation.districts[0].node;
    let erase = ["erase", "P-1", "--reason", "su richiesta"];
    node.cli(&erase).await.expect(0);
    districts_and_coordination_come_to_hold_the_same(&federation).await;

    put_back_without_a_link(&mut federation, &old).await;
    let node = &federation.districts[0].node;
    people_are_held_back(node, &paths).await;
    federation.districts[0].node.stop().await;
    federation.districts[0].node.start().await;
    let node = &federation.districts[0].node;
    people_are_held_back(node, &paths).await;
    federation.districts[0].relay.heal();
    eventually("what was erased is erased again", async || {
        let status = node.status().await;
        let answer = node.local().get(&paths[0]).await;
        let open =
            status["node"]["writes_problem"].is_null() && status["node"]["held_back"].is_null();
        seen(open && answer.status == 410, || {
            format!("{status} {answer}")
        })
    })
    .await;
    all_gone(&node.local(), &paths).await;
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    let again = json!({"ref": "P-1", "family_name": "Nuova", "given_name": "Ada", "fiscal_code": "RSSMRA85T10A562S"});
    created(&node.http(), "persons", &again).await;
}

/// Starts the first district's node on an old copy of its folder, cut off from everybody.
async fn put_back_without_a_link(federation: &mut Federation, old: &std::path::Path) {
    federation.districts[0].node.stop().await;
    put_back(old, &federation.districts[0].node.data);
    federation.districts[0].relay.cut();
    federation.districts[0].node.start().await;
}

/// Who was erased after the copy was made is not shown from it, nor anything else of people; what
/// else the copy holds is.
async fn people_are_held_back(node: &Node, paths: &[String]) {
    let http = node.http();
    let people = [0, 1, 4].map(|at| paths[at].clone());
    let lists = [
        "persons",
        "contacts",
        "casefiles",
        "households",
        "persons?q=invenzione",
    ];
    let lists = lists.map(|kind| format!("/api/v1/{kind}"));
    let more = [
        format!("{}/history", paths[0]),
        "/api/v1/persons/P-1".to_owned(),
    ];
    for path in people.iter().chain(&lists).chain(&more) {
        let answer = http.get(path).await;
        answer.refused(503, "held_back");
        assert!(!answer.to_string().contains("Invenzione"), "{answer}");
    }
    let person = json!({"family_name": "Nuova", "given_name": "Ada"});
    let answer = http.post("/api/v1/persons", &person).await;
    answer.refused(503, "held_back");
    let patch = json!([{"op": "replace", "path": "/given_name", "value": "Ada"}]);
    http.patch(&paths[0], None, &patch)
        .await
        .refused(503, "held_back");
    let export = node.cli(&["export", "--kind", "person"]).await;
    export.refused(&["put back or copied", "recover --without-peers"]);
    http.get(&paths[2]).await.expect(200);
    let status = node.status().await;
    assert!(status["node"]["held_back"].is_string(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_peer_is_left_an_administrator_says_that_the_copy_is_shown_and_it_is_audited() {
    let mut federation = Federation::joined(PROGRAM, 1, &[]).await;
    let http = federation.districts[0].node.http();
    let paths = lives(&http).await;
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    let nothing = ["recover", "--without-peers", "--reason", "prova"];
    let node = &federation.districts[0].node;
    node.cli(&nothing)
        .await
        .refused(&["no record is held back"]);
    federation.districts[0].node.stop().await;
    let old = federation.lab.path("old");
    copy_folder(&federation.districts[0].node.data, &old);
    federation.districts[0].node.start().await;
    put_back_without_a_link(&mut federation, &old).await;
    let node = &federation.districts[0].node;
    people_are_held_back(node, &paths).await;
    let ended = [
        "recover",
        "--without-peers",
        "--reason",
        "la provincia ha chiuso",
    ];
    node.cli(&ended).await.expect(0);
    node.http().get(&paths[0]).await.expect(200);
    let audit = node.cli(&["audit", "show"]).await.expect(0).stdout;
    assert!(
        audit.contains("shown-again") && audit.contains("la provincia ha chiuso"),
        "{audit}"
    );
    // A further start does not ask again.
    federation.districts[0].node.stop().await;
    federation.districts[0].node.start().await;
    let node = &federation.districts[0].node;
    node.http().get(&paths[0]).await.expect(200);
}

/// Each office hears of its own project and the other's territory, and nobody else of anything.
async fn both_offices_are_warned(federation: &Federation, ids: &[String]) {
    for (at, own, other) in [
        (0, "frosinone/a", "frosinone/b"),
        (1, "frosinone/b", "frosinone/a"),
    ] {
        let office = federation.districts[at].node.http();
        let warned = eventually("the office is warned", async || {
            let told = office.look("/api/v1/overlaps").await?;
            seen(
                told["items"].as_array().is_some_and(|all| all.len() == 1),
                || told.to_string(),
            )
            .map(|()| told)
        })
        .await;
        let mut wanted = vec![
            json!({"territory": own, "projects": [ids[at]]}),
            json!({"territory": other, "projects": []}),
        ];
        wanted.sort_by_key(|one| one["territory"].to_string());
        assert_eq!(warned["items"][0]["territories"], json!(wanted), "{warned}");
        let project = office.read(&format!("/api/v1/projects/{}", ids[at])).await;
        assert_eq!(
            project["_meta"]["flags"][0]["code"], "subject_elsewhere",
            "{project}"
        );
        assert_eq!(
            project["_meta"]["elsewhere"][0]["territories"],
            json!([other])
        );
        let notices = office.read("/api/v1/notices").await.to_string();
        for known in ids.iter().map(String::as_str).chain(["00112233"]) {
            assert!(!notices.contains(known), "{known} in {notices}");
        }
    }
    let third = federation.districts[2].node.http();
    eventually("the third has the notice too", async || {
        let notices = third.look("/api/v1/notices").await?;
        seen(
            notices["items"]
                .as_array()
                .is_some_and(|all| all.len() == 1),
            || notices.to_string(),
        )
    })
    .await;
    assert_eq!(
        third.read("/api/v1/overlaps").await["items"],
        json!([]),
        "and cannot read it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_subject_in_two_territories_is_told_by_the_coordination_without_a_name() {
    let federation = Federation::joined(PROGRAM, 3, &[]).await;
    let token = "t1:2026:00112233";
    let mut ids = Vec::new();
    for (at, reference) in [(0, "FR-A-1"), (1, "FR-B-1"), (0, "FR-A-2")] {
        let fields = json!({"ref": reference, "need_area": "POV", "opened_on": "2026-03-04",
            "subject": {"kind": "person", "token": if reference == "FR-A-2" { "t1:2026:44" } else { token }}});
        let path = created(&federation.districts[at].node.http(), "projects", &fields).await;
        ids.push(path.rsplit('/').next().expect("an id").to_owned());
    }
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    let above = federation.coordination.local();
    let overlaps = above.read("/api/v1/overlaps").await;
    let wanted = json!([{"territory": "frosinone/a", "projects": [ids[0]]},
        {"territory": "frosinone/b", "projects": [ids[1]]}]);
    assert_eq!(overlaps["items"][0]["territories"], wanted, "{overlaps}");
    assert_eq!(overlaps["items"][0]["strength"], "certain");
    assert_eq!(overlaps["items"].as_array().map(Vec::len), Some(1));
    both_offices_are_warned(&federation, &ids).await;
    let erase = ["erase", "FR-B-1", "--reason", "errore"];
    federation.districts[1].node.cli(&erase).await.expect(0);
    eventually("the overlap has ended", async || {
        let overlaps = above.look("/api/v1/overlaps").await?;
        seen(overlaps["items"] == json!([]), || overlaps.to_string())
    })
    .await;
    let office = federation.districts[0].node.http();
    eventually("the warning has ended", async || {
        let own = office.look("/api/v1/overlaps").await?;
        seen(own["items"] == json!([]), || own.to_string())
    })
    .await;
}

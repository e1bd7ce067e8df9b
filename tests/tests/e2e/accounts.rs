//! People with accounts: who gets in, what they see, and that it is on record.

use raccordo_tests::chance::Chance;
use raccordo_tests::eventually::{eventually, seen};
use raccordo_tests::federation::Federation;
use raccordo_tests::http::{Answer, Client};
use raccordo_tests::process::Node;
use raccordo_tests::workload::{project, some_day};
use serde_json::json;

use crate::PROGRAM;

async fn sign_in(http: &Client, name: &str, password: &str) -> Answer {
    let form = format!(
        "name={}&password={}",
        name.replace(' ', "+"),
        password.replace(' ', "+")
    );
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    http.send("POST", "/sign-in", &headers, form)
        .await
        .expect("answered")
}

async fn page(http: &Client, path: &str, cookie: &str) -> Answer {
    http.send("GET", path, &[("cookie", cookie)], "")
        .await
        .expect("answered")
}

fn cookie(entered: Answer) -> String {
    let entered = entered.expect(303);
    let set = entered.header("set-cookie").expect("a cookie");
    set.split(';').next().unwrap_or_default().to_owned()
}

/// Waits until the audit log has events of these actions.
async fn audited(node: &Node, wanted: &[&str]) {
    eventually("the audit log tells of it", async || {
        let shown = node.cli(&["audit", "show", "--json"]).await.expect(0);
        let events = shown.json();
        let items = events["items"].as_array().into_iter().flatten();
        let actions: Vec<_> = items.map(|one| one["action"].clone()).collect();
        let all = wanted.iter().all(|one| actions.contains(&json!(one)));
        all.then_some(()).ok_or_else(|| format!("{actions:?}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_with_an_account_sees_what_the_role_may_until_it_is_disabled() {
    let mut federation = Federation::found(PROGRAM, 1, &[]).await;
    let node = &mut federation.districts[0].node;
    // Made while the node rests, used after a start.
    let made = node
        .cli(&[
            "user",
            "add",
            "Carla Bianchi",
            "--role",
            "referent",
            "--body",
            "CPI",
        ])
        .await;
    let password = made.expect(0).line().to_owned();
    assert_eq!(password.len(), 20, "made by the node, printed alone");
    node.start().await;

    let mut record = project(&mut Chance::new(1), Some("FR-A-900"), some_day());
    record["plans"]["health"] = json!({"body": "DSM", "goals": {"g1": {"text": "terapia riservata"}}, "signatures": {"f1": {"body": "DSM"}}});
    let created = node
        .http()
        .post("/api/v1/projects", &record)
        .await
        .expect(201);
    let path = created.header("location").expect("a place").to_owned();

    let http = node.http().with_token(None);
    let cookie = cookie(sign_in(&http, "carla bianchi", &password).await);
    let record = page(&http, &path, &cookie).await.expect(200);
    assert!(!record.text().contains("riservata"));
    let withheld = &record.json()["_meta"]["withheld"];
    assert!(
        withheld
            .as_array()
            .is_some_and(|all| all.contains(&json!("/plans/health"))),
        "{withheld}"
    );
    let shown = page(
        &http,
        &path.replace("/api/v1/projects", "/records"),
        &cookie,
    )
    .await
    .expect(200);
    assert!(!shown.text().contains("riservata"));
    page(&http, "/api/v1/peers", &cookie)
        .await
        .refused(403, "not_allowed");

    node.cli(&["user", "disable", "Carla Bianchi"])
        .await
        .expect(0);
    assert_eq!(
        page(&http, "/", &cookie).await.status,
        303,
        "the session is over at once"
    );
    assert_eq!(sign_in(&http, "Carla Bianchi", &password).await.status, 401);

    audited(node, &["denied", "sign-in", "add-user", "disable-user"]).await;
    node.stop().await;
    let verdict = node
        .cli(&["audit", "verify", "--json"])
        .await
        .expect(0)
        .json();
    assert_eq!(verdict["sound"], true, "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_are_limited_and_a_good_token_goes_on() {
    let mut federation = Federation::found(PROGRAM, 1, &[]).await;
    let node = &mut federation.districts[0].node;
    node.start().await;
    let made = node
        .cli(&["user", "add", "anna", "--role", "social_worker"])
        .await;
    let password = made.expect(0).line().to_owned();
    let http = node.http().with_token(None);
    let mut statuses = Vec::new();
    for number in 0..25 {
        statuses.push(
            sign_in(&http, "anna", &format!("sbagliata {number}"))
                .await
                .status,
        );
    }
    assert_eq!(statuses[..20], [401; 20]);
    assert_eq!(statuses[20..], [429; 5]);
    assert_eq!(sign_in(&http, "anna", &password).await.status, 429);
    node.http().get("/api/v1/status").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reads_about_a_person_is_found_in_the_audit_log_of_that_person() {
    let mut federation = Federation::found(PROGRAM, 1, &[]).await;
    let node = &mut federation.districts[0].node;
    node.start().await;
    let person = json!({"ref": "P-1", "given_name": "Anna", "family_name": "Invenzione"});
    let made = node.http().post("/api/v1/persons", &person).await;
    let path = made
        .expect(201)
        .header("location")
        .expect("a place")
        .to_owned();
    let id = path.rsplit('/').next().expect("an id").to_owned();
    let reader = [
        "token",
        "create",
        "--name",
        "lettrice",
        "--role",
        "district_manager",
    ];
    let token = node.cli(&reader).await.expect(0).line().to_owned();
    let http = node.http().with_token(Some(&token));
    http.read(&path).await;
    http.read("/api/v1/persons").await;
    http.read(&format!("{path}/history")).await;
    http.get("/api/v1/export?kind=person").await.expect(200);
    let found = async |arguments: &[&str], wanted: &[&str]| {
        eventually("the audit log tells who read", async || {
            let shown = node.cli(arguments).await.expect(0).json();
            let items = shown["items"].as_array().into_iter().flatten();
            let told: Vec<&str> = items
                .filter(|one| one["who"] == "lettrice" && one["at"].is_string())
                .filter(|one| one["action"] == "read" || one["action"] == "export")
                .filter_map(|one| one["detail"].as_str())
                .collect();
            seen(told == wanted, || shown.to_string())
        })
        .await;
    };
    found(
        &["audit", "show", "--record", &id, "--json"],
        &["with its history", "in a list", ""],
    )
    .await;
    found(
        &["audit", "show", "--json"],
        &["1 persons", "with its history", "in a list", ""],
    )
    .await;
    let printed = node.cli(&["audit", "show", "--record", &id]).await;
    assert!(printed.expect(0).stdout.contains("lettrice"));
    node.stop().await;
}

//! The demo: one command, a whole federation; ended and started again it goes on.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use raccordo_tests::eventually::{eventually, seen};
use raccordo_tests::http::Client;
use raccordo_tests::lab::Lab;
use raccordo_tests::person::Person;
use raccordo_tests::process::{is_alive, send_signal};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::process::Child;

use crate::PROGRAM;

const RECORDS: &str = "5";

/// Those of four districts, and four that a newcomer is led to.
const PROJECTS: u64 = 24;

fn started(lab: &Arc<Lab>, folder: &Path, more: &[&str]) -> Child {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(lab.path("demo.out"))
        .expect("writable");
    let folder = folder.to_str().expect("UTF-8");
    let arguments = [&["demo", "--data", folder, "--records", RECORDS], more].concat();
    let mut command = lab.command(&arguments);
    let errors = log.try_clone().expect("a file can be shared");
    command
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .expect("the program can be started")
}

/// What the demo and its nodes have said so far.
fn said(lab: &Lab, folder: &Path) -> String {
    let mut said = std::fs::read_to_string(lab.path("demo.out")).unwrap_or_default();
    for name in ["coordination", "a", "b", "c", "d"] {
        let log = std::fs::read_to_string(folder.join(format!("{name}.log")));
        for part in ["--- ", name, "\n", &log.unwrap_or_default()] {
            said.push_str(part);
        }
    }
    said
}

/// What `demo.json` says, when all nodes in it serve and everything was invented.
async fn told(lab: &Lab, folder: &Path, before: &[u32]) -> Vec<Value> {
    eventually("the demo is ready", async || {
        let output = said(lab, folder);
        assert!(!output.contains("did not start"), "{output}");
        let text = std::fs::read_to_string(folder.join("demo.json"))
            .map_err(|failed| format!("{failed}; {output}"))?;
        let facts: Value = serde_json::from_str(&text).map_err(|failed| failed.to_string())?;
        let nodes = facts["nodes"].as_array().cloned().unwrap_or_default();
        seen(
            nodes.len() == 5
                && facts["story"]["told"] == true
                && !pids(&nodes).iter().any(|pid| before.contains(pid)),
            || format!("{facts}; {output}"),
        )?;
        let coordination = client(&nodes[0]).look("/api/v1/overview").await?;
        let whole = coordination["totals"]["projects"] == PROJECTS
            && coordination["totals"]["territories_current"] == 4;
        seen(whole, || format!("{coordination}; {output}"))?;
        Ok(nodes)
    })
    .await
}

fn pids(nodes: &[Value]) -> Vec<u32> {
    nodes
        .iter()
        .filter_map(|node| u32::try_from(node["pid"].as_u64()?).ok())
        .collect()
}

fn client(node: &Value) -> Client {
    let address = node["http"]
        .as_str()
        .and_then(|address| address.parse().ok())
        .expect("demo.json has addresses");
    Client::at(address, node["token"].as_str())
}

async fn all_end(pids: &[u32]) {
    eventually("the nodes end with the demo", async || {
        let alive: Vec<&u32> = pids.iter().filter(|pid| is_alive(**pid)).collect();
        seen(alive.is_empty(), || format!("alive: {alive:?}"))
    })
    .await;
}

async fn interrupt(mut demo: Child) {
    send_signal(demo.id().expect("the demo runs"), Signal::INT);
    let ended = demo.wait().await.expect("a child can be waited for");
    assert!(ended.success(), "{ended}");
}

fn facts_in(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("demo.json")).expect("a demo writes it");
    serde_json::from_str(&text).expect("JSON")
}

async fn a_conflict_is_open(office: &Value) {
    eventually("a conflict can be seen at a district", async || {
        let page = client(office).look("/api/v1/projects?limit=500").await?;
        let records = page["items"].as_array().cloned().unwrap_or_default();
        let open = records
            .iter()
            .filter(|record| record["_meta"]["conflicts"] != json!([]))
            .count();
        seen(open > 0, || {
            format!("{} records without a conflict", records.len())
        })
    })
    .await;
}

/// Every kind of record at each district, and no person at the coordination.
async fn offices_have_all_that_a_day_needs(nodes: &[Value]) {
    for node in &nodes[1..] {
        let http = client(node);
        for kind in [
            "persons",
            "households",
            "casefiles",
            "contacts",
            "resources",
            "organisations",
            "activities",
            "guidelines",
        ] {
            eventually("each kind is there", async || {
                let page = http.look(&format!("/api/v1/{kind}")).await?;
                seen(page["items"] != json!([]), || format!("{kind} of {node}"))
            })
            .await;
        }
        let lines = http.get("/api/v1/export?kind=project").await.expect(200);
        for part in ["signatures", "spent", "votes", "referrals", "reviews"] {
            let somewhere = lines.text().contains(part);
            assert!(somewhere || node["territory"] != "frosinone/a", "{part}");
        }
    }
    let above = client(&nodes[0]);
    for kind in ["persons", "casefiles", "contacts", "households"] {
        let page = above.read(&format!("/api/v1/{kind}")).await;
        assert_eq!(page["items"], json!([]), "{kind}");
    }
}

/// Signed by three bodies, and read by each with an account as far as its part goes.
async fn the_guided_project_is_whole(office: &Value, facts: &Value) {
    let reference = facts["story"]["guided"].as_str().expect("it is named");
    let password = facts["password"].as_str().expect("accounts have one");
    let path = format!("/api/v1/projects/{reference}");
    // The same person is followed in a second district; nothing else is to be looked at.
    let record = eventually("the office is warned", async || {
        let record = client(office).look(&path).await?;
        let flags = json!([{"code": "subject_elsewhere", "path": "/subject"}]);
        seen(record["_meta"]["flags"] == flags, || record.to_string())?;
        Ok(record)
    })
    .await;
    assert_eq!(record["state"], "active", "{record}");
    let elsewhere = &record["_meta"]["elsewhere"][0]["territories"];
    assert_eq!(elsewhere, &json!(["frosinone/b"]), "{record}");
    for (plan, body) in [("social", "SSD"), ("health", "DSM"), ("work", "CPI")] {
        let signed = &record["plans"][plan]["signatures"]["f1"]["body"];
        assert_eq!(signed, body, "{record}");
    }
    assert!(record["decisions"]["d1"]["result"].is_null(), "{record}");
    let http = client(office);
    let employment = Person::known(http.clone(), "cpi", password).await;
    let seen = employment.reads(&path).await;
    assert_eq!(seen["plans"]["work"]["body"], "CPI", "{seen}");
    assert_eq!(seen["plans"].get("health"), None, "{seen}");
    let health = Person::known(http, "dsm", password).await;
    let vote = json!([{"op": "add", "path": "/decisions/d1/votes/v2",
        "value": {"body": "DSM", "by": "dsm", "option": "o1", "on": "2026-06-01"}}]);
    health.writes(&path, &vote).await;
}

/// One project accepted, one offered; somebody forgotten, with the receipt; counts published.
async fn districts_have_dealt_with_one_another(nodes: &[Value], shown: &Value) {
    let named = |what: &str| shown[what].as_str().expect("it is named").to_owned();
    eventually("districts have dealt with one another", async || {
        for (at, what, state) in [(1, "accepted", "completed"), (4, "offered", "offered")] {
            let place = format!("/api/v1/transfers/{}", named(what));
            let transfer = client(&nodes[at]).look(&place).await?;
            seen(transfer["state"] == state, || transfer.to_string())?;
        }
        let place = format!("/api/v1/erasures/{}/certificate", named("order"));
        let certificate = client(&nodes[4]).look(&place).await?;
        seen(certificate["complete"] == true, || certificate.to_string())?;
        let place = format!("/api/v1/publications/{}", named("published"));
        let published = client(&nodes[0]).look(&place).await?;
        let counted = published["state"] == "aggregates" && published["counts"] != json!({});
        seen(counted, || published.to_string())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_shows_a_whole_federation_and_started_again_it_goes_on() {
    let lab = Lab::new(PROGRAM);
    let folder = lab.path("demo");
    let demo = started(&lab, &folder, &["--http-base", "0", "--listen-base", "0"]);
    let nodes = told(&lab, &folder, &[]).await;
    let territories: Vec<&str> = nodes
        .iter()
        .filter_map(|node| node["territory"].as_str())
        .collect();
    assert_eq!(
        territories,
        [
            "frosinone",
            "frosinone/a",
            "frosinone/b",
            "frosinone/c",
            "frosinone/d"
        ]
    );
    for node in &nodes {
        let client = client(node);
        client
            .with_token(None)
            .get("/readyz")
            .await
            .expect(200)
            .text();
        let status = client.read("/api/v1/status").await;
        assert_eq!(status["node"]["territory"], node["territory"]);
        assert_eq!(status["node"]["listen"], node["listen"]);
        assert!(
            node["data"]
                .as_str()
                .is_some_and(|data| Path::new(data).is_dir()),
            "{node}"
        );
    }
    a_conflict_is_open(&nodes[1]).await;
    offices_have_all_that_a_day_needs(&nodes).await;
    let facts: Value = facts_in(&folder);
    the_guided_project_is_whole(&nodes[1], &facts).await;
    districts_have_dealt_with_one_another(&nodes, &facts["story"]["shown"]).await;
    let id = client(&nodes[1]).read("/api/v1/status").await["node"]["id"].clone();
    interrupt(demo).await;
    all_end(&pids(&nodes)).await;

    let demo = started(&lab, &folder, &[]);
    let again = told(&lab, &folder, &pids(&nodes)).await;
    assert_eq!(
        client(&again[1]).read("/api/v1/status").await["node"]["id"],
        id,
        "the same nodes"
    );
    assert_eq!(
        again[1]["token"], nodes[1]["token"],
        "the same way to sign in"
    );
    // However the demo ends, no node outlives it.
    let mut demo = demo;
    demo.kill().await.expect("a child can be killed");
    all_end(&pids(&again)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_leaves_a_folder_alone_that_holds_something_else() {
    let lab = Lab::new(PROGRAM);
    let folder = lab.path("mine");
    std::fs::create_dir(&folder).expect("writable");
    std::fs::write(folder.join("letter.txt"), "x").expect("writable");
    let folder = folder.to_str().expect("UTF-8");
    lab.run(&["demo", "--data", folder])
        .await
        .refused(&["letter.txt", "--data"]);
}

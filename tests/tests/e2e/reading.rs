//! Reading: lists with filters and pages, one record, its history, pages for people.

use std::collections::BTreeSet;

use raccordo_tests::federation::Federation;
use raccordo_tests::invariants::{districts_and_coordination_come_to_hold_the_same, every_record};
use raccordo_tests::lab::Lab;
use raccordo_tests::process::Node;
use raccordo_tests::workload::Workload;
use serde_json::{Value, json};

use crate::PROGRAM;

const RECORDS: u32 = 23;

/// A running district with some records.
async fn district() -> (Federation, Workload) {
    let mut federation = Federation::found(PROGRAM, 1, &[]).await;
    federation.districts[0].node.start().await;
    let workload = Workload {
        district: 'A',
        seed: 11,
        records: RECORDS,
        edits: 5,
    };
    let report = federation.districts[0]
        .node
        .local()
        .import(&workload.text())
        .await
        .expect("answered");
    assert_eq!(report["rejected"], 0, "{report}");
    (federation, workload)
}

fn references(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().into_iter().flatten();
    items
        .filter_map(|record| record["ref"].as_str().map(str::to_owned))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_every_record_once_in_order() {
    let (federation, workload) = district().await;
    let http = federation.districts[0].node.http();
    let whole = http.read("/api/v1/projects?limit=500").await;
    assert_eq!(whole["next"], Value::Null);
    let all = references(&whole);
    let (mut paged, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = http
            .read(&format!("/api/v1/projects?limit=5{cursor}"))
            .await;
        pages += 1;
        paged.extend(references(&page));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(pages, 5);
    assert_eq!(paged, all);
    let expected: BTreeSet<String> = (0..RECORDS)
        .map(|number| workload.reference(number))
        .collect();
    assert_eq!(all.iter().cloned().collect::<BTreeSet<_>>(), expected);
    let listed = federation.districts[0]
        .node
        .cli(&["record", "list", "project", "--limit", "5", "--json"])
        .await
        .expect(0)
        .json();
    assert_eq!(references(&listed), all[..5]);
    assert!(listed["next"].is_string());
    let newest = whole["items"][0]["_meta"]["updated_at"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let since = http
        .read(&format!("/api/v1/projects?updated_since={newest}"))
        .await;
    assert_eq!(references(&since)[0], all[0]);
    assert!(references(&since).len() < all.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_find_what_they_say() {
    let (federation, workload) = district().await;
    let http = federation.districts[0].node.http();
    let records = every_record(&http, "frosinone/a").await;
    for state in ["active", "review", "suspended", "closed"] {
        let found = http
            .read(&format!("/api/v1/projects?limit=500&state={state}"))
            .await;
        let expected: BTreeSet<&str> = records
            .iter()
            .filter(|record| record["state"] == state)
            .filter_map(|record| record["ref"].as_str())
            .collect();
        let found: BTreeSet<String> = references(&found).into_iter().collect();
        assert_eq!(
            found.iter().map(String::as_str).collect::<BTreeSet<_>>(),
            expected,
            "{state}"
        );
    }
    let one = workload.reference(7);
    assert_eq!(
        references(
            &http
                .read(&format!("/api/v1/projects?q={}", one.to_lowercase()))
                .await
        ),
        [one]
    );
    let provider = records[3]["plans"]["social"]["interventions"]["i0"]["provider"]
        .as_str()
        .unwrap_or_default();
    let found = http
        .read(&format!("/api/v1/projects?limit=500&q={provider}"))
        .await;
    assert!(
        references(&found).contains(&records[3]["ref"].as_str().unwrap_or_default().to_owned()),
        "{provider}"
    );
    assert_eq!(
        references(&http.read("/api/v1/projects?territory=frosinone/b").await),
        Vec::<String>::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_and_its_history_read_the_same_by_reference_and_by_id() {
    let (federation, workload) = district().await;
    let node = &federation.districts[0].node;
    let reference = workload.reference(2);
    let by_reference = node
        .cli(&["record", "show", "project", &reference, "--json"])
        .await
        .expect(0)
        .json();
    let id = by_reference["_meta"]["id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    for name in [id.as_str(), &id[..12]] {
        assert_eq!(
            node.cli(&["record", "show", "project", name, "--json"])
                .await
                .expect(0)
                .json(),
            by_reference
        );
    }
    let history = node
        .cli(&["record", "history", "project", &reference, "--json"])
        .await
        .expect(0)
        .json();
    let items = history["items"].as_array().expect("a history");
    let expected = workload
        .lines()
        .into_iter()
        .filter(|line| line.contains(&reference))
        .count();
    assert_eq!(items.len(), expected, "one change a line: {history}");
    let times: Vec<&str> = items
        .iter()
        .filter_map(|item| item["at"].as_str())
        .collect();
    assert!(times.is_sorted(), "oldest first: {times:?}");
    assert!(
        times[0].starts_with("2026-01"),
        "the time of the line: {times:?}"
    );
    for item in items {
        assert!(
            item["by"].as_str().is_some_and(|by| by.starts_with("op-")),
            "{item}"
        );
        assert_eq!(item["node"].as_str().map(str::len), Some(64), "{item}");
        assert!(item["recorded_at"].is_string(), "{item}");
    }
    assert!(
        items[0]["changes"]
            .as_array()
            .is_some_and(|changes| !changes.is_empty()),
        "{history}"
    );
    let told = node
        .cli(&["record", "show", "project", &reference])
        .await
        .expect(0);
    assert!(
        told.stdout.contains(&reference) && told.stdout.contains("delivery"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_used_in_two_territories_asks_which_one() {
    let federation = Federation::joined(PROGRAM, 2, &[]).await;
    for index in 0..2 {
        let work = Workload {
            district: 'A',
            seed: index,
            records: 1,
            edits: 0,
        };
        let node = &federation.districts[usize::try_from(index).expect("two")].node;
        node.local().import(&work.text()).await.expect("answered");
    }
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    let coordination = &federation.coordination;
    let show = ["record", "show", "project", "FR-A-2026-000000", "--json"];
    coordination
        .cli(&show)
        .await
        .refused(&["frosinone/a", "frosinone/b"]);
    let decided = [show.as_slice(), &["--territory", "frosinone/b"]].concat();
    let record = coordination.cli(&decided).await.expect(0).json();
    assert_eq!(record["_meta"]["territory"], "frosinone/b");
    let part = coordination
        .cli(&["overview", "--territory", "frosinone/b", "--json"])
        .await
        .expect(0)
        .json();
    assert_eq!(
        part["territory"], "frosinone/b",
        "one element of territories: {part}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_at_rest_answers_the_same_questions() {
    let (mut federation, workload) = district().await;
    let node = &mut federation.districts[0].node;
    let reference = workload.reference(5);
    let questions: [&[&str]; 3] = [
        &["record", "show", "project", &reference, "--json"],
        &["record", "history", "project", &reference, "--json"],
        &["record", "list", "project", "--json"],
    ];
    let mut running = Vec::new();
    for question in questions {
        running.push(node.cli(question).await.expect(0).json());
    }
    let digest = node.overview().await["digest"].clone();
    let id = node.status().await["node"]["id"].clone();
    node.stop().await;
    for (question, before) in questions.into_iter().zip(running) {
        assert_eq!(
            node.cli(question).await.expect(0).json(),
            before,
            "{question:?}"
        );
    }
    assert_eq!(
        node.cli(&["overview", "--json"]).await.expect(0).json()["digest"],
        digest
    );
    assert_eq!(
        node.cli(&["status", "--json"]).await.expect(0).json()["node"]["id"],
        id
    );
    assert_eq!(
        node.cli(&["id"]).await.expect(0).line(),
        id.as_str().unwrap_or_default()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_with_a_token_and_sees_the_projects() {
    let (federation, workload) = district().await;
    let node: &Node = &federation.districts[0].node;
    let browser = node.http().with_token(None);
    let away = browser.get("/").await.expect(303);
    assert_eq!(away.header("location"), Some("/sign-in"));
    let form = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("sec-fetch-site", "same-origin"),
    ];
    let wrong = browser
        .send("POST", "/sign-in", &form, "token=wrong")
        .await
        .expect("answered");
    assert!(
        wrong.status != 303 && wrong.header("set-cookie").is_none(),
        "{wrong}"
    );
    let token = node
        .cli(&["token", "create", "--name", "visitor"])
        .await
        .expect(0);
    let entered = browser
        .send("POST", "/sign-in", &form, format!("token={}", token.line()))
        .await
        .expect("answered");
    assert_eq!(entered.status, 303, "{entered}");
    let cookie = entered.header("set-cookie").expect("a session");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().unwrap_or_default();
    let page = browser
        .send("GET", "/", &[("cookie", cookie)], "")
        .await
        .expect("answered")
        .expect(200);
    assert!(
        page.text().contains(&workload.reference(0)),
        "the page lists the projects"
    );
    assert!(
        page.header("content-security-policy")
            .is_some_and(|policy| policy.contains("default-src 'none'"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_of_the_interface_names_what_is_served() {
    let (federation, _) = district().await;
    let http = federation.districts[0].node.http();
    let description = http.read("/api/v1/openapi.json").await;
    assert!(
        description["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1"))
    );
    let text = description.to_string();
    for word in ["{kind}", "/overview", "/status", "/events", "/history"] {
        assert!(text.contains(word), "{word}");
    }
    let metrics = http
        .with_token(None)
        .get("/metrics")
        .await
        .expect(200)
        .text();
    assert!(metrics.contains("# TYPE"), "{metrics}");
    let status = federation.districts[0].node.status().await;
    assert_eq!(status["store"]["documents"], json!(RECORDS));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_describes_itself() {
    let lab = Lab::new(PROGRAM);
    let version = lab.run(&["--version"]).await.expect(0);
    assert!(version.line().starts_with("raccordo "), "{version}");
    let help = lab.run(&["help"]).await.expect(0).stdout;
    for command in [
        "demo", "init", "run", "id", "invite", "join", "peer", "config", "import", "export",
        "record", "overview", "status",
    ] {
        assert!(help.contains(&format!("  {command} ")), "{command}: {help}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = lab.run(&["completions", shell]).await.expect(0).stdout;
        assert!(
            script.contains("raccordo") && script.contains("import"),
            "{shell}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_taken_from_standard_input_and_from_other_systems() {
    let (federation, _) = district().await;
    let node = &federation.districts[0].node;
    let work = Workload {
        district: 'S',
        seed: 12,
        records: 4,
        edits: 1,
    };
    // As some systems write files: carriage returns and empty lines.
    let text = format!("{}\r\n\r\n", work.lines().join("\r\n"));
    let file = federation.lab.file("from-elsewhere.jsonl", &text);
    let mut command = federation.lab.command(&[
        "import",
        "-",
        "--json",
        "--data",
        node.data.to_str().expect("UTF-8"),
    ]);
    let input = std::fs::File::open(file).expect("written just now");
    let done = command
        .stdin(input)
        .output()
        .await
        .expect("the program starts");
    let report: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(report["created"], 4, "{report}");
    assert_eq!(report["rejected"], 0, "{report}");
}

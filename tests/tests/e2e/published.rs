//! A district that publishes aggregates only, and the counts that go up from it.

use raccordo_tests::below::created;
use raccordo_tests::eventually::{eventually, seen};
use raccordo_tests::federation::Federation;
use raccordo_tests::http::Client;
use raccordo_tests::invariants::districts_and_coordination_come_to_hold_the_same;
use serde_json::{Value, json};

use crate::PROGRAM;

async fn project(http: &Client, reference: &str, area: &str, state: &str) -> String {
    let fields = json!({"ref": reference, "subject": {"kind": "person"}, "need_area": area,
        "opened_on": "2026-03-04", "state": state});
    created(http, "projects", &fields).await
}

/// Projects of two areas and states, one of the four numbers small.
async fn many(http: &Client) -> Vec<String> {
    let mut kept = Vec::new();
    for (area, state, number) in [
        ("POV", "approval", 6),
        ("POV", "planning", 2),
        ("DIS", "approval", 7),
        ("DIS", "planning", 8),
    ] {
        for one in 0..number {
            kept.push(project(http, &format!("FR-{area}-{state}-{one}"), area, state).await);
        }
    }
    kept
}

fn small_ones_are_withheld(told: &Value) {
    let of =
        |row: &str, column: &str| told["counts"][format!("local_projects-{row}-{column}")].clone();
    assert_eq!(of("POV", "planning")["withheld"], true, "{told}");
    assert_eq!(of("POV", "planning")["count"], Value::Null);
    assert_eq!(
        of("POV", "approval")["count"],
        Value::Null,
        "else the row's sum tells it: {told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_district_that_publishes_aggregates_only_keeps_what_is_new_and_sends_no_small_count() {
    let federation = Federation::joined(PROGRAM, 1, &[]).await;
    let office = &federation.districts[0].node;
    let http = office.http();
    let before = project(&http, "FR-0", "POV", "approval").await;
    let said = office.cli(&["publish", "--level", "aggregates"]).await;
    let said = said.expect(0).stdout;
    assert!(
        said.contains("aggregates only") && said.contains("1 projects"),
        "{said}"
    );
    let kept = many(&http).await;
    let shared = json!({"ref": "FR-S", "sharing": "shared", "subject": {"kind": "person"}, "need_area": "POV",
        "opened_on": "2026-03-04"});
    let refused = http.post("/api/v1/projects", &shared).await;
    refused.refused(409, "aggregates_only");
    let line = json!({"op": "create", "kind": "project", "ref": "FR-I", "doc": {"subject": {"kind": "person"},
        "need_area": "DIS", "opened_on": "2026-03-04", "state": "approval"}});
    let file = office.data.join("lines.jsonl");
    std::fs::write(&file, format!("{line}\n")).expect("a file in the lab");
    let file = file.to_str().expect("UTF-8");
    let report = office
        .cli(&["import", file, "--json"])
        .await
        .expect(0)
        .json();
    assert_eq!(report["created"], 1, "{report}");
    let published = office.cli(&["publish", "--json"]).await.expect(0).json();
    let id = published["_meta"]["id"].as_str().expect("an id").to_owned();
    let by_hand = json!([{"op": "add", "path": "/counts/local_projects-POV-planning", "value": {"count": 2}}]);
    let by_hand = http
        .patch(&format!("/api/v1/publications/{id}"), None, &by_hand)
        .await;
    by_hand.refused(409, "counts_by_hand");

    districts_and_coordination_come_to_hold_the_same(&federation).await;
    let above = federation.coordination.local();
    let told = eventually("the counts are there", async || {
        let told = above.look(&format!("/api/v1/publications/{id}")).await?;
        let sum = &told["counts"]["local_projects-all-all"]["count"];
        seen(*sum == 24, || told.to_string()).map(|()| told)
    })
    .await;
    small_ones_are_withheld(&told);
    let overview = above.read("/api/v1/overview?territory=frosinone/a").await;
    assert_eq!(overview["publishes"]["level"], "aggregates", "{overview}");
    assert_eq!(overview["publishes"]["local_projects"], 24, "{overview}");
    assert_eq!(
        overview["projects"]["total"], 1,
        "what was shared before: {overview}"
    );
    above.get(&before).await.expect(200);
    for path in kept {
        above.get(&path).await.expect(404);
    }

    office
        .cli(&["publish", "--level", "records"])
        .await
        .expect(0);
    let again = project(&http, "FR-R", "POV", "approval").await;
    eventually("what is new is shared again", async || {
        let answer = above.get(&again).await;
        seen(answer.status == 200, || answer.to_string())
    })
    .await;
}

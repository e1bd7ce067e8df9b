//! Two people, one version of a record: nothing is lost, and a choice settles it everywhere.

use raccordo_tests::chance::Chance;
use raccordo_tests::eventually::{eventually, seen};
use raccordo_tests::federation::Federation;
use raccordo_tests::http::{Answer, Client};
use raccordo_tests::workload::{project, some_day};
use serde_json::{Value, json};

use crate::PROGRAM;

/// A joined district with one delivered record; two people there.
struct Office {
    federation: Federation,
    anna: Client,
    bruno: Client,
    path: String,
    reference: &'static str,
    version: String,
}

async fn office() -> Office {
    let federation = Federation::joined(PROGRAM, 1, &[]).await;
    let district = &federation.districts[0].node;
    let (anna, bruno) = (
        district.person("op-anna").await,
        district.person("op-bruno").await,
    );
    let reference = "FR-A-2026-000001";
    let record = project(&mut Chance::new(5), Some(reference), some_day());
    let created = anna.post("/api/v1/projects", &record).await.expect(201);
    let path = created
        .header("location")
        .expect("a created record has a place")
        .to_owned();
    let version = created.etag();
    Office {
        federation,
        anna,
        bruno,
        path,
        reference,
        version,
    }
}

fn replace(path: &str, value: &Value) -> Value {
    json!([{"op": "replace", "path": path, "value": value}])
}

/// The record as the coordination has it, found by its reference.
async fn there(federation: &Federation, reference: &str) -> Result<Value, String> {
    federation
        .coordination
        .local()
        .look(&format!(
            "/api/v1/projects/{reference}?territory=frosinone/a"
        ))
        .await
}

fn conflicts(record: &Value) -> Vec<Value> {
    record["_meta"]["conflicts"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

/// Shown value and all rivals' values of the only conflict.
fn only_conflict(record: &Value, path: &str) -> (Value, Vec<Value>) {
    let conflicts = conflicts(record);
    assert_eq!(conflicts.len(), 1, "{record}");
    assert_eq!(conflicts[0]["path"], path, "{record}");
    let rivals = conflicts[0]["rivals"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    for rival in &rivals {
        assert!(
            rival["by"].is_string() && rival["at"].is_string(),
            "who and when: {record}"
        );
    }
    (
        conflicts[0]["shown"].clone(),
        rivals.iter().map(|rival| rival["value"].clone()).collect(),
    )
}

async fn come_together(office: &Office, count: usize) -> Value {
    eventually(
        "the coordination shows the conflicts that the district shows",
        async || {
            let here = office.anna.look(&office.path).await?;
            let there = there(&office.federation, office.reference).await?;
            let same =
                here["_meta"]["etag"] == there["_meta"]["etag"] && conflicts(&there).len() == count;
            seen(same, || format!("here {here}, there {there}"))?;
            assert_eq!(here["_meta"]["conflicts"], there["_meta"]["conflicts"]);
            Ok(there)
        },
    )
    .await
}

async fn choose(office: &Office, field: &str, value: &Value) -> Answer {
    let now = office.bruno.get(&office.path).await.expect(200).etag();
    office
        .bruno
        .patch(&office.path, Some(&now), &replace(field, value))
        .await
        .expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_states_chosen_on_the_same_version_are_both_kept_until_a_later_choice_settles_it() {
    let office = office().await;
    let version = Some(office.version.as_str());
    let first = office
        .anna
        .patch(&office.path, version, &replace("/state", &json!("review")))
        .await
        .expect(200);
    assert!(conflicts(&first.json()).is_empty());
    let second = office
        .bruno
        .patch(
            &office.path,
            version,
            &replace("/state", &json!("suspended")),
        )
        .await
        .expect(200);
    let record = second.json();
    assert_eq!(
        record["state"], "suspended",
        "suspended comes first of the two"
    );
    assert_eq!(
        only_conflict(&record, "/state"),
        (json!("suspended"), vec![json!("review")])
    );
    assert_eq!(
        record["_meta"]["conflicts"][0]["rivals"][0]["by"],
        "op-anna"
    );
    let there = come_together(&office, 1).await;
    assert_eq!(
        only_conflict(&there, "/state"),
        (json!("suspended"), vec![json!("review")])
    );
    eventually("the overview counts the state shown", async || {
        let part = office.federation.territory(0).await?;
        seen(
            part["projects"]["by_state"] == json!({"suspended": 1}),
            || part.to_string(),
        )
    })
    .await;

    let settled = choose(&office, "/state", &json!("active")).await.json();
    assert_eq!(settled["state"], "active");
    assert!(conflicts(&settled).is_empty(), "{settled}");
    let there = come_together(&office, 0).await;
    assert_eq!(there["state"], "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn choosing_the_value_that_is_shown_settles_it_too() {
    let office = office().await;
    let version = Some(office.version.as_str());
    let field = "/next_review_on";
    for (person, day) in [(&office.anna, "2026-07-01"), (&office.bruno, "2026-08-01")] {
        person
            .patch(&office.path, version, &replace(field, &json!(day)))
            .await
            .expect(200);
    }
    let there = come_together(&office, 1).await;
    let (shown, rivals) = only_conflict(&there, field);
    let mut both = vec![shown.clone(), rivals[0].clone()];
    both.sort_by_key(Value::to_string);
    assert_eq!(both, ["2026-07-01", "2026-08-01"]);
    let settled = choose(&office, field, &shown).await.json();
    assert!(conflicts(&settled).is_empty(), "{settled}");
    assert_eq!(settled["next_review_on"], shown);
    let there = come_together(&office, 0).await;
    assert_eq!(there["next_review_on"], shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_another_field_on_an_old_version_is_merged_and_overwrites_nothing() {
    let office = office().await;
    let version = Some(office.version.as_str());
    office
        .anna
        .patch(&office.path, version, &replace("/state", &json!("review")))
        .await
        .expect(200);
    let late = replace("/plans/work/employability", &json!(77));
    let merged = office
        .bruno
        .patch(&office.path, version, &late)
        .await
        .expect(200)
        .json();
    assert_eq!(merged["state"], "review", "the newer state stays");
    assert_eq!(merged["plans"]["work"]["employability"], 77);
    assert!(conflicts(&merged).is_empty(), "{merged}");
    let there = come_together(&office, 0).await;
    assert_eq!(there["state"], "review");
    assert_eq!(there["plans"]["work"]["employability"], 77);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_value_of_a_field_that_decides_nothing_is_reported() {
    let office = office().await;
    let version = Some(office.version.as_str());
    let field = "/plans/work/employability";
    for (person, value) in [(&office.anna, 61), (&office.bruno, 62)] {
        person
            .patch(&office.path, version, &replace(field, &json!(value)))
            .await
            .expect(200);
    }
    let there = come_together(&office, 0).await;
    let overwritten = there["_meta"]["overwritten"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    assert_eq!(overwritten.len(), 1, "{there}");
    assert_eq!(overwritten[0]["path"], field);
    assert_eq!(
        overwritten[0]["shown"],
        there["plans"]["work"]["employability"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_coordination_may_look_and_not_change() {
    let office = office().await;
    come_together(&office, 0).await;
    let coordination = office.federation.coordination.http();
    let refused = coordination
        .patch(&office.path, None, &replace("/state", &json!("review")))
        .await;
    refused.refused(403, "not_home");
    let record = project(&mut Chance::new(6), Some("FR-1"), some_day());
    coordination
        .post("/api/v1/projects", &record)
        .await
        .refused(403, "not_home");
}

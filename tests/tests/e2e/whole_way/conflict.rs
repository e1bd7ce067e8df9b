//! Two people at two nodes of the district write the same at once, and a person settles it.

use raccordo_tests::below::Below;
use raccordo_tests::eventually::{eventually, seen};
use serde_json::{Value, json};

use super::Office;
use raccordo_tests::person::Person;

fn next_review(day: &str) -> Value {
    json!([{"op": "add", "path": "/next_review_on", "value": day}])
}

fn conflicts(record: &Value) -> Vec<Value> {
    let all = record["_meta"]["conflicts"].as_array();
    all.cloned().unwrap_or_default()
}

/// On a visit with the laptop and at the office, neither knowing of the other.
pub(super) async fn settled(office: &Office, laptop: &Below, visitor: &Person, project: &str) {
    eventually("the laptop has what the office has", async || {
        let (here, there) = (
            office.manager.looks(project).await?,
            visitor.looks(project).await?,
        );
        seen(here["_meta"]["etag"] == there["_meta"]["etag"], || {
            there.to_string()
        })
    })
    .await;
    laptop.relay.cut();
    visitor.writes(project, &next_review("2026-12-01")).await;
    let here = office
        .manager
        .writes(project, &next_review("2026-12-15"))
        .await;
    assert_eq!(conflicts(&here), [Value::Null; 0], "{here}");
    laptop.relay.heal();
    let record = both_values_are_at_both(office, visitor, project).await;
    chosen_on_the_page(office, &record).await;
    eventually("it is settled at both", async || {
        for person in [&office.manager, visitor] {
            let record = person.looks(project).await?;
            let settled = conflicts(&record).is_empty() && record["next_review_on"] == "2026-12-01";
            seen(settled, || record.to_string())?;
        }
        Ok(())
    })
    .await;
}

async fn both_values_are_at_both(office: &Office, visitor: &Person, project: &str) -> Value {
    eventually("both values are there at both nodes", async || {
        let mut records = Vec::new();
        for person in [&office.manager, visitor] {
            let record = person.looks(project).await?;
            let conflicts = conflicts(&record);
            seen(conflicts.len() == 1, || record.to_string())?;
            assert_eq!(conflicts[0]["path"], "/next_review_on");
            assert_eq!(conflicts[0]["rivals"].as_array().map(Vec::len), Some(1));
            records.push(record);
        }
        assert_eq!(
            records[0]["_meta"]["conflicts"],
            records[1]["_meta"]["conflicts"]
        );
        Ok(records.remove(0))
    })
    .await
}

/// The button beside the value that was written on the visit.
async fn chosen_on_the_page(office: &Office, record: &Value) {
    let id = record["_meta"]["id"].as_str().expect("a record has an id");
    let page = format!("/records/{id}");
    let shown = office.manager.gets(&page).await.expect(200).text();
    assert!(
        shown.contains("Da scegliere") && shown.contains("Tieni questo"),
        "{shown}"
    );
    let version = record["_meta"]["etag"].as_str().expect("a version");
    let form = [
        ("path", "/next_review_on"),
        ("value", "\"2026-12-01\""),
        ("etag", version),
    ];
    let chosen = office.manager.sends(&format!("{page}/choose"), &form).await;
    chosen.expect(303);
}

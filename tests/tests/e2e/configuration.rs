//! The configuration: every mistake at once, and nothing taken from a file with one.

use raccordo_tests::eventually::{eventually, seen};
use raccordo_tests::federation::Federation;
use raccordo_tests::lab::Lab;
use raccordo_tests::process::Node;
use serde_json::Value;

use crate::PROGRAM;

const THREE_MISTAKES: &str = r#"[node]
territory = "frosinone/a"
role = "district"
name = "Distretto A"

[store]
engine = "sqlite"
cache_mb = 128

[http]
address = "0.0.0.0:8080"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn three_mistakes_are_told_in_one_go_each_with_its_line() {
    let lab = Lab::new(PROGRAM);
    let file = lab.file("three.toml", THREE_MISTAKES);
    let file = file.to_str().expect("UTF-8");
    let told = lab
        .run(&["config", "check", file, "--json"])
        .await
        .expect(1)
        .json();
    let problems = told["problems"].as_array().expect("a list of problems");
    let places: Vec<(u64, &str)> = problems
        .iter()
        .map(|problem| {
            (
                problem["line"].as_u64().unwrap_or(0),
                problem["key"].as_str().unwrap_or(""),
            )
        })
        .collect();
    assert_eq!(
        places,
        [
            (7, "store.engine"),
            (8, "store.cache_mb"),
            (11, "http.address")
        ],
        "{told}"
    );
    assert!(
        problems[1]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("cache_mib")),
        "the nearest: {told}"
    );
    let words = lab.run(&["config", "check", file]).await.expect(1);
    for line in ["7", "8", "11"] {
        assert!(words.stderr.contains(&format!("line {line}")), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_does_not_start_with_mistakes_and_says_all_of_them() {
    let lab = Lab::new(PROGRAM);
    let node = Node::found(&lab, "a", "frosinone/a", "district", &[]).await;
    let checked = node
        .cli(&["config", "check", "--json"])
        .await
        .expect(0)
        .json();
    assert_eq!(
        checked["problems"].as_array().map(Vec::len),
        Some(0),
        "{checked}"
    );
    node.set("store", "cache_mib", "\"much\"");
    node.set("logs", "level", "\"loud\"");
    node.set("network", "colour", "1");
    let refused = node.cli(&["run"]).await;
    refused.refused(&["store.cache_mib", "logs.level", "network.colour"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_node_takes_a_good_file_and_ignores_a_bad_one() {
    let mut federation =
        Federation::joined(PROGRAM, 1, &[("overview", "stale_after_s", "3600")]).await;
    federation.districts[0].node.stop().await;
    let state = async |federation: &Federation| -> Result<Value, String> {
        Ok(federation.territory(0).await?["state"].clone())
    };
    assert_eq!(state(&federation).await.expect("listed"), "current");
    federation
        .coordination
        .set("overview", "stale_after_s", "\"soon\"");
    federation.coordination.reload();
    federation
        .coordination
        .cli(&["config", "show"])
        .await
        .refused(&["overview.stale_after_s"]);
    assert_eq!(
        state(&federation).await.expect("listed"),
        "current",
        "the old setting stays in force"
    );
    federation
        .coordination
        .set("overview", "stale_after_s", "1");
    federation.coordination.reload();
    eventually("the new setting is in force", async || {
        let state = state(&federation).await?;
        seen(state == "stale", || state.to_string())
    })
    .await;
    assert_eq!(
        federation
            .coordination
            .cli(&["config", "show", "--json"])
            .await
            .expect(0)
            .json()["overview"]["stale_after_s"],
        1
    );
}

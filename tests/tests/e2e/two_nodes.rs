//! Two nodes of one territory, which do not know one another.

use std::time::Duration;

use raccordo_tests::chance::Chance;
use raccordo_tests::eventually::{eventually, never, seen};
use raccordo_tests::federation::Federation;
use raccordo_tests::workload::{project, some_day};

use crate::PROGRAM;

/// Two nodes of `frosinone/a`, joined.
async fn twins() -> Federation {
    let mut federation = Federation::found(PROGRAM, 0, &[]).await;
    federation.start_coordination().await;
    for name in ["a", "a2"] {
        federation.found_district(name, "frosinone/a").await;
    }
    for index in 0..2 {
        federation.districts[index].node.start().await;
        federation.join(index).await;
    }
    federation
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_reference_given_apart_is_kept_twice_and_flagged() {
    let federation = twins().await;
    for (seed, district) in (1..).zip(&federation.districts) {
        let record = project(&mut Chance::new(seed), Some("FR-A-1"), some_day());
        district
            .node
            .http()
            .post("/api/v1/projects", &record)
            .await
            .expect(201);
    }
    eventually("both records arrive in one territory", async || {
        let overview = federation
            .coordination
            .local()
            .look("/api/v1/overview")
            .await?;
        let parts = overview["territories"].as_array().map_or(0, Vec::len);
        seen(
            parts == 1 && overview["territories"][0]["projects"]["total"] == 2,
            || overview.to_string(),
        )
    })
    .await;
    let page = federation
        .coordination
        .local()
        .read("/api/v1/projects")
        .await;
    for record in page["items"].as_array().into_iter().flatten() {
        assert_eq!(record["ref"], "FR-A-1");
        assert!(
            record["_meta"]["flags"]
                .to_string()
                .contains("ref_in_use_twice"),
            "{record}"
        );
    }
    let asked = federation
        .coordination
        .local()
        .get("/api/v1/projects/FR-A-1")
        .await;
    asked.refused(409, "ambiguous");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_does_not_hold_is_no_alarm_on_its_link() {
    let federation = twins().await;
    for (seed, district) in (1..).zip(&federation.districts) {
        let record = project(&mut Chance::new(seed), None, some_day());
        let made = district
            .node
            .http()
            .post("/api/v1/projects", &record)
            .await
            .expect(201)
            .json();
        let path = format!(
            "/api/v1/projects/{}",
            made["_meta"]["id"].as_str().unwrap_or_default()
        );
        eventually("the record is delivered", async || {
            let delivery = district.node.http().look(&path).await?["_meta"]["delivery"].clone();
            seen(delivery["state"] == "delivered", || delivery.to_string())
        })
        .await;
    }
    never(
        Duration::from_secs(3),
        "no end of either link speaks of a difference",
        async || {
            let status = federation
                .coordination
                .local()
                .look("/api/v1/status")
                .await?;
            let mut ends = status["peers"].as_array().cloned().unwrap_or_default();
            ends.extend([federation.link(0).await, federation.link(1).await]);
            let calm = ends
                .iter()
                .all(|end| end["equal"] != false && end["problem"].is_null());
            seen(calm && ends.len() == 4, || format!("{ends:?}"))
        },
    )
    .await;
}

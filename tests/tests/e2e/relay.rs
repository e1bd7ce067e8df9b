//! What one node writes for everybody, through the coordination, and what stays where it is.

use std::time::Duration;

use raccordo_tests::below::{author, created, guideline, organisation, same_everywhere, shows};
use raccordo_tests::chance::Chance;
use raccordo_tests::eventually::{eventually, never, seen};
use raccordo_tests::federation::Federation;
use raccordo_tests::process::Node;
use raccordo_tests::workload::{project, some_day};
use serde_json::{Value, json};

use crate::PROGRAM;

fn all(federation: &Federation) -> Vec<&Node> {
    let districts = federation.districts.iter().map(|district| &district.node);
    districts.chain([&federation.coordination]).collect()
}

/// Every link of the coordination says that both ends hold the same.
async fn links_are_equal(federation: &Federation) {
    eventually("every link was compared and is equal", async || {
        let status = federation
            .coordination
            .local()
            .look("/api/v1/status")
            .await?;
        let mut peers = status["peers"].as_array().into_iter().flatten();
        seen(peers.all(|peer| peer["equal"] == true), || {
            status["peers"].to_string()
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guideline_reaches_every_district_and_so_do_its_edits_after_a_cut() {
    let federation = Federation::joined(PROGRAM, 3, &[]).await;
    let coordination = federation.coordination.http();
    let path = created(&coordination, "guidelines", &guideline("Presa in carico")).await;
    same_everywhere(&all(&federation), &path).await;
    for district in &federation.districts {
        let id = federation.coordination.id().await;
        assert_eq!(author(&district.node, &path).await, id);
        let page = district.node.http();
        let edit = json!([{"op": "replace", "path": "/title", "value": "x"}]);
        page.patch(&path, None, &edit)
            .await
            .refused(403, "not_home");
        let made = page.post("/api/v1/guidelines", &guideline("Nostra")).await;
        made.refused(403, "not_home");
    }
    shows(
        &federation.coordination,
        &path,
        "/_meta/delivery/state",
        &json!("delivered"),
    )
    .await;
    federation.districts[0].relay.cut();
    let edit = json!([{"op": "replace", "path": "/title", "value": "Presa in carico unica"}]);
    coordination.patch(&path, None, &edit).await.expect(200);
    let title = json!("Presa in carico unica");
    shows(&federation.districts[1].node, &path, "/title", &title).await;
    let record = federation.coordination.local().read(&path).await;
    assert_eq!(
        record["_meta"]["delivery"]["state"], "queued",
        "one district does not have it: {record}"
    );
    federation.districts[0].relay.heal();
    shows(&federation.districts[0].node, &path, "/title", &title).await;
    same_everywhere(&all(&federation), &path).await;
    links_are_equal(&federation).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_of_one_district_reaches_the_others_in_its_authors_name() {
    let mut federation = Federation::joined(PROGRAM, 2, &[]).await;
    let office = federation.districts[0].node.http();
    let path = created(&office, "organisations", &organisation("La Bottega")).await;
    same_everywhere(&all(&federation), &path).await;
    let writer = federation.districts[0].node.id().await;
    for node in all(&federation) {
        assert_eq!(author(node, &path).await, writer, "at {}", node.name);
    }
    let edit = json!([{"op": "replace", "path": "/state", "value": "member"}]);
    let neighbour = federation.districts[1].node.http();
    neighbour
        .patch(&path, None, &edit)
        .await
        .refused(403, "not_home");
    // What was edited while the neighbour was off comes when it is back.
    federation.districts[1].node.stop().await;
    office.patch(&path, None, &edit).await.expect(200);
    federation.districts[1].node.start().await;
    shows(
        &federation.districts[1].node,
        &path,
        "/state",
        &json!("member"),
    )
    .await;
    links_are_equal(&federation).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn projects_never_reach_another_district_and_local_ones_not_even_the_coordination() {
    let federation = Federation::joined(PROGRAM, 2, &[]).await;
    let office = federation.districts[0].node.http();
    let mut local = project(&mut Chance::new(1), Some("FR-A-LOCAL"), some_day());
    local["sharing"] = json!("local");
    let shared = project(&mut Chance::new(2), Some("FR-A-1"), some_day());
    let local = created(&office, "projects", &local).await;
    let shared = created(&office, "projects", &shared).await;
    let path = created(&office, "organisations", &organisation("Il Forno")).await;
    same_everywhere(&all(&federation), &path).await;
    shows(&federation.coordination, &shared, "/ref", &json!("FR-A-1")).await;
    never(
        Duration::from_secs(2),
        "a project is where it may not be",
        async || {
            let neighbour = federation.districts[1].node.local();
            let there = neighbour.look("/api/v1/projects").await?;
            let above = federation.coordination.local().get(&local).await;
            let kept = there["items"].as_array().is_some_and(Vec::is_empty) && above.status == 404;
            seen(kept, || format!("{there} {above}"))
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrowed_scope_stops_what_goes_says_what_is_kept_and_widens_again() {
    let federation = Federation::joined(PROGRAM, 2, &[]).await;
    let office = federation.districts[0].node.http();
    let first = created(&office, "organisations", &organisation("La Bottega")).await;
    let neighbour = &federation.districts[1].node;
    shows(neighbour, &first, "/name", &json!("La Bottega")).await;
    let id = neighbour.id().await;
    let narrow = ["peer", "scope", &id, "--lane", "shared", "--json"];
    let scope = federation.coordination.cli(&narrow).await.expect(0).json();
    assert_eq!(scope["lanes"], json!(["shared"]), "{scope}");
    let second = created(&office, "organisations", &organisation("Il Forno")).await;
    shows(
        &federation.coordination,
        &second,
        "/name",
        &json!("Il Forno"),
    )
    .await;
    let rule = created(
        &federation.coordination.http(),
        "guidelines",
        &guideline("Regola"),
    )
    .await;
    shows(neighbour, &rule, "/title", &json!("Regola")).await;
    let missing = neighbour.local().get(&second).await;
    assert_eq!(missing.status, 404, "{missing}");
    eventually("what the neighbour still holds is told", async || {
        let explained = ["peer", "explain", &id, "--json"];
        let told = federation.coordination.cli(&explained).await.json();
        let withdrawn = told["scope"]["withdrawn"].as_array().cloned();
        let withdrawn: Vec<Value> = withdrawn.unwrap_or_default();
        let held = withdrawn.iter().any(|log| {
            let lacks_one = log["end"].as_u64() == log["held"].as_u64().map(|held| held + 1);
            log["territory"] == "frosinone/a" && lacks_one
        });
        seen(held, || told.to_string())
    })
    .await;
    let widen = ["peer", "scope", &id, "--all"];
    federation.coordination.cli(&widen).await.expect(0);
    shows(neighbour, &second, "/name", &json!("Il Forno")).await;
    links_are_equal(&federation).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guidelines_and_organisations_go_in_and_out_as_files_and_are_listed() {
    let federation = Federation::joined(PROGRAM, 1, &[]).await;
    let office = &federation.districts[0].node;
    let line = |kind: &str, reference: &str, doc: &Value| {
        json!({"op": "create", "kind": kind, "ref": reference, "doc": doc}).to_string()
    };
    let lines = [
        line("guideline", "LG-1", &guideline("Accesso")),
        line("organisation", "LG-1", &organisation("La Bottega")),
    ];
    let text = lines.join("\n");
    let at_coordination = federation.coordination.http().import(&text).await;
    let report = at_coordination.expect("an import is answered");
    assert_eq!(
        (&report["created"], &report["rejected"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(report["rejects"][0]["code"], "not_home", "{report}");
    let report = office
        .http()
        .import(&text)
        .await
        .expect("an import is answered");
    assert_eq!(
        (&report["created"], &report["rejected"]),
        (&json!(1), &json!(1))
    );
    for (kind, name) in [("guideline", "Accesso"), ("organisation", "La Bottega")] {
        for node in all(&federation) {
            eventually(&format!("{} lists {name}", node.name), async || {
                let listed = node.cli(&["record", "list", kind]).await;
                seen(listed.to_string().contains(name), || listed.to_string())
            })
            .await;
            let out = node.cli(&["export", "--kind", kind]).await.to_string();
            assert!(out.contains("LG-1") && out.contains(name), "{out}");
        }
        let path = format!("/api/v1/{kind}s/LG-1");
        let found = office.local().read(&path).await;
        assert_eq!(
            found["_meta"]["kind"], kind,
            "one number, two kinds: {found}"
        );
    }
}

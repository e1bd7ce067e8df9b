//! The end: a closing with its outcome, and an erasure that every node answers for.

use raccordo_tests::below::Below;
use raccordo_tests::eventually::{eventually, seen};
use raccordo_tests::federation::Federation;
use serde_json::{Value, json};

use super::desk::Known;
use super::{Office, Receiver};
use raccordo_tests::person::{Person, refused};

const WHY: &str = "su richiesta, i termini sono passati";

/// The new district closes the project.
pub(super) async fn closed(receiver: &Receiver, project: &str) {
    let manager = &receiver.manager;
    let close = json!([{"op": "replace", "path": "/state", "value": "closed"}]);
    let without = manager.patches(project, &close).await;
    refused(&without, 409, "closing_without_outcome", "/outcome");
    let early = json!([{"op": "add", "path": "/outcome", "value": {"code": "OBIETTIVI", "on": "2026-03-03"}},
        {"op": "replace", "path": "/state", "value": "closed"}]);
    let early = manager.patches(project, &early).await;
    refused(&early, 409, "dates_out_of_order", "/outcome/on");
    let closing = json!([{"op": "add", "path": "/outcome", "value": {"code": "OBIETTIVI", "on": "2026-12-15"}},
        {"op": "replace", "path": "/state", "value": "closed"}]);
    let record = manager.writes(project, &closing).await;
    assert_eq!(record["state"], "closed", "{record}");
    assert_eq!(record["outcome"]["code"], "OBIETTIVI", "{record}");
}

/// Who read about the person stands in the log, by name.
pub(super) async fn the_log_names_who_read(office: &Office) {
    let person = office.manager.reads("/api/v1/persons/P-1").await;
    let id = person["_meta"]["id"].as_str().expect("a record has an id");
    let of_her = format!("/api/v1/audit?record={id}&limit=500");
    for (place, who, action) in [
        (of_her.as_str(), "Anna Rossi", "read"),
        (&of_her, "Sara Verdi", "create"),
        ("/api/v1/audit?limit=500", "Carla Bianchi", "denied"),
    ] {
        eventually("the audit log names who did it", async || {
            let log = office.privacy.looks(place).await?;
            let mut events = log["items"].as_array().into_iter().flatten();
            let told = events.any(|one| one["who"] == who && one["action"] == action);
            seen(told, || format!("{who} {action}: {log}"))?;
            assert!(!log.to_string().contains("Zanzav"), "ids alone: {log}");
            Ok(())
        })
        .await;
    }
    let verdict = office.privacy.reads("/api/v1/audit/verify").await;
    assert_eq!(verdict["sound"], true, "{verdict}");
    // And who reads the log reads no person.
    office
        .privacy
        .gets("/api/v1/persons/P-1")
        .await
        .refused(403, "not_allowed");
}

/// The order's number.
async fn ordered(by: &Person, subject: &str) -> Value {
    let order = json!({"subject": subject, "reason": WHY});
    by.posts("/api/v1/erasures", &order)
        .await
        .expect(200)
        .json()
}

async fn certificate(by: &Person, order: &str) -> Result<Value, String> {
    by.looks(&format!("/api/v1/erasures/{order}/certificate"))
        .await
}

/// Both districts forget the person, each by its own order, while the laptop is away.
pub(super) async fn forgotten(
    federation: &Federation,
    office: &Office,
    receiver: &Receiver,
    laptop: &mut Below,
    known: &Known,
) {
    laptop.node.stop().await;
    for nobody in [&office.manager, &office.privacy] {
        let asked = json!({"subject": "P-1", "reason": WHY});
        nobody
            .posts("/api/v1/erasures", &asked)
            .await
            .refused(403, "not_allowed");
    }
    a_hold_forbids_it(receiver).await;
    let mut orders = Vec::new();
    for by in [&office.district, &receiver.district] {
        let told = ordered(by, "P-1").await;
        let order = told["order"].as_str().expect("an order").to_owned();
        let file = ordered(by, "N-1").await;
        let second = file["order"].as_str().expect("an order").to_owned();
        orders.push((by, order, told));
        orders.push((by, second, file));
        by.gets("/api/v1/persons/P-1")
            .await
            .refused(404, "not_found");
    }
    the_laptop_is_listed(federation, &orders).await;
    laptop.node.start().await;
    laptop.lead_to(&federation.districts[0].node).await;
    for (by, order, _) in &orders {
        let whole = eventually("every node has answered", async || {
            let now = certificate(by, order).await?;
            let complete = now["complete"] == true && has_everybody_answered(&now);
            seen(complete, || now.to_string()).map(|()| now)
        })
        .await;
        eventually("the order says that it is complete", async || {
            let now = by.looks(&format!("/api/v1/erasure_orders/{order}")).await?;
            let told = now["state"] == "completed" && now["completed_on"].is_string();
            seen(told, || now.to_string())
        })
        .await;
        assert_eq!(
            known.planted.found_in(whole.to_string().as_bytes()),
            [""; 0]
        );
        let text = whole["text"].as_str().unwrap_or_default();
        assert!(
            text.contains("COMPLETO") && !text.contains("NON COMPLETO"),
            "{text}"
        );
    }
}

/// Every receipt is there: also of who is heard of through another node alone, such as the other
/// district that holds the transfer.
fn has_everybody_answered(certificate: &Value) -> bool {
    let records = certificate["records"].as_array().into_iter().flatten();
    let mut receipts =
        records.flat_map(|record| record["receipts"].as_array().into_iter().flatten());
    receipts.all(|receipt| receipt["state"] == "delivered" && receipt["at"].is_string())
}

async fn a_hold_forbids_it(receiver: &Receiver) {
    let hold = json!([{"op": "add", "path": "/legal_hold/h1", "value": {"reason": "contenzioso", "until": "2099-01-01"}}]);
    let file = "/api/v1/casefiles/C-1";
    receiver.manager.writes(file, &hold).await;
    let asked = json!({"subject": "P-1", "reason": WHY});
    let held = receiver.district.posts("/api/v1/erasures", &asked).await;
    held.refused(409, "legal_hold");
    let lifted = json!([{"op": "remove", "path": "/legal_hold/h1"}]);
    receiver.manager.writes(file, &lifted).await;
}

/// Until it answers, and nobody else: the coordination has.
async fn the_laptop_is_listed(federation: &Federation, orders: &[(&Person, String, Value)]) {
    let above = federation.coordination.id().await;
    let (by, order, _) = &orders[0];
    eventually(
        "the coordination has answered, the laptop has not",
        async || {
            let now = certificate(by, order).await?;
            assert_eq!(now["complete"], false, "{now}");
            let given = by.reads(&format!("/api/v1/erasure_orders/{order}")).await;
            assert_eq!(given["state"], "ordered", "{given}");
            let text = now["text"].as_str().unwrap_or_default();
            assert!(
                text.contains("NON COMPLETO") && text.contains("Node laptop"),
                "{text}"
            );
            let records = now["records"].as_array().cloned().unwrap_or_default();
            let receipts = records
                .iter()
                .filter_map(|record| record["receipts"].as_array())
                .flatten();
            let mut of_above = receipts
                .filter(|receipt| receipt["peer"] == above.as_str())
                .peekable();
            let answered = of_above.peek().is_some()
                && of_above.all(|receipt| receipt["state"] == "delivered");
            seen(answered, || now.to_string())
        },
    )
    .await;
}

//! The project passes to another district: one copy to work on at every look, one to count, and
//! nobody else learns who it is.

use raccordo_tests::eventually::{eventually, seen};
use raccordo_tests::federation::Federation;
use serde_json::{Value, json};

use super::desk::Known;
use super::{Office, Receiver};
use raccordo_tests::person::{Person, refused};

const REFERENCE: &str = "FR-A-2026-000001";

/// Who looks at the project, at the district that hands it on, at its laptop and at the receiver.
pub(super) struct Look<'a> {
    pub(super) sender: &'a Person,
    pub(super) visitor: &'a Person,
    pub(super) project: &'a str,
}

impl Look<'_> {
    /// Never two copies that can be edited, never none. The receiver is looked at last: whatever
    /// opens a project of the sender has closed the other before.
    pub(super) async fn holds(&self, receiver: &Person, what: &str) {
        let open = |record: &Value| {
            !record["state"]
                .as_str()
                .unwrap_or("transferred")
                .starts_with("transfer")
        };
        let old = self.sender.reads(self.project).await;
        let carried = self.visitor.reads(self.project).await;
        let page = receiver.reads("/api/v1/projects").await;
        let made: Vec<Value> = page["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|record| record["ref"] == REFERENCE && open(record))
            .cloned()
            .collect();
        let two = (open(&old) || open(&carried)) && !made.is_empty() || made.len() > 1;
        assert!(!two, "{what}: two, {} and {made:?}", old["state"]);
        let none = old["state"] == "transferred" && made.is_empty();
        assert!(!none, "{what}: none, {}", old["state"]);
    }
}

/// Offered, seen without identity, accepted while the sender is cut off, and completed; the address
/// of the project in its new district.
pub(super) async fn handed_on(
    federation: &mut Federation,
    office: &Office,
    visitor: &Person,
    receiver: &mut Receiver,
    project: &str,
    known: &mut Known,
) -> String {
    let id = offered(office, project, known).await;
    let transfer = format!("/api/v1/transfers/{id}");
    let look = Look {
        sender: &office.manager,
        visitor,
        project,
    };
    look.holds(&receiver.manager, "offered").await;
    it_is_locked(office, visitor, project).await;
    the_preview_tells_nobody(federation, receiver, &transfer, known).await;
    let foreign = office
        .manager
        .posts(&format!("{transfer}/accept"), &json!({}))
        .await;
    foreign.refused(403, "not_home");
    federation.districts[0].relay.cut();
    let accepted = receiver
        .manager
        .posts(&format!("{transfer}/accept"), &json!({}))
        .await;
    let accepted = accepted.expect(200).json();
    look.holds(&receiver.manager, "accepted, the sender cut off")
        .await;
    assert_eq!(office.manager.reads(project).await["state"], "transferring");
    // The receiver loses its power right after it has answered.
    federation.districts[1].node.kill().await;
    federation.districts[1].node.start().await;
    receiver.manager.signs_in().await;
    receiver.district.signs_in().await;
    look.holds(&receiver.manager, "accepted, the receiver killed")
        .await;
    federation.districts[0].relay.heal();
    eventually("the sender knows that it was accepted", async || {
        look.holds(&receiver.manager, "on its way").await;
        let old = office.manager.looks(project).await?;
        let carried = visitor.looks(project).await?;
        let done = office.manager.looks(&transfer).await?["state"] == "completed";
        let closed = old["state"] == "transferred" && carried["state"] == "transferred";
        seen(done && closed, || format!("{old}, {carried}"))
    })
    .await;
    // What was handed on takes no edit any more; the closing shows that the other does.
    let edit = json!([{"op": "add", "path": "/team/m9", "value": {"body": "ETS"}}]);
    for person in [&office.manager, visitor] {
        let locked = person.patches(project, &edit).await;
        refused(&locked, 409, "locked_by_transfer", "/team/m9");
    }
    let new = accepted["new_project"]
        .as_str()
        .expect("a project was made");
    let new = format!("/api/v1/projects/{new}");
    it_arrived_whole(receiver, &new).await;
    it_is_counted_once(federation, &transfer).await;
    new
}

async fn offered(office: &Office, project: &str, known: &mut Known) -> String {
    let note = known.word("note", "chiamare il mattino presto");
    let offer =
        json!({"project": REFERENCE, "to": "frosinone/b", "reason": "residence", "note": note});
    for nobody in [&office.desk, &office.work, &office.unit] {
        nobody
            .posts("/api/v1/transfers", &offer)
            .await
            .refused(403, "not_allowed");
    }
    let made = office
        .manager
        .posts("/api/v1/transfers", &offer)
        .await
        .expect(201);
    let made = made.json();
    assert_eq!(made["state"], "offered", "{made}");
    assert_eq!(office.manager.reads(project).await["state"], "transferring");
    made["_meta"]["id"]
        .as_str()
        .expect("a record has an id")
        .to_owned()
}

async fn it_is_locked(office: &Office, visitor: &Person, project: &str) {
    let edit = json!([{"op": "add", "path": "/team/m9", "value": {"body": "ETS"}}]);
    let locked = office.manager.patches(project, &edit).await;
    refused(&locked, 409, "locked_by_transfer", "/team/m9");
    eventually("the laptop knows of the lock", async || {
        let record = visitor.looks(project).await?;
        seen(record["state"] == "transferring", || record.to_string())
    })
    .await;
    let locked = visitor.patches(project, &edit).await;
    refused(&locked, 409, "locked_by_transfer", "/team/m9");
}

async fn the_preview_tells_nobody(
    federation: &Federation,
    receiver: &Receiver,
    transfer: &str,
    known: &Known,
) {
    let preview = eventually("the offer has arrived", async || {
        receiver.manager.looks(transfer).await
    })
    .await;
    assert_eq!(preview["preview"]["need_area"], "POV", "{preview}");
    assert_eq!(
        preview["preview"]["note"], "chiamare il mattino presto",
        "{preview}"
    );
    let names: Vec<String> = known.planted.found_in(preview.to_string().as_bytes());
    assert!(
        names.iter().all(|name| name.starts_with("note:")),
        "{names:?}"
    );
    let shell = eventually("the coordination knows of it", async || {
        federation.coordination.local().look(transfer).await
    })
    .await;
    assert_eq!(shell["preview"], Value::Null, "{shell}");
    assert_eq!(
        known.planted.found_in(shell.to_string().as_bytes()),
        [""; 0]
    );
}

async fn it_arrived_whole(receiver: &Receiver, new: &str) {
    let record = receiver.manager.reads(new).await;
    assert_eq!(
        (&record["ref"], &record["state"]),
        (&json!(REFERENCE), &json!("active")),
        "{record}"
    );
    for (place, wanted) in [
        ("/plans/social/signatures/f2/body", json!("SSD")),
        ("/plans/work/signatures/f1/body", json!("CPI")),
        ("/instruments/t1/outcome", json!("ASSUNTO")),
        ("/vouchers/b1/spent/p2/amount_eur", json!(80.0)),
        ("/decisions/d1/result", json!("o1")),
        ("/referrals/i1/state", json!("done")),
        ("/reviews/r2/on", json!("2026-09-10")),
        ("/_meta/conflicts", json!([])),
        ("/_meta/flags", json!([])),
    ] {
        assert_eq!(record.pointer(place), Some(&wanted), "{place} of {record}");
    }
    let person = receiver.manager.reads("/api/v1/persons/P-1").await;
    assert_eq!(person["family_name"], "Zanzavècchia", "{person}");
    let file = receiver.manager.reads("/api/v1/casefiles/C-1").await;
    assert_eq!(
        file["diary"]["d1"]["text"], "riferisce sogni di balene",
        "{file}"
    );
    let household = receiver.manager.reads("/api/v1/households/N-1").await;
    let member = &household["members"]["m1"]["person"];
    assert_eq!(member, &person["_meta"]["id"], "{household}");
}

async fn it_is_counted_once(federation: &Federation, transfer: &str) {
    let above = federation.coordination.local();
    eventually("the coordination counts the project once", async || {
        let overview = above.look("/api/v1/overview").await?;
        let ended = above.look(transfer).await?["state"] == "completed";
        seen(ended && overview["totals"]["projects"] == 1, || {
            overview.to_string()
        })
    })
    .await;
    // Nobody was warned of one subject in two territories, which it never was.
    let notices = above.read("/api/v1/notices").await;
    assert_eq!(notices["items"], json!([]), "{notices}");
}

//! Every kind of record at a district that is joined to a coordination: made, read, edited,
//! listed, told, carried over; and what of it goes where.

use std::path::Path;

use raccordo_crdt_model::{Audience, Kind, Writer};
use raccordo_tests::below::{Below, created, same_everywhere};
use raccordo_tests::eventually::{eventually, seen};
use raccordo_tests::federation::Federation;
use raccordo_tests::process::Node;
use serde_json::{Value, json};

use crate::PROGRAM;

/// Words that are in no other record, one a kind, and no formula of them.
fn fields(kind: Kind) -> Value {
    let mut fields = match kind {
        Kind::Project => {
            json!({"subject": {"kind": "person"}, "need_area": "POV", "opened_on": "2026-03-04",
            "vouchers": {"b1": {"value_eur": 10, "spent": {"e1": {"amount_eur": 4}}}}})
        }
        Kind::Guideline => json!({"title": "Accesso", "type": "form", "version": "1"}),
        Kind::Organisation => json!({"name": "Il Melograno", "type": "ETS"}),
        Kind::Person => {
            json!({"given_name": "Anna", "family_name": "Invenzione", "fiscal_code": "RSSMRA85T10A562S"})
        }
        Kind::Household => json!({"members": {"m1": {"person": "P-1", "relation": "holder"}}}),
        Kind::Casefile => {
            json!({"subject": "P-1", "diary": {"d1": {"text": "Colloquio", "restricted": true}},
            "assessments": {"a1": {"kind": "UVM", "dimensions": {"x1": {"score": 2.5}}}}})
        }
        Kind::Contact => {
            json!({"on": "2026-03-04", "asked": "=Casa", "outcome": "information", "state": "closed"})
        }
        Kind::Resource => json!({"title": "Sportello casa", "public": true}),
        Kind::Activity => json!({"on": "2026-03-04", "cases_discussed": 4}),
        Kind::ErasureOrder => json!({"ordered_on": "2026-03-04"}),
        Kind::Publication => json!({"since": "2026-03-04"}),
        Kind::Notice => json!({"on": "2026-03-04", "strength": "typed"}),
        Kind::Transfer => Value::Null,
    };
    fields["ref"] = json!(reference(kind));
    fields
}

fn reference(kind: Kind) -> String {
    format!("{}-1", kind.singular())
}

fn writer(kind: Kind, federation: &Federation) -> &Node {
    match kind.writer() {
        Writer::District => &federation.districts[0].node,
        Writer::Coordination => &federation.coordination,
    }
}

/// Makes a record and does with it all that the API and the command line do; its address.
async fn lived(kind: Kind, node: &Node) -> String {
    let http = node.http();
    let path = created(&http, kind.plural(), &fields(kind)).await;
    let patch = json!([{"op": "add", "path": "/ours", "value": {"deep": [1, null]}}]);
    http.patch(&path, None, &patch).await.expect(200);
    let record = http.read(&path).await;
    assert_eq!(record["_meta"]["kind"], kind.singular(), "{record}");
    assert_eq!(record["ours"]["deep"][0], 1, "{record}");
    let listed = http.read(&format!("/api/v1/{}", kind.plural())).await;
    assert_eq!(listed["items"][0]["ref"], reference(kind), "{listed}");
    let history = http.read(&format!("{path}/history")).await;
    assert_eq!(
        history["items"].as_array().map(Vec::len),
        Some(2),
        "{history}"
    );
    let wrong = json!([{"op": "add", "path": "/state", "value": "unheard_of"}]);
    http.patch(&path, None, &wrong).await.expect(422);
    let word = kind.singular();
    let shown = node
        .cli(&["record", "show", word, &reference(kind), "--json"])
        .await;
    assert_eq!(
        shown.expect(0).json()["_meta"]["etag"],
        record["_meta"]["etag"]
    );
    for how in [
        &["record", "list", word][..],
        &["record", "history", word, &reference(kind)],
    ] {
        let printed = node.cli(how).await.expect(0).stdout;
        assert!(!printed.is_empty(), "{how:?}");
    }
    path
}

/// Exports a kind, imports it into a node that stands alone, and exports it there.
async fn carried_over(kind: Kind, from: &Node, alone: &Node) {
    let export = ["export", "--kind", kind.singular()];
    let lines = from.cli(&export).await.expect(0).stdout;
    assert!(lines.contains(&reference(kind)), "{lines}");
    let file = from.data.join(format!("{}.jsonl", kind.singular()));
    std::fs::write(&file, &lines).expect("a file in the lab");
    let file = file.to_str().expect("UTF-8");
    let report = alone
        .cli(&["import", file, "--json"])
        .await
        .expect(0)
        .json();
    assert_eq!(report["created"], 1, "{report}");
    assert_eq!(alone.cli(&export).await.expect(0).stdout, lines);
    let table = ["export", "--kind", kind.singular(), "--format", "csv"];
    let table = from.cli(&table).await.expect(0).stdout;
    assert!(table.starts_with("ref;state;"), "{table}");
    assert_eq!(table.lines().count(), 2, "{table}");
    assert!(
        kind != Kind::Contact || table.contains(";'=Casa;"),
        "{table}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_lives_at_a_district_and_goes_only_where_it_may() {
    let federation = Federation::joined(PROGRAM, 2, &[]).await;
    let [a, b] = [&federation.districts[0].node, &federation.districts[1].node];
    let alone = Below::started(&federation.lab, "alone", "frosinone/z", "district").await;
    let mut paths = Vec::new();
    // Transfers are made by offering a project: `transfer.rs` tells of them.
    let by_hand = |kind: &Kind| kind.audience() != Audience::Parties;
    for kind in Kind::all().into_iter().filter(by_hand) {
        let node = writer(kind, &federation);
        paths.push((kind, lived(kind, node).await));
        if kind.writer() == Writer::District {
            carried_over(kind, node, &alone.node).await;
        }
    }
    let above = &federation.coordination;
    for (kind, path) in &paths {
        match kind.audience() {
            Audience::Everyone => drop(same_everywhere(&[a, above, b], path).await),
            Audience::Home => drop(same_everywhere(&[a, above], path).await),
            Audience::Territory | Audience::Parties => {}
        }
    }
    for (node, wanted) in [(a, 12), (above, 8), (b, 4)] {
        eventually("each holds what it may", async || {
            let status = node.status().await;
            seen(status["store"]["documents"] == wanted, || {
                status.to_string()
            })
        })
        .await;
    }
    for (kind, path) in paths
        .iter()
        .filter(|(kind, _)| kind.audience() == Audience::Territory)
    {
        for node in [above, b] {
            assert_eq!(node.local().get(path).await.status, 404);
            let listed = node
                .local()
                .read(&format!("/api/v1/{}", kind.plural()))
                .await;
            assert_eq!(listed["items"], json!([]));
            let exported = node.cli(&["export", "--kind", kind.singular()]).await;
            assert_eq!(exported.expect(0).stdout, "");
        }
        let id = path.rsplit('/').next().expect("an id");
        let id: Vec<u8> = (0..16)
            .map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).expect("hexadecimal"))
            .collect();
        assert!(
            holds(&a.data, &id),
            "the search finds the {} at home",
            kind.singular()
        );
        assert!(
            !holds(&above.data, &id),
            "the coordination knows of a {}",
            kind.singular()
        );
        assert!(
            !holds(&b.data, &id),
            "the other district knows of a {}",
            kind.singular()
        );
    }
}

/// Whether any file below a folder has these bytes.
fn holds(folder: &Path, bytes: &[u8]) -> bool {
    let entries = std::fs::read_dir(folder).expect("a folder of the lab");
    entries
        .map(|entry| entry.expect("an entry").path())
        .any(|path| {
            if path.is_dir() {
                return holds(&path, bytes);
            }
            let content = std::fs::read(&path).unwrap_or_default();
            content.windows(bytes.len()).any(|window| window == bytes)
        })
}

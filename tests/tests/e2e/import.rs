//! Records imported while cut off, then joined.
//!
//! `RACCORDO_E2E_RECORDS` and `RACCORDO_E2E_EDITS` set another size, per district.

use std::path::{Path, PathBuf};
use std::time::Duration;

use raccordo_tests::eventually::{PATIENCE, seen, within};
use raccordo_tests::federation::Federation;
use raccordo_tests::invariants::{
    districts_and_coordination_come_to_hold_the_same, the_overview_is_whole,
};
use raccordo_tests::process::Node;
use raccordo_tests::workload::Workload;
use serde_json::{Value, json};

use crate::{PROGRAM, from_environment};

const DISTRICTS: usize = 4;
const SEED: u64 = 1;

fn workload(index: usize) -> Workload {
    let size = |name, default| u32::try_from(from_environment(name, default)).expect("a size");
    let (records, edits) = (
        size("RACCORDO_E2E_RECORDS", 40),
        size("RACCORDO_E2E_EDITS", 6),
    );
    Workload {
        district: ['A', 'B', 'C', 'D'][index],
        seed: SEED,
        records,
        edits,
    }
}

fn lines(workload: &Workload) -> u64 {
    u64::from(workload.records) * u64::from(workload.edits + 1)
}

async fn imported(node: &Node, file: &Path) -> Value {
    let file = file.to_str().expect("the lab's paths are UTF-8");
    node.cli(&["import", file, "--json"]).await.expect(0).json()
}

/// Imports each district's file, all at once.
async fn import_all(federation: &Federation, files: &[PathBuf]) -> Vec<Value> {
    let [a, b, c, d] =
        [0, 1, 2, 3].map(|index| imported(&federation.districts[index].node, &files[index]));
    let (a, b, c, d) = tokio::join!(a, b, c, d);
    vec![a, b, c, d]
}

#[tokio::test(flavor = "multi_thread")]
async fn four_districts_import_while_cut_off_and_the_overview_is_whole_when_they_join() {
    let mut federation = Federation::found(PROGRAM, DISTRICTS, &[]).await;
    federation.start_coordination().await;
    let workloads: Vec<Workload> = (0..DISTRICTS).map(workload).collect();
    let files: Vec<PathBuf> = workloads
        .iter()
        .map(|w| {
            federation
                .lab
                .file(&format!("{}.jsonl", w.district), &w.text())
        })
        .collect();
    // Two take their files in at rest, two while they run.
    for district in federation.districts.iter_mut().take(2) {
        district.node.start().await;
    }
    for (report, workload) in import_all(&federation, &files).await.iter().zip(&workloads) {
        assert_eq!(report["lines"], lines(workload), "{report}");
        assert_eq!(report["created"], workload.records, "{report}");
        assert_eq!(report["rejected"], 0, "{report}");
        assert_eq!(report["already_present"], 0, "{report}");
    }
    for district in federation.districts.iter_mut().skip(2) {
        district.node.start().await;
    }
    for index in 0..DISTRICTS {
        federation.join(index).await;
    }
    let records: u64 = workloads
        .iter()
        .map(|workload| u64::from(workload.records))
        .sum();
    let patience = PATIENCE + Duration::from_millis(20 * workloads.iter().map(lines).sum::<u64>());
    within(patience, "the overview covers everything", async || {
        let totals = federation
            .coordination
            .local()
            .look("/api/v1/overview")
            .await?["totals"]
            .clone();
        let whole = totals["projects"] == records && totals["territories_current"] == DISTRICTS;
        seen(whole, || totals.to_string())
    })
    .await;
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    let overview = federation
        .coordination
        .cli(&["overview", "--json"])
        .await
        .expect(0)
        .json();
    the_overview_is_whole(&overview, u64::try_from(DISTRICTS).expect("four"), records);
    let persons: usize = workloads.iter().map(Workload::persons).sum();
    assert_eq!(overview["totals"]["persons"], json!(persons), "{overview}");
    importing_again_changes_nothing(&federation, &files, &workloads, &overview).await;
}

async fn importing_again_changes_nothing(
    federation: &Federation,
    files: &[PathBuf],
    workloads: &[Workload],
    before: &Value,
) {
    for (report, workload) in import_all(federation, files).await.iter().zip(workloads) {
        let nothing = json!({"lines": lines(workload), "created": 0, "changed": 0,
            "already_present": lines(workload), "rejected": 0, "rejects": []});
        assert_eq!(*report, nothing);
    }
    districts_and_coordination_come_to_hold_the_same(federation).await;
    let after = federation
        .coordination
        .cli(&["overview", "--json"])
        .await
        .expect(0)
        .json();
    assert_eq!(after["digest"], before["digest"]);
    assert_eq!(after["totals"]["projects"], before["totals"]["projects"]);
    for (part, was) in after["territories"]
        .as_array()
        .into_iter()
        .flatten()
        .zip(before["territories"].as_array().into_iter().flatten())
    {
        assert_eq!(part["seq"], was["seq"], "no entry was added: {part}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_would_happen_and_keeps_nothing() {
    let mut federation = Federation::found(PROGRAM, 1, &[]).await;
    let workload = Workload {
        district: 'A',
        seed: 3,
        records: 6,
        edits: 2,
    };
    let file = federation.lab.file("A.jsonl", &workload.text());
    let file = file.to_str().expect("UTF-8");
    let district = &mut federation.districts[0].node;
    district.start().await;
    let before = district.overview().await;
    let tried = district
        .cli(&["import", file, "--dry-run", "--json"])
        .await
        .expect(0)
        .json();
    assert_eq!(tried["created"], 6, "{tried}");
    assert_eq!(district.overview().await["digest"], before["digest"]);
    assert_eq!(district.status().await["store"]["documents"], 0);
    let done = district
        .cli(&["import", file, "--json"])
        .await
        .expect(0)
        .json();
    assert_eq!(done, tried);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_line_is_rejected_with_its_number_and_reason_and_the_rest_goes_in() {
    let mut federation = Federation::found(PROGRAM, 1, &[]).await;
    let workload = Workload {
        district: 'A',
        seed: 4,
        records: 3,
        edits: 0,
    };
    let mut lines = workload.lines();
    lines.insert(1, "{\"op\":\"create\",".to_owned());
    let mut twice: Value = serde_json::from_str(&lines[0]).expect("JSON");
    twice["doc"]["need_area"] = json!("DIS2");
    lines.insert(2, twice.to_string());
    let mut closed: Value = serde_json::from_str(&lines[3]).expect("JSON");
    closed["ref"] = json!("FR-A-2026-999999");
    closed["doc"]["ref"] = json!("FR-A-2026-999999");
    closed["doc"]["state"] = json!("somewhere");
    closed["doc"]["opened_on"] = json!("yesterday");
    lines.insert(3, closed.to_string());
    lines.push(json!({"op": "patch", "kind": "project", "ref": "nobody", "patch": []}).to_string());
    let file = federation.lab.file("bad.jsonl", &(lines.join("\n") + "\n"));
    let rejects = federation.lab.path("rejects.jsonl");
    let (file, rejects_file) = (
        file.to_str().expect("UTF-8"),
        rejects.to_str().expect("UTF-8"),
    );
    let district = &mut federation.districts[0].node;
    district.start().await;
    let outcome = district
        .cli(&["import", file, "--json", "--rejects", rejects_file])
        .await
        .expect(1);
    let report = outcome.json();
    assert_eq!(report["lines"], 7, "{report}");
    assert_eq!(report["created"], 3, "{report}");
    assert_eq!(report["rejected"], 4, "{report}");
    let of_line = |number: u64| -> Vec<Value> {
        let all = report["rejects"].as_array().into_iter().flatten();
        all.filter(|reject| reject["line"] == number)
            .cloned()
            .collect()
    };
    assert_eq!(of_line(3)[0]["code"], "ref_in_use", "{report}");
    assert_eq!(of_line(3)[0]["ref"], "FR-A-2026-000000", "{report}");
    let pointers: Vec<&str> = report["rejects"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|reject| reject["line"] == 4)
        .filter_map(|reject| reject["pointer"].as_str())
        .collect();
    assert!(
        pointers.iter().any(|p| p.ends_with("/state"))
            && pointers.iter().any(|p| p.ends_with("/opened_on")),
        "{report}"
    );
    assert_eq!(of_line(7).len(), 1, "{report}");
    for number in [2, 3, 4, 7] {
        let message = of_line(number)[0]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(message.len() > 10, "line {number}: {report}");
    }
    let kept = std::fs::read_to_string(&rejects).expect("the refused lines were written");
    assert_eq!(kept.lines().count(), 4, "{kept}");
    let told = district.cli(&["import", file]).await.expect(1);
    assert!(
        told.stdout.contains("3 already present") && told.stdout.contains("4 rejected"),
        "{told}"
    );
}

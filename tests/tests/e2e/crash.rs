//! Nodes killed at any moment while they import, edit and replicate.
//!
//! `RACCORDO_E2E_SEED` sets another seed, `RACCORDO_E2E_KILLS` another number of kills.

use std::cell::Cell;
use std::time::Duration;

use raccordo_tests::chance::Chance;
use raccordo_tests::eventually::moment;
use raccordo_tests::federation::Federation;
use raccordo_tests::http::{Client, Unanswered};
use raccordo_tests::invariants::{
    Acknowledged, districts_and_coordination_come_to_hold_the_same, every_record,
    the_overview_is_whole,
};
use raccordo_tests::process::Node;
use raccordo_tests::workload::{Workload, instrument, project, review, some_day};
use serde_json::{Value, json};

use crate::{PROGRAM, from_environment};

/// Lines of one import.
const CHUNK_LINES: usize = 12;

/// Records that one writer edits.
const EDITED_MAX: usize = 12;

/// What a writer knows to be on disk, and what it only tried.
#[derive(Default)]
struct Written {
    acknowledged: Acknowledged,
    /// Records that may be there although no answer came.
    attempted: u64,
    created: u64,
}

fn chunks(lines: &[String]) -> Vec<String> {
    lines
        .chunks(CHUNK_LINES)
        .map(|chunk| chunk.join("\n") + "\n")
        .collect()
}

/// Makes records and edits them, one write after another, until told to end.
async fn write(office: Client, seed: u64, ended: &Cell<bool>) -> Written {
    let mut chance = Chance::new(seed);
    let mut written = Written::default();
    let mut records: Vec<String> = Vec::new();
    let mut number = 0_u64;
    while !ended.get() {
        number += 1;
        let answer = if records.len() < EDITED_MAX && (records.is_empty() || chance.percent(20)) {
            let record = project(&mut chance, Some(&format!("W-{seed}-{number}")), some_day());
            written.attempted += 1;
            office.try_post("/api/v1/projects", &record).await
        } else {
            let path = format!("/api/v1/projects/{}", chance.pick(&records));
            office
                .try_patch(&path, None, &paired(&mut chance, number))
                .await
        };
        match answer {
            Ok(answer) if answer.status == 201 => {
                written.created += 1;
                records.push(written.acknowledged.note(&answer));
            }
            Ok(answer) if answer.status == 200 => {
                written.acknowledged.note(&answer);
            }
            Ok(answer) => assert_eq!(answer.status, 503, "only an ending node refuses: {answer}"),
            Err(Unanswered { .. }) => moment(Duration::from_millis(15)).await,
        }
    }
    written
}

/// A review and an instrument of the same name in one command: both or none.
fn paired(chance: &mut Chance, number: u64) -> Value {
    let (review, instrument) = (review(chance, some_day()), instrument(chance, some_day()));
    json!([
        {"op": "add", "path": format!("/reviews/pair{number}"), "value": review},
        {"op": "add", "path": format!("/instruments/pair{number}"), "value": instrument},
    ])
}

/// Imports chunk after chunk; each until it is acknowledged.
async fn import(office: Client, lines: Vec<String>, ended: &Cell<bool>) -> usize {
    let mut acknowledged = 0;
    for chunk in chunks(&lines) {
        let report = loop {
            if ended.get() {
                return acknowledged;
            }
            match office.import(&chunk).await {
                Ok(report) => break report,
                Err(_) => moment(Duration::from_millis(15)).await,
            }
        };
        assert_eq!(report["rejected"], 0, "{report}");
        acknowledged += chunk.lines().count();
        moment(Duration::from_millis(60)).await;
    }
    acknowledged
}

/// Kills nodes at moments of its own, also while they start, and starts them again.
async fn kill(federation: &mut Federation, seed: u64, kills: u64, ended: &Cell<bool>) {
    let mut chance = Chance::new(seed);
    let mut done = 0;
    while done < kills {
        moment(Duration::from_millis(chance.between(0, 400))).await;
        let victim = chance.index(federation.districts.len() + 1);
        let is_coordination = victim == federation.districts.len();
        let node = node(federation, victim);
        node.kill().await;
        done += 1;
        node.spawn();
        while done < kills && chance.percent(25) {
            moment(Duration::from_millis(chance.between(0, 250))).await;
            node.kill().await;
            done += 1;
            node.spawn();
        }
        node.ready().await;
        if is_coordination {
            federation.lead_relays().await;
        }
    }
    ended.set(true);
}

fn node(federation: &mut Federation, index: usize) -> &mut Node {
    let Federation {
        coordination,
        districts,
        ..
    } = federation;
    districts
        .get_mut(index)
        .map_or(coordination, |district| &mut district.node)
}

/// Every review that was added with an instrument of the same name still has it, and the reverse.
fn no_command_is_half(records: &[Value]) {
    let pairs = |record: &Value, field: &str| -> Vec<String> {
        let keys = record[field]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key);
        keys.filter(|key| key.starts_with("pair"))
            .cloned()
            .collect()
    };
    for record in records {
        assert_eq!(
            pairs(record, "reviews"),
            pairs(record, "instruments"),
            "half a command: {record}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_kills_at_random_moments_lose_no_acknowledged_write() {
    let seed = from_environment("RACCORDO_E2E_SEED", 20_260_304);
    let kills = from_environment("RACCORDO_E2E_KILLS", 100);
    println!("seed {seed}, {kills} kills");
    let mut federation = Federation::joined(PROGRAM, 2, &[]).await;
    let work = ['A', 'B'].map(|district| Workload {
        district,
        seed,
        records: 240,
        edits: 6,
    });
    let [a, b] = [0, 1].map(|index| federation.districts[index].node.http());
    let ended = Cell::new(false);
    let (written_a, written_b, imported_a, imported_b, ()) = tokio::join!(
        write(a.clone(), seed + 1, &ended),
        write(b.clone(), seed + 2, &ended),
        import(a, work[0].lines(), &ended),
        import(b, work[1].lines(), &ended),
        kill(&mut federation, seed, kills, &ended),
    );
    println!(
        "acknowledged: {} and {} writes, {imported_a} and {imported_b} lines",
        written_a.acknowledged.len(),
        written_b.acknowledged.len()
    );
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    let mut projects = 0;
    for (index, written, imported) in [(0, &written_a, imported_a), (1, &written_b, imported_b)] {
        projects += hold(&federation, index, written, &work[index], imported).await;
    }
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    the_overview_is_whole(&federation.coordination.overview().await, 2, projects);
}

/// What was acknowledged by a district is there, at both ends; returns its number of projects.
async fn hold(
    federation: &Federation,
    index: usize,
    written: &Written,
    work: &Workload,
    imported: usize,
) -> u64 {
    assert!(
        written.acknowledged.len() > 10 && imported > 10,
        "the test did some work"
    );
    let node = &federation.districts[index].node;
    let (here, there) = (node.local(), federation.coordination.local());
    written.acknowledged.survive_at(&here, &node.name).await;
    written
        .acknowledged
        .survive_at(&there, "the coordination")
        .await;
    let lines = &work.lines()[..imported];
    for chunk in chunks(lines) {
        let report = here.import(&chunk).await.expect("answered");
        assert_eq!(
            report["already_present"], report["lines"],
            "every acknowledged line is known: {report}"
        );
    }
    let records = every_record(&here, &node.territory).await;
    no_command_is_half(&records);
    no_command_is_half(&every_record(&there, &node.territory).await);
    let own = records
        .iter()
        .filter(|record| {
            record["ref"]
                .as_str()
                .is_some_and(|name| name.starts_with("W-"))
        })
        .count();
    let own = u64::try_from(own).expect("a count");
    assert!(
        (written.created..=written.attempted).contains(&own),
        "{own} records"
    );
    let listed = u64::try_from(records.len()).expect("a count");
    assert_eq!(node.overview().await["totals"]["projects"], listed);
    listed
}

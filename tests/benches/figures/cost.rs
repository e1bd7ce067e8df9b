//! What protection costs: sealing, the audit log, the decision who may do what; each against the same
//! without it in the same run.

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow, ensure};
use raccordo_node::access::{Grant, Role, may_read};
use raccordo_node::clock::SystemEntropy;
use raccordo_node::engine::Principal;
use raccordo_node::store::seal::{SealKey, Vault};
use raccordo_node::store::{Batch, Options, Store, Table};
use raccordo_tests::http::{Client, Connection};
use serde_json::json;

use super::bare::commit_alone;
use super::mix::{Mix, reference};
use super::nodes::{self, Place};
use super::processes::Process;
use super::rows;
use super::sheet::{self, Better, Floor};
use super::stopwatch::{Spread, Stopwatch, real};

/// Tables whose rows hold sealed bytes: what an edit writes in them is sealed anew.
const SEALED: [Table; 3] = [Table::Changes, Table::Rows, Table::Audit];
/// Commits of each sort.
const COMMITS: usize = 400;
/// Sealings and decisions that are timed together.
const AT_ONCE: usize = 20_000;
/// Requests of each sort.
const REQUESTS: u32 = 4_000;
const WARM: u32 = 200;

pub(crate) async fn measure(place: &Place, records: u32) -> anyhow::Result<()> {
    let data = place.free("cost")?;
    nodes::found(&data, Some('A'))?;
    let node = nodes::start(&data, true).await?;
    nodes::import(&node.engine(), Mix { records, seed: 1 }.lines()).await?;
    node.stop().await;
    let stored = rows::of_node(&data).await?;
    sealing(place, &stored)?;
    auditing(place, &stored)?;
    drop(stored);
    let process = Process::start(&data).await?;
    requests(&process).await?;
    process.stop()
}

/// An edit's durable commit with its rows sealed before it, and the same in plain; in turns.
fn sealing(place: &Place, stored: &[rows::Row]) -> anyhow::Result<()> {
    let vault = Vault::open(&place.free("cost-keys")?, [1; 8], &SystemEntropy)?;
    let (key, _) = vault.new_document_key([7; 16], &SystemEntropy);
    let folder = place.free("cost-sealing")?;
    commit_alone(&folder, rows::in_windows(stored, 1))?;
    let store = Store::open(&folder, &Options::default())?;
    let edits = rows::of_edits(stored, 2 * COMMITS, 1);
    let mut taken = [Vec::new(), Vec::new()];
    for (number, edit) in edits.into_iter().enumerate() {
        let is_sealed = number % 2 == 0;
        let watch = Stopwatch::start();
        let mut batch = Batch::new();
        for (table, row, value) in edit {
            let value = if is_sealed && SEALED.contains(&table) {
                sealed(&key, table, &value)
            } else {
                value
            };
            batch.put(table, row, value);
        }
        store.commit(batch)?;
        taken[usize::from(!is_sealed)].push(watch.millis());
    }
    let [sealed_ms, plain_ms] = taken.map(Spread::of);
    let floors = [floor("the same in plain", plain_ms.median())];
    let size = format!("{COMMITS} commits of each, in turns");
    sheet::spread(
        "cost of sealing: an edit's durable commit, three rows sealed",
        &size,
        "ms",
        &sealed_ms,
        &floors,
    );
    let value = vec![3; 400];
    let watch = Stopwatch::start();
    for _ in 0..AT_ONCE {
        std::hint::black_box(sealed(&key, Table::Changes, &value));
    }
    let each = watch.seconds() * 1e6 / real(AT_ONCE);
    sheet::single(
        "cost of sealing: one row of 400 bytes, no disk",
        &format!("{AT_ONCE} of them"),
        "us",
        each,
        &[floor(
            "the durable commit in plain",
            plain_ms.median() * 1e3,
        )],
    );
    Ok(())
}

fn sealed(key: &SealKey, table: Table, value: &[u8]) -> Vec<u8> {
    key.seal(table, [7; 16], &[0; 32], value, [5; 12])
}

/// Sixty-four events of the audit log in a commit of their own, as readings are written.
fn auditing(place: &Place, stored: &[rows::Row]) -> anyhow::Result<()> {
    const EVENTS: u64 = 64;
    let events = stored.iter().filter(|(table, _, _)| *table == Table::Audit);
    let event = events.map(|(_, _, value)| value.clone()).next_back();
    let event = event.context("an import is in the audit log")?;
    let event: Vec<u8> = event.into_iter().take(240).collect();
    let folder = place.free("cost-audit")?;
    commit_alone(&folder, rows::in_windows(stored, 1))?;
    let store = Store::open(&folder, &Options::default())?;
    let mut taken = [Vec::new(), Vec::new()];
    for round in 0..100_u64 {
        for (place, count) in [EVENTS, 1].into_iter().enumerate() {
            let mut batch = Batch::new();
            for number in 0..count {
                let seq = 1_000_000 + round * 2 * EVENTS + number + EVENTS * (place as u64);
                batch.put(Table::Audit, seq.to_be_bytes(), event.clone());
                let about = [
                    &b"u"[..],
                    &seq.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes(),
                ];
                batch.put(Table::Subjects, about.concat(), Vec::new());
            }
            let watch = Stopwatch::start();
            store.commit(batch)?;
            taken[place].push(watch.millis());
        }
    }
    let [together, alone] = taken.map(Spread::of);
    sheet::single(
        "cost of the audit log: one reading's row, written with 63 others",
        "100 commits of each",
        "ms",
        together.median() / 64.0,
        &[floor(
            "one row in a durable commit of its own",
            alone.median(),
        )],
    );
    Ok(())
}

/// Requests for records that are noted in the audit log and for records that are not, by who asks.
async fn requests(process: &Process) -> anyhow::Result<()> {
    let mut line = process.connect().await?;
    let (person, organisation) = (reference("person", 1), reference("organisation", 1));
    let person = format!("/api/v1/persons/{person}");
    let organisation = format!("/api/v1/organisations/{organisation}");
    let mut all: BTreeMap<&str, (Spread, f64)> = BTreeMap::new();
    for (name, path) in [
        ("nothing", "/healthz"),
        ("noted", person.as_str()),
        ("not noted", organisation.as_str()),
    ] {
        all.insert(name, asked(process, &mut line, path).await?);
    }
    let size = format!("{REQUESTS} readings of a record in the cache");
    let of = |name: &str| all.get(name).cloned().unwrap_or_default();
    let ((noted, noted_cpu), (plain, plain_cpu)) = (of("noted"), of("not noted"));
    sheet::spread(
        "cost of the audit log: reading a person, which is noted",
        &size,
        "ms",
        &noted,
        &[
            floor("reading an organisation, which is not", plain.median()),
            floor("a request that does nothing", of("nothing").0.median()),
        ],
    );
    sheet::single(
        "cost of the audit log: processor time of the same",
        &size,
        "us",
        noted_cpu,
        &[floor("reading an organisation, which is not", plain_cpu)],
    );
    decisions(process, &person, &noted).await
}

/// The decision alone, and a request of somebody who may read a part.
async fn decisions(process: &Process, person: &str, office: &Spread) -> anyhow::Result<()> {
    let worker = Principal {
        name: "anna".to_owned(),
        grants: vec![Grant {
            role: Role::SocialWorker,
            body: None,
        }],
        scopes: Vec::new(),
    };
    let kinds = ["person", "casefile", "contact", "project", "organisation"];
    let watch = Stopwatch::start();
    let mut allowed = 0;
    for number in 0..AT_ONCE {
        let kind = std::hint::black_box(kinds[number % kinds.len()]);
        allowed += usize::from(may_read(std::hint::black_box(&worker), kind));
    }
    let each = watch.seconds() * 1e6 / real(AT_ONCE);
    ensure!(allowed > 0, "a social worker reads something");
    sheet::single(
        "cost of the access decision, one",
        &format!("{AT_ONCE} of them, five kinds"),
        "us",
        each,
        &[floor(
            "reading a person, the whole request",
            office.median() * 1e3,
        )],
    );
    let status = process.look("/api/v1/status").await?;
    let address = status["node"]["http"].as_str();
    let address = address.context("a node says where it serves")?.parse()?;
    let mut all = Vec::new();
    for (name, role) in [("uno", "office"), ("due", "social_worker")] {
        let wanted = json!({"name": name, "roles": [{"role": role}]});
        let made = process.ask("/api/v1/local/tokens", &wanted).await?;
        let token = made["token"].as_str().context("a token is a text")?;
        let client = Client::at(address, Some(token));
        let mut line = client
            .connect()
            .await
            .map_err(|unanswered| anyhow!("{unanswered}"))?;
        all.push(asked(process, &mut line, person).await?.0);
    }
    let [whole, part] = all.as_slice() else {
        return Ok(());
    };
    sheet::spread(
        "reading a person by a token over TCP, as a social worker: section by section",
        &format!("{REQUESTS} readings of a record in the cache"),
        "ms",
        part,
        &[floor(
            "the same with every right of the office",
            whole.median(),
        )],
    );
    Ok(())
}

/// Milliseconds of each of many requests, and processor microseconds of the program for one.
async fn asked(
    process: &Process,
    line: &mut Connection,
    path: &str,
) -> anyhow::Result<(Spread, f64)> {
    let mut taken = Vec::new();
    let mut before = 0.0;
    for number in 0..WARM + REQUESTS {
        if number == WARM {
            before = process.processor_seconds();
        }
        let watch = Stopwatch::start();
        let answer = line.send("GET", path, &[], "").await;
        let answer = answer.map_err(|unanswered| anyhow!("{unanswered}"))?;
        if number >= WARM {
            taken.push(watch.millis());
        }
        ensure!(answer.status == 200, "{path}: {answer}");
    }
    let used = process.processor_seconds() - before;
    Ok((Spread::of(taken), used * 1e6 / f64::from(REQUESTS)))
}

fn floor(name: &'static str, value: f64) -> Floor {
    Floor {
        name,
        value,
        better: Better::Less,
    }
}

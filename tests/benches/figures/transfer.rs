//! A project handed over from one district to another through their coordination: from the offer
//! until the sender has heard of the acceptance and ended its own, person and casefile with it.
//!
//! The floor is what cannot be avoided one after the other: the durable commits and the ways.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use raccordo_config::Territory;
use raccordo_crdt_model::{DocumentId, Kind};
use raccordo_node::engine::{Arrival, CommandFailed, Engine, Event, Offer, Principal, RecordView};
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::edits::BareStore;
use super::mix;
use super::nodes::{self, EDITS, Place, delivered, sentence};
use super::quic::Line;
use super::rows;
use super::sheet::{self, Better, Floor};
use super::stopwatch::{Spread, Stopwatch};

/// Handed over before, so that everything is warm.
const WARM: usize = 3;
/// Rest between two: the nodes are idle when the next one begins.
const REST: Duration = Duration::from_millis(50);
/// Durable commits one after the other: offer, at the coordination, at the receiver, acceptance, at
/// the coordination, at the sender, and its project's end.
const COMMITS: f64 = 7.0;
/// Round trips: to the receiver and back, each over two links.
const ROUND_TRIPS: f64 = 2.0;
/// States in which a project may be handed over.
const OFFERED_IN: [&str; 8] = [
    "reported",
    "taken_in_charge",
    "assessment",
    "planning",
    "approval",
    "active",
    "review",
    "suspended",
];

/// Measures so many, at a sender that has so many casefiles of others.
pub(crate) async fn measure(place: &Place, count: u32, others: u32) -> anyhow::Result<()> {
    let wanted = usize::try_from(count)?;
    let (_, coordination) = nodes::fresh(place, "transfer-coordination", None, false).await?;
    let (data, sender) = nodes::fresh(place, "transfer-a", Some('A'), false).await?;
    // Some of them are closed at the end of their edits.
    let lines = nodes::workload('A', 2 * count + 16, EDITS).lines();
    nodes::import(&sender.engine(), lines).await?;
    nodes::import(&sender.engine(), mix::casefiles(others)).await?;
    let projects = with_persons(&sender.engine(), wanted + WARM).await?;
    sender.stop().await;
    let bare_rows = rows::of_node(&data).await?;
    let mut store = BareStore::fill(place, &bare_rows, 4 * wanted)?;
    let mut line = Line::open().await?;
    let sender = nodes::start(&data, false).await?;
    let (_, receiver) = nodes::fresh(place, "transfer-b", Some('B'), false).await?;
    let (above, from, to) = (coordination.engine(), sender.engine(), receiver.engine());
    for district in [&from, &to] {
        nodes::join(&above, district).await?;
        nodes::until("everything is delivered", REST, || delivered(district)).await?;
    }
    let mut taken = Taken::default();
    let (mut commits, mut round_trips) = (Vec::new(), Vec::new());
    for (index, project) in projects.into_iter().enumerate() {
        tokio::time::sleep(REST).await;
        let one = one(&from, &to, project).await?;
        if index >= WARM {
            taken.add(&one);
            commits.extend(store.commits_ms(2, Duration::ZERO).await?);
            round_trips.extend(line.round_trips_ms(2, Duration::ZERO).await?);
        }
    }
    let all = u64::from(2 * count + 16);
    // The coordination hears of the last end a moment after the sender.
    nodes::until("no project counts twice or not at all", REST, || {
        above.overview().totals.projects == all
    })
    .await?;
    drop((above, from, to));
    for node in [sender, receiver, coordination] {
        node.stop().await;
    }
    let floor =
        COMMITS * Spread::of(commits).median() + ROUND_TRIPS * Spread::of(round_trips).median();
    taken.print(floor, others);
    sheet::remark(&format!(
        "the coordination counts {all} projects, as before"
    ));
    Ok(())
}

/// Projects that may be handed over, each with a person and a casefile.
async fn with_persons(engine: &Engine, count: usize) -> anyhow::Result<Vec<DocumentId>> {
    let by = Principal::office("op-001");
    let made =
        |made: Result<RecordView, CommandFailed>| made.map_err(|failed| anyhow!(sentence(&failed)));
    let mut projects = Vec::new();
    let workload = nodes::workload('A', 0, 0);
    let mut number = 0;
    while projects.len() < count {
        let reference = workload.reference(number);
        number += 1;
        let id = engine.resolve(Kind::Project, &reference, None).await?;
        let record = engine.record(Kind::Project, id).await?;
        let state = record.fields["state"].as_str().unwrap_or_default();
        if !OFFERED_IN.contains(&state) {
            continue;
        }
        let person = json!({"ref": format!("P-{number}"), "given_name": "Ada",
            "family_name": "Prova", "born_on": "1980-01-01"});
        made(engine.create(Kind::Person, person, &by).await)?;
        let casefile = json!({"ref": format!("C-{number}"), "subject": format!("P-{number}"),
            "diary": {"d1": {"on": "2026-03-04", "text": "Primo colloquio."}},
            "projects": {"p1": {"project": id.to_string()}}});
        made(engine.create(Kind::Casefile, casefile, &by).await)?;
        projects.push(id);
    }
    Ok(projects)
}

/// When each part of one handing-over was done, in milliseconds from the offer's begin.
struct One {
    offered: f64,
    arrived: f64,
    accepted: f64,
    completed: f64,
}

#[derive(Default)]
struct Taken {
    offered: Vec<f64>,
    arrived: Vec<f64>,
    accepting: Vec<f64>,
    completed: Vec<f64>,
}

async fn one(from: &Engine, to: &Engine, project: DocumentId) -> anyhow::Result<One> {
    let by = Principal::office("op-001");
    let offer = Offer {
        project,
        to: Territory::parse("frosinone/b")?,
        reason: "residence".to_owned(),
        note: None,
        expires_on: None,
    };
    let (mut here, mut there) = (from.events(), to.events());
    let failed = |failed: CommandFailed| anyhow!(sentence(&failed));
    let watch = Stopwatch::start();
    let transfer = from.offer_transfer(offer, &by).await.map_err(failed)?;
    let offered = watch.millis();
    // With its preview: the receiver has opened what was sealed to it.
    let is_whole = |record: &Value| record["preview"].is_object();
    comes(to, &mut there, transfer.id, is_whole).await?;
    let arrived = watch.millis();
    to.accept_transfer(transfer.id, Arrival::Unsaid, &by)
        .await
        .map_err(failed)?;
    let accepted = watch.millis();
    let is_completed = |record: &Value| record["state"] == "completed";
    comes(from, &mut here, transfer.id, is_completed).await?;
    let completed = watch.millis();
    let old = from.record(Kind::Project, project).await?;
    if old.fields["state"] != "transferred" {
        bail!("completed, and the project is {}", old.fields["state"]);
    }
    let new = old.fields["links"]["next"].as_str();
    let new = DocumentId::parse(new.context("it names the one in its place")?)?;
    to.record(Kind::Project, new).await?;
    Ok(One {
        offered,
        arrived,
        accepted,
        completed,
    })
}

/// Returns when a node shows the transfer so.
async fn comes(
    engine: &Engine,
    events: &mut Receiver<Event>,
    transfer: DocumentId,
    is_so: impl Fn(&Value) -> bool,
) -> anyhow::Result<()> {
    loop {
        if let Ok(record) = engine.record(Kind::Transfer, transfer).await
            && is_so(&record.fields)
        {
            return Ok(());
        }
        loop {
            match events.recv().await {
                Ok(Event::Record { id, .. }) if id == transfer => break,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => bail!("the node ended"),
            }
        }
    }
}

impl Taken {
    fn add(&mut self, one: &One) {
        self.offered.push(one.offered);
        self.arrived.push(one.arrived);
        self.accepting.push(one.accepted - one.arrived);
        self.completed.push(one.completed);
    }

    fn print(self, floor: f64, others: u32) {
        let completed = Spread::of(self.completed);
        sheet::spread(
            "transfer end to end, from the offer to its completion at the sender",
            &format!(
                "projects of {EDITS} edits with a person and a casefile, {} of them; {others} casefiles beside",
                completed.count()
            ),
            "ms",
            &completed,
            &[Floor {
                name: "seven bare durable commits + two bare QUIC round trips",
                value: floor,
                better: Better::Less,
            }],
        );
        sheet::remark(&format!(
            "durably offered {:.2} ms, previewed at the receiver {:.2} ms, accepting {:.2} ms (p50)",
            Spread::of(self.offered).median(),
            Spread::of(self.arrived).median(),
            Spread::of(self.accepting).median(),
        ));
    }
}

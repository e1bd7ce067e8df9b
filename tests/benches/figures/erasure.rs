//! A subject forgotten: from the order until every node that held something has answered and the
//! certificate says so.
//!
//! The floor is what cannot be avoided one after the other: a commit at the office, one at the node
//! that answers last, and the way there and back.

use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use raccordo_crdt_model::{DocumentId, Kind};
use raccordo_node::engine::{CommandFailed, Engine, Principal, ReceiptState};
use serde_json::{Value, json};

use super::edits::BareStore;
use super::mix::{Mix, size};
use super::nodes::{self, Place, delivered, sentence};
use super::quic::Line;
use super::rows;
use super::sheet::{self, Better, Floor};
use super::stopwatch::{Spread, Stopwatch};

/// Erased before, so that everything is warm.
const WARM: usize = 3;
/// Rest before each order, and between two looks at its certificate.
const REST: Duration = Duration::from_millis(50);
const LOOK: Duration = Duration::from_micros(500);

/// Erases so many subjects at an office that holds so many records.
pub(crate) async fn measure(place: &Place, count: u32, records: u32) -> anyhow::Result<()> {
    let wanted = usize::try_from(count)?;
    let (data, office) = nodes::fresh(place, "erasure-office", Some('A'), true).await?;
    nodes::import(&office.engine(), Mix { records, seed: 1 }.lines()).await?;
    office.stop().await;
    let bare_rows = rows::of_node(&data).await?;
    let mut store = BareStore::fill(place, &bare_rows, 2 * wanted + 8)?;
    drop(bare_rows);
    let mut line = Line::open().await?;
    let office = nodes::start(&data, false).await?;
    let (_, coordination) = nodes::fresh(place, "erasure-coordination", None, false).await?;
    let (_, laptop) = nodes::fresh(place, "erasure-laptop", Some('A'), false).await?;
    let (own, above, beside) = (office.engine(), coordination.engine(), laptop.engine());
    nodes::join(&above, &own).await?;
    nodes::join(&own, &beside).await?;
    nodes::until("everything is delivered", REST, || {
        delivered(&own) && settled(&own)
    })
    .await?;
    let (mut ordered, mut complete) = (Vec::new(), Vec::new());
    let (mut commits, mut round_trips) = (Vec::new(), Vec::new());
    for number in 0..WARM + wanted {
        let person = subject(&own, number).await?;
        nodes::until("the subject is everywhere", REST, || {
            delivered(&own) && settled(&own)
        })
        .await?;
        tokio::time::sleep(REST).await;
        let (order_ms, complete_ms) = forget(&own, person).await?;
        if number >= WARM {
            ordered.push(order_ms);
            complete.push(complete_ms);
            commits.extend(store.commits_ms(2, Duration::ZERO).await?);
            round_trips.extend(line.round_trips_ms(1, Duration::ZERO).await?);
        }
    }
    drop((own, above, beside));
    for node in [laptop, office, coordination] {
        node.stop().await;
    }
    let way = Spread::of(round_trips).median();
    tell(
        (count, records),
        [ordered, complete],
        (Spread::of(commits).median(), way),
    );
    Ok(())
}

fn tell((count, records): (u32, u32), taken: [Vec<f64>; 2], (commit, way): (f64, f64)) {
    let [ordered, complete] = taken;
    let floors = |name, value| {
        [Floor {
            name,
            value,
            better: Better::Less,
        }]
    };
    let size = format!(
        "{count} subjects: person, casefile, contact, two projects; {}",
        size(records)
    );
    sheet::spread(
        "erasure of a subject: keys destroyed, durable at the office",
        &size,
        "ms",
        &Spread::of(ordered),
        &floors("a bare durable commit", commit),
    );
    sheet::spread(
        "erasure of a subject, from the order to the certificate with both nodes' receipts",
        &size,
        "ms",
        &Spread::of(complete),
        &floors(
            "two bare durable commits + a bare QUIC round trip",
            2.0 * commit + way,
        ),
    );
}

/// Whether every peer has acknowledged all that is for it.
fn settled(engine: &Engine) -> bool {
    let peers = engine.peers();
    let connected = peers.iter().filter(|peer| peer.state == "connected");
    connected.clone().count() == 2 && connected.into_iter().all(|peer| peer.to_send == 0)
}

/// A person with a contact, and two projects, which open a casefile.
async fn subject(engine: &Engine, number: usize) -> anyhow::Result<DocumentId> {
    let by = Principal::office("op-001");
    let create = async |kind: Kind, fields: Value| {
        let made: Result<_, CommandFailed> = engine.create(kind, fields, &by).await;
        made.map_err(|failed| anyhow!(sentence(&failed)))
    };
    let name = format!("Z-{number}");
    let fields =
        json!({"ref": name, "family_name": "Prova", "given_name": "Ada", "born_on": "1980-01-01"});
    let person = create(Kind::Person, fields).await?;
    let fields =
        json!({"ref": format!("ZK-{number}"), "on": "2026-03-04", "person": name, "asked": "casa"});
    create(Kind::Contact, fields).await?;
    for project in 0..2 {
        let fields = json!({"ref": format!("ZF-{number}-{project}"), "need_area": "POV", "opened_on": "2026-03-04",
            "subject": {"kind": "person", "person": name}});
        create(Kind::Project, fields).await?;
    }
    Ok(person.id)
}

/// Milliseconds until the order is durable, and until its certificate has every node's receipt. The key
/// that wraps keys is replaced seconds later, for several erasures at once.
async fn forget(engine: &Engine, person: DocumentId) -> anyhow::Result<(f64, f64)> {
    let by = Principal::office("op-001");
    let watch = Stopwatch::start();
    let erased = engine.erase_subject(Kind::Person, person, "su richiesta", &by);
    let erased = erased.await.map_err(|failed| anyhow!(sentence(&failed)))?;
    let ordered = watch.millis();
    ensure!(erased.covered.len() == 4, "{erased:?}");
    let order = erased.order.context("there is an order")?.to_string();
    loop {
        let certificate = engine.certificate(&order).await;
        let certificate = certificate.map_err(|failed| anyhow!(sentence(&failed)))?;
        let receipts = certificate.records.iter();
        let receipts: Vec<_> = receipts.flat_map(|record| &record.receipts).collect();
        let given = receipts
            .iter()
            .all(|receipt| receipt.state == ReceiptState::Delivered);
        if given {
            ensure!(
                receipts.len() >= 7,
                "five at the laptop, two at the coordination: {certificate:?}"
            );
            return Ok((ordered, watch.millis()));
        }
        tokio::time::sleep(LOOK).await;
    }
}

//! Members that sign what must not be.

use std::net::SocketAddr;

use raccordo_tests::chance::Chance;
use raccordo_tests::eventually::{eventually, seen};
use raccordo_tests::federation::Federation;
use raccordo_tests::forger::Forger;
use raccordo_tests::stranger::{Stranger, seed_of};
use raccordo_tests::workload::{project, some_day};
use raccordo_transport::{EntryKind, PeerId, SignedEntry};
use serde_json::Value;

use crate::PROGRAM;

const DOCUMENT: [u8; 16] = [7; 16];

fn fields() -> Value {
    project(&mut Chance::new(1), Some("FR-X-1"), some_day())
}

/// Logs that must be refused, each with what is wrong with it; signed by the member of this seed.
fn hostile_logs(seed: [u8; 32]) -> Vec<(&'static str, Vec<SignedEntry>)> {
    let forger = || Forger::new(seed);
    let change = EntryKind::Change;
    let good = forger().project(DOCUMENT, "frosinone/a", &fields());
    let other = project(&mut Chance::new(2), Some("FR-X-1"), some_day());
    let again = forger().project(DOCUMENT, "frosinone/a", &other);
    let mut cut = good.clone();
    cut.truncate(cut.len() / 2);
    let foreign = forger().project(DOCUMENT, "frosinone/z", &fields());
    let posing = forger().project_under(DOCUMENT, "frosinone/a", &fields(), [9; 8]);
    vec![
        (
            "bytes that are no change",
            forger().entry(change, DOCUMENT, vec![0xAA; 200]).log(),
        ),
        ("half a change", forger().entry(change, DOCUMENT, cut).log()),
        (
            "a project of another territory",
            forger().entry(change, DOCUMENT, foreign).log(),
        ),
        (
            "a change under another node's actor",
            forger().entry(change, DOCUMENT, posing).log(),
        ),
        (
            "a fact about members",
            forger()
                .entry(EntryKind::Roster, [0; 16], vec![1; 80])
                .log(),
        ),
        (
            "a document that begins twice",
            forger()
                .entry(change, DOCUMENT, good)
                .entry(change, DOCUMENT, again)
                .log(),
        ),
    ]
}

/// Puts a district's node out of service and offers this log in its name.
async fn in_its_name(
    federation: &Federation,
    index: usize,
    log: Vec<SignedEntry>,
) -> Result<(), String> {
    let status = federation
        .coordination
        .local()
        .look("/api/v1/status")
        .await?;
    let listen: Option<SocketAddr> = status["node"]["listen"]
        .as_str()
        .and_then(|listen| listen.parse().ok());
    let peer: Option<PeerId> = status["node"]["id"].as_str().and_then(|id| id.parse().ok());
    let (listen, peer) = listen.zip(peer).ok_or("the coordination does not run")?;
    let ghost = Stranger::offering(seed_of(&federation.districts[index].node.data), log);
    let reason = ghost.dial(listen, peer).await;
    Err(format!("the link ended: {reason}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_member_signs_and_must_not_be_stops_its_log_and_nothing_else() {
    let cases = hostile_logs([0; 32]).len();
    // One case after another in the name of the first district; the second goes on all the while.
    for case in 0..cases {
        let mut federation = Federation::joined(PROGRAM, 2, &[]).await;
        federation.districts[0].node.stop().await;
        let seed = seed_of(&federation.districts[0].node.data);
        let (wrong, log) = hostile_logs(seed).swap_remove(case);
        let what = format!("{wrong}: the log is stopped");
        let stopped = eventually(&what, async || {
            let peer = federation.peer(0).await;
            seen(
                peer["state"] == "quarantined" && peer["problem"].is_string(),
                || peer.to_string(),
            )
        });
        let offering = in_its_name(&federation, 0, log);
        tokio::pin!(stopped);
        tokio::select! { () = &mut stopped => {} _ = offering => stopped.await }
        let made = federation.districts[1]
            .node
            .http()
            .post("/api/v1/projects", &fields())
            .await;
        assert_eq!(made.status, 201, "{made}");
        eventually("the other district goes on", async || {
            let part = federation.territory(1).await?;
            seen(
                part["projects"]["total"] == 1 && part["state"] == "current",
                || part.to_string(),
            )
        })
        .await;
        let kept = federation.territory(0).await.expect("listed")["projects"]["total"].as_u64();
        assert!(
            kept <= Some(u64::from(wrong.contains("begins twice"))),
            "{wrong}: {kept:?} projects were kept"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_well_made_entry_of_the_same_forger_goes_in() {
    let mut federation = Federation::joined(PROGRAM, 1, &[]).await;
    federation.districts[0].node.stop().await;
    let forger = Forger::new(seed_of(&federation.districts[0].node.data));
    let body = forger.project(DOCUMENT, "frosinone/a", &fields());
    let arrived = eventually("the project arrives", async || {
        let part = federation.territory(0).await?;
        seen(part["projects"]["total"] == 1, || part.to_string())
    });
    let offering = in_its_name(
        &federation,
        0,
        forger.entry(EntryKind::Change, DOCUMENT, body).log(),
    );
    tokio::select! { () = arrived => {} ended = offering => assert_eq!(ended, Ok(())) }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_command_is_never_shown() {
    let mut federation = Federation::joined(PROGRAM, 1, &[]).await;
    federation.districts[0].node.stop().await;
    let forger = Forger::new(seed_of(&federation.districts[0].node.data));
    let body = forger.project(DOCUMENT, "frosinone/a", &fields());
    let offering = in_its_name(
        &federation,
        0,
        forger.part(EntryKind::Change, DOCUMENT, body, 2).log(),
    );
    let looked = async {
        let heard = federation.peer(0).await["stream_bytes_received"].clone();
        eventually("the entry arrived", async || {
            let peer = federation.peer(0).await;
            let arrived = peer["stream_bytes_received"].as_u64() > heard.as_u64().max(Some(1000));
            seen(arrived || peer["state"] == "quarantined", || {
                peer.to_string()
            })
        })
        .await;
        federation.territory(0).await.expect("listed")
    };
    let part =
        tokio::select! { part = looked => part, ended = offering => unreachable!("{ended:?}") };
    assert_eq!(part["projects"]["total"], 0, "{part}");
    assert_eq!(part["seq"], 0, "{part}");
}

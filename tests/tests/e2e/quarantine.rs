//! A refused entry waits for an administrator, who sees it, tries again, or goes on without it.

use raccordo_tests::chance::Chance;
use raccordo_tests::eventually::{eventually, seen};
use raccordo_tests::federation::Federation;
use raccordo_tests::forger::Forger;
use raccordo_tests::stranger::{Stranger, seed_of};
use raccordo_tests::workload::{project, some_day};
use raccordo_transport::{EntryKind, SignedEntry};
use serde_json::Value;

use crate::PROGRAM;

/// Offers this log in the name of the first district, whose node is out of service, until
/// something else ends.
async fn in_its_name(federation: &Federation, log: &[SignedEntry]) {
    let seed = seed_of(&federation.districts[0].node.data);
    let ghost = Stranger::offering(seed, log.to_vec());
    loop {
        let status = federation.coordination.status().await;
        let listen = status["node"]["listen"].as_str().expect("it runs").parse();
        let peer = status["node"]["id"].as_str().expect("it runs").parse();
        ghost
            .dial(listen.expect("an address"), peer.expect("an id"))
            .await;
    }
}

async fn quarantine(federation: &Federation) -> Vec<Value> {
    let listed = federation
        .coordination
        .cli(&["quarantine", "list", "--json"])
        .await
        .expect(0)
        .json();
    listed["items"].as_array().cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_entry_is_shown_with_its_signature_and_discarded_on_request() {
    let mut federation = Federation::joined(PROGRAM, 1, &[]).await;
    federation.districts[0].node.stop().await;
    let forger = Forger::new(seed_of(&federation.districts[0].node.data));
    let fields = |seed| project(&mut Chance::new(seed), None, some_day());
    let (first, third) = ([7; 16], [8; 16]);
    let one = forger.project(first, "frosinone/a", &fields(1));
    let three = forger.project(third, "frosinone/a", &fields(2));
    let log = forger
        .entry(EntryKind::Change, first, one)
        .entry(EntryKind::Change, [9; 16], vec![0xAA; 200])
        .entry(EntryKind::Change, third, three)
        .log();

    let stopped = eventually("the entry is in quarantine", async || {
        let kept = quarantine(&federation).await;
        seen(kept.len() == 1, || format!("{kept:?}"))
    });
    tokio::select! { () = stopped => {} () = in_its_name(&federation, &log) => {} }
    let kept = quarantine(&federation).await;
    let id = kept[0]["id"].as_str().expect("an id").to_owned();
    assert!(id.ends_with("/0/2"), "{id}");
    assert_eq!(kept[0]["territory"], "frosinone/a");
    let coordination = &federation.coordination;
    let shown = coordination
        .cli(&["quarantine", "show", &id, "--json"])
        .await
        .expect(0)
        .json();
    let signature = log[1].signature.map(|byte| format!("{byte:02x}")).concat();
    assert_eq!(shown["entries"][0]["signature"], signature.as_str());
    // What no signature covers, a constant and a check sum, stands as the signed hash wants it.
    let sum: [u8; 4] = log[1].header.body_hash[..4].try_into().expect("of 32");
    let sum = sum.map(|byte| format!("{byte:02x}")).concat();
    let body = format!("856f4a83{sum}{}", "aa".repeat(192));
    assert_eq!(shown["entries"][0]["body"], body.as_str());
    let peer = federation.peer(0).await;
    assert_eq!(peer["state"], "quarantined", "{peer}");
    assert_eq!(peer["stopped"][0]["code"], "refused", "{peer}");
    let explained = coordination
        .cli(&["peer", "explain", peer["id"].as_str().expect("an id")])
        .await
        .expect(0);
    assert!(
        explained.stdout.contains(&format!("quarantine show {id}")),
        "{explained}"
    );

    coordination
        .cli(&["quarantine", "retry", &id])
        .await
        .refused(&["refused"]);
    coordination
        .cli(&["quarantine", "discard", &id, "--reason", "guasto"])
        .await
        .expect(0)
        .line();
    assert!(quarantine(&federation).await.is_empty());
    let arrived = eventually("what comes behind it goes in", async || {
        let part = federation.territory(0).await?;
        seen(part["projects"]["total"] == 2 && part["seq"] == 3, || {
            part.to_string()
        })
    });
    tokio::select! { () = arrived => {} () = in_its_name(&federation, &log) => {} }
    let peer = federation.peer(0).await;
    assert_ne!(peer["state"], "quarantined", "{peer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn quarantine_survives_a_restart_and_nothing_more_of_that_log_goes_in() {
    let mut federation = Federation::joined(PROGRAM, 1, &[]).await;
    federation.districts[0].node.stop().await;
    let forger = Forger::new(seed_of(&federation.districts[0].node.data));
    let good = forger.project(
        [7; 16],
        "frosinone/a",
        &project(&mut Chance::new(1), None, some_day()),
    );
    let log = forger
        .entry(EntryKind::Change, [9; 16], vec![0xAA; 200])
        .entry(EntryKind::Change, [7; 16], good)
        .log();
    let stopped = eventually("the entry is in quarantine", async || {
        let kept = quarantine(&federation).await;
        seen(kept.len() == 1, || format!("{kept:?}"))
    });
    tokio::select! { () = stopped => {} () = in_its_name(&federation, &log) => {} }
    federation.coordination.kill().await;
    federation.start_coordination().await;
    assert_eq!(quarantine(&federation).await.len(), 1);
    let heard = eventually("the same log is offered again", async || {
        let peer = federation.peer(0).await;
        let bytes = peer["stream_bytes_received"].as_u64();
        seen(bytes > Some(0), || peer.to_string())
    });
    tokio::select! { () = heard => {} () = in_its_name(&federation, &log) => {} }
    let part = federation.territory(0).await.expect("listed");
    assert_eq!(part["projects"]["total"], 0, "{part}");
    assert_eq!(federation.peer(0).await["state"], "quarantined");
}

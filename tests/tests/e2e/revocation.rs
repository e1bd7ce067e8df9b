//! Who may speak with the coordination, and who no longer may.

use std::time::Duration;

use raccordo_tests::chance::Chance;
use raccordo_tests::eventually::{eventually, never, seen, within};
use raccordo_tests::federation::{Federation, upstream};
use raccordo_tests::invariants::districts_and_coordination_come_to_hold_the_same;
use raccordo_tests::stranger::{Stranger, seed_of};
use raccordo_tests::workload::{project, some_day};
use raccordo_transport::{CloseReason, PeerId, Versions};
use serde_json::Value;

use crate::PROGRAM;

/// How soon a revoked peer's connection must be closed.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);

async fn peer_id(federation: &Federation) -> PeerId {
    federation
        .coordination
        .id()
        .await
        .parse()
        .expect("an id is 64 hex digits")
}

async fn listen(federation: &Federation) -> std::net::SocketAddr {
    let status = federation.coordination.status().await;
    status["node"]["listen"]
        .as_str()
        .and_then(|listen| listen.parse().ok())
        .expect("a running node listens")
}

/// Datagrams sent by the district's attempts to come back, until there were several more.
async fn several_attempts(federation: &Federation) {
    let relay = &federation.districts[0].relay;
    let before = relay.arrived();
    eventually("the district tries again and again", async || {
        seen(relay.arrived() >= before + 4, || {
            format!("{} datagrams", relay.arrived() - before)
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_peer_is_cut_off_at_once_and_never_comes_back() {
    let mut federation = Federation::joined(PROGRAM, 2, &[]).await;
    let office = federation.districts[0].node.http();
    let record = project(&mut Chance::new(1), Some("FR-A-1"), some_day());
    office.post("/api/v1/projects", &record).await.expect(201);
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    let id = federation.districts[0].node.id().await;
    let revoked = federation
        .coordination
        .cli(&["peer", "revoke", &id[..10], "--reason", "laptop lost"])
        .await;
    assert_eq!(revoked.code, 0, "{revoked}");
    within(CLOSED_WITHIN, "the connection is closed", async || {
        let link = upstream(
            &federation.districts[0]
                .node
                .local()
                .look("/api/v1/status")
                .await?,
        );
        seen(link["state"] == "revoked", || link.to_string())
    })
    .await;
    assert_eq!(federation.peer(0).await["state"], "revoked");
    let contact = federation.peer(0).await["last_contact"].clone();
    let part = federation
        .territory(0)
        .await
        .expect("a revoked territory stays listed");
    assert_eq!(part["member"], "revoked", "{part}");

    let record = project(&mut Chance::new(2), Some("FR-A-2"), some_day());
    office.post("/api/v1/projects", &record).await.expect(201);
    several_attempts(&federation).await;
    federation.districts[0].node.stop().await;
    federation.districts[0].node.start().await;
    several_attempts(&federation).await;
    let peer = federation.peer(0).await;
    assert_eq!(peer["state"], "revoked", "{peer}");
    assert_eq!(peer["last_contact"], contact, "{peer}");
    let link = federation.link(0).await;
    assert!(
        link["state"] == "revoked" || link["state"] == "refused",
        "{link}"
    );
    assert!(link["problem"].is_string(), "it says why: {link}");
    assert_eq!(
        federation.territory(0).await.expect("listed")["projects"]["total"],
        1,
        "nothing more came"
    );
    assert_eq!(
        federation.peer(1).await["state"],
        "connected",
        "others are not concerned"
    );
    let explained = federation.districts[0]
        .node
        .cli(&["peer", "explain", &peer_id(&federation).await.to_string()])
        .await;
    assert!(explained.expect(0).line().len() > 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_peer_stays_out_when_the_coordination_starts_again() {
    let mut federation = Federation::joined(PROGRAM, 1, &[]).await;
    let id = federation.districts[0].node.id().await;
    federation
        .coordination
        .cli(&["peer", "revoke", &id, "--reason", "left"])
        .await
        .expect(0)
        .line();
    federation.coordination.kill().await;
    federation.start_coordination().await;
    several_attempts(&federation).await;
    assert_eq!(federation.peer(0).await["state"], "revoked");
    // With the key itself in hand, and whatever address: the handshake refuses it.
    federation.districts[0].node.stop().await;
    let ghost = Stranger::new(seed_of(&federation.districts[0].node.data));
    let reason = ghost
        .dial(listen(&federation).await, peer_id(&federation).await)
        .await;
    assert!(matches!(reason, CloseReason::Refused { .. }), "{reason:?}");
    assert!(!ghost.was_connected());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_never_gets_past_the_handshake() {
    let federation = Federation::joined(PROGRAM, 1, &[]).await;
    let before = federation.coordination.status().await["peers"]
        .as_array()
        .map(Vec::len);
    for seed in 0..5 {
        let stranger = Stranger::new([200 + seed; 32]);
        let reason = stranger
            .dial(listen(&federation).await, peer_id(&federation).await)
            .await;
        assert!(matches!(reason, CloseReason::Refused { .. }), "{reason:?}");
        assert!(!stranger.was_connected());
    }
    let district: PeerId = federation.districts[0]
        .node
        .id()
        .await
        .parse()
        .expect("an id");
    let at = federation.districts[0].node.status().await["node"]["listen"]
        .as_str()
        .and_then(|at| at.parse().ok());
    let reason = Stranger::new([9; 32])
        .dial(at.expect("a running node listens"), district)
        .await;
    assert!(
        matches!(reason, CloseReason::Refused { .. }),
        "a district takes no strangers either: {reason:?}"
    );
    assert_eq!(
        federation.coordination.status().await["peers"]
            .as_array()
            .map(Vec::len),
        before
    );
    assert_eq!(
        federation.peer(0).await["state"],
        "connected",
        "the others did not notice"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_poses_as_the_coordination_gets_nothing() {
    let mut federation = Federation::joined(PROGRAM, 1, &[]).await;
    federation.coordination.stop().await;
    let impostor = Stranger::new([77; 32]);
    federation.districts[0].relay.lead_to(impostor.address());
    let serving = impostor.serve();
    let refused = eventually("the district refuses the impostor", async || {
        let link = upstream(
            &federation.districts[0]
                .node
                .local()
                .look("/api/v1/status")
                .await?,
        );
        seen(link["state"] == "refused", || link.to_string())
    });
    tokio::select! { () = refused => {} () = serving => {} }
    assert!(!impostor.was_connected());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_node_gets_nothing_until_it_is_approved_and_then_everything_without_a_restart() {
    let mut federation = Federation::found(PROGRAM, 1, &[]).await;
    federation.start().await;
    let office = federation.districts[0].node.http();
    let record = project(&mut Chance::new(2), Some("FR-A-1"), some_day());
    let created = office
        .post("/api/v1/projects", &record)
        .await
        .expect(201)
        .json();
    assert_eq!(
        created["_meta"]["delivery"]["state"], "saved",
        "no peer yet: {created}"
    );
    let invitation = federation.invitation(0, &[]).await;
    let joined = federation.districts[0]
        .node
        .cli(&["join", &invitation, "--json"])
        .await
        .expect(0)
        .json();
    assert_eq!(joined["state"], "pending", "{joined}");
    let pending = federation
        .coordination
        .cli(&["peer", "pending", "--json"])
        .await
        .expect(0)
        .json();
    let id = federation.districts[0].node.id().await;
    assert_eq!(pending["items"][0]["id"], id.as_str(), "{pending}");
    nothing_flows_while_pending(&federation).await;
    federation
        .coordination
        .cli(&["peer", "approve", &id[..8]])
        .await
        .expect(0)
        .line();
    federation.connected(0).await;
    eventually("the record made before joining is delivered", async || {
        let delivery: Value =
            office.look("/api/v1/projects/FR-A-1").await?["_meta"]["delivery"].clone();
        seen(delivery["state"] == "delivered", || delivery.to_string())
    })
    .await;
    assert_eq!(
        federation.territory(0).await.expect("listed")["projects"]["total"],
        1
    );
}

/// The district knows its state, and the coordination takes nothing from it.
async fn nothing_flows_while_pending(federation: &Federation) {
    eventually("the district knows that it is pending", async || {
        let link = upstream(
            &federation.districts[0]
                .node
                .local()
                .look("/api/v1/status")
                .await?,
        );
        seen(
            link["state"] == "pending" && link["problem"].is_string(),
            || link.to_string(),
        )
    })
    .await;
    never(
        Duration::from_secs(2),
        "nothing goes to or comes from a pending node",
        async || {
            let peer = federation.peer(0).await;
            seen(
                peer["state"] == "pending"
                    && federation.coordination.status().await["store"]["documents"] == 0,
                || peer.to_string(),
            )
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_peer_is_cut_off_and_comes_back_when_resumed() {
    let federation = Federation::joined(PROGRAM, 1, &[]).await;
    let id = federation.districts[0].node.id().await;
    federation
        .coordination
        .cli(&["peer", "suspend", &id])
        .await
        .expect(0)
        .line();
    within(CLOSED_WITHIN, "the link is closed", async || {
        let link = upstream(
            &federation.districts[0]
                .node
                .local()
                .look("/api/v1/status")
                .await?,
        );
        seen(link["state"] == "suspended", || link.to_string())
    })
    .await;
    let told = federation.coordination.cli(&["peer", "resume", &id]).await;
    let told = told.expect(0);
    let told = told.line();
    assert!(!told.contains("suspended"), "{told}");
    federation.connected(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_of_another_protocol_version_is_told_so_and_the_rest_goes_on() {
    let mut federation = Federation::joined(PROGRAM, 2, &[]).await;
    let coordination = peer_id(&federation).await;
    federation.districts[0].node.stop().await;
    let future = Versions {
        major: 2,
        minor_min: 0,
        minor_max: 3,
    };
    let newer = Stranger::speaking(seed_of(&federation.districts[0].node.data), future);
    let reason = newer.dial(listen(&federation).await, coordination).await;
    let CloseReason::Version { theirs, .. } = reason else {
        unreachable!("{reason:?}")
    };
    assert_eq!(theirs, Some(Versions::CURRENT));
    eventually(
        "the coordination says which version is the problem",
        async || {
            let peer = federation.peer(0).await;
            let problem = peer["problem"].as_str().unwrap_or_default();
            seen(problem.contains("version") && problem.contains('2'), || {
                peer.to_string()
            })
        },
    )
    .await;
    assert_eq!(
        federation.peer(1).await["state"],
        "connected",
        "others are not concerned"
    );
    // And the other way round: the coordination is the newer one.
    federation.coordination.stop().await;
    let newer = Stranger::speaking(seed_of(&federation.coordination.data), future);
    federation.districts[1].relay.lead_to(newer.address());
    let told = eventually(
        "the district says which version is the problem",
        async || {
            let link = upstream(
                &federation.districts[1]
                    .node
                    .local()
                    .look("/api/v1/status")
                    .await?,
            );
            let problem = link["problem"].as_str().unwrap_or_default();
            seen(
                link["state"] == "refused" && problem.contains("version"),
                || link.to_string(),
            )
        },
    );
    tokio::select! { () = told => {} () = newer.serve() => {} }
}

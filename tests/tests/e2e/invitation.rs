//! Invitations: one use, one territory, a limited time, and one clear sentence otherwise.

use raccordo_config::Invitation;
use raccordo_tests::eventually::eventually;
use raccordo_tests::federation::Federation;

use crate::PROGRAM;

async fn started(districts: usize) -> Federation {
    let mut federation = Federation::found(PROGRAM, districts, &[]).await;
    federation.start().await;
    federation
}

async fn refused(federation: &Federation, index: usize, invitation: &str, words: &[&str]) {
    let node = &federation.districts[index].node;
    node.cli(&["join", invitation]).await.refused(words);
    let status = node.status().await;
    assert_eq!(
        status["peers"].as_array().map(Vec::len),
        Some(0),
        "a failed join keeps nothing: {status}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_for_one_node_once() {
    let mut federation = started(1).await;
    let invitation = federation.invitation(0, &["--approved"]).await;
    federation.districts[0]
        .node
        .cli(&["join", &invitation])
        .await
        .expect(0)
        .line();
    federation.connected(0).await;
    // The same node may ask again: its first answer may have been lost.
    federation.districts[0]
        .node
        .cli(&["join", &invitation])
        .await
        .expect(0)
        .line();
    // A second node of the same territory needs its own.
    federation.found_district("a2", "frosinone/a").await;
    federation.districts[1].node.start().await;
    refused(&federation, 1, &invitation, &["used"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_for_one_territory_and_role() {
    let federation = started(2).await;
    let for_a = federation.invitation(0, &[]).await;
    refused(&federation, 1, &for_a, &["frosinone/a"]).await;
    federation.districts[0]
        .node
        .cli(&["join", &for_a])
        .await
        .expect(0)
        .line();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_invitation_opens_nothing() {
    let federation = started(1).await;
    let invitation = federation.invitation(0, &["--expires", "1s"]).await;
    let expires_at_s = Invitation::parse(&invitation)
        .expect("an invitation")
        .expires_at_s;
    eventually("its time is over", async || {
        let clock =
            std::fs::metadata(federation.lab.file("clock", "")).and_then(|facts| facts.modified());
        let now_s = clock
            .ok()
            .and_then(|now| now.duration_since(std::time::UNIX_EPOCH).ok())
            .map_or(0, |now| now.as_secs());
        if now_s > expires_at_s + 1 {
            Ok(())
        } else {
            Err(format!("{now_s} of {expires_at_s}"))
        }
    })
    .await;
    refused(&federation, 0, &invitation, &["expired"]).await;
    // Whoever changes the date in the text is told the same by the coordination.
    let later = Invitation {
        expires_at_s: expires_at_s + 3600,
        ..Invitation::parse(&invitation).expect("an invitation")
    };
    refused(&federation, 0, &later.encode(), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_is_no_invitation_is_refused_with_the_reason() {
    let federation = started(1).await;
    let invitation = federation.invitation(0, &[]).await;
    refused(&federation, 0, "hello", &["rac1"]).await;
    refused(
        &federation,
        0,
        &invitation[..invitation.len() - 9],
        &["copy it again"],
    )
    .await;
    let forged = Invitation {
        secret: [3; 16],
        ..Invitation::parse(&invitation).expect("an invitation")
    };
    refused(&federation, 0, &forged.encode(), &["invitation"]).await;
    federation.districts[0]
        .node
        .cli(&["join", &invitation])
        .await
        .expect(0)
        .line();
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_an_unreachable_coordination_keeps_nothing_and_works_later() {
    let mut federation = started(1).await;
    let invitation = federation.invitation(0, &["--approved"]).await;
    federation.coordination.stop().await;
    refused(&federation, 0, &invitation, &["reach"]).await;
    federation.start_coordination().await;
    federation.districts[0]
        .node
        .cli(&["join", &invitation])
        .await
        .expect(0)
        .line();
    federation.connected(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_at_rest_joins_and_connects_when_it_starts() {
    let mut federation = Federation::found(PROGRAM, 1, &[]).await;
    federation.start_coordination().await;
    federation.join(0).await;
    federation.districts[0].node.start().await;
    federation.connected(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_district_invites_nobody() {
    let federation = started(1).await;
    let tried = federation.districts[0]
        .node
        .cli(&["invite", "--territory", "frosinone/b"])
        .await;
    tried.refused(&["coordination"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_printed_for_programs_says_until_when() {
    let federation = started(1).await;
    let arguments = [
        "invite",
        "--territory",
        "frosinone/a",
        "--expires",
        "2h",
        "--json",
    ];
    let printed = federation
        .coordination
        .cli(&arguments)
        .await
        .expect(0)
        .json();
    assert_eq!(printed["territory"], "frosinone/a");
    assert!(
        printed["expires_at"]
            .as_str()
            .is_some_and(|at| at.ends_with('Z')),
        "{printed}"
    );
    Invitation::parse(printed["invitation"].as_str().unwrap_or_default()).expect("an invitation");
    let too_long = federation
        .coordination
        .cli(&["invite", "--territory", "frosinone/a", "--expires", "8d"])
        .await;
    assert_eq!(too_long.code, 2, "{too_long}");
}

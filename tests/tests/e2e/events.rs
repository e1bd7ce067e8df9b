//! What happens is told at once to those who listen.

use raccordo_tests::chance::Chance;
use raccordo_tests::federation::Federation;
use raccordo_tests::workload::{project, some_day};

use crate::PROGRAM;

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_told_at_the_district_and_at_the_coordination() {
    let federation = Federation::joined(PROGRAM, 1, &[]).await;
    let (here, there) = (
        federation.districts[0].node.http(),
        federation.coordination.http(),
    );
    let mut at_district = here.listen("/api/v1/events").await;
    let mut at_coordination = there.listen("/api/v1/events").await;
    let record = project(&mut Chance::new(1), Some("FR-A-1"), some_day());
    here.post("/api/v1/projects", &record)
        .await
        .expect(201)
        .etag();
    at_district.until("event: record").await;
    at_district.until("event: delivery").await;
    at_coordination.until("event: overview").await;
    at_coordination.until("event: record").await;
    let nobody = here.with_token(None).get("/api/v1/events").await;
    assert_eq!(nobody.status, 401, "{nobody}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_goes_is_told() {
    let mut federation = Federation::joined(PROGRAM, 1, &[]).await;
    let mut at_coordination = federation
        .coordination
        .http()
        .listen("/api/v1/events")
        .await;
    federation.districts[0].node.stop().await;
    at_coordination.until("event: peer").await;
}

//! Sixty districts that lose their coordination together, and come back together.

use std::time::Duration;

use raccordo_tests::chance::Chance;
use raccordo_tests::eventually::{Elapsed, seen, within};
use raccordo_tests::federation::Federation;
use raccordo_tests::invariants::{Acknowledged, the_overview_is_whole};
use raccordo_tests::usage::{memory_mb, processor_seconds};
use raccordo_tests::workload::{project, some_day};

use crate::{PROGRAM, from_environment};

/// How soon all are back: the longest delay between two dials and the rest of an attempt that was
/// under way; and, as all of them share this machine, what it needs for sixty handshakes.
const RETURN_MAX: Duration = Duration::from_secs(30);

/// Resident memory that a coordination of so few records may need at most, in MB.
const MEMORY_MAX_MB: f64 = 200.0;

#[tokio::test(flavor = "multi_thread")]
async fn sixty_districts_are_all_current_soon_after_their_coordination_starts_again() {
    let count = usize::try_from(from_environment("RACCORDO_E2E_DISTRICTS", 60)).expect("a number");
    let mut federation = crowd(count).await;
    let mut acknowledged = Acknowledged::default();
    a_record_each(&federation, 0, &mut acknowledged).await;
    within(RETURN_MAX, "all are current at first", async || {
        all_current(&federation, 1).await
    })
    .await;

    federation.coordination.stop().await;
    a_record_each(&federation, 1, &mut acknowledged).await;
    federation.start_coordination().await;
    let watch = Elapsed::start();
    within(RETURN_MAX, "all are current again", async || {
        all_current(&federation, 2).await
    })
    .await;
    let seconds = watch.seconds();
    let process = federation.coordination.pid().expect("it runs").to_string();
    let (resident, most) = memory_mb(&process);
    println!(
        "{count} districts are current {seconds:.1} s after their coordination serves again; it used {:.2} processor seconds since its start, {resident:.0} MB resident, {most:.0} MB at most",
        processor_seconds(&process)
    );
    assert!(most < MEMORY_MAX_MB, "{most} MB");
    let there = federation.coordination.local();
    acknowledged.survive_at(&there, "the coordination").await;
}

/// A coordination and so many districts, each a process of its own, joined.
async fn crowd(count: usize) -> Federation {
    let mut federation = Federation::found(PROGRAM, 0, &[]).await;
    federation.start_coordination().await;
    for number in 0..count {
        let name = format!("d{number:02}");
        federation
            .found_district(&name, &format!("frosinone/{name}"))
            .await;
        federation.districts[number].node.start().await;
        federation.join(number).await;
    }
    federation
}

async fn a_record_each(federation: &Federation, round: u64, acknowledged: &mut Acknowledged) {
    for (seed, district) in (1_000 * round..).zip(&federation.districts) {
        let record = project(&mut Chance::new(seed), None, some_day());
        let office = district.node.http();
        acknowledged.note(&office.post("/api/v1/projects", &record).await.expect(201));
    }
}

/// Every territory is current with so many records, and both ends hold the same, as the coordination
/// says.
async fn all_current(federation: &Federation, records: u64) -> Result<(), String> {
    let there = federation.coordination.local();
    let overview = there.look("/api/v1/overview").await?;
    let districts = u64::try_from(federation.districts.len()).expect("a number");
    let totals = &overview["totals"];
    seen(
        totals["territories_current"] == districts && totals["projects"] == districts * records,
        || totals.to_string(),
    )?;
    the_overview_is_whole(&overview, districts, districts * records);
    let status = there.look("/api/v1/status").await?;
    let peers = status["peers"].as_array().into_iter().flatten();
    let unproven: Vec<_> = peers.filter(|peer| peer["equal"] != true).collect();
    seen(unproven.is_empty(), || format!("{unproven:?}"))
}

//! The whole way of one person through two districts, from the first words at a desk until all is
//! forgotten: real nodes, real replication, and for every step the account whose work it is.

mod conflict;
mod desk;
mod end;
mod passage;
mod plans;
mod work;

use raccordo_node::engine::simulated::opened;
use raccordo_tests::below::Below;
use raccordo_tests::federation::Federation;
use raccordo_tests::invariants::districts_and_coordination_come_to_hold_the_same;
use raccordo_tests::person::Person;
use raccordo_tests::process::Node;

use crate::PROGRAM;
use desk::Known;

/// A name that everybody may know.
const SHARED: &str = "Cooperativa Ranuncolina";

/// The people of the district that takes somebody in charge.
struct Office {
    desk: Person,
    manager: Person,
    social: Person,
    health: Person,
    work: Person,
    unit: Person,
    district: Person,
    privacy: Person,
}

impl Office {
    async fn staffed(node: &Node) -> Self {
        Self {
            desk: Person::hired(node, "Sara Verdi", "access_operator", None).await,
            manager: Person::hired(node, "Anna Rossi", "case_manager", None).await,
            social: Person::hired(node, "Ugo Neri", "referent", Some("SSD")).await,
            health: Person::hired(node, "Ida Gialli", "referent", Some("DSM")).await,
            work: Person::hired(node, "Carla Bianchi", "referent", Some("CPI")).await,
            unit: Person::hired(node, "Leo Viola", "unit_coordinator", None).await,
            district: Person::hired(node, "Rita Grigi", "district_manager", None).await,
            privacy: Person::hired(node, "Pio Rosa", "privacy_referent", None).await,
        }
    }

    async fn sign_in_again(&mut self) {
        for person in [
            &mut self.desk,
            &mut self.manager,
            &mut self.social,
            &mut self.health,
            &mut self.work,
            &mut self.unit,
            &mut self.district,
            &mut self.privacy,
        ] {
            person.signs_in().await;
        }
    }
}

/// The people of the district that takes the project over.
struct Receiver {
    manager: Person,
    district: Person,
}

impl Receiver {
    async fn staffed(node: &Node) -> Self {
        Self {
            manager: Person::hired(node, "Elsa Blu", "case_manager", None).await,
            district: Person::hired(node, "Aldo Marroni", "district_manager", None).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_becomes_a_project_that_is_signed_worked_on_handed_on_closed_and_forgotten() {
    let mut federation = Federation::joined(PROGRAM, 2, &[]).await;
    let mut laptop = Below::started(&federation.lab, "laptop", "frosinone/a", "district").await;
    laptop.join(&federation.districts[0].node).await;
    let mut office = Office::staffed(&federation.districts[0].node).await;
    let mut visitor = Person::hired(&laptop.node, "Anna Rossi", "case_manager", None).await;
    let mut receiver = Receiver::staffed(&federation.districts[1].node).await;
    let mut known = Known::new();

    let project = desk::taken_in_charge(&office, &mut known).await;
    plans::activated(&office, &project).await;
    laptop.node.stop().await;
    the_office_loses_its_power(&mut federation, &mut office, &project).await;
    laptop.node.start().await;
    laptop.lead_to(&federation.districts[0].node).await;
    visitor.signs_in().await;
    work::goes_on(&office, &project).await;
    conflict::settled(&office, &laptop, &visitor, &project).await;
    end::the_log_names_who_read(&office).await;
    let new = passage::handed_on(
        &mut federation,
        &office,
        &visitor,
        &mut receiver,
        &project,
        &mut known,
    )
    .await;
    end::closed(&receiver, &new).await;
    districts_and_coordination_come_to_hold_the_same(&federation).await;
    nothing_was_told_above(&federation, &known);
    end::forgotten(&federation, &office, &receiver, &mut laptop, &known).await;
    nothing_is_left(&mut federation, &mut laptop, &known).await;
}

/// Killed without a word; what was answered is there, signatures and all.
async fn the_office_loses_its_power(
    federation: &mut Federation,
    office: &mut Office,
    project: &str,
) {
    let before = office.manager.reads(project).await;
    federation.districts[0].node.kill().await;
    federation.districts[0].node.start().await;
    office.sign_in_again().await;
    let after = office.manager.reads(project).await;
    assert_eq!(after["_meta"]["etag"], before["_meta"]["etag"]);
    assert_eq!(after["plans"], before["plans"]);
}

/// Neither on the coordination's disk nor in its memory, while it holds the project itself.
fn nothing_was_told_above(federation: &Federation, known: &Known) {
    let above = &federation.coordination;
    let mut all = known.planted.clone();
    all.plant("shared", SHARED);
    let in_memory = all.found_in_memory(above.pid().expect("it runs"));
    assert_eq!(
        in_memory,
        [format!("shared: {SHARED}")],
        "the search finds what was told"
    );
    assert_eq!(known.planted.found_below(&above.data), [""; 0]);
}

/// With the keys at hand, on no disk: the coordination never had them, the districts forgot.
async fn nothing_is_left(federation: &mut Federation, laptop: &mut Below, known: &Known) {
    let mut nodes = vec![&mut federation.coordination, &mut laptop.node];
    nodes.extend(
        federation
            .districts
            .iter_mut()
            .map(|district| &mut district.node),
    );
    for node in nodes {
        node.stop().await;
        let open: Vec<u8> = opened(&node.data).expect("it opens").concat();
        let named = known.planted.found_in(&open);
        assert_eq!(named, [""; 0], "in the store of {}", node.name);
        assert_eq!(
            known.planted.found_below(&node.data),
            [""; 0],
            "{}",
            node.name
        );
        let shared = String::from_utf8_lossy(&open).contains(SHARED);
        assert!(shared, "what everybody may know is at {}", node.name);
        assert_eq!(known.planted.found_in(node.log_text().as_bytes()), [""; 0]);
    }
}

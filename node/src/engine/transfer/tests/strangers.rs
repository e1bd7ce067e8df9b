//! A node that the coordination alone has let into a district gets neither the key of tokens nor what
//! is sealed to that district, and nothing that it says moves a transfer; until it is confirmed.

use raccordo_config::Role;
use raccordo_crdt_model::{DocumentId, Kind};
use raccordo_transport::sealing;
use serde_json::{Value, json};

use super::super::super::draft::Draft;
use super::super::super::peers::{self, PeerCommand};
use super::super::super::scope::LANE_EVERYONE;
use super::super::super::statements::Statement;
use super::super::super::task::Done;
use super::super::super::token_handing::HandedKey;
use super::super::super::{audit, report, token_key};
use super::super::commands::{add, advance, begin_lane, edit, stamp, word_of};
use super::world::{A, B, C, COORDINATION, LAPTOP, Station, World};

const YEAR: u32 = 2026;

/// A node of the second district that joined at the coordination; where it stands.
fn stranger(world: &mut World) -> usize {
    let stranger = Station::found(7, "f/b", Role::District, &world.clock);
    world.stations.push(stranger);
    let at = world.stations.len() - 1;
    world.join(COORDINATION, at);
    exchange(world, at);
    at
}

/// Everything between all, whoever is not joined to the second district's laptop.
fn exchange(world: &mut World, at: usize) {
    for _ in 0..4 {
        world.ship(COORDINATION, at, usize::MAX);
        world.ship(at, COORDINATION, usize::MAX);
        world.ship_all();
    }
    world.ship(COORDINATION, at, usize::MAX);
}

fn key_at(world: &World, at: usize) -> Option<[u8; 32]> {
    token_key::held(&Draft::new(&world.stations[at].core), YEAR).unwrap()
}

/// What one node says, heard by all the others.
fn heard(world: &mut World, at: usize) {
    world.ship(at, COORDINATION, usize::MAX);
    world.ship_all();
}

/// A project of the first district for which it needs the key of tokens, and gives it to the others.
fn needs_key(world: &World) {
    let person = json!({"ref": "P-9", "given_name": "Anna", "family_name": "Fittizia",
        "born_on": "1985-12-10", "sex": "F"});
    world.stations[A].make(Kind::Person, &person);
    let project = json!({"ref": "FR-9", "need_area": "POV", "opened_on": "2026-03-04",
        "subject": {"kind": "person", "person": "P-9"}});
    world.stations[A].make(Kind::Project, &project);
}

fn confirm(world: &World, at: usize, whom: usize) {
    let key = world.stations[whom].core.id;
    let command = PeerCommand::Confirm { key };
    let done = world.stations[at].run(|draft| peers::execute(draft, command, "administrator"));
    done.unwrap();
}

fn is_confirmed(world: &World, at: usize, whom: usize) -> Option<bool> {
    let members = report::members(&world.stations[at].core);
    let id = world.stations[whom].core.id.to_string();
    let seen = members.into_iter().find(|member| member.id == id);
    seen.and_then(|member| member.confirmed)
}

/// The stranger's own hand in a transfer, past what its program would let it say.
fn forge(world: &World, at: usize, id: DocumentId, edits: &Value) {
    let forged = world.stations[at].run(|draft| {
        let document = draft.document_in_hand(id)?.unwrap();
        let mut edited = raccordo_crdt_model::Document::clone(&document);
        let stamp = stamp(draft, "op", true);
        let change = edit(&mut edited, edits, &stamp)?;
        begin_lane(draft, "f/a")?;
        advance(draft, id, edited, change.as_slice());
        Ok(Done::Nothing)
    });
    forged.unwrap();
}

/// A key of the stranger's own making with a lower name than the one that is used, sealed to a node.
fn hand_own_key(world: &World, at: usize, to: usize) {
    let used = token_key::id_of(YEAR, &key_at(world, to).unwrap());
    let mut keys = (0..=u64::MAX).map(|number| {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        key
    });
    let key = keys.find(|key| token_key::id_of(YEAR, key) < used).unwrap();
    let (id, target) = (token_key::id_of(YEAR, &key), &world.stations[to].core);
    let node = target.id.origin();
    let context = [
        b"raccordo-token-key-1\0",
        &YEAR.to_be_bytes()[..],
        &id,
        &node,
    ]
    .concat();
    let wrapped = sealing::wrap(&key, &target.sealing_key.public(), &context).unwrap();
    let handed = HandedKey {
        year: YEAR,
        id,
        node,
        wrapped: wrapped.try_into().unwrap(),
    };
    let said = world.stations[at].run(|draft| {
        draft.append_statement(LANE_EVERYONE, Statement::TokenKey(handed).encode());
        Ok(Done::Nothing)
    });
    said.unwrap();
}

#[test]
fn a_node_that_the_coordination_alone_let_into_a_district_gets_no_key_and_opens_no_offer() {
    let mut world = World::new();
    let at = stranger(&mut world);
    let project = world.project();
    needs_key(&world);
    exchange(&mut world, at);
    let key = key_at(&world, A);
    assert!(key.is_some());
    for office in [B, C, LAPTOP] {
        assert_eq!(key_at(&world, office), key, "{office}");
        assert_eq!(is_confirmed(&world, office, at), Some(false), "{office}");
    }
    assert_eq!(key_at(&world, at), None);
    assert_eq!(is_confirmed(&world, COORDINATION, at), Some(false));
    assert_eq!(is_confirmed(&world, COORDINATION, B), Some(true));
    hand_own_key(&world, at, A);
    let id = world.stations[A].offer(project, "f/b").unwrap();
    exchange(&mut world, at);
    assert_eq!(key_at(&world, A), key, "its own key is not taken");
    let heard = audit::newest(&world.stations[A].core, None, None, 100).unwrap();
    let mut heard = heard.iter();
    assert!(heard.any(|told| told.event["action"] == "token-key-refused"));
    let accepted = format!("{:?}", world.stations[at].accept(id));
    assert!(accepted.contains("transfer_not_confirmed"), "{accepted}");
    assert!(!world.stations[at].holds("Uccellini"));
    let shown = world.stations[A].fields(Kind::Transfer, id).unwrap();
    assert!(shown["not_confirmed"].is_array(), "{shown}");
}

#[test]
fn no_word_of_a_node_that_is_not_confirmed_releases_or_completes_a_transfer() {
    let mut world = World::new();
    let at = stranger(&mut world);
    let project = world.project();
    let id = world.stations[A].offer(project, "f/b").unwrap();
    exchange(&mut world, at);
    let [own, office, laptop] = [at, B, LAPTOP].map(|at| world.stations[at].core.id.origin());
    let made = DocumentId::from_bytes([5; 16]).to_string();
    let accepted = json!({"word": "accepted", "on": "2026-11-01", "project": made});
    let declined = json!({"word": "declined", "on": "2026-11-01"});
    forge(&world, at, id, &json!([add(&word_of(own), &accepted)]));
    let forged = [
        add(&word_of(office), &declined),
        add(&word_of(laptop), &declined),
        add("/state", &json!("refused")),
    ];
    forge(&world, at, id, &json!(forged));
    heard(&mut world, at);
    let state = |world: &World, at: usize| world.stations[at].state(Kind::Transfer, id);
    for office in [A, B, COORDINATION] {
        assert_eq!(state(&world, office), "offered", "{office}");
    }
    assert_eq!(
        world.stations[A].state(Kind::Project, project),
        "transferring"
    );
    world.check(project, "forged");
    world.stations[B].accept(id).unwrap();
    heard(&mut world, at);
    assert_eq!(
        world.stations[A].state(Kind::Project, project),
        "transferred"
    );
    assert_eq!(state(&world, A), "completed");
    world.check(project, "accepted by the office");
}

#[test]
fn the_node_that_replaces_an_office_is_sealed_to_when_the_other_district_has_confirmed_it() {
    let mut world = World::new();
    let project = world.project();
    needs_key(&world);
    world.ship_all();
    world.revoke(COORDINATION, B);
    world.ship_all();
    let at = stranger(&mut world);
    let refused = format!("{:?}", world.stations[A].offer(project, "f/b"));
    assert!(
        refused.contains("transfer_without_receiver") && refused.contains("peer confirm"),
        "{refused}"
    );
    assert_eq!(key_at(&world, at), None);
    confirm(&world, A, at);
    world.stations[A].restart();
    exchange(&mut world, at);
    assert_eq!(is_confirmed(&world, A, at), None, "nothing is asked there");
    assert_eq!(is_confirmed(&world, C, at), Some(false), "each for itself");
    assert!(key_at(&world, A).is_some());
    assert_eq!(key_at(&world, at), key_at(&world, A));
    let id = world.stations[A].offer(project, "f/b").unwrap();
    exchange(&mut world, at);
    world.stations[at].accept(id).unwrap();
    exchange(&mut world, at);
    assert_eq!(
        world.stations[A].state(Kind::Project, project),
        "transferred"
    );
    assert!(world.stations[at].holds("Uccellini"));
    let heard = audit::newest(&world.stations[A].core, None, None, 100).unwrap();
    let told = |action: &str| heard.iter().any(|told| told.event["action"] == action);
    assert!(told("confirm") && told("token-key-handed"));
}

#[test]
fn a_node_that_its_own_office_confirmed_counts_everywhere_also_when_the_office_is_gone() {
    let mut world = World::new();
    let at = stranger(&mut world);
    let project = world.project();
    needs_key(&world);
    exchange(&mut world, at);
    assert_eq!(key_at(&world, at), None);
    confirm(&world, B, at);
    exchange(&mut world, at);
    assert!(key_at(&world, A).is_some());
    assert_eq!(key_at(&world, at), key_at(&world, A));
    world.revoke(COORDINATION, B);
    exchange(&mut world, at);
    let id = world.stations[A].offer(project, "f/b").unwrap();
    exchange(&mut world, at);
    world.stations[at].accept(id).unwrap();
    exchange(&mut world, at);
    assert_eq!(
        world.stations[A].state(Kind::Project, project),
        "transferred"
    );
}

#[test]
fn neither_a_coordination_nor_a_stranger_of_the_own_district_can_confirm_anybody() {
    let mut world = World::new();
    let at = stranger(&mut world);
    needs_key(&world);
    exchange(&mut world, at);
    let key = world.stations[at].core.id;
    let confirm = |by: &Station| {
        let command = PeerCommand::Confirm { key };
        by.run(|draft| peers::execute(draft, command, "administrator"))
    };
    let refused = format!("{:?}", confirm(&world.stations[COORDINATION]));
    assert!(refused.contains("not_district"), "{refused}");
    // Of itself it may say what it likes; nobody follows.
    confirm(&world.stations[at]).unwrap();
    exchange(&mut world, at);
    assert_eq!(is_confirmed(&world, A, at), Some(false));
    assert_eq!(is_confirmed(&world, B, at), Some(false));
    assert_eq!(key_at(&world, at), None);
}

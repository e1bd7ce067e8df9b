//! Keys of tokens between engines: one person has one token wherever it is made, whoever was first,
//! and no coordination can make any.

use std::sync::atomic::Ordering;

use raccordo_config::Role;
use raccordo_crdt_model::{DocumentId, Kind};
use raccordo_transport::LogId;
use serde_json::{Value, json};

use super::super::super::draft::Draft;
use super::super::super::scope::LANE_EVERYONE;
use super::super::super::statements::Statement;
use super::super::super::stored::Reading;
use super::super::super::task::Done;
use super::super::super::token_handing::HandedKey;
use super::super::super::view::MemberState;
use super::super::super::{audit, overlaps, peers, token_key};
use super::world::{A, B, C, COORDINATION, DAY_MS, Station, World};
use crate::store::Table;

const CODE: &str = "RSSMRA85T10A562S";

/// A person with a project, made at a station; the project.
fn taken_in(at: &Station, reference: &str, code: &str) -> DocumentId {
    let person = json!({"ref": reference, "given_name": "Anna", "family_name": "Fittizia", "fiscal_code": code});
    at.make(Kind::Person, &person);
    let project = json!({"ref": format!("FR-{reference}"), "need_area": "POV", "opened_on": "2026-03-04",
        "subject": {"kind": "person", "person": reference}});
    at.make(Kind::Project, &project)
}

fn token(at: &Station, project: DocumentId) -> String {
    let fields = at.fields(Kind::Project, project).unwrap();
    fields["subject"]["token"].as_str().unwrap().to_owned()
}

fn held(at: &Station, year: u32) -> Option<[u8; 32]> {
    token_key::held(&Draft::new(&at.core), year).unwrap()
}

fn say(at: &Station, told: HandedKey) {
    let said = at.run(|draft| {
        draft.append_statement(LANE_EVERYONE, Statement::TokenKey(told).encode());
        Ok(Done::Nothing)
    });
    said.unwrap();
}

/// Everything in plain that a station's store and statements hold.
fn bytes_of(at: &Station) -> Vec<u8> {
    let mut all = Vec::new();
    for table in Table::ALL {
        for (key, value) in at.core.store.scan(table, &[], None, usize::MAX).unwrap() {
            all.extend(key.into_iter().chain(value));
        }
    }
    all
}

fn holds(bytes: &[u8], key: &[u8]) -> bool {
    bytes.windows(key.len()).any(|part| part == key)
}

#[test]
fn one_person_in_two_districts_has_one_token_and_the_coordination_no_key_to_make_it() {
    let mut world = World::new();
    let first = taken_in(&world.stations[A], "P-1", CODE);
    world.ship_all();
    let second = taken_in(&world.stations[C], "P-9", CODE);
    world.ship_all();
    let made = token(&world.stations[A], first);
    assert!(made.starts_with("t1:2026:"), "{made}");
    assert_eq!(token(&world.stations[C], second), made);
    let above = &world.stations[COORDINATION];
    let seen = overlaps::all(&above.core).unwrap();
    assert_eq!((seen.len(), seen[0].strength), (1, "certain"), "{seen:?}");
    assert_eq!(overlaps::all(&world.stations[A].core).unwrap().len(), 1);
    assert_eq!(overlaps::all(&world.stations[C].core).unwrap().len(), 1);
    let key = held(&world.stations[A], 2026).unwrap();
    for at in [B, C] {
        assert_eq!(held(&world.stations[at], 2026), Some(key));
    }
    assert_eq!(held(above, 2026), None);
    assert!(!holds(&bytes_of(above), &key));
    // Everything that was handed passed through it, and nothing of it opens there.
    let mut passed = 0;
    for station in &world.stations {
        let log = LogId::new(station.core.id.origin(), LANE_EVERYONE);
        let mut reading = Reading::new(&above.core);
        for entry in reading.entries(log, 0, 999, usize::MAX).unwrap() {
            if let Ok(Statement::TokenKey(told)) = Statement::decode(entry.bytes()) {
                passed += 1;
                let year = told.year.to_be_bytes();
                for node in [told.node, above.core.id.origin()] {
                    let context = [b"raccordo-token-key-1\0", &year[..], &told.id, &node].concat();
                    let opened = above.core.sealing_key.unwrap(&told.wrapped, &context);
                    assert!(opened.is_err());
                }
            }
        }
    }
    assert!(
        passed >= 7,
        "four say that they use it, three were given it: {passed}"
    );
}

#[test]
fn of_keys_made_apart_one_is_used_by_all_and_tokens_of_the_other_are_made_anew_over_a_restart() {
    let mut world = World::new();
    let mut projects = Vec::new();
    for at in [A, C] {
        for number in 0..40 {
            let code = if number == 0 {
                Value::from(CODE)
            } else {
                Value::Null
            };
            let person = json!({"ref": format!("P-{number}"), "given_name": "Anna", "born_on": "1985-12-10",
                "family_name": format!("Fittizia{number}"), "fiscal_code": code});
            world.stations[at].make(Kind::Person, &person);
            let project = json!({"need_area": "POV", "opened_on": "2026-03-04",
                "subject": {"kind": "person", "person": format!("P-{number}")}});
            projects.push((at, number, world.stations[at].make(Kind::Project, &project)));
        }
    }
    let keys = [A, C].map(|at| held(&world.stations[at], 2026).unwrap());
    assert_ne!(keys[0], keys[1]);
    let used = keys
        .into_iter()
        .min_by_key(|key| token_key::id_of(2026, key));
    let loser = if used == Some(keys[0]) { C } else { A };
    let of = |world: &World, at: usize| {
        let own = projects.iter().filter(move |(place, _, _)| *place == at);
        own.map(|(at, _, id)| token(&world.stations[*at], *id))
            .collect::<Vec<_>>()
    };
    let before = of(&world, loser);
    for station in &mut world.stations {
        station.absorb();
    }
    // The loser has just heard of the other key, and is killed after the first portion of its work.
    for _ in 0..3 {
        for at in [A, C] {
            world.deliver(at, COORDINATION, usize::MAX);
            world.stations[COORDINATION].absorb();
            world.deliver(COORDINATION, at, usize::MAX);
            world.stations[at].absorb();
            if at != loser {
                world.stations[at].settle();
            }
        }
    }
    assert_eq!(held(&world.stations[loser], 2026), used);
    let station = &mut world.stations[loser];
    station.renewal.drive(&station.core);
    assert!(station.renewal.has_more());
    world.stations[loser].restart();
    let half = of(&world, loser);
    let moved = half.iter().zip(&before).filter(|(now, then)| now != then);
    assert_eq!(moved.count(), 32);
    world.ship_all();
    assert_eq!(of(&world, A), of(&world, C));
    for at in [A, B, C] {
        assert_eq!(held(&world.stations[at], 2026), used);
    }
    let seen = overlaps::all(&world.stations[COORDINATION].core).unwrap();
    assert_eq!(seen.len(), 2, "one by code, the others sound all alike");
}

#[test]
fn who_joins_later_is_given_the_key_and_what_it_made_before_changes_nothing_for_the_others() {
    let mut world = World::new();
    let first = taken_in(&world.stations[A], "P-1", CODE);
    world.ship_all();
    let made = token(&world.stations[A], first);
    let late = Station::found(6, "f/d", Role::District, &world.clock);
    world.stations.push(late);
    let late = world.stations.len() - 1;
    world.join(COORDINATION, late);
    // It has heard that a key is used, and nobody knows yet what can be sealed to it.
    world.deliver(COORDINATION, late, usize::MAX);
    world.stations[late].absorb();
    let own = taken_in(&world.stations[late], "P-4", CODE);
    assert_ne!(token(&world.stations[late], own), made);
    world.stations[late].settle();
    for _ in 0..3 {
        world.ship(late, COORDINATION, usize::MAX);
        world.ship_all();
        world.ship(COORDINATION, late, usize::MAX);
    }
    assert_eq!(token(&world.stations[late], own), made);
    assert_eq!(token(&world.stations[A], first), made);
    world.ship(late, COORDINATION, usize::MAX);
    let seen = overlaps::all(&world.stations[COORDINATION].core).unwrap();
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[test]
fn the_next_years_key_is_made_without_those_that_left_and_open_projects_get_its_tokens() {
    let mut world = World::new();
    let first = taken_in(&world.stations[A], "P-1", CODE);
    world.ship_all();
    world.revoke(COORDINATION, C);
    world.ship_without_laptop();
    world.clock.0.store(80 * DAY_MS, Ordering::Relaxed);
    let next = taken_in(&world.stations[B], "P-2", CODE);
    world.ship_all();
    let made = token(&world.stations[B], next);
    assert!(made.starts_with("t1:2027:"), "{made}");
    assert_eq!(token(&world.stations[A], first), made);
    assert!(held(&world.stations[C], 2026).is_some());
    assert_eq!(held(&world.stations[C], 2027), None);
    let seen = overlaps::all(&world.stations[COORDINATION].core).unwrap();
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[test]
fn who_is_on_hold_gets_the_key_when_it_is_approved_again() {
    let mut world = World::new();
    let key = world.stations[C].core.id;
    let moved = |world: &World, to| {
        let step = peers::PeerCommand::Move {
            key,
            to,
            reason: None,
        };
        let moved =
            world.stations[COORDINATION].run(|draft| peers::execute(draft, step, "administrator"));
        moved.unwrap();
    };
    moved(&world, MemberState::Suspended);
    world.ship_all();
    taken_in(&world.stations[A], "P-1", CODE);
    world.ship_all();
    assert!(held(&world.stations[B], 2026).is_some());
    assert_eq!(held(&world.stations[C], 2026), None);
    moved(&world, MemberState::Approved);
    world.ship_all();
    assert_eq!(
        held(&world.stations[C], 2026),
        held(&world.stations[A], 2026)
    );
}

#[test]
fn what_does_not_open_or_is_another_key_is_audited_and_changes_nothing() {
    let mut world = World::new();
    let first = taken_in(&world.stations[B], "P-1", CODE);
    world.ship_all();
    let made = token(&world.stations[B], first);
    let to = world.stations[B].core.id.origin();
    let damaged = HandedKey {
        year: 2026,
        id: [0; 16],
        node: to,
        wrapped: [7; 80],
    };
    let other = HandedKey {
        node: [9; 8],
        ..damaged
    };
    let past = HandedKey {
        year: 1999,
        ..damaged
    };
    // It opens, but is not the key that it says to be.
    let public = world.stations[B].core.sealing_key.public();
    let context = [
        b"raccordo-token-key-1\0",
        &2026_u32.to_be_bytes()[..],
        &[0; 16],
        &to,
    ]
    .concat();
    let wrapped = raccordo_transport::sealing::wrap(&[5; 32], &public, &context).unwrap();
    let false_name = HandedKey {
        wrapped: wrapped.try_into().unwrap(),
        ..damaged
    };
    for told in [damaged, other, past, false_name] {
        say(&world.stations[A], told);
    }
    world.ship_all();
    assert_eq!(token(&world.stations[B], first), made);
    let kept = audit::newest(&world.stations[B].core, None, None, 100).unwrap();
    let refused = kept
        .iter()
        .filter(|told| told.event["action"] == "token-key-refused");
    assert_eq!(refused.count(), 2);
    assert_eq!(
        held(&world.stations[A], 2026),
        held(&world.stations[B], 2026)
    );
}

#[test]
fn a_coordination_that_hands_a_key_is_refused_as_whatever_it_may_not_say() {
    let mut world = World::new();
    let node = world.stations[A].core.id.origin();
    say(
        &world.stations[COORDINATION],
        HandedKey {
            year: 2026,
            id: [0; 16],
            node,
            wrapped: [7; 80],
        },
    );
    world.deliver(COORDINATION, A, usize::MAX);
    world.stations[A].settle();
    let ledger = world.stations[A].core.ledger();
    let stop = ledger
        .stopped
        .values()
        .next()
        .map(|stop| stop.detail.clone());
    let stop = stop.unwrap_or_default();
    assert!(stop.contains("no key of tokens"), "{stop}");
}

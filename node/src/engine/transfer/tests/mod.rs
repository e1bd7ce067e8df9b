//! Transfers between engines, in any order and with restarts anywhere: at every moment one project
//! is live, and at most one can be edited.

mod forgotten;
mod here;
mod home;
mod hostile;
mod later;
mod marks;
mod restored;
mod steps;
mod strangers;
mod tokens;
mod who;
mod world;

use std::sync::atomic::Ordering;

use raccordo_crdt_model::{Document, DocumentId, Kind};
use serde_json::{Value, json};

use self::world::{A, B, COORDINATION, DAY_MS, LAPTOP, LINKS, Station, World};
use super::super::task::Done;
use super::super::{audit, erasures, forget, local, report, tombstone};
use super::already_here::Arrival;
use super::commands::{self, TransferCommand};
use crate::store::{Moment, Unsynced};

const UNSYNCED: [Unsynced; 3] = [Unsynced::Lost, Unsynced::Kept, Unsynced::Torn];

#[test]
fn an_accepted_project_lives_on_with_its_person_in_the_other_district_and_counts_once() {
    let mut world = World::new();
    let project = world.project();
    world.ship_all();
    let id = world.stations[A].offer(project, "f/b").unwrap();
    assert_eq!(
        world.stations[A].state(Kind::Project, project),
        "transferring"
    );
    let edit = json!([{"op": "add", "path": "/need_area", "value": "DIS"}]);
    let edit = raccordo_crdt_model::Patch::parse(&edit).unwrap();
    let refused = world.stations[A]
        .run(|draft| local::patch(draft, Kind::Project, project, &edit, None, "op"));
    assert!(
        format!("{refused:?}").contains("locked_by_transfer"),
        "{refused:?}"
    );
    world.ship_all();
    let seen = world.stations[B].fields(Kind::Transfer, id).unwrap();
    assert_eq!(seen["preview"]["age_class"], "30-44", "{seen}");
    assert_eq!(seen["preview"]["note"], "chiamare il mattino", "{seen}");
    assert!(!seen.to_string().contains("Uccellini"));
    let above = world.stations[COORDINATION]
        .fields(Kind::Transfer, id)
        .unwrap();
    assert_eq!(
        (&above["state"], &above["preview"]),
        (&json!("offered"), &Value::Null)
    );
    world.stations[B].accept(id).unwrap();
    // The sender has not heard of it, the coordination has.
    world.ship(B, COORDINATION, usize::MAX);
    let totals = report::overview(&world.stations[COORDINATION].core).totals;
    assert_eq!((totals.projects, totals.persons), (1, 1));
    world.check(project, "accepted");
    world.ship_all();
    let totals = report::overview(&world.stations[COORDINATION].core).totals;
    assert_eq!((totals.projects, totals.persons), (1, 1));
    let old = world.stations[A].fields(Kind::Project, project).unwrap();
    assert_eq!(old["state"], "transferred");
    let new = super::terms::document(old.pointer("/links/next")).unwrap();
    let new = world.stations[LAPTOP].fields(Kind::Project, new).unwrap();
    assert_eq!(
        (&new["state"], &new["ref"]),
        (&json!("planning"), &json!("FR-1"))
    );
    assert_eq!(new["links"]["previous"], project.to_string());
    let person = world.stations[LAPTOP]
        .ids(Kind::Person)
        .into_iter()
        .next()
        .unwrap();
    let person = world.stations[LAPTOP].fields(Kind::Person, person).unwrap();
    assert_eq!(person["family_name"], "Uccellini");
    assert_eq!(world.stations[B].ids(Kind::Household).len(), 1);
    assert_eq!(world.stations[A].state(Kind::Transfer, id), "completed");
    world.check(project, "completed");
    world.check_secrecy("completed");
}

#[test]
fn whose_only_project_went_away_is_proposed_as_such_when_the_period_is_over() {
    let mut world = World::new();
    let project = world.project();
    world.ship_all();
    let id = world.stations[A].offer(project, "f/b").unwrap();
    world.ship_all();
    world.stations[B].accept(id).unwrap();
    world.ship_all();
    let other = json!({"ref": "P-9", "given_name": "Ada", "family_name": "Altri"});
    let other = world.stations[A].make(Kind::Person, &other);
    let due = |world: &World, station: usize| {
        let due = erasures::proposals(&world.stations[station].core).unwrap();
        let due = due.into_iter().filter(|one| one.kind == Kind::Person);
        due.map(|one| (one.id, one.transferred))
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    world.clock.0.store(3_649 * DAY_MS, Ordering::Relaxed);
    assert_eq!(due(&world, A), [].into());
    world.clock.0.store(3_651 * DAY_MS, Ordering::Relaxed);
    let sent = world.stations[A].ids(Kind::Person);
    let sent = sent.into_iter().find(|id| *id != other).unwrap();
    let found = due(&world, A);
    assert_eq!(found.get(&sent), Some(&true), "{found:?}");
    assert_eq!(found.get(&other), Some(&false), "{found:?}");
    // Where the project lives on, nobody is proposed because it went.
    assert!(due(&world, B).values().all(|transferred| !transferred));
}

#[test]
fn an_acceptance_is_in_the_audit_log_with_every_record_that_it_makes() {
    let mut world = World::new();
    let project = world.project();
    let id = world.stations[A].offer(project, "f/b").unwrap();
    world.ship_all();
    world.stations[B].accept(id).unwrap();
    for kind in [Kind::Project, Kind::Person, Kind::Casefile, Kind::Household] {
        let made = world.stations[B].ids(kind);
        assert!(!made.is_empty(), "{kind:?}");
        for made in made.into_iter().filter(|made| *made != project) {
            let core = &world.stations[B].core;
            let told = audit::newest(core, Some(&made.to_string()), None, 10).unwrap();
            assert!(
                told.iter().any(|one| one.event["action"] == "create"),
                "{kind:?}"
            );
        }
    }
}

#[test]
fn a_refusal_that_names_a_fiscal_code_is_not_sent() {
    let mut world = World::new();
    let project = world.project();
    let id = world.stations[A].offer(project, "f/b").unwrap();
    world.ship_all();
    let (by, reason) = ("op".to_owned(), "RSSMRA85T10A562S vive altrove".to_owned());
    let refusal = TransferCommand::Refuse { id, reason, by };
    let refused = format!("{:?}", world.stations[B].transfer(refusal));
    assert!(refused.contains("identity_in_shared_record"), "{refused}");
    world.stations[B].refuse(id).unwrap();
}

#[test]
fn a_refused_or_withdrawn_project_is_open_again_once_every_node_of_the_receiver_has_confirmed() {
    let (mut world, project, id) = World::offered();
    world.ship_all();
    world.stations[B].refuse(id).unwrap();
    // The laptop could have accepted meanwhile: its word is awaited.
    world.ship(B, COORDINATION, usize::MAX);
    world.ship(COORDINATION, A, usize::MAX);
    assert_eq!(
        world.stations[A].state(Kind::Project, project),
        "transferring"
    );
    let shown = world.stations[A].fields(Kind::Transfer, id).unwrap();
    assert_eq!(shown["waits_for"], json!(["f/b 2"]), "{shown}");
    world.ship_all();
    assert_eq!(world.stations[A].state(Kind::Project, project), "planning");
    let id = world.stations[A].offer(project, "f/b").unwrap();
    world.stations[A].withdraw(id).unwrap();
    assert_eq!(
        world.stations[A].state(Kind::Project, project),
        "transferring"
    );
    world.ship_all();
    assert_eq!(world.stations[A].state(Kind::Project, project), "planning");
    assert_eq!(world.stations[A].state(Kind::Transfer, id), "withdrawn");
    let refused = world.stations[B].accept(id);
    assert!(
        format!("{refused:?}").contains("transfer_not_open"),
        "{refused:?}"
    );
}

#[test]
fn an_offer_expires_by_the_senders_clock_and_a_revoked_node_is_not_waited_for() {
    let (mut world, project, id) = World::offered();
    world.ship_all();
    world.clock.0.store(31 * DAY_MS, Ordering::Relaxed);
    let refused = world.stations[B].accept(id);
    assert!(
        format!("{refused:?}").contains("transfer_not_open"),
        "{refused:?}"
    );
    world.revoke(B, LAPTOP);
    world.stations[A].settle();
    world.ship_without_laptop();
    assert_eq!(world.stations[A].state(Kind::Transfer, id), "expired");
    assert_eq!(world.stations[A].state(Kind::Project, project), "planning");
}

#[test]
fn neither_a_locked_project_nor_its_transfer_is_erased_until_it_is_over() {
    let (mut world, project, id) = World::offered();
    let erased = |world: &World, kind, id| {
        world.stations[A].run(|draft| tombstone::erase(draft, kind, id, "è finita", "op"))
    };
    for (kind, id) in [(Kind::Transfer, id), (Kind::Project, project)] {
        let refused = erased(&world, kind, id);
        assert!(
            format!("{refused:?}").contains("locked_by_transfer"),
            "{refused:?}"
        );
    }
    world.stations[A].withdraw(id).unwrap();
    world.ship_all();
    erased(&world, Kind::Transfer, id).unwrap();
    erased(&world, Kind::Project, project).unwrap();
    world.ship_all();
    assert!(world.edited().is_empty());
}

#[test]
fn nothing_is_written_in_another_lane_where_there_is_none_for_the_other_party() {
    let mut world = World::new();
    let project = world.project();
    let id = world.stations[A].offer(project, "f/b").unwrap();
    world.ship_all();
    let laptop = &world.stations[LAPTOP];
    let ends = laptop.core.ledger().logs.clone();
    let written = laptop.run(|draft| {
        let mut transfer = Document::clone(&*draft.open(Kind::Transfer, id)?);
        let patch = json!([commands::add("/note", &json!("chiamare dopo"))]);
        let stamp = commands::stamp(draft, "op", true);
        let change = commands::edit(&mut transfer, &patch, &stamp)?;
        commands::advance(draft, id, transfer, change.as_slice());
        Ok(Done::Record(id))
    });
    let refused = format!("{written:?}");
    assert!(refused.contains("no lane to write it in"), "{refused}");
    assert_eq!(laptop.core.ledger().logs, ends);
}

#[test]
fn who_forgets_a_project_forgets_what_was_sealed_for_another_district() {
    let (mut world, project, id) = World::offered();
    world.ship_all();
    let forgotten = |world: &World| {
        world.stations[A]
            .run(|draft| forget::order(draft, Kind::Project, project, "è finita", "op"))
    };
    let refused = format!("{:?}", forgotten(&world));
    assert!(refused.contains("locked_by_transfer"), "{refused}");
    assert!(world.stations[A].fields(Kind::Project, project).is_some());
    world.stations[A].withdraw(id).unwrap();
    world.ship_all();
    forgotten(&world).unwrap();
    world.ship_all();
    for station in &world.stations {
        assert!(station.fields(Kind::Transfer, id).is_none());
    }
}

#[test]
fn what_a_revoked_node_had_accepted_counts_though_its_revocation_is_heard_first() {
    let (mut world, project, id) = World::offered();
    world.ship_all();
    world.stations[A].withdraw(id).unwrap();
    world.ship(A, COORDINATION, usize::MAX);
    // The office confirms the withdrawal, and only then hears that its laptop had accepted.
    world.ship(COORDINATION, B, usize::MAX);
    world.stations[LAPTOP].accept(id).unwrap();
    world.ship(LAPTOP, B, usize::MAX);
    world.revoke(B, LAPTOP);
    world.ship(B, COORDINATION, usize::MAX);
    world.ship_but(COORDINATION, A, LAPTOP);
    let laptop = world.stations[LAPTOP].core.id;
    let standing = world.stations[A].core.ledger().roster.standing(&laptop);
    assert_eq!(standing, raccordo_transport::Standing::Revoked);
    world.check(project, "the revocation is heard");
    assert_eq!(
        world.stations[A].state(Kind::Project, project),
        "transferring"
    );
    world.ship_without_laptop();
    world.check(project, "all is heard");
    assert_eq!(
        world.stations[A].state(Kind::Project, project),
        "transferred"
    );
}

#[test]
fn for_a_revoked_node_that_dealt_with_others_too_its_office_gives_the_word() {
    let mut world = World::new();
    let other =
        world.stations[LAPTOP].make(Kind::Project, &json!({"ref": "FR-2", "need_area": "POV", "opened_on": "2026-03-04", "subject": {"kind": "household"}}));
    world.stations[LAPTOP].offer(other, "f/c").unwrap();
    let project = world.project();
    let id = world.stations[A].offer(project, "f/b").unwrap();
    world.ship_all();
    world.revoke(B, LAPTOP);
    world.stations[A].withdraw(id).unwrap();
    world.ship(B, COORDINATION, usize::MAX);
    world.ship(COORDINATION, A, usize::MAX);
    // That lane may be for it, as far as the sender knows.
    assert_eq!(
        world.stations[A].state(Kind::Project, project),
        "transferring"
    );
    world.ship_without_laptop();
    assert_eq!(world.stations[A].state(Kind::Project, project), "planning");
    assert_eq!(world.stations[A].state(Kind::Transfer, id), "withdrawn");
}

#[test]
fn of_two_nodes_that_accept_at_once_the_lower_one_wins_and_the_other_project_ends_in_it() {
    let (mut world, project, id) = World::offered();
    world.ship_all();
    world.stations[B].accept(id).unwrap();
    world.stations[LAPTOP].accept(id).unwrap();
    world.ship_all();
    let (office, laptop) = (world.stations[B].core.id, world.stations[LAPTOP].core.id);
    let winner = if office.origin() < laptop.origin() {
        B
    } else {
        LAPTOP
    };
    let old = world.stations[A].fields(Kind::Project, project).unwrap();
    let next = super::terms::document(old.pointer("/links/next")).unwrap();
    let row = world.stations[B].core.document_row(next).unwrap().unwrap();
    assert_eq!(row.home_origin, world.stations[winner].core.id.origin());
    for at in [B, LAPTOP] {
        let mut states: Vec<_> = world.stations[at]
            .ids(Kind::Project)
            .into_iter()
            .map(|id| world.stations[at].state(Kind::Project, id))
            .collect();
        states.sort_unstable();
        assert_eq!(states, ["planning", "transferred"], "at {at}");
    }
}

#[test]
fn a_second_project_gives_way_though_its_nodes_were_killed_when_they_had_just_heard() {
    let (mut world, project, id) = World::offered();
    world.ship_all();
    world.stations[B].accept(id).unwrap();
    world.stations[LAPTOP].accept(id).unwrap();
    for _ in 0..4 {
        for (above, below) in LINKS {
            for (from, to) in [(below, above), (above, below)] {
                world.deliver(from, to, usize::MAX);
                world.stations[to].absorb();
                if to == B || to == LAPTOP {
                    world.stations[to].restart();
                } else {
                    world.stations[to].drive();
                }
            }
        }
    }
    assert_eq!(
        world.stations[LAPTOP].state(Kind::Transfer, id),
        "completed"
    );
    assert_eq!(world.edited().len(), 2, "they have heard, and not acted");
    world.ship_all();
    assert_eq!(world.edited().len(), 1, "{:?}", world.states(project));
    let totals = report::overview(&world.stations[COORDINATION].core).totals;
    assert_eq!((totals.projects, totals.persons), (1, 1));
}

#[test]
fn a_project_goes_on_or_back_only_when_its_sender_has_confirmed_and_then_as_any_other() {
    let (mut world, project, id) = World::offered();
    world.ship_all();
    world.stations[B].accept(id).unwrap();
    let new = super::terms::document(
        world.stations[B]
            .fields(Kind::Transfer, id)
            .unwrap()
            .get("new_project"),
    );
    let early = world.stations[B].offer(new.unwrap(), "f/a");
    assert!(
        format!("{early:?}").contains("transfer_not_open"),
        "{early:?}"
    );
    world.ship_all();
    let back = world.stations[B].offer(new.unwrap(), "f/a").unwrap();
    world.ship_all();
    // The district that gave it away still knows the person.
    let unsaid = format!("{:?}", world.stations[A].accept(back));
    assert!(unsaid.contains("transfer_person_here"), "{unsaid}");
    let same = Arrival::Known("P-1".to_owned());
    world.stations[A].accept_as(back, same).unwrap();
    world.ship_all();
    assert_eq!(
        world.stations[A].state(Kind::Project, project),
        "transferred"
    );
    assert_eq!(
        world.stations[B].state(Kind::Project, new.unwrap()),
        "transferred"
    );
    assert_eq!(world.edited().len(), 1);
    let totals = report::overview(&world.stations[COORDINATION].core).totals;
    assert_eq!((totals.projects, totals.persons), (1, 1));
    world.check_secrecy("back");
}

/// A pseudo-random sequence that is the same on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        // splitmix64 (Steele, Lea, Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }
}

/// What a station does while its power goes.
fn act(station: &mut Station, what: usize, project: DocumentId, newest: Option<DocumentId>) {
    match (what, newest) {
        (0, _) => drop(station.offer(project, "f/b")),
        (1, Some(id)) => drop(station.withdraw(id)),
        (2, Some(id)) => drop(station.accept(id)),
        (3, Some(id)) => drop(station.refuse(id)),
        (4, _) => station.absorb(),
        _ => station.drive(),
    }
}

/// One thing that happens, drawn.
fn happen(world: &mut World, numbers: &mut Numbers, project: DocumentId) {
    let offers = world.stations[A].ids(Kind::Transfer);
    let open = |id: &DocumentId| world.stations[A].state(Kind::Transfer, *id) == "offered";
    let any = offers.iter().nth(numbers.below(offers.len().max(1)));
    let newest = offers.iter().find(|id| open(id)).or(any).copied();
    let (above, below) = LINKS[numbers.below(4)];
    let (from, to) = [(above, below), (below, above)][numbers.below(2)];
    let most = [1, 2, usize::MAX][numbers.below(3)];
    let at = numbers.below(5);
    match numbers.below(40) {
        0 => act(&mut world.stations[A], 0, project, newest),
        1 => act(&mut world.stations[A], 1, project, newest),
        what @ 2..=3 => {
            let receiver = [B, LAPTOP][numbers.below(2)];
            act(&mut world.stations[receiver], what, project, newest);
        }
        4 => {
            // Neither knows of the other.
            for receiver in [B, LAPTOP] {
                act(&mut world.stations[receiver], 2, project, newest);
            }
        }
        5 => world.stations[at].settle(),
        6..10 => {
            let (moment, unsynced) = (Moment::ALL[numbers.below(4)], UNSYNCED[numbers.below(3)]);
            let at = [A, A, B, LAPTOP][numbers.below(4)];
            let what = numbers.below(4);
            world.stations[at].lose_power(moment, unsynced, |station| {
                act(station, what, project, newest);
            });
        }
        10..14 => {
            let (moment, unsynced) = (Moment::ALL[numbers.below(4)], UNSYNCED[numbers.below(3)]);
            let what = numbers.below(2) + 4;
            world.deliver(from, to, most);
            if what == 5 {
                world.stations[to].absorb();
            }
            world.stations[to].lose_power(moment, unsynced, |station| {
                act(station, what, project, newest);
            });
        }
        14 => world.stations[at].restart(),
        15..17 => {
            // Taken in, and killed before anything followed from it.
            world.deliver(from, to, most);
            world.stations[to].absorb();
            world.stations[to].restart();
        }
        _ => world.ship(from, to, most),
    }
}

/// Seeds of the random schedule.
const SEEDS: u64 = 24;

#[test]
fn whatever_is_cut_or_killed_at_any_step_one_project_lives_and_at_most_one_is_edited() {
    let mut ends = std::collections::BTreeMap::<String, u32>::new();
    for seed in 0..SEEDS {
        let mut numbers = Numbers(seed);
        let mut world = World::new();
        let project = world.project();
        if numbers.below(2) == 0 {
            world.ship_all();
        }
        for step in 0..150 {
            happen(&mut world, &mut numbers, project);
            world.check(project, &format!("seed {seed}, step {step}"));
        }
        world.ship_all();
        world.check(project, &format!("seed {seed}, all heard"));
        let (old, made) = world.states(project);
        *ends
            .entry(format!("{old}, {} made", made.len() / 2))
            .or_default() += 1;
        // What is still offered is asked back: then there is exactly one again.
        for id in world.stations[A].ids(Kind::Transfer) {
            drop(world.stations[A].withdraw(id));
        }
        world.ship_all();
        world.check(project, &format!("seed {seed}, at the end"));
        world.check_secrecy(&format!("seed {seed}"));
        assert_eq!(
            world.edited().len(),
            1,
            "seed {seed}, {:?}",
            world.states(project)
        );
        let totals = report::overview(&world.stations[COORDINATION].core).totals;
        assert_eq!((totals.projects, totals.persons), (1, 1), "seed {seed}");
    }
    // The schedule reaches each of the ways that it can end.
    for end in [
        "planning, 0 made",
        "transferring, 0 made",
        "transferred, 1 made",
        "transferred, 2 made",
    ] {
        assert!(ends.contains_key(end), "{end} in {ends:?}");
    }
}

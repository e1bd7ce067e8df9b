//! Projects that pass from one district to another: what people offer, accept, refuse and withdraw,
//! and how they end what is left when nothing goes wrong any more.
//!
//! Where a store was put back and a lock is left of an offer that nobody has, a person sets the
//! project's state, as the guide says. What waits for a district of which no node is a member any
//! more stays as it is, and is counted.

use raccordo_config::Territory;
use raccordo_crdt_model::{DocumentId, Kind, Patch};
use raccordo_node::engine::simulated::{SimulatedNode, Ticket};
use serde_json::{Value, json};

use super::passages::{Told, WHOLE};
use super::place::Asked;
use super::plan::Act;
use super::world::{Event, World};
use crate::chance::Chance;

/// When somebody who waits for an offer looks again, in milliseconds.
const LOOK_AGAIN_MS: u64 = 1_500;

/// What people do about a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Passing {
    /// Offer this project to this district, for so many days.
    Offer(DocumentId, Territory, i64),
    /// Take over what is offered.
    Accept(DocumentId),
    /// Refuse it.
    Refuse(DocumentId),
    /// Ask it back.
    Withdraw(DocumentId),
}

impl World {
    /// Somebody offers a project to another district.
    pub(super) fn offer(&mut self, place: usize, to: usize, chance: &mut Chance) {
        let own = self.places[place].territory.to_string();
        let to = self.places[to].territory.clone();
        let mut projects = self.truth.records_of(&own);
        projects.retain(|(_, kind)| *kind == Kind::Project);
        if chance.percent(90) {
            projects.retain(|(id, _)| self.truth.may_pass(*id));
        }
        if !projects.is_empty() {
            let (project, _) = *chance.pick(&projects);
            let days = *chance.pick(&[0, 1, 30, 30]);
            self.pass(place, Passing::Offer(project, to, days));
        }
    }

    /// Somebody looks at an offer and answers it.
    pub(super) fn answer_offer(&mut self, place: usize, looks: u32, chance: &mut Chance) {
        if let Some(id) = self.open_here(place, "to", chance) {
            let accepts = chance.percent(70);
            let way = if accepts {
                Passing::Accept(id)
            } else {
                Passing::Refuse(id)
            };
            self.pass(place, way);
        } else if looks > 0 && !self.calm {
            let (seed, looks) = (chance.number(), looks - 1);
            self.after(
                LOOK_AGAIN_MS,
                Event::Act(Act::Answer { place, looks }, seed),
            );
        }
    }

    /// Somebody asks for a project back.
    pub(super) fn withdraw(&mut self, place: usize, chance: &mut Chance) {
        if let Some(id) = self.open_here(place, "from", chance) {
            self.pass(place, Passing::Withdraw(id));
        }
    }

    fn pass(&mut self, place: usize, way: Passing) {
        let operator = self.operator();
        let node = self.places[place].node.as_ref();
        if let Some(ticket) = node.and_then(|node| command(node, &way, &operator)) {
            self.ask(place, Asked::Passing { way, operator }, |_| ticket);
        }
    }

    /// An offer that this place's people see open, of those in which its territory is this side; they
    /// see what it is about, and not whom.
    fn open_here(&mut self, place: usize, side: &str, chance: &mut Chance) -> Option<DocumentId> {
        let own = self.places[place].territory.to_string();
        let node = self.places[place].node.as_ref()?;
        let mut open = Vec::new();
        let mut broken = None;
        for id in self.truth.transfers() {
            let Ok(view) = node.record(Kind::Transfer, *id) else {
                continue;
            };
            if view.fields["state"] != "offered" || view.fields[side] != json!(own) {
                continue;
            }
            open.push(*id);
            if view.fields.get("sealed").is_some() {
                broken = Some(format!("{place} shows what is sealed in {id}"));
            }
        }
        if let Some(seen) = broken {
            self.fail(WHOLE, seen);
        }
        (!open.is_empty()).then(|| *chance.pick(&open))
    }

    /// A command about a transfer was answered as done.
    pub(super) fn passed(&mut self, place: usize, id: DocumentId, way: &Passing, operator: &str) {
        self.tally.count(match way {
            Passing::Offer(..) => "projects offered",
            Passing::Accept(_) => "offers accepted",
            Passing::Refuse(_) => "offers refused",
            Passing::Withdraw(_) => "offers withdrawn",
        });
        self.acknowledged(place, Some(id), operator.to_owned());
        self.passages.told.push(Told {
            place,
            transfer: id,
            operator: operator.to_owned(),
            way: way.clone(),
        });
    }

    /// When nothing goes wrong any more, every offer is answered or withdrawn by whoever can.
    pub(super) fn settle_passages(&mut self) {
        let mut busy = self.places.iter().flat_map(|place| &place.waiting);
        if busy.any(|one| matches!(one.what, Asked::Passing { .. })) {
            return;
        }
        let members = self.members();
        for (id, passage) in self.passages.open() {
            let (own, other) = (passage.from, passage.to);
            let sends = self.chance.percent(40);
            let territory = if sends { own } else { other };
            let place = self.who_holds(id, &territory, &members);
            let way = match (sends, self.chance.percent(50)) {
                (true, _) => Passing::Withdraw(id),
                (false, true) => Passing::Accept(id),
                (false, false) => Passing::Refuse(id),
            };
            if let Some(place) = place {
                self.pass(place, way);
            }
        }
        let busy = self.places.iter().any(|place| !place.waiting.is_empty());
        let left_over = if busy { Vec::new() } else { self.left_over() };
        for (place, project) in left_over {
            let operator = self.operator();
            let state = json!([{"op": "add", "path": "/state", "value": "active"}]);
            let patch = Patch::parse(&state).expect("a well-formed patch");
            self.tally.count("locks left over, opened by a person");
            let what = Asked::Write {
                operator: operator.clone(),
            };
            self.ask(place, what, |node| {
                node.patch(Kind::Project, project, patch, None, &operator)
            });
        }
    }

    /// Projects locked by a transfer that nobody has any more, and where they were locked.
    pub(super) fn left_over(&mut self) -> Vec<(usize, DocumentId)> {
        let mut found = Vec::new();
        if self.passages.lost.is_empty() {
            return found;
        }
        let everything = self.truth.everything();
        for place in self.members() {
            let territory = self.places[place].territory.to_string();
            for (project, kind) in self.truth.records_of(&territory) {
                let state = self.truth.state(project, &everything).ok().flatten();
                let fields = state.map(|state| state.document.record().fields);
                let fields = fields.unwrap_or(Value::Null);
                if kind != Kind::Project || fields["state"] != "transferring" {
                    continue;
                }
                let by = fields.pointer("/links/transfer").and_then(Value::as_str);
                let by = by.and_then(|id| DocumentId::parse(id).ok());
                if by.is_some_and(|by| !self.truth.transfers().contains(&by)) {
                    found.push((place, project));
                }
            }
        }
        found
    }
}

fn command(node: &SimulatedNode, way: &Passing, by: &str) -> Option<Ticket> {
    match way {
        Passing::Offer(project, to, days) => node.offer(*project, to.clone(), *days, by).ok(),
        Passing::Accept(id) => Some(node.accept(*id, by)),
        Passing::Refuse(id) => Some(node.refuse(*id, by)),
        Passing::Withdraw(id) => Some(node.withdraw(*id, by)),
    }
}

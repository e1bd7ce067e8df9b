//! What must hold of projects that pass from one district to another, whatever happens.
//!
//! What was published tells which project was offered, by whose lock, and what was made of it; each
//! node's own edit, tried, tells whether it can be edited there. Two nodes of a sender that offer one
//! project at once, and two of a receiver that accept at once, do not know of each other: until they
//! hear, both copies are open, and at the end one. What a revoked node did behind its end does not count.

use std::collections::{BTreeMap, BTreeSet};

use raccordo_crdt_model::{DocumentId, Heads, Kind};
use raccordo_node::engine::MemberState;
use raccordo_node::engine::simulated::SimulatedNode;
use raccordo_transport::LogId;
use serde_json::{Value, json};

use super::passing::Passing;
use super::promises::{Broken, SOUND};
use super::truth::{Ends, State};
use super::world::World;

/// Two districts cannot edit the same project.
pub(super) const ONE: &str = "never two editable copies of one project";
/// What is offered is locked until all who could accept have said that they did not.
pub(super) const LOCKED: &str = "what is offered is locked until it is given back";
/// At rest each project can be edited in one district, and the coordination knows in which.
pub(super) const WHOLE: &str =
    "a project that passes has one editable copy, where the coordination says";
/// An answer that was given stays.
pub(super) const KEPT: &str = "an answer about a transfer stays";

/// Transfers as they were published.
#[derive(Debug, Default)]
pub(super) struct Passages {
    all: BTreeMap<DocumentId, Passage>,
    /// Projects that were made of a transfer, each with the transfer and the project before it.
    made: BTreeMap<DocumentId, (DocumentId, DocumentId)>,
    /// Projects that were looked at: made of a transfer or not.
    known: BTreeSet<DocumentId>,
    /// What people were told.
    pub(super) told: Vec<Told>,
    /// Records of which entries went with a disk before anybody else had them.
    pub(super) lost: BTreeSet<DocumentId>,
    /// Where the logs of revoked members end.
    cut: BTreeMap<LogId, u64>,
    /// How much had been published.
    seen: u64,
    /// What was tried at a place, and at which version.
    tried: BTreeMap<(usize, DocumentId), Tried>,
}

/// At which start, version and point of its transfer an edit of a project was tried.
type Tried = (u64, Option<Heads>, bool, bool);

/// A transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Passage {
    /// The territory that offers.
    pub(super) from: String,
    /// The territory to which it is offered.
    pub(super) to: String,
    project: DocumentId,
    state: String,
    released: bool,
    /// What nodes of the receiver said that they made.
    accepted: Vec<DocumentId>,
    new_project: Option<DocumentId>,
    /// The change by which the project was locked.
    lock: Option<[u8; 32]>,
}

/// What somebody was told.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) place: usize,
    pub(super) transfer: DocumentId,
    pub(super) operator: String,
    pub(super) way: Passing,
}

impl Passage {
    fn of(state: &State) -> Option<Self> {
        let fields = state.document.record().fields;
        let text = |name: &str| Some(fields.get(name)?.as_str()?.to_owned());
        let words = fields["words"].as_object().into_iter().flatten();
        Some(Self {
            from: text("from")?,
            to: text("to")?,
            project: id_in(fields.get("project"))?,
            state: text("state")?,
            released: fields.get("released_on").is_some(),
            accepted: words
                .filter_map(|(_, word)| id_in(word.get("project")))
                .collect(),
            new_project: id_in(fields.get("new_project")),
            lock: None,
        })
    }

    fn is_completed(&self) -> bool {
        self.state == "completed"
    }

    /// Whether its sender has drawn the consequence.
    fn is_settled(&self) -> bool {
        self.is_completed() || (self.released && self.accepted.is_empty())
    }
}

impl Passages {
    /// Offers that nobody has answered or withdrawn.
    pub(super) fn open(&self) -> Vec<(DocumentId, Passage)> {
        let all = self.all.iter();
        let open = all.filter(|(_, passage)| passage.state == "offered");
        open.map(|(id, passage)| (*id, passage.clone())).collect()
    }
}

impl World {
    /// A place has committed: nobody can edit what another district took over.
    pub(super) fn passages_hold(&mut self) -> Result<(), Broken> {
        if self.truth.transfers().is_empty() {
            return Ok(());
        }
        self.look_at_passages()?;
        let mut due = Vec::new();
        for (id, passage) in &self.passages.all {
            let made = self.made_of(|(transfer, _)| *transfer == *id);
            if passage.released && !passage.accepted.is_empty() {
                let seen = format!("transfer {id} is given back, and taken over as {made:?}");
                return Err((KEPT, seen));
            }
            let taken = !made.is_empty();
            if taken || !passage.is_settled() {
                due.push((*id, passage.clone(), taken));
            }
        }
        for (id, passage, taken) in due {
            for place in 0..self.plan.seats.len() {
                self.stays_locked(place, id, &passage, taken)?;
            }
        }
        Ok(())
    }

    /// A node of the sender that knows of the offer takes no edit of the project.
    fn stays_locked(
        &mut self,
        place: usize,
        id: DocumentId,
        passage: &Passage,
        taken: bool,
    ) -> Result<(), Broken> {
        let one = &self.places[place];
        let Some(node) = one.node.as_ref().filter(|_| self.can_be_asked(place)) else {
            return Ok(());
        };
        let (project, lock) = (passage.project, passage.lock);
        if one.territory.as_str() != passage.from {
            return Ok(());
        }
        let version = node.version(project).unwrap_or_default();
        let tried = (one.life, version, taken, node.is_recovering());
        if self.passages.tried.get(&(place, id)) == Some(&tried) {
            return Ok(());
        }
        let changes = node.changes(project).unwrap_or_default();
        let knows = lock.is_some_and(|lock| changes.contains(&lock));
        let edits = knows && node.takes_edits(project);
        self.passages.tried.insert((place, id), tried);
        if !edits {
            return Ok(());
        }
        let name = if taken { ONE } else { LOCKED };
        Err((
            name,
            format!("{project} can be edited at {place}, by transfer {id}: {passage:?}"),
        ))
    }

    fn can_be_asked(&self, place: usize) -> bool {
        let one = &self.places[place];
        one.node.is_some() && one.twin_of.is_none() && one.damaged.is_none() && !one.is_behind()
    }

    /// Projects made of transfers, as far as they count.
    fn made_of(&self, which: impl Fn(&(DocumentId, DocumentId)) -> bool) -> Vec<DocumentId> {
        let made = self.passages.made.iter().filter(|(_, of)| which(of));
        made.map(|(id, _)| *id)
            .filter(|id| !self.truth.is_erased(*id))
            .collect()
    }

    /// Takes note of what was published of transfers since.
    fn look_at_passages(&mut self) -> Result<(), Broken> {
        let moved = self.truth.moved();
        if std::mem::replace(&mut self.passages.seen, moved) == moved {
            return Ok(());
        }
        let ends = self.counting_ends();
        let unreadable = |seen| (SOUND, seen);
        let transfers = self.truth.transfers().clone();
        self.passages.all.retain(|id, _| transfers.contains(id));
        for id in transfers {
            // What was erased stays as it was last seen.
            if self.truth.is_erased(id) {
                continue;
            }
            // What was written on what a revocation cut off nobody can tell for certain.
            let state = self.truth.state(id, &ends).ok().flatten();
            let Some(mut passage) = state.and_then(|state| Passage::of(&state)) else {
                self.passages.all.remove(&id);
                continue;
            };
            let known = self.passages.all.get(&id).and_then(|known| known.lock);
            passage.lock = match known {
                Some(lock) => Some(lock),
                None => self.lock_of(id, &passage).map_err(unreadable)?,
            };
            if let Some(former) = self.passages.all.insert(id, passage.clone()) {
                self.count_step(&former, &passage);
            }
        }
        self.look_at_projects(&ends);
        Ok(())
    }

    fn count_step(&mut self, former: &Passage, passage: &Passage) {
        if passage.is_completed() && !former.is_completed() {
            self.tally.count("projects handed over");
        }
        if passage.released && !former.released {
            self.tally.count("projects given back");
        }
        if passage.state == "expired" && former.state != "expired" {
            self.tally.count("offers expired");
        }
        if passage.accepted.len() > 1 && former.accepted.len() < 2 {
            self.tally.count("offers accepted by two nodes at once");
        }
    }

    /// The change by which a transfer's project was locked.
    fn lock_of(&mut self, id: DocumentId, passage: &Passage) -> Result<Option<[u8; 32]>, String> {
        let everything = self.truth.everything();
        let state = self.truth.state(passage.project, &everything)?;
        let history = state.map(|state| state.document.history());
        let named = json!(id.to_string());
        let lock = history.into_iter().flatten().find(|item| {
            let mut steps = item.changes.iter();
            steps.any(|step| step.path == "/links/transfer" && step.value.as_ref() == Some(&named))
        });
        Ok(lock.map(|item| *item.hash.as_bytes()))
    }

    /// Finds the projects that were made of transfers.
    fn look_at_projects(&mut self, ends: &Ends) {
        let ids = self.truth.ids();
        self.passages.known.retain(|id| ids.contains(id));
        self.passages.made.retain(|id, _| ids.contains(id));
        for id in ids {
            if self.passages.known.contains(&id) || self.truth.is_erased(id) {
                continue;
            }
            let Ok(Some(state)) = self.truth.state(id, ends) else {
                continue;
            };
            self.passages.known.insert(id);
            if state.summary.kind == Kind::Project {
                let links = &state.document.record().fields["links"];
                let link = |name: &str| id_in(links.get(name));
                if let (Some(former), Some(transfer)) = (link("previous"), link("transfer")) {
                    self.passages.made.insert(id, (transfer, former));
                }
            }
        }
    }

    /// Everything but what revoked members wrote behind their ends.
    fn counting_ends(&mut self) -> Ends {
        let nodes = || self.places.iter().filter_map(|place| place.node.as_ref());
        let revoked = nodes().flat_map(SimulatedNode::members);
        let revoked = revoked.filter(|member| member.state == MemberState::Revoked);
        let mut ends = self.truth.everything();
        for member in revoked {
            for log in ends.logs.keys() {
                if log.origin == member.key.origin() {
                    let end = member.ends.get(&log.lane).copied().unwrap_or(0);
                    let known = self.passages.cut.entry(*log).or_default();
                    *known = end.max(*known);
                }
            }
        }
        for (log, end) in &mut ends.logs {
            if let Some(cut) = self.passages.cut.get(log) {
                *end = (*end).min(*cut);
            }
        }
        ends
    }

    /// A place has started, or all is settled: what people there were told stands.
    pub(super) fn answers_stay(&mut self, place: usize) -> Result<(), Broken> {
        if !self.can_be_asked(place) {
            return Ok(());
        }
        let own = self.places[place].id.origin();
        let own = format!("{:016x}", u64::from_be_bytes(own));
        for told in self.passages.told.clone() {
            let id = told.transfer;
            let lost = !self.truth.operators(id).contains(&told.operator);
            if told.place != place || lost || self.truth.is_erased(id) {
                continue;
            }
            let node = self.node(place);
            let fields = node.record(Kind::Transfer, id).map(|view| view.fields);
            let fields = fields.map_err(|failed| (KEPT, format!("{id} is gone: {failed}")))?;
            let word = fields.pointer(&format!("/words/{own}"));
            let made = id_in(word.and_then(|word| word.get("project")));
            let is_there = |made: DocumentId| {
                let gone = self.truth.is_erased(made) || self.passages.lost.contains(&made);
                gone || node.version(made).is_ok_and(|found| found.is_some())
            };
            let stands = match told.way {
                Passing::Offer(..) => true,
                Passing::Accept(_) => made.is_some_and(is_there),
                Passing::Refuse(_) => made.is_none() && fields["state"] != "offered",
                Passing::Withdraw(_) => fields["state"] != "offered",
            };
            if !stands {
                let seen = format!("{place} was told {told:?}, and it is {fields}");
                return Err((KEPT, seen));
            }
        }
        Ok(())
    }

    /// What keeps transfers from being settled; none if nothing does.
    pub(super) fn passage_waits(&mut self, members: &BTreeSet<usize>) -> Option<String> {
        if self.truth.transfers().is_empty() {
            return None;
        }
        if let Err((_, seen)) = self.look_at_passages() {
            return Some(seen);
        }
        if let Some((place, project)) = self.left_over().first() {
            return Some(format!(
                "{project} is locked at {place} by an offer that is gone"
            ));
        }
        let is_left = |territory: &str| {
            let mut left = members.iter().map(|at| self.places[*at].territory.as_str());
            left.any(|own| own == territory)
        };
        let waits = self.passages.all.iter().find(|(id, passage)| {
            let reaches = self.who_holds(**id, &passage.from, members).is_some();
            let answered = !passage.accepted.is_empty() || is_left(&passage.to);
            !passage.is_settled() && !self.truth.is_erased(**id) && reaches && answered
        });
        waits.map(|(id, passage)| format!("transfer {id} is not settled: {passage:?}"))
    }

    /// A member of this territory that holds a record.
    pub(super) fn who_holds(
        &self,
        id: DocumentId,
        territory: &str,
        members: &BTreeSet<usize>,
    ) -> Option<usize> {
        let holds = |at: &&usize| {
            let one = &self.places[**at];
            let node = one
                .node
                .as_ref()
                .filter(|_| one.territory.as_str() == territory);
            node.is_some_and(|node| node.version(id).is_ok_and(|version| version.is_some()))
        };
        members.iter().find(holds).copied()
    }

    /// All is settled: each project that was ever offered can be edited in one district.
    pub(super) fn passages_are_whole(&mut self) -> Result<(), Broken> {
        for place in 0..self.plan.seats.len() {
            self.answers_stay(place)?;
        }
        let mut firsts: BTreeSet<DocumentId> = BTreeSet::new();
        for passage in self.passages.all.values() {
            let mut first = passage.project;
            while let Some((_, former)) = self.passages.made.get(&first) {
                first = *former;
            }
            firsts.insert(first);
        }
        for first in firsts {
            self.is_whole(first)?;
        }
        Ok(())
    }

    /// A project and what was made of it: one of them can be edited, where the coordination says.
    fn is_whole(&mut self, first: DocumentId) -> Result<(), Broken> {
        let mut family = vec![first];
        let mut at = 0;
        while let Some(id) = family.get(at).copied() {
            family.extend(self.made_of(|(_, former)| *former == id));
            at += 1;
        }
        let members = self.members();
        let mut open = BTreeSet::new();
        for id in &family {
            for place in &members {
                let asked = self.can_be_asked(*place);
                if asked && self.places[*place].node.is_some() && self.node(*place).takes_edits(*id)
                {
                    open.insert(*id);
                }
            }
        }
        let is_gone =
            |id: &DocumentId| self.truth.is_erased(*id) || self.passages.lost.contains(id);
        let passages = self.passages.all.iter();
        let of_family = || {
            let all = passages.clone();
            all.filter(|(_, one)| family.contains(&one.project))
        };
        if open.len() > 1 {
            // An answer that was lost with a disk while what was made with it came back: a person chooses.
            if of_family().any(|(id, _)| self.passages.lost.contains(id)) {
                self.tally
                    .count("projects open twice since an answer went with a disk");
                return Ok(());
            }
            return Err((ONE, format!("of {family:?} at rest {open:?} can be edited")));
        }
        if of_family().any(|(id, one)| !one.is_settled() || self.passages.lost.contains(id)) {
            self.tally.count("projects that nobody is left to settle");
            return Ok(());
        }
        let rests = self.rests_as(first);
        let everything = self.truth.everything();
        if family.iter().any(is_gone) || is_gone(&rests) {
            return Ok(());
        }
        let state = self.truth.state(rests, &everything);
        let territory = state
            .ok()
            .flatten()
            .map(|state| state.summary.territory.clone());
        let territory = territory.unwrap_or_default();
        if self.who_holds(rests, &territory, &members).is_none() {
            let began = self.truth.began_in(rests).and_then(|log| self.author(log));
            if began.is_none_or(|author| !members.contains(&author)) {
                self.tally
                    .count("projects whose last copy went with a revoked member");
                return Ok(());
            }
        }
        let of_home = |at: &&usize| {
            self.places[**at].territory.as_str() == territory && self.can_be_asked(**at)
        };
        let shut = members.iter().filter(of_home);
        let shut = shut.filter_map(|at| Some((*at, self.node(*at).refuses_edits(rests)?)));
        let shut: Vec<_> = shut.collect();
        let elsewhere = open.iter().find(|id| **id != rests);
        if elsewhere.is_some() || !shut.is_empty() {
            let seen = format!(
                "{first} goes on as {rests} in {territory}, shut at {shut:?}; open is {open:?}"
            );
            return Err((WHOLE, seen));
        }
        self.counts_once(&family, rests)
    }

    /// The project in which one goes on, as the coordination knows it.
    fn rests_as(&self, first: DocumentId) -> DocumentId {
        let completed = |project: DocumentId| {
            let mut all = self.passages.all.iter();
            let (id, known) = all.find(|(_, one)| one.project == project && one.is_completed())?;
            let told = self.node(0).record(Kind::Transfer, *id);
            let told = told
                .ok()
                .and_then(|told| id_in(told.fields.get("new_project")));
            told.or(known.new_project)
        };
        let mut rests = first;
        while let Some(next) = completed(rests) {
            rests = next;
        }
        rests
    }

    /// The coordination counts a project that passed once.
    fn counts_once(&self, family: &[DocumentId], rests: DocumentId) -> Result<(), Broken> {
        if !self.can_be_asked(0) {
            return Ok(());
        }
        let counted = family.iter().filter(|id| {
            let record = self.node(0).record(Kind::Project, **id);
            record.is_ok_and(|record| record.fields["state"] != "transferred")
        });
        let counted: Vec<_> = counted.collect();
        if counted == [&rests] {
            return Ok(());
        }
        let seen = format!("the coordination counts {counted:?} of {family:?}, and not {rests}");
        Err((WHOLE, seen))
    }
}

fn id_in(value: Option<&Value>) -> Option<DocumentId> {
    DocumentId::parse(value?.as_str()?).ok()
}

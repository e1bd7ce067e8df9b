//! When a healed world is settled: all up, nothing owed, everybody with what is for it, and equal.

use std::collections::BTreeSet;

use raccordo_node::engine::MemberState;
use raccordo_node::engine::simulated::{MemberFacts, SimulatedNode};

use super::world::World;

impl World {
    /// What keeps a healed world from being settled; none if nothing does.
    pub(super) fn differing(&mut self) -> Option<String> {
        let own = self.places.iter().enumerate();
        for (number, place) in
            own.filter(|(_, place)| place.scripted.is_none() && place.twin_of.is_none())
        {
            let Some(node) = &place.node else {
                return Some(format!("{number} is down"));
            };
            if !place.waiting.is_empty() {
                return Some(format!("{number} owes {} answers", place.waiting.len()));
            }
            if let Some(problem) = node.store_problem() {
                return Some(format!("{number} cannot write: {problem}"));
            }
        }
        let members = self.members();
        let unsettled = members.iter().find_map(|number| {
            let place = &self.places[*number];
            match (place.is_behind(), place.damaged.is_some(), &place.node) {
                (true, ..) => Some(format!("{number} has lost entries of its own")),
                (_, true, _) => Some(format!("{number} has a damaged record")),
                (.., Some(node)) => {
                    let refuses = node.refuses_writes();
                    refuses.map(|why| format!("{number} takes no writes: {why}"))
                }
                _ => None,
            }
        });
        if unsettled.is_some() {
            return unsettled;
        }
        members
            .iter()
            .find_map(|place| self.apart(*place, &members))
            .or_else(|| self.passage_waits(&members))
    }

    /// What a member lacks of what is for it, and with whom it has not found itself equal.
    fn apart(&self, place: usize, members: &BTreeSet<usize>) -> Option<String> {
        let one = &self.places[place];
        for (log, published) in self.truth.logs() {
            let author = self.author(log).filter(|author| members.contains(author));
            if author.is_none() || !self.may_hold(place, log) {
                continue;
            }
            let held = match (&one.scripted, &one.node) {
                (Some(scripted), _) => scripted.held(log),
                (None, Some(node)) => node.end(log).seq,
                (None, None) => 0,
            };
            let due = published.admissible();
            if author != Some(place) && held != due {
                return Some(format!("{place} holds {log} to {held} of {due}"));
            }
        }
        let above = self.places[place]
            .above
            .filter(|above| members.contains(above))?;
        if one.scripted.is_some() {
            return None;
        }
        for (here, there) in [(place, above), (above, place)] {
            let other = self.places[there].id.to_string();
            let views = self.node(here).engine().peers();
            let equal = views
                .iter()
                .find(|view| view.id == other)
                .map(|view| view.equal);
            if equal != Some(Some(true)) {
                return Some(format!(
                    "{here} has not found itself equal with {there}: {equal:?}"
                ));
            }
        }
        None
    }

    /// Places that take part when all is healed: the coordination and those above it, as far as each
    /// is approved by whom it joined, and who is approved up to one of these.
    pub(super) fn members(&self) -> BTreeSet<usize> {
        let spine: BTreeSet<usize> = self.upwards(0).collect();
        let takes_part = |place: &usize| self.upwards(*place).any(|at| spine.contains(&at));
        (0..self.plan.seats.len()).filter(takes_part).collect()
    }

    /// A place, whom it joined and so on up, as far as each approves the one before.
    fn upwards(&self, place: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(place), |at| {
            let above = self.places[*at].above?;
            self.approves(above, *at).then_some(above)
        })
    }

    fn approves(&self, above: usize, place: usize) -> bool {
        let key = self.places[place].id;
        let node = self.places[above].node.as_ref();
        let known = node.map(SimulatedNode::members).unwrap_or_default();
        let approved = |member: &MemberFacts| member.state == MemberState::Approved;
        known
            .iter()
            .any(|member| member.key == key && approved(member))
    }
}

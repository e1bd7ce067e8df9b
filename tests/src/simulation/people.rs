//! What people do, and what goes wrong around them: the acts of a plan, and the answers to them.
//!
//! Who gets no answer, since the process went down, does not know whether the write was kept.

use raccordo_config::Role;
use raccordo_crdt_model::{DocumentId, Kind};
use raccordo_node::engine::simulated::{Answered, SimulatedNode, Ticket};
use raccordo_node::engine::{CommandFailed, MemberState};
use raccordo_node::store::Unsynced;
use raccordo_transport::LogId;

use super::place::{Asked, Waiting};
use super::plan::Act;
use super::promises;
use super::scripted::Offence;
use super::tally;
use super::work;
use super::world::{Event, World};
use crate::chance::Chance;

/// Free bytes of a disk that is full.
const FULL_BYTES: u64 = 64;

impl World {
    /// Does an act of the plan.
    pub(super) fn act(&mut self, act: Act, seed: u64) {
        let mut chance = Chance::new(seed);
        self.note(&[20, seed], || format!("{act:?}"));
        self.tally.act(act.name());
        match act {
            Act::Join { place, approved } => self.join(place, approved),
            Act::Approve { at } => self.approve_all(at),
            Act::Suspend { at, place } => self.decide(at, place, MemberState::Suspended),
            Act::Resume { at, place } => self.decide(at, place, MemberState::Approved),
            Act::Revoke { at, place } => self.decide(at, place, MemberState::Revoked),
            Act::Create { place } => self.create(place, &mut chance),
            Act::Change { place } => self.change(place, &mut chance),
            Act::Import { place } => self.import(place, &mut chance),
            Act::Erase { place } => self.erase(place, &mut chance),
            Act::Group { place } => self.group(place, &mut chance),
            Act::Offend { place } => self.offend(place, &mut chance),
            Act::Offer { place, to } => self.offer(place, to, &mut chance),
            Act::Answer { place, looks } => self.answer_offer(place, looks, &mut chance),
            Act::Withdraw { place } => self.withdraw(place, &mut chance),
            Act::Crash { place } => {
                let unsynced = self.places[place].unsynced;
                self.crash(place, Some(unsynced));
            }
            other => self.trouble(other, seed),
        }
    }

    fn trouble(&mut self, act: Act, seed: u64) {
        if self.calm {
            return;
        }
        match act {
            Act::PowerCut {
                place,
                moment,
                unsynced,
            } => {
                self.places[place].unsynced = unsynced;
                self.places[place].machine.disk.cut_power_at(moment);
            }
            Act::FlushFails { place, unsynced } => {
                self.places[place].unsynced = unsynced;
                self.places[place].machine.disk.fail_flush(1);
            }
            Act::DiskFull { place, for_ms } => {
                self.places[place].machine.disk.set_free(Some(FULL_BYTES));
                self.after(for_ms, Event::DiskFree(place));
            }
            Act::ClockJump { place, by_ms } => {
                if self.places[place].is_up() {
                    self.tally.count("clocks set while a node runs");
                }
                self.places[place].clock.jump(by_ms);
            }
            Act::Slow { place, by_ms } => self.places[place].slow_ms = by_ms,
            Act::LinkLost { place } => self.lose_links(place),
            Act::WayCut {
                from,
                to,
                both,
                for_ms,
            } => {
                self.cut_way(from, to, for_ms);
                if both {
                    self.cut_way(to, from, for_ms);
                }
            }
            Act::DialTwice { place } => self.dial_again(place),
            Act::Bend { place } => self.places[place].bend = Some(seed),
            Act::Hostile { place } => self.places[place].hostile = true,
            Act::Restore { place, after_ms } => self.restore_later(place, after_ms),
            Act::Copy { place, for_ms } => self.copy_machine(place, for_ms),
            Act::Damage { place } => self.damage(place, seed),
            _ => {}
        }
    }

    /// Where a frame was bent nobody knows any more where the other stands.
    pub(super) fn lose_bent_links(&mut self) {
        let bent = self.links.iter().filter(|(_, link)| link.bent.is_some());
        for link in bent.map(|(id, _)| *id).collect::<Vec<_>>() {
            for side in 0..2 {
                self.after(1, Event::Lost { link, side });
            }
        }
    }

    fn lose_links(&mut self, place: usize) {
        let links = self.links.iter().filter(|(_, link)| {
            link.ends
                .iter()
                .any(|end| end.place == place && end.is_live())
        });
        let lost: Vec<u64> = links.map(|(id, _)| *id).collect();
        for link in lost {
            for side in 0..2 {
                let wait_ms = self.chance.between(0, 30_000);
                self.after(wait_ms, Event::Lost { link, side });
            }
        }
    }

    /// A member with a program of its own does a command.
    fn group(&mut self, place: usize, chance: &mut Chance) {
        let Some(scripted) = self.places[place].scripted.clone() else {
            return;
        };
        let refused = self.truth.is_refused(LogId::new(scripted.id().origin(), 0));
        for entry in scripted.write(chance) {
            if refused {
                continue;
            }
            if let Err(seen) = self.truth.publish(&entry) {
                self.fail(promises::UNIQUE, seen);
            }
        }
        self.tick(place);
    }

    /// It does what it may not: from there on nobody may believe its log.
    fn offend(&mut self, place: usize, chance: &mut Chance) {
        let Some(scripted) = self.places[place].scripted.clone() else {
            return;
        };
        let offence = *chance.pick(&Offence::ALL);
        let log = LogId::new(scripted.id().origin(), 0);
        // Who signs a second entry is found out where the first is held; else nobody can tell which is first.
        let above = self.places[place].above.unwrap_or(0);
        let seen = self.places[above]
            .node
            .as_ref()
            .map(|node| node.end(log).seq);
        let all = self.truth.log(log).map_or(0, super::truth::TrueLog::len);
        if offence == Offence::Equivocation && seen != Some(all) {
            return;
        }
        let (territory, origin) = (
            self.places[0].territory.to_string(),
            self.places[0].id.origin(),
        );
        let victim = self
            .places
            .iter()
            .find(|one| one.scripted.is_none() && one.role == Role::District);
        let territory = victim.map_or(territory, |victim| victim.territory.to_string());
        let record = self
            .truth
            .records_of(&territory)
            .first()
            .map(|(id, _)| *id.as_bytes());
        let others = (territory.as_str(), origin, record.unwrap_or([7; 16]));
        if scripted.offend(offence, chance, others) {
            self.truth.refuse_from_now(log);
            self.note(&[27], || format!("{place} offends: {offence:?}"));
        }
        self.tick(place);
    }

    /// A process ends without a word; it comes up again by itself.
    pub(super) fn crash(&mut self, place: usize, unsynced: Option<Unsynced>) {
        if self.places[place].node.is_none() {
            return;
        }
        self.note(&[21], || format!("{place} goes down"));
        let ids: Vec<u64> = self.links.keys().copied().collect();
        for id in ids {
            for side in 0..2 {
                let Some(link) = self.links.get_mut(&id) else {
                    continue;
                };
                if link.ends[side].place != place || !link.ends[side].is_live() {
                    continue;
                }
                link.ends[side].end();
                // A connection to a process that is gone ends when somebody answers for it, or by silence.
                if self.chance.percent(60) {
                    let (link, side) = (id, 1 - side);
                    let wait_ms = self.chance.between(1, 3_000);
                    self.after(wait_ms, Event::Lost { link, side });
                }
            }
        }
        self.places[place].crash(unsynced.unwrap_or(Unsynced::Lost));
        self.joining.retain(|joining| joining.place != place);
        self.join_on();
        let wait_ms = if self.calm {
            10
        } else {
            self.chance.between(50, 12_000)
        };
        self.after(wait_ms, Event::Start(place));
    }

    /// A place's node starts with what is on its disk.
    pub(super) fn start(&mut self, place: usize) {
        if self.places[place].is_up() || self.stays_off(place) {
            return;
        }
        if let Err(failed) = self.places[place].start() {
            self.fail("a node starts again", format!("{place}: {failed:?}"));
            return;
        }
        if self.places[place].life > 1 {
            self.tally.count("restarts");
        }
        self.note(&[22], || format!("{place} starts"));
        if self.places[place].machine.disk.is_off() {
            self.tally.count("power cuts");
            let unsynced = self.places[place].unsynced;
            return self.crash(place, Some(unsynced));
        }
        let node = self.places[place].node.as_ref();
        if let Some(reason) = node.and_then(SimulatedNode::store_problem) {
            return self.fall_ill(place, &reason);
        }
        self.check_start(place);
        let wait_ms = self.chance.between(0, 1_000);
        self.dial_soon(place, wait_ms);
        self.touch(place);
    }

    /// A place's writer should look soon whether there is something to do.
    pub(super) fn touch(&mut self, place: usize) {
        let wait_ms = self.places[place].slow_ms + self.chance.between(0, 2);
        self.pump_at(place, self.now_ms() + wait_ms);
    }

    fn pump_at(&mut self, place: usize, at_ms: u64) {
        if self.places[place].scripted.is_some() {
            self.tick(place);
        }
        let one = &mut self.places[place];
        if one.node.is_none() || one.pump_at.is_some_and(|due_ms| due_ms <= at_ms) {
            return;
        }
        one.pump_at = Some(at_ms);
        let life = one.life;
        self.at(at_ms, Event::Pump(place, life));
    }

    /// A place's writer does what waits; then everybody concerned hears of it.
    pub(super) fn pump(&mut self, place: usize, life: u64) {
        let now_ms = self.now_ms();
        let one = &mut self.places[place];
        let due = one.pump_at.is_some_and(|due_ms| due_ms <= now_ms);
        if one.life != life || !due {
            return;
        }
        one.pump_at = None;
        let Some(node) = &mut one.node else { return };
        let again = node.pump();
        let published = node.published();
        let moved = std::mem::replace(&mut one.seen, published) != published;
        let ill = node.store_problem();
        if moved {
            self.note(&[23, published], || format!("{place} has committed"));
            self.check_place(place);
            self.tick(place);
        }
        self.answers(place);
        self.join_on();
        self.room_again(place);
        if self.places[place].machine.disk.is_off() {
            self.tally.count("power cuts");
            let unsynced = self.places[place].unsynced;
            self.crash(place, Some(unsynced));
        } else if let Some(reason) = ill {
            self.fall_ill(place, &reason);
        }
        if let Some(wait_ms) = again {
            self.pump_at(place, now_ms + wait_ms.max(1));
        }
    }

    /// A store that takes no writes any more is started again by somebody, after a while.
    fn fall_ill(&mut self, place: usize, reason: &str) {
        self.note(&[24], || format!("{place} cannot write: {reason}"));
        self.tally.count("stores that could write no more");
        let wait_ms = if self.calm {
            10
        } else {
            self.chance.between(100, 9_000)
        };
        let seed = self.chance.number();
        self.after(wait_ms, Event::Act(Act::Crash { place }, seed));
    }

    /// Deliveries that waited for room may go on.
    fn room_again(&mut self, place: usize) {
        let ends = self
            .links
            .iter()
            .flat_map(|(id, link)| (0..2).map(move |side| (*id, side, &link.ends[side])));
        let waiting: Vec<(u64, usize)> = ends
            .filter(|(_, _, end)| end.place == place && end.waiting() > 0)
            .map(|(id, side, _)| (id, side))
            .collect();
        for (id, side) in waiting {
            self.take_deliveries(id, side);
        }
    }

    pub(super) fn ask(
        &mut self,
        place: usize,
        what: Asked,
        ask: impl FnOnce(&SimulatedNode) -> Ticket,
    ) {
        let one = &mut self.places[place];
        let Some(node) = &one.node else { return };
        let mut ticket = ask(node);
        // The first look hands the command over; nothing can be answered before the writer ran.
        if let Some(answer) = ticket.poll() {
            self.answered(place, &what, answer);
        } else {
            self.places[place].waiting.push(Waiting { ticket, what });
        }
        self.touch(place);
    }

    pub(super) fn operator(&mut self) -> String {
        self.operators += 1;
        format!("op-{}", self.operators)
    }

    fn create(&mut self, place: usize, chance: &mut Chance) {
        let operator = self.operator();
        let (kind, fields) = work::record(chance, self.places[place].role);
        let what = Asked::Write {
            operator: operator.clone(),
        };
        self.ask(place, what, |node| node.create(kind, fields, &operator));
    }

    fn change(&mut self, place: usize, chance: &mut Chance) {
        let Some((id, kind)) = self.own_record(place, chance) else {
            self.create(place, chance);
            return;
        };
        let versions = self.places[place].screens.get(&id);
        let base = versions
            .filter(|versions| chance.percent(60) && !versions.is_empty())
            .map(|versions| versions[chance.index(versions.len())].clone());
        let operator = self.operator();
        let patch = work::patch(chance, kind, &operator);
        let what = Asked::Write {
            operator: operator.clone(),
        };
        self.ask(place, what, |node| {
            node.patch(kind, id, patch, base, &operator)
        });
    }

    fn erase(&mut self, place: usize, chance: &mut Chance) {
        if let Some((id, kind)) = self.own_record(place, chance) {
            let operator = self.operator();
            self.ask(place, Asked::Erasure { id }, |node| {
                node.erase(kind, id, &operator)
            });
        }
    }

    /// Some record of a place's territory, which its node may or may not hold by now.
    fn own_record(&mut self, place: usize, chance: &mut Chance) -> Option<(DocumentId, Kind)> {
        let territory = self.places[place].territory.to_string();
        let records = self.truth.records_of(&territory);
        (!records.is_empty()).then(|| *chance.pick(&records))
    }

    fn import(&mut self, place: usize, chance: &mut Chance) {
        let count = chance.between(2, 6);
        let operators: Vec<String> = (0..count).map(|_| self.operator()).collect();
        let lines = work::lines(chance, place, &operators);
        self.ask(place, Asked::Import { operators }, |node| {
            node.import(lines)
        });
    }

    /// Answers that have come by now.
    fn answers(&mut self, place: usize) {
        let mut waiting = std::mem::take(&mut self.places[place].waiting);
        let mut answers = Vec::new();
        waiting.retain_mut(|one| match one.ticket.poll() {
            Some(answer) => {
                answers.push((one.what.clone(), answer));
                false
            }
            None => true,
        });
        self.places[place].waiting = waiting;
        for (what, answer) in answers {
            self.answered(place, &what, answer);
        }
    }

    fn answered(&mut self, place: usize, what: &Asked, answer: Result<Answered, CommandFailed>) {
        let words = match &answer {
            Ok(answered) => format!("{answered:?}"),
            Err(failed) => format!("refused: {failed}"),
        };
        self.note(&[25, u64::from(answer.is_ok())], || {
            format!("{place} answers {what:?}: {words}")
        });
        if answer.is_err() {
            self.tally.count(tally::REFUSED_WRITE);
        }
        match (what, answer) {
            (Asked::Write { operator }, Ok(Answered::Record(id))) => {
                self.acknowledged(place, Some(id), operator.clone());
            }
            (Asked::Import { operators }, Ok(Answered::Imported(report)))
                if report.rejected == 0 =>
            {
                for operator in operators {
                    self.acknowledged(place, None, operator.clone());
                }
            }
            (Asked::Invitation { place: guest }, Ok(Answered::Invited(invitation))) => {
                self.places[*guest].invitation = Some(invitation);
                self.join(*guest, true);
            }
            (Asked::Passing { way, operator }, Ok(Answered::Record(id))) => {
                self.passed(place, id, way, operator);
            }
            (Asked::Pin, Ok(_)) => {
                self.places[place].pinned = true;
                self.dial_soon(place, 5);
            }
            (Asked::Erasure { id }, Ok(_)) => {
                self.tally.count("erasures acknowledged");
                self.check_erasure(place, *id);
            }
            _ => {}
        }
    }
}

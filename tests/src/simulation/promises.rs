//! What must hold whatever happens: each promise by its name, looked at while the world runs.
//!
//! After every commit what is cheap; at each start what the disk kept; at the end everything.

use std::collections::{BTreeMap, BTreeSet};

use raccordo_crdt_model::{Digest, DocumentId};
use raccordo_node::engine::MemberState;
use raccordo_node::engine::simulated::{DocumentFacts, SimulatedNode, TerritoryFacts};
use raccordo_transport::{Cursor, LogId, PeerId, Rollback};
use serde_json::Value;

use super::link::End;
use super::tally;
use super::truth::{Ends, State};
use super::world::World;

/// A write answered as done survives.
pub(super) const ACKNOWLEDGED: &str = "acknowledged writes survive";
/// Nobody is told of what a power cut could take away.
pub(super) const DURABLE: &str = "an acknowledgement is of what is durable";
/// What came together is seen together.
pub(super) const ATOMIC: &str = "groups are atomic";
/// Counts, digests and records are those of some point of each log.
pub(super) const PREFIX: &str = "the overview is a prefix of each origin's log";
/// What is held is what its author signed, where its author put it.
pub(super) const AUTHENTIC: &str = "no forged, moved or unauthorised entry is visible";
/// Who is no longer approved is heard no more.
pub(super) const REVOKED: &str = "nothing of a revoked or suspended member is admitted";
/// A number of a log is used once, an actor by one start.
pub(super) const UNIQUE: &str = "no number and no actor is used twice";
/// What is held stays held.
pub(super) const FORWARD: &str = "no log that is held goes back";
/// Nodes that hold the same say so.
pub(super) const EQUAL: &str = "healed nodes have equal digests";
/// What is for some is not seen by others.
pub(super) const AUDIENCE: &str = "nothing reaches whom it is not for";
/// What was erased is nowhere shown.
pub(super) const ERASED: &str = "what was erased stays erased";
/// Queues and caches have a limit.
pub(super) const BOUNDED: &str = "memory stays bounded";
/// Nothing fails in the program itself.
pub(super) const SOUND: &str = "the program meets no fault of its own";

/// What was promised so far.
#[derive(Debug, Default)]
pub(super) struct Promises {
    /// Writes answered as done: where, by whom, of which record.
    pub(super) acknowledged: Vec<(usize, String, Option<DocumentId>)>,
    /// Which start of which place had an incarnation.
    incarnations: BTreeMap<[u8; 8], (usize, u64)>,
    /// The farthest that each place durably held each log.
    pub(super) held: BTreeMap<(usize, LogId), Cursor>,
    /// Members who are on hold or revoked, and where their logs end, as last seen at a place.
    pub(super) silent: BTreeMap<(usize, PeerId), (MemberState, BTreeMap<u8, u64>)>,
    /// Logs that had stopped at a place, as last seen there.
    pub(super) stopped: BTreeSet<(usize, LogId)>,
    /// Records that were erased at a place, as last seen there.
    pub(super) erased: BTreeSet<(usize, DocumentId)>,
}

impl World {
    /// A write was answered as done.
    pub(super) fn acknowledged(&mut self, place: usize, id: Option<DocumentId>, operator: String) {
        self.tally.count(tally::ACKNOWLEDGED);
        if let Some(id) = id {
            let published = self.truth.operators(id).contains(&operator);
            if !self.places[place].is_behind() && !self.truth.is_erased(id) && !published {
                let seen = format!(
                    "{place} answered {operator} about {id}, and no entry of it is on its disk"
                );
                self.fail(ACKNOWLEDGED, seen);
            }
            let node = self.places[place].node.as_ref();
            let version = node.and_then(|node| node.version(id).ok().flatten());
            if let Some(version) = version {
                self.places[place].look_at(id, version);
            }
        }
        let promised = (place, operator, id);
        self.promises.acknowledged.push(promised);
    }

    /// An erasure was answered as done.
    pub(super) fn check_erasure(&mut self, place: usize, id: DocumentId) {
        if !self.places[place].is_behind() && !self.truth.is_erased(id) {
            let seen =
                format!("{place} answered the erasure of {id}, and no tombstone is on its disk");
            self.fail(ACKNOWLEDGED, seen);
        }
    }

    /// A place has committed: what was published is durable, authentic and whole.
    pub(super) fn check_place(&mut self, place: usize) {
        if self.places[place].twin_of.is_some() {
            self.stop_writing_copy(place);
            return;
        }
        if self.places[place].machine.disk.is_off() {
            return;
        }
        let checked = self
            .publish_own(place)
            .and_then(|()| self.ends_hold(place))
            .and_then(|()| self.overview_holds(place))
            .and_then(|()| self.durable_holds(place))
            .and_then(|()| self.memory_holds(place))
            .and_then(|()| self.erasures_hold(place))
            .and_then(|()| self.passages_hold());
        if let Err((invariant, seen)) = checked {
            self.fail(invariant, format!("{place}: {seen}"));
        }
    }

    /// A place has started: its disk kept what was promised.
    pub(super) fn check_start(&mut self, place: usize) {
        if self.places[place].twin_of.is_some() {
            return;
        }
        let checked = self
            .incarnation_is_new(place)
            .and_then(|()| self.store_is_well(place))
            .and_then(|()| self.nothing_went_back(place));
        if let Err((invariant, seen)) = checked {
            self.fail(invariant, format!("{place}: {seen}"));
            return;
        }
        self.check_place(place);
        if let Err((invariant, seen)) = self.answers_stay(place) {
            self.fail(invariant, format!("{place}: {seen}"));
        }
    }

    /// A place acknowledges: its disk has what it says.
    pub(super) fn check_acknowledgement(&mut self, place: usize) {
        if let Err((invariant, seen)) = self.durable_holds(place) {
            self.fail(invariant, format!("{place}: {seen}"));
        }
    }

    /// Two nodes that stand at the same place have compared what they hold.
    pub(super) fn check_comparison(&mut self, link: u64, equal: bool) {
        if !equal && !self.is_bent(link) {
            self.fail(
                EQUAL,
                format!("on connection {link} they differ at equal positions"),
            );
        }
    }

    /// A peer says that somebody lost entries that it holds.
    pub(super) fn check_rollback(&mut self, link: u64, rollback: &Rollback) {
        self.tally.count("losses told by a peer");
        if !self.is_bent(link) && !self.has_restored(link) {
            self.fail(ACKNOWLEDGED, format!("on connection {link}: {rollback:?}"));
        }
    }

    fn is_bent(&self, link: u64) -> bool {
        let of_own_program = |end: &End| self.places[end.place].scripted.is_some();
        let link = self.links.get(&link);
        link.is_some_and(|link| link.bent.is_some() || link.ends.iter().any(of_own_program))
    }

    pub(super) fn node(&self, place: usize) -> &SimulatedNode {
        self.places[place]
            .node
            .as_ref()
            .expect("a place is looked at while its node runs")
    }

    /// Every log that it holds ends at a whole group that its author published and may publish.
    fn ends_hold(&mut self, place: usize) -> Result<(), Broken> {
        let ends = self.node(place).ends();
        self.revoked_are_silent(place, &ends)?;
        for end in ends {
            let Cursor { log, seq, hash } = end;
            let own = log.origin == self.places[place].id.origin();
            if own && self.places[place].is_behind() {
                continue;
            }
            let former = self.promises.held.insert((place, log), end);
            if (!own || !self.places[place].is_restored())
                && former.is_some_and(|former| former.seq > seq)
            {
                return Err((
                    FORWARD,
                    format!("{log} ends at {seq}, and was held to {former:?}"),
                ));
            }
            let Some(published) = self.truth.log(log) else {
                return Err((AUTHENTIC, format!("it holds {log}, which nobody wrote")));
            };
            if published.hash_at(seq) != Some(hash) {
                return Err((
                    AUTHENTIC,
                    format!("entry {seq} of {log} is not the one published"),
                ));
            }
            if own {
                continue;
            }
            if !published.entry(seq).is_some_and(|entry| entry.ends_group) {
                return Err((
                    ATOMIC,
                    format!("{log} is held to {seq}, in the middle of a group"),
                ));
            }
            if seq > published.admissible() {
                return Err((
                    AUTHENTIC,
                    format!("entry {seq} of {log} may not be admitted"),
                ));
            }
            if seq > 0 && !self.may_hold(place, log) {
                return Err((
                    AUDIENCE,
                    format!("it holds {log} to {seq}, which is not for it"),
                ));
            }
            let before = former.map_or(0, |former| former.seq);
            self.tally
                .count_many(tally::ADMITTED, seq.saturating_sub(before));
            self.tally
                .count_many(tally::GROUPS, published.groups(before, seq));
        }
        Ok(())
    }

    /// Logs of members who were on hold or revoked before have not grown beyond where they ended
    /// then, or end by the word of others since: what the place itself says of them now follows
    /// what it took, and permits nothing.
    fn revoked_are_silent(&mut self, place: usize, ends: &[Cursor]) -> Result<(), Broken> {
        for member in self.node(place).members() {
            let known = (place, member.key);
            let silent = matches!(member.state, MemberState::Revoked | MemberState::Suspended);
            let before = self.promises.silent.get(&known).cloned();
            let state_before = before.as_ref().map(|(state, _)| *state);
            if state_before == Some(MemberState::Revoked) && member.state != MemberState::Revoked {
                let (who, state) = (member.key.short(), member.state);
                return Err((REVOKED, format!("{who} is {state:?} after its revocation")));
            }
            if silent {
                let ends = member.ends.clone();
                self.promises.silent.insert(known, (member.state, ends));
            } else {
                self.promises.silent.remove(&known);
            }
            let Some((_, ends_before)) = before.filter(|_| silent) else {
                continue;
            };
            if member.key == self.places[place].id {
                continue;
            }
            let by_others = self.node(place).ends_by_others(&member.key);
            let end_in = |ends: &BTreeMap<u8, u64>, lane| ends.get(&lane).copied().unwrap_or(0);
            for end in ends
                .iter()
                .filter(|end| end.log.origin == member.key.origin())
            {
                let held = self.promises.held.get(&(place, end.log));
                let lane = end.log.lane;
                let valid = end_in(&ends_before, lane).max(end_in(&by_others, lane));
                if end.seq > valid.max(held.map_or(0, |held| held.seq)) {
                    let (log, state) = (end.log, member.state);
                    return Err((
                        REVOKED,
                        format!("{log} grew to {}, its author is {state:?}", end.seq),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Counts and digests, in memory and on disk, are those of the entries held.
    fn overview_holds(&mut self, place: usize) -> Result<(), Broken> {
        if self.places[place].is_behind() || self.places[place].damaged.is_some() {
            return Ok(());
        }
        let ends = self.ends(place);
        let due = self
            .truth
            .territories(&ends)
            .map_err(|seen| (PREFIX, seen))?;
        let node = self.node(place);
        let stored = node
            .stored_territories()
            .map_err(|failed| (SOUND, format!("counts cannot be read: {failed:?}")))?;
        for (held, where_) in [(node.territories(), "memory"), (stored, "its disk")] {
            let held: BTreeMap<_, _> = held
                .into_iter()
                .filter(|(_, facts)| counts(facts))
                .collect();
            if held != due {
                return Err((
                    PREFIX,
                    format!("in {where_} it counts {held:?}, and holds {due:?}"),
                ));
            }
        }
        let due = self.truth.homes(&ends).map_err(|seen| (PREFIX, seen))?;
        let nothing = Digest::default().finish();
        let mut held = self.node(place).home_digests();
        held.retain(|_, digest| *digest != nothing);
        if held == due {
            Ok(())
        } else {
            Err((
                PREFIX,
                format!("its digests by home are {held:x?} and not {due:x?}"),
            ))
        }
    }

    /// What links hear of is what a power cut would leave.
    fn durable_holds(&self, place: usize) -> Result<(), Broken> {
        let Some(node) = &self.places[place].node else {
            return Ok(());
        };
        let durable = self.places[place].machine.durable_ends();
        let durable =
            durable.map_err(|failed| (SOUND, format!("ends cannot be read: {failed:?}")))?;
        let shown = node.ends();
        if shown == durable {
            Ok(())
        } else {
            Err((
                DURABLE,
                format!("it shows {shown:?}, and would keep {durable:?}"),
            ))
        }
    }

    fn memory_holds(&self, place: usize) -> Result<(), Broken> {
        let sizes = self.node(place).sizes();
        let links = self.links.values().flat_map(|link| &link.ends);
        let waiting = links
            .filter(|end| end.place == place)
            .map(End::waiting)
            .max();
        let inbox_max = 4 * self.plan.inbox_bytes;
        if sizes.inbox_bytes > inbox_max || sizes.cached > sizes.cache_capacity || waiting > Some(8)
        {
            return Err((BOUNDED, format!("{sizes:?}, {waiting:?} deliveries wait")));
        }
        Ok(())
    }

    fn incarnation_is_new(&mut self, place: usize) -> Result<(), Broken> {
        let incarnation = self.node(place).incarnation();
        let start = (place, self.places[place].life);
        match self.promises.incarnations.insert(incarnation, start) {
            None => Ok(()),
            Some(former) => Err((
                UNIQUE,
                format!("start {start:?} has the incarnation of start {former:?}"),
            )),
        }
    }

    fn store_is_well(&self, place: usize) -> Result<(), Broken> {
        match self.node(place).store_problem() {
            None => Ok(()),
            Some(reason) => Err((ACKNOWLEDGED, reason)),
        }
    }

    fn nothing_went_back(&self, place: usize) -> Result<(), Broken> {
        let node = self.node(place);
        for ((at, log), held) in &self.promises.held {
            let end = node.end(*log);
            let own = log.origin == self.places[place].id.origin();
            let told = own && self.places[place].is_restored();
            if *at == place && end.seq < held.seq && !told {
                let name = if own { ACKNOWLEDGED } else { FORWARD };
                return Err((
                    name,
                    format!(
                        "{log} was held to {}, and ends at {} after a start",
                        held.seq, end.seq
                    ),
                ));
            }
        }
        Ok(())
    }

    /// How far a place holds each log.
    fn ends(&self, place: usize) -> Ends {
        let node = self.node(place);
        let logs = node.ends().into_iter().map(|end| (end.log, end.seq));
        let mut ends = Ends {
            logs: logs.collect(),
            bodies: BTreeMap::new(),
        };
        // Who relays a record that it knows to be erased sends its entries without their bodies.
        for id in self.truth.erased_elsewhere(&ends) {
            let changes = node.changes(id).unwrap_or_default();
            ends.bodies.insert(id, changes.into_iter().collect());
        }
        ends
    }

    /// Everything that the disks hold, once all is settled.
    pub(super) fn check_whole(&mut self) {
        for place in 0..self.places.len() {
            let one = &self.places[place];
            if one.node.is_none()
                || one.twin_of.is_some()
                || one.damaged.is_some()
                || one.is_behind()
            {
                continue;
            }
            let checked = self
                .documents_hold(place)
                .and_then(|()| self.logs_hold(place))
                .and_then(|()| self.rosters_agree(place));
            if let Err((invariant, seen)) = checked {
                self.fail(invariant, format!("{place}: {seen}"));
                return;
            }
        }
        if let Err((invariant, seen)) = self.passages_are_whole() {
            self.fail(invariant, seen);
        }
        for (place, operator, id) in std::mem::take(&mut self.promises.acknowledged) {
            // What a node wrote that never fetched back what it lost stays with it.
            let known = self.places[place].is_behind()
                || id.is_none_or(|id| {
                    self.truth.is_erased(id) || self.truth.operators(id).contains(&operator)
                });
            if !known {
                self.fail(
                    ACKNOWLEDGED,
                    format!("{place} answered {operator}, which nobody holds"),
                );
            }
        }
    }

    /// Every stored document, and every record that is shown, is what its entries make of it.
    fn documents_hold(&mut self, place: usize) -> Result<(), Broken> {
        let ends = self.ends(place);
        let due = self.truth.states(&ends).map_err(|seen| (PREFIX, seen))?;
        let node = self.node(place);
        let unreadable =
            |failed: &dyn std::fmt::Debug| (SOUND, format!("cannot be read: {failed:?}"));
        let held = node.documents().map_err(|failed| unreadable(&failed))?;
        if held.keys().ne(due.keys()) {
            let (held, due) = (held.len(), due.len());
            return Err((AUTHENTIC, format!("it stores {held} documents of {due}")));
        }
        if let Some(id) = node.erased().iter().find(|id| due.contains_key(*id)) {
            return Err((
                ERASED,
                format!("{id} is erased here, and no tombstone says so"),
            ));
        }
        if let Some(id) = held.keys().find(|id| node.erased().contains(*id)) {
            return Err((ERASED, format!("{id} is shown after its erasure")));
        }
        for (id, facts) in &held {
            let changes: BTreeSet<[u8; 32]> = facts.changes.iter().copied().collect();
            if changes != self.truth.changes(*id, &ends) || changes.len() != facts.changes.len() {
                return Err((
                    AUTHENTIC,
                    format!("{id} has other changes than were published"),
                ));
            }
            let kind = due[id].summary.kind;
            let record = node
                .record(kind, *id)
                .map_err(|failed| unreadable(&failed))?;
            shown(*id, facts, &record, &due[id])?;
        }
        let listed = node.listed().map_err(|failed| unreadable(&failed))?;
        if listed != held.len() {
            return Err((
                PREFIX,
                format!("the list has {listed} lines for {} records", held.len()),
            ));
        }
        match node.damaged_rows() {
            0 => Ok(()),
            damaged => Err((SOUND, format!("{damaged} rows are damaged"))),
        }
    }

    /// Every stored entry is the one that its author published.
    fn logs_hold(&self, place: usize) -> Result<(), Broken> {
        let node = self.node(place);
        for end in node.ends() {
            let entries = node.entries(end.log, 0, usize::MAX);
            let entries =
                entries.map_err(|failed| (SOUND, format!("cannot be read: {failed:?}")))?;
            let published = self.truth.log(end.log);
            let same = entries.iter().all(|entry| {
                let hash = published.and_then(|log| log.hash_at(entry.header.seq));
                hash == Some(entry.entry_hash())
            });
            let whole = u64::try_from(entries.len()) == Ok(end.seq);
            if !same || !whole {
                return Err((
                    AUTHENTIC,
                    format!("{} has other entries than were published", end.log),
                ));
            }
        }
        Ok(())
    }

    /// Members that know the same facts judge every key alike.
    fn rosters_agree(&self, place: usize) -> Result<(), Broken> {
        let members = self.members();
        if place == 0 || !members.contains(&place) || self.places[place].node.is_none() {
            return Ok(());
        }
        let known = self.node(place).members();
        let (own, topmost) = (self.places[place].id, self.places[place].above.is_none());
        for member in self.node(0).members() {
            // Of the topmost nobody says anything but those below it.
            if member.key == own && topmost {
                continue;
            }
            let same = known.iter().find(|other| other.key == member.key);
            if same.is_none_or(|same| same.state != member.state || same.ends != member.ends) {
                return Err((
                    EQUAL,
                    format!("it knows {same:?} where the coordination knows {member:?}"),
                ));
            }
        }
        Ok(())
    }
}

/// The promise that broke, and what was seen.
pub(super) type Broken = (&'static str, String);

fn counts(facts: &TerritoryFacts) -> bool {
    facts.projects + facts.local_projects > 0 || facts.digest != Digest::default().finish()
}

fn shown(
    id: DocumentId,
    facts: &DocumentFacts,
    record: &raccordo_node::engine::RecordView,
    due: &State,
) -> Result<(), Broken> {
    let wanted = due.document.record();
    let heads = due.document.heads();
    if facts.heads != heads || record.heads != heads {
        return Err((
            PREFIX,
            format!(
                "{id} is shown at {} and not at {}",
                record.heads.etag(),
                heads.etag()
            ),
        ));
    }
    let (is, must) = (told(&record.fields), told(&wanted.fields));
    if is != must || record.conflicts.len() != wanted.conflicts.len() {
        return Err((PREFIX, format!("{id} shows {is} and not {must}")));
    }
    Ok(())
}

/// What a record says, without what a transfer shows to some alone.
fn told(fields: &Value) -> Value {
    let mut fields = fields.clone();
    let of_transfer = [
        "sealed",
        "keys",
        "later",
        "later_keys",
        "pieces",
        "preview",
        "already_here",
        "waits_for",
        "not_confirmed",
        "erasure_held_by",
    ];
    if let Some(members) = fields
        .as_object_mut()
        .filter(|all| all.contains_key("former_state"))
    {
        members.retain(|name, _| !of_transfer.contains(&name.as_str()));
    }
    fields
}

//! What authors have on disk is taken for the truth; what an older disk brought back is sorted out.
//!
//! A node whose disk is older than what others hold of its logs is behind: until it has fetched that
//! back, what it holds of them says nothing. What nobody else holds is lost with the newer disk.

use std::collections::BTreeSet;

use raccordo_crdt_model::DocumentId;
use raccordo_transport::{LogId, SignedEntry, StopCode};

use super::place::Past;
use super::promises::{Broken, ERASED, FORWARD, SOUND, UNIQUE};
use super::tally;
use super::truth::TrueLog;
use super::world::World;

impl World {
    /// Takes what the place's author put on disk for the truth.
    pub(super) fn publish_own(&mut self, place: usize) -> Result<(), Broken> {
        let id = self.places[place].id;
        let was_behind = self.places[place].is_behind();
        if was_behind {
            self.places[place].past = Past::Older;
        }
        for log in self.own_logs(place) {
            if self.places[place].is_restored() {
                self.match_own(place, log)?;
            } else {
                self.publish_next(place, log)?;
            }
        }
        if !self.places[place].is_behind() {
            let pairs = self.node(place).pairs().into_iter();
            let own = pairs.filter(|(log, _)| log.origin == id.origin());
            self.truth.pairs.extend(own);
        }
        if was_behind && !self.places[place].is_behind() {
            self.tally.count(tally::RECOVERED);
        }
        Ok(())
    }

    /// The logs of a place's author: those that each has, and those for one other territory.
    fn own_logs(&self, place: usize) -> BTreeSet<LogId> {
        let origin = self.places[place].id.origin();
        let held = self.node(place).ends().into_iter().map(|end| end.log);
        let published = self.truth.logs().map(|(log, _)| log);
        let own = held.chain(published).filter(|log| log.origin == origin);
        own.chain((0..=2).map(|lane| LogId::new(origin, lane)))
            .collect()
    }

    fn publish_next(&mut self, place: usize, log: LogId) -> Result<(), Broken> {
        let known = self.truth.log(log).map_or(0, TrueLog::len);
        let end = self.node(place).end(log);
        if end.seq < known {
            let seen = format!("its own {log} ends at {}, and had {known}", end.seq);
            return Err((FORWARD, seen));
        }
        let new = self.node(place).entries(log, known, usize::MAX);
        if new.is_err() && self.places[place].damaged.is_some() {
            // What cannot be read here cannot be sent either: it is published once it is mended.
            return self.publish_readable(place, log, known);
        }
        let new = new.map_err(|failed| (SOUND, format!("{log} cannot be read: {failed:?}")))?;
        self.publish_all(&new)?;
        let published = self.truth.log(log);
        if published.is_some_and(|log| log.hash_at(end.seq) != Some(end.hash)) {
            let seen = format!("entry {} of its own {log} is another than before", end.seq);
            return Err((UNIQUE, seen));
        }
        Ok(())
    }

    fn publish_readable(&mut self, place: usize, log: LogId, known: u64) -> Result<(), Broken> {
        let mut known = known;
        while let Ok(next) = self.node(place).entries(log, known, 1)
            && !next.is_empty()
        {
            known += 1;
            self.publish_all(&next)?;
        }
        Ok(())
    }

    fn publish_all(&mut self, entries: &[SignedEntry]) -> Result<(), Broken> {
        for entry in entries {
            self.truth.publish(entry).map_err(|seen| (UNIQUE, seen))?;
        }
        Ok(())
    }

    /// A log of a place with an older disk, against what was published before.
    fn match_own(&mut self, place: usize, log: LogId) -> Result<(), Broken> {
        let own = self.node(place).entries(log, 0, usize::MAX);
        if own.is_err() && self.places[place].damaged.is_some() {
            self.places[place].past = Past::Behind;
            return Ok(());
        }
        let own = own.map_err(|failed| (SOUND, format!("{log} cannot be read: {failed:?}")))?;
        let published = self.truth.log(log);
        let same = own.iter().take_while(|entry| {
            published.and_then(|log| log.hash_at(entry.header.seq)) == Some(entry.entry_hash())
        });
        let same = same.count();
        let known = published.map_or(0, TrueLog::len);
        let common = u64::try_from(same).unwrap_or(0);
        if common < known {
            if self.held_elsewhere(place, log) > common {
                self.places[place].past = Past::Behind;
                return Ok(());
            }
            self.lose(log, common);
        }
        self.publish_all(&own[same..])
    }

    /// How far any other place holds a log.
    fn held_elsewhere(&self, place: usize, log: LogId) -> u64 {
        let held = self.promises.held.iter();
        let held = held.filter(|((at, of), _)| *at != place && *of == log);
        let own_programs = self.places.iter().filter_map(|one| one.scripted.as_ref());
        let held = held.map(|(_, end)| end.seq);
        held.chain(own_programs.map(|one| one.held(log)))
            .max()
            .unwrap_or(0)
    }

    /// The end of a log went with its author's disk, and nobody else had it: so did what it was about.
    fn lose(&mut self, log: LogId, from: u64) {
        let mut named = self.truth.named_after(log, from);
        let mut revived = self.truth.erased();
        let operators = |world: &mut Self, of: &BTreeSet<DocumentId>| -> BTreeSet<String> {
            let all = of.iter();
            all.flat_map(|id| world.truth.operators(*id)).collect()
        };
        let before = operators(self, &named);
        self.truth.lose_after(log, from);
        revived.retain(|id| !self.truth.is_erased(*id));
        named.extend(&revived);
        self.passages.lost.extend(&named);
        let after = operators(self, &named);
        let lost: BTreeSet<&String> = before.difference(&after).collect();
        // What an erased record said is not known; where the erasure went, so did what it covered.
        let is_lost = |operator: &String, id: &Option<DocumentId>| {
            let is_revived = id.is_some_and(|id| revived.contains(&id));
            lost.contains(operator) || (is_revived && !after.contains(operator))
        };
        self.promises
            .acknowledged
            .retain(|(_, operator, id)| !is_lost(operator, id));
        self.tally.count("logs of which nobody held the end");
    }

    /// Whether one end of a connection is at a place with an older disk.
    pub(super) fn has_restored(&self, link: u64) -> bool {
        let link = self.links.get(&link);
        link.is_some_and(|link| {
            link.ends.iter().any(|end| {
                let place = &self.places[end.place];
                place.is_restored() || place.twin_of.is_some()
            })
        })
    }

    /// What was erased here stays so; what stopped here is counted.
    pub(super) fn erasures_hold(&mut self, place: usize) -> Result<(), Broken> {
        let erased = self.node(place).erased();
        let gone = |id: &DocumentId| self.promises.erased.contains(&(place, *id));
        let known = self.promises.erased.iter();
        let known = known.filter(|(at, _)| *at == place);
        if let Some((_, id)) = known.clone().find(|(_, id)| !erased.contains(id)) {
            return Err((ERASED, format!("{id} was erased here, and is not any more")));
        }
        let news: Vec<DocumentId> = erased.iter().filter(|id| !gone(id)).copied().collect();
        for id in news {
            self.promises.erased.insert((place, id));
            self.tally.count("erasures known to a node");
        }
        for (log, code) in self.node(place).stopped() {
            if self.promises.stopped.insert((place, log)) {
                self.tally.count(match code {
                    StopCode::Equivocation => "stops raised: an author contradicts itself",
                    _ => "stops raised: an entry was refused",
                });
            }
        }
        Ok(())
    }
}

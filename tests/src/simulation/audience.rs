//! Which logs are for which places.
//!
//! Said anew, beside the program that decides it for real.

use raccordo_config::{Role, Territory};
use raccordo_transport::LogId;

use super::place::Place;
use super::world::World;

impl World {
    /// Whether a log is for a place: of its own territory, of above or below it, or for all.
    pub(super) fn may_hold(&self, place: usize, log: LogId) -> bool {
        let (here, author) = (&self.places[place], self.author(log));
        let Some(author) = author.map(|author| &self.places[author]) else {
            return false;
        };
        let same = here.territory == author.territory;
        let leads = |above: &Place, below: &Place| {
            above.role == Role::Coordination
                && below.territory != above.territory
                && below.territory.is_within(&above.territory)
        };
        match log.lane {
            0 => same || leads(here, author) || leads(author, here),
            1 => same,
            2 => true,
            _ => {
                let with = self.truth.pairs.get(&log);
                let is_with = |with: &String| {
                    let above = here.role == Role::Coordination;
                    let with = Territory::parse(with).expect("a lane is for a territory");
                    here.territory == with || (above && with.is_within(&here.territory))
                };
                same || leads(here, author) || with.is_some_and(is_with)
            }
        }
    }

    /// The place that writes a log.
    pub(super) fn author(&self, log: LogId) -> Option<usize> {
        let writes = |place: &Place| place.id.origin() == log.origin;
        self.places.iter().position(writes)
    }
}

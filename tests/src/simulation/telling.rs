//! What sessions tell their hosts, counted and looked at; what a hostile program makes of what it sends.

use bytes::Bytes;
use raccordo_transport::session::Report;
use raccordo_transport::{LinkEvent, LinkStatistics};

use super::bend;
use super::world::World;

impl World {
    /// A session tells its host something.
    pub(super) fn report(&mut self, id: u64, side: usize, report: Report) {
        let event = match report {
            Report::Answered(_) | Report::SeenTold(_) => return,
            Report::Contact { clock_ms } => LinkEvent::Contact { clock_ms },
            Report::Regarded(standing) => LinkEvent::Regarded { standing },
            Report::Announced(heads) => LinkEvent::Announced { heads },
            Report::Acked(cursors) => LinkEvent::Acked { cursors },
            Report::Compared { equal } => {
                self.tally.count(if equal {
                    "comparisons, equal"
                } else {
                    "comparisons, different"
                });
                self.check_comparison(id, equal);
                LinkEvent::Compared { equal }
            }
            Report::Stopped { by, stopped } => {
                self.tally.count("stops told to a peer");
                LinkEvent::Stopped { by, stopped }
            }
            Report::Resumed { by, log } => {
                self.tally.count("stops ended");
                LinkEvent::Resumed { by, log }
            }
            Report::RolledBack(rollback) => {
                let link = self.links.get(&id);
                let own = link.is_some_and(|link| link.bent == Some(link.ends[side].place));
                if own {
                    // Who bent it knows better than to believe what it leads to.
                    return;
                }
                self.check_rollback(id, &rollback);
                LinkEvent::RolledBack(rollback)
            }
            Report::Evidence(signed) => LinkEvent::Evidence { signed },
            Report::Scope { by, withdrawn } => {
                self.tally.count("logs withdrawn from a peer");
                LinkEvent::Scope { by, withdrawn }
            }
            Report::Clock { offset_ms, rtt_us } => LinkEvent::Clock { offset_ms, rtt_us },
            Report::Reconciled {
                items,
                differing,
                messages,
                bytes,
            } => LinkEvent::Reconciled {
                items,
                differing,
                rounds: messages.div_ceil(2),
                bytes,
            },
            Report::Repaired { documents } => {
                let times = u64::try_from(documents).unwrap_or(0);
                self.tally.count_many("documents repaired", times);
                LinkEvent::Repaired { documents }
            }
            Report::Pinged => LinkEvent::Stats(LinkStatistics::default()),
        };
        self.tell(id, side, event);
    }

    /// What a hostile program sends in the place of a frame.
    pub(super) fn bent_frame(&mut self, id: u64, place: usize, frame: Bytes) -> Vec<Bytes> {
        self.tempt(place);
        match self.places[place].bend {
            Some(seed) if bend::is_of_frames(seed) => {
                self.places[place].bend = None;
                let (what, frames) = bend::frame(seed, frame);
                self.bent(id, place, what);
                self.note(&[7, seed], || format!("{place} bends a frame: {what}"));
                frames
            }
            _ => vec![frame],
        }
    }

    /// A hostile program bends what it sends now and then.
    pub(super) fn tempt(&mut self, place: usize) {
        let one = &self.places[place];
        if one.hostile && !self.calm && one.bend.is_none() && self.chance.percent(25) {
            let seed = self.chance.number();
            self.places[place].bend = Some(seed);
        }
    }

    /// Something was bent on a connection.
    pub(super) fn bent(&mut self, id: u64, place: usize, what: &'static str) {
        self.tally.count(what);
        if let Some(link) = self.links.get_mut(&id) {
            link.bent = Some(place);
        }
    }
}

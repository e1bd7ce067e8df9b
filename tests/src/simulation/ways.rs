//! Ways between places: cut, joined, and what was held meanwhile.

use super::world::{Event, World};

impl World {
    pub(super) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut.contains_key(&(from, to))
    }

    /// From now on nothing passes from one place to another.
    pub(super) fn cut_way(&mut self, from: usize, to: usize, for_ms: u64) {
        *self.cut.entry((from, to)).or_default() += 1;
        self.note(&[10], || {
            format!("nothing passes from {from} to {to} for {for_ms} ms")
        });
        self.after(for_ms, Event::WayOpen { from, to });
    }

    /// One reason for a cut is gone; with the last what was held travels on.
    pub(super) fn open_way(&mut self, from: usize, to: usize) {
        if let Some(cuts) = self.cut.get_mut(&(from, to)) {
            *cuts -= 1;
            if *cuts == 0 {
                self.cut.remove(&(from, to));
                self.travel_on(from, to);
            }
        }
    }

    pub(super) fn open_all_ways(&mut self) {
        for ((from, to), _) in std::mem::take(&mut self.cut) {
            self.travel_on(from, to);
        }
    }

    fn travel_on(&mut self, from: usize, to: usize) {
        let mut waiting = Vec::new();
        for (id, link) in &mut self.links {
            for side in 0..2 {
                if link.ends[side].place == from && link.ends[1 - side].place == to {
                    let held = std::mem::take(&mut link.ends[side].held);
                    waiting.extend(held.into_iter().map(|what| (*id, side, what)));
                }
            }
        }
        for (link, from, what) in waiting {
            let wait_ms = self.delay_ms();
            self.after(wait_ms, Event::Arrival { link, from, what });
        }
    }
}

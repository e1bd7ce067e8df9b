//! Proof and repair on a connection: items and documents read, parcels on their stream, installations.
//!
//! Does what the program does beside its event loop; every read is an event of its own.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use raccordo_transport::reconcile::Reconciler;
use raccordo_transport::session::{Input, RepairInput, Session};
use raccordo_transport::wire::parcel::pack;

use super::link::{BACKFILL, WIRE_FRAMES_MAX};
use super::world::{Event, World};

/// What a repair has read.
#[derive(Debug)]
pub(super) enum Mend {
    /// The items shared with the peer.
    Items,
    /// Documents whole.
    Parcels { ids: Vec<[u8; 16]>, last: bool },
}

impl World {
    /// A read for a repair begins.
    pub(super) fn mend_soon(&mut self, link: u64, side: usize, place: usize, mend: Mend) {
        let wait_ms = self.places[place].slow_ms / 4 + self.chance.between(0, 2);
        self.after(wait_ms, Event::Mend { link, side, mend });
    }

    /// A read for a repair is done.
    pub(super) fn mend(&mut self, id: u64, side: usize, mend: Mend) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let end = &link.ends[side];
        if !end.is_live() {
            return;
        }
        let (host, peer) = (Arc::clone(&end.host), end.peer);
        let input = match mend {
            Mend::Items => {
                // Both sides of a real connection derive one key from it.
                let mut key = [0; 32];
                key[..8].copy_from_slice(&id.to_be_bytes());
                let items = host.items(&peer);
                RepairInput::Items(items.map(|items| Box::new(Reconciler::new(items, key))))
            }
            Mend::Parcels { ids, last } => {
                let parcels = host.parcels(&peer, &ids);
                RepairInput::Parcels(parcels.map(|parcels| {
                    let packed = pack(&parcels, last);
                    packed.frames.into_iter().map(Into::into).collect()
                }))
            }
        };
        self.feed(id, side, Input::Repair(input));
    }

    /// The wire takes backfill frames while it has room; a receiver reads when it wants to.
    pub(super) fn move_backfill(&mut self, id: u64) {
        for side in 0..2 {
            loop {
                let Some(link) = self.links.get_mut(&id) else {
                    return;
                };
                let reader = &mut link.ends[1 - side];
                let wants = reader.session.as_ref().is_some_and(Session::wants_backfill);
                if wants && let Some(frame) = reader.backfill_arrived.pop_front() {
                    self.feed(id, 1 - side, Input::Backfill(frame));
                    continue;
                }
                let under_way = link.ends[side].streams[BACKFILL].len();
                if under_way + link.ends[1 - side].backfill_arrived.len() >= WIRE_FRAMES_MAX {
                    break;
                }
                let Some(frame) = link.ends[side].backfill.pop_front() else {
                    break;
                };
                self.post(id, side, BACKFILL, frame);
                self.feed(id, side, Input::Repair(RepairInput::Written));
            }
        }
    }

    /// Tells a session how its installations went, as far as that is known.
    pub(super) fn take_installations(&mut self, id: u64, side: usize) {
        while let Some(link) = self.links.get_mut(&id)
            && let Some(work) = link.ends[side].installations.front_mut()
        {
            let Poll::Ready(result) = work.as_mut().poll(&mut Context::from_waker(Waker::noop()))
            else {
                let place = link.ends[side].place;
                self.touch(place);
                return;
            };
            link.ends[side].installations.pop_front();
            let place = link.ends[side].place;
            self.touch(place);
            self.feed(id, side, Input::Repair(RepairInput::Installed(result)));
        }
    }
}

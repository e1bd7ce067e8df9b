//! Proof and repair over simulated connections: documents read, sent whole, installed.
//!
//! What the program does on its blocking pool is an event here; both ends key their fingerprints by
//! the connection's number, as TLS's exporter would.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use raccordo_transport::reconcile::Reconciler;
use raccordo_transport::session::{Input, RepairInput, Session};
use raccordo_transport::wire::parcel::{DocumentParcel, pack};

use super::link::BACKFILL;
use super::world::{Event, World};

impl World {
    /// The items that a session asked for are read.
    pub(super) fn read_items(&mut self, id: u64, side: usize) {
        let Some(link) = self.links.get(&id).filter(|link| link.ends[side].is_live()) else {
            return;
        };
        let end = &link.ends[side];
        let mut key = [0; 32];
        key[..8].copy_from_slice(&id.to_be_bytes());
        let items = end.host.items(&end.peer);
        let items = items.map(|items| Box::new(Reconciler::new(items, key)));
        self.feed(id, side, Input::Repair(RepairInput::Items(items)));
    }

    /// The documents that a session asked for are read and packed.
    pub(super) fn read_parcels(&mut self, id: u64, side: usize, ids: &[[u8; 16]], last: bool) {
        let Some(link) = self.links.get(&id).filter(|link| link.ends[side].is_live()) else {
            return;
        };
        let end = &link.ends[side];
        let parcels = end.host.parcels(&end.peer, ids);
        let frames = parcels.map(|parcels| {
            let packed = pack(&parcels, last);
            packed.frames.into_iter().map(Bytes::from).collect()
        });
        self.feed(id, side, Input::Repair(RepairInput::Parcels(frames)));
    }

    /// Puts a frame on the backfill stream.
    pub(super) fn send_backfill(&mut self, id: u64, side: usize, frame: Bytes) {
        self.post(id, side, BACKFILL, frame);
        self.after(0, Event::BackfillWritten { link: id, side });
    }

    /// Hands documents to the host, after those before them.
    pub(super) fn install(&mut self, id: u64, side: usize, parcels: Vec<DocumentParcel>) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let end = &mut link.ends[side];
        let (host, peer) = (Arc::clone(&end.host), end.peer);
        let work = Box::pin(async move { host.install(peer, parcels).await });
        end.installations.push_back(work);
    }

    /// Frames of documents that came are read when the session wants them.
    pub(super) fn move_backfill(&mut self, id: u64, side: usize) {
        loop {
            let Some(link) = self.links.get_mut(&id) else {
                return;
            };
            let end = &mut link.ends[side];
            let wants = end.session.as_ref().is_some_and(Session::wants_backfill);
            let Some(frame) = wants.then(|| end.backfill.pop_front()).flatten() else {
                return;
            };
            self.feed(id, side, Input::Backfill(frame));
        }
    }

    /// How installations went, as far as that is known by now.
    pub(super) fn take_installations(&mut self, id: u64, side: usize) {
        loop {
            let Some(link) = self.links.get_mut(&id) else {
                return;
            };
            let end = &mut link.ends[side];
            let place = end.place;
            let Some(work) = end.installations.front_mut() else {
                return;
            };
            let polled = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            let result = match polled {
                Poll::Pending => None,
                Poll::Ready(result) => {
                    end.installations.pop_front();
                    Some(result)
                }
            };
            self.touch(place);
            let Some(result) = result else { return };
            self.feed(id, side, Input::Repair(RepairInput::Installed(result)));
        }
    }
}

//! What happens on connections: handshakes, frames that travel, sessions that speak and end.
//!
//! Does for the sessions what the program's driver does, on simulated time.

use std::sync::Arc;

use bytes::Bytes;
use raccordo_transport::session::{DeliveryFault, Input, Opening, Output, Session};
use raccordo_transport::wire::data::DATA_BODIES_BYTES;
use raccordo_transport::wire::frame::{Frame, FrameBuffer, Malformed};
use raccordo_transport::wire::{decode_refusal, encode_refusal, kind, refusal_code};
use raccordo_transport::{
    AuthenticatedPeer, CloseReason, LinkEvent, LogId, PeerId, Versions, backoff,
};

use super::bend;
use super::link::{
    BACKFILL, CONTROL, DATA, End, HANDSHAKE_MAX_MS, Link, Travelling, WIRE_FRAMES_MAX, frames,
};
use super::mending::Mend;
use super::naming;
use super::world::{Event, World};

/// Bytes of a queue that an entry may take beside its body.
const ENTRY_ROOM: usize = 320;

impl World {
    /// A place's node looks whether it should dial a peer.
    pub(super) fn dial(&mut self, place: usize, life: u64, peer: PeerId) {
        let one = &mut self.places[place];
        if one.life != life {
            return;
        }
        one.dialling.remove(&peer);
        let connected = |link: &Link| {
            let end = &link.ends[0];
            end.is_live() && end.place == place && end.peer == peer
        };
        if !self.links.values().any(connected) {
            self.handshake(place, peer);
        }
    }

    /// Puts dials of all whom the node dials on the list, unless they are there.
    pub(super) fn dial_soon(&mut self, place: usize, wait_ms: u64) {
        for peer in self.places[place].upstream() {
            self.dial_peer_soon(place, peer, wait_ms);
        }
    }

    fn dial_peer_soon(&mut self, place: usize, peer: PeerId, wait_ms: u64) {
        let one = &mut self.places[place];
        if one.is_up() && one.dialling.insert(peer) {
            let life = one.life;
            self.after(wait_ms, Event::Dial(place, life, peer));
        }
    }

    /// Dials everybody whom the node dials, connected or not.
    pub(super) fn dial_again(&mut self, place: usize) {
        for peer in self.places[place].upstream() {
            self.handshake(place, peer);
        }
    }

    /// Dials a peer, if the node still would.
    fn handshake(&mut self, place: usize, peer: PeerId) {
        let life = self.places[place].life;
        let dials = self.places[place].upstream().contains(&peer);
        let Some(target) = self.place_of(&peer).filter(|_| dials) else {
            return;
        };
        if self.may_connect(place, target) {
            let wait_ms = 2 * self.delay_ms();
            let dialler = (place, life);
            let acceptor = (target, self.places[target].life);
            self.after(wait_ms, Event::Connected { dialler, acceptor });
        } else {
            self.dial_failed(place, peer);
        }
    }

    fn may_connect(&self, dialler: usize, acceptor: usize) -> bool {
        let (near, far) = (&self.places[dialler], &self.places[acceptor]);
        let open = !self.is_cut(dialler, acceptor) && !self.is_cut(acceptor, dialler);
        open && near.admits(&far.id) && far.admits(&near.id)
    }

    pub(super) fn dial_failed(&mut self, place: usize, peer: PeerId) {
        let jitter = self.chance.number();
        let failures = self.places[place].failures.entry(peer).or_default();
        *failures += 1;
        let wait_ms = backoff::next_delay_ms(*failures, jitter) + jitter % HANDSHAKE_MAX_MS;
        self.dial_peer_soon(place, peer, wait_ms);
    }

    /// A handshake is over: both sides begin to talk, and close what they had with each other.
    pub(super) fn connected(&mut self, dialler: (usize, u64), acceptor: (usize, u64)) {
        let still = |(place, life): (usize, u64)| self.places[place].life == life;
        if !still(dialler) {
            return;
        }
        if !still(acceptor) || !self.may_connect(dialler.0, acceptor.0) {
            let peer = self.places[acceptor.0].id;
            self.dial_failed(dialler.0, peer);
            return;
        }
        if self.contested(dialler.0, acceptor.0) {
            return;
        }
        self.replace_older(dialler.0, acceptor.0);
        self.replace_older(acceptor.0, dialler.0);
        let id = self.next_number();
        self.tally.count("connections");
        self.note(&[3, id], || {
            format!("connection {id}: {} dials {}", dialler.0, acceptor.0)
        });
        let end = |(place, _): (usize, u64), other: usize| {
            let host = self.places[place].host();
            let host = host.expect("a node that may connect runs");
            End::new(place, self.places[other].id, host)
        };
        let ends = [end(dialler, acceptor.0), end(acceptor, dialler.0)];
        self.links.insert(id, Link { bent: None, ends });
        for side in 0..2 {
            self.open(id, side);
        }
    }

    fn open(&mut self, id: u64, side: usize) {
        let now_ms = self.now_ms();
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let end = &mut link.ends[side];
        let opening = Opening {
            own: self.places[end.place].id,
            peer: AuthenticatedPeer::for_tests(end.peer),
            dialled: side == 0,
            versions: Versions::CURRENT,
            local: end.host.local_hello(),
            standing: end.host.standing(&end.peer),
            positions: end.host.positions(&end.peer),
            proof_interval_ms: u64::try_from(end.host.proof_interval().as_millis())
                .expect("some minutes"),
        };
        let mut out = Vec::new();
        end.session = Some(Session::open(now_ms, opening, &mut out));
        self.perform_all(id, side, out);
    }

    fn replace_older(&mut self, place: usize, other: usize) {
        let with_other: Vec<(u64, usize)> = self
            .links
            .iter()
            .flat_map(|(id, link)| (0..2).map(move |side| (*id, side, link)))
            .filter(|(_, side, link)| {
                link.ends[*side].is_live()
                    && link.ends[*side].place == place
                    && link.ends[1 - side].place == other
            })
            .map(|(id, side, _)| (id, side))
            .collect();
        for (id, side) in with_other {
            self.close(id, side, CloseReason::Replaced);
        }
    }

    /// Gives one side's session an input and does what it wants.
    pub(super) fn feed(&mut self, id: u64, side: usize, input: Input) {
        let now_ms = self.now_ms();
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let Some(session) = &mut link.ends[side].session else {
            return;
        };
        let mut out = Vec::new();
        session.step(now_ms, input, &mut out);
        self.perform_all(id, side, out);
    }

    fn perform_all(&mut self, id: u64, side: usize, out: Vec<Output>) {
        for output in out {
            let live = self
                .links
                .get(&id)
                .is_some_and(|link| link.ends[side].is_live());
            if !live {
                break;
            }
            self.perform(id, side, output);
        }
        self.take_deliveries(id, side);
        self.move_data(id);
        self.move_backfill(id);
    }

    fn perform(&mut self, id: u64, side: usize, output: Output) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let end = &mut link.ends[side];
        let place = end.place;
        match output {
            Output::SendControl(frame) => self.send_control(id, side, place, frame),
            Output::SendData(frame) => end.outgoing.push_back(frame),
            Output::AllowData | Output::TakeSeen(_) => {}
            Output::Read { log, after } => {
                let wait_ms = self.places[place].slow_ms / 4 + self.chance.between(0, 2);
                let read = Event::Read {
                    link: id,
                    side,
                    log,
                    after,
                };
                self.after(wait_ms, read);
            }
            Output::Deliver { log, entries } => end.deliver(log, entries),
            Output::ReadItems => self.mend_soon(id, side, place, Mend::Items),
            Output::ReadParcels { ids, last } => {
                self.mend_soon(id, side, place, Mend::Parcels { ids, last });
            }
            Output::SendBackfill(frame) => end.backfill.push_back(frame),
            Output::Install(parcels) => end.install(parcels),
            Output::Connected(remote) => {
                let away = end.host.turns_away(&end.peer, &remote);
                if let Some(reason) = away {
                    self.tally.count("copies refused");
                    self.close(id, side, reason);
                    return;
                }
                let address = "127.0.0.1:1".parse().expect("an address");
                let outgoing = side == 0;
                self.tell(
                    id,
                    side,
                    LinkEvent::Connected {
                        remote: *remote,
                        address,
                        outgoing,
                    },
                );
            }
            Output::Report(report) => self.report(id, side, report),
            Output::WakeAt { deadline_ms, .. } => {
                end.wake_ms = Some(deadline_ms);
                let at_ms = deadline_ms.max(self.now_ms());
                self.at(at_ms, Event::Wake { link: id, side });
            }
            Output::Close(reason) => self.close(id, side, reason),
        }
    }

    fn send_control(&mut self, id: u64, side: usize, place: usize, frame: Bytes) {
        let kinds = frames(&frame).unwrap_or_default();
        if kinds.iter().any(|frame| frame.kind == kind::ACK) {
            self.check_acknowledgement(place);
        }
        self.post(id, side, CONTROL, frame);
    }

    pub(super) fn tell(&mut self, id: u64, side: usize, event: LinkEvent) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let end = &link.ends[side];
        let place = end.place;
        end.host.event(&end.peer, event);
        self.touch(place);
    }

    /// Ends one side and tells the other.
    pub(super) fn close(&mut self, id: u64, side: usize, reason: CloseReason) {
        let code = u64::from(refusal_code(&reason));
        let refusal = encode_refusal(&reason);
        self.note(&[4, id, code], || {
            format!("connection {id}: side {side} closes: {reason}")
        });
        let wait_ms = self.delay_ms();
        let what = Travelling::Close(code, refusal);
        let from = side;
        self.after(
            wait_ms,
            Event::Arrival {
                link: id,
                from,
                what,
            },
        );
        self.ended(id, side, reason);
    }

    /// One side hears that the conversation is over.
    fn ended(&mut self, id: u64, side: usize, reason: CloseReason) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let end = &mut link.ends[side];
        if !end.is_live() {
            return;
        }
        end.end();
        let (place, peer) = (end.place, end.peer);
        self.tally.count("connections lost or closed");
        let refused = matches!(reason, CloseReason::Revoked | CloseReason::BadEntry { .. });
        self.tell(id, side, LinkEvent::Closed { reason });
        if self
            .links
            .get(&id)
            .is_some_and(|link| !link.ends.iter().any(End::is_live))
        {
            self.links.remove(&id);
        }
        if side == 0 {
            if !refused {
                self.places[place].failures.remove(&peer);
            }
            self.dial_failed(place, peer);
        }
    }

    /// One side notices that the connection is gone.
    pub(super) fn lost(&mut self, id: u64, side: usize) {
        let detail = "the connection was lost".to_owned();
        self.ended(id, side, CloseReason::Unreachable { detail });
    }

    /// Puts a frame on its way to the other side.
    pub(super) fn post(&mut self, id: u64, side: usize, stream: usize, frame: Bytes) {
        let at_ms = self.now_ms() + self.delay_ms();
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let end = &mut link.ends[side];
        end.streams[stream].push_back(frame);
        end.clear_ms[stream] = at_ms.max(end.clear_ms[stream]);
        let arrives_ms = end.clear_ms[stream];
        let (from, what) = (side, Travelling::Frame(stream));
        self.at(
            arrives_ms,
            Event::Arrival {
                link: id,
                from,
                what,
            },
        );
    }

    /// Something reaches the other side, or the cut on its way.
    pub(super) fn arrival(&mut self, id: u64, from: usize, what: Travelling) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let way = (link.ends[from].place, link.ends[1 - from].place);
        if self.cut.contains_key(&way) {
            link.ends[from].held.push(what);
            self.tally.count("messages held up on a cut way");
            return;
        }
        let stream = match what {
            Travelling::Frame(stream) => stream,
            Travelling::Close(code, refusal) => {
                let reason = decode_refusal(code, &refusal, Versions::CURRENT);
                self.ended(id, 1 - from, reason);
                return;
            }
        };
        let Some(bytes) = link.ends[from].streams[stream].pop_front() else {
            return;
        };
        let came = assembled(&mut link.ends[from].assembling[stream], &bytes);
        self.trace.bytes(&bytes);
        self.note(&[5, id], || {
            format!(
                "connection {id}: {} to {}: {}",
                way.0,
                way.1,
                naming::named(stream, &bytes)
            )
        });
        match came {
            Ok(frames) if stream == CONTROL => {
                for frame in frames {
                    self.feed(id, 1 - from, Input::Control(frame));
                }
            }
            Ok(frames) => {
                if let Some(link) = self.links.get_mut(&id)
                    && link.ends[1 - from].is_live()
                {
                    let reader = &mut link.ends[1 - from];
                    if stream == BACKFILL {
                        reader.backfill_arrived.extend(frames);
                    } else {
                        reader.arrived.extend(frames);
                    }
                    self.move_data(id);
                    self.move_backfill(id);
                }
            }
            Err(malformed) => self.broken_stream(id, 1 - from, malformed.to_string()),
        }
    }

    fn broken_stream(&mut self, id: u64, side: usize, detail: String) {
        self.tally.count("streams refused as malformed");
        self.close(id, side, CloseReason::Protocol { detail });
    }

    /// The wire takes data frames while it has room; a receiver reads when it wants to.
    fn move_data(&mut self, id: u64) {
        for side in 0..2 {
            loop {
                let Some(link) = self.links.get_mut(&id) else {
                    return;
                };
                let reader = &mut link.ends[1 - side];
                let wants = reader.session.as_ref().is_some_and(Session::wants_data);
                if wants && let Some(frame) = reader.arrived.pop_front() {
                    self.feed(id, 1 - side, Input::Data(frame));
                    continue;
                }
                let under_way = link.ends[side].streams[DATA].len();
                let full = under_way + link.ends[1 - side].arrived.len() >= WIRE_FRAMES_MAX;
                if full {
                    break;
                }
                let Some(frame) = link.ends[side].outgoing.pop_front() else {
                    break;
                };
                let place = link.ends[side].place;
                for frame in self.bent_frame(id, place, frame) {
                    self.post(id, side, DATA, frame);
                }
                self.feed(id, side, Input::DataWritten);
            }
        }
    }

    /// Tells a session how its deliveries went, as far as that is known.
    pub(super) fn take_deliveries(&mut self, id: u64, side: usize) {
        self.take_installations(id, side);
        loop {
            let Some(link) = self.links.get_mut(&id) else {
                return;
            };
            let end = &mut link.ends[side];
            if end.waiting() == 0 {
                return;
            }
            let place = end.place;
            let result = end.delivered();
            self.touch(place);
            let Some(result) = result else {
                self.tally.count("deliveries that waited for room");
                return;
            };
            if let Err(fault) = &result {
                self.tally.count(match fault {
                    DeliveryFault::Entry(_) => "entries refused by signature or chain",
                    DeliveryFault::Host(_) => "entries not taken: the store failed",
                });
                self.note(&[8, id], || {
                    format!("connection {id}: {place} does not take: {fault:?}")
                });
            }
            self.feed(id, side, Input::Delivered(result));
        }
    }

    /// The host of one side may have news.
    pub(super) fn local(&mut self, id: u64, side: usize) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let end = &mut link.ends[side];
        if !end.is_live() || !end.ticks.has_changed().unwrap_or(false) {
            return;
        }
        end.ticks.mark_unchanged();
        let input = Input::Local {
            standing: end.host.standing(&end.peer),
            positions: end.host.positions(&end.peer),
        };
        self.feed(id, side, input);
    }

    /// Tells every connection of a place that its host may have news.
    pub(super) fn tick(&mut self, place: usize) {
        let ends = self
            .links
            .iter()
            .flat_map(|(id, link)| (0..2).map(move |side| (*id, side, &link.ends[side])));
        let ticking: Vec<(u64, usize)> = ends
            .filter(|(_, _, end)| end.is_live() && end.place == place)
            .filter(|(_, _, end)| end.ticks.has_changed().unwrap_or(false))
            .map(|(id, side, _)| (id, side))
            .collect();
        for (link, side) in ticking {
            let wait_ms = self.chance.between(0, 2);
            self.after(wait_ms, Event::Local { link, side });
        }
    }

    /// A disk read is done.
    pub(super) fn read(&mut self, id: u64, side: usize, log: LogId, after: u64) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let end = &link.ends[side];
        if !end.is_live() {
            return;
        }
        let (place, peer, host) = (end.place, end.peer, Arc::clone(&end.host));
        // As in earnest, where a frame never fills the other side's queue: it would wait for ever.
        let share = self.plan.inbox_bytes / 4;
        let bytes_max = DATA_BODIES_BYTES.min(share);
        let entries_max = self.plan.read_entries.min(share / ENTRY_ROOM);
        let mut read = host.read(&peer, log, after, entries_max, bytes_max);
        self.tempt(place);
        if let (Some(seed), Ok(entries)) = (self.places[place].bend, &mut read)
            && !bend::is_of_frames(seed)
            && !entries.is_empty()
        {
            self.places[place].bend = None;
            let (what, how) = bend::entries(seed, entries);
            self.bent(id, place, what);
            self.note(&[9, seed], || {
                format!("{place} bends an entry of {log}: {how}")
            });
        }
        self.feed(id, side, Input::Read(read));
    }

    /// A session's deadline has come.
    pub(super) fn wake(&mut self, id: u64, side: usize) {
        let now_ms = self.now_ms();
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let end = &mut link.ends[side];
        if end.wake_ms.is_none_or(|due_ms| due_ms > now_ms) {
            return;
        }
        end.wake_ms = None;
        let clock_ms = end.host.local_hello().clock_ms;
        self.feed(id, side, Input::Deadline { clock_ms });
    }

    pub(super) fn delay_ms(&mut self) -> u64 {
        let most = self.plan.delay_ms;
        self.chance.between(1.min(most), most)
    }
}

/// The frames that are complete with these bytes of a stream.
fn assembled(stream: &mut FrameBuffer, bytes: &[u8]) -> Result<Vec<Frame>, Malformed> {
    stream.push(bytes);
    let mut frames = Vec::new();
    while let Some(frame) = stream.next_frame()? {
        frames.push(frame);
    }
    Ok(frames)
}

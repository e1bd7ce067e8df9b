//! Two sessions joined by a wire, on virtual time: every byte counted, nothing waits.

use std::collections::{BTreeMap, VecDeque};

use raccordo_transport::reconcile::Reconciler;
use raccordo_transport::session::{
    DeliveryFault, Input, Opening, Output, RepairInput, Report, Session,
};
use raccordo_transport::wire::data::{DATA_BODIES_BYTES, DATA_ENTRIES_MAX};
use raccordo_transport::wire::frame::{DATA_FRAME_BYTES_MAX, FrameBuffer};
use raccordo_transport::wire::parcel::pack;
use raccordo_transport::wire::{decode_refusal, encode_refusal, refusal_code};
use raccordo_transport::{
    AuthenticatedPeer, BadEntry, CloseReason, EntryFault, LogId, Rollback, Side, Versions, verify,
};

use crate::support::Memory;

/// One way, in milliseconds.
pub(crate) const LATENCY_MS: u64 = 20;

/// Data frames that the wire holds for a receiver that does not read.
const WIRE_FRAMES_MAX: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Whatever is delivered is durable at once.
    AtOnce,
    /// Only when the test says so.
    ByHand,
}

/// One end: a node, its session, and what came out of it.
pub(crate) struct End {
    pub(crate) node: Memory,
    pub(crate) session: Option<Session>,
    pub(crate) reports: Vec<Report>,
    pub(crate) connected: bool,
    pub(crate) closed: Option<CloseReason>,
    pub(crate) durability: Durability,
    pub(crate) versions: Versions,
    pub(crate) sent_bytes: usize,
    /// Entries read and not yet on the wire, and the most there ever were.
    pub(crate) in_memory: usize,
    pub(crate) in_memory_max: usize,
    pub(crate) reads: usize,
    pub(crate) reading_stopped: bool,
    /// Backfill frames neither leave nor arrive.
    pub(crate) backfill_stopped: bool,
    /// Documents that the host was asked to read whole.
    pub(crate) parcels_read: usize,
    pub(crate) backfill_bytes: usize,
    outbox: Vec<Output>,
    data_out: VecDeque<bytes::Bytes>,
    backfill_out: VecDeque<bytes::Bytes>,
    wake_ms: Option<u64>,
}

enum Travelling {
    Control(bytes::Bytes),
    Data(bytes::Bytes),
    Backfill(bytes::Bytes),
    Close(u64, Vec<u8>),
    /// Nothing: the receiver's own host has news.
    Tick,
}

/// The wire and both ends.
pub(crate) struct Pair {
    pub(crate) ends: [End; 2],
    pub(crate) now_ms: u64,
    /// When the dialler was connected, in virtual time after dialling.
    pub(crate) connected_after_ms: Option<u64>,
    dialled_ms: u64,
    travelling: BTreeMap<(u64, u64), (usize, Travelling)>,
    number: u64,
    arrived: [VecDeque<bytes::Bytes>; 2],
}

impl End {
    pub(crate) fn new(node: Memory) -> Self {
        Self {
            node,
            session: None,
            reports: Vec::new(),
            connected: false,
            closed: None,
            durability: Durability::AtOnce,
            versions: Versions::CURRENT,
            sent_bytes: 0,
            in_memory: 0,
            in_memory_max: 0,
            reads: 0,
            reading_stopped: false,
            backfill_stopped: false,
            parcels_read: 0,
            backfill_bytes: 0,
            outbox: Vec::new(),
            data_out: VecDeque::new(),
            backfill_out: VecDeque::new(),
            wake_ms: None,
        }
    }

    pub(crate) fn compared(&self) -> Vec<bool> {
        self.reports
            .iter()
            .filter_map(|report| match report {
                Report::Compared { equal } => Some(*equal),
                _ => None,
            })
            .collect()
    }

    /// Up to where the peer said that it holds this log.
    pub(crate) fn acked_of(&self, log: LogId) -> u64 {
        self.reports
            .iter()
            .filter_map(|report| match report {
                Report::Acked(cursors) => Some(cursors),
                _ => None,
            })
            .flatten()
            .filter(|cursor| cursor.log == log)
            .map(|cursor| cursor.seq)
            .max()
            .unwrap_or(0)
    }

    pub(crate) fn rollbacks(&self) -> Vec<Rollback> {
        self.reports
            .iter()
            .filter_map(|report| match report {
                Report::RolledBack(rollback) => Some(Rollback {
                    held_hash: None,
                    ..*rollback
                }),
                _ => None,
            })
            .collect()
    }

    /// Entry hashes of the headers that the peer showed.
    pub(crate) fn evidence(&self) -> Vec<(u64, [u8; 32])> {
        self.reports
            .iter()
            .filter_map(|report| match report {
                Report::Evidence(signed) => Some((signed.header.seq, signed.entry_hash())),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn acked(&self) -> u64 {
        self.reports
            .iter()
            .filter_map(|report| match report {
                Report::Acked(cursors) => cursors.iter().map(|cursor| cursor.seq).max(),
                _ => None,
            })
            .max()
            .unwrap_or(0)
    }
}

impl Pair {
    pub(crate) fn new(dialler: Memory, acceptor: Memory) -> Self {
        Self {
            ends: [End::new(dialler), End::new(acceptor)],
            now_ms: 1_000,
            connected_after_ms: None,
            dialled_ms: 0,
            travelling: BTreeMap::new(),
            number: 0,
            arrived: [VecDeque::new(), VecDeque::new()],
        }
    }

    /// Opens fresh sessions over a fresh connection.
    pub(crate) fn connect(&mut self) {
        self.travelling.clear();
        self.arrived = [VecDeque::new(), VecDeque::new()];
        self.dialled_ms = self.now_ms;
        self.connected_after_ms = None;
        for side in 0..2 {
            let peer = self.ends[1 - side].node.id();
            let end = &mut self.ends[side];
            end.closed = None;
            end.connected = false;
            end.reports.clear();
            end.sent_bytes = 0;
            end.data_out.clear();
            end.backfill_out.clear();
            end.parcels_read = 0;
            end.backfill_bytes = 0;
            end.wake_ms = None;
            end.in_memory = 0;
            let opening = Opening {
                own: end.node.id(),
                peer: AuthenticatedPeer::for_tests(peer),
                dialled: side == 0,
                versions: end.versions,
                local: end.node.local_hello(),
                standing: end.node.standing(&peer),
                positions: end.node.positions(&peer),
                proof_interval_ms: 300_000,
            };
            let mut outbox = Vec::new();
            end.session = Some(Session::open(self.now_ms, opening, &mut outbox));
            end.outbox = outbox;
        }
        self.perform_all();
    }

    /// Lets everything happen that happens within `duration_ms`.
    pub(crate) fn run(&mut self, duration_ms: u64) {
        let end_ms = self.now_ms + duration_ms;
        loop {
            let arrival = self.travelling.keys().next().map(|(at_ms, _)| *at_ms);
            let wake = self.ends.iter().filter_map(|end| end.wake_ms).min();
            let next = arrival.into_iter().chain(wake).min();
            let Some(next) = next.filter(|next| *next <= end_ms) else {
                break;
            };
            self.now_ms = self.now_ms.max(next);
            self.arrivals();
            self.wakes();
            self.perform_all();
        }
        self.now_ms = end_ms;
    }

    /// The host of `side` ticks.
    pub(crate) fn tick(&mut self, side: usize) {
        let peer = self.ends[1 - side].node.id();
        let node = &self.ends[side].node;
        let input = Input::Local {
            standing: node.standing(&peer),
            positions: node.positions(&peer),
        };
        self.step(side, input);
        self.perform_all();
    }

    /// What `side` took becomes durable.
    pub(crate) fn store(&mut self, side: usize) {
        if self.ends[side].node.store() {
            self.tick(side);
        }
    }

    /// Gives a frame's bytes to `side` as if the peer had sent them.
    pub(crate) fn forge_data(&mut self, side: usize, bytes: Vec<u8>) {
        self.post(side, LATENCY_MS, Travelling::Data(bytes.into()));
    }

    pub(crate) fn forge_control(&mut self, side: usize, bytes: Vec<u8>) {
        self.post(side, LATENCY_MS, Travelling::Control(bytes.into()));
    }

    /// Frames of both sides together since the connection.
    pub(crate) fn sent_bytes(&self) -> usize {
        self.ends[0].sent_bytes + self.ends[1].sent_bytes
    }

    fn step(&mut self, side: usize, input: Input) {
        let end = &mut self.ends[side];
        if let Some(session) = &mut end.session {
            session.step(self.now_ms, input, &mut end.outbox);
        }
    }

    fn arrivals(&mut self) {
        let later = self.travelling.split_off(&(self.now_ms + 1, 0));
        for (_, (side, what)) in std::mem::replace(&mut self.travelling, later) {
            match what {
                Travelling::Control(bytes) => {
                    for frame in frames(&bytes) {
                        self.step(side, Input::Control(frame));
                    }
                }
                Travelling::Tick => self.tick(side),
                Travelling::Data(bytes) => self.arrived[side].push_back(bytes),
                Travelling::Backfill(bytes) => {
                    for frame in frames(&bytes) {
                        self.step(side, Input::Backfill(frame));
                    }
                }
                Travelling::Close(code, refusal) => {
                    let end = &mut self.ends[side];
                    if end.closed.is_none() {
                        end.closed = Some(decode_refusal(code, &refusal, end.versions));
                    }
                    end.session = None;
                    end.wake_ms = None;
                }
            }
            self.perform_all();
        }
    }

    fn wakes(&mut self) {
        for side in 0..2 {
            if self.ends[side]
                .wake_ms
                .is_some_and(|at_ms| at_ms <= self.now_ms)
            {
                self.ends[side].wake_ms = None;
                let clock_ms = self.ends[side].node.clock_ms + self.now_ms - self.dialled_ms;
                self.step(side, Input::Deadline { clock_ms });
            }
        }
    }

    fn perform_all(&mut self) {
        loop {
            let before = self.number;
            let mut outputs = 0;
            for side in 0..2 {
                for output in std::mem::take(&mut self.ends[side].outbox) {
                    outputs += 1;
                    self.perform(side, output);
                }
            }
            self.move_data();
            self.move_backfill();
            if outputs == 0
                && before == self.number
                && self.ends.iter().all(|end| end.outbox.is_empty())
            {
                return;
            }
        }
    }

    /// The wire takes data frames while it has room; a receiver reads when it wants to.
    fn move_data(&mut self) {
        for side in 0..2 {
            while !self.ends[1 - side].reading_stopped
                && self.ends[1 - side]
                    .session
                    .as_ref()
                    .is_some_and(Session::wants_data)
                && let Some(bytes) = self.arrived[1 - side].pop_front()
            {
                for frame in frames(&bytes) {
                    self.step(1 - side, Input::Data(frame));
                }
                self.number += 1;
            }
            let flying = self
                .travelling
                .values()
                .filter(|(to, what)| *to != side && matches!(what, Travelling::Data(_)))
                .count();
            if flying + self.arrived[1 - side].len() < WIRE_FRAMES_MAX
                && let Some(bytes) = self.ends[side].data_out.pop_front()
            {
                self.post(1 - side, LATENCY_MS, Travelling::Data(bytes));
                self.step(side, Input::DataWritten);
            }
        }
    }

    /// One backfill frame is under way at a time, and only to a receiver that reads.
    fn move_backfill(&mut self) {
        for side in 0..2 {
            let flying = self
                .travelling
                .values()
                .any(|(to, what)| *to != side && matches!(what, Travelling::Backfill(_)));
            let reads = |session: &Session| session.wants_backfill();
            if !flying
                && !self.ends[1 - side].backfill_stopped
                && self.ends[1 - side].session.as_ref().is_some_and(reads)
                && let Some(bytes) = self.ends[side].backfill_out.pop_front()
            {
                self.ends[side].backfill_bytes += bytes.len();
                self.post(1 - side, LATENCY_MS, Travelling::Backfill(bytes));
                self.step(side, Input::Repair(RepairInput::Written));
            }
        }
    }

    fn perform(&mut self, side: usize, output: Output) {
        let now_ms = self.now_ms;
        match output {
            Output::SendControl(bytes) => {
                self.ends[side].sent_bytes += bytes.len();
                self.post(1 - side, LATENCY_MS, Travelling::Control(bytes));
            }
            Output::SendData(bytes) => {
                let end = &mut self.ends[side];
                end.sent_bytes += bytes.len();
                end.in_memory = end.in_memory.saturating_sub(1);
                end.data_out.push_back(bytes);
            }
            Output::AllowData => {}
            Output::Read { log, after } => {
                let end = &mut self.ends[side];
                end.reads += 1;
                end.in_memory += 1;
                end.in_memory_max = end.in_memory_max.max(end.in_memory + end.data_out.len());
                let entries = end
                    .node
                    .read(log, after, DATA_ENTRIES_MAX, DATA_BODIES_BYTES);
                self.step(side, Input::Read(entries));
            }
            Output::Deliver { log, entries } => self.deliver(side, log, entries),
            Output::ReadItems => {
                let items = Reconciler::new(self.ends[side].node.items(), [0x5e; 32]);
                self.step(side, Input::Repair(RepairInput::Items(Ok(Box::new(items)))));
            }
            Output::ReadParcels { ids, last } => {
                let end = &mut self.ends[side];
                end.parcels_read += ids.len();
                let packed = pack(&end.node.parcels(&ids), last);
                let frames = packed.frames.into_iter().map(Into::into).collect();
                self.step(side, Input::Repair(RepairInput::Parcels(Ok(frames))));
            }
            Output::SendBackfill(bytes) => self.ends[side].backfill_out.push_back(bytes),
            Output::Install(parcels) => {
                self.ends[side].node.install(parcels);
                self.step(side, Input::Repair(RepairInput::Installed(Ok(()))));
                self.tick(side);
            }
            Output::TakeSeen(items) => {
                let end = &mut self.ends[side];
                end.node.heard.push(items);
                if end.durability == Durability::AtOnce {
                    self.step(side, Input::SeenTaken(Ok(())));
                }
            }
            Output::Connected(_) => {
                self.ends[side].connected = true;
                if side == 0 {
                    self.connected_after_ms = Some(now_ms - self.dialled_ms);
                }
            }
            Output::Report(report) => self.hear(side, report),
            Output::WakeAt { deadline_ms, .. } => {
                let wake = &mut self.ends[side].wake_ms;
                *wake = Some(wake.map_or(deadline_ms, |at_ms| at_ms.min(deadline_ms)));
            }
            Output::Close(reason) => self.close(side, reason),
        }
    }

    fn close(&mut self, side: usize, reason: CloseReason) {
        let refusal = encode_refusal(&reason);
        let code = u64::from(refusal_code(&reason));
        self.post(1 - side, LATENCY_MS, Travelling::Close(code, refusal));
        let end = &mut self.ends[side];
        end.closed = Some(reason);
        end.session = None;
        end.wake_ms = None;
    }

    /// A host that hears of a withdrawal has other positions from then on; the session hears of it later.
    fn hear(&mut self, side: usize, report: Report) {
        if let Report::Scope {
            by: Side::Theirs,
            withdrawn,
        } = &report
        {
            self.ends[side].node.withdrawn = withdrawn.iter().copied().collect();
            self.post(side, 1, Travelling::Tick);
        }
        self.ends[side].reports.push(report);
    }

    fn deliver(&mut self, side: usize, log: LogId, entries: Vec<raccordo_transport::SignedEntry>) {
        let node = &mut self.ends[side].node;
        let author = node.keys.get(&log.origin).copied();
        let verified: Result<Vec<_>, BadEntry> = entries
            .into_iter()
            .map(|entry| match author {
                Some(author) => verify(entry, &author),
                None => Err(BadEntry {
                    log,
                    seq: entry.header.seq,
                    fault: EntryFault::UnknownOrigin,
                }),
            })
            .collect();
        let result = match verified {
            Ok(entries) => {
                node.take(entries);
                Ok(())
            }
            Err(bad) => Err(DeliveryFault::Entry(bad)),
        };
        self.step(side, Input::Delivered(result));
        if self.ends[side].durability == Durability::AtOnce {
            self.store(side);
        }
    }

    fn post(&mut self, to: usize, after_ms: u64, what: Travelling) {
        self.number += 1;
        self.travelling
            .insert((self.now_ms + after_ms, self.number), (to, what));
    }
}

fn frames(bytes: &[u8]) -> Vec<raccordo_transport::wire::frame::Frame> {
    let mut buffer = FrameBuffer::new(DATA_FRAME_BYTES_MAX);
    buffer.push(bytes);
    let mut frames = Vec::new();
    while let Some(frame) = buffer.next_frame().unwrap() {
        frames.push(frame);
    }
    frames
}

//! A conversation with a peer that says what it likes, from its hello on; and joining.
//!
//! The first byte of an input chooses how this side stands, or joining. A conversation comes in
//! pieces: a byte for the stream, two for the length, the stream's bytes.

use bytes::Bytes;
use raccordo_tests::chance::Chance;
use raccordo_transport::reconcile::Reconciler;
use raccordo_transport::session::{DeliveryFault, Input, Opening, Output, RepairInput, Session};
use raccordo_transport::wire::data::DataEncoder;
use raccordo_transport::wire::frame::{CONTROL_FRAME_BYTES_MAX, DATA_FRAME_BYTES_MAX, FrameBuffer};
use raccordo_transport::wire::parcel::pack;
use raccordo_transport::wire::repair::{encode_recon, encode_want, parse_recon, parse_want};
use raccordo_transport::wire::{Message, encode_refusal, kind, redemption};
use raccordo_transport::{
    AuthenticatedPeer, Cursor, HostFailed, JoinAccepted, JoinRefused, LocalHello, LogId, Offer,
    Positions, Seen, SignedEntry, Standing, Versions, body_hash, sign, verify,
};

use crate::mutate::scramble;
use crate::target::{Answer, Target};
use crate::wire::{self, keys};

const CONTROL: u8 = 0;
const DATA: u8 = 1;
const BACKFILL: u8 = 2;
/// The time comes for which the session asked to be woken.
const WAKE: u8 = 3;

/// This side dialled.
const DIALLED: u8 = 1;
/// The peer waits for approval.
const PENDING: u8 = 2;
/// This side holds something of everything.
const RICH: u8 = 4;
/// No conversation: a node asks to be taken in.
const ASKS: u8 = 8;
/// No conversation: a node that asked is answered.
const ANSWERED: u8 = 16;

/// Inputs that may follow from one piece of a conversation.
const STEPS_MAX: usize = 20_000;

const EXPORTED: [u8; 32] = [0x77; 32];

/// The door of greetings and what follows.
pub(crate) struct Hellos {
    /// This side's own log.
    own: Vec<SignedEntry>,
}

impl Hellos {
    pub(crate) fn new() -> Self {
        let mut own: Vec<SignedEntry> = Vec::new();
        let mut chance = Chance::new(5);
        for seq in 1..=4 {
            let mut header = wire::header(&mut chance);
            header.origin = keys()[0].public().origin();
            header.lane = 0;
            header.seq = seq;
            (header.group_first, header.group_count) = (seq, 1);
            header.prev = own.last().map_or([0; 32], SignedEntry::entry_hash);
            let body = vec![7; 40];
            header.body_hash = body_hash(header.kind, &body).expect("no stub");
            own.push(sign(header, &keys()[0]).with_body(body));
        }
        Self { own }
    }
}

impl Target for Hellos {
    fn name(&self) -> &'static str {
        "hello"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let mut chance = Chance::new(0);
        let talk = |how: u8| talk(&mut chance, how & 31);
        (0..96).map(talk).collect()
    }

    fn input(&self, chance: &mut Chance) -> Vec<u8> {
        let how = match chance.index(10) {
            0 => ASKS,
            1 => ANSWERED,
            _ => chance.between(0, 7).to_le_bytes()[0],
        };
        let mut input = talk(chance, how);
        if chance.percent(35) {
            let mut rest = input.split_off(1);
            scramble(chance, &mut rest);
            input.extend(rest);
        }
        input
    }

    fn feed(&self, input: &[u8]) -> Answer<'_> {
        let Some((how, rest)) = input.split_first() else {
            return Answer::Refused("nobody speaks".to_owned());
        };
        if how & ASKS != 0 {
            return asked(rest);
        }
        if how & ANSWERED != 0 {
            return answered(rest);
        }
        let mut conversation = Conversation::open(&self.own, *how);
        match conversation.hear(rest) {
            Err(wrong) => Answer::is_in(move || Err(wrong)),
            Ok(()) => match conversation.closed {
                Some(why) => Answer::Refused(why),
                None if conversation.connected => Answer::is_in(|| Ok(())),
                None => Answer::Refused("no hello came".to_owned()),
            },
        }
    }
}

fn asked(bytes: &[u8]) -> Answer<'static> {
    match redemption::read_request(bytes, &EXPORTED) {
        Err(bad) => Answer::Refused(bad.to_string()),
        Ok(None) => Answer::Refused("its frame is cut short".to_owned()),
        Ok(Some((Err(refused), _))) => Answer::Refused(refused.to_string()),
        Ok(Some((Ok(_), again))) => {
            let same = bytes.starts_with(&again);
            Answer::is_in(move || {
                same.then_some(())
                    .ok_or("it is written otherwise".to_owned())
            })
        }
    }
}

fn answered(bytes: &[u8]) -> Answer<'static> {
    match redemption::read_answer(bytes) {
        Err(bad) => Answer::Refused(bad.to_string()),
        Ok(None) => Answer::Refused("its frame is cut short".to_owned()),
        Ok(Some(answer)) => Answer::is_in(move || {
            let again = redemption::read_answer(&redemption::answer(answer.clone()));
            let same = again == Ok(Some(answer));
            same.then_some(()).ok_or("it reads as another".to_owned())
        }),
    }
}

/// What a peer says, well-formed but for little.
fn talk(chance: &mut Chance, how: u8) -> Vec<u8> {
    let mut bytes = vec![how];
    if how & ASKS != 0 {
        let name = "è".repeat(chance.index(110));
        let territory = *chance.pick(&["frosinone/a", "", "../x"]);
        let role = chance.between(0, 2).to_le_bytes()[0];
        bytes.extend(redemption::request(
            &keys()[1],
            &name,
            territory,
            role,
            &EXPORTED,
        ));
        return bytes;
    }
    if how & ANSWERED != 0 {
        let code = chance.between(0, 11).to_le_bytes()[0];
        let accepted = JoinAccepted {
            name: "è".repeat(chance.index(110)),
            territory: "frosinone".to_owned(),
            standing: wire::standing(chance),
        };
        let refused = chance.percent(30).then_some(JoinRefused::from_code(code));
        bytes.extend(redemption::answer(refused.map_or(Ok(accepted), Err)));
        return bytes;
    }
    let mut hello = wire::hello(chance);
    if chance.percent(85) {
        hello.remote.versions = Versions::CURRENT;
        hello.remote.standing = Standing::Approved;
        hello.required = 0;
    }
    piece(
        &mut bytes,
        CONTROL,
        &Message::Hello(Box::new(hello)).encode(),
    );
    let mut encoder = DataEncoder::default();
    for _ in 0..chance.index(9) {
        match chance.index(10) {
            0..=2 => piece(&mut bytes, CONTROL, &wire::message(chance).encode()),
            3 | 4 => {
                let word = wire::word(chance);
                let run = chance.between(0, 3);
                piece(&mut bytes, CONTROL, &encode_recon(run, &word));
            }
            5 => {
                let mut ids: Vec<[u8; 16]> = wire::some(chance, 256, wire::bytes);
                ids.sort_unstable();
                ids.dedup();
                piece(&mut bytes, CONTROL, &encode_want(&ids));
            }
            6 | 7 => {
                let entries = wire::entries(chance, 4);
                let frame = encoder.encode(&entries, chance.percent(30)).0;
                piece(&mut bytes, DATA, &frame);
            }
            8 => {
                let parcels = wire::some(chance, 3, wire::parcel);
                for frame in pack(&parcels, chance.percent(70)).frames {
                    piece(&mut bytes, BACKFILL, &frame);
                }
            }
            _ => piece(&mut bytes, WAKE, &[]),
        }
    }
    bytes
}

fn piece(out: &mut Vec<u8>, stream: u8, bytes: &[u8]) {
    // What is longer comes in more pieces.
    let most = usize::from(u16::MAX);
    let mut rest = bytes;
    loop {
        let (now, later) = rest.split_at(rest.len().min(most));
        out.push(stream);
        out.extend(u16::try_from(now.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend(now);
        rest = later;
        if rest.is_empty() {
            return;
        }
    }
}

/// One side of a conversation, with a host that answers at once.
struct Conversation<'a> {
    own: &'a [SignedEntry],
    session: Session,
    streams: [FrameBuffer; 3],
    waiting: Vec<Output>,
    now_ms: u64,
    wake_ms: Option<u64>,
    connected: bool,
    closed: Option<String>,
    steps: usize,
}

impl<'a> Conversation<'a> {
    fn open(own: &'a [SignedEntry], how: u8) -> Self {
        let mut waiting = Vec::new();
        let session = Session::open(1_000, opening(own, how), &mut waiting);
        let limits = [
            CONTROL_FRAME_BYTES_MAX,
            DATA_FRAME_BYTES_MAX,
            DATA_FRAME_BYTES_MAX,
        ];
        Self {
            own,
            session,
            streams: limits.map(FrameBuffer::new),
            waiting,
            now_ms: 1_000,
            wake_ms: None,
            connected: false,
            closed: None,
            steps: 0,
        }
    }

    fn hear(&mut self, mut rest: &[u8]) -> Result<(), String> {
        self.perform()?;
        while let [stream, high, low, after @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let (now, later) = after.split_at(length.min(after.len()));
            rest = later;
            if self.closed.is_some() {
                return Ok(());
            }
            match *stream % 4 {
                WAKE => {
                    self.now_ms = self.wake_ms.take().unwrap_or(self.now_ms).max(self.now_ms);
                    let clock_ms = 1_772_000_000_000 + self.now_ms;
                    self.step(Input::Deadline { clock_ms })?;
                }
                stream => self.stream(stream, now)?,
            }
        }
        Ok(())
    }

    fn stream(&mut self, stream: u8, bytes: &[u8]) -> Result<(), String> {
        let place = usize::from(stream);
        self.streams[place].push(bytes);
        loop {
            // What a session does not want stays where it is, as QUIC would keep it.
            let wanted = match stream {
                DATA => self.session.wants_data(),
                BACKFILL => self.session.wants_backfill(),
                _ => true,
            };
            if !wanted || self.closed.is_some() {
                return Ok(());
            }
            let frame = match self.streams[place].next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(bad) => {
                    self.closed = Some(bad.to_string());
                    return Ok(());
                }
            };
            self.now_ms += 1;
            self.step(match stream {
                DATA => Input::Data(frame),
                BACKFILL => Input::Backfill(frame),
                _ => Input::Control(frame),
            })?;
        }
    }

    fn step(&mut self, input: Input) -> Result<(), String> {
        self.session.step(self.now_ms, input, &mut self.waiting);
        self.perform()
    }

    fn perform(&mut self) -> Result<(), String> {
        while !self.waiting.is_empty() {
            for output in std::mem::take(&mut self.waiting) {
                self.steps += 1;
                if self.steps > STEPS_MAX {
                    return Err("there is no end to what it wants".to_owned());
                }
                if let Some(next) = self.answer(output)? {
                    self.session.step(self.now_ms, next, &mut self.waiting);
                }
            }
        }
        Ok(())
    }

    fn answer(&mut self, output: Output) -> Result<Option<Input>, String> {
        Ok(Some(match output {
            Output::SendControl(bytes) => {
                reads(&bytes)?;
                return Ok(None);
            }
            Output::SendData(_) => Input::DataWritten,
            Output::SendBackfill(_) => Input::Repair(RepairInput::Written),
            Output::Read { log, after } => Input::Read(self.read(log, after)),
            Output::Deliver { log, entries } => Input::Delivered(delivered(log, entries)?),
            Output::ReadItems => {
                let item = |number: u8| ([number; 16], [number & 3; 32]);
                let side = Reconciler::new((0..90).map(item).collect(), [3; 32]);
                Input::Repair(RepairInput::Items(Ok(Box::new(side))))
            }
            Output::ReadParcels { ids, last } => {
                let mut chance = Chance::new(ids.len() as u64);
                let parcels: Vec<_> = ids
                    .iter()
                    .take(2)
                    .map(|_| wire::parcel(&mut chance))
                    .collect();
                let frames = pack(&parcels, last).frames;
                let frames = frames.into_iter().map(Bytes::from).collect();
                Input::Repair(RepairInput::Parcels(Ok(frames)))
            }
            Output::TakeSeen(_) => Input::SeenTaken(Ok(())),
            Output::Install(_) => Input::Repair(RepairInput::Installed(Ok(()))),
            Output::Connected(_) => {
                self.connected = true;
                return Ok(None);
            }
            Output::WakeAt { deadline_ms, .. } => {
                self.wake_ms = Some(deadline_ms);
                return Ok(None);
            }
            Output::Close(reason) => {
                drop(encode_refusal(&reason));
                self.closed = Some(reason.to_string());
                return Ok(None);
            }
            Output::AllowData | Output::Report(_) => return Ok(None),
        }))
    }

    fn read(&self, log: LogId, after: u64) -> Result<Vec<SignedEntry>, HostFailed> {
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        match self.own.get(after..) {
            Some(rest) if self.own[0].header.log() == log => Ok(rest.to_vec()),
            _ => Err(HostFailed::new("not offered")),
        }
    }
}

fn opening(own: &[SignedEntry], how: u8) -> Opening {
    let head = own
        .last()
        .map_or(Cursor::start(LogId::new([0; 8], 0)), |last| Cursor {
            log: last.header.log(),
            seq: last.header.seq,
            hash: last.entry_hash(),
        });
    let held = |lane: u8, seq: u64, key: usize| Cursor {
        log: LogId::new(keys()[key].public().origin(), lane),
        seq,
        hash: if seq == 0 { [0; 32] } else { [1; 32] },
    };
    let mut positions = Positions::default();
    if how & RICH != 0 {
        positions.offers = vec![Offer { head, after: None }];
        positions.held = vec![held(0, 2, 1), held(1, 0, 1), held(0, 1, 2), held(2, 0, 2)];
        positions.wanted = vec![[1; 16], [2; 16]];
        positions.seen = [1, 2].map(seen_here).to_vec();
    } else {
        positions.held = vec![held(0, 0, 1)];
    }
    Opening {
        own: keys()[0].public(),
        peer: AuthenticatedPeer::for_tests(keys()[1].public()),
        dialled: how & DIALLED != 0,
        versions: Versions::CURRENT,
        local: LocalHello {
            lineage: [1; 8],
            incarnation: [2; 8],
            role: 1,
            clock_ms: 1_772_000_000_000,
            policy_epoch: 3,
        },
        standing: if how & PENDING != 0 {
            Standing::Pending
        } else {
            Standing::Approved
        },
        positions,
        proof_interval_ms: 60_000,
    }
}

fn seen_here(number: u8) -> Seen {
    Seen {
        document: [number; 16],
        seq: 2,
        at_ms: 1_772_000_000_000,
    }
}

/// Entries as the driver verifies them; they are of the log that they are said to be of.
fn delivered(log: LogId, entries: Vec<SignedEntry>) -> Result<Result<(), DeliveryFault>, String> {
    let mut before: Option<u64> = None;
    for entry in entries {
        let follows = before.is_none_or(|before| entry.header.seq == before + 1);
        if entry.header.log() != log || !follows {
            return Err(format!(
                "entry {} of {} is delivered as one of {log}",
                entry.header.seq,
                entry.header.log()
            ));
        }
        before = Some(entry.header.seq);
        let author = keys()
            .iter()
            .find(|key| key.public().origin() == log.origin);
        let author = author.unwrap_or(&keys()[2]).public();
        if let Err(bad) = verify(entry, &author) {
            return Ok(Err(DeliveryFault::Entry(bad)));
        }
    }
    Ok(Ok(()))
}

/// Whether a peer of this version would understand what this side says.
fn reads(bytes: &[u8]) -> Result<(), String> {
    let mut buffer = FrameBuffer::new(CONTROL_FRAME_BYTES_MAX);
    buffer.push(bytes);
    let bad = |bad: &dyn std::fmt::Display| format!("it says what nobody reads: {bad}");
    let frame = buffer.next_frame().map_err(|malformed| bad(&malformed))?;
    let frame = frame.ok_or_else(|| bad(&"half a frame"))?;
    let read = match frame.kind {
        kind::RECON => parse_recon(&frame.body).map(drop),
        kind::WANT => parse_want(&frame.body).map(drop),
        other => Message::parse(other, &frame.body).map(drop),
    };
    read.map_err(|malformed| bad(&malformed))
}

//! The frames of every stream, and the reason with which a connection is closed.
//!
//! The first byte of an input chooses the stream, the second how its bytes come in pieces.

use raccordo_tests::chance::Chance;
use raccordo_transport::wire::data::{DataDecoder, DataEncoder};
use raccordo_transport::wire::frame::{
    CONTROL_FRAME_BYTES_MAX, DATA_FRAME_BYTES_MAX, Frame, FrameBuffer, encode,
};
use raccordo_transport::wire::parcel::{ParcelDecoder, pack};
use raccordo_transport::wire::repair::{encode_recon, encode_want, parse_recon, parse_want};
use raccordo_transport::wire::{
    Message, REFUSAL_BYTES_MAX, decode_refusal, encode_refusal, kind, refusal_code,
};
use raccordo_transport::{
    BadEntry, CloseReason, EntryFault, Rollback, Side, SignedEntry, Versions,
};

use crate::mutate::scramble;
use crate::target::{Answer, Target};
use crate::wire;

const CONTROL: u8 = 0;
const DATA: u8 = 1;
const BACKFILL: u8 = 2;

/// The door of all frames.
pub(crate) struct Frames;

impl Target for Frames {
    fn name(&self) -> &'static str {
        "frame"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let mut chance = Chance::new(0);
        let stream = |number: u8| written(&mut chance, number % 4);
        (0..64).map(stream).collect()
    }

    fn input(&self, chance: &mut Chance) -> Vec<u8> {
        let stream = chance.between(0, 3).to_le_bytes()[0];
        let mut input = written(chance, stream);
        if chance.percent(60) {
            let mut rest = input.split_off(2);
            scramble(chance, &mut rest);
            input.extend(rest);
        }
        input
    }

    fn feed(&self, input: &[u8]) -> Answer<'_> {
        let [stream, pieces, bytes @ ..] = input else {
            return Answer::Refused("too short to choose a stream".to_owned());
        };
        let heard = match *stream {
            CONTROL => control(bytes, *pieces),
            DATA => data(bytes, *pieces),
            BACKFILL => backfill(bytes, *pieces),
            _ => close(bytes),
        };
        match heard {
            Ok(sound) => Answer::is_in(sound),
            Err(refused) => Answer::Refused(refused),
        }
    }
}

type Heard = Result<Box<dyn FnOnce() -> Result<(), String>>, String>;

/// A stream as a node writes it.
fn written(chance: &mut Chance, stream: u8) -> Vec<u8> {
    let mut bytes = vec![stream, chance.number().to_le_bytes()[0]];
    match stream {
        CONTROL => {
            for _ in 0..=chance.index(3) {
                bytes.extend(control_frame(chance));
            }
        }
        DATA => {
            let mut encoder = DataEncoder::default();
            for _ in 0..=chance.index(3) {
                let entries = wire::entries(chance, 6);
                bytes.extend(encoder.encode(&entries, chance.percent(40)).0);
            }
        }
        BACKFILL => {
            let parcels = wire::some(chance, 6, wire::parcel);
            bytes.extend(pack(&parcels, true).frames.concat());
        }
        _ => bytes.extend(encode_refusal(&reason(chance))),
    }
    bytes
}

fn control_frame(chance: &mut Chance) -> Vec<u8> {
    match chance.index(8) {
        0 => Message::Hello(Box::new(wire::hello(chance))).encode(),
        1 | 2 => encode_recon(wire::place(chance), &wire::word(chance)),
        3 => {
            let mut ids: Vec<[u8; 16]> = wire::some(chance, 256, wire::bytes);
            ids.sort_unstable();
            ids.dedup();
            encode_want(&ids)
        }
        4 if chance.percent(10) => encode(kind::SKIPPABLE | 5, &wire::bytes::<9>(chance)),
        _ => wire::message(chance).encode(),
    }
}

fn reason(chance: &mut Chance) -> CloseReason {
    let side = if chance.percent(50) {
        Side::Ours
    } else {
        Side::Theirs
    };
    match chance.index(7) {
        0 => CloseReason::Version {
            ours: Versions::CURRENT,
            theirs: None,
        },
        1 => CloseReason::RolledBack(Rollback {
            log: wire::log(chance),
            held_seq: wire::place(chance),
            held_hash: None,
            head_seq: wire::place(chance),
            whose: side,
        }),
        2 => CloseReason::BadEntry {
            entry: BadEntry {
                log: wire::log(chance),
                seq: wire::place(chance),
                fault: EntryFault::from_code(chance.between(0, 9).to_le_bytes()[0]),
            },
            by: side,
        },
        3 => CloseReason::Protocol {
            detail: "è".repeat(chance.index(200)),
        },
        4 => CloseReason::Cloned,
        5 => CloseReason::Silent,
        _ => CloseReason::Shutdown,
    }
}

/// The frames of a stream that comes in pieces; the same as if it came at once.
fn frames(bytes: &[u8], pieces: u8, limit: usize) -> Result<Vec<Frame>, String> {
    let mut chance = Chance::new(u64::from(pieces));
    let mut buffer = FrameBuffer::new(limit);
    let mut frames = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let most = if pieces == 0 {
            rest.len()
        } else {
            1 + chance.index(200)
        };
        let (piece, later) = rest.split_at(most.min(rest.len()));
        buffer.push(piece);
        rest = later;
        loop {
            match buffer.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(bad) => return Err(bad.to_string()),
            }
        }
    }
    Ok(frames)
}

/// What the frames of a sound stream come to in bytes is where they began.
fn control(bytes: &[u8], pieces: u8) -> Heard {
    let frames = frames(bytes, pieces, CONTROL_FRAME_BYTES_MAX)?;
    let mut again: Vec<(Frame, Option<Vec<u8>>)> = Vec::new();
    for frame in frames {
        let written = match frame.kind {
            kind::RECON => {
                parse_recon(&frame.body).map(|(run, word)| Some(encode_recon(run, &word)))
            }
            kind::WANT => parse_want(&frame.body).map(|ids| Some(encode_want(&ids))),
            other => Message::parse(other, &frame.body).map(|said| said.map(|said| said.encode())),
        };
        again.push((frame, written.map_err(|bad| bad.to_string())?));
    }
    Ok(Box::new(move || again.iter().try_for_each(same_frame)))
}

fn same_frame((frame, again): &(Frame, Option<Vec<u8>>)) -> Result<(), String> {
    let Some(again) = again else {
        return Ok(());
    };
    match frame.kind {
        // A hello may be longer, a reason for stopping newer than is known here.
        kind::HELLO | kind::STOPPED => {
            let body = frames(again, 0, CONTROL_FRAME_BYTES_MAX)?;
            let body = body.first().ok_or("it writes no frame")?;
            let said =
                |body: &[u8]| Message::parse(frame.kind, body).map_err(|bad| bad.to_string());
            if said(&body.body)? != said(&frame.body)? {
                return Err(format!("a frame of type {} reads as another", frame.kind));
            }
        }
        _ if *again != encode(frame.kind, &frame.body) => {
            return Err(format!(
                "a frame of type {} is written otherwise",
                frame.kind
            ));
        }
        _ => {}
    }
    Ok(())
}

fn data(bytes: &[u8], pieces: u8) -> Heard {
    let mut decoder = DataDecoder::default();
    let mut runs: Vec<(Vec<SignedEntry>, [u8; 32])> = Vec::new();
    for frame in frames(bytes, pieces, DATA_FRAME_BYTES_MAX)? {
        if frame.kind != kind::DATA {
            return Err("a frame that does not belong on a data stream".to_owned());
        }
        let batch = decoder.decode(&frame.body).map_err(|bad| bad.to_string())?;
        let prev = batch.jump.unwrap_or([7; 32]);
        let (entries, _) = batch.chain(prev).map_err(|bad| bad.fault.to_string())?;
        runs.push((entries, prev));
    }
    Ok(Box::new(move || {
        let mut encoder = DataEncoder::default();
        let mut decoder = DataDecoder::default();
        for (entries, mut prev) in runs {
            let mut rest = entries.as_slice();
            while !rest.is_empty() {
                let (bytes, count) = encoder.encode(rest, false);
                let again = frames(&bytes, 0, DATA_FRAME_BYTES_MAX)?;
                let again = again.first().ok_or("it writes no frame")?;
                let batch = decoder.decode(&again.body).map_err(|bad| bad.to_string())?;
                let (again, last) = batch.chain(prev).map_err(|bad| bad.to_string())?;
                if count == 0 || again != rest[..count] {
                    return Err("entries read as others once they are passed on".to_owned());
                }
                prev = last;
                rest = &rest[count..];
            }
        }
        Ok(())
    }))
}

fn backfill(bytes: &[u8], pieces: u8) -> Heard {
    let mut decoder = ParcelDecoder::default();
    let mut parcels = Vec::new();
    for frame in frames(bytes, pieces, DATA_FRAME_BYTES_MAX)? {
        if frame.kind != kind::BACKFILL {
            return Err("a frame that does not belong on a backfill stream".to_owned());
        }
        let unpacked = decoder.decode(&frame.body).map_err(|bad| bad.to_string())?;
        parcels.extend(unpacked.parcels);
    }
    Ok(Box::new(move || {
        let packed = pack(&parcels, true);
        if let Some((_, why)) = packed.unsendable.first() {
            return Err(format!("what came cannot be passed on: {why}"));
        }
        let mut decoder = ParcelDecoder::default();
        let mut again = Vec::new();
        for frame in frames(&packed.frames.concat(), 0, DATA_FRAME_BYTES_MAX)? {
            let unpacked = decoder.decode(&frame.body).map_err(|bad| bad.to_string())?;
            again.extend(unpacked.parcels);
        }
        if again == parcels {
            Ok(())
        } else {
            Err("parcels read as others once they are passed on".to_owned())
        }
    }))
}

/// A reason that is passed on twice, each time with the sides turned, is the same.
fn close(bytes: &[u8]) -> Heard {
    let code = u64::from(bytes.first().copied().unwrap_or_default());
    let heard = decode_refusal(code, bytes, Versions::CURRENT);
    if let CloseReason::Unreachable { detail } = &heard {
        return Err(detail.clone());
    }
    Ok(Box::new(move || {
        let turned = |reason: &CloseReason| {
            let bytes = encode_refusal(reason);
            let code = u64::from(refusal_code(reason));
            (bytes.len() <= REFUSAL_BYTES_MAX)
                .then(|| decode_refusal(code, &bytes, Versions::CURRENT))
                .ok_or("a reason longer than allowed".to_owned())
        };
        let once = turned(&heard)?;
        if turned(&turned(&once)?)? == once {
            Ok(())
        } else {
            Err(format!("a reason passed on becomes another: {once}"))
        }
    }))
}

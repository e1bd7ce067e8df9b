//! What travels, in words for who reads a trace.

use raccordo_transport::wire::frame::Frame;
use raccordo_transport::wire::{Message, Told, kind};
use raccordo_transport::{Cursor, LogId};

use super::link::{CONTROL, frames};

/// What a frame is.
pub(super) fn named(stream: usize, bytes: &[u8]) -> String {
    let frames = frames(bytes).unwrap_or_default();
    let words: Vec<String> = frames.iter().map(|frame| word(stream, frame)).collect();
    format!("{} ({} bytes)", words.join(", "), bytes.len())
}

fn word(stream: usize, frame: &Frame) -> String {
    if stream != CONTROL {
        return match frame.kind {
            kind::DATA => "entries".to_owned(),
            other => format!("frame {other:#04x} of a repair"),
        };
    }
    match Message::parse(frame.kind, &frame.body) {
        Ok(Some(Message::Hello(hello))) => format!("hello, {}", told(&hello.positions)),
        Ok(Some(Message::Standing {
            standing,
            positions,
        })) => format!("standing {standing:?}, {}", told(&positions)),
        Ok(Some(Message::Proof(positions))) => format!("proof, {}", told(&positions)),
        Ok(Some(Message::Ping(ping))) => format!("ping, ahead {}", cursors(&ping.heads)),
        Ok(Some(Message::Cursors(held))) => format!("cursors {}", cursors(&held)),
        Ok(Some(Message::Resume(from))) => format!("resume {}", cursors(&from)),
        Ok(Some(Message::Withdrawn(logs))) => format!("withdrawn {}", names(&logs)),
        Ok(Some(Message::Evidence(signed))) => {
            let header = &signed.header;
            format!("evidence of {} of {}", header.seq, header.log())
        }
        Ok(Some(other)) => format!("{other:?}"),
        _ => format!("frame {:#04x}", frame.kind),
    }
}

fn told(told: &Told) -> String {
    format!("{told:?}")
}

fn cursors(cursors: &[Cursor]) -> String {
    let each = |cursor: &Cursor| format!("{} of {}", cursor.seq, cursor.log);
    let words: Vec<String> = cursors.iter().map(each).collect();
    format!("[{}]", words.join(", "))
}

fn names(logs: &[LogId]) -> String {
    let words: Vec<String> = logs.iter().map(ToString::to_string).collect();
    format!("[{}]", words.join(", "))
}

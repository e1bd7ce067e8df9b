//! What a peer with a program of its own may send: entries and frames that are not what was signed.
//!
//! Every way comes from a seed. Whatever it sends, nobody may believe it.

use bytes::Bytes;
use raccordo_transport::SignedEntry;

use crate::chance::Chance;

/// Whether the seed is one for whole frames; the others are for entries.
pub(super) fn is_of_frames(seed: u64) -> bool {
    seed.is_multiple_of(3)
}

/// What is sent in the place of a frame: less, more or something else.
pub(super) fn frame(seed: u64, frame: Bytes) -> Vec<Bytes> {
    let mut chance = Chance::new(seed);
    match chance.number() % 4 {
        0 => Vec::new(),
        1 => vec![frame.clone(), frame],
        2 => {
            let mut bytes = frame.to_vec();
            let place = chance.index(bytes.len());
            bytes[place] ^= 1 << chance.index(8);
            vec![bytes.into()]
        }
        _ => {
            let mut bytes = frame.to_vec();
            bytes.truncate(chance.index(frame.len()));
            vec![bytes.into()]
        }
    }
}

/// Changes one of some entries, and says how. There is at least one.
pub(super) fn entries(seed: u64, entries: &mut [SignedEntry]) -> &'static str {
    let mut chance = Chance::new(seed);
    let place = chance.index(entries.len());
    let other = entries[chance.index(entries.len())].clone();
    let entry = &mut entries[place];
    match chance.number() % 8 {
        0 => {
            entry.signature[chance.index(64)] ^= 1 << chance.index(8);
            "another signature"
        }
        1 => {
            entry.header.document[chance.index(16)] ^= 1 << chance.index(8);
            "another document"
        }
        2 => {
            entry.header.hlc += 1 + chance.number() % 1_000;
            "another time"
        }
        3 => {
            entry.header.group_count += 1;
            "a larger group"
        }
        4 => {
            let at = chance.index(entry.bytes().len().max(1));
            if let Some(byte) = entry.body.as_mut().and_then(|body| body.get_mut(at)) {
                *byte ^= 1 << chance.index(8);
            }
            "another body"
        }
        5 => {
            entry.body = other.body;
            "the body of another entry"
        }
        6 => {
            entry.header.incarnation[chance.index(8)] ^= 1;
            "another incarnation"
        }
        _ => {
            entry.header.policy_epoch ^= 1;
            "another epoch"
        }
    }
}

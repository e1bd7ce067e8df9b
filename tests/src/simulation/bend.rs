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

/// What is sent in the place of a frame: less, more or something else; and what that is.
pub(super) fn frame(seed: u64, frame: Bytes) -> (&'static str, Vec<Bytes>) {
    let mut chance = Chance::new(seed);
    match chance.number() % 4 {
        0 => ("frames left out", Vec::new()),
        1 => ("frames sent twice", vec![frame.clone(), frame]),
        2 => {
            let mut bytes = frame.to_vec();
            let place = chance.index(bytes.len());
            bytes[place] ^= 1 << chance.index(8);
            ("frames altered", vec![bytes.into()])
        }
        _ => {
            let mut bytes = frame.to_vec();
            bytes.truncate(chance.index(frame.len()));
            ("frames cut short", vec![bytes.into()])
        }
    }
}

/// Changes one of some entries, and says what was done and how. There is at least one.
pub(super) fn entries(seed: u64, entries: &mut [SignedEntry]) -> (&'static str, &'static str) {
    const FORGED: &str = "entries forged";
    let mut chance = Chance::new(seed);
    let place = chance.index(entries.len());
    let other = entries[chance.index(entries.len())].clone();
    let entry = &mut entries[place];
    match chance.number() % 9 {
        0 => {
            entry.signature[chance.index(64)] ^= 1 << chance.index(8);
            (FORGED, "another signature")
        }
        1 => {
            entry.header.document[chance.index(16)] ^= 1 << chance.index(8);
            ("entries moved to another document", "another document")
        }
        2 => {
            entry.header.hlc += 1 + chance.number() % 1_000;
            (FORGED, "another time")
        }
        3 => {
            entry.header.group_count += 1;
            (FORGED, "a larger group")
        }
        4 => {
            let at = chance.index(entry.bytes().len().max(1));
            if let Some(byte) = entry.body.as_mut().and_then(|body| body.get_mut(at)) {
                *byte ^= 1 << chance.index(8);
            }
            (FORGED, "another body")
        }
        5 => {
            entry.body = other.body;
            (FORGED, "the body of another entry")
        }
        6 => {
            entry.header.incarnation[chance.index(8)] ^= 1;
            (FORGED, "another incarnation")
        }
        7 => {
            entry.header.policy_epoch ^= 1;
            (FORGED, "another epoch")
        }
        _ => {
            let (seq, prev) = (entry.header.seq, entry.header.prev);
            *entry = other;
            entry.header.seq = seq;
            entry.header.prev = prev;
            ("entries given another place", "an entry of another place")
        }
    }
}

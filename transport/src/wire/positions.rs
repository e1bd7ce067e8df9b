//! Positions as they are told: own logs by lane, relayed logs by two summaries, cursors one by one.
//!
//! Whose log is meant follows from the connection's keys, so an own log costs its lane, number and hash;
//! any number of relayed logs costs two hashes as long as both sides stand at the same place.
//! Guarantees: equal sets of cursors have equal summaries, whatever their order.

use aws_lc_rs::digest::{Context, SHA256};

use super::LOGS_MAX;
use super::frame::{Malformed, Reader, put_varint};
use crate::host::Positions;
use crate::log::{Cursor, LogId};

/// Most lanes of one origin that positions may name: as many as a byte can.
pub const LANES_MAX: usize = 256;

const SUMMARY_LABEL: &[u8] = b"raccordo-cursors-1\0";

/// The end of one log of a known origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneEnd {
    /// The log's lane.
    pub lane: u8,
    /// Number of the last entry; 0 for an empty log.
    pub seq: u64,
    /// Its entry hash; zeros at 0.
    pub hash: [u8; 32],
}

impl LaneEnd {
    /// The position in the log of `origin`.
    pub const fn of_origin(&self, origin: [u8; 8]) -> Cursor {
        Cursor {
            log: LogId::new(origin, self.lane),
            seq: self.seq,
            hash: self.hash,
        }
    }
}

impl From<Cursor> for LaneEnd {
    fn from(cursor: Cursor) -> Self {
        Self {
            lane: cursor.log.lane,
            seq: cursor.seq,
            hash: cursor.hash,
        }
    }
}

/// Many cursors in 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// How many logs have entries.
    pub count: usize,
    /// The first bytes of a hash over their cursors; zeros if there are none.
    pub hash: [u8; 16],
}

impl Summary {
    /// The summary of these cursors; those at 0 count for nothing.
    pub fn of(cursors: impl IntoIterator<Item = Cursor>) -> Self {
        let mut cursors: Vec<Cursor> = cursors.into_iter().filter(|c| c.seq > 0).collect();
        if cursors.is_empty() {
            return Self::default();
        }
        cursors.sort_by_key(|cursor| cursor.log);
        let mut context = Context::new(&SHA256);
        context.update(SUMMARY_LABEL);
        for cursor in &cursors {
            context.update(&cursor.log.origin);
            context.update(&[cursor.log.lane]);
            context.update(&cursor.seq.to_be_bytes());
            context.update(&cursor.hash);
        }
        let digest = context.finish();
        let mut hash = [0; 16];
        for (byte, from) in hash.iter_mut().zip(digest.as_ref()) {
            *byte = *from;
        }
        Self {
            count: cursors.len(),
            hash,
        }
    }
}

/// Positions as a peer is told them; empty while it is not approved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// Digest over the documents that the two share.
    pub digest: [u8; 32],
    /// What the sender durably holds of the receiver's own logs.
    pub held: Vec<LaneEnd>,
    /// The durable ends of the sender's own logs, as far as it offers them; empty ones too.
    pub heads: Vec<LaneEnd>,
    /// What the sender durably holds of logs of others that the receiver may offer.
    pub relayed_held: Summary,
    /// The ends of the logs of others that the sender offers.
    pub relayed_heads: Summary,
}

impl Told {
    /// What `own` tells `peer` of its positions.
    pub fn of(positions: &Positions, own: [u8; 8], peer: [u8; 8]) -> Self {
        let others = |cursor: &Cursor| cursor.log.origin != own && cursor.log.origin != peer;
        Self {
            digest: positions.digest,
            held: lanes_of(positions.held.iter().copied(), peer),
            // A log of which nothing is there is not named; what a peer holds of it counts all the same.
            heads: lanes_of(positions.heads().filter(|head| head.seq > 0), own),
            relayed_held: Summary::of(positions.held.iter().copied().filter(others)),
            relayed_heads: Summary::of(positions.heads().filter(others)),
        }
    }
}

fn lanes_of(cursors: impl Iterator<Item = Cursor>, origin: [u8; 8]) -> Vec<LaneEnd> {
    cursors
        .filter(|cursor| cursor.log.origin == origin)
        .take(LANES_MAX)
        .map(LaneEnd::from)
        .collect()
}

/// Appends positions: digest, held and heads by lane, both summaries.
pub(super) fn put_told(bytes: &mut Vec<u8>, told: &Told) {
    bytes.extend_from_slice(&told.digest);
    put_lanes(bytes, &told.held);
    put_lanes(bytes, &told.heads);
    put_summary(bytes, told.relayed_held);
    put_summary(bytes, told.relayed_heads);
}

/// Reads positions.
pub(super) fn told(reader: &mut Reader<'_>) -> Result<Told, Malformed> {
    Ok(Told {
        digest: reader.array("the digest")?,
        held: lanes(reader)?,
        heads: lanes(reader)?,
        relayed_held: summary(reader)?,
        relayed_heads: summary(reader)?,
    })
}

fn put_lanes(bytes: &mut Vec<u8>, ends: &[LaneEnd]) {
    put_varint(bytes, as_u64(ends.len()));
    for end in ends {
        bytes.push(end.lane);
        put_place(bytes, end.seq, &end.hash);
    }
}

fn lanes(reader: &mut Reader<'_>) -> Result<Vec<LaneEnd>, Malformed> {
    let count = reader.count(LANES_MAX, "the number of lanes")?;
    let mut ends = Vec::new();
    for _ in 0..count {
        let lane = reader.byte("a log's lane")?;
        let (seq, hash) = place(reader)?;
        ends.push(LaneEnd { lane, seq, hash });
    }
    Ok(ends)
}

fn put_summary(bytes: &mut Vec<u8>, summary: Summary) {
    put_varint(bytes, as_u64(summary.count));
    if summary.count > 0 {
        bytes.extend_from_slice(&summary.hash);
    }
}

fn summary(reader: &mut Reader<'_>) -> Result<Summary, Malformed> {
    let count = reader.count(LOGS_MAX, "the number of logs")?;
    let hash = match count {
        0 => [0; 16],
        _ => reader.array("a summary of cursors")?,
    };
    Ok(Summary { count, hash })
}

/// Appends a log's name: origin, lane.
pub(super) fn put_log(bytes: &mut Vec<u8>, log: LogId) {
    bytes.extend_from_slice(&log.origin);
    bytes.push(log.lane);
}

/// Reads a log's name.
pub(super) fn log(reader: &mut Reader<'_>) -> Result<LogId, Malformed> {
    Ok(LogId {
        origin: reader.array("a log's origin")?,
        lane: reader.byte("a log's lane")?,
    })
}

/// Appends a count and as many cursors.
pub(super) fn put_cursors(bytes: &mut Vec<u8>, cursors: &[Cursor]) {
    put_varint(bytes, as_u64(cursors.len()));
    for cursor in cursors {
        put_cursor(bytes, cursor);
    }
}

/// Reads a count and as many cursors.
pub(super) fn cursors(reader: &mut Reader<'_>) -> Result<Vec<Cursor>, Malformed> {
    let count = reader.count(LOGS_MAX, "the number of logs")?;
    let mut cursors = Vec::new();
    for _ in 0..count {
        cursors.push(cursor(reader)?);
    }
    Ok(cursors)
}

/// Appends a log's name, a number and, unless it is 0, the hash.
pub(super) fn put_cursor(bytes: &mut Vec<u8>, cursor: &Cursor) {
    put_log(bytes, cursor.log);
    put_place(bytes, cursor.seq, &cursor.hash);
}

/// Reads a cursor.
pub(super) fn cursor(reader: &mut Reader<'_>) -> Result<Cursor, Malformed> {
    let log = log(reader)?;
    let (seq, hash) = place(reader)?;
    Ok(Cursor { log, seq, hash })
}

/// Appends a count and as many names of logs.
pub(super) fn put_logs(bytes: &mut Vec<u8>, logs: &[LogId]) {
    put_varint(bytes, as_u64(logs.len()));
    for log in logs {
        put_log(bytes, *log);
    }
}

/// Reads a count and as many names of logs.
pub(super) fn logs(reader: &mut Reader<'_>) -> Result<Vec<LogId>, Malformed> {
    let count = reader.count(LOGS_MAX, "the number of logs")?;
    (0..count).map(|_| log(reader)).collect()
}

fn put_place(bytes: &mut Vec<u8>, seq: u64, hash: &[u8; 32]) {
    put_varint(bytes, seq);
    if seq > 0 {
        bytes.extend_from_slice(hash);
    }
}

fn place(reader: &mut Reader<'_>) -> Result<(u64, [u8; 32]), Malformed> {
    let seq = reader.varint("a log's position")?;
    let hash = match seq {
        0 => [0; 32],
        _ => reader.array("an entry's hash")?,
    };
    Ok((seq, hash))
}

fn as_u64(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor_of(byte: u8, seq: u64) -> Cursor {
        Cursor {
            log: LogId::new([byte; 8], 2),
            seq,
            hash: [byte; 32],
        }
    }

    #[test]
    fn a_summary_is_of_the_set_and_not_of_its_order() {
        let one = Summary::of([cursor_of(1, 5), cursor_of(2, 6)]);
        let turned = Summary::of([cursor_of(2, 6), cursor_of(3, 0), cursor_of(1, 5)]);
        assert_eq!(one, turned);
        assert_eq!(one.count, 2);
        assert_ne!(one, Summary::of([cursor_of(1, 5), cursor_of(2, 7)]));
        assert_eq!(Summary::of([cursor_of(1, 0)]), Summary::default());
    }
}

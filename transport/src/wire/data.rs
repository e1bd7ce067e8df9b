//! The frames of a data stream: runs of consecutive entries of one log, without what can be recomputed.
//!
//! Neither `prev` nor the body's hash is sent: the receiver computes both, and the signature proves them.
//! A frame that does not follow the one before of its log says its first `prev`; an entry whose body was
//! erased brings the body's hash instead. Log, incarnation and policy epoch are said once a frame; logs by number after their first mention.
//! Guarantees: what a frame may unfold to is bounded and checked before it is allocated; an encoder and
//! a decoder that saw the same frames agree. Does not check signatures.

use super::frame::{self, Malformed, Reader, put_varint};
use super::message::{LogReference, log_reference, put_log_reference};
use super::{LOGS_MAX, kind};
use crate::entry::{
    BadEntry, ENTRY_BODY_BYTES_MAX, EntryFault, EntryHeader, EntryKind, SignedEntry, body_hash,
};
use crate::log::LogId;

/// Most entries in one frame.
pub const DATA_ENTRIES_MAX: usize = 256;

/// Raw bodies after which an encoder closes a frame, in bytes; a single larger body goes alone.
pub const DATA_BODIES_BYTES: usize = 256 << 10;

/// Most that a frame's bodies may unfold to, in bytes.
pub const DATA_BODIES_BYTES_MAX: usize = 1 << 20;

/// First byte of a data stream.
pub const DATA_STREAM: u8 = 0x01;

const COMPRESSION_LEVEL: i32 = 3;
/// Below this zstd's own header eats what it saves.
const COMPRESSION_BYTES_MIN: usize = 96;

const FRAME_COMPRESSED: u8 = 0x01;
const FRAME_INCARNATION: u8 = 0x02;
const FRAME_JUMP: u8 = 0x04;

const ENTRY_KIND_MASK: u8 = 0x07;
const ENTRY_SAME_DOCUMENT: u8 = 0x08;
const ENTRY_SAME_GROUP: u8 = 0x10;
const ENTRY_ALONE: u8 = 0x20;
const ENTRY_WITHHELD: u8 = 0x40;

/// The logs that a data stream named, in order, each with its last incarnation.
#[derive(Debug, Default)]
struct Named(Vec<(LogId, [u8; 8])>);

impl Named {
    fn index(&self, log: LogId) -> Option<usize> {
        self.0.iter().position(|(named, _)| *named == log)
    }

    fn log(&self, index: usize) -> Option<LogId> {
        self.0.get(index).map(|(log, _)| *log)
    }
}

/// Writes a data stream.
#[derive(Debug, Default)]
pub struct DataEncoder {
    named: Named,
}

impl DataEncoder {
    /// The log that the stream named as the `index`-th, from 0.
    pub fn log(&self, index: usize) -> Option<LogId> {
        self.named.log(index)
    }

    /// One frame of as many of `entries` as fit and belong together, and how many those are. The
    /// entries are consecutive and of one log; there is at least one. With `jump` the frame says what
    /// comes before them: they do not follow what the peer expects next of that log.
    pub fn encode(&mut self, entries: &[SignedEntry], jump: bool) -> (Vec<u8>, usize) {
        let Some(first) = entries.first() else {
            return (Vec::new(), 0);
        };
        let run = run_length(entries);
        let entries = entries.get(..run).unwrap_or(entries);
        let header = &first.header;
        let log = header.log();
        let mut body = Vec::with_capacity(run.saturating_mul(128));
        let known = self.named.index(log);
        let reference = known.map_or(LogReference::Named(log), LogReference::Index);
        put_log_reference(&mut body, reference);
        let fresh = match known.and_then(|index| self.named.0.get_mut(index)) {
            Some((_, last)) => std::mem::replace(last, header.incarnation) != header.incarnation,
            None => {
                self.named.0.push((log, header.incarnation));
                true
            }
        };
        let raw: Vec<u8> = entries
            .iter()
            .flat_map(|entry| entry.bytes().iter().copied())
            .collect();
        let packed = compressed(&raw);
        let mut flags = 0;
        if packed.is_some() {
            flags |= FRAME_COMPRESSED;
        }
        if fresh {
            flags |= FRAME_INCARNATION;
        }
        if jump {
            flags |= FRAME_JUMP;
        }
        body.push(flags);
        if fresh {
            body.extend_from_slice(&header.incarnation);
        }
        if jump {
            body.extend_from_slice(&header.prev);
        }
        put_varint(&mut body, header.seq);
        put_varint(&mut body, u64::from(header.policy_epoch));
        put_varint(&mut body, u64::try_from(run).unwrap_or(0));
        let mut before: Option<&EntryHeader> = None;
        for entry in entries {
            put_entry(&mut body, entry, before);
            before = Some(&entry.header);
        }
        body.extend_from_slice(packed.as_deref().unwrap_or(&raw));
        (frame::encode(kind::DATA, &body), run)
    }
}

/// Entries of one log as a frame brings them: no `prev`, no body hash.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch {
    /// The log.
    pub log: LogId,
    /// Number of the first entry.
    pub first_seq: u64,
    /// The hash before the first entry, if the frame says it.
    pub jump: Option<[u8; 32]>,
    entries: Vec<SignedEntry>,
}

impl Batch {
    /// Links the entries to the one before, whose entry hash is `prev`, by computing what was not sent.
    /// Gives the entries, unverified, and the last one's hash.
    pub fn chain(mut self, mut prev: [u8; 32]) -> Result<(Vec<SignedEntry>, [u8; 32]), BadEntry> {
        for entry in &mut self.entries {
            let header = &mut entry.header;
            header.prev = prev;
            if let Some(body) = &entry.body {
                header.body_hash = body_hash(header.kind, body).ok_or(BadEntry {
                    log: self.log,
                    seq: header.seq,
                    fault: EntryFault::BodyLength,
                })?;
            }
            prev = entry.entry_hash();
        }
        Ok((self.entries, prev))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The same, as numbers of entries are.
    pub fn len_u64(&self) -> u64 {
        as_u64(self.entries.len())
    }

    /// Whether there are none; a decoder never makes such a batch.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Reads a data stream.
#[derive(Debug, Default)]
pub struct DataDecoder {
    named: Named,
}

impl DataDecoder {
    /// How an acknowledgement names `log` in the fewest bytes.
    pub fn reference(&self, log: LogId) -> LogReference {
        self.named
            .index(log)
            .map_or(LogReference::Named(log), LogReference::Index)
    }

    /// Understands a DATA frame's body.
    pub fn decode(&mut self, body: &[u8]) -> Result<Batch, Malformed> {
        let mut reader = Reader::new(body);
        let reference = log_reference(&mut reader)?;
        let flags = reader.byte("the frame's flags")?;
        if flags & !(FRAME_COMPRESSED | FRAME_INCARNATION | FRAME_JUMP) != 0 {
            return Err(meaningless("the frame's flags", u64::from(flags)));
        }
        let fresh = if flags & FRAME_INCARNATION == 0 {
            None
        } else {
            Some(reader.array("the incarnation")?)
        };
        let jump = if flags & FRAME_JUMP == 0 {
            None
        } else {
            Some(reader.array("the hash before")?)
        };
        let (log, incarnation) = self.resolve(reference, fresh)?;
        let first_seq = reader.varint("the first number")?;
        let policy_epoch = reader.varint("the policy epoch")?;
        let shared = EntryHeader {
            lane: log.lane,
            origin: log.origin,
            incarnation,
            seq: first_seq,
            prev: [0; 32],
            group_first: first_seq,
            group_count: 1,
            kind: EntryKind::Change,
            document: [0; 16],
            document_kind: 0,
            body_hash: [0; 32],
            policy_epoch: u32::try_from(policy_epoch)
                .map_err(|_| meaningless("the policy epoch", policy_epoch))?,
            hlc: 0,
        };
        let count = reader.count(DATA_ENTRIES_MAX, "the number of entries")?;
        if count == 0 || first_seq == 0 {
            return Err(meaningless("the first number or the number of entries", 0));
        }
        let mut entries = entries(&mut reader, &shared, count)?;
        fill_bodies(&mut entries, reader.rest(), flags & FRAME_COMPRESSED != 0)?;
        Ok(Batch {
            log,
            first_seq,
            jump,
            entries: entries.into_iter().map(|(entry, _)| entry).collect(),
        })
    }

    fn resolve(
        &mut self,
        reference: LogReference,
        fresh: Option<[u8; 8]>,
    ) -> Result<(LogId, [u8; 8]), Malformed> {
        match reference {
            LogReference::Index(index) => {
                let (log, last) = self
                    .named
                    .0
                    .get_mut(index)
                    .ok_or_else(|| meaningless("the index of a log", as_u64(index)))?;
                if let Some(incarnation) = fresh {
                    *last = incarnation;
                }
                Ok((*log, *last))
            }
            LogReference::Named(log) => {
                let incarnation =
                    fresh.ok_or_else(|| meaningless("a new log without incarnation", 0))?;
                if self.named.0.len() >= LOGS_MAX || self.named.index(log).is_some() {
                    return Err(meaningless("a new log", as_u64(self.named.0.len())));
                }
                self.named.0.push((log, incarnation));
                Ok((log, incarnation))
            }
        }
    }
}

/// How many entries from the front belong in one frame.
fn run_length(entries: &[SignedEntry]) -> usize {
    let Some(first) = entries.first() else {
        return 0;
    };
    let mut bytes: usize = 0;
    entries
        .iter()
        .take(DATA_ENTRIES_MAX)
        .enumerate()
        .take_while(|(index, entry)| {
            bytes = bytes.saturating_add(entry.bytes().len());
            let header = &entry.header;
            *index == 0
                || (bytes <= DATA_BODIES_BYTES
                    && header.log() == first.header.log()
                    && header.incarnation == first.header.incarnation
                    && header.policy_epoch == first.header.policy_epoch)
        })
        .count()
}

fn put_entry(bytes: &mut Vec<u8>, entry: &SignedEntry, before: Option<&EntryHeader>) {
    let header = &entry.header;
    let same_document = before.is_some_and(|before| {
        before.document == header.document && before.document_kind == header.document_kind
    });
    let same_group = before.is_some_and(|before| {
        before.group_first == header.group_first && before.group_count == header.group_count
    });
    let alone = header.group_first == header.seq && header.group_count == 1;
    let mut flags = header.kind.code();
    if same_document {
        flags |= ENTRY_SAME_DOCUMENT;
    }
    if alone {
        flags |= ENTRY_ALONE;
    } else if same_group {
        flags |= ENTRY_SAME_GROUP;
    }
    if entry.body.is_none() {
        flags |= ENTRY_WITHHELD;
    }
    bytes.push(flags);
    if !same_document {
        bytes.push(header.document_kind);
        bytes.extend_from_slice(&header.document);
    }
    if !alone && !same_group {
        put_varint(bytes, header.seq.wrapping_sub(header.group_first));
        put_varint(bytes, u64::from(header.group_count));
    }
    match before {
        None => bytes.extend_from_slice(&header.hlc.to_be_bytes()),
        Some(before) => put_varint(bytes, frame::zigzag(header.hlc.wrapping_sub(before.hlc))),
    }
    bytes.extend_from_slice(&entry.signature);
    match &entry.body {
        Some(body) => put_varint(bytes, as_u64(body.len())),
        None => bytes.extend_from_slice(&header.body_hash),
    }
}

/// The entries with empty bodies, each with its body's length.
fn entries(
    reader: &mut Reader<'_>,
    shared: &EntryHeader,
    count: usize,
) -> Result<Vec<(SignedEntry, usize)>, Malformed> {
    let mut entries: Vec<(SignedEntry, usize)> = Vec::with_capacity(count);
    let mut total: usize = 0;
    for index in 0..count {
        let before = entries.last().map(|(entry, _)| &entry.header);
        let mut header = shared.clone();
        header.seq = shared
            .seq
            .checked_add(as_u64(index))
            .ok_or_else(|| meaningless("the first number", shared.seq))?;
        let withheld = take_entry(reader, &mut header, before)?;
        let signature = reader.array("a signature")?;
        let length = if withheld {
            header.body_hash = reader.array("the hash of a body")?;
            0
        } else {
            reader.count(ENTRY_BODY_BYTES_MAX, "the length of a body")?
        };
        total = total.saturating_add(length);
        if total > DATA_BODIES_BYTES_MAX {
            return Err(Malformed::TooMany {
                field: "the length of all bodies",
                seen: as_u64(total),
                allowed: DATA_BODIES_BYTES_MAX,
            });
        }
        let entry = SignedEntry {
            header,
            signature,
            body: (!withheld).then(Vec::new),
        };
        entries.push((entry, length));
    }
    Ok(entries)
}

/// Reads an entry's flags and fields up to its clock; says whether its body is withheld.
fn take_entry(
    reader: &mut Reader<'_>,
    header: &mut EntryHeader,
    before: Option<&EntryHeader>,
) -> Result<bool, Malformed> {
    let flags = reader.byte("an entry's flags")?;
    let bad_flags = || meaningless("an entry's flags", u64::from(flags));
    let withheld = flags & ENTRY_WITHHELD != 0;
    if flags & 0x80 != 0 {
        return Err(bad_flags());
    }
    header.kind = EntryKind::from_code(flags & ENTRY_KIND_MASK).ok_or_else(bad_flags)?;
    if withheld && header.kind != EntryKind::Change {
        return Err(bad_flags());
    }
    if flags & ENTRY_SAME_DOCUMENT == 0 {
        header.document_kind = reader.byte("a document's kind")?;
        header.document = reader.array("a document's id")?;
    } else {
        let before = before.ok_or_else(bad_flags)?;
        header.document_kind = before.document_kind;
        header.document = before.document;
    }
    match (flags & ENTRY_ALONE != 0, flags & ENTRY_SAME_GROUP != 0) {
        (true, true) => return Err(bad_flags()),
        (true, false) => {
            header.group_first = header.seq;
            header.group_count = 1;
        }
        (false, true) => {
            let before = before.ok_or_else(bad_flags)?;
            header.group_first = before.group_first;
            header.group_count = before.group_count;
        }
        (false, false) => {
            let back = reader.varint("an entry's place in its group")?;
            let count = reader.varint("a group's count")?;
            header.group_first = header.seq.wrapping_sub(back);
            header.group_count =
                u32::try_from(count).map_err(|_| meaningless("a group's count", count))?;
        }
    }
    header.hlc = match before {
        None => u64::from_be_bytes(reader.array("a clock")?),
        Some(before) => before
            .hlc
            .wrapping_add(frame::unzigzag(reader.varint("a clock")?)),
    };
    Ok(withheld)
}

fn fill_bodies(
    entries: &mut [(SignedEntry, usize)],
    rest: &[u8],
    packed: bool,
) -> Result<(), Malformed> {
    let total: usize = entries.iter().map(|(_, length)| *length).sum();
    let unfolded;
    let mut raw = if packed {
        unfolded = zstd::bulk::decompress(rest, total)
            .map_err(|_| meaningless("the compressed bodies", as_u64(rest.len())))?;
        unfolded.as_slice()
    } else {
        rest
    };
    if raw.len() != total {
        return Err(meaningless("the length of all bodies", as_u64(raw.len())));
    }
    for (entry, length) in entries {
        let (body, tail) = raw.split_at_checked(*length).ok_or(Malformed::Short {
            field: "the bodies",
        })?;
        if let Some(empty) = &mut entry.body {
            *empty = body.to_vec();
        }
        raw = tail;
    }
    Ok(())
}

/// The bodies compressed, if that is smaller.
fn compressed(raw: &[u8]) -> Option<Vec<u8>> {
    if raw.len() < COMPRESSION_BYTES_MIN {
        return None;
    }
    let packed = zstd::bulk::compress(raw, COMPRESSION_LEVEL).ok()?;
    (packed.len() < raw.len()).then_some(packed)
}

const fn meaningless(field: &'static str, seen: u64) -> Malformed {
    Malformed::Meaningless { field, seen }
}

fn as_u64(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

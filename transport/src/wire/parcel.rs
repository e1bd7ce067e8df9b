//! The frames of a backfill stream: documents whole, each with the signed headers that prove it.
//!
//! Parcels stand one behind the other, each with its length in front; frames cut that into pieces of at
//! most 1 MiB, each compressed for itself where that is smaller. So small parcels share a frame and a
//! large one goes on in the next. The last frame of an answer says so.
//! Guarantees: what a frame unfolds to and what a parcel may hold is checked before it is allocated; an
//! encoder and a decoder that saw the same frames agree. Checks no signature and knows no save's format.

use std::collections::BTreeMap;

use bytes::{Buf as _, BytesMut};

use super::frame::{self, Malformed, Reader, put_varint};
use super::kind;
use crate::entry::{EntryHeader, EntryKind, SignedHeader};

/// First byte of a backfill stream.
pub const BACKFILL_STREAM: u8 = 0x02;

/// Most that one frame unfolds to, in bytes.
pub const BACKFILL_BYTES_MAX: usize = 1 << 20;

/// Longest save in a parcel, in bytes.
pub const PARCEL_SAVE_BYTES_MAX: usize = 16 << 20;

/// Most headers in a parcel.
pub const PARCEL_HEADERS_MAX: usize = 1 << 16;

/// Longest parcel, in bytes: save and headers.
pub const PARCEL_BYTES_MAX: usize = PARCEL_SAVE_BYTES_MAX + PARCEL_HEADERS_MAX * 192;

const COMPRESSION_LEVEL: i32 = 3;
const COMPRESSION_BYTES_MIN: usize = 96;

const FRAME_COMPRESSED: u8 = 0x01;
const FRAME_LAST: u8 = 0x02;

const HEADER_KIND_MASK: u8 = 0x07;
/// The group is the one of the header before.
const HEADER_SAME_GROUP: u8 = 0x10;
/// The entry is a group of its own.
const HEADER_ALONE: u8 = 0x20;
/// `prev` is the entry hash of the header before.
const HEADER_CHAINED: u8 = 0x40;

/// A document whole: what it is and who signed for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DocumentParcel {
    /// The document.
    pub document: [u8; 16],
    /// The signed headers of all its entries; a decoder gives them by origin, lane, incarnation, number.
    pub headers: Vec<SignedHeader>,
    /// The document itself, uncompressed.
    pub save: Vec<u8>,
}

/// A parcel that cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// The save is too long.
    #[error("a save of {bytes} bytes, at most {PARCEL_SAVE_BYTES_MAX} allowed")]
    Save {
        /// How long it is.
        bytes: usize,
    },
    /// There are too many headers.
    #[error("{count} headers of one document, at most {PARCEL_HEADERS_MAX} allowed")]
    Headers {
        /// How many there are.
        count: usize,
    },
    /// A header is of another document or kind, or two have one number.
    #[error("entry {seq} does not belong to the document, or is there twice")]
    Foreign {
        /// The entry's number.
        seq: u64,
    },
}

/// Writes a backfill stream.
#[derive(Debug, Default)]
pub struct ParcelEncoder {
    pending: BytesMut,
}

impl ParcelEncoder {
    /// Takes a parcel in; gives the frames that are full by now. A parcel refused leaves no trace.
    pub fn push(&mut self, parcel: &DocumentParcel) -> Result<Vec<Vec<u8>>, Unsendable> {
        let bytes = parcel_bytes(parcel)?;
        let mut length = Vec::new();
        put_varint(&mut length, as_u64(bytes.len()));
        self.pending.extend_from_slice(&length);
        self.pending.extend_from_slice(&bytes);
        let mut frames = Vec::new();
        while self.pending.len() > BACKFILL_BYTES_MAX {
            let piece = self.pending.split_to(BACKFILL_BYTES_MAX);
            frames.push(encoded(&piece, 0));
        }
        Ok(frames)
    }

    /// The last frame of the answer, with what is left.
    pub fn finish(&mut self) -> Vec<u8> {
        let piece = self.pending.split();
        encoded(&piece, FRAME_LAST)
    }
}

/// Some of an answer's parcels as frames.
#[derive(Debug, Default)]
pub struct Packed {
    /// The frames.
    pub frames: Vec<Vec<u8>>,
    /// The documents that cannot be sent, and why.
    pub unsendable: Vec<([u8; 16], Unsendable)>,
}

/// Packs some of an answer's parcels; with the last ones, the frame that ends it.
pub fn pack(parcels: &[DocumentParcel], last: bool) -> Packed {
    let mut encoder = ParcelEncoder::default();
    let Packed {
        mut frames,
        mut unsendable,
    } = Packed::default();
    for parcel in parcels {
        match encoder.push(parcel) {
            Ok(full) => frames.extend(full),
            Err(why) => unsendable.push((parcel.document, why)),
        }
    }
    if last {
        frames.push(encoder.finish());
    } else if !encoder.pending.is_empty() {
        frames.push(encoded(&encoder.pending.split(), 0));
    }
    Packed { frames, unsendable }
}

/// What a backfill frame brought.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct Unpacked {
    /// The parcels that are whole now, unverified.
    pub parcels: Vec<DocumentParcel>,
    /// Whether the answer ends here.
    pub last: bool,
}

/// Reads a backfill stream.
#[derive(Debug, Default)]
pub struct ParcelDecoder {
    pending: BytesMut,
}

impl ParcelDecoder {
    /// Understands a BACKFILL frame's body.
    pub fn decode(&mut self, body: &[u8]) -> Result<Unpacked, Malformed> {
        let mut reader = Reader::new(body);
        let flags = reader.byte("the frame's flags")?;
        if flags & !(FRAME_COMPRESSED | FRAME_LAST) != 0 {
            return Err(meaningless("the frame's flags", u64::from(flags)));
        }
        let last = flags & FRAME_LAST != 0;
        let before = self.pending.len();
        if flags & FRAME_COMPRESSED == 0 {
            let piece = reader.rest();
            if piece.len() > BACKFILL_BYTES_MAX {
                return Err(too_many(
                    "a piece of parcels",
                    piece.len(),
                    BACKFILL_BYTES_MAX,
                ));
            }
            self.pending.extend_from_slice(piece);
        } else {
            let length = reader.count(BACKFILL_BYTES_MAX, "the length of a piece of parcels")?;
            let bad = || meaningless("a compressed piece of parcels", as_u64(body.len()));
            let piece = zstd::bulk::decompress(reader.rest(), length).map_err(|_| bad())?;
            if piece.len() != length {
                return Err(bad());
            }
            self.pending.extend_from_slice(&piece);
        }
        if self.pending.len() == before && !last {
            return Err(meaningless("a piece of parcels without bytes", 0));
        }
        let mut parcels = Vec::new();
        while let Some(parcel) = self.next_parcel()? {
            parcels.push(parcel);
        }
        if last && !self.pending.is_empty() {
            return Err(Malformed::Short { field: "a parcel" });
        }
        Ok(Unpacked { parcels, last })
    }

    fn next_parcel(&mut self) -> Result<Option<DocumentParcel>, Malformed> {
        let mut reader = Reader::new(&self.pending);
        let length = match reader.count(PARCEL_BYTES_MAX, "the length of a parcel") {
            Ok(length) => length,
            Err(Malformed::Short { .. }) => return Ok(None),
            Err(other) => return Err(other),
        };
        let Some(bytes) = reader.rest().get(..length) else {
            return Ok(None);
        };
        let parcel = parcel(bytes)?;
        let head = self.pending.len().saturating_sub(reader.rest().len());
        self.pending.advance(head.saturating_add(length));
        Ok(Some(parcel))
    }
}

/// A BACKFILL frame around a piece of parcels.
fn encoded(piece: &[u8], flags: u8) -> Vec<u8> {
    let packed = (piece.len() >= COMPRESSION_BYTES_MIN)
        .then(|| zstd::bulk::compress(piece, COMPRESSION_LEVEL).ok())
        .flatten()
        .filter(|packed| packed.len().saturating_add(8) < piece.len());
    let mut body = Vec::new();
    match packed {
        Some(packed) => {
            body.push(flags | FRAME_COMPRESSED);
            put_varint(&mut body, as_u64(piece.len()));
            body.extend_from_slice(&packed);
        }
        None => {
            body.push(flags);
            body.extend_from_slice(piece);
        }
    }
    frame::encode(kind::BACKFILL, &body)
}

fn parcel_bytes(parcel: &DocumentParcel) -> Result<Vec<u8>, Unsendable> {
    if parcel.save.len() > PARCEL_SAVE_BYTES_MAX {
        return Err(Unsendable::Save {
            bytes: parcel.save.len(),
        });
    }
    if parcel.headers.len() > PARCEL_HEADERS_MAX {
        return Err(Unsendable::Headers {
            count: parcel.headers.len(),
        });
    }
    let document_kind = parcel
        .headers
        .first()
        .map_or(0, |first| first.header.document_kind);
    let mut runs: BTreeMap<_, BTreeMap<u64, &SignedHeader>> = BTreeMap::new();
    for signed in &parcel.headers {
        let header = &signed.header;
        let run = runs
            .entry((header.origin, header.lane, header.incarnation))
            .or_default();
        if header.document != parcel.document
            || header.document_kind != document_kind
            || header.seq == 0
            || run.insert(header.seq, signed).is_some()
        {
            return Err(Unsendable::Foreign { seq: header.seq });
        }
    }
    let estimate = parcel.headers.len().saturating_mul(140);
    let mut bytes = Vec::with_capacity(estimate.saturating_add(parcel.save.len()));
    bytes.extend_from_slice(&parcel.document);
    bytes.push(document_kind);
    put_varint(&mut bytes, as_u64(runs.len()));
    for ((origin, lane, incarnation), run) in runs {
        bytes.extend_from_slice(&origin);
        bytes.push(lane);
        bytes.extend_from_slice(&incarnation);
        put_varint(&mut bytes, as_u64(run.len()));
        let mut before = None;
        for signed in run.into_values() {
            put_header(&mut bytes, signed, before);
            before = Some(signed);
        }
    }
    bytes.extend_from_slice(&parcel.save);
    Ok(bytes)
}

fn put_header(bytes: &mut Vec<u8>, signed: &SignedHeader, before: Option<&SignedHeader>) {
    let header = &signed.header;
    let alone = header.group_first == header.seq && header.group_count == 1;
    let same_group = before.is_some_and(|before| {
        before.header.group_first == header.group_first
            && before.header.group_count == header.group_count
    });
    let chained = before.is_some_and(|before| {
        before.header.seq.checked_add(1) == Some(header.seq) && before.entry_hash() == header.prev
    });
    let mut flags = header.kind.code();
    if alone {
        flags |= HEADER_ALONE;
    } else if same_group {
        flags |= HEADER_SAME_GROUP;
    }
    if chained {
        flags |= HEADER_CHAINED;
    }
    bytes.push(flags);
    let (seq, epoch, hlc) = before.map_or((0, 0, 0), |before| {
        let before = &before.header;
        (before.seq, u64::from(before.policy_epoch), before.hlc)
    });
    put_varint(bytes, header.seq.wrapping_sub(seq));
    if !alone && !same_group {
        put_varint(bytes, header.seq.wrapping_sub(header.group_first));
        put_varint(bytes, u64::from(header.group_count));
    }
    put_varint(
        bytes,
        frame::zigzag(u64::from(header.policy_epoch).wrapping_sub(epoch)),
    );
    put_varint(bytes, frame::zigzag(header.hlc.wrapping_sub(hlc)));
    if !chained {
        bytes.extend_from_slice(&header.prev);
    }
    bytes.extend_from_slice(&header.body_hash);
    bytes.extend_from_slice(&signed.signature);
}

fn parcel(bytes: &[u8]) -> Result<DocumentParcel, Malformed> {
    let mut reader = Reader::new(bytes);
    let document = reader.array("a parcel's document")?;
    let document_kind = reader.byte("a document's kind")?;
    let runs = reader.count(PARCEL_HEADERS_MAX, "the number of a parcel's logs")?;
    let mut headers: Vec<SignedHeader> = Vec::new();
    let mut last_run = None;
    for _ in 0..runs {
        let origin: [u8; 8] = reader.array("a log's origin")?;
        let lane = reader.byte("a log's lane")?;
        let incarnation: [u8; 8] = reader.array("the incarnation")?;
        let run = (origin, lane, incarnation);
        let room = PARCEL_HEADERS_MAX.saturating_sub(headers.len());
        let count = reader.count(room, "the number of a parcel's headers")?;
        if count == 0 || last_run.is_some_and(|last| last >= run) {
            return Err(meaningless("the order of a parcel's logs", as_u64(count)));
        }
        last_run = Some(run);
        let shared = EntryHeader {
            lane,
            origin,
            incarnation,
            seq: 0,
            prev: [0; 32],
            group_first: 0,
            group_count: 1,
            kind: EntryKind::Change,
            document,
            document_kind,
            body_hash: [0; 32],
            policy_epoch: 0,
            hlc: 0,
        };
        for index in 0..count {
            let before = (index > 0).then(|| headers.last()).flatten();
            let signed = header(&mut reader, &shared, before)?;
            headers.push(signed);
        }
    }
    let save = reader.rest();
    if save.len() > PARCEL_SAVE_BYTES_MAX {
        return Err(too_many(
            "a parcel's save",
            save.len(),
            PARCEL_SAVE_BYTES_MAX,
        ));
    }
    Ok(DocumentParcel {
        document,
        headers,
        save: save.to_vec(),
    })
}

fn header(
    reader: &mut Reader<'_>,
    shared: &EntryHeader,
    before: Option<&SignedHeader>,
) -> Result<SignedHeader, Malformed> {
    let flags = reader.byte("a header's flags")?;
    let bad_flags = || meaningless("a header's flags", u64::from(flags));
    if flags & !(HEADER_KIND_MASK | HEADER_SAME_GROUP | HEADER_ALONE | HEADER_CHAINED) != 0 {
        return Err(bad_flags());
    }
    let mut header = shared.clone();
    header.kind = EntryKind::from_code(flags & HEADER_KIND_MASK).ok_or_else(bad_flags)?;
    let last = before.map_or(shared, |before| &before.header);
    let distance = reader.varint("an entry's number")?;
    header.seq = match last.seq.checked_add(distance) {
        Some(seq) if distance > 0 => seq,
        _ => return Err(meaningless("an entry's number", distance)),
    };
    match (flags & HEADER_ALONE != 0, flags & HEADER_SAME_GROUP != 0) {
        (true, true) => return Err(bad_flags()),
        (true, false) => header.group_first = header.seq,
        (false, true) => {
            let before = &before.ok_or_else(bad_flags)?.header;
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
    let epoch = frame::unzigzag(reader.varint("the policy epoch")?)
        .wrapping_add(u64::from(last.policy_epoch));
    header.policy_epoch =
        u32::try_from(epoch).map_err(|_| meaningless("the policy epoch", epoch))?;
    header.hlc = frame::unzigzag(reader.varint("a clock")?).wrapping_add(last.hlc);
    header.prev = if flags & HEADER_CHAINED == 0 {
        reader.array("the hash of the entry before")?
    } else {
        let before = before.ok_or_else(bad_flags)?;
        if distance != 1 {
            return Err(bad_flags());
        }
        before.entry_hash()
    };
    header.body_hash = reader.array("a body's hash")?;
    let signature = reader.array("a signature")?;
    Ok(SignedHeader { header, signature })
}

const fn meaningless(field: &'static str, seen: u64) -> Malformed {
    Malformed::Meaningless { field, seen }
}

fn too_many(field: &'static str, seen: usize, allowed: usize) -> Malformed {
    Malformed::TooMany {
        field,
        seen: as_u64(seen),
        allowed,
    }
}

fn as_u64(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

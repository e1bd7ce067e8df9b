//! Length-prefixed frames and the numbers and texts inside them.
//!
//! A frame is the length of its body (varint), a type byte and the body. Guarantees: a length is
//! checked before anything is allocated for it; a varint has one encoding only (LEB128, shortest).
//! Does not know what the types mean.

use bytes::{Buf as _, Bytes, BytesMut};

use crate::link::CloseReason;

/// Longest body of a frame on a data stream, in bytes: 1 MiB of entries and their headers.
pub const DATA_FRAME_BYTES_MAX: usize = (1 << 20) + (64 << 10);

/// Longest body of a frame on a control stream, in bytes.
pub const CONTROL_FRAME_BYTES_MAX: usize = 128 << 10;

/// Longest varint: 64 bits in groups of 7.
const VARINT_BYTES_MAX: usize = 10;

/// Bytes that are not a frame, or not what the frame's type says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A frame announces more than is allowed.
    #[error("frame of {announced} bytes, at most {allowed} allowed")]
    TooLong {
        /// Bytes announced.
        announced: u64,
        /// Bytes allowed.
        allowed: usize,
    },
    /// A number is longer than 64 bits or not in its shortest form.
    #[error("a number is not in its shortest form")]
    Varint,
    /// The body ends inside a field.
    #[error("the frame ends inside {field}")]
    Short {
        /// The field.
        field: &'static str,
    },
    /// A count or length exceeds its limit.
    #[error("{field} is {seen}, at most {allowed} allowed")]
    TooMany {
        /// The field.
        field: &'static str,
        /// What the frame says.
        seen: u64,
        /// The limit.
        allowed: usize,
    },
    /// A field has a value without meaning.
    #[error("{field} has the value {seen}, which means nothing")]
    Meaningless {
        /// The field.
        field: &'static str,
        /// What the frame says.
        seen: u64,
    },
    /// Bytes follow where the frame should end.
    #[error("{seen} bytes follow the end of the frame's content")]
    Trailing {
        /// How many.
        seen: usize,
    },
}

impl From<Malformed> for CloseReason {
    fn from(malformed: Malformed) -> Self {
        Self::Protocol {
            detail: malformed.to_string(),
        }
    }
}

/// One frame, its body not yet understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The type byte.
    pub kind: u8,
    /// The body.
    pub body: Bytes,
}

/// A frame's bytes.
pub fn encode(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len().saturating_add(5));
    put_varint(&mut bytes, u64::try_from(body.len()).unwrap_or(u64::MAX));
    bytes.push(kind);
    bytes.extend_from_slice(body);
    bytes
}

/// Collects a stream's bytes and cuts them into frames.
#[derive(Debug)]
pub struct FrameBuffer {
    bytes: BytesMut,
    limit: usize,
}

impl FrameBuffer {
    /// A buffer that accepts bodies of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            bytes: BytesMut::new(),
            limit,
        }
    }

    /// Appends what the stream gave.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame, if it is there.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Malformed> {
        let mut reader = Reader::new(&self.bytes);
        let length = match reader.varint("the length of a frame") {
            Ok(length) => length,
            Err(Malformed::Short { .. }) => return Ok(None),
            Err(other) => return Err(other),
        };
        let allowed = self.limit;
        let too_long = Malformed::TooLong {
            announced: length,
            allowed,
        };
        let length = usize::try_from(length).map_err(|_| too_long.clone())?;
        if length > allowed {
            return Err(too_long);
        }
        let Some((&kind, rest)) = reader.rest().split_first() else {
            return Ok(None);
        };
        if rest.len() < length {
            return Ok(None);
        }
        let head = self.bytes.len().saturating_sub(rest.len());
        self.bytes.advance(head);
        Ok(Some(Frame {
            kind,
            body: self.bytes.split_to(length).freeze(),
        }))
    }
}

/// Appends `value` as LEB128: 7 bits a byte, lowest first, high bit set on all but the last.
pub fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push((value & 0x7f) as u8);
}

/// Small differences of either sign as small numbers.
pub(super) const fn zigzag(difference: u64) -> u64 {
    (difference << 1) ^ (if difference >> 63 == 1 { u64::MAX } else { 0 })
}

/// What [`zigzag`] made small.
pub(super) const fn unzigzag(value: u64) -> u64 {
    (value >> 1) ^ (if value & 1 == 1 { u64::MAX } else { 0 })
}

/// Appends a text: varint length, UTF-8, cut at `bytes_max` on a character's border.
pub fn put_text(bytes: &mut Vec<u8>, text: &str, bytes_max: usize) {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    put_varint(bytes, u64::try_from(end).unwrap_or(0));
    bytes.extend_from_slice(&text.as_bytes()[..end]);
}

/// Reads fields from the front of a body.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// What is left.
    pub const fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// Refuses bytes after the last field.
    pub const fn end(self) -> Result<(), Malformed> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(Malformed::Trailing {
                seen: self.bytes.len(),
            })
        }
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Malformed> {
        let (head, tail) = self
            .bytes
            .split_first_chunk::<N>()
            .ok_or(Malformed::Short { field })?;
        self.bytes = tail;
        Ok(*head)
    }

    /// The next byte.
    pub fn byte(&mut self, field: &'static str) -> Result<u8, Malformed> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    /// The next `length` bytes.
    pub fn slice(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self
            .bytes
            .split_at_checked(length)
            .ok_or(Malformed::Short { field })?;
        self.bytes = tail;
        Ok(head)
    }

    /// The next varint.
    pub fn varint(&mut self, field: &'static str) -> Result<u64, Malformed> {
        let mut value: u64 = 0;
        for index in 0..VARINT_BYTES_MAX {
            let byte = self.byte(field)?;
            let shift = u32::try_from(index).unwrap_or(0).saturating_mul(7);
            let low = u64::from(byte & 0x7f);
            let placed = low.checked_shl(shift).unwrap_or(0);
            if placed.checked_shr(shift) != Some(low) {
                return Err(Malformed::Varint);
            }
            value |= placed;
            if byte & 0x80 == 0 {
                // A last group of zero adds nothing: the shorter form is the only one.
                return if byte == 0 && index > 0 {
                    Err(Malformed::Varint)
                } else {
                    Ok(value)
                };
            }
        }
        Err(Malformed::Varint)
    }

    /// The next varint as a length or count of at most `allowed`.
    pub fn count(&mut self, allowed: usize, field: &'static str) -> Result<usize, Malformed> {
        let seen = self.varint(field)?;
        match usize::try_from(seen) {
            Ok(count) if count <= allowed => Ok(count),
            _ => Err(Malformed::TooMany {
                field,
                seen,
                allowed,
            }),
        }
    }

    /// The next text of at most `allowed` bytes.
    pub fn text(&mut self, allowed: usize, field: &'static str) -> Result<String, Malformed> {
        let length = self.count(allowed, field)?;
        let bytes = self.slice(length, field)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| Malformed::Meaningless {
            field,
            seen: u64::try_from(length).unwrap_or(u64::MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_frame_is_its_length_its_type_and_its_body() {
        assert_eq!(encode(0x04, b"abc"), [3, 0x04, b'a', b'b', b'c']);
        assert_eq!(encode(0x90, &[7; 300])[..4], [0xac, 0x02, 0x90, 7]);
    }

    #[test]
    fn frames_come_out_whole_however_the_stream_cuts_them() {
        let bytes = [encode(1, b"one"), encode(2, b""), encode(3, &[9; 200])].concat();
        for cut in 1..20 {
            let mut buffer = FrameBuffer::new(1000);
            let mut seen = Vec::new();
            for chunk in bytes.chunks(cut) {
                buffer.push(chunk);
                while let Some(frame) = buffer.next_frame().unwrap() {
                    seen.push((frame.kind, frame.body.len()));
                }
            }
            assert_eq!(seen, [(1, 3), (2, 0), (3, 200)]);
        }
    }

    #[test]
    fn a_length_above_the_limit_is_refused_before_its_bytes_come() {
        let mut buffer = FrameBuffer::new(100);
        buffer.push(&[101]);
        assert_eq!(
            buffer.next_frame(),
            Err(Malformed::TooLong {
                announced: 101,
                allowed: 100
            })
        );
        let mut buffer = FrameBuffer::new(100);
        buffer.push(&[0xff; 10]);
        assert_eq!(buffer.next_frame(), Err(Malformed::Varint));
    }

    #[test]
    fn a_number_in_a_longer_form_than_needed_is_refused() {
        assert_eq!(
            Reader::new(&[0x80, 0x00]).varint("x"),
            Err(Malformed::Varint)
        );
        let above = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(Reader::new(&above).varint("x"), Err(Malformed::Varint));
    }

    #[test]
    fn a_text_is_cut_on_a_characters_border() {
        let mut bytes = Vec::new();
        put_text(&mut bytes, "però", 4);
        assert_eq!(Reader::new(&bytes).text(10, "x").unwrap(), "per");
    }

    proptest! {
        #[test]
        fn every_number_survives(value: u64) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.varint("x"), Ok(value));
            prop_assert!(reader.rest().is_empty());
        }

        #[test]
        fn no_bytes_make_the_frame_buffer_panic(bytes: Vec<u8>) {
            let mut buffer = FrameBuffer::new(64);
            buffer.push(&bytes);
            while let Ok(Some(_)) = buffer.next_frame() {}
        }
    }
}

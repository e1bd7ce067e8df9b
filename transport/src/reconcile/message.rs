//! What two reconcilers say to each other, and its bytes.
//!
//! Guarantees: `Message::parse(encode(m)) == m`, one encoding only; every count is checked before
//! anything is allocated for it; bounds and identifiers ascend strictly inside their answer. Whether an
//! answer fits its question is the reconciler's to judge.

use super::{FAN_OUT_MAX, LIST_ITEMS_MAX, MESSAGE_BYTES_MAX, MESSAGE_RANGES_MAX, PART_IDS_MAX};
use crate::wire::frame::{Malformed, Reader, put_varint};

/// What a range of items comes to, under the session's key.
pub type Fingerprint = [u8; 16];

/// First 8 bytes of an item's keyed hash.
pub type ItemTag = [u8; 8];

/// One message of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Opens a run: the fingerprint of everything at the initiator.
    Begin(Fingerprint),
    /// Answers to the receiver's questions, the oldest first; most of them ask in turn. Empty: go on.
    Answers(Vec<Answer>),
}

/// The answer to one question, or to several in a row ([`Answer::Same`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The fingerprints of that many ranges are the same here.
    Same(u64),
    /// The range in parts, with the fingerprint of each here; every part is a question.
    Split {
        /// Fingerprint of the part before the first bound.
        first: Fingerprint,
        /// Where each further part begins, ascending, and its fingerprint.
        rest: Vec<(u128, Fingerprint)>,
    },
    /// All items of the range here, ascending; a question.
    List(Vec<(u128, ItemTag)>),
    /// What differs in a range that the receiver listed.
    Differing {
        /// Items here that the receiver lacks or has otherwise, ascending.
        here: Vec<u128>,
        /// Items that the receiver listed and that are not here, ascending; only in the first part.
        absent: Vec<u128>,
        /// Whether another part follows.
        more: bool,
    },
}

mod code {
    pub(super) const BEGIN: u8 = 0;
    pub(super) const ANSWERS: u8 = 1;
    pub(super) const SAME: u8 = 0;
    pub(super) const SPLIT: u8 = 1;
    pub(super) const LIST: u8 = 2;
    pub(super) const DIFFERING: u8 = 3;
    pub(super) const DIFFERING_MORE: u8 = 4;
}

impl Message {
    /// The bytes; at most [`MESSAGE_BYTES_MAX`] for what a reconciler says.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Begin(fingerprint) => {
                let mut bytes = vec![code::BEGIN];
                bytes.extend_from_slice(fingerprint);
                bytes
            }
            Self::Answers(answers) => {
                let mut bytes = vec![code::ANSWERS];
                for answer in answers {
                    answer.put(&mut bytes);
                }
                bytes
            }
        }
    }

    /// Understands a message that fills `bytes`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(Malformed::TooLong {
                announced: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
                allowed: MESSAGE_BYTES_MAX,
            });
        }
        let mut reader = Reader::new(bytes);
        match reader.byte("the form of a reconciliation message")? {
            code::BEGIN => {
                let fingerprint = reader.array("a fingerprint")?;
                reader.end()?;
                Ok(Self::Begin(fingerprint))
            }
            code::ANSWERS => answers(&mut reader).map(Self::Answers),
            other => Err(meaningless("the form of a reconciliation message", other)),
        }
    }
}

impl Answer {
    /// How many ranges it speaks of.
    pub(super) fn ranges(&self) -> usize {
        match self {
            Self::Split { rest, .. } => rest.len().saturating_add(1),
            Self::Same(_) | Self::List(_) | Self::Differing { .. } => 1,
        }
    }

    /// Appends its bytes.
    pub(super) fn put(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Same(count) => {
                bytes.push(code::SAME);
                put_varint(bytes, *count);
            }
            Self::Split { first, rest } => {
                bytes.push(code::SPLIT);
                put_count(bytes, rest.len());
                bytes.extend_from_slice(first);
                let mut before = 0;
                for (bound, fingerprint) in rest {
                    put_bound(bytes, before, *bound);
                    bytes.extend_from_slice(fingerprint);
                    before = *bound;
                }
            }
            Self::List(items) => {
                bytes.push(code::LIST);
                put_count(bytes, items.len());
                for (id, tag) in items {
                    bytes.extend_from_slice(&id.to_be_bytes());
                    bytes.extend_from_slice(tag);
                }
            }
            Self::Differing { here, absent, more } => {
                bytes.push(if *more {
                    code::DIFFERING_MORE
                } else {
                    code::DIFFERING
                });
                put_ids(bytes, here);
                put_ids(bytes, absent);
            }
        }
    }
}

fn answers(reader: &mut Reader<'_>) -> Result<Vec<Answer>, Malformed> {
    let mut answers = Vec::new();
    let mut ranges: usize = 0;
    while !reader.rest().is_empty() {
        let answer = answer(reader)?;
        ranges = ranges.saturating_add(answer.ranges());
        if ranges > MESSAGE_RANGES_MAX {
            return Err(Malformed::TooMany {
                field: "the number of ranges",
                seen: u64::try_from(ranges).unwrap_or(u64::MAX),
                allowed: MESSAGE_RANGES_MAX,
            });
        }
        answers.push(answer);
    }
    Ok(answers)
}

fn answer(reader: &mut Reader<'_>) -> Result<Answer, Malformed> {
    match reader.byte("the form of an answer")? {
        code::SAME => match reader.varint("the number of equal ranges")? {
            0 => Err(meaningless("the number of equal ranges", 0)),
            count => Ok(Answer::Same(count)),
        },
        code::SPLIT => {
            let count = reader.count(FAN_OUT_MAX.saturating_sub(1), "the number of bounds")?;
            if count == 0 {
                return Err(meaningless("the number of bounds", 0));
            }
            let first = reader.array("a fingerprint")?;
            let mut rest = Vec::with_capacity(count);
            let mut before = 0;
            for _ in 0..count {
                before = bound(reader, before)?;
                rest.push((before, reader.array("a fingerprint")?));
            }
            Ok(Answer::Split { first, rest })
        }
        code::LIST => {
            let count = reader.count(LIST_ITEMS_MAX, "the number of items")?;
            let mut items = Vec::with_capacity(count);
            let mut before = None;
            for _ in 0..count {
                let id = ascending(reader, &mut before)?;
                items.push((id, reader.array("an item's tag")?));
            }
            Ok(Answer::List(items))
        }
        form @ (code::DIFFERING | code::DIFFERING_MORE) => Ok(Answer::Differing {
            here: ids(reader, PART_IDS_MAX)?,
            absent: ids(reader, LIST_ITEMS_MAX)?,
            more: form == code::DIFFERING_MORE,
        }),
        other => Err(meaningless("the form of an answer", other)),
    }
}

/// A bound as what it shares with the one before: `shared << 4 | (length - 1)`, then `length` bytes; all
/// after them are zero. Bounds ascend, so the first byte not shared is larger than the one before's.
fn put_bound(bytes: &mut Vec<u8>, before: u128, bound: u128) {
    let shared = (before ^ bound).leading_zeros() / 8;
    let end = 16_u32.saturating_sub(bound.trailing_zeros() / 8);
    let length = end.saturating_sub(shared).clamp(1, 16);
    let head = (shared.min(15) << 4) | length.saturating_sub(1);
    bytes.push(u8::try_from(head).unwrap_or(u8::MAX));
    let (start, end) = (shared.min(15), shared.saturating_add(length).min(16));
    let range = usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
    bytes.extend_from_slice(bound.to_be_bytes().get(range).unwrap_or_default());
}

fn bound(reader: &mut Reader<'_>, before: u128) -> Result<u128, Malformed> {
    let head = reader.byte("a bound")?;
    let shared = usize::from(head >> 4);
    let length = usize::from(head & 0x0f).saturating_add(1);
    let part = reader.slice(length, "a bound")?;
    let mut bytes = before.to_be_bytes();
    let bad = || meaningless("a bound", head);
    let last_shared = bytes.get(shared).copied();
    bytes.get_mut(shared..).unwrap_or_default().fill(0);
    bytes
        .get_mut(shared..shared.saturating_add(length))
        .ok_or_else(bad)?
        .copy_from_slice(part);
    if part.first().copied() <= last_shared || part.last() == Some(&0) {
        return Err(bad());
    }
    Ok(u128::from_be_bytes(bytes))
}

fn put_count(bytes: &mut Vec<u8>, count: usize) {
    put_varint(bytes, u64::try_from(count).unwrap_or(u64::MAX));
}

fn put_ids(bytes: &mut Vec<u8>, ids: &[u128]) {
    put_count(bytes, ids.len());
    for id in ids {
        bytes.extend_from_slice(&id.to_be_bytes());
    }
}

fn ids(reader: &mut Reader<'_>, allowed: usize) -> Result<Vec<u128>, Malformed> {
    let count = reader.count(allowed, "the number of identifiers")?;
    let mut ids = Vec::with_capacity(count);
    let mut before = None;
    for _ in 0..count {
        ids.push(ascending(reader, &mut before)?);
    }
    Ok(ids)
}

fn ascending(reader: &mut Reader<'_>, before: &mut Option<u128>) -> Result<u128, Malformed> {
    let id = u128::from_be_bytes(reader.array("an identifier")?);
    if before.is_some_and(|before| before >= id) {
        return Err(meaningless("an identifier out of order", 0));
    }
    *before = Some(id);
    Ok(id)
}

const fn meaningless(field: &'static str, seen: u8) -> Malformed {
    Malformed::Meaningless {
        field,
        seen: seen as u64,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn survives(message: &Message) -> Vec<u8> {
        let bytes = message.encode();
        assert_eq!(Message::parse(&bytes).as_ref(), Ok(message));
        bytes
    }

    #[test]
    fn every_form_has_the_bytes_that_were_promised() {
        assert_eq!(
            survives(&Message::Begin([0xab; 16])),
            [&[0][..], &[0xab; 16]].concat()
        );
        assert_eq!(survives(&Message::Answers(Vec::new())), [1]);
        assert_eq!(
            survives(&Message::Answers(vec![Answer::Same(300)])),
            [1, 0, 0xac, 0x02]
        );
        let split = Answer::Split {
            first: [0xa0; 16],
            rest: vec![
                (0x1234 << 112, [0xa1; 16]),
                (0x1235 << 112, [0xa2; 16]),
                (u128::MAX, [0xa3; 16]),
            ],
        };
        let expected = [
            &[1, 1, 3][..],
            &[0xa0; 16],
            &[0x01, 0x12, 0x34],
            &[0xa1; 16],
            &[0x10, 0x35],
            &[0xa2; 16],
            &[0x0f],
            &[0xff; 16],
            &[0xa3; 16],
        ];
        assert_eq!(survives(&Message::Answers(vec![split])), expected.concat());
        let list = Answer::List(vec![(1, [0xb1; 8]), (2, [0xb2; 8])]);
        let (one, two) = (1_u128.to_be_bytes(), 2_u128.to_be_bytes());
        assert_eq!(
            survives(&Message::Answers(vec![list])),
            [&[1, 2, 2][..], &one, &[0xb1; 8], &two, &[0xb2; 8]].concat()
        );
        for (more, form) in [(false, 3), (true, 4)] {
            let differing = Answer::Differing {
                here: vec![1],
                absent: vec![2],
                more,
            };
            assert_eq!(
                survives(&Message::Answers(vec![differing])),
                [&[1, form, 1][..], &one, &[1], &two].concat()
            );
        }
    }

    #[test]
    fn what_is_not_in_order_or_not_in_its_shortest_form_is_refused() {
        let descending = Message::Answers(vec![Answer::List(vec![(2, [0; 8]), (1, [0; 8])])]);
        assert!(Message::parse(&descending.encode()).is_err());
        let twice = Message::Answers(vec![Answer::Differing {
            here: vec![5, 5],
            absent: Vec::new(),
            more: false,
        }]);
        assert!(Message::parse(&twice.encode()).is_err());
        for bound in [&[0x01, 0x12, 0x00][..], &[0x00, 0x00], &[0xff, 1]] {
            let bytes = [&[1, 1, 1][..], &[0xa0; 16], bound, &[0xa1; 16]].concat();
            assert!(Message::parse(&bytes).is_err(), "{bound:?}");
        }
    }

    #[test]
    fn a_message_of_too_many_ranges_or_bytes_is_refused() {
        let many = Message::Answers(vec![Answer::Same(1); MESSAGE_RANGES_MAX + 1]);
        assert!(matches!(
            Message::parse(&many.encode()),
            Err(Malformed::TooMany { .. })
        ));
        assert!(matches!(
            Message::parse(&vec![1; MESSAGE_BYTES_MAX + 1]),
            Err(Malformed::TooLong { .. })
        ));
    }

    proptest! {
        #[test]
        fn ascending_bounds_survive(mut bounds in prop::collection::btree_set(any::<u128>(), 1..16)) {
            bounds.remove(&0);
            prop_assume!(!bounds.is_empty());
            let rest = bounds.into_iter().map(|bound| (bound, [7; 16])).collect();
            survives(&Message::Answers(vec![Answer::Split { first: [0; 16], rest }]));
        }

        #[test]
        fn no_bytes_make_the_parser_panic_and_what_it_takes_it_writes_again(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            form in 0_u8..5,
        ) {
            let bytes = [&[1, form][..], &bytes].concat();
            if let Ok(message) = Message::parse(&bytes) {
                prop_assert_eq!(message.encode(), bytes);
            }
        }
    }
}

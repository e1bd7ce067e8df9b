//! The frames that find and fetch what differs: RECON and WANT, both on the control stream.
//!
//! A RECON frame carries one message of one numbered run, so that words of a run given up are known as
//! such. A WANT names documents, ascending; its answer comes as parcels (`parcel`).

use super::frame::{self, Malformed, Reader, put_varint};
use super::kind;
use crate::reconcile::Message;

/// Most documents that one WANT names.
pub const WANT_IDS_MAX: usize = 256;

const DECLINED: u8 = 2;
const ASKED: u8 = 3;

/// What a RECON frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// A message of the run.
    Say(Message),
    /// The acceptor cannot take part in the run now.
    Declined,
    /// The acceptor asks the dialler to begin a run.
    Asked,
}

/// A RECON frame of run number `run`.
pub fn encode_recon(run: u64, word: &Word) -> Vec<u8> {
    let mut body = Vec::new();
    put_varint(&mut body, run);
    match word {
        Word::Say(message) => body.extend_from_slice(&message.encode()),
        Word::Declined => body.push(DECLINED),
        Word::Asked => body.push(ASKED),
    }
    frame::encode(kind::RECON, &body)
}

/// The number of the run, and the word, of a RECON frame's body.
pub fn parse_recon(body: &[u8]) -> Result<(u64, Word), Malformed> {
    let mut reader = Reader::new(body);
    let run = reader.varint("the number of a reconciliation")?;
    let word = match reader.rest() {
        [DECLINED] => Word::Declined,
        [ASKED] => Word::Asked,
        message => Word::Say(Message::parse(message)?),
    };
    Ok((run, word))
}

/// A WANT frame of at most [`WANT_IDS_MAX`] documents, ascending.
pub fn encode_want(ids: &[[u8; 16]]) -> Vec<u8> {
    let mut body = Vec::with_capacity(ids.len().saturating_mul(16).saturating_add(2));
    put_varint(&mut body, u64::try_from(ids.len()).unwrap_or(u64::MAX));
    for id in ids {
        body.extend_from_slice(id);
    }
    frame::encode(kind::WANT, &body)
}

/// The documents of a WANT frame's body: at least one, ascending.
pub fn parse_want(body: &[u8]) -> Result<Vec<[u8; 16]>, Malformed> {
    let mut reader = Reader::new(body);
    let count = reader.count(WANT_IDS_MAX, "the number of documents wanted")?;
    let mut ids: Vec<[u8; 16]> = Vec::with_capacity(count);
    for _ in 0..count {
        ids.push(reader.array("a document's id")?);
    }
    reader.end()?;
    if ids.is_empty() || !ids.is_sorted_by(|one, other| one < other) {
        return Err(Malformed::Meaningless {
            field: "the order of the documents wanted",
            seen: u64::try_from(count).unwrap_or(u64::MAX),
        });
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reconcile::Answer;

    #[test]
    fn the_frames_have_the_bytes_that_were_promised() {
        let begin = Word::Say(Message::Begin([0xab; 16]));
        let bytes = encode_recon(300, &begin);
        assert_eq!(
            bytes,
            [&[19, kind::RECON, 0xac, 0x02, 0][..], &[0xab; 16]].concat()
        );
        assert_eq!(parse_recon(&bytes[2..]), Ok((300, begin)));
        let same = Word::Say(Message::Answers(vec![Answer::Same(1)]));
        assert_eq!(encode_recon(1, &same), [4, kind::RECON, 1, 1, 0, 1]);
        for (word, code) in [(Word::Declined, 2), (Word::Asked, 3)] {
            let bytes = encode_recon(7, &word);
            assert_eq!(bytes, [2, kind::RECON, 7, code]);
            assert_eq!(parse_recon(&bytes[2..]), Ok((7, word)));
        }
        let ids = [[1; 16], [2; 16]];
        let bytes = encode_want(&ids);
        assert_eq!(
            bytes,
            [&[33, kind::WANT, 2][..], &[1; 16], &[2; 16]].concat()
        );
        assert_eq!(parse_want(&bytes[2..]), Ok(ids.to_vec()));
    }

    #[test]
    fn a_want_of_nothing_too_much_or_out_of_order_is_refused() {
        assert!(parse_want(&[0]).is_err());
        assert!(parse_want(&encode_want(&[[2; 16], [1; 16]])[2..]).is_err());
        assert!(parse_want(&encode_want(&[[1; 16], [1; 16]])[2..]).is_err());
        let many: Vec<[u8; 16]> = (0..=256_u128).map(u128::to_be_bytes).collect();
        let mut buffer = frame::FrameBuffer::new(frame::CONTROL_FRAME_BYTES_MAX);
        buffer.push(&encode_want(&many));
        let body = buffer.next_frame().unwrap().unwrap().body;
        assert!(matches!(parse_want(&body), Err(Malformed::TooMany { .. })));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parsers_panic(bytes: Vec<u8>) {
            drop(parse_recon(&bytes));
            drop(parse_want(&bytes));
        }
    }
}

//! Golden bytes: what is promised to peers of every version of this protocol.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use proptest::prelude::*;
use raccordo_transport::wire::data::{DataDecoder, DataEncoder};
use raccordo_transport::wire::frame::{DATA_FRAME_BYTES_MAX, Frame, FrameBuffer};
use raccordo_transport::wire::{AckedLog, Hello, LogReference, Message, Told};
use raccordo_transport::{
    Cursor, EntryFault, EntryHeader, EntryKind, HEADER_BYTES, LocalHello, LogId, NodeKey,
    SignedEntry, Standing, Versions, body_hash, sign, verify,
};

use crate::support::{Author, body};

fn check(bytes: &[u8], expected: &Expect) {
    let mut text = String::new();
    for line in bytes.chunks(32) {
        for byte in line {
            write!(text, "{byte:02x}").unwrap();
        }
        text.push('\n');
    }
    expected.assert_eq(&text);
}

fn only_frame(bytes: &[u8]) -> Frame {
    let mut buffer = FrameBuffer::new(DATA_FRAME_BYTES_MAX);
    buffer.push(bytes);
    let frame = buffer.next_frame().unwrap().unwrap();
    assert_eq!(buffer.next_frame(), Ok(None));
    frame
}

fn survives(message: &Message) -> Vec<u8> {
    let bytes = message.encode();
    let frame = only_frame(&bytes);
    assert_eq!(
        Message::parse(frame.kind, &frame.body).unwrap().as_ref(),
        Some(message)
    );
    bytes
}

fn cursor(byte: u8, seq: u64) -> Cursor {
    Cursor {
        log: LogId::new([byte; 8], 0),
        seq,
        hash: [byte ^ 0xff; 32],
    }
}

fn positions() -> Told {
    Told {
        held: vec![cursor(0xb1, 300)],
        heads: vec![cursor(0xa1, 120_000)],
        digest: [0xdd; 32],
    }
}

fn header() -> EntryHeader {
    EntryHeader {
        lane: 1,
        origin: *b"originor",
        incarnation: *b"incarnat",
        seq: 0x0102_0304_0506_0708,
        prev: [0xaa; 32],
        group_first: 0x1112_1314_1516_1718,
        group_count: 0x2122_2324,
        kind: EntryKind::Tombstone,
        document: [0xdc; 16],
        document_kind: 1,
        body_hash: [0xbb; 32],
        policy_epoch: 0x3132_3334,
        hlc: 0x4142_4344_4546_4748,
    }
}

#[test]
fn a_header_has_these_bytes_and_comes_back_from_them() {
    let bytes = header().to_bytes();
    check(
        &bytes,
        &expect![[r"
        01016f726967696e6f72696e6361726e61740102030405060708aaaaaaaaaaaa
        aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa111213141516
        17182122232402dcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdc01bbbbbbbbbbbbbbbb
        bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb3132333441424344
        45464748
    "]],
    );
    assert_eq!(EntryHeader::from_bytes(&bytes), Some(header()));
    let mut newer = bytes;
    newer[0] = 2;
    assert_eq!(EntryHeader::from_bytes(&newer), None);
}

#[test]
fn a_signature_and_an_entry_hash_have_these_bytes() {
    let key = NodeKey::from_seed([7; 32]);
    let signed = sign(header(), &key);
    check(
        &[signed.signature.as_slice(), &signed.entry_hash()].concat(),
        &expect![[r"
            83a5500b4e1b724e63ff6503ffa437d6aa3e3a08f103a0949662a5e4c7b6e59a
            4e86d0821301c7659c0d3706b5873d877cdfe5f84215fa09c91dbb7581711605
            2c5027dd53573b1788f3d1955202c9ba1f5d333d2e5e2058ee7cb00c35b99d1c
        "]],
    );
}

#[test]
fn any_changed_byte_of_an_entry_is_refused() {
    let mut author = Author::new(9, 0);
    author.write(body(1, 40));
    let entry = &author.entries[0];
    let id = author.key.public();
    assert!(verify(entry.clone(), &id).is_ok());
    for index in 0..HEADER_BYTES {
        let mut bytes = entry.header.to_bytes();
        bytes[index] ^= 1;
        let Some(header) = EntryHeader::from_bytes(&bytes) else {
            continue;
        };
        let changed = SignedEntry {
            header,
            ..entry.clone()
        };
        assert!(verify(changed, &id).is_err(), "byte {index} of the header");
    }
    for index in 0..64 {
        let mut changed = entry.clone();
        changed.signature[index] ^= 1;
        assert_eq!(
            verify(changed, &id).unwrap_err().fault,
            EntryFault::Signature
        );
    }
    // The first eight bytes of a change are outside its hash: the gate that parses it checks them.
    for index in 8..40 {
        let mut changed = entry.clone();
        changed.body[index] ^= 1;
        assert_eq!(
            verify(changed, &id).unwrap_err().fault,
            EntryFault::BodyHash
        );
    }
    let other = NodeKey::from_seed([8; 32]).public();
    assert_eq!(
        verify(entry.clone(), &other).unwrap_err().fault,
        EntryFault::Origin
    );
}

#[test]
fn a_hello_has_these_bytes_and_at_most_200_of_them() {
    let local = LocalHello {
        lineage: [0x11; 8],
        incarnation: [0x22; 8],
        role: 1,
        clock_ms: 1_760_000_000_000,
        policy_epoch: 7,
    };
    let hello = Hello::of(Versions::CURRENT, &local, Standing::Approved, positions());
    let bytes = survives(&Message::Hello(Box::new(hello)));
    assert!(bytes.len() <= 200, "{} bytes", bytes.len());
    check(
        &bytes,
        &expect![[r"
        990101010000000011111111111111112222222222222222010200000199c82c
        c00007dddddddddddddddddddddddddddddddddddddddddddddddddddddddddd
        dddddd01b1b1b1b1b1b1b1b100ac024e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e
        4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e01a1a1a1a1a1a1a1a100c0a9075e5e5e5e
        5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e
    "]],
    );
}

#[test]
fn a_longer_hello_of_a_later_version_is_understood() {
    let local = LocalHello {
        lineage: [0; 8],
        incarnation: [0; 8],
        role: 0,
        clock_ms: 0,
        policy_epoch: 0,
    };
    let hello = Hello::of(Versions::CURRENT, &local, Standing::Pending, positions());
    let message = Message::Hello(Box::new(hello));
    let frame = only_frame(&message.encode());
    let longer = [frame.body.as_ref(), b"more"].concat();
    assert_eq!(Message::parse(frame.kind, &longer), Ok(Some(message)));
}

#[test]
fn the_small_messages_have_these_bytes() {
    let ack = Message::Ack(vec![
        AckedLog {
            log: LogReference::Index(0),
            seq: 120_000,
            hash: [0xee; 32],
        },
        AckedLog {
            log: LogReference::Named(LogId::new([0xa1; 8], 1)),
            seq: 1,
            hash: [0xef; 32],
        },
    ]);
    check(
        &survives(&ack),
        &expect![[r"
        50030201c0a907eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee
        eeeeeeeeeeeeee00a1a1a1a1a1a1a1a10101efefefefefefefefefefefefefef
        efefefefefefefefefefefefefefefefefef
    "]],
    );
    let ping = Message::Ping {
        clock_ms: 1_760_000_000_000,
        heads: vec![cursor(0xa1, 5)],
    };
    check(
        &survives(&ping),
        &expect![[r"
        330400000199c82cc00001a1a1a1a1a1a1a1a100055e5e5e5e5e5e5e5e5e5e5e
        5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e
    "]],
    );
    let standing = Message::Standing {
        standing: Standing::Pending,
        positions: Told::default(),
    };
    check(
        &survives(&standing),
        &expect![[r"
        2302010000000000000000000000000000000000000000000000000000000000
        0000000000
    "]],
    );
    let proof = Message::Proof(Told {
        held: vec![Cursor::start(LogId::new([0xb1; 8], 0))],
        heads: vec![cursor(0xa1, 2)],
        digest: [0xdd; 32],
    });
    check(
        &survives(&proof),
        &expect![[r"
        5605dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd
        dddd01b1b1b1b1b1b1b1b1000001a1a1a1a1a1a1a1a100025e5e5e5e5e5e5e5e
        5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e
    "]],
    );
}

#[test]
fn frames_of_unknown_types_are_skipped_only_with_the_high_bit() {
    assert_eq!(Message::parse(0x85, b"whatever"), Ok(None));
    assert!(Message::parse(0x45, b"whatever").is_err());
}

#[test]
fn a_data_frame_has_these_bytes() {
    let mut author = Author::new(9, 0);
    author.write(b"preamble and a body that is short".to_vec());
    author.write(b"preamble and another".to_vec());
    let (bytes, count) = DataEncoder::default().encode(&author.entries);
    assert_eq!(count, 2);
    check(
        &bytes,
        &expect![[r"
        eb011000fd1724385aa0c75b00021c1c1c1c1c1c1c1c0103022101d0d0d0d0d0
        d0d0d0d0d0d0d0d0d0d0d00199c82cc0010000e6251dd30059154b4569666520
        71c0e8c776917ebd7fc16c44a3dbf612c9cf1ec8ed738369032e97776849f517
        037925ee2fba2dc24e55ab88a7dc64223db6092129808008789d1108750479f3
        9882f51fdf498a5c6377299ba3572f126e223b988492c735dbd80cc0fedbbe16
        55c2a01747d2264ef5c1e9b011de6c1aaec7b4f50b4bc40214707265616d626c
        6520616e64206120626f647920746861742069732073686f7274707265616d62
        6c6520616e6420616e6f74686572
    "]],
    );
}

#[test]
fn a_live_edit_of_164_bytes_costs_at_most_330_with_its_acknowledgement() {
    let mut author = Author::new(9, 0);
    let mut entry = author.next(body(1, 164));
    entry.header.seq = 120_000;
    entry.header.group_first = 120_000;
    author.entries.push(entry);
    // The first frame of a connection names the log; those after it count.
    let mut encoder = DataEncoder::default();
    let mut decoder = DataDecoder::default();
    let mut cost = 0;
    for _ in 0..2 {
        let (bytes, _) = encoder.encode(&author.entries);
        let batch = decoder.decode(&only_frame(&bytes).body).unwrap();
        let ack = Message::Ack(vec![AckedLog {
            log: decoder.reference(batch.log),
            seq: batch.first_seq,
            hash: [0xee; 32],
        }]);
        cost = bytes.len() + ack.encode().len();
    }
    assert!(cost <= 330, "{cost} bytes");
}

#[test]
fn bodies_are_compressed_only_when_that_is_smaller() {
    let mut alike = Author::new(9, 0);
    let mut noise = Author::new(9, 0);
    for number in 0..50 {
        alike.write(b"preamble the same words again and again".to_vec());
        noise.write(body(number, 39));
    }
    let size = |author: &Author| DataEncoder::default().encode(&author.entries).0.len();
    assert!(size(&alike) + 1_800 < size(&noise));
    assert!(size(&noise) < 50 * (39 + 72) + 60);
}

#[test]
fn a_frame_that_would_unfold_to_more_than_allowed_is_refused() {
    let mut author = Author::new(9, 0);
    for _ in 0..5 {
        author.write(vec![0; 256 << 10]);
    }
    // Honest frames carry one such body each.
    let mut encoder = DataEncoder::default();
    assert_eq!(encoder.encode(&author.entries).1, 1);
    // A frame that claims five: log, flags, numbers, then entries that each claim 256 KiB.
    let mut forged = vec![0];
    forged.extend_from_slice(&[9; 9]);
    forged.push(0x03);
    forged.extend_from_slice(&[1; 8]);
    forged.extend_from_slice(&[1, 0, 5]);
    for index in 0..5 {
        forged.push(0x21);
        forged.extend_from_slice(&[0; 17]);
        forged.extend_from_slice(&[0; 8][..if index == 0 { 8 } else { 1 }]);
        forged.extend_from_slice(&[0; 64]);
        forged.extend_from_slice(&[0x80, 0x80, 0x10]);
    }
    let refused = DataDecoder::default().decode(&forged).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the length of all bodies is 1310720, at most 1048576 allowed"
    );
}

prop_compose! {
    fn entries()(
        count in 1_usize..12,
        groups in proptest::collection::vec(1_u32..4, 12),
        documents in proptest::collection::vec(0_u8..3, 12),
        lengths in proptest::collection::vec(8_usize..300, 12),
        clocks in proptest::collection::vec(any::<u64>(), 12),
    ) -> Vec<SignedEntry> {
        let mut author = Author::new(5, 1);
        for index in 0..count {
            let mut entry = author.next(body(index as u64, lengths[index]));
            entry.header.document = [documents[index]; 16];
            entry.header.group_first = entry.header.seq.saturating_sub(u64::from(groups[index]) - 1).max(1);
            entry.header.group_count = groups[index];
            entry.header.hlc = clocks[index];
            entry.header.body_hash = body_hash(EntryKind::Change, &entry.body).unwrap();
            let body = entry.body.clone();
            author.entries.push(sign(entry.header, &author.key).with_body(body));
        }
        author.entries
    }
}

proptest! {
    #[test]
    fn every_run_of_entries_comes_back_with_its_chain(entries in entries()) {
        let (bytes, count) = DataEncoder::default().encode(&entries);
        prop_assert_eq!(count, entries.len());
        let batch = DataDecoder::default().decode(&only_frame(&bytes).body).unwrap();
        let (seen, last) = batch.chain([0; 32]).unwrap();
        prop_assert_eq!(last, entries.last().unwrap().entry_hash());
        let id = NodeKey::from_seed([5; 32]).public();
        for entry in &seen {
            prop_assert!(verify(entry.clone(), &id).is_ok());
        }
        prop_assert_eq!(seen, entries);
    }

    #[test]
    fn no_bytes_make_the_decoders_panic(kind: u8, bytes: Vec<u8>) {
        drop(Message::parse(kind, &bytes));
        drop(DataDecoder::default().decode(&bytes));
    }

    #[test]
    fn a_damaged_data_frame_is_refused_or_fails_verification(entries in entries(), at: prop::sample::Index, flip in 1_u8..) {
        let (bytes, _) = DataEncoder::default().encode(&entries);
        let mut damaged = only_frame(&bytes).body.to_vec();
        let at = at.index(damaged.len());
        damaged[at] ^= flip;
        let id = NodeKey::from_seed([5; 32]).public();
        let accepted = DataDecoder::default()
            .decode(&damaged)
            .ok()
            .and_then(|batch| batch.chain([0; 32]).ok())
            .map(|(seen, _)| seen)
            .filter(|seen| seen.iter().all(|entry| verify(entry.clone(), &id).is_ok()));
        // Only the preambles are outside the hash, and they are the gate's to check.
        if let Some(seen) = accepted {
            for (seen, sent) in seen.iter().zip(&entries) {
                prop_assert_eq!(&seen.header, &sent.header);
                prop_assert_eq!(&seen.body[8..], &sent.body[8..]);
            }
        }
    }
}

//! Golden bytes: what is promised to peers of every version of this protocol.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use proptest::prelude::*;
use raccordo_transport::wire::data::{DataDecoder, DataEncoder};
use raccordo_transport::wire::frame::{DATA_FRAME_BYTES_MAX, Frame, FrameBuffer};
use raccordo_transport::wire::{AckedLog, Hello, LogReference, Message, Ping, Summary, Told};
use raccordo_transport::{
    Cursor, EntryFault, EntryHeader, EntryKind, HEADER_BYTES, LocalHello, LogId, NodeKey,
    SignedEntry, Standing, StopCode, Stopped, Versions, sign, verify,
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
        digest: [0xdd; 32],
        held: vec![cursor(0xb1, 300).into()],
        heads: vec![cursor(0xa1, 120_000).into()],
        relayed_held: Summary::of([cursor(0xc1, 5), cursor(0xc2, 70_000)]),
        relayed_heads: Summary::default(),
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
        changed.body.as_mut().unwrap()[index] ^= 1;
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
fn a_hello_has_these_bytes() {
    let local = LocalHello {
        lineage: [0x11; 8],
        incarnation: [0x22; 8],
        role: 1,
        clock_ms: 1_760_000_000_000,
        policy_epoch: 7,
    };
    let hello = Hello::of(Versions::CURRENT, &local, Standing::Approved, positions());
    let bytes = survives(&Message::Hello(Box::new(hello)));
    check(
        &bytes,
        &expect![[r"
            9b0101010000000011111111111111112222222222222222010200000199c82c
            c00007dddddddddddddddddddddddddddddddddddddddddddddddddddddddddd
            dddddd0100ac024e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e
            4e4e4e4e4e4e4e0100c0a9075e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e
            5e5e5e5e5e5e5e5e5e5e5e5e02cf51c73394b28596e63473dd88e434d600
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
    let ping = Message::Ping(Ping {
        clock_ms: 1_760_000_000_000,
        echo_ms: 1_759_999_990_000,
        since_ms: 9_980,
        heads: vec![cursor(0xa1, 5)],
    });
    check(
        &survives(&ping),
        &expect![[r"
            3d0400000199c82cc00000000199c82c98f0fc4d01a1a1a1a1a1a1a1a100055e
            5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e
        "]],
    );
    let standing = Message::Standing {
        standing: Standing::Pending,
        positions: Told::default(),
    };
    check(
        &survives(&standing),
        &expect![[r"
            2502010000000000000000000000000000000000000000000000000000000000
            00000000000000
        "]],
    );
    let proof = Message::Proof(Told {
        digest: [0xdd; 32],
        held: vec![Cursor::start(LogId::new([0xb1; 8], 0)).into()],
        heads: vec![cursor(0xa1, 2).into()],
        relayed_held: Summary::default(),
        relayed_heads: Summary::of([cursor(0xc1, 5)]),
    });
    check(
        &survives(&proof),
        &expect![[r"
            5805dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd
            dddd0100000100025e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e
            5e5e5e5e5e5e5e5e000100603fe37a1289d08304227039296529
        "]],
    );
}

#[test]
fn a_probe_and_its_answer_have_these_bytes() {
    let probe = Message::Probe(258);
    check(
        &survives(&probe),
        &expect![[r"
        080e0000000000000102
    "]],
    );
    let answer = Message::Answer(258);
    check(
        &survives(&answer),
        &expect![[r"
        080f0000000000000102
    "]],
    );
}

#[test]
fn messages_about_single_logs_have_these_bytes() {
    let cursors = Message::Cursors(vec![cursor(0xc1, 5), cursor(0xc2, 70_000)]);
    check(
        &survives(&cursors),
        &expect![[r"
        570702c1c1c1c1c1c1c1c100053e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e
        3e3e3e3e3e3e3e3e3e3e3e3e3ec2c2c2c2c2c2c2c200f0a2043d3d3d3d3d3d3d
        3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d
    "]],
    );
    let resume = Message::Resume(vec![
        Cursor::start(LogId::new([0xb1; 8], 2)),
        cursor(0xc1, 5),
    ]);
    check(
        &survives(&resume),
        &expect![[r"
        350802b1b1b1b1b1b1b1b10200c1c1c1c1c1c1c1c100053e3e3e3e3e3e3e3e3e
        3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e
    "]],
    );
    let stopped = Message::Stopped(Stopped {
        cursor: cursor(0xc1, 5),
        code: StopCode::Equivocation,
        detail: "però".to_owned(),
    });
    check(
        &survives(&stopped),
        &expect![[r"
        3109c1c1c1c1c1c1c1c100053e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e3e
        3e3e3e3e3e3e3e3e3e3e3e3e0305706572c3b2
    "]],
    );
    let evidence = Message::Evidence(Box::new(sign(header(), &NodeKey::from_seed([7; 32]))));
    check(
        &survives(&evidence),
        &expect![[r"
        c4010a01016f726967696e6f72696e6361726e61740102030405060708aaaaaa
        aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa111213
        14151617182122232402dcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdc01bbbbbbbbbb
        bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb3132333441
        4243444546474883a5500b4e1b724e63ff6503ffa437d6aa3e3a08f103a09496
        62a5e4c7b6e59a4e86d0821301c7659c0d3706b5873d877cdfe5f84215fa09c9
        1dbb7581711605
    "]],
    );
    let withdrawn = Message::Withdrawn(vec![LogId::new([0xc1; 8], 0), LogId::new([0xc2; 8], 2)]);
    check(
        &survives(&withdrawn),
        &expect![[r"
        130b02c1c1c1c1c1c1c1c100c2c2c2c2c2c2c2c202
    "]],
    );
}

#[test]
fn a_stop_of_a_later_version_stops_the_log_all_the_same() {
    let stopped = Message::Stopped(Stopped {
        cursor: cursor(0xc1, 5),
        code: StopCode::Waiting,
        detail: String::new(),
    });
    let frame = only_frame(&stopped.encode());
    let mut body = frame.body.to_vec();
    let code = body.len() - 2;
    body[code] = 99;
    assert!(matches!(
        Message::parse(frame.kind, &body),
        Ok(Some(Message::Stopped(Stopped {
            code: StopCode::Refused,
            ..
        })))
    ));
}

#[test]
fn a_frame_that_jumps_says_what_comes_before_it() {
    let mut author = Author::new(9, 0);
    author.write(b"preamble and a body".to_vec());
    author.write(b"preamble and another".to_vec());
    let (bytes, _) = DataEncoder::default().encode(&author.entries[1..], true);
    check(
        &bytes,
        &expect![[r"
        a5011000fd1724385aa0c75b00061c1c1c1c1c1c1c1cf37358537484743ba0de
        a130336cf93e45d3f07800963b66b93ae9f4b76073b90203012101d0d0d0d0d0
        d0d0d0d0d0d0d0d0d0d0d00199c82cc0020000bd7cd5e11409a62381c60e9086
        dd21252a889150d361a676c486500e5f9bd3e104431d3949e507a8243a260c5b
        0b8092386b4f44cdcd0e24694494639800420514707265616d626c6520616e64
        20616e6f74686572
    "]],
    );
    let batch = DataDecoder::default()
        .decode(&only_frame(&bytes).body)
        .unwrap();
    assert_eq!(batch.jump, Some(author.entries[0].entry_hash()));
    let (seen, _) = batch.chain(author.entries[0].entry_hash()).unwrap();
    assert_eq!(seen, author.entries[1..]);
}

#[test]
fn an_erased_body_leaves_its_hash_and_the_entry_still_verifies() {
    let mut author = Author::new(9, 0);
    author.write(b"preamble and a body".to_vec());
    author.write(b"preamble and another".to_vec());
    let erased = author.entries[0].signed_header().without_body();
    author.entries[0] = erased;
    let (bytes, _) = DataEncoder::default().encode(&author.entries, false);
    check(
        &bytes,
        &expect![[r"
        e9011000fd1724385aa0c75b00021c1c1c1c1c1c1c1c0103026101d0d0d0d0d0
        d0d0d0d0d0d0d0d0d0d0d00199c82cc0010000ee0b387fb1147676561d14e4d2
        cb3e50db49962e5758aed704785d83d130a5d1d92d81867d3fd7dcf84d262c51
        a40464c3ac444e9a3211bccc402e11ac357b04da02987991b66280beac963120
        0d893041e4a18fd4810525c02b661ef6bd082d29808008bd7cd5e11409a62381
        c60e9086dd21252a889150d361a676c486500e5f9bd3e104431d3949e507a824
        3a260c5b0b8092386b4f44cdcd0e24694494639800420514707265616d626c65
        20616e6420616e6f74686572
    "]],
    );
    let batch = DataDecoder::default()
        .decode(&only_frame(&bytes).body)
        .unwrap();
    let (seen, _) = batch.chain([0; 32]).unwrap();
    assert_eq!(seen, author.entries);
    let id = author.key.public();
    assert!(seen.into_iter().all(|entry| verify(entry, &id).is_ok()));
}

#[test]
fn only_a_change_may_come_without_its_body() {
    let key = NodeKey::from_seed([7; 32]);
    for kind in [EntryKind::Tombstone, EntryKind::Roster, EntryKind::Policy] {
        let header = EntryHeader {
            origin: key.public().origin(),
            kind,
            ..header()
        };
        let entry = sign(header, &key).without_body();
        let (bytes, _) = DataEncoder::default().encode(std::slice::from_ref(&entry), false);
        assert!(
            DataDecoder::default()
                .decode(&only_frame(&bytes).body)
                .is_err()
        );
        let refused = verify(entry, &key.public()).unwrap_err();
        assert_eq!(refused.fault, EntryFault::BodyLength);
    }
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
    let (bytes, count) = DataEncoder::default().encode(&author.entries, false);
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
        let (bytes, _) = encoder.encode(&author.entries, false);
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
    let size = |author: &Author| {
        DataEncoder::default()
            .encode(&author.entries, false)
            .0
            .len()
    };
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
    assert_eq!(encoder.encode(&author.entries, false).1, 1);
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
        withheld in proptest::collection::vec(any::<bool>(), 12),
    ) -> Vec<SignedEntry> {
        let mut author = Author::new(5, 1);
        for index in 0..count {
            let mut entry = author.next(body(index as u64, lengths[index]));
            entry.header.document = [documents[index]; 16];
            entry.header.group_first = entry.header.seq.saturating_sub(u64::from(groups[index]) - 1).max(1);
            entry.header.group_count = groups[index];
            entry.header.hlc = clocks[index];
            let signed = sign(entry.header.clone(), &author.key);
            author.entries.push(if withheld[index] {
                signed.without_body()
            } else {
                signed.with_body(entry.bytes().to_vec())
            });
        }
        author.entries
    }
}

proptest! {
    #[test]
    fn every_run_of_entries_comes_back_with_its_chain(entries in entries()) {
        let (bytes, count) = DataEncoder::default().encode(&entries, false);
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
        let (bytes, _) = DataEncoder::default().encode(&entries, false);
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
                prop_assert_eq!(seen.body.is_some(), sent.body.is_some());
                prop_assert_eq!(seen.bytes().get(8..), sent.bytes().get(8..));
            }
        }
    }
}

//! Parcels from outside: their bytes, their way through frames, and what comes instead of them.

use std::fmt::Write as _;

use expect_test::expect;
use proptest::prelude::*;
use raccordo_transport::wire::frame::{DATA_FRAME_BYTES_MAX, FrameBuffer, put_varint};
use raccordo_transport::wire::kind;
use raccordo_transport::wire::parcel::{
    BACKFILL_BYTES_MAX, DocumentParcel, PARCEL_BYTES_MAX, PARCEL_SAVE_BYTES_MAX, ParcelDecoder,
    ParcelEncoder, Unsendable,
};
use raccordo_transport::{EntryHeader, EntryKind, SignedHeader};

const DOCUMENT: [u8; 16] = [0xdc; 16];

fn header(origin: u8, seq: u64) -> SignedHeader {
    SignedHeader {
        header: EntryHeader {
            lane: 0,
            origin: [origin; 8],
            incarnation: [0x1c; 8],
            seq,
            prev: [0xaa; 32],
            group_first: seq,
            group_count: 1,
            kind: EntryKind::Change,
            document: DOCUMENT,
            document_kind: 1,
            body_hash: [0xbb; 32],
            policy_epoch: 3,
            hlc: 0x4142 + seq,
        },
        signature: [0x51; 64],
    }
}

/// Two neighbours of one group, a third further on, and one of another origin.
fn parcel() -> DocumentParcel {
    let mut first = header(1, 300);
    first.header.group_count = 2;
    let mut second = header(1, 301);
    second.header.group_first = 300;
    second.header.group_count = 2;
    second.header.prev = first.entry_hash();
    let third = header(1, 700);
    let other = header(2, 5);
    DocumentParcel {
        document: DOCUMENT,
        headers: vec![first, second, third, other],
        save: b"a save of some bytes".to_vec(),
    }
}

fn frames(parcels: &[DocumentParcel]) -> Vec<Vec<u8>> {
    let mut encoder = ParcelEncoder::default();
    let mut frames = Vec::new();
    for parcel in parcels {
        frames.extend(encoder.push(parcel).unwrap());
    }
    frames.push(encoder.finish());
    frames
}

fn unpacked(frames: &[Vec<u8>]) -> Vec<DocumentParcel> {
    let mut decoder = ParcelDecoder::default();
    let mut parcels = Vec::new();
    for (place, bytes) in frames.iter().enumerate() {
        let mut buffer = FrameBuffer::new(DATA_FRAME_BYTES_MAX);
        buffer.push(bytes);
        let frame = buffer.next_frame().unwrap().unwrap();
        assert_eq!(frame.kind, kind::BACKFILL);
        let unpacked = decoder.decode(&frame.body).unwrap();
        assert_eq!(unpacked.last, place + 1 == frames.len());
        parcels.extend(unpacked.parcels);
    }
    parcels
}

fn body(bytes: &[u8]) -> Vec<u8> {
    let mut buffer = FrameBuffer::new(DATA_FRAME_BYTES_MAX);
    buffer.push(bytes);
    buffer.next_frame().unwrap().unwrap().body.to_vec()
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_be_bytes()[0]
        })
        .collect()
}

fn taken<'a, const N: usize>(rest: &mut &'a [u8]) -> &'a [u8; N] {
    let (head, tail) = rest.split_first_chunk().unwrap();
    *rest = tail;
    head
}

#[test]
fn a_parcel_has_the_bytes_that_were_promised() {
    // Nothing in it compresses, so the frame shows the parcel's bytes and not zstd's.
    let noise = noise(32 + 3 * 128 + 32);
    let mut rest = noise.as_slice();
    let document = *taken(&mut rest);
    let (origin, incarnation) = (*taken(&mut rest), *taken(&mut rest));
    let mut headers = parcel().headers;
    headers.truncate(3);
    for signed in &mut headers {
        signed.header.document = document;
        signed.header.origin = origin;
        signed.header.incarnation = incarnation;
        signed.header.prev = *taken(&mut rest);
        signed.header.body_hash = *taken(&mut rest);
        signed.signature = *taken(&mut rest);
    }
    headers[1].header.prev = headers[0].entry_hash();
    let save = rest.to_vec();
    let parcel = DocumentParcel {
        document,
        headers,
        save,
    };
    let frames = frames(std::slice::from_ref(&parcel));
    let [frame] = frames.as_slice() else {
        panic!("one frame was due");
    };
    let mut text = String::new();
    for line in frame.chunks(32) {
        for byte in line {
            write!(text, "{byte:02x}").unwrap();
        }
        text.push('\n');
    }
    expect![[r"
        ba031102b703dc647b302c979ad9dd8f082e550eb9c5010135a3fc9254bc0f80
        000e0ddc6d365b6ccc0301ac02000206dc89029fb0c7357a8e59bf2d5732170c
        bc6fe763e3574ef32eb846894abfed3c5b9045d87154b3996557f5a8504d4816
        cb212807bef82a4f6bb0f0b47f9abff83be1977878f6ab10a7427c93171d9c93
        40fc2bb248aabc0121ba470f1d3d9c68a1953fb8687f36748399c864809908f3
        ea53d68d00f4a4587c98b90421ad6972f84b4151010002e4597d1d1ea0491c16
        67109688e4c001e50f11ad696cb3889ff634b8dd24e2c26bf72821f4181c1b86
        60b9389e6fb29f910117e9aec0138e807c28d46b76be9de8492f1c7c41f48212
        2cbe2dc0a91b55917e0060e8b5fb9a22f4df7f3ec5b8be218f03009e0679a04f
        bb411340b696cf05e3468e0c14a7347fd7e75572fc13415f6d7088bc81ad27a7
        6183325f1eda93b309be7ff5f41b7ded6bc1b41e0c9b2bbef2aa396c4bdc76b5
        beb1bd72d69b1f80c891d2851a6b868efeac85d472bc66d98f1acea48f313e6d
        d0b60deee2c81c5102e6f65946c6f43fff9401e6eba29f93cf80c1f4fb4f68bf
        6f89f9d4659ae420422d7887ab973db57c1b5e8dd018e9de8f4989cd79
    "]]
    .assert_eq(&text);
    assert_eq!(unpacked(&frames), [parcel]);
}

#[test]
fn an_answer_without_parcels_is_one_frame_of_one_byte() {
    let frames = frames(&[]);
    assert_eq!(frames, [[1, kind::BACKFILL, 2]]);
    assert_eq!(unpacked(&frames), []);
}

#[test]
fn headers_come_back_by_log_and_number_whatever_their_order_was() {
    let mut shuffled = parcel();
    shuffled.headers.reverse();
    assert_eq!(unpacked(&frames(&[shuffled])), [parcel()]);
}

#[test]
fn small_parcels_share_a_frame_and_a_large_one_goes_on_in_the_next() {
    let small = parcel();
    let large = DocumentParcel {
        save: noise(3 * BACKFILL_BYTES_MAX + 17),
        ..parcel()
    };
    let parcels = [small.clone(), small.clone(), large, small];
    let frames = frames(&parcels);
    assert_eq!(frames.len(), 4);
    assert!(
        frames
            .iter()
            .all(|frame| frame.len() <= BACKFILL_BYTES_MAX + 8)
    );
    assert_eq!(unpacked(&frames), parcels);
}

#[test]
fn a_save_of_the_largest_size_passes_and_one_byte_more_does_not() {
    let mut largest = DocumentParcel {
        save: vec![7; PARCEL_SAVE_BYTES_MAX],
        ..parcel()
    };
    assert_eq!(
        unpacked(&frames(std::slice::from_ref(&largest))),
        [largest.clone()]
    );
    largest.save.push(7);
    let refused = ParcelEncoder::default().push(&largest);
    assert_eq!(
        refused,
        Err(Unsendable::Save {
            bytes: PARCEL_SAVE_BYTES_MAX + 1
        })
    );
}

#[test]
fn a_header_of_another_document_or_there_twice_is_not_sent() {
    let mut foreign = parcel();
    foreign.headers[2].header.document = [1; 16];
    let refused = ParcelEncoder::default().push(&foreign);
    assert_eq!(refused, Err(Unsendable::Foreign { seq: 700 }));
    let mut twice = parcel();
    twice.headers.push(header(2, 5));
    let refused = ParcelEncoder::default().push(&twice);
    assert_eq!(refused, Err(Unsendable::Foreign { seq: 5 }));
}

#[test]
fn a_frame_that_unfolds_to_more_than_it_may_is_refused() {
    let packed = zstd::bulk::compress(&vec![0; BACKFILL_BYTES_MAX + 1], 3).unwrap();
    for announced in [1, BACKFILL_BYTES_MAX, BACKFILL_BYTES_MAX + 1] {
        let mut body = vec![1];
        put_varint(&mut body, u64::try_from(announced).unwrap());
        body.extend_from_slice(&packed);
        assert!(ParcelDecoder::default().decode(&body).is_err());
    }
}

#[test]
fn a_parcel_that_announces_more_than_it_may_is_refused_before_its_bytes_come() {
    let mut body = vec![0];
    put_varint(&mut body, u64::try_from(PARCEL_BYTES_MAX + 1).unwrap());
    assert!(ParcelDecoder::default().decode(&body).is_err());
}

#[test]
fn an_answer_that_ends_inside_a_parcel_or_brings_nothing_is_refused() {
    let whole = body(&frames(&[parcel()])[0]);
    let mut decoder = ParcelDecoder::default();
    assert!(decoder.decode(&[2, 200]).is_err(), "half a parcel");
    assert!(ParcelDecoder::default().decode(&[0]).is_err(), "no bytes");
    assert!(ParcelDecoder::default().decode(&[4]).is_err(), "flags");
    assert!(ParcelDecoder::default().decode(&whole).is_ok());
}

fn headers() -> impl Strategy<Value = Vec<SignedHeader>> {
    let one = (
        (0_u8..3, 0_u8..3, 0_u8..2, 1_u64..400),
        (any::<u64>(), any::<u32>(), 1_u8..5),
        (
            any::<[u8; 32]>(),
            any::<[u8; 32]>(),
            any::<u32>(),
            any::<u64>(),
        ),
        (any::<bool>(), any::<bool>()),
    );
    prop::collection::vec(one, 0..60).prop_map(|all| {
        let mut headers: Vec<SignedHeader> = all
            .into_iter()
            .map(|(place, group, rest, (alone, _))| {
                let mut signed = header(place.0, place.3);
                let header = &mut signed.header;
                header.lane = place.1;
                header.incarnation = [place.2; 8];
                if !alone {
                    header.group_first = group.0;
                    header.group_count = group.1;
                }
                header.kind = EntryKind::from_code(group.2).unwrap();
                header.prev = rest.0;
                header.body_hash = rest.1;
                header.policy_epoch = rest.2;
                header.hlc = rest.3;
                signed
            })
            .collect();
        let place = |signed: &SignedHeader| {
            let header = &signed.header;
            (header.origin, header.lane, header.incarnation, header.seq)
        };
        headers.sort_by_key(place);
        headers.dedup_by_key(|signed| place(signed));
        // Neighbours follow each other now and then.
        for next in 1..headers.len() {
            let hash = headers[next - 1].entry_hash();
            if hash[0] & 1 == 0 {
                headers[next].header.prev = hash;
            }
        }
        headers
    })
}

proptest! {
    #[test]
    fn parcels_survive(
        all in prop::collection::vec((headers(), prop::collection::vec(any::<u8>(), 0..300)), 0..8),
    ) {
        let parcels: Vec<DocumentParcel> = all
            .into_iter()
            .map(|(headers, save)| DocumentParcel { document: DOCUMENT, headers, save })
            .collect();
        prop_assert_eq!(unpacked(&frames(&parcels)), parcels);
    }

    #[test]
    fn altered_frames_never_make_the_decoder_panic(
        headers in headers(),
        place: prop::sample::Index,
        byte: u8,
        cut in any::<bool>(),
        raw in any::<bool>(),
    ) {
        let parcel = DocumentParcel { document: DOCUMENT, headers, save: noise(500) };
        let mut encoder = ParcelEncoder::default();
        encoder.push(&parcel).unwrap();
        let mut bytes = body(&encoder.finish());
        if raw && bytes[0] & 1 == 1 {
            let mut reader = raccordo_transport::wire::frame::Reader::new(&bytes[1..]);
            let length = usize::try_from(reader.varint("x").unwrap()).unwrap();
            let mut unfolded = vec![bytes[0] & !1];
            unfolded.extend(zstd::bulk::decompress(reader.rest(), length).unwrap());
            bytes = unfolded;
        }
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if cut {
            bytes.truncate(place);
        }
        let mut decoder = ParcelDecoder::default();
        if let Ok(unpacked) = decoder.decode(&bytes) {
            prop_assert!(unpacked.parcels.len() <= 1);
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes: Vec<u8>, flags in 0_u8..4) {
        let mut decoder = ParcelDecoder::default();
        drop(decoder.decode(&bytes));
        drop(ParcelDecoder::default().decode(&[&[flags][..], &bytes].concat()));
    }
}

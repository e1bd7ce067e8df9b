//! Frames and their fields by chance: well-formed, with numbers at which things break.
//!
//! Few values are drawn from, so that what one field names, another often holds.

use std::sync::OnceLock;

use raccordo_crdt_model::Document;
use raccordo_tests::chance::Chance;
use raccordo_transport::reconcile::{Answer, Message as Recon};
use raccordo_transport::wire::parcel::DocumentParcel;
use raccordo_transport::wire::{AckedLog, Hello, LaneEnd, LogReference, Message, Ping, Summary};
use raccordo_transport::wire::{SEEN_ITEMS_MAX, Told, repair::Word};
use raccordo_transport::{
    Cursor, EntryHeader, EntryKind, LocalHello, LogId, NodeKey, Seen, SignedEntry, SignedHeader,
    Standing, StopCode, Stopped, Versions, body_hash, sign,
};

use crate::mutate::number;
use crate::world::World;

/// The keys of this node, its peer, and a third member.
pub(crate) fn keys() -> &'static [NodeKey; 3] {
    static KEYS: OnceLock<[NodeKey; 3]> = OnceLock::new();
    KEYS.get_or_init(|| [1, 2, 3].map(|byte| NodeKey::from_seed([byte; 32])))
}

/// Bytes of which some are alike.
pub(crate) fn bytes<const N: usize>(chance: &mut Chance) -> [u8; N] {
    if chance.percent(10) {
        return [(); N].map(|()| chance.number().to_le_bytes()[0]);
    }
    [chance.number().to_le_bytes()[0] & 3; N]
}

/// A position in a log, near the beginning or at an edge.
pub(crate) fn place(chance: &mut Chance) -> u64 {
    if chance.percent(85) {
        chance.between(0, 6)
    } else {
        number(chance, 3)
    }
}

/// A log of one of the three, or of nobody.
pub(crate) fn log(chance: &mut Chance) -> LogId {
    let origin = match chance.index(8) {
        0 => bytes(chance),
        other => keys()[other % 3].public().origin(),
    };
    let lane = chance.between(0, 3).to_le_bytes()[0];
    LogId::new(origin, lane)
}

/// A cursor; at 0 without a hash.
pub(crate) fn cursor(chance: &mut Chance) -> Cursor {
    let seq = place(chance);
    let hash = if seq == 0 { [0; 32] } else { bytes(chance) };
    let log = log(chance);
    Cursor { log, seq, hash }
}

/// Many, few or no items.
pub(crate) fn some<T>(
    chance: &mut Chance,
    most: usize,
    mut one: impl FnMut(&mut Chance) -> T,
) -> Vec<T> {
    let count = match chance.index(12) {
        0 => chance.index(most + 2),
        _ => chance.index(5),
    };
    (0..count).map(|_| one(chance)).collect()
}

/// Positions as a peer is told them.
pub(crate) fn told(chance: &mut Chance) -> Told {
    let summary = |chance: &mut Chance| {
        let count = chance.index(3);
        let hash = if count == 0 { [0; 16] } else { bytes(chance) };
        Summary { count, hash }
    };
    Told {
        digest: bytes(chance),
        held: some(chance, 64, |chance| LaneEnd::from(cursor(chance))),
        heads: some(chance, 64, |chance| LaneEnd::from(cursor(chance))),
        relayed_held: summary(chance),
        relayed_heads: summary(chance),
    }
}

/// How a node regards another.
pub(crate) fn standing(chance: &mut Chance) -> Standing {
    let rare = chance.between(0, 4).to_le_bytes()[0];
    match chance.index(4) {
        0 => Standing::from_code(rare).unwrap_or(Standing::Approved),
        _ => Standing::Approved,
    }
}

/// A greeting.
pub(crate) fn hello(chance: &mut Chance) -> Hello {
    let local = LocalHello {
        lineage: bytes(chance),
        incarnation: bytes(chance),
        role: chance.between(0, 2).to_le_bytes()[0],
        clock_ms: number(chance, 1_772_000_000_000),
        policy_epoch: u32::try_from(place(chance)).unwrap_or(u32::MAX),
    };
    let mut versions = Versions::CURRENT;
    if chance.percent(10) {
        [versions.major, versions.minor_min, versions.minor_max] = bytes(chance);
    }
    let standing = standing(chance);
    let positions = if chance.percent(80) {
        told(chance)
    } else {
        Told::default()
    };
    let mut hello = Hello::of(versions, &local, standing, positions);
    if chance.percent(10) {
        hello.required = number(chance, 0);
        hello.remote.features = number(chance, 0);
    }
    hello
}

/// A message of the control stream, but no greeting.
pub(crate) fn message(chance: &mut Chance) -> Message {
    match chance.index(13) {
        11 => {
            let mut seen = some(chance, SEEN_ITEMS_MAX, |chance| Seen {
                document: bytes(chance),
                seq: place(chance),
                at_ms: number(chance, 1_772_000_000_000),
            });
            seen.sort_by_key(|seen| seen.document);
            seen.dedup_by_key(|seen| seen.document);
            Message::Seen(seen)
        }
        12 => Message::SeenKept(chance.index(70)),
        0 => Message::Standing {
            standing: standing(chance),
            positions: told(chance),
        },
        1 => Message::Ack(some(chance, 1_024, |chance| AckedLog {
            log: if chance.percent(50) {
                LogReference::Index(chance.index(4))
            } else {
                LogReference::Named(log(chance))
            },
            seq: place(chance),
            hash: bytes(chance),
        })),
        2 => Message::Ping(Ping {
            clock_ms: number(chance, 1_772_000_000_000),
            echo_ms: number(chance, 1_772_000_000_000),
            since_ms: place(chance),
            heads: some(chance, 1_024, cursor),
        }),
        3 => Message::Proof(told(chance)),
        4 => Message::Cursors(some(chance, 1_024, cursor)),
        5 => Message::Resume(some(chance, 1_024, cursor)),
        6 => {
            let code = StopCode::from_code(chance.between(1, 4).to_le_bytes()[0]);
            Message::Stopped(Stopped {
                cursor: cursor(chance),
                code: code.unwrap_or(StopCode::Refused),
                detail: "è".repeat(chance.index(120)),
            })
        }
        7 => Message::Evidence(Box::new(signed(chance))),
        8 => Message::Withdrawn(some(chance, 1_024, log)),
        9 => Message::Probe(number(chance, 7)),
        _ => Message::Answer(number(chance, 7)),
    }
}

/// A header with few things wrong.
pub(crate) fn header(chance: &mut Chance) -> EntryHeader {
    let log = log(chance);
    let seq = place(chance).max(1);
    let kind = EntryKind::from_code(chance.between(1, 4).to_le_bytes()[0]);
    let group = chance.percent(20);
    EntryHeader {
        lane: log.lane,
        origin: log.origin,
        incarnation: bytes(chance),
        seq,
        prev: bytes(chance),
        group_first: if group { place(chance) } else { seq },
        group_count: if group { 2 } else { 1 },
        kind: kind.unwrap_or(EntryKind::Change),
        document: bytes(chance),
        document_kind: chance.between(0, 3).to_le_bytes()[0],
        body_hash: bytes(chance),
        policy_epoch: u32::try_from(place(chance)).unwrap_or(u32::MAX),
        hlc: number(chance, 1_772_000_000_000 << 16),
    }
}

/// A header signed by whom it names, if it names one of the three.
pub(crate) fn signed(chance: &mut Chance) -> SignedHeader {
    let header = header(chance);
    let author = |key: &&NodeKey| key.public().origin() == header.origin;
    sign(
        header.clone(),
        keys().iter().find(author).unwrap_or(&keys()[2]),
    )
}

/// Consecutive entries of one log, each with a body of its kind's hash, sound or nearly.
pub(crate) fn entries(chance: &mut Chance, most: usize) -> Vec<SignedEntry> {
    let mut first = header(chance);
    let author = keys()
        .iter()
        .find(|key| key.public().origin() == first.origin);
    let author = author.unwrap_or(&keys()[2]);
    if chance.percent(60) {
        (first.seq, first.prev) = (1, [0; 32]);
    }
    let mut entries: Vec<SignedEntry> = Vec::new();
    for index in 0..=chance.index(most) {
        let mut header = header(chance);
        header.lane = first.lane;
        header.origin = first.origin;
        header.incarnation = first.incarnation;
        header.policy_epoch = first.policy_epoch;
        header.seq = first.seq.saturating_add(index as u64);
        header.prev = entries.last().map_or(first.prev, SignedEntry::entry_hash);
        if chance.percent(80) {
            (header.group_first, header.group_count) = (header.seq, 1);
        }
        let long = chance.percent(3);
        let length = if long { 70_000 } else { 8 + chance.index(60) };
        let body = vec![chance.number().to_le_bytes()[0]; length];
        if chance.percent(97) {
            header.body_hash = body_hash(header.kind, &body).unwrap_or_default();
        }
        let withheld = header.kind == EntryKind::Change && chance.percent(10);
        let signed = sign(header, author);
        entries.push(if withheld {
            signed.without_body()
        } else {
            signed.with_body(body)
        });
    }
    entries
}

/// A word of a reconciliation.
pub(crate) fn word(chance: &mut Chance) -> Word {
    match chance.index(12) {
        0 => Word::Declined,
        1 => Word::Asked,
        2 | 3 => Word::Say(Recon::Begin(bytes(chance))),
        _ => Word::Say(Recon::Answers(some(chance, 40, answer))),
    }
}

/// An answer of a reconciliation.
pub(crate) fn answer(chance: &mut Chance) -> Answer {
    let mut ids = some(chance, 32, |chance| u128::from_be_bytes(bytes(chance)));
    ids.sort_unstable();
    ids.dedup();
    match chance.index(5) {
        0 => Answer::Same(place(chance).max(1)),
        1 | 2 => {
            ids.retain(|id| *id != 0);
            ids.truncate(15);
            if ids.is_empty() {
                ids.push(1 << 64);
            }
            Answer::Split {
                first: bytes(chance),
                rest: ids.into_iter().map(|id| (id, bytes(chance))).collect(),
            }
        }
        3 => {
            ids.truncate(32);
            Answer::List(ids.into_iter().map(|id| (id, bytes(chance))).collect())
        }
        _ => {
            let absent = ids.split_off(ids.len() / 2);
            Answer::Differing {
                here: ids,
                absent,
                more: chance.percent(20),
            }
        }
    }
}

/// A document whole, with headers that stand in order.
pub(crate) fn parcel(chance: &mut Chance) -> DocumentParcel {
    static SAVES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let saves = SAVES.get_or_init(|| {
        let states = World::told()
            .stories
            .into_iter()
            .flat_map(|story| story.states);
        states.map(|state: Document| state.to_save()).collect()
    });
    let document = bytes(chance);
    let mut headers = some(chance, 40, signed);
    let kind = headers
        .first()
        .map_or(0, |signed| signed.header.document_kind);
    for signed in &mut headers {
        signed.header.document = document;
        signed.header.document_kind = kind;
    }
    headers.sort_by_key(in_order);
    headers.dedup_by_key(|signed| in_order(signed));
    DocumentParcel {
        document,
        headers,
        save: chance.pick(saves).clone(),
    }
}

fn in_order(signed: &SignedHeader) -> ([u8; 8], u8, [u8; 8], u64) {
    let header = &signed.header;
    (header.origin, header.lane, header.incarnation, header.seq)
}

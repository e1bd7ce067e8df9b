//! Two repairs joined by a wire without delay; hosts that keep documents in a map.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::*;
use crate::host::HostFailed;
use crate::reconcile::Reconciler;
use crate::session::Report;
use crate::wire::frame::{DATA_FRAME_BYTES_MAX, FrameBuffer};
use crate::wire::kind;
use crate::wire::parcel::{DocumentParcel, pack};
use crate::wire::repair::{Word, encode_recon, encode_want};

const INTERVAL_MS: u64 = 300_000;

type Documents = BTreeMap<[u8; 16], Vec<u8>>;

/// One end: its documents, its repair, and what came out of it.
struct End {
    documents: Documents,
    repair: Repair,
    reports: Vec<Report>,
    items_read: usize,
    parcels_read: Vec<usize>,
    /// The host does not give its items.
    secretive: bool,
    /// Documents that it does not give whole.
    withheld: Vec<[u8; 16]>,
}

struct Pair {
    ends: [End; 2],
    now_ms: u64,
    wire: VecDeque<(usize, u8, Bytes)>,
    /// Frames that do not arrive, by type.
    lost: Option<u8>,
}

fn document(number: u32) -> [u8; 16] {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_be_bytes());
    id
}

fn documents(count: u32) -> Documents {
    (0..count)
        .map(|number| (document(number), format!("document {number}").into_bytes()))
        .collect()
}

impl End {
    fn new(documents: Documents, dialled: bool) -> Self {
        Self {
            documents,
            repair: Repair::new(0, dialled, INTERVAL_MS),
            reports: Vec::new(),
            items_read: 0,
            parcels_read: Vec::new(),
            secretive: false,
            withheld: Vec::new(),
        }
    }

    fn items(&mut self) -> Result<Box<Reconciler>, HostFailed> {
        self.items_read += 1;
        if self.secretive {
            return Err(HostFailed::new("not now"));
        }
        let items = self.documents.iter().map(|(id, save)| {
            let mut hash = [0; 32];
            for (place, byte) in save.iter().enumerate() {
                hash[place % 32] ^= byte.rotate_left(u32::try_from(place / 32 % 8).unwrap());
            }
            (*id, hash)
        });
        Ok(Box::new(Reconciler::new(items.collect(), [9; 32])))
    }

    fn parcels(&mut self, ids: &[[u8; 16]], last: bool) -> Vec<Bytes> {
        self.parcels_read.push(ids.len());
        let parcels: Vec<DocumentParcel> = ids
            .iter()
            .filter(|id| !self.withheld.contains(id))
            .filter_map(|id| {
                Some(DocumentParcel {
                    document: *id,
                    headers: Vec::new(),
                    save: self.documents.get(id)?.clone(),
                })
            })
            .collect();
        let packed = pack(&parcels, last);
        assert_eq!(packed.unsendable, []);
        packed.frames.into_iter().map(Bytes::from).collect()
    }

    fn reconciled(&self) -> Vec<usize> {
        self.reports
            .iter()
            .filter_map(|report| match report {
                Report::Reconciled { differing, .. } => Some(*differing),
                _ => None,
            })
            .collect()
    }

    fn repaired(&self) -> Vec<usize> {
        self.reports
            .iter()
            .filter_map(|report| match report {
                Report::Repaired { documents } => Some(*documents),
                _ => None,
            })
            .collect()
    }
}

impl Pair {
    fn new(dialler: Documents, acceptor: Documents) -> Self {
        Self {
            ends: [End::new(dialler, true), End::new(acceptor, false)],
            now_ms: 1_000,
            wire: VecDeque::new(),
            lost: None,
        }
    }

    fn act(
        &mut self,
        side: usize,
        act: impl FnOnce(&mut Repair, u64, &mut Vec<Output>) -> Result<(), CloseReason>,
    ) -> Result<(), CloseReason> {
        let now_ms = self.now_ms;
        let mut outputs = Vec::new();
        act(&mut self.ends[side].repair, now_ms, &mut outputs)?;
        self.ends[side].repair.advance(now_ms, true, &mut outputs)?;
        for output in outputs {
            self.perform(side, output)?;
        }
        Ok(())
    }

    fn perform(&mut self, side: usize, output: Output) -> Result<(), CloseReason> {
        match output {
            Output::SendControl(bytes) | Output::SendBackfill(bytes) => {
                let mut buffer = FrameBuffer::new(DATA_FRAME_BYTES_MAX);
                buffer.push(&bytes);
                let frame = buffer.next_frame().unwrap().unwrap();
                if self.lost != Some(frame.kind) {
                    self.wire.push_back((1 - side, frame.kind, frame.body));
                }
                if frame.kind == kind::BACKFILL {
                    self.act(side, |repair, _, out| {
                        repair.worked(1_000, RepairInput::Written, out)
                    })?;
                }
            }
            Output::ReadItems => {
                let items = self.ends[side].items();
                self.act(side, |repair, now_ms, out| {
                    repair.worked(now_ms, RepairInput::Items(items), out)
                })?;
            }
            Output::ReadParcels { ids, last } => {
                let frames = self.ends[side].parcels(&ids, last);
                self.act(side, |repair, _, out| {
                    repair.worked(1_000, RepairInput::Parcels(Ok(frames)), out)
                })?;
            }
            Output::Install(parcels) => {
                for parcel in parcels {
                    let mine = self.ends[side].documents.entry(parcel.document);
                    let mine = mine.or_default();
                    if parcel.save > *mine {
                        *mine = parcel.save;
                    }
                }
                self.act(side, |repair, now_ms, out| {
                    repair.worked(now_ms, RepairInput::Installed(Ok(())), out)
                })?;
            }
            Output::Report(report) => self.ends[side].reports.push(report),
            other => panic!("a repair never says {other:?}"),
        }
        Ok(())
    }

    /// Gives a frame to `side` as if the peer had sent it.
    fn give(&mut self, side: usize, kind: u8, body: Bytes) -> Result<(), CloseReason> {
        let frame = Frame { kind, body };
        self.act(side, |repair, now_ms, out| match frame.kind {
            kind::RECON | kind::WANT => repair.control(now_ms, &frame, out),
            _ => repair.backfill(now_ms, &frame, out),
        })
    }

    fn settle(&mut self) {
        while let Some((side, kind, body)) = self.wire.pop_front() {
            self.give(side, kind, body).unwrap();
        }
    }

    fn compared(&mut self, equal: bool) {
        for side in 0..2 {
            self.act(side, |repair, now_ms, _| {
                repair.compared(now_ms, equal);
                Ok(())
            })
            .unwrap();
        }
        self.settle();
    }

    fn wait(&mut self, duration_ms: u64) -> Result<(), CloseReason> {
        let end_ms = self.now_ms + duration_ms;
        loop {
            let wakes = |end: &End| end.repair.wake_ms(self.now_ms);
            let wake = self.ends.iter().filter_map(wakes).min();
            self.now_ms = wake.unwrap_or(end_ms).min(end_ms);
            for side in 0..2 {
                self.act(side, |_, _, _| Ok(()))?;
            }
            self.settle();
            if self.now_ms >= end_ms {
                return Ok(());
            }
        }
    }
}

fn frame_body(bytes: &[u8]) -> Bytes {
    let mut buffer = FrameBuffer::new(DATA_FRAME_BYTES_MAX);
    buffer.push(bytes);
    buffer.next_frame().unwrap().unwrap().body
}

#[test]
fn what_differs_is_found_and_comes_from_the_side_that_has_it() {
    let all = documents(2_000);
    let (mut one, mut other) = (all.clone(), all);
    one.remove(&document(7));
    other.remove(&document(8));
    other.insert(document(9), b"a later version".to_vec());
    one.insert(document(9), b"an earlier version".to_vec());
    let mut pair = Pair::new(one, other);
    pair.compared(false);
    assert_eq!(pair.ends[0].documents, pair.ends[1].documents);
    assert_eq!(pair.ends[0].documents.len(), 2_000);
    for end in &pair.ends {
        assert_eq!(end.reconciled(), [3]);
        assert_eq!(end.repaired(), [2]);
        assert_eq!(end.items_read, 1);
    }
}

#[test]
fn a_side_without_documents_gets_all_of_them_a_few_reads_at_a_time() {
    let mut pair = Pair::new(Documents::new(), documents(1_500));
    pair.compared(false);
    assert_eq!(pair.ends[0].documents, pair.ends[1].documents);
    assert_eq!(pair.ends[0].repaired(), [1_500]);
    assert_eq!(pair.ends[1].repaired(), [0_usize; 0]);
    let reads = &pair.ends[1].parcels_read;
    assert_eq!(reads.iter().sum::<usize>(), 1_500);
    assert_eq!(reads[..3], [16, 64, 176], "{reads:?}");
}

#[test]
fn large_documents_are_read_few_at_a_time() {
    let mut large = Documents::new();
    let mut state = 1_u32;
    for number in 0..40 {
        let save = (0..200_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            })
            .collect();
        large.insert(document(number), save);
    }
    let mut pair = Pair::new(Documents::new(), large);
    pair.compared(false);
    assert_eq!(pair.ends[0].documents, pair.ends[1].documents);
    let reads = &pair.ends[1].parcels_read;
    assert!(reads[1..].iter().all(|read| *read <= 5), "{reads:?}");
}

#[test]
fn the_proof_comes_round_every_interval_and_costs_two_short_frames() {
    let mut pair = Pair::new(documents(100), documents(100));
    pair.wait(INTERVAL_MS * 3 + 5_000).unwrap();
    for end in &pair.ends {
        assert_eq!(end.reconciled(), [0, 0, 0]);
        assert!(end.reports.iter().all(|report| matches!(
            report,
            Report::Reconciled {
                items: 100,
                messages: 2,
                bytes: 26,
                ..
            }
        )));
    }
}

#[test]
fn either_side_can_ask_for_the_proof() {
    for side in 0..2 {
        let mut pair = Pair::new(documents(100), documents(100));
        pair.act(side, |repair, now_ms, out| {
            repair.worked(now_ms, RepairInput::Verify, out)
        })
        .unwrap();
        pair.settle();
        pair.wait(0).unwrap();
        assert_eq!(pair.ends[side].reconciled(), [0], "{side}");
    }
}

#[test]
fn a_difference_that_stays_is_looked_for_less_and_less_often() {
    let mut pair = Pair::new(documents(10), documents(11));
    pair.ends[1].withheld = vec![document(10)];
    for _ in 0..60 {
        pair.compared(false);
        pair.wait(10_000).unwrap();
    }
    let runs = pair.ends[0].items_read;
    assert!((8..=14).contains(&runs), "{runs} runs in ten minutes");
}

#[test]
fn a_host_that_cannot_give_its_items_declines_and_is_asked_again_later() {
    for side in 0..2 {
        let mut pair = Pair::new(documents(10), documents(11));
        pair.ends[side].secretive = true;
        pair.compared(false);
        assert_eq!(pair.ends[side].items_read, 1);
        pair.ends[side].secretive = false;
        pair.wait(INTERVAL_MS + 1_000).unwrap();
        assert_eq!(pair.ends[0].documents.len(), 11, "{side}");
    }
}

#[test]
fn a_run_whose_answer_is_lost_is_given_up_and_begun_anew() {
    let mut pair = Pair::new(documents(10), documents(11));
    pair.lost = Some(kind::RECON);
    pair.compared(false);
    assert_eq!(pair.ends[0].reconciled(), [0_usize; 0]);
    pair.lost = None;
    pair.wait(REPAIR_STEP_MAX_MS + 10_000).unwrap();
    assert_eq!(pair.ends[0].documents.len(), 11);
    assert_eq!(pair.ends[0].reconciled()[..1], [1]);
}

#[test]
fn what_came_is_proven_by_another_run() {
    for side in 0..2 {
        let mut pair = Pair::new(documents(10), documents(10));
        pair.ends[side].documents.remove(&document(4));
        pair.compared(false);
        pair.wait(10_000).unwrap();
        for end in &pair.ends {
            assert_eq!(end.reconciled(), [1, 0], "{side}");
        }
    }
}

#[test]
fn documents_that_do_not_come_end_the_link_unless_entries_overtake_them() {
    let mut pair = Pair::new(documents(10), documents(11));
    pair.lost = Some(kind::BACKFILL);
    pair.compared(false);
    for _ in 0..10 {
        pair.wait(REPAIR_STEP_MAX_MS / 2).unwrap();
        pair.act(0, |repair, now_ms, _| {
            repair.overtaken(now_ms);
            Ok(())
        })
        .unwrap();
    }
    let ended = pair.wait(REPAIR_STEP_MAX_MS + 1);
    assert!(matches!(ended, Err(CloseReason::Protocol { .. })));
}

#[test]
fn damaged_documents_are_asked_for_and_again_only_after_a_while() {
    let mut pair = Pair::new(documents(10), documents(10));
    let (here, nowhere) = (document(3), [0xee; 16]);
    pair.ends[0].documents.remove(&here);
    let wanted = |pair: &mut Pair, ids: &[[u8; 16]]| {
        pair.act(0, |repair, _, _| {
            repair.wanted(ids);
            Ok(())
        })
        .unwrap();
        pair.settle();
    };
    wanted(&mut pair, &[here, nowhere]);
    assert_eq!(pair.ends[0].documents.len(), 10);
    assert_eq!(pair.ends[0].repaired(), [1]);
    wanted(&mut pair, &[nowhere]);
    wanted(&mut pair, &[nowhere]);
    assert_eq!(pair.ends[1].parcels_read, [2]);
    pair.wait(61_000).unwrap();
    assert_eq!(pair.ends[1].parcels_read, [2, 1]);
    wanted(&mut pair, &[]);
    pair.wait(61_000).unwrap();
    assert_eq!(pair.ends[1].parcels_read, [2, 1]);
}

#[test]
fn what_was_not_asked_for_breaks_the_protocol() {
    let parcel = |number| DocumentParcel {
        document: document(number),
        ..DocumentParcel::default()
    };
    let frame = |number| frame_body(&pack(&[parcel(number)], true).frames[0]);
    let broken = |result| matches!(result, Err(CloseReason::Protocol { .. }));
    let mut pair = Pair::new(documents(10), documents(10));
    assert!(broken(pair.give(0, kind::BACKFILL, frame(1))), "unasked");
    let mut pair = Pair::new(documents(10), documents(10));
    pair.lost = Some(kind::WANT);
    pair.act(0, |repair, _, _| {
        repair.wanted(&[document(1)]);
        Ok(())
    })
    .unwrap();
    assert!(broken(pair.give(0, kind::BACKFILL, frame(2))), "another");
    let begin = Word::Say(crate::reconcile::Message::Begin([0; 16]));
    let begin = frame_body(&encode_recon(1, &begin));
    let mut pair = Pair::new(documents(10), documents(10));
    assert!(broken(pair.give(0, kind::RECON, begin.clone())), "acceptor");
    let mut pair = Pair::new(documents(10), documents(10));
    pair.give(1, kind::RECON, begin.clone()).unwrap();
    assert!(broken(pair.give(1, kind::RECON, begin)), "twice");
    for word in [Word::Asked, Word::Declined] {
        let body = frame_body(&encode_recon(0, &word));
        let mut pair = Pair::new(documents(10), documents(10));
        assert!(broken(pair.give(1, kind::RECON, body)), "{word:?}");
    }
}

#[test]
fn a_second_want_before_the_first_is_answered_breaks_the_protocol() {
    let mut serving = Serving::default();
    let mut out = Vec::new();
    serving.asked(vec![document(1)], &mut out).unwrap();
    assert!(serving.asked(vec![document(2)], &mut out).is_err());
    assert_eq!(encode_want(&[document(1)])[1], kind::WANT);
}

#[test]
fn an_acceptor_looks_at_its_items_at_most_once_a_second() {
    let mut pair = Pair::new(documents(10), documents(10));
    for run in 1..=20 {
        let begin = Word::Say(crate::reconcile::Message::Begin([0; 16]));
        let body = frame_body(&encode_recon(run, &begin));
        pair.give(1, kind::RECON, body).unwrap();
        pair.now_ms += 100;
    }
    assert_eq!(pair.ends[1].items_read, 2);
}

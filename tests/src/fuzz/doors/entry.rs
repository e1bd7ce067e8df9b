//! Signed entries of a member that signs whatever it likes, up to the engine and into its store.
//!
//! The first byte of an input chooses the stage of the station. Then come entries: a byte of what is
//! made true of each, its header's 132 bytes, its signature, the length of its body, the body.

use raccordo_node::engine::simulated::SimulatedNode;
use raccordo_tests::chance::Chance;
use raccordo_transport::wire::data::{DataDecoder, DataEncoder};
use raccordo_transport::wire::frame::{DATA_FRAME_BYTES_MAX, FrameBuffer};
use raccordo_transport::{
    EntryHeader, EntryKind, HEADER_BYTES, LinkEvent, PeerId, SignedEntry, VerifiedEntry, body_hash,
    sign, verify,
};

use crate::mutate::{mutated, number, scramble};
use crate::station::{Stage, Station, drive, start};
use crate::target::{Answer, Target};

/// The body's hash is the header's.
const HASHED: u8 = 1;
/// It comes after the entry before it, or after the log's end.
const CHAINED: u8 = 2;
/// It is signed by the district.
const SIGNED: u8 = 4;
/// It comes without its body.
const WITHHELD: u8 = 8;
/// Its header comes as evidence of a contradiction.
const EVIDENCE: u8 = 16;

/// The door of entries.
pub(crate) struct Entries {
    station: Station,
    donors: Vec<Vec<u8>>,
}

impl Entries {
    pub(crate) fn new() -> Self {
        let station = Station::told();
        let changes = station
            .entries
            .iter()
            .filter(|entry| entry.header.kind == EntryKind::Change);
        let donors = changes.map(|entry| entry.bytes().to_vec()).collect();
        Self { station, donors }
    }

    /// Entries that follow the stage, as the district made them.
    fn next(&self, stage: usize, lane: u8) -> Vec<SignedEntry> {
        let mut next = self.station.entries.clone();
        next.retain(|entry| {
            let end = self.station.stages[stage].end(entry.header.log()).seq;
            entry.header.lane == lane && entry.header.seq > end
        });
        next
    }
}

impl Target for Entries {
    fn name(&self) -> &'static str {
        "entry"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let mut seeds = Vec::new();
        for stage in 0..self.station.stages.len() {
            for lane in 0..3 {
                let next = self.next(stage, lane);
                for count in 1..=next.len() {
                    let entries = next[..count].iter().map(|entry| {
                        let withheld = if entry.body.is_some() { 0 } else { WITHHELD };
                        (withheld, entry.clone())
                    });
                    seeds.push(written(stage, entries));
                }
            }
        }
        seeds
    }

    fn input(&self, chance: &mut Chance) -> Vec<u8> {
        let stage = chance.index(self.station.stages.len());
        let lane = chance.between(0, 2).to_le_bytes()[0];
        let mut next = self.next(stage, lane);
        if next.is_empty() || chance.percent(15) {
            // What another would sign, or what was said before.
            let all = [&self.station.above, &self.station.entries];
            let from = *chance.pick(&all);
            let at = chance.index(from.len());
            next = from[at..].iter().take(3).cloned().collect();
        }
        let keep = 1 + chance.index(next.len().min(6));
        next.truncate(keep);
        let bent = chance.index(next.len());
        let mut entries = Vec::new();
        for (place, mut entry) in next.into_iter().enumerate() {
            let mut made_true = CHAINED | SIGNED;
            made_true |= if entry.body.is_some() {
                HASHED
            } else {
                WITHHELD
            };
            if place == bent {
                for _ in 0..=chance.index(2) {
                    self.bend(chance, &mut entry);
                }
                match chance.index(20) {
                    0 => made_true &= !HASHED,
                    1 => made_true &= !CHAINED,
                    2 => made_true &= !SIGNED,
                    3 => made_true |= WITHHELD,
                    4 => made_true |= EVIDENCE,
                    _ => {}
                }
            }
            entries.push((made_true, entry));
        }
        let mut input = written(stage, entries);
        if chance.percent(4) {
            scramble(chance, &mut input);
        }
        input
    }

    fn feed(&self, input: &[u8]) -> Answer<'_> {
        let Some((stage, rest)) = input.split_first() else {
            return Answer::Refused("too short to choose a stage".to_owned());
        };
        let stage = &self.station.stages[usize::from(*stage) % self.station.stages.len()];
        let Some(read) = self.read(rest) else {
            return Answer::Refused("no header of this version".to_owned());
        };
        let machine = stage.machine.copy();
        let mut node = start(&machine);
        let (district, host) = (self.station.district.public(), node.host());
        let mut admitted = Vec::new();
        for (made_true, entry) in self.made_true(stage, read) {
            if made_true & EVIDENCE != 0 {
                let signed = Box::new(entry.signed_header());
                host.event(&district, LinkEvent::Evidence { signed });
                node.pump();
                continue;
            }
            match verified(&entry, host.author_key(&entry.header.origin)) {
                Ok(entry) => admitted.push(entry),
                Err(why) => return Answer::Refused(why),
            }
        }
        let logs: Vec<_> = admitted.iter().map(|entry| entry.header.log()).collect();
        for run in admitted.chunk_by(|one, other| one.header.log() == other.header.log()) {
            if let Err(failed) = drive(&mut node, host.deliver(district, run.to_vec())) {
                return Answer::Refused(failed.to_string());
            }
        }
        node.pump();
        let stopped = node.stopped().into_values().next();
        let moved = logs
            .iter()
            .any(|log| node.end(*log).seq > stage.end(*log).seq);
        match stopped {
            Some(why) if !moved => match holds(&node) {
                Ok(()) => Answer::Refused(format!("the log stopped: {why:?}")),
                Err(what) => Answer::is_in(move || Err(what)),
            },
            None if !moved => Answer::Refused("nothing came of it, or it waits".to_owned()),
            _ => Answer::is_in(move || {
                holds(&node)?;
                let again = start(&machine);
                let facts = |node: &SimulatedNode| {
                    let documents = node.documents().map_err(|failed| failed.to_string())?;
                    Ok::<_, String>((documents, node.members(), node.territories(), node.erased()))
                };
                if facts(&again)? != facts(&node)? {
                    return Err("after a restart it is another".to_owned());
                }
                Ok(())
            }),
        }
    }
}

/// An entry out of a data stream, proven.
fn verified(entry: &SignedEntry, author: Option<PeerId>) -> Result<VerifiedEntry, String> {
    let carried = carried(entry)?;
    let author = author.ok_or("nobody known signs that log")?;
    verify(carried, &author).map_err(|bad| bad.fault.to_string())
}

impl Entries {
    /// The entries, each linked to the one before and signed where that is made true.
    fn made_true(&self, stage: &Stage, read: Vec<(u8, SignedEntry)>) -> Vec<(u8, SignedEntry)> {
        let mut entries: Vec<(u8, SignedEntry)> = Vec::new();
        for (made_true, mut entry) in read {
            let log = entry.header.log();
            if made_true & CHAINED != 0 {
                let last = entries.last().map(|(_, last)| last);
                let last = last.filter(|last| last.header.log() == log);
                let end = stage.end(log);
                let (seq, prev) = last.map_or((end.seq, end.hash), |last| {
                    (last.header.seq, last.entry_hash())
                });
                entry.header.seq = seq.saturating_add(1);
                entry.header.prev = prev;
                if entry.header.group_count == 1 {
                    entry.header.group_first = entry.header.seq;
                }
            }
            if made_true & SIGNED != 0 {
                entry.signature = sign(entry.header.clone(), &self.station.district).signature;
            }
            entries.push((made_true, entry));
        }
        entries
    }

    fn bend(&self, chance: &mut Chance, entry: &mut SignedEntry) {
        if entry.body.is_some() && chance.percent(45) {
            let body = entry.bytes().to_vec();
            let mut body = match entry.header.kind {
                EntryKind::Change => mutated(chance, &body, &self.donors),
                _ => body,
            };
            if entry.header.kind != EntryKind::Change || chance.percent(3) {
                scramble(chance, &mut body);
            }
            entry.body = Some(body);
            return;
        }
        let other = chance.pick(&self.station.entries).clone();
        let header = &mut entry.header;
        match chance.index(14) {
            0 => header.lane = chance.between(0, 4).to_le_bytes()[0],
            1 => header.seq = number(chance, header.seq),
            2 => header.group_first = number(chance, header.group_first),
            3 | 4 => {
                let count = number(chance, u64::from(header.group_count));
                header.group_count = u32::try_from(count).unwrap_or(u32::MAX);
            }
            5 => {
                let kind = EntryKind::from_code(chance.between(1, 4).to_le_bytes()[0]);
                header.kind = kind.unwrap_or(EntryKind::Change);
            }
            6 => header.document = other.header.document,
            7 => header.document = crate::wire::bytes(chance),
            8 => header.document_kind = chance.between(0, 4).to_le_bytes()[0],
            9 => header.policy_epoch = u32::try_from(number(chance, 3)).unwrap_or(u32::MAX),
            10 => header.hlc = number(chance, header.hlc),
            11 => header.incarnation = crate::wire::bytes(chance),
            12 => entry.body = other.body,
            _ => {
                header.kind = other.header.kind;
                header.document = other.header.document;
                header.document_kind = other.header.document_kind;
                entry.body = other.body;
            }
        }
    }

    fn read(&self, mut rest: &[u8]) -> Option<Vec<(u8, SignedEntry)>> {
        let mut entries = Vec::new();
        while let Some((made_true, after)) = rest.split_first() {
            let (header, after) = after.split_first_chunk::<HEADER_BYTES>()?;
            let (signature, after) = after.split_first_chunk::<64>()?;
            let (length, after) = after.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            let (body, after) = after.split_at_checked(length)?;
            let mut header = EntryHeader::from_bytes(header)?;
            if made_true & SIGNED != 0 {
                header.origin = self.station.district.public().origin();
            }
            if made_true & HASHED != 0 {
                header.body_hash = body_hash(header.kind, body)?;
            }
            let withheld = made_true & WITHHELD != 0;
            entries.push((
                *made_true,
                SignedEntry {
                    header,
                    signature: *signature,
                    body: (!withheld).then(|| body.to_vec()),
                },
            ));
            rest = after;
        }
        Some(entries)
    }
}

fn written(stage: usize, entries: impl IntoIterator<Item = (u8, SignedEntry)>) -> Vec<u8> {
    let mut bytes = vec![stage.to_le_bytes()[0]];
    for (made_true, entry) in entries {
        bytes.push(made_true);
        bytes.extend(entry.header.to_bytes());
        bytes.extend(entry.signature);
        let length = u32::try_from(entry.bytes().len()).unwrap_or(u32::MAX);
        bytes.extend(length.to_be_bytes());
        bytes.extend(entry.bytes());
    }
    bytes
}

/// An entry as it comes out of a data stream.
fn carried(entry: &SignedEntry) -> Result<SignedEntry, String> {
    let run = std::slice::from_ref(entry);
    let (bytes, _) = DataEncoder::default().encode(run, true);
    let mut buffer = FrameBuffer::new(DATA_FRAME_BYTES_MAX);
    buffer.push(&bytes);
    let frame = buffer.next_frame().map_err(|bad| bad.to_string())?;
    let frame = frame.ok_or("its frame is cut short")?;
    let batch = DataDecoder::default().decode(&frame.body);
    let batch = batch.map_err(|bad| bad.to_string())?;
    let prev = batch.jump.unwrap_or_default();
    let (entries, _) = batch.chain(prev).map_err(|bad| bad.fault.to_string())?;
    entries.into_iter().next().ok_or("no entry came".to_owned())
}

/// What must hold of a node whatever it was sent.
pub(crate) fn holds(node: &SimulatedNode) -> Result<(), String> {
    if let Some(problem) = node.store_problem() {
        return Err(format!("the store has stopped: {problem}"));
    }
    let stored = node.stored_territories();
    if stored.map_err(|failed| failed.to_string())? != node.territories() {
        return Err("what is counted in memory is not what is stored".to_owned());
    }
    let documents = node.documents().map_err(|failed| failed.to_string())?;
    for id in documents.keys() {
        let shown = raccordo_crdt_model::Kind::all()
            .into_iter()
            .filter(|kind| node.record(*kind, *id).is_ok())
            .count();
        if shown != 1 && !node.erased().contains(id) {
            return Err(format!("a stored document shows as {shown} records"));
        }
    }
    Ok(())
}

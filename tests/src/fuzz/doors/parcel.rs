//! Documents that a peer hands over whole: through the backfill stream into the engine.
//!
//! The first byte of an input chooses the stage of the station, the rest are the stream's bytes.

use std::collections::BTreeMap;

use raccordo_crdt_model::DocumentId;
use raccordo_node::engine::simulated::{DocumentFacts, SimulatedNode};
use raccordo_tests::chance::Chance;
use raccordo_transport::wire::frame::{DATA_FRAME_BYTES_MAX, FrameBuffer};
use raccordo_transport::wire::kind;
use raccordo_transport::wire::parcel::{ParcelDecoder, pack};
use raccordo_transport::{DocumentParcel, SignedHeader, sign};

use super::entry::holds;
use crate::mutate::{mutated, number, scramble};
use crate::station::{Station, drive, start};
use crate::target::{Answer, Target};

/// The door of parcels.
pub(crate) struct Parcels {
    station: Station,
    saves: Vec<Vec<u8>>,
}

impl Parcels {
    pub(crate) fn new() -> Self {
        let station = Station::told();
        let saves = station.parcels.iter().map(|parcel| parcel.save.clone());
        Self {
            saves: saves.collect(),
            station,
        }
    }

    fn bend(&self, chance: &mut Chance, parcel: &mut DocumentParcel) {
        let headers = &mut parcel.headers;
        let at = chance.index(headers.len().max(1));
        match chance.index(6) {
            0 | 1 => parcel.save = mutated(chance, &parcel.save, &self.saves),
            2 => parcel.save = chance.pick(&self.saves).clone(),
            3 if at < headers.len() => drop(headers.remove(at)),
            4 => {
                let other = chance.pick(&self.station.parcels).clone();
                let document = parcel.document;
                let foreign = other.headers.into_iter().map(|mut signed| {
                    signed.header.document = document;
                    signed
                });
                headers.extend(foreign);
                headers.sort_by_key(|signed| (signed.header.lane, signed.header.seq));
                headers.dedup_by_key(|signed| (signed.header.lane, signed.header.seq));
            }
            _ => {
                if let Some(signed) = headers.get_mut(at) {
                    self.bend_header(chance, signed);
                }
            }
        }
    }

    fn bend_header(&self, chance: &mut Chance, signed: &mut SignedHeader) {
        let header = &mut signed.header;
        match chance.index(6) {
            0 => header.seq = number(chance, header.seq).max(1),
            1 => header.body_hash = crate::wire::bytes(chance),
            2 => header.incarnation = crate::wire::bytes(chance),
            3 => header.hlc = number(chance, header.hlc),
            4 => header.group_first = number(chance, header.group_first),
            _ => header.prev = crate::wire::bytes(chance),
        }
        if chance.percent(70) {
            *signed = sign(signed.header.clone(), &self.station.district);
        }
    }
}

impl Target for Parcels {
    fn name(&self) -> &'static str {
        "parcel"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let mut seeds = Vec::new();
        for stage in 0..self.station.stages.len() {
            for parcel in &self.station.parcels {
                seeds.push(written(stage, std::slice::from_ref(parcel)));
            }
            seeds.push(written(stage, &self.station.parcels));
        }
        seeds
    }

    fn input(&self, chance: &mut Chance) -> Vec<u8> {
        let stage = chance.index(self.station.stages.len());
        let mut parcels = vec![chance.pick(&self.station.parcels).clone()];
        if chance.percent(20) {
            parcels.push(chance.pick(&self.station.parcels).clone());
        }
        for _ in 0..=chance.index(2) {
            let at = chance.index(parcels.len());
            self.bend(chance, &mut parcels[at]);
        }
        let mut input = written(stage, &parcels);
        if chance.percent(15) {
            let mut rest = input.split_off(1);
            scramble(chance, &mut rest);
            input.extend(rest);
        }
        input
    }

    fn feed(&self, input: &[u8]) -> Answer<'_> {
        let Some((stage, bytes)) = input.split_first() else {
            return Answer::Refused("too short to choose a stage".to_owned());
        };
        let stage = &self.station.stages[usize::from(*stage) % self.station.stages.len()];
        let parcels = match unpacked(bytes) {
            Ok(parcels) if parcels.is_empty() => {
                return Answer::Refused("no document came".to_owned());
            }
            Ok(parcels) => parcels,
            Err(why) => return Answer::Refused(why),
        };
        let machine = stage.machine.copy();
        let mut node = start(&machine);
        let before = facts(&node);
        let commits = node.published();
        let host = node.host();
        let installed = drive(
            &mut node,
            host.install(self.station.district.public(), parcels),
        );
        if let Err(failed) = installed {
            return Answer::is_in(move || Err(format!("the node says that it failed: {failed}")));
        }
        node.pump();
        let taken = node.published() != commits;
        if !taken {
            return Answer::Refused("not what was signed".to_owned());
        }
        Answer::is_in(move || {
            if facts(&node)? != before? {
                return Err("a document given back is not the one that was lost".to_owned());
            }
            holds(&node)?;
            if facts(&start(&machine))? != facts(&node)? {
                return Err("after a restart it is another".to_owned());
            }
            Ok(())
        })
    }
}

type Facts = BTreeMap<DocumentId, DocumentFacts>;

fn facts(node: &SimulatedNode) -> Result<Facts, String> {
    let mut facts = node.documents().map_err(|failed| failed.to_string())?;
    for facts in facts.values_mut() {
        facts.changes.sort_unstable();
    }
    Ok(facts)
}

fn written(stage: usize, parcels: &[DocumentParcel]) -> Vec<u8> {
    let mut bytes = vec![stage.to_le_bytes()[0]];
    bytes.extend(pack(parcels, true).frames.concat());
    bytes
}

fn unpacked(bytes: &[u8]) -> Result<Vec<DocumentParcel>, String> {
    let mut buffer = FrameBuffer::new(DATA_FRAME_BYTES_MAX);
    buffer.push(bytes);
    let mut decoder = ParcelDecoder::default();
    let mut parcels = Vec::new();
    while let Some(frame) = buffer.next_frame().map_err(|bad| bad.to_string())? {
        if frame.kind != kind::BACKFILL {
            return Err("a frame that does not belong on a backfill stream".to_owned());
        }
        let unpacked = decoder.decode(&frame.body).map_err(|bad| bad.to_string())?;
        parcels.extend(unpacked.parcels);
    }
    Ok(parcels)
}

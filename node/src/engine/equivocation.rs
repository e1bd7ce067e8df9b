//! Two signed entries with one number: the proof is kept, and their author's logs stop here.
//!
//! The entry that was here first stays; nothing more of that origin is admitted until an
//! administrator revokes it. What a log's own author says of its own log is no such proof: a node
//! that lost its newest entries is rolled back (`recovery`), not false.

use raccordo_crdt_model::UnixMillis;
use raccordo_transport::{LogId, PeerId, SignedHeader, StopCode, verify_header};

use crate::store::Table;

use super::commit;
use super::core::{Core, ReadFailed};
use super::draft::Draft;
use super::entry_run::entry_key;
use super::fields::{BadRow, FieldReader, FieldWriter};
use super::inbox::Inbox;
use super::quarantine::{self, LogStop, signed_bytes, signed_of};
use super::stored::Reading;
use super::view::EquivocationView;

const VERSION: u8 = 1;

/// A peer's word about one entry, its signature not yet verified.
#[derive(Debug, Clone)]
pub(crate) struct Evidence {
    pub(crate) peer: PeerId,
    pub(crate) signed: Box<SignedHeader>,
}

/// Two signed headers of one author with one number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Proof {
    /// Who sent the second.
    peer: PeerId,
    at_ms: i64,
    held: SignedHeader,
    other: SignedHeader,
}

/// Looks at evidence; if it proves an equivocation, keeps the proof and stops the origin's logs.
pub(crate) fn judge(core: &Core, inbox: &Inbox, evidence: &Evidence) {
    match contradiction(core, evidence) {
        Ok(None) => {}
        Ok(Some(proof)) => keep(core, inbox, &proof),
        Err(failed) => {
            tracing::error!(error = %commit::chain(&failed), "evidence could not be looked at");
        }
    }
}

/// Every proof kept here, by log.
pub(crate) fn all(core: &Core) -> Result<Vec<EquivocationView>, ReadFailed> {
    let stored = core
        .store
        .scan(Table::Equivocations, &[], None, usize::MAX)?;
    let ledger = core.ledger();
    let mut views = Vec::with_capacity(stored.len());
    for (_, row) in stored {
        let proof = Proof::decode(&row)?;
        let header = &proof.held.header;
        let author = ledger.roster.of_origin(header.origin);
        views.push(EquivocationView {
            log: header.log().to_string(),
            seq: header.seq,
            author: author.map(|member| member.key.to_string()),
            territory: author.map(|member| member.territory.clone()),
            peer: proof.peer.to_string(),
            at: UnixMillis(proof.at_ms),
            held: proof.held,
            other: proof.other,
        });
    }
    Ok(views)
}

/// The proof, if the evidence is well signed and not what is held under its number.
fn contradiction(core: &Core, evidence: &Evidence) -> Result<Option<Proof>, ReadFailed> {
    let signed = &evidence.signed;
    let header = &signed.header;
    if header.origin == core.id.origin() || header.origin == evidence.peer.origin() {
        return Ok(None);
    }
    let ledger = core.ledger();
    let Some(author) = ledger.roster.of_origin(header.origin) else {
        return Ok(None);
    };
    let key = entry_key(header.log(), header.seq);
    let Some(stored) = Reading::new(core).entry(header.log(), header.seq)? else {
        return Ok(None);
    };
    let held = stored.signed;
    if held.header == *header || !verify_header(signed, &author.key) {
        return Ok(None);
    }
    if core.store.get(Table::Equivocations, &key)?.is_some() {
        return Ok(None);
    }
    Ok(Some(Proof {
        peer: evidence.peer,
        at_ms: core.clock.unix_millis(),
        held,
        other: SignedHeader::clone(signed),
    }))
}

fn keep(core: &Core, inbox: &Inbox, proof: &Proof) {
    let header = &proof.held.header;
    let (origin, seq) = (header.origin, header.seq);
    tracing::error!(log = %header.log(), seq, "its author signed two entries with this number: its logs stop here");
    let mut draft = Draft::new(core);
    draft.batch.put(
        Table::Equivocations,
        entry_key(header.log(), seq),
        proof.encode(),
    );
    let detail = format!("its author signed two different entries with the number {seq}");
    quarantine::stop(
        &mut draft,
        header.log(),
        LogStop {
            seq,
            code: StopCode::Equivocation,
            detail,
        },
    );
    draft.audit(
        "peer",
        "equivocation",
        &header.log().to_string(),
        &seq.to_string(),
    );
    let logs: Vec<LogId> = draft.ledger.logs.keys().copied().collect();
    if commit::commit(draft).is_err() {
        tracing::warn!("the proof was not kept: peers bring it again");
        return;
    }
    for log in logs.into_iter().filter(|log| log.origin == origin) {
        inbox.drop_log(log, core.ledger().end(log).seq);
    }
}

impl Proof {
    fn encode(&self) -> Vec<u8> {
        let mut out = FieldWriter::new(VERSION);
        out.fixed(self.peer.as_bytes()).i64(self.at_ms);
        out.fixed(&signed_bytes(&self.held))
            .fixed(&signed_bytes(&self.other))
            .finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, BadRow> {
        let mut row = FieldReader::open("equivocation", VERSION, bytes)?;
        let bad = BadRow {
            row: "equivocation",
            at: 0,
        };
        Ok(Self {
            peer: PeerId::from_bytes(row.array()?),
            at_ms: row.i64()?,
            held: signed_of(&row.array()?).ok_or(bad.clone())?,
            other: signed_of(&row.array()?).ok_or(bad)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raccordo_transport::{EntryHeader, EntryKind, NodeKey, sign};

    #[test]
    fn a_proof_comes_back_as_it_was_kept() {
        let signed = |hlc| {
            let header = EntryHeader {
                lane: 0,
                origin: [1; 8],
                incarnation: [2; 8],
                seq: 3,
                prev: [0; 32],
                group_first: 3,
                group_count: 1,
                kind: EntryKind::Change,
                document: [4; 16],
                document_kind: 1,
                body_hash: [5; 32],
                policy_epoch: 0,
                hlc,
            };
            sign(header, &NodeKey::from_seed([9; 32]))
        };
        let proof = Proof {
            peer: PeerId::from_bytes([6; 32]),
            at_ms: 7,
            held: signed(1),
            other: signed(2),
        };
        assert_eq!(Proof::decode(&proof.encode()), Ok(proof));
    }
}

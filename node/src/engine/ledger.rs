//! The resident state that every commit moves: ends of the logs, counts, roster, totals.
//!
//! About a kilobyte a territory, whatever the number of documents. A commit works on a copy
//! and publishes it only when the store has it; readers see the last published one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use raccordo_crdt_model::{Digest, DocumentId};
use raccordo_transport::{Cursor, LogId, PeerId};

use super::fields::{BadRow, FieldReader, FieldWriter};
use super::peers::InvitationRow;
use super::quarantine::LogStop;
use super::receipts::Mark;
use super::recovery::Recovery;
use super::roster::Roster;
use super::rows::Counts;
use super::scope::Narrowed;
use super::token_handing::Handed;
use super::token_key::KeyId;
use super::token_renewal::Pass;
use super::transfer::Handing;

const VERSION: u8 = 1;

/// Where a log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LogEnd {
    pub(crate) seq: u64,
    pub(crate) hash: [u8; 32],
}

/// The resident state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    pub(crate) logs: BTreeMap<LogId, LogEnd>,
    pub(crate) counts: BTreeMap<String, Counts>,
    /// Content digest of the documents that each node created in each lane: what links compare.
    pub(crate) homes: BTreeMap<LogId, Digest>,
    pub(crate) roster: Arc<Roster>,
    /// Where logs of revoked authors end for everybody, if this node holds more of them.
    pub(crate) cut: BTreeMap<LogId, LogEnd>,
    /// What the administrator left of peers' scopes.
    pub(crate) narrowed: Arc<BTreeMap<PeerId, Narrowed>>,
    pub(crate) invitations: Arc<BTreeMap<PeerId, InvitationRow>>,
    /// Logs of which nothing more is taken here, and why.
    pub(crate) stopped: BTreeMap<LogId, LogStop>,
    /// Documents that were erased, for good.
    pub(crate) erased: Arc<BTreeSet<DocumentId>>,
    /// Documents that cannot be read here, with the log that created each as far as that is known:
    /// served to nobody until a peer gives them back.
    pub(crate) damaged: Arc<BTreeMap<DocumentId, Option<LogId>>>,
    /// Own logs whose ends are fetched back; nothing is written meanwhile.
    pub(crate) recovery: BTreeMap<LogId, Recovery>,
    /// Peers that keep this node out because another one uses its key; nothing is written meanwhile.
    pub(crate) kept_out: BTreeSet<PeerId>,
    /// Since when people's records are held back, because the folder is a copy; unix ms.
    pub(crate) held_back: Option<i64>,
    /// For which other territory each lane for one is.
    pub(crate) pairs: Arc<BTreeMap<LogId, String>>,
    /// What may be sealed to whom: sealing keys by origin.
    pub(crate) sealing: Arc<BTreeMap<[u8; 8], [u8; 32]>>,
    /// Which key of tokens this node holds, by year.
    pub(crate) held_keys: Arc<BTreeMap<u32, KeyId>>,
    /// Who handed which key of tokens to whom.
    pub(crate) handed: Arc<BTreeSet<Handed>>,
    /// How far the tokens of own projects have been made with the key that is held.
    pub(crate) renewed: Option<Pass>,
    /// Receipts of erasures that are to be given.
    pub(crate) receipts_due: Arc<BTreeSet<Mark>>,
    /// Orders of erasure of this node that are not known to be complete.
    pub(crate) orders_open: Arc<BTreeSet<DocumentId>>,
    /// What was erased here since document keys were last wrapped anew: its wrapped keys still open in
    /// copies of the store.
    pub(crate) unshredded: Arc<BTreeSet<DocumentId>>,
    /// Transfers that were touched since the start or are not at their end.
    pub(crate) transfers: Arc<BTreeMap<DocumentId, Handing>>,
    /// From which event on the audit log is indexed by record; none before the first.
    pub(crate) audit_indexed_from: Option<u64>,
    pub(crate) totals: Totals,
}

/// The numbers that one row of the store holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    pub(crate) documents: u64,
    pub(crate) entries: u64,
    pub(crate) admitted: u64,
    /// Distinct persons and households over all territories.
    pub(crate) persons: u64,
    pub(crate) households: u64,
    pub(crate) audit_seq: u64,
    pub(crate) audit_hash: [u8; 32],
    /// Last hybrid clock given out.
    pub(crate) hlc: u64,
    /// How many facts about members are known.
    pub(crate) policy_epoch: u32,
}

impl Ledger {
    pub(crate) fn end(&self, log: LogId) -> LogEnd {
        self.logs.get(&log).copied().unwrap_or_default()
    }

    pub(crate) fn cursor(&self, log: LogId) -> Cursor {
        let end = self.end(log);
        Cursor {
            log,
            seq: end.seq,
            hash: end.hash,
        }
    }
}

impl Totals {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = FieldWriter::new(VERSION);
        out.u64(self.documents).u64(self.entries).u64(self.admitted);
        out.u64(self.persons).u64(self.households);
        out.u64(self.audit_seq)
            .fixed(&self.audit_hash)
            .u64(self.hlc);
        out.u32(self.policy_epoch).finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadRow> {
        let mut row = FieldReader::open("totals", VERSION, bytes)?;
        Ok(Self {
            documents: row.u64()?,
            entries: row.u64()?,
            admitted: row.u64()?,
            persons: row.u64()?,
            households: row.u64()?,
            audit_seq: row.u64()?,
            audit_hash: row.array()?,
            hlc: row.u64()?,
            policy_epoch: row.u32()?,
        })
    }
}

impl LogEnd {
    pub(crate) fn encode(self) -> Vec<u8> {
        FieldWriter::new(VERSION)
            .u64(self.seq)
            .fixed(&self.hash)
            .finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadRow> {
        let mut row = FieldReader::open("log end", VERSION, bytes)?;
        Ok(Self {
            seq: row.u64()?,
            hash: row.array()?,
        })
    }
}

/// The row of a home's digest.
pub(crate) fn encode_digest(digest: &Digest) -> Vec<u8> {
    FieldWriter::new(VERSION)
        .u64(digest.count)
        .fixed(&digest.sum)
        .finish()
}

/// Reads the row of a home's digest.
pub(crate) fn decode_digest(bytes: &[u8]) -> Result<Digest, BadRow> {
    let mut row = FieldReader::open("digest", VERSION, bytes)?;
    Ok(Digest {
        count: row.u64()?,
        sum: row.array()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_and_log_ends_come_back_as_they_were_stored() {
        let totals = Totals {
            documents: 1,
            audit_hash: [3; 32],
            policy_epoch: 9,
            ..Totals::default()
        };
        assert_eq!(Totals::decode(&totals.encode()), Ok(totals));
        let end = LogEnd {
            seq: 7,
            hash: [1; 32],
        };
        assert_eq!(LogEnd::decode(&end.encode()), Ok(end));
    }
}

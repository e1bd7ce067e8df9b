//! How old what waits for a peer is: one look at the disk for each place in a log where a peer stands.
//!
//! Peers that stand at the same place share the look.

use std::collections::BTreeMap;

use raccordo_crdt_model::UnixMillis;
use raccordo_transport::{LogId, PeerId};

use super::between::Between;
use super::commit;
use super::core::Core;
use super::ledger::Ledger;
use super::stored::Reading;

/// The queues of several peers, looked at together.
#[derive(Debug)]
pub(crate) struct Queues<'a> {
    core: &'a Core,
    reading: Reading<'a>,
    /// When an entry was recorded, unix milliseconds; none if that cannot be read.
    recorded: BTreeMap<(LogId, u64), Option<i64>>,
}

impl<'a> Queues<'a> {
    pub(crate) fn new(core: &'a Core) -> Self {
        Self {
            core,
            reading: Reading::new(core),
            recorded: BTreeMap::new(),
        }
    }

    /// When the oldest entry was recorded that goes to a peer and that it has not acknowledged.
    pub(crate) fn oldest(&mut self, ledger: &Ledger, peer: &PeerId) -> Option<UnixMillis> {
        let between = Between::of(self.core, ledger, peer)?;
        let acked = self.core.links.link(peer).acked;
        let lagging = between.heads().filter_map(|head| {
            let held = acked.get(&head.log).copied().unwrap_or(0);
            (held < head.seq).then(|| (head.log, held + 1))
        });
        let recorded = lagging.filter_map(|(log, seq)| self.recorded(log, seq));
        recorded.min().map(UnixMillis)
    }

    fn recorded(&mut self, log: LogId, seq: u64) -> Option<i64> {
        if let Some(known) = self.recorded.get(&(log, seq)) {
            return *known;
        }
        let entry = self.reading.entry(log, seq).unwrap_or_else(|failed| {
            tracing::error!(error = %commit::chain(&failed), "an entry that waits cannot be read");
            None
        });
        let recorded = entry.map(|entry| (entry.signed.header.hlc >> 16).cast_signed());
        self.recorded.insert((log, seq), recorded);
        recorded
    }
}

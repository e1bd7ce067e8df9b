//! Orders of erasure until they are complete: once every node that held something of what an order
//! names has answered, the order says so itself, with the day.
//!
//! Only the node that gave an order ends it. Which orders are open stands in the store, in the
//! commits that open and end them. Whether one is complete is asked when something moved, and so
//! seldom that it takes a small part of the writer's time, however long a node stays away.

use std::collections::BTreeSet;
use std::sync::Arc;

use raccordo_crdt_model::{DocumentId, Kind, Patch, Rejected};
use serde_json::json;

use crate::store::{Row, Table};

use super::commit;
use super::core::Core;
use super::days;
use super::draft::Draft;
use super::erasures;
use super::local;
use super::report;
use super::view::CommandFailed;

/// Meta keys of open orders begin so.
pub(crate) const OPEN: &[u8] = b"order-open/";
/// Who ends an order, in the history.
const BY: &str = "erasure";
/// Least time between two looks, in milliseconds.
const PAUSE_MS: u64 = 1_000;
/// A pause is so many times as long as the look before it.
const PAUSE_OF_A_LOOK: u64 = 50;

/// The open orders, from the rows of [`OPEN`].
pub(crate) fn read(rows: &[Row]) -> BTreeSet<DocumentId> {
    let ids = rows.iter().filter_map(|(key, _)| key.get(OPEN.len()..));
    ids.filter_map(|id| id.try_into().ok())
        .map(DocumentId::from_bytes)
        .collect()
}

/// An order was given here, or came back after this store was put back: it is open.
pub(crate) fn open(draft: &mut Draft<'_>, order: DocumentId) {
    draft.batch.put(Table::Meta, row(order), Vec::new());
    Arc::make_mut(&mut draft.ledger.orders_open).insert(order);
}

fn close(draft: &mut Draft<'_>, order: DocumentId) {
    draft.batch.delete(Table::Meta, row(order));
    Arc::make_mut(&mut draft.ledger.orders_open).remove(&order);
}

/// Ends the orders that are complete.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    /// Not before this, in monotonic milliseconds.
    next_ms: u64,
    /// Something moved since the last look.
    moved: bool,
}

impl Orders {
    /// Looks at the open orders, if it is time.
    pub(crate) fn drive(&mut self, core: &Core) {
        let ledger = core.ledger();
        let can_write = report::writes_problem(core, &ledger).is_none();
        self.moved = can_write && !ledger.orders_open.is_empty();
        let begun_ms = core.clock.monotonic_millis();
        if !self.moved || begun_ms < self.next_ms {
            return;
        }
        self.moved = false;
        for order in ledger.orders_open.iter() {
            if let Err(failed) = end_if_complete(core, *order) {
                let reason = commit::chain(&failed);
                tracing::error!(%order, reason, "an order of erasure could not be ended");
            }
        }
        let ended_ms = core.clock.monotonic_millis();
        let pause_ms = ended_ms
            .saturating_sub(begun_ms)
            .saturating_mul(PAUSE_OF_A_LOOK);
        self.next_ms = ended_ms.saturating_add(pause_ms.max(PAUSE_MS));
    }

    /// How long until what moved is looked at; none if nothing did.
    pub(crate) fn patience_ms(&self, core: &Core) -> Option<u64> {
        let left_ms = self.next_ms.saturating_sub(core.clock.monotonic_millis());
        self.moved.then_some(left_ms)
    }
}

fn end_if_complete(core: &Core, order: DocumentId) -> Result<(), CommandFailed> {
    match erasures::certificate(core, &order.to_string()) {
        Ok(certificate) if certificate.complete => {}
        Ok(_) | Err(CommandFailed::NotFound { .. }) => return Ok(()),
        Err(failed) => return Err(failed),
    }
    let mut draft = Draft::new(core);
    let steps = json!([{"op": "add", "path": "/state", "value": "completed"},
        {"op": "add", "path": "/completed_on", "value": days::date(draft.now_ms)}]);
    let patch = Patch::parse(&steps).map_err(Rejected::Invalid);
    let patch = patch.map_err(CommandFailed::Rejected)?;
    match local::patch(&mut draft, Kind::ErasureOrder, order, &patch, None, BY) {
        // Somebody ended it before, or its record is gone.
        Ok(_) | Err(CommandFailed::Rejected(_) | CommandFailed::Erased(_)) => {}
        Err(failed) => return Err(failed),
    }
    close(&mut draft, order);
    commit::commit(draft).map_err(|failed| CommandFailed::from(&failed))
}

fn row(order: DocumentId) -> Vec<u8> {
    [OPEN, order.as_bytes()].concat()
}

//! What was forgotten and what is due: receipts, the certificate, proposals. Reads only.

use std::collections::BTreeSet;

use raccordo_crdt_model::{DocumentId, Kind, UnixMillis};

use crate::store::Table;

use super::Engine;
use super::certificate::{self, Standing};
use super::core::{Core, ReadFailed};
use super::days::DAY_MS;
use super::forget;
use super::put_back;
use super::read;
use super::rows;
use super::task::Command;
use super::tombstone;
use super::transfer;
use super::view::{
    Certificate, CommandFailed, ErasureView, Principal, Proposal, ReceiptState, SubjectErased,
};

/// Most proposals that are listed.
const PROPOSALS_MAX: usize = 500;
/// Rows that one look into the list takes at a time.
const ROWS_AT_ONCE: usize = 512;
/// States in which a project may be proposed.
const ENDED: [&str; 3] = ["closed", "transferred", "archived"];

impl Engine {
    /// The record that a name means, of whatever kind.
    pub async fn subject(
        &self,
        name: &str,
        kind: Option<Kind>,
        territory: Option<&str>,
    ) -> Result<(Kind, DocumentId), CommandFailed> {
        let (name, territory) = (name.to_owned(), territory.map(str::to_owned));
        self.read(move |core| forget::subject(core, &name, kind, territory.as_deref()))
            .await
    }

    /// Erases a subject: a record, and all that belongs to it.
    pub async fn erase_subject(
        &self,
        kind: Kind,
        id: DocumentId,
        reason: &str,
        by: &Principal,
    ) -> Result<SubjectErased, CommandFailed> {
        let covered = self
            .read(move |core| forget::covered(core, kind, id))
            .await?;
        let command = Command::Erase {
            kind,
            id,
            reason: reason.to_owned(),
            by: by.name.clone(),
        };
        self.hand.submit(command).await?;
        self.read(move |core| erased(core, id, &covered)).await
    }

    /// The certificate of an erasure, named by an order or by an erased record.
    pub async fn certificate(&self, name: &str) -> Result<Certificate, CommandFailed> {
        let name = name.to_owned();
        self.read(move |core| certificate(core, &name)).await
    }

    /// Records whose period of retention is over; a person decides.
    pub async fn erasure_proposals(&self) -> Result<Vec<Proposal>, CommandFailed> {
        put_back::people_may_be_told(&self.core.ledger())?;
        self.read(proposals).await
    }
}

/// What became of a record and of all that ended with it.
fn erased(
    core: &Core,
    id: DocumentId,
    covered: &BTreeSet<(Kind, DocumentId)>,
) -> Result<SubjectErased, CommandFailed> {
    let ids: BTreeSet<DocumentId> = covered.iter().map(|(_, id)| *id).chain([id]).collect();
    let views = tombstone::receipts_of(core, &core.ledger(), ids.iter())?;
    let (own, covered): (Vec<_>, Vec<_>) = views.into_iter().partition(|view| view.id == id);
    let record = own.into_iter().next().ok_or(CommandFailed::Stopping)?;
    let order = newest_order(core, id, record.at.0)?;
    Ok(SubjectErased {
        record,
        covered,
        order,
    })
}

/// The newest order that names a record, of those made since a time in unix ms.
fn newest_order(core: &Core, id: DocumentId, since: i64) -> Result<Option<DocumentId>, ReadFailed> {
    let orders = read::all_of(core, Kind::ErasureOrder)?;
    for (order, _) in orders.into_iter().take_while(|(_, made)| *made >= since) {
        if named_by(core, order)?.contains(&id) {
            return Ok(Some(order));
        }
    }
    Ok(None)
}

/// The records that an order names.
fn named_by(core: &Core, order: DocumentId) -> Result<Vec<DocumentId>, ReadFailed> {
    let Some(document) = core.look(order)? else {
        return Ok(Vec::new());
    };
    let fields = document.record().fields;
    let documents = fields["documents"].as_object().into_iter().flatten();
    let ids = documents.filter_map(|(_, entry)| entry["document"].as_str());
    Ok(ids.filter_map(|id| DocumentId::parse(id).ok()).collect())
}

pub(super) fn certificate(core: &Core, name: &str) -> Result<Certificate, CommandFailed> {
    let unknown = || CommandFailed::NotFound {
        kind: "erasure",
        id: name.to_owned(),
    };
    let erasures = tombstone::receipts(core)?;
    let named = read::named(core, Kind::ErasureOrder, name)?;
    let order = named.filter(|id| {
        let row = core.document_row(*id).ok().flatten();
        row.is_some_and(|row| row.kind == Kind::ErasureOrder.code())
    });
    let by_record = |prefix: &str| {
        let mut found = erasures
            .iter()
            .filter(|one| one.id.to_string().starts_with(prefix));
        found.next().map(|one| one.id)
    };
    let (order, ids) = match order {
        Some(order) => (Some(order), named_by(core, order)?),
        None => {
            let record = (name.len() >= 8).then(|| by_record(name)).flatten();
            let record = record.ok_or_else(unknown)?;
            match newest_order(core, record, i64::MIN)? {
                Some(order) => (Some(order), named_by(core, order)?),
                None => (None, vec![record]),
            }
        }
    };
    // Projects that ended in the same commit are not named by the order: their own tombstones went
    // to everybody who holds them.
    let at = erasures
        .iter()
        .filter(|one| ids.contains(&one.id))
        .map(|one| one.at)
        .max();
    let belongs = |one: &&ErasureView| {
        ids.contains(&one.id)
            || order.is_some() && Some(one.at) == at && one.territory == core.territory()
    };
    let records: Vec<ErasureView> = erasures.iter().filter(belongs).cloned().collect();
    if records.is_empty() {
        return Err(unknown());
    }
    let keys_replaced = records.iter().all(|record| record.key_replaced);
    let receipts = records.iter().flat_map(|record| &record.receipts);
    let erased = records.iter().map(|record| record.id).collect();
    let sealed = transfer::brought(core, &erased)?;
    let answered = has_everybody_answered(receipts.map(|receipt| receipt.state));
    let complete = sealed.is_empty() && answered && keys_replaced;
    let standing = Standing {
        answered,
        keys_replaced,
        complete,
    };
    let text = certificate::written(core, order, &records, &sealed, standing);
    Ok(Certificate {
        order,
        records,
        complete,
        keys_replaced,
        text,
    })
}

/// Whether every node has answered: by its acknowledgement, or where it is reached through another one
/// alone by its signed receipt.
fn has_everybody_answered(mut receipts: impl Iterator<Item = ReceiptState>) -> bool {
    receipts.all(|state| state == ReceiptState::Delivered)
}

/// Records of this territory whose period is over, with all that belongs to them; the oldest first.
pub(super) fn proposals(core: &Core) -> Result<Vec<Proposal>, CommandFailed> {
    let config = core.config();
    let now_ms = core.clock.unix_millis();
    let mut out = Vec::new();
    for kind in [Kind::Person, Kind::Household, Kind::Contact, Kind::Project] {
        let Some(days) = forget::period(&config, kind) else {
            continue;
        };
        let limit_ms = now_ms - i64::from(days) * DAY_MS;
        let from = rows::list_key(kind.code(), limit_ms, DocumentId::from_bytes([0; 16]));
        let mut found = 0;
        // The rows begin with the newest change: the oldest are not to be hidden by newer ones.
        for id in ids_after(core, kind, from)?.into_iter().rev() {
            let proposal = proposal(core, kind, id, days, limit_ms)?;
            found += usize::from(proposal.is_some());
            out.extend(proposal);
            if found == PROPOSALS_MAX {
                break;
            }
        }
    }
    out.sort_by_key(|proposal| proposal.due_since);
    out.truncate(PROPOSALS_MAX);
    Ok(out)
}

/// The records of a kind whose rows come after a key, in the order of the rows.
fn ids_after(core: &Core, kind: Kind, from: Vec<u8>) -> Result<Vec<DocumentId>, ReadFailed> {
    let (mut ids, mut after) = (Vec::new(), from);
    loop {
        let page = core
            .store
            .scan(Table::Rows, &[kind.code()], Some(&after), ROWS_AT_ONCE)?;
        let full = page.len() == ROWS_AT_ONCE;
        let id = |key: &[u8]| Some(DocumentId::from_bytes(key.get(9..)?.try_into().ok()?));
        ids.extend(page.iter().filter_map(|(key, _)| id(key)));
        match page.into_iter().last() {
            Some((key, _)) if full => after = key,
            _ => return Ok(ids),
        }
    }
}

fn proposal(
    core: &Core,
    kind: Kind,
    id: DocumentId,
    days: u32,
    limit_ms: i64,
) -> Result<Option<Proposal>, CommandFailed> {
    let Some(row) = core
        .document_row(id)?
        .filter(|row| row.territory == core.territory())
    else {
        return Ok(None);
    };
    let state = row.indexed.map(|indexed| indexed.state).unwrap_or_default();
    if kind == Kind::Project && !ENDED.contains(&state.as_str()) {
        return Ok(None);
    }
    let all = forget::covered(core, kind, id)?;
    let mut of_subject = all.clone();
    for (kind, subject) in forget::subjects_of(core, kind, id)? {
        of_subject.extend(forget::covered(core, kind, subject)?);
    }
    let mut newest = i64::MIN;
    for (_, other) in &of_subject {
        newest = newest.max(forget::last_change(core, *other)?.unwrap_or(i64::MIN));
    }
    // Something of the subject is still going on.
    if newest > limit_ms {
        return Ok(None);
    }
    let reference = core
        .look(id)?
        .and_then(|document| document.summary().reference);
    Ok(Some(Proposal {
        id,
        kind,
        reference,
        transferred: transferred_away(core, &all)?,
        last_change: UnixMillis(newest),
        due_since: UnixMillis(newest + i64::from(days) * DAY_MS),
        records: all.len(),
    }))
}

/// Whether these records have projects, and every one of them went on in another district.
fn transferred_away(core: &Core, all: &BTreeSet<(Kind, DocumentId)>) -> Result<bool, ReadFailed> {
    let mut any = false;
    for (_, id) in all.iter().filter(|(kind, _)| *kind == Kind::Project) {
        let row = core.document_row(*id)?;
        let state = row.and_then(|row| row.indexed).map(|indexed| indexed.state);
        if state.as_deref() != Some("transferred") {
            return Ok(false);
        }
        any = true;
    }
    Ok(any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_erasure_is_complete_when_every_node_answered_and_not_while_one_is_out_of_hearing() {
        use ReceiptState::{Delivered, Queued, Relayed, Revoked};
        assert!(has_everybody_answered([Delivered, Delivered].into_iter()));
        assert!(has_everybody_answered([].into_iter()));
        for open in [Queued, Relayed, Revoked] {
            assert!(!has_everybody_answered([Delivered, open].into_iter()));
        }
    }
}

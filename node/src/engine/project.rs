//! From a touched document to its rows: indexes, list, counts, digests.
//!
//! What the document counted for is taken out and what it counts for now is put in, in the same
//! batch as the change itself. Knows summaries, not documents.

use raccordo_crdt_model::{Audience, Document, DocumentId, Kind, Summary};
use raccordo_transport::LogId;

use crate::clock::draw;
#[cfg(feature = "testing")]
use crate::planted::{Planted, planted};
use crate::store::Table;
use crate::store::seal::SealKey;

use super::core::{LANE_SHARED, ReadFailed};
use super::draft::{Draft, Working, reference_hash};
use super::ledger;
use super::overlaps;
use super::overview;
use super::rows::{self, Card, DocumentRow, Indexed, ListRow};
use super::transfer;
use super::view::Event;

impl Draft<'_> {
    pub(super) fn project(
        &mut self,
        id: DocumentId,
        working: &mut Working,
    ) -> Result<(), ReadFailed> {
        let of_document = || working.document.as_ref().map(|document| document.summary());
        let summary = working.summary.take().or_else(of_document);
        let summary = summary.expect("a state without a document comes with its summary");
        let compared = summary.token.as_deref().is_some_and(overlaps::is_compared);
        let heads = working.heads.clone();
        let indexed = self.indexed(&summary, heads.item_hash(id));
        let former = working.row.indexed.replace(indexed.clone());
        let local = working.row.lane != LANE_SHARED;
        let kind = working.row.kind;
        let territory = working.row.territory.clone();
        if let Some(former) = &former {
            self.batch
                .delete(Table::Rows, rows::list_key(kind, former.updated_ms, id));
        }
        // The overview is of projects; other kinds are in the digests that links compare.
        let counted = working.kind == Kind::Project;
        if counted {
            if let Some(former) = &former {
                overview::remove(self.counts(&territory), former, local);
            }
            overview::insert(self.counts(&territory), &indexed, local);
        }
        let home = LogId {
            origin: working.row.home_origin,
            lane: working.row.lane,
        };
        let merged = former.as_ref();
        #[cfg(feature = "testing")]
        let merged =
            merged.filter(|_| heads.iter().len() < 2 || !planted(Planted::WrongDigestOnMerge));
        self.digest_home(home, merged, Some(&indexed));
        if counted && !local {
            self.count_subject(id, &territory, former.as_ref(), Some((&indexed, compared)))?;
        }
        self.refer(
            id,
            former.as_ref().and_then(|f| f.reference),
            indexed.reference,
        );
        self.list(id, &working.row, &working.key, &summary, indexed.updated_ms);
        if is_indexed(working.kind) {
            self.index(id, &summary.terms)?;
        }
        working.row.heads = heads.iter().copied().collect();
        self.batch
            .put(Table::Documents, *id.as_bytes(), working.row.encode());
        #[cfg(feature = "testing")]
        let counted =
            counted && !(planted(Planted::StaleOverview) && home.origin != self.core.id.origin());
        if counted {
            let counts = self.counts(&territory).encode();
            self.batch
                .put(Table::Overview, territory.as_bytes(), counts);
        }
        let kind = working.kind;
        if kind == Kind::Transfer {
            transfer::note(self, id, working.document.as_deref(), indexed.item);
        }
        self.events.push(Event::Record {
            id,
            kind,
            territory,
        });
        Ok(())
    }

    /// Puts a document back whose rows were lost: what was counted of it was never taken out.
    pub(crate) fn restore(
        &mut self,
        id: DocumentId,
        document: &Document,
        row: DocumentRow,
        key: &SealKey,
    ) {
        let summary = document.summary();
        let indexed = self.indexed(&summary, document.heads().item_hash(id));
        self.refer(id, None, indexed.reference);
        if is_indexed(document.kind())
            && let Err(failed) = self.index(id, &summary.terms)
        {
            tracing::error!(error = %failed, document = %id, "a document is not indexed");
        }
        self.list(id, &row, key, &summary, indexed.updated_ms);
        let territory = row.territory.clone();
        let row = DocumentRow {
            indexed: Some(indexed),
            ..row
        };
        self.batch
            .put(Table::Documents, *id.as_bytes(), row.encode());
        self.forget_documents(std::iter::once(id));
        self.events.push(Event::Record {
            id,
            kind: document.kind(),
            territory,
        });
    }

    /// Writes a document's line of the list.
    fn list(
        &mut self,
        id: DocumentId,
        row: &DocumentRow,
        key: &SealKey,
        summary: &Summary,
        updated_ms: i64,
    ) {
        let card = Card::new(summary).encode();
        let nonce = draw(&*self.core.entropy);
        let sealed = key.seal(Table::Rows, *id.as_bytes(), &[0; 32], &card, nonce);
        let line = ListRow::new(summary, row.lane, sealed);
        let key = rows::list_key(row.kind, updated_ms, id);
        self.batch.put(Table::Rows, key, line.encode());
    }

    /// Moves the digest of the documents that one node created in one lane.
    pub(super) fn digest_home(
        &mut self,
        home: LogId,
        former: Option<&Indexed>,
        now: Option<&Indexed>,
    ) {
        let digest = self.ledger.homes.entry(home).or_default();
        if let Some(former) = former {
            digest.remove(&former.item);
        }
        if let Some(now) = now {
            digest.add(&now.item);
        }
        let row = ledger::encode_digest(digest);
        self.batch.put(Table::Meta, home_key(home), row);
    }

    /// Takes a document out of every index, count and digest, with its bodies and its key.
    pub(crate) fn withdraw(&mut self, id: DocumentId) -> Result<(), ReadFailed> {
        self.erase_bodies(id)?;
        let row = match self.let_go(id) {
            Some(row) => Some(row),
            None => self.core.document_row(id)?,
        };
        let Some(row) = row else {
            return Ok(());
        };
        self.index(id, &[])?;
        self.batch.delete(Table::Keys, *id.as_bytes());
        self.batch.delete(Table::Documents, *id.as_bytes());
        self.ledger.totals.documents -= 1;
        let territory = row.territory.clone();
        match &row.indexed {
            Some(former) => self.take_out(id, &row, former)?,
            None => self.forget_references(id),
        }
        if let Some(kind) = Kind::from_code(row.kind) {
            self.events.push(Event::Record {
                id,
                kind,
                territory,
            });
        }
        Ok(())
    }

    fn take_out(
        &mut self,
        id: DocumentId,
        row: &DocumentRow,
        former: &Indexed,
    ) -> Result<(), ReadFailed> {
        let local = row.lane != LANE_SHARED;
        let territory = &row.territory;
        let list_key = rows::list_key(row.kind, former.updated_ms, id);
        self.batch.delete(Table::Rows, list_key);
        let counted = row.kind == Kind::Project.code();
        if counted {
            overview::remove(self.counts(territory), former, local);
        }
        let home = LogId {
            origin: row.home_origin,
            lane: row.lane,
        };
        self.digest_home(home, Some(former), None);
        if counted && !local {
            self.count_subject(id, territory, Some(former), None)?;
        }
        self.refer(id, former.reference, None);
        let counts = self.counts(territory).encode();
        self.batch
            .put(Table::Overview, territory.as_bytes(), counts);
        Ok(())
    }

    /// Of a document made in this very commit: its reference is in the batch alone.
    fn forget_references(&mut self, id: DocumentId) {
        let keys: Vec<Vec<u8>> = self
            .batch
            .iter()
            .filter(|(table, key, _)| *table == Table::References && key.ends_with(id.as_bytes()))
            .map(|(_, key, _)| key.to_vec())
            .collect();
        for key in keys {
            self.batch.delete(Table::References, key);
        }
    }

    fn counts(&mut self, territory: &str) -> &mut rows::Counts {
        self.ledger.counts.entry(territory.to_owned()).or_default()
    }

    fn indexed(&self, summary: &Summary, item: [u8; 32]) -> Indexed {
        let vault = &self.core.vault;
        let token = summary
            .token
            .as_ref()
            .map(|token| vault.keyed_hash("token", token.as_bytes()));
        let reference = summary
            .reference
            .as_ref()
            .map(|r| reference_hash(self.core, summary.kind, &summary.territory, r));
        Indexed {
            state: summary.state.clone(),
            need_area: summary.need_area.clone(),
            subject_kind: summary.subject_kind.clone(),
            token,
            reference,
            updated_ms: summary.updated_at.0,
            conflicts: summary.conflicts,
            item,
        }
    }

    fn refer(&mut self, id: DocumentId, former: Option<[u8; 16]>, now: Option<[u8; 16]>) {
        if former == now {
            return;
        }
        if let Some(hash) = former {
            self.batch
                .delete(Table::References, [hash.as_slice(), id.as_bytes()].concat());
        }
        if let Some(hash) = now {
            self.batch.put(
                Table::References,
                [hash.as_slice(), id.as_bytes()].concat(),
                Vec::new(),
            );
        }
    }

    fn count_subject(
        &mut self,
        id: DocumentId,
        territory: &str,
        former: Option<&Indexed>,
        now: Option<(&Indexed, bool)>,
    ) -> Result<(), ReadFailed> {
        let compared = now.is_some_and(|(_, compared)| compared);
        let now = now.map(|(now, _)| now);
        let counts = |i: &&Indexed| !overview::is_given(&i.state);
        let (former, now) = (former.filter(counts), now.filter(counts));
        let subject = |i: &Indexed| i.token.map(|token| (i.subject_kind == "household", token));
        let (before, after) = (former.and_then(subject), now.and_then(subject));
        if before == after {
            return Ok(());
        }
        if let Some((household, token)) = before {
            self.shift_subject(territory, household, token, false)?;
            self.let_token_go(id, (household, token))?;
        }
        if let Some((household, token)) = after {
            self.shift_subject(territory, household, token, true)?;
            if compared {
                self.hold_token(id, territory, (household, token))?;
            }
        }
        Ok(())
    }

    /// Counts a live record with this token in or out, here and over all territories.
    fn shift_subject(
        &mut self,
        territory: &str,
        household: bool,
        token: [u8; 16],
        up: bool,
    ) -> Result<(), ReadFailed> {
        let own = [
            &[b't', u8::from(household)],
            token.as_slice(),
            territory.as_bytes(),
        ]
        .concat();
        let all = [&[b'a', u8::from(household)], token.as_slice()].concat();
        if self.shift(&own, up)? {
            let counts = self.counts(territory);
            step(
                if household {
                    &mut counts.households
                } else {
                    &mut counts.persons
                },
                up,
            );
        }
        if self.shift(&all, up)? {
            let totals = &mut self.ledger.totals;
            step(
                if household {
                    &mut totals.households
                } else {
                    &mut totals.persons
                },
                up,
            );
        }
        Ok(())
    }

    /// Moves one counter; true if it left or reached zero.
    fn shift(&mut self, key: &[u8], up: bool) -> Result<bool, ReadFailed> {
        let stored = self.get(Table::Subjects, key)?;
        let count = stored
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u32::from_be_bytes);
        let next = if up {
            count + 1
        } else {
            count.saturating_sub(1)
        };
        if next == 0 {
            self.batch.delete(Table::Subjects, key);
        } else {
            self.batch.put(Table::Subjects, key, next.to_be_bytes());
        }
        Ok(count == 0 || next == 0)
    }
}

/// Whether records of a kind are found by what stands in them: people, and notices about them.
fn is_indexed(kind: Kind) -> bool {
    kind.audience() == Audience::Territory || kind == Kind::Notice
}

/// Meta key of a home's digest.
fn home_key(home: LogId) -> Vec<u8> {
    [b"home/".as_slice(), &rows::log_key(home)].concat()
}

fn step(count: &mut u64, up: bool) {
    if up {
        *count += 1;
    } else {
        *count -= 1;
    }
}

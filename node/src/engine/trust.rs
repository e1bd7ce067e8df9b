//! What is not trusted, as administrators handle it: quarantine, erasures, proofs.
//!
//! Decisions go through the writer like every other write.

use raccordo_crdt_model::{DocumentId, Kind};

use super::quarantine::{self, Place, QuarantineCommand};
use super::task::Command;
use super::view::{
    CommandFailed, EquivocationView, ErasureView, HeldErasure, Principal, QuarantineView,
};
use super::{Engine, equivocation, report, tombstone, transfer};

impl Engine {
    /// Why nothing is written for now although the store could: a stable code and one sentence.
    pub fn writes_closed(&self) -> Option<(&'static str, String)> {
        report::writes_problem(&self.core, &self.core.ledger())
    }

    /// Every refused group that waits for a decision.
    pub async fn quarantine(&self) -> Result<Vec<QuarantineView>, CommandFailed> {
        self.read(|core| Ok(quarantine::all(core)?)).await
    }

    /// One refused group, by the id that the list gives.
    pub async fn quarantined(&self, id: &str) -> Result<QuarantineView, CommandFailed> {
        let place = place(id)?;
        self.read(move |core| quarantine::one(core, place)).await
    }

    /// Admits a refused group once more, as after an upgrade.
    pub async fn quarantine_retry(&self, id: &str, by: &Principal) -> Result<(), CommandFailed> {
        let command = QuarantineCommand::Retry {
            place: place(id)?,
            by: by.name.clone(),
        };
        let submitted = self.hand.submit(Command::Quarantine(command)).await;
        submitted.map(|_| ())
    }

    /// Records a refused group without its content, so that its log goes on.
    pub async fn quarantine_discard(
        &self,
        id: &str,
        reason: &str,
        by: &Principal,
    ) -> Result<(), CommandFailed> {
        let command = QuarantineCommand::Discard {
            place: place(id)?,
            reason: reason.to_owned(),
            by: by.name.clone(),
        };
        let submitted = self.hand.submit(Command::Quarantine(command)).await;
        submitted.map(|_| ())
    }

    /// Every proof that an author signed two entries with one number.
    pub async fn equivocations(&self) -> Result<Vec<EquivocationView>, CommandFailed> {
        self.read(|core| Ok(equivocation::all(core)?)).await
    }

    /// Erases a record of this territory, here at once and at every peer that holds it.
    pub async fn erase(
        &self,
        kind: Kind,
        id: DocumentId,
        reason: &str,
        by: &Principal,
    ) -> Result<ErasureView, CommandFailed> {
        let command = Command::Erase {
            kind,
            id,
            reason: reason.to_owned(),
            by: by.name.clone(),
        };
        self.hand.submit(command).await?;
        let all = self.erasures().await?;
        let erased = all.into_iter().find(|view| view.id == id);
        erased.ok_or(CommandFailed::Stopping)
    }

    /// What other territories asked to have erased and the law forbids for now.
    pub async fn held_erasures(&self) -> Result<Vec<HeldErasure>, CommandFailed> {
        self.read(transfer::held).await
    }

    /// Every erasure known here, with its receipts; newest first.
    pub async fn erasures(&self) -> Result<Vec<ErasureView>, CommandFailed> {
        self.read(|core| Ok(tombstone::receipts(core)?)).await
    }
}

fn place(id: &str) -> Result<Place, CommandFailed> {
    Place::parse(id).ok_or_else(|| CommandFailed::Malformed {
        detail: format!("{id} names no entry: LOG/NUMBER is needed, as `quarantine list` shows it"),
    })
}

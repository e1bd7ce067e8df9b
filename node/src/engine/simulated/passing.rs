//! Projects that pass from one district to another, at a simulated node: what people do, and what a
//! test may ask of a project on its way.
//!
//! Whether a project takes an edit is tried as a person's edit would be, and nothing is kept of it.

use std::collections::BTreeMap;

use raccordo_config::Territory;
use raccordo_crdt_model::{DocumentId, Kind, Patch};
use raccordo_transport::LogId;
use serde_json::json;

use super::super::days::{DAY_MS, date};
use super::super::draft::Draft;
use super::super::task::Command;
use super::super::transfer::{self, Arrival, Offer, TransferCommand};
use super::super::view::CommandFailed;
use super::super::{local, report};
use super::{SimulatedNode, Ticket};

impl SimulatedNode {
    /// Offers a project to another district, for so many days.
    pub fn offer(
        &self,
        project: DocumentId,
        to: Territory,
        days: i64,
        by: &str,
    ) -> Result<Ticket, CommandFailed> {
        let core = &self.engine.core;
        let records = transfer::subject_of(core, project)?;
        let expires_ms = core.clock.unix_millis() + days * DAY_MS;
        let offer = Offer {
            project,
            to,
            reason: "residence".to_owned(),
            note: None,
            expires_on: Some(date(expires_ms)),
        };
        let by = by.to_owned();
        Ok(self.pass(TransferCommand::Offer { offer, records, by }))
    }

    /// Takes an offered project over.
    pub fn accept(&self, id: DocumentId, by: &str) -> Ticket {
        let (arrival, by) = (Arrival::Unsaid, by.to_owned());
        self.pass(TransferCommand::Accept { id, arrival, by })
    }

    /// Refuses an offered project.
    pub fn refuse(&self, id: DocumentId, by: &str) -> Ticket {
        let (reason, by) = ("no place is free".to_owned(), by.to_owned());
        self.pass(TransferCommand::Refuse { id, reason, by })
    }

    /// Asks an offered project back.
    pub fn withdraw(&self, id: DocumentId, by: &str) -> Ticket {
        let by = by.to_owned();
        self.pass(TransferCommand::Withdraw { id, by })
    }

    /// Whether people here may edit a project now.
    pub fn takes_edits(&self, project: DocumentId) -> bool {
        self.refuses_edits(project).is_none()
    }

    /// Why people here may not edit a project now, if so.
    pub fn refuses_edits(&self, project: DocumentId) -> Option<String> {
        let core = &self.engine.core;
        // A member that nobody has yet: saying again what stands is no edit.
        let edit = json!([{"op": "add", "path": "/team/tried", "value": {"body": "SSD"}}]);
        let patch = Patch::parse(&edit).expect("a well-formed patch");
        let mut draft = Draft::new(core);
        if let Some(problem) = self.refuses_writes() {
            return Some(problem);
        }
        let edit = local::patch(&mut draft, Kind::Project, project, &patch, None, "tries");
        edit.err().map(|refused| format!("{refused:?}"))
    }

    /// Why nothing is written here for now, if so.
    pub fn refuses_writes(&self) -> Option<String> {
        let core = &self.engine.core;
        report::writes_problem(core, &core.ledger()).map(|(_, problem)| problem)
    }

    /// For whom the lanes are that are for one other territory each, as far as is known here.
    pub fn pairs(&self) -> BTreeMap<LogId, String> {
        BTreeMap::clone(&self.engine.core.ledger().pairs)
    }

    fn pass(&self, command: TransferCommand) -> Ticket {
        self.submit(Command::Transfer(command))
    }
}

//! The engine: the one door through which records change, and the view of what they became.
//!
//! [`Engine`] is a cheap handle. Writes go to a single writer (`task`), which prepares, commits
//! and only then answers and announces; reads go beside it to what is committed. Local commands
//! (`local`, `import`, `peers`, `tokens`) and remote entries (`ingest`) meet in `draft`.
//! Does not know HTTP, arguments or formats.

mod accounts;
mod admission;
mod audit;
mod between;
mod casefiles;
mod certificate;
mod change_run;
mod clones;
mod commit;
mod confirming;
mod core;
mod cores;
mod days;
mod dial;
mod draft;
mod emergency;
mod entry_run;
mod equivocation;
mod erase;
mod erasures;
mod execute;
mod fault;
mod fields;
mod forget;
mod found;
mod host;
mod import;
mod import_file;
mod import_names;
mod import_rights;
mod inbox;
mod ingest;
mod ledger;
mod lines;
mod links;
mod lists;
mod local;
mod membership;
mod node;
mod notices;
mod observed;
mod orders;
mod overlaps;
mod overview;
mod passwords;
mod peers;
mod people;
mod persons;
mod project;
mod protection;
mod publish;
mod put_back;
mod quarantine;
mod queues;
mod read;
mod reasons;
mod receipts;
mod recovery;
mod repair;
mod report;
mod roster;
mod rows;
mod scope;
mod scrub;
mod seen;
mod sharing;
mod shredding;
#[cfg(feature = "testing")]
pub mod simulated;
mod statements;
mod stops;
mod stored;
#[cfg(test)]
mod stored_tests;
mod subject;
mod subjects;
mod task;
mod terms;
#[cfg(test)]
mod tests;
mod token_handing;
mod token_key;
mod token_renewal;
mod tokens;
mod tombstone;
mod transfer;
mod trust;
mod view;

use std::sync::mpsc::Sender;
use std::sync::{Arc, PoisonError};

use raccordo_config::{Config, Role};
use raccordo_crdt_model::{DocumentId, Heads, Kind, Patch};
use tokio::sync::{Semaphore, broadcast, oneshot};

use crate::access::knows_protected;

use self::core::Core;
use self::import::ImportPortion;
use self::repair::RepairCommand;
use self::task::{Command, Done, Job, Signal};

pub use self::core::ReadFailed;
pub use self::emergency::EmergencyView;
pub use self::fields::BadRow;
pub use self::found::{InitFailed, init};
pub use self::import_file::{ImportSession, WINDOW_LINES_MAX};
pub use self::node::{Node, NodeOptions, StartFailed};
pub use self::people::Credential;
pub use self::sharing::{ScopeView, SharedLogView};
pub use self::transfer::{Arrival, Offer};
pub use self::view::*;

/// Commands that may wait for the writer; more wait outside.
const WAITING_MAX: usize = 1_024;

/// A handle to a node's records and peers.
#[derive(Debug, Clone)]
pub struct Engine {
    core: Arc<Core>,
    hand: Hand,
}

/// Hands work to the writer.
#[derive(Debug, Clone)]
pub(crate) struct Hand {
    signals: Sender<Signal>,
    room: Arc<Semaphore>,
}

impl Hand {
    fn new(signals: Sender<Signal>) -> Self {
        Self {
            signals,
            room: Arc::new(Semaphore::new(WAITING_MAX)),
        }
    }

    /// Tells the writer; a writer that has ended is told nothing.
    fn signal(&self, signal: Signal) {
        if self.signals.send(signal).is_err() {
            tracing::debug!("the writer has ended");
        }
    }

    /// Hands a command over and waits until it is durable or refused.
    async fn submit(&self, command: Command) -> Result<Done, CommandFailed> {
        let _room = self
            .room
            .acquire()
            .await
            .map_err(|_| CommandFailed::Stopping)?;
        let (reply, answer) = oneshot::channel();
        self.signal(Signal::Job(Box::new(Job { command, reply })));
        answer.await.unwrap_or(Err(CommandFailed::Stopping))
    }
}

impl Engine {
    /// Creates a record; durable when it returns.
    pub async fn create(
        &self,
        kind: Kind,
        fields: serde_json::Value,
        by: &Principal,
    ) -> Result<RecordView, CommandFailed> {
        let command = Command::Create {
            kind,
            fields,
            by: by.name.clone(),
            blind: !knows_protected(by),
        };
        self.written(kind, command).await
    }

    /// Changes a record at the version `base` (the newest if none); durable when it returns.
    pub async fn patch(
        &self,
        kind: Kind,
        id: DocumentId,
        patch: Patch,
        base: Option<Heads>,
        by: &Principal,
    ) -> Result<RecordView, CommandFailed> {
        let command = Command::Patch {
            kind,
            id,
            patch,
            base,
            by: by.name.clone(),
            blind: !knows_protected(by),
        };
        self.written(kind, command).await
    }

    /// One record.
    pub async fn record(&self, kind: Kind, id: DocumentId) -> Result<RecordView, CommandFailed> {
        put_back::may_be_told(&self.core.ledger(), kind)?;
        let found = self.read(move |core| read::record(core, kind, id)).await;
        if matches!(found, Err(CommandFailed::Damaged { .. }))
            && !self.core.ledger().damaged.contains_key(&id)
        {
            let reason = "a reader found that it does not read".to_owned();
            let command = Command::Repair(RepairCommand::Damaged(vec![(id, reason)]));
            self.hand.submit(command).await?;
        }
        found
    }

    /// One record, for a person to read: the peers that wrote parts of it will be told.
    pub async fn open(&self, kind: Kind, id: DocumentId) -> Result<RecordView, CommandFailed> {
        let view = self.record(kind, id).await?;
        let (id, shown) = (view.id, view.heads.clone());
        let notes = self.read(move |core| Ok(seen::opened(core, id, &shown)?));
        match notes.await {
            Ok(notes) => notes
                .into_iter()
                .for_each(|note| self.hand.signal(Signal::Note(note))),
            Err(failed) => tracing::error!(%failed, "that a record was opened was not noted"),
        }
        Ok(view)
    }

    /// The document that a unique prefix of its id, or the office's own number, names.
    pub async fn resolve(
        &self,
        kind: Kind,
        id_or_reference: &str,
        territory: Option<&str>,
    ) -> Result<DocumentId, CommandFailed> {
        let (name, territory) = (id_or_reference.to_owned(), territory.map(str::to_owned));
        put_back::may_be_told(&self.core.ledger(), kind)?;
        self.read(move |core| read::resolve(core, kind, &name, territory.as_deref()))
            .await
    }

    /// A page of records, newest change first.
    pub async fn list(
        &self,
        kind: Kind,
        query: ListQuery,
    ) -> Result<Page<RecordView>, CommandFailed> {
        put_back::may_be_told(&self.core.ledger(), kind)?;
        self.read(move |core| read::list(core, kind, &query)).await
    }

    /// A page of list lines, newest change first.
    pub async fn cards(
        &self,
        kind: Kind,
        query: ListQuery,
    ) -> Result<Page<RecordCard>, CommandFailed> {
        put_back::may_be_told(&self.core.ledger(), kind)?;
        self.read(move |core| read::cards(core, kind, &query)).await
    }

    /// Who changed what, when; oldest first.
    pub async fn history(
        &self,
        kind: Kind,
        id: DocumentId,
    ) -> Result<Vec<HistoryView>, CommandFailed> {
        put_back::may_be_told(&self.core.ledger(), kind)?;
        self.read(move |core| read::history(core, kind, id)).await
    }

    /// Every record of a kind as an import line, sorted by reference.
    pub async fn export(&self, kind: Kind) -> Result<Vec<String>, CommandFailed> {
        put_back::may_be_told(&self.core.ledger(), kind)?;
        self.read(move |core| read::export(core, kind)).await
    }

    /// Imports a window of at most [`WINDOW_LINES_MAX`] lines, those of a record in file order, as far as
    /// `by` may change the records that are there; durable when it returns.
    pub async fn import(
        &self,
        lines: Vec<ImportText>,
        by: &Principal,
        dry_run: bool,
        session: &mut ImportSession,
    ) -> Result<ImportReport, CommandFailed> {
        let by = Arc::new(by.clone());
        let mut own = std::mem::take(session);
        let reading = tokio::task::spawn_blocking(move || {
            let read = own.read(lines);
            (own, read)
        });
        let (mut own, (records, mut report)) =
            reading.await.map_err(|_| CommandFailed::Stopping)?;
        let keep = records.len() <= self.core.cache_capacity();
        let mut records = records.into_iter().peekable();
        loop {
            // One portion after the other, so that others have their turn between them.
            let portion = import_file::portion(&mut records);
            if portion.is_empty() {
                break;
            }
            let command = Command::Import(ImportPortion {
                records: portion,
                by: Arc::clone(&by),
                dry_run,
                carried: std::mem::take(&mut own.carried),
                keep,
            });
            let Done::Imported(more, carried) = self.hand.submit(command).await? else {
                return Err(CommandFailed::Stopping);
            };
            own.carried = carried;
            report.add(more);
        }
        report.rejects.sort_by_key(|reject| reject.line);
        *session = own;
        Ok(report)
    }

    /// The merged view; a district's own territory alone.
    pub fn overview(&self) -> OverviewView {
        let mut view = report::overview(&self.core);
        for part in &mut view.territories {
            part.published = publish::of_territory(&self.core, &part.territory).unwrap_or_else(|failed| {
                tracing::error!(error = %failed, territory = part.territory, "what it publishes cannot be read");
                None
            });
            part.contacts = self.contacts_of(part);
        }
        view
    }

    /// Contacts of a territory: of the own one those held, of another those that it publishes.
    fn contacts_of(&self, part: &TerritoryView) -> u64 {
        if part.territory == self.core.territory() {
            return read::all_of(&self.core, Kind::Contact).map_or_else(
                |failed| {
                    tracing::error!(error = %failed, "the contacts cannot be counted");
                    0
                },
                |contacts| contacts.len() as u64,
            );
        }
        let published = part.published.as_ref();
        published
            .and_then(|published| published.contacts)
            .unwrap_or(0)
    }

    /// One territory's part of the overview.
    pub fn territory(&self, path: &str) -> Option<TerritoryView> {
        self.overview()
            .territories
            .into_iter()
            .find(|part| part.territory == path)
    }

    /// The node at a glance.
    pub fn status(&self) -> StatusView {
        report::status(&self.core)
    }

    /// What happens from now on; a listener that lags misses events and should look again.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.core.events.subscribe()
    }

    /// Whether the node serves and its store takes writes; else one sentence why not.
    pub fn ready(&self) -> Result<(), String> {
        report::store_problem(&self.core).map_or(Ok(()), Err)
    }

    /// Own role.
    pub fn role(&self) -> Role {
        self.core.config().node.role
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.core.config()
    }

    /// Puts another configuration in force, as far as it can change live.
    pub fn reconfigure(&self, config: Config) {
        if let Some(endpoint) = self.core.endpoint() {
            endpoint.limit(node::link_limits(&config));
        }
        *self
            .core
            .config
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        self.core.ticks.send_modify(|tick| *tick += 1);
    }

    async fn written(&self, kind: Kind, command: Command) -> Result<RecordView, CommandFailed> {
        match self.hand.submit(command).await? {
            Done::Record(id) => self.record(kind, id).await,
            _ => Err(CommandFailed::Stopping),
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Core) -> Result<T, CommandFailed> + Send + 'static,
    ) -> Result<T, CommandFailed> {
        let core = Arc::clone(&self.core);
        tokio::task::spawn_blocking(move || look(&core))
            .await
            .map_err(|_| CommandFailed::Stopping)?
    }
}

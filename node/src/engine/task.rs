//! The single writer: one thread, one loop, one closed set of jobs.
//!
//! What waits together is committed together (group commit): prepare, commit, publish, answer,
//! in that order, so that nobody hears of what is not on disk.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use raccordo_crdt_model::{DocumentId, Heads, Kind, Patch};
use raccordo_transport::{Cursor, LogId, PeerId, Rollback, Seen, SignedEntry};
use tokio::sync::oneshot;

#[cfg(feature = "testing")]
use crate::planted::{Planted, planted};
use crate::store::Condition;

use super::accounts::AccountCommand;
use super::commit::{self, NotStored};
use super::core::Core;
use super::draft::Draft;
use super::equivocation::Evidence;
use super::import::{Carried, ImportPortion};
use super::inbox::{Inbox, LOOK_AGAIN_MS, Ready, TORN_MS};
use super::observed::{Observations, Observed};
use super::orders::Orders;
use super::peers::PeerCommand;
use super::publish::PublishCommand;
use super::quarantine::QuarantineCommand;
use super::repair::RepairCommand;
use super::roster::{Member, Roster};
use super::seen::{self, Opened};
use super::shredding::Shredding;
use super::token_renewal::YearKeys;
use super::tokens::TokenCommand;
use super::transfer::{Driver, TransferCommand};
use super::view::{CommandFailed, ImportReport};
use super::{clones, equivocation, execute, fault, ingest, notices, put_back, receipts, recovery};

/// Most jobs that one commit takes together.
const JOBS_MAX: usize = 256;
/// How long acknowledgements and contacts may wait for a commit of their own.
const NOTES_MS: u64 = 1_000;

/// Everything that a node writes on its own account.
#[derive(Debug)]
pub(crate) enum Command {
    Create {
        kind: Kind,
        fields: serde_json::Value,
        by: String,
        /// Whether who asks may not know who is specially protected.
        blind: bool,
    },
    Patch {
        kind: Kind,
        id: DocumentId,
        patch: Patch,
        base: Option<Heads>,
        by: String,
        /// As of a creation.
        blind: bool,
    },
    Import(ImportPortion),
    /// What is done about a peer, and who asked for it: a person, or the peer itself.
    Peer(PeerCommand, String),
    Token(TokenCommand, String),
    Account(AccountCommand),
    /// Writes one event of the audit log, durable when it is done.
    Audit(Observed),
    Quarantine(QuarantineCommand),
    Repair(RepairCommand),
    /// What people at a peer have opened, as it says.
    Seen {
        peer: PeerId,
        seen: Vec<Seen>,
    },
    Erase {
        kind: Kind,
        id: DocumentId,
        reason: String,
        by: String,
    },
    Publish(PublishCommand),
    Transfer(TransferCommand),
    /// Shows people's records again that are held back.
    Recover {
        reason: String,
        by: String,
    },
}

/// What a command led to.
#[derive(Debug)]
pub(crate) enum Done {
    Record(DocumentId),
    Imported(ImportReport, Carried),
    Member(Member),
    Nothing,
}

/// What the writer's thread is woken by.
#[derive(Debug)]
pub(crate) enum Signal {
    Job(Box<Job>),
    /// The inbox has entries.
    Entries,
    /// A peer holds more of an own log than there is, or something else.
    RolledBack {
        peer: PeerId,
        rollback: Rollback,
    },
    /// Entries of an own log came back.
    Returned(Returned),
    /// A peer keeps this node out as a copy of another, or lets it in.
    KeptOut {
        peer: PeerId,
        is: bool,
    },
    /// A peer's word about an entry may prove that its author contradicts itself.
    Evidence(Evidence),
    /// A peer's acknowledgement or contact is worth keeping.
    Note(Note),
    /// Somebody read something, or was kept from it.
    Observed(Observed),
    /// Another day has begun, or a peer has compared what both hold.
    Look,
    Stop,
}

/// Entries of an own log that a peer gave back.
#[derive(Debug)]
pub(crate) struct Returned {
    pub(crate) entries: Vec<SignedEntry>,
    /// Where those go that are not here.
    pub(crate) reply: oneshot::Sender<Vec<SignedEntry>>,
}

/// A command and who waits for it.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) command: Command,
    pub(crate) reply: oneshot::Sender<Result<Done, CommandFailed>>,
}

/// Worth keeping, not worth a commit of its own.
#[derive(Debug, Clone)]
pub(crate) enum Note {
    Acknowledged {
        peer: PeerId,
        cursor: Cursor,
        at_ms: i64,
    },
    Contact {
        peer: PeerId,
        at_ms: i64,
    },
    /// The starts of a member's node moved.
    Starts {
        peer: PeerId,
    },
    /// A person has opened a document here.
    Opened(Opened),
    /// A peer knows that a document was opened here.
    SeenTold {
        peer: PeerId,
        seen: Seen,
    },
}

/// What a note is about: a newer one takes its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Log(PeerId, LogId),
    Contact(PeerId),
    Starts(PeerId),
    Opened(PeerId, DocumentId),
    SeenTold(PeerId, [u8; 16]),
}

impl Note {
    fn subject(&self) -> Subject {
        match self {
            Self::Acknowledged { peer, cursor, .. } => Subject::Log(*peer, cursor.log),
            Self::Contact { peer, .. } => Subject::Contact(*peer),
            Self::Starts { peer } => Subject::Starts(*peer),
            Self::Opened(opened) => Subject::Opened(opened.peer, opened.document),
            Self::SeenTold { peer, seen } => Subject::SeenTold(*peer, seen.document),
        }
    }
}

/// Says that nothing can be written any more, however the writer ends.
struct Ending(Arc<Core>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.writing.store(false, Ordering::Release);
    }
}

/// Runs until told to stop or until nobody can send any more.
pub(crate) fn run(mut writer: Writer, signals: &Receiver<Signal>) {
    let _ending = Ending(Arc::clone(&writer.core));
    loop {
        let more = writer.wait(signals);
        writer.commit_all(!more);
        if !more {
            return;
        }
    }
}

/// What waits to be written.
#[derive(Debug)]
pub(crate) struct Writer {
    core: Arc<Core>,
    inbox: Arc<Inbox>,
    jobs: Vec<Job>,
    notes: BTreeMap<Subject, Note>,
    notes_since: u64,
    entries: bool,
    /// Logs that lacked entries when it last looked.
    torn: usize,
    evidence: Vec<Evidence>,
    transfers: Driver,
    keys: YearKeys,
    orders: Orders,
    shredding: Shredding,
    observed: Observations,
}

impl Writer {
    pub(crate) fn new(core: Arc<Core>, inbox: Arc<Inbox>) -> Self {
        Self {
            core,
            inbox,
            jobs: Vec::new(),
            notes: BTreeMap::new(),
            notes_since: 0,
            entries: false,
            torn: 0,
            evidence: Vec::new(),
            transfers: Driver::default(),
            keys: YearKeys::default(),
            orders: Orders::default(),
            shredding: Shredding::default(),
            observed: Observations::default(),
        }
    }

    /// Waits for the next signal and takes what else is there; false when it is time to end.
    fn wait(&mut self, signals: &Receiver<Signal>) -> bool {
        let first = match self.patience() {
            None => signals.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(wait) => signals.recv_timeout(wait),
        };
        match first {
            Ok(signal) => self.take(Some(signal), signals),
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => false,
        }
    }

    /// Takes a signal and what else is there; false when it is time to end.
    pub(crate) fn take(&mut self, first: Option<Signal>, signals: &Receiver<Signal>) -> bool {
        let mut next = first;
        while let Some(signal) = next {
            match signal {
                Signal::Job(job) => self.jobs.push(*job),
                Signal::Entries => self.entries = true,
                Signal::Note(note) => self.note(note),
                Signal::Observed(observed) => self
                    .observed
                    .push(self.core.clock.monotonic_millis(), observed),
                Signal::Evidence(evidence) => self.evidence.push(evidence),
                // At once, so that no job behind it is done any more.
                Signal::RolledBack { peer, rollback } => {
                    recovery::begin(&self.core, peer, &rollback);
                }
                Signal::Returned(returned) => self.take_back(returned),
                Signal::KeptOut { peer, is } => clones::kept_out(&self.core, peer, is),
                Signal::Look => {}
                Signal::Stop => return false,
            }
            next = if self.jobs.len() < JOBS_MAX {
                signals.try_recv().ok()
            } else {
                None
            };
        }
        true
    }

    /// Writes what was taken and is due: jobs, entries, notes (all of them if it is the `last` time).
    pub(crate) fn commit_all(&mut self, last: bool) {
        if !self.jobs.is_empty() {
            self.commit_jobs();
        }
        self.commit_entries();
        self.mend();
        self.judge_evidence();
        recovery::finish_if_complete(&self.core);
        put_back::end_if_heard(&self.core);
        notices::follow(&self.core);
        fault::contained("a transfer", || self.transfers.drive(&self.core));
        fault::contained("a receipt", || receipts::give(&self.core));
        fault::contained("a key of tokens", || self.keys.drive(&self.core));
        fault::contained("keys after an erasure", || self.shredding.drive(&self.core));
        fault::contained("an order of erasure", || self.orders.drive(&self.core));
        self.commit_notes(last);
        let now_ms = self.core.clock.monotonic_millis();
        if self.observed.is_due(now_ms, last) {
            self.observed.commit(&self.core);
        }
    }

    /// How long it may sleep; none if nothing is pending.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let notes = (!self.notes.is_empty()).then_some(NOTES_MS);
        let entries = self.entries.then(|| match self.ready() {
            Ready::Yes => 0,
            Ready::Soon => LOOK_AGAIN_MS,
            Ready::No => NOTES_MS,
        });
        let torn = (self.inbox.torn() > 0).then_some(TORN_MS);
        notes
            .into_iter()
            .chain(entries)
            .chain(torn)
            .chain(self.keys.patience_ms())
            .chain(self.orders.patience_ms(&self.core))
            .chain(self.shredding.patience_ms(&self.core))
            .chain(self.observed.patience_ms())
            .chain(self.transfers.patience_ms(&self.core))
            .min()
            .map(Duration::from_millis)
    }

    fn ready(&self) -> Ready {
        let announced = self.announced();
        let now_ms = self.core.clock.monotonic_millis();
        self.inbox
            .ready(now_ms, |log| announced.get(&log).copied().unwrap_or(0))
    }

    /// Where each log is said to end.
    fn announced(&self) -> BTreeMap<LogId, u64> {
        let links = self.core.links.lock();
        let heads = links.values().flat_map(|link| &link.announced);
        heads.map(|(log, seq)| (*log, *seq)).collect()
    }

    /// Keeps a note until the next commit; a newer one of the same subject takes its place.
    fn note(&mut self, note: Note) {
        if self.notes.is_empty() {
            self.notes_since = self.core.clock.monotonic_millis();
        }
        self.notes.insert(note.subject(), note);
    }

    /// Jobs in order; an import or an erasure, which read the store, have commits of their own.
    fn commit_jobs(&mut self) {
        let mut together = Vec::new();
        for job in std::mem::take(&mut self.jobs) {
            if let Command::Quarantine(QuarantineCommand::Retry { place, by }) = &job.command {
                self.commit_together(std::mem::take(&mut together));
                let outcome = ingest::retry(&self.core, &self.inbox, *place, by);
                answer(job.reply, outcome);
            } else if job.command.is_alone() {
                self.commit_together(std::mem::take(&mut together));
                self.commit_together(vec![job]);
            } else {
                together.push(job);
            }
        }
        self.commit_together(together);
    }

    fn commit_together(&mut self, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        let (commands, replies): (Vec<_>, Vec<_>) =
            jobs.into_iter().map(|job| (job.command, job.reply)).unzip();
        let mends = |command: &Command| matches!(command, Command::Repair(_));
        let mended = commands.iter().any(mends);
        let alone = commands.iter().any(Command::is_alone);
        let (core, notes, observed) = (&self.core, &self.notes, &self.observed);
        let roster = Arc::clone(&core.ledger().roster);
        // A fault in one document must not take the writer with it: the draft is dropped whole.
        let done = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let mut draft = Draft::new(core);
            let mut unread = None;
            let outcomes: Vec<_> = commands
                .into_iter()
                .map(|command| {
                    execute::may_write(core, &draft, &command)?;
                    let outcome = execute::execute(&mut draft, command);
                    if let Err(CommandFailed::StoreCannotWrite { reason }) = &outcome {
                        unread.get_or_insert_with(|| reason.clone());
                    }
                    outcome
                })
                .collect();
            // What could not be read may have left a command half done.
            if let Some(reason) = unread {
                return (Err(NotStored { reason }), outcomes);
            }
            // Nor may one of several steps that was refused at a later one.
            if alone && outcomes.iter().any(Result::is_err) {
                draft = Draft::new(core);
            }
            commit::notes(&mut draft, notes.values());
            observed.note(&mut draft);
            (commit::commit(draft), outcomes)
        }));
        let (committed, outcomes) = done.unwrap_or_else(|_| {
            tracing::error!("a command met a fault in the program and was not done");
            let reason = "a command of the same commit met a fault in the program".to_owned();
            (Err(NotStored { reason }), Vec::new())
        });
        if committed.is_ok() {
            seen::publish(&self.core, self.notes.values());
            self.notes.clear();
            self.observed.clear();
            // Entries of a document that was damaged have waited for it.
            if mended {
                self.entries = true;
                if self.inbox.wake(|_| true) {
                    self.core.ticks.send_modify(|tick| *tick += 1);
                }
            }
            self.wake(&roster);
        }
        let outcomes = outcomes
            .into_iter()
            .chain(std::iter::repeat_with(|| Ok(Done::Nothing)));
        for (reply, outcome) in replies.into_iter().zip(outcomes) {
            let outcome = match &committed {
                Ok(()) => outcome,
                #[cfg(feature = "testing")]
                Err(_) if planted(Planted::AnsweredBeforeFlush) => outcome,
                Err(failed) => Err(CommandFailed::from(failed)),
            };
            answer(reply, outcome);
        }
    }

    /// Lets logs try again that wait for their author, if a decision about members was made.
    fn wake(&mut self, before: &Arc<Roster>) {
        if Arc::ptr_eq(before, &self.core.ledger().roster) {
            return;
        }
        if self.inbox.wake(|waits| waits.document.is_none()) {
            self.core.ticks.send_modify(|tick| *tick += 1);
        }
        self.core.tell_waits(self.inbox.waiting());
        self.entries = true;
    }

    fn commit_entries(&mut self) {
        if !self.entries {
            return;
        }
        match self.ready() {
            Ready::Soon => return,
            Ready::No => {
                self.entries = false;
                return;
            }
            Ready::Yes => {}
        }
        let announced = self.announced();
        let now_ms = self.core.clock.monotonic_millis();
        let taken = self
            .inbox
            .take(now_ms, |log| announced.get(&log).copied().unwrap_or(0));
        if taken.is_empty() {
            self.entries = false;
            return;
        }
        ingest::absorb(&self.core, &self.inbox, taken);
    }

    /// Lets logs begin again whose entries could not be stored, unless the store takes none at all.
    fn mend(&mut self) {
        let torn = self.inbox.torn();
        let known = std::mem::replace(&mut self.torn, torn);
        if torn == 0 || self.core.store.condition() != Condition::Healthy {
            return;
        }
        let mended = self.inbox.mend(self.core.clock.monotonic_millis());
        if torn > known || mended {
            self.core.ticks.send_modify(|tick| *tick += 1);
        }
    }

    /// Sorts out what of an own log came back: what is not here goes the way of others' entries.
    fn take_back(&self, Returned { entries, reply }: Returned) {
        let log = entries.first().map(|entry| entry.header.log());
        let new = recovery::compare(&self.core, entries).unwrap_or_else(|failed| {
            tracing::error!(error = %commit::chain(&failed), "entries that came back could not be compared");
            Vec::new()
        });
        if let Some(log) = log {
            let end = self.core.ledger().end(log).seq;
            if new.first().is_some_and(|first| first.header.seq == end + 1) {
                self.inbox.drop_log(log, end);
            }
        }
        if reply.send(new).is_err() {
            tracing::debug!("the link that gave entries back has ended");
        }
    }

    fn judge_evidence(&mut self) {
        for evidence in std::mem::take(&mut self.evidence) {
            equivocation::judge(&self.core, &self.inbox, &evidence);
        }
    }

    fn commit_notes(&mut self, last: bool) {
        let due = self
            .core
            .clock
            .monotonic_millis()
            .saturating_sub(self.notes_since)
            >= NOTES_MS;
        if self.notes.is_empty() || !(due || last) {
            return;
        }
        let mut draft = Draft::new(&self.core);
        commit::notes(&mut draft, self.notes.values());
        let notes = std::mem::take(&mut self.notes);
        match commit::commit(draft) {
            Ok(()) => seen::publish(&self.core, notes.values()),
            Err(NotStored { reason }) => {
                tracing::warn!(reason, "acknowledgements were not kept; peers repeat them");
            }
        }
    }
}

fn answer(
    reply: oneshot::Sender<Result<Done, CommandFailed>>,
    outcome: Result<Done, CommandFailed>,
) {
    if reply.send(outcome).is_err() {
        tracing::debug!("a command was done and nobody waited for its answer");
    }
}

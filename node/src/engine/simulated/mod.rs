//! A node without threads, sockets and files: the engine itself, driven by hand.
//!
//! A [`SimulatedMachine`] is what outlives a process: disk, keys, configuration. A [`SimulatedNode`]
//! is one start of it; dropping it is a crash. Nothing happens by itself: commands wait until
//! [`SimulatedNode::pump`] lets the writer do what is there, and only [`Ticket::poll`] tells how it went.
//! Same disk, clock, entropy and calls: same bytes. Exists only with the feature `testing`.

mod facts;
mod look;
mod opened;
mod passing;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use raccordo_config::{Config, Invitation, Role, Territory};
use raccordo_crdt_model::{DocumentId, Heads, Kind, Patch};
use raccordo_transport::{Host, JoinAccepted, JoinRequest, NodeKey, PeerId, Pins};

use crate::clock::{Clock, Entropy, draw};
use crate::planted::{Planted, planted};
use crate::store::seal::{MemoryKeys, Vault};
use crate::store::{MemoryDisk, Store};

use super::host::NodeHost;
use super::import::{Carried, ImportPortion};
use super::import_file::ImportSession;
use super::inbox::{Inbox, Limits};
use super::node::{self, StartFailed};
use super::peers::PeerCommand;
use super::repair::RepairCommand;
use super::task::{Command, Done, Signal, Writer};
use super::view::{CommandFailed, ImportReport, ImportText, MemberState, Principal};
use super::{Engine, Hand, dial, found, put_back, roster, scrub};

/// Who decides about peers.
const ADMINISTRATOR: &str = "administrator";

pub use facts::{SignedFact, Stands, fact_body, rewritten, standings};
pub use look::{DocumentFacts, MemberFacts, Sizes, TerritoryFacts};
pub use opened::{opened, token_keys};

/// What outlives a process. A clone shares the disk; [`SimulatedMachine::copy`] does not.
#[derive(Debug, Clone)]
pub struct SimulatedMachine {
    /// Its disk, with faults on demand.
    pub disk: MemoryDisk,
    /// Which folder the disk is, as a node tells its own from a copy.
    folder: u64,
    /// Its configuration.
    pub config: Config,
    seed: [u8; 32],
    epochs: MemoryKeys,
    index_key: [u8; 32],
    inbox_bytes: usize,
}

/// One start of a machine.
#[derive(Debug)]
pub struct SimulatedNode {
    engine: Engine,
    host: Arc<NodeHost>,
    writer: Writer,
    signals: Receiver<Signal>,
}

/// What a command led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// A record was created or changed.
    Record(DocumentId),
    /// Lines were imported.
    Imported(ImportReport),
    /// A member's standing was decided.
    Member(PeerId),
    /// An invitation was made.
    Invited(String),
    /// It is done.
    Done,
}

type Answering = Pin<Box<dyn Future<Output = Result<Answered, CommandFailed>> + Send>>;

/// A command on its way.
pub struct Ticket(Option<Answering>);

/// An invitation read by the node that will use it: whom to ask, with which key, for what.
#[derive(Debug, Clone)]
pub struct Asking {
    /// The node that invites.
    pub sponsor: PeerId,
    /// The key that the invitation gives for one connection.
    pub one_time: PeerId,
    /// What is asked for.
    pub request: JoinRequest,
    invitation: Invitation,
}

impl SimulatedMachine {
    /// Founds a node on an empty disk. `inbox_bytes` is the most that waits of one log.
    pub fn found(
        config: Config,
        entropy: &dyn Entropy,
        inbox_bytes: usize,
    ) -> Result<Self, StartFailed> {
        let machine = Self {
            disk: MemoryDisk::new(),
            folder: 0,
            config,
            seed: draw(entropy),
            epochs: MemoryKeys::new(draw(entropy)),
            index_key: draw(entropy),
            inbox_bytes,
        };
        let store = Store::on_memory_disk(&machine.disk, 0)?;
        found::found_rows(&store, entropy)?;
        Ok(machine)
    }

    /// The node's id.
    pub fn id(&self) -> PeerId {
        NodeKey::from_seed(self.seed).public()
    }

    /// The same machine with a disk of its own: a backup, or a clone.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            disk: self.disk.copy(),
            folder: self.folder + 1,
            epochs: self.epochs.copy(),
            ..self.clone()
        }
    }

    /// Puts the folder back as an older copy has it: the disk, and the keys of its time.
    pub fn put_back(&mut self, older: &Self) {
        self.disk = older.disk.copy();
        self.epochs = older.epochs.copy();
        self.folder = self.folder.max(older.folder) + 1;
    }

    /// Starts the node with what is on the disk.
    pub fn start(
        &self,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<SimulatedNode, StartFailed> {
        if planted(Planted::SkippedFlush) {
            self.disk.skip_flushes();
        }
        let store = Store::on_memory_disk(&self.disk, 0)?;
        let vault = Vault::in_memory(node::lineage(&store)?, &self.epochs, &self.index_key);
        let key = NodeKey::from_seed(self.seed);
        let core = node::assemble(self.config.clone(), key, store, vault, clock, entropy)?;
        let core = Arc::new(put_back::looked_at_in(
            core,
            self.folder.to_be_bytes().to_vec(),
        )?);
        let inbox = Arc::new(Inbox::new(Limits::scaled_to(self.inbox_bytes)));
        let (sender, signals) = mpsc::channel();
        let hand = Hand::new(sender);
        Ok(SimulatedNode {
            engine: Engine {
                core: Arc::clone(&core),
                hand: hand.clone(),
            },
            writer: Writer::new(Arc::clone(&core), Arc::clone(&inbox)),
            host: Arc::new(NodeHost { core, inbox, hand }),
            signals,
        })
    }
}

impl SimulatedNode {
    /// The node's id.
    pub fn id(&self) -> PeerId {
        self.engine.core.id
    }

    /// This start's incarnation.
    pub fn incarnation(&self) -> [u8; 8] {
        self.engine.core.incarnation()
    }

    /// What sessions speak with.
    pub fn host(&self) -> Arc<dyn Host> {
        Arc::clone(&self.host) as Arc<dyn Host>
    }

    /// Whether a handshake with this key would succeed now.
    pub fn admits(&self, key: &PeerId) -> bool {
        Pins::admits(&*self.host, key)
    }

    /// The handle; what it reads from memory needs no runtime.
    pub fn engine(&self) -> Engine {
        self.engine.clone()
    }

    /// Whom this node dials.
    pub fn upstream(&self) -> Vec<PeerId> {
        dial::upstream(&self.engine.core)
            .map(|(peer, _)| peer)
            .collect()
    }

    /// Lets the writer do what waits, in as many commits as that takes. Returns after how many
    /// milliseconds it wants to look again, if something is left that time alone makes due.
    pub fn pump(&mut self) -> Option<u64> {
        loop {
            let signal = self.signals.try_recv().ok();
            let came = signal.is_some();
            let more = self.writer.take(signal, &self.signals);
            self.writer.commit_all(false);
            let patience = self.writer.patience();
            let due = patience.is_some_and(|wait| wait.is_zero());
            if !more || !(came || due) {
                return patience.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            }
        }
    }

    /// Creates a record.
    pub fn create(&self, kind: Kind, fields: serde_json::Value, by: &str) -> Ticket {
        let by = by.to_owned();
        self.submit(Command::Create {
            kind,
            fields,
            by,
            blind: false,
        })
    }

    /// Changes a record, at the version `base` if one is given.
    pub fn patch(
        &self,
        kind: Kind,
        id: DocumentId,
        patch: Patch,
        base: Option<Heads>,
        by: &str,
    ) -> Ticket {
        self.submit(Command::Patch {
            kind,
            id,
            patch,
            base,
            by: by.to_owned(),
            blind: false,
        })
    }

    /// Erases a record for good.
    pub fn erase(&self, kind: Kind, id: DocumentId, by: &str) -> Ticket {
        self.submit(Command::Erase {
            kind,
            id,
            reason: "the storage period is over".to_owned(),
            by: by.to_owned(),
        })
    }

    /// Imports lines as a file of their own, in one commit; what cannot be read is left out.
    pub fn import(&self, lines: Vec<ImportText>) -> Ticket {
        let (records, _) = ImportSession::default().read(lines);
        self.submit(Command::Import(ImportPortion {
            records,
            by: Arc::new(Principal::office("import")),
            dry_run: false,
            carried: Carried::default(),
            keep: true,
        }))
    }

    /// Makes an invitation.
    pub fn invite(&self, territory: Territory, role: Role, approved: bool) -> Ticket {
        let engine = self.engine();
        Ticket::of(async move {
            let made = engine
                .invite(territory, role, 86_400, approved, ADMINISTRATOR)
                .await?;
            Ok(Answered::Invited(made.invitation))
        })
    }

    /// Moves a member to a standing.
    pub fn move_member(&self, key: PeerId, to: MemberState) -> Ticket {
        let reason = None;
        self.decide(PeerCommand::Move { key, to, reason })
    }

    /// Of several nodes with a member's key, lets the one in that began with this incarnation.
    pub fn choose(&self, key: PeerId, incarnation: [u8; 8]) -> Ticket {
        let incarnation = data_encoding::HEXLOWER.encode(&incarnation);
        self.decide(PeerCommand::Choose { key, incarnation })
    }

    /// Reads all stored documents, as is done a few at a time; what does not hold is reported. None if
    /// all hold, or are known not to.
    pub fn scrub(&self) -> Option<Ticket> {
        let (mut next, mut found) = (None, Vec::new());
        loop {
            let step = scrub::step(&self.engine.core, next, u32::MAX);
            found.extend(step.damaged);
            next = step.next;
            if next.is_none() {
                break;
            }
        }
        let report = Command::Repair(RepairCommand::Damaged(found.clone()));
        (!found.is_empty()).then(|| self.submit(report))
    }

    /// What to ask the inviting node for; none if the invitation cannot be read.
    pub fn asking(&self, invitation: &str) -> Option<Asking> {
        let config = self.engine.core.config();
        let territory = config.node.territory.to_string();
        self.asking_for(invitation, self.id(), &territory, config.node.role)
    }

    /// The same for a guest that is no node of ours.
    pub fn asking_for(
        &self,
        invitation: &str,
        guest: PeerId,
        territory: &str,
        role: Role,
    ) -> Option<Asking> {
        let invitation = Invitation::parse(invitation).ok()?;
        let sponsor = PeerId::from_bytes(invitation.coordination);
        Some(Asking {
            sponsor,
            one_time: NodeKey::one_time(&invitation.secret, &sponsor).public(),
            request: JoinRequest {
                real: guest,
                name: territory.to_owned(),
                territory: territory.to_owned(),
                role: roster::role_code(role),
            },
            invitation,
        })
    }

    /// Pins the node that accepted what was asked for.
    pub fn adopt(&self, asking: &Asking, accepted: JoinAccepted) -> Ticket {
        let links = &self.engine.core.links;
        links.regarded(&asking.sponsor, accepted.standing);
        let sponsor = self.engine.sponsor(&asking.invitation, accepted);
        self.decide(PeerCommand::Adopt { sponsor })
    }

    /// Puts another configuration in force.
    pub fn reconfigure(&self, change: impl FnOnce(&mut Config)) {
        let core = &self.engine.core;
        let mut config = Config::clone(&core.config());
        change(&mut config);
        *core.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        core.ticks.send_modify(|tick| *tick += 1);
    }

    fn decide(&self, command: PeerCommand) -> Ticket {
        self.submit(Command::Peer(command, ADMINISTRATOR.to_owned()))
    }

    fn submit(&self, command: Command) -> Ticket {
        let hand = self.engine.hand.clone();
        Ticket::of(async move { hand.submit(command).await.map(Answered::from) })
    }
}

impl Ticket {
    /// Starts the work as far as it goes without the writer.
    fn of(work: impl Future<Output = Result<Answered, CommandFailed>> + Send + 'static) -> Self {
        Self(Some(Box::pin(work)))
    }

    /// Hands the command over, at the first call; later the answer, once, when there is one.
    pub fn poll(&mut self) -> Option<Result<Answered, CommandFailed>> {
        let work = self.0.as_mut()?;
        let answer = match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => answer,
            Poll::Pending => return None,
        };
        self.0 = None;
        Some(answer)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = self.0.is_some();
        formatter.debug_tuple("Ticket").field(&waits).finish()
    }
}

impl From<Done> for Answered {
    fn from(done: Done) -> Self {
        match done {
            Done::Record(id) => Self::Record(id),
            Done::Imported(report, _) => Self::Imported(report),
            Done::Member(member) => Self::Member(member.key),
            Done::Nothing => Self::Done,
        }
    }
}

//! The engine: the one door through which records change, and the view of what they became.
//!
//! [`Engine`] is a cheap handle. Writes go to a single writer (`task`), which prepares, commits
//! and only then answers and announces; reads go beside it to what is committed. Local commands
//! (`local`, `import`, `peers`, `tokens`) and remote entries (`ingest`) meet in `draft`.
//! Does not know HTTP, arguments or formats.

mod admission;
mod audit;
mod commit;
mod core;
mod dial;
mod draft;
mod fields;
mod found;
mod host;
mod import;
mod inbox;
mod ingest;
mod ledger;
mod links;
mod local;
mod node;
mod overview;
mod peers;
mod project;
mod read;
mod report;
mod roster;
mod rows;
mod task;
mod tokens;
mod view;

use std::net::SocketAddr;
use std::sync::mpsc::Sender;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use data_encoding::HEXLOWER;
use raccordo_config::{Config, Invitation, Role, Territory};
use raccordo_crdt_model::{DocumentId, Heads, Kind, Patch, UnixMillis};
use raccordo_transport::{CloseReason, Endpoint, NodeKey, PeerId};
use tokio::sync::{Semaphore, broadcast, oneshot};

use self::core::Core;
use self::import::ImportWindow;
use self::peers::{InvitationRow, PeerCommand};
use self::roster::Member;
use self::task::{Command, Done, Job, Signal};
use self::tokens::TokenCommand;
use crate::clock::draw;

pub use self::core::ReadFailed;
pub use self::fields::BadRow;
pub use self::found::{InitFailed, init};
pub use self::import::{ImportSession, WINDOW_LINES_MAX};
pub use self::node::{Node, NodeOptions, StartFailed};
pub use self::view::*;

/// Commands that may wait for the writer; more wait outside.
const WAITING_MAX: usize = 1_024;
/// How long an invitation may take to be redeemed.
const JOIN_MAX: Duration = Duration::from_secs(10);

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
        };
        self.written(kind, command).await
    }

    /// One record.
    pub async fn record(&self, kind: Kind, id: DocumentId) -> Result<RecordView, CommandFailed> {
        self.read(move |core| read::record(core, kind, id)).await
    }

    /// The document that a unique prefix of its id, or the office's own number, names.
    pub async fn resolve(
        &self,
        kind: Kind,
        id_or_reference: &str,
        territory: Option<&str>,
    ) -> Result<DocumentId, CommandFailed> {
        let (name, territory) = (id_or_reference.to_owned(), territory.map(str::to_owned));
        self.read(move |core| read::resolve(core, kind, &name, territory.as_deref()))
            .await
    }

    /// A page of records, newest change first.
    pub async fn list(
        &self,
        kind: Kind,
        query: ListQuery,
    ) -> Result<Page<RecordView>, CommandFailed> {
        self.read(move |core| read::list(core, kind, &query)).await
    }

    /// A page of list lines, newest change first.
    pub async fn cards(
        &self,
        kind: Kind,
        query: ListQuery,
    ) -> Result<Page<RecordCard>, CommandFailed> {
        self.read(move |core| read::cards(core, kind, &query)).await
    }

    /// Who changed what, when; oldest first.
    pub async fn history(
        &self,
        kind: Kind,
        id: DocumentId,
    ) -> Result<Vec<HistoryView>, CommandFailed> {
        self.read(move |core| read::history(core, kind, id)).await
    }

    /// Every record of a kind as an import line, sorted by reference.
    pub async fn export(&self, kind: Kind) -> Result<Vec<String>, CommandFailed> {
        self.read(move |core| read::export(core, kind)).await
    }

    /// Imports a window of at most [`WINDOW_LINES_MAX`] lines, in file order; durable when it returns.
    pub async fn import(
        &self,
        lines: Vec<ImportText>,
        dry_run: bool,
        session: &mut ImportSession,
    ) -> Result<ImportReport, CommandFailed> {
        let mut own = std::mem::take(session);
        let reading = tokio::task::spawn_blocking(move || {
            let parsed = own.read(lines);
            (own, parsed)
        });
        let (mut own, lines) = reading.await.map_err(|_| CommandFailed::Stopping)?;
        let rehearsed = std::mem::take(own.rehearsed());
        let window = ImportWindow {
            lines,
            dry_run,
            rehearsed,
        };
        match self.hand.submit(Command::Import(window)).await? {
            Done::Imported(report, rehearsed) => {
                *own.rehearsed() = rehearsed;
                *session = own;
                Ok(report)
            }
            _ => Err(CommandFailed::Stopping),
        }
    }

    /// The merged view; a district's own territory alone.
    pub fn overview(&self) -> OverviewView {
        report::overview(&self.core)
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
        *self
            .core
            .config
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        self.core.ticks.send_modify(|tick| *tick += 1);
    }

    /// Members other than this node.
    pub fn peers(&self) -> Vec<PeerView> {
        report::peers(&self.core)
    }

    /// Members that wait for approval.
    pub fn pending(&self) -> Vec<PeerView> {
        let waiting = |peer: &PeerView| peer.state == MemberState::Pending.word();
        self.peers().into_iter().filter(waiting).collect()
    }

    /// Makes an invitation, single use; only its public half is kept.
    pub async fn invite(
        &self,
        territory: Territory,
        role: Role,
        expires_in_s: u64,
        approved: bool,
    ) -> Result<InvitationView, CommandFailed> {
        let config = self.core.config();
        let own = &config.node.territory;
        if !territory.to_string().starts_with(&format!("{own}/")) {
            let detail =
                format!("{territory} is not below {own}: this coordination invites {own}/… alone");
            return Err(CommandFailed::Peer {
                code: "other_territory",
                detail,
            });
        }
        if !(1..=7 * 86_400).contains(&expires_in_s) {
            let detail = format!("an invitation of {expires_in_s} s: 1 s to 7 days are allowed");
            return Err(CommandFailed::Malformed { detail });
        }
        let secret = draw(&*self.core.entropy);
        let expires_s =
            u64::try_from(self.core.clock.unix_millis()).unwrap_or_default() / 1_000 + expires_in_s;
        let expires_at = UnixMillis(i64::try_from(expires_s * 1_000).unwrap_or(i64::MAX));
        let one_time = NodeKey::one_time(&secret, &self.core.id).public();
        let text = territory.to_string();
        let invitation = InvitationRow {
            territory: text.clone(),
            role,
            expires_ms: expires_at.0,
            approved,
            redeemed_by: None,
        };
        self.hand
            .submit(Command::Peer(PeerCommand::Invite {
                one_time,
                invitation,
            }))
            .await?;
        let invitation = Invitation {
            coordination: *self.core.id.as_bytes(),
            address: self.advertised(),
            secret,
            expires_at_s: expires_s,
            territory,
            role,
        };
        Ok(InvitationView {
            invitation: invitation.encode(),
            territory: text,
            expires_at,
        })
    }

    /// Redeems an invitation within ten seconds, or keeps nothing.
    pub async fn join(&self, invitation: &str) -> Result<PeerView, CommandFailed> {
        let refuse = |code, detail: String| Err(CommandFailed::Peer { code, detail });
        let invitation = match Invitation::parse(invitation.trim()) {
            Ok(invitation) => invitation,
            Err(bad) => return refuse("invitation_malformed", bad.to_string()),
        };
        let config = self.core.config();
        if invitation.territory != config.node.territory {
            let (theirs, ours) = (&invitation.territory, &config.node.territory);
            return refuse(
                "other_territory",
                format!("the invitation is for {theirs}, and this node is of {ours}"),
            );
        }
        let now_s = u64::try_from(self.core.clock.unix_millis()).unwrap_or_default() / 1_000;
        if invitation.expires_at_s <= now_s {
            return refuse(
                "invitation_expired",
                "the invitation has expired: ask the coordination for a new one".to_owned(),
            );
        }
        let accepted = match tokio::time::timeout(JOIN_MAX, self.redeem(&invitation)).await {
            Ok(redeemed) => redeemed?,
            Err(_) => {
                let address = &invitation.address;
                return refuse(
                    "unreachable",
                    format!(
                        "{address} did not answer within 10 s: is the coordination running and reachable?"
                    ),
                );
            }
        };
        let key = PeerId::from_bytes(invitation.coordination);
        self.core.links.regarded(&key, accepted.standing);
        let coordination = Member {
            key,
            territory: accepted.territory,
            role: Role::Coordination,
            name: accepted.name,
            state: MemberState::Approved,
            since_ms: self.core.clock.unix_millis(),
            reason: None,
            address: Some(invitation.address),
        };
        match self
            .hand
            .submit(Command::Peer(PeerCommand::Adopt { coordination }))
            .await?
        {
            Done::Member(member) => Ok(report::peer(&self.core, &self.core.ledger(), &member)),
            _ => Err(CommandFailed::Stopping),
        }
    }

    /// Approves a pending member.
    pub async fn peer_approve(&self, id_prefix: &str) -> Result<PeerView, CommandFailed> {
        self.move_peer(id_prefix, MemberState::Approved, None).await
    }

    /// Turns a pending member away, for good.
    pub async fn peer_reject(&self, id_prefix: &str) -> Result<PeerView, CommandFailed> {
        let key = self.peer_key(id_prefix)?;
        let pending = self
            .core
            .ledger()
            .roster
            .member(&key)
            .is_some_and(|m| m.state == MemberState::Pending);
        if !pending {
            let detail = format!("{} is not pending: revoke it instead", key.short());
            return Err(CommandFailed::Peer {
                code: "state_cannot_follow",
                detail,
            });
        }
        self.move_peer(id_prefix, MemberState::Revoked, Some(roster::REJECTED))
            .await
    }

    /// Pauses a member.
    pub async fn peer_suspend(&self, id_prefix: &str) -> Result<PeerView, CommandFailed> {
        self.move_peer(id_prefix, MemberState::Suspended, None)
            .await
    }

    /// Lets a paused member back.
    pub async fn peer_resume(&self, id_prefix: &str) -> Result<PeerView, CommandFailed> {
        self.move_peer(id_prefix, MemberState::Approved, None).await
    }

    /// Ends a membership for good; its connections close at once.
    pub async fn peer_revoke(
        &self,
        id_prefix: &str,
        reason: &str,
    ) -> Result<PeerView, CommandFailed> {
        self.move_peer(id_prefix, MemberState::Revoked, Some(reason))
            .await
    }

    /// Makes an access token and returns it, once.
    pub async fn create_token(&self, name: &str) -> Result<String, CommandFailed> {
        let secret: [u8; 32] = draw(&*self.core.entropy);
        let token = format!("rct_{}", HEXLOWER.encode(&secret));
        let hash = tokens::hash_of(&token);
        let command = TokenCommand::Create {
            name: name.to_owned(),
            hash,
        };
        self.hand.submit(Command::Token(command)).await?;
        Ok(token)
    }

    /// All access tokens, by name, without their secrets.
    pub async fn tokens(&self) -> Result<Vec<TokenView>, CommandFailed> {
        self.read(|core| Ok(tokens::all(core)?)).await
    }

    /// Ends an access token.
    pub async fn revoke_token(&self, name: &str) -> Result<(), CommandFailed> {
        self.hand
            .submit(Command::Token(TokenCommand::Revoke {
                name: name.to_owned(),
            }))
            .await
            .map(|_| ())
    }

    /// Who holds this token; none if nobody.
    pub async fn check_token(&self, token: &str) -> Option<Principal> {
        let token = token.to_owned();
        let name = self
            .read(move |core| Ok(tokens::name_of(core, &token)?))
            .await;
        name.ok().flatten().map(|name| Principal { name })
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

    async fn move_peer(
        &self,
        id_prefix: &str,
        to: MemberState,
        reason: Option<&str>,
    ) -> Result<PeerView, CommandFailed> {
        let key = self.peer_key(id_prefix)?;
        let command = PeerCommand::Move {
            key,
            to,
            reason: reason.map(str::to_owned),
        };
        let Done::Member(member) = self.hand.submit(Command::Peer(command)).await? else {
            return Err(CommandFailed::Stopping);
        };
        if let Some(endpoint) = self.core.endpoint() {
            match to {
                MemberState::Revoked => endpoint.close(&key, CloseReason::Revoked),
                MemberState::Suspended => endpoint.close(&key, CloseReason::Suspended),
                MemberState::Approved | MemberState::Pending => {}
            }
        }
        Ok(report::peer(&self.core, &self.core.ledger(), &member))
    }

    fn peer_key(&self, id_prefix: &str) -> Result<PeerId, CommandFailed> {
        let prefix = id_prefix.to_lowercase();
        if prefix.len() < 8 {
            let detail = format!("{id_prefix} is too short: at least 8 digits of the node's id");
            return Err(CommandFailed::Malformed { detail });
        }
        let ledger = self.core.ledger();
        let mut found = ledger
            .roster
            .iter()
            .filter(|m| m.key.to_string().starts_with(&prefix));
        match (found.next(), found.next()) {
            (Some(member), None) => Ok(member.key),
            (Some(_), Some(_)) => Err(CommandFailed::Malformed {
                detail: format!("{id_prefix} names several peers: give more digits"),
            }),
            (None, _) => Err(CommandFailed::NotFound {
                kind: "peer",
                id: id_prefix.to_owned(),
            }),
        }
    }

    async fn redeem(
        &self,
        invitation: &Invitation,
    ) -> Result<raccordo_transport::JoinAccepted, CommandFailed> {
        let failed = |code, detail: String| CommandFailed::Peer { code, detail };
        let address = dial::resolve(&invitation.address).await.ok_or_else(|| {
            failed(
                "unreachable",
                format!(
                    "{} is no address that this machine can find",
                    invitation.address
                ),
            )
        })?;
        let coordination = PeerId::from_bytes(invitation.coordination);
        let one_time = NodeKey::one_time(&invitation.secret, &coordination);
        let config = self.core.config();
        let territory = config.node.territory.to_string();
        let role = roster::role_code(config.node.role);
        let key = &self.core.node_key;
        let redeemed = Endpoint::redeem(
            address,
            coordination,
            &one_time,
            key,
            &config.node.name,
            &territory,
            role,
        );
        redeemed
            .await
            .map_err(|reason| failed(dial::join_code(&reason), commit::chain(&reason)))
    }

    /// What invitations carry: the configured address, or the one bound.
    fn advertised(&self) -> String {
        let configured = self.core.config().network.advertise.clone();
        configured.unwrap_or_else(|| {
            let bound = self
                .core
                .bound
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .0
                .clone();
            match bound.parse::<SocketAddr>() {
                Ok(address) if address.ip().is_unspecified() => {
                    format!("127.0.0.1:{}", address.port())
                }
                _ => bound,
            }
        })
    }
}

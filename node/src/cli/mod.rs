//! The command line as typed: clap types and nothing else.
//!
//! `meant` turns words into values (territories, durations, kinds), `dispatch` chooses the
//! command, and each command's file does it through the HTTP interface of the node, so that a
//! command on a running node and one on a node at rest are the same code.

mod api;
mod config;
mod demo;
pub mod dispatch;
mod export;
mod import;
mod init;
mod meant;
mod overview;
mod peer;
mod print;
mod publish;
mod record;
mod run;
mod socket;
mod status;
mod table;
mod token;
mod transfer;
mod trust;
mod user;

pub use transfer::{TransferArguments, TransferCommand};

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use raccordo_config::{Role, StoreEngine, Territory};
use raccordo_crdt_model::Kind;

/// One district's records, on its own disk, replicated to its peers.
#[derive(Debug, Parser)]
#[command(name = "raccordo", version, propagate_version = true)]
pub struct Arguments {
    /// The node's folder [default: ./raccordo-data; for the demo ./raccordo-demo]
    #[arg(long, global = true, value_name = "DIR", env = "RACCORDO_DATA")]
    pub data: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a whole federation on this machine: a coordination and four districts
    Demo(DemoArguments),
    /// Found a new node: folder, key, raccordo.toml
    Init(InitArguments),
    /// Run the node in the foreground
    Run(RunArguments),
    /// Print the node's id
    Id(Format),
    /// Print one invitation, for one use: a coordination for a node below it, a district's node for a
    /// further device of its own
    Invite(InviteArguments),
    /// Redeem an invitation
    Join(JoinArguments),
    /// See and administer the node's peers, live
    #[command(subcommand)]
    Peer(PeerCommand),
    /// Refused entries: see them, admit them once more, or go on without them
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Show records of people again that are held back because this folder was put back or copied
    Recover(RecoverArguments),
    /// Erase a record for good, here and at every peer; a person or household with all that is theirs
    Erase(EraseArguments),
    /// Publish counts of what stays in the territory, and choose whether new projects stay as well
    Publish(PublishArguments),
    /// Check or show the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Take records in, one JSON operation a line
    Import(ImportArguments),
    /// Write out what this node may show
    Export(ExportArguments),
    /// Read single records
    #[command(subcommand)]
    Record(RecordCommand),
    /// Hand a project over to another district, or take one over
    #[command(subcommand)]
    Transfer(TransferCommand),
    /// Show the merged view, with the age of every part
    Overview(OverviewArguments),
    /// Show the node, its store and its peers
    Status(Format),
    /// Print the node's measurements (Prometheus text)
    Metrics(Format),
    /// Programs that may use this node
    #[command(subcommand)]
    Token(TokenCommand),
    /// People who may use this node
    #[command(subcommand)]
    User(UserCommand),
    /// The hash-chained log of who did and read what
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// How to print what was read.
#[derive(Debug, Clone, Copy, Args)]
pub struct Format {
    /// Print one JSON document and nothing else
    #[arg(long)]
    pub json: bool,
}

/// `demo`
#[derive(Debug, Args)]
pub struct DemoArguments {
    /// Projects a district
    #[arg(long, value_name = "N", default_value_t = 250)]
    pub records: u32,
    /// First of five HTTP ports in a row; 0 takes free ones [default: 8080]
    #[arg(long, value_name = "PORT")]
    pub http_base: Option<u16>,
    /// First of five QUIC ports in a row; 0 takes free ones [default: 7440]
    #[arg(long, value_name = "PORT")]
    pub listen_base: Option<u16>,
}

/// `init`
#[derive(Debug, Args)]
pub struct InitArguments {
    /// The territory it keeps, for example frosinone/a
    #[arg(long, value_parser = meant::territory)]
    pub territory: Territory,
    /// district or coordination
    #[arg(long, value_parser = meant::role)]
    pub role: Role,
    /// The name that people read, for example "Distretto A"
    #[arg(long)]
    pub name: String,
    /// Where peers reach it (UDP); port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:7440")]
    pub listen: SocketAddr,
    /// Where people and programs reach it; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    pub http: SocketAddr,
    /// What invitations carry, where that differs from the listen address
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// Storage engine: sled or redb
    #[arg(long, value_name = "ENGINE", default_value = "sled", value_parser = meant::store_engine)]
    pub store: StoreEngine,
    /// How to print the new node's id.
    #[command(flatten)]
    pub format: Format,
}

/// `run`
#[derive(Debug, Args)]
pub struct RunArguments {
    /// Also stop when standard input closes, so that no child outlives its parent
    #[arg(long, hide = true)]
    pub stop_with_stdin: bool,
}

/// `invite`
#[derive(Debug, Args)]
pub struct InviteArguments {
    /// For which territory
    #[arg(long, value_parser = meant::territory)]
    pub territory: Territory,
    /// For which role
    #[arg(long, value_parser = meant::role, default_value = "district")]
    pub role: Role,
    /// Good for how long, at most 7d
    #[arg(long, value_name = "DURATION", default_value = "72h", value_parser = meant::expiry)]
    pub expires: u64,
    /// Spare the second step: whoever redeems it is approved at once (for scripts)
    #[arg(long)]
    pub approved: bool,
    /// How to print it.
    #[command(flatten)]
    pub format: Format,
}

/// `join`
#[derive(Debug, Args)]
pub struct JoinArguments {
    /// The text that the inviting node's administrator handed over
    pub invitation: String,
    /// How to print the new peer.
    #[command(flatten)]
    pub format: Format,
}

/// `peer …`
#[derive(Debug, Subcommand)]
pub enum PeerCommand {
    /// All peers and how they are
    List(Format),
    /// Peers that wait for approval
    Pending(Format),
    /// Let a pending peer in
    Approve(PeerArguments),
    /// Turn a pending peer away
    Reject(PeerArguments),
    /// Vouch for a node of a district that the coordination alone let in, once its id was compared by
    /// telephone: from then on what is for its district is sealed to it too
    Confirm(PeerArguments),
    /// Pause a peer: nothing goes either way until it is resumed
    Suspend(PeerArguments),
    /// End a pause
    Resume(PeerArguments),
    /// Compare every document shared with a peer now; `status` shows whether both hold the same
    Verify(PeerArguments),
    /// End a membership for good
    Revoke {
        /// Which peer, and how to print it.
        #[command(flatten)]
        peer: PeerArguments,
        /// Why; kept in the signed roster
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Two nodes use one peer's key: say which of them is let in
    Choose {
        /// Which peer, and how to print it.
        #[command(flatten)]
        peer: PeerArguments,
        /// The first digits of its incarnation, as `peer explain` shows it
        #[arg(long, value_name = "PREFIX")]
        incarnation: String,
    },
    /// Say in words how a peer is, why, and whose move it is
    Explain(PeerArguments),
    /// Show what a peer is sent, or narrow it; facts about members always go
    Scope(ScopeArguments),
}

/// `peer scope`
#[derive(Debug, Args)]
pub struct ScopeArguments {
    /// Which peer, and how to print it.
    #[command(flatten)]
    pub peer: PeerArguments,
    /// Only what these territories wrote, and those within them; may be repeated
    #[arg(long, value_parser = meant::territory)]
    pub territory: Vec<Territory>,
    /// Only these lanes: shared, territory, everyone, pair; may be repeated
    #[arg(long, value_parser = meant::lane)]
    pub lane: Vec<String>,
    /// Send all that the peer may have again
    #[arg(long, conflicts_with_all = ["territory", "lane"])]
    pub all: bool,
}

/// One peer.
#[derive(Debug, Args)]
pub struct PeerArguments {
    /// Its id, or a unique beginning of at least 8 digits
    #[arg(value_parser = meant::id_prefix)]
    pub id: String,
    /// How to print it.
    #[command(flatten)]
    pub format: Format,
}

/// `recover`
#[derive(Debug, Args)]
pub struct RecoverArguments {
    /// No node of the federation is left that could tell what was erased since; what this copy
    /// remembers is shown
    #[arg(long, required = true)]
    pub without_peers: bool,
    /// Why; kept in the audit log
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// `quarantine …`
#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// All refused entries
    List(Format),
    /// One of them with its signature, content and reason
    Show {
        /// Log and number, as the list shows them
        #[arg(value_name = "LOG/SEQ")]
        id: String,
        /// How to print it.
        #[command(flatten)]
        format: Format,
    },
    /// Admit it once more, as after an upgrade
    Retry {
        /// Log and number, as the list shows them
        #[arg(value_name = "LOG/SEQ")]
        id: String,
    },
    /// Record its headers without content and let its log go on
    Discard {
        /// Log and number, as the list shows them
        #[arg(value_name = "LOG/SEQ")]
        id: String,
        /// Why; kept in the audit log
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// `publish`
#[derive(Debug, Args)]
pub struct PublishArguments {
    /// From now on new projects and activities are shared with the coordination (records) or stay
    /// in the territory, which tells counts alone (aggregates); without it that stays as it is
    #[arg(long, value_parser = ["records", "aggregates"])]
    pub level: Option<String>,
    /// How to print what is published.
    #[command(flatten)]
    pub format: Format,
}

/// `erase SUBJECT --reason TEXT`, `erase status`, `erase proposals`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct EraseArguments {
    /// See what was erased and who has carried it out
    #[command(subcommand)]
    pub command: Option<EraseCommand>,
    /// The document's id (or a unique beginning of at least 8 digits), or the office's ref
    #[arg(value_name = "SUBJECT", required = true)]
    pub id: Option<String>,
    /// Why, at most 500 characters; it is signed and goes to every peer
    #[arg(long, value_name = "TEXT", required = true)]
    pub reason: Option<String>,
    /// Its kind, where the name alone does not tell
    #[arg(long, value_name = "KIND", value_parser = meant::kind)]
    pub kind: Option<Kind>,
    /// Decides when several territories use the same ref
    #[arg(long, value_parser = meant::territory)]
    pub territory: Option<Territory>,
    /// How to print the receipts.
    #[command(flatten)]
    pub format: Format,
}

/// `erase …`
#[derive(Debug, Subcommand)]
pub enum EraseCommand {
    /// All erasures and the receipts of every peer, or one of them
    Status(EraseStatusArguments),
    /// Records whose period of retention is over; erase them one by one, or not
    Proposals(Format),
}

/// `erase status`
#[derive(Debug, Args)]
pub struct EraseStatusArguments {
    /// The id of an order or of an erased record, or a beginning of it of at least 8 digits
    pub id: Option<String>,
    /// Write the certificate there, as text in Italian and English
    #[arg(long, value_name = "FILE", requires = "id")]
    pub certificate: Option<PathBuf>,
    /// How to print it.
    #[command(flatten)]
    pub format: Format,
}

/// `config …`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Report every problem of a configuration at once
    Check {
        /// The file [default: the node's own raccordo.toml]
        file: Option<PathBuf>,
        /// How to print the problems.
        #[command(flatten)]
        format: Format,
    },
    /// Show the configuration in force
    Show(Format),
}

/// `import`
#[derive(Debug, Args)]
pub struct ImportArguments {
    /// JSON Lines, UTF-8; - reads standard input
    pub file: PathBuf,
    /// Check everything, keep nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Write the refused lines there as they came, each with the reasons
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
    /// How to print the counts.
    #[command(flatten)]
    pub format: Format,
}

/// `export`
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// Which kind of record; projects where none is named
    #[arg(long, value_name = "KIND", value_parser = meant::kind)]
    pub kind: Option<Kind>,
    /// File format
    #[arg(long, default_value = "jsonl", value_parser = ["jsonl", "csv"])]
    pub format: String,
    /// Write there instead of to standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `record …`
#[derive(Debug, Subcommand)]
pub enum RecordCommand {
    /// One record as it stands
    Show(RecordArguments),
    /// Many records, newest change first
    List(RecordListArguments),
    /// Who changed what, when; oldest first
    History(RecordArguments),
}

/// One record.
#[derive(Debug, Args)]
pub struct RecordArguments {
    /// Its kind, for example project
    #[arg(value_parser = meant::kind)]
    pub kind: Kind,
    /// The document's id (or a unique beginning of at least 8 digits), or the office's ref
    pub id: String,
    /// Decides when several territories use the same ref
    #[arg(long, value_parser = meant::territory)]
    pub territory: Option<Territory>,
    /// How to print it.
    #[command(flatten)]
    pub format: Format,
}

/// `record list`
#[derive(Debug, Args)]
pub struct RecordListArguments {
    /// Which kind, for example project
    #[arg(value_parser = meant::kind)]
    pub kind: Kind,
    /// Only this territory
    #[arg(long, value_parser = meant::territory)]
    pub territory: Option<Territory>,
    /// Only this state, for example active
    #[arg(long)]
    pub state: Option<String>,
    /// Matches ref, provider and host
    #[arg(long, value_name = "TEXT")]
    pub q: Option<String>,
    /// Only what changed at or after this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub updated_since: Option<String>,
    /// Items a page, 1 to 500
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: u32,
    /// `next` of the page before
    #[arg(long)]
    pub cursor: Option<String>,
    /// How to print the page.
    #[command(flatten)]
    pub format: Format,
}

/// `overview`
#[derive(Debug, Args)]
pub struct OverviewArguments {
    /// Only this territory
    #[arg(long, value_parser = meant::territory)]
    pub territory: Option<Territory>,
    /// How to print it.
    #[command(flatten)]
    pub format: Format,
}

/// `token …`
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it alone; it is shown only this once
    Create {
        /// Whose it is: shown as the author of changes
        #[arg(long)]
        name: String,
        /// A role, as ROLE or ROLE:BODY; may be repeated [default: office, every right]
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// The body of roles that name none, such as DSM or CPI
        #[arg(long, value_name = "BODY", requires = "roles")]
        body: Option<String>,
        /// What it is good for: read, write, import, export, admin; may be repeated [default: all that
        /// its roles may]
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// How to print it.
        #[command(flatten)]
        format: Format,
    },
    /// The names of all tokens
    List(Format),
    /// End a token
    Revoke {
        /// Its name
        name: String,
    },
}

/// `user …`
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make an account; without --password-stdin a password is made and printed alone, once
    Add {
        /// Name to sign in with: shown as the author of changes
        name: String,
        /// A role, as ROLE or ROLE:BODY; may be repeated
        #[arg(long = "role", value_name = "ROLE", required = true)]
        roles: Vec<String>,
        /// The body of roles that name none, such as DSM or CPI
        #[arg(long, value_name = "BODY")]
        body: Option<String>,
        /// Read the password from standard input, one line
        #[arg(long)]
        password_stdin: bool,
        /// How to print it.
        #[command(flatten)]
        format: Format,
    },
    /// All accounts with their roles
    List(Format),
    /// Give an account another password; a disabled one is let in again
    Passwd {
        /// Its name
        name: String,
        /// Read the password from standard input, one line
        #[arg(long)]
        password_stdin: bool,
        /// How to print it.
        #[command(flatten)]
        format: Format,
    },
    /// Let an account in no more, and end its sessions
    Disable {
        /// Its name
        name: String,
    },
}

/// `audit …`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// The newest events, newest first
    Show {
        /// Only of this record: its id, 32 hex digits
        #[arg(long, value_name = "ID")]
        record: Option<String>,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: u32,
        /// How to print them.
        #[command(flatten)]
        format: Format,
    },
    /// Follow the whole chain; 1 if it is broken
    Verify(Format),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        super::Arguments::command().debug_assert();
    }
}

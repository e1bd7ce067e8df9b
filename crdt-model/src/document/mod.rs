//! One record as a CRDT document: made, edited, joined with others' edits, and shown.
//!
//! Guarantees: a document with the same changes shows the same everywhere; what is refused or
//! rejected leaves it as it was. Only this folder and `gate` know Automerge.
//! Does not know stores, peers or signatures.

mod absorb;
mod apply;
mod codec;
mod create;
mod fit;
mod held;
mod history;
mod merge;
mod message;
mod past;
mod plan;
mod record;
mod save;
mod sense;
mod united;
mod write;

use std::sync::{Arc, OnceLock};

use automerge::Automerge;
use serde_json::Value;

use crate::command::{Patch, Stamp};
use crate::gate::{CheckedChange, CheckedSave, Refused};
use crate::history::HistoryItem;
use crate::overview::Summary;
use crate::problem::Rejected;
use crate::schema::Kind;
use crate::value::{ActorId, ChangeHash, DocumentId, Heads, LineId, UnixMillis};

/// A change just made, ready to be signed and stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// SHA-256 of `bytes[8..]`.
    pub hash: ChangeHash,
    /// The whole chunk, uncompressed, as it is stored and sent.
    pub bytes: Vec<u8>,
    /// The import line it comes from.
    pub line: Option<LineId>,
    /// When it happened.
    pub at: UnixMillis,
    /// Who made it.
    pub by: Option<String>,
}

/// A change as it stands in a document that came whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChange {
    /// SHA-256 of `bytes[8..]`: to be compared with what was signed.
    pub hash: ChangeHash,
    /// Who made it.
    pub actor: ActorId,
    /// Its number among those of the actor, from 1.
    pub sequence: u64,
    /// The changes that it comes after.
    pub dependencies: Vec<ChangeHash>,
    /// The whole chunk, uncompressed.
    pub bytes: Vec<u8>,
}

/// Stored changes that do not make a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A change cannot be decoded.
    #[error("the stored change {index} cannot be decoded: {reason}")]
    Change {
        /// Its place, from 0.
        index: usize,
        /// What the library said.
        reason: String,
    },
    /// The changes do not fit together.
    #[error("the stored changes do not make a document: {reason}")]
    Document {
        /// What does not fit.
        reason: String,
    },
}

/// A concurrent value that is not shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Rival {
    /// The value.
    pub value: Value,
    /// Who set it.
    pub by: Option<String>,
    /// When.
    pub at: UnixMillis,
}

/// A field with more than one concurrent value.
#[derive(Debug, Clone, PartialEq)]
pub struct Conflict {
    /// JSON pointer.
    pub path: String,
    /// The value in the record.
    pub shown: Value,
    /// The others.
    pub rivals: Vec<Rival>,
}

/// Something in a record that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flag {
    /// Stable name of what was seen.
    pub code: String,
    /// JSON pointer.
    pub path: String,
}

/// A record as pages and programs see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The fields, without `_meta`.
    pub fields: Value,
    /// Deciding fields that wait for a choice.
    pub conflicts: Vec<Conflict>,
    /// Other fields that lost a concurrent value.
    pub overwritten: Vec<Conflict>,
    /// What a person should look at.
    pub flags: Vec<Flag>,
    /// Time of the first change.
    pub created_at: UnixMillis,
    /// Time of the latest change.
    pub updated_at: UnixMillis,
    /// Who made the latest change.
    pub updated_by: Option<String>,
}

/// One record with its whole history.
#[derive(Debug, Clone)]
pub struct Document {
    id: DocumentId,
    kind: Kind,
    territory: String,
    local: bool,
    changes: u64,
    automerge: Automerge,
    /// Made once for each version, since a commit and whoever made it both ask for it.
    shown: OnceLock<Arc<Shown>>,
}

/// A version as people and indexes see it.
#[derive(Debug)]
struct Shown {
    record: Record,
    summary: Summary,
}

impl Document {
    /// Makes a record: all its containers and values in one change, the same bytes for the same
    /// fields, stamp and territory. The state is `reported` where the fields do not say.
    pub fn create(
        id: DocumentId,
        kind: Kind,
        territory: &str,
        fields: &Value,
        stamp: &Stamp,
    ) -> Result<(Self, Change), Rejected> {
        create::create(id, kind, territory, fields, stamp)
    }

    /// Reads a document from its own stored changes; each after those it depends on.
    pub fn open(id: DocumentId, changes: &[Vec<u8>]) -> Result<Self, Unreadable> {
        absorb::open(id, changes)
    }

    /// A document without changes, to absorb a foreign one's first changes into.
    pub fn empty(id: DocumentId) -> Self {
        Self {
            id,
            kind: Kind::Project,
            territory: String::new(),
            local: false,
            changes: 0,
            automerge: Automerge::new(),
            shown: OnceLock::new(),
        }
    }

    fn from_parts(
        id: DocumentId,
        kind: Kind,
        territory: String,
        local: bool,
        automerge: Automerge,
    ) -> Self {
        Self {
            id,
            kind,
            territory,
            local,
            changes: 1,
            automerge,
            shown: OnceLock::new(),
        }
    }

    /// Notes that the document holds so many changes more.
    fn changed(&mut self, more: u64) {
        self.changes += more;
        self.shown = OnceLock::new();
    }

    /// The identity.
    pub fn id(&self) -> DocumentId {
        self.id
    }

    /// The kind of record.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The home territory's path; empty while there is no change.
    pub fn territory(&self) -> &str {
        &self.territory
    }

    /// Whether the record stays in its territory; decided by its first change, for ever.
    pub fn is_local(&self) -> bool {
        self.local
    }

    /// The version.
    pub fn heads(&self) -> Heads {
        apply::heads(&self.automerge)
    }

    /// Number of changes.
    pub fn change_count(&self) -> u64 {
        self.changes
    }

    /// Edits the record, on the version `base` or on the newest. `None`: nothing was altered and
    /// no line is to be remembered; with a line, a change without effect that carries it.
    pub fn patch(
        &mut self,
        patch: &Patch,
        base: Option<&Heads>,
        stamp: &Stamp,
    ) -> Result<Option<Change>, Rejected> {
        apply::patch(self, patch, base, stamp)
    }

    /// Joins the changes of others with those held, on a copy. Changes already held are passed
    /// over; each must come after those that it depends on.
    pub fn absorb(&self, changes: &[CheckedChange]) -> Result<Self, Refused> {
        absorb::absorb(self, changes)
    }

    /// The record with all that merging left open.
    pub fn record(&self) -> Record {
        self.shown().record.clone()
    }

    /// What indexes, rows and overview need.
    pub fn summary(&self) -> Summary {
        self.shown().summary.clone()
    }

    /// The whole document with its history, uncompressed: what [`Document::from_save`] reads.
    pub fn to_save(&self) -> Vec<u8> {
        self.automerge.save_nocompress()
    }

    /// Reads a whole foreign document and takes it apart into its changes, each after those it
    /// depends on. Its operations stand where these changes put them, so that whoever finds every
    /// change signed has exactly the document that they make.
    pub fn from_save(
        id: DocumentId,
        save: &CheckedSave,
    ) -> Result<(Self, Vec<StoredChange>), Refused> {
        save::read(id, save)
    }

    /// Whether the document, saved whole and loaded again, is the same version and shows the same,
    /// and so does one made anew of its changes: to be asked before changes are given up for a
    /// save.
    pub fn survives_saving(&self) -> bool {
        absorb::survives_saving(&self.automerge)
    }

    /// The line of an import file that each change came from, if it came from one.
    pub fn lines(&self) -> Vec<Option<LineId>> {
        let changes = self.automerge.get_changes(&[]);
        let lines = changes
            .iter()
            .map(|change| message::read(change.message()).line);
        lines.collect()
    }

    /// Who changed what, oldest first.
    pub fn history(&self) -> Vec<HistoryItem> {
        history::history(self)
    }

    fn shown(&self) -> &Shown {
        self.shown.get_or_init(|| {
            let record = record::record(self);
            let summary = Summary::of(self.kind, &self.territory, self.local, &record);
            Arc::new(Shown { record, summary })
        })
    }
}

impl Change {
    fn new(change: &automerge::Change, stamp: &Stamp) -> Self {
        Self {
            hash: ChangeHash::from_bytes(change.hash().0),
            bytes: change.raw_bytes().to_vec(),
            line: stamp.line,
            at: stamp.at,
            by: stamp.by.clone(),
        }
    }
}

//! What a shared record is: its fields and rules, and how edits made apart become one record.
//!
//! Four verbs: parse what people and files say, apply it to a [`Document`], absorb the changes
//! of others after the [`gate`] let them through, project what pages and overviews show.
//! Guarantees: no I/O, no clock, no randomness that shows; the same input gives the same bytes.
//! Does not know stores, peers or signatures.

pub mod command;
pub mod csv;
pub mod document;
pub mod field_rules;
pub mod fiscal_code;
pub mod gate;
pub mod history;
pub mod import;
pub mod lifecycle;
pub mod likeness;
mod once;
pub mod overview;
mod passage;
pub mod problem;
mod rules;
pub mod schema;
pub mod suppress;
pub mod terms;
pub mod value;

pub use command::{Patch, Stamp};
pub use document::{Change, Conflict, Document, Flag, Record, Rival, StoredChange, Unreadable};
pub use gate::{CheckedChange, CheckedSave, Refused, SaveLimits};
pub use history::{HistoryChange, HistoryItem};
pub use import::{ImportLine, ImportOp};
pub use overview::Summary;
pub use problem::{Filled, Problem, Rejected, Said};
pub use schema::{Audience, Kind, Privacy, Section, Writer};
pub use terms::Term;
pub use value::{ActorId, ChangeHash, Digest, DocumentId, Heads, LineId, UnixMillis};

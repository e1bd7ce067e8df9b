//! What a transfer's record says, read once.
//!
//! A record that does not say it means nothing here; it is shown as it is. Knows JSON only.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXLOWER_PERMISSIVE;
use raccordo_crdt_model::DocumentId;
use serde_json::Value;

/// The first bytes of a node's key.
pub(super) type Origin = [u8; 8];

/// What one node of the receiver said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// It made this project.
    Accepted(DocumentId),
    /// It did not accept and never will.
    Declined,
}

/// A transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) project: DocumentId,
    pub(super) former_state: String,
    pub(super) state: String,
    pub(super) expires_on: String,
    pub(super) pieces: usize,
    /// The nodes that can open what is sealed, and so accept.
    pub(super) keys: BTreeSet<Origin>,
    pub(super) words: BTreeMap<Origin, Word>,
    /// The nodes that can open what was sealed later, if anything was.
    pub(super) later_keys: BTreeSet<Origin>,
    /// The nodes of the receiver in whose records it is.
    pub(super) added: BTreeSet<Origin>,
    /// Whether the sender's project was opened again.
    pub(super) released: bool,
    pub(super) new_project: Option<DocumentId>,
    /// Whether the receiver has forgotten whom it was about.
    pub(super) forgotten: bool,
}

impl Terms {
    /// Reads a record's fields.
    pub(super) fn read(fields: &Value) -> Option<Self> {
        let text = |name: &str| Some(fields.get(name)?.as_str()?.to_owned());
        let keyed = |name: &str| {
            let entries = fields.get(name).and_then(Value::as_object);
            entries.into_iter().flatten()
        };
        let words = keyed("words").filter_map(|(node, said)| {
            let word = match said.get("word")?.as_str()? {
                "accepted" => Word::Accepted(document(said.get("project"))?),
                "declined" => Word::Declined,
                _ => return None,
            };
            Some((origin(node)?, word))
        });
        let added =
            keyed("words").filter(|(_, said)| said.get("added_on").is_some_and(Value::is_string));
        let opens = |name: &str| keyed(name).filter_map(|(node, _)| origin(node)).collect();
        Some(Self {
            from: text("from")?,
            to: text("to")?,
            project: document(fields.get("project"))?,
            former_state: text("former_state")?,
            state: text("state")?,
            expires_on: text("expires_on")?,
            pieces: usize::try_from(fields.get("pieces")?.as_u64()?).ok()?,
            keys: opens("keys"),
            words: words.collect(),
            later_keys: opens("later_keys"),
            added: added.filter_map(|(node, _)| origin(node)).collect(),
            released: fields.get("released_on").is_some_and(Value::is_string),
            new_project: document(fields.get("new_project")),
            forgotten: fields.get("forgotten_on").is_some_and(Value::is_string),
        })
    }

    /// The acceptance that counts: of several that did not know of each other, the lowest node's.
    pub(super) fn winner(&self) -> Option<(Origin, DocumentId)> {
        self.accepted().next()
    }

    /// All acceptances, the one that counts first.
    pub(super) fn accepted(&self) -> impl Iterator<Item = (Origin, DocumentId)> + '_ {
        self.words.iter().filter_map(|(node, word)| match word {
            Word::Accepted(project) => Some((*node, *project)),
            Word::Declined => None,
        })
    }

    /// Whether an acceptance of this transfer made this project.
    pub(super) fn has_made(&self, project: DocumentId) -> bool {
        self.accepted().any(|(_, made)| made == project)
    }

    /// Whether the sender has drawn the consequence of the answer.
    pub(super) fn is_settled(&self) -> bool {
        self.state == "completed" || (self.released && self.winner().is_none())
    }

    /// Whether the records that count have still to get what was appended while it was offered.
    pub(super) fn awaits_addition(&self) -> bool {
        let by = self.winner().map(|(node, _)| node);
        !self.later_keys.is_empty() && by.is_some_and(|node| !self.added.contains(&node))
    }

    /// Whether nothing follows any more, whatever happens to the projects: not so while a second
    /// acceptance has made a project that has to give way, something is still to be added, or the
    /// sender has still to erase it.
    pub(super) fn is_at_rest(&self) -> bool {
        if self.forgotten || self.awaits_addition() {
            return false;
        }
        let made: Vec<_> = self.accepted().map(|(_, made)| made).collect();
        self.is_settled() && (made.is_empty() || self.new_project.as_slice() == made)
    }

    /// Whether the offer was given up by either side and waits for every node's word.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.state.as_str(), "refused" | "withdrawing" | "expired")
    }
}

/// The id of a document, as a record names it.
pub(super) fn document(value: Option<&Value>) -> Option<DocumentId> {
    DocumentId::parse(value?.as_str()?).ok()
}

fn origin(hex: &str) -> Option<Origin> {
    let bytes = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?;
    bytes.try_into().ok()
}

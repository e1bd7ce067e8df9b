//! Making the tokens of this node's own projects with the key that is used now.
//!
//! A token follows from the person that the casefile names and the key: where another key won or
//! another year began, tokens are made anew, a few casefiles a commit, from where it had come before
//! a restart. Left alone are tokens that nobody made from a person, closed projects, and those that
//! are being handed over.

use std::sync::Arc;

use raccordo_config::Role;
use raccordo_crdt_model::{DocumentId, Kind, Patch};
use serde_json::{Value, json};

use crate::store::{Store, Table};

use super::commit::{self, NotStored};
use super::core::{Core, ReadFailed};
use super::draft::Draft;
use super::fields::{BadRow, FieldReader, FieldWriter};
use super::ledger::Ledger;
use super::local;
use super::read;
use super::report;
use super::rows::DocumentRow;
use super::subject;
use super::token_handing::{self, KeyHanding, is_provisional};
use super::token_key::{self, KeyId};
use super::transfer;
use super::view::CommandFailed;

/// Meta key of how far it has come.
const PASS: &[u8] = b"token-pass";
const VERSION: u8 = 1;
/// Rows that are looked at, and casefiles that are followed, in one commit.
const ROWS_MAX: usize = 1_024;
const CASEFILES_MAX: usize = 32;
/// Who makes tokens anew, as history shows it.
const BY: &str = "raccordo";
/// States in which a project keeps the token that it has.
const RESTS: [&str; 4] = ["closed", "archived", "transferring", "transferred"];

/// How far the tokens have been made with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pass {
    year: u32,
    id: KeyId,
    /// The document that was looked at last; none at the end.
    after: Option<[u8; 16]>,
}

impl Pass {
    fn encode(&self) -> Vec<u8> {
        let mut out = FieldWriter::new(VERSION);
        out.u32(self.year).fixed(&self.id);
        match &self.after {
            None => out.u8(0),
            Some(after) => out.u8(1).fixed(after),
        };
        out.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, BadRow> {
        let mut row = FieldReader::open("token pass", VERSION, bytes)?;
        Ok(Self {
            year: row.u32()?,
            id: row.array()?,
            after: match row.u8()? {
                0 => None,
                _ => Some(row.array()?),
            },
        })
    }
}

/// What is known of keys of tokens, from the rows of all three.
pub(crate) fn read_keys(store: &Store, ledger: &mut Ledger) -> Result<(), ReadFailed> {
    let rows = |prefix| store.scan(Table::Meta, prefix, None, usize::MAX);
    ledger.held_keys = Arc::new(token_key::read(rows(token_key::HELD)?));
    ledger.handed = Arc::new(token_handing::read(&rows(token_handing::HANDED)?));
    let pass = store.get(Table::Meta, PASS)?;
    ledger.renewed = pass.map(|row| Pass::decode(&row)).transpose()?;
    Ok(())
}

/// Has all projects looked at again: some may be renewed now that could not be before.
pub(crate) fn again(draft: &mut Draft<'_>) {
    draft.batch.delete(Table::Meta, PASS.to_vec());
    draft.ledger.renewed = None;
}

/// All that follows by itself from the keys of tokens.
#[derive(Debug, Default)]
pub(crate) struct YearKeys {
    handing: KeyHanding,
    renewal: Renewal,
}

impl YearKeys {
    /// Hands the key on that is used, and makes a portion of the tokens anew that are not of it.
    pub(crate) fn drive(&mut self, core: &Core) {
        self.handing.drive(core);
        self.renewal.drive(core);
    }

    /// How long this can wait; none if nothing is left to do.
    pub(crate) fn patience_ms(&self) -> Option<u64> {
        self.renewal.has_more().then_some(0)
    }
}

/// Makes tokens anew, portion by portion.
#[derive(Debug, Default)]
pub(crate) struct Renewal {
    more: bool,
}

impl Renewal {
    /// Whether there is more to be done at once.
    pub(crate) fn has_more(&self) -> bool {
        self.more
    }

    /// Does one portion, if any is due.
    pub(crate) fn drive(&mut self, core: &Core) {
        self.more = match portion(core) {
            Ok(Ok(more)) => more,
            Ok(Err(NotStored { reason })) => {
                tracing::warn!(reason, "tokens were not made anew; it is tried again");
                false
            }
            Err(failed) => {
                tracing::error!(error = %failed, "tokens could not be made anew");
                false
            }
        };
    }
}

/// One commit of it; whether there is more to do.
fn portion(core: &Core) -> Result<Result<bool, NotStored>, CommandFailed> {
    let ledger = core.ledger();
    let year = token_key::year_of(core.clock.unix_millis());
    let Some(id) = ledger.held_keys.get(&year).copied() else {
        return Ok(Ok(false));
    };
    let same = |pass: &&Pass| pass.year == year && pass.id == id;
    let begun = ledger.renewed.as_ref().filter(same);
    if begun.is_some_and(|pass| pass.after.is_none())
        || core.config().node.role != Role::District
        || report::writes_problem(core, &ledger).is_some()
        || is_provisional(&ledger, core.id.origin(), year, &id)
    {
        return Ok(Ok(false));
    }
    let after = begun.and_then(|pass| pass.after);
    let (casefiles, after) = next(core, after)?;
    let mut draft = Draft::new(core);
    for casefile in casefiles {
        of_casefile(&mut draft, casefile)?;
    }
    let pass = Pass { year, id, after };
    draft.batch.put(Table::Meta, PASS.to_vec(), pass.encode());
    draft.ledger.renewed = Some(pass);
    Ok(commit::commit(draft).map(|()| after.is_some()))
}

/// The next casefiles of this territory, and the document that was looked at last; none at the end.
fn next(
    core: &Core,
    after: Option<[u8; 16]>,
) -> Result<(Vec<DocumentId>, Option<[u8; 16]>), ReadFailed> {
    let own = core.territory();
    let from = after.as_ref().map(<[u8; 16]>::as_slice);
    let rows = core.store.scan(Table::Documents, &[], from, ROWS_MAX)?;
    let whole = rows.len() < ROWS_MAX;
    let (mut casefiles, mut last) = (Vec::new(), None);
    for (key, value) in rows {
        let Ok(id) = <[u8; 16]>::try_from(key.as_slice()) else {
            continue;
        };
        let row = DocumentRow::decode(&value)?;
        if row.kind == Kind::Casefile.code() && row.territory == own {
            casefiles.push(DocumentId::from_bytes(id));
        }
        if casefiles.len() == CASEFILES_MAX {
            return Ok((casefiles, Some(id)));
        }
        last = Some(id);
    }
    Ok((casefiles, last.filter(|_| !whole)))
}

/// Makes the tokens of the projects anew that a casefile names.
fn of_casefile(draft: &mut Draft<'_>, casefile: DocumentId) -> Result<(), CommandFailed> {
    let casefile = match draft.document(casefile) {
        Err(failed) if !failed.is_damage() => return Err(failed.into()),
        // What is damaged comes back from a peer, and is followed with the next key.
        Ok(None) | Err(_) => return Ok(()),
        Ok(Some(document)) => document.record().fields,
    };
    let Some(subject) = casefile["subject"].as_str() else {
        return Ok(());
    };
    let links = casefile["projects"].as_object().into_iter().flatten();
    for (_, link) in links {
        let Some(name) = link["project"].as_str() else {
            continue;
        };
        match of_project(draft, name, subject) {
            Err(CommandFailed::StoreCannotWrite { reason }) => {
                return Err(CommandFailed::StoreCannotWrite { reason });
            }
            // Neither the project nor the person need be here, or allow it.
            Err(failed) => {
                tracing::debug!(project = name, error = %failed, "a token stays as it is");
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

fn of_project(draft: &mut Draft<'_>, name: &str, subject: &str) -> Result<(), CommandFailed> {
    let core = draft.core;
    let own = core.territory();
    let id = read::resolve(core, Kind::Project, name, Some(&own))?;
    let (Some(row), Some(project)) = (core.document_row(id)?, draft.document(id)?) else {
        return Ok(());
    };
    let fields = project.record().fields;
    let rests = fields["state"]
        .as_str()
        .is_none_or(|is| RESTS.contains(&is));
    let known = fields.pointer("/subject/token").and_then(Value::as_str);
    let made = known.is_none_or(|token| token.starts_with("t1:") || token.starts_with("w1:"));
    if rests
        || !made
        || row.territory != own
        || !transfer::acts(core, &core.ledger(), row.home_origin)
    {
        return Ok(());
    }
    let person = subject::person(draft, subject)?;
    let Some(person) = draft.document(person)? else {
        return Ok(());
    };
    let household = fields.pointer("/subject/kind") == Some(&json!("household"));
    let token = subject::token(draft, &person.record().fields, household)?;
    let Some(token) = token.filter(|token| known != Some(token)) else {
        return Ok(());
    };
    let patch = json!([{"op": "add", "path": "/subject/token", "value": token}]);
    let patch = Patch::parse(&patch).expect("one field of a project");
    local::patch(draft, Kind::Project, id, &patch, None, BY)?;
    Ok(())
}

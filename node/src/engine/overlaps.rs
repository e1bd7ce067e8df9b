//! The same subject in several territories: equal tokens, compared by whoever holds both projects.
//!
//! Kept with the counts, so nothing is searched for: a row for each token that live projects of more
//! than one territory have. Knows keyed hashes of tokens, and no person.

use std::collections::BTreeMap;

use raccordo_crdt_model::{DocumentId, UnixMillis};

use crate::store::Table;

use super::core::{Core, ReadFailed};
use super::draft::Draft;
use super::ledger::Ledger;
use super::notices;
use super::view::{Event, OverlapView};

/// First byte of the rows of holders, and of those of overlaps.
const HOLDER: u8 = b'o';
const OVERLAP: u8 = b'x';
/// Bytes of a token's keyed hash, and of it with the letter before.
const HASH: usize = 16;
const NAME: usize = 2 + HASH;

impl Draft<'_> {
    /// Notes that a live project has this token or no longer has it.
    pub(super) fn hold_token(
        &mut self,
        id: DocumentId,
        territory: &str,
        (household, token): (bool, [u8; HASH]),
        holds: bool,
    ) -> Result<(), ReadFailed> {
        let token = [&[u8::from(household)], token.as_slice()].concat();
        let prefix = [&[HOLDER], token.as_slice()].concat();
        let key = [prefix.as_slice(), id.as_bytes()].concat();
        if holds {
            self.batch
                .put(Table::Subjects, key, territory.as_bytes().to_vec());
        } else {
            self.batch.delete(Table::Subjects, key);
        }
        let mut holders = self.rows_of(Table::Subjects, &prefix)?;
        leave_given_out(&self.ledger, &mut holders);
        let mut territories: Vec<&[u8]> = holders.iter().map(|(_, at)| at.as_slice()).collect();
        territories.sort_unstable();
        territories.dedup();
        let row = [&[OVERLAP], token.as_slice()].concat();
        let known = self.get(Table::Subjects, &row)?.is_some();
        if known || territories.len() > 1 {
            self.look_at_overlap(&token);
        }
        match (territories.len() > 1, known) {
            (true, false) => {
                let named = territories
                    .iter()
                    .map(|name| String::from_utf8_lossy(name).into_owned());
                self.events.push(Event::Overlap {
                    territories: named.collect(),
                });
                let at = self.now_ms.to_be_bytes().to_vec();
                self.batch.put(Table::Subjects, row, at);
            }
            (false, true) => self.batch.delete(Table::Subjects, row),
            _ => {}
        }
        Ok(())
    }
}

/// A subject with live projects in several territories.
pub(crate) struct Overlap {
    pub(crate) household: bool,
    pub(crate) strength: &'static str,
    /// The projects of each territory.
    pub(crate) projects: BTreeMap<String, Vec<DocumentId>>,
}

/// Of a project on its way to another territory, and the one made in its place, the first is none that
/// is followed: one subject that passes on is not in two territories.
fn leave_given_out(ledger: &Ledger, holders: &mut Vec<(Vec<u8>, Vec<u8>)>) {
    let here: Vec<_> = holders
        .iter()
        .filter_map(|(key, _)| project_of(key))
        .collect();
    let handed = ledger
        .transfers
        .values()
        .filter_map(|handing| handing.copies.split_first());
    let given: Vec<_> = handed
        .filter(|(_, made)| made.iter().any(|id| here.contains(id)))
        .map(|(given, _)| *given)
        .collect();
    holders.retain(|(key, _)| project_of(key).is_none_or(|id| !given.contains(&id)));
}

/// The overlap with this name, if it is one.
pub(crate) fn named(core: &Core, name: &[u8]) -> Result<Option<Overlap>, ReadFailed> {
    let prefix = [&[HOLDER], name].concat();
    let mut holders = core
        .store
        .scan(Table::Subjects, &prefix, None, usize::MAX)?;
    leave_given_out(&core.ledger(), &mut holders);
    let mut projects: BTreeMap<String, Vec<DocumentId>> = BTreeMap::new();
    let mut strength = "typed";
    for (holder, territory) in holders {
        let Some(id) = project_of(&holder) else {
            continue;
        };
        let token = core.look(id)?.and_then(|document| document.summary().token);
        strength = strength_of(token.as_deref().unwrap_or_default());
        let territory = String::from_utf8_lossy(&territory).into_owned();
        projects.entry(territory).or_default().push(id);
    }
    Ok((projects.len() > 1).then_some(Overlap {
        household: name.first() == Some(&1),
        strength,
        projects,
    }))
}

/// A territory's live projects whose subjects have a token.
pub(crate) fn holders_at(core: &Core, territory: &str) -> Result<Vec<DocumentId>, ReadFailed> {
    let rows = core
        .store
        .scan(Table::Subjects, &[HOLDER], None, usize::MAX)?;
    let here = rows.iter().filter(|(_, at)| at == territory.as_bytes());
    Ok(here.filter_map(|(key, _)| project_of(key)).collect())
}

fn project_of(holder: &[u8]) -> Option<DocumentId> {
    let id = holder.get(NAME..)?.try_into().ok()?;
    Some(DocumentId::from_bytes(id))
}

/// Every overlap known here, the newest first.
pub(crate) fn all(core: &Core) -> Result<Vec<OverlapView>, ReadFailed> {
    let rows = core
        .store
        .scan(Table::Subjects, &[OVERLAP], None, usize::MAX)?;
    let mut views = Vec::new();
    for (key, at) in rows.iter().filter(|(key, _)| key.len() == NAME) {
        let Some(overlap) = named(core, &key[1..])? else {
            continue;
        };
        let at = at.as_slice().try_into().map_or(0, i64::from_be_bytes);
        views.push(OverlapView {
            since: UnixMillis(at),
            household: overlap.household,
            strength: overlap.strength,
            projects: overlap.projects,
        });
    }
    views.extend(notices::heard(core)?);
    views.sort_by_key(|view| std::cmp::Reverse(view.since));
    Ok(views)
}

/// How sure an equal token is: made from a fiscal code, from a name, or by other means.
fn strength_of(token: &str) -> &'static str {
    match token.split(':').next() {
        Some("t1") => "certain",
        Some("w1") => "possible",
        _ => "typed",
    }
}

/// The same from the word of a notice.
pub(crate) fn strength_from_word(word: &str) -> &'static str {
    let known = ["certain", "possible"].into_iter();
    known
        .into_iter()
        .find(|known| *known == word)
        .unwrap_or("typed")
}

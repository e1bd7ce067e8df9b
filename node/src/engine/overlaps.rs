//! The same subject in several territories: equal tokens, compared by whoever holds both projects.
//!
//! Kept with the counts, so nothing is searched for: a row for each token that live projects of more
//! than one territory have. Knows keyed hashes of tokens, and no person.

use std::collections::{BTreeMap, BTreeSet};

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
/// Holders that one look into the store takes at a time.
const HOLDERS_AT_ONCE: usize = 64;

impl Draft<'_> {
    /// Notes that a live project has this token.
    pub(super) fn hold_token(
        &mut self,
        id: DocumentId,
        territory: &str,
        (household, token): (bool, [u8; HASH]),
    ) -> Result<(), ReadFailed> {
        let name = name(household, &token);
        let key = [&[HOLDER], name.as_slice(), id.as_bytes()].concat();
        let at = territory.as_bytes().to_vec();
        self.batch.put(Table::Subjects, key, at);
        let row = [&[OVERLAP], name.as_slice()].concat();
        if self.get(Table::Subjects, &row)?.is_some() {
            self.look_at_overlap(&name);
            return Ok(());
        }
        // What is no overlap yet has holders in one territory: any one of the others tells which.
        let given = self.given_out(&name)?;
        let mut other = None;
        self.any_holder(&name, |holder, at| {
            let is_other = holder != id.as_bytes() && !given.contains(holder);
            if is_other {
                other = Some(String::from_utf8_lossy(at).into_owned());
            }
            is_other
        })?;
        if let Some(other) = other.filter(|other| other != territory) {
            let mut territories = vec![other, territory.to_owned()];
            territories.sort_unstable();
            self.events.push(Event::Overlap { territories });
            let since = self.now_ms.to_be_bytes().to_vec();
            self.batch.put(Table::Subjects, row, since);
            self.look_at_overlap(&name);
        }
        Ok(())
    }

    /// Notes that a project no longer has this token, or no longer lives.
    pub(super) fn let_token_go(
        &mut self,
        id: DocumentId,
        (household, token): (bool, [u8; HASH]),
    ) -> Result<(), ReadFailed> {
        let name = name(household, &token);
        let key = [&[HOLDER], name.as_slice(), id.as_bytes()].concat();
        self.batch.delete(Table::Subjects, key);
        let row = [&[OVERLAP], name.as_slice()].concat();
        if self.get(Table::Subjects, &row)?.is_none() {
            return Ok(());
        }
        self.look_at_overlap(&name);
        let given = self.given_out(&name)?;
        let mut first: Option<Vec<u8>> = None;
        let several = self.any_holder(&name, |holder, at| {
            !given.contains(holder) && first.get_or_insert_with(|| at.to_vec()).as_slice() != at
        })?;
        if !several {
            self.batch.delete(Table::Subjects, row);
        }
        Ok(())
    }

    /// Of the projects with this token, those on their way to another territory where the one made in
    /// their place is here.
    fn given_out(&self, name: &[u8]) -> Result<BTreeSet<[u8; 16]>, ReadFailed> {
        let holds = |id: &DocumentId| {
            let key = [&[HOLDER], name, id.as_bytes()].concat();
            Ok::<_, ReadFailed>(self.get(Table::Subjects, &key)?.is_some())
        };
        let mut given = BTreeSet::new();
        for handing in self.ledger.transfers.values() {
            let Some((first, made)) = handing.copies.split_first() else {
                continue;
            };
            if !holds(first)? {
                continue;
            }
            for one in made {
                if holds(one)? {
                    given.insert(*first.as_bytes());
                }
            }
        }
        Ok(given)
    }

    /// Whether this is so of a live project with the token, given its id and its territory; asks no
    /// further than the first of which it is.
    fn any_holder(
        &self,
        name: &[u8],
        mut is: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<bool, ReadFailed> {
        let prefix = [&[HOLDER], name].concat();
        let pending = self.batch.pending_from(Table::Subjects, &prefix);
        let mut pending = pending.take_while(|(key, _)| key.starts_with(&prefix));
        if pending.any(|(key, at)| at.is_some_and(|at| is(&key[prefix.len()..], at))) {
            return Ok(true);
        }
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.core.store.scan(
                Table::Subjects,
                &prefix,
                after.as_deref(),
                HOLDERS_AT_ONCE,
            )?;
            let stored = |key: &[u8]| self.batch.pending(Table::Subjects, key).is_none();
            let mut stored = page.iter().filter(|(key, _)| stored(key));
            if stored.any(|(key, at)| is(&key[prefix.len()..], at)) {
                return Ok(true);
            }
            if page.len() < HOLDERS_AT_ONCE {
                return Ok(false);
            }
            after = page.last().map(|(key, _)| key.clone());
        }
    }
}

fn name(household: bool, token: &[u8; HASH]) -> Vec<u8> {
    [&[u8::from(household)], token.as_slice()].concat()
}

/// Whether tokens of this form are compared: those that a node made. What people type to say that a
/// subject is not known would be the same subject everywhere.
pub(crate) fn is_compared(token: &str) -> bool {
    strength_of(token).is_some()
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
    let mut token = None;
    for (holder, territory) in holders {
        let Some(id) = project_of(&holder) else {
            continue;
        };
        // All have the same one.
        if token.is_none() {
            token = core.look(id)?.and_then(|document| document.summary().token);
        }
        let territory = String::from_utf8_lossy(&territory).into_owned();
        projects.entry(territory).or_default().push(id);
    }
    let strength = strength_of(token.as_deref().unwrap_or_default());
    Ok(strength
        .filter(|_| projects.len() > 1)
        .map(|strength| Overlap {
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

/// How sure an equal token is: made from a fiscal code, or from a name; none of other tokens.
fn strength_of(token: &str) -> Option<&'static str> {
    match token.split_once(':')?.0 {
        "t1" => Some("certain"),
        "w1" => Some("possible"),
        _ => None,
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

//! The same subject in several territories: equal tokens, compared by whoever holds both projects.
//!
//! Kept with the counts, so nothing is searched for: a row for each token that live projects of more
//! than one territory have. Knows keyed hashes of tokens, and no person.

use std::collections::BTreeMap;

use raccordo_crdt_model::{DocumentId, UnixMillis};

use crate::store::Table;

use super::core::{Core, ReadFailed};
use super::draft::Draft;
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
        let holders = self.rows_of(Table::Subjects, &prefix)?;
        let mut territories: Vec<&[u8]> = holders.iter().map(|(_, at)| at.as_slice()).collect();
        territories.sort_unstable();
        territories.dedup();
        let row = [&[OVERLAP], token.as_slice()].concat();
        let known = self.get(Table::Subjects, &row)?.is_some();
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

/// Every overlap known here, the newest first.
pub(crate) fn all(core: &Core) -> Result<Vec<OverlapView>, ReadFailed> {
    let rows = core
        .store
        .scan(Table::Subjects, &[OVERLAP], None, usize::MAX)?;
    let mut views = Vec::new();
    for (key, at) in rows.iter().filter(|(key, _)| key.len() == NAME) {
        let prefix = [&[HOLDER], &key[1..]].concat();
        let holders = core
            .store
            .scan(Table::Subjects, &prefix, None, usize::MAX)?;
        let mut projects: BTreeMap<String, Vec<DocumentId>> = BTreeMap::new();
        let mut strength = "typed";
        for (holder, territory) in holders {
            let id = holder.get(NAME..).and_then(|id| id.try_into().ok());
            let Some(id) = id.map(DocumentId::from_bytes) else {
                continue;
            };
            let token = core.look(id)?.and_then(|document| document.summary().token);
            strength = strength_of(token.as_deref().unwrap_or_default());
            let territory = String::from_utf8_lossy(&territory).into_owned();
            projects.entry(territory).or_default().push(id);
        }
        let at = at.as_slice().try_into().map_or(0, i64::from_be_bytes);
        views.push(OverlapView {
            since: UnixMillis(at),
            household: key[1] == 1,
            strength,
            projects,
        });
    }
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

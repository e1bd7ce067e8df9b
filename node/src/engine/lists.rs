//! The lines of the lists, held open in memory for whoever filters or searches them.
//!
//! A kind's lines are read when a search first goes far into it, each unsealed once; every commit
//! then moves what it touches, before anybody hears of it. Finds the keys of lines alone: what is
//! shown is read from the disk. Does not know who may see it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use raccordo_crdt_model::DocumentId;

use super::core::{Core, ReadFailed};
use super::rows::{self, Card, ListRow};
use super::view::ListQuery;
use crate::store::{Batch, Table};

/// Lines read from the disk at a time, and lines looked at before commits have their turn.
const ROWS_AT_ONCE: usize = 512;
const LINES_AT_ONCE: usize = 8_192;

/// Kind, time and document.
type Key = [u8; 25];
/// A line's key, and what it says from now on; none where it was taken out.
pub(crate) type Moved = (Vec<u8>, Option<Vec<u8>>);

/// What a search looks for in the lines of a kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) kind: u8,
    pub(crate) query: &'a ListQuery,
    /// The query's words, in lower case.
    pub(crate) words: Option<&'a str>,
    /// The own territory.
    pub(crate) home: &'a str,
}

/// What a batch does to lines; taken whether or not they are here, since they may come meanwhile.
pub(crate) fn moved(batch: &Batch) -> Vec<Moved> {
    let writes = batch.pending_from(Table::Rows, &[]);
    writes
        .map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec)))
        .collect()
}

/// The lines of every kind that was searched far since the start.
#[derive(Debug, Default)]
pub(crate) struct ListBoard {
    kinds: Mutex<BTreeMap<u8, Lines>>,
    /// Held by whoever reads a kind from the disk.
    reading: Mutex<()>,
}

#[derive(Debug)]
enum Lines {
    /// Being read: what commits have moved since that began.
    Coming(Vec<Moved>),
    Here(Held),
}

/// One kind's lines in the order of the list; words that many lines share are kept once.
#[derive(Debug, Default)]
struct Held {
    lines: BTreeMap<Key, Line>,
    words: Vec<String>,
}

#[derive(Debug)]
struct Line {
    /// Places among the words.
    state: usize,
    territory: usize,
    /// Texts that a search matches, as a card has them.
    texts: Box<str>,
}

impl ListBoard {
    /// Whether the lines of a kind are here.
    pub(crate) fn holds(&self, kind: u8) -> bool {
        matches!(self.kinds().get(&kind), Some(Lines::Here(_)))
    }

    /// Moves lines as a commit has that is durable now.
    pub(crate) fn follow(&self, core: &Core, moved: Vec<Moved>) {
        let mut kinds = self.kinds();
        for (key, value) in moved {
            let Some(kind) = key.first().copied() else {
                continue;
            };
            match kinds.get_mut(&kind) {
                None => {}
                Some(Lines::Coming(later)) => later.push((key, value)),
                Some(Lines::Here(held)) => {
                    if let Err(failed) = held.put(core, &key, value.as_deref()) {
                        tracing::error!(error = %failed, "a line of a list does not open: the list is read anew");
                        kinds.remove(&kind);
                    }
                }
            }
        }
    }

    /// The keys of the next lines that are wanted, after a key if one is given: so many at most.
    pub(crate) fn next(
        &self,
        core: &Core,
        wanted: Wanted<'_>,
        after: Option<&[u8]>,
        most: usize,
    ) -> Result<Vec<Vec<u8>>, ReadFailed> {
        let mut found = Vec::new();
        let mut after: Option<Key> = after.and_then(|key| key.try_into().ok());
        loop {
            self.read(core, wanted.kind)?;
            let kinds = self.kinds();
            let Some(Lines::Here(held)) = kinds.get(&wanted.kind) else {
                continue;
            };
            after = held.look(wanted, after, most, &mut found);
            if after.is_none() || found.len() >= most {
                return Ok(found);
            }
        }
    }

    /// Reads the lines of a kind, beside the commits, unless they are here.
    fn read(&self, core: &Core, kind: u8) -> Result<(), ReadFailed> {
        if self.holds(kind) {
            return Ok(());
        }
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if self.holds(kind) {
            return Ok(());
        }
        self.kinds().insert(kind, Lines::Coming(Vec::new()));
        let read = Held::read(core, kind);
        let mut kinds = self.kinds();
        let Some(Lines::Coming(later)) = kinds.remove(&kind) else {
            return Ok(());
        };
        let mut held = read?;
        // Of several moves of a line the last one counts.
        let later: BTreeMap<_, _> = later.into_iter().collect();
        for (key, value) in later {
            held.put(core, &key, value.as_deref())?;
        }
        kinds.insert(kind, Lines::Here(held));
        Ok(())
    }

    fn kinds(&self) -> MutexGuard<'_, BTreeMap<u8, Lines>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn read(core: &Core, kind: u8) -> Result<Self, ReadFailed> {
        let mut held = Self::default();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = core
                .store
                .scan(Table::Rows, &[kind], after.as_deref(), ROWS_AT_ONCE)?;
            for (key, value) in &page {
                held.put(core, key, Some(value))?;
            }
            if page.len() < ROWS_AT_ONCE {
                return Ok(held);
            }
            after = page.into_iter().last().map(|(key, _)| key);
        }
    }

    fn put(&mut self, core: &Core, key: &[u8], value: Option<&[u8]>) -> Result<(), ReadFailed> {
        let Ok(key) = Key::try_from(key) else {
            return Ok(());
        };
        self.lines.remove(&key);
        let Some(value) = value else {
            return Ok(());
        };
        let (_, id) = key.split_last_chunk::<16>().expect("a key ends with an id");
        // Of a document that is being erased the line goes next.
        let Some(seal) = core.document_key_if_there(DocumentId::from_bytes(*id))? else {
            return Ok(());
        };
        let row = ListRow::decode(value)?;
        let card = Card::decode(&seal.open(Table::Rows, *id, &[0; 32], &row.sealed)?)?;
        let line = Line {
            state: self.word(&row.state),
            territory: self.word(&row.territory),
            texts: card.search.into_boxed_str(),
        };
        self.lines.insert(key, line);
        Ok(())
    }

    /// The place of a word, which is taken in if it is new.
    fn word(&mut self, word: &str) -> usize {
        self.place(word).unwrap_or_else(|| {
            self.words.push(word.to_owned());
            self.words.len() - 1
        })
    }

    fn place(&self, word: &str) -> Option<usize> {
        self.words.iter().position(|known| known == word)
    }

    /// Adds keys of lines that are wanted; the last line looked at, if there may be more.
    fn look(
        &self,
        wanted: Wanted<'_>,
        after: Option<Key>,
        most: usize,
        found: &mut Vec<Vec<u8>>,
    ) -> Option<Key> {
        let query = wanted.query;
        let filters = [&query.state, &query.territory].map(|filter| {
            let word = filter.as_deref();
            word.map(|word| self.place(word))
        });
        let home = self.place(wanted.home);
        let lower = after.map_or(Bound::Unbounded, Bound::Excluded);
        for (looked, (key, line)) in self.lines.range((lower, Bound::Unbounded)).enumerate() {
            let early = |since: i64| rows::list_key_time(key).is_none_or(|at| at < since);
            if query.updated_since.is_some_and(|since| early(since.0)) {
                return None;
            }
            let [state, territory] = filters;
            let sections = query.looks_in(home == Some(line.territory));
            let is_wanted = state.is_none_or(|state| state == Some(line.state))
                && territory.is_none_or(|territory| territory == Some(line.territory))
                && sections.is_some_and(|sections| {
                    let says = |words| rows::says(&line.texts, words, sections);
                    wanted.words.is_none_or(says)
                });
            if is_wanted {
                found.push(key.to_vec());
            }
            if found.len() >= most || looked + 1 >= LINES_AT_ONCE {
                return Some(*key);
            }
        }
        None
    }
}

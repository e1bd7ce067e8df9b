//! Which lines of an import may change a record that is there: those that a change by hand may, and all
//! of a record that the same file brought.
//!
//! Costs nothing where the importer has every right: no record is looked at then.

use std::collections::{BTreeMap, BTreeSet};

use raccordo_crdt_model::{Document, Kind, LineId, Patch, Problem, Record};

use super::core::Core;
use super::protection;
use super::view::Principal;
use crate::access::changes::{self, There};

/// Lines of one file that stand in records here, by record; of importers without every right.
pub(crate) type Brought = BTreeMap<(Kind, String), BTreeSet<LineId>>;

/// Looks at the lines of one record.
#[derive(Debug)]
pub(super) struct Rights<'a> {
    /// None: every right.
    by: Option<&'a Principal>,
    /// Lines of this file that stand in the record.
    pub(super) brought: BTreeSet<LineId>,
}

impl<'a> Rights<'a> {
    pub(super) fn of(by: &'a Principal, brought: Option<&BTreeSet<LineId>>) -> Self {
        Self {
            by: (!by.is_office()).then_some(by),
            brought: brought.cloned().unwrap_or_default(),
        }
    }

    /// Notes that a line of this file stands in the record.
    pub(super) fn brings(&mut self, line: &LineId) {
        if self.by.is_some() {
            self.brought.insert(*line);
        }
    }

    /// Whether the importer may be told that a record holds just what a line says.
    pub(super) fn reads_all(&self, core: &Core, document: &Document) -> bool {
        let Some(by) = self.by else {
            return true;
        };
        let record = document.record();
        changes::reads_all(by, there(core, document, &record))
    }

    /// Refuses a patch line that the importer may not bring in.
    pub(super) fn refuse(
        &self,
        core: &Core,
        document: &Document,
        patch: &Patch,
    ) -> Result<(), Problem> {
        let Some(by) = self.by else {
            return Ok(());
        };
        let kind = document.kind();
        let kept = changes::reaches_hold(kind, patch).or_else(|| {
            // What others had no hand in is the file's own, and the right to import is enough.
            let mut lines = document.lines().into_iter();
            if lines.all(|line| line.is_some_and(|line| self.brought.contains(&line))) {
                return None;
            }
            let record = document.record();
            let names_protected = |name: &str| protection::named(core, name).unwrap_or(true);
            changes::line_kept(by, there(core, document, &record), patch, names_protected)
        });
        let Some(kept) = kept else {
            return Ok(());
        };
        let detail = format!(
            "{} may not change the {} section of a {} that is here ({}): {}",
            by.roles(),
            kept.section.word(),
            kind.singular(),
            kept.root,
            kept.why.words()
        );
        Err(Problem::new(kept.root, "not_allowed", detail))
    }
}

/// A record that is imported into: of this node's territory. Where it cannot be told whether it is
/// about somebody protected, it is.
fn there<'a>(core: &Core, document: &Document, record: &'a Record) -> There<'a> {
    There {
        kind: document.kind(),
        own: true,
        protected: protection::tells(core, document).unwrap_or(true),
        fields: &record.fields,
        conflicts: &record.conflicts,
        overwritten: &record.overwritten,
    }
}

//! Which record a line of an import means by its `ref`.
//!
//! An office's own number first; else the id under which a record without a number was exported; else,
//! of kinds that everyone holds, another territory's record of that number, which no line changes.

use raccordo_crdt_model::{Audience, Document, DocumentId, Kind, Problem, Stamp};
use serde_json::Value;

use crate::store::Table;

use super::core::{Core, ReadFailed};
use super::read;

/// Records that one number may stand for, looked at.
const LOOKED_MAX: usize = 16;

/// The records that a `ref` means.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// The one that patches change.
    pub(super) editable: Option<DocumentId>,
    /// Others that a create line may be the copy of.
    pub(super) others: Vec<DocumentId>,
    /// Whether no record can be made under this `ref`.
    pub(super) taken: bool,
    /// Why no patch goes through, where the `ref` names something and yet not one record.
    barred: Option<(&'static str, String)>,
}

impl Named {
    /// What `reference`, whose hash this is, means in the own territory.
    pub(super) fn find(
        core: &Core,
        kind: Kind,
        reference: &str,
        hash: &[u8; 16],
    ) -> Result<Self, ReadFailed> {
        let rows = core.store.scan(Table::References, hash, None, LOOKED_MAX)?;
        let ids = rows
            .iter()
            .filter_map(|(key, _)| key.get(16..)?.try_into().ok());
        let holders: Vec<DocumentId> = ids.map(DocumentId::from_bytes).collect();
        match holders.as_slice() {
            [] => Self::without_number(core, kind, reference),
            [one] => Ok(Self {
                editable: Some(*one),
                taken: true,
                ..Self::default()
            }),
            several => {
                let ids: Vec<String> = several.iter().map(ToString::to_string).collect();
                let detail = format!(
                    "{reference} is the number of several records here, {}: give one of them another number, \
                     or change it by its id",
                    ids.join(" and ")
                );
                Ok(Self {
                    others: holders,
                    taken: true,
                    barred: Some(("ambiguous", detail)),
                    ..Self::default()
                })
            }
        }
    }

    fn without_number(core: &Core, kind: Kind, reference: &str) -> Result<Self, ReadFailed> {
        // As it is written: two spellings would be two records to whoever gathers lines.
        let id = DocumentId::parse(reference).ok();
        let id = id.filter(|id| id.to_string() == reference);
        let row = id.map(|id| core.document_row(id)).transpose()?.flatten();
        if let (Some(id), Some(row)) = (id, row.filter(|row| row.kind == kind.code())) {
            let numbered = row
                .indexed
                .as_ref()
                .is_some_and(|one| one.reference.is_some());
            let home = row.territory == core.territory();
            if home && !numbered {
                return Ok(Self {
                    editable: Some(id),
                    taken: true,
                    ..Self::default()
                });
            }
            let barred = if home {
                let detail = "the record has a number: name it by that one";
                ("unknown_ref", detail.to_owned())
            } else {
                let detail = format!(
                    "the record belongs to {}, only its own nodes may change it",
                    row.territory
                );
                ("not_home", detail)
            };
            return Ok(Self {
                others: vec![id],
                taken: true,
                barred: Some(barred),
                ..Self::default()
            });
        }
        if kind.audience() != Audience::Everyone {
            return Ok(Self::default());
        }
        let elsewhere = read::by_reference(core, kind, reference, None)?;
        Ok(Self {
            others: elsewhere.into_iter().map(|(id, _)| id).collect(),
            ..Self::default()
        })
    }

    /// Refuses a patch of a `ref` that does not name one record of this territory.
    pub(super) fn one(&self) -> Result<(), Problem> {
        match &self.barred {
            Some((code, detail)) => Err(Problem::new("/ref", code, detail.clone())),
            None => Ok(()),
        }
    }
}

/// Whether another record of the own territory has this number.
pub(super) fn in_use(
    core: &Core,
    kind: Kind,
    reference: &str,
    but: DocumentId,
) -> Result<bool, ReadFailed> {
    let held = read::by_reference(core, kind, reference, Some(&core.territory()))?;
    Ok(held.iter().any(|(id, _)| *id != but))
}

/// Whether a record holds just what a create line says.
pub(super) fn holds(document: &Document, doc: &Value, stamp: &Stamp) -> bool {
    let fields = document.record().fields;
    let mut wanted = doc.clone();
    if let (None, Some(members)) = (fields.get("ref"), wanted.as_object_mut()) {
        // Written out under its id.
        members.remove("ref");
    }
    if wanted == fields {
        return true;
    }
    // As it would be stored: with its containers and first state, and numbers in their form.
    let as_history = Stamp {
        imported: true,
        ..stamp.clone()
    };
    let (id, kind, territory) = (document.id(), document.kind(), document.territory());
    let made = Document::create(id, kind, territory, &wanted, &as_history);
    made.is_ok_and(|(made, _)| made.record().fields == fields)
}

//! One open casefile of a subject: a second one is refused to people, and flagged where it came otherwise.
//!
//! An import, two nodes of an office that did not hear of each other, a merge of two records and a
//! transfer may each leave two; what they brought is kept, and whoever reads one is told of the other.

use std::collections::BTreeSet;

use raccordo_crdt_model::command::Operation;
use raccordo_crdt_model::{Document, DocumentId, Kind, Patch, Problem, Rejected, Term};
use serde_json::Value;

use super::core::Core;
use super::draft::Draft;
use super::local;
use super::persons;
use super::read;
use super::terms;
use super::view::CommandFailed;

/// The code of the refusal and of the flag.
pub(crate) const SECOND: &str = "second_open_casefile";
const OPEN: &str = "open";
/// Kinds that a casefile may be about.
const SUBJECTS: [Kind; 2] = [Kind::Person, Kind::Household];

/// Refuses a new casefile that is open where its subject has an open one.
pub(crate) fn may_begin(draft: &mut Draft<'_>, document: &Document) -> Result<(), CommandFailed> {
    if document.kind() != Kind::Casefile {
        return Ok(());
    }
    let fields = document.record().fields;
    match (fields["state"].as_str(), fields["subject"].as_str()) {
        (Some(OPEN), Some(subject)) => is_only(draft, document.id(), subject),
        _ => Ok(()),
    }
}

/// Refuses an edit that opens a casefile, or gives it another subject, where that has an open one.
pub(crate) fn may_change(
    draft: &mut Draft<'_>,
    document: &Document,
    patch: &Patch,
) -> Result<(), CommandFailed> {
    if document.kind() != Kind::Casefile {
        return Ok(());
    }
    let former = document.record().fields;
    let (mut state, mut subject) = (former["state"].clone(), former["subject"].clone());
    for (pointer, operation) in patch.steps() {
        if let ([name], Operation::Add(value) | Operation::Replace(value)) =
            (pointer.tokens(), operation)
        {
            match name.as_str() {
                "state" => state = value.clone(),
                "subject" => subject = value.clone(),
                _ => {}
            }
        }
    }
    if (&state, &subject) == (&former["state"], &former["subject"]) || state != OPEN {
        return Ok(());
    }
    match subject.as_str() {
        Some(subject) => is_only(draft, document.id(), subject),
        None => Ok(()),
    }
}

/// Whether the subject of an open casefile has another open one.
pub(crate) fn has_second(
    core: &Core,
    own: DocumentId,
    fields: &Value,
) -> Result<bool, CommandFailed> {
    let (Some(OPEN), Some(subject)) = (fields["state"].as_str(), fields["subject"].as_str()) else {
        return Ok(false);
    };
    let mut ids = Vec::new();
    for kind in SUBJECTS {
        ids.extend(read::named(core, kind, subject)?.map(|id| (kind, id)));
    }
    for name in names(core, subject, &ids)? {
        for id in terms::found_by(core, &Term::About(name))? {
            let here = core.territory();
            if id != own && core.look(id)?.is_some_and(|found| is_open(&found, &here)) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn is_only(draft: &mut Draft<'_>, own: DocumentId, subject: &str) -> Result<(), CommandFailed> {
    let territory = draft.core.territory();
    let by_id = DocumentId::parse(subject).ok();
    let mut ids = Vec::new();
    for kind in SUBJECTS {
        let found = match by_id {
            Some(id) => vec![id],
            None => local::holders(draft, kind, &territory, subject)?,
        };
        ids.extend(found.into_iter().map(|id| (kind, id)));
    }
    let mut about = names(draft.core, subject, &ids)?;
    for (_, id) in ids {
        // Also of one that this same commit makes.
        let document = draft.document(id)?;
        about.extend(document.and_then(|document| document.summary().reference));
    }
    for name in about {
        for id in draft.found_by(&Term::About(name))? {
            let found = draft.document(id)?;
            if id != own && found.is_some_and(|found| is_open(&found, &territory)) {
                return Err(refused());
            }
        }
    }
    Ok(())
}

/// Whatever a subject is named by, past merges.
fn names(
    core: &Core,
    subject: &str,
    ids: &[(Kind, DocumentId)],
) -> Result<BTreeSet<String>, CommandFailed> {
    let mut all = BTreeSet::from([subject.to_owned()]);
    for (kind, id) in ids {
        let mut group = BTreeSet::from([*id]);
        if *kind == Kind::Person {
            let stands = persons::standing_for(core, *id)?.unwrap_or(*id);
            group.extend(persons::group(core, stands)?);
        }
        all.extend(group.iter().map(ToString::to_string));
        all.extend(persons::names(core, &group)?);
    }
    Ok(all)
}

fn is_open(found: &Document, territory: &str) -> bool {
    found.kind() == Kind::Casefile
        && found.territory() == territory
        && found.summary().state == OPEN
}

/// Not which one: who may know finds it, and others are not to learn what it is about.
fn refused() -> CommandFailed {
    let detail = "this subject has an open casefile: go on with that one, or close it before \
                  another is opened";
    let problem = Problem::new("/subject", SECOND, detail);
    CommandFailed::Rejected(Rejected::Rule(problem))
}

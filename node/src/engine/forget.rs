//! Forgetting a subject: which records belong to it, whether the law lets them go, and one commit in
//! which all of them end.
//!
//! Private records end in a lane that no other territory gets, so a signed order that names their ids
//! goes with what the coordination holds: a store put back on an older copy fetches it back with its
//! own log and carries it out before writing opens.

use std::collections::BTreeSet;

use raccordo_crdt_model::{DocumentId, Kind, Term};
use serde_json::{Map, Value, json};

use super::core::{Core, ReadFailed};
use super::days::{self, DAY_MS};
use super::draft::Draft;
use super::local;
use super::orders;
use super::persons;
use super::read;
use super::scope::LANE_TERRITORY;
use super::task::Done;
use super::tombstone;
use super::transfer;
use super::view::CommandFailed;

/// Most records that one order names: its text has bounds like that of any record.
const ORDERED_MAX: usize = 1_000;
/// Kinds in which a subject is looked for by name, the likeliest first.
const SUBJECTS: [Kind; 3] = [Kind::Project, Kind::Person, Kind::Household];

/// Erases a record with all that belongs to the same subject.
pub(crate) fn order(
    draft: &mut Draft<'_>,
    kind: Kind,
    id: DocumentId,
    reason: &str,
    by: &str,
) -> Result<Done, CommandFailed> {
    let core = draft.core;
    draft.open(kind, id)?;
    let all = covered(core, kind, id)?;
    let at_home = core
        .document_row(id)?
        .is_some_and(|row| row.territory == core.territory());
    if at_home {
        lawful(core, draft.now_ms, &all)?;
    }
    for (kind, other) in &all {
        draft.open(*kind, *other)?;
        transfer::may_erase(draft, *kind, *other)?;
    }
    let mut private = Vec::new();
    for (_, other) in &all {
        let row = core.document_row(*other)?;
        if row.is_some_and(|row| row.lane == LANE_TERRITORY) {
            private.push(*other);
        }
    }
    // The record itself first: what is refused is refused before anything is done.
    tombstone::erase(draft, kind, id, reason, by)?;
    give_orders(draft, &private, by)?;
    for (kind, other) in &all {
        if *other != id {
            tombstone::erase(draft, *kind, *other, reason, by)?;
        }
    }
    transfer::ask(draft, &all, by)?;
    Ok(Done::Record(id))
}

/// Orders that name these records, as many as it takes.
pub(crate) fn give_orders(
    draft: &mut Draft<'_>,
    private: &[DocumentId],
    by: &str,
) -> Result<(), CommandFailed> {
    let today = days::date(draft.now_ms);
    for some in private.chunks(ORDERED_MAX) {
        let entry = |id: &DocumentId| (id.to_string(), json!({"document": id.to_string()}));
        let documents: Map<String, Value> = some.iter().map(entry).collect();
        let fields = json!({"ordered_on": today, "documents": documents, "sharing": "shared"});
        if let Done::Record(order) = local::create(draft, Kind::ErasureOrder, &fields, by)? {
            orders::open(draft, order);
        }
    }
    Ok(())
}

/// Carries out every order of this territory that this store does not know to have been carried
/// out: it was put back on a copy from before.
pub(crate) fn replay(draft: &mut Draft<'_>) -> Result<(), ReadFailed> {
    let core = draft.core;
    for (id, _) in read::all_of(core, Kind::ErasureOrder)? {
        let Some(order) = draft
            .document(id)?
            .filter(|order| order.territory() == core.territory())
        else {
            continue;
        };
        let fields = order.record().fields;
        let row = core.document_row(id)?;
        let own = row.is_some_and(|row| row.home_origin == core.id.origin());
        if own && fields["state"] != "completed" {
            orders::open(draft, id);
        }
        let documents = fields["documents"].as_object().into_iter().flatten();
        for (_, entry) in documents {
            let named = entry["document"]
                .as_str()
                .and_then(|id| DocumentId::parse(id).ok());
            let Some(named) = named else { continue };
            let Some(kind) = draft.document(named)?.map(|document| document.kind()) else {
                continue;
            };
            let reason = format!("order {id}, carried out again after this store was put back");
            let again = tombstone::erase(draft, kind, named, &reason, "restore");
            match again {
                Ok(_) => tracing::warn!(document = %named, "erased again after a restore"),
                Err(CommandFailed::Erased(_) | CommandFailed::NotFound { .. }) => {}
                Err(failed) => {
                    tracing::error!(error = %failed, document = %named, "an order was not carried out");
                }
            }
        }
    }
    Ok(())
}

/// The record that a name means, of whatever kind.
pub(crate) fn subject(
    core: &Core,
    name: &str,
    kind: Option<Kind>,
    territory: Option<&str>,
) -> Result<(Kind, DocumentId), CommandFailed> {
    if let Some(kind) = kind {
        return Ok((kind, read::resolve(core, kind, name, territory)?));
    }
    if let Ok(id) = DocumentId::parse(name)
        && let Some(row) = core.document_row(id)?
        && let Some(kind) = Kind::from_code(row.kind)
    {
        return Ok((kind, id));
    }
    let mut found = Vec::new();
    let others = Kind::all()
        .into_iter()
        .filter(|kind| !SUBJECTS.contains(kind));
    for (place, kind) in SUBJECTS.into_iter().chain(others).enumerate() {
        // A name of another kind only counts if it is nobody's.
        if place == SUBJECTS.len() && !found.is_empty() {
            break;
        }
        match read::resolve(core, kind, name, territory) {
            Ok(id) => found.push((kind, id)),
            Err(CommandFailed::NotFound { .. }) => {}
            Err(failed) => return Err(failed),
        }
    }
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(CommandFailed::NotFound {
            kind: "record",
            id: name.to_owned(),
        }),
        several => Err(CommandFailed::Malformed {
            detail: format!(
                "{name} names a {}: say which with `kind`",
                several
                    .iter()
                    .map(|(kind, _)| kind.singular())
                    .collect::<Vec<_>>()
                    .join(" and a ")
            ),
        }),
    }
}

/// What ends with a record: of a person or household their casefiles and contacts and the projects
/// named in the casefiles, of a person also what was merged into their record.
pub(crate) fn covered(
    core: &Core,
    kind: Kind,
    id: DocumentId,
) -> Result<BTreeSet<(Kind, DocumentId)>, CommandFailed> {
    let mut all = BTreeSet::from([(kind, id)]);
    let own = match kind {
        Kind::Person => persons::group(core, id)?,
        Kind::Household => BTreeSet::from([id]),
        _ => {
            all.extend(transfers_of(core, &all)?);
            return Ok(all);
        }
    };
    all.extend(own.iter().map(|own| (kind, *own)));
    for name in persons::names(core, &own)? {
        for about in super::terms::found_by(core, &Term::About(name))? {
            let Some(document) = core.look(about)? else {
                continue;
            };
            let about = (document.kind(), about);
            match document.kind() {
                Kind::Contact => drop(all.insert(about)),
                Kind::Casefile => {
                    all.insert(about);
                    let fields = document.record().fields;
                    for (_, entry) in fields["projects"].as_object().into_iter().flatten() {
                        let name = entry["project"].as_str().unwrap_or_default();
                        let project = read::named(core, Kind::Project, name)?;
                        all.extend(project.map(|project| (Kind::Project, project)));
                    }
                }
                _ => {}
            }
        }
    }
    all.extend(transfers_of(core, &all)?);
    let home = core.territory();
    let mut held = BTreeSet::new();
    for (kind, id) in all {
        if core
            .document_row(id)?
            .is_some_and(|row| row.territory == home)
        {
            held.insert((kind, id));
        }
    }
    Ok(held)
}

/// The transfers in which a project of these was offered: what they carry of the subject is sealed
/// in each, under its own key.
fn transfers_of(
    core: &Core,
    all: &BTreeSet<(Kind, DocumentId)>,
) -> Result<BTreeSet<(Kind, DocumentId)>, CommandFailed> {
    let projects = all.iter().filter(|(kind, _)| *kind == Kind::Project);
    let projects: BTreeSet<String> = projects.map(|(_, id)| id.to_string()).collect();
    let mut transfers = BTreeSet::new();
    if projects.is_empty() {
        return Ok(transfers);
    }
    for (id, _) in read::all_of(core, Kind::Transfer)? {
        let Some(transfer) = core.look(id)? else {
            continue;
        };
        let fields = transfer.record().fields;
        let own = transfer.territory() == core.territory();
        if own
            && fields["project"]
                .as_str()
                .is_some_and(|project| projects.contains(project))
        {
            transfers.insert((Kind::Transfer, id));
        }
    }
    Ok(transfers)
}

/// What forbids for now to erase a record of this territory: the refusal that a person would get, as a
/// code; none if nothing does.
pub(crate) fn forbidden(
    core: &Core,
    kind: Kind,
    id: DocumentId,
) -> Result<Option<&'static str>, CommandFailed> {
    let now_ms = core.clock.unix_millis();
    match lawful(core, now_ms, &BTreeSet::from([(kind, id)])) {
        Ok(()) => Ok(None),
        Err(CommandFailed::Conflict { code, .. }) => Ok(Some(code)),
        Err(failed) => Err(failed),
    }
}

/// Whether nothing forbids to erase these records: no hold in a casefile of theirs, and, where
/// periods are binding, none that is not over.
fn lawful(
    core: &Core,
    now_ms: i64,
    all: &BTreeSet<(Kind, DocumentId)>,
) -> Result<(), CommandFailed> {
    let mut casefiles: BTreeSet<DocumentId> = BTreeSet::new();
    for (kind, id) in all {
        casefiles.extend(casefiles_of(core, *kind, *id)?);
    }
    let today = days::date(now_ms);
    for id in casefiles {
        let Some(document) = core
            .look(id)?
            .filter(|found| found.kind() == Kind::Casefile)
        else {
            continue;
        };
        let fields = document.record().fields;
        for (key, hold) in fields["legal_hold"].as_object().into_iter().flatten() {
            let until = hold["until"].as_str();
            if until.is_none_or(|until| until >= today.as_str()) {
                let end = until.map_or("without an end".to_owned(), |until| {
                    format!("until {until}")
                });
                let why = hold["reason"].as_str().unwrap_or("no reason given");
                let detail = format!(
                    "casefile {id} is under the legal hold {key} {end} ({why}): nothing of the subject is erased \
                     before it ends or is taken out of the casefile"
                );
                return Err(CommandFailed::Conflict {
                    code: "legal_hold",
                    detail,
                });
            }
        }
    }
    let config = core.config();
    if !config.retention.binding {
        return Ok(());
    }
    for (kind, id) in all {
        let Some(days) = period(&config, *kind) else {
            continue;
        };
        let over = last_change(core, *id)?.unwrap_or(now_ms) + i64::from(days) * DAY_MS;
        if over > now_ms {
            let detail = format!(
                "the {} {id} is to be kept until {}, {days} days after its last change ([retention] \
                 {}_days, binding): erase it then, or change the period",
                kind.singular(),
                days::date(over),
                kind.singular(),
            );
            return Err(CommandFailed::Conflict {
                code: "retention",
                detail,
            });
        }
    }
    Ok(())
}

/// The casefiles of whomever a record is about: by the persons, households and projects that it is
/// or names, past merges.
fn casefiles_of(
    core: &Core,
    kind: Kind,
    id: DocumentId,
) -> Result<BTreeSet<DocumentId>, CommandFailed> {
    let mut found = in_casefiles(core, kind, id)?;
    let mut subjects = subjects_of(core, kind, id)?;
    // Members of a household, too.
    subjects.extend(named_by(core, id)?);
    for (kind, subject) in subjects {
        for term in about(core, kind, subject)? {
            found.extend(super::terms::found_by(core, &term)?);
        }
    }
    Ok(found)
}

/// The persons and households whom a record is about: itself, those whom it names, and those in
/// whose casefiles its project stands.
pub(crate) fn subjects_of(
    core: &Core,
    kind: Kind,
    id: DocumentId,
) -> Result<BTreeSet<(Kind, DocumentId)>, CommandFailed> {
    if matches!(kind, Kind::Person | Kind::Household) {
        return Ok(BTreeSet::from([(kind, id)]));
    }
    let mut subjects = BTreeSet::new();
    let casefiles = in_casefiles(core, kind, id)?;
    for about in casefiles.into_iter().chain([id]) {
        subjects.extend(named_by(core, about)?);
    }
    Ok(subjects)
}

/// The persons and households whom a record names.
fn named_by(core: &Core, id: DocumentId) -> Result<BTreeSet<(Kind, DocumentId)>, CommandFailed> {
    let mut named = BTreeSet::new();
    let Some(document) = core.look(id)? else {
        return Ok(named);
    };
    for term in document.summary().terms {
        let Term::About(name) = term else { continue };
        for kind in [Kind::Person, Kind::Household] {
            let one = read::named(core, kind, &name)?;
            named.extend(one.map(|one| (kind, one)));
        }
    }
    Ok(named)
}

/// The casefiles and contacts of the project that a record is or names; a casefile itself.
fn in_casefiles(
    core: &Core,
    kind: Kind,
    id: DocumentId,
) -> Result<BTreeSet<DocumentId>, CommandFailed> {
    let mut found = BTreeSet::new();
    let mut projects = BTreeSet::new();
    let document = core.look(id)?;
    let fields = document.map(|document| document.record().fields);
    let named = fields
        .as_ref()
        .and_then(|fields| fields["project"].as_str());
    match kind {
        Kind::Casefile => drop(found.insert(id)),
        Kind::Project => drop(projects.insert(id)),
        Kind::Contact | Kind::Transfer => {
            if let Some(name) = named {
                projects.extend(read::named(core, Kind::Project, name)?);
            }
        }
        _ => {}
    }
    for name in persons::names(core, &projects)? {
        found.extend(super::terms::found_by(core, &Term::Project(name))?);
    }
    Ok(found)
}

/// The terms by which records about somebody are found, of every record merged with theirs.
fn about(core: &Core, kind: Kind, id: DocumentId) -> Result<Vec<Term>, CommandFailed> {
    let own = if kind == Kind::Person {
        let stands = persons::standing_for(core, id)?.unwrap_or(id);
        let mut group = persons::group(core, stands)?;
        group.insert(id);
        group
    } else {
        BTreeSet::from([id])
    };
    let names = persons::names(core, &own)?;
    Ok(names.into_iter().map(Term::About).collect())
}

/// Days that records of a kind are kept after their last change; none without a period.
pub(crate) fn period(config: &raccordo_config::Config, kind: Kind) -> Option<u32> {
    let days = match kind {
        Kind::Person | Kind::Casefile => config.retention.person_days,
        Kind::Household => config.retention.household_days,
        Kind::Contact => config.retention.contact_days,
        Kind::Project => config.retention.project_days,
        _ => 0,
    };
    (days > 0).then_some(days)
}

/// When a record was last changed, unix ms.
pub(crate) fn last_change(core: &Core, id: DocumentId) -> Result<Option<i64>, ReadFailed> {
    let row = core.document_row(id)?;
    Ok(row
        .and_then(|row| row.indexed)
        .map(|indexed| indexed.updated_ms))
}

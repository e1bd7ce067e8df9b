//! Whom a project is about: the records of this territory that go along when it is handed over.
//!
//! Found from the casefiles that name the project. Reads what is committed; writes nothing.

use std::collections::BTreeSet;

use raccordo_crdt_model::{DocumentId, Kind, Term};
use serde_json::{Value, json};

use super::super::core::{Core, ReadFailed};
use super::super::persons;
use super::super::read;
use super::super::terms::found_by;

/// The records of this territory about whom a project is: casefiles that name it, their subject,
/// and of a household its members, of a person its household.
pub(super) fn subject_of(
    core: &Core,
    project: DocumentId,
) -> Result<Vec<(Kind, DocumentId)>, ReadFailed> {
    let Some(document) = core.look(project)? else {
        return Ok(Vec::new());
    };
    let own = core.territory();
    let name = document.record().fields["ref"].clone();
    let is_it = |link: &Value| {
        let named = &link["project"];
        named == &json!(project.to_string()) || (name.is_string() && *named == name)
    };
    let mut found: Vec<(Kind, DocumentId)> = Vec::new();
    let mut named = BTreeSet::new();
    for name in persons::names(core, &BTreeSet::from([project]))? {
        named.extend(found_by(core, &Term::Project(name))?);
    }
    for id in named {
        let casefile = core.look(id)?;
        let Some(casefile) = casefile.filter(|found| found.kind() == Kind::Casefile) else {
            continue;
        };
        let fields = casefile.record().fields;
        let mut links = fields["projects"].as_object().into_iter().flatten();
        if !links.any(|(_, link)| is_it(link)) {
            continue;
        }
        found.push((Kind::Casefile, id));
        let subject = fields["subject"].as_str().unwrap_or_default();
        for kind in [Kind::Person, Kind::Household] {
            if let Ok(id) = read::resolve(core, kind, subject, Some(&own)) {
                found.extend(kin(core, kind, id, &own)?);
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// A person or a household, and who belongs to it.
fn kin(
    core: &Core,
    kind: Kind,
    id: DocumentId,
    own: &str,
) -> Result<Vec<(Kind, DocumentId)>, ReadFailed> {
    let Some(document) = core.look(id)? else {
        return Ok(Vec::new());
    };
    if document.kind() != kind {
        return Ok(Vec::new());
    }
    let fields = document.record().fields;
    let mut found = vec![(kind, id)];
    let mut add = |kind, name: &Value| {
        let named = name
            .as_str()
            .map(|name| read::resolve(core, kind, name, Some(own)));
        found.extend(named.into_iter().flatten().map(|id| (kind, id)));
    };
    match kind {
        Kind::Household => {
            let members = fields["members"].as_object().into_iter().flatten();
            members.for_each(|(_, member)| add(Kind::Person, &member["person"]));
        }
        _ => add(Kind::Household, &fields["household"]),
    }
    Ok(found)
}

//! What was appended while a project was offered: reviews, and notes and the like of its casefiles.
//!
//! The sender notes at the offer which entries went into it. In the commit that completes the transfer
//! it seals those that came since; the receiver's node that accepted puts them into the records that
//! it made, in the commit that says so. Only whole entries travel, by their keys; what was changed in
//! an entry that went before does not. Does not decide when.

use std::collections::{BTreeMap, BTreeSet};

use raccordo_crdt_model::field_rules::transfer as rules;
use raccordo_crdt_model::schema::Node;
use raccordo_crdt_model::{DocumentId, Kind, Term};
use serde_json::{Map, Value, json};

use super::super::draft::Draft;
use super::super::fields::{BadRow, FieldReader, FieldWriter};
use super::super::terms::found_by;
use super::super::view::CommandFailed;
use super::commands::add as adding;
use super::driver::change;
use super::gather;
use super::parcel::{self, Parcel};
use super::receivers::receivers;
use super::terms::Terms;
use super::{TRANSFERRING, refused};
use crate::store::Table;

/// Meta keys of what went into an offer begin so.
const OFFERED: &[u8] = b"offered/";
const ROW_VERSION: u8 = 1;
/// Most bytes of what came later: it enters one commit with the end of the transfer.
const LATER_BYTES_MAX: usize = 1 << 20;

/// An entry: the record it stands in, the container there, its key.
type Name = (DocumentId, String, String);

/// Takes note of which entries go into an offer.
pub(super) fn note(draft: &mut Draft<'_>, id: DocumentId, project: DocumentId, parcel: &Parcel) {
    let mut out = FieldWriter::new(ROW_VERSION);
    for (record, container, key) in names_in(project, parcel) {
        out.fixed(record.as_bytes()).text(&container).text(&key);
    }
    draft.batch.put(Table::Meta, row(id), out.finish());
}

/// Nothing is to be known any more of what went into an offer.
pub(super) fn forget(draft: &mut Draft<'_>, id: DocumentId) {
    draft.batch.delete(Table::Meta, row(id));
}

/// Seals what was appended since the offer if the project was taken over, and ends the noting.
pub(super) fn leave(
    draft: &mut Draft<'_>,
    id: DocumentId,
    terms: &Terms,
    is_taken: bool,
) -> Result<(), CommandFailed> {
    let project = draft.document_in_hand(terms.project)?;
    let locked = project.filter(|project| project.summary().state == TRANSFERRING);
    if let Some(project) = locked.filter(|_| is_taken && terms.later_keys.is_empty()) {
        let fields = project.record().fields;
        let noted = draft.core.store.get(Table::Meta, &row(id));
        let noted = noted.map_err(super::super::core::ReadFailed::from)?;
        let noted = noted.map(|row| read(&row)).transpose();
        let noted = noted.map_err(super::super::core::ReadFailed::from)?;
        let records = since(draft, terms, &fields, &noted.unwrap_or_default())?;
        if !records.is_empty() {
            seal(draft, id, terms, &records)?;
        }
    }
    forget(draft, id);
    Ok(())
}

/// Puts what came later into the records that an acceptance made: what is there already is passed
/// over, and so is what went into the offer itself.
pub(super) fn add(
    draft: &mut Draft<'_>,
    id: DocumentId,
    terms: &Terms,
    project: DocumentId,
) -> Result<(), CommandFailed> {
    let core = draft.core;
    let transfer = draft.document_in_hand(id)?;
    let fields = transfer.map_or(Value::Null, |transfer| transfer.record().fields);
    let mut pieces = Vec::new();
    for (_, piece) in fields["later"].as_object().into_iter().flatten() {
        pieces.extend(piece["text"].as_str());
    }
    let opened = Parcel::opened(core, id, &fields["later_keys"], &pieces);
    let content = opened.ok_or_else(|| {
        refused(
            "/later",
            rules::NOT_READABLE,
            "what was appended while the project was offered does not open at this node",
        )
    })?;
    let before = Parcel::open(core, id, terms, &fields);
    let before = before.map(|parcel| names_in(terms.project, &parcel));
    let before = before.unwrap_or_default();
    for record in content["records"].as_array().into_iter().flatten() {
        let former = record["id"]
            .as_str()
            .and_then(|id| DocumentId::parse(id).ok());
        let kind = record["kind"].as_str().and_then(Kind::from_singular);
        let (Some(former), Some(kind)) = (former, kind) else {
            continue;
        };
        let target = match kind {
            Kind::Project => (former == terms.project).then_some(project),
            Kind::Casefile => casefile_for(draft, project, &record["ref"])?,
            _ => None,
        };
        for (container, key, value) in entries(kind, &record["entries"]) {
            let name = (former, container, key);
            if let Some(target) = target.filter(|_| !before.contains(&name)) {
                put(draft, id, kind, target, &name, value)?;
            }
        }
    }
    Ok(())
}

/// One entry, into a record that has none of that key.
fn put(
    draft: &mut Draft<'_>,
    transfer: DocumentId,
    kind: Kind,
    target: DocumentId,
    (_, container, key): &Name,
    value: &Value,
) -> Result<(), CommandFailed> {
    let Some(document) = draft.document_in_hand(target)? else {
        return Ok(());
    };
    if document.record().fields[container].get(key).is_some() {
        return Ok(());
    }
    let escaped = key.replace('~', "~0").replace('/', "~1");
    let edit = adding(&format!("/{container}/{escaped}"), value);
    match change(draft, kind, target, vec![edit]) {
        // One that cannot be taken does not hold up the others.
        Err(CommandFailed::Rejected(problem)) => {
            tracing::warn!(%transfer, %problem, "an entry that was appended to an offered project cannot be taken");
            let detail = format!("/{container}/{key} into {target}");
            draft.audit(
                "node",
                "transfer-entry-refused",
                &transfer.to_string(),
                &detail,
            );
            Ok(())
        }
        done => done,
    }
}

/// The casefile here of a project that was taken over; of several the one with the sender's number.
fn casefile_for(
    draft: &mut Draft<'_>,
    project: DocumentId,
    former: &Value,
) -> Result<Option<DocumentId>, CommandFailed> {
    let own = draft.core.territory();
    let mut first = None;
    for id in found_by(draft.core, &Term::Project(project.to_string()))? {
        let found = draft.document_in_hand(id)?;
        let Some(found) =
            found.filter(|found| found.kind() == Kind::Casefile && found.territory() == own)
        else {
            continue;
        };
        let (former, named) = (former.as_str(), found.summary().reference);
        let same = former
            .zip(named)
            .is_some_and(|(former, named)| named.split('~').next() == Some(former));
        if same {
            return Ok(Some(id));
        }
        first = first.or(Some(id));
    }
    Ok(first)
}

/// By record, the entries that are not among those that were noted.
fn since(
    draft: &Draft<'_>,
    terms: &Terms,
    project: &Value,
    noted: &BTreeSet<Name>,
) -> Result<Vec<Value>, CommandFailed> {
    let mut all = vec![(Kind::Project, terms.project, project.clone())];
    all.extend(casefiles(draft, terms)?);
    let mut records = Vec::new();
    for (kind, id, fields) in all {
        let mut new: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        for (container, key, value) in entries(kind, &fields) {
            let name = (id, container, key);
            if !noted.contains(&name) {
                new.entry(name.1).or_default().insert(name.2, value.clone());
            }
        }
        if !new.is_empty() {
            let (kind, id) = (kind.singular(), id.to_string());
            records.push(json!({"kind": kind, "id": id, "ref": fields["ref"], "entries": new}));
        }
    }
    Ok(records)
}

/// The casefiles of the project, unless what is about its subject must stay here by now.
fn casefiles(
    draft: &Draft<'_>,
    terms: &Terms,
) -> Result<Vec<(Kind, DocumentId, Value)>, CommandFailed> {
    let mut parcel = Parcel {
        note: None,
        project: Value::Null,
        records: Vec::new(),
    };
    let gathered = gather::subject_of(draft.core, terms.project);
    for one in gathered.iter().flatten() {
        if let Some(document) = draft.document(one.id)? {
            parcel
                .records
                .push((one.kind, one.id, one.fields_of(&document)));
        }
    }
    let may_go = gathered.and_then(|_| gather::prepare(terms.project, &mut parcel));
    if let Err(why) = may_go {
        tracing::warn!(project = %terms.project, %why, "what was added to the casefiles of an offered project stays here");
        return Ok(Vec::new());
    }
    let records = parcel.records.into_iter();
    Ok(records
        .filter(|(kind, _, _)| *kind == Kind::Casefile)
        .collect())
}

fn seal(
    draft: &mut Draft<'_>,
    id: DocumentId,
    terms: &Terms,
    records: &[Value],
) -> Result<(), CommandFailed> {
    let content = json!({"version": 1, "records": records}).to_string();
    let nodes = receivers(draft, &terms.to);
    if content.len() > LATER_BYTES_MAX || nodes.is_empty() {
        let bytes = content.len();
        tracing::warn!(transfer = %id, bytes, nodes = nodes.len(), "what was appended to an offered project stays here");
        let detail = format!("{bytes} bytes for {} nodes", nodes.len());
        draft.audit("node", "transfer-entries-left", &id.to_string(), &detail);
        return Ok(());
    }
    let sealed = Parcel::seal_text(draft.core, id, &nodes, &content)?;
    for (number, text) in sealed.pieces.iter().enumerate() {
        let path = format!("/later/{}", parcel::piece_name(number));
        change(
            draft,
            Kind::Transfer,
            id,
            vec![adding(&path, &json!({"text": text}))],
        )?;
    }
    let keys = sealed.keys.iter();
    let keys = keys.map(|(node, key)| adding(&format!("/later_keys/{node}"), key));
    change(draft, Kind::Transfer, id, keys.collect())
}

/// The entries of a parcel that may have others beside them later.
fn names_in(project: DocumentId, parcel: &Parcel) -> BTreeSet<Name> {
    let records = parcel.records.iter();
    let records = records.map(|(kind, id, fields)| (*kind, *id, fields));
    let all = records.chain([(Kind::Project, project, &parcel.project)]);
    let named = all.flat_map(|(kind, id, fields)| {
        let entries = entries(kind, fields).into_iter();
        entries.map(move |(container, key, _)| (id, container, key))
    });
    named.collect()
}

/// What can be appended to a record while its project is offered: container, key, entry.
fn entries(kind: Kind, fields: &Value) -> Vec<(String, String, &Value)> {
    let keyed = kind.fields().iter().filter(|field| {
        matches!(field.node, Node::Keyed(_))
            && match kind {
                Kind::Project => field.name == "reviews",
                Kind::Casefile => field.name != "projects",
                _ => false,
            }
    });
    let of = |name: &'static str| {
        let entries = fields.get(name).and_then(Value::as_object);
        let entries = entries.into_iter().flatten();
        entries.map(move |(key, value)| (name.to_owned(), key.clone(), value))
    };
    keyed.flat_map(|field| of(field.name)).collect()
}

fn row(id: DocumentId) -> Vec<u8> {
    [OFFERED, id.as_bytes().as_slice()].concat()
}

fn read(row: &[u8]) -> Result<BTreeSet<Name>, BadRow> {
    let mut row = FieldReader::open("offered", ROW_VERSION, row)?;
    let mut names = BTreeSet::new();
    while !row.is_at_end() {
        let id = DocumentId::from_bytes(row.array()?);
        names.insert((id, row.text()?, row.text()?));
    }
    Ok(names)
}

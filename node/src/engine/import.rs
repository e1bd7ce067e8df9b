//! A portion of an import's records: prepared record by record on all cores, then written record
//! by record, so that the entries of a record are neighbours in the log.
//!
//! A bad line is rejected with its number and reason; the others go in. A line known already
//! counts as present, also when it altered nothing. Lines of one record keep their order.

use std::collections::BTreeMap;
use std::sync::Arc;

use raccordo_crdt_model::{
    Change, Document, DocumentId, Heads, ImportLine, ImportOp, Kind, LineId, Patch, Problem,
    Rejected, Stamp, Summary, UnixMillis,
};
use serde_json::Value;

use crate::clock::draw;
use crate::store::Table;
use crate::store::seal::SealKey;

use super::admission;
use super::core::{Core, Loaded, ReadFailed};
use super::cores::on_all_cores;
use super::draft::Draft;
use super::import_file::{RecordLine, RecordLines};
use super::lines;
use super::local;
use super::publish;
use super::rows::DocumentRow;
use super::scope::{self, LANES};
use super::subject;
use super::task::Done;
use super::transfer;
use super::view::{CommandFailed, ImportReport, Reject};

/// Records by reference, as a dry run would have left them.
pub(crate) type Rehearsed = BTreeMap<(Kind, String), Document>;

/// Records on their way to the writer.
#[derive(Debug)]
pub(crate) struct ImportPortion {
    pub(crate) records: Vec<RecordLines>,
    pub(crate) dry_run: bool,
    /// Of a dry run: what earlier portions would have left.
    pub(crate) rehearsed: Rehearsed,
    /// Whether the cache has room for all records of the window.
    pub(crate) keep: bool,
}

impl ImportReport {
    /// Adds the report of a later window.
    pub fn add(&mut self, other: Self) {
        self.lines += other.lines;
        self.created += other.created;
        self.changed += other.changed;
        self.already_present += other.already_present;
        self.rejected += other.rejected;
        self.rejects.extend(other.rejects);
    }

    pub(super) fn count(&mut self, outcome: &Outcome) {
        self.lines += 1;
        match outcome {
            Outcome::Created(_) => self.created += 1,
            Outcome::Changed(_) => self.changed += 1,
            Outcome::Present => self.already_present += 1,
            Outcome::Rejected(rejects) => {
                self.rejected += 1;
                self.rejects.extend(rejects.iter().cloned());
            }
        }
    }
}

/// What a line led to.
#[derive(Debug)]
pub(super) enum Outcome {
    Created(Change),
    Changed(Change),
    Present,
    Rejected(Vec<Reject>),
}

/// One record's lines, and what they made of it.
#[derive(Debug)]
struct Prepared {
    kind: Kind,
    reference: String,
    /// Keyed hash of the reference.
    hash: [u8; 16],
    /// What was stored of it before: nothing of a new one.
    former: Option<(DocumentRow, SealKey)>,
    newest: Option<Newest>,
    /// Each line and its outcome, in their order.
    outcomes: Vec<(LineId, Outcome)>,
}

/// A record's state after its lines.
#[derive(Debug)]
struct Newest {
    id: DocumentId,
    kind: Kind,
    lane: Option<u8>,
    heads: Heads,
    summary: Summary,
    /// None where the import touches more documents than the cache holds.
    document: Option<Document>,
}

/// Imports a portion; in a dry run nothing is put into the draft.
pub(crate) fn run(draft: &mut Draft<'_>, portion: ImportPortion) -> Result<Done, CommandFailed> {
    let ImportPortion {
        records,
        dry_run,
        mut rehearsed,
        keep,
    } = portion;
    let (core, now_ms, keep) = (draft.core, draft.now_ms, keep || dry_run);
    let prepared = on_all_cores(&records, |record| {
        prepare(core, now_ms, record, &rehearsed, keep)
    });
    let prepared: Vec<Prepared> = prepared.into_iter().collect::<Result<_, ReadFailed>>()?;
    let mut report = ImportReport::default();
    for (_, outcome) in prepared.iter().flat_map(|record| &record.outcomes) {
        report.count(outcome);
    }
    if dry_run {
        let touched = prepared
            .into_iter()
            .filter_map(|record| Some(((record.kind, record.reference), record.newest?.document?)));
        rehearsed.extend(touched);
        return Ok(Done::Imported(report, rehearsed));
    }
    let before = LANES.map(|lane| draft.ledger.end(draft.core.own_log(lane)).seq);
    write(draft, prepared);
    if report.created + report.changed > 0 {
        let detail = summary(draft, &report, before);
        draft.audit("import", "import", "", &detail);
    }
    Ok(Done::Imported(report, rehearsed))
}

fn prepare(
    core: &Core,
    now_ms: i64,
    record: &RecordLines,
    rehearsed: &Rehearsed,
    keep: bool,
) -> Result<Prepared, ReadFailed> {
    let (kind, reference) = (record.kind, &record.reference);
    let territory = core.territory();
    let hash = super::draft::reference_hash(core, kind, &territory, reference);
    let holders = core.store.scan(Table::References, &hash, None, 1)?;
    let holder = holders
        .first()
        .and_then(|(key, _)| key.get(16..)?.try_into().ok())
        .map(DocumentId::from_bytes);
    let loaded = holder.map(|id| core.load(id)).transpose()?.flatten();
    if let Some(id) = holder {
        core.forget(id);
    }
    let (former, stored) = match loaded {
        Some(Loaded { document, row, key }) => {
            (Some((row, key)), Some(Arc::unwrap_or_clone(document)))
        }
        None => (None, None),
    };
    let place = (kind, reference.clone());
    let mut document = rehearsed.get(&place).cloned().or(stored);
    let mut outcomes = Vec::with_capacity(record.lines.len());
    let known = lines::known(&core.store, &hash)?;
    for RecordLine { number, text, id } in &record.lines {
        let outcome = if known.contains(&lines::short(id)) {
            Outcome::Present
        } else {
            let done = ImportLine::parse(text).and_then(|(line, _)| {
                let stamp = stamp(core, now_ms, &line, *id);
                perform(core, &territory, &mut document, &line, &stamp)
            });
            done.unwrap_or_else(|problems| {
                Outcome::Rejected(reject(*number, Some(reference), &problems))
            })
        };
        outcomes.push((*id, outcome));
    }
    let newest = document.map(|document| Newest {
        id: document.id(),
        kind: document.kind(),
        lane: scope::lane_of(document.kind(), document.is_local()),
        heads: document.heads(),
        summary: document.summary(),
        document: keep.then_some(document),
    });
    Ok(Prepared {
        kind,
        reference: place.1,
        hash,
        former,
        newest,
        outcomes,
    })
}

fn perform(
    core: &Core,
    territory: &str,
    document: &mut Option<Document>,
    line: &ImportLine,
    stamp: &Stamp,
) -> Result<Outcome, Vec<Problem>> {
    if admission::may_write(line.kind, core.config().node.role).is_err() {
        let (writer, kinds) = (local::writer(line.kind), line.kind.plural());
        let detail = format!("{writer} keeps {kinds}, not this node: import them there");
        return Err(vec![Problem::new("", "not_home", detail)]);
    }
    transfer::may_import(core, line, document.as_ref()).map_err(|problem| vec![problem])?;
    match (&line.op, document.as_mut()) {
        (ImportOp::Create { .. }, Some(_)) => Err(vec![Problem::new(
            "/ref",
            "ref_in_use",
            format!(
                "{} is already in use in {territory} with other content",
                line.reference
            ),
        )]),
        (ImportOp::Create { doc }, None) => {
            let id = DocumentId::from_bytes(draw(&*core.entropy));
            let mut fields = with_reference(doc, &line.reference);
            publish::keep_home(core, line.kind, &mut fields).map_err(|failed| match failed {
                CommandFailed::Rejected(refused) => problems(refused),
                failed => vec![Problem::new("", "unreadable", failed.to_string())],
            })?;
            let created =
                Document::create(id, line.kind, territory, &fields, stamp).map_err(problems)?;
            subject::may_be_shared(&created.0, &fields).map_err(problems)?;
            *document = Some(created.0);
            Ok(Outcome::Created(created.1))
        }
        (ImportOp::Patch { .. }, None) => Err(vec![Problem::new(
            "/ref",
            "unknown_ref",
            format!(
                "{} is not in use in {territory}: a create line comes first",
                line.reference
            ),
        )]),
        (ImportOp::Patch { patch }, Some(document)) => change(document, patch, stamp),
    }
}

fn change(document: &mut Document, patch: &Patch, stamp: &Stamp) -> Result<Outcome, Vec<Problem>> {
    subject::patch_may_be_shared(document, patch).map_err(problems)?;
    match document.patch(patch, None, stamp).map_err(problems)? {
        Some(change) => Ok(Outcome::Changed(change)),
        None => Ok(Outcome::Present),
    }
}

/// Puts what was prepared into the draft, record by record: so a record's entries are neighbours,
/// and whoever takes them in later opens each document once.
fn write(draft: &mut Draft<'_>, prepared: Vec<Prepared>) {
    let territory = draft.core.territory();
    for record in prepared {
        let Some(newest) = record.newest else {
            continue;
        };
        let id = newest.id;
        match record.former {
            Some((row, key)) => draft.adopt(id, newest.kind, row, key),
            None => {
                // What has no lane of its own was refused before.
                let Some(lane) = newest.lane else { continue };
                let home = draft.core.own_log(lane);
                draft.adopt_new(id, newest.kind, &territory, home);
                local::refer(draft, record.kind, &territory, Some(&record.reference), id);
            }
        }
        match newest.document {
            Some(document) => draft.advance(id, Arc::new(document)),
            None => draft.advance_unseen(id, newest.heads, newest.summary),
        }
        let mut imported = Vec::with_capacity(record.outcomes.len());
        for (line, outcome) in &record.outcomes {
            if let Outcome::Created(change) | Outcome::Changed(change) = outcome {
                draft.append_own(id, &local::new_change(change), None);
                imported.push(lines::short(line));
            }
        }
        lines::remember(&mut draft.batch, &record.hash, &imported);
    }
}

fn stamp(core: &Core, now_ms: i64, line: &ImportLine, id: LineId) -> Stamp {
    Stamp {
        origin: core.id.origin(),
        incarnation: core.incarnation(),
        at: line.at.unwrap_or(UnixMillis(now_ms)),
        by: line.by.clone(),
        line: Some(id),
        imported: line.at.is_some(),
    }
}

/// The document's fields with the line's reference, which `doc` may leave out.
fn with_reference(doc: &Value, reference: &str) -> Value {
    let mut fields = doc.clone();
    if let Some(map) = fields.as_object_mut() {
        map.entry("ref").or_insert_with(|| Value::from(reference));
    }
    fields
}

fn problems(rejected: Rejected) -> Vec<Problem> {
    match rejected {
        Rejected::Invalid(problems) => problems,
        Rejected::Rule(problem) => vec![problem],
        Rejected::TestFailed { pointer } => {
            vec![Problem::new(
                pointer,
                "test_failed",
                "the value is not the one that the patch tests for".to_owned(),
            )]
        }
        Rejected::UnknownVersion => vec![Problem::new(
            "",
            "unknown_version",
            "that version is not known here".to_owned(),
        )],
    }
}

/// One refusal a problem.
pub(super) fn reject(line: u64, reference: Option<&str>, problems: &[Problem]) -> Vec<Reject> {
    let refuse = |problem: &Problem| Reject {
        line,
        reference: reference.map(str::to_owned),
        code: problem.code.to_owned(),
        pointer: problem.pointer.clone(),
        message: problem.detail.clone(),
    };
    problems.iter().map(refuse).collect()
}

/// Counts, and which entries of the own logs hold the lines: there each has its author and time.
fn summary(draft: &Draft<'_>, report: &ImportReport, before: [u64; 3]) -> String {
    let mut entries = Vec::new();
    for (lane, before) in LANES.into_iter().zip(before) {
        let end = draft.ledger.end(draft.core.own_log(lane)).seq;
        if end > before {
            let (word, first) = (scope::lane_word(lane), before + 1);
            entries.push(format!("{word} entries {first}..={end}, "));
        }
    }
    let entries = entries.concat();
    format!(
        "{entries}{} lines: {} created, {} changed, {} already present, {} rejected",
        report.lines, report.created, report.changed, report.already_present, report.rejected
    )
}

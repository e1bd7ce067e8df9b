//! A portion of an import's records: prepared record by record on all cores, then written record
//! by record, so that the entries of a record are neighbours in the log.
//!
//! A bad line is rejected with its number and reason; the others go in. A line known already
//! counts as present, also when it altered nothing. Lines of one record keep their order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use raccordo_crdt_model::{
    Change, Document, DocumentId, Heads, ImportLine, ImportOp, Kind, LineId, Patch, Problem,
    Rejected, Stamp, Summary, UnixMillis,
};
use serde_json::Value;

use crate::clock::draw;
use crate::store::seal::SealKey;

use super::admission;
use super::core::{Core, Loaded, ReadFailed};
use super::cores::on_all_cores;
use super::draft::Draft;
use super::import_file::{RecordLine, RecordLines};
use super::import_names::{self as names, Named};
use super::import_rights::{Brought, Rights};
use super::lines;
use super::local;
use super::persons;
use super::publish;
use super::rows::DocumentRow;
use super::scope::{self, LANES};
use super::subject;
use super::task::Done;
use super::transfer;
use super::view::{CommandFailed, ImportReport, Principal, Reject};

/// Records by reference, as a dry run would have left them.
pub(crate) type Rehearsed = BTreeMap<(Kind, String), Document>;

/// What has to be remembered from portion to portion of one file.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    /// Of a dry run: what earlier portions would have left.
    pub(crate) rehearsed: Rehearsed,
    pub(crate) brought: Brought,
}

/// Records on their way to the writer.
#[derive(Debug)]
pub(crate) struct ImportPortion {
    pub(crate) records: Vec<RecordLines>,
    pub(crate) by: Arc<Principal>,
    pub(crate) dry_run: bool,
    pub(crate) carried: Carried,
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

    /// The counts, for the audit log.
    pub(crate) fn counts(&self) -> String {
        format!(
            "{} lines: {} created, {} changed, {} already present, {} rejected",
            self.lines, self.created, self.changed, self.already_present, self.rejected
        )
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
    outcomes: Vec<(lines::ShortId, Outcome)>,
    brought: BTreeSet<LineId>,
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
        by,
        dry_run,
        mut carried,
        keep,
    } = portion;
    let (core, now_ms, keep) = (draft.core, draft.now_ms, keep || dry_run);
    let prepared = on_all_cores(&records, |record| {
        prepare(core, now_ms, record, &by, &carried, keep)
    });
    let mut prepared: Vec<Prepared> = prepared.into_iter().collect::<Result<_, ReadFailed>>()?;
    for record in &mut prepared {
        let brought = std::mem::take(&mut record.brought);
        if !brought.is_empty() {
            let place = (record.kind, record.reference.clone());
            carried.brought.insert(place, brought);
        }
    }
    let mut report = ImportReport::default();
    for (_, outcome) in prepared.iter().flat_map(|record| &record.outcomes) {
        report.count(outcome);
    }
    if dry_run {
        for record in prepared {
            let Some(newest) = record.newest else {
                continue;
            };
            let Some(document) = newest.document else {
                continue;
            };
            if let Some(reference) = newest.summary.reference
                && reference != record.reference
            {
                let place = (record.kind, reference);
                carried.rehearsed.insert(place, document.clone());
            }
            let place = (record.kind, record.reference);
            carried.rehearsed.insert(place, document);
        }
        return Ok(Done::Imported(report, carried));
    }
    let before = LANES.map(|lane| draft.ledger.end(draft.core.own_log(lane)).seq);
    let written = write(draft, prepared);
    if !written.is_empty() {
        let detail = summary(draft, &report, before);
        draft.audit_all(&by.name, "import", &written, &detail);
    }
    Ok(Done::Imported(report, carried))
}

fn prepare(
    core: &Core,
    now_ms: i64,
    record: &RecordLines,
    by: &Principal,
    carried: &Carried,
    keep: bool,
) -> Result<Prepared, ReadFailed> {
    let (kind, reference) = (record.kind, &record.reference);
    let territory = core.territory();
    let hash = super::draft::reference_hash(core, kind, &territory, reference);
    let named = Named::find(core, kind, reference, &hash)?;
    let holder = named.editable;
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
    let mut target = Target {
        core,
        document: carried.rehearsed.get(&place).cloned().or(stored),
        named,
        rehearsed: &carried.rehearsed,
    };
    let mut rights = Rights::of(by, carried.brought.get(&place));
    let mut outcomes = Vec::with_capacity(record.lines.len());
    let known = lines::known(&core.store, &hash)?;
    for RecordLine { number, text, id } in &record.lines {
        let short = lines::short(&core.vault, &hash, id);
        let outcome = if known.contains(&short) {
            Outcome::Present
        } else {
            let done = ImportLine::parse(text).and_then(|(line, _)| {
                let stamp = stamp(core, now_ms, &line, *id);
                target.perform(&rights, &line, &stamp)
            });
            done.unwrap_or_else(|problems| {
                Outcome::Rejected(reject(*number, Some(reference), &problems))
            })
        };
        if !matches!(outcome, Outcome::Rejected(_)) {
            rights.brings(id);
        }
        outcomes.push((short, outcome));
    }
    let newest = target.document.map(|document| Newest {
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
        brought: rights.brought,
    })
}

/// The record that lines of one `ref` are carried out on.
struct Target<'a> {
    core: &'a Core,
    /// As the lines before left it; none where there is none yet.
    document: Option<Document>,
    named: Named,
    rehearsed: &'a Rehearsed,
}

impl Target<'_> {
    fn perform(
        &mut self,
        rights: &Rights<'_>,
        line: &ImportLine,
        stamp: &Stamp,
    ) -> Result<Outcome, Vec<Problem>> {
        let core = self.core;
        if let (ImportOp::Patch { patch }, Some(document)) = (&line.op, &self.document) {
            rights.refuse(core, document, patch).map_err(one)?;
        }
        if admission::may_write(line.kind, core.config().node.role).is_err() {
            let (writer, kinds) = (local::writer(line.kind), line.kind.plural());
            let detail = format!("{writer} keeps {kinds}, not this node: import them there");
            return Err(one(Problem::new("", "not_home", detail)));
        }
        if let ImportOp::Create { doc } = &line.op
            && self
                .is_there(rights, doc, stamp)
                .map_err(|failed| unread(&failed))?
        {
            return Ok(Outcome::Present);
        }
        transfer::may_import(core, line, self.document.as_ref()).map_err(one)?;
        match &line.op {
            ImportOp::Create { doc } => self.create(line, doc, stamp),
            ImportOp::Patch { patch } => self.change(line, patch, stamp),
        }
    }

    /// Whether a record that the line may mean holds just what it says.
    fn is_there(
        &self,
        rights: &Rights<'_>,
        doc: &Value,
        stamp: &Stamp,
    ) -> Result<bool, ReadFailed> {
        let is_it = |document: &Document| {
            names::holds(document, doc, stamp) && rights.reads_all(self.core, document)
        };
        if self.document.as_ref().is_some_and(is_it) {
            return Ok(true);
        }
        for other in &self.named.others {
            let other = self.core.look(*other)?;
            if other.is_some_and(|other| is_it(&other)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn create(
        &mut self,
        line: &ImportLine,
        doc: &Value,
        stamp: &Stamp,
    ) -> Result<Outcome, Vec<Problem>> {
        let (core, territory) = (self.core, self.core.territory());
        if self.document.is_some() || self.named.taken {
            let reference = &line.reference;
            let detail = format!("{reference} is already in use in {territory} with other content");
            return Err(one(Problem::new("/ref", "ref_in_use", detail)));
        }
        let id = DocumentId::from_bytes(draw(&*core.entropy));
        let mut fields = with_reference(doc, &line.reference);
        publish::keep_home(core, line.kind, &mut fields).map_err(|failed| match failed {
            CommandFailed::Rejected(refused) => problems(refused),
            failed => one(Problem::new("", "unreadable", failed.to_string())),
        })?;
        publish::imported(line.kind, &fields).map_err(problems)?;
        let created =
            Document::create(id, line.kind, &territory, &fields, stamp).map_err(problems)?;
        subject::may_be_shared(&created.0, &fields).map_err(problems)?;
        subject::author_may_be_shared(&created.0, line.by.as_deref()).map_err(problems)?;
        self.document = Some(created.0);
        Ok(Outcome::Created(created.1))
    }

    fn change(
        &mut self,
        line: &ImportLine,
        patch: &Patch,
        stamp: &Stamp,
    ) -> Result<Outcome, Vec<Problem>> {
        self.named.one().map_err(one)?;
        let Some(document) = &mut self.document else {
            let (reference, territory) = (&line.reference, self.core.territory());
            let detail =
                format!("{reference} is not in use in {territory}: a create line comes first");
            return Err(one(Problem::new("/ref", "unknown_ref", detail)));
        };
        if let Some(reference) = patch.reference().filter(|_| !stamp.imported)
            && document.summary().reference.as_ref() != Some(&reference)
        {
            let place = (document.kind(), reference);
            let used = self.rehearsed.contains_key(&place)
                || names::in_use(self.core, place.0, &place.1, document.id())
                    .map_err(|failed| unread(&failed))?;
            if used {
                let detail = CommandFailed::ReferenceInUse { reference: place.1 };
                return Err(one(Problem::new("/ref", "ref_in_use", detail.to_string())));
            }
        }
        subject::patch_may_be_shared(document, patch).map_err(problems)?;
        subject::author_may_be_shared(document, line.by.as_deref()).map_err(problems)?;
        if matches!(line.kind, Kind::Person | Kind::Publication) {
            let mut after = document.clone();
            if after.patch(patch, None, stamp).is_ok() {
                let fields = after.record().fields;
                publish::imported(line.kind, &fields).map_err(problems)?;
                let merges = patch.touches("state") || patch.touches("merged_into");
                if merges && !stamp.imported {
                    leads_somewhere(self.core, self.rehearsed, document, &fields)?;
                }
            }
        }
        match document.patch(patch, None, stamp).map_err(problems)? {
            Some(change) => Ok(Outcome::Changed(change)),
            None => Ok(Outcome::Present),
        }
    }
}

/// Refuses to merge a person's record into one that is neither here nor, in a dry run, would be.
fn leads_somewhere(
    core: &Core,
    rehearsed: &Rehearsed,
    document: &Document,
    fields: &Value,
) -> Result<(), Vec<Problem>> {
    let into = fields["merged_into"].as_str().unwrap_or_default();
    let leads = rehearsed.contains_key(&(Kind::Person, into.to_owned()))
        || persons::leads_somewhere(core, document.id(), fields)
            .map_err(|failed| one(Problem::new("", "unreadable", failed.to_string())))?;
    if leads {
        return Ok(());
    }
    Err(problems(subject::merged_into_nobody()))
}

fn one(problem: Problem) -> Vec<Problem> {
    vec![problem]
}

fn unread(failed: &ReadFailed) -> Vec<Problem> {
    one(Problem::new("", "unreadable", failed.to_string()))
}

/// Puts what was prepared into the draft, record by record: so a record's entries are neighbours,
/// and whoever takes them in later opens each document once. Says which records were changed.
fn write(draft: &mut Draft<'_>, prepared: Vec<Prepared>) -> Vec<String> {
    let mut written = Vec::new();
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
                imported.push(*line);
            }
        }
        if !imported.is_empty() {
            written.push(id.to_string());
        }
        lines::remember(&mut draft.batch, &record.hash, &imported);
    }
    written
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
    format!("{entries}{}", report.counts())
}

//! Takes the steps that are due, from what is stored: at the start and whenever something moved.
//!
//! Each step is one commit, so a kill between two leaves a state from which it goes on. Runs on
//! the writer's thread. A step that cannot be taken is told in the log and tried again after a pause.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use raccordo_config::Role;
use raccordo_crdt_model::{Document, DocumentId, Kind};
use raccordo_transport::LogId;
use serde_json::{Value, json};

use super::super::commit;
use super::super::core::Core;
use super::super::draft::Draft;
use super::super::forget;
use super::super::ledger::Ledger;
use super::super::report;
use super::super::roster::{Member, Roster};
use super::super::scope;
use super::super::statements;
use super::super::token_renewal;
use super::super::tombstone;
use super::super::view::{CommandFailed, MemberState};
use super::commands::{add, advance, begin_lane, edit, own_word, stamp, word_of};
use super::later;
use super::step::{self, Sight, Standing, Step};
use super::terms::{Origin, Terms, document};
use super::{Handing, today};

/// Who takes the steps, as history shows it.
const BY: &str = "raccordo";
/// The reason of an erasure that the receiver has asked for.
const FORGOTTEN: &str = "dimenticato dal distretto che lo ha ricevuto";
/// How long a step that could not be taken waits, in milliseconds.
pub(super) const RETRY_MS: u64 = 30_000;
/// Most steps of one transfer in a row: it has fewer.
const STEPS_MAX: usize = 8;

/// What was looked at already.
#[derive(Debug, Default)]
pub(crate) struct Driver {
    transfers: Option<Arc<BTreeMap<DocumentId, Handing>>>,
    roster: Option<Arc<Roster>>,
    today: String,
    /// When what could not be done is tried again, by the clock that never goes back.
    again_ms: Option<u64>,
    /// Transfers of which nothing is due while they stay at the version that was looked at.
    looked: BTreeMap<DocumentId, Looked>,
}

/// What was found of a transfer.
#[derive(Debug, PartialEq, Eq)]
struct Looked {
    item: [u8; 32],
    /// Its project and those made in its place, with their versions.
    projects: BTreeMap<DocumentId, Option<[u8; 32]>>,
    /// At its end: nothing is due any more, on no day.
    ended: bool,
}

impl Driver {
    /// Takes every step that is due here.
    pub(crate) fn drive(&mut self, core: &Core) {
        let ledger = core.ledger();
        let today = today(core);
        let same_roster = is_same(self.roster.as_ref(), &ledger.roster);
        let same = is_same(self.transfers.as_ref(), &ledger.transfers);
        let now_ms = core.clock.monotonic_millis();
        let again = self.again_ms.is_some_and(|at_ms| at_ms <= now_ms);
        if same && same_roster && self.today == today && !again {
            return;
        }
        if core.config().node.role != Role::District
            || report::writes_problem(core, &ledger).is_some()
        {
            return;
        }
        let mut failed = (!same_roster || self.again_ms.is_some()) && !publish(core);
        if !same_roster || self.today != today {
            self.looked.retain(|_, looked| looked.ended);
        }
        for (id, handing) in ledger.transfers.iter() {
            if !self.stands(core, *id, handing) {
                failed |= !self.look(core, *id, handing.item, &today);
            }
        }
        let ledger = core.ledger();
        self.transfers = Some(Arc::clone(&ledger.transfers));
        self.roster = Some(Arc::clone(&ledger.roster));
        self.today = today;
        self.again_ms = failed.then_some(now_ms.saturating_add(RETRY_MS));
    }

    /// How long until what could not be done is tried again; none if nothing waits for it.
    pub(crate) fn patience_ms(&self, core: &Core) -> Option<u64> {
        let at_ms = self.again_ms?;
        Some(at_ms.saturating_sub(core.clock.monotonic_millis()))
    }

    /// Whether a transfer is as it was looked at, and its projects are.
    fn stands(&self, core: &Core, id: DocumentId, handing: &Handing) -> bool {
        let known = self.looked.get(&id);
        let known = known.filter(|known| known.item == handing.item && known.item != [0; 32]);
        known.is_some_and(|known| {
            let mut projects = known.projects.iter();
            known.ended || projects.all(|(id, version)| version_of(core, *id) == *version)
        })
    }

    /// Takes the steps of one transfer that are due. What failed, or hangs on entries that are still
    /// to come, is looked at with every move; false if it failed or is forbidden for now.
    fn look(&mut self, core: &Core, id: DocumentId, item: [u8; 32], today: &str) -> bool {
        self.looked.remove(&id);
        match take_all(core, id, today) {
            // What forbids it ends in a casefile, which this driver does not watch.
            Ok(found) if found.held => return false,
            Ok(found) if found.settled => {
                let projects = found.projects.into_iter();
                let looked = Looked {
                    item,
                    projects: projects.map(|id| (id, version_of(core, id))).collect(),
                    ended: found.ended,
                };
                self.looked.insert(id, looked);
            }
            Ok(_) => {}
            Err(failed) => {
                tracing::error!(transfer = %id, error = %commit::chain(&failed), "a step of a transfer could not be taken");
                return false;
            }
        }
        true
    }
}

/// The version of a project that is here.
fn version_of(core: &Core, project: DocumentId) -> Option<[u8; 32]> {
    let row = core.document_row(project).ok().flatten()?;
    row.indexed.map(|indexed| indexed.item)
}

fn is_same<T>(known: Option<&Arc<T>>, now: &Arc<T>) -> bool {
    known.is_some_and(|known| Arc::ptr_eq(known, now))
}

/// Tells everyone this node's sealing key, once it is of a federation; false if that failed.
fn publish(core: &Core) -> bool {
    let mut draft = Draft::new(core);
    if statements::publish(&mut draft)
        && let Err(failed) = commit::commit(draft)
    {
        tracing::error!(reason = failed.reason, "the sealing key was not published");
        return false;
    }
    true
}

/// A transfer of which no step is due.
#[derive(Debug, Default)]
struct Found {
    projects: Vec<DocumentId>,
    ended: bool,
    /// Whether it hangs on nothing but itself, its projects, the roster and the day.
    settled: bool,
    /// Whether the next step is one that the law forbids for now.
    held: bool,
}

/// Takes the steps of one transfer.
fn take_all(core: &Core, id: DocumentId, today: &str) -> Result<Found, CommandFailed> {
    let nothing = Found {
        ended: true,
        settled: true,
        ..Found::default()
    };
    for _ in 0..STEPS_MAX {
        let Some(transfer) = core.look(id)? else {
            return Ok(nothing);
        };
        let Some(terms) = Terms::read(&transfer.record().fields) else {
            return Ok(nothing);
        };
        let (step, settled) = due(core, id, &terms, today)?;
        let Some(step) = step else {
            let made = terms.accepted().map(|(_, made)| made);
            return Ok(Found {
                projects: made.chain([terms.project]).collect(),
                ended: terms.is_at_rest(),
                settled,
                held: false,
            });
        };
        // The other party asks, and what it asks for is no more lawful than when a person here does.
        if let Some(code) = forbidden_forgetting(core, id, step)? {
            tracing::debug!(transfer = %id, code, "a transfer that was forgotten is not erased yet");
            let held = true;
            return Ok(Found {
                held,
                ..Found::default()
            });
        }
        let mut draft = Draft::new(core);
        take(&mut draft, id, &terms, step, today)?;
        draft.audit("node", "transfer-step", &id.to_string(), word(step));
        commit::commit(draft).map_err(|failed| CommandFailed::from(&failed))?;
        tracing::info!(transfer = %id, step = word(step), "a transfer went on");
    }
    Ok(Found::default())
}

/// What forbids the step of erasing a transfer for now.
fn forbidden_forgetting(
    core: &Core,
    id: DocumentId,
    step: Step,
) -> Result<Option<&'static str>, CommandFailed> {
    match step {
        Step::Forget => forget::forbidden(core, Kind::Transfer, id),
        _ => Ok(None),
    }
}

/// The step that is due, and whether that hangs on no entries that are still to come.
fn due(
    core: &Core,
    id: DocumentId,
    terms: &Terms,
    today: &str,
) -> Result<(Option<Step>, bool), CommandFailed> {
    let ledger = core.ledger();
    let own = core.id.origin();
    let row = core.document_row(id)?;
    let offering = row.map_or(own, |row| row.home_origin);
    let taker = terms.winner().map(|(node, _)| node);
    let beginning = if core.territory() == terms.from {
        offering
    } else {
        taker.unwrap_or(own)
    };
    let settled = Cell::new(true);
    let is_out = |origin| {
        let out = is_out(core, &ledger, origin);
        let member = ledger.roster.of_origin(origin);
        let revoked = member.is_some_and(|member| member.state == MemberState::Revoked);
        settled.set(settled.get() && (out || !revoked));
        out
    };
    let project = |id| standing(core, id);
    let sight = Sight {
        transfer: id,
        territory: &core.territory(),
        own,
        acts: acts(core, &ledger, beginning),
        offered_here: offering == own,
        today,
        is_out: &is_out,
        project: &project,
    };
    Ok((step::next(terms, &sight), settled.get()))
}

/// Whether a node is revoked and all that it had said to this territory is here: its acceptance may
/// come later than the word that it is revoked. A lane that is not known may be for this territory.
/// Of another district one of its own nodes says so, while it has any: who revoked the node from above
/// may not have heard what its office had, and that counts.
pub(super) fn is_out(core: &Core, ledger: &Ledger, origin: Origin) -> bool {
    let Some(member) = ledger.roster.of_origin(origin) else {
        return false;
    };
    let own = core.territory();
    let mut others = ledger.roster.iter();
    let speaks = |other: &Member| {
        let stands = matches!(other.state, MemberState::Approved | MemberState::Suspended);
        stands && other.role == Role::District && other.territory == member.territory
    };
    if member.territory != own && others.any(speaks) {
        return false;
    }
    let is_here = |(lane, end): (&u8, &u64)| {
        let log = LogId::new(origin, *lane);
        let for_another = ledger.pairs.get(&log).is_some_and(|with| *with != own);
        !scope::is_pair(*lane) || ledger.end(log).seq >= *end || {
            member.territory != own && for_another
        }
    };
    member.state == MemberState::Revoked && member.ends.iter().all(is_here)
}

/// Of several nodes of a territory the one that began something goes on with it; where that is
/// revoked, the lowest.
pub(crate) fn acts(core: &Core, ledger: &Ledger, beginning: [u8; 8]) -> bool {
    let own = core.id.origin();
    let (roster, territory) = (&ledger.roster, core.territory());
    let stands = |origin| {
        let member = roster.of_origin(origin);
        member.is_some_and(|member| member.state != MemberState::Revoked)
    };
    if beginning == own || stands(beginning) {
        return beginning == own;
    }
    let speakers = roster.speakers(&territory);
    let mut others = roster.iter().filter(|member| {
        let same = member.territory == territory && member.state == MemberState::Approved;
        same && speakers.contains(&member.key)
    });
    others.all(|member| member.key.origin() >= own)
}

fn standing(core: &Core, id: DocumentId) -> Option<Standing> {
    let project = core.look(id).ok().flatten()?;
    let fields = project.record().fields;
    let link = |name: &str| document(fields.pointer(&format!("/links/{name}")));
    Some(Standing {
        state: fields["state"].as_str().unwrap_or_default().to_owned(),
        next: link("next"),
        transfer: link("transfer"),
    })
}

fn take(
    draft: &mut Draft<'_>,
    id: DocumentId,
    terms: &Terms,
    step: Step,
    today: &str,
) -> Result<(), CommandFailed> {
    let state = |word: &str| add("/state", &json!(word));
    let other = if draft.core.territory() == terms.from {
        &terms.to
    } else {
        &terms.from
    };
    if let Step::Complete { .. } | Step::Release = step {
        begin_lane(draft, other)?;
        later::leave(draft, id, terms, matches!(step, Step::Complete { .. }))?;
    }
    let (of_transfer, of_project) = match step {
        Step::Expire => (vec![state("expired")], None),
        Step::Withdraw => (vec![state("withdrawing")], None),
        Step::Lock => {
            let locked = vec![
                state("transferring"),
                add("/links/transfer", &json!(id.to_string())),
            ];
            (Vec::new(), Some((terms.project, locked)))
        }
        Step::Decline => {
            let said = json!({"word": "declined", "on": today});
            (vec![add(&own_word(draft.core), &said)], None)
        }
        Step::DeclineFor { node } => {
            let said = json!({"word": "declined", "on": today});
            (vec![add(&word_of(node), &said)], None)
        }
        Step::Complete { new } => {
            let new = json!(new.to_string());
            let given = vec![state("transferred"), add("/links/next", &new)];
            let told = vec![state("completed"), add("/new_project", &new)];
            (told, Some((terms.project, given)))
        }
        Step::Release => {
            let mut told = vec![add("/released_on", &json!(today))];
            if terms.state == "withdrawing" {
                told.push(state("withdrawn"));
            }
            let holds = standing(draft.core, terms.project).is_some_and(|project| {
                project.state == "transferring" && project.transfer == Some(id)
            });
            // Its token may have been left as it was while it was locked.
            token_renewal::again(draft);
            let open = vec![state(&terms.former_state)];
            (told, holds.then_some((terms.project, open)))
        }
        Step::Add { node, project } => {
            later::add(draft, id, terms, project)?;
            let path = format!("{}/added_on", word_of(node));
            (vec![add(&path, &json!(today))], None)
        }
        Step::Forget => {
            tombstone::erase(draft, Kind::Transfer, id, FORGOTTEN, BY)?;
            (Vec::new(), None)
        }
        Step::Yield { project, to } => {
            let instead = json!(to.to_string());
            let given = vec![state("transferred"), add("/links/instead", &instead)];
            (Vec::new(), Some((project, given)))
        }
    };
    if !of_transfer.is_empty() {
        begin_lane(draft, other)?;
        change(draft, Kind::Transfer, id, of_transfer)?;
    }
    if let Some((project, edits)) = of_project {
        change(draft, Kind::Project, project, edits)?;
    }
    Ok(())
}

pub(super) fn change(
    draft: &mut Draft<'_>,
    kind: Kind,
    id: DocumentId,
    edits: Vec<Value>,
) -> Result<(), CommandFailed> {
    let Some(document) = draft
        .document_in_hand(id)?
        .filter(|document| document.kind() == kind)
    else {
        return Ok(());
    };
    let mut edited = Document::clone(&document);
    let stamp = stamp(draft, BY, true);
    let made = edit(&mut edited, &Value::Array(edits), &stamp)?;
    advance(draft, id, edited, made.as_slice());
    Ok(())
}

fn word(step: Step) -> &'static str {
    match step {
        Step::Expire => "expire",
        Step::Withdraw => "withdraw",
        Step::Lock => "lock",
        Step::Decline => "decline",
        Step::DeclineFor { .. } => "decline-for",
        Step::Complete { .. } => "complete",
        Step::Release => "release",
        Step::Add { .. } => "add",
        Step::Forget => "forget",
        Step::Yield { .. } => "yield",
    }
}

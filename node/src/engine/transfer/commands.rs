//! What people do: offer a project, accept, refuse or withdraw an offer.
//!
//! Everything is worked out before the draft is touched, so that a refusal leaves no trace, and
//! enters one commit: an offer with its lock, an acceptance with all the records that it makes.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use raccordo_config::Territory;
use raccordo_crdt_model::field_rules::transfer as rules;
use raccordo_crdt_model::{
    Change, Document, DocumentId, Filled, Kind, Patch, Problem, Rejected, Stamp, UnixMillis,
    fiscal_code,
};
use serde_json::{Value, json};

use super::super::core::Core;
use super::super::days::DAY_MS;
use super::super::draft::Draft;
use super::super::task::{Command, Done};
use super::super::view::{CommandFailed, RecordView};
use super::super::{Engine, Principal, local, scope, statements, token_renewal};
use super::already_here::{self, Arrival};
use super::gather::{self, Gathered, subject_of};
use super::later;
use super::parcel::{self, Parcel};
use super::receivers::{is_heard, no_receiver, receivers};
use super::terms::{Origin, Terms, document};
use super::unpack::{rehearse, unpack};
use super::{refused, refused_as};
use crate::clock::draw;
#[cfg(feature = "testing")]
use crate::planted::{Planted, planted};

/// How long an offer stands if nothing is said, in days, and at most.
const DAYS: i64 = 30;
const DAYS_MAX: i64 = 366;
/// Longest note and reason of a refusal, in characters.
const NOTE_CHARS_MAX: usize = 2_000;
const REFUSAL_CHARS_MAX: usize = 500;

/// What is offered to whom.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The project.
    pub project: DocumentId,
    /// The district that shall take it over.
    pub to: Territory,
    /// Why, a code.
    pub reason: String,
    /// For the receiver alone.
    pub note: Option<String>,
    /// Last day on which it can be accepted; 30 days from today if absent.
    pub expires_on: Option<String>,
}

/// What people do with transfers.
#[derive(Debug)]
pub(crate) enum TransferCommand {
    Offer {
        offer: Offer,
        /// Records of the subject that go along.
        records: Vec<Gathered>,
        by: String,
    },
    Accept {
        id: DocumentId,
        arrival: Arrival,
        by: String,
    },
    Refuse {
        id: DocumentId,
        reason: String,
        by: String,
    },
    Withdraw {
        id: DocumentId,
        by: String,
    },
}

impl Engine {
    /// Offers a project to another district and locks it; durable when it returns.
    pub async fn offer_transfer(
        &self,
        offer: Offer,
        by: &Principal,
    ) -> Result<RecordView, CommandFailed> {
        let project = offer.project;
        let records = self.read(move |core| subject_of(core, project)).await?;
        let by = by.name.clone();
        self.transfer(TransferCommand::Offer { offer, records, by })
            .await
    }

    /// Takes an offered project over: the records that it makes are this district's. The answer also
    /// says who here may be the person that arrived.
    pub async fn accept_transfer(
        &self,
        id: DocumentId,
        arrival: Arrival,
        by: &Principal,
    ) -> Result<RecordView, CommandFailed> {
        let by = by.name.clone();
        let before = self.record(Kind::Transfer, id).await?.fields;
        let mut view = self
            .transfer(TransferCommand::Accept { id, arrival, by })
            .await?;
        if let Some(here) = before.get("already_here") {
            view.fields["already_here"] = here.clone();
        }
        Ok(view)
    }

    /// Refuses an offered project.
    pub async fn refuse_transfer(
        &self,
        id: DocumentId,
        reason: &str,
        by: &Principal,
    ) -> Result<RecordView, CommandFailed> {
        let (reason, by) = (reason.to_owned(), by.name.clone());
        self.transfer(TransferCommand::Refuse { id, reason, by })
            .await
    }

    /// Asks an offered project back; it is open again when the receiver has confirmed.
    pub async fn withdraw_transfer(
        &self,
        id: DocumentId,
        by: &Principal,
    ) -> Result<RecordView, CommandFailed> {
        let by = by.name.clone();
        self.transfer(TransferCommand::Withdraw { id, by }).await
    }

    async fn transfer(&self, command: TransferCommand) -> Result<RecordView, CommandFailed> {
        self.written(Kind::Transfer, Command::Transfer(command))
            .await
    }
}

/// Carries a command out.
pub(crate) fn execute(
    draft: &mut Draft<'_>,
    command: TransferCommand,
) -> Result<Done, CommandFailed> {
    local::may_write(draft, Kind::Transfer)?;
    match command {
        TransferCommand::Offer { offer, records, by } => make_offer(draft, &offer, &records, &by),
        TransferCommand::Accept { id, arrival, by } => accept(draft, id, &arrival, &by),
        TransferCommand::Refuse { id, reason, by } => refuse(draft, id, &reason, &by),
        TransferCommand::Withdraw { id, by } => withdraw(draft, id, &by),
    }
}

fn make_offer(
    draft: &mut Draft<'_>,
    offer: &Offer,
    records: &[Gathered],
    by: &str,
) -> Result<Done, CommandFailed> {
    let (core, own, to) = (draft.core, draft.core.territory(), offer.to.to_string());
    let today = super::date(draft.now_ms);
    let expires_on = expiry(offer, draft.now_ms)?;
    let note = within("/note", offer.note.as_deref(), NOTE_CHARS_MAX)?;
    let project = of_this_territory(draft, Kind::Project, offer.project, &own)?;
    let state = project.summary().state;
    may_be_offered(&project)?;
    is_confirmed(draft, &project, &own)?;
    let nodes = receivers(draft, &to);
    if to == own || nodes.is_empty() {
        return Err(no_receiver(draft, &to));
    }
    is_heard(draft, &to)?;
    let mut parcel = Parcel {
        note,
        project: project.record().fields,
        records: Vec::new(),
    };
    for one in records {
        let document = of_this_territory(draft, one.kind, one.id, &own)?;
        let fields = one.fields_of(&document);
        parcel.records.push((one.kind, one.id, fields));
    }
    gather::prepare(offer.project, &mut parcel)?;
    let id = DocumentId::from_bytes(draw(&*core.entropy));
    rehearse(core, &parcel, &stamp(draft, by, true))?;
    let sealed = parcel.seal(core, id, &nodes)?;
    let fields = json!({
        "from": own, "to": to, "project": offer.project.to_string(), "reason": offer.reason,
        "former_state": state, "offered_on": today, "expires_on": expires_on,
        "pieces": sealed.pieces.len(), "keys": sealed.keys,
    });
    let stamp = stamp(draft, by, false);
    let made = Document::create(id, Kind::Transfer, &own, &fields, &stamp);
    let (mut transfer, first) = made.map_err(CommandFailed::Rejected)?;
    let mut changes = vec![first];
    for (number, text) in sealed.pieces.iter().enumerate() {
        let path = format!("/sealed/{}", parcel::piece_name(number));
        changes.extend(edit(
            &mut transfer,
            &json!([add(&path, &json!({"text": text}))]),
            &stamp,
        )?);
    }
    let mut locked = Document::clone(&project);
    let lock = json!([
        add("/state", &json!("transferring")),
        add("/links/transfer", &json!(id.to_string()))
    ]);
    let lock = edit(&mut locked, &lock, &stamp)?;
    later::note(draft, id, offer.project, &parcel);
    let Some(lane) = statements::own_lane(draft, &to) else {
        return Err(refused(
            "/to",
            rules::NO_RECEIVER,
            "this node has handed projects to as many districts as it can",
        ));
    };
    enter(draft, lane, transfer, &changes);
    advance(draft, offer.project, locked, lock.as_slice());
    draft.audit(
        by,
        "transfer-offer",
        &id.to_string(),
        &offer.project.to_string(),
    );
    Ok(Done::Record(id))
}

fn accept(
    draft: &mut Draft<'_>,
    id: DocumentId,
    arrival: &Arrival,
    by: &str,
) -> Result<Done, CommandFailed> {
    let (core, own) = (draft.core, draft.core.territory());
    let (document, terms) = open_offer(draft, id, &own)?;
    let today = super::date(draft.now_ms);
    if today > terms.expires_on {
        let detail = format!(
            "the offer expired on {}: ask for a new one",
            terms.expires_on
        );
        let filled = [("until", Filled::text(&terms.expires_on))];
        return Err(refused_as(
            "/expires_on",
            rules::NOT_OPEN,
            "expired",
            &filled,
            detail,
        ));
    }
    let fields = document.record().fields;
    let Some(parcel) = Parcel::open(core, id, &terms, &fields) else {
        let detail = "this node cannot open what was sealed: it joined after the offer, or the offer is not whole here yet";
        return Err(refused("/sealed", rules::NOT_READABLE, detail));
    };
    let project = DocumentId::from_bytes(draw(&*core.entropy));
    let ties = already_here::ties(draft, &parcel, &terms, arrival)?;
    let made = unpack(draft, &parcel, &terms, id, project, &ties, by)?;
    let mut answered = Document::clone(&document);
    let word = json!({"word": "accepted", "on": today, "project": project.to_string()});
    let answer = json!([
        add(&own_word(core), &word),
        add("/state", &json!("accepted")),
        add("/answered_on", &json!(today)),
        add("/new_project", &json!(project.to_string())),
    ]);
    #[cfg(feature = "testing")]
    let answer = if planted(Planted::OpenedBeforeWord) {
        json!([add("/answered_on", &json!(today))])
    } else {
        answer
    };
    let answer = edit(&mut answered, &answer, &stamp(draft, by, false))?;
    begin_lane(draft, &terms.from)?;
    // First, so that whoever counts hears of the acceptance before the project in its place.
    advance(draft, id, answered, answer.as_slice());
    for (document, changes, reference) in made {
        let (kind, id) = (document.kind(), document.id());
        let lane = scope::lane_of(kind, document.is_local());
        let lane = lane.expect("what a transfer makes stays in this territory or goes above it");
        enter(draft, lane, document, &changes);
        local::refer(draft, kind, &own, reference.as_deref(), id);
        draft.audit(by, "create", &id.to_string(), "by a transfer");
    }
    // What came may carry a token of another key.
    token_renewal::again(draft);
    draft.audit(by, "transfer-accept", &id.to_string(), &project.to_string());
    Ok(Done::Record(id))
}

fn refuse(
    draft: &mut Draft<'_>,
    id: DocumentId,
    reason: &str,
    by: &str,
) -> Result<Done, CommandFailed> {
    let reason = within("/reason", Some(reason), REFUSAL_CHARS_MAX)?;
    let reason = reason.ok_or_else(|| invalid("/reason", "a refusal needs a reason"))?;
    if fiscal_code::found_in(&reason).is_some() {
        let detail = "a fiscal code stands in this text, and the refusal goes to the coordination: \
                      write it without";
        return Err(refused("/reason", "identity_in_shared_record", detail));
    }
    let own = draft.core.territory();
    let (document, terms) = open_offer(draft, id, &own)?;
    let today = super::date(draft.now_ms);
    let mut answer = vec![
        add("/state", &json!("refused")),
        add("/answered_on", &json!(today)),
        add("/refusal", &json!(reason)),
    ];
    if terms.keys.contains(&draft.core.id.origin()) {
        let word = json!({"word": "declined", "on": today});
        answer.push(add(&own_word(draft.core), &word));
    }
    let mut answered = Document::clone(&document);
    let answer = edit(
        &mut answered,
        &Value::Array(answer),
        &stamp(draft, by, false),
    )?;
    begin_lane(draft, &terms.from)?;
    advance(draft, id, answered, answer.as_slice());
    draft.audit(by, "transfer-refuse", &id.to_string(), "");
    Ok(Done::Record(id))
}

fn withdraw(draft: &mut Draft<'_>, id: DocumentId, by: &str) -> Result<Done, CommandFailed> {
    let own = draft.core.territory();
    let document = found(draft, id)?;
    let terms = terms_of(&document)?;
    if terms.from != own {
        return Err(CommandFailed::NotHome {
            territory: terms.from,
        });
    }
    if terms.state != "offered" {
        return Err(not_open(&terms));
    }
    is_heard(draft, &terms.to)?;
    let mut asked = Document::clone(&document);
    let patch = json!([add("/state", &json!("withdrawing"))]);
    let change = edit(&mut asked, &patch, &stamp(draft, by, false))?;
    begin_lane(draft, &terms.to)?;
    advance(draft, id, asked, change.as_slice());
    draft.audit(by, "transfer-withdraw", &id.to_string(), "");
    Ok(Done::Record(id))
}

/// An offer to this territory that this node may still answer.
fn open_offer(
    draft: &mut Draft<'_>,
    id: DocumentId,
    own: &str,
) -> Result<(Arc<Document>, Terms), CommandFailed> {
    let document = found(draft, id)?;
    let terms = terms_of(&document)?;
    if terms.to != own || terms.from == own {
        return Err(CommandFailed::NotHome {
            territory: terms.to,
        });
    }
    let answered = terms.words.contains_key(&draft.core.id.origin());
    if terms.state != "offered" || answered || terms.winner().is_some() {
        return Err(not_open(&terms));
    }
    is_heard(draft, &terms.from)?;
    Ok((document, terms))
}

fn not_open(terms: &Terms) -> CommandFailed {
    let detail = format!(
        "the transfer is {}: only one that is offered and not answered can be accepted, refused or withdrawn",
        terms.state
    );
    let filled = [("state", Filled::codes("state", &[&terms.state]))];
    refused_as("/state", rules::NOT_OPEN, "", &filled, detail)
}

fn terms_of(document: &Document) -> Result<Terms, CommandFailed> {
    Terms::read(&document.record().fields).ok_or_else(|| {
        let detail = "the transfer does not say from whom, to whom and of which project it is";
        refused("", rules::NOT_READABLE, detail)
    })
}

fn found(draft: &mut Draft<'_>, id: DocumentId) -> Result<Arc<Document>, CommandFailed> {
    draft.open(Kind::Transfer, id)
}

fn of_this_territory(
    draft: &mut Draft<'_>,
    kind: Kind,
    id: DocumentId,
    own: &str,
) -> Result<Arc<Document>, CommandFailed> {
    let document = draft.open(kind, id)?;
    if document.territory() == own {
        return Ok(document);
    }
    Err(CommandFailed::NotHome {
        territory: document.territory().to_owned(),
    })
}

fn may_be_offered(project: &Document) -> Result<(), CommandFailed> {
    if project.is_local() {
        let detail = "the project stays in its territory: it was made so and cannot be handed over";
        return Err(refused("/project", rules::OF_LOCAL, detail));
    }
    let record = project.record();
    if record
        .conflicts
        .iter()
        .any(|conflict| conflict.path == "/state")
    {
        let detail = "the project's state has several values: choose one before it is offered";
        return Err(refused("/project", rules::UNDECIDED, detail));
    }
    if matches!(
        record.fields["state"].as_str(),
        Some("transferring" | "transferred")
    ) {
        let detail = "the project is in a transfer already, or was handed over";
        return Err(refused_as(
            "/project",
            rules::NOT_OPEN,
            "already",
            &[],
            detail,
        ));
    }
    Ok(())
}

/// A project that was taken over goes on only when its sender has said that it is the one that
/// counts: else two districts could take over two copies of it.
fn is_confirmed(draft: &mut Draft<'_>, project: &Document, own: &str) -> Result<(), CommandFailed> {
    let fields = project.record().fields;
    let Some(incoming) = document(fields.pointer("/links/transfer")) else {
        return Ok(());
    };
    let incoming = draft.document_in_hand(incoming)?;
    let terms = incoming.and_then(|transfer| Terms::read(&transfer.record().fields));
    let waits = terms.is_some_and(|terms| {
        let confirmed = terms.is_settled() && terms.new_project == Some(project.id());
        terms.to == own && !confirmed
    });
    if waits {
        let detail = "the project was taken over and its sender has not confirmed it yet: \
                      wait until that transfer is completed";
        return Err(refused_as(
            "/project",
            rules::NOT_OPEN,
            "unconfirmed",
            &[],
            detail,
        ));
    }
    Ok(())
}

fn expiry(offer: &Offer, now_ms: i64) -> Result<String, CommandFailed> {
    let Some(asked) = &offer.expires_on else {
        return Ok(super::date(now_ms + DAYS * DAY_MS));
    };
    let (first, last) = (super::date(now_ms), super::date(now_ms + DAYS_MAX * DAY_MS));
    let is_date = UnixMillis::parse(&format!("{asked}T00:00:00Z")).is_ok();
    if is_date && *asked >= first && *asked <= last {
        return Ok(asked.clone());
    }
    let detail = format!("{asked:?} is no date from {first} to {last}");
    Err(invalid("/expires_on", &detail))
}

fn within(pointer: &str, text: Option<&str>, most: usize) -> Result<Option<String>, CommandFailed> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    match text {
        Some(text) if text.chars().count() > most => {
            let seen = text.chars().count();
            Err(invalid(
                pointer,
                &format!("{seen} characters, at most {most} are allowed"),
            ))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

fn invalid(pointer: &str, detail: &str) -> CommandFailed {
    let problem = Problem::new(pointer, "not_allowed", detail);
    CommandFailed::Rejected(Rejected::Invalid(vec![problem]))
}

pub(super) fn own_word(core: &Core) -> String {
    word_of(core.id.origin())
}

pub(super) fn word_of(node: Origin) -> String {
    format!("/words/{}", HEXLOWER.encode(&node))
}

pub(super) fn add(path: &str, value: &Value) -> Value {
    json!({"op": "add", "path": path, "value": value})
}

/// Edits a document that nobody else holds.
pub(super) fn edit(
    document: &mut Document,
    patch: &Value,
    stamp: &Stamp,
) -> Result<Option<Change>, CommandFailed> {
    let parsed = Patch::parse(patch).map_err(Rejected::Invalid);
    let made = parsed.and_then(|patch| document.patch(&patch, None, stamp));
    made.map_err(CommandFailed::Rejected)
}

/// Begins this node's lane for the other side of a transfer, if it has none.
pub(super) fn begin_lane(draft: &mut Draft<'_>, with: &str) -> Result<(), CommandFailed> {
    let lane = statements::own_lane(draft, with);
    lane.map(|_| ()).ok_or_else(|| {
        let detail = "this node has lanes for as many districts as it can";
        refused("", rules::NO_RECEIVER, detail)
    })
}

/// Puts the newest state of a document that is here into the draft, and what made it.
pub(super) fn advance(
    draft: &mut Draft<'_>,
    id: DocumentId,
    document: Document,
    changes: &[Change],
) {
    draft.advance(id, Arc::new(document));
    for change in changes {
        draft.append_own(id, &local::new_change(change), None);
    }
}

fn enter(draft: &mut Draft<'_>, lane: u8, document: Document, changes: &[Change]) {
    let id = document.id();
    if let Some((first, later)) = changes.split_first() {
        local::enter_in(draft, lane, document, first);
        for change in later {
            draft.append_own(id, &local::new_change(change), None);
        }
    }
}

/// The stamp of a change; what the program does by itself is not held to the rules of people.
pub(super) fn stamp(draft: &Draft<'_>, by: &str, freely: bool) -> Stamp {
    Stamp {
        origin: draft.core.id.origin(),
        incarnation: draft.core.incarnation(),
        at: UnixMillis(draft.now_ms),
        by: Some(by.to_owned()),
        line: None,
        imported: freely,
    }
}

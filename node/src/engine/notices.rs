//! Warning both offices: from overlaps that a coordination sees to notices, and back to the projects.
//!
//! A notice goes to every district below, so it must tell the others nothing. A side is marked by a
//! hash of its project's id, which has 128 random bits and is known to its own territory and to
//! coordinations alone, and the other territories' names are sealed with a key made from that id.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use raccordo_config::Role;
use raccordo_crdt_model::{DocumentId, Kind, Patch, Rejected, Term, UnixMillis};
use serde_json::{Map, Value, json};

use crate::clock::draw;
use crate::store::{Condition, Table};

use super::commit;
use super::core::{Core, ReadFailed};
use super::days;
use super::draft::Draft;
use super::fault;
use super::local;
use super::overlaps::{self, Overlap};
use super::read;
use super::report;
use super::scope::is_below;
use super::terms::found_by;
use super::view::{CommandFailed, Elsewhere, MemberState, OverlapView};

/// First byte of the rows of overlaps to look at, and of those that lead to notices.
const LOOK_AT: u8 = b'q';
const NOTICE: u8 = b'v';
/// Overlaps that are looked at together.
const LOOKS_AT_ONCE: usize = 256;
/// Most projects that a notice tells of, and most other territories that it names to each: their
/// sealed names, of up to 200 bytes each, have 4,000 hexadecimal digits.
const SIDES_MAX: usize = 200;
const OTHERS_MAX: usize = 9;
/// Bytes that a side has besides its mark and its seal, and most bytes of all of them: a patch takes
/// 128 KiB.
const SIDE_WEIGHT: usize = 64;
const SIDES_WEIGHT_MAX: usize = 96 * 1024;
/// Who notices, in the history.
const BY: &str = "overlap";

impl Draft<'_> {
    /// Has the overlap with this name looked at after the commit.
    pub(super) fn look_at_overlap(&mut self, name: &[u8]) {
        let row = [&[LOOK_AT], name].concat();
        self.batch.put(Table::Subjects, row, Vec::new());
    }
}

/// Writes, changes and ends notices where overlaps have come, changed or gone.
pub(crate) fn follow(core: &Core) {
    // A log whose end is being fetched back, or that another node writes, takes no entry.
    if report::writes_problem(core, &core.ledger()).is_some() {
        return;
    }
    loop {
        let rows = core
            .store
            .scan(Table::Subjects, &[LOOK_AT], None, LOOKS_AT_ONCE);
        let rows = rows.unwrap_or_else(|failed| {
            tracing::error!(error = %commit::chain(&failed), "overlaps cannot be read");
            Vec::new()
        });
        let names: Vec<Vec<u8>> = rows.iter().map(|(key, _)| key[1..].to_vec()).collect();
        let more = names.len() == LOOKS_AT_ONCE;
        if names.is_empty() || !(done(core, &names, settle) || each(core, &names)) || !more {
            return;
        }
    }
}

/// Looks at each of these overlaps in a commit of its own, so that one that fails holds up no other;
/// false if the store takes nothing.
fn each(core: &Core, names: &[Vec<u8>]) -> bool {
    names.iter().map(std::slice::from_ref).all(|name| {
        let told = done(core, name, settle);
        if told || core.store.condition() != Condition::Healthy {
            return told;
        }
        tracing::error!("a notice is as it was until its overlap changes");
        done(core, name, |_, _| Ok(()))
    })
}

/// Looks at these overlaps in one commit; whether it was stored.
fn done(
    core: &Core,
    names: &[Vec<u8>],
    look: impl Fn(&mut Draft<'_>, &[u8]) -> Result<(), CommandFailed>,
) -> bool {
    let step = || {
        let mut draft = Draft::new(core);
        for name in names {
            if core.config().node.role == Role::Coordination {
                look(&mut draft, name)?;
            }
            let row = [&[LOOK_AT], name.as_slice()].concat();
            draft.batch.delete(Table::Subjects, row);
        }
        commit::commit(draft).map_err(|failed| CommandFailed::from(&failed))
    };
    let done = fault::contained("a notice", step);
    if let Some(Err(failed)) = &done {
        tracing::error!(error = %commit::chain(failed), "a notice could not be written");
    }
    matches!(done, Some(Ok(())))
}

/// Makes the notice of one overlap say what is so.
fn settle(draft: &mut Draft<'_>, name: &[u8]) -> Result<(), CommandFailed> {
    let core = draft.core;
    let overlap = overlaps::named(core, name)?;
    let overlap = overlap.filter(|overlap| is_ours(core, overlap));
    let row = [&[NOTICE], name].concat();
    let known = draft.get(Table::Subjects, &row)?;
    let known = known
        .and_then(|id| id.try_into().ok())
        .map(DocumentId::from_bytes);
    let known = match (&overlap, known) {
        (Some(overlap), None) => came_back(draft, overlap)?,
        (_, known) => known,
    };
    let known = match known {
        Some(id) => draft.document(id)?.map(|document| (id, document)),
        None => None,
    };
    match (overlap, known) {
        (None, None) => {}
        (None, Some((id, _))) => {
            let ended = json!({"op": "add", "path": "/state", "value": "ended"});
            change(draft, id, &[ended])?;
        }
        (Some(overlap), None) => {
            let today = days::date(draft.now_ms);
            let fields = json!({"on": today, "household": overlap.household, "strength": overlap.strength,
                "sides": sides(core, &overlap), "sharing": "shared"});
            if let super::task::Done::Record(id) = local::create(draft, Kind::Notice, &fields, BY)?
            {
                draft.batch.put(Table::Subjects, row, *id.as_bytes());
            }
        }
        (Some(overlap), Some((id, document))) => {
            let fields = document.record().fields;
            let wanted = sides(core, &overlap);
            let mut steps = Vec::new();
            if fields["state"] != "open" {
                steps.push(json!({"op": "add", "path": "/state", "value": "open"}));
            }
            for key in fields["sides"].as_object().into_iter().flat_map(Map::keys) {
                if !wanted.contains_key(key) {
                    steps.push(json!({"op": "remove", "path": format!("/sides/{key}")}));
                }
            }
            for (key, side) in wanted {
                // The same names are sealed anew each time: another nonce.
                steps.push(json!({"op": "add", "path": format!("/sides/{key}"), "value": side}));
            }
            change(draft, id, &steps)?;
            draft.batch.put(Table::Subjects, row, *id.as_bytes());
        }
    }
    Ok(())
}

/// The notice of an overlap whose row is lost: the notice came back with this node's own log after
/// its store was put back on an older copy. It has sides of several territories of the overlap, and
/// no other overlap leads to it.
fn came_back(draft: &Draft<'_>, overlap: &Overlap) -> Result<Option<DocumentId>, CommandFailed> {
    let core = draft.core;
    let mut sides: BTreeMap<DocumentId, usize> = BTreeMap::new();
    for projects in overlap.projects.values() {
        let mut told = BTreeSet::new();
        for project in projects.iter().take(SIDES_MAX) {
            told.extend(found_by(core, &Term::Mark(mark(*project)))?);
        }
        for notice in told {
            *sides.entry(notice).or_default() += 1;
        }
    }
    for (id, territories) in sides {
        let own = core
            .document_row(id)?
            .is_some_and(|row| row.territory == core.territory());
        let Some(document) = draft.document(id)?.filter(|_| own && territories > 1) else {
            continue;
        };
        let rows = draft.rows_of(Table::Subjects, &[NOTICE])?;
        let is_led_to = rows.iter().any(|(_, to)| to == id.as_bytes());
        let household = document.record().fields["household"] == json!(overlap.household);
        if household && !is_led_to {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

fn change(draft: &mut Draft<'_>, id: DocumentId, steps: &[Value]) -> Result<(), CommandFailed> {
    for some in steps.chunks(Patch::STEPS_MAX) {
        let patch = Patch::parse(&json!(some)).map_err(Rejected::Invalid);
        let patch = patch.map_err(CommandFailed::Rejected)?;
        local::patch(draft, Kind::Notice, id, &patch, None, BY)?;
    }
    Ok(())
}

/// Whether no coordination below this one sees all of it and tells of it.
fn is_ours(core: &Core, overlap: &Overlap) -> bool {
    let ledger = core.ledger();
    let own = core.territory();
    let below = ledger.roster.iter().filter(|member| {
        member.role == Role::Coordination
            && member.state == MemberState::Approved
            && is_below(&member.territory, &own)
    });
    !below.into_iter().any(|member| {
        overlap
            .projects
            .keys()
            .all(|place| is_below(place, &member.territory))
    })
}

/// A side for every project: its mark, and the other territories under its seal. One project of
/// each territory after the other, until the notice is as large as one may be: of a subject with so
/// many projects the rest carry no flag.
fn sides(core: &Core, overlap: &Overlap) -> Map<String, Value> {
    let mut sides = Map::new();
    let mut weight = 0;
    let most = overlap.projects.values().map(Vec::len).max().unwrap_or(0);
    for turn in 0..most {
        for (territory, projects) in &overlap.projects {
            let Some(project) = projects.get(turn) else {
                continue;
            };
            let names = overlap.projects.keys();
            let others = names.filter(|other| *other != territory);
            let others: Vec<&String> = others.take(OTHERS_MAX).collect();
            let mark = mark(*project);
            let sealed = seal(*project, &others, draw(&*core.entropy));
            weight += mark.len() + sealed.len() + SIDE_WEIGHT;
            if sides.len() == SIDES_MAX || weight > SIDES_WEIGHT_MAX {
                return sides;
            }
            sides.insert(
                mark[..8].to_owned(),
                json!({"mark": mark, "sealed": sealed}),
            );
        }
    }
    sides
}

/// By what a project is recognised by whoever has its id.
fn mark(project: DocumentId) -> String {
    let tag = hmac::sign(&key_of(project), b"raccordo-notice-mark-1");
    HEXLOWER.encode(&tag.as_ref()[..16])
}

fn key_of(project: DocumentId) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, project.as_bytes())
}

fn cipher(project: DocumentId) -> LessSafeKey {
    let key = hmac::sign(&key_of(project), b"raccordo-notice-seal-1");
    let key = UnboundKey::new(&AES_256_GCM_SIV, key.as_ref()).expect("32 bytes");
    LessSafeKey::new(key)
}

fn seal(project: DocumentId, others: &[&String], nonce: [u8; NONCE_LEN]) -> String {
    let mut bytes = json!(others).to_string().into_bytes();
    let sealing = Nonce::assume_unique_for_key(nonce);
    cipher(project)
        .seal_in_place_append_tag(sealing, Aad::empty(), &mut bytes)
        .expect("a short text");
    HEXLOWER.encode(&[nonce.as_slice(), &bytes].concat())
}

/// The territories that a side names; none if it is not this project's, or is damaged.
fn opened(project: DocumentId, sealed: &str) -> Option<Vec<String>> {
    let bytes = HEXLOWER.decode(sealed.as_bytes()).ok()?;
    let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>()?;
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let mut sealed = sealed.to_vec();
    let text = cipher(project)
        .open_in_place(nonce, Aad::empty(), &mut sealed)
        .ok()?;
    serde_json::from_slice(text).ok()
}

/// Where else the subject of a project is followed, as open notices say.
pub(crate) fn elsewhere(core: &Core, project: DocumentId) -> Result<Vec<Elsewhere>, ReadFailed> {
    let mark = mark(project);
    let mut all = Vec::new();
    for id in found_by(core, &Term::Mark(mark.clone()))? {
        let Some(document) = core.look(id)? else {
            continue;
        };
        let fields = document.record().fields;
        let sides = fields["sides"].as_object().into_iter().flatten();
        let own = sides.filter(|(_, side)| side["mark"] == mark.as_str());
        let named = own.filter_map(|(_, side)| opened(project, side["sealed"].as_str()?));
        let territories: BTreeSet<String> = named.flatten().collect();
        if fields["state"] == "open" && !territories.is_empty() {
            all.push(Elsewhere {
                notice: id,
                on: fields["on"].as_str().unwrap_or_default().to_owned(),
                household: fields["household"] == true,
                strength: overlaps::strength_from_word(
                    fields["strength"].as_str().unwrap_or_default(),
                ),
                territories: territories.into_iter().collect(),
            });
        }
    }
    Ok(all)
}

/// The overlaps that notices tell of to this territory.
pub(crate) fn heard(core: &Core) -> Result<Vec<OverlapView>, ReadFailed> {
    if read::all_of(core, Kind::Notice)?.is_empty() {
        return Ok(Vec::new());
    }
    let own = core.territory();
    let mut views: BTreeMap<DocumentId, OverlapView> = BTreeMap::new();
    for project in overlaps::holders_at(core, &own)? {
        for told in elsewhere(core, project)? {
            let view = views.entry(told.notice).or_insert_with(|| OverlapView {
                since: UnixMillis::parse(&format!("{}T00:00:00Z", told.on))
                    .unwrap_or(UnixMillis(0)),
                household: told.household,
                strength: told.strength,
                projects: told
                    .territories
                    .iter()
                    .map(|other| (other.clone(), Vec::new()))
                    .collect(),
            });
            view.projects.entry(own.clone()).or_default().push(project);
        }
    }
    Ok(views.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_opens_with_its_own_project_and_no_other() {
        let (own, other) = (
            DocumentId::from_bytes([1; 16]),
            DocumentId::from_bytes([2; 16]),
        );
        let name = "frosinone/b".to_owned();
        let sealed = seal(own, &[&name], [7; NONCE_LEN]);
        assert_eq!(opened(own, &sealed), Some(vec![name]));
        assert_eq!(opened(other, &sealed), None);
        assert_ne!(mark(own), mark(other));
        assert!(!sealed.contains(&HEXLOWER.encode(b"frosinone")));
    }
}

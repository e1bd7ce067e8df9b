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
use raccordo_crdt_model::{DocumentId, Kind, Patch, Term, UnixMillis};
use serde_json::{Map, Value, json};

use crate::clock::draw;
use crate::store::Table;

use super::commit::{self, NotStored};
use super::core::{Core, ReadFailed};
use super::draft::Draft;
use super::local;
use super::overlaps::{self, Overlap};
use super::read;
use super::scope::is_below;
use super::terms::found_by;
use super::view::{CommandFailed, Elsewhere, MemberState, OverlapView};

/// First byte of the rows of overlaps to look at, and of those that lead to notices.
const LOOK_AT: u8 = b'q';
const NOTICE: u8 = b'v';
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
    match step(core) {
        Ok(Ok(())) => {}
        Ok(Err(NotStored { reason })) => {
            tracing::warn!(reason, "a notice was not stored; it is written again");
        }
        Err(failed) => tracing::error!(error = %failed, "a notice could not be written"),
    }
}

fn step(core: &Core) -> Result<Result<(), NotStored>, CommandFailed> {
    let rows = core.store.scan(Table::Subjects, &[LOOK_AT], None, 256);
    let rows = rows.map_err(ReadFailed::from)?;
    if rows.is_empty() {
        return Ok(Ok(()));
    }
    let mut draft = Draft::new(core);
    for (key, _) in rows {
        if core.config().node.role == Role::Coordination {
            settle(&mut draft, &key[1..])?;
        }
        draft.batch.delete(Table::Subjects, key);
    }
    Ok(commit::commit(draft))
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
    let known = match known {
        Some(id) => draft.document(id)?.map(|document| (id, document)),
        None => None,
    };
    match (overlap, known) {
        (None, None) => {}
        (None, Some((id, _))) => {
            let ended = json!([{"op": "add", "path": "/state", "value": "ended"}]);
            change(draft, id, &ended)?;
        }
        (Some(overlap), None) => {
            let today = UnixMillis(draft.now_ms).to_string();
            let fields = json!({"on": &today[..10], "household": overlap.household, "strength": overlap.strength,
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
            change(draft, id, &Value::Array(steps))?;
        }
    }
    Ok(())
}

fn change(draft: &mut Draft<'_>, id: DocumentId, steps: &Value) -> Result<(), CommandFailed> {
    let patch = Patch::parse(steps).expect("paths of a notice");
    local::patch(draft, Kind::Notice, id, &patch, None, BY)?;
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

/// A side for every project: its mark, and the other territories under its seal.
fn sides(core: &Core, overlap: &Overlap) -> Map<String, Value> {
    let mut sides = Map::new();
    for (territory, projects) in &overlap.projects {
        let others: Vec<&String> = overlap
            .projects
            .keys()
            .filter(|other| *other != territory)
            .collect();
        for project in projects {
            let mark = mark(*project);
            let sealed = seal(*project, &others, draw(&*core.entropy));
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

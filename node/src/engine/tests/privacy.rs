//! What is sent, field by field: every kind with every field filled, to every class of peer,
//! through the functions that decide about sending, held against the list in `docs/privacy.md`.

use std::collections::BTreeSet;

use raccordo_crdt_model::schema::{Field, Node as Shape, Rule};
use raccordo_crdt_model::{Audience, Writer};

use super::super::admission::{self, NotAdmitted};
use super::super::scope::{self, LANES, PAIR_LANES, Party};
use super::*;

const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/privacy.md");

/// Classes of peer, as the list writes them: the same territory, the coordination, coordinations
/// above it, the district that the record is for, others.
const CLASSES: [char; 5] = ['T', 'C', 'U', 'P', 'D'];
/// The district that a record of two parties is for.
const PARTY: &str = "it/lazio/frosinone/b";

fn party(seed: u8, territory: &str, role: Role) -> Party {
    Party {
        key: NodeKey::from_seed([seed; 32]).public(),
        territory: territory.to_owned(),
        role,
    }
}

/// Who writes a kind, and who is in each class as seen from there.
fn parties(kind: Kind) -> (Party, Vec<(char, Party)>) {
    let (district, above) = (Role::District, Role::Coordination);
    let for_one_other = kind.audience() == Audience::Parties;
    let party_class = if for_one_other { 'P' } else { 'D' };
    match kind.writer() {
        Writer::District => (
            party(1, "it/lazio/frosinone/a", district),
            vec![
                ('T', party(2, "it/lazio/frosinone/a", district)),
                ('C', party(3, "it/lazio/frosinone", above)),
                ('U', party(4, "it/lazio", above)),
                ('U', party(5, "it", above)),
                (party_class, party(6, PARTY, district)),
                ('D', party(7, "it/lazio/frosinone/aa", district)),
                ('D', party(8, "it/lazio/latina", above)),
                ('D', party(9, "it/lazio/frosinone/a/x", district)),
            ],
        ),
        Writer::Coordination => (
            party(1, "it/lazio/frosinone", above),
            vec![
                ('T', party(2, "it/lazio/frosinone", above)),
                ('C', party(3, "it/lazio", above)),
                ('U', party(4, "it", above)),
                ('D', party(5, "it/lazio/frosinone/a", district)),
                ('D', party(6, "it/lazio/latina", above)),
            ],
        ),
    }
}

/// A value for every field, containers with one sub-entity each.
fn filled(kind: Kind, fields: &'static [Field]) -> Value {
    let mut out = serde_json::Map::new();
    for field in fields {
        let value = match field.node {
            Shape::Group(inner) => filled(kind, inner),
            Shape::Keyed(entity) => json!({"x1": filled(kind, entity.fields)}),
            Shape::Leaf(_) if field.name == "state" && std::ptr::eq(fields, kind.fields()) => {
                json!(kind.lifecycle().first[0])
            }
            Shape::Leaf(rule) => value_of(rule),
        };
        out.insert(field.name.to_owned(), value);
    }
    Value::Object(out)
}

fn value_of(rule: Rule) -> Value {
    match rule {
        Rule::Text(_) => json!("text"),
        Rule::Closed(known) => json!(known[0]),
        Rule::Open(known) => json!(known.first().unwrap_or(&"code")),
        Rule::Codes(known) => json!([known.first().unwrap_or(&"code")]),
        Rule::Municipality => json!("060006"),
        Rule::Date => json!("2026-03-04"),
        Rule::Money => json!(12.5),
        Rule::Whole(least, _) => json!(least),
        Rule::Number(_) => json!(2.5),
        Rule::Flag => json!(true),
        Rule::FiscalCode => json!("RSSMRA85T10A562S"),
        Rule::Outcome(known) => json!({"code": known[0], "on": "2026-03-04"}),
    }
}

/// Paths of what is really there, `*` for a sub-entity's id.
fn paths(fields: &'static [Field], value: &Value, above: &str, out: &mut BTreeSet<String>) {
    let Some(members) = value.as_object() else {
        out.insert(above.to_owned());
        return;
    };
    for (name, value) in members {
        let path = match above {
            "" => name.clone(),
            above => format!("{above}/{name}"),
        };
        let field = fields.iter().find(|field| field.name == name);
        match field.map(|field| field.node) {
            Some(Shape::Group(inner)) => paths(inner, value, &path, out),
            Some(Shape::Keyed(entity)) => {
                for entry in value.as_object().into_iter().flat_map(|all| all.values()) {
                    paths(entity.fields, entry, &format!("{path}/*"), out);
                }
            }
            Some(Shape::Leaf(_)) => {
                out.insert(path);
            }
            None => paths(&[], value, &path, out),
        }
    }
}

/// The record as whoever gets its entries reads it, and the lane that they go in.
fn sent(kind: Kind, sharing: &str) -> (u8, BTreeSet<String>) {
    let mut fields = filled(kind, kind.fields());
    if kind.audience() == Audience::Home {
        fields["sharing"] = json!(sharing);
    }
    let author = Author::new(1, "it/lazio/frosinone/a");
    let stamp = Stamp {
        imported: true,
        ..author.stamp()
    };
    let id = DocumentId::from_bytes([kind.code(); 16]);
    let made = Document::create(id, kind, &author.territory, &fields, &stamp);
    let (document, change) = made.unwrap_or_else(|refused| panic!("{kind:?}: {refused:?}"));
    let lane = scope::lane_of(kind, document.is_local()).unwrap_or(*PAIR_LANES.start());
    let received = Document::open(id, &[change.bytes]).unwrap();
    let mut seen = BTreeSet::new();
    paths(kind.fields(), &received.record().fields, "", &mut seen);
    assert!(seen.len() >= kind.told().len() / 2, "{kind:?}: {seen:?}");
    (lane, seen)
}

/// The list as written: class, kind, path.
fn list() -> BTreeSet<(char, String, String)> {
    let page = std::fs::read_to_string(LIST).unwrap();
    let (_, list) = page.split_once("```text\n").expect("the page has the list");
    let (list, _) = list.split_once("```").expect("the list ends");
    let mut out = BTreeSet::new();
    for line in list.lines() {
        let [classes, kind, path] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line:?} is no line of the list");
        };
        for (class, written) in CLASSES.into_iter().zip(classes.chars()) {
            assert!(written == class || written == '-', "{line:?}");
            if written == class {
                out.insert((class, kind.to_owned(), path.to_owned()));
            }
        }
    }
    out
}

#[test]
fn no_field_is_sent_to_a_class_of_peer_that_the_list_does_not_name() {
    let mut seen = BTreeSet::new();
    for kind in Kind::all() {
        let (author, peers) = parties(kind);
        let (lane, fields) = sent(kind, "shared");
        for (class, peer) in peers {
            if scope::offered(&peer, &author, lane, Some(PARTY)) {
                let all = fields.iter().cloned();
                seen.extend(all.map(|path| (class, kind.singular().to_owned(), path)));
            }
        }
    }
    let list = list();
    let unlisted: Vec<_> = seen.difference(&list).collect();
    assert!(
        unlisted.is_empty(),
        "sent and not on the list: {unlisted:?}"
    );
    let unneeded: Vec<_> = list.difference(&seen).collect();
    assert!(
        unneeded.is_empty(),
        "on the list and not sent: {unneeded:?}"
    );
}

#[test]
fn nothing_of_a_person_is_on_the_list_for_anybody_outside_the_territory() {
    for (class, kind, path) in list() {
        let kind = Kind::from_singular(&kind).unwrap();
        let told = kind.told().into_iter().find(|told| told.path == path);
        let privacy = told.unwrap_or_else(|| panic!("{path}")).privacy;
        let leaves = class != 'T';
        assert!(
            !leaves || privacy <= raccordo_crdt_model::Privacy::Wording,
            "{class} {kind:?} {path}"
        );
        assert!(
            !leaves || kind.audience() != Audience::Territory,
            "{class} {kind:?}"
        );
    }
}

#[test]
fn a_record_kept_local_is_offered_within_its_territory_alone() {
    for kind in Kind::all() {
        if kind.audience() != Audience::Home {
            continue;
        }
        let (author, peers) = parties(kind);
        let (lane, fields) = sent(kind, "local");
        assert!(!fields.is_empty());
        for (class, peer) in peers {
            assert_eq!(
                scope::offered(&peer, &author, lane, None),
                class == 'T',
                "{peer:?}"
            );
        }
    }
}

#[test]
fn a_record_in_a_lane_that_is_not_its_kinds_is_refused_by_whoever_gets_it() {
    for kind in Kind::all() {
        let (author, peers) = parties(kind);
        let member = Member {
            key: author.key,
            role: author.role,
            ..Author::new(1, &author.territory).member(MemberState::Approved)
        };
        let own = [false, true].map(|local| scope::lane_of(kind, local));
        for lane in LANES {
            let header = EntryHeader {
                lane,
                origin: author.key.origin(),
                document_kind: kind.code(),
                ..header()
            };
            for (class, peer) in &peers {
                let verdict = admission::admit(&header, Some(&member), peer, None);
                let wanted = if !scope::offered(peer, &author, lane, None) {
                    Err(NotAdmitted::NotForUs { lane })
                } else if own.contains(&Some(lane)) {
                    Ok(())
                } else {
                    Err(NotAdmitted::Lane { lane })
                };
                assert_eq!(verdict, wanted, "{kind:?} in {lane} to {class}");
            }
        }
    }
}

fn header() -> EntryHeader {
    EntryHeader {
        lane: 0,
        origin: [0; 8],
        incarnation: [0; 8],
        seq: 1,
        prev: [0; 32],
        group_first: 1,
        group_count: 1,
        kind: EntryKind::Change,
        document: [1; 16],
        document_kind: 1,
        body_hash: [0; 32],
        policy_epoch: 0,
        hlc: 0,
    }
}

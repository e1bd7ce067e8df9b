//! Records of every kind as two nodes make them, and what must hold of whatever is let in.

use raccordo_crdt_model::{
    Change, ChangeHash, Document, DocumentId, Heads, Kind, Patch, SaveLimits, Stamp, UnixMillis,
    gate,
};
use serde_json::{Value, json};

/// One record, change by change.
pub(crate) struct Story {
    /// The changes and the nodes that made them.
    pub(crate) changes: Vec<(u8, Change)>,
    /// The document before the first change, and after each.
    pub(crate) states: Vec<Document>,
}

/// Records of every kind.
pub(crate) struct World {
    pub(crate) stories: Vec<Story>,
}

impl World {
    /// The same world every time.
    pub(crate) fn told() -> Self {
        Self {
            stories: Kind::all().into_iter().map(story).collect(),
        }
    }
}

/// The identity of every document.
pub(crate) fn id() -> DocumentId {
    DocumentId::from_bytes([7; 16])
}

/// A stamp of the node `node`; files may hold anything, so rules only flag.
pub(crate) fn stamp(node: u8, second: i64) -> Stamp {
    Stamp {
        origin: [node; 8],
        incarnation: [0xee; 8],
        at: UnixMillis(1_772_000_000_000 + second * 1_000),
        by: Some(format!("op-{node:03}")),
        line: None,
        imported: true,
    }
}

/// A whole record of a kind.
pub(crate) fn fields(kind: Kind) -> Value {
    match kind {
        Kind::Project => {
            json!({"ref":"FR-A-1","subject":{"kind":"person","token":"d2f1","birth_year":1988},
            "need_area":"POV","sub_areas":["dipendenze","giustizia"],"opened_on":"2026-03-04","state":"active",
            "team":{"m1":{"body":"SSD","operator":"op-014"}},
            "plans":{"social":{"body":"SSD","goals":{"g1":{"text":"Cercare una casa","reached":null}}},
                     "work":{"employability":55}},
            "instruments":{"k1":{"kind":"TIS","amount_eur":500.5,"hours":120}},
            "reviews":{"r1":{"on":"2026-06-01","bodies":["SSD","CPI"],"summary":"Prosegue"}},
            "outcome":null,"free":{"a":[1,[2.5,true,null],{"b":"c"}]}})
        }
        Kind::Guideline => {
            json!({"ref":"LG-7","title":"Presa in carico","type":"procedure","version":"2",
            "state":"published","valid_from":"2026-01-01","bodies":["SSD","CPI"],
            "sections":{"s1":{"title":"Accesso","text":"Entro dieci giorni.","position":1}},
            "steps":{"p1":{"body":"SSD","within_days":10}}})
        }
        Kind::Organisation => {
            json!({"ref":"ente-012","name":"Il Melograno","type":"ETS","state":"member",
            "need_areas":["POV"],"contacts":{"phone":"0775 000000"},
            "offers":{"o1":{"title":"Laboratorio","places":6,"need_areas":["DIS"]}}})
        }
        Kind::Person => {
            json!({"ref":"P-1","given_name":"Anna","family_name":"Invenzione","former_names":["Fantasia"],
            "fiscal_code":"RSSMRA85T10A562S","residence":{"homeless":false},"contacts":{"phone":"0775"}})
        }
        Kind::Household => {
            json!({"ref":"N-1","members":{"m1":{"person":"P-1","relation":"holder"}}})
        }
        Kind::Casefile => {
            json!({"ref":"C-1","subject":"P-1","diary":{"d1":{"text":"Primo colloquio","restricted":true}},
            "assessments":{"a1":{"kind":"UVM","authors":["op-1"],"dimensions":{"x1":{"score":2.5}}}}})
        }
        Kind::Contact => {
            json!({"ref":"K-1","on":"2026-03-04","orientation":["casa"],"services":{"s1":{"title":"Sportello"}},
            "outcome":"information","state":"closed"})
        }
        Kind::Resource => {
            json!({"ref":"R-1","title":"Sportello casa","who_for":["tutti"],"public":true})
        }
        Kind::ErasureOrder => {
            json!({"ref":"E-1","ordered_on":"2026-03-04","documents":{"d1":{"document":"00"}}})
        }
        Kind::Publication => {
            json!({"ref":"Q-1","counted_on":"2026-03-04","counts":{"c1":{"table":"contacts","row":"POV","count":9}}})
        }
        Kind::Notice => {
            json!({"ref":"V-1","on":"2026-03-04","sides":{"s1":{"mark":"00","sealed":"11"}}})
        }
        Kind::Activity => json!({"ref":"A-1","on":"2026-03-04","bodies":["SSD"],"hours":2.5}),
        Kind::Transfer => {
            json!({"ref":"T-1","from":"frosinone/a","to":"frosinone/b","project":"00","reason":"residence",
                   "former_state":"active","offered_on":"2026-03-04","expires_on":"2026-04-04","pieces":0})
        }
    }
}

/// Edits of a kind's record, each by a node: on the newest version, or on the first.
fn edits(kind: Kind) -> Vec<(u8, bool, Value)> {
    let free = json!([{"op":"add","path":"/weather","value":{"rain":[1,2,3]}}]);
    let mut edits = match kind {
        Kind::Project => of_a_project(),
        Kind::Guideline => vec![
            (
                1,
                false,
                json!([{"op":"replace","path":"/state","value":"superseded"}]),
            ),
            (
                2,
                true,
                json!([{"op":"replace","path":"/version","value":"3"}]),
            ),
            (
                1,
                false,
                json!([{"op":"remove","path":"/sections/s1"},{"op":"add","path":"/bodies/0","value":"DSM"}]),
            ),
        ],
        Kind::Organisation => vec![
            (
                1,
                false,
                json!([{"op":"replace","path":"/state","value":"withdrawn"}]),
            ),
            (
                2,
                true,
                json!([{"op":"replace","path":"/offers/o1/places","value":2}]),
            ),
            (
                2,
                true,
                json!([{"op":"replace","path":"/contacts/phone","value":null}]),
            ),
        ],
        Kind::Casefile => vec![
            (
                1,
                false,
                json!([{"op":"add","path":"/assessments/a1/dimensions/x2","value":{"score":1}}]),
            ),
            (2, true, json!([{"op":"remove","path":"/assessments/a1"}])),
        ],
        Kind::Person
        | Kind::Household
        | Kind::Contact
        | Kind::Resource
        | Kind::Activity
        | Kind::Transfer
        | Kind::ErasureOrder
        | Kind::Publication
        | Kind::Notice => vec![(
            2,
            true,
            json!([{"op":"replace","path":"/ref","value":"X-2"}]),
        )],
    };
    edits.push((1, false, free));
    edits
}

fn of_a_project() -> Vec<(u8, bool, Value)> {
    vec![
        (
            1,
            true,
            json!([{"op":"add","path":"/decisions/d1","value":{"votes":{"w1":{"body":"SSD"}}}}]),
        ),
        (
            2,
            true,
            json!([{"op":"add","path":"/decisions/d2","value":{"question":"Quale?"}}]),
        ),
        (
            1,
            false,
            json!([{"op":"add","path":"/decisions/d2/votes/w1","value":{"body":"CPI"}}]),
        ),
        (
            1,
            false,
            json!([{"op":"replace","path":"/state","value":"review"}]),
        ),
        (
            2,
            true,
            json!([{"op":"replace","path":"/state","value":"suspended"}]),
        ),
        (
            1,
            true,
            json!([{"op":"replace","path":"/sub_areas","value":["violenza"]}]),
        ),
        (
            2,
            false,
            json!([{"op":"add","path":"/reviews/r2","value":{"on":"2026-07-01","bodies":["SSD"]}}]),
        ),
        (
            1,
            false,
            json!([{"op":"remove","path":"/team/m1","reason":"altro incarico"},
                {"op":"replace","path":"/instruments/k1/amount_eur","value":99.5}]),
        ),
    ]
}

fn story(kind: Kind) -> Story {
    let made = Document::create(id(), kind, "frosinone/a", &fields(kind), &stamp(1, 0));
    let (mut document, first) = made.expect("a valid record");
    let base: Heads = document.heads();
    let mut story = Story {
        changes: vec![(1, first)],
        states: vec![Document::empty(id()), document.clone()],
    };
    for (second, (node, older, patch)) in edits(kind).into_iter().enumerate() {
        let patch = Patch::parse(&patch).expect("a well-formed patch");
        let second = 1 + i64::try_from(second).expect("few edits");
        let made = document.patch(&patch, older.then_some(&base), &stamp(node, second));
        let change = made.expect("a valid edit").expect("an effect");
        story.changes.push((node, change));
        story.states.push(document.clone());
    }
    // An empty change that remembers a line of a file.
    let mut line = stamp(2, 60);
    line.line = Some(raccordo_crdt_model::LineId::of("{}", 1));
    let nothing = Patch::parse(&json!([])).expect("an empty patch");
    let made = document.patch(&nothing, None, &line).expect("valid");
    story.changes.push((2, made.expect("a remembered line")));
    story.states.push(document);
    story
}

/// Whether a document that was let in shows itself, saves, loads, replicates and takes an edit.
pub(crate) fn sound(document: &Document) -> Result<(), String> {
    replicates(document)?;
    let mut edited = document.clone();
    let patch = json!([{"op":"add","path":"/weather","value":{"sun":["x"]}}]);
    let patch = Patch::parse(&patch).expect("a well-formed patch");
    // An edit may be refused by what the record holds; it may not spoil it.
    if let Ok(Some(_)) = edited.patch(&patch, None, &stamp(9, 99)) {
        replicates(&edited).map_err(|what| format!("after an edit: {what}"))?;
    }
    Ok(())
}

fn replicates(document: &Document) -> Result<(), String> {
    let shown = (document.heads(), document.record(), document.summary());
    drop(document.history());
    let save = gate::check_save(document.to_save(), &SaveLimits::default());
    let save = save.map_err(|refused| format!("its save is refused: {refused}"))?;
    let (again, changes) = Document::from_save(id(), &save)
        .map_err(|refused| format!("its save is refused on reading: {refused}"))?;
    if (again.heads(), again.record(), again.summary()) != shown {
        return Err("read from its save it is another".to_owned());
    }
    let checked = changes.iter().map(|change| {
        let (origin, incarnation) = (change.actor.origin(), change.actor.incarnation());
        gate::check(change.bytes.clone(), &change.hash, origin, incarnation)
    });
    let checked: Result<Vec<_>, _> = checked.collect();
    let checked = checked.map_err(|refused| format!("a fresh node refuses: {refused}"))?;
    let fresh = Document::empty(id())
        .absorb(&checked)
        .map_err(|refused| format!("a fresh node refuses: {refused}"))?;
    if (fresh.heads(), fresh.record(), fresh.summary()) != shown {
        return Err("a fresh node makes another of its changes".to_owned());
    }
    let stored: Vec<_> = changes.into_iter().map(|change| change.bytes).collect();
    let opened = Document::open(id(), &stored)
        .map_err(|unreadable| format!("stored it is unreadable: {unreadable}"))?;
    if opened.heads() != shown.0 {
        return Err("opened from its changes it is another".to_owned());
    }
    Ok(())
}

/// The hash that the signed header of these bytes would name.
pub(crate) fn signed(bytes: &[u8]) -> ChangeHash {
    ChangeHash::from_bytes(crate::chunk::hash(bytes))
}

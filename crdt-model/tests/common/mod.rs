//! Invented records and shorthands for the tests of this crate.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use raccordo_crdt_model::{
    Change, Document, DocumentId, Heads, Kind, Patch, Record, Rejected, Stamp, UnixMillis, gate,
};
use serde_json::{Value, json};

/// A whole record with every field of the table.
pub(crate) fn full() -> Value {
    json!({"ref":"FR-A-2026-000123","sharing":"shared",
     "subject":{"kind":"person","token":"d2f1","birth_year":1988,"sex":"F","municipality":"060006","minors":0},
     "need_area":"POV","sub_areas":["dipendenze"],"opened_on":"2026-03-04","state":"active",
     "team":{"m1":{"body":"SSD","operator":"op-014","role":"case_manager","from":"2026-03-04"}},
     "plans":{"social":{"body":"SSD",
                "goals":{"g1":{"text":"Cercare una casa","horizon":"medium","due":"2026-12-31","reached":null}},
                "interventions":{"i1":{"type":"assistenza_domiciliare","provider":"ente-012","start":"2026-04-01","end":"2026-09-30","state":"planned","hours":40}}},
              "health":{"body":"DSM","goals":{},"interventions":{}},
              "work":{"body":"CPI","goals":{},"interventions":{},"employability":55}},
     "instruments":{"k1":{"kind":"TIS","purpose":"LAV","host":"ente-031","amount_eur":500.0,"hours":120,"from":"2026-05-01","until":"2026-10-31","state":"active","outcome":null}},
     "reviews":{"r1":{"on":"2026-06-01","bodies":["SSD","CPI"],"decision":"continue","summary":"Prosegue","next_on":"2026-09-01"}},
     "next_review_on":"2026-09-01","outcome":null})
}

/// A whole record of a kind, with every field of its table.
pub(crate) fn full_of(kind: Kind) -> Value {
    match kind {
        Kind::Project => full(),
        Kind::Guideline => {
            json!({"ref":"FR-LG-7","title":"Presa in carico integrata","type":"procedure",
            "version":"2","state":"published","valid_from":"2026-01-01","valid_until":"2027-12-31",
            "summary":"Chi fa che cosa, entro quando","replaces":"FR-LG-3",
            "bodies":["SSD","CPI"],"processes":["access","planning"],
            "sections":{"s1":{"title":"Accesso","text":"Il primo colloquio avviene entro dieci giorni.","position":1}},
            "steps":{"p1":{"body":"SSD","text":"Primo colloquio","within_days":10,"position":1}}})
        }
        Kind::Organisation => {
            json!({"ref":"ente-012","name":"Cooperativa Il Melograno","type":"ETS",
            "state":"member","municipality":"060006","valid_from":"2026-01-01","valid_until":"2026-12-31",
            "about":"Agricoltura sociale e laboratori","need_areas":["POV","DIS"],
            "contacts":{"address":"Via Roma 1","email":"info@melograno.example","phone":"0775 000000",
                        "website":"https://melograno.example","hours":"9-13"},
            "offers":{"o1":{"title":"Laboratorio","type":"laboratorio","instrument":"LAB_OV","places":6,
                            "need_areas":["DIS"],"how":"Tramite il CPI","from":"2026-02-01","until":"2026-11-30"}},
            "agreements":{"a1":{"kind":"convenzione","number":"14/2026","from":"2026-01-01","until":"2026-12-31",
                                "text":"Accoglienza di tirocini"}}})
        }
    }
}

/// A record of a kind, made by node 1.
pub(crate) fn create_of(kind: Kind, fields: &Value) -> Result<(Document, Change), Rejected> {
    Document::create(id(), kind, "frosinone/a", fields, &stamp(1, 0))
}

/// The least that a record may be.
pub(crate) fn least() -> Value {
    json!({"subject":{"kind":"person"},"need_area":"FAM","opened_on":"2026-01-07"})
}

/// A stamp of the node `node` at a number of seconds after an invented start.
pub(crate) fn stamp(node: u8, second: i64) -> Stamp {
    Stamp {
        origin: [node; 8],
        incarnation: [0xee; 8],
        at: UnixMillis(1_772_000_000_000 + second * 1000),
        by: Some(format!("op-{node:03}")),
        line: None,
        imported: false,
    }
}

pub(crate) fn imported(node: u8, second: i64) -> Stamp {
    Stamp {
        imported: true,
        ..stamp(node, second)
    }
}

pub(crate) fn id() -> DocumentId {
    DocumentId::from_bytes([7; 16])
}

pub(crate) fn create(fields: &Value) -> Result<(Document, Change), Rejected> {
    Document::create(id(), Kind::Project, "frosinone/a", fields, &stamp(1, 0))
}

pub(crate) fn made(fields: &Value) -> Document {
    create(fields).expect("a valid record").0
}

pub(crate) fn patch_of(patch: Value) -> Patch {
    Patch::parse(&patch).expect("a well-formed patch")
}

pub(crate) fn edit(
    document: &mut Document,
    patch: Value,
    stamp: &Stamp,
) -> Result<Option<Change>, Rejected> {
    document.patch(&patch_of(patch), None, stamp)
}

/// Sets one path, which must succeed with a change.
pub(crate) fn set(document: &mut Document, path: &str, value: Value, stamp: &Stamp) -> Change {
    edit(
        document,
        json!([{"op":"add","path":path,"value":value}]),
        stamp,
    )
    .expect("a valid edit")
    .expect("an edit with an effect")
}

/// Sets one path on the version `base`.
pub(crate) fn set_at(
    document: &mut Document,
    base: &Heads,
    path: &str,
    value: Value,
    stamp: &Stamp,
) -> Change {
    let patch = patch_of(json!([{"op":"add","path":path,"value":value}]));
    document
        .patch(&patch, Some(base), stamp)
        .expect("a valid edit")
        .expect("an edit with an effect")
}

/// A change as it comes from the node that made it.
pub(crate) fn checked(change: &Change, node: u8) -> raccordo_crdt_model::CheckedChange {
    gate::check(change.bytes.clone(), &change.hash, [node; 8], [0xee; 8]).expect("a good change")
}

pub(crate) fn absorb(document: &mut Document, change: &Change, node: u8) {
    *document = document
        .absorb(&[checked(change, node)])
        .expect("a fitting change");
}

/// Problems and refusals as text.
pub(crate) fn shown<T>(result: Result<T, Rejected>) -> String {
    match result {
        Ok(_) => "accepted\n".to_owned(),
        Err(Rejected::Invalid(problems)) => problems
            .iter()
            .map(|problem| format!("{problem}\n"))
            .collect(),
        Err(other) => format!("{other}\n"),
    }
}

/// What merging left open, as text.
pub(crate) fn open(record: &Record) -> String {
    let mut out = String::new();
    for (name, conflicts) in [
        ("conflict", &record.conflicts),
        ("overwritten", &record.overwritten),
    ] {
        for conflict in conflicts {
            out += &format!("{name} {}: {}", conflict.path, conflict.shown);
            for rival in &conflict.rivals {
                out += &format!(
                    " | {} by {}",
                    rival.value,
                    rival.by.as_deref().unwrap_or("-")
                );
            }
            out.push('\n');
        }
    }
    for flag in &record.flags {
        out += &format!("flag {} {}\n", flag.code, flag.path);
    }
    out
}

/// A pseudo-random sequence that is the same on every machine.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        // splitmix64 (Steele, Lea, Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("below a usize")
    }
}

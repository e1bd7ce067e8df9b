//! Invented records and shorthands for the tests of this crate.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use raccordo_crdt_model::{
    Change, Document, DocumentId, Heads, Kind, Patch, Record, Rejected, Stamp, UnixMillis, gate,
};
use serde_json::{Value, json};

/// A whole record with every field of the table, its plans signed as they are.
pub(crate) fn full() -> Value {
    let mut fields = unsigned();
    let plans = [("social", "SSD"), ("work", "CPI")];
    for (plan, body) in plans {
        fields["plans"][plan]["signatures"] = json!({"s1":{"body":body,"on":"2026-03-20"}});
    }
    // As the node fills in what they sign.
    let signed = made(&fields).record().fields;
    for (plan, _) in plans {
        fields["plans"][plan]["signatures"] = signed["plans"][plan]["signatures"].clone();
    }
    fields
}

/// The same before anybody signed.
fn unsigned() -> Value {
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
                                "text":"Accoglienza di tirocini"}},
            "relations":{"r1":{"organisation":"O-2","kind":"partner","from":"2026-01-01","until":"2026-12-31",
                               "note":"Stessa sede"}}})
        }
        Kind::Person => {
            json!({"ref":"P-0001","given_name":"Anna","family_name":"Invenzione","former_names":["Fantasia"],
            "fiscal_code":"RSSMRA85T10A562S","other_code":{"kind":"STP","number":"STP0001"},"born_on":"1985-12-10",
            "birth_place":"Sora","sex":"F","citizenship":"IT","language":"it","protected":false,"household":"N-0001",
            "residence":{"municipality":"060006","address":"Via Roma 1","since":"2020-01-01","homeless":false},
            "contacts":{"phone":"0775 000000","email":"anna@example.org","notes":"Dopo le 17"},
            "merged_into":null,"state":"registered"})
        }
        Kind::Household => {
            json!({"ref":"N-0001","name":"Invenzione","isee_class":"1","municipality":"060006","minors":1,
            "members":{"m1":{"person":"P-0001","relation":"holder","from":"2020-01-01","until":"2030-01-01"}},
            "state":"active"})
        }
        Kind::Casefile => {
            json!({"ref":"C-0001","subject":"P-0001","state":"open",
            "diary":{"d1":{"on":"2026-03-04","text":"Primo colloquio","author":"op-014","restricted":true}},
            "consents":{"c1":{"purpose":"sharing","recipient":"CPI","basis":"consent","given_on":"2026-03-04",
                              "revoked_on":"2026-09-01","document_hash":"00","text":"Informativa letta"}},
            "assessments":{"a1":{"kind":"UVM","form":"VM-1","form_version":"2","on":"2026-03-10","authors":["op-014"],
                                 "dimensions":{"x1":{"dimension":"casa","score":2.5,"note":"Precaria"}},"summary":"In sintesi"}},
            "attachments":{"f1":{"name":"verbale.pdf","sha256":"00","bytes":1024,"type":"application/pdf","on":"2026-03-10"}},
            "reports":{"s1":{"source":"4","on":"2026-03-01","urgency":"low"}},
            "work_extract":{"abilities":"Cucina","limits":"Turni di notte","hours":"20","aids":"Nessuno"},
            "legal_hold":{"h1":{"reason":"Contenzioso","until":"2027-12-31"}},
            "projects":{"p1":{"project":"FR-A-2026-000123","from":"2026-03-04","until":"2027-03-04"}}})
        }
        Kind::Contact => {
            json!({"ref":"K-0001","point":"pua-sora","on":"2026-03-04","mode":"desk","asked_by":"self","anonymous":false,
            "person":"P-0001","need_area":"POV","asked":"Aiuto per la casa","answer":"Bando e sportello",
            "orientation":["casa"],"services":{"s1":{"resource":"R-1","title":"Sportello casa","offered_on":"2026-03-04","outcome":"accepted"}},
            "outcome":"taking_in_charge","minutes":20,"project":"FR-A-2026-000123","state":"closed"})
        }
        Kind::Resource => {
            json!({"ref":"R-1","title":"Sportello casa","organisation":"ente-012","what":"Orientamento","where":"Via Roma 1",
            "municipality":"060006","who_for":["senza_dimora"],"need_areas":["POV"],"how_to_ask":"Senza appuntamento",
            "hours":"9-13","public":true,"valid_from":"2026-01-01","valid_until":"2026-12-31","state":"offered"})
        }
        Kind::ErasureOrder | Kind::Publication | Kind::Notice | Kind::Transfer => full_fact(kind),
        Kind::Activity => {
            json!({"ref":"A-1","on":"2026-03-04","kind":"meeting","bodies":["SSD","DSM"],"cases_discussed":4,"decisions":2,
            "hours":2.5,"topics":["casa"],"unit":"UTI-A","sharing":"shared","state":"recorded"})
        }
    }
}

/// A whole record of a kind that nodes write by themselves.
fn full_fact(kind: Kind) -> Value {
    match kind {
        Kind::ErasureOrder => {
            json!({"ref":"E-1","ordered_on":"2026-03-04","completed_on":"2026-03-05","sharing":"shared","state":"ordered",
            "documents":{"d1":{"document":"00112233445566778899aabbccddeeff"}}})
        }
        Kind::Publication => {
            json!({"ref":"Q-1","since":"2026-01-01","counted_on":"2026-03-04","smallest":5,"sharing":"shared","state":"aggregates",
            "counts":{"c1":{"table":"local_projects","row":"POV","column":"active","count":12},
            "c2":{"table":"contacts","row":"POV","column":"*","withheld":true}}})
        }
        Kind::Transfer => {
            json!({"ref":"T-1","from":"frosinone/a","to":"frosinone/b","project":"00","reason":"residence",
            "former_state":"active","offered_on":"2026-03-04","expires_on":"2026-04-04","answered_on":"2026-03-10",
            "released_on":"2026-03-11","forgotten_on":"2026-03-12","refusal":"Risiede altrove","new_project":"11","pieces":1,
            "keys":{"n1":{"key":"AAAA"}},"sealed":{"p000":{"text":"AAAA"}},
            "words":{"n1":{"word":"accepted","on":"2026-03-10","project":"11"}},"state":"offered"})
        }
        _ => {
            json!({"ref":"V-1","on":"2026-03-04","household":false,"strength":"certain","sharing":"shared","state":"open",
            "sides":{"s1":{"mark":"00112233445566778899aabbccddeeff","sealed":"0011"}}})
        }
    }
}

/// What a project may hold beside [`full`], by its lazy containers and later fields.
pub(crate) fn further() -> Value {
    json!({"case_manager":"m1",
     "plans":{"social":{"state":"signed",
                "goals":{"g1":{"expected":"Un contratto","indicator":"contratto firmato"}},
                "signatures":{"s1":{"body":"SSD","by":"op-014","on":"2026-03-20","person":false},
                              "s2":{"body":"SSD","section":"00"}},
                "commitments":{"c1":{"by":"person","text":"Iscriversi al bando","due":"2026-06-30","kept":true}},
                "supports":{"u1":{"type":"contributo","provider":"ente-012","from":"2026-04-01","until":"2026-09-30","amount_eur":150.5,"note":"Affitto"}},
                "checks":{"v1":{"goal":"g1","on":"2026-05-01","by":"op-014","result":"A buon punto","next_on":"2026-06-01"}}}},
     "decisions":{"d1":{"question":"Quale strumento?","options":{"o1":{"text":"TIS"},"o2":{"text":"Laboratorio"}},
                        "criteria":"Distanza dal lavoro","quorum":["SSD","CPI"],"result":"o1","on":"2026-04-20",
                        "votes":{"w1":{"body":"SSD","by":"op-014","option":"o1","on":"2026-04-20","note":"Pronto"},
                                 "w2":{"body":"CPI","by":"op-020","option":"o1","on":"2026-04-20"}}}},
     "referrals":{"f1":{"to":"CPI","to_name":"Centro per l'impiego","reason":"Iscrizione","sent_on":"2026-04-01","due":"2026-05-01",
                        "state":"done","reason_of_refusal":null,"outcome":"iscritto","answered_on":"2026-04-10"}},
     "vouchers":{"b1":{"kind":"trasporto","provider":"ente-031","value_eur":100.0,"hours":10,"issued_on":"2026-04-01",
                       "valid_from":"2026-04-01","valid_until":"2026-12-31","state":"partly_spent",
                       "spent":{"e1":{"on":"2026-05-01","amount_eur":40.5,"hours":4,"by":"op-014"}}}},
     "instruments":{"k1":{"tutor":"op-031","agreement":"14/2026","extended_until":"2027-03-31","insurance":"INAIL"}},
     "reviews":{"r1":{"findings":"Frequenza regolare"}},
     "links":{"previous":"00","next":"11","contact":"K-0001","transfer":"22"}})
}

/// A project with every field of its table.
pub(crate) fn whole() -> Value {
    fn join(target: &mut Value, more: Value) {
        match (target, more) {
            (Value::Object(members), Value::Object(more)) => {
                for (name, value) in more {
                    join(members.entry(name).or_insert(Value::Null), value);
                }
            }
            (target, more) => *target = more,
        }
    }
    let mut out = full();
    join(&mut out, further());
    out
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

//! What one record costs: made, edited, absorbed; beside it what the bare library takes.
//!
//! Prints the median of the rounds, in microseconds, and the ratio where there is a floor.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::time::Duration;

use raccordo_crdt_model::{
    Change, Document, DocumentId, Heads, Kind, Patch, SaveLimits, Stamp, UnixMillis, gate,
};
use serde_json::{Value, json};

const ROUNDS: usize = 400;

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock itself"
)]
fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let start = std::time::Instant::now();
    black_box(work());
    start.elapsed()
}

/// The median of the rounds of some work on fresh inputs, in microseconds.
fn median<I, T>(mut input: impl FnMut() -> I, mut work: impl FnMut(I) -> T) -> f64 {
    let mut rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let input = input();
            timed(|| work(input))
        })
        .collect();
    rounds.sort_unstable();
    rounds[ROUNDS / 2].as_secs_f64() * 1e6
}

fn plan(body: &str) -> Value {
    let text =
        "Il servizio concorda con la persona un percorso di inserimento presso la cooperativa.";
    let goal = json!({"text":text,"horizon":"medium","due":"2026-12-31","reached":null});
    let intervention = json!({"type":"assistenza_domiciliare","provider":"ente-012","start":"2026-04-01",
                              "end":"2026-09-30","state":"planned","hours":40});
    json!({"body":body,"goals":{"g0":goal,"g1":goal},"interventions":{"i0":intervention,"i1":intervention},
        "signatures":{"s0":{"body":body,"by":"op-014","on":"2026-03-18"}}})
}

fn fields() -> Value {
    let member =
        |body: &str| json!({"body":body,"operator":"op-014","role":"member","from":"2026-03-04"});
    let mut work = plan("CPI");
    work["employability"] = json!(55);
    json!({"ref":"FR-A-2026-000123",
        "subject":{"kind":"person","token":"d2f1a0b3c4d5e6f708192a3b4c5d6e7f","birth_year":1988,"sex":"F",
                   "municipality":"060006","minors":0},
        "need_area":"POV","sub_areas":["dipendenze"],"opened_on":"2026-03-04","state":"active",
        "team":{"m0":member("SSD"),"m1":member("DSM"),"m2":member("CPI"),"m3":member("ETS")},
        "plans":{"social":plan("SSD"),"health":plan("DSM"),"work":work},
        "instruments":{},"reviews":{},"next_review_on":"2026-09-01","outcome":null})
}

fn stamp(second: i64) -> Stamp {
    Stamp {
        origin: [1; 8],
        incarnation: [2; 8],
        at: UnixMillis(1_772_000_000_000 + second * 1000),
        by: Some("op-014".to_owned()),
        line: None,
        imported: false,
    }
}

fn set(path: &str, value: &Value) -> Patch {
    Patch::parse(&json!([{"op":"add","path":path,"value":value}])).expect("well formed")
}

fn create() -> (Document, Change) {
    let id = DocumentId::from_bytes([7; 16]);
    Document::create(id, Kind::Project, "frosinone/a", &fields(), &stamp(0)).expect("valid")
}

/// A record with twelve edits of the kinds that offices make.
fn edited() -> (Document, Vec<Change>) {
    let (mut document, first) = create();
    let mut changes = vec![first];
    let review = json!({"on":"2026-06-01","bodies":["SSD","DSM","CPI"],"decision":"continue","next_on":"2026-09-01",
                        "summary":"L'équipe rileva una criticità nella frequenza e attiva il raccordo con il centro."});
    let voucher = json!({"kind":"VOU","purpose":"SOC","host":"ente-031","amount_eur":500.0,"hours":120,
                         "from":"2026-05-01","until":"2026-10-31","state":"planned","outcome":null});
    for number in 0..12 {
        let patch = match number % 6 {
            0 => set(&format!("/reviews/r{number}"), &review),
            1 => set(
                "/plans/social/interventions/i0/state",
                &json!(["active", "done"][number / 6]),
            ),
            2 => set("/plans/work/employability", &json!(number)),
            3 => set(&format!("/instruments/k{number}"), &voucher),
            4 => set("/state", &json!(["review", "suspended"][number / 6])),
            _ => set("/state", &json!("active")),
        };
        let second = i64::try_from(number).expect("small") + 1;
        let change = document.patch(&patch, None, &stamp(second)).expect("valid");
        changes.push(change.expect("an effect"));
    }
    (document, changes)
}

fn line(name: &str, size: &str, micros: f64, floor: Option<(&str, f64)>) {
    match floor {
        Some((what, floor)) => println!(
            "{name:<22} {size:<34} {micros:>8.1} µs   {what} {floor:.1} µs, ratio {:.2}",
            micros / floor
        ),
        None => println!("{name:<22} {size:<34} {micros:>8.1} µs"),
    }
}

fn bare(changes: &[Change]) -> Vec<automerge::Change> {
    let decode = |change: &Change| automerge::Change::from_bytes(change.bytes.clone());
    changes
        .iter()
        .map(|change| decode(change).expect("good bytes"))
        .collect()
}

fn check(changes: &[Change]) -> Vec<gate::CheckedChange> {
    let check = |change: &Change| gate::check(change.bytes.clone(), &change.hash, [1; 8], [2; 8]);
    changes
        .iter()
        .map(|change| check(change).expect("good bytes"))
        .collect()
}

fn main() {
    println!("median of {ROUNDS} rounds");
    let (document, changes) = edited();
    let bytes: usize = changes.iter().map(|change| change.bytes.len()).sum();
    let json_bytes = document.record().fields.to_string().len();
    let size = format!("JSON {json_bytes} B, 13 changes {bytes} B");
    writing(&document, &changes, &size);
    absorbing(&document, &changes, &size);
    saving(&document, &size);
    reading(&document, &changes, &size);
}

fn writing(document: &Document, changes: &[Change], size: &str) {
    let micros = median(|| (), |()| create());
    let first = format!("change {} B", changes[0].bytes.len());
    line("create_project", &first, micros, None);

    let patch = set("/plans/work/employability", &json!(99));
    let edit = |mut document: Document, base: Option<&Heads>| {
        let change = document.patch(&patch, base, &stamp(99)).expect("valid");
        (document, change)
    };
    let micros = median(|| document.clone(), |document| edit(document, None));
    line("patch_one_field", size, micros, None);
    let base = Heads::from_hashes([changes[6].hash]);
    let micros = median(|| document.clone(), |document| edit(document, Some(&base)));
    line("patch_older_version", size, micros, None);
}

fn absorbing(document: &Document, changes: &[Change], size: &str) {
    let decode = median(|| (), |()| bare(changes));
    let checked = median(|| (), |()| check(changes));
    line(
        "check_13_changes",
        size,
        checked,
        Some(("bare decode", decode)),
    );

    let apply = |changes: Vec<automerge::Change>| {
        let mut automerge = automerge::Automerge::new();
        automerge.apply_changes(changes).expect("in order");
        automerge
    };
    let floor = median(|| bare(changes), apply);
    let empty = Document::empty(document.id());
    let ready = check(changes);
    let absorbed = median(|| (), |()| empty.absorb(&ready).expect("in order"));
    line(
        "absorb_13_changes",
        size,
        absorbed,
        Some(("bare apply", floor)),
    );

    let (last, before) = changes.split_last().expect("13 changes");
    let older = empty.absorb(&check(before)).expect("in order");
    let bare_older = apply(bare(before));
    let load = |mut automerge: automerge::Automerge| {
        automerge.load_incremental(&last.bytes).expect("in order");
        automerge
    };
    let floor = median(|| bare_older.clone(), load);
    let last = check(std::slice::from_ref(last));
    let one = median(|| (), |()| older.absorb(&last).expect("in order"));
    line(
        "absorb_1_change",
        size,
        one,
        Some(("bare load_incremental", floor)),
    );
}

fn saving(document: &Document, size: &str) {
    let save = document.to_save();
    line(
        "to_save",
        size,
        median(|| (), |()| document.to_save()),
        None,
    );
    let size = format!("save {} B", save.len());
    let limits = SaveLimits::default();
    let check = |save: Vec<u8>| gate::check_save(save, &limits).expect("an honest save");
    let load = median(
        || (),
        |()| automerge::Automerge::load(&save).expect("good bytes"),
    );
    let checked = median(|| save.clone(), check);
    line("check_save", &size, checked, Some(("bare load", load)));
    let ready = check(save);
    let read = || Document::from_save(document.id(), &ready).expect("an honest save");
    line(
        "from_save",
        &size,
        median(|| (), |()| read()),
        Some(("bare load", load)),
    );
}

fn reading(document: &Document, changes: &[Change], size: &str) {
    let stored: Vec<_> = changes.iter().map(|change| change.bytes.clone()).collect();
    let opened = || Document::open(document.id(), &stored).expect("readable");
    line("open", size, median(|| (), |()| opened()), None);
    line("record", size, median(|| (), |()| document.record()), None);
    let summary = median(opened, |document| document.summary());
    line("summary", size, summary, None);
    line(
        "history",
        size,
        median(|| (), |()| document.history()),
        None,
    );
}

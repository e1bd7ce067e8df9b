//! A line of an import file: read, carried out, and exported again.

use raccordo_crdt_model::import::export_line;
use raccordo_crdt_model::{Document, ImportLine, ImportOp, Kind};
use raccordo_tests::chance::Chance;
use serde_json::{Value, json};

use crate::json::mutated;
use crate::target::{Answer, Target};
use crate::world::{World, fields, id, sound, stamp};

/// The door of import files.
pub(crate) struct Lines {
    seeds: Vec<Value>,
    documents: Vec<Document>,
}

impl Lines {
    pub(crate) fn new() -> Self {
        let mut seeds = Vec::new();
        for kind in Kind::all() {
            let word = kind.singular();
            seeds.push(
                json!({"op":"create","kind":word,"ref":"x-1","at":"2026-03-04T09:00:00Z",
                "by":"op-1","doc":fields(kind)}),
            );
            let mut doc = fields(kind);
            doc["ref"] = json!("x-1");
            seeds.push(json!({"op":"create","kind":word,"ref":"x-1","doc":doc}));
            seeds.push(json!({"op":"patch","kind":word,"ref":"x-1","patch":[
                {"op":"test","path":"/ref","value":fields(kind)["ref"]},
                {"op":"add","path":"/weather","value":[1,{"a":null}]}]}));
        }
        let newest = |story: crate::world::Story| story.states.into_iter().last();
        Self {
            seeds,
            documents: World::told()
                .stories
                .into_iter()
                .filter_map(newest)
                .collect(),
        }
    }
}

impl Target for Lines {
    fn name(&self) -> &'static str {
        "import"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        self.seeds
            .iter()
            .map(|seed| seed.to_string().into_bytes())
            .collect()
    }

    fn input(&self, chance: &mut Chance) -> Vec<u8> {
        let seed = chance.pick(&self.seeds);
        mutated(chance, seed)
    }

    fn feed(&self, input: &[u8]) -> Answer<'_> {
        let text = String::from_utf8_lossy(input);
        let (line, canonical) = match ImportLine::parse(&text) {
            Ok(read) => read,
            Err(problems) => return Answer::Refused(problems[0].code.to_owned()),
        };
        if ImportLine::parse(&canonical).ok() != Some((line.clone(), canonical)) {
            return Answer::is_in(|| Err("its canonical form is another line".to_owned()));
        }
        let mut at = stamp(1, 100);
        at.imported = line.at.is_some();
        at.at = line.at.unwrap_or(at.at);
        at.by = line.by;
        let made = match line.op {
            ImportOp::Create { doc } => Document::create(id(), line.kind, "frosinone/a", &doc, &at)
                .map(|(document, _)| document),
            ImportOp::Patch { patch } => {
                let known = self
                    .documents
                    .iter()
                    .find(|known| known.kind() == line.kind);
                let mut document = known.expect("a document of every kind").clone();
                document.patch(&patch, None, &at).map(|_| document)
            }
        };
        match made {
            Err(rejected) => Answer::Refused(rejected.to_string()),
            Ok(document) => Answer::is_in(move || {
                sound(&document)?;
                comes_back(&document)
            }),
        }
    }
}

/// What is exported is read again and exported as the same bytes.
fn comes_back(document: &Document) -> Result<(), String> {
    let record = document.record();
    let line = export_line(document.kind(), id(), record.created_at, &record.fields);
    let (read, _) = ImportLine::parse(&line)
        .map_err(|problems| format!("what was exported is no line: {}", problems[0]))?;
    let ImportOp::Create { doc } = read.op else {
        return Err("what was exported makes no record".to_owned());
    };
    let again = Document::create(id(), read.kind, "frosinone/a", &doc, &stamp(1, 0));
    let (again, _) = match again {
        Ok(made) => made,
        // A record edited beyond what one line may hold cannot come back in one.
        Err(raccordo_crdt_model::Rejected::Invalid(problems))
            if problems.iter().all(|problem| problem.code == "too_large") =>
        {
            return Ok(());
        }
        Err(rejected) => return Err(format!("what was exported is refused: {rejected}")),
    };
    let again = export_line(read.kind, id(), record.created_at, &again.record().fields);
    if again == line {
        Ok(())
    } else {
        Err("exported again it is another line".to_owned())
    }
}

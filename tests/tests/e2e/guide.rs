//! The guide for the offices of a district, done word by word and in its order on real nodes:
//! whatever it tells its readers to do is accepted.
//!
//! By the roles that a chapter names in its first sentence, else with every right; commands on the
//! node's own machine. What an example needs beyond the examples before it stands in `NEEDS` alone.

mod known;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use clap::Parser as _;
use clap::error::ErrorKind;
use raccordo_node::cli::Arguments;
use raccordo_tests::below::created;
use raccordo_tests::eventually::{eventually, seen};
use raccordo_tests::federation::Federation;
use raccordo_tests::http::{Answer, Client};
use raccordo_tests::invariants::districts_and_coordination_come_to_hold_the_same;
use raccordo_tests::process::Node;
use serde_json::{Value, json};

use crate::PROGRAM;
use crate::transfer::comes_to;
use known::{makes_a_record, unknown, unsaid};
use text::{Asked, Deed, Example, commands_of_the_program, examples};

/// The documents, and the guide among them.
const DOCUMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");
const GUIDE: &str = "guida-distretto.md";

/// The folders that the guide's commands name, and the districts whose they are.
const FOLDERS: [(&str, usize); 2] = [("alatri", 0), ("frosinone", 1)];

/// What stands in the guide for the number of a transfer, of an order, of a node.
const TRANSFER: &str = "3f1c9a2b";
const ORDER: &str = "5f0c9a2b";
const NODE: &str = "ID";

/// What an example needs that the guide tells in its prose.
#[derive(Debug, Clone, Copy)]
enum Need {
    /// The person has a second record.
    Double,
    /// The other district is known; a project that no other example names is offered to it.
    Receiver,
    /// The same offer made by command, just above, is taken back.
    OfferTakenBack,
    /// The offer has come to the other district.
    OfferArrived,
    /// It is about the project that no other example names.
    OtherProject,
    /// After the refusal that the example is an alternative to, the offer is made once more.
    OfferedAgain,
    /// The other district has confirmed the withdrawal.
    OfferWithdrawn,
    /// The person is there, although the same was done by command, just above.
    PersonAgain,
    /// The number of the order that the command above printed.
    Order,
    /// The project is there, although its person was erased in another chapter.
    ProjectAgain,
}

/// The examples that need something, by how they begin.
const NEEDS: [(&str, Need); 11] = [
    ("GET /api/v1/persons/P-12/duplicates", Need::Double),
    ("raccordo transfer offer", Need::Receiver),
    ("POST /api/v1/transfers", Need::OfferTakenBack),
    ("raccordo transfer show", Need::OfferArrived),
    ("raccordo transfer accept", Need::OtherProject),
    ("raccordo transfer refuse", Need::OfferArrived),
    ("raccordo transfer withdraw", Need::OfferedAgain),
    (CLOSING, Need::OfferWithdrawn),
    ("POST /api/v1/erasures", Need::PersonAgain),
    ("raccordo erase status 5f0c9a2b", Need::Order),
    ("POST /api/v1/emergency", Need::ProjectAgain),
];

/// How the request begins that closes the project.
const CLOSING: &str =
    r#"PATCH /api/v1/projects/FR-A-2026-000123 [{"op": "add", "path": "/outcome""#;

/// What a command need not be whole in when it is only spoken of.
const MAY_BE_LEFT_OUT: [ErrorKind; 2] = [
    ErrorKind::MissingRequiredArgument,
    ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
];

const PROJECT: &str = "/api/v1/projects/FR-A-2026-000123";

/// An office at work with the guide in its hands.
struct Reader {
    federation: Federation,
    guide: Vec<Example>,
    /// Tokens, by role.
    hands: BTreeMap<String, Client>,
    /// What the guide writes for a number that only the node knows.
    numbers: BTreeMap<&'static str, String>,
    /// What commands printed, by their first words.
    printed: BTreeMap<String, String>,
    /// The project that no example names, offered to the other district.
    other: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_guide_of_the_offices_tells_them_to_do_is_accepted() {
    let guide = fs::read_to_string(Path::new(DOCUMENTS).join(GUIDE)).expect("it is there");
    let mut reader = Reader {
        federation: Federation::joined(PROGRAM, 2, &[]).await,
        guide: examples(&guide),
        hands: BTreeMap::new(),
        numbers: BTreeMap::new(),
        printed: BTreeMap::new(),
        other: String::new(),
    };
    let mut refused = Vec::new();
    let mut needed = BTreeSet::new();
    for index in 0..reader.guide.len() {
        reader.is_staffed_for(index).await;
        let written = reader.guide[index].written.clone();
        let needs = NEEDS
            .iter()
            .filter(|(begins, _)| written.starts_with(begins));
        for (begins, need) in needs {
            // Made of the examples before: where one was refused, that is what is to be told.
            assert_eq!(refused, [""; 0], "{}", refused.join("\n"));
            reader.gets_ready(*need).await;
            needed.insert(begins);
        }
        if let Err(answer) = reader.does(index).await {
            let line = reader.guide[index].line;
            refused.push(format!("line {line}: {written}\n  {answer}"));
        }
    }
    assert_eq!(refused, [""; 0], "{}", refused.join("\n"));
    assert_eq!(
        needed.len(),
        NEEDS.len(),
        "of these there is no example any more, of the others: {needed:?}"
    );
    assert!(!reader.hands.is_empty(), "some chapters name their roles");
    districts_and_coordination_come_to_hold_the_same(&reader.federation).await;
    let above = reader.federation.coordination.local();
    let quarantine = above.read("/api/v1/quarantine").await;
    assert_eq!(quarantine["items"], json!([]), "{quarantine}");
}

#[test]
fn every_command_that_the_documents_name_is_one_that_the_program_takes() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for document in fs::read_dir(DOCUMENTS).expect("the documents are there") {
        let path = document.expect("a file").path();
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        for Example {
            line,
            written,
            deed,
            ..
        } in commands_of_the_program(&text)
        {
            let taken = match &deed {
                Deed::Run(words) => parsed(words, &[]),
                Deed::Mention(words) => parsed(words, &MAY_BE_LEFT_OUT),
                Deed::Ask(_) => continue,
            };
            seen += 1;
            if let Err(why) = taken {
                wrong.push(format!("{} line {line}: {written}: {why}", path.display()));
            }
        }
    }
    assert_eq!(wrong, [""; 0], "{}", wrong.join("\n"));
    assert!(seen > 0, "the documents name commands");
}

impl Reader {
    fn district(&self, index: usize) -> &Node {
        &self.federation.districts[index].node
    }

    /// Somebody has the role that the example asks for.
    async fn is_staffed_for(&mut self, index: usize) {
        let Some(role) = self.guide[index].role.clone() else {
            return;
        };
        if !self.hands.contains_key(&role) {
            let token = ["token", "create", "--name", &role, "--role", &role];
            let token = self.district(0).cli(&token).await.expect(0);
            let hands = self.district(0).http().with_token(Some(token.line()));
            self.hands.insert(role, hands);
        }
    }

    /// Does what an example says; what the node had against it.
    async fn does(&mut self, index: usize) -> Result<(), String> {
        let example = &self.guide[index];
        match &example.deed {
            Deed::Ask(asked) => self.asks(asked, example.role.as_ref()).await.map(drop),
            Deed::Run(words) => {
                let first = words[..words.len().min(3)].join(" ");
                let printed = self.runs(words).await?;
                self.printed.insert(first, printed);
                Ok(())
            }
            Deed::Mention(words) => parsed(words, &MAY_BE_LEFT_OUT),
        }
    }

    /// With every right, where the guide names no role.
    async fn asks(&self, asked: &Asked, role: Option<&String>) -> Result<Answer, String> {
        let headers = asked.headers.iter();
        let headers: Vec<_> = headers.map(|(name, text)| (&**name, &**text)).collect();
        let hands = role.and_then(|role| self.hands.get(role)).cloned();
        let http = hands.unwrap_or_else(|| self.district(0).http());
        let answer = http.send(&asked.verb, &asked.path, &headers, asked.body.clone());
        let answer = answer.await.expect("the node answers");
        if !(200..300).contains(&answer.status) {
            return Err(answer.to_string());
        }
        self.stands_there(asked, &answer).await?;
        Ok(answer)
    }

    /// Every value that was sent is in the record afterwards, and nothing that the node keeps
    /// without knowing what it is.
    async fn stands_there(&self, asked: &Asked, answer: &Answer) -> Result<(), String> {
        let sent = serde_json::from_str(&asked.body).unwrap_or(Value::Null);
        let http = self.district(0).http();
        let description = http.read("/api/v1/openapi.json").await;
        let unsaid = unsaid(&description, &asked.path, &sent);
        seen(unsaid.is_empty(), || format!("it passes over {unsaid:?}"))?;
        let made = answer
            .header("location")
            .filter(|_| makes_a_record(&asked.path));
        let Some(place) = made.or_else(|| sent.is_array().then_some(&*asked.path)) else {
            return Ok(());
        };
        let record = http.read(place).await;
        for (path, value) in written(sent) {
            let there = record.pointer(&path).unwrap_or(&Value::Null);
            let told = || format!("{path:?} is {there} afterwards");
            seen(has_all_of(there, &value), told)?;
        }
        let unknown = unknown(&record);
        let told = || format!("nobody knows {unknown:?}");
        seen(unknown.is_empty(), told)
    }

    /// At the node of the folder that it names.
    async fn runs(&self, words: &[String]) -> Result<String, String> {
        parsed(words, &[])?;
        let mut words: Vec<&str> = words[1..].iter().map(|word| self.meant(word)).collect();
        let data = words.iter().position(|word| *word == "--data");
        let data = data.ok_or("no folder is named")?;
        let named = FOLDERS.iter().find(|(name, _)| *name == words[data + 1]);
        let (_, district) = named.ok_or("nobody has that folder")?;
        words.drain(data..data + 2);
        let outcome = self.district(*district).cli(&words).await;
        if outcome.code == 0 {
            Ok(outcome.stdout)
        } else {
            Err(outcome.to_string())
        }
    }

    fn meant<'a>(&'a self, word: &'a str) -> &'a str {
        self.numbers.get(word).map_or(word, String::as_str)
    }

    /// Does once more what the example says that begins like that.
    async fn again(&self, begins: &str) -> Value {
        let mut guide = self.guide.iter();
        let example = guide.find(|example| example.written.starts_with(begins));
        let Some(Deed::Ask(asked)) = example.map(|example| &example.deed) else {
            unreachable!("no request of the guide begins with {begins}")
        };
        self.asks(asked, None).await.expect(begins).json()
    }

    async fn gets_ready(&mut self, need: Need) {
        match need {
            Need::Double => self.a_double_is_there().await,
            Need::Receiver => self.the_receiver_is_known().await,
            Need::OfferTakenBack => self.the_offer_is_taken_back().await,
            Need::OfferArrived => self.the_offer_arrives().await,
            Need::OtherProject => {
                let other = self.other.clone();
                let transfer = format!("/api/v1/transfers/{other}");
                comes_to(self.district(1), &transfer, "offered").await;
                self.numbers.insert(TRANSFER, beginning(&other));
            }
            Need::OfferWithdrawn => drop(comes_to(self.district(0), PROJECT, "active").await),
            Need::OfferedAgain => {
                comes_to(self.district(0), PROJECT, "active").await;
                self.again("POST /api/v1/transfers").await;
                self.the_offer_arrives().await;
            }
            Need::PersonAgain => drop(self.again("POST /api/v1/persons ").await),
            Need::Order => {
                let erased = &self.printed["raccordo erase P-12"];
                let number = erased.split(' ').nth(1).expect("a number");
                self.numbers.insert(ORDER, beginning(number));
            }
            Need::ProjectAgain => {
                self.again("POST /api/v1/persons ").await;
                self.again("POST /api/v1/projects ").await;
            }
        }
    }

    async fn a_double_is_there(&self) {
        let double = json!({"ref": "P-13", "family_name": "De Luca", "given_name": "Chiara"});
        created(&self.district(0).http(), "persons", &double).await;
    }

    async fn the_receiver_is_known(&mut self) {
        let http = self.district(0).http();
        let subject = json!({"kind": "person", "birth_year": 1990, "sex": "M"});
        let project = json!({"ref": "FR-A-2026-000999", "need_area": "DIS", "opened_on": "2026-03-04", "subject": subject});
        created(&http, "projects", &project).await;
        let offer = json!({"project": "FR-A-2026-000999", "to": "frosinone/b", "reason": "other"});
        let made = eventually("the other district is known", async || {
            let answer = http.post("/api/v1/transfers", &offer).await;
            seen(answer.status == 201, || answer.to_string()).map(|()| answer.json())
        });
        self.other = id(&made.await);
    }

    async fn the_offer_is_taken_back(&self) {
        let id = self.standing_offer().await;
        let withdrawn = ["transfer", "withdraw", &id];
        self.district(0).cli(&withdrawn).await.expect(0);
        comes_to(self.district(0), PROJECT, "active").await;
    }

    /// The number of the transfer that the guide's project is in.
    async fn standing_offer(&self) -> String {
        let all = self.district(0).http().read("/api/v1/transfers").await;
        let mut items = all["items"].as_array().into_iter().flatten();
        let offer = items.find(|one| one["state"] == "offered" && id(one) != self.other);
        id(offer.expect("an offer of the guide's project"))
    }

    async fn the_offer_arrives(&mut self) {
        let id = self.standing_offer().await;
        let transfer = format!("/api/v1/transfers/{id}");
        comes_to(self.district(1), &transfer, "offered").await;
        self.numbers.insert(TRANSFER, beginning(&id));
    }
}

/// Whether a value is as asked; the node may have added to it.
fn has_all_of(there: &Value, asked: &Value) -> bool {
    match (there, asked) {
        (Value::Object(there), Value::Object(asked)) => asked
            .iter()
            .all(|(key, asked)| there.get(key).is_some_and(|there| has_all_of(there, asked))),
        _ => there == asked,
    }
}

/// What a patch or a new record writes, and where. A project is told whose it is and does not keep it.
fn written(mut sent: Value) -> Vec<(String, Value)> {
    if let Some(operations) = sent.as_array() {
        let written = operations.iter().map(|operation| {
            let path = operation["path"].as_str().expect("a path");
            (path.to_owned(), operation["value"].clone())
        });
        return written.collect();
    }
    let subject = sent.pointer_mut("/subject").and_then(Value::as_object_mut);
    subject.and_then(|subject| subject.remove("person"));
    vec![(String::new(), sent)]
}

fn id(record: &Value) -> String {
    let id = record["_meta"]["id"].as_str();
    id.expect("a record has an id").to_owned()
}

/// As much of an id as the guide shows.
fn beginning(id: &str) -> String {
    id.chars().take(TRANSFER.len()).collect()
}

/// Whether the command line takes these words, but for what may be missing of them.
fn parsed(words: &[String], passed_over: &[ErrorKind]) -> Result<(), String> {
    let some_node = "0".repeat(64);
    let words = words.iter().map(|word| match word.as_str() {
        NODE => some_node.as_str(),
        word => word,
    });
    match Arguments::try_parse_from(words) {
        Err(wrong) if !passed_over.contains(&wrong.kind()) => Err(wrong.to_string()),
        _ => Ok(()),
    }
}

//! The data dictionary in `docs/` says what the table says: `UPDATE=1` writes it, else it is held
//! against it.

#![allow(
    clippy::format_push_string,
    reason = "short tests are read more often than run"
)]

use raccordo_crdt_model::schema::{Node, Rule, Told};
use raccordo_crdt_model::{Audience, Kind, Writer};

const PLACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/data-dictionary.md");

const HEAD: &str = "\
# Data dictionary

Written from the one table of kinds and fields (`crdt-model/src/schema`) by `UPDATE=1 cargo test -p raccordo-crdt-model
--test dictionary`; the same test without `UPDATE` fails where the two differ. Do not edit it by hand.

*Path*: keys from the record's root, `*` for a sub-entity's id. *Class*: `coded` (codes, dates, numbers and references that
name nobody), `wording` (professional wording without identifiers), `identity` (says who or where somebody is), `health`
(tells of somebody's health, or is free text about somebody). *Section*: the part of the record that access rules speak of.
*Marks*: required · deciding (concurrent values all stay until a person chooses) · fixed (set at creation) · lazy (a
container that is there only once it holds something) · progress (how it goes with what was agreed on: a plan's signatures do
not cover it). A closed list refuses other codes; an open list keeps and flags them.
";

fn audience(kind: Kind) -> &'static str {
    match kind.audience() {
        Audience::Home => {
            "home territory and its coordination; with sharing `local` the home territory only"
        }
        Audience::Territory => "the nodes of the home territory, nobody else",
        Audience::Everyone => "everyone",
        Audience::Parties => {
            "home territory, the territory that it is for, and the coordinations above either"
        }
    }
}

fn codes(list: &str, known: &[&str]) -> String {
    if known.is_empty() {
        return format!("{list} list");
    }
    format!("{list} list: {}", known.join(", "))
}

fn rule(told: &Told) -> String {
    match told.field.node {
        Node::Group(_) => "group".to_owned(),
        Node::Keyed(_) => "sub-entities by id".to_owned(),
        Node::Leaf(Rule::Text(max)) => format!("text, at most {max}"),
        Node::Leaf(Rule::Closed(known)) => codes("closed", known),
        Node::Leaf(Rule::Open(known)) => codes("open", known),
        Node::Leaf(Rule::Codes(known)) => format!("codes, {}", codes("open", known)),
        Node::Leaf(Rule::Municipality) => "ISTAT municipality, 6 digits".to_owned(),
        Node::Leaf(Rule::Date) => "date".to_owned(),
        Node::Leaf(Rule::Money) => "euro, two decimals".to_owned(),
        Node::Leaf(Rule::Whole(min, max)) => format!("whole number {min} to {max}"),
        Node::Leaf(Rule::Number(max)) => format!("number 0 to {max}"),
        Node::Leaf(Rule::Flag) => "true or false".to_owned(),
        Node::Leaf(Rule::FiscalCode) => "fiscal code with its check character".to_owned(),
        Node::Leaf(Rule::Outcome(known)) => format!("code and date, {}", codes("open", known)),
    }
}

fn marks(told: &Told) -> String {
    let field = told.field;
    let all = [
        (field.required, "required"),
        (field.deciding, "deciding"),
        (field.fixed, "fixed"),
        (field.lazy, "lazy"),
        (field.progress, "progress"),
    ];
    let marks: Vec<_> = all
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, word)| *word)
        .collect();
    marks.join(", ")
}

fn written() -> String {
    let mut out = HEAD.to_owned();
    for kind in Kind::all() {
        out += &format!("\n## {} ({})\n\n", kind.singular(), kind.code());
        let writer = match kind.writer() {
            Writer::District => "a district",
            Writer::Coordination => "a coordination",
        };
        out += &format!(
            "Path in the API `/{}`. Written by {writer}. For {}.\n\n",
            kind.plural(),
            audience(kind)
        );
        for (from, to) in kind.lifecycle().passages {
            let first = if kind.lifecycle().first.contains(from) {
                " (may be the first)"
            } else {
                ""
            };
            let to = if to.is_empty() {
                "nothing".to_owned()
            } else {
                to.join(", ")
            };
            out += &format!("- `{from}`{first} → {to}\n");
        }
        out += "\n| path | holds | class | section | marks |\n|---|---|---|---|---|\n";
        for told in kind.told() {
            let (class, section) = (told.privacy.word(), told.section.word());
            let (rule, marks) = (rule(&told), marks(&told));
            out += &format!(
                "| `{}` | {rule} | {class} | {section} | {marks} |\n",
                told.path
            );
        }
    }
    out
}

#[test]
fn the_data_dictionary_says_what_the_table_says() {
    let written = written();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(PLACE, &written).expect("docs can be written");
    }
    let held = std::fs::read_to_string(PLACE).unwrap_or_default();
    assert!(
        held == written,
        "docs/data-dictionary.md differs from the table: run this test with UPDATE=1"
    );
}

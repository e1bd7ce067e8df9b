//! Every file in `tests/cases` against the problems it names in its last lines.
//!
//! An expected problem is a line `#! LINE KEY: REASON`; a file without any is to be accepted.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use raccordo_config::check;

#[test]
fn every_case_has_exactly_the_problems_that_it_names() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 15, "only {} cases found", cases.len());
    let mut wrong = String::new();
    for case in cases {
        let text = fs::read_to_string(&case).unwrap();
        let expected: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("#! "))
            .collect();
        let seen: Vec<String> = match check(&text) {
            Ok(_) => Vec::new(),
            Err(problems) => problems
                .into_iter()
                .map(|problem| format!("{} {}: {}", problem.line, problem.key, problem.reason))
                .collect(),
        };
        if seen != expected {
            let seen = seen.join("\n#! ");
            let (case, expected) = (case.display(), expected.join("\n#! "));
            writeln!(wrong, "\n{case}\nnamed:\n#! {expected}\nseen:\n#! {seen}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

//! Facts about the repository that no lint checks.
//!
//! Each test names every offender at once. Knows files as text; does not run the program.

use std::fs;
use std::path::{Path, PathBuf};

/// Longest Rust file, in lines.
const LINES_MAX: usize = 600;

/// Longest header of a Rust file, in lines.
const HEADER_LINES_MAX: usize = 10;

/// Folders that hold no text of ours.
const PASSED_OVER: [&str; 6] = [
    ".git",
    "target",
    "node_modules",
    "raccordo-demo",
    "raccordo-data",
    "LICENSE",
];

/// All that may stand at the top.
const TOP: [&str; 14] = [
    ".ci",
    ".clippy.toml",
    ".gitignore",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "config",
    "crdt-model",
    "docs",
    "node",
    "publiccode.yml",
    "tests",
    "transport",
];

/// Top-level names that some machines have and the repository does not need.
const TOP_OPTIONAL: [&str; 3] = ["rust-toolchain.toml", "rustfmt.toml", ".github"];

/// A name of another's crate, and the places that alone may say it.
const ONLY_THERE: [(&str, &[&str]); 6] = [
    (
        "sled::",
        &["node/src/store/", "node/benches/", "tests/benches/"],
    ),
    (
        "redb::",
        &["node/src/store/", "node/benches/", "tests/benches/"],
    ),
    (
        "automerge::",
        &[
            "crdt-model/src/document/",
            "crdt-model/src/gate/",
            "crdt-model/benches/",
            "crdt-model/tests/",
            "tests/benches/",
            "tests/src/fuzz/",
        ],
    ),
    (
        "quinn::",
        &[
            "transport/src/quic/",
            "transport/benches/",
            "transport/tests/",
            "tests/benches/",
        ],
    ),
    (
        "rustls::",
        &[
            "transport/src/quic/",
            "transport/src/sealing.rs",
            "transport/benches/",
            "transport/tests/",
            "tests/benches/",
            "node/src/http/tls.rs",
            "tests/tests/e2e/https.rs",
        ],
    ),
    ("SystemTime::now", &["node/src/clock.rs"]),
];

/// Endings of type names that say nothing.
const EMPTY_NAMES: [&str; 4] = ["Manager", "Helper", "Util", "Service"];

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("the tests are a folder of the repository")
        .to_owned()
}

/// Every text file of the repository, with its path from the root.
fn files() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository can be read") {
            let path = entry
                .expect("a folder of the repository can be read")
                .path();
            let name = path
                .file_name()
                .expect("an entry of a folder has a name")
                .to_string_lossy()
                .into_owned();
            if PASSED_OVER.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let place = path
                    .strip_prefix(root())
                    .expect("every folder visited is below the root")
                    .to_string_lossy()
                    .into_owned();
                found.push((place, text));
            }
        }
    }
    found.sort();
    found
}

fn rust() -> Vec<(String, String)> {
    let mut files = files();
    files.retain(|(place, _)| is(place, "rs"));
    files
}

fn is(place: &str, extension: &str) -> bool {
    Path::new(place)
        .extension()
        .is_some_and(|found| found == extension)
}

/// Fails with all offenders.
fn none(offenders: &[String], rule: &str) {
    assert!(
        offenders.is_empty(),
        "{rule}:\n  {}",
        offenders.join("\n  ")
    );
}

#[test]
fn libraries_never_depend_on_each_other() {
    let mut offenders = Vec::new();
    for library in ["crdt-model", "transport", "config"] {
        let manifest = fs::read_to_string(root().join(library).join("Cargo.toml")).unwrap();
        let edges = manifest
            .lines()
            .filter(|line| line.trim_start().starts_with("raccordo-"))
            // Itself, with a feature for its own tests.
            .filter(|line| !line.starts_with(&format!("raccordo-{library} ")));
        offenders.extend(edges.map(|edge| format!("{library}/Cargo.toml: {edge}")));
    }
    none(
        &offenders,
        "crdt-model, transport and config know nothing of one another",
    );
}

#[test]
fn nothing_but_the_tests_depends_on_the_node() {
    let mut offenders = Vec::new();
    for (place, text) in files() {
        let is_manifest = place.ends_with("Cargo.toml")
            && !["Cargo.toml", "tests/Cargo.toml"].contains(&place.as_str());
        if is_manifest
            && text
                .lines()
                .any(|line| line.trim_start().starts_with("raccordo-node"))
        {
            offenders.push(place);
        }
    }
    none(&offenders, "only the tests may depend on raccordo-node");
}

#[test]
fn the_top_level_is_fixed() {
    let ignored = fs::read_to_string(root().join(".gitignore")).unwrap();
    let mut names: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name != ".git" && !TOP_OPTIONAL.contains(&name.as_str()))
        .filter(|name| !ignored.lines().any(|line| line.trim_matches('/') == name))
        .collect();
    names.sort();
    assert_eq!(names, TOP);
}

#[test]
fn rust_files_stay_short() {
    let too_long = |(place, text): (String, String)| {
        let lines = text.lines().count();
        (lines > LINES_MAX).then(|| format!("{place}: {lines} lines"))
    };
    let offenders: Vec<String> = rust().into_iter().filter_map(too_long).collect();
    none(&offenders, "a Rust file has at most 600 lines");
}

#[test]
fn every_rust_file_begins_by_saying_what_it_is() {
    let mut offenders = Vec::new();
    for (place, text) in rust() {
        let header = text
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .count();
        if !(1..=HEADER_LINES_MAX).contains(&header) {
            offenders.push(format!("{place}: a header of {header} lines"));
        }
    }
    none(
        &offenders,
        "a Rust file begins with a header of one to ten lines",
    );
}

#[test]
fn each_engine_and_protocol_is_named_in_one_place_only() {
    let mut offenders = Vec::new();
    for (place, text) in rust() {
        for (name, places) in ONLY_THERE {
            let is_home = places.iter().any(|home| place.starts_with(home));
            if !is_home && place != "tests/tests/tidy.rs" && names(&text, name) {
                offenders.push(format!("{place} names {name}"));
            }
        }
    }
    none(
        &offenders,
        "engines and protocols stand behind one folder each",
    );
}

/// Whether code, not a comment, has the name as a path of its own.
fn names(text: &str, name: &str) -> bool {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .any(|line| begins_within(line, name))
}

/// Whether the line has the words, and not as the end of a longer name or path.
fn begins_within(line: &str, words: &str) -> bool {
    line.match_indices(words).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|letter| !letter.is_alphanumeric() && !"_:".contains(letter))
    })
}

#[test]
fn names_say_something() {
    let mut offenders = Vec::new();
    for (place, text) in rust() {
        if place == "tests/tests/tidy.rs" {
            continue;
        }
        for line in text.lines() {
            let words: Vec<&str> = line
                .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
                .collect();
            for pair in words.windows(2) {
                let is_type = ["struct", "enum", "trait"].contains(&pair[0]);
                let is_empty =
                    is_type && EMPTY_NAMES.iter().any(|ending| pair[1].ends_with(ending));
                if is_empty || (pair[0] == "fn" && pair[1].starts_with("get_")) {
                    offenders.push(format!("{place}: {}", pair[1]));
                }
            }
        }
    }
    none(&offenders, "no get_, no Manager, Helper, Util or Service");
}

#[test]
fn no_test_is_ignored_or_waits_for_a_while() {
    let mut offenders = Vec::new();
    for (place, text) in rust() {
        let may_wait = place.starts_with("tests/src/") || place == "tests/tests/tidy.rs";
        let is_test = place.contains("/tests/") || place.ends_with("tests.rs");
        for (number, line) in text.lines().enumerate() {
            let waits = is_test && !may_wait && line.contains("sleep(");
            if waits
                || (line.trim_start().starts_with("#[ignore") && place != "tests/tests/tidy.rs")
            {
                offenders.push(format!("{place}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none(&offenders, "a test runs always and waits for events");
}

#[test]
fn texts_are_finished_and_at_home_everywhere() {
    // Put together here, so that this file does not hold them itself.
    let unfinished = [format!("{}DO", "TO"), format!("{}ME", "FIX")];
    let elsewhere = ["/work/", "/root/", "/home/user", "/tmp/cli"];
    let mut offenders = Vec::new();
    for (place, text) in files() {
        if place == "Cargo.lock" || place == "tests/tests/tidy.rs" {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let unfinished = unfinished.iter().any(|word| line.contains(word.as_str()));
            if unfinished || elsewhere.iter().any(|path| begins_within(line, path)) {
                offenders.push(format!("{place}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none(
        &offenders,
        "no unfinished business and no path of one machine",
    );
}

#[test]
fn every_link_of_the_documentation_leads_somewhere() {
    let all = files();
    let mut offenders = Vec::new();
    for (place, text) in all.iter().filter(|(place, _)| is(place, "md")) {
        for link in links(text) {
            if !resolves(place, &link, &all) {
                offenders.push(format!("{place}: {link}"));
            }
        }
    }
    none(
        &offenders,
        "a link leads to a file and a heading that exist",
    );
}

/// Targets of `[…](target)` outside code, without those to other sites.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        let parts: Vec<&str> = if is_code {
            Vec::new()
        } else {
            line.split("](").skip(1).collect()
        };
        for part in parts {
            let target = part.split([')', ' ']).next().unwrap_or_default();
            if !target.contains("://") && !target.starts_with("mailto:") {
                found.push(target.to_owned());
            }
        }
    }
    found
}

fn resolves(place: &str, link: &str, all: &[(String, String)]) -> bool {
    let (file, heading) = link
        .split_once('#')
        .map_or((link, None), |(file, heading)| (file, Some(heading)));
    let here = root().join(place);
    let target = if file.is_empty() {
        here
    } else {
        here.parent().expect("a file stands in a folder").join(file)
    };
    let Ok(target) = fs::canonicalize(target) else {
        return false;
    };
    let Some(heading) = heading else { return true };
    let is_target = |known: &&(String, String)| {
        fs::canonicalize(root().join(&known.0)).is_ok_and(|path| path == target)
    };
    all.iter().find(is_target).is_some_and(|(_, text)| {
        text.lines()
            .filter(|line| line.starts_with('#'))
            .any(|line| anchor(line) == heading)
    })
}

/// A heading as code hosts make it an anchor.
fn anchor(heading: &str) -> String {
    let title = heading.trim_start_matches('#').trim().to_lowercase();
    title
        .chars()
        .filter(|letter| letter.is_alphanumeric() || "-_ ".contains(*letter))
        .map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

#[test]
fn the_readme_promises_what_the_checks_run() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for command in [
        "cargo run --release -- demo",
        "cargo test --workspace --locked",
    ] {
        assert!(
            readme.lines().any(|line| line == command),
            "README.md does not have the line {command}"
        );
    }
    assert!(
        readme.lines().count() <= 120,
        "README.md is longer than a page"
    );
}

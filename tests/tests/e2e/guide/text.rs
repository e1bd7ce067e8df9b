//! The examples of a guide, as they are written in it.
//!
//! Fenced `http` blocks are requests, lines of `sh` blocks commands; in the prose, code that begins
//! with `GET /` is a request and code that begins with `raccordo ` the mention of a command.

use serde_json::Value;

/// How a command of the program begins.
const PROGRAM: &str = "raccordo ";

/// Something that a guide tells its readers to do.
#[derive(Debug)]
pub(super) struct Example {
    /// The line of the guide on which it, or the paragraph around it, begins.
    pub(super) line: usize,
    /// As written, in one line: verb, path and body, or the whole command.
    pub(super) written: String,
    /// The role that may do it, where its chapter says first whose work it tells of: the roles take
    /// turns.
    pub(super) role: Option<String>,
    /// What is to be done.
    pub(super) deed: Deed,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Deed {
    /// A request to the district's node.
    Ask(Asked),
    /// A command, word by word.
    Run(Vec<String>),
    /// A command that is only spoken of; what it needs may be left out.
    Mention(Vec<String>),
}

/// A request.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) verb: String,
    pub(super) path: String,
    /// Its fields besides those that say who asks.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

/// All examples of a guide, in its order.
pub(super) fn examples(guide: &str) -> Vec<Example> {
    let known = roles(guide);
    let mut all = Vec::new();
    let mut line = 1;
    for chapter in guide.split_inclusive("\n## ") {
        let first = all.len();
        in_chapter(chapter, line, &mut all);
        let able = able(chapter, &known);
        if !able.is_empty() {
            for (example, role) in all[first..].iter_mut().zip(able.iter().cycle()) {
                example.role = Some((*role).to_owned());
            }
        }
        line += chapter.matches('\n').count();
    }
    all
}

/// The roles as people and as the node name them: rows such as "| assistente sociale `social_worker` |".
fn roles(guide: &str) -> Vec<(&str, &str)> {
    let rows = guide.lines().filter_map(|line| line.strip_prefix("| "));
    rows.filter_map(|row| {
        let (name, rest) = row.split_once(" `")?;
        let (code, _) = rest.split_once("` |")?;
        let words = |letter: char| letter.is_lowercase() || letter == '_';
        code.chars().all(words).then_some((name, code))
    })
    .collect()
}

/// The roles that the first sentence of a chapter names, if it stands in italics.
fn able<'a>(chapter: &str, known: &[(&str, &'a str)]) -> Vec<&'a str> {
    let text = chapter.lines().skip(1).find(|line| !line.is_empty());
    let text = text.and_then(|line| line.strip_prefix('*'));
    let said = text.filter(|line| !line.starts_with('*')).unwrap_or("");
    let said = said.split(['.', '*']).next().unwrap_or("").to_lowercase();
    let named = known.iter().filter(|(name, _)| said.contains(name));
    named.map(|(_, code)| *code).collect()
}

fn in_chapter(chapter: &str, mut line: usize, all: &mut Vec<Example>) {
    for (number, part) in chapter.split("```").enumerate() {
        if number % 2 == 0 {
            in_prose(part, line, all);
        } else {
            let (language, block) = part.split_once('\n').expect("a block has lines");
            match language {
                "http" => all.push(request(block, line)),
                "sh" => in_shell(block, line, all),
                other => unreachable!("line {line}: blocks are http or sh, not {other:?}"),
            }
        }
        line += part.matches('\n').count();
    }
}

/// All commands of the program in any document, whatever else it tells.
pub(super) fn commands_of_the_program(document: &str) -> Vec<Example> {
    let mut all = Vec::new();
    let mut line = 1;
    for (number, part) in document.split("```").enumerate() {
        if number % 2 == 0 {
            in_prose(part, line, &mut all);
        } else if let Some(block) = part.strip_prefix("sh\n") {
            let ours = joined(block);
            let ours: Vec<&str> = ours
                .lines()
                .filter(|line| line.starts_with(PROGRAM))
                .collect();
            in_shell(&ours.join("\n"), line, &mut all);
        }
        line += part.matches('\n').count();
    }
    all.retain(|example| !matches!(example.deed, Deed::Ask(_)));
    all
}

fn in_prose(prose: &str, mut line: usize, all: &mut Vec<Example>) {
    for (number, span) in prose.split('`').enumerate() {
        if number % 2 == 1 {
            let written = span.replace('\n', " ");
            if written.starts_with("GET /") {
                all.push(request(&written, line));
            } else if written.starts_with(PROGRAM) {
                let deed = Deed::Mention(commands(written.trim_end_matches(" …")).concat());
                all.push(Example {
                    line,
                    written,
                    role: None,
                    deed,
                });
            }
        }
        line += span.matches('\n').count();
    }
}

fn request(block: &str, line: usize) -> Example {
    let (first, body) = block.split_once('\n').unwrap_or((block, ""));
    let (verb, path) = first.split_once(' ').expect("a verb and a path");
    let body = body.trim();
    let kind = match verb {
        "PATCH" => "application/json-patch+json",
        _ => "application/json",
    };
    let mut headers = Vec::new();
    if verb != "GET" {
        let read: Result<Value, _> = serde_json::from_str(body);
        assert!(read.is_ok(), "line {line}: {read:?}");
        headers.push(("content-type".to_owned(), kind.to_owned()));
    }
    Example {
        line,
        written: format!("{first} {body}").trim().to_owned(),
        role: None,
        deed: Deed::Ask(Asked {
            verb: verb.to_owned(),
            path: path.to_owned(),
            headers,
            body: body.to_owned(),
        }),
    }
}

fn in_shell(block: &str, line: usize, all: &mut Vec<Example>) {
    for words in commands(block) {
        let written = words.join(" ");
        let deed = match words[0].as_str() {
            "raccordo" => Deed::Run(words),
            "curl" => Deed::Ask(by_curl(&words)),
            other => unreachable!("line {line}: nobody knows what {other} does"),
        };
        all.push(Example {
            line,
            written,
            role: None,
            deed,
        });
    }
}

/// The request that `curl` makes of its words.
fn by_curl(words: &[String]) -> Asked {
    let mut asked = Asked {
        verb: String::new(),
        path: String::new(),
        headers: Vec::new(),
        body: String::new(),
    };
    let mut rest = words[1..].iter();
    while let Some(word) = rest.next() {
        let mut value = || rest.next().expect("an option has a value").clone();
        match word.as_str() {
            "-H" => {
                let field = value();
                let (name, text) = field.split_once(": ").expect("name and text");
                if name != "Authorization" {
                    asked.headers.push((name.to_owned(), text.to_owned()));
                }
            }
            "-d" => asked.body = value(),
            "-X" => asked.verb = value(),
            address => {
                let (_, from_host) = address.split_once("://").expect("an address");
                let path = from_host.find('/').expect("an address with a path");
                from_host[path..].clone_into(&mut asked.path);
            }
        }
    }
    if asked.verb.is_empty() {
        let verb = if asked.body.is_empty() { "GET" } else { "POST" };
        verb.clone_into(&mut asked.verb);
    }
    asked
}

/// Each command in one line.
fn joined(text: &str) -> String {
    text.replace("\\\n", " ")
}

/// The commands of a shell's text, each in its words; where they read from and write to is left out.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for line in joined(text).lines() {
        let mut words = Vec::new();
        let mut word: Option<String> = None;
        let mut quote = None;
        for letter in line.chars() {
            match (quote, letter) {
                (Some(open), _) if letter == open => quote = None,
                (None, '"' | '\'') => {
                    quote = Some(letter);
                    word.get_or_insert_default();
                }
                (None, ' ') => words.extend(word.take()),
                _ => word.get_or_insert_default().push(letter),
            }
        }
        assert_eq!(quote, None, "an open quote: {line}");
        words.extend(word);
        let elsewhere = |word: &String| word.starts_with(['|', '<', '>', '#']);
        words.truncate(words.iter().position(elsewhere).unwrap_or(words.len()));
        if !words.is_empty() {
            all.push(words);
        }
    }
    all
}

#[test]
fn commands_and_requests_are_read_as_a_reader_would() {
    let guide = "Si legge in `GET /api/v1/audit`, oppure\n\n```sh\nraccordo erase P-1 --reason \"su richiesta\" \\\n  --json\n\
        curl -H 'Authorization: Bearer $TOKEN' -H 'X: y' -d '{\"a\":\"b c\"}' \\\n  http://h:1/api/v1/contacts\n```\n\
        ```http\nPATCH /x\n\n[]\n```\n";
    let read = examples(guide);
    let Deed::Run(words) = &read[1].deed else {
        unreachable!("{read:?}")
    };
    assert_eq!(
        words[..],
        [
            "raccordo",
            "erase",
            "P-1",
            "--reason",
            "su richiesta",
            "--json"
        ]
    );
    let asked: Vec<_> = read
        .iter()
        .filter_map(|example| match &example.deed {
            Deed::Ask(asked) => Some((asked.verb.as_str(), asked.path.as_str(), &*asked.body)),
            _ => None,
        })
        .collect();
    assert_eq!(
        asked,
        [
            ("GET", "/api/v1/audit", ""),
            ("POST", "/api/v1/contacts", "{\"a\":\"b c\"}"),
            ("PATCH", "/x", "[]")
        ]
    );
    assert_eq!((read[1].line, read[3].line), (3, 9));
}

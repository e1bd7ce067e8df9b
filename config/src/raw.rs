//! The TOML as written: sections and keys with their lines, every oddity collected.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::keys::{KEYS, SECTIONS, nearest, of_section};

/// Something wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line in the file, from 1; where a key is missing, that of its section, or 1.
    pub line: u32,
    /// `section.key`; empty where the text is no TOML.
    pub key: String,
    /// What is wrong and what to do, one sentence without its period.
    pub reason: String,
}

/// A parsed file, read key by key; problems pile up.
pub(crate) struct Raw<'a> {
    text: &'a str,
    root: DeTable<'a>,
    /// Whether the text is TOML from end to end; else absence of a key means nothing.
    complete: bool,
    problems: Vec<Problem>,
}

impl<'a> Raw<'a> {
    /// Parses what can be parsed and notes errors of syntax and unknown keys.
    pub(crate) fn parse(text: &'a str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut raw = Self {
            text,
            root: root.into_inner(),
            complete: errors.is_empty(),
            problems: Vec::new(),
        };
        for error in errors {
            let start = error.span().map_or(0, |span| span.start);
            let reason = format!("not TOML: {}", error.message().replace('\n', ", "));
            raw.add_at(start, String::new(), reason);
        }
        raw.note_unknown();
        raw
    }

    /// The value of a key as `parse` makes it; `None` if it is absent or refused.
    pub(crate) fn read<T>(
        &mut self,
        section: &'static str,
        name: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.value(section, name)?;
        let start = value.span().start;
        match parse(value.get_ref()) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.add_at(start, format!("{section}.{name}"), reason);
                None
            }
        }
    }

    /// As [`Self::read`]; an absent key is a problem, `remedy` says what to write.
    pub(crate) fn require<T>(
        &mut self,
        section: &'static str,
        name: &'static str,
        remedy: &str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<T> {
        if self.value(section, name).is_none() && self.complete {
            let reason = format!("missing: write {remedy}");
            self.add(section, name, reason);
            return None;
        }
        self.read(section, name, parse)
    }

    /// Notes a problem with a key, at its line, else at its section's.
    pub(crate) fn add(&mut self, section: &'static str, name: &'static str, reason: String) {
        let of_section = self.root.get_key_value(section);
        let start = self
            .value(section, name)
            .map(|value| value.span().start)
            .or_else(|| of_section.map(|(key, _)| key.span().start))
            .unwrap_or(0);
        self.add_at(start, format!("{section}.{name}"), reason);
    }

    /// All problems, but those that only follow from an error of syntax on the same line.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        let broken: Vec<u32> = self
            .problems
            .iter()
            .filter(|problem| problem.key.is_empty())
            .map(|problem| problem.line)
            .collect();
        let mut problems = self.problems;
        problems.retain(|problem| problem.key.is_empty() || !broken.contains(&problem.line));
        problems
    }

    /// Whether any problem was noted so far.
    pub(crate) fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    /// Whether the key is written, well or badly.
    pub(crate) fn has(&self, section: &'static str, name: &'static str) -> bool {
        self.value(section, name).is_some()
    }

    fn value(&self, section: &str, name: &str) -> Option<&Spanned<DeValue<'a>>> {
        self.root.get(section)?.get_ref().as_table()?.get(name)
    }

    fn note_unknown(&mut self) {
        let mut unknown = Vec::new();
        for (section, value) in &self.root {
            let name: &str = section.get_ref();
            let start = section.span().start;
            if !SECTIONS.iter().any(|(known, _)| *known == name) {
                let is_section = value.get_ref().is_table();
                unknown.push((start, name.to_owned(), unknown_at_top(name, is_section)));
                continue;
            }
            let Some(table) = value.get_ref().as_table() else {
                let reason =
                    format!("a section is needed here: write [{name}] on a line of its own");
                unknown.push((start, name.to_owned(), reason));
                continue;
            };
            for key in table.keys() {
                let word: &str = key.get_ref();
                if !of_section(name).any(|known| known.name == word) {
                    let reason = unknown_in_section(name, word);
                    unknown.push((key.span().start, format!("{name}.{word}"), reason));
                }
            }
        }
        for (start, key, reason) in unknown {
            self.add_at(start, key, reason);
        }
    }

    fn add_at(&mut self, start: usize, key: String, reason: String) {
        let before = self.text.as_bytes().iter().take(start);
        let line = 1 + before.filter(|byte| **byte == b'\n').count();
        self.problems.push(Problem {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            key,
            reason,
        });
    }
}

fn unknown_at_top(word: &str, is_section: bool) -> String {
    if let Some(key) = KEYS.iter().find(|key| key.name == word && !is_section) {
        return format!("unknown outside a section; move it under [{}]", key.section);
    }
    let thing = if is_section { "section" } else { "key" };
    match nearest(word, SECTIONS.iter().map(|(section, _)| *section)) {
        Some(section) => format!("unknown {thing}; did you mean [{section}]?"),
        None => {
            let known: Vec<&str> = SECTIONS.iter().map(|(section, _)| *section).collect();
            format!("unknown {thing}; known sections are {}", known.join(", "))
        }
    }
}

fn unknown_in_section(section: &str, word: &str) -> String {
    if let Some(key) = KEYS.iter().find(|key| key.name == word) {
        return format!("unknown here; move it under [{}]", key.section);
    }
    match nearest(word, of_section(section).map(|key| key.name)) {
        Some(near) => format!("unknown key; did you mean `{near}`?"),
        None => {
            let known: Vec<&str> = of_section(section).map(|key| key.name).collect();
            format!("unknown key; [{section}] knows {}", known.join(", "))
        }
    }
}

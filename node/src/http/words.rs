//! The words on the pages, in Italian or English, from the Fluent catalogues in `locales/`.
//!
//! Italian unless the address, the cookie or the browser asks for English. A word that has no
//! entry shows as its key; tests below keep that from happening.

use std::sync::OnceLock;

use axum::http::{HeaderMap, header};
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use raccordo_crdt_model::UnixMillis;

use crate::http::guard;
use crate::http::moment::{self, Span};

/// Cookie that remembers the choice.
pub(crate) const LANGUAGE_COOKIE: &str = "raccordo_lang";

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// Italian, the first language.
    Italian,
    /// English.
    English,
}

impl Language {
    /// The tag used in addresses, cookies and `<html lang>`.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::Italian => "it",
            Self::English => "en",
        }
    }

    /// Reads a tag such as `it`, `en` or `en-GB`.
    pub(crate) fn from_tag(tag: &str) -> Option<Self> {
        match tag.split('-').next().unwrap_or_default() {
            "it" => Some(Self::Italian),
            "en" => Some(Self::English),
            _ => None,
        }
    }

    /// The language for a request: address, else cookie, else browser, else Italian.
    pub(crate) fn of(asked: Option<&str>, headers: &HeaderMap) -> Self {
        asked
            .and_then(Self::from_tag)
            .or_else(|| guard::cookie(headers, LANGUAGE_COOKIE).and_then(Self::from_tag))
            .or_else(|| Self::asked(headers))
            .unwrap_or(Self::Italian)
    }

    /// The first language that the client says to accept and that is known here.
    pub(crate) fn asked(headers: &HeaderMap) -> Option<Self> {
        let accepted = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
        accepted
            .split(',')
            .filter_map(|part| part.split(';').next())
            .find_map(|tag| Self::from_tag(tag.trim()))
    }
}

/// Speaks one language.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words {
    /// Which one.
    pub(crate) language: Language,
}

impl Words {
    /// The words of a language.
    pub(crate) fn new(language: Language) -> Self {
        Self { language }
    }

    /// A fixed phrase.
    pub(crate) fn say(self, key: &str) -> String {
        self.lookup(key, None).unwrap_or_else(|| key.to_owned())
    }

    /// A phrase about a number: `$n` decides the plural, `$shown` is the number as read.
    pub(crate) fn count(self, key: &str, number: u64) -> String {
        let mut arguments = FluentArgs::new();
        arguments.set("n", number);
        arguments.set("shown", self.number(number));
        self.lookup(key, Some(&arguments))
            .unwrap_or_else(|| key.to_owned())
    }

    /// A phrase with names filled in.
    pub(crate) fn with(self, key: &str, filled: &[(&'static str, &str)]) -> String {
        let mut arguments = FluentArgs::new();
        for (name, value) in filled {
            arguments.set(*name, FluentValue::from(*value));
        }
        self.lookup(key, Some(&arguments))
            .unwrap_or_else(|| key.to_owned())
    }

    /// A phrase with values filled in; none where the catalogue has none, or asks for more.
    pub(crate) fn filled(self, key: &str, filled: &[(&str, String)]) -> Option<String> {
        let mut arguments = FluentArgs::new();
        for (name, value) in filled {
            arguments.set(*name, FluentValue::from(value.as_str()));
        }
        let bundle = bundle(self.language);
        let pattern = bundle.get_message(key)?.value()?;
        let mut problems = Vec::new();
        let said = bundle.format_pattern(pattern, Some(&arguments), &mut problems);
        problems.is_empty().then(|| said.into_owned())
    }

    /// The label of a code, or the code itself where the catalogue has none: lists are data.
    pub(crate) fn code(self, family: &str, code: &str) -> String {
        self.known(&format!("{family}-{code}"))
            .unwrap_or_else(|| code.to_owned())
    }

    /// The phrase, if the catalogue has it.
    pub(crate) fn known(self, key: &str) -> Option<String> {
        self.lookup(key, None)
    }

    /// A whole number with the language's separator of thousands.
    pub(crate) fn number(self, number: u64) -> String {
        let separator = match self.language {
            Language::Italian => '.',
            Language::English => ',',
        };
        let digits = number.to_string();
        let mut out = String::with_capacity(digits.len() + digits.len() / 3);
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                out.push(separator);
            }
            out.push(digit);
        }
        out
    }

    /// How long ago, in words: `3 giorni`.
    pub(crate) fn span(self, from: UnixMillis, to: UnixMillis) -> String {
        let count = |key, number: i64| self.count(key, u64::try_from(number).unwrap_or_default());
        match moment::span(from, to) {
            Span::Moments => self.say("span-moments"),
            Span::Minutes(number) => count("span-minutes", number),
            Span::Hours(number) => count("span-hours", number),
            Span::Days(number) => count("span-days", number),
        }
    }

    fn lookup(self, key: &str, arguments: Option<&FluentArgs<'_>>) -> Option<String> {
        let bundle = bundle(self.language);
        let pattern = bundle.get_message(key)?.value()?;
        let mut problems = Vec::new();
        Some(
            bundle
                .format_pattern(pattern, arguments, &mut problems)
                .into_owned(),
        )
    }
}

type Bundle = FluentBundle<FluentResource>;

fn bundle(language: Language) -> &'static Bundle {
    static ITALIAN: OnceLock<Bundle> = OnceLock::new();
    static ENGLISH: OnceLock<Bundle> = OnceLock::new();
    match language {
        Language::Italian => {
            ITALIAN.get_or_init(|| parsed("it", include_str!("../../locales/it.ftl")))
        }
        Language::English => {
            ENGLISH.get_or_init(|| parsed("en", include_str!("../../locales/en.ftl")))
        }
    }
}

fn parsed(tag: &str, source: &str) -> Bundle {
    // A catalogue with a fault still gives its other words; the tests refuse it.
    let resource =
        FluentResource::try_new(source.to_owned()).unwrap_or_else(|(resource, _)| resource);
    let tag = tag.parse().expect("both tags are well formed");
    let mut bundle = FluentBundle::new_concurrent(vec![tag]);
    // Direction marks around values would end up in search, copies and tests.
    bundle.set_use_isolating(false);
    bundle.add_resource_overriding(resource);
    bundle
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    fn keys(source: &str) -> BTreeSet<String> {
        source
            .lines()
            .filter(|line| line.starts_with(|first: char| first.is_ascii_alphabetic()))
            .filter_map(|line| line.split_once('='))
            .map(|(key, _)| key.trim().to_owned())
            .collect()
    }

    fn files(under: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(under).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, out);
            } else {
                out.push(path);
            }
        }
    }

    fn used() -> BTreeSet<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut all = Vec::new();
        files(&root.join("templates"), &mut all);
        files(&root.join("src/http"), &mut all);
        let mut used = BTreeSet::new();
        for path in all {
            let text = fs::read_to_string(&path).unwrap();
            for opening in [".say(\"", ".count(\"", ".with(\"", "count(\"", "counted(\""] {
                for rest in text.split(opening).skip(1) {
                    let key = rest.split('"').next().unwrap();
                    if key.starts_with(|first: char| first.is_ascii_lowercase())
                        && !key.contains('{')
                    {
                        used.insert(key.to_owned());
                    }
                }
            }
        }
        used
    }

    /// The sentences about what was refused: of each rule its plain one, and each that the code names.
    fn problems() -> BTreeSet<String> {
        use crate::access::{Place, Reason, Section};
        let plain = [
            "bad_fiscal_code-length",
            "bad_fiscal_code-character",
            "bad_fiscal_code-birth",
            "bad_fiscal_code-check",
            "fiscal_code_in_use",
            "state_cannot_follow-nothing",
            "state_cannot_follow-first",
            "referral_state-nothing",
            "referral_state-first",
            "referral_state-taken",
            "referral_state-ended",
            "voucher_state-nothing",
            "voucher_state-taken",
            "voucher_state-ended",
            "instrument_state-nothing",
            "instrument_state-taken",
            "instrument_state-ended",
            "plan_state-nothing",
            "plan_state-taken",
            "plan_state-ended",
            "activated_without_signatures-body",
            "activated_without_signatures-empty",
            "decision_unknown_option-none",
            "voucher_not_spent-partly",
            "dates_out_of_order-before_opening",
            "instrument_too_long-laboratory",
            "locked_by_transfer-given",
            "locked_by_transfer-erase",
            "locked_by_transfer-import",
            "transfer_by_command-links",
            "transfer_not_open-expired",
            "transfer_not_open-already",
            "transfer_not_open-unconfirmed",
            "transfer_other_person-nobody",
            "not_allowed-kind",
            "not_allowed-this",
            "not_allowed-section",
            "not_allowed-place",
            "not_allowed-address",
        ];
        let codes = raccordo_crdt_model::field_rules::CODES.iter().chain(&plain);
        let mut all: BTreeSet<String> = codes.map(|code| format!("problem-{code}")).collect();
        all.extend(Place::ALL.map(|place| format!("place-{}", place.word())));
        all.extend(Section::ALL.map(|section| format!("part-{}", section.word())));
        let reasons = [
            Reason::Role,
            Reason::Territory,
            Reason::Body,
            Reason::Protected,
            Reason::Restricted,
            Reason::Author,
            Reason::Voice,
            Reason::Scope,
        ];
        all.extend(reasons.map(|reason| format!("reason-{}", reason.word())));
        all
    }

    #[test]
    fn both_catalogues_parse_and_have_the_same_keys() {
        let (italian, english) = (
            include_str!("../../locales/it.ftl"),
            include_str!("../../locales/en.ftl"),
        );
        for source in [italian, english] {
            assert!(
                FluentResource::try_new(source.to_owned()).is_ok(),
                "a catalogue does not parse"
            );
        }
        assert_eq!(keys(italian), keys(english));
    }

    #[test]
    fn every_key_used_in_templates_and_code_exists() {
        let known = keys(include_str!("../../locales/it.ftl"));
        let missing: Vec<_> = used()
            .into_iter()
            .filter(|key| !known.contains(key))
            .collect();
        assert!(used().len() > 40, "the search finds the uses");
        assert_eq!(missing, Vec::<String>::new());
    }

    #[test]
    fn kinds_states_and_broken_rules_have_words_in_both_languages() {
        use raccordo_crdt_model::schema::{Node, Rule};
        use raccordo_crdt_model::{Kind, field_rules};
        let mut wanted: BTreeSet<String> = BTreeSet::new();
        for kind in Kind::all() {
            wanted.insert(format!("record-{}", kind.singular()));
            for told in kind.told() {
                if let ("state", Node::Leaf(Rule::Closed(states))) =
                    (told.field.name, told.field.node)
                {
                    wanted.extend(states.iter().map(|state| format!("state-{state}")));
                }
            }
        }
        for code in field_rules::CODES.iter().chain(&["bad_fiscal_code"]) {
            wanted.insert(format!("rule-{code}"));
            wanted.insert(format!("refusal-{code}"));
            wanted.insert(format!("flag-{code}"));
        }
        wanted.extend(problems());
        let known = keys(include_str!("../../locales/it.ftl"));
        let missing: Vec<_> = wanted.difference(&known).collect();
        assert_eq!(missing, Vec::<&String>::new());
    }

    #[test]
    fn every_field_of_a_project_has_a_word() {
        use raccordo_crdt_model::Kind;
        let known = keys(include_str!("../../locales/it.ftl"));
        let unnamed = |path: &String| {
            let mut names: Vec<&str> = path.split('/').filter(|name| *name != "*").collect();
            let name = names.pop().unwrap_or_default();
            let within = names.pop().unwrap_or_default();
            !known.contains(&format!("field-{name}"))
                && !known.contains(&format!("field-{within}-{name}"))
        };
        let paths = Kind::Project.told().into_iter().map(|told| told.path);
        let unnamed: Vec<String> = paths.filter(unnamed).collect();
        assert_eq!(unnamed, Vec::<String>::new());
    }

    #[test]
    fn every_phrase_is_filled_without_fault_in_both_languages() {
        for language in [Language::Italian, Language::English] {
            let mut arguments = FluentArgs::new();
            arguments.set("n", 3);
            for name in [
                "shown",
                "who",
                "when",
                "name",
                "territory",
                "current",
                "all",
                "span",
                "text",
                "to",
                "from",
                "allowed",
                "state",
                "field",
                "now",
                "sum",
                "worth",
                "of",
                "on",
                "until",
                "missing",
                "plan",
                "body",
                "months",
                "least",
                "most",
                "instead",
                "length",
                "seen",
                "place",
                "expected",
                "second",
                "later",
                "first",
                "earlier",
                "opened",
                "roles",
                "verb",
                "kind",
                "section",
                "root",
                "why",
                "address",
                "pointer",
                "nodes",
                "person",
                "ref",
                "option",
                "signer",
            ] {
                arguments.set(name, "x");
            }
            for key in keys(include_str!("../../locales/it.ftl")) {
                let bundle = bundle(language);
                let mut problems = Vec::new();
                let pattern = bundle.get_message(&key).unwrap().value().unwrap();
                let said = bundle.format_pattern(pattern, Some(&arguments), &mut problems);
                assert!(problems.is_empty(), "{key}: {said} {problems:?}");
            }
        }
    }

    #[test]
    fn the_language_is_the_address_then_the_cookie_then_the_browser_then_italian() {
        let mut headers = HeaderMap::new();
        assert_eq!(Language::of(None, &headers), Language::Italian);
        headers.insert(
            header::ACCEPT_LANGUAGE,
            "de-DE,en-GB;q=0.8,it;q=0.5".parse().unwrap(),
        );
        assert_eq!(Language::of(None, &headers), Language::English);
        headers.insert(header::COOKIE, "raccordo_lang=it".parse().unwrap());
        assert_eq!(Language::of(None, &headers), Language::Italian);
        assert_eq!(Language::of(Some("en"), &headers), Language::English);
        assert_eq!(Language::of(Some("<script>"), &headers), Language::Italian);
    }

    #[test]
    fn numbers_and_plurals_follow_the_language() {
        let italian = Words::new(Language::Italian);
        assert_eq!(italian.number(1_234_567), "1.234.567");
        assert_eq!(italian.number(12), "12");
        assert_eq!(Words::new(Language::English).number(1_000), "1,000");
        assert_eq!(italian.count("span-days", 3), "3 giorni");
        assert_eq!(italian.count("span-hours", 1), "1 ora");
        assert_eq!(italian.code("state", "unheard_of"), "unheard_of");
    }
}

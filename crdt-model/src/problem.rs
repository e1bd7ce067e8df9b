//! What is wrong with an input, in words for a person and codes for a program.
//!
//! Guarantees: a rejected command changed nothing, and invalid input is reported whole.

/// One thing wrong with an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// JSON pointer to the value, in the record (or in the patch or line, if it could not be read).
    pub pointer: String,
    /// Stable name of the rule that was broken.
    pub code: &'static str,
    /// One English sentence: what was seen, what is allowed.
    pub detail: String,
    /// The same for a catalogue of another language; what it does not name is said by the code.
    pub said: Said,
}

/// A sentence of a catalogue, to be filled in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// Which of several sentences of one code; empty for its only one.
    pub variant: &'static str,
    /// What the sentence is filled with, by name.
    pub filled: Vec<(&'static str, Filled)>,
}

/// A value in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filled {
    /// As it is.
    Text(String),
    /// Codes of a family that the catalogue has labels for, such as `state`.
    Codes(&'static str, Vec<String>),
}

impl Problem {
    /// States a problem at `pointer`.
    pub fn new(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            code,
            detail: detail.into(),
            said: Said::default(),
        }
    }

    /// With the sentence of the catalogue that says the same.
    #[must_use]
    pub fn said(mut self, variant: &'static str, filled: &[(&'static str, Filled)]) -> Self {
        self.said = Said {
            variant,
            filled: filled.to_vec(),
        };
        self
    }
}

impl Filled {
    /// A value as it is.
    pub fn text(value: impl std::fmt::Display) -> Self {
        Self::Text(value.to_string())
    }

    /// Codes with labels.
    pub fn codes(family: &'static str, codes: &[&str]) -> Self {
        let codes = codes.iter().map(|code| (*code).to_owned());
        Self::Codes(family, codes.collect())
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pointer = if self.pointer.is_empty() {
            "the whole"
        } else {
            &self.pointer
        };
        write!(out, "{pointer}: {} ({})", self.detail, self.code)
    }
}

/// Why a command was not carried out; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Values that no record may hold; all of them at once.
    #[error("{} invalid values, the first is {}", .0.len(), first(.0))]
    Invalid(Vec<Problem>),
    /// A rule of the field that this edit would break.
    #[error("a rule of the field is broken at {0}")]
    Rule(Problem),
    /// A `test` of the patch does not hold.
    #[error("the value tested at {pointer} is another one")]
    TestFailed {
        /// JSON pointer of the tested value.
        pointer: String,
    },
    /// The version that the edit was made on is not known here.
    #[error("the version that the edit was made on is not known here")]
    UnknownVersion,
}

fn first(problems: &[Problem]) -> String {
    problems
        .first()
        .map_or_else(String::new, Problem::to_string)
}

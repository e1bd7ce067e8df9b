//! Territories: paths such as `frosinone` and `frosinone/a`.

use std::fmt;

/// Most parts of a path.
const PARTS_MAX: usize = 6;
/// Most characters of a part.
const PART_CHARS_MAX: usize = 32;

/// A territory's path: 1 to 6 parts of 1 to 32 of `a-z 0-9 -`, joined by `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Territory(String);

/// Why a text is no territory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTerritory {
    /// Too many parts.
    #[error("territory of {parts} parts, 1 to {PARTS_MAX} joined by `/` are allowed")]
    Parts {
        /// Parts seen.
        parts: usize,
    },
    /// A part that is empty, too long or has other characters.
    #[error(
        "territory part {part:?}: 1 to {PART_CHARS_MAX} of a-z, 0-9 and - are allowed, for example frosinone/a"
    )]
    Part {
        /// The part seen.
        part: String,
    },
}

impl Territory {
    /// Reads a path.
    pub fn parse(text: &str) -> Result<Self, BadTerritory> {
        let parts = text.split('/').count();
        if parts > PARTS_MAX {
            return Err(BadTerritory::Parts { parts });
        }
        match text.split('/').find(|part| !is_part(part)) {
            Some(part) => Err(BadTerritory::Part {
                part: part.chars().take(PART_CHARS_MAX + 1).collect(),
            }),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The territory that this one is a part of.
    pub fn parent(&self) -> Option<Self> {
        let (parent, _) = self.0.rsplit_once('/')?;
        Some(Self(parent.to_owned()))
    }

    /// Whether this is `other` or lies within it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0
            .strip_prefix(&other.0)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for Territory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn is_part(part: &str) -> bool {
    (1..=PART_CHARS_MAX).contains(&part.len())
        && part
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_lower_case_parts_are_territories() {
        let longest = "a".repeat(32);
        for text in [
            "frosinone",
            "frosinone/a",
            "lazio/frosinone/c-2",
            "a/b/c/d/e/f",
            &longest,
        ] {
            assert_eq!(Territory::parse(text).unwrap().as_str(), text);
        }
        let too_long = "a".repeat(33);
        for text in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "A",
            "a b",
            "a_b",
            "è",
            "a/b/c/d/e/f/g",
            "../a",
            &too_long,
        ] {
            assert!(Territory::parse(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn parents_and_containment_follow_whole_parts() {
        let parse = |text| Territory::parse(text).unwrap();
        assert_eq!(parse("lazio/fr/a").parent(), Some(parse("lazio/fr")));
        assert_eq!(parse("lazio").parent(), None);
        assert!(parse("lazio/fr").is_within(&parse("lazio")));
        assert!(parse("lazio").is_within(&parse("lazio")));
        assert!(!parse("lazio").is_within(&parse("lazio/fr")));
        assert!(!parse("laziole").is_within(&parse("lazio")));
    }
}

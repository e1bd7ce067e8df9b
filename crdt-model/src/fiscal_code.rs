//! The Italian fiscal code of a person: its form and its check character.
//!
//! Source: decree of the Minister of Finance of 23 December 1976, with the letters that stand for
//! digits where two persons would have the same code (omocodia). Does not know registers: a code
//! that is well formed need not have been given to anybody.

use crate::problem::Filled;

/// What is wrong with a fiscal code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFiscalCode {
    /// Not 16 characters.
    #[error("{length} characters, a fiscal code has 16")]
    Length {
        /// Characters seen.
        length: usize,
    },
    /// A character that cannot stand at its place.
    #[error("the character {seen:?} at place {place}, where {allowed} is allowed")]
    Character {
        /// Place from 1.
        place: usize,
        /// The character.
        seen: char,
        /// What may stand there.
        allowed: &'static str,
    },
    /// No such day or month.
    #[error("the birth day and month {seen} are none")]
    Birth {
        /// The letter of the month and the day.
        seen: String,
    },
    /// The last character does not fit the others.
    #[error("the check character is {seen}, of the other fifteen it would be {expected}")]
    Check {
        /// The one written.
        seen: char,
        /// The one that fits.
        expected: char,
    },
}

impl BadFiscalCode {
    /// Which sentence of a catalogue says it, and with what.
    pub(crate) fn said(&self) -> (&'static str, Vec<(&'static str, Filled)>) {
        match self {
            Self::Length { length } => ("length", vec![("length", Filled::text(length))]),
            Self::Character { place, seen, .. } => {
                let filled = vec![("seen", Filled::text(seen)), ("place", Filled::text(place))];
                ("character", filled)
            }
            Self::Birth { seen } => ("birth", vec![("seen", Filled::text(seen))]),
            Self::Check { seen, expected } => {
                let filled = vec![
                    ("seen", Filled::text(seen)),
                    ("expected", Filled::text(expected)),
                ];
                ("check", filled)
            }
        }
    }
}

/// Places of the digits, from 0: where a letter may stand for one.
const DIGITS: [usize; 7] = [6, 7, 9, 10, 12, 13, 14];
/// The letters that stand for 0 to 9.
const OMOCODIA: &[u8; 10] = b"LMNPQRSTUV";
/// The letters of the months, from January.
const MONTHS: &[u8; 12] = b"ABCDEHLMPRST";
/// Values at odd places of `0`…`9`, which are also those of `A`…`J`, and of `K`…`Z`.
const ODD: [u32; 26] = [
    1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
];

/// Checks form, birth date and check character; upper case only.
pub fn check(code: &str) -> Result<(), BadFiscalCode> {
    let plain = without_omocodia(code)?;
    birth(&plain)?;
    let bytes = code.as_bytes();
    let (expected, seen) = (char::from(check_character(bytes)), char::from(bytes[15]));
    if seen == expected {
        Ok(())
    } else {
        Err(BadFiscalCode::Check { seen, expected })
    }
}

/// The code with digits where letters stood for them, and the check character that then fits: the
/// same for every variant of one person's code.
pub fn normal(code: &str) -> Result<String, BadFiscalCode> {
    check(code)?;
    let mut plain = without_omocodia(code)?;
    plain[15] = check_character(&plain);
    Ok(plain.into_iter().map(char::from).collect())
}

/// The first well-formed code that stands in a text by itself, whatever its case.
pub fn found_in(text: &str) -> Option<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
    let upper = words
        .filter(|word| word.len() == 16)
        .map(str::to_ascii_uppercase);
    upper.into_iter().find(|word| check(word).is_ok())
}

fn without_omocodia(code: &str) -> Result<[u8; 16], BadFiscalCode> {
    let length = code.chars().count();
    if length != 16 {
        return Err(BadFiscalCode::Length { length });
    }
    let mut plain = [0; 16];
    for (place, seen) in code.chars().enumerate() {
        let byte = u8::try_from(seen).ok();
        let bad = |allowed| BadFiscalCode::Character {
            place: place + 1,
            seen,
            allowed,
        };
        plain[place] = if DIGITS.contains(&place) {
            let digit = byte.and_then(digit);
            digit.ok_or_else(|| bad("a digit or one of the letters LMNPQRSTUV"))?
        } else {
            let letter = byte.filter(u8::is_ascii_uppercase);
            letter.ok_or_else(|| bad("an upper-case letter"))?
        };
    }
    Ok(plain)
}

fn digit(byte: u8) -> Option<u8> {
    if byte.is_ascii_digit() {
        return Some(byte);
    }
    let value = OMOCODIA.iter().position(|letter| *letter == byte)?;
    u8::try_from(value).ok().map(|value| b'0' + value)
}

fn birth(plain: &[u8; 16]) -> Result<(), BadFiscalCode> {
    let number = (plain[9] - b'0') * 10 + (plain[10] - b'0');
    // Forty is added to a woman's day.
    let day = if number > 40 { number - 40 } else { number };
    let days = match MONTHS.iter().position(|letter| *letter == plain[8]) {
        Some(1) => 29,
        Some(3 | 5 | 8 | 10) => 30,
        Some(_) => 31,
        None => 0,
    };
    if (1..=days).contains(&day) {
        return Ok(());
    }
    let seen = plain[8..11].iter().copied().map(char::from).collect();
    Err(BadFiscalCode::Birth { seen })
}

/// The check character of the first fifteen, which are letters and digits.
fn check_character(bytes: &[u8]) -> u8 {
    let value = |byte: u8| {
        if byte.is_ascii_digit() {
            byte - b'0'
        } else {
            byte - b'A'
        }
    };
    let mut sum = 0;
    for (place, byte) in bytes.iter().take(15).enumerate() {
        let value = value(*byte);
        sum += if place % 2 == 0 {
            ODD[usize::from(value)]
        } else {
            u32::from(value)
        };
    }
    b'A' + u8::try_from(sum % 26).expect("below 26")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_codes_and_their_variants_are_right() {
        for code in ["RSSMRA85T10A562S", "MRTMTT91D08F205J", "RSSMRA85M01H501Q"] {
            assert_eq!(check(code), Ok(()), "{code}");
            assert_eq!(normal(code).as_deref(), Ok(code));
        }
        // The same person with the last digit as a letter has another check character.
        let variant = "RSSMRA85T10A56NH";
        assert_eq!(check(variant), Ok(()));
        assert_eq!(normal(variant).as_deref(), Ok("RSSMRA85T10A562S"));
    }

    #[test]
    fn a_code_is_found_within_a_text_and_what_looks_like_one_is_not() {
        let found = |text| found_in(text).is_some();
        assert!(found("la signora (rssmra85t10a562s), vista oggi"));
        assert!(!found("RSSMRA85T10A562T"));
        assert!(!found("XRSSMRA85T10A562S"));
    }

    #[test]
    fn what_is_wrong_is_said_with_the_character_that_would_fit() {
        for (code, said) in [
            (
                "RSSMRA85T10A562T",
                "the check character is T, of the other fifteen it would be S",
            ),
            ("RSSMRA85T10A562", "15 characters, a fiscal code has 16"),
            (
                "rSSMRA85T10A562S",
                "the character 'r' at place 1, where an upper-case letter is allowed",
            ),
            (
                "RSSMRA8AT10A562S",
                "the character 'A' at place 8, where a digit or one of the letters LMNPQRSTUV is allowed",
            ),
            ("RSSMRA85Z10A562S", "the birth day and month Z10 are none"),
            ("RSSMRA85B30A562S", "the birth day and month B30 are none"),
            (
                "RSSMRA85T10A56àS",
                "the character 'à' at place 15, where a digit or one of the letters LMNPQRSTUV is allowed",
            ),
        ] {
            assert_eq!(
                check(code).map_err(|bad| bad.to_string()),
                Err(said.to_owned())
            );
        }
    }
}

//! What a change says about itself in Automerge's message: who, from which line, imported or not.

use serde_json::{Map, Value};

use crate::command::Stamp;
use crate::value::LineId;

/// What a change's message says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// The operator.
    pub(crate) by: Option<String>,
    /// The import line.
    pub(crate) line: Option<LineId>,
}

/// Longest operator name kept in a change, in characters.
pub(super) const BY_MAX: usize = 128;

/// The message of a change made with this stamp: compact JSON with sorted keys; none if empty.
pub(super) fn write(stamp: &Stamp) -> Option<String> {
    let mut members = Map::new();
    if let Some(by) = &stamp.by {
        members.insert(
            "by".to_owned(),
            by.chars().take(BY_MAX).collect::<String>().into(),
        );
    }
    if stamp.imported {
        members.insert("imported".to_owned(), true.into());
    }
    if let Some(line) = &stamp.line {
        members.insert("line".to_owned(), base64(line.as_bytes()).into());
    }
    (!members.is_empty()).then(|| Value::Object(members).to_string())
}

/// Reads a message; what a foreign node wrote otherwise says nothing.
pub(crate) fn read(message: Option<&str>) -> Message {
    let Some(Ok(Value::Object(members))) = message.map(serde_json::from_str) else {
        return Message::default();
    };
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    Message {
        by: text("by").map(|by| by.chars().take(BY_MAX).collect()),
        line: text("line").and_then(unbase64).map(LineId::from_bytes),
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Base64 for URLs without padding (RFC 4648, 5) of 32 bytes.
fn base64(bytes: &[u8; 32]) -> String {
    let mut out = String::with_capacity(43);
    for chunk in bytes.chunks(3) {
        let mut group = 0_usize;
        for index in 0..3 {
            group = group << 8 | usize::from(chunk.get(index).copied().unwrap_or(0));
        }
        for index in 0..=chunk.len() {
            out.push(char::from(ALPHABET[group >> (18 - 6 * index) & 63]));
        }
    }
    out
}

fn unbase64(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let mut filled = 0;
    let (mut group, mut bits) = (0_u32, 0);
    for character in text.bytes() {
        let digit = ALPHABET.iter().position(|known| *known == character)?;
        group = group << 6 | u32::try_from(digit).ok()?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            *bytes.get_mut(filled)? = (group >> bits).to_be_bytes()[3];
            filled += 1;
            group &= (1 << bits) - 1;
        }
    }
    (filled == 32 && group == 0).then_some(bytes)
}

#[cfg(test)]
#[allow(
    clippy::needless_raw_string_hashes,
    reason = "the form in which snapshots are updated"
)]
mod tests {
    use super::*;
    use crate::value::UnixMillis;
    use expect_test::expect;

    fn stamp() -> Stamp {
        Stamp {
            origin: [1; 8],
            incarnation: [2; 8],
            at: UnixMillis(0),
            by: None,
            line: None,
            imported: false,
        }
    }

    #[test]
    fn a_message_reads_back_what_was_written() {
        assert_eq!(write(&stamp()), None);
        let line = LineId::of("{}", 7);
        let full = Stamp {
            by: Some("op-\"014".to_owned()),
            line: Some(line),
            imported: true,
            ..stamp()
        };
        let message = write(&full).expect("three things to say");
        expect![[r#"{"by":"op-\"014","imported":true,"line":"uUoQ6xIrTNmlrJgxddYG-f960qxNOGow0uwoZCLsaW4"}"#]].assert_eq(&message);
        let read = read(Some(&message));
        assert_eq!(read.by, full.by);
        assert_eq!(read.line, Some(line));
    }

    #[test]
    fn a_foreign_message_says_nothing_that_it_does_not_say() {
        for text in [
            "",
            "hello",
            "[]",
            "{\"by\":7,\"line\":\"A\"}",
            "{\"line\":\"\u{e9}\"}",
        ] {
            assert_eq!(read(Some(text)), Message::default(), "{text}");
        }
        assert_eq!(read(None), Message::default());
        for last in 0..=255 {
            let mut bytes = [last; 32];
            bytes[31] = !last;
            assert_eq!(unbase64(&base64(&bytes)), Some(bytes));
        }
    }
}

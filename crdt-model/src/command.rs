//! Intents as plain data: who, when, and what is to be done to a record.
//!
//! Knows the syntax of RFC 6902 and RFC 6901. Does not know fields, rules or documents.

use serde_json::Value;

use crate::problem::Problem;
use crate::value::{LineId, UnixMillis};

/// Who gives a command, where and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// First 8 bytes of this node's public key.
    pub origin: [u8; 8],
    /// 8 random bytes of this process start.
    pub incarnation: [u8; 8],
    /// When it happened, as the change will carry it.
    pub at: UnixMillis,
    /// The operator, as the history shows it.
    pub by: Option<String>,
    /// The line of the import file that it comes from.
    pub line: Option<LineId>,
    /// History from a file: rules of passage and order of dates only flag.
    pub imported: bool,
}

/// A JSON pointer, split and unescaped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// Longest pointer accepted, in bytes.
    pub const BYTES_MAX: usize = 4096;

    /// Parses RFC 6901; `None` if it is none, or longer than [`Pointer::BYTES_MAX`].
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(Vec::new()));
        }
        if text.len() > Self::BYTES_MAX {
            return None;
        }
        let tokens = text.strip_prefix('/')?.split('/').map(unescape);
        tokens.collect::<Option<Vec<_>>>().map(Self)
    }

    /// The keys from the root on.
    pub fn tokens(&self) -> &[String] {
        &self.0
    }
}

impl std::fmt::Display for Pointer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for token in &self.0 {
            write!(out, "/{}", escape(token))?;
        }
        Ok(())
    }
}

/// Escapes a key for a JSON pointer.
pub(crate) fn escape(token: &str) -> std::borrow::Cow<'_, str> {
    if token.contains(['~', '/']) {
        token.replace('~', "~0").replace('/', "~1").into()
    } else {
        token.into()
    }
}

fn unescape(token: &str) -> Option<String> {
    let mut out = String::with_capacity(token.len());
    let mut rest = token.chars();
    while let Some(character) = rest.next() {
        match character {
            '~' => match rest.next() {
                Some('0') => out.push('~'),
                Some('1') => out.push('/'),
                _ => return None,
            },
            other => out.push(other),
        }
    }
    Some(out)
}

/// Longest reason of a removal that is kept, in characters.
const REASON_MAX: usize = 400;

/// One operation of a patch.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// Sets a member, or inserts into an array.
    Add(Value),
    /// Sets a member that is there.
    Replace(Value),
    /// Takes away what is there; a sub-entity keeps the reason in its mark of removal.
    Remove {
        /// Why, if the operation carries a text member `reason`.
        reason: Option<String>,
    },
    /// Demands that the value be this one.
    Test(Value),
}

/// A patch by RFC 6902, without `copy` and `move`.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    pub(crate) steps: Vec<(Pointer, Operation)>,
}

impl Patch {
    /// Most operations in one patch.
    pub const STEPS_MAX: usize = 1000;

    /// Reads a patch; on failure all problems, with pointers into the patch.
    pub fn parse(patch: &Value) -> Result<Self, Vec<Problem>> {
        let Value::Array(items) = patch else {
            let detail = "the patch is not an array of operations (RFC 6902)";
            return Err(vec![Problem::new("", "wrong_type", detail)]);
        };
        if items.len() > Self::STEPS_MAX {
            let detail = format!(
                "{} operations, at most {} allowed",
                items.len(),
                Self::STEPS_MAX
            );
            return Err(vec![Problem::new("", "too_large", detail)]);
        }
        let mut steps = Vec::with_capacity(items.len());
        let mut problems = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match step(index, item) {
                Ok(step) => steps.push(step),
                Err(mut found) => problems.append(&mut found),
            }
        }
        if problems.is_empty() {
            Ok(Self { steps })
        } else {
            Err(problems)
        }
    }

    /// Whether it edits a field of the root, or something in it.
    pub fn touches(&self, name: &str) -> bool {
        self.steps.iter().any(|(pointer, operation)| {
            let root = pointer.tokens().first();
            !matches!(operation, Operation::Test(_)) && root.is_none_or(|root| root == name)
        })
    }

    /// The state that it sets, if it sets one; the last of several.
    pub fn state(&self) -> Option<String> {
        self.sets("state")
    }

    /// The office's own number that it sets, if it sets one; the last of several.
    pub fn reference(&self) -> Option<String> {
        self.sets("ref")
    }

    /// The text that it sets a field of the root to.
    fn sets(&self, field: &str) -> Option<String> {
        let set = self.steps.iter().rev().find_map(|(pointer, operation)| {
            let (Operation::Add(value) | Operation::Replace(value)) = operation else {
                return None;
            };
            match pointer.tokens() {
                [] => value.get(field).cloned(),
                [name] if name == field => Some(value.clone()),
                _ => None,
            }
        });
        set.and_then(|value| value.as_str().map(str::to_owned))
    }

    /// The operations in their order.
    pub fn steps(&self) -> &[(Pointer, Operation)] {
        &self.steps
    }
}

fn step(index: usize, item: &Value) -> Result<(Pointer, Operation), Vec<Problem>> {
    let at = |member: &str| format!("/{index}/{member}");
    let Value::Object(members) = item else {
        let detail = "the operation is not an object with op, path and value";
        return Err(vec![Problem::new(
            format!("/{index}"),
            "wrong_type",
            detail,
        )]);
    };
    let mut problems = Vec::new();
    let path = match members.get("path") {
        Some(Value::String(text)) => Pointer::parse(text).or_else(|| {
            let detail = format!("{} is not a JSON pointer (RFC 6901)", quote(text));
            problems.push(Problem::new(at("path"), "not_a_pointer", detail));
            None
        }),
        _ => {
            let detail = "the path is missing or not text";
            problems.push(Problem::new(at("path"), "required", detail));
            None
        }
    };
    let mut value = || {
        let value = members.get("value").cloned();
        if value.is_none() {
            let detail = "the value is missing";
            problems.push(Problem::new(at("value"), "required", detail));
        }
        value
    };
    let operation = match members.get("op").and_then(Value::as_str) {
        Some("add") => value().map(Operation::Add),
        Some("replace") => value().map(Operation::Replace),
        Some("test") => value().map(Operation::Test),
        Some("remove") => Some(Operation::Remove {
            reason: members
                .get("reason")
                .and_then(Value::as_str)
                .map(|reason| reason.chars().take(REASON_MAX).collect()),
        }),
        Some(other) => {
            let detail = format!(
                "the operation {} is not supported, only add, replace, remove and test are",
                quote(other)
            );
            problems.push(Problem::new(at("op"), "operation_not_supported", detail));
            None
        }
        None => {
            let detail = "the operation's name is missing: add, replace, remove or test";
            problems.push(Problem::new(at("op"), "required", detail));
            None
        }
    };
    match (path, operation) {
        (Some(path), Some(operation)) if problems.is_empty() => {
            whole_record(index, &path, &operation)?;
            Ok((path, operation))
        }
        _ => Err(problems),
    }
}

/// A record is edited where it differs, never replaced: only `test` may name the whole.
fn whole_record(index: usize, path: &Pointer, operation: &Operation) -> Result<(), Vec<Problem>> {
    if path.tokens().is_empty() && !matches!(operation, Operation::Test(_)) {
        let detail = "the whole record cannot be replaced or removed, name the fields";
        let pointer = format!("/{index}/path");
        return Err(vec![Problem::new(
            pointer,
            "operation_not_supported",
            detail,
        )]);
    }
    Ok(())
}

/// Quotes a text of the input in a message, shortened to 40 characters.
pub(crate) fn quote(text: &str) -> String {
    if text.chars().count() > 40 {
        let short: String = text.chars().take(39).collect();
        format!("{:?}", short + "…")
    } else {
        format!("{text:?}")
    }
}

#[cfg(test)]
#[allow(
    clippy::needless_raw_string_hashes,
    reason = "the form in which snapshots are updated"
)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use serde_json::json;

    fn check(patch: &Value, expected: &Expect) {
        let shown = match Patch::parse(patch) {
            Ok(patch) => format!("{:?}", patch.steps),
            Err(problems) => {
                let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
                lines.join("\n") + "\n"
            }
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn a_patch_is_read_or_refused_with_all_its_problems() {
        check(
            &json!([{"op":"add","path":"/a~1b/~0","value":1}]),
            &expect![[r#"[(Pointer(["a/b", "~"]), Add(Number(1)))]"#]],
        );
        check(
            &json!([{"op":"copy","from":"/a","path":"/b"}, {"op":"move","path":"b"}, 7,
                    {"path":"/x"}, {"op":"add","path":"/x"}, {"op":"remove","path":""}]),
            &expect![[r#"
                /0/op: the operation "copy" is not supported, only add, replace, remove and test are (operation_not_supported)
                /1/path: "b" is not a JSON pointer (RFC 6901) (not_a_pointer)
                /1/op: the operation "move" is not supported, only add, replace, remove and test are (operation_not_supported)
                /2: the operation is not an object with op, path and value (wrong_type)
                /3/op: the operation's name is missing: add, replace, remove or test (required)
                /4/value: the value is missing (required)
                /5/path: the whole record cannot be replaced or removed, name the fields (operation_not_supported)
            "#]],
        );
        check(
            &json!({"op":"add"}),
            &expect![[r#"
                the whole: the patch is not an array of operations (RFC 6902) (wrong_type)
            "#]],
        );
    }

    #[test]
    fn a_pointer_reads_back_what_it_prints() {
        for text in ["", "/", "/a/b", "/a~1b/~0~0/c d"] {
            assert_eq!(Pointer::parse(text).unwrap().to_string(), text);
        }
        for bad in ["a", "/~", "/~2", "/a~"] {
            assert_eq!(Pointer::parse(bad), None, "{bad}");
        }
    }
}

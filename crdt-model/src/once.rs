//! JSON in which no object says a name twice: what a reader would drop without a word is told.
//!
//! Gives the same value as the plain reader for everything else, at the same cost.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A name that stands twice in one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Twice(pub(crate) String);

/// Reads a JSON text; beside the value, the first name that one of its objects says twice.
pub(crate) fn parse(text: &str) -> Result<(Value, Option<Twice>), serde_json::Error> {
    let twice = RefCell::new(None);
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Once { twice: &twice }.deserialize(&mut reader)?;
    reader.end()?;
    Ok((value, twice.into_inner()))
}

#[derive(Clone, Copy)]
struct Once<'a> {
    twice: &'a RefCell<Option<Twice>>,
}

impl<'de> DeserializeSeed<'de> for Once<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            out.push(item);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if out.contains_key(&name) {
                self.twice.borrow_mut().get_or_insert(Twice(name.clone()));
            }
            let value = members.next_value_seed(self)?;
            out.insert(name, value);
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_stands_twice_is_told_however_deep_and_all_else_reads_as_ever() {
        for text in [
            r#"{"a":1,"b":[-1,18446744073709551615,0.1,1e300,null,true,"è\u0000"],"c":{"a":{}}}"#,
            "[]",
            " 7 ",
        ] {
            let plain: Value = serde_json::from_str(text).unwrap();
            assert_eq!(parse(text).unwrap(), (plain, None), "{text}");
        }
        for text in [r#"{"a":1,"a":1}"#, r#"{"b":[{"c":{"a":1,"x":2,"a":{}}}]}"#] {
            assert_eq!(
                parse(text).unwrap().1,
                Some(Twice("a".to_owned())),
                "{text}"
            );
        }
        let deep = "[".repeat(200) + &"]".repeat(200);
        for bad in ["", "{", "{} {}", "{\"a\"}", deep.as_str()] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}

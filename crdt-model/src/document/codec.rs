//! JSON values and Automerge values: which stands for which.
//!
//! Guarantees: what was read from JSON is shown as the same JSON; amounts are stored as cents.
//! Whatever a foreign change may hold has some JSON form; nothing here fails.

use std::borrow::Cow;

use automerge::{ScalarValue, ScalarValueRef, hydrate};
use serde_json::{Number, Value};

use super::held::{Held, Slot};
use crate::rules::{cents, euro_of};
use crate::schema::{Field, Node, Rule, find};

/// The table's entry for a member of what `node` describes.
pub(crate) fn member(node: Option<&'static Node>, name: &str) -> Option<&'static Field> {
    match node {
        Some(Node::Group(fields)) => find(fields, name),
        _ => None,
    }
}

/// The scalar that stands for a JSON value that is no container.
pub(crate) fn scalar(node: Option<&Node>, value: &Value) -> ScalarValue {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => ScalarValue::Null,
        Value::Bool(truth) => ScalarValue::Boolean(*truth),
        Value::String(text) => ScalarValue::Str(text.as_str().into()),
        Value::Number(_) if matches!(node, Some(Node::Leaf(Rule::Money))) => {
            cents(value).map_or(ScalarValue::Null, ScalarValue::Int)
        }
        Value::Number(number) => {
            if let Some(whole) = number.as_i64() {
                ScalarValue::Int(whole)
            } else if let Some(whole) = number.as_u64() {
                ScalarValue::Uint(whole)
            } else {
                number.as_f64().map_or(ScalarValue::Null, ScalarValue::F64)
            }
        }
    }
}

/// The whole of a JSON value, as a batch creation takes it.
pub(crate) fn stored(node: Option<&'static Node>, value: &Value) -> hydrate::Value {
    match value {
        Value::Object(members) => {
            let mut map = hydrate::Map::default();
            for (name, value) in members {
                let child = match node {
                    Some(Node::Keyed(entity)) => stored_group(entity.fields, value),
                    _ => stored(member(node, name).map(|field| &field.node), value),
                };
                put(&mut map, name, child);
            }
            hydrate::Value::Map(map)
        }
        Value::Array(items) => hydrate::Value::List(
            items
                .iter()
                .map(|item| stored(None, item))
                .collect::<Vec<_>>()
                .into(),
        ),
        leaf => hydrate::Value::Scalar(scalar(node, leaf)),
    }
}

/// An object with these fields, as a batch creation takes it.
pub(crate) fn stored_group(fields: &'static [Field], value: &Value) -> hydrate::Value {
    let Value::Object(members) = value else {
        return stored(None, value);
    };
    let mut map = hydrate::Map::default();
    for (name, value) in members {
        let node = find(fields, name).map(|field| &field.node);
        put(&mut map, name, stored(node, value));
    }
    hydrate::Value::Map(map)
}

/// Sets a key of a map under construction.
pub(crate) fn put(map: &mut hydrate::Map, name: &str, value: hydrate::Value) {
    let value = hydrate::MapValue {
        value,
        conflict: false,
    };
    map.insert(name.to_owned(), value);
}

/// The JSON that shows a scalar.
pub(crate) fn shown(node: Option<&Node>, value: &ScalarValueRef<'_>) -> Value {
    match value {
        ScalarValueRef::Str(text) => Value::String(text.to_string()),
        ScalarValueRef::Int(cents) if matches!(node, Some(Node::Leaf(Rule::Money))) => {
            float(euro_of(*cents))
        }
        ScalarValueRef::Int(whole)
        | ScalarValueRef::Timestamp(whole)
        | ScalarValueRef::Counter(whole) => Value::from(*whole),
        ScalarValueRef::Uint(whole) => Value::from(*whole),
        ScalarValueRef::F64(number) => float(*number),
        ScalarValueRef::Boolean(truth) => Value::Bool(*truth),
        ScalarValueRef::Bytes(bytes) | ScalarValueRef::Unknown { bytes, .. } => {
            Value::String(hexadecimal(bytes))
        }
        ScalarValueRef::Null => Value::Null,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    let pair = |byte: &u8| [digit(byte >> 4), digit(byte & 15)];
    bytes.iter().flat_map(pair).collect()
}

fn float(number: f64) -> Value {
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// The JSON that shows a value without regard to conflicts and marks of removal.
pub(crate) fn plain(node: Option<&'static Node>, value: &Held<'_>) -> Value {
    match value {
        Held::Scalar(value) => shown(node, value),
        Held::Text(text) => Value::String(text.clone()),
        Held::Later(_) => Value::Null,
        Held::List(items) => items.iter().map(|item| plain(None, &item.value)).collect(),
        Held::Map(members) => {
            let show = |(name, slot): &(Cow<'_, str>, Slot<'_>)| {
                let shown = match node {
                    Some(Node::Keyed(entity)) => plain_entity(entity.fields, &slot.value),
                    _ => plain(member(node, name).map(|field| &field.node), &slot.value),
                };
                (name.to_string(), shown)
            };
            Value::Object(members.iter().map(show).collect())
        }
    }
}

/// The JSON that shows an object with these fields.
pub(crate) fn plain_group(fields: &'static [Field], value: &Held<'_>) -> Value {
    let Held::Map(members) = value else {
        return plain(None, value);
    };
    let show = |(name, slot): &(Cow<'_, str>, Slot<'_>)| {
        let node = find(fields, name).map(|field| &field.node);
        (name.to_string(), plain(node, &slot.value))
    };
    Value::Object(members.iter().map(show).collect())
}

/// The JSON that shows a sub-entity, its mark of removal left out.
pub(crate) fn plain_entity(fields: &'static [Field], value: &Held<'_>) -> Value {
    let mut shown = plain_group(fields, value);
    if let Value::Object(members) = &mut shown {
        members.remove(crate::rules::REMOVED);
    }
    shown
}

/// Whether two JSON values are the same, numbers by their value (RFC 6902, 4.6).
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            match (left.as_i64(), right.as_i64(), left.as_u64(), right.as_u64()) {
                (Some(left), Some(right), _, _) => left == right,
                (_, _, Some(left), Some(right)) => left == right,
                _ => left.as_f64() == right.as_f64(),
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(name, value)| right.get(name).is_some_and(|other| same(value, other)))
        }
        (left, right) => left == right,
    }
}

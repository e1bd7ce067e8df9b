//! The columns of a chunk as rows, one for each operation or change: so that a mutation can move,
//! repeat or alter whole rows and all columns still describe the same number of them.

use crate::chunk::{Column, number, put, put_signed, signed, take};

/// Most values that are read of one column.
const VALUES_MAX: usize = 20_000;

/// A value of a row in one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    Number(Option<u64>),
    /// Written as the difference to the row before.
    Sum(Option<i64>),
    Truth(bool),
    Text(Option<Vec<u8>>),
    /// As many bytes as the column of lengths says.
    Bytes(Vec<u8>),
    /// As many values as the column of counts says.
    List(Vec<Self>),
}

/// Rows of fields, and the number of each column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) specs: Vec<u64>,
    pub(crate) rows: Vec<Vec<Field>>,
}

const COUNT: u64 = 0;
const SUM: u64 = 3;
const TRUTH: u64 = 4;
const TEXT: u64 = 5;
const LENGTH: u64 = 6;
const BYTES: u64 = 7;

impl Table {
    /// Reads columns that fit together.
    pub(crate) fn read(columns: &[Column]) -> Option<Self> {
        let mut read: Vec<Vec<Field>> = Vec::new();
        let mut of = Vec::new();
        for (spec, data) in columns {
            let owner = columns.iter().position(|(other, _)| {
                let same = other >> 4 == spec >> 4 && other != spec;
                same && (*other & 7 == COUNT || (*other & 7 == LENGTH && *spec & 7 == BYTES))
            });
            let values = match (spec & 7, owner) {
                (BYTES, Some(owner)) => split(data, read.get(owner)?)?,
                (_, Some(owner)) if owner < read.len() => {
                    grouped(values(*spec, data)?, read.get(owner)?)?
                }
                (_, None) => values(*spec, data)?,
                _ => return None,
            };
            of.push(*spec);
            read.push(values);
        }
        let count = read.first()?.len();
        if read.iter().any(|column| column.len() != count) {
            return None;
        }
        let row = |index: usize| read.iter().map(|column| column[index].clone()).collect();
        Some(Self {
            specs: of,
            rows: (0..count).map(row).collect(),
        })
    }

    /// Writes the columns; counts and lengths are those of the lists and bytes.
    pub(crate) fn write(&self) -> Vec<Column> {
        let column = |(place, spec): (usize, &u64)| {
            let owned = self.specs.iter().position(|other| {
                let same = other >> 4 == spec >> 4 && other != spec;
                same && (spec & 7 == COUNT || (spec & 7 == LENGTH && other & 7 == BYTES))
            });
            let mut fields = Vec::new();
            for row in &self.rows {
                match (&row[place], owned.map(|owned| &row[owned])) {
                    (Field::Number(_), Some(Field::List(items))) => {
                        fields.push(Field::Number(Some(items.len() as u64)));
                    }
                    (Field::Number(Some(meta)), Some(Field::Bytes(bytes))) => {
                        let meta = (bytes.len() as u64) << 4 | (meta & 15);
                        fields.push(Field::Number(Some(meta)));
                    }
                    (Field::List(items), _) => fields.extend(items.iter().cloned()),
                    (field, _) => fields.push(field.clone()),
                }
            }
            (*spec, written(&fields))
        };
        self.specs.iter().enumerate().map(column).collect()
    }
}

fn values(spec: u64, data: &[u8]) -> Option<Vec<Field>> {
    match spec & 7 {
        SUM => {
            let mut last = 0_i64;
            let mut sum = |difference: Option<i64>| {
                let sum = difference.map(|difference| last.wrapping_add(difference));
                last = sum.unwrap_or(last);
                Field::Sum(sum)
            };
            let values = runs(data, signed)?;
            Some(values.into_iter().map(&mut sum).collect())
        }
        TRUTH => truths(data),
        TEXT => {
            let text = |input: &mut &[u8]| {
                let length = number(input)?;
                take(input, usize::try_from(length).ok()?)
            };
            Some(runs(data, text)?.into_iter().map(Field::Text).collect())
        }
        BYTES => None,
        _ => Some(runs(data, number)?.into_iter().map(Field::Number).collect()),
    }
}

fn runs<T: Clone>(
    mut data: &[u8],
    one: impl Fn(&mut &[u8]) -> Option<T>,
) -> Option<Vec<Option<T>>> {
    let mut out = Vec::new();
    while !data.is_empty() {
        let length = signed(&mut data)?;
        let count = match length {
            0 => number(&mut data)?,
            _ => length.unsigned_abs(),
        };
        let count = usize::try_from(count).ok()?;
        if count > VALUES_MAX - out.len() {
            return None;
        }
        match length {
            0 => out.extend(std::iter::repeat_n(None, count)),
            1.. => {
                let value = one(&mut data)?;
                out.extend(std::iter::repeat_n(Some(value), count));
            }
            _ => {
                for _ in 0..count {
                    out.push(Some(one(&mut data)?));
                }
            }
        }
    }
    Some(out)
}

fn truths(mut data: &[u8]) -> Option<Vec<Field>> {
    let mut out = Vec::new();
    let mut truth = false;
    while !data.is_empty() {
        let count = usize::try_from(number(&mut data)?).ok()?;
        if count > VALUES_MAX - out.len() {
            return None;
        }
        out.extend(std::iter::repeat_n(Field::Truth(truth), count));
        truth = !truth;
    }
    Some(out)
}

/// Values in lists as long as the counts say.
fn grouped(values: Vec<Field>, counts: &[Field]) -> Option<Vec<Field>> {
    let mut values = values.into_iter();
    let list = |count: &Field| match count {
        Field::Number(count) => {
            let count = usize::try_from(count.unwrap_or(0)).ok()?;
            let list: Vec<_> = values.by_ref().take(count).collect();
            (list.len() == count).then_some(Field::List(list))
        }
        _ => None,
    };
    counts.iter().map(list).collect()
}

/// Bytes in pieces as long as the types say.
fn split(mut data: &[u8], types: &[Field]) -> Option<Vec<Field>> {
    let piece = |meta: &Field| match meta {
        Field::Number(meta) => {
            let length = usize::try_from(meta.unwrap_or(0) >> 4).ok()?;
            take(&mut data, length).map(Field::Bytes)
        }
        _ => None,
    };
    types.iter().map(piece).collect()
}

/// Values as runs: equal neighbours once, others one by one.
fn written(fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    if matches!(fields.first(), Some(Field::Bytes(_))) {
        for field in fields {
            if let Field::Bytes(bytes) = field {
                out.extend(bytes);
            }
        }
        return out;
    }
    if matches!(fields.first(), Some(Field::Truth(_))) {
        let mut truth = false;
        let mut rest = fields;
        while !rest.is_empty() {
            let same = |field: &&Field| **field == Field::Truth(truth);
            let count = rest.iter().take_while(same).count();
            if count == 0 && !matches!(rest.first(), Some(Field::Truth(_))) {
                return out;
            }
            put(&mut out, count as u64);
            rest = &rest[count..];
            truth = !truth;
        }
        return out;
    }
    let mut last = 0;
    let codes: Vec<_> = fields.iter().map(|field| code(field, &mut last)).collect();
    let mut rest = codes.as_slice();
    while let Some(first) = rest.first() {
        let count = rest.iter().take_while(|code| *code == first).count();
        match first {
            None => {
                out.push(0);
                put(&mut out, count as u64);
                rest = &rest[count..];
            }
            Some(code) if count > 1 => {
                put_signed(&mut out, i64::try_from(count).unwrap_or(i64::MAX));
                out.extend(code);
                rest = &rest[count..];
            }
            Some(_) => {
                let ends = |pair: &[Option<Vec<u8>>]| pair[0] == pair[1] || pair[1].is_none();
                let alone = rest.windows(2).position(ends);
                let alone = alone.map_or(rest.len(), |place| {
                    place + usize::from(rest[place + 1].is_none())
                });
                put_signed(&mut out, -i64::try_from(alone).unwrap_or(i64::MAX));
                out.extend(rest[..alone].iter().flatten().flatten());
                rest = &rest[alone..];
            }
        }
    }
    out
}

fn code(field: &Field, last: &mut i64) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match field {
        Field::Number(Some(number)) => put(&mut out, *number),
        Field::Sum(Some(sum)) => {
            put_signed(&mut out, sum.wrapping_sub(*last));
            *last = *sum;
        }
        Field::Text(Some(text)) => {
            put(&mut out, text.len() as u64);
            out.extend(text);
        }
        _ => return None,
    }
    Some(out)
}

//! Reads the numbers and columns of a change without making anything of them.
//!
//! Guarantees: time linear in the bytes, no allocation, arithmetic that no length can wrap.
//! Knows LEB128 and run lengths. Does not know what the columns mean.

use super::chunk::{BadChunk, DELETE};
use crate::value::ActorId;

/// How the values of a column are written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Written {
    /// Runs of numbers, each below this bound.
    Numbers { below: u64 },
    /// Runs of the actions of operations; a save has no deletions among them.
    Actions { saved: bool },
    /// Runs of differences.
    Differences,
    /// Runs of texts.
    Texts,
}

/// One value of a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Item<'a> {
    Number(u64),
    Difference(i64),
    Text(&'a [u8]),
}

/// How many of what a column may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowed {
    pub(super) what: &'static str,
    pub(super) most: u64,
}

/// What a column counts.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Measure {
    /// Values, absent ones included.
    pub(super) values: u64,
    /// Sum of the numbers.
    pub(super) sum: u64,
    /// Sum of the numbers without their lowest four bits: lengths, in a column of types.
    pub(super) lengths: u64,
    /// Bytes of the texts, each as often as it is repeated.
    pub(super) texts: u64,
}

/// Bytes not yet read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], BadChunk> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(BadChunk::Truncated { what })?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self, what: &'static str) -> Result<u8, BadChunk> {
        self.take(1, what).map(|byte| byte[0])
    }

    /// An unsigned LEB128 number of 64 bits in its shortest form.
    pub(super) fn number(&mut self, what: &'static str) -> Result<u64, BadChunk> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(what)?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits || (byte == 0 && shift > 0) {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(BadChunk::Number { what })
    }

    /// A signed LEB128 number of 64 bits in its shortest form.
    pub(super) fn signed(&mut self, what: &'static str) -> Result<i64, BadChunk> {
        let mut number = 0_i64;
        let mut previous = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(what)?;
            number |= i64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let extends =
                    (byte == 0 && previous & 0x40 == 0) || (byte == 0x7f && previous & 0x40 != 0);
                let too_wide = shift == 63 && byte != 0 && byte != 0x7f;
                if too_wide || (shift > 0 && extends) {
                    break;
                }
                if byte & 0x40 != 0 && shift < 57 {
                    number |= -1 << (shift + 7);
                }
                return Ok(number);
            }
            previous = byte;
        }
        Err(BadChunk::Number { what })
    }

    /// A number of things that fits the limit and memory.
    pub(super) fn count(&mut self, what: &'static str, allowed: u64) -> Result<usize, BadChunk> {
        let seen = self.number(what)?;
        let too_many = BadChunk::TooMany {
            what,
            seen,
            allowed,
        };
        usize::try_from(seen)
            .ok()
            .filter(|_| seen <= allowed)
            .ok_or(too_many)
    }

    pub(super) fn actor(&mut self) -> Result<ActorId, BadChunk> {
        let seen = self.number("the length of an actor")?;
        if seen != 18 {
            return Err(BadChunk::Actor { seen });
        }
        let bytes = self.take(18, "an actor")?;
        Ok(ActorId::from_slice(bytes).expect("18 bytes were taken"))
    }

    /// Measures a column of runs.
    pub(super) fn runs(self, written: Written, allowed: Allowed) -> Result<Measure, BadChunk> {
        let mut measure = Measure::default();
        self.each_run(written, |length, item| measure.add(length, item, allowed))?;
        Ok(measure)
    }

    /// Reads a column of runs, absent values included.
    pub(super) fn items(
        self,
        written: Written,
        allowed: Allowed,
    ) -> Result<Vec<Option<Item<'a>>>, BadChunk> {
        let mut items = Vec::new();
        let mut measure = Measure::default();
        self.each_run(written, |length, item| {
            measure.add(length, item, allowed)?;
            items.extend((0..length).map(|_| item));
            Ok(())
        })?;
        Ok(items)
    }

    /// Goes through a column of runs: a positive length and a value, a negative one and as many
    /// values, or zero and the length of a run of absent ones.
    fn each_run(
        mut self,
        written: Written,
        mut take: impl FnMut(u64, Option<Item<'a>>) -> Result<(), BadChunk>,
    ) -> Result<(), BadChunk> {
        while !self.0.is_empty() {
            let length = self.signed("the length of a run")?;
            let Ok(repeated) = u64::try_from(length) else {
                for _ in 0..length.unsigned_abs() {
                    let item = self.item(written)?;
                    take(1, Some(item))?;
                }
                continue;
            };
            if repeated == 0 {
                let absent = self.number("the length of a run")?;
                take(absent, None)?;
            } else {
                let item = self.item(written)?;
                take(repeated, Some(item))?;
            }
        }
        Ok(())
    }

    fn item(&mut self, written: Written) -> Result<Item<'a>, BadChunk> {
        match written {
            Written::Numbers { below } => {
                let value = self.number("a value")?;
                if value >= below {
                    return Err(BadChunk::Number {
                        what: "an actor's place",
                    });
                }
                Ok(Item::Number(value))
            }
            Written::Actions { saved } => match self.number("a value")? {
                DELETE if saved => Err(BadChunk::Deletion),
                seen if seen > DELETE => Err(BadChunk::Action { seen }),
                action => Ok(Item::Number(action)),
            },
            Written::Differences => self.signed("a difference").map(Item::Difference),
            Written::Texts => {
                let length = self.number("the length of a text")?;
                let bytes = usize::try_from(length).unwrap_or(usize::MAX);
                self.take(bytes, "a text").map(Item::Text)
            }
        }
    }

    /// Measures a column of alternating runs of false and true.
    pub(super) fn truths(mut self, allowed: Allowed) -> Result<Measure, BadChunk> {
        let mut measure = Measure::default();
        while !self.0.is_empty() {
            let length = self.number("the length of a run")?;
            measure.add(length, None, allowed)?;
        }
        Ok(measure)
    }
}

/// The run at hand.
#[derive(Debug, Clone, Copy)]
enum Run<'a> {
    /// The same value, or absent ones, so many times.
    Same(Option<Item<'a>>),
    /// Values one by one.
    Each,
}

/// Reads a measured column value by value, without holding more than one.
pub(super) struct Values<'a> {
    input: Input<'a>,
    written: Written,
    left: u64,
    run: Run<'a>,
    sum: i64,
}

impl<'a> Values<'a> {
    pub(super) fn of(input: Input<'a>, written: Written) -> Self {
        Self {
            input,
            written,
            left: 0,
            run: Run::Each,
            sum: 0,
        }
    }

    /// The next value; absent ones and those behind the end alike are `None`.
    pub(super) fn next(&mut self) -> Result<Option<Item<'a>>, BadChunk> {
        while self.left == 0 {
            if self.input.0.is_empty() {
                return Ok(None);
            }
            let length = self.input.signed("the length of a run")?;
            self.left = length.unsigned_abs();
            self.run = match length {
                0 => {
                    self.left = self.input.number("the length of a run")?;
                    Run::Same(None)
                }
                1.. => Run::Same(Some(self.input.item(self.written)?)),
                _ => Run::Each,
            };
        }
        self.left -= 1;
        match self.run {
            Run::Same(item) => Ok(item),
            Run::Each => self.input.item(self.written).map(Some),
        }
    }

    /// The next number.
    pub(super) fn number(&mut self) -> Result<Option<u64>, BadChunk> {
        Ok(match self.next()? {
            Some(Item::Number(number)) => Some(number),
            _ => None,
        })
    }

    /// The next number of a column of differences.
    pub(super) fn summed(&mut self) -> Result<Option<u64>, BadChunk> {
        let Some(Item::Difference(difference)) = self.next()? else {
            return Ok(None);
        };
        let sum = self.sum.checked_add(difference);
        let sum = sum.and_then(|sum| Some((sum, u64::try_from(sum).ok()?)));
        let (sum, number) = sum.ok_or(BadChunk::Number { what: "a sum" })?;
        self.sum = sum;
        Ok(Some(number))
    }

    /// The next text.
    pub(super) fn text(&mut self) -> Result<Option<&'a [u8]>, BadChunk> {
        Ok(match self.next()? {
            Some(Item::Text(text)) => Some(text),
            _ => None,
        })
    }
}

/// Reads a measured column of alternating runs of false and true.
pub(super) struct Truths<'a> {
    input: Input<'a>,
    left: u64,
    truth: bool,
}

impl<'a> Truths<'a> {
    pub(super) fn of(input: Input<'a>) -> Self {
        Self {
            input,
            left: 0,
            // The first run is of false.
            truth: true,
        }
    }

    /// The next one; false behind the end.
    pub(super) fn next(&mut self) -> Result<bool, BadChunk> {
        while self.left == 0 {
            if self.input.0.is_empty() {
                return Ok(false);
            }
            self.left = self.input.number("the length of a run")?;
            self.truth = !self.truth;
        }
        self.left -= 1;
        Ok(self.truth)
    }
}

impl Measure {
    /// Counts a run, in arithmetic that no length can wrap.
    fn add(
        &mut self,
        length: u64,
        item: Option<Item<'_>>,
        allowed: Allowed,
    ) -> Result<(), BadChunk> {
        self.values = self.values.saturating_add(length);
        if self.values > allowed.most {
            return Err(BadChunk::TooMany {
                what: allowed.what,
                seen: self.values,
                allowed: allowed.most,
            });
        }
        let times = |one: u64| one.saturating_mul(length);
        match item {
            Some(Item::Number(value)) => {
                self.sum = self.sum.saturating_add(times(value));
                self.lengths = self.lengths.saturating_add(times(value >> 4));
            }
            Some(Item::Text(text)) => {
                self.texts = self.texts.saturating_add(times(text.len() as u64));
            }
            Some(Item::Difference(_)) | None => {}
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A number as LEB128 in its shortest form.
    pub(in crate::gate) fn leb(mut number: u64) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            let low = (number & 0x7f).to_be_bytes()[7];
            number >>= 7;
            if number == 0 {
                out.push(low);
                return out;
            }
            out.push(low | 0x80);
        }
    }

    #[test]
    fn numbers_are_read_in_their_shortest_form_only() {
        for number in [0, 1, 127, 128, 300, u64::MAX >> 1, u64::MAX] {
            assert_eq!(Input(&leb(number)).number("it"), Ok(number));
        }
        for (bytes, number) in [
            (&[0x00][..], 0),
            (&[0x7f], -1),
            (&[0x3f], 63),
            (&[0xc0, 0x00], 64),
            (&[0x40], -64),
            (
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00],
                i64::MAX,
            ),
            (
                &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f],
                i64::MIN,
            ),
        ] {
            assert_eq!(Input(bytes).signed("it"), Ok(number), "{bytes:x?}");
        }
        for bytes in [
            &[0x80, 0x00][..],
            &[0xff; 11],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
        ] {
            assert!(Input(bytes).number("it").is_err(), "{bytes:x?}");
        }
        for bytes in [
            &[0x80, 0x00][..],
            &[0xff, 0x7f],
            &[0xff; 11],
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
        ] {
            assert!(Input(bytes).signed("it").is_err(), "{bytes:x?}");
        }
    }
}

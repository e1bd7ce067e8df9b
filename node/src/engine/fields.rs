//! Writing and reading the fields of a stored row, big-endian, lengths before contents.
//!
//! Every row starts with a version byte, so that a later layout can tell an earlier one apart.

use thiserror::Error;

/// A stored row that does not have the layout it should have.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("a {row} row ends or differs after {at} bytes")]
pub struct BadRow {
    /// Which row.
    pub row: &'static str,
    /// Where in it.
    pub at: usize,
}

/// Appends fields to a row.
#[derive(Debug, Default)]
pub(crate) struct FieldWriter(Vec<u8>);

impl FieldWriter {
    pub(crate) fn new(version: u8) -> Self {
        Self(vec![version])
    }

    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn i64(&mut self, value: i64) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Bytes whose number the reader knows.
    pub(crate) fn fixed(&mut self, value: &[u8]) -> &mut Self {
        self.0.extend_from_slice(value);
        self
    }

    /// Bytes after their number (u32).
    pub(crate) fn bytes(&mut self, value: &[u8]) -> &mut Self {
        let length = u32::try_from(value.len()).expect("no field of a row reaches 4 GiB");
        self.u32(length);
        self.fixed(value)
    }

    pub(crate) fn text(&mut self, value: &str) -> &mut Self {
        self.bytes(value.as_bytes())
    }

    /// A presence byte, then the text.
    pub(crate) fn maybe_text(&mut self, value: Option<&str>) -> &mut Self {
        match value {
            Some(text) => self.u8(1).text(text),
            None => self.u8(0),
        }
    }

    /// Bytes written so far.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes back what was written after so many bytes.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }

    pub(crate) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

/// Takes fields off a row.
#[derive(Debug)]
pub(crate) struct FieldReader<'a> {
    row: &'static str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> FieldReader<'a> {
    /// Checks the version byte.
    pub(crate) fn open(row: &'static str, version: u8, bytes: &'a [u8]) -> Result<Self, BadRow> {
        let mut reader = Self { row, bytes, at: 0 };
        if reader.u8()? == version {
            Ok(reader)
        } else {
            Err(BadRow { row, at: 0 })
        }
    }

    /// Fields that are part of a row and have no version byte of their own.
    pub(crate) fn plain(row: &'static str, bytes: &'a [u8]) -> Self {
        Self { row, bytes, at: 0 }
    }

    /// The error for what stands here.
    pub(crate) fn bad(&self) -> BadRow {
        BadRow {
            row: self.row,
            at: self.at,
        }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, BadRow> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32, BadRow> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, BadRow> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, BadRow> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], BadRow> {
        let taken = self.take(N)?;
        Ok(taken
            .try_into()
            .expect("take returns as many bytes as asked"))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], BadRow> {
        let length = usize::try_from(self.u32()?).expect("u32 fits usize here");
        self.take(length)
    }

    pub(crate) fn text(&mut self) -> Result<String, BadRow> {
        let at = self.at;
        let bytes = self.bytes()?;
        String::from_utf8(bytes.to_vec()).map_err(|_| BadRow { row: self.row, at })
    }

    pub(crate) fn maybe_text(&mut self) -> Result<Option<String>, BadRow> {
        match self.u8()? {
            0 => Ok(None),
            _ => self.text().map(Some),
        }
    }

    /// Whether nothing is left.
    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        self.at = self.bytes.len();
        rest
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], BadRow> {
        let end = self
            .at
            .checked_add(length)
            .filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(BadRow {
            row: self.row,
            at: self.at,
        })?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back_and_a_short_row_is_an_error() {
        let mut writer = FieldWriter::new(1);
        let row = writer
            .u8(7)
            .u64(9)
            .text("a")
            .maybe_text(None)
            .fixed(&[1, 2])
            .finish();
        let mut reader = FieldReader::open("test", 1, &row).unwrap();
        assert_eq!(reader.u8(), Ok(7));
        assert_eq!(reader.u64(), Ok(9));
        assert_eq!(reader.text(), Ok("a".to_owned()));
        assert_eq!(reader.maybe_text(), Ok(None));
        assert_eq!(reader.rest(), &[1, 2]);
        assert_eq!(
            reader.u8(),
            Err(BadRow {
                row: "test",
                at: row.len()
            })
        );
        assert!(FieldReader::open("test", 2, &row).is_err());
    }
}

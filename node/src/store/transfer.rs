//! Export and import: all rows of all tables as one stream that any engine can take.
//!
//! The stream is `raccordo-export 1\n`, then rows (`table u8 ‖ key length u32 ‖ key ‖
//! value length u32 ‖ value`, big-endian, in order), then `0 ‖ number of rows u64 ‖
//! SHA-256 of all before`. Values stay sealed as they are stored.

use std::io::{Read, Write};

use aws_lc_rs::digest;

use super::batch::Batch;
use super::table::Table;
use super::{KEY_BYTES_MAX, Store, TransferFailed, VALUE_BYTES_MAX};

const HEADING: &[u8] = b"raccordo-export 1\n";

/// Rows read at a time.
const PAGE_ROWS: usize = 500;

/// Bytes of an import batch beyond which it is committed.
const BATCH_BYTES: usize = 1 << 20;

impl Store {
    /// Writes every row to a stream and returns their number. Commits wait until it is done.
    pub fn export(&self, out: &mut dyn Write) -> Result<u64, TransferFailed> {
        let committer = self.inner.committer();
        let mut out = Hashed::new(out);
        out.write(HEADING)?;
        let mut rows = 0u64;
        for table in Table::ALL {
            let mut after: Option<Vec<u8>> = None;
            loop {
                let page = self.scan(table, b"", after.as_deref(), PAGE_ROWS)?;
                let Some((last, _)) = page.last() else { break };
                after = Some(last.clone());
                for (key, value) in &page {
                    out.write(&[table.code()])?;
                    out.write(&length(key))?;
                    out.write(key)?;
                    out.write(&length(value))?;
                    out.write(value)?;
                    rows += 1;
                }
            }
        }
        out.write(&[0])?;
        out.write(&rows.to_be_bytes())?;
        let digest = out.context.finish();
        out.stream.write_all(digest.as_ref())?;
        out.stream.flush()?;
        drop(committer);
        Ok(rows)
    }

    /// Reads an export into this store, which must be new, and returns the number of rows.
    ///
    /// After an error the store holds a part and must be thrown away.
    pub fn import(&self, input: &mut dyn Read) -> Result<u64, TransferFailed> {
        let commits = self.last_seq();
        if commits > 0 {
            return Err(TransferFailed::NotEmpty { commits });
        }
        let mut input = Hashed::new(input);
        if input.read(HEADING.len())? != HEADING {
            return Err(damaged("it does not begin as an export of this format"));
        }
        let mut batch = Batch::new();
        let mut rows = 0u64;
        loop {
            let code = input.read(1)?[0];
            if code == 0 {
                break;
            }
            let table = Table::from_code(code).ok_or_else(|| damaged("a table is unknown"))?;
            let key = input.read_field(KEY_BYTES_MAX)?;
            let value = input.read_field(VALUE_BYTES_MAX)?;
            batch.put(table, key, value);
            rows += 1;
            if batch.bytes() > BATCH_BYTES {
                self.commit(std::mem::take(&mut batch))?;
            }
        }
        if input.read(8)? != rows.to_be_bytes() {
            return Err(damaged("the number of rows does not match"));
        }
        let digest = input.context.finish();
        let mut stated = [0; 32];
        input.stream.read_exact(&mut stated)?;
        if digest.as_ref() != stated {
            return Err(damaged("its checksum does not match"));
        }
        self.commit(batch)?;
        Ok(rows)
    }
}

/// A stream whose bytes are hashed as they pass.
struct Hashed<S> {
    stream: S,
    context: digest::Context,
}

impl<S> Hashed<S> {
    fn new(stream: S) -> Self {
        Self {
            stream,
            context: digest::Context::new(&digest::SHA256),
        }
    }
}

impl Hashed<&mut dyn Write> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.context.update(bytes);
        self.stream.write_all(bytes)
    }
}

impl Hashed<&mut dyn Read> {
    fn read(&mut self, count: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes)?;
        self.context.update(&bytes);
        Ok(bytes)
    }

    fn read_field(&mut self, max: usize) -> Result<Vec<u8>, TransferFailed> {
        let length = self.read(4)?;
        let length = length
            .iter()
            .fold(0usize, |sum, byte| (sum << 8) | usize::from(*byte));
        if length > max {
            return Err(damaged("a key or value is longer than allowed"));
        }
        Ok(self.read(length)?)
    }
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len())
        .expect("keys and values are limited to far less than 4 GiB")
        .to_be_bytes()
}

fn damaged(seen: &'static str) -> TransferFailed {
    TransferFailed::Damaged { seen }
}

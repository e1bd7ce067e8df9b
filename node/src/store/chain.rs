//! The chain of commits: each one's hash covers the one before and all that it wrote.

use aws_lc_rs::digest;

use super::batch::Batch;
use super::highwater::Slot;

/// Bytes of the stored chain row.
const CHAIN_BYTES: usize = 88;

/// The end of the chain, stored with every commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    /// Number of the last commit; 0 is the founding.
    pub(super) seq: u64,
    /// Its hash.
    pub(super) hash: [u8; 32],
    /// The hash of the commit before it.
    pub(super) previous: [u8; 32],
    /// Identity of the store, drawn when it was founded.
    pub(super) store: [u8; 16],
}

impl Chain {
    /// The chain of a store that has committed nothing yet.
    pub(super) fn founding(store: [u8; 16]) -> Self {
        Self {
            seq: 0,
            hash: [0; 32],
            previous: [0; 32],
            store,
        }
    }

    /// The chain with one more commit.
    pub(super) fn next(&self, batch: &Batch) -> Self {
        let seq = self.seq + 1;
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"raccordo-commit-1\0");
        context.update(&self.hash);
        context.update(&seq.to_be_bytes());
        for (table, key, value) in batch.iter() {
            context.update(&[table.code(), u8::from(value.is_some())]);
            context.update(&(key.len() as u64).to_be_bytes());
            context.update(key);
            let value = value.unwrap_or_default();
            context.update(&(value.len() as u64).to_be_bytes());
            context.update(value);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        Self {
            seq,
            hash,
            previous: self.hash,
            store: self.store,
        }
    }

    /// What the high-water mark says of this end.
    pub(super) fn slot(&self) -> Slot {
        Slot {
            seq: self.seq,
            hash: self.hash,
            store: self.store,
        }
    }

    /// Why a store that ends here cannot be the one of that mark; `None` if it can.
    ///
    /// One commit past the mark is what a crash between the two leaves behind.
    pub(super) fn contradiction(&self, mark: Option<Slot>) -> Option<String> {
        let Some(mark) = mark else {
            return (self.seq > 0).then(|| {
                format!(
                    "the high-water mark is missing while the store holds {} commits",
                    self.seq
                )
            });
        };
        let fits = if mark.seq == self.seq {
            mark.hash == self.hash
        } else {
            mark.seq + 1 == self.seq && mark.hash == self.previous
        };
        if mark.store != self.store {
            (mark.seq > 0 || self.seq > 0)
                .then(|| "the store is another one than its high-water mark belongs to".to_owned())
        } else if mark.seq > self.seq {
            Some(format!(
                "the store ends at commit {}, but commit {} was acknowledged: {} are missing",
                self.seq,
                mark.seq,
                mark.seq - self.seq
            ))
        } else if fits {
            None
        } else {
            Some(format!(
                "the store at commit {} does not continue its high-water mark at commit {}",
                self.seq, mark.seq
            ))
        }
    }

    /// seq u64 ‖ hash 32 ‖ previous 32 ‖ store 16, big-endian.
    pub(super) fn to_bytes(self) -> [u8; CHAIN_BYTES] {
        let mut bytes = [0; CHAIN_BYTES];
        bytes[..8].copy_from_slice(&self.seq.to_be_bytes());
        bytes[8..40].copy_from_slice(&self.hash);
        bytes[40..72].copy_from_slice(&self.previous);
        bytes[72..].copy_from_slice(&self.store);
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; CHAIN_BYTES] = bytes.try_into().ok()?;
        let (seq, rest) = bytes.split_first_chunk()?;
        let (hash, rest) = rest.split_first_chunk()?;
        let (previous, store) = rest.split_first_chunk()?;
        Some(Self {
            seq: u64::from_be_bytes(*seq),
            hash: *hash,
            previous: *previous,
            store: store.try_into().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::Table;
    use super::*;

    fn chain_of(commits: u64) -> Chain {
        let mut chain = Chain::founding([1; 16]);
        for n in 0..commits {
            let mut batch = Batch::new();
            batch.put(Table::Meta, *b"n", n.to_be_bytes());
            chain = chain.next(&batch);
        }
        chain
    }

    #[test]
    fn the_chain_row_reads_back() {
        let chain = chain_of(3);
        assert_eq!(Chain::from_bytes(&chain.to_bytes()), Some(chain));
        assert_eq!(Chain::from_bytes(&chain.to_bytes()[1..]), None);
    }

    #[test]
    fn the_hash_tells_apart_what_was_written() {
        let mut put = Batch::new();
        put.put(Table::Meta, *b"a", *b"");
        let mut deleted = Batch::new();
        deleted.delete(Table::Meta, *b"a");
        let mut elsewhere = Batch::new();
        elsewhere.put(Table::Rows, *b"a", *b"");
        let chain = chain_of(1);
        let hashes = [&put, &deleted, &elsewhere].map(|batch| chain.next(batch).hash);
        assert_ne!(hashes[0], hashes[1]);
        assert_ne!(hashes[0], hashes[2]);
    }

    #[test]
    fn a_store_at_its_mark_or_one_past_it_is_sound_and_no_other() {
        let at = |seq| Some(chain_of(seq).slot());
        assert_eq!(chain_of(5).contradiction(at(5)), None);
        assert_eq!(chain_of(5).contradiction(at(4)), None);
        assert_eq!(chain_of(0).contradiction(None), None);
        for mark in [at(6), at(3), None] {
            assert!(chain_of(5).contradiction(mark).is_some());
        }
        let other_history = Slot {
            hash: [3; 32],
            ..chain_of(5).slot()
        };
        assert!(chain_of(5).contradiction(Some(other_history)).is_some());
        let other_store = Slot {
            store: [3; 16],
            ..chain_of(5).slot()
        };
        assert!(chain_of(5).contradiction(Some(other_store)).is_some());
    }
}

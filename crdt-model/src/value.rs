//! The identifiers and instants that a record is made of.
//!
//! Every type has a parse constructor only, so a value that exists is well formed.
//! Knows bytes and text. Does not know what a record is.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A text that is not the identifier or instant it was read as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadValue {
    /// The text is not hexadecimal of the right length.
    #[error("{seen} characters that are not all hexadecimal digits, {allowed} digits allowed")]
    Hex {
        /// Length of the text, in bytes.
        seen: usize,
        /// Digits that are expected.
        allowed: usize,
    },
    /// The text is not an RFC 3339 instant.
    #[error("{text:?} is not an RFC 3339 instant such as 2026-03-04T09:00:00Z")]
    Instant {
        /// The text, shortened to 64 characters.
        text: String,
    },
}

fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], BadValue> {
    let bad = BadValue::Hex {
        seen: text.len(),
        allowed: N * 2,
    };
    if text.len() != N * 2 {
        return Err(bad);
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16);
        let low = char::from(pair[1]).to_digit(16);
        match (high, low) {
            (Some(high), Some(low)) => {
                *byte = u8::try_from(high << 4 | low).expect("two hexadecimal digits fit a byte");
            }
            _ => return Err(bad),
        }
    }
    Ok(bytes)
}

fn write_hex(bytes: &[u8], out: &mut fmt::Formatter<'_>) -> fmt::Result {
    for byte in bytes {
        write!(out, "{byte:02x}")?;
    }
    Ok(())
}

/// Declares a fixed-size identifier with its constructors and its hexadecimal form.
macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $size:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $size]);

        impl $name {
            /// Takes the identifier from its bytes.
            pub const fn from_bytes(bytes: [u8; $size]) -> Self {
                Self(bytes)
            }

            /// The bytes of the identifier.
            pub const fn as_bytes(&self) -> &[u8; $size] {
                &self.0
            }

            /// Parses the hexadecimal form, all digits, no separators.
            pub fn parse(text: &str) -> Result<Self, BadValue> {
                parse_hex(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, out)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "{}({self})", stringify!($name))
            }
        }
    };
}

identifier!(
    /// A document's identity: 16 random bytes, 32 hexadecimal digits.
    DocumentId, 16
);
identifier!(
    /// The SHA-256 of a change, as Automerge and the signed entry know it.
    ChangeHash, 32
);
identifier!(
    /// The identity of a line of an import file.
    LineId, 32
);

impl LineId {
    /// Names the `occurrence`-th line (from 0) with this canonical JSON in its file.
    pub fn of(canonical: &str, occurrence: u64) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(canonical.as_bytes());
        hasher.update([0]);
        hasher.update(occurrence.to_be_bytes());
        Self(hasher.finalize().into())
    }
}

/// Who made a change: 8 bytes of the node's key, 8 of the process start, a branch number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorId([u8; 18]);

impl ActorId {
    /// Composes the actor of one branch of one process start of one node.
    pub fn new(origin: [u8; 8], incarnation: [u8; 8], branch: u16) -> Self {
        let mut bytes = [0; 18];
        bytes[..8].copy_from_slice(&origin);
        bytes[8..16].copy_from_slice(&incarnation);
        bytes[16..].copy_from_slice(&branch.to_be_bytes());
        Self(bytes)
    }

    /// Reads the only form of actor that is accepted: 18 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes: origin, incarnation, branch big-endian.
    pub const fn as_bytes(&self) -> &[u8; 18] {
        &self.0
    }

    /// First 8 bytes of the node's public key.
    pub fn origin(&self) -> [u8; 8] {
        self.0[..8].try_into().expect("the first 8 of 18 bytes")
    }

    /// The 8 random bytes of the process start.
    pub fn incarnation(&self) -> [u8; 8] {
        self.0[8..16].try_into().expect("8 of 18 bytes")
    }

    /// The branch: 0 unless the change was made on an older version.
    pub fn branch(&self) -> u16 {
        u16::from_be_bytes([self.0[16], self.0[17]])
    }
}

impl fmt::Display for ActorId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, out)
    }
}

impl fmt::Debug for ActorId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ActorId({self})")
    }
}

/// The version of a document: the hashes that no other change depends on, sorted, distinct.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Heads(Vec<ChangeHash>);

impl Heads {
    /// Most hashes that an entity tag may name.
    pub const HASHES_MAX: usize = 64;

    /// Takes the hashes in any order.
    pub fn from_hashes(hashes: impl IntoIterator<Item = ChangeHash>) -> Self {
        let mut hashes: Vec<_> = hashes.into_iter().collect();
        hashes.sort_unstable();
        hashes.dedup();
        Self(hashes)
    }

    /// The hashes in ascending order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &ChangeHash> {
        self.0.iter()
    }

    /// Whether there is no hash: the version before the first change.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entity tag: quoted, full hexadecimal hashes joined by commas.
    pub fn etag(&self) -> String {
        let hashes: Vec<_> = self.0.iter().map(ChangeHash::to_string).collect();
        format!("\"{}\"", hashes.join(","))
    }

    /// Reads an entity tag back; `None` if it is none of ours.
    pub fn parse_etag(text: &str) -> Option<Self> {
        let inner = text.trim().strip_prefix('"')?.strip_suffix('"')?;
        let hashes = inner
            .split(',')
            .take(Self::HASHES_MAX + 1)
            .map(|hash| ChangeHash::parse(hash.trim()).ok())
            .collect::<Option<Vec<_>>>()?;
        (hashes.len() <= Self::HASHES_MAX).then(|| Self::from_hashes(hashes))
    }

    /// The item that stands for this version of `document` in a digest.
    pub fn item_hash(&self, document: DocumentId) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(document.as_bytes());
        for hash in &self.0 {
            hasher.update(hash.as_bytes());
        }
        hasher.finalize().into()
    }
}

/// An instant in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// Parses an RFC 3339 instant with any offset; finer parts than milliseconds are dropped.
    pub fn parse(text: &str) -> Result<Self, BadValue> {
        let bad = || BadValue::Instant {
            text: text.chars().take(64).collect(),
        };
        // The library also reads annotations such as [Europe/Rome], which RFC 3339 lacks.
        if text.len() > 40 || text.contains('[') {
            return Err(bad());
        }
        text.parse::<jiff::Timestamp>()
            .map(|instant| Self(instant.as_millisecond()))
            .map_err(|_| bad())
    }
}

impl fmt::Display for UnixMillis {
    /// RFC 3339 in UTC, a fraction only if there is one; beyond the years 0 to 9999 the nearest.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.clamp(YEAR_ZERO, YEAR_LAST);
        let instant = jiff::Timestamp::from_millisecond(millis).map_err(|_| fmt::Error)?;
        write!(out, "{instant}")
    }
}

/// 0000-01-01T00:00:00Z and 9999-12-30T00:00:00Z, which RFC 3339 can still write in any zone.
const YEAR_ZERO: i64 = -62_167_219_200_000;
const YEAR_LAST: i64 = 253_402_128_000_000;

/// A set of items as one comparable value: their number and their sum modulo 2^256.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Digest {
    /// Items in the set.
    pub count: u64,
    /// Sum of the items, big-endian, modulo 2^256.
    pub sum: [u8; 32],
}

impl Digest {
    /// Puts an item in.
    pub fn add(&mut self, item: &[u8; 32]) {
        self.count = self.count.wrapping_add(1);
        let mut carry = 0_u16;
        for (sum, item) in self.sum.iter_mut().zip(item).rev() {
            let total = u16::from(*sum) + u16::from(*item) + carry;
            *sum = total.to_be_bytes()[1];
            carry = total >> 8;
        }
    }

    /// Takes an item out; the inverse of [`Digest::add`].
    pub fn remove(&mut self, item: &[u8; 32]) {
        self.count = self.count.wrapping_sub(1);
        let mut borrow = false;
        for (sum, item) in self.sum.iter_mut().zip(item).rev() {
            let (first, under) = sum.overflowing_sub(*item);
            let (second, under_again) = first.overflowing_sub(u8::from(borrow));
            *sum = second;
            borrow = under || under_again;
        }
    }

    /// Puts all items of another set in.
    pub fn merge(&mut self, other: &Self) {
        let count = self.count.wrapping_add(other.count);
        self.add(&other.sum);
        self.count = count;
    }

    /// The digest that two nodes compare.
    pub fn finish(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(b"raccordo-digest-1");
        hasher.update(self.count.to_be_bytes());
        hasher.update(self.sum);
        hasher.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn an_identifier_reads_back_what_it_prints() {
        let id = DocumentId::from_bytes([0xab; 16]);
        assert_eq!(DocumentId::parse(&id.to_string()), Ok(id));
        assert_eq!(DocumentId::parse(&id.to_string().to_uppercase()), Ok(id));
        expect!["3 characters that are not all hexadecimal digits, 32 digits allowed"]
            .assert_eq(&DocumentId::parse("xyz").unwrap_err().to_string());
        assert!(DocumentId::parse(&"+1".repeat(16)).is_err());
    }

    #[test]
    fn an_entity_tag_reads_back_in_any_order() {
        let heads = Heads::from_hashes([
            ChangeHash::from_bytes([2; 32]),
            ChangeHash::from_bytes([1; 32]),
        ]);
        assert_eq!(Heads::parse_etag(&heads.etag()), Some(heads.clone()));
        assert_eq!(heads.iter().count(), 2);
        for bad in ["", "\"\"", "abc", "\"abc\"", "W/\"ab\""] {
            assert_eq!(Heads::parse_etag(bad), None, "{bad}");
        }
        let many = vec!["00".repeat(32); Heads::HASHES_MAX + 1].join(",");
        assert_eq!(Heads::parse_etag(&format!("\"{many}\"")), None);
    }

    #[test]
    fn an_instant_reads_back_what_it_prints() {
        let check = |text: &str, shown: &str| {
            assert_eq!(UnixMillis::parse(text).unwrap().to_string(), shown);
        };
        check("2026-03-04T09:00:00Z", "2026-03-04T09:00:00Z");
        check("2026-03-04T09:00:00.250Z", "2026-03-04T09:00:00.25Z");
        check("2026-03-04T10:00:00+01:00", "2026-03-04T09:00:00Z");
        for bad in ["", "2026-03-04", "yesterday", "2026-13-04T09:00:00Z"] {
            assert!(UnixMillis::parse(bad).is_err(), "{bad}");
        }
        assert!(!UnixMillis(i64::MIN).to_string().is_empty());
        assert!(!UnixMillis(i64::MAX).to_string().is_empty());
    }

    #[test]
    fn a_digest_forgets_the_order_and_what_was_taken_out() {
        let (one, two) = ([0xff; 32], [0x17; 32]);
        let mut left = Digest::default();
        left.add(&one);
        left.add(&two);
        let mut right = Digest::default();
        right.add(&two);
        right.add(&one);
        assert_eq!(left.finish(), right.finish());
        right.remove(&one);
        right.remove(&two);
        assert_eq!(right, Digest::default());
        let mut merged = Digest::default();
        merged.merge(&left);
        assert_eq!(merged, left);
    }

    #[test]
    fn an_actor_keeps_its_parts() {
        let actor = ActorId::new([1; 8], [2; 8], 0x0304);
        assert_eq!(actor.origin(), [1; 8]);
        assert_eq!(actor.incarnation(), [2; 8]);
        assert_eq!(actor.branch(), 0x0304);
        assert_eq!(ActorId::from_slice(actor.as_bytes()), Some(actor));
        assert_eq!(ActorId::from_slice(&[0; 16]), None);
    }
}

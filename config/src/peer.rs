//! Peer keys as the configuration writes them: 64 hexadecimal digits.

use std::fmt;

use data_encoding::HEXLOWER_PERMISSIVE;

/// A node's public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey([u8; 32]);

/// A text that is no peer key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{characters} characters, a node's id is 64 hexadecimal digits: `raccordo id` prints it")]
pub struct BadPeerKey {
    /// Characters seen.
    pub characters: usize,
}

impl PeerKey {
    /// The key with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads 64 hexadecimal digits of either case.
    pub fn parse(text: &str) -> Result<Self, BadPeerKey> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes());
        let bytes = bytes.ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| BadPeerKey {
            characters: text.chars().count(),
        })
    }
}

impl fmt::Display for PeerKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&HEXLOWER_PERMISSIVE.encode(&self.0))
    }
}

impl fmt::Debug for PeerKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PeerKey({self})")
    }
}

impl serde::Serialize for PeerKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_64_digits_of_either_case() {
        let text = "0123456789abcdef".repeat(4);
        assert_eq!(PeerKey::parse(&text).unwrap().to_string(), text);
        assert_eq!(
            PeerKey::parse(&text.to_uppercase()).unwrap().to_string(),
            text
        );
        for refused in ["", "01", &text[1..], &"g".repeat(64), &"é".repeat(32)] {
            assert!(PeerKey::parse(refused).is_err(), "{refused:?} was taken");
        }
    }
}

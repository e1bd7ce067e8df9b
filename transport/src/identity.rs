//! Who a node is: an Ed25519 key pair, and the public half that names it everywhere.
//!
//! Guarantees: the private half never leaves `NodeKey` except into the TLS configuration of this crate;
//! an `AuthenticatedPeer` exists only where a TLS handshake proved possession of that key.
//! Does not know which keys are members: that is `Pins` and `Host::standing`.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, ParsedPublicKey};

/// A node's public key (Ed25519, 32 bytes): its name among peers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId([u8; 32]);

/// A text that is not a node id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{seen:?} is not a node id: 64 hexadecimal digits are needed")]
pub struct BadPeerId {
    /// The text as it came.
    pub seen: String,
}

impl PeerId {
    /// Takes the 32 bytes of an Ed25519 public key; whether they are a point shows at verification.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 8 bytes: the origin that this node's log entries carry.
    pub fn origin(&self) -> [u8; 8] {
        let mut origin = [0; 8];
        origin.copy_from_slice(&self.0[..8]);
        origin
    }

    /// The first 8 hexadecimal digits, for spans and lists.
    pub fn short(&self) -> String {
        hex(&self.0[..4])
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PeerId({})", self.short())
    }
}

impl FromStr for PeerId {
    type Err = BadPeerId;

    fn from_str(text: &str) -> Result<Self, BadPeerId> {
        let bad = || BadPeerId {
            seen: text.to_owned(),
        };
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(bad());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16).ok_or_else(bad)?;
            let low = char::from(pair[1]).to_digit(16).ok_or_else(bad)?;
            *byte = u8::try_from(high * 16 + low).map_err(|_| bad())?;
        }
        Ok(Self(bytes))
    }
}

/// A node's key pair (Ed25519). Printing it shows the public half only.
pub struct NodeKey {
    pair: Ed25519KeyPair,
    public: PeerId,
}

impl NodeKey {
    /// The key pair that the 32-byte seed stands for; the same seed gives the same key.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed)
            .expect("every 32-byte seed is an Ed25519 private key");
        let mut public = [0; 32];
        public.copy_from_slice(pair.public_key().as_ref());
        Self {
            pair,
            public: PeerId(public),
        }
    }

    /// The one-time key of an invitation: HKDF-SHA256 of its secret, bound to the inviting node.
    pub fn one_time(secret: &[u8; 16], coordination: &PeerId) -> Self {
        use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
        let pseudo_random_key = Salt::new(HKDF_SHA256, b"raccordo-join-1").extract(secret);
        let info: [&[u8]; 1] = [coordination.as_bytes()];
        let mut seed = [0; 32];
        pseudo_random_key
            .expand(&info, HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut seed))
            .expect("32 bytes are what HKDF-SHA256 yields in one block");
        Self::from_seed(seed)
    }

    /// The public half.
    pub const fn public(&self) -> PeerId {
        self.public
    }

    /// Signs `message` (Ed25519, deterministic). Callers put their own domain label in front.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.pair.sign(message).as_ref());
        signature
    }

    /// The private half as PKCS#8, for the TLS configuration.
    pub(crate) fn pkcs8(&self) -> Vec<u8> {
        use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
        let der: Pkcs8V1Der<'_> = self
            .pair
            .as_der()
            .expect("a key pair made from a seed can be written down");
        der.as_ref().to_vec()
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "NodeKey({})", self.public.short())
    }
}

/// Whether `signature` is `signer`'s over `message`.
pub fn verify_signature(signer: &PeerId, message: &[u8], signature: &[u8; 64]) -> bool {
    ParsedPublicKey::new(&ED25519, signer.0)
        .is_ok_and(|key| key.verify_sig(message, signature).is_ok())
}

/// Proof that the other end of a connection holds this key. Only the TLS layer makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthenticatedPeer {
    id: PeerId,
}

impl AuthenticatedPeer {
    /// States that a handshake proved the key; only `quic/tls.rs` may say so.
    pub(crate) const fn assertion(id: PeerId) -> Self {
        Self { id }
    }

    /// A peer that no handshake proved, for simulators and tests.
    #[cfg(any(test, feature = "testing"))]
    pub const fn for_tests(id: PeerId) -> Self {
        Self { id }
    }

    /// The proven key.
    pub const fn id(&self) -> PeerId {
        self.id
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_id_survives_printing_and_parsing() {
        let id = NodeKey::from_seed([7; 32]).public();
        assert_eq!(id.to_string().parse::<PeerId>(), Ok(id));
        assert_eq!(id.to_string()[..16], hex(&id.origin()));
        assert!("12".parse::<PeerId>().is_err());
        assert!("zz".repeat(32).parse::<PeerId>().is_err());
    }

    #[test]
    fn the_first_test_vector_of_rfc_8032_holds() {
        let mut seed = [0; 32];
        let text = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        seed.copy_from_slice(text.parse::<PeerId>().unwrap().as_bytes());
        let key = NodeKey::from_seed(seed);
        assert_eq!(
            key.public().to_string(),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
        let signature = key.sign(b"");
        assert!(verify_signature(&key.public(), b"", &signature));
        assert!(!verify_signature(&key.public(), b"x", &signature));
    }

    #[test]
    fn a_one_time_key_depends_on_the_secret_and_on_who_invites() {
        let (a, b) = (PeerId([1; 32]), PeerId([2; 32]));
        let key = NodeKey::one_time(&[9; 16], &a).public();
        assert_eq!(key, NodeKey::one_time(&[9; 16], &a).public());
        assert_ne!(key, NodeKey::one_time(&[9; 16], &b).public());
        assert_ne!(key, NodeKey::one_time(&[8; 16], &a).public());
    }
}

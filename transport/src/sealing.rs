//! Sealing to nodes: what travels through others and only the named nodes can open.
//!
//! Content is encrypted once (AES-256-GCM) under a key drawn for it; the key is wrapped for each
//! node by HPKE (RFC 9180, base mode: DHKEM X25519, HKDF-SHA256, AES-256-GCM). Both are bound to a
//! context, so that nothing opens elsewhere. Does not know records or members.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::agreement;
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey};
use thiserror::Error;

/// Bytes of a wrapped content key: what HPKE encapsulates, then the key and its tag.
pub const WRAPPED_KEY_BYTES: usize = KEY_BYTES + KEY_BYTES + TAG_BYTES;

const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
const INFO: &[u8] = b"raccordo-sealing-1\0";

/// Something that is not sealed for this node, for this context, or is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("what is sealed does not open with this node's key")]
pub struct DoesNotOpen;

/// A public key that nothing can be sealed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("nothing can be sealed to this key")]
pub struct BadSealingKey;

/// A node's own key, with which it opens what was sealed to it.
#[derive(Clone)]
pub struct SealingKey {
    secret: [u8; KEY_BYTES],
    public: [u8; KEY_BYTES],
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SealingKey")
    }
}

impl Drop for SealingKey {
    fn drop(&mut self) {
        self.secret.fill(0);
    }
}

impl SealingKey {
    /// The key of these 32 random bytes.
    pub fn from_secret(secret: [u8; KEY_BYTES]) -> Self {
        let key = agreement::PrivateKey::from_private_key(&agreement::X25519, &secret)
            .expect("any 32 bytes are an X25519 key");
        let public = key
            .compute_public_key()
            .expect("every X25519 key has a public half");
        let mut bytes = [0; KEY_BYTES];
        bytes.copy_from_slice(public.as_ref());
        Self {
            secret,
            public: bytes,
        }
    }

    /// What others seal to.
    pub fn public(&self) -> [u8; KEY_BYTES] {
        self.public
    }

    /// The content key that was wrapped for this node in this context.
    pub fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<[u8; KEY_BYTES], DoesNotOpen> {
        let (encapsulated, text) = wrapped
            .split_at_checked(KEY_BYTES)
            .filter(|_| wrapped.len() == WRAPPED_KEY_BYTES)
            .ok_or(DoesNotOpen)?;
        let encapsulated = EncapsulatedSecret(encapsulated.to_vec());
        let secret = HpkePrivateKey::from(self.secret.to_vec());
        let suite = DH_KEM_X25519_HKDF_SHA256_AES_256;
        let opened = suite.open(&encapsulated, INFO, context, text, &secret);
        opened
            .ok()
            .and_then(|key| key.try_into().ok())
            .ok_or(DoesNotOpen)
    }
}

/// Wraps a content key for the node with this public key.
pub fn wrap(
    content_key: &[u8; KEY_BYTES],
    to: &[u8; KEY_BYTES],
    context: &[u8],
) -> Result<Vec<u8>, BadSealingKey> {
    let suite = DH_KEM_X25519_HKDF_SHA256_AES_256;
    let to = HpkePublicKey(to.to_vec());
    let sealed = suite.seal(INFO, context, content_key, &to);
    let (encapsulated, text) = sealed.map_err(|_| BadSealingKey)?;
    Ok([encapsulated.0, text].concat())
}

/// Encrypts content under a key that is used for nothing else.
pub fn seal(content_key: &[u8; KEY_BYTES], content: &[u8], context: &[u8]) -> Vec<u8> {
    let mut text = content.to_vec();
    // The key is drawn for this one content, so one nonce is all it ever sees.
    let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
    aead(content_key)
        .seal_in_place_append_tag(nonce, Aad::from(context), &mut text)
        .expect("content is far shorter than the cipher's limit of 64 GiB");
    text
}

/// Opens what [`seal`] made in the same context.
pub fn open(
    content_key: &[u8; KEY_BYTES],
    sealed: &[u8],
    context: &[u8],
) -> Result<Vec<u8>, DoesNotOpen> {
    let mut text = sealed.to_vec();
    let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
    let opened = aead(content_key).open_in_place(nonce, Aad::from(context), &mut text);
    let length = opened.map_err(|_| DoesNotOpen)?.len();
    text.truncate(length);
    Ok(text)
}

fn aead(key: &[u8; KEY_BYTES]) -> LessSafeKey {
    let unbound = UnboundKey::new(&AES_256_GCM, key).expect("the key has the cipher's length");
    LessSafeKey::new(unbound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_node_opens_what_was_sealed_and_only_in_its_context() {
        let (office, stranger) = (
            SealingKey::from_secret([1; 32]),
            SealingKey::from_secret([2; 32]),
        );
        let content_key = [7; 32];
        let sealed = seal(&content_key, b"Anna", b"transfer 1");
        assert!(!sealed.windows(4).any(|part| part == b"Anna"));
        let wrapped = wrap(&content_key, &office.public(), b"transfer 1").unwrap();
        assert_eq!(wrapped.len(), WRAPPED_KEY_BYTES);
        let key = office.unwrap(&wrapped, b"transfer 1").unwrap();
        assert_eq!(open(&key, &sealed, b"transfer 1").unwrap(), b"Anna");
        assert_eq!(open(&key, &sealed, b"transfer 2"), Err(DoesNotOpen));
        assert_eq!(office.unwrap(&wrapped, b"transfer 2"), Err(DoesNotOpen));
        assert_eq!(stranger.unwrap(&wrapped, b"transfer 1"), Err(DoesNotOpen));
        assert_eq!(
            office.unwrap(&wrapped[1..], b"transfer 1"),
            Err(DoesNotOpen)
        );
    }

    #[test]
    fn the_same_bytes_are_the_same_key() {
        let key = SealingKey::from_secret([9; 32]);
        assert_eq!(key.public(), SealingKey::from_secret([9; 32]).public());
        assert_eq!(format!("{key:?}"), "SealingKey");
    }
}

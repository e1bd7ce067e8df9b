//! A certificate made on the spot, for tests: self-signed, Ed25519, for `localhost`.
//!
//! Good from 2020 to 2049. Written in DER by hand, so that no test needs a program or a library.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use data_encoding::BASE64;

/// Object identifier of Ed25519, in DER (RFC 8410).
const ED25519: [u8; 5] = [0x06, 0x03, 0x2b, 0x65, 0x70];
/// Object identifier of a common name, in DER.
const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];
/// Object identifier of the other names of a subject, in DER.
const OTHER_NAMES: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x11];
/// Whom it is for.
const HOST: &[u8] = b"localhost";

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct MadePair {
    /// The certificate, in DER.
    pub der: Vec<u8>,
    /// The certificate, in PEM.
    pub cert: String,
    /// The private key, in PEM.
    pub key: String,
}

/// Another pair at every call.
pub fn made_pair() -> MadePair {
    let pair = Ed25519KeyPair::generate().expect("the system gives random bytes");
    let algorithm = tlv(0x30, &[&ED25519]);
    let name = tlv(0x30, &[&COMMON_NAME, &tlv(0x0c, &[HOST])]);
    let name = tlv(0x30, &[&tlv(0x31, &[&name])]);
    let dates = tlv(
        0x30,
        &[
            &tlv(0x17, &[b"200101000000Z"]),
            &tlv(0x17, &[b"491231235959Z"]),
        ],
    );
    let public = tlv(0x03, &[&[0], pair.public_key().as_ref()]);
    let hosts = tlv(0x30, &[&tlv(0x82, &[HOST])]);
    let extension = tlv(0x30, &[&OTHER_NAMES, &tlv(0x04, &[&hosts])]);
    let content = tlv(
        0x30,
        &[
            // Version 3, serial number 1.
            &[0xa0, 3, 0x02, 1, 2],
            &[0x02, 1, 1],
            &algorithm,
            &name,
            &dates,
            &name,
            &tlv(0x30, &[&algorithm, &public]),
            &tlv(0xa3, &[&tlv(0x30, &[&extension])]),
        ],
    );
    let signature = pair.sign(&content);
    let signature = tlv(0x03, &[&[0], signature.as_ref()]);
    let der = tlv(0x30, &[&content, &algorithm, &signature]);
    let key = pair.to_pkcs8().expect("a key that was just made");
    MadePair {
        cert: pem("CERTIFICATE", &der),
        key: pem("PRIVATE KEY", key.as_ref()),
        der,
    }
}

/// A value in DER: tag, length, content.
fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    let length = content.len().to_be_bytes();
    let short = content.len() < 0x80;
    let start = length.iter().position(|byte| *byte != 0).unwrap_or(7);
    let digits = &length[start..];
    if !short {
        out.push(0x80 | u8::try_from(digits.len()).expect("at most eight"));
    }
    out.extend_from_slice(digits);
    out.extend_from_slice(&content);
    out
}

fn pem(what: &str, der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let mut body = String::new();
    for line in text.as_bytes().chunks(64) {
        body.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        body.push('\n');
    }
    format!("-----BEGIN {what}-----\n{body}-----END {what}-----\n")
}

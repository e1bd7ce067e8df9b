//! The two frames of an invitation's redemption.
//!
//! The request carries the node's real key and its signature over this very connection (the TLS
//! exporter) and over everything it asks for, so that neither can be moved elsewhere.

use super::frame::{self, Frame, Malformed, Reader, put_text};
use super::message::standing;
use super::{TEXT_BYTES_MAX, kind};
use crate::host::{JoinAccepted, JoinRefused, JoinRequest};
use crate::identity::{NodeKey, PeerId, verify_signature};

/// Longest body of a join frame, in bytes.
pub(crate) const JOIN_FRAME_BYTES_MAX: usize = 1024;

const JOIN_LABEL: &[u8] = b"raccordo-join-1\0";

/// A request and the proof that its sender holds the key it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinProof {
    request: JoinRequest,
    signature: [u8; 64],
}

impl JoinProof {
    /// Signs a request for the connection whose exported keying material is `exporter`.
    pub(crate) fn sign(
        real: &NodeKey,
        name: &str,
        territory: &str,
        role: u8,
        exporter: &[u8; 32],
    ) -> Self {
        let request = JoinRequest {
            real: real.public(),
            name: name.to_owned(),
            territory: territory.to_owned(),
            role,
        };
        let signature = real.sign(&signed_bytes(&request, exporter));
        Self { request, signature }
    }

    /// The request, if its signature holds on this connection.
    pub(crate) fn verified(self, exporter: &[u8; 32]) -> Result<JoinRequest, JoinRefused> {
        let message = signed_bytes(&self.request, exporter);
        if verify_signature(&self.request.real, &message, &self.signature) {
            Ok(self.request)
        } else {
            Err(JoinRefused::Proof)
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = request_bytes(&self.request);
        body.extend_from_slice(&self.signature);
        frame::encode(kind::JOIN, &body)
    }

    pub(crate) fn parse(frame: &Frame) -> Result<Self, Malformed> {
        expect_kind(frame, kind::JOIN)?;
        let mut reader = Reader::new(&frame.body);
        let proof = Self {
            request: JoinRequest {
                real: PeerId::from_bytes(reader.array("the node's key")?),
                role: reader.byte("the role")?,
                territory: reader.text(TEXT_BYTES_MAX, "the territory")?,
                name: reader.text(TEXT_BYTES_MAX, "the name")?,
            },
            signature: reader.array("the signature")?,
        };
        reader.end()?;
        Ok(proof)
    }
}

/// What the coordination answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinAnswer(pub(crate) Result<JoinAccepted, JoinRefused>);

impl JoinAnswer {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match &self.0 {
            Ok(accepted) => {
                let mut body = vec![accepted.standing.code()];
                put_text(&mut body, &accepted.territory, TEXT_BYTES_MAX);
                put_text(&mut body, &accepted.name, TEXT_BYTES_MAX);
                frame::encode(kind::JOINED, &body)
            }
            Err(refused) => frame::encode(kind::JOIN_REFUSED, &[refused.code()]),
        }
    }

    pub(crate) fn parse(frame: &Frame) -> Result<Self, Malformed> {
        let mut reader = Reader::new(&frame.body);
        if frame.kind == kind::JOIN_REFUSED {
            let code = reader.byte("the refusal")?;
            return Ok(Self(Err(JoinRefused::from_code(code))));
        }
        expect_kind(frame, kind::JOINED)?;
        Ok(Self(Ok(JoinAccepted {
            standing: standing(&mut reader)?,
            territory: reader.text(TEXT_BYTES_MAX, "the territory")?,
            name: reader.text(TEXT_BYTES_MAX, "the name")?,
        })))
    }
}

fn expect_kind(frame: &Frame, expected: u8) -> Result<(), Malformed> {
    if frame.kind == expected {
        Ok(())
    } else {
        Err(Malformed::Meaningless {
            field: "the frame type",
            seen: u64::from(frame.kind),
        })
    }
}

fn request_bytes(request: &JoinRequest) -> Vec<u8> {
    let mut bytes = request.real.as_bytes().to_vec();
    bytes.push(request.role);
    put_text(&mut bytes, &request.territory, TEXT_BYTES_MAX);
    put_text(&mut bytes, &request.name, TEXT_BYTES_MAX);
    bytes
}

fn signed_bytes(request: &JoinRequest, exporter: &[u8; 32]) -> Vec<u8> {
    [JOIN_LABEL, exporter, &request_bytes(request)].concat()
}

/// The frames of an invitation's redemption as both sides read them, for tests from outside.
#[cfg(any(test, feature = "testing"))]
pub mod redemption {
    use super::super::frame::{Frame, FrameBuffer, Malformed};
    use super::{JOIN_FRAME_BYTES_MAX, JoinAnswer, JoinProof};
    use crate::host::{JoinAccepted, JoinRefused, JoinRequest};
    use crate::identity::NodeKey;

    /// What is asked for, if the proof holds, and the bytes of its frame.
    pub type Question = (Result<JoinRequest, JoinRefused>, Vec<u8>);

    /// The frame in which a node asks, on the connection with this exported keying material.
    pub fn request(
        real: &NodeKey,
        name: &str,
        territory: &str,
        role: u8,
        on: &[u8; 32],
    ) -> Vec<u8> {
        JoinProof::sign(real, name, territory, role, on).encode()
    }

    /// The frame that answers.
    pub fn answer(answer: Result<JoinAccepted, JoinRefused>) -> Vec<u8> {
        JoinAnswer(answer).encode()
    }

    /// What a node is asked for on that connection, and the bytes of the question's frame; none
    /// while the frame is not whole.
    pub fn read_request(bytes: &[u8], on: &[u8; 32]) -> Result<Option<Question>, Malformed> {
        let Some(frame) = frame(bytes)? else {
            return Ok(None);
        };
        let proof = JoinProof::parse(&frame)?;
        let bytes = proof.encode();
        Ok(Some((proof.verified(on), bytes)))
    }

    /// What was answered; none while the frame is not whole.
    pub fn read_answer(
        bytes: &[u8],
    ) -> Result<Option<Result<JoinAccepted, JoinRefused>>, Malformed> {
        let Some(frame) = frame(bytes)? else {
            return Ok(None);
        };
        JoinAnswer::parse(&frame).map(|answer| Some(answer.0))
    }

    fn frame(bytes: &[u8]) -> Result<Option<Frame>, Malformed> {
        let mut buffer = FrameBuffer::new(JOIN_FRAME_BYTES_MAX);
        buffer.push(bytes);
        buffer.next_frame()
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::super::frame::FrameBuffer;
    use super::*;
    use crate::host::Standing;

    fn check(bytes: &[u8], expected: &Expect) {
        use std::fmt::Write as _;
        let mut text = String::new();
        for byte in bytes {
            write!(text, "{byte:02x}").unwrap();
        }
        expected.assert_eq(&text);
    }

    fn only_frame(bytes: &[u8]) -> Frame {
        let mut buffer = FrameBuffer::new(JOIN_FRAME_BYTES_MAX);
        buffer.push(bytes);
        buffer.next_frame().unwrap().unwrap()
    }

    #[test]
    fn a_request_proves_its_key_on_its_own_connection_only() {
        let key = NodeKey::from_seed([3; 32]);
        let sent = JoinProof::sign(&key, "Alatri", "frosinone/a", 0, &[5; 32]);
        let bytes = sent.encode();
        check(
            &bytes,
            &expect![
                "7420ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1000b66726f73696e6f6e652f6106416c61747269df2f0d6ea29a77c3a31c322ee41b2042de88846453e1fb4ec91485d02f420b6dbf33a698afdc971044b39c8ea5d808ce33ad2bf3664d9c66d935335bf14b8401"
            ],
        );
        let seen = JoinProof::parse(&only_frame(&bytes)).unwrap();
        assert_eq!(seen, sent);
        assert_eq!(
            seen.clone().verified(&[5; 32]).unwrap().territory,
            "frosinone/a"
        );
        assert_eq!(seen.clone().verified(&[6; 32]), Err(JoinRefused::Proof));
        let mut moved = seen;
        moved.request.territory = "frosinone/b".to_owned();
        assert_eq!(moved.verified(&[5; 32]), Err(JoinRefused::Proof));
    }

    #[test]
    fn both_answers_survive() {
        let accepted = JoinAnswer(Ok(JoinAccepted {
            name: "Frosinone".to_owned(),
            territory: "frosinone".to_owned(),
            standing: Standing::Pending,
        }));
        let bytes = accepted.encode();
        check(
            &bytes,
            &expect!["1521010966726f73696e6f6e650946726f73696e6f6e65"],
        );
        assert_eq!(JoinAnswer::parse(&only_frame(&bytes)), Ok(accepted));
        let refused = JoinAnswer(Err(JoinRefused::Expired));
        assert_eq!(refused.encode(), [1, 0x22, 2]);
        assert_eq!(
            JoinAnswer::parse(&only_frame(&refused.encode())),
            Ok(refused)
        );
    }

    #[test]
    fn every_truncation_of_a_request_is_refused() {
        let key = NodeKey::from_seed([3; 32]);
        let whole = only_frame(&JoinProof::sign(&key, "n", "t", 0, &[5; 32]).encode());
        for length in 0..whole.body.len() {
            let cut = Frame {
                kind: whole.kind,
                body: whole.body.slice(..length),
            };
            assert!(JoinProof::parse(&cut).is_err());
        }
    }
}

//! Redeeming an invitation: a connection under the one-time key that carries one question and one answer.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::time::timeout;

use super::driver::reason_of_loss;
use super::endpoint::{BindFailed, transport_config};
use super::streams::{Counters, FrameReader, FrameWriter, StreamEnded};
use super::tls::{ALPN_JOIN, Admit, Identity, SERVER_NAME};
use crate::host::{Host, JoinAccepted, JoinRefused};
use crate::identity::{NodeKey, PeerId};
use crate::link::{CloseReason, Versions};
use crate::wire::{JOIN_FRAME_BYTES_MAX, JoinAnswer, JoinProof};

/// Label of the TLS exporter that a request is signed over.
const EXPORTER_LABEL: &[u8] = b"raccordo-join-1";

/// A redemption ends within this time, one way or the other.
const REDEEM_DEADLINE: Duration = Duration::from_secs(10);

/// The request must be there this long after the handshake.
const REQUEST_DEADLINE: Duration = Duration::from_secs(5);

/// How long an answered joiner may take to close.
const FAREWELL_DEADLINE: Duration = Duration::from_secs(3);

/// An invitation could not be redeemed.
#[derive(Debug, thiserror::Error)]
pub enum JoinFailed {
    /// The coordination refused it, with a reason.
    #[error(transparent)]
    Refused(JoinRefused),
    /// The handshake failed: the coordination does not admit the one-time key, or has another key.
    #[error(
        "the coordination does not admit the invitation: it is unknown, expired, used, or another node's"
    )]
    NotAdmitted {
        /// What TLS said.
        detail: String,
    },
    /// The coordination speaks another protocol of joining.
    #[error("the node that was reached speaks another version of the protocol")]
    Version,
    /// No answer in time, or no way there.
    #[error("the coordination cannot be reached: {detail}")]
    Unreachable {
        /// What the network said.
        detail: String,
    },
    /// The answer made no sense.
    #[error("the coordination broke the protocol: {detail}")]
    Protocol {
        /// Which rule.
        detail: String,
    },
    /// No socket for it.
    #[error("no socket to join from")]
    Bind(#[source] BindFailed),
}

/// What a joiner presents.
#[derive(Debug)]
pub(super) struct Introduction<'a> {
    pub(super) real: &'a NodeKey,
    pub(super) name: &'a str,
    pub(super) territory: &'a str,
    pub(super) role: u8,
}

/// Redeems an invitation at `address` from a socket of its own.
pub(super) async fn redeem(
    address: SocketAddr,
    coordination: PeerId,
    one_time: &NodeKey,
    introduction: Introduction<'_>,
) -> Result<JoinAccepted, JoinFailed> {
    let any = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let tls = |error: rustls::Error| {
        JoinFailed::Bind(BindFailed::Tls {
            detail: error.to_string(),
        })
    };
    let identity = Identity::new(one_time).map_err(tls)?;
    let crypto = identity
        .client(Admit::Exactly(coordination), vec![ALPN_JOIN.to_vec()])
        .map_err(tls)?;
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport_config(true)));
    let endpoint = quinn::Endpoint::client(any).map_err(|source| {
        JoinFailed::Bind(BindFailed::Address {
            address: any,
            source,
        })
    })?;
    let asked = timeout(REDEEM_DEADLINE, async {
        let connecting = endpoint
            .connect_with(config, address, SERVER_NAME)
            .map_err(|error| JoinFailed::Unreachable {
                detail: error.to_string(),
            })?;
        let connection = connecting.await.map_err(|lost| failure(&lost))?;
        let answer = ask(&connection, &introduction).await;
        connection.close(VarInt::from_u32(0), b"");
        answer
    })
    .await;
    endpoint.close(VarInt::from_u32(0), b"");
    // The coordination hears the farewell or it does not: the answer is here.
    timeout(FAREWELL_DEADLINE, endpoint.wait_idle())
        .await
        .unwrap_or_default();
    asked.unwrap_or_else(|_| {
        Err(JoinFailed::Unreachable {
            detail: format!("no answer within {} s", REDEEM_DEADLINE.as_secs()),
        })
    })
}

async fn ask(
    connection: &Connection,
    introduction: &Introduction<'_>,
) -> Result<JoinAccepted, JoinFailed> {
    let counters = Counters::default();
    let (send, receive) = connection.open_bi().await.map_err(|lost| failure(&lost))?;
    let exporter = exporter(connection).ok_or_else(|| JoinFailed::Protocol {
        detail: "no keying material".to_owned(),
    })?;
    let proof = JoinProof::sign(
        introduction.real,
        introduction.name,
        introduction.territory,
        introduction.role,
        &exporter,
    );
    say(send, proof.encode(), &counters)
        .await
        .map_err(|ended| stream_failure(&ended))?;
    let mut frames = FrameReader::new(receive, "join", JOIN_FRAME_BYTES_MAX);
    let frame = frames
        .next(&counters)
        .await
        .map_err(|ended| stream_failure(&ended))?;
    let answer = JoinAnswer::parse(&frame).map_err(|malformed| JoinFailed::Protocol {
        detail: malformed.to_string(),
    })?;
    answer.0.map_err(JoinFailed::Refused)
}

/// Answers one joiner, whose one-time key the handshake proved.
pub(super) async fn answer(connection: Connection, one_time: PeerId, host: Arc<dyn Host>) {
    let counters = Counters::default();
    let asked = timeout(REQUEST_DEADLINE, request(&connection, &counters)).await;
    let Ok(Ok((proof, send))) = asked else {
        tracing::debug!(peer = %one_time.short(), "a joiner asked nothing that could be read");
        let reason = CloseReason::Protocol {
            detail: "no join request that could be read".to_owned(),
        };
        let code = VarInt::from_u32(u32::from(crate::wire::refusal_code(&reason)));
        connection.close(code, &crate::wire::encode_refusal(&reason));
        return;
    };
    let verified = exporter(&connection)
        .ok_or(JoinRefused::Proof)
        .and_then(|exporter| proof.verified(&exporter));
    let answer = match verified {
        Ok(request) => host.join(one_time, request).await,
        Err(refused) => Err(refused),
    };
    let said = say(send, JoinAnswer(answer).encode(), &counters).await;
    if said.is_ok() {
        // The joiner closes once it has read; closing here could overtake the answer.
        timeout(FAREWELL_DEADLINE, connection.closed())
            .await
            .map(drop)
            .unwrap_or_default();
    }
    connection.close(VarInt::from_u32(0), b"");
}

async fn request(
    connection: &Connection,
    counters: &Counters,
) -> Result<(JoinProof, SendStream), StreamEnded> {
    let (send, receive): (SendStream, RecvStream) = connection
        .accept_bi()
        .await
        .map_err(StreamEnded::Connection)?;
    let mut frames = FrameReader::new(receive, "join", JOIN_FRAME_BYTES_MAX);
    let frame = frames.next(counters).await?;
    let proof = JoinProof::parse(&frame).map_err(StreamEnded::Malformed)?;
    Ok((proof, send))
}

async fn say(send: SendStream, frame: Vec<u8>, counters: &Counters) -> Result<(), StreamEnded> {
    let mut writer = FrameWriter::new(send, "join");
    writer.push(&frame.into());
    while writer.has_unwritten() {
        writer.flush(counters, usize::MAX).await?;
    }
    writer.finish();
    Ok(())
}

fn exporter(connection: &Connection) -> Option<[u8; 32]> {
    let mut exported = [0; 32];
    connection
        .export_keying_material(&mut exported, EXPORTER_LABEL, b"")
        .ok()?;
    Some(exported)
}

fn stream_failure(ended: &StreamEnded) -> JoinFailed {
    match ended {
        StreamEnded::Connection(lost) => failure(lost),
        StreamEnded::Malformed(_) | StreamEnded::Ended(_) => JoinFailed::Protocol {
            detail: ended.to_string(),
        },
    }
}

fn failure(lost: &quinn::ConnectionError) -> JoinFailed {
    match reason_of_loss(lost, Versions::CURRENT) {
        CloseReason::Refused { detail } => JoinFailed::NotAdmitted { detail },
        CloseReason::Version { .. } => JoinFailed::Version,
        CloseReason::Protocol { detail } => JoinFailed::Protocol { detail },
        other => JoinFailed::Unreachable {
            detail: other.to_string(),
        },
    }
}

//! The messages of the control stream: hello, standing, ack, ping, proof.
//!
//! Guarantees: `Message::parse(encode(m)) == m`; a hello's first three bytes are frozen for ever, so
//! that peers of any two versions can name theirs. A hello may grow at its end: later minor versions
//! append, older ones ignore the rest.

use super::frame::{self, Malformed, Reader, put_varint};
use super::{LOGS_MAX, kind};
use crate::host::{LocalHello, Positions, Standing};
use crate::link::{RemoteHello, Versions};
use crate::log::{Cursor, LogId};

/// Optional features of this build; a bit is never reused.
pub const SUPPORTED_FEATURES: u64 = 0;

/// Positions as a peer is told them; empty while it is not approved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// What the sender durably holds of the receiver's logs.
    pub held: Vec<Cursor>,
    /// The durable ends of the logs that the sender offers.
    pub heads: Vec<Cursor>,
    /// Digest over the documents that the two share.
    pub digest: [u8; 32],
}

impl From<&Positions> for Told {
    fn from(positions: &Positions) -> Self {
        Self {
            held: positions.held.clone(),
            heads: positions.heads().collect(),
            digest: positions.digest,
        }
    }
}

/// The greeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// What the sender says of itself.
    pub remote: RemoteHello,
    /// Features without which the sender cannot speak with us.
    pub required: u64,
    /// Its positions towards us; empty while it does not regard us as approved.
    pub positions: Told,
}

/// A log as an acknowledgement names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogReference {
    /// The n-th log, from 0, that the receiver's data stream named.
    Index(usize),
    /// By name: a log that the data stream did not name yet.
    Named(LogId),
}

/// One log's durable end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckedLog {
    /// Which.
    pub log: LogReference,
    /// Number of the last durable entry.
    pub seq: u64,
    /// Its entry hash.
    pub hash: [u8; 32],
}

/// A control frame, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Greeting.
    Hello(Box<Hello>),
    /// How the sender regards the receiver now.
    Standing {
        /// Its word.
        standing: Standing,
        /// Its positions; empty unless approved.
        positions: Told,
    },
    /// What the sender durably holds of the receiver's logs.
    Ack(Vec<AckedLog>),
    /// Alive.
    Ping {
        /// The sender's wall clock, unix milliseconds.
        clock_ms: u64,
        /// Ends of the sender's logs that run ahead of what it sent.
        heads: Vec<Cursor>,
    },
    /// The sender's positions and digest, to be compared.
    Proof(Told),
}

impl Hello {
    /// The hello of this node towards a peer.
    pub fn of(versions: Versions, local: &LocalHello, standing: Standing, positions: Told) -> Self {
        Self {
            remote: RemoteHello {
                versions,
                features: SUPPORTED_FEATURES,
                lineage: local.lineage,
                incarnation: local.incarnation,
                role: local.role,
                clock_ms: local.clock_ms,
                policy_epoch: local.policy_epoch,
                standing,
            },
            required: 0,
            positions,
        }
    }

    /// The versions that a hello of whatever version names.
    pub fn versions(body: &[u8]) -> Result<Versions, Malformed> {
        let [major, minor_min, minor_max] = Reader::new(body).array("the versions")?;
        Ok(Versions {
            major,
            minor_min,
            minor_max,
        })
    }

    fn encode(&self) -> Vec<u8> {
        let remote = &self.remote;
        let mut body = vec![
            remote.versions.major,
            remote.versions.minor_min,
            remote.versions.minor_max,
        ];
        put_varint(&mut body, remote.features);
        put_varint(&mut body, self.required);
        body.extend_from_slice(&remote.lineage);
        body.extend_from_slice(&remote.incarnation);
        body.push(remote.role);
        body.push(remote.standing.code());
        body.extend_from_slice(&remote.clock_ms.to_be_bytes());
        put_varint(&mut body, u64::from(remote.policy_epoch));
        put_positions(&mut body, &self.positions);
        body
    }

    fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let versions = Self::versions(body)?;
        let mut reader = Reader::new(body);
        reader.slice(3, "the versions")?;
        let features = reader.varint("the features")?;
        let required = reader.varint("the required features")?;
        Ok(Self {
            required,
            remote: RemoteHello {
                versions,
                features,
                lineage: reader.array("the lineage")?,
                incarnation: reader.array("the incarnation")?,
                role: reader.byte("the role")?,
                standing: standing(&mut reader)?,
                clock_ms: u64::from_be_bytes(reader.array("the clock")?),
                policy_epoch: policy_epoch(&mut reader)?,
            },
            positions: positions(&mut reader)?,
        })
    }
}

impl Message {
    /// The message's frame.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Hello(hello) => frame::encode(kind::HELLO, &hello.encode()),
            Self::Standing {
                standing,
                positions,
            } => {
                let mut body = vec![standing.code()];
                put_positions(&mut body, positions);
                frame::encode(kind::STANDING, &body)
            }
            Self::Ack(logs) => frame::encode(kind::ACK, &encode_ack(logs)),
            Self::Ping { clock_ms, heads } => {
                let mut body = clock_ms.to_be_bytes().to_vec();
                put_cursors(&mut body, heads);
                frame::encode(kind::PING, &body)
            }
            Self::Proof(positions) => {
                let mut body = Vec::new();
                put_positions(&mut body, positions);
                frame::encode(kind::PROOF, &body)
            }
        }
    }

    /// Understands a control frame; `None` for one that may be skipped.
    pub fn parse(frame_kind: u8, body: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut reader = Reader::new(body);
        let message = match frame_kind {
            // A hello may be longer than we know: no check of its end.
            kind::HELLO => {
                return Hello::parse(body).map(|hello| Some(Self::Hello(Box::new(hello))));
            }
            kind::STANDING => Self::Standing {
                standing: standing(&mut reader)?,
                positions: positions(&mut reader)?,
            },
            kind::ACK => Self::Ack(parse_ack(&mut reader)?),
            kind::PING => Self::Ping {
                clock_ms: u64::from_be_bytes(reader.array("the clock")?),
                heads: cursors(&mut reader)?,
            },
            kind::PROOF => Self::Proof(positions(&mut reader)?),
            other if other & kind::SKIPPABLE != 0 => return Ok(None),
            other => {
                return Err(Malformed::Meaningless {
                    field: "the frame type",
                    seen: u64::from(other),
                });
            }
        };
        reader.end()?;
        Ok(Some(message))
    }
}

/// Appends a log's name: origin, lane.
pub(super) fn put_log(bytes: &mut Vec<u8>, log: LogId) {
    bytes.extend_from_slice(&log.origin);
    bytes.push(log.lane);
}

/// Reads a log's name.
pub(super) fn log(reader: &mut Reader<'_>) -> Result<LogId, Malformed> {
    Ok(LogId {
        origin: reader.array("a log's origin")?,
        lane: reader.byte("a log's lane")?,
    })
}

/// Reads a standing.
pub(super) fn standing(reader: &mut Reader<'_>) -> Result<Standing, Malformed> {
    let code = reader.byte("the standing")?;
    Standing::from_code(code).ok_or(Malformed::Meaningless {
        field: "the standing",
        seen: u64::from(code),
    })
}

fn policy_epoch(reader: &mut Reader<'_>) -> Result<u32, Malformed> {
    let seen = reader.varint("the policy epoch")?;
    u32::try_from(seen).map_err(|_| Malformed::Meaningless {
        field: "the policy epoch",
        seen,
    })
}

fn put_cursors(bytes: &mut Vec<u8>, cursors: &[Cursor]) {
    put_varint(bytes, u64::try_from(cursors.len()).unwrap_or(u64::MAX));
    for cursor in cursors {
        put_log(bytes, cursor.log);
        put_varint(bytes, cursor.seq);
        if cursor.seq > 0 {
            bytes.extend_from_slice(&cursor.hash);
        }
    }
}

fn cursors(reader: &mut Reader<'_>) -> Result<Vec<Cursor>, Malformed> {
    let count = reader.count(LOGS_MAX, "the number of logs")?;
    let mut cursors = Vec::new();
    for _ in 0..count {
        let log = log(reader)?;
        let seq = reader.varint("a log's position")?;
        let hash = match seq {
            0 => [0; 32],
            _ => reader.array("an entry's hash")?,
        };
        cursors.push(Cursor { log, seq, hash });
    }
    Ok(cursors)
}

fn put_positions(bytes: &mut Vec<u8>, positions: &Told) {
    bytes.extend_from_slice(&positions.digest);
    put_cursors(bytes, &positions.held);
    put_cursors(bytes, &positions.heads);
}

fn positions(reader: &mut Reader<'_>) -> Result<Told, Malformed> {
    Ok(Told {
        digest: reader.array("the digest")?,
        held: cursors(reader)?,
        heads: cursors(reader)?,
    })
}

fn encode_ack(logs: &[AckedLog]) -> Vec<u8> {
    let mut body = Vec::new();
    put_varint(&mut body, u64::try_from(logs.len()).unwrap_or(u64::MAX));
    for acked in logs {
        put_log_reference(&mut body, acked.log);
        put_varint(&mut body, acked.seq);
        body.extend_from_slice(&acked.hash);
    }
    body
}

fn parse_ack(reader: &mut Reader<'_>) -> Result<Vec<AckedLog>, Malformed> {
    let count = reader.count(LOGS_MAX, "the number of logs")?;
    let mut logs = Vec::new();
    for _ in 0..count {
        logs.push(AckedLog {
            log: log_reference(reader)?,
            seq: reader.varint("a log's position")?,
            hash: reader.array("an entry's hash")?,
        });
    }
    Ok(logs)
}

/// 0 and the name, or the index + 1.
pub(super) fn put_log_reference(bytes: &mut Vec<u8>, reference: LogReference) {
    match reference {
        LogReference::Named(log) => {
            bytes.push(0);
            put_log(bytes, log);
        }
        LogReference::Index(index) => {
            put_varint(
                bytes,
                u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1),
            );
        }
    }
}

/// Reads 0 and a name, or an index + 1.
pub(super) fn log_reference(reader: &mut Reader<'_>) -> Result<LogReference, Malformed> {
    match reader.count(LOGS_MAX, "the index of a log")? {
        0 => Ok(LogReference::Named(log(reader)?)),
        above => Ok(LogReference::Index(above.saturating_sub(1))),
    }
}

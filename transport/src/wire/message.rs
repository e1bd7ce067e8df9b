//! The messages of the control stream, from hello to evidence.
//!
//! Guarantees: `Message::parse(encode(m)) == m`; a hello's first three bytes are frozen for ever, so
//! that peers of any two versions can name theirs. A hello may grow at its end: later minor versions
//! append, older ones ignore the rest.

use super::frame::{self, Malformed, Reader, put_text, put_varint};
use super::positions::{
    Told, cursor, cursors, log, logs, put_cursor, put_cursors, put_log, put_logs, put_told, told,
};
use super::seen::{put_seen, seen};
use super::{LOGS_MAX, SEEN_ITEMS_MAX, TEXT_BYTES_MAX, kind};
use crate::entry::{EntryHeader, SignedHeader};
use crate::host::{LocalHello, Seen, Standing, StopCode, Stopped};
use crate::link::{RemoteHello, Versions};
use crate::log::{Cursor, LogId};

/// Optional features of this build; a bit is never reused.
pub const SUPPORTED_FEATURES: u64 = 0;

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
    Ping(Ping),
    /// The sender's positions and digest, to be compared.
    Proof(Told),
    /// All that the sender durably holds of relayed logs that the receiver may offer.
    Cursors(Vec<Cursor>),
    /// The sender wants these logs from here.
    Resume(Vec<Cursor>),
    /// The sender takes no more of a log.
    Stopped(Stopped),
    /// The sender's entry at a place where the two sides contradict each other.
    Evidence(Box<SignedHeader>),
    /// Logs that the receiver holds and the sender does not offer: all of them, each time.
    Withdrawn(Vec<LogId>),
    /// To be answered at once with the same number.
    Probe(u64),
    /// The answer to the probe of that number.
    Answer(u64),
    /// Documents of the receiver's that people at the sender have opened.
    Seen(Vec<Seen>),
    /// So many of them, the last ones told, are durably known.
    SeenKept(usize),
}

/// A sign of life with what a clock's offset is computed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ping {
    /// The sender's wall clock, unix milliseconds.
    pub clock_ms: u64,
    /// The clock in the last hello or ping that the sender heard; 0 before the first.
    pub echo_ms: u64,
    /// How long ago it heard that, milliseconds.
    pub since_ms: u64,
    /// Ends of logs that run ahead of what the sender sent.
    pub heads: Vec<Cursor>,
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
        put_told(&mut body, &self.positions);
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
            positions: told(&mut reader)?,
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
                put_told(&mut body, positions);
                frame::encode(kind::STANDING, &body)
            }
            Self::Ack(logs) => frame::encode(kind::ACK, &encode_ack(logs)),
            Self::Ping(ping) => frame::encode(kind::PING, &ping.encode()),
            Self::Proof(positions) => {
                let mut body = Vec::new();
                put_told(&mut body, positions);
                frame::encode(kind::PROOF, &body)
            }
            Self::Cursors(cursors) => cursors_frame(kind::CURSORS, cursors),
            Self::Resume(cursors) => cursors_frame(kind::RESUME, cursors),
            Self::Stopped(stopped) => frame::encode(kind::STOPPED, &encode_stopped(stopped)),
            Self::Evidence(signed) => {
                let body = [signed.header.to_bytes().as_slice(), &signed.signature].concat();
                frame::encode(kind::EVIDENCE, &body)
            }
            Self::Withdrawn(logs) => {
                let mut body = Vec::new();
                put_logs(&mut body, logs);
                frame::encode(kind::WITHDRAWN, &body)
            }
            Self::Probe(number) => frame::encode(kind::PROBE, &number.to_be_bytes()),
            Self::Answer(number) => frame::encode(kind::ANSWER, &number.to_be_bytes()),
            Self::Seen(items) => {
                let mut body = Vec::new();
                put_seen(&mut body, items);
                frame::encode(kind::SEEN, &body)
            }
            Self::SeenKept(count) => {
                let mut body = Vec::new();
                put_varint(&mut body, u64::try_from(*count).unwrap_or(u64::MAX));
                frame::encode(kind::SEEN_KEPT, &body)
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
                positions: told(&mut reader)?,
            },
            kind::ACK => Self::Ack(parse_ack(&mut reader)?),
            kind::PING => Self::Ping(Ping::parse(&mut reader)?),
            kind::PROOF => Self::Proof(told(&mut reader)?),
            kind::CURSORS => Self::Cursors(cursors(&mut reader)?),
            kind::RESUME => Self::Resume(cursors(&mut reader)?),
            kind::STOPPED => Self::Stopped(stopped(&mut reader)?),
            kind::EVIDENCE => Self::Evidence(Box::new(evidence(&mut reader)?)),
            kind::WITHDRAWN => Self::Withdrawn(logs(&mut reader)?),
            kind::PROBE => Self::Probe(u64::from_be_bytes(reader.array("the number")?)),
            kind::ANSWER => Self::Answer(u64::from_be_bytes(reader.array("the number")?)),
            kind::SEEN => Self::Seen(seen(&mut reader)?),
            kind::SEEN_KEPT => {
                Self::SeenKept(reader.count(SEEN_ITEMS_MAX, "the number of documents")?)
            }
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

impl Ping {
    fn encode(&self) -> Vec<u8> {
        let mut body = self.clock_ms.to_be_bytes().to_vec();
        body.extend_from_slice(&self.echo_ms.to_be_bytes());
        put_varint(&mut body, self.since_ms);
        put_cursors(&mut body, &self.heads);
        body
    }

    fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            clock_ms: u64::from_be_bytes(reader.array("the clock")?),
            echo_ms: u64::from_be_bytes(reader.array("the echoed clock")?),
            since_ms: reader.varint("the time since")?,
            heads: cursors(reader)?,
        })
    }
}

fn cursors_frame(frame_kind: u8, cursors: &[Cursor]) -> Vec<u8> {
    let mut body = Vec::new();
    put_cursors(&mut body, cursors);
    frame::encode(frame_kind, &body)
}

fn encode_stopped(stopped: &Stopped) -> Vec<u8> {
    let mut body = Vec::new();
    put_cursor(&mut body, &stopped.cursor);
    body.push(stopped.code.code());
    put_text(&mut body, &stopped.detail, TEXT_BYTES_MAX);
    body
}

/// A code of a later version reads as a refusal: it stops the log all the same.
fn stopped(reader: &mut Reader<'_>) -> Result<Stopped, Malformed> {
    Ok(Stopped {
        cursor: cursor(reader)?,
        code: StopCode::from_code(reader.byte("the code of a stop")?).unwrap_or(StopCode::Refused),
        detail: reader.text(TEXT_BYTES_MAX, "the detail of a stop")?,
    })
}

fn evidence(reader: &mut Reader<'_>) -> Result<SignedHeader, Malformed> {
    let bytes = reader.array("a header")?;
    let header = EntryHeader::from_bytes(&bytes).ok_or(Malformed::Meaningless {
        field: "a header",
        seen: u64::from(bytes[0]),
    })?;
    let signature = reader.array("a signature")?;
    Ok(SignedHeader { header, signature })
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

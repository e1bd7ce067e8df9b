//! Why a connection is closed, as the peer reads it: code and reason of QUIC's close frame.
//!
//! The close frame overtakes everything and needs no window, so a refusal always gets out. Its reason
//! bytes are a REFUSE frame. "Ours" and "theirs" are said from the sender's side and turned on arrival.

use super::frame::{FrameBuffer, Reader, encode, put_text, put_varint};
use super::positions::{log, put_log};
use super::{TEXT_BYTES_MAX, kind};
use crate::entry::{BadEntry, EntryFault};
use crate::link::{CloseReason, Rollback, Side, Versions};

/// Longest body of a refusal, in bytes; fits one datagram.
pub const REFUSAL_BYTES_MAX: usize = 512;

mod code {
    pub(super) const SHUTDOWN: u8 = 1;
    pub(super) const REPLACED: u8 = 2;
    pub(super) const REVOKED: u8 = 3;
    pub(super) const SUSPENDED: u8 = 4;
    pub(super) const UNKNOWN: u8 = 5;
    pub(super) const VERSION: u8 = 6;
    pub(super) const ROLLED_BACK: u8 = 7;
    pub(super) const BAD_ENTRY: u8 = 8;
    pub(super) const PROTOCOL: u8 = 9;
    pub(super) const HOST_FAILED: u8 = 10;
    pub(super) const SILENT: u8 = 11;
    pub(super) const GONE: u8 = 12;
    pub(super) const CLONED: u8 = 13;
}

/// The application close code of a reason.
pub const fn refusal_code(reason: &CloseReason) -> u8 {
    match reason {
        CloseReason::Shutdown => code::SHUTDOWN,
        CloseReason::Replaced => code::REPLACED,
        CloseReason::Revoked => code::REVOKED,
        CloseReason::Suspended => code::SUSPENDED,
        CloseReason::Unknown => code::UNKNOWN,
        CloseReason::Version { .. } => code::VERSION,
        CloseReason::RolledBack(_) => code::ROLLED_BACK,
        CloseReason::BadEntry { .. } => code::BAD_ENTRY,
        CloseReason::Protocol { .. } => code::PROTOCOL,
        CloseReason::HostFailed { .. } => code::HOST_FAILED,
        CloseReason::Silent => code::SILENT,
        CloseReason::Cloned => code::CLONED,
        CloseReason::Unreachable { .. } | CloseReason::Refused { .. } => code::GONE,
    }
}

/// The REFUSE frame that tells the peer.
pub fn encode_refusal(reason: &CloseReason) -> Vec<u8> {
    let mut body = vec![refusal_code(reason)];
    match reason {
        CloseReason::Version { ours, .. } => {
            body.extend_from_slice(&[ours.major, ours.minor_min, ours.minor_max]);
        }
        CloseReason::RolledBack(rollback) => {
            put_log(&mut body, rollback.log);
            put_varint(&mut body, rollback.held_seq);
            put_varint(&mut body, rollback.head_seq);
            body.push(side_code(rollback.whose));
        }
        CloseReason::BadEntry { entry, by } => {
            put_log(&mut body, entry.log);
            put_varint(&mut body, entry.seq);
            body.push(entry.fault.code());
            body.push(side_code(*by));
        }
        CloseReason::Protocol { detail } => put_text(&mut body, detail, TEXT_BYTES_MAX),
        // What our store or our network said is our operator's business.
        CloseReason::HostFailed { .. }
        | CloseReason::Unreachable { .. }
        | CloseReason::Refused { .. }
        | CloseReason::Shutdown
        | CloseReason::Replaced
        | CloseReason::Revoked
        | CloseReason::Suspended
        | CloseReason::Unknown
        | CloseReason::Cloned
        | CloseReason::Silent => {}
    }
    encode(kind::REFUSE, &body)
}

/// What the peer's close frame says, from our side; `ours` is what we speak. A refusal that cannot be
/// read is reported as the peer being gone, with its number.
pub fn decode_refusal(close_code: u64, reason: &[u8], ours: Versions) -> CloseReason {
    read(reason, ours).unwrap_or_else(|| CloseReason::Unreachable {
        detail: format!("the peer closed the connection with code {close_code}"),
    })
}

fn read(reason: &[u8], ours: Versions) -> Option<CloseReason> {
    let mut buffer = FrameBuffer::new(REFUSAL_BYTES_MAX);
    buffer.push(reason);
    let frame = buffer.next_frame().ok()??;
    if frame.kind != kind::REFUSE {
        return None;
    }
    let mut reader = Reader::new(&frame.body);
    Some(match reader.byte("the code").ok()? {
        code::SHUTDOWN => CloseReason::Shutdown,
        code::REPLACED => CloseReason::Replaced,
        code::REVOKED => CloseReason::Revoked,
        code::SUSPENDED => CloseReason::Suspended,
        code::UNKNOWN => CloseReason::Unknown,
        code::VERSION => {
            let [major, minor_min, minor_max] = reader.array("the versions").ok()?;
            CloseReason::Version {
                ours,
                theirs: Some(Versions {
                    major,
                    minor_min,
                    minor_max,
                }),
            }
        }
        code::ROLLED_BACK => CloseReason::RolledBack(Rollback {
            log: log(&mut reader).ok()?,
            held_seq: reader.varint("the number held").ok()?,
            held_hash: None,
            head_seq: reader.varint("the number of the head").ok()?,
            whose: turned(reader.byte("whose").ok()?),
        }),
        code::BAD_ENTRY => CloseReason::BadEntry {
            entry: BadEntry {
                log: log(&mut reader).ok()?,
                seq: reader.varint("the entry's number").ok()?,
                fault: EntryFault::from_code(reader.byte("the fault").ok()?),
            },
            by: turned(reader.byte("by whom").ok()?),
        },
        code::PROTOCOL => CloseReason::Protocol {
            detail: reader.text(TEXT_BYTES_MAX, "the detail").ok()?,
        },
        code::HOST_FAILED => CloseReason::HostFailed {
            detail: "the peer could not read or take entries".to_owned(),
        },
        code::SILENT => CloseReason::Silent,
        code::CLONED => CloseReason::Cloned,
        code::GONE => CloseReason::Unreachable {
            detail: "the peer gave up".to_owned(),
        },
        _ => return None,
    })
}

const fn side_code(side: Side) -> u8 {
    match side {
        Side::Ours => 0,
        Side::Theirs => 1,
    }
}

/// The sender's "ours" is our "theirs".
const fn turned(code: u8) -> Side {
    match code {
        0 => Side::Theirs,
        _ => Side::Ours,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::LogId;

    fn told(reason: &CloseReason) -> CloseReason {
        decode_refusal(
            u64::from(refusal_code(reason)),
            &encode_refusal(reason),
            Versions::CURRENT,
        )
    }

    #[test]
    fn a_refused_entry_is_named_to_its_sender() {
        let entry = BadEntry {
            log: LogId::new([0xab; 8], 1),
            seq: 300,
            fault: EntryFault::Signature,
        };
        let ours = CloseReason::BadEntry {
            entry,
            by: Side::Ours,
        };
        assert_eq!(
            encode_refusal(&ours),
            [
                14, 0x06, 8, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 1, 0xac, 0x02, 1, 0
            ]
        );
        let theirs = CloseReason::BadEntry {
            entry,
            by: Side::Theirs,
        };
        assert_eq!(told(&ours), theirs);
        assert_eq!(
            theirs.to_string(),
            "their side refused: entry 300 of log abababababababab/1 cannot be accepted: its signature does not match"
        );
    }

    #[test]
    fn versions_and_rollbacks_arrive_with_the_sides_turned() {
        let two = Versions {
            major: 1,
            minor_min: 3,
            minor_max: 4,
        };
        let reason = CloseReason::Version {
            ours: two,
            theirs: Some(Versions::CURRENT),
        };
        let seen = told(&reason);
        assert_eq!(
            seen,
            CloseReason::Version {
                ours: Versions::CURRENT,
                theirs: Some(two)
            }
        );
        assert_eq!(
            seen.to_string(),
            "no protocol version in common: we speak 1.0, they speak 1.3–1.4"
        );
        let rollback = Rollback {
            log: LogId::new([1; 8], 0),
            held_seq: 9,
            held_hash: None,
            head_seq: 4,
            whose: Side::Ours,
        };
        assert_eq!(
            told(&CloseReason::RolledBack(rollback)),
            CloseReason::RolledBack(Rollback {
                whose: Side::Theirs,
                ..rollback
            })
        );
    }

    #[test]
    fn plain_reasons_and_texts_arrive_as_they_were() {
        for reason in [
            CloseReason::Shutdown,
            CloseReason::Replaced,
            CloseReason::Revoked,
            CloseReason::Suspended,
            CloseReason::Unknown,
            CloseReason::Cloned,
            CloseReason::Silent,
            CloseReason::Protocol {
                detail: "two hellos".to_owned(),
            },
        ] {
            assert_eq!(told(&reason), reason);
        }
        let private = CloseReason::HostFailed {
            detail: "the disk is full".to_owned(),
        };
        assert_eq!(encode_refusal(&private), [1, 0x06, 10]);
        let long = CloseReason::Protocol {
            detail: "x".repeat(5000),
        };
        assert!(encode_refusal(&long).len() < REFUSAL_BYTES_MAX);
    }

    #[test]
    fn a_close_without_a_refusal_is_reported_with_its_number() {
        assert!(matches!(
            decode_refusal(77, b"", Versions::CURRENT),
            CloseReason::Unreachable { detail } if detail.contains("77")
        ));
    }
}
